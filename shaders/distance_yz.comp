// Takes squared distances on from rows to slices, or from slices to the volume: the least of value +
// distance2 over a line. Looks outwards and stops where nothing nearer can come. Four voxels an
// invocation.
//   0 texels  value   float, mm2
//   1 out     result  float, mm2; at most what value has
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

layout(binding = 0) uniform usamplerBuffer value;
layout(std430, binding = 1) writeonly restrict buffer Result { vec4 result[]; };
layout(push_constant, std430) uniform Push
{
    uint quads, lines, planes; // along a row; along the line, results only; the third axis
    uint line, plane;          // quads from one to the next, of value and result alike
    uint first, extent;        // of line 0 of the results among all lines of value
    uint reach;                // lines looked at to each side
    float spacing2;            // mm2
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
    vec4 best = load(base, p);
    for (int d = 1; d <= int(push.reach); d++) {
        precise float d2 = float(d) * float(d);
        d2 = d2 * push.spacing2;
        if (all(lessThanEqual(best, vec4(d2))))
            break;
        // Beyond an end its own voxel comes again: its true distance is less, so nothing changes.
        precise vec4 other = min(load(base, p - d), load(base, p + d)) + d2;
        best = min(best, other);
    }
    result[at.z * push.plane + at.y * push.line + at.x] = best;
}
