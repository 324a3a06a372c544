// Signal to relaxation rate, in place: -log(S) / TE, which lies beside R2* by a number of its own for
// each voxel. 0 outside a mask. Four voxels an invocation.
//   0 texels  mask    bit mask
//   1 inout   curves  float, planes of `points`: signal in, 1/s out
//   2 out     broken  float: points of a signal below `least`, which are taken as that
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

layout(binding = 0) uniform usamplerBuffer mask;
layout(std430, binding = 1) restrict buffer Curves { vec4 curves[]; };
layout(std430, binding = 2) writeonly restrict buffer Broken { vec4 broken[]; };
layout(push_constant, std430) uniform Push
{
    Grid grid;
    uint points;
    float least;  // of the signal, > 0
    float rate;   // 1 / TE, 1/s
} push;

// The natural logarithm of a positive number, the same on every device: exponent, and an odd series
// for what is left, which lies between the roots of 1/2 and 2.
float log_of(float x)
{
    uint bits = floatBitsToUint(x);
    float exponent = float(int(bits >> 23) - 127);
    float m = uintBitsToFloat((bits & 0x7fffffu) | 0x3f800000u);
    if (m > 1.41421356) {
        m *= 0.5;
        exponent += 1.0;
    }
    precise float z = (m - 1.0) / (m + 1.0);
    precise float w = z * z;
    precise float sum = 1.0 / 9.0;
    sum = sum * w + 1.0 / 7.0;
    sum = sum * w + 1.0 / 5.0;
    sum = sum * w + 1.0 / 3.0;
    sum = sum * w + 1.0;
    precise float result = 2.0 * z * sum + exponent * 0.69314718;
    return result;
}

void main()
{
    uvec3 at;
    if (!grid_voxel(push.grid, uvec3(4, 1, 1), at))
        return;
    uint bits = texel_word(mask, grid_mask_in(push.grid, at)) >> (at.x & 31u);
    uint plane = push.grid.slice / 4u;
    uint first = ((at.z - push.grid.first) * push.points * push.grid.slice +
                  at.y * push.grid.row + at.x) / 4u;
    vec4 bad = vec4(0.0);
    for (uint n = 0u; n < push.points; n++) {
        vec4 s = curves[first + n * plane];
        vec4 r = vec4(0.0);
        for (int i = 0; i < 4; i++) {
            if ((bits >> i & 1u) == 0u)
                continue;
            bad[i] += s[i] < push.least ? 1.0 : 0.0;
            r[i] = -log_of(max(s[i], push.least)) * push.rate;
        }
        curves[first + n * plane] = r;
    }
    broken[grid_out(push.grid, at) / 4u] = bad;
}
