// Marks blocks in which enough voxels are set. A coarse word an invocation.
//   0 texels  fine    bit mask
//   1 out     coarse  bit mask
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

layout(binding = 0) uniform usamplerBuffer fine;
layout(std430, binding = 1) writeonly restrict buffer Coarse { uint coarse[]; };
layout(push_constant, std430) uniform Push
{
    uint columns, rows, slices; // coarse; slices of this dispatch
    uint fine_row, fine_slice, coarse_row, coarse_slice; // words
    uint factor_x, factor_y, factor_z;
    uint fine_columns, fine_rows, fine_slices;
    uint first, fine_first; // slice each binding starts with
    uint atleast;           // 0: half of the block
} push;

uint fine_word(uint index)
{
    uvec4 t = texelFetch(fine, int(index / 4u));
    uint n = index & 3u;
    return n == 0u ? t.x : n == 1u ? t.y : n == 2u ? t.z : t.w;
}

void main()
{
    uvec3 at = gl_GlobalInvocationID;
    if (at.x >= push.coarse_row || at.y >= push.rows || at.z >= push.slices)
        return;
    uint y0 = at.y * push.factor_y, y1 = min(y0 + push.factor_y, push.fine_rows);
    uint z0 = (push.first + at.z) * push.factor_z;
    uint z1 = min(z0 + push.factor_z, push.fine_slices);
    uint bits = 0u;
    for (uint n = 0u; n < 32u; n++) {
        uint x0 = (at.x * 32u + n) * push.factor_x;
        uint x1 = min(x0 + push.factor_x, push.fine_columns);
        if (x0 >= x1)
            break;
        uint set = 0u;
        for (uint z = z0; z < z1; z++) {
            for (uint y = y0; y < y1; y++) {
                uint row = (z - push.fine_first) * push.fine_slice + y * push.fine_row;
                for (uint w = x0 / 32u; w <= (x1 - 1u) / 32u; w++)
                    set += uint(bitCount(fine_word(row + w) & column_bits(w, x0, x1)));
            }
        }
        uint all = (x1 - x0) * (y1 - y0) * (z1 - z0);
        bool enough = push.atleast == 0u ? 2u * set >= all : set >= push.atleast;
        bits |= (enough ? 1u : 0u) << n;
    }
    coarse[at.z * push.coarse_slice + at.y * push.coarse_row + at.x] = bits;
}
