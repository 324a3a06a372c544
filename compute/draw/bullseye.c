#include "compute/draw/bullseye.h"
#include <math.h>
#include <stdio.h>
#include "compute/draw/palette.h"

#define TITLE_HEIGHT 34.0
#define FOOT_HEIGHT  26.0
#define EDGE         2.0
#define HATCH_STEP   9.0

// Cerqueira et al., Circulation 2002;105:539, figure 4: rings from the outside, and of each the
// angle, counted from the right against the clock, at which its first segment has its middle. The
// next ones follow against the clock: from anterior (above) to the septum (left).
static const struct ring {
    int first, count;  // segments, from 0
    double out, in;    // parts of the radius
    double first_turn; // degrees
} rings[] = {
    {0, 6, 1, 0.74, 90}, {6, 6, 0.74, 0.48, 90}, {12, 4, 0.48, 0.2, 90}, {16, 1, 0.2, 0, 90}};

static void trace_segment(cairo_t *cr, double x, double y, double radius, const struct ring *ring,
                          double from, double to)
{
    cairo_new_path(cr);
    cairo_arc(cr, x, y, radius * ring->out, from, to);
    if (ring->in > 0)
        cairo_arc_negative(cr, x, y, radius * ring->in, to, from);
    cairo_close_path(cr);
}

// Whether black or white is read better on a colour: by its luminance (Rec. ITU-R BT.709).
static struct ink ink_on(const uint8_t rgb[3])
{
    const double light = 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2];
    return light > 110 ? ink_black : ink_white;
}

static void hatch(cairo_t *cr, double x, double y, double radius)
{
    cairo_save(cr);
    cairo_clip_preserve(cr);
    cairo_path_t *path = cairo_copy_path(cr);
    cairo_new_path(cr);
    const int lines = (int)(2 * radius / HATCH_STEP);
    for (int n = -lines; n <= lines; n++) {
        const double d = HATCH_STEP * n;
        cairo_move_to(cr, x + d - radius, y + radius);
        cairo_line_to(cr, x + d + radius, y - radius);
    }
    cairo_set_source_rgb(cr, 0.72, 0.74, 0.77);
    cairo_set_line_width(cr, 1.5);
    cairo_stroke(cr);
    cairo_append_path(cr, path);
    cairo_path_destroy(path);
    cairo_restore(cr);
}

static void segment_colour(const struct bullseye *b, double value, uint8_t rgb[3])
{
    const double part = (value - b->window[0]) / (b->window[1] - b->window[0]);
    rgb[0] = 236;
    rgb[1] = 238;
    rgb[2] = 240;
    if (isfinite(value))
        palette_colour(b->palette, part, rgb);
}

// Cairo's angles grow with the clock, as y grows downwards.
static double segment_middle(const struct ring *ring, int n)
{
    return -(ring->first_turn + n * 360.0 / ring->count) * M_PI / 180;
}

static void draw_segment(struct pen *pen, const struct bullseye *b, const struct ring *ring, int n,
                         double x, double y, double radius)
{
    cairo_t *cr = pen_cairo(pen);
    const double value = b->values[ring->first + n];
    const double middle = segment_middle(ring, n), half = M_PI / ring->count;
    uint8_t rgb[3];
    segment_colour(b, value, rgb);
    trace_segment(cr, x, y, radius, ring, middle - half, middle + half);
    pen_rgb(pen, rgb);
    cairo_fill_preserve(cr);
    if (!isfinite(value))
        hatch(cr, x, y, radius);
    cairo_set_source_rgb(cr, 0.25, 0.28, 0.32);
    cairo_set_line_width(cr, EDGE);
    cairo_stroke(cr);
}

// After all segments, whose edges would lie on it.
static void write_segment(struct pen *pen, const struct bullseye *b, const struct ring *ring, int n,
                          double x, double y, double radius)
{
    const double value = b->values[ring->first + n], middle = segment_middle(ring, n);
    const double at = ring->in > 0 ? radius * (ring->out + ring->in) / 2 : 0;
    uint8_t rgb[3];
    char text[32] = "-";
    segment_colour(b, value, rgb);
    if (isfinite(value))
        snprintf(text, sizeof text, "%.*f", b->decimals, value);
    pen_ink(pen, ink_on(rgb));
    pen_font(pen, FONT_BOLD, 15);
    pen_line(pen, text, x + at * cos(middle) - 40, y + at * sin(middle) + 6, 80, CENTRE);
}

void bullseye_draw(struct pen *pen, const struct bullseye *b, double x, double y, double width,
                   double height)
{
    const double radius = fmin(width, height - TITLE_HEIGHT - FOOT_HEIGHT) / 2 - EDGE;
    const double middle_x = x + width / 2, middle_y = y + TITLE_HEIGHT + radius + EDGE;
    char text[160];
    pen_ink(pen, ink_text);
    pen_font(pen, FONT_BOLD, 18);
    snprintf(text, sizeof text, "%.100s, %.30s", b->title ? b->title : "", b->unit ? b->unit : "");
    pen_line(pen, text, x, y + 18, width, CENTRE);
    for (size_t r = 0; radius > 20 && r < sizeof rings / sizeof *rings; r++) {
        for (int n = 0; n < rings[r].count; n++)
            draw_segment(pen, b, &rings[r], n, middle_x, middle_y, radius);
    }
    for (size_t r = 0; radius > 20 && r < sizeof rings / sizeof *rings; r++) {
        for (int n = 0; n < rings[r].count; n++)
            write_segment(pen, b, &rings[r], n, middle_x, middle_y, radius);
    }
    pen_ink(pen, ink_quiet);
    pen_font(pen, FONT_REGULAR, 14);
    snprintf(text, sizeof text, "colours from %g to %g %.30s", b->window[0], b->window[1],
             b->unit ? b->unit : "");
    pen_line(pen, text, x, y + height - 6, width, CENTRE);
}
