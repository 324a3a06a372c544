// The outlines of a mask as closed polylines along pixel edges, in image coordinates (the top left
// corner of the top left pixel is (0, 0)). Pixels that touch at a corner share an outline; a hole
// has one of its own. Points on a straight line are left out; the first point is repeated at the
// end. Outlines come in the order of their topmost, then leftmost pixel.
// Thread-safety: pure.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"

struct outline {
    float *points;  // count pairs (column, row), in the arena
    uint32_t count; // >= 5
    bool hole;
};

// mask     [rows][columns], set where not 0
// origin   column and row of its first pixel in the image, added to every point
// *list    in the arena; NULL when there is nothing
// False: no memory.
bool outline_trace(const uint8_t *mask, uint32_t columns, uint32_t rows, const uint32_t origin[2],
                   struct arena *arena, struct outline **list, uint32_t *count);
