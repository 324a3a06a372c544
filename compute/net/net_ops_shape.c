// Operators that move numbers or only name them differently.
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "compute/net/net_lower.h"

static uint32_t lower_transpose(const struct lower *l)
{
    const struct graph_value v = *lower_in(l, 0);
    int64_t perm[ONNX_LIST_MAX], of[ONNX_RANK_MAX], step[ONNX_RANK_MAX];
    uint32_t count = 0, dim[ONNX_RANK_MAX], seen = 0;
    if (!lower_ints(l, "perm", ONNX_LIST_MAX, perm, &count))
        return 0;
    for (uint32_t k = 0; !count && k < v.rank; k++)
        perm[k] = v.rank - 1 - k;
    lower_steps(&v, of);
    for (uint32_t k = 0; k < v.rank; k++) {
        if ((count && count != v.rank) || perm[k] < 0 || perm[k] >= v.rank || seen >> perm[k] & 1)
            return err_set(l->err, ERR_INPUT, "perm is no order of %" PRIu32 " axes", v.rank);
        seen |= 1u << perm[k];
        dim[k] = v.dim[perm[k]];
        step[k] = of[perm[k]];
    }
    return lower_done(l, lower_view(l, l->in[0], v.rank, dim, step, 0));
}

// Puts a into out: into runs of `inner` numbers, `pitch` apart, from base on.
static bool put_into(const struct lower *l, uint32_t a, uint32_t out, uint32_t inner,
                     uint32_t pitch, uint32_t base)
{
    struct graph_step s = {.constant = {OP_COPY},
                           .in = {a},
                           .in_count = 1,
                           .count = (uint32_t)l->g->values[a].count,
                           .writes = OUT_PITCHED};
    s.words[19] = inner;
    s.words[20] = pitch;
    s.words[21] = base;
    return !s.count || lower_run(l, &s, out) != GRAPH_NONE;
}

static uint32_t lower_concat(const struct lower *l)
{
    const struct graph_value *v = lower_in(l, 0);
    uint32_t axis = 0, dim[ONNX_RANK_MAX], total = 0, inner = 1, at = 0;
    const int64_t absent = l->g->model->opset < 4 ? 1 : 0;
    if (!v || !lower_axis(l, lower_int(l, "axis", absent), v->rank, &axis))
        return 0;
    const uint32_t rank = v->rank;
    memcpy(dim, v->dim, sizeof dim);
    for (uint32_t i = 0; i < l->n->in_count; i++) {
        const struct graph_value *more = lower_in(l, i);
        if (!more || more->rank != rank)
            return err_set(l->err, ERR_INPUT, "input %" PRIu32 " has other axes", i);
        for (uint32_t k = 0; k < rank; k++) {
            if (k != axis && more->dim[k] != dim[k])
                return err_set(l->err, ERR_INPUT, "input %" PRIu32 " has another size", i);
        }
        total += more->dim[axis]; // at most ONNX_LIST_MAX times ONNX_ELEMENTS_MAX
    }
    dim[axis] = total;
    for (uint32_t k = axis + 1; k < rank; k++)
        inner *= dim[k];
    const uint32_t out = graph_value(l->g, v->type, rank, dim, l->err);
    if (out == GRAPH_NONE)
        return 0;
    for (uint32_t i = 0; i < l->n->in_count; i++) {
        const uint32_t run = lower_in(l, i)->dim[axis] * inner;
        if (!put_into(l, l->in[i], out, run ? run : 1, total * inner, at))
            return 0;
        at += run;
    }
    l->out[0] = out;
    return 1;
}

static bool slice_parts(const struct lower *l, uint32_t rank, int64_t part[4][ONNX_LIST_MAX],
                        uint32_t *count)
{
    static const char *const name[4] = {"starts", "ends", "axes", "steps"};
    uint32_t counts[4];
    for (uint32_t p = 0; p < 4; p++) {
        if (!lower_ints(l, name[p], p + 1, part[p], &counts[p]))
            return false;
    }
    *count = counts[0];
    if (counts[1] != counts[0] || counts[0] > rank || (counts[2] && counts[2] != counts[0]) ||
        (counts[3] && counts[3] != counts[0]))
        return err_set(l->err, ERR_INPUT, "starts, ends, axes and steps do not agree");
    for (uint32_t i = 0; i < counts[0]; i++) {
        part[2][i] = counts[2] ? part[2][i] : i;
        part[3][i] = counts[3] ? part[3][i] : 1;
    }
    return true;
}

static uint32_t lower_slice(const struct lower *l)
{
    const struct graph_value v = *lower_in(l, 0);
    int64_t part[4][ONNX_LIST_MAX], step[ONNX_RANK_MAX], base = 0;
    uint32_t count = 0, dim[ONNX_RANK_MAX];
    if (!slice_parts(l, v.rank, part, &count))
        return 0;
    memcpy(dim, v.dim, sizeof dim);
    lower_steps(&v, step);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t axis = 0;
        if (!lower_axis(l, part[2][i], v.rank, &axis))
            return 0;
        const int64_t size = v.dim[axis], by = part[3][i];
        if (by == 0 || by == INT64_MIN)
            return err_set(l->err, ERR_INPUT, "a step of %" PRId64, by);
        int64_t from = part[0][i], to = part[1][i];
        from = lower_within(from < 0 ? from + size : from, 0, by > 0 ? size : size - 1);
        to = lower_within(to < 0 ? (to < -size ? -1 : to + size) : to, by > 0 ? 0 : -1, size);
        const int64_t span = by > 0 ? to - from : from - to, stride = by > 0 ? by : -by;
        dim[axis] = span > 0 ? (uint32_t)((span - 1) / stride + 1) : 0;
        base += from * step[axis];
        step[axis] *= lower_within(by, -size, size);
    }
    return lower_done(l, lower_view(l, l->in[0], v.rank, dim, step, base));
}

static uint32_t lower_split(const struct lower *l)
{
    const struct graph_value v = *lower_in(l, 0);
    int64_t parts[ONNX_LIST_MAX], step[ONNX_RANK_MAX], at = 0;
    uint32_t axis = 0, count = 0, dim[ONNX_RANK_MAX];
    if (!lower_axis(l, lower_int(l, "axis", 0), v.rank, &axis) ||
        !lower_ints(l, "split", 1, parts, &count))
        return 0;
    const uint32_t outs = l->n->out_count, even = (v.dim[axis] + outs - 1) / outs;
    for (uint32_t i = 0; !count && i < outs; i++)
        parts[i] = lower_within((int64_t)v.dim[axis] - (int64_t)i * even, 0, even);
    memcpy(dim, v.dim, sizeof dim);
    lower_steps(&v, step);
    for (uint32_t i = 0; i < outs; i++) {
        if ((count && count != outs) || parts[i] < 0 || parts[i] > v.dim[axis] - at)
            return err_set(l->err, ERR_INPUT, "parts of an axis of %" PRIu32, v.dim[axis]);
        dim[axis] = (uint32_t)parts[i];
        l->out[i] = lower_view(l, l->in[0], v.rank, dim, step, at * step[axis]);
        if (l->out[i] == GRAPH_NONE)
            return 0;
        at += parts[i];
    }
    return outs;
}

static uint32_t lower_reshape(const struct lower *l)
{
    const struct graph_value v = *lower_in(l, 0);
    int64_t shape[ONNX_LIST_MAX];
    uint32_t count = 0, dim[ONNX_RANK_MAX], free_axis = GRAPH_NONE;
    uint64_t known = 1;
    const bool zeros = lower_int(l, "allowzero", 0) != 0;
    if (!lower_ints(l, "shape", 1, shape, &count))
        return 0;
    if (count > ONNX_RANK_MAX)
        return err_set(l->err, ERR_UNSUPPORTED, "%" PRIu32 " axes", count);
    for (uint32_t k = 0; k < count; k++) {
        if (shape[k] == 0 && !zeros && k < v.rank)
            shape[k] = v.dim[k];
        if (shape[k] < -1 || shape[k] > ONNX_ELEMENTS_MAX ||
            (shape[k] == -1 && free_axis != GRAPH_NONE))
            return err_set(l->err, ERR_INPUT, "an axis of %" PRId64, shape[k]);
        dim[k] = (uint32_t)shape[k];
        if (shape[k] == -1)
            free_axis = k;
        else
            known *= dim[k];
        if (known > ONNX_ELEMENTS_MAX)
            return err_set(l->err, ERR_INPUT, "a shape of too many numbers");
    }
    if (free_axis != GRAPH_NONE)
        dim[free_axis] = known ? (uint32_t)(v.count / known) : 0;
    return lower_done(l, graph_reshape(l->g, l->in[0], count, dim, l->err));
}

static uint32_t lower_flatten(const struct lower *l)
{
    const struct graph_value *v = lower_in(l, 0);
    const int64_t axis = lower_int(l, "axis", 1);
    const int64_t at = axis < 0 ? axis + v->rank : axis;
    uint32_t dim[2] = {1, 1};
    if (at < 0 || at > v->rank)
        return err_set(l->err, ERR_INPUT, "axis %" PRId64, axis);
    for (uint32_t k = 0; k < v->rank; k++)
        dim[k >= at] *= v->dim[k];
    return lower_done(l, graph_reshape(l->g, l->in[0], 2, dim, l->err));
}

static uint32_t lower_squeeze(const struct lower *l)
{
    const bool more = l->n->op[0] == 'U'; // Unsqueeze
    const struct graph_value v = *lower_in(l, 0);
    int64_t axes[ONNX_LIST_MAX];
    uint32_t count = 0, dim[ONNX_RANK_MAX], marked = 0, rank = 0, from = 0;
    if (!lower_ints(l, "axes", 1, axes, &count))
        return 0;
    const uint32_t all = more ? v.rank + count : v.rank;
    if (all > ONNX_RANK_MAX)
        return err_set(l->err, ERR_UNSUPPORTED, "%" PRIu32 " axes", all);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t axis = 0;
        if (!lower_axis(l, axes[i], all, &axis))
            return 0;
        marked |= 1u << axis;
    }
    for (uint32_t k = 0; k < all; k++) {
        const bool here = marked >> k & 1;
        if (more)
            dim[rank++] = here || from >= v.rank ? 1 : v.dim[from++];
        else if (!(here || (!count && v.dim[k] == 1)))
            dim[rank++] = v.dim[k];
    }
    return lower_done(l, graph_reshape(l->g, l->in[0], rank, dim, l->err));
}

static uint32_t lower_shape(const struct lower *l)
{
    const struct graph_value v = *lower_in(l, 0);
    const int64_t rank = v.rank, start = lower_int(l, "start", 0), end = lower_int(l, "end", rank);
    const int64_t from = lower_within(start < 0 ? start + rank : start, 0, rank),
                  to = lower_within(end < 0 ? end + rank : end, from, rank);
    const uint32_t count = (uint32_t)(to - from);
    int64_t numbers[ONNX_RANK_MAX];
    for (uint32_t k = 0; k < count; k++)
        numbers[k] = v.dim[(uint64_t)from + k];
    return lower_done(l, lower_whole(l, 1, count, numbers));
}

static uint32_t lower_constant(const struct lower *l)
{
    const struct onnx_attr *a = lower_attr(l, "value"), *i = lower_attr(l, "value_int"),
                           *f = lower_attr(l, "value_float"), *is = lower_attr(l, "value_ints"),
                           *fs = lower_attr(l, "value_floats");
    if (i)
        return lower_done(l, lower_whole(l, 0, 1, &i->i));
    if (f)
        return lower_done(l, lower_floats(l, 0, 1, &f->f));
    if (is)
        return lower_done(l, lower_whole(l, 1, is->int_count, is->ints));
    if (fs)
        return lower_done(l, lower_floats(l, 1, fs->float_count, fs->floats));
    if (!a || !a->tensor)
        return err_set(l->err, ERR_UNSUPPORTED, "no value that is a tensor or a number");
    const struct onnx_tensor *t = a->tensor;
    const uint32_t out = graph_value(l->g, t->type, t->rank, t->dim, l->err);
    if (out == GRAPH_NONE)
        return 0;
    l->g->values[out].f = t->f;
    l->g->values[out].i = t->i;
    return lower_done(l, out);
}

static uint32_t lower_size(const struct lower *l)
{
    const int64_t count = (int64_t)lower_in(l, 0)->count;
    return lower_done(l, lower_whole(l, 0, 1, &count));
}

// A constant of one number, seen from everywhere.
static uint32_t lower_filled(const struct lower *l)
{
    static const int64_t none[ONNX_RANK_MAX];
    const struct onnx_attr *a = lower_attr(l, "value");
    const struct onnx_tensor *t = a ? a->tensor : NULL;
    const float zero = 0;
    int64_t shape[ONNX_LIST_MAX];
    uint32_t count = 0, dim[ONNX_RANK_MAX];
    if (!lower_ints(l, "shape", 0, shape, &count))
        return 0;
    if (count > ONNX_RANK_MAX || (t && t->count != 1))
        return err_set(l->err, ERR_UNSUPPORTED, "%" PRIu32 " axes, or not one value", count);
    for (uint32_t k = 0; k < count; k++) {
        if (shape[k] < 0 || shape[k] > ONNX_ELEMENTS_MAX)
            return err_set(l->err, ERR_INPUT, "an axis of %" PRId64, shape[k]);
        dim[k] = (uint32_t)shape[k];
    }
    const uint32_t one =
        t && t->i ? lower_whole(l, 0, 1, t->i) : lower_floats(l, 0, 1, t && t->f ? t->f : &zero);
    if (one == GRAPH_NONE)
        return 0;
    if (t)
        l->g->values[one].type = t->type;
    return lower_done(l, lower_view(l, one, count, dim, none, 0));
}

// Blocks of numbers go from channels into space, or back.
static uint32_t lower_blocks(const struct lower *l)
{
    const struct graph_value v = *lower_in(l, 0);
    const bool deeper = l->n->op[0] == 'S'; // SpaceToDepth
    const struct onnx_attr *mode = lower_attr(l, "mode");
    const bool crd = mode && strcmp(mode->text, "CRD") == 0;
    const int64_t size = lower_int(l, "blocksize", 0);
    if (v.rank != 4 || size < 1 || size > ONNX_LIST_MAX)
        return err_set(l->err, ERR_INPUT, "%" PRIu32 " axes in blocks of %" PRId64, v.rank, size);
    const uint32_t b = (uint32_t)size, n = v.dim[0], c = v.dim[1], h = v.dim[2], w = v.dim[3];
    if (deeper ? h % b || w % b : c % (b * b))
        return err_set(l->err, ERR_INPUT, "axes that blocks of %" PRIu32 " do not fill", b);
    int64_t step[ONNX_RANK_MAX];
    lower_steps(&v, step);
    if (deeper) { // [n][b][b][c][h / b][w / b]
        const uint32_t dim[6] = {n, b, b, c, h / b, w / b}, out[4] = {n, b * b * c, h / b, w / b};
        const int64_t by[6] = {step[0], step[2], step[3], step[1], step[2] * b, step[3] * b};
        const uint32_t moved = lower_view(l, l->in[0], 6, dim, by, 0);
        return moved != GRAPH_NONE && lower_done(l, graph_reshape(l->g, moved, 4, out, l->err));
    }
    const uint32_t deep = c / (b * b); // [n][deep][h][b][w][b]
    const uint32_t dim[6] = {n, deep, h, b, w, b}, out[4] = {n, deep, h * b, w * b};
    const int64_t row = crd ? step[1] * b : step[1] * deep * b,
                  column = crd ? step[1] : step[1] * deep,
                  channel = crd ? step[1] * b * b : step[1];
    const int64_t by[6] = {step[0], channel, step[2], row, step[3], column};
    const uint32_t moved = lower_view(l, l->in[0], 6, dim, by, 0);
    return moved != GRAPH_NONE && lower_done(l, graph_reshape(l->g, moved, 4, out, l->err));
}

static uint32_t lower_expand(const struct lower *l)
{
    const struct graph_value v = *lower_in(l, 0);
    int64_t shape[ONNX_LIST_MAX], of[ONNX_RANK_MAX], step[ONNX_RANK_MAX];
    uint32_t count = 0, dim[ONNX_RANK_MAX];
    if (!lower_ints(l, "shape", 1, shape, &count))
        return 0;
    const uint32_t rank = count > v.rank ? count : v.rank;
    if (rank > ONNX_RANK_MAX)
        return err_set(l->err, ERR_UNSUPPORTED, "%" PRIu32 " axes", rank);
    lower_steps(&v, of);
    for (uint32_t k = 0; k < rank; k++) {
        const uint32_t mine = k + v.rank >= rank ? v.dim[k + v.rank - rank] : 1;
        const int64_t asked = k + count >= rank ? shape[k + count - rank] : 1;
        if (asked < 0 || asked > ONNX_ELEMENTS_MAX || (asked != mine && asked != 1 && mine != 1))
            return err_set(l->err, ERR_INPUT, "an axis of %" PRId64, asked);
        dim[k] = mine == 1 ? (uint32_t)asked : mine;
        step[k] = mine == 1 ? 0 : of[k + v.rank - rank];
    }
    return lower_done(l, lower_view(l, l->in[0], rank, dim, step, 0));
}

const struct lower_op lower_ops_shape[] = {
    {"Constant", 1, 0, lower_constant},   {"ConstantOfShape", 9, 1, lower_filled},
    {"Shape", 1, 1, lower_shape},         {"Size", 1, 1, lower_size},
    {"Reshape", 1, 1, lower_reshape},     {"Flatten", 1, 1, lower_flatten},
    {"Squeeze", 1, 1, lower_squeeze},     {"Unsqueeze", 1, 1, lower_squeeze},
    {"Transpose", 1, 1, lower_transpose}, {"Expand", 8, 2, lower_expand},
    {"Concat", 1, 1, lower_concat},       {"Split", 1, 1, lower_split},
    {"Slice", 1, 1, lower_slice},         {"DepthToSpace", 1, 1, lower_blocks},
    {"SpaceToDepth", 1, 1, lower_blocks}, {NULL, 0, 0, NULL},
};
