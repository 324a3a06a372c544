// The terms that tissue curves are made of: a few cosines and sines, as a matrix of few rows says.
// Four voxels an invocation, eight terms at a time. Nothing is written where no voxel is in the mask.
//   0 texels  curves  float, planes of `steps` points
//   1 texels  mask    bit mask
//   2 texels  matrix  float: of each eight terms, of each step: the eight terms
//   3 out     terms   float, planes of `planes` terms
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

layout(binding = 0) uniform usamplerBuffer curves;
layout(binding = 1) uniform usamplerBuffer mask;
layout(binding = 2) uniform usamplerBuffer matrix;
layout(std430, binding = 3) writeonly restrict buffer Terms { vec4 terms[]; };
layout(push_constant, std430) uniform Push { Grid grid; uint steps, planes; } push; // planes: a multiple of 8

void main()
{
    uvec3 at;
    if (!grid_voxel(push.grid, uvec3(4, 1, 1), at))
        return;
    if ((texel_word(mask, grid_mask_in(push.grid, at)) >> (at.x & 31u) & 15u) == 0u)
        return;
    uint plane = push.grid.slice / 4u;
    uint place = (at.y * push.grid.row + at.x) / 4u;
    uint from = (at.z - push.grid.in_first) * push.steps * plane + place;
    uint to = (at.z - push.grid.first) * push.planes * plane + place;
    for (uint first = 0u; first < push.planes; first += 8u) {
        precise vec4 a = vec4(0.0), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
        uint entry = first * push.steps / 4u;
        for (uint n = 0u; n < push.steps; n++) {
            vec4 v = uintBitsToFloat(texelFetch(curves, int(from + n * plane)));
            vec4 m = uintBitsToFloat(texelFetch(matrix, int(entry + 2u * n)));
            vec4 w = uintBitsToFloat(texelFetch(matrix, int(entry + 2u * n + 1u)));
            a += m.x * v;
            b += m.y * v;
            c += m.z * v;
            d += m.w * v;
            e += w.x * v;
            f += w.y * v;
            g += w.z * v;
            h += w.w * v;
        }
        uint out_ = to + first * plane;
        terms[out_] = a;
        terms[out_ + plane] = b;
        terms[out_ + 2u * plane] = c;
        terms[out_ + 3u * plane] = d;
        terms[out_ + 4u * plane] = e;
        terms[out_ + 5u * plane] = f;
        terms[out_ + 6u * plane] = g;
        terms[out_ + 7u * plane] = h;
    }
}
