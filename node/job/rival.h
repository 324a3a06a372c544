// Images of one place beside each other: where each lies, and what each says of an attribute.
// Process: worker, analyze, inspect. Thread-safety: any thread.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "compute/image/image.h"
#include "compute/stages/stage.h"

#define RIVAL_TEXT 96 // bytes of what an image says of an attribute

// Measured between slices, whether stated or not.
#define RIVAL_SPACING "SpacingBetweenSlices"

// An image that has a place and no colour.
struct rival {
    struct image *img;
    size_t frames;
    double low, high; // where it begins and ends, mm along the normal of the one with the most
                      // frames; both 0: turned against that
    bool candidate;   // no defect, and over 9 tenths of what the whole one lies over, or that over
                      // 9 tenths of it where it is longer
    const struct stage_preference *by; // what speaks against it; NULL: nothing
};

struct rivals {
    const struct image_set *set;
    struct rival *item; // those with more frames first
    size_t count;
    double whole_mm;               // length of the whole one: the longest that holds the first one
                                   // and has at least half its frames
    const struct rival *elsewhere; // has as many frames as the first, and lies elsewhere; NULL:
                                   // there is none
};

// Those of a pool of a set of image_split(), which is borrowed; they live in arena. False: no
// memory.
bool rivals_find(struct image_set *set, uint32_t pool, struct arena *arena, struct rivals *out);

// mm that it is long, and that both lie over.
double rival_length(const struct rival *r);
double rival_overlap(const struct rival *a, const struct rival *b);

// The value of an attribute for a cell of an image that has a frame; NULL: none. The percentage of
// the cardiac phase as compute/image/phase.h has it. text: room for one that is written here.
const char *rival_value(const struct rivals *all, const struct rival *r, size_t cell,
                        const char *keyword, char text[RIVAL_TEXT]);
// The first cell from *cell on that has a frame. False: there is none.
bool rival_next_cell(const struct rival *r, size_t *cell);
// Least and greatest number; NAN: none.
void rival_range(const struct rivals *all, const struct rival *r, const char *keyword, double *low,
                 double *high);
// For people: "B35f", "70 to 71 by TriggerTime", "not stated". Returns out.
const char *rival_said(const struct rivals *all, const struct rival *r, const char *keyword,
                       char out[RIVAL_TEXT]);
