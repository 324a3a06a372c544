// A network as steps that the device can do, made from an ONNX file for inputs of known sizes:
// every size is known, what depends on constants only is computed, operators are lowered to few
// kernels. Tensors are packed, the last axis innermost; the device holds all of them as float. Of
// this folder only. Thread-safety: a built graph is constant; running it is of the thread of its
// struct gpu.
#pragma once
#include "compute/gpu/gpu.h"
#include "compute/net/net_onnx.h"

#define GRAPH_NONE      UINT32_MAX
#define GRAPH_WORDS     28u // push constants of a step's own
#define GRAPH_AXES      6u  // that an elementwise step walks; more are merged or refused
#define GRAPH_STEPS_MAX 40000u
#define GRAPH_FOLD_MAX  (64u << 20) // numbers of all that is computed while a graph is built
#define GRAPH_TRIPS_MAX 60000u      // of a loop in a shader: see gpu_dispatch()
#define GRAPH_WHOLE_MAX (1 << 24)   // whole numbers to there are exact in single precision
#define GRAPH_CHUNK     2048u       // numbers of which an invocation adds up a part

// Each is a shader of shaders/net; GRAPH_MAP and GRAPH_TAPS are also done in C, on constants.
enum graph_kind {
    GRAPH_MAP,     // one number out for one of each input, with strides
    GRAPH_TAPS,    // along one axis: weighted sums of numbers that a table names
    GRAPH_CONV,    // convolution, up to three axes
    GRAPH_ROWS,    // the same where rows are whole quads and follow each other
    GRAPH_CONVT,   // transposed convolution
    GRAPH_POOL,    // largest or mean of a window
    GRAPH_REDUCE,  // of a part of an axis
    GRAPH_SOFTMAX, // over an axis
    GRAPH_STATS,   // mean and squared deviations of parts of rows
    GRAPH_JOIN,    // of rows from their parts: mean, 1 / deviation
    GRAPH_APPLY,   // rows normalised
    GRAPH_MATMUL,
};

// Operations of GRAPH_MAP: shaders/net/map.comp and net_fold.c. Those before OP_RELU have two
// inputs.
enum graph_op {
    OP_COPY,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_POW,
    OP_MAX,
    OP_MIN,
    OP_PRELU, // a, below zero a b
    OP_PICK,  // a where b is true, else 0
    OP_DROP,  // a where b is false, else 0
    OP_EQUAL,
    OP_LESS,
    OP_GREATER,
    OP_AT_MOST,
    OP_AT_LEAST,
    OP_UNLIKE,
    OP_RELU,
    OP_LEAKY, // slope p0 below zero
    OP_ELU,   // p0 (exp(a) - 1) below zero
    OP_GELU,  // by the error function
    OP_GELU_TANH,
    OP_SIGMOID,
    OP_CLAMPED, // p0 a + p1 between 0 and 1
    OP_SQRT,
    OP_EXP,
    OP_LOG,
    OP_TANH,
    OP_ERF,
    OP_NEG,
    OP_ABS,
    OP_INVERSE,
    OP_FLOOR,
    OP_CEIL,
    OP_CLIP, // between p0 and p1
    OP_TRUNC,
    OP_SCALE, // p0 a + p1
    OP_SOFTPLUS,
    OP_ROUND, // halves to the even one
    OP_SIGN,
    OP_SIN,
    OP_COS,
    OP_SELU,  // p1 a, below zero p1 p0 (exp(a) - 1)
    OP_CELU,  // p0 (exp(a / p0) - 1) below zero
    OP_ABOVE, // a above p0, else 0
    OP_HARD_SWISH,
    OP_SOFTSIGN,
    OP_TRUTH, // 1 where a is not 0
};

enum graph_reduce {
    REDUCE_SUM,
    REDUCE_MAX,
    REDUCE_MIN,
    REDUCE_PROD,
    REDUCE_SUMSQ,
    REDUCE_L1,
    REDUCE_ARGMAX,
    REDUCE_ARGMIN
};

struct graph_value {
    const char *name;
    enum onnx_type type;
    uint32_t rank, dim[ONNX_RANK_MAX];
    uint64_t count;
    float *f; // constants of floating type; in the arena or the file's
    int64_t *i;
    uint32_t root; // whose numbers these are, in the same order: reshaped tensors share them
    // The plan: see graph_plan().
    uint32_t first, last; // steps that make and read it
    uint64_t bytes, offset;
};

struct graph_step {
    enum graph_kind kind;
    uint32_t constant[4]; // of the shader
    uint32_t in[3], in_count, out;
    uint32_t words[GRAPH_WORDS], word_count;
    uint32_t count;    // invocations
    uint32_t blocks;   // dispatches with another number of a block
    uint64_t products; // of an invocation, about
    uint64_t trips;    // of its loops
    // Numbers out of `out` that invocations [a, b) of block k write: whole of them, or
    enum { OUT_WHOLE, OUT_LINEAR, OUT_PITCHED, OUT_BLOCK } writes;
    uint32_t block_outs; // OUT_BLOCK: channels out of a block
};

struct graph {
    struct arena *arena;
    const struct onnx_model *model;
    struct graph_value *values;
    uint32_t value_count, value_room;
    struct graph_step *steps;
    uint32_t step_count, step_room;
    struct graph_name *names; // of the file's tensors: a hash table
    uint32_t name_room;
    uint64_t folded;
    uint32_t *ins, *outs;         // values, as model->ins and outs
    const struct onnx_node *node; // that is lowered
    uint64_t arena_bytes, const_bytes;
};

static inline bool graph_is_const(const struct graph *g, uint32_t v)
{
    return g->values[v].f || g->values[v].i;
}

// What an input is: its size, and its numbers where they are known.
struct graph_input {
    uint32_t rank, dim[ONNX_RANK_MAX];
    enum onnx_type type;
    float *f;
    int64_t *i;
};

// ins: one for each of model->ins. NULL: *err names the node.
struct graph *graph_build(const struct onnx_model *m, const struct graph_input *ins,
                          struct err *err);
void graph_destroy(struct graph *g); // NULL is fine

// For net_lower*.c.
uint32_t graph_value(struct graph *g, enum onnx_type type, uint32_t rank, const uint32_t *dim,
                     struct err *err);
uint32_t graph_const(struct graph *g, uint32_t rank, const uint32_t *dim, float **numbers,
                     struct err *err);
uint32_t graph_reshape(struct graph *g, uint32_t of, uint32_t rank, const uint32_t *dim,
                       struct err *err);
bool graph_emit(struct graph *g, const struct graph_step *s, struct err *err); // or computes it
uint32_t graph_lower(struct graph *g, const struct onnx_node *n, const uint32_t *in, uint32_t *out,
                     struct err *err);
bool graph_fold(struct graph *g, const struct graph_step *s, struct err *err);

// net_exec.c. Lays all tensors into one range, those that live at the same time beside each other.
bool graph_plan(struct graph *g, struct err *err);
// Device memory of a run, without staging.
uint64_t graph_bytes(const struct graph *g);

struct graph_work; // a graph with its tensors on a device; opaque

// g and gpu must live until it is closed.
struct graph_work *graph_open(const struct graph *g, struct gpu *gpu, struct err *err);
void graph_close(struct graph_work *w); // NULL is fine
// Once through: in and out are the numbers of model->ins (those that are constant: NULL) and outs.
// step: see struct net_call; NULL: none.
bool graph_run(struct graph_work *w, const float *const *in, float *const *out,
               bool (*step)(void *ctx, double done, struct err *err), void *ctx, struct err *err);
