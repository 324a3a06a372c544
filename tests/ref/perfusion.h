// The truncated inverse of an artery as one matrix a level, by its definition.
#pragma once
#include "compute/stages/perfusion/perfusion_inverse.h"

// matrix: [levels][rows / 8][steps][8], per second, rows = perfusion_rows(steps).
// gain: [levels] as in struct perfusion_inverse. False: the artery is nought, or no memory.
bool ref_perfusion_matrix(const double *artery, uint32_t steps, double step_s,
                          const struct perfusion_cut *cut, float *matrix, double *gain);
