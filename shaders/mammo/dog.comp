// Difference of two smoothed pictures: what is as small as a calcification stays.
//   0 texels  narrow  float
//   1 inout   wide    float; narrow less wide out
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

layout(binding = 0) uniform usamplerBuffer narrow;
layout(std430, binding = 1) restrict buffer Wide { vec4 wide[]; };
layout(push_constant, std430) uniform Push { Grid grid; } push;

void main()
{
    uvec3 at;
    if (!grid_voxel(push.grid, uvec3(4, 1, 1), at))
        return;
    uint quad = grid_out(push.grid, at) / 4u;
    precise vec4 d =
        uintBitsToFloat(texelFetch(narrow, int(grid_in(push.grid, at) / 4u))) - wide[quad];
    wide[quad] = d;
}
