#include "compute/stages/dce/dce.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/image/load.h"
#include "compute/stages/dce/dce_artery.h"
#include "compute/stages/dce/dce_report.h"
#include "compute/stages/dce/dce_scan.h"
#include "compute/stages/perfusion/perfusion_axis.h"
#include "compute/stages/perfusion/perfusion_curves.h"

// ---- What the analysis is told, and what it takes for granted -----------------------------------

enum { P_MODEL, P_ARTERY, P_T1, P_BLOOD_T1, P_RELAXIVITY, P_HEMATOCRIT, P_COUNT };
enum { MODEL_EXTENDED, MODEL_TOFTS };
enum { ARTERY_FOUND, ARTERY_POPULATION };

static const char *const models[] = {"extended", "tofts", NULL};
static const char *const arteries[] = {"found", "population", NULL};
static const struct stage_param dce_params[P_COUNT] = {
    [P_MODEL] = {"model", "", "Tofts' model with plasma of the vessels (extended) or without.",
                 PARAM_CHOICE, 0, 0, MODEL_EXTENDED, models, NULL, NULL},
    [P_ARTERY] = {"artery", "", "Arterial curve: found in the images, or that of a population.",
                  PARAM_CHOICE, 0, 0, ARTERY_FOUND, arteries, NULL, NULL},
    [P_T1] = {"t1_ms", "ms", "T1 of tissue where no flip angles measure it; 0: not evaluable then.",
              PARAM_NUMBER, 0, 5000, 0, NULL, NULL, NULL},
    // Stanisz et al. (Magn Reson Med 2005;54:507) have 1441 ms at 1.5 T, Lu et al. (2004;52:679)
    // 1664 ms at 3 T.
    [P_BLOOD_T1] = {"blood_t1_ms", "ms", "T1 of blood before contrast; 0: that of each voxel.",
                    PARAM_NUMBER, 0, 5000, 0, NULL, NULL, NULL},
    // That of Gd-DTPA at 1.5 T and 37 degrees, which the phantoms of QIBA have.
    [P_RELAXIVITY] = {"relaxivity", "L/(mmol.s)", "Relaxivity r1 of the contrast agent.",
                      PARAM_NUMBER, 1, 20, 4.5, NULL, NULL, NULL},
    [P_HEMATOCRIT] = {"hematocrit", "", "Of large vessels: plasma is the rest of blood.",
                      PARAM_NUMBER, 0, 0.7, 0.45, NULL, NULL, NULL},
};

static const uint64_t curves_bytes_max = 192ULL << 20; // of the curves; else blocks of voxels
static const double signal_share = 0.08;               // of the 99th percentile: less is air
static const uint32_t first_points = 3;                // whose mean that is; a bolus comes later
static const double t1_range_s[2] = {0.05, 8};
static const double arrival_share_dce = 0.05; // of the rise of the mean
static const double rise_share_min = 0.01;    // of the signal before: the mean of all tissue
static const double step_max_dce_s = 20, step_warn_dce_s = 6;
static const double after_min_s = 60; // from the peak of the artery to the end
static const double enhancing_noise = 5, enhancing_min_mmol = 0.02;
static const double vessel_share = 0.5;   // of the peak of the artery
static const uint32_t enhancing_min = 20; // voxels

struct dce_job {
    const struct stage_run *run;
    struct findings *f;
    struct err *err;
    const struct param_value *p;
    struct arena *arena;
    struct dce_scan scan;
    struct dce_result r;
    struct dce_sequence seq;
    size_t voxels;
    double *mean;  // [points] of the signal of all voxels: air adds next to nothing
    float *before; // [voxels] signal before the bolus
    float *values; // of one point
    float *lost;   // [voxels] 1 - exp(-TR / T1); 0: none
    uint8_t *body; // [voxels]
    struct gpu_volume *curves, *blocks, *broken;
    struct gpu_mask *mask;
};

#define DCE_REFUSED(j, ...) (findings_refuse((j)->f, VERDICT_NOT_EVALUABLE, __VA_ARGS__), false)

static bool no_dce_memory(const struct dce_job *j)
{
    return err_set(j->err, ERR_NOMEM, "dce: no memory");
}

// ---- The grid and the curves --------------------------------------------------------------------

// The work grid is that of the image; where its curves take too much memory, blocks of voxels.
static bool make_dce_grid(struct dce_job *j)
{
    const struct image *v = j->scan.v;
    struct dce_result *r = &j->r;
    for (uint32_t factor = 1;; factor++) {
        for (int a = 0; a < 3; a++) {
            r->factor[a] = a < 2 ? factor : 1;
            r->dim[a] = (v->dim[a] + r->factor[a] - 1) / r->factor[a];
            r->spacing[a] = v->spacing[a] * r->factor[a];
        }
        j->voxels = (size_t)r->dim[0] * r->dim[1] * r->dim[2];
        if (j->voxels * v->dim[3] * sizeof(float) <= curves_bytes_max || factor == 32)
            break;
    }
    if (!(r->spacing[2] > 0))
        r->spacing[2] = 1; // of a single slice whose thickness is not known
    j->mean = arena_alloc(j->arena, v->dim[3], sizeof *j->mean);
    j->before = arena_alloc(j->arena, j->voxels, sizeof *j->before);
    j->values = arena_alloc(j->arena, j->voxels, sizeof *j->values);
    j->lost = arena_alloc(j->arena, j->voxels, sizeof *j->lost);
    j->body = arena_alloc(j->arena, j->voxels, 1);
    j->blocks = gpu_volume_create(j->run->gpu, r->dim, r->spacing, GPU_VOXEL_F32, j->err);
    return j->blocks &&
           ((j->mean && j->before && j->values && j->lost && j->body) || no_dce_memory(j));
}

static bool put_image(struct dce_job *j, const struct gpu_volume *planes, uint32_t count,
                      uint32_t n, const struct image *v, uint32_t point)
{
    struct gpu_volume *value = image_load(j->run->gpu, j->run->set, v, point, v->type, j->err);
    const bool ok = value && perfusion_put(planes, count, n, value, j->r.factor, j->blocks, j->err);
    gpu_volume_destroy(value);
    return ok;
}

static int lower_first(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

// What is no air, by the mean of the first points.
static bool find_dce_body(struct dce_job *j)
{
    float *sorted = malloc((j->voxels + 1) * sizeof *sorted);
    if (!sorted)
        return no_dce_memory(j);
    memcpy(sorted, j->before, j->voxels * sizeof *sorted);
    qsort(sorted, j->voxels, sizeof *sorted, lower_first);
    const double least = signal_share * (double)sorted[(j->voxels - 1) * 99 / 100];
    free(sorted);
    if (!(least > 0))
        return DCE_REFUSED(j, "no signal in the first images");
    for (size_t n = 0; n < j->voxels; n++)
        j->body[n] = (double)j->before[n] >= least;
    return true;
}

static bool load_dynamic(struct dce_job *j)
{
    const struct image *v = j->scan.v;
    const uint32_t points = v->dim[3];
    j->curves = perfusion_planes(j->run->gpu, j->r.dim, j->r.spacing, points, j->err);
    for (uint32_t p = 0; p < points; p++) {
        if (!j->curves || !stage_step(j->run, "decoding", 0.5 * p / points, j->err) ||
            !put_image(j, j->curves, points, p, v, p) ||
            !gpu_volume_read(j->blocks, 0, j->r.dim[2], j->values, j->err))
            return false;
        for (size_t n = 0; n < j->voxels; n++) {
            j->mean[p] += (double)j->values[n] / (double)j->voxels;
            j->before[n] += p < first_points ? j->values[n] / (float)first_points : 0;
        }
    }
    return find_dce_body(j);
}

static bool check_times(struct dce_job *j)
{
    const uint32_t points = j->scan.v->dim[3];
    double widest = 0;
    for (uint32_t p = 1; p < points; p++)
        widest = fmax(widest, j->scan.at_s[p] - j->scan.at_s[p - 1]);
    if (widest > step_max_dce_s)
        return DCE_REFUSED(j, "%.1f s without an image (limit %.0f s)", widest, step_max_dce_s);
    if (widest > step_warn_dce_s)
        findings_add_warning(j->f,
                             "An image of each place every %.1f s: the peak of the artery may be "
                             "missed",
                             widest);
    return true;
}

static bool find_dce_arrival(struct dce_job *j)
{
    double rise = 0;
    j->r.before = perfusion_baseline(j->mean, j->scan.v->dim[3], arrival_share_dce, 0, &rise);
    if (!(rise >= rise_share_min * j->mean[0]))
        return DCE_REFUSED(j, "no bolus: the mean signal rises by %.1f %% only (limit %.0f %%)",
                           100 * rise / j->mean[0], 100 * rise_share_min);
    if (j->r.before < 2)
        return DCE_REFUSED(j, "no baseline: contrast is there from image %u on (limit 3)",
                           j->r.before + 1);
    return true;
}

// ---- T1 -----------------------------------------------------------------------------------------

static bool measure_angles(struct dce_job *j)
{
    struct gpu *g = j->run->gpu;
    const struct dce_scan *s = &j->scan;
    double radians[DCE_ANGLES_MAX];
    struct gpu_volume *images = perfusion_planes(g, j->r.dim, j->r.spacing, s->angles, j->err);
    bool ok = images != NULL;
    for (uint32_t n = 0; ok && n < s->angles; n++) {
        radians[n] = s->angle_deg[n] * M_PI / 180;
        ok = put_image(j, images, s->angles, n, &j->run->set->images[s->angle_image[n]], 0);
    }
    ok = ok && dce_angles(images, s->angles, radians, j->blocks, j->err) &&
         gpu_volume_read(j->blocks, 0, j->r.dim[2], j->lost, j->err);
    gpu_volume_destroy(images);
    return ok;
}

// What of the magnetisation a TR brings back, in the dynamic images; body without T1 is left out.
static bool find_t1(struct dce_job *j)
{
    const double fixed = j->p[P_T1].number / 1000;
    const bool measured = j->scan.angles >= 2;
    if (!measured && !(fixed > 0))
        return DCE_REFUSED(j,
                           "T1 is not known: %u images of other flip angles on the grid of the "
                           "dynamic ones (at least 2), and t1_ms is not set",
                           j->scan.angles);
    if (measured && !measure_angles(j))
        return false;
    j->r.fixed_t1_ms = measured ? 0 : 1000 * fixed;
    j->r.t1_ms = measured ? arena_alloc(j->arena, j->voxels, sizeof *j->r.t1_ms) : NULL;
    if (measured && !j->r.t1_ms)
        return no_dce_memory(j);
    for (size_t n = 0; n < j->voxels; n++) {
        const double lost = (double)j->lost[n];
        const double t1 = !measured  ? fixed
                          : lost > 0 ? -j->scan.angle_tr_ms / 1000 / log1p(-lost)
                                     : 0;
        const bool good = j->body[n] && t1 >= t1_range_s[0] && t1 <= t1_range_s[1];
        j->body[n] = good;
        j->lost[n] = good ? (float)-expm1(-j->seq.tr_s / t1) : 0;
        if (measured)
            j->r.t1_ms[n] = good ? (float)(1000 * t1) : NAN;
    }
    return true;
}

// ---- Concentration ------------------------------------------------------------------------------

static bool make_concentration(struct dce_job *j)
{
    struct gpu *g = j->run->gpu;
    const struct dce_result *r = &j->r;
    struct gpu_volume *lost =
        gpu_volume_write(g, r->dim, r->spacing, GPU_VOXEL_F32, j->lost, j->err);
    j->mask = lost ? gpu_mask_write(g, r->dim, r->spacing, j->body, j->err) : NULL;
    j->broken = j->mask ? gpu_volume_create(g, r->dim, r->spacing, GPU_VOXEL_F32, j->err) : NULL;
    const bool ok = j->broken &&
                    dce_contrast(j->curves, j->scan.v->dim[3], j->mask, lost, r->before, &j->seq,
                                 j->blocks, j->broken, j->err) &&
                    gpu_volume_read(j->blocks, 0, r->dim[2], j->before, j->err) &&
                    gpu_volume_read(j->broken, 0, r->dim[2], j->values, j->err);
    gpu_volume_destroy(lost);
    if (!ok)
        return false;
    for (size_t n = 0; n < j->voxels; n++) {
        j->r.broken_voxels += j->values[n] > 0;
        j->body[n] = j->body[n] && !(j->values[n] > 0);
    }
    gpu_mask_destroy(j->mask);
    j->mask = gpu_mask_write(g, r->dim, r->spacing, j->body, j->err);
    return j->mask != NULL;
}

// Noise of a voxel before the bolus, from the mean of squares in values.
static void measure_dce_noise(struct dce_job *j)
{
    const double steps = j->r.before;
    double sum = 0, count = 0;
    for (size_t n = 0; n < j->voxels; n++) {
        sum += j->body[n] ? (double)j->values[n] : 0;
        count += j->body[n];
    }
    j->r.noise = count > 0 ? sqrt(sum / count * steps / fmax(steps - 1, 1)) : 0;
}

static bool find_dce_artery(struct dce_job *j, const struct perfusion_shape *shape)
{
    struct dce_result *r = &j->r;
    const struct dce_artery_wish wish = {.curves = j->curves,
                                         .points = j->scan.v->dim[3],
                                         .before = r->before,
                                         .at_s = j->scan.at_s,
                                         .noise = r->noise,
                                         .baseline = j->before,
                                         .lost = j->lost,
                                         .blood_t1_s = r->blood_t1_ms / 1000,
                                         .seq = &j->seq};
    const char *why = NULL;
    if (dce_artery_find(&wish, shape, j->arena, &r->artery, &why, j->err))
        return true;
    return why && DCE_REFUSED(j, "no artery: %s (highest peak %.2f mmol/L, noise %.3f mmol/L)", why,
                              r->artery.highest, r->noise);
}

// The curve of a population begins when contrast comes.
static bool take_population(struct dce_job *j)
{
    struct dce_result *r = &j->r;
    const uint32_t points = j->scan.v->dim[3];
    r->artery.blood = arena_alloc(j->arena, points, sizeof *r->artery.blood);
    if (!r->artery.blood)
        return no_dce_memory(j);
    for (uint32_t p = r->before; p < points; p++) {
        r->artery.blood[p] =
            dce_artery_population((j->scan.at_s[p] - j->scan.at_s[r->before - 1]) / 60);
        r->artery.top = r->artery.blood[p] > r->artery.blood[r->artery.top] ? p : r->artery.top;
    }
    return true;
}

static bool find_plasma(struct dce_job *j, const struct perfusion_shape *shape)
{
    struct dce_result *r = &j->r;
    const uint32_t points = j->scan.v->dim[3];
    const bool found = j->p[P_ARTERY].choice == ARTERY_FOUND;
    if (!(found ? find_dce_artery(j, shape) : take_population(j)))
        return false;
    r->plasma = arena_alloc(j->arena, points, sizeof *r->plasma);
    if (!r->plasma)
        return no_dce_memory(j);
    for (uint32_t p = 0; p < points; p++)
        r->plasma[p] = r->artery.blood[p] / (1 - r->hematocrit);
    const double after = j->scan.at_s[points - 1] - j->scan.at_s[r->artery.top];
    if (after < after_min_s)
        return DCE_REFUSED(j,
                           "truncated: the scan ends %.0f s after the peak of the artery (at least "
                           "%.0f s)",
                           after, after_min_s);
    return true;
}

// ---- Maps ---------------------------------------------------------------------------------------

static bool read_dce_map(struct dce_job *j, const struct gpu_volume *v, float **values)
{
    *values = arena_alloc(j->arena, j->voxels, sizeof **values);
    return *values ? gpu_volume_read(v, 0, j->r.dim[2], *values, j->err) : no_dce_memory(j);
}

// The median of the values that a mask has. Returns false without memory.
static bool median_of(const struct dce_job *j, const float *values, double *median)
{
    float *list = malloc((j->voxels + 1) * sizeof *list);
    size_t count = 0;
    if (!list)
        return no_dce_memory(j);
    for (size_t n = 0; n < j->voxels; n++) {
        if (j->r.enhancing[n])
            list[count++] = values[n];
    }
    qsort(list, count, sizeof *list, lower_first);
    *median = count ? (double)list[(count - 1) / 2] : 0;
    free(list);
    return true;
}

// Which voxels are tissue that takes up contrast, and what of the maps means something.
static void judge_voxels(struct dce_job *j)
{
    struct dce_result *r = &j->r;
    const double least = fmax(enhancing_noise * r->noise, enhancing_min_mmol);
    const double most = r->artery.count ? vessel_share * r->artery.blood[r->artery.top] : INFINITY;
    for (size_t n = 0; n < j->voxels; n++) {
        const bool rises = j->body[n] && (double)r->peak[n] >= least;
        const bool vessel = rises && (double)r->peak[n] > most;
        r->enhancing[n] = rises && !vessel;
        r->enhancing_voxels += r->enhancing[n];
        r->vessel_voxels += vessel;
        if (!j->body[n])
            r->ktrans[n] = r->kep[n] = r->ve[n] = NAN;
        if (!j->body[n] && r->vp)
            r->vp[n] = NAN;
        if (!rises) {
            r->kep[n] = r->ve[n] = NAN;
            continue;
        }
        const double ve = (double)r->ktrans[n] / (double)r->kep[n];
        const bool good = r->kep[n] > 0 && ve > 0 && ve <= 1;
        r->ve[n] = good ? (float)ve : NAN;
        r->odd_voxels += r->enhancing[n] && !good;
    }
}

// The mean curve of enhancing tissue.
static bool mean_tissue(struct dce_job *j)
{
    struct dce_result *r = &j->r;
    const uint32_t points = j->scan.v->dim[3];
    const size_t plane = (size_t)r->dim[0] * r->dim[1];
    r->tissue = arena_alloc(j->arena, points, sizeof *r->tissue);
    float *values = malloc(plane * points * sizeof *values);
    bool ok = (r->tissue && values) || no_dce_memory(j);
    for (uint32_t k = 0; ok && k < r->dim[2]; k++) {
        ok = gpu_volume_read(j->curves, k * points, (k + 1) * points, values, j->err);
        for (size_t n = 0; ok && n < plane; n++) {
            for (uint32_t p = 0; r->enhancing[k * plane + n] && p < points; p++)
                r->tissue[p] += (double)values[p * plane + n] / (double)r->enhancing_voxels;
        }
    }
    free(values);
    return ok;
}

static bool fit_model(struct dce_job *j)
{
    struct dce_result *r = &j->r;
    struct dce_fit fit = {0};
    float *rest = NULL;
    r->extended = j->p[P_MODEL].choice == MODEL_EXTENDED;
    bool ok = dce_fit_of(j->curves, j->scan.v->dim[3], j->mask, r->plasma, j->scan.at_s,
                         r->extended, &fit, j->err) &&
              read_dce_map(j, fit.ktrans, &r->ktrans) && read_dce_map(j, fit.kep, &r->kep) &&
              (!r->extended || read_dce_map(j, fit.vp, &r->vp)) && read_dce_map(j, fit.rest, &rest);
    dce_fit_finish(&fit);
    if (!ok)
        return false;
    r->ve = arena_alloc(j->arena, j->voxels, sizeof *r->ve);
    r->enhancing = arena_alloc(j->arena, j->voxels, 1);
    if (!r->ve || !r->enhancing)
        return no_dce_memory(j);
    judge_voxels(j);
    if (r->enhancing_voxels < enhancing_min)
        return DCE_REFUSED(j,
                           "no tissue takes up contrast: %llu voxels rise to %.0f times the noise "
                           "(at least %u)",
                           (unsigned long long)r->enhancing_voxels, enhancing_noise, enhancing_min);
    return median_of(j, rest, &r->rest) && median_of(j, r->peak, &r->high) && mean_tissue(j);
}

// ---- The row ------------------------------------------------------------------------------------

static void take_options(struct dce_job *j)
{
    j->seq = (struct dce_sequence){.tr_s = j->scan.tr_ms / 1000,
                                   .flip = j->scan.flip_deg * M_PI / 180,
                                   .relaxivity = j->p[P_RELAXIVITY].number};
    j->r.scan = &j->scan;
    j->r.relaxivity = j->p[P_RELAXIVITY].number;
    j->r.hematocrit = j->p[P_HEMATOCRIT].number;
    j->r.blood_t1_ms = j->p[P_BLOOD_T1].number;
}

static bool analyse_dynamic(struct dce_job *j)
{
    struct perfusion_shape shape = {0};
    const uint32_t points = j->scan.v->dim[3];
    if (!check_times(j) || !make_dce_grid(j) || !load_dynamic(j) || !find_dce_arrival(j) ||
        !find_t1(j) || !stage_step(j->run, "concentration", 0.55, j->err) || !make_concentration(j))
        return false;
    bool ok = perfusion_shape_of(j->curves, j->mask, points, j->r.before, &shape, j->err) &&
              gpu_volume_read(shape.square, 0, j->r.dim[2], j->values, j->err) &&
              read_dce_map(j, shape.peak, &j->r.peak);
    if (ok)
        measure_dce_noise(j);
    ok = ok && stage_step(j->run, "finding the artery", 0.65, j->err) && find_plasma(j, &shape);
    perfusion_shape_finish(&shape);
    return ok && stage_step(j->run, "fitting the model", 0.75, j->err) && fit_model(j);
}

static enum stage_end run_dce(const struct stage_run *run, struct findings *out, struct err *err)
{
    struct dce_job j = {.run = run, .f = out, .err = err, .p = run->params, .arena = run->arena};
    out->page.title = "Leakage of contrast agent";
    out->procedure = (struct code){"25056-3", "LN", "MRI unspecified body region"};
    if (!dce_scan_read(run, out, &j.scan))
        return STAGE_REFUSED;
    take_options(&j);
    const bool ok = analyse_dynamic(&j);
    gpu_volume_destroy(j.curves);
    gpu_volume_destroy(j.blocks);
    gpu_volume_destroy(j.broken);
    gpu_mask_destroy(j.mask);
    if (!ok)
        return out->verdict == VERDICT_NOT_EVALUABLE ? STAGE_REFUSED : STAGE_BROKEN;
    return dce_report(out, run, &j.r, err) ? STAGE_DONE : STAGE_BROKEN;
}

static const struct stage_accept dce_accepts[] = {{"Modality", "MR"}, {0}};
static const struct stage_input_spec dce_inputs[] = {
    {"scan",
     "T1-weighted MR in time with a bolus of contrast agent, and images at other flip angles",
     INPUT_MANY, IMAGE_TIME, true, dce_accepts, NULL},
};
static const struct kernel_group *const dce_groups[] = {&kernels_perfusion, &kernels_dce, NULL};

const struct stage stage_dce = {
    .name = "dce",
    .title = "Dynamic contrast-enhanced MR",
    .version = "1",
    .slot = 8,
    .help = "Ktrans, kep, ve and vp of tissue by Tofts' model from dynamic contrast-enhanced MR.",
    .scope = SCOPE_STUDY,
    .inputs = dce_inputs,
    .input_count = 1,
    .results = RESULT_SR | RESULT_GSPS | RESULT_SC | RESULT_SEG | RESULT_PMAP,
    .report = REPORT_MEASUREMENTS,
    .params = dce_params,
    .param_count = P_COUNT,
    .kernels = dce_groups,
    .run = run_dce,
};
