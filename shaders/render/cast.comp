// Rays through a volume, one a pixel of one of several views. Sample n of a ray lies n steps behind
// the plane in which the ray starts, whatever is skipped: a picture does not depend on what is
// empty. What counts are samples between the centres of the outermost voxels.
//   0 texels  value  packed int16 pairs, the whole volume
//   1 texels  brick  a word a brick of 8 x 8 x 8 cells. Projections: least and most value of it;
//                    rendering: whether any value in it can be seen
//   2 texels  table  rendering: red, green, blue, opacity of a step, floats, TABLE entries
//   3 texels  view   7 x 4 floats a view, see struct render_view
//   4 out     pixel  a word a pixel. Projections: a float, NOTHING where no sample counts;
//                    rendering: red, green, blue, 8 bits each from the lowest
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

layout(constant_id = 3) const uint MODE = 0u;
layout(binding = 0) uniform usamplerBuffer value;
layout(binding = 1) uniform usamplerBuffer brick;
layout(binding = 2) uniform usamplerBuffer table;
layout(binding = 3) uniform usamplerBuffer view;
layout(std430, binding = 4) writeonly restrict buffer Pixel { uint pixel[]; };
layout(push_constant, std430) uniform Push
{
    Grid grid;   // columns x BAND rows x bands of all views
    uint dim[3]; // of the volume
    uint row, slice;
    uint bricks[2]; // columns and rows of bricks
    uint bands;     // of a view
    float ground;   // lower values are taken for it
    float table_from, table_scale;
    float ambient, diffuse, specular;
} push;

const uint MAXIMUM = 0u, MINIMUM = 1u, MEAN = 2u, RENDERING = 3u;
const uint BAND = 16u;
const float NOTHING = -32768.0;
const float TABLE_LAST = 4095.0;
const float OPAQUE = 0.998; // half of an 8 bit step is left behind it
const float LEAST_GRADIENT = 1e-3; // a mm: below it there is no surface to light

vec4 of_view(uint frame, uint n)
{
    return uintBitsToFloat(texelFetch(view, int(7u * frame + n)));
}

// Voxels x and x + 1 of a row; the second is the first where the row ends.
vec2 pair(uint row, uint x)
{
    uint at = row + x, in_texel = x & 7u;
    uvec4 t = texelFetch(value, int(at / 8u));
    uint word = grid_pick(t, in_texel / 2u);
    uint next = grid_pick(t, (in_texel / 2u + 1u) & 3u);
    if (in_texel == 7u)
        next = texelFetch(value, int((row + min(x + 1u, push.dim[0] - 1u)) / 8u)).x;
    vec2 v = (x & 1u) == 0u ? vec2(low16(word), high16(word)) : vec2(high16(word), low16(next));
    return v;
}

bool lacks_voxel; // a voxel around the last sample is nothing

float mix_exact(float a, float b, float t)
{
    precise float v = a + (b - a) * t;
    return v;
}

float sample_at(vec3 p)
{
    vec3 base = floor(p);
    precise vec3 t = p - base;
    uvec3 lo = uvec3(base);
    uint y1 = min(lo.y + 1u, push.dim[1] - 1u), z1 = min(lo.z + 1u, push.dim[2] - 1u);
    uint s0 = lo.z * push.slice, s1 = z1 * push.slice;
    uint r0 = lo.y * push.row, r1 = y1 * push.row;
    vec2 a = pair(s0 + r0, lo.x), b = pair(s0 + r1, lo.x);
    vec2 c = pair(s1 + r0, lo.x), d = pair(s1 + r1, lo.x);
    if (MODE == MINIMUM || MODE == MEAN) {
        vec2 least = min(min(a, b), min(c, d));
        lacks_voxel = min(least.x, least.y) <= NOTHING;
    } else {
        a = max(a, push.ground);
        b = max(b, push.ground);
        c = max(c, push.ground);
        d = max(d, push.ground);
    }
    float near = mix_exact(mix_exact(a.x, a.y, t.x), mix_exact(b.x, b.y, t.x), t.y);
    float far = mix_exact(mix_exact(c.x, c.y, t.x), mix_exact(d.x, d.y, t.x), t.y);
    return mix_exact(near, far, t.z);
}

float clamped(vec3 p)
{
    return sample_at(clamp(p, vec3(0.0), vec3(push.dim[0], push.dim[1], push.dim[2]) - 1.0));
}

// Central differences over two voxels, a voxel step of each index.
vec3 gradient(vec3 p)
{
    return 0.5 * vec3(clamped(p + vec3(1, 0, 0)) - clamped(p - vec3(1, 0, 0)),
                      clamped(p + vec3(0, 1, 0)) - clamped(p - vec3(0, 1, 0)),
                      clamped(p + vec3(0, 0, 1)) - clamped(p - vec3(0, 0, 1)));
}

bool in_grid(vec3 p)
{
    return all(greaterThanEqual(p, vec3(0.0))) &&
           all(lessThanEqual(p, vec3(push.dim[0], push.dim[1], push.dim[2]) - 1.0));
}

uvec3 brick_of(vec3 p)
{
    return uvec3(p) / 8u;
}

uint brick_word(uvec3 b)
{
    return texel_word(brick, (b.z * push.bricks[1] + b.y) * push.bricks[0] + b.x);
}

// Steps from p that are certain to stay in its brick.
uint steps_in(vec3 p, vec3 inverse, uvec3 b)
{
    vec3 lo = (8.0 * vec3(b) - p) * inverse, hi = (8.0 * vec3(b + 1u) - p) * inverse;
    vec3 t = max(lo, hi);
    return uint(max(1.0, ceil(min(min(t.x, t.y), t.z) - 1e-3)));
}

// The first sample that may count and the one behind the last, one too many at both ends: the test
// of each sample decides.
uvec2 range_of(vec3 start, vec3 inverse, uint samples)
{
    vec3 a = -start * inverse;
    vec3 b = (vec3(push.dim[0], push.dim[1], push.dim[2]) - 1.0 - start) * inverse;
    vec3 lo = min(a, b), hi = max(a, b);
    float from = max(max(lo.x, lo.y), lo.z) - 1.0, to = min(min(hi.x, hi.y), hi.z) + 2.0;
    if (!(from < to))
        return uvec2(0u);
    return uvec2(clamp(from, 0.0, float(samples)), clamp(to, 0.0, float(samples)));
}

vec4 shaded(vec3 p, float v, vec3 light, vec3 g0, vec3 g1, vec3 g2)
{
    float entry = clamp((v - push.table_from) * push.table_scale, 0.0, TABLE_LAST);
    vec4 seen = uintBitsToFloat(texelFetch(table, int(entry + 0.5)));
    if (seen.a <= 0.0)
        return vec4(0.0);
    vec3 g = gradient(p);
    float size = length(vec3(dot(g0, g), dot(g1, g), dot(g2, g)));
    float facing = size > LEAST_GRADIENT ? min(abs(dot(light, g)) / size, 1.0) : 0.0;
    float f2 = facing * facing, f8 = f2 * f2 * f2 * f2;
    seen.rgb = seen.rgb * (push.ambient + push.diffuse * facing) + push.specular * f8 * f2;
    return vec4(min(seen.rgb, 1.0) * seen.a, seen.a);
}

uint packed(vec3 rgb)
{
    uvec3 c = uvec3(clamp(rgb, 0.0, 1.0) * 255.0 + 0.5);
    return c.r | c.g << 8 | c.b << 16;
}

void main()
{
    uvec3 at;
    if (!grid_voxel(push.grid, uvec3(1), at))
        return;
    uint frame = at.z / push.bands;
    uint x = at.x, y = at.z % push.bands * BAND + at.y;
    vec4 first = of_view(frame, 0u), right = of_view(frame, 1u), down = of_view(frame, 2u),
         step_ = of_view(frame, 3u);
    precise vec3 start = first.xyz + right.xyz * float(x);
    start += down.xyz * float(y);
    vec3 inverse = vec3(step_.x != 0.0 ? 1.0 / step_.x : 1e30, step_.y != 0.0 ? 1.0 / step_.y : 1e30,
                        step_.z != 0.0 ? 1.0 / step_.z : 1e30);
    vec3 g0, g1, g2, light = vec3(0.0);
    if (MODE == RENDERING) {
        g0 = of_view(frame, 4u).xyz;
        g1 = of_view(frame, 5u).xyz;
        g2 = of_view(frame, 6u).xyz;
        light = step_.xyz * step_.w;
    }
    uvec2 range = range_of(start, inverse, uint(first.w));
    float best = MODE == MINIMUM ? 32768.0 : NOTHING, sum = 0.0, count = 0.0;
    vec4 seen = vec4(0.0);
    uint n = range.x;
    while (n < range.y) {
        precise vec3 p = start + step_.xyz * float(n);
        if (!in_grid(p)) {
            n++;
            continue;
        }
        uvec3 b = brick_of(p);
        uint word = brick_word(b), stop = min(n + steps_in(p, inverse, b), range.y);
        bool skip;
        if (MODE == MAXIMUM)
            skip = float(high16(word)) <= best;
        else if (MODE == MINIMUM)
            skip = float(low16(word)) >= best || float(high16(word)) <= NOTHING;
        else if (MODE == MEAN)
            skip = float(high16(word)) <= NOTHING;
        else
            skip = word == 0u;
        if (skip) {
            n = stop;
            continue;
        }
        for (; n < stop; n++) {
            precise vec3 q = start + step_.xyz * float(n);
            if (!in_grid(q))
                continue;
            float v = sample_at(q);
            if (MODE == MAXIMUM) {
                best = max(best, v);
            } else if (MODE == MINIMUM) {
                if (!lacks_voxel)
                    best = min(best, v);
            } else if (MODE == MEAN) {
                if (!lacks_voxel) {
                    sum += v;
                    count += 1.0;
                }
            } else {
                vec4 s = shaded(q, v, light, g0, g1, g2);
                seen += (1.0 - seen.a) * s;
                if (seen.a > OPAQUE) {
                    n = range.y;
                    break;
                }
            }
        }
    }
    uint result;
    if (MODE == RENDERING)
        result = packed(seen.rgb);
    else if (MODE == MEAN)
        result = floatBitsToUint(count > 0.0 ? sum / count : NOTHING);
    else
        result = floatBitsToUint(MODE == MINIMUM && best > 32767.0 ? NOTHING : best);
    pixel[(at.z * BAND + at.y) * push.grid.columns + at.x] = result;
}
