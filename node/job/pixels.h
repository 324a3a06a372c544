// Decoded pixels of the instances of a job, for compute/image/load.h: files are opened as frames
// are asked for, a few threads decode. Process: worker, analyze. Thread-safety: one thread; it
// starts its own.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "compute/image/image.h"
#include "compute/image/load.h"

struct pixels; // opaque

struct pixels_options {
    const char *const *paths;         // [sources], by image_frame.source; borrowed
    const struct image_frame *frames; // borrowed
    double deadline_s;                // CLOCK_MONOTONIC; 0: none
    // Frames decoded so far, from the thread that asks for pixels; may be NULL.
    void (*progress)(void *ctx, size_t frames);
    void *progress_ctx;
};

struct pixels *pixels_create(const struct pixels_options *options, struct err *err);
void pixels_destroy(struct pixels *p); // NULL is fine
// For image_set.pixels; lives as long as p.
const struct image_pixels *pixels_source(const struct pixels *p);
