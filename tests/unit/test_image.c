#include "compute/image/image.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "compute/image/reduce.h"
#include "tests/check.h"
#include "tests/images.h"

#define N 12

static struct arena *arena;
static struct image_set set;
static struct err err;

// An axial stack from z = 0 upwards, 3 mm apart, UIDs in the order of positions.
static void stack(struct image_frame *f, uint32_t count)
{
    memset(f, 0, count * sizeof *f);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(f[i].sop_instance_uid, sizeof f[i].sop_instance_uid, "1.2.%u", 100 + i);
        snprintf(f[i].frame_of_reference_uid, sizeof f[i].frame_of_reference_uid, "1.2.3");
        snprintf(f[i].unit, sizeof f[i].unit, "[hnsf'U]");
        f[i].number = 1;
        f[i].instance_number = (int32_t)i + 1;
        f[i].columns = 4;
        f[i].rows = 3;
        f[i].pixel_mm[0] = 0.25;
        f[i].pixel_mm[1] = 0.5;
        f[i].placed = true;
        f[i].position[0] = -10;
        f[i].position[1] = 20;
        f[i].position[2] = 3.0 * i;
        f[i].orientation[0] = f[i].orientation[4] = 1;
        f[i].slope = 1;
        f[i].intercept = -1024;
        f[i].bits_stored = 12;
        f[i].time_s = f[i].trigger_ms = f[i].echo_ms = f[i].b_value = NAN;
        f[i].temporal = f[i].stack = -1;
    }
}

static void split_for(const struct image_frame *f, uint32_t count, enum image_axis prefer)
{
    err = (struct err){0};
    CU_ASSERT_FATAL(image_split(f, count, &prefer, arena, &set, &err));
}

static const struct image *only(const struct image_frame *f, uint32_t count)
{
    split_for(f, count, IMAGE_NO_AXIS);
    CU_ASSERT_EQUAL_FATAL(set.image_count, 1);
    return set.images;
}

static void has(const char *text, const char *part)
{
    CU_ASSERT_PTR_NOT_NULL(strstr(text, part));
    if (!strstr(text, part))
        fprintf(stderr, "\"%s\" lacks \"%s\"\n", text, part);
}

// The split works, and the main image says why it is no regular grid.
static void defect(const struct image_frame *f, uint32_t count, const char *part)
{
    split_for(f, count, IMAGE_NO_AXIS);
    CU_ASSERT_PTR_NULL(image_main(&set, 0, &err));
    CU_ASSERT_EQUAL(err.code, ERR_GEOMETRY);
    has(err.text, part);
}

static void refused(const struct image_frame *f, uint32_t count, const char *part)
{
    err = (struct err){0};
    CU_ASSERT_FALSE(image_split(f, count, NULL, arena, &set, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    has(err.text, part);
}

static void near(double a, double b)
{
    CU_ASSERT_DOUBLE_EQUAL(a, b, 1e-9);
}

static void remarked(const char *part)
{
    char text[512];
    image_remarks(&set, &set.images[0], text, sizeof text);
    has(text, part);
}

static void describes_the_grid(void)
{
    struct image_frame f[N];
    char text[64];
    stack(f, N);
    const struct image *img = only(f, N);
    CU_ASSERT_PTR_EQUAL(image_main(&set, 0, &err), img);
    CU_ASSERT(img->dim[0] == 4 && img->dim[1] == 3 && img->dim[2] == N && img->dim[3] == 1);
    near(img->spacing[0], 0.25);
    near(img->spacing[1], 0.5);
    near(img->spacing[2], 3);
    near(img->tilt_deg, 0);
    CU_ASSERT_STRING_EQUAL(img->unit, "[hnsf'U]");
    CU_ASSERT_EQUAL(img->type, IMAGE_I16);
    CU_ASSERT_EQUAL(img->axis, IMAGE_NO_AXIS);
    CU_ASSERT(img->placed && !img->missing && !img->duplicates && !img->defect[0]);
    CU_ASSERT_EQUAL(image_voxels(img), 4 * 3 * N);
    double mm[3];
    image_to_patient(img, (const double[]){1, 2, 3}, mm);
    near(mm[0], -10 + 0.25);
    near(mm[1], 20 + 1);
    near(mm[2], 9);
    CU_ASSERT_EQUAL(image_direction(img, 0), 'L');
    CU_ASSERT_EQUAL(image_direction(img, 1), 'P');
    CU_ASSERT_EQUAL(image_direction(img, 2), 'H');
    CU_ASSERT_EQUAL(image_frame_at(img, 3, 0), 3);
    CU_ASSERT_EQUAL(image_frame_at(img, N, 0), IMAGE_NO_FRAME);
    CU_ASSERT_EQUAL(image_frame_at(img, 0, 1), IMAGE_NO_FRAME);
    CU_ASSERT_STRING_EQUAL(image_place_name(&set, 0, 4, 0, text, sizeof text), "image 5");
    f[4].instance_number = -1;
    CU_ASSERT_STRING_EQUAL(image_place_name(&set, 0, 4, 0, text, sizeof text), "slice 5");
    f[4].instance_number = 7;
    f[4].of_many = true;
    f[4].number = 3;
    CU_ASSERT_STRING_EQUAL(image_place_name(&set, 0, 4, 0, text, sizeof text), "image 7 frame 3");
    f[4].instance_number = -1;
    CU_ASSERT_STRING_EQUAL(image_place_name(&set, 0, 4, 0, text, sizeof text), "frame 3");
    f[4].tiled = true;
    CU_ASSERT_STRING_EQUAL(image_place_name(&set, 0, 4, 0, text, sizeof text), "tile 3");
    f[4].instance_number = 7;
    f[4].tiled = false;
    struct attrs first = {0}, other = {0};
    CU_ASSERT(attrs_add(&first, "SeriesInstanceUID", "1.2.1"));
    CU_ASSERT(attrs_add(&first, "SeriesNumber", "5"));
    CU_ASSERT(attrs_add(&other, "SeriesInstanceUID", "1.2.2"));
    CU_ASSERT(attrs_add(&other, "SeriesNumber", "6"));
    for (uint32_t n = 0; n < N; n++)
        f[n].attrs = &first;
    CU_ASSERT_STRING_EQUAL(image_place_name(&set, 0, 1, 0, text, sizeof text), "image 2");
    f[3].attrs = &other;
    CU_ASSERT_STRING_EQUAL(image_place_name(&set, 0, 1, 0, text, sizeof text), "series 5 image 2");
    CU_ASSERT_STRING_EQUAL(image_place_name(&set, 0, 3, 0, text, sizeof text), "series 6 image 4");
    for (uint32_t n = 0; n < N; n++)
        f[n].attrs = NULL;
    attrs_finish(&first);
    attrs_finish(&other);
}

static void sorts_by_position_not_by_uid_or_order(void)
{
    struct image_frame f[N];
    stack(f, N);
    for (uint32_t i = 0; i < N; i++) // UIDs and order both run against the positions
        f[i].position[2] = 33 - 3.0 * i;
    const struct image *img = only(f, N);
    for (uint32_t k = 0; k < N; k++)
        CU_ASSERT_EQUAL(img->frame[k], N - 1 - k);
    near(img->to_patient[2][3], 0);
    near(img->to_patient[2][2], 3);
}

static void shuffle(struct image_frame *f, uint32_t count, unsigned seed)
{
    for (uint32_t i = count - 1; i > 0; i--) {
        seed = seed * 1103515245u + 12345u;
        uint32_t j = (seed >> 16) % (i + 1);
        struct image_frame t = f[i];
        f[i] = f[j];
        f[j] = t;
    }
}

static void gives_the_same_images_in_any_order(void)
{
    struct image_frame f[N + 3];
    char uids[N][65];
    double to_patient[3][4];
    stack(f, N);
    f[N] = f[4]; // a duplicate with another UID, a localizer and a foreign slice among them
    snprintf(f[N].sop_instance_uid, sizeof f[N].sop_instance_uid, "%s", "1.2.1");
    f[N + 1] = f[0];
    f[N + 1].localizer = true;
    f[N + 2] = f[1];
    f[N + 2].columns = 8;
    for (unsigned seed = 0; seed < 20; seed++) {
        shuffle(f, N + 3, seed);
        split_for(f, N + 3, IMAGE_NO_AXIS);
        CU_ASSERT_EQUAL_FATAL(set.image_count, 2);
        const struct image *img = image_main(&set, 0, &err);
        CU_ASSERT_PTR_NOT_NULL_FATAL(img);
        CU_ASSERT_EQUAL_FATAL(img->dim[2], N);
        CU_ASSERT_EQUAL(img->duplicates, 1);
        for (uint32_t k = 0; k < N; k++) {
            if (seed == 0)
                memcpy(uids[k], f[img->frame[k]].sop_instance_uid, 65);
            CU_ASSERT_STRING_EQUAL(uids[k], f[img->frame[k]].sop_instance_uid);
        }
        if (seed == 0)
            memcpy(to_patient, img->to_patient, sizeof to_patient);
        for (int a = 0; a < 12; a++)
            CU_ASSERT_EQUAL(to_patient[a / 4][a % 4], img->to_patient[a / 4][a % 4]);
        remarked("localizer: 1");
        remarked("Set aside of another size: 1.");
    }
}

static void reports_missing_slice_and_its_place(void)
{
    struct image_frame f[N];
    stack(f, N);
    for (int i = 6; i < N; i++)
        f[i].position[2] += 6;
    defect(f, N, "2 slices missing between 15.0 and 24.0 mm");
    for (int i = 10; i < N; i++)
        f[i].position[2] += 3;
    defect(f, N, "3 missing in all, at 2 places");
    stack(f, N);
    for (int i = 1; i < N; i++)
        f[i].position[2] += 3;
    defect(f, N, "1 slice missing between 0.0 and 6.0 mm");
}

static void says_unequal_distances(void)
{
    struct image_frame f[N];
    stack(f, N);
    for (int i = 5; i < N; i++)
        f[i].position[2] += 1.2;
    defect(f, N, "4.20 mm apart between 12.0 and 16.2 mm, elsewhere 3.00 mm");
    stack(f, N);
    f[5].position[2] += 0.2; // more than 5 %
    defect(f, N, "apart between");
    stack(f, N);
    f[5].position[2] += 0.1; // what a table is off
    CU_ASSERT_STRING_EQUAL(only(f, N)->defect, "");
    remarked("0.09 mm off an even grid");
    stack(f, N);
    for (int i = 0; i < N; i++) // each a little farther than the last
        f[i].position[2] += 0.012 * i * i;
    defect(f, N, "distances change slowly");
}

static void sets_localizers_aside(void)
{
    struct image_frame f[N];
    stack(f, N);
    f[3].localizer = true;
    f[3].columns = 0; // what a localizer lacks is no error
    f[3].position[2] = NAN;
    for (int i = 4; i < N; i++)
        f[i].position[2] -= 3;
    CU_ASSERT_EQUAL(only(f, N)->dim[2], N - 1);
    CU_ASSERT_EQUAL(set.fate[3], IMAGE_LOCALIZER);
    CU_ASSERT_EQUAL(set.localizers, 1);
    for (int i = 0; i < N; i++)
        f[i].localizer = true;
    split_for(f, N, IMAGE_NO_AXIS);
    CU_ASSERT_EQUAL(set.image_count, 0);
    CU_ASSERT_PTR_NULL(image_main(&set, 0, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    has(err.text, "only localizers");
}

// Colour maps of a scanner's console: of the same grid, in a slice's place, more than slices.
static void colours_stand_aside(void)
{
    struct image_frame f[2 * N];
    stack(f, 2 * N);
    for (int i = N; i < 2 * N; i++) { // one at each slice's place
        f[i].colour = true;
        f[i].position[2] = f[i - N].position[2];
    }
    split_for(f, 2 * N, IMAGE_NO_AXIS);
    CU_ASSERT_EQUAL_FATAL(set.image_count, 2);
    CU_ASSERT_PTR_EQUAL(image_main(&set, 0, &err), &set.images[0]);
    CU_ASSERT(!set.images[0].colour && set.images[1].colour && set.images[0].dim[2] == N);
    remarked("Set aside in colour: 12");

    for (int i = 4; i < N; i++) // fewer slices than colour maps
        f[i].colour = true, f[i].position[2] += 300;
    split_for(f, 2 * N, IMAGE_NO_AXIS);
    CU_ASSERT_PTR_EQUAL(image_main(&set, 0, &err), &set.images[0]);
    CU_ASSERT_EQUAL(set.images[0].dim[2], 4);

    stack(f, N);
    f[3].colour = true; // where a slice is missing
    defect(f, N, "is in colour");

    for (int i = 0; i < N; i++)
        f[i].colour = true;
    split_for(f, N, IMAGE_NO_AXIS);
    CU_ASSERT_PTR_NULL(image_main(&set, 0, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    has(err.text, "all images are in colour");
}

static void other_grids_are_images_of_their_own(void)
{
    struct image_frame f[N];
    stack(f, N);
    f[0].rows = 5;
    f[1].orientation[4] = 0;
    f[1].orientation[5] = -1; // coronal
    f[11].pixel_mm[1] = 0.3;
    split_for(f, N, IMAGE_NO_AXIS);
    CU_ASSERT_EQUAL(set.image_count, 4);
    const struct image *img = image_main(&set, 0, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(img);
    CU_ASSERT_EQUAL(img->dim[2], N - 3);
    remarked("Set aside of another size: 1. Set aside with another pixel spacing: 1. Set aside in "
             "another orientation: 1.");
    stack(f, N);
    for (int i = 0; i < N / 2; i++)
        f[i].rows = 5;
    defect(f, N, "one is of another size");
}

static void duplicates_give_way_to_the_lowest_uid(void)
{
    struct image_frame f[N + 2];
    stack(f, N);
    f[N] = f[N + 1] = f[7];
    snprintf(f[N].sop_instance_uid, sizeof f[N].sop_instance_uid, "%s", "1.2.1");
    f[N + 1].number = 2; // same instance, later frame
    const struct image *img = only(f, N + 2);
    CU_ASSERT_EQUAL(img->dim[2], N);
    CU_ASSERT_EQUAL(img->duplicates, 2);
    CU_ASSERT_EQUAL(img->frame[7], N);
    CU_ASSERT_EQUAL(set.fate[7], IMAGE_DUPLICATE);
    CU_ASSERT_EQUAL(set.fate[N], IMAGE_USED);
    CU_ASSERT_EQUAL(set.fate[N + 1], IMAGE_DUPLICATE);
    f[N].position[0] += 40; // same height, beside: another stack
    defect(f, N + 2, "beside each other");
}

static void handles_tilt(void)
{
    struct image_frame f[N];
    double tilt = 15 * M_PI / 180, mm[3];
    stack(f, N);
    for (int i = 0; i < N; i++) { // the gantry leans over, the table moves along z
        f[i].orientation[4] = cos(tilt);
        f[i].orientation[5] = -sin(tilt);
    }
    const struct image *img = only(f, N);
    CU_ASSERT_DOUBLE_EQUAL(img->tilt_deg, 15, 1e-6);
    near(img->spacing[2], 3 * cos(tilt));
    near(img->to_patient[0][2], 0);
    near(img->to_patient[1][2], 0);
    near(img->to_patient[2][2], 3);
    remarked("Gantry tilt 15.0 degrees");
    image_to_patient(img, (const double[]){0, 0, 5}, mm);
    near(mm[2], 15);
    for (int i = 0; i < N; i++)
        f[i].position[1] += 9.0 * i;
    defect(f, N, "shifted by");
}

static void says_a_slice_beside_the_stack(void)
{
    struct image_frame f[N];
    stack(f, N);
    f[6].position[0] += 2;
    defect(f, N, "the slice at 18.0 mm lies 2.00 mm beside");
}

static void one_slice_is_an_image(void)
{
    struct image_frame f[1];
    struct attrs attrs = {0};
    stack(f, 1);
    const struct image *img = only(f, 1);
    CU_ASSERT(isnan(img->spacing[2]));
    CU_ASSERT_STRING_EQUAL(img->defect, "");
    attrs_add(&attrs, "SliceThickness", "2.5");
    f[0].attrs = &attrs;
    near(only(f, 1)->spacing[2], 2.5);
    attrs_finish(&attrs);
    split_for(f, 0, IMAGE_NO_AXIS);
    CU_ASSERT_EQUAL(set.image_count, 0);
    CU_ASSERT_PTR_NULL(image_main(&set, 0, &err));
    has(err.text, "no image");
}

static void refuses_frames_that_make_no_sense(void)
{
    struct image_frame f[N];
    stack(f, N);
    f[2].columns = 0;
    refused(f, N, "no pixels");
    stack(f, N);
    f[2].position[1] = INFINITY;
    refused(f, N, "1.2.102 frame 1: no usable geometry");
    stack(f, N);
    f[2].orientation[0] = 0;
    refused(f, N, "no usable geometry");
    stack(f, N);
    f[2].orientation[3] = 0.5; // not at right angles
    refused(f, N, "no usable geometry");
    stack(f, N);
    f[2].slope = NAN;
    refused(f, N, "no usable rescale");
    stack(f, N);
    f[2].pixel_mm[0] = 0;
    refused(f, N, "pixel spacing");
    stack(f, N);
    f[2].bits_stored = 65;
    refused(f, N, "bits");
}

static void integers_where_exact_floats_where_not(void)
{
    static const struct {
        bool is_signed, is_float;
        uint16_t bits;
        double slope, intercept;
        enum image_voxel type;
    } cases[] = {
        {false, false, 12, 1, -1024, IMAGE_I16}, {true, false, 16, 1, 0, IMAGE_I16},
        {false, false, 16, 1, -1024, IMAGE_F32}, {false, false, 16, 1, -32768, IMAGE_I16},
        {false, false, 12, 0.5, 0, IMAGE_F32},   {false, false, 12, 1, 0.5, IMAGE_F32},
        {false, false, 17, 1, 0, IMAGE_F32},     {true, true, 32, 1, 0, IMAGE_F32},
        {false, false, 12, 16, 0, IMAGE_F32},    {false, false, 12, -8, 0, IMAGE_I16},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct image_frame f[2];
        stack(f, 2);
        f[1].is_signed = cases[i].is_signed;
        f[1].is_float = cases[i].is_float;
        f[1].bits_stored = cases[i].bits;
        f[1].slope = cases[i].slope;
        f[1].intercept = cases[i].intercept;
        CU_ASSERT_EQUAL(only(f, 2)->type, cases[i].type);
    }
}

static void converts_stored_to_modality_values(void)
{
    const struct image_frame f = {.slope = 2, .intercept = -1000.5};
    const int32_t stored[4] = {0, 500, 70000, -70000};
    const float real[4] = {0.25f, NAN, 1e9f, -1e9f};
    float wide[4];
    int16_t narrow[4];
    image_convert(&f, stored, 4, IMAGE_F32, wide);
    CU_ASSERT(wide[0] == -1000.5f && wide[1] == -0.5f && wide[2] == 138999.5f);
    image_convert(&f, stored, 4, IMAGE_I16, narrow);
    CU_ASSERT(narrow[0] == -1001 && narrow[1] == -1); // halves away from zero
    CU_ASSERT(narrow[2] == 32767 && narrow[3] == -32768);
    image_convert_float(&f, real, 4, IMAGE_F32, wide);
    CU_ASSERT(wide[0] == -1000 && isnan(wide[1]));
    image_convert_float(&f, real, 4, IMAGE_I16, narrow);
    CU_ASSERT(narrow[0] == -1000 && narrow[1] == -32768 && narrow[2] == 32767);
}

// Whole numbers take a way of their own: it must give what rounding and clamping give.
static void converts_whole_numbers_alike(void)
{
    static const struct {
        uint16_t bits;
        double slope, intercept;
    } cases[] = {
        {12, 1, -1024}, {16, 1, 0},        {16, -3, 7},       {16, 16384, 0}, {16, 1, 536870912},
        {8, 16, -1024}, {16, 1, -1024.25}, {16, 0.5, -32768}, {16, 16385, 0}, {16, 2, -536870913},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct image_frame f = {
            .bits_stored = cases[c].bits, .slope = cases[c].slope, .intercept = cases[c].intercept};
        int32_t top = (1 << cases[c].bits) - 1,
                stored[7] = {0, 1, -1, top, -top, top / 2, -top / 2};
        int16_t out[7];
        image_convert(&f, stored, 7, IMAGE_I16, out);
        for (int i = 0; i < 7; i++) {
            const double value = round(f.slope * stored[i] + f.intercept);
            CU_ASSERT_EQUAL(out[i], (int16_t)fmin(fmax(value, INT16_MIN), INT16_MAX));
        }
    }
}

#define TIMES 5

// Four slices at five times; UIDs and order tell nothing.
static void series_of_times(struct image_frame *f)
{
    struct image_frame one[4];
    stack(one, 4);
    for (uint32_t t = 0; t < TIMES; t++) {
        for (uint32_t k = 0; k < 4; k++) {
            struct image_frame *to = &f[t * 4 + k];
            *to = one[k];
            snprintf(to->sop_instance_uid, sizeof to->sop_instance_uid, "1.2.%u",
                     500 - 7 * t + 20 * k);
            to->time_s = 86398 + 1.5 * t + 0.1 * k; // over midnight
            if (to->time_s >= 86400)
                to->time_s -= 86400;
        }
    }
    shuffle(f, 4 * TIMES, 3);
}

static void times_become_points_over_midnight(void)
{
    struct image_frame f[4 * TIMES];
    series_of_times(f);
    const struct image *img = only(f, 4 * TIMES);
    CU_ASSERT(img->dim[2] == 4 && img->dim[3] == TIMES);
    CU_ASSERT_EQUAL(img->axis, IMAGE_TIME);
    CU_ASSERT_EQUAL(img->missing, 0);
    for (uint32_t t = 0; t < TIMES; t++) {
        for (uint32_t k = 0; k < 4; k++) {
            CU_ASSERT_DOUBLE_EQUAL(img->at[t * 4 + k], 1.5 * t + 0.1 * k, 1e-6);
            near(f[img->frame[t * 4 + k]].position[2], 3.0 * k);
        }
    }
    remarked("");
}

static void temporal_positions_place_a_missing_frame(void)
{
    struct image_frame f[4 * TIMES];
    series_of_times(f);
    uint32_t count = 0;
    for (uint32_t i = 0; i < 4 * TIMES; i++) {
        const double time = f[i].time_s < 43200 ? f[i].time_s + 86400 : f[i].time_s;
        f[i].temporal = 10 + (int32_t)((time - 86398) / 1.5);
        if (!(f[i].temporal == 12 && f[i].position[2] == 6))
            f[count++] = f[i];
    }
    CU_ASSERT_EQUAL_FATAL(count, 4 * TIMES - 1);
    const struct image *img = only(f, count);
    CU_ASSERT(img->dim[2] == 4 && img->dim[3] == TIMES);
    CU_ASSERT_EQUAL(img->missing, 1);
    CU_ASSERT_EQUAL(image_frame_at(img, 2, 2), IMAGE_NO_FRAME);
    CU_ASSERT(isnan(img->at[2 * 4 + 2]));
    CU_ASSERT_NOT_EQUAL(image_frame_at(img, 2, 3), IMAGE_NO_FRAME);
}

static void times_that_stand_still_are_not_stated(void)
{
    struct image_frame f[4 * TIMES];
    series_of_times(f);
    for (uint32_t i = 0; i < 4 * TIMES; i++) { // all points have the time of their slice's first
        const uint32_t slice = i / TIMES;
        f[i].temporal = (int32_t)(i % TIMES);
        f[i].position[2] = 3.0 * slice;
        f[i].time_s = 36000 + slice;
    }
    const struct image *img = only(f, 4 * TIMES);
    CU_ASSERT(img->dim[2] == 4 && img->dim[3] == TIMES && img->axis == IMAGE_TIME);
    for (uint32_t i = 0; i < 4 * TIMES; i++)
        CU_ASSERT_TRUE(isnan(img->at[i]));
    f[5].time_s += 0.5; // one is stated: then all are taken as they are
    img = only(f, 4 * TIMES);
    near(img->at[0], 0);
    near(img->at[3], 3);
}

static void phases_of_a_cine_differ_in_number(void)
{
    struct image_frame f[2 * 8];
    uint32_t count = 0;
    struct image_frame one[2];
    stack(one, 2);
    for (uint32_t k = 0; k < 2; k++) {
        for (uint32_t p = 0; p < 6 + k; p++) { // the second slice has one phase more
            f[count] = one[k];
            f[count].trigger_ms = 40.0 * p + k;
            f[count].time_s = 1000 + 3 * k; // one acquisition a slice
            snprintf(f[count].sop_instance_uid, sizeof f[count].sop_instance_uid, "1.2.%u",
                     300 + count);
            count++;
        }
    }
    split_for(f, count, IMAGE_PHASE);
    CU_ASSERT_EQUAL_FATAL(set.image_count, 1);
    const struct image *img = set.images;
    CU_ASSERT_EQUAL(img->axis, IMAGE_PHASE);
    CU_ASSERT(img->dim[2] == 2 && img->dim[3] == 7);
    CU_ASSERT_EQUAL(img->missing, 1);
    CU_ASSERT_EQUAL(image_frame_at(img, 0, 6), IMAGE_NO_FRAME);
    near(img->at[3 * 2 + 1], 121);
}

static void echoes_split_a_series_in_time(void)
{
    struct image_frame f[2 * 2 * 3]; // 2 slices, 2 echoes, 3 times
    struct image_frame one[2];
    stack(one, 2);
    for (uint32_t n = 0; n < 12; n++) {
        f[n] = one[n % 2];
        const uint32_t time = n / 4, second = n / 2 % 2;
        f[n].echo_ms = second ? 30 : 10;
        f[n].time_s = 100 + 2.0 * time + 0.01 * second;
        snprintf(f[n].sop_instance_uid, sizeof f[n].sop_instance_uid, "1.2.%u", 300 + n);
    }
    split_for(f, 12, IMAGE_TIME);
    CU_ASSERT_EQUAL_FATAL(set.image_count, 2);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(set.images[i].axis, IMAGE_TIME);
        CU_ASSERT_EQUAL(set.images[i].dim[3], 3);
        for (int c = 0; c < 6; c++)
            CU_ASSERT_EQUAL(f[set.images[i].frame[c]].echo_ms, f[set.images[i].frame[0]].echo_ms);
    }
    for (uint32_t n = 0; n < 12; n++) // one time only: the echoes are the points
        f[n].time_s = 100;
    split_for(f, 4, IMAGE_NO_AXIS);
    CU_ASSERT_EQUAL_FATAL(set.image_count, 1);
    CU_ASSERT_EQUAL(set.images[0].axis, IMAGE_ECHO);
    near(set.images[0].at[2], 30);
    for (uint32_t n = 0; n < 4; n++) {
        f[n].b_value = f[n].echo_ms * 100;
        f[n].echo_ms = 70;
    }
    split_for(f, 4, IMAGE_NO_AXIS); // b values come first
    CU_ASSERT_EQUAL(set.images[0].axis, IMAGE_B);
}

static void kinds_of_image_do_not_mix(void)
{
    struct image_frame f[2 * N];
    struct attrs magnitude = {0}, phase = {0};
    attrs_add(&magnitude, "ImageType", "ORIGINAL\\PRIMARY\\M");
    attrs_add(&phase, "ImageType", "ORIGINAL\\PRIMARY\\P");
    stack(f, N);
    stack(f + N, N);
    for (uint32_t i = 0; i < 2 * N; i++) {
        f[i].attrs = i < N ? &magnitude : &phase;
        snprintf(f[i].sop_instance_uid, sizeof f[i].sop_instance_uid, "1.2.%u", 300 + i);
    }
    split_for(f, 2 * N, IMAGE_NO_AXIS);
    CU_ASSERT_EQUAL_FATAL(set.image_count, 2);
    CU_ASSERT(set.images[0].dim[2] == N && set.images[1].dim[2] == N);
    CU_ASSERT_STRING_EQUAL(image_text(&set, &set.images[0], "ImageType"), "ORIGINAL\\PRIMARY\\M");
    defect(f, 2 * N, "one is of another kind");
    attrs_finish(&magnitude);
    attrs_finish(&phase);
}

static void pools_never_share_an_image(void)
{
    struct image_frame f[2 * N];
    stack(f, N);
    stack(f + N, N);
    for (uint32_t i = N; i < 2 * N; i++) {
        f[i].pool = 1;
        f[i].position[2] += 100;
    }
    const enum image_axis prefer[2] = {IMAGE_NO_AXIS, IMAGE_TIME};
    CU_ASSERT_FATAL(image_split(f, 2 * N, prefer, arena, &set, &err));
    CU_ASSERT_EQUAL_FATAL(set.image_count, 2);
    CU_ASSERT(set.images[0].pool == 0 && set.images[1].pool == 1);
    CU_ASSERT_PTR_EQUAL(image_main(&set, 1, &err), &set.images[1]);
    CU_ASSERT_PTR_NULL(image_main(&set, 2, &err));
}

static void frames_without_a_place_are_images_of_their_own(void)
{
    struct image_frame f[7];
    stack(f, 7);
    for (uint32_t i = 0; i < 7; i++) {
        f[i].placed = false;
        f[i].pixel_mm[0] = f[i].pixel_mm[1] = i < 2 ? NAN : 0.1;
        if (i >= 2) { // a cine of five frames
            snprintf(f[i].sop_instance_uid, sizeof f[i].sop_instance_uid, "1.2.9");
            f[i].number = 7 - i;
            f[i].time_s = 0.04 * (6 - i);
        }
    }
    split_for(f, 7, IMAGE_NO_AXIS);
    CU_ASSERT_EQUAL_FATAL(set.image_count, 3);
    CU_ASSERT(set.images[0].dim[2] == 1 && set.images[0].dim[3] == 5);
    CU_ASSERT_EQUAL(set.images[0].axis, IMAGE_TIME);
    CU_ASSERT_FALSE(set.images[0].placed);
    CU_ASSERT_EQUAL(set.images[0].frame[0], 6);
    near(set.images[0].at[4], 0.16);
    CU_ASSERT_EQUAL(image_direction(&set.images[0], 0), ' ');
    CU_ASSERT_EQUAL(set.images[1].frame[0], 0);
    CU_ASSERT(isnan(set.images[1].spacing[0]));
    remarked("Set aside without a place in space too, of other instances: 2.");
    stack(f, 7);
    f[5].placed = f[6].placed = false;
    split_for(f, 7, IMAGE_NO_AXIS);
    CU_ASSERT_EQUAL_FATAL(set.image_count, 3);
    remarked("Set aside without a place in space: 2.");
    char text[512];
    image_remarks(&set, &set.images[1], text, sizeof text); // as one of the pages sees it
    CU_ASSERT_STRING_EQUAL(text, "Set aside without a place in space too, of other instances: 1. "
                                 "Set aside with a place in space: 5.");
}

static void values_are_the_same_as_numbers_or_as_texts(void)
{
    static const struct {
        const char *a, *b;
        bool same;
    } table[] = {
        {"3", "3.0", true},
        {"3", " 3.000E0 ", true},
        {"2,5", "2.5", true},
        {"40\\60", "40.0\\60", true},
        {"40\\60", "40\\80", false},
        {"40", "40\\60", false},
        {"B\\3", "B\\3.0", true},
        {"B\\3", "C\\3", false},
        {"B35f", "B35f", true},
        {"B35f", "B35", false},
        {"", "0", false},
        {"", "", true},
        {"1\\", "1", false},
        {"1e3", "1000", true},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        CU_ASSERT_EQUAL(image_same_value(table[i].a, table[i].b), table[i].same);
        CU_ASSERT_EQUAL(image_same_value(table[i].b, table[i].a), table[i].same);
    }
}

static void attributes_are_the_same_differ_or_are_absent(void)
{
    struct image_frame f[N];
    struct attrs a = {0}, b = {0};
    double number;
    attrs_add(&a, "KVP", "120");
    attrs_add(&a, "ConvolutionKernel", "B30f");
    attrs_add(&a, "HeartRate", "60");
    attrs_add(&b, "KVP", "100");
    attrs_add(&b, "ConvolutionKernel", "B30f");
    stack(f, N);
    for (int i = 0; i < N; i++)
        f[i].attrs = i < 5 ? &a : &b;
    const struct image *img = only(f, N);
    CU_ASSERT_EQUAL(image_number(&set, img, "KVP", &number), IMAGE_ATTR_DIFFERS);
    CU_ASSERT_EQUAL(number, 120);
    CU_ASSERT_STRING_EQUAL(image_text(&set, img, "KVP"), "");
    CU_ASSERT_STRING_EQUAL(image_text(&set, img, "ConvolutionKernel"), "B30f");
    CU_ASSERT_EQUAL(image_number(&set, img, "ConvolutionKernel", &number), IMAGE_ATTR_SAME);
    CU_ASSERT(isnan(number));
    CU_ASSERT_EQUAL(image_number(&set, img, "HeartRate", &number), IMAGE_ATTR_DIFFERS);
    CU_ASSERT_EQUAL(number, 60);
    CU_ASSERT_EQUAL(image_number(&set, img, "Exposure", &number), IMAGE_ATTR_ABSENT);
    CU_ASSERT(isnan(number));
    attrs_finish(&a);
    attrs_finish(&b);
}

static void what_frames_say_is_told_with_counts(void)
{
    static const struct {
        const char *first, *second; // of 5 frames, of the other 7
        enum image_attr state;
        const char *text;
        double low, high;
    } cases[] = {
        {"3", "3", IMAGE_ATTR_SAME, "3", 3, 3},
        {"3", "3.0 ", IMAGE_ATTR_SAME, "3", 3, 3},
        {"+3e0", "3", IMAGE_ATTR_SAME, "+3e0", 3, 3},
        {"3", "6", IMAGE_ATTR_DIFFERS, "3 in 5 images, 6 in 7 images", 3, 6},
        {"2,5", "2.5", IMAGE_ATTR_SAME, "2,5", 2.5, 2.5},
        {"1,000.5", "", IMAGE_ATTR_DIFFERS, "1,000.5 in 5 images, none in 7", NAN, NAN},
        {"120", "", IMAGE_ATTR_DIFFERS, "120 in 5 images, none in 7", 120, 120},
        {"", "", IMAGE_ATTR_ABSENT, "not stated", NAN, NAN},
        {"Sa36f\\3", "Br36\\3", IMAGE_ATTR_DIFFERS, "Sa36f\\3 in 5 images, Br36\\3 in 7 images",
         NAN, NAN},
        {"40\\400", "40\\400", IMAGE_ATTR_SAME, "40\\400", 40, 40},
        {"0x10", "inf", IMAGE_ATTR_DIFFERS, "0x10 in 5 images, inf in 7 images", NAN, NAN},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct image_frame f[N];
        struct attrs a = {0}, b = {0};
        struct image_said said;
        attrs_add(&a, "SliceThickness", cases[c].first);
        attrs_add(&b, "SliceThickness", cases[c].second);
        stack(f, N);
        for (int i = 0; i < N; i++)
            f[i].attrs = i < 5 ? &a : &b;
        image_said(&set, only(f, N), "SliceThickness", &said);
        CU_ASSERT_EQUAL(said.state, cases[c].state);
        CU_ASSERT_STRING_EQUAL(said.text, cases[c].text);
        CU_ASSERT(said.low == cases[c].low || (isnan(said.low) && isnan(cases[c].low)));
        CU_ASSERT(said.high == cases[c].high || (isnan(said.high) && isnan(cases[c].high)));
        CU_ASSERT_EQUAL(said.comma, strcmp(cases[c].first, "2,5") == 0);
        CU_ASSERT_EQUAL(said.frames, N);
        attrs_finish(&a);
        attrs_finish(&b);
    }
}

static void many_values_are_named_in_part(void)
{
    static const char hostile[] = "a value that is longer than what is shown \x1b of it";
    struct image_frame f[N];
    struct attrs a[N] = {0};
    struct image_said said;
    char value[16];
    stack(f, N);
    for (int i = 0; i < N; i++) {
        snprintf(value, sizeof value, "%d", i);
        attrs_add(&a[i], "Exposure", i ? value : hostile);
        f[i].attrs = &a[i];
    }
    image_said(&set, only(f, N), "Exposure", &said);
    CU_ASSERT_PTR_NOT_NULL(strstr(said.text, "3 in 1 image, other in 8"));
    CU_ASSERT_EQUAL(said.high, N - 1);
    CU_ASSERT_PTR_NULL(strchr(said.text, 0x1b));
    for (int i = 0; i < N; i++)
        attrs_finish(&a[i]);
}

static void too_many_groups_are_refused(void)
{
    static struct image_frame f[1100];
    stack(f, 1100);
    for (uint32_t i = 0; i < 1100; i++)
        f[i].columns = i + 1;
    refused(f, 1100, "more than 1024 groups");
}

static void refer(struct image_frame *f, const char *prefix, uint32_t n)
{
    snprintf(f->frame_of_reference_uid, sizeof f->frame_of_reference_uid, "%s%u", prefix, n);
}

static void one_even_grid_is_one_frame_of_reference(void)
{
    struct image_frame f[N];
    stack(f, N);
    for (uint32_t i = 0; i < N; i++)
        refer(&f[i], "1.2.3.", i);
    CU_ASSERT_EQUAL(only(f, N)->dim[2], N);
    remarked("Frame of Reference UID differs between slices of one even grid (12 values)");
    CU_ASSERT_FALSE(image_has_reference(&set, set.images));
    stack(f, N);
    for (uint32_t i = 0; i < N; i += 3) // some have none
        f[i].frame_of_reference_uid[0] = 0;
    CU_ASSERT_EQUAL(only(f, N)->dim[2], N);
    remarked("missing in 4 images");
    stack(f, N);
    refer(&f[N - 1], "1.2.9.", 1); // at the end of the stack, where no gap would tell
    CU_ASSERT_EQUAL(only(f, N)->dim[2], N);
    stack(f, N);
    for (uint32_t i = 0; i < N; i++)
        refer(&f[i], "1.2.3.", i / 2);
    CU_ASSERT_EQUAL(only(f, N)->dim[2], N);
}

static void two_stacks_of_two_frames_of_reference_stay_apart(void)
{
    struct image_frame f[N];
    stack(f, N);
    for (uint32_t i = 0; i < N; i++)
        refer(&f[i], "1.2.3.", i >= N / 2);
    defect(f, N, "one is in another frame of reference");
    for (uint32_t i = 0; i < N; i++) // one lies in the other
        refer(&f[i], "1.2.3.", i % 2);
    defect(f, N, "one is in another frame of reference");
    stack(f, N);
    f[3].position[2] += 1.5; // no even grid
    refer(&f[3], "1.2.4.", 3);
    defect(f, N, "another frame of reference");
}

static double written(double value, int decimals)
{
    char text[32];
    snprintf(text, sizeof text, "%.*f", decimals, value);
    return strtod(text, NULL);
}

static void positions_are_as_exact_as_their_decimals(void)
{
    static const struct {
        double increment;
        int decimals;
        double tilt, first;
    } cases[] = {
        {0.625, 1, 0, -71.3}, {0.625, 2, 0, 13.37}, {1.25, 1, 0, 0}, {2.3437, 1, 17, -200},
        {0.7, 1, 0, 0.05},    {5, 0, 0, 1},         {4.8, 0, 0, -9}, {0.33333, 1, 0, 3},
    };
    static struct image_frame f[60];
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const double lean = sin(cases[c].tilt * M_PI / 180);
        stack(f, 60);
        for (uint32_t i = 0; i < 60; i++) {
            f[i].position[1] = written(40 - lean * cases[c].increment * i, cases[c].decimals);
            f[i].position[2] = written(cases[c].first + cases[c].increment * i, cases[c].decimals);
            for (int a = 0; a < 3; a++)
                f[i].written_mm[a] = pow(10, -cases[c].decimals);
        }
        const struct image *img = only(f, 60);
        const bool coarse = cases[c].increment < 4 * pow(10, -cases[c].decimals);
        CU_ASSERT(coarse || !img->defect[0]);
        if (!coarse)
            CU_ASSERT_DOUBLE_EQUAL(img->to_patient[2][2], cases[c].increment,
                                   0.002 * cases[c].increment);
        memmove(&f[20], &f[21], 39 * sizeof *f); // the decimals excuse no missing slice
        defect(f, 59, coarse ? "" : "1 slice missing");
    }
}

static void directions_of_one_b_value_are_points(void)
{
    struct image_frame f[4 * 5];
    static const double directions[5][3] = {
        {NAN, NAN, NAN}, {1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {NAN, NAN, NAN}};
    struct image_frame one[4];
    stack(one, 4);
    for (uint32_t n = 0; n < 20; n++) {
        const uint32_t v = n / 4;
        f[n] = one[n % 4];
        f[n].b_value = v == 0 || v == 4 ? 0 : 1000; // two without weighting
        memcpy(f[n].gradient, directions[v], sizeof f[n].gradient);
        f[n].instance_number = (int32_t)(100 * v + 7 * (n % 4));
        snprintf(f[n].sop_instance_uid, sizeof f[n].sop_instance_uid, "1.2.%u", 700 - n);
    }
    shuffle(f, 20, 5);
    const struct image *img = only(f, 20);
    CU_ASSERT(img->dim[2] == 4 && img->dim[3] == 5);
    CU_ASSERT_EQUAL(img->axis, IMAGE_B);
    CU_ASSERT_EQUAL(img->missing, 0);
    for (uint32_t p = 0; p < 5; p++) {
        for (uint32_t k = 1; k < 4; k++)
            CU_ASSERT_EQUAL(f[img->frame[p * 4 + k]].instance_number / 100,
                            f[img->frame[p * 4]].instance_number / 100);
    }
    near(img->at[2 * 4], 1000);
    const uint32_t lost = img->frame[3 * 4 + 1]; // of one direction: its place stays empty
    f[lost] = f[19];
    img = only(f, 19);
    CU_ASSERT(img->dim[3] == 5 && img->missing == 1);
}

static void turns_of_instance_numbers_are_points(void)
{
    struct image_frame f[4 * 6];
    struct image_frame one[4];
    stack(one, 4);
    for (uint32_t n = 0; n < 24; n++) {
        f[n] = one[3 - n % 4]; // against the position
        f[n].instance_number = (int32_t)(3 * n + n / 4);
        snprintf(f[n].sop_instance_uid, sizeof f[n].sop_instance_uid, "1.2.%u", 700 - n);
    }
    shuffle(f, 24, 9);
    const struct image *img = only(f, 24);
    CU_ASSERT(img->dim[2] == 4 && img->dim[3] == 6 && img->axis == IMAGE_ORDER);
    for (uint32_t p = 0; p < 6; p++)
        CU_ASSERT_EQUAL(f[img->frame[p * 4 + 3]].instance_number, (int32_t)(13 * p));
    near(img->at[5 * 4], 5);
    for (uint32_t n = 0; n < 24; n++) // the same numbers again: copies
        f[n].instance_number = f[n].position[2] > 4 ? 2 : 1;
    img = only(f, 24);
    CU_ASSERT(img->dim[3] == 1 && img->duplicates == 20);
    for (uint32_t n = 0; n < 24; n++) {
        if (set.fate[n] == IMAGE_DUPLICATE)
            CU_ASSERT(set.fate[set.twin[n]] == IMAGE_USED &&
                      f[set.twin[n]].position[2] == f[n].position[2]);
    }
}

static void phases_of_the_heart_in_a_ct_are_images(void)
{
    struct image_frame f[2 * N];
    struct attrs systole = {0}, diastole = {0};
    attrs_add(&systole, IMAGE_CARDIAC_PERCENT, "35");
    attrs_add(&diastole, IMAGE_CARDIAC_PERCENT, "70");
    stack(f, N);
    stack(f + N, N);
    for (uint32_t i = 0; i < 2 * N; i++) {
        f[i].attrs = i < N ? &systole : &diastole;
        f[i].trigger_ms = i < N ? 300 : 700;
        snprintf(f[i].sop_instance_uid, sizeof f[i].sop_instance_uid, "1.2.%u", 300 + i);
    }
    split_for(f, 2 * N, IMAGE_NO_AXIS);
    CU_ASSERT_EQUAL(set.image_count, 2);
    split_for(f, 2 * N, IMAGE_PHASE); // unless phases are wanted
    CU_ASSERT_EQUAL(set.image_count, 1);
    CU_ASSERT_EQUAL(set.images[0].dim[3], 2);
    char text[128];
    CU_ASSERT_STRING_EQUAL(
        image_points_text(&set.images[0], text, sizeof text),
        "2 images of each place differ in nothing but their delay (ms), 300 to 700");
    for (uint32_t i = N; i < 2 * N; i++) // between the others: together they were an even stack
        f[i].position[2] += 1.5;
    split_for(f, 2 * N, IMAGE_NO_AXIS);
    CU_ASSERT_EQUAL(set.image_count, 2);
    near(set.images[0].spacing[2], 3);
    attrs_finish(&diastole);
    attrs_add(&diastole, IMAGE_CARDIAC_PERCENT, "37"); // a beat later is no other phase
    CU_ASSERT_EQUAL(only(f, 2 * N)->dim[2], 2 * N);
    attrs_finish(&systole);
    attrs_finish(&diastole);
}

static void a_slice_that_differs_is_not_missing(void)
{
    struct image_frame f[N];
    stack(f, N);
    f[4].columns = f[4].rows = 256;
    defect(f, N, "image 5 at 12.0 mm has 256 x 256 pixels, the others 4 x 3");
    stack(f, N);
    f[6].pixel_mm[0] = f[6].pixel_mm[1] = 0.7;
    defect(f, N, "image 7 at 18.0 mm has pixels of 0.7 x 0.7 mm");
    stack(f, N);
    f[2].orientation[0] = f[2].orientation[4] = cos(0.1);
    f[2].orientation[1] = sin(0.1);
    f[2].orientation[3] = -sin(0.1);
    defect(f, N, "image 3 at 6.0 mm is turned");
}

static void stacks_of_two_kernels_in_each_other_are_images(void)
{
    struct image_frame f[N];
    struct attrs soft = {0}, sharp = {0};
    attrs_add(&soft, "ConvolutionKernel", "B30f");
    attrs_add(&sharp, "ConvolutionKernel", "B70f");
    stack(f, N);
    for (uint32_t i = 0; i < N; i++)
        f[i].attrs = i % 2 ? &soft : &sharp;
    split_for(f, N, IMAGE_NO_AXIS);
    CU_ASSERT_EQUAL(set.image_count, 2);
    near(set.images[0].spacing[2], 6);
    for (uint32_t i = 0; i < N; i++) // one after the other they are one image that differs
        f[i].attrs = i < N / 2 ? &soft : &sharp;
    CU_ASSERT_EQUAL(only(f, N)->dim[2], N);
    attrs_finish(&soft);
    attrs_finish(&sharp);
}

static void trigger_times_that_run_with_the_clock_are_times(void)
{
    struct image_frame f[2 * 4];
    stack(f, 4);
    memcpy(f + 4, f, 4 * sizeof *f);
    for (uint32_t i = 0; i < 8; i++) {
        f[i].temporal = 1 + (int32_t)(i / 4);
        f[i].trigger_ms = i < 4 ? 0 : 2000;
        f[i].time_s = i < 4 ? 100 : 102;
        snprintf(f[i].sop_instance_uid, sizeof f[i].sop_instance_uid, "1.2.%u", 300 + i);
    }
    CU_ASSERT_EQUAL(only(f, 8)->axis, IMAGE_TIME);
    near(set.images[0].at[4], 2);
    for (uint32_t i = 0; i < 8; i++)
        f[i].time_s = 100; // one acquisition: delays in a beat
    CU_ASSERT_EQUAL(only(f, 8)->axis, IMAGE_PHASE);
}

// No beat of the heart lasts that long: then they are times, in place of those that stand still.
static void trigger_times_beyond_a_beat_are_times(void)
{
    struct image_frame f[3 * 4];
    stack(f, 4);
    for (uint32_t i = 0; i < 12; i++) {
        f[i] = f[i % 4];
        f[i].temporal = 1 + (int32_t)(i / 4);
        const uint32_t turn = i / 4;
        f[i].trigger_ms = 17.0 * (i % 4) + 1600.0 * turn;
        f[i].time_s = 100;
        snprintf(f[i].sop_instance_uid, sizeof f[i].sop_instance_uid, "1.2.%u", 300 + i);
    }
    const struct image *img = only(f, 12);
    CU_ASSERT_EQUAL(img->axis, IMAGE_TIME);
    CU_ASSERT_EQUAL(img->dim[3], 3);
    near(img->at[0], 0);
    near(img->at[4], 1.6);
    near(img->at[11], 3.2 + 0.051);
    f[7].trigger_ms = NAN; // one does not say it: no time is stated
    CU_ASSERT_EQUAL(only(f, 12)->axis, IMAGE_TIME);
    CU_ASSERT(isnan(set.images[0].at[4]));
    f[7].trigger_ms = 1600;
    for (uint32_t i = 0; i < 12; i++) {
        const uint32_t turn = i / 4;
        f[i].trigger_ms = 1400.0 * turn; // 2.8 s in all
    }
    CU_ASSERT_EQUAL(only(f, 12)->axis, IMAGE_PHASE);
}

// A map of the field, or a phase, beside a magnitude is an image of its own where only the vendor
// says so; of diffusion the vendor's number tells directions, which are points of one image.
static void what_vendors_say_of_values_separates_images(void)
{
    struct image_frame f[2 * 4];
    for (int way = 0; way < 4; way++) {
        stack(f, 4);
        for (uint32_t i = 0; i < 8; i++) {
            f[i] = f[i % 4];
            f[i].instance_number = (int32_t)i + 1;
            const uint32_t turn = i / 4;
            f[i].b_value = way == 3 ? 1000.0 * turn : NAN;
            snprintf(f[i].unit, sizeof f[i].unit, "1");
            snprintf(f[i].sop_instance_uid, sizeof f[i].sop_instance_uid, "1.2.%u", 300 + i);
            if (way == 1)
                snprintf(f[i].kind, sizeof f[i].kind, "%u", i / 4);
            if (way > 1)
                snprintf(f[i].variant, sizeof f[i].variant, "%u", i / 4);
        }
        split_for(f, 8, IMAGE_NO_AXIS);
        CU_ASSERT_EQUAL(set.image_count, way == 1 || way == 2 ? 2 : 1);
        CU_ASSERT_EQUAL(set.images[0].axis, way == 0   ? IMAGE_ORDER
                                            : way == 3 ? IMAGE_B
                                                       : IMAGE_NO_AXIS);
        CU_ASSERT_EQUAL(set.images[0].duplicates, 0);
    }
}

static uint32_t draw_seed;

static double draw(double low, double high)
{
    draw_seed = draw_seed * 1664525u + 1013904223u;
    return low + (high - low) * ((draw_seed >> 8) / 16777216.0);
}

// Any rotation: what a unit quaternion stands for.
static void draw_orientation(double orientation[6], double normal[3])
{
    double q[4], length = 0;
    for (int i = 0; i < 4; i++) {
        q[i] = draw(-1, 1);
        length += q[i] * q[i];
    }
    length = sqrt(fmax(length, 1e-6));
    for (int i = 0; i < 4; i++)
        q[i] /= length;
    const double w = q[0], x = q[1], y = q[2], z = q[3];
    const double rows[9] = {
        1 - 2 * (y * y + z * z), 2 * (x * y + w * z),     2 * (x * z - w * y),
        2 * (x * y - w * z),     1 - 2 * (x * x + z * z), 2 * (y * z + w * x),
        2 * (x * z + w * y),     2 * (y * z - w * x),     1 - 2 * (x * x + y * y)};
    memcpy(orientation, rows, 6 * sizeof *rows);
    memcpy(normal, rows + 6, 3 * sizeof *rows);
}

// A series of slices at times, anyhow in space and in any order: one image, each voxel in its
// place.
static void random_series(uint32_t seed)
{
    static struct image_frame f[40 * 6];
    double orientation[6], normal[3], origin[3], lean[2];
    draw_seed = seed;
    const uint32_t slices = 3 + (uint32_t)draw(0, 37), times = 1 + (uint32_t)draw(0, 5);
    const double increment = draw(0.4, 8), jitter = draw(0, 0.01) * increment;
    draw_orientation(orientation, normal);
    for (int a = 0; a < 3; a++)
        origin[a] = draw(-300, 300);
    for (int a = 0; a < 2; a++)
        lean[a] = draw(0, 1) < 0.3 ? draw(-0.3, 0.3) * increment : 0;
    for (uint32_t n = 0; n < slices * times; n++) {
        const uint32_t k = n % slices, t = n / slices;
        stack(&f[n], 1);
        memcpy(f[n].orientation, orientation, sizeof orientation);
        for (int a = 0; a < 3; a++)
            f[n].position[a] = origin[a] + k * (increment * normal[a] + lean[0] * orientation[a] +
                                                lean[1] * orientation[3 + a]);
        f[n].time_s = 1000 + 3.0 * t + 0.1 * ((k % 2) * slices + k); // even slices first
        f[n].instance_number = (int32_t)n;
        snprintf(f[n].sop_instance_uid, sizeof f[n].sop_instance_uid, "1.2.%u", 9000 - 7 * n);
    }
    for (uint32_t k = 0; k < slices; k++) { // where a slice is off, it is at all times
        const double off = draw(-jitter, jitter);
        for (uint32_t n = k; n < slices * times; n += slices) {
            for (int a = 0; a < 3; a++)
                f[n].position[a] += off * normal[a];
        }
    }
    if (slices * times > 1)
        shuffle(f, slices * times, seed);
    const struct image *img = only(f, slices * times);
    CU_ASSERT_STRING_EQUAL(img->defect, "");
    CU_ASSERT(img->dim[2] == slices && img->dim[3] == times && img->missing == 0);
    for (size_t c = 0; c < (size_t)slices * times && img->dim[2] == slices; c++) {
        const struct image_frame *frame = &f[img->frame[c]];
        const double ijk[3] = {0, 0, (double)(c % slices)};
        double mm[3];
        image_to_patient(img, ijk, mm);
        for (int a = 0; a < 3; a++)
            CU_ASSERT_DOUBLE_EQUAL(mm[a], frame->position[a], 2 * jitter + 0.011);
        if (times > 1)
            CU_ASSERT_EQUAL((frame->instance_number) / (int32_t)slices, (int32_t)(c / slices));
    }
}

static void random_series_are_put_together_right(void)
{
    const char *given = getenv("ANODE_TEST_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const uint32_t first =
        given ? (uint32_t)strtoul(given, NULL, 10) : (uint32_t)(now.tv_sec ^ now.tv_nsec);
    const unsigned before = CU_get_number_of_failures();
    for (uint32_t i = 0; i < 200; i++) {
        random_series(first + i);
        if (CU_get_number_of_failures() != before) {
            fprintf(stderr, "with ANODE_TEST_SEED=%u\n", first + i);
            return;
        }
    }
    printf("(seeds from %u) ", first);
}

static void shortest_edges_are_doubled_until_a_volume_fits(void)
{
    struct image_frame f[N];
    struct image blocks;
    uint32_t by[3];
    stack(f, N); // 4 x 3 x 12 voxels of 0.25 x 0.5 x 3 mm
    for (int i = 0; i < N; i++) {
        f[i].columns = 64;
        f[i].rows = 32;
    }
    const struct image *img = only(f, N);
    CU_ASSERT_TRUE(image_reduce_factors(img, 2ULL * 64 * 32 * N, by));
    CU_ASSERT_TRUE(by[0] == 1 && by[1] == 1 && by[2] == 1);
    CU_ASSERT_TRUE(image_reduce_factors(img, 2ULL * 64 * 32 * N - 1, by));
    CU_ASSERT_TRUE(by[0] == 2 && by[1] == 1 && by[2] == 1);
    CU_ASSERT_TRUE(image_reduce_factors(img, 32ULL * 32 * N, by)); // rows are of 32 voxels at least
    CU_ASSERT_TRUE(by[0] == 2 && by[1] == 2 && by[2] == 1);
    CU_ASSERT_FALSE(image_reduce_factors(img, 100, by));
    image_reduce(img, (const uint32_t[3]){2, 4, 5}, &blocks);
    CU_ASSERT_TRUE(blocks.dim[0] == 32 && blocks.dim[1] == 8 && blocks.dim[2] == 2);
    near(blocks.spacing[1], 2);
    near(image_unreduced(1, 4), 5.5);
    double here[3], there[3];
    image_to_patient(&blocks, (const double[3]){3, 1, 1}, here);
    image_to_patient(img, (const double[3]){6.5, 5.5, 7}, there);
    for (int i = 0; i < 3; i++)
        near(here[i], there[i]);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"image_split_describes_the_grid", describes_the_grid},
        {"image_split_sorts_by_position_not_by_uid_or_order",
         sorts_by_position_not_by_uid_or_order},
        {"image_split_gives_the_same_images_in_any_order", gives_the_same_images_in_any_order},
        {"image_split_reports_missing_slice_and_its_place", reports_missing_slice_and_its_place},
        {"image_split_says_unequal_distances", says_unequal_distances},
        {"image_split_sets_localizers_aside", sets_localizers_aside},
        {"image_colours_stand_aside", colours_stand_aside},
        {"image_split_other_grids_are_images_of_their_own", other_grids_are_images_of_their_own},
        {"image_split_duplicates_give_way_to_the_lowest_uid",
         duplicates_give_way_to_the_lowest_uid},
        {"image_split_handles_tilt", handles_tilt},
        {"image_split_says_a_slice_beside_the_stack", says_a_slice_beside_the_stack},
        {"image_split_one_slice_is_an_image", one_slice_is_an_image},
        {"image_split_refuses_frames_that_make_no_sense", refuses_frames_that_make_no_sense},
        {"image_split_integers_where_exact_floats_where_not",
         integers_where_exact_floats_where_not},
        {"image_convert_stored_to_modality_values", converts_stored_to_modality_values},
        {"image_convert_whole_numbers_alike", converts_whole_numbers_alike},
        {"image_split_times_become_points_over_midnight", times_become_points_over_midnight},
        {"image_split_temporal_positions_place_a_missing_frame",
         temporal_positions_place_a_missing_frame},
        {"image_split_times_that_stand_still_are_not_stated",
         times_that_stand_still_are_not_stated},
        {"image_split_phases_of_a_cine_differ_in_number", phases_of_a_cine_differ_in_number},
        {"image_split_echoes_split_a_series_in_time", echoes_split_a_series_in_time},
        {"image_split_kinds_of_image_do_not_mix", kinds_of_image_do_not_mix},
        {"image_split_pools_never_share_an_image", pools_never_share_an_image},
        {"image_split_frames_without_a_place_are_images_of_their_own",
         frames_without_a_place_are_images_of_their_own},
        {"image_same_value_compares_numbers_or_texts", values_are_the_same_as_numbers_or_as_texts},
        {"image_attr_same_differs_or_absent", attributes_are_the_same_differ_or_are_absent},
        {"image_said_tells_with_counts", what_frames_say_is_told_with_counts},
        {"image_said_names_a_part_of_many_values", many_values_are_named_in_part},
        {"image_split_too_many_groups_are_refused", too_many_groups_are_refused},
        {"image_split_one_even_grid_is_one_frame_of_reference",
         one_even_grid_is_one_frame_of_reference},
        {"image_split_two_stacks_of_two_frames_of_reference_stay_apart",
         two_stacks_of_two_frames_of_reference_stay_apart},
        {"image_split_positions_are_as_exact_as_their_decimals",
         positions_are_as_exact_as_their_decimals},
        {"image_split_directions_of_one_b_value_are_points", directions_of_one_b_value_are_points},
        {"image_split_turns_of_instance_numbers_are_points", turns_of_instance_numbers_are_points},
        {"image_split_phases_of_the_heart_in_a_ct_are_images",
         phases_of_the_heart_in_a_ct_are_images},
        {"image_split_a_slice_that_differs_is_not_missing", a_slice_that_differs_is_not_missing},
        {"image_split_stacks_of_two_kernels_in_each_other_are_images",
         stacks_of_two_kernels_in_each_other_are_images},
        {"image_split_trigger_times_that_run_with_the_clock_are_times",
         trigger_times_that_run_with_the_clock_are_times},
        {"image_split_makes_trigger_times_beyond_a_beat_times",
         trigger_times_beyond_a_beat_are_times},
        {"image_split_separates_what_vendors_tell_apart",
         what_vendors_say_of_values_separates_images},
        {"image_reduce_factors_doubles_the_shortest_edges",
         shortest_edges_are_doubled_until_a_volume_fits},
        {"image_split_random_series_are_put_together_right", random_series_are_put_together_right},
    };
    arena = arena_create();
    int status = check_main("image", cases, sizeof cases / sizeof *cases);
    arena_destroy(arena);
    return status;
}
