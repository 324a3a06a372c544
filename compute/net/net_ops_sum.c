// Operators that add up along axes: reductions, softmax, products of matrices.
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "compute/net/net_lower.h"

// One axis; long ones in parts first.
static uint32_t reduce_axis(const struct lower *l, uint32_t a, uint32_t outer, uint32_t axis,
                            uint32_t inner, uint32_t kind, uint32_t last, float scale)
{
    const bool place = kind == REDUCE_ARGMAX || kind == REDUCE_ARGMIN;
    const uint32_t chunk = axis <= 4 * GRAPH_CHUNK || place ? axis : GRAPH_CHUNK,
                   parts = (axis + chunk - 1) / chunk, dim[3] = {outer, parts, inner};
    const uint32_t out = graph_value(l->g, place ? ONNX_INT64 : ONNX_FLOAT, 3, dim, l->err);
    if (out == GRAPH_NONE)
        return out;
    const struct graph_step s = {
        .kind = GRAPH_REDUCE,
        .constant = {kind},
        .in = {a},
        .in_count = 1,
        .out = out,
        .words = {axis, inner, chunk, parts, last, lower_float_word(parts == 1 ? scale : 1)},
        .word_count = 6,
        .count = (uint32_t)l->g->values[out].count,
        .blocks = 1,
        .products = 10ULL * chunk,
        .trips = chunk,
        .writes = OUT_LINEAR};
    if (!graph_emit(l->g, &s, l->err))
        return GRAPH_NONE;
    if (parts == 1)
        return out;
    const uint32_t again = kind == REDUCE_SUMSQ || kind == REDUCE_L1 ? REDUCE_SUM : kind;
    return reduce_axis(l, out, outer, parts, inner, again, last, scale);
}

// The axes that are marked go to the end.
static uint32_t move_last(const struct lower *l, const struct graph_value *v, uint32_t marked)
{
    uint32_t dim[ONNX_RANK_MAX] = {0}, n = 0;
    int64_t of[ONNX_RANK_MAX] = {0}, step[ONNX_RANK_MAX] = {0}, size = 1;
    for (uint32_t k = v->rank; k-- > 0; size *= v->dim[k])
        of[k] = size;
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t k = 0; k < v->rank; k++) {
            if ((marked >> k & 1) != pass)
                continue;
            dim[n] = v->dim[k];
            step[n++] = of[k];
        }
    }
    return lower_view(l, l->in[0], v->rank, dim, step, 0);
}

static uint32_t lower_reduce(const struct lower *l)
{
    static const struct {
        const char *name;
        enum graph_reduce kind;
    } known[] = {
        {"ReduceSum", REDUCE_SUM}, {"ReduceMean", REDUCE_SUM},  {"ReduceMax", REDUCE_MAX},
        {"ReduceMin", REDUCE_MIN}, {"ReduceProd", REDUCE_PROD}, {"ReduceSumSquare", REDUCE_SUMSQ},
        {"ReduceL1", REDUCE_L1},   {"ReduceL2", REDUCE_SUMSQ},  {"ReduceLogSum", REDUCE_SUM},
        {"ArgMax", REDUCE_ARGMAX}, {"ArgMin", REDUCE_ARGMIN}};
    size_t which = 0;
    while (strcmp(l->n->op, known[which].name) != 0) // the table of operators names only these
        which++;
    const bool arg = known[which].kind >= REDUCE_ARGMAX, keep = lower_int(l, "keepdims", 1) != 0;
    const struct graph_value v = *lower_in(l, 0);
    int64_t axes[ONNX_LIST_MAX] = {lower_int(l, "axis", 0)};
    uint32_t count = 1, marked = 0, axis_size = 1, dim[ONNX_RANK_MAX], rank = 0;
    if (!arg && !lower_ints(l, "axes", 1, axes, &count))
        return 0;
    if (!count && lower_int(l, "noop_with_empty_axes", 0))
        return lower_done(l, l->in[0]);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t axis = 0;
        if (!lower_axis(l, axes[i], v.rank, &axis))
            return 0;
        marked |= 1u << axis;
    }
    marked = count ? marked : (1u << v.rank) - 1;
    for (uint32_t k = 0; k < v.rank; k++) {
        const bool gone = marked >> k & 1;
        axis_size *= gone ? v.dim[k] : 1;
        if (!gone || keep)
            dim[rank++] = gone ? 1 : v.dim[k];
    }
    if (!v.count || !axis_size)
        return err_set(l->err, ERR_UNSUPPORTED, "an empty tensor");
    const uint32_t moved = move_last(l, &v, marked);
    const bool mean = strcmp(l->n->op, "ReduceMean") == 0;
    uint32_t r = moved == GRAPH_NONE ? moved
                                     : reduce_axis(l, moved, (uint32_t)(v.count / axis_size),
                                                   axis_size, 1, known[which].kind,
                                                   (uint32_t)lower_int(l, "select_last_index", 0),
                                                   mean ? 1 / (float)axis_size : 1);
    if (r != GRAPH_NONE && strcmp(l->n->op, "ReduceL2") == 0)
        r = lower_unary(l, r, OP_SQRT, 0, 0);
    if (r != GRAPH_NONE && strcmp(l->n->op, "ReduceLogSum") == 0)
        r = lower_unary(l, r, OP_LOG, 0, 0);
    l->out[0] = r == GRAPH_NONE ? r : graph_reshape(l->g, r, rank, dim, l->err);
    return l->out[0] != GRAPH_NONE;
}

static uint32_t lower_global(const struct lower *l)
{
    const struct graph_value v = *lower_in(l, 0);
    uint32_t dim[ONNX_RANK_MAX] = {v.dim[0], v.dim[1], 1, 1, 1, 1, 1, 1}, inner = 1;
    const bool mean = strcmp(l->n->op, "GlobalAveragePool") == 0;
    for (uint32_t k = 2; k < v.rank; k++)
        inner *= v.dim[k];
    if (v.rank < 2 || !v.count)
        return err_set(l->err, ERR_INPUT, "%" PRIu32 " axes", v.rank);
    const uint32_t r = reduce_axis(l, l->in[0], v.dim[0] * v.dim[1], inner, 1,
                                   mean ? REDUCE_SUM : REDUCE_MAX, 0, mean ? 1 / (float)inner : 1);
    l->out[0] = r == GRAPH_NONE ? r : graph_reshape(l->g, r, v.rank, dim, l->err);
    return l->out[0] != GRAPH_NONE;
}

static uint32_t lower_softmax(const struct lower *l)
{
    const struct graph_value v = *lower_in(l, 0);
    const bool old = l->g->model->opset < 13;
    uint32_t axis = 0, size = 1, inner = 1;
    if (!lower_axis(l, lower_int(l, "axis", old ? 1 : -1), v.rank, &axis))
        return 0;
    for (uint32_t k = axis; k < v.rank; k++) {
        if (k == axis || old) // before opset 13 all axes from there on are one
            size *= v.dim[k];
        else
            inner *= v.dim[k];
    }
    const uint32_t out = graph_value(l->g, ONNX_FLOAT, v.rank, v.dim, l->err);
    if (out == GRAPH_NONE || !size)
        return 0;
    struct graph_step s = {.kind = GRAPH_SOFTMAX,
                           .constant = {l->n->op[0] == 'L'},
                           .in = {l->in[0]},
                           .in_count = 1,
                           .words = {size, inner},
                           .word_count = 2,
                           .count = (uint32_t)(v.count / size),
                           .blocks = 1,
                           .products = 60ULL * size,
                           .trips = 3ULL * size,
                           .writes = OUT_WHOLE};
    return lower_emit(l, &s, out);
}

static uint32_t emit_matmul(const struct lower *l, uint32_t a, uint32_t b, struct graph_step *s,
                            uint32_t rank, const uint32_t *dim)
{
    const uint32_t out = graph_value(l->g, ONNX_FLOAT, rank, dim, l->err);
    if (out == GRAPH_NONE)
        return out;
    s->kind = GRAPH_MATMUL;
    s->in[0] = a;
    s->in[1] = b;
    s->in_count = 2;
    s->out = out;
    s->word_count = 20;
    s->count = (uint32_t)l->g->values[out].count;
    s->blocks = 1;
    s->products = 8ULL * s->words[2];
    s->trips = s->words[2];
    s->writes = OUT_LINEAR;
    return graph_emit(l->g, s, l->err) ? out : GRAPH_NONE;
}

static uint32_t lower_matmul(const struct lower *l)
{
    const struct graph_value a = *lower_in(l, 0), b = *lower_in(l, 1);
    const uint32_t rank = a.rank > b.rank ? a.rank : b.rank;
    uint32_t dim[ONNX_RANK_MAX];
    if (a.rank < 2 || b.rank < 2 || rank > 6)
        return err_set(l->err, ERR_UNSUPPORTED, "matrices of %" PRIu32 " and %" PRIu32 " axes",
                       a.rank, b.rank);
    const uint32_t m = a.dim[a.rank - 2], k = a.dim[a.rank - 1], n = b.dim[b.rank - 1];
    if (b.dim[b.rank - 2] != k)
        return err_set(l->err, ERR_INPUT, "%" PRIu32 " columns by %" PRIu32 " rows", k,
                       b.dim[b.rank - 2]);
    struct graph_step s = {.words = {m, n, k}};
    uint32_t step_a = m * k, step_b = k * n;
    for (uint32_t d = 0; d < 4; d++) {
        const uint32_t back = 6 - d - 1; // words 3 to 6, from the last axis of the batch
        const bool in_a = d + 2 < a.rank, in_b = d + 2 < b.rank;
        const uint32_t da = in_a ? a.dim[a.rank - 3 - d] : 1, db = in_b ? b.dim[b.rank - 3 - d] : 1;
        if (da != db && da != 1 && db != 1)
            return err_set(l->err, ERR_INPUT, "axes of %" PRIu32 " and %" PRIu32, da, db);
        s.words[back + 1] = da == 1 ? db : da;
        s.words[back + 5] = da == 1 ? 0 : step_a;
        s.words[back + 9] = db == 1 ? 0 : step_b;
        step_a *= da;
        step_b *= db;
        if (d + 2 < rank)
            dim[rank - 3 - d] = s.words[back + 1];
    }
    dim[rank - 2] = m;
    dim[rank - 1] = n;
    s.words[15] = k;
    s.words[16] = 1;
    s.words[17] = n;
    s.words[18] = 1;
    s.words[19] = lower_float_word(1);
    l->out[0] = emit_matmul(l, l->in[0], l->in[1], &s, rank, dim);
    return l->out[0] != GRAPH_NONE;
}

static uint32_t lower_gemm(const struct lower *l)
{
    const struct graph_value a = *lower_in(l, 0), b = *lower_in(l, 1);
    const bool ta = lower_int(l, "transA", 0) != 0, tb = lower_int(l, "transB", 0) != 0;
    if (a.rank != 2 || b.rank != 2 || a.dim[!ta] != b.dim[tb])
        return err_set(l->err, ERR_INPUT, "matrices that do not fit");
    const uint32_t dim[2] = {a.dim[ta], b.dim[!tb]}, k = a.dim[!ta];
    struct graph_step s = {.words = {dim[0], dim[1], k, 1, 1, 1, 1}};
    s.words[15] = ta ? 1 : k;
    s.words[16] = ta ? dim[0] : 1;
    s.words[17] = tb ? 1 : dim[1];
    s.words[18] = tb ? k : 1;
    s.words[19] = lower_float_word(lower_float(l, "alpha", 1));
    uint32_t r = emit_matmul(l, l->in[0], l->in[1], &s, 2, dim);
    if (r != GRAPH_NONE && lower_in(l, 2)) {
        const uint32_t c = lower_unary(l, l->in[2], OP_SCALE, lower_float(l, "beta", 1), 0);
        r = c == GRAPH_NONE ? c : lower_binary(l, r, c, OP_ADD);
    }
    l->out[0] = r;
    return r != GRAPH_NONE;
}

const struct lower_op lower_ops_sum[] = {
    {"ReduceSum", 1, 1, lower_reduce},
    {"ReduceMean", 1, 1, lower_reduce},
    {"ReduceMax", 1, 1, lower_reduce},
    {"ReduceMin", 1, 1, lower_reduce},
    {"ReduceProd", 1, 1, lower_reduce},
    {"ReduceSumSquare", 1, 1, lower_reduce},
    {"ReduceL1", 1, 1, lower_reduce},
    {"ReduceL2", 1, 1, lower_reduce},
    {"ReduceLogSum", 1, 1, lower_reduce},
    {"ArgMax", 1, 1, lower_reduce},
    {"ArgMin", 1, 1, lower_reduce},
    {"GlobalAveragePool", 1, 1, lower_global},
    {"GlobalMaxPool", 1, 1, lower_global},
    {"Softmax", 1, 1, lower_softmax},
    {"LogSoftmax", 1, 1, lower_softmax},
    {"MatMul", 1, 2, lower_matmul},
    {"Gemm", 7, 2, lower_gemm},
    {NULL, 0, 0, NULL},
};
