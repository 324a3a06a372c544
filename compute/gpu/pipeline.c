#include "compute/gpu/pipeline.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compute/gpu/gpu_internal.h"
#include "compute/gpu/spirv.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/uid.h"

#define TRIPS_MAX      60000u      // below the 65535 at which a software device ends loops
#define CACHE_LIMIT    (64u << 20) // bytes of a cache file worth reading; a larger one starts anew
#define CPU_WORK_LIMIT (8ull << 20)
#define GPU_WORK_LIMIT (128ull << 20)

// ---- The driver's cache on disk ----

// What precedes the driver's data in a cache file; anything unexpected makes the file a miss. What
// shaders it is of is the driver's business: a new one leaves the others' entries as they are.
struct cache_head {
    char magic[8]; // "ANODEPC2"
    char device[40];
    uint32_t driver_version, blob_size;
    uint8_t blob[DIGEST_SIZE];
};

static bool digest_of(const void *data, size_t size, uint8_t out[DIGEST_SIZE])
{
    struct digest *d = digest_create();
    if (!d)
        return false;
    digest_add(d, data, size);
    digest_end(d, out);
    digest_destroy(d);
    return true;
}

static bool cache_head_fill(const struct gpu *g, const void *blob, size_t size,
                            struct cache_head *head)
{
    memset(head, 0, sizeof *head);
    memcpy(head->magic, "ANODEPC2", sizeof head->magic);
    snprintf(head->device, sizeof head->device, "%s", g->device.uuid);
    head->driver_version = g->device.driver_version;
    head->blob_size = (uint32_t)size;
    return digest_of(blob, size, head->blob);
}

// A cache of what the file holds, of nothing where it does not fit. False: the driver fails.
static bool cache_load(struct gpu *g, VkPipelineCache *cache, uint8_t digest[DIGEST_SIZE],
                       struct err *err)
{
    size_t size = 0, blob_size = 0;
    struct cache_head want, have;
    char *bytes = g->cache_path ? fs_read_file(g->cache_path, CACHE_LIMIT, &size, NULL) : NULL;
    memset(digest, 0, DIGEST_SIZE);
    if (bytes && size > sizeof have &&
        cache_head_fill(g, bytes + sizeof have, size - sizeof have, &want)) {
        memcpy(&have, bytes, sizeof have);
        if (memcmp(&want, &have, sizeof have) == 0) {
            blob_size = size - sizeof have;
            memcpy(digest, have.blob, DIGEST_SIZE);
        }
    }
    VkPipelineCacheCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
                                      .initialDataSize = blob_size,
                                      .pInitialData = blob_size ? bytes + sizeof have : NULL};
    VkResult result = vkCreatePipelineCache(g->vk, &info, NULL, cache);
    free(bytes);
    return result == VK_SUCCESS || gpu_fail(g, result, "pipeline cache", err);
}

// Writes the cache unless the file holds the same. Other processes write it too: what they have
// added since is taken in first, and the file is replaced as a whole.
static void cache_save(struct gpu *g)
{
    size_t size = 0;
    struct cache_head head;
    struct err err = {0};
    uint8_t digest[DIGEST_SIZE];
    VkPipelineCache others = VK_NULL_HANDLE;
    if (!g->cache_path || !g->cache_dirty || !g->cache || g->failed)
        return;
    if (cache_load(g, &others, digest, &err))
        vkMergePipelineCaches(g->vk, g->cache, 1, &others);
    vkDestroyPipelineCache(g->vk, others, NULL);
    if (vkGetPipelineCacheData(g->vk, g->cache, &size, NULL) != VK_SUCCESS || !size ||
        size > CACHE_LIMIT - sizeof head)
        return;
    char *bytes = malloc(sizeof head + size);
    if (bytes &&
        vkGetPipelineCacheData(g->vk, g->cache, &size, bytes + sizeof head) == VK_SUCCESS &&
        cache_head_fill(g, bytes + sizeof head, size, &head) &&
        memcmp(head.blob, digest, DIGEST_SIZE) != 0) {
        memcpy(bytes, &head, sizeof head);
        if (!fs_write_file(g->cache_path, bytes, sizeof head + size, &err))
            log_warn("pipeline cache not written: %s", err.text);
    }
    free(bytes);
}

bool pipeline_init(struct gpu *g, const char *cache_dir, struct err *err)
{
    uint8_t digest[DIGEST_SIZE];
    if (cache_dir && *cache_dir &&
        asprintf(&g->cache_path, "%s/pipelines-%s-%08x", cache_dir, g->device.uuid,
                 g->device.driver_version) < 0) {
        g->cache_path = NULL;
        return err_set(err, ERR_NOMEM, "pipeline cache");
    }
    return cache_load(g, &g->cache, digest, err);
}

// ---- Pipelines ----

static void pipeline_destroy(struct gpu *g, struct pipeline *p)
{
    if (!p)
        return;
    vkDestroyPipeline(g->vk, p->vk, NULL);
    vkDestroyPipelineLayout(g->vk, p->layout, NULL);
    vkDestroyDescriptorSetLayout(g->vk, p->set, NULL);
    free(p->words);
    free(p);
}

void pipeline_finish(struct gpu *g)
{
    cache_save(g);
    for (uint32_t i = 0; i < g->pipeline_room; i++)
        pipeline_destroy(g, g->pipelines[i]);
    free(g->pipelines);
    vkDestroyPipelineCache(g->vk, g->cache, NULL);
    free(g->cache_path);
}

static VkDescriptorType descriptor_type(enum kernel_access access)
{
    return gpu_reads_texels(access) ? VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER
                                    : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
}

static VkResult build_layout(struct gpu *g, struct pipeline *p)
{
    const struct kernel *k = &p->kernel;
    VkDescriptorSetLayoutBinding bindings[KERNEL_BINDINGS_MAX];
    for (uint32_t i = 0; i < k->bindings; i++)
        bindings[i] =
            (VkDescriptorSetLayoutBinding){.binding = i,
                                           .descriptorType = descriptor_type(k->access[i]),
                                           .descriptorCount = 1,
                                           .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .flags = g->push_descriptors ? VK_DESCRIPTOR_SET_LAYOUT_CREATE_PUSH_DESCRIPTOR_BIT_KHR : 0,
        .bindingCount = k->bindings,
        .pBindings = bindings};
    VkResult result = vkCreateDescriptorSetLayout(g->vk, &set, NULL, &p->set);
    if (result != VK_SUCCESS)
        return result;
    VkPushConstantRange push = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .size = k->push_bytes};
    VkPipelineLayoutCreateInfo layout = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                         .setLayoutCount = 1,
                                         .pSetLayouts = &p->set,
                                         .pushConstantRangeCount = k->push_bytes ? 1 : 0,
                                         .pPushConstantRanges = &push};
    return vkCreatePipelineLayout(g->vk, &layout, NULL, &p->layout);
}

static VkResult build_code(struct gpu *g, struct pipeline *p)
{
    enum { COUNT = 3 + KERNEL_CONSTANTS_MAX };
    const struct kernel *k = &p->kernel;
    VkShaderModuleCreateInfo code = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                     .codeSize = k->shader->size,
                                     .pCode = p->words};
    VkShaderModule module;
    VkResult result = vkCreateShaderModule(g->vk, &code, NULL, &module);
    if (result != VK_SUCCESS)
        return result;
    uint32_t values[COUNT];
    VkSpecializationMapEntry entries[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        values[i] = i < 3 ? k->group[i] : k->constants[i - 3];
        entries[i] = (VkSpecializationMapEntry){i, i * 4, 4};
    }
    VkSpecializationInfo special = {COUNT, entries, sizeof values, values};
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = "main",
                  .pSpecializationInfo = &special},
        .layout = p->layout};
    result = vkCreateComputePipelines(g->vk, g->cache, 1, &info, NULL, &p->vk);
    vkDestroyShaderModule(g->vk, module, NULL);
    return result;
}

// What a device must have for a kernel, and what kernel and shader must agree on.
static bool check_kernel(const struct gpu *g, const struct kernel *k, struct err *err)
{
    const char *name = k->shader->name;
    uint64_t size = 1;
    uint32_t texels = 0;
    if (k->bindings > KERNEL_BINDINGS_MAX || k->push_bytes > KERNEL_PUSH_MAX || k->push_bytes % 4)
        return err_set(err, ERR_INTERNAL, "shader %s: a kernel of %u bindings, %u push bytes", name,
                       k->bindings, k->push_bytes);
    for (int a = 0; a < 3; a++) {
        if (!k->group[a])
            return err_set(err, ERR_INTERNAL, "shader %s: an empty workgroup", name);
        size *= k->group[a];
        if (k->group[a] > g->limits.maxComputeWorkGroupSize[a] ||
            size > g->limits.maxComputeWorkGroupInvocations)
            return err_set(err, ERR_UNSUPPORTED,
                           "%s: shader %s: workgroups of %u x %u x %u, the device has %u",
                           g->device.name, name, k->group[0], k->group[1], k->group[2],
                           g->limits.maxComputeWorkGroupInvocations);
    }
    for (uint32_t i = 0; i < k->bindings; i++)
        texels += gpu_reads_texels(k->access[i]);
    if (texels > g->limits.maxPerStageDescriptorSampledImages ||
        k->bindings - texels > g->limits.maxPerStageDescriptorStorageBuffers ||
        k->bindings > g->limits.maxPerStageResources)
        return err_set(err, ERR_UNSUPPORTED,
                       "%s: shader %s: %u texel and %u storage buffers are too many",
                       g->device.name, name, texels, k->bindings - texels);
    return spirv_check(k, err);
}

static bool pipeline_fail(struct gpu *g, const struct kernel *k, VkResult result, struct err *err)
{
    if (result == VK_ERROR_DEVICE_LOST || result == VK_ERROR_OUT_OF_DEVICE_MEMORY ||
        result == VK_ERROR_OUT_OF_HOST_MEMORY)
        return gpu_fail(g, result, k->shader->name, err);
    return err_set(err, ERR_UNSUPPORTED, "%s: shader %s: %s (%d)", g->device.name, k->shader->name,
                   gpu_result_name(result), (int)result);
}

static struct pipeline *pipeline_create(struct gpu *g, const struct kernel *k, struct err *err)
{
    if (!check_kernel(g, k, err))
        return NULL;
    struct pipeline *p = calloc(1, sizeof *p);
    if (p)
        p->words = malloc(k->shader->size);
    if (!p || !p->words) {
        err_set(err, ERR_NOMEM, "shader %s", k->shader->name);
        free(p);
        return NULL;
    }
    memcpy(p->words, k->shader->words, k->shader->size);
    p->kernel = *k;
    p->size = k->shader->size;
    VkResult result = build_layout(g, p);
    if (result == VK_SUCCESS)
        result = build_code(g, p);
    p->kernel.shader = NULL; // the caller's, who may take it back
    if (result == VK_SUCCESS) {
        g->cache_dirty = true;
        return p;
    }
    pipeline_fail(g, k, result, err);
    pipeline_destroy(g, p);
    return NULL;
}

// A number that equal kernels share and others seldom do: not of all words, as those are compared.
static uint64_t kernel_hash(const struct kernel *k)
{
    enum { LAST = 32 };
    const uint32_t fixed[] = {k->group[0],   k->group[1], k->group[2],
                              k->push_bytes, k->bindings, (uint32_t)k->shader->size};
    size_t count = k->shader->size / sizeof(uint32_t), first = count > LAST ? count - LAST : 0;
    uint64_t h = 14695981039346656037u; // FNV-1a over 32-bit words
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        h = (h ^ fixed[i]) * 1099511628211u;
    for (size_t i = 0; i < KERNEL_CONSTANTS_MAX; i++)
        h = (h ^ k->constants[i]) * 1099511628211u;
    for (size_t i = first; i < count; i++)
        h = (h ^ k->shader->words[i]) * 1099511628211u;
    return h ^ h >> 32;
}

static bool is_of(const struct pipeline *p, uint64_t hash, const struct kernel *k)
{
    const struct kernel *o = &p->kernel;
    return p->hash == hash && p->size == k->shader->size && o->push_bytes == k->push_bytes &&
           o->bindings == k->bindings && memcmp(o->group, k->group, sizeof o->group) == 0 &&
           memcmp(o->constants, k->constants, sizeof o->constants) == 0 &&
           memcmp(o->access, k->access, k->bindings * sizeof *o->access) == 0 &&
           memcmp(p->words, k->shader->words, p->size) == 0;
}

// The slot of a kernel's pipeline, or the empty one where it belongs.
static struct pipeline **slot_of(struct pipeline **slots, uint32_t room, uint64_t hash,
                                 const struct kernel *k)
{
    uint32_t i = (uint32_t)hash & (room - 1);
    while (slots[i] && !(k && is_of(slots[i], hash, k)))
        i = (i + 1) & (room - 1);
    return &slots[i];
}

// Keeps at least half of the slots empty.
static bool pipelines_reserve(struct gpu *g, struct err *err)
{
    if (2 * (g->pipeline_count + 1) <= g->pipeline_room)
        return true;
    uint32_t room = g->pipeline_room ? 2 * g->pipeline_room : 64;
    struct pipeline **slots = calloc(room, sizeof *slots);
    if (!slots)
        return err_set(err, ERR_NOMEM, "pipelines");
    for (uint32_t i = 0; i < g->pipeline_room; i++) {
        if (g->pipelines[i])
            *slot_of(slots, room, g->pipelines[i]->hash, NULL) = g->pipelines[i];
    }
    free(g->pipelines);
    g->pipelines = slots;
    g->pipeline_room = room;
    return true;
}

// The pipeline of a kernel, made where there is none yet.
static const struct pipeline *pipeline_of(struct gpu *g, const struct kernel *k, struct err *err)
{
    if (!k->shader || k->bindings > KERNEL_BINDINGS_MAX) {
        err_set(err, ERR_INTERNAL, "a kernel of %u bindings%s", k->bindings,
                k->shader ? "" : " without a shader");
        return NULL;
    }
    if (!pipelines_reserve(g, err))
        return NULL;
    uint64_t hash = kernel_hash(k);
    struct pipeline **slot = slot_of(g->pipelines, g->pipeline_room, hash, k);
    if (!*slot && (*slot = pipeline_create(g, k, err))) {
        (*slot)->hash = hash;
        g->pipeline_count++;
    }
    return *slot;
}

// ---- Dispatches ----

uint64_t gpu_work_limit(const struct gpu *g)
{
    return g->device.kind == GPU_CPU ? CPU_WORK_LIMIT : GPU_WORK_LIMIT;
}

uint64_t gpu_bind_limit(const struct gpu *g, enum kernel_access access)
{
    return access == KERNEL_TEXELS  ? g->max_texel_bytes
           : access == KERNEL_WORDS ? g->max_word_bytes
                                    : g->device.max_range_bytes;
}

static bool check_range(const struct gpu *g, const struct kernel *k, uint32_t binding,
                        const struct gpu_range *r, struct err *err)
{
    const enum kernel_access access = k->access[binding];
    uint64_t limit = gpu_bind_limit(g, access);
    if (r->offset % GPU_ALIGN || !r->size || r->size % (access == KERNEL_TEXELS ? 16 : 4) ||
        r->offset > r->buf->size || r->size > r->buf->size - r->offset)
        return err_set(err, ERR_INTERNAL, "%s: binding %u is %" PRIu64 " bytes at %" PRIu64,
                       k->shader->name, binding, r->size, r->offset);
    if (r->size > limit)
        return err_set(err, ERR_UNSUPPORTED,
                       "%s: %" PRIu64 " bytes of %s, the device binds %" PRIu64, k->shader->name,
                       r->size, r->buf->name, limit);
    return true;
}

// Fills the descriptors of one dispatch.
static bool bind(struct gpu *g, struct gpu_cmd *cmd, const struct pipeline *p,
                 const struct gpu_range *ranges, struct err *err)
{
    const struct kernel *k = &p->kernel;
    if (!k->bindings)
        return true;
    VkDescriptorSet set = VK_NULL_HANDLE;
    if (!g->push_descriptors) {
        VkDescriptorSetAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                            .descriptorPool = cmd->sets,
                                            .descriptorSetCount = 1,
                                            .pSetLayouts = &p->set};
        VkResult result = vkAllocateDescriptorSets(g->vk, &info, &set);
        if (result != VK_SUCCESS)
            return gpu_fail(g, result, "descriptors", err);
    }
    VkWriteDescriptorSet writes[KERNEL_BINDINGS_MAX];
    VkDescriptorBufferInfo buffers[KERNEL_BINDINGS_MAX];
    VkBufferView views[KERNEL_BINDINGS_MAX];
    for (uint32_t i = 0; i < k->bindings; i++) {
        bool texels = gpu_reads_texels(k->access[i]);
        if (texels) {
            views[i] =
                gpu_buf_view(ranges[i].buf, k->access[i], ranges[i].offset, ranges[i].size, err);
            if (!views[i])
                return false;
        }
        buffers[i] = (VkDescriptorBufferInfo){ranges[i].buf->vk, ranges[i].offset, ranges[i].size};
        writes[i] = (VkWriteDescriptorSet){.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                           .dstSet = set,
                                           .dstBinding = i,
                                           .descriptorCount = 1,
                                           .descriptorType = descriptor_type(k->access[i]),
                                           .pBufferInfo = texels ? NULL : &buffers[i],
                                           .pTexelBufferView = texels ? &views[i] : NULL};
    }
    if (g->push_descriptors) {
        g->push_descriptors(cmd->vk, VK_PIPELINE_BIND_POINT_COMPUTE, p->layout, 0, k->bindings,
                            writes);
    } else {
        vkUpdateDescriptorSets(g->vk, k->bindings, writes, 0, NULL);
        vkCmdBindDescriptorSets(cmd->vk, VK_PIPELINE_BIND_POINT_COMPUTE, p->layout, 0, 1, &set, 0,
                                NULL);
    }
    return true;
}

bool gpu_dispatch(struct gpu *g, const struct kernel *k, const struct gpu_range *ranges,
                  const void *push, const uint32_t groups[3], uint64_t trips, uint64_t work,
                  struct err *err)
{
    if (g->failed)
        return err_set(err, ERR_DEVICE, "%s has failed before", g->device.name);
    const struct pipeline *p = pipeline_of(g, k, err);
    if (!p)
        return false;
    if (trips > TRIPS_MAX)
        return err_set(err, ERR_INTERNAL, "%s: %" PRIu64 " loop iterations", k->shader->name,
                       trips);
    for (int a = 0; a < 3; a++) {
        if (!groups[a] || groups[a] > g->limits.maxComputeWorkGroupCount[a])
            return err_set(err, ERR_UNSUPPORTED, "%s: %u groups", k->shader->name, groups[a]);
    }
    for (uint32_t i = 0; i < k->bindings; i++) {
        if (!check_range(g, k, i, &ranges[i], err))
            return false;
    }
    struct gpu_cmd *cmd = gpu_cmd_open(g, err);
    if (!cmd)
        return false;
    bool hazard = false;
    for (uint32_t i = 0; i < k->bindings; i++)
        hazard |= gpu_cmd_hazard(g, ranges[i].buf, k->access[i] >= KERNEL_OUT);
    if (hazard)
        gpu_cmd_barrier(g);
    vkCmdBindPipeline(cmd->vk, VK_PIPELINE_BIND_POINT_COMPUTE, p->vk);
    if (!bind(g, cmd, p, ranges, err))
        return false;
    if (k->push_bytes)
        vkCmdPushConstants(cmd->vk, p->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, k->push_bytes, push);
    vkCmdDispatch(cmd->vk, groups[0], groups[1], groups[2]);
    cmd->dispatches++;
    cmd->work += work;
    for (uint32_t i = 0; i < k->bindings; i++)
        gpu_cmd_touch(g, ranges[i].buf, k->access[i] != KERNEL_OUT, k->access[i] >= KERNEL_OUT);
    return true;
}

// Runs one group that has nothing to do.
static bool warm(struct gpu *g, const struct kernel *k, struct gpu_buf *b, struct err *err)
{
    static const uint8_t push[KERNEL_PUSH_MAX]; // all sizes 0: every invocation leaves at once
    static const uint32_t groups[3] = {1, 1, 1};
    struct gpu_range ranges[KERNEL_BINDINGS_MAX];
    for (uint32_t i = 0; i < KERNEL_BINDINGS_MAX; i++)
        ranges[i] = (struct gpu_range){b, 0, GPU_ALIGN};
    return gpu_dispatch(g, k, ranges, push, groups, 0, 0, err);
}

bool gpu_prepare(struct gpu *g, const struct kernel *const *list, size_t count, struct err *err)
{
    struct err later = {0};
    if (g->failed)
        return err_set(err, ERR_DEVICE, "%s has failed before", g->device.name);
    struct gpu_buf *b = NULL;
    bool runs = g->device.kind == GPU_CPU, ok = true;
    if (runs) {
        b = gpu_buf_create(g, "warm", GPU_ALIGN, err);
        ok = b && gpu_buf_fill(b, 0, GPU_ALIGN, 0, err);
    }
    bool ready = ok;
    for (size_t i = 0; ready && i < count; i++) {
        struct err *e = ok ? err : &later;
        ok &= runs ? warm(g, list[i], b, e) : pipeline_of(g, list[i], e) != NULL;
    }
    ok &= !ready || gpu_finish(g, ok ? err : &later);
    gpu_buf_destroy(b);
    return ok || err_wrap(err, "preparing");
}
