// A Vulkan device used for computing: choice, memory, buffers, transfers, time-outs. A struct gpu
// is the device and one compute queue; a struct gpu_buf is a range of device memory. Work is
// recorded in order (compute/gpu/pipeline.h) and runs when something waits for it: a read, or
// gpu_finish(). Baseline: Vulkan 1.2.
// Process: worker, analyze, devices. Vulkan does not survive fork(): create a gpu in the process
// that uses it, never in a parent.
// Thread-safety: one thread a struct gpu.
//
// Errors. Once the device was lost, or work did not end in time, the gpu is failed: every further
// call says ERR_DEVICE, and the only remedy is a new one in a fresh process. Calls report
//   ERR_NOMEM    device or host memory is exhausted, or the memory limit is reached
//   ERR_TIMEOUT  the deadline has passed; where work that was waited for had not ended by then, the
//                gpu is failed, for it may never end
//   ERR_DEVICE   the device or its driver failed
//   ERR_UNSUPPORTED  a size is beyond what the device can bind
//
// Environment:
//   ANODE_VULKAN_VALIDATION=1  validation layer with synchronisation validation; its warnings and
//                              errors are logged and counted. gpu_create() fails where the layer
//                              is not installed.
//   ANODE_VULKAN_PRINTF=1      the same, and what shaders print with debugPrintfEXT() is logged
//   ANODE_VULKAN_STAGING=1     as gpu_options.force_staging
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

enum gpu_kind { GPU_DISCRETE, GPU_INTEGRATED, GPU_VIRTUAL, GPU_CPU, GPU_OTHER }; // best first
const char *gpu_kind_name(enum gpu_kind kind);                                   // "discrete"

// What a device says of itself.
struct gpu_device {
    char name[256]; // "llvmpipe (LLVM 15.0.6, 256 bits)"
    enum gpu_kind kind;
    char driver[256];         // "llvmpipe Mesa 22.3.6 (LLVM 15.0.6)"
    char api_version[16];     // "1.3.230"
    uint32_t driver_version;  // as the driver counts it
    char uuid[37];            // "6d657361-3232-2e33-2e36-000000000000"
    uint64_t memory_bytes;    // largest device-local heap
    uint64_t max_range_bytes; // largest range of one buffer a shader can see
    uint64_t max_alloc_bytes; // largest single allocation
    uint32_t max_group_size;  // invocations of a workgroup
    uint32_t subgroup_size;
    bool in_place; // device memory is written by the host directly, without staging
    bool usable;   // can be used at all
    bool chosen;
    char why[160]; // "chosen: best kind", "not usable: Vulkan 1.1"
};

// All Vulkan devices; the one gpu_create() would take for the same `want` is marked.
// want    part of a device's name (any case) or its UUID; NULL or "": the best
// *list   malloc'd, count entries; free() it
// True with count 0 where there is no device. ERR_DEVICE: no Vulkan loader or driver works.
bool gpu_list(const char *want, struct gpu_device **list, size_t *count, struct err *err);

struct gpu_options {
    const char *device;    // as `want` of gpu_list()
    const char *cache_dir; // folder of the pipeline cache, made when absent; NULL: none
    uint64_t memory_limit; // bytes of all buffers together; 0: what the device has
    uint64_t max_range;    // lowers the device's max_range_bytes (tests); 0: as the device says
    bool force_staging;    // never write device memory in place (tests)
    bool no_push;          // never use push descriptors (tests)
};

struct gpu; // opaque

// Opens the device. options NULL: all defaults. Logs which device was taken and why.
// With a cache_dir, pipelines are kept there between runs, keyed by device and driver (a file that
// does not fit is replaced; several processes may share the folder), and MESA_SHADER_CACHE_DIR is
// set to it unless it is set already: the software device compiles at the first dispatch and keeps
// its code there.
//   ERR_CONFIG  no device of that name or UUID (the text lists those there are)
//   ERR_DEVICE  no device at all, or it fails
//   ERR_UNSUPPORTED  the device lacks what we need; validation was asked for and is not installed
struct gpu *gpu_create(const struct gpu_options *options, struct err *err);
// Waits for the work in flight, writes the pipeline cache, destroys every buffer still there (a
// warning names them) and the device. NULL is fine.
void gpu_destroy(struct gpu *g);

const struct gpu_device *gpu_device(const struct gpu *g);

// Work must end by then: CLOCK_MONOTONIC seconds; 0: no deadline, yet a single submission (at most
// some 100 ms of work) never gets more than a minute, on a software device two minutes of CPU time,
// however long other programs make that last. Bound to every call that waits, records or
// writes: past it each says ERR_TIMEOUT, unless what it asks for is there already. Since no
// submission is long, a call returns soon after the deadline at the latest, and what the device
// still has in hand ends soon too.
void gpu_set_deadline(struct gpu *g, double monotonic_s);

bool gpu_failed(const struct gpu *g);                  // see "Errors" above
unsigned gpu_validation_messages(const struct gpu *g); // since gpu_create()
uint64_t gpu_used_bytes(const struct gpu *g);          // in buffers now, staging included
uint64_t gpu_peak_bytes(const struct gpu *g);          // most at once since gpu_reset_peak()
void gpu_reset_peak(struct gpu *g);

// Starts what was recorded; does not wait.
bool gpu_submit(struct gpu *g, struct err *err);
// Starts what was recorded and waits until all of it is done.
bool gpu_finish(struct gpu *g, struct err *err);

struct gpu_buf; // opaque

// Uninitialised device memory. name is shown in logs and tools; copied.
// size    bytes, > 0; rounded up to 256. May exceed max_range_bytes: shaders then see it in parts.
struct gpu_buf *gpu_buf_create(struct gpu *g, const char *name, uint64_t size, struct err *err);
// May be called while recorded work still uses it: the memory is taken back afterwards. NULL: fine.
void gpu_buf_destroy(struct gpu_buf *b);
uint64_t gpu_buf_size(const struct gpu_buf *b);

// Copies size bytes to offset; data is free on return. Waits for earlier work that uses b.
bool gpu_buf_write(struct gpu_buf *b, uint64_t offset, const void *data, uint64_t size,
                   struct err *err);
// Copies rows of row_bytes from data (packed) to rows that lie pitch bytes apart; what lies between
// becomes 0, the gap after the last row included. pitch >= row_bytes.
bool gpu_buf_write_rows(struct gpu_buf *b, uint64_t offset, uint64_t pitch, const void *data,
                        uint64_t row_bytes, uint64_t rows, struct err *err);
// Sets words; offset and size are multiples of 4. Recorded, does not wait.
bool gpu_buf_fill(struct gpu_buf *b, uint64_t offset, uint64_t size, uint32_t word,
                  struct err *err);
// Runs what was recorded, waits, copies out.
bool gpu_buf_read(struct gpu_buf *b, uint64_t offset, void *data, uint64_t size, struct err *err);

#ifdef __cplusplus
}
#endif
