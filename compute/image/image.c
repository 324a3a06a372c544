#include "compute/image/image.h"
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *image_axis_name(enum image_axis axis)
{
    static const char *const names[] = {
        [IMAGE_NO_AXIS] = "none", [IMAGE_TIME] = "time", [IMAGE_PHASE] = "phase",
        [IMAGE_ECHO] = "echo",    [IMAGE_B] = "b value",
    };
    return names[axis];
}

const struct image *image_main(const struct image_set *set, uint32_t pool, struct err *err)
{
    const struct image *main = NULL;
    for (uint32_t i = 0; i < set->image_count; i++) {
        const struct image *img = &set->images[i];
        if (img->pool != pool)
            continue;
        if (!main) {
            main = img;
            continue;
        }
        const size_t most = (size_t)main->dim[2] * main->dim[3] - main->missing;
        const size_t next = (size_t)img->dim[2] * img->dim[3] - img->missing;
        if (next == most) {
            err_set(err, ERR_GEOMETRY,
                    "groups of images differ in orientation, size, place or kind, and none is the "
                    "largest (%zu frames each)",
                    most);
            return NULL;
        }
        break; // the others are smaller
    }
    if (!main) {
        err_set(err, ERR_INPUT, "no image: %s",
                set->localizers ? "only localizers" : "there are no frames");
        return NULL;
    }
    if (main->defect[0]) {
        err_set(err, ERR_GEOMETRY, "%s", main->defect);
        return NULL;
    }
    return main;
}

static void add_remark(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void add_remark(char *text, size_t size, const char *format, ...)
{
    size_t used = strlen(text);
    if (used && used + 1 < size)
        text[used++] = ' ';
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, size - used, format, args);
    va_end(args);
}

static bool rescale_differs(const struct image_set *set, const struct image *img)
{
    const struct image_frame *first = NULL;
    for (size_t i = 0; i < (size_t)img->dim[2] * img->dim[3]; i++) {
        if (img->frame[i] == IMAGE_NO_FRAME)
            continue;
        const struct image_frame *f = &set->frames[img->frame[i]];
        if (!first)
            first = f;
        if (f->slope != first->slope || f->intercept != first->intercept)
            return true;
    }
    return false;
}

void image_remarks(const struct image_set *set, const struct image *main, char *text, size_t size)
{
    size_t localizers = 0, foreign = 0;
    for (uint32_t i = 0; i < set->frame_count; i++)
        localizers += set->frames[i].pool == main->pool && set->fate[i] == IMAGE_LOCALIZER;
    for (uint32_t i = 0; i < set->image_count; i++) {
        const struct image *img = &set->images[i];
        if (img != main && img->pool == main->pool)
            foreign += (size_t)img->dim[2] * img->dim[3] - img->missing + img->duplicates;
    }
    text[0] = 0;
    if (rescale_differs(set, main))
        add_remark(text, size, "Rescale slope or intercept differs between slices.");
    if (localizers)
        add_remark(text, size, "Set aside as localizer: %zu.", localizers);
    if (foreign)
        add_remark(text, size,
                   "Set aside for another orientation, size, spacing, frame of reference or kind: "
                   "%zu.",
                   foreign);
    if (main->duplicates)
        add_remark(text, size, "Set aside as duplicate of a position: %u.", main->duplicates);
    if (main->tilt_deg >= 0.5)
        add_remark(text, size, "Gantry tilt %.1f degrees.", main->tilt_deg);
}

bool image_has_reference(const struct image_set *set, const struct image *img)
{
    for (size_t i = 0; img->placed && i < (size_t)img->dim[2] * img->dim[3]; i++) {
        if (img->frame[i] != IMAGE_NO_FRAME) // all of an image have the same
            return set->frames[img->frame[i]].frame_of_reference_uid[0] != 0;
    }
    return false;
}

uint32_t image_frame_at(const struct image *img, uint32_t slice, uint32_t point)
{
    if (slice >= img->dim[2] || point >= img->dim[3])
        return IMAGE_NO_FRAME;
    return img->frame[(size_t)point * img->dim[2] + slice];
}

enum image_attr image_attr(const struct image_set *set, const struct image *img,
                           const char *keyword, const char **value)
{
    const size_t cells = (size_t)img->dim[2] * img->dim[3];
    const char *first = NULL;
    bool absent = false, differs = false;
    for (size_t i = 0; i < cells; i++) {
        if (img->frame[i] == IMAGE_NO_FRAME)
            continue;
        const struct attrs *attrs = set->frames[img->frame[i]].attrs;
        const char *text = attrs ? attrs_get(attrs, keyword) : NULL;
        if (!text || !*text) {
            absent = true;
            continue;
        }
        if (!first)
            first = text;
        differs = differs || strcmp(first, text) != 0;
    }
    if (value)
        *value = first;
    if (!first)
        return IMAGE_ATTR_ABSENT;
    return absent || differs ? IMAGE_ATTR_DIFFERS : IMAGE_ATTR_SAME;
}

enum image_attr image_number(const struct image_set *set, const struct image *img,
                             const char *keyword, double *value)
{
    const char *text;
    char *end;
    const enum image_attr state = image_attr(set, img, keyword, &text);
    *value = NAN;
    if (text) {
        const double number = strtod(text, &end);
        if (end != text && isfinite(number))
            *value = number;
    }
    return state;
}

const char *image_text(const struct image_set *set, const struct image *img, const char *keyword)
{
    const char *text;
    return image_attr(set, img, keyword, &text) == IMAGE_ATTR_SAME ? text : "";
}

void image_to_patient(const struct image *img, const double ijk[3], double mm[3])
{
    for (int a = 0; a < 3; a++) {
        const double *row = img->to_patient[a];
        mm[a] = row[0] * ijk[0] + row[1] * ijk[1] + row[2] * ijk[2] + row[3];
    }
}

char image_direction(const struct image *img, int axis)
{
    static const char names[3][2] = {{'R', 'L'}, {'A', 'P'}, {'F', 'H'}}; // against, along LPS
    int largest = 0;
    if (!img->placed)
        return ' ';
    for (int a = 1; a < 3; a++) {
        if (fabs(img->to_patient[a][axis]) > fabs(img->to_patient[largest][axis]))
            largest = a;
    }
    return names[largest][img->to_patient[largest][axis] > 0];
}

size_t image_voxels(const struct image *img)
{
    return (size_t)img->dim[0] * img->dim[1] * img->dim[2];
}

static const char *frame_text(const struct image_frame *f, const char *keyword)
{
    const char *text = f->attrs ? attrs_get(f->attrs, keyword) : NULL;
    return text ? text : "";
}

// Whether an Instance Number may name frames of two series.
static bool several_series(const struct image_set *set, const struct image_frame *f)
{
    for (uint32_t i = 0; i < set->frame_count; i++) {
        const struct image_frame *other = &set->frames[i];
        if (other->pool != f->pool ||
            (other->attrs != f->attrs && strcmp(frame_text(other, "SeriesInstanceUID"),
                                                frame_text(f, "SeriesInstanceUID")) != 0))
            return true;
    }
    return false;
}

const char *image_place_name(const struct image_set *set, uint32_t image, uint32_t slice,
                             uint32_t point, char *text, size_t size)
{
    const uint32_t index = image_frame_at(&set->images[image], slice, point);
    const struct image_frame *f = index == IMAGE_NO_FRAME ? NULL : &set->frames[index];
    const char *series = f && several_series(set, f) ? frame_text(f, "SeriesNumber") : "";
    char where[32] = "";
    if (*series)
        snprintf(where, sizeof where, "series %.16s ", series);
    if (!f || f->instance_number < 0)
        snprintf(text, size, "%sslice %u", where, slice + 1);
    else if (f->of_many)
        snprintf(text, size, "%simage %d frame %u", where, f->instance_number, f->number);
    else
        snprintf(text, size, "%simage %d", where, f->instance_number);
    return text;
}
