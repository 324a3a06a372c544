// Symmetric convolution across rows or slices, four voxels an invocation; borders replicated. Sums
// from the centre outwards, without fused multiply-add.
//   0 texels  value   float
//   1 texels  weight  of distance 1, 2, ... radius, then 0 up to a multiple of 4
//   2 out     result  float
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

layout(binding = 0) uniform usamplerBuffer value;
layout(binding = 1) uniform usamplerBuffer weight;
layout(std430, binding = 2) writeonly restrict buffer Result { vec4 result[]; };
layout(push_constant, std430) uniform Push
{
    uint quads, lines, planes; // along a row; along the axis of the sum, results only; the third axis
    uint line, plane;          // quads from one to the next, of value and result alike
    uint first, extent;        // of line 0 of the results among all lines of value
    uint radius;
    float centre;
} push;

vec4 load(uint base, int position)
{
    uint p = uint(clamp(position, 0, int(push.extent) - 1));
    return uintBitsToFloat(texelFetch(value, int(base + p * push.line)));
}

void main()
{
    uvec3 at = gl_GlobalInvocationID;
    if (at.x >= push.quads || at.y >= push.lines || at.z >= push.planes)
        return;
    uint base = at.z * push.plane + at.x;
    int p = int(push.first + at.y);
    precise vec4 sum = load(base, p) * push.centre;
    for (int g = 0; g < int(push.radius + 3u) / 4; g++) {
        vec4 w = uintBitsToFloat(texelFetch(weight, g));
        int d = 4 * g;
        sum += w.x * (load(base, p - d - 1) + load(base, p + d + 1));
        sum += w.y * (load(base, p - d - 2) + load(base, p + d + 2));
        sum += w.z * (load(base, p - d - 3) + load(base, p + d + 3));
        sum += w.w * (load(base, p - d - 4) + load(base, p + d + 4));
    }
    result[at.z * push.plane + at.y * push.line + at.x] = sum;
}
