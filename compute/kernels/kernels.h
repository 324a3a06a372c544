// What stages compute with: volumes and bit masks on the device, and the operations on them. Each
// operation is one or more shaders; each has a plain C twin in tests/ref/ref.h with the same
// result.
//
// Operations are recorded and run in order; nothing waits until a result is read (functions that
// wait say so). An operation takes care of z-slabs (devices bind only part of a large volume) and
// of bounding each dispatch by itself. Results do not depend on the device: integers are exact,
// floats are summed in a fixed order without fused multiply-add.
//
// Errors: those of compute/gpu/gpu.h, and ERR_INPUT for sizes that do not match, parameters out of
// range. Functions that make something return it, or NULL with *err set; destroy functions take
// NULL, and may be called while the operation that uses the thing is not yet done.
// Every axis has at most KERNELS_DIM_MAX voxels, a volume less than 2^32 with its padding.
// Thread-safety: one thread a struct gpu.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "compute/gpu/gpu.h"
#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KERNELS_DIM_MAX 16384

// ---- What runs where ----------------------------------------------------------------------------

struct kernel; // compute/gpu/pipeline.h

// Kernels that are made ready together: gpu_prepare() takes one, a stage names those it uses.
struct kernel_group {
    const struct kernel *const *list;
    size_t count;
};
extern const struct kernel_group kernels_shrink, kernels_resample, kernels_smooth, kernels_mip;
extern const struct kernel_group kernels_masks;    // threshold, combine, invert, crop, copy, count
extern const struct kernel_group kernels_ball;     // dilate, erode
extern const struct kernel_group kernels_distance; // gpu_mask_distance2()
extern const struct kernel_group kernels_coarse;   // gpu_mask_shrink(), _expand()
extern const struct kernel_group kernels_components; // and all that is built on them

// Makes the kernels of some groups ready, so that no analysis waits for a compiler. NULL ends
// groups; NULL is none. Goes on after one that fails. Errors: those of gpu_prepare().
bool kernels_prepare(struct gpu *g, const struct kernel_group *const *groups, struct err *err);

// ---- Volumes ------------------------------------------------------------------------------------

enum gpu_voxel {
    GPU_VOXEL_I16, // int16_t modality values
    GPU_VOXEL_F32, // float
};

// A regular grid on the device. Voxel (i, j, k) is element k * slice + j * row + i of buf; the
// elements between are padding of any value. Read-only for callers.
struct gpu_volume {
    struct gpu *gpu;
    struct gpu_buf *buf;
    enum gpu_voxel type;
    uint32_t dim[3];   // columns, rows, slices
    uint32_t row;      // elements from row to row: a multiple of 32
    uint32_t slice;    // elements from slice to slice: a multiple of 128
    double spacing[3]; // mm along each index
};

// An uninitialised one.
struct gpu_volume *gpu_volume_create(struct gpu *g, const uint32_t dim[3], const double spacing[3],
                                     enum gpu_voxel type, struct err *err);
void gpu_volume_destroy(struct gpu_volume *v);

// A volume of values as they are. voxels: dim[0] * dim[1] * dim[2] of type, packed.
struct gpu_volume *gpu_volume_write(struct gpu *g, const uint32_t dim[3], const double spacing[3],
                                    enum gpu_voxel type, const void *voxels, struct err *err);

// Replaces slices k0 <= k < k0 + count, so that a volume can be filled a few slices at a time and
// no copy of it all is ever on the host. Waits for earlier work that uses v.
// voxels  count * dim[1] * dim[0] of v->type, packed; free on return
//   ERR_INPUT  the slices are not all in the volume
bool gpu_volume_write_slices(struct gpu_volume *v, uint32_t k0, uint32_t count, const void *voxels,
                             struct err *err);

// Copies slices k0 <= k < k1 to voxels, packed. Waits.
bool gpu_volume_read(const struct gpu_volume *v, uint32_t k0, uint32_t k1, void *voxels,
                     struct err *err);

// A coarser grid: the mean of blocks of factor[0] x factor[1] x factor[2] voxels, each factor
// 1..32; at the far ends the mean of the voxels there are. dim = ceil(dim / factor), spacing =
// spacing * factor. int16: rounded to nearest, halves away from zero. Coarse voxel c covers the
// fine voxels c * factor .. c * factor + factor - 1, so its centre is fine index c * factor +
// (factor - 1) / 2 (the blocks at the far ends count as whole). v is GPU_VOXEL_I16.
// lead  columns and rows that the first block lacks, less than the factor: all indices above are
// then
//       fine indices + lead; NULL: none
struct gpu_volume *gpu_volume_shrink(const struct gpu_volume *v, const uint32_t factor[3],
                                     const uint32_t lead[2], struct err *err);
// The factors for voxels of about mm: round(mm / spacing), at least 1, at most 32.
void gpu_shrink_factors(const double spacing[3], double mm, uint32_t factor[3]);

// Trilinear samples of v at index map * (i, j, k, 1), clamped to the grid, as float.
// map     from an index of the result to an index of v
struct gpu_volume *gpu_volume_resample(const struct gpu_volume *v, const uint32_t dim[3],
                                       const double spacing[3], const double map[3][4],
                                       struct err *err);

// Gaussian of sigma_mm along each axis (0: none along it), as float; kernel cut at 3 sigma and
// normalised, borders replicated. Taps along an axis reach ceil(3 sigma_mm / spacing) voxels, at
// most 127.
struct gpu_volume *gpu_volume_smooth(const struct gpu_volume *v, const double sigma_mm[3],
                                     struct err *err);

// Maximum along an axis (0 columns, 1 rows, 2 slices) over lo <= index < hi of that axis. The
// result is one slice: axis 2: columns x rows; axis 1: columns x slices; axis 0: rows x slices.
// v is GPU_VOXEL_I16.
struct gpu_volume *gpu_volume_mip(const struct gpu_volume *v, unsigned axis, uint32_t lo,
                                  uint32_t hi, struct err *err);

// ---- Bit masks ----------------------------------------------------------------------------------

// One bit a voxel: voxel (i, j, k) is bit i % 32 (bit 0 the lowest) of the 32-bit word k * slice +
// j * row + i / 32 of buf. All other bits are 0. Read-only for callers but through functions.
struct gpu_mask {
    struct gpu *gpu;
    struct gpu_buf *buf;
    uint32_t dim[3];
    uint32_t row;      // words from row to row: a multiple of 4
    uint32_t slice;    // words from slice to slice: a multiple of 64
    double spacing[3]; // mm along each index
};

// An empty one (all 0).
struct gpu_mask *gpu_mask_create(struct gpu *g, const uint32_t dim[3], const double spacing[3],
                                 struct err *err);
struct gpu_mask *gpu_mask_copy(const struct gpu_mask *m, struct err *err);
void gpu_mask_destroy(struct gpu_mask *m);

// A byte a voxel, packed [slices][rows][columns]: 0 or not 0 in, 0 or 1 out. The read waits.
struct gpu_mask *gpu_mask_write(struct gpu *g, const uint32_t dim[3], const double spacing[3],
                                const uint8_t *bytes, struct err *err);
bool gpu_mask_read(const struct gpu_mask *m, uint8_t *bytes, struct err *err);
// The words of slices k0 <= k < k1 as they lie: (k1 - k0) * m->slice of them. Waits.
bool gpu_mask_read_words(const struct gpu_mask *m, uint32_t k0, uint32_t k1, uint32_t *words,
                         struct err *err);

// 1 where lo <= value <= hi. int16: bounds may lie beyond the type; float: NaN is never inside.
struct gpu_mask *gpu_mask_threshold(const struct gpu_volume *v, double lo, double hi,
                                    struct err *err);

enum mask_op { MASK_AND, MASK_OR, MASK_ANDNOT, MASK_XOR };
// a = a op b; ANDNOT: a and not b. Same dim.
bool gpu_mask_combine(struct gpu_mask *a, enum mask_op op, const struct gpu_mask *b,
                      struct err *err);
bool gpu_mask_invert(struct gpu_mask *m, struct err *err);
// Clears what lies outside lo[a] <= index < hi[a].
bool gpu_mask_crop(struct gpu_mask *m, const uint32_t lo[3], const uint32_t hi[3], struct err *err);

// Set voxels of each slice. counts: dim[2]. Waits.
bool gpu_mask_count_slices(const struct gpu_mask *m, uint32_t *counts, struct err *err);
bool gpu_mask_count(const struct gpu_mask *m, uint64_t *count, struct err *err); // waits

// Dilation and erosion by a ball: voxels whose centre is at most radius_mm from the centre of a set
// (erosion: cleared) voxel are set (cleared). What lies outside the grid is clear for dilation and
// set for erosion: it does not erode. radius_mm / spacing[0] < 32, and less than 128 along the
// other axes; for more use gpu_mask_distance().
struct gpu_mask *gpu_mask_dilate(const struct gpu_mask *m, double radius_mm, struct err *err);
struct gpu_mask *gpu_mask_erode(const struct gpu_mask *m, double radius_mm, struct err *err);
// Same ball within each slice only.
struct gpu_mask *gpu_mask_dilate_2d(const struct gpu_mask *m, double radius_mm, struct err *err);
struct gpu_mask *gpu_mask_erode_2d(const struct gpu_mask *m, double radius_mm, struct err *err);

// SQUARED distance in mm2 (float) from each voxel centre to the nearest set voxel centre; 0 inside.
// Distances beyond max_mm are max_mm * max_mm. Squares are exact to float rounding and the same on
// every device, where square roots are not: threshold with squared bounds. For work grids: time
// grows with max_mm / spacing.
struct gpu_volume *gpu_mask_distance2(const struct gpu_mask *m, double max_mm, struct err *err);

// A coarser mask as of gpu_volume_shrink(): set where at least `atleast` of the block's fine voxels
// are set (1: any). atleast 0: at least half of those there are.
struct gpu_mask *gpu_mask_shrink(const struct gpu_mask *m, const uint32_t factor[3],
                                 uint32_t atleast, struct err *err);
// Back to the fine grid of dim voxels: each takes the bit of its block (nearest neighbour).
struct gpu_mask *gpu_mask_expand(const struct gpu_mask *m, const uint32_t factor[3],
                                 const uint32_t dim[3], struct err *err);

// ---- Connected components -----------------------------------------------------------------------

enum connectivity {
    CONNECT_4,  // 2-D, within each slice: edges
    CONNECT_8,  // 2-D: edges and corners
    CONNECT_6,  // 3-D: faces
    CONNECT_18, // 3-D: faces and edges
    CONNECT_26, // 3-D: faces, edges and corners
};

// A maximal set of neighbouring set voxels along a row.
struct component_run {
    uint32_t row;    // k * dim[1] + j
    uint16_t x0, x1; // columns x0 <= i <= x1
    uint32_t label;  // 1..count
};

// The components of a mask, kept as runs on the device. Labels are 1..count in the order of each
// component's first voxel (lowest k, then j, then i): 2-D components come slice by slice.
struct components {
    struct gpu *gpu;
    uint32_t dim[3];
    uint32_t count;                   // components
    uint32_t run_count;               // runs of all components
    struct components_device *device; // how; owned
};

// Waits twice (number of runs, number of components). The mask is free on return.
// ERR_UNSUPPORTED: more runs than the device can bind (16 million on small devices).
struct components *components_find(const struct gpu_mask *m, enum connectivity connectivity,
                                   struct err *err);
void components_destroy(struct components *c);

// Integers only, so that the same series gives the same report. Means and centroids are the
// caller's divisions.
struct component_stats {
    uint32_t voxels;
    int32_t min, max;              // of the values; 0 without values
    int64_t sum;                   // of the values; 0 without values
    uint32_t box_lo[3], box_hi[3]; // first and last index along each axis, inclusive
    uint64_t index_sum[3];         // sum of i, of j, of k
};

// values  GPU_VOXEL_I16 of the same dim, or NULL
// stats   count entries: component n at n - 1. Waits.
bool components_measure(const struct components *c, const struct gpu_volume *values,
                        struct component_stats *stats, struct err *err);
// How many voxels of each component are set in m too. overlap: count entries. Waits.
bool components_overlap(const struct components *c, const struct gpu_mask *m, uint32_t *overlap,
                        struct err *err);
// Copies all runs, ordered by row, then column. runs: run_count entries. Waits.
bool components_runs(const struct components *c, struct component_run *runs, struct err *err);
// A mask of the components with keep[n - 1] != 0. keep: count entries, free on return.
struct gpu_mask *components_select(const struct components *c, const uint8_t *keep,
                                   const double spacing[3], struct err *err);

// Built on these; all wait.
// The components of m that share at least one voxel with seed.
struct gpu_mask *gpu_mask_keep_touching(const struct gpu_mask *m, const struct gpu_mask *seed,
                                        enum connectivity connectivity, struct err *err);
// The n largest components by voxels (ties: lower label); *voxels of them together, may be NULL.
struct gpu_mask *gpu_mask_keep_largest(const struct gpu_mask *m, uint32_t n,
                                       enum connectivity connectivity, uint64_t *voxels,
                                       struct err *err);
// The components of at least voxels voxels.
struct gpu_mask *gpu_mask_keep_size(const struct gpu_mask *m, uint32_t voxels,
                                    enum connectivity connectivity, struct err *err);
// Sets what each slice's mask encloses: clear voxels with no 4-connected path of clear voxels to
// the edge of the slice.
struct gpu_mask *gpu_mask_fill_holes(const struct gpu_mask *m, struct err *err);

#ifdef __cplusplus
}
#endif
