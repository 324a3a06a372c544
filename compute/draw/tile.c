#include "compute/draw/tile.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compute/draw/axis.h"
#include "compute/findings/outline.h"

#define TAKEN_MAX   64 // marks and texts of one tile that texts keep clear of
#define TEXT_SIZE   12.0
#define TEXT_STEP   14.0
#define SURFACE_MAX 2048 // pixels along one side; larger parts are drawn with every n-th pixel
#define FILLED_PART 0.75 // of the colour of a region that is filled, so that it is seen through
#define BAR_WIDTH   14.0
#define BAR_COLOURS 256

// The part of a slice that is drawn, in pixels of the slice.
struct part {
    uint32_t left, top, columns, rows;
    uint32_t step; // every step-th pixel is drawn
    double low, high;
    const struct voi *voi; // stands for low and high; NULL: these
};

// Where the part is on the paper.
struct frame {
    double x, y;             // of the part's top left corner
    double scale_x, scale_y; // paper units a pixel
    double width, height;
};

// The range [first, first + count) of a box side, clipped to size.
static void clip(double first, double count, uint32_t size, uint32_t *from, uint32_t *n)
{
    double a = fmax(0, floor(first)), b = fmin(size, ceil(first + count));
    bool usable = isfinite(first) && isfinite(count) && count > 0 && b > a;
    *from = usable ? (uint32_t)a : 0;
    *n = usable ? (uint32_t)(b - a) : size;
}

static float plane_value(const struct plane *v, uint32_t i, uint32_t j)
{
    return v->values[(size_t)j * v->columns + i];
}

static void find_range(const struct plane *v, struct part *p)
{
    p->low = INFINITY;
    p->high = -INFINITY;
    for (uint32_t j = 0; j < p->rows; j += p->step) {
        for (uint32_t i = 0; i < p->columns; i += p->step) {
            double value = plane_value(v, p->left + i, p->top + j);
            p->low = fmin(p->low, value);
            p->high = fmax(p->high, value);
        }
    }
    if (p->low > p->high) { // there is no value
        p->low = 0;
        p->high = 1;
    }
}

static struct part part_of(const struct plane *v, const struct tile *t)
{
    struct part p = {0};
    clip(t->box[0], t->box[2], v->columns, &p.left, &p.columns);
    clip(t->box[1], t->box[3], v->rows, &p.top, &p.rows);
    uint32_t longest = p.columns > p.rows ? p.columns : p.rows;
    p.step = 1 + (longest - 1) / SURFACE_MAX;
    double centre = t->window[0], width = t->window[1];
    if (isfinite(centre) && isfinite(width) && width > 0) {
        p.low = centre - width / 2;
        p.high = centre + width / 2;
    } else if (v->voi.kind != VOI_NONE && !t->unit) {
        p.voi = &v->voi;
    } else {
        find_range(v, &p);
    }
    return p;
}

// NULL: no memory.
static cairo_surface_t *colours_of(const struct plane *v, const struct part *p,
                                   enum palette palette)
{
    uint32_t columns = (p->columns + p->step - 1) / p->step,
             rows = (p->rows + p->step - 1) / p->step;
    cairo_surface_t *s = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)columns, (int)rows);
    if (cairo_surface_status(s) != CAIRO_STATUS_SUCCESS) {
        cairo_surface_destroy(s);
        return NULL;
    }
    unsigned char *data = cairo_image_surface_get_data(s);
    size_t stride = (size_t)cairo_image_surface_get_stride(s);
    double range = p->high > p->low ? p->high - p->low : 1;
    for (uint32_t j = 0; j < rows; j++) {
        for (uint32_t i = 0; i < columns; i++) {
            uint8_t rgb[3];
            const double value = plane_value(v, p->left + i * p->step, p->top + j * p->step);
            const double t = p->voi ? voi_grey(p->voi, value) : (value - p->low) / range;
            palette_colour(palette, v->inverted ? 1 - t : t, rgb);
            uint32_t pixel = (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];
            memcpy(data + j * stride + 4 * (size_t)i, &pixel, sizeof pixel);
        }
    }
    cairo_surface_mark_dirty(s);
    return s;
}

static struct frame fit(const struct plane *v, const struct part *p, double x, double y,
                        double width, double height)
{
    double mm_x = p->columns * v->mm[0], mm_y = p->rows * v->mm[1];
    double scale = fmin(width / mm_x, height / mm_y); // paper units a millimetre
    struct frame f = {.scale_x = scale * v->mm[0], .scale_y = scale * v->mm[1]};
    f.width = mm_x * scale;
    f.height = mm_y * scale;
    f.x = x + (width - f.width) / 2;
    f.y = y + (height - f.height) / 2;
    return f;
}

static void paint_pixels(cairo_t *cr, cairo_surface_t *colours, const struct part *p,
                         const struct frame *f)
{
    cairo_save(cr);
    cairo_translate(cr, f->x, f->y);
    cairo_scale(cr, f->scale_x * p->step, f->scale_y * p->step);
    cairo_set_source_surface(cr, colours, 0, 0);
    cairo_pattern_set_filter(cairo_get_source(cr), CAIRO_FILTER_GOOD);
    cairo_pattern_set_extend(cairo_get_source(cr), CAIRO_EXTEND_PAD);
    cairo_rectangle(cr, 0, 0, f->width / (f->scale_x * p->step),
                    f->height / (f->scale_y * p->step));
    cairo_fill(cr);
    cairo_restore(cr);
}

static void to_paper(const struct part *p, const struct frame *f, const float *point, double out[2])
{
    out[0] = f->x + (point[0] - p->left) * f->scale_x;
    out[1] = f->y + (point[1] - p->top) * f->scale_y;
}

static void trace_polyline(cairo_t *cr, const struct mark *m, const struct part *p,
                           const struct frame *f)
{
    for (uint32_t i = 0; i < m->count; i++) {
        double at[2];
        to_paper(p, f, m->points + 2 * (size_t)i, at);
        if (i == 0)
            cairo_move_to(cr, at[0], at[1]);
        else
            cairo_line_to(cr, at[0], at[1]);
    }
}

// Four points: the ends of the major axis, then of the minor axis (PS3.3 C.18.6.1.2).
static void trace_ellipse(cairo_t *cr, const struct mark *m, const struct part *p,
                          const struct frame *f)
{
    double at[4][2];
    if (m->count != 4)
        return;
    for (int i = 0; i < 4; i++)
        to_paper(p, f, m->points + 2 * (size_t)i, at[i]);
    double a[2] = {(at[1][0] - at[0][0]) / 2, (at[1][1] - at[0][1]) / 2};
    double b[2] = {(at[3][0] - at[2][0]) / 2, (at[3][1] - at[2][1]) / 2};
    double centre[2] = {(at[0][0] + at[1][0]) / 2, (at[0][1] + at[1][1]) / 2};
    for (int i = 0; i <= 64; i++) {
        double t = 2 * M_PI * i / 64, c = cos(t), s = sin(t);
        cairo_line_to(cr, centre[0] + a[0] * c + b[0] * s, centre[1] + a[1] * c + b[1] * s);
    }
}

static void trace_points(cairo_t *cr, const struct mark *m, const struct part *p,
                         const struct frame *f)
{
    for (uint32_t i = 0; i < m->count; i++) {
        double at[2];
        to_paper(p, f, m->points + 2 * (size_t)i, at);
        cairo_new_sub_path(cr);
        cairo_arc(cr, at[0], at[1], 5, 0, 2 * M_PI);
    }
}

// Places that are taken by marks and texts, so that the next text keeps clear.
struct taken {
    struct rect {
        double x, y, width, height;
    } rects[TAKEN_MAX];
    int count;
};

static bool overlaps(const struct taken *taken, const struct rect *r)
{
    for (int i = 0; i < taken->count; i++) {
        const struct rect *o = &taken->rects[i];
        if (r->x < o->x + o->width && o->x < r->x + r->width && r->y < o->y + o->height &&
            o->y < r->y + r->height)
            return true;
    }
    return false;
}

static void take(struct taken *taken, const struct rect *r)
{
    if (taken->count < TAKEN_MAX)
        taken->rects[taken->count++] = *r;
}

// The current path of a small mark; one around half the picture leaves no other place.
static void take_path(cairo_t *cr, const struct frame *f, struct taken *taken)
{
    double x1, y1, x2, y2;
    cairo_path_extents(cr, &x1, &y1, &x2, &y2);
    if (x2 - x1 < f->width / 4 && y2 - y1 < f->height / 4)
        take(taken, &(struct rect){x1 - 3, y1 - 3, x2 - x1 + 6, y2 - y1 + 6});
}

static double clamp(double value, double low, double high)
{
    return fmax(low, fmin(value, high));
}

// The next line of a text of several; NULL at its end.
static const char *next_line(const char *text, char line[128])
{
    const size_t len = strcspn(text, "\n");
    if (!*text)
        return NULL;
    snprintf(line, 128, "%.*s", (int)len, text);
    return text + len + (text[len] != 0);
}

static struct rect measure(struct pen *pen, const char *text)
{
    struct rect r = {.height = 2};
    char line[128];
    pen_font(pen, FONT_BOLD, TEXT_SIZE);
    while ((text = next_line(text, line))) {
        r.width = fmax(r.width, pen_width(pen, line));
        r.height += TEXT_STEP;
    }
    return r;
}

// Where the mark wants its text; on the other side of the anchor where that would leave the frame;
// lower where another text is.
static struct rect place_text(struct pen *pen, const struct mark *m, const struct part *p,
                              const struct frame *f, struct taken *taken)
{
    double anchor[2], at[2];
    struct rect r = measure(pen, m->text);
    to_paper(p, f, m->points, anchor);
    to_paper(p, f, m->points + 2, at);
    if (at[0] + r.width > f->x + f->width)
        at[0] = fmin(at[0], 2 * anchor[0] - at[0] - r.width);
    r.x = clamp(at[0], f->x, fmax(f->x, f->x + f->width - r.width));
    r.y = clamp(at[1], f->y, fmax(f->y, f->y + f->height - r.height));
    double wanted = r.y;
    while (overlaps(taken, &r) && r.y + TEXT_STEP + r.height <= f->y + f->height)
        r.y += TEXT_STEP;
    if (overlaps(taken, &r))
        r.y = wanted; // no room: better on something than far away
    take(taken, &r);
    return r;
}

static void draw_text_mark(struct pen *pen, const struct mark *m, const struct part *p,
                           const struct frame *f, struct taken *taken)
{
    double anchor[2];
    char line[128];
    if (m->count < 2 || !m->text)
        return;
    to_paper(p, f, m->points, anchor);
    bool shown = anchor[0] >= f->x && anchor[0] <= f->x + f->width && anchor[1] >= f->y &&
                 anchor[1] <= f->y + f->height;
    if (!shown)
        return; // belongs to something off the part that is shown
    struct rect r = place_text(pen, m, p, f, taken);
    const char *text = m->text;
    for (int i = 1; (text = next_line(text, line)); i++)
        pen_edged(pen, line, r.x, r.y + TEXT_STEP * i - 3);
}

// A dark edge keeps a thin coloured line visible on bright calcium and bone.
static void stroke(cairo_t *cr, const uint8_t rgb[3])
{
    cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
    cairo_set_source_rgba(cr, 0, 0, 0, 0.55);
    cairo_set_line_width(cr, 3.5);
    cairo_stroke_preserve(cr);
    cairo_set_source_rgb(cr, rgb[0] / 255.0, rgb[1] / 255.0, rgb[2] / 255.0);
    cairo_set_line_width(cr, 1.8);
    cairo_stroke(cr);
}

static void draw_mark(struct pen *pen, const struct findings *fi, const struct mark *m,
                      const struct part *p, const struct frame *f, struct taken *taken)
{
    static const uint8_t white[3] = {255, 255, 255};
    bool known = m->layer >= 0 && (uint32_t)m->layer < fi->layer_count;
    const uint8_t *rgb = known ? fi->layers[m->layer].rgb : white;
    cairo_t *cr = pen_cairo(pen);
    cairo_new_path(cr);
    switch (m->kind) {
    case MARK_POLYLINE:
        trace_polyline(cr, m, p, f);
        break;
    case MARK_ELLIPSE:
        trace_ellipse(cr, m, p, f);
        break;
    case MARK_POINT:
        trace_points(cr, m, p, f);
        break;
    case MARK_TEXT:
        pen_rgb(pen, rgb);
        draw_text_mark(pen, m, p, f, taken);
        return;
    }
    take_path(cr, f, taken);
    stroke(cr, rgb);
}

static bool same_place(const struct place *a, const struct place *b)
{
    return a->image == b->image && a->slice == b->slice && a->point == b->point;
}

// Texts last, so that no outline crosses them.
static void draw_marks(struct pen *pen, const struct findings *f, const struct plane *v,
                       const struct part *part, const struct frame *frame)
{
    struct taken taken = {.count = 0};
    for (int texts = 0; texts < 2; texts++) {
        for (uint32_t i = 0; i < f->mark_count; i++) {
            const struct mark *m = &f->marks[i];
            if (same_place(&m->place, &v->place) && (m->kind == MARK_TEXT) == (texts == 1))
                draw_mark(pen, f, m, part, frame, &taken);
        }
    }
}

static char opposite(char direction)
{
    static const char from[] = "RLAPFH", to[] = "LRPAHF";
    const char *at = strchr(from, direction);
    return at ? to[at - from] : direction;
}

static void draw_directions(struct pen *pen, const struct plane *v, const struct frame *f)
{
    char left[2] = {opposite(v->right), 0}, top[2] = {opposite(v->down), 0};
    cairo_set_source_rgb(pen_cairo(pen), 0.75, 0.8, 0.85);
    pen_font(pen, FONT_BOLD, 14);
    pen_edged(pen, left, f->x + 6, f->y + f->height / 2 + 5);
    pen_edged(pen, top, f->x + f->width / 2 - 5, f->y + 18);
}

// 100, 50, 20 or 10 mm, or less, whichever is a third of the picture at most.
static void draw_scale(struct pen *pen, const struct plane *v, const struct frame *f)
{
    static const double lengths[] = {100, 50, 20, 10, 5, 2, 1};
    cairo_t *cr = pen_cairo(pen);
    double per_mm = f->scale_x / v->mm[0];
    size_t i = 0;
    while (i < 6 && lengths[i] * per_mm > f->width / 3)
        i++;
    double length = lengths[i] * per_mm, x = f->x + 10, y = f->y + f->height - 10;
    char text[16];
    snprintf(text, sizeof text, "%g mm", lengths[i]);
    cairo_set_source_rgb(cr, 0.75, 0.8, 0.85);
    cairo_set_line_width(cr, 2);
    cairo_move_to(cr, x, y - 5);
    cairo_line_to(cr, x, y);
    cairo_line_to(cr, x + length, y);
    cairo_line_to(cr, x + length, y - 5);
    cairo_stroke(cr);
    pen_font(pen, FONT_BOLD, 12);
    pen_edged(pen, text, x + length + 6, y);
}

// ---- regions ----

// The rectangle that a region covers in a plane; empty: left > right.
struct extent {
    uint32_t left, right, top, bottom;
};

// [region_count]; NULL: no memory.
static struct extent *find_extents(const struct plane *v, uint32_t regions)
{
    struct extent *e = malloc(regions * sizeof *e);
    for (uint32_t r = 0; e && r < regions; r++)
        e[r] = (struct extent){UINT32_MAX, 0, UINT32_MAX, 0};
    for (uint32_t j = 0; e && j < v->rows; j++) {
        for (uint32_t i = 0; i < v->columns; i++) {
            const uint16_t label = v->labels[(size_t)j * v->columns + i];
            if (label == 0 || label > regions)
                continue;
            struct extent *o = &e[label - 1];
            o->left = i < o->left ? i : o->left;
            o->right = i > o->right ? i : o->right;
            o->top = j < o->top ? j : o->top;
            o->bottom = j;
        }
    }
    return e;
}

static bool trace_region(cairo_t *cr, const struct plane *v, uint16_t label, const struct extent *e,
                         const struct part *p, const struct frame *f)
{
    const uint32_t columns = e->right - e->left + 1, rows = e->bottom - e->top + 1;
    const uint32_t origin[2] = {e->left, e->top};
    struct arena *arena = arena_create();
    struct outline *list;
    uint32_t count;
    uint8_t *mask = arena ? arena_alloc(arena, (size_t)columns * rows, 1) : NULL;
    for (uint32_t j = 0; mask && j < rows; j++) {
        for (uint32_t i = 0; i < columns; i++)
            mask[(size_t)j * columns + i] =
                v->labels[(size_t)(e->top + j) * v->columns + e->left + i] == label;
    }
    const bool ok = mask && outline_trace(mask, columns, rows, origin, arena, &list, &count);
    for (uint32_t n = 0; ok && n < count; n++) {
        for (uint32_t i = 0; i + 1 < list[n].count; i++) {
            double at[2];
            to_paper(p, f, list[n].points + 2 * (size_t)i, at);
            if (i == 0)
                cairo_move_to(cr, at[0], at[1]);
            else
                cairo_line_to(cr, at[0], at[1]);
        }
        cairo_close_path(cr);
    }
    arena_destroy(arena);
    return ok;
}

static void draw_regions(cairo_t *cr, const struct findings *fi, const struct plane *v, bool filled,
                         const struct part *p, const struct frame *f)
{
    static const double dashes[] = {5, 4};
    struct extent *extents = find_extents(v, fi->region_count);
    for (uint32_t r = 0; extents && r < fi->region_count; r++) {
        if (extents[r].left > extents[r].right)
            continue;
        cairo_new_path(cr);
        if (!trace_region(cr, v, (uint16_t)(r + 1), &extents[r], p, f))
            continue;
        cairo_set_dash(cr, dashes, fi->regions[r].role == REGION_SEARCHED ? 2 : 0, 0);
        const uint8_t *rgb = fi->regions[r].rgb;
        if (filled && fi->regions[r].role == REGION_FOUND) {
            cairo_set_source_rgba(cr, rgb[0] / 255.0, rgb[1] / 255.0, rgb[2] / 255.0, FILLED_PART);
            cairo_fill(cr);
        } else {
            stroke(cr, rgb);
        }
    }
    cairo_set_dash(cr, NULL, 0, 0);
    free(extents);
}

// ---- the colour bar ----

const char *tile_unit(const struct code *unit)
{
    if (!unit->value || !strcmp(unit->value, "1") || unit->value[0] == '{')
        return "";
    return strcmp(unit->value, "[hnsf'U]") ? unit->value : "HU";
}

// Right of the frame; most at the top.
static void draw_bar(struct pen *pen, const struct tile *t, const struct part *p,
                     const struct frame *f)
{
    cairo_t *cr = pen_cairo(pen);
    const double x = f->x + f->width + 8, top = f->y + 24, height = f->height - 34;
    cairo_surface_t *s = cairo_image_surface_create(CAIRO_FORMAT_RGB24, 1, BAR_COLOURS);
    if (height < 40 || cairo_surface_status(s) != CAIRO_STATUS_SUCCESS) {
        cairo_surface_destroy(s);
        return;
    }
    unsigned char *data = cairo_image_surface_get_data(s);
    for (size_t i = 0; i < BAR_COLOURS; i++) {
        uint8_t rgb[3];
        palette_colour(t->palette, 1 - (double)i / (BAR_COLOURS - 1), rgb);
        const uint32_t pixel = (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];
        memcpy(data + i * (size_t)cairo_image_surface_get_stride(s), &pixel, sizeof pixel);
    }
    cairo_surface_mark_dirty(s);
    cairo_save(cr);
    cairo_translate(cr, x, top);
    cairo_scale(cr, BAR_WIDTH, height / BAR_COLOURS);
    cairo_set_source_surface(cr, s, 0, 0);
    cairo_pattern_set_extend(cairo_get_source(cr), CAIRO_EXTEND_PAD);
    cairo_rectangle(cr, 0, 0, 1, BAR_COLOURS);
    cairo_fill(cr);
    cairo_restore(cr);
    cairo_surface_destroy(s);
    pen_ink(pen, ink_caption);
    cairo_set_line_width(cr, 1);
    cairo_rectangle(cr, x, top, BAR_WIDTH, height);
    cairo_stroke(cr);
    pen_font(pen, FONT_REGULAR, TEXT_SIZE);
    const double unit = pen_width(pen, t->unit); // a long one reaches over the picture
    pen_edged(pen, t->unit, fmin(x, x + TILE_BAR_ROOM - 14 - unit), f->y + 14);
    const struct axis axis = axis_between(p->low, p->high, (unsigned)fmin(6, height / 30));
    for (unsigned n = 0; n < axis.ticks; n++) {
        char text[32];
        const double value = axis_tick(&axis, n),
                     y = top + height * (axis.high - value) / (axis.high - axis.low);
        pen_stroke(pen, x + BAR_WIDTH, y, x + BAR_WIDTH + 4, y, 1);
        pen_line(pen, axis_text(&axis, value, text, sizeof text), x + BAR_WIDTH + 7, y + 4.5,
                 TILE_BAR_ROOM - BAR_WIDTH - 15, LEFT);
    }
}

void tile_draw(struct pen *pen, const struct findings *f, const struct tile *tile, double x,
               double y, double width, double height)
{
    cairo_t *cr = pen_cairo(pen);
    const struct plane *v = tile->plane;
    cairo_save(cr);
    cairo_rectangle(cr, x, y, width, height);
    cairo_clip(cr);
    cairo_set_source_rgb(cr, 0, 0, 0);
    cairo_paint(cr);
    if (v && v->values) {
        struct part part = part_of(v, tile);
        struct frame frame =
            fit(v, &part, x, y,
                width - (tile->unit && width > 2 * TILE_BAR_ROOM ? TILE_BAR_ROOM : 0), height);
        cairo_surface_t *colours = colours_of(v, &part, tile->palette);
        if (colours)
            paint_pixels(cr, colours, &part, &frame);
        cairo_surface_destroy(colours);
        if (tile->unit && width > 2 * TILE_BAR_ROOM)
            draw_bar(pen, tile, &part, &frame);
        cairo_rectangle(cr, frame.x, frame.y, frame.width, frame.height);
        cairo_clip(cr);
        if (v->labels)
            draw_regions(cr, f, v, tile->filled, &part, &frame);
        if (!tile->bare)
            draw_directions(pen, v, &frame);
        if (v->scaled && !tile->bare)
            draw_scale(pen, v, &frame);
        if (v->has_place)
            draw_marks(pen, f, v, &part, &frame);
    }
    cairo_restore(cr);
}

bool tile_image(struct pen *pen, const struct image_set *set, const struct findings *f,
                const struct page_image *image, const struct tile *how, bool bar,
                const double at[4], struct err *err)
{
    struct plane plane;
    struct tile tile = {.plane = &plane, .bare = how->bare, .filled = how->filled};
    const bool is_map = image->map >= 0;
    const bool ok =
        is_map ? plane_read_map(&plane, set, f, image->map, &image->place, image->regions, err)
               : plane_read_slice(&plane, set, f, &image->place, image->regions, err);
    const struct value_map *map = ok && is_map ? &f->maps[image->map] : NULL;
    memcpy(tile.box, image->box, sizeof tile.box);
    memcpy(tile.window, image->window, sizeof tile.window);
    if (map) {
        tile.palette = map->palette;
        tile.unit = bar ? tile_unit(&map->unit) : NULL;
        if (!(image->window[1] > 0))
            memcpy(tile.window, map->window, sizeof tile.window);
    }
    tile_draw(pen, f, &tile, at[0], at[1], at[2], at[3]);
    plane_finish(&plane);
    return ok;
}
