// Joins each run with those it touches in the rows before it (union-find: the lower index wins). A
// run an invocation. An invocation that runs out of iterations says so; merging again goes on.
//   0 in     start   index of each row's first run; one more entry than rows
//   1 in     run     see runs.glsl
//   2 inout  parent  a run of the same component, never a later one
//   3 inout  status  .x: not 0 when merging has to be repeated
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

#include "runs.glsl"
layout(constant_id = 3) const uint CONNECT = 0; // enum connectivity: 4, 8, 6, 18, 26
layout(std430, binding = 0) readonly restrict buffer Start { uint start[]; };
layout(std430, binding = 1) readonly restrict buffer Run { uvec2 run[]; };
layout(std430, binding = 2) coherent volatile restrict buffer Parent { uint parent[]; };
layout(std430, binding = 3) restrict buffer Status { uint again; };
layout(push_constant, std430) uniform Push { uint begin, end, rows, trips; } push;

uint trips = 0u; // counts every pass of every loop

uint root(uint i)
{
    while (trips < push.trips) {
        trips++;
        uint up = parent[i];
        if (up == i)
            break;
        i = up;
    }
    return i;
}

void unite(uint a, uint b)
{
    while (trips < push.trips) {
        trips++;
        a = root(a);
        b = root(b);
        if (a == b)
            return;
        uint high = max(a, b), low = min(a, b);
        uint old = atomicMin(parent[high], low);
        if (old == high)
            return;
        a = old; // high got another parent meanwhile: join that one with low
        b = low;
    }
}

// Joins run i with the runs of another row that lie within reach columns of it.
void join_row(uint i, uint first, uint last, uint row, uint reach)
{
    uint lo = start[row], end = start[row + 1u], hi = end;
    while (lo < hi && trips < push.trips) { // the first run that does not end before ours starts
        trips++;
        uint middle = (lo + hi) / 2u;
        if (run_last(run[middle]) + reach < first)
            lo = middle + 1u;
        else
            hi = middle;
    }
    for (; lo < end && trips < push.trips; lo++) {
        trips++;
        if (run_first(run[lo]) > last + reach)
            break;
        if (parent[lo] != parent[i]) // where merging is repeated, most are joined already
            unite(i, lo);
    }
}

void main()
{
    uint i = push.begin + flat_index();
    if (i >= push.end)
        return;
    uvec2 mine = run[i];
    uint first = run_first(mine), last = run_last(mine);
    uint j = mine.x % push.rows;
    bool above = j > 0u, below = j + 1u < push.rows, behind = mine.x >= push.rows;
    uint reach = CONNECT == 1 || CONNECT >= 3 ? 1u : 0u; // of rows that share a face
    uint corner = CONNECT == 4 ? 1u : 0u;                // of rows that share an edge
    if (above)
        join_row(i, first, last, mine.x - 1u, reach);
    if (CONNECT >= 2 && behind) {
        join_row(i, first, last, mine.x - push.rows, reach);
        if (CONNECT >= 3 && above)
            join_row(i, first, last, mine.x - push.rows - 1u, corner);
        if (CONNECT >= 3 && below)
            join_row(i, first, last, mine.x - push.rows + 1u, corner);
    }
    if (trips >= push.trips)
        again = 1u;
}
