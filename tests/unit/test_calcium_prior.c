// A calcium score beside earlier ones: what is a change, what is none, and what cannot be judged.
#include "compute/stages/calcium/calcium_prior.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "tests/check.h"

#define SCORE "450360000 SCT"

static struct calcium_now now_at(double low, double high)
{
    return (struct calcium_now){.version = "7",
                                .low = low,
                                .high = high,
                                .bmi = 25,
                                .kvp = 120,
                                .thickness_mm = 3,
                                .spacing_mm = 3,
                                .maker = "Maker",
                                .model = "Model",
                                .kernel = "Qr36"};
}

// An earlier result of the same scanner and protocol. number: its memory.
static struct prior prior_at(double low, double high, struct prior_number *number)
{
    *number = (struct prior_number){.group = "Coronary arteries",
                                    .concept = SCORE,
                                    .method = "112055 DCM",
                                    .unit = "{score}",
                                    .value = low,
                                    .ranged = high > low,
                                    .low = low,
                                    .high = high};
    return (struct prior){.version = "7",
                          .date = "20240102",
                          .time = "",
                          .class_text = "CAC-DRS A2",
                          .maker = "Maker",
                          .model = "Model",
                          .kernel = "Qr36",
                          .kvp = 120,
                          .thickness_mm = 3,
                          .spacing_mm = 3,
                          .numbers = number,
                          .number_count = 1};
}

static enum calcium_change compared(double then_low, double then_high, double now_low,
                                    double now_high, const char *says)
{
    struct prior_number number;
    const struct prior p = prior_at(then_low, then_high, &number);
    const struct calcium_now now = now_at(now_low, now_high);
    struct calcium_compared c;
    calcium_compare(&p, &now, &c);
    CU_ASSERT_PTR_NOT_NULL(strstr(c.text, says));
    if (!strstr(c.text, says))
        fprintf(stderr, "\"%s\" is not in \"%s\"\n", says, c.text);
    return c.change;
}

static void the_limit_is_the_published_one(void)
{
    // 0.17 * 100 + 4.89 * 10 + 0.44 * 25 - 10.84
    CU_ASSERT_DOUBLE_EQUAL(calcium_repeatability(100, 25), 66.06, 1e-9);
    // 0.17 * 400 + 4.89 * 20 + 0.44 * 30 - 10.84
    CU_ASSERT_DOUBLE_EQUAL(calcium_repeatability(400, 30), 168.16, 1e-9);
    CU_ASSERT_EQUAL(calcium_repeatability(0.01, 18), 0); // never below nothing
}

static void a_change_is_more_than_two_scans_of_one_person_differ_by(void)
{
    // of 100 the limit is 66.06
    CU_ASSERT_EQUAL(compared(100, 100, 166, 166, "Difference +66.0, no change"),
                    CALCIUM_CHANGE_NONE);
    CU_ASSERT_EQUAL(compared(100, 100, 166.2, 166.2, "Difference +66.2, changed"),
                    CALCIUM_CHANGE_MORE);
    CU_ASSERT_EQUAL(compared(100, 100, 34, 34, "Difference -66.0, no change"), CALCIUM_CHANGE_NONE);
    CU_ASSERT_EQUAL(compared(100, 100, 33.8, 33.8, "Difference -66.2, changed"),
                    CALCIUM_CHANGE_LESS);
    CU_ASSERT_EQUAL(compared(100, 100, 100, 100, "66.1, body mass index 25.0 kg/m2"),
                    CALCIUM_CHANGE_NONE);
    CU_ASSERT_EQUAL(compared(100, 100, 100, 100, "2024-01-02: Agatston 100.0"),
                    CALCIUM_CHANGE_NONE);
}

static void ranges_are_compared_as_ranges(void)
{
    // Limits: 66.06 of 100, 83.0 of 150.
    CU_ASSERT_EQUAL(
        compared(100, 150, 100, 150, "Agatston 100.0 to 150.0. Difference -50.0 to +50.0"),
        CALCIUM_CHANGE_NONE);
    CU_ASSERT_EQUAL(compared(100, 150, 120, 200, "-30.0 to +100.0, not judged"),
                    CALCIUM_CHANGE_NOT_JUDGED);
    CU_ASSERT_EQUAL(compared(100, 150, 240, 300, "+90.0 to +200.0, changed"), CALCIUM_CHANGE_MORE);
    CU_ASSERT_EQUAL(compared(100, 150, 225, 300, "+75.0 to +200.0, not judged"),
                    CALCIUM_CHANGE_NOT_JUDGED); // 150 to 225 may be nothing
    CU_ASSERT_EQUAL(compared(100, 150, 0, 10, "-150.0 to -90.0, changed"), CALCIUM_CHANGE_LESS);
    CU_ASSERT_EQUAL(compared(100, 100, 0, 160, "-100.0 to +60.0, not judged"),
                    CALCIUM_CHANGE_NOT_JUDGED);
}

static void zero_has_no_limit(void)
{
    CU_ASSERT_EQUAL(compared(0, 0, 0, 0, "No calcium then or now"), CALCIUM_CHANGE_NONE);
    CU_ASSERT_EQUAL(compared(0, 0, 300, 300, "scores above 0"), CALCIUM_CHANGE_NOT_JUDGED);
    CU_ASSERT_EQUAL(compared(0, 0, 0, 5, "scores above 0"), CALCIUM_CHANGE_NOT_JUDGED);
    CU_ASSERT_EQUAL(compared(300, 300, 0, 0, "Difference -300.0, changed"), CALCIUM_CHANGE_LESS);
}

static void without_a_body_mass_index_both_ends_count(void)
{
    struct prior_number number;
    const struct prior p = prior_at(100, 100, &number);
    const struct {
        double score;
        enum calcium_change change;
    } cases[] = {
        {163.1, CALCIUM_CHANGE_NONE},       // 63.2 at 18.5 kg/m2
        {164.0, CALCIUM_CHANGE_NOT_JUDGED}, // between
        {174.8, CALCIUM_CHANGE_NOT_JUDGED}, //
        {174.9, CALCIUM_CHANGE_MORE},       // 74.86 at 45 kg/m2
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct calcium_now now = now_at(cases[i].score, cases[i].score);
        struct calcium_compared c;
        now.bmi = NAN;
        calcium_compare(&p, &now, &c);
        CU_ASSERT_EQUAL(c.change, cases[i].change);
        CU_ASSERT_PTR_NOT_NULL(strstr(c.text, "body mass index not stated"));
    }
}

// What differs is named, and nothing is judged, however far apart the scores are.
static void what_is_not_alike_is_not_judged(void)
{
    struct prior_number number;
    const struct prior p = prior_at(100, 100, &number);
    struct {
        const char *says;
        struct prior p;
        struct calcium_now now;
    } cases[] = {
        {"version 6 of the analysis, now 7", p, now_at(900, 900)},
        {"voltage 100 kV, now 120 kV", p, now_at(900, 900)},
        {"slice thickness 2.5 mm, now 3 mm", p, now_at(900, 900)},
        {"slices apart 1.5 mm, now 3 mm", p, now_at(900, 900)},
        {"kernel B35f, now Qr36", p, now_at(900, 900)},
        {"scanner Other, now Model", p, now_at(900, 900)},
        {"earlier scan not gated", p, now_at(900, 900)},
        {"this scan not gated", p, now_at(900, 900)},
        {"voltage not known of both", p, now_at(900, 900)},
        {"slice thickness not known of both", p, now_at(900, 900)},
        {"kernel not known of both", p, now_at(900, 900)},
        {"scanner of Fabricant, now Maker", p, now_at(900, 900)},
    };
    cases[0].p.version = "6";
    cases[1].p.kvp = 100;
    cases[2].p.thickness_mm = 2.5;
    cases[3].p.spacing_mm = 1.5;
    cases[4].p.kernel = "B35f";
    cases[5].p.model = "Other";
    cases[6].p.class_text = "CAC-DRS A2 (estimate)";
    cases[7].now.estimate = true;
    cases[8].p.kvp = NAN;
    cases[9].now.thickness_mm = NAN;
    cases[10].p.kernel = "";
    cases[11].p.maker = "Fabricant";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct calcium_compared c;
        calcium_compare(&cases[i].p, &cases[i].now, &c);
        CU_ASSERT_EQUAL(c.change, CALCIUM_CHANGE_NOT_JUDGED);
        CU_ASSERT_PTR_NOT_NULL(strstr(c.text, cases[i].says));
        CU_ASSERT_PTR_NOT_NULL(strstr(c.text, "Change +800.0, not judged: not comparable"));
        if (!strstr(c.text, cases[i].says))
            fprintf(stderr, "\"%s\" is not in \"%s\"\n", cases[i].says, c.text);
    }
}

static void senseless_scores_are_none(void)
{
    struct prior_number number;
    const struct prior p = prior_at(100, 100, &number);
    const struct calcium_now now = now_at(100, 100);
    const struct prior_number wrong[] = {{.concept = "122660 DCM"},
                                         {.unit = "mm3"},
                                         {.method = "112056 DCM"},
                                         {.low = -1},
                                         {.group = "LAD"},
                                         {.high = 99},
                                         {.high = 1e6},
                                         {.value = NAN},
                                         {.low = NAN},
                                         {.high = INFINITY}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct calcium_compared c;
        prior_at(100, 100, &number);
        number.concept = wrong[i].concept ? wrong[i].concept : number.concept;
        number.unit = wrong[i].unit ? wrong[i].unit : number.unit;
        number.method = wrong[i].method ? wrong[i].method : number.method;
        number.group = wrong[i].group ? wrong[i].group : number.group;
        number.low = wrong[i].low != 0 ? wrong[i].low : number.low;
        number.high = wrong[i].high != 0 ? wrong[i].high : number.high;
        number.value = wrong[i].value != 0 ? wrong[i].value : number.value;
        calcium_compare(&p, &now, &c);
        CU_ASSERT_EQUAL(c.change, CALCIUM_CHANGE_NOT_JUDGED);
        CU_ASSERT(isnan(c.least) && isnan(c.most));
        CU_ASSERT_PTR_NOT_NULL(strstr(c.text, "the report has no total score"));
    }
    struct calcium_compared c;
    struct prior refused = p;
    refused.end = PRIOR_NOT_EVALUABLE;
    calcium_compare(&refused, &now, &c);
    CU_ASSERT_EQUAL(c.change, CALCIUM_CHANGE_NOT_JUDGED);
    CU_ASSERT_STRING_EQUAL(c.score, "not evaluable");
}

static void each_is_a_row_a_fact_and_a_comparison(void)
{
    struct findings *f = findings_create();
    struct prior_number number;
    struct prior list[2] = {prior_at(100, 100, &number), prior_at(100, 100, &number)};
    const struct calcium_now now = now_at(120, 120);
    snprintf(list[1].id.sop_instance_uid, sizeof list[1].id.sop_instance_uid, "2.25.7");
    list[1].version = "6";
    CU_ASSERT_FATAL(f && calcium_prior_report(f, list, 2, &now));
    CU_ASSERT_EQUAL_FATAL(f->page.table_count, 1);
    CU_ASSERT_EQUAL(f->page.tables[0].rows, 3);
    CU_ASSERT_EQUAL(f->page.fact_count, 2);
    CU_ASSERT_EQUAL_FATAL(f->comparison_count, 2);
    CU_ASSERT_STRING_EQUAL(f->comparisons[1].with.sop_instance_uid, "2.25.7");
    CU_ASSERT_PTR_NOT_NULL(strstr(f->comparisons[0].text, "Difference +20.0, no change"));
    const char *const *row = f->page.tables[0].cells + f->page.tables[0].columns;
    CU_ASSERT_STRING_EQUAL(row[0], "2024-01-02");
    CU_ASSERT_STRING_EQUAL(row[1], "100.0");
    CU_ASSERT_STRING_EQUAL(row[4], "+20.0");
    CU_ASSERT_STRING_EQUAL(row[5], "within repeatability");
    CU_ASSERT_STRING_EQUAL(row[f->page.tables[0].columns + 5], "not judged");
    findings_destroy(f);
    f = findings_create();
    CU_ASSERT(f && calcium_prior_report(f, NULL, 0, &now));
    CU_ASSERT(f && f->page.table_count == 0 && f->comparison_count == 0);
    findings_destroy(f);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"the_limit_is_the_published_one", the_limit_is_the_published_one},
        {"a_change_is_more_than_two_scans_of_one_person_differ_by",
         a_change_is_more_than_two_scans_of_one_person_differ_by},
        {"ranges_are_compared_as_ranges", ranges_are_compared_as_ranges},
        {"zero_has_no_limit", zero_has_no_limit},
        {"without_a_body_mass_index_both_ends_count", without_a_body_mass_index_both_ends_count},
        {"what_is_not_alike_is_not_judged", what_is_not_alike_is_not_judged},
        {"senseless_scores_are_none", senseless_scores_are_none},
        {"each_is_a_row_a_fact_and_a_comparison", each_is_a_row_a_fact_and_a_comparison},
    };
    return check_main("calcium_prior", cases, sizeof cases / sizeof *cases);
}
