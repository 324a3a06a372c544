#include <inttypes.h>
#include <math.h>
#include "compute/kernels/kernels_internal.h"

bool kernels_prepare(struct gpu *g, const struct kernel_group *const *groups, struct err *err)
{
    struct err later = {0};
    bool ok = true;
    for (; groups && *groups; groups++)
        ok &= gpu_prepare(g, (*groups)->list, (*groups)->count, ok ? err : &later);
    return ok;
}

uint32_t slab_slices(const struct gpu *g, const struct slab_view *views, uint32_t count,
                     uint64_t slice_work, struct err *err)
{
    uint64_t slices = gpu_work_limit(g) / (slice_work ? slice_work : 1);
    if (!slices)
        slices = 1;
    for (uint32_t i = 0; i < count; i++) {
        const struct slab_view *v = &views[i];
        uint64_t limit = gpu_bind_limit(g, v->access), fit = limit / v->slice_bytes;
        uint64_t halo = (uint64_t)v->before + v->after;
        if (fit >= v->slices) // all of it can be bound at once
            continue;
        if (fit <= halo) {
            err_set(err, ERR_UNSUPPORTED,
                    "%" PRIu64 " slices of %" PRIu64 " bytes, the device binds %" PRIu64 " bytes",
                    halo + 1, v->slice_bytes, limit);
            return 0;
        }
        if (fit - halo < slices)
            slices = fit - halo;
    }
    return slices < UINT32_MAX ? (uint32_t)slices : UINT32_MAX;
}

struct gpu_range slab_range(const struct slab_view *v, uint32_t k0, uint32_t k1, uint32_t *first)
{
    uint32_t from = k0 > v->before ? k0 - v->before : 0;
    uint32_t to = v->slices - k1 > v->after ? k1 + v->after : v->slices;
    if (first)
        *first = from;
    return (struct gpu_range){v->buf, from * v->slice_bytes, (to - from) * v->slice_bytes};
}

struct gpu_range whole_range(struct gpu_buf *b)
{
    return (struct gpu_range){b, 0, gpu_buf_size(b)};
}

struct slab_view volume_view(const struct gpu_volume *v, enum kernel_access access)
{
    uint64_t bytes = v->type == GPU_VOXEL_I16 ? 2 : 4;
    return (struct slab_view){
        .buf = v->buf, .access = access, .slice_bytes = v->slice * bytes, .slices = v->dim[2]};
}

struct slab_view mask_view(const struct gpu_mask *m, enum kernel_access access)
{
    return (struct slab_view){
        .buf = m->buf, .access = access, .slice_bytes = m->slice * 4ull, .slices = m->dim[2]};
}

bool kernel_run(struct gpu *g, const struct kernel *k, const struct gpu_range *ranges,
                const void *push, const uint32_t size[3], uint64_t trips, uint64_t work,
                struct err *err)
{
    uint32_t groups[3];
    for (int a = 0; a < 3; a++)
        groups[a] = divide_up(size[a], k->group[a]);
    return gpu_dispatch(g, k, ranges, push, groups, trips, work, err);
}

bool kernel_run_flat(struct gpu *g, const struct kernel *k, const struct gpu_range *ranges,
                     const void *push, uint64_t count, uint64_t trips, uint64_t work,
                     struct err *err)
{
    const uint64_t row = 262144; // FLAT_ROW
    if (count > row * 65535)
        return err_set(err, ERR_UNSUPPORTED, "a list of %" PRIu64, count);
    uint32_t size[3] = {(uint32_t)(count < row ? count : row), (uint32_t)((count + row - 1) / row),
                        1};
    return kernel_run(g, k, ranges, push, size, trips, work, err);
}

bool kernel_check_grid(const uint32_t dim[3], const double spacing[3], struct err *err)
{
    for (int a = 0; a < 3; a++) {
        if (!dim[a] || dim[a] > KERNELS_DIM_MAX)
            return err_set(err, ERR_INPUT, "a grid of %u x %u x %u voxels", dim[0], dim[1], dim[2]);
        if (!isfinite(spacing[a]) || spacing[a] <= 0)
            return err_set(err, ERR_INPUT, "a voxel spacing of %g mm", spacing[a]);
    }
    return true;
}
