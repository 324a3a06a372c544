#include "compute/net/net_graph.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct graph_name {
    const char *name;
    uint32_t value;
};

static struct graph_name *name_slot(const struct graph *g, const char *name)
{
    uint32_t hash = 2166136261u; // FNV-1a
    for (const char *at = name; *at; at++)
        hash = (hash ^ (uint8_t)*at) * 16777619u;
    for (uint32_t i = hash;; i++) {
        struct graph_name *slot = &g->names[i & (g->name_room - 1)];
        if (!slot->name || strcmp(slot->name, name) == 0)
            return slot;
    }
}

uint32_t graph_value(struct graph *g, enum onnx_type type, uint32_t rank, const uint32_t *dim,
                     struct err *err)
{
    if (g->value_count == g->value_room) {
        const uint32_t room = g->value_room ? 2 * g->value_room : 256;
        struct graph_value *more = realloc(g->values, room * sizeof *more);
        if (!more || room > 8 * GRAPH_STEPS_MAX) {
            g->values = more ? more : g->values;
            err_set(err, ERR_NOMEM, "no memory for tensors");
            return GRAPH_NONE;
        }
        g->values = more;
        g->value_room = room;
    }
    struct graph_value *v = &g->values[g->value_count];
    *v = (struct graph_value){
        .name = g->node ? g->node->name : "", .type = type, .rank = rank, .count = 1};
    if (rank > ONNX_RANK_MAX) {
        err_set(err, ERR_UNSUPPORTED, "a tensor of %" PRIu32 " axes", rank);
        return GRAPH_NONE;
    }
    uint64_t size = 1; // of what is not empty: products of axes stay within 32 bits
    for (uint32_t d = 0; d < rank; d++) {
        v->dim[d] = dim[d];
        v->count *= dim[d];
        size *= dim[d] ? dim[d] : 1;
        if (size > ONNX_ELEMENTS_MAX) {
            err_set(err, ERR_INPUT, "a tensor of more than %u numbers", ONNX_ELEMENTS_MAX);
            return GRAPH_NONE;
        }
    }
    v->root = g->value_count;
    return g->value_count++;
}

uint32_t graph_const(struct graph *g, uint32_t rank, const uint32_t *dim, float **numbers,
                     struct err *err)
{
    const uint32_t v = graph_value(g, ONNX_FLOAT, rank, dim, err);
    if (v == GRAPH_NONE)
        return v;
    g->folded += g->values[v].count;
    if (g->folded > GRAPH_FOLD_MAX) {
        err_set(err, ERR_UNSUPPORTED, "constants of more than %u numbers to compute",
                GRAPH_FOLD_MAX);
        return GRAPH_NONE;
    }
    *numbers = g->values[v].f = arena_alloc(g->arena, g->values[v].count + 1, sizeof(float));
    if (*numbers)
        return v;
    err_set(err, ERR_NOMEM, "no memory for constants");
    return GRAPH_NONE;
}

uint32_t graph_reshape(struct graph *g, uint32_t of, uint32_t rank, const uint32_t *dim,
                       struct err *err)
{
    const uint32_t v = graph_value(g, g->values[of].type, rank, dim, err);
    if (v == GRAPH_NONE)
        return v;
    if (g->values[v].count != g->values[of].count) {
        err_set(err, ERR_INPUT, "%" PRIu64 " numbers into a shape of %" PRIu64, g->values[of].count,
                g->values[v].count);
        return GRAPH_NONE;
    }
    g->values[v].f = g->values[of].f;
    g->values[v].i = g->values[of].i;
    g->values[v].root = g->values[of].root;
    return v;
}

// The device holds floats: whole numbers that they hold exactly become some.
static bool as_floats(struct graph *g, uint32_t of, uint32_t *out, struct err *err)
{
    float *numbers = NULL;
    const struct graph_value v = g->values[of];
    *out = graph_const(g, v.rank, v.dim, &numbers, err);
    if (*out == GRAPH_NONE)
        return false;
    for (uint64_t k = 0; k < v.count; k++) {
        if (v.i[k] > GRAPH_WHOLE_MAX || v.i[k] < -GRAPH_WHOLE_MAX)
            return err_set(err, ERR_UNSUPPORTED, "the whole number %" PRId64 " on the device",
                           v.i[k]);
        numbers[k] = (float)v.i[k];
    }
    return true;
}

bool graph_emit(struct graph *g, const struct graph_step *s, struct err *err)
{
    bool known = s->kind == GRAPH_MAP || s->kind == GRAPH_TAPS;
    for (uint32_t i = 0; i < s->in_count; i++)
        known = known && graph_is_const(g, s->in[i]);
    if (known)
        return graph_fold(g, s, err);
    if (!g->values[s->out].count)
        return true; // nothing to do
    struct graph_step step = *s;
    for (uint32_t i = 0; i < s->in_count; i++) {
        if (!g->values[s->in[i]].count)
            return err_set(err, ERR_UNSUPPORTED, "an empty tensor");
        if (g->values[s->in[i]].i && !as_floats(g, s->in[i], &step.in[i], err))
            return false;
    }
    if (s->trips > GRAPH_TRIPS_MAX)
        return err_set(err, ERR_UNSUPPORTED, "sums of %" PRIu64 " products, known are %u", s->trips,
                       GRAPH_TRIPS_MAX);
    if (g->step_count == g->step_room) {
        const uint32_t room = g->step_room ? 2 * g->step_room : 256;
        struct graph_step *more = realloc(g->steps, room * sizeof *more);
        if (!more || room > 2 * GRAPH_STEPS_MAX) {
            g->steps = more ? more : g->steps;
            return err_set(err, ERR_NOMEM, "too many steps");
        }
        g->steps = more;
        g->step_room = room;
    }
    g->steps[g->step_count++] = step;
    return true;
}

static bool add_name(struct graph *g, const char *name, uint32_t value, struct err *err)
{
    struct graph_name *slot = name_slot(g, name);
    if (slot->name)
        return err_set(err, ERR_INPUT, "two tensors named %s", name);
    *slot = (struct graph_name){name, value};
    return true;
}

static bool add_node(struct graph *g, const struct onnx_node *n, struct err *err)
{
    uint32_t in[ONNX_LIST_MAX], out[ONNX_LIST_MAX];
    g->node = n;
    for (uint32_t i = 0; i < n->in_count; i++) {
        const struct graph_name *slot = *n->in[i] ? name_slot(g, n->in[i]) : NULL;
        if (slot && !slot->name)
            return err_set(err, ERR_INPUT, "%s (%s): its input %s comes from nowhere before it",
                           n->name, n->op, n->in[i]);
        in[i] = slot ? slot->value : GRAPH_NONE;
    }
    for (uint32_t i = 0; i < n->attr_count; i++) {
        if (n->attrs[i].graph)
            return err_set(err, ERR_UNSUPPORTED, "%s: operator %s with a graph in it", n->name,
                           n->op);
    }
    const uint32_t made = graph_lower(g, n, in, out, err);
    if (!made)
        return err_wrap(err, "%s (%s)", n->name, n->op);
    for (uint32_t i = 0; i < n->out_count; i++) {
        if (!*n->out[i])
            continue;
        if (i >= made)
            return err_set(err, ERR_UNSUPPORTED, "%s (%s): output %" PRIu32, n->name, n->op, i);
        if (!add_name(g, n->out[i], out[i], err))
            return false;
    }
    return true;
}

static bool add_inputs(struct graph *g, const struct graph_input *ins, struct err *err)
{
    const struct onnx_model *m = g->model;
    for (uint32_t i = 0; i < m->init_count; i++) {
        const struct onnx_tensor *t = &m->inits[i];
        const uint32_t v = graph_value(g, t->type, t->rank, t->dim, err);
        if (v == GRAPH_NONE || !add_name(g, t->name, v, err))
            return false;
        g->values[v].f = t->f;
        g->values[v].i = t->i;
    }
    for (uint32_t i = 0; i < m->in_count; i++) {
        const uint32_t v = graph_value(g, ins[i].type, ins[i].rank, ins[i].dim, err);
        if (v == GRAPH_NONE || !add_name(g, m->ins[i].name, v, err))
            return false;
        g->values[v].f = ins[i].f;
        g->values[v].i = ins[i].i;
        g->ins[i] = v;
    }
    return true;
}

static bool build(struct graph *g, const struct graph_input *ins, struct err *err)
{
    const struct onnx_model *m = g->model;
    uint64_t names = m->init_count + (uint64_t)m->in_count;
    for (uint32_t i = 0; i < m->node_count; i++)
        names += m->nodes[i].out_count;
    for (g->name_room = 64; g->name_room < 2 * names;)
        g->name_room *= 2;
    g->names = arena_alloc(g->arena, g->name_room, sizeof *g->names);
    g->ins = arena_alloc(g->arena, m->in_count + 1UL, sizeof *g->ins);
    g->outs = arena_alloc(g->arena, m->out_count + 1UL, sizeof *g->outs);
    if (!g->names || !g->ins || !g->outs)
        return err_set(err, ERR_NOMEM, "no memory");
    if (!add_inputs(g, ins, err))
        return false;
    for (uint32_t i = 0; i < m->node_count; i++) {
        if (!add_node(g, &m->nodes[i], err))
            return false;
    }
    g->node = NULL;
    for (uint32_t i = 0; i < m->out_count; i++) {
        const struct graph_name *slot = name_slot(g, m->outs[i].name);
        if (!slot->name)
            return err_set(err, ERR_INPUT, "output %s comes from nowhere", m->outs[i].name);
        g->outs[i] = slot->value;
    }
    return graph_plan(g, err);
}

struct graph *graph_build(const struct onnx_model *m, const struct graph_input *ins,
                          struct err *err)
{
    struct graph *g = calloc(1, sizeof *g);
    if (!g) {
        err_set(err, ERR_NOMEM, "no memory");
        return NULL;
    }
    g->arena = arena_create();
    g->model = m;
    if (g->arena ? build(g, ins, err) : err_set(err, ERR_NOMEM, "no memory"))
        return g;
    graph_destroy(g);
    return NULL;
}

void graph_destroy(struct graph *g)
{
    if (!g)
        return;
    arena_destroy(g->arena);
    free(g->values);
    free(g->steps);
    free(g);
}
