// Views of a chest of 512 x 512 x 300 voxels (0.7 x 0.7 x 1 mm, 15 HU of noise), 512 x 512 pixels,
// all around: wall and processor time of each kind of picture, and the most memory that the process
// had. tests/bench/bench_render.py runs it beside VTK. usage:
// bench_render [-w FILE] [-v VIEWS] [-s STEP_MM] [PICTURE...]
//   -w FILE  writes the chest, int16 [300][512][512], and ends
//   PICTURE  mip, minip, average, or a preset; mip and bone unless others are named
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "compute/stages/render/render_cast.h"
#include "compute/stages/render/render_preset.h"
#include "compute/stages/render/render_view.h"
#include "tests/bench/bench.h"

enum { SIDE = 512, SLICES = 300, AREA = SIDE * SIDE, SIZE = 512, VIEWS_MAX = 180 };
static const uint32_t dim[3] = {SIDE, SIDE, SLICES};
static const double spacing[3] = {0.7, 0.7, 1};
static int16_t slice[AREA];
static struct render_camera cameras[VIEWS_MAX];
static struct render_view views[VIEWS_MAX];
static uint32_t pixels[SIZE * SIZE];
static struct render_look look;
static struct err err;

static double ellipse(double x, double y, double cx, double cy, double rx, double ry)
{
    return hypot((x - cx) / rx, (y - cy) / ry);
}

// mm from the middle, z from the feet.
static double chest_at(double x, double y, double z)
{
    const double skin = ellipse(x, y, 0, 0, 165, 115), wall = ellipse(x, y, 0, 0, 140, 90);
    const double rib = fmod(z + 0.25 * (y + 115), 25); // ribs fall towards the front
    if (skin > 1)
        return fabs(y - 125) < 2 && fabs(x) < 170 ? 100 : -1000; // a table
    if (skin > 0.92)
        return -100;
    if (ellipse(x, y, 0, 62, 17, 17) < 1 || (fabs(x) < 4 && y > 62 && y < 105))
        return fmod(z, 28) < 22 ? 350 : 60; // spine and its discs
    if (wall < 1.09 && wall > 0.98 && rib < 9)
        return wall > 1.07 || wall < 1 || rib < 1.5 || rib > 7.5 ? 700 : 220;
    if (ellipse(x, y, 22, 40, 12, 12) < 1 || ellipse(x, y, -18, -30, 14, 14) < 1)
        return 320; // aorta
    if (ellipse(x, y, 20, -25, 55, 48) < 1 && z < 150)
        return ellipse(x, y, 25, -20, 26, 24) < 1 ? 300 : 60; // heart
    for (int side = -1; side <= 1; side += 2) {
        if (ellipse(x, y, side * 72, 0, 55, 75) < 1) {
            const double u = fmod(fabs(x) + 0.3 * z, 18) - 9, v = fmod(y + 0.2 * z + 500, 18) - 9;
            return u * u + v * v < 4 ? 60 : -870; // vessels of the lung
        }
    }
    return 45;
}

static void make_slice(uint32_t k)
{
    for (int n = 0; n < AREA; n++) {
        const int row = n / SIDE;
        const double x = (n % SIDE - 255.5) * spacing[0], y = (row - 255.5) * spacing[1];
        const double noise =
            15 * (bench_draw() + bench_draw() + bench_draw() + bench_draw() - 2) * 1.732;
        slice[n] = (int16_t)lrint(fmax(chest_at(x, y, k * spacing[2]) + noise, -1024));
    }
}

static double seconds_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void write_file(const char *path)
{
    FILE *f = fopen(path, "wb");
    bool ok = f != NULL;
    for (uint32_t k = 0; ok && k < SLICES; k++) {
        make_slice(k);
        ok = fwrite(slice, sizeof *slice, AREA, f) == AREA;
    }
    if (!ok || fclose(f)) {
        perror(path);
        exit(1);
    }
}

static bool cast(const struct render_scene *s, const char *name, uint32_t view)
{
    static const char *const projections[] = {"mip", "minip", "average"};
    for (int mode = 0; mode < 3; mode++) {
        if (strcmp(name, projections[mode]) == 0)
            return render_project(s, (enum render_mode)mode, &views[view], 1, (float *)pixels,
                                  &err);
    }
    return render_shade(s, &views[view], 1, pixels, &err);
}

static void write_ppm(const char *name, uint32_t view)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s-%u.ppm", getenv("BENCH_PICTURES"), name, view);
    FILE *f = fopen(path, "wb");
    if (!f)
        return;
    fprintf(f, "P6 %d %d 255\n", SIZE, SIZE);
    for (int n = 0; n < SIZE * SIZE; n++)
        fwrite(&pixels[n], 1, 3, f);
    fclose(f);
}

static void time_picture(struct render_scene *s, const char *name, uint32_t count, double step_mm)
{
    double wall = 0, cpu = 0, first = 0;
    if (render_preset(name, step_mm, &look))
        bench_need(render_dress(s, &look, &err), &err);
    for (uint32_t n = 0; n <= count; n++) { // the first compiles shaders
        const double w = seconds_of(CLOCK_MONOTONIC), c = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
        bench_need(cast(s, name, n % count), &err);
        const double spent = seconds_of(CLOCK_MONOTONIC) - w;
        if (!n) {
            first = spent;
            continue;
        }
        wall += spent;
        cpu += seconds_of(CLOCK_PROCESS_CPUTIME_ID) - c;
        if (getenv("BENCH_PICTURES"))
            write_ppm(name, n);
    }
    printf("%-8s %u views, first %.2f s, then %.3f s a view, %.3f s of processor time\n", name,
           count, first, wall / count, cpu / count);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const char *const usual[] = {"mip", "bone"};
    double step_mm = 0.35;
    uint32_t count = 36;
    for (int option; (option = getopt(argc, argv, "w:v:s:")) > 0;) {
        if (option == 'w') {
            write_file(optarg);
            return 0;
        }
        if (option == 'v')
            count = (uint32_t)strtoul(optarg, NULL, 10);
        else if (option == 's')
            step_mm = strtod(optarg, NULL);
        else
            return 2;
    }
    const int named = argc - optind;
    struct image img = {.dim = {SIDE, SIDE, SLICES, 1}, .placed = true, .spacing = {0.7, 0.7, 1}};
    struct gpu *gpu = gpu_create(&(struct gpu_options){0}, &err);
    bench_need(gpu != NULL && count > 0 && count <= VIEWS_MAX, &err);
    for (int i = 0; i < 3; i++)
        img.to_patient[i][i] = spacing[i];
    struct gpu_volume *v = gpu_volume_create(gpu, dim, spacing, GPU_VOXEL_I16, &err);
    bench_need(v != NULL, &err);
    FILE *f = getenv("BENCH_VOLUME") ? fopen(getenv("BENCH_VOLUME"), "rb") : NULL;
    for (uint32_t k = 0; k < SLICES; k++) {
        if (!f || fread(slice, sizeof *slice, AREA, f) != AREA)
            make_slice(k);
        bench_need(gpu_volume_write_slices(v, k, 1, slice, &err), &err);
    }
    for (uint32_t n = 0; n < count; n++)
        render_camera_around(360.0 * n / count, 0, &cameras[n]);
    render_fit(&img, (double[]){0, 0, 0}, (double[]){SIDE - 1, SIDE - 1, SLICES - 1}, cameras,
               count, SIZE, step_mm, views);
    struct render_scene scene;
    const double w = seconds_of(CLOCK_MONOTONIC);
    bench_need(render_scene_init(&scene, v, -1024, &err), &err);
    printf("scene    %.2f s\n", seconds_of(CLOCK_MONOTONIC) - w);
    for (int n = 0; n < (named > 0 ? named : 2); n++)
        time_picture(&scene, named > 0 ? argv[optind + n] : usual[n], count, step_mm);
    render_scene_finish(&scene);
    gpu_volume_destroy(v);
    gpu_destroy(gpu);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("memory   %ld MB at most\n", usage.ru_maxrss / 1024);
    return 0;
}
