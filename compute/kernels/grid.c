#include "compute/kernels/grid.h"
#include <inttypes.h>
#include <string.h>
#include "compute/kernels/kernels_internal.h"

struct grid_push {
    uint32_t columns, rows, slices; // of the whole grid
    uint32_t first, count;          // slices of this dispatch
    uint32_t in_first, in_count;    // slices that inputs show
    uint32_t row, slice;            // of volumes: elements
    uint32_t mask_row, mask_slice;  // words
    uint32_t unused;
};
_Static_assert(sizeof(struct grid_push) == GRID_PUSH_BYTES, "as in grid.glsl");

static bool is_input(enum kernel_access access)
{
    return access == KERNEL_TEXELS || access == KERNEL_WORDS || access == KERNEL_IN;
}

static const uint32_t *dim_of(const struct grid_bind *b)
{
    return b->volume ? b->volume->dim : b->mask ? b->mask->dim : NULL;
}

static const struct gpu_buf *buf_of(const struct grid_bind *b)
{
    return b->volume ? b->volume->buf : b->mask ? b->mask->buf : b->buf;
}

// The size of the grid: the call's, or that of the first volume or mask.
static bool grid_size(const struct kernel *k, const struct grid_call *call, uint32_t dim[3],
                      struct err *err)
{
    static const double unit[3] = {1, 1, 1};
    memcpy(dim, call->dim, sizeof call->dim);
    for (uint32_t i = 0; i < k->bindings && !dim[0] && !dim[1] && !dim[2]; i++) {
        if (dim_of(&call->bind[i]))
            memcpy(dim, dim_of(&call->bind[i]), sizeof call->dim);
    }
    return kernel_check_grid(dim, unit, err);
}

static bool check_bind(const struct gpu *g, const struct kernel *k, const struct grid_call *call,
                       const uint32_t dim[3], uint32_t i, struct err *err)
{
    const struct grid_bind *b = &call->bind[i];
    const struct gpu *of = b->volume ? b->volume->gpu : b->mask ? b->mask->gpu : g;
    if ((b->volume != NULL) + (b->mask != NULL) + (b->buf != NULL) != 1)
        return err_set(err, ERR_INTERNAL, "%s: binding %u shows nothing, or several things",
                       k->shader->name, i);
    if (of != g || (dim_of(b) && !same_dim(dim_of(b), dim)))
        return err_set(err, ERR_INPUT, "%s: binding %u is of another grid or device",
                       k->shader->name, i);
    if (b->slice_bytes % 256 || b->slice_bytes > gpu_buf_size(buf_of(b)) / dim[2])
        return err_set(err, ERR_INPUT,
                       "%s: binding %u has no %" PRIu64 " bytes for each of %u slices",
                       k->shader->name, i, b->slice_bytes, dim[2]);
    // A slab would read what the one before it has written.
    for (uint32_t other = 0; call->halo && is_input(k->access[i]) && other < k->bindings; other++) {
        if (!is_input(k->access[other]) && buf_of(b) == buf_of(&call->bind[other]))
            return err_set(err, ERR_INPUT, "%s: binding %u with a halo is written too",
                           k->shader->name, i);
    }
    return true;
}

static struct slab_view view_of(const struct kernel *k, const struct grid_call *call,
                                const uint32_t dim[3], uint32_t i)
{
    const struct grid_bind *b = &call->bind[i];
    struct slab_view view = b->volume ? volume_view(b->volume, k->access[i])
                            : b->mask ? mask_view(b->mask, k->access[i])
                                      : (struct slab_view){.buf = b->buf,
                                                           .access = k->access[i],
                                                           .slice_bytes = b->slice_bytes,
                                                           .slices = dim[2]};
    if (is_input(k->access[i]))
        view.before = view.after = call->halo;
    return view;
}

// The steps of rows and slices follow from the grid alone: gpu_volume_create(), mask_alloc().
static struct grid_push push_of(const uint32_t dim[3])
{
    struct grid_push push = {.columns = dim[0], .rows = dim[1], .slices = dim[2]};
    push.row = volume_row(dim[0]);
    push.slice = (uint32_t)volume_slice_elements(dim);
    push.mask_row = mask_row(dim[0]);
    push.mask_slice = (uint32_t)mask_slice_words(dim);
    return push;
}

bool grid_run(struct gpu *g, const struct kernel *k, const struct grid_call *call, struct err *err)
{
    uint32_t dim[3], viewed = 0;
    struct slab_view views[KERNEL_BINDINGS_MAX], slabs[KERNEL_BINDINGS_MAX];
    if (!k->shader || k->bindings > KERNEL_BINDINGS_MAX ||
        call->push_size > KERNEL_PUSH_MAX - GRID_PUSH_BYTES ||
        k->push_bytes != GRID_PUSH_BYTES + call->push_size)
        return err_set(err, ERR_INTERNAL, "%s: a call with %u bytes of its own, the kernel has %u",
                       k->shader ? k->shader->name : "no shader", call->push_size, k->push_bytes);
    if (!grid_size(k, call, dim, err))
        return false;
    for (uint32_t i = 0; i < k->bindings; i++) {
        if (!check_bind(g, k, call, dim, i, err))
            return false;
        views[i] = view_of(k, call, dim, i);
        if (views[i].slice_bytes)
            slabs[viewed++] = views[i];
    }
    struct grid_push grid = push_of(dim);
    uint64_t work = (uint64_t)grid.slice * (call->work ? call->work : 1);
    uint32_t step = slab_slices(g, slabs, viewed, work, err);
    uint8_t push[KERNEL_PUSH_MAX];
    if (call->push_size)
        memcpy(push + sizeof grid, call->push, call->push_size);
    const uint32_t per[3] = {call->per[0] ? call->per[0] : 1, call->per[1] ? call->per[1] : 1,
                             call->per[2] ? call->per[2] : 1};
    // Invocations that cover several slices start where the slab does.
    if (step > per[2])
        step -= step % per[2];
    bool ok = step > 0;
    for (uint32_t z = 0; ok && z < dim[2]; z += grid.count) {
        grid.first = z;
        grid.count = smaller(step, dim[2] - z);
        grid.in_first = z > call->halo ? z - call->halo : 0;
        grid.in_count =
            smaller(dim[2] - z - grid.count, call->halo) + z + grid.count - grid.in_first;
        struct gpu_range ranges[KERNEL_BINDINGS_MAX];
        for (uint32_t i = 0; i < k->bindings; i++)
            ranges[i] = views[i].slice_bytes ? slab_range(&views[i], z, z + grid.count, NULL)
                                             : whole_range(views[i].buf);
        memcpy(push, &grid, sizeof grid);
        const uint32_t size[3] = {divide_up(dim[0], per[0]), divide_up(dim[1], per[1]),
                                  divide_up(grid.count, per[2])};
        ok = kernel_run(g, k, ranges, push, size, call->trips, grid.count * work, err);
    }
    return ok;
}
