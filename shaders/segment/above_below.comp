// Marks voxels that are set, or whose neighbour in the slice before or after is.
//   0 texels  mask  bit mask
//   1 out     wide  bit mask
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

layout(binding = 0) uniform usamplerBuffer mask;
layout(std430, binding = 1) writeonly restrict buffer Wide { uint wide[]; };
layout(push_constant, std430) uniform Push { Grid grid; } push;

void main()
{
    uvec3 first; // of the 32 voxels of one mask word
    if (!grid_voxel(push.grid, uvec3(32, 1, 1), first))
        return;
    uint found = 0u;
    for (int step = -1; step <= 1; step++) {
        uvec3 near = grid_clamp(push.grid, ivec3(first) + ivec3(0, 0, step));
        found |= texel_word(mask, grid_mask_in(push.grid, near));
    }
    wide[grid_mask_out(push.grid, first)] = found;
}
