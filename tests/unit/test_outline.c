#include <math.h>
#include <stdlib.h>
#include "compute/findings/outline.h"
#include "tests/check.h"

static const uint32_t at_zero[2] = {0, 0};

static double signed_area(const struct outline *o)
{
    double area = 0;
    for (uint32_t i = 0; i + 1 < o->count; i++) {
        const float *p = &o->points[2 * i];
        area += ((double)p[0] * p[3] - (double)p[2] * p[1]) / 2;
    }
    return area;
}

static void a_pixel_is_a_square_at_its_place(void)
{
    static const uint8_t mask[1] = {1};
    static const float expected[10] = {7, 9, 8, 9, 8, 10, 7, 10, 7, 9};
    const uint32_t origin[2] = {7, 9};
    struct arena *arena = arena_create();
    struct outline *list;
    uint32_t count;
    CU_ASSERT(outline_trace(mask, 1, 1, origin, arena, &list, &count));
    CU_ASSERT_EQUAL_FATAL(count, 1);
    CU_ASSERT_EQUAL_FATAL(list[0].count, 5);
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(list[0].points[i], expected[i]);
    CU_ASSERT_FALSE(list[0].hole);
    arena_destroy(arena);
}

static void straight_lines_have_no_points_between(void)
{
    static const uint8_t mask[] = {1, 1, 1, 1, //
                                   1, 1, 1, 1, //
                                   1, 0, 0, 0};
    struct arena *arena = arena_create();
    struct outline *list;
    uint32_t count;
    CU_ASSERT(outline_trace(mask, 4, 3, at_zero, arena, &list, &count));
    CU_ASSERT_EQUAL_FATAL(count, 1);
    CU_ASSERT_EQUAL(list[0].count, 7); // an L has six corners
    CU_ASSERT_EQUAL(signed_area(&list[0]), 9);
    arena_destroy(arena);
}

static void pixels_that_touch_at_a_corner_share_an_outline(void)
{
    static const uint8_t mask[] = {1, 0, //
                                   0, 1};
    static const uint8_t other[] = {0, 1, //
                                    1, 0};
    struct arena *arena = arena_create();
    struct outline *list;
    uint32_t count;
    CU_ASSERT(outline_trace(mask, 2, 2, at_zero, arena, &list, &count));
    CU_ASSERT_EQUAL(count, 1);
    CU_ASSERT_EQUAL(signed_area(&list[0]), 2);
    CU_ASSERT(outline_trace(other, 2, 2, at_zero, arena, &list, &count));
    CU_ASSERT_EQUAL(count, 1);
    CU_ASSERT_EQUAL(signed_area(&list[0]), 2);
    arena_destroy(arena);
}

static void a_hole_has_its_own_outline(void)
{
    static const uint8_t mask[] = {1, 1, 1, //
                                   1, 0, 1, //
                                   1, 1, 1};
    struct arena *arena = arena_create();
    struct outline *list;
    uint32_t count;
    CU_ASSERT(outline_trace(mask, 3, 3, at_zero, arena, &list, &count));
    CU_ASSERT_EQUAL_FATAL(count, 2);
    CU_ASSERT_FALSE(list[0].hole);
    CU_ASSERT_EQUAL(signed_area(&list[0]), 9);
    CU_ASSERT(list[1].hole);
    CU_ASSERT_EQUAL(signed_area(&list[1]), -1);
    arena_destroy(arena);
}

static void outlines_enclose_exactly_the_pixels_of_any_mask(void)
{
    srand(20);
    for (int round = 0; round < 300; round++) {
        uint32_t columns = 1 + (uint32_t)rand() % 23, rows = 1 + (uint32_t)rand() % 17;
        uint8_t mask[23 * 17];
        int density = 1 + rand() % 9, set = 0;
        for (uint32_t n = 0; n < columns * rows; n++)
            set += mask[n] = rand() % 10 < density;
        struct arena *arena = arena_create();
        struct outline *list;
        uint32_t count;
        CU_ASSERT_FATAL(outline_trace(mask, columns, rows, at_zero, arena, &list, &count));
        double area = 0;
        for (uint32_t i = 0; i < count; i++) {
            const struct outline *o = &list[i];
            area += signed_area(o);
            CU_ASSERT_EQUAL(o->hole, signed_area(o) < 0);
            CU_ASSERT_EQUAL(o->points[0], o->points[2 * o->count - 2]);
            CU_ASSERT_EQUAL(o->points[1], o->points[2 * o->count - 1]);
            for (uint32_t p = 0; p + 1 < o->count; p++) { // every edge is along one axis, and turns
                const float *a = &o->points[2 * p];
                CU_ASSERT((a[0] == a[2]) != (a[1] == a[3]));
                if (p + 2 < o->count)
                    CU_ASSERT((a[0] == a[2]) != (a[2] == a[4]));
            }
        }
        CU_ASSERT_EQUAL(area, set);
        arena_destroy(arena);
    }
}

static void an_empty_mask_has_none(void)
{
    static const uint8_t mask[6] = {0};
    struct arena *arena = arena_create();
    struct outline *list;
    uint32_t count = 9;
    CU_ASSERT(outline_trace(mask, 3, 2, at_zero, arena, &list, &count));
    CU_ASSERT_EQUAL(count, 0);
    CU_ASSERT_PTR_NULL(list);
    arena_destroy(arena);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"a_pixel_is_a_square_at_its_place", a_pixel_is_a_square_at_its_place},
        {"straight_lines_have_no_points_between", straight_lines_have_no_points_between},
        {"pixels_that_touch_at_a_corner_share_an_outline",
         pixels_that_touch_at_a_corner_share_an_outline},
        {"a_hole_has_its_own_outline", a_hole_has_its_own_outline},
        {"outlines_enclose_exactly_the_pixels_of_any_mask",
         outlines_enclose_exactly_the_pixels_of_any_mask},
        {"an_empty_mask_has_none", an_empty_mask_has_none},
    };
    return check_main("outline", cases, sizeof cases / sizeof *cases);
}
