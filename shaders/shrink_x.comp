// Sums blocks of columns and divides: the second half of shrinking. Two coarse voxels an invocation.
//   0 texels  sum     of shrink_yz
//   1 out     result  packed int16 pairs: the mean, rounded to nearest, halves away from zero
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

layout(binding = 0) uniform usamplerBuffer sum;
layout(std430, binding = 1) writeonly restrict buffer Result { uint result[]; };
layout(push_constant, std430) uniform Push
{
    uint columns, rows, slices;    // coarse; slices of this dispatch
    uint sum_row;                  // texels of four sums
    uint result_row, result_slice; // words
    uint fine_columns, fine_rows, fine_slices;
    uint factor_x, factor_y, factor_z;
    uint first;  // coarse slice this dispatch starts with
    uint lead_x; // columns that the first block lacks
    uint lead_y;
} push;

int mean(uint x, uint row, uint lines)
{
    uint from = max(x * push.factor_x, push.lead_x) - push.lead_x;
    uint to = min((x + 1u) * push.factor_x - push.lead_x, push.fine_columns);
    if (from >= to)
        return 0;
    int total = 0;
    for (uint t = from / 4u; t <= (to - 1u) / 4u; t++) {
        ivec4 v = ivec4(texelFetch(sum, int(row + t)));
        for (uint n = 0u; n < 4u; n++)
            total += 4u * t + n >= from && 4u * t + n < to ? v[n] : 0;
    }
    int count = int((to - from) * lines);
    return total < 0 ? -((count - 2 * total) / (2 * count)) : (count + 2 * total) / (2 * count);
}

void main()
{
    uvec3 at = gl_GlobalInvocationID;
    if (2u * at.x >= push.columns || at.y >= push.rows || at.z >= push.slices)
        return;
    uint y0 = max(at.y * push.factor_y, push.lead_y) - push.lead_y;
    uint y1 = min((at.y + 1u) * push.factor_y - push.lead_y, push.fine_rows);
    uint z = (push.first + at.z) * push.factor_z;
    uint lines = (y1 - y0) * min(push.factor_z, push.fine_slices - z);
    uint row = (at.z * push.rows + at.y) * push.sum_row;
    result[at.z * push.result_slice + at.y * push.result_row + at.x] =
        pack16(mean(2u * at.x, row, lines), mean(2u * at.x + 1u, row, lines));
}
