#include "node/job/instance.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool instance_read_frames(struct object *o, struct instance *e, struct err *err)
{
    if (e->ids.frames > INSTANCE_FRAMES_MAX)
        return err_set(err, ERR_UNSUPPORTED, "%" PRIu32 " frames", e->ids.frames);
    uint32_t frames = e->ids.frames ? e->ids.frames : 1; // without pixels: object_frame() says so
    e->frames = calloc(frames, sizeof *e->frames);
    e->own = calloc(frames, sizeof *e->own);
    if (!e->frames || !e->own)
        return err_set(err, ERR_NOMEM, "no memory");
    for (uint32_t f = 0; f < frames; f++) {
        e->frame_count = f + 1;
        e->own[f].base = &e->attrs;
        if (!object_frame(o, f, &e->frames[f], err) || !object_frame_attrs(o, f, &e->own[f], err))
            return false;
        e->frames[f].of_many = frames > 1;
        e->frames[f].attrs = &e->own[f];
    }
    return true;
}

void instance_read(struct instance *e)
{
    static const uint8_t unknown[DIGEST_SIZE];
    struct err *err = &e->err;
    memcpy(e->digest, e->file->digest, sizeof e->digest);
    if (memcmp(e->digest, unknown, sizeof unknown) == 0 &&
        !object_digest(e->file->path, e->digest, err))
        return;
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

void instance_finish(struct instance *e)
{
    for (uint32_t f = 0; f < e->frame_count; f++)
        attrs_finish(&e->own[f]);
    attrs_finish(&e->attrs);
    free(e->frames);
    free(e->own);
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
}
