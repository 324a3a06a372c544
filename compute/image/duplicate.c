#include "compute/image/duplicate.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compute/image/load.h"

struct merge {
    struct image_set *set;
    struct image *img;
    size_t pixels; // of a frame
    float *values; // of two frames
    struct err *err;
};

enum merge_same { MERGE_SAME, MERGE_OTHER, MERGE_FAILED };

static enum merge_same merge_compare(const struct merge *m, uint32_t a, uint32_t b)
{
    const uint32_t frames[2] = {a, b};
    const struct image_pixels *pixels = m->set->pixels;
    if (!pixels->read(pixels->ctx, frames, 2, IMAGE_F32, m->values, m->err))
        return MERGE_FAILED;
    const bool same = memcmp(m->values, m->values + m->pixels, m->pixels * sizeof *m->values) == 0;
    return same ? MERGE_SAME : MERGE_OTHER;
}

static bool merge_is_used(const struct image *img, uint32_t frame)
{
    const size_t cells = (size_t)img->dim[2] * img->dim[3];
    for (size_t c = 0; c < cells; c++) {
        if (img->frame[c] == frame)
            return true;
    }
    return false;
}

// Compares what the splitter set aside with what stands in its place.
static bool merge_check_twins(const struct merge *m)
{
    uint32_t others = 0, first = IMAGE_NO_FRAME;
    for (uint32_t i = 0; i < m->set->frame_count; i++) {
        if (m->set->fate[i] != IMAGE_DUPLICATE || !merge_is_used(m->img, m->set->twin[i]))
            continue;
        const enum merge_same same = merge_compare(m, m->set->twin[i], i);
        if (same == MERGE_FAILED)
            return false;
        if (same == MERGE_OTHER)
            first = others++ ? first : i;
    }
    if (!others)
        return true;
    const struct image_frame *a = &m->set->frames[m->set->twin[first]];
    const struct image_frame *b = &m->set->frames[first];
    return err_set(m->err, ERR_GEOMETRY,
                   "%" PRIu32 " image%s where another lies and show%s something else; first at "
                   "(%.1f, %.1f, %.1f) mm: %s and %s",
                   others, others == 1 ? " lies" : "s lie", others == 1 ? "s" : "", b->position[0],
                   b->position[1], b->position[2], a->sop_instance_uid, b->sop_instance_uid);
}

// Do all frames at each place show the same? firsts: [slices] the first of each.
static enum merge_same merge_compare_points(const struct merge *m, uint32_t *firsts)
{
    const struct image *img = m->img;
    for (uint32_t k = 0; k < img->dim[2]; k++) {
        firsts[k] = IMAGE_NO_FRAME;
        for (uint32_t p = 0; p < img->dim[3]; p++) {
            const uint32_t frame = image_frame_at(img, k, p);
            if (frame == IMAGE_NO_FRAME)
                continue;
            if (firsts[k] == IMAGE_NO_FRAME) {
                firsts[k] = frame;
                continue;
            }
            const enum merge_same same = merge_compare(m, firsts[k], frame);
            if (same != MERGE_SAME)
                return same;
        }
    }
    return MERGE_SAME;
}

// Makes one point of several that show the same.
static void merge_points(const struct merge *m, uint32_t *firsts)
{
    struct image *img = m->img;
    for (uint32_t k = 0; k < img->dim[2]; k++) {
        for (uint32_t p = 0; p < img->dim[3]; p++) {
            const uint32_t frame = image_frame_at(img, k, p);
            if (frame == IMAGE_NO_FRAME || frame == firsts[k])
                continue;
            m->set->fate[frame] = IMAGE_DUPLICATE;
            m->set->twin[frame] = firsts[k];
            img->duplicates++;
        }
    }
    img->frame = firsts;
    img->dim[3] = 1;
    img->axis = IMAGE_NO_AXIS;
    img->at = NULL;
    img->missing = 0; // a place without any frame would be no slice
}

static bool merge_all(const struct merge *m, bool one, struct arena *arena)
{
    struct image *img = m->img;
    if (img->duplicates && !merge_check_twins(m))
        return false;
    if (!one || img->dim[3] == 1 || !img->placed ||
        (img->axis != IMAGE_TIME && img->axis != IMAGE_ORDER))
        return true;
    uint32_t *firsts = arena_alloc(arena, img->dim[2], sizeof *firsts);
    if (!firsts)
        return err_set(m->err, ERR_NOMEM, "no memory to compare frames");
    const enum merge_same same = merge_compare_points(m, firsts);
    if (same == MERGE_SAME)
        merge_points(m, firsts);
    return same != MERGE_FAILED;
}

// ---- Acquisitions -------------------------------------------------------------------------------

#define SAME_PLACE_MM 0.01 // as image_split() takes places for the same

// The frame of an image at the place of f; IMAGE_NO_FRAME: none.
static uint32_t merge_find_place(const struct image_set *set, const struct image *img,
                                 const struct image_frame *f)
{
    for (uint32_t k = 0; k < img->dim[2]; k++) {
        const double *at = set->frames[img->frame[k]].position;
        if (fabs(at[0] - f->position[0]) <= SAME_PLACE_MM &&
            fabs(at[1] - f->position[1]) <= SAME_PLACE_MM &&
            fabs(at[2] - f->position[2]) <= SAME_PLACE_MM)
            return img->frame[k];
    }
    return IMAGE_NO_FRAME;
}

// Whether each slice of other lies where one of m->img does and shows the same. Frames that cannot
// be decoded are told when an image is used.
static enum merge_same merge_covers(struct merge *m, const struct image *other)
{
    struct err why = {0};
    for (uint32_t k = 0; k < other->dim[2]; k++) {
        if (merge_find_place(m->set, m->img, &m->set->frames[other->frame[k]]) == IMAGE_NO_FRAME)
            return MERGE_OTHER;
    }
    m->values = malloc(2 * m->pixels * sizeof *m->values);
    if (!m->values) {
        err_set(m->err, ERR_NOMEM, "no memory to compare frames");
        return MERGE_FAILED;
    }
    enum merge_same same = MERGE_SAME;
    const struct merge quiet = {m->set, m->img, m->pixels, m->values, &why};
    for (uint32_t k = 0; k < other->dim[2] && same == MERGE_SAME; k++) {
        const uint32_t frame = other->frame[k];
        const uint32_t twin = merge_find_place(m->set, m->img, &m->set->frames[frame]);
        same = merge_compare(&quiet, twin, frame);
    }
    free(m->values);
    m->values = NULL;
    if (same != MERGE_FAILED || why.code == ERR_INPUT || why.code == ERR_UNSUPPORTED)
        return same == MERGE_FAILED ? MERGE_OTHER : same;
    err_set(m->err, why.code, "%s", why.text);
    return MERGE_FAILED;
}

// The frames of image n become duplicates of those of m->img; the image goes.
static void merge_fold(const struct merge *m, uint32_t n)
{
    struct image_set *set = m->set;
    const struct image other = set->images[n];
    for (uint32_t i = 0; other.duplicates && i < set->frame_count; i++) {
        if (set->fate[i] == IMAGE_DUPLICATE && merge_is_used(&other, set->twin[i]))
            set->twin[i] = merge_find_place(set, m->img, &set->frames[set->twin[i]]);
    }
    for (uint32_t k = 0; k < other.dim[2]; k++) {
        const uint32_t frame = other.frame[k];
        set->twin[frame] = merge_find_place(set, m->img, &set->frames[frame]);
        set->fate[frame] = IMAGE_DUPLICATE;
    }
    m->img->duplicates += other.dim[2] + other.duplicates;
    set->image_count--;
    memmove(&set->images[n], &set->images[n + 1], (set->image_count - n) * sizeof *set->images);
}

bool image_merge_acquisitions(struct image_set *set, struct err *err)
{
    for (uint32_t a = 0; a < set->image_count; a++) {
        struct image *img = &set->images[a];
        struct merge m = {
            .set = set, .img = img, .pixels = (size_t)img->dim[0] * img->dim[1], .err = err};
        for (uint32_t b = a + 1; b < set->image_count;) { // the larger ones come first
            const struct image *other = &set->images[b];
            const bool again = img->dim[3] == 1 && other->dim[3] == 1 && !img->colour &&
                               image_is_other_acquisition(set, img, other);
            const enum merge_same same = again ? merge_covers(&m, other) : MERGE_OTHER;
            if (same == MERGE_FAILED)
                return false;
            if (same == MERGE_SAME)
                merge_fold(&m, b);
            else
                b++;
        }
    }
    return true;
}

bool image_merge_duplicates(struct image_set *set, struct image *img, bool one, struct arena *arena,
                            char *remark, size_t size, struct err *err)
{
    struct merge m = {
        .set = set, .img = img, .pixels = (size_t)img->dim[0] * img->dim[1], .err = err};
    snprintf(remark, size, "%s", "");
    if (!img->duplicates && !(one && img->dim[3] > 1))
        return true;
    m.values = malloc(2 * m.pixels * sizeof *m.values);
    const bool ok = m.values ? merge_all(&m, one, arena)
                             : err_set(err, ERR_NOMEM, "no memory to compare frames");
    free(m.values);
    if (ok && img->duplicates)
        snprintf(remark, size,
                 "Set aside as the same images once more (place and pixels): %" PRIu32 ".",
                 img->duplicates);
    return ok;
}
