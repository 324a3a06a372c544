// Whether the heart moved while it was imaged: how wide its border with lung is, beside the
// sharpest borders of the same slices.
//
// A border at rest is as wide as kernel, pixels and slices make it, of the heart as of the chest
// wall. One that moved while the tube turned is seen at several places, blurred or doubled, and
// wider by as much as it moved across itself. Along rows and columns, in both directions, the width
// of a border is the distance in which it rises from a quarter to three quarters of the step from
// lung to the plateau behind it, between the outermost places of these values. Borders that are
// oblique are wider at rest too. Two things tell: how much wider the heart's are (the median of
// both axes) than what rests (the least of the lower quartiles of the heart's and the chest wall's,
// axis by axis), and how much they differ among themselves (median over lower quartile along the
// axis in which that is most), for what moves is as sharp as ever along its way. Where no chest
// wall is seen the heart's own sharpest borders are what rests.
//
// The geometric mean of both ratios, of made chests whose heart is half of the time so far beside
// its place:
//   at rest          1.2 to 1.5 (nine)
//   2.6; 3; 4.8 mm   1.6; 1.6 to 2.1 (six); 2.5
// In eight real chests that were not gated 1.3 to 1.7. Less than 2 mm is not seen.
// Thread-safety: pure; one thread a measurement.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"

// What lies behind a border, pixel by pixel.
enum calcium_motion_part { CALCIUM_MOTION_NEITHER, CALCIUM_MOTION_HEART, CALCIUM_MOTION_WALL };

#define CALCIUM_MOTION_MOST 32768 // borders of a part along an axis

struct calcium_motion_borders {
    float *width; // mm
    uint32_t count;
};

struct calcium_motion_sums {
    uint32_t dim[2];   // columns and rows of the slices to come
    double spacing[2]; // mm, between columns and between rows
    float *line;
    uint8_t *part;
    struct calcium_motion_borders heart[2], wall[2]; // along rows, along columns
    float *both;                                     // of the heart's, being ordered
};

struct calcium_motion {
    uint32_t borders; // of the heart
    double heart_mm;  // their median; NAN: too few
    double rest_mm;   // of what rests
    double spread;    // of the heart's, median over lower quartile
};

enum calcium_moved { CALCIUM_RESTED, CALCIUM_MAY_HAVE_MOVED, CALCIUM_MOVED };

// The geometric mean above which the heart may have moved, and above which it did.
#define CALCIUM_MOTION_RAISED 1.4
#define CALCIUM_MOTION_LIMIT  1.55

// The rest lives in arena. False: no memory.
bool calcium_motion_init(struct calcium_motion_sums *s, const uint32_t dim[2],
                         const double spacing[2], struct arena *arena);
// slice, part  [rows][columns]: HU; enum calcium_motion_part
void calcium_motion_add(struct calcium_motion_sums *s, const float *slice, const uint8_t *part);
// The lists are put in another order.
void calcium_motion_measure(struct calcium_motion_sums *s, struct calcium_motion *out);
// The geometric mean of both ratios; NAN: too few borders.
double calcium_motion_ratio(const struct calcium_motion *m);
// RESTED also where it is not known.
enum calcium_moved calcium_motion_judge(const struct calcium_motion *m);
