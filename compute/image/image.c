#include "compute/image/image.h"
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/text.h"

const char *image_axis_name(enum image_axis axis)
{
    static const char *const names[] = {
        [IMAGE_NO_AXIS] = "none", [IMAGE_TIME] = "time", [IMAGE_PHASE] = "phase",
        [IMAGE_ECHO] = "echo",    [IMAGE_B] = "b value", [IMAGE_ORDER] = "order",
    };
    return names[axis];
}

const char *image_points_text(const struct image *img, char *text, size_t size)
{
    static const char *const what[] = {
        [IMAGE_NO_AXIS] = "instance", [IMAGE_TIME] = "time (s)",     [IMAGE_PHASE] = "delay (ms)",
        [IMAGE_ECHO] = "echo (ms)",   [IMAGE_B] = "b value (s/mm2)", [IMAGE_ORDER] = "order",
    };
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; img->at && i < (size_t)img->dim[2] * img->dim[3]; i++) {
        low = fmin(low, img->at[i]); // NAN is no number: the other one counts
        high = fmax(high, img->at[i]);
    }
    snprintf(text, size, "%u images of each place differ in nothing but their %s", img->dim[3],
             what[img->axis]);
    const size_t used = strlen(text);
    if (low < high && img->axis != IMAGE_ORDER)
        snprintf(text + used, size - used, ", %.6g to %.6g", low, high);
    return text;
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

// How many Frame of Reference UIDs the frames have, and how many frames have none.
static size_t count_references(const struct image_set *set, const struct image *img, size_t *empty)
{
    const size_t cells = (size_t)img->dim[2] * img->dim[3];
    size_t count = 0;
    *empty = 0;
    for (size_t i = 0; i < cells; i++) {
        if (img->frame[i] == IMAGE_NO_FRAME)
            continue;
        const char *uid = set->frames[img->frame[i]].frame_of_reference_uid;
        bool seen = false;
        for (size_t k = 0; k < i && !seen && *uid; k++)
            seen = img->frame[k] != IMAGE_NO_FRAME &&
                   strcmp(set->frames[img->frame[k]].frame_of_reference_uid, uid) == 0;
        *empty += !*uid;
        count += *uid && !seen;
    }
    return count;
}

static void remark_geometry(const struct image_set *set, const struct image *img, char *text,
                            size_t size)
{
    size_t empty;
    const size_t references = count_references(set, img, &empty);
    if (references > 1)
        add_remark(text, size,
                   "Frame of Reference UID differs between slices of one even grid (%zu values): "
                   "taken as one.",
                   references);
    else if (references == 1 && empty)
        add_remark(text, size, "Frame of Reference UID is missing in %zu images of one even grid.",
                   empty);
    if (img->uneven_mm > 0.05)
        add_remark(text, size, "Slices lie up to %.2f mm off an even grid.", img->uneven_mm);
    if (img->tilt_deg >= 0.5)
        add_remark(text, size, "Gantry tilt %.1f degrees.", img->tilt_deg);
}

// What keeps an image out of another one.
enum apart {
    APART_UNPLACED,
    APART_PAGES,
    APART_PLACED,
    APART_COLOUR,
    APART_SIZE,
    APART_SPACING,
    APART_ORIENTATION,
    APART_REFERENCE,
    APART_UNIT,
    APART_ACQUISITION,
    APART_KIND,
    APARTS
};

static const char *const apart_names[APARTS] = {
    [APART_UNPLACED] = "without a place in space",
    [APART_PAGES] = "without a place in space too, of other instances",
    [APART_PLACED] = "with a place in space",
    [APART_COLOUR] = "in colour",
    [APART_SIZE] = "of another size",
    [APART_SPACING] = "with another pixel spacing",
    [APART_ORIENTATION] = "in another orientation",
    [APART_REFERENCE] = "in another frame of reference",
    [APART_UNIT] = "in another unit",
    [APART_ACQUISITION] = "of another Acquisition Number",
    [APART_KIND] = "of another kind",
};

static const struct image_frame *apart_frame(const struct image_set *set, const struct image *img)
{
    size_t i = 0; // some frame is there
    while (img->frame[i] == IMAGE_NO_FRAME)
        i++;
    return &set->frames[img->frame[i]];
}

static enum apart apart_why(const struct image_set *set, const struct image *main,
                            const struct image *img)
{
    const struct image_frame *a = apart_frame(set, main), *b = apart_frame(set, img);
    double row = 0, column = 0;
    for (int i = 0; i < 3; i++) {
        row += a->orientation[i] * b->orientation[i];
        column += a->orientation[3 + i] * b->orientation[3 + i];
    }
    if (!main->placed || !img->placed)
        return main->placed ? APART_UNPLACED : img->placed ? APART_PLACED : APART_PAGES;
    if (main->colour != img->colour)
        return APART_COLOUR;
    if (main->dim[0] != img->dim[0] || main->dim[1] != img->dim[1])
        return APART_SIZE;
    if (fabs(a->pixel_mm[0] - b->pixel_mm[0]) > 1e-3 * a->pixel_mm[0] ||
        fabs(a->pixel_mm[1] - b->pixel_mm[1]) > 1e-3 * a->pixel_mm[1])
        return APART_SPACING;
    if (row < 0.99996 || column < 0.99996) // of 0.5 degrees, as in image_split()
        return APART_ORIENTATION;
    if (strcmp(a->frame_of_reference_uid, b->frame_of_reference_uid) != 0)
        return APART_REFERENCE;
    if (strcmp(main->unit, img->unit) != 0)
        return APART_UNIT;
    return image_is_other_acquisition(set, main, img) ? APART_ACQUISITION : APART_KIND;
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
        if (img->colour != main->colour || img->placed != main->placed) // screen saves: no rivals
            break;
        const size_t most = (size_t)main->dim[2] * main->dim[3] - main->missing;
        const size_t next = (size_t)img->dim[2] * img->dim[3] - img->missing;
        if (next == most) {
            err_set(err, ERR_GEOMETRY,
                    "two groups of %zu images may be meant: one is %s; send it as a series of its "
                    "own",
                    most, apart_names[apart_why(set, main, img)]);
            return NULL;
        }
        break; // the others are smaller
    }
    if (!main) {
        err_set(err, ERR_INPUT, "no image: %s",
                set->localizers ? "only localizers" : "there are no frames");
        return NULL;
    }
    if (main->colour) {
        err_set(err, ERR_INPUT,
                "all images are in colour: an analysis measures values, one sample a pixel");
        return NULL;
    }
    if (main->defect[0]) {
        err_set(err, ERR_GEOMETRY, "%s", main->defect);
        return NULL;
    }
    return main;
}

void image_remarks(const struct image_set *set, const struct image *main, char *text, size_t size)
{
    size_t localizers = 0, apart[APARTS] = {0};
    for (uint32_t i = 0; i < set->frame_count; i++)
        localizers += set->frames[i].pool == main->pool && set->fate[i] == IMAGE_LOCALIZER;
    for (uint32_t i = 0; i < set->image_count; i++) {
        const struct image *img = &set->images[i];
        if (img != main && img->pool == main->pool)
            apart[apart_why(set, main, img)] +=
                (size_t)img->dim[2] * img->dim[3] - img->missing + img->duplicates;
    }
    text[0] = 0;
    if (rescale_differs(set, main))
        add_remark(text, size, "Rescale slope or intercept differs between slices.");
    if (localizers)
        add_remark(text, size, "Set aside as localizer: %zu.", localizers);
    for (int i = 0; i < APARTS; i++) {
        if (apart[i])
            add_remark(text, size, "Set aside %s: %zu.", apart_names[i], apart[i]);
    }
    struct image_said modality;
    image_said(set, main, "Modality", &modality);
    if (modality.state == IMAGE_ATTR_DIFFERS)
        add_remark(text, size, "Modality differs between slices: %s.", modality.text);
    remark_geometry(set, main, text, size);
}

bool image_has_reference(const struct image_set *set, const struct image *img)
{
    size_t empty;
    return img->placed && count_references(set, img, &empty) == 1 && empty == 0;
}

uint32_t image_frame_at(const struct image *img, uint32_t slice, uint32_t point)
{
    if (slice >= img->dim[2] || point >= img->dim[3])
        return IMAGE_NO_FRAME;
    return img->frame[(size_t)point * img->dim[2] + slice];
}

// A decimal number and nothing else before the next value, with a point or, which no number of
// DICOM has, a decimal comma. False: it is none.
static bool value_number(const char *text, double *number, bool *comma)
{
    char copy[32], *end;
    text += strspn(text, " ");
    const size_t length = strcspn(text, "\\ ");
    const char *rest = text + length + strspn(text + length, " ");
    if (length == 0 || length >= sizeof copy || (*rest && *rest != '\\') ||
        strspn(text, "+-.,0123456789Ee") < length)
        return false;
    memcpy(copy, text, length);
    copy[length] = 0;
    char *at = strchr(copy, ',');
    if (at && (strchr(copy, '.') || strchr(at + 1, ',')))
        return false; // which of them stands before the fraction is not known
    if (at)
        *at = '.';
    *number = strtod(copy, &end);
    *comma = at != NULL;
    return *end == 0 && isfinite(*number);
}

#define SAID_VALUES 4  // that are named with their count
#define SAID_BYTES  32 // of each, with its end: four of them fit

struct said_value {
    const char *text;
    uint32_t frames;
};

bool image_same_value(const char *a, const char *b)
{
    for (;;) {
        const size_t x = strcspn(a, "\\"), y = strcspn(b, "\\");
        double first, second;
        bool comma;
        const bool same = x == y && strncmp(a, b, x) == 0;
        if (!same && !(value_number(a, &first, &comma) && value_number(b, &second, &comma) &&
                       first == second))
            return false;
        if (!a[x] || !b[y])
            return a[x] == b[y];
        a += x + 1;
        b += y + 1;
    }
}

static void said_append(struct image_said *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void said_append(struct image_said *out, const char *format, ...)
{
    const size_t used = strlen(out->text);
    va_list args;
    va_start(args, format);
    vsnprintf(out->text + used, sizeof out->text - used, format, args);
    va_end(args);
}

static void said_describe(struct image_said *out, const struct said_value *values, uint32_t count)
{
    const uint32_t named = count < SAID_VALUES ? count : SAID_VALUES;
    uint32_t rest = out->frames - out->without;
    char shown[SAID_BYTES];
    if (out->state == IMAGE_ATTR_ABSENT)
        said_append(out, "not stated");
    else if (out->state == IMAGE_ATTR_SAME)
        text_shown(out->first, out->text, sizeof out->text);
    for (uint32_t i = 0; out->state == IMAGE_ATTR_DIFFERS && i < named; i++) {
        said_append(out, "%s%s in %u image%s", i ? ", " : "",
                    text_shown(values[i].text, shown, sizeof shown), values[i].frames,
                    values[i].frames == 1 ? "" : "s");
        rest -= values[i].frames;
    }
    if (out->state == IMAGE_ATTR_DIFFERS && rest)
        said_append(out, ", other in %u", rest);
    if (out->state == IMAGE_ATTR_DIFFERS && out->without)
        said_append(out, ", none in %u", out->without);
}

void image_said(const struct image_set *set, const struct image *img, const char *keyword,
                struct image_said *out)
{
    const size_t cells = (size_t)img->dim[2] * img->dim[3];
    struct said_value values[SAID_VALUES + 1] = {0}; // the last one stands for all others
    uint32_t count = 0;
    *out = (struct image_said){.first = "", .low = NAN, .high = NAN};
    for (size_t i = 0; i < cells; i++) {
        if (img->frame[i] == IMAGE_NO_FRAME)
            continue;
        const struct attrs *attrs = set->frames[img->frame[i]].attrs;
        struct said_value v = {.text = attrs ? attrs_get(attrs, keyword) : NULL};
        out->frames++;
        if (!v.text || !*v.text) {
            out->without++;
            continue;
        }
        double number;
        bool comma;
        if (value_number(v.text, &number, &comma)) {
            out->low = fmin(out->low, number); // NAN is no number: the other one counts
            out->high = fmax(out->high, number);
            out->comma = out->comma || comma;
        }
        uint32_t at = 0;
        while (at < count && at < SAID_VALUES && !image_same_value(values[at].text, v.text))
            at++;
        if (at == count && count <= SAID_VALUES)
            values[count++] = v;
        values[at].frames++;
    }
    if (count) {
        out->first = values[0].text;
        out->state = count > 1 || out->without ? IMAGE_ATTR_DIFFERS : IMAGE_ATTR_SAME;
    }
    said_describe(out, values, count);
}

enum image_attr image_number(const struct image_set *set, const struct image *img,
                             const char *keyword, double *value)
{
    struct image_said said;
    bool comma;
    image_said(set, img, keyword, &said);
    if (!value_number(said.first, value, &comma))
        *value = NAN;
    return said.state;
}

const char *image_text(const struct image_set *set, const struct image *img, const char *keyword)
{
    struct image_said said;
    image_said(set, img, keyword, &said);
    return said.state == IMAGE_ATTR_SAME ? said.first : "";
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
    const bool part = f && (f->of_many || f->tiled), numbered = f && f->instance_number >= 0;
    const char *kind = part && f->tiled ? "tile" : "frame";
    if (part && numbered)
        snprintf(text, size, "%simage %d %s %u", where, f->instance_number, kind, f->number);
    else if (part)
        snprintf(text, size, "%s%s %u", where, kind, f->number);
    else if (!numbered)
        snprintf(text, size, "%sslice %u", where, slice + 1);
    else
        snprintf(text, size, "%simage %d", where, f->instance_number);
    return text;
}
