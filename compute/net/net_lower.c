#include "compute/net/net_lower.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

const struct onnx_attr *lower_attr(const struct lower *l, const char *name)
{
    for (uint32_t i = 0; i < l->n->attr_count; i++) {
        if (strcmp(l->n->attrs[i].name, name) == 0)
            return &l->n->attrs[i];
    }
    return NULL;
}

int64_t lower_int(const struct lower *l, const char *name, int64_t absent)
{
    const struct onnx_attr *a = lower_attr(l, name);
    return a ? a->i : absent;
}

float lower_float(const struct lower *l, const char *name, float absent)
{
    const struct onnx_attr *a = lower_attr(l, name);
    return a ? a->f : absent;
}

struct graph_value *lower_in(const struct lower *l, uint32_t i)
{
    return i < l->n->in_count && l->in[i] != GRAPH_NONE ? &l->g->values[l->in[i]] : NULL;
}

uint32_t lower_float_word(float f)
{
    uint32_t word = 0;
    memcpy(&word, &f, sizeof word);
    return word;
}

bool lower_ints(const struct lower *l, const char *name, uint32_t i, int64_t *out, uint32_t *count)
{
    const struct onnx_attr *a = lower_attr(l, name);
    const struct graph_value *v = lower_in(l, i);
    *count = 0;
    if (a) {
        *count = a->int_count;
        memcpy(out, a->ints, a->int_count * sizeof *out);
        return true;
    }
    if (!v || (v->count == 0 && !v->f))
        return true;
    if (!v->i || v->count > ONNX_LIST_MAX)
        return err_set(l->err, ERR_UNSUPPORTED, "%s: not constant, or more than %u numbers", name,
                       ONNX_LIST_MAX);
    *count = (uint32_t)v->count;
    memcpy(out, v->i, v->count * sizeof *out);
    return true;
}

int64_t lower_within(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

bool lower_failed(const struct lower *l)
{
    return l->err->code != ERR_NONE;
}

uint32_t lower_done(const struct lower *l, uint32_t value)
{
    l->out[0] = value;
    return value != GRAPH_NONE;
}

bool lower_weights(const struct lower *l, uint32_t i, uint64_t count, const float **numbers)
{
    const struct graph_value *v = lower_in(l, i);
    *numbers = v ? v->f : NULL;
    if (v && !v->f)
        return err_set(l->err, ERR_UNSUPPORTED, "weights that are not constant");
    if (v && count && v->count != count)
        return err_set(l->err, ERR_INPUT, "%" PRIu64 " weights, %" PRIu64 " are asked for",
                       v->count, count);
    return true;
}

bool lower_axis(const struct lower *l, int64_t axis, uint32_t rank, uint32_t *out)
{
    if (axis < -(int64_t)rank || axis >= (int64_t)rank)
        return err_set(l->err, ERR_INPUT, "axis %" PRId64 " of %" PRIu32, axis, rank);
    *out = (uint32_t)(axis < 0 ? axis + rank : axis);
    return true;
}

// ---- Steps --------------------------------------------------------------------------------

// A step over axes with their steps in a and b, those merged that go together.
static bool map_axes(const struct lower *l, struct graph_step *s, uint32_t rank,
                     const uint32_t *dim, const int64_t *step_a, const int64_t *step_b)
{
    uint32_t d[ONNX_RANK_MAX], n = 0;
    int64_t a[ONNX_RANK_MAX], b[ONNX_RANK_MAX];
    for (uint32_t k = 0; k < rank; k++) {
        if (dim[k] == 1)
            continue;
        if (n && a[n - 1] == step_a[k] * dim[k] && b[n - 1] == step_b[k] * dim[k]) {
            d[n - 1] *= dim[k];
            a[n - 1] = step_a[k];
            b[n - 1] = step_b[k];
        } else {
            d[n] = dim[k];
            a[n] = step_a[k];
            b[n++] = step_b[k];
        }
    }
    if (n > GRAPH_AXES)
        return err_set(l->err, ERR_UNSUPPORTED, "a walk over %" PRIu32 " axes", n);
    for (uint32_t k = 0; k < GRAPH_AXES; k++) {
        const bool there = k + n >= GRAPH_AXES;
        const uint32_t from = k + n - GRAPH_AXES;
        s->words[k] = there ? d[from] : 1;
        s->words[GRAPH_AXES + k] = there ? (uint32_t)(int32_t)a[from] : 0;
        s->words[2 * GRAPH_AXES + k] = there ? (uint32_t)(int32_t)b[from] : 0;
    }
    s->constant[1] = GRAPH_AXES - n;
    return true;
}

static uint32_t emit_map(const struct lower *l, struct graph_step *s, uint32_t out)
{
    s->kind = GRAPH_MAP;
    s->out = out;
    s->word_count = 24;
    s->blocks = 1;
    s->products = 40;
    s->trips = GRAPH_AXES;
    return graph_emit(l->g, s, l->err) ? out : GRAPH_NONE;
}

uint32_t lower_emit(const struct lower *l, struct graph_step *s, uint32_t out)
{
    s->out = out;
    return graph_emit(l->g, s, l->err) && lower_done(l, out);
}

uint32_t lower_run(const struct lower *l, struct graph_step *s, uint32_t out)
{
    static const int64_t none[1], one[1] = {1};
    if (!map_axes(l, s, 1, &s->count, one, none))
        return GRAPH_NONE;
    if (!s->words[19])
        s->words[19] = s->count ? s->count : 1;
    return emit_map(l, s, out);
}

uint32_t lower_view(const struct lower *l, uint32_t a, uint32_t rank, const uint32_t *dim,
                    const int64_t *step, int64_t base)
{
    static const int64_t none[ONNX_RANK_MAX];
    struct graph_step s = {.constant = {OP_COPY}, .in = {a}, .in_count = 1, .writes = OUT_LINEAR};
    const uint32_t out = graph_value(l->g, l->g->values[a].type, rank, dim, l->err);
    if (out == GRAPH_NONE || !map_axes(l, &s, rank, dim, step, none))
        return GRAPH_NONE;
    s.count = (uint32_t)l->g->values[out].count;
    s.words[18] = (uint32_t)(int32_t)base;
    s.words[19] = s.count ? s.count : 1;
    return emit_map(l, &s, out);
}

uint32_t lower_unary(const struct lower *l, uint32_t a, enum graph_op op, float p0, float p1)
{
    const struct graph_value v = l->g->values[a];
    struct graph_step s = {.constant = {op}, .in = {a}, .in_count = 1, .writes = OUT_LINEAR};
    const uint32_t out = graph_value(l->g, v.type, v.rank, v.dim, l->err);
    s.count = (uint32_t)v.count;
    s.words[22] = lower_float_word(p0);
    s.words[23] = lower_float_word(p1);
    return out == GRAPH_NONE ? out : lower_run(l, &s, out);
}

uint32_t lower_binary(const struct lower *l, uint32_t a, uint32_t b, enum graph_op op)
{
    const struct graph_value va = l->g->values[a], vb = l->g->values[b];
    const uint32_t rank = va.rank > vb.rank ? va.rank : vb.rank;
    struct graph_step s = {.constant = {op}, .in = {a, b}, .in_count = 2, .writes = OUT_LINEAR};
    uint32_t dim[ONNX_RANK_MAX];
    int64_t step[2][ONNX_RANK_MAX], size[2] = {1, 1};
    for (uint32_t k = rank; k-- > 0;) {
        const uint32_t da = k + va.rank >= rank ? va.dim[k + va.rank - rank] : 1,
                       db = k + vb.rank >= rank ? vb.dim[k + vb.rank - rank] : 1;
        if (da != db && da != 1 && db != 1)
            return err_set(l->err, ERR_INPUT, "axes of %" PRIu32 " and %" PRIu32, da, db)
                       ? 0
                       : GRAPH_NONE;
        dim[k] = da == 1 ? db : da;
        step[0][k] = da == 1 ? 0 : size[0];
        step[1][k] = db == 1 ? 0 : size[1];
        size[0] *= da;
        size[1] *= db;
    }
    const bool compares = op >= OP_EQUAL && op <= OP_UNLIKE,
               whole = !onnx_is_float(va.type) && va.type != ONNX_BOOL;
    if (whole && !compares && !(graph_is_const(l->g, a) && graph_is_const(l->g, b))) {
        err_set(l->err, ERR_UNSUPPORTED, "arithmetic on whole numbers that are computed");
        return GRAPH_NONE;
    }
    const uint32_t out = graph_value(l->g, compares ? ONNX_BOOL : va.type, rank, dim, l->err);
    if (out == GRAPH_NONE || !map_axes(l, &s, rank, dim, step[0], step[1]))
        return GRAPH_NONE;
    s.count = (uint32_t)l->g->values[out].count;
    s.words[19] = s.count ? s.count : 1;
    return emit_map(l, &s, out);
}

uint32_t lower_taps(const struct lower *l, uint32_t a, uint32_t axis, uint32_t made, uint32_t taps,
                    const float *table, float fill)
{
    const struct graph_value v = l->g->values[a];
    const uint32_t size = 2 * made * taps;
    float *numbers = NULL;
    uint32_t dim[ONNX_RANK_MAX], inner = 1;
    if (v.dim[axis] > GRAPH_WHOLE_MAX) { // places are floats in the table
        err_set(l->err, ERR_UNSUPPORTED, "an axis of %" PRIu32, v.dim[axis]);
        return GRAPH_NONE;
    }
    memcpy(dim, v.dim, sizeof dim);
    dim[axis] = made;
    for (uint32_t k = axis + 1; k < v.rank; k++)
        inner *= v.dim[k];
    const uint32_t t = graph_const(l->g, 1, &size, &numbers, l->err);
    const uint32_t out = t == GRAPH_NONE ? t : graph_value(l->g, v.type, v.rank, dim, l->err);
    if (out == GRAPH_NONE)
        return out;
    memcpy(numbers, table, size * sizeof *numbers);
    const struct graph_step s = {.kind = GRAPH_TAPS,
                                 .in = {a, t},
                                 .in_count = 2,
                                 .out = out,
                                 .words = {v.dim[axis], made, inner, taps, lower_float_word(fill)},
                                 .word_count = 5,
                                 .count = (uint32_t)l->g->values[out].count,
                                 .blocks = 1,
                                 .products = 20ULL * taps,
                                 .trips = taps,
                                 .writes = OUT_LINEAR};
    return graph_emit(l->g, &s, l->err) ? out : GRAPH_NONE;
}
void lower_steps(const struct graph_value *v, int64_t *step)
{
    int64_t size = 1;
    for (uint32_t k = v->rank; k-- > 0;) {
        step[k] = size;
        size *= v->dim[k];
    }
}

uint32_t lower_whole(const struct lower *l, uint32_t rank, uint32_t count, const int64_t *from)
{
    int64_t *numbers = arena_alloc(l->g->arena, count + 1UL, sizeof *numbers);
    const uint32_t out = graph_value(l->g, ONNX_INT64, rank, &count, l->err);
    if (!numbers || out == GRAPH_NONE) {
        err_set(l->err, ERR_NOMEM, "no memory");
        return GRAPH_NONE;
    }
    memcpy(numbers, from, count * sizeof *numbers);
    l->g->values[out].i = numbers;
    return out;
}

uint32_t lower_floats(const struct lower *l, uint32_t rank, uint32_t count, const float *from)
{
    float *numbers = NULL;
    const uint32_t out = graph_const(l->g, rank, &count, &numbers, l->err);
    if (out != GRAPH_NONE)
        memcpy(numbers, from, count * sizeof *numbers);
    return out;
}

// ---- Operators ----------------------------------------------------------------------------------

const struct lower_op *const lower_ops[] = {lower_ops_math,
                                            lower_ops_shape,
                                            lower_ops_place,
                                            lower_ops_window,
                                            lower_ops_sum,
                                            lower_ops_norm,
                                            NULL};

static const struct lower_op *op_named(const char *name)
{
    for (const struct lower_op *const *table = lower_ops; *table; table++) {
        for (const struct lower_op *op = *table; op->name; op++) {
            if (strcmp(op->name, name) == 0)
                return op;
        }
    }
    return NULL;
}

uint32_t graph_lower(struct graph *g, const struct onnx_node *n, const uint32_t *in, uint32_t *out,
                     struct err *err)
{
    struct err own = {0};
    const struct lower l = {g, n, in, out, &own};
    const struct lower_op *op = op_named(n->op);
    if (!op)
        return err_set(err, ERR_UNSUPPORTED, "this operator is not known here");
    if (g->model->opset < op->opset)
        return err_set(err, ERR_UNSUPPORTED, "of opset %" PRId64 ", known from %" PRIu32,
                       g->model->opset, op->opset);
    for (uint32_t i = 0; i < op->inputs; i++) {
        if (!lower_in(&l, i))
            return err_set(err, ERR_INPUT, "input %" PRIu32 " is left out", i);
    }
    const uint32_t made = op->lower(&l);
    if (!made)
        err_set(err, lower_failed(&l) ? own.code : ERR_INPUT, "%s",
                lower_failed(&l) ? own.text : "broken");
    return made;
}
