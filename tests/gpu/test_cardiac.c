// The shaders of the cardiac analysis against plain C (tests/ref/cardiac.h), at odd sizes.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "compute/image/load.h"
#include "compute/stages/cardiac/cardiac_cine.h"
#include "tests/gpu/device.h"
#include "tests/ref/cardiac.h"

static struct gpu *gpu;
static struct err err;

enum { COLUMNS = 75, ROWS = 61, SLICES = 3, PHASES = 7, LESS = 5 };

// The last slice has fewer phases. Values are integers, or have fractions that int16 has not.
static float value_at(uint32_t k, uint32_t p, uint32_t j, uint32_t i, bool whole)
{
    const double x = (i - 36.0) * 1.1, y = (j - 30.0) * 1.3;
    const double radius = 18 - 5 * sin(M_PI * p / PHASES) - k;
    const double edge = 1 / (1 + exp((hypot(x, y) - radius) / 1.5));
    const double value = 100 + 400 * edge + (double)((i * 7 + j * 13 + k * 29 + p * 31) % 17);
    return (float)(whole ? floor(value) : value + 0.25);
}

static bool read_values(void *ctx, const uint32_t *frames, size_t count, enum image_voxel type,
                        void *voxels, struct err *e)
{
    (void)e;
    for (size_t n = 0; n < count; n++) {
        const uint32_t k = frames[n] % SLICES, p = frames[n] / SLICES;
        for (uint32_t at = 0; at < ROWS * COLUMNS; at++) {
            const float v = value_at(k, p, at / COLUMNS, at % COLUMNS, *(bool *)ctx);
            if (type == IMAGE_I16)
                ((int16_t *)voxels)[n * ROWS * COLUMNS + at] = (int16_t)v;
            else
                ((float *)voxels)[n * ROWS * COLUMNS + at] = v;
        }
    }
    return true;
}

struct made_cine {
    struct image_frame frames[SLICES * PHASES];
    uint32_t frame[SLICES * PHASES];
    struct image_pixels pixels;
    struct image_set set;
    struct image image;
    bool whole;
};

static void make_set(struct made_cine *m, bool whole, double pixel_mm)
{
    memset(m, 0, sizeof *m);
    m->whole = whole;
    for (uint32_t n = 0; n < SLICES * PHASES; n++)
        m->frame[n] = n % SLICES == SLICES - 1 && n / SLICES >= LESS ? IMAGE_NO_FRAME : n;
    m->pixels = (struct image_pixels){.ctx = &m->whole, .read = read_values};
    m->image = (struct image){.dim = {COLUMNS, ROWS, SLICES, PHASES},
                              .placed = true,
                              .spacing = {pixel_mm, pixel_mm * 1.2, 8},
                              .type = whole ? IMAGE_I16 : IMAGE_F32,
                              .axis = IMAGE_PHASE,
                              .frame = m->frame,
                              .missing = PHASES - LESS};
    m->set = (struct image_set){.frames = m->frames,
                                .frame_count = SLICES * PHASES,
                                .images = &m->image,
                                .image_count = 1,
                                .pixels = &m->pixels};
}

static double brightest_level(const struct cardiac_cine *c)
{
    double top = 0;
    for (size_t n = 0; n < (size_t)c->columns * c->rows; n++)
        top = fmax(top, cardiac_cine_frame(c, 0, 0)[n]);
    return top;
}

static double brightest_block(const double *blocks, size_t pixels)
{
    double top = 0;
    for (size_t n = 0; n < pixels; n++)
        top = fmax(top, blocks[n]);
    return top;
}

static void check_motion(bool whole, double pixel_mm, uint32_t factor)
{
    struct made_cine m;
    struct cardiac_cine c;
    struct arena *arena = arena_create();
    make_set(&m, whole, pixel_mm);
    CU_ASSERT_EQUAL_FATAL(cardiac_cine_factor(&m.image), factor);
    CU_ASSERT_TRUE_FATAL(cardiac_cine_load(gpu, &m.set, &m.image, NULL, NULL, arena, &c, &err));
    CU_ASSERT_EQUAL(c.columns, (COLUMNS + factor - 1) / factor);
    CU_ASSERT_EQUAL(c.phases[0], PHASES);
    CU_ASSERT_EQUAL(c.phases[SLICES - 1], LESS);
    const size_t pixels = (size_t)c.columns * c.rows;
    double *sums = calloc(4 * pixels, sizeof *sums), worst = 0, level = 0, scale = 0;
    float *values = malloc(ROWS * COLUMNS * sizeof *values);
    CU_ASSERT_FATAL(sums && values);
    for (uint32_t k = 0; k < SLICES; k++) {
        memset(sums, 0, 4 * pixels * sizeof *sums);
        for (uint32_t p = 0; p < c.phases[k]; p++) {
            for (uint32_t at = 0; at < ROWS * COLUMNS; at++)
                values[at] = value_at(k, p, at / COLUMNS, at % COLUMNS, whole);
            ref_cardiac_motion(values, COLUMNS, ROWS, factor, c.phases[k], p, sums, sums + pixels,
                               sums + 2 * pixels, sums + 3 * pixels);
            const uint16_t *frame = cardiac_cine_frame(&c, k, p);
            if (scale == 0)
                scale = brightest_level(&c) / brightest_block(sums + 3 * pixels, pixels);
            for (size_t n = 0; n < pixels; n++)
                level = fmax(level, fabs(frame[n] / scale - sums[3 * pixels + n]));
        }
        for (size_t n = 0; n < pixels; n++) {
            worst = fmax(worst, fabs((double)c.mean[k * pixels + n] / scale - sums[n]));
            worst = fmax(worst, fabs((double)c.motion[k * pixels + n] / scale -
                                     hypot(sums[pixels + n], sums[2 * pixels + n])));
        }
    }
    // A level is 1/16000 of the brightest: 0.03; the scale is taken from one of them.
    CU_ASSERT(level < 0.15);
    CU_ASSERT(worst < 0.15);
    free(values);
    free(sums);
    arena_destroy(arena);
}

static void motion_is_that_of_plain_c(void)
{
    check_motion(true, 1.4, 1);
    check_motion(true, 0.7, 2);
    check_motion(false, 0.7, 2);
    check_motion(false, 0.45, 3);
}

static void rings_are_those_of_plain_c(void)
{
    struct made_cine m;
    struct cardiac_cine c;
    struct arena *arena = arena_create();
    make_set(&m, true, 1.1);
    CU_ASSERT_TRUE_FATAL(cardiac_cine_load(gpu, &m.set, &m.image, NULL, NULL, arena, &c, &err));
    struct cardiac_rings r = {.from = {24, 18}, .step = 3, .count = {9, 8}};
    CU_ASSERT_TRUE_FATAL(cardiac_cine_rings(gpu, &c, 0, arena, &r, &err));
    const size_t pixels = (size_t)c.columns * c.rows;
    const double sigma[3] = {1.5, 1.5, 0}, spacing[3] = {c.mm[0], c.mm[1], c.gap_mm};
    const uint32_t dim[3] = {c.columns, c.rows, SLICES};
    float *signal = malloc(pixels * SLICES * sizeof *signal);
    CU_ASSERT_FATAL(signal != NULL);
    for (uint32_t k = 0; k < SLICES; k++) {
        for (size_t n = 0; n < pixels; n++)
            signal[k * pixels + n] = cardiac_cine_frame(&c, k, 0)[n];
    }
    struct gpu_volume *v = gpu_volume_write(gpu, dim, spacing, GPU_VOXEL_F32, signal, &err);
    struct gpu_volume *smooth = gpu_volume_smooth(v, sigma, &err);
    CU_ASSERT_TRUE_FATAL(gpu_volume_read(smooth, 0, SLICES, signal, &err));
    uint32_t found = 0;
    for (uint32_t n = 0; n < 9 * 8 * SLICES; n++) {
        const uint32_t k = n / 72, j = n % 72 / 9, i = n % 9;
        double score, radius;
        ref_cardiac_ring(signal + k * pixels, c.motion + k * pixels, c.columns, c.rows, c.mm,
                         (int)(24 + 3 * i), (int)(18 + 3 * j), &score, &radius);
        // A pixel half-way between two may be either.
        CU_ASSERT_DOUBLE_EQUAL((double)r.score[n], score, 0.01);
        found += score > 0.1 && (double)r.radius[n] == radius;
    }
    CU_ASSERT(found > 20);
    gpu_volume_destroy(smooth);
    gpu_volume_destroy(v);
    free(signal);
    arena_destroy(arena);
}

// The last case: all others have run on the device.
static void validation_is_silent(void)
{
    device_close(gpu);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"motion_is_that_of_plain_c", motion_is_that_of_plain_c},
        {"rings_are_those_of_plain_c", rings_are_those_of_plain_c},
        {"validation_is_silent", validation_is_silent},
    };
    gpu = device_open((struct gpu_options){0});
    return check_main("cardiac", cases, sizeof cases / sizeof *cases);
}
