// Series with the faults that archives hold: what is seen in each, and what is measured or why
// nothing is. A row changes some of six slices; an analysis sums all voxels, weighted by slice.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fs.h"
#include "dimse/read/object.h"
#include "node/job/analysis.h"
#include "node/job/gather.h"
#include "node/job/inspect.h"
#include "tests/check.h"
#include "tests/made.h"
#include "tests/sum.h"

#define EXPLICIT "1.2.840.10008.1.2.1"
#define SLICES   6
#define PIXELS   48
#define ALL      0x3fu // of the slices
#define SAID_MAX 8192

static struct err err;

static const struct stage_accept accepts[] = {{"Modality", "CT"}, {0}};
static const struct stage_input_spec inputs[] = {
    {"scan", "A CT.", INPUT_ONE, IMAGE_NO_AXIS, true, accepts}};
static const struct stage stage = {.name = "sum",
                                   .title = "Sum of voxels",
                                   .version = "1",
                                   .slot = 91,
                                   .inputs = inputs,
                                   .input_count = 1,
                                   .results = RESULT_SR,
                                   .run = sum_voxels};

struct edit {
    unsigned slices; // bits
    uint32_t tag;
    const char *vr, *value; // NULL: dropped
};

struct odd {
    const char *name;
    struct edit edits[4];
    void (*more)(const char *folder); // writes further instances
    bool done;                        // with the sum of the six slices
    unsigned sum_of;                  // of so many from the first on; 0: of all
    double slope;                     // of their values; 0: 1
    const char *said;                 // the reason, or a remark of the result; NULL: none at all
    const char *seen;                 // by inspect
    const char *unseen;               // and what it must not say
    bool look;                        // inspect only
};

static void slice_of(struct made_file *f, unsigned i)
{
    char uid[32], number[8];
    snprintf(uid, sizeof uid, "1.2.3.4.%u", i + 1);
    snprintf(number, sizeof number, "%u", i + 1);
    made_ct(f, EXPLICIT, uid, 3.0 * i);
    made_set(f, 0x00200013, "IS", number);
    made_pixels(f, PIXELS, (int32_t)(100 * i));
}

static double sum_of_slices(const struct odd *row)
{
    const double slope = row->slope == 0 ? 1 : row->slope;
    double sum = 0;
    for (unsigned k = 0; k < (row->sum_of ? row->sum_of : SLICES); k++) {
        for (unsigned i = 0; i < PIXELS; i++)
            sum += (k + 1) * (slope * (100.0 * k + i) - 1024);
    }
    return sum;
}

static void write_in(const char *folder, struct made_file *f, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    made_write(f, path);
    made_finish(f);
}

static void make_odd(const struct odd *row, const char *folder)
{
    char path[4096], name[32];
    snprintf(path, sizeof path, "%s/%s", check_scratch(), folder);
    CU_ASSERT_TRUE_FATAL(fs_make_folders(path, &err));
    for (unsigned i = 0; i < SLICES; i++) {
        struct made_file f;
        slice_of(&f, i);
        for (size_t n = 0; n < sizeof row->edits / sizeof *row->edits; n++) {
            const struct edit *e = &row->edits[n];
            if (!(e->slices & 1u << i))
                continue;
            if (e->value)
                made_set(&f, e->tag, e->vr, e->value);
            else
                made_drop(&f, e->tag);
        }
        snprintf(name, sizeof name, "slice%u", i);
        write_in(folder, &f, name);
    }
    if (row->more)
        row->more(folder);
}

static char *seen_in(const struct gather *g)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    for (size_t i = 0; i < g->count; i++) {
        struct inspect *in = inspect_create(&g->series[i], &err);
        CU_ASSERT_PTR_NOT_NULL_FATAL(in);
        inspect_print(in, out);
        inspect_destroy(in);
    }
    fclose(out);
    return text;
}

// The verdict, and all that a result says, or the error.
static bool analysed(const struct gather *g, const char *folder, char *said, size_t size,
                     double *sum)
{
    char path[4096];
    struct analysis_report report;
    const struct analysis_input input = {.files = g->series[0].files,
                                         .file_count = g->series[0].file_count};
    snprintf(path, sizeof path, "%s/%s-out", check_scratch(), folder);
    CU_ASSERT_TRUE_FATAL(fs_make_folders(path, &err));
    const struct analysis_request request = {
        .inputs = &input,
        .input_count = 1,
        .stage = &stage,
        .maker = {"ANODE", "1.2.840.99.1", "1", "anode test", "none", NULL},
        .folder = path};
    bool done = false;
    err = (struct err){0};
    snprintf(said, size, "%s", "");
    *sum = NAN;
    if (!analysis_run(&request, NULL, &report, &err)) {
        snprintf(said, size, "%s", err.text);
    } else {
        const struct findings *found = report.findings;
        done = found->verdict == VERDICT_DONE;
        size_t used = (size_t)snprintf(said, size, "%s", done ? "" : found->reason);
        for (size_t i = 0; i < found->page.warning_count && used < size; i++)
            used += (size_t)snprintf(said + used, size - used, "%s\n", found->page.warnings[i]);
        if (done)
            *sum = found->groups[0].measurements[0].value;
    }
    analysis_report_finish(&report);
    return done;
}

static void check_row(const struct odd *row, unsigned number)
{
    struct gather g;
    char folder[32], path[4096], said[SAID_MAX], *paths[] = {path};
    double sum = NAN;
    said[0] = 0;
    snprintf(folder, sizeof folder, "odd%u", number);
    make_odd(row, folder);
    snprintf(path, sizeof path, "%s/%s", check_scratch(), folder);
    CU_ASSERT_TRUE_FATAL(gather_paths(paths, 1, "", &g, &err));
    CU_ASSERT_TRUE_FATAL(g.count > 0);
    char *seen = seen_in(&g);
    const bool done = !row->look && analysed(&g, folder, said, sizeof said, &sum);
    const bool right = done == row->done && (!done || sum == sum_of_slices(row)) &&
                       (row->said ? strstr(said, row->said) != NULL : !said[0]);
    const bool good = (row->look || right) && (!row->seen || strstr(seen, row->seen)) &&
                      (!row->unseen || !strstr(seen, row->unseen));
    CU_ASSERT_TRUE(good);
    if (!good || getenv("ODD_SHOW"))
        fprintf(stderr, "%s: %s, sum %g of %g, said \"%s\"\nseen:\n%s", row->name,
                done ? "done" : "not done", sum, sum_of_slices(row), said, seen);
    free(seen);
    gather_finish(&g);
}

static void check_rows(const struct odd *rows, size_t count)
{
    static unsigned number;
    for (size_t i = 0; i < count; i++)
        check_row(&rows[i], number++);
}
#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof *(rows))

static void numbers_written_in_several_ways_are_the_same(void)
{
    static const struct odd rows[] = {
        {"thickness with and without decimals",
         {{0x15, 0x00180050, "DS", "3.000000"}, {0x02, 0x00180050, "DS", "3.0E0"}},
         .done = true,
         .unseen = "SliceThickness differs"},
        {"two values with other decimals",
         {{0x01, 0x00281050, "DS", "40.0\\60.0"},
          {0x10, 0x00180088, "DS", "+3.0"},
          {0x2f, 0x00180088, "DS", "3"}},
         .done = true,
         .unseen = "SpacingBetweenSlices differs"},
        {"a kernel padded to a fixed width",
         {{0x07, 0x00181210, "SH", "B35f    "}, {0x38, 0x00181210, "SH", "B35f"}},
         .done = true,
         .unseen = "ConvolutionKernel differs"},
        {"one slice without tube voltage",
         {{0x04, 0x00180060, NULL, NULL}},
         .done = true,
         .seen = "KVP differs: 120, absent in some frames"},
        {"decimal commas in half of the slices",
         {{0x07, 0x00180050, "DS", "2,5"}, {0x38, 0x00180050, "DS", "2.5"}},
         .done = true,
         .unseen = "SliceThickness differs"},
    };
    CHECK_ROWS(rows);
}

static void write_page(const char *folder, const char *uid, const char *class_uid, bool placed,
                       const char *type)
{
    struct made_file f;
    slice_of(&f, 3);
    made_set(&f, 0x00080016, "UI", class_uid);
    made_set(&f, 0x00080018, "UI", uid);
    if (type)
        made_set(&f, 0x00080008, "CS", type);
    if (!placed) {
        made_drop(&f, 0x00200032);
        made_drop(&f, 0x00200037);
    }
    write_in(folder, &f, uid);
}

static void page_without_place(const char *folder)
{
    write_page(folder, "1.2.3.4.50", "1.2.840.10008.5.1.4.1.1.7", false, "DERIVED\\SECONDARY");
    write_page(folder, "1.2.3.4.51", "1.2.840.10008.5.1.4.1.1.7", false, "DERIVED\\SECONDARY");
}

static void dose_page_at_a_slice(const char *folder)
{
    struct made_file f;
    slice_of(&f, 3);
    made_set(&f, 0x00080018, "UI", "1.2.3.4.50");
    made_set(&f, 0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.7");
    made_set(&f, 0x00080008, "CS", "DERIVED\\SECONDARY\\DOSE_INFO");
    made_pixels(&f, PIXELS, 7);
    write_in(folder, &f, "dose");
}

static void colour_page_at_a_slice(const char *folder)
{
    struct made_file f;
    slice_of(&f, 3);
    made_set(&f, 0x00080018, "UI", "1.2.3.4.50");
    made_set(&f, 0x00080008, "CS", "DERIVED\\SECONDARY\\DOSE_INFO");
    made_set(&f, 0x00280002, "US", "3");
    made_set(&f, 0x00280004, "CS", "RGB");
    made_set(&f, 0x00280006, "US", "0");
    made_set(&f, 0x00280100, "US", "8");
    made_set(&f, 0x00280101, "US", "8");
    made_set(&f, 0x00280102, "US", "7");
    made_pixels(&f, 3 * PIXELS, 0);
    write_in(folder, &f, "colour");
}

static void raw_and_document(const char *folder)
{
    struct made_file f;
    static const char *const classes[] = {"1.2.840.10008.5.1.4.1.1.66",    // raw data
                                          "1.2.840.10008.5.1.4.1.1.104.1", // PDF
                                          "1.2.840.10008.5.1.4.1.1.11.1"}; // presentation state
    for (int i = 0; i < 3; i++) {
        char uid[32];
        snprintf(uid, sizeof uid, "1.2.3.4.6%d", i);
        slice_of(&f, 0);
        made_set(&f, 0x00080016, "UI", classes[i]);
        made_set(&f, 0x00080018, "UI", uid);
        made_drop(&f, 0x7fe00010);
        made_drop(&f, 0x00200032);
        made_drop(&f, 0x00200037);
        made_drop(&f, 0x00280010);
        made_drop(&f, 0x00280011);
        write_in(folder, &f, uid);
    }
}

static void scout_without_word(const char *folder)
{
    struct made_file f;
    slice_of(&f, 3);
    made_set(&f, 0x00080018, "UI", "1.2.3.4.50");
    made_set(&f, 0x00200037, "DS", "0\\1\\0\\0\\0\\-1");
    write_in(folder, &f, "scout");
}

static void what_is_no_slice_stands_aside(void)
{
    static const struct odd rows[] = {
        {"two screen saves without a place", .more = page_without_place, .done = true,
         .said = "Set aside without a place in space: 2.",
         .seen = "Set aside without a place in space too, of other instances: 1. Set aside with a "
                 "place in space: 6."},
        {"a dose page that copied the place of a slice", .more = dose_page_at_a_slice, .done = true,
         .said = "Set aside"},
        {"a dose page in colour at a slice's place", .more = colour_page_at_a_slice, .done = true,
         .said = "Set aside"},
        {"raw data, a document and a presentation state", .more = raw_and_document, .done = true,
         .said = "1 RawDataStorage"},
        {"a scout that no word calls so", .more = scout_without_word, .done = true,
         .said = "another orientation"},
        {"nothing but localizers",
         {{ALL, 0x00080008, "CS", "ORIGINAL\\PRIMARY\\LOCALIZER"}},
         .said = "only localizers",
         .seen = "no images: only localizers (6)"},
        {"a localizer in lower case",
         {{0x20, 0x00080008, "CS", "ORIGINAL\\PRIMARY\\localizer"}},
         .done = true,
         .sum_of = 5,
         .said = "Set aside as localizer: 1."},
    };
    CHECK_ROWS(rows);
}

// A slice as instance 1.2.3.4.7<slice> of another acquisition; pixels are new where they are told.
static void slice_again(const char *folder, unsigned slice, const int32_t *pixels)
{
    struct made_file f;
    char uid[32];
    snprintf(uid, sizeof uid, "1.2.3.4.7%u", slice);
    slice_of(&f, slice);
    made_set(&f, 0x00080018, "UI", uid);
    made_set(&f, 0x00200012, "IS", "2");
    if (pixels)
        made_pixels(&f, PIXELS, *pixels);
    write_in(folder, &f, uid);
}

static const int32_t other_pixels = 7;

static void twin_other_acquisition(const char *folder)
{
    for (unsigned i = 0; i < SLICES; i++)
        slice_again(folder, i, &other_pixels);
}

static void same_other_acquisition(const char *folder)
{
    for (unsigned i = 0; i < SLICES; i++)
        slice_again(folder, i, NULL);
}

static void one_same_other_acquisition(const char *folder)
{
    slice_again(folder, 3, NULL);
}

static void one_other_acquisition(const char *folder)
{
    slice_again(folder, 3, &other_pixels);
}

static void same_at_a_rounded_place(const char *folder)
{
    struct made_file f;
    slice_of(&f, 3);
    made_set(&f, 0x00080018, "UI", "1.2.3.4.70");
    made_set(&f, 0x00200032, "DS", "-10.0000001\\20.5\\9.0049");
    made_set(&f, 0x00200013, "IS", "99");
    write_in(folder, &f, "again");
}

static void acquisitions_at_one_place(void)
{
    static const struct odd rows[] = {
        {"two acquisitions of the same places",
         {{ALL, 0x00200012, "IS", "1"}},
         .more = twin_other_acquisition,
         .said = "groups of",
         .seen = "Set aside of another Acquisition Number: 6."},
        {"one acquisition, sent twice under two numbers",
         {{ALL, 0x00200012, "IS", "1"}},
         .more = same_other_acquisition,
         .done = true,
         .said = "same images once more"},
        {"one slice again under another number",
         {{ALL, 0x00200012, "IS", "1"}},
         .more = one_same_other_acquisition,
         .done = true,
         .said = "same images once more (place and pixels): 1."},
        {"one other slice under another number",
         {{ALL, 0x00200012, "IS", "1"}},
         .more = one_other_acquisition,
         .done = true,
         .said = "Set aside of another Acquisition Number: 1."},
        {"the same slice at a place rounded otherwise", .more = same_at_a_rounded_place,
         .done = true, .said = "same images once more (place and pixels): 1."},
    };
    CHECK_ROWS(rows);
}

static void grids_written_badly_are_grids_or_refused(void)
{
    static const struct odd rows[] = {
        {"an orientation with noise of the last digit",
         {{0x15, 0x00200037, "DS", "1\\1.2e-16\\0\\-0\\1\\0"},
          {0x2a, 0x00200037, "DS", "0.9999999\\0\\0\\0\\1.0000001\\0"}},
         .done = true},
        {"pixel spacing with other decimals",
         {{0x15, 0x00280030, "DS", "0.5000\\0.25002"}},
         .done = true},
        {"instance numbers against the places, slice locations of all 0",
         {{ALL, 0x00201041, "DS", "0"},
          {0x01, 0x00200013, "IS", "6"},
          {0x20, 0x00200013, "IS", "1"}},
         .done = true},
        {"all instance numbers 1", {{ALL, 0x00200013, "IS", "1"}}, .done = true},
        {"no instance numbers", {{ALL, 0x00200013, "IS", NULL}}, .done = true},
        {"spacing between slices contradicts the places",
         {{ALL, 0x00180088, "DS", "-3"}},
         .done = true},
        {"an orientation that is no unit vector",
         {{0x04, 0x00200037, "DS", "1\\0.1\\0\\0\\1\\0"}},
         .look = true,
         .seen = "instance 1.2.3.4.3: ImageOrientationPatient 1\\0.1\\0\\0\\1\\0 makes no sense"},
        {"a position with two values",
         {{0x04, 0x00200032, "DS", "-10\\20.5"}},
         .look = true,
         .seen = "ImagePositionPatient"},
        {"a position with a decimal comma",
         {{0x04, 0x00200032, "DS", "-10\\20,5\\6"}},
         .look = true,
         .seen = "ImagePositionPatient"},
        {"pixel spacing of 0",
         {{0x04, 0x00280030, "DS", "0\\0"}},
         .look = true,
         .seen = "PixelSpacing"},
        {"pixel spacing absent, imager pixel spacing given",
         {{ALL, 0x00280030, "DS", NULL}, {ALL, 0x00181164, "DS", "0.5\\0.25"}},
         .look = true,
         .seen = "PixelSpacing"},
    };
    CHECK_ROWS(rows);
}

static void rescales_are_numbers_or_refused(void)
{
    static const struct odd rows[] = {
        {"slope as 1.0E+00",
         {{ALL, 0x00281053, "DS", "1.0E+00"}, {ALL, 0x00281052, "DS", "-1.024e3"}},
         .done = true},
        {"slope of 0",
         {{ALL, 0x00281053, "DS", "0"}},
         .look = true,
         .seen = "RescaleSlope 0 makes no sense"},
        {"slope of 0 in one slice",
         {{0x04, 0x00281053, "DS", "0"}},
         .look = true,
         .seen = "instance 1.2.3.4.3: RescaleSlope 0 makes no sense"},
        {"a negative slope", {{ALL, 0x00281053, "DS", "-1"}}, .done = true, .slope = -1},
        {"intercept absent in one slice",
         {{0x04, 0x00281052, "DS", NULL}},
         .said = "RescaleIntercept"},
        {"intercept with a decimal comma",
         {{ALL, 0x00281052, "DS", "-1024,0"}},
         .look = true,
         .seen = "RescaleIntercept"},
        {"intercept with a unit",
         {{ALL, 0x00281052, "DS", "-1024 HU"}},
         .look = true,
         .seen = "RescaleIntercept"},
        {"rescale type of one slice",
         {{0x04, 0x00281054, "LO", "OD"}},
         .said = "image 3 at 6.0 mm has values in another unit"},
        {"rescale type in lower case", {{ALL, 0x00281054, "LO", "hu"}}, .done = true},
        {"a rescale of two values",
         {{ALL, 0x00281053, "DS", "1\\1"}},
         .look = true,
         .seen = "RescaleSlope 1\\1 makes no sense"},
    };
    CHECK_ROWS(rows);
}

static void headers_contradict_themselves(void)
{
    static const struct odd rows[] = {
        {"modality with a blank before", {{ALL, 0x00080060, "CS", " CT"}}, .done = true},
        {"modality with a NUL", {{ALL, 0x00080060, "CS", "CT"}}, .done = true},
        {"one slice of another modality",
         {{0x04, 0x00080060, "CS", "MR"}},
         .done = true,
         .said = "Modality differs between slices: CT in 5 images, MR in 1 image."},
        {"a patient ID padded in half of the slices",
         {{0x07, 0x00100020, "LO", "P1  "}},
         .done = true},
        {"the highest bit above values that lie low",
         {{ALL, 0x00280102, "US", "15"}},
         .said = "HighBit 15 makes no sense with BitsStored 12: the 4 bits below are used"},
        {"bits stored above allocated",
         {{ALL, 0x00280101, "US", "20"}},
         .look = true,
         .seen = "BitsStored"},
        {"high bit below stored", {{ALL, 0x00280102, "US", "7"}}, .look = true, .seen = "HighBit"},
        {"signed in one slice", {{0x04, 0x00280103, "US", "1"}}, .done = true},
        {"monochrome 1", {{ALL, 0x00280004, "CS", "MONOCHROME1"}}, .done = true},
        {"photometric absent",
         {{ALL, 0x00280004, "CS", NULL}},
         .look = true,
         .seen = "PhotometricInterpretation is missing"},
        {"samples absent",
         {{ALL, 0x00280002, "US", NULL}},
         .look = true,
         .seen = "SamplesPerPixel is missing"},
        {"rows one more than pixels",
         {{0x04, 0x00280010, "US", "7"}},
         .said = "image 3 at 6.0 mm has 8 x 7 pixels, the others 8 x 6"},
        {"rows one less than pixels",
         {{0x04, 0x00280010, "US", "5"}},
         .said = "image 3 at 6.0 mm has 8 x 5 pixels, the others 8 x 6"},
        {"frames 1", {{ALL, 0x00280008, "IS", "1"}}, .done = true},
        {"frames 0",
         {{ALL, 0x00280008, "IS", "0"}},
         .done = true,
         .said = "6 instances: Number of Frames is 0: taken for 1"},
        {"columns one less in all",
         {{ALL, 0x00280011, "US", "7"}},
         .said = "96 bytes of pixel data, but 84"},
        {"three frames said, one there",
         {{ALL, 0x00280008, "IS", "3"}},
         .look = true,
         .seen = "NumberOfFrames is 3 in an object of one frame"},
        {"number of frames 0, three there",
         {{ALL, 0x00280008, "IS", "0"}, {ALL, 0x00280010, "US", "2"}},
         .said = "96 bytes of pixel data, but 32"},
        {"frames empty", {{ALL, 0x00280008, "IS", ""}}, .done = true},
        {"an empty series description", {{ALL, 0x0008103e, "LO", ""}}, .done = true},
    };
    CHECK_ROWS(rows);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"numbers_written_in_several_ways_are_the_same",
         numbers_written_in_several_ways_are_the_same},
        {"what_is_no_slice_stands_aside", what_is_no_slice_stands_aside},
        {"acquisitions_at_one_place", acquisitions_at_one_place},
        {"grids_written_badly_are_grids_or_refused", grids_written_badly_are_grids_or_refused},
        {"rescales_are_numbers_or_refused", rescales_are_numbers_or_refused},
        {"headers_contradict_themselves", headers_contradict_themselves},
    };
    if (!object_init(&err)) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    const int status = check_main("oddity", cases, sizeof cases / sizeof *cases);
    object_quit();
    return status;
}
