// Walls that are oblique to a thick slice: what that adds to the inner contours, and the slice at
// either end whose contour it leaves in doubt. Thread-safety: pure.
#pragma once
#include "compute/stages/cardiac/cardiac_ventricle.h"

// Moves the inner contours of the slices of the ventricle, and marks the last slices at the points
// where their contours are vague. After cardiac_ends_find(), before cardiac_ends_sum().
// False: no memory.
bool cardiac_slope_correct(const struct cardiac_cine *c, struct cardiac_ventricle *v);
