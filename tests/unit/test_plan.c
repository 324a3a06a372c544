#include "node/job/plan.h"
#include <stdio.h>
#include <string.h>
#include "base/fs.h"
#include "dimse/read/object.h"
#include "node/core/checks.h"
#include "tests/check.h"

static const struct stage_accept accepts_cc[] = {
    {"Modality", "MG"}, {"SeriesDescription", "cc"}, {NULL, NULL}};
static const struct stage_accept accepts_mlo[] = {
    {"Modality", "MG"}, {"SeriesDescription", "mlo"}, {NULL, NULL}};
static const struct stage_accept accepts_prior[] = {
    {"Modality", "MG"}, {"SeriesDescription", "prior*"}, {NULL, NULL}};
static const struct stage_input_spec pair_inputs[] = {
    {.name = "cc", .count = INPUT_ONE, .accepts = accepts_cc},
    {.name = "mlo", .count = INPUT_ONE, .accepts = accepts_mlo},
    {.name = "prior", .count = INPUT_MANY, .accepts = accepts_prior},
};
static const struct stage pair = {.name = "pair",
                                  .title = "Pair",
                                  .version = "1",
                                  .slot = 90,
                                  .scope = SCOPE_STUDY,
                                  .inputs = pair_inputs,
                                  .input_count = 3,
                                  .results = RESULT_SR};
static struct err err;

// Series of one patient and study each; what tests do not say is the same for all.
struct one {
    const char *patient, *study, *series, *modality, *description, *number;
    bool own;
};

static struct gather_series list[8];

static struct gather gathered(const struct one *all, size_t count)
{
    for (size_t i = 0; i < 8; i++)
        attrs_finish(&list[i].attrs);
    memset(list, 0, sizeof list);
    for (size_t i = 0; i < count; i++) {
        struct gather_series *s = &list[i];
        snprintf(s->patient, sizeof s->patient, "%s", all[i].patient);
        snprintf(s->study_instance_uid, sizeof s->study_instance_uid, "%s", all[i].study);
        snprintf(s->series_instance_uid, sizeof s->series_instance_uid, "%s", all[i].series);
        snprintf(s->modality, sizeof s->modality, "%s", all[i].modality);
        attrs_add(&s->attrs, "Modality", all[i].modality);
        attrs_add(&s->attrs, "SeriesDescription", all[i].description);
        attrs_add(&s->attrs, "SeriesNumber", all[i].number);
        s->own = all[i].own;
    }
    return (struct gather){.series = list, .count = count};
}

static void a_series_goes_to_the_first_analysis_that_takes_it(void)
{
    static const struct one all[] = {{"p", "1", "1.1", "CT", "x", "1", false},
                                     {"p", "1", "1.2", "ECG", "x", "2", false},
                                     {"p", "1", "1.3", "CT", "x", "3", true}};
    struct gather g = gathered(all, 3);
    struct plans p;
    CU_ASSERT_TRUE_FATAL(plans_make(&g, NULL, NULL, &p, &err));
    CU_ASSERT_EQUAL_FATAL(p.count, 1); // an ECG is no CT, a result of ours is no input
    CU_ASSERT_STRING_EQUAL(p.list[0].stage->name, "calcium");
    CU_ASSERT_EQUAL(p.list[0].input_count, 1);
    CU_ASSERT_PTR_EQUAL(p.list[0].inputs[0].series, &list[0]);
    CU_ASSERT_PTR_NULL(p.list[0].remark);
    plans_finish(&p);
    CU_ASSERT_TRUE(plans_make(&g, NULL, &pair, &p, &err));
    CU_ASSERT_EQUAL(p.count, 0);
    plans_finish(&p);
}

static void a_study_is_one_plan_of_each_patient(void)
{
    static const struct one all[] = {{"p", "1", "1.1", "MG", "prior 2024", "1", false},
                                     {"p", "1", "1.2", "MG", "mlo", "2", false},
                                     {"p", "1", "1.3", "MG", "cc", "3", false},
                                     {"p", "1", "1.4", "MG", "prior 2020", "4", false},
                                     {"q", "1", "1.3", "MG", "cc", "3", false},
                                     {"q", "2", "2.1", "MG", "mlo", "1", false},
                                     {"p", "1", "1.5", "MG", "scout", "9", false}};
    struct gather g = gathered(all, 7);
    struct plans p;
    CU_ASSERT_TRUE_FATAL(plans_make(&g, NULL, &pair, &p, &err));
    CU_ASSERT_EQUAL_FATAL(p.count, 3);
    static const char *const order[] = {"1.3", "1.2", "1.1", "1.4"};
    static const uint32_t slots[] = {0, 1, 2, 2};
    CU_ASSERT_EQUAL_FATAL(p.list[0].input_count, 4);
    for (size_t i = 0; i < 4; i++) {
        CU_ASSERT_STRING_EQUAL(p.list[0].inputs[i].series->series_instance_uid, order[i]);
        CU_ASSERT_STRING_EQUAL(p.list[0].inputs[i].series->patient, "p");
        CU_ASSERT_EQUAL(p.list[0].inputs[i].slot, slots[i]);
    }
    CU_ASSERT_PTR_NULL(p.list[0].remark);
    CU_ASSERT_EQUAL(p.list[1].input_count, 1);
    CU_ASSERT_STRING_EQUAL(p.list[1].inputs[0].series->patient, "q");
    CU_ASSERT_STRING_EQUAL(p.list[1].remark,
                           "mlo: missing among the files; prior: missing among the files");
    CU_ASSERT_STRING_EQUAL(p.list[2].inputs[0].series->study_instance_uid, "2");
    plans_finish(&p);
}

static void of_two_series_for_one_input_the_lower_number_stays(void)
{
    static const struct one all[] = {{"p", "1", "1.1", "MG", "cc", "7", false},
                                     {"p", "1", "1.2", "MG", "cc", "3", false},
                                     {"p", "1", "1.3", "MG", "cc", "", false},
                                     {"p", "1", "1.4", "MG", "mlo", "4", false},
                                     {"p", "1", "1.5", "MG", "prior", "5", false}};
    struct gather g = gathered(all, 5);
    struct plans p;
    CU_ASSERT_TRUE_FATAL(plans_make(&g, NULL, &pair, &p, &err));
    CU_ASSERT_EQUAL_FATAL(p.count, 1);
    CU_ASSERT_EQUAL(p.list[0].input_count, 3);
    CU_ASSERT_STRING_EQUAL(p.list[0].inputs[0].series->series_instance_uid, "1.2");
    CU_ASSERT_STRING_EQUAL(p.list[0].remark,
                           "cc: series 1.1 left out, as another one has a lower Series Number; "
                           "cc: series 1.3 left out, as another one has a lower Series Number");
    plans_finish(&p);
}

static struct conf *configured(const char *text)
{
    char path[4096];
    size_t errors = 0;
    CU_ASSERT_TRUE_FATAL(fs_join(path, check_scratch(), "anode.yaml", &err));
    CU_ASSERT_TRUE_FATAL(fs_write_file(path, text, strlen(text), &err));
    struct conf *c = conf_load(path, &node_checks, stderr, &errors, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    return c;
}

static void routes_decide_where_there_are_any(void)
{
    static const struct one all[] = {{"p", "1", "1.1", "CT", "ca score", "1", false},
                                     {"p", "1", "1.2", "CT", "lung", "2", false},
                                     {"p", "1", "1.3", "MR", "ca score", "3", false},
                                     {"p", "1", "1.4", "MG", "cc", "4", false}};
    struct conf *c = configured("peers:\n  - {ae_title: PACS, host: localhost, port: 104}\n"
                                "routes:\n"
                                "  - name: calcium\n    when: {SeriesDescription: ca score}\n"
                                "    run: calcium\n    options: {threshold_hu: 140}\n");
    struct gather g = gathered(all, 4);
    struct plans p;
    CU_ASSERT_TRUE_FATAL(plans_make(&g, c, NULL, &p, &err));
    CU_ASSERT_EQUAL_FATAL(p.count, 1); // the MR takes the route, yet not the analysis
    CU_ASSERT_PTR_EQUAL(p.list[0].inputs[0].series, &list[0]);
    CU_ASSERT_PTR_EQUAL(p.list[0].run, &c->routes[0].runs[0]);
    plans_finish(&p);
    CU_ASSERT_TRUE_FATAL(plans_make(&g, c, stage_find("calcium"), &p, &err));
    CU_ASSERT_EQUAL_FATAL(p.count, 2); // each CT, that of the route with its options
    CU_ASSERT_PTR_EQUAL(p.list[0].run, &c->routes[0].runs[0]);
    CU_ASSERT_PTR_NULL(p.list[1].run);
    plans_finish(&p);
    conf_destroy(c);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"plans_make_a_series_goes_to_the_first_analysis_that_takes_it",
         a_series_goes_to_the_first_analysis_that_takes_it},
        {"plans_make_a_study_is_one_plan_of_each_patient", a_study_is_one_plan_of_each_patient},
        {"plans_make_of_two_series_for_one_input_the_lower_number_stays",
         of_two_series_for_one_input_the_lower_number_stays},
        {"plans_make_routes_decide_where_there_are_any", routes_decide_where_there_are_any},
    };
    if (!object_init(&err)) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    stage_register(&pair);
    int status = check_main("plan", cases, sizeof cases / sizeof *cases);
    gathered(NULL, 0);
    object_quit();
    return status;
}
