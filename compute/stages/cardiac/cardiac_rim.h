// Whether the wall of a slice goes on in the slice beside it. Thread-safety: pure.
#pragma once
#include <stdbool.h>
#include "compute/stages/cardiac/cardiac_ventricle.h"

// The part of the circumference, 0..1, in which the wall of the next slice goes on in a slice, at
// each point: at its inner contour, the directions with half of its contrast or more. A thick slice
// across the valve is a mixture of the ventricle and what lies above, and the contrast that is left
// is the part of the ventricle; of a valve oblique to the slice, the directions are. Contrast is
// the mean signal of 2 mm inside less that outside, the most within 3 mm of the contour, which is
// laid around the centre of either slice. next  whose contours are taken out   [points of v] False:
// no memory.
bool cardiac_rim_find(const struct cardiac_cine *c, const struct cardiac_ventricle *v,
                      uint32_t slice, uint32_t next, double *out);

// How much of a disc around the centre of a slice is blood in another one, 0..1, by its mean signal
// between muscle and blood of the slice.
double cardiac_rim_blood(const struct cardiac_cine *c, const struct cardiac_ventricle *v,
                         uint32_t slice, uint32_t other, uint32_t point, double radius_mm);
