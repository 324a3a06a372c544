// The inner and the outer contour of the left ventricle's wall in every phase of a slice, by closed
// paths through the polar grid. Papillary muscles and trabeculae lie in the pool, as in the
// contours of the Sunnybrook data (Radau et al. 2009) and the SCMR's recommendation. Thread-safety:
// pure.
#pragma once
#include <stdbool.h>
#include "compute/stages/cardiac/cardiac_polar.h"

struct cardiac_wall {
    float endo[CARDIAC_WAYS], epi[CARDIAC_WAYS]; // mm from the centre of the slice
    double pool_mm2, muscle_mm2;
    bool corrected; // for the slope of the wall against the slice, by cardiac_ventricle_find()
    // Of the contours as the edges gave them, before papillary muscles were told from the wall:
    double edge;     // mean contrast at the inner contour: 1 is all of that from blood to muscle
    double closed;   // part of the directions with muscle behind the inner contour
    double thick_mm; // median of the wall
    double moved;    // mm: farthest that a direction lies from its place by the phases around it
};

struct cardiac_slice {
    double centre[2];           // column, row of the work grid
    double blood, muscle;       // levels
    struct cardiac_wall *walls; // [phases]
};

// guess_mm  least and most radius of the pool over the cycle, roughly
// ratio     signal of muscle by that of blood
// out       its centre is the first guess, and moved to that of the contours; walls [phases] given
// False: no memory.
bool cardiac_walls_find(const struct cardiac_cine *c, uint32_t slice, const double guess_mm[2],
                        double ratio, struct cardiac_slice *out);

// The standard deviation, mm, of the blur of an edge that inner contours are corrected for.
double cardiac_wall_blur(const struct cardiac_cine *c);

// Area within a contour of CARDIAC_WAYS radii.
double cardiac_contour_mm2(const float *radius);
