// Weighted sum of the 3 x 3 x 3 voxels around each, borders replicated, times a scale.
//   0 texels  value   packed int16 pairs
//   1 in      weight  int, the first of 256 bytes for each slice
//   2 out     result  float
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

layout(binding = 0) uniform usamplerBuffer value;
layout(std430, binding = 1) readonly restrict buffer Weight { int weight[]; };
layout(std430, binding = 2) writeonly restrict buffer Result { float result[]; };
layout(push_constant, std430) uniform Push { Grid grid; float scale; } push;

void main()
{
    uvec3 at;
    if (!grid_voxel(push.grid, uvec3(1), at))
        return;
    int sum = 0;
    for (int dk = -1; dk <= 1; dk++) {
        for (int dj = -1; dj <= 1; dj++) {
            for (int di = -1; di <= 1; di++) {
                uvec3 near = grid_clamp(push.grid, ivec3(at) + ivec3(di, dj, dk));
                sum += texel_i16(value, grid_in(push.grid, near)) *
                       weight[(near.z - push.grid.in_first) * 64u];
            }
        }
    }
    result[grid_out(push.grid, at)] = float(sum) * push.scale;
}
