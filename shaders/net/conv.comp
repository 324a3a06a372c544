// One plane of a layer: convolution of all channels by kernels of 3 x 3 x 3 or 1 x 1 x 1 voxels with
// dilation and zeros around, a bias, and what follows it. Eight voxels of a row and up to eight
// channels an invocation. Tensors are planes in a ring: [slot][channel][row][quad of four voxels].
//   0 texels  values   float
//   1 texels  weights  float: [block of channels out][channel in][tap z, y, x] of two quads, one
//                      float a channel out; then [block] of two quads, the biases
//   2 out     result   float: the plane
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"
#include "act.glsl"

layout(constant_id = 3) const int OUTS = 8;     // channels out of a block
layout(constant_id = 4) const int SIZE = 3;     // of the kernel: 1 or 3
layout(constant_id = 5) const int DILATION = 1; // voxels from tap to tap
layout(constant_id = 6) const int ACT = 0;      // see act.glsl

layout(binding = 0) uniform usamplerBuffer values;
layout(binding = 1) uniform usamplerBuffer weights;
layout(std430, binding = 2) writeonly restrict buffer Result { vec4 result[]; };
layout(push_constant, std430) uniform Push {
    uint columns, rows, slices;
    uint first_row, end_row; // of this dispatch
    uint quads;              // of a row in memory: even
    uint channels_in, channels_out, blocks;
    uint slot_quads, slots; // of the ring that is read
    uint shift;             // the slot of its plane 0
    uint z;                 // the plane
    float slope;            // below zero, of ACT 2
} push;

// Quad q of the row that starts at quad `row`; zeros where there is none.
vec4 quad_of(int row, int q)
{
    bool inside = row >= 0 && q >= 0 && q < int(push.quads);
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
    return odd == 1 ? vec4(low.yzw, high.x) : odd == 2 ? vec4(low.zw, high.xy) : vec4(low.w, high.xyz);
}

void main()
{
    int q = int(gl_GlobalInvocationID.x) * 2;
    int y = int(push.first_row + gl_GlobalInvocationID.y);
    uint block = gl_GlobalInvocationID.z;
    if (q >= int(push.quads) || y >= int(push.end_row) || block >= push.blocks)
        return;
    const int half_size = SIZE / 2;
    const int taps = SIZE * SIZE * SIZE;
    int w_at = int(block * push.channels_in) * taps * 2;
    int bias_at = int(push.blocks * push.channels_in) * taps * 2 + int(block) * 2;
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
#define TAP(n, shift)                                                                              \
    {                                                                                              \
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
    for (int tz = 0; tz < SIZE; tz++) {
        int z = int(push.z) + (tz - half_size) * DILATION;
        if (z < 0 || z >= int(push.slices))
            continue;
        int plane = int((uint(z) + push.shift) % push.slots * push.slot_quads);
        for (int ty = 0; ty < SIZE; ty++) {
            int in_y = y + (ty - half_size) * DILATION;
            bool inside = in_y >= 0 && in_y < int(push.rows);
            for (int c = 0; c < int(push.channels_in); c++) {
                int row = inside ? plane + (c * int(push.rows) + in_y) * int(push.quads) : -1;
                int at = w_at + (c * taps + (tz * SIZE + ty) * SIZE) * 2;
                if (SIZE == 1) {
                    TAP(0, 0)
                } else {
                    TAP(0, -DILATION)
                    TAP(1, 0)
                    TAP(2, DILATION)
                }
            }
        }
    }

    ivec4 x = ivec4(0, 1, 2, 3) + q * 4;
    bvec4 in_a = lessThan(x, ivec4(push.columns)), in_b = lessThan(x + 4, ivec4(push.columns));
    uint out_c = block * uint(OUTS);
    uint step = push.rows * push.quads;
    uint out_at = (out_c * push.rows + uint(y)) * push.quads + uint(q);
#define WRITE(n)                                                                                   \
    if (OUTS > n && out_c + uint(n) < push.channels_out) {                                         \
        result[out_at + uint(n) * step] = mix(vec4(0.0), act(a##n, ACT, push.slope), in_a);        \
        result[out_at + uint(n) * step + 1u] = mix(vec4(0.0), act(b##n, ACT, push.slope), in_b);   \
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
