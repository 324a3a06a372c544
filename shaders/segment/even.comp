// Marks voxels around which the values are even: the greatest and the least of the 27 voxels in and
// around it differ by at most `range`, and its own value is at least `lo`. Places outside the grid
// take the nearest value in it.
//   0 texels  value  packed int16 pairs, HU
//   1 out     even   bit mask
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

layout(binding = 0) uniform usamplerBuffer value;
layout(std430, binding = 1) writeonly restrict buffer Even { uint even[]; };
layout(push_constant, std430) uniform Push { Grid grid; int lo, range; } push;

bool is_even(ivec3 at)
{
    if (texel_i16(value, grid_in(push.grid, uvec3(at))) < push.lo)
        return false;
    int least = 32767, most = -32768;
    for (int n = 0; n < 27; n++) {
        uvec3 near = grid_clamp(push.grid, at + ivec3(n % 3, n / 3 % 3, n / 9) - 1);
        int hu = texel_i16(value, grid_in(push.grid, near));
        least = min(least, hu);
        most = max(most, hu);
    }
    return most - least <= push.range;
}

void main()
{
    uvec3 first; // of the 32 voxels of one mask word
    if (!grid_voxel(push.grid, uvec3(32, 1, 1), first))
        return;
    uint found = 0u;
    for (uint bit = 0u; bit < 32u && first.x + bit < push.grid.columns; bit++)
        found |= uint(is_even(ivec3(first) + ivec3(int(bit), 0, 0))) << bit;
    even[grid_mask_out(push.grid, first)] = found;
}
