// Maximum along rows, two rows (one word of the result) an invocation.
//   0 texels  value   packed int16 pairs
//   1 out     result  packed int16 pairs, [slices][rows]
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

layout(binding = 0) uniform usamplerBuffer value;
layout(std430, binding = 1) writeonly restrict buffer Result { uint result[]; };
layout(push_constant, std430) uniform Push
{
    uint rows, slices;           // slices of this dispatch
    uint value_row, value_slice; // texels
    uint lo, hi;                 // columns
    uint result_row, first;      // words; slice this dispatch starts with
} push;

int row_max(uint row)
{
    int best = -32768;
    for (uint t = push.lo / 8u; t <= (push.hi - 1u) / 8u; t++) {
        uvec4 words = texelFetch(value, int(row + t));
        for (uint n = 0u; n < 8u; n++) {
            uint x = 8u * t + n;
            int v = (n & 1u) == 0u ? low16(words[n / 2u]) : high16(words[n / 2u]);
            best = x >= push.lo && x < push.hi ? max(best, v) : best;
        }
    }
    return best;
}

void main()
{
    uvec2 at = gl_GlobalInvocationID.xy;
    if (2u * at.x >= push.rows || at.y >= push.slices)
        return;
    uint row = at.y * push.value_slice + 2u * at.x * push.value_row;
    int low = row_max(row), high = 0;
    if (2u * at.x + 1u < push.rows)
        high = row_max(row + push.value_row);
    result[(push.first + at.y) * push.result_row + at.x] = pack16(low, high);
}
