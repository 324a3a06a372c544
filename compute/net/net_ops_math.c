// Operators that work number by number.
#include <inttypes.h>
#include <string.h>
#include "compute/net/net_lower.h"

#define FLOAT_MOST 3.402823466e38f // of single precision

// Of Selu, where an attribute is left out: Klambauer et al., arXiv 1706.02515, to single precision.
#define SELU_ALPHA 1.67326319217681884765625f
#define SELU_GAMMA 1.05070102214813232421875f

static uint32_t lower_pairs(const struct lower *l)
{
    static const struct {
        const char *name;
        enum graph_op op;
    } known[] = {{"Add", OP_ADD},
                 {"Sub", OP_SUB},
                 {"Mul", OP_MUL},
                 {"Div", OP_DIV},
                 {"Pow", OP_POW},
                 {"Max", OP_MAX},
                 {"Min", OP_MIN},
                 {"PRelu", OP_PRELU},
                 {"Equal", OP_EQUAL},
                 {"Less", OP_LESS},
                 {"Greater", OP_GREATER},
                 {"LessOrEqual", OP_AT_MOST},
                 {"GreaterOrEqual", OP_AT_LEAST},
                 {"And", OP_MIN},
                 {"Or", OP_MAX},
                 {"Xor", OP_UNLIKE},
                 {"Sum", OP_ADD},
                 {"Mean", OP_ADD}};
    size_t k = 0;
    while (strcmp(l->n->op, known[k].name) != 0) // the table of operators names only these
        k++;
    uint32_t v = l->in[0];
    for (uint32_t i = 1; i < l->n->in_count; i++) {
        if (l->in[i] == GRAPH_NONE)
            return err_set(l->err, ERR_INPUT, "input %" PRIu32 " is left out", i);
        v = lower_binary(l, v, l->in[i], known[k].op);
        if (v == GRAPH_NONE)
            return 0;
    }
    if (strcmp(l->n->op, "Mean") == 0)
        v = lower_unary(l, v, OP_SCALE, 1 / (float)l->n->in_count, 0);
    return lower_done(l, v);
}

static uint32_t lower_singles(const struct lower *l)
{
    static const struct {
        const char *name;
        enum graph_op op;
        const char *p0, *p1;
        float absent0, absent1;
    } known[] = {{"Relu", OP_RELU, NULL, NULL, 0, 0},
                 {"LeakyRelu", OP_LEAKY, "alpha", NULL, 0.01f, 0},
                 {"Elu", OP_ELU, "alpha", NULL, 1, 0},
                 {"Sigmoid", OP_SIGMOID, NULL, NULL, 0, 0},
                 {"HardSigmoid", OP_CLAMPED, "alpha", "beta", 0.2f, 0.5f},
                 {"Sqrt", OP_SQRT, NULL, NULL, 0, 0},
                 {"Exp", OP_EXP, NULL, NULL, 0, 0},
                 {"Log", OP_LOG, NULL, NULL, 0, 0},
                 {"Tanh", OP_TANH, NULL, NULL, 0, 0},
                 {"Erf", OP_ERF, NULL, NULL, 0, 0},
                 {"Neg", OP_NEG, NULL, NULL, 0, 0},
                 {"Abs", OP_ABS, NULL, NULL, 0, 0},
                 {"Reciprocal", OP_INVERSE, NULL, NULL, 0, 0},
                 {"Floor", OP_FLOOR, NULL, NULL, 0, 0},
                 {"Ceil", OP_CEIL, NULL, NULL, 0, 0},
                 {"Softplus", OP_SOFTPLUS, NULL, NULL, 0, 0},
                 {"Softsign", OP_SOFTSIGN, NULL, NULL, 0, 0},
                 {"Round", OP_ROUND, NULL, NULL, 0, 0},
                 {"Sign", OP_SIGN, NULL, NULL, 0, 0},
                 {"Sin", OP_SIN, NULL, NULL, 0, 0},
                 {"Cos", OP_COS, NULL, NULL, 0, 0},
                 {"HardSwish", OP_HARD_SWISH, NULL, NULL, 0, 0},
                 {"Celu", OP_CELU, "alpha", NULL, 1, 0},
                 {"ThresholdedRelu", OP_ABOVE, "alpha", NULL, 1, 0},
                 {"Selu", OP_SELU, "alpha", "gamma", SELU_ALPHA, SELU_GAMMA}};
    size_t k = 0;
    while (strcmp(l->n->op, known[k].name) != 0)
        k++;
    const float p0 = known[k].p0 ? lower_float(l, known[k].p0, known[k].absent0) : 0;
    const float p1 = known[k].p1 ? lower_float(l, known[k].p1, known[k].absent1) : 0;
    return lower_done(l, lower_unary(l, l->in[0], known[k].op, p0, p1));
}

static uint32_t lower_not(const struct lower *l)
{
    return lower_done(l, lower_unary(l, l->in[0], OP_SCALE, -1, 1));
}

static uint32_t lower_gelu(const struct lower *l)
{
    const struct onnx_attr *a = lower_attr(l, "approximate");
    const bool by_tanh = a && strcmp(a->text, "tanh") == 0;
    return lower_done(l, lower_unary(l, l->in[0], by_tanh ? OP_GELU_TANH : OP_GELU, 0, 0));
}

static bool clip_bound(const struct lower *l, const char *name, uint32_t i, float *bound)
{
    const struct graph_value *v = lower_in(l, i);
    *bound = lower_float(l, name, *bound);
    if (!v)
        return true;
    if (v->count != 1 || (!v->f && !v->i))
        return err_set(l->err, ERR_UNSUPPORTED, "%s is not one constant", name);
    *bound = v->f ? v->f[0] : (float)v->i[0];
    return true;
}

static uint32_t lower_clip(const struct lower *l)
{
    float low = -FLOAT_MOST, high = FLOAT_MOST;
    return clip_bound(l, "min", 1, &low) && clip_bound(l, "max", 2, &high) &&
           lower_done(l, lower_unary(l, l->in[0], OP_CLIP, low, high));
}

static uint32_t lower_cast(const struct lower *l)
{
    const enum onnx_type to = (enum onnx_type)lower_int(l, "to", 0);
    const struct graph_value v = *lower_in(l, 0);
    if (!onnx_is_known(to))
        return err_set(l->err, ERR_UNSUPPORTED, "to type %d", (int)to);
    if (to == v.type || (onnx_is_float(to) && onnx_is_float(v.type)))
        return lower_done(l, l->in[0]);
    struct graph_step s = {.constant = {to == ONNX_BOOL ? OP_TRUTH : OP_TRUNC},
                           .in = {l->in[0]},
                           .in_count = 1,
                           .count = (uint32_t)v.count,
                           .writes = OUT_LINEAR};
    const uint32_t out = graph_value(l->g, to, v.rank, v.dim, l->err);
    return out != GRAPH_NONE && lower_done(l, lower_run(l, &s, out));
}

// a where the condition holds, else b: two halves of which one is 0, so that infinities stay.
static uint32_t lower_where(const struct lower *l)
{
    const uint32_t a = lower_binary(l, l->in[1], l->in[0], OP_PICK);
    const uint32_t b = a == GRAPH_NONE ? a : lower_binary(l, l->in[2], l->in[0], OP_DROP);
    return b != GRAPH_NONE && lower_done(l, lower_binary(l, a, b, OP_ADD));
}

static uint32_t lower_same(const struct lower *l)
{
    return lower_done(l, l->in[0]);
}

// What it does when a network is used: nothing.
static uint32_t lower_dropout(const struct lower *l)
{
    const struct graph_value *ratio = lower_in(l, 1), *training = lower_in(l, 2);
    const struct graph_value v = *lower_in(l, 0);
    if (training && (!training->i || training->count != 1))
        return err_set(l->err, ERR_UNSUPPORTED, "training_mode is not one constant");
    if (training && training->i[0] && !(ratio && ratio->f && ratio->count && ratio->f[0] == 0))
        return err_set(l->err, ERR_UNSUPPORTED, "a network that is being trained");
    l->out[0] = l->in[0];
    if (l->n->out_count < 2)
        return 1;
    static const int64_t kept = 1, none[ONNX_RANK_MAX];
    const uint32_t one = lower_whole(l, 0, 1, &kept);
    if (one == GRAPH_NONE)
        return 0;
    l->g->values[one].type = ONNX_BOOL;
    l->out[1] = lower_view(l, one, v.rank, v.dim, none, 0);
    return l->out[1] == GRAPH_NONE ? 0 : 2;
}

// Before opset 7 an attribute says how two inputs are brought to one shape.
const struct lower_op lower_ops_math[] = {
    {"Add", 7, 2, lower_pairs},
    {"Sub", 7, 2, lower_pairs},
    {"Mul", 7, 2, lower_pairs},
    {"Div", 7, 2, lower_pairs},
    {"Pow", 7, 2, lower_pairs},
    {"Max", 1, 1, lower_pairs},
    {"Min", 1, 1, lower_pairs},
    {"Sum", 1, 1, lower_pairs},
    {"Mean", 1, 1, lower_pairs},
    {"PRelu", 7, 2, lower_pairs},
    {"Equal", 7, 2, lower_pairs},
    {"Less", 7, 2, lower_pairs},
    {"Greater", 7, 2, lower_pairs},
    {"LessOrEqual", 12, 2, lower_pairs},
    {"GreaterOrEqual", 12, 2, lower_pairs},
    {"And", 7, 2, lower_pairs},
    {"Or", 7, 2, lower_pairs},
    {"Xor", 7, 2, lower_pairs},
    {"Not", 1, 1, lower_not},
    {"Where", 9, 3, lower_where},
    {"Relu", 1, 1, lower_singles},
    {"LeakyRelu", 1, 1, lower_singles},
    {"Elu", 1, 1, lower_singles},
    {"Celu", 12, 1, lower_singles},
    {"Selu", 6, 1, lower_singles},
    {"ThresholdedRelu", 10, 1, lower_singles},
    {"HardSwish", 14, 1, lower_singles},
    {"Gelu", 20, 1, lower_gelu},
    {"Sigmoid", 1, 1, lower_singles},
    {"HardSigmoid", 1, 1, lower_singles},
    {"Softplus", 1, 1, lower_singles},
    {"Softsign", 1, 1, lower_singles},
    {"Sqrt", 1, 1, lower_singles},
    {"Exp", 1, 1, lower_singles},
    {"Log", 1, 1, lower_singles},
    {"Sin", 7, 1, lower_singles},
    {"Cos", 7, 1, lower_singles},
    {"Tanh", 1, 1, lower_singles},
    {"Erf", 9, 1, lower_singles},
    {"Neg", 1, 1, lower_singles},
    {"Abs", 1, 1, lower_singles},
    {"Sign", 9, 1, lower_singles},
    {"Reciprocal", 1, 1, lower_singles},
    {"Floor", 1, 1, lower_singles},
    {"Ceil", 1, 1, lower_singles},
    {"Round", 11, 1, lower_singles},
    {"Clip", 1, 1, lower_clip},
    {"Cast", 6, 1, lower_cast},
    {"Identity", 1, 1, lower_same},
    {"Dropout", 7, 1, lower_dropout},
    {NULL, 0, 0, NULL},
};
