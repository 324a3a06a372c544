// Which series of a study are of one scan in time.
#include "node/job/join.h"
#include <math.h>
#include <stdio.h>
#include "tests/check.h"

#define SERIES 6
#define FRAMES 64

static struct arena *arena;
static struct image_frame frames[SERIES][FRAMES];
static const struct image_frame *lists[SERIES][FRAMES];
static struct join_frames series[SERIES];
static char uids[SERIES][8];

// Slices of 5 mm from `low` on, every 2 s from `begin` on.
static void show_series(uint32_t index, double low, uint32_t slices, double begin, uint32_t points)
{
    CU_ASSERT_FATAL(index < SERIES && slices * points <= FRAMES);
    snprintf(uids[index], sizeof uids[index], "1.%u", index);
    series[index] =
        (struct join_frames){.frames = lists[index], .count = slices * points, .uid = uids[index]};
    for (uint32_t n = 0; n < slices * points; n++) {
        const uint32_t point = n / slices;
        frames[index][n] = (struct image_frame){.columns = 64,
                                                .rows = 64,
                                                .placed = true,
                                                .position = {0, 0, low + 5 * (n % slices)},
                                                .orientation = {1, 0, 0, 0, 1, 0},
                                                .time_s = begin + 2 * point};
        lists[index][n] = &frames[index][n];
    }
}

// The groups, as the caller and as it gets them in the opposite order.
static void groups_are(uint32_t count, const uint32_t *expected)
{
    struct join_frames turned[SERIES];
    uint32_t group[SERIES], turned_group[SERIES];
    for (uint32_t i = 0; i < count; i++)
        turned[i] = series[count - 1 - i];
    CU_ASSERT_TRUE(join_series(series, count, IMAGE_TIME, arena, group));
    CU_ASSERT_TRUE(join_series(turned, count, IMAGE_TIME, arena, turned_group));
    for (uint32_t i = 0; i < count; i++) {
        CU_ASSERT_EQUAL(group[i], expected[i]);
        CU_ASSERT_EQUAL(turned_group[count - 1 - i], expected[i]);
    }
}

static void a_series_for_each_point_is_one_scan(void)
{
    for (uint32_t i = 0; i < SERIES; i++)
        show_series(i, 0, 4, 50.0 * i, 1); // 250 s in all
    groups_are(SERIES, (uint32_t[]){0, 0, 0, 0, 0, 0});
}

static void a_series_for_each_slab_is_one_scan(void)
{
    show_series(0, 0, 4, 1, 10);
    show_series(1, 20, 4, 0, 10);
    groups_are(2, (uint32_t[]){0, 0});
}

static void a_scan_that_goes_on_in_another_series_is_one_scan(void)
{
    show_series(0, 0, 4, 0, 10);
    show_series(1, 0, 4, 40, 10);
    groups_are(2, (uint32_t[]){0, 0});
}

static void two_reconstructions_are_apart(void)
{
    show_series(0, 0, 4, 0, 10);
    show_series(1, 0, 4, 0, 10);
    show_series(2, 0, 4, 0, 5);
    groups_are(3, (uint32_t[]){0, 1, 2});
}

static void what_comes_a_minute_later_is_apart(void)
{
    show_series(0, 0, 4, 0, 10); // to 18 s
    show_series(1, 0, 4, 18 + JOIN_GAP_S - 0.5, 1);
    groups_are(2, (uint32_t[]){0, 0});
    show_series(1, 0, 4, 18 + JOIN_GAP_S, 1);
    groups_are(2, (uint32_t[]){0, 1});
    show_series(1, 200, 4, 18 + JOIN_GAP_S, 1); // wherever it is
    groups_are(2, (uint32_t[]){0, 1});
}

static void series_without_times_are_joined(void)
{
    show_series(0, 0, 4, NAN, 1);
    show_series(1, 0, 4, NAN, 1);
    show_series(2, 0, 4, 0, 1);
    groups_are(3, (uint32_t[]){0, 0, 0});
}

static void over_another_axis_all_are_joined(void)
{
    uint32_t group[2] = {7, 7};
    show_series(0, 0, 4, 0, 10);
    show_series(1, 0, 4, 0, 10);
    CU_ASSERT_TRUE(join_series(series, 2, IMAGE_PHASE, arena, group));
    CU_ASSERT_EQUAL(group[0], 0);
    CU_ASSERT_EQUAL(group[1], 0);
}

static void the_image_over_the_axis_comes_first(void)
{
    struct image images[] = {
        {.placed = true, .dim = {1, 1, 300, 1}, .axis = IMAGE_NO_AXIS},
        {.placed = true, .dim = {1, 1, 20, 12}, .axis = IMAGE_TIME, .defect = "a gap"},
        {.placed = true, .dim = {1, 1, 10, 20}, .axis = IMAGE_TIME, .missing = 30},
        {.placed = true, .dim = {1, 1, 9, 20}, .axis = IMAGE_TIME},
        {.dim = {1, 1, 1, 200}, .axis = IMAGE_TIME},
        {.placed = true, .colour = true, .dim = {1, 1, 20, 20}, .axis = IMAGE_TIME},
    };
    const struct image_set set = {.images = images, .image_count = 6};
    const struct stage_input_spec over_time = {.axis = IMAGE_TIME}, over_b = {.axis = IMAGE_B};
    uint32_t order[] = {0, 1, 2, 3, 4, 5};
    const uint32_t expected[] = {3, 0, 1, 2, 4, 5};
    join_order(&set, &over_b, order, 6);
    CU_ASSERT_EQUAL(order[0], 0);
    join_order(&set, &over_time, order, 6);
    for (int i = 0; i < 6; i++)
        CU_ASSERT_EQUAL(order[i], expected[i]);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"a_series_for_each_point_is_one_scan", a_series_for_each_point_is_one_scan},
        {"a_series_for_each_slab_is_one_scan", a_series_for_each_slab_is_one_scan},
        {"a_scan_that_goes_on_in_another_series_is_one_scan",
         a_scan_that_goes_on_in_another_series_is_one_scan},
        {"two_reconstructions_are_apart", two_reconstructions_are_apart},
        {"what_comes_a_minute_later_is_apart", what_comes_a_minute_later_is_apart},
        {"series_without_times_are_joined", series_without_times_are_joined},
        {"over_another_axis_all_are_joined", over_another_axis_all_are_joined},
        {"the_image_over_the_axis_comes_first", the_image_over_the_axis_comes_first},
    };
    arena = arena_create();
    const int result = check_main("join", cases, sizeof cases / sizeof cases[0]);
    arena_destroy(arena);
    return result;
}
