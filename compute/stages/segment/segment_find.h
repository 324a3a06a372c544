// Which voxels of a CT belong to which structure, by attenuation, connection and size; and which
// structures cannot be told, with the reason. No structure shares a voxel with another. Process:
// worker, analyze. Thread-safety: one thread a struct gpu.
#pragma once
#include <stdbool.h>
#include "base/arena.h"
#include "base/err.h"
#include "compute/image/image.h"
#include "compute/kernels/kernels.h"

enum segment_part {
    SEGMENT_REST, // of the body: what none of the others is
    SEGMENT_FAT,  // of the body, under the skin and inside alike
    SEGMENT_RIGHT_LUNG,
    SEGMENT_LEFT_LUNG,
    SEGMENT_AIRWAYS, // lumen of trachea and main bronchi
    SEGMENT_BONE,    // with its marrow, as far as that is denser than muscle
    SEGMENT_PARTS
};

struct segments {
    struct gpu_mask *mask[SEGMENT_PARTS]; // on the image's grid; NULL: refused or none
    char why[SEGMENT_PARTS][160];         // why it was refused; "" it was not
    bool cut_lungs;                       // by the scan or the field of view
    bool lungs_touch;                     // told apart at the middle of the body
    double aside_ml; // of other pieces of tissue as thick as a body, without their rim: arms
    double contrast_ml, contrast_hu; // even tissue brighter than any without contrast agent: its
                                     // volume, about, and its highest mean; 0: none
};

// hu      GPU_VOXEL_I16, all slices of v, which are axial
// air_hu  what is not above it is air or lung
// *why    "" or why there is nothing to be told; then out holds nothing
// Errors: those of the device; ERR_NOMEM.
bool segment_find(struct gpu *g, const struct gpu_volume *hu, const struct image *v, double air_hu,
                  struct arena *scratch, struct segments *out, const char **why, struct err *err);
// Volume of a voxel, and the least number of them that have some volume.
double segment_voxel_ml(const double spacing[3]);
uint32_t segment_voxels_of(double ml, const double spacing[3]);
// Destroys the masks.
void segment_finish(struct segments *s);
