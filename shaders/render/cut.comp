// Makes what lies outside a mask the value that stands for nothing, two voxels an invocation.
//   0 texels  keep   bit mask
//   1 inout   value  packed int16 pairs
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

layout(binding = 0) uniform usamplerBuffer keep;
layout(std430, binding = 1) restrict buffer Value { uint value[]; };
layout(push_constant, std430) uniform Push { Grid grid; } push;

const int NOTHING = -32768; // RENDER_NOTHING of compute/stages/render/render_cast.h

void main()
{
    uvec3 at;
    if (!grid_voxel(push.grid, uvec3(2, 1, 1), at))
        return;
    uint bits = texel_word(keep, grid_mask_in(push.grid, at)) >> (at.x & 31u);
    uint element = grid_out(push.grid, at) / 2u;
    uint word = value[element];
    value[element] = pack16((bits & 1u) != 0u ? low16(word) : NOTHING,
                            (bits & 2u) != 0u ? high16(word) : NOTHING);
}
