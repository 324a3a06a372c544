// Which of several images of one place an analysis takes, and what is said of it.
#include "node/job/choose.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "compute/image/phase.h"
#include "dimse/read/object.h"
#include "tests/check.h"

#define GROUPS     4
#define FRAMES_MAX 400
#define WHOLE      48
#define PERCENT    IMAGE_CARDIAC_PERCENT

// Slices that a scanner puts into one series: a phase, a kernel, a reconstruction.
struct group {
    const char *attrs[8]; // keyword and value in turn; NULL: the end
    uint32_t slices;      // 0: WHOLE
    double apart_mm;      // 0: 3
    double pixel_mm;      // 0: 0.7
    double trigger_ms;    // 0: none; that of a slice differs by 2 % of it
    double from_mm;
    uint32_t lost; // a slice that is missing; 0: none
    bool coronal;
};

struct choice_case {
    const char *stage;
    struct group groups[GROUPS];
    int chosen; // index of the group; -1: refused
    const char *said[3];
};

static struct arena *arena;
static struct attrs attrs[GROUPS];
static struct image_frame frames[FRAMES_MAX];
static struct image_set set;

static uint32_t add_group(const struct group *g, uint32_t index, uint32_t count)
{
    const uint32_t slices = g->slices ? g->slices : WHOLE;
    const double apart = g->apart_mm > 0 ? g->apart_mm : 3;
    attrs_finish(&attrs[index]);
    for (int i = 0; g->attrs[i]; i += 2)
        CU_ASSERT_TRUE(attrs_add(&attrs[index], g->attrs[i], g->attrs[i + 1]));
    for (uint32_t i = 0; i < slices; i++) {
        if (g->lost && i == g->lost)
            continue;
        CU_ASSERT_FATAL(count < FRAMES_MAX);
        struct image_frame *f = &frames[count];
        *f = (struct image_frame){.source = count,
                                  .number = 1,
                                  .instance_number = (int32_t)count,
                                  .columns = 512,
                                  .rows = 512,
                                  .placed = true,
                                  .slope = 1,
                                  .intercept = -1024,
                                  .bits_stored = 12,
                                  .time_s = NAN,
                                  .echo_ms = NAN,
                                  .b_value = NAN,
                                  .dimension = -1,
                                  .temporal = -1,
                                  .stack = -1,
                                  .unit = "[hnsf'U]",
                                  .frame_of_reference_uid = "1.2.3",
                                  .attrs = &attrs[index]};
        snprintf(f->sop_instance_uid, sizeof f->sop_instance_uid, "1.2.%u", 9000 - count++);
        f->pixel_mm[0] = f->pixel_mm[1] = g->pixel_mm > 0 ? g->pixel_mm : 0.7;
        f->orientation[0] = 1;
        f->orientation[g->coronal ? 5 : 4] = g->coronal ? -1 : 1;
        f->position[g->coronal ? 1 : 2] = g->from_mm + apart * i;
        f->trigger_ms = g->trigger_ms > 0 ? g->trigger_ms * (1 + 0.01 * (i % 3)) : NAN;
    }
    return count;
}

static void has(const struct choice_case *c, const char *text, const char *part)
{
    CU_ASSERT_PTR_NOT_NULL(strstr(text, part));
    if (!strstr(text, part))
        fprintf(stderr, "case \"%s\": \"%s\" lacks \"%s\"\n", c->said[0], text, part);
}

// Groups of a series split, and the image that the analysis chooses.
static void choose_case(const struct choice_case *c)
{
    struct err err = {0};
    char remark[768];
    uint32_t count = 0;
    for (uint32_t i = 0; i < GROUPS && c->groups[i].attrs[0]; i++)
        count = add_group(&c->groups[i], i, count);
    arena = arena_create();
    CU_ASSERT_FATAL(image_split(frames, count, NULL, arena, &set, &err));
    const struct image *img = choose_image(&set, 0, stage_find(c->stage)->inputs[0].prefers, arena,
                                           remark, sizeof remark, &err);
    const struct attrs *taken = img ? frames[img->frame[0]].attrs : NULL;
    CU_ASSERT_PTR_EQUAL(taken, c->chosen < 0 ? NULL : &attrs[c->chosen]);
    if (taken != (c->chosen < 0 ? NULL : &attrs[c->chosen]))
        fprintf(stderr, "case \"%s\": %s%s\n", c->said[0], remark, err.text);
    CU_ASSERT_EQUAL(err.code, img ? ERR_NONE : ERR_GEOMETRY);
    CU_ASSERT(!img || img == set.images);
    for (int i = 0; i < 3 && c->said[i]; i++)
        has(c, img ? remark : err.text, c->said[i]);
    if (img && !c->said[0])
        CU_ASSERT_STRING_EQUAL(remark, "");
    for (int i = 0; i < GROUPS; i++)
        attrs_finish(&attrs[i]);
    arena_destroy(arena);
}

static void choose_cases(const struct choice_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        choose_case(&cases[i]);
}

static void phases_of_the_heart(void)
{
    static const struct choice_case cases[] = {
        {"calcium",
         {{{PERCENT, "35"}}, {{PERCENT, "70"}}},
         1,
         {"taken 48 images with NominalPercentageOfCardiacPhase 70 (diastole); left are 48 with "
          "NominalPercentageOfCardiacPhase 35."}},
        {"calcium",
         {{{PERCENT, "78.0"}}, {{PERCENT, "40"}}, {{PERCENT, "65"}}},
         0,
         {"NominalPercentageOfCardiacPhase 78 (diastole)", "48 with", "Phase 65"}},
        {"calcium",
         {{{"ImageComments", "BestDiast 75 %"}}, {{"ImageComments", "BestSyst 35 %"}}},
         0,
         {"NominalPercentageOfCardiacPhase 75 by ImageComments (diastole); left are 48"}},
        {"calcium",
         {{{IMAGE_TOSHIBA_PERCENT, "40%"}}, {{IMAGE_TOSHIBA_PERCENT, "75%"}}},
         1,
         {"NominalPercentageOfCardiacPhase 75 by 7005,xx04[TOSHIBA_MEC_CT3] (diastole)"}},
        {"calcium",
         {{{"NominalInterval", "930"}, .trigger_ms = 325},
          {{"NominalInterval", "930"}, .trigger_ms = 650}},
         1,
         {"NominalPercentageOfCardiacPhase 70 to 71 by TriggerTime (diastole); left are 48 with "
          "NominalPercentageOfCardiacPhase 35 to 36 by TriggerTime."}},
        {"calcium",
         {{{"HeartRate", "60"}, .trigger_ms = 720},
          {{"HeartRate", "60"}, .trigger_ms = 300, .slices = 30}},
         0,
         {"as the only whole ones", "left are 30 with NominalPercentageOfCardiacPhase 30 to 31",
          "(over 90 mm instead of 144 mm)"}},
        {"calcium",
         {{{PERCENT, "35"}}, {{PERCENT, "10"}}, {{PERCENT, "45"}}},
         -1,
         {"3 groups of images may be meant: NominalPercentageOfCardiacPhase 45 "
          "in 48, 10 in 48, 35 in 48",
          "wanted is diastole (>= 60, <= 80)", "send it as a series of its own"}},
        // one phase whose slices say it a little differently
        {"calcium",
         {{{PERCENT, "70"}, .slices = 30},
          {{PERCENT, "72"}, .slices = 18, .from_mm = 90},
          {{PERCENT, "35"}}},
         0,
         {"taken 48 images with NominalPercentageOfCardiacPhase 70 to 72 (diastole)"}},
        // of two that are as near to each other at the same places one is nearer to 75
        {"calcium",
         {{{PERCENT, "72"}}, {{PERCENT, "74"}}},
         1,
         {"NominalPercentageOfCardiacPhase 74 (diastole); left are 48"}},
        {"calcium",
         {{{PERCENT, "70"}}, {{PERCENT, "80"}}},
         -1,
         {"NominalPercentageOfCardiacPhase 80 in 48, 70 in 48; each is diastole (>= 60, <= 80)"}},
        // slices of the one between those of the other
        {"calcium",
         {{{PERCENT, "35"}}, {{PERCENT, "70"}, .from_mm = 1.5}},
         1,
         {"NominalPercentageOfCardiacPhase 70 (diastole); left are 48"}},
        // elsewhere: neither is a choice for the other
        {"calcium",
         {{{PERCENT, "35"}}, {{PERCENT, "70"}, .from_mm = 60}},
         -1,
         {"two groups of 48 images may be meant", "one lies at 58.5 to 202.5 mm"}},
        // none is meant by having a slice more
        {"calcium",
         {{{PERCENT, "35"}, .slices = 49}, {{PERCENT, "45"}}},
         -1,
         {"NominalPercentageOfCardiacPhase 35 in 49, 45 in 48"}},
    };
    choose_cases(cases, sizeof cases / sizeof *cases);
}

static void kernels_voltages_and_kinds(void)
{
    static const struct choice_case cases[] = {
        {"calcium",
         {{{"ConvolutionKernel", "B70f"}}, {{"ConvolutionKernel", "B35f"}}},
         1,
         {"48 images with ConvolutionKernel B35f (soft kernel); left are 48 with ConvolutionKernel "
          "B70f."}},
        {"lungs",
         {{{"ConvolutionKernel", "LUNG"}}, {{"ConvolutionKernel", "STANDARD"}}},
         1,
         {"STANDARD (soft kernel)"}},
        {"calcium",
         {{{"ConvolutionKernel", "Sa36f\\3"}}, {{"ConvolutionKernel", "Br59f\\3"}}},
         0,
         {"left are 48 with ConvolutionKernel Br59f\\3"}},
        {"calcium",
         {{{"ConvolutionKernel", "B30f"}}, {{"ConvolutionKernel", "B35f"}}},
         -1,
         {"ConvolutionKernel B35f in 48, B30f in 48; each is soft kernel;"}},
        {"calcium", {{{"KVP", "80"}}, {{"KVP", "140"}}, {{"KVP", "120"}}}, 2, {"KVP 120 (120 kV)"}},
        {"calcium", {{{"KVP", "80"}}, {{"KVP", "140"}}}, -1, {"wanted is 120 kV (>= 118, <= 122)"}},
        {"calcium",
         {{{"ImageType", "DERIVED\\SECONDARY\\MIP"}}, {{"ImageType", "ORIGINAL\\PRIMARY\\AXIAL"}}},
         1,
         {"(as acquired)"}},
        {"calcium",
         {{{PERCENT, "70", "ConvolutionKernel", "B70f"}},
          {{PERCENT, "35", "ConvolutionKernel", "B35f"}},
          {{PERCENT, "70", "ConvolutionKernel", "B35f"}},
          {{PERCENT, "35", "ConvolutionKernel", "B70f"}}},
         2,
         {"NominalPercentageOfCardiacPhase 70 (diastole) and ConvolutionKernel B35f (soft "
          "kernel)"}},
    };
    choose_cases(cases, sizeof cases / sizeof *cases);
}

static void reconstructions_in_other_slices_and_fields(void)
{
    static const struct choice_case cases[] = {
        {"calcium",
         {{{"SliceThickness", "1.5"}, .apart_mm = 1.5, .slices = 96}, {{"SliceThickness", "3"}}},
         1,
         {"SpacingBetweenSlices 3 (3 mm apart); left are 96 with SpacingBetweenSlices 1.5."}},
        {"lungs",
         {{{"SliceThickness", "5"}, .apart_mm = 5, .slices = 30},
          {{"SliceThickness", "1"}, .apart_mm = 1, .slices = 148}},
         1,
         {"SliceThickness 1 (thin slices)"}},
        {"calcium",
         {{{"PixelSpacing", "0.43\\0.43"}, .pixel_mm = 0.43}, {{"PixelSpacing", "0.7\\0.7"}}},
         -1,
         {"PixelSpacing 0.7\\0.7 in 48, 0.43\\0.43 in 48"}},
        // two stacks that share no place
        {"calcium",
         {{{"SliceThickness", "1.5"}, .apart_mm = 1.5, .slices = 96, .from_mm = -0.75},
          {{"SliceThickness", "3"}}},
         1,
         {"SpacingBetweenSlices 3 (3 mm apart); left are 96"}},
        {"calcium",
         {{{"SliceThickness", "3"}, .apart_mm = 2.5, .slices = 57, .pixel_mm = 0.43},
          {{"SliceThickness", "3"}}},
         1,
         {"SpacingBetweenSlices 3 (3 mm apart)"}},
        // a scan of the chest around the heart's: another part of the body is no other choice
        {"calcium",
         {{{"SliceThickness", "0.6"}, .apart_mm = 0.6, .slices = 240, .from_mm = 60},
          {{"SliceThickness", "5"}, .apart_mm = 5, .slices = 70}},
         0,
         {"left are 70"}},
    };
    choose_cases(cases, sizeof cases / sizeof *cases);
}

static void what_is_cut_short_is_not_taken(void)
{
    static const struct choice_case cases[] = {
        {"calcium",
         {{{PERCENT, "70"}, .slices = 20}, {{PERCENT, "35"}}},
         1,
         {"taken 48 images as the only whole ones; left are 20 with "
          "NominalPercentageOfCardiacPhase 70 "
          "(over 60 mm instead of 144 mm).",
          "Not as preferred: NominalPercentageOfCardiacPhase 35, wanted is diastole (>= 60, <= "
          "80)."}},
        {"calcium",
         {{{PERCENT, "70"}, .lost = 20}, {{PERCENT, "35"}}},
         1,
         {"left are 47 with NominalPercentageOfCardiacPhase 70 (1 slice missing between",
          "Not as preferred"}},
        {"calcium",
         {{{"ConvolutionKernel", "B35f"}, .slices = 42}, {{"ConvolutionKernel", "B70f"}}},
         1,
         {"over 126 mm instead of 144 mm"}},
        {"calcium",
         {{{"ConvolutionKernel", "B35f"}, .slices = 46}, {{"ConvolutionKernel", "B70f"}}},
         0,
         {"taken 46 images over 138 of 144 mm with ConvolutionKernel B35f"}},
        {"calcium",
         {{{PERCENT, "70"}, .lost = 20}, {{PERCENT, "35"}, .lost = 30}},
         -1,
         {"no group of images is whole: 47 (1 slice missing between", ", 47 (1 slice missing"}},
        {"calcium",
         {{{PERCENT, "70"}, .slices = 30}, {{PERCENT, "35"}, .lost = 30}},
         -1,
         {"no group of images is whole: 47 (1 slice missing between",
          ", 30 (over 90 mm instead of 144 mm)"}},
    };
    choose_cases(cases, sizeof cases / sizeof *cases);
}

static void without_a_choice_nothing_is_said(void)
{
    static const struct choice_case cases[] = {
        {"calcium", {{{PERCENT, "35"}}}, 0, {NULL}},
        {"calcium",
         {{{"ConvolutionKernel", "B35f"}},
          {{"ConvolutionKernel", "B35f"}, .slices = 3, .pixel_mm = 1.2}},
         0,
         {NULL}},
    };
    choose_cases(cases, sizeof cases / sizeof *cases);
}

// An analysis without preferences takes the image with the most frames, as ever.
static void without_preferences_the_most_frames_count(void)
{
    static const struct group groups[] = {{{PERCENT, "70"}}, {{PERCENT, "35"}, .slices = 49}};
    struct err err = {0};
    char remark[64];
    arena = arena_create();
    const uint32_t count = add_group(&groups[1], 1, add_group(&groups[0], 0, 0));
    CU_ASSERT_FATAL(image_split(frames, count, NULL, arena, &set, &err));
    const struct image *img = choose_image(&set, 0, NULL, arena, remark, sizeof remark, &err);
    CU_ASSERT_PTR_EQUAL(img, set.images);
    CU_ASSERT(img && img->dim[2] == 49);
    arena_destroy(arena);
    for (int i = 0; i < GROUPS; i++)
        attrs_finish(&attrs[i]);
}

static void preferences_that_cannot_be_used_are_found(void)
{
    static const struct stage_preference keyword[] = {{"NoSuchAttribute", {"1"}, 0, "", NULL}, {0}},
                                         pattern[] = {{"KVP", {"/(/"}, 0, "", NULL}, {0}},
                                         second[] = {{"KVP", {"> 1", "< x"}, 0, "", NULL}, {0}};
    const struct stage_preference *const wrong[] = {keyword, pattern, second};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct err err = {0};
        CU_ASSERT_FALSE(choose_check(wrong[i], &err));
        CU_ASSERT_EQUAL(err.code, ERR_INTERNAL);
    }
    CU_ASSERT_TRUE(choose_check(NULL, NULL));
}

int main(void)
{
    static const struct check_case cases[] = {
        {"phases_of_the_heart", phases_of_the_heart},
        {"kernels_voltages_and_kinds", kernels_voltages_and_kinds},
        {"reconstructions_in_other_slices_and_fields", reconstructions_in_other_slices_and_fields},
        {"what_is_cut_short_is_not_taken", what_is_cut_short_is_not_taken},
        {"without_a_choice_nothing_is_said", without_a_choice_nothing_is_said},
        {"without_preferences_the_most_frames_count", without_preferences_the_most_frames_count},
        {"preferences_that_cannot_be_used_are_found", preferences_that_cannot_be_used_are_found},
    };
    struct err err;
    if (!object_init(&err)) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    int status = check_main("choose", cases, sizeof cases / sizeof cases[0]);
    object_quit();
    return status;
}
