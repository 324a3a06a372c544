#include "compute/stages/render/render_picture.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compute/draw/pen.h"

#define FILM_STRIP 18u // rows below the picture: not for diagnostic use

uint8_t *render_film_begin(struct findings *f, const struct render_film *film, struct err *err)
{
    const uint32_t height = film->size + FILM_STRIP;
    uint8_t *rgb = arena_alloc(f->arena, (size_t)film->frames * height * film->size, 3);
    struct picture *p = rgb ? findings_add_picture(f) : NULL;
    if (!p) {
        err_set(err, ERR_NOMEM, "render: no memory for %u frames", film->frames);
        return NULL;
    }
    *p = (struct picture){.name = film->name,
                          .product = film->name,
                          .title = film->title,
                          .width = film->size,
                          .height = height,
                          .frames = film->frames,
                          .frame_ms = film->frames > 1 ? film->frame_ms : 0,
                          .rgb = rgb};
    if (film->frames == 1) { // of several they differ: burned in
        const double *axes[2] = {film->cameras[0].right, film->cameras[0].down};
        for (int i = 0; i < 2; i++)
            render_letters(axes[i], p->directions[i]);
    }
    return rgb;
}

static void edge_letters(struct pen *pen, const struct render_film *film, uint32_t n)
{
    const struct render_camera *c = &film->cameras[n];
    const double size = film->size, type = fmax(11, size / 36);
    const double side[4][3] = {{c->right[0], c->right[1], c->right[2]},
                               {c->down[0], c->down[1], c->down[2]},
                               {-c->right[0], -c->right[1], -c->right[2]},
                               {-c->down[0], -c->down[1], -c->down[2]}};
    pen_font(pen, FONT_BOLD, type);
    pen_ink(pen, ink_white);
    for (int i = 0; i < 4; i++) { // right, below, left, above (under the label)
        char text[4];
        render_letters(side[i], text);
        const double width = pen_width(pen, text);
        const double x[4] = {size - 6 - width, (size - width) / 2, 6, (size - width) / 2},
                     y[4] = {size / 2, size - 6, size / 2, 2 * type + 12};
        pen_edged(pen, text, x[i], y[i]);
    }
}

// A length of 1, 2 or 5 times a power of ten that is at most a third of the picture.
static double bar_length_mm(double most_mm)
{
    double unit = pow(10, floor(log10(most_mm)));
    return most_mm >= 5 * unit ? 5 * unit : most_mm >= 2 * unit ? 2 * unit : unit;
}

static void scale_bar(struct pen *pen, const struct render_film *film)
{
    char text[32];
    const double mm = bar_length_mm(film->size * film->pixel_mm / 3), length = mm / film->pixel_mm;
    const double x = film->size - 10 - length, y = film->size - 10;
    snprintf(text, sizeof text, "%g mm", mm);
    pen_ink(pen, ink_white);
    pen_stroke(pen, x, y, x + length, y, 2);
    pen_stroke(pen, x, y - 5, x, y + 1, 2);
    pen_stroke(pen, x + length, y - 5, x + length, y + 1, 2);
    pen_font(pen, FONT_REGULAR, fmax(10, film->size / 46.0));
    pen_edged(pen, text, x + length / 2 - pen_width(pen, text) / 2, y - 8);
}

static void label_frame(struct pen *pen, const struct render_film *film, uint32_t n)
{
    char text[64];
    const double type = fmax(9, film->size / 46.0), size = film->size;
    pen_font(pen, FONT_REGULAR, type);
    pen_ink(pen, ink_white);
    pen_edged(pen, film->title, 4, type + 3);
    if (*film->remark)
        pen_edged(pen, film->remark, 4, 2 * type + 6);
    snprintf(text, sizeof text, "%.0f\302\260", film->angles[n]);
    pen_edged(pen, text, size - 4 - pen_width(pen, text), type + 3);
    pen_box(pen, 0, size, size, FILM_STRIP, ink_alarm);
    pen_ink(pen, ink_white);
    pen_font(pen, FONT_BOLD, fmin(12, size / 18.0));
    pen_line(pen, "NOT FOR DIAGNOSTIC USE", 2, size + FILM_STRIP - 5.0, size - 4, CENTRE);
}

static void fill_surface(cairo_surface_t *surface, const uint32_t *rgb, uint32_t size)
{
    cairo_surface_flush(surface);
    unsigned char *data = cairo_image_surface_get_data(surface);
    const size_t stride = (size_t)cairo_image_surface_get_stride(surface);
    for (uint32_t j = 0; j < size; j++) {
        for (uint32_t i = 0; i < size; i++) {
            const uint32_t c = rgb[(size_t)j * size + i];
            const uint32_t word = (c & 0xff) << 16 | (c & 0xff00) | (c >> 16 & 0xff);
            memcpy(data + j * stride + 4 * (size_t)i, &word, sizeof word);
        }
    }
    cairo_surface_mark_dirty(surface);
}

static void take_surface(cairo_surface_t *surface, uint32_t width, uint32_t height, uint8_t *out)
{
    cairo_surface_flush(surface);
    const unsigned char *data = cairo_image_surface_get_data(surface);
    const size_t stride = (size_t)cairo_image_surface_get_stride(surface);
    for (size_t j = 0; j < height; j++) {
        for (size_t i = 0; i < width; i++) {
            uint32_t word;
            memcpy(&word, data + j * stride + 4 * i, sizeof word);
            *out++ = (uint8_t)(word >> 16);
            *out++ = (uint8_t)(word >> 8);
            *out++ = (uint8_t)word;
        }
    }
}

bool render_film_draw(const struct render_film *film, uint8_t *pixels, uint32_t n,
                      const uint32_t *rgb, struct err *err)
{
    const uint32_t height = film->size + FILM_STRIP;
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)film->size, (int)height);
    cairo_t *cr = cairo_create(surface);
    struct pen *pen = pen_create(cr, err);
    bool ok = pen;
    if (ok) {
        fill_surface(surface, rgb, film->size);
        edge_letters(pen, film, n);
        scale_bar(pen, film);
        label_frame(pen, film, n);
        const cairo_status_t status = cairo_status(cr);
        if (status == CAIRO_STATUS_SUCCESS)
            take_surface(surface, film->size, height, pixels + (size_t)n * film->size * height * 3);
        else
            ok = err_set(err, status == CAIRO_STATUS_NO_MEMORY ? ERR_NOMEM : ERR_INTERNAL,
                         "render: %s", cairo_status_to_string(status));
    }
    pen_destroy(pen);
    cairo_destroy(cr);
    cairo_surface_destroy(surface);
    return ok;
}

void render_grey(const float *values, size_t count, const double window[2], uint32_t *rgb)
{
    const double low = window[0] - window[1] / 2;
    for (size_t n = 0; n < count; n++) {
        double t = (values[n] - low) / window[1];
        t = t > 0 && values[n] > RENDER_NOTHING ? fmin(t, 1) : 0;
        rgb[n] = 0x010101U * (uint32_t)(t * 255 + 0.5);
    }
}

#define VALUES 65536

// The value that `below` of all lie below.
static double value_below(const uint32_t *counts, uint64_t all, double below)
{
    uint64_t sum = 0;
    int n = 0;
    while (n < VALUES - 1 && sum + counts[n] <= (uint64_t)(below * (double)all))
        sum += counts[n++];
    return n - 32768;
}

void render_window(const float *values, size_t count, double window[2])
{
    uint32_t *counts = calloc(VALUES, sizeof *counts);
    uint64_t all = 0;
    window[0] = 0;
    window[1] = 1;
    for (size_t n = 0; counts && n < count; n++) {
        if (values[n] > RENDER_NOTHING) {
            counts[(int)lrintf(values[n]) + 32768]++;
            all++;
        }
    }
    if (all) {
        const double low = value_below(counts, all, 0.01), high = value_below(counts, all, 0.998);
        window[0] = (low + high) / 2;
        window[1] = fmax(high - low, 1);
    }
    free(counts);
}
