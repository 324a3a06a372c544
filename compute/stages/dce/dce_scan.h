// What a dynamic scan says of itself: sequence, times, and the images at other flip angles that go
// with it. Reads headers only.
#pragma once
#include "compute/stages/dce/dce_curves.h"
#include "compute/stages/stage.h"

struct dce_scan {
    uint32_t image;        // the dynamic one, of the set
    const struct image *v; // the same
    double tr_ms, te_ms, flip_deg;
    double tesla;                                  // NAN: not stated
    double *at_s;                                  // [points] mean of the slices
    uint32_t angles;                               // images of other flip angles; 0: none
    uint32_t angle_image[DCE_ANGLES_MAX];          // of the set
    double angle_deg[DCE_ANGLES_MAX], angle_tr_ms; // TR is the same in all of them
};

// Finds the dynamic image of the first slot and what goes with it. Images of the same grid, one of
// each place, with another flip angle and one TR are those of a T1 measurement; all others become
// exclusions with the reason. False: f is refused.
bool dce_scan_read(const struct stage_run *run, struct findings *f, struct dce_scan *out);
