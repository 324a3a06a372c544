// compute/gpu/gpu.h: choosing a device, memory, transfers, time-outs, the pipeline cache.
#include "compute/gpu/gpu.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "compute/kernels/kernels.h"
#include "base/fs.h"
#include "compute/gpu/gpu_internal.h"
#include "tests/gpu/device.h"

static struct err err;

static void *need(size_t size)
{
    void *p = calloc(size, 1);
    if (!p)
        abort();
    return p;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// First of all: a parent that had used Vulkan itself could not fork.
static void create_works_in_a_forked_child(void)
{
    pid_t child = fork();
    CU_ASSERT_FATAL(child >= 0);
    if (child == 0) {
        struct gpu *g = gpu_create(NULL, &err);
        uint32_t word = 7, back = 0;
        struct gpu_buf *b = g ? gpu_buf_create(g, "word", 4, &err) : NULL;
        bool ok = b && gpu_buf_write(b, 0, &word, 4, &err) && gpu_buf_read(b, 0, &back, 4, &err) &&
                  back == 7;
        bool none = !g && err.code == ERR_DEVICE;
        gpu_buf_destroy(b);
        gpu_destroy(g);
        _exit(ok ? 0 : none ? 77 : 1);
    }
    int status = 0;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_TRUE_FATAL(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        check_skip("no Vulkan device");
    CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
}

static void list_marks_the_device_that_create_takes(void)
{
    struct gpu_device *list;
    size_t count, chosen = 0;
    CU_ASSERT_TRUE_FATAL(gpu_list(NULL, &list, &count, &err));
    CU_ASSERT_FATAL(count > 0);
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT(list[i].name[0] && list[i].why[0] && strlen(list[i].uuid) == 36);
        chosen += list[i].chosen;
    }
    CU_ASSERT_EQUAL(chosen, 1);
    struct gpu *g = device_open((struct gpu_options){0});
    for (size_t i = 0; i < count; i++)
        CU_ASSERT_EQUAL(list[i].chosen, strcmp(list[i].uuid, gpu_device(g)->uuid) == 0);
    device_close(g);
    free(list);
}

static void create_takes_a_device_by_part_of_its_name_or_by_uuid(void)
{
    struct gpu_device *list;
    size_t count;
    char part[5];
    CU_ASSERT_TRUE_FATAL(gpu_list(NULL, &list, &count, &err) && count > 0);
    snprintf(part, sizeof part, "%.4s", list[0].name);
    for (char *c = part; *c; c++)
        *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
    struct gpu *g = device_open((struct gpu_options){.device = part});
    CU_ASSERT_PTR_NOT_NULL(strstr(gpu_device(g)->why, "asked for"));
    device_close(g);
    g = device_open((struct gpu_options){.device = list[0].uuid});
    CU_ASSERT_STRING_EQUAL(gpu_device(g)->uuid, list[0].uuid);
    device_close(g);
    CU_ASSERT_PTR_NULL(gpu_create(&(struct gpu_options){.device = "no such device"}, &err));
    CU_ASSERT_EQUAL(err.code, ERR_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, list[0].name));
    free(list);
}

// Odd offsets and sizes, more than all staging slots together.
static void check_transfers(struct gpu_options options)
{
    struct gpu *g = device_open(options);
    const uint64_t size = (40u << 20) + 12,
                   parts[][2] = {
                       {0, 40u << 20}, {5, 3}, {4097, 20000000}, {size - 1, 1}, {0, size}};
    uint8_t *data = need(size), *want = need(size), *back = need(size);
    struct gpu_buf *b = gpu_buf_create(g, "transfers", size, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    CU_ASSERT(gpu_buf_size(b) >= size && gpu_used_bytes(g) >= size);
    CU_ASSERT_TRUE(gpu_buf_fill(b, 0, gpu_buf_size(b), 0x01020304, &err));
    for (uint64_t i = 0; i < size; i++)
        want[i] = (uint8_t)(4 - i % 4);
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
        for (uint64_t i = 0; i < parts[p][1]; i++)
            data[i] = (uint8_t)(i * 31 + p + i / 997);
        CU_ASSERT_TRUE(gpu_buf_write(b, parts[p][0], data, parts[p][1], &err));
        memcpy(want + parts[p][0], data, parts[p][1]);
        memset(back, 0, size);
        CU_ASSERT_TRUE(gpu_buf_read(b, 3, back, size - 3, &err));
        CU_ASSERT_EQUAL(memcmp(back, want + 3, size - 3), 0);
    }
    CU_ASSERT_FALSE(gpu_buf_write(b, gpu_buf_size(b), data, 1, &err));
    CU_ASSERT_FALSE(gpu_buf_read(b, UINT64_MAX, data, 2, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INTERNAL);
    gpu_buf_destroy(b);
    free(data);
    free(want);
    free(back);
    device_close(g);
}

static void write_and_read_give_the_same_bytes_in_place(void)
{
    check_transfers((struct gpu_options){0});
}

static void write_and_read_give_the_same_bytes_through_staging(void)
{
    check_transfers((struct gpu_options){.force_staging = true});
}

static void write_rows_clears_what_lies_between(void)
{
    for (int staged = 0; staged < 2; staged++) {
        struct gpu *g = device_open((struct gpu_options){.force_staging = staged});
        uint8_t data[35], back[7 * 64];
        for (int i = 0; i < 35; i++)
            data[i] = (uint8_t)(i + 1);
        struct gpu_buf *b = gpu_buf_create(g, "rows", 7 * 64, &err);
        CU_ASSERT_PTR_NOT_NULL_FATAL(b);
        CU_ASSERT_TRUE(gpu_buf_fill(b, 0, 7 * 64, UINT32_MAX, &err));
        CU_ASSERT_TRUE(gpu_buf_write_rows(b, 0, 64, data, 5, 7, &err));
        CU_ASSERT_TRUE(gpu_buf_read(b, 0, back, sizeof back, &err));
        for (int i = 0; i < 7 * 64; i++)
            CU_ASSERT_EQUAL(back[i], i % 64 < 5 ? data[i / 64 * 5 + i % 64] : 0);
        gpu_buf_destroy(b);
        device_close(g);
    }
}

static void buffers_are_refused_beyond_the_memory_limit(void)
{
    struct gpu *g = device_open((struct gpu_options){.memory_limit = 1 << 20});
    struct gpu_buf *a = gpu_buf_create(g, "a", 700000, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(a);
    CU_ASSERT_PTR_NULL(gpu_buf_create(g, "b", 700000, &err));
    CU_ASSERT_EQUAL(err.code, ERR_NOMEM);
    CU_ASSERT_PTR_NULL(gpu_buf_create(g, "c", UINT64_MAX - 3, &err));
    CU_ASSERT_EQUAL(err.code, ERR_UNSUPPORTED);
    CU_ASSERT_PTR_NULL(gpu_buf_create(g, "d", 0, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    uint64_t peak = gpu_peak_bytes(g);
    gpu_buf_destroy(a);
    CU_ASSERT_EQUAL(gpu_used_bytes(g), 0);
    CU_ASSERT_EQUAL(gpu_peak_bytes(g), peak);
    gpu_reset_peak(g);
    CU_ASSERT_EQUAL(gpu_peak_bytes(g), 0);
    device_close(g);
}

// Buffers of many sizes come and go; each keeps its own bytes, and in the end all memory is back.
static void buffers_never_share_memory(void)
{
    struct gpu *g = device_open((struct gpu_options){0});
    struct gpu_buf *live[40] = {0};
    uint32_t seed = 12345;
    for (int round = 0; round < 600; round++) {
        seed = seed * 1664525u + 1013904223u;
        uint32_t n = seed >> 8;
        struct gpu_buf **b = &live[n % 40];
        uint32_t tag = (uint32_t)(b - live), back = 0;
        if (*b) {
            CU_ASSERT_TRUE(gpu_buf_read(*b, gpu_buf_size(*b) - 4, &back, 4, &err));
            CU_ASSERT_EQUAL(back, tag);
            gpu_buf_destroy(*b);
            *b = NULL;
        } else {
            *b = gpu_buf_create(g, "one of many", 1 + (seed >> 4) % (n % 7 ? 5000 : 3000000), &err);
            CU_ASSERT_PTR_NOT_NULL_FATAL(*b);
            CU_ASSERT_TRUE(gpu_buf_fill(*b, 0, gpu_buf_size(*b), tag, &err));
        }
    }
    for (int i = 0; i < 40; i++)
        gpu_buf_destroy(live[i]);
    CU_ASSERT_TRUE(gpu_finish(g, &err));
    gpu_buf_destroy(gpu_buf_create(g, "collects what is done", 4, &err));
    CU_ASSERT_EQUAL(gpu_used_bytes(g), 0);
    device_close(g);
}

static void work_past_the_deadline_fails_the_gpu(void)
{
    const uint32_t dim[3] = {512, 512, 16};
    const double spacing[3] = {0.2, 0.2, 0.2};
    struct gpu *g = device_open((struct gpu_options){0});
    struct gpu_mask *m = gpu_mask_create(g, dim, spacing, &err), *grown = NULL;
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_TRUE(gpu_finish(g, &err));
    grown = gpu_mask_dilate(m, 3, &err); // far more than a millisecond
    CU_ASSERT_TRUE(grown && gpu_submit(g, &err));
    gpu_set_deadline(g, now_s() + 0.001);
    CU_ASSERT_FALSE(gpu_finish(g, &err));
    CU_ASSERT_EQUAL(err.code, ERR_TIMEOUT);
    CU_ASSERT_TRUE(gpu_failed(g));
    CU_ASSERT_FALSE(gpu_finish(g, &err));
    CU_ASSERT_EQUAL(err.code, ERR_DEVICE);
    CU_ASSERT_PTR_NULL(gpu_mask_create(g, dim, spacing, &err));
    CU_ASSERT_EQUAL(err.code, ERR_DEVICE);
    gpu_mask_destroy(grown);
    gpu_mask_destroy(m);
    gpu_destroy(g);
}

// A busy machine makes a software device slow, and that is no hang: a cold compile beside 20 busy
// processes took more than a minute.
// Every other one of many buffers is given back: as many holes as buffers that are left.
static void blocks_have_room_for_their_holes(void)
{
    enum { COUNT = 64 };
    struct gpu *g = device_open((struct gpu_options){0});
    struct gpu_buf *list[COUNT];
    for (int i = 0; i < COUNT; i++) {
        list[i] = gpu_buf_create(g, "holes", 4096, &err);
        CU_ASSERT_PTR_NOT_NULL_FATAL(list[i]);
    }
    for (int from = 0; from < 2; from++) {
        for (int i = from; i < COUNT; i += 2)
            gpu_buf_destroy(list[i]);
        for (int pool = 0; pool < GPU_POOLS; pool++) {
            for (uint32_t b = 0; b < g->memory.block_count[pool]; b++) {
                const struct gpu_block *block = g->memory.blocks[pool][b];
                CU_ASSERT(block->hole_count <= block->hole_room);
            }
        }
    }
    device_close(g);
}

static void only_a_hang_ends_a_wait(void)
{
    CU_ASSERT_FALSE(gpu_cmd_hangs(GPU_CPU, 900, 60));
    CU_ASSERT_TRUE(gpu_cmd_hangs(GPU_CPU, 130, 120)); // a loop without end
    CU_ASSERT_TRUE(gpu_cmd_hangs(GPU_CPU, 1800, 0));  // a deadlock
    CU_ASSERT_FALSE(gpu_cmd_hangs(GPU_DISCRETE, 59, 300));
    CU_ASSERT_TRUE(gpu_cmd_hangs(GPU_DISCRETE, 60, 0));
    CU_ASSERT_TRUE(gpu_cmd_hangs(GPU_INTEGRATED, 60, 0));
}

// The one file of pipelines in a folder.
static bool find_cache(const char *folder, char path[PATH_MAX])
{
    DIR *d = opendir(folder);
    bool found = false;
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strncmp(e->d_name, "pipelines-", 10) == 0)
            found = fs_join(path, folder, e->d_name, &err);
    }
    if (d)
        closedir(d);
    return found;
}

static void damaged_pipeline_caches_are_replaced(void)
{
    static const struct kernel_group *const some[] = {&kernels_masks, &kernels_ball, NULL};
    char folder[PATH_MAX], path[PATH_MAX];
    CU_ASSERT_TRUE_FATAL(fs_join(folder, check_scratch(), "cache", &err));
    const struct gpu_options options = {.cache_dir = folder};
    struct gpu *g = gpu_create(&options, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(g);
    CU_ASSERT_TRUE(kernels_prepare(g, some, &err));
    device_close(g);
    CU_ASSERT_TRUE_FATAL(find_cache(folder, path));
    size_t size, again;
    char *good = fs_read_file(path, 1 << 26, &size, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(good);
    for (int damage = 0; damage < 3; damage++) {
        char *bad = need(size);
        memcpy(bad, good, size);
        bad[damage == 1 ? 4 : size - 1] ^= 1;
        CU_ASSERT_TRUE(fs_write_file(path, bad, damage == 2 ? size / 2 : size, &err));
        g = gpu_create(&options, &err);
        CU_ASSERT_PTR_NOT_NULL_FATAL(g);
        CU_ASSERT_TRUE(kernels_prepare(g, some, &err));
        device_close(g);
        char *now = fs_read_file(path, 1 << 26, &again, &err);
        CU_ASSERT(now && again == size && memcmp(now, good, size) == 0);
        free(now);
        free(bad);
    }
    free(good);
}

// Other kernels later, and the same ones: what the file holds stays, and is not written again.
static void pipeline_caches_outlive_new_kernels(void)
{
    char folder[PATH_MAX], path[PATH_MAX];
    struct stat before, after;
    CU_ASSERT_TRUE_FATAL(fs_join(folder, check_scratch(), "shared", &err));
    const struct gpu_options options = {.cache_dir = folder};
    const struct kernel_group *const sets[][2] = {
        {&kernels_masks}, {&kernels_components}, {&kernels_masks}, {&kernels_components}};
    for (int run = 0; run < 4; run++) {
        struct gpu *g = gpu_create(&options, &err);
        CU_ASSERT_PTR_NOT_NULL_FATAL(g);
        CU_ASSERT_TRUE(kernels_prepare(g, sets[run], &err));
        device_close(g);
        CU_ASSERT_TRUE_FATAL(find_cache(folder, path));
        CU_ASSERT_EQUAL_FATAL(stat(path, run < 2 ? &before : &after), 0);
    }
    CU_ASSERT(before.st_ino == after.st_ino && before.st_size == after.st_size);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"create_works_in_a_forked_child", create_works_in_a_forked_child},
        {"list_marks_the_device_that_create_takes", list_marks_the_device_that_create_takes},
        {"create_takes_a_device_by_part_of_its_name_or_by_uuid",
         create_takes_a_device_by_part_of_its_name_or_by_uuid},
        {"write_and_read_give_the_same_bytes_in_place",
         write_and_read_give_the_same_bytes_in_place},
        {"write_and_read_give_the_same_bytes_through_staging",
         write_and_read_give_the_same_bytes_through_staging},
        {"write_rows_clears_what_lies_between", write_rows_clears_what_lies_between},
        {"buffers_are_refused_beyond_the_memory_limit",
         buffers_are_refused_beyond_the_memory_limit},
        {"buffers_never_share_memory", buffers_never_share_memory},
        {"blocks_have_room_for_their_holes", blocks_have_room_for_their_holes},
        {"only_a_hang_ends_a_wait", only_a_hang_ends_a_wait},
        {"work_past_the_deadline_fails_the_gpu", work_past_the_deadline_fails_the_gpu},
        {"damaged_pipeline_caches_are_replaced", damaged_pipeline_caches_are_replaced},
        {"pipeline_caches_outlive_new_kernels", pipeline_caches_outlive_new_kernels},
    };
    return check_main("gpu/gpu", cases, sizeof cases / sizeof *cases);
}
