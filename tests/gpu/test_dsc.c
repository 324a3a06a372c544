// The kernels of the dsc stage: relaxation rate and leakage against plain C in double precision.
#include <math.h>
#include <string.h>
#include "compute/stages/dsc/dsc_curves.h"
#include "tests/gpu/device.h"

enum { NX = 37, NY = 5, VOXELS = NX * NY, STEPS = 30, BEFORE = 5 }; // one slice: planes are steps
static const uint32_t dim[3] = {NX, NY, 1}, planes_dim[3] = {NX, NY, STEPS};
static const double spacing[3] = {2, 2, 5};
static struct gpu *gpu;
static float values[STEPS][VOXELS], found[STEPS][VOXELS];
static uint8_t mask[VOXELS];

static uint32_t drawn = 4711;
static double draw(void) // 0..1
{
    drawn = drawn * 1664525u + 1013904223u;
    return (drawn >> 8) / (double)(1 << 24);
}

static void rates_are_logarithms_of_the_signal(void)
{
    static float broken[VOXELS];
    struct err err = {0};
    for (int n = 0; n < VOXELS; n++) {
        mask[n] = draw() < 0.8;
        for (int p = 0; p < STEPS; p++)
            values[p][n] = (float)exp(12 * draw()); // 1 to 160000
    }
    mask[3] = 1;
    values[7][3] = values[8][3] = 0;
    struct gpu_volume *curves =
        gpu_volume_write(gpu, planes_dim, spacing, GPU_VOXEL_F32, values, &err);
    struct gpu_volume *bad = gpu_volume_create(gpu, dim, spacing, GPU_VOXEL_F32, &err);
    struct gpu_mask *in = gpu_mask_write(gpu, dim, spacing, mask, &err);
    CU_ASSERT_FATAL(curves && bad && in);
    CU_ASSERT_FATAL(dsc_rate(curves, STEPS, in, 0.03, 0.5, bad, &err) &&
                    gpu_volume_read(curves, 0, STEPS, found, &err) &&
                    gpu_volume_read(bad, 0, 1, broken, &err));
    double worst = 0;
    for (int n = 0; n < VOXELS; n++) {
        CU_ASSERT_EQUAL(broken[n], n == 3 ? 2 : 0);
        for (int p = 0; p < STEPS; p++) {
            const double expected = mask[n] ? -log(fmax((double)values[p][n], 0.5)) / 0.03 : 0;
            worst = fmax(worst, fabs((double)found[p][n] - expected));
        }
    }
    CU_ASSERT_TRUE(worst < 1e-4); // of up to 400 /s
    gpu_mask_destroy(in);
    gpu_volume_destroy(bad);
    gpu_volume_destroy(curves);
}

// Curves that are K1 m - K2 int(m): K2 comes back, and the area that m alone would have had.
static void leakage_is_given_back(void)
{
    static float k2[VOXELS], area[VOXELS];
    double mean[STEPS], integral[STEPS], sum = 0, true_k1[VOXELS], true_k2[VOXELS];
    struct err err = {0};
    for (int s = 0; s < STEPS; s++) {
        const double u = s > BEFORE ? (s - BEFORE) / 4.0 : 0;
        mean[s] = 5 * u * u * u * exp(3 * (1 - u));
        integral[s] = s ? integral[s - 1] + 1.5 * (mean[s] + mean[s - 1]) / 2 : 0;
        sum += s >= BEFORE ? mean[s] : 0;
    }
    for (int n = 0; n < VOXELS; n++) {
        mask[n] = draw() < 0.8;
        true_k1[n] = 0.3 + 2 * draw();
        true_k2[n] = 0.1 * draw() - 0.03;
        for (int s = 0; s < STEPS; s++)
            values[s][n] = (float)(true_k1[n] * mean[s] - true_k2[n] * integral[s]);
    }
    struct gpu_volume *curves =
        gpu_volume_write(gpu, planes_dim, spacing, GPU_VOXEL_F32, values, &err);
    struct gpu_volume *one = gpu_volume_create(gpu, dim, spacing, GPU_VOXEL_F32, &err);
    struct gpu_volume *two = gpu_volume_create(gpu, dim, spacing, GPU_VOXEL_F32, &err);
    struct gpu_mask *in = gpu_mask_write(gpu, dim, spacing, mask, &err);
    CU_ASSERT_FATAL(curves && one && two && in);
    struct dsc_leak leak = {mean, STEPS, 1.5, BEFORE};
    CU_ASSERT_FATAL(dsc_leak_of(curves, in, &leak, one, two, &err) &&
                    gpu_volume_read(one, 0, 1, k2, &err) && gpu_volume_read(two, 0, 1, area, &err));
    for (int n = 0; n < VOXELS; n++) {
        CU_ASSERT_DOUBLE_EQUAL(k2[n], mask[n] ? true_k2[n] : 0, 1e-5);
        CU_ASSERT_DOUBLE_EQUAL(area[n], mask[n] ? true_k1[n] * sum : 0, 1e-3 * sum);
    }
    memset(mean, 0, sizeof mean);
    CU_ASSERT_FALSE(dsc_leak_of(curves, in, &leak, one, two, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    gpu_mask_destroy(in);
    gpu_volume_destroy(two);
    gpu_volume_destroy(one);
    gpu_volume_destroy(curves);
}

// The last case: all others have run on the device.
static void validation_is_silent(void)
{
    device_close(gpu);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"rates_are_logarithms_of_the_signal", rates_are_logarithms_of_the_signal},
        {"leakage_is_given_back", leakage_is_given_back},
        {"validation_is_silent", validation_is_silent},
    };
    gpu = device_open((struct gpu_options){0});
    return check_main("dsc", cases, sizeof cases / sizeof cases[0]);
}
