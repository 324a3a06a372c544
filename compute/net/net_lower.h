// What the files that lower operators share. Of this folder only. Thread-safety: of the builder's
// thread.
#pragma once
#include "compute/net/net_graph.h"

// An operator that is being lowered.
struct lower {
    struct graph *g;
    const struct onnx_node *n;
    const uint32_t *in; // values; GRAPH_NONE: left out
    uint32_t *out;
    struct err *err;
};

// Each returns false with *err, or the value or GRAPH_NONE.
const struct onnx_attr *lower_attr(const struct lower *l, const char *name); // NULL: absent
int64_t lower_int(const struct lower *l, const char *name, int64_t absent);
float lower_float(const struct lower *l, const char *name, float absent);
struct graph_value *lower_in(const struct lower *l, uint32_t i); // NULL: left out
// Whole numbers from an attribute, or from constant input i. count 0: there are none.
bool lower_ints(const struct lower *l, const char *name, uint32_t i, int64_t *out, uint32_t *count);
// An axis from -rank to rank - 1.
bool lower_axis(const struct lower *l, int64_t axis, uint32_t rank, uint32_t *out);
uint32_t lower_unary(const struct lower *l, uint32_t a, enum graph_op op, float p0, float p1);
uint32_t lower_binary(const struct lower *l, uint32_t a, uint32_t b, enum graph_op op);
// Numbers of a where steps (in numbers) along the axes of the result say, from base on.
uint32_t lower_view(const struct lower *l, uint32_t a, uint32_t rank, const uint32_t *dim,
                    const int64_t *step, int64_t base);
// Along one axis, by a table: see shaders/net/taps.comp.
uint32_t lower_taps(const struct lower *l, uint32_t a, uint32_t axis, uint32_t made, uint32_t taps,
                    const float *table, float fill);
uint32_t lower_float_word(float f);

// Steps, in numbers, along the axes of a packed tensor.
void lower_steps(const struct graph_value *v, int64_t *step);
bool lower_failed(const struct lower *l); // *err is set
// Emits s with its result as the operator's first; the number of results, or 0.
uint32_t lower_emit(const struct lower *l, struct graph_step *s, uint32_t out);
// A walk over one run of s->count numbers, and its emission as GRAPH_MAP into `out`.
uint32_t lower_run(const struct lower *l, struct graph_step *s, uint32_t out);
// The value as the operator's only result: 1, or 0 where it is GRAPH_NONE.
uint32_t lower_done(const struct lower *l, uint32_t value);
// Constant floats of input i, count of them; *numbers NULL: left out.
bool lower_weights(const struct lower *l, uint32_t i, uint64_t count, const float **numbers);
// Constants of a list of numbers, or of one with rank 0; they are copied.
uint32_t lower_whole(const struct lower *l, uint32_t rank, uint32_t count, const int64_t *from);
uint32_t lower_floats(const struct lower *l, uint32_t rank, uint32_t count, const float *from);
int64_t lower_within(int64_t x, int64_t low, int64_t high);

// An operator: how it is lowered, and what it needs.
struct lower_op {
    const char *name;
    uint32_t opset;  // the first whose meaning is the one known here
    uint32_t inputs; // that must be there
    // The number of results in l->out, or 0 with *l->err.
    uint32_t (*lower)(const struct lower *l);
};

// Rows up to one without a name.
extern const struct lower_op lower_ops_math[];   // net_ops_math.c: number by number
extern const struct lower_op lower_ops_shape[];  // net_ops_shape.c: numbers moved or named anew
extern const struct lower_op lower_ops_place[];  // net_ops_place.c: along axes by tables
extern const struct lower_op lower_ops_window[]; // net_ops_window.c: convolutions and pools
extern const struct lower_op lower_ops_sum[];    // net_ops_sum.c: sums over axes, matrices
extern const struct lower_op lower_ops_norm[];   // net_ops_norm.c
extern const struct lower_op *const lower_ops[]; // all of them, NULL at the end
