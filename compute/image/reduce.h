// An image that a device cannot hold whole, as means of blocks of voxels, made while it is decoded.
// Block c covers voxels c * factor to c * factor + factor - 1 of each axis; what is less than a
// block at the far ends is left out. Process: worker, analyze. Thread-safety: one thread a struct
// gpu.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "compute/image/load.h"

// The edge that is shortest is doubled until the volume takes at most `most` bytes of int16, its
// rows padded as on the device. False: factors of 32 do not do, or fewer than 3 blocks are left.
bool image_reduce_factors(const struct image *img, uint64_t most, uint32_t factor[3]);

// The grid of the blocks: dim, spacing, to_patient. It has no frames.
void image_reduce(const struct image *img, const uint32_t factor[3], struct image *out);

// The voxel of img, or a place between two, at the centre of block c of an axis.
double image_unreduced(double c, uint32_t factor);

// The first point of img as int16, rounded to nearest, halves away from zero; factors 1: as
// image_load(). Host memory: the frames of a block. Errors: those of image_load()
struct gpu_volume *image_load_reduced(struct gpu *gpu, const struct image_set *set,
                                      const struct image *img, const uint32_t factor[3],
                                      struct err *err);
