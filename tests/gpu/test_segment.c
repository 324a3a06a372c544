// The kernels of the segment stage against plain C.
#include <string.h>
#include "compute/stages/segment/segment_kernels.h"
#include "tests/gpu/device.h"

enum { NX = 71, NY = 9, NZ = 6, VOXELS = NX * NY * NZ, LO = 110, RANGE = 60 };
static const uint32_t dim[3] = {NX, NY, NZ};
static const double spacing[3] = {0.7, 0.7, 5};
static struct gpu *gpu;
static int16_t values[VOXELS];
static uint8_t mask[VOXELS], found[VOXELS];

static uint32_t drawn = 1147;
static uint32_t draw(uint32_t below)
{
    drawn = drawn * 1664525u + 1013904223u;
    return (drawn >> 8) % below;
}

static int clamped(int n, int count)
{
    return n < 0 ? 0 : n < count ? n : count - 1;
}

static int index_of(int i, int j, int k)
{
    return (clamped(k, NZ) * NY + clamped(j, NY)) * NX + clamped(i, NX);
}

static bool is_even(int i, int j, int k)
{
    int least = INT16_MAX, most = INT16_MIN;
    for (int n = 0; n < 27; n++) {
        const int hu = values[index_of(i + n % 3 - 1, j + n / 3 % 3 - 1, k + n / 9 - 1)];
        least = hu < least ? hu : least;
        most = hu > most ? hu : most;
    }
    return values[index_of(i, j, k)] >= LO && most - least <= RANGE;
}

// Blocks of even values on both sides of the lower bound, with single voxels that break them.
static void even_places_are_those_of_plain_c(void)
{
    struct err err = {0};
    int set = 0, wrong = 0;
    for (int n = 0; n < VOXELS; n++) {
        const int block = n % NX / 12;
        values[n] = (int16_t)(60 + 30 * block + (int)draw(RANGE) + (draw(60) == 0 ? 40 : 0));
    }
    struct gpu_volume *v = gpu_volume_write(gpu, dim, spacing, GPU_VOXEL_I16, values, &err);
    struct gpu_mask *even = v ? segment_even(v, LO, RANGE, &err) : NULL;
    CU_ASSERT_FATAL(even && gpu_mask_read(even, found, &err));
    for (int n = 0; n < VOXELS; n++) {
        const bool expected = is_even(n % NX, n / NX % NY, n / (NX * NY));
        set += expected;
        wrong += found[n] != expected;
    }
    CU_ASSERT_TRUE(set > VOXELS / 20 && set < VOXELS * 3 / 4);
    CU_ASSERT_EQUAL(wrong, 0);
    gpu_mask_destroy(even);
    gpu_volume_destroy(v);
}

static void neighbouring_slices_are_marked(void)
{
    struct err err = {0};
    int wrong = 0;
    for (int n = 0; n < VOXELS; n++)
        mask[n] = draw(5) == 0;
    struct gpu_mask *m = gpu_mask_write(gpu, dim, spacing, mask, &err);
    struct gpu_mask *wide = m ? segment_above_below(m, &err) : NULL;
    CU_ASSERT_FATAL(wide && gpu_mask_read(wide, found, &err));
    for (int n = 0; n < VOXELS; n++) {
        const int i = n % NX, j = n / NX % NY, k = n / (NX * NY);
        wrong += found[n] != (mask[index_of(i, j, k - 1)] | mask[n] | mask[index_of(i, j, k + 1)]);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    gpu_mask_destroy(wide);
    gpu_mask_destroy(m);
}

static void what_is_missing_is_passed_on(void)
{
    struct err err = {0};
    struct gpu_mask *m = gpu_mask_write(gpu, dim, spacing, mask, &err);
    CU_ASSERT_FALSE(segment_merge(NULL, MASK_AND, m, &err));
    CU_ASSERT_FALSE(segment_merge(m, MASK_AND, NULL, &err));
    CU_ASSERT_TRUE(segment_merge(m, MASK_ANDNOT, m, &err));
    CU_ASSERT_TRUE(gpu_mask_read(m, found, &err));
    CU_ASSERT_PTR_NULL(memchr(found, 1, sizeof found));
    gpu_mask_destroy(m);
}

// The last case: all others have run on the device.
static void validation_is_silent(void)
{
    device_close(gpu);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"even_places_are_those_of_plain_c", even_places_are_those_of_plain_c},
        {"neighbouring_slices_are_marked", neighbouring_slices_are_marked},
        {"what_is_missing_is_passed_on", what_is_missing_is_passed_on},
        {"validation_is_silent", validation_is_silent},
    };
    gpu = device_open((struct gpu_options){0});
    return check_main("segment", cases, sizeof cases / sizeof cases[0]);
}
