// Density of the lungs from a histogram in steps of 1 HU. Everything is counted in integers, so
// that the same voxels give the same numbers on every device. Sources: Gevenois 1995 (share below
// -950 HU), Parr 2006 (15th percentile), Mueller 1988 and Kinsella 1990 (-910 HU). Process: worker,
// analyze. Thread-safety: one thread a struct gpu; what takes no gpu is pure.
#pragma once
#include <stdint.h>
#include "base/err.h"
#include "compute/kernels/kernels.h"

enum { LUNGS_RIGHT, LUNGS_LEFT, LUNGS_SIDES };

#define LUNGS_VALUES 65536 // of int16: value v is entry v + 32768

struct lungs_density {
    uint64_t voxels;
    double mean_hu;    // NAN without voxels, as are the others
    double below_950;  // % of the voxels that are less than -950 HU
    double below_910;  // % of the voxels that are less than -910 HU
    double percentile; // HU: the lowest that at least 15 % of the voxels do not exceed
};

extern const struct kernel_group kernels_lungs; // of lungs_histogram()

// How often each value occurs in each mask. hu is GPU_VOXEL_I16; masks have its size. counts:
// [LUNGS_SIDES][LUNGS_VALUES]. Waits. Errors: those of grid_run() and gpu_buf_create().
bool lungs_histogram(struct gpu *g, const struct gpu_volume *hu,
                     const struct gpu_mask *const sides[LUNGS_SIDES], uint32_t *counts,
                     struct err *err);

// counts: LUNGS_VALUES entries.
void lungs_density(const uint64_t *counts, struct lungs_density *out);
