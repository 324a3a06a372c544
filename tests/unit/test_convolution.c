// Names of reconstruction kernels, of all makers.
#include "compute/image/convolution.h"
#include <stdio.h>
#include <string.h>
#include "tests/check.h"

static void judge(const char *const *names, enum image_sharpness wanted)
{
    for (; *names; names++) {
        const enum image_sharpness got = image_kernel_sharpness(*names);
        CU_ASSERT_EQUAL(got, wanted);
        if (got != wanted)
            fprintf(stderr, "%s: %d instead of %d\n", *names, got, wanted);
    }
}

static void soft_ones_are_known(void)
{
    static const char *const names[] = {
        // Siemens: filtered back projection, iterative, by two letters, with a strength
        "B10s", "B20f", "B25f", "B30f", "B31f", "B35f", "B36f", "B40f", "B41s", "B43f", "I26f",
        "I30f", "I31f\\2", "I41s", "J30s", "H31s", "Br32", "Br36d\\3", "Br40d\\3", "Br44f", "Bv36d",
        "Bv40", "Bf37f", "Qr36f", "Qr36d\\3", "Qr40d\\Q3", "Sa36f", "Sa36f\\3", "Hr40f", "D30f",
        "T20f",
        // GE
        "STANDARD", "SOFT", "Standard", "STND", " STANDARD ", "soft",
        // Philips
        "A", "B", "C", "UB", "XCA", "XCB", "CB", "b",
        // Toshiba, Canon
        "FC01", "FC02", "FC03", "FC04", "FC05", "FC11", "FC12", "FC13", "FC14", "FC15", "fc12",
        // United Imaging
        "B_SOFT_B", "B_VSOFT_A", "B_SMOOTH_A", NULL};
    judge(names, IMAGE_KERNEL_SOFT);
}

static void those_that_enhance_edges_are_known(void)
{
    static const char *const names[] = {
        "B50f",   "B50s",    "B60f",     "B70f",        "B70s",      "B75f",     "B80f",
        "B90s",   "I50f",    "I70f",     "I70f\\3",     "I70f\\4",   "H60s",     "J70h",
        "Br54d",  "Br59f",   "Br64f\\3", "Br69d",       "Bl57d\\3",  "Bl64d",    "Bv59f",
        "Hr60f",  "Hr68h",   "Qr59f",    "U70u",        "Ur77u",     "S80s",     "S90s",
        "D50f",   "LUNG",    "BONE",     "BONEPLUS",    "BONE PLUS", "EDGE",     "ULTRA",
        "Lung",   "HD LUNG", "HD BONE",  "HD BONEPLUS", "D",         "E",        "L",
        "YA",     "YB",      "YC",       "YD",          "YE",        "l",        "FC30",
        "FC31",   "FC35",    "FC50",     "FC51",        "FC52",      "FC53",     "FC55",
        "FC56",   "FC80",    "FC81",     "FC86",        "B_BONE_C",  "B_LUNG_B", "B35f\\B70f",
        " B70f ", NULL};
    judge(names, IMAGE_KERNEL_EDGE);
}

static void those_between_are_known(void)
{
    static const char *const names[] = {
        "B45f", "B46f", "B47f",   "B48f",  "I46f",    "I49f",        "Br46", "Br49d\\3",
        "Bv49", "Qr48", "DETAIL", "CHEST", "HD STND", "HD STANDARD", "EC",   "XCC",
        "FC07", "FC08", "FC10",   "FC17",  "FC18",    "B_SHARP_C",   NULL};
    judge(names, IMAGE_KERNEL_SHARP);
}

static void others_are_not_guessed(void)
{
    static const char *const names[] = {"",      " ",    "3",         "1\\2", "\\",     "F20",
                                        "FC21",  "FC43", "FC60",      "Z",    "B3f",    "B350f",
                                        "BRX40", "IMR1", "SB",        "5",    "NORMAL", "FC",
                                        "FC123", "40",   "ODD\\B35f", NULL};
    CU_ASSERT_EQUAL(image_kernel_sharpness(NULL), IMAGE_KERNEL_UNKNOWN);
    judge(names, IMAGE_KERNEL_UNKNOWN);
}

// The longest name cannot be written past its room.
static void long_names_are_cut(void)
{
    char name[600];
    memset(name, 'A', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    CU_ASSERT_EQUAL(image_kernel_sharpness(name), IMAGE_KERNEL_UNKNOWN);
    memcpy(name, "LUNG", 4);
    CU_ASSERT_EQUAL(image_kernel_sharpness(name), IMAGE_KERNEL_EDGE);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"soft_ones_are_known", soft_ones_are_known},
        {"those_that_enhance_edges_are_known", those_that_enhance_edges_are_known},
        {"those_between_are_known", those_between_are_known},
        {"others_are_not_guessed", others_are_not_guessed},
        {"long_names_are_cut", long_names_are_cut},
    };
    return check_main("convolution", cases, sizeof cases / sizeof *cases);
}
