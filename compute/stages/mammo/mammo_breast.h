// The breast on a mammogram: its mask, nipple and, on oblique views, the pectoral muscle.
// Process: worker, analyze. Thread-safety: one thread a struct gpu.
#pragma once
#include "compute/stages/mammo/mammo_picture.h"

// On the work grid of the picture, [h][w], in the arena of the job.
struct mammo_breast {
    uint8_t *whole;  // breast with muscle
    uint8_t *muscle; // of it
    float *depth_mm; // from the skin; 0 outside
    double area_px;  // of the breast without the muscle
    bool has_muscle, has_nipple;
    double nipple[2];  // column, row of the work grid
    float *even;       // grey as if the breast were equally thick everywhere: what lies outside of
                       // it and on the muscle has the grey of fat
    double fat, range; // of even: grey of fat, and from it to that of the muscle (CC: to the
                       // brightest tissue)
};

// The value below which a share (0..1) of values lie; they are put in another order. count >= 1.
double mammo_share_of(float *values, size_t count, double share);

// What cannot be judged sets *refused and returns true.

bool mammo_breast_find(const struct stage_run *run, const struct mammo_picture *p, bool oblique,
                       struct mammo_breast *out, const char **refused, struct err *err);
