// Turns each run's root into its label: 1 + how many components start before. A run an invocation.
//   0 inout  label  index of the root in, label out
//   1 in     rank   prefix sums of the roots
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

layout(std430, binding = 0) restrict buffer Label { uint label[]; };
layout(std430, binding = 1) readonly restrict buffer Rank { uint rank[]; };
layout(push_constant, std430) uniform Push { uint begin, end; } push;

void main()
{
    uint i = push.begin + flat_index();
    if (i < push.end)
        label[i] = rank[label[i]] + 1u;
}
