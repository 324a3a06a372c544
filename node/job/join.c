#include "node/job/join.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAME_PLACE_MM  0.1     // as image_split() takes places in a plane for the same
#define SAME_DIRECTION 0.99996 // cosine of 0.5 degrees, likewise

// A place that a series shows.
struct joined_place {
    const struct image_frame *frame; // the first there
    bool again;                      // there are others, of another time
};

// A series while it is joined.
struct joined {
    const char *uid;
    uint32_t index;    // of the caller
    double begin, end; // s; NAN: no time is stated
    struct joined_place *places;
    size_t place_count;
    uint32_t group;
};

static double joined_dot(const double *a, const double *b)
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static bool same_joined_place(const struct image_frame *a, const struct image_frame *b)
{
    return a->columns == b->columns && a->rows == b->rows &&
           fabs(a->position[0] - b->position[0]) <= SAME_PLACE_MM &&
           fabs(a->position[1] - b->position[1]) <= SAME_PLACE_MM &&
           fabs(a->position[2] - b->position[2]) <= SAME_PLACE_MM &&
           joined_dot(a->orientation, b->orientation) >= SAME_DIRECTION &&
           joined_dot(a->orientation + 3, b->orientation + 3) >= SAME_DIRECTION;
}

static void add_joined_frame(struct joined *s, const struct image_frame *f)
{
    if (!f->placed || f->localizer)
        return;
    if (!isnan(f->time_s)) {
        s->begin = fmin(s->begin, f->time_s); // NAN gives way
        s->end = fmax(s->end, f->time_s);
    }
    for (size_t n = 0; n < s->place_count; n++) {
        if (!same_joined_place(s->places[n].frame, f))
            continue;
        s->places[n].again = s->places[n].again || s->places[n].frame->time_s != f->time_s;
        return;
    }
    s->places[s->place_count++] = (struct joined_place){.frame = f};
}

// Do both show a place several times?
static bool repeat_same_place(const struct joined *a, const struct joined *b)
{
    for (size_t i = 0; i < a->place_count; i++) {
        for (size_t k = 0; a->places[i].again && k < b->place_count; k++) {
            if (b->places[k].again && same_joined_place(a->places[i].frame, b->places[k].frame))
                return true;
        }
    }
    return false;
}

// May a series be part of a group, whose members come before it in list?
static bool joins_group(const struct joined *list, size_t before, const struct joined *s,
                        uint32_t group)
{
    double end = NAN;
    for (size_t n = 0; n < before; n++) {
        const struct joined *m = &list[n];
        if (m->group != group)
            continue;
        end = fmax(end, m->end);
        if (s->begin < m->end && repeat_same_place(m, s))
            return false;
    }
    return !(s->begin - end >= JOIN_GAP_S); // NAN: not known
}

static int by_beginning(const void *a, const void *b)
{
    const struct joined *x = a, *y = b;
    const int known = isnan(x->begin) - isnan(y->begin);
    if (known)
        return known;
    if (x->begin < y->begin || x->begin > y->begin)
        return x->begin < y->begin ? -1 : 1;
    return strcmp(x->uid, y->uid);
}

bool join_series(const struct join_frames *series, uint32_t count, enum image_axis axis,
                 struct arena *arena, uint32_t *group)
{
    for (uint32_t i = 0; i < count; i++)
        group[i] = 0;
    if (axis != IMAGE_TIME || count < 2)
        return true;
    struct joined *list = arena_alloc(arena, count, sizeof *list);
    if (!list)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        list[i] = (struct joined){.uid = series[i].uid, .index = i, .begin = NAN, .end = NAN};
        list[i].places = arena_alloc(arena, series[i].count + 1, sizeof *list[i].places);
        if (!list[i].places)
            return false;
        for (size_t f = 0; f < series[i].count; f++)
            add_joined_frame(&list[i], series[i].frames[f]);
    }
    qsort(list, count, sizeof *list, by_beginning);
    for (uint32_t i = 0; i < count; i++) {
        while (!joins_group(list, i, &list[i], list[i].group))
            list[i].group++;
        group[list[i].index] = list[i].group;
    }
    return true;
}

static uint32_t joined_frames(const struct image *img)
{
    return img->dim[2] * img->dim[3] - img->missing;
}

void join_order(const struct image_set *set, const struct stage_input_spec *spec, uint32_t *images,
                uint32_t count)
{
    uint32_t best = count;
    for (uint32_t n = 0; n < count; n++) {
        const struct image *img = &set->images[images[n]];
        if (img->placed && !img->colour && img->axis == spec->axis && img->dim[3] > 1 &&
            !img->defect[0] &&
            (best == count || joined_frames(img) > joined_frames(&set->images[images[best]])))
            best = n;
    }
    if (best == count)
        return;
    const uint32_t meant = images[best];
    memmove(images + 1, images, best * sizeof *images);
    images[0] = meant;
}
