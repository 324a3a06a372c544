// compute/kernels/grid.h: a kernel of a test's own over grids that fall into slabs, against plain
// C.
#include "compute/kernels/grid.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/gpu/device.h"
#include "tests/ref/ref.h"
#include "tests/shaders/boxmean/shaders.h"

#define SLICE_WORDS 64 // of the weights: 256 bytes a slice

static const double spacing[3] = {1, 1, 1};
static struct err err;

static const struct kernel mean = {.shader = &shader_boxmean_mean,
                                   .group = {8, 8, 1},
                                   .push_bytes = GRID_PUSH_BYTES + sizeof(float),
                                   .bindings = 3,
                                   .access = {KERNEL_TEXELS, KERNEL_IN, KERNEL_OUT}};
static const struct kernel odd = {.shader = &shader_boxmean_odd,
                                  .group = {8, 8, 1},
                                  .push_bytes = GRID_PUSH_BYTES,
                                  .bindings = 1,
                                  .access = {KERNEL_OUT}};

static void *need(size_t count, size_t size)
{
    void *p = calloc(count, size);
    if (!p)
        abort();
    return p;
}

static int weight_of(uint32_t k)
{
    return (int)(k % 5) - 1;
}

static uint32_t clamped(int at, uint32_t dim)
{
    return at < 0 ? 0 : at >= (int)dim ? dim - 1 : (uint32_t)at;
}

static float plain_mean(const int16_t *v, const uint32_t dim[3], int i, int j, int k, float scale)
{
    int sum = 0;
    for (int n = 0; n < 27; n++) {
        uint32_t x = clamped(i + n % 3 - 1, dim[0]), y = clamped(j + n / 3 % 3 - 1, dim[1]);
        uint32_t z = clamped(k + n / 9 - 1, dim[2]);
        sum += v[((size_t)z * dim[1] + y) * dim[0] + x] * weight_of(z);
    }
    return (float)sum * scale;
}

// Makes a grid of values with weights, and what the kernel must make of them.
struct sample {
    uint32_t dim[3];
    int16_t *values;
    float *want;
    struct gpu_volume *in, *out;
    struct gpu_buf *weights;
};

static const float scale = 1.0f / 27;

static void sample_init(struct sample *s, struct gpu *g, const uint32_t dim[3])
{
    size_t n = ref_voxels(dim);
    uint32_t seed = 77;
    int32_t *words = need((size_t)dim[2] * SLICE_WORDS, sizeof *words);
    memcpy(s->dim, dim, sizeof s->dim);
    s->values = need(n, sizeof *s->values);
    s->want = need(n, sizeof *s->want);
    for (size_t i = 0; i < n; i++)
        s->values[i] = (int16_t)((seed = seed * 1664525u + 1013904223u) >> 16);
    for (size_t i = 0; i < n; i++)
        s->want[i] = plain_mean(s->values, dim, (int)(i % dim[0]), (int)(i / dim[0] % dim[1]),
                                (int)(i / dim[0] / dim[1]), scale);
    for (uint32_t k = 0; k < dim[2]; k++)
        words[(size_t)k * SLICE_WORDS] = weight_of(k);
    s->in = gpu_volume_write(g, dim, spacing, GPU_VOXEL_I16, s->values, &err);
    s->out = gpu_volume_create(g, dim, spacing, GPU_VOXEL_F32, &err);
    s->weights = gpu_buf_create(g, "weights", dim[2] * 256ull, &err);
    CU_ASSERT_FATAL(s->in && s->out && s->weights);
    CU_ASSERT_TRUE(gpu_buf_write(s->weights, 0, words, dim[2] * 256ull, &err));
    free(words);
}

static void sample_finish(struct sample *s)
{
    gpu_volume_destroy(s->in);
    gpu_volume_destroy(s->out);
    gpu_buf_destroy(s->weights);
    free(s->values);
    free(s->want);
}

static struct grid_call call_of(const struct sample *s)
{
    return (struct grid_call){
        .halo = 1,
        .bind = {grid_volume(s->in), grid_slices(s->weights, 256), grid_volume(s->out)},
        .push = &scale,
        .push_size = sizeof scale,
        .trips = 9 * 3 + 9,
        .work = 27};
}

static void check_mean(struct gpu *g, const uint32_t dim[3])
{
    struct sample s;
    sample_init(&s, g, dim);
    size_t n = ref_voxels(dim), wrong = 0;
    float *have = need(n, sizeof *have);
    const struct grid_call call = call_of(&s);
    CU_ASSERT_TRUE(grid_run(g, &mean, &call, &err));
    CU_ASSERT_TRUE(gpu_volume_read(s.out, 0, dim[2], have, &err));
    for (size_t i = 0; i < n; i++)
        wrong += have[i] != s.want[i];
    CU_ASSERT_EQUAL(wrong, 0);
    if (wrong)
        fprintf(stderr, "%zu of %zu differ in %u x %u x %u\n", wrong, n, dim[0], dim[1], dim[2]);
    free(have);
    sample_finish(&s);
}

static void check_odd(struct gpu *g, const uint32_t dim[3])
{
    size_t n = ref_voxels(dim), wrong = 0;
    float *have = need(n, sizeof *have);
    struct gpu_volume *v = gpu_volume_create(g, dim, spacing, GPU_VOXEL_F32, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(v);
    const struct grid_call call = {.per = {3, 1, 2}, .bind = {grid_volume(v)}, .trips = 6};
    CU_ASSERT_TRUE(grid_run(g, &odd, &call, &err));
    CU_ASSERT_TRUE(gpu_volume_read(v, 0, dim[2], have, &err));
    for (size_t i = 0; i < n; i++)
        wrong += have[i] != (float)i;
    CU_ASSERT_EQUAL(wrong, 0);
    free(have);
    gpu_volume_destroy(v);
}

// The least range is four slices of the largest grid's floats: slabs of two slices and their halo
// where voxels are int16, of one where they are not.
static void grids_equal_plain_c_in_slabs_of_any_size(void)
{
    static const uint32_t dims[][3] = {{1, 1, 1}, {33, 17, 9}, {64, 32, 41}, {7, 3, 1}};
    const uint64_t limits[] = {0, 8192, 16384, 40960};
    for (size_t l = 0; l < sizeof limits / sizeof *limits; l++) {
        struct gpu *g = device_open(
            (struct gpu_options){.max_range = limits[l] ? limits[l] * 4 : 0, .no_push = l == 1});
        for (size_t d = 0; d < sizeof dims / sizeof *dims; d++) {
            check_mean(g, dims[d]);
            check_odd(g, dims[d]);
        }
        device_close(g);
    }
}

static void calls_that_contradict_their_kernel_are_refused(void)
{
    struct gpu *g = device_open((struct gpu_options){.max_range = 16384});
    const uint32_t dim[3] = {64, 32, 5}, other[3] = {64, 32, 4}, tall[3] = {64, 64, 3};
    struct sample s, t, big;
    sample_init(&s, g, dim);
    sample_init(&t, g, other);
    sample_init(&big, g, tall);
    struct grid_call call = call_of(&s);
    call.bind[2] = grid_volume(t.out);
    CU_ASSERT_FALSE(grid_run(g, &mean, &call, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    call = call_of(&s);
    call.bind[1] = grid_slices(t.weights, 256); // one slice short
    CU_ASSERT_FALSE(grid_run(g, &mean, &call, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    call.bind[1] = grid_slices(s.weights, 100);
    CU_ASSERT_FALSE(grid_run(g, &mean, &call, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    call = call_of(&s);
    call.bind[2] = grid_volume(s.in); // written while its neighbours are read
    CU_ASSERT_FALSE(grid_run(g, &mean, &call, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    call = call_of(&s);
    call.bind[1] = (struct grid_bind){0};
    CU_ASSERT_FALSE(grid_run(g, &mean, &call, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INTERNAL);
    call = call_of(&s);
    call.push_size = 8;
    CU_ASSERT_FALSE(grid_run(g, &mean, &call, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INTERNAL);
    call = call_of(&s);
    call.dim[0] = KERNELS_DIM_MAX + 1;
    CU_ASSERT_FALSE(grid_run(g, &mean, &call, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    call = call_of(&big); // three slices of 8 KiB do not fit in 16
    CU_ASSERT_FALSE(grid_run(g, &mean, &call, &err));
    CU_ASSERT_EQUAL(err.code, ERR_UNSUPPORTED);
    call = call_of(&s);
    CU_ASSERT_TRUE(grid_run(g, &mean, &call, &err));
    sample_finish(&s);
    sample_finish(&t);
    sample_finish(&big);
    device_close(g);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"grids_equal_plain_c_in_slabs_of_any_size", grids_equal_plain_c_in_slabs_of_any_size},
        {"calls_that_contradict_their_kernel_are_refused",
         calls_that_contradict_their_kernel_are_refused},
    };
    return check_main("gpu/grid", cases, sizeof cases / sizeof *cases);
}
