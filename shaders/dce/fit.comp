// Tofts' model, and with the plasma of the vessels the extended one, by linear least squares:
//   C = a int(Cp) + vp Cp - kep int(C),   Ktrans = a - kep vp
// The columns that all voxels share come as orthonormal ones: int(Cp) = r11 q1, Cp = r12 q1 + r22 q2.
// What is left of C and of int(C) beside those gives kep, in a second pass, so that no large sums are
// subtracted. Integrals are trapezoids. Four voxels an invocation; 0 outside a mask.
//   0 texels  curves  float, planes of `points`: mmol/L
//   1 texels  mask    bit mask
//   2 in      column  of each point: q1, q2, half the time since the point before (min), unused
//   3 out     ktrans  float, 1/min
//   4 out     kep     float, 1/min
//   5 out     vp      float
//   6 out     rest    float: root of the mean square of what the model leaves, mmol/L
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

layout(binding = 0) uniform usamplerBuffer curves;
layout(binding = 1) uniform usamplerBuffer mask;
layout(std430, binding = 2) readonly restrict buffer Column { vec4 column[]; };
layout(std430, binding = 3) writeonly restrict buffer Ktrans { vec4 ktrans[]; };
layout(std430, binding = 4) writeonly restrict buffer Kep { vec4 kep[]; };
layout(std430, binding = 5) writeonly restrict buffer Vp { vec4 vp[]; };
layout(std430, binding = 6) writeonly restrict buffer Rest { vec4 rest[]; };
layout(push_constant, std430) uniform Push
{
    Grid grid;
    uint points;
    uint extended;  // 1: with vp
    float r11, r12, r22;
} push;

vec4 curve_at(uint from, uint n)
{
    return uintBitsToFloat(texelFetch(curves, int(from + n * (push.grid.slice / 4u))));
}

void main()
{
    uvec3 at;
    if (!grid_voxel(push.grid, uvec3(4, 1, 1), at))
        return;
    uint bits = texel_word(mask, grid_mask_in(push.grid, at)) >> (at.x & 31u);
    uint to = grid_out(push.grid, at) / 4u;
    uint from = (((at.z - push.grid.in_first) * push.points) * push.grid.slice +
                 at.y * push.grid.row + at.x) / 4u;
    uint points = (bits & 15u) != 0u ? push.points : 0u;
    precise vec4 y1 = vec4(0.0), y2 = vec4(0.0), z1 = vec4(0.0), z2 = vec4(0.0), area = vec4(0.0);
    vec4 last = vec4(0.0);
    for (uint n = 0u; n < points; n++) {
        vec4 q = column[n];
        vec4 c = curve_at(from, n);
        area += (last + c) * q.z;
        y1 += c * q.x;
        y2 += c * q.y;
        z1 += area * q.x;
        z2 += area * q.y;
        last = c;
    }
    precise vec4 yy = vec4(0.0), yz = vec4(0.0), zz = vec4(0.0);
    area = last = vec4(0.0);
    for (uint n = 0u; n < points; n++) {
        vec4 q = column[n];
        vec4 c = curve_at(from, n);
        area += (last + c) * q.z;
        precise vec4 y = c - y1 * q.x - y2 * q.y, z = area - z1 * q.x - z2 * q.y;
        yy += y * y;
        yz += y * z;
        zz += z * z;
        last = c;
    }
    bvec4 good = equal(uvec4(notEqual(uvec4(bits) & uvec4(1u, 2u, 4u, 8u), uvec4(0u))) &
                           uvec4(greaterThan(zz, vec4(0.0))),
                       uvec4(1u));
    precise vec4 k = -yz / mix(vec4(1.0), zz, good);
    precise vec4 plasma =
        push.extended != 0u ? (y2 + k * z2) / (push.extended != 0u ? push.r22 : 1.0) : vec4(0.0);
    precise vec4 sum = (y1 + k * z1 - plasma * push.r12) / (push.r11 > 0.0 ? push.r11 : 1.0);
    precise vec4 left = max(yy + k * yz, vec4(0.0)) / float(max(push.points, 1u));
    ktrans[to] = mix(vec4(0.0), sum - k * plasma, good);
    kep[to] = mix(vec4(0.0), k, good);
    vp[to] = mix(vec4(0.0), plasma, good);
    rest[to] = mix(vec4(0.0), sqrt(left), good);
}
