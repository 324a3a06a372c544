#include "compute/stages/mammo/mammo_calc.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/stages/mammo/mammo_spot.h"

static const double pixel_max_mm = 0.11; // coarser pixels show no calcification of 0.3 mm
static const double circle_mm = 5.6419;  // radius of 1 cm2
static const double link_mm = 5;         // between neighbours of one cluster
enum { LEAST = 3, HULL_POINTS = 8 };
static const double margin_mm = 1; // of the outline around its calcifications
// Both ways from the corner to the centre of a cluster. A breast seldom fills a corner but the one
// above the muscle.
static const double corner_mm = 10;
// A vessel's calcifications lie along it: a chain that long, and so many times longer than wide; or
// most of them in a row with those around. Phantom seeds 100 to 139 have at least half of them in
// such rows along vessels, and no more than 0.4 of them in clusters.
static const double chain_mm = 15, chain_times = 6;
static const double row_times = 3, row_share = 0.5;
enum { ROW_LEAST = 4 }; // fewer are in a row by chance
// Or its walls show as pieces of lines beside them: at least so many, and so many for one
// calcification. A real film with calcified vessels (4 to 6 pieces beside 3 to 10) gave it.
enum { LINES_LEAST = 2 };
static const double lines_share = 1.0 / 3;

// The logistic model: weights set by hand so far, fitted to no set of cases, so that its output
// orders marks and is no chance of cancer.
static const double w_constant = -5.5, w_count = 1.6, w_contrast = 0.25;
static const double contrast_cap = 15; // more is no likelier

struct group {
    uint32_t n;
    double contrast, x, y;      // median; centroid, pixels
    double length_mm, width_mm; // four deviations
};

static bool near_spots(const struct mammo_spot *a, const struct mammo_spot *b, double px)
{
    const double x = (double)a->x - (double)b->x, y = (double)a->y - (double)b->y;
    return x * x + y * y <= px * px;
}

static void link_spot(struct mammo_spot *list, uint32_t n, const bool *dense, double px,
                      uint32_t *stack, uint32_t seed, int cluster)
{
    uint32_t top = 0;
    stack[top++] = seed;
    list[seed].cluster = cluster;
    while (top) {
        const uint32_t i = stack[--top];
        for (uint32_t k = 0; k < n; k++) {
            if (list[k].line || list[k].cluster >= 0 || !near_spots(&list[i], &list[k], px))
                continue;
            list[k].cluster = cluster;
            if (dense[k]) // those at the edge do not lead on
                stack[top++] = k;
        }
    }
}

// Clusters are numbered from 0; what is in none stays at -1. Returns how many, -1 without memory.
static int group_spots(struct mammo_spot *list, uint32_t n, double mm)
{
    uint32_t *stack = malloc((n + 1) * sizeof *stack);
    bool *dense = calloc(n + 1, sizeof *dense);
    int clusters = 0;
    for (uint32_t i = 0; stack && dense && i < n; i++) {
        uint32_t near = 0;
        for (uint32_t k = 0; k < n; k++)
            near += !list[k].line && near_spots(&list[i], &list[k], circle_mm / mm);
        dense[i] = !list[i].line && near >= LEAST;
    }
    for (uint32_t i = 0; stack && dense && i < n; i++) {
        if (dense[i] && list[i].cluster < 0)
            link_spot(list, n, dense, link_mm / mm, stack, i, clusters++);
    }
    const bool ok = stack && dense;
    free(dense);
    free(stack);
    return ok ? clusters : -1;
}

static void measure_group(const struct mammo_calc *calcs, uint32_t n, double mm, float *scratch,
                          struct group *g)
{
    double xx = 0, yy = 0, xy = 0;
    *g = (struct group){.n = n};
    for (uint32_t i = 0; i < n; i++) {
        g->x += (double)calcs[i].x / n;
        g->y += (double)calcs[i].y / n;
        scratch[i] = calcs[i].contrast;
    }
    g->contrast = mammo_share_of(scratch, n, 0.5);
    for (uint32_t i = 0; i < n; i++) {
        const double dx = (double)calcs[i].x - g->x, dy = (double)calcs[i].y - g->y;
        xx += dx * dx / n;
        yy += dy * dy / n;
        xy += dx * dy / n;
    }
    const double half = (xx - yy) / 2, root = sqrt(half * half + xy * xy);
    g->length_mm = 4 * mm * sqrt((xx + yy) / 2 + root);
    g->width_mm = 4 * mm * sqrt(fmax((xx + yy) / 2 - root, 0));
}

// Pieces of lines near any of the calcifications.
static uint32_t lines_beside(const struct mammo_spot *list, uint32_t count, int cluster, double px)
{
    uint32_t lines = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool beside = false;
        for (uint32_t k = 0; list[i].line && !beside && k < count; k++)
            beside = list[k].cluster == cluster && near_spots(&list[i], &list[k], px);
        lines += beside;
    }
    return lines;
}

// Longer than wide by row_times: the calcifications within link_mm of one, itself included.
static bool is_in_row(const struct mammo_calc *calcs, uint32_t n, uint32_t of, double mm)
{
    double count = 0, x = 0, y = 0, xx = 0, yy = 0, xy = 0;
    for (uint32_t k = 0; k < n; k++) {
        const double dx = ((double)calcs[k].x - (double)calcs[of].x) * mm;
        const double dy = ((double)calcs[k].y - (double)calcs[of].y) * mm;
        if (dx * dx + dy * dy > link_mm * link_mm)
            continue;
        count++;
        x += dx;
        y += dy;
        xx += dx * dx;
        yy += dy * dy;
        xy += dx * dy;
    }
    x /= count;
    y /= count;
    xx = xx / count - x * x;
    yy = yy / count - y * y;
    xy = xy / count - x * y;
    const double half = (xx - yy) / 2, root = sqrt(half * half + xy * xy);
    const double length = sqrt((xx + yy) / 2 + root), width = sqrt(fmax((xx + yy) / 2 - root, 0));
    return count >= ROW_LEAST && length > row_times * width;
}

static bool is_along_vessel(const struct group *g, const struct mammo_calc *calcs, uint32_t lines,
                            double mm)
{
    uint32_t rows = 0;
    for (uint32_t i = 0; i < g->n; i++)
        rows += is_in_row(calcs, g->n, i, mm);
    return (g->length_mm > chain_mm && g->length_mm > chain_times * g->width_mm) ||
           rows >= row_share * g->n || (lines >= LINES_LEAST && lines >= lines_share * g->n);
}

static int compare_points(const void *a, const void *b)
{
    const float *p = a, *q = b;
    if (p[0] < q[0] || p[0] > q[0])
        return p[0] < q[0] ? -1 : 1;
    return (p[1] > q[1]) - (p[1] < q[1]);
}

static bool turns_right(const float *o, const float *a, const float *b)
{
    return ((double)a[0] - (double)o[0]) * ((double)b[1] - (double)o[1]) -
               ((double)a[1] - (double)o[1]) * ((double)b[0] - (double)o[0]) <=
           0;
}

// Convex hull of circles around the calcifications (Andrew's monotone chain), inside the image.
static bool make_hull(const struct mammo_picture *p, const struct mammo_calc *calcs, uint32_t n,
                      struct arena *arena, struct mammo_mark *m)
{
    const uint32_t count = n * HULL_POINTS;
    float(*v)[2] = malloc(count * sizeof *v);
    float(*hull)[2] = arena_alloc(arena, 2 * (size_t)count + 2, sizeof *hull);
    uint32_t top = 0;
    for (uint32_t i = 0; v && hull && i < count; i++) {
        const double angle = 6.28318530717959 * (i % HULL_POINTS) / HULL_POINTS;
        const double r = margin_mm / p->pixel_mm;
        const struct mammo_calc *c = &calcs[i / HULL_POINTS];
        v[i][0] = (float)fmin(fmax((double)c->x + r * cos(angle), 0), p->columns);
        v[i][1] = (float)fmin(fmax((double)c->y + r * sin(angle), 0), p->rows);
    }
    const bool ok = v && hull;
    if (ok)
        qsort(v, count, sizeof *v, compare_points);
    for (uint32_t i = 0; ok && i < count; i++) {
        while (top >= 2 && turns_right(hull[top - 2], hull[top - 1], v[i]))
            top--;
        memcpy(hull[top++], v[i], sizeof *v);
    }
    const uint32_t lower = top + 1;
    for (uint32_t i = count; ok && i-- > 1;) { // back to the first point, which closes it
        while (top >= lower && turns_right(hull[top - 2], hull[top - 1], v[i - 1]))
            top--;
        memcpy(hull[top++], v[i - 1], sizeof *v);
    }
    free(v);
    m->outline = ok ? hull[0] : NULL;
    m->outline_count = top;
    return ok;
}

static double cluster_probability(const struct group *g)
{
    const double sum =
        w_constant + w_count * log(g->n) + w_contrast * fmin(g->contrast, contrast_cap);
    return 1 / (1 + exp(-sum));
}

static bool in_corner(const struct mammo_picture *p, const struct group *g)
{
    const double reach = corner_mm / p->pixel_mm;
    return fmin(g->x, p->columns - g->x) < reach && fmin(g->y, p->rows - g->y) < reach;
}

static bool judge_group(const struct stage_run *run, const struct mammo_picture *p,
                        const struct mammo_view *view, const struct mammo_calc *calcs, uint32_t n,
                        uint32_t lines, float *scratch, struct mammo_marks *out, uint32_t *marks,
                        struct err *err)
{
    struct group g;
    uint32_t *rejected = out->rejected[MAMMO_CLUSTER];
    if (n < LEAST) {
        rejected[MAMMO_SPREAD] += n;
        return true;
    }
    measure_group(calcs, n, p->pixel_mm, scratch, &g);
    const double probability = cluster_probability(&g);
    if (is_along_vessel(&g, calcs, lines, p->pixel_mm)) {
        rejected[MAMMO_VESSEL] += n;
        return true;
    }
    if (in_corner(p, &g)) {
        rejected[MAMMO_CORNER] += n;
        return true;
    }
    if (probability < view->cluster_probability) {
        rejected[MAMMO_UNLIKELY] += n;
        return true;
    }
    if (*marks >= MAMMO_MARKS_MAX) {
        out->cut = true;
        return true;
    }
    struct mammo_mark *m = &out->marks[out->mark_count];
    *m = (struct mammo_mark){.kind = MAMMO_CLUSTER,
                             .x = (float)g.x,
                             .y = (float)g.y,
                             .probability = probability,
                             .size_mm = g.length_mm,
                             .contrast = g.contrast,
                             .count = n,
                             .calcs = calcs};
    if (!make_hull(p, calcs, n, run->arena, m))
        return err_set(err, ERR_NOMEM, "mammo: no memory for an outline");
    out->mark_count++;
    (*marks)++;
    return true;
}

static int compare_clusters(const void *a, const void *b)
{
    const struct mammo_mark *x = a, *y = b;
    if (x->probability < y->probability || x->probability > y->probability)
        return x->probability < y->probability ? 1 : -1;
    return x->y < y->y ? -1 : x->y > y->y;
}

static bool judge_spots(const struct stage_run *run, const struct mammo_picture *p,
                        const struct mammo_view *view, struct mammo_spot *list, uint32_t n,
                        struct mammo_marks *out, struct err *err)
{
    const int clusters = group_spots(list, n, p->pixel_mm);
    const uint32_t before = out->mark_count;
    struct mammo_calc *calcs = arena_alloc(run->arena, n + 1, sizeof *calcs);
    float *scratch = malloc((n + 1) * sizeof *scratch);
    bool ok = clusters >= 0 && calcs && scratch;
    uint32_t used = 0, marks = 0;
    if (!ok)
        err_set(err, ERR_NOMEM, "mammo: no memory for clusters");
    for (uint32_t i = 0; i < n; i++)
        out->rejected[MAMMO_CLUSTER][MAMMO_SPREAD] += !list[i].line && list[i].cluster < 0;
    for (int c = 0; ok && c < clusters; c++) {
        const uint32_t first = used;
        for (uint32_t i = 0; i < n; i++) {
            if (list[i].cluster == c)
                calcs[used++] =
                    (struct mammo_calc){list[i].x, list[i].y, list[i].size_mm, list[i].contrast};
        }
        ok =
            judge_group(run, p, view, calcs + first, used - first,
                        lines_beside(list, n, c, link_mm / p->pixel_mm), scratch, out, &marks, err);
    }
    free(scratch);
    if (out->mark_count > before)
        qsort(out->marks + before, out->mark_count - before, sizeof *out->marks, compare_clusters);
    return ok;
}

bool mammo_calc_find(const struct stage_run *run, const struct mammo_picture *p,
                     const struct mammo_breast *b, const struct mammo_view *view,
                     struct mammo_marks *out, struct err *err)
{
    struct mammo_spot *list = NULL;
    uint32_t n = 0;
    if (p->pixel_mm > pixel_max_mm) {
        out->no_clusters = "the pixels are too large for calcifications";
        return true;
    }
    if (!mammo_spots_find(run, p, b, &list, &n, out->rejected[MAMMO_CLUSTER], err))
        return false;
    if (n > MAMMO_SPOTS_MAX) {
        out->no_clusters = "too many bright spots: noise or texture that is not of tissue";
        return true;
    }
    return judge_spots(run, p, view, list, n, out, err);
}
