// Which bright spots in and around the heart are coronary calcium, and of which artery.
//
// A candidate is a 3-D component (26-connected) of voxels at or above the threshold of which an
// island is large enough to count, in the heart's region or close to it. Each ends as one of three:
//   counted       on the heart's surface in fat, and nothing speaks against it
//   not coronary  something else beyond doubt, or where no artery can be
//   uncertain     evidence for both, or too little of either: it makes the score a range
// The evidence: fat in a ring of 1.5 to 5 mm around it within its slices, how deep in the heart it
// lies, lung beside it, the wall of the aorta, the height of the heart's base, its brightness and
// size beside the image's noise. Coronary arteries run in fat on the heart's surface; a heart may
// have so little of it that none is seen, and around the aortic root arteries, wall and valve lie
// within a few millimetres.
// The artery follows from the direction as seen from the heart's middle; near the border of two
// territories there is none ("unassigned").
// Thread-safety: one thread a gpu.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "compute/anatomy/heart.h"
#include "compute/kernels/kernels.h"
#include "compute/stages/calcium/calcium_reason.h"
#include "compute/stages/calcium/calcium_score.h"
#include "compute/image/image.h"
#include "compute/image/peek.h"
#include "base/arena.h"
#include "base/err.h"

enum calcium_artery {
    CALCIUM_LM,
    CALCIUM_LAD,
    CALCIUM_LCX,
    CALCIUM_RCA,
    CALCIUM_UNASSIGNED, // which one cannot be told
    CALCIUM_ARTERIES
};

struct calcium_options {
    double fat_fraction; // of the ring, from which on a candidate lies in fat
    double metal_hu;
    double largest_mm3;    // of one lesion
    uint32_t connectivity; // of islands: 4 or 8
};

struct calcium_lesion {
    enum calcium_reason reason;
    enum calcium_class class;
    enum calcium_artery artery;   // UNASSIGNED also of all that is not coronary
    double centre[3];             // voxel indices
    struct calcium_amount amount; // what it adds to the score, or would
    uint32_t key_slice;           // the one with the largest area
    uint32_t first_run, run_count;
};

// A spot that is coronary calcium in all but its size: no island of it reaches the smallest area.
struct calcium_focus {
    enum calcium_artery artery;
    uint32_t slice;                   // the one with the largest area
    uint32_t pixels;                  // there
    int32_t max;                      // HU
    const struct component_run *runs; // by row and column
    uint32_t run_count;
};

struct calcium_lesions {
    // Counted ones first, by artery, then from the head down; then uncertain ones, then those that
    // are not coronary, each by score, the largest first.
    struct calcium_lesion *list;
    uint32_t count, number[CALCIUM_CLASSES]; // number: of each class
    struct component_run *runs; // of islands that are large enough, by lesion, then row and column;
                                // label: lesion index + 1
    uint32_t run_count;
    struct calcium_focus *faint; // brighter than noise can be; do not count
    uint32_t faint_count;
};

// peek: of hu. Everything goes into arena. False with *err: the machine failed.
bool calcium_lesions_find(const struct gpu_volume *hu, struct peek *peek, const struct image *v,
                          const struct anatomy_heart *heart, const struct calcium_rules *rules,
                          const struct calcium_options *options, struct arena *arena,
                          struct calcium_lesions *out, struct err *err);
