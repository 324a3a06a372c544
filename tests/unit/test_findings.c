#include <math.h>
#include <string.h>
#include "compute/findings/findings.h"
#include "tests/check.h"

static void an_empty_one_has_failed_without_result(void)
{
    struct findings *f = findings_create();
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_EQUAL(f->verdict, VERDICT_FAILED);
    CU_ASSERT_STRING_EQUAL(f->reason, "no result");
    CU_ASSERT_EQUAL(f->group_count, 0);
    findings_destroy(f);
    findings_destroy(NULL);
}

static void verdicts_have_the_names_people_read(void)
{
    CU_ASSERT_STRING_EQUAL(verdict_name(VERDICT_DONE), "done");
    CU_ASSERT_STRING_EQUAL(verdict_name(VERDICT_NOTHING_FOUND), "nothing found");
    CU_ASSERT_STRING_EQUAL(verdict_name(VERDICT_NOT_EVALUABLE), "not evaluable");
    CU_ASSERT_STRING_EQUAL(verdict_name(VERDICT_FAILED), "failed");
}

static void entries_survive_growth_in_order(void)
{
    struct findings *f = findings_create();
    for (uint32_t i = 0; i < 1000; i++) {
        struct finding_group *g = findings_add_group(f);
        CU_ASSERT_PTR_NOT_NULL_FATAL(g);
        CU_ASSERT_EQUAL(g->region, -1);
        CU_ASSERT_EQUAL(g->parent, -1);
        g->key.slice = i;
        for (uint32_t j = 0; j < i % 5; j++)
            findings_add_measurement(f, g)->value = i + 0.25 * j;
        findings_add_evaluation(f, g)->text = "of the group";
        struct mark *m = findings_add_mark(f);
        CU_ASSERT_EQUAL(m->group, -1);
        m->place.slice = i;
    }
    CU_ASSERT_EQUAL_FATAL(f->group_count, 1000);
    CU_ASSERT_EQUAL_FATAL(f->mark_count, 1000);
    CU_ASSERT_EQUAL(f->evaluation_count, 0);
    for (uint32_t i = 0; i < 1000; i++) {
        struct finding_group *g = &f->groups[i];
        CU_ASSERT_EQUAL(g->key.slice, i);
        CU_ASSERT_EQUAL(f->marks[i].place.slice, i);
        CU_ASSERT_EQUAL_FATAL(g->measurement_count, i % 5);
        for (uint32_t j = 0; j < i % 5; j++) {
            CU_ASSERT_EQUAL(g->measurements[j].value, i + 0.25 * j);
            CU_ASSERT_EQUAL(g->measurements[j].region, -1);
        }
        CU_ASSERT_EQUAL(g->evaluation_count, 1);
    }
    findings_destroy(f);
}

static void a_number_has_the_region_of_its_group(void)
{
    static const struct code volume = {"118565006", "SCT", "Volume"};
    static const struct code ml = {"ml", "UCUM", "milliliter"};
    static const struct code mean = {"373098007", "SCT", "Mean"};
    struct findings *f = findings_create();
    struct finding_group *g = findings_add_group(f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(g);
    g->region = 3;
    const struct measurement *m = findings_add_number(f, g, &volume, 2.5, 1, &ml, &mean);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL(m->region, 3);
    CU_ASSERT_EQUAL(m->value, 2.5);
    CU_ASSERT_EQUAL(m->decimals, 1);
    CU_ASSERT_STRING_EQUAL(m->concept.value, "118565006");
    CU_ASSERT_STRING_EQUAL(m->unit.value, "ml");
    CU_ASSERT_STRING_EQUAL(m->derivation.value, "373098007");
    m = findings_add_number(f, g, &volume, 2.5, 1, &ml, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_PTR_NULL(m->derivation.value);
    CU_ASSERT_EQUAL(f->groups[0].measurement_count, 2);
    findings_destroy(f);
}

static void a_label_map_can_name_every_region(void)
{
    struct findings *f = findings_create();
    for (int i = 0; i < UINT16_MAX; i++)
        CU_ASSERT_PTR_NOT_NULL_FATAL(findings_add_region(f));
    CU_ASSERT(findings_ok(f, NULL));
    CU_ASSERT_PTR_NULL(findings_add_region(f));
    CU_ASSERT_EQUAL(f->region_count, UINT16_MAX);
    findings_destroy(f);
}

static void what_could_not_be_added_is_remembered(void)
{
    struct findings *f = findings_create();
    struct err err = {0};
    struct image huge = {.dim = {1u << 31, 1u << 31, 1, 1}};
    const struct image_set set = {.images = &huge, .image_count = 1};
    CU_ASSERT(findings_ok(f, &err));
    CU_ASSERT_PTR_NULL(findings_add_labels(f, &set, 0, 0));
    findings_add_warning(f, "this fits");
    CU_ASSERT_FALSE(findings_ok(f, &err));
    CU_ASSERT_EQUAL(err.code, ERR_NOMEM);
    findings_destroy(f);
}

static void maps_have_the_grid_of_their_image(void)
{
    struct findings *f = findings_create();
    struct image images[2] = {{.dim = {2, 3, 4, 1}}, {.dim = {5, 1, 1, 7}}};
    const struct image_set set = {.images = images, .image_count = 2};
    struct label_map *labels = findings_add_labels(f, &set, 0, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(labels);
    labels->labels[23] = 7;
    CU_ASSERT_PTR_NOT_NULL(findings_add_labels(f, &set, 1, 6));
    CU_ASSERT_EQUAL(findings_labels(f, 0, 0)->labels[23], 7);
    CU_ASSERT_EQUAL(findings_labels(f, 1, 6)->labels[4], 0);
    CU_ASSERT_PTR_NULL(findings_labels(f, 1, 5));
    const struct value_map *map = findings_add_map(f, &set, 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(map);
    for (int i = 0; i < 5; i++)
        CU_ASSERT(isnan(map->values[i]));
    CU_ASSERT_PTR_NOT_NULL(findings_add_fractions(f, &set, 0, 0));
    CU_ASSERT_EQUAL(f->fractions[0].region, -1);
    findings_destroy(f);
}

static void tables_and_curves_hold_what_is_put_into_them(void)
{
    struct findings *f = findings_create();
    struct page_table *t = findings_add_table(f, "Volumes", 2, 2);
    CU_ASSERT_PTR_NOT_NULL_FATAL(t);
    CU_ASSERT(findings_set_cell(f, t, 1, 1, "%.1f mL", 12.34));
    CU_ASSERT_FALSE(findings_set_cell(f, t, 2, 0, "x"));
    CU_ASSERT_FALSE(findings_set_cell(f, t, 0, 2, "x"));
    CU_ASSERT_STRING_EQUAL(t->cells[3], "12.3 mL");
    CU_ASSERT_STRING_EQUAL(t->cells[0], "");
    struct bullseye *b = findings_add_bullseye(f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    for (int n = 0; n < BULLSEYE_SEGMENTS; n++)
        CU_ASSERT(isnan(b->values[n]));
    double x[3] = {0, 1, 2}, y[3] = {5, NAN, 7};
    struct curve *c = findings_add_curve(f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    CU_ASSERT_PTR_NOT_NULL_FATAL(findings_add_line(f, c, "LV", x, y, 3));
    y[0] = 99; // copied
    CU_ASSERT_EQUAL(c->lines[0].y[0], 5);
    CU_ASSERT_EQUAL(c->lines[0].count, 3);
    CU_ASSERT_STRING_EQUAL(c->lines[0].name, "LV");
    findings_destroy(f);
}

static void texts_are_one_line_of_utf8(void)
{
    struct findings *f = findings_create();
    CU_ASSERT(findings_add_fact(f, "kernel %s", "B\xc3\xa9ta\t3\x1b"));
    CU_ASSERT_STRING_EQUAL(f->page.facts[0], "kernel B\xc3\xa9ta 3 ");
    CU_ASSERT(findings_add_parameter(f, "threshold_hu", "[hnsf'U]", "%g", 130.0));
    CU_ASSERT_STRING_EQUAL(f->parameters[0].value, "130");
    CU_ASSERT_STRING_EQUAL(f->parameters[0].unit, "[hnsf'U]");
    findings_destroy(f);
}

static void a_warning_is_on_the_page_and_in_the_evaluations(void)
{
    struct findings *f = findings_create();
    CU_ASSERT(findings_add_warning(f, "noise %d HU", 31));
    CU_ASSERT_EQUAL_FATAL(f->page.warning_count, 1);
    CU_ASSERT_STRING_EQUAL(f->page.warnings[0], "noise 31 HU");
    CU_ASSERT_EQUAL_FATAL(f->evaluation_count, 1);
    CU_ASSERT_STRING_EQUAL(f->evaluations[0].text, "noise 31 HU");
    CU_ASSERT_STRING_EQUAL(f->evaluations[0].concept.value, "121106");
    findings_destroy(f);
}

static void a_refusal_leaves_nothing_half_done(void)
{
    struct findings *f = findings_create();
    f->verdict = VERDICT_DONE;
    f->reason = "";
    findings_add_measurement(f, findings_add_group(f))->value = 12;
    findings_add_mark(f);
    findings_add_layer(f);
    findings_add_region(f);
    findings_add_picture(f);
    struct image image = {.dim = {2, 2, 2, 1}};
    const struct image_set set = {.images = &image, .image_count = 1};
    findings_add_labels(f, &set, 0, 0);
    findings_add_map(f, &set, 0);
    findings_add_curve(f);
    findings_add_exclusion(f)->reason = "too small";
    findings_add_evaluation(f, NULL)->text = "A1/N1";
    findings_add_warning(f, "mass is not calibrated");
    findings_add_fact(f, "kVp 120");
    findings_add_parameter(f, "threshold_hu", "", "130");
    f->page.headline = "Agatston 12";
    struct page_table table = {.title = "scores"};
    f->page.tables = &table;
    f->page.table_count = 1;
    findings_refuse(f, VERDICT_NOT_EVALUABLE, "kVp is %d", 80);
    CU_ASSERT_EQUAL(f->verdict, VERDICT_NOT_EVALUABLE);
    CU_ASSERT_STRING_EQUAL(f->reason, "kVp is 80");
    CU_ASSERT_EQUAL(f->group_count, 0);
    CU_ASSERT_EQUAL(f->mark_count, 0);
    CU_ASSERT_EQUAL(f->layer_count, 0);
    CU_ASSERT_EQUAL(f->region_count, 0);
    CU_ASSERT_EQUAL(f->picture_count, 0);
    CU_ASSERT_EQUAL(f->page.table_count, 0);
    CU_ASSERT_EQUAL(f->label_count, 0);
    CU_ASSERT_EQUAL(f->map_count, 0);
    CU_ASSERT_EQUAL(f->curve_count, 0);
    CU_ASSERT_EQUAL(f->exclusion_count, 1); // stays: part of the reason
    CU_ASSERT_PTR_NULL(f->page.headline);
    CU_ASSERT_EQUAL_FATAL(f->evaluation_count, 1);
    CU_ASSERT_STRING_EQUAL(f->evaluations[0].text, "mass is not calibrated");
    CU_ASSERT_EQUAL(f->page.fact_count, 1);
    CU_ASSERT_EQUAL(f->parameter_count, 1);
    findings_destroy(f);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"an_empty_one_has_failed_without_result", an_empty_one_has_failed_without_result},
        {"verdicts_have_the_names_people_read", verdicts_have_the_names_people_read},
        {"entries_survive_growth_in_order", entries_survive_growth_in_order},
        {"a_number_has_the_region_of_its_group", a_number_has_the_region_of_its_group},
        {"a_label_map_can_name_every_region", a_label_map_can_name_every_region},
        {"what_could_not_be_added_is_remembered", what_could_not_be_added_is_remembered},
        {"maps_have_the_grid_of_their_image", maps_have_the_grid_of_their_image},
        {"tables_and_curves_hold_what_is_put_into_them",
         tables_and_curves_hold_what_is_put_into_them},
        {"texts_are_one_line_of_utf8", texts_are_one_line_of_utf8},
        {"a_warning_is_on_the_page_and_in_the_evaluations",
         a_warning_is_on_the_page_and_in_the_evaluations},
        {"a_refusal_leaves_nothing_half_done", a_refusal_leaves_nothing_half_done},
    };
    return check_main("findings", cases, sizeof cases / sizeof *cases);
}
