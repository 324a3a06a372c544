// Marks voxels inside a value window, one mask word (32 voxels of a row) an invocation.
//   0 texels  value  [slices][rows][columns] packed int16 pairs, or float
//   1 out     mask   bit mask
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

layout(constant_id = 3) const bool FLOAT = false;
layout(binding = 0) uniform usamplerBuffer value;
layout(std430, binding = 1) writeonly restrict buffer Mask { uint mask[]; };
layout(push_constant, std430) uniform Push
{
    Grid grid;
    uint lo, hi; // int: the lowest value and how far the highest lies above it; float: both, as bits
} push;

uint inside(uint word)
{
    uint low = uint(low16(word)) - push.lo, high = uint(high16(word)) - push.lo;
    return (low <= push.hi ? 1u : 0u) | (high <= push.hi ? 2u : 0u);
}

uint inside(uvec4 t)
{
    if (FLOAT) {
        vec4 v = uintBitsToFloat(t);
        float lo = uintBitsToFloat(push.lo), hi = uintBitsToFloat(push.hi);
        return (v.x >= lo && v.x <= hi ? 1u : 0u) | (v.y >= lo && v.y <= hi ? 2u : 0u) |
               (v.z >= lo && v.z <= hi ? 4u : 0u) | (v.w >= lo && v.w <= hi ? 8u : 0u);
    }
    return inside(t.x) | inside(t.y) << 2 | inside(t.z) << 4 | inside(t.w) << 6;
}

void main()
{
    uvec3 at;
    if (!grid_voxel(push.grid, uvec3(32, 1, 1), at))
        return;
    const uint TEXELS = FLOAT ? 8u : 4u, EACH = FLOAT ? 4u : 8u;
    uint bits = 0u, first = grid_in(push.grid, at) / EACH;
    for (uint n = 0u; n < TEXELS; n++)
        bits |= inside(texelFetch(value, int(first + n))) << (n * EACH);
    if (at.x + 32u > push.grid.columns) // only the last word of a row is not full
        bits &= column_bits(at.x / 32u, 0u, push.grid.columns);
    mask[grid_mask_out(push.grid, at)] = bits;
}
