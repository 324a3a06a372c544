// Recording work: a dispatch names its shader, its buffers and what it does with them; pipelines,
// descriptors, barriers and submissions follow from that. For the operations in
// compute/kernels/kernels.c; stages use those. Thread-safety: one thread a struct gpu.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "compute/gpu/gpu.h"
#include "base/err.h"

#define PIPELINE_BINDINGS_MAX  6
#define PIPELINE_CONSTANTS_MAX 2
#define PIPELINE_PUSH_MAX      128 // bytes: what every device has

enum pipeline_access {
    PIPELINE_TEXELS, // read through a uniform texel buffer of 4 x 32 bits: fastest for bulk reads
    PIPELINE_IN,     // storage buffer, read only
    PIPELINE_OUT,    // storage buffer, written only
    PIPELINE_INOUT,  // storage buffer, read and written
};

// One shader specialised in one way: a row of pipeline_table.
struct pipeline {
    const char *shader;
    uint32_t group[3]; // specialisation constants 0..2: size of a workgroup
    uint32_t constants[PIPELINE_CONSTANTS_MAX]; // 3..: what shapes the code
    uint32_t push_bytes;
    uint32_t bindings;
    enum pipeline_access access[PIPELINE_BINDINGS_MAX]; // of binding 0..bindings - 1
};

// Part of a buffer. offset: a multiple of 256; size: > 0, at most gpu_bind_limit(),
// for texels a multiple of 16.
struct gpu_range {
    struct gpu_buf *buf;
    uint64_t offset, size;
};

// Records one dispatch after those before it, with a barrier where it depends on them.
// ranges  one a binding
// push    p->push_bytes of push constants; copied
// groups  workgroups along each axis; none is 0 or more than the device has (65535 everywhere)
// trips   the most loop iterations one invocation can make: ERR_INTERNAL above 60000, for a
// software
//         device ends loops silently at 65535
// work    about how many voxels it touches: submissions are cut by it
bool gpu_dispatch(struct gpu *g, const struct pipeline *p, const struct gpu_range *ranges,
                  const void *push, const uint32_t groups[3], uint64_t trips, uint64_t work,
                  struct err *err);

// The most bytes of a buffer one binding can show: a multiple of 256.
uint64_t gpu_bind_limit(const struct gpu *g, enum pipeline_access access);

// Voxels a single dispatch should touch at most, to stay in the tens of milliseconds.
uint64_t gpu_work_limit(const struct gpu *g);

// All pipelines there are; defined in compute/kernels/kernels.c.
extern const struct pipeline pipeline_table[];
extern const size_t pipeline_count;
