// Adds to each block of 256 words what comes before it, a word an invocation.
//   0 inout  data  count words
//   1 in     sum   of all blocks before, one a block
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

layout(std430, binding = 0) restrict buffer Data { uint data[]; };
layout(std430, binding = 1) readonly restrict buffer Sum { uint sum[]; };
layout(push_constant, std430) uniform Push { uint count; } push;

void main()
{
    uint i = flat_index();
    if (i < push.count)
        data[i] += sum[i / 256u];
}
