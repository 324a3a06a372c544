// A plane normalised where it lies: each channel by its own factor and offset, and what follows. Four
// voxels of a row an invocation.
//   0 inout   values  float: [channel][row][quad of four voxels]
//   1 texels  coeffs  two floats a channel: factor, offset
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"
#include "act.glsl"

layout(constant_id = 3) const int ACT = 0; // see act.glsl

layout(std430, binding = 0) restrict buffer Values { vec4 values[]; };
layout(binding = 1) uniform usamplerBuffer coeffs;
layout(push_constant, std430) uniform Push {
    uint columns, rows, quads, channels;
    float slope; // below zero, of ACT 2
} push;

void main()
{
    uvec3 at = gl_GlobalInvocationID; // quad, row, channel
    if (at.x >= push.quads || at.y >= push.rows || at.z >= push.channels)
        return;
    uvec4 pair = texelFetch(coeffs, int(at.z >> 1));
    vec2 c = uintBitsToFloat((at.z & 1u) == 0u ? pair.xy : pair.zw);
    uint i = (at.z * push.rows + at.y) * push.quads + at.x;
    bvec4 inside = lessThan(uvec4(0u, 1u, 2u, 3u) + at.x * 4u, uvec4(push.columns));
    values[i] = mix(vec4(0.0), act(values[i] * c.x + c.y, ACT, push.slope), inside);
}
