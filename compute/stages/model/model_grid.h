// The grid of a network laid over an image, and values on it. Thread-safety: read-only once made.
#pragma once
#include "compute/kernels/kernels.h"
#include "compute/stages/model/model.h"

// Indices are those of a volume: the fastest axis of the network first.
struct model_grid {
    uint32_t dim[3];
    double spacing[3];       // mm
    double to_image[3][4];   // index of the grid (i, j, k, 1) -> index of the image
    double from_image[3][4]; // and back
};

// Lays it. A grid of fixed size has the axes of the patient, and its voxel dim / 2 lies on
// the middle voxel of the image, as conforming is custom for heads; one without has those axes of
// the image that come nearest to the wanted ones, and covers it.
//   ERR_GEOMETRY  two axes of the image run nearest to one of the patient; the image has a grid
//                 that cannot be inverted; more than MODEL_VOXELS_MAX voxels
bool model_grid_make(const struct model *m, const struct image *img, struct model_grid *g,
                     struct err *err);

// Whether a voxel of the grid lies in the image, half a voxel beyond its outer centres included.
bool model_grid_is_inside(const struct model_grid *g, const uint32_t dim[3], uint32_t i, uint32_t j,
                          uint32_t k);

// Trilinear samples of the image on the grid, scaled for the network; what lies outside the image
// has its least value. v: the image. Returns dim[2] x dim[1] x dim[0] values to free(), or NULL.
//   ERR_INPUT  all values are the same, or one is no number
float *model_grid_values(const struct model *m, const struct model_grid *g,
                         const struct gpu_volume *v, struct err *err);
