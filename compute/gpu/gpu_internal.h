// What gpu.c, gpu_memory.c, gpu_cmd.c and pipeline.c share; nobody else includes this.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vulkan/vulkan.h>
#include "compute/gpu/gpu.h"
#include "compute/gpu/pipeline.h"
#include "base/err.h"

#define GPU_ALIGN         256u // of every buffer: the largest alignment Vulkan may ask
#define GPU_CMDS          4u   // command buffers in flight at most
#define GPU_CMD_SETS      64u  // dispatches a command buffer at most
#define GPU_STAGING_SLOTS 4u
#define GPU_STAGING_BYTES (4ull << 20) // of one slot
#define GPU_VIEWS_MAX     1024u        // texel views kept a buffer

enum gpu_pool { GPU_POOL_DEVICE, GPU_POOL_HOST, GPU_POOLS };

struct gpu_hole {
    uint64_t offset, size;
};

// One VkDeviceMemory and what is free in it.
struct gpu_block {
    VkDeviceMemory memory;
    uint64_t size;
    uint8_t *mapped;        // NULL: not host-visible
    struct gpu_hole *holes; // by offset, never adjacent
    uint32_t hole_count, hole_room;
    uint32_t taken; // buffers in it: each may leave a hole of its own
};

struct gpu_memory {
    struct gpu_block **blocks[GPU_POOLS];
    uint32_t block_count[GPU_POOLS];
    uint32_t type[GPU_POOLS]; // memory type index
    bool mapped[GPU_POOLS], coherent[GPU_POOLS];
    uint32_t type_bits; // types every buffer of ours can lie in
    uint64_t used, peak, limit, max_alloc;
};

struct gpu_view {
    VkBufferView view;
    enum kernel_access access; // KERNEL_TEXELS or KERNEL_WORDS
    uint64_t offset, size;
};

struct gpu_buf {
    struct gpu *gpu;
    struct gpu_buf *next, **prev; // in gpu.bufs or gpu.doomed
    char name[32];
    VkBuffer vk;
    enum gpu_pool pool;
    struct gpu_block *block;
    uint64_t offset, held;            // in the block
    uint64_t size;                    // that callers may use
    uint8_t *mapped;                  // NULL: not host-visible
    uint64_t last_serial;             // of the last submission that uses it
    uint64_t read_epoch, write_epoch; // of the last access since a barrier
    struct gpu_view *views;
    uint32_t view_count;
};

// A command buffer and what belongs to it.
struct gpu_cmd {
    VkCommandBuffer vk;
    VkFence fence;
    VkDescriptorPool sets; // without push descriptors
    uint64_t serial;       // 0: never used
    bool pending;          // submitted, not yet seen to be done
    uint32_t dispatches;
    uint64_t work;
};

struct pipeline {
    struct kernel kernel; // its shader NULL: see words
    uint32_t *words;      // a copy
    size_t size;          // bytes
    uint64_t hash;
    VkPipeline vk;
    VkPipelineLayout layout;
    VkDescriptorSetLayout set;
};

struct gpu {
    struct gpu_device device;
    VkInstance instance;
    VkDebugUtilsMessengerEXT messenger;
    unsigned messages;
    VkPhysicalDevice physical;
    VkDevice vk;
    VkQueue queue;
    uint32_t family;
    uint64_t max_texel_bytes, max_word_bytes; // of a view of 128, of 32 bits
    VkPhysicalDeviceLimits limits;
    bool failed;
    double deadline;

    struct gpu_memory memory;
    struct gpu_buf *bufs, *doomed;
    struct gpu_buf *staging;
    uint64_t staging_serial[GPU_STAGING_SLOTS];
    uint32_t staging_next;

    VkCommandPool commands;
    struct gpu_cmd cmd[GPU_CMDS];
    struct gpu_cmd *open; // being recorded, or NULL
    uint64_t serial;      // of the open or the next submission
    uint64_t done;        // all submissions up to this one are done
    uint64_t epoch;       // grows with each barrier

    PFN_vkCmdPushDescriptorSetKHR push_descriptors; // NULL: sets from pools
    VkPipelineCache cache;
    bool cache_dirty;
    char *cache_path;            // NULL: none
    struct pipeline **pipelines; // a hash table of all there are: open addressing, NULL is empty
    uint32_t pipeline_room, pipeline_count; // room: 0 or a power of 2
};

const char *gpu_result_name(VkResult result); // "device lost"
// Latches the failed flag on a lost device and turns a result into an error. Always false.
bool gpu_fail(struct gpu *g, VkResult result, const char *what, struct err *err);

// gpu_memory.c
bool gpu_memory_init(struct gpu *g, const struct gpu_options *options, struct err *err);
void gpu_memory_finish(struct gpu *g);
void gpu_buf_release(struct gpu_buf *b);       // at once; no work uses it
bool gpu_buf_is_used(const struct gpu_buf *b); // by work not yet done
VkBufferView gpu_buf_view(struct gpu_buf *b, enum kernel_access access, uint64_t offset,
                          uint64_t size, struct err *err);

// gpu_cmd.c
bool gpu_cmd_init(struct gpu *g, struct err *err);
void gpu_cmd_finish(struct gpu *g);
// The open command buffer, begun when none is; one with room for a dispatch.
struct gpu_cmd *gpu_cmd_open(struct gpu *g, struct err *err);
// False with ERR_TIMEOUT past the deadline: nothing new is begun then.
bool gpu_cmd_in_time(const struct gpu *g, struct err *err);
// Whether a submission will never end, by how long it has been waited for and the CPU time that
// this process took meanwhile: its own where the device is software, which other programs slow.
bool gpu_cmd_hangs(enum gpu_kind kind, double waited_s, double cpu_s);
bool gpu_cmd_wait(struct gpu *g, uint64_t serial, struct err *err);
// Notes that the next command reads or writes b; true: a barrier must come before it.
bool gpu_cmd_hazard(struct gpu *g, const struct gpu_buf *b, bool writes);
void gpu_cmd_touch(struct gpu *g, struct gpu_buf *b, bool reads, bool writes);
void gpu_cmd_barrier(struct gpu *g);
void gpu_cmd_collect(struct gpu *g);              // frees what no work uses any more
bool gpu_cmd_idle(struct gpu *g, double seconds); // for destruction, also when failed

// pipeline.c
bool pipeline_init(struct gpu *g, const char *cache_dir, struct err *err);
void pipeline_finish(struct gpu *g);
