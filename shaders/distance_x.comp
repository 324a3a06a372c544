// Squared distance along the row to the nearest set bit, a mask word (32 voxels) an invocation.
//   0 texels  mask    bit mask
//   1 out     result  float, mm2; at most most
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

layout(binding = 0) uniform usamplerBuffer mask;
layout(std430, binding = 1) writeonly restrict buffer Result { vec4 result[]; };
layout(push_constant, std430) uniform Push
{
    uint words, rows, slices;      // words of a row with voxels; slices of this dispatch
    uint mask_row, mask_slice;     // words
    uint result_row, result_slice; // quads
    uint reach;                    // words looked at to each side
    float spacing2, most;          // mm2
} push;

uint word(uint index)
{
    uvec4 t = texelFetch(mask, int(index / 4u));
    uint n = index & 3u;
    return n == 0u ? t.x : n == 1u ? t.y : n == 2u ? t.z : t.w;
}

void main()
{
    uvec3 at = gl_GlobalInvocationID;
    if (at.x >= push.words || at.y >= push.rows || at.z >= push.slices)
        return;
    const int FAR = 1 << 20;
    uint row = at.z * push.mask_slice + at.y * push.mask_row;
    uint bits = word(row + at.x);
    int left = -FAR, right = FAR; // nearest set columns outside this word, relative to it
    for (uint n = 1u; n <= push.reach && n <= at.x && left == -FAR; n++) {
        uint other = word(row + at.x - n);
        if (other != 0u)
            left = findMSB(other) - 32 * int(n);
    }
    for (uint n = 1u; n <= push.reach && at.x + n < push.words && right == FAR; n++) {
        uint other = word(row + at.x + n);
        if (other != 0u)
            right = findLSB(other) + 32 * int(n);
    }
    uint target = at.z * push.result_slice + at.y * push.result_row + at.x * 8u;
    for (int q = 0; q < 8; q++) {
        vec4 v;
        for (int n = 0; n < 4; n++) {
            int x = 4 * q + n;
            uint before = bits & (0xffffffffu >> (31 - x)), after = bits >> x;
            int d = x - (before != 0u ? findMSB(before) : left);
            d = min(d, after != 0u ? findLSB(after) : right - x);
            precise float d2 = float(d) * float(d);
            d2 = d2 * push.spacing2;
            v[n] = min(d2, push.most);
        }
        result[target + uint(q)] = v;
    }
}
