// Counts the set bits of each slice, a row an invocation.
//   0 texels  mask   bit mask
//   1 inout   count  one a slice, 0 before
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

layout(binding = 0) uniform usamplerBuffer mask;
layout(std430, binding = 1) restrict buffer Count { uint count[]; };
layout(push_constant, std430) uniform Push
{
    uint rows, slices, row, slice; // row and slice: texels
    uint first;                    // slice this binding starts with
} push;

void main()
{
    uvec3 at = gl_GlobalInvocationID;
    if (at.x >= push.rows || at.y >= push.slices)
        return;
    uint from = at.y * push.slice + at.x * push.row, sum = 0u;
    for (uint n = 0u; n < push.row; n++) {
        ivec4 bits = bitCount(texelFetch(mask, int(from + n)));
        sum += uint(bits.x + bits.y + bits.z + bits.w);
    }
    if (sum != 0u)
        atomicAdd(count[push.first + at.y], sum);
}
