// Time of each operation on the device beside the processor time of a plain C loop for the same
// thing. Not a test: prints a table; on a busy machine, trust the processor time. usage:
// bench_kernels [slices] (512 x 512 x slices; 48 unless told)
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "compute/kernels/kernels.h"
#include "base/log.h"
#include "tests/bench/bench.h"
#include "tests/ref/ref.h"

#define REPEATS 5

static struct err err;
static struct gpu *gpu;
static uint32_t dim[3] = {512, 512, 48};
static const double spacing[3] = {0.4, 0.4, 3};
static int16_t *values;
static uint8_t *bytes;
static struct gpu_volume *volume, *work;
static struct gpu_mask *sparse, *solid, *work_mask;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

// All threads, the driver's too.
static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

// An operation's first and median time, its median processor time, and the time of its twin, which
// may be NULL.
static void row(const char *name, void (*operation)(void), void (*twin)(void))
{
    double wall[REPEATS], cpu[REPEATS], first = 0, plain = 0;
    for (int r = 0; r < REPEATS; r++) {
        bench_need(gpu_finish(gpu, &err), &err);
        wall[r] = now_ms();
        cpu[r] = cpu_ms();
        operation();
        bench_need(gpu_finish(gpu, &err), &err);
        wall[r] = now_ms() - wall[r];
        cpu[r] = cpu_ms() - cpu[r];
        first = r ? first : wall[0];
    }
    qsort(wall, REPEATS, sizeof *wall, by_value);
    qsort(cpu, REPEATS, sizeof *cpu, by_value);
    if (twin) {
        plain = cpu_ms();
        twin();
        plain = cpu_ms() - plain;
    }
    printf("%-34s %9.1f %9.1f %9.1f", name, first, wall[REPEATS / 2], cpu[REPEATS / 2]);
    if (twin)
        printf(" %9.1f", plain);
    printf("\n");
}

static void run_upload(void)
{
    struct gpu_volume *made = gpu_volume_write(gpu, dim, spacing, GPU_VOXEL_I16, values, &err);
    bench_need(made, &err);
    gpu_volume_destroy(made);
}

static void plain_upload(void)
{
    size_t n = ref_voxels(dim);
    int16_t *out = malloc(n * sizeof *out);
    for (size_t i = 0; out && i < n; i++) {
        int v = values[i];
        out[i] = (int16_t)(v > 32767 ? 32767 : v);
    }
    bytes[0] = out ? (uint8_t)out[n - 1] : 0;
    free(out);
}

static void run_threshold(void)
{
    struct gpu_mask *m = gpu_mask_threshold(volume, 130, 32767, &err);
    bench_need(m, &err);
    gpu_mask_destroy(m);
}

static void plain_threshold(void)
{
    ref_threshold(values, ref_voxels(dim), 130, 32767, bytes);
}

static const uint32_t factor[3] = {6, 6, 1};

static void run_shrink(void)
{
    struct gpu_volume *v = gpu_volume_shrink(volume, factor, NULL, &err);
    bench_need(v, &err);
    gpu_volume_destroy(v);
}

static void plain_shrink(void)
{
    int16_t *out = malloc(ref_voxels(dim) * sizeof *out);
    bench_need(out, &err);
    ref_shrink(values, dim, factor, NULL, out);
    free(out);
}

static void run_components(void)
{
    struct components *c = components_find(sparse, CONNECT_26, &err);
    bench_need(c, &err);
    components_destroy(c);
}

static void plain_components(void)
{
    uint32_t *labels = malloc(ref_voxels(dim) * sizeof *labels);
    bench_need(labels, &err);
    plain_threshold();
    ref_components(bytes, dim, 26, labels);
    free(labels);
}

static void run_components_2d(void)
{
    struct components *c = components_find(sparse, CONNECT_8, &err);
    bench_need(c, &err);
    struct component_stats *s = malloc((c->count + 1ul) * sizeof *s);
    bench_need(s && components_measure(c, volume, s, &err), &err);
    free(s);
    components_destroy(c);
}

static void run_holes(void)
{
    struct gpu_mask *m = gpu_mask_fill_holes(solid, &err);
    bench_need(m, &err);
    gpu_mask_destroy(m);
}

static void run_largest(void)
{
    struct gpu_mask *m = gpu_mask_keep_largest(solid, 1, CONNECT_6, NULL, &err);
    bench_need(m, &err);
    gpu_mask_destroy(m);
}

static void run_dilate(void)
{
    struct gpu_mask *m = gpu_mask_dilate(sparse, 4, &err);
    bench_need(m, &err);
    gpu_mask_destroy(m);
}

static void plain_dilate(void)
{
    uint8_t *out = malloc(ref_voxels(dim));
    bench_need(out, &err);
    plain_threshold();
    ref_dilate(bytes, dim, spacing, 4, false, out);
    free(out);
}

static void run_combine(void)
{
    struct gpu_mask *m = gpu_mask_copy(solid, &err);
    bench_need(m && gpu_mask_combine(m, MASK_ANDNOT, sparse, &err), &err);
    gpu_mask_destroy(m);
}

static void run_count(void)
{
    uint64_t n;
    bench_need(gpu_mask_count(solid, &n, &err), &err);
}

static void run_smooth(void)
{
    const double sigma[3] = {2.5, 2.5, 3};
    struct gpu_volume *v = gpu_volume_smooth(work, sigma, &err);
    bench_need(v, &err);
    gpu_volume_destroy(v);
}

static void run_distance(void)
{
    struct gpu_volume *v = gpu_mask_distance2(work_mask, 30, &err);
    bench_need(v, &err);
    gpu_volume_destroy(v);
}

static void run_expand(void)
{
    struct gpu_mask *m = gpu_mask_expand(work_mask, factor, dim, &err);
    bench_need(m, &err);
    gpu_mask_destroy(m);
}

static void run_mask_shrink(void)
{
    struct gpu_mask *m = gpu_mask_shrink(sparse, factor, 1, &err);
    bench_need(m, &err);
    gpu_mask_destroy(m);
}

static void run_mip(void)
{
    for (unsigned axis = 0; axis < 3; axis++) {
        struct gpu_volume *v = gpu_volume_mip(volume, axis, 0, dim[axis], &err);
        bench_need(v, &err);
        gpu_volume_destroy(v);
    }
}

static void plain_mip(void)
{
    int16_t *out = malloc(ref_voxels(dim) * sizeof *out);
    bench_need(out, &err);
    for (unsigned axis = 0; axis < 3; axis++)
        ref_mip(values, dim, axis, 0, dim[axis], out);
    free(out);
}

// A trunk of soft tissue with noise in air, some 2 % of it dense balls.
static void make_values(void)
{
    uint32_t seed = 1;
    values = malloc(ref_voxels(dim) * sizeof *values);
    bytes = malloc(ref_voxels(dim));
    bench_need(values && bytes, &err);
    size_t n = 0;
    for (uint32_t k = 0; k < dim[2]; k++) {
        for (uint32_t j = 0; j < dim[1]; j++) {
            for (uint32_t i = 0; i < dim[0]; i++, n++) {
                double x = (i - 256.0) / 230, y = (j - 256.0) / 180;
                double bx = fmod(i, 64) - 32, by = fmod(j, 64) - 32, bz = fmod(k, 16) - 8;
                seed = seed * 1664525u + 1013904223u;
                int grain = (int)(seed >> 27) - 16;
                bool body = x * x + y * y < 1, ball = bx * bx + by * by + 9 * bz * bz < 120;
                values[n] = (int16_t)((body ? ball ? 400 : 40 : -1000) + grain);
            }
        }
    }
}

int main(int argc, char **argv)
{
    static const struct kernel_group *const all[] = {
        &kernels_shrink, &kernels_resample, &kernels_smooth,   &kernels_mip,        &kernels_masks,
        &kernels_ball,   &kernels_coarse,   &kernels_distance, &kernels_components, NULL};
    log_init(LOG_LEVEL_ERROR, "bench");
    long slices = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    if (slices > 0 && slices <= 1000)
        dim[2] = (uint32_t)slices;
    make_values();
    gpu = gpu_create(NULL, &err);
    bench_need(gpu, &err);
    printf("%s, %u x %u x %u, ms\n", gpu_device(gpu)->name, dim[0], dim[1], dim[2]);
    double start = now_ms();
    bench_need(kernels_prepare(gpu, all, &err), &err);
    printf("warming up: %.0f ms\n%-34s %9s %9s %9s %9s\n", now_ms() - start, "", "first", "median",
           "cpu", "plain C");
    row("upload", run_upload, plain_upload);
    volume = gpu_volume_write(gpu, dim, spacing, GPU_VOXEL_I16, values, &err);
    bench_need(volume, &err);
    sparse = gpu_mask_threshold(volume, 130, 32767, &err);
    solid = gpu_mask_threshold(volume, -300, 32767, &err);
    work = gpu_volume_shrink(volume, factor, NULL, &err);
    bench_need(sparse && solid && work, &err);
    work_mask = gpu_mask_threshold(work, 130, 32767, &err);
    bench_need(work_mask, &err);
    row("threshold", run_threshold, plain_threshold);
    row("shrink 6x6x1", run_shrink, plain_shrink);
    row("components, 26, sparse", run_components, plain_components);
    row("components, 8, with measurement", run_components_2d, NULL);
    row("largest component of the body, 6", run_largest, NULL);
    row("fill holes of the body", run_holes, NULL);
    row("dilate by 4 mm", run_dilate, plain_dilate);
    row("copy and combine", run_combine, NULL);
    row("count", run_count, NULL);
    row("projection along all axes", run_mip, plain_mip);
    row("mask shrink 6x6x1", run_mask_shrink, NULL);
    row("mask expand 6x6x1", run_expand, NULL);
    row("smooth work grid", run_smooth, NULL);
    row("distance up to 30 mm, work grid", run_distance, NULL);
    printf("peak %.0f MB in buffers\n", (double)gpu_peak_bytes(gpu) / 1e6);
    gpu_volume_destroy(volume);
    gpu_volume_destroy(work);
    gpu_mask_destroy(sparse);
    gpu_mask_destroy(solid);
    gpu_mask_destroy(work_mask);
    gpu_destroy(gpu);
    free(values);
    free(bytes);
    return 0;
}
