// The kernels of the render stage against plain C: projections bit for bit at odd sizes, volume
// rendering against every sample in double precision; what a view shows of an oblique grid.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/stages/render/render_cast.h"
#include "compute/stages/render/render_preset.h"
#include "compute/stages/render/render_view.h"
#include "tests/gpu/device.h"
#include "tests/ref/render.h"

enum { NX = 43, NY = 37, NZ = 13, VOXELS = NX * NY * NZ, SIZE = 61, VIEWS = 3 };
static const uint32_t dim[3] = {NX, NY, NZ};
static struct gpu *gpu;
static int16_t voxels[VOXELS];
static struct image img;
static struct render_camera cameras[VIEWS];
static struct render_view views[VIEWS];
static float expected[SIZE * SIZE], found[VIEWS][SIZE * SIZE];
static double rgb[SIZE * SIZE * 3];
static double fit; // mm a pixel
static uint32_t pixels[SIZE * SIZE];
static struct render_look look;

static uint32_t drawn = 4711;
static double draw(void) // 0..1
{
    drawn = drawn * 1664525u + 1013904223u;
    return (drawn >> 8) / (double)(1 << 24);
}

// Oblique, anisotropic and sheared, as of a tilted gantry.
static void make_grid(void)
{
    static const double steps[3][4] = {
        {0.86, -0.35, 0.4, -20}, {0.33, 0.9, -0.6, 11}, {0.1, 0.2, 3.1, 40}};
    img = (struct image){.dim = {NX, NY, NZ, 1}, .placed = true, .spacing = {0.93, 0.99, 3.2}};
    memcpy(img.to_patient, steps, sizeof steps);
    render_camera_around(0, 0, &cameras[0]);
    render_camera_around(100, 0, &cameras[1]);
    render_camera_around(217, 33, &cameras[2]);
    fit = render_fit(&img, (double[]){0, 0, 0}, (double[]){NX - 1, NY - 1, NZ - 1}, cameras, VIEWS,
                     SIZE, 0.45, views);
}

static struct gpu_volume *upload(struct err *err)
{
    return gpu_volume_write(gpu, dim, img.spacing, GPU_VOXEL_I16, voxels, err);
}

static void projections_are_those_of_plain_c(void)
{
    struct render_scene scene;
    struct err err = {0};
    for (int n = 0; n < VOXELS; n++) // empty bricks, and a few values that count
        voxels[n] = (int16_t)(draw() < 0.02 ? 3000 * draw() : -1000 + 50 * draw());
    for (int n = 0; n < VOXELS; n += 1 + n % 7) // some is nothing
        voxels[n] = n % NX > 30 ? RENDER_NOTHING : voxels[n];
    struct gpu_volume *v = upload(&err);
    CU_ASSERT_FATAL(v && render_scene_init(&scene, v, RENDER_NOTHING, &err));
    for (int mode = RENDER_MAXIMUM; mode <= RENDER_MEAN; mode++) {
        uint32_t shown = 0, wrong = 0;
        CU_ASSERT_FATAL(
            render_project(&scene, (enum render_mode)mode, views, VIEWS, found[0], &err));
        for (int view = 0; view < VIEWS; view++) {
            ref_project(voxels, dim, RENDER_NOTHING, (enum render_mode)mode, &views[view],
                        expected);
            for (int n = 0; n < SIZE * SIZE; n++) {
                const float room = mode == RENDER_MEAN ? 0.01F : 0; // sums of 100 floats
                shown += expected[n] > RENDER_NOTHING;
                wrong += !(fabsf(found[view][n] - expected[n]) <= room);
            }
        }
        CU_ASSERT_EQUAL(wrong, 0);
        CU_ASSERT_TRUE(shown > VIEWS * SIZE * SIZE / 5);
    }
    render_scene_finish(&scene);
    gpu_volume_destroy(v);
}

// A ball of contrast with a core of bone in fat and air, smooth over a few voxels, and noise.
static void make_ball(void)
{
    for (int n = 0; n < VOXELS; n++) {
        const int row = n / NX, j = row % NY, k = row / NY;
        const double at[3] = {n % NX, j, k};
        const double middle[3] = {(NX - 1) / 2.0, (NY - 1) / 2.0, (NZ - 1) / 2.0};
        double a[3], b[3], r = 0;
        image_to_patient(&img, at, a);
        image_to_patient(&img, middle, b);
        for (int i = 0; i < 3; i++)
            r += (a[i] - b[i]) * (a[i] - b[i]);
        r = sqrt(r);
        voxels[n] = (int16_t)(-1000 + 1250 / (1 + exp(r - 14)) + 600 / (1 + exp(2 * (r - 6))) +
                              10 * draw());
    }
}

static double psnr_of(void)
{
    double sum = 0;
    for (int n = 0; n < SIZE * SIZE; n++) {
        for (int i = 0; i < 3; i++) {
            const double d = (pixels[n] >> (8 * i) & 0xff) - 255 * rgb[3 * n + i];
            sum += d * d;
        }
    }
    return 10 * log10(255 * 255 / (sum / (3.0 * SIZE * SIZE)));
}

static void renderings_are_those_of_every_sample(void)
{
    struct render_scene scene;
    struct err err = {0};
    make_ball();
    struct gpu_volume *v = upload(&err);
    CU_ASSERT_FATAL(v && render_scene_init(&scene, v, -1024, &err));
    for (unsigned n = 0; render_preset_name(n); n++) {
        CU_ASSERT_FATAL(render_preset(render_preset_name(n), views[0].step_mm, &look) &&
                        render_dress(&scene, &look, &err));
        for (int view = 0; view < VIEWS; view++) {
            double brightest = 0;
            CU_ASSERT_FATAL(render_shade(&scene, &views[view], 1, pixels, &err));
            ref_shade(voxels, dim, -1024, &look, &views[view], rgb);
            for (int i = 0; i < SIZE * SIZE * 3; i++)
                brightest = fmax(brightest, rgb[i]);
            const double psnr = psnr_of();
            printf("%s, view %d: %.1f dB\n", render_preset_name(n), view, psnr);
            CU_ASSERT_TRUE(brightest > 0.2);
            CU_ASSERT_TRUE(psnr >= 45);
        }
    }
    CU_ASSERT_FALSE(render_preset("hair", 1, &look));
    render_scene_finish(&scene);
    gpu_volume_destroy(v);
}

// Whether some entry that a value between least and most takes can be seen.
static bool can_be_seen(double least, double most)
{
    const double scale = (RENDER_TABLE - 1) / (look.to - look.from);
    const double from = (fmax(least, -1024) - look.from) * scale,
                 to = (fmax(most, -1024) - look.from) * scale;
    for (int n = 0; n < RENDER_TABLE; n++) {
        const bool first = n == 0 && from < 0.5, last = n == RENDER_TABLE - 1 && to > n - 0.5;
        if (look.rgba[n][3] > 0 && ((n + 0.5 >= from || last) && (n - 0.5 <= to || first)))
            return true;
    }
    return false;
}

enum { BX = (NX + 7) / 8, BY = (NY + 7) / 8, BZ = (NZ + 7) / 8, BRICKS = BX * BY * BZ };

static bool brick_seen(int b)
{
    const int lo[3] = {8 * (b % BX), 8 * (b / BX % BY), 8 * (b / BX / BY)};
    double least = 32767, most = -32768;
    for (int k = lo[2]; k <= lo[2] + 8 && k < NZ; k++) {
        for (int j = lo[1]; j <= lo[1] + 8 && j < NY; j++) {
            for (int i = lo[0]; i <= lo[0] + 8 && i < NX; i++) {
                least = fmin(least, voxels[(k * NY + j) * NX + i]);
                most = fmax(most, voxels[(k * NY + j) * NX + i]);
            }
        }
    }
    return can_be_seen(least, most);
}

// Rays leap over what cannot be seen: no farther than to the nearest brick that can, and over all
// that there is, or pictures are right but take ten times as long.
static void bricks_that_cannot_be_seen_are_left_out(void)
{
    struct render_scene scene;
    struct err err = {0};
    bool seen[BRICKS];
    make_ball();
    struct gpu_volume *v = upload(&err);
    CU_ASSERT_FATAL(v && render_scene_init(&scene, v, -1024, &err));
    for (unsigned n = 0; render_preset_name(n); n++) {
        int wrong = 0, empty = 0;
        CU_ASSERT_FATAL(render_preset(render_preset_name(n), 1, &look));
        uint32_t *words = render_visible(&scene, &look);
        CU_ASSERT_FATAL(words != NULL);
        for (int b = 0; b < BRICKS; b++)
            empty += !(seen[b] = brick_seen(b));
        for (int b = 0; b < BRICKS; b++) {
            int nearest = 1024;
            for (int c = 0; c < BRICKS; c++) {
                const int far[3] = {abs(b % BX - c % BX), abs(b / BX % BY - c / BX % BY),
                                    abs(b / BX / BY - c / BX / BY)};
                const int most = (int)fmax(fmax(far[0], far[1]), far[2]);
                nearest = seen[c] && most < nearest ? most : nearest;
            }
            wrong += words[b] != (uint32_t)nearest;
        }
        CU_ASSERT_EQUAL(wrong, 0);
        CU_ASSERT_TRUE(empty > 0 && empty < BRICKS);
        free(words);
    }
    render_scene_finish(&scene);
    gpu_volume_destroy(v);
}

static void what_is_cut_is_nothing(void)
{
    static uint8_t keep[VOXELS];
    static int16_t after[VOXELS];
    uint32_t wrong = 0;
    struct err err = {0};
    for (int n = 0; n < VOXELS; n++)
        keep[n] = draw() < 0.5;
    make_ball();
    struct gpu_volume *v = upload(&err);
    struct gpu_mask *m = gpu_mask_write(gpu, dim, img.spacing, keep, &err);
    CU_ASSERT_FATAL(v && m && render_cut(v, m, &err) && gpu_volume_read(v, 0, NZ, after, &err));
    for (int n = 0; n < VOXELS; n++)
        wrong += after[n] != (keep[n] ? voxels[n] : RENDER_NOTHING);
    CU_ASSERT_EQUAL(wrong, 0);
    gpu_mask_destroy(m);
    gpu_volume_destroy(v);
}

// A point of the patient lies where the camera's vectors put it, whatever the grid.
static void a_point_is_where_it_is_seen(void)
{
    const double at[3] = {31, 9, 4}, middle[3] = {(NX - 1) / 2.0, (NY - 1) / 2.0, (NZ - 1) / 2.0};
    double a[3], b[3];
    image_to_patient(&img, at, a);
    image_to_patient(&img, middle, b);
    for (int n = 0; n < VIEWS; n++) {
        double x = 0, y = 0, p[3];
        for (int i = 0; i < 3; i++) {
            x += (a[i] - b[i]) * cameras[n].right[i];
            y += (a[i] - b[i]) * cameras[n].down[i];
        }
        const double pixel =
            render_fit(&img, (double[]){0, 0, 0}, (double[]){NX - 1, NY - 1, NZ - 1}, cameras,
                       VIEWS, SIZE, 0.45, views);
        double least = INFINITY;
        for (uint32_t s = 0; s < views[n].samples; s++) {
            double d = 0;
            for (int i = 0; i < 3; i++) {
                p[i] = views[n].first[i] + views[n].right[i] * ((SIZE - 1) / 2.0 + x / pixel) +
                       views[n].down[i] * ((SIZE - 1) / 2.0 + y / pixel) + s * views[n].step[i];
                d += (p[i] - at[i]) * (p[i] - at[i]);
            }
            least = fmin(least, sqrt(d));
        }
        CU_ASSERT_TRUE(least < 0.5); // samples are half a voxel apart
    }
}

static void letters_are_the_patients(void)
{
    char text[4];
    struct render_camera c;
    CU_ASSERT_TRUE(fit > 0.5 && fit < 2);
    render_camera_around(0, 0, &c);
    CU_ASSERT_STRING_EQUAL(render_letters(c.right, text), "L");
    CU_ASSERT_STRING_EQUAL(render_letters(c.down, text), "F");
    CU_ASSERT_STRING_EQUAL(render_letters(c.into, text), "P");
    render_camera_around(90, 0, &c); // from the left
    CU_ASSERT_STRING_EQUAL(render_letters(c.right, text), "P");
    CU_ASSERT_STRING_EQUAL(render_letters(c.into, text), "R");
    render_camera_around(30, 0, &c);
    CU_ASSERT_STRING_EQUAL(render_letters(c.right, text), "LP");
    render_camera_around(0, 90, &c); // from above
    CU_ASSERT_STRING_EQUAL(render_letters(c.into, text), "F");
    CU_ASSERT_STRING_EQUAL(render_letters(c.down, text), "A");
    CU_ASSERT_STRING_EQUAL(render_letters((const double[]){0.5, -0.6, 0.62}, text), "HAL");
}

static void views_that_cannot_be_made_are_refused(void)
{
    struct render_scene scene;
    struct err err = {0};
    struct render_view two[2];
    struct gpu_volume *v = upload(&err);
    CU_ASSERT_FATAL(v && render_scene_init(&scene, v, RENDER_NOTHING, &err));
    memcpy(two, views, sizeof two);
    two[1].rows--;
    CU_ASSERT_FALSE(render_project(&scene, RENDER_MAXIMUM, two, 2, found[0], &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    two[0].samples = RENDER_SAMPLES_MAX + 1;
    CU_ASSERT_FALSE(render_project(&scene, RENDER_MAXIMUM, two, 1, found[0], &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    CU_ASSERT_FALSE(render_project(&scene, RENDER_MAXIMUM, two, 0, found[0], &err));
    CU_ASSERT_FALSE(render_shade(&scene, views, 1, pixels, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INTERNAL);
    render_scene_finish(&scene);
    gpu_volume_destroy(v);
    v = gpu_volume_write(gpu, (uint32_t[]){NX, NY, 1}, img.spacing, GPU_VOXEL_I16, voxels, &err);
    CU_ASSERT_FALSE(render_scene_init(&scene, v, RENDER_NOTHING, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    render_scene_finish(&scene);
    gpu_volume_destroy(v);
    img.to_patient[2][2] = img.to_patient[1][2] = img.to_patient[0][2] = 0;
    CU_ASSERT_EQUAL(
        render_fit(&img, (double[]){0, 0, 0}, (double[]){1, 1, 1}, cameras, 1, SIZE, 1, two), 0);
}

static void validation_is_silent(void)
{
    device_close(gpu);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"projections_are_those_of_plain_c", projections_are_those_of_plain_c},
        {"renderings_are_those_of_every_sample", renderings_are_those_of_every_sample},
        {"bricks_that_cannot_be_seen_are_left_out", bricks_that_cannot_be_seen_are_left_out},
        {"what_is_cut_is_nothing", what_is_cut_is_nothing},
        {"a_point_is_where_it_is_seen", a_point_is_where_it_is_seen},
        {"letters_are_the_patients", letters_are_the_patients},
        {"views_that_cannot_be_made_are_refused", views_that_cannot_be_made_are_refused},
        {"validation_is_silent", validation_is_silent},
    };
    gpu = device_open((struct gpu_options){0});
    make_grid();
    return check_main("render", cases, sizeof cases / sizeof cases[0]);
}
