// What the operations share: how kernels are described, slabs, sizes of dispatches.
#pragma once
#include "compute/gpu/gpu.h"
#include "compute/gpu/pipeline.h"
#include "compute/kernels/grid.h"
#include "compute/kernels/kernels.h"
#include "shaders/shaders.h"

// A kernel of a shared shader: its file, group, constant 3, bytes of push constants, number of
// bindings, and the access of each.
#define KERNEL(file, group_, constant, push, count, ...)                                           \
    {                                                                                              \
        .shader = &shader_##file, .group = group_, .constants = {constant}, .push_bytes = push,    \
        .bindings = count, .access = {                                                             \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define T KERNEL_TEXELS
#define I KERNEL_IN
#define O KERNEL_OUT
#define X KERNEL_INOUT
// Makes kernels_<name> of kernels.h.
#define GROUP(name, ...)                                                                           \
    static const struct kernel *const name##_list[] = {__VA_ARGS__};                               \
    const struct kernel_group kernels_##name = {name##_list,                                       \
                                                sizeof name##_list / sizeof *name##_list}
// Group shapes: lists and rows; words of a mask; quads of a volume.
#define LIST                                                                                       \
    {                                                                                              \
        64, 1, 1                                                                                   \
    }
#define WORDS                                                                                      \
    {                                                                                              \
        4, 16, 1                                                                                   \
    }
#define QUADS                                                                                      \
    {                                                                                              \
        8, 8, 1                                                                                    \
    }

// A buffer as a dispatch over slices sees it: slices k0 - before <= k < k1 + after, as far as there
// are. before and after 0: the same slices as the dispatch.
struct slab_view {
    struct gpu_buf *buf;
    enum kernel_access access;
    uint64_t slice_bytes; // a multiple of 256
    uint32_t slices;      // all there are
    uint32_t before, after;
};

// The most slices one dispatch may cover, so that every view can be bound and the work stays small.
// slice_work  voxels touched a slice
// 0 with ERR_UNSUPPORTED: not even one.
uint32_t slab_slices(const struct gpu *g, const struct slab_view *views, uint32_t count,
                     uint64_t slice_work, struct err *err);

// The part of a view that slices k0 <= k < k1 need; *first: the slice it starts with.
struct gpu_range slab_range(const struct slab_view *v, uint32_t k0, uint32_t k1, uint32_t *first);
struct gpu_range whole_range(struct gpu_buf *b);

// Runs a kernel with one invocation for each of size[0] x size[1] x size[2] points.
// push  k->push_bytes of them
bool kernel_run(struct gpu *g, const struct kernel *k, const struct gpu_range *ranges,
                const void *push, const uint32_t size[3], uint64_t trips, uint64_t work,
                struct err *err);
// Same for a long list; see flat_index() in shaders/include/group.glsl.
bool kernel_run_flat(struct gpu *g, const struct kernel *k, const struct gpu_range *ranges,
                     const void *push, uint64_t count, uint64_t trips, uint64_t work,
                     struct err *err);

// ERR_INPUT unless every axis has 1..KERNELS_DIM_MAX voxels and spacings are finite and > 0.
bool kernel_check_grid(const uint32_t dim[3], const double spacing[3], struct err *err);

static inline uint32_t divide_up(uint32_t n, uint32_t by)
{
    return n / by + (n % by != 0);
}

static inline uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static inline bool same_dim(const uint32_t a[3], const uint32_t b[3])
{
    return a[0] == b[0] && a[1] == b[1] && a[2] == b[2];
}

// How volumes and masks lie: see struct gpu_volume, struct gpu_mask.
static inline uint32_t volume_row(uint32_t columns)
{
    return divide_up(columns, 32) * 32;
}

static inline uint64_t volume_slice_elements(const uint32_t dim[3])
{
    return ((uint64_t)volume_row(dim[0]) * dim[1] + 127) / 128 * 128;
}

static inline uint32_t mask_row(uint32_t columns)
{
    return divide_up(columns, 128) * 4;
}

static inline uint64_t mask_slice_words(const uint32_t dim[3])
{
    return ((uint64_t)mask_row(dim[0]) * dim[1] + 63) / 64 * 64;
}

struct slab_view volume_view(const struct gpu_volume *v, enum kernel_access access);
struct slab_view mask_view(const struct gpu_mask *m, enum kernel_access access);

// A mask whose words are still undefined; whoever fills it must write them all.
struct gpu_mask *mask_alloc(struct gpu *g, const uint32_t dim[3], const double spacing[3],
                            struct err *err);
