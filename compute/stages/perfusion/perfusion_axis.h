// The time axis of a perfusion scan: from the times of its images, which differ from slice to slice
// where the table moves and of which some may be left out, to even steps for all slices. Pure.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"

#define PERFUSION_PAIR_S    0.9 // s
#define PERFUSION_HALF_S    2.2 // s
#define PERFUSION_STEPS_MAX 120 // steps; longer scans get longer ones

struct perfusion_axis {
    uint32_t steps;
    double step_s;     // from step to step
    double interval_s; // from image to image: the median
    bool halved;       // there are two steps an interval
    bool paired;       // steps are means of two points each, which followed each other fast
    double start_s;    // of step 0, on the axis of the times
    double uneven;     // the largest difference of an interval from step_s, in parts of it
    double widest_s;   // the longest interval between images that are used, in any slice
    const float *at;   // [slices][steps][4]: point before, point after, weight of the one after, 0
};

struct perfusion_times {
    uint32_t points, slices;
    const double *s;    // [points][slices] seconds; NAN: not stated
    const uint8_t *use; // [points][slices] 0: left out
};

// The step is the median interval; twice that, and each step the mean of two points, where the
// interval is below PERFUSION_PAIR_S, since twice as many steps add noise and nothing else; half of
// that above PERFUSION_HALF_S, since the maximum of a residue function is found late between steps
// that are far apart. False
// with a reason for people in *why (in arena): times are not stated, do not rise, or slices have no
// time in common; *why NULL: no memory.
bool perfusion_axis_make(const struct perfusion_times *times, struct arena *arena,
                         struct perfusion_axis *out, const char **why);

// Steps before the contrast arrives, from a curve of the whole brain: the last step before it stays
// above `share` of its highest rise, at least `least`, less one for the arteries, which are
// earlier. 0: no baseline.
uint32_t perfusion_baseline(const double *mean, uint32_t count, double share, double least,
                            double *rise);
