// The segmentation's own kernels. Plain C twins: tests/gpu/test_segment.c. Thread-safety: one
// thread a struct gpu.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "compute/kernels/kernels.h"

extern const struct kernel_group kernels_segment;

// Set where the greatest and the least of the 27 values in and around a voxel (beyond the grid: the
// nearest in it) differ by at most range, and its own is at least lo. v is GPU_VOXEL_I16.
struct gpu_mask *segment_even(const struct gpu_volume *v, int32_t lo, int32_t range,
                              struct err *err);
// Set where a voxel, or the one before or after it in the neighbouring slice, is set.
struct gpu_mask *segment_above_below(const struct gpu_mask *m, struct err *err);

// gpu_mask_combine() that fails where either is NULL, which has set the error already.
bool segment_merge(struct gpu_mask *a, enum mask_op op, const struct gpu_mask *b, struct err *err);
