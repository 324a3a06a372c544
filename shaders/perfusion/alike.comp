// Curves as means of those around them in their slice that are like them: weights fall with the
// distance and with how far the guides (the same curves, smoothed a little) differ by more than noise
// does. Four voxels of a row an invocation, which share what they read; 0 outside a mask. Sums go
// row by row, so that the means are written once for each row around.
//   0 texels  curves  float, planes of `steps` points
//   1 texels  guide   float, planes of `steps` points; to be divided by:
//   2 texels  part    float: of the mask around each voxel
//   3 texels  mask    bit mask
//   4 inout   alike   float, planes of `steps` points
#version 450
#extension GL_GOOGLE_include_directive : require
#include "grid.glsl"

const int REACH_MAX = 4; // voxels: as many as stand beside the four of a texel
const int ACROSS = 2 * REACH_MAX + 1;
layout(constant_id = 3) const bool WIDE = false; // whether reach is REACH_MAX

layout(binding = 0) uniform usamplerBuffer curves;
layout(binding = 1) uniform usamplerBuffer guide;
layout(binding = 2) uniform usamplerBuffer part;
layout(binding = 3) uniform usamplerBuffer mask;
layout(std430, binding = 4) restrict buffer Alike { vec4 alike[]; };
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

// Everything indexed by how far a neighbour is to the right, plus REACH_MAX, is indexed by literals,
// or it would be memory instead of registers. The ends are for the longest reach only, which is a
// constant as a software device does both sides of an `if`.
#define FIRST(DO) DO(0)
#define MIDDLE(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#define LAST(DO) DO(8)
#define ALL(DO) FIRST(DO) MIDDLE(DO) LAST(DO)
#define REACHED(DO) if (WIDE) { FIRST(DO) } MIDDLE(DO) if (WIDE) { LAST(DO) }

struct Row { vec4 left, here, right; }; // twelve voxels, of which `here` are those of the invocation

// The four voxels that are n - REACH_MAX to the right.
vec4 beside(Row r, int n)
{
    return n == 0   ? r.left
           : n == 1 ? vec4(r.left.yzw, r.here.x)
           : n == 2 ? vec4(r.left.zw, r.here.xy)
           : n == 3 ? vec4(r.left.w, r.here.xyz)
           : n == 4 ? r.here
           : n == 5 ? vec4(r.here.yzw, r.right.x)
           : n == 6 ? vec4(r.here.zw, r.right.xy)
           : n == 7 ? vec4(r.here.w, r.right.xyz)
                    : r.right;
}

vec4 four(usamplerBuffer values, int texel)
{
    return uintBitsToFloat(texelFetch(values, texel));
}

// left, right: texels to go to those beside; 0 at an end of the row.
Row row_at(usamplerBuffer values, int texel, int left, int right)
{
    return Row(four(values, texel - left), four(values, texel), four(values, texel + right));
}

// The mask of twelve voxels, the first at at.x - 4.
uint mask_around(uvec3 at)
{
    uint bits = (texel_word(mask, grid_mask_in(push.grid, at)) >> (at.x & 31u) & 15u) << 4;
    uvec3 left = at - uvec3(4, 0, 0), right = at + uvec3(4, 0, 0);
    if (at.x >= 4u)
        bits |= texel_word(mask, grid_mask_in(push.grid, left)) >> (left.x & 31u) & 15u;
    if (right.x < push.grid.columns)
        bits |= (texel_word(mask, grid_mask_in(push.grid, right)) >> (right.x & 31u) & 15u) << 8;
    return bits & ((1u << min(push.grid.columns - at.x + 4u, 12u)) - 1u);
}

void main()
{
    uvec3 at;
    if (!grid_voxel(push.grid, uvec3(4, 1, 1), at))
        return;
    int plane = int(push.grid.slice / 4u);
    uint to = ((at.z - push.grid.first) * push.steps * push.grid.slice + at.y * push.grid.row + at.x) / 4u;
    uint bits = mask_around(at) >> 4 & 15u;
    if (bits == 0u) {
        for (uint n = 0u; n < push.steps; n++)
            alike[to + n * plane] = vec4(0.0);
        return;
    }
    bvec4 inside = notEqual(uvec4(bits) & uvec4(1u, 2u, 4u, 8u), uvec4(0u));
    int left = at.x >= 4u ? 1 : 0, right = at.x + 4u < push.grid.columns ? 1 : 0;
    int row = int(push.grid.row / 4u);
    int slice = int((at.z - push.grid.in_first) * push.steps) * plane + int(at.x / 4u);
    int own = slice + int(at.y) * row;
    vec4 own_part = 1.0 / four(part, int(grid_in(push.grid, at) / 4u));
    int first = max(int(at.y) - push.reach, 0);
    int last = min(int(at.y) + push.reach, int(push.grid.rows) - 1);
    precise vec4 all = vec4(0.0);
    for (int y = first; y <= last; y++) {
        uvec3 other = uvec3(at.x, uint(y), at.z);
        uint around = mask_around(other);
        Row parts = row_at(part, int(grid_in(push.grid, other) / 4u), left, right);
        int there = slice + y * row;
        vec4 scale[ACROSS], weight[ACROSS];
        precise vec4 differ[ACROSS];
#define BEGIN(n)                       \
    scale[n] = 1.0 / beside(parts, n); \
    differ[n] = weight[n] = vec4(0.0);
        ALL(BEGIN)
        for (uint n = push.before; n < push.steps; n += push.stride) {
            int step_ = int(n) * plane;
            precise vec4 mine = four(guide, own + step_) * own_part;
            Row r = row_at(guide, there + step_, left, right);
#define COMPARE(n)                                         \
    {                                                      \
        precise vec4 d = mine - beside(r, n) * scale[n];   \
        differ[n] += d * d;                                \
    }
            REACHED(COMPARE)
        }
        int dy = y - int(at.y);
#define WEIGH(n)                                                                             \
    {                                                                                        \
        const int dx = n - REACH_MAX;                                                        \
        precise vec4 more = max(differ[n] * push.share - 2.0 * push.noise, 0.0) / push.noise; \
        vec4 w = exp(-float(dx * dx) * push.near_x - float(dy * dy) * push.near_y -          \
                     0.5 * more * more);                                                     \
        bvec4 counts = notEqual(uvec4(around >> n) & uvec4(1u, 2u, 4u, 8u), uvec4(0u));      \
        weight[n] = mix(vec4(0.0), w, counts);                                               \
        all += weight[n];                                                                    \
    }
#define WEIGH_NEAR(n) if (abs(n - REACH_MAX) <= push.reach) WEIGH(n)
        REACHED(WEIGH_NEAR)
        for (uint n = 0u; n < push.steps; n++) {
            Row r = row_at(curves, there + int(n) * plane, left, right);
            precise vec4 sum = y == first ? vec4(0.0) : alike[to + n * plane];
#define ADD(n) sum += weight[n] * beside(r, n);
            REACHED(ADD)
            alike[to + n * plane] = y == last ? mix(vec4(0.0), sum / all, inside) : sum;
        }
    }
}
