// Mean and sum of squared deviations of each row of each channel of a plane, in two passes over the
// row. One row an invocation.
//   0 texels  values   float: [channel][row][quad of four voxels]
//   1 out     moments  two floats a row: [channel][row]
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

layout(binding = 0) uniform usamplerBuffer values;
layout(std430, binding = 1) writeonly restrict buffer Moments { vec2 moments[]; };
layout(push_constant, std430) uniform Push { uint columns, rows, quads, channels; } push;

void main()
{
    uvec2 at = gl_GlobalInvocationID.xy; // row, channel
    if (at.x >= push.rows || at.y >= push.channels)
        return;
    uint row = at.y * push.rows + at.x;
    vec4 sum = vec4(0.0);
    for (uint q = 0u; q < push.quads; q++) // what lies beyond the columns is zero
        sum += uintBitsToFloat(texelFetch(values, int(row * push.quads + q)));
    float mean = (sum.x + sum.y + sum.z + sum.w) / float(push.columns);
    vec4 squares = vec4(0.0);
    for (uint q = 0u; q < push.quads; q++) {
        vec4 d = uintBitsToFloat(texelFetch(values, int(row * push.quads + q))) - mean;
        bvec4 inside = lessThan(uvec4(0u, 1u, 2u, 3u) + q * 4u, uvec4(push.columns));
        squares += mix(vec4(0.0), d * d, inside);
    }
    moments[row] = vec2(mean, squares.x + squares.y + squares.z + squares.w);
}
