// One number out for one of each input. The same in C: compute/net/net_fold.c.
//   0 texels  a, 1 texels  b: floats, packed tensors
//   2 out     result
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"
#include "fetch.glsl"
#include "act.glsl"

layout(constant_id = 3) const int OP = 0;    // enum graph_op of compute/net/net_graph.h
const int RELU = 17; // the first with one input
layout(constant_id = 4) const int FIRST = 0; // axes before it are of one number

layout(binding = 0) uniform usamplerBuffer va;
layout(binding = 1) uniform usamplerBuffer vb;
layout(std430, binding = 2) writeonly restrict buffer Result { float result[]; };
layout(push_constant, std430) uniform Push {
    PUSH_HEAD
    uint dim[6];
    int step_a[6], step_b[6];
    int base_a;
    uint inner, pitch, base_out; // numbers go out in runs of inner, pitch apart
    float p0, p1;
} push;

float erf1(float x)
{
    return erf_of(vec4(x)).x;
}

float power(float a, float b)
{
    float p = pow(abs(a), b);
    if (a == 0.0)
        return b == 0.0 ? 1.0 : b > 0.0 ? 0.0 : 1.0 / 0.0;
    return a < 0.0 && mod(b, 2.0) == 1.0 ? -p : p;
}

float tanh1(float a)
{
    float c = clamp(a, -15.0, 15.0);
    return tanh(c);
}

float of(float a, float b)
{
    switch (OP) {
    case 1: return a + b; // OP_ADD
    case 2: return a - b; // OP_SUB
    case 3: return a * b; // OP_MUL
    case 4: return a / b; // OP_DIV
    case 5: return power(a, b); // OP_POW
    case 6: return max(a, b); // OP_MAX
    case 7: return min(a, b); // OP_MIN
    case 8: return a < 0.0 ? a * b : a; // OP_PRELU
    case 9: return b != 0.0 ? a : 0.0; // OP_PICK
    case 10: return b != 0.0 ? 0.0 : a; // OP_DROP
    case 11: return a == b ? 1.0 : 0.0; // OP_EQUAL
    case 12: return a < b ? 1.0 : 0.0; // OP_LESS
    case 13: return a > b ? 1.0 : 0.0; // OP_GREATER
    case 14: return a <= b ? 1.0 : 0.0; // OP_AT_MOST
    case 15: return a >= b ? 1.0 : 0.0; // OP_AT_LEAST
    case 16: return a != b ? 1.0 : 0.0; // OP_UNLIKE
    case 17: return max(a, 0.0); // OP_RELU
    case 18: return a < 0.0 ? push.p0 * a : a; // OP_LEAKY
    case 19: return a < 0.0 ? push.p0 * (exp(a) - 1.0) : a; // OP_ELU
    case 20: return 0.5 * a * (1.0 + erf1(a * 0.70710678)); // OP_GELU
    case 21: return 0.5 * a * (1.0 + tanh1(0.7978845608 * (a + 0.044715 * a * a * a))); // OP_GELU_TANH
    case 22: return 1.0 / (1.0 + exp(-a)); // OP_SIGMOID
    case 23: return clamp(push.p0 * a + push.p1, 0.0, 1.0); // OP_CLAMPED
    case 24: return sqrt(a); // OP_SQRT
    case 25: return exp(a); // OP_EXP
    case 26: return log(a); // OP_LOG
    case 27: return tanh1(a); // OP_TANH
    case 28: return erf1(a); // OP_ERF
    case 29: return -a; // OP_NEG
    case 30: return abs(a); // OP_ABS
    case 31: return 1.0 / a; // OP_INVERSE
    case 32: return floor(a); // OP_FLOOR
    case 33: return ceil(a); // OP_CEIL
    case 34: return min(max(a, push.p0), push.p1); // OP_CLIP
    case 35: return trunc(a); // OP_TRUNC
    case 36: return push.p0 * a + push.p1; // OP_SCALE
    case 37: return a > 20.0 ? a : log(1.0 + exp(a)); // OP_SOFTPLUS
    case 38: return roundEven(a); // OP_ROUND
    case 39: return sign(a); // OP_SIGN
    case 40: return sin(a); // OP_SIN
    case 41: return cos(a); // OP_COS
    case 42: return push.p1 * (a < 0.0 ? push.p0 * (exp(a) - 1.0) : a); // OP_SELU
    case 43: return a < 0.0 ? push.p0 * (exp(a / push.p0) - 1.0) : a; // OP_CELU
    case 44: return a > push.p0 ? a : 0.0; // OP_ABOVE
    case 45: return a * clamp(a / 6.0 + 0.5, 0.0, 1.0); // OP_HARD_SWISH
    case 46: return a / (1.0 + abs(a)); // OP_SOFTSIGN
    case 47: return a != 0.0 ? 1.0 : 0.0; // OP_TRUTH
    default: return a;
    }
}

void main()
{
    uint i = invocation(push.first);
    if (i >= push.end)
        return;
    uint rest = i;
    int at_a = push.base_a, at_b = 0;
    for (int d = 5; d >= FIRST; d--) {
        uint size = max(push.dim[d], 1u);
        int at = int(rest % size);
        rest /= size;
        at_a += at * push.step_a[d];
        at_b += at * push.step_b[d];
    }
    uint out_at = push.base_out + i / max(push.inner, 1u) * push.pitch + i % max(push.inner, 1u);
    result[out_at - push.out_shift] = of(NUMBER(va, at_a), OP > 0 && OP < RELU ? NUMBER(vb, at_b) : 0.0);
}
