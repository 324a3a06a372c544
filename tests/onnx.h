// Writes small ONNX files into memory: the wire format of Protocol Buffers by hand, field numbers
// as in onnx.proto. tests/onnx_file.py is the same for Python.
#pragma once
#include <stdint.h>
#include <string.h>

struct onnx_bytes {
    uint8_t data[4096];
    size_t len;
};

static inline void onnx_put_varint(struct onnx_bytes *b, uint64_t value)
{
    for (; value > 0x7f && b->len < sizeof b->data; value >>= 7)
        b->data[b->len++] = (uint8_t)(value & 0x7f) | 0x80;
    if (b->len < sizeof b->data)
        b->data[b->len++] = (uint8_t)value;
}

static inline void onnx_put_number(struct onnx_bytes *b, uint32_t field, uint64_t value)
{
    onnx_put_varint(b, field << 3);
    onnx_put_varint(b, value);
}

static inline void onnx_put_bytes(struct onnx_bytes *b, uint32_t field, const void *data,
                                  size_t len)
{
    onnx_put_varint(b, field << 3 | 2);
    onnx_put_varint(b, len);
    for (size_t i = 0; i < len && b->len < sizeof b->data; i++)
        b->data[b->len++] = ((const uint8_t *)data)[i];
}

static inline void onnx_put_text(struct onnx_bytes *b, uint32_t field, const char *text)
{
    onnx_put_bytes(b, field, text, strlen(text));
}

static inline void onnx_put(struct onnx_bytes *b, uint32_t field, const struct onnx_bytes *part)
{
    onnx_put_bytes(b, field, part->data, part->len);
}

// An input or output of floats; an axis of 0 is free.
static inline void onnx_put_port(struct onnx_bytes *graph, uint32_t field, const char *name,
                                 uint32_t rank, const uint32_t *dim)
{
    struct onnx_bytes shape = {.len = 0}, tensor = {.len = 0}, type = {.len = 0}, port = {.len = 0};
    for (uint32_t d = 0; d < rank; d++) {
        struct onnx_bytes axis = {.len = 0};
        if (dim[d])
            onnx_put_number(&axis, 1, dim[d]);
        onnx_put(&shape, 1, &axis);
    }
    onnx_put_number(&tensor, 1, 1);
    onnx_put(&tensor, 2, &shape);
    onnx_put(&type, 1, &tensor);
    onnx_put_text(&port, 1, name);
    onnx_put(&port, 2, &type);
    onnx_put(graph, field, &port);
}

// Floats, or with a kind of 7 whole numbers of 64 bits: counted up from 0, in steps of `step`.
static inline void onnx_put_tensor(struct onnx_bytes *graph, const char *name, uint32_t kind,
                                   uint32_t rank, const uint32_t *dim, int step)
{
    struct onnx_bytes tensor = {.len = 0}, raw = {.len = 0};
    uint32_t count = 1;
    for (uint32_t d = 0; d < rank; d++) {
        onnx_put_number(&tensor, 1, dim[d]);
        count *= dim[d];
    }
    for (uint32_t i = 0; i < count; i++) {
        const float f = (float)((int)i * step);
        const int64_t whole = (int64_t)i * step;
        const size_t size = kind == 7 ? sizeof whole : sizeof f;
        if (raw.len + size > sizeof raw.data)
            break;
        memcpy(raw.data + raw.len, kind == 7 ? (const void *)&whole : (const void *)&f, size);
        raw.len += size;
    }
    onnx_put_number(&tensor, 2, kind);
    onnx_put_text(&tensor, 8, name);
    onnx_put(&tensor, 9, &raw);
    onnx_put(graph, 5, &tensor);
}

// A list of whole numbers as an attribute; a count of 0: one number, `list[0]`.
struct onnx_attribute {
    const char *name;
    uint32_t count;
    int64_t list[6];
};

// in and out: names with a space between them.
static inline void onnx_put_node(struct onnx_bytes *graph, const char *op, const char *in,
                                 const char *out, const struct onnx_attribute *attributes,
                                 uint32_t count)
{
    struct onnx_bytes node = {.len = 0};
    const char *names[2] = {in, out};
    for (uint32_t k = 0; k < 2; k++) {
        for (const char *at = names[k]; *at; at += strspn(at, " ")) {
            onnx_put_bytes(&node, k + 1, at, strcspn(at, " "));
            at += strcspn(at, " ");
        }
    }
    onnx_put_text(&node, 4, op);
    for (uint32_t k = 0; k < count; k++) {
        struct onnx_bytes attribute = {.len = 0};
        onnx_put_text(&attribute, 1, attributes[k].name);
        if (!attributes[k].count)
            onnx_put_number(&attribute, 3, (uint64_t)attributes[k].list[0]);
        for (uint32_t i = 0; i < attributes[k].count; i++)
            onnx_put_number(&attribute, 8, (uint64_t)attributes[k].list[i]);
        onnx_put(&node, 5, &attribute);
    }
    onnx_put(graph, 1, &node);
}

static inline void onnx_put_model(struct onnx_bytes *file, const struct onnx_bytes *graph,
                                  uint32_t opset)
{
    struct onnx_bytes version = {.len = 0};
    onnx_put_number(&version, 2, opset);
    onnx_put_number(file, 1, 8);
    onnx_put(file, 7, graph);
    onnx_put(file, 8, &version);
}
