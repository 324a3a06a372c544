// Mean and squared deviations of parts of rows, in two passes: a part an invocation.
//   0 texels  values [row][n]
//   1 out     parts  [row][part] of mean, sum of squared deviations
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"
#include "fetch.glsl"

layout(binding = 0) uniform usamplerBuffer values;
layout(std430, binding = 1) writeonly restrict buffer Result { float result[]; };
layout(push_constant, std430) uniform Push {
    PUSH_HEAD
    uint n, chunk, parts;
} push;

void main()
{
    uint i = invocation(push.first);
    if (i >= push.end)
        return;
    uint row = i / push.parts, from = i % push.parts * push.chunk, to = min(from + push.chunk, push.n);
    float sum = 0.0, squares = 0.0;
    for (uint k = from; k < to; k++) {
        uint place = row * push.n + k;
        sum += NUMBER(values, place);
    }
    float mean = sum / float(to - from);
    for (uint k = from; k < to; k++) {
        uint place = row * push.n + k;
        float d = NUMBER(values, place) - mean;
        squares += d * d;
    }
    result[2u * i - push.out_shift] = mean;
    result[2u * i + 1u - push.out_shift] = squares;
}
