#include "compute/gpu/spirv.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC        0x07230203u
#define VERSION_MAX  0x00010500u // what Vulkan 1.2 takes
#define HEADER_WORDS 5u
#define IDS_MAX      (1u << 20) // of one shader: far more than any, little memory

enum { // opcodes
    OP_ENTRY_POINT = 15,
    OP_TYPE_INT = 21,
    OP_TYPE_FLOAT = 22,
    OP_TYPE_VECTOR = 23,
    OP_TYPE_MATRIX = 24,
    OP_TYPE_ARRAY = 28,
    OP_TYPE_STRUCT = 30,
    OP_TYPE_POINTER = 32,
    OP_CONSTANT = 43,
    OP_VARIABLE = 59,
    OP_DECORATE = 71,
    OP_MEMBER_DECORATE = 72,
};
enum { // decorations
    DECORATION_ARRAY_STRIDE = 6,
    DECORATION_BINDING = 33,
    DECORATION_SET = 34,
    DECORATION_OFFSET = 35,
};
enum { // storage classes
    CLASS_UNIFORM_CONSTANT = 0,
    CLASS_PUSH_CONSTANT = 9,
    CLASS_STORAGE_BUFFER = 12,
};
#define MODEL_COMPUTE 5u // execution model

// What is known of one id.
struct spirv_id {
    const uint32_t *definition; // the instruction that makes it: a type, a constant
    uint32_t binding, set;      // UINT32_MAX: not decorated
    uint32_t stride;
};

struct spirv {
    const struct kernel *kernel;
    const uint32_t *words;
    size_t count;
    struct spirv_id *ids;
    uint32_t bound;
    bool has_main;
};

static bool spirv_bad(const struct spirv *s, const char *what, struct err *err)
{
    return err_set(err, ERR_UNSUPPORTED, "shader %s: %s", s->kernel->shader->name, what);
}

static uint32_t op_of(const uint32_t *at)
{
    return *at & 0xffff;
}

static uint32_t length_of(const uint32_t *at)
{
    return *at >> 16;
}

static struct spirv_id *id_of(const struct spirv *s, uint32_t id)
{
    return id < s->bound ? &s->ids[id] : &s->ids[0]; // 0 is no valid id: knows nothing
}

// The size of a type as it lies in a block with explicit layout; 0: unknown.
static uint64_t type_size(const struct spirv *s, uint32_t type, int depth)
{
    const uint32_t *d = id_of(s, type)->definition;
    if (!d || depth > 8)
        return 0;
    switch (op_of(d)) {
    case OP_TYPE_INT:
    case OP_TYPE_FLOAT:
        return d[2] / 8;
    case OP_TYPE_VECTOR:
    case OP_TYPE_MATRIX: // its stride may make it larger; we use none in push constants
        return d[3] * type_size(s, d[2], depth + 1);
    case OP_TYPE_ARRAY: {
        const uint32_t *n = id_of(s, d[3])->definition;
        uint64_t stride = id_of(s, type)->stride;
        uint64_t count = n && op_of(n) == OP_CONSTANT ? n[3] : 0;
        return count ? (count - 1) * stride + type_size(s, d[2], depth + 1) : 0;
    }
    default:
        return 0;
    }
}

// The bytes of push constants that a block reaches.
static uint64_t block_size(const struct spirv *s, uint32_t type)
{
    const uint32_t *block = id_of(s, type)->definition;
    uint64_t most = 0;
    if (!block || op_of(block) != OP_TYPE_STRUCT)
        return 0;
    for (size_t at = HEADER_WORDS; at < s->count; at += length_of(&s->words[at])) {
        const uint32_t *w = &s->words[at];
        if (op_of(w) != OP_MEMBER_DECORATE || length_of(w) < 5 || w[1] != type ||
            w[3] != DECORATION_OFFSET || w[2] >= length_of(block) - 2)
            continue;
        uint64_t end = w[4] + type_size(s, block[2 + w[2]], 0);
        most = end > most ? end : most;
    }
    return most;
}

static bool check_variable(const struct spirv *s, const uint32_t *w, struct err *err)
{
    const struct kernel *k = s->kernel;
    const struct spirv_id *id = id_of(s, w[2]);
    const uint32_t *pointer = id_of(s, w[1])->definition;
    if (w[3] == CLASS_PUSH_CONSTANT && pointer && op_of(pointer) == OP_TYPE_POINTER) {
        uint64_t size = block_size(s, pointer[3]);
        if (size > k->push_bytes)
            return err_set(err, ERR_INTERNAL,
                           "shader %s has %" PRIu64 " bytes of push constants, its kernel %u",
                           k->shader->name, size, k->push_bytes);
    }
    if (id->binding == UINT32_MAX)
        return true;
    if (id->set != 0 || id->binding >= k->bindings)
        return err_set(err, ERR_INTERNAL, "shader %s uses binding %u of set %u, its kernel has %u",
                       k->shader->name, id->binding, id->set, k->bindings);
    uint32_t want =
        gpu_reads_texels(k->access[id->binding]) ? CLASS_UNIFORM_CONSTANT : CLASS_STORAGE_BUFFER;
    if (w[3] != want)
        return err_set(err, ERR_INTERNAL, "shader %s: binding %u is %s, not as its kernel says",
                       k->shader->name, id->binding,
                       w[3] == CLASS_UNIFORM_CONSTANT ? "a texel buffer"
                       : w[3] == CLASS_STORAGE_BUFFER ? "a storage buffer"
                                                      : "of a kind that kernels do not have");
    return true;
}

// Notes what one instruction says of an id.
static bool note(struct spirv *s, const uint32_t *w, struct err *err)
{
    // Words that each of these has at least; others are not looked at.
    static const uint8_t least[OP_MEMBER_DECORATE + 1] = {
        [OP_ENTRY_POINT] = 5, [OP_TYPE_INT] = 4,   [OP_TYPE_FLOAT] = 3,  [OP_TYPE_VECTOR] = 4,
        [OP_TYPE_MATRIX] = 4, [OP_TYPE_ARRAY] = 4, [OP_TYPE_STRUCT] = 2, [OP_TYPE_POINTER] = 4,
        [OP_CONSTANT] = 4,    [OP_VARIABLE] = 4,   [OP_DECORATE] = 3,
    };
    uint32_t op = op_of(w);
    if (op >= sizeof least || !least[op])
        return true;
    if (length_of(w) < least[op])
        return spirv_bad(s, "an instruction is cut short", err);
    switch (op) {
    case OP_ENTRY_POINT:
        s->has_main |= w[1] == MODEL_COMPUTE && memcmp(&w[3], "main", 5) == 0;
        return true;
    case OP_DECORATE:
        if (length_of(w) > 3 && w[2] == DECORATION_BINDING)
            id_of(s, w[1])->binding = w[3];
        if (length_of(w) > 3 && w[2] == DECORATION_SET)
            id_of(s, w[1])->set = w[3];
        if (length_of(w) > 3 && w[2] == DECORATION_ARRAY_STRIDE)
            id_of(s, w[1])->stride = w[3];
        return true;
    case OP_VARIABLE: // comes after all decorations and the types it uses
        return check_variable(s, w, err);
    default:
        id_of(s, w[op == OP_CONSTANT ? 2 : 1])->definition = w;
        return true;
    }
}

static bool walk(struct spirv *s, struct err *err)
{
    for (size_t at = HEADER_WORDS; at < s->count; at += length_of(&s->words[at])) {
        uint32_t length = length_of(&s->words[at]);
        if (!length || length > s->count - at)
            return spirv_bad(s, "an instruction is cut short", err);
    }
    for (size_t at = HEADER_WORDS; at < s->count; at += length_of(&s->words[at])) {
        if (!note(s, &s->words[at], err))
            return false;
    }
    return s->has_main || spirv_bad(s, "no compute entry point \"main\"", err);
}

bool spirv_check(const struct kernel *k, struct err *err)
{
    struct spirv s = {
        .kernel = k, .words = k->shader->words, .count = k->shader->size / sizeof(uint32_t)};
    if (!s.words || k->shader->size % sizeof(uint32_t) || s.count <= HEADER_WORDS ||
        s.words[0] != MAGIC)
        return spirv_bad(&s, "no SPIR-V in this machine's byte order", err);
    if (s.words[1] > VERSION_MAX)
        return spirv_bad(&s, "SPIR-V of a newer version than 1.5", err);
    s.bound = s.words[3];
    if (!s.bound || s.bound > IDS_MAX)
        return spirv_bad(&s, "an impossible number of ids", err);
    s.ids = calloc(s.bound, sizeof *s.ids);
    if (!s.ids)
        return err_set(err, ERR_NOMEM, "shader %s", k->shader->name);
    for (uint32_t i = 0; i < s.bound; i++)
        s.ids[i] = (struct spirv_id){.binding = UINT32_MAX};
    bool ok = walk(&s, err);
    free(s.ids);
    return ok;
}
