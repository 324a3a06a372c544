// The shape of a piece of calcium. Thread-safety: pure.
#pragma once
#include <stdint.h>
#include "compute/kernels/kernels.h"

// Standard deviations of a component's voxel centres along its principal axes, mm, the largest
// first: of a tube one is large, of a sheet two, of a ball all are equal. A voxel has none.
// runs     of one component, count of them; row: k * rows + j
// spacing  mm along i, j, k; slices are taken as upright to rows and columns
// axis     of the first, of length 1 in mm along i, j, k
void calcium_spread(const struct component_run *runs, uint32_t count, uint32_t rows,
                    const double spacing[3], double sd[3], double axis[3]);
