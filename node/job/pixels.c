#include "node/job/pixels.h"
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include "base/clock.h"
#include "dimse/read/object.h"
#include "base/parallel.h"

#define THREADS 2 // decoding scales to the two cores of the smallest machine
// Larger frames are decoded one after the other, as each takes up to 12 bytes a pixel meanwhile.
#define LARGE_FRAME (1u << 24) // pixels; a mammogram

// Decoders allocate anew for each frame. What they free stays here while frames are decoded: giving
// it back to the system and taking it again, cleared, is a third of the time of JPEG 2000.
#define KEPT_BLOCK   (8 << 20)   // bytes; larger blocks go back at once
#define KEPT_FREE    (32 << 20)  // bytes of freed memory a thread that stay
#define KEPT_DEFAULT (128 << 10) // of both, as malloc begins; it then raises neither by itself

// What one thread keeps from frame to frame: an instance of many frames is opened once.
struct reader {
    struct object *object;
    uint32_t source;
    int32_t *stored;
    size_t room; // pixels of stored
    struct err err;
};

struct pixels {
    struct pixels_options options;
    struct image_pixels source;
    struct reader readers[THREADS];
    pthread_mutex_t large; // held while a large frame is decoded
    size_t decoded;
    // the call that runs
    const uint32_t *frames;
    size_t count;
    enum image_voxel type;
    uint8_t *voxels;
};

static bool reader_open(struct pixels *p, struct reader *r, uint32_t source)
{
    if (r->object && r->source == source)
        return true;
    object_close(r->object);
    r->object = object_open(p->options.paths[source], &r->err);
    r->source = source;
    return r->object != NULL;
}

static bool reader_room(struct reader *r, size_t pixels)
{
    if (r->room >= pixels)
        return true;
    free(r->stored);
    r->room = 0;
    r->stored = calloc(pixels, sizeof *r->stored);
    if (!r->stored)
        return err_set(&r->err, ERR_NOMEM, "no memory for a frame");
    r->room = pixels;
    return true;
}

static bool reader_decode(struct pixels *p, struct reader *r, const struct image_frame *f,
                          void *voxels)
{
    const size_t pixels = (size_t)f->columns * f->rows;
    if (p->options.deadline_s > 0 && clock_steady() > p->options.deadline_s)
        return err_set(&r->err, ERR_TIMEOUT, "past the deadline while decoding");
    if (!reader_room(r, pixels))
        return false;
    if (!reader_open(p, r, f->source))
        return err_wrap(&r->err, "instance %s", f->sop_instance_uid);
    const bool ok = f->is_float
                        ? object_decode_float(r->object, f->number - 1, (float *)r->stored, &r->err)
                        : object_decode(r->object, f->number - 1, r->stored, &r->err);
    if (!ok)
        return err_wrap(&r->err, "instance %s", f->sop_instance_uid);
    if (f->is_float)
        image_convert_float(f, (const float *)r->stored, pixels, p->type, voxels);
    else
        image_convert(f, r->stored, pixels, p->type, voxels);
    return true;
}

static void decode_part(void *ctx, size_t first, size_t count)
{
    struct pixels *p = ctx;
    struct reader *r = &p->readers[first != 0];
    for (size_t i = first; i < first + count; i++) {
        const struct image_frame *f = &p->options.frames[p->frames[i]];
        const bool large = (uint64_t)f->columns * f->rows > LARGE_FRAME;
        const size_t bytes =
            (size_t)f->columns * f->rows * (p->type == IMAGE_I16 ? sizeof(int16_t) : sizeof(float));
        if (large)
            pthread_mutex_lock(&p->large);
        const bool ok = reader_decode(p, r, f, p->voxels + i * bytes);
        if (large)
            pthread_mutex_unlock(&p->large);
        if (!ok)
            return;
    }
}

// Only around decoding: set for the life of a worker, 600 slices took 34 MB more than the 500 MB
// that are theirs, since blocks of analyses stayed too; with 1 MB as the largest block that is kept
// they did not, and JPEG 2000 lost what this wins. glibc calls mallopt() unsafe beside other
// threads since it writes its settings without a lock: each is one aligned word that malloc reads
// as a whole, the old or the new one, and both are right. The threads that decode start after and
// end before.
static void keep_freed(bool keep)
{
    mallopt(M_MMAP_THRESHOLD, keep ? KEPT_BLOCK : KEPT_DEFAULT);
    mallopt(M_TRIM_THRESHOLD, keep ? KEPT_FREE : KEPT_DEFAULT);
}

static bool read_frames(void *ctx, const uint32_t *frames, size_t count, enum image_voxel type,
                        void *voxels, struct err *err)
{
    struct pixels *p = ctx;
    p->frames = frames;
    p->count = count;
    p->type = type;
    p->voxels = voxels;
    for (size_t t = 0; t < THREADS; t++)
        p->readers[t].err = (struct err){0};
    keep_freed(true);
    parallel_for(count, THREADS, decode_part, p);
    keep_freed(false);
    if (count > 1)
        malloc_trim(0); // analyses need the room
    for (size_t t = 0; t < THREADS; t++) {
        if (p->readers[t].err.code) {
            if (err)
                *err = p->readers[t].err;
            return false;
        }
    }
    p->decoded += count;
    if (p->options.progress)
        p->options.progress(p->options.progress_ctx, p->decoded);
    return true;
}

// After its pixels the instance is still open.
static bool read_voi(void *ctx, uint32_t frame, struct voi *out, struct err *err)
{
    struct pixels *p = ctx;
    struct reader *r = &p->readers[0];
    const struct image_frame *f = &p->options.frames[frame];
    r->err = (struct err){0};
    if (reader_open(p, r, f->source) && object_voi(r->object, f->number - 1, out, &r->err))
        return true;
    if (err)
        *err = r->err;
    return err_wrap(err, "instance %s", f->sop_instance_uid);
}

struct pixels *pixels_create(const struct pixels_options *options, struct err *err)
{
    struct pixels *p = calloc(1, sizeof *p);
    if (!p) {
        err_set(err, ERR_NOMEM, "no memory to decode");
        return NULL;
    }
    p->options = *options;
    pthread_mutex_init(&p->large, NULL);
    p->source = (struct image_pixels){.ctx = p, .read = read_frames, .voi = read_voi};
    return p;
}

void pixels_destroy(struct pixels *p)
{
    if (!p)
        return;
    for (size_t t = 0; t < THREADS; t++) {
        object_close(p->readers[t].object);
        free(p->readers[t].stored);
    }
    pthread_mutex_destroy(&p->large);
    free(p);
}

const struct image_pixels *pixels_source(const struct pixels *p)
{
    return &p->source;
}
