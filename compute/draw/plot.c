#include "compute/draw/plot.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "compute/draw/axis.h"

#define TITLE_SIZE  18.0
#define TEXT_SIZE   14.0
#define LABEL_ROOM  70.0 // left of the area: numbers of the vertical axis
#define BOTTOM_ROOM 50.0 // below it: numbers and name of the horizontal axis
#define LEGEND_STEP 20.0
#define GUIDE_STEP  16.0
#define GUIDE_ROWS  4 // names of guides that are near to each other stand below each other

// After Okabe and Ito: told apart with any colour vision.
static const uint8_t colours[][3] = {{0, 114, 178},  {213, 94, 0},  {0, 158, 115},  {204, 121, 167},
                                     {86, 180, 233}, {230, 159, 0}, {105, 105, 105}};

struct area {
    double x, y, width, height;
    struct axis across, up;
};

static const uint8_t *line_colour(const struct curve *c, uint32_t line)
{
    const uint8_t *rgb = c->lines[line].rgb;
    return rgb[0] || rgb[1] || rgb[2] ? rgb : colours[line % (sizeof colours / sizeof *colours)];
}

// The least distance between neighbours; 1 where there is none.
static double bar_width(const struct curve_line *line)
{
    double least = INFINITY;
    for (uint32_t i = 0; i + 1 < line->count; i++) {
        const double distance = fabs(line->x[i + 1] - line->x[i]);
        if (distance > 0)
            least = fmin(least, distance);
    }
    return isfinite(least) ? least : 1;
}

static void take_in(double value, double *low, double *high)
{
    if (isfinite(value)) {
        *low = fmin(*low, value);
        *high = fmax(*high, value);
    }
}

static void find_axes(const struct curve *c, struct area *a)
{
    double x[2] = {INFINITY, -INFINITY}, y[2] = {INFINITY, -INFINITY};
    for (uint32_t n = 0; n < c->line_count; n++) {
        const struct curve_line *line = &c->lines[n];
        const double half = line->bars ? bar_width(line) / 2 : 0;
        if (line->bars)
            take_in(0, &y[0], &y[1]);
        for (uint32_t i = 0; i < line->count; i++) {
            take_in(line->x[i] - half, &x[0], &x[1]);
            take_in(line->x[i] + half, &x[0], &x[1]);
            take_in(line->y[i], &y[0], &y[1]);
        }
    }
    for (uint32_t g = 0; g < c->guide_count; g++)
        take_in(c->guides[g], &x[0], &x[1]);
    if (y[0] > 0 && y[0] < 0.5 * y[1]) // near to 0: shown from there
        y[0] = 0;
    a->across = axis_between(x[0], x[1], (unsigned)fmax(2, a->width / 90));
    a->up = axis_around(y[0], y[1], (unsigned)fmax(2, a->height / 45));
}

static double to_x(const struct area *a, double value)
{
    return a->x + a->width * (value - a->across.low) / (a->across.high - a->across.low);
}

static double to_y(const struct area *a, double value)
{
    return a->y + a->height * (a->up.high - value) / (a->up.high - a->up.low);
}

static void name_with_unit(const char *name, const char *unit, char out[256])
{
    const bool has = unit && *unit;
    snprintf(out, 256, "%.160s%s%.60s%s", name ? name : "", has ? " (" : "", has ? unit : "",
             has ? ")" : "");
}

static void draw_axes(struct pen *pen, const struct curve *c, const struct area *a)
{
    char text[256];
    pen_font(pen, FONT_REGULAR, TEXT_SIZE);
    for (unsigned n = 0; n < a->up.ticks; n++) {
        const double value = axis_tick(&a->up, n), y = to_y(a, value);
        pen_rule(pen, a->x, y, a->width, 1, ink_rule);
        pen_ink(pen, ink_quiet);
        pen_line(pen, axis_text(&a->up, value, text, sizeof text), a->x - LABEL_ROOM, y + 5,
                 LABEL_ROOM - 8, RIGHT);
    }
    for (unsigned n = 0; n < a->across.ticks; n++) {
        const double value = axis_tick(&a->across, n), x = to_x(a, value);
        pen_ink(pen, ink_quiet);
        pen_stroke(pen, x, a->y + a->height, x, a->y + a->height + 5, 1);
        pen_line(pen, axis_text(&a->across, value, text, sizeof text), x - 40,
                 a->y + a->height + 20, 80, CENTRE);
    }
    pen_ink(pen, ink_quiet);
    pen_stroke(pen, a->x, a->y, a->x, a->y + a->height, 1.5);
    pen_stroke(pen, a->x, a->y + a->height, a->x + a->width, a->y + a->height, 1.5);
    pen_ink(pen, ink_text);
    name_with_unit(c->x_name, c->x_unit, text);
    pen_line(pen, text, a->x, a->y + a->height + 42, a->width, CENTRE);
}

static void draw_bars(struct pen *pen, const struct curve_line *line, const struct area *a)
{
    cairo_t *cr = pen_cairo(pen);
    const double half = bar_width(line) / 2, base = to_y(a, fmax(0, a->up.low));
    for (uint32_t i = 0; i < line->count; i++) {
        if (!isfinite(line->x[i]) || !isfinite(line->y[i]))
            continue;
        const double left = to_x(a, line->x[i] - half), right = to_x(a, line->x[i] + half);
        cairo_rectangle(cr, left, base, right - left, to_y(a, line->y[i]) - base);
    }
    cairo_fill(cr);
}

static void draw_line(struct pen *pen, const struct curve_line *line, const struct area *a)
{
    cairo_t *cr = pen_cairo(pen);
    bool down = false;
    cairo_new_path(cr);
    for (uint32_t i = 0; i < line->count; i++) {
        if (!isfinite(line->x[i]) || !isfinite(line->y[i])) {
            down = false;
            continue;
        }
        if (down)
            cairo_line_to(cr, to_x(a, line->x[i]), to_y(a, line->y[i]));
        else
            cairo_move_to(cr, to_x(a, line->x[i]), to_y(a, line->y[i]));
        down = true;
    }
    cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
    cairo_set_line_width(cr, 2);
    cairo_stroke(cr);
    for (uint32_t i = 0; i < line->count && line->marks; i++) {
        if (!isfinite(line->x[i]) || !isfinite(line->y[i]))
            continue;
        cairo_new_sub_path(cr);
        cairo_arc(cr, to_x(a, line->x[i]), to_y(a, line->y[i]), 3.5, 0, 2 * M_PI);
    }
    cairo_fill(cr);
}

// Indices of the guides from right to left.
static uint32_t sort_guides(const struct curve *c, uint32_t order[PLOT_GUIDES_MAX])
{
    uint32_t count = 0;
    for (uint32_t g = 0; g < c->guide_count && count < PLOT_GUIDES_MAX; g++) {
        if (!isfinite(c->guides[g]))
            continue;
        uint32_t at = count++;
        for (; at > 0 && c->guides[order[at - 1]] < c->guides[g]; at--)
            order[at] = order[at - 1];
        order[at] = g;
    }
    return count;
}

// Guides, their names above the area: right of their lines, or left of them near the right end. A
// name goes a row up where it would reach the one right of it, so that no line crosses a name.
// draw false: only measured. Returns the rows that the names take.
static int draw_guides(struct pen *pen, const struct curve *c, const struct area *a, bool draw)
{
    static const double dashes[] = {6, 4};
    cairo_t *cr = pen_cairo(pen);
    uint32_t order[PLOT_GUIDES_MAX];
    const uint32_t count = sort_guides(c, order);
    double taken[GUIDE_ROWS]; // left end of the last name in a row
    int rows = 0;
    for (int row = 0; row < GUIDE_ROWS; row++)
        taken[row] = INFINITY;
    pen_font(pen, FONT_REGULAR, TEXT_SIZE);
    for (uint32_t n = 0; n < count; n++) {
        const uint32_t g = order[n];
        const char *name = c->guide_names && c->guide_names[g] ? c->guide_names[g] : "";
        const double x = to_x(a, c->guides[g]), width = fmin(pen_width(pen, name), a->width);
        const double at = x + 5 + width > a->x + a->width ? x - 5 - width : x + 5;
        int row = 0;
        while (row + 1 < GUIDE_ROWS && at + width + 8 > taken[row])
            row++;
        for (int below = 0; below <= row; below++) // its line goes through them
            taken[below] = fmin(taken[below], fmin(at, x));
        rows = row + 1 > rows ? row + 1 : rows;
        if (!draw)
            continue;
        pen_ink(pen, ink_alarm);
        cairo_set_dash(cr, dashes, 2, 0);
        pen_stroke(pen, x, a->y - 14 - row * GUIDE_STEP, x, a->y + a->height, 1.5);
        cairo_set_dash(cr, NULL, 0, 0);
        pen_line(pen, name, at, a->y - 5 - row * GUIDE_STEP, width + 1, LEFT);
    }
    return rows;
}

// Rows of swatches from y on. Returns their height.
static double plot_draw_legend(struct pen *pen, const struct curve *c, double x, double y,
                               double width)
{
    double at = x, height = LEGEND_STEP;
    bool any = false;
    pen_font(pen, FONT_REGULAR, TEXT_SIZE);
    for (uint32_t n = 0; n < c->line_count; n++) {
        const char *name = c->lines[n].name ? c->lines[n].name : "";
        if (!*name)
            continue;
        const double needed = fmin(20 + pen_width(pen, name), width);
        if (at > x && at + needed > x + width) {
            at = x;
            height += LEGEND_STEP;
        }
        pen_rgb(pen, line_colour(c, n));
        cairo_rectangle(pen_cairo(pen), at, y + height - 16, 13, 11);
        cairo_fill(pen_cairo(pen));
        pen_ink(pen, ink_text);
        pen_line(pen, name, at + 19, y + height - 5, needed - 18, LEFT);
        at += needed + 22;
        any = true;
    }
    return any ? height : 0;
}

void plot_draw(struct pen *pen, const struct curve *c, double x, double y, double width,
               double height)
{
    cairo_t *cr = pen_cairo(pen);
    char text[256];
    cairo_save(cr);
    pen_ink(pen, ink_text);
    pen_font(pen, FONT_BOLD, TITLE_SIZE);
    pen_line(pen, c->title, x, y + 20, width, LEFT);
    const double legend = plot_draw_legend(pen, c, x, y + 28, width);
    struct area a = {.x = x + LABEL_ROOM, .width = width - LABEL_ROOM - 20, .height = 1};
    find_axes(c, &a);
    const double name_y = y + 28 + legend + 17;
    a.y = name_y + 9 + draw_guides(pen, c, &a, false) * GUIDE_STEP;
    a.height = y + height - BOTTOM_ROOM - a.y;
    if (a.height < 40 || a.width < 80) {
        cairo_restore(cr);
        return; // the legend leaves no room for a plot
    }
    pen_ink(pen, ink_text);
    pen_font(pen, FONT_REGULAR, TEXT_SIZE);
    name_with_unit(c->y_name, c->y_unit, text);
    pen_line(pen, text, x, name_y, width, LEFT);
    find_axes(c, &a);
    draw_axes(pen, c, &a);
    cairo_save(cr);
    cairo_rectangle(cr, a.x, a.y - 4, a.width + 4, a.height + 8);
    cairo_clip(cr);
    for (int lines = 0; lines < 2; lines++) { // bars are behind lines
        for (uint32_t n = 0; n < c->line_count; n++) {
            const uint8_t *rgb = line_colour(c, n);
            if (c->lines[n].bars == (lines == 1))
                continue;
            cairo_set_source_rgba(cr, rgb[0] / 255.0, rgb[1] / 255.0, rgb[2] / 255.0,
                                  lines ? 1 : 0.6);
            if (lines)
                draw_line(pen, &c->lines[n], &a);
            else
                draw_bars(pen, &c->lines[n], &a);
        }
    }
    cairo_restore(cr);
    draw_guides(pen, c, &a, true);
    cairo_restore(cr);
}
