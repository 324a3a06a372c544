#include "node/job/instance.h"
#include <inttypes.h>
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
        e->readable = e->ids.id.sop_instance_uid[0] && e->ids.id.series_instance_uid[0] &&
                      e->ids.id.study_instance_uid[0];
        ok = e->readable || err_set(err, ERR_INPUT, "no usable UIDs");
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
    int order = strcmp(x->ids.id.sop_instance_uid, y->ids.id.sop_instance_uid);
    return order ? order : memcmp(x->digest, y->digest, sizeof x->digest);
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

bool instances_sort(struct instance *list, size_t *count, struct err *err)
{
    size_t kept = 0, at = 0;
    bool ok = true;
    qsort(list, *count, sizeof *list, instance_by_uid);
    for (; ok && at < *count; at++) {
        struct instance *e = &list[at], *last = kept ? &list[kept - 1] : NULL;
        bool again = last && e->readable && last->readable &&
                     strcmp(e->ids.id.sop_instance_uid, last->ids.id.sop_instance_uid) == 0;
        if (again && memcmp(e->digest, last->digest, sizeof e->digest) != 0)
            ok = err_set(err, ERR_INPUT, "two different instances are both %s",
                         e->ids.id.sop_instance_uid);
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
