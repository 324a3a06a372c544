// The least and the most value of each brick of 8 x 8 x 8 cells: of the 9 x 9 x 9 voxels that samples
// inside the brick are interpolated from.
//   0 texels  value  packed int16 pairs, the whole volume
//   1 out     range  a word a brick, packed: columns, then rows, then slices of bricks: least, most
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

layout(binding = 0) uniform usamplerBuffer value;
layout(std430, binding = 1) writeonly restrict buffer Range { uint range[]; };
layout(push_constant, std430) uniform Push
{
    Grid grid;   // of bricks
    uint dim[3]; // of the volume
    uint row, slice;
} push;

void main()
{
    uvec3 brick;
    if (!grid_voxel(push.grid, uvec3(1), brick))
        return;
    uvec3 dim = uvec3(push.dim[0], push.dim[1], push.dim[2]);
    uvec3 last = min(8u * brick + 8u, dim - 1u);
    int least = 32767, most = -32768;
    for (uint z = 8u * brick.z; z <= last.z; z++) {
        for (uint y = 8u * brick.y; y <= last.y; y++) {
            for (uint x = 8u * brick.x; x <= last.x; x++) {
                int v = texel_i16(value, z * push.slice + y * push.row + x);
                least = min(least, v);
                most = max(most, v);
            }
        }
    }
    range[(brick.z * push.grid.rows + brick.y) * push.grid.columns + brick.x] = pack16(least, most);
}
