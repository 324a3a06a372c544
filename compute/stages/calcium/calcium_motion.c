#include "compute/stages/calcium/calcium_motion.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const float lung_hu = -650; // what is darker is lung
// Before a border, in the mean: neither padding nor the air around the patient.
static const float lung_low_hu = -960;
static const double lung_mm = 5;                           // of it before a border
static const double rise_mm = 12;                          // in which a border ends
static const double plateau_mm = 4, deep_mm = 8;           // behind its middle: the plateau
static const float soft_low_hu = -160, soft_high_hu = 120; // all of the plateau
static const float step_least_hu = 500;
#define FEWEST 60 // borders

static int by_width(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

// Where a line passes a value between two pixels, in pixels.
static double passes_at(const float *line, uint32_t i, float hu)
{
    return i + (double)(hu - line[i]) / (line[i + 1] - line[i]);
}

static float mean_along(const float *v, uint32_t count)
{
    double sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += v[i];
    return (float)(sum / count);
}

// The border behind pixel last, of lung. Its width, NAN: it is none that could be measured.
static double border_width(const float *line, const uint8_t *part, uint32_t last, uint32_t count,
                           double mm, uint8_t *behind)
{
    const uint32_t lung = (uint32_t)ceil(lung_mm / mm), rise = (uint32_t)ceil(rise_mm / mm);
    const uint32_t from = (uint32_t)ceil(plateau_mm / mm), to = (uint32_t)ceil(deep_mm / mm);
    uint32_t end = last + 1;
    while (end < count && end <= last + rise && line[end] < soft_low_hu)
        end++; // the first of soft tissue
    if (end > last + rise || end + to >= count)
        return NAN;
    const float *plateau = line + end + from;
    for (uint32_t i = 0; i < to - from; i++) {
        if (plateau[i] < soft_low_hu || plateau[i] > soft_high_hu)
            return NAN;
    }
    const float low = mean_along(line + last + 1 - lung, lung),
                high = mean_along(plateau, to - from);
    if (low < lung_low_hu || high - low < step_least_hu)
        return NAN;
    const float quarter = low + (high - low) / 4, three = high - (high - low) / 4;
    uint32_t first = last + 1 - lung, after = end + from;
    while (first < end && line[first + 1] <= quarter)
        first++;
    while (after > first && line[after - 1] >= three)
        after--;
    if (!(line[first] <= quarter && line[first + 1] > quarter && line[after - 1] < three &&
          line[after] >= three))
        return NAN;
    *behind = part[end + from];
    return (passes_at(line, after - 1, three) - passes_at(line, first, quarter)) * mm;
}

static void motion_along(struct calcium_motion_sums *s, int axis, uint32_t count)
{
    const uint32_t lung = (uint32_t)ceil(lung_mm / s->spacing[axis]);
    uint32_t run = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (s->line[i] < lung_hu) {
            run++;
            continue;
        }
        uint8_t behind = CALCIUM_MOTION_NEITHER;
        const double width =
            run >= lung ? border_width(s->line, s->part, i - 1, count, s->spacing[axis], &behind)
                        : NAN;
        struct calcium_motion_borders *b = behind == CALCIUM_MOTION_HEART  ? &s->heart[axis]
                                           : behind == CALCIUM_MOTION_WALL ? &s->wall[axis]
                                                                           : NULL;
        if (b && width >= 0 && b->count < CALCIUM_MOTION_MOST)
            b->width[b->count++] = (float)width;
        run = 0;
    }
}

bool calcium_motion_init(struct calcium_motion_sums *s, const uint32_t dim[2],
                         const double spacing[2], struct arena *arena)
{
    const uint32_t longest = dim[0] > dim[1] ? dim[0] : dim[1];
    *s = (struct calcium_motion_sums){.dim = {dim[0], dim[1]}, .spacing = {spacing[0], spacing[1]}};
    s->line = arena_alloc(arena, longest, sizeof *s->line);
    s->part = arena_alloc(arena, longest, sizeof *s->part);
    s->both = arena_alloc(arena, 2 * CALCIUM_MOTION_MOST, sizeof *s->both);
    bool ok = s->line && s->part && s->both;
    for (int axis = 0; axis < 2; axis++) {
        s->heart[axis].width = arena_alloc(arena, CALCIUM_MOTION_MOST, sizeof(float));
        s->wall[axis].width = arena_alloc(arena, CALCIUM_MOTION_MOST, sizeof(float));
        ok = ok && s->heart[axis].width && s->wall[axis].width;
    }
    return ok;
}

void calcium_motion_add(struct calcium_motion_sums *s, const float *slice, const uint8_t *part)
{
    for (int axis = 0; axis < 2; axis++) {
        const uint32_t length = s->dim[axis], lines = s->dim[1 - axis];
        const size_t along = axis == 0 ? 1 : s->dim[0], across = axis == 0 ? s->dim[0] : 1;
        for (uint32_t n = 0; n < 2 * lines; n++) {
            const size_t first = n / 2 * across;
            for (uint32_t i = 0; i < length; i++) {
                const size_t at = first + (n % 2 ? length - 1 - i : i) * along;
                s->line[i] = slice[at];
                s->part[i] = part[at];
            }
            motion_along(s, axis, length);
        }
    }
}

// Of widths in order the one that a part does not exceed.
static double border_share(float *width, uint32_t count, double part)
{
    if (count < FEWEST)
        return NAN;
    qsort(width, count, sizeof *width, by_width);
    return width[(uint32_t)(part * (count - 1))];
}

void calcium_motion_measure(struct calcium_motion_sums *s, struct calcium_motion *out)
{
    *out = (struct calcium_motion){.heart_mm = NAN, .rest_mm = NAN, .spread = NAN};
    for (int axis = 0; axis < 2; axis++) { // NAN is no number: the other one counts
        struct calcium_motion_borders *heart = &s->heart[axis], *wall = &s->wall[axis];
        memcpy(s->both + out->borders, heart->width, heart->count * sizeof *s->both);
        out->borders += heart->count;
        const double sharp = border_share(heart->width, heart->count, 0.25);
        out->rest_mm = fmin(out->rest_mm, sharp);
        out->rest_mm = fmin(out->rest_mm, border_share(wall->width, wall->count, 0.25));
        out->spread = fmax(out->spread, border_share(heart->width, heart->count, 0.5) / sharp);
    }
    out->heart_mm = border_share(s->both, out->borders, 0.5);
}

double calcium_motion_ratio(const struct calcium_motion *m)
{
    return sqrt(m->heart_mm / m->rest_mm * m->spread);
}

enum calcium_moved calcium_motion_judge(const struct calcium_motion *m)
{
    const double ratio = calcium_motion_ratio(m);
    return ratio > CALCIUM_MOTION_LIMIT    ? CALCIUM_MOVED
           : ratio > CALCIUM_MOTION_RAISED ? CALCIUM_MAY_HAVE_MOVED
                                           : CALCIUM_RESTED;
}
