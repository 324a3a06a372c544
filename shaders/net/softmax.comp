// Softmax over an axis: all of it an invocation.
//   0 texels  values [outer][axis][inner]
//   1 out     result [outer][axis][inner]
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"
#include "fetch.glsl"

layout(constant_id = 3) const int LOGS = 0; // 1: their logarithms

layout(binding = 0) uniform usamplerBuffer values;
layout(std430, binding = 1) writeonly restrict buffer Result { float result[]; };
layout(push_constant, std430) uniform Push {
    PUSH_HEAD
    uint axis, inner;
} push;

void main()
{
    uint i = invocation(push.first);
    if (i >= push.end)
        return;
    uint base = i / push.inner * push.axis * push.inner + i % push.inner;
    float most = NUMBER(values, base), sum = 0.0;
    for (uint k = 1u; k < push.axis; k++) {
        uint place = base + k * push.inner;
        most = max(most, NUMBER(values, place));
    }
    for (uint k = 0u; k < push.axis; k++) {
        uint place = base + k * push.inner;
        sum += exp(NUMBER(values, place) - most);
    }
    for (uint k = 0u; k < push.axis; k++) {
        uint place = base + k * push.inner;
        float v = NUMBER(values, place) - most;
        result[place - push.out_shift] = LOGS == 1 ? v - log(sum) : exp(v) / sum;
    }
}
