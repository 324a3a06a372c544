// A slice of a cine around the centre of the ventricle: signal by direction and distance, and the
// same with the shading of the coil taken out. Thread-safety: pure.
#pragma once
#include <stdbool.h>
#include "compute/stages/cardiac/cardiac_cine.h"

// Direction w is at 2 pi w / CARDIAC_WAYS from the columns towards the rows; distance n is
// (n + 1/2) * CARDIAC_STEP_MM.
#define CARDIAC_WAYS    64
#define CARDIAC_RADII   92 // to 64 mm
#define CARDIAC_STEP_MM 0.7

struct cardiac_polar {
    uint32_t phases;
    double centre[2]; // column, row of the work grid
    // [phases][CARDIAC_WAYS][CARDIAC_RADII]: blood is 1, muscle 0, where shading is the same as
    // that of the blood in this direction; air about -0.5
    float *q;
    double blood[CARDIAC_WAYS]; // levels that are 1
};

// Samples the phases of a slice, bilinear; borders replicated. out->q is allocated, q of levels
// until cardiac_polar_scale(). False: no memory.
bool cardiac_polar_sample(const struct cardiac_cine *c, uint32_t slice, const double centre[2],
                          struct cardiac_polar *out);
void cardiac_polar_finish(struct cardiac_polar *p);

// The medians of blood and of muscle by the circle of radius mm of each phase (NAN: not this one):
// blood within 0.6 of it, muscle 1.5 to 6 mm outside it. False: no memory.
bool cardiac_polar_levels(const struct cardiac_polar *p, const double *radius_mm, double *blood,
                          double *muscle);

// The same by contours: blood within 0.8 of the inner one, muscle in the middle third of the wall.
// endo, epi  of a phase: CARDIAC_WAYS radii, mm
bool cardiac_polar_wall_levels(const struct cardiac_polar *p, uint32_t phase, const float *endo,
                               const float *epi, double *blood, double *muscle);

// Levels to q. Blood of a direction is the 70th percentile (papillary muscles are darker) of what
// lies within 0.3 to 0.8 of the radius, 60 degrees to both sides, in all phases.
// radius_mm  [phases][CARDIAC_WAYS]
// ratio      signal of muscle by that of blood
// False: no memory.
bool cardiac_polar_scale(struct cardiac_polar *p, const float *radius_mm, double ratio);
