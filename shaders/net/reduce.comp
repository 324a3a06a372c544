// A part of an axis: one number an invocation.
//   0 texels  values [outer][axis][inner]
//   1 out     result [outer][part][inner]
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"
#include "fetch.glsl"

layout(constant_id = 3) const int KIND = 0; // enum graph_reduce of compute/net/net_graph.h

layout(binding = 0) uniform usamplerBuffer values;
layout(std430, binding = 1) writeonly restrict buffer Result { float result[]; };
layout(push_constant, std430) uniform Push {
    PUSH_HEAD
    uint axis, inner, chunk, parts;
    uint last;   // of equals the last is named
    float scale; // of what comes out
} push;

void main()
{
    uint i = invocation(push.first);
    if (i >= push.end)
        return;
    uint part = i / push.inner % push.parts, outer = i / push.inner / push.parts;
    uint to = min((part + 1u) * push.chunk, push.axis);
    float r = KIND == 3 ? 1.0 : 0.0, best = 0.0;
    for (uint k = part * push.chunk; k < to; k++) {
        uint place = (outer * push.axis + k) * push.inner + i % push.inner;
        float v = NUMBER(values, place);
        bool start = k == part * push.chunk;
        if (KIND == 0)
            r += v;
        else if (KIND == 1)
            r = start ? v : max(r, v);
        else if (KIND == 2)
            r = start ? v : min(r, v);
        else if (KIND == 3)
            r *= v;
        else if (KIND == 4)
            r += v * v;
        else if (KIND == 5)
            r += abs(v);
        else if (start || (KIND == 6 ? v > best : v < best) || (push.last == 1u && v == best)) {
            best = v;
            r = float(k);
        }
    }
    result[i - push.out_shift] = r * push.scale;
}
