#include "compute/net/net_onnx.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include "compute/net/net_proto.h"

#define INITS_MAX 20000u

static const char *read_name(struct arena *a, struct proto p, struct err *err)
{
    if (p.left > ONNX_NAME_MAX) {
        err_set(err, ERR_INPUT, "a name of %zu bytes", p.left);
        return NULL;
    }
    char *name = arena_alloc(a, p.left + 1, 1);
    for (size_t i = 0; name && i < p.left; i++)
        name[i] = (char)(p.at[i] > ' ' && p.at[i] < 0x7f ? p.at[i] : '_');
    if (!name)
        err_set(err, ERR_NOMEM, "no memory");
    return name;
}

// How many fields of a number there are in a message.
static uint32_t count_fields(struct proto p, uint32_t number)
{
    struct proto_field f;
    bool bad = false;
    uint32_t count = 0;
    while (proto_next(&p, &f, &bad))
        count += f.number == number;
    return count;
}

// Appends the whole numbers of a field, packed or not. false: there are more than room.
static bool add_ints(const struct proto_field *f, int64_t *out, uint64_t room, uint64_t *count)
{
    struct proto p = f->bytes;
    uint64_t value = f->value;
    if (f->kind != PROTO_BYTES) {
        if (*count < room)
            out[*count] = (int64_t)value;
        return ++*count <= room;
    }
    while (p.left) {
        if (*count >= room || !proto_varint(&p, &value))
            return false;
        out[(*count)++] = (int64_t)value;
    }
    return true;
}

static size_t onnx_bytes_of(enum onnx_type type)
{
    switch (type) {
    case ONNX_UINT8:
    case ONNX_INT8:
    case ONNX_BOOL:
        return 1;
    case ONNX_UINT16:
    case ONNX_INT16:
    case ONNX_FLOAT16:
        return 2;
    case ONNX_FLOAT:
    case ONNX_INT32:
    case ONNX_UINT32:
        return 4;
    case ONNX_INT64:
    case ONNX_DOUBLE:
        return 8;
    }
    return 0;
}

// IEEE 754 binary16.
static float half_to_float(uint16_t h)
{
    const int exponent = h >> 10 & 31, fraction = h & 1023;
    const float sign = h >> 15 ? -1.0f : 1.0f;
    if (exponent == 31)
        return fraction ? NAN : sign * INFINITY;
    return sign * (exponent ? ldexpf((float)(1024 + fraction), exponent - 25)
                            : ldexpf((float)fraction, -24));
}

static double raw_float(enum onnx_type type, const uint8_t *at)
{
    float f = 0;
    double d = 0;
    uint16_t h = 0;
    if (type == ONNX_DOUBLE)
        memcpy(&d, at, sizeof d);
    else if (type == ONNX_FLOAT)
        memcpy(&f, at, sizeof f);
    else
        memcpy(&h, at, sizeof h);
    return type == ONNX_DOUBLE ? d : type == ONNX_FLOAT ? (double)f : (double)half_to_float(h);
}

static int64_t raw_int(enum onnx_type type, const uint8_t *at)
{
    uint64_t bits = 0;
    memcpy(&bits, at, onnx_bytes_of(type));
    switch (type) {
    case ONNX_INT8:
        return (int8_t)bits;
    case ONNX_INT16:
        return (int16_t)bits;
    case ONNX_INT32:
        return (int32_t)bits;
    default:
        return (int64_t)bits;
    }
}

// What a tensor's message says before its numbers are taken.
struct tensor_parts {
    struct proto_field raw;
    bool has_raw, external;
};

static bool read_dims(struct onnx_tensor *t, const struct proto_field *f, struct err *err)
{
    int64_t dims[ONNX_RANK_MAX];
    uint64_t count = 0;
    if (!add_ints(f, dims, ONNX_RANK_MAX - t->rank, &count))
        return err_set(err, ERR_INPUT, "tensor %s: more than %u axes", t->name, ONNX_RANK_MAX);
    for (uint64_t i = 0; i < count; i++) {
        if (dims[i] < 0 || dims[i] > ONNX_ELEMENTS_MAX)
            return err_set(err, ERR_INPUT, "tensor %s: an axis of %" PRId64, t->name, dims[i]);
        t->dim[t->rank++] = (uint32_t)dims[i];
    }
    return true;
}

static bool take_raw(struct onnx_tensor *t, struct proto raw, struct err *err)
{
    const size_t size = onnx_bytes_of(t->type);
    if (raw.left != t->count * size)
        return err_set(err, ERR_INPUT, "tensor %s: %zu bytes, its axes ask for %" PRIu64, t->name,
                       raw.left, t->count * size);
    for (uint64_t i = 0; i < t->count; i++) {
        if (t->f)
            t->f[i] = (float)raw_float(t->type, raw.at + i * size);
        else
            t->i[i] = raw_int(t->type, raw.at + i * size);
    }
    return true;
}

// float_data 4, int32_data 5, int64_data 7, double_data 10, uint64_data 11: packed or not.
static bool take_typed(struct onnx_tensor *t, struct proto p, struct err *err)
{
    struct proto_field f;
    bool bad = false;
    uint64_t got = 0;
    while (proto_next(&p, &f, &bad)) {
        if (f.number == 4 || f.number == 10) {
            const size_t size = f.number == 4 ? 4 : 8;
            struct proto bits = f.bytes;
            uint64_t value = f.value;
            do {
                if (f.kind == PROTO_BYTES && !proto_fixed(&bits, size, &value))
                    break;
                if (got >= t->count || !t->f)
                    return err_set(err, ERR_INPUT, "tensor %s: too many numbers", t->name);
                t->f[got++] =
                    (float)raw_float(size == 4 ? ONNX_FLOAT : ONNX_DOUBLE, (const uint8_t *)&value);
            } while (f.kind == PROTO_BYTES && bits.left);
        } else if (f.number == 5 || f.number == 7 || f.number == 11) {
            if (t->f) {
                int64_t half = 0;
                struct proto more = f.bytes;
                uint64_t value = f.value;
                do {
                    if (f.kind == PROTO_BYTES && !proto_varint(&more, &value))
                        break;
                    half = (int64_t)value;
                    if (got >= t->count || t->type != ONNX_FLOAT16)
                        return err_set(err, ERR_INPUT, "tensor %s: too many numbers", t->name);
                    t->f[got++] = half_to_float((uint16_t)half);
                } while (f.kind == PROTO_BYTES && more.left);
            } else if (!add_ints(&f, t->i, t->count, &got)) {
                return err_set(err, ERR_INPUT, "tensor %s: too many numbers", t->name);
            }
        }
    }
    if (got != t->count)
        return err_set(err, ERR_INPUT, "tensor %s: %" PRIu64 " numbers, its axes ask for %" PRIu64,
                       t->name, got, t->count);
    return true;
}

static bool take_numbers(struct arena *a, struct onnx_tensor *t, struct proto whole,
                         const struct tensor_parts *parts, struct err *err)
{
    if (parts->external)
        return err_set(err, ERR_UNSUPPORTED, "tensor %s: its numbers are in another file", t->name);
    if (!onnx_bytes_of(t->type))
        return err_set(err, ERR_UNSUPPORTED, "tensor %s: numbers of type %d", t->name,
                       (int)t->type);
    t->count = 1;
    for (uint32_t d = 0; d < t->rank; d++) {
        t->count *= t->dim[d];
        if (t->count > ONNX_ELEMENTS_MAX)
            return err_set(err, ERR_INPUT, "tensor %s: too large", t->name);
    }
    // The file has these bytes, or the count is refused before anything is allocated.
    if (t->count > whole.left)
        return err_set(err, ERR_INPUT, "tensor %s: %zu bytes, its axes ask for %" PRIu64 " numbers",
                       t->name, whole.left, t->count);
    if (onnx_is_float(t->type))
        t->f = arena_alloc(a, t->count + 1, sizeof *t->f);
    else
        t->i = arena_alloc(a, t->count + 1, sizeof *t->i);
    if (!t->f && !t->i)
        return err_set(err, ERR_NOMEM, "tensor %s: no memory", t->name);
    if (!(parts->has_raw ? take_raw(t, parts->raw.bytes, err) : take_typed(t, whole, err)))
        return false;
    for (uint64_t i = 0; t->f && i < t->count; i++) {
        if (isnan(t->f[i]))
            return err_set(err, ERR_INPUT, "tensor %s: number %" PRIu64 " is not a number", t->name,
                           i);
    }
    return true;
}

bool onnx_read_tensor(struct arena *a, const void *data, size_t len, struct onnx_tensor *out,
                      struct err *err)
{
    const struct proto whole = {data, len};
    struct proto p = whole;
    struct proto_field f;
    struct tensor_parts parts = {.has_raw = false};
    bool bad = false;
    *out = (struct onnx_tensor){.name = "?"};
    while (proto_next(&p, &f, &bad)) {
        if (f.number == 1 && !read_dims(out, &f, err))
            return false;
        if (f.number == 2)
            out->type = (enum onnx_type)(f.value < 32 ? f.value : 0);
        if (f.number == 8 && f.kind == PROTO_BYTES) {
            out->name = read_name(a, f.bytes, err);
            if (!out->name)
                return false;
        }
        if (f.number == 9 && f.kind == PROTO_BYTES) {
            parts.raw = f;
            parts.has_raw = true;
        }
        parts.external = parts.external || f.number == 13 || (f.number == 14 && f.value);
    }
    if (bad)
        return err_set(err, ERR_INPUT, "tensor %s: broken", out->name);
    return take_numbers(a, out, whole, &parts, err);
}

// The same for numbers of single precision, into an attribute.
static bool add_floats(const struct proto_field *f, struct onnx_attr *out)
{
    struct proto p = f->bytes;
    uint64_t value = f->value;
    do {
        if (f->kind == PROTO_BYTES && !p.left)
            return true;
        if (out->float_count == ONNX_LIST_MAX ||
            (f->kind == PROTO_BYTES && !proto_fixed(&p, sizeof(float), &value)))
            return false;
        memcpy(&out->floats[out->float_count++], &value, sizeof(float));
    } while (p.left);
    return true;
}

static bool read_attr(struct arena *a, struct proto p, struct onnx_attr *out, struct err *err)
{
    struct proto_field f;
    bool bad = false;
    uint64_t count = 0;
    out->name = "?";
    out->text = "";
    out->ints = arena_alloc(a, ONNX_LIST_MAX, sizeof *out->ints);
    out->floats = arena_alloc(a, ONNX_LIST_MAX, sizeof *out->floats);
    if (!out->ints || !out->floats)
        return err_set(err, ERR_NOMEM, "no memory");
    while (proto_next(&p, &f, &bad)) {
        float value = 0;
        switch (f.number) {
        case 1:
            out->name = read_name(a, f.bytes, err);
            break;
        case 2:
            memcpy(&value, &f.value, sizeof value);
            out->f = value;
            break;
        case 3:
            out->i = (int64_t)f.value;
            break;
        case 4:
            out->text = read_name(a, f.bytes, err);
            break;
        case 5:
            out->tensor = arena_alloc(a, 1, sizeof *out->tensor);
            if (!out->tensor)
                return err_set(err, ERR_NOMEM, "no memory");
            if (!onnx_read_tensor(a, f.bytes.at, f.bytes.left, out->tensor, err))
                return err_wrap(err, "attribute %s", out->name);
            break;
        case 7:
            if (!add_floats(&f, out))
                return err_set(err, ERR_INPUT, "attribute %s: more than %u numbers", out->name,
                               ONNX_LIST_MAX);
            break;
        case 8:
            if (!add_ints(&f, out->ints, ONNX_LIST_MAX, &count))
                return err_set(err, ERR_INPUT, "attribute %s: more than %u numbers", out->name,
                               ONNX_LIST_MAX);
            break;
        case 6:
        case 11:
            out->graph = true;
            break;
        default:
            break;
        }
        if (!out->name || !out->text)
            return false;
    }
    out->int_count = (uint32_t)count;
    return !bad || err_set(err, ERR_INPUT, "attribute %s: broken", out->name);
}

static bool read_node(struct arena *a, struct proto p, struct onnx_node *n, struct err *err)
{
    struct proto_field f;
    bool bad = false;
    const uint32_t counts[3] = {count_fields(p, 1), count_fields(p, 2), count_fields(p, 5)};
    n->op = "?";
    n->name = "";
    for (int c = 0; c < 3; c++) {
        if (counts[c] > ONNX_LIST_MAX)
            return err_set(err, ERR_INPUT, "a node with %" PRIu32 " names or attributes",
                           counts[c]);
    }
    n->in = arena_alloc(a, counts[0] + 1UL, sizeof *n->in);
    n->out = arena_alloc(a, counts[1] + 1UL, sizeof *n->out);
    n->attrs = arena_alloc(a, counts[2] + 1UL, sizeof *n->attrs);
    if (!n->in || !n->out || !n->attrs)
        return err_set(err, ERR_NOMEM, "no memory");
    while (proto_next(&p, &f, &bad)) {
        const char *name = "";
        if (f.number == 5) {
            if (!read_attr(a, f.bytes, &n->attrs[n->attr_count++], err))
                return err_wrap(err, "%s", n->op);
            continue;
        }
        if (f.kind == PROTO_BYTES && f.number != 6)
            name = read_name(a, f.bytes, err);
        if (!name)
            return false;
        if (f.number == 1)
            n->in[n->in_count++] = name;
        else if (f.number == 2)
            n->out[n->out_count++] = name;
        else if (f.number == 3)
            n->name = name;
        else if (f.number == 4)
            n->op = name;
        else if (f.number == 7 && *name && strcmp(name, "ai.onnx") != 0)
            return err_set(err, ERR_UNSUPPORTED, "operator %s of domain %s", n->op, name);
    }
    if (bad || !n->out_count)
        return err_set(err, ERR_INPUT, "node %s: broken", n->name);
    if (!*n->name)
        n->name = n->out[0];
    return true;
}

// A ValueInfoProto: its type 2 . tensor 1 . {element 1, shape 2 . dim 1 . {value 1}}.
static bool read_port(struct arena *a, struct proto p, struct onnx_port *port, struct err *err)
{
    struct proto_field f, g;
    bool bad = false;
    struct proto tensor = {0}, shape = {0};
    port->name = "?";
    while (proto_next(&p, &f, &bad)) {
        if (f.number == 1)
            port->name = read_name(a, f.bytes, err);
        if (!port->name)
            return false;
        for (struct proto t = f.bytes; f.number == 2 && proto_next(&t, &g, &bad);)
            tensor = g.number == 1 ? g.bytes : tensor;
    }
    while (proto_next(&tensor, &g, &bad)) {
        if (g.number == 1)
            port->type = (enum onnx_type)(g.value < 32 ? g.value : 0);
        if (g.number == 2)
            shape = g.bytes;
    }
    while (proto_next(&shape, &f, &bad)) {
        if (f.number != 1)
            continue;
        if (port->rank == ONNX_RANK_MAX)
            return err_set(err, ERR_INPUT, "%s: more than %u axes", port->name, ONNX_RANK_MAX);
        uint32_t *dim = &port->dim[port->rank++];
        for (struct proto d = f.bytes; proto_next(&d, &g, &bad);) {
            if (g.number == 1 && g.value > ONNX_ELEMENTS_MAX)
                return err_set(err, ERR_INPUT, "%s: an axis of %" PRIu64, port->name, g.value);
            *dim = g.number == 1 ? (uint32_t)g.value : *dim;
        }
    }
    return !bad || err_set(err, ERR_INPUT, "%s: broken", port->name);
}

static bool is_initial(const struct onnx_model *m, const char *name)
{
    for (uint32_t i = 0; i < m->init_count; i++) {
        if (strcmp(m->inits[i].name, name) == 0)
            return true;
    }
    return false;
}

static bool read_graph_parts(struct arena *a, struct proto p, struct onnx_model *m, struct err *err)
{
    struct proto_field f;
    bool bad = false;
    while (proto_next(&p, &f, &bad)) {
        bool ok = true;
        if (f.number == 1)
            ok = read_node(a, f.bytes, &m->nodes[m->node_count++], err);
        else if (f.number == 5)
            ok = onnx_read_tensor(a, f.bytes.at, f.bytes.left, &m->inits[m->init_count++], err);
        else if (f.number == 11)
            ok = read_port(a, f.bytes, &m->ins[m->in_count++], err);
        else if (f.number == 12)
            ok = read_port(a, f.bytes, &m->outs[m->out_count++], err);
        else if (f.number == 15)
            ok = err_set(err, ERR_UNSUPPORTED, "sparse tensors");
        if (!ok)
            return false;
    }
    return !bad || err_set(err, ERR_INPUT, "the graph is broken");
}

static bool read_graph(struct arena *a, struct proto p, struct onnx_model *m, struct err *err)
{
    const uint32_t nodes = count_fields(p, 1), inits = count_fields(p, 5),
                   ins = count_fields(p, 11), outs = count_fields(p, 12);
    if (m->nodes || nodes > ONNX_NODES_MAX || inits > INITS_MAX || ins > INITS_MAX ||
        outs > ONNX_LIST_MAX)
        return err_set(err, ERR_INPUT,
                       "%" PRIu32 " nodes, %" PRIu32 " tensors, %" PRIu32 " inputs, %" PRIu32
                       " outputs: beyond the limits",
                       nodes, inits, ins, outs);
    m->nodes = arena_alloc(a, nodes + 1UL, sizeof *m->nodes);
    m->inits = arena_alloc(a, inits + 1UL, sizeof *m->inits);
    m->ins = arena_alloc(a, ins + 1UL, sizeof *m->ins);
    m->outs = arena_alloc(a, outs + 1UL, sizeof *m->outs);
    if (!m->nodes || !m->inits || !m->ins || !m->outs)
        return err_set(err, ERR_NOMEM, "no memory");
    if (!read_graph_parts(a, p, m, err))
        return false;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < m->in_count; i++) {
        if (!is_initial(m, m->ins[i].name))
            m->ins[kept++] = m->ins[i];
    }
    m->in_count = kept;
    return true;
}

// An OperatorSetIdProto: domain 1, version 2.
static bool read_opset(struct proto p, struct onnx_model *m, struct err *err)
{
    struct proto_field f;
    bool bad = false, own = true;
    int64_t version = 0;
    while (proto_next(&p, &f, &bad)) {
        if (f.number == 1)
            own = f.bytes.left == 0 || (f.bytes.left == 7 && memcmp(f.bytes.at, "ai.onnx", 7) == 0);
        if (f.number == 2)
            version = (int64_t)f.value;
    }
    if (own)
        m->opset = version;
    return !bad || err_set(err, ERR_INPUT, "the opset is broken");
}

struct onnx_model *onnx_read(struct arena *a, const void *data, size_t len, struct err *err)
{
    struct onnx_model *m = arena_alloc(a, 1, sizeof *m);
    struct proto p = {data, len};
    struct proto_field f;
    bool bad = false, ok = m || err_set(err, ERR_NOMEM, "no memory");
    while (ok && proto_next(&p, &f, &bad)) {
        if (f.number == 7)
            ok = read_graph(a, f.bytes, m, err);
        else if (f.number == 8)
            ok = read_opset(f.bytes, m, err);
        else if (f.number == 25)
            ok = err_set(err, ERR_UNSUPPORTED, "functions in the file");
    }
    if (ok && (bad || !m->nodes || !m->out_count))
        ok = err_set(err, ERR_INPUT, "no ONNX model, or a broken one");
    if (ok && (m->opset < ONNX_OPSET_MIN || m->opset > ONNX_OPSET_MAX))
        ok = err_set(err, ERR_UNSUPPORTED, "opset %" PRId64 ", known are %d to %d", m->opset,
                     ONNX_OPSET_MIN, ONNX_OPSET_MAX);
    return ok ? m : NULL;
}
