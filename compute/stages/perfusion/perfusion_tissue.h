// Which voxels are brain, which side they are on, and the volumes of what lies in them.
#pragma once
#include "base/arena.h"
#include "compute/kernels/kernels.h"

// Brain with its vessels and ventricles: the largest piece of soft tissue that stays when a rim is
// taken off, so that what hangs on it by a thin neck (eyes, muscles) is not. baseline: HU, float.
// NULL: the device failed.
struct gpu_mask *perfusion_brain(const struct gpu_volume *baseline, struct err *err);

// The plane between the hemispheres: the line in each slice that leaves least of the brain without
// a partner on the other side; the same for all slices. Columns and rows in voxels.
struct perfusion_midline {
    double column, row; // a point of it
    double across[2];   // unit vector from the right of the patient's image to the left
    double overlap;     // part of the brain that has a partner, 0..1
};
// brain: [slices][rows][columns]. False: no memory, or no brain.
bool perfusion_midline_find(const uint8_t *brain, const uint32_t dim[3], const double spacing[3],
                            struct perfusion_midline *out);
// Negative on the side of low columns, positive on the other; mm.
double perfusion_side(const struct perfusion_midline *m, const double spacing[3], double column,
                      double row);

// Fills the holes within slices that are pieces of fewer than `voxels` voxels, as far as they are
// of `within`, and then leaves the pieces (connected by faces, edges or corners) of at least
// `voxels`. bytes: 0 or 1, changed in place; *dropped: voxels that went. Waits.
bool perfusion_clean(const struct gpu_mask *within, uint32_t voxels, uint8_t *bytes,
                     uint64_t *dropped, struct err *err);
