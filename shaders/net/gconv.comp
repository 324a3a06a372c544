// A convolution over three axes, of a block of four channels out: four voxels of a row an invocation.
//   0 texels  values   [sample][channel][z][y][x]
//   1 texels  weights  [group][block of four][channel in][tap] of four, one a channel out; then [group][block] of biases
//   2 out     result   [sample][channel][z][y][x]
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"
#include "fetch.glsl"
#include "act.glsl"

layout(constant_id = 3) const int ACT = 0;   // see act.glsl
layout(constant_id = 4) const int UNIT = 0;  // 1: strides of 1 along x

layout(binding = 0) uniform usamplerBuffer values;
layout(binding = 1) uniform usamplerBuffer weights;
layout(std430, binding = 2) writeonly restrict buffer Result { float result[]; };
layout(push_constant, std430) uniform Push {
    PUSH_HEAD
    uint ins, outs;                                          // channels of a group
    uint dim[3], made[3], size[3], stride[3], dilation[3];   // z, y, x
    int pad[3];
    float slope;
    uint blocks, groups; // blocks of a group
    uint bias;           // quads before the biases
} push;

// Numbers x to x + 3 of a row that starts at `row`; zeros beyond it.
vec4 row_of(int row, int x)
{
    int at = row + x, width = int(push.dim[2]);
    vec4 v;
    if (UNIT == 1) {
        int low = max(at, 0) >> 2;
        vec4 a = uintBitsToFloat(texelFetch(values, at < 0 ? 0 : low));
        vec4 b = uintBitsToFloat(texelFetch(values, at < 0 ? 0 : low + 1));
        int odd = max(at, 0) & 3;
        v = odd == 0 ? a : odd == 1 ? vec4(a.yzw, b.x) : odd == 2 ? vec4(a.zw, b.xy) : vec4(a.w, b.xyz);
        if (at < 0) // the first numbers of the first row of all
            v = at == -1 ? vec4(0.0, a.xyz) : at == -2 ? vec4(0.0, 0.0, a.xy) : at == -3 ? vec4(0.0, 0.0, 0.0, a.x) : vec4(0.0);
        ivec4 xs = ivec4(0, 1, 2, 3) + x;
        bvec4 inside = bvec4(uvec4(greaterThanEqual(xs, ivec4(0))) & uvec4(lessThan(xs, ivec4(width))));
        return mix(vec4(0.0), v, inside);
    }
    int s = int(push.stride[2]);
    for (int k = 0; k < 4; k++) {
        int xk = x + k * s;
        bool inside = xk >= 0 && xk < width;
        uint place = uint(row + (inside ? xk : 0));
        v[k] = inside ? NUMBER(values, place) : 0.0;
    }
    return v;
}

void main()
{
    uint i = invocation(push.first);
    if (i >= push.end)
        return;
    uint quads = (push.made[2] + 3u) / 4u;
    int x = int(i % quads) * 4, y = int(i / quads % push.made[1]), z = int(i / quads / push.made[1]);
    uint at_block = push.block + gl_GlobalInvocationID.y;
    uint block = at_block % push.blocks, group = at_block / push.blocks % push.groups;
    uint sample_at = at_block / push.blocks / push.groups;
    int taps = int(push.size[0] * push.size[1] * push.size[2]);
    int w_block = int(group * push.blocks + block);
    vec4 bias = uintBitsToFloat(texelFetch(weights, int(push.bias) + w_block));
    vec4 a0 = vec4(bias.x), a1 = vec4(bias.y), a2 = vec4(bias.z), a3 = vec4(bias.w);
    int x_in = x * int(push.stride[2]) - push.pad[2];
    for (int kz = 0; kz < int(push.size[0]); kz++) {
        int z_in = z * int(push.stride[0]) - push.pad[0] + kz * int(push.dilation[0]);
        if (z_in < 0 || z_in >= int(push.dim[0]))
            continue;
        for (int ky = 0; ky < int(push.size[1]); ky++) {
            int y_in = y * int(push.stride[1]) - push.pad[1] + ky * int(push.dilation[1]);
            if (y_in < 0 || y_in >= int(push.dim[1]))
                continue;
            for (int c = 0; c < int(push.ins); c++) {
                uint channel = (sample_at * push.groups + group) * push.ins + uint(c);
                int row = int(((channel * push.dim[0] + uint(z_in)) * push.dim[1] + uint(y_in)) * push.dim[2]);
                int w_at = (w_block * int(push.ins) + c) * taps + (kz * int(push.size[1]) + ky) * int(push.size[2]);
                for (int kx = 0; kx < int(push.size[2]); kx++) {
                    vec4 v = row_of(row, x_in + kx * int(push.dilation[2]));
                    vec4 w = uintBitsToFloat(texelFetch(weights, w_at + kx));
                    a0 += w.x * v;
                    a1 += w.y * v;
                    a2 += w.z * v;
                    a3 += w.w * v;
                }
            }
        }
    }
    uint plane = push.made[0] * push.made[1] * push.made[2];
    uint channel = (sample_at * push.groups + group) * push.outs + block * 4u;
    uint at = channel * plane + (uint(z) * push.made[1] + uint(y)) * push.made[2] + uint(x) - push.out_shift;
    vec4 r[4] = vec4[4](act(a0, ACT, push.slope), act(a1, ACT, push.slope), act(a2, ACT, push.slope), act(a3, ACT, push.slope));
    for (uint o = 0u; o < 4u && block * 4u + o < push.outs; o++) {
        for (int k = 0; k < 4 && x + k < int(push.made[2]); k++)
            result[at + o * plane + uint(k)] = r[o][k];
    }
}
