// Recording work: a dispatch names its kernel, its buffers and what it does with them; pipelines,
// descriptors, barriers and submissions follow from that. A pipeline is made at the first dispatch
// of its kernel, and the same kernel, wherever it is described, has the same pipeline. Stages
// dispatch through compute/kernels/grid.h. Thread-safety: one thread a struct gpu.
//
// Errors besides those of compute/gpu/gpu.h. None of them fails the gpu: other kernels go on.
//   ERR_UNSUPPORTED  the shader is no SPIR-V that this device can run, or asks for more than the
//                    device has; the text names the shader and the driver's words
//   ERR_INTERNAL     kernel and shader contradict each other, or a dispatch its kernel
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "compute/gpu/gpu.h"
#include "shaders/shader.h"
#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

// Ours, above what a kernel is likely to need; a device may have less (ERR_UNSUPPORTED).
#define KERNEL_BINDINGS_MAX  12
#define KERNEL_CONSTANTS_MAX 8
#define KERNEL_PUSH_MAX      128 // bytes: what every device has

enum kernel_access {
    KERNEL_TEXELS, // read through a uniform texel buffer of 4 x 32 bits: fastest for bulk reads
    KERNEL_WORDS,  // read through one of 32 bits: fastest for words that lie anywhere
    KERNEL_IN,     // storage buffer, read only
    KERNEL_OUT,    // storage buffer, written only
    KERNEL_INOUT,  // storage buffer, read and written
};

static inline bool gpu_reads_texels(enum kernel_access access)
{
    return access == KERNEL_TEXELS || access == KERNEL_WORDS;
}

// One shader specialised in one way. It does nothing when all its push constants are 0 (sizes are
// among them, and every invocation beyond them returns): gpu_prepare() relies on it.
// Numbers that differ from job to job are push constants: a pipeline is kept as long as its gpu.
struct kernel {
    const struct shader *shader;
    uint32_t group[3];                        // specialisation constants 0..2: size of a workgroup
    uint32_t constants[KERNEL_CONSTANTS_MAX]; // 3..: what shapes the code
    uint32_t push_bytes;                      // a multiple of 4
    uint32_t bindings;
    enum kernel_access access[KERNEL_BINDINGS_MAX]; // of binding 0..bindings - 1 of set 0
};

// Part of a buffer. offset: a multiple of 256; size: > 0, at most gpu_bind_limit(),
// for texels a multiple of 16.
struct gpu_range {
    struct gpu_buf *buf;
    uint64_t offset, size;
};

// Records one dispatch after those before it, with a barrier where it depends on them.
// k       copied with its shader where the pipeline is new
// ranges  one a binding
// push    k->push_bytes of push constants; copied; may be NULL where there are none
// groups  workgroups along each axis; none is 0 or more than the device has (65535 everywhere)
// trips   the most loop iterations one invocation can make: ERR_INTERNAL above 60000, for a
//         software device ends loops silently at 65535
// work    about how many voxels it touches: submissions are cut by it
bool gpu_dispatch(struct gpu *g, const struct kernel *k, const struct gpu_range *ranges,
                  const void *push, const uint32_t groups[3], uint64_t trips, uint64_t work,
                  struct err *err);

// Makes the pipelines of count kernels now, so that no analysis pays for it. A software device
// compiles at the first dispatch only, so there each runs one group. Goes on after a kernel that
// fails; false: *err is of the first one that did.
bool gpu_prepare(struct gpu *g, const struct kernel *const *list, size_t count, struct err *err);

// The most bytes of a buffer one binding can show: a multiple of 256.
uint64_t gpu_bind_limit(const struct gpu *g, enum kernel_access access);

// Voxels a single dispatch should touch at most, to stay in the tens of milliseconds.
uint64_t gpu_work_limit(const struct gpu *g);

#ifdef __cplusplus
}
#endif
