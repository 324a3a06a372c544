// Counts the runs of set bits of each row, a row an invocation.
//   0 texels  mask   bit mask
//   1 out     count  one a row
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

layout(binding = 0) uniform usamplerBuffer mask;
layout(std430, binding = 1) writeonly restrict buffer Count { uint count[]; };
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
    uint from = at.y * push.slice + at.x * push.row, sum = 0u, before = 0u;
    for (uint n = 0u; n < push.row; n++) {
        uvec4 bits = texelFetch(mask, int(from + n));
        uvec4 carry = uvec4(before, bits.xyz) >> 31;
        ivec4 starts = bitCount(bits & ~(bits << 1 | carry));
        sum += uint(starts.x + starts.y + starts.z + starts.w);
        before = bits.w;
    }
    count[(push.first + at.y) * push.rows + at.x] = sum;
}
