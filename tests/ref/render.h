// What compute/stages/render/render_cast.h promises, in slow plain C: every sample of every ray, no
// bricks, no early end.
#pragma once
#include <stdint.h>
#include "compute/stages/render/render_cast.h"

// In float, as the shader computes. voxels: [slices][rows][columns]. values: [rows][columns].
void ref_project(const int16_t *voxels, const uint32_t dim[3], double ground, enum render_mode mode,
                 const struct render_view *view, float *values);
// In double. rgb: [rows][columns][3], 0 to 1.
void ref_shade(const int16_t *voxels, const uint32_t dim[3], double ground,
               const struct render_look *look, const struct render_view *view, double *rgb);
