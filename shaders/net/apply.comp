// Rows normalised: one number an invocation.
//   0 texels  values [row][n]
//   1 texels  rows   [row] of mean, 1 / deviation
//   2 texels  table  factors, then offsets, which repeat
//   3 out     result [row][n]
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"
#include "fetch.glsl"
#include "act.glsl"

layout(constant_id = 3) const int ACT = 0; // see act.glsl

layout(binding = 0) uniform usamplerBuffer values;
layout(binding = 1) uniform usamplerBuffer rows;
layout(binding = 2) uniform usamplerBuffer table;
layout(std430, binding = 3) writeonly restrict buffer Result { float result[]; };
layout(push_constant, std430) uniform Push {
    PUSH_HEAD
    uint n;
    uint inner, count; // number i has factor i / inner % count
    float slope;
} push;

void main()
{
    uint i = invocation(push.first);
    if (i >= push.end)
        return;
    uint row = i / push.n * 2u, c = i / push.inner % push.count, offset = push.count + c;
    float v = (NUMBER(values, i) - NUMBER(rows, row)) * NUMBER(rows, row + 1u);
    result[i - push.out_shift] = act(vec4(v * NUMBER(table, c) + NUMBER(table, offset)), ACT, push.slope).x;
}
