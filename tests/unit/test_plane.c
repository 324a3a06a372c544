#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compute/draw/plane.h"
#include "tests/check.h"
#include "tests/images.h"

enum { COLUMNS = 6, ROWS = 5, SLICES = 4, POINTS = 2 };

// Voxel (i, j, k) at point p is i + 10 j + 100 k + 1000 p.
static int16_t voxels[POINTS * SLICES * ROWS * COLUMNS];

static void study_init(struct made_images *m, const double to_patient[3][4])
{
    struct err err = {0};
    for (int n = 0; n < POINTS * SLICES * ROWS * COLUMNS; n++)
        voxels[n] =
            (int16_t)(n % COLUMNS + 10 * (n / COLUMNS % ROWS) +
                      100 * (n / COLUMNS / ROWS % SLICES) + 1000 * (n / COLUMNS / ROWS / SLICES));
    struct made_grid grid = {.dim = {COLUMNS, ROWS, SLICES, POINTS},
                             .spacing = {1, 2, 3},
                             .unit = "1",
                             .stored = voxels,
                             .axis = IMAGE_PHASE,
                             .step = 40};
    memcpy(grid.to_patient, to_patient, sizeof grid.to_patient);
    made_images_init(m, &grid);
    CU_ASSERT_FATAL(made_images_split(m, &err));
}

static const double axial[3][4] = {{1, 0, 0, 0}, {0, 2, 0, 0}, {0, 0, 3, 0}};

static void a_slice_has_its_pixels_place_and_regions(void)
{
    struct made_images m;
    struct plane p;
    struct err err = {0};
    struct findings *f = findings_create();
    study_init(&m, axial);
    const struct place place = {0, 2, 1};
    CU_ASSERT_FATAL(plane_read_slice(&p, &m.set, f, &place, true, &err));
    CU_ASSERT(p.columns == COLUMNS && p.rows == ROWS && p.scaled);
    CU_ASSERT(p.mm[0] == 1 && p.mm[1] == 2 && p.right == 'L' && p.down == 'P');
    CU_ASSERT_EQUAL(p.values[3 * COLUMNS + 4], 1234);
    CU_ASSERT_PTR_NULL(p.labels);
    CU_ASSERT(p.has_place && p.place.slice == 2 && p.place.point == 1);
    plane_finish(&p);
    struct label_map *labels = findings_add_labels(f, &m.set, 0, 1);
    labels->labels[(2 * ROWS + 3) * COLUMNS + 4] = 7;
    CU_ASSERT_FATAL(plane_read_slice(&p, &m.set, f, &place, true, &err));
    CU_ASSERT_FATAL(p.labels != NULL);
    CU_ASSERT(p.labels[3 * COLUMNS + 4] == 7 && p.labels[0] == 0);
    plane_finish(&p);
    CU_ASSERT_FATAL(plane_read_slice(&p, &m.set, f, &place, false, &err));
    CU_ASSERT_PTR_NULL(p.labels);
    plane_finish(&p);
    findings_destroy(f);
    made_images_finish(&m);
}

static void a_map_has_its_values(void)
{
    struct made_images m;
    struct plane p;
    struct err err = {0};
    struct findings *f = findings_create();
    study_init(&m, axial);
    struct value_map *map = findings_add_map(f, &m.set, 0);
    map->values[(1 * ROWS + 2) * COLUMNS + 3] = 42;
    m.set.pixels = NULL; // a map needs none
    const struct place place = {0, 1, 0};
    CU_ASSERT_FATAL(plane_read_map(&p, &m.set, f, 0, &place, true, &err));
    CU_ASSERT_EQUAL(p.values[2 * COLUMNS + 3], 42);
    CU_ASSERT(isnan(p.values[0]));
    plane_finish(&p);
    CU_ASSERT_FALSE(plane_read_map(&p, &m.set, f, 1, &place, true, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    CU_ASSERT_FALSE(plane_read_map(&p, &m.set, f, -1, &place, true, &err));
    const struct place beyond = {0, SLICES, 0};
    CU_ASSERT_FALSE(plane_read_map(&p, &m.set, f, 0, &beyond, true, &err));
    findings_destroy(f);
    made_images_finish(&m);
}

static void what_is_not_there_is_an_input_error(void)
{
    static const struct place places[] = {{1, 0, 0}, {0, SLICES, 0}, {0, 0, POINTS}};
    struct made_images m;
    struct plane p;
    struct findings *f = findings_create();
    study_init(&m, axial);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct err err = {0};
        CU_ASSERT_FALSE(plane_read_slice(&p, &m.set, f, &places[i], true, &err));
        CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    }
    struct err err = {0};
    m.set.pixels = NULL;
    CU_ASSERT_FALSE(plane_read_slice(&p, &m.set, f, &(struct place){0}, true, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    findings_destroy(f);
    made_images_finish(&m);
}

// ---- sections ----

static const struct page_section coronal = {.axis = 1, .index = 3, .point = 1},
                                 sagittal = {.axis = 0, .index = 4, .point = 1};

static void sections_stand_with_the_head_up(void)
{
    struct made_images m;
    struct plane p[2];
    struct err err = {0};
    struct findings *f = findings_create();
    study_init(&m, axial);
    const struct page_section both[2] = {coronal, sagittal};
    CU_ASSERT_FATAL(plane_read_sections(p, &m.set, f, both, 2, &err));
    CU_ASSERT(p[0].columns == COLUMNS && p[0].rows == SLICES && p[0].scaled);
    CU_ASSERT(p[0].mm[0] == 1 && p[0].mm[1] == 3 && p[0].right == 'L' && p[0].down == 'F');
    CU_ASSERT_EQUAL(p[0].values[0], 1330);                          // slice 3 above
    CU_ASSERT_EQUAL(p[0].values[(SLICES - 1) * COLUMNS + 5], 1035); // slice 0 below
    CU_ASSERT(p[1].columns == ROWS && p[1].mm[0] == 2 && p[1].right == 'P' && p[1].down == 'F');
    CU_ASSERT_EQUAL(p[1].values[0], 1304);
    CU_ASSERT_EQUAL(p[1].values[(SLICES - 1) * ROWS + 2], 1024);
    CU_ASSERT_FALSE(p[0].has_place);
    plane_finish(&p[0]);
    plane_finish(&p[1]);
    made_images_finish(&m);
    // slices from the head down are not turned over
    static const double downward[3][4] = {{1, 0, 0, 0}, {0, -2, 0, 0}, {0, 0, -3, 0}};
    study_init(&m, downward);
    CU_ASSERT_FATAL(plane_read_sections(p, &m.set, f, &coronal, 1, &err));
    CU_ASSERT_EQUAL(p[0].down, 'F');
    CU_ASSERT_EQUAL(p[0].values[0], 1030);
    plane_finish(&p[0]);
    findings_destroy(f);
    made_images_finish(&m);
}

static void a_tilted_stack_is_set_straight(void)
{
    static const double tilted[3][4] = {{1, 0, 0, 0}, {0, 2, 1, 0}, {0, 0, 3, 0}};
    struct made_images m;
    struct plane p;
    struct err err = {0};
    struct findings *f = findings_create();
    study_init(&m, tilted); // from slice to slice half a row to the back
    CU_ASSERT_FATAL(plane_read_sections(&p, &m.set, f, &sagittal, 1, &err));
    // slice 3 lies 0.75 rows behind the middle: column 1 shows row 0.25
    CU_ASSERT_DOUBLE_EQUAL(p.values[1], 1304 + 2.5, 1e-3);
    CU_ASSERT(isnan(p.values[0]));
    // slice 0 lies 0.75 rows before it: column 0 shows row 0.75
    CU_ASSERT_DOUBLE_EQUAL(p.values[(SLICES - 1) * ROWS], 1004 + 7.5, 1e-3);
    CU_ASSERT(isnan(p.values[(SLICES - 1) * ROWS + ROWS - 1]));
    plane_finish(&p);
    CU_ASSERT_FATAL(plane_read_sections(&p, &m.set, f, &coronal, 1, &err)); // not tilted that way
    CU_ASSERT_EQUAL(p.values[2], 1332);
    plane_finish(&p);
    findings_destroy(f);
    made_images_finish(&m);
}

static void sections_show_regions_and_gaps(void)
{
    struct made_images m;
    struct plane p;
    struct err err = {0};
    uint32_t table[POINTS * SLICES];
    struct findings *f = findings_create();
    study_init(&m, axial);
    memcpy(table, m.set.images[0].frame, sizeof table);
    table[1 * SLICES + 2] = IMAGE_NO_FRAME;
    m.set.images[0].frame = table;
    struct label_map *labels = findings_add_labels(f, &m.set, 0, 1);
    labels->labels[(3 * ROWS + 3) * COLUMNS + 5] = 2;
    struct page_section section = coronal;
    section.regions = true;
    CU_ASSERT_FATAL(plane_read_sections(&p, &m.set, f, &section, 1, &err));
    CU_ASSERT_FATAL(p.labels != NULL);
    CU_ASSERT(p.labels[5] == 2 && p.labels[4] == 0);
    CU_ASSERT(isnan(p.values[1 * COLUMNS])); // slice 2
    CU_ASSERT_EQUAL(p.values[2 * COLUMNS], 1130);
    plane_finish(&p);
    findings_destroy(f);
    made_images_finish(&m);
}

struct counted {
    const struct image_pixels *inner;
    unsigned reads, fails_at; // fails_at 0: never
    enum err_code code;
};

static bool counted_read(void *ctx, const uint32_t *frames, size_t count, enum image_voxel type,
                         void *values, struct err *err)
{
    struct counted *c = ctx;
    c->reads += (unsigned)count;
    if (c->reads == c->fails_at)
        return err_set(err, c->code, "broken");
    return c->inner->read(c->inner->ctx, frames, count, type, values, err);
}

static void slices_are_decoded_once_for_all_sections(void)
{
    struct made_images m;
    struct plane p[4];
    struct err err = {0};
    struct findings *f = findings_create();
    study_init(&m, axial);
    struct counted counted = {.inner = m.set.pixels};
    const struct image_pixels pixels = {.ctx = &counted, .read = counted_read};
    m.set.pixels = &pixels;
    const struct page_section sections[4] = {
        coronal, {.image = 3}, sagittal, {.axis = 1, .index = ROWS, .point = 1}};
    CU_ASSERT_FATAL(plane_read_sections(p, &m.set, f, sections, 4, &err));
    CU_ASSERT_EQUAL(counted.reads, SLICES);
    CU_ASSERT(p[0].values && p[2].values);
    CU_ASSERT(!p[1].values && !p[3].values); // there is no such image, no such row
    for (int i = 0; i < 4; i++)
        plane_finish(&p[i]);
    counted = (struct counted){.inner = counted.inner, .fails_at = 3, .code = ERR_IO};
    CU_ASSERT_FALSE(plane_read_sections(p, &m.set, f, sections, 4, &err));
    CU_ASSERT_EQUAL(err.code, ERR_IO);
    for (int i = 0; i < 4; i++)
        CU_ASSERT_PTR_NULL(p[i].values);
    findings_destroy(f);
    made_images_finish(&m);
}

static bool shown_voi(void *ctx, uint32_t frame, struct voi *out, struct err *err)
{
    (void)ctx, (void)err;
    *out = (struct voi){.kind = VOI_LINEAR, .scale = 1, .centre = frame, .width = 10};
    return true;
}

static bool broken_voi(void *ctx, uint32_t frame, struct voi *out, struct err *err)
{
    (void)ctx, (void)frame, (void)out;
    return err_set(err, ERR_IO, "broken");
}

static void a_slice_says_how_it_is_shown(void)
{
    struct made_images m;
    struct plane p[2];
    struct err err = {0};
    struct findings *f = findings_create();
    const struct place place = {0, 2, 1};
    study_init(&m, axial);
    CU_ASSERT_FATAL(plane_read_slice(p, &m.set, f, &place, false, &err));
    CU_ASSERT_EQUAL(p[0].voi.kind, VOI_NONE);
    plane_finish(&p[0]);
    m.pixels.voi = shown_voi;
    CU_ASSERT_FATAL(plane_read_slice(p, &m.set, f, &place, false, &err));
    CU_ASSERT(p[0].voi.kind == VOI_LINEAR && p[0].voi.centre == SLICES + 2);
    plane_finish(&p[0]);
    const struct page_section sections[2] = {coronal, sagittal};
    CU_ASSERT_FATAL(plane_read_sections(p, &m.set, f, sections, 2, &err)); // as the middle slice
    for (int i = 0; i < 2; i++) {
        const uint32_t middle = sections[i].point * SLICES + SLICES / 2;
        CU_ASSERT(p[i].voi.kind == VOI_LINEAR && p[i].voi.centre == middle);
        plane_finish(&p[i]);
    }
    m.pixels.voi = broken_voi;
    CU_ASSERT_FALSE(plane_read_slice(p, &m.set, f, &place, false, &err));
    CU_ASSERT_EQUAL(err.code, ERR_IO);
    CU_ASSERT_FALSE(plane_read_sections(p, &m.set, f, sections, 2, &err));
    findings_destroy(f);
    made_images_finish(&m);
}

static void projections_have_the_directions_of_their_header(void)
{
    static const struct {
        const char *orientation, *animal;
        bool placed;
        char right, down;
    } table[] = {
        {"P\\F", NULL, false, 'P', 'F'},        {"A\\FL", "BIPED", false, 'A', 'F'},
        {"L\\F", NULL, true, 'L', 'P'},         {"R\\D", NULL, false, ' ', ' '},
        {"LE\\V", NULL, false, ' ', ' '},       {"L\\", NULL, false, ' ', ' '},
        {"\\F", NULL, false, ' ', ' '},         {"P", NULL, false, ' ', ' '},
        {"L\\R", "QUADRUPED", false, ' ', ' '},
    };
    for (size_t n = 0; n < sizeof table / sizeof *table; n++) {
        struct made_images m;
        struct plane p;
        struct err err = {0};
        const struct place place = {0};
        const struct made_grid grid = {.dim = {COLUMNS, ROWS, 1, 1},
                                       .spacing = {1, 2, 3},
                                       .to_patient = {{1, 0, 0, 0}, {0, 2, 0, 0}, {0, 0, 3, 0}},
                                       .unit = "1",
                                       .stored = voxels,
                                       .unplaced = !table[n].placed};
        made_images_init(&m, &grid);
        CU_ASSERT(attrs_add(&m.attrs, "PatientOrientation", table[n].orientation));
        CU_ASSERT(!table[n].animal ||
                  attrs_add(&m.attrs, "AnatomicalOrientationType", table[n].animal));
        CU_ASSERT_FATAL(made_images_split(&m, &err));
        CU_ASSERT_FATAL(plane_read_slice(&p, &m.set, NULL, &place, false, &err));
        CU_ASSERT(p.right == table[n].right && p.down == table[n].down);
        plane_finish(&p);
        made_images_finish(&m);
    }
}

static void padding_is_no_part_of_a_picture(void)
{
    static const struct {
        double slope, intercept;
        const char *unit;
    } table[] = {{1, 0, "1"},
                 {-2, 7, "1"},
                 {0.1, -0.3, "1"},
                 {1, -2000, "[hnsf'U]"},
                 {0.5, -1500, "[hnsf'U]"}};
    for (size_t n = 0; n < sizeof table / sizeof *table; n++) {
        struct made_images m;
        struct plane p;
        struct err err = {0};
        struct findings *f = findings_create();
        const struct place place = {0, 0, 0}; // 0 to 45
        study_init(&m, axial);
        for (uint32_t i = 0; i < m.count; i++) {
            m.frames[i].padded = true;
            m.frames[i].padding[0] = 12;
            m.frames[i].padding[1] = 21;
            m.frames[i].slope = table[n].slope;
            m.frames[i].intercept = table[n].intercept;
            snprintf(m.frames[i].unit, sizeof m.frames[i].unit, "%s", table[n].unit);
        }
        CU_ASSERT_FATAL(plane_read_slice(&p, &m.set, f, &place, false, &err));
        for (uint32_t i = 0; i < COLUMNS * ROWS; i++) {
            const uint32_t stored = i % COLUMNS + 10 * (i / COLUMNS);
            CU_ASSERT_EQUAL(isnan(p.values[i]) != 0, stored >= 12 && stored <= 21);
        }
        plane_finish(&p);
        findings_destroy(f);
        made_images_finish(&m);
    }
}

int main(void)
{
    static const struct check_case cases[] = {
        {"a_slice_has_its_pixels_place_and_regions", a_slice_has_its_pixels_place_and_regions},
        {"a_slice_says_how_it_is_shown", a_slice_says_how_it_is_shown},
        {"projections_have_the_directions_of_their_header",
         projections_have_the_directions_of_their_header},
        {"padding_is_no_part_of_a_picture", padding_is_no_part_of_a_picture},
        {"a_map_has_its_values", a_map_has_its_values},
        {"what_is_not_there_is_an_input_error", what_is_not_there_is_an_input_error},
        {"sections_stand_with_the_head_up", sections_stand_with_the_head_up},
        {"a_tilted_stack_is_set_straight", a_tilted_stack_is_set_straight},
        {"sections_show_regions_and_gaps", sections_show_regions_and_gaps},
        {"slices_are_decoded_once_for_all_sections", slices_are_decoded_once_for_all_sections},
    };
    return check_main("plane", cases, sizeof cases / sizeof *cases);
}
