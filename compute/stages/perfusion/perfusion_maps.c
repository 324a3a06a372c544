// From curves to maps: smoothing, deconvolution, what a maximum owes to noise; and once more with
// the other artery, to see what depends on the choice.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/stages/perfusion/perfusion_job.h"

static const double guide_mm = 1.7;
// Another artery whose bolus is as early gives the same volumes.
static const double other_least_s = 0.5;
static const double early_s = 5; // tissue before its artery: one that was found downstream
static const double least_smooth_mm = 0.05, least_noise_hu = 1e-3; // not to divide by 0
static const double tissue_noise_aim = 7; // peak of a tissue curve by its noise
// Of fewer images less noise may be in each.
static const double interval_usual_s = 1.5;
static const double smooth_more_max = 1.6; // of what was asked for
static const double tissue_noise_min = 5;
// The same where images are far apart, by sqrt(interval / usual one): phantoms without a lesion
// showed late tissue (6 and 21 mL) up to 4.0.
static const double tissue_noise_sparse_min = 4.1;
// The maximum of a function of noise alone is about so many of its standard deviations high: the
// mean of the maximum of 40 to 100 normal values is 2.2 to 2.5. What a maximum F owes to noise is
// taken off as that of a magnitude is: sqrt(F^2 - (2.5 sd)^2). tests/phantom/perfusion.py
static const double noise_maximum = 2.5;

static bool read_map(struct perfusion_job *j, const struct gpu_volume *v, float **values)
{
    *values = arena_alloc(j->arena, j->voxels, sizeof **values);
    if (!*values)
        return perfusion_no_memory(j);
    return gpu_volume_read(v, 0, j->r.dim[2], *values, j->err);
}

// Curves of tissue only, not smoothed; those that were scanned are no longer needed then.
static bool keep_tissue(struct perfusion_job *j)
{
    struct perfusion_result *r = &j->r;
    const bool ok = perfusion_enhance(j->scanned, r->points, j->tissue, j->axis.at, r->steps,
                                      r->before, j->curves, j->baseline, j->err);
    gpu_volume_destroy(j->scanned);
    j->scanned = NULL;
    return ok;
}

// The mask, smoothed: also to host memory.
static struct gpu_volume *smooth_part(struct perfusion_job *j, const uint8_t *mask,
                                      const double sigma[3], float *weight)
{
    const struct perfusion_result *r = &j->r;
    for (size_t n = 0; n < j->voxels; n++)
        weight[n] = mask[n] ? 1 : 0;
    struct gpu_volume *flat =
        gpu_volume_write(j->run->gpu, r->dim, r->spacing, GPU_VOXEL_F32, weight, j->err);
    struct gpu_volume *part = flat ? gpu_volume_smooth(flat, sigma, j->err) : NULL;
    gpu_volume_destroy(flat);
    if (part && gpu_volume_read(part, 0, r->dim[2], weight, j->err))
        return part;
    gpu_volume_destroy(part);
    return NULL;
}

// What says which curves are alike: the curves, smoothed a little; and how much of it is noise.
static bool make_guide(struct perfusion_job *j, const uint8_t *mask)
{
    const double sigma[3] = {guide_mm, guide_mm, 0};
    struct perfusion_shape shape = {0};
    j->part = smooth_part(j, mask, sigma, j->weight);
    j->guide = j->part ? gpu_volume_smooth(j->curves, sigma, j->err) : NULL;
    const bool ok =
        j->guide &&
        perfusion_shape_of(j->guide, j->tissue, j->r.steps, j->r.before, &shape, j->err) &&
        perfusion_noise_of(j, shape.square, mask, j->weight, &j->guide_noise);
    perfusion_shape_finish(&shape);
    return ok;
}

// Smooths them within slices. Where there is no noise to smooth they stay as they are.
static bool smooth_curves(struct perfusion_job *j, const uint8_t *mask)
{
    const struct perfusion_result *r = &j->r;
    gpu_volume_destroy(j->smooth);
    j->smooth = perfusion_planes(j->run->gpu, r->dim, r->spacing, r->steps, j->err);
    for (size_t n = 0; n < j->voxels; n++)
        j->weight[n] = mask[n] ? 1 : 0;
    return j->smooth && perfusion_alike(j->curves, j->guide, j->part, j->tissue, r->steps,
                                        r->before, fmax(r->smooth_mm, least_smooth_mm),
                                        fmax(j->guide_noise, least_noise_hu), j->smooth, j->err);
}

// The mean peak of smoothed tissue curves, and their noise.
static bool tissue_contrast(struct perfusion_job *j, struct perfusion_shape *shape,
                            const uint8_t *mask)
{
    struct perfusion_result *r = &j->r;
    float *peak = NULL;
    double sum = 0;
    uint64_t count = 0;
    perfusion_shape_finish(shape);
    if (!perfusion_shape_of(j->smooth, j->tissue, r->steps, r->before, shape, j->err) ||
        !perfusion_noise_of(j, shape->square, mask, j->weight, &r->smooth_noise_hu) ||
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
static bool smooth_enough(struct perfusion_job *j, struct perfusion_shape *shape,
                          const uint8_t *mask)
{
    struct perfusion_result *r = &j->r;
    r->smooth_mm = j->p[P_SMOOTH].number;
    j->weight = arena_alloc(j->arena, j->voxels, sizeof *j->weight);
    if (!j->weight)
        return perfusion_no_memory(j);
    if (!make_guide(j, mask) || !smooth_curves(j, mask) || !tissue_contrast(j, shape, mask))
        return false;
    const double images = j->axis.halved ? sqrt(r->interval_s / interval_usual_s) : 1;
    const double lacking = images * tissue_noise_aim * r->smooth_noise_hu / r->tissue_hu;
    if (lacking > 1 && r->smooth_mm > 0) {
        r->smooth_mm *= fmin(lacking, smooth_more_max);
        if (!smooth_curves(j, mask) || !tissue_contrast(j, shape, mask))
            return false;
        r->noisy = true;
        findings_add_warning(j->f,
                             "Noise of %.1f HU: smoothed with %.1f mm instead of %.1f mm; core may "
                             "be too small by a third",
                             r->noise_hu, r->smooth_mm, j->p[P_SMOOTH].number);
    }
    gpu_volume_destroy(j->curves);
    gpu_volume_destroy(j->guide);
    gpu_volume_destroy(j->part);
    j->curves = j->guide = j->part = NULL;
    const double least =
        fmax(tissue_noise_min, j->axis.halved ? tissue_noise_sparse_min * images : 0);
    if (r->tissue_hu < least * r->smooth_noise_hu)
        return PERFUSION_REFUSE(
            j,
            "low contrast: tissue rises by %.1f HU at a noise of %.2f HU (at least %.1f times with "
            "images every %.1f s)",
            r->tissue_hu, r->smooth_noise_hu, least, r->interval_s);
    return true;
}

static void choose_cut(const struct perfusion_job *j, struct perfusion_cut *cut)
{
    *cut = (struct perfusion_cut){.levels = 1,
                                  .oscillation = j->p[P_OSCILLATION].number,
                                  .early = (uint32_t)ceil(early_s / j->r.step_s)};
    // Of white noise at every other step, linear between: variance 1 and 1/2, covariances of steps
    // one apart 1/2, two apart 0 and 1/4.
    cut->noise[0] = j->axis.halved ? 2.0 / 3 : 0;
    cut->noise[1] = j->axis.halved ? 1.0 / 6 : 0;
    cut->share[0] = j->p[P_TRUNCATION].number / 100;
    if (j->p[P_METHOD].choice == PERFUSION_CSVD)
        return;
    cut->levels = PERFUSION_LEVELS_MAX;
    for (uint32_t n = 0; n < cut->levels; n++)
        cut->share[n] = 0.05 * (n + 1);
}

static bool deconvolve(struct perfusion_job *j, struct perfusion_flow *flow)
{
    const uint32_t steps = j->r.steps;
    struct perfusion_cut cut;
    struct perfusion_inverse inverse = {0};
    choose_cut(j, &cut);
    double *artery = arena_alloc(j->arena, steps, sizeof *artery);
    bool ok = artery || perfusion_no_memory(j);
    // What stands before the bolus is noise, and none of the artery.
    for (uint32_t n = j->r.before; ok && n < steps; n++)
        artery[n] = j->r.artery_scale * j->vessels.artery.curve[n];
    ok = ok &&
         (perfusion_invert(artery, steps, j->r.step_s, &cut, &inverse) || perfusion_no_memory(j));
    ok = ok && perfusion_flow_of(j->smooth, j->tissue, &inverse, &cut, flow, j->err);
    memcpy(j->gain, inverse.gain, sizeof j->gain);
    perfusion_inverse_finish(&inverse);
    return ok;
}

// ---- Maps ---------------------------------------------------------------------------------------

// Flow and Tmax, in their units; NAN where there is no tissue.
static void scale_flow(struct perfusion_job *j, const uint8_t *mask, const float *level)
{
    struct perfusion_result *r = &j->r;
    const double flow = 60 * perfusion_per_100_g(j);
    for (size_t n = 0; n < j->voxels; n++) {
        const double w = (double)j->weight[n];
        if (!mask[n] || !(w > 0)) {
            r->clean_flow[n] = r->flow[n] = r->tmax[n] = NAN;
            continue;
        }
        const double cbf = fmax(flow * (double)r->flow[n] / w, 0);
        const double noise = noise_maximum * flow * r->smooth_noise_hu *
                             j->gain[level[n] >= 1 ? (size_t)level[n] - 1 : 0];
        r->flow[n] = (float)cbf;
        r->clean_flow[n] = (float)sqrt(fmax(cbf * cbf - noise * noise, 0));
        r->tmax[n] = cbf > 0 ? (float)((double)r->tmax[n] * r->step_s) : NAN;
    }
}

// What does not come of the deconvolution, and the transit time. After scale_flow().
static void scale_volume(struct perfusion_job *j)
{
    struct perfusion_result *r = &j->r;
    const double volume = perfusion_per_100_g(j) / perfusion_artery_area(j);
    for (size_t n = 0; n < j->voxels; n++) {
        const double cbf = (double)r->flow[n], w = (double)j->weight[n];
        if (isnan(cbf)) {
            r->volume[n] = r->transit[n] = r->peak_time[n] = NAN;
            continue;
        }
        const double cbv = fmax(volume * (double)r->volume[n] / w, 0);
        r->volume[n] = (float)cbv;
        r->transit[n] = cbf > 0 ? (float)(60 * cbv / cbf) : NAN;
        r->peak_time[n] = (float)((double)r->peak_time[n] * r->step_s);
    }
}

// Flow and Tmax with the artery of the job.
static bool make_flow(struct perfusion_job *j, const uint8_t *mask)
{
    struct perfusion_flow flow = {0};
    struct perfusion_result *r = &j->r;
    float *level = NULL;
    r->clean_flow = arena_alloc(j->arena, j->voxels, sizeof *r->clean_flow);
    if (!r->clean_flow)
        return perfusion_no_memory(j);
    const bool ok = deconvolve(j, &flow) && read_map(j, flow.peak, &r->flow) &&
                    read_map(j, flow.when, &r->tmax) && read_map(j, flow.level, &level);
    perfusion_flow_finish(&flow);
    if (ok)
        scale_flow(j, mask, level);
    return ok;
}

bool perfusion_maps_make(struct perfusion_job *j, const uint8_t *mask)
{
    struct perfusion_shape shape = {0};
    struct perfusion_result *r = &j->r;
    const bool ok = keep_tissue(j) && smooth_enough(j, &shape, mask) &&
                    stage_step(j->run, "deconvolution", 0.6, j->err) && make_flow(j, mask) &&
                    read_map(j, shape.sum, &r->volume) && read_map(j, shape.when, &r->peak_time);
    perfusion_shape_finish(&shape);
    if (!ok)
        return false;
    r->transit = arena_alloc(j->arena, j->voxels, sizeof *r->transit);
    if (!r->transit)
        return perfusion_no_memory(j);
    scale_volume(j);
    return true;
}

// ---- The other artery ---------------------------------------------------------------------------

bool perfusion_maps_compare(struct perfusion_job *j, const uint8_t *mask)
{
    const struct perfusion_vessel *other = &j->vessels.other;
    struct perfusion_result *r = &j->r;
    struct perfusion_job again = *j; // what was found so far; its results do not stay
    r->other_later_s = j->vessels.other_later * r->step_s;
    if (!other->count || fabs(r->other_later_s) < other_least_s)
        return true;
    again.vessels.artery = *other;
    again.r.vessels = &again.vessels;
    again.r.artery_scale = 1;
    if (j->p[P_SCALE].truth && again.vessels.vein.area > other->area)
        again.r.artery_scale = again.vessels.vein.area / other->area;
    if (!make_flow(&again, mask) || !perfusion_volumes_again(&again))
        return false;
    r->other = again.r.normal_ml > 0;
    memcpy(r->other_tmax_ml, again.r.tmax_ml, sizeof r->other_tmax_ml);
    memcpy(r->other_flow_ml, again.r.flow_ml, sizeof r->other_flow_ml);
    return true;
}
