#include "compute/stages/cardiac/cardiac_ends.h"
#include <math.h>
#include <stdlib.h>
#include "compute/stages/cardiac/cardiac_rim.h"

// A ramp is {where nothing counts, where all does}. tests/phantom/cardiac.py fixed them.
static const double closed_ramp[2] = {0.1, 0.8}; // of the circumference, by that of the next slice
static const double thick_ramp[2] = {0.2, 0.75}; // of the middle
static const double base_pool_ramp[2] = {0.4, 0.75}; // by the next slice, at end diastole
static const double swing_ramp[2] = {1.4, 1.15};     // pool at end systole by that at end diastole
static const double pool_passed_ramp[2] = {1.35, 1.1}; // of what the next slice shrinks to
static const double muscle_passed_ramp[2] = {0.45, 0.8};
static const double rim_ramp[2] = {0.6,
                                   0.9}; // part of the circumference where the next wall goes on
static const double crossed_rim = 0.5;
static const double own_pool = 0.8; // of the next one: an inner contour that is less is another
static const double sure_weight = 0.95, counts_weight = 0.5;
static const double atrium_mm = 2.6; // thinner walls are those of an atrium: 2 to 3 mm
// From slice to slice towards the base; an ellipsoid twice as long as wide has 1.1 at its base.
static const double pool_growth = 1.15;
static const double window_part = 0.05; // of the cycle, to both sides: what evidence is taken over
static const double thick_least = 0.37, thick_half = 0.55, thick_most = 1.8; // of the middle
static const double closed_least = 0.3, closed_half = 0.5;
static const double apex_swing[2] = {2.5, 1.3}, apex_growth = 1.15;
static const double apex_mm2 = 40;         // a pool of 3.5 mm: no pool that could be told from blur
static const double beyond_part = 0.5;     // of what may lie past the apex: half of it either way
static const uint32_t aneurysm_slices = 2; // that a pool may go on for which does not narrow
static const double quality_least = 0.25;  // of the contrast between blood and muscle
static const double pool_jump = 1.6;       // times the larger of the pools beside it, or less
static const double edge_pixels = 0.5;     // an edge is known to half a pixel
// How far within the edge an expert draws the outer contour: the median where it is bright beyond
// the wall, in both patients of tests/golden/test_cardiac_sunnybrook.py.
static const double reader_mm = 1.7;
// A pool that is larger than in the phases before and after by so much is none: the outer contour
// was taken for the inner one while the valve crossed the slice. A ventricle fills and empties over
// more than a phase.
static const double phase_jump = 1.25;

// 0 to 1.
static double ramp(const double at[2], double value)
{
    return fmin(fmax((value - at[0]) / (at[1] - at[0]), 0), 1);
}

// ---- What is seen of a slice --------------------------------------------------------------------

static double phase_most(const struct cardiac_ventricle *v, uint32_t slice, uint32_t point)
{
    const uint32_t before = point > 0 ? point - 1 : v->points - 1;
    const uint32_t after = point + 1 < v->points ? point + 1 : 0;
    return fmax(cardiac_wall_at(v, slice, before)->pool_mm2,
                cardiac_wall_at(v, slice, after)->pool_mm2);
}

static bool jumps(const struct cardiac_ventricle *v, uint32_t slice, uint32_t point)
{
    return cardiac_wall_at(v, slice, point)->pool_mm2 > phase_jump * phase_most(v, slice, point);
}

// The pool, or where it jumps the larger one of the phases beside it.
static double steady_pool(const struct cardiac_ventricle *v, uint32_t slice, uint32_t point)
{
    return jumps(v, slice, point) ? phase_most(v, slice, point)
                                  : cardiac_wall_at(v, slice, point)->pool_mm2;
}

// Means over the phases around a point.
struct seen {
    double closed, thick_mm, pool_mm2, muscle_mm2;
};

static struct seen seen_at(const struct cardiac_ventricle *v, uint32_t slice, uint32_t point)
{
    const uint32_t half = (uint32_t)(window_part * v->points), count = 2 * half + 1;
    struct seen s = {0};
    for (uint32_t n = 0; n < count && v->points > 0; n++) {
        const struct cardiac_wall *wall =
            cardiac_wall_at(v, slice, (point + n + v->points - half) % v->points);
        s.closed += wall->closed / count;
        s.thick_mm += wall->thick_mm / count;
        s.pool_mm2 += wall->pool_mm2 / count;
        s.muscle_mm2 += wall->muscle_mm2 / count;
    }
    s.pool_mm2 = fmax(s.pool_mm2, 1);
    s.muscle_mm2 = fmax(s.muscle_mm2, 1);
    return s;
}

// ---- The base -----------------------------------------------------------------------------------

// Of the circumference of a slice that lies across the valve, the part with muscle behind it is of
// the ventricle.
static double closed_weight(const struct seen *s, const struct seen *next)
{
    return ramp(closed_ramp, s->closed / fmax(next->closed, closed_half));
}

// How much of a slice is of the ventricle at end diastole, by the slice next to it towards the
// apex: of the outflow tract or the atrium the walls are thin, the pool is another, and more blood
// is seen in systole than in diastole.
static double base_weight(const struct cardiac_ventricle *v, uint32_t slice, uint32_t next)
{
    const struct seen s = seen_at(v, slice, v->ed), n = seen_at(v, next, v->ed);
    if (s.thick_mm < atrium_mm)
        return 0;
    const double thick = s.thick_mm / seen_at(v, v->middle, v->ed).thick_mm;
    double weight = closed_weight(&s, &n);
    weight = fmin(weight, ramp(thick_ramp, thick));
    weight = fmin(weight, ramp(base_pool_ramp, s.pool_mm2 / n.pool_mm2));
    return fmin(weight, ramp(swing_ramp, v->part[slice].swing));
}

// How much more of the pool of a slice is left at a point, of what it was at end diastole, than of
// that of the next slice.
static double pool_left(const struct cardiac_ventricle *v, uint32_t slice, uint32_t next,
                        uint32_t point)
{
    return seen_at(v, slice, point).pool_mm2 / seen_at(v, slice, v->ed).pool_mm2 /
           (seen_at(v, next, point).pool_mm2 / seen_at(v, next, v->ed).pool_mm2);
}

// How much of what counts of a slice at end diastole the valve, which moves towards the apex in
// systole, has not passed at a point: when it has, the pool is that of the atrium and has not
// shrunk like that of the next slice, and the muscle has gone.
static double valve_weight(const struct cardiac_ventricle *v, uint32_t slice, uint32_t next,
                           uint32_t point)
{
    const struct seen s = seen_at(v, slice, point), n = seen_at(v, next, point);
    const struct seen s0 = seen_at(v, slice, v->ed), n0 = seen_at(v, next, v->ed);
    const double pool = pool_left(v, slice, next, point);
    const double muscle = s.muscle_mm2 / s0.muscle_mm2 / (n.muscle_mm2 / n0.muscle_mm2);
    return fmin(closed_weight(&s, &n),
                fmin(ramp(pool_passed_ramp, pool), ramp(muscle_passed_ramp, muscle)));
}

// Thin walls all round are those of an atrium, but for a pool that goes on from that of the next
// slice and has shrunk like it since end diastole: an atrium fills while the ventricle empties, and
// within the slice lies the valve.
static bool is_atrium(const struct cardiac_ventricle *v, uint32_t slice, uint32_t next,
                      uint32_t point)
{
    const struct seen s = seen_at(v, slice, point);
    if (s.thick_mm >= atrium_mm || s.closed <= closed_half)
        return false;
    return point == v->ed || pool_left(v, slice, next, point) > pool_passed_ramp[1] ||
           s.pool_mm2 > pool_growth * seen_at(v, next, point).pool_mm2;
}

// Whether the valve may lie in the middle of a slice at end diastole, that looks like atrium then,
// beside one with a wall: that wall goes on all round, or half-way where contours are no rings.
static bool may_be_crossed(const struct cardiac_ventricle *v, const struct seen *s,
                           const struct seen *next, double goes_on_part)
{
    return next->thick_mm > thick_half * seen_at(v, v->middle, v->ed).thick_mm &&
           goes_on_part >= (s->closed < closed_half ? crossed_rim : rim_ramp[1]);
}

// A slice at a point, by its own contours and by how the wall of the next slice goes on in it. It
// counts where its contours are as they should be and the wall goes on at all; and where they are
// no contours, those of a mixture, but the wall goes on nearly all round. Else both have a say, and
// it is in doubt.
static void weigh_point(struct cardiac_ventricle *v, uint32_t slice, uint32_t next, uint32_t point,
                        double own, double goes_on_part)
{
    struct cardiac_part *part = &v->part[slice];
    const struct cardiac_part *beside = &v->part[next];
    const struct seen s = seen_at(v, slice, point), n = seen_at(v, next, point);
    const double goes_on = ramp(rim_ramp, goes_on_part);
    const bool atrium = is_atrium(v, slice, next, point);
    const bool sure = !atrium && own >= sure_weight && goes_on > 0;
    const bool mixture = s.closed < closed_half && goes_on >= 1;
    const double weight = atrium ? 0 : sure || mixture ? 1 : (own + goes_on) / 2;
    const bool crossed = point == v->ed && may_be_crossed(v, &s, &n, goes_on_part);
    const bool possible = crossed || (!atrium && (own > 0 || goes_on > 0));
    part->weight[point] = fminf((float)weight, beside->weight[point]);
    part->least[point] = fminf(sure ? 1 : 0, beside->least[point]);
    part->most[point] = fminf(possible ? 1 : 0, beside->most[point]);
    part->borrowed[point] =
        weight > own && (s.closed < closed_half || s.pool_mm2 < own_pool * n.pool_mm2);
}

static void weigh_wholly(const struct cardiac_ventricle *v, struct cardiac_part *part, bool sure)
{
    for (uint32_t point = 0; point < v->points; point++) {
        part->weight[point] = part->most[point] = 1;
        part->least[point] = sure ? 1 : 0;
    }
}

static void weigh_most(struct cardiac_part *part, uint32_t point, uint32_t ed)
{
    part->weight[point] = fminf(part->weight[point], part->weight[ed]);
    part->least[point] = fminf(part->least[point], part->least[ed]);
    part->most[point] = fminf(part->most[point], part->most[ed]);
}

static bool weigh_base(struct cardiac_ventricle *v, const struct cardiac_cine *c, int way)
{
    double *parts = calloc(v->points, sizeof *parts);
    bool ok = parts != NULL;
    weigh_wholly(v, &v->part[v->middle], true);
    for (int64_t k = (int64_t)v->middle + way; ok && k >= 0 && k < v->slices; k += way) {
        const uint32_t slice = (uint32_t)k, next = (uint32_t)(k - way);
        const double base = base_weight(v, slice, next);
        ok = cardiac_rim_find(c, v, slice, next, parts);
        for (uint32_t point = 0; ok && point < v->points; point++) {
            const double valve = point == v->ed ? 1 : valve_weight(v, slice, next, point);
            weigh_point(v, slice, next, point, fmin(base, valve), parts[point]);
        }
        // What the valve lets in at end diastole is the most that there is at any time.
        for (uint32_t point = 0; ok && point < v->points; point++)
            weigh_most(&v->part[slice], point, v->ed);
    }
    free(parts);
    return ok;
}

// ---- The apex -----------------------------------------------------------------------------------

enum end_doubt { END_INSIDE, END_DOUBTFUL, END_OUTSIDE };

// At the apex: the pool ends, or what is taken for it is larger than in the slice before, or has
// another wall.
static enum end_doubt apex_doubt(const struct cardiac_ventricle *v, uint32_t slice, uint32_t before)
{
    const struct cardiac_part *part = &v->part[slice];
    const double pool = cardiac_wall_at(v, slice, v->ed)->pool_mm2;
    const double thick = part->thick_mm / v->part[v->middle].thick_mm;
    if (pool < apex_mm2 || pool > apex_growth * cardiac_wall_at(v, before, v->ed)->pool_mm2 ||
        part->closed < closed_least || part->quality < quality_least ||
        part->swing > apex_swing[0] || thick < thick_least || thick > thick_most)
        return END_OUTSIDE;
    if (part->swing > apex_swing[1] || part->closed < closed_half || thick < thick_half)
        return END_DOUBTFUL;
    return END_INSIDE;
}

static void weigh_apex(struct cardiac_ventricle *v, int way, uint32_t *last)
{
    enum end_doubt worst = END_INSIDE;
    *last = v->middle;
    for (int64_t k = (int64_t)v->middle + way; k >= 0 && k < v->slices; k += way) {
        const enum end_doubt doubt = apex_doubt(v, (uint32_t)k, *last);
        if (doubt == END_OUTSIDE)
            break;
        worst = doubt > worst ? doubt : worst;
        weigh_wholly(v, &v->part[k], worst == END_INSIDE);
        *last = (uint32_t)k;
    }
}

// Of the apex.
static uint32_t last_slice(const struct cardiac_ventricle *v)
{
    return v->basal == v->base ? v->apex : v->base;
}

// The part of a disc of the pool past a slice that is blood in the slices there: where the pool
// does not narrow (an aneurysm of the apex), in several. One slice where the stack has none.
static double blood_beyond(const struct cardiac_ventricle *v, const struct cardiac_cine *c, int way,
                           uint32_t last, uint32_t point, double mm2, uint32_t count)
{
    double part = 1, sum = 0;
    for (uint32_t n = 0; n < count; n++) {
        const int64_t k = (int64_t)last + way * (int64_t)(n + 1);
        if (k < 0 || k >= v->slices)
            return n > 0 ? sum : 1;
        part = fmin(part, cardiac_rim_blood(c, v, last, (uint32_t)k, point, sqrt(mm2 / M_PI)));
        sum += part;
    }
    return sum;
}

// What the pool may have past the last slice of the apex, mm2 of one slice: areas of a shape that
// is round outwards fall ever faster, so that the line through the last two is the most; no more
// than the last; and where there is a slice, what of that disc is blood in it.
static void find_beyond(struct cardiac_ventricle *v, const struct cardiac_cine *c, int way)
{
    const uint32_t last = last_slice(v);
    const uint32_t before = (uint32_t)((int64_t)last - way);
    if (last == v->middle)
        return;
    for (uint32_t point = 0; point < v->points; point++) {
        const double one = seen_at(v, last, point).pool_mm2;
        const double two = seen_at(v, before, point).pool_mm2;
        const uint32_t count = one < two ? 1 : aneurysm_slices;
        double most = fmin(2 * one - two, one);
        if (most > 0)
            most *= blood_beyond(v, c, way, last, point, most, count);
        v->beyond_mm2[point] = most > apex_mm2 ? (float)most : 0;
    }
}

// ---- Which slices -------------------------------------------------------------------------------

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
            sum += steady_pool(v, k, point);
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
        v->part[k].swing = cardiac_wall_at(v, k, v->es)->pool_mm2 /
                           fmax(cardiac_wall_at(v, k, v->ed)->pool_mm2, 1);
}

// Slices between the ends whose contours stand alone.
static void find_poor(struct cardiac_ventricle *v)
{
    for (uint32_t k = v->base; k <= v->apex; k++) {
        struct cardiac_part *part = &v->part[k];
        const double own = cardiac_wall_at(v, k, v->ed)->pool_mm2;
        const bool inner = k > v->base && k < v->apex;
        const double one = inner ? cardiac_wall_at(v, k - 1, v->ed)->pool_mm2 : own;
        const double two = inner ? cardiac_wall_at(v, k + 1, v->ed)->pool_mm2 : own;
        if (part->quality < quality_least)
            part->why = "no clear edge between blood and muscle";
        else if (own > pool_jump * fmax(one, two) || own * pool_jump < fmin(one, two))
            part->why = "its pool does not fit those of the slices beside it";
        if (part->why)
            part->fate = CARDIAC_POOR;
        v->poor += part->fate == CARDIAC_POOR;
        v->used += part->fate == CARDIAC_USED;
    }
}

// The last slice towards the base of which half or more counts at end diastole.
static uint32_t base_slice(const struct cardiac_ventricle *v, int way)
{
    uint32_t last = v->middle;
    for (int64_t k = v->middle; k >= 0 && k < v->slices; k += way)
        last = (double)v->part[k].weight[v->ed] >= counts_weight ? (uint32_t)k : last;
    return last;
}

static void name_outside(struct cardiac_ventricle *v, int way)
{
    for (uint32_t k = 0; k < v->slices; k++) {
        struct cardiac_part *part = &v->part[k];
        if (k >= v->base && k <= v->apex)
            continue;
        const bool base = way * ((int64_t)k - v->middle) > 0;
        part->fate = base ? CARDIAC_BEYOND_BASE : CARDIAC_BEYOND_APEX;
        part->why = !base                   ? "below the pool of the ventricle"
                    : part->most[v->ed] > 0 ? "mostly atrium or outflow tract"
                                            : "atrium or outflow tract";
    }
}

bool cardiac_ends_find(struct cardiac_ventricle *v, const struct cardiac_cine *c,
                       const struct cardiac_centre *centres, bool base_first)
{
    const uint32_t slices = v->slices;
    const int way = base_first ? -1 : 1; // towards the base
    find_extremes(v, slices / 4, slices - 1 - slices / 4);
    find_swings(v);
    const uint32_t middle = v->middle = middle_of(v, centres);
    find_extremes(v, middle > 0 ? middle - 1 : 0, middle + 1 < slices ? middle + 1 : middle);
    find_swings(v);
    uint32_t last;
    if (!weigh_base(v, c, way))
        return false;
    weigh_apex(v, -way, &last);
    v->basal = base_slice(v, way);
    v->base = base_first ? v->basal : last;
    v->apex = base_first ? last : v->basal;
    const uint32_t first_seen = base_first ? 0 : slices - 1;
    v->open[0] = v->basal == first_seen && (double)v->part[v->basal].weight[v->ed] >= sure_weight;
    v->open[1] = last == slices - 1 - first_seen;
    find_beyond(v, c, -way);
    name_outside(v, way);
    find_poor(v);
    return true;
}

bool cardiac_counts(const struct cardiac_ventricle *v, uint32_t slice, uint32_t point)
{
    return slice >= v->base && slice <= v->apex && v->part[slice].fate != CARDIAC_POOR &&
           !v->part[slice].borrowed[point] && !v->part[slice].vague[point] &&
           !jumps(v, slice, point) && (double)v->part[slice].weight[point] >= counts_weight;
}

// ---- Volumes ------------------------------------------------------------------------------------

// The pool or the muscle of a slice; of a poor one the mean of the next good ones to both sides.
static double area_of(const struct cardiac_ventricle *v, uint32_t slice, uint32_t point,
                      bool muscle)
{
    double sum = 0, count = 0;
    if (v->part[slice].borrowed[point])
        slice = slice < v->middle ? slice + 1 : slice - 1;
    for (int way = -1; way <= 1; way += 2) {
        for (int64_t k = slice; k >= 0 && k < v->slices; k += way) {
            if (v->part[k].fate == CARDIAC_POOR)
                continue;
            sum += muscle ? cardiac_wall_at(v, (uint32_t)k, point)->muscle_mm2
                          : steady_pool(v, (uint32_t)k, point);
            count++;
            break;
        }
    }
    return count > 0 ? sum / count : 0;
}

// Which part of a slice counts at least, or at most.
enum extent { EXTENT_LEAST, EXTENT_VALUE, EXTENT_MOST };

// The area of the pool of a slice; where the valve lies within it, what is seen is a mixture, and
// the most is what the next slice has.
static double pool_of(const struct cardiac_ventricle *v, uint32_t slice, uint32_t point,
                      enum extent extent)
{
    const double own = area_of(v, slice, point, false);
    if (extent != EXTENT_MOST || v->part[slice].least[point] > 0 || slice == v->middle ||
        (slice > v->middle) != (v->basal > v->middle))
        return own;
    return fmax(own, area_of(v, slice < v->middle ? slice + 1 : slice - 1, point, false));
}

static double weight_of(const struct cardiac_part *part, uint32_t point, enum extent extent)
{
    return (double)(extent == EXTENT_LEAST  ? part->least
                    : extent == EXTENT_MOST ? part->most
                                            : part->weight)[point];
}

// What is in doubt at the one end is so whatever counts at the other.
struct extents {
    enum extent base, apex;
};

static enum extent extent_at(const struct cardiac_ventricle *v, uint32_t slice, struct extents e)
{
    return (slice < v->middle) == (v->basal < v->middle) ? e.base : e.apex;
}

// mL at a point. among: only of slices that count so at end diastole
static double volume_of(const struct cardiac_ventricle *v, uint32_t point, struct extents extent,
                        struct extents among)
{
    double mm2 = 0;
    for (uint32_t k = 0; k < v->slices; k++) {
        const struct cardiac_part *part = &v->part[k];
        const enum extent own = extent_at(v, k, extent);
        if (weight_of(part, v->ed, extent_at(v, k, among)) > 0)
            mm2 += weight_of(part, point, own) * pool_of(v, k, point, own);
    }
    if (extent.apex != EXTENT_LEAST && among.apex != EXTENT_LEAST)
        mm2 += (double)v->beyond_mm2[point] * (extent.apex == EXTENT_MOST ? 1 : beyond_part);
    if (extent.base == EXTENT_MOST && among.base == EXTENT_MOST && v->open[0])
        mm2 += area_of(v, v->basal, point, false);
    return mm2 * v->gap_mm / 1000;
}

static struct cardiac_bounds volumes_of(const struct cardiac_ventricle *v, uint32_t point)
{
    static const struct extents least = {EXTENT_LEAST, EXTENT_LEAST},
                                own = {EXTENT_VALUE, EXTENT_VALUE},
                                most = {EXTENT_MOST, EXTENT_MOST};
    const double value = volume_of(v, point, own, most);
    return (struct cardiac_bounds){value, fmin(volume_of(v, point, least, most), value),
                                   fmax(volume_of(v, point, most, most), value)};
}

static void add_bound(struct cardiac_bounds *b, double value)
{
    b->low = fmin(b->low, value);
    b->high = fmax(b->high, value);
}

static double fraction(double ed, double es)
{
    return ed > 0 ? 100 * (1 - es / ed) : 0;
}

// What is of the ventricle at end systole is so at end diastole: that rules out the least of the
// one with the most of the other, at the same end.
static void bound_ejection(struct cardiac_ventricle *v)
{
    static const struct extents all[] = {{EXTENT_LEAST, EXTENT_LEAST},
                                         {EXTENT_LEAST, EXTENT_MOST},
                                         {EXTENT_MOST, EXTENT_LEAST},
                                         {EXTENT_MOST, EXTENT_MOST}};
    v->sv.value = v->sv.low = v->sv.high = v->edv.value - v->esv.value;
    v->ef.value = v->ef.low = v->ef.high = fraction(v->edv.value, v->esv.value);
    for (int a = 0; a < 4; a++) {
        const double ed = volume_of(v, v->ed, all[a], all[a]);
        for (int b = 0; b < 4; b++) {
            const double es = volume_of(v, v->es, all[b], all[a]);
            add_bound(&v->sv, ed - es);
            add_bound(&v->ef, fraction(ed, es));
        }
    }
}

// mm2 within the outer contour moved by mm.
static double outer_mm2(const struct cardiac_ventricle *v, uint32_t slice, double mm)
{
    const double all = area_of(v, slice, v->ed, true) + area_of(v, slice, v->ed, false);
    return all + 2 * sqrt(M_PI * all) * mm;
}

// The muscle that closes the apex past the last slice, mm2 of one slice at most: by a line through
// what lies within the outer contours of the last two, as that of the pool.
static double cap_mm2(const struct cardiac_ventricle *v, double mm)
{
    const uint32_t last = last_slice(v);
    if (last == v->middle)
        return 0;
    const double one = outer_mm2(v, last, mm);
    const double two = outer_mm2(v, last < v->middle ? last + 1 : last - 1, mm);
    return fmin(fmax(2 * one - two, 0), one);
}

// Of the muscle at end diastole. Half a pixel at both contours is a tenth of it.
static void bound_mass(struct cardiac_ventricle *v)
{
    const double inner_mm = edge_pixels * v->pixel_mm;
    const double outer[3] = {-fmax(inner_mm, reader_mm), 0, inner_mm};
    double mm2[3] = {0};
    for (uint32_t k = 0; k < v->slices; k++) {
        const double muscle = area_of(v, k, v->ed, true), pool = area_of(v, k, v->ed, false);
        for (int n = 0; n < 3; n++) {
            const double inner = (n - 1) * inner_mm * 2 * sqrt(M_PI * pool);
            const double edges = inner + outer[n] * 2 * sqrt(M_PI * (pool + muscle));
            mm2[n] += weight_of(&v->part[k], v->ed, (enum extent)n) * fmax(muscle + edges, 0);
        }
    }
    mm2[EXTENT_MOST] += cap_mm2(v, outer[EXTENT_MOST]);
    const double g = v->gap_mm / 1000 * CARDIAC_DENSITY;
    v->mass = (struct cardiac_bounds){g * mm2[EXTENT_VALUE],
                                      g * fmin(mm2[EXTENT_LEAST], mm2[EXTENT_VALUE]),
                                      g * fmax(mm2[EXTENT_MOST], mm2[EXTENT_VALUE])};
}

// End diastole and end systole: of what counts at end diastole whether the valve passes it or not,
// since that makes steps in the curve. Smoothed by 1 2 1: single phases are noise.
static void choose_phases(struct cardiac_ventricle *v)
{
    double most = -1, least = INFINITY;
    const uint32_t ed = v->ed;
    for (uint32_t point = 0; point < v->points; point++) {
        double pools = 0, volume = 0;
        for (uint32_t n = 0; n < 3; n++) {
            const uint32_t at = (point + n + v->points - 1) % v->points;
            volume += (n == 1 ? 2 : 1) * v->ml[at];
            for (uint32_t k = v->base; k <= v->apex; k++)
                pools +=
                    (n == 1 ? 2 : 1) * (double)v->part[k].weight[ed] * area_of(v, k, at, false);
        }
        if (pools > most) {
            most = pools;
            v->ed = point;
        }
        if (volume < least) {
            least = volume;
            v->es = point;
        }
    }
}

void cardiac_ends_sum(struct cardiac_ventricle *v)
{
    for (uint32_t point = 0; point < v->points; point++) {
        const struct cardiac_bounds b = volumes_of(v, point);
        v->ml[point] = b.value;
        v->low[point] = b.low;
        v->high[point] = b.high;
    }
    choose_phases(v);
    v->edv = volumes_of(v, v->ed);
    v->esv = volumes_of(v, v->es);
    bound_ejection(v);
    bound_mass(v);
}
