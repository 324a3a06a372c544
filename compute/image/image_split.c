// How frames become images: see compute/image/image.h.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compute/image/image.h"
#include "compute/image/phase.h"
#include "compute/image/stack.h"

#define ORIENTATION_COS  0.99996 // cosine of 0.5 degrees: same orientation
#define SPACING_RELATIVE 1e-3    // in-plane spacing: same within 0.1 %
#define SAME_PLACE_MM    0.01    // frames at one place are at most this far apart along the normal
#define BESIDE_MM        0.1     // and this far in the plane
#define TILT_MAX_DEG     45.0    // beyond that the slices are no stack
#define FAMILIES_MAX     1024    // of frames with a place: no scanner makes so many
#define CLOCK_S          0.05    // trigger times are those of the clock within that
#define BEAT_MAX_MS      3000.0  // of 20 beats a minute: later is no delay within a beat
#define HALF_DAY_S       43200.0 // times of day that far apart are of two days
#define GRADIENT_UNIT    1e-3    // components of directions are the same within half of it
#define OWN_STACK        3       // slices that make a stack of their own
#define PHASES_APART     4.0     // percent from one phase to the next: one varies with the beats
#define PHASE_WIDE       12.0    // percent: what spreads more is no phase
#define PHASES_MAX       26 // groups of phases that PHASES_APART leaves room for in 100 percent

// A frame on its way into an image.
struct entry {
    const struct image_frame *frame;
    uint32_t index;    // in the frames that were offered
    uint32_t family;   // frames of one family may share an image
    double distance;   // mm along the normal
    double key;        // on the axis that is tried
    uint32_t turn;     // among those of its place that have the same key and direction
    uint32_t order;    // rank by Instance Number or dimension
    double percent;    // phase of the heart; NAN: none
    bool stated;       // it is not computed from a delay
    const char *phase; // phase of the heart: frames of one have the same text
    const char *kind;  // what it is, told by attributes; "" where that is not asked
    const char *text;  // of the attribute that splits
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

static double gradient_of(const struct entry *e, int a)
{
    const double g = e->frame->gradient[a];
    return isnan(g) ? 0 : round(g / GRADIENT_UNIT);
}

static int compare_keys(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b);
    return (a > b) - (a < b);
}

static int by_key(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    const int order = compare_keys(x->key, y->key);
    return order ? order : compare_identity(x, y);
}

static int compare_diffusion(const struct entry *x, const struct entry *y)
{
    int order = compare_keys(x->key, y->key);
    for (int a = 0; order == 0 && a < 3; a++)
        order = compare_keys(gradient_of(x, a), gradient_of(y, a));
    return order;
}

// By b value and direction; those that have both the same follow each other as they were made.
static int by_diffusion(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = compare_diffusion(x, y);
    if (order == 0)
        order = compare_keys(x->frame->temporal, y->frame->temporal);
    if (order == 0)
        order = compare_keys(x->frame->time_s, y->frame->time_s);
    if (order == 0)
        order = compare_keys(x->order, y->order);
    return order ? order : compare_identity(x, y);
}

static int by_turn(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    const int order = compare_diffusion(x, y);
    return order ? order : (x->turn > y->turn) - (x->turn < y->turn);
}

static int by_order(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = compare_keys(x->frame->dimension, y->frame->dimension);
    if (order == 0)
        order = compare_keys(x->frame->instance_number, y->frame->instance_number);
    return order ? order : compare_keys(x->frame->number, y->frame->number);
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
        a->placed != b->placed || a->colour != b->colour || a->stack != b->stack ||
        strcmp(a->unit, b->unit) != 0)
        return false;
    if (!a->placed)
        return strcmp(a->sop_instance_uid, b->sop_instance_uid) == 0;
    return same_spacing(a->pixel_mm, b->pixel_mm) &&
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
    case IMAGE_ORDER: // see order_tells_apart()
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

// b values with their directions. Several of one b value and direction are told apart by when they
// were made.
static bool diffusion_tells_apart(struct entry *entries, uint32_t count)
{
    bool apart = true, differs = false;
    for (uint32_t i = 0; i < count; i++)
        entries[i].key = round(entries[i].frame->b_value);
    for (uint32_t at = 0, end; at < count; at = end) {
        end = place_end(entries, count, at);
        qsort(entries + at, end - at, sizeof *entries, by_diffusion);
        for (uint32_t i = at; i < end; i++) {
            const struct entry *e = &entries[i], *last = i > at ? e - 1 : NULL;
            const bool same = last && compare_diffusion(last, e) == 0;
            entries[i].turn = same ? last->turn + 1 : 0;
            differs = differs || (last && !same);
            if (same && last->frame->temporal == e->frame->temporal &&
                compare_keys(last->frame->time_s, e->frame->time_s) == 0 && last->order == e->order)
                apart = false;
            if (end - at > 1 && isnan(e->key))
                apart = false;
        }
    }
    return apart && differs;
}

// Does the order of Instance Numbers (of dimensions, in an enhanced object) go through all places,
// again and again? Then each turn is a point.
static bool order_tells_apart(struct entry *entries, uint32_t count)
{
    uint32_t most, places = count_places(entries, count, &most), place = 0;
    if (places < 2 || count != places * most)
        return false;
    for (uint32_t at = 0, end; at < count; at = end, place++) {
        end = place_end(entries, count, at);
        for (uint32_t i = at; i < end; i++)
            entries[i].turn = place;
    }
    bool apart = true;
    qsort(entries, count, sizeof *entries, by_order);
    for (uint32_t i = 0; i < count && apart; i++) {
        if (entries[i].frame->instance_number < 0 ||
            (i > 0 && by_order(&entries[i - 1], &entries[i]) == 0))
            apart = false;
        for (uint32_t k = i - i % places; k < i && apart; k++)
            apart = entries[k].turn != entries[i].turn;
        const uint32_t turn = i / places;
        entries[i].key = turn;
    }
    qsort(entries, count, sizeof *entries, by_distance);
    for (uint32_t at = 0, end; at < count && apart; at = end) {
        end = place_end(entries, count, at);
        qsort(entries + at, end - at, sizeof *entries, by_key);
    }
    return apart;
}

static bool axis_tells_apart(struct entry *entries, uint32_t count, enum image_axis axis)
{
    if (axis == IMAGE_ORDER)
        return order_tells_apart(entries, count);
    return tells_apart(entries, count, axis) ||
           (axis == IMAGE_B && diffusion_tells_apart(entries, count)) ||
           (axis == IMAGE_TIME && clock_tells_apart(entries, count));
}

// What an image is: frames that differ in one of these are never points of one axis.
static const char frame_kind[] = "kind", variant_kind[] = "variant"; // of the frame
static const char *const kinds[] = {
    "ImageType", "ComplexImageComponent", "ConvolutionKernel", "KVP",       "SliceThickness",
    "FlipAngle", IMAGE_CARDIAC_PERCENT,   frame_kind,          variant_kind};
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
            bool turned = false; // another direction of diffusion
            for (int c = 0; c < 3 && axis == IMAGE_B; c++)
                turned = turned || gradient_of(&entries[at], c) != gradient_of(&entries[i], c);
            if (turned || !same_key(key_of(a, axis), key_of(b, axis)) ||
                (axis == IMAGE_TIME && !same_key(a->time_s, b->time_s)) || axis == IMAGE_ORDER)
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

static int by_percent(const void *a, const void *b)
{
    const struct entry *x = *(const struct entry *const *)a, *y = *(const struct entry *const *)b;
    return compare_keys(x->percent, y->percent);
}

// Phases within PHASES_APART of each other are one: *told is false where such a chain is too long.
// False: no memory.
static bool group_phases(struct entry *entries, uint32_t count, struct arena *arena, bool *told)
{
    const struct entry **sorted = arena_alloc(arena, (size_t)count + 1, sizeof *sorted);
    uint32_t n = 0;
    if (!sorted)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!isnan(entries[i].percent))
            sorted[n++] = &entries[i];
    }
    qsort(sorted, n, sizeof *sorted, by_percent);
    for (uint32_t at = 0, end; at < n; at = end) {
        for (end = at + 1;
             end < n && sorted[end]->percent - sorted[end - 1]->percent <= PHASES_APART;)
            end++;
        const double first = sorted[at]->percent;
        *told = *told && sorted[end - 1]->percent - first <= PHASE_WIDE;
        const char *name = arena_printf(arena, "about %.1f", first);
        for (uint32_t i = at; i < end; i++)
            entries[sorted[i] - entries].phase = name;
        if (!name)
            return false;
    }
    return true;
}

// Does a place have two stated phases in one group?
static bool phases_clash(const struct entry *entries, uint32_t count)
{
    for (uint32_t at = 0, end; at < count; at = end) {
        const struct entry *seen[PHASES_MAX]; // the first of each group
        uint32_t groups = 0;
        end = place_end(entries, count, at);
        for (uint32_t i = at; i < end; i++) {
            uint32_t k = 0;
            while (k < groups && seen[k]->phase != entries[i].phase)
                k++;
            if (entries[i].stated && k < groups && seen[k]->percent != entries[i].percent)
                return true;
            if (entries[i].stated && k == groups && groups < PHASES_MAX)
                seen[groups++] = &entries[i];
        }
    }
    return false;
}

// Which phase of the heart each frame shows: one varies from beat to beat, and so do slices of one
// phase. Where places have phases close to each other, each that is stated is one of its own.
// clock: trigger times are no delays. False: no memory.
static bool find_phases(struct entry *entries, uint32_t count, bool clock, struct arena *arena)
{
    bool told = true;
    for (uint32_t i = 0; i < count; i++) {
        struct image_phase phase;
        const bool known = image_frame_phase(entries[i].frame, &phase);
        entries[i].stated = known && !phase.computed;
        entries[i].percent = known && !(phase.computed && clock) ? phase.percent : NAN;
        entries[i].phase = "";
    }
    if (!group_phases(entries, count, arena, &told))
        return false;
    if (told && !phases_clash(entries, count))
        return true;
    for (uint32_t i = 0; i < count; i++) {
        if (entries[i].stated)
            entries[i].phase = arena_printf(arena, "%g", entries[i].percent);
        else if (!told)
            entries[i].phase = "";
        if (!entries[i].phase)
            return false;
    }
    return true;
}

static const char *kind_of_entry(const struct entry *e, size_t n)
{
    if (strcmp(kinds[n], IMAGE_CARDIAC_PERCENT) == 0)
        return e->phase ? e->phase : ""; // NULL: phases are no kinds here
    if (kinds[n] == frame_kind)
        return e->frame->kind;
    if (kinds[n] == variant_kind)
        return e->frame->variant;
    return text_of(e->frame, kinds[n]);
}

static bool kind_differs_at_place(const struct entry *entries, uint32_t count, size_t n)
{
    for (uint32_t at = 0, end; at < count; at = end) {
        end = place_end(entries, count, at);
        for (uint32_t i = at + 1; i < end; i++) {
            if (strcmp(kind_of_entry(&entries[i], n), kind_of_entry(&entries[at], n)) != 0)
                return true;
        }
    }
    return false;
}

// The attributes that say what a frame is, those that are used, as one text. False: no memory.
static bool join_kinds(struct entry *entries, uint32_t count, const bool used[],
                       struct arena *arena)
{
    for (uint32_t i = 0; i < count; i++) {
        entries[i].kind = "";
        for (size_t n = 0; n < KINDS; n++) {
            if (used[n])
                entries[i].kind =
                    arena_printf(arena, "%s\n%s", entries[i].kind, kind_of_entry(&entries[i], n));
            if (!entries[i].kind)
                return false;
        }
    }
    return true;
}

// The same of those attributes in which frames at one place differ. diffusion: b value or direction
// do too.
static bool find_kinds(struct entry *entries, uint32_t count, bool diffusion, struct arena *arena)
{
    bool used[KINDS];
    for (size_t n = 0; n < KINDS; n++)
        used[n] =
            kind_differs_at_place(entries, count, n) && !(diffusion && kinds[n] == variant_kind);
    return join_kinds(entries, count, used, arena);
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

static bool fit_slices(const struct entry *slices, uint32_t count, struct arena *arena,
                       struct stack *out)
{
    const struct image_frame **frames = arena_alloc(arena, count, sizeof *frames);
    double normal[3];
    for (uint32_t i = 0; frames && i < count; i++)
        frames[i] = slices[i].frame;
    cross(slices[0].frame->orientation, slices[0].frame->orientation + 3, normal);
    return frames && stack_fit(frames, count, normal, arena, out);
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
    const double *origin = f->position;
    struct stack grid = {.gap_mm = {NAN, NAN}};
    if (slices == 1) { // its voxels have a volume, see spacing in compute/image/image.h
        if (f->attrs)
            attrs_number(f->attrs, "SliceThickness", &thickness);
        for (int a = 0; a < 3; a++)
            step[a] = normal[a] * (thickness > 0 ? thickness : 1);
    } else {
        if (!fit_slices(firsts, slices, s->arena, &grid))
            return false;
        memcpy(step, grid.step, sizeof step);
        origin = grid.origin;
        img->uneven_mm = grid.uneven_mm;
        if (!img->defect[0])
            memcpy(img->defect, grid.defect, sizeof img->defect);
    }
    memcpy(img->gap_mm, grid.gap_mm, sizeof img->gap_mm);
    img->spacing[2] = slices > 1 ? dot(step, normal) : thickness > 0 ? thickness : NAN;
    for (int a = 0; a < 3; a++) {
        img->to_patient[a][0] = f->orientation[a] * f->pixel_mm[0];
        img->to_patient[a][1] = f->orientation[3 + a] * f->pixel_mm[1];
        img->to_patient[a][2] = step[a];
        img->to_patient[a][3] = origin[a];
    }
    cross(normal, step, beside);
    img->tilt_deg = atan2(sqrt(dot(beside, beside)), dot(step, normal)) * (180.0 / M_PI);
    if (!img->defect[0] && img->tilt_deg > TILT_MAX_DEG)
        snprintf(img->defect, sizeof img->defect,
                 "slices are shifted by %.1f degrees against their normal", img->tilt_deg);
    return true;
}

// Whether time passes from point to point: headers exist that give all points the time of the
// first.
static bool time_passes(const struct image *img, const double *at)
{
    for (uint32_t k = 0; k < img->dim[2]; k++) {
        double low = INFINITY, high = -INFINITY;
        for (uint32_t p = 0; p < img->dim[3]; p++) {
            low = fmin(low, at[(size_t)p * img->dim[2] + k]); // NAN is no number: the other counts
            high = fmax(high, at[(size_t)p * img->dim[2] + k]);
        }
        if (low < high)
            return true;
    }
    return false;
}

// Trigger times in place of times that stand still, where they outlast a beat of the heart.
static bool take_trigger_times(const struct splitter *s, const struct image *img, double *at)
{
    const size_t cells = (size_t)img->dim[2] * img->dim[3];
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < cells; i++) {
        if (img->frame[i] == IMAGE_NO_FRAME)
            continue;
        const double trigger = s->frames[img->frame[i]].trigger_ms;
        if (isnan(trigger))
            return false;
        low = fmin(low, trigger);
        high = fmax(high, trigger);
    }
    for (size_t i = 0; i < cells && high - low > BEAT_MAX_MS; i++)
        at[i] = img->frame[i] == IMAGE_NO_FRAME ? NAN : s->frames[img->frame[i]].trigger_ms / 1000;
    return high - low > BEAT_MAX_MS && time_passes(img, at);
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
        const size_t point = i / img->dim[2];
        at[i] = img->axis == IMAGE_TIME    ? f->time_s
                : img->axis == IMAGE_ORDER ? (double)point
                                           : key_of(f, img->axis);
        low = fmin(low, at[i]);
        high = fmax(high, at[i]);
    }
    img->at = at;
    if (img->axis != IMAGE_TIME)
        return;
    bool passes = time_passes(img, at);
    if (!passes && take_trigger_times(s, img, at)) {
        passes = true;
        high = low = 0;
    }
    double start = INFINITY;
    const bool midnight = high - low > HALF_DAY_S;
    for (size_t i = 0; i < cells; i++) {
        if (midnight && at[i] < high - HALF_DAY_S)
            at[i] += 2 * HALF_DAY_S;
        start = fmin(start, at[i]);
    }
    for (size_t i = 0; i < cells; i++)
        at[i] = passes ? at[i] - start : NAN;
}

// The distinct keys of all places, where they mean the same everywhere: the points they stand for.
static uint32_t common_points(const struct entry *entries, uint32_t count, struct arena *arena,
                              struct entry **points)
{
    *points = arena_alloc(arena, (size_t)count + 1, sizeof **points);
    if (!*points)
        return 0;
    memcpy(*points, entries, count * sizeof **points);
    qsort(*points, count, sizeof **points, by_turn);
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (n == 0 || by_turn(&(*points)[i], &(*points)[n - 1]) != 0)
            (*points)[n++] = (*points)[i];
    }
    return n;
}

static uint32_t point_of(const struct entry *points, uint32_t count, const struct entry *e)
{
    const struct entry *found = bsearch(e, points, count, sizeof *points, by_turn);
    return found ? (uint32_t)(found - points) : 0; // all are there
}

// Do the keys of an axis mean the same at every place? Temporal Positions, b values and directions
// do; delays and times differ from slice to slice.
static bool has_common_points(struct entry *entries, uint32_t count, enum image_axis axis)
{
    bool common = axis == IMAGE_B || axis == IMAGE_TIME;
    for (uint32_t i = 0; i < count && common; i++) {
        const struct image_frame *f = entries[i].frame;
        if (axis == IMAGE_TIME) {
            common = f->temporal >= 0 && entries[i].key == f->temporal;
            entries[i].turn = 0;
        }
    }
    return common;
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
    struct entry *points = NULL;
    if (!img || !firsts)
        return false;
    const struct image_frame *f = entries[0].frame;
    uint32_t point_count = told ? most : 1;
    const bool common = told && most > 1 && has_common_points(entries, count, axis);
    if (common) {
        point_count = common_points(entries, count, s->arena, &points);
        if (!points)
            return false;
    }
    img->pool = f->pool;
    img->colour = f->colour;
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
            uint32_t point = common ? point_of(points, point_count, &entries[i]) : i - at;
            if (!told && i > at) {
                s->out->fate[entries[i].index] = IMAGE_DUPLICATE;
                s->out->twin[entries[i].index] = entries[at].index;
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

// Do trigger times run with the clock, from one temporal position to the next? Then they are no
// delays within a heart beat.
static bool trigger_is_clock(const struct entry *entries, uint32_t count)
{
    bool any = false;
    for (uint32_t at = 0, end; at < count; at = end) {
        end = place_end(entries, count, at);
        for (uint32_t i = at + 1; i < end; i++) {
            const struct image_frame *a = entries[at].frame, *b = entries[i].frame;
            const double clock = b->time_s - a->time_s;
            if (a->temporal == b->temporal || !(fabs(clock) > CLOCK_S) ||
                fabs(clock - (b->trigger_ms - a->trigger_ms) / 1000) > CLOCK_S)
                return false;
            any = true;
        }
    }
    return any;
}

// Do trigger times at a place lie farther apart than a beat of the heart lasts? Then they are times
// since the start of the acquisition.
static bool trigger_outlasts_beat(const struct entry *entries, uint32_t count)
{
    for (uint32_t at = 0, end; at < count; at = end) {
        double low = INFINITY, high = -INFINITY;
        end = place_end(entries, count, at);
        for (uint32_t i = at; i < end; i++) {
            low = fmin(low, entries[i].frame->trigger_ms);
            high = fmax(high, entries[i].frame->trigger_ms);
        }
        if (high - low > BEAT_MAX_MS)
            return true;
    }
    return false;
}

static void rank_entries(struct entry *entries, uint32_t count)
{
    qsort(entries, count, sizeof *entries, by_order);
    for (uint32_t i = 0; i < count; i++)
        entries[i].order =
            i == 0 ? 0 : entries[i - 1].order + (by_order(&entries[i - 1], &entries[i]) != 0);
    qsort(entries, count, sizeof *entries, by_distance);
}

static int by_kind(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    const int order = strcmp(x->kind, y->kind);
    return order ? order : by_distance(x, y);
}

// Do stacks of different kinds lie in each other, each even by itself? Then *apart, and the entries
// are sorted and numbered in family by kind. False: no memory.
static bool find_stacks(struct entry *entries, uint32_t count, struct arena *arena, bool *apart)
{
    uint32_t runs = 1, parts = 1;
    struct stack grid;
    for (uint32_t i = 1; i < count; i++)
        runs += strcmp(entries[i].kind, entries[i - 1].kind) != 0;
    *apart = runs > 2; // of two there is one beside the other
    if (!*apart)
        return true;
    qsort(entries, count, sizeof *entries, by_kind);
    for (uint32_t i = 1; i < count; i++)
        parts += strcmp(entries[i].kind, entries[i - 1].kind) != 0;
    *apart = runs > parts;
    for (uint32_t at = 0, end; at < count && *apart; at = end) {
        for (end = at + 1; end < count && strcmp(entries[end].kind, entries[at].kind) == 0;)
            end++;
        for (uint32_t i = at; i < end; i++)
            entries[i].family = at;
        if (end - at >= OWN_STACK && !fit_slices(entries + at, end - at, arena, &grid))
            return false;
        *apart = end - at >= OWN_STACK && !grid.defect[0];
    }
    if (!*apart)
        qsort(entries, count, sizeof *entries, by_distance);
    return true;
}

// Slices at different places each: one image, unless stacks of different kernels or phases lie in
// each other; of other kinds too where all slices together are no even stack.
static bool split_interleaved(struct splitter *s, struct entry *entries, uint32_t count,
                              bool phases)
{
    bool used[KINDS], apart = false;
    struct stack grid = {0};
    if (phases && !find_phases(entries, count, false, s->arena))
        return false;
    for (int all = 0; all < 2 && !apart && count > OWN_STACK; all++) {
        for (size_t n = 0; n < KINDS; n++)
            used[n] = all || strcmp(kinds[n], "ConvolutionKernel") == 0 ||
                      strcmp(kinds[n], IMAGE_CARDIAC_PERCENT) == 0;
        if (all && !fit_slices(entries, count, s->arena, &grid))
            return false;
        if (all && !grid.defect[0])
            break;
        if (!join_kinds(entries, count, used, s->arena) ||
            !find_stacks(entries, count, s->arena, &apart))
            return false;
    }
    return apart ? make_parts(s, entries, count, IMAGE_NO_AXIS, false)
                 : make_image(s, entries, count, IMAGE_NO_AXIS, false);
}

// Finds an axis, and what splits the entries, such that every frame is told from the others.
static bool split_places(struct splitter *s, struct entry *entries, uint32_t count)
{
    const struct image_frame *f = entries[0].frame;
    const enum image_axis prefer = s->prefer ? s->prefer[f->pool] : IMAGE_NO_AXIS;
    const enum image_axis axes[] = {prefer,     IMAGE_B,     IMAGE_ECHO,   IMAGE_PHASE,
                                    IMAGE_TIME, IMAGE_ORDER, IMAGE_NO_AXIS};
    uint32_t most;
    const bool phases = prefer != IMAGE_PHASE && strcmp(f->unit, "[hnsf'U]") == 0;
    count_places(entries, count, &most);
    if (most == 1)
        return split_interleaved(s, entries, count, phases);
    rank_entries(entries, count);
    bool varies[IMAGE_ORDER + 1];
    for (enum image_axis axis = IMAGE_NO_AXIS; axis <= IMAGE_ORDER; axis++)
        varies[axis] = axis_differs_at_place(entries, count, axis);
    const bool clock = varies[IMAGE_TIME] && trigger_is_clock(entries, count);
    if (prefer != IMAGE_PHASE && (clock || trigger_outlasts_beat(entries, count)))
        varies[IMAGE_PHASE] = false;
    if (phases && !find_phases(entries, count, clock, s->arena))
        return false;
    if (!find_kinds(entries, count, varies[IMAGE_B], s->arena))
        return false;
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

// The first entry of each place, of those that belong to the frame of reference uid (NULL: of all).
static uint32_t first_of_places(const struct entry *entries, uint32_t count, const char *uid,
                                struct entry *firsts)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (uid && strcmp(entries[i].frame->frame_of_reference_uid, uid) != 0)
            continue;
        if (n == 0 || entries[i].distance - firsts[n - 1].distance > SAME_PLACE_MM)
            firsts[n++] = entries[i];
    }
    return n;
}

enum reference {
    REFERENCE_ONE,   // the frames are of one frame of reference, whatever their UIDs
    REFERENCE_APART, // those of different UIDs are no image together
    REFERENCE_NO_MEMORY,
};

// Frames on one even grid are of one frame of reference, also where UIDs differ or are empty,
// unless two of the UIDs have a stack of their own: then these are two acquisitions.
static enum reference one_reference(struct entry *entries, uint32_t count, struct arena *arena)
{
    struct entry *firsts = arena_alloc(arena, count, sizeof *firsts);
    struct stack grid;
    uint32_t own = 0;
    const char *last = "";
    if (!firsts)
        return REFERENCE_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        const char *uid = entries[i].frame->frame_of_reference_uid;
        bool seen = strcmp(uid, last) == 0 || !*uid;
        for (uint32_t k = 0; k < i && !seen; k++)
            seen = strcmp(entries[k].frame->frame_of_reference_uid, uid) == 0;
        if (seen)
            continue;
        last = uid;
        const uint32_t n = first_of_places(entries, count, uid, firsts);
        if (n >= OWN_STACK && !fit_slices(firsts, n, arena, &grid))
            return REFERENCE_NO_MEMORY;
        own += n >= OWN_STACK && !grid.defect[0];
    }
    const uint32_t n = first_of_places(entries, count, NULL, firsts);
    if (own > 1 || n < 2)
        return REFERENCE_APART;
    if (!fit_slices(firsts, n, arena, &grid))
        return REFERENCE_NO_MEMORY;
    return grid.defect[0] ? REFERENCE_APART : REFERENCE_ONE;
}

static int by_reference(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    const int order = strcmp(x->frame->frame_of_reference_uid, y->frame->frame_of_reference_uid);
    return order ? order : by_distance(x, y);
}

static bool split_family(struct splitter *s, struct entry *entries, uint32_t count)
{
    const struct image_frame *f = entries[0].frame;
    double normal[3];
    bool several = false;
    cross(f->orientation, f->orientation + 3, normal);
    for (uint32_t i = 0; i < count; i++) {
        entries[i].distance = dot(entries[i].frame->position, normal);
        several = several ||
                  strcmp(entries[i].frame->frame_of_reference_uid, f->frame_of_reference_uid) != 0;
    }
    qsort(entries, count, sizeof *entries, by_distance);
    const enum reference reference =
        several ? one_reference(entries, count, s->arena) : REFERENCE_ONE;
    if (reference == REFERENCE_ONE)
        return split_places(s, entries, count);
    if (reference == REFERENCE_NO_MEMORY)
        return false;
    qsort(entries, count, sizeof *entries, by_reference);
    for (uint32_t at = 0, end; at < count; at = end) {
        for (end = at + 1; end < count && strcmp(entries[end].frame->frame_of_reference_uid,
                                                 entries[at].frame->frame_of_reference_uid) == 0;)
            end++;
        if (!split_places(s, entries + at, end - at))
            return false;
    }
    return true;
}

static const struct image_frame *frame_of(const struct image_set *set, const struct image *img)
{
    uint32_t i = 0; // some frame of each is there
    while (img->frame[i] == IMAGE_NO_FRAME)
        i++;
    return &set->frames[img->frame[i]];
}

bool image_is_other_acquisition(const struct image_set *set, const struct image *a,
                                const struct image *b)
{
    const struct image_frame *x = frame_of(set, a), *y = frame_of(set, b);
    if (!a->placed || !same_family(x, y) || !same_key(x->echo_ms, y->echo_ms) ||
        !same_key(x->b_value, y->b_value) ||
        strcmp(x->frame_of_reference_uid, y->frame_of_reference_uid) != 0 ||
        strcmp(text_of(x, "SeriesInstanceUID"), text_of(y, "SeriesInstanceUID")) != 0 ||
        strcmp(x->kind, y->kind) != 0 || strcmp(x->variant, y->variant) != 0)
        return false;
    for (size_t n = 0; n < KINDS; n++) {
        if (strcmp(text_of(x, kinds[n]), text_of(y, kinds[n])) != 0)
            return false;
    }
    return strcmp(text_of(x, "AcquisitionNumber"), text_of(y, "AcquisitionNumber")) != 0;
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
    const struct image_set *set = ctx;
    if (x->pool != y->pool)
        return x->pool < y->pool ? -1 : 1;
    if (x->colour != y->colour)
        return x->colour ? 1 : -1;
    if (x->placed != y->placed)
        return x->placed ? -1 : 1;
    if (frames_in(x) != frames_in(y))
        return frames_in(x) > frames_in(y) ? -1 : 1;
    const struct image_frame *f = frame_of(set, x), *g = frame_of(set, y);
    int uid = strcmp(f->sop_instance_uid, g->sop_instance_uid);
    if (uid)
        return uid;
    return f->number < g->number ? -1 : 1;
}

// In what a frame differs from those of an image, for people. False: in nothing that keeps it out.
static bool frame_differs(const struct image_frame *f, const struct image_frame *of, char *text,
                          size_t size)
{
    if (f->columns != of->columns || f->rows != of->rows)
        snprintf(text, size,
                 "has %" PRIu32 " x %" PRIu32 " pixels, the others %" PRIu32 " x %" PRIu32,
                 f->columns, f->rows, of->columns, of->rows);
    else if (!same_spacing(of->pixel_mm, f->pixel_mm))
        snprintf(text, size, "has pixels of %g x %g mm, the others %g x %g mm", f->pixel_mm[0],
                 f->pixel_mm[1], of->pixel_mm[0], of->pixel_mm[1]);
    else if (strcmp(f->frame_of_reference_uid, of->frame_of_reference_uid) != 0)
        snprintf(text, size, "is of another frame of reference");
    else if (f->colour != of->colour)
        snprintf(text, size, "is in colour");
    else if (strcmp(f->unit, of->unit) != 0)
        snprintf(text, size, "has values in another unit");
    else if (dot(f->orientation, of->orientation) <= ORIENTATION_COS ||
             dot(f->orientation + 3, of->orientation + 3) <= ORIENTATION_COS)
        snprintf(text, size, "is turned against the others");
    else
        return false;
    return true;
}

// Slices that seem to be missing may be there and differ: then that is the reason.
static void explain_gap(const struct splitter *s, struct image *img)
{
    const struct image_frame *of = &s->frames[img->frame[0]];
    const double low = img->gap_mm[0], high = img->gap_mm[1], edge = 0.1 * (high - low);
    double normal[3];
    char why[160];
    cross(of->orientation, of->orientation + 3, normal);
    for (uint32_t i = 0; i < s->out->frame_count; i++) {
        const struct image_frame *f = &s->frames[i];
        if (f->pool != img->pool || !f->placed || s->out->fate[i] != IMAGE_USED)
            continue;
        const double at = dot(f->position, normal);
        if (at <= low + edge || at >= high - edge || !frame_differs(f, of, why, sizeof why))
            continue;
        if (f->instance_number >= 0)
            snprintf(img->defect, sizeof img->defect, "image %" PRId32 " at %.1f mm %s",
                     f->instance_number, at, why);
        else
            snprintf(img->defect, sizeof img->defect, "the slice at %.1f mm %s", at, why);
        return;
    }
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
    for (uint32_t i = 0; i < s->out->image_count; i++) {
        struct image *img = &s->out->images[i];
        if (img->placed && !isnan(img->gap_mm[0]) && img->frame[0] != IMAGE_NO_FRAME)
            explain_gap(s, img);
    }
    if (s->out->image_count)
        qsort_r(s->out->images, s->out->image_count, sizeof *s->out->images, by_size, s->out);
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
    out->twin = arena_alloc(arena, (size_t)count + 1, sizeof *out->twin);
    if (!entries || !out->fate || !out->twin)
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
