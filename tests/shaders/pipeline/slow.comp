// Keeps every invocation busy for `rounds` loop iterations.
//   0 out  result
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

layout(std430, binding = 0) writeonly restrict buffer Result { uint result[]; };
layout(push_constant, std430) uniform Push { uint count, rounds; } push;

void main()
{
    uint i = flat_index(), state = i;
    if (i >= push.count)
        return;
    for (uint n = 0u; n < push.rounds; n++)
        state = state * 1664525u + 1013904223u;
    result[i] = state;
}
