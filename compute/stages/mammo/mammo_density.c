#include "compute/stages/mammo/mammo_density.h"
#include <math.h>
#include <string.h>

// From fat to muscle. Every second of 60 films with outlines of tissue gave it, at depths above
// skin_mm.
static const double dense_share = 0.25;
static const double skin_mm = 2;
static const double smooth_mm = 1; // outlines follow tissue, not single strands
// Of 60 films with outlines of tissue, 95 % have between so many points less and so many more than
// what is measured. Half of them gave dense_share.
static const double points_less = 25, points_more = 32;

bool mammo_density_find(const struct stage_run *run, const struct mammo_picture *p,
                        const struct mammo_breast *b, uint8_t *dense, struct mammo_marks *out,
                        struct err *err)
{
    const size_t count = (size_t)p->w * p->h;
    const uint32_t dim[3] = {p->w, p->h, 1};
    const double spacing[3] = {p->mm, p->mm, 1};
    float *v = arena_alloc(run->arena, count, sizeof *v);
    memset(dense, 0, count);
    out->percent = NAN;
    out->breast_mm2 = b->area_px * p->mm * p->mm;
    if (!v)
        return err_set(err, ERR_NOMEM, "mammo: no memory for dense tissue");
    if (!(b->range > 0) || !(b->area_px > 0)) {
        out->no_density = "its tissue has no contrast";
        return true;
    }
    struct gpu_volume *even = gpu_volume_write(run->gpu, dim, spacing, GPU_VOXEL_F32, b->even, err);
    struct gpu_volume *smooth =
        even ? gpu_volume_smooth(even, (double[]){smooth_mm, smooth_mm, 0}, err) : NULL;
    const bool ok = smooth && gpu_volume_read(smooth, 0, 1, v, err);
    const double threshold = b->fat + dense_share * b->range;
    double pixels = 0;
    for (size_t i = 0; ok && i < count; i++) {
        dense[i] = b->whole[i] && !b->muscle[i] && (double)b->depth_mm[i] > skin_mm &&
                   (double)v[i] > threshold;
        pixels += dense[i];
    }
    gpu_volume_destroy(smooth);
    gpu_volume_destroy(even);
    out->dense_mm2 = pixels * p->mm * p->mm;
    out->percent = 100 * pixels / b->area_px;
    out->percent_range[0] = fmax(out->percent - points_less, 0);
    out->percent_range[1] = fmin(out->percent + points_more, 100);
    return ok;
}
