// What a place in the heart speaks for, and which artery runs there. Places as they were read off
// chests: of a heart that lies far to the left, of small ones, of narrow chests.
#include <math.h>
#include "compute/stages/calcium/calcium_bearing.h"
#include "tests/check.h"

// Without an aorta nearby; to the left, the back and the head, in radii.
static struct calcium_bearing at(double left, double back, double head)
{
    return (struct calcium_bearing){.from = {left, back, head},
                                    .surface_mm = 2,
                                    .bone_mm = 60,
                                    .above_mm = head * 30,
                                    .descending_mm = 60,
                                    .front = 2,
                                    .left = left};
}

static enum calcium_reason place_of(double left, double back, double head)
{
    const struct calcium_bearing b = at(left, back, head);
    return calcium_judge_place(&b);
}

static enum calcium_artery artery_of(double left, double back, double head)
{
    const struct calcium_bearing b = at(left, back, head);
    return calcium_artery_of(&b);
}

static void arteries_have_their_sides(void)
{
    CU_ASSERT_EQUAL(artery_of(0.6, -0.8, 0.7), CALCIUM_LAD);
    CU_ASSERT_EQUAL(artery_of(1.2, 0.8, 0.2), CALCIUM_LCX);
    CU_ASSERT_EQUAL(artery_of(-1.1, -0.7, 0.9), CALCIUM_RCA);
    CU_ASSERT_EQUAL(artery_of(-0.8, 0.7, -0.7), CALCIUM_RCA);
}

static void the_mouth_of_the_left_main_artery_is_not_the_right_one(void)
{
    CU_ASSERT_EQUAL(artery_of(-0.42, 0.35, 1.42), CALCIUM_UNASSIGNED);
    CU_ASSERT_EQUAL(artery_of(-0.16, 0.34, 1.34), CALCIUM_UNASSIGNED);
    CU_ASSERT_EQUAL(artery_of(-0.42, 0.35, 0.3), CALCIUM_RCA); // lower it is
}

static void nothing_of_an_artery_is_far_behind(void)
{
    CU_ASSERT_EQUAL(place_of(-0.65, 1.57, -0.74), CALCIUM_BACK);
    CU_ASSERT_EQUAL(place_of(-0.65, 1.57, 0.3), CALCIUM_BACK);
    CU_ASSERT_EQUAL(place_of(-0.4, 1.2, -0.56), CALCIUM_IN_FAT); // the right artery's end
    CU_ASSERT_EQUAL(place_of(0.9, 1.5, -0.3), CALCIUM_IN_FAT);   // the circumflex
    CU_ASSERT_EQUAL(place_of(0.2, 1.7, 0), CALCIUM_AWAY);
}

static void the_free_wall_is_one_at_any_height_far_out(void)
{
    CU_ASSERT_EQUAL(place_of(2.81, -0.36, 0.61), CALCIUM_FREE_WALL);
    CU_ASSERT_EQUAL(place_of(1.5, -0.2, 0.3), CALCIUM_FREE_WALL);
    CU_ASSERT_EQUAL(place_of(1.5, -0.2, 0.8), CALCIUM_IN_FAT);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"arteries_have_their_sides", arteries_have_their_sides},
        {"the_mouth_of_the_left_main_artery_is_not_the_right_one",
         the_mouth_of_the_left_main_artery_is_not_the_right_one},
        {"nothing_of_an_artery_is_far_behind", nothing_of_an_artery_is_far_behind},
        {"the_free_wall_is_one_at_any_height_far_out", the_free_wall_is_one_at_any_height_far_out},
    };
    return check_main("calcium_bearing", cases, sizeof cases / sizeof *cases);
}
