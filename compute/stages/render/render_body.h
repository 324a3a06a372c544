// The patient without table and head rest, on CT. Thread-safety: one thread a struct gpu.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "compute/kernels/kernels.h"

// The largest piece of what is denser than air and more than a few mm thick, with what it encloses
// in a slice and a margin: sheets (a table, a head rest) are too thin and fall off unless they
// touch it within the margin. box: voxel indices that it lies in, low and high, both inclusive.
// Waits. NULL and *empty: nothing is that dense. NULL otherwise: an error.
struct gpu_mask *render_body(const struct gpu_volume *hu, uint32_t box[2][3], bool *empty,
                             struct err *err);
