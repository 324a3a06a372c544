#include "compute/stages/dce/dce_curves.h"
#include <math.h>
#include <stdlib.h>
#include "compute/kernels/grid.h"
#include "shaders/dce/shaders.h"

struct angles_push { // what follows the grid in shaders/dce/angles.comp
    uint32_t count;
};
struct contrast_push { // in contrast.comp
    uint32_t points, before;
    float cosine, scale;
};
struct fit_push { // in fit.comp
    uint32_t points, extended;
    float r11, r12, r22;
};

static const struct kernel angles = {.shader = &shader_dce_angles,
                                     .group = {8, 8, 1},
                                     .push_bytes = GRID_PUSH_BYTES + sizeof(struct angles_push),
                                     .bindings = 3,
                                     .access = {KERNEL_TEXELS, KERNEL_IN, KERNEL_OUT}};
static const struct kernel contrast = {
    .shader = &shader_dce_contrast,
    .group = {8, 8, 1},
    .push_bytes = GRID_PUSH_BYTES + sizeof(struct contrast_push),
    .bindings = 5,
    .access = {KERNEL_TEXELS, KERNEL_TEXELS, KERNEL_INOUT, KERNEL_OUT, KERNEL_OUT}};
static const struct kernel fit = {.shader = &shader_dce_fit,
                                  .group = {8, 8, 1},
                                  .push_bytes = GRID_PUSH_BYTES + sizeof(struct fit_push),
                                  .bindings = 7,
                                  .access = {KERNEL_TEXELS, KERNEL_TEXELS, KERNEL_IN, KERNEL_OUT,
                                             KERNEL_OUT, KERNEL_OUT, KERNEL_OUT}};
static const struct kernel *const dce_list[] = {&angles, &contrast, &fit};
const struct kernel_group kernels_dce = {dce_list, sizeof dce_list / sizeof *dce_list};

// Curves of a grid as a binding.
static struct grid_bind curves_bind(const struct gpu_volume *planes, uint32_t points)
{
    return grid_slices(planes->buf, (uint64_t)planes->slice * points * sizeof(float));
}

bool dce_angles(const struct gpu_volume *images, uint32_t count, const double *angle,
                const struct gpu_volume *lost, struct err *err)
{
    float table[DCE_ANGLES_MAX][4] = {0};
    for (uint32_t n = 0; n < count && n < DCE_ANGLES_MAX; n++) {
        table[n][0] = (float)(1 / tan(angle[n]));
        table[n][1] = (float)tan(angle[n] / 2);
    }
    struct gpu_buf *buf = gpu_buf_create(images->gpu, "flip angles", sizeof table, err);
    const struct angles_push push = {count};
    const struct grid_call call = {
        .per = {4, 1, 1},
        .dim = {lost->dim[0], lost->dim[1], lost->dim[2]},
        .bind = {curves_bind(images, count), grid_buf(buf), grid_volume(lost)},
        .push = &push,
        .push_size = sizeof push,
        .trips = 2ULL * count,
        .work = 2ULL * count};
    const bool ok = buf && gpu_buf_write(buf, 0, table, sizeof table, err) &&
                    grid_run(images->gpu, &angles, &call, err);
    gpu_buf_destroy(buf);
    return ok;
}

bool dce_contrast(const struct gpu_volume *curves, uint32_t points, const struct gpu_mask *mask,
                  const struct gpu_volume *lost, uint32_t before, const struct dce_sequence *seq,
                  const struct gpu_volume *baseline, const struct gpu_volume *broken,
                  struct err *err)
{
    const struct contrast_push push = {points, before, (float)cos(seq->flip),
                                       (float)(1 / (seq->tr_s * seq->relaxivity))};
    const struct grid_call call = {.per = {4, 1, 1},
                                   .bind = {grid_mask(mask), grid_volume(lost),
                                            curves_bind(curves, points), grid_volume(baseline),
                                            grid_volume(broken)},
                                   .push = &push,
                                   .push_size = sizeof push,
                                   .trips = before + 4 * 12ULL * points,
                                   .work = 2ULL * points};
    return grid_run(mask->gpu, &contrast, &call, err);
}

void dce_fit_finish(struct dce_fit *f)
{
    gpu_volume_destroy(f->ktrans);
    gpu_volume_destroy(f->kep);
    gpu_volume_destroy(f->vp);
    gpu_volume_destroy(f->rest);
    *f = (struct dce_fit){0};
}

// The columns that all voxels share, made orthonormal, in double precision. False: they cannot be.
static bool make_columns(const double *plasma, const double *at_s, uint32_t points, bool extended,
                         double (*q)[2], float (*table)[4], struct fit_push *push)
{
    static const double alike_max = 1e-6; // of the square of a column that the other leaves
    double area = 0, square = 0, both = 0, left = 0, whole = 0;
    for (uint32_t n = 0; n < points; n++) {
        const double half = n ? (at_s[n] - at_s[n - 1]) / 60 / 2 : 0;
        area += n ? (plasma[n] + plasma[n - 1]) * half : 0;
        q[n][0] = area;
        q[n][1] = plasma[n];
        table[n][2] = (float)half;
        square += area * area;
    }
    const double r11 = sqrt(square);
    if (!(r11 > 0))
        return false;
    for (uint32_t n = 0; n < points; n++) {
        q[n][0] /= r11;
        both += q[n][0] * q[n][1];
    }
    for (uint32_t n = 0; n < points; n++) {
        whole += q[n][1] * q[n][1];
        q[n][1] -= both * q[n][0];
        left += q[n][1] * q[n][1];
    }
    if (extended && !(left > alike_max * whole))
        return false;
    const double r22 = sqrt(left);
    for (uint32_t n = 0; n < points; n++) {
        table[n][0] = (float)q[n][0];
        table[n][1] = extended ? (float)(q[n][1] / r22) : 0;
    }
    *push = (struct fit_push){points, extended, (float)r11, (float)both, (float)r22};
    return true;
}

static struct gpu_volume *fit_volume(const struct gpu_mask *mask, struct err *err)
{
    return gpu_volume_create(mask->gpu, mask->dim, mask->spacing, GPU_VOXEL_F32, err);
}

static bool run_fit(const struct gpu_volume *curves, uint32_t points, const struct gpu_mask *mask,
                    const float (*table)[4], const struct fit_push *push, struct dce_fit *out,
                    struct err *err)
{
    const uint64_t bytes = (uint64_t)points * sizeof *table;
    struct gpu_buf *buf = gpu_buf_create(mask->gpu, "plasma", bytes, err);
    out->ktrans = buf ? fit_volume(mask, err) : NULL;
    out->kep = out->ktrans ? fit_volume(mask, err) : NULL;
    out->vp = out->kep ? fit_volume(mask, err) : NULL;
    out->rest = out->vp ? fit_volume(mask, err) : NULL;
    const struct grid_call call = {.per = {4, 1, 1},
                                   .bind = {curves_bind(curves, points), grid_mask(mask),
                                            grid_buf(buf), grid_volume(out->ktrans),
                                            grid_volume(out->kep), grid_volume(out->vp),
                                            grid_volume(out->rest)},
                                   .push = push,
                                   .push_size = sizeof *push,
                                   .trips = 2ULL * points,
                                   .work = 2ULL * points};
    const bool ok = out->rest && gpu_buf_write(buf, 0, table, bytes, err) &&
                    grid_run(mask->gpu, &fit, &call, err);
    gpu_buf_destroy(buf);
    return ok;
}

bool dce_fit_of(const struct gpu_volume *curves, uint32_t points, const struct gpu_mask *mask,
                const double *plasma, const double *at_s, bool extended, struct dce_fit *out,
                struct err *err)
{
    double(*q)[2] = malloc(points * sizeof *q);
    float(*table)[4] = calloc(points, sizeof *table);
    struct fit_push push = {0};
    bool ok = (q && table) || err_set(err, ERR_NOMEM, "dce: no memory");
    *out = (struct dce_fit){0};
    ok = ok && (make_columns(plasma, at_s, points, extended, q, table, &push) ||
                err_set(err, ERR_INPUT, "the curve of the artery is nought, or like its integral"));
    ok = ok && run_fit(curves, points, mask, table, &push, out, err);
    free(table);
    free(q);
    if (!ok)
        dce_fit_finish(out);
    return ok;
}
