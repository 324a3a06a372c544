// How good the pixels of a CT are for scoring: edge enhancement, measured in the image itself.
//
// At a border from lung to soft tissue a soft kernel ends on the plateau of the tissue; one that
// enhances edges overshoots it, at a heart's border by as much as calcium measures. Along rows and
// columns, in both directions, each border of at least 7 pixels of lung and a plateau of 7 pixels
// of 20 to 70 HU gives the highest of the 5 pixels from the middle of the border on, above the
// median of the plateau, and the same for 5 pixels of the plateau itself. Both grow alike with
// noise. Of the steepest quarter of borders (others are oblique, and blurred whatever the kernel),
// the upper quartiles are compared: their difference is the overshoot.
//
// Measured on scans reconstructed twice, with white noise of 10 to 40 HU added, and with unsharp
// masking (sigma of a pixel, strength 0.5 and 1), in HU:
//   Philips B       -13, noisy -22 to -13, masked 7 and 38;   L of the same scan 239
//   Siemens B40f      9, noisy 3 to 6,     masked 21 and 39;  B70f of the same scan 30
//   GE STANDARD     -10, noisy -14 to -5,  masked 9 and 48
// Thread-safety: pure; one thread a measurement.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"

// One border.
struct calcium_edge {
    float over, plateau; // highest of the pixels behind it, and of as many of the plateau: HU above
                         // the plateau's median
    float sd;            // HU, of the plateau
    float steepness;     // largest step from pixel to pixel, of the height of the border
};

struct calcium_edges {
    struct calcium_edge *list, *found; // found: of the slice being looked at
    float *line;                       // of pixels, being looked at
    float *sorted;                     // values, being ordered
    uint32_t count, found_count, dim[2];
    uint32_t slice_most; // borders that one slice gives at most, so that every slice has its share
    double spacing[2];
};

struct calcium_overshoot {
    uint32_t edges;
    double hu;    // NAN: too few borders (as in a small field of view), or too much noise
    double sd_hu; // of plateaus, median
    double ratio; // 90th percentile of overshoot, noise included, in sd_hu
};

enum calcium_sharpness {
    CALCIUM_EDGES_UNKNOWN, // not measurable
    CALCIUM_EDGES_SOFT,
    CALCIUM_EDGES_RAISED,   // a little: to be said
    CALCIUM_EDGES_ENHANCED, // no score
};

#define CALCIUM_OVERSHOOT_RAISED_HU 15
#define CALCIUM_OVERSHOOT_LIMIT_HU  25

#define CALCIUM_EDGES_MOST 32768 // borders of all slices

// dim, spacing  columns and rows of the slices to come, mm
// slices        that will be added
// The rest lives in arena. False: no memory.
bool calcium_edges_init(struct calcium_edges *e, const uint32_t dim[2], const double spacing[2],
                        uint32_t slices, struct arena *arena);
// Adds the borders of a slice [rows][columns], HU; of more than its share those that are evenly
// spread over it.
void calcium_edges_add(struct calcium_edges *e, const float *slice);
// What they say; the list is put in another order.
void calcium_edges_measure(struct calcium_edges *e, struct calcium_overshoot *out);
enum calcium_sharpness calcium_overshoot_judge(const struct calcium_overshoot *o);
