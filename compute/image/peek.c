#include "compute/image/peek.h"
#include <stdbool.h>
#include <stdlib.h>

struct peek {
    const struct gpu_volume *volume;
    uint32_t keep;
    uint64_t clock;
    int64_t *slice;  // [keep] which one; -1: none
    uint64_t *used;  // [keep] when last
    float *values;   // [keep][rows][columns]
    int16_t *narrow; // one slice as it is read; GPU_VOXEL_I16 only
};

struct peek *peek_create(const struct gpu_volume *volume, uint32_t keep, struct err *err)
{
    const size_t pixels = (size_t)volume->dim[0] * volume->dim[1];
    struct peek *p = calloc(1, sizeof *p);
    if (p) {
        p->volume = volume;
        p->keep = keep;
        p->slice = calloc(keep, sizeof *p->slice);
        p->used = calloc(keep, sizeof *p->used);
        p->values = calloc(keep * pixels, sizeof *p->values);
        p->narrow = calloc(pixels, sizeof *p->narrow);
    }
    if (!p || !p->slice || !p->used || !p->values || !p->narrow) {
        peek_destroy(p);
        err_set(err, ERR_NOMEM, "no memory to look at slices");
        return NULL;
    }
    for (uint32_t i = 0; i < keep; i++)
        p->slice[i] = -1;
    return p;
}

void peek_destroy(struct peek *p)
{
    if (!p)
        return;
    free(p->slice);
    free(p->used);
    free(p->values);
    free(p->narrow);
    free(p);
}

const float *peek_slice(struct peek *p, uint32_t k, struct err *err)
{
    const size_t pixels = (size_t)p->volume->dim[0] * p->volume->dim[1];
    uint32_t oldest = 0;
    for (uint32_t i = 0; i < p->keep; i++) {
        if (p->slice[i] == k) {
            p->used[i] = ++p->clock;
            return p->values + i * pixels;
        }
        if (p->used[i] < p->used[oldest])
            oldest = i;
    }
    if (k >= p->volume->dim[2]) {
        err_set(err, ERR_INPUT, "no slice %u of %u", k, p->volume->dim[2]);
        return NULL;
    }
    float *values = p->values + oldest * pixels;
    const bool narrow = p->volume->type == GPU_VOXEL_I16;
    p->slice[oldest] = -1;
    if (!gpu_volume_read(p->volume, k, k + 1, narrow ? (void *)p->narrow : values, err))
        return NULL;
    for (size_t i = 0; narrow && i < pixels; i++)
        values[i] = p->narrow[i];
    p->slice[oldest] = k;
    p->used[oldest] = ++p->clock;
    return values;
}
