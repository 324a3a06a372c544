// Rays through a volume, one a pixel of one of several views. Sample n of a ray lies n steps behind
// the plane in which the ray starts, whatever is skipped: a picture does not depend on what is
// empty. What counts are samples between the centres of the outermost voxels.
// A ray goes on in loops: over bricks that cannot count, over samples that cannot be seen, and around
// them what a sample costs that can. Neighbours thus do each of these together.
//   0 words   value  packed int16 pairs, the whole volume, at least 2 voxels along each axis
//   1 words   brick  a word a brick of 8 x 8 x 8 cells. Projections: least and most value of it;
//                    rendering: 0 where a value in it can be seen, else how many bricks away
//                    (along the axis on which it is most) the nearest such brick is
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

// ---- Voxels -------------------------------------------------------------------------------------

float voxel(uint at)
{
    uint word = texelFetch(value, int(at >> 1)).x;
    float v = float(int(word << (16u - 16u * (at & 1u))) >> 16);
    return MODE == MAXIMUM || MODE == RENDERING ? max(v, push.ground) : v;
}

vec2 pair(uint at) // and the next of the row
{
    return vec2(voxel(at), voxel(at + 1u));
}

// What a sample is interpolated from: rows y and y + 1 of slice z, then of slice z + 1.
struct Cell {
    uvec3 lo;
    vec3 t; // from lo
    uint at;
    vec2 v[4];
};

float mix_exact(float a, float b, float t)
{
    precise float v = a + (b - a) * t;
    return v;
}

uvec3 last_cell()
{
    return uvec3(push.dim[0], push.dim[1], push.dim[2]) - 2u;
}

void read_cell(vec3 p, out Cell c)
{
    c.lo = min(uvec3(p), last_cell());
    precise vec3 t = p - vec3(c.lo);
    c.t = t;
    c.at = c.lo.z * push.slice + c.lo.y * push.row + c.lo.x;
    c.v[0] = pair(c.at);
    c.v[1] = pair(c.at + push.row);
    c.v[2] = pair(c.at + push.slice);
    c.v[3] = pair(c.at + push.slice + push.row);
}

bool lacks_voxel(Cell c)
{
    vec2 least = min(min(c.v[0], c.v[1]), min(c.v[2], c.v[3]));
    return min(least.x, least.y) <= NOTHING;
}

float value_of(Cell c)
{
    float near = mix_exact(mix_exact(c.v[0].x, c.v[0].y, c.t.x),
                           mix_exact(c.v[1].x, c.v[1].y, c.t.x), c.t.y);
    float far = mix_exact(mix_exact(c.v[2].x, c.v[2].y, c.t.x),
                          mix_exact(c.v[3].x, c.v[3].y, c.t.x), c.t.y);
    return mix_exact(near, far, c.t.z);
}

float across(uint at, float t)
{
    vec2 v = pair(at);
    return mix(v.x, v.y, t);
}

// Central differences over two voxels, a voxel step of each index, interpolated.
vec3 gradient(Cell c)
{
    uvec3 before = min(c.lo, uvec3(1u)), after = min(last_cell() - c.lo, uvec3(1u)) + 1u;
    vec4 here, least, most; // of the rows
    for (int n = 0; n < 4; n++) {
        uint at = c.at + ((n & 1) != 0 ? push.row : 0u) + ((n & 2) != 0 ? push.slice : 0u);
        here[n] = mix(c.v[n].x, c.v[n].y, c.t.x);
        least[n] = mix(voxel(at - before.x), c.v[n].x, c.t.x);
        most[n] = mix(c.v[n].y, voxel(at + after.x), c.t.x);
    }
    vec4 dx = most - least;
    uint up = before.y * push.row, down = after.y * push.row;
    vec2 y0 = vec2(across(c.at - up, c.t.x), across(c.at + push.slice - up, c.t.x));
    vec2 y1 = vec2(across(c.at + down, c.t.x), across(c.at + push.slice + down, c.t.x));
    vec2 dy = mix(here.yw - y0, y1 - here.xz, c.t.y);
    up = before.z * push.slice;
    down = after.z * push.slice;
    vec2 z0 = vec2(across(c.at - up, c.t.x), across(c.at + push.row - up, c.t.x));
    vec2 z1 = vec2(across(c.at + down, c.t.x), across(c.at + push.row + down, c.t.x));
    vec2 dz = mix(here.zw - z0, z1 - here.xy, c.t.z);
    return 0.5 * vec3(mix(mix(dx.x, dx.y, c.t.y), mix(dx.z, dx.w, c.t.y), c.t.z),
                      mix(dy.x, dy.y, c.t.z), mix(dz.x, dz.y, c.t.y));
}

// ---- Along a ray --------------------------------------------------------------------------------

bool in_grid(vec3 p)
{
    return all(greaterThanEqual(p, vec3(0.0))) &&
           all(lessThanEqual(p, vec3(push.dim[0], push.dim[1], push.dim[2]) - 1.0));
}

uint brick_word(uvec3 b)
{
    return texelFetch(brick, int((b.z * push.bricks[1] + b.y) * push.bricks[0] + b.x)).x;
}

// Steps from p that are certain to stay within `around` bricks of brick b.
uint steps_in(vec3 p, vec3 inverse, uvec3 b, float around)
{
    vec3 lo = (8.0 * (vec3(b) - around) - p) * inverse;
    vec3 hi = (8.0 * (vec3(b) + 1.0 + around) - p) * inverse;
    vec3 t = max(lo, hi);
    return uint(max(1.0, ceil(min(min(t.x, t.y), t.z) - 1e-3)));
}

vec3 sample_place(vec3 start, vec3 step_, uint n)
{
    precise vec3 p = start + step_ * float(n);
    return p;
}

// The first sample in the grid and the one behind the last.
uvec2 range_of(vec3 start, vec3 step_, vec3 inverse, uint samples)
{
    vec3 room = vec3(equal(step_, vec3(0.0))) * 1e-3; // a ray may run along the outermost voxels
    vec3 a = (-start - room) * inverse;
    vec3 b = (vec3(push.dim[0], push.dim[1], push.dim[2]) - 1.0 - start + room) * inverse;
    vec3 lo = min(a, b), hi = max(a, b);
    float from = max(max(lo.x, lo.y), lo.z) - 1.0, to = min(min(hi.x, hi.y), hi.z) + 2.0;
    if (!(from < to))
        return uvec2(0u);
    uint n = uint(clamp(from, 0.0, float(samples))), end = uint(clamp(to, 0.0, float(samples)));
    while (n < end && !in_grid(sample_place(start, step_, n)))
        n++;
    while (n < end && !in_grid(sample_place(start, step_, end - 1u)))
        end--;
    return uvec2(n, end);
}

// The greatest sample in the brick of the greatest value: most others then cannot count.
float guess(vec3 start, vec3 step_, vec3 inverse, uvec2 range)
{
    float most = NOTHING, best = NOTHING;
    uvec2 within = uvec2(0u);
    for (uint n = range.x; n < range.y;) {
        vec3 p = sample_place(start, step_, n);
        uvec3 b = uvec3(p) / 8u;
        float v = float(high16(brick_word(b)));
        uint stop = min(n + steps_in(p, inverse, b, 0.0), range.y);
        within = v > most ? uvec2(n, stop) : within;
        most = max(most, v);
        n = stop;
    }
    for (uint n = within.x; n < within.y; n++) {
        Cell c;
        read_cell(sample_place(start, step_, n), c);
        best = max(best, value_of(c));
    }
    return best;
}

bool skips(uint word, float best)
{
    float least = float(low16(word)), most = float(high16(word));
    return MODE == MAXIMUM   ? most <= best
           : MODE == MINIMUM ? least >= best || most <= NOTHING
           : MODE == MEAN    ? most <= NOTHING
                             : word != 0u;
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
    vec3 g0 = of_view(frame, 4u).xyz, g1 = of_view(frame, 5u).xyz, g2 = of_view(frame, 6u).xyz;
    vec3 light = step_.xyz * step_.w;
    uvec2 range = range_of(start, step_.xyz, inverse, uint(first.w));
    float best = MODE == MINIMUM ? 32768.0 : NOTHING, sum = 0.0, count = 0.0;
    vec4 seen = vec4(0.0);
    if (MODE == MAXIMUM)
        best = guess(start, step_.xyz, inverse, range);
    uint n = range.x, stop = range.x; // samples before stop are in a brick that counts
    while (n < range.y) {
        Cell c;
        vec4 s = vec4(0.0);
        while (n < range.y && s.a <= 0.0) {
            while (n == stop && n < range.y) {
                vec3 p = sample_place(start, step_.xyz, n);
                uvec3 b = uvec3(p) / 8u;
                uint word = brick_word(b);
                bool skip = skips(word, best);
                float around = MODE == RENDERING && skip ? float(word) - 1.0 : 0.0;
                stop = min(n + steps_in(p, inverse, b, around), range.y);
                n = skip ? stop : n;
            }
            while (n < stop && s.a <= 0.0) {
                read_cell(sample_place(start, step_.xyz, n), c);
                float v = value_of(c);
                if (MODE == RENDERING) {
                    float entry = (v - push.table_from) * push.table_scale;
                    s = uintBitsToFloat(
                        texelFetch(table, int(clamp(entry, 0.0, TABLE_LAST) + 0.5)));
                } else if (MODE == MAXIMUM) {
                    best = max(best, v);
                } else if (!lacks_voxel(c)) {
                    best = min(best, v);
                    sum += v;
                    count += 1.0;
                }
                n++;
            }
        }
        if (MODE == RENDERING && s.a > 0.0) {
            vec3 g = gradient(c);
            float size = length(vec3(dot(g0, g), dot(g1, g), dot(g2, g)));
            float facing = size > LEAST_GRADIENT ? min(abs(dot(light, g)) / size, 1.0) : 0.0;
            float f2 = facing * facing, f8 = f2 * f2 * f2 * f2;
            s.rgb = s.rgb * (push.ambient + push.diffuse * facing) + push.specular * f8 * f2;
            seen += (1.0 - seen.a) * vec4(min(s.rgb, 1.0) * s.a, s.a);
            n = seen.a > OPAQUE ? range.y : n;
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
