// Values whose rescale is not stated: taken where the pixels prove them, refused where they do not.
#include "compute/image/rescale.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/check.h"
#include "tests/images.h"

enum { SIZE = 32, SLICES = 7, PIXELS = SIZE * SIZE };

static struct made_images images;
static int16_t stored[SLICES * PIXELS];
static struct err err;
static char remark[256];

// Shares of a slice in percent, and the value of each.
struct mixture {
    struct {
        int percent, value;
    } part[5];
    int noise; // +-
};

static void fill_slice(int k, const struct mixture *m, int shift)
{
    uint32_t state = 5 + (uint32_t)k;
    for (int i = 0, part = 0, end = 0; i < PIXELS; i++) {
        while (i >= end && part < 5)
            end += m->part[part++].percent * PIXELS / 100;
        state = state * 1664525u + 1013904223u;
        const int noise = m->noise ? (int)((state >> 8) % (2 * (uint32_t)m->noise)) - m->noise : 0;
        stored[k * PIXELS + i] = (int16_t)(m->part[part - 1].value + noise + shift);
    }
}

static const struct mixture chest = {
    .part = {{30, -1000}, {25, -850}, {10, -90}, {30, 45}, {5, 600}}, .noise = 25};

// All slices of a mixture; the headers lack both until they are changed.
static void make(const struct mixture *m, int shift)
{
    const struct made_grid grid = {.dim = {SIZE, SIZE, SLICES, 1},
                                   .spacing = {1, 1, 3},
                                   .to_patient = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 3, 0}},
                                   .unit = "[hnsf'U]",
                                   .stored = stored};
    for (int k = 0; k < SLICES; k++)
        fill_slice(k, m, shift);
    made_images_init(&images, &grid);
    for (int k = 0; k < SLICES; k++)
        images.frames[k].no_slope = images.frames[k].no_intercept = true;
}

static bool check(void)
{
    err = (struct err){0};
    memset(remark, 'x', sizeof remark - 1);
    CU_ASSERT_FATAL(made_images_split(&images, &err));
    const bool ok =
        image_check_rescale(&images.set, images.set.images, remark, sizeof remark, &err);
    made_images_finish(&images);
    return ok;
}

static void has(const char *text, const char *part)
{
    CU_ASSERT_PTR_NOT_NULL(strstr(text, part));
    if (!strstr(text, part))
        fprintf(stderr, "\"%s\" lacks \"%s\"\n", text, part);
}

static void hounsfield_units_are_known_by_their_air(void)
{
    static const struct mixture taken[] = {
        {{{30, -1000}, {25, -850}, {10, -90}, {30, 45}, {5, 600}}, 25},    // chest
        {{{45, -1024}, {25, 35}, {15, 10}, {10, 1000}, {5, -90}}, 0},      // head, cut off
        {{{20, -2000}, {40, -1005}, {10, -100}, {25, 50}, {5, 300}}, 60},  // padding, noise
        {{{20, -3024}, {10, -1000}, {30, -100}, {38, 50}, {2, 1200}}, 10}, // abdomen
    };
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        make(&taken[i], 0);
        CU_ASSERT_TRUE(check());
        CU_ASSERT_STRING_EQUAL(remark, "RescaleSlope is missing in 7, RescaleIntercept in 7 of 7 "
                                       "images: taken as 1 and 0, as air is near -1000.");
    }
}

static void other_values_are_refused(void)
{
    static const struct {
        struct mixture m;
        int shift;
    } refused[] = {
        {{{{30, -1000}, {25, -850}, {10, -90}, {30, 45}, {5, 600}}, 25}, 1024},
        {{{{30, -1000}, {25, -850}, {10, -90}, {30, 45}, {5, 600}}, 25}, 1000},
        {{{{30, -1000}, {25, -850}, {10, -90}, {30, 45}, {5, 600}}, 25}, 8192},
        {{{{45, -2024}, {25, -850}, {5, -90}, {25, 45}}, 25}, 1024}, // padding where air would be
        {{{{100, -1000}}, 10}, 0},                                   // nothing but air
        {{{{100, 0}}, 0}, 0},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        make(&refused[i].m, refused[i].shift);
        CU_ASSERT_FALSE(check());
        CU_ASSERT_EQUAL(err.code, ERR_INPUT);
        has(err.text, "RescaleIntercept is missing in 7 of 7 images");
        has(err.text, "RescaleSlope and RescaleIntercept are needed");
    }
}

static void a_part_of_the_slices_is_looked_at_by_itself(void)
{
    make(&chest, 1024);
    for (int k = 0; k < SLICES; k++) {
        const bool lacks = k == 2 || k == 5;
        images.frames[k].no_slope = images.frames[k].no_intercept = lacks;
        images.frames[k].intercept = lacks ? 0 : -1024;
        if (lacks)
            fill_slice(k, &chest, 0);
    }
    CU_ASSERT_TRUE(check());
    has(remark, "missing in 2, RescaleIntercept in 2 of 7 images");

    make(&chest, 0);
    fill_slice(SLICES - 1, &chest, 1024); // the last of those that lack it
    CU_ASSERT_FALSE(check());
    has(err.text, "5 % are below 7");
}

static void only_what_is_missing_is_remarked(void)
{
    make(&chest, 1024);
    for (int k = 0; k < SLICES; k++) {
        images.frames[k].no_intercept = false;
        images.frames[k].intercept = -1024;
    }
    CU_ASSERT_TRUE(check());
    CU_ASSERT_STRING_EQUAL(remark, "RescaleSlope is missing in 7 of 7 images: taken as 1.");
    make(&chest, 0);
    for (int k = 0; k < SLICES; k++)
        images.frames[k].no_slope = false;
    CU_ASSERT_TRUE(check());
    has(remark, "RescaleIntercept is missing in 7 of 7 images: taken as 0, as air");
    make(&chest, 1024);
    for (int k = 0; k < SLICES; k++)
        images.frames[k].no_slope = images.frames[k].no_intercept = false;
    CU_ASSERT_TRUE(check());
    CU_ASSERT_STRING_EQUAL(remark, "");
    make(&chest, 1024); // of no CT: nothing to prove it by
    for (int k = 0; k < SLICES; k++) {
        images.frames[k].no_slope = false;
        snprintf(images.frames[k].unit, sizeof images.frames[k].unit, "1");
    }
    CU_ASSERT_TRUE(check());
    CU_ASSERT_STRING_EQUAL(remark, "RescaleIntercept is missing in 7 of 7 images: taken as 0.");
}

int main(void)
{
    static const struct check_case cases[] = {
        {"hounsfield_units_are_known_by_their_air", hounsfield_units_are_known_by_their_air},
        {"other_values_are_refused", other_values_are_refused},
        {"a_part_of_the_slices_is_looked_at_by_itself",
         a_part_of_the_slices_is_looked_at_by_itself},
        {"only_what_is_missing_is_remarked", only_what_is_missing_is_remarked},
    };
    return check_main("rescale", cases, sizeof cases / sizeof *cases);
}
