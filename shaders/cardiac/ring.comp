// How well a place is the centre of a moving ring: bright inside, dark outside. One place an
// invocation; places lie `step` pixels apart from (column, row) on. cardiac_cine.h has the formula.
//   0 texels  signal  float, smoothed, of the work grid
//   1 texels  motion  float, of the work grid
//   2 out     score   float, of the grid of places
//   3 out     radius  float: mm
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

layout(binding = 0) uniform usamplerBuffer signal;
layout(binding = 1) uniform usamplerBuffer motion;
layout(std430, binding = 2) writeonly restrict buffer Score { float score[]; };
layout(std430, binding = 3) writeonly restrict buffer Radius { float radius[]; };
layout(push_constant, std430) uniform Push
{
    Grid grid;
    uint columns, rows, row, slice; // of the work grid
    uint column_first, row_first, step;
    uint radii, ways;
    float first_mm, step_mm, beside_mm;
    float column_mm, row_mm;
} push;

// The pixel nearest to a point; 0 where the point lies outside the image.
uint element_at(vec2 pixel, uint k, out bool inside)
{
    ivec2 at = ivec2(floor(pixel + 0.5));
    inside = at.x >= 0 && at.y >= 0 && at.x < int(push.columns) && at.y < int(push.rows);
    return inside ? k * push.slice + uint(at.y) * push.row + uint(at.x) : 0u;
}

const uint WAYS_MOST = 24u;

float ring(vec2 centre, uint k, float mm, vec2 ways[WAYS_MOST])
{
    precise float contrast = 0.0, moves = 0.0, blood = 0.0;
    for (uint n = 0u; n < push.ways; n++) {
        vec2 way = ways[n];
        bool in_one, in_two, in_edge;
        uint one = element_at(centre + way * (mm - push.beside_mm), k, in_one);
        uint two = element_at(centre + way * (mm + push.beside_mm), k, in_two);
        uint edge = element_at(centre + way * mm, k, in_edge);
        if (!in_one || !in_two || !in_edge)
            return 0.0;
        float a = texel_f32(signal, one), b = texel_f32(signal, two);
        contrast += clamp((a - b) / max(a + b, 1e-6), -0.125, 0.25);
        moves += texel_f32(motion, edge);
        blood += a;
    }
    return contrast / float(push.ways) * min(moves / max(0.1 * blood, 1e-6), 1.0);
}

void main()
{
    uvec3 at;
    if (!grid_voxel(push.grid, uvec3(1), at))
        return;
    vec2 centre = vec2(push.column_first + at.x * push.step, push.row_first + at.y * push.step);
    vec2 ways[WAYS_MOST]; // pixels a mm; the sines of all radii
    for (uint n = 0u; n < WAYS_MOST; n++) {
        float angle = 6.28318530718 * float(n) / float(max(push.ways, 1u));
        ways[n] = vec2(cos(angle) / push.column_mm, sin(angle) / push.row_mm);
    }
    float best = 0.0, mm = 0.0;
    for (uint n = 0u; n < push.radii; n++) {
        float r = push.first_mm + float(n) * push.step_mm;
        float s = ring(centre, at.z, r, ways);
        if (s > best) {
            best = s;
            mm = r;
        }
    }
    uint to = grid_out(push.grid, at);
    score[to] = best;
    radius[to] = mm;
}
