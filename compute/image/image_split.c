// How frames become images: see compute/image/image.h.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compute/image/image.h"

#define ORIENTATION_COS    0.99996 // cosine of 0.5 degrees: same orientation
#define SPACING_RELATIVE   1e-3    // in-plane spacing: same within 0.1 %
#define SAME_PLACE_MM      0.01 // frames at one place are at most this far apart along the normal
#define BESIDE_MM          0.1  // and this far in the plane
#define INCREMENT_RELATIVE 0.01 // distances are equal within 1 % of the increment,
#define INCREMENT_MM       0.05 // but never told apart below this
#define DRIFT_RELATIVE     0.1  // a slice is nowhere farther from its grid position than that
#define TILT_MAX_DEG       45.0 // beyond that the slices are no stack
#define FAMILIES_MAX       1024 // of frames with a place: no scanner makes so many
#define HALF_DAY_S         43200.0 // times of day that far apart are of two days

// A frame on its way into an image.
struct entry {
    const struct image_frame *frame;
    uint32_t index;   // in the frames that were offered
    uint32_t family;  // frames of one family may share an image
    double distance;  // mm along the normal
    double key;       // on the axis that is tried
    const char *kind; // what it is, told by attributes; "" where that is not asked
    const char *text; // of the attribute that splits
};

struct splitter {
    const struct image_frame *frames;
    const enum image_axis *prefer;
    struct arena *arena;
    struct image_set *out;
    uint32_t room; // of out->images
    struct err *err;
};

static double dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static void cross(const double a[3], const double b[3], double out[3])
{
    out[0] = a[1] * b[2] - a[2] * b[1];
    out[1] = a[2] * b[0] - a[0] * b[2];
    out[2] = a[0] * b[1] - a[1] * b[0];
}

static bool all_finite(const double *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i]))
            return false;
    }
    return true;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int compare_identity(const struct entry *a, const struct entry *b)
{
    int uid = strcmp(a->frame->sop_instance_uid, b->frame->sop_instance_uid);
    if (uid)
        return uid;
    if (a->frame->number != b->frame->number)
        return a->frame->number < b->frame->number ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static int by_pool(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->frame->pool != y->frame->pool)
        return x->frame->pool < y->frame->pool ? -1 : 1;
    return compare_identity(x, y);
}

static int by_family(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->family != y->family)
        return x->family < y->family ? -1 : 1;
    return compare_identity(x, y);
}

static int by_distance(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->distance != y->distance)
        return x->distance < y->distance ? -1 : 1;
    return compare_identity(x, y);
}

static int by_key(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (isnan(x->key) != isnan(y->key))
        return isnan(x->key) ? 1 : -1;
    if (x->key != y->key && !isnan(x->key))
        return x->key < y->key ? -1 : 1;
    return compare_identity(x, y);
}

static bool check_frame(const struct image_frame *f, struct err *err)
{
    if (f->columns == 0 || f->rows == 0)
        return err_set(err, ERR_INPUT, "instance %s frame %" PRIu32 ": no pixels",
                       f->sop_instance_uid, f->number);
    if (f->bits_stored < 1 || f->bits_stored > 64)
        return err_set(err, ERR_INPUT, "instance %s frame %" PRIu32 ": %u bits stored",
                       f->sop_instance_uid, f->number, f->bits_stored);
    if (!isfinite(f->slope) || !isfinite(f->intercept))
        return err_set(err, ERR_INPUT, "instance %s frame %" PRIu32 ": no usable rescale",
                       f->sop_instance_uid, f->number);
    if (!f->placed)
        return true;
    double row = sqrt(dot(f->orientation, f->orientation));
    double column = sqrt(dot(f->orientation + 3, f->orientation + 3));
    double skew = dot(f->orientation, f->orientation + 3);
    if (!all_finite(f->position, 3) || !all_finite(f->orientation, 6) ||
        !all_finite(f->pixel_mm, 2) || fabs(row - 1) > 1e-3 || fabs(column - 1) > 1e-3 ||
        fabs(skew) > 1e-3)
        return err_set(err, ERR_INPUT, "instance %s frame %" PRIu32 ": no usable geometry",
                       f->sop_instance_uid, f->number);
    if (f->pixel_mm[0] <= 0 || f->pixel_mm[1] <= 0)
        return err_set(err, ERR_INPUT,
                       "instance %s frame %" PRIu32 ": pixel spacing is not above 0",
                       f->sop_instance_uid, f->number);
    return true;
}

// Families

static bool same_spacing(const double a[2], const double b[2])
{
    return fabs(a[0] - b[0]) <= SPACING_RELATIVE * a[0] &&
           fabs(a[1] - b[1]) <= SPACING_RELATIVE * a[1];
}

// Could both be in one image, by what they are?
static bool same_family(const struct image_frame *a, const struct image_frame *b)
{
    if (a->pool != b->pool || a->columns != b->columns || a->rows != b->rows ||
        a->placed != b->placed || a->stack != b->stack || strcmp(a->unit, b->unit) != 0)
        return false;
    if (!a->placed)
        return strcmp(a->sop_instance_uid, b->sop_instance_uid) == 0;
    return strcmp(a->frame_of_reference_uid, b->frame_of_reference_uid) == 0 &&
           same_spacing(a->pixel_mm, b->pixel_mm) &&
           dot(a->orientation, b->orientation) > ORIENTATION_COS &&
           dot(a->orientation + 3, b->orientation + 3) > ORIENTATION_COS;
}

// Families form around their first member in order of identity; entries are sorted by it. The
// leader that fitted last is tried first: neighbours in that order mostly belong together, and
// frames without a place belong to no other.
static bool find_families(struct splitter *s, struct entry *entries, uint32_t count)
{
    uint32_t *leaders = arena_alloc(s->arena, (size_t)count + 1, sizeof *leaders);
    uint32_t n = 0, placed = 0, last = 0;
    if (!leaders)
        return err_set(s->err, ERR_NOMEM, "no memory to sort %" PRIu32 " frames", count);
    for (uint32_t i = 0; i < count; i++) {
        const struct image_frame *frame = entries[i].frame;
        uint32_t f = last;
        if (n == 0 || !same_family(entries[leaders[f]].frame, frame)) {
            f = frame->placed ? 0 : n;
            while (f < n && !same_family(entries[leaders[f]].frame, frame))
                f++;
            if (f == n) {
                leaders[n++] = i;
                placed += frame->placed;
            }
        }
        if (placed > FAMILIES_MAX)
            return err_set(s->err, ERR_INPUT,
                           "more than %d groups of images differ in orientation or size",
                           FAMILIES_MAX);
        entries[i].family = last = f;
    }
    return true;
}

// Places: runs of entries, sorted by distance, that lie at one place

// End of the place that starts at entry `start`.
static uint32_t place_end(const struct entry *entries, uint32_t count, uint32_t start)
{
    uint32_t end = start + 1;
    while (end < count && entries[end].distance - entries[start].distance <= SAME_PLACE_MM)
        end++;
    return end;
}

static uint32_t count_places(const struct entry *entries, uint32_t count, uint32_t *most)
{
    uint32_t places = 0;
    *most = 0;
    for (uint32_t at = 0, end; at < count; at = end, places++) {
        end = place_end(entries, count, at);
        *most = end - at > *most ? end - at : *most;
    }
    return places;
}

// The axis

static double key_of(const struct image_frame *f, enum image_axis axis)
{
    switch (axis) {
    case IMAGE_TIME:
        return f->temporal >= 0 ? f->temporal : NAN; // the clock: see clock_tells_apart()
    case IMAGE_PHASE:
        return f->trigger_ms;
    case IMAGE_ECHO:
        return f->echo_ms;
    case IMAGE_B:
        return f->b_value;
    case IMAGE_NO_AXIS:
        break;
    }
    return NAN;
}

// Sorts each place by its key. False: two frames at a place have the same, or one has none.
static bool tells_apart(struct entry *entries, uint32_t count, enum image_axis axis)
{
    bool apart = true;
    for (uint32_t i = 0; i < count; i++)
        entries[i].key = key_of(entries[i].frame, axis);
    for (uint32_t at = 0, end; at < count; at = end) {
        end = place_end(entries, count, at);
        qsort(entries + at, end - at, sizeof *entries, by_key);
        for (uint32_t i = at; i < end; i++) {
            bool same = i > at && entries[i].key == entries[i - 1].key;
            if (end - at > 1 && (same || isnan(entries[i].key)))
                apart = false;
        }
    }
    return apart;
}

// Time by Temporal Position where that tells apart, else by the clock, over midnight where need be.
static bool clock_tells_apart(struct entry *entries, uint32_t count)
{
    bool apart = true;
    double high = -INFINITY;
    for (uint32_t i = 0; i < count; i++)
        high = fmax(high, entries[i].frame->time_s);
    for (uint32_t i = 0; i < count; i++) {
        entries[i].key = entries[i].frame->time_s;
        if (entries[i].key < high - HALF_DAY_S)
            entries[i].key += 2 * HALF_DAY_S;
    }
    for (uint32_t at = 0, end; at < count; at = end) {
        end = place_end(entries, count, at);
        qsort(entries + at, end - at, sizeof *entries, by_key);
        for (uint32_t i = at; i < end; i++) {
            bool same = i > at && entries[i].key == entries[i - 1].key;
            if (end - at > 1 && (same || isnan(entries[i].key)))
                apart = false;
        }
    }
    return apart;
}

static bool axis_tells_apart(struct entry *entries, uint32_t count, enum image_axis axis)
{
    return tells_apart(entries, count, axis) ||
           (axis == IMAGE_TIME && clock_tells_apart(entries, count));
}

// What an image is: frames that differ in one of these are never points of one axis.
static const char *const kinds[] = {"ImageType", "ComplexImageComponent", "ConvolutionKernel"};
#define KINDS (sizeof kinds / sizeof *kinds)

// What splits a family where no axis tells its frames apart.
static const char *const splitting[] = {"SeriesInstanceUID", "AcquisitionNumber"};
#define SPLITTING (sizeof splitting / sizeof *splitting)

static const char *text_of(const struct image_frame *f, const char *keyword)
{
    const char *text = f->attrs ? attrs_get(f->attrs, keyword) : NULL;
    return text ? text : "";
}

static bool same_key(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

// Do frames at one place differ in it?
static bool differs_at_place(const struct entry *entries, uint32_t count, const char *keyword)
{
    for (uint32_t at = 0, end; at < count; at = end) {
        end = place_end(entries, count, at);
        for (uint32_t i = at + 1; i < end; i++) {
            if (strcmp(text_of(entries[i].frame, keyword), text_of(entries[at].frame, keyword)) !=
                0)
                return true;
        }
    }
    return false;
}

static bool axis_differs_at_place(const struct entry *entries, uint32_t count, enum image_axis axis)
{
    for (uint32_t at = 0, end; at < count; at = end) {
        end = place_end(entries, count, at);
        for (uint32_t i = at + 1; i < end; i++) {
            const struct image_frame *a = entries[at].frame, *b = entries[i].frame;
            if (!same_key(key_of(a, axis), key_of(b, axis)) ||
                (axis == IMAGE_TIME && !same_key(a->time_s, b->time_s)))
                return true;
        }
    }
    return false;
}

// A way to split: which of the attributes, and whether echo and b value, separate images. Kinds
// always do.
struct partition {
    const char *keyword; // NULL: none
    bool echo, b;
};

// The attributes that say what a frame is, one text; "" where no place has several kinds.
static bool find_kinds(struct entry *entries, uint32_t count, struct arena *arena)
{
    bool used[KINDS], any = false;
    for (size_t n = 0; n < KINDS; n++) {
        used[n] = differs_at_place(entries, count, kinds[n]);
        any = any || used[n];
    }
    for (uint32_t i = 0; i < count; i++) {
        entries[i].kind = "";
        for (size_t n = 0; any && n < KINDS; n++) {
            if (used[n])
                entries[i].kind = arena_printf(arena, "%s\n%s", entries[i].kind,
                                               text_of(entries[i].frame, kinds[n]));
            if (!entries[i].kind)
                return false;
        }
    }
    return true;
}

static int compare_keys(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b);
    return (a > b) - (a < b);
}

static int compare_parts(const struct entry *a, const struct entry *b, const struct partition *p)
{
    int order = strcmp(a->kind, b->kind);
    if (order == 0 && p->keyword)
        order = strcmp(a->text, b->text);
    if (order == 0 && p->echo)
        order = compare_keys(a->frame->echo_ms, b->frame->echo_ms);
    if (order == 0 && p->b)
        order = compare_keys(a->frame->b_value, b->frame->b_value);
    return order;
}

static int by_part(const void *a, const void *b, void *partition)
{
    int order = compare_parts(a, b, partition);
    return order ? order : by_distance(a, b);
}

// Sorts the entries by their parts, within a part by distance, and numbers the parts in family.
static void divide(struct entry *entries, uint32_t count, struct partition *p)
{
    for (uint32_t i = 0; i < count; i++)
        entries[i].text = p->keyword ? text_of(entries[i].frame, p->keyword) : "";
    qsort_r(entries, count, sizeof *entries, by_part, p);
    for (uint32_t i = 0; i < count; i++)
        entries[i].family =
            i == 0 ? 0
                   : entries[i - 1].family + (compare_parts(&entries[i - 1], &entries[i], p) != 0);
}

// Does the axis tell the frames of every part apart?
static bool parts_told_apart(struct entry *entries, uint32_t count, enum image_axis axis)
{
    for (uint32_t at = 0, end; at < count; at = end) {
        for (end = at + 1; end < count && entries[end].family == entries[at].family;)
            end++;
        uint32_t most;
        count_places(entries + at, end - at, &most);
        if (most > 1 && !axis_tells_apart(entries + at, end - at, axis))
            return false;
    }
    return true;
}

// One image of entries that an axis tells apart, or nothing does

static int32_t bits_low(const struct image_frame *f)
{
    return f->is_signed ? -(1 << (f->bits_stored - 1)) : 0;
}

// Are the modality values of a frame whole numbers that fit 16 bits?
static bool exact_in_16_bits(const struct image_frame *f)
{
    if (f->is_float || f->bits_stored > 16 || f->slope != floor(f->slope) ||
        f->intercept != floor(f->intercept))
        return false;
    const double low = bits_low(f), high = low + (double)(1 << f->bits_stored) - 1;
    const double a = f->slope * low + f->intercept, b = f->slope * high + f->intercept;
    return fmin(a, b) >= INT16_MIN && fmax(a, b) <= INT16_MAX;
}

static double stack_median_gap(const struct entry *entries, size_t count, double *gaps)
{
    for (size_t i = 0; i + 1 < count; i++)
        gaps[i] = entries[i + 1].distance - entries[i].distance;
    qsort(gaps, count - 1, sizeof *gaps, by_value);
    return gaps[(count - 2) / 2];
}

static double stack_tolerance(double increment)
{
    return fmax(INCREMENT_RELATIVE * increment, INCREMENT_MM);
}

// Why distances that differ from increment differ: the first place, and how many more there are.
static void describe_gaps(const struct entry *entries, size_t count, double increment,
                          struct image *img)
{
    size_t places = 0, missing = 0, at = 0, at_missing = 0;
    bool whole = true;
    for (size_t i = 0; i + 1 < count; i++) {
        double gap = entries[i + 1].distance - entries[i].distance;
        if (fabs(gap - increment) <= stack_tolerance(increment))
            continue;
        double steps = round(gap / increment);
        bool multiple =
            steps >= 2 && fabs(gap - steps * increment) <= steps * stack_tolerance(increment);
        whole = whole && multiple;
        size_t lacking = multiple && steps < 1e6 ? (size_t)steps - 1 : 0;
        if (places++ == 0) {
            at = i;
            at_missing = lacking;
        }
        missing += lacking;
    }
    double from = entries[at].distance, to = entries[at + 1].distance;
    char more[64] = "";
    if (places > 1 && whole)
        snprintf(more, sizeof more, "; %zu missing in all, at %zu places", missing, places);
    else if (places > 1)
        snprintf(more, sizeof more, "; distances differ at %zu places", places);
    if (at_missing)
        snprintf(img->defect, sizeof img->defect, "%zu slice%s missing between %.1f and %.1f mm%s",
                 at_missing, at_missing == 1 ? "" : "s", from, to, more);
    else
        snprintf(img->defect, sizeof img->defect,
                 "slices are %.2f mm apart between %.1f and %.1f mm, elsewhere %.2f mm%s",
                 to - from, from, to, increment, more);
}

// Slices lie at equal distances, each where the grid has it; step: from slice to slice (mm, LPS).
// entries: one a slice. What is wrong goes into img->defect.
static bool check_stack(const struct entry *entries, uint32_t count, double step[3],
                        struct image *img, struct arena *arena)
{
    double *gaps = arena_alloc(arena, count, sizeof *gaps);
    if (!gaps)
        return false;
    double increment = stack_median_gap(entries, count, gaps);
    double low = gaps[0], high = gaps[count - 2], allowed = stack_tolerance(increment);
    const struct image_frame *first = entries[0].frame, *last = entries[count - 1].frame;
    for (int a = 0; a < 3; a++)
        step[a] = (last->position[a] - first->position[a]) / (double)(count - 1);
    if (high - increment > allowed || increment - low > allowed) {
        describe_gaps(entries, count, increment, img);
        return true;
    }
    double pixel = fmin(first->pixel_mm[0], first->pixel_mm[1]);
    double drift = fmax(0.1, fmin(DRIFT_RELATIVE * increment, 0.5 * pixel));
    for (uint32_t i = 0; i < count && !img->defect[0]; i++) {
        for (int a = 0; a < 3; a++) {
            double off = entries[i].frame->position[a] - first->position[a] - step[a] * (double)i;
            if (fabs(off) > drift)
                snprintf(img->defect, sizeof img->defect,
                         "the slice at %.1f mm lies %.2f mm beside the line of the others",
                         entries[i].distance, fabs(off));
        }
    }
    return true;
}

// Frames at one place lie on each other.
static void check_beside(const struct entry *entries, uint32_t count, struct image *img)
{
    for (uint32_t at = 0, end; at < count; at = end) {
        end = place_end(entries, count, at);
        for (uint32_t i = at + 1; i < end; i++) {
            double apart = 0;
            for (int a = 0; a < 3; a++)
                apart = fmax(apart,
                             fabs(entries[i].frame->position[a] - entries[at].frame->position[a]));
            if (apart > BESIDE_MM) {
                snprintf(img->defect, sizeof img->defect,
                         "slices lie %.1f mm beside each other at %.1f mm", apart,
                         entries[at].distance);
                return;
            }
        }
    }
}

// firsts: the first entry of each slice.
static bool set_geometry(struct splitter *s, struct image *img, const struct entry *firsts)
{
    const struct image_frame *f = firsts[0].frame;
    const uint32_t slices = img->dim[2];
    double normal[3], step[3], beside[3], thickness = NAN;
    img->spacing[0] = f->pixel_mm[0];
    img->spacing[1] = f->pixel_mm[1];
    img->spacing[2] = NAN;
    img->placed = f->placed;
    if (!f->placed)
        return true;
    cross(f->orientation, f->orientation + 3, normal);
    if (slices == 1) { // its voxels have a volume, see spacing in compute/image/image.h
        if (f->attrs)
            attrs_number(f->attrs, "SliceThickness", &thickness);
        for (int a = 0; a < 3; a++)
            step[a] = normal[a] * (thickness > 0 ? thickness : 1);
    } else if (!check_stack(firsts, slices, step, img, s->arena)) {
        return false;
    }
    img->spacing[2] = slices > 1 ? dot(step, normal) : thickness > 0 ? thickness : NAN;
    for (int a = 0; a < 3; a++) {
        img->to_patient[a][0] = f->orientation[a] * f->pixel_mm[0];
        img->to_patient[a][1] = f->orientation[3 + a] * f->pixel_mm[1];
        img->to_patient[a][2] = step[a];
        img->to_patient[a][3] = f->position[a];
    }
    cross(normal, step, beside);
    img->tilt_deg = atan2(sqrt(dot(beside, beside)), dot(step, normal)) * (180.0 / M_PI);
    if (!img->defect[0] && img->tilt_deg > TILT_MAX_DEG)
        snprintf(img->defect, sizeof img->defect,
                 "slices are shifted by %.1f degrees against their normal", img->tilt_deg);
    return true;
}

// Positions on the axis: seconds since the earliest frame, over midnight where need be.
static void set_axis(const struct splitter *s, struct image *img, double *at)
{
    const size_t cells = (size_t)img->dim[2] * img->dim[3];
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < cells; i++) {
        at[i] = NAN;
        if (img->frame[i] == IMAGE_NO_FRAME)
            continue;
        const struct image_frame *f = &s->frames[img->frame[i]];
        at[i] = img->axis == IMAGE_TIME ? f->time_s : key_of(f, img->axis);
        low = fmin(low, at[i]);
        high = fmax(high, at[i]);
    }
    img->at = at;
    if (img->axis != IMAGE_TIME)
        return;
    double start = INFINITY;
    const bool midnight = high - low > HALF_DAY_S;
    for (size_t i = 0; i < cells; i++) {
        if (midnight && at[i] < high - HALF_DAY_S)
            at[i] += 2 * HALF_DAY_S;
        start = fmin(start, at[i]);
    }
    for (size_t i = 0; i < cells; i++)
        at[i] -= start;
}

// The distinct keys of all places, where they are Temporal Positions: the points they stand for.
static uint32_t temporal_points(const struct entry *entries, uint32_t count, struct arena *arena,
                                double **points)
{
    *points = arena_alloc(arena, (size_t)count + 1, sizeof **points);
    if (!*points)
        return 0;
    for (uint32_t i = 0; i < count; i++)
        (*points)[i] = entries[i].key;
    qsort(*points, count, sizeof **points, by_value);
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (n == 0 || (*points)[i] != (*points)[n - 1])
            (*points)[n++] = (*points)[i];
    }
    return n;
}

static uint32_t point_of(const double *points, uint32_t count, double key)
{
    uint32_t low = 0, high = count;
    while (low + 1 < high) {
        uint32_t middle = low + (high - low) / 2;
        if (points[middle] <= key)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static struct image *add_image(struct splitter *s)
{
    struct image_set *set = s->out;
    if (set->image_count == s->room) {
        uint32_t room = s->room ? 2 * s->room : 8;
        struct image *larger = arena_alloc(s->arena, room, sizeof *larger);
        if (!larger)
            return NULL;
        if (set->image_count)
            memcpy(larger, set->images, set->image_count * sizeof *larger);
        set->images = larger;
        s->room = room;
    }
    struct image *img = &set->images[set->image_count++];
    *img = (struct image){0};
    return img;
}

// entries: sorted by distance, at each place by key. told: the axis tells them apart; otherwise
// all but the first of each place are duplicates.
static bool make_image(struct splitter *s, struct entry *entries, uint32_t count,
                       enum image_axis axis, bool told)
{
    struct image *img = add_image(s);
    uint32_t most, slices = count_places(entries, count, &most);
    struct entry *firsts = arena_alloc(s->arena, slices, sizeof *firsts);
    double *points = NULL;
    if (!img || !firsts)
        return false;
    const struct image_frame *f = entries[0].frame;
    uint32_t point_count = told ? most : 1;
    bool temporal = told && most > 1 && axis == IMAGE_TIME;
    for (uint32_t i = 0; i < count && temporal; i++)
        temporal = entries[i].frame->temporal >= 0 && entries[i].key == entries[i].frame->temporal;
    if (temporal) {
        point_count = temporal_points(entries, count, s->arena, &points);
        if (!points)
            return false;
    }
    img->pool = f->pool;
    img->dim[0] = f->columns;
    img->dim[1] = f->rows;
    img->dim[2] = slices;
    img->dim[3] = point_count;
    img->axis = point_count > 1 ? axis : IMAGE_NO_AXIS;
    memcpy(img->unit, f->unit, sizeof img->unit);
    img->type = IMAGE_I16;
    const size_t cells = (size_t)slices * point_count;
    uint32_t *frame = arena_alloc(s->arena, cells, sizeof *frame), k = 0;
    double *at_axis = arena_alloc(s->arena, cells, sizeof *at_axis);
    if (!frame || !at_axis)
        return false;
    for (size_t i = 0; i < cells; i++)
        frame[i] = IMAGE_NO_FRAME;
    for (uint32_t at = 0, end; at < count; at = end, k++) {
        end = place_end(entries, count, at);
        firsts[k] = entries[at];
        for (uint32_t i = at; i < end; i++) {
            uint32_t point = temporal ? point_of(points, point_count, entries[i].key) : i - at;
            if (!told && i > at) {
                s->out->fate[entries[i].index] = IMAGE_DUPLICATE;
                img->duplicates++;
                continue;
            }
            frame[(size_t)point * slices + k] = entries[i].index;
            if (!exact_in_16_bits(entries[i].frame))
                img->type = IMAGE_F32;
        }
    }
    img->frame = frame;
    for (size_t i = 0; i < cells; i++)
        img->missing += frame[i] == IMAGE_NO_FRAME;
    if (img->axis != IMAGE_NO_AXIS)
        set_axis(s, img, at_axis);
    if (f->placed)
        check_beside(entries, count, img);
    return set_geometry(s, img, firsts);
}

static bool make_parts(struct splitter *s, struct entry *entries, uint32_t count,
                       enum image_axis axis, bool told)
{
    for (uint32_t at = 0, end; at < count; at = end) {
        for (end = at + 1; end < count && entries[end].family == entries[at].family;)
            end++;
        if (told) // the order of keys at each place
            axis_tells_apart(entries + at, end - at, axis);
        if (!make_image(s, entries + at, end - at, axis, told))
            return false;
    }
    return true;
}

// Finds an axis, and what splits the family, such that every frame is told from the others.
static bool split_family(struct splitter *s, struct entry *entries, uint32_t count)
{
    const struct image_frame *f = entries[0].frame;
    const enum image_axis prefer = s->prefer ? s->prefer[f->pool] : IMAGE_NO_AXIS;
    const enum image_axis axes[] = {prefer,      IMAGE_B,    IMAGE_ECHO,
                                    IMAGE_PHASE, IMAGE_TIME, IMAGE_NO_AXIS};
    uint32_t most;
    double normal[3];
    cross(f->orientation, f->orientation + 3, normal);
    for (uint32_t i = 0; i < count; i++)
        entries[i].distance = f->placed ? dot(entries[i].frame->position, normal) : 0;
    qsort(entries, count, sizeof *entries, by_distance);
    count_places(entries, count, &most);
    if (most == 1)
        return make_image(s, entries, count, IMAGE_NO_AXIS, false);
    if (!find_kinds(entries, count, s->arena))
        return false;
    bool varies[IMAGE_B + 1];
    for (enum image_axis axis = IMAGE_NO_AXIS; axis <= IMAGE_B; axis++)
        varies[axis] = axis_differs_at_place(entries, count, axis);
    const bool echo = varies[IMAGE_ECHO], b = varies[IMAGE_B];
    for (size_t k = 0; k <= SPLITTING; k++) { // first without splitting by an attribute
        const char *keyword = k ? splitting[k - 1] : NULL;
        if (keyword && !differs_at_place(entries, count, keyword))
            continue;
        for (size_t a = 0; a < sizeof axes / sizeof *axes; a++) {
            const enum image_axis axis = axes[a];
            struct partition p = {keyword, echo && axis != IMAGE_ECHO, b && axis != IMAGE_B};
            if (axis == IMAGE_NO_AXIS ? a == 0 : !varies[axis])
                continue; // no axis comes last
            divide(entries, count, &p);
            if (parts_told_apart(entries, count, axis))
                return make_parts(s, entries, count, axis, true);
            qsort(entries, count, sizeof *entries, by_distance);
        }
    }
    struct partition p = {NULL, echo, b};
    divide(entries, count, &p);
    return make_parts(s, entries, count, IMAGE_NO_AXIS, false);
}

// Frames without a place: those of one instance, in order.
static bool make_sequence(struct splitter *s, struct entry *entries, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        entries[i].distance = 0;
        entries[i].key = entries[i].frame->number;
    }
    return make_image(s, entries, count, count > 1 ? IMAGE_TIME : IMAGE_NO_AXIS, true);
}

static size_t frames_in(const struct image *img)
{
    return (size_t)img->dim[2] * img->dim[3] - img->missing;
}

static int by_size(const void *a, const void *b, void *ctx)
{
    const struct image *x = a, *y = b;
    const struct image_frame *frames = ctx;
    if (x->pool != y->pool)
        return x->pool < y->pool ? -1 : 1;
    if (frames_in(x) != frames_in(y))
        return frames_in(x) > frames_in(y) ? -1 : 1;
    uint32_t i = 0, j = 0; // some frame of each is there
    while (x->frame[i] == IMAGE_NO_FRAME)
        i++;
    while (y->frame[j] == IMAGE_NO_FRAME)
        j++;
    int uid = strcmp(frames[x->frame[i]].sop_instance_uid, frames[y->frame[j]].sop_instance_uid);
    if (uid)
        return uid;
    return frames[x->frame[i]].number < frames[y->frame[j]].number ? -1 : 1;
}

static bool split_all(struct splitter *s, struct entry *entries, uint32_t count)
{
    qsort(entries, count, sizeof *entries, by_pool);
    if (!find_families(s, entries, count))
        return false;
    qsort(entries, count, sizeof *entries, by_family);
    for (uint32_t at = 0, end; at < count; at = end) {
        for (end = at + 1; end < count && entries[end].family == entries[at].family;)
            end++;
        if (!(entries[at].frame->placed ? split_family : make_sequence)(s, entries + at, end - at))
            return err_set(s->err, ERR_NOMEM, "no memory to sort %" PRIu32 " frames", count);
    }
    if (s->out->image_count)
        qsort_r(s->out->images, s->out->image_count, sizeof *s->out->images, by_size,
                (void *)(uintptr_t)s->frames);
    return true;
}

bool image_split(const struct image_frame *frames, uint32_t count, const enum image_axis *prefer,
                 struct arena *arena, struct image_set *out, struct err *err)
{
    *out = (struct image_set){.frames = frames, .frame_count = count};
    struct splitter s = {
        .frames = frames, .prefer = prefer, .arena = arena, .out = out, .err = err};
    struct entry *entries = arena_alloc(arena, (size_t)count + 1, sizeof *entries);
    out->fate = arena_alloc(arena, (size_t)count + 1, sizeof *out->fate);
    if (!entries || !out->fate)
        return err_set(err, ERR_NOMEM, "no memory to sort %" PRIu32 " frames", count);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (frames[i].localizer) {
            out->fate[i] = IMAGE_LOCALIZER;
            out->localizers++;
            continue;
        }
        if (!check_frame(&frames[i], err))
            return false;
        entries[kept++] = (struct entry){.frame = &frames[i], .index = i};
    }
    return split_all(&s, entries, kept);
}
