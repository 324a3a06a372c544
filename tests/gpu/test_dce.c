// The kernels of the dce stage: signal and T1 by their own formulas backwards, the fit against
// least squares in double precision, and the curves of the OSIPI collection (left out where
// absent).
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compute/stages/dce/dce_artery.h"
#include "compute/stages/dce/dce_curves.h"
#include "compute/stages/perfusion/perfusion_curves.h"
#include "tests/gpu/device.h"

enum { NX = 37, NY = 5, NZ = 3, VOXELS = NX * NY * NZ, POINTS = 40, BEFORE = 4 };
static const uint32_t dim[3] = {NX, NY, NZ};
static const double spacing[3] = {1.2, 1.2, 4};
static struct gpu *gpu;

static uint32_t drawn = 12345;
static double draw(void) // 0..1
{
    drawn = drawn * 1664525u + 1013904223u;
    return (drawn >> 8) / (double)(1 << 24);
}

// Signal of a spoiled gradient echo of magnetisation 1.
static double spgr(double rate, double tr_s, double flip)
{
    const double e = exp(-tr_s * rate);
    return sin(flip) * (1 - e) / (1 - cos(flip) * e);
}

static struct gpu_volume *write_planes(float (*values)[VOXELS], uint32_t count)
{
    static float planes[NZ * POINTS * NX * NY];
    const uint32_t size[3] = {NX, NY, NZ * count};
    struct err err = {0};
    for (uint32_t k = 0; k < NZ; k++) {
        for (uint32_t p = 0; p < count; p++)
            memcpy(planes + (size_t)(k * count + p) * NX * NY, values[p] + (size_t)k * NX * NY,
                   NX * NY * sizeof *planes);
    }
    struct gpu_volume *v = gpu_volume_write(gpu, size, spacing, GPU_VOXEL_F32, planes, &err);
    CU_ASSERT_FATAL(v != NULL);
    return v;
}

static void read_planes(const struct gpu_volume *v, float (*values)[VOXELS], uint32_t count)
{
    static float planes[NZ * POINTS * NX * NY];
    struct err err = {0};
    CU_ASSERT_FATAL(gpu_volume_read(v, 0, NZ * count, planes, &err));
    for (uint32_t k = 0; k < NZ; k++) {
        for (uint32_t p = 0; p < count; p++)
            memcpy(values[p] + (size_t)k * NX * NY, planes + (size_t)(k * count + p) * NX * NY,
                   NX * NY * sizeof *planes);
    }
}

static struct gpu_volume *make_volume(void)
{
    struct err err = {0};
    struct gpu_volume *v = gpu_volume_create(gpu, dim, spacing, GPU_VOXEL_F32, &err);
    CU_ASSERT_FATAL(v != NULL);
    return v;
}

static void angles_give_t1(void)
{
    static const double flip_deg[4] = {2, 5, 10, 15}, tr_s = 0.005;
    static float values[4][VOXELS], lost[VOXELS];
    double flip[4], t1[VOXELS];
    struct err err = {0};
    for (int n = 0; n < VOXELS; n++)
        t1[n] = 0.1 + 3.9 * draw();
    for (int a = 0; a < 4; a++) {
        flip[a] = flip_deg[a] * M_PI / 180;
        for (int n = 0; n < VOXELS; n++) // of voxel 0 no signal comes
            values[a][n] = n ? (float)(1000 * spgr(1 / t1[n], tr_s, flip[a])) : 0;
    }
    struct gpu_volume *images = write_planes(values, 4), *out = make_volume();
    CU_ASSERT_FATAL(dce_angles(images, 4, flip, out, &err) &&
                    gpu_volume_read(out, 0, NZ, lost, &err));
    CU_ASSERT_EQUAL(lost[0], 0);
    double worst = 0;
    for (int n = 1; n < VOXELS; n++)
        worst = fmax(worst, fabs(-tr_s / log1p(-(double)lost[n]) / t1[n] - 1));
    printf("    T1 off by at most %.4f %%\n", 100 * worst);
    CU_ASSERT_TRUE(worst < 0.002);
    gpu_volume_destroy(out);
    gpu_volume_destroy(images);
}

static void signal_becomes_concentration(void)
{
    static const struct dce_sequence seq = {.tr_s = 0.004, .flip = 0.35, .relaxivity = 4.5};
    static float values[POINTS][VOXELS], found[POINTS][VOXELS], lost[VOXELS], base[VOXELS],
        broken[VOXELS];
    static double true_c[POINTS][VOXELS];
    static uint8_t mask[VOXELS];
    struct err err = {0};
    for (int n = 0; n < VOXELS; n++) {
        const double t1 = 0.2 + 3 * draw(), high = 12 * draw(), m = 500 + 1000 * draw();
        mask[n] = draw() < 0.8;
        lost[n] = (float)-expm1(-seq.tr_s / t1);
        for (int p = 0; p < POINTS; p++) {
            true_c[p][n] = p < BEFORE ? 0 : high * (p - BEFORE) / POINTS - 0.01;
            values[p][n] =
                (float)(m * spgr(1 / t1 + seq.relaxivity * true_c[p][n], seq.tr_s, seq.flip));
        }
    }
    mask[7] = 1;
    values[20][7] *= 100; // more than all of the magnetisation
    struct gpu_volume *curves = write_planes(values, POINTS), *out = make_volume(),
                      *bad = make_volume(),
                      *e0 = gpu_volume_write(gpu, dim, spacing, GPU_VOXEL_F32, lost, &err);
    struct gpu_mask *in = gpu_mask_write(gpu, dim, spacing, mask, &err);
    CU_ASSERT_FATAL(e0 && in);
    CU_ASSERT_FATAL(dce_contrast(curves, POINTS, in, e0, BEFORE, &seq, out, bad, &err) &&
                    gpu_volume_read(out, 0, NZ, base, &err) &&
                    gpu_volume_read(bad, 0, NZ, broken, &err));
    read_planes(curves, found, POINTS);
    double worst = 0;
    for (int n = 0; n < VOXELS; n++) {
        CU_ASSERT_EQUAL(broken[n], n == 7);
        for (int p = 0; p < POINTS; p++) {
            if (!mask[n] || (n == 7 && p == 20))
                CU_ASSERT_EQUAL(found[p][n], 0)
            else
                worst = fmax(worst,
                             fabs((double)found[p][n] - true_c[p][n]) / (0.1 + fabs(true_c[p][n])));
        }
    }
    printf("    concentration off by at most %.4f %% of itself + 0.1 mmol/L\n", 100 * worst);
    CU_ASSERT_TRUE(worst < 0.003);
    gpu_mask_destroy(in);
    gpu_volume_destroy(e0);
    gpu_volume_destroy(bad);
    gpu_volume_destroy(out);
    gpu_volume_destroy(curves);
}

// Least squares of up to three columns by the normal equations, in double precision.
static void plain_fit(const double (*columns)[3], const double *y, uint32_t points, int count,
                      double *x)
{
    double a[3][4] = {{0}};
    for (uint32_t p = 0; p < points; p++) {
        for (int i = 0; i < count; i++) {
            for (int k = 0; k < count; k++)
                a[i][k] += columns[p][i] * columns[p][k];
            a[i][3] += columns[p][i] * y[p];
        }
    }
    for (int i = 0; i < count; i++) {
        for (int r = 0; r < count; r++) {
            const double f = r == i ? 0 : a[r][i] / a[i][i];
            for (int k = 0; k < 4; k++)
                a[r][k] -= f * a[i][k];
        }
    }
    for (int i = 0; i < count; i++)
        x[i] = a[i][3] / a[i][i];
}

// Noisy curves at uneven times, with both models.
static void the_fit_is_that_of_least_squares(void)
{
    static float values[POINTS][VOXELS], found[4][VOXELS];
    static uint8_t mask[VOXELS];
    double plasma[POINTS], at_s[POINTS];
    struct err err = {0};
    for (int p = 0; p < POINTS; p++) {
        at_s[p] = 5.0 * p + 2 * draw();
        plasma[p] = p > BEFORE ? 6 * exp(-(p - BEFORE) / 3.0) + 1.2 * exp(-p / 60.0) : 0;
    }
    for (int n = 0; n < VOXELS; n++) {
        mask[n] = draw() < 0.8;
        for (int p = 0; p < POINTS; p++)
            values[p][n] = (float)(0.4 * draw() * (1 - exp(-p / 10.0)) + 0.05 * plasma[p]);
    }
    struct gpu_volume *curves = write_planes(values, POINTS);
    struct gpu_mask *in = gpu_mask_write(gpu, dim, spacing, mask, &err);
    for (int extended = 0; extended < 2; extended++) {
        struct dce_fit fit;
        CU_ASSERT_FATAL(in && dce_fit_of(curves, POINTS, in, plasma, at_s, extended, &fit, &err));
        const struct gpu_volume *all[4] = {fit.ktrans, fit.kep, fit.vp, fit.rest};
        for (int m = 0; m < 4; m++)
            CU_ASSERT_FATAL(gpu_volume_read(all[m], 0, NZ, found[m], &err));
        double worst = 0;
        for (int n = 0; n < VOXELS; n++) {
            double columns[POINTS][3] = {{0}}, y[POINTS], x[3] = {0}, rest = 0;
            for (int p = 0; p < POINTS; p++) {
                const double half = p ? (at_s[p] - at_s[p - 1]) / 120 : 0;
                y[p] = (double)values[p][n];
                columns[p][0] = p ? columns[p - 1][0] + half * (plasma[p] + plasma[p - 1]) : 0;
                columns[p][1] = p ? columns[p - 1][1] - half * (y[p] + y[p - 1]) : 0;
                columns[p][2] = plasma[p];
            }
            plain_fit(columns, y, POINTS, 2 + extended, x);
            for (int p = 0; p < POINTS; p++) {
                const double left =
                    y[p] - x[0] * columns[p][0] - x[1] * columns[p][1] - x[2] * columns[p][2];
                rest += left * left / POINTS;
            }
            const double expected[4] = {x[0] - x[1] * x[2], x[1], x[2], sqrt(rest)};
            for (int m = 0; m < 4; m++) {
                const double e = mask[n] ? expected[m] : 0;
                worst = fmax(worst, fabs((double)found[m][n] - e) / (0.01 + fabs(e)));
            }
        }
        printf("    %s: off by at most %.4f %%\n", extended ? "extended" : "Tofts", 100 * worst);
        CU_ASSERT_TRUE(worst < 0.002);
        dce_fit_finish(&fit);
    }
    gpu_mask_destroy(in);
    gpu_volume_destroy(curves);
}

static void an_artery_of_nothing_is_an_error(void)
{
    static float values[POINTS][VOXELS];
    static uint8_t mask[VOXELS];
    double plasma[POINTS] = {0}, at_s[POINTS];
    struct err err = {0};
    struct dce_fit fit;
    for (int p = 0; p < POINTS; p++)
        at_s[p] = p;
    struct gpu_volume *curves = write_planes(values, POINTS);
    struct gpu_mask *in = gpu_mask_write(gpu, dim, spacing, mask, &err);
    CU_ASSERT_FALSE(dce_fit_of(curves, POINTS, in, plasma, at_s, true, &fit, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    gpu_mask_destroy(in);
    gpu_volume_destroy(curves);
}

// ---- The OSIPI collection -----------------------------------------------------------------------

// The n-th column of a line of comma-separated values.
static const char *column_of(const char *line, int n)
{
    for (; n > 0 && line; n--) {
        line = strchr(line, ',');
        line = line ? line + 1 : NULL;
    }
    return line ? line : "";
}

// Numbers up to the next comma.
static uint32_t read_numbers(const char *text, double *out, uint32_t most)
{
    uint32_t count = 0;
    while (*text && *text != ',' && count < most) {
        char *end;
        const double value = strtod(text, &end);
        if (end == text)
            break;
        out[count++] = value;
        text = end;
    }
    return count;
}

static FILE *open_osipi(const char *name)
{
    const char *data = getenv("ANODE_TEST_DATA");
    char path[512];
    snprintf(path, sizeof path, "%s/perfusion/osipi/%s", data ? data : "../shared/data", name);
    FILE *in = fopen(path, "r");
    if (!in)
        printf("    left out: no %s\n", path);
    return in;
}

enum { MOST = 1400, SIDE = 8 };

static void judge_tofts(const char *line)
{
    static const uint32_t small[3] = {SIDE, SIDE, 1};
    static float planes[MOST][SIDE * SIDE], ktrans[SIDE * SIDE], kep[SIDE * SIDE];
    static double at_s[MOST], tissue[MOST], plasma[MOST];
    uint8_t all[SIDE * SIDE];
    double ve = 0, k = 0;
    struct err err = {0};
    struct dce_fit fit;
    const uint32_t points = read_numbers(column_of(line, 4), at_s, MOST);
    CU_ASSERT_FATAL(points > 100 && read_numbers(column_of(line, 1), &ve, 1) == 1 &&
                    read_numbers(column_of(line, 2), &k, 1) == 1 &&
                    read_numbers(column_of(line, 5), tissue, MOST) == points &&
                    read_numbers(column_of(line, 6), plasma, MOST) == points);
    for (uint32_t p = 0; p < points; p++) {
        for (int v = 0; v < SIDE * SIDE; v++)
            planes[p][v] = (float)tissue[p];
    }
    memset(all, 1, sizeof all);
    const uint32_t size[3] = {SIDE, SIDE, points};
    struct gpu_volume *curves = gpu_volume_write(gpu, size, spacing, GPU_VOXEL_F32, planes, &err);
    struct gpu_mask *mask = gpu_mask_write(gpu, small, spacing, all, &err);
    CU_ASSERT_FATAL(curves && mask &&
                    dce_fit_of(curves, points, mask, plasma, at_s, false, &fit, &err) &&
                    gpu_volume_read(fit.ktrans, 0, 1, ktrans, &err) &&
                    gpu_volume_read(fit.kep, 0, 1, kep, &err));
    const double found = (double)ktrans[SIDE + 1], space = found / (double)kep[SIDE + 1];
    printf("    %.20s: Ktrans %.4f of %.4f, ve %.4f of %.4f\n", line, found, k, space, ve);
    CU_ASSERT_TRUE(fabs(found - k) <= 0.005 + 0.1 * k); // tolerances of the collection
    CU_ASSERT_TRUE(fabs(space - ve) <= 0.05);
    dce_fit_finish(&fit);
    gpu_mask_destroy(mask);
    gpu_volume_destroy(curves);
}

static void osipi_tofts_curves_are_within_tolerance(void)
{
    static char line[262144];
    uint32_t count = 0;
    FILE *in = open_osipi("dce_DRO_data_tofts.csv");
    if (!in)
        return;
    if (fgets(line, sizeof line, in)) { // the head
        while (fgets(line, sizeof line, in)) {
            judge_tofts(line);
            count++;
        }
    }
    CU_ASSERT_EQUAL(count, 25);
    fclose(in);
}

static void the_population_is_that_of_the_collection(void)
{
    char line[512];
    uint32_t count = 0;
    double worst = 0;
    FILE *in = open_osipi("ParkerAIF_ref.csv");
    if (!in)
        return;
    while (fgets(line, sizeof line, in)) {
        double t = 0, c = 0, delay = 0;
        if (strncmp(line, "original_AIF", 12) != 0)
            continue;
        CU_ASSERT_FATAL(read_numbers(column_of(line, 1), &t, 1) == 1 &&
                        read_numbers(column_of(line, 2), &c, 1) == 1 &&
                        read_numbers(column_of(line, 3), &delay, 1) == 1);
        worst = fmax(worst, fabs(dce_artery_population(t - delay / 60) - c));
        count++;
    }
    printf("    %u points, off by at most %.6f mmol/L\n", count, worst);
    CU_ASSERT_TRUE(count > 10);
    CU_ASSERT_TRUE(worst < 1e-4);
    fclose(in);
}

// The last case: all others have run on the device.
static void validation_is_silent(void)
{
    device_close(gpu);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"angles_give_t1", angles_give_t1},
        {"signal_becomes_concentration", signal_becomes_concentration},
        {"the_fit_is_that_of_least_squares", the_fit_is_that_of_least_squares},
        {"an_artery_of_nothing_is_an_error", an_artery_of_nothing_is_an_error},
        {"osipi_tofts_curves_are_within_tolerance", osipi_tofts_curves_are_within_tolerance},
        {"the_population_is_that_of_the_collection", the_population_is_that_of_the_collection},
        {"validation_is_silent", validation_is_silent},
    };
    gpu = device_open((struct gpu_options){0});
    return check_main("dce", cases, sizeof cases / sizeof cases[0]);
}
