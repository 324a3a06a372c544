// Single voxels of a volume on the device, for work on the host that looks here and there: slices
// are read back as they are asked for, and the last few stay. Process: worker, analyze.
// Thread-safety: one thread a peek.
#pragma once
#include <stdint.h>
#include "base/err.h"
#include "compute/kernels/kernels.h"

struct peek; // opaque

// volume   GPU_VOXEL_I16 or GPU_VOXEL_F32; borrowed, unchanged while the peek lives
// keep     slices that stay, >= 1
// NULL: ERR_NOMEM
struct peek *peek_create(const struct gpu_volume *volume, uint32_t keep, struct err *err);
void peek_destroy(struct peek *p); // NULL is fine

// Slice k, [rows][columns], valid until as many others as are kept have been asked for. NULL with
// *err: the device failed, or there is no such slice (ERR_INPUT).
const float *peek_slice(struct peek *p, uint32_t k, struct err *err);
