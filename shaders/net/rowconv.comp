// A convolution over three axes with strides of 1 along x, of a block of up to eight channels out:
// eight voxels of a row an invocation. Rows in and out are whole quads of numbers.
//   0 texels  values   [sample][channel][z][y][quad of x]
//   1 texels  weights  [group][block of eight][channel in][tap z, y, x] of two quads, one number a
//                      channel out; then [group][block] of two quads, the biases
//   2 out     result   [sample][channel][z][y][quad of x]
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"
#include "fetch.glsl"

layout(constant_id = 3) const int OUTS = 8;     // channels out of a block
layout(constant_id = 4) const int SIZE = 3;     // of the kernel along x: up to 7
layout(constant_id = 5) const int DILATION = 1; // along x
layout(constant_id = 6) const int PAD = 1;      // voxels before a row

layout(binding = 0) uniform usamplerBuffer values;
layout(binding = 1) uniform usamplerBuffer weights;
layout(std430, binding = 2) writeonly restrict buffer Result { vec4 result[]; };
layout(push_constant, std430) uniform Push {
    PUSH_HEAD
    uint ins, outs;                                        // channels of a group
    uint dim[3], made[3], size[3], stride[3], dilation[3]; // z, y, x
    int pad[3];
    uint unused;
    uint blocks, groups; // blocks of a group
    uint bias;           // quads before the biases
} push;

// Quad q of the row that starts at quad `row`; zeros where there is none.
vec4 quad_of(int row, int q)
{
    bool inside = q >= 0 && q < int(push.dim[2] >> 2);
    vec4 v = uintBitsToFloat(texelFetch(values, inside ? row + q : 0));
    return inside ? v : vec4(0.0);
}

// Four voxels from voxel 4 q + shift.
vec4 shifted(int row, int q, int shift)
{
    int at = q + (shift >> 2), odd = shift & 3;
    vec4 low = quad_of(row, at);
    if (odd == 0)
        return low;
    vec4 high = quad_of(row, at + 1);
    return odd == 1   ? vec4(low.yzw, high.x)
           : odd == 2 ? vec4(low.zw, high.xy)
                      : vec4(low.w, high.xyz);
}

void main()
{
    uint i = invocation(push.first);
    if (i >= push.end)
        return;
    uint pairs = (push.made[2] + 7u) / 8u;
    int q = int(i % pairs) * 2;
    int y = int(i / pairs % push.made[1]), z = int(i / pairs / push.made[1]);
    uint at_block = push.block + gl_GlobalInvocationID.y;
    uint block = at_block % push.blocks, group = at_block / push.blocks % push.groups;
    uint sample_at = at_block / push.blocks / push.groups;
    int taps = int(push.size[0] * push.size[1]) * SIZE;
    int w_block = int(group * push.blocks + block);
    int bias_at = int(push.bias) + w_block * 2;
    vec4 low = uintBitsToFloat(texelFetch(weights, bias_at));
    vec4 high = OUTS > 4 ? uintBitsToFloat(texelFetch(weights, bias_at + 1)) : vec4(0.0);
    vec4 a0 = vec4(low.x), a1 = vec4(low.y), a2 = vec4(low.z), a3 = vec4(low.w);
    vec4 a4 = vec4(high.x), a5 = vec4(high.y), a6 = vec4(high.z), a7 = vec4(high.w);
    vec4 b0 = a0, b1 = a1, b2 = a2, b3 = a3, b4 = a4, b5 = a5, b6 = a6, b7 = a7;

#define OUT(n, w)                                                                                  \
    if (OUTS > n) {                                                                                \
        a##n += (w)*va;                                                                            \
        b##n += (w)*vb;                                                                            \
    }
#define TAP(n)                                                                                     \
    if (SIZE > n) {                                                                                \
        const int shift = n * DILATION - PAD;                                                      \
        vec4 va = shifted(row, q, shift), vb = shifted(row, q + 1, shift);                         \
        vec4 wl = uintBitsToFloat(texelFetch(weights, at + 2 * (n)));                              \
        OUT(0, wl.x)                                                                               \
        OUT(1, wl.y)                                                                               \
        OUT(2, wl.z)                                                                               \
        OUT(3, wl.w)                                                                               \
        if (OUTS > 4) {                                                                            \
            vec4 wh = uintBitsToFloat(texelFetch(weights, at + 2 * (n) + 1));                      \
            OUT(4, wh.x)                                                                           \
            OUT(5, wh.y)                                                                           \
            OUT(6, wh.z)                                                                           \
            OUT(7, wh.w)                                                                           \
        }                                                                                          \
    }
    int channel_step = int(push.dim[0] * push.dim[1] * (push.dim[2] >> 2));
    int first_channel = int((sample_at * push.groups + group) * push.ins) * channel_step;
    for (int kz = 0; kz < int(push.size[0]); kz++) {
        int z_in = z * int(push.stride[0]) - push.pad[0] + kz * int(push.dilation[0]);
        if (z_in < 0 || z_in >= int(push.dim[0]))
            continue;
        for (int ky = 0; ky < int(push.size[1]); ky++) {
            int y_in = y * int(push.stride[1]) - push.pad[1] + ky * int(push.dilation[1]);
            if (y_in < 0 || y_in >= int(push.dim[1]))
                continue;
            int row = first_channel + (z_in * int(push.dim[1]) + y_in) * int(push.dim[2] >> 2);
            int at = (w_block * int(push.ins) * taps + (kz * int(push.size[1]) + ky) * SIZE) * 2;
            for (int c = 0; c < int(push.ins); c++) {
                TAP(0)
                TAP(1)
                TAP(2)
                TAP(3)
                TAP(4)
                TAP(5)
                TAP(6)
                row += channel_step;
                at += taps * 2;
            }
        }
    }

    uint quads = push.made[2] / 4u;
    uint step = push.made[0] * push.made[1] * quads;
    uint out_c = block * uint(OUTS);
    uint channel = (sample_at * push.groups + group) * push.outs + out_c;
    uint out_at = channel * step + (uint(z) * push.made[1] + uint(y)) * quads + uint(q) -
                  push.out_shift / 4u;
    bool second = uint(q) + 1u < quads;
#define WRITE(n)                                                                                   \
    if (OUTS > n && out_c + uint(n) < push.outs) {                                                 \
        result[out_at + uint(n) * step] = a##n;                                                    \
        if (second)                                                                                \
            result[out_at + uint(n) * step + 1u] = b##n;                                           \
    }
    WRITE(0)
    WRITE(1)
    WRITE(2)
    WRITE(3)
    WRITE(4)
    WRITE(5)
    WRITE(6)
    WRITE(7)
}
