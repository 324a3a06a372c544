// One point in time into the curves, as means of blocks of voxels; four blocks an invocation. Curves
// are a plane a point, [slices][points][rows][columns], with rows and planes as those of a volume.
//   0 texels  value   the point as it was scanned: packed int16 pairs, or float
//   1 out     curves  float
//   2 out     blocks  float: the same as a volume
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

layout(constant_id = 3) const bool FLOAT = false;
layout(constant_id = 4) const uint WHOLE = 0u; // 2 or 4: int16, so many voxels across, no part blocks
layout(binding = 0) uniform usamplerBuffer value;
layout(std430, binding = 1) writeonly restrict buffer Curves { vec4 curves[]; };
layout(std430, binding = 2) writeonly restrict buffer Blocks { vec4 blocks[]; };
layout(push_constant, std430) uniform Push
{
    Grid grid;
    uint points, point;
    uint row, slice;             // of the value: elements
    uint columns, rows, slices;  // of the value
    uint across, down, through;  // voxels of a block along each axis
} push;

float block(uvec3 at)
{
    uvec3 from = at * uvec3(push.across, push.down, push.through);
    uvec3 to = min(from + uvec3(push.across, push.down, push.through),
                   uvec3(push.columns, push.rows, push.slices));
    precise float sum = 0.0;
    for (uint k = from.z; k < to.z; k++) {
        for (uint j = from.y; j < to.y; j++) {
            for (uint i = from.x; i < to.x; i++) {
                uint element = k * push.slice + j * push.row + i;
                sum += FLOAT ? texel_f32(value, element) : float(texel_i16(value, element));
            }
        }
    }
    uvec3 size = uvec3(max(ivec3(to) - ivec3(from), ivec3(0)));
    return sum / float(max(size.x * size.y * size.z, 1u));
}

// Four blocks of two or four int16 across, which are one or two texels of a row.
vec4 four_blocks(uvec3 at)
{
    uint j = at.y * push.down, k = at.z * push.through;
    uint to_j = min(j + push.down, push.rows), to_k = min(k + push.through, push.slices);
    ivec4 sum = ivec4(0); // 2^16 int16 fit
    for (uint n = k; n < to_k; n++) {
        for (uint m = j; m < to_j; m++) {
            int texel = int((n * push.slice + m * push.row + at.x * WHOLE) / 8u);
            uvec4 words = texelFetch(value, texel);
            ivec4 pairs = bitfieldExtract(ivec4(words), 0, 16) + (ivec4(words) >> 16);
            if (WHOLE == 2u) {
                sum += pairs;
            } else {
                words = texelFetch(value, texel + 1);
                ivec4 more = bitfieldExtract(ivec4(words), 0, 16) + (ivec4(words) >> 16);
                sum += ivec4(pairs.xz + pairs.yw, more.xz + more.yw);
            }
        }
    }
    return vec4(sum) / float(max(WHOLE * (to_j - j) * (to_k - k), 1u));
}

void main()
{
    uvec3 at;
    if (!grid_voxel(push.grid, uvec3(4, 1, 1), at))
        return;
    vec4 mean;
    if (WHOLE > 0u) {
        mean = four_blocks(at);
    } else {
        for (uint n = 0u; n < 4u; n++)
            mean[n] = block(at + uvec3(n, 0u, 0u));
    }
    uint plane = (at.z - push.grid.first) * push.points + push.point;
    curves[(plane * push.grid.slice + at.y * push.grid.row + at.x) / 4u] = mean;
    blocks[grid_out(push.grid, at) / 4u] = mean;
}
