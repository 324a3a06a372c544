// Device memory: few large blocks, first fit with neighbours joined. Empty blocks are kept for the
// next analysis, since fresh pages are what allocation costs on a software device.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/pages.h"
#include "compute/gpu/gpu_internal.h"
#include "base/log.h"

#define BLOCK_BYTES      (16ull << 20)
#define BLOCK_KEEP_BYTES (128ull << 20) // empty blocks kept, together

static const VkBufferUsageFlags usage =
    VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT |
    VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;

// Picks the memory type with all of `need` and most of `like` (in order of worth); -1: none.
static int pick_type(const VkPhysicalDeviceMemoryProperties *props, uint32_t bits,
                     VkMemoryPropertyFlags need, const VkMemoryPropertyFlags like[2])
{
    int best = -1, best_score = -1;
    for (uint32_t i = 0; i < props->memoryTypeCount; i++) {
        VkMemoryPropertyFlags flags = props->memoryTypes[i].propertyFlags;
        if (!(bits & 1u << i) || (flags & need) != need)
            continue;
        int score = (flags & like[0] ? 2 : 0) + (flags & like[1] ? 1 : 0);
        if (score > best_score) {
            best = (int)i;
            best_score = score;
        }
    }
    return best;
}

// The memory types a buffer of ours can lie in: the same for all sizes, as usage and flags are.
static bool probe_types(struct gpu *g, struct err *err)
{
    VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = GPU_ALIGN, .usage = usage};
    VkBuffer probe;
    VkResult result = vkCreateBuffer(g->vk, &info, NULL, &probe);
    if (result != VK_SUCCESS)
        return gpu_fail(g, result, "buffer", err);
    VkMemoryRequirements need;
    vkGetBufferMemoryRequirements(g->vk, probe, &need);
    vkDestroyBuffer(g->vk, probe, NULL);
    g->memory.type_bits = need.memoryTypeBits;
    return true;
}

bool gpu_memory_init(struct gpu *g, const struct gpu_options *options, struct err *err)
{
    struct gpu_memory *m = &g->memory;
    m->limit = options->memory_limit ? options->memory_limit : UINT64_MAX;
    m->max_alloc = g->device.max_alloc_bytes;
    if (!probe_types(g, err))
        return false;

    VkPhysicalDeviceMemoryProperties props;
    vkGetPhysicalDeviceMemoryProperties(g->physical, &props);
    const VkMemoryPropertyFlags host[2] = {VK_MEMORY_PROPERTY_HOST_CACHED_BIT,
                                           VK_MEMORY_PROPERTY_HOST_COHERENT_BIT};
    const VkMemoryPropertyFlags none[2] = {0, 0};
    int device = -1;
    if (g->device.in_place)
        device = pick_type(
            &props, m->type_bits,
            VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT, host);
    g->device.in_place = device >= 0;
    if (device < 0)
        device = pick_type(&props, m->type_bits, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, none);
    int staging = pick_type(&props, m->type_bits, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT, host);
    if (device < 0 || staging < 0)
        return err_set(err, ERR_UNSUPPORTED, "%s: no memory type for buffers", g->device.name);

    m->type[GPU_POOL_DEVICE] = (uint32_t)device;
    m->type[GPU_POOL_HOST] = (uint32_t)staging;
    m->mapped[GPU_POOL_DEVICE] = g->device.in_place;
    m->mapped[GPU_POOL_HOST] = true;
    for (int pool = 0; pool < GPU_POOLS; pool++)
        m->coherent[pool] =
            props.memoryTypes[m->type[pool]].propertyFlags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    return true;
}

static void block_destroy(struct gpu *g, struct gpu_block *b)
{
    if (!b)
        return;
    vkFreeMemory(g->vk, b->memory, NULL); // unmaps
    free(b->holes);
    free(b);
}

static bool block_is_empty(const struct gpu_block *b)
{
    return b->hole_count == 1 && b->holes[0].size == b->size;
}

// Gives empty blocks back to the driver until at most keep bytes of them are left.
static void trim(struct gpu *g, enum gpu_pool pool, uint64_t keep)
{
    struct gpu_memory *m = &g->memory;
    uint64_t empty = 0;
    uint32_t left = 0;
    for (uint32_t i = 0; i < m->block_count[pool]; i++) {
        struct gpu_block *b = m->blocks[pool][i];
        if (block_is_empty(b) && empty + b->size > keep) {
            block_destroy(g, b);
        } else {
            if (block_is_empty(b))
                empty += b->size;
            m->blocks[pool][left++] = b;
        }
    }
    m->block_count[pool] = left;
}

void gpu_memory_finish(struct gpu *g)
{
    for (int pool = 0; pool < GPU_POOLS; pool++) {
        trim(g, pool, 0);
        free(g->memory.blocks[pool]);
    }
}

static bool block_map(struct gpu *g, struct gpu_block *b, struct err *err)
{
    void *mapped;
    VkResult result = vkMapMemory(g->vk, b->memory, 0, b->size, 0, &mapped);
    if (result != VK_SUCCESS)
        return gpu_fail(g, result, "mapping memory", err);
    b->mapped = mapped;
    if (g->device.kind == GPU_CPU) // it is plain memory of this process
        pages_advise(mapped, b->size);
    return true;
}

static VkResult allocate(struct gpu *g, enum gpu_pool pool, uint64_t size, VkDeviceMemory *memory)
{
    VkMemoryAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                 .allocationSize = size,
                                 .memoryTypeIndex = g->memory.type[pool]};
    VkResult result = vkAllocateMemory(g->vk, &info, NULL, memory);
    if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY) {
        trim(g, GPU_POOL_DEVICE, 0);
        trim(g, GPU_POOL_HOST, 0);
        result = vkAllocateMemory(g->vk, &info, NULL, memory);
    }
    return result;
}

// A new block with room for size bytes, all of it one hole.
static struct gpu_block *block_create(struct gpu *g, enum gpu_pool pool, uint64_t size,
                                      struct err *err)
{
    struct gpu_memory *m = &g->memory;
    uint64_t room = size < BLOCK_BYTES / 2 ? BLOCK_BYTES : size;
    if (room > m->max_alloc)
        room = size;
    // None of the empty ones has the room, and what they would hold this one holds later.
    if (room > BLOCK_BYTES)
        trim(g, pool, 0);
    struct gpu_block **grown = realloc(m->blocks[pool], (m->block_count[pool] + 1) * sizeof *grown);
    if (grown)
        m->blocks[pool] = grown;
    struct gpu_block *b = calloc(1, sizeof *b);
    if (b)
        b->holes = malloc(4 * sizeof *b->holes);
    if (!grown || !b || !b->holes) {
        err_set(err, ERR_NOMEM, "no memory for a block of %" PRIu64 " bytes", room);
        goto failed;
    }
    VkResult result = allocate(g, pool, room, &b->memory);
    if (result != VK_SUCCESS) {
        gpu_fail(g, result, "allocating memory", err);
        goto failed;
    }
    b->size = room;
    b->hole_room = 4;
    b->hole_count = 1;
    b->holes[0] = (struct gpu_hole){0, room};
    if (m->mapped[pool] && !block_map(g, b, err))
        goto failed;
    m->blocks[pool][m->block_count[pool]++] = b;
    return b;
failed:
    if (b && b->memory)
        vkFreeMemory(g->vk, b->memory, NULL);
    if (b)
        free(b->holes);
    free(b);
    return NULL;
}

// Takes size bytes out of the first hole they fit in.
static bool block_take(struct gpu_block *b, uint64_t size, uint64_t *offset)
{
    for (uint32_t i = 0; i < b->hole_count; i++) {
        struct gpu_hole *hole = &b->holes[i];
        if (hole->size < size)
            continue;
        *offset = hole->offset;
        b->taken++;
        hole->offset += size;
        hole->size -= size;
        if (!hole->size) {
            memmove(hole, hole + 1, (b->hole_count - i - 1) * sizeof *hole);
            b->hole_count--;
        }
        return true;
    }
    return false;
}

// Makes sure that block_give(), which must not fail, finds room when one more buffer is in the
// block and all of them are given back in any order: holes lie before, between and behind those
// left.
static bool block_reserve(struct gpu_block *b)
{
    if (b->taken + 2 <= b->hole_room)
        return true;
    struct gpu_hole *grown = realloc(b->holes, 2ul * b->hole_room * sizeof *grown);
    if (!grown)
        return false;
    b->holes = grown;
    b->hole_room *= 2;
    return true;
}

static void block_give(struct gpu_block *b, uint64_t offset, uint64_t size)
{
    uint32_t i = 0;
    b->taken--;
    while (i < b->hole_count && b->holes[i].offset < offset)
        i++;
    bool joins_before = i > 0 && b->holes[i - 1].offset + b->holes[i - 1].size == offset;
    bool joins_after = i < b->hole_count && offset + size == b->holes[i].offset;
    if (joins_before && joins_after) {
        b->holes[i - 1].size += size + b->holes[i].size;
        memmove(&b->holes[i], &b->holes[i + 1], (b->hole_count - i - 1) * sizeof *b->holes);
        b->hole_count--;
    } else if (joins_before) {
        b->holes[i - 1].size += size;
    } else if (joins_after) {
        b->holes[i].offset = offset;
        b->holes[i].size += size;
    } else {
        memmove(&b->holes[i + 1], &b->holes[i], (b->hole_count - i) * sizeof *b->holes);
        b->holes[i] = (struct gpu_hole){offset, size};
        b->hole_count++;
    }
}

// Finds memory for b: in a block there is, or a new one.
static bool take(struct gpu_buf *b, struct err *err)
{
    struct gpu_memory *m = &b->gpu->memory;
    for (uint32_t i = 0; i < m->block_count[b->pool]; i++) {
        struct gpu_block *block = m->blocks[b->pool][i];
        // Small things in large empty blocks would keep the large ones from being used again.
        if (block_is_empty(block) && block->size > BLOCK_BYTES && b->held < block->size / 2)
            continue;
        if (block_reserve(block) && block_take(block, b->held, &b->offset)) {
            b->block = block;
            return true;
        }
    }
    b->block = block_create(b->gpu, b->pool, b->held, err);
    if (!b->block)
        return false;
    bool fits = block_take(b->block, b->held, &b->offset);
    return fits || err_set(err, ERR_INTERNAL, "a new block is too small");
}

static void link_to(struct gpu_buf *b, struct gpu_buf **list)
{
    b->next = *list;
    b->prev = list;
    if (b->next)
        b->next->prev = &b->next;
    *list = b;
}

static void unlink_from(struct gpu_buf *b)
{
    if (!b->prev)
        return;
    *b->prev = b->next;
    if (b->next)
        b->next->prev = b->prev;
    b->prev = NULL;
}

static bool buf_bind(struct gpu_buf *b, struct err *err)
{
    struct gpu *g = b->gpu;
    VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = b->held, .usage = usage};
    VkResult result = vkCreateBuffer(g->vk, &info, NULL, &b->vk);
    if (result != VK_SUCCESS)
        return gpu_fail(g, result, "buffer", err);
    VkMemoryRequirements need;
    vkGetBufferMemoryRequirements(g->vk, b->vk, &need);
    if (need.alignment > GPU_ALIGN || need.memoryTypeBits != g->memory.type_bits)
        return err_set(err, ERR_UNSUPPORTED, "%s: buffers need alignment %" PRIu64, g->device.name,
                       (uint64_t)need.alignment);
    b->held = (need.size + GPU_ALIGN - 1) / GPU_ALIGN * GPU_ALIGN;
    if (!take(b, err))
        return false;
    g->memory.used += b->held;
    if (g->memory.used > g->memory.peak)
        g->memory.peak = g->memory.used;
    result = vkBindBufferMemory(g->vk, b->vk, b->block->memory, b->offset);
    if (result != VK_SUCCESS)
        return gpu_fail(g, result, "binding memory", err);
    b->mapped = b->block->mapped ? b->block->mapped + b->offset : NULL;
    return true;
}

static struct gpu_buf *buf_create(struct gpu *g, enum gpu_pool pool, const char *name,
                                  uint64_t size, struct err *err)
{
    if (g->failed) {
        err_set(err, ERR_DEVICE, "%s has failed before", g->device.name);
        return NULL;
    }
    if (!size || size > g->memory.max_alloc - 2ull * GPU_ALIGN) {
        err_set(err, size ? ERR_UNSUPPORTED : ERR_INPUT, "%s: a buffer of %" PRIu64 " bytes", name,
                size);
        return NULL;
    }
    size = (size + GPU_ALIGN - 1) / GPU_ALIGN * GPU_ALIGN;
    gpu_cmd_collect(g);
    if (size > g->memory.limit || g->memory.used > g->memory.limit - size) {
        err_set(err, ERR_NOMEM,
                "%s: %" PRIu64 " bytes more than the %" PRIu64 " in use are over the limit", name,
                size, g->memory.used);
        return NULL;
    }
    struct gpu_buf *b = calloc(1, sizeof *b);
    if (!b) {
        err_set(err, ERR_NOMEM, "%s", name);
        return NULL;
    }
    b->gpu = g;
    b->pool = pool;
    b->size = size;
    // The software device compiles a shader once more for texels in a buffer of 2^n bytes: none is.
    b->held = size;
    while (!(b->held & (b->held - 1)))
        b->held += GPU_ALIGN;
    link_to(b, &g->bufs);
    if (!buf_bind(b, err)) {
        err_wrap(err, "%s", name);
        gpu_buf_release(b);
        return NULL;
    }
    return b;
}

struct gpu_buf *gpu_buf_create(struct gpu *g, const char *name, uint64_t size, struct err *err)
{
    return buf_create(g, GPU_POOL_DEVICE, name, size, err);
}

void gpu_buf_release(struct gpu_buf *b)
{
    struct gpu *g = b->gpu;
    unlink_from(b);
    for (uint32_t i = 0; i < b->view_count; i++)
        vkDestroyBufferView(g->vk, b->views[i].view, NULL);
    free(b->views);
    vkDestroyBuffer(g->vk, b->vk, NULL);
    if (b->block) {
        block_give(b->block, b->offset, b->held);
        g->memory.used -= b->held;
        if (block_is_empty(b->block))
            trim(g, b->pool, BLOCK_KEEP_BYTES);
    }
    free(b);
}

bool gpu_buf_is_used(const struct gpu_buf *b)
{
    return b->last_serial > b->gpu->done;
}

void gpu_buf_destroy(struct gpu_buf *b)
{
    if (!b)
        return;
    if (!gpu_buf_is_used(b)) {
        gpu_buf_release(b);
        return;
    }
    unlink_from(b);
    link_to(b, &b->gpu->doomed);
}

uint64_t gpu_buf_size(const struct gpu_buf *b)
{
    return b->size;
}

uint64_t gpu_used_bytes(const struct gpu *g)
{
    return g->memory.used;
}

uint64_t gpu_peak_bytes(const struct gpu *g)
{
    return g->memory.peak;
}

void gpu_reset_peak(struct gpu *g)
{
    g->memory.peak = g->memory.used;
}

VkBufferView gpu_buf_view(struct gpu_buf *b, enum kernel_access access, uint64_t offset,
                          uint64_t size, struct err *err)
{
    for (uint32_t i = 0; i < b->view_count; i++) {
        const struct gpu_view *v = &b->views[i];
        if (v->access == access && v->offset == offset && v->size == size)
            return v->view;
    }
    if (b->view_count == GPU_VIEWS_MAX) {
        err_set(err, ERR_UNSUPPORTED, "%s: more than %u parts", b->name, GPU_VIEWS_MAX);
        return VK_NULL_HANDLE;
    }
    struct gpu_view *grown = realloc(b->views, (b->view_count + 1ul) * sizeof *grown);
    if (!grown) {
        err_set(err, ERR_NOMEM, "%s: view", b->name);
        return VK_NULL_HANDLE;
    }
    b->views = grown;
    VkBufferViewCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
                                   .buffer = b->vk,
                                   .format = access == KERNEL_TEXELS ? VK_FORMAT_R32G32B32A32_UINT
                                                                     : VK_FORMAT_R32_UINT,
                                   .offset = offset,
                                   .range = size};
    struct gpu_view *v = &b->views[b->view_count];
    *v = (struct gpu_view){.access = access, .offset = offset, .size = size};
    VkResult result = vkCreateBufferView(b->gpu->vk, &info, NULL, &v->view);
    if (result != VK_SUCCESS) {
        gpu_fail(b->gpu, result, "texel view", err);
        return VK_NULL_HANDLE;
    }
    b->view_count++;
    return v->view;
}

// ---- Transfers ----

static bool in_range(const struct gpu_buf *b, uint64_t offset, uint64_t size, struct err *err)
{
    if (offset <= b->size && size <= b->size - offset)
        return true;
    return err_set(err, ERR_INTERNAL, "%s: %" PRIu64 " bytes at %" PRIu64 " of %" PRIu64, b->name,
                   size, offset, b->size);
}

// Makes host writes visible to the device, or device writes to the host, in mapped memory that is
// not coherent. Buffers start and end at multiples of any nonCoherentAtomSize.
static bool sync_mapped(struct gpu_buf *b, uint64_t offset, uint64_t size, bool to_device,
                        struct err *err)
{
    struct gpu *g = b->gpu;
    if (g->memory.coherent[b->pool] || !size)
        return true;
    uint64_t first = (b->offset + offset) / GPU_ALIGN * GPU_ALIGN;
    uint64_t end = (b->offset + offset + size + GPU_ALIGN - 1) / GPU_ALIGN * GPU_ALIGN;
    VkMappedMemoryRange range = {.sType = VK_STRUCTURE_TYPE_MAPPED_MEMORY_RANGE,
                                 .memory = b->block->memory,
                                 .offset = first,
                                 .size = end - first};
    VkResult result = to_device ? vkFlushMappedMemoryRanges(g->vk, 1, &range)
                                : vkInvalidateMappedMemoryRanges(g->vk, 1, &range);
    return result == VK_SUCCESS || gpu_fail(g, result, "host access", err);
}

// What a transfer from the host holds: rows that are packed there, and pitched on the device.
struct rows {
    const uint8_t *data;
    uint64_t row, pitch; // bytes
};

// Writes bytes first..first + size of the pitched form to out.
static void rows_copy(const struct rows *r, uint64_t first, uint64_t size, uint8_t *out)
{
    if (r->row == r->pitch) {
        memcpy(out, r->data + first, size);
        return;
    }
    while (size) {
        uint64_t index = first / r->pitch, at = first % r->pitch;
        uint64_t part = at < r->row ? r->row - at : r->pitch - at;
        if (part > size)
            part = size;
        if (at < r->row)
            memcpy(out, r->data + index * r->row + at, part);
        else
            memset(out, 0, part);
        out += part;
        first += part;
        size -= part;
    }
}

static bool staging_open(struct gpu *g, struct err *err)
{
    if (!g->staging)
        g->staging =
            buf_create(g, GPU_POOL_HOST, "staging", GPU_STAGING_SLOTS * GPU_STAGING_BYTES, err);
    return g->staging != NULL;
}

// Records a copy between b and a staging slot.
static bool staging_record(struct gpu_buf *b, uint64_t offset, uint32_t slot, uint64_t size,
                           bool to_device, struct err *err)
{
    struct gpu *g = b->gpu;
    struct gpu_cmd *cmd = gpu_cmd_open(g, err);
    if (!cmd)
        return false;
    if (gpu_cmd_hazard(g, b, to_device))
        gpu_cmd_barrier(g);
    VkBufferCopy copy = {.srcOffset = to_device ? slot * GPU_STAGING_BYTES : offset,
                         .dstOffset = to_device ? offset : slot * GPU_STAGING_BYTES,
                         .size = size};
    vkCmdCopyBuffer(cmd->vk, to_device ? g->staging->vk : b->vk, to_device ? b->vk : g->staging->vk,
                    1, &copy);
    cmd->dispatches++;
    cmd->work += size / 2;
    gpu_cmd_touch(g, b, !to_device, to_device);
    // Slots are disjoint: no copy waits for another one's.
    g->staging->last_serial = g->serial;
    g->staging_serial[slot] = g->serial;
    return true;
}

static bool write_staged(struct gpu_buf *b, uint64_t offset, const struct rows *r, uint64_t size,
                         struct err *err)
{
    struct gpu *g = b->gpu;
    if (!staging_open(g, err))
        return false;
    for (uint64_t done = 0; done < size;) {
        uint32_t slot = g->staging_next;
        uint64_t part = size - done < GPU_STAGING_BYTES ? size - done : GPU_STAGING_BYTES;
        if (!gpu_cmd_wait(g, g->staging_serial[slot], err))
            return false;
        uint64_t at = slot * GPU_STAGING_BYTES;
        rows_copy(r, done, part, g->staging->mapped + at);
        if (!sync_mapped(g->staging, at, part, true, err) ||
            !staging_record(b, offset + done, slot, part, true, err))
            return false;
        // Full slots travel while the next one is filled.
        if (part == GPU_STAGING_BYTES && !gpu_submit(g, err))
            return false;
        g->staging_next = (slot + 1) % GPU_STAGING_SLOTS;
        done += part;
    }
    return true;
}

static bool read_staged(struct gpu_buf *b, uint64_t offset, uint8_t *data, uint64_t size,
                        struct err *err)
{
    struct gpu *g = b->gpu;
    if (!staging_open(g, err))
        return false;
    while (size) {
        uint64_t round = GPU_STAGING_SLOTS * GPU_STAGING_BYTES;
        if (round > size)
            round = size;
        if (!gpu_cmd_wait(g, g->staging->last_serial, err))
            return false;
        for (uint64_t at = 0; at < round; at += GPU_STAGING_BYTES) {
            uint64_t part = round - at < GPU_STAGING_BYTES ? round - at : GPU_STAGING_BYTES;
            if (!staging_record(b, offset + at, (uint32_t)(at / GPU_STAGING_BYTES), part, false,
                                err))
                return false;
        }
        if (!gpu_finish(g, err) || !sync_mapped(g->staging, 0, round, false, err))
            return false;
        memcpy(data, g->staging->mapped, round);
        data += round;
        offset += round;
        size -= round;
    }
    return true;
}

static bool write_rows(struct gpu_buf *b, uint64_t offset, const struct rows *r, uint64_t size,
                       struct err *err)
{
    if (!in_range(b, offset, size, err))
        return false;
    if (b->gpu->failed)
        return err_set(err, ERR_DEVICE, "%s has failed before", b->gpu->device.name);
    if (!gpu_cmd_in_time(b->gpu, err))
        return false;
    if (!b->mapped)
        return write_staged(b, offset, r, size, err);
    if (!gpu_cmd_wait(b->gpu, b->last_serial, err))
        return false;
    rows_copy(r, 0, size, b->mapped + offset);
    return sync_mapped(b, offset, size, true, err);
}

bool gpu_buf_write(struct gpu_buf *b, uint64_t offset, const void *data, uint64_t size,
                   struct err *err)
{
    struct rows r = {.data = data, .row = 1, .pitch = 1};
    return write_rows(b, offset, &r, size, err);
}

bool gpu_buf_write_rows(struct gpu_buf *b, uint64_t offset, uint64_t pitch, const void *data,
                        uint64_t row_bytes, uint64_t rows, struct err *err)
{
    if (!row_bytes || pitch < row_bytes || rows > UINT64_MAX / pitch)
        return err_set(err, ERR_INTERNAL, "%s: rows of %" PRIu64 " bytes, pitch %" PRIu64, b->name,
                       row_bytes, pitch);
    struct rows r = {.data = data, .row = row_bytes, .pitch = pitch};
    return write_rows(b, offset, &r, rows * pitch, err);
}

bool gpu_buf_read(struct gpu_buf *b, uint64_t offset, void *data, uint64_t size, struct err *err)
{
    if (!in_range(b, offset, size, err))
        return false;
    if (b->gpu->failed)
        return err_set(err, ERR_DEVICE, "%s has failed before", b->gpu->device.name);
    if (!b->mapped)
        return read_staged(b, offset, data, size, err);
    if (!gpu_cmd_wait(b->gpu, b->last_serial, err) || !sync_mapped(b, offset, size, false, err))
        return false;
    memcpy(data, b->mapped + offset, size);
    return true;
}

bool gpu_buf_fill(struct gpu_buf *b, uint64_t offset, uint64_t size, uint32_t word, struct err *err)
{
    if (!in_range(b, offset, size, err))
        return false;
    if (!size || offset % 4 || size % 4)
        return err_set(err, ERR_INTERNAL, "%s: fill of %" PRIu64 " bytes", b->name, size);
    struct gpu_cmd *cmd = gpu_cmd_open(b->gpu, err);
    if (!cmd)
        return false;
    if (gpu_cmd_hazard(b->gpu, b, true))
        gpu_cmd_barrier(b->gpu);
    vkCmdFillBuffer(cmd->vk, b->vk, offset, size, word);
    cmd->dispatches++;
    cmd->work += size / 2;
    gpu_cmd_touch(b->gpu, b, false, true);
    return true;
}
