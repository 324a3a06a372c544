// Symmetric convolution along rows, four voxels an invocation; borders replicated. Sums from the
// centre outwards, without fused multiply-add, so that every device gives the same bits.
//   0 texels  value   packed int16 pairs, or float
//   1 texels  weight  of distance 1, 2, ... radius, then 0 up to a multiple of 4
//   2 out     result  float
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

layout(constant_id = 3) const bool FLOAT = false;
layout(binding = 0) uniform usamplerBuffer value;
layout(binding = 1) uniform usamplerBuffer weight;
layout(std430, binding = 2) writeonly restrict buffer Result { vec4 result[]; };
layout(push_constant, std430) uniform Push
{
    Grid grid;
    uint radius;
    float centre;
} push;
#include "value.glsl"

// Quad q of the row, its columns clamped to the row: one load, and no branch, of which a software
// device does both sides.
vec4 clamped(uint row, int q)
{
    int last = int(push.grid.columns) - 1;
    vec4 v = quad(row + uint(clamp(q, 0, last / 4)));
    vec4 end = vec4(q < 0 ? v.x : pick(v, uint(last) & 3u));
    ivec4 x = 4 * q + ivec4(0, 1, 2, 3);
    return mix(v, end, bvec4(uvec4(lessThan(x, ivec4(0))) | uvec4(greaterThan(x, ivec4(last)))));
}

void main()
{
    uvec3 at;
    if (!grid_voxel(push.grid, uvec3(4, 1, 1), at))
        return;
    uint row = grid_in(push.grid, uvec3(0u, at.yz)) / 4u;
    int q = int(at.x) / 4;
    vec4 left = clamped(row, q), right = left;
    precise vec4 sum = left * push.centre;
    for (int g = 0; g < int(push.radius + 3u) / 4; g++) {
        vec4 w = uintBitsToFloat(texelFetch(weight, g));
        vec4 l = clamped(row, q - g - 1), r = clamped(row, q + g + 1);
        sum += w.x * (vec4(l.w, left.xyz) + vec4(right.yzw, r.x));
        sum += w.y * (vec4(l.zw, left.xy) + vec4(right.zw, r.xy));
        sum += w.z * (vec4(l.yzw, left.x) + vec4(right.w, r.xyz));
        sum += w.w * (l + r);
        left = l;
        right = r;
    }
    result[grid_out(push.grid, at) / 4u] = sum;
}
