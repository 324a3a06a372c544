#include "compute/stages/perfusion/perfusion.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/image/kind.h"
#include "compute/image/load.h"
#include "compute/stages/perfusion/perfusion_axis.h"
#include "compute/stages/perfusion/perfusion_curves.h"
#include "compute/stages/perfusion/perfusion_report.h"
#include "compute/stages/perfusion/perfusion_tissue.h"

// ---- What the analysis is told, and what it takes for granted -----------------------------------

enum {
    P_METHOD,
    P_OSCILLATION,
    P_TRUNCATION,
    P_SMOOTH,
    P_CLUSTER,
    P_SCALE,
    P_HEMATOCRIT,
    P_DENSITY,
    P_VESSEL,
    P_FLUID,
    P_MOTION,
    P_COUNT
};
enum { METHOD_OSVD, METHOD_CSVD };

static const char *const methods[] = {"osvd", "csvd", NULL};
static const struct stage_param perfusion_params[P_COUNT] = {
    [P_METHOD] = {"method", "", "Deconvolution: osvd (cut by oscillation) or csvd (fixed cut).",
                  PARAM_CHOICE, 0, 0, METHOD_OSVD, methods, NULL},
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
                   PARAM_NUMBER, 0, 10, 1, NULL, NULL},
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
    [P_MOTION] = {"motion_mm", "mm", "Images that moved farther are left out.", PARAM_NUMBER, 0.5,
                  10, 2, NULL, NULL},
};

static const double pixel_work_mm = 1.8, slice_work_mm = 5; // of the work grid, about
static const uint32_t points_min = 15;
static const double step_max_s = 3.6, gap_max_s = 8; // longer ones miss the peak of an artery
static const double length_min_s = 30;
static const double after_artery_min_s = 20; // tissue that is 10 s late has its peak by then
static const double air_hu = -300, soft_hu[2] = {0, 100};
static const double dropped_share_max = 0.15; // of the points
static const double arrival_least_hu = 0.25;  // noise of the mean of a hundred voxels and more
static const double arrival_share = 0.05;     // of the rise of the brain's mean
static const uint32_t before_min = 2;         // steps
static const double rise_min_hu = 1;          // of the brain's mean
static const double artery_min_hu = 50;
static const double artery_noise_min = 15; // peak of an artery by the noise of a voxel
static const double tissue_noise_aim = 7;  // peak of a tissue curve by its noise
static const double smooth_more_max = 1.6; // of what was asked for
static const double tissue_noise_min = 5;
static const double tail_warn = 0.3, tail_max = 0.6; // of the peak, at the end of the scan
static const double scale_max = 2;                   // an artery is of no use that needs more
static const double width_warn_s = 20; // of an artery: low cardiac output, slow injection
// The maximum of a function of noise alone is about so many of its standard deviations high: the
// mean of the maximum of 40 to 100 normal values is 2.2 to 2.5. What a maximum F owes to noise is
// taken off as that of a magnitude is: sqrt(F^2 - (2.5 sd)^2). tests/phantom/perfusion.py
static const double noise_maximum = 2.5;
static const double normal_tmax_s = 4, normal_min_ml = 50;
static const double brain_min_ml = 100;
static const double overlap_min = 0.8;

struct job {
    const struct stage_run *run;
    struct findings *f;
    struct err *err;
    const struct image *v;
    uint32_t image;
    const struct param_value *p;
    struct arena *arena;
    struct perfusion_result r;
    struct perfusion_vessels vessels;
    struct perfusion_axis axis;
    double *mean;          // [points] of soft tissue
    uint8_t *soft, *solid; // [voxels of the work grid] of the first point
    float *values;         // of one point
    size_t voxels;
    double surface; // voxels of `solid` next to air
    // On the device.
    struct gpu_volume *scanned, *curves, *baseline, *smooth;
    struct gpu_mask *brain, *tissue;
    float *weight;                     // [voxels] smoothed mask
    double gain[PERFUSION_LEVELS_MAX]; // as of perfusion_matrix()
};

#define REFUSE(job, ...) (findings_refuse((job)->f, VERDICT_NOT_EVALUABLE, __VA_ARGS__), false)

// Where a function says false because the scan cannot be judged, not because the machine failed.
static bool refused(const struct job *j)
{
    return j->f->verdict == VERDICT_NOT_EVALUABLE;
}

static bool no_perfusion_memory(const struct job *j)
{
    return err_set(j->err, ERR_NOMEM, "perfusion: no memory");
}

// ---- The scan -----------------------------------------------------------------------------------

static bool check_perfusion_scan(struct job *j)
{
    const struct image *v = j->v;
    struct image_nature nature;
    char text[320];
    if (strcmp(v->unit, "[hnsf'U]") != 0)
        return REFUSE(j, "not a CT in Hounsfield units");
    image_nature(j->run->set, v, &nature);
    if (nature.kind > IMAGE_MIXED)
        return REFUSE(j, "%s: its values are no attenuation as acquired",
                      image_nature_text(&nature, text, sizeof text));
    if (v->dim[3] < 2)
        return REFUSE(j, "one image of each place: a perfusion scan has them in time");
    if (v->axis != IMAGE_TIME || !v->at)
        return REFUSE(j, "%s: they are not told apart by time",
                      image_points_text(v, text, sizeof text));
    if (v->dim[3] < points_min)
        return REFUSE(j, "%u points in time (at least %u)", v->dim[3], points_min);
    if (!(v->spacing[2] > 0))
        return REFUSE(j, "the distance between slices is not known");
    const char up = image_direction(v, 2), right = image_direction(v, 0);
    if ((up != 'H' && up != 'F') || (right != 'L' && right != 'R'))
        return REFUSE(j, "slices are not axial with rows from side to side");
    return true;
}

// The work grid: means of blocks, as fine as the blur of a perfusion scan deserves.
static bool make_grid(struct job *j)
{
    const struct image *v = j->v;
    struct perfusion_result *r = &j->r;
    uint32_t fine[3];
    gpu_shrink_factors(v->spacing, pixel_work_mm, r->factor);
    gpu_shrink_factors(v->spacing, slice_work_mm, fine);
    r->factor[1] = r->factor[0];
    r->factor[2] = fine[2];
    for (int a = 0; a < 3; a++) {
        r->dim[a] = (v->dim[a] + r->factor[a] - 1) / r->factor[a];
        r->spacing[a] = v->spacing[a] * r->factor[a];
    }
    r->points = v->dim[3];
    j->voxels = (size_t)r->dim[0] * r->dim[1] * r->dim[2];
    j->mean = arena_alloc(j->arena, r->points, sizeof *j->mean);
    j->soft = arena_alloc(j->arena, j->voxels, 1);
    j->solid = arena_alloc(j->arena, j->voxels, 1);
    j->values = arena_alloc(j->arena, j->voxels, sizeof *j->values);
    r->moved_mm = arena_alloc(j->arena, r->points, sizeof *r->moved_mm);
    r->moved_at = arena_alloc(j->arena, r->points, sizeof *r->moved_at);
    return (j->mean && j->soft && j->solid && j->values && r->moved_mm && r->moved_at) ||
           no_perfusion_memory(j);
}

static bool is_solid(const struct job *j, size_t at)
{
    return (double)j->values[at] > air_hu;
}

// What is soft and what is no air in the first point, and how much of that lies next to air.
static void look_at_first(struct job *j)
{
    const size_t columns = j->r.dim[0], rows = j->r.dim[1];
    for (size_t n = 0; columns && rows && n < j->voxels; n++) {
        const size_t i = n % columns, row = n / columns % rows;
        j->soft[n] = (double)j->values[n] >= soft_hu[0] && (double)j->values[n] <= soft_hu[1];
        j->solid[n] = is_solid(j, n);
        j->surface += j->solid[n] &&
                      ((i > 0 && !is_solid(j, n - 1)) || (i + 1 < columns && !is_solid(j, n + 1)) ||
                       (row > 0 && !is_solid(j, n - columns)) ||
                       (row + 1 < rows && !is_solid(j, n + columns)));
    }
}

// The mean of soft tissue, and how far the outline of the head has moved since the first point. A
// disc of radius r that moves by d changes 4 r d of its area and has 4 sqrt(2) r edge pixels.
static void look_at_point(struct job *j, uint32_t point)
{
    double sum = 0, changed = 0;
    uint64_t count = 0;
    for (size_t n = 0; n < j->voxels; n++) {
        sum += j->soft[n] ? (double)j->values[n] : 0;
        count += j->soft[n];
        changed += is_solid(j, n) != (j->solid[n] != 0);
    }
    j->mean[point] = count ? sum / (double)count : 0;
    j->r.moved_mm[point] = j->surface > 0 ? sqrt(2) * changed / j->surface * j->r.spacing[0] : 0;
}

static bool whole(const struct job *j, uint32_t point)
{
    for (uint32_t k = 0; k < j->v->dim[2]; k++) {
        if (image_frame_at(j->v, k, point) == IMAGE_NO_FRAME)
            return false;
    }
    return true;
}

static bool load_point(struct job *j, uint32_t point, const struct gpu_volume *blocks, bool *seen)
{
    const struct perfusion_result *r = &j->r;
    struct gpu_volume *value =
        image_load(j->run->gpu, j->run->set, j->v, point, j->v->type, j->err);
    const bool ok = value &&
                    perfusion_put(j->scanned, r->points, point, value, r->factor, blocks, j->err) &&
                    gpu_volume_read(blocks, 0, r->dim[2], j->values, j->err);
    gpu_volume_destroy(value);
    if (ok && whole(j, point)) {
        if (!*seen)
            look_at_first(j);
        *seen = true;
        look_at_point(j, point);
    } else {
        j->mean[point] = NAN;
    }
    return ok;
}

static bool load_scan(struct job *j)
{
    struct gpu *g = j->run->gpu;
    bool seen = false;
    struct gpu_volume *blocks = gpu_volume_create(g, j->r.dim, j->r.spacing, GPU_VOXEL_F32, j->err);
    j->scanned = blocks ? perfusion_planes(g, j->r.dim, j->r.spacing, j->r.points, j->err) : NULL;
    bool ok = j->scanned != NULL;
    for (uint32_t p = 0; ok && p < j->r.points; p++)
        ok = stage_step(j->run, "decoding", 0.5 * p / j->r.points, j->err) &&
             load_point(j, p, blocks, &seen);
    gpu_volume_destroy(blocks);
    if (ok && !seen)
        return REFUSE(j, "no point in time has all of its slices");
    return ok;
}

// ---- Time ---------------------------------------------------------------------------------------

// The time of a slice of the work grid: the mean of its images.
static double block_time(const struct job *j, uint32_t k, uint32_t point)
{
    double sum = 0;
    uint32_t count = 0;
    for (uint32_t n = k * j->r.factor[2]; n < (k + 1) * j->r.factor[2] && n < j->v->dim[2]; n++) {
        if (image_frame_at(j->v, n, point) == IMAGE_NO_FRAME)
            return NAN;
        sum += j->v->at[(size_t)point * j->v->dim[2] + n];
        count++;
    }
    return sum / count;
}

static bool exclude_point(struct job *j, uint32_t point, const char *reason)
{
    struct exclusion *e = findings_add_exclusion(j->f);
    if (!e)
        return no_perfusion_memory(j);
    e->what = arena_printf(j->f->arena, "point %u of %u, at %.1f s", point + 1, j->r.points,
                           j->r.moved_at[point]);
    e->reason = reason;
    return (e->what && reason) || no_perfusion_memory(j);
}

// Times and uses of all slices. Points that moved are left out.
static bool choose_points(struct job *j, double *s, uint8_t *use)
{
    const double limit = j->p[P_MOTION].number;
    bool ok = true;
    for (uint32_t p = 0; ok && p < j->r.points; p++) {
        const bool moved = j->r.moved_mm[p] > limit;
        bool gap = false;
        for (uint32_t k = 0; k < j->r.dim[2]; k++) {
            const size_t at = (size_t)p * j->r.dim[2] + k;
            s[at] = block_time(j, k, p);
            use[at] = !moved && !isnan(s[at]);
            gap = gap || isnan(s[at]);
            j->r.moved_at[p] = k == 0 && !isnan(s[at]) ? s[at] : j->r.moved_at[p];
        }
        j->r.points_dropped += moved || gap;
        if (moved)
            ok = exclude_point(
                j, p,
                arena_printf(j->f->arena, "the head moved by about %.1f mm", j->r.moved_mm[p]));
        else if (gap)
            ok = exclude_point(j, p, "slices are missing");
    }
    if (ok && j->r.points_dropped > dropped_share_max * j->r.points)
        return REFUSE(j,
                      "%u of %u points are of no use: the head moved by more than %.1f mm, or "
                      "slices are missing",
                      j->r.points_dropped, j->r.points, limit);
    return ok;
}

// The mean of soft tissue at even steps, by the times of the first slice.
static bool step_mean(struct job *j)
{
    j->r.brain_curve = arena_alloc(j->arena, j->axis.steps, sizeof *j->r.brain_curve);
    if (!j->r.brain_curve)
        return no_perfusion_memory(j);
    for (uint32_t n = 0; n < j->axis.steps; n++) {
        const float *at = j->axis.at + (size_t)n * 4;
        const double a = j->mean[(uint32_t)at[0]], b = j->mean[(uint32_t)at[1]];
        j->r.brain_curve[n] = a + (b - a) * (double)at[2];
    }
    return true;
}

static bool make_axis(struct job *j)
{
    struct perfusion_result *r = &j->r;
    const size_t cells = (size_t)r->points * r->dim[2];
    double *s = arena_alloc(j->arena, cells, sizeof *s);
    uint8_t *use = arena_alloc(j->arena, cells, 1);
    const struct perfusion_times times = {r->points, r->dim[2], s, use};
    const char *why = NULL;
    if (!s || !use)
        return no_perfusion_memory(j);
    if (!choose_points(j, s, use))
        return false;
    if (!perfusion_axis_make(&times, j->arena, &j->axis, &why))
        return why ? REFUSE(j, "%s", why) : no_perfusion_memory(j);
    r->steps = j->axis.steps;
    r->step_s = j->axis.step_s;
    r->start_s = j->axis.start_s;
    const double length = (r->steps - 1) * r->step_s;
    if (r->step_s > step_max_s)
        return REFUSE(j, "an image of each place every %.1f s (limit %.1f s)", r->step_s,
                      step_max_s);
    if (j->axis.widest_s > gap_max_s)
        return REFUSE(j, "%.1f s without an image (limit %.1f s)", j->axis.widest_s, gap_max_s);
    if (length < length_min_s)
        return REFUSE(j, "the scan lasts %.0f s (at least %.0f s)", length, length_min_s);
    return step_mean(j);
}

static bool find_arrival(struct job *j)
{
    struct perfusion_result *r = &j->r;
    double rise;
    r->before =
        perfusion_baseline(r->brain_curve, r->steps, arrival_share, arrival_least_hu, &rise);
    if (rise < rise_min_hu)
        return REFUSE(j, "no bolus: the brain's mean rises by %.1f HU only (limit %.1f HU)", rise,
                      rise_min_hu);
    if (r->before < before_min)
        return REFUSE(j, "no baseline: contrast is there from image %u on (limit %u)",
                      r->before + 1, before_min + 1);
    double base = 0;
    for (uint32_t n = 0; n < r->before; n++)
        base += r->brain_curve[n] / r->before;
    for (uint32_t n = 0; n < r->steps; n++)
        r->brain_curve[n] -= base;
    return true;
}

// ---- Curves -------------------------------------------------------------------------------------

static double voxel_ml(const struct job *j)
{
    return j->r.spacing[0] * j->r.spacing[1] * j->r.spacing[2] / 1000;
}

static bool find_brain(struct job *j)
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
    ok = j->brain && gpu_mask_count(j->brain, &voxels, j->err);
    gpu_mask_destroy(soft);
    r->brain_ml = (double)voxels * voxel_ml(j);
    if (ok && r->brain_ml < brain_min_ml)
        return REFUSE(j, "%.0f mL of brain found (at least %.0f mL)", r->brain_ml, brain_min_ml);
    return ok;
}

// Root of the mean square before the bolus over a mask, each value divided by `weight` (NULL: 1).
static bool noise_of(struct job *j, const struct gpu_volume *square, const uint8_t *mask,
                     const float *weight, double *noise)
{
    float *values = malloc(j->voxels * sizeof *values);
    double sum = 0;
    uint64_t count = 0;
    if (!values)
        return no_perfusion_memory(j);
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

static bool check_vessels(struct job *j)
{
    const struct perfusion_result *r = &j->r;
    const struct perfusion_vessel *a = &j->vessels.artery, *v = &j->vessels.vein;
    const double end = a->curve[r->steps - 1] / a->peak;
    const double after = (r->steps - 1 - a->top) * r->step_s;
    if (a->peak < artery_min_hu || a->peak < artery_noise_min * r->noise_hu)
        return REFUSE(j,
                      "low contrast: the artery rises by %.0f HU at a noise of %.1f HU (at least "
                      "%.0f HU and %.0f times the noise)",
                      a->peak, r->noise_hu, artery_min_hu, artery_noise_min);
    if (after < after_artery_min_s || end > tail_max)
        return REFUSE(j,
                      "truncated: the scan ends %.0f s after the peak of the artery, at %.0f %% of "
                      "it (at least %.0f s, at most %.0f %%)",
                      after, 100 * end, after_artery_min_s, 100 * tail_max);
    if (v->count && v->curve[r->steps - 1] > tail_max * v->peak)
        return REFUSE(j,
                      "truncated: at the end of the scan the vein still has %.0f %% of its peak "
                      "(limit %.0f %%)",
                      100 * v->curve[r->steps - 1] / v->peak, 100 * tail_max);
    if (v->count && v->area > scale_max * a->area)
        return REFUSE(j,
                      "no good artery: that found has %.2f of the area of the vein (at least %.2f)",
                      a->area / v->area, 1 / scale_max);
    return true;
}

static void warn_of_vessels(struct job *j)
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
    if (a->width * r->step_s > width_warn_s)
        findings_add_warning(j->f,
                             "The bolus is %.0f s wide in the artery: slow injection or low "
                             "cardiac output",
                             a->width * r->step_s);
    if (r->points_dropped)
        findings_add_warning(j->f, "%u of %u points in time were left out", r->points_dropped,
                             r->points);
}

// Artery, vein, noise. The curves are those of soft tissue, not smoothed.
static bool find_vessels(struct job *j, struct perfusion_shape *shape)
{
    struct perfusion_result *r = &j->r;
    const char *why = "";
    uint8_t *mask = malloc(j->voxels);
    bool ok = mask || no_perfusion_memory(j);
    ok = ok && perfusion_shape_of(j->curves, j->brain, r->steps, r->before, shape, j->err) &&
         gpu_mask_read(j->brain, mask, j->err) &&
         noise_of(j, shape->square, mask, NULL, &r->noise_hu) &&
         perfusion_vessels_find(j->curves, shape, r->steps, r->before, r->noise_hu, j->arena,
                                &j->vessels, &why, j->err);
    free(mask);
    if (!ok)
        return false;
    if (!j->vessels.artery.count)
        return REFUSE(j, "no bolus: %s (highest peak %.0f HU, noise %.1f HU)", why,
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

static double artery_area(const struct job *j)
{
    return j->r.artery_scale * j->vessels.artery.area;
}

// 100 kH / rho: from parts of the artery to mL in 100 g.
static double per_100_g(const struct job *j)
{
    return 100 * j->p[P_HEMATOCRIT].number / j->p[P_DENSITY].number;
}

static bool count_ml(struct job *j, const struct gpu_mask *m, double *ml)
{
    uint64_t voxels = 0;
    const bool ok = gpu_mask_count(m, &voxels, j->err);
    *ml = (double)voxels * voxel_ml(j);
    return ok;
}

// Tissue is brain without vessels and fluid.
static bool find_tissue(struct job *j, const struct perfusion_shape *shape)
{
    struct perfusion_result *r = &j->r;
    const double one[3] = {r->spacing[0] / 2, r->spacing[1] / 2, 0};
    const double wide[3] = {r->spacing[0], r->spacing[1], 0};
    struct gpu_volume *sum = gpu_volume_smooth(shape->sum, one, j->err);
    struct gpu_volume *base = sum ? gpu_volume_smooth(j->baseline, wide, j->err) : NULL;
    struct gpu_mask *vessel =
        base ? gpu_mask_threshold(sum, j->p[P_VESSEL].number / per_100_g(j) * artery_area(j), 1e30,
                                  j->err)
             : NULL;
    struct gpu_mask *fluid =
        vessel ? gpu_mask_threshold(base, -1e30, j->p[P_FLUID].number, j->err) : NULL;
    j->tissue = fluid ? gpu_mask_copy(j->brain, j->err) : NULL;
    bool ok = j->tissue && gpu_mask_combine(vessel, MASK_AND, j->brain, j->err) &&
              gpu_mask_combine(fluid, MASK_AND, j->brain, j->err) &&
              gpu_mask_combine(j->tissue, MASK_ANDNOT, vessel, j->err) &&
              gpu_mask_combine(j->tissue, MASK_ANDNOT, fluid, j->err) &&
              count_ml(j, vessel, &r->vessels_ml) && count_ml(j, fluid, &r->fluid_ml) &&
              count_ml(j, j->tissue, &r->tissue_ml);
    gpu_mask_destroy(fluid);
    gpu_mask_destroy(vessel);
    gpu_volume_destroy(base);
    gpu_volume_destroy(sum);
    if (ok && r->tissue_ml < brain_min_ml)
        return REFUSE(j, "%.0f mL of brain tissue found (at least %.0f mL)", r->tissue_ml,
                      brain_min_ml);
    return ok;
}

static bool read_map(struct job *j, const struct gpu_volume *v, float **values)
{
    *values = arena_alloc(j->arena, j->voxels, sizeof **values);
    if (!*values)
        return no_perfusion_memory(j);
    return gpu_volume_read(v, 0, j->r.dim[2], *values, j->err);
}

// Curves of tissue only, not smoothed; those that were scanned are no longer needed then.
static bool keep_tissue(struct job *j)
{
    struct perfusion_result *r = &j->r;
    const bool ok = perfusion_enhance(j->scanned, r->points, j->tissue, j->axis.at, r->steps,
                                      r->before, j->curves, j->baseline, j->err);
    gpu_volume_destroy(j->scanned);
    j->scanned = NULL;
    return ok;
}

// Smooths them within slices; each voxel is to be divided by its weight.
static bool smooth_curves(struct job *j, const uint8_t *mask)
{
    struct gpu *g = j->run->gpu;
    struct perfusion_result *r = &j->r;
    const double sigma[3] = {r->smooth_mm, r->smooth_mm, 0};
    j->weight = arena_alloc(j->arena, j->voxels, sizeof *j->weight);
    if (!j->weight)
        return no_perfusion_memory(j);
    for (size_t n = 0; n < j->voxels; n++)
        j->weight[n] = mask[n] ? 1 : 0;
    struct gpu_volume *flat =
        gpu_volume_write(g, r->dim, r->spacing, GPU_VOXEL_F32, j->weight, j->err);
    struct gpu_volume *weight = flat ? gpu_volume_smooth(flat, sigma, j->err) : NULL;
    const bool ok = weight && gpu_volume_read(weight, 0, r->dim[2], j->weight, j->err);
    gpu_volume_destroy(weight);
    gpu_volume_destroy(flat);
    gpu_volume_destroy(j->smooth);
    j->smooth = ok ? gpu_volume_smooth(j->curves, sigma, j->err) : NULL;
    return j->smooth != NULL;
}

// The mean peak of smoothed tissue curves, and their noise.
static bool tissue_contrast(struct job *j, struct perfusion_shape *shape, const uint8_t *mask)
{
    struct perfusion_result *r = &j->r;
    float *peak = NULL;
    double sum = 0;
    uint64_t count = 0;
    perfusion_shape_finish(shape);
    if (!perfusion_shape_of(j->smooth, j->tissue, r->steps, r->before, shape, j->err) ||
        !noise_of(j, shape->square, mask, j->weight, &r->smooth_noise_hu) ||
        !read_map(j, shape->peak, &peak))
        return false;
    for (size_t n = 0; n < j->voxels; n++) {
        sum += mask[n] ? (double)peak[n] / (double)j->weight[n] : 0;
        count += mask[n];
    }
    r->tissue_hu = count ? sum / (double)count : 0;
    return true;
}

// Smooths as much as was asked for, and more where noise asks for it.
static bool smooth_enough(struct job *j, struct perfusion_shape *shape, const uint8_t *mask)
{
    struct perfusion_result *r = &j->r;
    r->smooth_mm = j->p[P_SMOOTH].number;
    if (!smooth_curves(j, mask) || !tissue_contrast(j, shape, mask))
        return false;
    const double lacking = tissue_noise_aim * r->smooth_noise_hu / r->tissue_hu;
    if (lacking > 1 && r->smooth_mm > 0) {
        r->smooth_mm *= fmin(lacking, smooth_more_max);
        if (!smooth_curves(j, mask) || !tissue_contrast(j, shape, mask))
            return false;
        findings_add_warning(j->f, "Noise of %.1f HU: smoothed with %.1f mm instead of %.1f mm",
                             r->noise_hu, r->smooth_mm, j->p[P_SMOOTH].number);
    }
    gpu_volume_destroy(j->curves);
    j->curves = NULL;
    if (r->tissue_hu < tissue_noise_min * r->smooth_noise_hu)
        return REFUSE(j,
                      "low contrast: tissue rises by %.1f HU at a noise of %.2f HU (at least %.1f "
                      "times)",
                      r->tissue_hu, r->smooth_noise_hu, tissue_noise_min);
    return true;
}

static void choose_cut(const struct job *j, struct perfusion_cut *cut)
{
    *cut = (struct perfusion_cut){.levels = 1, .oscillation = j->p[P_OSCILLATION].number};
    cut->share[0] = j->p[P_TRUNCATION].number / 100;
    if (j->p[P_METHOD].choice == METHOD_CSVD)
        return;
    cut->levels = PERFUSION_LEVELS_MAX;
    for (uint32_t n = 0; n < cut->levels; n++)
        cut->share[n] = 0.05 * (n + 1);
}

static bool deconvolve(struct job *j, struct perfusion_flow *flow)
{
    const uint32_t steps = j->r.steps;
    struct perfusion_cut cut;
    choose_cut(j, &cut);
    double *artery = arena_alloc(j->arena, steps, sizeof *artery);
    float *matrix = malloc((size_t)cut.levels * perfusion_rows(steps) * steps * sizeof *matrix);
    bool ok = (artery && matrix) || no_perfusion_memory(j);
    // What stands before the bolus is noise, and none of the artery.
    for (uint32_t n = j->r.before; ok && n < steps; n++)
        artery[n] = j->r.artery_scale * j->vessels.artery.curve[n];
    ok = ok && (perfusion_matrix(artery, steps, j->r.step_s, &cut, matrix, j->gain) ||
                no_perfusion_memory(j));
    ok = ok && perfusion_flow_of(j->smooth, j->tissue, steps, matrix, &cut, flow, j->err);
    free(matrix);
    return ok;
}

// ---- Maps ---------------------------------------------------------------------------------------

static void scale_maps(struct job *j, const uint8_t *mask, const float *level)
{
    struct perfusion_result *r = &j->r;
    const double flow = 60 * per_100_g(j), volume = per_100_g(j) / artery_area(j);
    for (size_t n = 0; n < j->voxels; n++) {
        const double w = (double)j->weight[n];
        if (!mask[n] || !(w > 0)) {
            r->clean_flow[n] = r->flow[n] = r->volume[n] = r->transit[n] = r->tmax[n] =
                r->peak_time[n] = NAN;
            continue;
        }
        const double cbf = fmax(flow * (double)r->flow[n] / w, 0);
        const double cbv = fmax(volume * (double)r->volume[n] / w, 0);
        const double noise = noise_maximum * flow * r->smooth_noise_hu *
                             j->gain[level[n] >= 1 ? (size_t)level[n] - 1 : 0];
        r->flow[n] = (float)cbf;
        r->clean_flow[n] = (float)sqrt(fmax(cbf * cbf - noise * noise, 0));
        r->volume[n] = (float)cbv;
        r->transit[n] = cbf > 0 ? (float)(60 * cbv / cbf) : NAN;
        r->tmax[n] = (float)((double)r->tmax[n] * r->step_s);
        r->peak_time[n] = (float)((double)r->peak_time[n] * r->step_s);
    }
}

static bool make_maps(struct job *j, const uint8_t *mask)
{
    struct perfusion_flow flow = {0};
    struct perfusion_shape shape = {0};
    struct perfusion_result *r = &j->r;
    float *level = NULL;
    const bool ok = keep_tissue(j) && smooth_enough(j, &shape, mask) &&
                    stage_step(j->run, "deconvolution", 0.6, j->err) && deconvolve(j, &flow) &&
                    read_map(j, flow.peak, &r->flow) && read_map(j, flow.when, &r->tmax) &&
                    read_map(j, shape.sum, &r->volume) && read_map(j, shape.when, &r->peak_time) &&
                    read_map(j, flow.level, &level);
    perfusion_shape_finish(&shape);
    perfusion_flow_finish(&flow);
    if (!ok)
        return false;
    r->transit = arena_alloc(j->arena, j->voxels, sizeof *r->transit);
    r->clean_flow = arena_alloc(j->arena, j->voxels, sizeof *r->clean_flow);
    if (!r->transit || !r->clean_flow)
        return no_perfusion_memory(j);
    scale_maps(j, mask, level);
    return true;
}

// ---- Volumes ------------------------------------------------------------------------------------

// Voxels of the image in a voxel of the work grid, whose last blocks are cut.
static double fine_voxels(const struct job *j, size_t n)
{
    const struct perfusion_result *r = &j->r;
    const size_t at[3] = {n % r->dim[0], n / r->dim[0] % r->dim[1], n / r->dim[0] / r->dim[1]};
    double count = 1;
    for (int a = 0; a < 3; a++) {
        const size_t first = at[a] * r->factor[a], left = j->v->dim[a] - first;
        count *= (double)(left < r->factor[a] ? left : r->factor[a]);
    }
    return count;
}

static double mask_ml(const struct job *j, const uint8_t *mask, const uint8_t *side, int which)
{
    const double *mm = j->v->spacing;
    double voxels = 0;
    for (size_t n = 0; n < j->voxels; n++) {
        if (mask[n] && (which == PERFUSION_SIDES || side[n] == which))
            voxels += fine_voxels(j, n);
    }
    return voxels * mm[0] * mm[1] * mm[2] / 1000;
}

static bool clean(struct job *j, uint8_t *mask)
{
    uint64_t dropped = 0;
    const uint32_t least = (uint32_t)ceil(j->p[P_CLUSTER].number / voxel_ml(j));
    const bool ok = perfusion_clean(j->tissue, least, mask, &dropped, j->err);
    j->r.dropped_ml += (double)dropped * voxel_ml(j);
    return ok;
}

static bool measure_tmax(struct job *j, const uint8_t *side)
{
    struct perfusion_result *r = &j->r;
    uint8_t *mask = arena_alloc(j->arena, j->voxels, 1);
    if (!mask)
        return no_perfusion_memory(j);
    for (int t = 0; t < PERFUSION_TMAX_LIMITS; t++) {
        for (size_t n = 0; n < j->voxels; n++)
            mask[n] = (double)r->tmax[n] > perfusion_tmax_limits[t];
        if (!clean(j, mask))
            return false;
        r->tmax_ml[t] = mask_ml(j, mask, side, PERFUSION_SIDES);
        if (t == PERFUSION_TMAX_MAIN)
            memcpy(r->delayed, mask, j->voxels);
    }
    for (int s = 0; s < PERFUSION_SIDES; s++)
        r->delayed_side_ml[s] = mask_ml(j, r->delayed, side, s);
    return true;
}

// The mean of tissue that is in time, on the side with less late tissue where there is any.
static bool find_normal(struct job *j, const uint8_t *side)
{
    struct perfusion_result *r = &j->r;
    double flow = 0, volume = 0, count = 0;
    const double *late = r->delayed_side_ml;
    r->normal_side = late[PERFUSION_LOW] == late[PERFUSION_HIGH]  ? PERFUSION_SIDES
                     : late[PERFUSION_LOW] < late[PERFUSION_HIGH] ? PERFUSION_LOW
                                                                  : PERFUSION_HIGH;
    for (size_t n = 0; n < j->voxels; n++) {
        if (!((double)r->tmax[n] <= normal_tmax_s) ||
            (r->normal_side != PERFUSION_SIDES && side[n] != r->normal_side))
            continue;
        flow += (double)r->clean_flow[n];
        volume += (double)r->volume[n];
        count++;
    }
    r->normal_ml = count * voxel_ml(j);
    if (r->normal_ml < normal_min_ml)
        return REFUSE(j,
                      "no normal tissue to compare with: %.0f mL with Tmax of at most %.0f s (at "
                      "least %.0f mL)",
                      r->normal_ml, normal_tmax_s, normal_min_ml);
    r->normal_flow = flow / count;
    r->normal_volume = volume / count;
    return true;
}

static bool measure_flow(struct job *j, const uint8_t *side)
{
    struct perfusion_result *r = &j->r;
    uint8_t *mask = arena_alloc(j->arena, j->voxels, 1);
    double volume = 0, flow = 0, count = 0;
    if (!mask)
        return no_perfusion_memory(j);
    for (int t = 0; t < PERFUSION_FLOW_LIMITS; t++) {
        const double limit = perfusion_flow_limits[t] / 100 * r->normal_flow;
        for (size_t n = 0; n < j->voxels; n++)
            mask[n] = r->delayed[n] && (double)r->clean_flow[n] < limit;
        if (!clean(j, mask))
            return false;
        for (size_t n = 0; n < j->voxels; n++)
            mask[n] = mask[n] && r->delayed[n];
        r->flow_ml[t] = mask_ml(j, mask, side, PERFUSION_SIDES);
        if (t == PERFUSION_FLOW_MAIN)
            memcpy(r->core, mask, j->voxels);
    }
    for (int s = 0; s < PERFUSION_SIDES; s++)
        r->core_side_ml[s] = mask_ml(j, r->core, side, s);
    for (size_t n = 0; n < j->voxels; n++) {
        volume += r->delayed[n] ? (double)r->volume[n] : 0;
        flow += r->delayed[n] ? (double)r->clean_flow[n] : 0;
        count += r->delayed[n];
    }
    r->late_flow = count > 0 && r->normal_flow > 0 ? flow / count / r->normal_flow : NAN;
    r->volume_index = count > 0 && r->normal_volume > 0 ? volume / count / r->normal_volume : NAN;
    return true;
}

static bool measure_volumes(struct job *j)
{
    struct perfusion_result *r = &j->r;
    struct perfusion_midline line;
    uint8_t *brain = arena_alloc(j->arena, j->voxels, 1);
    uint8_t *side = arena_alloc(j->arena, j->voxels, 1);
    r->delayed = arena_alloc(j->arena, j->voxels, 1);
    r->core = arena_alloc(j->arena, j->voxels, 1);
    if (!brain || !side || !r->delayed || !r->core)
        return no_perfusion_memory(j);
    if (!gpu_mask_read(j->brain, brain, j->err))
        return false;
    if (!perfusion_midline_find(brain, r->dim, r->spacing, &line))
        return no_perfusion_memory(j);
    r->overlap = line.overlap;
    if (line.overlap < overlap_min)
        findings_add_warning(j->f,
                             "The halves of the brain differ (%.0f %% alike, limit %.0f %%): the "
                             "line between them may be wrong",
                             100 * line.overlap, 100 * overlap_min);
    for (size_t n = 0; n < j->voxels; n++) {
        const double column = (double)(n % r->dim[0]), row = (double)(n / r->dim[0] % r->dim[1]);
        side[n] =
            perfusion_side(&line, r->spacing, column, row) < 0 ? PERFUSION_LOW : PERFUSION_HIGH;
    }
    return measure_tmax(j, side) && find_normal(j, side) && measure_flow(j, side);
}

// ---- The row ------------------------------------------------------------------------------------

static bool find_curves(struct job *j)
{
    struct perfusion_shape shape = {0};
    const bool ok = stage_step(j->run, "finding artery and vein", 0.5, j->err) && find_brain(j) &&
                    find_vessels(j, &shape) && find_tissue(j, &shape);
    perfusion_shape_finish(&shape);
    return ok;
}

static bool analyse_scan(struct job *j)
{
    if (!check_perfusion_scan(j) || !make_grid(j) || !load_scan(j) || !make_axis(j) ||
        !find_arrival(j) || !find_curves(j))
        return false;
    uint8_t *mask = arena_alloc(j->arena, j->voxels, 1);
    if (!mask)
        return no_perfusion_memory(j);
    return gpu_mask_read(j->tissue, mask, j->err) && make_maps(j, mask) &&
           stage_step(j->run, "measuring", 0.8, j->err) && measure_volumes(j);
}

static enum stage_end run_perfusion(const struct stage_run *run, struct findings *out,
                                    struct err *err)
{
    struct job j = {.run = run, .f = out, .err = err, .p = run->params, .arena = run->arena};
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
    gpu_mask_destroy(j.brain);
    gpu_mask_destroy(j.tissue);
    if (!ok)
        return refused(&j) ? STAGE_REFUSED : STAGE_BROKEN;
    return perfusion_report(out, run, j.image, &j.r, err) ? STAGE_DONE : STAGE_BROKEN;
}

static const struct stage_accept perfusion_accepts[] = {{"Modality", "CT"}, {0}};
static const struct stage_input_spec perfusion_inputs[] = {
    {"scan", "CT of the head in time, with a bolus of contrast agent: one series or several",
     INPUT_MANY, IMAGE_TIME, true, perfusion_accepts, NULL},
};
static const struct kernel_group *const perfusion_kernels[] = {&kernels_shrink,
                                                               &kernels_smooth,
                                                               &kernels_masks,
                                                               &kernels_ball,
                                                               &kernels_components,
                                                               &kernels_perfusion,
                                                               NULL};

const struct stage stage_perfusion = {
    .name = "perfusion",
    .title = "Brain perfusion",
    .version = "2",
    .slot = 3,
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
