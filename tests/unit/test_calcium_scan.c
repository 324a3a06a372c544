// What headers say of a CT of the heart, and what the calcium score makes of it.
#include "compute/stages/calcium/calcium_scan.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "tests/check.h"
#include "tests/images.h"

enum { SLICES = 12, HALF = SLICES / 2 };

struct fact {
    const char *keyword, *value;
};

// A gated scan at 120 kV, 3 mm; other takes the place of its attributes in the second half of the
// slices, or in all.
struct scan {
    struct fact other[3];
    bool all, scale;
    const char *refused, *warned; // parts of the text; NULL: it is not
    double threshold_hu;
};

static const struct fact usual[] = {
    {"ImageType", "ORIGINAL\\PRIMARY\\AXIAL"},
    {"KVP", "120"},
    {"SliceThickness", "3"},
    {"ConvolutionKernel", "Qr36f"},
    {"Manufacturer", "SIEMENS"},
    {"ManufacturerModelName", "Model"},
    {"CardiacSynchronizationTechnique", "PROSPECTIVE"},
};

static bool is_warned(const struct findings *f, const char *part)
{
    for (uint32_t i = 0; i < f->page.warning_count; i++) {
        if (strstr(f->page.warnings[i], part))
            return true;
    }
    return false;
}

static void fill(struct attrs *a, const struct fact *other, size_t others)
{
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        const char *value = usual[i].value;
        for (size_t o = 0; o < others && other[o].keyword; o++) {
            if (strcmp(other[o].keyword, usual[i].keyword) == 0)
                value = NULL;
        }
        if (value)
            CU_ASSERT_FATAL(attrs_add(a, usual[i].keyword, value));
    }
    for (size_t o = 0; o < others && other[o].keyword; o++)
        CU_ASSERT_FATAL(attrs_add(a, other[o].keyword, other[o].value));
}

static void judge(const struct scan *c)
{
    static const int16_t stored[SLICES * 4];
    const struct made_grid grid = {.dim = {2, 2, SLICES, 1},
                                   .spacing = {1, 1, 3},
                                   .to_patient = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 3, 0}},
                                   .unit = "[hnsf'U]",
                                   .stored = stored};
    const struct calcium_limits limits = {
        .increment_mm = 3, .max_slice_mm = 5, .threshold_hu = 130, .scale = c->scale};
    struct made_images images;
    struct attrs other = {0};
    struct calcium_scan scan;
    struct err err = {0};
    double threshold = NAN;
    made_images_init(&images, &grid);
    fill(&images.attrs, usual, 0);
    fill(&other, c->other, sizeof c->other / sizeof *c->other);
    for (int i = c->all ? 0 : HALF; i < SLICES; i++)
        images.frames[i].attrs = &other;
    CU_ASSERT_FATAL(made_images_split(&images, &err));
    CU_ASSERT_EQUAL_FATAL(images.set.image_count, 1);
    struct findings *f = findings_create();
    calcium_scan_read(&images.set, images.set.images, &scan);
    const bool ok = calcium_scan_judge(&scan, &limits, &threshold, f) &&
                    calcium_scan_warn(&scan, limits.increment_mm, f) &&
                    calcium_scan_facts(&scan, f);
    CU_ASSERT_EQUAL(ok, c->refused == NULL);
    const bool said = c->refused  ? strstr(f->reason, c->refused) != NULL
                      : c->warned ? is_warned(f, c->warned)
                                  : f->page.warning_count == 0;
    CU_ASSERT(said);
    if (!said || ok != !c->refused)
        fprintf(stderr, "%s %s: \"%s\" \"%s\"\n", c->other[0].keyword, c->other[0].value, f->reason,
                f->page.warning_count ? f->page.warnings[0] : "");
    if (ok)
        CU_ASSERT_DOUBLE_EQUAL(threshold, c->threshold_hu ? c->threshold_hu : 130, 0.5);
    CU_ASSERT_TRUE(findings_ok(f, &err));
    findings_destroy(f);
    made_images_finish(&images);
    attrs_finish(&other);
}

static void what_slices_have_in_common_is_no_doubt(void)
{
    judge(&(struct scan){.all = true});
    judge(&(struct scan){.other = {{"SliceThickness", "3.0"}, {"KVP", "120.0"}}}); // the same
    judge(&(struct scan){.all = true, .scale = true});
}

static void thickness_of_a_part_counts(void)
{
    static const struct scan cases[] = {
        {.other = {{"SliceThickness", "6"}},
         .refused = "Slice Thickness is 3 in 6 images, 6 in 6 images"},
        {.other = {{"SliceThickness", "8"}}, .all = true, .refused = "8.00 mm thick"},
        {.other = {{"SliceThickness", "5"}},
         .warned = "differs between slices: 3 in 6 images, 5 in 6"},
        {.other = {{"SliceThickness", ""}}, .warned = "3 in 6 images, none in 6"},
        {.other = {{"SliceThickness", ""}}, .all = true, .warned = "Slice thickness not stated"},
        {.other = {{"SliceThickness", "2"}}, .warned = "Gaps between slices: 2.00 mm"},
        {.other = {{"SliceThickness", "6,5"}}, .all = true, .refused = "6.50 mm thick"},
        {.other = {{"SliceThickness", "3,0"}}, .all = true, .warned = "comma"},
        {.other = {{"SliceThickness", "thin"}}, .all = true, .warned = "not stated: it is thin"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        judge(&cases[i]);
}

static void voltages_that_differ_are_refused(void)
{
    static const struct scan cases[] = {
        {.other = {{"KVP", "100"}}, .refused = "KVP is 120 in 6 images, 100 in 6 images"},
        {.other = {{"KVP", "100"}}, .scale = true, .refused = "differs between slices"},
        {.other = {{"KVP", ""}}, .warned = "stated in 6 of 12 images only"},
        {.other = {{"KVP", ""}}, .all = true, .warned = "not stated: 120 kV assumed"},
        {.other = {{"KVP", "80"}}, .all = true, .refused = "80 kV"},
        {.other = {{"KVP", "100"}},
         .all = true,
         .scale = true,
         .warned = "147 HU",
         .threshold_hu = 147},
        {.other = {{"KVP", "120,0"}}, .all = true},
        {.other = {{"KVP", "119"}}, .all = true}, // as the generator measured
        {.other = {{"KVP", "121.6"}}, .all = true, .scale = true},
        {.other = {{"KVP", "118"}}},
        {.other = {{"KVP", "122"}}, .all = true},
        {.other = {{"KVP", "117"}}, .all = true, .refused = "117 kV"},
        {.other = {{"KVP", "123"}}, .refused = "differs between slices"},
        {.other = {{"KVP", "121"}, {"ConvolutionKernel", "Sa36f"}}, .all = true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        judge(&cases[i]);
}

// Numbers of 120 kV are not scaled a second time.
static void kernels_of_120_kv_hold_at_any_voltage(void)
{
    static const char said[] = "gives the numbers of 120 kV";
    static const struct scan cases[] = {
        {.other = {{"KVP", "100"}, {"ConvolutionKernel", "Sa36f\\3"}}, .all = true, .warned = said},
        {.other = {{"KVP", "100"}, {"ConvolutionKernel", "Sa36f\\3"}},
         .all = true,
         .scale = true,
         .warned = said},
        {.other = {{"KVP", "80"}, {"ConvolutionKernel", "Sa36f"}}, .warned = said},
        {.other = {{"KVP", ""}, {"ConvolutionKernel", "Sa36f"}}, .all = true, .warned = said},
        {.other = {{"KVP", "40"}, {"ConvolutionKernel", "Sa36f"}}, .all = true, .refused = "40 kV"},
        {.other = {{"KVP", "100"}, {"ConvolutionKernel", "Sd36f"}},
         .all = true,
         .refused = "electron density"},
        {.other = {{"ConvolutionKernel", "Sa36f"}}, .all = true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        judge(&cases[i]);
}

static void other_attributes_that_differ_are_named(void)
{
    static const struct scan cases[] = {
        {.other = {{"ConvolutionKernel", "B40f"}},
         .warned =
             "Convolution Kernel differs between slices: Qr36f in 6 images, B40f in 6 images"},
        {.other = {{"ConvolutionKernel", ""}}, .warned = "Qr36f in 6 images, none in 6"},
        {.other = {{"CardiacSynchronizationTechnique", "NONE"}},
         .warned = "ECG gating differs between slices: yes in 6 images, no in 6, not stated in 0"},
        {.other = {{"CardiacSynchronizationTechnique", ""}}, .warned = "no in 0, not stated in 6"},
        {.other = {{"CardiacSynchronizationTechnique", ""}},
         .all = true,
         .warned = "is not stated"},
        {.other = {{"CardiacSynchronizationTechnique", "NONE"}},
         .all = true,
         .warned = "not gated by"},
        {.other = {{"ContrastBolusAgent", "iodine"}}, .warned = "iodine in 6 images, none in 6"},
        {.other = {{"ManufacturerModelName", "Other"}}, .warned = "Scanner differs"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        judge(&cases[i]);
}

static void what_is_no_attenuation_as_acquired_is_refused(void)
{
    static const struct scan cases[] = {
        {.other = {{"ImageType", "DERIVED\\PRIMARY\\AXIAL\\MAT_REMOVED"}},
         .refused = "MAT_REMOVED) in 6 of 12 images"},
        {.other = {{"ImageType", "ORIGINAL\\PRIMARY\\AXIAL\\VMI"}},
         .all = true,
         .refused = "monoenergetic"},
        {.other = {{"ImageType", "DERIVED\\SECONDARY\\AXIAL\\CT_SOM7 VPCT\\MIP"}},
         .all = true,
         .refused = "MIP"},
        {.other = {{"SeriesDescription", "Iodine map"}},
         .all = true,
         .refused = "map of a material"},
        {.other = {{"VolumeBasedCalculationTechnique", "MIN_IP"}},
         .all = true,
         .refused = "MIN_IP"},
        {.other = {{"ImageType", "DERIVED\\PRIMARY\\AXIAL\\MPR"}},
         .all = true,
         .warned = "Not as acquired"},
        {.other = {{"ImageType", "DERIVED\\PRIMARY\\AXIAL"}},
         .all = true,
         .warned = "derived image"},
        {.other = {{"MultienergyCTAcquisition", "YES"}, {"KVP", ""}},
         .all = true,
         .refused = "KVP is not stated"},
        {.other = {{"MultienergyCTAcquisition", "YES"}}, .all = true, .warned = "several energies"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        judge(&cases[i]);
}

// One slice is enough.
static void kernels_that_enhance_edges_are_refused(void)
{
    static const struct scan cases[] = {
        {.other = {{"ConvolutionKernel", "B70f"}},
         .refused = "Qr36f in 6 images, B70f in 6 images"},
        {.other = {{"ConvolutionKernel", "L"}},
         .all = true,
         .refused = "Convolution Kernel is L, "},
        {.other = {{"ConvolutionKernel", "BONEPLUS"}}, .all = true, .refused = "STANDARD"},
        {.other = {{"ConvolutionKernel", "FC52"}}, .all = true, .refused = "soft kernel"},
        {.other = {{"ConvolutionKernel", "I70f\\3"}}, .all = true, .refused = "enhances edges"},
        {.other = {{"ConvolutionKernel", "STANDARD"}}, .all = true},
        {.other = {{"ConvolutionKernel", "XYZ"}}, .all = true}, // the image has to say
        {.other = {{"ConvolutionKernel", ""}}, .all = true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        judge(&cases[i]);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"what_slices_have_in_common_is_no_doubt", what_slices_have_in_common_is_no_doubt},
        {"thickness_of_a_part_counts", thickness_of_a_part_counts},
        {"voltages_that_differ_are_refused", voltages_that_differ_are_refused},
        {"kernels_of_120_kv_hold_at_any_voltage", kernels_of_120_kv_hold_at_any_voltage},
        {"other_attributes_that_differ_are_named", other_attributes_that_differ_are_named},
        {"kernels_that_enhance_edges_are_refused", kernels_that_enhance_edges_are_refused},
        {"what_is_no_attenuation_as_acquired_is_refused",
         what_is_no_attenuation_as_acquired_is_refused},
    };
    return check_main("calcium_scan", cases, sizeof cases / sizeof *cases);
}
