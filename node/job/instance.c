#include "node/job/instance.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool instance_read_frames(struct object *o, struct instance *e, struct err *err)
{
    const uint32_t frames = object_frame_count(o);
    if (frames == 0) {
        e->aside = INSTANCE_NO_PIXELS;
        return true;
    }
    if (frames > INSTANCE_FRAMES_MAX)
        return err_set(err, ERR_UNSUPPORTED, "%" PRIu32 " frames", frames);
    e->frames = calloc(frames, sizeof *e->frames);
    e->own = calloc(frames, sizeof *e->own);
    if (!e->frames || !e->own)
        return err_set(err, ERR_NOMEM, "no memory");
    for (uint32_t f = 0; f < frames; f++) {
        e->frame_count = f + 1;
        e->own[f].base = &e->attrs;
        if (!object_frame(o, f, &e->frames[f], err) || !object_frame_attrs(o, f, &e->own[f], err))
            return false;
        e->frames[f].of_many = e->ids.frames > 1;
        e->frames[f].attrs = &e->own[f];
    }
    return true;
}

void instance_read(struct instance *e)
{
    static const uint8_t unknown[DIGEST_SIZE];
    struct err *err = &e->err;
    if (!object_digest(e->file->path, e->digest, err))
        return;
    if (memcmp(e->file->digest, unknown, sizeof unknown) != 0 &&
        memcmp(e->file->digest, e->digest, sizeof e->digest) != 0) {
        e->damaged = true;
        memcpy(e->digest, e->file->digest, sizeof e->digest);
        err_set(err, ERR_INPUT, "the received file of instance %s has changed since it was stored",
                e->file->sop_instance_uid ? e->file->sop_instance_uid : "(unknown)");
        return;
    }
    struct object *o = object_open(e->file->path, err);
    if (!o)
        return;
    e->ids = *object_ids(o);
    bool ok = object_attrs(o, &e->attrs, err);
    if (ok) {
        e->readable = ok = object_identified(o, err);
        snprintf(e->remark, sizeof e->remark, "%s", object_remark(o));
    }
    ok = ok && instance_read_frames(o, e, err);
    object_close(o);
    if (!ok && e->readable)
        err_wrap(err, "instance %s", e->ids.id.sop_instance_uid);
}

static int instance_by_uid(const void *a, const void *b)
{
    const struct instance *x = a, *y = b;
    if (x->readable != y->readable)
        return x->readable ? -1 : 1;
    if (!x->readable)
        return memcmp(x->digest, y->digest, sizeof x->digest);
    int order = strcmp(x->ids.id.sop_instance_uid, y->ids.id.sop_instance_uid);
    return order ? order : strcmp(x->file->path, y->file->path);
}

static bool instance_doubles_equal(const double *a, const double *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (a[i] != b[i] && !(isnan(a[i]) && isnan(b[i])))
            return false;
    }
    return true;
}

// What of the description of two frames differs; NULL: nothing.
static const char *instance_frame_differs(const struct image_frame *a, const struct image_frame *b)
{
    if (a->columns != b->columns || a->rows != b->rows)
        return "Rows or Columns";
    if (!instance_doubles_equal(a->pixel_mm, b->pixel_mm, 2))
        return "Pixel Spacing";
    if (a->placed != b->placed || !instance_doubles_equal(a->position, b->position, 3) ||
        !instance_doubles_equal(a->orientation, b->orientation, 6))
        return "Image Position or Orientation (Patient)";
    if (a->slope != b->slope || a->intercept != b->intercept || strcmp(a->unit, b->unit) != 0)
        return "the rescale";
    return NULL;
}

// Decodes a frame of both and compares. False: *why, or no memory.
static bool instance_same_frame(struct object *a, struct object *b, uint32_t frame,
                                const struct image_frame *f, const char **why, struct err *err)
{
    const size_t size = (size_t)f->columns * f->rows * sizeof(int32_t);
    void *pixels[2] = {malloc(size), malloc(size)};
    struct err trouble = {0};
    bool ok = (pixels[0] && pixels[1]) || err_set(err, ERR_NOMEM, "no memory for a frame");
    bool decoded = ok;
    for (int i = 0; decoded && i < 2; i++) {
        struct object *o = i ? b : a;
        decoded = f->is_float ? object_decode_float(o, frame, pixels[i], &trouble)
                              : object_decode(o, frame, pixels[i], &trouble);
    }
    if (ok && !decoded)
        *why = "pixels that cannot be decoded";
    else if (ok && memcmp(pixels[0], pixels[1], size) != 0)
        *why = "the pixels";
    free(pixels[0]);
    free(pixels[1]);
    return ok && decoded && !*why;
}

// Two of one UID and of other content: is it the same image, in other words?
static bool instance_same_image(const struct instance *a, const struct instance *b, struct err *err)
{
    struct err trouble = {0};
    const char *why = a->frame_count != b->frame_count ? "the number of frames" : NULL;
    struct object *x = object_open(a->file->path, &trouble),
                  *y = object_open(b->file->path, &trouble);
    bool ok = x && y;
    if (!ok)
        err_set(err, trouble.code, "%s", trouble.text);
    for (uint32_t f = 0; ok && !why && a->ids.frames > 0 && f < a->frame_count; f++) {
        why = instance_frame_differs(&a->frames[f], &b->frames[f]);
        ok = why || instance_same_frame(x, y, f, &a->frames[f], &why, err) || why;
    }
    object_close(x);
    object_close(y);
    if (ok && why)
        return err_set(err, ERR_INPUT, "two different instances are both %s: %s differ",
                       a->ids.id.sop_instance_uid, why);
    return ok;
}

static void instance_drop_frames(struct instance *e)
{
    for (uint32_t f = 0; f < e->frame_count; f++)
        attrs_finish(&e->own[f]);
    free(e->frames);
    free(e->own);
    e->frames = NULL;
    e->own = NULL;
    e->frame_count = 0;
}

void instance_finish(struct instance *e)
{
    instance_drop_frames(e);
    attrs_finish(&e->attrs);
    *e = (struct instance){0};
}

bool instances_sort(struct instance *list, size_t *count, size_t *others, struct err *err)
{
    size_t kept = 0, at = 0;
    bool ok = true;
    *others = 0;
    qsort(list, *count, sizeof *list, instance_by_uid);
    for (; ok && at < *count; at++) {
        struct instance *e = &list[at], *last = kept ? &list[kept - 1] : NULL;
        bool again = last && e->readable && last->readable &&
                     strcmp(e->ids.id.sop_instance_uid, last->ids.id.sop_instance_uid) == 0;
        if (again && memcmp(e->digest, last->digest, sizeof e->digest) != 0) {
            ok = instance_same_image(last, e, err);
            ++*others;
        }
        if (again)
            instance_finish(e);
        else
            list[kept++] = *e;
    }
    for (; at < *count; at++)
        list[kept++] = list[at];
    for (size_t i = kept; i < *count; i++) // moved
        list[i] = (struct instance){0};
    *count = kept;
    for (size_t i = 0; i < kept; i++) { // the instance's list has moved with its instance
        for (uint32_t f = 0; f < list[i].frame_count; f++)
            list[i].own[f].base = &list[i].attrs;
    }
    return ok;
}

// ---- What is no slice ---------------------------------------------------------------------------

static bool instance_claims_place(const struct instance *e)
{
    static const char *const names[] = {"ImagePositionPatient", "ImageOrientationPatient"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = attrs_get(&e->attrs, names[i]);
        if (value && *value)
            return true;
    }
    return e->ids.frames > 1; // in its functional groups
}

bool instance_lost_place(const struct instance *e, double mm[3])
{
    const char *at = attrs_get(&e->attrs, "ImagePositionPatient");
    char *end = NULL;
    if (e->aside != INSTANCE_NO_PIXELS || !at)
        return false;
    for (int i = 0; i < 3; i++, at = end + 1) {
        mm[i] = strtod(at, &end);
        if (end == at || *end != (i < 2 ? '\\' : 0))
            return false;
    }
    return true;
}

// How many stand aside for the same reason, of the same class as the one at index like; 0: an
// earlier one has counted it.
static size_t instances_aside_like(const struct instance *list, size_t count, size_t like)
{
    size_t same = 0;
    for (size_t i = 0; i < count; i++) {
        if (list[i].aside != list[like].aside || list[i].input != list[like].input ||
            strcmp(list[i].ids.id.sop_class_uid, list[like].ids.id.sop_class_uid) != 0)
            continue;
        if (i < like)
            return 0;
        same++;
    }
    return same;
}

// "2 XRayRadiationDoseSRStorage, 1 KeyObjectSelectionDocumentStorage" of one input.
static void instances_aside_text(const struct instance *list, size_t count, uint32_t input,
                                 enum instance_aside aside, char *out, size_t size)
{
    size_t at = 0;
    *out = 0;
    for (size_t i = 0; i < count && at < size; i++) {
        const size_t same = list[i].input == input && list[i].aside == aside
                                ? instances_aside_like(list, count, i)
                                : 0;
        const char *class_uid = list[i].ids.id.sop_class_uid;
        if (same > 0)
            at += (size_t)snprintf(out + at, size - at, "%s%zu %s", at ? ", " : "", same,
                                   *class_uid ? object_class_name(class_uid)
                                              : "without SOP Class UID");
    }
}

bool instances_set_aside(struct instance *list, size_t count, uint32_t input, bool placed,
                         struct err *err)
{
    size_t all = 0, left = 0;
    const struct instance *first = NULL;
    char kinds[160];
    for (size_t i = 0; i < count; i++) {
        struct instance *e = &list[i];
        if (e->input != input)
            continue;
        all++;
        left += e->aside == INSTANCE_SLICE && !e->err.code;
        first = first || !e->err.code ? first : e;
    }
    if (left == 0 && first)
        return true; // its fault is the reason
    if (left == 0) {
        instances_aside_text(list, count, input, INSTANCE_NO_PIXELS, kinds, sizeof kinds);
        return err_set(err, ERR_INPUT, "no Pixel Data in %zu of %zu instances (%s)", all, all,
                       kinds);
    }
    for (size_t i = 0; placed && i < count; i++) {
        struct instance *e = &list[i];
        if (e->input != input || !e->readable || instance_claims_place(e) ||
            (e->err.code != ERR_INPUT && e->err.code != ERR_UNSUPPORTED))
            continue;
        e->aside = INSTANCE_NO_PLACE;
        e->err = (struct err){0};
        instance_drop_frames(e);
    }
    return true;
}

// ---- Remarks ------------------------------------------------------------------------------------

static size_t instances_remarked(const struct instance *list, size_t count, size_t like)
{
    size_t same = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].remark, list[like].remark) != 0)
            continue;
        if (i < like)
            return 0; // counted with that one
        same++;
    }
    return same;
}

void instances_remark(const struct instance *list, size_t count, size_t others, char *out,
                      size_t size)
{
    const char *separator = "";
    size_t at = 0;
    *out = 0;
    if (others > 0) {
        at = (size_t)snprintf(out, size,
                              "%zu instance%s came again with other attributes or encoding: the "
                              "first is taken",
                              others, others == 1 ? "" : "s");
        separator = "; ";
    }
    for (size_t i = 0; i < count && at < size; i++) {
        size_t same =
            list[i].readable && list[i].remark[0] ? instances_remarked(list, count, i) : 0;
        if (same == 0)
            continue;
        at += (size_t)snprintf(out + at, size - at, "%s%zu instance%s: %s", separator, same,
                               same == 1 ? "" : "s", list[i].remark);
        separator = "; ";
    }
    for (size_t i = 0; i < count && at < size; i++) {
        const size_t same =
            list[i].aside != INSTANCE_SLICE ? instances_aside_like(list, count, i) : 0;
        if (same == 0)
            continue;
        const char *class_uid = list[i].ids.id.sop_class_uid;
        at += (size_t)snprintf(
            out + at, size - at, "%sset aside as no slice%s: %zu %s", separator,
            list[i].aside == INSTANCE_NO_PIXELS ? ", without Pixel Data"
                                                : ", without a place and not to be read",
            same, *class_uid ? object_class_name(class_uid) : "without SOP Class UID");
        separator = "; ";
    }
}
