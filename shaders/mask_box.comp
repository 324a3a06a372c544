// Clears what lies outside a box, after inverting where asked for. A mask word an invocation.
//   0 inout  mask  bit mask
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

layout(std430, binding = 0) restrict buffer Mask { uint mask[]; };
layout(push_constant, std430) uniform Push
{
    Grid grid;
    uint lo[3], hi[3];
    uint invert; // all ones or 0
} push;

void main()
{
    uvec3 at;
    if (!grid_voxel(push.grid, uvec3(32, 1, 1), at))
        return;
    uint i = grid_mask_out(push.grid, at), columns = column_bits(at.x / 32u, push.lo[0], push.hi[0]);
    bool inside =
        at.y >= push.lo[1] && at.y < push.hi[1] && at.z >= push.lo[2] && at.z < push.hi[2];
    mask[i] = inside ? (mask[i] ^ push.invert) & columns : 0u;
}
