// An ONNX file as it stands: nodes, tensors, names, and nothing computed. Source: onnx.proto of
// ONNX 1.12 (field numbers do not change). The file is input from a stranger: all lengths and
// counts are bounded before they allocate. Of this folder only. Thread-safety: no state; what is
// read is constant.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"

#define ONNX_RANK_MAX     8u
#define ONNX_NODES_MAX    20000u // SwinUNETR has 9,513
#define ONNX_NAME_MAX     256u
#define ONNX_LIST_MAX     64u        // names or attributes of a node, numbers of an attribute
#define ONNX_ELEMENTS_MAX (1u << 27) // of a tensor: 512 MB
#define ONNX_OPSET_MIN    1
#define ONNX_OPSET_MAX    21

// Of TensorProto.DataType.
enum onnx_type {
    ONNX_FLOAT = 1,
    ONNX_UINT8 = 2,
    ONNX_INT8 = 3,
    ONNX_UINT16 = 4,
    ONNX_INT16 = 5,
    ONNX_INT32 = 6,
    ONNX_INT64 = 7,
    ONNX_BOOL = 9,
    ONNX_FLOAT16 = 10,
    ONNX_DOUBLE = 11,
    ONNX_UINT32 = 12,
};

static inline bool onnx_is_known(enum onnx_type type)
{
    return type >= ONNX_FLOAT && type <= ONNX_UINT32 && type != 8; // 8: strings
}

// Floating types are read as float, all others as int64.
static inline bool onnx_is_float(enum onnx_type type)
{
    return type == ONNX_FLOAT || type == ONNX_FLOAT16 || type == ONNX_DOUBLE;
}

struct onnx_tensor {
    const char *name;
    enum onnx_type type;
    uint32_t rank, dim[ONNX_RANK_MAX];
    uint64_t count;
    float *f;   // of floating types
    int64_t *i; // of the others
};

struct onnx_attr {
    const char *name, *text;
    int64_t i;
    float f;
    uint32_t int_count;
    int64_t *ints;
    uint32_t float_count;
    float *floats;
    struct onnx_tensor *tensor;
    bool graph; // it holds a graph, which is not read
};

struct onnx_node {
    const char *op, *name; // name: as the file has it, or of its first output
    uint32_t in_count, out_count, attr_count;
    const char **in, **out; // "": none
    struct onnx_attr *attrs;
};

struct onnx_port {
    const char *name;
    enum onnx_type type;
    uint32_t rank, dim[ONNX_RANK_MAX]; // 0: any
};

struct onnx_model {
    int64_t opset;
    uint32_t node_count, init_count, in_count, out_count;
    struct onnx_node *nodes;
    struct onnx_tensor *inits;
    struct onnx_port *ins, *outs; // ins: without those that are initializers
};

// All that is read lies in the arena; data is only read while it is called.
//   ERR_INPUT        broken, or beyond a limit
//   ERR_UNSUPPORTED  an opset, a type or a feature that is not known here
//   ERR_NOMEM
struct onnx_model *onnx_read(struct arena *a, const void *data, size_t len, struct err *err);
// One TensorProto.
bool onnx_read_tensor(struct arena *a, const void *data, size_t len, struct onnx_tensor *out,
                      struct err *err);
