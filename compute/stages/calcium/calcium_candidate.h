// What is measured of a candidate, a 3-D component of bright voxels: how large it is and where, and
// what surrounds it. Internal to the stage. Thread-safety: one thread a search.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "compute/anatomy/heart.h"
#include "compute/kernels/kernels.h"
#include "compute/stages/calcium/calcium_lesion.h"
#include "compute/stages/calcium/calcium_score.h"
#include "compute/image/image.h"
#include "compute/image/peek.h"
#include "base/arena.h"
#include "base/err.h"

// Fat is darker, also where a thick slice mixes it with blood: a thin layer is all that lean hearts
// have. HU.
#define CALCIUM_FAT_HIGH_HU 0.0

struct calcium_search {
    const struct image *volume;
    struct peek *peek;
    const struct anatomy_heart *heart;
    const struct calcium_rules *rules;
    const struct calcium_options *options;
    struct arena *arena;
    struct component_run *runs; // by component
    uint32_t *first;            // [components + 1] index of the first run of each
    struct component_stats *stats;
    bool small_field; // the middle of the heart is known to CALCIUM_SHIFT_RADII only
};

// What surrounds a component within its slices.
struct calcium_around {
    double fat, air; // fractions of the ring
    double dark;     // of the ring's part away from lung: darker than fat can be
    double glow_hu;  // mean of the ring's soft pixels below the threshold; 0: none
    double half_mm2; // area of what is half as bright as the brightest, in its slice
    double even;     // part of the brightest that nearly all of a long one has; 0: it is short
};

// Where component n lies and how large it gets.
struct calcium_extent {
    double inside, near;     // part of it in the heart's region; in it or close to it
    double reached;          // in the region as it may be in a larger field of view
    double front;            // part of it before the lungs
    double spread[3];        // standard deviations along its axes, mm
    double axis[3];          // the first of them
    uint32_t slice, largest; // the slice with most pixels, and how many
};

struct calcium_extent calcium_extent_of(const struct calcium_search *s, uint32_t n);
// Whether component n is larger than so much.
bool calcium_is_larger(const struct calcium_search *s, uint32_t n, double mm3);
// Its middle, voxel indices.
void calcium_centre(const struct component_stats *c, double centre[3]);
// What surrounds component n, and of a long one how even it is. e: of it. False with *err: the
// device failed, or there is no memory.
bool calcium_look(const struct calcium_search *s, uint32_t n, const struct calcium_extent *e,
                  struct calcium_around *out, struct err *err);
