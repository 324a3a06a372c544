// What compute/kernels/kernels.h promises, once more in slow plain C: no Vulkan, no slabs, no
// packing. Volumes and masks are packed [slices][rows][columns], masks a byte a voxel (0 or 1).
// Results go to the caller's memory. Memory that runs out ends the program.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

size_t ref_voxels(const uint32_t dim[3]);

void ref_shrink(const int16_t *v, const uint32_t dim[3], const uint32_t factor[3],
                const uint32_t lead[2], int16_t *out);
// One sample, in float as the shader computes.
float ref_trilinear(const float *v, const uint32_t dim[3], const double map[3][4], uint32_t i,
                    uint32_t j, uint32_t k);
void ref_smooth(const float *v, const uint32_t dim[3], const double spacing[3],
                const double sigma_mm[3], float *out);
void ref_mip(const int16_t *v, const uint32_t dim[3], unsigned axis, uint32_t lo, uint32_t hi,
             int16_t *out);

void ref_threshold(const int16_t *v, size_t count, double lo, double hi, uint8_t *out);
void ref_dilate(const uint8_t *m, const uint32_t dim[3], const double spacing[3], double radius_mm,
                bool flat, uint8_t *out);
void ref_erode(const uint8_t *m, const uint32_t dim[3], const double spacing[3], double radius_mm,
               bool flat, uint8_t *out);
// From every voxel to every set one: few of them.
void ref_distance2(const uint8_t *m, const uint32_t dim[3], const double spacing[3], double max_mm,
                   float *out);
void ref_mask_shrink(const uint8_t *m, const uint32_t dim[3], const uint32_t factor[3],
                     uint32_t atleast, uint8_t *out);
void ref_mask_expand(const uint8_t *m, const uint32_t dim[3], const uint32_t factor[3],
                     const uint32_t fine[3], uint8_t *out);

// Labels 1.. in the order of first voxels, 0 outside; returns how many. connectivity: 4, 8, 6, 18,
// 26
uint32_t ref_components(const uint8_t *m, const uint32_t dim[3], int connectivity,
                        uint32_t *labels);

struct ref_stats {
    uint32_t voxels;
    int32_t min, max;
    int64_t sum;
    uint32_t box_lo[3], box_hi[3];
    uint64_t index_sum[3];
};
void ref_measure(const uint32_t *labels, uint32_t count, const int16_t *v, const uint32_t dim[3],
                 struct ref_stats *stats);
void ref_fill_holes(const uint8_t *m, const uint32_t dim[3], uint8_t *out);
