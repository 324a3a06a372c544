#include <inttypes.h>
#include <math.h>
#include "compute/kernels/kernels_internal.h"

#define T PIPELINE_TEXELS
#define I PIPELINE_IN
#define O PIPELINE_OUT
#define X PIPELINE_INOUT

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

const struct pipeline pipeline_table[KERNELS] = {
    [KERNEL_MODALITY_I16] = {"modality", LIST, {0}, 12, 3, {T, I, O}},
    [KERNEL_MODALITY_U16] = {"modality", LIST, {1}, 12, 3, {T, I, O}},
    [KERNEL_MODALITY_LUT] = {"modality", LIST, {2}, 12, 3, {T, I, O}},
    [KERNEL_MODALITY_F32] = {"modality_f32", LIST, {0}, 4, 2, {T, O}},
    [KERNEL_THRESHOLD_I16] = {"threshold", WORDS, {0}, 36, 2, {T, O}},
    [KERNEL_THRESHOLD_F32] = {"threshold", WORDS, {1}, 36, 2, {T, O}},
    [KERNEL_MASK_AND] = {"mask_op", LIST, {0}, 4, 2, {X, T}},
    [KERNEL_MASK_OR] = {"mask_op", LIST, {1}, 4, 2, {X, T}},
    [KERNEL_MASK_ANDNOT] = {"mask_op", LIST, {2}, 4, 2, {X, T}},
    [KERNEL_MASK_XOR] = {"mask_op", LIST, {3}, 4, 2, {X, T}},
    [KERNEL_MASK_COPY] = {"mask_op", LIST, {4}, 4, 2, {X, T}},
    [KERNEL_MASK_BOX] = {"mask_box", WORDS, {0}, 48, 1, {X}},
    [KERNEL_MASK_COUNT] = {"mask_count", LIST, {0}, 20, 2, {T, X}},
    [KERNEL_MASK_DILATE] = {"mask_dilate", WORDS, {0}, 40, 3, {T, I, O}},
    [KERNEL_MASK_EXPAND] = {"mask_expand", WORDS, {0}, 48, 2, {T, O}},
    [KERNEL_MASK_SHRINK] = {"mask_shrink", WORDS, {0}, 64, 2, {T, O}},
    [KERNEL_DISTANCE_X] = {"distance_x", WORDS, {0}, 40, 2, {T, O}},
    [KERNEL_DISTANCE_YZ] = {"distance_yz", QUADS, {0}, 36, 2, {T, O}},
    [KERNEL_SCAN] = {"scan", LIST, {0}, 4, 2, {X, O}},
    [KERNEL_SCAN_ADD] = {"scan_add", LIST, {0}, 4, 2, {X, I}},
    [KERNEL_RUNS_COUNT] = {"runs_count", LIST, {0}, 20, 2, {T, O}},
    [KERNEL_RUNS_WRITE] = {"runs_write", LIST, {0}, 24, 4, {T, I, O, O}},
    [KERNEL_RUNS_MERGE_4] = {"runs_merge", LIST, {0}, 16, 4, {I, I, X, X}},
    [KERNEL_RUNS_MERGE_8] = {"runs_merge", LIST, {1}, 16, 4, {I, I, X, X}},
    [KERNEL_RUNS_MERGE_6] = {"runs_merge", LIST, {2}, 16, 4, {I, I, X, X}},
    [KERNEL_RUNS_MERGE_18] = {"runs_merge", LIST, {3}, 16, 4, {I, I, X, X}},
    [KERNEL_RUNS_MERGE_26] = {"runs_merge", LIST, {4}, 16, 4, {I, I, X, X}},
    [KERNEL_RUNS_FLATTEN] = {"runs_flatten", LIST, {0}, 12, 3, {X, O, X}},
    [KERNEL_RUNS_LABEL] = {"runs_label", LIST, {0}, 8, 2, {X, I}},
    [KERNEL_MEASURE] = {"components_measure", LIST, {0}, 32, 4, {I, I, T, X}},
    [KERNEL_MEASURE_VALUES] = {"components_measure", LIST, {1}, 32, 4, {I, I, T, X}},
    [KERNEL_OVERLAP] = {"components_overlap", LIST, {0}, 28, 4, {I, I, T, X}},
    [KERNEL_EDGE] = {"components_overlap", LIST, {1}, 28, 4, {I, I, T, X}},
    [KERNEL_SELECT] = {"components_select", LIST, {0}, 24, 4, {I, I, I, X}},
    [KERNEL_GAUSS_X_I16] = {"gauss_x", QUADS, {0}, 36, 3, {T, T, O}},
    [KERNEL_GAUSS_X_F32] = {"gauss_x", QUADS, {1}, 36, 3, {T, T, O}},
    [KERNEL_GAUSS_YZ] = {"gauss_yz", QUADS, {0}, 36, 3, {T, T, O}},
    [KERNEL_SHRINK_YZ] = {"shrink_yz", QUADS, {0}, 36, 2, {T, O}},
    [KERNEL_SHRINK_X] = {"shrink_x", QUADS, {0}, 52, 2, {T, O}},
    [KERNEL_RESAMPLE_I16] = {"resample", QUADS, {0}, 96, 2, {T, O}},
    [KERNEL_RESAMPLE_F32] = {"resample", QUADS, {1}, 96, 2, {T, O}},
    [KERNEL_MIP_LINE] = {"mip_line", QUADS, {0}, 36, 2, {T, X}},
    [KERNEL_MIP_ROW] = {"mip_row", LIST, {0}, 32, 2, {T, O}},
};
const size_t pipeline_count = KERNELS;

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

struct slab_view volume_view(const struct gpu_volume *v, enum pipeline_access access)
{
    uint64_t bytes = v->type == GPU_VOXEL_I16 ? 2 : 4;
    return (struct slab_view){
        .buf = v->buf, .access = access, .slice_bytes = v->slice * bytes, .slices = v->dim[2]};
}

struct slab_view mask_view(const struct gpu_mask *m, enum pipeline_access access)
{
    return (struct slab_view){
        .buf = m->buf, .access = access, .slice_bytes = m->slice * 4ull, .slices = m->dim[2]};
}

bool kernel_run(struct gpu *g, enum kernel kernel, const struct gpu_range *ranges, const void *push,
                const uint32_t size[3], uint64_t trips, uint64_t work, struct err *err)
{
    const struct pipeline *p = &pipeline_table[kernel];
    uint32_t groups[3];
    for (int a = 0; a < 3; a++)
        groups[a] = divide_up(size[a], p->group[a]);
    return gpu_dispatch(g, p, ranges, push, groups, trips, work, err);
}

bool kernel_run_flat(struct gpu *g, enum kernel kernel, const struct gpu_range *ranges,
                     const void *push, uint64_t count, uint64_t trips, uint64_t work,
                     struct err *err)
{
    const uint64_t row = 262144; // FLAT_ROW
    if (count > row * 65535)
        return err_set(err, ERR_UNSUPPORTED, "a list of %" PRIu64, count);
    uint32_t size[3] = {(uint32_t)(count < row ? count : row), (uint32_t)((count + row - 1) / row),
                        1};
    return kernel_run(g, kernel, ranges, push, size, trips, work, err);
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
