// What attributes say of the kind of an image.
#include "compute/image/kind.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "tests/check.h"
#include "tests/images.h"

enum { SLICES = 6 };

struct fact {
    const char *keyword, *value;
};

static int16_t stored[SLICES * 4];
static struct made_images images;

static void make(const struct fact *facts, size_t count)
{
    const struct made_grid grid = {.dim = {2, 2, SLICES, 1},
                                   .spacing = {1, 1, 3},
                                   .to_patient = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 3, 0}},
                                   .unit = "[hnsf'U]",
                                   .stored = stored};
    struct err err = {0};
    made_images_init(&images, &grid);
    for (size_t i = 0; i < count; i++)
        CU_ASSERT_FATAL(attrs_add(&images.attrs, facts[i].keyword, facts[i].value));
    CU_ASSERT_FATAL(made_images_split(&images, &err));
}

static void expect(enum image_kind kind, const struct fact *facts, size_t count)
{
    struct image_nature n;
    make(facts, count);
    image_nature(&images.set, images.set.images, &n);
    CU_ASSERT_EQUAL(n.kind, kind);
    if (n.kind != kind)
        fprintf(stderr, "%s %s: %s instead of %s\n", facts[0].keyword, facts[0].value,
                image_kind_name(n.kind), image_kind_name(kind));
    CU_ASSERT_EQUAL(n.frames, SLICES);
    CU_ASSERT_EQUAL(n.reason[0] == 0, kind == IMAGE_ACQUIRED);
    if (kind != IMAGE_ACQUIRED)
        CU_ASSERT_PTR_NOT_NULL(strstr(n.reason, facts[count - 1].value));
    made_images_finish(&images);
}

static void one_attribute_says_the_kind(void)
{
    static const struct {
        struct fact fact;
        enum image_kind kind;
    } cases[] = {
        {{"ImageType", "ORIGINAL\\PRIMARY\\AXIAL"}, IMAGE_ACQUIRED},
        {{"ImageType", "ORIGINAL\\PRIMARY\\AXIAL\\CT_SOM5 SPI"}, IMAGE_ACQUIRED},
        {{"ImageType", "ORIGINAL\\PRIMARY\\AXIAL\\CT_SOM7 SPI DUAL\\STD\\SNRG\\DET_AB"},
         IMAGE_ACQUIRED},
        {{"ImageType", "ORIGINAL\\PRIMARY\\AXIAL\\HELIX"}, IMAGE_ACQUIRED},
        {{"ImageType", "ORIGINAL"}, IMAGE_ACQUIRED},
        {{"ImageType", "\\\\"}, IMAGE_ACQUIRED},
        {{"ImageType", "ORIGINAL\\PRIMARY\\AXIAL\\VMI"}, IMAGE_MONO},
        {{"ImageType", "ORIGINAL\\PRIMARY\\AXIAL\\M_70KEV"}, IMAGE_MONO},
        {{"ImageType", "DERIVED\\PRIMARY\\AXIAL\\MAT_SPECIFIC"}, IMAGE_MATERIAL},
        {{"ImageType", "derived\\primary\\axial\\mat_removed "}, IMAGE_REMOVED},
        {{"ImageType", "DERIVED\\SECONDARY\\AXIAL\\VNC"}, IMAGE_REMOVED},
        {{"ImageType", "ORIGINAL\\PRIMARY\\AXIAL\\EFF_ATOMIC_NUM"}, IMAGE_ATOMIC},
        {{"ImageType", "ORIGINAL\\PRIMARY\\AXIAL\\ELECTRON_DENSITY"}, IMAGE_DENSITY},
        {{"ImageType", "DERIVED\\SECONDARY\\AXIAL\\CT_SOM7 VPCT\\MIP"}, IMAGE_PROJECTION},
        {{"ImageType", "DERIVED\\SECONDARY\\PROJECTION IMAGE"}, IMAGE_PROJECTION},
        {{"ImageType", "DERIVED\\SECONDARY\\OTHER\\CSA MPR\\CSAPARALLEL\\AXIAL"}, IMAGE_RESAMPLED},
        {{"ImageType", "DERIVED\\PRIMARY\\AXIAL\\AVERAGE"}, IMAGE_RESAMPLED},
        {{"ImageType", "DERIVED\\PRIMARY\\PERFUSION\\RCBF"}, IMAGE_COMPUTED},
        {{"ImageType", "DERIVED\\SECONDARY\\SCREEN SAVE"}, IMAGE_PICTURE},
        {{"ImageType", "DERIVED\\SECONDARY\\REF_SURVIEW"}, IMAGE_SCOUT},
        {{"ImageType", "DERIVED\\PRIMARY\\AXIAL"}, IMAGE_DERIVED},
        {{"ImageType", "ORIGINAL\\SECONDARY\\AXIAL"}, IMAGE_DERIVED},
        {{"FrameType", "DERIVED\\PRIMARY\\VOLUME\\SUBTRACTION"}, IMAGE_COMPUTED},
        {{"VolumeBasedCalculationTechnique", "MAX_IP"}, IMAGE_PROJECTION},
        {{"VolumeBasedCalculationTechnique", "NONE"}, IMAGE_ACQUIRED},
        {{"VolumetricProperties", "VOLUME"}, IMAGE_ACQUIRED},
        {{"VolumetricProperties", "SAMPLED"}, IMAGE_PROJECTION},
        {{"AcquisitionType", "CONSTANT_ANGLE"}, IMAGE_SCOUT},
        {{"AcquisitionType", "SPIRAL"}, IMAGE_ACQUIRED},
        {{"ScanOptions", "SCOUT MODE"}, IMAGE_SCOUT},
        {{"RescaleType", "HU"}, IMAGE_ACQUIRED},
        {{"RescaleType", "MGML"}, IMAGE_MATERIAL},
        {{"RescaleType", "Z_EFF"}, IMAGE_ATOMIC},
        {{"RescaleType", "EDW"}, IMAGE_DENSITY},
        {{"RescaleType", "HU_MOD"}, IMAGE_REMOVED},
        {{"DerivationCodeSequence[0].CodeValue", "113078"}, IMAGE_PROJECTION},
        {{"DerivationCodeSequence[1].CodeValue", "113097"}, IMAGE_MIXED},
        {{"DerivationCodeSequence[0].CodeValue", "113087"}, IMAGE_FILTERED},
        {{"DerivationCodeSequence[0].CodeValue", "113040"}, IMAGE_ACQUIRED}, // compressed with loss
        {{"ConvolutionKernel", "Sd36f"}, IMAGE_DENSITY},
        {{"ConvolutionKernel", "Sa36f"}, IMAGE_ACQUIRED},
        {{"ConvolutionKernel", "STANDARD"}, IMAGE_ACQUIRED},
        {{"SeriesDescription", "MonoE 70keV[HU]"}, IMAGE_MONO},
        {{"SeriesDescription", "Chest 55 keV"}, IMAGE_MONO},
        {{"SeriesDescription", "CaScore VNC 3.0"}, IMAGE_REMOVED},
        {{"SeriesDescription", "Virtual Non-Contrast"}, IMAGE_REMOVED},
        {{"SeriesDescription", "Iodine no Water[mg/ml]"}, IMAGE_MATERIAL},
        {{"SeriesDescription", "Z Effective"}, IMAGE_ATOMIC},
        {{"SeriesDescription", "thorax MIP 8 mm"}, IMAGE_PROJECTION},
        {{"SeriesDescription", "Thorax vue axiale"}, IMAGE_ACQUIRED},
        {{"SeriesDescription", "iodine contrast, monkey, kevin, miptest"}, IMAGE_ACQUIRED},
        {{"DerivationDescription", "Maximum MIP of 5 slices"}, IMAGE_PROJECTION},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(cases[i].kind, &cases[i].fact, 1);
}

static void the_farthest_of_several_says_the_kind(void)
{
    expect(IMAGE_ATOMIC,
           (struct fact[]){{"ImageType", "DERIVED\\PRIMARY\\AXIAL\\MPR"}, {"RescaleType", "Z_EFF"}},
           2);
    expect(IMAGE_REMOVED,
           (struct fact[]){{"ImageType", "ORIGINAL\\PRIMARY\\AXIAL"}, {"SeriesDescription", "VNC"}},
           2);
    // what attributes say counts before words
    expect(IMAGE_MONO,
           (struct fact[]){{"SeriesDescription", "MIP"},
                           {"ImageType", "ORIGINAL\\PRIMARY\\AXIAL\\VMI"}},
           2);
}

static void a_few_slices_make_the_image_what_they_are(void)
{
    struct image_nature n;
    struct attrs iodine = {0};
    char text[320];
    attrs_add(&iodine, "ImageType", "DERIVED\\PRIMARY\\AXIAL\\VMI");
    attrs_add(&iodine, "MultienergyCTAcquisition", "YES");
    attrs_add(&iodine, "MultienergyCTCharacteristicsSequence[0].MonoenergeticEnergyEquivalent",
              "70");
    make((struct fact[]){{"ImageType", "ORIGINAL\\PRIMARY\\AXIAL"}}, 1);
    images.frames[2].attrs = images.frames[4].attrs = &iodine;
    image_nature(&images.set, images.set.images, &n);
    CU_ASSERT_EQUAL(n.kind, IMAGE_MONO);
    CU_ASSERT_EQUAL(n.count, 2);
    CU_ASSERT_EQUAL(n.kev, 70);
    CU_ASSERT_TRUE(n.multi_energy);
    CU_ASSERT_STRING_EQUAL(image_nature_text(&n, text, sizeof text),
                           "virtual monoenergetic image of 70 keV (Image Type is "
                           "DERIVED\\PRIMARY\\AXIAL\\VMI) in 2 of 6 images");
    attrs_finish(&iodine);
    made_images_finish(&images);
}

static void kernels_give_the_numbers_of_120_kv(void)
{
    static const struct {
        const char *kernel, *maker;
        bool same;
    } cases[] = {
        {"Sa36f\\3", "SIEMENS", true},
        {"Sa36f", "", true},
        {"Sa36", "Siemens Healthineers", true},
        {"Qr36f", "SIEMENS", false},
        {"SOFT", "SIEMENS", false},
        {"Sa", "SIEMENS", false},
        {"Sa36f", "GE MEDICAL SYSTEMS", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct image_nature n;
        make((struct fact[]){{"ConvolutionKernel", cases[i].kernel},
                             {"Manufacturer", cases[i].maker}},
             2);
        image_nature(&images.set, images.set.images, &n);
        CU_ASSERT_EQUAL(n.as_120_kv, cases[i].same ? SLICES : 0);
        made_images_finish(&images);
    }
}

int main(void)
{
    static const struct check_case cases[] = {
        {"one_attribute_says_the_kind", one_attribute_says_the_kind},
        {"the_farthest_of_several_says_the_kind", the_farthest_of_several_says_the_kind},
        {"a_few_slices_make_the_image_what_they_are", a_few_slices_make_the_image_what_they_are},
        {"kernels_give_the_numbers_of_120_kv", kernels_give_the_numbers_of_120_kv},
    };
    return check_main("kind", cases, sizeof cases / sizeof *cases);
}
