// What depends on constants only, computed while a graph is built: the plain C twin of
// shaders/net/map.comp and taps.comp.
#include <math.h>
#include <string.h>
#include "compute/net/net_graph.h"

static double number_at(const struct graph_value *v, int64_t at)
{
    if (at < 0 || (uint64_t)at >= v->count)
        return 0;
    return v->f ? (double)v->f[at] : (double)v->i[at];
}

static float float_of(uint32_t word)
{
    float f = 0;
    memcpy(&f, &word, sizeof f);
    return f;
}

static double map_op(enum graph_op op, double a, double b, double p0, double p1, bool whole)
{
    switch (op) {
    case OP_ADD:
        return a + b;
    case OP_SUB:
        return a - b;
    case OP_MUL:
        return a * b;
    case OP_DIV:
        return whole ? (b != 0 ? trunc(a / b) : 0) : a / b;
    case OP_POW:
        return pow(a, b);
    case OP_MAX:
        return fmax(a, b);
    case OP_MIN:
        return fmin(a, b);
    case OP_PRELU:
        return a < 0 ? a * b : a;
    case OP_PICK:
        return b != 0 ? a : 0;
    case OP_DROP:
        return b != 0 ? 0 : a;
    case OP_AT_MOST:
        return a <= b;
    case OP_AT_LEAST:
        return a >= b;
    case OP_UNLIKE:
        return a != b;
    case OP_EQUAL:
        return a == b;
    case OP_LESS:
        return a < b;
    case OP_GREATER:
        return a > b;
    case OP_RELU:
        return fmax(a, 0);
    case OP_LEAKY:
        return a < 0 ? p0 * a : a;
    case OP_ELU:
        return a < 0 ? p0 * expm1(a) : a;
    case OP_GELU:
        return a / 2 * erfc(-a / sqrt(2));
    case OP_GELU_TANH:
        return a / 2 * (1 + tanh(0.7978845608028654 * (a + 0.044715 * a * a * a)));
    case OP_SIGMOID:
        return 1 / (1 + exp(-a));
    case OP_CLAMPED:
        return fmin(fmax(p0 * a + p1, 0), 1);
    case OP_SQRT:
        return sqrt(a);
    case OP_EXP:
        return exp(a);
    case OP_LOG:
        return log(a);
    case OP_TANH:
        return tanh(a);
    case OP_ERF:
        return erf(a);
    case OP_NEG:
        return -a;
    case OP_ABS:
        return fabs(a);
    case OP_INVERSE:
        return 1 / a;
    case OP_FLOOR:
        return floor(a);
    case OP_CEIL:
        return ceil(a);
    case OP_CLIP:
        return fmin(fmax(a, p0), p1);
    case OP_TRUNC:
        return trunc(a);
    case OP_SCALE:
        return p0 * a + p1;
    case OP_SOFTPLUS:
        return log1p(exp(a));
    case OP_ROUND:
        return nearbyint(a);
    case OP_SIGN:
        return (a > 0) - (a < 0);
    case OP_SIN:
        return sin(a);
    case OP_COS:
        return cos(a);
    case OP_SELU:
        return p1 * (a < 0 ? p0 * expm1(a) : a);
    case OP_CELU:
        return a < 0 ? p0 * expm1(a / p0) : a;
    case OP_ABOVE:
        return a > p0 ? a : 0;
    case OP_HARD_SWISH:
        return a * fmin(fmax(a / 6 + 0.5, 0), 1);
    case OP_SOFTSIGN:
        return a / (1 + fabs(a));
    case OP_TRUTH:
        return a != 0;
    case OP_COPY:
        return a;
    }
    return a;
}

static void put_number(struct graph_value *v, uint64_t at, double x)
{
    if (at >= v->count)
        return;
    if (v->f)
        v->f[at] = (float)x;
    else
        v->i[at] = isnan(x) ? 0 : x >= 9.2e18 ? INT64_MAX : x <= -9.2e18 ? INT64_MIN : (int64_t)x;
}

static void fold_map(struct graph *g, const struct graph_step *s)
{
    struct graph_value *out = &g->values[s->out];
    const struct graph_value *a = &g->values[s->in[0]], *b = &g->values[s->in[s->in_count > 1]];
    const uint32_t *w = s->words;
    for (uint32_t i = 0; i < s->count; i++) {
        int64_t at_a = (int32_t)w[18], at_b = 0;
        uint32_t rest = i;
        for (int d = GRAPH_AXES - 1; d >= 0; d--) {
            at_a += (int64_t)(rest % w[d]) * (int32_t)w[GRAPH_AXES + d];
            at_b += (int64_t)(rest % w[d]) * (int32_t)w[2 * GRAPH_AXES + d];
            rest /= w[d];
        }
        const uint64_t at = w[21] + (uint64_t)(i / w[19]) * w[20] + i % w[19];
        if (a->i && out->i && s->constant[0] == OP_COPY && at < out->count && at_a >= 0 &&
            (uint64_t)at_a < a->count)
            out->i[at] = a->i[at_a]; // exact, however large
        else
            put_number(out, at,
                       map_op(s->constant[0], number_at(a, at_a), number_at(b, at_b),
                              (double)float_of(w[22]), (double)float_of(w[23]), !out->f));
    }
}

static void fold_taps(struct graph *g, const struct graph_step *s)
{
    struct graph_value *out = &g->values[s->out];
    const struct graph_value *a = &g->values[s->in[0]], *table = &g->values[s->in[1]];
    const uint32_t *w = s->words, axis = w[0], made = w[1], inner = w[2], taps = w[3];
    for (uint32_t i = 0; i < s->count; i++) {
        const uint32_t at = i / inner % made;
        double sum = 0;
        for (uint32_t t = 0; t < taps; t++) {
            const double from = (double)table->f[2 * ((uint64_t)at * taps + t)];
            const double weight = (double)table->f[2 * ((uint64_t)at * taps + t) + 1];
            sum +=
                weight *
                (from < 0
                     ? (double)float_of(w[4])
                     : number_at(a, ((int64_t)(i / inner / made) * axis + (int64_t)from) * inner +
                                        i % inner));
        }
        put_number(out, i, sum);
    }
}

bool graph_fold(struct graph *g, const struct graph_step *s, struct err *err)
{
    struct graph_value *out = &g->values[s->out];
    if (!out->f && !out->i) {
        g->folded += out->count;
        if (g->folded > GRAPH_FOLD_MAX)
            return err_set(err, ERR_UNSUPPORTED, "constants of more than %u numbers to compute",
                           GRAPH_FOLD_MAX);
        if (onnx_is_float(out->type))
            out->f = arena_alloc(g->arena, out->count + 1, sizeof *out->f);
        else
            out->i = arena_alloc(g->arena, out->count + 1, sizeof *out->i);
        if (!out->f && !out->i)
            return err_set(err, ERR_NOMEM, "no memory for constants");
    }
    if (s->kind == GRAPH_MAP)
        fold_map(g, s);
    else
        fold_taps(g, s);
    return true;
}
