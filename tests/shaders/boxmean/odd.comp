// Three voxels along x and two slices an invocation: the number of each voxel, counted over the grid.
//   0 out  result  float
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

layout(std430, binding = 0) writeonly restrict buffer Result { float result[]; };
layout(push_constant, std430) uniform Push { Grid grid; } push;

void main()
{
    uvec3 first;
    if (!grid_voxel(push.grid, uvec3(3, 1, 2), first))
        return;
    for (uint k = first.z; k < min(first.z + 2u, push.grid.first + push.grid.count); k++) {
        for (uint i = first.x; i < min(first.x + 3u, push.grid.columns); i++) {
            uvec3 at = uvec3(i, first.y, k);
            result[grid_out(push.grid, at)] =
                float((k * push.grid.rows + at.y) * push.grid.columns + i);
        }
    }
}
