#include "compute/stages/perfusion/perfusion.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/stages/perfusion/perfusion_job.h"
#include "compute/stages/perfusion/perfusion_tissue.h"

// ---- What the analysis is told, and what it takes for granted -----------------------------------

static const char *const methods[] = {"osvd", "csvd", NULL};
static const struct stage_param perfusion_params[P_COUNT] = {
    [P_METHOD] = {"method", "", "Deconvolution: osvd (cut by oscillation) or csvd (fixed cut).",
                  PARAM_CHOICE, 0, 0, PERFUSION_OSVD, methods, NULL},
    // Wu et al. (Magn Reson Med 2003;50:164) have 0.035 to 0.095 by signal-to-noise ratio; the
    // number means what it does for a matrix padded to twice the steps, cut in steps of 5 %.
    [P_OSCILLATION] = {"oscillation", "", "Highest oscillation index of a residue function (osvd).",
                       PARAM_NUMBER, 0.01, 0.5, 0.095, NULL, NULL},
    [P_TRUNCATION] = {"truncation_percent", "%",
                      "Singular values below this part of the largest are left out (csvd).",
                      PARAM_NUMBER, 1, 50, 10, NULL, NULL},
    [P_SMOOTH] = {"smooth_mm", "mm", "Standard deviation of the Gaussian within slices.",
                  PARAM_NUMBER, 0, 6, 2.5, NULL, NULL},
    [P_CLUSTER] = {"cluster_ml", "mL", "Smaller pieces of delayed tissue or core do not count.",
                   PARAM_NUMBER, 0, 10, 2, NULL, NULL},
    [P_SCALE] = {"scale_artery", "", "Whether an artery is enlarged to the area of the vein.",
                 PARAM_BOOL, 0, 1, 1, NULL, NULL},
    // (1 - 0.45) / (1 - 0.25): hematocrit of large and of small vessels.
    [P_HEMATOCRIT] = {"hematocrit_factor", "", "Part of plasma in large by that in small vessels.",
                      PARAM_NUMBER, 0.5, 1, 0.733, NULL, NULL},
    [P_DENSITY] = {"density", "g/mL", "Density of brain.", PARAM_NUMBER, 1, 1.1, 1.04, NULL, NULL},
    // Kudo et al., AJNR 2003;24:419, leave out pixels above 8 mL/100 g.
    [P_VESSEL] = {"vessel_cbv", "ml/[100]g", "Voxels of more blood are vessels, not tissue.",
                  PARAM_NUMBER, 5, 30, 8, NULL, NULL},
    [P_FLUID] = {"fluid_hu", "[hnsf'U]", "Voxels of less attenuation before the bolus are fluid.",
                 PARAM_NUMBER, 0, 25, 14, NULL, NULL},
    [P_CORRECT] = {"correct_motion", "", "Whether images of a head that moved are brought back.",
                   PARAM_BOOL, 0, 1, 1, NULL, NULL},
    [P_MOTION] = {"motion_mm", "mm", "Images that still differ by more are left out.", PARAM_NUMBER,
                  0.5, 10, 2, NULL, NULL},
    // A head that turns farther shows other parts of it at the ends of a slab of 40 mm.
    [P_MOTION_MOST] = {"motion_most_mm", "mm", "Images that moved farther are left out.",
                       PARAM_NUMBER, 1, 50, 20, NULL, NULL},
    [P_ARTERY_AT] = {"artery_at", "mm",
                     "Place of the artery (x y z, patient coordinates, LPS) instead of that found.",
                     PARAM_TEXT, 0, 0, 0, NULL, NULL},
    [P_VEIN_AT] = {"vein_at", "mm", "The same of the vein.", PARAM_TEXT, 0, 0, 0, NULL, NULL},
};

static const double after_artery_min_s = 20; // tissue that is 10 s late has its peak by then
static const double artery_min_hu = 50;
static const double artery_noise_min = 15; // peak of an artery by the noise of a voxel
// Of an old infarct, by the mean of the brain: 16 HU in one of 33. Acute tissue loses 2 to 5 HU,
// and has more blood than that.
static const double old_attenuation = 0.65, old_blood = 0.3, old_smooth_mm = 3, old_warn_ml = 3;
static const double tail_warn = 0.3, tail_max = 0.6; // of the peak, at the end of the scan
// By how much an artery is enlarged to the area of the vein at most: what is left of one in voxels
// of which it fills a quarter is its shape, and a tenth of tissue.
static const double scale_warn = 2, scale_max = 4;
static const double width_warn_s = 20; // of an artery: low cardiac output, slow injection
static const double brain_min_ml = 100;
static const double bone_least_hu = 150; // blood without contrast and clots are below 90

// ---- Curves -------------------------------------------------------------------------------------

// Whether a voxel or one of its 26 neighbours is brighter than soft tissue before the bolus.
static bool beside_bone(const struct perfusion_job *j, const float *base, size_t n)
{
    const uint32_t *dim = j->r.dim;
    const size_t at[3] = {n % dim[0], n / dim[0] % dim[1], n / dim[0] / dim[1]};
    size_t low[3], high[3];
    for (int a = 0; a < 3; a++) {
        low[a] = at[a] > 0 ? at[a] - 1 : 0;
        high[a] = at[a] + 1 < dim[a] ? at[a] + 1 : at[a];
    }
    for (size_t k = low[2]; k <= high[2]; k++) {
        for (size_t r = low[1]; r <= high[1]; r++) {
            for (size_t i = low[0]; i <= high[0]; i++) {
                if ((double)base[(k * dim[1] + r) * dim[0] + i] > bone_least_hu)
                    return true;
            }
        }
    }
    return false;
}

// Takes from the brain what motion has spoilt: slices that the head has left, and, where motion was
// corrected, what touches bone, since a rest of the motion looks there like contrast that stays.
static bool leave_spoilt_out(struct perfusion_job *j)
{
    const size_t area = (size_t)j->r.dim[0] * j->r.dim[1];
    uint8_t *mask = malloc(j->voxels);
    float *base = malloc(j->voxels * sizeof *base);
    bool ok = (mask && base) || perfusion_no_memory(j);
    ok = ok && gpu_mask_read(j->brain, mask, j->err) &&
         gpu_volume_read(j->baseline, 0, j->r.dim[2], base, j->err);
    for (size_t n = 0; ok && n < j->voxels; n++) {
        mask[n] = mask[n] && j->slice_used[n / area] &&
                  (!j->r.points_corrected || !beside_bone(j, base, n));
    }
    gpu_mask_destroy(j->brain);
    j->brain = ok ? gpu_mask_write(j->run->gpu, j->r.dim, j->r.spacing, mask, j->err) : NULL;
    free(base);
    free(mask);
    return j->brain != NULL;
}

static bool find_brain(struct perfusion_job *j)
{
    struct gpu *g = j->run->gpu;
    struct perfusion_result *r = &j->r;
    struct gpu_mask *soft = gpu_mask_write(g, r->dim, r->spacing, j->soft, j->err);
    uint64_t voxels = 0;
    j->curves = soft ? perfusion_planes(g, r->dim, r->spacing, r->steps, j->err) : NULL;
    j->baseline =
        j->curves ? gpu_volume_create(g, r->dim, r->spacing, GPU_VOXEL_F32, j->err) : NULL;
    bool ok = j->baseline && perfusion_enhance(j->scanned, r->points, soft, j->axis.at, r->steps,
                                               r->before, j->curves, j->baseline, j->err);
    j->brain = ok ? perfusion_brain(j->baseline, j->err) : NULL;
    ok = j->brain && ((!r->slices_dropped && !r->points_corrected) || leave_spoilt_out(j)) &&
         gpu_mask_count(j->brain, &voxels, j->err);
    gpu_mask_destroy(soft);
    r->brain_ml = (double)voxels * perfusion_voxel_ml(j);
    if (ok && r->brain_ml < brain_min_ml)
        return PERFUSION_REFUSE(j, "%.0f mL of brain found (at least %.0f mL)", r->brain_ml,
                                brain_min_ml);
    return ok;
}

// Root of the mean square before the bolus over a mask, each value divided by `weight` (NULL: 1).
bool perfusion_noise_of(struct perfusion_job *j, const struct gpu_volume *square,
                        const uint8_t *mask, const float *weight, double *noise)
{
    float *values = malloc(j->voxels * sizeof *values);
    double sum = 0;
    uint64_t count = 0;
    if (!values)
        return perfusion_no_memory(j);
    const bool ok = gpu_volume_read(square, 0, j->r.dim[2], values, j->err);
    for (size_t n = 0; ok && n < j->voxels; n++) {
        const double w = weight ? (double)weight[n] : 1;
        sum += mask[n] && w > 0 ? (double)values[n] / (w * w) : 0;
        count += mask[n] && w > 0;
    }
    // The mean of the baseline is taken from the same steps.
    const double steps = j->r.before;
    *noise = count ? sqrt(sum / (double)count * steps / fmax(steps - 1, 1)) : 0;
    free(values);
    return ok;
}

static bool check_vessels(struct perfusion_job *j)
{
    const struct perfusion_result *r = &j->r;
    const struct perfusion_vessel *a = &j->vessels.artery, *v = &j->vessels.vein;
    const double end = a->curve[r->steps - 1] / a->peak;
    const double after = (r->steps - 1 - a->top) * r->step_s;
    if (a->peak < artery_min_hu || a->peak < artery_noise_min * r->noise_hu)
        return PERFUSION_REFUSE(
            j,
            "low contrast: the artery rises by %.0f HU at a noise of %.1f HU (at least "
            "%.0f HU and %.0f times the noise)",
            a->peak, r->noise_hu, artery_min_hu, artery_noise_min);
    if (after < after_artery_min_s || end > tail_max)
        return PERFUSION_REFUSE(
            j,
            "truncated: the scan ends %.0f s after the peak of the artery, at %.0f %% of "
            "it (at least %.0f s, at most %.0f %%)",
            after, 100 * end, after_artery_min_s, 100 * tail_max);
    if (v->count && v->curve[r->steps - 1] > tail_max * v->peak)
        return PERFUSION_REFUSE(
            j,
            "truncated: at the end of the scan the vein still has %.0f %% of its peak "
            "(limit %.0f %%)",
            100 * v->curve[r->steps - 1] / v->peak, 100 * tail_max);
    if (v->count && v->area > scale_max * a->area)
        return PERFUSION_REFUSE(
            j, "no good artery: that found has %.2f of the area of the vein (at least %.2f)",
            a->area / v->area, 1 / scale_max);
    return true;
}

static void warn_of_vessels(struct perfusion_job *j)
{
    const struct perfusion_result *r = &j->r;
    const struct perfusion_vessel *a = &j->vessels.artery, *v = &j->vessels.vein;
    if (!v->count)
        findings_add_warning(j->f, "No vein found: the artery is not corrected for partial volume");
    else if (v->curve[r->steps - 1] > tail_warn * v->peak)
        findings_add_warning(j->f,
                             "The scan ends while the vein has %.0f %% of its peak: volumes of "
                             "blood and late tissue may be underestimated",
                             100 * v->curve[r->steps - 1] / v->peak);
    if (v->count && v->area > scale_warn * a->area)
        findings_add_warning(j->f,
                             "The artery has %.2f of the area of the vein (limit %.2f): it is "
                             "enlarged, and flow and volume of blood are uncertain",
                             a->area / v->area, 1 / scale_warn);
    if (j->axis.halved)
        findings_add_warning(j->f,
                             "Images every %.1f s (limit %.1f s): late tissue may be a quarter too "
                             "large (with noise nearly twice), core a third too small",
                             r->interval_s, PERFUSION_HALF_S);
    if (a->width * r->step_s > width_warn_s)
        findings_add_warning(j->f,
                             "The bolus is %.0f s wide in the artery: slow injection or low "
                             "cardiac output",
                             a->width * r->step_s);
    if (r->points_dropped)
        findings_add_warning(j->f, "%u of %u points in time were left out", r->points_dropped,
                             r->points);
    if (r->slices_dropped)
        findings_add_warning(
            j->f,
            "%u of %u slices were left out, as the head moved out of them: volumes "
            "are those of the others",
            r->slices_dropped, r->dim[2]);
    if (r->points_corrected)
        findings_add_warning(j->f,
                             "The head moved by up to %.1f mm: %u of %u points in time were "
                             "corrected",
                             r->corrected_mm, r->points_corrected, r->points);
}

// Artery, vein, noise. The curves are those of soft tissue, not smoothed.
static bool find_vessels(struct perfusion_job *j, struct perfusion_shape *shape)
{
    struct perfusion_result *r = &j->r;
    const char *why = "";
    uint8_t *mask = malloc(j->voxels);
    bool ok = mask || perfusion_no_memory(j);
    ok = ok && perfusion_shape_of(j->curves, j->brain, r->steps, r->before, shape, j->err) &&
         gpu_mask_read(j->brain, mask, j->err) &&
         perfusion_noise_of(j, shape->square, mask, NULL, &r->noise_hu) &&
         perfusion_vessels_find(j->curves, shape, r->steps, r->before, r->noise_hu, j->arena,
                                &j->vessels, &why, j->err);
    free(mask);
    if (!ok || !perfusion_vessels_given(j, shape))
        return false;
    if (!j->vessels.artery.count)
        return PERFUSION_REFUSE(j, "no bolus: %s (highest peak %.0f HU, noise %.1f HU)", why,
                                j->vessels.highest, r->noise_hu);
    if (!check_vessels(j))
        return false;
    r->vessels = &j->vessels;
    r->artery_scale = 1;
    if (j->p[P_SCALE].truth && j->vessels.vein.area > j->vessels.artery.area)
        r->artery_scale = j->vessels.vein.area / j->vessels.artery.area;
    warn_of_vessels(j);
    return true;
}

static bool count_ml(struct perfusion_job *j, const struct gpu_mask *m, double *ml)
{
    uint64_t voxels = 0;
    const bool ok = gpu_mask_count(m, &voxels, j->err);
    *ml = (double)voxels * perfusion_voxel_ml(j);
    return ok;
}

// Mean over a mask.
static double mean_in(const uint8_t *mask, const float *values, size_t count)
{
    double sum = 0, weight = 0;
    for (size_t n = 0; n < count; n++) {
        sum += mask[n] ? (double)values[n] : 0;
        weight += mask[n];
    }
    return weight > 0 ? sum / weight : 0;
}

// What is darker than the rest of the brain and has next to no blood: an old infarct. Whether blood
// comes late to it cannot be told. base: smoothed baseline.
static struct gpu_mask *find_old(struct perfusion_job *j, const struct perfusion_shape *shape,
                                 const struct gpu_volume *base)
{
    const double sigma[3] = {old_smooth_mm, old_smooth_mm, 0};
    uint8_t *mask = malloc(j->voxels);
    float *values = malloc(2 * j->voxels * sizeof *values), *blood = values + j->voxels;
    struct gpu_volume *sum = gpu_volume_smooth(shape->sum, sigma, j->err);
    struct gpu_mask *found = NULL;
    if (!mask || !values)
        perfusion_no_memory(j);
    else if (sum && gpu_mask_read(j->brain, mask, j->err) &&
             gpu_volume_read(base, 0, j->r.dim[2], values, j->err) &&
             gpu_volume_read(sum, 0, j->r.dim[2], blood, j->err)) {
        const double dark = old_attenuation * mean_in(mask, values, j->voxels);
        const double little = old_blood * mean_in(mask, blood, j->voxels);
        for (size_t n = 0; n < j->voxels; n++)
            mask[n] = mask[n] && (double)values[n] < dark && (double)blood[n] < little;
        found = gpu_mask_write(j->run->gpu, j->r.dim, j->r.spacing, mask, j->err);
    }
    gpu_volume_destroy(sum);
    free(values);
    free(mask);
    return found;
}

// Tissue is brain without vessels, fluid and old infarcts.
static bool find_tissue(struct perfusion_job *j, const struct perfusion_shape *shape)
{
    struct perfusion_result *r = &j->r;
    const double one[3] = {r->spacing[0] / 2, r->spacing[1] / 2, 0};
    const double wide[3] = {r->spacing[0], r->spacing[1], 0};
    struct gpu_volume *sum = gpu_volume_smooth(shape->sum, one, j->err);
    struct gpu_volume *base = sum ? gpu_volume_smooth(j->baseline, wide, j->err) : NULL;
    struct gpu_mask *vessel =
        base ? gpu_mask_threshold(
                   sum, j->p[P_VESSEL].number / perfusion_per_100_g(j) * perfusion_artery_area(j),
                   1e30, j->err)
             : NULL;
    struct gpu_mask *fluid =
        vessel ? gpu_mask_threshold(base, -1e30, j->p[P_FLUID].number, j->err) : NULL;
    struct gpu_mask *old = fluid ? find_old(j, shape, base) : NULL;
    j->tissue = old ? gpu_mask_copy(j->brain, j->err) : NULL;
    bool ok = j->tissue && gpu_mask_combine(vessel, MASK_AND, j->brain, j->err) &&
              gpu_mask_combine(fluid, MASK_AND, j->brain, j->err) &&
              gpu_mask_combine(j->tissue, MASK_ANDNOT, vessel, j->err) &&
              gpu_mask_combine(old, MASK_ANDNOT, fluid, j->err) &&
              gpu_mask_combine(j->tissue, MASK_ANDNOT, fluid, j->err) &&
              gpu_mask_combine(j->tissue, MASK_ANDNOT, old, j->err) &&
              count_ml(j, old, &r->old_ml) && count_ml(j, vessel, &r->vessels_ml) &&
              count_ml(j, fluid, &r->fluid_ml) && count_ml(j, j->tissue, &r->tissue_ml);
    gpu_mask_destroy(old);
    gpu_mask_destroy(fluid);
    gpu_mask_destroy(vessel);
    gpu_volume_destroy(base);
    gpu_volume_destroy(sum);
    if (ok && r->old_ml > old_warn_ml)
        findings_add_warning(
            j->f,
            "%.0f mL of brain are dark and without blood, as after an old infarct: "
            "left out of all volumes",
            r->old_ml);
    if (ok && r->tissue_ml < brain_min_ml)
        return PERFUSION_REFUSE(j, "%.0f mL of brain tissue found (at least %.0f mL)", r->tissue_ml,
                                brain_min_ml);
    return ok;
}

// ---- The row ------------------------------------------------------------------------------------

static bool find_curves(struct perfusion_job *j)
{
    struct perfusion_shape shape = {0};
    const bool ok = stage_step(j->run, "finding artery and vein", 0.5, j->err) && find_brain(j) &&
                    find_vessels(j, &shape) && find_tissue(j, &shape);
    perfusion_shape_finish(&shape);
    return ok;
}

static bool analyse_scan(struct perfusion_job *j)
{
    if (!perfusion_scan_load(j) || !find_curves(j))
        return false;
    uint8_t *mask = arena_alloc(j->arena, j->voxels, 1);
    if (!mask)
        return perfusion_no_memory(j);
    return gpu_mask_read(j->tissue, mask, j->err) && perfusion_maps_make(j, mask) &&
           stage_step(j->run, "measuring", 0.8, j->err) && perfusion_volumes_measure(j) &&
           perfusion_maps_compare(j, mask);
}

static enum stage_end run_perfusion(const struct stage_run *run, struct findings *out,
                                    struct err *err)
{
    struct perfusion_job j = {
        .run = run, .f = out, .err = err, .p = run->params, .arena = run->arena};
    out->page.title = "Brain perfusion";
    out->procedure = (struct code){"39142-5", "LN", "CT perfusion head with contrast IV"};
    j.v = stage_stack_with_gaps(run, 0, out, &j.image);
    if (!j.v)
        return STAGE_REFUSED;
    const bool ok = analyse_scan(&j);
    gpu_volume_destroy(j.scanned);
    gpu_volume_destroy(j.curves);
    gpu_volume_destroy(j.baseline);
    gpu_volume_destroy(j.smooth);
    gpu_volume_destroy(j.guide);
    gpu_volume_destroy(j.part);
    gpu_mask_destroy(j.brain);
    gpu_mask_destroy(j.tissue);
    if (!ok)
        return perfusion_refused(&j) ? STAGE_REFUSED : STAGE_BROKEN;
    return perfusion_report(out, run, j.image, &j.r, err) ? STAGE_DONE : STAGE_BROKEN;
}

static const struct stage_accept perfusion_accepts[] = {{"Modality", "CT"}, {0}};
static const struct stage_input_spec perfusion_inputs[] = {
    {"scan", "CT of the head in time, with a bolus of contrast agent: one series or several",
     INPUT_MANY, IMAGE_TIME, true, perfusion_accepts, NULL},
};
static const struct kernel_group *const perfusion_kernels[] = {
    &kernels_shrink, &kernels_resample,   &kernels_smooth,    &kernels_masks,
    &kernels_ball,   &kernels_components, &kernels_perfusion, NULL};

const struct stage stage_perfusion = {
    .name = "perfusion",
    .title = "Brain perfusion",
    .version = "12",
    .slot = 3,
    .priority = STAGE_URGENT,
    .help = "Blood flow and volume, transit time and delay of the brain; core and mismatch.",
    .scope = SCOPE_STUDY,
    .inputs = perfusion_inputs,
    .input_count = 1,
    .results = RESULT_SR | RESULT_GSPS | RESULT_SC | RESULT_SEG | RESULT_PMAP,
    .report = REPORT_MEASUREMENTS,
    .params = perfusion_params,
    .param_count = P_COUNT,
    .kernels = perfusion_kernels,
    .run = run_perfusion,
};
