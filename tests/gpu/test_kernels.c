// Every operation of compute/kernels/kernels.h against tests/ref, at odd sizes, on the device as it
// is, with staging and descriptor sets, and with so small a binding limit that volumes fall into
// slabs.
#include "compute/kernels/kernels.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/gpu/device.h"
#include "tests/ref/ref.h"

static const double spacing[3] = {0.7, 0.8, 1.5};

struct grid {
    uint32_t dim[3];
};
static const struct grid grids[] = {{{1, 1, 1}},    {{7, 5, 3}},    {{33, 17, 9}},
                                    {{65, 64, 31}}, {{128, 3, 70}}, {{512, 40, 4}}};
#define GRIDS (sizeof grids / sizeof *grids)
// Masks of more than 32 KiB and volumes of more than 256 KiB: what small limits cut into slabs.
static const struct grid tall = {{65, 64, 70}};

static struct err err;

static uint32_t noise(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static void *need(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size);
    if (!p)
        abort();
    return p;
}

// Values of the whole int16 range, their ends often.
static int16_t *random_values(const uint32_t dim[3], uint32_t seed)
{
    size_t n = ref_voxels(dim);
    int16_t *v = need(n, sizeof *v);
    for (size_t i = 0; i < n; i++) {
        uint32_t r = noise(&seed);
        v[i] = r % 16 == 0 ? INT16_MIN : r % 16 == 1 ? INT16_MAX : (int16_t)(r >> 16);
    }
    return v;
}

static float *random_floats(const uint32_t dim[3], uint32_t seed)
{
    size_t n = ref_voxels(dim);
    float *v = need(n, sizeof *v);
    for (size_t i = 0; i < n; i++)
        v[i] = (float)(int32_t)noise(&seed) / 1048576.0f;
    return v;
}

static uint8_t *random_mask(const uint32_t dim[3], double density, uint32_t seed)
{
    size_t n = ref_voxels(dim);
    uint8_t *m = need(n, 1);
    for (size_t i = 0; i < n; i++)
        m[i] = noise(&seed) < density * 4294967295.0;
    return m;
}

static struct gpu_mask *mask_of(struct gpu *g, const uint32_t dim[3], const uint8_t *bytes)
{
    struct gpu_mask *m = gpu_mask_write(g, dim, spacing, bytes, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    return m;
}

static struct gpu_volume *values_of(struct gpu *g, const uint32_t dim[3], const int16_t *values)
{
    struct gpu_volume *v = gpu_volume_write(g, dim, spacing, GPU_VOXEL_I16, values, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(v);
    return v;
}

// Checks a mask bit for bit and that every other bit of its words is 0; destroys it.
static void expect_mask(struct gpu_mask *m, const uint8_t *bytes)
{
    if (!m)
        fprintf(stderr, "%s\n", err.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    size_t n = (size_t)m->slice * m->dim[2], wrong = 0;
    uint32_t *words = need(n, sizeof *words), *want = need(n, sizeof *want);
    CU_ASSERT_TRUE(gpu_mask_read_words(m, 0, m->dim[2], words, &err));
    for (uint32_t k = 0; k < m->dim[2]; k++) {
        for (uint32_t j = 0; j < m->dim[1]; j++) {
            for (uint32_t i = 0; i < m->dim[0]; i++)
                want[k * (size_t)m->slice + j * m->row + i / 32] |= (uint32_t)*bytes++ << i % 32;
        }
    }
    for (size_t i = 0; i < n; i++)
        wrong += words[i] != want[i];
    CU_ASSERT_EQUAL(wrong, 0);
    if (wrong)
        fprintf(stderr, "%zu words differ in %u x %u x %u\n", wrong, m->dim[0], m->dim[1],
                m->dim[2]);
    free(words);
    free(want);
    gpu_mask_destroy(m);
}

static void expect_values(struct gpu_volume *v, const int16_t *want)
{
    if (!v)
        fprintf(stderr, "%s\n", err.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(v);
    size_t n = ref_voxels(v->dim), wrong = 0;
    int16_t *have = need(n, sizeof *have);
    CU_ASSERT_TRUE(gpu_volume_read(v, 0, v->dim[2], have, &err));
    for (size_t i = 0; i < n; i++)
        wrong += have[i] != want[i];
    CU_ASSERT_EQUAL(wrong, 0);
    if (wrong)
        fprintf(stderr, "%zu of %zu values differ in %u x %u x %u\n", wrong, n, v->dim[0],
                v->dim[1], v->dim[2]);
    free(have);
    gpu_volume_destroy(v);
}

static void expect_floats(struct gpu_volume *v, const float *want, double bound)
{
    if (!v)
        fprintf(stderr, "%s\n", err.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(v);
    size_t n = ref_voxels(v->dim);
    double worst = 0;
    float *have = need(n, sizeof *have);
    CU_ASSERT_TRUE(gpu_volume_read(v, 0, v->dim[2], have, &err));
    for (size_t i = 0; i < n; i++)
        worst = isnan(have[i]) ? INFINITY : fmax(worst, fabs((double)have[i] - want[i]));
    CU_ASSERT(worst <= bound);
    if (worst > bound)
        fprintf(stderr, "differs by %g (bound %g) in %u x %u x %u\n", worst, bound, v->dim[0],
                v->dim[1], v->dim[2]);
    free(have);
    gpu_volume_destroy(v);
}

// Calls check with every grid on the plain device and on the one with staging, and with the tall
// grid on a device that binds `limit` bytes at most (0: not).
static void everywhere(void (*check)(struct gpu *g, const uint32_t dim[3]), uint64_t limit)
{
    const struct gpu_options ways[] = {
        {0}, {.force_staging = true, .no_push = true}, {.max_range = limit}};
    for (int way = 0; way < (limit ? 3 : 2); way++) {
        struct gpu *g = device_open(ways[way]);
        uint64_t before = gpu_used_bytes(g);
        for (size_t n = 0; way < 2 && n < GRIDS; n++)
            check(g, grids[n].dim);
        check(g, tall.dim);
        CU_ASSERT_TRUE(gpu_finish(g, &err));
        struct gpu_buf *b = gpu_buf_create(g, "collects what is done", 4, &err);
        gpu_buf_destroy(b);
        if (gpu_device(g)->in_place) // else a staging buffer stays
            CU_ASSERT_EQUAL(gpu_used_bytes(g), before);
        CU_ASSERT(gpu_peak_bytes(g) > before);
        device_close(g);
    }
}

// ---- Volumes ----

// Slices come in runs, in any order.
static void check_slices(struct gpu *g, const uint32_t dim[3])
{
    size_t slice = (size_t)dim[0] * dim[1];
    int16_t *stored = random_values(dim, 37);
    float *floats = random_floats(dim, 41);
    struct gpu_volume *v = gpu_volume_create(g, dim, spacing, GPU_VOXEL_I16, &err);
    struct gpu_volume *f = gpu_volume_create(g, dim, spacing, GPU_VOXEL_F32, &err);
    CU_ASSERT_FATAL(v && f);
    for (uint32_t end = dim[2], run = 1; end; end -= run, run = run % 5 + 1) {
        run = run < end ? run : end;
        uint32_t k = end - run;
        CU_ASSERT_TRUE(gpu_volume_write_slices(v, k, run, stored + k * slice, &err));
        CU_ASSERT_TRUE(gpu_volume_write_slices(f, k, run, floats + k * slice, &err));
    }
    CU_ASSERT_TRUE(gpu_volume_write_slices(v, dim[2], 0, stored, &err));
    CU_ASSERT_FALSE(gpu_volume_write_slices(v, dim[2], 1, stored, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    CU_ASSERT_FALSE(gpu_volume_write_slices(v, 1, UINT32_MAX, stored, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    expect_values(v, stored);
    expect_floats(f, floats, 0);
    free(stored);
    free(floats);
}

static void slices_are_written_in_runs(void)
{
    everywhere(check_slices, 262144);
}

static void check_shrink(struct gpu *g, const uint32_t dim[3])
{
    static const uint32_t factors[][3] = {{1, 1, 1}, {2, 3, 1}, {6, 6, 2},  {32, 5, 32},
                                          {2, 3, 1}, {6, 4, 2}, {32, 5, 32}};
    static const uint32_t leads[][2] = {{0}, {0}, {0}, {0}, {1, 2}, {5, 0}, {0, 4}};
    int16_t *values = random_values(dim, 11);
    const uint32_t room[3] = {dim[0] + 32, dim[1] + 32, dim[2]};
    int16_t *want = need(ref_voxels(room), sizeof *want);
    for (size_t f = 0; f < sizeof factors / sizeof *factors; f++) {
        // One coarse slice must be bound at once.
        if (gpu_device(g)->max_range_bytes < 12288u * factors[f][2])
            continue;
        struct gpu_volume *v = values_of(g, dim, values);
        ref_shrink(values, dim, factors[f], leads[f], want);
        expect_values(gpu_volume_shrink(v, factors[f], f ? leads[f] : NULL, &err), want);
        CU_ASSERT_PTR_NULL(
            gpu_volume_shrink(v, factors[f], (const uint32_t[2]){0, factors[f][1]}, &err));
        CU_ASSERT_EQUAL(err.code, ERR_INPUT);
        gpu_volume_destroy(v);
    }
    free(values);
    free(want);
}

static void shrink_equals_reference(void)
{
    everywhere(check_shrink, 65536);
}

static void check_resample(struct gpu *g, const uint32_t dim[3])
{
    static const double map[3][4] = {
        {0.7, 0.01, 0, -0.6}, {-0.02, 1.3, 0.1, 0.25}, {0, 0.03, 0.9, -1.5}};
    const uint32_t to[3] = {dim[0] + 3, dim[1] / 2 + 1, dim[2] + 2};
    size_t n = ref_voxels(dim);
    float *floats = random_floats(dim, 5), *want = need(ref_voxels(to), sizeof *want);
    int16_t *values = need(n, sizeof *values);
    for (int integers = 0; integers < 2; integers++) {
        for (size_t i = 0; integers && i < n; i++) {
            values[i] = (int16_t)floats[i];
            floats[i] = values[i];
        }
        struct gpu_volume *v = integers
                                   ? values_of(g, dim, values)
                                   : gpu_volume_write(g, dim, spacing, GPU_VOXEL_F32, floats, &err);
        CU_ASSERT_PTR_NOT_NULL_FATAL(v);
        size_t at = 0;
        for (uint32_t k = 0; k < to[2]; k++) {
            for (uint32_t j = 0; j < to[1]; j++) {
                for (uint32_t i = 0; i < to[0]; i++)
                    want[at++] = ref_trilinear(floats, dim, map, i, j, k);
            }
        }
        // Same operations in the same order, none fused: equal.
        expect_floats(gpu_volume_resample(v, to, spacing, map, &err), want, 0);
        gpu_volume_destroy(v);
    }
    free(floats);
    free(values);
    free(want);
}

static void resample_equals_reference(void)
{
    everywhere(check_resample, 262144);
}

static void check_smooth(struct gpu *g, const uint32_t dim[3])
{
    static const double sigmas[][3] = {{0, 0, 0}, {0.7, 0, 0}, {1, 2, 1.2}, {4, 0.5, 0}};
    size_t n = ref_voxels(dim);
    float *floats = random_floats(dim, 9), *want = need(n, sizeof *want);
    int16_t *values = need(n, sizeof *values);
    for (int integers = 0; integers < 2; integers++) {
        for (size_t i = 0; integers && i < n; i++) {
            values[i] = (int16_t)floats[i];
            floats[i] = values[i];
        }
        for (size_t s = 0; s < sizeof sigmas / sizeof *sigmas; s++) {
            struct gpu_volume *v =
                integers ? values_of(g, dim, values)
                         : gpu_volume_write(g, dim, spacing, GPU_VOXEL_F32, floats, &err);
            CU_ASSERT_PTR_NOT_NULL_FATAL(v);
            ref_smooth(floats, dim, spacing, sigmas[s], want);
            // Values up to 2048; the weights of the two may differ in their last bit, 6e-8.
            expect_floats(gpu_volume_smooth(v, sigmas[s], &err), want, 2048 * 3 * 1.2e-7);
            gpu_volume_destroy(v);
        }
    }
    free(floats);
    free(values);
    free(want);
}

static void smooth_equals_reference(void)
{
    everywhere(check_smooth, 262144);
}

static void check_mip(struct gpu *g, const uint32_t dim[3])
{
    int16_t *values = random_values(dim, 13);
    struct gpu_volume *v = values_of(g, dim, values);
    for (unsigned axis = 0; axis < 3; axis++) {
        for (int part = 0; part < 2; part++) {
            uint32_t lo = part ? dim[axis] / 3 : 0,
                     hi = part ? dim[axis] - dim[axis] / 4 : dim[axis];
            uint32_t across = dim[axis == 0 ? 1 : 0], down = dim[axis == 2 ? 1 : 2];
            int16_t *want = need((size_t)across * down, sizeof *want);
            ref_mip(values, dim, axis, lo, hi, want);
            expect_values(gpu_volume_mip(v, axis, lo, hi, &err), want);
            free(want);
        }
    }
    gpu_volume_destroy(v);
    free(values);
}

static void mip_equals_reference(void)
{
    everywhere(check_mip, 32768);
}

// ---- Masks ----

static void check_threshold(struct gpu *g, const uint32_t dim[3])
{
    static const double bounds[][2] = {{130, 32767},   {-300.5, 129.5},  {-1e9, 1e9}, {5, 4},
                                       {40000, 50000}, {-32768, -32768}, {NAN, 3}};
    size_t n = ref_voxels(dim);
    int16_t *values = random_values(dim, 17);
    uint8_t *want = need(n, 1);
    struct gpu_volume *v = values_of(g, dim, values);
    for (size_t b = 0; b < sizeof bounds / sizeof *bounds; b++) {
        ref_threshold(values, n, bounds[b][0], bounds[b][1], want);
        expect_mask(gpu_mask_threshold(v, bounds[b][0], bounds[b][1], &err), want);
    }
    gpu_volume_destroy(v);
    free(values);
    free(want);
}

static void threshold_equals_reference(void)
{
    everywhere(check_threshold, 32768);
}

static void check_threshold_floats(struct gpu *g, const uint32_t dim[3])
{
    size_t n = ref_voxels(dim);
    float *floats = random_floats(dim, 19);
    uint8_t *want = need(n, 1);
    for (size_t i = 0; i < n; i++) {
        if (i % 5 == 0)
            floats[i] = i % 2 ? NAN : 0.1f;
        want[i] = (double)floats[i] >= 0.1 && (double)floats[i] <= 700.3;
    }
    struct gpu_volume *v = gpu_volume_write(g, dim, spacing, GPU_VOXEL_F32, floats, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(v);
    expect_mask(gpu_mask_threshold(v, 0.1, 700.3, &err), want);
    gpu_volume_destroy(v);
    free(floats);
    free(want);
}

static void threshold_of_floats_knows_bounds_between_floats(void)
{
    everywhere(check_threshold_floats, 32768);
}

static void check_combine(struct gpu *g, const uint32_t dim[3])
{
    size_t n = ref_voxels(dim);
    uint8_t *a = random_mask(dim, 0.5, 23), *b = random_mask(dim, 0.5, 29), *want = need(n, 1);
    struct gpu_mask *mb = mask_of(g, dim, b);
    for (int op = MASK_AND; op <= MASK_XOR; op++) {
        struct gpu_mask *ma = mask_of(g, dim, a);
        for (size_t i = 0; i < n; i++)
            want[i] = op == MASK_AND      ? a[i] & b[i]
                      : op == MASK_OR     ? a[i] | b[i]
                      : op == MASK_ANDNOT ? a[i] & !b[i]
                                          : a[i] ^ b[i];
        CU_ASSERT_TRUE(gpu_mask_combine(ma, (enum mask_op)op, mb, &err));
        expect_mask(ma, want);
    }
    struct gpu_mask *copy = gpu_mask_copy(mb, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    CU_ASSERT_TRUE(gpu_mask_invert(copy, &err));
    for (size_t i = 0; i < n; i++)
        want[i] = !b[i];
    expect_mask(copy, want);
    gpu_mask_destroy(mb);
    free(a);
    free(b);
    free(want);
}

static void combine_and_invert_equal_reference(void)
{
    everywhere(check_combine, 32768);
}

static void check_crop(struct gpu *g, const uint32_t dim[3])
{
    const uint32_t lo[3] = {dim[0] / 3, dim[1] / 4, dim[2] / 5};
    const uint32_t hi[3] = {dim[0] - dim[0] / 5, UINT32_MAX, dim[2] - dim[2] / 3};
    uint8_t *m = random_mask(dim, 0.7, 31), *want = need(ref_voxels(dim), 1);
    uint32_t *slices = need(dim[2], sizeof *slices), *counts = need(dim[2], sizeof *counts);
    uint64_t total = 0, count;
    size_t at = 0;
    for (uint32_t k = 0; k < dim[2]; k++) {
        for (uint32_t j = 0; j < dim[1]; j++) {
            for (uint32_t i = 0; i < dim[0]; i++, at++) {
                want[at] = m[at] && i >= lo[0] && i < hi[0] && j >= lo[1] && j < hi[1] &&
                           k >= lo[2] && k < hi[2];
                slices[k] += want[at];
                total += want[at];
            }
        }
    }
    struct gpu_mask *cropped = mask_of(g, dim, m);
    CU_ASSERT_TRUE(gpu_mask_crop(cropped, lo, hi, &err));
    CU_ASSERT_TRUE(gpu_mask_count(cropped, &count, &err));
    CU_ASSERT_EQUAL(count, total);
    CU_ASSERT_TRUE(gpu_mask_count_slices(cropped, counts, &err));
    CU_ASSERT_EQUAL(memcmp(counts, slices, dim[2] * sizeof *counts), 0);
    uint8_t *bytes = need(ref_voxels(dim), 1);
    CU_ASSERT_TRUE(gpu_mask_read(cropped, bytes, &err));
    CU_ASSERT_EQUAL(memcmp(bytes, want, ref_voxels(dim)), 0);
    expect_mask(cropped, want);
    free(bytes);
    free(m);
    free(want);
    free(slices);
    free(counts);
}

static void crop_and_count_equal_reference(void)
{
    everywhere(check_crop, 32768);
}

static void check_ball(struct gpu *g, const uint32_t dim[3])
{
    static const double radii[] = {0, 0.75, 3, 5};
    uint8_t *m = random_mask(dim, 0.004, 37), *rest = need(ref_voxels(dim), 1);
    uint8_t *want = need(ref_voxels(dim), 1);
    for (size_t i = 0; i < ref_voxels(dim); i++)
        rest[i] = !m[i];
    struct gpu_mask *few = mask_of(g, dim, m), *most = mask_of(g, dim, rest);
    for (size_t r = 0; r < sizeof radii / sizeof *radii; r++) {
        ref_dilate(m, dim, spacing, radii[r], false, want);
        expect_mask(gpu_mask_dilate(few, radii[r], &err), want);
        ref_dilate(m, dim, spacing, radii[r], true, want);
        expect_mask(gpu_mask_dilate_2d(few, radii[r], &err), want);
        ref_erode(rest, dim, spacing, radii[r], false, want);
        expect_mask(gpu_mask_erode(most, radii[r], &err), want);
        ref_erode(rest, dim, spacing, radii[r], true, want);
        expect_mask(gpu_mask_erode_2d(most, radii[r], &err), want);
    }
    gpu_mask_destroy(few);
    gpu_mask_destroy(most);
    free(m);
    free(rest);
    free(want);
}

static void dilate_and_erode_equal_reference(void)
{
    everywhere(check_ball, 32768);
}

static void dilate_reaches_31_columns(void)
{
    struct gpu *g = device_open((struct gpu_options){0});
    const uint32_t dim[3] = {200, 3, 1};
    const double fine[3] = {0.1, 1, 1};
    uint8_t *m = need(ref_voxels(dim), 1), *want = need(ref_voxels(dim), 1);
    m[300] = 1;
    struct gpu_mask *few = gpu_mask_write(g, dim, fine, m, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(few);
    ref_dilate(m, dim, fine, 3.1, false, want);
    expect_mask(gpu_mask_dilate(few, 3.1, &err), want);
    CU_ASSERT_PTR_NULL(gpu_mask_dilate(few, 3.2, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    gpu_mask_destroy(few);
    free(m);
    free(want);
    device_close(g);
}

static void check_distance(struct gpu *g, const uint32_t dim[3])
{
    static const double reaches[] = {2.2, 1000};
    uint8_t *m = random_mask(dim, 0.0005, 41);
    float *want = need(ref_voxels(dim), sizeof *want);
    m[ref_voxels(dim) / 2] = 1;
    struct gpu_mask *few = mask_of(g, dim, m);
    for (size_t r = 0; r < 2; r++) {
        if (r && gpu_device(g)->max_range_bytes <= 262144) // all slices at once do not fit
            continue;
        ref_distance2(m, dim, spacing, reaches[r], want);
        double most = 0;
        for (size_t i = 0; i < ref_voxels(dim); i++)
            most = fmax(most, want[i]);
        // Three products and two sums of float: 2^-23 each, on the largest.
        expect_floats(gpu_mask_distance2(few, reaches[r], &err), want, most * 5 * 1.2e-7);
    }
    gpu_mask_destroy(few);
    free(m);
    free(want);
}

static void distance_equals_search_of_all_pairs(void)
{
    everywhere(check_distance, 262144);
}

static void check_coarse(struct gpu *g, const uint32_t dim[3])
{
    static const uint32_t factors[][3] = {{1, 1, 1}, {2, 3, 1}, {5, 6, 2}, {32, 4, 7}};
    uint8_t *m = random_mask(dim, 0.3, 43), *want = need(ref_voxels(dim), 1);
    struct gpu_mask *fine = mask_of(g, dim, m);
    for (size_t f = 0; f < sizeof factors / sizeof *factors; f++) {
        for (uint32_t atleast = 0; atleast < 4; atleast++) {
            ref_mask_shrink(m, dim, factors[f], atleast, want);
            struct gpu_mask *coarse = gpu_mask_shrink(fine, factors[f], atleast, &err);
            CU_ASSERT_PTR_NOT_NULL_FATAL(coarse);
            uint8_t *large = need(ref_voxels(dim), 1);
            ref_mask_expand(want, coarse->dim, factors[f], dim, large);
            expect_mask(gpu_mask_expand(coarse, factors[f], dim, &err), large);
            expect_mask(coarse, want);
            free(large);
        }
    }
    gpu_mask_destroy(fine);
    free(m);
    free(want);
}

static void shrink_and_expand_of_masks_equal_reference(void)
{
    everywhere(check_coarse, 32768);
}

// ---- Components ----

static const int degrees[] = {4, 8, 6, 18, 26}; // in the order of enum connectivity

static void expect_components(struct gpu *g, const uint32_t dim[3], const uint8_t *m,
                              enum connectivity connectivity)
{
    size_t n = ref_voxels(dim);
    int16_t *values = random_values(dim, 47);
    uint32_t *labels = need(n, sizeof *labels), *have = need(n, sizeof *have);
    uint32_t count = ref_components(m, dim, degrees[connectivity], labels);
    struct gpu_mask *mask = mask_of(g, dim, m);
    struct gpu_volume *volume = values_of(g, dim, values);
    struct components *c = components_find(mask, connectivity, &err);
    if (!c)
        fprintf(stderr, "%s\n", err.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    CU_ASSERT_EQUAL_FATAL(c->count, count);

    struct component_run *runs = need(c->run_count, sizeof *runs);
    CU_ASSERT_TRUE(components_runs(c, runs, &err));
    bool ordered = true;
    for (uint32_t r = 0; r < c->run_count; r++) {
        ordered &= r == 0 || runs[r].row > runs[r - 1].row ||
                   (runs[r].row == runs[r - 1].row && runs[r].x0 > runs[r - 1].x1 + 1u);
        for (uint32_t x = runs[r].x0; x <= runs[r].x1; x++)
            have[(size_t)runs[r].row * dim[0] + x] = runs[r].label;
    }
    CU_ASSERT_TRUE(ordered);
    CU_ASSERT_EQUAL(memcmp(have, labels, n * sizeof *labels), 0);

    struct ref_stats *want = need(count, sizeof *want);
    struct component_stats *stats = need(count, sizeof *stats), *plain = need(count, sizeof *plain);
    ref_measure(labels, count, values, dim, want);
    CU_ASSERT_TRUE(components_measure(c, volume, stats, &err));
    CU_ASSERT_TRUE(components_measure(c, NULL, plain, &err));
    uint32_t wrong_values = 0, wrong_boxes = 0, wrong_sums = 0, wrong_plain = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct component_stats *s = &stats[i];
        wrong_values += s->voxels != want[i].voxels || s->min != want[i].min ||
                        s->max != want[i].max || s->sum != want[i].sum;
        wrong_plain +=
            plain[i].voxels != want[i].voxels || plain[i].sum || plain[i].min || plain[i].max;
        for (int a = 0; a < 3; a++) {
            wrong_boxes += s->box_lo[a] != want[i].box_lo[a] || s->box_hi[a] != want[i].box_hi[a];
            wrong_sums += s->index_sum[a] != want[i].index_sum[a] ||
                          plain[i].index_sum[a] != want[i].index_sum[a];
        }
    }
    CU_ASSERT_EQUAL(wrong_values + wrong_boxes + wrong_sums + wrong_plain, 0);
    if (wrong_values + wrong_boxes + wrong_sums + wrong_plain)
        fprintf(stderr, "%u values, %u boxes, %u sums, %u plain of %u wrong in %u x %u x %u, %d\n",
                wrong_values, wrong_boxes, wrong_sums, wrong_plain, count, dim[0], dim[1], dim[2],
                degrees[connectivity]);
    free(want);
    free(stats);
    free(plain);
    free(runs);
    free(values);
    free(labels);
    free(have);
    components_destroy(c);
    gpu_volume_destroy(volume);
    gpu_mask_destroy(mask);
}

static void check_components(struct gpu *g, const uint32_t dim[3])
{
    bool small = gpu_device(g)->max_range_bytes <= 32768; // the runs must be bound at once
    for (int c = CONNECT_4; c <= CONNECT_26; c++) {
        for (int d = 0; d < (small ? 1 : 4); d++) {
            static const double density[] = {0.01, 0.15, 0.5, 0.9};
            uint8_t *m = random_mask(dim, density[d], 53);
            expect_components(g, dim, m, (enum connectivity)c);
            free(m);
        }
    }
}

static void components_equal_flood_fill(void)
{
    everywhere(check_components, 32768);
}

// Shapes whose union-find trees are deep, and runs with very many neighbours.
static void components_of_combs_and_snakes_equal_flood_fill(void)
{
    struct gpu *g = device_open((struct gpu_options){0});
    const uint32_t dim[3] = {513, 130, 3};
    uint8_t *m = need(ref_voxels(dim), 1);
    for (int shape = 0; shape < 5; shape++) {
        size_t n = 0;
        for (uint32_t k = 0; k < dim[2]; k++) {
            for (uint32_t j = 0; j < dim[1]; j++) {
                for (uint32_t i = 0; i < dim[0]; i++, n++) {
                    bool comb = i % 2 == 0 || j == (shape == 1 ? 0 : dim[1] - 1);
                    bool snake = j % 2 == 0 || i == (j / 2 % 2 ? 0 : dim[0] - 1);
                    m[n] = shape == 0   ? 1
                           : shape <= 2 ? comb
                           : shape == 3 ? snake
                                        : (i + j + k) % 2 == 0;
                }
            }
        }
        for (int c = CONNECT_4; c <= CONNECT_26; c++)
            expect_components(g, dim, m, (enum connectivity)c);
    }
    free(m);
    device_close(g);
}

// A row of 8192 runs under one long run: more pairs than one invocation may take at a time.
static void components_of_very_wide_rows_settle(void)
{
    struct gpu *g = device_open((struct gpu_options){0});
    const uint32_t dim[3] = {KERNELS_DIM_MAX, 4, 2};
    uint8_t *m = need(ref_voxels(dim), 1);
    for (size_t n = 0; n < ref_voxels(dim); n++)
        m[n] = n / dim[0] % 2 == 1 || n % 2 == 0;
    expect_components(g, dim, m, CONNECT_8);
    expect_components(g, dim, m, CONNECT_26);
    free(m);
    device_close(g);
}

static void check_helpers(struct gpu *g, const uint32_t dim[3])
{
    size_t n = ref_voxels(dim);
    uint8_t *m = random_mask(dim, 0.012, 59), *seed = random_mask(dim, 0.02, 61);
    uint8_t *want = need(n, 1), *keep;
    uint32_t *labels = need(n, sizeof *labels);
    struct gpu_mask *mask = mask_of(g, dim, m), *seeds = mask_of(g, dim, seed);
    uint32_t count = ref_components(m, dim, 26, labels);
    uint32_t *voxels = need(count + 1, sizeof *voxels), largest = 0, touched = 0;
    keep = need(count + 1, 1);
    for (size_t i = 0; i < n; i++) {
        voxels[labels[i]] += labels[i] != 0;
        touched += labels[i] && seed[i] && !keep[labels[i]];
        keep[labels[i]] |= labels[i] && seed[i];
    }
    for (size_t i = 0; i < n; i++)
        want[i] = keep[labels[i]];
    expect_mask(gpu_mask_keep_touching(mask, seeds, CONNECT_26, &err), want);
    for (uint32_t l = 1; l <= count; l++)
        largest = voxels[l] > voxels[largest] ? l : largest;
    for (size_t i = 0; i < n; i++)
        want[i] = labels[i] && labels[i] == largest;
    uint64_t kept;
    expect_mask(gpu_mask_keep_largest(mask, 1, CONNECT_26, &kept, &err), want);
    CU_ASSERT_EQUAL(kept, voxels[largest]);
    for (size_t i = 0; i < n; i++)
        want[i] = labels[i] && voxels[labels[i]] >= 2;
    expect_mask(gpu_mask_keep_size(mask, 2, CONNECT_26, &err), want);

    struct components *c = components_find(mask, CONNECT_26, &err);
    uint32_t *overlap = need(count, sizeof *overlap), found = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    CU_ASSERT_TRUE(components_overlap(c, seeds, overlap, &err));
    for (uint32_t l = 0; l < count; l++)
        found += overlap[l] != 0;
    CU_ASSERT_EQUAL(found, touched);
    components_destroy(c);
    gpu_mask_destroy(mask);
    gpu_mask_destroy(seeds);
    free(overlap);
    free(voxels);
    free(keep);
    free(labels);
    free(want);
    free(m);
    free(seed);
}

static void keeping_components_equals_reference(void)
{
    everywhere(check_helpers, 32768);
}

static void check_holes(struct gpu *g, const uint32_t dim[3])
{
    size_t n = ref_voxels(dim);
    uint8_t *m = random_mask(dim, 0.6, 67), *want = need(n, 1);
    struct gpu_mask *mask = mask_of(g, dim, m);
    ref_fill_holes(m, dim, want);
    expect_mask(gpu_mask_fill_holes(mask, &err), want);
    gpu_mask_destroy(mask);
    free(want);
    free(m);
}

static void fill_holes_equals_reference(void)
{
    everywhere(check_holes, 0);
}

// ---- What is refused ----

static void operations_refuse_what_does_not_fit(void)
{
    struct gpu *g = device_open((struct gpu_options){.max_range = 32768});
    const uint32_t dim[3] = {64, 64, 9}, other[3] = {64, 64, 8}, none[3] = {0, 1, 1};
    const uint32_t huge[3] = {KERNELS_DIM_MAX, KERNELS_DIM_MAX, KERNELS_DIM_MAX};
    const uint32_t factor[3] = {2, 33, 2}, two[3] = {2, 2, 2};
    const double flat[3] = {1, 1, 0}, sigma[3] = {1, 1, 4};
    uint8_t *m = random_mask(dim, 0.5, 71);
    float *floats = random_floats(dim, 73);
    CU_ASSERT_PTR_NULL(gpu_mask_create(g, none, spacing, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    CU_ASSERT_PTR_NULL(gpu_mask_create(g, dim, flat, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    CU_ASSERT_PTR_NULL(gpu_mask_create(g, huge, spacing, &err));
    CU_ASSERT_EQUAL(err.code, ERR_UNSUPPORTED);
    CU_ASSERT_PTR_NULL(gpu_volume_create(g, huge, spacing, GPU_VOXEL_I16, &err));
    CU_ASSERT_EQUAL(err.code, ERR_UNSUPPORTED);

    struct gpu_mask *a = mask_of(g, dim, m), *b = mask_of(g, other, m);
    struct gpu_volume *v = gpu_volume_write(g, dim, spacing, GPU_VOXEL_F32, floats, &err);
    CU_ASSERT_FALSE(gpu_mask_combine(a, MASK_AND, b, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    CU_ASSERT_PTR_NULL(gpu_mask_shrink(a, factor, 0, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    CU_ASSERT_PTR_NULL(gpu_mask_expand(b, two, dim, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    CU_ASSERT_PTR_NULL(gpu_volume_shrink(v, two, NULL, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    CU_ASSERT_PTR_NULL(gpu_volume_mip(v, 2, 0, 1, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    CU_ASSERT_PTR_NULL(gpu_mask_distance2(a, INFINITY, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    // Half of these voxels are runs of their own: 9000 of 8 bytes do not fit in 32 KiB.
    CU_ASSERT_PTR_NULL(components_find(a, CONNECT_6, &err));
    CU_ASSERT_EQUAL(err.code, ERR_UNSUPPORTED);
    // A slice and its neighbours up to 8 away cannot be bound together.
    CU_ASSERT_PTR_NULL(gpu_volume_smooth(v, sigma, &err));
    CU_ASSERT_EQUAL(err.code, ERR_UNSUPPORTED);
    gpu_mask_destroy(a);
    gpu_mask_destroy(b);
    gpu_volume_destroy(v);
    free(m);
    free(floats);
    device_close(g);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"slices_are_written_in_runs", slices_are_written_in_runs},
        {"shrink_equals_reference", shrink_equals_reference},
        {"resample_equals_reference", resample_equals_reference},
        {"smooth_equals_reference", smooth_equals_reference},
        {"mip_equals_reference", mip_equals_reference},
        {"threshold_equals_reference", threshold_equals_reference},
        {"threshold_of_floats_knows_bounds_between_floats",
         threshold_of_floats_knows_bounds_between_floats},
        {"combine_and_invert_equal_reference", combine_and_invert_equal_reference},
        {"crop_and_count_equal_reference", crop_and_count_equal_reference},
        {"dilate_and_erode_equal_reference", dilate_and_erode_equal_reference},
        {"dilate_reaches_31_columns", dilate_reaches_31_columns},
        {"distance_equals_search_of_all_pairs", distance_equals_search_of_all_pairs},
        {"shrink_and_expand_of_masks_equal_reference", shrink_and_expand_of_masks_equal_reference},
        {"components_equal_flood_fill", components_equal_flood_fill},
        {"components_of_combs_and_snakes_equal_flood_fill",
         components_of_combs_and_snakes_equal_flood_fill},
        {"components_of_very_wide_rows_settle", components_of_very_wide_rows_settle},
        {"keeping_components_equals_reference", keeping_components_equals_reference},
        {"fill_holes_equals_reference", fill_holes_equals_reference},
        {"operations_refuse_what_does_not_fit", operations_refuse_what_does_not_fit},
    };
    return check_main("gpu/kernels", cases, sizeof cases / sizeof *cases);
}
