// The left ventricle of a cine: contours of all slices in all phases, which slices are of it, and
// its volume over the cycle. Thread-safety: pure.
#pragma once
#include <stdbool.h>
#include "compute/stages/cardiac/cardiac_centre.h"
#include "compute/stages/cardiac/cardiac_wall.h"

enum cardiac_fate {
    CARDIAC_USED,
    CARDIAC_BEYOND_BASE, // atrium or outflow tract
    CARDIAC_BEYOND_APEX, // no pool of the ventricle
    CARDIAC_POOR,        // of the ventricle, but its contours cannot be trusted
};

struct cardiac_part { // a slice of it
    struct cardiac_slice s;
    uint32_t phases;
    enum cardiac_fate fate;
    const char *why; // of a fate other than CARDIAC_USED
    double quality;  // 0..1: the edge at the inner contour, the mean over the phases
    double closed;   // mean over the phases
    double thick_mm; // mean over the phases
    double swing;    // pool at end systole by that at end diastole
    // [points] How much of its pool counts, 0..1: the valve may lie within the slice; and the least
    // and the most that it may be.
    float *weight, *least, *most;
    bool *vague;    // [points] larger than the slices beside it leave room for: cardiac_slope.h
    bool *borrowed; // [points] its own contours are of a mixture: areas are those of the next slice
};

struct cardiac_bounds {
    double value, low, high;
};

struct cardiac_ventricle {
    uint32_t slices, points; // points: phases of the curve
    struct cardiac_part *part;
    double ratio;        // signal of muscle by that of blood
    uint32_t base, apex; // the first and the last slice of it
    uint32_t basal;      // which of the two is at the base
    uint32_t middle;     // the slice that is most surely of it
    uint32_t ed, es;     // points
    // [points] volume of the pool; low and high: where it is in doubt what counts
    double *ml, *low, *high;
    struct cardiac_bounds edv, esv, sv, ef; // mL, %
    struct cardiac_bounds mass;             // g, of the muscle at ed
    uint32_t used, poor;                    // slices
    double gap_mm, pixel_mm;
    float *beyond_mm2; // [points] of the pool past the last slice of the apex, at most
    bool open[2];      // the stack ends before the ventricle does: at the base, at the apex
};

#define CARDIAC_DENSITY 1.05 // g/mL of muscle

// centres     [slices], of cardiac_centre_find()
// base_first  slice 0 is towards the base
// *why     NULL: done. Else a sentence why there is no ventricle
// False: no memory.
bool cardiac_ventricle_find(const struct cardiac_cine *c, const struct cardiac_centre *centres,
                            bool base_first, struct arena *arena, struct cardiac_ventricle *out,
                            const char **why);

// Whether half of the pool of a slice or more counts at a point, and its contours can be trusted
// there: what contours are drawn of.
bool cardiac_counts(const struct cardiac_ventricle *v, uint32_t slice, uint32_t point);

// The phase of a slice that is nearest to a point of the curve.
uint32_t cardiac_phase_of(const struct cardiac_part *part, uint32_t points, uint32_t point);

// The contours of a slice at a point of the curve.
const struct cardiac_wall *cardiac_wall_at(const struct cardiac_ventricle *v, uint32_t slice,
                                           uint32_t point);
