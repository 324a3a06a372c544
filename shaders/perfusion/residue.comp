// The terms of tissue curves times one matrix: the scaled residue function at one level of truncation,
// of which only its maximum is kept, of where blood can be. A voxel whose function oscillates more
// than is allowed is left to the next level. Four voxels an invocation, eight rows of the matrix at a
// time.
//   0 texels  terms   float, planes of `planes` terms: what the curves are made of (terms.comp), or
//                     the curves themselves
//   1 texels  mask    bit mask
//   2 texels  matrix  float: of each eight rows, of each term: the eight rows
//   3 inout   peak    float: maximum of the function
//   4 inout   when    float: the step of it, by the parabola through it and its neighbours; from
//                     half the rows on, steps before the artery (negative)
//   5 inout   level   float: 1 + the level that was taken; 0: none yet
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

layout(binding = 0) uniform usamplerBuffer terms;
layout(binding = 1) uniform usamplerBuffer mask;
layout(binding = 2) uniform usamplerBuffer matrix;
layout(std430, binding = 3) restrict buffer Peak { vec4 peak[]; };
layout(std430, binding = 4) restrict buffer When { vec4 when[]; };
layout(std430, binding = 5) restrict buffer Level { vec4 level[]; };
layout(push_constant, std430) uniform Push
{
    Grid grid;
    uint steps, rows; // rows: a multiple of 8
    uint planes, used; // terms that there are, and how many of them count: the first
    uint entry;        // where the matrix of this level begins: texels
    uint number;      // of this level
    uint last;        // 1: it is the last level, which every voxel takes
    float oscillation;
    uint early;       // rows before the artery at which the maximum may be; after it, all steps
} push;

vec4 one, two;                  // the two values before
vec4 first, second;             // values of rows 0 and 1
vec4 most, left, right, place;  // the maximum so far, its neighbours, its row

// Takes row `row` of the function, and whether the one before is the highest yet.
void take(vec4 v, float row)
{
    float at = row - 1.0 < float(push.rows) ? row - 1.0 : row - 1.0 - float(push.rows);
    bool may = at < float(push.steps) || at >= float(push.rows - push.early);
    bvec4 higher = may ? greaterThan(one, most) : bvec4(false);
    most = mix(most, one, higher);
    left = mix(left, two, higher);
    right = mix(right, v, higher);
    place = mix(place, vec4(row - 1.0), higher);
    two = one;
    one = v;
}

void main()
{
    uvec3 at;
    if (!grid_voxel(push.grid, uvec3(4, 1, 1), at))
        return;
    uint bits = texel_word(mask, grid_mask_in(push.grid, at)) >> (at.x & 31u);
    uint to = grid_out(push.grid, at) / 4u;
    bvec4 inside = notEqual(uvec4(bits) & uvec4(1u, 2u, 4u, 8u), uvec4(0u));
    vec4 taken = push.number == 0u ? vec4(0.0) : level[to];
    bvec4 open;
    for (int i = 0; i < 4; i++)
        open[i] = inside[i] && taken[i] == 0.0;
    if (!any(open)) {
        if (push.number == 0u) {
            peak[to] = vec4(0.0);
            when[to] = vec4(0.0);
            level[to] = vec4(0.0);
        }
        return;
    }
    uint from = (((at.z - push.grid.in_first) * push.planes) * push.grid.slice +
                 at.y * push.grid.row + at.x) / 4u;
    uint plane = push.grid.slice / 4u;
    precise vec4 bend = vec4(0.0);
    one = two = first = second = left = right = place = vec4(0.0);
    most = vec4(-3.0e38);
    for (uint block = 0u; block < push.rows / 8u; block++) {
        precise vec4 a = vec4(0.0), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
        uint entry = push.entry + block * push.planes * 2u;
        for (uint n = 0u; n < push.used; n++) {
            vec4 v = uintBitsToFloat(texelFetch(terms, int(from + n * plane)));
            vec4 m = uintBitsToFloat(texelFetch(matrix, int(entry + 2u * n)));
            vec4 w = uintBitsToFloat(texelFetch(matrix, int(entry + 2u * n + 1u)));
            a += m.x * v;
            b += m.y * v;
            c += m.z * v;
            d += m.w * v;
            e += w.x * v;
            f += w.y * v;
            g += w.z * v;
            h += w.w * v;
        }
        float row = float(8u * block);
        if (block == 0u) {
            first = a;
            second = b;
            two = a;
            one = b; // row 0 is looked at last, as the one after the last
        } else {
            bend += abs(a - 2.0 * one + two) + abs(b - 2.0 * a + one);
            take(a, row);
            take(b, row + 1.0);
        }
        bend += abs(c - 2.0 * b + a) + abs(d - 2.0 * c + b) + abs(e - 2.0 * d + c) +
                abs(f - 2.0 * e + d) + abs(g - 2.0 * f + e) + abs(h - 2.0 * g + f);
        take(c, row + 2.0);
        take(d, row + 3.0);
        take(e, row + 4.0);
        take(f, row + 5.0);
        take(g, row + 6.0);
        take(h, row + 7.0);
    }
    take(first, float(push.rows));
    take(second, float(push.rows) + 1.0);
    precise vec4 limit = push.oscillation * float(push.rows) * most;
    precise vec4 curved = left - 2.0 * most + right;
    precise vec4 off =
        0.5 * (left - right) / mix(curved, vec4(-1.0), greaterThanEqual(curved, vec4(0.0)));
    vec4 step_ = place + clamp(off, vec4(-0.5), vec4(0.5));
    step_ -= mix(vec4(0.0), vec4(push.rows), greaterThanEqual(step_, vec4(push.rows / 2u)));
    vec4 old_peak = push.number == 0u ? vec4(0.0) : peak[to];
    vec4 old_when = push.number == 0u ? vec4(0.0) : when[to];
    for (int i = 0; i < 4; i++) {
        bool good = open[i] && (push.last != 0u || (most[i] > 0.0 && bend[i] <= limit[i]));
        old_peak[i] = good ? most[i] : old_peak[i];
        old_when[i] = good ? step_[i] : old_when[i];
        taken[i] = good ? float(push.number + 1u) : taken[i];
    }
    peak[to] = old_peak;
    when[to] = old_when;
    level[to] = taken;
}
