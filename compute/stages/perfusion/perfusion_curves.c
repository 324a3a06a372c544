#include "compute/stages/perfusion/perfusion_curves.h"
#include <math.h>
#include "compute/kernels/grid.h"
#include "shaders/perfusion/shaders.h"

struct put_push { // what follows the grid in shaders/perfusion/put.comp
    uint32_t points, point;
    uint32_t row, slice;
    uint32_t columns, rows, slices;
    uint32_t across, down, through;
};
struct enhance_push { // in enhance.comp
    uint32_t points, steps, before;
};
struct shape_push { // in shape.comp
    uint32_t steps, before;
};
struct alike_push { // in alike.comp
    uint32_t steps, before;
    int32_t reach;
    float near_x, near_y, noise;
    uint32_t stride;
    float share;
};
struct terms_push { // in terms.comp
    uint32_t steps, planes;
};
struct residue_push { // in residue.comp
    uint32_t steps, rows, planes, used, number, last;
    float oscillation;
    uint32_t early;
};

#define PUT(is_float, whole)                                                                       \
    {                                                                                              \
        .shader = &shader_perfusion_put, .group = {8, 8, 1}, .constants = {is_float, whole},       \
        .push_bytes = GRID_PUSH_BYTES + sizeof(struct put_push), .bindings = 3,                    \
        .access = {KERNEL_TEXELS, KERNEL_OUT, KERNEL_OUT},                                         \
    }
static const struct kernel put_int16 = PUT(0, 0), put_float = PUT(1, 0);
static const struct kernel put_pairs = PUT(0, 2), put_fours = PUT(0, 4); // of whole blocks
static const struct kernel enhance = {
    .shader = &shader_perfusion_enhance,
    .group = {8, 8, 1},
    .push_bytes = GRID_PUSH_BYTES + sizeof(struct enhance_push),
    .bindings = 5,
    .access = {KERNEL_TEXELS, KERNEL_TEXELS, KERNEL_TEXELS, KERNEL_OUT, KERNEL_OUT}};
static const struct kernel shape = {
    .shader = &shader_perfusion_shape,
    .group = {8, 8, 1},
    .push_bytes = GRID_PUSH_BYTES + sizeof(struct shape_push),
    .bindings = 6,
    .access = {KERNEL_TEXELS, KERNEL_TEXELS, KERNEL_OUT, KERNEL_OUT, KERNEL_OUT, KERNEL_OUT}};
#define ALIKE(wide)                                                                                \
    {                                                                                              \
        .shader = &shader_perfusion_alike, .group = {8, 8, 1}, .constants = {wide},                \
        .push_bytes = GRID_PUSH_BYTES + sizeof(struct alike_push), .bindings = 5,                  \
        .access = {KERNEL_TEXELS, KERNEL_TEXELS, KERNEL_TEXELS, KERNEL_TEXELS, KERNEL_INOUT},      \
    }
static const struct kernel alike_near = ALIKE(0), alike_wide = ALIKE(1);
static const struct kernel terms = {
    .shader = &shader_perfusion_terms,
    .group = {8, 8, 1},
    .push_bytes = GRID_PUSH_BYTES + sizeof(struct terms_push),
    .bindings = 4,
    .access = {KERNEL_TEXELS, KERNEL_TEXELS, KERNEL_TEXELS, KERNEL_OUT}};
static const struct kernel residue = {.shader = &shader_perfusion_residue,
                                      .group = {8, 8, 1},
                                      .push_bytes = GRID_PUSH_BYTES + sizeof(struct residue_push),
                                      .bindings = 6,
                                      .access = {KERNEL_TEXELS, KERNEL_TEXELS, KERNEL_TEXELS,
                                                 KERNEL_INOUT, KERNEL_INOUT, KERNEL_INOUT}};
static const struct kernel *const perfusion_list[] = {
    &put_int16, &put_float,  &put_pairs,  &put_fours, &enhance,
    &shape,     &alike_near, &alike_wide, &terms,     &residue};
const struct kernel_group kernels_perfusion = {perfusion_list,
                                               sizeof perfusion_list / sizeof *perfusion_list};

struct gpu_volume *perfusion_planes(struct gpu *g, const uint32_t dim[3], const double spacing[3],
                                    uint32_t steps, struct err *err)
{
    const uint32_t planes[3] = {dim[0], dim[1], dim[2] * steps};
    if (planes[2] > KERNELS_DIM_MAX) {
        err_set(err, ERR_UNSUPPORTED, "%u slices of %u points are more than %d planes", dim[2],
                steps, KERNELS_DIM_MAX);
        return NULL;
    }
    return gpu_volume_create(g, planes, spacing, GPU_VOXEL_F32, err);
}

// Curves of a grid as a binding.
static struct grid_bind planes_bind(const struct gpu_volume *planes, uint32_t steps)
{
    return grid_slices(planes->buf, (uint64_t)planes->slice * steps * sizeof(float));
}

bool perfusion_put(const struct gpu_volume *planes, uint32_t points, uint32_t point,
                   const struct gpu_volume *value, const uint32_t factor[3],
                   const struct gpu_volume *blocks, struct err *err)
{
    const struct put_push push = {points,        point,         value->row,    value->slice,
                                  value->dim[0], value->dim[1], value->dim[2], factor[0],
                                  factor[1],     factor[2]};
    const uint64_t voxels = (uint64_t)factor[0] * factor[1] * factor[2];
    const struct grid_call call = {
        .per = {4, 1, 1},
        .dim = {blocks->dim[0], blocks->dim[1], blocks->dim[2]},
        .bind = {grid_buf(value->buf), planes_bind(planes, points), grid_volume(blocks)},
        .push = &push,
        .push_size = sizeof push,
        .trips = 4 * voxels,
        .work = voxels};
    const bool whole = value->type == GPU_VOXEL_I16 && value->dim[0] % factor[0] == 0;
    const struct kernel *k = whole && factor[0] == 2        ? &put_pairs
                             : whole && factor[0] == 4      ? &put_fours
                             : value->type == GPU_VOXEL_I16 ? &put_int16
                                                            : &put_float;
    return grid_run(value->gpu, k, &call, err);
}

bool perfusion_enhance(const struct gpu_volume *scanned, uint32_t points,
                       const struct gpu_mask *mask, const float *at, uint32_t steps,
                       uint32_t before, const struct gpu_volume *curves,
                       const struct gpu_volume *baseline, struct err *err)
{
    const uint64_t bytes = (uint64_t)mask->dim[2] * steps * 4 * sizeof *at;
    struct gpu_buf *table = gpu_buf_create(mask->gpu, "perfusion steps", bytes, err);
    const struct enhance_push push = {points, steps, before};
    const struct grid_call call = {.per = {4, 1, 1},
                                   .bind = {planes_bind(scanned, points), grid_mask(mask),
                                            grid_buf(table), planes_bind(curves, steps),
                                            grid_volume(baseline)},
                                   .push = &push,
                                   .push_size = sizeof push,
                                   .trips = steps + before,
                                   .work = 2 * ((uint64_t)steps + before)};
    const bool ok = table && gpu_buf_write(table, 0, at, bytes, err) &&
                    grid_run(mask->gpu, &enhance, &call, err);
    gpu_buf_destroy(table);
    return ok;
}

void perfusion_shape_finish(struct perfusion_shape *s)
{
    gpu_volume_destroy(s->sum);
    gpu_volume_destroy(s->peak);
    gpu_volume_destroy(s->when);
    gpu_volume_destroy(s->square);
    *s = (struct perfusion_shape){0};
}

static struct gpu_volume *float_like(const struct gpu_mask *mask, struct err *err)
{
    return gpu_volume_create(mask->gpu, mask->dim, mask->spacing, GPU_VOXEL_F32, err);
}

bool perfusion_shape_of(const struct gpu_volume *curves, const struct gpu_mask *mask,
                        uint32_t steps, uint32_t before, struct perfusion_shape *out,
                        struct err *err)
{
    *out = (struct perfusion_shape){.sum = float_like(mask, err)};
    out->peak = out->sum ? float_like(mask, err) : NULL;
    out->when = out->peak ? float_like(mask, err) : NULL;
    out->square = out->when ? float_like(mask, err) : NULL;
    const struct shape_push push = {steps, before};
    const struct grid_call call = {.per = {4, 1, 1},
                                   .bind = {planes_bind(curves, steps), grid_mask(mask),
                                            grid_volume(out->sum), grid_volume(out->peak),
                                            grid_volume(out->when), grid_volume(out->square)},
                                   .push = &push,
                                   .push_size = sizeof push,
                                   .trips = steps,
                                   .work = steps};
    if (out->square && grid_run(mask->gpu, &shape, &call, err))
        return true;
    perfusion_shape_finish(out);
    return false;
}

// ---- Smoothing ----------------------------------------------------------------------------------

enum { REACH_MAX = 4 }; // voxels: as in alike.comp
static const double reach_sigmas = 2;
// Steps that are enough to tell two curves apart: the mean square of so many differences of noise
// is known to 30 %.
static const uint32_t compared_min = 22;

bool perfusion_alike(const struct gpu_volume *curves, const struct gpu_volume *guide,
                     const struct gpu_volume *part, const struct gpu_mask *mask, uint32_t steps,
                     uint32_t before, double sigma_mm, double noise, const struct gpu_volume *out,
                     struct err *err)
{
    const double *mm = mask->spacing;
    const double reach = ceil(reach_sigmas * sigma_mm / fmin(mm[0], mm[1]));
    const uint32_t stride = steps - before > compared_min ? (steps - before) / compared_min : 1;
    const uint32_t compared = (steps - before + stride - 1) / stride;
    const struct alike_push push = {.steps = steps,
                                    .before = before,
                                    .reach = (int32_t)fmin(reach, REACH_MAX),
                                    .near_x = (float)(mm[0] * mm[0] / (2 * sigma_mm * sigma_mm)),
                                    .near_y = (float)(mm[1] * mm[1] / (2 * sigma_mm * sigma_mm)),
                                    .noise = (float)(noise * noise),
                                    .stride = stride,
                                    .share = 1.0f / (float)compared};
    const uint64_t around = 2 * (uint64_t)push.reach + 1;
    const struct grid_call call = {.per = {4, 1, 1},
                                   .bind = {planes_bind(curves, steps), planes_bind(guide, steps),
                                            grid_volume(part), grid_mask(mask),
                                            planes_bind(out, steps)},
                                   .push = &push,
                                   .push_size = sizeof push,
                                   .trips = around * (steps + compared),
                                   .work = around * (steps + compared) * 3};
    return grid_run(mask->gpu, push.reach == REACH_MAX ? &alike_wide : &alike_near, &call, err);
}

// ---- Deconvolution ------------------------------------------------------------------------------

void perfusion_flow_finish(struct perfusion_flow *f)
{
    gpu_volume_destroy(f->peak);
    gpu_volume_destroy(f->when);
    gpu_volume_destroy(f->level);
    *f = (struct perfusion_flow){0};
}

static bool run_levels(const struct gpu_volume *parts, const struct gpu_mask *mask,
                       const struct perfusion_inverse *inverse, struct gpu_buf *matrix,
                       const struct perfusion_cut *cut, struct perfusion_flow *out, struct err *err)
{
    const uint32_t rows = inverse->rows;
    bool ok = true;
    for (uint32_t level = 0; ok && level < cut->levels; level++) {
        const struct residue_push push = {.steps = inverse->steps,
                                          .rows = rows,
                                          .planes = inverse->terms,
                                          .used = inverse->used[level],
                                          .number = level,
                                          .last = level + 1 == cut->levels,
                                          .oscillation = (float)cut->oscillation,
                                          .early = cut->early < rows / 2 ? cut->early : rows / 2};
        const uint64_t trips = ((uint64_t)rows / 8 + 1) * (inverse->used[level] + 1);
        const struct grid_call call = {.per = {4, 1, 1},
                                       .bind = {planes_bind(parts, inverse->terms), grid_mask(mask),
                                                grid_buf(matrix), grid_volume(out->peak),
                                                grid_volume(out->when), grid_volume(out->level)},
                                       .push = &push,
                                       .push_size = sizeof push,
                                       .trips = trips,
                                       .work = trips};
        ok = grid_run(mask->gpu, &residue, &call, err);
    }
    return ok;
}

static struct gpu_buf *floats_on_device(struct gpu *g, const char *name, const float *values,
                                        uint64_t count, struct err *err)
{
    struct gpu_buf *buf = gpu_buf_create(g, name, count * sizeof *values, err);
    if (buf && gpu_buf_write(buf, 0, values, count * sizeof *values, err))
        return buf;
    gpu_buf_destroy(buf);
    return NULL;
}

// The terms of all curves of the mask.
static struct gpu_volume *terms_of(const struct gpu_volume *curves, const struct gpu_mask *mask,
                                   const struct perfusion_inverse *inverse, struct err *err)
{
    const uint32_t steps = inverse->steps, planes = inverse->terms;
    struct gpu_buf *matrix = floats_on_device(mask->gpu, "perfusion terms", inverse->to_terms,
                                              (uint64_t)planes * steps, err);
    struct gpu_volume *out =
        matrix ? perfusion_planes(mask->gpu, mask->dim, mask->spacing, planes, err) : NULL;
    if (!out) {
        gpu_buf_destroy(matrix);
        return NULL;
    }
    const struct terms_push push = {steps, planes};
    const uint64_t trips = (uint64_t)planes / 8 * (steps + 1);
    const struct grid_call call = {.per = {4, 1, 1},
                                   .bind = {planes_bind(curves, steps), grid_mask(mask),
                                            grid_buf(matrix), planes_bind(out, planes)},
                                   .push = &push,
                                   .push_size = sizeof push,
                                   .trips = trips,
                                   .work = trips};
    const bool ok = grid_run(mask->gpu, &terms, &call, err);
    gpu_buf_destroy(matrix);
    if (ok)
        return out;
    gpu_volume_destroy(out);
    return NULL;
}

bool perfusion_flow_of(const struct gpu_volume *curves, const struct gpu_mask *mask,
                       const struct perfusion_inverse *inverse, const struct perfusion_cut *cut,
                       struct perfusion_flow *out, struct err *err)
{
    struct gpu_volume *parts = terms_of(curves, mask, inverse, err);
    struct gpu_buf *matrix =
        parts ? floats_on_device(mask->gpu, "perfusion matrix", inverse->matrix,
                                 (uint64_t)inverse->rows * inverse->terms / 2, err)
              : NULL;
    *out = (struct perfusion_flow){.peak = matrix ? float_like(mask, err) : NULL};
    out->when = out->peak ? float_like(mask, err) : NULL;
    out->level = out->when ? float_like(mask, err) : NULL;
    const bool ok = out->level && run_levels(parts, mask, inverse, matrix, cut, out, err);
    gpu_buf_destroy(matrix);
    gpu_volume_destroy(parts);
    if (!ok)
        perfusion_flow_finish(out);
    return ok;
}
