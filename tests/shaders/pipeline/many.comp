// As many bindings and constants as a kernel has: out[i] is all eleven inputs at i, weighted by the
// constants in turn, plus the push constant.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

layout(constant_id = 3) const uint C3 = 0;
layout(constant_id = 4) const uint C4 = 0;
layout(constant_id = 5) const uint C5 = 0;
layout(constant_id = 6) const uint C6 = 0;
layout(constant_id = 7) const uint C7 = 0;
layout(constant_id = 8) const uint C8 = 0;
layout(constant_id = 9) const uint C9 = 0;
layout(constant_id = 10) const uint C10 = 0;
layout(std430, binding = 0) readonly restrict buffer A0 { uint a0[]; };
layout(std430, binding = 1) readonly restrict buffer A1 { uint a1[]; };
layout(std430, binding = 2) readonly restrict buffer A2 { uint a2[]; };
layout(std430, binding = 3) readonly restrict buffer A3 { uint a3[]; };
layout(std430, binding = 4) readonly restrict buffer A4 { uint a4[]; };
layout(std430, binding = 5) readonly restrict buffer A5 { uint a5[]; };
layout(std430, binding = 6) readonly restrict buffer A6 { uint a6[]; };
layout(std430, binding = 7) readonly restrict buffer A7 { uint a7[]; };
layout(std430, binding = 8) readonly restrict buffer A8 { uint a8[]; };
layout(std430, binding = 9) readonly restrict buffer A9 { uint a9[]; };
layout(binding = 10) uniform usamplerBuffer a10;
layout(std430, binding = 11) writeonly restrict buffer Result { uint result[]; };
layout(push_constant, std430) uniform Push { uint count, add; } push;

void main()
{
    uint i = gl_GlobalInvocationID.x;
    if (i >= push.count)
        return;
    result[i] = push.add + C3 * a0[i] + C4 * a1[i] + C5 * a2[i] + C6 * a3[i] + C7 * a4[i] +
                C8 * a5[i] + C9 * a6[i] + C10 * a7[i] + C3 * a8[i] + C4 * a9[i] +
                C5 * texelFetch(a10, int(i / 4u))[i & 3u];
}
