#include <string.h>
#include "compute/stages/stage.h"
#include "tests/check.h"

static const char *const islands[] = {"island", "lesion", NULL};
static const struct stage_param params[] = {
    {"threshold_hu", "[hnsf'U]", "Lowest value.", PARAM_NUMBER, 100, 300, 130, NULL},
    {"connectivity", "", "Neighbours in plane.", PARAM_INTEGER, 4, 8, 8, NULL},
    {"scale_threshold", "", "Scale by tube voltage.", PARAM_BOOL, 0, 1, 0, NULL},
    {"weight_from", "", "Where the maximum is taken.", PARAM_CHOICE, 0, 1, 0, islands},
};
static const struct stage stage = {.name = "example", .params = params, .param_count = 4};

static void defaults_are_those_of_the_table(void)
{
    double p[4] = {-1, -1, -1, -1};
    stage_defaults(&stage, p);
    CU_ASSERT_EQUAL(p[0], 130);
    CU_ASSERT_EQUAL(p[1], 8);
    CU_ASSERT_EQUAL(p[2], 0);
    CU_ASSERT_EQUAL(p[3], 0);
}

static void options_of_each_type_are_parsed(void)
{
    double p[4] = {0};
    struct err err = {0};
    CU_ASSERT(stage_option(&stage, "threshold_hu", "147.5", p, &err));
    CU_ASSERT_EQUAL(p[0], 147.5);
    CU_ASSERT(stage_option(&stage, "connectivity", "4", p, &err));
    CU_ASSERT_EQUAL(p[1], 4);
    CU_ASSERT(stage_option(&stage, "scale_threshold", "Yes", p, &err));
    CU_ASSERT_EQUAL(p[2], 1);
    CU_ASSERT(stage_option(&stage, "scale_threshold", "false", p, &err));
    CU_ASSERT_EQUAL(p[2], 0);
    CU_ASSERT(stage_option(&stage, "weight_from", "lesion", p, &err));
    CU_ASSERT_EQUAL(p[3], 1);
    CU_ASSERT_EQUAL(err.code, ERR_NONE);
}

static void refuse(const char *name, const char *value, const char *part)
{
    double p[4] = {7, 7, 7, 7};
    struct err err = {0};
    CU_ASSERT_FALSE(stage_option(&stage, name, value, p, &err));
    CU_ASSERT_EQUAL(err.code, ERR_CONFIG);
    if (!strstr(err.text, part)) {
        CU_FAIL("the text names the remedy");
        printf("\"%s\" lacks \"%s\"\n", err.text, part);
    }
    for (int i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(p[i], 7);
}

static void bad_options_are_refused_with_the_remedy(void)
{
    refuse("treshold_hu", "130", "did you mean \"threshold_hu\"?");
    refuse("entirely_else", "130", "no option \"entirely_else\"");
    refuse("threshold_hu", "13O", "not a number");
    refuse("threshold_hu", "", "not a number");
    refuse("threshold_hu", "nan", "not a number");
    refuse("threshold_hu", "99", "outside 100 to 300");
    refuse("threshold_hu", "1e9", "outside 100 to 300");
    refuse("connectivity", "4.5", "not a whole number");
    refuse("scale_threshold", "maybe", "neither true nor false");
    refuse("weight_from", "leson", "did you mean \"lesion\"?");
    refuse("weight_from", "voxel", "none of island, lesion");
}

static void result_kinds_have_names_both_ways(void)
{
    for (int bit = 1; bit <= RESULT_PDF; bit <<= 1) {
        enum stage_result kind = 0;
        const char *name = stage_result_name((enum stage_result)bit);
        CU_ASSERT_PTR_NOT_NULL_FATAL(name);
        CU_ASSERT(stage_result_parse(name, &kind));
        CU_ASSERT_EQUAL(kind, (enum stage_result)bit);
    }
    enum stage_result kind = 0;
    CU_ASSERT_FALSE(stage_result_parse("dicom", &kind));
    CU_ASSERT_PTR_NULL(stage_result_name((enum stage_result)64));
}

static void the_table_is_consistent(void)
{
    for (size_t i = 0; stage_at(i); i++) {
        const struct stage *s = stage_at(i);
        CU_ASSERT_PTR_EQUAL(stage_find(s->name), s);
        CU_ASSERT_PTR_NOT_NULL(s->run);
        CU_ASSERT(s->results & RESULT_SR);
        for (size_t j = 0; j < i; j++) {
            CU_ASSERT_NOT_EQUAL(stage_at(j)->slot, s->slot);
            CU_ASSERT_STRING_NOT_EQUAL(stage_at(j)->name, s->name);
        }
        for (size_t j = 0; j < s->param_count; j++) {
            const struct stage_param *p = &s->params[j];
            CU_ASSERT(p->name && p->unit && p->help);
            CU_ASSERT(p->min <= p->def && p->def <= p->max);
            CU_ASSERT_EQUAL(p->type == PARAM_CHOICE, p->choices != NULL);
            for (size_t k = 0; k < j; k++)
                CU_ASSERT_STRING_NOT_EQUAL(s->params[k].name, p->name);
        }
    }
    CU_ASSERT_PTR_NULL(stage_find("calcum"));
}

int main(void)
{
    static const struct check_case cases[] = {
        {"defaults_are_those_of_the_table", defaults_are_those_of_the_table},
        {"options_of_each_type_are_parsed", options_of_each_type_are_parsed},
        {"bad_options_are_refused_with_the_remedy", bad_options_are_refused_with_the_remedy},
        {"result_kinds_have_names_both_ways", result_kinds_have_names_both_ways},
        {"the_table_is_consistent", the_table_is_consistent},
    };
    return check_main("stage", cases, sizeof cases / sizeof *cases);
}
