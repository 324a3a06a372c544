// Dilation (or erosion, as dilation of the rest) by a ball. Four words of a row an invocation. The
// ball is a list of rows, the widest first: rows that reach h columns are put in when h dilations by
// one column are still to come.
//   0 texels  mask    bit mask
//   1 in      ball    see struct ball in compute/kernels/gpu_mask.c: start[34], then rows
//   2 out     result  bit mask
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

layout(binding = 0) uniform usamplerBuffer mask;
layout(std430, binding = 1) readonly restrict buffer Ball { uint start[34]; uint ball[]; };
layout(std430, binding = 2) writeonly restrict buffer Result { uvec4 result[]; };
layout(push_constant, std430) uniform Push
{
    Grid grid;
    uint widest; // columns
    uint invert; // all ones: erosion
} push;

uvec4 column_bits4(uint t)
{
    uint columns = push.grid.columns;
    return uvec4(column_bits(4u * t, 0u, columns), column_bits(4u * t + 1u, 0u, columns),
                 column_bits(4u * t + 2u, 0u, columns), column_bits(4u * t + 3u, 0u, columns));
}

void main()
{
    uvec3 at;
    if (!grid_voxel(push.grid, uvec3(128, 1, 1), at))
        return;
    at.x /= 128u; // from here on in texels
    uint row = push.grid.mask_row / 4u, slice = push.grid.mask_slice / 4u;
    uvec4 valid = column_bits4(at.x);
    bool has_left = at.x > 0u, has_right = at.x + 1u < row;
    uint valid_left = has_left ? 0xffffffffu : 0u;
    uint valid_right = has_right ? column_bits(4u * at.x + 4u, 0u, push.grid.columns) : 0u;
    uint left = 0u, right = 0u;
    uvec4 centre = uvec4(0u);
    for (int h = int(push.widest); h >= 0; h--) {
        // One column more of everything so far.
        uvec4 from_left = uvec4(left, centre.xyz), from_right = uvec4(centre.yzw, right);
        left |= left << 1 | left >> 1 | centre.x << 31;
        right |= right << 1 | right >> 1 | centre.w >> 31;
        centre |= centre << 1 | from_left >> 31 | centre >> 1 | from_right << 31;
        for (uint n = start[h]; n < start[h + 1]; n++) {
            int j = int(at.y) + bitfieldExtract(int(ball[n]), 0, 16);
            int k = int(at.z) + (int(ball[n]) >> 16);
            if (j < 0 || j >= int(push.grid.rows) || k < 0 || k >= int(push.grid.slices))
                continue;
            int t = int((uint(k) - push.grid.in_first) * slice + uint(j) * row + at.x);
            centre |= (texelFetch(mask, t) ^ push.invert) & valid;
            if (has_left)
                left |= (texelFetch(mask, t - 1).w ^ push.invert) & valid_left;
            if (has_right)
                right |= (texelFetch(mask, t + 1).x ^ push.invert) & valid_right;
        }
    }
    result[(at.z - push.grid.first) * slice + at.y * row + at.x] = (centre ^ push.invert) & valid;
}
