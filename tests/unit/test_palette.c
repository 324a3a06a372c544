#include <math.h>
#include <string.h>
#include "compute/draw/palette.h"
#include "tests/check.h"

static bool is(enum palette palette, double t, int r, int g, int b)
{
    uint8_t rgb[3] = {1, 2, 3};
    palette_colour(palette, t, rgb);
    return rgb[0] == r && rgb[1] == g && rgb[2] == b;
}

static void palettes_have_their_published_ends(void)
{
    CU_ASSERT(is(PALETTE_GREY, 0, 0, 0, 0) && is(PALETTE_GREY, 1, 255, 255, 255));
    CU_ASSERT(is(PALETTE_GREY, 0.5, 128, 128, 128));
    CU_ASSERT(is(PALETTE_HOT, 0.375, 255, 0, 0) && is(PALETTE_HOT, 0.75, 255, 255, 0));
    CU_ASSERT(is(PALETTE_PERFUSION, 0, 0, 0, 0) && is(PALETTE_PERFUSION, 0.2, 0, 0, 255));
    CU_ASSERT(is(PALETTE_PERFUSION, 0.75, 255, 255, 0) && is(PALETTE_PERFUSION, 1, 255, 0, 0));
    CU_ASSERT(is(PALETTE_DIFFERENCE, 0.5, 255, 255, 255));
}

static void values_outside_are_clamped_and_no_value_is_black(void)
{
    for (int palette = PALETTE_GREY; palette <= PALETTE_DIFFERENCE; palette++) {
        uint8_t low[3], high[3], rgb[3];
        palette_colour(palette, 0, low);
        palette_colour(palette, 1, high);
        palette_colour(palette, -INFINITY, rgb);
        CU_ASSERT(!memcmp(rgb, low, 3));
        palette_colour(palette, 7, rgb);
        CU_ASSERT(!memcmp(rgb, high, 3));
        CU_ASSERT(is(palette, NAN, 0, 0, 0));
    }
}

int main(void)
{
    static const struct check_case cases[] = {
        {"palettes_have_their_published_ends", palettes_have_their_published_ends},
        {"values_outside_are_clamped_and_no_value_is_black",
         values_outside_are_clamped_and_no_value_is_black},
    };
    return check_main("palette", cases, sizeof cases / sizeof *cases);
}
