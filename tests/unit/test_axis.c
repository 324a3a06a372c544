#include <math.h>
#include "compute/draw/axis.h"
#include "tests/check.h"

static void ticks_are_round_numbers(void)
{
    const struct axis a = axis_between(-3, 97, 6);
    CU_ASSERT_EQUAL(a.step, 20);
    CU_ASSERT_EQUAL(a.first, 0);
    CU_ASSERT_EQUAL(a.ticks, 5); // 0, 20, 40, 60, 80
    CU_ASSERT_EQUAL(a.low, -3);
    const struct axis b = axis_around(-3, 97, 6);
    CU_ASSERT_EQUAL(b.low, -20);
    CU_ASSERT_EQUAL(b.high, 100);
    CU_ASSERT_EQUAL(b.ticks, 7);
    CU_ASSERT_EQUAL(axis_tick(&b, 1), 0);
}

static void there_are_never_many_more_ticks_than_asked_for(void)
{
    for (int i = -80; i < 80; i++) {
        for (unsigned ticks = 1; ticks < 12; ticks++) {
            const double range = pow(10, i / 10.0), low = (i % 7 - 3) * range;
            const struct axis a = axis_between(low, low + range, ticks);
            CU_ASSERT(a.ticks <= ticks + 1);
            CU_ASSERT(a.first >= low - a.step * 1e-6);
            if (a.ticks)
                CU_ASSERT(axis_tick(&a, a.ticks - 1) <= low + range + a.step * 1e-6);
        }
    }
}

static void texts_have_the_digits_that_are_needed(void)
{
    char text[32];
    struct axis a = axis_between(0, 1, 5);
    CU_ASSERT_STRING_EQUAL(axis_text(&a, axis_tick(&a, 3), text, sizeof text), "0.6");
    a = axis_between(-0.1, 0.1, 4);
    CU_ASSERT_STRING_EQUAL(axis_text(&a, axis_tick(&a, 1), text, sizeof text), "-0.05");
    CU_ASSERT_STRING_EQUAL(axis_text(&a, axis_tick(&a, 2), text, sizeof text), "0.00");
    a = axis_between(0, 2000, 5);
    CU_ASSERT_STRING_EQUAL(axis_text(&a, axis_tick(&a, 3), text, sizeof text), "1500");
    a = axis_between(0, 4e9, 5);
    CU_ASSERT_STRING_EQUAL(axis_text(&a, axis_tick(&a, 2), text, sizeof text), "2e+09");
}

static void ends_that_are_equal_or_no_numbers_are_moved_apart(void)
{
    static const double ends[][2] = {{5, 5},          {0, 0},   {NAN, NAN}, {INFINITY, -INFINITY},
                                     {NAN, INFINITY}, {3, NAN}, {7, 2}};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        const struct axis a = axis_between(ends[i][0], ends[i][1], 5),
                          b = axis_around(ends[i][0], ends[i][1], 5);
        CU_ASSERT(isfinite(a.low) && a.low < a.high && a.step > 0 && a.ticks < 8);
        CU_ASSERT(isfinite(b.low) && b.low < b.high && b.step > 0 && b.ticks < 8);
    }
}

int main(void)
{
    static const struct check_case cases[] = {
        {"ticks_are_round_numbers", ticks_are_round_numbers},
        {"there_are_never_many_more_ticks_than_asked_for",
         there_are_never_many_more_ticks_than_asked_for},
        {"texts_have_the_digits_that_are_needed", texts_have_the_digits_that_are_needed},
        {"ends_that_are_equal_or_no_numbers_are_moved_apart",
         ends_that_are_equal_or_no_numbers_are_moved_apart},
    };
    return check_main("axis", cases, sizeof cases / sizeof *cases);
}
