#include "compute/stages/cardiac/cardiac_segments.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- What is seen in a direction ----------------------------------------------------------------

// Of q (0 muscle, 1 blood of the left ventricle), halfway between both.
static const double blood_level = 0.5;
static const double start_mm = 4;     // beyond the outer contour, where the blood must have begun
static const double depth_mm = 8;     // a right ventricle is deeper; a rim of fat seldom is
static const double edge_seen = 0.35; // of q: the edge of the pool, as in cardiac_wall.c
static const double outside_seen = 0.12; // of q: the edge of what lies around the wall
static const double muscle_most = 0.45;  // of q, either side of 0: what is muscle

struct view {                  // of a slice at a phase
    float thick[CARDIAC_WAYS]; // mm
    bool seen[CARDIAC_WAYS];   // both edges, and muscle between them
    bool right[CARDIAC_WAYS];  // blood deeper than a rim of fat outside
};

// The sample that a distance lies in.
static int sample_at(double mm)
{
    return (int)(mm / CARDIAC_STEP_MM);
}

static double level_at(const float *q, int n)
{
    return (double)q[n < 0 ? 0 : n < CARDIAC_RADII ? n : CARDIAC_RADII - 1];
}

// One sample at least.
static double mean_level(const float *q, double from_mm, double to_mm)
{
    const int first = sample_at(from_mm), end = sample_at(to_mm);
    double sum = level_at(q, first);
    for (int n = first + 1; n < end; n++)
        sum += level_at(q, n);
    return sum / (end > first ? end - first : 1);
}

static bool right_ventricle_at(const float *q, double epi)
{
    const int first = sample_at(epi), deep = sample_at(depth_mm) + 1;
    int run = 0;
    for (int n = 0; n < sample_at(start_mm) + deep && run < deep; n++)
        run = level_at(q, first + n) > blood_level ? run + 1 : 0;
    return run >= deep;
}

static bool edges_seen(const float *q, double endo, double epi)
{
    const double third = (epi - endo) / 3;
    const double wall = mean_level(q, endo + third, epi - third);
    const double pool = mean_level(q, fmax(endo - 4.2, 0), fmax(endo - 1.4, 0));
    const double outside = mean_level(q, epi + 1.4, epi + 4.2);
    return pool - fmax(wall, 0) > edge_seen && fabs(wall) < muscle_most &&
           fabs(outside - wall) > outside_seen;
}

// The wall across, not along the direction: its middle is oblique to it where its radius changes.
static double across(const struct cardiac_wall *wall, uint32_t way)
{
    const uint32_t before = (way + CARDIAC_WAYS - 1) % CARDIAC_WAYS,
                   after = (way + 1) % CARDIAC_WAYS;
    const double radius = (double)(wall->endo[way] + wall->epi[way]) / 2;
    const double change =
        (double)(wall->endo[after] + wall->epi[after] - wall->endo[before] - wall->epi[before]) /
        2 / (4 * M_PI / CARDIAC_WAYS);
    return (double)(wall->epi[way] - wall->endo[way]) * radius / hypot(radius, change);
}

static void look(const struct cardiac_polar *p, uint32_t phase, const struct cardiac_wall *wall,
                 struct view *out)
{
    for (uint32_t w = 0; w < CARDIAC_WAYS; w++) {
        const float *q = p->q + ((size_t)phase * CARDIAC_WAYS + w) * CARDIAC_RADII;
        const double endo = (double)wall->endo[w], epi = (double)wall->epi[w];
        out->thick[w] = (float)across(wall, w);
        out->seen[w] = edges_seen(q, endo, epi);
        out->right[w] = right_ventricle_at(q, epi);
    }
}

// Of the slices that count: at end diastole, and at end systole where they count there too.
struct views {
    const struct cardiac_ventricle *v;
    bool *at[2]; // [slices]
    struct view *of[2];
};

static bool look_at_slice(const struct cardiac_cine *c, struct views *s, uint32_t k)
{
    const struct cardiac_part *part = &s->v->part[k];
    float *radius = malloc((size_t)part->phases * CARDIAC_WAYS * sizeof *radius);
    struct cardiac_polar p = {0};
    for (uint32_t phase = 0; radius && phase < part->phases; phase++)
        memcpy(radius + (size_t)phase * CARDIAC_WAYS, part->s.walls[phase].endo,
               sizeof part->s.walls[phase].endo);
    const bool ok = radius && cardiac_polar_sample(c, k, part->s.centre, &p) &&
                    cardiac_polar_scale(&p, radius, s->v->ratio);
    for (int n = 0; ok && n < 2; n++) {
        const uint32_t point = n ? s->v->es : s->v->ed;
        const uint32_t phase = cardiac_phase_of(part, s->v->points, point);
        s->at[n][k] = cardiac_counts(s->v, k, point);
        if (s->at[n][k])
            look(&p, phase, &part->s.walls[phase], &s->of[n][k]);
    }
    cardiac_polar_finish(&p);
    free(radius);
    return ok;
}

// ---- Where the right ventricle is inserted ------------------------------------------------------

static const double arc_least = 50, arc_most = 190; // degrees; the septum has about 120
static const double off_most = 75;                  // degrees from where a septum is
static const double spread_most = 25;               // degrees
static const uint32_t gap_most = 2;                 // directions of 5.6 degrees
static const uint32_t slices_least = 2;

static double degrees(double radians)
{
    return radians * 180 / M_PI;
}

// a - b, -pi to pi.
static double turned(double a, double b)
{
    return remainder(a - b, 2 * M_PI);
}

static double whole_turn(double angle)
{
    const double rest = fmod(angle, 2 * M_PI);
    return rest < 0 ? rest + 2 * M_PI : rest;
}

// The arc of directions that at least half of the slices see, the widest whose middle is where a
// septum can be. False: none.
static bool widest_arc(const double *part, double expected, double *from, double *to)
{
    double widest = 0;
    for (uint32_t start = 0; start < CARDIAC_WAYS; start++) {
        bool fresh = part[start] >= 0.5;
        for (uint32_t n = 1; fresh && n <= gap_most + 1; n++)
            fresh = part[(start + CARDIAC_WAYS - n) % CARDIAC_WAYS] < 0.5;
        if (!fresh)
            continue;
        uint32_t last = 0, gap = 0;
        for (uint32_t n = 1; n < CARDIAC_WAYS && gap <= gap_most; n++) {
            gap = part[(start + n) % CARDIAC_WAYS] >= 0.5 ? 0 : gap + 1;
            last = gap == 0 ? n : last;
        }
        const double step = 2 * M_PI / CARDIAC_WAYS, width = (last + 1) * step;
        const double middle = (start + 0.5 * last) * step;
        if (width > widest && degrees(fabs(turned(middle, expected))) <= off_most) {
            widest = width;
            *from = (start - 0.5) * step;
            *to = *from + width;
        }
    }
    return widest > 0;
}

// The direction in the slice in which the septum lies, roughly: to the right and the front.
static double expected_septum(const double columns[3], const double rows[3])
{
    static const double septum[3] = {-0.707, -0.707, 0};
    double x = 0, y = 0;
    for (int a = 0; a < 3; a++) {
        x += septum[a] * columns[a];
        y += septum[a] * rows[a];
    }
    return atan2(y, x);
}

// How far a direction points to the anterior wall: to the head, the left and the front.
static double anterior_part(const double columns[3], const double rows[3], double angle)
{
    static const double anterior[3] = {0.41, -0.41, 0.82};
    double sum = 0;
    for (int a = 0; a < 3; a++)
        sum += anterior[a] * (cos(angle) * columns[a] + sin(angle) * rows[a]);
    return sum;
}

static bool right_at(const struct views *s, uint32_t k, uint32_t way)
{
    return s->at[0][k] && s->of[0][k].right[way];
}

// How far the middles of single slices lie from that of all. Fewer slices than two: NAN.
static double septum_spread(const struct views *s, const struct cardiac_segments *out,
                            double expected)
{
    double sum = 0, part[CARDIAC_WAYS];
    uint32_t count = 0;
    for (uint32_t n = 0; n < 2; n++) {
        for (uint32_t k = out->first[n]; k < out->first[n] + out->count[n]; k++) {
            double from, to;
            for (uint32_t w = 0; w < CARDIAC_WAYS; w++)
                part[w] = right_at(s, k, w);
            if (!widest_arc(part, expected, &from, &to) || degrees(to - from) < arc_least / 2)
                continue;
            const double off = turned((from + to) / 2, out->septum);
            sum += off * off;
            count++;
        }
    }
    return count >= slices_least ? sqrt(sum / count) : NAN;
}

static const char *find_insertions(const struct views *s, const double columns[3],
                                   const double rows[3], struct cardiac_segments *out)
{
    const double expected = expected_septum(columns, rows);
    double part[CARDIAC_WAYS] = {0}, from, to;
    uint32_t slices = 0;
    for (uint32_t n = 0; n < 2; n++) { // below the middle the right ventricle ends
        for (uint32_t k = out->first[n]; k < out->first[n] + out->count[n]; k++, slices++) {
            for (uint32_t w = 0; w < CARDIAC_WAYS; w++)
                part[w] += right_at(s, k, w);
        }
    }
    for (uint32_t w = 0; slices && w < CARDIAC_WAYS; w++)
        part[w] /= slices;
    if (!widest_arc(part, expected, &from, &to))
        return "no right ventricle was found beside the wall";
    if (degrees(to - from) < arc_least || degrees(to - from) > arc_most)
        return "what is bright beside the wall is too narrow or too wide for a right ventricle";
    out->septum = whole_turn((from + to) / 2);
    out->spread = septum_spread(s, out, expected);
    if (!(degrees(out->spread) <= spread_most))
        return "slices differ in where the right ventricle is";
    const bool grows = anterior_part(columns, rows, to) > anterior_part(columns, rows, from);
    out->turn = grows ? 1 : -1;
    out->anterior = whole_turn(grows ? to : from);
    out->inferior = whole_turn(grows ? from : to);
    return NULL;
}

// ---- Segments -----------------------------------------------------------------------------------

static const double seen_least =
    1 / 3.0; // of the directions of a segment: papillary muscles hide the rest

// Index of a segment, from the middle of the septum towards the anterior wall.
static uint32_t segment_of(const struct cardiac_segments *s, int third, uint32_t way)
{
    static const uint32_t six[6] = {1, 0, 5, 4, 3, 2}, four[4] = {13, 12, 15, 14};
    const double angle = 2 * M_PI * way / CARDIAC_WAYS;
    const uint32_t sectors = third < 2 ? 6 : 4;
    if (s->unknown)
        return 6 * (uint32_t)third + (uint32_t)(angle / (2 * M_PI) * sectors) % sectors;
    const double rest = whole_turn(s->turn * (angle - s->septum) + (third < 2 ? 0 : M_PI / 4));
    const uint32_t sector = (uint32_t)(rest / (2 * M_PI) * sectors) % sectors;
    return third < 2 ? 6 * (uint32_t)third + six[sector] : four[sector];
}

// What the mean radius of the pool changes by towards the apex, by the distance of slices: where it
// is more, near the apex, a slice cuts the wall so obliquely that it cannot be told how thick it
// is.
static const double oblique_most = 0.6; // tests/phantom/cardiac.py: 0.5 is right, 0.7 is 4 mm short

static bool is_oblique(const struct cardiac_ventricle *v, uint32_t k)
{
    const bool base_first = v->basal == v->base;
    if (k == v->basal)
        return false;
    double radius[2];
    for (int n = 0; n < 2; n++) {
        const struct cardiac_part *part = &v->part[n ? k : base_first ? k - 1 : k + 1];
        const uint32_t phase = cardiac_phase_of(part, v->points, v->ed);
        radius[n] = sqrt(part->s.walls[phase].pool_mm2 / M_PI);
    }
    return (radius[0] - radius[1]) / v->gap_mm > oblique_most;
}

static void measure_third(const struct views *s, int third, struct cardiac_segments *out)
{
    double sum[2][CARDIAC_SEGMENTS] = {{0}};
    uint32_t seen[2][CARDIAC_SEGMENTS] = {{0}}, all[CARDIAC_SEGMENTS] = {0};
    bool oblique = false;
    for (uint32_t k = out->first[third]; k < out->first[third] + out->count[third]; k++) {
        if (!s->at[0][k] || !s->at[1][k])
            continue;
        if (is_oblique(s->v, k)) {
            oblique = true;
            continue;
        }
        for (uint32_t w = 0; w < CARDIAC_WAYS; w++) {
            const uint32_t n = segment_of(out, third, w);
            all[n]++;
            for (int e = 0; e < 2; e++) {
                seen[e][n] += s->of[e][k].seen[w];
                sum[e][n] += s->of[e][k].seen[w] ? (double)s->of[e][k].thick[w] : 0;
            }
        }
    }
    const uint32_t first = 6 * (uint32_t)third, last = third < 2 ? first + 6 : CARDIAC_SEGMENTS;
    for (uint32_t n = first; n < last; n++) {
        struct cardiac_segment *g = &out->segment[n];
        *g = (struct cardiac_segment){.ed_mm = NAN, .es_mm = NAN, .thickening = NAN};
        if (all[n] == 0) {
            g->why = oblique
                         ? "the wall is too oblique to the slices"
                         : "no slice of this third has contours at end diastole and end systole";
        } else if (seen[0][n] < seen_least * all[n] || seen[1][n] < seen_least * all[n]) {
            g->why = "the edges of the wall are seen in less than a third of it";
        } else {
            g->ed_mm = sum[0][n] / seen[0][n];
            g->es_mm = sum[1][n] / seen[1][n];
            g->thickening = 100 * (g->es_mm / g->ed_mm - 1);
        }
    }
}

// Thirds of the slices that count at end diastole, from the base on.
static void find_thirds(const struct cardiac_ventricle *v, struct cardiac_segments *out)
{
    uint32_t first = v->slices, last = 0;
    for (uint32_t k = v->base; k <= v->apex; k++) {
        if (!cardiac_counts(v, k, v->ed))
            continue;
        first = first == v->slices ? k : first;
        last = k;
    }
    const bool base_first = v->basal == v->base;
    const uint32_t all = first == v->slices ? 0 : last - first + 1;
    for (uint32_t n = 0; n < all; n++) {
        const uint32_t third = 3 * (2 * n + 1) / (2 * all);
        const uint32_t k = base_first ? first + n : last - n;
        if (out->count[third] == 0 || k < out->first[third])
            out->first[third] = k;
        out->count[third]++;
    }
}

bool cardiac_segments_find(const struct cardiac_cine *c, const struct cardiac_ventricle *v,
                           const double columns[3], const double rows[3],
                           struct cardiac_segments *out)
{
    struct views s = {.v = v};
    bool ok = true;
    *out = (struct cardiac_segments){
        .anterior = NAN, .inferior = NAN, .septum = NAN, .spread = NAN, .turn = 1};
    for (int n = 0; n < 2; n++) {
        s.at[n] = calloc(v->slices, sizeof *s.at[n]);
        s.of[n] = calloc(v->slices, sizeof *s.of[n]);
        ok = ok && s.at[n] && s.of[n];
    }
    for (uint32_t k = v->base; ok && k <= v->apex; k++)
        ok = look_at_slice(c, &s, k);
    if (ok) {
        find_thirds(v, out);
        out->unknown = find_insertions(&s, columns, rows, out);
        if (out->unknown)
            out->anterior = out->inferior = out->septum = out->spread = NAN;
        for (int third = 0; third < 3; third++)
            measure_third(&s, third, out);
    }
    for (int n = 0; n < 2; n++) {
        free(s.of[n]);
        free(s.at[n]);
    }
    return ok;
}
