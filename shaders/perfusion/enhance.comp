// Curves as they were scanned to enhancement at even steps: linear between the two scanned points
// around each step, less the mean of the first steps; 0 outside a mask. Four voxels an invocation.
//   0 texels  scanned   float, planes of `scanned` points
//   1 texels  mask      bit mask
//   2 texels  step      of each slice and step: the scanned point before, the point after, the
//                       weight of the one after, unused
//   3 out     curves    float, planes of `steps` points
//   4 out     baseline  float: the mean that was taken off
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

layout(binding = 0) uniform usamplerBuffer scanned;
layout(binding = 1) uniform usamplerBuffer mask;
layout(binding = 2) uniform usamplerBuffer step_at;
layout(std430, binding = 3) writeonly restrict buffer Curves { vec4 curves[]; };
layout(std430, binding = 4) writeonly restrict buffer Baseline { vec4 baseline[]; };
layout(push_constant, std430) uniform Push { Grid grid; uint points, steps, before; } push;

vec4 value_at(uvec3 at, uint n)
{
    vec4 s = uintBitsToFloat(texelFetch(step_at, int(at.z * push.steps + n)));
    uint plane = (at.z - push.grid.in_first) * push.points;
    uint place = at.y * push.grid.row + at.x;
    uint one = ((plane + uint(s.x)) * push.grid.slice + place) / 4u;
    uint two = ((plane + uint(s.y)) * push.grid.slice + place) / 4u;
    vec4 a = uintBitsToFloat(texelFetch(scanned, int(one)));
    vec4 b = uintBitsToFloat(texelFetch(scanned, int(two)));
    precise vec4 v = a + (b - a) * s.z;
    return v;
}

void main()
{
    uvec3 at;
    if (!grid_voxel(push.grid, uvec3(4, 1, 1), at))
        return;
    uint bits = texel_word(mask, grid_mask_in(push.grid, at)) >> (at.x & 31u);
    bvec4 inside = notEqual(uvec4(bits) & uvec4(1u, 2u, 4u, 8u), uvec4(0u));
    precise vec4 mean = vec4(0.0);
    for (uint n = 0u; n < push.before; n++)
        mean += value_at(at, n);
    mean /= float(push.before);
    baseline[grid_out(push.grid, at) / 4u] = mean;
    uint first = (at.z - push.grid.first) * push.steps * push.grid.slice + at.y * push.grid.row + at.x;
    uint taken = any(inside) ? push.steps : 0u; // by the loop, as a software device does both sides
    for (uint n = 0u; n < taken; n++)
        curves[(n * push.grid.slice + first) / 4u] = mix(vec4(0.0), value_at(at, n) - mean, inside);
    for (uint n = taken; n < push.steps; n++)
        curves[(n * push.grid.slice + first) / 4u] = vec4(0.0);
}
