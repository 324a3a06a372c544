// What a curve looks like: its sum, its peak, when that is, and how it strays before the bolus.
// Four voxels an invocation; 0 outside a mask.
//   0 texels  curves  float, planes of `steps` points
//   1 texels  mask    bit mask
//   2 out     sum     float, from the end of the baseline on
//   3 out     peak    float
//   4 out     when    float: the step of the peak, by the parabola through it and its neighbours
//   5 out     square  float: mean square of the baseline
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

layout(binding = 0) uniform usamplerBuffer curves;
layout(binding = 1) uniform usamplerBuffer mask;
layout(std430, binding = 2) writeonly restrict buffer Sum { vec4 sum[]; };
layout(std430, binding = 3) writeonly restrict buffer Peak { vec4 peak[]; };
layout(std430, binding = 4) writeonly restrict buffer When { vec4 when[]; };
layout(std430, binding = 5) writeonly restrict buffer Square { vec4 square[]; };
layout(push_constant, std430) uniform Push { Grid grid; uint steps, before; } push;

vec4 curve_at(uvec3 at, uint n)
{
    uint plane = (at.z - push.grid.in_first) * push.steps + n;
    return uintBitsToFloat(texelFetch(
        curves, int((plane * push.grid.slice + at.y * push.grid.row + at.x) / 4u)));
}

void main()
{
    uvec3 at;
    if (!grid_voxel(push.grid, uvec3(4, 1, 1), at))
        return;
    uint bits = texel_word(mask, grid_mask_in(push.grid, at)) >> (at.x & 31u);
    uint to = grid_out(push.grid, at) / 4u;
    precise vec4 total = vec4(0.0), stray = vec4(0.0);
    vec4 most = vec4(0.0), place = vec4(0.0), left = vec4(0.0), right = vec4(0.0);
    vec4 last = vec4(0.0);
    bvec4 fresh = bvec4(false); // the step before was the highest so far
    for (uint n = 0u; n < push.steps && (bits & 15u) != 0u; n++) {
        vec4 v = curve_at(at, n);
        if (n < push.before)
            stray += v * v;
        else
            total += v;
        right = mix(right, v, fresh);
        bvec4 higher = greaterThan(v, most);
        left = mix(left, last, higher);
        right = mix(right, v, higher);
        place = mix(place, vec4(n), higher);
        most = mix(most, v, higher);
        fresh = higher;
        last = v;
    }
    precise vec4 bend = left - 2.0 * most + right;
    precise vec4 off = 0.5 * (left - right) / mix(bend, vec4(-1.0), greaterThanEqual(bend, vec4(0.0)));
    bvec4 inside = notEqual(uvec4(bits) & uvec4(1u, 2u, 4u, 8u), uvec4(0u));
    sum[to] = mix(vec4(0.0), total, inside);
    peak[to] = mix(vec4(0.0), most, inside);
    when[to] = mix(vec4(0.0), place + clamp(off, vec4(-0.5), vec4(0.5)), inside);
    square[to] = mix(vec4(0.0), stray / float(max(push.before, 1u)), inside);
}
