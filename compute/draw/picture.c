#include "compute/draw/picture.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "base/parallel.h"
#include "compute/draw/pen.h"
#include "compute/draw/plane.h"
#include "compute/draw/tile.h"

#define STRIP    18.0 // below the picture: not for diagnostic use
#define BAR_ROOM 78.0 // right of it, for the colours of a map
#define THREADS  2    // the cores of the smallest machine

struct cine {
    struct findings *f;
    const struct image_set *set;
    const struct picture_wish *wish;
    const struct image *img;
    const struct value_map *map; // NULL: the image
    uint32_t frames, width, height;
    double window[2];
    uint8_t *rgb; // in the arena of the findings
};

static struct place cine_place(const struct cine *c, uint32_t n)
{
    struct place place = c->wish->place;
    if (c->wish->over_slices || c->map)
        place.slice = n;
    else
        place.point = n;
    return place;
}

// A missing frame is no error: *plane has no values then.
static bool cine_read(const struct cine *c, uint32_t n, struct plane *plane, struct err *err)
{
    const struct place place = cine_place(c, n);
    *plane = (struct plane){0};
    if (c->map)
        return plane_read_map(plane, c->set, c->f, c->wish->map, &place, c->wish->regions, err);
    if (image_frame_at(c->img, place.slice, place.point) == IMAGE_NO_FRAME)
        return true;
    return plane_read_slice(plane, c->set, c->f, &place, c->wish->regions, err);
}

static bool cine_window(struct cine *c, struct err *err)
{
    double low = INFINITY, high = -INFINITY;
    bool said = !c->map; // each frame says how it wants to be shown
    memcpy(c->window, c->wish->window, sizeof c->window);
    if (c->map && !(c->window[1] > 0))
        memcpy(c->window, c->map->window, sizeof c->window);
    if (c->window[1] > 0)
        return true;
    for (uint32_t n = 0; n < c->frames; n++) {
        struct plane plane;
        if (!cine_read(c, n, &plane, err))
            return false;
        for (size_t i = 0; plane.values && i < (size_t)plane.columns * plane.rows; i++) {
            low = fmin(low, plane.values[i]);
            high = fmax(high, plane.values[i]);
        }
        said = said && (!plane.values || plane.voi.kind != VOI_NONE);
        plane_finish(&plane);
    }
    if (said)
        return true;
    c->window[0] = low <= high ? (low + high) / 2 : 0;
    c->window[1] = low < high ? high - low : 1;
    return true;
}

// Square pixels, as large as the smaller side of those of the image, a whole number of times.
static void cine_size(struct cine *c)
{
    const double *mm = c->img->spacing;
    const bool known = mm[0] > 0 && mm[1] > 0 && isfinite(mm[0]) && isfinite(mm[1]);
    const double unit = known ? fmin(mm[0], mm[1]) : 1;
    double width = c->img->dim[0] * (known ? mm[0] / unit : 1),
           height = c->img->dim[1] * (known ? mm[1] / unit : 1);
    const double side = fmax(width, height);
    const double factor =
        side > PICTURE_SIDE_MAX ? PICTURE_SIDE_MAX / side : ceil(PICTURE_SIDE_LEAST / side);
    c->width = (uint32_t)fmax(1, round(width * factor)) + (c->map ? (uint32_t)BAR_ROOM : 0);
    c->height = (uint32_t)fmax(1, round(height * factor)) + (uint32_t)STRIP;
}

static bool cine_begin(struct cine *c, struct err *err)
{
    const struct picture_wish *w = c->wish;
    if (w->map >= 0) {
        if ((uint32_t)w->map >= c->f->map_count)
            return err_set(err, ERR_INPUT, "there is no map %d", w->map);
        c->map = &c->f->maps[w->map];
    }
    const uint32_t image = c->map ? c->map->image : w->place.image;
    if (!c->set || image >= c->set->image_count || (!c->map && !c->set->pixels))
        return err_set(err, ERR_INPUT, "there is no image %" PRIu32 ", or no pixels of it", image);
    c->img = &c->set->images[image];
    const bool over_slices = w->over_slices || c->map;
    if (!c->map &&
        (over_slices ? w->place.point >= c->img->dim[3] : w->place.slice >= c->img->dim[2]))
        return err_set(err, ERR_INPUT, "there is no slice %" PRIu32 ", point %" PRIu32,
                       w->place.slice, w->place.point);
    c->frames = c->img->dim[over_slices ? 2 : 3];
    cine_size(c);
    return cine_window(c, err);
}

static double cine_frame_ms(const struct cine *c)
{
    const struct image *img = c->img;
    if (c->wish->frame_ms > 0)
        return c->wish->frame_ms;
    if (img && !c->wish->over_slices && !c->map && img->axis == IMAGE_PHASE && img->dim[3] > 1) {
        const size_t last = (size_t)(img->dim[3] - 1) * img->dim[2] + c->wish->place.slice;
        const double step = (img->at[last] - img->at[c->wish->place.slice]) / (img->dim[3] - 1);
        if (step > 0 && isfinite(step))
            return step;
    }
    return PICTURE_FRAME_MS;
}

static void cine_draw(const struct cine *c, struct pen *pen, const struct plane *plane)
{
    struct tile tile = {.plane = plane};
    memcpy(tile.window, c->window, sizeof tile.window);
    if (c->map) {
        tile.palette = c->map->palette;
        tile.unit = tile_unit(&c->map->unit);
    }
    pen_box(pen, 0, 0, c->width, c->height, ink_black);
    tile_draw(pen, c->f, &tile, 0, 0, c->width, c->height - STRIP);
    pen_box(pen, 0, c->height - STRIP, c->width, STRIP, ink_alarm);
    pen_ink(pen, ink_white);
    pen_font(pen, FONT_BOLD, fmin(12, c->width / 18.0));
    pen_line(pen, "NOT FOR DIAGNOSTIC USE", 2, c->height - 5, c->width - 4.0, CENTRE);
}

static void copy_pixels(cairo_surface_t *surface, const struct cine *c, uint8_t *out)
{
    cairo_surface_flush(surface);
    const unsigned char *data = cairo_image_surface_get_data(surface);
    const size_t stride = (size_t)cairo_image_surface_get_stride(surface);
    for (size_t j = 0; j < c->height; j++) {
        for (size_t i = 0; i < c->width; i++) {
            uint32_t pixel;
            memcpy(&pixel, data + j * stride + 4 * i, sizeof pixel);
            *out++ = (uint8_t)(pixel >> 16);
            *out++ = (uint8_t)(pixel >> 8);
            *out++ = (uint8_t)pixel;
        }
    }
}

static bool cine_frames(const struct cine *c, uint8_t *rgb, struct err *err)
{
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)c->width, (int)c->height);
    cairo_t *cr = cairo_create(surface);
    struct pen *pen = pen_create(cr, err);
    bool ok = pen;
    for (uint32_t n = 0; ok && n < c->frames; n++) {
        struct plane plane;
        ok = cine_read(c, n, &plane, err);
        if (!ok)
            break;
        cine_draw(c, pen, &plane);
        plane_finish(&plane);
        const cairo_status_t status = cairo_status(cr);
        if (status != CAIRO_STATUS_SUCCESS)
            ok = err_set(err, status == CAIRO_STATUS_NO_MEMORY ? ERR_NOMEM : ERR_INTERNAL,
                         "picture: %s", cairo_status_to_string(status));
        else
            copy_pixels(surface, c, rgb + (size_t)n * c->width * c->height * 3);
    }
    pen_destroy(pen);
    cairo_destroy(cr);
    cairo_surface_destroy(surface);
    return ok;
}

static bool cine_keep(const struct cine *c, const uint8_t *rgb)
{
    const struct picture_wish *w = c->wish;
    struct arena *arena = c->f->arena;
    struct picture fresh = {.name = arena_strdup(arena, w->name),
                            .product = arena_strdup(arena, w->product),
                            .title = arena_strdup(arena, w->title ? w->title : w->name),
                            .width = c->width,
                            .height = c->height,
                            .frames = c->frames,
                            .frame_ms = cine_frame_ms(c),
                            .rgb = rgb};
    if (c->img && c->img->placed) {
        fresh.directions[0][0] = image_direction(c->img, 0);
        fresh.directions[1][0] = image_direction(c->img, 1);
    }
    struct picture *p =
        fresh.name && fresh.product && fresh.title ? findings_add_picture(c->f) : NULL;
    if (p)
        *p = fresh;
    return p;
}

static bool cine_start(struct cine *c, struct err *err)
{
    if (!cine_begin(c, err))
        return false;
    c->rgb = arena_alloc(c->f->arena, (size_t)c->frames * c->width * c->height, 3);
    return c->rgb ||
           err_set(err, ERR_NOMEM, "picture: no memory for %" PRIu32 " frames", c->frames);
}

static bool cine_end(const struct cine *c, struct err *err)
{
    return cine_keep(c, c->rgb) || err_set(err, ERR_NOMEM, "picture: no memory");
}

bool picture_cine(struct findings *f, const struct image_set *set, const struct picture_wish *wish,
                  struct err *err)
{
    struct cine c = {.f = f, .set = set, .wish = wish};
    return cine_start(&c, err) && cine_frames(&c, c.rgb, err) && cine_end(&c, err);
}

struct map_cine {
    struct picture_wish wish;
    struct cine cine;
    struct err err;
    bool ok;
};

static void draw_map_cines(void *ctx, size_t first, size_t count)
{
    struct map_cine *all = ctx;
    for (size_t n = first; n < first + count; n++)
        all[n].ok = cine_frames(&all[n].cine, all[n].cine.rgb, &all[n].err);
}

static struct picture_wish map_wish(const struct findings *f, uint32_t n)
{
    const struct value_map *m = &f->maps[n];
    return (struct picture_wish){.name = m->name,
                                 .product = m->name,
                                 .title = m->title,
                                 .place = {m->image, 0, 0},
                                 .over_slices = true,
                                 .map = (int)n};
}

// Maps are values in memory, and each cine has a pen of its own: several are drawn side by side.
bool picture_maps(struct findings *f, const struct image_set *set, struct err *err)
{
    struct map_cine *all = arena_alloc(f->arena, f->map_count + (size_t)1, sizeof *all);
    bool ok = all || err_set(err, ERR_NOMEM, "picture: no memory");
    for (uint32_t n = 0; ok && n < f->map_count; n++)
        all[n].wish = map_wish(f, n);
    if (ok && f->map_count == 1)
        return picture_cine(f, set, &all[0].wish, err);
    for (uint32_t n = 0; ok && n < f->map_count; n++) {
        all[n].cine = (struct cine){.f = f, .set = set, .wish = &all[n].wish};
        ok = cine_start(&all[n].cine, err);
    }
    if (ok)
        parallel_for(f->map_count, THREADS, draw_map_cines, all);
    for (uint32_t n = 0; ok && n < f->map_count; n++) {
        if (!all[n].ok && err)
            *err = all[n].err;
        ok = all[n].ok && cine_end(&all[n].cine, err);
    }
    return ok;
}
