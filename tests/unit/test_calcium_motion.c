// Whether a heart moved, by its border with lung: a disc in air within a wall, seen through a
// kernel.
#include "compute/stages/calcium/calcium_motion.h"
#include <math.h>
#include <stdio.h>
#include "tests/check.h"

enum { N = 320, SLICES = 2 };

static float slice[N * N];
static uint8_t part[N * N];

// What is scanned, and how.
struct scan {
    double moved_mm[2]; // of the time a half so far beside its place, along rows and columns
    double pixel_mm, blur_mm, noise_hu;
    double heart_hu;   // what lung touches: muscle or fat
    double outside_hu; // around the body, or padding
    bool wall;         // is seen
    enum calcium_moved judged;
};

static double normal(uint32_t *state)
{
    double sum = 0;
    for (int i = 0; i < 12; i++) {
        *state = *state * 1664525u + 1013904223u;
        sum += (*state >> 8) / 16777216.0;
    }
    return sum - 6;
}

// Part of a pixel at a distance from a border (inside is negative) that is inside, blurred.
static double inside(double mm, double blur_mm)
{
    return 0.5 * erfc(mm / (sqrt(2) * blur_mm));
}

static void make_slice(const struct scan *s, uint32_t *state)
{
    for (int n = 0; n < N * N; n++) {
        const int column = n % N, row = n / N;
        const double x = (column - N / 2.0) * s->pixel_mm, y = (row - N / 2.0) * s->pixel_mm;
        const double half = N / 2.0 * s->pixel_mm, body = half - 20, lung = body - 25;
        const double there = hypot(x - s->moved_mm[0], y - s->moved_mm[1]);
        const double heart =
            0.5 * (inside(hypot(x, y) - 40, s->blur_mm) + inside(there - 40, s->blur_mm));
        double hu = -850 + (s->heart_hu + 850) * heart;
        if (s->wall) {
            hu += (50 - hu) * (1 - inside(hypot(x, y) - lung, s->blur_mm));
            hu = hypot(x, y) > body ? s->outside_hu : hu;
        }
        slice[n] = (float)(hu + s->noise_hu * normal(state));
        part[n] = hypot(x, y) < 45          ? CALCIUM_MOTION_HEART
                  : hypot(x, y) > lung - 10 ? CALCIUM_MOTION_WALL
                                            : CALCIUM_MOTION_NEITHER;
    }
}

static struct calcium_motion motion_of(const struct scan *s)
{
    static struct calcium_motion_sums sums;
    const uint32_t dim[2] = {N, N};
    const double spacing[2] = {s->pixel_mm, s->pixel_mm};
    struct arena *arena = arena_create();
    struct calcium_motion out;
    uint32_t state = 7;
    CU_ASSERT_FATAL(arena && calcium_motion_init(&sums, dim, spacing, arena));
    for (int k = 0; k < SLICES; k++) {
        make_slice(s, &state);
        calcium_motion_add(&sums, slice, part);
    }
    calcium_motion_measure(&sums, &out);
    arena_destroy(arena);
    return out;
}

static void a_heart_that_moved_has_a_wider_border_than_what_rests(void)
{
    static const struct scan scans[] = {
        {{0, 0}, 0.7, 0.65, 0, 50, -1000, true, CALCIUM_RESTED},
        {{0, 0}, 0.7, 0.65, 25, 50, -1000, true, CALCIUM_RESTED},
        {{0, 0}, 0.7, 0.9, 15, -100, -1000, true, CALCIUM_RESTED}, // fat around it
        {{0, 0}, 0.9, 0.65, 15, 50, -2000, true, CALCIUM_RESTED},  // in padding
        {{0, 0}, 0.7, 0.65, 15, 50, -1000, false, CALCIUM_RESTED}, // in a small field of view
        {{1.6, 0}, 0.7, 0.65, 15, 50, -1000, true, CALCIUM_MAY_HAVE_MOVED},
        {{3, 0}, 0.7, 0.65, 15, 50, -1000, true, CALCIUM_MOVED},
        {{0, 3}, 0.7, 0.65, 15, 50, -1000, true, CALCIUM_MOVED},
        {{2, 2}, 0.7, 0.65, 25, -100, -1000, true, CALCIUM_MOVED},
        {{4, 3}, 0.9, 0.9, 15, 50, -2000, true, CALCIUM_MOVED},
    };
    for (size_t i = 0; i < sizeof scans / sizeof *scans; i++) {
        const struct calcium_motion m = motion_of(&scans[i]);
        if (calcium_motion_judge(&m) != scans[i].judged)
            printf("scan %zu: %.2f mm, what rests %.2f mm, %.2f\n", i, m.heart_mm, m.rest_mm,
                   calcium_motion_ratio(&m));
        CU_ASSERT_EQUAL(calcium_motion_judge(&m), scans[i].judged);
        CU_ASSERT(m.borders > 200 && m.rest_mm > 0.5);
    }
}

static void a_border_is_as_wide_as_the_kernel_makes_it(void)
{
    // Of a Gaussian from a quarter to three quarters: 1.349 standard deviations. Lines through a
    // disc meet its border at angles whose sines are spread evenly.
    const struct scan s = {{0, 0}, 0.7, 1, 0, 50, -1000, true, CALCIUM_RESTED};
    const struct calcium_motion m = motion_of(&s);
    CU_ASSERT_DOUBLE_EQUAL(m.rest_mm, 1.349 / sqrt(1 - 0.25 * 0.25), 0.05);
    CU_ASSERT_DOUBLE_EQUAL(m.heart_mm, 1.349 / sqrt(1 - 0.5 * 0.5), 0.05);
}

static void too_few_borders_tell_nothing(void)
{
    struct scan s = {{3, 0}, 0.7, 0.65, 15, 50, -1000, true, CALCIUM_RESTED};
    s.heart_hu = -800; // no heart
    const struct calcium_motion m = motion_of(&s);
    CU_ASSERT(isnan(calcium_motion_ratio(&m)));
    CU_ASSERT_EQUAL(calcium_motion_judge(&m), CALCIUM_RESTED);
    CU_ASSERT_EQUAL(m.borders, 0);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"a_heart_that_moved_has_a_wider_border_than_what_rests",
         a_heart_that_moved_has_a_wider_border_than_what_rests},
        {"a_border_is_as_wide_as_the_kernel_makes_it", a_border_is_as_wide_as_the_kernel_makes_it},
        {"too_few_borders_tell_nothing", too_few_borders_tell_nothing},
    };
    return check_main("calcium_motion", cases, sizeof cases / sizeof *cases);
}
