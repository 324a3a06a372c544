// The arterial input function of a dynamic scan: found in the images, or of a population.
#pragma once
#include "base/arena.h"
#include "compute/stages/dce/dce_curves.h"
#include "compute/stages/perfusion/perfusion_curves.h"

#define DCE_ARTERY_SHOWN 12 // voxels that are named

struct dce_artery {
    uint32_t count;                       // voxels; 0: of a population
    uint32_t voxels[DCE_ARTERY_SHOWN][3]; // column, row, slice of the first ones
    double *blood;                        // [points] mmol/L in blood
    uint32_t top;                         // point of its peak
    double highest;                       // peak of a voxel before the choice, mmol/L
};

struct dce_artery_wish {
    const struct gpu_volume *curves; // mmol/L, as if all voxels had the T1 of `lost`
    uint32_t points, before;
    const double *at_s;    // [points]
    double noise;          // mmol/L, of a voxel before the bolus
    const float *baseline; // [voxels] signal before the bolus
    const float *lost;     // [voxels] 1 - exp(-TR / T1)
    double blood_t1_s;     // of blood; 0: that of each voxel
    const struct dce_sequence *seq;
};

// Voxels whose contrast comes first, rises high and falls again: with at least 3 tenths of the
// highest peak, 7 tenths of their own at the end at most, and half their peak no later than a step
// (or 3 s) after the first ones. Of these, those around which the mean peak of 3 x 3 voxels is
// within 15 % of the highest, DCE_ARTERY_MAX at most: the highest voxels themselves would be those
// with most noise. blood is in arena. False with a reason for people in *why: there is none; *why
// NULL: *err is set.
bool dce_artery_find(const struct dce_artery_wish *wish, const struct perfusion_shape *shape,
                     struct arena *arena, struct dce_artery *out, const char **why,
                     struct err *err);

// Concentration in blood, mmol/L, t minutes after the bolus has come to the artery, for a dose of
// 0.1 mmol/kg: the mean of 23 patients with cancer (Parker et al., Magn Reson Med 2006;56:993).
double dce_artery_population(double t);
