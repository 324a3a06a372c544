#include "compute/stages/perfusion/perfusion_curves.h"
#include <complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
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
struct residue_push { // in residue.comp
    uint32_t steps, rows, number, last;
    float oscillation;
    uint32_t early;
};

// By the type of the values: enum gpu_voxel.
static const struct kernel put[2] = {
    {.shader = &shader_perfusion_put,
     .group = {8, 8, 1},
     .constants = {0},
     .push_bytes = GRID_PUSH_BYTES + sizeof(struct put_push),
     .bindings = 3,
     .access = {KERNEL_TEXELS, KERNEL_OUT, KERNEL_OUT}},
    {.shader = &shader_perfusion_put,
     .group = {8, 8, 1},
     .constants = {1},
     .push_bytes = GRID_PUSH_BYTES + sizeof(struct put_push),
     .bindings = 3,
     .access = {KERNEL_TEXELS, KERNEL_OUT, KERNEL_OUT}},
};
static const struct kernel enhance = {
    .shader = &shader_perfusion_enhance,
    .group = {8, 8, 1},
    .push_bytes = GRID_PUSH_BYTES + sizeof(struct enhance_push),
    .bindings = 5,
    .access = {KERNEL_TEXELS, KERNEL_TEXELS, KERNEL_IN, KERNEL_OUT, KERNEL_OUT}};
static const struct kernel shape = {
    .shader = &shader_perfusion_shape,
    .group = {8, 8, 1},
    .push_bytes = GRID_PUSH_BYTES + sizeof(struct shape_push),
    .bindings = 6,
    .access = {KERNEL_TEXELS, KERNEL_TEXELS, KERNEL_OUT, KERNEL_OUT, KERNEL_OUT, KERNEL_OUT}};
static const struct kernel alike = {
    .shader = &shader_perfusion_alike,
    .group = {8, 8, 1},
    .push_bytes = GRID_PUSH_BYTES + sizeof(struct alike_push),
    .bindings = 5,
    .access = {KERNEL_IN, KERNEL_IN, KERNEL_IN, KERNEL_TEXELS, KERNEL_OUT}};
static const struct kernel residue = {
    .shader = &shader_perfusion_residue,
    .group = {8, 8, 1},
    .push_bytes = GRID_PUSH_BYTES + sizeof(struct residue_push),
    .bindings = 6,
    .access = {KERNEL_TEXELS, KERNEL_TEXELS, KERNEL_IN, KERNEL_INOUT, KERNEL_INOUT, KERNEL_INOUT}};
static const struct kernel *const perfusion_list[] = {
    &put[GPU_VOXEL_I16], &put[GPU_VOXEL_F32], &enhance, &shape, &alike, &residue};
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
    return grid_run(value->gpu, &put[value->type], &call, err);
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
    const uint64_t around = (uint64_t)(2 * push.reach + 1) * (uint64_t)(2 * push.reach + 1);
    const struct grid_call call = {.bind = {planes_bind(curves, steps), planes_bind(guide, steps),
                                            grid_volume(part), grid_mask(mask),
                                            planes_bind(out, steps)},
                                   .push = &push,
                                   .push_size = sizeof push,
                                   .trips = around * steps * 2,
                                   .work = around * steps * 2};
    return grid_run(mask->gpu, &alike, &call, err);
}

// ---- Deconvolution ------------------------------------------------------------------------------

uint32_t perfusion_rows(uint32_t steps)
{
    return (2 * steps + 7) / 8 * 8;
}

// The artery as Ostergaard's linear form has it (Magn Reson Med 1996;36:715), and its transform.
static void transform(const double *artery, uint32_t steps, double step_s, uint32_t rows,
                      double complex *spectrum)
{
    for (uint32_t f = 0; f < rows; f++) {
        spectrum[f] = 0;
        for (uint32_t n = 0; n <= steps; n++) {
            const double before = n > 0 ? artery[n - 1] : 0;
            const double here = n < steps ? artery[n] : 0;
            const double after = n + 1 < steps ? artery[n + 1] : 0;
            const double angle = -2 * M_PI * (double)((uint64_t)f * n % rows) / rows;
            spectrum[f] += step_s * (before + 4 * here + after) / 6 * cexp(I * angle);
        }
    }
}

// One column of the circulant inverse: what a unit of contrast now means for each time.
static void invert_spectrum(const double complex *spectrum, uint32_t rows, double least,
                            double *column)
{
    for (uint32_t m = 0; m < rows; m++)
        column[m] = 0;
    for (uint32_t f = 0; f < rows; f++) {
        if (cabs(spectrum[f]) < least)
            continue;
        const double complex inverse = 1 / spectrum[f];
        for (uint32_t m = 0; m < rows; m++) {
            const double angle = 2 * M_PI * (double)((uint64_t)f * m % rows) / rows;
            column[m] += creal(inverse * cexp(I * angle)) / rows;
        }
    }
}

bool perfusion_matrix(const double *artery, uint32_t steps, double step_s,
                      const struct perfusion_cut *cut, float *matrix, double *gain)
{
    const uint32_t rows = perfusion_rows(steps);
    double complex *spectrum = malloc(rows * sizeof *spectrum);
    double *column = malloc(rows * sizeof *column);
    double largest = 0;
    if (spectrum)
        transform(artery, steps, step_s, rows, spectrum);
    for (uint32_t f = 0; spectrum && f < rows; f++)
        largest = fmax(largest, cabs(spectrum[f]));
    const bool ok = spectrum && column && largest > 0;
    for (uint32_t level = 0; ok && level < cut->levels; level++) {
        invert_spectrum(spectrum, rows, cut->share[level] * largest, column);
        double squares = 0;
        for (uint32_t m = 0; m < rows; m++)
            squares += column[m] * (column[m] + 2 * cut->noise[0] * column[(m + 1) % rows] +
                                    2 * cut->noise[1] * column[(m + 2) % rows]);
        gain[level] = sqrt(squares * steps / rows); // of the rows, `steps` in a row see noise
        for (uint32_t row = 0; row < rows; row++) {
            float *to = matrix + (size_t)level * rows * steps + (size_t)(row / 8) * steps * 8;
            for (uint32_t n = 0; n < steps; n++)
                to[n * 8 + row % 8] = (float)column[(row + rows - n) % rows];
        }
    }
    free(column);
    free(spectrum);
    return ok;
}

void perfusion_flow_finish(struct perfusion_flow *f)
{
    gpu_volume_destroy(f->peak);
    gpu_volume_destroy(f->when);
    gpu_volume_destroy(f->level);
    *f = (struct perfusion_flow){0};
}

static bool run_levels(const struct gpu_volume *curves, const struct gpu_mask *mask, uint32_t steps,
                       struct gpu_buf *matrix, const struct perfusion_cut *cut,
                       struct perfusion_flow *out, struct err *err)
{
    const uint32_t rows = perfusion_rows(steps);
    bool ok = true;
    for (uint32_t level = 0; ok && level < cut->levels; level++) {
        const struct residue_push push = {steps,
                                          rows,
                                          level,
                                          level + 1 == cut->levels,
                                          (float)cut->oscillation,
                                          cut->early < rows / 2 ? cut->early : rows / 2};
        const struct grid_call call = {.per = {4, 1, 1},
                                       .bind = {planes_bind(curves, steps), grid_mask(mask),
                                                grid_buf(matrix), grid_volume(out->peak),
                                                grid_volume(out->when), grid_volume(out->level)},
                                       .push = &push,
                                       .push_size = sizeof push,
                                       .trips = (uint64_t)rows / 8 * steps,
                                       .work = (uint64_t)rows / 8 * steps};
        ok = grid_run(mask->gpu, &residue, &call, err);
    }
    return ok;
}

bool perfusion_flow_of(const struct gpu_volume *curves, const struct gpu_mask *mask, uint32_t steps,
                       const float *matrix, const struct perfusion_cut *cut,
                       struct perfusion_flow *out, struct err *err)
{
    const uint64_t bytes = (uint64_t)cut->levels * perfusion_rows(steps) * steps * sizeof *matrix;
    struct gpu_buf *buf = gpu_buf_create(mask->gpu, "perfusion matrix", bytes, err);
    *out = (struct perfusion_flow){.peak = buf ? float_like(mask, err) : NULL};
    out->when = out->peak ? float_like(mask, err) : NULL;
    out->level = out->when ? float_like(mask, err) : NULL;
    const bool ok = out->level && gpu_buf_write(buf, 0, matrix, bytes, err) &&
                    run_levels(curves, mask, steps, buf, cut, out, err);
    gpu_buf_destroy(buf);
    if (!ok)
        perfusion_flow_finish(out);
    return ok;
}
