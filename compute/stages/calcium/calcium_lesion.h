// Which bright spots in and around the heart are coronary calcium, and of which artery.
//
// A candidate is a 3-D component (26-connected) of voxels at or above the threshold, most of it in
// the heart's region. Coronary arteries run in fat, on the heart's surface: a candidate counts when
// enough of a ring of 1.5 to 5 mm around it, within its slices, is fat. That leaves out valves,
// annulus, myocardium, bone, nodes and lung. The wall of the ascending aorta is left out by its
// distance to the chain of discs found there. The artery follows from the direction as seen from
// the aortic root (or from the heart's centre where no root is seen): left main within 15 mm left
// of the root, the anterior groove in front of it, the left atrioventricular groove behind, the
// right one on the right.
// Thread-safety: one thread a gpu.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "compute/kernels/kernels.h"
#include "compute/stages/calcium/calcium_heart.h"
#include "compute/stages/calcium/calcium_score.h"
#include "compute/image/image.h"
#include "compute/image/peek.h"
#include "base/arena.h"
#include "base/err.h"

enum calcium_artery { CALCIUM_LM, CALCIUM_LAD, CALCIUM_LCX, CALCIUM_RCA, CALCIUM_ARTERIES };

// Why a candidate in the heart's region does not count.
enum calcium_exclusion {
    CALCIUM_KEPT,
    CALCIUM_METAL,   // brighter than calcium
    CALCIUM_LUNG,    // beside lung: hilum, granuloma
    CALCIUM_INNER,   // no fat around: valve, annulus, myocardium
    CALCIUM_AORTA,   // wall of the ascending aorta
    CALCIUM_NOISE,   // in one slice only, and no brighter than noise can be
    CALCIUM_MASSIVE, // larger than calcium in an artery
    CALCIUM_EXCLUSIONS
};
const char *calcium_exclusion_name(enum calcium_exclusion why); // for people

struct calcium_options {
    double fat_fraction; // of the ring
    double metal_hu;
    double largest_mm3;    // of one lesion
    uint32_t connectivity; // of islands: 4 or 8
};

struct calcium_lesion {
    enum calcium_artery artery;
    bool near_border; // direction within 6 degrees of another artery's
    double centre[3]; // voxel indices
    struct calcium_amount amount;
    uint32_t key_slice; // the one with the largest area
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
    struct calcium_lesion *list; // by artery, then from the head down
    uint32_t count;
    struct component_run *runs; // of counted islands, by lesion, then row and column; label: lesion
                                // index + 1
    uint32_t run_count;
    uint32_t excluded[CALCIUM_EXCLUSIONS]; // candidates of at least the smallest area
    struct calcium_focus *faint;           // brighter than noise can be; do not count
    uint32_t faint_count;
};

// peek: of hu. Everything goes into arena. False with *err: the machine failed.
bool calcium_lesions_find(const struct gpu_volume *hu, struct peek *peek, const struct image *v,
                          const struct calcium_heart *heart, const struct calcium_rules *rules,
                          const struct calcium_options *options, struct arena *arena,
                          struct calcium_lesions *out, struct err *err);
