// Counts the voxels of each component that a mask has too, or (EDGE) its runs that touch the edge of
// their slice. A run an invocation.
//   0 in      run    see runs.glsl
//   1 in      label  1.. of each run
//   2 texels  mask   bit mask (without EDGE)
//   3 inout   count  one a component, 0 before
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

#include "runs.glsl"
layout(constant_id = 3) const bool EDGE = false;
layout(std430, binding = 0) readonly restrict buffer Run { uvec2 run[]; };
layout(std430, binding = 1) readonly restrict buffer Label { uint label[]; };
layout(binding = 2) uniform usamplerBuffer mask;
layout(std430, binding = 3) restrict buffer Count { uint count[]; };
layout(push_constant, std430) uniform Push
{
    uint begin, end; // runs
    uint columns, rows;
    uint row, slice; // texels of the mask
    uint first;      // slice the mask binding starts with
} push;

void main()
{
    uint i = push.begin + flat_index();
    if (i >= push.end)
        return;
    uvec2 mine = run[i];
    uint first = run_first(mine), last = run_last(mine), sum = 0u;
    uint k = mine.x / push.rows, j = mine.x - k * push.rows;
    if (EDGE) {
        sum = j == 0u || j + 1u == push.rows || first == 0u || last + 1u == push.columns ? 1u : 0u;
    } else {
        uint texel = (k - push.first) * push.slice + j * push.row;
        for (uint t = first / 128u; t <= last / 128u; t++) {
            uvec4 bits = texelFetch(mask, int(texel + t));
            for (uint n = 0u; n < 4u; n++)
                sum += uint(bitCount(bits[n] & column_bits(4u * t + n, first, last + 1u)));
        }
    }
    if (sum != 0u)
        atomicAdd(count[label[i] - 1u], sum);
}
