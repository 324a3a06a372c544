// What dark spots say of the bright ones that noise makes.
#include "compute/stages/calcium/calcium_noise.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/check.h"

enum { N = 200, SLICES = 4 };

static float slice[N * N];
static uint8_t mask[N * N];

static double normal(uint32_t *state)
{
    double sum = 0;
    for (int i = 0; i < 12; i++) {
        *state = *state * 1664525u + 1013904223u;
        sum += (*state >> 8) / 16777216.0;
    }
    return sum - 6;
}

// Blood of 40 HU, with a trend of 20 HU across; width: pixels that noise is averaged over.
static void make_slice(double sd_hu, int width, uint32_t *state)
{
    static float white[N * N];
    for (int n = 0; n < N * N; n++)
        white[n] = (float)normal(state);
    for (int n = 0; n < N * N; n++) {
        double sum = 0;
        for (int m = 0; m < width * width; m++)
            sum += white[(n + m % width + m / width * N) % (N * N)];
        slice[n] = (float)(40 + sd_hu * sum / width + 20.0 * (n % N) / N - 10);
    }
}

static bool in_disc(int n, int radius)
{
    const int x = n % N - N / 2, y = n / N - N / 2;
    return x * x + y * y <= radius * radius;
}

static struct calcium_noise measure(double sd_hu, int width, double fat_hu)
{
    const struct calcium_noise_rules rules = {.dim = {N, N},
                                              .spacing = {0.5, 0.5, 3},
                                              .blood_hu = 40,
                                              .threshold_hu = 130,
                                              .min_area_mm2 = 1};
    struct arena *arena = arena_create();
    static struct calcium_noise_sums sums;
    struct calcium_noise out;
    uint32_t state = 5;
    CU_ASSERT_FATAL(arena && calcium_noise_init(&sums, &rules, arena));
    for (int n = 0; n < N * N; n++)
        mask[n] = in_disc(n, 90);
    for (int k = 0; k < SLICES; k++) {
        make_slice(sd_hu, width, &state);
        for (int n = 0; n < N * N; n++) {
            if (!mask[n])
                slice[n] = (float)fat_hu;
        }
        calcium_noise_add(&sums, slice, mask);
    }
    calcium_noise_measure(&sums, &out);
    arena_destroy(arena);
    return out;
}

// As bright ones, by the plain definition: 8-connected, at least 4 pixels of 0.25 mm2.
static int bright_spots(double sd_hu, int width)
{
    static int stack[N * N];
    uint32_t state = 5;
    int spots = 0;
    for (int k = 0; k < SLICES; k++) {
        make_slice(sd_hu, width, &state);
        for (int first = 0; first < N * N; first++) {
            int size = 0, top = 0;
            if (!mask[first] || slice[first] < 130)
                continue;
            stack[top++] = first;
            slice[first] = 0;
            while (top) {
                const int at = stack[--top];
                size++;
                for (int n = 0; n < 9; n++) {
                    const int near = at + (n / 3 - 1) * N + n % 3 - 1;
                    if (mask[near] && slice[near] >= 130) {
                        slice[near] = 0;
                        stack[top++] = near;
                    }
                }
            }
            spots += size >= 4;
        }
    }
    return spots;
}

static void dark_spots_are_as_many_as_bright_ones(void)
{
    static const struct {
        double sd_hu;
        int width;
        double texture_low, texture_high;
        bool any;
    } cases[] = {
        {15, 1, 2.8, 3.2, false}, {15, 3, 1, 1.9, false},  {30, 1, 2.8, 3.2, false},
        {30, 3, 1, 1.9, false},   {40, 2, 1.5, 2.2, true}, {45, 3, 1, 1.9, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct calcium_noise n = measure(cases[i].sd_hu, cases[i].width, 40);
        const int bright = bright_spots(cases[i].sd_hu, cases[i].width);
        const double dark = n.spots_ml * n.volume_ml;
        const bool ok = fabs(n.sd_hu - cases[i].sd_hu) < 0.05 * cases[i].sd_hu + 0.5 &&
                        n.texture > cases[i].texture_low && n.texture < cases[i].texture_high &&
                        fabs(dark - bright) <= 3 * sqrt(dark + bright) + 1 &&
                        (bright > 5) == cases[i].any;
        CU_ASSERT(ok);
        if (!ok)
            fprintf(stderr, "%g HU, width %d: %.1f HU, texture %.2f, %.0f dark, %d bright\n",
                    cases[i].sd_hu, cases[i].width, n.sd_hu, n.texture, dark, bright);
    }
}

static void what_lies_outside_does_not_count(void)
{
    const struct calcium_noise a = measure(20, 2, 40), b = measure(20, 2, -100);
    CU_ASSERT_EQUAL(a.spots_ml, b.spots_ml);
    CU_ASSERT_EQUAL(a.sd_hu, b.sd_hu);
    CU_ASSERT_DOUBLE_EQUAL(a.volume_ml, acos(-1) * 45 * 45 * 3 * SLICES / 1000, 0.5);
}

static void nothing_to_look_at_is_no_number(void)
{
    const struct calcium_noise_rules rules = {
        .dim = {N, N}, .spacing = {0.5, 0.5, 3}, .blood_hu = 40, .threshold_hu = 130};
    struct arena *arena = arena_create();
    static struct calcium_noise_sums sums;
    struct calcium_noise out;
    CU_ASSERT_FATAL(arena && calcium_noise_init(&sums, &rules, arena));
    memset(mask, 0, sizeof mask);
    calcium_noise_add(&sums, slice, mask);
    calcium_noise_measure(&sums, &out);
    CU_ASSERT(isnan(out.sd_hu));
    CU_ASSERT(isnan(out.spots_ml));
    arena_destroy(arena);
}

// A spot of the smallest area counts, one pixel less does not; the largest is told.
static void spots_count_from_the_smallest_area_on(void)
{
    static const struct {
        int width, height, count;
        double largest_mm2;
    } cases[] = {{2, 2, 1, 1}, {3, 1, 0, 0}, {4, 1, 1, 1}, {5, 4, 1, 5}, {1, 3, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct calcium_noise_rules rules = {.dim = {N, N},
                                                  .spacing = {0.5, 0.5, 3},
                                                  .blood_hu = 40,
                                                  .threshold_hu = 130,
                                                  .min_area_mm2 = 1};
        struct arena *arena = arena_create();
        static struct calcium_noise_sums sums;
        struct calcium_noise out;
        CU_ASSERT_FATAL(arena && calcium_noise_init(&sums, &rules, arena));
        memset(mask, 1, sizeof mask);
        for (int n = 0; n < N * N; n++)
            slice[n] = n % N < cases[i].width && n / N < cases[i].height ? -50.0F : 40.0F;
        calcium_noise_add(&sums, slice, mask);
        calcium_noise_measure(&sums, &out);
        CU_ASSERT_DOUBLE_EQUAL(out.spots_ml * out.volume_ml, cases[i].count, 1e-9);
        CU_ASSERT_DOUBLE_EQUAL(out.largest_mm2, cases[i].largest_mm2, 1e-9);
        arena_destroy(arena);
    }
}

// Cells beside fat, calcium, what lies outside the region and the grid's border are none of the
// core; noise of single cells does not matter.
static void the_core_keeps_away_from_fat(void)
{
    enum { W = 24, H = 18, D = 12, LAYER = W * H };
    static uint8_t region[LAYER * D], core[LAYER * D];
    static int16_t hu[LAYER * D];
    static const struct {
        int x, y, z;
        bool core;
    } cases[] = {
        {10, 9, 5, false},  {12, 9, 5, false}, {13, 9, 5, true},  {10, 7, 6, false},
        {10, 9, 8, true},   {10, 9, 7, false}, {5, 4, 2, false},  {6, 4, 2, false},
        {1, 9, 4, false},   {2, 9, 4, true},   {16, 9, 0, false}, {16, 9, 11, false},
        {20, 10, 4, false}, {17, 10, 4, true}, {18, 4, 4, true},
    };
    const uint32_t dim[3] = {W, H, D};
    memset(region, 1, sizeof region);
    for (int n = 0; n < LAYER * D; n++)
        hu[n] = 45;
    hu[5 * LAYER + 9 * W + 10] = -600;  // as much as a sheet of fat
    hu[4 * LAYER + 10 * W + 20] = 1000; // calcium
    hu[4 * LAYER + 4 * W + 18] = -60;   // noise
    region[2 * LAYER + 4 * W + 4] = 0;
    calcium_noise_core(region, hu, dim, 42, core);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const bool got = core[cases[i].z * LAYER + cases[i].y * W + cases[i].x];
        CU_ASSERT_EQUAL(got, cases[i].core);
        if (got != cases[i].core)
            fprintf(stderr, "%d %d %d\n", cases[i].x, cases[i].y, cases[i].z);
    }
}

static void a_category_needs_little_noise(void)
{
    CU_ASSERT(calcium_noise_allows_category(20));
    CU_ASSERT(calcium_noise_allows_category(30));
    CU_ASSERT(!calcium_noise_allows_category(30.5));
    CU_ASSERT(!calcium_noise_allows_category(NAN));
}

int main(void)
{
    static const struct check_case cases[] = {
        {"dark_spots_are_as_many_as_bright_ones", dark_spots_are_as_many_as_bright_ones},
        {"what_lies_outside_does_not_count", what_lies_outside_does_not_count},
        {"nothing_to_look_at_is_no_number", nothing_to_look_at_is_no_number},
        {"spots_count_from_the_smallest_area_on", spots_count_from_the_smallest_area_on},
        {"the_core_keeps_away_from_fat", the_core_keeps_away_from_fat},
        {"a_category_needs_little_noise", a_category_needs_little_noise},
    };
    return check_main("calcium_noise", cases, sizeof cases / sizeof *cases);
}
