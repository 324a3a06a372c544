// Command buffers: a ring of them, recorded and submitted in order on one queue. Submission n is
// done when its fence says so; since the queue runs in order, so are all before it.
#include <math.h>
#include <stdlib.h>
#include "base/clock.h"
#include "compute/gpu/gpu_internal.h"

#define CMD_WORK_LIMIT 4u // times gpu_work_limit(): about 100 ms a submission
// A submission that takes longer never ends. A software device compiles shaders in it too: all
// there are took 24 s on two cores with sanitizers. Beside 20 busy processes that has a tenth of a
// core, so there only CPU time counts; none is used up in a deadlock, where the clock ends it.
#define HANG_S       60.0   // on the clock: a device with processors of its own
#define HANG_CPU_S   120.0  // of CPU time of this process: a software device
#define STARVED_S    1800.0 // on the clock: a software device
#define LOOK_EVERY_S 1.0

static const VkAccessFlags device_access = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                                           VK_ACCESS_TRANSFER_READ_BIT |
                                           VK_ACCESS_TRANSFER_WRITE_BIT;
static const VkPipelineStageFlags device_stages =
    VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;

bool gpu_cmd_in_time(const struct gpu *g, struct err *err)
{
    return g->deadline <= 0 || clock_steady() < g->deadline ||
           err_set(err, ERR_TIMEOUT, "%s: no time is left for more work", g->device.name);
}

static bool cmd_init(struct gpu *g, struct gpu_cmd *c, struct err *err)
{
    VkCommandBufferAllocateInfo buffer = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                          .commandPool = g->commands,
                                          .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                          .commandBufferCount = 1};
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    VkResult result = vkAllocateCommandBuffers(g->vk, &buffer, &c->vk);
    if (result == VK_SUCCESS)
        result = vkCreateFence(g->vk, &fence, NULL, &c->fence);
    if (result == VK_SUCCESS && !g->push_descriptors) {
        VkDescriptorPoolSize sizes[2] = {
            {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, GPU_CMD_SETS * KERNEL_BINDINGS_MAX},
            {VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, GPU_CMD_SETS * KERNEL_BINDINGS_MAX}};
        VkDescriptorPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                           .maxSets = GPU_CMD_SETS,
                                           .poolSizeCount = 2,
                                           .pPoolSizes = sizes};
        result = vkCreateDescriptorPool(g->vk, &pool, NULL, &c->sets);
    }
    return result == VK_SUCCESS || gpu_fail(g, result, "command buffer", err);
}

bool gpu_cmd_init(struct gpu *g, struct err *err)
{
    g->serial = 1;
    g->epoch = 1;
    VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                    .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                    .queueFamilyIndex = g->family};
    VkResult result = vkCreateCommandPool(g->vk, &pool, NULL, &g->commands);
    if (result != VK_SUCCESS)
        return gpu_fail(g, result, "command pool", err);
    for (uint32_t i = 0; i < GPU_CMDS; i++) {
        if (!cmd_init(g, &g->cmd[i], err))
            return false;
    }
    return true;
}

void gpu_cmd_finish(struct gpu *g)
{
    for (uint32_t i = 0; i < GPU_CMDS; i++) {
        vkDestroyFence(g->vk, g->cmd[i].fence, NULL);
        vkDestroyDescriptorPool(g->vk, g->cmd[i].sets, NULL);
    }
    vkDestroyCommandPool(g->vk, g->commands, NULL);
}

void gpu_cmd_collect(struct gpu *g)
{
    for (uint32_t i = 0; i < GPU_CMDS; i++) {
        struct gpu_cmd *c = &g->cmd[i];
        if (c->pending && vkGetFenceStatus(g->vk, c->fence) == VK_SUCCESS) {
            c->pending = false;
            if (c->serial > g->done)
                g->done = c->serial;
        }
    }
    for (struct gpu_buf *b = g->doomed, *next; b; b = next) {
        next = b->next;
        if (!gpu_buf_is_used(b))
            gpu_buf_release(b);
    }
}

bool gpu_cmd_hangs(enum gpu_kind kind, double waited_s, double cpu_s)
{
    if (kind != GPU_CPU)
        return waited_s >= HANG_S;
    return cpu_s >= HANG_CPU_S || waited_s >= STARVED_S;
}

// Waits for one submission until the deadline; past it the gpu is failed.
static bool cmd_wait(struct gpu *g, struct gpu_cmd *c, struct err *err)
{
    const double end = g->deadline > 0 ? g->deadline : INFINITY;
    const double begun = clock_steady(), cpu_begun = clock_cpu();
    double now = begun;
    VkResult result;
    do {
        double left = fmax(0, fmin(LOOK_EVERY_S, end - now));
        result = vkWaitForFences(g->vk, 1, &c->fence, VK_TRUE, (uint64_t)(left * 1e9));
        now = clock_steady();
    } while (result == VK_TIMEOUT && now < end &&
             !gpu_cmd_hangs(g->device.kind, now - begun, clock_cpu() - cpu_begun));
    if (result == VK_TIMEOUT) {
        g->failed = true;
        return err_set(err, ERR_TIMEOUT, "%s: the work did not end in time", g->device.name);
    }
    if (result != VK_SUCCESS)
        return gpu_fail(g, result, "waiting", err);
    c->pending = false;
    if (c->serial > g->done)
        g->done = c->serial;
    return true;
}

static bool cmd_begin(struct gpu *g, struct gpu_cmd *c, struct err *err)
{
    if (c->pending && !cmd_wait(g, c, err))
        return false;
    gpu_cmd_collect(g);
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                      .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    VkResult result = vkResetFences(g->vk, 1, &c->fence);
    if (result == VK_SUCCESS && c->sets)
        result = vkResetDescriptorPool(g->vk, c->sets, 0);
    if (result == VK_SUCCESS)
        result = vkBeginCommandBuffer(c->vk, &begin);
    if (result != VK_SUCCESS)
        return gpu_fail(g, result, "recording", err);
    c->serial = g->serial;
    c->dispatches = 0;
    c->work = 0;
    g->open = c;
    // What earlier submissions wrote is made visible here, so that epochs need not outlive them.
    gpu_cmd_barrier(g);
    return true;
}

struct gpu_cmd *gpu_cmd_open(struct gpu *g, struct err *err)
{
    if (g->failed) {
        err_set(err, ERR_DEVICE, "%s has failed before", g->device.name);
        return NULL;
    }
    if (!gpu_cmd_in_time(g, err))
        return NULL;
    if (g->open &&
        (g->open->dispatches >= GPU_CMD_SETS ||
         g->open->work > CMD_WORK_LIMIT * gpu_work_limit(g)) &&
        !gpu_submit(g, err))
        return NULL;
    if (!g->open && !cmd_begin(g, &g->cmd[g->serial % GPU_CMDS], err))
        return NULL;
    return g->open;
}

void gpu_cmd_barrier(struct gpu *g)
{
    VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                               .srcAccessMask =
                                   VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                               .dstAccessMask = device_access};
    vkCmdPipelineBarrier(g->open->vk, device_stages, device_stages, 0, 1, &barrier, 0, NULL, 0,
                         NULL);
    g->epoch++;
}

bool gpu_cmd_hazard(struct gpu *g, const struct gpu_buf *b, bool writes)
{
    return b->write_epoch == g->epoch || (writes && b->read_epoch == g->epoch);
}

void gpu_cmd_touch(struct gpu *g, struct gpu_buf *b, bool reads, bool writes)
{
    b->last_serial = g->serial;
    if (reads)
        b->read_epoch = g->epoch;
    if (writes)
        b->write_epoch = g->epoch;
}

bool gpu_submit(struct gpu *g, struct err *err)
{
    if (g->failed)
        return err_set(err, ERR_DEVICE, "%s has failed before", g->device.name);
    if (!g->open)
        return true;
    struct gpu_cmd *c = g->open;
    g->open = NULL;
    g->serial++;
    // Whatever follows on the host may read what was written.
    VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                               .srcAccessMask =
                                   VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                               .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
    vkCmdPipelineBarrier(c->vk, device_stages, VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, NULL,
                         0, NULL);
    g->epoch++;
    VkSubmitInfo submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &c->vk};
    VkResult result = vkEndCommandBuffer(c->vk);
    if (result == VK_SUCCESS)
        result = vkQueueSubmit(g->queue, 1, &submit, c->fence);
    if (result != VK_SUCCESS) {
        // Nothing of it will ever run, and later work would build on what it should have made.
        g->failed = true;
        g->done = g->serial;
        return gpu_fail(g, result, "submitting", err);
    }
    c->pending = true;
    return true;
}

bool gpu_cmd_wait(struct gpu *g, uint64_t serial, struct err *err)
{
    if (serial <= g->done)
        return true;
    if (g->open && serial >= g->open->serial && !gpu_submit(g, err))
        return false;
    for (uint64_t s = g->done + 1; s <= serial && s < g->serial; s++) {
        struct gpu_cmd *c = &g->cmd[s % GPU_CMDS];
        if (c->pending && c->serial == s && !cmd_wait(g, c, err))
            return false;
    }
    return true;
}

bool gpu_finish(struct gpu *g, struct err *err)
{
    return gpu_submit(g, err) && gpu_cmd_wait(g, g->serial - 1, err);
}

bool gpu_cmd_idle(struct gpu *g, double seconds)
{
    VkFence fences[GPU_CMDS];
    uint32_t count = 0;
    for (uint32_t i = 0; i < GPU_CMDS; i++) {
        if (g->cmd[i].pending)
            fences[count++] = g->cmd[i].fence;
    }
    return !count ||
           vkWaitForFences(g->vk, count, fences, VK_TRUE, (uint64_t)(seconds * 1e9)) != VK_TIMEOUT;
}

void gpu_set_deadline(struct gpu *g, double monotonic_s)
{
    g->deadline = monotonic_s;
}
