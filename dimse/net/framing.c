#include "dimse/net/framing.h"
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define UNDEFINED   0xffffffffu
#define PRIVATE_MAX 1024 // bytes of a private element that is kept

static const char implicit_le[] = "1.2.840.10008.1.2", explicit_le[] = "1.2.840.10008.1.2.1",
                  deflated[] = "1.2.840.10008.1.2.1.99", explicit_be[] = "1.2.840.10008.1.2.2";

enum level { // what the bytes are read as
    LEVEL_DATASET,
    LEVEL_SEQUENCE,  // items, of undefined length
    LEVEL_ITEM,      // elements of an item of undefined length
    LEVEL_FRAGMENTS, // of encapsulated pixel data
};

struct framing {
    char transfer_syntax[65];
    bool big_endian, implicit;

    struct {
        enum level level;
        bool implicit;
    } stack[FRAMING_DEPTH + 1];
    unsigned depth;

    uint8_t header[12]; // of the element or item that begins
    unsigned header_size;
    uint64_t skip; // bytes left of its value
    uint64_t bytes, max_bytes;
    const char *broken; // why; NULL: sound so far
    bool no_memory;
    bool claims_too_much; // the pixel data alone, by their length

    uint8_t *head; // elements kept
    size_t head_size, head_room;
    size_t mark;  // where the present top-level element starts in head
    bool keeping; // the present top-level element
    bool keep_private;

    bool inflating, inflated;
    z_stream inflate;
};

struct framing *framing_create(const char *transfer_syntax, uint64_t max_bytes)
{
    struct framing *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->max_bytes = max_bytes;
    f->inflating = strcmp(transfer_syntax, deflated) == 0;
    f->implicit = strcmp(transfer_syntax, implicit_le) == 0;
    f->big_endian = strcmp(transfer_syntax, explicit_be) == 0;
    strncpy(f->transfer_syntax, f->inflating ? explicit_le : transfer_syntax,
            sizeof f->transfer_syntax - 1);
    f->stack[0].implicit = f->implicit;
    if (f->inflating && inflateInit2(&f->inflate, -MAX_WBITS) != Z_OK) { // raw deflate, no header
        free(f);
        return NULL;
    }
    return f;
}

void framing_destroy(struct framing *f)
{
    if (!f)
        return;
    if (f->inflating)
        inflateEnd(&f->inflate);
    free(f->head);
    free(f);
}

void framing_keep_private(struct framing *f)
{
    f->keep_private = true;
}

static void framing_broken(struct framing *f, const char *why)
{
    if (!f->broken)
        f->broken = why;
}

static uint16_t get16(const struct framing *f, const uint8_t *p)
{
    return (uint16_t)(f->big_endian ? p[0] << 8 | p[1] : p[1] << 8 | p[0]);
}

static uint32_t get32(const struct framing *f, const uint8_t *p)
{
    uint32_t first = get16(f, p), second = get16(f, p + 2);
    return f->big_endian ? first << 16 | second : second << 16 | first;
}

// Adds to the element kept now, or drops it when it grows too large.
static void framing_keep(struct framing *f, const uint8_t *data, size_t size)
{
    if (!f->keeping)
        return;
    if (size > FRAMING_ELEMENT_MAX - (f->head_size - f->mark) ||
        size > FRAMING_HEAD_MAX - f->head_size) {
        f->head_size = f->mark;
        f->keeping = false;
        return;
    }
    if (f->head_size + size > f->head_room) {
        size_t room = f->head_room ? 2 * f->head_room : 16384;
        while (room < f->head_size + size)
            room *= 2;
        uint8_t *head = realloc(f->head, room);
        if (!head) {
            f->no_memory = true;
            framing_broken(f, "no memory");
            return;
        }
        f->head = head;
        f->head_room = room;
    }
    memcpy(f->head + f->head_size, data, size);
    f->head_size += size;
}

static void framing_enter(struct framing *f, enum level level, bool implicit)
{
    if (f->depth == FRAMING_DEPTH) {
        framing_broken(f, "nested too deep");
        return;
    }
    f->depth++;
    f->stack[f->depth].level = level;
    f->stack[f->depth].implicit = implicit;
}

static bool is_vr(const uint8_t *vr, const char *list)
{
    for (; *list; list += 2) {
        if (vr[0] == (uint8_t)list[0] && vr[1] == (uint8_t)list[1])
            return true;
    }
    return false;
}

// Header size of the element whose first 8 bytes are there; 0: no such element.
static unsigned element_header_size(const struct framing *f)
{
    const uint8_t *vr = f->header + 4;
    if (f->stack[f->depth].implicit || get16(f, f->header) == 0xfffe)
        return 8;
    if (is_vr(vr, "OBODOFOLOVOWSQSVUCUNURUTUV"))
        return 12;
    return is_vr(vr, "AEASATCSDADSDTFLFDISLOLTPNSHSLSSSTTMUIULUS") ? 8 : 0;
}

static void begin_undefined(struct framing *f, uint32_t tag, const uint8_t *vr, bool implicit)
{
    if (tag == 0x7fe00010)
        framing_enter(f, LEVEL_FRAGMENTS, false);
    else if (implicit || is_vr(vr, "SQ"))
        framing_enter(f, LEVEL_SEQUENCE, implicit);
    else if (is_vr(vr, "UN")) // its content is Implicit VR Little Endian: PS3.5 6.2.2
        framing_enter(f, LEVEL_SEQUENCE, true);
    else
        framing_broken(f, "an undefined length where none may be");
}

static bool is_pixel_data(uint32_t tag) // also float and double ones
{
    return tag == 0x7fe00008 || tag == 0x7fe00009 || tag == 0x7fe00010;
}

static void begin_element(struct framing *f, uint32_t tag)
{
    bool implicit = f->stack[f->depth].implicit;
    uint32_t length = implicit               ? get32(f, f->header + 4)
                      : f->header_size == 12 ? get32(f, f->header + 8)
                                             : get16(f, f->header + 6);
    unsigned group = tag >> 16;
    if (group < 8 || group == 0xffff) {
        framing_broken(f, "not a data set");
        return;
    }
    if (f->depth == 0) {
        f->mark = f->head_size;
        f->keeping =
            group < 0x7fe0 && (group % 2 == 0 ? length == UNDEFINED || length <= FRAMING_ELEMENT_MAX
                                              : f->keep_private && length <= PRIVATE_MAX);
    }
    framing_keep(f, f->header, f->header_size);
    f->claims_too_much = f->depth == 0 && is_pixel_data(tag) && length != UNDEFINED &&
                         length > f->max_bytes && !f->broken;
    if (f->claims_too_much)
        framing_broken(f, "larger than allowed");
    else if (length == UNDEFINED)
        begin_undefined(f, tag, f->header + 4, implicit);
    else
        f->skip = length;
}

static void begin_item(struct framing *f, uint32_t tag, uint32_t length)
{
    enum level level = f->stack[f->depth].level;
    bool implicit = f->stack[f->depth].implicit;
    framing_keep(f, f->header, f->header_size);
    if (tag == (level == LEVEL_ITEM ? 0xfffee00d : 0xfffee0dd)) // its end
        f->depth--;
    else if (tag != 0xfffee000 || level == LEVEL_ITEM)
        framing_broken(f, "a sequence that is none");
    else if (length != UNDEFINED)
        f->skip = length;
    else if (level == LEVEL_SEQUENCE)
        framing_enter(f, LEVEL_ITEM, implicit);
    else
        framing_broken(f, "a fragment of undefined length");
}

// The 8 bytes are there: more to come of this header, or the element or item begins.
static void header_complete(struct framing *f, unsigned *want)
{
    enum level level = f->stack[f->depth].level;
    uint32_t tag = (uint32_t)get16(f, f->header) << 16 | get16(f, f->header + 2);
    bool element = level == LEVEL_DATASET || (level == LEVEL_ITEM && tag >> 16 != 0xfffe);
    *want = element ? element_header_size(f) : 8;
    if (*want == 0)
        framing_broken(f, "not a data set");
    if (*want != f->header_size || f->broken)
        return;
    if (!element)
        begin_item(f, tag, get32(f, f->header + 4));
    else if (tag >> 16 == 0xfffe)
        framing_broken(f, "an item outside a sequence");
    else
        begin_element(f, tag);
    f->header_size = 0;
}

static void framing_walk(struct framing *f, const uint8_t *data, size_t size)
{
    unsigned want = f->header_size < 8 ? 8 : 12;
    f->bytes += size;
    if (f->bytes > f->max_bytes)
        framing_broken(f, "larger than allowed");
    while (size && !f->broken) {
        size_t n;
        if (f->skip) {
            n = size < f->skip ? size : (size_t)f->skip;
            framing_keep(f, data, n);
            f->skip -= n;
        } else {
            n = want - f->header_size < size ? want - f->header_size : size;
            memcpy(f->header + f->header_size, data, n);
            f->header_size += (unsigned)n;
            if (f->header_size == want)
                header_complete(f, &want);
            if (f->header_size == 0)
                want = 8;
        }
        data += n;
        size -= n;
    }
}

static void framing_inflate(struct framing *f, const void *data, size_t size)
{
    uint8_t out[16384];
    z_stream *z = &f->inflate;
    z->next_in = (Bytef *)(uintptr_t)data; // zlib only reads it
    z->avail_in = (uInt)size;
    while (!f->broken && !f->inflated) { // behind the stream: a padding byte
        z->next_out = out;
        z->avail_out = sizeof out;
        int rc = inflate(z, Z_NO_FLUSH);
        framing_walk(f, out, sizeof out - z->avail_out);
        f->inflated = rc == Z_STREAM_END;
        if (rc == Z_BUF_ERROR || (rc == Z_OK && z->avail_in == 0 && z->avail_out))
            return; // all taken
        if (rc != Z_OK && rc != Z_STREAM_END)
            framing_broken(f, "not a deflated data set");
    }
}

bool framing_add(struct framing *f, const void *data, size_t size)
{
    if (!f->inflating) {
        framing_walk(f, data, size);
        return !f->broken;
    }
    const uint8_t *p = data;
    while (size && !f->broken) { // zlib counts in unsigned int
        size_t n = size < 1 << 20 ? size : 1 << 20;
        framing_inflate(f, p, n);
        p += n;
        size -= n;
    }
    return !f->broken;
}

bool framing_claims_too_much(const struct framing *f)
{
    return f->claims_too_much;
}

bool framing_end(struct framing *f, struct err *err)
{
    if (!f->broken && f->bytes == 0)
        framing_broken(f, "empty");
    if (!f->broken && (f->depth || f->skip || f->header_size || (f->inflating && !f->inflated)))
        framing_broken(f, "truncated");
    if (f->broken)
        return err_set(err, f->no_memory ? ERR_NOMEM : ERR_INPUT, "data set: %s", f->broken);
    return true;
}

const void *framing_head(const struct framing *f, size_t *size, const char **transfer_syntax)
{
    *size = f->head_size;
    *transfer_syntax = f->transfer_syntax;
    return f->head;
}
