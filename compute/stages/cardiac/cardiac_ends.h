// Which slices are of the left ventricle, how much of the pool of each counts in each phase, and
// the volumes with what is in doubt about them. Thread-safety: pure.
#pragma once
#include <stdbool.h>
#include "compute/stages/cardiac/cardiac_ventricle.h"

// The middle, both ends, and the weights of the slices at each point, by contours that are there
// already: part[].s.walls, quality, closed, thick_mm.
// centres     [slices], of cardiac_centre_find()
// base_first  slice 0 is towards the base
// False: no memory.
bool cardiac_ends_find(struct cardiac_ventricle *v, const struct cardiac_cine *c,
                       const struct cardiac_centre *centres, bool base_first);

// The volume curve with its bounds, end diastole and end systole, and the measures.
void cardiac_ends_sum(struct cardiac_ventricle *v);
