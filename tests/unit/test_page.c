#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compute/draw/page.h"
#include "compute/draw/tile.h"
#include "tests/check.h"
#include "tests/images.h"

// ---- a small chest with one lesion ----

static const uint32_t columns = 96, rows = 64, slices = 40;

// The study of a case; `voxels` are its own.
struct chest {
    struct made_images images;
    int16_t *voxels;
};

// Pixels twice as high as wide; a grey disc and a bright square at columns 40..49, rows 20..24.
static void chest_init(struct chest *c)
{
    struct err err = {0};
    const struct made_grid grid = {.dim = {columns, rows, slices, 1},
                                   .spacing = {1, 2, 3},
                                   .to_patient = {{1, 0, 0, 0}, {0, 2, 0, 0}, {0, 0, 3, 0}},
                                   .intercept = -1024,
                                   .unit = "[hnsf'U]",
                                   .stored = c->voxels =
                                       calloc((size_t)columns * rows * slices, sizeof *c->voxels)};
    CU_ASSERT_PTR_NOT_NULL_FATAL(c->voxels);
    for (uint32_t n = 0; n < columns * rows * slices; n++) {
        const uint32_t i = n % columns, j = n / columns % rows;
        const double x = i - 48.0, y = 2 * (j - 32.0);
        const bool lesion = i >= 40 && i < 50 && j >= 20 && j < 25;
        c->voxels[n] = lesion ? 1424 : x * x + y * y < 40 * 40 ? 1064 : 24;
    }
    made_images_init(&c->images, &grid);
    CU_ASSERT_TRUE_FATAL(made_images_split(&c->images, &err));
}

static void chest_finish(struct chest *c)
{
    made_images_finish(&c->images);
    free(c->voxels);
}

static void add_outline(struct findings *f, uint32_t slice)
{
    static const float outline[] = {40, 20, 50, 20, 50, 25, 40, 25, 40, 20};
    static const float place[] = {45, 22, 55, 10};
    struct mark *m = findings_add_mark(f);
    *m = (struct mark){MARK_POLYLINE, {0, slice, 0}, 0, -1, outline, 5, NULL};
    m = findings_add_mark(f);
    *m = (struct mark){MARK_TEXT, {0, slice, 0}, 0, -1, place, 2, "LAD 1\n12.0"};
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
    *layer = (struct layer){"LAD", "Left anterior descending", {0, 220, 60}, 0};
    layer = findings_add_layer(f);
    *layer = (struct layer){"RCA", "Right coronary", {230, 40, 40}, 1};
    for (uint32_t i = 0; i < slices; i++)
        add_outline(f, i);
    static const char *const lines[][5] = {
        {"Artery", "Lesions", "Agatston", "Volume mm3", "Mass mg"},
        {"Left main", "1", "12.0", "15.2", "3.1"},
        {"Left anterior descending", "2", "401.4", "330.0", "80.9"},
        {"Left circumflex", "0", "0.0", "0.0", "0.0"},
        {"Right coronary", "1", "192.5", "170.6", "44.0"},
        {"Total", "4", "605.9", "515.8", "128.0"}};
    struct page_table *table =
        table_rows ? findings_add_table(f, "Calcium by artery", table_rows, 5) : NULL;
    for (uint32_t r = 0; r < table_rows; r++) {
        const char *const *line = lines[r + 1 == table_rows ? 5 : r < 5 ? r : 1 + r % 4];
        for (uint32_t c = 0; c < 5; c++)
            findings_set_cell(f, table, r, c, "%s", line[c]);
    }
    if (table)
        table->total = true;
    for (uint32_t i = 0; i < images; i++) {
        struct page_image *image = findings_add_image(f);
        image->place.slice = i % slices;
        image->window[0] = 40;
        image->window[1] = 600;
        image->caption = "slice 12, LAD 401.4";
    }
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
    .light = true,
};

static void draw(struct findings *f, const struct image_set *set)
{
    struct err err = {0};
    const uint32_t before = f->picture_count;
    bool ok = page_draw(f, set, &context, &err);
    if (!ok)
        fprintf(stderr, "%s\n", err.text);
    CU_ASSERT_TRUE_FATAL(ok);
    for (uint32_t i = before; i < f->picture_count; i++) {
        const struct picture *p = &f->pictures[i];
        char name[32];
        snprintf(name, sizeof name, "page%u", i - before + 1);
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

// On dark paper hardly anything is bright, the texts are, and the strip with the label is there.
static void a_page_for_dark_rooms_is_dark(void)
{
    static const uint8_t paper[3] = {18, 20, 26}, alarm_on_dark[3] = {204, 51, 51};
    struct page_context dark = context;
    struct chest chest;
    struct err err = {0};
    chest_init(&chest);
    struct findings *f = make_findings(4, 6);
    dark.light = false;
    CU_ASSERT_TRUE_FATAL(page_draw(f, &chest.images.set, &dark, &err));
    const struct picture *p = &f->pictures[0];
    CU_ASSERT(count_near(p, alarm_on_dark, 4, 0, 0, PAGE_WIDTH, 46) > PAGE_WIDTH * 46 * 8 / 10);
    CU_ASSERT(count_all(p, paper, 3) > PAGE_WIDTH * PAGE_HEIGHT / 4);
    CU_ASSERT(count_all(p, white, 40) < PAGE_WIDTH * PAGE_HEIGHT / 20);
    CU_ASSERT(count_near(p, (const uint8_t[3]){230, 235, 240}, 8, 0, 46, 900, 60) > 200); // title
    findings_destroy(f);
    chest_finish(&chest);
}

static void page_carries_the_label_and_its_parts(void)
{
    struct chest chest;
    chest_init(&chest);
    struct findings *f = make_findings(4, 6);
    draw(f, &chest.images.set);
    CU_ASSERT_EQUAL_FATAL(f->picture_count, 1);
    const struct picture *p = &f->pictures[0];
    CU_ASSERT_TRUE(has_label(p));
    CU_ASSERT_TRUE(count_all(p, black, 3) > 100000); // the strip
    CU_ASSERT_TRUE(count_all(p, green, 30) > 400);   // outlines and legend
    CU_ASSERT_STRING_EQUAL(p->title, "Coronary calcium scoring, page 1 of 1");
    findings_destroy(f);
    chest_finish(&chest);
}

static void every_page_of_many_carries_the_label(void)
{
    struct chest chest;
    chest_init(&chest);
    struct findings *f = make_findings(30, 70);
    draw(f, &chest.images.set);
    CU_ASSERT_TRUE(f->picture_count > 3 && f->picture_count < PAGES_MAX);
    unsigned tiles = 0;
    for (uint32_t i = 0; i < f->picture_count; i++) {
        CU_ASSERT_TRUE(has_label(&f->pictures[i]));
        tiles += count_all(&f->pictures[i], green, 30) > 400;
    }
    CU_ASSERT_TRUE(tiles >= 2);
    CU_ASSERT_TRUE(tiles < f->picture_count); // the first page holds the table's beginning only
    findings_destroy(f);
    chest_finish(&chest);
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
    struct chest chest;
    chest_init(&chest);
    struct findings *a = make_findings(9, 6), *b = make_findings(9, 6);
    draw(a, &chest.images.set);
    draw(b, &chest.images.set);
    CU_ASSERT_EQUAL_FATAL(a->picture_count, b->picture_count);
    for (uint32_t i = 0; i < a->picture_count; i++)
        CU_ASSERT_EQUAL(
            memcmp(a->pictures[i].rgb, b->pictures[i].rgb, (size_t)PAGE_WIDTH * PAGE_HEIGHT * 3),
            0);
    findings_destroy(a);
    findings_destroy(b);
    chest_finish(&chest);
}

static void refusal_is_large_and_shows_no_numbers(void)
{
    struct chest chest;
    chest_init(&chest);
    struct findings *f = make_findings(4, 6);
    findings_refuse(f, VERDICT_NOT_EVALUABLE, "2 slices missing between 45.0 and 54.0 mm");
    draw(f, &chest.images.set);
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
    chest_finish(&chest);
}

static void nothing_found_is_a_page_of_its_own(void)
{
    struct chest chest;
    chest_init(&chest);
    struct findings *f = make_findings(1, 6);
    f->verdict = VERDICT_NOTHING_FOUND;
    f->page.headline = "Agatston 0   CAC-DRS A0";
    f->mark_count = 0;
    draw(f, &chest.images.set);
    CU_ASSERT_EQUAL_FATAL(f->picture_count, 1);
    CU_ASSERT_TRUE(count_all(&f->pictures[0], black, 3) > 50000);
    findings_destroy(f);
    chest_finish(&chest);
}

// ---- the document: pages as text ----

// Text of page `page` (0: all) of the document, cells in their rows; NULL: no pdftotext here.
static char *document_text(const struct findings *f, unsigned page)
{
    static char text[1 << 16];
    char path[512], command[1200];
    const struct document *d = &f->documents[f->document_count - 1];
    if (system("command -v pdftotext >/dev/null") != 0) {
        printf("no pdftotext here (package poppler-utils)\n");
        return NULL;
    }
    snprintf(path, sizeof path, "%s/report.pdf", check_scratch());
    FILE *file = fopen(path, "wb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_EQUAL(fwrite(d->bytes, 1, d->size, file), d->size);
    fclose(file);
    snprintf(command, sizeof command, "pdftotext -layout -f %u -l %u %s -", page ? page : 1,
             page ? page : PAGES_MAX, path);
    FILE *pipe = popen(command, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(pipe);
    text[fread(text, 1, sizeof text - 1, pipe)] = 0;
    CU_ASSERT_EQUAL(pclose(pipe), 0);
    return text;
}

static unsigned count_text(const char *text, const char *word)
{
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, word)); at += strlen(word))
        n++;
    return n;
}

static void document(struct findings *f, const struct image_set *set)
{
    struct err err = {0};
    CU_ASSERT_TRUE_FATAL(page_document(f, set, &context, &err));
    const struct document *d = &f->documents[f->document_count - 1];
    CU_ASSERT_STRING_EQUAL(d->name, "report");
    CU_ASSERT_STRING_EQUAL(d->mime, "application/pdf");
    CU_ASSERT(d->size > 1000 && !memcmp(d->bytes, "%PDF-1.4", 8));
}

static void document_can_be_searched(void)
{
    struct chest chest;
    chest_init(&chest);
    struct findings *f = make_findings(4, 6);
    findings_add_warning(f,
                         "\xce\xa0\xce\xbd\xce\xb5\xcf\x8d\xce\xbc\xce\xbf\xce\xbd\xce\xb5\xcf\x82 "
                         "office \xd8\xa7\xd9\x84\xd8\xb5\xd8\xaf\xd8\xb1");
    document(f, &chest.images.set);
    CU_ASSERT_STRING_EQUAL(f->documents[0].title, "Coronary calcium scoring");
    CU_ASSERT_EQUAL(f->picture_count, 0);
    const char *text = document_text(f, 0);
    if (text) {
        CU_ASSERT_EQUAL(count_text(text, "NOT FOR DIAGNOSTIC USE"), 1);
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "Agatston 605.9"));
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "Left anterior descending"));
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "401.4"));
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "kernel Qr36d"));
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "LAD 1"));  // on an image
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "office")); // a ligature is copied as its letters
        CU_ASSERT_PTR_NOT_NULL(
            strstr(text, "\xce\xa0\xce\xbd\xce\xb5\xcf\x8d\xce\xbc\xce\xbf\xce\xbd"));
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "\xd8\xa7\xd9\x84\xd8\xb5\xd8\xaf\xd8\xb1"));
    }
    findings_destroy(f);
    chest_finish(&chest);
}

static void same_findings_give_the_same_document_at_any_time(void)
{
    struct chest chest;
    chest_init(&chest);
    struct findings *f = make_findings(9, 6);
    document(f, &chest.images.set);
    const struct document first = f->documents[0];
    CU_ASSERT_PTR_NULL(memmem(first.bytes, first.size, "Date", 4));
    document(f, &chest.images.set);
    CU_ASSERT_EQUAL_FATAL(f->documents[1].size, first.size);
    CU_ASSERT(!memcmp(f->documents[1].bytes, first.bytes, first.size));
    findings_destroy(f);
    chest_finish(&chest);
}

static void a_long_table_goes_on_with_its_head_repeated(void)
{
    struct findings *f = make_findings(0, 6);
    struct page_table *t = findings_add_table(f, "Nodules", 101, 2);
    for (uint32_t r = 1; r < t->rows; r++) {
        findings_set_cell(f, t, r, 0, "nodule-%03u", r);
        findings_set_cell(f, t, r, 1,
                          "A remark that is so long that it takes several lines in its "
                          "cell, and none of it may be lost whatever the width of the "
                          "column is: end-%03u",
                          r);
    }
    findings_set_cell(f, t, 0, 0, "Nodule");
    findings_set_cell(f, t, 0, 1, "Remark");
    draw(f, NULL);
    document(f, NULL);
    CU_ASSERT(f->picture_count >= 4);
    for (unsigned page = 1; page <= f->picture_count; page++) {
        const char *text = document_text(f, page);
        if (!text)
            break;
        CU_ASSERT_EQUAL(count_text(text, "NOT FOR DIAGNOSTIC USE"), 1);
        CU_ASSERT_EQUAL(count_text(text, "Remark"), count_text(text, "Nodules"));
        CU_ASSERT_EQUAL(count_text(text, "Nodules (continued)"), page > 1);
    }
    const char *text = document_text(f, 0);
    for (uint32_t r = 1; text && r < t->rows; r++) {
        char first[32], last[32];
        snprintf(first, sizeof first, "nodule-%03u", r);
        snprintf(last, sizeof last, "end-%03u", r);
        CU_ASSERT_EQUAL(count_text(text, first), 1);
        CU_ASSERT_EQUAL(count_text(text, last), 1);
    }
    findings_destroy(f);
}

static void empty_and_overwide_tables_are_drawn(void)
{
    struct findings *f = make_findings(0, 0);
    findings_add_table(f, "no rows", 0, 3);
    findings_add_table(f, "no columns", 3, 0);
    struct page_table *t = findings_add_table(f, "head only", 1, 2);
    findings_set_cell(f, t, 0, 0, "alone");
    t = findings_add_table(f, "wide", 3, 60);
    for (uint32_t c = 0; c < t->columns; c++)
        findings_set_cell(f, t, 1, c, "%u", c);
    draw(f, NULL);
    document(f, NULL);
    const char *text = document_text(f, 0);
    if (text) {
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "alone"));
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "(24 of 60 columns)"));
        CU_ASSERT_PTR_NULL(strstr(text, "no rows"));
    }
    findings_destroy(f);
}

static void exclusions_have_reason_place_and_value(void)
{
    struct chest chest;
    chest_init(&chest);
    struct findings *f = make_findings(0, 6);
    for (int i = 0; i < PAGE_EXCLUSIONS_MAX + 15; i++) {
        struct exclusion *e = findings_add_exclusion(f);
        e->what = "bright spot near the LAD";
        e->reason = "no fat around it";
        e->has_place = true;
        e->place.slice = 7;
        e->value = (struct measurement){.concept = {"1", "DCM", "volume"},
                                        .value = 12.34,
                                        .decimals = 1,
                                        .unit = {"mm3", "UCUM", "mm3"}};
    }
    f->exclusions[3].value.ranged = true;
    f->exclusions[3].value.low = 5;
    f->exclusions[3].value.high = 99;
    document(f, &chest.images.set);
    const char *text = document_text(f, 0);
    if (text) {
        CU_ASSERT_EQUAL(count_text(text, "no fat around it"), PAGE_EXCLUSIONS_MAX);
        CU_ASSERT_EQUAL(count_text(text, "image 8"), PAGE_EXCLUSIONS_MAX);
        CU_ASSERT_EQUAL(count_text(text, "12.3 mm3"), PAGE_EXCLUSIONS_MAX - 1);
        CU_ASSERT_EQUAL(count_text(text, "5.0 to 99.0 mm3"), 1);
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "and 15 more"));
    }
    findings_refuse(f, VERDICT_NOT_EVALUABLE, "metal in the heart");
    document(f, NULL); // they stay
    text = document_text(f, 0);
    if (text) {
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "NOT EVALUABLE"));
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "metal in the heart"));
        CU_ASSERT_EQUAL(count_text(text, "no fat around it"), PAGE_EXCLUSIONS_MAX);
        CU_ASSERT_PTR_NULL(strstr(text, "401.4"));
    }
    findings_destroy(f);
    chest_finish(&chest);
}

static void what_no_typeface_has_is_remarked(void)
{
    struct findings *f = make_findings(0, 6);
    document(f, NULL);
    const char *text = document_text(f, 0);
    if (text)
        CU_ASSERT_PTR_NULL(strstr(text, "has no typeface here"));
    findings_add_warning(f, "kernel \xf4\x80\x80\x80");
    document(f, NULL);
    text = document_text(f, 0);
    if (text) {
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "kernel [U+100000]"));
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "[U+...] has no typeface here"));
    }
    findings_destroy(f);
}

// ---- curves, maps, sections ----

static void curves_are_drawn_with_names_units_and_guides(void)
{
    static const uint8_t blue[3] = {10, 20, 240};
    static const double guides[] = {-950, -921, -910, NAN};
    static const char *const names[] = {"LAA-950", "Perc15", "LAA-910", "nowhere"};
    double x[50], y[50];
    struct findings *f = make_findings(0, 0);
    f->page.fact_count = 0;
    struct curve *c = findings_add_curve(f);
    for (int i = 0; i < 50; i++) {
        x[i] = -1000 + 10 * i;
        y[i] = i > 20 && i < 30 ? NAN : 5;
    }
    c->title = "Density";
    c->x_name = "density";
    c->x_unit = "HU";
    c->y_name = "share";
    c->y_unit = "%";
    c->guides = guides;
    c->guide_names = names;
    c->guide_count = 4;
    struct curve_line *line = findings_add_line(f, c, "both lungs", x, y, 50);
    memcpy(line->rgb, blue, 3);
    findings_add_line(f, c, "nothing", x, y, 0);
    findings_add_curve(f); // an empty one
    draw(f, NULL);
    const struct picture *p = &f->pictures[0];
    const unsigned all = count_all(p, blue, 60);
    f->curves[0].lines[0].bars = true; // bars down to 0 instead of a line
    draw(f, NULL);
    CU_ASSERT(all > 300 && all < 3000);
    CU_ASSERT(count_all(&f->pictures[1], (const uint8_t[3]){108, 114, 246}, 8) > 10 * all);
    // the gap: columns between the two parts are free of colour
    unsigned first = 0, last = 0, free_columns = 0;
    for (unsigned i = 0; i < PAGE_WIDTH / 2; i++) {
        if (count_near(p, blue, 60, i, 300, 1, 600)) {
            first = first ? first : i;
            last = i;
        }
    }
    for (unsigned i = first; i < last; i++)
        free_columns += count_near(p, blue, 60, i, 300, 1, 600) == 0;
    CU_ASSERT(free_columns > (last - first) / 8 && free_columns < (last - first) / 3);
    document(f, NULL);
    const char *text = document_text(f, 0);
    if (text) {
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "density (HU)"));
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "share (%)"));
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "both lungs"));
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "Perc15"));
        CU_ASSERT_PTR_NULL(strstr(text, "nowhere"));
    }
    findings_destroy(f);
}

// The colours of one value at the places of four segments: that of the anterior wall is above, of
// the septum to the left.
static void segments_are_rings_with_the_septum_to_the_left(void)
{
    static const uint8_t red[3] = {215, 25, 30}, blue[3] = {30, 60, 220};
    struct findings *f = make_findings(0, 0);
    f->page.fact_count = f->page.warning_count = 0;
    struct bullseye *b = findings_add_bullseye(f);
    b->title = "Thickness";
    b->unit = "mm";
    b->window[0] = 4;
    b->window[1] = 16;
    b->decimals = 1;
    b->values[0] = 16.25; // basal anterior
    b->values[7] = 3.5;   // mid anteroseptal: left, above the middle
    draw(f, NULL);
    const struct picture *p = &f->pictures[0];
    CU_ASSERT(count_all(p, red, 8) > 1500);
    CU_ASSERT(count_all(p, blue, 8) > 1500);
    unsigned top = PAGE_HEIGHT, bottom = 0;
    for (unsigned j = 130; j < PAGE_HEIGHT - 60; j++) {
        if (count_near(p, red, 8, 0, j, PAGE_WIDTH, 1)) {
            top = j < top ? j : top;
            bottom = j;
        }
    }
    CU_ASSERT_EQUAL(count_near(p, blue, 8, PAGE_WIDTH / 2, 130, PAGE_WIDTH / 2, 800), 0);
    CU_ASSERT_EQUAL(count_near(p, blue, 8, 0, 130, PAGE_WIDTH, top - 130), 0);
    CU_ASSERT(bottom - top < 100);
    document(f, NULL);
    const char *text = document_text(f, 0);
    if (text) {
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "Thickness, mm"));
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "16.2"));
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "3.5"));
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "colours from 4 to 16 mm"));
    }
    findings_refuse(f, VERDICT_NOT_EVALUABLE, "no ring");
    CU_ASSERT_EQUAL(f->page.bullseye_count, 0);
    findings_destroy(f);
}

static void maps_and_sections_are_drawn_with_bar_and_regions(void)
{
    static const uint8_t red[3] = {255, 0, 0}, lilac[3] = {200, 80, 255};
    struct chest chest;
    chest_init(&chest);
    struct findings *f = make_findings(0, 0);
    f->mark_count = f->layer_count = 0;
    struct region *region = findings_add_region(f);
    region->label = "Heart";
    memcpy(region->rgb, lilac, 3);
    struct label_map *labels = findings_add_labels(f, &chest.images.set, 0, 0);
    for (uint32_t n = 0; n < columns * rows * slices; n++)
        labels->labels[n] = chest.voxels[n] == 1064;
    struct value_map *map = findings_add_map(f, &chest.images.set, 0);
    for (uint32_t n = 0; n < columns * rows * slices; n++)
        map->values[n] = chest.voxels[n] == 1064 ? 80 : NAN;
    map->palette = PALETTE_PERFUSION;
    map->window[0] = 30;
    map->window[1] = 60;
    map->unit = (struct code){"mL/(100.g.min)", "UCUM", "mL/(100 g min)"};
    struct page_image *image = findings_add_image(f);
    image->map = 0;
    image->place.slice = 11;
    document(f, &chest.images.set);
    draw(f, &chest.images.set);
    CU_ASSERT(count_all(&f->pictures[0], red, 3) > 10000);
    CU_ASSERT_EQUAL(count_all(&f->pictures[0], lilac, 20), 0);
    const char *text = document_text(f, 0);
    if (text) {
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "mL/(100.g.min)"));
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "image 12")); // without a caption: its name
    }
    f->page.image_count = 0;
    struct page_section *section = findings_add_section(f);
    *section = (struct page_section){
        .axis = 1, .index = 32, .window = {40, 600}, .caption = "coronal", .regions = true};
    draw(f, &chest.images.set);
    CU_ASSERT(count_all(&f->pictures[1], lilac, 40) > 400);
    CU_ASSERT_EQUAL(count_all(&f->pictures[1], red, 3), 0);
    document(f, &chest.images.set);
    text = document_text(f, 0);
    if (text) {
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "Heart")); // the legend
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "coronal"));
    }
    struct layer *layer = findings_add_layer(f); // outlines of the same: named once
    *layer = (struct layer){"HEART", "Heart", {200, 80, 255}, 0};
    document(f, &chest.images.set);
    text = document_text(f, 0);
    const char *heart = text ? strstr(text, "Heart") : NULL;
    CU_ASSERT(!text || (heart && !strstr(heart + 1, "Heart")));
    findings_destroy(f);
    chest_finish(&chest);
}

// Four slices filled with a region, and a map of two of them with one bar, on the first page; facts
// are behind it. Findings without a mosaic have them on the first page.
static void a_mosaic_stands_beside_the_tables_of_the_first_page(void)
{
    static const uint8_t lilac[3] = {200, 80, 255}, red[3] = {255, 0, 0};
    struct chest chest;
    chest_init(&chest);
    struct findings *f = make_findings(0, 6);
    f->mark_count = f->layer_count = 0;
    struct region *region = findings_add_region(f);
    region->label = "Lung";
    memcpy(region->rgb, lilac, 3);
    struct label_map *labels = findings_add_labels(f, &chest.images.set, 0, 0);
    struct value_map *map = findings_add_map(f, &chest.images.set, 0);
    for (uint32_t n = 0; n < columns * rows * slices; n++) {
        labels->labels[n] = chest.voxels[n] == 24;
        map->values[n] = chest.voxels[n] == 1064 ? 80 : NAN;
    }
    map->palette = PALETTE_PERFUSION;
    map->window[0] = 30;
    map->window[1] = 60;
    map->unit = (struct code){"s", "UCUM", "second"};
    for (uint32_t n = 0; n < 6; n++) {
        struct page_image *image = findings_add_image(f);
        image->place.slice = n % 4;
        image->map = n < 4 ? -1 : 0;
        image->regions = n < 4;
        image->caption = n == 5 ? "last of all" : NULL;
    }
    draw(f, &chest.images.set); // as large images, with outlines
    const unsigned outlined = count_all(&f->pictures[0], lilac, 70);
    const uint32_t plain = f->picture_count;
    f->page.mosaic = 6;
    f->page.mosaic_columns = 3;
    draw(f, &chest.images.set);
    CU_ASSERT_EQUAL_FATAL(f->picture_count, plain + 2);
    const struct picture *first = &f->pictures[plain], *second = first + 1;
    const unsigned beside = PAGE_WIDTH / 2 - 80;
    CU_ASSERT(count_all(first, lilac, 70) > 5 * outlined);
    CU_ASSERT(count_near(first, red, 3, beside, 0, PAGE_WIDTH - beside, PAGE_HEIGHT) > 5000);
    CU_ASSERT_EQUAL(count_near(first, red, 3, 0, 0, beside, PAGE_HEIGHT), 0); // tables are there
    CU_ASSERT_EQUAL(count_all(second, red, 3), 0); // all are on the first
    document(f, &chest.images.set);
    const char *text = document_text(f, 0);
    const char *fact = text ? strstr(text, "kVp 120") : NULL;
    const char *last = text ? strstr(text, "last of all") : NULL;
    CU_ASSERT(!text || (fact && last && last < fact));
    findings_destroy(f);
    chest_finish(&chest);
}

static enum err_code broken_code;
static bool broken_read(void *ctx, const uint32_t *frames, size_t count, enum image_voxel type,
                        void *values, struct err *err)
{
    (void)ctx, (void)frames, (void)count, (void)type, (void)values;
    return err_set(err, broken_code, "broken");
}

static void pixels_that_cannot_be_read_end_the_pages_or_stay_black(void)
{
    struct chest chest;
    chest_init(&chest);
    struct findings *f = make_findings(3, 6);
    struct err err = {0};
    const struct image_pixels broken = {.read = broken_read};
    chest.images.set.pixels = &broken;
    broken_code = ERR_IO;
    CU_ASSERT_FALSE(page_draw(f, &chest.images.set, &context, &err));
    CU_ASSERT_EQUAL(err.code, ERR_IO);
    CU_ASSERT_EQUAL(f->picture_count, 0);
    CU_ASSERT_FALSE(page_document(f, &chest.images.set, &context, NULL));
    CU_ASSERT_EQUAL(f->document_count, 0);
    broken_code = ERR_INPUT;
    draw(f, &chest.images.set);
    CU_ASSERT_EQUAL(count_near(&f->pictures[0], green, 30, 0, 700, PAGE_WIDTH, 300), 0);
    findings_destroy(f);
    chest_finish(&chest);
}

static void very_long_texts_stay_on_their_pages(void)
{
    struct findings *f = make_findings(0, 0);
    char *text = malloc(40001);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    for (int i = 0; i < 40000; i++)
        text[i] = i % 7 ? 'm' : ' ';
    text[40000] = 0;
    f->page.title = f->page.headline = text;
    findings_add_warning(f, "%s", text);
    findings_add_fact(f, "%s", text);
    struct page_table *t = findings_add_table(f, text, 2, 2);
    findings_set_cell(f, t, 1, 1, "%s", text);
    struct curve *c = findings_add_curve(f);
    c->title = c->x_name = c->y_name = text;
    draw(f, NULL);
    CU_ASSERT(f->picture_count <= 3);
    for (uint32_t i = 0; i < f->picture_count; i++)
        CU_ASSERT_TRUE(has_label(&f->pictures[i]));
    findings_destroy(f);
    free(text);
}

// ---- tiles ----

struct canvas {
    cairo_surface_t *surface;
    cairo_t *cr;
    struct pen *pen;
};

static struct canvas canvas_of(int width, int height)
{
    struct canvas c;
    c.surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    c.cr = cairo_create(c.surface);
    c.pen = pen_create(c.cr, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c.pen);
    return c;
}

static void canvas_finish(struct canvas *c)
{
    CU_ASSERT_EQUAL(cairo_status(c->cr), CAIRO_STATUS_SUCCESS);
    pen_destroy(c->pen);
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

// A slice with the regions that f has.
static void draw_slice(struct canvas *c, const struct findings *f, const struct image_set *set,
                       uint32_t slice, struct tile tile, double x, double y, double width,
                       double height)
{
    struct plane plane;
    const struct place place = {0, slice, 0};
    struct err err = {0};
    if (set && plane_read_slice(&plane, set, f, &place, true, &err))
        tile.plane = &plane;
    tile_draw(c->pen, f, &tile, x, y, width, height);
    if (tile.plane)
        plane_finish(&plane);
}

// 96 x 64 pixels of 1 x 2 mm are 96 x 128 mm: in 192 x 256 each millimetre is two units.
static void tile_keeps_true_proportions_and_places_marks(void)
{
    struct chest chest;
    chest_init(&chest);
    struct findings *f = make_findings(1, 6);
    struct tile tile = {.window = {40, 600}};
    struct canvas c = canvas_of(192, 256);
    draw_slice(&c, f, &chest.images.set, 3, tile, 0, 0, 192, 256);
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
    chest_finish(&chest);
}

static void tile_shows_the_part_in_the_box(void)
{
    struct chest chest;
    chest_init(&chest);
    struct findings *f = make_findings(1, 6);
    struct tile tile = {.box = {35, 15, 20, 15}, .window = {40, 600}};
    struct canvas c = canvas_of(200, 300);
    draw_slice(&c, f, &chest.images.set, 3, tile, 0, 0, 200,
               300); // 20 x 30 mm: ten units a millimetre
    CU_ASSERT_TRUE(is_green(pixel_at(&c, 100, 100)));
    CU_ASSERT_TRUE(is_green(pixel_at(&c, 50, 150)));
    CU_ASSERT_TRUE(is_green(pixel_at(&c, 150, 150)));
    CU_ASSERT_TRUE(is_green(pixel_at(&c, 100, 200)));
    CU_ASSERT_EQUAL(pixel_at(&c, 100, 150), 0xffffff);
    CU_ASSERT_EQUAL(pixel_at(&c, 100, 60), 0x808080);
    canvas_finish(&c);
    findings_destroy(f);
    chest_finish(&chest);
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
    struct chest chest;
    chest_init(&chest);
    struct findings *f = make_findings(1, 6);
    struct tile tile = {.box = {24, 10, 30, 20}, .window = {40, 600}};
    struct canvas c = canvas_of(300, 400);                   // 30 x 40 mm: ten units a millimetre
    f->marks[7].points = (const float[]){45, 22.5F, 53, 15}; // slice 3
    CU_ASSERT_EQUAL_FATAL(f->marks[7].kind, MARK_TEXT);
    CU_ASSERT_EQUAL_FATAL(f->marks[7].place.slice, 3);
    draw_slice(&c, f, &chest.images.set, 3, tile, 0, 0, 300, 400);
    CU_ASSERT_TRUE(green_in(&c, 60, 95, 85, 40) > 100); // mirrored at column 45
    CU_ASSERT_EQUAL(green_in(&c, 275, 95, 25, 40), 0);
    canvas_finish(&c);
    findings_destroy(f);
    chest_finish(&chest);
}

static void tile_survives_nonsense(void)
{
    struct chest chest;
    chest_init(&chest);
    struct findings *f = make_findings(1, 6);
    static const double boxes[][4] = {{NAN, NAN, NAN, NAN},  {-1e300, -1e300, 1e300, 1e300},
                                      {1000, 1000, 10, 10},  {-50, -50, 20, 20},
                                      {INFINITY, 0, 10, 10}, {95, 63, 1, 1},
                                      {10, 10, -5, -5},      {0.4, 0.4, 0.1, 0.1}};
    static const double windows[][2] = {{NAN, NAN}, {40, 0}, {40, -5}, {1e300, 1e-300}};
    struct canvas c = canvas_of(120, 90);
    for (size_t b = 0; b < sizeof boxes / sizeof boxes[0]; b++) {
        for (size_t w = 0; w < sizeof windows / sizeof windows[0]; w++) {
            struct tile tile = {0};
            memcpy(tile.box, boxes[b], sizeof tile.box);
            memcpy(tile.window, windows[w], sizeof tile.window);
            draw_slice(&c, f, &chest.images.set, (uint32_t)b * 7, tile, 10, 10, 100, 70);
            CU_ASSERT_EQUAL(cairo_status(c.cr), CAIRO_STATUS_SUCCESS);
            CU_ASSERT_EQUAL(pixel_at(&c, 5, 5), 0); // nothing outside its rectangle
        }
    }
    static const float nowhere[] = {NAN, NAN, 1e30F, -1e30F, INFINITY, 0, 0, 0};
    for (int kind = MARK_POINT; kind <= MARK_TEXT; kind++) {
        struct mark *m = findings_add_mark(f);
        *m = (struct mark){(enum mark_kind)kind, {0}, 99, -1, nowhere, 4, "text"};
    }
    const struct tile tile = {.unit = "HU"};
    draw_slice(&c, f, &chest.images.set, 0, tile, 10, 10, 100, 70);
    draw_slice(&c, f, &chest.images.set, 4000000000U, tile, 10, 10, 100, 70);
    draw_slice(&c, f, NULL, 0, tile, 10, 10, 100, 70);
    canvas_finish(&c);
    findings_destroy(f);
    chest_finish(&chest);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"a_page_for_dark_rooms_is_dark", a_page_for_dark_rooms_is_dark},
        {"page_carries_the_label_and_its_parts", page_carries_the_label_and_its_parts},
        {"every_page_of_many_carries_the_label", every_page_of_many_carries_the_label},
        {"pages_are_bounded", pages_are_bounded},
        {"same_findings_give_the_same_bytes", same_findings_give_the_same_bytes},
        {"refusal_is_large_and_shows_no_numbers", refusal_is_large_and_shows_no_numbers},
        {"nothing_found_is_a_page_of_its_own", nothing_found_is_a_page_of_its_own},
        {"document_can_be_searched", document_can_be_searched},
        {"same_findings_give_the_same_document_at_any_time",
         same_findings_give_the_same_document_at_any_time},
        {"a_long_table_goes_on_with_its_head_repeated",
         a_long_table_goes_on_with_its_head_repeated},
        {"empty_and_overwide_tables_are_drawn", empty_and_overwide_tables_are_drawn},
        {"exclusions_have_reason_place_and_value", exclusions_have_reason_place_and_value},
        {"what_no_typeface_has_is_remarked", what_no_typeface_has_is_remarked},
        {"segments_are_rings_with_the_septum_to_the_left",
         segments_are_rings_with_the_septum_to_the_left},
        {"curves_are_drawn_with_names_units_and_guides",
         curves_are_drawn_with_names_units_and_guides},
        {"maps_and_sections_are_drawn_with_bar_and_regions",
         maps_and_sections_are_drawn_with_bar_and_regions},
        {"a_mosaic_stands_beside_the_tables_of_the_first_page",
         a_mosaic_stands_beside_the_tables_of_the_first_page},
        {"pixels_that_cannot_be_read_end_the_pages_or_stay_black",
         pixels_that_cannot_be_read_end_the_pages_or_stay_black},
        {"very_long_texts_stay_on_their_pages", very_long_texts_stay_on_their_pages},
        {"tile_keeps_true_proportions_and_places_marks",
         tile_keeps_true_proportions_and_places_marks},
        {"tile_shows_the_part_in_the_box", tile_shows_the_part_in_the_box},
        {"texts_stay_inside_the_part", texts_stay_inside_the_part},
        {"tile_survives_nonsense", tile_survives_nonsense},
    };
    return check_main("page", cases, sizeof cases / sizeof cases[0]);
}
