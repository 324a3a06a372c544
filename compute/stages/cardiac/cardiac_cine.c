#include "compute/stages/cardiac/cardiac_cine.h"
#include <math.h>
#include <stdlib.h>
#include "compute/image/load.h"
#include "compute/kernels/grid.h"
#include "shaders/cardiac/shaders.h"

static const double thick_most = 2; // times the distance of slices: a thicker one is not believed

struct motion_push { // what follows the grid in shaders/cardiac/motion.comp
    uint32_t row, slice;
    uint32_t columns, rows;
    uint32_t factor, point;
};
struct ring_push { // in ring.comp
    uint32_t columns, rows, row, slice;
    uint32_t column_first, row_first, step;
    uint32_t radii, ways;
    float first_mm, step_mm, beside_mm;
    float column_mm, row_mm;
};

// By the type of the values: enum gpu_voxel.
static const struct kernel motion_of[2] = {
    {.shader = &shader_cardiac_motion,
     .group = {8, 8, 1},
     .constants = {0},
     .push_bytes = GRID_PUSH_BYTES + sizeof(struct motion_push),
     .bindings = 6,
     .access = {KERNEL_TEXELS, KERNEL_IN, KERNEL_INOUT, KERNEL_INOUT, KERNEL_INOUT, KERNEL_OUT}},
    {.shader = &shader_cardiac_motion,
     .group = {8, 8, 1},
     .constants = {1},
     .push_bytes = GRID_PUSH_BYTES + sizeof(struct motion_push),
     .bindings = 6,
     .access = {KERNEL_TEXELS, KERNEL_IN, KERNEL_INOUT, KERNEL_INOUT, KERNEL_INOUT, KERNEL_OUT}},
};
static const struct kernel ring_of = {
    .shader = &shader_cardiac_ring,
    .group = {8, 8, 1},
    .push_bytes = GRID_PUSH_BYTES + sizeof(struct ring_push),
    .bindings = 4,
    .access = {KERNEL_TEXELS, KERNEL_TEXELS, KERNEL_OUT, KERNEL_OUT}};
static const struct kernel *const cardiac_list[] = {&motion_of[GPU_VOXEL_I16],
                                                    &motion_of[GPU_VOXEL_F32], &ring_of};
const struct kernel_group kernels_cardiac = {cardiac_list,
                                             sizeof cardiac_list / sizeof *cardiac_list};

static const double block_mm = 1.4;    // the resolution in the plane of common cines
static const double level_top = 16000; // of the brightest block of the first phase
static const double smooth_ring_mm = 1.5, beside_ring_mm = 2.5;

uint32_t cardiac_cine_factor(const struct image *v)
{
    const double factor = floor(block_mm / fmin(v->spacing[0], v->spacing[1]) + 0.5);
    return factor >= 1 ? (uint32_t)factor : 1;
}

const uint16_t *cardiac_cine_frame(const struct cardiac_cine *c, uint32_t slice, uint32_t point)
{
    return c->values + ((size_t)slice * c->points + point) * c->columns * c->rows;
}

// ---- Loading ------------------------------------------------------------------------------------

struct cine_load {
    struct gpu *g;
    const struct image_set *set;
    const struct image *v;
    struct cardiac_cine *c;
    uint32_t factor;
    struct gpu_volume *sum, *cosine, *sine, *blocks;
    struct gpu_buf *weight;
    float *values; // of one phase
    double scale;  // levels a unit of signal
};

// Phases of each slice, and what the mean and the harmonic take of each frame.
static bool weigh_phases(struct cine_load *l, struct arena *arena, struct err *err)
{
    struct cardiac_cine *c = l->c;
    const size_t bytes = (size_t)c->points * c->slices * 4 * sizeof(float);
    float *weight = arena_alloc(arena, (size_t)c->points * c->slices * 4, sizeof *weight);
    c->phases = arena_alloc(arena, c->slices, sizeof *c->phases);
    if (!weight || !c->phases)
        return err_set(err, ERR_NOMEM, "cardiac: no memory for %u phases", c->points);
    for (uint32_t k = 0; k < c->slices; k++) {
        while (c->phases[k] < c->points && image_frame_at(l->v, k, c->phases[k]) != IMAGE_NO_FRAME)
            c->phases[k]++;
        const double n = c->phases[k];
        for (uint32_t p = 0; p < c->phases[k]; p++) {
            float *w = weight + ((size_t)p * c->slices + k) * 4;
            w[0] = (float)(1 / n);
            w[1] = (float)(2 / n * cos(2 * M_PI * p / n));
            w[2] = (float)(2 / n * sin(2 * M_PI * p / n));
        }
    }
    l->weight = gpu_buf_create(l->g, "cardiac weights", bytes, err);
    return l->weight && gpu_buf_write(l->weight, 0, weight, bytes, err);
}

static bool add_phase(struct cine_load *l, uint32_t point, struct err *err)
{
    struct gpu_volume *value = image_load(l->g, l->set, l->v, point, l->v->type, err);
    if (!value)
        return false;
    const struct motion_push push = {value->row,    value->slice, value->dim[0],
                                     value->dim[1], l->factor,    point};
    const struct grid_call call = {.per = {4, 1, 1},
                                   .dim = {l->sum->dim[0], l->sum->dim[1], l->sum->dim[2]},
                                   .bind = {grid_buf(value->buf), grid_buf(l->weight),
                                            grid_volume(l->sum), grid_volume(l->cosine),
                                            grid_volume(l->sine), grid_volume(l->blocks)},
                                   .push = &push,
                                   .push_size = sizeof push,
                                   .trips = 4 * (uint64_t)l->factor * l->factor,
                                   .work = (uint64_t)l->factor * l->factor};
    const bool ok = grid_run(l->g, &motion_of[value->type], &call, err) &&
                    gpu_volume_read(l->blocks, 0, l->c->slices, l->values, err);
    gpu_volume_destroy(value);
    return ok;
}

static void keep_phase(struct cine_load *l, uint32_t point)
{
    struct cardiac_cine *c = l->c;
    const size_t pixels = (size_t)c->columns * c->rows;
    if (point == 0) {
        float top = 0;
        for (size_t n = 0; n < pixels * c->slices; n++)
            top = fmaxf(top, l->values[n]);
        l->scale = top > 0 ? level_top / (double)top : 1;
    }
    for (uint32_t k = 0; k < c->slices; k++) {
        uint16_t *to = c->values + ((size_t)k * c->points + point) * pixels;
        for (size_t n = 0; n < pixels; n++) {
            const double level = (double)l->values[pixels * k + n] * l->scale + 0.5;
            to[n] = (uint16_t)fmin(fmax(level, 0), UINT16_MAX);
        }
    }
}

static bool finish_motion(struct cine_load *l, struct err *err)
{
    struct cardiac_cine *c = l->c;
    const size_t voxels = (size_t)c->columns * c->rows * c->slices;
    if (!gpu_volume_read(l->sum, 0, c->slices, c->mean, err) ||
        !gpu_volume_read(l->cosine, 0, c->slices, c->motion, err) ||
        !gpu_volume_read(l->sine, 0, c->slices, l->values, err))
        return false;
    for (size_t n = 0; n < voxels; n++) {
        c->mean[n] *= (float)l->scale;
        c->motion[n] = hypotf(c->motion[n], l->values[n]) * (float)l->scale;
    }
    return true;
}

// Slice Thickness, where it may be that of these slices; 0: it is not said.
static double stated_thickness(const struct image_set *set, const struct image *v)
{
    double mm = NAN;
    image_number(set, v, "SliceThickness", &mm);
    return mm > 0 && mm <= thick_most * v->spacing[2] ? mm : 0;
}

static bool make_cine(struct cine_load *l, struct arena *arena, struct err *err)
{
    struct cardiac_cine *c = l->c;
    const struct image *v = l->v;
    l->factor = cardiac_cine_factor(v);
    c->columns = (v->dim[0] + l->factor - 1) / l->factor;
    c->rows = (v->dim[1] + l->factor - 1) / l->factor;
    c->slices = v->dim[2];
    c->points = v->dim[3];
    c->mm[0] = v->spacing[0] * l->factor;
    c->mm[1] = v->spacing[1] * l->factor;
    c->gap_mm = v->spacing[2];
    c->thick_mm = stated_thickness(l->set, v);
    const uint32_t dim[3] = {c->columns, c->rows, c->slices};
    const double spacing[3] = {c->mm[0], c->mm[1], c->gap_mm};
    const size_t voxels = (size_t)c->columns * c->rows * c->slices;
    c->values = arena_alloc(arena, voxels * c->points, sizeof *c->values);
    c->mean = arena_alloc(arena, voxels, sizeof *c->mean);
    c->motion = arena_alloc(arena, voxels, sizeof *c->motion);
    l->values = malloc(voxels * sizeof *l->values);
    if (!c->values || !c->mean || !c->motion || !l->values)
        return err_set(err, ERR_NOMEM, "cardiac: no memory for %u slices of %u phases", c->slices,
                       c->points);
    l->sum = gpu_volume_create(l->g, dim, spacing, GPU_VOXEL_F32, err);
    l->cosine = l->sum ? gpu_volume_create(l->g, dim, spacing, GPU_VOXEL_F32, err) : NULL;
    l->sine = l->cosine ? gpu_volume_create(l->g, dim, spacing, GPU_VOXEL_F32, err) : NULL;
    l->blocks = l->sine ? gpu_volume_create(l->g, dim, spacing, GPU_VOXEL_F32, err) : NULL;
    return l->blocks && weigh_phases(l, arena, err);
}

bool cardiac_cine_load(struct gpu *g, const struct image_set *set, const struct image *v,
                       bool (*step)(void *ctx, double done, struct err *err), void *ctx,
                       struct arena *arena, struct cardiac_cine *out, struct err *err)
{
    struct cine_load l = {.g = g, .set = set, .v = v, .c = out};
    *out = (struct cardiac_cine){0};
    bool ok = make_cine(&l, arena, err);
    for (uint32_t p = 0; ok && p < out->points; p++) {
        ok = (!step || step(ctx, (double)p / out->points, err)) && add_phase(&l, p, err);
        if (ok)
            keep_phase(&l, p);
    }
    ok = ok && finish_motion(&l, err);
    free(l.values);
    gpu_buf_destroy(l.weight);
    gpu_volume_destroy(l.sum);
    gpu_volume_destroy(l.cosine);
    gpu_volume_destroy(l.sine);
    gpu_volume_destroy(l.blocks);
    return ok;
}

// ---- Rings --------------------------------------------------------------------------------------

// The frames of all slices at a part of their cycle, smoothed.
static struct gpu_volume *phase_volume(struct gpu *g, const struct cardiac_cine *c, double phase,
                                       struct err *err)
{
    const uint32_t dim[3] = {c->columns, c->rows, c->slices};
    const double spacing[3] = {c->mm[0], c->mm[1], c->gap_mm};
    const double sigma[3] = {smooth_ring_mm, smooth_ring_mm, 0};
    const size_t pixels = (size_t)c->columns * c->rows;
    float *values = malloc(pixels * c->slices * sizeof *values);
    if (!values) {
        err_set(err, ERR_NOMEM, "cardiac: no memory for a phase");
        return NULL;
    }
    for (uint32_t k = 0; k < c->slices; k++) {
        const uint32_t p = (uint32_t)(phase * c->phases[k]);
        const uint16_t *from = cardiac_cine_frame(c, k, p < c->phases[k] ? p : 0);
        for (size_t n = 0; n < pixels; n++)
            values[pixels * k + n] = from[n];
    }
    struct gpu_volume *v = gpu_volume_write(g, dim, spacing, GPU_VOXEL_F32, values, err);
    struct gpu_volume *smooth = v ? gpu_volume_smooth(v, sigma, err) : NULL;
    gpu_volume_destroy(v);
    free(values);
    return smooth;
}

static bool run_rings(struct gpu *g, const struct cardiac_cine *c, const struct gpu_volume *signal,
                      const struct gpu_volume *motion, struct cardiac_rings *out, struct err *err)
{
    const uint32_t dim[3] = {out->count[0], out->count[1], c->slices};
    const double spacing[3] = {c->mm[0] * out->step, c->mm[1] * out->step, c->gap_mm};
    struct gpu_volume *score = gpu_volume_create(g, dim, spacing, GPU_VOXEL_F32, err);
    struct gpu_volume *radius =
        score ? gpu_volume_create(g, dim, spacing, GPU_VOXEL_F32, err) : NULL;
    const struct ring_push push = {.columns = c->columns,
                                   .rows = c->rows,
                                   .row = signal->row,
                                   .slice = signal->slice,
                                   .column_first = out->from[0],
                                   .row_first = out->from[1],
                                   .step = out->step,
                                   .radii = CARDIAC_RING_RADII,
                                   .ways = CARDIAC_RING_WAYS,
                                   .first_mm = CARDIAC_RING_FIRST_MM,
                                   .step_mm = CARDIAC_RING_STEP_MM,
                                   .beside_mm = (float)beside_ring_mm,
                                   .column_mm = (float)c->mm[0],
                                   .row_mm = (float)c->mm[1]};
    const uint64_t trips = CARDIAC_RING_RADII * CARDIAC_RING_WAYS;
    const struct grid_call call = {.dim = {dim[0], dim[1], dim[2]},
                                   .bind = {grid_buf(signal->buf), grid_buf(motion->buf),
                                            grid_volume(score), grid_volume(radius)},
                                   .push = &push,
                                   .push_size = sizeof push,
                                   .trips = trips,
                                   .work = 3 * trips};
    const bool ok = radius && grid_run(g, &ring_of, &call, err) &&
                    gpu_volume_read(score, 0, c->slices, out->score, err) &&
                    gpu_volume_read(radius, 0, c->slices, out->radius, err);
    gpu_volume_destroy(radius);
    gpu_volume_destroy(score);
    return ok;
}

bool cardiac_cine_rings(struct gpu *g, const struct cardiac_cine *c, double phase,
                        struct arena *arena, struct cardiac_rings *out, struct err *err)
{
    const uint32_t dim[3] = {c->columns, c->rows, c->slices};
    const double spacing[3] = {c->mm[0], c->mm[1], c->gap_mm};
    const size_t places = (size_t)out->count[0] * out->count[1] * c->slices;
    out->score = arena_alloc(arena, places, sizeof *out->score);
    out->radius = arena_alloc(arena, places, sizeof *out->radius);
    if (!out->score || !out->radius)
        return err_set(err, ERR_NOMEM, "cardiac: no memory for rings");
    struct gpu_volume *signal = phase_volume(g, c, phase, err);
    struct gpu_volume *motion =
        signal ? gpu_volume_write(g, dim, spacing, GPU_VOXEL_F32, c->motion, err) : NULL;
    const bool ok = motion && run_rings(g, c, signal, motion, out, err);
    gpu_volume_destroy(motion);
    gpu_volume_destroy(signal);
    return ok;
}
