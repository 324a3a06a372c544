// Along one axis: weighted sums of the numbers that a table names. Resizing, padding, gathering.
//   0 texels  values [outer][axis][inner]
//   1 texels  table [made][taps] of place (below zero: the fill) and weight
//   2 out     result [outer][made][inner]
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"
#include "fetch.glsl"

layout(binding = 0) uniform usamplerBuffer values;
layout(binding = 1) uniform usamplerBuffer table;
layout(std430, binding = 2) writeonly restrict buffer Result { float result[]; };
layout(push_constant, std430) uniform Push {
    PUSH_HEAD
    uint axis, made, inner, taps;
    float fill;
} push;

void main()
{
    uint i = invocation(push.first);
    if (i >= push.end)
        return;
    uint at = i / push.inner % push.made, outer = i / push.inner / push.made;
    float sum = 0.0;
    for (uint t = 0u; t < push.taps; t++) {
        uint entry = 2u * (at * push.taps + t);
        float from = NUMBER(table, entry), weight = NUMBER(table, entry + 1u);
        uint place = (outer * push.axis + uint(max(from, 0.0))) * push.inner + i % push.inner;
        sum += weight * (from < 0.0 ? push.fill : NUMBER(values, place));
    }
    result[i - push.out_shift] = sum;
}
