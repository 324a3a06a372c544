// A transposed convolution over three axes, gathered: one number an invocation.
//   0 texels  values   [sample][channel][z][y][x]
//   1 texels  weights  [channel in][channel out of its group][tap]; then [channel out] of biases
//   2 out     result   [sample][channel][z][y][x]
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"
#include "fetch.glsl"

layout(binding = 0) uniform usamplerBuffer values;
layout(binding = 1) uniform usamplerBuffer weights;
layout(std430, binding = 2) writeonly restrict buffer Result { float result[]; };
layout(push_constant, std430) uniform Push {
    PUSH_HEAD
    uint ins, outs;                                        // channels of a group
    uint dim[3], made[3], size[3], stride[3], dilation[3]; // z, y, x
    int pad[3];
    uint groups;
    uint bias; // numbers before the biases
} push;

void main()
{
    uint i = invocation(push.first);
    if (i >= push.end)
        return;
    int at[3] = int[3](int(i / push.made[2] / push.made[1] % push.made[0]), int(i / push.made[2] % push.made[1]), int(i % push.made[2]));
    uint channel = i / (push.made[0] * push.made[1] * push.made[2]);
    uint all = push.outs * push.groups, o = channel % all, group = o / push.outs;
    uint taps = push.size[0] * push.size[1] * push.size[2];
    uint in_plane = push.dim[0] * push.dim[1] * push.dim[2];
    uint base = (channel / all * push.groups + group) * push.ins;
    float sum = NUMBER(weights, push.bias + o);
    for (uint tap = 0u; tap < taps; tap++) {
        uint k[3] = uint[3](tap / push.size[2] / push.size[1], tap / push.size[2] % push.size[1], tap % push.size[2]);
        bool inside = true;
        int from[3];
        for (int d = 0; d < 3; d++) {
            int p = at[d] + push.pad[d] - int(k[d] * push.dilation[d]), s = int(push.stride[d]);
            from[d] = p / s;
            inside = inside && p >= 0 && from[d] * s == p && from[d] < int(push.dim[d]);
        }
        if (!inside)
            continue;
        uint place = (uint(from[0]) * push.dim[1] + uint(from[1])) * push.dim[2] + uint(from[2]);
        for (uint c = 0u; c < push.ins; c++) {
            uint v = (base + c) * in_plane + place;
            uint w = ((group * push.ins + c) * push.outs + o % push.outs) * taps + tap;
            sum += NUMBER(values, v) * NUMBER(weights, w);
        }
    }
    result[i - push.out_shift] = sum;
}
