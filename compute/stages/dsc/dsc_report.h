// What a DSC-MR scan has shown as findings: numbers, maps, a segment, curves, page.
#pragma once
#include "compute/stages/perfusion/perfusion_vessels.h"
#include "compute/stages/stage.h"

struct dsc_result {
    uint32_t image; // of the set
    double tr_ms, te_ms;
    // The work grid: the image in blocks of factor[] voxels.
    uint32_t dim[3], factor[3];
    double spacing[3];
    // [slices][rows][columns] of it; NAN: no value. k2 NULL: leakage is not known.
    float *flow, *volume, *transit, *tmax, *peak_time, *k2;
    uint8_t *late; // Tmax above 6 s, small pieces left out
    double late_ml, tissue_ml, brain_ml, vessels_ml, weak_ml, broken_ml, dropped_ml;
    uint32_t points, first, steps, before; // first: points that were left out at the beginning
    double step_s, start_s;
    const struct perfusion_vessels *vessels;
    double *brain_curve; // [steps] 1/s, mean of the brain
    double artery_scale; // by which the artery was multiplied; 1: not
    double noise, smooth_mm, per_100_g;
    bool corrected;      // volume, for leakage, where k2 has values
    double leak_ml;      // tissue that leaks
    double unleaking_ml; // tissue whose mean curve the correction of leakage takes
};

extern const double dsc_late_s; // Tmax of late tissue

// False with ERR_NOMEM, and what drawing says.
bool dsc_report(struct findings *f, const struct stage_run *run, const struct dsc_result *r,
                struct err *err);
