#include "compute/stages/dsc/dsc.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/image/kind.h"
#include "compute/image/load.h"
#include "compute/stages/dsc/dsc_curves.h"
#include "compute/stages/dsc/dsc_report.h"
#include "compute/stages/perfusion/perfusion_axis.h"
#include "compute/stages/perfusion/perfusion_tissue.h"

// ---- What the analysis is told, and what it takes for granted -----------------------------------

enum { P_OSCILLATION, P_SMOOTH, P_CLUSTER, P_SCALE, P_LEAKAGE, P_HEMATOCRIT, P_DENSITY, P_COUNT };

static const struct stage_param dsc_params[P_COUNT] = {
    // As `perfusion` has it, for the same deconvolution.
    [P_OSCILLATION] = {"oscillation", "", "Highest oscillation index of a residue function.",
                       PARAM_NUMBER, 0.01, 0.5, 0.095, NULL, NULL, NULL},
    [P_SMOOTH] = {"smooth_mm", "mm", "Standard deviation of the Gaussian within slices.",
                  PARAM_NUMBER, 0, 6, 1.5, NULL, NULL, NULL},
    [P_CLUSTER] = {"cluster_ml", "mL", "Smaller pieces of late tissue do not count.", PARAM_NUMBER,
                   0, 10, 1, NULL, NULL, NULL},
    [P_SCALE] = {"scale_artery", "", "Whether an artery is enlarged to the area of the vein.",
                 PARAM_BOOL, 0, 1, 1, NULL, NULL, NULL},
    [P_LEAKAGE] = {"leakage", "", "Whether CBV is corrected for leakage of contrast agent.",
                   PARAM_BOOL, 0, 1, 0, NULL, NULL, NULL},
    // (1 - 0.45) / (1 - 0.25): hematocrit of large and of small vessels.
    [P_HEMATOCRIT] = {"hematocrit_factor", "", "Part of plasma in large by that in small vessels.",
                      PARAM_NUMBER, 0.5, 1, 0.733, NULL, NULL, NULL},
    [P_DENSITY] = {"density", "g/mL", "Density of brain.", PARAM_NUMBER, 1, 1.1, 1.04, NULL, NULL,
                   NULL},
};

static const double dsc_pixel_mm = 1.8; // of the work grid, about
static const double te_min_ms = 10;     // shorter ones weigh by T1, in which the signal rises
static const uint32_t dsc_points_min = 20;
static const double dsc_step_max_s = 3, dsc_gap_max_s = 8, dsc_length_min_s = 30;
static const double brain_share = 0.2;   // of the 99th percentile of the signal: less is air
static const double signal_least = 0.02; // of the same: less is noise
static const uint32_t first_max = 5;     // points before the magnetisation is steady
static const double steady_share = 0.03; // of the signal: a change that such points have
static const double dsc_arrival_share = 0.05, dsc_rise_min = 0.5; // 1/s, of the brain's mean
static const double artery_noise_least = 10;
static const double tail_most = 0.6;  // of the peak, at the end
static const double gone_rate = 2.3;  // TE times the peak: a tenth of the signal is left
static const double vessel_times = 3; // of the median area: more is a vessel
static const double weak_noise = 4;   // peak of a smoothed curve by its noise: less is noise
static const double brain_least_ml = 50;
static const double leak_tmax_s = 3;  // later curves have not the shape of the mean one
static const double leak_rate = 0.01; // 1/s: tests/phantom/dsc.py has 0.003 where nothing leaks
static const double scale_most = 2;

struct dsc_job {
    const struct stage_run *run;
    struct findings *f;
    struct err *err;
    const struct param_value *p;
    struct arena *arena;
    const struct image *v;
    struct dsc_result r;
    struct perfusion_vessels vessels;
    struct perfusion_axis axis;
    size_t voxels;
    double *mean;  // [points] 1/s, of the brain
    float *values; // of one point
    float *area, *peak;
    float *mended; // area with what leaked; NULL: not known
    float *weight; // smoothed mask
    uint8_t *brain, *tissue;
    double least; // signal
    struct gpu_volume *scanned, *curves, *smooth, *blocks;
    struct gpu_mask *mask;
};

#define DSC_REFUSED(j, ...) (findings_refuse((j)->f, VERDICT_NOT_EVALUABLE, __VA_ARGS__), false)

static bool no_dsc_memory(const struct dsc_job *j)
{
    return err_set(j->err, ERR_NOMEM, "dsc: no memory");
}

// ---- The scan -----------------------------------------------------------------------------------

static bool number_of_all(struct dsc_job *j, const char *keyword, double *out)
{
    struct image_said said;
    image_said(j->run->set, j->v, keyword, &said);
    if (image_number(j->run->set, j->v, keyword, out) == IMAGE_ATTR_SAME && *out > 0)
        return true;
    return DSC_REFUSED(j, "%s is not one number in all images: %s", keyword, said.text);
}

static bool check_dsc_scan(struct dsc_job *j)
{
    const struct image *v = j->v;
    struct image_nature nature;
    char text[320];
    image_nature(j->run->set, v, &nature);
    if (nature.kind > IMAGE_MIXED)
        return DSC_REFUSED(j, "%s: its values are no signal as acquired",
                           image_nature_text(&nature, text, sizeof text));
    if (v->dim[3] < 2)
        return DSC_REFUSED(j, "one image of each place: a perfusion scan has them in time");
    if (v->axis != IMAGE_TIME || !v->at)
        return DSC_REFUSED(j, "%s: they are not told apart by time",
                           image_points_text(v, text, sizeof text));
    if (v->dim[3] < dsc_points_min)
        return DSC_REFUSED(j, "%u points in time (at least %u)", v->dim[3], dsc_points_min);
    if (v->missing)
        return DSC_REFUSED(j, "%u of %u images are missing", v->missing, v->dim[2] * v->dim[3]);
    if (!(v->spacing[2] > 0))
        return DSC_REFUSED(j, "the distance between slices is not known");
    if (!number_of_all(j, "RepetitionTime", &j->r.tr_ms) ||
        !number_of_all(j, "EchoTime", &j->r.te_ms))
        return false;
    if (j->r.te_ms < te_min_ms)
        return DSC_REFUSED(j,
                           "Echo Time is %g ms (at least %g ms): not weighted by T2*, in which "
                           "contrast agent lowers the signal",
                           j->r.te_ms, te_min_ms);
    return true;
}

static bool make_dsc_grid(struct dsc_job *j)
{
    const struct image *v = j->v;
    struct dsc_result *r = &j->r;
    gpu_shrink_factors(v->spacing, dsc_pixel_mm, r->factor);
    r->factor[1] = r->factor[0];
    r->factor[2] = 1;
    for (int a = 0; a < 3; a++) {
        r->dim[a] = (v->dim[a] + r->factor[a] - 1) / r->factor[a];
        r->spacing[a] = v->spacing[a] * r->factor[a];
    }
    r->points = v->dim[3];
    j->voxels = (size_t)r->dim[0] * r->dim[1] * r->dim[2];
    j->mean = arena_alloc(j->arena, r->points, sizeof *j->mean);
    j->values = arena_alloc(j->arena, j->voxels, sizeof *j->values);
    j->brain = arena_alloc(j->arena, j->voxels, 1);
    j->tissue = arena_alloc(j->arena, j->voxels, 1);
    j->weight = arena_alloc(j->arena, j->voxels, sizeof *j->weight);
    if (!j->mean || !j->values || !j->brain || !j->tissue || !j->weight)
        return no_dsc_memory(j);
    j->blocks = gpu_volume_create(j->run->gpu, r->dim, r->spacing, GPU_VOXEL_F32, j->err);
    j->scanned =
        j->blocks ? perfusion_planes(j->run->gpu, r->dim, r->spacing, r->points, j->err) : NULL;
    return j->scanned != NULL;
}

static int dsc_rising(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double dsc_voxel_ml(const struct dsc_job *j)
{
    return j->r.spacing[0] * j->r.spacing[1] * j->r.spacing[2] / 1000;
}

// Brain: the largest piece of what has signal in the first point, with its holes.
static bool find_dsc_brain(struct dsc_job *j)
{
    float *sorted = malloc((j->voxels + 1) * sizeof *sorted);
    uint64_t count = 0;
    if (!sorted)
        return no_dsc_memory(j);
    memcpy(sorted, j->values, j->voxels * sizeof *sorted);
    qsort(sorted, j->voxels, sizeof *sorted, dsc_rising);
    const double high = (double)sorted[(j->voxels - 1) * 99 / 100];
    free(sorted);
    j->least = signal_least * high;
    if (!(j->least > 0))
        return DSC_REFUSED(j, "no signal in the first images");
    struct gpu_mask *solid = gpu_mask_threshold(j->blocks, brain_share * high, 1e30, j->err);
    struct gpu_mask *piece =
        solid ? gpu_mask_keep_largest(solid, 1, CONNECT_6, &count, j->err) : NULL;
    j->mask = piece ? gpu_mask_fill_holes(piece, j->err) : NULL;
    gpu_mask_destroy(piece);
    gpu_mask_destroy(solid);
    if (!j->mask || !gpu_mask_read(j->mask, j->brain, j->err))
        return false;
    j->r.brain_ml = (double)count * dsc_voxel_ml(j);
    return j->r.brain_ml >= brain_least_ml ||
           DSC_REFUSED(j, "%.0f mL of brain found (at least %.0f mL)", j->r.brain_ml,
                       brain_least_ml);
}

static bool load_dsc(struct dsc_job *j)
{
    const double rate = 1000 / j->r.te_ms;
    for (uint32_t p = 0; p < j->r.points; p++) {
        if (!stage_step(j->run, "decoding", 0.5 * p / j->r.points, j->err))
            return false;
        struct gpu_volume *value =
            image_load(j->run->gpu, j->run->set, j->v, p, j->v->type, j->err);
        const bool ok =
            value &&
            perfusion_put(j->scanned, j->r.points, p, value, j->r.factor, j->blocks, j->err) &&
            gpu_volume_read(j->blocks, 0, j->r.dim[2], j->values, j->err);
        gpu_volume_destroy(value);
        if (!ok || (p == 0 && !find_dsc_brain(j)))
            return false;
        double count = 0;
        for (size_t n = 0; n < j->voxels; n++) {
            j->mean[p] -= j->brain[n] ? rate * log(fmax((double)j->values[n], j->least)) : 0;
            count += j->brain[n];
        }
        j->mean[p] /= count;
    }
    return true;
}

// Points at the beginning whose magnetisation is not steady yet.
static bool find_first(struct dsc_job *j)
{
    const double limit = steady_share * 1000 / j->r.te_ms;
    uint32_t n = first_max;
    while (n > 0) {
        const double *m = j->mean + n;
        if (fabs(m[-1] - (m[0] + m[1] + m[2]) / 3) > limit)
            break;
        n--;
    }
    j->r.first = n;
    for (uint32_t p = 0; p < n; p++) {
        struct exclusion *e = findings_add_exclusion(j->f);
        if (!e)
            return no_dsc_memory(j);
        e->what = arena_printf(j->f->arena, "point %u of %u", p + 1, j->r.points);
        e->reason = "the signal is not steady yet";
        if (!e->what)
            return no_dsc_memory(j);
    }
    return true;
}

static bool make_dsc_axis(struct dsc_job *j)
{
    struct dsc_result *r = &j->r;
    const size_t cells = (size_t)r->points * r->dim[2];
    uint8_t *use = arena_alloc(j->arena, cells, 1);
    const struct perfusion_times times = {r->points, r->dim[2], j->v->at, use};
    const char *why = NULL;
    if (!use)
        return no_dsc_memory(j);
    for (size_t n = 0; n < cells; n++)
        use[n] = n / r->dim[2] >= r->first;
    if (!perfusion_axis_make(&times, j->arena, &j->axis, &why))
        return why ? DSC_REFUSED(j, "%s", why) : no_dsc_memory(j);
    r->steps = j->axis.steps;
    r->step_s = j->axis.step_s;
    r->start_s = j->axis.start_s;
    const double length = (r->steps - 1) * r->step_s;
    if (j->axis.interval_s > dsc_step_max_s)
        return DSC_REFUSED(j, "an image of each place every %.1f s (limit %.1f s)",
                           j->axis.interval_s, dsc_step_max_s);
    if (j->axis.widest_s > dsc_gap_max_s)
        return DSC_REFUSED(j, "%.1f s without an image (limit %.1f s)", j->axis.widest_s,
                           dsc_gap_max_s);
    if (length < dsc_length_min_s)
        return DSC_REFUSED(j, "the scan lasts %.0f s (at least %.0f s)", length, dsc_length_min_s);
    return true;
}

static bool find_dsc_arrival(struct dsc_job *j)
{
    struct dsc_result *r = &j->r;
    double rise = 0, base = 0;
    r->brain_curve = arena_alloc(j->arena, r->steps, sizeof *r->brain_curve);
    if (!r->brain_curve)
        return no_dsc_memory(j);
    for (uint32_t n = 0; n < r->steps; n++) {
        const float *at = j->axis.at + (size_t)n * 4;
        const double a = j->mean[(uint32_t)at[0]], b = j->mean[(uint32_t)at[1]];
        r->brain_curve[n] = a + (b - a) * (double)at[2];
    }
    r->before = perfusion_baseline(r->brain_curve, r->steps, dsc_arrival_share, 0, &rise);
    double fall = 0; // from the first steps to the lowest one
    for (uint32_t n = 0; n < r->steps; n++)
        fall = fmax(fall, (r->brain_curve[0] + r->brain_curve[1] + r->brain_curve[2]) / 3 -
                              r->brain_curve[n]);
    if (rise < dsc_rise_min && fall >= dsc_rise_min)
        return DSC_REFUSED(
            j, "no baseline: R2* of the brain falls by %.2f /s from the first steps on", fall);
    if (rise < dsc_rise_min)
        return DSC_REFUSED(j, "no bolus: R2* of the brain rises by %.2f /s only (limit %.2f /s)",
                           rise, dsc_rise_min);
    if (r->before < 2)
        return DSC_REFUSED(j, "no baseline: contrast is there from step %u on (limit 3)",
                           r->before + 1);
    for (uint32_t n = 0; n < r->before; n++)
        base += r->brain_curve[n] / r->before;
    for (uint32_t n = 0; n < r->steps; n++)
        r->brain_curve[n] -= base;
    return true;
}

// ---- Curves -------------------------------------------------------------------------------------

static double mask_of_ml(const struct dsc_job *j, const uint8_t *mask)
{
    double count = 0;
    for (size_t n = 0; n < j->voxels; n++)
        count += mask[n];
    return count * dsc_voxel_ml(j);
}

static bool replace_mask(struct dsc_job *j, const uint8_t *bytes)
{
    gpu_mask_destroy(j->mask);
    j->mask = gpu_mask_write(j->run->gpu, j->r.dim, j->r.spacing, bytes, j->err);
    return j->mask != NULL;
}

// Signal to change of R2* in even steps; voxels whose signal is gone at some time are left out.
static bool make_dsc_curves(struct dsc_job *j)
{
    struct dsc_result *r = &j->r;
    if (!dsc_rate(j->scanned, r->points, j->mask, r->te_ms / 1000, j->least, j->blocks, j->err) ||
        !gpu_volume_read(j->blocks, 0, r->dim[2], j->values, j->err))
        return false;
    for (size_t n = 0; n < j->voxels; n++) {
        const bool gone = j->brain[n] && j->values[n] > 0;
        j->brain[n] = j->brain[n] && !gone;
        r->broken_ml += gone ? dsc_voxel_ml(j) : 0;
    }
    j->curves = perfusion_planes(j->run->gpu, r->dim, r->spacing, r->steps, j->err);
    return j->curves && replace_mask(j, j->brain) &&
           perfusion_enhance(j->scanned, r->points, j->mask, j->axis.at, r->steps, r->before,
                             j->curves, j->blocks, j->err);
}

static bool read_dsc(struct dsc_job *j, const struct gpu_volume *v, float **values)
{
    *values = arena_alloc(j->arena, j->voxels, sizeof **values);
    return *values ? gpu_volume_read(v, 0, j->r.dim[2], *values, j->err) : no_dsc_memory(j);
}

// Of the squares before the bolus; weight: each value divided by it.
static double dsc_noise(const struct dsc_job *j, const float *square, const uint8_t *mask,
                        const float *weight)
{
    const double steps = j->r.before;
    double sum = 0, count = 0;
    for (size_t n = 0; n < j->voxels; n++) {
        const double w = weight ? (double)weight[n] : 1;
        if (!mask[n] || !(w > 0))
            continue;
        sum += (double)square[n] / (w * w);
        count++;
    }
    return count > 0 ? sqrt(sum / count * steps / fmax(steps - 1, 1)) : 0;
}

static bool check_dsc_vessels(struct dsc_job *j)
{
    struct dsc_result *r = &j->r;
    const struct perfusion_vessel *a = &j->vessels.artery, *v = &j->vessels.vein;
    if (a->peak < artery_noise_least * r->noise)
        return DSC_REFUSED(j,
                           "low contrast: the artery rises by %.1f /s at a noise of %.2f /s (at "
                           "least %.0f times)",
                           a->peak, r->noise, artery_noise_least);
    if (a->curve[r->steps - 1] > tail_most * a->peak)
        return DSC_REFUSED(j,
                           "truncated: the scan ends at %.0f %% of the peak of the artery (limit "
                           "%.0f %%)",
                           100 * a->curve[r->steps - 1] / a->peak, 100 * tail_most);
    if (v->count && v->area > scale_most * a->area)
        return DSC_REFUSED(
            j, "no good artery: that found has %.2f of the area of the vein (at least %.2f)",
            a->area / v->area, 1 / scale_most);
    if (!v->count)
        findings_add_warning(j->f, "No vein found: the artery is not corrected for partial volume");
    if (a->peak * r->te_ms / 1000 > gone_rate)
        findings_add_warning(
            j->f, "At the peak of the artery less than a tenth of its signal is left: its "
                  "curve may be cut off, and flow and volume too high");
    r->artery_scale = j->p[P_SCALE].truth && v->count && v->area > a->area ? v->area / a->area : 1;
    r->vessels = &j->vessels;
    return true;
}

static bool find_dsc_vessels(struct dsc_job *j)
{
    struct dsc_result *r = &j->r;
    struct perfusion_shape shape = {0};
    const char *why = "";
    float *square = NULL;
    bool ok = perfusion_shape_of(j->curves, j->mask, r->steps, r->before, &shape, j->err) &&
              read_dsc(j, shape.square, &square) && read_dsc(j, shape.sum, &j->area);
    r->noise = ok ? dsc_noise(j, square, j->brain, NULL) : 0;
    ok = ok && perfusion_vessels_find(j->curves, &shape, r->steps, r->before, r->noise, j->arena,
                                      &j->vessels, &why, j->err);
    perfusion_shape_finish(&shape);
    if (!ok)
        return false;
    if (!j->vessels.artery.count)
        return DSC_REFUSED(j, "no artery: %s (highest peak %.1f /s, noise %.2f /s)", why,
                           j->vessels.highest, r->noise);
    return check_dsc_vessels(j);
}

// Tissue is brain without vessels, by the median of the areas.
static bool find_dsc_tissue(struct dsc_job *j)
{
    float *sorted = malloc((j->voxels + 1) * sizeof *sorted);
    size_t count = 0;
    if (!sorted)
        return no_dsc_memory(j);
    for (size_t n = 0; n < j->voxels; n++) {
        if (j->brain[n])
            sorted[count++] = j->area[n];
    }
    qsort(sorted, count, sizeof *sorted, dsc_rising);
    const double most = count ? vessel_times * (double)sorted[(count - 1) / 2] : 0;
    free(sorted);
    for (size_t n = 0; n < j->voxels; n++) {
        const bool vessel = j->brain[n] && (double)j->area[n] > most;
        j->tissue[n] = j->brain[n] && !vessel;
        j->r.vessels_ml += vessel ? dsc_voxel_ml(j) : 0;
    }
    return replace_mask(j, j->tissue) &&
           perfusion_enhance(j->scanned, j->r.points, j->mask, j->axis.at, j->r.steps, j->r.before,
                             j->curves, j->blocks, j->err);
}

// Smoothed within slices, of tissue only: each voxel is to be divided by its weight.
static bool smooth_dsc(struct dsc_job *j)
{
    struct dsc_result *r = &j->r;
    r->smooth_mm = j->p[P_SMOOTH].number;
    const double sigma[3] = {r->smooth_mm, r->smooth_mm, 0};
    for (size_t n = 0; n < j->voxels; n++)
        j->weight[n] = j->tissue[n];
    struct gpu_volume *flat =
        gpu_volume_write(j->run->gpu, r->dim, r->spacing, GPU_VOXEL_F32, j->weight, j->err);
    struct gpu_volume *weight = flat ? gpu_volume_smooth(flat, sigma, j->err) : NULL;
    const bool ok = weight && gpu_volume_read(weight, 0, r->dim[2], j->weight, j->err);
    gpu_volume_destroy(weight);
    gpu_volume_destroy(flat);
    j->smooth = ok ? gpu_volume_smooth(j->curves, sigma, j->err) : NULL;
    return j->smooth != NULL;
}

// ---- Leakage ------------------------------------------------------------------------------------

// The mean curve of tissue whose end is within its noise of the baseline: it does not leak.
static bool mean_unleaking(struct dsc_job *j, const float *square, double *mean)
{
    struct dsc_result *r = &j->r;
    const size_t plane = (size_t)r->dim[0] * r->dim[1];
    const uint32_t last = r->steps / 10 > 0 ? r->steps / 10 : 1;
    float *values = malloc(plane * r->steps * sizeof *values);
    double count = 0;
    bool ok = values || no_dsc_memory(j);
    for (uint32_t k = 0; ok && k < r->dim[2]; k++) {
        ok = gpu_volume_read(j->smooth, k * r->steps, (k + 1) * r->steps, values, j->err);
        for (size_t n = 0; ok && n < plane; n++) {
            const size_t at = k * plane + n;
            double tail = 0;
            for (uint32_t s = r->steps - last; s < r->steps; s++)
                tail += (double)values[s * plane + n] / last;
            // A part of the peak besides: without noise all would leak.
            const double limit = sqrt((double)square[at]) + 0.1 * (double)j->peak[at];
            if (!j->tissue[at] || fabs(tail) > limit)
                continue;
            for (uint32_t s = 0; s < r->steps; s++)
                mean[s] += (double)values[s * plane + n] / (double)j->weight[at];
            count++;
        }
    }
    for (uint32_t s = 0; ok && s < r->steps; s++)
        mean[s] = count > 0 ? mean[s] / count : 0;
    r->unleaking_ml = count * dsc_voxel_ml(j);
    free(values);
    return ok;
}

static bool measure_leakage(struct dsc_job *j, const float *square)
{
    struct dsc_result *r = &j->r;
    double *mean = arena_alloc(j->arena, r->steps, sizeof *mean);
    struct gpu_volume *k2 = NULL;
    if (!mean)
        return no_dsc_memory(j);
    if (!mean_unleaking(j, square, mean))
        return false;
    if (r->unleaking_ml < brain_least_ml) {
        findings_add_warning(j->f,
                             "Leakage is not known: %.0f mL of tissue end at their baseline (at "
                             "least %.0f mL)",
                             r->unleaking_ml, brain_least_ml);
        return true;
    }
    const struct dsc_leak leak = {mean, r->steps, r->step_s, r->before};
    k2 = gpu_volume_create(j->run->gpu, r->dim, r->spacing, GPU_VOXEL_F32, j->err);
    const bool ok = k2 && dsc_leak_of(j->smooth, j->mask, &leak, k2, j->blocks, j->err) &&
                    read_dsc(j, k2, &r->k2) && read_dsc(j, j->blocks, &j->mended);
    gpu_volume_destroy(k2);
    return ok;
}

// ---- Maps ---------------------------------------------------------------------------------------

static bool deconvolve_dsc(struct dsc_job *j, struct perfusion_flow *flow)
{
    const uint32_t steps = j->r.steps;
    struct perfusion_cut cut = {.levels = PERFUSION_LEVELS_MAX,
                                .oscillation = j->p[P_OSCILLATION].number};
    struct perfusion_inverse inverse = {0};
    for (uint32_t n = 0; n < cut.levels; n++)
        cut.share[n] = 0.05 * (n + 1);
    double *artery = arena_alloc(j->arena, steps, sizeof *artery);
    bool ok = artery || no_dsc_memory(j);
    for (uint32_t n = j->r.before; ok && n < steps; n++)
        artery[n] = j->r.artery_scale * j->vessels.artery.curve[n];
    ok = ok && (perfusion_invert(artery, steps, j->r.step_s, &cut, &inverse) || no_dsc_memory(j));
    ok = ok && perfusion_flow_of(j->smooth, j->mask, &inverse, &cut, flow, j->err);
    perfusion_inverse_finish(&inverse);
    return ok;
}

// Curves that are noise have no values.
static void scale_dsc(struct dsc_job *j, double noise)
{
    struct dsc_result *r = &j->r;
    const double area = r->artery_scale * j->vessels.artery.area;
    for (size_t n = 0; n < j->voxels; n++) {
        const double w = (double)j->weight[n];
        const bool weak = j->tissue[n] && !((double)j->peak[n] / w >= weak_noise * noise);
        r->weak_ml += weak ? dsc_voxel_ml(j) : 0;
        if (!j->tissue[n] || weak) {
            j->tissue[n] = 0;
            r->flow[n] = r->volume[n] = r->transit[n] = r->tmax[n] = r->peak_time[n] = NAN;
            if (r->k2)
                r->k2[n] = NAN;
            continue;
        }
        const double tmax = (double)r->tmax[n] * r->step_s;
        const bool known = r->k2 && tmax <= leak_tmax_s;
        const float *sums = known && r->corrected ? j->mended : j->area;
        const double cbf = fmax(60 * r->per_100_g * (double)r->flow[n] / w, 0);
        const double cbv = fmax(r->per_100_g * (double)sums[n] / w / area, 0);
        r->flow[n] = (float)cbf;
        r->volume[n] = (float)cbv;
        r->transit[n] = cbf > 0 ? (float)(60 * cbv / cbf) : NAN;
        r->tmax[n] = (float)tmax;
        r->peak_time[n] *= (float)r->step_s;
        if (r->k2)
            r->k2[n] = known ? r->k2[n] / (float)w : NAN;
    }
    r->tissue_ml = mask_of_ml(j, j->tissue);
}

static bool make_dsc_maps(struct dsc_job *j)
{
    struct dsc_result *r = &j->r;
    struct perfusion_shape shape = {0};
    struct perfusion_flow flow = {0};
    float *square = NULL;
    r->corrected = j->p[P_LEAKAGE].truth;
    r->per_100_g = 100 * j->p[P_HEMATOCRIT].number / j->p[P_DENSITY].number;
    bool ok = smooth_dsc(j) &&
              perfusion_shape_of(j->smooth, j->mask, r->steps, r->before, &shape, j->err) &&
              read_dsc(j, shape.square, &square) && read_dsc(j, shape.peak, &j->peak) &&
              read_dsc(j, shape.sum, &j->area) && read_dsc(j, shape.when, &r->peak_time);
    perfusion_shape_finish(&shape);
    ok = ok && stage_step(j->run, "deconvolution", 0.6, j->err) && deconvolve_dsc(j, &flow) &&
         read_dsc(j, flow.peak, &r->flow) && read_dsc(j, flow.when, &r->tmax);
    perfusion_flow_finish(&flow);
    ok = ok && measure_leakage(j, square);
    if (!ok)
        return false;
    r->volume = arena_alloc(j->arena, j->voxels, sizeof *r->volume);
    r->transit = arena_alloc(j->arena, j->voxels, sizeof *r->transit);
    if (!r->volume || !r->transit)
        return no_dsc_memory(j);
    scale_dsc(j, dsc_noise(j, square, j->tissue, j->weight));
    return r->tissue_ml >= brain_least_ml ||
           DSC_REFUSED(j,
                       "low contrast: %.0f mL of tissue rise to %.0f times the noise (at least "
                       "%.0f mL)",
                       r->tissue_ml, weak_noise, brain_least_ml);
}

// Pieces of tissue that leak, and what that means. Single voxels are noise.
static bool find_leaking(struct dsc_job *j, uint32_t least)
{
    struct dsc_result *r = &j->r;
    uint8_t *leaking = arena_alloc(j->arena, j->voxels, 1);
    uint64_t dropped = 0;
    if (!leaking)
        return no_dsc_memory(j);
    for (size_t n = 0; r->k2 && n < j->voxels; n++)
        leaking[n] = (double)r->k2[n] > leak_rate; // NAN is not
    if (!perfusion_clean(j->mask, least, leaking, &dropped, j->err))
        return false;
    r->leak_ml = mask_of_ml(j, leaking);
    if (r->leak_ml > 0 && !r->corrected)
        findings_add_warning(j->f,
                             "%.0f mL of tissue leak (K2 above %.2f /s): their CBV is too low; the "
                             "option leakage corrects it",
                             r->leak_ml, leak_rate);
    return true;
}

static bool measure_late(struct dsc_job *j)
{
    struct dsc_result *r = &j->r;
    // ./run evaluate dsc: without noise; with noise of 1.4 % of the signal and images every 2 s.
    findings_add_warning(j->f, "Flow is too low and transit times are too long, by a sixth where "
                               "there is no noise and by two fifths with noise: for comparison of "
                               "sides only");
    const uint32_t least = (uint32_t)ceil(j->p[P_CLUSTER].number / dsc_voxel_ml(j));
    uint64_t dropped = 0;
    r->late = arena_alloc(j->arena, j->voxels, 1);
    if (!r->late)
        return no_dsc_memory(j);
    for (size_t n = 0; n < j->voxels; n++)
        r->late[n] = j->tissue[n] && (double)r->tmax[n] > dsc_late_s;
    if (!replace_mask(j, j->tissue) || !perfusion_clean(j->mask, least, r->late, &dropped, j->err))
        return false;
    r->dropped_ml = (double)dropped * dsc_voxel_ml(j);
    r->late_ml = mask_of_ml(j, r->late);
    return find_leaking(j, least);
}

// ---- The row ------------------------------------------------------------------------------------

static bool analyse_dsc(struct dsc_job *j)
{
    return check_dsc_scan(j) && make_dsc_grid(j) && load_dsc(j) && find_first(j) &&
           make_dsc_axis(j) && find_dsc_arrival(j) &&
           stage_step(j->run, "finding artery and vein", 0.5, j->err) && make_dsc_curves(j) &&
           find_dsc_vessels(j) && find_dsc_tissue(j) && make_dsc_maps(j) &&
           stage_step(j->run, "measuring", 0.8, j->err) && measure_late(j);
}

static enum stage_end run_dsc(const struct stage_run *run, struct findings *out, struct err *err)
{
    struct dsc_job j = {.run = run, .f = out, .err = err, .p = run->params, .arena = run->arena};
    out->page.title = "Brain perfusion (DSC-MR)";
    out->procedure = (struct code){"25056-3", "LN", "MRI unspecified body region"};
    j.v = stage_stack_with_gaps(run, 0, out, &j.r.image);
    if (!j.v)
        return STAGE_REFUSED;
    const bool ok = analyse_dsc(&j);
    gpu_volume_destroy(j.scanned);
    gpu_volume_destroy(j.curves);
    gpu_volume_destroy(j.smooth);
    gpu_volume_destroy(j.blocks);
    gpu_mask_destroy(j.mask);
    if (!ok)
        return out->verdict == VERDICT_NOT_EVALUABLE ? STAGE_REFUSED : STAGE_BROKEN;
    return dsc_report(out, run, &j.r, err) ? STAGE_DONE : STAGE_BROKEN;
}

static const struct stage_accept dsc_accepts[] = {{"Modality", "MR"}, {"EchoTime", ">= 10"}, {0}};
static const struct stage_input_spec dsc_inputs[] = {
    {"scan", "T2*-weighted MR of the head in time, with a bolus of contrast agent", INPUT_MANY,
     IMAGE_TIME, true, dsc_accepts, NULL},
};
static const struct kernel_group *const dsc_groups[] = {
    &kernels_smooth,    &kernels_masks, &kernels_ball, &kernels_components,
    &kernels_perfusion, &kernels_dsc,   NULL};

const struct stage stage_dsc = {
    .name = "dsc",
    .title = "Brain perfusion by DSC-MR",
    .version = "3",
    .slot = 7,
    .priority = STAGE_URGENT,
    .help = "Blood flow and volume, transit time, delay and leakage from DSC-MR.",
    .scope = SCOPE_STUDY,
    .inputs = dsc_inputs,
    .input_count = 1,
    .results = RESULT_SR | RESULT_GSPS | RESULT_SC | RESULT_SEG | RESULT_PMAP,
    .report = REPORT_MEASUREMENTS,
    .params = dsc_params,
    .param_count = P_COUNT,
    .kernels = dsc_groups,
    .run = run_dsc,
};
