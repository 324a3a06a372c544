#include "node/job/choose.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf/pattern.h"
#include "dimse/read/object.h"
#include "node/job/rival.h"

#define SAID_MIN_PART   4 // an image with that part of the largest one's frames is worth a word
#define SAID_MAX        3 // images that are named
#define PREFERENCES_MAX 8 // of one input
#define SHORTER_MM                                                                                 \
    1.0 // an image that is that much shorter than the whole one has something cut off
#define SAME_NUMBER 1e-6 // distances from what is preferred

struct choosing {
    struct rivals rivals;
    const struct stage_preference *prefers;
    struct pattern *patterns[PREFERENCES_MAX]; // of prefers, both in one
};

// In what groups of images may differ besides what an input prefers.
static const char *const choose_others[] = {
    "ImageType",           "ComplexImageComponent", "ConvolutionKernel", "KVP",
    IMAGE_CARDIAC_PERCENT, "SliceThickness",        "PixelSpacing",      "Rows",
    "AcquisitionNumber",   "FrameOfReferenceUID",   "SeriesInstanceUID", RIVAL_SPACING};

static void choose_say(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void choose_say(char *text, size_t size, const char *format, ...)
{
    const size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, size - used, format, args);
    va_end(args);
}

static bool choose_differs(const struct choosing *c, const struct rival *a, const struct rival *b,
                           const char *keyword)
{
    char x[RIVAL_TEXT], y[RIVAL_TEXT];
    return !image_same_value(rival_said(&c->rivals, a, keyword, x),
                             rival_said(&c->rivals, b, keyword, y));
}

// The first attribute in which two images differ.
static const char *choose_difference(const struct choosing *c, const struct rival *a,
                                     const struct rival *b)
{
    for (const struct stage_preference *p = c->prefers; p->keyword; p++) {
        if (choose_differs(c, a, b, p->keyword))
            return p->keyword;
    }
    for (size_t i = 0; i < sizeof choose_others / sizeof *choose_others; i++) {
        if (choose_differs(c, a, b, choose_others[i]))
            return choose_others[i];
    }
    return "SOPInstanceUID";
}

// The next one that may be meant and that nothing speaks against; NULL: there is none.
static struct rival *choose_next(const struct choosing *c, const struct rival *after)
{
    for (struct rival *r = c->rivals.item + (after ? after - c->rivals.item + 1 : 0);
         r < c->rivals.item + c->rivals.count; r++) {
        if (r->candidate && !r->by)
            return r;
    }
    return NULL;
}

// Both patterns in one; NULL where there are none. False: it does not compile, or no memory.
static bool choose_compile(const struct stage_preference *p, struct pattern **out, struct err *err)
{
    struct pattern *both[2] = {NULL};
    char why[128];
    size_t count = 0;
    *out = NULL;
    for (; count < 2 && p->patterns[count]; count++) {
        both[count] = pattern_compile(p->patterns[count], why, sizeof why);
        if (both[count])
            continue;
        pattern_destroy(both[0]);
        return err_set(err, ERR_INTERNAL, "preference %s: %s", p->keyword, why);
    }
    *out = count == 2 ? pattern_both(both, 2) : both[0];
    return *out || count == 0 || err_set(err, ERR_NOMEM, "no memory for preference %s", p->keyword);
}

static bool choose_fits(const struct choosing *c, const struct rival *r,
                        const struct stage_preference *p)
{
    const struct pattern *pattern = c->patterns[p - c->prefers];
    char text[RIVAL_TEXT];
    for (size_t i = 0; rival_next_cell(r, &i); i++) {
        const char *value = rival_value(&c->rivals, r, i, p->keyword, text);
        if ((pattern && !pattern_matches(pattern, value)) || (p->fits && !p->fits(value)))
            return false;
    }
    return true;
}

// How far an image that fits is from what is preferred, in the attribute's unit; 0: that is no
// matter.
static double choose_distance(const struct choosing *c, const struct rival *r,
                              const struct stage_preference *p)
{
    double low, high;
    if (!(p->nearest > 0))
        return 0;
    rival_range(&c->rivals, r, p->keyword, &low, &high);
    return fabs((low + high) / 2 - p->nearest);
}

// Lets go those that do not fit, where others do; then those that are farther than the nearest.
static void choose_narrow(const struct choosing *c, const struct stage_preference *p)
{
    double nearest = INFINITY;
    for (struct rival *r = NULL; (r = choose_next(c, r));) {
        if (choose_fits(c, r, p))
            nearest = fmin(nearest, choose_distance(c, r, p));
    }
    for (struct rival *r = NULL; isfinite(nearest) && (r = choose_next(c, r));) {
        if (!choose_fits(c, r, p) || choose_distance(c, r, p) > nearest + SAME_NUMBER)
            r->by = p;
    }
}

// "diastole (>= 60, <= 80)"
static void choose_say_preference(const struct stage_preference *p, char *text, size_t size)
{
    choose_say(text, size, "%s", p->help);
    if (p->patterns[0])
        choose_say(text, size, " (%s%s%s)", p->patterns[0], p->patterns[1] ? ", " : "",
                   p->patterns[1] ? p->patterns[1] : "");
}

// Several are left: in what they differ, and what would help.
static void choose_refuse(const struct choosing *c, struct err *err)
{
    const struct rival *first = choose_next(c, NULL), *r = choose_next(c, first);
    const char *keyword = choose_difference(c, first, r);
    char text[sizeof err->text] = "", said[RIVAL_TEXT];
    size_t groups = 0;
    for (r = NULL; (r = choose_next(c, r)); groups++) {
        if (groups < SAID_MAX)
            choose_say(text, sizeof text, "%s %s in %zu", groups ? "," : "",
                       rival_said(&c->rivals, r, keyword, said), r->frames);
    }
    if (groups > SAID_MAX)
        choose_say(text, sizeof text, ", ...");
    const struct stage_preference *p = c->prefers;
    while (p->keyword && strcmp(p->keyword, keyword) != 0)
        p++;
    if (p->keyword) {
        choose_say(text, sizeof text, choose_fits(c, first, p) ? "; each is " : "; wanted is ");
        choose_say_preference(p, text, sizeof text);
    }
    err_set(err, ERR_GEOMETRY,
            "%zu groups of images may be meant: %s%s; send it as a series of its own", groups,
            keyword, text);
}

// For what the chosen one was taken: "phase 70 % by TriggerTime (diastole)".
static void choose_say_taken(const struct choosing *c, const struct rival *taken, char *text,
                             size_t size)
{
    char said[RIVAL_TEXT];
    size_t reasons = 0;
    choose_say(text, size, "Of several groups of images of one place are taken %zu images ",
               taken->frames);
    if (rival_length(taken) < c->rivals.whole_mm - SHORTER_MM)
        choose_say(text, size, "over %.0f of %.0f mm ", rival_length(taken), c->rivals.whole_mm);
    for (const struct stage_preference *p = c->prefers; p->keyword; p++) {
        bool decided = false;
        for (size_t i = 0; i < c->rivals.count; i++)
            decided = decided || c->rivals.item[i].by == p;
        if (decided)
            choose_say(text, size, "%s%s %s (%s)", reasons++ ? " and " : "with ", p->keyword,
                       rival_said(&c->rivals, taken, p->keyword, said), p->help);
    }
    choose_say(text, size, "%s; left are ", reasons ? "" : "as the only whole ones");
}

// Why an image may not be meant.
static void choose_say_fault(const struct choosing *c, const struct rival *r, char *text,
                             size_t size)
{
    if (r->img->defect[0])
        choose_say(text, size, " (%.80s)", r->img->defect);
    else if (!r->candidate)
        choose_say(text, size, " (over %.0f mm instead of %.0f mm)", rival_length(r),
                   c->rivals.whole_mm);
}

static void choose_say_left(const struct choosing *c, const struct rival *taken,
                            const struct rival *r, char *text, size_t size)
{
    char said[RIVAL_TEXT];
    const char *keyword = r->by ? r->by->keyword : choose_difference(c, taken, r);
    choose_say(text, size, "%zu with %s %s", r->frames, keyword,
               rival_said(&c->rivals, r, keyword, said));
    choose_say_fault(c, r, text, size);
}

// Whether an image that was not taken is worth a word: it might have been meant.
static bool choose_is_told(const struct choosing *c, const struct rival *r)
{
    return r->candidate || (r->frames * SAID_MIN_PART >= c->rivals.item->frames &&
                            rival_overlap(r, c->rivals.item) > 0);
}

static void choose_remark(const struct choosing *c, const struct rival *taken, char *text,
                          size_t size)
{
    char said[RIVAL_TEXT];
    size_t told = 0;
    for (const struct rival *r = c->rivals.item; r < c->rivals.item + c->rivals.count; r++) {
        if (r == taken || !choose_is_told(c, r) || told++ >= SAID_MAX)
            continue;
        if (told == 1)
            choose_say_taken(c, taken, text, size);
        choose_say(text, size, "%s", told > 1 ? ", " : "");
        choose_say_left(c, taken, r, text, size);
    }
    if (told == 0)
        return;
    choose_say(text, size, "%s.", told > SAID_MAX ? " and more" : "");
    for (const struct stage_preference *p = c->prefers; p->keyword; p++) {
        bool differs = false;
        for (const struct rival *r = c->rivals.item; r < c->rivals.item + c->rivals.count; r++)
            differs = differs || (choose_is_told(c, r) && choose_differs(c, taken, r, p->keyword));
        if (!differs || choose_fits(c, taken, p))
            continue;
        choose_say(text, size, " Not as preferred: %s %s, wanted is ", p->keyword,
                   rival_said(&c->rivals, taken, p->keyword, said));
        choose_say_preference(p, text, size);
        choose_say(text, size, ".");
    }
}

// Moves an image before all others of its pool.
static const struct image *choose_put_first(struct image_set *set, struct image *img)
{
    struct image *first = img;
    while (first > set->images && first[-1].pool == img->pool)
        first--;
    const struct image taken = *img;
    memmove(first + 1, first, (size_t)(img - first) * sizeof *img);
    *first = taken;
    return first;
}

// Whether there is something to choose from: not where none is whole, or two lie elsewhere; those
// of other orientations and frames of reference are told by image_main().
static bool choose_possible(const struct choosing *c, struct err *err)
{
    const struct rival *first = c->rivals.item, *other = c->rivals.elsewhere;
    if (other && other->high > other->low &&
        !choose_differs(c, first, other, "FrameOfReferenceUID"))
        return err_set(err, ERR_GEOMETRY,
                       "two groups of %zu images may be meant: one lies at %.1f to %.1f mm, one at "
                       "%.1f to %.1f mm; send it as a series of its own",
                       first->frames, first->low, first->high, other->low, other->high);
    if (c->rivals.count < 2 || !choose_is_told(c, first + 1) || choose_next(c, NULL))
        return true;
    char text[sizeof err->text] = "no group of images is whole:";
    for (const struct rival *r = first; r < first + 2; r++) {
        choose_say(text, sizeof text, "%s %zu", r == first ? "" : ",", r->frames);
        choose_say_fault(c, r, text, sizeof text);
    }
    return err_set(err, ERR_GEOMETRY, "%s%s", text, c->rivals.count > 2 ? ", ..." : "");
}

const struct image *choose_image(struct image_set *set, uint32_t pool,
                                 const struct stage_preference *prefers, struct arena *arena,
                                 char *remark, size_t size, struct err *err)
{
    struct choosing c = {.prefers = prefers};
    const struct image *img = NULL;
    bool ok = true;
    remark[0] = 0;
    if (!prefers)
        return image_main(set, pool, err);
    if (!rivals_find(set, pool, arena, &c.rivals)) {
        err_set(err, ERR_NOMEM, "no memory to choose an image");
        return NULL;
    }
    if (!choose_possible(&c, err))
        return NULL;
    if (c.rivals.elsewhere || !choose_next(&c, NULL))
        return image_main(set, pool, err);
    for (const struct stage_preference *p = prefers; ok && p->keyword; p++) {
        ok = choose_compile(p, &c.patterns[p - prefers], err);
        if (ok)
            choose_narrow(&c, p);
    }
    const struct rival *taken = choose_next(&c, NULL);
    if (ok && choose_next(&c, taken)) {
        choose_refuse(&c, err);
    } else if (ok) {
        choose_remark(&c, taken, remark, size);
        img = choose_put_first(set, taken->img);
    }
    for (size_t i = 0; i < PREFERENCES_MAX; i++)
        pattern_destroy(c.patterns[i]);
    return img;
}

bool choose_check(const struct stage_preference *prefers, struct err *err)
{
    for (const struct stage_preference *p = prefers; p && p->keyword; p++) {
        if (p - prefers == PREFERENCES_MAX)
            return err_set(err, ERR_INTERNAL, "more than %d preferences", PREFERENCES_MAX);
        if (!object_keyword_known(p->keyword))
            return err_set(err, ERR_INTERNAL, "no DICOM attribute %s", p->keyword);
        struct pattern *pattern;
        if (!choose_compile(p, &pattern, err))
            return false;
        pattern_destroy(pattern);
    }
    return true;
}
