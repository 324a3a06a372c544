// The wire format of Protocol Buffers: fields one after the other, each with a number and a kind.
// Source: protobuf.dev, "Encoding". Reads memory of a stranger: every length is compared with what
// is left. Of this folder only. Thread-safety: no state.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct proto {
    const uint8_t *at;
    size_t left;
};

enum proto_kind { PROTO_VARINT = 0, PROTO_FIXED64 = 1, PROTO_BYTES = 2, PROTO_FIXED32 = 5 };

struct proto_field {
    uint32_t number;
    enum proto_kind kind;
    uint64_t value;     // of a varint or of fixed bits
    struct proto bytes; // of PROTO_BYTES; borrowed
};

static inline bool proto_varint(struct proto *p, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64 && p->left; shift += 7) {
        const uint8_t byte = *p->at++;
        p->left--;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

static inline bool proto_fixed(struct proto *p, size_t size, uint64_t *out)
{
    *out = 0;
    if (p->left < size)
        return false;
    memcpy(out, p->at, size); // little-endian, as the machine is
    p->at += size;
    p->left -= size;
    return true;
}

// The next field. False: there is none, and *bad says whether the bytes are broken.
static inline bool proto_next(struct proto *p, struct proto_field *f, bool *bad)
{
    uint64_t tag = 0;
    *f = (struct proto_field){.number = 0};
    if (!p->left)
        return false;
    *bad = true;
    if (!proto_varint(p, &tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX >> 3)
        return false;
    f->number = (uint32_t)(tag >> 3);
    f->kind = (enum proto_kind)(tag & 7);
    switch (f->kind) {
    case PROTO_VARINT:
        *bad = !proto_varint(p, &f->value);
        break;
    case PROTO_FIXED64:
        *bad = !proto_fixed(p, 8, &f->value);
        break;
    case PROTO_FIXED32:
        *bad = !proto_fixed(p, 4, &f->value);
        break;
    case PROTO_BYTES:
        if (!proto_varint(p, &f->value) || f->value > p->left)
            return false;
        f->bytes = (struct proto){p->at, (size_t)f->value};
        p->at += f->bytes.left;
        p->left -= f->bytes.left;
        *bad = false;
        break;
    default: // groups are of old files only
        return false;
    }
    return !*bad;
}
