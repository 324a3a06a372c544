// Adds each run to the sums of its component. A run an invocation. Integers only, so that the order
// does not matter.
//   0 in      run    see runs.glsl
//   1 in      label  1.. of each run
//   2 texels  value  packed int16 pairs (with VALUES)
//   3 inout   stats  20 words for each of some components, 0 before; struct stats_words in compute/kernels/components.c
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

#include "runs.glsl"
layout(constant_id = 3) const bool VALUES = true;
layout(std430, binding = 0) readonly restrict buffer Run { uvec2 run[]; };
layout(std430, binding = 1) readonly restrict buffer Label { uint label[]; };
layout(binding = 2) uniform usamplerBuffer value;
layout(std430, binding = 3) restrict buffer Stats { uint stats[]; };
layout(push_constant, std430) uniform Push
{
    uint begin, end; // runs
    uint rows;
    uint value_row, value_slice; // texels
    uint first;                  // slice the value binding starts with
    uint labels_from, labels;    // components stats holds: label labels_from + 1 and following
} push;

// Adds a signed 64-bit number to the pair of words at index: low word, high word.
void add64(uint index, uint low, uint high)
{
    uint old = atomicAdd(stats[index], low);
    high += old + low < old ? 1u : 0u;
    if (high != 0u)
        atomicAdd(stats[index + 1u], high);
}

void add64(uint index, uvec2 factors)
{
    uint high, low;
    umulExtended(factors.x, factors.y, high, low);
    add64(index, low, high);
}

// Sum, minimum and maximum of the values of a run.
ivec3 gather(uint texel, uint first, uint last)
{
    ivec3 result = ivec3(0, 32767, -32768);
    for (uint t = first / 8u; t <= last / 8u; t++) {
        uvec4 words = texelFetch(value, int(texel + t));
        for (uint n = 0u; n < 8u; n++) {
            uint x = t * 8u + n;
            int v = (n & 1u) == 0u ? low16(words[n / 2u]) : high16(words[n / 2u]);
            if (x >= first && x <= last)
                result = ivec3(result.x + v, min(result.y, v), max(result.z, v));
        }
    }
    return result;
}

void main()
{
    uint i = push.begin + flat_index();
    if (i >= push.end)
        return;
    uint component = label[i] - 1u - push.labels_from;
    if (component >= push.labels)
        return;
    uvec2 mine = run[i];
    uint first = run_first(mine), last = run_last(mine), n = last - first + 1u;
    uint k = mine.x / push.rows, j = mine.x - k * push.rows;
    uint at = component * 20u;
    atomicAdd(stats[at], n);
    if (VALUES) {
        uint texel = (k - push.first) * push.value_slice + j * push.value_row;
        ivec3 v = gather(texel, first, last);
        atomicMax(stats[at + 1u], uint(32768 - v.y)); // 0 before: minima are kept as maxima
        atomicMax(stats[at + 2u], uint(32769 + v.z));
        add64(at + 3u, uint(v.x), v.x < 0 ? 0xffffffffu : 0u);
    }
    atomicMax(stats[at + 5u], 65536u - first);
    atomicMax(stats[at + 6u], 65536u - j);
    atomicMax(stats[at + 7u], 65536u - k);
    atomicMax(stats[at + 8u], last);
    atomicMax(stats[at + 9u], j);
    atomicMax(stats[at + 10u], k);
    add64(at + 11u, (first + last) * n / 2u, 0u);
    add64(at + 13u, uvec2(j, n));
    add64(at + 15u, uvec2(k, n));
}
