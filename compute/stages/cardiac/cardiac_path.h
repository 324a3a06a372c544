// The closed path of least cost through a polar grid: one radius a direction, all around a centre.
// Thread-safety: pure.
#pragma once
#include <stdbool.h>
#include <stdint.h>

// cost   [ways][radii], in direction order, finite; a place that must not be taken costs
//        CARDIAC_PATH_NEVER
// slope  most radii that neighbouring directions may differ by
// bend   cost of a difference of one radius; of n radii n * n times it
// path   [ways]: index of the radius of each direction. The last and the first direction are
//        neighbours: the path is searched over two turns, and the turn in their middle is taken
// False: no memory.
bool cardiac_path_find(const float *cost, uint32_t ways, uint32_t radii, uint32_t slope, float bend,
                       uint16_t *path);

#define CARDIAC_PATH_NEVER 1e6f
