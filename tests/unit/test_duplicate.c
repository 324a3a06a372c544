// Images that came twice: one where the pixels say so, refused where they do not.
#include "compute/image/duplicate.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "tests/check.h"
#include "tests/images.h"

enum { SIZE = 4, SLICES = 5, POINTS = 3, PIXELS = SIZE * SIZE };

static struct made_images images;
static int16_t stored[POINTS * SLICES * PIXELS];
static struct err err;
static char remark[256];

// Every point shows the same slices; each frame has a UID of its own and nothing else.
static void make(uint32_t slices, uint32_t points)
{
    const struct made_grid grid = {.dim = {SIZE, SIZE, slices, points},
                                   .spacing = {1, 1, 3},
                                   .to_patient = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 3, 0}},
                                   .slope = 2,
                                   .intercept = -1024,
                                   .unit = "[hnsf'U]",
                                   .stored = stored};
    for (uint32_t i = 0; i < points * slices * PIXELS; i++)
        stored[i] = (int16_t)(i % (slices * PIXELS) * 7 % 1000);
    made_images_init(&images, &grid);
    for (uint32_t f = 0; f < images.count; f++) {
        images.frames[f].time_s = images.frames[f].trigger_ms = images.frames[f].echo_ms = NAN;
        images.frames[f].temporal = -1;
        images.frames[f].instance_number = (int32_t)(f % slices) + 1;
    }
}

// The one image that is made of them.
static struct image *merged(bool one, bool expected)
{
    err = (struct err){0};
    memset(remark, 'x', sizeof remark - 1);
    CU_ASSERT_TRUE_FATAL(made_images_split(&images, &err));
    CU_ASSERT_EQUAL_FATAL(images.set.image_count, 1);
    const bool ok = image_merge_duplicates(&images.set, images.set.images, one, images.arena,
                                           remark, sizeof remark, &err);
    CU_ASSERT_EQUAL(ok, expected);
    if (ok != expected)
        fprintf(stderr, "%s\n", err.text);
    return images.set.images;
}

static void duplicate_has(const char *text, const char *part)
{
    CU_ASSERT_PTR_NOT_NULL(strstr(text, part));
    if (!strstr(text, part))
        fprintf(stderr, "\"%s\" lacks \"%s\"\n", text, part);
}

static void series_without_duplicates_is_not_decoded(void)
{
    make(SLICES, 1);
    CU_ASSERT_TRUE_FATAL(made_images_split(&images, &err));
    images.set.pixels = NULL;
    CU_ASSERT_TRUE(image_merge_duplicates(&images.set, images.set.images, true, images.arena,
                                          remark, sizeof remark, &err));
    CU_ASSERT_STRING_EQUAL(remark, "");
    made_images_finish(&images);
}

static void whole_series_twice_is_one(void)
{
    make(SLICES, 2);
    const struct image *img = merged(true, true);
    CU_ASSERT(img->dim[2] == SLICES && img->dim[3] == 1 && img->duplicates == SLICES);
    CU_ASSERT_STRING_EQUAL(img->defect, "");
    duplicate_has(remark, "(place and pixels): 5.");
    made_images_finish(&images);
}

static void single_slice_thrice_is_one(void)
{
    make(1, POINTS);
    const struct image *img = merged(true, true);
    CU_ASSERT(img->dim[2] == 1 && img->dim[3] == 1 && img->duplicates == 2);
    CU_ASSERT_STRING_EQUAL(img->defect, "");
    duplicate_has(remark, ": 2.");
    made_images_finish(&images);
}

// Written by a device that stores other numbers for the same Hounsfield units.
static void another_rescale_of_the_same_values_is_the_same(void)
{
    make(SLICES, 2);
    for (uint32_t i = SLICES * PIXELS; i < 2 * SLICES * PIXELS; i++)
        stored[i] = (int16_t)(2 * stored[i] - 1024);
    for (uint32_t f = SLICES; f < 2 * SLICES; f++) {
        images.frames[f].slope = 1;
        images.frames[f].intercept = 0;
        images.frames[f].is_signed = true;
    }
    merged(true, true);
    duplicate_has(remark, ": 5.");
    made_images_finish(&images);
}

static void one_pixel_that_differs_is_refused(void)
{
    make(SLICES, 2);
    stored[(SLICES + 2) * PIXELS + 7]++;
    merged(true, false);
    CU_ASSERT_EQUAL(err.code, ERR_GEOMETRY);
    duplicate_has(err.text, "1 image lies where another lies and shows something else");
    duplicate_has(err.text, "(0.0, 0.0, 6.0) mm: ");
    duplicate_has(err.text, images.frames[2].sop_instance_uid);
    duplicate_has(err.text, images.frames[SLICES + 2].sop_instance_uid);
    made_images_finish(&images);
    make(SLICES, POINTS);
    stored[(SLICES + 2) * PIXELS + 7]++;
    stored[(2 * SLICES + 4) * PIXELS] = -5;
    merged(false, false);
    duplicate_has(err.text, "2 images lie where another lies");
    made_images_finish(&images);
}

// Stored again later, or numbered on: nothing was measured twice.
static void points_that_show_the_same_are_one(void)
{
    for (int way = 0; way < 3; way++) {
        make(SLICES, 2);
        for (uint32_t f = 0; f < images.count; f++) {
            if (way == 0)
                images.frames[f].instance_number = (int32_t)f + 1;
            else if (way == 1)
                images.frames[f].time_s = f < SLICES ? 1000 : 2000;
        }
        if (way == 2) { // a single slice, later
            images.count = SLICES + 1;
            for (uint32_t f = 0; f < images.count; f++)
                images.frames[f].time_s = 1000 + f;
        }
        const struct image *img = merged(true, true);
        CU_ASSERT(img->dim[2] == SLICES && img->dim[3] == 1 && img->axis == IMAGE_NO_AXIS);
        CU_ASSERT_EQUAL(img->duplicates, way == 2 ? 1 : SLICES);
        CU_ASSERT(img->missing == 0 && !img->at);
        for (uint32_t k = 0; k < SLICES; k++)
            CU_ASSERT_EQUAL(images.set.frames[image_frame_at(img, k, 0)].position[2], 3 * k);
        duplicate_has(remark, way == 2 ? ": 1." : ": 5.");
        made_images_finish(&images);
    }
}

static void points_that_differ_stay_points(void)
{
    for (int wanted = 0; wanted < 2; wanted++) {
        make(SLICES, 2);
        for (uint32_t f = 0; f < images.count; f++)
            images.frames[f].time_s = f < SLICES ? 1000 : 2000;
        stored[2 * SLICES * PIXELS - 1] += wanted; // of one pixel, or the axis is asked for
        const struct image *img = merged(wanted, true);
        CU_ASSERT(img->dim[3] == 2 && img->axis == IMAGE_TIME && img->duplicates == 0);
        CU_ASSERT_STRING_EQUAL(remark, "");
        made_images_finish(&images);
    }
}

// The same slices under two Acquisition Numbers; the second shows something else from slice `other`
// on, and reaches as many slices as it has.
static void acquisitions_become_one_where_all_pixels_are_the_same(void)
{
    static const struct {
        uint32_t slices, other;
        bool one;
    } table[] = {{SLICES, SLICES, true}, {2, SLICES, true}, {SLICES, 4, false}, {1, 0, false}};
    struct attrs first = {0}, second = {0};
    attrs_add(&first, "AcquisitionNumber", "1");
    attrs_add(&second, "AcquisitionNumber", "2");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        make(SLICES, 2);
        for (uint32_t f = 0; f < images.count; f++) {
            images.frames[f].attrs = f < SLICES ? &first : &second;
            images.frames[f].instance_number = 1; // no order tells them apart
        }
        for (uint32_t f = SLICES + table[i].other; f < 2 * SLICES; f++)
            stored[f * PIXELS]++;
        images.count = SLICES + table[i].slices;
        CU_ASSERT_TRUE_FATAL(made_images_split(&images, &err));
        CU_ASSERT_EQUAL(images.set.image_count, 2);
        CU_ASSERT_TRUE(
            image_is_other_acquisition(&images.set, &images.set.images[0], &images.set.images[1]));
        CU_ASSERT_TRUE(image_merge_acquisitions(&images.set, &err));
        const struct image *img = images.set.images;
        CU_ASSERT_EQUAL(images.set.image_count, table[i].one ? 1 : 2);
        CU_ASSERT(img->dim[2] == SLICES && img->dim[3] == 1);
        CU_ASSERT_EQUAL(img->duplicates, table[i].one ? table[i].slices : 0);
        for (uint32_t k = 0; table[i].one && k < table[i].slices; k++) {
            CU_ASSERT_EQUAL(images.set.fate[SLICES + k], IMAGE_DUPLICATE);
            CU_ASSERT_EQUAL(images.set.twin[SLICES + k], k);
        }
        made_images_finish(&images);
    }
    attrs_finish(&first);
    attrs_finish(&second);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"image_merge_duplicates_decodes_nothing_without_any",
         series_without_duplicates_is_not_decoded},
        {"image_merge_duplicates_makes_one_of_a_series_that_came_twice", whole_series_twice_is_one},
        {"image_merge_duplicates_makes_one_of_a_slice_that_came_thrice",
         single_slice_thrice_is_one},
        {"image_merge_duplicates_compares_modality_values",
         another_rescale_of_the_same_values_is_the_same},
        {"image_merge_duplicates_refuses_one_pixel_that_differs",
         one_pixel_that_differs_is_refused},
        {"image_merge_duplicates_makes_one_of_points_that_show_the_same",
         points_that_show_the_same_are_one},
        {"image_merge_acquisitions_makes_one_where_all_pixels_are_the_same",
         acquisitions_become_one_where_all_pixels_are_the_same},
        {"image_merge_duplicates_leaves_points_that_differ", points_that_differ_stay_points},
    };
    return check_main("duplicate", cases, sizeof cases / sizeof *cases);
}
