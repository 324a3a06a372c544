#include "compute/stages/perfusion/perfusion_axis.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NO_POINT UINT32_MAX

static const double even_share = 0.02; // of a step: intervals that differ less are even

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double time_of(const struct perfusion_times *t, uint32_t slice, uint32_t point)
{
    return t->s[(size_t)point * t->slices + slice];
}

static bool used(const struct perfusion_times *t, uint32_t slice, uint32_t point)
{
    return t->use[(size_t)point * t->slices + slice] != 0;
}

// Intervals of a slice into gaps, its first and last time. False: they do not rise.
static bool gather_gaps(const struct perfusion_times *times, uint32_t slice, double *gaps,
                        uint32_t *count, double ends[2])
{
    double last = NAN;
    *count = 0;
    for (uint32_t p = 0; p < times->points; p++) {
        if (!used(times, slice, p))
            continue;
        const double t = time_of(times, slice, p);
        if (isnan(t) || t <= last)
            return false;
        if (isnan(last))
            ends[0] = t;
        else
            gaps[(*count)++] = t - last;
        ends[1] = last = t;
    }
    return *count > 0;
}

static void place_steps(const struct perfusion_times *times, uint32_t slice,
                        const struct perfusion_axis *axis, float *at)
{
    uint32_t before = NO_POINT, after = NO_POINT, next = 0;
    for (uint32_t n = 0; n < axis->steps; n++, at += 4) {
        const double t = axis->start_s + n * axis->step_s;
        while (after == NO_POINT || time_of(times, slice, after) < t) {
            while (next < times->points && !used(times, slice, next))
                next++;
            if (next == times->points)
                break;
            before = after == NO_POINT ? next : after;
            after = next++;
        }
        const double a = time_of(times, slice, before), b = time_of(times, slice, after);
        const double weight = b > a ? fmin(fmax((t - a) / (b - a), 0), 1) : 0;
        // Next to an image it is that image: sums of seconds are not exact.
        const double snapped = weight < even_share ? 0 : weight > 1 - even_share ? 1 : weight;
        at[0] = (float)before;
        at[1] = (float)after;
        at[2] = (float)snapped;
        at[3] = 0;
    }
}

bool perfusion_axis_make(const struct perfusion_times *times, struct arena *arena,
                         struct perfusion_axis *out, const char **why)
{
    const uint32_t slices = times->slices;
    double *gaps = arena_alloc(arena, (size_t)times->points * slices, sizeof *gaps);
    double start = -INFINITY, end = INFINITY;
    uint32_t total = 0;
    *out = (struct perfusion_axis){0};
    *why = NULL;
    if (!gaps)
        return false;
    for (uint32_t k = 0; k < slices; k++) {
        uint32_t count = 0;
        double ends[2] = {0, 0};
        if (!gather_gaps(times, k, gaps + total, &count, ends)) {
            *why =
                arena_printf(arena, "the times of slice %u are not stated or do not rise", k + 1);
            return false;
        }
        total += count;
        start = fmax(start, ends[0]);
        end = fmin(end, ends[1]);
    }
    qsort(gaps, total, sizeof *gaps, rising);
    out->interval_s = out->step_s = gaps[total / 2];
    out->widest_s = gaps[total - 1];
    out->uneven = fmax(out->step_s - gaps[0], gaps[total - 1] - out->step_s) / out->step_s;
    out->start_s = start;
    if (end - start < out->step_s) {
        *why = "the slices have no time in common";
        return false;
    }
    out->paired = out->step_s < PERFUSION_PAIR_S;
    if (out->paired) {
        out->start_s = start += out->step_s / 2;
        end -= out->step_s / 2;
        out->step_s *= 2;
    }
    out->halved = out->step_s > PERFUSION_HALF_S;
    if (out->halved)
        out->step_s /= 2;
    if ((end - start) / out->step_s > PERFUSION_STEPS_MAX - 1)
        out->step_s = (end - start) / (PERFUSION_STEPS_MAX - 1);
    out->steps = (uint32_t)((end - start) / out->step_s + even_share) + 1;
    float *at = arena_alloc(arena, (size_t)slices * out->steps * 4, sizeof *at);
    if (!at)
        return false;
    out->at = at;
    for (uint32_t k = 0; k < slices; k++)
        place_steps(times, k, out, at + (size_t)k * out->steps * 4);
    return true;
}

uint32_t perfusion_baseline(const double *mean, uint32_t count, double share, double least,
                            double *rise)
{
    uint32_t top = 0;
    double base = 0;
    *rise = 0;
    if (count < 4)
        return 0;
    for (uint32_t n = 0; n < count; n++)
        top = mean[n] > mean[top] ? n : top;
    for (uint32_t n = 0; n < 3; n++)
        base += mean[n] / 3;
    *rise = mean[top] - base;
    uint32_t arrival = top;
    while (arrival > 0 && mean[arrival - 1] > base + fmax(share * *rise, least))
        arrival--;
    return arrival > 1 ? arrival - 1 : 0;
}
