// Writes the runs of set bits of each row, a row an invocation.
//   0 texels  mask    bit mask
//   1 in      start   index of each row's first run
//   2 out     run     see runs.glsl
//   3 out     parent  each run its own
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

#include "runs.glsl"
layout(binding = 0) uniform usamplerBuffer mask;
layout(std430, binding = 1) readonly restrict buffer Start { uint start[]; };
layout(std430, binding = 2) writeonly restrict buffer Run { uvec2 run[]; };
layout(std430, binding = 3) writeonly restrict buffer Parent { uint parent[]; };
layout(push_constant, std430) uniform Push
{
    uint rows, slices, row, slice; // row and slice: texels
    uint first;                    // slice this binding starts with
    uint columns;
} push;

uint row, next, from;
bool open = false; // a run that began at column from reaches the end of the last word

void emit(uint last)
{
    run[next] = uvec2(row, from | last << 16);
    parent[next] = next;
    next++;
    open = false;
}

void take(uint word, uint bits)
{
    uint base = word * 32u;
    if (open) {
        if (bits == 0xffffffffu)
            return;
        uint end = uint(findLSB(~bits));
        emit(base + end - 1u);
        bits &= 0xffffffffu << end;
    }
    while (bits != 0u) {
        uint at = uint(findLSB(bits));
        uint clear = ~(bits >> at);
        uint length = clear == 0u ? 32u : uint(findLSB(clear));
        from = base + at;
        if (at + length >= 32u) {
            open = true;
            return;
        }
        emit(from + length - 1u);
        bits &= 0xffffffffu << (at + length);
    }
}

void main()
{
    uvec3 at = gl_GlobalInvocationID;
    if (at.x >= push.rows || at.y >= push.slices)
        return;
    row = (push.first + at.y) * push.rows + at.x;
    next = start[row];
    if (start[row + 1u] == next)
        return;
    uint texel = at.y * push.slice + at.x * push.row;
    for (uint n = 0u; n < push.row; n++) {
        uvec4 bits = texelFetch(mask, int(texel + n));
        if (!open && bits == uvec4(0u))
            continue;
        take(4u * n, bits.x);
        take(4u * n + 1u, bits.y);
        take(4u * n + 2u, bits.z);
        take(4u * n + 3u, bits.w);
    }
    if (open)
        emit(push.columns - 1u);
}
