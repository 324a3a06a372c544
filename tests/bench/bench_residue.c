// Deconvolution of a CT perfusion scan (128 x 128 x 16 voxels of which about half are tissue, 60
// steps) on the device, beside a straightforward C loop of the same oSVD: for each voxel the
// truncated inverse times the curve, level by level, until the residue function is smooth. Prints
// both and how far they are apart. On a busy machine, trust the processor time. usage:
// bench_residue [FILE]   FILE: gets artery [60] and curves [voxels][60] as float32, for
// bench_perfusion.py
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "compute/stages/perfusion/perfusion_curves.h"
#include "tests/bench/bench.h"
#include "tests/ref/perfusion.h"

enum { SIDE = 128, SLICES = 16, STEPS = 60, AREA = SIDE * SIDE, VOXELS = AREA * SLICES, RUNS = 3 };
static const uint32_t dim[3] = {SIDE, SIDE, SLICES};
static const double spacing[3] = {1.7, 1.7, 5};
static double artery[STEPS];
static float curves[VOXELS][STEPS], planes[SLICES * STEPS][AREA];
static uint8_t mask[VOXELS];
static struct err err;

static void make_curves(void)
{
    for (int n = 0; n < STEPS; n++) {
        const double u = fmax(n - 8.0, 0) / 3;
        artery[n] = 300 * u * u * u * exp(3 * (1 - u));
    }
    for (int v = 0; v < VOXELS; v++) {
        const int x = v % SIDE - SIDE / 2, y = v / SIDE % SIDE - SIDE / 2;
        mask[v] = x * x + y * y < AREA / 6;
        if (!mask[v])
            continue;
        const double transit = 3 + 9 * bench_draw(), flow = (10 + 50 * bench_draw()) / 4200;
        const int late = (int)(10 * bench_draw());
        for (int n = 0; n < STEPS; n++) {
            double sum = 0;
            for (int m = 0; m + late <= n; m++)
                sum += artery[m] * exp(-(n - late - m) / transit);
            curves[v][n] =
                (float)(flow * sum + 1.0 * (bench_draw() + bench_draw() + bench_draw() - 1.5));
            planes[v / AREA * STEPS + n][v % AREA] = curves[v][n];
        }
    }
}

// Maximum of the residue function.
static float plain_peak(const float *curve, const float *matrix, const struct perfusion_cut *cut)
{
    const uint32_t rows = perfusion_rows(STEPS);
    float r[2 * STEPS + 8];
    for (uint32_t level = 0; level < cut->levels; level++) {
        float bend = 0, top = 0;
        for (uint32_t i = 0; i < rows; i++) {
            const float *m = matrix + (size_t)level * rows * STEPS + (size_t)(i / 8) * STEPS * 8;
            r[i] = 0;
            for (uint32_t n = 0; n < STEPS; n++)
                r[i] += m[n * 8 + i % 8] * curve[n];
            top = r[i] > top ? r[i] : top;
            bend += i > 1 ? fabsf(r[i] - 2 * r[i - 1] + r[i - 2]) : 0;
        }
        if (level + 1 == cut->levels ||
            (top > 0 && bend <= (float)cut->oscillation * (float)rows * top))
            return top;
    }
    return 0;
}

int main(int argc, char **argv)
{
    const uint32_t rows = perfusion_rows(STEPS);
    static float peak[VOXELS], plain[VOXELS];
    double gain[PERFUSION_LEVELS_MAX];
    struct perfusion_cut cut = {.levels = PERFUSION_LEVELS_MAX, .oscillation = 0.095};
    cut.early = rows; // all rows, as the loop has it
    for (uint32_t n = 0; n < cut.levels; n++)
        cut.share[n] = 0.05 * (n + 1);
    float *matrix = malloc((size_t)cut.levels * rows * STEPS * sizeof *matrix);
    make_curves();
    const struct gpu_options options = {0};
    struct gpu *gpu = gpu_create(&options, &err);
    struct perfusion_inverse inverse;
    bench_need(gpu && matrix && ref_perfusion_matrix(artery, STEPS, 1, &cut, matrix, gain) &&
                   perfusion_invert(artery, STEPS, 1, &cut, &inverse),
               &err);
    struct gpu_volume *on_device = perfusion_planes(gpu, dim, spacing, STEPS, &err);
    struct gpu_mask *in = gpu_mask_write(gpu, dim, spacing, mask, &err);
    bench_need(on_device && in &&
                   gpu_volume_write_slices(on_device, 0, SLICES * STEPS, planes, &err),
               &err);
    double device_s = INFINITY, device_cpu = INFINITY;
    for (int run = 0; run <= RUNS; run++) { // the first warms up
        struct perfusion_flow flow;
        const double wall = clock_steady(), cpu = clock_cpu();
        bench_need(perfusion_flow_of(on_device, in, &inverse, &cut, &flow, &err) &&
                       gpu_volume_read(flow.peak, 0, SLICES, peak, &err),
                   &err);
        device_s = run ? fmin(device_s, clock_steady() - wall) : device_s;
        device_cpu = run ? fmin(device_cpu, clock_cpu() - cpu) : device_cpu;
        perfusion_flow_finish(&flow);
    }
    uint64_t count = 0;
    double off = 0;
    const double wall = clock_steady(), cpu = clock_cpu();
    for (int v = 0; v < VOXELS; v++)
        plain[v] = mask[v] ? plain_peak(curves[v], matrix, &cut) : 0;
    const double plain_s = clock_steady() - wall, plain_cpu = clock_cpu() - cpu;
    for (int v = 0; v < VOXELS; v++) {
        count += mask[v];
        off += mask[v] && fabsf(peak[v] - plain[v]) > 1e-3f * plain[v];
    }
    printf("oSVD of %lu curves of %d steps, %u terms\n", (unsigned long)count, STEPS,
           inverse.terms);
    printf("device   %6.2f s, processor %6.2f s\n", device_s, device_cpu);
    printf("plain C  %6.2f s, processor %6.2f s (one thread)\n", plain_s, plain_cpu);
    printf("differ by more than 0.1 %%: %.0f voxels\n", off);
    FILE *file = argc > 1 ? fopen(argv[1], "wb") : NULL;
    for (int n = 0; file && n < STEPS; n++) {
        const float a = (float)artery[n];
        fwrite(&a, sizeof a, 1, file);
    }
    for (int v = 0; file && v < VOXELS; v++)
        fwrite(curves[v], sizeof curves[v], mask[v], file);
    if (file)
        fclose(file);
    gpu_mask_destroy(in);
    gpu_volume_destroy(on_device);
    gpu_destroy(gpu);
    perfusion_inverse_finish(&inverse);
    free(matrix);
    return 0;
}
