// The class of the largest score of each voxel of a plane; of equal ones the first. Four voxels of a
// row an invocation.
//   0 texels  scores  float: [class][row][quad of four voxels]
//   1 out     labels  a byte a voxel: [row][quad]
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

layout(binding = 0) uniform usamplerBuffer scores;
layout(std430, binding = 1) writeonly restrict buffer Labels { uint labels[]; };
layout(push_constant, std430) uniform Push { uint rows, quads, classes; } push;

void main()
{
    uvec2 at = gl_GlobalInvocationID.xy; // quad, row
    if (at.x >= push.quads || at.y >= push.rows)
        return;
    uint row = at.y * push.quads + at.x;
    vec4 best = uintBitsToFloat(texelFetch(scores, int(row)));
    uvec4 label = uvec4(0u);
    for (uint c = 1u; c < push.classes; c++) {
        vec4 score = uintBitsToFloat(texelFetch(scores, int(c * push.rows * push.quads + row)));
        bvec4 more = greaterThan(score, best);
        best = mix(best, score, more);
        label = mix(label, uvec4(c), more);
    }
    labels[row] = label.x | label.y << 8 | label.z << 16 | label.w << 24;
}
