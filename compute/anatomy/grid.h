// A coarse grid over an axial scan in the patient's own directions: index 0 to the left, 1 to the
// back, 2 to the head, whichever way the patient lies and the image is turned. Across the slices
// its borders lie at fixed places of the patient: an image that is turned or cut has the same
// voxels in one voxel of the grid. Thread-safety: pure, but for anatomy_grid_make(): one thread a
// gpu.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "compute/image/image.h"
#include "compute/kernels/kernels.h"
#include "base/arena.h"
#include "base/err.h"

struct anatomy_grid {
    // All by direction of the patient. axis: the volume's index that runs along it; fine: voxels
    // of the volume along it; factor: of them in one of the grid; lead: that its first one lacks,
    // in the order of the volume
    uint32_t dim[3], factor[3], fine[3], axis[3], lead[3];
    double mm[3];
    double start[3]; // mm along the axis, where the volume's first voxel is centred
    bool flip[3];    // the volume runs the other way
};

// Lays a grid over a volume. False: its slices are not axial (more than 30 degrees off).
bool anatomy_grid_orient(const struct image *v, struct anatomy_grid *g);
// Fills the rest of the grid and gives the means of hu on it, in arena and on the device.
// mm  size of the grid's voxels, about
// NULL with *err: the machine failed.
struct gpu_volume *anatomy_grid_make(struct gpu *gpu, const struct gpu_volume *hu, double mm,
                                     struct arena *arena, struct anatomy_grid *g,
                                     const int16_t **values, struct err *err);

// Index in the grid of a voxel of the volume.
size_t anatomy_grid_at(const struct anatomy_grid *g, uint32_t i, uint32_t j, uint32_t k);
// The end of the run of voxels along the volume's index i, from i on, that are of one voxel of the
// grid.
uint32_t anatomy_grid_end(const struct anatomy_grid *g, uint32_t i);
// Fractional indices (centres on centres), both ways.
void anatomy_grid_from_voxel(const struct anatomy_grid *g, const double ijk[3], double xyz[3]);
void anatomy_grid_to_voxel(const struct anatomy_grid *g, const double xyz[3], double ijk[3]);
