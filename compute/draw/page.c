#include "compute/draw/page.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <cairo.h>
#include "compute/draw/font.h"
#include "compute/draw/tile.h"

#define MARGIN      40.0
#define INNER       (PAGE_WIDTH - 2 * MARGIN)
#define BODY_END    (PAGE_HEIGHT - 54.0) // above the footer
#define FACTS_WIDTH 520.0
#define GUTTER      40.0
#define ROW_HEIGHT  31.0
#define COLUMNS_MAX 24
#define LINES_MAX   10 // of one wrapped text
#define LINE_SIZE   256
#define TILE_LEAST  250.0 // height below which an image is moved to the next page
#define TILE_GAP    14.0
#define CAPTION     26.0
#define TILES_A_ROW 4

struct ink {
    double r, g, b;
};
static const struct ink ink_text = {0.10, 0.14, 0.19}, ink_quiet = {0.38, 0.44, 0.51},
                        ink_accent = {0.02, 0.29, 0.47}, ink_rule = {0.78, 0.82, 0.86},
                        ink_stripe = {0.955, 0.965, 0.975}, ink_white = {1, 1, 1},
                        ink_alarm = {0.64, 0.08, 0.10}, ink_amber = {0.88, 0.62, 0.0},
                        ink_amber_pale = {1.0, 0.965, 0.86}, ink_black = {0, 0, 0},
                        ink_caption = {0.86, 0.89, 0.92};

// What is left to lay out, page by page. The first pass only counts pages (cr draws nowhere).
struct layout {
    const struct findings *f;
    const struct volume *v; // NULL: no images
    const struct page_context *context;
    cairo_t *cr;
    bool dry;
    bool refused;         // not evaluable or failed
    uint32_t page, pages; // pages 0: not known yet
    double y;             // first free line of this page
    uint32_t warning, table, row, fact, image;
};

// ---- text ----

// Copies what is UTF-8 of text; other bytes and control characters become '?'.
static void clean(const char *text, char *out, size_t size)
{
    size_t used = 0;
    for (const unsigned char *p = (const unsigned char *)(text ? text : "");
         *p && used + 5 < size;) {
        size_t more = *p < 0x80                 ? 0
                      : *p >= 0xc2 && *p < 0xe0 ? 1
                      : (*p & 0xf0) == 0xe0     ? 2
                      : *p >= 0xf0 && *p < 0xf5 ? 3
                                                : 4;
        bool ok = more < 4 && *p >= 0x20 && *p != 0x7f;
        for (size_t i = 1; ok && i <= more; i++)
            ok = (p[i] & 0xc0) == 0x80;
        // overlong forms, surrogates, beyond U+10FFFF
        ok = ok && !(*p == 0xe0 && p[1] < 0xa0) && !(*p == 0xed && p[1] >= 0xa0) &&
             !(*p == 0xf0 && p[1] < 0x90) && !(*p == 0xf4 && p[1] >= 0x90);
        if (ok) {
            memcpy(out + used, p, more + 1);
            used += more + 1;
            p += more + 1;
        } else {
            out[used++] = '?';
            p++;
        }
    }
    out[used] = 0;
}

static void use(cairo_t *cr, struct ink ink)
{
    cairo_set_source_rgb(cr, ink.r, ink.g, ink.b);
}

static void set_font(cairo_t *cr, enum font font, double size)
{
    cairo_set_font_face(cr, font_face(font));
    cairo_set_font_size(cr, size);
}

static double text_width(cairo_t *cr, const char *text)
{
    cairo_text_extents_t e;
    cairo_text_extents(cr, text, &e);
    return e.x_advance;
}

// The longest beginning of text, in whole characters, that fits; *len bytes with "..." when cut.
static void cut_to(cairo_t *cr, const char *text, double width, char out[LINE_SIZE])
{
    clean(text, out, LINE_SIZE - 4);
    size_t len = strlen(out);
    while (len > 0 && text_width(cr, out) > width) {
        do
            len--;
        while (len > 0 && ((unsigned char)out[len] & 0xc0) == 0x80);
        memcpy(out + len, "...", 4);
    }
}

enum align { LEFT, CENTRE, RIGHT };

// One line with its baseline at y, cut when it is wider than width.
static void put(cairo_t *cr, const char *text, double x, double y, double width, enum align align)
{
    char line[LINE_SIZE];
    cut_to(cr, text, width, line);
    double free_width = width - text_width(cr, line);
    cairo_move_to(cr, x + (align == LEFT ? 0 : align == RIGHT ? free_width : free_width / 2), y);
    cairo_show_text(cr, line);
}

struct lines {
    char text[LINES_MAX][LINE_SIZE];
    int count;
};

// Breaks at blanks so that every line fits; what is more than LINES_MAX lines is cut.
static void wrap(cairo_t *cr, const char *text, double width, struct lines *out)
{
    char copy[LINES_MAX * LINE_SIZE];
    clean(text, copy, sizeof copy);
    out->count = 0;
    char *rest = copy, line[LINE_SIZE] = "";
    for (char *word = strsep(&rest, " "); word && out->count < LINES_MAX;
         word = strsep(&rest, " ")) {
        char longer[2 * LINE_SIZE];
        snprintf(longer, sizeof longer, "%s%s%.200s", line, *line ? " " : "", word);
        bool fits = strlen(longer) < LINE_SIZE && text_width(cr, longer) <= width;
        if (!fits && *line) {
            memcpy(out->text[out->count++], line, sizeof line);
            snprintf(longer, sizeof longer, "%.200s", word);
        }
        cut_to(cr, longer, width, line);
    }
    if (*line && out->count < LINES_MAX)
        memcpy(out->text[out->count++], line, sizeof line);
}

static void put_lines(cairo_t *cr, const struct lines *lines, double x, double y, double step)
{
    for (int i = 0; i < lines->count; i++) {
        cairo_move_to(cr, x, y + i * step);
        cairo_show_text(cr, lines->text[i]);
    }
}

static void box(cairo_t *cr, double x, double y, double width, double height, struct ink fill)
{
    use(cr, fill);
    cairo_rectangle(cr, x, y, width, height);
    cairo_fill(cr);
}

static void rule(cairo_t *cr, double x, double y, double width, double thickness, struct ink ink)
{
    box(cr, x, y - thickness / 2, width, thickness, ink);
}

// ---- the parts of a page ----

static const char *title_of(const struct layout *l)
{
    if (l->f->page.title && *l->f->page.title)
        return l->f->page.title;
    return l->context->title ? l->context->title : "Analysis";
}

static void draw_head(struct layout *l)
{
    cairo_t *cr = l->cr;
    box(cr, 0, 0, PAGE_WIDTH, PAGE_HEIGHT, ink_white);
    box(cr, 0, 0, PAGE_WIDTH, 46, ink_alarm);
    use(cr, ink_white);
    set_font(cr, FONT_BOLD, 23);
    put(cr, "NOT FOR DIAGNOSTIC USE", MARGIN, 31, INNER, CENTRE);
    use(cr, ink_text);
    set_font(cr, FONT_BOLD, 32);
    bool further = l->page > 1 && l->f->page.headline;
    put(cr, title_of(l), MARGIN, further ? 92 : 100, 820, LEFT);
    use(cr, ink_accent);
    set_font(cr, FONT_BOLD, 20);
    if (further)
        put(cr, l->f->page.headline, MARGIN, 120, 820, LEFT);
    const char *const right[] = {l->context->study_description, l->context->series_description,
                                 l->context->date};
    double y = 74;
    set_font(cr, FONT_REGULAR, 17);
    use(cr, ink_quiet);
    for (int i = 0; i < 3; i++) {
        if (!right[i] || !*right[i])
            continue;
        put(cr, right[i], MARGIN + 840, y, INNER - 840, RIGHT);
        y += 22;
    }
    rule(cr, MARGIN, 130, INNER, 3, ink_accent);
    l->y = 148;
}

static void draw_foot(struct layout *l, bool cut)
{
    cairo_t *cr = l->cr;
    const struct page_context *c = l->context;
    char left[LINE_SIZE], right[96];
    snprintf(left, sizeof left, "%s%s%s%s%s%s", c->software ? c->software : "",
             c->version && *c->version ? "  |  analysis version " : "",
             c->version ? c->version : "", c->device && *c->device ? "  |  " : "",
             c->device ? c->device : "", "  |  for research use");
    snprintf(right, sizeof right, "%spage %u of %u", cut ? "more was found than is shown, " : "",
             l->page, l->pages);
    rule(cr, MARGIN, PAGE_HEIGHT - 46, INNER, 1, ink_rule);
    use(cr, ink_quiet);
    set_font(cr, FONT_REGULAR, 15);
    put(cr, left, MARGIN, PAGE_HEIGHT - 20, INNER - 420, LEFT);
    put(cr, right, MARGIN + INNER - 400, PAGE_HEIGHT - 20, 400, RIGHT);
}

static void draw_headline(struct layout *l)
{
    const char *text = l->f->page.headline;
    if (!text || !*text)
        return;
    use(l->cr, ink_accent);
    set_font(l->cr, FONT_BOLD, 42);
    put(l->cr, text, MARGIN, l->y + 46, INNER, LEFT);
    l->y += 72;
}

// Why there are no numbers, too large to be overlooked.
static void draw_refusal(struct layout *l)
{
    cairo_t *cr = l->cr;
    struct lines lines;
    use(cr, ink_alarm);
    set_font(cr, FONT_BOLD, 64);
    const char *head = l->f->verdict == VERDICT_FAILED ? "ANALYSIS FAILED" : "NOT EVALUABLE";
    put(cr, head, MARGIN, l->y + 84, INNER, LEFT);
    use(cr, ink_text);
    set_font(cr, FONT_REGULAR, 30);
    wrap(cr, l->f->reason ? l->f->reason : "", INNER, &lines);
    put_lines(cr, &lines, MARGIN, l->y + 142, 40);
    l->y += 160 + 40.0 * lines.count;
    set_font(cr, FONT_REGULAR, 22);
    use(cr, ink_quiet);
    put(cr, "No measurement was made.", MARGIN, l->y + 12, INNER, LEFT);
    l->y += 50;
}

// Warnings that fit, in one box.
static void draw_warnings(struct layout *l)
{
    cairo_t *cr = l->cr;
    const struct page *page = &l->f->page;
    double top = l->y, y = top;
    uint32_t first = l->warning;
    struct lines lines;
    // the box must be below its text, so its height is found first
    for (int paint = 0; paint < 2 && first < page->warning_count; paint++) {
        if (paint) {
            box(cr, MARGIN, top, INNER, y + 4 - top, ink_amber_pale);
            box(cr, MARGIN, top, 7, y + 4 - top, ink_amber);
        }
        y = top + 12;
        use(cr, ink_text);
        set_font(cr, FONT_BOLD, 19);
        uint32_t end = paint ? l->warning : page->warning_count;
        for (uint32_t i = first; i < end; i++) {
            wrap(cr, page->warnings[i], INNER - 50, &lines);
            if (!paint && i > first && y + 25.0 * lines.count > BODY_END - 40)
                break;
            if (paint)
                put_lines(cr, &lines, MARGIN + 26, y + 18, 25);
            else
                l->warning = i + 1;
            y += 25.0 * lines.count + 4;
        }
    }
    if (l->warning > first)
        l->y = y + 22;
}

static const char *cell(const struct page_table *t, uint32_t row, uint32_t column)
{
    const char *text = t->cells[(size_t)row * t->columns + column];
    return text ? text : "";
}

// Columns of numbers are set flush right, so that digits of one place stand below each other.
static bool is_numeric(const struct page_table *t, uint32_t column)
{
    bool digits = false;
    for (uint32_t row = 1; row < t->rows; row++) {
        const char *text = cell(t, row, column);
        if (text[strspn(text, "0123456789.,+-<>=~% ")])
            return false;
        digits = digits || strpbrk(text, "0123456789");
    }
    return digits;
}

struct columns {
    uint32_t count;
    double x[COLUMNS_MAX], width[COLUMNS_MAX];
    bool numeric[COLUMNS_MAX];
    double total;
};

static void measure_columns(cairo_t *cr, const struct page_table *t, double room,
                            struct columns *out)
{
    char text[LINE_SIZE];
    out->count = t->columns < COLUMNS_MAX ? t->columns : COLUMNS_MAX;
    out->total = 0;
    for (uint32_t c = 0; c < out->count; c++) {
        double width = 0;
        for (uint32_t row = 0; row < t->rows; row++) {
            set_font(cr, row == 0 || row + 1 == t->rows ? FONT_BOLD : FONT_REGULAR, 18);
            clean(cell(t, row, c), text, sizeof text);
            width = fmax(width, text_width(cr, text));
        }
        out->numeric[c] = is_numeric(t, c);
        out->width[c] = width + 36;
        out->total += out->width[c];
    }
    // wide tables shrink, narrow ones get some air
    double factor = out->total > room ? room / out->total : fmin(1.35, room / out->total);
    double x = MARGIN;
    for (uint32_t c = 0; c < out->count; c++) {
        out->width[c] *= factor;
        out->x[c] = x;
        x += out->width[c];
    }
    out->total *= factor;
}

static void draw_row(cairo_t *cr, const struct page_table *t, uint32_t row, const struct columns *k,
                     double y)
{
    bool head = row == 0, total = row > 0 && row + 1 == t->rows;
    if (!head && row % 2 == 0 && !total)
        box(cr, MARGIN, y, k->total, ROW_HEIGHT, ink_stripe);
    if (total)
        rule(cr, MARGIN, y, k->total, 1.5, ink_quiet);
    use(cr, head ? ink_accent : ink_text);
    set_font(cr, head || total ? FONT_BOLD : FONT_REGULAR, 18);
    for (uint32_t c = 0; c < k->count; c++)
        put(cr, cell(t, row, c), k->x[c] + 12, y + 22, k->width[c] - 24,
            k->numeric[c] ? RIGHT : LEFT);
    if (head)
        rule(cr, MARGIN, y + ROW_HEIGHT, k->total, 1.5, ink_accent);
}

// Rows of the current table that fit; true when the table is done.
static bool draw_table(struct layout *l, double room, double *y)
{
    const struct page_table *t = &l->f->page.tables[l->table];
    if (t->rows == 0 || t->columns == 0)
        return true;
    double needed = 34 + 2 * ROW_HEIGHT;
    if (*y + needed > BODY_END)
        return false;
    struct columns k;
    measure_columns(l->cr, t, room, &k);
    char title[LINE_SIZE];
    snprintf(title, sizeof title, "%.200s%s", t->title ? t->title : "",
             l->row ? " (continued)" : "");
    use(l->cr, ink_text);
    set_font(l->cr, FONT_BOLD, 20);
    put(l->cr, title, MARGIN, *y + 22, room, LEFT);
    *y += 34;
    draw_row(l->cr, t, 0, &k, *y);
    *y += ROW_HEIGHT;
    for (l->row = l->row ? l->row : 1; l->row < t->rows; l->row++) {
        if (*y + ROW_HEIGHT > BODY_END)
            return false;
        draw_row(l->cr, t, l->row, &k, *y);
        *y += ROW_HEIGHT;
    }
    *y += 20;
    return true;
}

static double draw_tables(struct layout *l, double room)
{
    double y = l->y;
    while (!l->refused && l->table < l->f->page.table_count && draw_table(l, room, &y)) {
        l->table++;
        l->row = 0;
    }
    return y;
}

static double draw_facts(struct layout *l, double x, double width)
{
    cairo_t *cr = l->cr;
    const struct page *page = &l->f->page;
    double top = l->y, y = top + 38;
    struct lines lines;
    use(cr, ink_text);
    set_font(cr, FONT_BOLD, 20);
    put(cr, "Scan and method", x + 18, top + 22, width, LEFT);
    set_font(cr, FONT_REGULAR, 16);
    for (uint32_t first = l->fact; l->fact < page->fact_count; l->fact++) {
        wrap(cr, page->facts[l->fact], width - 18, &lines);
        if (l->fact > first && y + 22.0 * lines.count > BODY_END)
            break;
        use(cr, ink_text);
        put_lines(cr, &lines, x + 18, y + 17, 22);
        y += 22.0 * lines.count + 3;
    }
    box(cr, x, top, 3, y - top, ink_rule);
    return y + 20;
}

// Tables on the left, facts beside them or, without tables, over the whole width.
static void draw_body(struct layout *l)
{
    const struct page *page = &l->f->page;
    bool facts = l->fact < page->fact_count, tables = !l->refused && l->table < page->table_count;
    double left = facts ? INNER - FACTS_WIDTH - GUTTER : INNER;
    double facts_x = tables ? MARGIN + left + GUTTER : MARGIN;
    double a = tables ? draw_tables(l, left) : l->y;
    double b = facts ? draw_facts(l, facts_x, tables ? FACTS_WIDTH : INNER) : l->y;
    l->y = fmax(a, b);
}

static void draw_legend(struct layout *l, double y)
{
    cairo_t *cr = l->cr;
    double x = MARGIN;
    set_font(cr, FONT_REGULAR, 16);
    for (uint32_t i = 0; i < l->f->layer_count; i++) {
        const struct layer *layer = &l->f->layers[i];
        const char *name =
            layer->description && *layer->description ? layer->description : layer->name;
        char text[LINE_SIZE];
        clean(name, text, sizeof text);
        double width = text_width(cr, text);
        if (x + width + 24 > MARGIN + INNER)
            return;
        cairo_set_source_rgb(cr, layer->rgb[0] / 255.0, layer->rgb[1] / 255.0,
                             layer->rgb[2] / 255.0);
        cairo_rectangle(cr, x, y - 12, 14, 14);
        cairo_fill(cr);
        use(cr, ink_caption);
        cairo_move_to(cr, x + 22, y);
        cairo_show_text(cr, text);
        x += width + 52;
    }
}

static bool images_left(const struct layout *l)
{
    return l->v && !l->refused && l->image < l->f->page.image_count;
}

// Rows of images in what is left of the page, on a black strip over its whole width.
static void draw_images(struct layout *l)
{
    cairo_t *cr = l->cr;
    const struct page *page = &l->f->page;
    double legend = l->f->layer_count ? 34 : 10, room = BODY_END - l->y - legend;
    if (!images_left(l) || room < TILE_LEAST)
        return;
    uint32_t left = page->image_count - l->image;
    uint32_t rows_wanted = (left + TILES_A_ROW - 1) / TILES_A_ROW;
    uint32_t rows = (uint32_t)(room / (TILE_LEAST + CAPTION + TILE_GAP));
    rows = rows < 1 ? 1 : rows > rows_wanted ? rows_wanted : rows;
    uint32_t columns = (left + rows - 1) / rows; // rows of equal length
    columns = columns < TILES_A_ROW ? columns : TILES_A_ROW;
    double width = (INNER - (columns - 1) * TILE_GAP) / columns;
    double height = fmin(room / rows - CAPTION - TILE_GAP, width * 1.1);
    box(cr, 0, l->y, PAGE_WIDTH, BODY_END - l->y, ink_black);
    draw_legend(l, l->y + 24);
    double y = l->y + legend;
    for (uint32_t n = 0; n < rows * columns && images_left(l); n++, l->image++) {
        const struct page_image *image = &page->images[l->image];
        double x = MARGIN + n % columns * (width + TILE_GAP);
        if (n > 0 && n % columns == 0)
            y += height + CAPTION + TILE_GAP;
        if (!l->dry)
            tile_draw(cr, l->f, l->v, image, x, y, width, height);
        use(cr, ink_caption);
        set_font(cr, FONT_REGULAR, 16);
        put(cr, image->caption, x, y + height + 19, width, CENTRE);
    }
    l->y = BODY_END;
}

static bool anything_left(const struct layout *l)
{
    const struct page *page = &l->f->page;
    return l->warning < page->warning_count || l->fact < page->fact_count ||
           (!l->refused && l->table < page->table_count) || images_left(l);
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
    if (l->warning == l->f->page.warning_count) {
        draw_body(l);
        if (l->fact == l->f->page.fact_count && (l->refused || l->table == l->f->page.table_count))
            draw_images(l);
    }
    draw_foot(l, l->page == PAGES_MAX && anything_left(l));
}

// ---- pictures ----

static struct layout start(const struct findings *f, const struct volume *v,
                           const struct page_context *context, cairo_t *cr)
{
    return (struct layout){.f = f,
                           .v = v,
                           .context = context,
                           .cr = cr,
                           .refused =
                               f->verdict == VERDICT_NOT_EVALUABLE || f->verdict == VERDICT_FAILED};
}

static bool keep_picture(struct findings *f, cairo_surface_t *surface, const struct layout *l)
{
    struct picture *p = findings_add_picture(f);
    uint8_t *rgb = arena_alloc(f->arena, (size_t)PAGE_WIDTH * PAGE_HEIGHT, 3), *out = rgb;
    if (!p || !rgb)
        return false;
    cairo_surface_flush(surface);
    const unsigned char *data = cairo_image_surface_get_data(surface);
    size_t stride = (size_t)cairo_image_surface_get_stride(surface);
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

// False with *err when Cairo could not do it.
static bool check(cairo_t *cr, struct err *err)
{
    cairo_status_t status = cairo_status(cr);
    if (status == CAIRO_STATUS_SUCCESS)
        return true;
    return err_set(err, status == CAIRO_STATUS_NO_MEMORY ? ERR_NOMEM : ERR_INTERNAL, "page: %s",
                   cairo_status_to_string(status));
}

static bool draw_all(struct findings *f, struct layout count, cairo_surface_t *surface,
                     struct err *err)
{
    struct layout l = count;
    count.dry = true;
    do
        draw_page(&count);
    while (anything_left(&count) && count.page < PAGES_MAX);
    l.pages = count.page;
    do {
        draw_page(&l);
        if (!check(l.cr, err))
            return false;
        if (!keep_picture(f, surface, &l))
            return err_set(err, ERR_NOMEM, "page: no memory for a picture");
    } while (l.page < l.pages);
    return true;
}

bool page_draw(struct findings *f, const struct volume *v, const struct page_context *context,
               struct err *err)
{
    if (!font_face(FONT_REGULAR) || !font_face(FONT_BOLD))
        return err_set(err, ERR_NOMEM, "page: no memory for the typefaces");
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, PAGE_WIDTH, PAGE_HEIGHT);
    cairo_t *cr = cairo_create(surface);
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    cairo_set_font_options(cr, options);
    uint32_t before = f->picture_count;
    bool ok = check(cr, err) && draw_all(f, start(f, v, context, cr), surface, err);
    if (!ok)
        f->picture_count = before;
    cairo_font_options_destroy(options);
    cairo_destroy(cr);
    cairo_surface_destroy(surface);
    return ok;
}
