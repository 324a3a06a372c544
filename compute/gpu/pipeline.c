#include "compute/gpu/pipeline.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compute/gpu/gpu_internal.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/uid.h"
#include "shaders/shaders.h"

#define TRIPS_MAX      60000u      // below the 65535 at which a software device ends loops
#define CACHE_LIMIT    (64u << 20) // bytes of a cache file worth reading
#define CPU_WORK_LIMIT (8ull << 20)
#define GPU_WORK_LIMIT (128ull << 20)

// What precedes the driver's data in a cache file; anything unexpected makes the file a miss.
struct cache_head {
    char magic[8]; // "ANODEPC1"
    char device[40];
    uint32_t driver_version, blob_size;
    uint8_t shaders[DIGEST_SIZE], blob[DIGEST_SIZE];
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

static bool cache_head_fill(const struct gpu *g, struct cache_head *head)
{
    memset(head, 0, sizeof *head);
    memcpy(head->magic, "ANODEPC1", sizeof head->magic);
    snprintf(head->device, sizeof head->device, "%s", g->device.uuid);
    head->driver_version = g->device.driver_version;
    struct digest *d = digest_create();
    if (!d)
        return false;
    for (size_t i = 0; i < shaders_count; i++) {
        digest_add_text(d, shaders_table[i].name);
        digest_add(d, shaders_table[i].words, shaders_table[i].size);
    }
    digest_end(d, head->shaders);
    digest_destroy(d);
    return true;
}

// The driver's data in a cache file's bytes, or NULL when it is not for this device and program.
static const char *cache_open(const struct gpu *g, const char *bytes, size_t size,
                              size_t *blob_size)
{
    struct cache_head want, have;
    uint8_t digest[DIGEST_SIZE];
    if (!bytes || size < sizeof have || !cache_head_fill(g, &want))
        return NULL;
    memcpy(&have, bytes, sizeof have);
    const char *blob = bytes + sizeof have;
    want.blob_size = have.blob_size;
    memcpy(want.blob, have.blob, sizeof want.blob);
    if (memcmp(&want, &have, sizeof have) != 0 || have.blob_size != size - sizeof have ||
        !digest_of(blob, have.blob_size, digest) || memcmp(digest, have.blob, DIGEST_SIZE) != 0)
        return NULL;
    *blob_size = have.blob_size;
    return blob;
}

static void cache_save(const struct gpu *g)
{
    size_t size = 0;
    struct cache_head head;
    struct err err = {0};
    if (!g->cache_path || !g->cache_dirty || !g->cache || g->failed ||
        vkGetPipelineCacheData(g->vk, g->cache, &size, NULL) != VK_SUCCESS || !size ||
        size > CACHE_LIMIT - sizeof head)
        return;
    char *bytes = malloc(sizeof head + size);
    if (bytes &&
        vkGetPipelineCacheData(g->vk, g->cache, &size, bytes + sizeof head) == VK_SUCCESS &&
        cache_head_fill(g, &head) && digest_of(bytes + sizeof head, size, head.blob)) {
        head.blob_size = (uint32_t)size;
        memcpy(bytes, &head, sizeof head);
        if (!fs_write_file(g->cache_path, bytes, sizeof head + size, &err))
            log_warn("pipeline cache not written: %s", err.text);
    }
    free(bytes);
}

bool pipeline_init(struct gpu *g, const char *cache_dir, struct err *err)
{
    char *bytes = NULL;
    const char *blob = NULL;
    size_t size = 0, blob_size = 0;
    if (cache_dir && *cache_dir) {
        if (asprintf(&g->cache_path, "%s/pipelines-%s-%08x", cache_dir, g->device.uuid,
                     g->device.driver_version) < 0) {
            g->cache_path = NULL;
            return err_set(err, ERR_NOMEM, "pipeline cache");
        }
        bytes = fs_read_file(g->cache_path, CACHE_LIMIT, &size, NULL);
        blob = cache_open(g, bytes, size, &blob_size);
        g->cache_dirty = !blob;
    }
    VkPipelineCacheCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
                                      .initialDataSize = blob_size,
                                      .pInitialData = blob};
    VkResult result = vkCreatePipelineCache(g->vk, &info, NULL, &g->cache);
    free(bytes);
    g->built = calloc(pipeline_count, sizeof *g->built);
    if (!g->built)
        return err_set(err, ERR_NOMEM, "pipelines");
    return result == VK_SUCCESS || gpu_fail(g, result, "pipeline cache", err);
}

void pipeline_finish(struct gpu *g)
{
    cache_save(g);
    for (size_t i = 0; g->built && i < pipeline_count; i++) {
        vkDestroyPipeline(g->vk, g->built[i].vk, NULL);
        vkDestroyPipelineLayout(g->vk, g->built[i].layout, NULL);
        vkDestroyDescriptorSetLayout(g->vk, g->built[i].set, NULL);
    }
    free(g->built);
    vkDestroyPipelineCache(g->vk, g->cache, NULL);
    free(g->cache_path);
}

static VkDescriptorType descriptor_type(enum pipeline_access access)
{
    return access == PIPELINE_TEXELS ? VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER
                                     : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
}

static VkResult build_layout(struct gpu *g, struct gpu_built *b)
{
    const struct pipeline *p = b->of;
    VkDescriptorSetLayoutBinding bindings[PIPELINE_BINDINGS_MAX];
    for (uint32_t i = 0; i < p->bindings; i++)
        bindings[i] =
            (VkDescriptorSetLayoutBinding){.binding = i,
                                           .descriptorType = descriptor_type(p->access[i]),
                                           .descriptorCount = 1,
                                           .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .flags = g->push_descriptors ? VK_DESCRIPTOR_SET_LAYOUT_CREATE_PUSH_DESCRIPTOR_BIT_KHR : 0,
        .bindingCount = p->bindings,
        .pBindings = bindings};
    VkResult result = vkCreateDescriptorSetLayout(g->vk, &set, NULL, &b->set);
    if (result != VK_SUCCESS)
        return result;
    VkPushConstantRange push = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .size = p->push_bytes};
    VkPipelineLayoutCreateInfo layout = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                         .setLayoutCount = 1,
                                         .pSetLayouts = &b->set,
                                         .pushConstantRangeCount = 1,
                                         .pPushConstantRanges = &push};
    return vkCreatePipelineLayout(g->vk, &layout, NULL, &b->layout);
}

static VkResult build_pipeline(struct gpu *g, struct gpu_built *b, const struct shader *shader)
{
    const struct pipeline *p = b->of;
    VkShaderModuleCreateInfo code = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                     .codeSize = shader->size,
                                     .pCode = shader->words};
    VkShaderModule module;
    VkResult result = vkCreateShaderModule(g->vk, &code, NULL, &module);
    if (result != VK_SUCCESS)
        return result;
    uint32_t values[3 + PIPELINE_CONSTANTS_MAX];
    VkSpecializationMapEntry entries[3 + PIPELINE_CONSTANTS_MAX];
    for (uint32_t i = 0; i < 3 + PIPELINE_CONSTANTS_MAX; i++) {
        values[i] = i < 3 ? p->group[i] : p->constants[i - 3];
        entries[i] = (VkSpecializationMapEntry){i, i * 4, 4};
    }
    VkSpecializationInfo special = {3 + PIPELINE_CONSTANTS_MAX, entries, sizeof values, values};
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = "main",
                  .pSpecializationInfo = &special},
        .layout = b->layout};
    result = vkCreateComputePipelines(g->vk, g->cache, 1, &info, NULL, &b->vk);
    vkDestroyShaderModule(g->vk, module, NULL);
    return result;
}

static int shader_order(const void *name, const void *row)
{
    return strcmp(name, ((const struct shader *)row)->name);
}

// The pipeline as this device runs it, built at its first use.
static const struct gpu_built *build(struct gpu *g, const struct pipeline *p, struct err *err)
{
    struct gpu_built *b = &g->built[p - pipeline_table];
    if (b->vk)
        return b;
    const struct shader *shader =
        bsearch(p->shader, shaders_table, shaders_count, sizeof *shaders_table, shader_order);
    if (!shader || p->push_bytes > PIPELINE_PUSH_MAX) {
        err_set(err, ERR_INTERNAL, "shader %s is not in the tables", p->shader);
        return NULL;
    }
    b->of = p;
    VkResult result = build_layout(g, b);
    if (result == VK_SUCCESS)
        result = build_pipeline(g, b, shader);
    if (result != VK_SUCCESS) {
        g->failed = true; // a half-built pipeline must not be used
        gpu_fail(g, result, p->shader, err);
        return NULL;
    }
    g->cache_dirty = true;
    return b;
}

uint64_t gpu_work_limit(const struct gpu *g)
{
    return g->device.kind == GPU_CPU ? CPU_WORK_LIMIT : GPU_WORK_LIMIT;
}

uint64_t gpu_bind_limit(const struct gpu *g, enum pipeline_access access)
{
    return access == PIPELINE_TEXELS ? g->max_texel_bytes : g->device.max_range_bytes;
}

static bool check_range(const struct gpu *g, const struct pipeline *p, uint32_t binding,
                        const struct gpu_range *r, struct err *err)
{
    bool texels = p->access[binding] == PIPELINE_TEXELS;
    uint64_t limit = gpu_bind_limit(g, p->access[binding]);
    if (r->offset % GPU_ALIGN || !r->size || r->size % (texels ? 16 : 4) ||
        r->offset > r->buf->size || r->size > r->buf->size - r->offset)
        return err_set(err, ERR_INTERNAL, "%s: binding %u is %" PRIu64 " bytes at %" PRIu64,
                       p->shader, binding, r->size, r->offset);
    if (r->size > limit)
        return err_set(err, ERR_UNSUPPORTED,
                       "%s: %" PRIu64 " bytes of %s, the device binds %" PRIu64, p->shader, r->size,
                       r->buf->name, limit);
    return true;
}

// Fills the descriptors of one dispatch.
static bool bind(struct gpu *g, struct gpu_cmd *cmd, const struct gpu_built *b,
                 const struct gpu_range *ranges, struct err *err)
{
    const struct pipeline *p = b->of;
    VkDescriptorSet set = VK_NULL_HANDLE;
    if (!g->push_descriptors) {
        VkDescriptorSetAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                            .descriptorPool = cmd->sets,
                                            .descriptorSetCount = 1,
                                            .pSetLayouts = &b->set};
        VkResult result = vkAllocateDescriptorSets(g->vk, &info, &set);
        if (result != VK_SUCCESS)
            return gpu_fail(g, result, "descriptors", err);
    }
    VkWriteDescriptorSet writes[PIPELINE_BINDINGS_MAX];
    VkDescriptorBufferInfo buffers[PIPELINE_BINDINGS_MAX];
    VkBufferView views[PIPELINE_BINDINGS_MAX];
    for (uint32_t i = 0; i < p->bindings; i++) {
        bool texels = p->access[i] == PIPELINE_TEXELS;
        if (texels) {
            views[i] = gpu_buf_view(ranges[i].buf, ranges[i].offset, ranges[i].size, err);
            if (!views[i])
                return false;
        }
        buffers[i] = (VkDescriptorBufferInfo){ranges[i].buf->vk, ranges[i].offset, ranges[i].size};
        writes[i] = (VkWriteDescriptorSet){.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                           .dstSet = set,
                                           .dstBinding = i,
                                           .descriptorCount = 1,
                                           .descriptorType = descriptor_type(p->access[i]),
                                           .pBufferInfo = texels ? NULL : &buffers[i],
                                           .pTexelBufferView = texels ? &views[i] : NULL};
    }
    if (g->push_descriptors) {
        g->push_descriptors(cmd->vk, VK_PIPELINE_BIND_POINT_COMPUTE, b->layout, 0, p->bindings,
                            writes);
    } else {
        vkUpdateDescriptorSets(g->vk, p->bindings, writes, 0, NULL);
        vkCmdBindDescriptorSets(cmd->vk, VK_PIPELINE_BIND_POINT_COMPUTE, b->layout, 0, 1, &set, 0,
                                NULL);
    }
    return true;
}

bool gpu_dispatch(struct gpu *g, const struct pipeline *p, const struct gpu_range *ranges,
                  const void *push, const uint32_t groups[3], uint64_t trips, uint64_t work,
                  struct err *err)
{
    if (trips > TRIPS_MAX)
        return err_set(err, ERR_INTERNAL, "%s: %" PRIu64 " loop iterations", p->shader, trips);
    for (int a = 0; a < 3; a++) {
        if (!groups[a] || groups[a] > g->max_groups[a])
            return err_set(err, ERR_UNSUPPORTED, "%s: %u groups", p->shader, groups[a]);
    }
    for (uint32_t i = 0; i < p->bindings; i++) {
        if (!check_range(g, p, i, &ranges[i], err))
            return false;
    }
    struct gpu_cmd *cmd = gpu_cmd_open(g, err);
    const struct gpu_built *b = cmd ? build(g, p, err) : NULL;
    if (!b)
        return false;
    bool hazard = false;
    for (uint32_t i = 0; i < p->bindings; i++)
        hazard |= gpu_cmd_hazard(g, ranges[i].buf, p->access[i] >= PIPELINE_OUT);
    if (hazard)
        gpu_cmd_barrier(g);
    vkCmdBindPipeline(cmd->vk, VK_PIPELINE_BIND_POINT_COMPUTE, b->vk);
    if (!bind(g, cmd, b, ranges, err))
        return false;
    vkCmdPushConstants(cmd->vk, b->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, p->push_bytes, push);
    vkCmdDispatch(cmd->vk, groups[0], groups[1], groups[2]);
    cmd->dispatches++;
    cmd->work += work;
    for (uint32_t i = 0; i < p->bindings; i++)
        gpu_cmd_touch(g, ranges[i].buf, p->access[i] != PIPELINE_OUT, p->access[i] >= PIPELINE_OUT);
    return true;
}

bool gpu_warm(struct gpu *g, struct err *err)
{
    static const uint8_t push[PIPELINE_PUSH_MAX]; // all sizes 0: every invocation leaves at once
    static const uint32_t groups[3] = {1, 1, 1};
    struct gpu_buf *b = gpu_buf_create(g, "warm", GPU_ALIGN, err);
    bool ok = b && gpu_buf_fill(b, 0, GPU_ALIGN, 0, err);
    struct gpu_range ranges[PIPELINE_BINDINGS_MAX];
    for (uint32_t i = 0; i < PIPELINE_BINDINGS_MAX; i++)
        ranges[i] = (struct gpu_range){b, 0, GPU_ALIGN};
    for (size_t i = 0; ok && i < pipeline_count; i++)
        ok = gpu_dispatch(g, &pipeline_table[i], ranges, push, groups, 0, 0, err);
    ok = ok && gpu_finish(g, err);
    gpu_buf_destroy(b);
    return ok || err_wrap(err, "warming up");
}
