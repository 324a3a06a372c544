#include "compute/stages/cardiac/cardiac_ventricle.h"
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "base/parallel.h"
#include "compute/stages/cardiac/cardiac_ends.h"
#include "compute/stages/cardiac/cardiac_slope.h"

static const double good_score = 0.5;   // of the best slice: its ring can be relied on
static const double score_least = 0.12; // of two phases together; a good ring has 0.35 to 0.5
static const double ratio_most = 0.8;   // muscle by blood

static const size_t wall_threads = 2; // the cores of the smallest machine

#define RATIO_SLICES 3

// ---- Radii and signal ---------------------------------------------------------------------------

static double best_score(const struct cardiac_centre *centres, uint32_t slices)
{
    double best = 0;
    for (uint32_t k = 0; k < slices; k++)
        best = fmax(best, centres[k].score);
    return best;
}

// The ring of a slice, or of the nearest one whose ring can be relied on.
static const struct cardiac_centre *ring_of_slice(const struct cardiac_centre *centres,
                                                  uint32_t slices, uint32_t k, double least)
{
    for (uint32_t far = 0; far < slices; far++) {
        if (k >= far && centres[k - far].score >= least && centres[k - far].radius[0] > 0 &&
            centres[k - far].radius[1] > 0)
            return &centres[k - far];
        if (k + far < slices && centres[k + far].score >= least && centres[k + far].radius[0] > 0 &&
            centres[k + far].radius[1] > 0)
            return &centres[k + far];
    }
    return &centres[k];
}

static int by_double(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Muscle by blood: the median over the slices whose ring is good, of the phases around the two that
// rings were searched in.
static bool signal_ratio(const struct cardiac_cine *c, const struct cardiac_centre *centres,
                         double least, double *ratio)
{
    double *ratios = malloc(c->slices * sizeof *ratios);
    double *radius = malloc(c->points * sizeof *radius);
    uint32_t count = 0;
    bool ok = ratios && radius;
    for (uint32_t k = 0; ok && k < c->slices; k++) {
        struct cardiac_polar p;
        double blood, muscle;
        if (centres[k].score < least || !(centres[k].radius[0] > 0))
            continue;
        for (uint32_t n = 0; n < c->phases[k]; n++) {
            const double at = (double)n / c->phases[k];
            radius[n] = at < 0.1 || at > 0.9     ? centres[k].radius[0]
                        : at > 0.25 && at < 0.45 ? centres[k].radius[1]
                                                 : NAN;
        }
        ok = cardiac_polar_sample(c, k, centres[k].at, &p) &&
             cardiac_polar_levels(&p, radius, &blood, &muscle);
        cardiac_polar_finish(&p);
        if (ok && blood > 0)
            ratios[count++] = muscle / blood;
    }
    if (count > 0) {
        qsort(ratios, count, sizeof *ratios, by_double);
        *ratio = ratios[count / 2];
    }
    free(radius);
    free(ratios);
    return ok;
}

static bool find_part(const struct cardiac_cine *c, const struct cardiac_centre *centres,
                      double least, uint32_t k, double ratio, struct cardiac_part *part)
{
    const struct cardiac_centre *ring = ring_of_slice(centres, c->slices, k, least);
    const double guess[2] = {fmin(ring->radius[0], ring->radius[1]),
                             fmax(ring->radius[0], ring->radius[1])};
    part->s.centre[0] = centres[k].at[0];
    part->s.centre[1] = centres[k].at[1];
    return cardiac_walls_find(c, k, guess, ratio, &part->s);
}

// The same from the walls of a slice, over its phases.
static bool wall_ratio(const struct cardiac_cine *c, uint32_t k, const struct cardiac_part *part,
                       double *ratio)
{
    struct cardiac_polar p;
    double *ratios = malloc(part->phases * sizeof *ratios);
    bool ok = ratios && cardiac_polar_sample(c, k, part->s.centre, &p);
    for (uint32_t phase = 0; ok && phase < part->phases; phase++) {
        const struct cardiac_wall *wall = &part->s.walls[phase];
        double blood, muscle;
        ok = cardiac_polar_wall_levels(&p, phase, wall->endo, wall->epi, &blood, &muscle);
        ratios[phase] = ok && blood > 0 ? muscle / blood : 1;
    }
    if (ok) {
        qsort(ratios, part->phases, sizeof *ratios, by_double);
        *ratio = ratios[part->phases / 2];
        cardiac_polar_finish(&p);
    }
    free(ratios);
    return ok;
}

// The ratio again, by the walls of the slices in the middle third of the stack that have the best
// rings: what lies around a ring may be lung or fat, what lies in a wall is muscle.
static bool refine_ratio(const struct cardiac_cine *c, const struct cardiac_centre *centres,
                         double least, struct cardiac_ventricle *v)
{
    const uint32_t first = c->slices / 3, last = c->slices - 1 - c->slices / 3;
    double ratios[RATIO_SLICES];
    uint32_t count = 0;
    bool ok = true;
    for (uint32_t n = 0; ok && n < RATIO_SLICES && first + n <= last; n++) {
        const uint32_t k = first + (last - first) * n / (RATIO_SLICES - 1);
        if (centres[k].score < least || !(centres[k].radius[0] > 0))
            continue;
        ok = find_part(c, centres, least, k, v->ratio, &v->part[k]) &&
             wall_ratio(c, k, &v->part[k], &ratios[count]);
        count += ok;
    }
    if (ok && count > 0) {
        qsort(ratios, count, sizeof *ratios, by_double);
        v->ratio = ratios[count / 2];
    }
    return ok;
}

// ---- All of it ----------------------------------------------------------------------------------

uint32_t cardiac_phase_of(const struct cardiac_part *part, uint32_t points, uint32_t point)
{
    const uint32_t phase = (uint32_t)((double)point * part->phases / points + 0.5);
    return phase < part->phases ? phase : 0;
}

const struct cardiac_wall *cardiac_wall_at(const struct cardiac_ventricle *v, uint32_t slice,
                                           uint32_t point)
{
    const struct cardiac_part *part = &v->part[slice];
    return &part->s.walls[cardiac_phase_of(part, v->points, point)];
}

static void judge_part(struct cardiac_part *part)
{
    for (uint32_t p = 0; p < part->phases; p++) {
        part->quality += part->s.walls[p].edge / part->phases;
        part->closed += part->s.walls[p].closed / part->phases;
        part->thick_mm += part->s.walls[p].thick_mm / part->phases;
    }
}

static bool alloc_ventricle(const struct cardiac_cine *c, struct arena *arena,
                            struct cardiac_ventricle *out)
{
    out->slices = c->slices;
    out->points = c->points;
    out->gap_mm = c->gap_mm;
    out->pixel_mm = fmax(c->mm[0], c->mm[1]);
    out->part = arena_alloc(arena, c->slices, sizeof *out->part);
    out->ml = arena_alloc(arena, c->points, sizeof *out->ml);
    out->low = arena_alloc(arena, c->points, sizeof *out->low);
    out->high = arena_alloc(arena, c->points, sizeof *out->high);
    out->beyond_mm2 = arena_alloc(arena, c->points, sizeof *out->beyond_mm2);
    bool ok = out->part && out->ml && out->low && out->high && out->beyond_mm2;
    for (uint32_t k = 0; ok && k < c->slices; k++) {
        struct cardiac_part *part = &out->part[k];
        part->phases = c->phases[k];
        part->s.walls = arena_alloc(arena, part->phases, sizeof *part->s.walls);
        part->weight = arena_alloc(arena, c->points, sizeof *part->weight);
        part->least = arena_alloc(arena, c->points, sizeof *part->least);
        part->most = arena_alloc(arena, c->points, sizeof *part->most);
        part->vague = arena_alloc(arena, c->points, sizeof *part->vague);
        part->borrowed = arena_alloc(arena, c->points, sizeof *part->borrowed);
        ok = part->s.walls && part->weight && part->least && part->most && part->vague &&
             part->borrowed;
    }
    return ok;
}

// What threads share that find the walls of slices: a slice hears nothing of the others.
struct walls_job {
    const struct cardiac_cine *c;
    const struct cardiac_centre *centres;
    double least;
    struct cardiac_ventricle *v;
    atomic_bool failed; // no memory
};

static void find_walls_of(void *ctx, size_t first, size_t count)
{
    struct walls_job *j = ctx;
    for (size_t k = first; k < first + count && !atomic_load(&j->failed); k++) {
        struct cardiac_part *part = &j->v->part[k];
        if (find_part(j->c, j->centres, j->least, (uint32_t)k, j->v->ratio, part))
            judge_part(part);
        else
            atomic_store(&j->failed, true);
    }
}

static bool find_walls(const struct cardiac_cine *c, const struct cardiac_centre *centres,
                       double least, struct cardiac_ventricle *v)
{
    struct walls_job j = {.c = c, .centres = centres, .least = least, .v = v};
    parallel_for(c->slices, wall_threads, find_walls_of, &j);
    return !atomic_load(&j.failed);
}

bool cardiac_ventricle_find(const struct cardiac_cine *c, const struct cardiac_centre *centres,
                            bool base_first, struct arena *arena, struct cardiac_ventricle *out,
                            const char **why)
{
    *out = (struct cardiac_ventricle){0};
    *why = NULL;
    const double best = best_score(centres, c->slices), least = good_score * best;
    if (best < score_least) {
        *why = "no ring of muscle around blood that moves with the beat";
        return true;
    }
    if (!alloc_ventricle(c, arena, out) || !signal_ratio(c, centres, least, &out->ratio) ||
        !refine_ratio(c, centres, least, out))
        return false;
    if (out->ratio <= 0 || out->ratio > ratio_most) {
        *why = "no contrast between blood and muscle";
        return true;
    }
    if (!find_walls(c, centres, least, out))
        return false;
    if (!cardiac_ends_find(out, c, centres, base_first) || !cardiac_slope_correct(c, out))
        return false;
    cardiac_ends_sum(out);
    return true;
}
