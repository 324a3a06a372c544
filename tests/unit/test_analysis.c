#include "node/job/analysis.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "dimse/read/object.h"
#include "base/fs.h"
#include "compute/image/load.h"
#include "tests/check.h"
#include "tests/made.h"
#include "tests/sum.h"

#define EXPLICIT "1.2.840.10008.1.2.1"
#define SLICES   9
#define DEVICE   "1.2.840.99.1"

static struct err err;
static double seen_kvp;
static enum image_attr seen_kvp_state, seen_trigger_state;

static enum stage_end sum_unless_lost(const struct stage_run *run, struct findings *out,
                                      struct err *e)
{
    const struct image *img = stage_image(run, 0, 0);
    double trigger;
    seen_kvp_state = image_number(run->set, img, "KVP", &seen_kvp);
    seen_trigger_state = image_number(run->set, img, "TriggerTime", &trigger);
    if (run->params[0].number > 50) {
        err_set(e, ERR_DEVICE, "the device is lost");
        return STAGE_BROKEN;
    }
    if (run->params[0].number > 40) { // no memory for a warning, which no stage looks at
        struct image huge = {.dim = {1u << 31, 1u << 31, 1, 1}};
        const struct image_set beyond = {.images = &huge, .image_count = 1};
        CU_ASSERT_PTR_NULL(findings_add_labels(out, &beyond, 0, 0));
    }
    return sum_voxels(run, out, e);
}

static const struct stage_param params_of_stage[] = {
    {.name = "level",
     .unit = "1",
     .help = "A level.",
     .type = PARAM_NUMBER,
     .max = 100,
     .def = 1.5},
};
static const struct stage_accept accepts[] = {{"Modality", "CT"}, {0}};
static const struct stage_input_spec inputs[] = {
    {"scan", "A CT.", INPUT_ONE, IMAGE_NO_AXIS, true, accepts}};
static const struct stage stage = {
    .name = "sum",
    .title = "Sum of voxels",
    .version = "1",
    .slot = 90,
    .inputs = inputs,
    .input_count = 1,
    .results = RESULT_SR | RESULT_GSPS | RESULT_SC,
    .params = params_of_stage,
    .param_count = 1,
    .run = sum_unless_lost,
};

struct series {
    struct analysis_file files[SLICES + 4];
    size_t count;
};

static void make_slice(struct made_file *f, size_t i)
{
    char uid[32];
    snprintf(uid, sizeof uid, "1.2.3.4.%zu", 90 - i);
    made_ct(f, EXPLICIT, uid, 3.0 * (double)i);
    made_pixels(f, 48, (int32_t)(100 * i));
}

static void add_slice(struct series *s, struct made_file *f)
{
    char name[32];
    snprintf(name, sizeof name, "slice%zu.dcm", s->count);
    s->files[s->count++] = (struct analysis_file){.path = made_write(f, name)};
    made_finish(f);
}

static void make_series(struct series *s)
{
    *s = (struct series){0};
    for (size_t i = 0; i < SLICES; i++) {
        struct made_file f;
        make_slice(&f, i);
        add_slice(s, &f);
    }
}

static const char *folder(void)
{
    static char path[4096];
    static int next;
    snprintf(path, sizeof path, "%s/out%d", check_scratch(), next++);
    CU_ASSERT_TRUE_FATAL(fs_make_folders(path, &err));
    return path;
}

static struct param_value level;

static struct analysis_request request_for(const struct series *s)
{
    static struct analysis_input input;
    input = (struct analysis_input){.files = s->files, .file_count = s->count};
    return (struct analysis_request){
        .inputs = &input,
        .input_count = 1,
        .stage = &stage,
        .params = &level,
        .maker = {"ANODE", DEVICE, "1", "anode test", "none", NULL},
        .folder = folder(),
    };
}

static bool analyse(const struct series *s, struct analysis_report *report)
{
    struct analysis_request r = request_for(s);
    err = (struct err){0};
    level.number = 1.5;
    bool ok = analysis_run(&r, NULL, report, &err);
    if (!ok)
        fprintf(stderr, "%s\n", err.text);
    return ok;
}

static double measured(const struct analysis_report *r)
{
    return r->findings->group_count ? r->findings->groups[0].measurements[0].value : NAN;
}

static double expected_sum(void)
{
    double sum = 0;
    for (int k = 0; k < SLICES; k++) {
        for (int i = 0; i < 48; i++)
            sum += (k + 1) * (100 * k + i - 1024);
    }
    return sum;
}

static void expect_objects(const struct analysis_report *r, size_t count)
{
    CU_ASSERT_EQUAL(r->objects.count, count);
    for (size_t i = 0; i < r->objects.count; i++) {
        struct object *o = object_open(r->objects.objects[i].path, &err);
        CU_ASSERT_PTR_NOT_NULL_FATAL(o);
        CU_ASSERT_STRING_EQUAL(object_ids(o)->id.sop_instance_uid,
                               r->objects.objects[i].id.sop_instance_uid);
        CU_ASSERT_STRING_EQUAL(object_ids(o)->id.study_instance_uid, "1.2.3.1");
        CU_ASSERT_STRING_NOT_EQUAL(object_ids(o)->id.series_instance_uid, "1.2.3.2");
        CU_ASSERT_TRUE(object_is_own(o, DEVICE));
        object_close(o);
    }
}

static void expect_refused(const struct series *s, const char *reason)
{
    struct analysis_report report;
    CU_ASSERT_TRUE_FATAL(analyse(s, &report));
    CU_ASSERT_EQUAL(report.findings->verdict, VERDICT_NOT_EVALUABLE);
    CU_ASSERT_PTR_NOT_NULL(strstr(report.findings->reason, reason));
    if (!strstr(report.findings->reason, reason))
        fprintf(stderr, "\"%s\" is not \"%s\"\n", report.findings->reason, reason);
    CU_ASSERT_EQUAL(report.findings->group_count, 0);
    expect_objects(&report, 2);
    analysis_report_finish(&report);
}

static void expect_failed(const struct series *s, enum err_code code, const char *text)
{
    struct analysis_report report;
    CU_ASSERT_FALSE(analyse(s, &report));
    CU_ASSERT_EQUAL(err.code, code);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, text));
    CU_ASSERT_EQUAL(report.objects.count, 0);
    analysis_report_finish(&report);
}

static void measures_and_writes_results(void)
{
    struct series s;
    struct analysis_report report;
    make_series(&s);
    CU_ASSERT_TRUE_FATAL(analyse(&s, &report));
    CU_ASSERT_EQUAL(report.findings->verdict, VERDICT_DONE);
    CU_ASSERT_EQUAL(measured(&report), expected_sum());
    CU_ASSERT_STRING_EQUAL(report.study_instance_uid, "1.2.3.1");
    CU_ASSERT_STRING_EQUAL(report.series[0].series_instance_uid, "1.2.3.2");
    CU_ASSERT_EQUAL(report.images.images[0].dim[2], SLICES);
    CU_ASSERT_TRUE(report.findings->picture_count >= 1);
    CU_ASSERT_TRUE(report.seconds > 0 && report.host_peak_bytes > 0);
    CU_ASSERT_EQUAL(seen_kvp, 120);
    expect_objects(&report, 2); // no marks: no presentation state
    analysis_report_finish(&report);
}

// What cannot be kept for want of memory makes no result: neither one without it, nor a failure
// that is final.
static void no_memory_in_a_stage_is_an_error_of_the_machine(void)
{
    struct series s;
    struct analysis_report report;
    make_series(&s);
    struct analysis_request r = request_for(&s);
    level.number = 45;
    CU_ASSERT_FALSE(analysis_run(&r, NULL, &report, &err));
    CU_ASSERT_EQUAL(err.code, ERR_NOMEM);
    CU_ASSERT_TRUE(analysis_is_machine(err.code));
    CU_ASSERT_EQUAL(report.objects.count, 0);
    analysis_report_finish(&report);
    level.number = 1.5;
}

struct steps {
    double decoded[2 * SLICES];
    size_t count;
};

static void note_step(void *ctx, const char *what, double done)
{
    struct steps *steps = ctx;
    if (strcmp(what, "decoding") != 0)
        return;
    CU_ASSERT_FATAL(steps->count < 2 * SLICES);
    steps->decoded[steps->count++] = done;
}

// A localizer is set aside: what is never decoded is not counted.
static void the_progress_of_decoding_counts_each_frame_once(void)
{
    struct series s;
    struct analysis_report report;
    struct steps steps = {.count = 0};
    struct made_file f;
    make_series(&s);
    made_ct(&f, EXPLICIT, "1.2.3.4.1", 500);
    made_set(&f, 0x00080008, "CS", "ORIGINAL\\PRIMARY\\LOCALIZER");
    made_pixels(&f, 48, 1);
    add_slice(&s, &f);
    struct analysis_request r = request_for(&s);
    level.number = 1.5;
    r.progress = note_step;
    r.progress_ctx = &steps;
    CU_ASSERT_TRUE(analysis_run(&r, NULL, &report, &err));
    CU_ASSERT_TRUE_FATAL(steps.count >= SLICES); // the stage reads slice by slice, pictures more
    for (size_t k = 0; k < steps.count; k++)
        CU_ASSERT_DOUBLE_EQUAL(steps.decoded[k], k < SLICES ? (double)(k + 1) / SLICES : 1, 1e-9);
    analysis_report_finish(&report);
}

static void same_series_in_any_order_gives_the_same(void)
{
    struct series s;
    struct analysis_report first, other;
    make_series(&s);
    CU_ASSERT_TRUE_FATAL(analyse(&s, &first));
    for (size_t i = 0; i < SLICES / 2; i++) {
        struct analysis_file t = s.files[i];
        s.files[i] = s.files[SLICES - 1 - i];
        s.files[SLICES - 1 - i] = t;
    }
    for (size_t i = 0; i < SLICES; i++) // digests known, as the node knows them
        CU_ASSERT_TRUE(object_digest(s.files[i].path, s.files[i].digest, &err));
    s.files[s.count++] = s.files[2]; // one twice
    CU_ASSERT_TRUE_FATAL(analyse(&s, &other));
    CU_ASSERT_EQUAL(measured(&first), measured(&other));
    CU_ASSERT_EQUAL_FATAL(first.objects.count, other.objects.count);
    for (size_t i = 0; i < first.objects.count; i++)
        CU_ASSERT_STRING_EQUAL(first.objects.objects[i].id.sop_instance_uid,
                               other.objects.objects[i].id.sop_instance_uid);
    analysis_report_finish(&first);
    analysis_report_finish(&other);
}

static void count_damaged(void *ctx, const struct analysis_file *file)
{
    (void)file;
    ++*(int *)ctx;
}

// A file that is not what was received is never measured, also where it reads well.
static void a_file_of_another_digest_is_not_evaluable(void)
{
    struct series s;
    struct analysis_report report;
    int damaged = 0;
    make_series(&s);
    for (size_t i = 0; i < SLICES; i++)
        CU_ASSERT_TRUE(object_digest(s.files[i].path, s.files[i].digest, &err));
    s.files[3].digest[31] ^= 1;
    struct analysis_request r = request_for(&s);
    level.number = 1.5;
    r.damaged = count_damaged;
    r.damaged_ctx = &damaged;
    CU_ASSERT_TRUE_FATAL(analysis_run(&r, NULL, &report, &err));
    CU_ASSERT_EQUAL(report.findings->verdict, VERDICT_NOT_EVALUABLE);
    CU_ASSERT_PTR_NOT_NULL(strstr(report.findings->reason, "has changed since it was stored"));
    CU_ASSERT_EQUAL(damaged, 1);
    analysis_report_finish(&report);
}

static void geometry_errors_are_results(void)
{
    struct series s;
    make_series(&s);
    s.files[4] = s.files[--s.count];
    expect_refused(&s, "1 slice missing between 9.0 and 15.0 mm");
}

static void broken_instances_are_results(void)
{
    struct series s;
    struct made_file f;
    make_series(&s);
    make_slice(&f, SLICES);
    made_pixels(&f, 40, 0);
    add_slice(&s, &f);
    expect_refused(&s, "instance 1.2.3.4.81: 80 bytes of pixel data");

    make_series(&s);
    make_slice(&f, SLICES);
    made_drop(&f, 0x00200032);
    add_slice(&s, &f);
    expect_refused(&s, "instance 1.2.3.4.81: ImagePositionPatient is missing");

    make_series(&s);
    s.files[s.count++] = (struct analysis_file){.path = made_write_bytes("text", "no image", 8)};
    expect_refused(&s, "no DICOM file");

    s = (struct series){0};
    make_slice(&f, 0);
    made_drop(&f, 0x7fe00010);
    add_slice(&s, &f);
    expect_refused(&s, "no Pixel Data in 1 of 1 instances (1 CTImageStorage)");
}

// An instance of another SOP class, without pixels or place.
static void make_other(struct made_file *f, const char *uid, const char *sop_class_uid)
{
    made_ct(f, EXPLICIT, uid, 0);
    made_set(f, 0x00080016, "UI", sop_class_uid);
    made_drop(f, 0x00200032);
    made_drop(f, 0x00200037);
}

static const char report_class[] = "1.2.840.10008.5.1.4.1.1.88.67", // X-Ray Radiation Dose SR
    keys_class[] = "1.2.840.10008.5.1.4.1.1.88.59",                 // Key Object Selection
    pdf_class[] = "1.2.840.10008.5.1.4.1.1.104.1",                  // Encapsulated PDF
    raw_class[] = "1.2.840.10008.5.1.4.1.1.66",                     // Raw Data
    capture_class[] = "1.2.840.10008.5.1.4.1.1.7";                  // Secondary Capture

// Reports and the like, which are in the series of the slices, also as its first instances by UID.
static void what_has_no_pixels_stands_aside(void)
{
    static const struct {
        const char *uids[4], *classes[4], *remark;
    } table[] = {
        {{"1.2.3.4.1"}, {report_class}, "set aside as no slice, without Pixel Data: 1 XRayRad"},
        {{"1.2.3.4.99"}, {keys_class}, "1 KeyObjectSelectionDocumentStorage"},
        {{"1.2.3.4.85.1", "1.2.3.4.85.2"}, {pdf_class, pdf_class}, "2 EncapsulatedPDFStorage"},
        {{"1.2.3.4.1"}, {raw_class}, "1 RawDataStorage"},
        {{"1.2.3.4.1", "1.2.3.4.2"}, {report_class, raw_class}, "1 RawDataStorage"},
        {{"1.2.3.4.1"}, {"1.2.3.77"}, "1 1.2.3.77"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct series s;
        struct analysis_report report;
        struct made_file f;
        make_series(&s);
        for (size_t n = 0; table[i].uids[n]; n++) {
            make_other(&f, table[i].uids[n], table[i].classes[n]);
            for (uint32_t tag = 0x00280002; tag <= 0x00280103; tag++)
                made_drop(&f, tag);
            add_slice(&s, &f);
        }
        CU_ASSERT_TRUE_FATAL(analyse(&s, &report));
        CU_ASSERT_EQUAL(report.findings->verdict, VERDICT_DONE);
        CU_ASSERT_EQUAL(measured(&report), expected_sum());
        CU_ASSERT_EQUAL_FATAL(report.findings->page.warning_count, 1);
        const char *remark = report.findings->page.warnings[0];
        CU_ASSERT_PTR_NOT_NULL(strstr(remark, table[i].remark));
        if (!strstr(remark, table[i].remark))
            fprintf(stderr, "\"%s\" is not \"%s\"\n", remark, table[i].remark);
        expect_objects(&report, 2);
        analysis_report_finish(&report);
    }
}

// Pages and screen saves: colours, sizes of their own, a syntax or samples that nobody reads.
static void what_has_no_place_stands_aside(void)
{
    static const struct {
        struct {
            uint32_t tag;
            const char *vr, *value;
        } set[4];
        uint32_t pixels;
        const char *remark;
    } table[] = {
        {{{0x00280010, "US", "3"}}, 24, "Set aside without a place in space: 1."},
        {{{0x00280002, "US", "3"}, {0x00280004, "CS", "RGB"}, {0x00280006, "US", "0"}},
         144,
         "et aside "},
        {{{0x00280100, "US", "12"}}, 48, "without a place and not to be read: 1 Second"},
        {{{0}}, 20, "Set aside without a place in space: 1."}, // never decoded
        {{{0x00080008, "CS", "DERIVED\\SECONDARY\\SCREEN SAVE"}, {0x00281053, "DS", "x"}},
         48,
         "without a place and not to be read: 1 Second"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct series s;
        struct analysis_report report;
        struct made_file f;
        make_series(&s);
        make_other(&f, "1.2.3.4.1", capture_class);
        for (size_t n = 0; n < 4 && table[i].set[n].tag; n++)
            made_set(&f, table[i].set[n].tag, table[i].set[n].vr, table[i].set[n].value);
        made_pixels(&f, table[i].pixels, 0);
        add_slice(&s, &f);
        CU_ASSERT_TRUE_FATAL(analyse(&s, &report));
        CU_ASSERT_EQUAL(report.findings->verdict, VERDICT_DONE);
        CU_ASSERT_EQUAL(measured(&report), expected_sum());
        CU_ASSERT_EQUAL_FATAL(report.findings->page.warning_count, 1);
        const char *remark = report.findings->page.warnings[0];
        CU_ASSERT_PTR_NOT_NULL(strstr(remark, table[i].remark));
        if (!strstr(remark, table[i].remark))
            fprintf(stderr, "\"%s\" is not \"%s\"\n", remark, table[i].remark);
        analysis_report_finish(&report);
    }
}

// A header alone stands aside where its slice is there, and is a slice that is missing elsewhere,
// also at the end of the stack.
static void a_slice_without_pixels_is_missed(void)
{
    struct series s;
    struct analysis_report report;
    struct made_file f;
    make_series(&s);
    make_slice(&f, 4);
    made_set(&f, 0x00080018, "UI", "1.2.3.4.200");
    made_drop(&f, 0x7fe00010);
    add_slice(&s, &f);
    CU_ASSERT_TRUE_FATAL(analyse(&s, &report));
    CU_ASSERT_EQUAL(measured(&report), expected_sum());
    CU_ASSERT_EQUAL(report.findings->page.warning_count, 1);
    analysis_report_finish(&report);

    make_series(&s);
    make_slice(&f, SLICES);
    made_set_bytes(&f, 0x7fe00010, "OW", "", 0);
    add_slice(&s, &f);
    expect_refused(&s, "instance 1.2.3.4.81: no Pixel Data, and no other image lies at its place "
                       "(-10, 20.5, 27 mm): a slice is missing");

    s = (struct series){0};
    make_other(&f, "1.2.3.4.1", report_class);
    add_slice(&s, &f);
    make_other(&f, "1.2.3.4.2", report_class);
    add_slice(&s, &f);
    make_other(&f, "1.2.3.4.3", keys_class);
    add_slice(&s, &f);
    expect_refused(&s, "no Pixel Data in 3 of 3 instances (2 XRayRadiationDoseSRStorage, 1 "
                       "KeyObjectSelectionDocumentStorage)");
}

static void an_unreadable_instance_changes_the_uids(void)
{
    struct series s;
    struct analysis_report whole, broken;
    make_series(&s);
    CU_ASSERT_TRUE_FATAL(analyse(&s, &whole));
    s.files[s.count++] = (struct analysis_file){.path = made_write_bytes("text", "no image", 8)};
    CU_ASSERT_TRUE_FATAL(analyse(&s, &broken));
    CU_ASSERT_STRING_NOT_EQUAL(whole.objects.objects[0].id.sop_instance_uid,
                               broken.objects.objects[0].id.sop_instance_uid);
    analysis_report_finish(&whole);
    analysis_report_finish(&broken);
}

static void machine_errors_are_errors(void)
{
    struct series s, two;
    struct made_file f;
    struct analysis_report report;
    make_series(&s);
    s.files[s.count++] = (struct analysis_file){.path = "/no/such/file"};
    expect_failed(&s, ERR_IO, "/no/such/file");

    make_series(&s);
    two = s;
    make_slice(&f, SLICES);
    made_set(&f, 0x0020000e, "UI", "1.2.3.99");
    add_slice(&two, &f);
    expect_failed(&two, ERR_INPUT, "more than one series");

    two = s;
    make_slice(&f, 3);
    made_pixels(&f, 48, 7);
    add_slice(&two, &f);
    expect_failed(&two, ERR_INPUT, "two different instances");

    s.count = 0;
    expect_failed(&s, ERR_INPUT, "no files");

    make_series(&s);
    struct analysis_request r = request_for(&s);
    r.deadline_s = 0.001; // long past
    CU_ASSERT_FALSE(analysis_run(&r, NULL, &report, &err));
    CU_ASSERT_EQUAL(err.code, ERR_TIMEOUT);
    analysis_report_finish(&report);

    r = request_for(&s);
    level.number = 60; // the stage says that the device is lost
    CU_ASSERT_FALSE(analysis_run(&r, NULL, &report, &err));
    CU_ASSERT_EQUAL(err.code, ERR_DEVICE);
    CU_ASSERT_EQUAL(report.objects.count, 0);
    analysis_report_finish(&report);

    r = request_for(&s);
    level.number = 1.5;
    r.folder = "/no/such/folder";
    CU_ASSERT_FALSE(analysis_run(&r, NULL, &report, &err));
    CU_ASSERT_EQUAL(err.code, ERR_IO);
    analysis_report_finish(&report);
}

// The same image in another encoding, or with other attributes, is the same image; another image is
// not, and what differs is said.
static void copies_in_other_words_are_remarked(void)
{
    static const struct {
        uint32_t tag;
        const char *vr, *value, *differs; // NULL: the first is taken
    } table[] = {
        {0x00080080, "LO", "Other Hospital", NULL},
        {0x00080070, "LO", "Maker and Sons", NULL},
        {0x00200032, "DS", "-10\\20.5\\99", "Image Position or Orientation (Patient) differ"},
        {0x00281052, "DS", "0", "the rescale differ"},
        {0x00280030, "DS", "0.5\\0.5", "Pixel Spacing differ"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct series s;
        struct made_file f;
        struct analysis_report report;
        make_series(&s);
        make_slice(&f, 2);
        made_set(&f, table[i].tag, table[i].vr, table[i].value);
        add_slice(&s, &f);
        make_slice(&f, 3);
        f.syntax = "1.2.840.10008.1.2";
        add_slice(&s, &f);
        if (table[i].differs) {
            expect_failed(&s, ERR_INPUT, table[i].differs);
            continue;
        }
        CU_ASSERT_TRUE_FATAL(analyse(&s, &report));
        CU_ASSERT_EQUAL(report.findings->verdict, VERDICT_DONE);
        CU_ASSERT_EQUAL_FATAL(report.findings->page.warning_count, 1);
        CU_ASSERT_PTR_NOT_NULL(strstr(report.findings->page.warnings[0], "2 instances came again"));
        analysis_report_finish(&report);
    }
}

static void refuse_says_why_under_uids_of_its_own(void)
{
    struct series s;
    struct analysis_report done, failed;
    make_series(&s);
    CU_ASSERT_TRUE_FATAL(analyse(&s, &done));
    struct analysis_request r = request_for(&s);
    CU_ASSERT_TRUE_FATAL(
        analysis_refuse(&r, VERDICT_FAILED, "the device was lost three times", &failed, &err));
    CU_ASSERT_EQUAL(failed.findings->verdict, VERDICT_FAILED);
    expect_objects(&failed, 2);
    CU_ASSERT_STRING_NOT_EQUAL(done.objects.objects[0].id.sop_instance_uid,
                               failed.objects.objects[0].id.sop_instance_uid);
    analysis_report_finish(&done);
    analysis_report_finish(&failed);
}

static void what_slices_contradict_differs(void)
{
    struct series s;
    struct made_file f;
    struct analysis_report report;
    make_series(&s);
    make_slice(&f, SLICES);
    made_set(&f, 0x00180060, "DS", "100");
    made_set(&f, 0x00181060, "DS", "400"); // triggered
    add_slice(&s, &f);
    CU_ASSERT_TRUE_FATAL(analyse(&s, &report));
    CU_ASSERT_EQUAL(seen_kvp_state, IMAGE_ATTR_DIFFERS);
    CU_ASSERT_EQUAL(seen_trigger_state, IMAGE_ATTR_DIFFERS); // one has it, the others have none
    analysis_report_finish(&report);
}

static void options_are_canonical(void)
{
    static const char *const names[] = {"one", "two", NULL};
    static const struct stage_param p[] = {
        {.name = "a", .type = PARAM_NUMBER},
        {.name = "b", .type = PARAM_CHOICE, .choices = names},
        {.name = "c", .type = PARAM_BOOL},
        {.name = "d", .type = PARAM_TEXT},
    };
    static const struct stage s = {.params = p, .param_count = 4};
    const struct param_value values[] = {
        {.number = 0.1}, {.choice = 1}, {.truth = true}, {.text = "x;e=\\"}};
    char *text = analysis_options(&s, values);
    CU_ASSERT_STRING_EQUAL(text, "a=0.1;b=two;c=true;d=x\\;e=\\\\");
    free(text);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"analysis_run_measures_and_writes_results", measures_and_writes_results},
        {"analysis_run_no_memory_in_a_stage_is_an_error_of_the_machine",
         no_memory_in_a_stage_is_an_error_of_the_machine},
        {"analysis_run_the_progress_of_decoding_counts_each_frame_once",
         the_progress_of_decoding_counts_each_frame_once},
        {"analysis_run_a_file_of_another_digest_is_not_evaluable",
         a_file_of_another_digest_is_not_evaluable},
        {"analysis_run_same_series_in_any_order_gives_the_same",
         same_series_in_any_order_gives_the_same},
        {"analysis_run_geometry_errors_are_results", geometry_errors_are_results},
        {"analysis_run_broken_instances_are_results", broken_instances_are_results},
        {"analysis_run_what_has_no_pixels_stands_aside", what_has_no_pixels_stands_aside},
        {"analysis_run_what_has_no_place_stands_aside", what_has_no_place_stands_aside},
        {"analysis_run_a_slice_without_pixels_is_missed", a_slice_without_pixels_is_missed},
        {"analysis_run_an_unreadable_instance_changes_the_uids",
         an_unreadable_instance_changes_the_uids},
        {"analysis_run_machine_errors_are_errors", machine_errors_are_errors},
        {"analysis_run_copies_in_other_words_are_remarked", copies_in_other_words_are_remarked},
        {"analysis_run_what_slices_contradict_differs", what_slices_contradict_differs},
        {"analysis_refuse_says_why_under_uids_of_its_own", refuse_says_why_under_uids_of_its_own},
        {"analysis_options_are_canonical", options_are_canonical},
    };
    if (!object_init(&err)) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    int status = check_main("analysis", cases, sizeof cases / sizeof *cases);
    object_quit();
    return status;
}
