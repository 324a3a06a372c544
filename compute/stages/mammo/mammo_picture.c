#include "compute/stages/mammo/mammo_picture.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/findings/outline.h"
#include "compute/image/load.h"
#include "compute/image/voi.h"

static const double work_mm = 0.4;     // masses and tissue show at it; a 4 mm mass has 10 pixels
static const double pixel_max = 0.6;   // mm: what is coarser is no mammogram that shows a mass
static const double least_mm = 50;     // either side: no breast is smaller
static const double side_share = 0.05; // of the columns: a band at either side
static const double side_skip_mm = 4;  // beyond it, as a film may be bright along its edge
// The band without breast is that much flatter than the other before the picture is held against
// its header.
static const double flatter = 3;

enum { TABLE = 65536 }; // steps from the least to the most value

struct grey_range {
    double low, step; // value of a table entry
};

// FOR PROCESSING values are proportional to exposure: its logarithm is what tissue adds up to. Zero
// exposure has none: 1 stands for it.
static double grey_of(const struct voi *voi, const struct mammo_view *view, bool inverted,
                      const struct grey_range *range, double value)
{
    const double high = range->low + range->step * (TABLE - 1);
    if (view->for_processing)
        return log(fmax(high - range->low, 1) + 1) - log(fmax(value - range->low, 0) + 1);
    double g = voi_grey(voi, value);
    if (isnan(g))
        g = (value - range->low) / (high - range->low);
    return inverted ? 1 - g : g;
}

static bool grey_table(const struct stage_run *run, uint32_t frame, const struct mammo_view *view,
                       const struct grey_range *range, int16_t *table, struct err *err)
{
    struct voi voi = {0};
    const struct image_pixels *pixels = run->set->pixels;
    if (!view->for_processing && pixels->voi && !pixels->voi(pixels->ctx, frame, &voi, err))
        return false;
    const bool inverted = run->set->frames[frame].inverted;
    const double span = view->for_processing ? log(fmax(range->step * (TABLE - 1), 1) + 1) : 1;
    for (int n = 0; n < TABLE; n++) {
        const double g = grey_of(&voi, view, inverted, range, range->low + n * range->step) / span;
        table[n] = (int16_t)lrint(fmin(fmax(g, 0), 1) * MAMMO_GREY_MAX);
    }
    voi_finish(&voi);
    return true;
}

static int16_t *grey_values(float *values, size_t pixels, const struct grey_range *range,
                            const int16_t *table)
{
    int16_t *grey = malloc(pixels * sizeof *grey);
    for (size_t i = 0; grey && i < pixels; i++) {
        const double n = ((double)values[i] - range->low) / range->step;
        grey[i] = table[(int)fmin(fmax(n, 0), TABLE - 1)];
    }
    return grey;
}

static bool read_grey(const struct stage_run *run, uint32_t image, const struct mammo_view *view,
                      struct mammo_picture *out, const char **refused, struct err *err)
{
    const struct image *img = &run->set->images[image];
    const size_t pixels = (size_t)img->dim[0] * img->dim[1];
    float *values = malloc(pixels * sizeof *values);
    int16_t *table = malloc(TABLE * sizeof *table), *grey = NULL;
    bool ok = false;
    if (!values || !table) {
        err_set(err, ERR_NOMEM, "mammo: no memory for an image");
        goto out;
    }
    if (!image_read_slice(run->set, img, 0, 0, values, err))
        goto out;
    float low = values[0], high = values[0];
    for (size_t i = 1; i < pixels; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    if (!(high > low)) {
        *refused = "the picture is empty";
        ok = true;
        goto out;
    }
    const struct grey_range range = {(double)low, ((double)high - (double)low) / (TABLE - 1)};
    if (!grey_table(run, image_frame_at(img, 0, 0), view, &range, table, err))
        goto out;
    grey = grey_values(values, pixels, &range, table);
    if (!grey) {
        err_set(err, ERR_NOMEM, "mammo: no memory for an image");
        goto out;
    }
    const uint32_t dim[3] = {img->dim[0], img->dim[1], 1};
    const double spacing[3] = {out->pixel_mm, out->pixel_mm, 1};
    out->fine = gpu_volume_write(run->gpu, dim, spacing, GPU_VOXEL_I16, grey, err);
    ok = out->fine != NULL;
out:
    free(grey);
    free(table);
    free(values);
    return ok;
}

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

struct band {
    double median, spread; // of its grey: half of the pixels lie within spread
};

static bool measure_band(const struct mammo_picture *p, bool right, struct band *out)
{
    const uint32_t n = (uint32_t)fmax(2, side_share * p->w);
    const uint32_t skip = (uint32_t)(side_skip_mm / p->mm);
    const size_t count = (size_t)n * p->h;
    float *v = malloc(count * sizeof *v);
    if (!v)
        return false;
    for (uint32_t y = 0; y < p->h; y++)
        memcpy(v + (size_t)y * n, p->grey + (size_t)y * p->w + (right ? p->w - n - skip : skip),
               n * sizeof *v);
    qsort(v, count, sizeof *v, compare_floats);
    out->median = (double)v[count / 2];
    out->spread = (double)v[count * 3 / 4] - (double)v[count / 4] + 1;
    free(v);
    return true;
}

static bool turn_over(struct mammo_picture *p, struct err *err)
{
    const size_t count = (size_t)p->columns * p->rows;
    int16_t *v = malloc(count * sizeof *v);
    bool ok = v && gpu_volume_read(p->fine, 0, 1, v, err);
    for (size_t i = 0; ok && i < count; i++)
        v[i] = (int16_t)(MAMMO_GREY_MAX - v[i]);
    ok = ok && gpu_volume_write_slices(p->fine, 0, 1, v, err);
    for (size_t i = 0; ok && i < (size_t)p->w * p->h; i++)
        p->grey[i] = MAMMO_GREY_MAX - p->grey[i];
    free(v);
    p->inverted = true;
    return v ? ok : err_set(err, ERR_NOMEM, "mammo: no memory for an image");
}

// Air lies at one side, flat and dark. Where it is bright the values are upside down: MONOCHROME1
// and 2 mixed up, or detector values of the other sense.
static bool see_sides(struct mammo_picture *p, struct err *err)
{
    struct band left, right;
    if (!measure_band(p, false, &left) || !measure_band(p, true, &right))
        return err_set(err, ERR_NOMEM, "mammo: no memory for an image");
    const struct band *flat = left.spread < right.spread ? &left : &right;
    const struct band *other = flat == &left ? &right : &left;
    if (flat->median > other->median && flat->spread * flatter < other->spread) {
        if (!turn_over(p, err))
            return false;
        p->mirrored = flat == &left;
    } else {
        p->mirrored = right.median > left.median;
    }
    for (uint32_t y = 0; p->mirrored && y < p->h; y++) {
        float *row = p->grey + (size_t)y * p->w;
        for (uint32_t x = 0; x < p->w / 2; x++) {
            const float t = row[x];
            row[x] = row[p->w - 1 - x];
            row[p->w - 1 - x] = t;
        }
    }
    return true;
}

static bool read_work(const struct stage_run *run, struct mammo_picture *p, struct err *err)
{
    uint32_t factor[3];
    gpu_shrink_factors(p->fine->spacing, work_mm, factor);
    p->factor = factor[0];
    const uint32_t lead[2] = {0, 0};
    struct gpu_volume *coarse =
        gpu_volume_shrink(p->fine, (uint32_t[]){factor[0], factor[0], 1}, lead, err);
    if (!coarse)
        return false;
    p->w = coarse->dim[0];
    p->h = coarse->dim[1];
    p->mm = p->pixel_mm * factor[0];
    const size_t count = (size_t)p->w * p->h;
    int16_t *v = arena_alloc(run->arena, count, sizeof *v);
    p->grey = arena_alloc(run->arena, count, sizeof *p->grey);
    bool ok = v && p->grey;
    if (!ok)
        err_set(err, ERR_NOMEM, "mammo: no memory for an image");
    ok = ok && gpu_volume_read(coarse, 0, 1, v, err);
    for (size_t i = 0; ok && i < count; i++)
        p->grey[i] = v[i];
    gpu_volume_destroy(coarse);
    return ok;
}

bool mammo_picture_read(const struct stage_run *run, uint32_t image, const struct mammo_view *view,
                        struct mammo_picture *out, const char **refused, struct err *err)
{
    const struct image *img = &run->set->images[image];
    const bool stated = img->spacing[0] > 0 && img->spacing[1] > 0;
    *out = (struct mammo_picture){.columns = img->dim[0],
                                  .rows = img->dim[1],
                                  .pixel_mm = stated ? img->spacing[0] : view->pixel_mm};
    if (img->colour) {
        *refused = "a picture in colour";
        return true;
    }
    if (!(out->pixel_mm > 0) || (stated && fabs(img->spacing[1] / img->spacing[0] - 1) > 0.01)) {
        *refused = "the size of its pixels is not stated, or they are no squares";
        return true;
    }
    if (out->pixel_mm > pixel_max) {
        *refused = "its pixels are too large";
        return true;
    }
    if (fmin(img->dim[0], img->dim[1]) * out->pixel_mm < least_mm) {
        *refused = "it is smaller than a breast";
        return true;
    }
    if (!read_grey(run, image, view, out, refused, err))
        return false;
    return !out->fine || (read_work(run, out, err) && see_sides(out, err));
}

void mammo_picture_finish(struct mammo_picture *p)
{
    gpu_volume_destroy(p->fine);
    p->fine = NULL;
}

void mammo_picture_point(const struct mammo_picture *p, double x, double y, float out[2])
{
    // Blocks start at the first column as stored: the last one may stick out of the image.
    const double column = (p->mirrored ? p->w - x : x) * p->factor;
    out[0] = (float)fmin(fmax(column, 0), p->columns);
    out[1] = (float)fmin(fmax(y * p->factor, 0), p->rows);
}

bool mammo_picture_outline(const struct mammo_picture *p, const uint8_t *mask, struct arena *arena,
                           float **points, uint32_t *count)
{
    struct outline *list = NULL;
    uint32_t n = 0, best = 0;
    *count = 0;
    *points = NULL;
    if (!outline_trace(mask, p->w, p->h, (uint32_t[]){0, 0}, arena, &list, &n))
        return false;
    for (uint32_t i = 1; i < n; i++) {
        if (!list[i].hole && list[i].count > list[best].count)
            best = i;
    }
    if (!n)
        return true;
    *points = list[best].points;
    *count = list[best].count;
    for (uint32_t i = 0; i < *count; i++)
        mammo_picture_point(p, (double)list[best].points[2 * i],
                            (double)list[best].points[2 * i + 1], *points + 2 * (size_t)i);
    return true;
}
