#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compute/draw/page.h"
#include "compute/draw/tile.h"
#include "tests/check.h"

// ---- a small chest with one lesion ----

static const uint32_t columns = 96, rows = 64, slices = 40;

// Pixels twice as high as wide; a grey disc and a bright square at columns 40..49, rows 20..24.
static struct volume *make_volume(void)
{
    struct volume_slice *list = calloc(slices, sizeof *list);
    int32_t *values = calloc((size_t)columns * rows, sizeof *values);
    CU_ASSERT_PTR_NOT_NULL_FATAL(list);
    CU_ASSERT_PTR_NOT_NULL_FATAL(values);
    for (uint32_t k = 0; k < slices; k++) {
        struct volume_slice *s = &list[k];
        *s = (struct volume_slice){.frame = 1,
                                   .columns = columns,
                                   .rows = rows,
                                   .pixel_spacing = {2, 1},
                                   .position = {0, 0, 3.0 * k},
                                   .orientation = {1, 0, 0, 0, 1, 0},
                                   .slope = 1,
                                   .intercept = -1024,
                                   .bits_stored = 12};
        snprintf(s->sop_instance_uid, sizeof s->sop_instance_uid, "1.2.%u", k + 1);
        snprintf(s->sop_class_uid, sizeof s->sop_class_uid, "1.2.840.10008.5.1.4.1.1.2");
    }
    struct err err = {0};
    struct volume *v = volume_plan(list, slices, "[hnsf'U]", &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(v);
    for (uint32_t j = 0; j < rows; j++) {
        for (uint32_t i = 0; i < columns; i++) {
            double x = i - 48.0, y = 2 * (j - 32.0);
            bool lesion = i >= 40 && i < 50 && j >= 20 && j < 25;
            values[j * columns + i] = lesion ? 1424 : x * x + y * y < 40 * 40 ? 1064 : 24;
        }
    }
    for (uint32_t k = 0; k < slices; k++)
        CU_ASSERT_TRUE(volume_fill(v, k, values, 1, -1024, &err));
    free(list);
    free(values);
    return v;
}

static void add_outline(struct findings *f, uint32_t slice)
{
    static const float outline[] = {40, 20, 50, 20, 50, 25, 40, 25, 40, 20};
    static const float place[] = {45, 22, 55, 10};
    struct mark *m = findings_add_mark(f);
    *m = (struct mark){MARK_POLYLINE, slice, 0, -1, outline, 5, NULL};
    m = findings_add_mark(f);
    *m = (struct mark){MARK_TEXT, slice, 0, -1, place, 2, "LAD 1\n12.0"};
}

static struct findings *make_findings(uint32_t images, uint32_t table_rows)
{
    struct findings *f = findings_create();
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    f->verdict = VERDICT_DONE;
    f->reason = "";
    f->page.title = "Coronary calcium scoring";
    f->page.headline = "Agatston 605.9   CAC-DRS A3/N4";
    findings_add_warning(f, "Non-gated scan: the score is an estimate.");
    findings_add_warning(f, "Mass is uncalibrated: a calibration factor of 0.78 mg/(mL HU) was "
                            "assumed for this scanner and kernel, and the value is only of use for "
                            "comparison within the same protocol on the same scanner.");
    struct layer *layer = findings_add_layer(f);
    *layer = (struct layer){"LAD", "Left anterior descending", {0, 220, 60}};
    layer = findings_add_layer(f);
    *layer = (struct layer){"RCA", "Right coronary", {230, 40, 40}};
    for (uint32_t i = 0; i < slices; i++)
        add_outline(f, i);
    static const char *const lines[][5] = {
        {"Artery", "Lesions", "Agatston", "Volume mm3", "Mass mg"},
        {"Left main", "1", "12.0", "15.2", "3.1"},
        {"Left anterior descending", "2", "401.4", "330.0", "80.9"},
        {"Left circumflex", "0", "0.0", "0.0", "0.0"},
        {"Right coronary", "1", "192.5", "170.6", "44.0"},
        {"Total", "4", "605.9", "515.8", "128.0"}};
    const char **cells = arena_alloc(f->arena, 5 * (size_t)table_rows, sizeof *cells);
    for (uint32_t r = 0; r < table_rows; r++) {
        const char *const *line = lines[r + 1 == table_rows ? 5 : r < 5 ? r : 1 + r % 4];
        memcpy(cells + 5 * (size_t)r, line, 5 * sizeof *cells);
    }
    struct page_table *table = arena_alloc(f->arena, 1, sizeof *table);
    *table = (struct page_table){"Calcium by artery", cells, table_rows, 5};
    f->page.tables = table;
    f->page.table_count = table_rows ? 1 : 0;
    f->page.images = arena_alloc(f->arena, images, sizeof *f->page.images);
    for (uint32_t i = 0; i < images; i++)
        f->page.images[i] = (struct page_image){i % slices, {0}, {40, 600}, "slice 12, LAD 401.4"};
    f->page.image_count = images;
    static const char *const facts[] = {"kVp 120", "increment 3.0 mm, thickness 3.0 mm",
                                        "kernel Qr36d", "field of view 220 mm",
                                        "threshold 130 HU, islands of at least 1 mm2"};
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++)
        findings_add_fact(f, "%s", facts[i]);
    return f;
}

static const struct page_context context = {
    .software = "anode 0.1.0",
    .title = "Coronary calcium scoring",
    .version = "1",
    .device = "llvmpipe (LLVM 15.0.6, 256 bits)",
    .study_description = "CT heart",
    .series_description = "CaSc 3.0 Qr36 \xc3\xa4\xff",
    .date = "2026-01-31 10:32",
};

static void draw(struct findings *f, const struct volume *v)
{
    struct err err = {0};
    bool ok = page_draw(f, v, &context, &err);
    if (!ok)
        fprintf(stderr, "%s\n", err.text);
    CU_ASSERT_TRUE_FATAL(ok);
    for (uint32_t i = 0; i < f->picture_count; i++) {
        const struct picture *p = &f->pictures[i];
        char name[32];
        snprintf(name, sizeof name, "page%u", i + 1);
        CU_ASSERT_STRING_EQUAL(p->name, name);
        CU_ASSERT_EQUAL(p->width, PAGE_WIDTH);
        CU_ASSERT_EQUAL(p->height, PAGE_HEIGHT);
        CU_ASSERT_PTR_NOT_NULL_FATAL(p->rgb);
    }
}

// Pixels of a rectangle that are near a colour.
static unsigned count_near(const struct picture *p, const uint8_t rgb[3], int tolerance, unsigned x,
                           unsigned y, unsigned width, unsigned height)
{
    unsigned n = 0;
    for (unsigned j = y; j < y + height && j < p->height; j++) {
        for (unsigned i = x; i < x + width && i < p->width; i++) {
            const uint8_t *at = p->rgb + 3 * ((size_t)j * p->width + i);
            n += abs(at[0] - rgb[0]) <= tolerance && abs(at[1] - rgb[1]) <= tolerance &&
                 abs(at[2] - rgb[2]) <= tolerance;
        }
    }
    return n;
}

static unsigned count_all(const struct picture *p, const uint8_t rgb[3], int tolerance)
{
    return count_near(p, rgb, tolerance, 0, 0, p->width, p->height);
}

static const uint8_t green[3] = {0, 220, 60}, alarm_red[3] = {163, 20, 26},
                     white[3] = {255, 255, 255}, black[3] = {0, 0, 0};

// White letters on the red strip over the whole width.
static bool has_label(const struct picture *p)
{
    unsigned red = count_near(p, alarm_red, 4, 0, 0, PAGE_WIDTH, 46);
    unsigned letters = count_near(p, white, 8, 400, 0, 640, 46);
    unsigned beside = count_near(p, white, 8, 0, 0, 400, 46);
    return red > PAGE_WIDTH * 46 * 8 / 10 && letters > 800 && beside == 0;
}

// ---- cases ----

static void page_carries_the_label_and_its_parts(void)
{
    struct volume *v = make_volume();
    struct findings *f = make_findings(4, 6);
    draw(f, v);
    CU_ASSERT_EQUAL_FATAL(f->picture_count, 1);
    const struct picture *p = &f->pictures[0];
    CU_ASSERT_TRUE(has_label(p));
    CU_ASSERT_TRUE(count_all(p, black, 3) > 100000); // the strip
    CU_ASSERT_TRUE(count_all(p, green, 30) > 400);   // outlines and legend
    CU_ASSERT_STRING_EQUAL(p->title, "Coronary calcium scoring, page 1 of 1");
    findings_destroy(f);
    volume_destroy(v);
}

static void every_page_of_many_carries_the_label(void)
{
    struct volume *v = make_volume();
    struct findings *f = make_findings(30, 70);
    draw(f, v);
    CU_ASSERT_TRUE(f->picture_count > 3 && f->picture_count < PAGES_MAX);
    unsigned tiles = 0;
    for (uint32_t i = 0; i < f->picture_count; i++) {
        CU_ASSERT_TRUE(has_label(&f->pictures[i]));
        tiles += count_all(&f->pictures[i], green, 30) > 400;
    }
    CU_ASSERT_TRUE(tiles >= 2);
    CU_ASSERT_TRUE(tiles < f->picture_count); // the first page holds the table's beginning only
    findings_destroy(f);
    volume_destroy(v);
}

static void pages_are_bounded(void)
{
    struct findings *f = make_findings(0, 6);
    for (int i = 0; i < 3000; i++)
        findings_add_warning(f, "warning %d", i);
    draw(f, NULL);
    CU_ASSERT_EQUAL(f->picture_count, PAGES_MAX);
    findings_destroy(f);
}

static void same_findings_give_the_same_bytes(void)
{
    struct volume *v = make_volume();
    struct findings *a = make_findings(9, 6), *b = make_findings(9, 6);
    draw(a, v);
    draw(b, v);
    CU_ASSERT_EQUAL_FATAL(a->picture_count, b->picture_count);
    for (uint32_t i = 0; i < a->picture_count; i++)
        CU_ASSERT_EQUAL(
            memcmp(a->pictures[i].rgb, b->pictures[i].rgb, (size_t)PAGE_WIDTH * PAGE_HEIGHT * 3),
            0);
    findings_destroy(a);
    findings_destroy(b);
    volume_destroy(v);
}

static void refusal_is_large_and_shows_no_numbers(void)
{
    struct volume *v = make_volume();
    struct findings *f = make_findings(4, 6);
    findings_refuse(f, VERDICT_NOT_EVALUABLE, "2 slices missing between 45.0 and 54.0 mm");
    draw(f, v);
    CU_ASSERT_EQUAL_FATAL(f->picture_count, 1);
    const struct picture *p = &f->pictures[0];
    CU_ASSERT_TRUE(has_label(p));
    CU_ASSERT_TRUE(count_near(p, alarm_red, 4, 40, 140, 800, 110) > 5000); // "NOT EVALUABLE"
    CU_ASSERT_EQUAL(count_all(p, green, 30), 0);
    CU_ASSERT_EQUAL(count_near(p, black, 3, 0, 46, PAGE_WIDTH, PAGE_HEIGHT - 46), 0); // no strip
    findings_destroy(f);
    f = findings_create(); // failed before anything was known
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    draw(f, NULL);
    CU_ASSERT_EQUAL_FATAL(f->picture_count, 1);
    CU_ASSERT_TRUE(has_label(&f->pictures[0]));
    CU_ASSERT_TRUE(count_near(&f->pictures[0], alarm_red, 4, 40, 140, 800, 110) > 5000);
    findings_destroy(f);
    volume_destroy(v);
}

static void nothing_found_is_a_page_of_its_own(void)
{
    struct volume *v = make_volume();
    struct findings *f = make_findings(1, 6);
    f->verdict = VERDICT_NOTHING_FOUND;
    f->page.headline = "Agatston 0   CAC-DRS A0";
    f->mark_count = 0;
    draw(f, v);
    CU_ASSERT_EQUAL_FATAL(f->picture_count, 1);
    CU_ASSERT_TRUE(count_all(&f->pictures[0], black, 3) > 50000);
    findings_destroy(f);
    volume_destroy(v);
}

// ---- tiles ----

struct canvas {
    cairo_surface_t *surface;
    cairo_t *cr;
};

static struct canvas canvas_of(int width, int height)
{
    struct canvas c;
    c.surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    c.cr = cairo_create(c.surface);
    return c;
}

static void canvas_finish(struct canvas *c)
{
    CU_ASSERT_EQUAL(cairo_status(c->cr), CAIRO_STATUS_SUCCESS);
    cairo_destroy(c->cr);
    cairo_surface_destroy(c->surface);
}

static uint32_t pixel_at(const struct canvas *c, int x, int y)
{
    uint32_t pixel;
    cairo_surface_flush(c->surface);
    memcpy(&pixel,
           cairo_image_surface_get_data(c->surface) +
               (size_t)y * (size_t)cairo_image_surface_get_stride(c->surface) + 4 * (size_t)x,
           sizeof pixel);
    return pixel & 0xffffff;
}

static bool is_green(uint32_t pixel)
{
    return (pixel >> 8 & 255) > 150 && (pixel >> 16) < 90;
}

// 96 x 64 pixels of 1 x 2 mm are 96 x 128 mm: in 192 x 256 each millimetre is two units.
static void tile_keeps_true_proportions_and_places_marks(void)
{
    struct volume *v = make_volume();
    struct findings *f = make_findings(1, 6);
    struct page_image image = {.slice = 3, .window = {40, 600}};
    struct canvas c = canvas_of(192, 256);
    tile_draw(c.cr, f, v, &image, 0, 0, 192, 256);
    // lesion: columns 40..50 -> x 80..100, rows 20..25 -> y 80..100
    CU_ASSERT_TRUE(is_green(pixel_at(&c, 90, 80)));
    CU_ASSERT_TRUE(is_green(pixel_at(&c, 90, 100)));
    CU_ASSERT_TRUE(is_green(pixel_at(&c, 80, 90)));
    CU_ASSERT_TRUE(is_green(pixel_at(&c, 100, 90)));
    CU_ASSERT_EQUAL(pixel_at(&c, 90, 90), 0xffffff); // 400 HU: above the window
    CU_ASSERT_FALSE(is_green(pixel_at(&c, 90, 70)));
    // the disc is round: radius 40 mm around (48.5, 65) mm, 40 HU is the middle grey
    CU_ASSERT_EQUAL(pixel_at(&c, 97 + 70, 130), 0x808080);
    CU_ASSERT_EQUAL(pixel_at(&c, 97, 130 + 70), 0x808080);
    CU_ASSERT_EQUAL(pixel_at(&c, 97 + 86, 130), 0x000000);
    CU_ASSERT_EQUAL(pixel_at(&c, 97, 130 + 86), 0x000000);
    canvas_finish(&c);
    findings_destroy(f);
    volume_destroy(v);
}

static void tile_shows_the_part_in_the_box(void)
{
    struct volume *v = make_volume();
    struct findings *f = make_findings(1, 6);
    struct page_image image = {.slice = 3, .box = {35, 15, 20, 15}, .window = {40, 600}};
    struct canvas c = canvas_of(200, 300);
    tile_draw(c.cr, f, v, &image, 0, 0, 200, 300); // 20 x 30 mm: ten units a millimetre
    CU_ASSERT_TRUE(is_green(pixel_at(&c, 100, 100)));
    CU_ASSERT_TRUE(is_green(pixel_at(&c, 50, 150)));
    CU_ASSERT_TRUE(is_green(pixel_at(&c, 150, 150)));
    CU_ASSERT_TRUE(is_green(pixel_at(&c, 100, 200)));
    CU_ASSERT_EQUAL(pixel_at(&c, 100, 150), 0xffffff);
    CU_ASSERT_EQUAL(pixel_at(&c, 100, 60), 0x808080);
    canvas_finish(&c);
    findings_destroy(f);
    volume_destroy(v);
}

// Pixels of a tile's rectangle that have a layer's green.
static int green_in(const struct canvas *c, int x, int y, int width, int height)
{
    int n = 0;
    for (int j = y; j < y + height; j++) {
        for (int i = x; i < x + width; i++)
            n += is_green(pixel_at(c, i, j));
    }
    return n;
}

// The text of the lesion wants to be right of it; where the part ends there, it is left of it.
static void texts_stay_inside_the_part(void)
{
    struct volume *v = make_volume();
    struct findings *f = make_findings(1, 6);
    struct page_image image = {.slice = 3, .box = {24, 10, 30, 20}, .window = {40, 600}};
    struct canvas c = canvas_of(300, 400);                   // 30 x 40 mm: ten units a millimetre
    f->marks[7].points = (const float[]){45, 22.5F, 53, 15}; // slice 3
    CU_ASSERT_EQUAL_FATAL(f->marks[7].kind, MARK_TEXT);
    CU_ASSERT_EQUAL_FATAL(f->marks[7].slice, 3);
    tile_draw(c.cr, f, v, &image, 0, 0, 300, 400);
    CU_ASSERT_TRUE(green_in(&c, 60, 95, 85, 40) > 100); // mirrored at column 45
    CU_ASSERT_EQUAL(green_in(&c, 275, 95, 25, 40), 0);
    canvas_finish(&c);
    findings_destroy(f);
    volume_destroy(v);
}

static void tile_survives_nonsense(void)
{
    struct volume *v = make_volume();
    struct findings *f = make_findings(1, 6);
    static const double boxes[][4] = {{NAN, NAN, NAN, NAN},  {-1e300, -1e300, 1e300, 1e300},
                                      {1000, 1000, 10, 10},  {-50, -50, 20, 20},
                                      {INFINITY, 0, 10, 10}, {95, 63, 1, 1},
                                      {10, 10, -5, -5},      {0.4, 0.4, 0.1, 0.1}};
    static const double windows[][2] = {{NAN, NAN}, {40, 0}, {40, -5}, {1e300, 1e-300}};
    struct canvas c = canvas_of(120, 90);
    for (size_t b = 0; b < sizeof boxes / sizeof boxes[0]; b++) {
        for (size_t w = 0; w < sizeof windows / sizeof windows[0]; w++) {
            struct page_image image = {.slice = (uint32_t)(b * 7)};
            memcpy(image.box, boxes[b], sizeof image.box);
            memcpy(image.window, windows[w], sizeof image.window);
            tile_draw(c.cr, f, v, &image, 10, 10, 100, 70);
            CU_ASSERT_EQUAL(cairo_status(c.cr), CAIRO_STATUS_SUCCESS);
            CU_ASSERT_EQUAL(pixel_at(&c, 5, 5), 0); // nothing outside its rectangle
        }
    }
    static const float nowhere[] = {NAN, NAN, 1e30F, -1e30F, INFINITY, 0, 0, 0};
    for (int kind = MARK_POINT; kind <= MARK_TEXT; kind++) {
        struct mark *m = findings_add_mark(f);
        *m = (struct mark){(enum mark_kind)kind, 0, 99, -1, nowhere, 4, "text"};
    }
    struct page_image image = {.slice = 0};
    tile_draw(c.cr, f, v, &image, 10, 10, 100, 70);
    image.slice = 4000000000U;
    tile_draw(c.cr, f, v, &image, 10, 10, 100, 70);
    tile_draw(c.cr, f, NULL, &image, 10, 10, 100, 70);
    canvas_finish(&c);
    findings_destroy(f);
    volume_destroy(v);
}

static void directions_follow_the_orientation(void)
{
    struct volume v = {.to_patient = {{0, 0, 1, 0}, {1, 0, 0, 0}, {0, -1, 0, 0}}}; // sagittal
    CU_ASSERT_EQUAL(tile_direction(&v, 0), 'P');
    CU_ASSERT_EQUAL(tile_direction(&v, 1), 'F');
    CU_ASSERT_EQUAL(tile_direction(&v, 2), 'L');
    struct volume axial = {.to_patient = {{-0.9, 0.1, 0, 0}, {0.1, 0.9, 0, 0}, {0, 0, 3, 0}}};
    CU_ASSERT_EQUAL(tile_direction(&axial, 0), 'R');
    CU_ASSERT_EQUAL(tile_direction(&axial, 1), 'P');
    CU_ASSERT_EQUAL(tile_direction(&axial, 2), 'H');
}

int main(void)
{
    static const struct check_case cases[] = {
        {"page_carries_the_label_and_its_parts", page_carries_the_label_and_its_parts},
        {"every_page_of_many_carries_the_label", every_page_of_many_carries_the_label},
        {"pages_are_bounded", pages_are_bounded},
        {"same_findings_give_the_same_bytes", same_findings_give_the_same_bytes},
        {"refusal_is_large_and_shows_no_numbers", refusal_is_large_and_shows_no_numbers},
        {"nothing_found_is_a_page_of_its_own", nothing_found_is_a_page_of_its_own},
        {"tile_keeps_true_proportions_and_places_marks",
         tile_keeps_true_proportions_and_places_marks},
        {"tile_shows_the_part_in_the_box", tile_shows_the_part_in_the_box},
        {"texts_stay_inside_the_part", texts_stay_inside_the_part},
        {"tile_survives_nonsense", tile_survives_nonsense},
        {"directions_follow_the_orientation", directions_follow_the_orientation},
    };
    return check_main("page", cases, sizeof cases / sizeof cases[0]);
}
