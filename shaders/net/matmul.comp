// A product of matrices, many at once: one number an invocation.
//   0 texels  a, 1 texels  b
//   2 out     result [batch][m][n]
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"
#include "fetch.glsl"

layout(binding = 0) uniform usamplerBuffer va;
layout(binding = 1) uniform usamplerBuffer vb;
layout(std430, binding = 2) writeonly restrict buffer Result { float result[]; };
layout(push_constant, std430) uniform Push {
    PUSH_HEAD
    uint m, n, k;
    uint dim[4], batch_a[4], batch_b[4]; // of the batch
    uint row_a, step_a, step_b, column_b;
    float alpha;
} push;

void main()
{
    uint i = invocation(push.first);
    if (i >= push.end)
        return;
    uint rest = i / push.n / push.m;
    uint at_a = i / push.n % push.m * push.row_a, at_b = i % push.n * push.column_b;
    for (int d = 3; d >= 0; d--) {
        uint at = rest % push.dim[d];
        rest /= push.dim[d];
        at_a += at * push.batch_a[d];
        at_b += at * push.batch_b[d];
    }
    float sum = 0.0;
    for (uint t = 0u; t < push.k; t++) {
        sum += NUMBER(va, at_a) * NUMBER(vb, at_b);
        at_a += push.step_a;
        at_b += push.step_b;
    }
    result[i - push.out_shift] = push.alpha * sum;
}
