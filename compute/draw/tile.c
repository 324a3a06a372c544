#include "compute/draw/tile.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "compute/draw/font.h"

#define TAKEN_MAX   64 // marks and texts of one tile that texts keep clear of
#define TEXT_SIZE   12.0
#define TEXT_STEP   14.0
#define SURFACE_MAX 2048 // pixels along one side; larger parts are drawn with every n-th pixel

// The part of a slice that is drawn, in pixels of the slice.
struct part {
    uint32_t left, top, columns, rows;
    uint32_t step; // every step-th pixel is drawn
    double low, high;
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

static void find_range(const struct volume *v, uint32_t slice, struct part *p)
{
    p->low = INFINITY;
    p->high = -INFINITY;
    for (uint32_t j = 0; j < p->rows; j += p->step) {
        for (uint32_t i = 0; i < p->columns; i += p->step) {
            double value = volume_value(v, p->left + i, p->top + j, slice);
            p->low = fmin(p->low, value);
            p->high = fmax(p->high, value);
        }
    }
}

static struct part part_of(const struct volume *v, const struct page_image *image)
{
    struct part p;
    clip(image->box[0], image->box[2], v->dim[0], &p.left, &p.columns);
    clip(image->box[1], image->box[3], v->dim[1], &p.top, &p.rows);
    uint32_t longest = p.columns > p.rows ? p.columns : p.rows;
    p.step = 1 + (longest - 1) / SURFACE_MAX;
    double centre = image->window[0], width = image->window[1];
    if (isfinite(centre) && isfinite(width) && width > 0) {
        p.low = centre - width / 2;
        p.high = centre + width / 2;
    } else {
        find_range(v, image->slice, &p);
    }
    return p;
}

// NULL: no memory.
static cairo_surface_t *grey_of(const struct volume *v, uint32_t slice, const struct part *p)
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
            double value = volume_value(v, p->left + i * p->step, p->top + j * p->step, slice);
            double grey = (value - p->low) / range * 255;
            uint32_t byte = grey >= 255 ? 255 : grey > 0 ? (uint32_t)(grey + 0.5) : 0; // NAN: black
            uint32_t pixel = byte << 16 | byte << 8 | byte;
            memcpy(data + j * stride + 4 * (size_t)i, &pixel, sizeof pixel);
        }
    }
    cairo_surface_mark_dirty(s);
    return s;
}

static struct frame fit(const struct volume *v, const struct part *p, double x, double y,
                        double width, double height)
{
    double mm_x = p->columns * v->spacing[0], mm_y = p->rows * v->spacing[1];
    double scale = fmin(width / mm_x, height / mm_y); // paper units a millimetre
    struct frame f = {.scale_x = scale * v->spacing[0], .scale_y = scale * v->spacing[1]};
    f.width = mm_x * scale;
    f.height = mm_y * scale;
    f.x = x + (width - f.width) / 2;
    f.y = y + (height - f.height) / 2;
    return f;
}

static void paint_pixels(cairo_t *cr, cairo_surface_t *grey, const struct part *p,
                         const struct frame *f)
{
    cairo_save(cr);
    cairo_translate(cr, f->x, f->y);
    cairo_scale(cr, f->scale_x * p->step, f->scale_y * p->step);
    cairo_set_source_surface(cr, grey, 0, 0);
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

// In the current colour, with a dark edge against bright pixels.
static void draw_text(cairo_t *cr, const char *text, double x, double y, double size)
{
    cairo_set_font_face(cr, font_face(FONT_BOLD));
    cairo_set_font_size(cr, size);
    cairo_move_to(cr, x, y);
    cairo_text_path(cr, text);
    cairo_save(cr);
    cairo_set_source_rgba(cr, 0, 0, 0, 0.7);
    cairo_set_line_width(cr, 3);
    cairo_stroke_preserve(cr);
    cairo_restore(cr);
    cairo_fill(cr);
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

static struct rect measure(cairo_t *cr, const char *text)
{
    struct rect r = {.height = 2};
    cairo_set_font_face(cr, font_face(FONT_BOLD));
    cairo_set_font_size(cr, TEXT_SIZE);
    while (*text) {
        char one[128];
        size_t len = strcspn(text, "\n");
        cairo_text_extents_t e;
        snprintf(one, sizeof one, "%.*s", (int)len, text);
        cairo_text_extents(cr, one, &e);
        r.width = fmax(r.width, e.x_advance);
        r.height += TEXT_STEP;
        text += len + (text[len] != 0);
    }
    return r;
}

// Where the mark wants its text; on the other side of the anchor where that would leave the frame;
// lower where another text is.
static struct rect place(cairo_t *cr, const struct mark *m, const struct part *p,
                         const struct frame *f, struct taken *taken)
{
    double anchor[2], at[2];
    struct rect r = measure(cr, m->text);
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

static void draw_text_mark(cairo_t *cr, const struct mark *m, const struct part *p,
                           const struct frame *f, struct taken *taken)
{
    double anchor[2];
    if (m->count < 2 || !m->text)
        return;
    to_paper(p, f, m->points, anchor);
    bool shown = anchor[0] >= f->x && anchor[0] <= f->x + f->width && anchor[1] >= f->y &&
                 anchor[1] <= f->y + f->height;
    if (!shown)
        return; // belongs to something off the part that is shown
    struct rect r = place(cr, m, p, f, taken);
    const char *text = m->text;
    for (int line = 1; *text; line++) {
        char one[128];
        size_t len = strcspn(text, "\n");
        snprintf(one, sizeof one, "%.*s", (int)len, text);
        draw_text(cr, one, r.x, r.y + TEXT_STEP * line - 3, TEXT_SIZE);
        text += len + (text[len] != 0);
    }
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

static void draw_mark(cairo_t *cr, const struct findings *fi, const struct mark *m,
                      const struct part *p, const struct frame *f, struct taken *taken)
{
    static const uint8_t white[3] = {255, 255, 255};
    bool known = m->layer >= 0 && (uint32_t)m->layer < fi->layer_count;
    const uint8_t *rgb = known ? fi->layers[m->layer].rgb : white;
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
        cairo_set_source_rgb(cr, rgb[0] / 255.0, rgb[1] / 255.0, rgb[2] / 255.0);
        draw_text_mark(cr, m, p, f, taken);
        return;
    }
    take_path(cr, f, taken);
    stroke(cr, rgb);
}

// Texts last, so that no outline crosses them.
static void draw_marks(cairo_t *cr, const struct findings *f, uint32_t slice,
                       const struct part *part, const struct frame *frame)
{
    struct taken taken = {.count = 0};
    for (int texts = 0; texts < 2; texts++) {
        for (uint32_t i = 0; i < f->mark_count; i++) {
            const struct mark *m = &f->marks[i];
            if (m->slice == slice && (m->kind == MARK_TEXT) == (texts == 1))
                draw_mark(cr, f, m, part, frame, &taken);
        }
    }
}

char tile_direction(const struct volume *v, int axis)
{
    static const char letters[3][2] = {{'R', 'L'}, {'A', 'P'}, {'F', 'H'}};
    int largest = 0;
    for (int i = 1; i < 3; i++) {
        if (fabs(v->to_patient[i][axis]) > fabs(v->to_patient[largest][axis]))
            largest = i;
    }
    return letters[largest][v->to_patient[largest][axis] > 0];
}

static char opposite(char direction)
{
    static const char from[] = "RLAPFH", to[] = "LRPAHF";
    const char *at = strchr(from, direction);
    return at ? to[at - from] : direction;
}

static void draw_directions(cairo_t *cr, const struct volume *v, const struct frame *f)
{
    char left[2] = {opposite(tile_direction(v, 0)), 0},
         top[2] = {opposite(tile_direction(v, 1)), 0};
    cairo_set_source_rgb(cr, 0.75, 0.8, 0.85);
    draw_text(cr, left, f->x + 6, f->y + f->height / 2 + 5, 14);
    draw_text(cr, top, f->x + f->width / 2 - 5, f->y + 18, 14);
}

// 100, 50, 20 or 10 mm, or less, whichever is a third of the picture at most.
static void draw_scale(cairo_t *cr, const struct volume *v, const struct frame *f)
{
    static const double lengths[] = {100, 50, 20, 10, 5, 2, 1};
    double per_mm = f->scale_x / v->spacing[0];
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
    draw_text(cr, text, x + length + 6, y, 12);
}

void tile_draw(cairo_t *cr, const struct findings *f, const struct volume *v,
               const struct page_image *image, double x, double y, double width, double height)
{
    cairo_save(cr);
    cairo_rectangle(cr, x, y, width, height);
    cairo_clip(cr);
    cairo_set_source_rgb(cr, 0, 0, 0);
    cairo_paint(cr);
    if (v && image->slice < v->dim[2]) {
        struct part part = part_of(v, image);
        struct frame frame = fit(v, &part, x, y, width, height);
        cairo_surface_t *grey = grey_of(v, image->slice, &part);
        if (grey)
            paint_pixels(cr, grey, &part, &frame);
        cairo_surface_destroy(grey);
        cairo_rectangle(cr, frame.x, frame.y, frame.width, frame.height);
        cairo_clip(cr);
        draw_directions(cr, v, &frame);
        draw_scale(cr, v, &frame);
        draw_marks(cr, f, image->slice, &part, &frame);
    }
    cairo_restore(cr);
}
