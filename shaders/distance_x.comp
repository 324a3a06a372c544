// Squared distance along the row to the nearest set bit, a mask word (32 voxels) an invocation.
//   0 texels  mask    bit mask
//   1 out     result  float, mm2; at most most
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

layout(binding = 0) uniform usamplerBuffer mask;
layout(std430, binding = 1) writeonly restrict buffer Result { vec4 result[]; };
layout(push_constant, std430) uniform Push
{
    Grid grid;
    uint reach;           // words looked at to each side
    float spacing2, most; // mm2
} push;

void main()
{
    uvec3 at;
    if (!grid_voxel(push.grid, uvec3(32, 1, 1), at))
        return;
    const int FAR = 1 << 20;
    uint row = grid_mask_in(push.grid, uvec3(0u, at.yz));
    uint x = at.x / 32u, words = (push.grid.columns + 31u) / 32u; // of the row; with voxels
    uint bits = texel_word(mask, row + x);
    int left = -FAR, right = FAR; // nearest set columns outside this word, relative to it
    for (uint n = 1u; n <= push.reach && n <= x && left == -FAR; n++) {
        uint other = texel_word(mask, row + x - n);
        if (other != 0u)
            left = findMSB(other) - 32 * int(n);
    }
    for (uint n = 1u; n <= push.reach && x + n < words && right == FAR; n++) {
        uint other = texel_word(mask, row + x + n);
        if (other != 0u)
            right = findLSB(other) + 32 * int(n);
    }
    uint target = grid_out(push.grid, at) / 4u;
    for (int q = 0; q < 8; q++) {
        vec4 v;
        for (int n = 0; n < 4; n++) {
            int bit = 4 * q + n;
            uint before = bits & (0xffffffffu >> (31 - bit)), after = bits >> bit;
            int d = bit - (before != 0u ? findMSB(before) : left);
            d = min(d, after != 0u ? findLSB(after) : right - bit);
            precise float d2 = float(d) * float(d);
            d2 = d2 * push.spacing2;
            v[n] = min(d2, push.most);
        }
        result[target + uint(q)] = v;
    }
}
