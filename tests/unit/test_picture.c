#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/draw/picture.h"
#include "tests/check.h"
#include "tests/images.h"

enum { COLUMNS = 40, ROWS = 20, SLICES = 3, POINTS = 4 };

// Slice k at point p is of one value: 10 k + 100 p. Pixels are twice as high as wide.
static int16_t voxels[POINTS * SLICES * ROWS * COLUMNS];

static void study_init(struct made_images *m, struct findings **f)
{
    struct err err = {0};
    for (int n = 0; n < POINTS * SLICES * ROWS * COLUMNS; n++)
        voxels[n] =
            (int16_t)(10 * (n / COLUMNS / ROWS % SLICES) + 100 * (n / COLUMNS / ROWS / SLICES));
    const struct made_grid grid = {.dim = {COLUMNS, ROWS, SLICES, POINTS},
                                   .spacing = {1, 2, 3},
                                   .to_patient = {{1, 0, 0, 0}, {0, 2, 0, 0}, {0, 0, 3, 0}},
                                   .unit = "1",
                                   .stored = voxels,
                                   .axis = IMAGE_PHASE,
                                   .step = 40};
    made_images_init(m, &grid);
    CU_ASSERT_FATAL(made_images_split(m, &err));
    *f = findings_create();
    CU_ASSERT_PTR_NOT_NULL_FATAL(*f);
}

static void study_finish(struct made_images *m, struct findings *f)
{
    findings_destroy(f);
    made_images_finish(m);
}

static const struct picture_wish wish = {.name = "cine-1",
                                         .product = "cine",
                                         .title = "Slice 2",
                                         .place = {0, 1, 0},
                                         .map = -1,
                                         .window = {200, 400}};

static const uint8_t *pixel(const struct picture *p, uint32_t frame, uint32_t x, uint32_t y)
{
    return p->rgb + 3 * (((size_t)frame * p->height + y) * p->width + x);
}

static void a_slice_moves_over_its_points(void)
{
    struct made_images m;
    struct findings *f;
    struct err err = {0};
    study_init(&m, &f);
    CU_ASSERT_FATAL(picture_cine(f, &m.set, &wish, &err));
    CU_ASSERT_EQUAL_FATAL(f->picture_count, 1);
    const struct picture *p = &f->pictures[0];
    CU_ASSERT_STRING_EQUAL(p->name, "cine-1");
    CU_ASSERT_STRING_EQUAL(p->product, "cine");
    CU_ASSERT_EQUAL(p->frames, POINTS);
    CU_ASSERT_EQUAL(p->frame_ms, 40); // the step of the phases
    CU_ASSERT_STRING_EQUAL(p->directions[0], "L");
    CU_ASSERT_STRING_EQUAL(p->directions[1], "P");
    CU_ASSERT_EQUAL(p->width, 280); // 40 x 40 mm, enlarged 7 times
    CU_ASSERT_EQUAL(p->height, 280 + 18);
    for (uint32_t n = 0; n < POINTS; n++) {
        const int grey = (int)lround((10 + 100.0 * n) / 400 * 255);
        CU_ASSERT(abs(pixel(p, n, 140, 100)[0] - grey) <= 1);
        CU_ASSERT_EQUAL(pixel(p, n, 140, 100)[0], pixel(p, n, 140, 100)[2]);
        CU_ASSERT_EQUAL(pixel(p, n, 2, p->height - 2)[0], 163); // the strip that warns
        CU_ASSERT_EQUAL(pixel(p, n, 2, p->height - 2)[1], 20);
    }
    study_finish(&m, f);
}

static void slices_follow_each_other_with_their_regions(void)
{
    struct made_images m;
    struct findings *f;
    struct err err = {0};
    study_init(&m, &f);
    struct region *region = findings_add_region(f);
    memcpy(region->rgb, (const uint8_t[]){0, 255, 0}, 3);
    struct label_map *labels = findings_add_labels(f, &m.set, 0, 0);
    for (int j = 5; j < 15; j++) {
        for (int i = 10; i < 30; i++)
            labels->labels[(1 * ROWS + j) * COLUMNS + i] = 1;
    }
    struct picture_wish w = wish;
    w.over_slices = w.regions = true;
    w.window[1] = 0; // 0 to 20 over all frames
    w.frame_ms = 250;
    CU_ASSERT_FATAL(picture_cine(f, &m.set, &w, &err));
    const struct picture *p = &f->pictures[0];
    CU_ASSERT_EQUAL(p->frames, SLICES);
    CU_ASSERT_EQUAL(p->frame_ms, 250);
    CU_ASSERT_EQUAL(pixel(p, 0, 140, 100)[0], 0);
    CU_ASSERT_EQUAL(pixel(p, 1, 140, 100)[0], 128);
    CU_ASSERT_EQUAL(pixel(p, 2, 140, 100)[0], 255);
    for (uint32_t n = 0; n < SLICES; n++) { // its left edge: column 10
        const uint8_t *at = pixel(p, n, 70, 100);
        CU_ASSERT_EQUAL(at[1] > 150 && at[0] < 90, n == 1);
    }
    study_finish(&m, f);
}

static void a_map_has_its_palette_and_bar(void)
{
    struct made_images m;
    struct findings *f;
    struct err err = {0};
    study_init(&m, &f);
    struct value_map *map = findings_add_map(f, &m.set, 0);
    map->palette = PALETTE_PERFUSION;
    map->window[0] = 50;
    map->window[1] = 100;
    map->unit = (struct code){"s", "UCUM", "s"};
    for (int n = 0; n < SLICES * ROWS * COLUMNS; n++)
        map->values[n] = n / COLUMNS / ROWS == 2 ? NAN : n / COLUMNS / ROWS ? 100 : 20;
    struct picture_wish w = wish;
    w.map = 0;
    w.window[1] = 0;
    m.set.pixels = NULL; // a map needs none
    CU_ASSERT_FATAL(picture_cine(f, &m.set, &w, &err));
    const struct picture *p = &f->pictures[0];
    CU_ASSERT_EQUAL(p->frames, SLICES);
    CU_ASSERT_EQUAL(p->frame_ms, PICTURE_FRAME_MS);
    CU_ASSERT(p->width > 280);
    CU_ASSERT(!memcmp(pixel(p, 0, 140, 100), (const uint8_t[]){0, 0, 255}, 3));
    CU_ASSERT(!memcmp(pixel(p, 1, 140, 100), (const uint8_t[]){255, 0, 0}, 3));
    CU_ASSERT(!memcmp(pixel(p, 2, 140, 100), (const uint8_t[]){0, 0, 0}, 3));
    unsigned yellow = 0;
    for (uint32_t y = 0; y < p->height; y++) {
        const uint8_t *at = pixel(p, 2, 295, y);
        yellow += at[0] > 200 && at[1] > 200 && at[2] < 60;
    }
    CU_ASSERT(yellow > 5);
    study_finish(&m, f);
}

static void a_missing_frame_is_black(void)
{
    struct made_images m;
    struct findings *f;
    struct err err = {0};
    uint32_t table[POINTS * SLICES];
    study_init(&m, &f);
    memcpy(table, m.set.images[0].frame, sizeof table);
    table[2 * SLICES + 1] = IMAGE_NO_FRAME;
    m.set.images[0].frame = table;
    CU_ASSERT_FATAL(picture_cine(f, &m.set, &wish, &err));
    const struct picture *p = &f->pictures[0];
    CU_ASSERT(pixel(p, 1, 140, 100)[0] > 0 && pixel(p, 3, 140, 100)[0] > 0);
    CU_ASSERT_EQUAL(pixel(p, 2, 140, 100)[0], 0);
    study_finish(&m, f);
}

// Frame n is shown in a window of width 100 above 100 * (n / SLICES); of odd ones nobody knows.
static bool every_voi(void *ctx, uint32_t frame, struct voi *out, struct err *err)
{
    const uint32_t point = frame / SLICES;
    (void)ctx, (void)err;
    *out = (struct voi){
        .kind = VOI_LINEAR_EXACT, .scale = 1, .centre = 100.0 * point + 50, .width = 100};
    return true;
}

static bool some_voi(void *ctx, uint32_t frame, struct voi *out, struct err *err)
{
    every_voi(ctx, frame, out, err);
    out->kind = frame % 2 ? VOI_NONE : out->kind;
    return true;
}

static void without_a_window_frames_are_shown_as_their_headers_want(void)
{
    struct made_images m;
    struct findings *f;
    struct err err = {0};
    study_init(&m, &f);
    struct picture_wish w = wish;
    w.window[1] = 0;
    m.pixels.voi = every_voi;
    CU_ASSERT_FATAL(picture_cine(f, &m.set, &w, &err));
    m.pixels.voi = some_voi; // all alike, then
    CU_ASSERT_FATAL(picture_cine(f, &m.set, &w, &err));
    for (uint32_t n = 0; n < POINTS; n++) { // 10, 110, 210, 310
        CU_ASSERT(abs(pixel(&f->pictures[0], n, 140, 100)[0] - 26) <= 1);
        CU_ASSERT(abs(pixel(&f->pictures[1], n, 140, 100)[0] - (int)(85 * n)) <= 1);
    }
    m.pixels.voi = every_voi; // a wish comes first
    CU_ASSERT_FATAL(picture_cine(f, &m.set, &wish, &err));
    CU_ASSERT(abs(pixel(&f->pictures[2], 1, 140, 100)[0] - 70) <= 1); // 110 of 0..400
    study_finish(&m, f);
}

static bool broken_read(void *ctx, const uint32_t *frames, size_t count, enum image_voxel type,
                        void *values, struct err *err)
{
    (void)ctx, (void)frames, (void)count, (void)type, (void)values;
    return err_set(err, ERR_IO, "broken");
}

static void what_cannot_be_shown_is_said_and_adds_nothing(void)
{
    struct made_images m;
    struct findings *f;
    study_init(&m, &f);
    struct picture_wish wrong[5] = {wish, wish, wish, wish, wish};
    wrong[0].place.image = 1;
    wrong[1].place.slice = SLICES;
    wrong[2].place.point = POINTS;
    wrong[2].over_slices = true;
    wrong[3].map = 0; // there is none
    for (int i = 0; i < 4; i++) {
        struct err err = {0};
        CU_ASSERT_FALSE(picture_cine(f, &m.set, &wrong[i], &err));
        CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    }
    struct err err = {0};
    const struct image_pixels broken = {.read = broken_read};
    m.set.pixels = &broken;
    CU_ASSERT_FALSE(picture_cine(f, &m.set, &wrong[4], &err));
    CU_ASSERT_EQUAL(err.code, ERR_IO);
    m.set.pixels = NULL;
    CU_ASSERT_FALSE(picture_cine(f, &m.set, &wrong[4], &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    CU_ASSERT_FALSE(picture_cine(f, NULL, &wrong[4], &err));
    CU_ASSERT_EQUAL(f->picture_count, 0);
    study_finish(&m, f);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"a_slice_moves_over_its_points", a_slice_moves_over_its_points},
        {"slices_follow_each_other_with_their_regions",
         slices_follow_each_other_with_their_regions},
        {"a_map_has_its_palette_and_bar", a_map_has_its_palette_and_bar},
        {"a_missing_frame_is_black", a_missing_frame_is_black},
        {"without_a_window_frames_are_shown_as_their_headers_want",
         without_a_window_frames_are_shown_as_their_headers_want},
        {"what_cannot_be_shown_is_said_and_adds_nothing",
         what_cannot_be_shown_is_said_and_adds_nothing},
    };
    return check_main("picture", cases, sizeof cases / sizeof *cases);
}
