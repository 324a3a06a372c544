#include "compute/draw/page.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cairo-pdf.h>
#include "compute/draw/bullseye.h"
#include "compute/draw/pen.h"
#include "compute/draw/plane.h"
#include "compute/draw/plot.h"
#include "compute/draw/table.h"
#include "compute/draw/tile.h"

#define MARGIN         40.0
#define INNER          (PAGE_WIDTH - 2 * MARGIN)
#define BODY_END       (PAGE_HEIGHT - 54.0) // above the footer
#define FACTS_WIDTH    520.0
#define HEADLINE       42.0
#define HEADLINE_SMALL 32.0 // where it would not fit into a line
#define MOSAIC_WIDTH   760.0
#define MOSAIC_GAP     4.0
#define MOSAIC_LEAST   60.0 // smaller tiles show nothing
#define GUTTER         40.0
#define WARNING_STEP   25.0
#define FACT_STEP      22.0
#define TEXT_LINES     10    // of one wrapped warning, fact or reason
#define TILE_LEAST     250.0 // height below which an image is moved to the next page
#define TILE_GAP       14.0
#define CAPTION        26.0
#define TILES_A_ROW    4
#define PLOT_HEIGHT    330.0
#define PLOTS_A_ROW    2
#define EYE_HEIGHT     400.0
#define EYES_A_ROW     3
#define LEGEND_STEP    24.0
#define LEGEND_ROWS    4
#define A4_WIDTH       841.89 // points, landscape
#define A4_HEIGHT      595.28

// What is left to lay out, page by page. The first pass only counts pages.
struct layout {
    const struct findings *f;
    const struct image_set *set; // NULL: no images
    const struct page_context *context;
    const struct page_table *exclusions; // NULL: none
    struct plane *sections;              // [section_count]; NULL: not read
    struct pen *pen;
    bool dry;                                              // pixels are not needed
    bool refused;                                          // not evaluable or failed
    bool lacks_glyphs;                                     // on this page
    uint32_t page, pages;                                  // pages 0: not known yet
    double y;                                              // first free line of this page
    uint32_t warning, table, row, fact, curve, eye, image; // image: page images, then sections
    bool pixels_broken;                                    // *pixels_err says why
    struct err pixels_err;
};

// ---- the parts of a page ----

static const char *title_of(const struct layout *l)
{
    if (l->f->page.title && *l->f->page.title)
        return l->f->page.title;
    return l->context->title ? l->context->title : "Analysis";
}

static void draw_head(struct layout *l)
{
    struct pen *pen = l->pen;
    pen_box(pen, 0, 0, PAGE_WIDTH, PAGE_HEIGHT, ink_paper);
    pen_box(pen, 0, 0, PAGE_WIDTH, 46, ink_alarm);
    pen_ink(pen, ink_white);
    pen_font(pen, FONT_BOLD, 23);
    pen_line(pen, "NOT FOR DIAGNOSTIC USE", MARGIN, 31, INNER, CENTRE);
    pen_ink(pen, ink_text);
    pen_font(pen, FONT_BOLD, 32);
    const bool further = l->page > 1 && l->f->page.headline;
    pen_line(pen, title_of(l), MARGIN, further ? 92 : 100, 820, LEFT);
    pen_ink(pen, ink_accent);
    pen_font(pen, FONT_BOLD, 20);
    if (further)
        pen_line(pen, l->f->page.headline, MARGIN, 120, 820, LEFT);
    const char *const right[] = {l->context->study_description, l->context->series_description,
                                 l->context->date};
    double y = 74;
    pen_font(pen, FONT_REGULAR, 17);
    pen_ink(pen, ink_quiet);
    for (int i = 0; i < 3; i++) {
        if (!right[i] || !*right[i])
            continue;
        pen_line(pen, right[i], MARGIN + 840, y, INNER - 840, RIGHT);
        y += 22;
    }
    pen_rule(pen, MARGIN, 130, INNER, 3, ink_accent);
    l->y = 148;
}

static void draw_foot(struct layout *l, bool cut)
{
    struct pen *pen = l->pen;
    const struct page_context *c = l->context;
    char left[512], right[160];
    l->lacks_glyphs = pen_lacked_glyph(pen);
    snprintf(left, sizeof left, "%.100s%s%.40s%s%.160s%s", c->software ? c->software : "",
             c->version && *c->version ? "  |  analysis version " : "",
             c->version ? c->version : "", c->device && *c->device ? "  |  " : "",
             c->device ? c->device : "", "  |  for research use");
    snprintf(right, sizeof right, "%s%spage %u of %u",
             l->lacks_glyphs ? "[U+...] has no typeface here  |  " : "",
             cut ? "more was found than is shown  |  " : "", l->page, l->pages);
    pen_rule(pen, MARGIN, PAGE_HEIGHT - 46, INNER, 1, ink_rule);
    pen_ink(pen, ink_quiet);
    pen_font(pen, FONT_REGULAR, 15);
    pen_line(pen, left, MARGIN, PAGE_HEIGHT - 20, INNER - 540, LEFT);
    pen_line(pen, right, MARGIN + INNER - 520, PAGE_HEIGHT - 20, 520, RIGHT);
}

static void draw_headline(struct layout *l)
{
    const char *text = l->f->page.headline;
    if (!text || !*text)
        return;
    pen_ink(l->pen, ink_accent);
    pen_font(l->pen, FONT_BOLD, HEADLINE);
    if (pen_width(l->pen, text) > INNER)
        pen_font(l->pen, FONT_BOLD, HEADLINE_SMALL);
    const unsigned lines = pen_wrap(l->pen, text, MARGIN, l->y + 46, INNER, 50, 2, LEFT);
    l->y += 22 + 50.0 * lines;
}

// Why there are no numbers, too large to be overlooked.
static void draw_refusal(struct layout *l)
{
    struct pen *pen = l->pen;
    pen_ink(pen, ink_alarm);
    pen_font(pen, FONT_BOLD, 64);
    pen_line(pen, l->f->verdict == VERDICT_FAILED ? "ANALYSIS FAILED" : "NOT EVALUABLE", MARGIN,
             l->y + 84, INNER, LEFT);
    pen_ink(pen, ink_text);
    pen_font(pen, FONT_REGULAR, 30);
    const unsigned lines =
        pen_wrap(pen, l->f->reason, MARGIN, l->y + 142, INNER, 40, TEXT_LINES, LEFT);
    l->y += 160 + 40.0 * lines;
    pen_font(pen, FONT_REGULAR, 22);
    pen_ink(pen, ink_quiet);
    pen_line(pen, "No measurement was made.", MARGIN, l->y + 12, INNER, LEFT);
    l->y += 50;
}

static unsigned draw_warning(struct layout *l, uint32_t i, double y)
{
    return pen_wrap(l->pen, l->f->page.warnings[i], MARGIN + 26, y + 18, INNER - 50, WARNING_STEP,
                    TEXT_LINES, LEFT);
}

// Warnings that fit, in one box.
static void draw_warnings(struct layout *l)
{
    const struct page *page = &l->f->page;
    const uint32_t first = l->warning;
    double y = l->y + 12;
    pen_font(l->pen, FONT_BOLD, 19);
    while (l->warning < page->warning_count) { // the box is below its text: its height comes first
        const double height = WARNING_STEP * draw_warning(l, l->warning, NAN);
        if (l->warning > first && y + height > BODY_END - 40)
            break;
        y += height + 4;
        l->warning++;
    }
    if (l->warning == first)
        return;
    pen_box(l->pen, MARGIN, l->y, INNER, y + 4 - l->y, ink_amber_pale);
    pen_box(l->pen, MARGIN, l->y, 7, y + 4 - l->y, ink_amber);
    pen_ink(l->pen, ink_text);
    double at = l->y + 12;
    for (uint32_t i = first; i < l->warning; i++)
        at += WARNING_STEP * draw_warning(l, i, at) + 4;
    l->y = y + 22;
}

// Tables of the findings, then that of what was left out; NULL: no further one. Refused findings
// have no numbers to show.
static const struct page_table *table_at(const struct layout *l, uint32_t n)
{
    const uint32_t tables = l->refused ? 0 : l->f->page.table_count;
    return n < tables ? &l->f->page.tables[n] : n == tables ? l->exclusions : NULL;
}

static double draw_tables(struct layout *l, double room)
{
    double y = l->y;
    const struct page_table *t;
    while ((t = table_at(l, l->table)) &&
           table_draw(l->pen, t, MARGIN, room, &y, BODY_END, &l->row)) {
        l->table++;
        l->row = 0;
    }
    return y;
}

static double draw_facts(struct layout *l, double x, double width)
{
    struct pen *pen = l->pen;
    const struct page *page = &l->f->page;
    const double top = l->y;
    double y = top + 38;
    if (y + FACT_STEP > BODY_END)
        return top;
    pen_ink(pen, ink_text);
    pen_font(pen, FONT_BOLD, 20);
    pen_line(pen, "Scan and method", x + 18, top + 22, width, LEFT);
    pen_font(pen, FONT_REGULAR, 16);
    for (const uint32_t first = l->fact; l->fact < page->fact_count; l->fact++) {
        const char *text = page->facts[l->fact];
        const unsigned lines = pen_wrap(pen, text, 0, NAN, width - 18, FACT_STEP, TEXT_LINES, LEFT);
        if (l->fact > first && y + FACT_STEP * lines > BODY_END)
            break;
        pen_wrap(pen, text, x + 18, y + 17, width - 18, FACT_STEP, TEXT_LINES, LEFT);
        y += FACT_STEP * lines + 3;
    }
    pen_box(pen, x, top, 3, y - top, ink_rule);
    return y + 20;
}

static bool body_left(const struct layout *l)
{
    return l->fact < l->f->page.fact_count || table_at(l, l->table);
}

// ---- curves ----

static bool curves_left(const struct layout *l)
{
    return !l->refused && l->curve < l->f->curve_count;
}

static void draw_curves(struct layout *l)
{
    while (curves_left(l) && l->y + PLOT_HEIGHT <= BODY_END) {
        const uint32_t left = l->f->curve_count - l->curve;
        const uint32_t columns = left < PLOTS_A_ROW ? left : PLOTS_A_ROW;
        const double width = (INNER - (columns - 1) * GUTTER) / columns;
        for (uint32_t n = 0; n < columns; n++, l->curve++)
            plot_draw(l->pen, &l->f->curves[l->curve], MARGIN + n * (width + GUTTER), l->y, width,
                      PLOT_HEIGHT - 20);
        l->y += PLOT_HEIGHT;
    }
}

// ---- rings of segments ----

static bool eyes_left(const struct layout *l)
{
    return !l->refused && l->eye < l->f->page.bullseye_count;
}

static void draw_eyes(struct layout *l)
{
    while (eyes_left(l) && l->y + EYE_HEIGHT <= BODY_END) {
        const uint32_t left = l->f->page.bullseye_count - l->eye;
        const uint32_t columns = left < EYES_A_ROW ? left : EYES_A_ROW;
        const double width = (INNER - (columns - 1) * GUTTER) / columns;
        for (uint32_t n = 0; n < columns; n++, l->eye++)
            bullseye_draw(l->pen, &l->f->page.bullseyes[l->eye], MARGIN + n * (width + GUTTER),
                          l->y, width, EYE_HEIGHT - 20);
        l->y += EYE_HEIGHT;
    }
}

// ---- images and sections ----

static bool has_pixels(const struct layout *l)
{
    return l->set && l->set->pixels;
}

static uint32_t tile_count(const struct layout *l)
{
    if (l->refused || !has_pixels(l))
        return 0;
    return l->f->page.image_count + l->f->page.section_count;
}

static bool images_left(const struct layout *l)
{
    return l->image < tile_count(l);
}

// What is wrong with an image leaves it black; what is wrong with the machine ends the pages.
static void note_pixels(struct layout *l, const struct err *err)
{
    if (err->code == ERR_INPUT || l->pixels_broken)
        return;
    l->pixels_broken = true;
    l->pixels_err = *err;
}

static void draw_image(struct layout *l, const struct page_image *image, double x, double y,
                       double width, double height)
{
    static const struct tile plain = {0};
    const double at[4] = {x, y, width, height};
    struct err err = {0};
    if (!tile_image(l->pen, l->set, l->f, image, &plain, true, at, &err))
        note_pixels(l, &err);
}

static void draw_section(struct layout *l, uint32_t n, double x, double y, double width,
                         double height)
{
    const struct page_section *section = &l->f->page.sections[n];
    struct tile tile = {.plane = l->sections ? &l->sections[n] : NULL};
    memcpy(tile.window, section->window, sizeof tile.window);
    tile_draw(l->pen, l->f, &tile, x, y, width, height);
}

static void draw_caption(struct layout *l, uint32_t n, double x, double y, double width)
{
    const uint32_t images = l->f->page.image_count;
    char name[96] = "";
    const char *text =
        n < images ? l->f->page.images[n].caption : l->f->page.sections[n - images].caption;
    if (!text && n < images) {
        const struct place *p = &l->f->page.images[n].place;
        if (p->image < l->set->image_count)
            image_place_name(l->set, p->image, p->slice, p->point, name, sizeof name);
        text = name;
    }
    pen_ink(l->pen, ink_caption);
    pen_font(l->pen, FONT_REGULAR, 16);
    pen_line(l->pen, text, x, y, width, CENTRE);
}

// Whether some tile shows regions; then the legend names them.
static bool regions_shown(const struct layout *l)
{
    const struct page *page = &l->f->page;
    for (uint32_t i = 0; i < page->image_count; i++) {
        if (page->images[i].regions)
            return true;
    }
    for (uint32_t i = 0; i < page->section_count; i++) {
        if (page->sections[i].regions)
            return true;
    }
    return false;
}

static const char *layer_words(const struct layer *layer)
{
    return layer->description && *layer->description ? layer->description : layer->name;
}

// What is the same in name and colour is named once.
static bool layer_names(const struct findings *f, const struct region *region)
{
    for (uint32_t i = 0; i < f->layer_count; i++) {
        if (strcmp(layer_words(&f->layers[i]), region->label) == 0 &&
            memcmp(f->layers[i].rgb, region->rgb, sizeof region->rgb) == 0)
            return true;
    }
    return false;
}

// Names of layers and regions with their colours, from (left_x, y) on, within inner; y NAN: only
// measured. What does not fit in its rows is counted. Returns its height.
static double draw_legend(struct layout *l, double left_x, double inner, double y)
{
    const struct findings *f = l->f;
    const uint32_t regions = regions_shown(l) ? f->region_count : 0;
    const uint32_t count = f->layer_count + regions;
    uint32_t left = f->layer_count;
    for (uint32_t i = 0; i < regions; i++)
        left += !layer_names(f, &f->regions[i]);
    double x = left_x;
    unsigned row = 0;
    pen_font(l->pen, FONT_REGULAR, 16);
    for (uint32_t i = 0; i < count; i++) {
        const struct region *region = i < f->layer_count ? NULL : &f->regions[i - f->layer_count];
        const char *name = region ? region->label : layer_words(&f->layers[i]);
        if (region && layer_names(f, region))
            continue;
        const double width = fmin(pen_width(l->pen, name), inner - 120);
        const double room = row + 1 == LEGEND_ROWS ? inner - 120 : inner; // "and 100 more"
        if (x > left_x && x + 22 + width > left_x + room) {
            char more[32];
            snprintf(more, sizeof more, "and %u more", left);
            if (row + 1 == LEGEND_ROWS) {
                pen_ink(l->pen, ink_caption);
                if (isfinite(y))
                    pen_line(l->pen, more, x, y + row * LEGEND_STEP, 120, LEFT);
                break;
            }
            x = left_x;
            row++;
        }
        if (isfinite(y)) {
            pen_rgb(l->pen, region ? region->rgb : f->layers[i].rgb);
            cairo_rectangle(pen_cairo(l->pen), x, y + row * LEGEND_STEP - 12, 14, 14);
            cairo_fill(pen_cairo(l->pen));
            pen_ink(l->pen, ink_caption);
            pen_line(l->pen, name, x + 22, y + row * LEGEND_STEP, width + 1, LEFT);
        }
        x += width + 52;
        left--;
    }
    return count ? 10 + LEGEND_STEP * (row + 1) : 10;
}

// Whether the page has a mosaic, which is on the first one.
static bool has_mosaic(const struct layout *l)
{
    const struct page *page = &l->f->page;
    return l->page == 1 && page->mosaic && page->mosaic <= page->image_count &&
           page->mosaic_columns && tile_count(l);
}

// The row and the column of an image of the mosaic, whose kinds (an image, a map) begin rows.
static void mosaic_cell(const struct page *page, uint32_t image, uint32_t *row, uint32_t *column)
{
    *row = *column = 0;
    for (uint32_t n = 1; n <= image; n++) {
        const bool next =
            *column + 1 == page->mosaic_columns || page->images[n].map != page->images[n - 1].map;
        *column = next ? 0 : *column + 1;
        *row += next;
    }
}

// The first images, small. The last of a row of a map has the bar of its colours. Returns its lower
// border.
static double draw_mosaic(struct layout *l, double x, double width)
{
    const struct page *page = &l->f->page;
    const double legend = draw_legend(l, x + 10, width - 20, NAN);
    uint32_t row, column;
    mosaic_cell(page, page->mosaic - 1, &row, &column);
    const double room = (BODY_END - l->y - legend) / (row + 1) - 2 * MOSAIC_GAP;
    const double most = (width - TILE_BAR_ROOM) / page->mosaic_columns - MOSAIC_GAP;
    const double side = fmin(room, most), step = side + MOSAIC_GAP;
    const double height = legend + (row + 1) * step + MOSAIC_GAP;
    if (side < MOSAIC_LEAST)
        return l->y;
    pen_box(l->pen, x, l->y, width, height, ink_black);
    draw_legend(l, x + 10, width - 20, l->y + 24);
    for (uint32_t n = 0; n < page->mosaic; n++, l->image++) {
        const struct page_image *image = &page->images[n];
        mosaic_cell(page, n, &row, &column);
        const bool last = column + 1 == page->mosaic_columns || n + 1 == page->mosaic ||
                          image[1].map != image->map;
        const struct tile how = {.bare = column > 0, .filled = true};
        const double at[4] = {x + MOSAIC_GAP + column * step,
                              l->y + legend + MOSAIC_GAP + row * step,
                              side + (last && image->map >= 0 ? TILE_BAR_ROOM : 0), side};
        struct err err = {0};
        if (!l->dry && !tile_image(l->pen, l->set, l->f, image, &how, last, at, &err))
            note_pixels(l, &err);
        pen_ink(l->pen, ink_caption);
        pen_font(l->pen, FONT_BOLD, 13);
        if (image->caption)
            pen_edged(l->pen, image->caption, at[0] + 3, at[1] + 14);
    }
    return l->y + height + 14;
}

// Tables on the left, facts beside them or, without tables, over the whole width. Where there is a
// mosaic it stands beside the tables, and facts are on the next page.
static void draw_body(struct layout *l)
{
    const bool mosaic = has_mosaic(l);
    const bool facts = !mosaic && l->fact < l->f->page.fact_count;
    const bool tables = table_at(l, l->table) != NULL;
    const double beside = mosaic ? MOSAIC_WIDTH : facts ? FACTS_WIDTH : 0;
    const double left = beside > 0 ? INNER - beside - GUTTER : INNER;
    const double x = tables || mosaic ? MARGIN + left + GUTTER : MARGIN;
    const double a = tables ? draw_tables(l, left) : l->y;
    const double b = mosaic  ? draw_mosaic(l, x, beside)
                     : facts ? draw_facts(l, x, tables ? FACTS_WIDTH : INNER)
                             : l->y;
    l->y = fmax(a, b);
}

// Rows of tiles in what is left of the page, on a black strip over its whole width.
static void draw_images(struct layout *l)
{
    if (!images_left(l))
        return;
    const double legend = draw_legend(l, MARGIN, INNER, NAN), room = BODY_END - l->y - legend;
    if (room < TILE_LEAST)
        return;
    const uint32_t left = tile_count(l) - l->image, images = l->f->page.image_count;
    const uint32_t rows_wanted = (left + TILES_A_ROW - 1) / TILES_A_ROW;
    uint32_t rows = (uint32_t)(room / (TILE_LEAST + CAPTION + TILE_GAP));
    rows = rows < 1 ? 1 : rows > rows_wanted ? rows_wanted : rows;
    uint32_t columns = (left + rows - 1) / rows; // rows of equal length
    columns = columns < TILES_A_ROW ? columns : TILES_A_ROW;
    const double width = (INNER - (columns - 1) * TILE_GAP) / columns;
    const double height = fmin(room / rows - CAPTION - TILE_GAP, width * 1.1);
    pen_box(l->pen, 0, l->y, PAGE_WIDTH, BODY_END - l->y, ink_black);
    draw_legend(l, MARGIN, INNER, l->y + 24);
    double y = l->y + legend;
    for (uint32_t n = 0; n < rows * columns && images_left(l); n++, l->image++) {
        const double x = MARGIN + n % columns * (width + TILE_GAP);
        if (n > 0 && n % columns == 0)
            y += height + CAPTION + TILE_GAP;
        if (!l->dry && l->image < images)
            draw_image(l, &l->f->page.images[l->image], x, y, width, height);
        else if (!l->dry)
            draw_section(l, l->image - images, x, y, width, height);
        draw_caption(l, l->image, x, y + height + 19, width);
    }
    l->y = BODY_END;
}

// ---- pages ----

static bool anything_left(const struct layout *l)
{
    return l->warning < l->f->page.warning_count || body_left(l) || curves_left(l) ||
           eyes_left(l) || images_left(l);
}

static void draw_page(struct layout *l)
{
    l->page++;
    draw_head(l);
    if (l->page == 1 && l->refused)
        draw_refusal(l);
    else if (l->page == 1)
        draw_headline(l);
    draw_warnings(l);
    if (l->warning == l->f->page.warning_count)
        draw_body(l);
    if (l->warning == l->f->page.warning_count && !body_left(l)) {
        draw_curves(l);
        if (!curves_left(l))
            draw_eyes(l);
        if (!curves_left(l) && !eyes_left(l))
            draw_images(l);
    }
    draw_foot(l, l->page == PAGES_MAX && anything_left(l));
}

// "401.4 mm3", "12 to 15 mL"; "" without a value. Returns text.
static const char *value_text(const struct measurement *m, char *text, size_t size)
{
    text[0] = 0;
    if (!m->concept.value)
        return text;
    if (m->ranged)
        snprintf(text, size, "%.*f to %.*f %s", m->decimals, m->low, m->decimals, m->high,
                 tile_unit(&m->unit));
    else
        snprintf(text, size, "%.*f %s", m->decimals, m->value, tile_unit(&m->unit));
    return text;
}

// The table of what was left out, in the arena of f; NULL in *out without any. False: no memory.
static bool list_exclusions(struct findings *f, const struct image_set *set,
                            const struct page_table **out)
{
    enum { WHAT, WHY, WHERE, VALUE, COLUMNS };
    static const char *const head[COLUMNS] = {"What", "Why", "Where", "Would have counted"};
    const uint32_t count = f->exclusion_count,
                   shown = count < PAGE_EXCLUSIONS_MAX ? count : PAGE_EXCLUSIONS_MAX;
    *out = NULL;
    if (!count)
        return true;
    const uint32_t rows = 1 + shown + (shown < count);
    struct page_table *t = arena_alloc(f->arena, 1, sizeof *t);
    const char **cells = arena_alloc(f->arena, (size_t)rows * COLUMNS, sizeof *cells);
    if (!t || !cells)
        return false;
    memcpy(cells, head, sizeof head);
    for (uint32_t i = 0; i < shown; i++) {
        const struct exclusion *e = &f->exclusions[i];
        const char **row = cells + (size_t)(1 + i) * COLUMNS;
        char where[96] = "", value[96];
        if (e->has_place && set && e->place.image < set->image_count)
            image_place_name(set, e->place.image, e->place.slice, e->place.point, where,
                             sizeof where);
        row[WHAT] = e->what;
        row[WHY] = e->reason;
        row[WHERE] = arena_strdup(f->arena, where);
        row[VALUE] = arena_strdup(f->arena, value_text(&e->value, value, sizeof value));
        if (!row[WHERE] || !row[VALUE])
            return false;
    }
    if (shown < count && !(cells[(size_t)(1 + shown) * COLUMNS] =
                               arena_printf(f->arena, "and %u more", count - shown)))
        return false;
    *t = (struct page_table){"Left out", cells, rows, COLUMNS, false};
    *out = t;
    return true;
}

// False with *err when Cairo, or reading pixels, could not do it.
static bool check(const struct layout *l, struct err *err)
{
    const cairo_status_t status = cairo_status(pen_cairo(l->pen));
    if (l->pixels_broken) {
        if (err)
            *err = l->pixels_err;
        return false;
    }
    if (status == CAIRO_STATUS_SUCCESS)
        return true;
    return err_set(err, status == CAIRO_STATUS_NO_MEMORY ? ERR_NOMEM : ERR_INTERNAL, "page: %s",
                   cairo_status_to_string(status));
}

// How many pages there will be on target; 0 with *err set.
static uint32_t count_pages(struct layout l, cairo_t *target, struct err *err)
{
    cairo_matrix_t matrix;
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, 1, 1);
    cairo_t *cr = cairo_create(surface);
    cairo_get_matrix(target, &matrix); // texts are measured as they will be drawn
    cairo_set_matrix(cr, &matrix);
    l.pen = pen_create(cr, err);
    l.dry = true;
    bool ok = l.pen;
    while (ok && l.page < PAGES_MAX && (l.page == 0 || anything_left(&l))) {
        draw_page(&l);
        ok = check(&l, err);
    }
    pen_destroy(l.pen);
    cairo_destroy(cr);
    cairo_surface_destroy(surface);
    return ok ? l.page : 0;
}

// Takes a page that has been drawn.
typedef bool (*page_taker)(void *ctx, const struct layout *l);

// Draws all pages on cr.
static bool draw_pages(struct findings *f, const struct image_set *set,
                       const struct page_context *context, bool dark, cairo_t *cr, page_taker take,
                       void *ctx, struct err *err)
{
    struct layout l = {.f = f, .set = set, .context = context};
    const uint32_t sections = f->page.section_count;
    l.refused = f->verdict == VERDICT_NOT_EVALUABLE || f->verdict == VERDICT_FAILED;
    bool ok = list_exclusions(f, set, &l.exclusions) ||
              err_set(err, ERR_NOMEM, "page: no memory for a table");
    ok = ok && (l.pages = count_pages(l, cr, err)) > 0;
    if (ok && tile_count(&l) && sections) {
        l.sections = calloc(sections, sizeof *l.sections);
        ok = l.sections ? plane_read_sections(l.sections, set, f, f->page.sections, sections, err)
                        : err_set(err, ERR_NOMEM, "page: no memory for sections");
    }
    ok = ok && (l.pen = pen_create(cr, err));
    if (ok)
        pen_on_dark(l.pen, dark);
    while (ok && l.page < l.pages) {
        draw_page(&l);
        ok = check(&l, err) && (take(ctx, &l) || err_set(err, ERR_NOMEM, "page: no memory for it"));
    }
    for (uint32_t s = 0; l.sections && s < sections; s++)
        plane_finish(&l.sections[s]);
    free(l.sections);
    pen_destroy(l.pen);
    return ok;
}

// ---- pictures ----

struct pictures {
    struct findings *f;
    cairo_surface_t *surface;
};

static bool keep_picture(void *ctx, const struct layout *l)
{
    const struct pictures *to = ctx;
    struct findings *f = to->f;
    struct picture *p = findings_add_picture(f);
    uint8_t *rgb = arena_alloc(f->arena, (size_t)PAGE_WIDTH * PAGE_HEIGHT, 3), *out = rgb;
    if (!p || !rgb)
        return false;
    cairo_surface_flush(to->surface);
    const unsigned char *data = cairo_image_surface_get_data(to->surface);
    const size_t stride = (size_t)cairo_image_surface_get_stride(to->surface);
    for (size_t j = 0; j < PAGE_HEIGHT; j++) {
        for (size_t i = 0; i < PAGE_WIDTH; i++) {
            uint32_t pixel;
            memcpy(&pixel, data + j * stride + 4 * i, sizeof pixel);
            *out++ = (uint8_t)(pixel >> 16);
            *out++ = (uint8_t)(pixel >> 8);
            *out++ = (uint8_t)pixel;
        }
    }
    p->name = arena_printf(f->arena, "page%u", l->page);
    p->title = arena_printf(f->arena, "%s, page %u of %u", title_of(l), l->page, l->pages);
    p->width = PAGE_WIDTH;
    p->height = PAGE_HEIGHT;
    p->rgb = rgb;
    return p->name && p->title;
}

bool page_draw(struct findings *f, const struct image_set *set, const struct page_context *context,
               struct err *err)
{
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, PAGE_WIDTH, PAGE_HEIGHT);
    cairo_t *cr = cairo_create(surface);
    struct pictures to = {f, surface};
    const uint32_t before = f->picture_count;
    const bool ok = draw_pages(f, set, context, !context->light, cr, keep_picture, &to, err);
    if (!ok)
        f->picture_count = before;
    cairo_destroy(cr);
    cairo_surface_destroy(surface);
    return ok;
}

// ---- the document ----

struct bytes {
    uint8_t *data; // malloc
    size_t size, room;
};

static cairo_status_t put_bytes(void *ctx, const unsigned char *data, unsigned int size)
{
    struct bytes *b = ctx;
    if (b->size + size > b->room) {
        const size_t room = (b->size + size) * 2;
        uint8_t *larger = realloc(b->data, room);
        if (!larger)
            return CAIRO_STATUS_NO_MEMORY;
        b->data = larger;
        b->room = room;
    }
    memcpy(b->data + b->size, data, size);
    b->size += size;
    return CAIRO_STATUS_SUCCESS;
}

// Cairo writes the time of day, in a version of PDF without compressed objects in plain sight;
// blanks keep all offsets.
static void drop_date(struct bytes *b)
{
    static const char key[] = "/CreationDate (";
    uint8_t *at = b->size ? memmem(b->data, b->size, key, sizeof key - 1) : NULL;
    uint8_t *end = at ? memchr(at, ')', b->size - (size_t)(at - b->data)) : NULL;
    if (end)
        memset(at, ' ', (size_t)(end - at) + 1);
}

static bool end_page(void *ctx, const struct layout *l)
{
    (void)l;
    cairo_show_page(ctx);
    return true;
}

static bool keep_document(struct findings *f, const char *title, const struct bytes *bytes)
{
    uint8_t *copy = arena_alloc(f->arena, bytes->size, 1);
    const char *name = arena_strdup(f->arena, title);
    struct document *d = copy && name ? findings_add_document(f) : NULL;
    if (!d)
        return false;
    memcpy(copy, bytes->data, bytes->size);
    *d = (struct document){"report", name, "application/pdf", copy, bytes->size};
    return true;
}

bool page_document(struct findings *f, const struct image_set *set,
                   const struct page_context *context, struct err *err)
{
    struct bytes bytes = {0};
    const struct layout named = {.f = f, .context = context};
    const double scale = fmin(A4_WIDTH / PAGE_WIDTH, A4_HEIGHT / PAGE_HEIGHT);
    cairo_surface_t *surface =
        cairo_pdf_surface_create_for_stream(put_bytes, &bytes, A4_WIDTH, A4_HEIGHT);
    cairo_pdf_surface_restrict_to_version(surface, CAIRO_PDF_VERSION_1_4);
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_TITLE, title_of(&named));
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATOR,
                                   context->software ? context->software : "");
    cairo_t *cr = cairo_create(surface);
    cairo_translate(cr, (A4_WIDTH - PAGE_WIDTH * scale) / 2, (A4_HEIGHT - PAGE_HEIGHT * scale) / 2);
    cairo_scale(cr, scale, scale);
    bool ok = draw_pages(f, set, context, false, cr, end_page, cr, err);
    cairo_destroy(cr);
    cairo_surface_finish(surface);
    const cairo_status_t status = cairo_surface_status(surface);
    if (ok && status != CAIRO_STATUS_SUCCESS)
        ok = err_set(err, status == CAIRO_STATUS_NO_MEMORY ? ERR_NOMEM : ERR_INTERNAL,
                     "document: %s", cairo_status_to_string(status));
    drop_date(&bytes);
    ok = ok && (keep_document(f, title_of(&named), &bytes) ||
                err_set(err, ERR_NOMEM, "document: no memory"));
    cairo_surface_destroy(surface);
    free(bytes.data);
    return ok;
}
