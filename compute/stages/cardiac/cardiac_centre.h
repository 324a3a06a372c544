// Where the heart is in a cine, and the centre of its left ventricle in each slice.
// Thread-safety: pure, but for the device.
#pragma once
#include <stdbool.h>
#include "compute/stages/cardiac/cardiac_cine.h"

// The centre of what moves with the beat, in pixels of the work grid: the median of the places with
// the most motion of each slice, then the mean of those at most 60 mm from it, until that stays.
// False: nothing moves.
bool cardiac_heart_find(const struct cardiac_cine *c, double centre[2]);

struct cardiac_centre {
    double at[2];     // column, row of the work grid
    double radius[2]; // mm: of the best ring there at each of the two phases; 0: none
    double score;     // sum of both scores
};

// The chain of ring centres through all slices, the best sum of scores less what neighbouring
// slices lie apart (a ventricle that is oblique to the stack is allowed 12 mm a slice).
// rings    of two phases, on the same places
// centres  [slices]
// False: no memory.
bool cardiac_centre_find(const struct cardiac_cine *c, const struct cardiac_rings rings[2],
                         struct cardiac_centre *centres);
