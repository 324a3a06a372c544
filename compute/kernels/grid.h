// A kernel over a grid of voxels: its author says what it reads and writes, and the rest follows.
// The grid is cut into slabs of slices, since a device binds only part of a large volume and each
// dispatch must stay short; every slab gets the slices around it that it reads, its offsets as push
// constants and the barriers it needs. The GLSL half is shaders/include/grid.glsl.
//
//   // Mean of the 3 x 3 x 3 voxels around each, of floats.
//   static const struct kernel mean = {.shader = &shader_lungs_mean, .group = {8, 8, 1},
//                                      .push_bytes = GRID_PUSH_BYTES + sizeof(struct mean_push),
//                                      .bindings = 2, .access = {KERNEL_TEXELS, KERNEL_OUT}};
//   const struct mean_push push = {.scale = 1.0f / 27};
//   const struct grid_call call = {.halo = 1, .bind = {grid_volume(v), grid_volume(out)},
//                                  .push = &push, .push_size = sizeof push, .trips = 27,
//                                  .work = 27};
//   ok = grid_run(gpu, &mean, &call, err);
//
// Thread-safety: one thread a struct gpu.
#pragma once
#include "compute/gpu/pipeline.h"
#include "compute/kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

// What one binding shows: exactly one of these.
struct grid_bind {
    const struct gpu_volume *volume; // on the grid
    const struct gpu_mask *mask;     // on the grid
    struct gpu_buf *buf;
    uint64_t slice_bytes; // of buf: 0: all of it in every slab; else a multiple of 256, and the
                          // buffer has these bytes for each slice of the grid
};

static inline struct grid_bind grid_volume(const struct gpu_volume *v)
{
    return (struct grid_bind){.volume = v};
}

static inline struct grid_bind grid_mask(const struct gpu_mask *m)
{
    return (struct grid_bind){.mask = m};
}

static inline struct grid_bind grid_buf(struct gpu_buf *b)
{
    return (struct grid_bind){.buf = b};
}

static inline struct grid_bind grid_slices(struct gpu_buf *b, uint64_t slice_bytes)
{
    return (struct grid_bind){.buf = b, .slice_bytes = slice_bytes};
}

// The push constants that come before the kernel's own: struct Grid in grid.glsl. The kernel's own
// start at a multiple of 16, so that a vec4 may be the first.
#define GRID_PUSH_BYTES 48

struct grid_call {
    uint32_t dim[3]; // voxels of the grid; 0: as of the first volume or mask bound
    uint32_t per[3]; // voxels an invocation covers along each axis; 0: 1
    uint32_t halo;   // slices before and after its own that a dispatch sees of what it only reads
                     // (KERNEL_TEXELS, KERNEL_IN), as far as there are
    struct grid_bind bind[KERNEL_BINDINGS_MAX]; // in the order of the kernel's bindings
    const void *push;                           // the kernel's own push constants
    uint32_t push_size;                         // bytes of them: at most 80
    uint64_t trips; // the most loop iterations an invocation can make: see gpu_dispatch()
    uint64_t work;  // voxels read for one that is written, about; 0: 1
};

// Records one or more dispatches; does not wait. What is written in one slab must not be read in
// another.
//   ERR_INPUT        a volume or mask has another size than the grid, or is of another gpu; a
//                    buffer is too small; a halo is asked for of what is written too
//   ERR_INTERNAL     kernel and call contradict each other
//   ERR_UNSUPPORTED  not even one slice with its halo can be bound
// and those of compute/gpu/pipeline.h.
bool grid_run(struct gpu *g, const struct kernel *k, const struct grid_call *call, struct err *err);

#ifdef __cplusplus
}
#endif
