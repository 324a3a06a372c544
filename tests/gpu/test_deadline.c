// The deadline of a job reaches every wait on the device, also of a stage that never asks how late
// it is.
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/fs.h"
#include "compute/gpu/pipeline.h"
#include "compute/kernels/kernels.h"
#include "dimse/read/object.h"
#include "node/job/analysis.h"
#include "tests/gpu/device.h"
#include "tests/made.h"
#include "tests/shaders/pipeline/shaders.h"

#define DISPATCHES 10000 // minutes of work in all
#define WORDS      16384u

static const struct kernel slow = {.shader = &shader_pipeline_slow,
                                   .group = {64, 1, 1},
                                   .push_bytes = 8,
                                   .bindings = 1,
                                   .access = {KERNEL_OUT}};
static const struct kernel *const slow_list[] = {&slow};
static const struct kernel_group slow_group = {slow_list, 1};
static const struct kernel_group *const kernels[] = {&slow_group, NULL};
static int dispatched;

static enum stage_end run_for_minutes(const struct stage_run *run, struct findings *out,
                                      struct err *err)
{
    const struct {
        uint32_t count, rounds;
    } push = {WORDS, 50000};
    const uint32_t groups[3] = {WORDS / 64, 1, 1};
    struct gpu_buf *b = gpu_buf_create(run->gpu, "words", WORDS * 4, err);
    bool ok = b != NULL;
    const struct gpu_range range = {b, 0, WORDS * 4};
    for (dispatched = 0; ok && dispatched < DISPATCHES; dispatched++)
        ok = gpu_dispatch(run->gpu, &slow, &range, &push, groups, push.rounds, WORDS, err) &&
             (dispatched % 4 || gpu_finish(run->gpu, err));
    gpu_buf_destroy(b);
    out->verdict = VERDICT_DONE;
    out->reason = "";
    return ok ? STAGE_DONE : STAGE_BROKEN;
}

static const struct stage_accept accepts[] = {{"Modality", "CT"}, {0}};
static const struct stage_input_spec inputs[] = {
    {"scan", "A CT.", INPUT_ONE, IMAGE_NO_AXIS, true, accepts}};
static const struct stage stage = {.name = "slow",
                                   .title = "Slow",
                                   .version = "1",
                                   .slot = 90,
                                   .inputs = inputs,
                                   .input_count = 1,
                                   .results = RESULT_SR,
                                   .kernels = kernels,
                                   .run = run_for_minutes};

static void a_stage_that_never_looks_at_the_clock_ends(void)
{
    struct analysis_file files[2] = {0};
    struct analysis_report report;
    struct err err = {0};
    struct gpu *g = device_open((struct gpu_options){0});
    CU_ASSERT_TRUE(kernels_prepare(g, stage.kernels, &err));
    for (int i = 0; i < 2; i++) {
        struct made_file f;
        char uid[32], name[32];
        snprintf(uid, sizeof uid, "1.2.3.4.%d", i + 1);
        snprintf(name, sizeof name, "%d.dcm", i);
        made_ct(&f, "1.2.840.10008.1.2.1", uid, 3.0 * i);
        made_pixels(&f, 48, i);
        files[i].path = made_write(&f, name);
        made_finish(&f);
    }
    const struct analysis_input input = {.files = files, .file_count = 2};
    const struct param_value none = {0};
    const struct analysis_request request = {
        .inputs = &input,
        .input_count = 1,
        .stage = &stage,
        .params = &none,
        .maker = {"ANODE", "1.2.840.99.1", "1", "anode test", "none", NULL},
        .folder = check_scratch(),
        .deadline_s = clock_steady() + 2, // the headers are read long before, the work is not done
    };
    CU_ASSERT_FALSE(analysis_run(&request, g, &report, &err));
    CU_ASSERT_EQUAL(err.code, ERR_TIMEOUT);
    CU_ASSERT(dispatched > 0 && dispatched < DISPATCHES);
    CU_ASSERT_EQUAL(report.objects.count, 0);
    analysis_report_finish(&report);
    gpu_destroy(g);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"a_stage_that_never_looks_at_the_clock_ends", a_stage_that_never_looks_at_the_clock_ends},
    };
    struct err err = {0};
    if (!object_init(&err)) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    int status = check_main("deadline", cases, sizeof cases / sizeof *cases);
    object_quit();
    return status;
}
