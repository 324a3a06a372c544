// What the operations share: the rows of pipeline_table, slabs, sizes of dispatches.
#pragma once
#include "compute/gpu/gpu.h"
#include "compute/kernels/kernels.h"
#include "compute/gpu/pipeline.h"

enum kernel {
    KERNEL_MODALITY_I16,
    KERNEL_MODALITY_U16,
    KERNEL_MODALITY_LUT,
    KERNEL_MODALITY_F32,
    KERNEL_THRESHOLD_I16,
    KERNEL_THRESHOLD_F32,
    KERNEL_MASK_AND, // in the order of enum mask_op
    KERNEL_MASK_OR,
    KERNEL_MASK_ANDNOT,
    KERNEL_MASK_XOR,
    KERNEL_MASK_COPY,
    KERNEL_MASK_BOX,
    KERNEL_MASK_COUNT,
    KERNEL_MASK_DILATE,
    KERNEL_MASK_EXPAND,
    KERNEL_MASK_SHRINK,
    KERNEL_DISTANCE_X,
    KERNEL_DISTANCE_YZ,
    KERNEL_SCAN,
    KERNEL_SCAN_ADD,
    KERNEL_RUNS_COUNT,
    KERNEL_RUNS_WRITE,
    KERNEL_RUNS_MERGE_4, // in the order of enum connectivity
    KERNEL_RUNS_MERGE_8,
    KERNEL_RUNS_MERGE_6,
    KERNEL_RUNS_MERGE_18,
    KERNEL_RUNS_MERGE_26,
    KERNEL_RUNS_FLATTEN,
    KERNEL_RUNS_LABEL,
    KERNEL_MEASURE,
    KERNEL_MEASURE_VALUES,
    KERNEL_OVERLAP,
    KERNEL_EDGE,
    KERNEL_SELECT,
    KERNEL_GAUSS_X_I16,
    KERNEL_GAUSS_X_F32,
    KERNEL_GAUSS_YZ,
    KERNEL_SHRINK_YZ,
    KERNEL_SHRINK_X,
    KERNEL_RESAMPLE_I16,
    KERNEL_RESAMPLE_F32,
    KERNEL_MIP_LINE,
    KERNEL_MIP_ROW,
    KERNELS
};

// A buffer as a dispatch over slices sees it: slices k0 - before <= k < k1 + after, as far as there
// are. before and after 0: the same slices as the dispatch.
struct slab_view {
    struct gpu_buf *buf;
    enum pipeline_access access;
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
// push  of the kernel's push_bytes
bool kernel_run(struct gpu *g, enum kernel kernel, const struct gpu_range *ranges, const void *push,
                const uint32_t size[3], uint64_t trips, uint64_t work, struct err *err);
// Same for a long list; see flat_index() in shaders/include/group.glsl.
bool kernel_run_flat(struct gpu *g, enum kernel kernel, const struct gpu_range *ranges,
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

struct slab_view volume_view(const struct gpu_volume *v, enum pipeline_access access);
struct slab_view mask_view(const struct gpu_mask *m, enum pipeline_access access);

// A mask whose words are still undefined; whoever fills it must write them all.
struct gpu_mask *mask_alloc(struct gpu *g, const uint32_t dim[3], const double spacing[3],
                            struct err *err);
