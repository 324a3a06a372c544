// From a work grid, whose voxels are blocks of those of an image, to the image. Pure.
#pragma once
#include "compute/image/image.h"

struct perfusion_blocks {
    const uint32_t *fine, *factor, *dim; // of the image; voxels in a block; of the work grid
};

// Borrows all of them.
void perfusion_blocks_init(struct perfusion_blocks *b, const struct image *v,
                           const uint32_t factor[3], const uint32_t dim[3]);
// The index of the block that holds a voxel of the image.
size_t perfusion_blocks_at(const struct perfusion_blocks *b, uint32_t i, uint32_t j, uint32_t k);
// to, labels: [slices][rows][columns] of the image. The value of its block, or 1 where it is set.
void perfusion_blocks_spread(const struct perfusion_blocks *b, const float *values, float *to);
void perfusion_blocks_spread_labels(const struct perfusion_blocks *b, const uint8_t *set,
                                    uint16_t *labels);
// Bilinear within slices, of the values there are. NAN where the voxel's own block has none.
void perfusion_blocks_spread_smoothly(const struct perfusion_blocks *b, const float *values,
                                      float *to);
