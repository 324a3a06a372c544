// T1 from images at several flip angles (spoiled gradient echo): a straight line through the points
//   x = S / tan(angle),  y = S tan(angle / 2)
// has the slope -(1 - E1), E1 = exp(-TR / T1): y is S / sin(angle) - x, so that the small difference
// from 1 is not lost in rounding. Four voxels an invocation.
//   0 texels  curves  float, planes of `count` images
//   1 in      angle   of each image: 1 / tan(angle), tan(angle / 2), unused, unused
//   2 out     lost    float: 1 - E1; 0 where the line has no such slope
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

layout(binding = 0) uniform usamplerBuffer curves;
layout(std430, binding = 1) readonly restrict buffer Angle { vec4 angle[]; };
layout(std430, binding = 2) writeonly restrict buffer Lost { vec4 lost[]; };
layout(push_constant, std430) uniform Push { Grid grid; uint count; } push;

vec4 signal_at(uvec3 at, uint n)
{
    uint plane = (at.z - push.grid.in_first) * push.count + n;
    return uintBitsToFloat(texelFetch(
        curves, int((plane * push.grid.slice + at.y * push.grid.row + at.x) / 4u)));
}

void main()
{
    uvec3 at;
    if (!grid_voxel(push.grid, uvec3(4, 1, 1), at))
        return;
    precise vec4 x = vec4(0.0), y = vec4(0.0);
    for (uint n = 0u; n < push.count; n++) {
        vec4 s = signal_at(at, n);
        x += s * angle[n].x;
        y += s * angle[n].y;
    }
    x /= float(max(push.count, 1u));
    y /= float(max(push.count, 1u));
    precise vec4 xx = vec4(0.0), xy = vec4(0.0);
    for (uint n = 0u; n < push.count; n++) {
        vec4 s = signal_at(at, n);
        precise vec4 dx = s * angle[n].x - x, dy = s * angle[n].y - y;
        xx += dx * dx;
        xy += dx * dy;
    }
    bvec4 varies = greaterThan(xx, vec4(0.0));
    precise vec4 slope = -xy / mix(vec4(1.0), xx, varies);
    bvec4 good = lessThan(abs(slope - 0.5), vec4(0.5)); // 0 < slope < 1
    lost[grid_out(push.grid, at) / 4u] =
        mix(vec4(0.0), slope, equal(uvec4(varies) & uvec4(good), uvec4(1u)));
}
