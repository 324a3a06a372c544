#include "compute/stages/perfusion/perfusion_vessels.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CLUSTERS 5  // Mouridsen
#define ROUNDS   12 // of k-means; it settles in fewer

static const double peak_share = 0.3;       // of the highest peak: what may be a vessel
static const double peak_noise = 8;         // standard deviations: lower peaks may be chance
static const double irregular_share = 0.75; // of the curves that stay: Mouridsen
static const double area_share = 0.7;       // of the largest area: what may be the vein
static const double vein_share = 0.85; // of the largest area there: less is vein and tissue in one
// Of the peak: what is lower does not count for a first moment, which noise in the tail of a curve
// would move by more than arteries and veins are apart.
static const double moment_share = 0.25;
static const double later_s_steps = 1; // steps: a vein is at least so much later
static const uint32_t candidates_max = 4096;
static const uint32_t cluster_least = 3; // voxels of an artery
static const double top_share = 0.999; // quantile that stands for the highest: a few voxels may be
                                       // metal or motion

struct candidate {
    uint32_t at[3];
    float *curve; // [steps]
    double peak, area, moment;
    double rough; // how far it goes up and down, by twice its peak: 1 of one even bolus
    int cluster;
};

struct search {
    const struct gpu_volume *curves;
    uint32_t steps, before;
    const uint32_t *dim;
    float *peak, *sum; // of the grid
    struct candidate *list;
    uint32_t count;
    double limit, area_limit; // peak and area from which on a curve is a candidate
};

void perfusion_vessel_measure(struct perfusion_vessel *v, uint32_t steps, uint32_t before)
{
    double moment = 0, weight = 0;
    v->peak = v->area = v->width = 0;
    v->top = 0;
    for (uint32_t n = before; n < steps; n++) {
        v->area += v->curve[n];
        v->top = v->curve[n] > v->curve[v->top] ? n : v->top;
    }
    v->peak = v->curve[v->top];
    for (uint32_t n = before; n < steps; n++) {
        const double part = v->curve[n] > moment_share * v->peak ? v->curve[n] : 0;
        moment += n * part;
        weight += part;
    }
    v->moment = weight > 0 ? moment / weight : 0;
    for (uint32_t n = 0; n < steps; n++)
        v->width += v->curve[n] > v->peak / 2;
}

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

// The value that `share` of the positive ones do not exceed.
static double curve_quantile(const float *values, size_t count, double share, struct arena *arena)
{
    float *sorted = arena_alloc(arena, count + 1, sizeof *sorted);
    size_t n = 0;
    for (size_t i = 0; sorted && i < count; i++) {
        if (values[i] > 0)
            sorted[n++] = values[i];
    }
    if (!n)
        return 0;
    qsort(sorted, n, sizeof *sorted, by_value);
    return (double)sorted[(size_t)(share * (double)(n - 1))];
}

static void describe_curve(struct candidate *c, const struct search *s)
{
    double moment = 0, weight = 0;
    c->area = c->rough = 0;
    for (uint32_t n = s->before; n < s->steps; n++) {
        const double v = (double)c->curve[n], part = v > moment_share * c->peak ? v : 0;
        c->area += v;
        moment += n * part;
        weight += part;
    }
    c->moment = moment / weight;
    for (uint32_t n = 1; n < s->steps; n++)
        c->rough += fabs((double)c->curve[n] - (double)c->curve[n - 1]) / (2 * c->peak);
}

// The candidates of one slice, whose curves are read at once.
static bool gather_slice(struct search *s, uint32_t k, float *planes, struct arena *arena,
                         struct err *err)
{
    const size_t area = (size_t)s->dim[0] * s->dim[1];
    bool read = false;
    for (size_t p = 0; p < area && s->count < candidates_max; p++) {
        const size_t at = k * area + p;
        if ((double)s->peak[at] < s->limit && (double)s->sum[at] < s->area_limit)
            continue;
        if (!read && !gpu_volume_read(s->curves, k * s->steps, (k + 1) * s->steps, planes, err))
            return false;
        read = true;
        struct candidate *c = &s->list[s->count];
        c->curve = arena_alloc(arena, s->steps, sizeof *c->curve);
        if (!c->curve)
            return err_set(err, ERR_NOMEM, "perfusion: curves of vessels");
        for (uint32_t n = 0; n < s->steps; n++)
            c->curve[n] = planes[n * area + p];
        c->at[0] = (uint32_t)(p % s->dim[0]);
        c->at[1] = (uint32_t)(p / s->dim[0]);
        c->at[2] = k;
        c->peak = (double)s->peak[at];
        describe_curve(c, s);
        s->count += c->area > 0 && (double)s->sum[at] > 0;
    }
    return true;
}

static int by_rough(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    return (x->rough > y->rough) - (x->rough < y->rough);
}

static int by_moment(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    return (x->moment > y->moment) - (x->moment < y->moment);
}

static int by_peak_down(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    return (x->peak < y->peak) - (x->peak > y->peak);
}

static int by_area_down(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    return (x->area < y->area) - (x->area > y->area);
}

static double apart(const float *curve, double area, const double *centre, uint32_t steps)
{
    double sum = 0;
    for (uint32_t n = 0; n < steps; n++) {
        const double d = (double)curve[n] / area - centre[n];
        sum += d * d;
    }
    return sum;
}

// New centres from the members. A cluster without members keeps its centre.
static void settle(const struct candidate *list, uint32_t count, uint32_t steps, double *centres)
{
    for (int c = 0; c < CLUSTERS; c++) {
        double *centre = centres + (size_t)c * steps;
        uint32_t members = 0;
        for (uint32_t i = 0; i < count; i++)
            members += list[i].cluster == c;
        for (uint32_t n = 0; members && n < steps; n++) {
            centre[n] = 0;
            for (uint32_t i = 0; i < count; i++) {
                if (list[i].cluster == c)
                    centre[n] += (double)list[i].curve[n] / list[i].area / members;
            }
        }
    }
}

// k-means of curves of area 1, from quantiles of the first moment. The list is sorted by moment.
static bool cluster(struct candidate *list, uint32_t count, uint32_t steps, struct arena *arena)
{
    double *centres = arena_alloc(arena, (size_t)CLUSTERS * steps, sizeof *centres);
    if (!centres)
        return false;
    for (uint32_t i = 0; i < count; i++)
        list[i].cluster = (int)((uint64_t)i * CLUSTERS / count);
    for (int round = 0; round < ROUNDS; round++) {
        settle(list, count, steps, centres);
        for (uint32_t i = 0; i < count; i++) {
            double best = INFINITY;
            for (int c = 0; c < CLUSTERS; c++) {
                const double d =
                    apart(list[i].curve, list[i].area, centres + (size_t)c * steps, steps);
                if (d < best) {
                    best = d;
                    list[i].cluster = c;
                }
            }
        }
    }
    return true;
}

// Moves the members of the earliest cluster to the front; returns how many they are.
static uint32_t earliest(struct candidate *list, uint32_t count)
{
    int best = -1;
    double best_moment = INFINITY;
    for (int c = 0; c < CLUSTERS; c++) {
        double moment = 0;
        uint32_t members = 0;
        for (uint32_t i = 0; i < count; i++) {
            if (list[i].cluster == c) {
                moment += list[i].moment;
                members++;
            }
        }
        if (members >= cluster_least && moment / members < best_moment) {
            best_moment = moment / members;
            best = c;
        }
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (list[i].cluster == best) {
            const struct candidate c = list[i];
            list[i] = list[kept];
            list[kept++] = c;
        }
    }
    return kept;
}

// The mean of the first voxels of a list.
static bool average(const struct candidate *list, uint32_t count, const struct search *s,
                    struct arena *arena, struct perfusion_vessel *v)
{
    v->curve = arena_alloc(arena, s->steps, sizeof *v->curve);
    if (!v->curve)
        return false;
    v->count = count < PERFUSION_VESSEL_VOXELS ? count : PERFUSION_VESSEL_VOXELS;
    for (uint32_t i = 0; i < v->count; i++) {
        memcpy(v->voxels[i], list[i].at, sizeof list[i].at);
        for (uint32_t n = 0; n < s->steps; n++)
            v->curve[n] += (double)list[i].curve[n] / v->count;
    }
    perfusion_vessel_measure(v, s->steps, s->before);
    return true;
}

static bool find_artery(struct search *s, struct arena *arena, struct perfusion_vessel *v)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->list[i].peak >= s->limit) {
            const struct candidate c = s->list[i];
            s->list[i] = s->list[count];
            s->list[count++] = c;
        }
    }
    if (count < cluster_least)
        return true;
    qsort(s->list, count, sizeof *s->list, by_rough);
    const uint32_t smooth = (uint32_t)(irregular_share * count);
    count = smooth > cluster_least ? smooth : cluster_least;
    for (int round = 0; round < 2 && count > (uint32_t)CLUSTERS * cluster_least; round++) {
        qsort(s->list, count, sizeof *s->list, by_moment);
        if (!cluster(s->list, count, s->steps, arena))
            return false;
        const uint32_t kept = earliest(s->list, count);
        count = kept ? kept : count;
    }
    qsort(s->list, count, sizeof *s->list, by_peak_down);
    return average(s->list, count, s, arena, v);
}

static bool find_vein(struct search *s, struct arena *arena, const struct perfusion_vessel *artery,
                      struct perfusion_vessel *v)
{
    double largest = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->list[i].moment > artery->moment + later_s_steps) {
            const struct candidate c = s->list[i];
            s->list[i] = s->list[count];
            s->list[count++] = c;
            largest = fmax(largest, c.area);
        }
    }
    qsort(s->list, count, sizeof *s->list, by_area_down);
    while (count && s->list[count - 1].area < vein_share * largest)
        count--;
    return count < cluster_least || average(s->list, count, s, arena, v);
}

// ---- The other artery ---------------------------------------------------------------------------

static const double place_mm = 10;    // within: voxels of one artery, branches included
static const double other_peak = 0.5; // of the artery's: lower ones are mostly tissue

// First moment of what rises above a quarter of the peak, so that no step enters it at once.
static double soft_moment(const double *curve, double peak, uint32_t before, uint32_t steps)
{
    double moment = 0, weight = 0;
    for (uint32_t n = before; n < steps; n++) {
        const double part = fmax(curve[n] - moment_share * peak, 0);
        moment += n * part;
        weight += part;
    }
    return weight > 0 ? moment / weight : 0;
}

// What may be an artery goes to the front of the list, the highest first: high, smooth, and not
// nearer to the vein in time. Returns how many.
static uint32_t gather_early(struct search *s, const struct perfusion_vessels *found)
{
    const double peak = fmax(s->limit, other_peak * found->artery.peak);
    const double late = found->vein.count ? (found->artery.moment + found->vein.moment) / 2
                                          : found->artery.moment + found->artery.width / 2;
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->list[i].peak >= peak && s->list[i].moment <= late) {
            const struct candidate c = s->list[i];
            s->list[i] = s->list[count];
            s->list[count++] = c;
        }
    }
    qsort(s->list, count, sizeof *s->list, by_rough);
    count = (uint32_t)(irregular_share * count);
    qsort(s->list, count, sizeof *s->list, by_peak_down);
    return count;
}

// Those within place_mm of the first go to the front. Returns how many.
static uint32_t gather_place(struct candidate *list, uint32_t count, const double spacing[3])
{
    const struct candidate first = list[0];
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        double square = 0;
        for (int a = 0; a < 3; a++) {
            const double mm = ((double)list[i].at[a] - first.at[a]) * spacing[a];
            square += mm * mm;
        }
        if (square <= place_mm * place_mm) {
            const struct candidate c = list[i];
            memmove(list + kept + 1, list + kept, (i - kept) * sizeof *list); // keeps their order
            list[kept++] = c;
        }
    }
    return kept;
}

static bool find_other(struct search *s, const double spacing[3], struct arena *arena,
                       struct perfusion_vessels *out)
{
    uint32_t left = gather_early(s, out);
    struct candidate *list = s->list;
    const double moment = soft_moment(out->artery.curve, out->artery.peak, s->before, s->steps);
    while (left >= cluster_least) {
        struct perfusion_vessel v = {0};
        const uint32_t count = gather_place(list, left, spacing);
        if (count >= cluster_least) {
            if (!average(list, count, s, arena, &v))
                return false;
            const double later = soft_moment(v.curve, v.peak, s->before, s->steps) - moment;
            if (fabs(later) > fabs(out->other_later)) {
                out->other = v;
                out->other_later = later;
            }
        }
        list += count;
        left -= count;
    }
    return true;
}

bool perfusion_vessels_find(const struct gpu_volume *curves, const struct perfusion_shape *shape,
                            uint32_t steps, uint32_t before, double noise, struct arena *arena,
                            struct perfusion_vessels *out, const char **why, struct err *err)
{
    const uint32_t *dim = shape->peak->dim;
    const size_t area = (size_t)dim[0] * dim[1], voxels = area * dim[2];
    struct search s = {.curves = curves, .steps = steps, .before = before, .dim = dim};
    float *planes = malloc(area * steps * sizeof *planes);
    s.peak = arena_alloc(arena, voxels, sizeof *s.peak);
    s.sum = arena_alloc(arena, voxels, sizeof *s.sum);
    s.list = arena_alloc(arena, candidates_max, sizeof *s.list);
    *out = (struct perfusion_vessels){0};
    *why = "";
    bool ok = (planes && s.peak && s.sum && s.list) ||
              err_set(err, ERR_NOMEM, "perfusion: no memory for vessels");
    ok = ok && gpu_volume_read(shape->peak, 0, dim[2], s.peak, err) &&
         gpu_volume_read(shape->sum, 0, dim[2], s.sum, err);
    if (ok) {
        out->highest = curve_quantile(s.peak, voxels, top_share, arena);
        s.limit = fmax(peak_share * out->highest, peak_noise * noise);
        s.area_limit = area_share * curve_quantile(s.sum, voxels, top_share, arena);
        s.area_limit = s.area_limit > 0 ? s.area_limit : INFINITY;
    }
    for (uint32_t k = 0; ok && k < dim[2]; k++)
        ok = gather_slice(&s, k, planes, arena, err);
    free(planes);
    if (!ok)
        return false;
    out->candidates = s.count;
    if (!find_artery(&s, arena, &out->artery) ||
        (out->artery.count && (!find_vein(&s, arena, &out->artery, &out->vein) ||
                               !find_other(&s, shape->peak->spacing, arena, out))))
        return err_set(err, ERR_NOMEM, "perfusion: no memory for vessels");
    if (!out->artery.count)
        *why = "no curve looks like that of an artery";
    return true;
}
