#include "compute/stages/cardiac/cardiac_rim.h"
#include <math.h>

static const double reach_mm = 3.2;         // the contour of a slice in that beside it
static const int near_steps = 1, steps = 3; // signal is taken from 0.7 to 2.8 mm from an edge
static const double rim_half = 0.5;         // of the contrast

// Of three directions: single ones are noise.
static double rim_mean(const float *q, uint32_t way, int first)
{
    double sum = 0;
    for (uint32_t d = 0; d < 3; d++) {
        const float *at = q + (size_t)((way + d + CARDIAC_WAYS - 1) % CARDIAC_WAYS) * CARDIAC_RADII;
        for (int n = first; n < first + steps; n++)
            sum += (double)at[n < 0 ? 0 : n < CARDIAC_RADII ? n : CARDIAC_RADII - 1];
    }
    return sum / (3 * steps);
}

// The most contrast within reach of a contour. q: the profiles of a phase, levels
static double rim_step(const float *q, uint32_t way, double mm)
{
    const int reach = (int)(reach_mm / CARDIAC_STEP_MM), at = (int)(mm / CARDIAC_STEP_MM + 0.5);
    double best = 0;
    for (int n = at - reach; n <= at + reach; n++)
        best =
            fmax(best, rim_mean(q, way, n - near_steps - steps) - rim_mean(q, way, n + near_steps));
    return best;
}

static double rim_left(const struct cardiac_polar *own, uint32_t phase,
                       const struct cardiac_polar *other, uint32_t other_phase, const float *endo)
{
    const float *a = own->q + (size_t)phase * CARDIAC_WAYS * CARDIAC_RADII;
    const float *b = other->q + (size_t)other_phase * CARDIAC_WAYS * CARDIAC_RADII;
    uint32_t count = 0;
    for (uint32_t w = 0; w < CARDIAC_WAYS; w++) {
        const double whole = rim_step(b, w, (double)endo[w]);
        count += whole > 0 && rim_step(a, w, (double)endo[w]) > rim_half * whole;
    }
    return (double)count / CARDIAC_WAYS;
}

bool cardiac_rim_find(const struct cardiac_cine *c, const struct cardiac_ventricle *v,
                      uint32_t slice, uint32_t next, double *out)
{
    const struct cardiac_part *part = &v->part[slice], *beside = &v->part[next];
    struct cardiac_polar there = {0}, own[2] = {{0}, {0}};
    const bool ok = cardiac_polar_sample(c, next, beside->s.centre, &there) &&
                    cardiac_polar_sample(c, slice, beside->s.centre, &own[0]) &&
                    cardiac_polar_sample(c, slice, part->s.centre, &own[1]);
    for (uint32_t point = 0; ok && point < v->points; point++) {
        const uint32_t phase = cardiac_phase_of(part, v->points, point);
        const uint32_t other = cardiac_phase_of(beside, v->points, point);
        const float *endo = beside->s.walls[other].endo;
        out[point] = fmax(rim_left(&own[0], phase, &there, other, endo),
                          rim_left(&own[1], phase, &there, other, endo));
    }
    cardiac_polar_finish(&own[1]);
    cardiac_polar_finish(&own[0]);
    cardiac_polar_finish(&there);
    return ok;
}

double cardiac_rim_blood(const struct cardiac_cine *c, const struct cardiac_ventricle *v,
                         uint32_t slice, uint32_t other, uint32_t point, double radius_mm)
{
    const struct cardiac_slice *s = &v->part[slice].s;
    const uint32_t phase = cardiac_phase_of(&v->part[other], v->points, point);
    const uint16_t *frame = cardiac_cine_frame(c, other, phase);
    double sum = 0, count = 0;
    for (uint32_t j = 0; j < c->rows; j++) {
        for (uint32_t i = 0; i < c->columns; i++) {
            const double x = (i - s->centre[0]) * c->mm[0], y = (j - s->centre[1]) * c->mm[1];
            if (hypot(x, y) > radius_mm)
                continue;
            sum += frame[(size_t)j * c->columns + i];
            count++;
        }
    }
    if (!(count > 0) || !(s->blood > s->muscle))
        return 1;
    return fmin(fmax((sum / count - s->muscle) / (s->blood - s->muscle), 0), 1);
}
