// Grey of values, computed by hand from PS3.3 C.11.2.
#include "compute/image/voi.h"
#include <math.h>
#include <string.h>
#include "tests/check.h"

static void windows_are_those_of_the_standard(void)
{
    static const struct {
        enum voi_kind kind;
        double centre, width, value, grey;
    } table[] = {
        {VOI_LINEAR, 0, 100, -51, 0},
        {VOI_LINEAR, 0, 100, -50, 0}, // note 4 of C.11.2.1.2.1: up to -50
        {VOI_LINEAR, 0, 100, -49, 1 / 99.0},
        {VOI_LINEAR, 0, 100, 0, 0.5 / 99 + 0.5},
        {VOI_LINEAR, 0, 100, 48, 98 / 99.0},
        {VOI_LINEAR, 0, 100, 49, 1}, // beyond 49, where it is reached
        {VOI_LINEAR, 0, 100, 50, 1},
        {VOI_LINEAR, 10, 1, 9, 0}, // a threshold: no division by 0
        {VOI_LINEAR, 10, 1, 9.5, 0},
        {VOI_LINEAR, 10, 1, 10, 1},
        {VOI_LINEAR, 2048, 4096, 0, 0}, // the whole of 12 bits
        {VOI_LINEAR, 2048, 4096, 4095, 1},
        {VOI_LINEAR, 2048, 4096, 1023, 1023 / 4095.0},
        {VOI_LINEAR_EXACT, 0, 100, -50, 0},
        {VOI_LINEAR_EXACT, 0, 100, -25, 0.25},
        {VOI_LINEAR_EXACT, 0, 100, 0, 0.5},
        {VOI_LINEAR_EXACT, 0, 100, 50, 1},
        {VOI_LINEAR_EXACT, 0, 100, 51, 1},
        {VOI_LINEAR_EXACT, 0.5, 0.25, 0.4375, 0.25}, // widths below 1 are good here
        {VOI_SIGMOID, 100, 40, 100, 0.5},
        {VOI_SIGMOID, 100, 40, 110, 0.73105857863000487}, // 1 / (1 + 1 / e)
        {VOI_SIGMOID, 100, 40, 90, 0.26894142136999512},
        {VOI_SIGMOID, 100, 40, 120, 0.88079707797788244}, // 1 / (1 + 1 / e^2)
        {VOI_SIGMOID, 100, 40, -1e6, 0},
        {VOI_SIGMOID, 100, 40, 1e6, 1},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const struct voi v = {
            .kind = table[i].kind, .scale = 1, .centre = table[i].centre, .width = table[i].width};
        CU_ASSERT_DOUBLE_EQUAL(voi_grey(&v, table[i].value), table[i].grey, 1e-12);
        CU_ASSERT(isnan(voi_grey(&v, NAN)));
        CU_ASSERT(voi_window_usable(v.kind, v.centre, v.width));
    }
}

static void tables_go_on_beyond_their_ends(void)
{
    uint16_t entries[] = {10, 20, 1000, 4095, 5000};
    const struct voi v = {.kind = VOI_TABLE,
                          .scale = 1,
                          .first = -2,
                          .count = sizeof entries / sizeof *entries,
                          .bits = 12,
                          .table = entries};
    static const double values[][2] = {
        {-1e9, 10 / 4095.0},    {-3, 10 / 4095.0},  {-2, 10 / 4095.0},    {-1, 20 / 4095.0},
        {-0.6, 20 / 4095.0},    {0, 1000 / 4095.0}, {0.4, 1000 / 4095.0}, {1, 1},
        {2, 1} /* too large */, {1e9, 1},           {INFINITY, 1},
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        CU_ASSERT_DOUBLE_EQUAL(voi_grey(&v, values[i][0]), values[i][1], 1e-12);
    CU_ASSERT(isnan(voi_grey(&v, NAN)));
}

static void windows_are_of_the_rescale_and_not_of_other_values(void)
{
    // stored 100: rescaled 2 * 100 - 1000 = -800; by the mapping 0.5 * 100 + 3 = 53
    const struct voi v = {
        .kind = VOI_LINEAR_EXACT, .scale = 4, .offset = -1012, .centre = -800, .width = 400};
    CU_ASSERT_DOUBLE_EQUAL(voi_grey(&v, 53), 0.5, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(voi_grey(&v, 78), 0.75, 1e-12); // stored 150, rescaled -700
    CU_ASSERT_DOUBLE_EQUAL(voi_grey(&v, 28), 0.25, 1e-12);
}

static void windows_that_make_no_sense_cannot_be_used(void)
{
    CU_ASSERT_FALSE(voi_window_usable(VOI_LINEAR, 40, 0));
    CU_ASSERT_FALSE(voi_window_usable(VOI_LINEAR, 40, 0.5));
    CU_ASSERT_FALSE(voi_window_usable(VOI_LINEAR, 40, -400));
    CU_ASSERT_FALSE(voi_window_usable(VOI_LINEAR_EXACT, 40, 0));
    CU_ASSERT_FALSE(voi_window_usable(VOI_SIGMOID, 40, -1));
    CU_ASSERT_FALSE(voi_window_usable(VOI_SIGMOID, NAN, 10));
    CU_ASSERT_FALSE(voi_window_usable(VOI_LINEAR_EXACT, 0, INFINITY));
    CU_ASSERT_TRUE(voi_window_usable(VOI_LINEAR_EXACT, 40, 0.5));
    const struct voi none = {.scale = 1};
    CU_ASSERT(isnan(voi_grey(&none, 5)));
}

static void people_are_told_which_it_is(void)
{
    char text[160];
    struct voi v = {.kind = VOI_LINEAR, .centre = 40, .width = 400.5};
    CU_ASSERT_STRING_EQUAL(voi_text(&v, text, sizeof text), "centre 40, width 400.5");
    v.kind = VOI_LINEAR_EXACT;
    CU_ASSERT_STRING_EQUAL(voi_text(&v, text, sizeof text), "centre 40, width 400.5 (exact)");
    v.kind = VOI_SIGMOID;
    CU_ASSERT_STRING_EQUAL(voi_text(&v, text, sizeof text), "centre 40, width 400.5 (sigmoid)");
    v = (struct voi){.kind = VOI_TABLE, .count = 4096, .first = -1024};
    CU_ASSERT_STRING_EQUAL(voi_text(&v, text, sizeof text), "table of 4096 entries from -1024");
    v = (struct voi){.unusable = "Window Width 0"};
    CU_ASSERT_STRING_EQUAL(voi_text(&v, text, sizeof text),
                           "from the least to the most value; Window Width 0 cannot be used");
    char small[8];
    CU_ASSERT_STRING_EQUAL(voi_text(&v, small, sizeof small), "from th");
    voi_finish(&v);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"windows_are_those_of_the_standard", windows_are_those_of_the_standard},
        {"tables_go_on_beyond_their_ends", tables_go_on_beyond_their_ends},
        {"windows_are_of_the_rescale_and_not_of_other_values",
         windows_are_of_the_rescale_and_not_of_other_values},
        {"windows_that_make_no_sense_cannot_be_used", windows_that_make_no_sense_cannot_be_used},
        {"people_are_told_which_it_is", people_are_told_which_it_is},
    };
    return check_main("voi", cases, sizeof cases / sizeof *cases);
}
