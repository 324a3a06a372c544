// The kernels of the perfusion stage against plain C, its time axis, and the curves of the OSIPI
// collection through the same kernels (skipped case by case where the data are absent).
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "compute/stages/perfusion/perfusion_axis.h"
#include "compute/stages/perfusion/perfusion_curves.h"
#include "tests/gpu/device.h"
#include "tests/ref/perfusion.h"

enum { NX = 37, NY = 5, NZ = 3, VOXELS = NX * NY * NZ, POINTS = 21, STEPS = 19, BEFORE = 3 };
static const uint32_t dim[3] = {NX, NY, NZ};
static const double spacing[3] = {1.7, 1.7, 5};
static struct gpu *gpu;

static uint32_t drawn = 12345;
static double draw(void) // 0..1
{
    drawn = drawn * 1664525u + 1013904223u;
    return (drawn >> 8) / (double)(1 << 24);
}

// A bolus that starts at `start` and is `width` wide.
static double bolus(double t, double start, double width)
{
    const double u = (t - start) / width;
    return u > 0 ? u * u * u * exp(3 * (1 - u)) : 0;
}

struct scene {
    int16_t scanned[POINTS][VOXELS];
    uint8_t mask[VOXELS];
    float at[NZ][STEPS][4];
    double artery[STEPS];
    struct gpu_volume *planes, *curves, *baseline;
    struct gpu_mask *in;
};
static struct scene scene;

static void make_scene(void)
{
    struct scene *s = &scene;
    drawn = 12345;
    for (int n = 0; n < VOXELS; n++) {
        const double start = 4 + 4 * draw(), width = 1.5 + 3 * draw(), high = 5 + 20 * draw();
        s->mask[n] = draw() < 0.7;
        for (int p = 0; p < POINTS; p++)
            s->scanned[p][n] =
                (int16_t)lround(35 + high * bolus(p, start, width) + 6 * (draw() - 0.5));
    }
    for (int k = 0; k < NZ; k++) {
        for (int n = 0; n < STEPS; n++) {
            const float row[4] = {(float)n, (float)(n + 1), (float)(0.25 * k), 0};
            memcpy(s->at[k][n], row, sizeof row);
        }
    }
    for (int n = 0; n < STEPS; n++)
        s->artery[n] = 300 * bolus(n, 3.5, 1.5);
}

// Fills planes and curves on the device. Undone by finish_scene().
static void load_scene(void)
{
    struct scene *s = &scene;
    struct err err = {0};
    make_scene();
    s->planes = perfusion_planes(gpu, dim, spacing, POINTS, &err);
    s->curves = perfusion_planes(gpu, dim, spacing, STEPS, &err);
    s->baseline = gpu_volume_create(gpu, dim, spacing, GPU_VOXEL_F32, &err);
    s->in = gpu_mask_write(gpu, dim, spacing, s->mask, &err);
    CU_ASSERT_FATAL(s->planes && s->curves && s->baseline && s->in);
    static const uint32_t one[3] = {1, 1, 1};
    struct gpu_volume *blocks = gpu_volume_create(gpu, dim, spacing, GPU_VOXEL_F32, &err);
    for (uint32_t p = 0; p < POINTS; p++) {
        struct gpu_volume *v =
            gpu_volume_write(gpu, dim, spacing, GPU_VOXEL_I16, s->scanned[p], &err);
        CU_ASSERT_FATAL(v && perfusion_put(s->planes, POINTS, p, v, one, blocks, &err));
        gpu_volume_destroy(v);
    }
    gpu_volume_destroy(blocks);
    CU_ASSERT_FATAL(perfusion_enhance(s->planes, POINTS, s->in, &s->at[0][0][0], STEPS, BEFORE,
                                      s->curves, s->baseline, &err));
}

static void finish_scene(void)
{
    gpu_volume_destroy(scene.planes);
    gpu_volume_destroy(scene.curves);
    gpu_volume_destroy(scene.baseline);
    gpu_mask_destroy(scene.in);
}

// The curve of a voxel as perfusion_enhance() says it is.
static void plain_curve(int voxel, float curve[STEPS], float *baseline)
{
    const int k = voxel / (NX * NY);
    float mean = 0;
    for (int n = 0; n < STEPS; n++) {
        const float *at = scene.at[k][n];
        const float a = scene.scanned[(int)at[0]][voxel], b = scene.scanned[(int)at[1]][voxel];
        curve[n] = a + (b - a) * at[2];
        mean += n < BEFORE ? curve[n] : 0;
    }
    *baseline = mean / BEFORE;
    for (int n = 0; n < STEPS; n++)
        curve[n] = scene.mask[voxel] ? curve[n] - *baseline : 0;
}

// Blocks of which the last ones are cut, of both types of voxels.
static void judge_blocks(const uint32_t factor[3])
{
    static float as_float[VOXELS], found[2][VOXELS];
    const uint32_t coarse[3] = {(NX + factor[0] - 1) / factor[0], (NY + factor[1] - 1) / factor[1],
                                (NZ + factor[2] - 1) / factor[2]};
    struct err err = {0};
    make_scene();
    for (int n = 0; n < VOXELS; n++)
        as_float[n] = scene.scanned[4][n];
    struct gpu_volume *blocks = gpu_volume_create(gpu, coarse, spacing, GPU_VOXEL_F32, &err);
    struct gpu_volume *planes = perfusion_planes(gpu, coarse, spacing, 2, &err);
    for (int type = 0; type < 2; type++) {
        struct gpu_volume *v =
            type == 0 ? gpu_volume_write(gpu, dim, spacing, GPU_VOXEL_I16, scene.scanned[4], &err)
                      : gpu_volume_write(gpu, dim, spacing, GPU_VOXEL_F32, as_float, &err);
        CU_ASSERT_FATAL(v && blocks && planes &&
                        perfusion_put(planes, 2, 1, v, factor, blocks, &err) &&
                        gpu_volume_read(blocks, 0, coarse[2], found[type], &err));
        gpu_volume_destroy(v);
    }
    uint32_t wrong = 0;
    for (uint32_t n = 0; n < coarse[0] * coarse[1] * coarse[2]; n++) {
        const uint32_t at[3] = {n % coarse[0] * factor[0], n / coarse[0] % coarse[1] * factor[1],
                                n / (coarse[0] * coarse[1]) * factor[2]};
        float sum = 0, count = 0;
        for (uint32_t k = at[2]; k < at[2] + factor[2] && k < NZ; k++) {
            for (uint32_t j = at[1]; j < at[1] + factor[1] && j < NY; j++) {
                for (uint32_t i = at[0]; i < at[0] + factor[0] && i < NX; i++) {
                    sum += scene.scanned[4][(k * NY + j) * NX + i];
                    count += 1;
                }
            }
        }
        wrong += fabsf(found[0][n] - sum / count) > 1e-4f || found[0][n] != found[1][n];
    }
    CU_ASSERT_EQUAL(wrong, 0);
    gpu_volume_destroy(planes);
    gpu_volume_destroy(blocks);
}

// Two and four voxels across are whole texels, which the kernel makes use of.
static void blocks_are_means(void)
{
    static const uint32_t factors[][3] = {{3, 2, 2}, {2, 2, 1}, {4, 2, 2}};
    for (int n = 0; n < 3; n++)
        judge_blocks(factors[n]);
}

static void enhancement_is_that_of_plain_c(void)
{
    static float values[NZ * STEPS][NX * NY], baseline[VOXELS];
    struct err err = {0};
    load_scene();
    CU_ASSERT_FATAL(gpu_volume_read(scene.curves, 0, NZ * STEPS, values, &err));
    CU_ASSERT_FATAL(gpu_volume_read(scene.baseline, 0, NZ, baseline, &err));
    uint32_t wrong = 0;
    for (int v = 0; v < VOXELS; v++) {
        float curve[STEPS], mean;
        plain_curve(v, curve, &mean);
        wrong += fabsf(baseline[v] - mean) > 1e-5f;
        for (int n = 0; n < STEPS; n++)
            wrong += fabsf(values[v / (NX * NY) * STEPS + n][v % (NX * NY)] - curve[n]) > 1e-5f;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    finish_scene();
}

static float parabola(float left, float top, float right)
{
    const float bend = left - 2 * top + right;
    const float off = 0.5f * (left - right) / (bend >= 0 ? -1 : bend);
    return fminf(fmaxf(off, -0.5f), 0.5f);
}

static void shape_is_that_of_plain_c(void)
{
    static float sum[VOXELS], peak[VOXELS], when[VOXELS], square[VOXELS];
    struct perfusion_shape shape;
    struct err err = {0};
    load_scene();
    CU_ASSERT_FATAL(perfusion_shape_of(scene.curves, scene.in, STEPS, BEFORE, &shape, &err));
    CU_ASSERT_FATAL(gpu_volume_read(shape.sum, 0, NZ, sum, &err) &&
                    gpu_volume_read(shape.peak, 0, NZ, peak, &err) &&
                    gpu_volume_read(shape.when, 0, NZ, when, &err) &&
                    gpu_volume_read(shape.square, 0, NZ, square, &err));
    uint32_t wrong = 0;
    for (int v = 0; v < VOXELS; v++) {
        float curve[STEPS], mean, total = 0, stray = 0;
        int top = 0;
        plain_curve(v, curve, &mean);
        for (int n = 0; n < STEPS; n++) {
            total += n < BEFORE ? 0 : curve[n];
            stray += n < BEFORE ? curve[n] * curve[n] : 0;
            top = curve[n] > curve[top] ? n : top;
        }
        const float place = scene.mask[v] && top > 0 && top + 1 < STEPS
                                ? (float)top + parabola(curve[top - 1], curve[top], curve[top + 1])
                                : (float)top;
        wrong += fabsf(sum[v] - total) > 1e-3f;
        wrong += fabsf(peak[v] - fmaxf(curve[top], 0)) > 1e-4f;
        wrong += fabsf(square[v] - stray / BEFORE) > 1e-3f;
        wrong += top > 0 && top + 1 < STEPS && fabsf(when[v] - place) > 1e-3f;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    perfusion_shape_finish(&shape);
    finish_scene();
}

// ---- Deconvolution ------------------------------------------------------------------------------

static struct perfusion_cut steps_of_5(double oscillation)
{
    struct perfusion_cut cut = {
        .levels = PERFUSION_LEVELS_MAX, .oscillation = oscillation, .early = 3};
    for (uint32_t n = 0; n < cut.levels; n++)
        cut.share[n] = 0.05 * (n + 1);
    return cut;
}

struct plain_flow {
    double peak, when;
    uint32_t level;
};

// In double precision, the residue function of each level whole in memory.
static struct plain_flow plain_deconvolution(const float *curve, uint32_t steps,
                                             const float *matrix, const struct perfusion_cut *cut)
{
    const uint32_t rows = perfusion_rows(steps);
    struct plain_flow f = {0};
    double *r = malloc(rows * sizeof *r);
    CU_ASSERT_FATAL(r != NULL);
    for (uint32_t level = 0; level < cut->levels && !f.level; level++) {
        double bend = 0;
        uint32_t top = 0;
        for (uint32_t i = 0; i < rows; i++) {
            const float *m = matrix + (size_t)level * rows * steps + (size_t)(i / 8) * steps * 8;
            r[i] = 0;
            for (uint32_t n = 0; n < steps; n++)
                r[i] += (double)m[n * 8 + i % 8] * (double)curve[n];
            top = (i < steps || i + cut->early >= rows) && r[i] > r[top] ? i : top;
            bend += i > 1 ? fabs(r[i] - 2 * r[i - 1] + r[i - 2]) : 0;
        }
        if (level + 1 < cut->levels && !(r[top] > 0 && bend <= cut->oscillation * rows * r[top]))
            continue;
        const double left = r[(top + rows - 1) % rows], right = r[(top + 1) % rows];
        f.level = level + 1;
        f.peak = r[top];
        f.when = top + (double)parabola((float)left, (float)r[top], (float)right);
        f.when -= 2 * f.when >= rows ? rows : 0;
    }
    free(r);
    return f;
}

// few: whether the artery is one that few frequencies are enough for.
static void judge_residue(bool few)
{
    static float peak[VOXELS], when[VOXELS], level[VOXELS];
    static float matrix[PERFUSION_LEVELS_MAX * 40 * STEPS];
    double gain[PERFUSION_LEVELS_MAX], artery[STEPS];
    const struct perfusion_cut cut = steps_of_5(0.095);
    struct perfusion_inverse inverse;
    struct perfusion_flow flow;
    struct err err = {0};
    load_scene();
    CU_ASSERT_EQUAL_FATAL(perfusion_rows(STEPS), 40);
    for (int n = 0; n < STEPS; n++)
        artery[n] = few ? 300 * bolus(n, 1, 5) : scene.artery[n];
    CU_ASSERT_FATAL(ref_perfusion_matrix(artery, STEPS, 1.5, &cut, matrix, gain));
    CU_ASSERT_FATAL(perfusion_invert(artery, STEPS, 1.5, &cut, &inverse));
    CU_ASSERT_EQUAL(inverse.terms < STEPS, few);
    for (uint32_t n = 0; n < cut.levels; n++)
        CU_ASSERT_DOUBLE_EQUAL(inverse.gain[n], gain[n], 1e-9 * gain[n]);
    CU_ASSERT_FATAL(perfusion_flow_of(scene.curves, scene.in, &inverse, &cut, &flow, &err));
    perfusion_inverse_finish(&inverse);
    CU_ASSERT_FATAL(gpu_volume_read(flow.peak, 0, NZ, peak, &err) &&
                    gpu_volume_read(flow.when, 0, NZ, when, &err) &&
                    gpu_volume_read(flow.level, 0, NZ, level, &err));
    uint32_t wrong = 0, inside = 0, levels = 0;
    for (int v = 0; v < VOXELS; v++) {
        float curve[STEPS], mean;
        plain_curve(v, curve, &mean);
        const struct plain_flow f = plain_deconvolution(curve, STEPS, matrix, &cut);
        if (!scene.mask[v]) {
            wrong += level[v] != 0 || peak[v] != 0;
            continue;
        }
        inside++;
        levels |= 1u << f.level;
        wrong += (uint32_t)level[v] != f.level ||
                 fabs((double)peak[v] - f.peak) > 1e-4 * fabs(f.peak) ||
                 (f.peak > 0 && fabs((double)when[v] - f.when) > 0.01); // else one that is flat
    }
    CU_ASSERT_TRUE(inside > VOXELS / 2);
    CU_ASSERT_TRUE(__builtin_popcount(levels) > 4); // several levels were taken
    CU_ASSERT_EQUAL(wrong, 0);
    perfusion_flow_finish(&flow);
    finish_scene();
}

static void residue_is_that_of_plain_c(void)
{
    judge_residue(false);
    judge_residue(true);
}

// Where nothing is cut off the matrix is the inverse: a curve that is the artery itself, scaled,
// has a residue function of one peak at 0. A late one has it late, an early one before 0.
static void delay_is_found_either_way(void)
{
    enum { N = 32, ROWS = 64 };
    static float matrix[PERFUSION_LEVELS_MAX * ROWS * N];
    double artery[N], gain[PERFUSION_LEVELS_MAX];
    const struct perfusion_cut cut = {.levels = 1, .share = {0.05}, .early = 4};
    for (int n = 0; n < N; n++)
        artery[n] = bolus(n, 8, 1.2);
    CU_ASSERT_FATAL(ref_perfusion_matrix(artery, N, 1.0, &cut, matrix, gain));
    for (int late = -3; late <= 6; late += 3) {
        float curve[N];
        for (int n = 0; n < N; n++)
            curve[n] = (float)bolus(n, 8 + late, 1.2);
        const struct plain_flow f = plain_deconvolution(curve, N, matrix, &cut);
        CU_ASSERT_DOUBLE_EQUAL(f.when, late, 0.1);
    }
    for (int n = 0; n < N; n++)
        artery[n] = 0;
    struct perfusion_inverse inverse;
    CU_ASSERT_FALSE(perfusion_invert(artery, N, 1.0, &cut, &inverse));
}

// ---- Curves of others ---------------------------------------------------------------------------

// Numbers of a column, separated by blanks. Returns how many.
static uint32_t read_numbers(const char *text, double *values, uint32_t most)
{
    uint32_t count = 0;
    for (char *end; count < most && *text && *text != ','; text = end) {
        values[count] = strtod(text, &end);
        if (end == text)
            break;
        count++;
    }
    return count;
}

static const char *column_of(const char *line, int column)
{
    while (line && column-- > 0) {
        line = strchr(line, ',');
        line = line ? line + 1 : NULL;
    }
    return line;
}

// The curve in all voxels of a small grid, through the kernels.
static void judge_osipi(const char *line)
{
    enum { MOST = PERFUSION_STEPS_MAX, SIDE = 8 };
    static const uint32_t small[3] = {SIDE, SIDE, 1};
    static float planes[MOST][SIDE * SIDE], peak[SIDE * SIDE];
    double tissue[MOST], artery[MOST], sum[2] = {0, 0};
    double cbv = 0, cbf = 0, step = 0;
    uint8_t all[SIDE * SIDE];
    struct err err = {0};
    const uint32_t steps = read_numbers(column_of(line, 1), tissue, MOST);
    CU_ASSERT_EQUAL_FATAL(read_numbers(column_of(line, 2), artery, MOST), steps);
    CU_ASSERT_FATAL(steps > 30 && read_numbers(column_of(line, 3), &cbv, 1) == 1 &&
                    read_numbers(column_of(line, 4), &cbf, 1) == 1 &&
                    read_numbers(column_of(line, 5), &step, 1) == 1);
    for (uint32_t n = 0; n < steps; n++) {
        sum[0] += tissue[n];
        sum[1] += artery[n];
        for (int v = 0; v < SIDE * SIDE; v++)
            planes[n][v] = (float)tissue[n];
    }
    memset(all, 1, sizeof all);
    const struct perfusion_cut cut = steps_of_5(0.095);
    struct perfusion_inverse inverse;
    const uint32_t size[3] = {SIDE, SIDE, steps};
    struct gpu_volume *curves = gpu_volume_write(gpu, size, spacing, GPU_VOXEL_F32, planes, &err);
    struct gpu_mask *mask = gpu_mask_write(gpu, small, spacing, all, &err);
    struct perfusion_flow flow = {0};
    CU_ASSERT_FATAL(curves && mask && perfusion_invert(artery, steps, step, &cut, &inverse));
    CU_ASSERT_FATAL(perfusion_flow_of(curves, mask, &inverse, &cut, &flow, &err) &&
                    gpu_volume_read(flow.peak, 0, 1, peak, &err));
    const double found = 6000 * (double)peak[SIDE + 1], volume = 100 * sum[0] / sum[1];
    printf("    %.40s: CBF %.1f of %.0f, CBV %.2f of %.0f\n", line, found, cbf, volume, cbv);
    CU_ASSERT_TRUE(fabs(volume - cbv) <= 0.2 * cbv);
    CU_ASSERT_TRUE(cbf > 40 ? fabs(found - cbf) <= 15 + 0.1 * cbf
                            : fabs(found - cbf) <= 0.25 * cbf);
    perfusion_flow_finish(&flow);
    gpu_mask_destroy(mask);
    gpu_volume_destroy(curves);
    perfusion_inverse_finish(&inverse);
}

static void osipi_curves_are_within_tolerance(void)
{
    const char *data = getenv("ANODE_TEST_DATA");
    char path[512];
    static char line[65536];
    snprintf(path, sizeof path, "%s/perfusion/osipi/dsc_data_cbv4.csv",
             data ? data : "../shared/data");
    FILE *in = fopen(path, "r");
    uint32_t count = 0;
    if (!in) {
        printf("    left out: no %s\n", path);
        return;
    }
    if (fgets(line, sizeof line, in)) { // the head
        while (fgets(line, sizeof line, in)) {
            judge_osipi(line);
            count++;
        }
    }
    CU_ASSERT_EQUAL(count, 7);
    fclose(in);
}

// ---- The axis -----------------------------------------------------------------------------------

static struct arena *arena;

static bool make_axis(const double *s, const uint8_t *use, uint32_t points, uint32_t slices,
                      struct perfusion_axis *axis, const char **why)
{
    const struct perfusion_times times = {points, slices, s, use};
    return perfusion_axis_make(&times, arena, axis, why);
}

// A scan in two halves, of which the second is half a step later, with one point left out.
static void uneven_times_become_even_steps(void)
{
    enum { P = 12 };
    double s[P][2];
    uint8_t use[P][2];
    struct perfusion_axis axis;
    const char *why;
    memset(use, 1, sizeof use);
    for (int p = 0; p < P; p++) {
        s[p][0] = 2.0 * p;
        s[p][1] = 2.0 * p + 1;
    }
    use[5][0] = 0;
    CU_ASSERT_FATAL(make_axis(&s[0][0], &use[0][0], P, 2, &axis, &why));
    CU_ASSERT_DOUBLE_EQUAL(axis.step_s, 2, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(axis.start_s, 1, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(axis.widest_s, 4, 1e-9);
    CU_ASSERT_EQUAL(axis.steps, 11);
    for (uint32_t k = 0; k < 2; k++) {
        for (uint32_t n = 0; n < axis.steps; n++) {
            const float *at = axis.at + (k * axis.steps + n) * 4;
            const double a = s[(int)at[0]][k], b = s[(int)at[1]][k];
            CU_ASSERT_DOUBLE_EQUAL(a + (b - a) * (double)at[2], 1 + 2.0 * n, 1e-6);
            CU_ASSERT_TRUE(use[(int)at[0]][k] && use[(int)at[1]][k]);
        }
    }
}

static void fast_points_are_paired(void)
{
    enum { P = 40 };
    double s[P];
    uint8_t use[P];
    struct perfusion_axis axis;
    const char *why;
    memset(use, 1, sizeof use);
    for (int p = 0; p < P; p++)
        s[p] = 0.5 * p;
    CU_ASSERT_FATAL(make_axis(s, use, P, 1, &axis, &why));
    CU_ASSERT_TRUE(axis.paired);
    CU_ASSERT_DOUBLE_EQUAL(axis.step_s, 1, 1e-9);
    CU_ASSERT_EQUAL(axis.steps, P / 2);
    for (uint32_t n = 0; n < axis.steps; n++) {
        CU_ASSERT_EQUAL((uint32_t)axis.at[n * 4], 2 * n);
        CU_ASSERT_DOUBLE_EQUAL((double)axis.at[n * 4 + 2], 0.5, 1e-6);
    }
}

static void slow_points_get_a_step_between(void)
{
    enum { P = 20 };
    double s[P];
    uint8_t use[P];
    struct perfusion_axis axis;
    const char *why;
    memset(use, 1, sizeof use);
    for (int p = 0; p < P; p++)
        s[p] = 3.0 * p;
    CU_ASSERT_FATAL(make_axis(s, use, P, 1, &axis, &why));
    CU_ASSERT_TRUE(axis.halved && !axis.paired);
    CU_ASSERT_DOUBLE_EQUAL(axis.interval_s, 3, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(axis.step_s, 1.5, 1e-9);
    CU_ASSERT_EQUAL(axis.steps, 2 * P - 1);
    for (uint32_t n = 0; n < axis.steps; n++) {
        const float *at = axis.at + (size_t)n * 4;
        const double a = s[(int)at[0]], b = s[(int)at[1]];
        CU_ASSERT_DOUBLE_EQUAL(a + (b - a) * (double)at[2], 1.5 * n, 1e-6);
    }
}

// The noise of the residue function that is foretold is that of functions of
// noise: white, and white at every other step with a straight line between.
static void noise_is_that_of_functions_of_noise(void)
{
    enum { N = 40, ROWS = 80, TRIES = 300 };
    static float matrix[ROWS * N];
    double artery[N], gain[1];
    for (int n = 0; n < N; n++)
        artery[n] = bolus(n, 4, 3);
    for (int halved = 0; halved < 2; halved++) {
        const struct perfusion_cut cut = {
            .levels = 1, .share = {0.1}, .noise = {halved ? 2.0 / 3 : 0, halved ? 1.0 / 6 : 0}};
        double squares = 0, variance = 0;
        drawn = 4711;
        struct perfusion_inverse inverse;
        CU_ASSERT_FATAL(ref_perfusion_matrix(artery, N, 1.0, &cut, matrix, gain) &&
                        perfusion_invert(artery, N, 1.0, &cut, &inverse));
        for (int try = 0; try < TRIES; try++) {
            double noise[N + 1];
            for (int n = 0; n <= N; n++)
                noise[n] = sqrt(12) * (draw() - 0.5);
            for (int n = 1; halved && n < N; n += 2)
                noise[n] = (noise[n - 1] + noise[n + 1]) / 2;
            for (int n = 0; n < N; n++)
                variance += noise[n] * noise[n] / N / TRIES;
            for (int i = 0; i < ROWS; i++) {
                double f = 0;
                for (int n = 0; n < N; n++)
                    f += (double)matrix[(size_t)(i / 8) * N * 8 + n * 8 + i % 8] * noise[n];
                squares += f * f / ROWS / TRIES;
            }
        }
        const double measured = sqrt(squares / variance);
        if (fabs(measured / inverse.gain[0] - 1) > 0.05)
            CU_FAIL("noise differs by more than 5 % from what was foretold");
        perfusion_inverse_finish(&inverse);
    }
}

static void times_that_say_nothing_are_refused(void)
{
    double s[4] = {0, 1, 1, 2};
    uint8_t use[4] = {1, 1, 1, 1};
    struct perfusion_axis axis;
    const char *why = NULL;
    CU_ASSERT_FALSE(make_axis(s, use, 4, 1, &axis, &why));
    CU_ASSERT_PTR_NOT_NULL_FATAL(why);
    CU_ASSERT_STRING_EQUAL(why, "the times of slice 1 are not stated or do not rise");
    s[2] = NAN;
    why = NULL;
    CU_ASSERT_FALSE(make_axis(s, use, 4, 1, &axis, &why));
    CU_ASSERT_PTR_NOT_NULL(why);
    const double apart[4] = {0, 10, 1, 11}; // two slices, one after the other
    CU_ASSERT_FALSE(make_axis(apart, use, 2, 2, &axis, &why));
    CU_ASSERT_PTR_NOT_NULL_FATAL(why);
    CU_ASSERT_STRING_EQUAL(why, "the slices have no time in common");
}

static void baseline_ends_before_the_rise(void)
{
    double mean[20], rise;
    for (int n = 0; n < 20; n++)
        mean[n] = 30 + 8 * bolus(n, 6, 2);
    CU_ASSERT_EQUAL(perfusion_baseline(mean, 20, 0.05, 0.1, &rise), 6);
    CU_ASSERT_DOUBLE_EQUAL(rise, 8, 0.1);
    for (int n = 0; n < 20; n++)
        mean[n] = 30 + 8 * bolus(n + 6, 6, 2);
    CU_ASSERT_EQUAL(perfusion_baseline(mean, 20, 0.05, 0.1, &rise), 0);
}

// The last case: all others have run on the device.
static void validation_is_silent(void)
{
    device_close(gpu);
}

// A curve as the mean of those that are alike: the formula in the header, in double precision.
static void alike_is_that_of_plain_c(void)
{
    static float values[NZ * STEPS][NX * NY], found[NZ * STEPS][NX * NY], part[VOXELS];
    const double noise = 1.5, sigma = 2.4;
    struct err err = {0};
    load_scene();
    drawn = 999;
    for (int v = 0; v < VOXELS; v++)
        part[v] = (float)(0.5 + 0.5 * draw());
    CU_ASSERT_FATAL(gpu_volume_read(scene.curves, 0, NZ * STEPS, values, &err));
    struct gpu_volume *weight = gpu_volume_write(gpu, dim, spacing, GPU_VOXEL_F32, part, &err);
    struct gpu_volume *guide = perfusion_planes(gpu, dim, spacing, STEPS, &err);
    struct gpu_volume *out = perfusion_planes(gpu, dim, spacing, STEPS, &err);
    CU_ASSERT_FATAL(weight && guide && out);
    for (int k = 0; k < NZ * STEPS; k++) { // the guide is the curve itself, times the part
        for (int p = 0; p < NX * NY; p++)
            found[k][p] = values[k][p] * part[k / STEPS * NX * NY + p];
    }
    CU_ASSERT_FATAL(gpu_volume_write_slices(guide, 0, NZ * STEPS, found, &err) &&
                    perfusion_alike(scene.curves, guide, weight, scene.in, STEPS, BEFORE, sigma,
                                    noise, out, &err) &&
                    gpu_volume_read(out, 0, NZ * STEPS, found, &err));
    uint32_t wrong = 0;
    for (int v = 0; v < VOXELS; v++) {
        const int k = v / (NX * NY), j = v / NX % NY, i = v % NX;
        double sum[STEPS] = {0}, all = 0;
        for (int y = j - 3; y <= j + 3; y++) { // 2 * 2.4 mm are less than 3 voxels
            for (int x = i - 3; x <= i + 3; x++) {
                if (x < 0 || y < 0 || x >= NX || y >= NY || !scene.mask[(k * NY + y) * NX + x])
                    continue;
                double d = 0;
                for (int n = BEFORE; n < STEPS; n++)
                    d += pow((double)values[k * STEPS + n][j * NX + i] -
                                 (double)values[k * STEPS + n][y * NX + x],
                             2);
                const double e =
                    fmax(d / (STEPS - BEFORE) - 2 * noise * noise, 0) / (noise * noise);
                const double mm = spacing[0] * spacing[0] * (x - i) * (x - i) +
                                  spacing[1] * spacing[1] * (y - j) * (y - j);
                const double w = exp(-mm / (2 * sigma * sigma) - e * e / 2);
                all += w;
                for (int n = 0; n < STEPS; n++)
                    sum[n] += w * (double)values[k * STEPS + n][y * NX + x];
            }
        }
        for (int n = 0; n < STEPS; n++) {
            const double right = scene.mask[v] ? sum[n] / all : 0;
            wrong += fabs((double)found[k * STEPS + n][j * NX + i] - right) > 2e-3;
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
    gpu_volume_destroy(out);
    gpu_volume_destroy(guide);
    gpu_volume_destroy(weight);
    finish_scene();
}

int main(void)
{
    static const struct check_case cases[] = {
        {"blocks_are_means", blocks_are_means},
        {"enhancement_is_that_of_plain_c", enhancement_is_that_of_plain_c},
        {"shape_is_that_of_plain_c", shape_is_that_of_plain_c},
        {"alike_is_that_of_plain_c", alike_is_that_of_plain_c},
        {"residue_is_that_of_plain_c", residue_is_that_of_plain_c},
        {"delay_is_found_either_way", delay_is_found_either_way},
        {"osipi_curves_are_within_tolerance", osipi_curves_are_within_tolerance},
        {"uneven_times_become_even_steps", uneven_times_become_even_steps},
        {"fast_points_are_paired", fast_points_are_paired},
        {"slow_points_get_a_step_between", slow_points_get_a_step_between},
        {"noise_is_that_of_functions_of_noise", noise_is_that_of_functions_of_noise},
        {"times_that_say_nothing_are_refused", times_that_say_nothing_are_refused},
        {"baseline_ends_before_the_rise", baseline_ends_before_the_rise},
        {"validation_is_silent", validation_is_silent},
    };
    arena = arena_create();
    gpu = device_open((struct gpu_options){0});
    const int status = check_main("perfusion", cases, sizeof cases / sizeof *cases);
    arena_destroy(arena);
    return status;
}
