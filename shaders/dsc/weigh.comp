// Two weighted sums of each curve. Four voxels an invocation; 0 outside a mask.
//   0 texels  curves  float, planes of `steps`
//   1 texels  mask    bit mask
//   2 in      weight  of each step: of the first sum, of the second, unused, unused
//   3 out     one     float
//   4 out     two     float
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

layout(binding = 0) uniform usamplerBuffer curves;
layout(binding = 1) uniform usamplerBuffer mask;
layout(std430, binding = 2) readonly restrict buffer Weight { vec4 weight[]; };
layout(std430, binding = 3) writeonly restrict buffer One { vec4 one[]; };
layout(std430, binding = 4) writeonly restrict buffer Two { vec4 two[]; };
layout(push_constant, std430) uniform Push { Grid grid; uint steps; } push;

void main()
{
    uvec3 at;
    if (!grid_voxel(push.grid, uvec3(4, 1, 1), at))
        return;
    uint bits = texel_word(mask, grid_mask_in(push.grid, at)) >> (at.x & 31u);
    uint to = grid_out(push.grid, at) / 4u;
    uint from = (((at.z - push.grid.in_first) * push.steps) * push.grid.slice +
                 at.y * push.grid.row + at.x) / 4u;
    uint steps = (bits & 15u) != 0u ? push.steps : 0u;
    precise vec4 a = vec4(0.0), b = vec4(0.0);
    for (uint n = 0u; n < steps; n++) {
        vec4 c = uintBitsToFloat(texelFetch(curves, int(from + n * (push.grid.slice / 4u))));
        a += c * weight[n].x;
        b += c * weight[n].y;
    }
    bvec4 inside = notEqual(uvec4(bits) & uvec4(1u, 2u, 4u, 8u), uvec4(0u));
    one[to] = mix(vec4(0.0), a, inside);
    two[to] = mix(vec4(0.0), b, inside);
}
