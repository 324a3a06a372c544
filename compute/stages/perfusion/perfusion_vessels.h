// The artery that feeds (AIF) and the vein that drains (VOF), found in the curves.
//
// Artery, after Mouridsen et al. (Magn Reson Med 2006;55:524): curves with a high peak; the most
// irregular quarter left out; those that are left, scaled to equal areas, in five clusters by
// k-means; the cluster with the earliest first moment, and once more within it. Of that the mean of
// the voxels with the highest peaks is the artery. Here the first choice is by peak instead of by
// area, irregular is what goes up and down more than one bolus does, and k-means starts from
// quantiles of the first moment instead of by chance, so that the same scan gives the same artery.
// Vein: of the curves with a high area, those later than the artery, and of them the largest.
#pragma once
#include "base/arena.h"
#include "compute/stages/perfusion/perfusion_curves.h"

#define PERFUSION_VESSEL_VOXELS 12 // averaged at most

struct perfusion_vessel {
    uint32_t count; // voxels averaged; 0: not found
    uint32_t voxels[PERFUSION_VESSEL_VOXELS][3];
    double *curve; // [steps]
    double peak;   // of the curve
    uint32_t top;  // step of it
    double area;   // sum of the curve behind the baseline
    double moment; // first moment of what is above a quarter of the peak, in steps
    double width;  // steps above half of the peak
};

struct perfusion_vessels {
    struct perfusion_vessel artery, vein;
    // The artery in another place whose bolus is most earlier or later than that of `artery`, among
    // places that could have been taken as well; count 0: there is none.
    struct perfusion_vessel other;
    double other_later;  // steps by which it is later
    uint32_t candidates; // curves that were looked at
    double highest;      // peak of the highest ones
};

// curves  enhancement, not smoothed; shape of them; noise: standard deviation of one voxel
// Waits. Without an artery its count is 0 and *why a reason for people.
bool perfusion_vessels_find(const struct gpu_volume *curves, const struct perfusion_shape *shape,
                            uint32_t steps, uint32_t before, double noise, struct arena *arena,
                            struct perfusion_vessels *out, const char **why, struct err *err);

// Describes a curve: peak, area, moment, width. For an artery that is given.
void perfusion_vessel_measure(struct perfusion_vessel *v, uint32_t steps, uint32_t before);
