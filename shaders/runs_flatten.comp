// Points each run at the first run of its component and marks those first runs. A run an invocation.
//   0 inout  parent  as runs_merge leaves it
//   1 out    root    1 for the first run of a component, else 0
//   2 inout  status  .x: not 0 when merging has to be repeated
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

layout(std430, binding = 0) coherent volatile restrict buffer Parent { uint parent[]; };
layout(std430, binding = 1) writeonly restrict buffer Root { uint root[]; };
layout(std430, binding = 2) restrict buffer Status { uint again; };
layout(push_constant, std430) uniform Push { uint begin, end, trips; } push;

void main()
{
    uint i = push.begin + flat_index();
    if (i >= push.end)
        return;
    uint at = i, trips = 0u;
    while (trips < push.trips) {
        trips++;
        uint up = parent[at];
        if (up == at)
            break;
        at = up;
    }
    if (at != i)
        parent[i] = at;
    root[i] = at == i ? 1u : 0u;
    if (trips >= push.trips)
        again = 1u;
}
