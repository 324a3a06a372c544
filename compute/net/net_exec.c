// The steps of a graph on the device: where each tensor lies, and the dispatches.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "compute/gpu/pipeline.h"
#include "compute/net/net_graph.h"
#include "compute/net/net_layer.h"
#include "shaders/net/shaders.h"

#define GROUP_SIZE         64u
#define INVOCATIONS_MAX    (1u << 21) // of a dispatch: what 65535 groups hold
#define BLOCKS_MAX         1024u      // beside each other in a dispatch
#define PRODUCTS_PER_VOXEL 40u        // as net_run.c

struct head_push { // PUSH_HEAD of shaders/net/fetch.glsl
    uint32_t first, end, out_shift, block;
    uint32_t words[GRAPH_WORDS];
};

static const struct shader *const shader_of[] = {
    [GRAPH_MAP] = &shader_net_map,       [GRAPH_TAPS] = &shader_net_taps,
    [GRAPH_ROWS] = &shader_net_rowconv,  [GRAPH_CONV] = &shader_net_gconv,
    [GRAPH_CONVT] = &shader_net_convt,   [GRAPH_POOL] = &shader_net_pool,
    [GRAPH_REDUCE] = &shader_net_reduce, [GRAPH_SOFTMAX] = &shader_net_softmax,
    [GRAPH_STATS] = &shader_net_stats,   [GRAPH_JOIN] = &shader_net_join,
    [GRAPH_APPLY] = &shader_net_apply,   [GRAPH_MATMUL] = &shader_net_matmul,
};

static uint64_t tensor_bytes(const struct graph_value *v)
{
    return net_round_up((v->count ? v->count : 1) * sizeof(float), NET_ALIGN);
}

// ---- The plan -----------------------------------------------------------------------------------

static int larger_tensor_first(const void *a, const void *b)
{
    const struct graph_value *const *x = a, *const *y = b;
    if ((*x)->bytes != (*y)->bytes)
        return (*x)->bytes < (*y)->bytes ? 1 : -1;
    return (*x)->root < (*y)->root ? -1 : (*x)->root > (*y)->root;
}

// The lowest place of the tensor beside those already placed that live while it does.
static void place(struct graph_value *v, struct graph_value *const *placed, uint32_t count)
{
    v->offset = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (uint32_t i = 0; i < count; i++) {
            const struct graph_value *p = placed[i];
            if (p->first <= v->last && v->first <= p->last && p->offset < v->offset + v->bytes &&
                v->offset < p->offset + p->bytes) {
                v->offset = p->offset + p->bytes;
                moved = true;
            }
        }
    }
}

// Greedy by size: Pisarchyk and Lee, arXiv 2001.03288.
bool graph_plan(struct graph *g, struct err *err)
{
    struct graph_value **list = calloc(g->value_count + 1UL, sizeof *list);
    uint32_t count = 0;
    if (!list)
        return err_set(err, ERR_NOMEM, "no memory");
    for (uint32_t i = 0; i < g->value_count; i++) {
        g->values[i].first = UINT32_MAX;
        g->values[i].last = 0;
        g->values[i].bytes = tensor_bytes(&g->values[i]);
    }
    for (uint32_t s = 0; s < g->step_count; s++) {
        const struct graph_step *step = &g->steps[s];
        struct graph_value *out = &g->values[g->values[step->out].root];
        if (out->first == UINT32_MAX)
            out->first = s;
        out->last = s;
        for (uint32_t k = 0; k < step->in_count; k++)
            g->values[g->values[step->in[k]].root].last = s;
    }
    for (uint32_t i = 0; i < g->model->in_count; i++)
        g->values[g->ins[i]].first = 0;
    for (uint32_t i = 0; i < g->model->out_count; i++)
        g->values[g->values[g->outs[i]].root].last = UINT32_MAX;
    for (uint32_t i = 0; i < g->value_count; i++) {
        struct graph_value *v = &g->values[i];
        if (v->root != i)
            continue;
        if (graph_is_const(g, i)) {
            if (v->f && v->last) // read by a step, or by the first one only: see below
                v->offset = 0;
            continue;
        }
        if (v->first != UINT32_MAX)
            list[count++] = v;
    }
    qsort(list, count, sizeof *list, larger_tensor_first);
    g->arena_bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        place(list[i], list, i);
        if (list[i]->offset + list[i]->bytes > g->arena_bytes)
            g->arena_bytes = list[i]->offset + list[i]->bytes;
    }
    free(list);
    // Constants that a step reads lie one after the other.
    g->const_bytes = 0;
    for (uint32_t i = 0; i < g->value_count; i++)
        g->values[i].first = graph_is_const(g, i) ? 0 : g->values[i].first;
    for (uint32_t s = 0; s < g->step_count; s++) {
        for (uint32_t k = 0; k < g->steps[s].in_count; k++) {
            struct graph_value *v = &g->values[g->values[g->steps[s].in[k]].root];
            if (!v->f || v->first)
                continue;
            v->first = 1; // it has its place
            v->offset = g->const_bytes;
            g->const_bytes += v->bytes;
        }
    }
    return true;
}

uint64_t graph_bytes(const struct graph *g)
{
    return g->arena_bytes + g->const_bytes;
}

// ---- The run ------------------------------------------------------------------------------------

struct graph_work {
    const struct graph *graph;
    struct gpu *gpu;
    struct gpu_buf *tensors, *constants;
};

static struct gpu_range range_of(const struct graph_work *w, uint32_t value)
{
    const struct graph_value *v = &w->graph->values[w->graph->values[value].root];
    return (struct gpu_range){v->f ? w->constants : w->tensors, v->offset, v->bytes};
}

// The numbers of the result that invocations first to end of a block write.
static void written_by(const struct graph *g, const struct graph_step *s, uint32_t block,
                       uint32_t first, uint32_t end, uint64_t *from, uint64_t *to)
{
    const uint32_t *w = s->words;
    *from = 0;
    *to = g->values[s->out].count;
    if (s->writes == OUT_LINEAR) {
        *from = first;
        *to = end;
    } else if (s->writes == OUT_PITCHED) {
        *from = w[21] + (uint64_t)(first / w[19]) * w[20] + first % w[19];
        *to = w[21] + (uint64_t)((end - 1) / w[19]) * w[20] + (end - 1) % w[19] + 1;
    } else if (s->writes == OUT_BLOCK) {
        const uint64_t plane = (uint64_t)w[5] * w[6] * w[7];
        const uint32_t in_group = block % w[21] * s->block_outs,
                       left = w[1] - in_group < s->block_outs ? w[1] - in_group : s->block_outs;
        *from = ((uint64_t)(block / w[21]) * w[1] + in_group) * plane;
        *to = *from + left * plane;
    }
}

static bool run_step(const struct graph_work *w, const struct graph_step *s, struct err *err)
{
    const struct graph *g = w->graph;
    struct kernel k = {
        .shader = shader_of[s->kind],
        .group = {GROUP_SIZE, 1, 1},
        .constants = {s->constant[0], s->constant[1], s->constant[2], s->constant[3]},
        .push_bytes = 16 + 4 * s->word_count,
        .bindings = s->in_count + 1};
    struct gpu_range ranges[4];
    struct head_push push = {.first = 0};
    memcpy(push.words, s->words, sizeof push.words);
    for (uint32_t i = 0; i < s->in_count; i++) {
        k.access[i] = KERNEL_TEXELS;
        ranges[i] = range_of(w, s->in[i]);
    }
    if (s->kind == GRAPH_MAP && s->in_count == 1) { // the shader has two
        k.access[1] = KERNEL_TEXELS;
        ranges[1] = ranges[0];
        k.bindings = 3;
    }
    k.access[k.bindings - 1] = KERNEL_OUT;
    const struct gpu_range whole = range_of(w, s->out);
    const uint64_t work = 1 + s->products / PRODUCTS_PER_VOXEL;
    uint64_t most = gpu_work_limit(w->gpu) / work / NET_ALIGN * NET_ALIGN;
    most = most < NET_ALIGN ? NET_ALIGN : most > INVOCATIONS_MAX ? INVOCATIONS_MAX : most;
    // Blocks go together as far as they are small.
    const uint64_t fit = s->count >= most ? 1 : most / s->count,
                   beside = fit < BLOCKS_MAX ? fit : BLOCKS_MAX;
    uint32_t blocks = 0;
    for (push.block = 0; push.block < s->blocks; push.block += blocks) {
        blocks = s->blocks - push.block > beside ? (uint32_t)beside : s->blocks - push.block;
        for (push.first = 0; push.first < s->count; push.first = push.end) {
            uint64_t from = 0, to = 0, last = 0;
            push.end = s->count - push.first > most ? push.first + (uint32_t)most : s->count;
            written_by(g, s, push.block, push.first, push.end, &from, &to);
            if (blocks > 1)
                written_by(g, s, push.block + blocks - 1, push.first, push.end, &last, &to);
            from = from * sizeof(float) / NET_ALIGN * NET_ALIGN;
            to = net_round_up(to * sizeof(float), NET_ALIGN);
            push.out_shift = (uint32_t)(from / sizeof(float));
            ranges[k.bindings - 1] = (struct gpu_range){whole.buf, whole.offset + from, to - from};
            const uint32_t groups[3] = {(push.end - push.first + GROUP_SIZE - 1) / GROUP_SIZE,
                                        blocks, 1};
            if (!gpu_dispatch(w->gpu, &k, ranges, &push, groups, s->trips,
                              work * blocks * (push.end - push.first), err))
                return false;
        }
    }
    return true;
}

static bool upload_constants(const struct graph_work *w, struct err *err)
{
    const struct graph *g = w->graph;
    for (uint32_t i = 0; i < g->value_count; i++) {
        const struct graph_value *v = &g->values[i];
        if (v->f && v->root == i && v->first == 1 && v->count &&
            !gpu_buf_write(w->constants, v->offset, v->f, v->count * sizeof(float), err))
            return false;
    }
    return true;
}

static bool upload(const struct graph_work *w, const float *const *in, struct err *err)
{
    const struct graph *g = w->graph;
    for (uint32_t i = 0; i < g->model->in_count; i++) {
        const struct graph_value *v = &g->values[g->ins[i]];
        if (!graph_is_const(g, g->ins[i]) && v->count &&
            !gpu_buf_write(w->tensors, v->offset, in[i], v->count * sizeof(float), err))
            return false;
    }
    return true;
}

static bool download(const struct graph_work *w, float *const *out, struct err *err)
{
    const struct graph *g = w->graph;
    for (uint32_t i = 0; i < g->model->out_count; i++) {
        const struct graph_value *v = &g->values[g->outs[i]];
        for (uint64_t k = 0; v->i && k < v->count; k++)
            out[i][k] = (float)v->i[k];
        if (v->f)
            memcpy(out[i], v->f, v->count * sizeof(float));
        if (!v->i && !v->f && v->count &&
            !gpu_buf_read(w->tensors, g->values[v->root].offset, out[i], v->count * sizeof(float),
                          err))
            return false;
    }
    return true;
}

struct graph_work *graph_open(const struct graph *g, struct gpu *gpu, struct err *err)
{
    struct graph_work *w = calloc(1, sizeof *w);
    if (!w) {
        err_set(err, ERR_NOMEM, "no memory");
        return NULL;
    }
    w->graph = g;
    w->gpu = gpu;
    if (g->arena_bytes)
        w->tensors = gpu_buf_create(gpu, "net tensors", g->arena_bytes, err);
    if (g->const_bytes && (w->tensors || !g->arena_bytes))
        w->constants = gpu_buf_create(gpu, "net constants", g->const_bytes, err);
    if ((w->tensors || !g->arena_bytes) && (w->constants || !g->const_bytes) &&
        upload_constants(w, err))
        return w;
    graph_close(w);
    return NULL;
}

void graph_close(struct graph_work *w)
{
    if (!w)
        return;
    gpu_buf_destroy(w->tensors);
    gpu_buf_destroy(w->constants);
    free(w);
}

bool graph_run(struct graph_work *w, const float *const *in, float *const *out,
               bool (*step)(void *ctx, double done, struct err *err), void *ctx, struct err *err)
{
    const struct graph *g = w->graph;
    double all = 0, done = 0;
    for (uint32_t s = 0; s < g->step_count; s++)
        all += (double)g->steps[s].count * g->steps[s].blocks * (double)(1 + g->steps[s].products);
    bool ok = upload(w, in, err);
    for (uint32_t s = 0; ok && s < g->step_count; s++) {
        const struct graph_step *now = &g->steps[s];
        ok = (!step || step(ctx, done / all, err)) && run_step(w, now, err);
        done += (double)now->count * now->blocks * (double)(1 + now->products);
    }
    return ok && gpu_finish(w->gpu, err) && download(w, out, err);
}
