// The signal of a spoiled gradient echo to concentration of contrast agent, in place; 0 outside a
// mask. With e = 1 - exp(-TR R1) of a relaxation rate R1 and c the cosine of the flip angle,
//   signal / M = e / (1 - c + c e)
// so that the signal over that before the bolus gives e, and -log(1 - e) / TR the rate. Four voxels
// an invocation.
//   0 texels  mask      bit mask
//   1 texels  lost      float: e before the bolus, 0 < e < 1 within the mask
//   2 inout   curves    float, planes of `points`: signal in, mmol/L out
//   3 out     baseline  float: mean signal of the first `before` points
//   4 out     broken    float: points of a signal that no relaxation rate gives, which become 0
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

layout(binding = 0) uniform usamplerBuffer mask;
layout(binding = 1) uniform usamplerBuffer lost;
layout(std430, binding = 2) restrict buffer Curves { vec4 curves[]; };
layout(std430, binding = 3) writeonly restrict buffer Baseline { vec4 baseline[]; };
layout(std430, binding = 4) writeonly restrict buffer Broken { vec4 broken[]; };
layout(push_constant, std430) uniform Push
{
    Grid grid;
    uint points, before;
    float cosine;  // of the flip angle
    float scale;   // 1 / (TR relaxivity): mmol/L
} push;

// -log(1 - e) by halves and an even series, the same on every device. e < 0.9995.
float minus_log(float e)
{
    precise float left = 1.0 - e;
    precise float halves = 0.0;
    precise float z;
    if (left > 0.5) {
        z = e / (2.0 - e); // left is 1 - e without its rounding
    } else {
        for (int n = 0; n < 12 && left < 0.7; n++) {
            left *= 2.0;
            halves += 1.0;
        }
        z = (1.0 - left) / (1.0 + left);
    }
    precise float w = z * z;
    precise float sum = 1.0 / 13.0;
    sum = sum * w + 1.0 / 11.0;
    sum = sum * w + 1.0 / 9.0;
    sum = sum * w + 1.0 / 7.0;
    sum = sum * w + 1.0 / 5.0;
    sum = sum * w + 1.0 / 3.0;
    sum = sum * w + 1.0;
    precise float result = 2.0 * z * sum + halves * 0.69314718;
    return result;
}

void main()
{
    uvec3 at;
    if (!grid_voxel(push.grid, uvec3(4, 1, 1), at))
        return;
    uint bits = texel_word(mask, grid_mask_in(push.grid, at)) >> (at.x & 31u);
    uint to = grid_out(push.grid, at) / 4u;
    uint plane = push.grid.slice / 4u;
    uint first = ((at.z - push.grid.first) * push.points * push.grid.slice +
                  at.y * push.grid.row + at.x) / 4u;
    vec4 e0 = uintBitsToFloat(texelFetch(lost, int(grid_in(push.grid, at) / 4u)));
    precise vec4 mean = vec4(0.0);
    for (uint n = 0u; n < push.before; n++)
        mean += curves[first + n * plane];
    mean /= float(max(push.before, 1u));
    precise vec4 full = e0 / (1.0 - push.cosine + push.cosine * e0);
    bvec4 inside;
    vec4 rate;
    for (int i = 0; i < 4; i++) {
        inside[i] = (bits >> i & 1u) != 0u && mean[i] > 0.0;
        rate[i] = minus_log(inside[i] ? e0[i] : 0.0);
    }
    vec4 bad = vec4(0.0);
    for (uint n = 0u; n < push.points; n++) {
        vec4 s = curves[first + n * plane];
        vec4 c = vec4(0.0);
        for (int i = 0; i < 4; i++) {
            if (!inside[i])
                continue;
            precise float part = s[i] / mean[i] * full[i];
            precise float e = part * (1.0 - push.cosine) / (1.0 - part * push.cosine);
            bool good = part < 1.0 && e < 0.9995;
            bad[i] += good ? 0.0 : 1.0;
            precise float change = minus_log(good ? e : 0.0) - rate[i];
            c[i] = good ? change * push.scale : 0.0;
        }
        curves[first + n * plane] = c;
    }
    baseline[to] = mean;
    broken[to] = bad;
}
