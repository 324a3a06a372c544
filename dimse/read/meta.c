#include "dimse/read/meta.h"
#include "base/version.h"
#include <string.h>

static uint8_t *put16(uint8_t *p, unsigned value)
{
    *p++ = (uint8_t)value;
    *p++ = (uint8_t)(value >> 8);
    return p;
}

static uint8_t *put32(uint8_t *p, size_t value)
{
    return put16(put16(p, (unsigned)(value & 0xffff)), (unsigned)(value >> 16));
}

// An element of group 2 with a text value, padded to even length. "" is left out.
static uint8_t *put_text(uint8_t *p, unsigned element, const char vr[2], const char *text)
{
    size_t length = strlen(text), padded = length + length % 2;
    if (!length)
        return p;
    p = put16(put16(p, 2), element);
    *p++ = (uint8_t)vr[0];
    *p++ = (uint8_t)vr[1];
    p = put16(p, (unsigned)padded);
    p[padded - 1] = vr[0] == 'U' ? 0 : ' '; // UI ends in a zero byte, text in a blank
    memcpy(p, text, length);
    return p + padded;
}

_Static_assert(sizeof ANODE_IMPLEMENTATION_VERSION_NAME <= 17, "an SH has 16 characters");

size_t meta_write(const struct meta *m, uint8_t out[META_MAX])
{
    if (strlen(m->sop_class_uid) > 64 || strlen(m->sop_instance_uid) > 64 ||
        strlen(m->transfer_syntax_uid) > 64 || strlen(m->version_name) > 16 ||
        strlen(m->source_ae_title) > 16)
        return 0;
    memset(out, 0, 128);
    memcpy(out + 128, "DICM", 4);
    uint8_t *length = out + 132; // (0002,0000), known at the end
    uint8_t *first = length + 12, *p = first;
    p = put16(put16(p, 2), 1); // File Meta Information Version
    memcpy(p, "OB\0\0", 4);
    p = put32(p + 4, 2);
    p = put16(p, 0x0100); // bytes 00 01
    p = put_text(p, 0x0002, "UI", m->sop_class_uid);
    p = put_text(p, 0x0003, "UI", m->sop_instance_uid);
    p = put_text(p, 0x0010, "UI", m->transfer_syntax_uid);
    p = put_text(p, 0x0012, "UI", ANODE_IMPLEMENTATION_CLASS_UID);
    p = put_text(p, 0x0013, "SH", m->version_name);
    p = put_text(p, 0x0016, "AE", m->source_ae_title);
    length = put16(put16(length, 2), 0);
    memcpy(length, "UL\4\0", 4);
    put32(length + 4, (size_t)(p - first));
    return (size_t)(p - out);
}

_Static_assert(META_MAX + 8 + sizeof ANODE_IMPLEMENTATION_CLASS_UID + 12 <= META_ROOM_AT,
               "the room begins behind all that goes before it");

size_t meta_add_room(uint8_t head[META_ROOM], size_t size)
{
    if (!size)
        return 0;
    memset(head + size, 0, META_ROOM - size);
    uint8_t *p = put_text(head + size, 0x0100, "UI", ANODE_IMPLEMENTATION_CLASS_UID);
    p = put16(put16(p, 2), 0x0102);
    memcpy(p, "OB\0\0", 4);
    put32(p + 4, META_ROOM - (size_t)(p + 8 - head));
    put32(head + 140, META_ROOM - 144); // (0002,0000), the first element
    return META_ROOM;
}
