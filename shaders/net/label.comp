// The class of the largest score of each voxel of a plane; of equal ones the first. Four voxels of a
// row an invocation.
//   0 texels  scores  float: [class][row][quad of four voxels]
//   1 out     labels  a byte a voxel: [row][quad]
//   2 inout   odd     1 when a score of a voxel is infinite or no number
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

layout(binding = 0) uniform usamplerBuffer scores;
layout(std430, binding = 1) writeonly restrict buffer Labels { uint labels[]; };
layout(std430, binding = 2) restrict buffer Odd { uint odd; };
layout(push_constant, std430) uniform Push { uint columns, rows, quads, classes; } push;

// By its bits: a device need not tell what is no number.
bvec4 is_odd(uvec4 score)
{
    return equal(score & 0x7f800000u, uvec4(0x7f800000u));
}

void main()
{
    uvec2 at = gl_GlobalInvocationID.xy; // quad, row
    if (at.x >= push.quads || at.y >= push.rows)
        return;
    uint row = at.y * push.quads + at.x;
    uvec4 bits = texelFetch(scores, int(row));
    vec4 best = uintBitsToFloat(bits);
    uvec4 label = uvec4(0u);
    bvec4 strange = is_odd(bits);
    for (uint c = 1u; c < push.classes; c++) {
        bits = texelFetch(scores, int(c * push.rows * push.quads + row));
        strange = bvec4(uvec4(strange) | uvec4(is_odd(bits)));
        vec4 score = uintBitsToFloat(bits);
        bvec4 more = greaterThan(score, best);
        best = mix(best, score, more);
        label = mix(label, uvec4(c), more);
    }
    bvec4 inside = lessThan(4u * at.x + uvec4(0u, 1u, 2u, 3u), uvec4(push.columns));
    if (any(bvec4(uvec4(strange) & uvec4(inside))))
        atomicOr(odd, 1u);
    labels[row] = label.x | label.y << 8 | label.z << 16 | label.w << 24;
}
