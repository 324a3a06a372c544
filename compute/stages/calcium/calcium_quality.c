#include "compute/stages/calcium/calcium_quality.h"
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define LUNG    7   // pixels of lung before a border
#define RISE    5   // pixels in which it is crossed
#define BEHIND  5   // pixels behind it in which it may overshoot
#define PLATEAU 7   // pixels behind these
#define FEWEST  300 // borders

static const float lung_hu = -650, middle_hu = -420;
static const float lung_low_hu = -960, lung_high_hu = -750;   // median
static const float plateau_low_hu = 20, plateau_high_hu = 70; // median
static const float plateau_spread_hu = 90;                    // farthest from it
// Above, the limit of the spread cuts the noise of plateaus off, not that of what lies before them.
static const double sd_most_hu = 40;
static const double usual_pixel_mm = 0.7; // finer ones are skipped over
// Borders looked at in one slice; of a 512 x 512 slice 300 to 3000 are ones that can be measured.
enum { FOUND_MOST = 1 << 15 };

static int by_float(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static int by_steepness(const void *a, const void *b)
{
    const float x = ((const struct calcium_edge *)a)->steepness;
    const float y = ((const struct calcium_edge *)b)->steepness;
    return (x > y) - (x < y);
}

static float median_of_seven(const float *v)
{
    float s[7];
    memcpy(s, v, sizeof s);
    qsort(s, 7, sizeof *s, by_float);
    return s[3];
}

static float highest(const float *v, int count)
{
    float most = v[0];
    for (int i = 1; i < count; i++)
        most = fmaxf(most, v[i]);
    return most;
}

static float deviation_of(const float *v, int count)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < count; i++) {
        sum += v[i];
        squares += (double)v[i] * v[i];
    }
    return (float)sqrt(fmax(0, (squares - sum * sum / count) / (count - 1)));
}

// The border behind the last pixel of lung. False: it is none that could be measured.
static bool look_at_border(const float *last, const float *end, struct calcium_edge *out)
{
    if (end - last <= RISE + 1)
        return false;
    const float *at = last + 1; // the first pixel of more than half the height
    while (at <= last + RISE && *at <= middle_hu)
        at++;
    if (at > last + RISE || end - at <= BEHIND + PLATEAU)
        return false;
    const float lung = median_of_seven(last - (LUNG - 1));
    if (lung < lung_low_hu || lung > lung_high_hu)
        return false;
    const float *plateau = at + 1 + BEHIND;
    const float level = median_of_seven(plateau);
    if (level < plateau_low_hu || level > plateau_high_hu)
        return false;
    for (int i = 0; i < PLATEAU; i++) {
        if (fabsf(plateau[i] - level) > plateau_spread_hu)
            return false;
    }
    float step = 0;
    for (const float *v = last - 1; v < last + RISE; v++)
        step = fmaxf(step, v[1] - v[0]);
    *out = (struct calcium_edge){.over = highest(at, BEHIND) - level,
                                 .plateau = highest(plateau, BEHIND) - level,
                                 .sd = deviation_of(plateau, PLATEAU),
                                 .steepness = step / (level - lung)};
    return true;
}

static void look_along(struct calcium_edges *e, const float *line, uint32_t count)
{
    uint32_t run = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (line[i] < lung_hu) {
            run++;
            continue;
        }
        if (run >= LUNG && e->found_count < FOUND_MOST &&
            look_at_border(line + i - 1, line + count, &e->found[e->found_count]))
            e->found_count++;
        run = 0;
    }
}

// Lines along an axis, both ways. Of pixels that are much finer than usual every second, third, ...
// makes a line, for overshoot is as wide as the kernel makes it, in mm.
static void look_along_axis(struct calcium_edges *e, const float *slice, int axis)
{
    const uint32_t length = e->dim[axis], lines = e->dim[1 - axis];
    const size_t along = axis == 0 ? 1 : e->dim[0], across = axis == 0 ? e->dim[0] : 1;
    const uint32_t step = (uint32_t)fmax(1, round(usual_pixel_mm / e->spacing[axis]));
    for (uint32_t n = 0; n < lines; n++) {
        for (uint32_t first = 0; first < step; first++) {
            const float *at = slice + n * across + first * along;
            uint32_t count = 0;
            for (uint32_t i = first; i < length; i += step, at += step * along)
                e->line[count++] = *at;
            look_along(e, e->line, count);
            for (uint32_t i = 0; i < count / 2; i++) {
                const float v = e->line[i];
                e->line[i] = e->line[count - 1 - i];
                e->line[count - 1 - i] = v;
            }
            look_along(e, e->line, count);
        }
    }
}

bool calcium_edges_init(struct calcium_edges *e, const uint32_t dim[2], const double spacing[2],
                        uint32_t slices, struct arena *arena)
{
    const uint32_t longest = dim[0] > dim[1] ? dim[0] : dim[1];
    *e = (struct calcium_edges){.dim = {dim[0], dim[1]}, .spacing = {spacing[0], spacing[1]}};
    e->slice_most = CALCIUM_EDGES_MOST / (slices > 0 ? slices : 1);
    e->list = arena_alloc(arena, CALCIUM_EDGES_MOST, sizeof *e->list);
    e->found = arena_alloc(arena, FOUND_MOST, sizeof *e->found);
    e->line = arena_alloc(arena, longest, sizeof *e->line);
    e->sorted = arena_alloc(arena, CALCIUM_EDGES_MOST, sizeof *e->sorted);
    return e->list && e->found && e->line && e->sorted;
}

void calcium_edges_add(struct calcium_edges *e, const float *slice)
{
    e->found_count = 0;
    look_along_axis(e, slice, 0);
    look_along_axis(e, slice, 1);
    const uint32_t room = CALCIUM_EDGES_MOST - e->count;
    uint32_t kept = e->found_count < e->slice_most ? e->found_count : e->slice_most;
    kept = kept < room ? kept : room;
    for (uint32_t n = 0; n < kept; n++) // evenly over the slice
        e->list[e->count++] = e->found[(uint64_t)n * e->found_count / kept];
}

// The value of a member that a part of the edges does not exceed; member: offset in an edge.
static double quantile(const struct calcium_edges *e, uint32_t first, size_t member, double part)
{
    const uint32_t count = e->count - first;
    for (uint32_t i = 0; i < count; i++)
        memcpy(&e->sorted[i], (const char *)&e->list[first + i] + member, sizeof *e->sorted);
    qsort(e->sorted, count, sizeof *e->sorted, by_float);
    return e->sorted[(uint32_t)(part * (count - 1) + 0.5)];
}

void calcium_edges_measure(struct calcium_edges *e, struct calcium_overshoot *out)
{
    const size_t over = offsetof(struct calcium_edge, over);
    const size_t plateau = offsetof(struct calcium_edge, plateau);
    *out = (struct calcium_overshoot){.edges = e->count, .hu = NAN, .sd_hu = NAN, .ratio = NAN};
    if (e->count < FEWEST)
        return;
    qsort(e->list, e->count, sizeof *e->list, by_steepness);
    const uint32_t steep = e->count - e->count / 4;
    out->sd_hu = quantile(e, 0, offsetof(struct calcium_edge, sd), 0.5);
    out->ratio = quantile(e, 0, over, 0.9) / fmax(out->sd_hu, 1);
    if (out->sd_hu <= sd_most_hu)
        out->hu = quantile(e, steep, over, 0.75) - quantile(e, steep, plateau, 0.75);
}

enum calcium_sharpness calcium_overshoot_judge(const struct calcium_overshoot *o)
{
    if (isnan(o->hu))
        return CALCIUM_EDGES_UNKNOWN;
    return o->hu > CALCIUM_OVERSHOOT_LIMIT_HU    ? CALCIUM_EDGES_ENHANCED
           : o->hu > CALCIUM_OVERSHOOT_RAISED_HU ? CALCIUM_EDGES_RAISED
                                                 : CALCIUM_EDGES_SOFT;
}
