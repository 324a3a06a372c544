#include "compute/stages/segment/segment_kernels.h"
#include "compute/kernels/grid.h"
#include "shaders/segment/shaders.h"

struct even_push { // what follows the grid in Push of shaders/segment/even.comp
    int32_t lo, range;
};

static const struct kernel even_kernel = {.shader = &shader_segment_even,
                                          .group = {8, 8, 1},
                                          .push_bytes = GRID_PUSH_BYTES + sizeof(struct even_push),
                                          .bindings = 2,
                                          .access = {KERNEL_TEXELS, KERNEL_OUT}};
static const struct kernel above_below_kernel = {.shader = &shader_segment_above_below,
                                                 .group = {8, 8, 1},
                                                 .push_bytes = GRID_PUSH_BYTES,
                                                 .bindings = 2,
                                                 .access = {KERNEL_TEXELS, KERNEL_OUT}};
static const struct kernel *const segment_kernels[] = {&even_kernel, &above_below_kernel};
const struct kernel_group kernels_segment = {segment_kernels, 2};

static struct gpu_mask *mark_by(const struct kernel *kernel, struct gpu *g, struct grid_call *call,
                                struct gpu_mask *out, struct err *err)
{
    if (!out)
        return NULL;
    call->per[0] = 32;
    call->per[1] = call->per[2] = 1;
    call->halo = 1;
    call->bind[1] = grid_mask(out);
    if (grid_run(g, kernel, call, err))
        return out;
    gpu_mask_destroy(out);
    return NULL;
}

struct gpu_mask *segment_even(const struct gpu_volume *v, int32_t lo, int32_t range,
                              struct err *err)
{
    const struct even_push push = {lo, range};
    struct grid_call call = {.bind = {grid_volume(v)},
                             .push = &push,
                             .push_size = sizeof push,
                             .trips = 32 * 27,
                             .work = 27};
    return mark_by(&even_kernel, v->gpu, &call, gpu_mask_create(v->gpu, v->dim, v->spacing, err),
                   err);
}

struct gpu_mask *segment_above_below(const struct gpu_mask *m, struct err *err)
{
    struct grid_call call = {.bind = {grid_mask(m)}, .trips = 3, .work = 3};
    return mark_by(&above_below_kernel, m->gpu, &call,
                   gpu_mask_create(m->gpu, m->dim, m->spacing, err), err);
}

bool segment_merge(struct gpu_mask *a, enum mask_op op, const struct gpu_mask *b, struct err *err)
{
    return a && b && gpu_mask_combine(a, op, b, err);
}
