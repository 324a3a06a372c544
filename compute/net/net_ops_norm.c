// Normalisations.
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "compute/net/net_lower.h"

// rows of n numbers; number i has factor i / inner % count.
static uint32_t emit_norm(const struct lower *l, uint32_t rows, uint32_t n, uint32_t inner,
                          uint32_t count, const float *scale, const float *bias, float epsilon)
{
    const struct graph_value v = *lower_in(l, 0);
    const uint32_t chunk = n < GRAPH_CHUNK ? n : GRAPH_CHUNK, size = 2 * count,
                   parts = n ? (n + chunk - 1) / chunk : 0, dim[3] = {rows, parts, 2},
                   joined[2] = {rows, 2};
    float *table = NULL;
    if (!v.count)
        return err_set(l->err, ERR_UNSUPPORTED, "an empty tensor");
    const uint32_t t = graph_const(l->g, 1, &size, &table, l->err);
    const uint32_t part = graph_value(l->g, ONNX_FLOAT, 3, dim, l->err);
    const uint32_t row = graph_value(l->g, ONNX_FLOAT, 2, joined, l->err);
    const uint32_t out = graph_value(l->g, ONNX_FLOAT, v.rank, v.dim, l->err);
    if (t == GRAPH_NONE || part == GRAPH_NONE || row == GRAPH_NONE || out == GRAPH_NONE)
        return 0;
    for (uint32_t c = 0; c < count; c++) {
        table[c] = scale ? scale[c] : 1;
        table[count + c] = bias ? bias[c] : 0;
    }
    const struct graph_step stats = {.kind = GRAPH_STATS,
                                     .in = {l->in[0]},
                                     .in_count = 1,
                                     .out = part,
                                     .words = {n, chunk, parts},
                                     .word_count = 3,
                                     .count = rows * parts,
                                     .blocks = 1,
                                     .products = 20ULL * chunk,
                                     .trips = 2ULL * chunk,
                                     .writes = OUT_WHOLE};
    const struct graph_step join = {.kind = GRAPH_JOIN,
                                    .in = {part},
                                    .in_count = 1,
                                    .out = row,
                                    .words = {n, chunk, parts, lower_float_word(epsilon)},
                                    .word_count = 4,
                                    .count = rows,
                                    .blocks = 1,
                                    .products = 20ULL * parts,
                                    .trips = parts,
                                    .writes = OUT_WHOLE};
    struct graph_step apply = {.kind = GRAPH_APPLY,
                               .in = {l->in[0], row, t},
                               .in_count = 3,
                               .words = {n, inner, count},
                               .word_count = 4,
                               .count = (uint32_t)v.count,
                               .blocks = 1,
                               .products = 40,
                               .writes = OUT_LINEAR};
    return graph_emit(l->g, &stats, l->err) && graph_emit(l->g, &join, l->err) &&
           lower_emit(l, &apply, out);
}

static uint32_t lower_instance_norm(const struct lower *l)
{
    const struct graph_value v = *lower_in(l, 0);
    const float *scale = NULL, *bias = NULL;
    if (v.rank < 3)
        return err_set(l->err, ERR_INPUT, "%" PRIu32 " axes", v.rank);
    if (!lower_weights(l, 1, v.dim[1], &scale) || !lower_weights(l, 2, v.dim[1], &bias))
        return 0;
    const uint32_t rows = v.dim[0] * v.dim[1], n = rows ? (uint32_t)(v.count / rows) : 0;
    return emit_norm(l, rows, n, n, v.dim[1], scale, bias, lower_float(l, "epsilon", 1e-5f));
}

static uint32_t lower_layer_norm(const struct lower *l)
{
    const struct graph_value v = *lower_in(l, 0);
    const float *scale = NULL, *bias = NULL;
    uint32_t axis = 0, n = 1;
    if (!lower_axis(l, lower_int(l, "axis", -1), v.rank, &axis))
        return 0;
    for (uint32_t k = axis; k < v.rank; k++)
        n *= v.dim[k];
    if (!n || !lower_weights(l, 1, n, &scale) || !lower_weights(l, 2, n, &bias))
        return lower_failed(l) ? 0 : err_set(l->err, ERR_INPUT, "an empty axis");
    const uint32_t made = emit_norm(l, (uint32_t)(v.count / n), n, 1, n, scale, bias,
                                    lower_float(l, "epsilon", 1e-5f));
    if (!made || l->n->out_count < 2)
        return made;
    // Mean and 1 / deviation of each row, as further results.
    uint32_t dim[ONNX_RANK_MAX];
    int64_t step[ONNX_RANK_MAX], size = 2;
    for (uint32_t k = v.rank; k-- > 0;) {
        dim[k] = k < axis ? v.dim[k] : 1;
        step[k] = size;
        size *= dim[k];
    }
    for (uint32_t k = 0; k < 2; k++) {
        l->out[1 + k] =
            lower_view(l, l->g->steps[l->g->step_count - 1 - k].in[1], v.rank, dim, step, k);
        if (l->out[1 + k] == GRAPH_NONE)
            return 0;
    }
    return 3;
}

static uint32_t lower_group_norm(const struct lower *l)
{
    const struct graph_value v = *lower_in(l, 0);
    const float *scale = NULL, *bias = NULL;
    const int64_t groups = lower_int(l, "num_groups", 1);
    if (l->g->model->opset < 21)
        return err_set(l->err, ERR_UNSUPPORTED, "of opsets before 21");
    if (v.rank < 3 || groups < 1 || !v.dim[1] || v.dim[1] % groups)
        return err_set(l->err, ERR_INPUT, "%" PRId64 " groups", groups);
    if (!lower_weights(l, 1, v.dim[1], &scale) || !lower_weights(l, 2, v.dim[1], &bias))
        return 0;
    const uint32_t rows = v.dim[0] * (uint32_t)groups, plane = v.dim[0] * v.dim[1];
    return emit_norm(l, rows, rows ? (uint32_t)(v.count / rows) : 0,
                     plane ? (uint32_t)(v.count / plane) : 1, v.dim[1], scale, bias,
                     lower_float(l, "epsilon", 1e-5f));
}

// scale (x - mean) / sqrt(variance + epsilon) + bias by channel, as a x + b.
static uint32_t lower_batch_norm(const struct lower *l)
{
    const struct graph_value v = *lower_in(l, 0);
    const float *w[4];
    float *a = NULL, *b = NULL;
    uint32_t dim[ONNX_RANK_MAX] = {1, 1, 1, 1, 1, 1, 1, 1};
    if (lower_int(l, "training_mode", 0) || v.rank < 2)
        return err_set(l->err, ERR_UNSUPPORTED, "training, or too few axes");
    for (uint32_t i = 0; i < 4; i++) {
        if (!lower_weights(l, i + 1, v.dim[1], &w[i]))
            return 0;
        if (!w[i])
            return err_set(l->err, ERR_INPUT, "input %" PRIu32 " is left out", i + 1);
    }
    dim[0] = v.dim[1];
    const uint32_t rank = v.rank - 1, va = graph_const(l->g, rank, dim, &a, l->err),
                   vb = graph_const(l->g, rank, dim, &b, l->err);
    if (va == GRAPH_NONE || vb == GRAPH_NONE)
        return 0;
    for (uint32_t c = 0; c < v.dim[1]; c++) {
        const double factor =
            (double)w[0][c] / sqrt((double)w[3][c] + (double)lower_float(l, "epsilon", 1e-5f));
        a[c] = (float)factor;
        b[c] = (float)((double)w[1][c] - (double)w[2][c] * factor);
    }
    const uint32_t scaled = lower_binary(l, l->in[0], va, OP_MUL);
    l->out[0] = scaled == GRAPH_NONE ? scaled : lower_binary(l, scaled, vb, OP_ADD);
    return l->out[0] != GRAPH_NONE;
}

const struct lower_op lower_ops_norm[] = {
    {"InstanceNormalization", 1, 1, lower_instance_norm},
    {"LayerNormalization", 17, 1, lower_layer_norm},
    {"GroupNormalization", 21, 1, lower_group_norm},
    {"BatchNormalization", 7, 5, lower_batch_norm},
    {NULL, 0, 0, NULL},
};
