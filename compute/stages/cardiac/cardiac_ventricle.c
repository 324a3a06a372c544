#include "compute/stages/cardiac/cardiac_ventricle.h"
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "base/parallel.h"

static const double good_score = 0.5; // of the best slice: its ring can be relied on
static const double closed_sure = 0.65, closed_half = 0.5, closed_least = 0.3;
static const double slope_part = 0.15;                     // of W
static const double thick_half = 0.55, thick_least = 0.25; // of the middle
static const double pool_passed = 1.12, pool_near = 1.06;  // of what the next slice shrinks to
static const double muscle_passed = 0.7, muscle_near = 0.85;
static const double atrium_mm = 2.6;    // thinner walls are those of an atrium: 2 to 3 mm
static const double base_shrink = 0.55; // pool by that of the slice before, towards the base
static const double thick_most = 1.8, apex_growth = 1.15;
static const double apex_mm2 = 40;        // a pool of 3.5 mm: no pool that could be told from blur
static const double quality_least = 0.25; // of the contrast between blood and muscle
static const double pool_jump = 1.6;      // times the larger of the pools beside it, or less
static const double score_least = 0.12;   // of two phases together; a good ring has 0.35 to 0.5
static const double ratio_most = 0.8;     // muscle by blood

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

// ---- Which slices -------------------------------------------------------------------------------

uint32_t cardiac_phase_of(const struct cardiac_part *part, uint32_t points, uint32_t point)
{
    const uint32_t phase = (uint32_t)((double)point * part->phases / points + 0.5);
    return phase < part->phases ? phase : 0;
}

static const struct cardiac_wall *wall_at(const struct cardiac_ventricle *v, uint32_t slice,
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

// How much a slice is of the ventricle around a point of the curve: the part of the directions that
// are closed, and the thickness of the wall by that in the middle.
struct likeness {
    double closed, thick;
};

static struct likeness likeness_at(const struct cardiac_ventricle *v, uint32_t slice,
                                   uint32_t point)
{
    struct likeness like = {0, 0};
    double thick = 0, middle = 0;
    for (uint32_t n = 0; n < 3; n++) {
        const uint32_t at = (point + n + v->points - 1) % v->points;
        like.closed += wall_at(v, slice, at)->closed / 3;
        thick += wall_at(v, slice, at)->thick_mm;
        middle += wall_at(v, v->middle, at)->thick_mm;
    }
    like.thick = thick / middle;
    return like;
}

enum passed { VALVE_ABOVE, VALVE_NEAR, VALVE_BELOW };

// Mean of an area over three points.
static double area_around(const struct cardiac_ventricle *v, uint32_t slice, uint32_t point,
                          bool muscle)
{
    double sum = 0;
    for (uint32_t n = 0; n < 3; n++) {
        const struct cardiac_wall *wall =
            wall_at(v, slice, (point + n + v->points - 1) % v->points);
        sum += (muscle ? wall->muscle_mm2 : wall->pool_mm2) / 3;
    }
    return fmax(sum, 1);
}

// Whether the valve has moved past a slice since end diastole, by the slice next to it towards the
// apex: then the pool is that of the atrium and has not shrunk like that one's, and muscle is gone.
static enum passed valve_at(const struct cardiac_ventricle *v, uint32_t slice, uint32_t next,
                            uint32_t point)
{
    const double pool = area_around(v, slice, point, false) / area_around(v, slice, v->ed, false) /
                        (area_around(v, next, point, false) / area_around(v, next, v->ed, false));
    const double muscle = area_around(v, slice, point, true) / area_around(v, slice, v->ed, true) /
                          (area_around(v, next, point, true) / area_around(v, next, v->ed, true));
    const double closed = likeness_at(v, slice, point).closed;
    if (closed < closed_half || pool > pool_passed || muscle < muscle_passed)
        return VALVE_BELOW;
    return closed < closed_sure || pool > pool_near || muscle < muscle_near ? VALVE_NEAR
                                                                            : VALVE_ABOVE;
}

// The valve moves towards the apex in systole, past one slice or two: a slice between the middle
// and the base is of the ventricle while those nearer to the middle are.
static enum passed valve_of(const struct cardiac_ventricle *v, uint32_t slice, uint32_t point)
{
    const int way = v->basal <= v->middle ? -1 : 1;
    enum passed worst = VALVE_ABOVE;
    for (int64_t k = (int64_t)v->middle + way; way * ((int64_t)slice - k) >= 0; k += way) {
        const enum passed at = valve_at(v, (uint32_t)k, (uint32_t)(k - way), point);
        worst = at > worst ? at : worst;
    }
    return worst;
}

bool cardiac_counts(const struct cardiac_ventricle *v, uint32_t slice, uint32_t point)
{
    return slice >= v->base && slice <= v->apex && v->part[slice].fate != CARDIAC_POOR &&
           valve_of(v, slice, point) != VALVE_BELOW;
}

// The pool or the muscle of a slice; of a poor one the mean of the next good ones to both sides.
static double area_of(const struct cardiac_ventricle *v, uint32_t slice, uint32_t point,
                      bool muscle)
{
    double sum = 0, count = 0;
    for (int way = -1; way <= 1; way += 2) {
        for (int64_t k = slice; k >= v->base && k <= v->apex; k += way) {
            if (v->part[k].fate == CARDIAC_POOR)
                continue;
            const struct cardiac_wall *wall = wall_at(v, (uint32_t)k, point);
            sum += muscle ? wall->muscle_mm2 : wall->pool_mm2;
            count++;
            break;
        }
    }
    return count > 0 ? sum / count : 0;
}

static void sum_point(const struct cardiac_ventricle *v, uint32_t point, bool muscle, double *mid,
                      double *low, double *high)
{
    *mid = *low = *high = 0;
    for (uint32_t k = 0; k < v->slices; k++) {
        const struct cardiac_part *part = &v->part[k];
        const bool inside = k >= v->base && k <= v->apex;
        if (!inside && !part->possible)
            continue;
        const double ml = (inside ? area_of(v, k, point, muscle)
                                  : (muscle ? wall_at(v, k, point)->muscle_mm2
                                            : wall_at(v, k, point)->pool_mm2)) *
                          v->gap_mm / 1000;
        const bool counts = cardiac_counts(v, k, point) || (inside && part->fate == CARDIAC_POOR);
        const enum passed valve = valve_of(v, k, point);
        *mid += counts ? ml : 0;
        *low += counts && part->sure && valve == VALVE_ABOVE ? ml : 0;
        const bool possible =
            inside ? valve != VALVE_BELOW : likeness_at(v, k, point).closed >= closed_least;
        *high += counts || possible ? ml : 0;
    }
}

// ---- The ends -----------------------------------------------------------------------------------

enum end_doubt { END_INSIDE, END_DOUBTFUL, END_OUTSIDE };

// Where a slice stands at the base, at end diastole: of the outflow tract or the atrium the walls
// are thin, and more blood is seen in systole than in diastole.
static enum end_doubt base_doubt(const struct cardiac_ventricle *v, uint32_t slice, uint32_t before)
{
    const struct likeness like = likeness_at(v, slice, v->ed);
    const double swing = v->part[slice].swing;
    const double pool = wall_at(v, slice, v->ed)->pool_mm2 / wall_at(v, before, v->ed)->pool_mm2;
    if (like.closed < closed_least || like.thick < thick_least || pool < base_shrink ||
        swing > 1.25 || wall_at(v, slice, v->ed)->thick_mm < atrium_mm)
        return END_OUTSIDE;
    if (like.closed < closed_half || like.thick < thick_half || swing > 1)
        return END_DOUBTFUL;
    return END_INSIDE;
}

// At the apex: the pool ends, or what is taken for it is larger than in the slice before, or has
// another wall.
static enum end_doubt apex_doubt(const struct cardiac_ventricle *v, uint32_t slice, uint32_t before)
{
    const struct cardiac_part *part = &v->part[slice];
    const double pool = wall_at(v, slice, v->ed)->pool_mm2;
    const double thick = part->thick_mm / v->part[v->middle].thick_mm;
    if (pool < apex_mm2 || pool > apex_growth * wall_at(v, before, v->ed)->pool_mm2 ||
        part->closed < closed_least || part->quality < quality_least || part->swing > 2.5 ||
        thick < 0.37 || thick > thick_most)
        return END_OUTSIDE;
    if (part->swing > 1.3 || part->closed < closed_half || thick < thick_half)
        return END_DOUBTFUL;
    return END_INSIDE;
}

// From the middle to one end: the last slice of the ventricle. Doubtful ones behind the last that
// is inside are not counted at the base, where they are large, and counted at the apex, where they
// are small; both are a range.
static uint32_t walk_to_end(struct cardiac_ventricle *v, uint32_t from, int way, bool base)
{
    uint32_t inside = from, last = from;
    for (int64_t k = (int64_t)from + way; k >= 0 && k < v->slices; k += way) {
        struct cardiac_part *part = &v->part[k];
        const enum end_doubt doubt =
            base ? base_doubt(v, (uint32_t)k, last) : apex_doubt(v, (uint32_t)k, last);
        if (doubt == END_OUTSIDE)
            break;
        part->possible = true;
        last = (uint32_t)k;
        inside = doubt == END_INSIDE ? last : inside;
    }
    for (int64_t k = from; k >= 0 && k < v->slices; k += way) {
        struct cardiac_part *part = &v->part[k];
        part->sure = way * (k - (int64_t)inside) <= 0;
        if (part->sure || (!base && way * (k - (int64_t)last) <= 0))
            continue;
        part->fate = base ? CARDIAC_BEYOND_BASE : CARDIAC_BEYOND_APEX;
        part->why = part->possible ? "base in doubt: counted in the upper bound only"
                    : base         ? "atrium or outflow tract"
                                   : "below the pool of the ventricle";
    }
    return base ? inside : last;
}

// The middle of the ventricle: where most of the wall is closed, over three slices.
static uint32_t middle_of(const struct cardiac_ventricle *v, const struct cardiac_centre *centres)
{
    uint32_t middle = v->slices / 2;
    double best = -1;
    for (uint32_t k = 1; k + 1 < v->slices; k++) {
        double sum = 0;
        for (uint32_t n = k - 1; n <= k + 1; n++)
            sum += v->part[n].closed * fmin(v->part[n].thick_mm, 8) * centres[n].score *
                   (1.5 - fmin(v->part[n].swing, 1.5));
        if (sum > best) {
            best = sum;
            middle = k;
        }
    }
    return middle;
}

// Extremes of the sum over some slices.
static void find_extremes(struct cardiac_ventricle *v, uint32_t from, uint32_t to)
{
    double most = -1, least = INFINITY;
    for (uint32_t point = 0; point < v->points; point++) {
        double sum = 0;
        for (uint32_t k = from; k <= to; k++)
            sum += wall_at(v, k, point)->pool_mm2;
        if (sum > most) {
            most = sum;
            v->ed = point;
        }
        if (sum < least) {
            least = sum;
            v->es = point;
        }
    }
}

static void find_swings(struct cardiac_ventricle *v)
{
    for (uint32_t k = 0; k < v->slices; k++)
        v->part[k].swing = wall_at(v, k, v->es)->pool_mm2 / fmax(wall_at(v, k, v->ed)->pool_mm2, 1);
}

// Slices between the ends whose contours stand alone.
static void find_poor(struct cardiac_ventricle *v)
{
    for (uint32_t k = v->base; k <= v->apex; k++) {
        struct cardiac_part *part = &v->part[k];
        const double own = wall_at(v, k, v->ed)->pool_mm2;
        if (part->quality < quality_least)
            part->why = "no clear edge between blood and muscle";
        else if (k > v->base && k < v->apex &&
                 (own > pool_jump * fmax(wall_at(v, k - 1, v->ed)->pool_mm2,
                                         wall_at(v, k + 1, v->ed)->pool_mm2) ||
                  own * pool_jump <
                      fmin(wall_at(v, k - 1, v->ed)->pool_mm2, wall_at(v, k + 1, v->ed)->pool_mm2)))
            part->why = "its pool does not fit those of the slices beside it";
        if (part->why)
            part->fate = CARDIAC_POOR;
        v->poor += part->fate == CARDIAC_POOR;
        v->used += part->fate == CARDIAC_USED;
    }
}

static void find_ends(struct cardiac_ventricle *v, const struct cardiac_centre *centres,
                      bool base_first)
{
    const uint32_t slices = v->slices;
    find_extremes(v, slices / 4, slices - 1 - slices / 4);
    find_swings(v);
    const uint32_t middle = v->middle = middle_of(v, centres);
    find_extremes(v, middle > 0 ? middle - 1 : 0, middle + 1 < slices ? middle + 1 : middle);
    find_swings(v);
    v->base = walk_to_end(v, middle, -1, base_first);
    v->apex = walk_to_end(v, middle, 1, !base_first);
    v->basal = base_first ? v->base : v->apex;
}

static bool alloc_ventricle(const struct cardiac_cine *c, struct arena *arena,
                            struct cardiac_ventricle *out)
{
    out->slices = c->slices;
    out->points = c->points;
    out->gap_mm = c->gap_mm;
    out->part = arena_alloc(arena, c->slices, sizeof *out->part);
    out->ml = arena_alloc(arena, c->points, sizeof *out->ml);
    out->low = arena_alloc(arena, c->points, sizeof *out->low);
    out->high = arena_alloc(arena, c->points, sizeof *out->high);
    bool ok = out->part && out->ml && out->low && out->high;
    for (uint32_t k = 0; ok && k < c->slices; k++) {
        struct cardiac_part *part = &out->part[k];
        part->phases = c->phases[k];
        part->s.walls = arena_alloc(arena, part->phases, sizeof *part->s.walls);
        ok = part->s.walls != NULL;
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

// Where the wall is oblique to the slice, as near the apex, the edge is spread over the thickness
// of the slice, and the outer end of it, which walls are searched by (trabeculae!), lies too far
// out. An edge spread evenly over W falls to a fifth 0.3 W outside its middle; the blur of the
// image takes part of that. W is what the mean radius changes from slice to slice.
static bool correct_slope(struct cardiac_ventricle *v)
{
    double *radius = malloc((size_t)v->slices * sizeof *radius);
    for (uint32_t point = 0; radius && point < v->points; point++) {
        for (uint32_t k = v->base; k <= v->apex; k++)
            radius[k] = sqrt(wall_at(v, k, point)->pool_mm2 / M_PI);
        for (uint32_t k = v->base; k <= v->apex; k++) {
            const struct cardiac_part *part = &v->part[k];
            const uint32_t p = cardiac_phase_of(part, v->points, point);
            const uint32_t before = k > v->base && cardiac_counts(v, k - 1, point) ? k - 1 : k;
            const uint32_t after = k < v->apex && cardiac_counts(v, k + 1, point) ? k + 1 : k;
            struct cardiac_wall *wall = &part->s.walls[p];
            if (after == before || wall->corrected)
                continue;
            const double spread = fabs(radius[before] - radius[after]) / (after - before);
            const double less = fmin(slope_part * spread, radius[k] / 2);
            for (uint32_t w = 0; w < CARDIAC_WAYS; w++)
                wall->endo[w] *= (float)(1 - less / radius[k]);
            const double epi = wall->pool_mm2 + wall->muscle_mm2;
            wall->pool_mm2 = cardiac_contour_mm2(wall->endo);
            wall->muscle_mm2 = epi - wall->pool_mm2;
            wall->corrected = true;
        }
    }
    free(radius);
    return radius != NULL;
}

// End diastole and end systole of the curve, smoothed by 1 2 1: single phases are noise.
static void choose_phases(struct cardiac_ventricle *v)
{
    double most = -1, least = INFINITY;
    for (uint32_t point = 0; point < v->points; point++) {
        double sum = 0;
        for (uint32_t n = 0; n < 3; n++)
            sum += (n == 1 ? 2 : 1) * v->ml[(point + n + v->points - 1) % v->points];
        if (sum > most) {
            most = sum;
            v->ed = point;
        }
        if (sum < least) {
            least = sum;
            v->es = point;
        }
    }
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
    find_ends(out, centres, base_first);
    find_poor(out);
    if (!correct_slope(out))
        return false;
    for (uint32_t point = 0; point < out->points; point++)
        sum_point(out, point, false, &out->ml[point], &out->low[point], &out->high[point]);
    choose_phases(out);
    sum_point(out, out->ed, true, &out->mass_g, &out->mass_low_g, &out->mass_high_g);
    out->mass_g *= CARDIAC_DENSITY;
    out->mass_low_g *= CARDIAC_DENSITY;
    out->mass_high_g *= CARDIAC_DENSITY;
    return true;
}
