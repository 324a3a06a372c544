// The steps of cardiac_report(): numbers, segments, page. Thread-safety: one thread a findings.
#pragma once
#include "compute/stages/cardiac/cardiac_report.h"

struct cardiac_writer {
    struct findings *f;
    const struct stage_run *run;
    const struct image_set *set;
    const struct image *v;
    const struct cardiac_result *r;
    const struct cardiac_ventricle *h;
};

enum { CARDIAC_REGION_POOL, CARDIAC_REGION_MUSCLE, CARDIAC_REGIONS };
extern const uint8_t cardiac_pool_rgb[3], cardiac_muscle_rgb[3];

// ---- Numbers ------------------------------------------------------------------------------------

extern const char cardiac_doubt[]; // why volumes are ranges

struct cardiac_bounds cardiac_times(struct cardiac_bounds v, double factor);
// Whether the ends differ by enough to be told.
bool cardiac_is_range(const struct cardiac_bounds *v);

// The steepest fall and rise of the volume, mL/s: the stroke volume times differences over two
// steps of the curve that those slices have, by their own stroke, which count wholly at all points.
// False: fewer than three such slices, or the heart rate is not known.
bool cardiac_rates(const struct cardiac_result *r, struct cardiac_bounds *ejection,
                   struct cardiac_bounds *filling);

// The group of the ventricle with its numbers.
void cardiac_add_numbers(struct cardiac_writer *w);

// ---- The wall by segments
// ------------------------------------------------------------------------

// A group a segment: its thickness at both phases, or why there is none.
void cardiac_add_segments(struct cardiac_writer *w);
// The others: false, no memory. Insertions: of the right ventricle, as points on the images.
bool cardiac_exclude_segments(struct cardiac_writer *w);
bool cardiac_mark_insertions(struct cardiac_writer *w);
bool cardiac_add_segment_page(struct cardiac_writer *w);

// The radius, mm, of a contour of CARDIAC_WAYS radii in the direction (x, y).
double cardiac_radius_towards(const float *radius, double x, double y);

// ---- The page -----------------------------------------------------------------------------------

// False: no memory.
bool cardiac_exclude_slices(struct cardiac_writer *w);
bool cardiac_add_page(struct cardiac_writer *w);
