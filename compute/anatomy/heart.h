// Where the heart is on a CT of the chest: lungs, spine, the tissue between the lungs, the heart's
// region in it, the ascending aorta down to its root. Found on a coarse work grid of about 2.5 mm.
//
// The heart is the largest ball of soft tissue between the two lungs, in front of the spine: its
// centre and radius come from the distance transform, and the region is what an opening by a ball
// of 14 mm leaves of the tissue (fat included) around it. The aorta is a chain of round discs of
// one size that goes up from the root. Nothing here depends on how large or how turned the patient
// is but for the ranges in heart.c.
// Thread-safety: one thread a gpu.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "compute/anatomy/grid.h"
#include "compute/kernels/kernels.h"
#include "compute/image/image.h"
#include "compute/image/peek.h"
#include "base/arena.h"
#include "base/err.h"

struct anatomy_disc {
    double x, y, radius_mm; // grid indices; radius 0: none in that slice
    double free;            // part of its rim that fat or lung bounds
};

// A chain of discs; some slices between the first and the last may have none.
struct anatomy_tube {
    struct anatomy_disc *discs; // [grid.dim[2]]
    int lo, hi;                 // slices of the chain; lo > hi: not found
    double slope[2];            // grid indices a slice up, of its axis at lo: it goes on below
};

enum anatomy_region {
    ANATOMY_OUTSIDE,
    ANATOMY_HEART,
    ANATOMY_FRONT // before the lungs: the heart where it touches the chest wall, or the wall
};

#define ANATOMY_STEP_MM 0.25 // of a distance in bytes; 255: as far, or farther

struct anatomy_heart {
    struct anatomy_grid grid;
    const uint8_t *region; // [grid]: enum anatomy_region: the heart and its fat
    const int16_t *hu;     // [grid]
    // [grid] distance to lung, to fat (not the rim of lung), to bone, to the region, in steps
    const uint8_t *to_air, *to_fat, *to_bone, *to_region;
    const double *spine_front; // [grid.dim[2]] row of the front of the spine
    double radius_mm;          // of the largest ball; at least 26, the measure of the heart
    double peak[3];            // its centre, grid indices
    double centre[3];          // centroid of the heart's core, grid indices
    double above, below;       // how far the scan reaches from the peak, in radii
    double
        rival; // the largest ball above that one which does not touch it: its radius, of that one's
    double spine_x;                 // grid index; without the spine the middle between the lungs
    bool spine_seen;                // a small field of view leaves it out
    struct anatomy_tube ascending;  // aorta, from its root up
    struct anatomy_tube descending; // aorta, beside the spine
    double pool_hu;                 // median of the heart's core
    double noise_hu;                // standard deviation of voxels within it (or the aorta)
    double body_width_mm;           // at the peak; NAN when the field of view cuts the body
    double edge_mm2;                // area in which the region touches the edge of the image
    double flanked;                 // part of the slices around the centre with lung on both sides
    bool lowest_flanked;            // the lowest slice has lung on both sides: it is no liver
    double region_ml;
};

// hu     v on the device, in Hounsfield units
// peek   of hu
// *why  a reason when there is no heart to be judged ("" otherwise); the rest is then undefined
// False with *err: the machine failed.
bool anatomy_heart_find(struct gpu *gpu, const struct gpu_volume *hu, struct peek *peek,
                        const struct image *v, struct arena *arena, struct anatomy_heart *out,
                        const char **why, struct err *err);

// The disc in or nearest to slice z, below the lowest one along the axis; radius 0: the tube was
// not found.
struct anatomy_disc anatomy_tube_at(const struct anatomy_tube *tube, double z);
