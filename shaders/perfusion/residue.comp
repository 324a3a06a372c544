// The residue function of tissue curves at one level of truncation, of which only its maximum is kept,
// of where blood can be. A voxel whose function oscillates more than is allowed is left to the next
// level. Four voxels an invocation. With a term Re, Im of each frequency f, row m of the function is
// the sum of Re cos(2 pi f m / rows) less that of Im sin(...), and row rows - m the sum of both: rows
// are made two by two, from both ends to the middle.
//   0 texels  terms   float, planes of `planes` terms: Re and Im of each frequency (terms.comp)
//   1 texels  mask    bit mask
//   2 texels  matrix  float: of each four rows from row 1 on, of each frequency: cosines, sines
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
    uint steps, rows;  // rows: a multiple of 8
    uint planes, used; // terms that there are; frequencies that count: the first
    uint number;       // of this level
    uint last;         // 1: it is the last level, which every voxel takes
    float oscillation;
    uint early;        // rows before the artery at which the maximum may be; after it, all steps
} push;

vec4 up, up_before;     // rows m - 1 and m - 2
vec4 down, down_before; // rows - (m - 1) and rows - (m - 2)
vec4 bend;              // sum of the second differences
vec4 most, left, right, place; // the maximum so far, its neighbours, its row

void judge(vec4 v, vec4 before, vec4 after, float row, bool may)
{
    may = may && (row < float(push.steps) || row >= float(push.rows - push.early));
    bvec4 higher = may ? greaterThan(v, most) : bvec4(false);
    most = mix(most, v, higher);
    left = mix(left, before, higher);
    right = mix(right, after, higher);
    place = mix(place, vec4(row), higher);
}

vec4 bent(vec4 a, vec4 b, vec4 c)
{
    precise vec4 d = abs(a - 2.0 * b + c);
    return d;
}

// Takes rows m and rows - m, and looks at those before.
void take(vec4 even, vec4 odd, float m)
{
    precise vec4 a = even - odd, b = even + odd;
    judge(up, up_before, a, m - 1.0, m > 1.5);
    judge(down, b, down_before, float(push.rows) - m + 1.0, m > 1.5);
    precise vec4 more = bend + (m > 1.5 ? bent(a, up, up_before) : vec4(0.0));
    more += m > 2.5 ? bent(b, down, down_before) : vec4(0.0);
    bend = more;
    up_before = up;
    down_before = down;
    up = a;
    down = b;
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
    precise vec4 zero = vec4(0.0); // row 0
    for (uint n = 0u; n < push.used; n++)
        zero += uintBitsToFloat(texelFetch(terms, int(from + 2u * n * plane)));
    up = down = zero;
    up_before = down_before = bend = left = right = place = vec4(0.0);
    most = vec4(-3.0e38);
    vec4 first = vec4(0.0), end = vec4(0.0); // rows 1 and rows - 1
    for (uint block = 0u; block < push.rows / 8u; block++) {
        precise vec4 a = vec4(0.0), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
        uint entry = block * push.planes;
        for (uint n = 0u; n < push.used; n++) {
            vec4 re = uintBitsToFloat(texelFetch(terms, int(from + 2u * n * plane)));
            vec4 im = uintBitsToFloat(texelFetch(terms, int(from + (2u * n + 1u) * plane)));
            vec4 cosine = uintBitsToFloat(texelFetch(matrix, int(entry + 2u * n)));
            vec4 sine = uintBitsToFloat(texelFetch(matrix, int(entry + 2u * n + 1u)));
            a += cosine.x * re;
            b += cosine.y * re;
            c += cosine.z * re;
            d += cosine.w * re;
            e += sine.x * im;
            f += sine.y * im;
            g += sine.z * im;
            h += sine.w * im;
        }
        float m = float(4u * block + 1u);
        first = block == 0u ? a - e : first;
        end = block == 0u ? a + e : end;
        take(a, e, m);
        take(b, f, m + 1.0);
        take(c, g, m + 2.0);
        take(d, h, m + 3.0);
    }
    // The middle row is in both halves.
    precise vec4 bend_all = bend + bent(down_before, up, up_before);
    judge(zero, end, first, 0.0, true);
    judge(up, up_before, down_before, float(push.rows / 2u), true);
    precise vec4 limit = push.oscillation * float(push.rows) * most;
    precise vec4 curved = left - 2.0 * most + right;
    precise vec4 off =
        0.5 * (left - right) / mix(curved, vec4(-1.0), greaterThanEqual(curved, vec4(0.0)));
    vec4 step_ = place + clamp(off, vec4(-0.5), vec4(0.5));
    step_ -= mix(vec4(0.0), vec4(push.rows), greaterThanEqual(step_, vec4(push.rows / 2u)));
    vec4 old_peak = push.number == 0u ? vec4(0.0) : peak[to];
    vec4 old_when = push.number == 0u ? vec4(0.0) : when[to];
    for (int i = 0; i < 4; i++) {
        bool good = open[i] && (push.last != 0u || (most[i] > 0.0 && bend_all[i] <= limit[i]));
        old_peak[i] = good ? most[i] : old_peak[i];
        old_when[i] = good ? step_[i] : old_when[i];
        taken[i] = good ? float(push.number + 1u) : taken[i];
    }
    peak[to] = old_peak;
    when[to] = old_when;
    level[to] = taken;
}
