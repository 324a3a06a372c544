#include <limits.h>
#include <math.h>
#include <string.h>
#include "compute/stages/calcium/calcium_score.h"
#include "tests/check.h"

static const struct calcium_rules rules = {.threshold_hu = 130,
                                           .min_area_mm2 = 1,
                                           .pixel_area_mm2 = 0.25,
                                           .increment_mm = 3,
                                           .mass_factor = 0.8};

static void weights_step_at_130_200_300_400(void)
{
    static const struct {
        double hu;
        unsigned weight;
    } steps[] = {{-100, 0}, {129, 0}, {130, 1}, {199, 1}, {200, 2},
                 {299, 2},  {300, 3}, {399, 3}, {400, 4}, {3000, 4}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        CU_ASSERT_EQUAL(calcium_weight(&rules, steps[i].hu), steps[i].weight);
    struct calcium_rules scaled = rules;
    scaled.threshold_hu = 143; // 10 % more
    CU_ASSERT_EQUAL(calcium_weight(&scaled, 142), 0);
    CU_ASSERT_EQUAL(calcium_weight(&scaled, 219), 1);
    CU_ASSERT_EQUAL(calcium_weight(&scaled, 221), 2);
    CU_ASSERT_EQUAL(calcium_weight(&scaled, 441), 4);
}

static void islands_below_the_smallest_area_do_not_count(void)
{
    CU_ASSERT_FALSE(calcium_counts(&rules, 0));
    CU_ASSERT_FALSE(calcium_counts(&rules, 3));
    CU_ASSERT(calcium_counts(&rules, 4));
}

// 8 pixels = 2 mm2 at weight 4, 4 pixels = 1 mm2 at weight 1, one too small: 2 * 4 + 1 = 9.
static void a_lesion_adds_its_islands(void)
{
    static const struct calcium_island islands[] = {
        {0, 5, 8, 450, 8 * 300}, {0, 6, 4, 150, 4 * 140}, {0, 7, 3, 900, 3 * 800}};
    struct calcium_amount a;
    calcium_score(&rules, islands, 3, &a, 1);
    CU_ASSERT_DOUBLE_EQUAL(calcium_agatston(&rules, &a), 9, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(calcium_volume_mm3(&rules, &a), 12 * 0.25 * 3, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(calcium_mass_mg(&rules, &a), 0.8 * (8 * 300 + 4 * 140) * 0.75 / 1000,
                           1e-12);
    CU_ASSERT_EQUAL(a.islands, 2);
    CU_ASSERT_EQUAL(a.lesions, 1);
    CU_ASSERT_EQUAL(a.max, 450);
}

static void the_increment_counts_not_the_number_of_slices(void)
{
    static const struct calcium_island once[] = {{0, 0, 8, 450, 8 * 300}};
    static const struct calcium_island twice[] = {{0, 0, 8, 450, 8 * 300}, {0, 1, 8, 450, 8 * 300}};
    struct calcium_rules half = rules;
    half.increment_mm = 1.5;
    struct calcium_amount a, b;
    calcium_score(&rules, once, 1, &a, 1);
    calcium_score(&half, twice, 2, &b, 1);
    CU_ASSERT_DOUBLE_EQUAL(calcium_agatston(&rules, &a), calcium_agatston(&half, &b), 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(calcium_mass_mg(&rules, &a), calcium_mass_mg(&half, &b), 1e-12);
}

static void the_weight_may_come_from_the_whole_lesion(void)
{
    static const struct calcium_island islands[] = {{0, 6, 4, 150, 4 * 140},
                                                    {0, 5, 8, 450, 8 * 300}};
    struct calcium_rules whole = rules;
    whole.weight_from_lesion = true;
    struct calcium_amount a;
    calcium_score(&whole, islands, 2, &a, 1);
    CU_ASSERT_DOUBLE_EQUAL(calcium_agatston(&whole, &a), 12, 1e-12);
}

static void lesions_are_kept_apart_and_add_up(void)
{
    static const struct calcium_island islands[] = {
        {1, 2, 4, 210, 800}, {0, 3, 4, 450, 1600}, {1, 4, 8, 320, 2400}};
    struct calcium_amount a[3], total = {0};
    calcium_score(&rules, islands, 3, a, 3);
    CU_ASSERT_EQUAL(a[0].weighted, 16);
    CU_ASSERT_EQUAL(a[1].weighted, 4 * 2 + 8 * 3);
    CU_ASSERT_EQUAL(a[2].lesions, 0);
    CU_ASSERT_EQUAL(a[2].max, INT32_MIN);
    for (int i = 0; i < 3; i++)
        calcium_add(&total, &a[i]);
    CU_ASSERT_EQUAL(total.weighted, 48);
    CU_ASSERT_EQUAL(total.lesions, 2);
    CU_ASSERT_EQUAL(total.max, 450);
}

static void categories_follow_the_published_cuts(void)
{
    static const struct {
        double score;
        unsigned arteries;
        const char *text;
    } cases[] = {{0, 0, "A0"},        {0.4, 1, "A1/N1"}, {99.9, 2, "A1/N2"}, {100, 3, "A2/N3"},
                 {299.9, 1, "A2/N1"}, {300, 4, "A3/N4"}, {4000, 4, "A3/N4"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[16];
        calcium_category(cases[i].score, cases[i].arteries, text, sizeof text);
        CU_ASSERT_STRING_EQUAL(text, cases[i].text);
    }
}

int main(void)
{
    static const struct check_case cases[] = {
        {"weights_step_at_130_200_300_400", weights_step_at_130_200_300_400},
        {"islands_below_the_smallest_area_do_not_count",
         islands_below_the_smallest_area_do_not_count},
        {"a_lesion_adds_its_islands", a_lesion_adds_its_islands},
        {"the_increment_counts_not_the_number_of_slices",
         the_increment_counts_not_the_number_of_slices},
        {"the_weight_may_come_from_the_whole_lesion", the_weight_may_come_from_the_whole_lesion},
        {"lesions_are_kept_apart_and_add_up", lesions_are_kept_apart_and_add_up},
        {"categories_follow_the_published_cuts", categories_follow_the_published_cuts},
    };
    return check_main("calcium_score", cases, sizeof cases / sizeof *cases);
}
