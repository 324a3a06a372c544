// One phase of a cine onto the work grid, as means of blocks of pixels, and its part in the mean and
// the first harmonic over the cycle. Four blocks an invocation.
//   0 texels  value   the phase as it was scanned: packed int16 pairs, or float
//   1 in      weight  of each phase and slice: for the mean, for the cosine, for the sine, unused; 0
//                     where the slice has no such phase
//   2 inout   sum     float: the mean so far
//   3 inout   cosine  float: the harmonic so far, its real
//   4 inout   sine    float: and its imaginary part
//   5 out     blocks  float
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

layout(constant_id = 3) const bool FLOAT = false;
layout(binding = 0) uniform usamplerBuffer value;
layout(std430, binding = 1) readonly restrict buffer Weight { vec4 weight[]; };
layout(std430, binding = 2) restrict buffer Sum { vec4 sum[]; };
layout(std430, binding = 3) restrict buffer Cosine { vec4 cosine[]; };
layout(std430, binding = 4) restrict buffer Sine { vec4 sine[]; };
layout(std430, binding = 5) writeonly restrict buffer Blocks { vec4 blocks[]; };
layout(push_constant, std430) uniform Push
{
    Grid grid;
    uint row, slice;     // of the value: elements
    uint columns, rows;  // of the value
    uint factor;         // pixels of a block along columns and rows
    uint point;          // of the phase; at 0 nothing has been added up yet
} push;

float block(uvec3 at)
{
    uvec2 from = at.xy * push.factor;
    uvec2 to = min(from + push.factor, uvec2(push.columns, push.rows));
    precise float total = 0.0;
    for (uint j = from.y; j < to.y; j++) {
        for (uint i = from.x; i < to.x; i++) {
            uint element = at.z * push.slice + j * push.row + i;
            total += FLOAT ? texel_f32(value, element) : float(texel_i16(value, element));
        }
    }
    uvec2 size = uvec2(max(ivec2(to) - ivec2(from), ivec2(0)));
    return total / float(max(size.x * size.y, 1u));
}

void main()
{
    uvec3 at;
    if (!grid_voxel(push.grid, uvec3(4, 1, 1), at))
        return;
    vec4 mean;
    for (uint n = 0u; n < 4u; n++)
        mean[n] = block(at + uvec3(n, 0u, 0u));
    uint to = grid_out(push.grid, at) / 4u;
    vec4 w = weight[push.point * push.grid.slices + at.z];
    bool fresh = push.point == 0u;
    precise vec4 a = (fresh ? vec4(0.0) : sum[to]) + w.x * mean;
    precise vec4 b = (fresh ? vec4(0.0) : cosine[to]) + w.y * mean;
    precise vec4 c = (fresh ? vec4(0.0) : sine[to]) + w.z * mean;
    sum[to] = a;
    cosine[to] = b;
    sine[to] = c;
    blocks[to] = mean;
}
