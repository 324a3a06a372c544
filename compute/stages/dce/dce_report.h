// What a dynamic scan has shown as findings: numbers, maps, a segment, curves, page.
#pragma once
#include "compute/stages/dce/dce_artery.h"
#include "compute/stages/dce/dce_scan.h"

struct dce_result {
    const struct dce_scan *scan;
    // The work grid: the image in blocks of factor[] voxels.
    uint32_t dim[3], factor[3];
    double spacing[3];
    // [slices][rows][columns] of it; NAN: no value. vp NULL: not of the model; t1_ms NULL: fixed.
    float *ktrans, *kep, *ve, *vp, *t1_ms, *peak;
    uint8_t *enhancing; // tissue whose concentration rises above the noise, without vessels
    uint64_t enhancing_voxels, vessel_voxels, broken_voxels, odd_voxels; // odd: no ve in 0..1
    bool extended;
    double fixed_t1_ms; // 0: measured
    double blood_t1_ms; // 0: as measured in each voxel
    double relaxivity, hematocrit;
    struct dce_artery artery;
    double *plasma; // [points]
    double *tissue; // [points] mean of enhancing tissue, mmol/L
    uint32_t before;
    double noise, rest, high; // mmol/L: of a voxel; median that the model leaves; median peak
};

// False with ERR_NOMEM, and what drawing says.
bool dce_report(struct findings *f, const struct stage_run *run, const struct dce_result *r,
                struct err *err);
