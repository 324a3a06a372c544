#include "compute/stages/dce/dce_artery.h"
#include <math.h>
#include <stdlib.h>

static const double peak_share = 0.3; // of the highest peak
static const double peak_min_mmol = 0.5;
static const double peak_noise = 10;    // times the noise: the highest of noise is 4
static const double tail_max = 0.7;     // of the peak, in the last tenth of the scan
static const double together_s = 3;     // from the first arteries of a grid to the last
static const uint32_t early_rank = 4;   // the time of the fifth voxel: fewer may be noise
static const uint32_t least_count = 3;  // voxels of an artery, side by side
static const double local_share = 0.85; // of the highest mean peak of 3 x 3 voxels

double dce_artery_population(double t)
{
    static const double area[2] = {0.809, 0.330}, when[2] = {0.17046, 0.365},
                        width[2] = {0.0563, 0.132};
    static const double high = 1.050, decay = 0.1685, steep = 38.078, from = 0.483;
    double sum = high * exp(-decay * t) / (1 + exp(-steep * (t - from)));
    for (int n = 0; n < 2; n++) {
        const double u = (t - when[n]) / width[n];
        sum += area[n] / (width[n] * sqrt(2 * M_PI)) * exp(-u * u / 2);
    }
    return sum;
}

struct candidate {
    size_t at; // voxel
    float peak;
    float *curve; // [points]
    double half_s;
    bool early;
    double local; // mean peak of the early ones around it; 0: too few
};

static int higher_first(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->peak > y->peak || x->peak < y->peak)
        return x->peak > y->peak ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static int earlier_first(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool no_artery_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "dce: no memory for the artery");
}

enum { CANDIDATES = 2000 }; // the highest: more are not looked at

// The voxels with the highest peaks, highest first. NULL: *err is set.
static struct candidate *choose_candidates(const struct dce_artery_wish *wish, const float *peak,
                                           struct arena *arena, uint32_t *count, double *highest,
                                           struct err *err)
{
    const struct gpu_volume *v = wish->curves;
    const size_t voxels = (size_t)v->dim[0] * v->dim[1] * (v->dim[2] / wish->points);
    size_t found = 0;
    *highest = 0;
    for (size_t n = 0; n < voxels; n++)
        *highest = fmax(*highest, (double)peak[n]);
    const double least = fmax(fmax(peak_share * *highest, peak_min_mmol), peak_noise * wish->noise);
    for (size_t n = 0; n < voxels; n++)
        found += (double)peak[n] >= least;
    struct candidate *list = arena_alloc(arena, found + 1, sizeof *list);
    if (!list) {
        no_artery_memory(err);
        return NULL;
    }
    for (size_t n = 0, i = 0; n < voxels; n++) {
        if ((double)peak[n] >= least)
            list[i++] = (struct candidate){.at = n, .peak = peak[n]};
    }
    qsort(list, found, sizeof *list, higher_first);
    *count = found < CANDIDATES ? (uint32_t)found : CANDIDATES;
    return list;
}

static bool read_candidates(const struct dce_artery_wish *wish, struct candidate *list,
                            uint32_t count, struct arena *arena, struct err *err)
{
    const struct gpu_volume *v = wish->curves;
    const size_t plane = (size_t)v->dim[0] * v->dim[1];
    float *values = malloc(plane * wish->points * sizeof *values);
    bool ok = values != NULL || no_artery_memory(err);
    for (uint32_t n = 0; ok && n < count; n++) {
        list[n].curve = arena_alloc(arena, wish->points, sizeof *list[n].curve);
        ok = list[n].curve || no_artery_memory(err);
    }
    for (uint32_t k = 0; ok && k < v->dim[2] / wish->points; k++) {
        ok = gpu_volume_read(v, k * wish->points, (k + 1) * wish->points, values, err);
        for (uint32_t n = 0; ok && n < count; n++) {
            for (uint32_t p = 0; list[n].at / plane == k && p < wish->points; p++)
                list[n].curve[p] = values[p * plane + list[n].at % plane];
        }
    }
    free(values);
    return ok;
}

// When a curve first reaches half its peak.
static double half_time(const struct dce_artery_wish *wish, const struct candidate *c)
{
    const double half = (double)c->peak / 2;
    for (uint32_t p = 1; p < wish->points; p++) {
        const double a = (double)c->curve[p - 1], b = (double)c->curve[p];
        if (b >= half && p >= wish->before)
            return wish->at_s[p - 1] + (wish->at_s[p] - wish->at_s[p - 1]) *
                                           (b > a ? fmax((half - a) / (b - a), 0) : 0);
    }
    return INFINITY;
}

static bool falls_again(const struct dce_artery_wish *wish, const struct candidate *c)
{
    const uint32_t last = wish->points / 10 > 0 ? wish->points / 10 : 1;
    double tail = 0;
    for (uint32_t p = wish->points - last; p < wish->points; p++)
        tail += (double)c->curve[p] / last;
    return tail <= tail_max * (double)c->peak;
}

// Signal over magnetisation for e = 1 - exp(-TR R1): shaders/dce/contrast.comp.
static double signal_of(const struct dce_artery_wish *wish, double e)
{
    const double cosine = cos(wish->seq->flip);
    return e / (1 - cosine + cosine * e);
}

// The signal of a voxel over that before the bolus, from its concentration.
static double relative_signal(const struct dce_artery_wish *wish, double lost, double c)
{
    const struct dce_sequence *s = wish->seq;
    const double now = 1 - (1 - lost) * exp(-c * s->relaxivity * s->tr_s);
    return signal_of(wish, now) / signal_of(wish, lost);
}

// And back. NAN: no relaxation rate gives such a signal.
static double concentration_of(const struct dce_artery_wish *wish, double lost, double ratio)
{
    const struct dce_sequence *s = wish->seq;
    const double cosine = cos(s->flip), part = ratio * signal_of(wish, lost);
    const double e = part * (1 - cosine) / (1 - part * cosine);
    return part < 1 && e < 1 ? (log1p(-lost) - log1p(-e)) / (s->tr_s * s->relaxivity) : NAN;
}

// The concentration of the mean signal of the first ones: a mean of concentrations would be too
// high, as those rise ever faster with the signal, and with its noise.
static bool average_blood(const struct dce_artery_wish *wish, const struct candidate *list,
                          struct dce_artery *out)
{
    const uint32_t columns = wish->curves->dim[0], rows = wish->curves->dim[1];
    double base = 0, lost = 0;
    for (uint32_t i = 0; i < out->count; i++) {
        const size_t at = list[i].at;
        if (i < DCE_ARTERY_SHOWN) {
            out->voxels[i][0] = (uint32_t)(at % columns);
            out->voxels[i][1] = (uint32_t)(at / columns % rows);
            out->voxels[i][2] = (uint32_t)(at / columns / rows);
        }
        base += (double)wish->baseline[at];
        lost += (double)wish->baseline[at] * (double)wish->lost[at];
    }
    lost = wish->blood_t1_s > 0 ? -expm1(-wish->seq->tr_s / wish->blood_t1_s) : lost / base;
    for (uint32_t p = 0; p < wish->points; p++) {
        double sum = 0;
        for (uint32_t i = 0; i < out->count; i++) {
            const size_t at = list[i].at;
            sum += (double)wish->baseline[at] *
                   relative_signal(wish, (double)wish->lost[at], (double)list[i].curve[p]);
        }
        out->blood[p] = concentration_of(wish, lost, sum / base);
        out->top = out->blood[p] > out->blood[out->top] ? p : out->top;
        if (isnan(out->blood[p]))
            return false;
    }
    return true;
}

// Are two voxels of one slice at most one column and one row apart?
static bool side_by_side(const struct gpu_volume *v, size_t a, size_t b)
{
    const size_t columns = v->dim[0], rows = v->dim[1];
    const size_t i = a % columns, j = a / columns % rows;
    const size_t m = b % columns, n = b / columns % rows;
    return a / columns / rows == b / columns / rows && i <= m + 1 && m <= i + 1 && j <= n + 1 &&
           n <= j + 1;
}

// The mean peak of the arteries around each: the highest of single voxels is that of the noise.
static void find_local_peaks(const struct gpu_volume *v, struct candidate *list, uint32_t count)
{
    for (uint32_t n = 0; n < count; n++) {
        uint32_t around = 0;
        list[n].local = 0;
        for (uint32_t m = 0; list[n].early && m < count; m++) {
            if (list[m].early && side_by_side(v, list[n].at, list[m].at)) {
                list[n].local += (double)list[m].peak;
                around++;
            }
        }
        list[n].local = around >= least_count ? list[n].local / around : 0;
    }
}

static int by_local_peak(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->local > y->local || x->local < y->local)
        return x->local > y->local ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static bool choose_artery(const struct dce_artery_wish *wish, struct candidate *list,
                          uint32_t count, struct arena *arena, struct dce_artery *out,
                          const char **why, struct err *err)
{
    double *halves = arena_alloc(arena, count + 1, sizeof *halves);
    if (!halves)
        return no_artery_memory(err);
    uint32_t usable = 0;
    for (uint32_t n = 0; n < count; n++) {
        list[n].half_s = falls_again(wish, &list[n]) ? half_time(wish, &list[n]) : INFINITY;
        if (isfinite(list[n].half_s))
            halves[usable++] = list[n].half_s;
    }
    if (usable < least_count) {
        *why = "no voxel rises high and falls again";
        return false;
    }
    qsort(halves, usable, sizeof *halves, earlier_first);
    const double step = (wish->at_s[wish->points - 1] - wish->at_s[0]) / (wish->points - 1);
    const double first = halves[usable > early_rank ? early_rank : usable - 1];
    for (uint32_t n = 0; n < count; n++)
        list[n].early = list[n].half_s <= first + fmax(step, together_s);
    find_local_peaks(wish->curves, list, count);
    qsort(list, count, sizeof *list, by_local_peak);
    while (out->count < count && list[out->count].local > 0 &&
           list[out->count].local >= local_share * list[0].local)
        out->count++;
    if (!out->count) {
        *why = "voxels that rise high and fall again lie nowhere together";
        return false;
    }
    if (!average_blood(wish, list, out)) {
        *why =
            "the signal of the artery is higher than any relaxation rate gives: its T1 is wrong, "
            "or blood flows in fresh";
        return false;
    }
    return true;
}

bool dce_artery_find(const struct dce_artery_wish *wish, const struct perfusion_shape *shape,
                     struct arena *arena, struct dce_artery *out, const char **why, struct err *err)
{
    const struct gpu_volume *v = shape->peak;
    float *peak = arena_alloc(arena, (size_t)v->dim[0] * v->dim[1] * v->dim[2], sizeof *peak);
    uint32_t count = 0;
    *why = NULL;
    *out = (struct dce_artery){.blood = arena_alloc(arena, wish->points, sizeof *out->blood)};
    if (!peak || !out->blood)
        return no_artery_memory(err);
    if (!gpu_volume_read(v, 0, v->dim[2], peak, err))
        return false;
    struct candidate *list = choose_candidates(wish, peak, arena, &count, &out->highest, err);
    if (!list || !read_candidates(wish, list, count, arena, err))
        return false;
    if (count < least_count) {
        *why = "contrast rises nowhere high enough";
        return false;
    }
    return choose_artery(wish, list, count, arena, out, why, err);
}
