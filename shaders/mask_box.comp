// Clears what lies outside a box, after inverting where asked for. A mask word an invocation.
//   0 inout  mask  bit mask
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

layout(std430, binding = 0) restrict buffer Mask { uint mask[]; };
layout(push_constant, std430) uniform Push
{
    uint rows, slices, row, slice; // row and slice: words
    uint first;                    // slice this binding starts with
    uint invert;                   // all ones or 0
    uint lo[3], hi[3];
} push;

void main()
{
    uvec3 at = gl_GlobalInvocationID;
    if (at.x >= push.row || at.y >= push.rows || at.z >= push.slices)
        return;
    uint i = at.z * push.slice + at.y * push.row + at.x, k = push.first + at.z;
    bool inside = at.y >= push.lo[1] && at.y < push.hi[1] && k >= push.lo[2] && k < push.hi[2];
    mask[i] = inside ? (mask[i] ^ push.invert) & column_bits(at.x, push.lo[0], push.hi[0]) : 0u;
}
