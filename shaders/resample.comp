// Trilinear samples at an affine map of the result's index, four voxels an invocation.
//   0 texels  value   packed int16 pairs, or float
//   1 out     result  float
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

layout(constant_id = 3) const bool FLOAT = false;
layout(binding = 0) uniform usamplerBuffer value;
layout(std430, binding = 1) writeonly restrict buffer Result { vec4 result[]; };
layout(push_constant, std430) uniform Push
{
    uint columns, rows, slices;    // of the result; slices of this dispatch
    uint value_row, value_slice;   // quads
    uint result_row, result_slice; // quads
    uint first;                    // slice of the result this dispatch starts with
    uint value_dim[3];
    uint value_first; // slice the value binding starts with
    float map[12];    // rows of a 3 x 4 matrix: index of the result -> index of value
} push;
#include "value.glsl"

float along(uint axis, vec3 p)
{
    precise float v = push.map[4u * axis] * p.x;
    v += push.map[4u * axis + 1u] * p.y;
    v += push.map[4u * axis + 2u] * p.z;
    v += push.map[4u * axis + 3u];
    return clamp(v, 0.0, float(push.value_dim[axis] - 1u));
}

float mix_exact(float a, float b, float t)
{
    precise float v = a + (b - a) * t;
    return v;
}

float row_sample(uint row, uint x0, uint x1, float t)
{
    return mix_exact(voxel(row, x0), voxel(row, x1), t);
}

float slice_sample(uint slice, uvec3 lo, uvec3 hi, vec3 t)
{
    return mix_exact(row_sample(slice + lo.y * push.value_row, lo.x, hi.x, t.x),
                     row_sample(slice + hi.y * push.value_row, lo.x, hi.x, t.x), t.y);
}

float trilinear(vec3 p)
{
    precise vec3 at = vec3(along(0u, p), along(1u, p), along(2u, p));
    vec3 base = floor(at);
    precise vec3 t = at - base;
    uvec3 lo = uvec3(base);
    uvec3 hi = min(lo + 1u, uvec3(push.value_dim[0], push.value_dim[1], push.value_dim[2]) - 1u);
    return mix_exact(slice_sample((lo.z - push.value_first) * push.value_slice, lo, hi, t),
                     slice_sample((hi.z - push.value_first) * push.value_slice, lo, hi, t), t.z);
}

void main()
{
    uvec3 at = gl_GlobalInvocationID;
    if (4u * at.x >= push.columns || at.y >= push.rows || at.z >= push.slices)
        return;
    vec3 p = vec3(4u * at.x, at.y, push.first + at.z);
    vec4 v;
    for (int n = 0; n < 4; n++)
        v[n] = trilinear(p + vec3(n, 0, 0));
    result[at.z * push.result_slice + at.y * push.result_row + at.x] = v;
}
