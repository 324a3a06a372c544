// Operators with weights or windows.
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/net/net_layer.h"
#include "compute/net/net_lower.h"

#define WINDOW_MAX    64 // of a kernel along an axis; also strides and dilations
#define CHANNELS_MAX  4096u
#define CONV_ROW_SIZE 7 // of a kernel along x: see shaders/net/rowconv.comp

// Up to three axes of space, the missing ones first and of size 1.
struct window {
    uint32_t axes, samples, channels, dim[3], made[3], size[3], stride[3], dilation[3];
    int32_t pad[3], pad_end[3];
};

static bool window_list(const struct lower *l, const char *name, uint32_t axes, int64_t least,
                        int64_t absent, int64_t out[3])
{
    int64_t list[ONNX_LIST_MAX];
    uint32_t count = 0;
    if (!lower_ints(l, name, ONNX_LIST_MAX, list, &count))
        return false;
    if (count && count != axes)
        return err_set(l->err, ERR_INPUT, "%s has %" PRIu32 " numbers", name, count);
    for (uint32_t k = 0; k < axes; k++) {
        out[3 - axes + k] = count ? list[k] : absent;
        if (out[3 - axes + k] < least || out[3 - axes + k] > ONNX_ELEMENTS_MAX)
            return err_set(l->err, ERR_INPUT, "%s is %" PRId64, name, out[3 - axes + k]);
    }
    return true;
}

// What lists and auto_pad say. weights: sizes of the kernel, or NULL.
static bool window_read(const struct lower *l, const struct graph_value *v, const uint32_t *weights,
                        struct window *w)
{
    int64_t size[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1},
            pads[ONNX_LIST_MAX] = {0};
    uint32_t count = 0;
    if (v->rank < 3 || v->rank > 5)
        return err_set(l->err, ERR_UNSUPPORTED, "%" PRIu32 " axes", v->rank);
    *w = (struct window){.axes = v->rank - 2, .samples = v->dim[0], .channels = v->dim[1]};
    const uint32_t lead = 3 - w->axes;
    if (!window_list(l, "kernel_shape", w->axes, 1, 1, size) ||
        !window_list(l, "strides", w->axes, 1, 1, stride) ||
        !window_list(l, "dilations", w->axes, 1, 1, dilation) ||
        !lower_ints(l, "pads", ONNX_LIST_MAX, pads, &count))
        return false;
    if (count && count != 2 * w->axes)
        return err_set(l->err, ERR_INPUT, "pads has %" PRIu32 " numbers", count);
    for (uint32_t k = 0; k < 3; k++) {
        const bool there = k >= lead;
        if (there && weights)
            size[k] = weights[k - lead];
        if (size[k] < 1 || size[k] > ONNX_ELEMENTS_MAX || stride[k] > WINDOW_MAX ||
            dilation[k] > WINDOW_MAX)
            return err_set(l->err, ERR_INPUT,
                           "a kernel of %" PRId64 ", stride %" PRId64 ", dilation %" PRId64,
                           size[k], stride[k], dilation[k]);
        w->dim[k] = there ? v->dim[2 + k - lead] : 1;
        w->size[k] = (uint32_t)size[k];
        w->stride[k] = (uint32_t)stride[k];
        w->dilation[k] = (uint32_t)dilation[k];
        const int64_t before = there ? pads[k - lead] : 0,
                      after = there ? pads[k - lead + w->axes] : 0;
        if (before < -WINDOW_MAX || before > 4096 || after < -WINDOW_MAX || after > 4096)
            return err_set(l->err, ERR_INPUT, "pads of %" PRId64 " and %" PRId64, before, after);
        w->pad[k] = (int32_t)before;
        w->pad_end[k] = (int32_t)after;
    }
    return true;
}

static bool window_made(const struct lower *l, struct window *w)
{
    const struct onnx_attr *a = lower_attr(l, "auto_pad");
    const char *how = a && *a->text ? a->text : "NOTSET";
    const bool same = strncmp(how, "SAME_", 5) == 0, up = lower_int(l, "ceil_mode", 0) != 0;
    for (uint32_t k = 0; k < 3; k++) {
        const int64_t reach = (int64_t)w->dilation[k] * (w->size[k] - 1) + 1, by = w->stride[k];
        if (same) {
            const int64_t made = (w->dim[k] + by - 1) / by;
            const int64_t all = (made - 1) * by + reach - w->dim[k];
            const int32_t half = all > 0 ? (int32_t)(all / 2) : 0,
                          rest = all > 0 ? (int32_t)all - half : 0;
            w->pad[k] = strcmp(how, "SAME_LOWER") == 0 ? rest : half;
            w->pad_end[k] = strcmp(how, "SAME_LOWER") == 0 ? half : rest;
        } else if (strcmp(how, "VALID") == 0) {
            w->pad[k] = w->pad_end[k] = 0;
        }
        const int64_t room = (int64_t)w->dim[k] + w->pad[k] + w->pad_end[k] - reach;
        if (room < 0)
            return err_set(l->err, ERR_INPUT, "a window of %" PRId64 " over %" PRIu32, reach,
                           w->dim[k]);
        int64_t made = (room + (up ? by - 1 : 0)) / by + 1;
        if (up && (made - 1) * by >= (int64_t)w->dim[k] + w->pad[k])
            made--; // a window that begins beyond the numbers
        w->made[k] = (uint32_t)made;
    }
    return true;
}

static uint32_t window_value(const struct lower *l, const struct window *w, uint32_t channels)
{
    const uint32_t dim[5] = {w->samples, channels, w->made[3 - w->axes],
                             w->made[w->axes > 1 ? 4 - w->axes : 2], w->made[2]};
    return graph_value(l->g, ONNX_FLOAT, w->axes + 2, dim, l->err);
}

// dim, made, size, stride, dilation, pad: 18 words.
static void window_words(const struct window *w, uint32_t *out)
{
    for (uint32_t k = 0; k < 3; k++) {
        out[k] = w->dim[k];
        out[3 + k] = w->made[k];
        out[6 + k] = w->size[k];
        out[9 + k] = w->stride[k];
        out[12 + k] = w->dilation[k];
        out[15 + k] = (uint32_t)w->pad[k];
    }
}

static bool check_groups(const struct lower *l, const struct window *w, const struct graph_value *k,
                         uint32_t *groups)
{
    const int64_t group = lower_int(l, "group", 1);
    if (k->rank != w->axes + 2 || !k->f)
        return err_set(l->err, ERR_UNSUPPORTED, "weights that are not constant, or of other axes");
    if (group < 1 || group > w->channels || w->channels % group)
        return err_set(l->err, ERR_INPUT, "%" PRId64 " groups of %" PRIu32 " channels", group,
                       w->channels);
    *groups = (uint32_t)group;
    for (uint32_t d = 0; d < 2; d++) {
        if (!k->dim[d] || k->dim[d] > CHANNELS_MAX)
            return err_set(l->err, ERR_INPUT, "%" PRIu32 " channels", k->dim[d]);
    }
    return true;
}

struct conv_parts {
    uint32_t ins, outs, groups;  // channels of a group, groups
    const float *weights, *bias; // [channel out][channel in][tap]; [channel out] or NULL
};

// The weights of `lanes` channels beside each other: [group][block][channel in][tap][lane], and the
// biases behind them. A block has `outs` channels of them.
static uint32_t pack_weights(const struct lower *l, const struct conv_parts *c, uint32_t taps,
                             uint32_t blocks, uint32_t outs, uint32_t lanes)
{
    const uint64_t run = (uint64_t)c->ins * taps, all = (uint64_t)c->groups * blocks;
    const uint32_t size = (uint32_t)(lanes * all * (run + 1));
    float *packed = NULL;
    const uint32_t table = graph_const(l->g, 1, &size, &packed, l->err);
    if (table == GRAPH_NONE)
        return table;
    for (uint32_t o = 0; o < c->outs * c->groups; o++) {
        const uint64_t block = (uint64_t)(o / c->outs) * blocks + o % c->outs / outs,
                       lane = o % c->outs % outs;
        for (uint64_t i = 0; i < run; i++)
            packed[lanes * (block * run + i) + lane] = c->weights[o * run + i];
        packed[lanes * (all * run + block) + lane] = c->bias ? c->bias[o] : 0;
    }
    return table;
}

static uint32_t emit_conv(const struct lower *l, const struct window *w, const struct conv_parts *c)
{
    // Rows of whole quads have a faster kernel.
    const bool rows = w->stride[2] == 1 && w->dim[2] % 4 == 0 && w->made[2] % 4 == 0 &&
                      w->size[2] <= CONV_ROW_SIZE;
    const uint32_t lanes = rows ? 8 : 4, taps = w->size[0] * w->size[1] * w->size[2],
                   blocks = (c->outs + lanes - 1) / lanes,
                   outs = rows ? (c->outs + blocks - 1) / blocks : lanes,
                   row = (w->made[2] + lanes - 1) / lanes;
    const uint32_t table = pack_weights(l, c, taps, blocks, outs, lanes);
    const uint32_t out = table == GRAPH_NONE ? table : window_value(l, w, c->outs * c->groups);
    if (out == GRAPH_NONE)
        return 0;
    struct graph_step s = {.kind = rows ? GRAPH_ROWS : GRAPH_CONV,
                           .constant = {0, w->stride[2] == 1},
                           .in = {l->in[0], table},
                           .in_count = 2,
                           .words = {c->ins, c->outs},
                           .word_count = 24,
                           .count = row * w->made[1] * w->made[0],
                           .blocks = w->samples * c->groups * blocks,
                           .block_outs = outs,
                           .products = (uint64_t)outs * lanes * c->ins * taps,
                           .trips = (uint64_t)c->ins * taps,
                           .writes = OUT_BLOCK};
    if (rows)
        memcpy(s.constant, (uint32_t[]){outs, w->size[2], w->dilation[2], (uint32_t)w->pad[2]},
               sizeof s.constant);
    window_words(w, s.words + 2);
    s.words[21] = blocks;
    s.words[22] = c->groups;
    s.words[23] = c->groups * blocks * c->ins * taps * (lanes / 4);
    return lower_emit(l, &s, out);
}

static uint32_t lower_conv(const struct lower *l)
{
    struct window w;
    const float *bias = NULL;
    uint32_t groups = 1;
    const struct graph_value v = *lower_in(l, 0), k = *lower_in(l, 1);
    if (k.rank < 3 || !window_read(l, &v, k.dim + 2, &w) || !check_groups(l, &w, &k, &groups) ||
        !window_made(l, &w) || !lower_weights(l, 2, k.dim[0], &bias))
        return lower_failed(l) ? 0
                               : err_set(l->err, ERR_INPUT, "weights of %" PRIu32 " axes", k.rank);
    const uint32_t ins = w.channels / groups, outs = k.dim[0] / groups;
    if (k.dim[1] != ins || k.dim[0] % groups)
        return err_set(l->err, ERR_INPUT, "weights of %" PRIu32 " channels for %" PRIu32, k.dim[1],
                       ins);
    return emit_conv(l, &w, &(struct conv_parts){ins, outs, groups, k.f, bias});
}

// Sizes out and pads of a transposed convolution.
static bool convt_made(const struct lower *l, struct window *w)
{
    int64_t more[3] = {0}, asked[3] = {0};
    const struct onnx_attr *a = lower_attr(l, "auto_pad");
    const bool same = a && strncmp(a->text, "SAME_", 5) == 0,
               sized = lower_attr(l, "output_shape") != NULL;
    if (!window_list(l, "output_padding", w->axes, 0, 0, more) ||
        !window_list(l, "output_shape", w->axes, 1, 1, asked))
        return false;
    for (uint32_t k = 3 - w->axes; k < 3; k++) {
        const int64_t full = (int64_t)w->stride[k] * (w->dim[k] - 1) + more[k] +
                             (int64_t)(w->size[k] - 1) * w->dilation[k] + 1;
        int64_t made = full - w->pad[k] - w->pad_end[k];
        if (same || sized) {
            made = sized ? asked[k] : (int64_t)w->dim[k] * w->stride[k];
            const int64_t all = full > made ? full - made : 0;
            w->pad[k] =
                (int32_t)(a && strcmp(a->text, "SAME_UPPER") == 0 ? all / 2 : all - all / 2);
        }
        if (made < 1 || made > ONNX_ELEMENTS_MAX || more[k] > WINDOW_MAX)
            return err_set(l->err, ERR_INPUT, "an axis of %" PRId64, made);
        w->made[k] = (uint32_t)made;
    }
    for (uint32_t k = 0; k < 3 - w->axes; k++)
        w->made[k] = 1;
    return true;
}

// Windows that lie beside each other: each number becomes size z x y x x numbers, as a convolution
// of one tap with so many times the channels, whose results are then put in their places.
static uint32_t lower_convt_apart(const struct lower *l, const struct window *w,
                                  const struct graph_value *k, const float *bias)
{
    const uint32_t outs = k->dim[1], taps = w->size[0] * w->size[1] * w->size[2], *d = w->dim,
                   *size = w->size;
    float *weights = malloc((k->count + (uint64_t)outs * taps + 1) * sizeof *weights),
          *biases = weights + k->count;
    if (!weights)
        return err_set(l->err, ERR_NOMEM, "no memory");
    for (uint32_t o = 0; o < outs * taps; o++) { // [tap][channel]
        for (uint32_t c = 0; c < w->channels; c++)
            weights[(uint64_t)o * w->channels + c] =
                k->f[((uint64_t)c * outs + o % outs) * taps + o / outs];
        biases[o] = bias ? bias[o % outs] : 0;
    }
    struct window one = {.axes = w->axes,
                         .samples = 1,
                         .channels = w->channels,
                         .dim = {d[0], d[1], d[2]},
                         .made = {d[0], d[1], d[2]},
                         .size = {1, 1, 1},
                         .stride = {1, 1, 1},
                         .dilation = {1, 1, 1}};
    const uint32_t made =
        emit_conv(l, &one, &(struct conv_parts){w->channels, outs * taps, 1, weights, biases});
    free(weights);
    if (!made)
        return 0;
    const int64_t row = d[2], plane = row * d[1], space = plane * d[0], tap = space * outs;
    const uint32_t dim[7] = {outs, d[0], size[0], d[1], size[1], d[2], size[2]};
    const int64_t step[7] = {space, plane, tap * size[1] * size[2], row, tap * size[2], 1, tap};
    const uint32_t moved = lower_view(l, l->out[0], 7, dim, step, 0);
    uint32_t shape[5] = {1, outs};
    for (uint32_t a = 0; a < w->axes; a++)
        shape[2 + a] = w->made[3 - w->axes + a];
    return moved != GRAPH_NONE &&
           lower_done(l, graph_reshape(l->g, moved, w->axes + 2, shape, l->err));
}

// Whether they do.
static bool lie_apart(const struct window *w, uint32_t groups)
{
    bool apart = groups == 1 && w->samples == 1;
    for (uint32_t k = 0; k < 3; k++)
        apart = apart && w->stride[k] == w->size[k] && !w->pad[k] &&
                w->made[k] == w->dim[k] * w->size[k];
    return apart;
}

static uint32_t lower_convt(const struct lower *l)
{
    struct window w;
    const float *bias = NULL;
    float *numbers = NULL;
    uint32_t groups = 1;
    const struct graph_value v = *lower_in(l, 0), k = *lower_in(l, 1);
    if (k.rank < 3)
        return err_set(l->err, ERR_INPUT, "weights of %" PRIu32 " axes", k.rank);
    if (!window_read(l, &v, k.dim + 2, &w) || !check_groups(l, &w, &k, &groups) ||
        !convt_made(l, &w) || !lower_weights(l, 2, (uint64_t)k.dim[1] * groups, &bias))
        return 0;
    if (k.dim[0] != w.channels || (uint64_t)k.dim[1] * groups > CHANNELS_MAX)
        return err_set(l->err, ERR_INPUT, "weights of %" PRIu32 " channels for %" PRIu32, k.dim[0],
                       w.channels);
    if (lie_apart(&w, groups))
        return lower_convt_apart(l, &w, &k, bias);
    const uint32_t outs = k.dim[1], all = outs * groups, size = (uint32_t)k.count + all;
    const uint32_t table = graph_const(l->g, 1, &size, &numbers, l->err);
    const uint32_t out = table == GRAPH_NONE ? table : window_value(l, &w, all);
    if (out == GRAPH_NONE)
        return 0;
    memcpy(numbers, k.f, k.count * sizeof *numbers);
    if (bias)
        memcpy(numbers + k.count, bias, all * sizeof *numbers);
    const uint64_t taps = (uint64_t)w.size[0] * w.size[1] * w.size[2];
    struct graph_step s = {.kind = GRAPH_CONVT,
                           .in = {l->in[0], table},
                           .in_count = 2,
                           .words = {w.channels / groups, outs},
                           .word_count = 22,
                           .count = (uint32_t)l->g->values[out].count,
                           .blocks = 1,
                           .products = taps * (w.channels / groups),
                           .trips = taps * (w.channels / groups + 3),
                           .writes = OUT_LINEAR};
    window_words(&w, s.words + 2);
    s.words[20] = groups;
    s.words[21] = (uint32_t)k.count;
    return lower_emit(l, &s, out);
}

static uint32_t emit_pool(const struct lower *l, const struct window *w, uint32_t kind)
{
    const uint32_t out = window_value(l, w, w->channels);
    if (out == GRAPH_NONE)
        return 0;
    const uint64_t taps = (uint64_t)w->size[0] * w->size[1] * w->size[2];
    struct graph_step s = {.kind = GRAPH_POOL,
                           .constant = {kind},
                           .in = {l->in[0]},
                           .in_count = 1,
                           .word_count = 21,
                           .count = (uint32_t)l->g->values[out].count,
                           .blocks = 1,
                           .products = 8 * taps,
                           .trips = 4 * taps,
                           .writes = OUT_LINEAR};
    window_words(w, s.words);
    for (uint32_t k = 0; k < 3; k++)
        s.words[18 + k] = (uint32_t)w->pad_end[k];
    return lower_emit(l, &s, out);
}

static uint32_t lower_pool(const struct lower *l)
{
    struct window w;
    const struct graph_value v = *lower_in(l, 0);
    const bool most = l->n->op[0] == 'M';
    if (l->n->out_count != 1 || lower_int(l, "storage_order", 0))
        return err_set(l->err, ERR_UNSUPPORTED, "places of the largest");
    if (!lower_attr(l, "kernel_shape"))
        return err_set(l->err, ERR_INPUT, "no kernel_shape");
    if (!window_read(l, &v, NULL, &w) || !window_made(l, &w))
        return 0;
    return emit_pool(l, &w, most ? 0 : lower_int(l, "count_include_pad", 0) ? 2 : 1);
}

const struct lower_op lower_ops_window[] = {
    {"Conv", 1, 2, lower_conv},
    {"ConvTranspose", 1, 2, lower_convt},
    {"MaxPool", 1, 1, lower_pool},
    {"AveragePool", 1, 1, lower_pool},
    {NULL, 0, 0, NULL},
};
