// Rows from their parts, joined as Chan, Golub and LeVeque have it (STAN-CS-79-773): a row an invocation.
//   0 texels  parts [row][part] of mean, sum of squared deviations
//   1 out     rows  [row] of mean, 1 / sqrt(variance + epsilon)
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"
#include "fetch.glsl"

layout(binding = 0) uniform usamplerBuffer values;
layout(std430, binding = 1) writeonly restrict buffer Result { float result[]; };
layout(push_constant, std430) uniform Push {
    PUSH_HEAD
    uint n, chunk, parts;
    float epsilon;
} push;

void main()
{
    uint i = invocation(push.first);
    if (i >= push.end)
        return;
    float mean = 0.0, squares = 0.0, seen = 0.0;
    for (uint p = 0u; p < push.parts; p++) {
        uint place = 2u * (i * push.parts + p);
        float count = float(min(push.chunk, push.n - p * push.chunk)), all = seen + count;
        float more = NUMBER(values, place) - mean;
        mean += more * count / all;
        squares += NUMBER(values, place + 1u) + more * more * seen * count / all;
        seen = all;
    }
    result[2u * i - push.out_shift] = mean;
    result[2u * i + 1u - push.out_shift] = inversesqrt(squares / float(push.n) + push.epsilon);
}
