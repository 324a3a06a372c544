// Draws the runs of chosen components into a mask. A run an invocation.
//   0 in     run    see runs.glsl
//   1 in     label  1.. of each run
//   2 in     keep   one a component: not 0 to draw it
//   3 inout  mask   bit mask
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

#include "runs.glsl"
layout(std430, binding = 0) readonly restrict buffer Run { uvec2 run[]; };
layout(std430, binding = 1) readonly restrict buffer Label { uint label[]; };
layout(std430, binding = 2) readonly restrict buffer Keep { uint keep[]; };
layout(std430, binding = 3) restrict buffer Mask { uint mask[]; };
layout(push_constant, std430) uniform Push
{
    uint begin, end; // runs
    uint rows;
    uint row, slice; // words of the mask
    uint first;      // slice the mask binding starts with
} push;

void main()
{
    uint i = push.begin + flat_index();
    if (i >= push.end || keep[label[i] - 1u] == 0u)
        return;
    uvec2 mine = run[i];
    uint first = run_first(mine), last = run_last(mine);
    uint k = mine.x / push.rows, j = mine.x - k * push.rows;
    uint at = (k - push.first) * push.slice + j * push.row;
    for (uint word = first / 32u; word <= last / 32u; word++)
        atomicOr(mask[at + word], column_bits(word, first, last + 1u));
}
