// Analyses of shapes that no product has (tests/shapes) through an analysis run of several inputs,
// without a node. shapes_peer.py makes the files and judges what comes out.
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "dimse/read/object.h"
#include "node/job/analysis.h"
#include "tests/gpu/device.h"

#define PEER       "tests/golden/shapes_peer.py"
#define DEVICE_UID "2.25.42424242424242424242"
#define INPUTS_MAX 4
#define FILES_MAX  5

static struct gpu *gpu;

// The studies, made once.
static const char *studies(void)
{
    static char folder[PATH_MAX];
    if (!folder[0]) {
        snprintf(folder, sizeof folder, "%s/studies", check_scratch());
        CU_ASSERT_EQUAL_FATAL(check_peer(PEER, "sources '%s'", folder), 0);
    }
    return folder;
}

// An input: a slot and a series of the study, <study>/<series>-<1..count>.dcm.
struct taken {
    uint32_t slot, series;
    size_t count;
};

static void run(const char *name, const char *study, const struct taken *taken, size_t count,
                const char *remark, struct analysis_report *report, char out[PATH_MAX])
{
    static char paths[INPUTS_MAX][FILES_MAX][PATH_MAX];
    struct analysis_file files[INPUTS_MAX][FILES_MAX] = {0};
    struct analysis_input inputs[INPUTS_MAX];
    struct param_value params[4];
    struct err err = {0};
    const struct stage *stage = stage_find(name);
    CU_ASSERT_FATAL(stage != NULL && stage->param_count <= 4 && count <= INPUTS_MAX);
    stage_defaults(stage, params);
    for (size_t i = 0; i < count; i++) {
        for (size_t f = 0; f < taken[i].count; f++) {
            snprintf(paths[i][f], PATH_MAX, "%.3000s/%.64s/%u-%zu.dcm", studies(), study,
                     taken[i].series, f + 1);
            files[i][f].path = paths[i][f];
        }
        inputs[i] = (struct analysis_input){taken[i].slot, files[i], taken[i].count};
    }
    static unsigned serial;
    snprintf(out, PATH_MAX, "%s/out%u", check_scratch(), serial++);
    CU_ASSERT_EQUAL_FATAL(mkdir(out, 0700), 0);
    const struct analysis_request request = {
        .inputs = inputs,
        .input_count = count,
        .stage = stage,
        .params = params,
        .maker = {.ae_title = "ANODE",
                  .device_uid = DEVICE_UID,
                  .serial = "1",
                  .software = "anode test",
                  .device_name = "a device"},
        .remark = remark,
        .folder = out,
    };
    bool ok = analysis_run(&request, gpu, report, &err);
    if (!ok)
        fprintf(stderr, "%s: %s\n", name, err.text);
    CU_ASSERT_TRUE_FATAL(ok);
}

static void views_with_one_missing_and_one_left_out(void)
{
    static const struct taken taken[] = {{0, 1, 1}, {1, 2, 1}};
    struct analysis_report report;
    char out[PATH_MAX];
    run("shape-views", "views", taken, 2, "right mlo: missing", &report, out);
    CU_ASSERT_EQUAL(report.findings->verdict, VERDICT_DONE);
    CU_ASSERT_EQUAL(report.series_count, 2);
    CU_ASSERT_EQUAL(report.findings->exclusion_count, 2);
    CU_ASSERT_EQUAL(report.findings->page.warning_count, 2); // the caller's and the stage's
    CU_ASSERT_EQUAL(check_peer(PEER, "views '%s' '%s'", studies(), out), 0);
    analysis_report_finish(&report);
}

static void cine_series_are_one_stack_of_phases(void)
{
    static const struct taken taken[] = {{0, 1, 5}, {0, 2, 5}, {0, 3, 5}, {0, 4, 5}};
    struct analysis_report report;
    char out[PATH_MAX];
    run("shape-cine", "cine", taken, 4, NULL, &report, out);
    CU_ASSERT_EQUAL(report.findings->verdict, VERDICT_DONE);
    CU_ASSERT_EQUAL(report.findings->label_count, 5);
    CU_ASSERT_EQUAL(report.findings->curve_count, 2);
    CU_ASSERT_EQUAL(check_peer(PEER, "cine '%s' '%s'", studies(), out), 0);
    analysis_report_finish(&report);
}

static void nothing_is_placed_without_a_frame_of_reference_and_that_is_said(void)
{
    static const struct taken taken[] = {{0, 1, 5}, {0, 2, 5}};
    struct analysis_report report;
    char out[PATH_MAX];
    run("shape-cine", "unreferenced", taken, 2, NULL, &report, out);
    const struct findings *f = report.findings;
    CU_ASSERT_EQUAL(f->verdict, VERDICT_DONE);
    CU_ASSERT_EQUAL(f->label_count, 5);
    for (size_t i = 0; i < report.objects.count; i++)
        CU_ASSERT_FALSE(report.objects.objects[i].kind & (RESULT_SEG | RESULT_PMAP));
    CU_ASSERT_EQUAL_FATAL(f->page.warning_count, 2);
    CU_ASSERT_STRING_EQUAL(f->page.warnings[0],
                           "No segmentation: the images have no Frame of Reference.");
    CU_ASSERT_STRING_EQUAL(f->page.warnings[1],
                           "No parametric map: the images have no Frame of Reference.");
    CU_ASSERT_EQUAL(check_peer(PEER, "said '%s' '%s'", studies(), out), 0);
    analysis_report_finish(&report);
}

static void cine_of_one_slice_is_refused(void)
{
    static const struct taken taken[] = {{0, 1, 5}};
    struct analysis_report report;
    char out[PATH_MAX];
    run("shape-cine", "cine", taken, 1, NULL, &report, out);
    CU_ASSERT_EQUAL(report.findings->verdict, VERDICT_NOT_EVALUABLE);
    CU_ASSERT_STRING_EQUAL(report.findings->reason, "one slice only: it has no volume");
    analysis_report_finish(&report);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"views_with_one_missing_and_one_left_out", views_with_one_missing_and_one_left_out},
        {"cine_series_are_one_stack_of_phases", cine_series_are_one_stack_of_phases},
        {"nothing_is_placed_without_a_frame_of_reference_and_that_is_said",
         nothing_is_placed_without_a_frame_of_reference_and_that_is_said},
        {"cine_of_one_slice_is_refused", cine_of_one_slice_is_refused},
    };
    struct err err = {0};
    if (!object_init(&err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    gpu = device_open((struct gpu_options){0});
    int status = check_main("shapes", cases, sizeof cases / sizeof *cases);
    gpu_destroy(gpu);
    return status;
}
