// Where the heart is on a CT of the chest: lungs, spine, the tissue between the lungs, the heart's
// region in it, the ascending aorta down to its root. Found on a coarse work grid of about 2.5 mm.
//
// The heart is the largest ball of soft tissue between the two lungs, in front of the spine: its
// centre and radius come from the distance transform, and the region is what an opening by a ball
// of 14 mm leaves of the tissue (fat included) around it. The aorta is a chain of round discs of
// one size that goes up from the root. Nothing here depends on how large or how turned the patient
// is but for the ranges in calcium_heart.c.
// Thread-safety: one thread a gpu.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "compute/kernels/kernels.h"
#include "compute/image/image.h"
#include "compute/image/peek.h"
#include "base/arena.h"
#include "base/err.h"

// The work grid in the patient's own directions: x to the left, y to the back, z to the head.
struct calcium_grid {
    uint32_t dim[3], factor[3], fine[3];
    double mm[3];
    bool flip[3]; // that axis of the volume runs the other way
};

struct calcium_disc {
    double x, y, radius_mm; // grid indices; radius 0: none in that slice
};

// A chain of discs; some slices between the first and the last may have none.
struct calcium_tube {
    struct calcium_disc *discs; // [grid.dim[2]]
    int lo, hi;                 // slices of the chain; lo > hi: not found
};

struct calcium_heart {
    struct calcium_grid grid;
    const uint8_t *region;          // [grid]: 1 in the heart and its fat
    const int16_t *hu;              // [grid]
    double radius_mm;               // of the largest ball
    double peak[3];                 // its centre, grid indices
    double centre[3];               // centroid of the heart's core, grid indices
    double above, below;            // how far the scan reaches from the peak, in radii
    double spine_x;                 // grid index
    struct calcium_tube ascending;  // aorta, from its root up
    struct calcium_tube descending; // aorta, beside the spine
    double pool_hu;                 // median of the heart's core
    double noise_hu;                // standard deviation of voxels within it (or the aorta)
    double body_width_mm;           // at the peak; NAN when the field of view cuts the body
    double edge_mm2;                // area in which the region touches the edge of the image
    double flanked;                 // part of the slices around the peak with lung on both sides
    bool lowest_flanked;            // the lowest slice has lung on both sides: it is no liver
    double region_ml;
};

// hu     v on the device, in Hounsfield units
// peek   of hu
// *why  a reason when there is no heart to be judged ("" otherwise); the rest is then undefined
// False with *err: the machine failed.
bool calcium_heart_find(struct gpu *gpu, const struct gpu_volume *hu, struct peek *peek,
                        const struct image *v, struct arena *arena, struct calcium_heart *out,
                        const char **why, struct err *err);

// The disc in or nearest to slice z; radius 0: the tube was not found.
struct calcium_disc calcium_tube_at(const struct calcium_tube *tube, double z);

// Index in the work grid of a voxel of the volume.
size_t calcium_grid_at(const struct calcium_grid *g, uint32_t i, uint32_t j, uint32_t k);
// Fractional indices likewise (centres on centres).
void calcium_grid_from_voxel(const struct calcium_grid *g, const double ijk[3], double xyz[3]);
