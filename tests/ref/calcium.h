// Calcium scoring the slow and plain way: flood fill over voxels, sums in double. Shares nothing
// with compute/stages.
#pragma once
#include <stddef.h>
#include <stdint.h>

struct ref_calcium {
    double agatston, volume_mm3, mass_mg;
    uint32_t islands;
};

// Scores the voxels of hu [slices][rows][columns] that are set in mask and at least threshold.
// connectivity  4 or 8; factor: mg/cm3 a HU
void ref_calcium_score(const int16_t *hu, const uint8_t *mask, const uint32_t dim[3],
                       const double spacing[3], double threshold, double min_area_mm2,
                       int connectivity, double factor, struct ref_calcium *out);
