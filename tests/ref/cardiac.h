// The shaders of the cardiac analysis, in plain C (compute/stages/cardiac/cardiac_cine.h).
#pragma once
#include <stddef.h>
#include <stdint.h>

// Adds one phase of one slice to its mean and its harmonic.
// values  [rows][columns] as scanned; of the work grid there are ceil(columns / factor) x ceil(rows
// /
//         factor) blocks
// n, p    phases of the slice, and which this is
void ref_cardiac_motion(const float *values, uint32_t columns, uint32_t rows, uint32_t factor,
                        uint32_t n, uint32_t p, double *mean, double *cosine, double *sine,
                        double *blocks);

// The best ring around a pixel. signal, motion: [rows][columns]
void ref_cardiac_ring(const float *signal, const float *motion, uint32_t columns, uint32_t rows,
                      const double mm[2], int column, int row, double *score, double *radius);
