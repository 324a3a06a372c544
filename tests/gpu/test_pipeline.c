// compute/gpu/pipeline.h: kernels from memory, what they may ask for, what is refused and that the
// gpu survives it; deadlines.
#include "compute/gpu/pipeline.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/fs.h"
#include "tests/gpu/device.h"
#include "tests/shaders/pipeline/shaders.h"

#define WORDS 1000u

static struct err err;

static const struct kernel fill = {.shader = &shader_pipeline_fill,
                                   .group = {64, 1, 1},
                                   .push_bytes = 8,
                                   .bindings = 1,
                                   .access = {KERNEL_OUT}};
static const struct kernel slow = {.shader = &shader_pipeline_slow,
                                   .group = {64, 1, 1},
                                   .push_bytes = 8,
                                   .bindings = 1,
                                   .access = {KERNEL_OUT}};

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

// Whether the kernel, which takes (count, word), makes WORDS words of want. The text of a failure
// is in err.
static bool fills(struct gpu *g, const struct kernel *k, uint32_t word, uint32_t want)
{
    const uint32_t push[2] = {WORDS, word}, groups[3] = {(WORDS + 63) / 64, 1, 1};
    uint32_t back[WORDS];
    struct gpu_buf *b = gpu_buf_create(g, "words", sizeof back, &err);
    struct gpu_range range = {b, 0, sizeof back};
    bool ok = b && gpu_dispatch(g, k, &range, push, groups, 0, WORDS, &err) &&
              gpu_buf_read(b, 0, back, sizeof back, &err);
    for (uint32_t i = 0; ok && i < WORDS; i++)
        ok = back[i] == want;
    gpu_buf_destroy(b);
    return ok;
}

// Two shaders in turn at one address, each freed before its pipeline is used again.
static void kernels_are_known_by_what_they_are_not_by_where(void)
{
    struct gpu *g = device_open((struct gpu_options){0});
    size_t most = shader_pipeline_fill.size > shader_pipeline_slow.size ? shader_pipeline_fill.size
                                                                        : shader_pipeline_slow.size;
    uint32_t *words = need(most);
    for (int round = 0; round < 3; round++) {
        struct shader mine = {"site/mine", words, shader_pipeline_fill.size};
        struct kernel k = fill;
        k.shader = &mine;
        memset(words, 0, most);
        memcpy(words, shader_pipeline_fill.words, shader_pipeline_fill.size);
        CU_ASSERT_TRUE(fills(g, &k, 5, 5));
        k.constants[0] = 1;
        CU_ASSERT_TRUE(fills(g, &k, 5, ~5u));
        k.constants[0] = 0;
        memset(words, 0, most);
        memcpy(words, shader_pipeline_slow.words, shader_pipeline_slow.size);
        mine.size = shader_pipeline_slow.size;
        CU_ASSERT_FALSE(fills(g, &k, 0, 0)); // word i is i
        memset(words, 0xff, most);
        CU_ASSERT_TRUE(fills(g, &fill, 9, 9));
    }
    free(words);
    device_close(g);
}

static void kernels_have_twelve_bindings_and_eight_constants(void)
{
    const struct kernel many = {.shader = &shader_pipeline_many,
                                .group = {32, 1, 1},
                                .constants = {2, 3, 5, 7, 11, 13, 17, 19},
                                .push_bytes = 8,
                                .bindings = 12,
                                .access = {KERNEL_IN, KERNEL_IN, KERNEL_IN, KERNEL_IN, KERNEL_IN,
                                           KERNEL_IN, KERNEL_IN, KERNEL_IN, KERNEL_IN, KERNEL_IN,
                                           KERNEL_TEXELS, KERNEL_OUT}};
    for (int no_push = 0; no_push < 2; no_push++) {
        struct gpu *g = device_open((struct gpu_options){.no_push = no_push});
        struct gpu_buf *bufs[12];
        struct gpu_range ranges[12];
        uint32_t words[64], want[64], push[2] = {64, 1000};
        const uint32_t groups[3] = {2, 1, 1};
        for (int i = 0; i < 64; i++)
            want[i] = push[1];
        for (uint32_t b = 0; b < 12; b++) {
            bufs[b] = gpu_buf_create(g, "one of twelve", sizeof words, &err);
            CU_ASSERT_PTR_NOT_NULL_FATAL(bufs[b]);
            for (uint32_t i = 0; i < 64; i++) {
                words[i] = b * 100 + i * i;
                want[i] += b < 11 ? many.constants[b % 8] * words[i] : 0;
            }
            CU_ASSERT_TRUE(gpu_buf_write(bufs[b], 0, words, sizeof words, &err));
            ranges[b] = (struct gpu_range){bufs[b], 0, sizeof words};
        }
        CU_ASSERT_TRUE(gpu_dispatch(g, &many, ranges, push, groups, 0, 64, &err));
        CU_ASSERT_TRUE(gpu_buf_read(bufs[11], 0, words, sizeof words, &err));
        CU_ASSERT_EQUAL(memcmp(words, want, sizeof words), 0);
        for (int b = 0; b < 12; b++)
            gpu_buf_destroy(bufs[b]);
        device_close(g);
    }
}

// Says whether a kernel is refused with a code and a text that names its shader and holds `part`.
static bool refused(struct gpu *g, const struct kernel *k, enum err_code code, const char *part)
{
    bool ok = !fills(g, k, 0, 0) && err.code == code && strstr(err.text, part) &&
              strstr(err.text, k->shader->name) && !gpu_failed(g) && fills(g, &fill, 3, 3);
    if (!ok)
        fprintf(stderr, "%s: %s\n", k->shader->name, err.text);
    return ok;
}

static void a_kernel_that_cannot_be_built_fails_its_caller_only(void)
{
    static const char prose[] = "no shader at all, but a text of some length, four bytes a word...";
    struct gpu *g = device_open((struct gpu_options){0});
    uint32_t *words = need(shader_pipeline_fill.size);
    memcpy(words, shader_pipeline_fill.words, shader_pipeline_fill.size);
    struct shader mine = {"site/mine", words, shader_pipeline_fill.size};
    struct kernel k = fill;
    k.shader = &mine;

    mine.size = 6 * 4; // the header and one word of the first instruction
    CU_ASSERT_TRUE(refused(g, &k, ERR_UNSUPPORTED, "cut short"));
    mine.size = shader_pipeline_fill.size;
    words[5] &= 0xffff; // an instruction of no words: a walk that never ends
    CU_ASSERT_TRUE(refused(g, &k, ERR_UNSUPPORTED, "cut short"));
    memcpy(words, shader_pipeline_fill.words, shader_pipeline_fill.size);
    words[1] = 0x00010600;
    CU_ASSERT_TRUE(refused(g, &k, ERR_UNSUPPORTED, "newer"));
    words[1] = shader_pipeline_fill.words[1];
    words[3] = UINT32_MAX;
    CU_ASSERT_TRUE(refused(g, &k, ERR_UNSUPPORTED, "number of ids"));
    words[3] = shader_pipeline_fill.words[3];
    for (size_t at = 5; at < mine.size / 4; at += words[at] >> 16) {
        if ((words[at] & 0xffff) == 15) // OpEntryPoint
            memcpy(&words[at + 3], "mein", 4);
    }
    CU_ASSERT_TRUE(refused(g, &k, ERR_UNSUPPORTED, "no compute entry point"));
    mine.size = 18;
    CU_ASSERT_TRUE(refused(g, &k, ERR_UNSUPPORTED, "no SPIR-V"));
    mine = (struct shader){"site/prose", (const uint32_t *)(const void *)prose, 64};
    CU_ASSERT_TRUE(refused(g, &k, ERR_UNSUPPORTED, "no SPIR-V"));

    k = fill;
    k.bindings = 0;
    CU_ASSERT_TRUE(refused(g, &k, ERR_INTERNAL, "binding 0"));
    k = fill;
    k.access[0] = KERNEL_TEXELS;
    CU_ASSERT_TRUE(refused(g, &k, ERR_INTERNAL, "binding 0 is a storage buffer"));
    k = fill;
    k.push_bytes = 4;
    CU_ASSERT_TRUE(refused(g, &k, ERR_INTERNAL, "8 bytes of push constants"));
    k.push_bytes = KERNEL_PUSH_MAX + 4;
    CU_ASSERT_TRUE(refused(g, &k, ERR_INTERNAL, "132 push bytes"));
    k = fill;
    k.group[1] = 0;
    CU_ASSERT_TRUE(refused(g, &k, ERR_INTERNAL, "empty workgroup"));
    k.group[0] = k.group[1] = gpu_device(g)->max_group_size;
    CU_ASSERT_TRUE(refused(g, &k, ERR_UNSUPPORTED, "workgroups of"));
    k = fill;
    k.bindings = KERNEL_BINDINGS_MAX + 1;
    const uint32_t one[3] = {1, 1, 1};
    CU_ASSERT_FALSE(gpu_dispatch(g, &k, NULL, NULL, one, 0, 0, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INTERNAL);
    free(words);
    device_close(g);
}

static void dispatches_that_contradict_their_kernel_are_refused(void)
{
    struct gpu *g = device_open((struct gpu_options){.max_range = 4096});
    struct gpu_buf *b = gpu_buf_create(g, "words", 8192, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    const uint32_t push[2] = {0, 0}, one[3] = {1, 1, 1}, none[3] = {1, 0, 1};
    const struct gpu_range good = {b, 0, 256}, bad[] = {{b, 4, 256}, {b, 0, 0}, {b, 8192, 256}};
    const struct gpu_range large = {b, 0, 8192};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CU_ASSERT_FALSE(gpu_dispatch(g, &fill, &bad[i], push, one, 0, 0, &err));
        CU_ASSERT_EQUAL(err.code, ERR_INTERNAL);
    }
    CU_ASSERT_FALSE(gpu_dispatch(g, &fill, &large, push, one, 0, 0, &err));
    CU_ASSERT_EQUAL(err.code, ERR_UNSUPPORTED);
    CU_ASSERT_FALSE(gpu_dispatch(g, &fill, &good, push, none, 0, 0, &err));
    CU_ASSERT_EQUAL(err.code, ERR_UNSUPPORTED);
    CU_ASSERT_FALSE(gpu_dispatch(g, &fill, &good, push, one, 65535, 0, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INTERNAL);
    CU_ASSERT_TRUE(gpu_dispatch(g, &fill, &good, push, one, 0, 0, &err));
    gpu_buf_destroy(b);
    device_close(g);
}

static void prepare_goes_on_after_a_kernel_that_fails(void)
{
    struct gpu *g = device_open((struct gpu_options){0});
    struct kernel wrong = fill;
    wrong.push_bytes = 0;
    const struct kernel *const list[] = {&wrong, &fill, &slow}, *const good[] = {&fill, &slow};
    CU_ASSERT_FALSE(gpu_prepare(g, list, 3, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INTERNAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "pipeline/fill"));
    CU_ASSERT_TRUE(gpu_prepare(g, good, 2, &err));
    CU_ASSERT_TRUE(gpu_prepare(g, NULL, 0, &err));
    CU_ASSERT_TRUE(fills(g, &fill, 1, 1));
    device_close(g);
}

// ---- Deadlines ----

// Records dispatches of some milliseconds each on a processor, five a submission; how many were
// taken.
static uint32_t record_much(struct gpu *g, struct gpu_buf *b, uint32_t dispatches)
{
    const uint32_t push[2] = {16384, 2000}, groups[3] = {256, 1, 1};
    const struct gpu_range range = {b, 0, 16384 * 4};
    uint32_t taken = 0;
    while (taken < dispatches &&
           gpu_dispatch(g, &slow, &range, push, groups, 2000, gpu_work_limit(g), &err))
        taken++;
    return taken;
}

static void nothing_is_begun_past_the_deadline(void)
{
    for (int staged = 0; staged < 2; staged++) {
        struct gpu *g = device_open((struct gpu_options){.force_staging = staged});
        struct gpu_buf *b = gpu_buf_create(g, "words", 16384 * 4, &err);
        CU_ASSERT_PTR_NOT_NULL_FATAL(b);
        uint32_t word = 7;
        CU_ASSERT_TRUE(gpu_finish(g, &err));
        gpu_set_deadline(g, now_s() - 1);
        CU_ASSERT_FALSE(fills(g, &fill, 1, 1));
        CU_ASSERT_EQUAL(err.code, ERR_TIMEOUT);
        CU_ASSERT_FALSE(gpu_buf_write(b, 0, &word, 4, &err));
        CU_ASSERT_EQUAL(err.code, ERR_TIMEOUT);
        CU_ASSERT_FALSE(gpu_buf_fill(b, 0, 4, 0, &err));
        CU_ASSERT_EQUAL(err.code, ERR_TIMEOUT);
        // Nothing was running: the next job has its own deadline and goes on.
        CU_ASSERT_FALSE(gpu_failed(g));
        gpu_set_deadline(g, 0);
        CU_ASSERT_TRUE(fills(g, &fill, 1, 1));
        gpu_buf_destroy(b);
        device_close(g);
    }
}

// Each wait there is: finish, a read, a write, the ring of command buffers.
static void every_wait_ends_at_the_deadline(void)
{
    enum { FINISH, READ, WRITE, RING, WAITS };
    for (int wait = 0; wait < WAITS; wait++) {
        struct gpu *g = device_open((struct gpu_options){.force_staging = wait == READ});
        struct gpu_buf *b = gpu_buf_create(g, "words", 16384 * 4, &err);
        CU_ASSERT_PTR_NOT_NULL_FATAL(b);
        const struct kernel *const list[] = {&slow};
        CU_ASSERT_TRUE(gpu_prepare(g, list, 1, &err));
        uint32_t word = 0, few = 20, many = 10000;
        bool ok = record_much(g, b, few) == few;
        CU_ASSERT_TRUE(ok && gpu_submit(g, &err));
        gpu_set_deadline(g, now_s() + (wait == RING ? 0.02 : 0));
        switch (wait) {
        case FINISH:
            ok = gpu_finish(g, &err);
            break;
        case READ:
            ok = gpu_buf_read(b, 0, &word, 4, &err);
            break;
        case WRITE:
            ok = gpu_buf_write(b, 0, &word, 4, &err);
            break;
        default: // more than a minute of work in all
            ok = record_much(g, b, many) == many;
            break;
        }
        CU_ASSERT_FALSE(ok);
        CU_ASSERT_EQUAL(err.code, ERR_TIMEOUT);
        gpu_buf_destroy(b);
        gpu_destroy(g);
    }
}

// ---- Several at once ----

static bool works(const char *folder)
{
    struct gpu *g = gpu_create(&(struct gpu_options){.cache_dir = folder}, &err);
    bool ok = g != NULL;
    for (uint32_t i = 0; ok && i < 200; i++)
        ok = fills(g, &fill, i, i);
    ok = ok && !gpu_failed(g) && gpu_validation_messages(g) == 0;
    gpu_destroy(g);
    return ok;
}

// First of all: see create_works_in_a_forked_child in test_gpu.c.
static void processes_share_a_device_and_a_cache_folder(void)
{
    pid_t child[3];
    setenv("ANODE_VULKAN_VALIDATION", "1", 0);
    const char *folder = check_scratch();
    for (int i = 0; i < 3; i++) {
        child[i] = fork();
        CU_ASSERT_FATAL(child[i] >= 0);
        if (child[i] == 0)
            _exit(works(folder) ? 0 : err.code == ERR_DEVICE ? 77 : 1);
    }
    for (int i = 0; i < 3; i++) {
        int status = 0;
        CU_ASSERT_EQUAL(waitpid(child[i], &status, 0), child[i]);
        CU_ASSERT_TRUE_FATAL(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77)
            check_skip("no Vulkan device");
        CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
    }
    CU_ASSERT_TRUE(works(folder));
}

// In a child, since it needs the environment and stderr to itself.
static void what_shaders_print_is_logged(void)
{
    char path[PATH_MAX];
    CU_ASSERT_TRUE_FATAL(fs_join(path, check_scratch(), "printed", &err));
    pid_t child = fork();
    CU_ASSERT_FATAL(child >= 0);
    if (child == 0) {
        struct kernel print = fill;
        print.shader = &shader_pipeline_print;
        setenv("ANODE_VULKAN_PRINTF", "1", 1);
        struct gpu *g = freopen(path, "w", stderr) ? gpu_create(NULL, &err) : NULL;
        bool ok = g && fills(g, &print, 4711, 4711) && gpu_validation_messages(g) == 0;
        gpu_destroy(g);
        _exit(ok ? 0 : 1);
    }
    int status = 0;
    size_t size = 0;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    char *log = fs_read_file(path, 1 << 20, &size, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(log);
    CU_ASSERT_PTR_NOT_NULL(strstr(log, "shader: invocation 999 has word 4711"));
    free(log);
}

static void gpus_of_one_process_do_not_disturb_each_other(void)
{
    struct gpu *a = device_open((struct gpu_options){0}), *b = device_open((struct gpu_options){0});
    for (uint32_t i = 0; i < 20; i++)
        CU_ASSERT_TRUE(fills(a, &fill, i, i) && fills(b, &fill, ~i, ~i));
    device_close(a);
    CU_ASSERT_TRUE(fills(b, &fill, 4, 4));
    device_close(b);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"processes_share_a_device_and_a_cache_folder",
         processes_share_a_device_and_a_cache_folder},
        {"what_shaders_print_is_logged", what_shaders_print_is_logged},
        {"kernels_are_known_by_what_they_are_not_by_where",
         kernels_are_known_by_what_they_are_not_by_where},
        {"kernels_have_twelve_bindings_and_eight_constants",
         kernels_have_twelve_bindings_and_eight_constants},
        {"a_kernel_that_cannot_be_built_fails_its_caller_only",
         a_kernel_that_cannot_be_built_fails_its_caller_only},
        {"dispatches_that_contradict_their_kernel_are_refused",
         dispatches_that_contradict_their_kernel_are_refused},
        {"prepare_goes_on_after_a_kernel_that_fails", prepare_goes_on_after_a_kernel_that_fails},
        {"nothing_is_begun_past_the_deadline", nothing_is_begun_past_the_deadline},
        {"every_wait_ends_at_the_deadline", every_wait_ends_at_the_deadline},
        {"gpus_of_one_process_do_not_disturb_each_other",
         gpus_of_one_process_do_not_disturb_each_other},
    };
    return check_main("gpu/pipeline", cases, sizeof cases / sizeof *cases);
}
