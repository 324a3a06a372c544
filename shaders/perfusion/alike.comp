// Curves as means of those around them in their slice that are like them: weights fall with the
// distance and with how far the guides (the same curves, smoothed a little) differ by more than noise
// does. One voxel an invocation; 0 outside a mask.
//   0 in      curves  float, planes of `steps` points
//   1 in      guide   float, planes of `steps` points; to be divided by:
//   2 in      part    float: of the mask around each voxel
//   3 texels  mask    bit mask
//   4 out     alike   float, planes of `steps` points
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

const int REACH_MAX = 4; // voxels
const int ACROSS = 2 * REACH_MAX + 1;

layout(std430, binding = 0) readonly restrict buffer Curves { float curves[]; };
layout(std430, binding = 1) readonly restrict buffer Guide { float guide[]; };
layout(std430, binding = 2) readonly restrict buffer Part { float part[]; };
layout(binding = 3) uniform usamplerBuffer mask;
layout(std430, binding = 4) writeonly restrict buffer Alike { float alike[]; };
layout(push_constant, std430) uniform Push
{
    Grid grid;
    uint steps, before;
    int reach;          // voxels, at most REACH_MAX
    float near_x, near_y; // 1 / (2 sigma^2), of columns and rows
    float noise;        // variance of the guides
    uint stride;        // of the steps that are compared
    float share;        // 1 / their number
} push;

void main()
{
    uvec3 at;
    if (!grid_voxel(push.grid, uvec3(1), at))
        return;
    uint plane = push.grid.slice;
    uint to = (at.z - push.grid.first) * push.steps * plane + at.y * push.grid.row + at.x;
    bool inside = ((texel_word(mask, grid_mask_in(push.grid, at)) >> (at.x & 31u)) & 1u) != 0u;
    if (!inside) {
        for (uint n = 0u; n < push.steps; n++)
            alike[to + n * plane] = 0.0;
        return;
    }
    uint from = (at.z - push.grid.in_first) * push.steps * plane;
    uint own = from + at.y * push.grid.row + at.x;
    float own_part = 1.0 / part[grid_in(push.grid, at)];
    float weight[ACROSS * ACROSS];
    uint place[ACROSS * ACROSS];
    uint count = 0u;
    precise float all = 0.0;
    for (int dy = -push.reach; dy <= push.reach; dy++) {
        for (int dx = -push.reach; dx <= push.reach; dx++) {
            ivec2 p = ivec2(at.xy) + ivec2(dx, dy);
            if (p.x < 0 || p.y < 0 || p.x >= int(push.grid.columns) || p.y >= int(push.grid.rows))
                continue;
            uvec3 other = uvec3(p, at.z);
            uint bits = texel_word(mask, grid_mask_in(push.grid, other));
            if (((bits >> (other.x & 31u)) & 1u) == 0u)
                continue;
            uint there = from + other.y * push.grid.row + other.x;
            float there_part = 1.0 / part[grid_in(push.grid, other)];
            precise float differ = 0.0;
            for (uint n = push.before; n < push.steps; n += push.stride) {
                precise float d =
                    guide[own + n * plane] * own_part - guide[there + n * plane] * there_part;
                differ += d * d;
            }
            differ *= push.share;
            precise float more = max(differ - 2.0 * push.noise, 0.0) / push.noise;
            float w = exp(-float(dx * dx) * push.near_x - float(dy * dy) * push.near_y -
                          0.5 * more * more);
            weight[count] = w;
            place[count] = there;
            count++;
            all += w;
        }
    }
    for (uint n = 0u; n < push.steps; n++) {
        precise float sum = 0.0;
        for (uint i = 0u; i < count; i++)
            sum += weight[i] * curves[place[i] + n * plane];
        alike[to + n * plane] = sum / all;
    }
}
