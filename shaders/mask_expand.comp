// Nearest-neighbour enlargement of a mask: each block takes one bit. A fine word an invocation.
//   0 texels  coarse  bit mask
//   1 out     fine    bit mask
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

layout(binding = 0) uniform usamplerBuffer coarse;
layout(std430, binding = 1) writeonly restrict buffer Fine { uint fine[]; };
layout(push_constant, std430) uniform Push
{
    uint columns, rows, slices; // fine; slices of this dispatch
    uint coarse_row, coarse_slice, fine_row, fine_slice; // words
    uint factor_x, factor_y, factor_z;
    uint first, coarse_first; // slice each binding starts with
} push;

uint coarse_word(uint index)
{
    uvec4 t = texelFetch(coarse, int(index / 4u));
    uint n = index & 3u;
    return n == 0u ? t.x : n == 1u ? t.y : n == 2u ? t.z : t.w;
}

void main()
{
    uvec3 at = gl_GlobalInvocationID;
    if (at.x >= push.fine_row || at.y >= push.rows || at.z >= push.slices)
        return;
    uint bits = 0u;
    if (at.x * 32u < push.columns) {
        uint row = ((push.first + at.z) / push.factor_z - push.coarse_first) * push.coarse_slice +
                   at.y / push.factor_y * push.coarse_row;
        uint x = at.x * 32u / push.factor_x, phase = at.x * 32u - x * push.factor_x;
        uint shift = x & 31u, word = x / 32u;
        // The 32 coarse bits from x on: enough, as none of the blocks is narrower than one voxel.
        uint window = coarse_word(row + word) >> shift;
        if (shift != 0u && word + 1u < push.coarse_row)
            window |= coarse_word(row + word + 1u) << (32u - shift);
        if (window == 0xffffffffu) {
            bits = window;
        } else if (window != 0u) {
            for (uint n = 0u; n < 32u; n++) {
                bits |= (window & 1u) << n;
                phase++;
                if (phase == push.factor_x) {
                    phase = 0u;
                    window >>= 1;
                }
            }
        }
        bits &= column_bits(at.x, 0u, push.columns);
    }
    fine[at.z * push.fine_slice + at.y * push.fine_row + at.x] = bits;
}
