// Where the lungs and the large airways are, on a coarse grid of about 2 mm; then, on the image's
// own grid, which voxels belong to them. Process: worker, analyze. Thread-safety: one thread a
// struct gpu.
#pragma once
#include <stdbool.h>
#include "base/arena.h"
#include "base/err.h"
#include "compute/image/image.h"
#include "compute/kernels/kernels.h"
#include "compute/stages/lungs/lungs_density.h"

// How the two lungs were told apart.
enum lungs_parting {
    LUNGS_APART,   // they do not touch
    LUNGS_ERODED,  // they touched: parted where they are thinnest
    LUNGS_MIDLINE, // they could not be parted so: cut at the middle of the body
    LUNGS_ONE,     // one lung only
};

struct lungs {
    struct gpu_mask *side[LUNGS_SIDES]; // on the image's grid; enclosed vessels belong to them
    struct gpu_mask *airways;           // lumen of trachea and main bronchi
    enum lungs_parting parting;
    bool airways_found;
    bool cut_head, cut_feet, cut_border; // lung at the first or last slice, at the image's border
    double airways_hu;                   // highest value that airways were followed at; NAN
};

// hu      GPU_VOXEL_I16, all slices of v
// air_hu  what is not above it is air or lung
// *why    "" or why there are no lungs to be measured; then out holds nothing
// Errors: those of the device; ERR_NOMEM.
bool lungs_find(struct gpu *g, const struct gpu_volume *hu, const struct image *v, double air_hu,
                struct arena *scratch, struct lungs *out, const char **why, struct err *err);
// Destroys the masks.
void lungs_finish(struct lungs *l);
