// Which input of an analysis a series fills, and what is said when it fills none.
#include "node/job/slots.h"
#include <stdlib.h>
#include <string.h>
#include "dimse/read/object.h"
#include "tests/check.h"

static const struct stage_accept cc[] = {{"Modality", "MG"}, {"ViewPosition", "CC"}, {0}},
                                 mlo[] = {{"Modality", "MG"}, {"ViewPosition", "/^MLO?$/"}, {0}},
                                 mine[] = {{"Modality", "MG"}, {"PatientID", "TEST*"}, {0}};
static const struct stage_input_spec views[] = {
    {.name = "cc", .help = "", .count = INPUT_ONE, .accepts = cc},
    {.name = "mlo", .help = "", .count = INPUT_OPTIONAL, .accepts = mlo},
};
static const struct stage_input_spec own[] = {{.name = "mine", .help = "", .accepts = mine}};
static const struct stage mammo = {
    .name = "mammo", .scope = SCOPE_STUDY, .inputs = views, .input_count = 2};
static const struct stage one = {
    .name = "one", .scope = SCOPE_SERIES, .inputs = own, .input_count = 1};

static int match(const struct stage *stage, const char *modality, const char *view,
                 enum conf_values values, char why[512])
{
    struct attrs attrs = {0};
    attrs_add(&attrs, "Modality", modality);
    attrs_add(&attrs, "PatientID", "19500101-1234");
    if (view)
        attrs_add(&attrs, "ViewPosition", view);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    int slot = slots_match(stage, &attrs, values, out);
    CU_ASSERT_EQUAL(slots_match(stage, &attrs, values, NULL), slot);
    fclose(out);
    snprintf(why, 512, "%s", text);
    free(text);
    attrs_finish(&attrs);
    return slot;
}

static void a_series_fills_the_first_input_that_it_fits(void)
{
    char why[512];
    CU_ASSERT_EQUAL(match(&mammo, "MG", "CC", CONF_VALUES_HIDDEN, why), 0);
    CU_ASSERT_STRING_EQUAL(why, "");
    CU_ASSERT_EQUAL(match(&mammo, "MG", "ML", CONF_VALUES_HIDDEN, why), 1);
}

static void what_fills_no_input_is_told_why(void)
{
    char why[512];
    CU_ASSERT_EQUAL(match(&mammo, "MG", NULL, CONF_VALUES_HIDDEN, why), -1);
    CU_ASSERT_STRING_EQUAL(why, "mammo does not take it: as cc: ViewPosition is absent, wanted CC; "
                                "as mlo: ViewPosition is absent, wanted /^MLO?$/");
    CU_ASSERT_EQUAL(match(&mammo, "MR", "XCCL", CONF_VALUES_HIDDEN, why), -1);
    CU_ASSERT_STRING_EQUAL(why, "mammo does not take it: as cc: Modality is \"MR\", wanted MG; "
                                "as mlo: Modality is \"MR\", wanted MG");
    CU_ASSERT_EQUAL(match(&one, "CT", NULL, CONF_VALUES_HIDDEN, why), -1);
    CU_ASSERT_STRING_EQUAL(why, "one does not take it: Modality is \"CT\", wanted MG");
}

static void values_that_identify_are_hidden(void)
{
    char why[512];
    CU_ASSERT_EQUAL(match(&one, "MG", NULL, CONF_VALUES_HIDDEN, why), -1);
    CU_ASSERT_STRING_EQUAL(why, "one does not take it: PatientID does not match");
    CU_ASSERT_EQUAL(match(&one, "MG", NULL, CONF_VALUES_SHOWN, why), -1);
    CU_ASSERT_STRING_EQUAL(why,
                           "one does not take it: PatientID is \"19500101-1234\", wanted TEST*");
}

static struct slots_rank ranked(const char *number, const char *uid)
{
    struct attrs attrs = {0};
    if (number)
        attrs_add(&attrs, "SeriesNumber", number);
    struct slots_rank rank = slots_rank(&attrs, uid);
    attrs_finish(&attrs);
    return rank;
}

static void the_lowest_series_number_comes_first(void)
{
    const struct slots_rank order[] = {
        ranked("-2", "1.9"), ranked("3", "1.1"),  ranked("3 ", "1.2"), ranked("10", "1.0"),
        ranked("", "1.3"),   ranked(NULL, "1.4"), ranked("x", "1.5"),  ranked("1e300", "1.6")};
    const size_t count = sizeof order / sizeof *order;
    CU_ASSERT_EQUAL(order[1].number, 3);
    CU_ASSERT_EQUAL(order[4].number, INT64_MAX);
    CU_ASSERT_EQUAL(order[7].number, INT64_MAX);
    for (size_t a = 0; a < count; a++) {
        for (size_t b = 0; b < count; b++)
            CU_ASSERT_EQUAL(slots_rank_before(&order[a], &order[b]), a < b);
    }
}

static void every_analysis_declares_inputs_that_can_be_matched(void)
{
    struct err err = {0};
    CU_ASSERT_PTR_NOT_NULL(stage_at(0));
    for (size_t i = 0; stage_at(i); i++) {
        if (!slots_check(stage_at(i), &err))
            printf("%s\n", err.text);
        CU_ASSERT_EQUAL(err.code, ERR_NONE);
    }
    CU_ASSERT_TRUE(slots_check(&mammo, &err));
}

static void refused(const struct stage *stage, const char *wanted)
{
    struct err err = {0};
    CU_ASSERT_FALSE(slots_check(stage, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INTERNAL);
    if (!strstr(err.text, wanted))
        printf("%s\n", err.text);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, wanted));
}

static void inputs_that_cannot_be_matched_are_found(void)
{
    static const struct stage_accept unknown[] = {{"Modalty", "CT"}, {0}},
                                     broken[] = {{"Modality", "/(/"}, {0}};
    static const struct stage_input_spec a[] = {{.name = "a", .accepts = unknown}},
                                         b[] = {{.name = "b", .accepts = broken}};
    static const struct stage misspelt = {.name = "x", .inputs = a, .input_count = 1},
                              bad = {.name = "y", .inputs = b, .input_count = 1},
                              empty = {.name = "z", .scope = SCOPE_STUDY},
                              two = {.name = "w", .inputs = views, .input_count = 2};
    char why[512];
    refused(&misspelt, "analysis x, input a: no DICOM attribute Modalty");
    refused(&bad, "analysis y, input b: Modality: ");
    refused(&empty, "analysis z of a study declares 0 inputs");
    refused(&two, "analysis w of a series declares 2 inputs");
    CU_ASSERT_EQUAL(match(&bad, "CT", NULL, CONF_VALUES_HIDDEN, why), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "y does not take it: analysis y, input b: Modality: "));
}

int main(void)
{
    static const struct check_case cases[] = {
        {"a_series_fills_the_first_input_that_it_fits",
         a_series_fills_the_first_input_that_it_fits},
        {"what_fills_no_input_is_told_why", what_fills_no_input_is_told_why},
        {"values_that_identify_are_hidden", values_that_identify_are_hidden},
        {"the_lowest_series_number_comes_first", the_lowest_series_number_comes_first},
        {"every_analysis_declares_inputs_that_can_be_matched",
         every_analysis_declares_inputs_that_can_be_matched},
        {"inputs_that_cannot_be_matched_are_found", inputs_that_cannot_be_matched_are_found},
    };
    struct err err;
    if (!object_init(&err)) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    int status = check_main("slots", cases, sizeof cases / sizeof cases[0]);
    object_quit();
    return status;
}
