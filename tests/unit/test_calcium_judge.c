// What a candidate ends as, by what was measured of spots in real chests.
#include <math.h>
#include "compute/stages/calcium/calcium_judge.h"
#include "tests/check.h"

struct spot {
    struct component_stats stats;
    struct calcium_extent extent;
    struct calcium_around ring;
    struct calcium_bearing bearing;
};

// A spot of 30 mm3 and no fat, within the region, of a heart with noise of 12 HU.
static struct spot spot_at(double left, double back, double head, int32_t hu)
{
    return (struct spot){
        .stats = {.voxels = 30, .max = hu, .box_lo = {0, 0, 10}, .box_hi = {4, 4, 12}},
        .extent = {.inside = 1, .near = 1, .spread = {2, 1.5, 1}, .largest = 12},
        .bearing = {.from = {left, back, head},
                    .surface_mm = 5,
                    .bone_mm = 35,
                    .descending_mm = INFINITY,
                    .front = 2,
                    .left = left},
    };
}

static enum calcium_reason judged_by(const struct spot *s,
                                     enum calcium_reason (*judge)(const struct calcium_search *,
                                                                  uint32_t,
                                                                  const struct calcium_extent *,
                                                                  const struct calcium_around *,
                                                                  const struct calcium_bearing *))
{
    static const struct anatomy_heart heart = {
        .pool_hu = 45, .noise_hu = 12, .radius_mm = 30, .ascending = {.lo = 1, .hi = 0}};
    static const struct calcium_rules rules = {.threshold_hu = 130,
                                               .min_area_mm2 = 1,
                                               .pixel_area_mm2 = 0.5,
                                               .increment_mm = 2,
                                               .mass_factor = 0.769};
    static const struct calcium_options options = {
        .fat_fraction = 0.3, .metal_hu = 1600, .largest_mm3 = 1500, .connectivity = 8};
    struct component_stats stats = s->stats;
    const struct calcium_search search = {
        .heart = &heart, .rules = &rules, .options = &options, .stats = &stats};
    return judge(&search, 1, &s->extent, &s->ring, &s->bearing);
}

static enum calcium_reason judged(const struct spot *s)
{
    return judged_by(s, calcium_judge);
}

static enum calcium_reason judged_small(const struct spot *s)
{
    return judged_by(s, calcium_judge_small);
}

static void before_the_lungs_a_thin_layer_of_fat_may_hold_an_artery(void)
{
    // The right artery of a large heart, 34 mm from any bone.
    struct spot s = spot_at(-0.94, -1.26, -1.09, 651);
    s.extent.front = 0.61;
    s.ring.fat = 0.2;
    s.bearing.bone_mm = 34;
    CU_ASSERT_EQUAL(judged(&s), CALCIUM_BY_CHEST);
    const struct spot artery = s;
    s.bearing.bone_mm = 10; // cartilage
    CU_ASSERT_EQUAL(judged(&s), CALCIUM_CHEST);
    s = artery;
    s.ring.fat = 0;
    CU_ASSERT_EQUAL(judged(&s), CALCIUM_CHEST);
    s = artery;
    s.stats.max = 140;
    CU_ASSERT_EQUAL(judged(&s), CALCIUM_CHEST);
    s = artery;
    s.bearing.from[1] = -1.5; // farther before the heart
    CU_ASSERT_EQUAL(judged(&s), CALCIUM_CHEST);
}

static void in_a_small_field_a_place_near_a_border_is_uncertain(void)
{
    struct spot s = spot_at(0.5, -0.8, 0.6, 600);
    s.ring.fat = 0.6;
    CU_ASSERT_EQUAL(judged(&s), CALCIUM_IN_FAT);
    CU_ASSERT_EQUAL(judged_small(&s), CALCIUM_IN_FAT);
    const struct spot artery = s;
    s.bearing.from[2] = CALCIUM_OSTIA_HIGH - 0.1; // arteries end a little higher
    CU_ASSERT_EQUAL(judged(&s), CALCIUM_IN_FAT);
    CU_ASSERT_EQUAL(judged_small(&s), CALCIUM_SMALL_FIELD);
    s = artery;
    s.extent.inside = s.extent.near = 0; // the region may be too small
    s.extent.reached = 1;
    s.ring.fat = 0.2;
    CU_ASSERT_EQUAL(judged(&s), CALCIUM_AWAY);
    CU_ASSERT_EQUAL(judged_small(&s), CALCIUM_SMALL_FIELD);
    s.extent.reached = 0;
    CU_ASSERT_EQUAL(judged_small(&s), CALCIUM_AWAY);
    s.stats.voxels = 4000; // bone stays bone
    s.extent.reached = 1;
    CU_ASSERT_EQUAL(judged_small(&s), CALCIUM_MASSIVE);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"before_the_lungs_a_thin_layer_of_fat_may_hold_an_artery",
         before_the_lungs_a_thin_layer_of_fat_may_hold_an_artery},
        {"in_a_small_field_a_place_near_a_border_is_uncertain",
         in_a_small_field_a_place_near_a_border_is_uncertain},
    };
    return check_main("calcium_judge", cases, sizeof cases / sizeof *cases);
}
