#include "compute/stages/cardiac/cardiac_wall.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/stages/cardiac/cardiac_path.h"

// Costs are in mm of what lies on the wrong side. tests/phantom/cardiac.py fixed them.
static const double dark_inside = 0.3;   // of a mm of muscle in the pool: it may be papillary
static const double bright_reach_mm = 4; // blood so far outside the inner contour is wrong
static const double edge_gain_mm = 2;
static const double edge_half_mm = 1.4;
static const uint32_t endo_slope = 2, epi_slope = 1;
static const float endo_bend = 0.15f, epi_bend = 0.3f;
static const double prior_free_mm = 1.5, prior_cost = 0.25; // a mm2
static const double wall_free_mm = 0.7, wall_far_mm = 5;
static const double wall_cost[2] = {0.2, 0.08}; // a mm2 that the wall is thicker, thinner
static const double pool_level = 0.2, trabecula_mm = 5, wall_left_mm = 4;
static const double blur_pixels = 0.5; // of the work grid: mean over a pixel, and the scanner's own
static const double guess_part[2] = {0.35, 1.45}; // of the radii guessed

#define STEPS(mm)  ((int)((mm) / CARDIAC_STEP_MM + 0.5))
#define STEPS_MOST 8 // that a boundary looks outwards

struct wall_search {
    const struct cardiac_polar *p;
    float *cost;     // [CARDIAC_WAYS][CARDIAC_RADII]
    float *endo;     // [phases][CARDIAC_WAYS] mm
    float *epi;      // same
    float *prior;    // same: where a contour is expected; NAN: anywhere
    bool wall_known; // the prior is that of a wall as thick as it should be: expect_wall()
    double blur_mm;  // standard deviation of the blur of an edge
    double low_mm, high_mm;
};

static const float *search_profile(const struct wall_search *s, uint32_t phase, uint32_t way)
{
    return s->p->q + ((size_t)phase * CARDIAC_WAYS + way) * CARDIAC_RADII;
}

// Inlined, as fmin() and fmax(), which mind what is no number, are not.
static inline double lesser(double a, double b)
{
    return a < b ? a : b;
}

static inline double greater(double a, double b)
{
    return a > b ? a : b;
}

static double q_at(const float *q, int n)
{
    return (double)q[n < 0 ? 0 : n < CARDIAC_RADII ? n : CARDIAC_RADII - 1];
}

static double blood_at(const float *q, int n)
{
    return lesser(greater(q_at(q, n), 0), 1);
}

// Mean of q over two steps, `half` before or after a boundary.
static double beside(const float *q, int boundary, double mm)
{
    const int off = STEPS(fabs(mm));
    const int first = mm < 0 ? boundary - off - 1 : boundary + off - 1;
    return lesser(greater((q_at(q, first) + q_at(q, first + 1)) / 2, -0.6), 1.2);
}

static double prior_of(const struct wall_search *s, uint32_t phase, uint32_t way, double mm)
{
    const double prior = (double)s->prior[phase * CARDIAC_WAYS + way];
    if (isnan(prior))
        return 0;
    if (s->wall_known) {
        const double off = lesser(greater(fabs(mm - prior) - wall_free_mm, 0), wall_far_mm);
        return (mm < prior ? wall_cost[0] : wall_cost[1]) * off * off;
    }
    const double off = greater(fabs(mm - prior) - prior_free_mm, 0);
    return prior_cost * off * off;
}

// ---- The inner contour --------------------------------------------------------------------------

// Boundary n lies between samples n - 1 and n.
static void endo_cost(const struct wall_search *s, uint32_t phase)
{
    const int reach = STEPS(bright_reach_mm);
    for (uint32_t w = 0; w < CARDIAC_WAYS; w++) {
        const float *q = search_profile(s, phase, w);
        float *cost = s->cost + (size_t)w * CARDIAC_RADII;
        double blood_mm[CARDIAC_RADII + STEPS_MOST] = {0}, dark = 0;
        for (int n = 0; n < CARDIAC_RADII + reach; n++)
            blood_mm[n] = blood_at(q, n) * CARDIAC_STEP_MM;
        for (int n = 0; n < CARDIAC_RADII; n++) {
            const double mm = n * CARDIAC_STEP_MM;
            double bright = 0;
            for (int m = n; m < n + reach; m++)
                bright += blood_mm[m];
            const double edge =
                beside(q, n, -edge_half_mm) - greater(beside(q, n, edge_half_mm), 0);
            cost[n] = (float)(dark_inside * dark + bright - edge_gain_mm * edge +
                              prior_of(s, phase, w, mm));
            if (mm < s->low_mm || mm > s->high_mm)
                cost[n] = CARDIAC_PATH_NEVER;
            const double prior = (double)s->prior[phase * CARDIAC_WAYS + w];
            if (!s->wall_known || mm > prior) // what is dark further in is papillary
                dark += (1 - blood_at(q, n)) * CARDIAC_STEP_MM;
        }
    }
}

// Where q falls through one half next to a boundary, or the boundary.
static double half_way(const float *q, int boundary, double level)
{
    double best = boundary * CARDIAC_STEP_MM, least = 2.5 * CARDIAC_STEP_MM;
    for (int n = boundary - 3; n < boundary + 2; n++) {
        const double a = q_at(q, n), b = q_at(q, n + 1);
        if (n < 0 || n + 1 >= CARDIAC_RADII || (a > level) == (b > level) || a == b)
            continue;
        const double mm = (n + 0.5 + (a - level) / (a - b)) * CARDIAC_STEP_MM;
        const double off = fabs(mm - boundary * CARDIAC_STEP_MM);
        if (off < least) {
            least = off;
            best = mm;
        }
    }
    return best;
}

// Where the pool ends: trabeculae, which are darker than blood and brighter than muscle, are of it,
// and so are papillary muscles with blood behind them. From the outermost blood in reach of a
// boundary outwards, the place where q has fallen to a fifth, less what a blurred edge has from its
// middle to there (0.84 standard deviations).
static double pool_end(const float *q, int boundary, double most_mm, double blur_mm)
{
    const int last = STEPS(most_mm);
    double end = half_way(q, boundary, 0.5);
    for (int n = boundary - 2; n < boundary + STEPS(trabecula_mm) && n < last; n++) {
        const double a = q_at(q, n), b = q_at(q, n + 1);
        if (n < 0 || n + 1 >= CARDIAC_RADII || a <= pool_level || b > pool_level)
            continue;
        end = (n + 0.5 + (a - pool_level) / (a - b)) * CARDIAC_STEP_MM - 0.84 * blur_mm;
    }
    return end;
}

static void smooth_ring(float *r)
{
    float from[CARDIAC_WAYS];
    memcpy(from, r, sizeof from);
    for (uint32_t w = 0; w < CARDIAC_WAYS; w++)
        r[w] = (from[(w + CARDIAC_WAYS - 1) % CARDIAC_WAYS] + 2 * from[w] +
                from[(w + 1) % CARDIAC_WAYS]) /
               4;
}

// The convex hull of a contour, as radii: a direction is moved out to the chord between any two
// others less than half a turn apart.
static void hull(float *r)
{
    float from[CARDIAC_WAYS];
    double sine[CARDIAC_WAYS / 2];
    memcpy(from, r, sizeof from);
    for (uint32_t n = 0; n < CARDIAC_WAYS / 2; n++)
        sine[n] = sin(2 * M_PI * n / CARDIAC_WAYS);
    for (uint32_t w = 0; w < CARDIAC_WAYS; w++) {
        for (uint32_t a = 1; a < CARDIAC_WAYS / 4; a++) {
            const double one = (double)from[(w + CARDIAC_WAYS - a) % CARDIAC_WAYS];
            for (uint32_t b = 1; b < CARDIAC_WAYS / 4; b++) {
                const double two = (double)from[(w + b) % CARDIAC_WAYS];
                const double chord = one * two * sine[a + b] / (one * sine[a] + two * sine[b]);
                r[w] = r[w] > (float)chord ? r[w] : (float)chord;
            }
        }
    }
}

// The pool must leave a wall.
static double pool_limit(const struct wall_search *s, uint32_t phase, uint32_t way)
{
    return s->wall_known ? (double)s->epi[phase * CARDIAC_WAYS + way] - wall_left_mm : 1e9;
}

static bool find_endo(const struct wall_search *s, uint32_t phase)
{
    uint16_t path[CARDIAC_WAYS];
    float *to = s->endo + (size_t)phase * CARDIAC_WAYS;
    endo_cost(s, phase);
    if (!cardiac_path_find(s->cost, CARDIAC_WAYS, CARDIAC_RADII, endo_slope, endo_bend, path))
        return false;
    for (uint32_t w = 0; w < CARDIAC_WAYS; w++)
        to[w] = (float)pool_end(search_profile(s, phase, w), path[w], pool_limit(s, phase, w),
                                s->blur_mm);
    smooth_ring(to);
    hull(to);
    return true;
}

static int by_radius(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

// Of a direction, the median over the phases and directions around it.
static void expect(const struct wall_search *s, const float *found, uint32_t phases_beside)
{
    const uint32_t phases = s->p->phases;
    for (uint32_t phase = 0; phase < phases; phase++) {
        for (uint32_t w = 0; w < CARDIAC_WAYS; w++) {
            float values[64];
            uint32_t count = 0;
            for (uint32_t p = 0; p <= 2 * phases_beside; p++) {
                const uint32_t at = (phase + p + phases - phases_beside) % phases;
                for (uint32_t d = 0; d < 3; d++)
                    values[count++] =
                        found[at * CARDIAC_WAYS + (w + d + CARDIAC_WAYS - 1) % CARDIAC_WAYS];
            }
            qsort(values, count, sizeof *values, by_radius);
            s->prior[phase * CARDIAC_WAYS + w] = values[count / 2];
        }
    }
}

static void expect_anything(const struct wall_search *s)
{
    for (uint32_t n = 0; n < s->p->phases * CARDIAC_WAYS; n++)
        s->prior[n] = NAN;
}

static bool find_all_endo(const struct wall_search *s)
{
    for (uint32_t phase = 0; phase < s->p->phases; phase++) {
        if (!find_endo(s, phase))
            return false;
    }
    return true;
}

// ---- The outer contour --------------------------------------------------------------------------

static const double wall_least_mm = 2, wall_most_mm = 30;
static const double unlike_scale = 0.45; // q so far from 0 is no muscle at all
static const double unlike_even = 0.4;   // a mm so unlike muscle costs as much as it gains
static const double beyond_mm = 2.8, beyond_gain = 0.6;
static const double thickness_free_mm = 2, thickness_cost = 0.06; // a mm2
static const double outside_least = 0.25; // of q, for an edge whose middle can be told

static double unlike(const float *q, int n)
{
    return lesser(fabs(q_at(q, n)) / unlike_scale, 1);
}

static void epi_cost(const struct wall_search *s, uint32_t phase, double thickness)
{
    for (uint32_t w = 0; w < CARDIAC_WAYS; w++) {
        const float *q = search_profile(s, phase, w);
        float *cost = s->cost + (size_t)w * CARDIAC_RADII;
        const double endo = (double)s->endo[phase * CARDIAC_WAYS + w];
        const int first = STEPS(endo + 1), reach = STEPS(beyond_mm);
        double unlike_at[CARDIAC_RADII + STEPS_MOST] = {0}, sum = 0;
        for (int n = 0; n < CARDIAC_RADII + reach; n++)
            unlike_at[n] = unlike(q, n);
        for (int n = 0; n < CARDIAC_RADII; n++) {
            const double mm = n * CARDIAC_STEP_MM, thick = mm - endo;
            double beyond = 0;
            for (int m = n; m < n + reach; m++)
                beyond += unlike_at[m] * CARDIAC_STEP_MM;
            const double edge = fabs(beside(q, n, -edge_half_mm) - beside(q, n, edge_half_mm));
            cost[n] = (float)(sum - beyond_gain * beyond - edge_gain_mm * edge +
                              prior_of(s, phase, w, mm));
            if (thickness > 0) {
                const double off = greater(fabs(thick - thickness) - thickness_free_mm, 0);
                cost[n] += (float)(thickness_cost * off * off);
            }
            if (thick < wall_least_mm || thick > wall_most_mm)
                cost[n] = CARDIAC_PATH_NEVER;
            if (n >= first)
                sum += (unlike_at[n] - unlike_even) * CARDIAC_STEP_MM;
        }
    }
}

// Half-way between muscle and what lies beyond it.
static double epi_edge(const float *q, int boundary)
{
    const double inside = fmin(fmax(beside(q, boundary, -2.8), -0.25), 0.35);
    const double outside = beside(q, boundary, 2.8);
    if (fabs(outside - inside) < outside_least)
        return boundary * CARDIAC_STEP_MM;
    return half_way(q, boundary, (inside + outside) / 2);
}

static bool find_epi(const struct wall_search *s, uint32_t phase, double thickness)
{
    uint16_t path[CARDIAC_WAYS];
    float *to = s->epi + (size_t)phase * CARDIAC_WAYS;
    const float *endo = s->endo + (size_t)phase * CARDIAC_WAYS;
    epi_cost(s, phase, thickness);
    if (!cardiac_path_find(s->cost, CARDIAC_WAYS, CARDIAC_RADII, epi_slope, epi_bend, path))
        return false;
    for (uint32_t w = 0; w < CARDIAC_WAYS; w++) {
        const double mm = epi_edge(search_profile(s, phase, w), path[w]);
        to[w] = fmaxf((float)mm, endo[w] + (float)wall_least_mm);
    }
    smooth_ring(to);
    return true;
}

// The median thickness of a phase.
static double median_thickness(const struct wall_search *s, uint32_t phase)
{
    float values[CARDIAC_WAYS];
    for (uint32_t w = 0; w < CARDIAC_WAYS; w++)
        values[w] = s->epi[phase * CARDIAC_WAYS + w] - s->endo[phase * CARDIAC_WAYS + w];
    qsort(values, CARDIAC_WAYS, sizeof *values, by_radius);
    return (double)values[CARDIAC_WAYS / 2];
}

static bool find_all_epi(const struct wall_search *s)
{
    const uint32_t beside_phases = s->p->phases >= 8 ? 2 : 1;
    expect_anything(s);
    for (uint32_t phase = 0; phase < s->p->phases; phase++) {
        if (!find_epi(s, phase, 0) || !find_epi(s, phase, median_thickness(s, phase)))
            return false;
    }
    expect(s, s->epi, beside_phases);
    for (uint32_t phase = 0; phase < s->p->phases; phase++) {
        if (!find_epi(s, phase, median_thickness(s, phase)))
            return false;
    }
    return true;
}

// ---- A wall as thick as it should be ------------------------------------------------------------

// Papillary muscles that touch the wall look like wall, most of all in systole. What tells them
// apart: the wall changes slowly around the ventricle, and they make it thicker, never thinner. So
// the thickness expected is a + b cos + c sin of the direction and of twice it, fitted to that of a
// phase and the two beside it, where what is thicker counts little (an expectile; Newey & Powell,
// Econometrica 1987;55:819).
#define TERMS 5
static const double thicker_weight = 0.15;
static const int fit_rounds = 8;

static void fit_terms(uint32_t way, double *terms)
{
    const double angle = 2 * M_PI * way / CARDIAC_WAYS;
    terms[0] = 1;
    terms[1] = cos(angle);
    terms[2] = sin(angle);
    terms[3] = cos(2 * angle);
    terms[4] = sin(2 * angle);
}

// Solves the normal equations, which are positive definite, in place by elimination.
static void fit_solve(double m[TERMS][TERMS + 1], double *terms)
{
    for (int i = 0; i < TERMS; i++) {
        for (int j = i + 1; j < TERMS; j++) {
            const double f = m[j][i] / m[i][i];
            for (int n = i; n <= TERMS; n++)
                m[j][n] -= f * m[i][n];
        }
    }
    for (int i = TERMS - 1; i >= 0; i--) {
        double sum = m[i][TERMS];
        for (int j = i + 1; j < TERMS; j++)
            sum -= m[i][j] * terms[j];
        terms[i] = sum / m[i][i];
    }
}

static double fit_value(const double *fit, uint32_t way)
{
    double terms[TERMS], sum = 0;
    fit_terms(way, terms);
    for (int i = 0; i < TERMS; i++)
        sum += fit[i] * terms[i];
    return sum;
}

static void fit_round(const struct wall_search *s, uint32_t phase, int round, double *fit)
{
    double m[TERMS][TERMS + 1] = {{0}}, terms[TERMS];
    const uint32_t phases = s->p->phases;
    for (uint32_t n = 0; n < 3 * CARDIAC_WAYS; n++) {
        const uint32_t p = (phase + n / CARDIAC_WAYS + phases - 1) % phases, w = n % CARDIAC_WAYS;
        const double thick = (double)(s->epi[p * CARDIAC_WAYS + w] - s->endo[p * CARDIAC_WAYS + w]);
        const double weight = round > 0 && thick > fit_value(fit, w) ? thicker_weight : 1;
        fit_terms(w, terms);
        for (int i = 0; i < TERMS; i++) {
            for (int j = 0; j < TERMS; j++)
                m[i][j] += weight * terms[i] * terms[j];
            m[i][TERMS] += weight * terms[i] * thick;
        }
    }
    fit_solve(m, fit);
}

static void expect_wall(struct wall_search *s)
{
    for (uint32_t p = 0; p < s->p->phases; p++) {
        double fit[TERMS] = {0};
        for (int round = 0; round < fit_rounds; round++)
            fit_round(s, p, round, fit);
        for (uint32_t w = 0; w < CARDIAC_WAYS; w++) {
            const size_t at = (size_t)p * CARDIAC_WAYS + w;
            s->prior[at] = s->epi[at] - (float)fmax(fit_value(fit, w), wall_least_mm);
        }
    }
    s->wall_known = true;
}

// ---- All of a slice -----------------------------------------------------------------------------

double cardiac_contour_mm2(const float *radius)
{
    double sum = 0;
    for (uint32_t w = 0; w < CARDIAC_WAYS; w++)
        sum += (double)radius[w] * (double)radius[(w + 1) % CARDIAC_WAYS];
    return sum / 2 * sin(2 * M_PI / CARDIAC_WAYS);
}

// How far the centroid of the contours of all phases lies from the centre, mm along columns, rows.
static void drift(const struct wall_search *s, double mm[2])
{
    double area = 0, x = 0, y = 0;
    for (uint32_t n = 0; n < s->p->phases * CARDIAC_WAYS; n++) {
        const double r = (double)s->endo[n], angle = 2 * M_PI * (n % CARDIAC_WAYS) / CARDIAC_WAYS;
        area += r * r / 2;
        x += r * r * r / 3 * cos(angle);
        y += r * r * r / 3 * sin(angle);
    }
    mm[0] = area > 0 ? x / area : 0;
    mm[1] = area > 0 ? y / area : 0;
}

static const double edge_within_mm = 3, closed_mm[2] = {1, 4.2}, closed_edge = 0.35,
                    closed_part = 0.7;

// Judges contours as the edges gave them, before a wall is expected. The prior of the search is
// that of the inner contours.
static void judge_wall(const struct wall_search *s, uint32_t phase, struct cardiac_wall *wall)
{
    const float *endo = s->endo + (size_t)phase * CARDIAC_WAYS;
    double edges = 0;
    uint32_t closed = 0;
    wall->moved = 0;
    for (uint32_t w = 0; w < CARDIAC_WAYS; w++) {
        const float *q = search_profile(s, phase, w);
        const int n = STEPS((double)endo[w]);
        const double prior = (double)s->prior[phase * CARDIAC_WAYS + w];
        double edge = 0; // it lies inside the contour where there are trabeculae
        for (int m = n - STEPS(edge_within_mm); m <= n; m++)
            edge = fmax(edge, beside(q, m, -2.1) - fmax(beside(q, m, 2.1), 0));
        int muscle = 0, all = 0;
        for (int m = n + STEPS(closed_mm[0]); m < n + STEPS(closed_mm[1]); m++, all++)
            muscle += fabs(q_at(q, m)) < unlike_scale;
        edges += fmin(fmax(edge, 0), 1) / CARDIAC_WAYS;
        closed += edge > closed_edge && muscle >= closed_part * all;
        wall->moved = fmax(wall->moved, fabs((double)endo[w] - prior));
    }
    wall->edge = edges;
    wall->closed = (double)closed / CARDIAC_WAYS;
    wall->thick_mm = median_thickness(s, phase);
}

static void fill_radii(const struct wall_search *s, double mm)
{
    for (uint32_t n = 0; n < s->p->phases * CARDIAC_WAYS; n++)
        s->endo[n] = (float)mm;
}

// Contours around the present centre. walls: what is judged of them; NULL: inner contours only.
static bool search_walls(struct wall_search *s, struct cardiac_wall *walls)
{
    expect_anything(s);
    if (!find_all_endo(s))
        return false;
    expect(s, s->endo, 1);
    if (!find_all_endo(s))
        return false;
    if (!walls)
        return true;
    if (!find_all_epi(s))
        return false;
    expect(s, s->endo, s->p->phases >= 8 ? 2 : 1);
    for (uint32_t phase = 0; phase < s->p->phases; phase++)
        judge_wall(s, phase, &walls[phase]);
    expect_wall(s);
    const bool ok = find_all_endo(s);
    s->wall_known = false;
    return ok && find_all_epi(s);
}

static bool walls_at(const struct cardiac_cine *c, uint32_t slice, struct wall_search *s,
                     double ratio, bool outer, struct cardiac_slice *out)
{
    struct cardiac_polar p;
    bool ok = cardiac_polar_sample(c, slice, out->centre, &p);
    s->p = &p;
    ok =
        ok && cardiac_polar_scale(&p, s->endo, ratio) && search_walls(s, outer ? out->walls : NULL);
    for (uint32_t phase = 0; ok && outer && phase < p.phases; phase++) {
        struct cardiac_wall *wall = &out->walls[phase];
        memcpy(wall->endo, s->endo + (size_t)phase * CARDIAC_WAYS, sizeof wall->endo);
        memcpy(wall->epi, s->epi + (size_t)phase * CARDIAC_WAYS, sizeof wall->epi);
        wall->pool_mm2 = cardiac_contour_mm2(wall->endo);
        wall->muscle_mm2 = cardiac_contour_mm2(wall->epi) - wall->pool_mm2;
    }
    out->blood = 0;
    for (uint32_t w = 0; w < CARDIAC_WAYS; w++)
        out->blood += p.blood[w] / CARDIAC_WAYS;
    out->muscle = ratio * out->blood;
    double mm[2] = {0, 0};
    if (ok && !outer)
        drift(s, mm);
    for (int a = 0; a < 2; a++)
        out->centre[a] += mm[a] / c->mm[a];
    cardiac_polar_finish(&p);
    return ok;
}

double cardiac_wall_blur(const struct cardiac_cine *c)
{
    return blur_pixels * fmin(c->mm[0], c->mm[1]);
}

bool cardiac_walls_find(const struct cardiac_cine *c, uint32_t slice, const double guess_mm[2],
                        double ratio, struct cardiac_slice *out)
{
    const size_t count = (size_t)c->phases[slice] * CARDIAC_WAYS;
    const struct cardiac_polar phases = {.phases = c->phases[slice]};
    struct wall_search s = {.p = &phases,
                            .blur_mm = cardiac_wall_blur(c),
                            .low_mm = guess_part[0] * guess_mm[0],
                            .high_mm = guess_part[1] * guess_mm[1]};
    s.cost = malloc((size_t)CARDIAC_WAYS * CARDIAC_RADII * sizeof *s.cost);
    s.endo = malloc(count * sizeof *s.endo);
    s.epi = malloc(count * sizeof *s.epi);
    s.prior = malloc(count * sizeof *s.prior);
    bool ok = s.cost && s.endo && s.epi && s.prior;
    if (ok) {
        fill_radii(&s, guess_mm[0]);
        ok = walls_at(c, slice, &s, ratio, false, out) && walls_at(c, slice, &s, ratio, true, out);
    }
    free(s.prior);
    free(s.epi);
    free(s.endo);
    free(s.cost);
    return ok;
}
