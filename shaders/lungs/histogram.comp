// Counts the values of two masks, 32 voxels of a row an invocation. Integers only, so that the order
// does not matter.
//   0 texels  value  packed int16 pairs
//   1 texels  right  bit mask
//   2 texels  left   bit mask
//   3 inout   count  65536 words for each mask, 0 before: one a value, the lowest first
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

layout(binding = 0) uniform usamplerBuffer value;
layout(binding = 1) uniform usamplerBuffer right;
layout(binding = 2) uniform usamplerBuffer left;
layout(std430, binding = 3) restrict buffer Count { uint count[]; };
layout(push_constant, std430) uniform Push { Grid grid; } push;

void add(uint bits, uint element, uint from)
{
    for (; bits != 0u; bits &= bits - 1u) {
        int v = texel_i16(value, element + uint(findLSB(bits)));
        atomicAdd(count[from + uint(v + 32768)], 1u);
    }
}

void main()
{
    uvec3 at;
    if (!grid_voxel(push.grid, uvec3(32, 1, 1), at))
        return;
    uint word = grid_mask_in(push.grid, at), element = grid_in(push.grid, at);
    add(texel_word(right, word), element, 0u);
    add(texel_word(left, word), element, 65536u);
}
