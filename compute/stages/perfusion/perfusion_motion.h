// How a head has moved since the first point of a scan, found by what does not change with the
// contrast: the edges of its bone. Host memory; pure.
//
// Values are cut to attenuations between water and bone, so that neither contrast nor a head rest
// counts for much. Of the first point the places with steep edges are kept with their gradients;
// the pose that brings the values of another point nearest to theirs follows by Gauss-Newton steps
// in the inverse compositional form (Baker and Matthews, Int J Comput Vis 2004;56:221), with
// weights after Huber (Ann Math Stat 1964;35:73), first in smoothed slices, then nearly as scanned.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"

struct perfusion_pose { // a place x of the first point, mm from the centre of the grid, is at
    double turn[3][3];  // turn * x + shift
    double shift[3];    // mm
    double moved_mm;    // how far the edges are from where they were: mean
    double degrees;     // angle of the turn
    double left_mm;     // how far they still are off after that: root mean square of the difference
                        // of the values by that of the gradients; INFINITY: no pose was found
};

#define PERFUSION_TRACK_LEVELS 2
struct perfusion_edges {
    uint32_t count;
    float (*place)[3];    // mm from the centre of the grid
    float (*gradient)[3]; // of the value, per mm
    float *value;
    double steep;   // root mean square of the gradients
    double through; // of the squares of the gradients: the part through slices
};
struct perfusion_track {
    uint32_t dim[3];
    double spacing[3];
    struct perfusion_edges edges[PERFUSION_TRACK_LEVELS]; // smoothed; nearly as scanned
    bool through; // motion through the slices can be told; else only that within them is looked for
    double bone[2];  // centre of the bone within slices, mm from that of the grid
    float *image[3]; // of dim: to work in
};

// What does not move at all.
extern const struct perfusion_pose perfusion_still;

// values: the first point, HU, [slices][rows][columns]. What is kept is in the arena. False: no
// memory. Where there are too few edges of bone to tell, the count of edges is 0.
bool perfusion_track_init(struct perfusion_track *t, const uint32_t dim[3], const double spacing[3],
                          const float *values, struct arena *arena);
// near: where it may be, as that of the point before.
void perfusion_track_pose(struct perfusion_track *t, const float *values,
                          const struct perfusion_pose *near, struct perfusion_pose *out);

// map: from an index of the first point to one of the point as scanned, on a grid of the same
// extent whose first voxel has the same corner.
void perfusion_pose_map(const struct perfusion_track *t, const struct perfusion_pose *pose,
                        const double spacing[3], double map[3][4]);
