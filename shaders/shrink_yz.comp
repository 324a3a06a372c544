// Sums blocks of rows and slices, eight columns an invocation: the first half of shrinking.
//   0 texels  value  packed int16 pairs
//   1 out     sum    int, [coarse slices][coarse rows][columns up to row]
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

layout(binding = 0) uniform usamplerBuffer value;
layout(std430, binding = 1) writeonly restrict buffer Sum { ivec4 sum[]; };
layout(push_constant, std430) uniform Push
{
    uint texels, rows, slices;   // of a row; coarse rows; coarse slices of this dispatch
    uint value_row, value_slice; // texels
    uint fine_rows, fine_slices; // that there are
    uint factor_y, factor_z;
    uint lead_y; // rows that the first block lacks
} push;

void main()
{
    uvec3 at = gl_GlobalInvocationID;
    if (at.x >= push.texels || at.y >= push.rows || at.z >= push.slices)
        return;
    uint y0 = max(at.y * push.factor_y, push.lead_y) - push.lead_y;
    uint y1 = min((at.y + 1u) * push.factor_y - push.lead_y, push.fine_rows);
    uint z0 = at.z * push.factor_z, z1 = min(z0 + push.factor_z, push.fine_slices);
    ivec4 a = ivec4(0), b = ivec4(0);
    for (uint z = z0; z < z1; z++) {
        uint texel = z * push.value_slice + y0 * push.value_row + at.x;
        for (uint y = y0; y < y1; y++, texel += push.value_row) {
            ivec4 w = ivec4(texelFetch(value, int(texel)));
            a += bitfieldExtract(w, 0, 16);
            b += w >> 16;
        }
    }
    uint i = 2u * ((at.z * push.rows + at.y) * push.texels + at.x);
    sum[i] = ivec4(a.x, b.x, a.y, b.y);
    sum[i + 1u] = ivec4(a.z, b.z, a.w, b.w);
}
