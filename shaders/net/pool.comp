// The largest or the mean of windows over three axes: one number an invocation.
//   0 texels  values [plane][z][y][x]
//   1 out     result [plane][z][y][x]
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"
#include "fetch.glsl"

layout(constant_id = 3) const int KIND = 0; // 0 largest, 1 mean, 2 mean with what is padded

layout(binding = 0) uniform usamplerBuffer values;
layout(std430, binding = 1) writeonly restrict buffer Result { float result[]; };
layout(push_constant, std430) uniform Push {
    PUSH_HEAD
    uint dim[3], made[3], size[3], stride[3], dilation[3]; // z, y, x
    int pad[3], pad_end[3];
} push;

void main()
{
    uint i = invocation(push.first);
    if (i >= push.end)
        return;
    int at[3] = int[3](int(i / push.made[2] / push.made[1] % push.made[0]), int(i / push.made[2] % push.made[1]), int(i % push.made[2]));
    uint plane = i / (push.made[0] * push.made[1] * push.made[2]);
    uint taps = push.size[0] * push.size[1] * push.size[2];
    float most = -3.402823e38, sum = 0.0, seen = 0.0;
    for (uint tap = 0u; tap < taps; tap++) {
        uint k[3] = uint[3](tap / push.size[2] / push.size[1], tap / push.size[2] % push.size[1], tap % push.size[2]);
        bool inside = true, padded = true;
        uint place = plane;
        for (int d = 0; d < 3; d++) {
            int p = at[d] * int(push.stride[d]) - push.pad[d] + int(k[d] * push.dilation[d]);
            inside = inside && p >= 0 && p < int(push.dim[d]);
            padded = padded && p < int(push.dim[d]) + push.pad_end[d];
            place = place * push.dim[d] + uint(max(p, 0));
        }
        seen += (KIND == 2 ? padded : inside) ? 1.0 : 0.0;
        if (!inside)
            continue;
        float v = NUMBER(values, place);
        most = max(most, v);
        sum += v;
    }
    result[i - push.out_shift] = KIND == 0 ? most : sum / max(seen, 1.0);
}
