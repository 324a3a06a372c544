#include "base/text.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t text_character(const char *at)
{
    // least value of a character of so many bytes; a smaller one is overlong
    static const uint32_t least[] = {0, 1, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)at[0];
    if (first < 0x80)
        return first != 0;
    size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc0 || first > 0xf7)
        return 0;
    uint32_t value = first & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        unsigned char next = (unsigned char)at[i];
        if ((next & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (next & 0x3f);
    }
    if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    return length;
}

char *text_utf8(const char *text)
{
    char *copy = strdup(text);
    for (char *p = copy; p && *p;) {
        size_t length = text_character(p);
        if (length == 0)
            *p = '?';
        p += length ? length : 1;
    }
    return copy;
}

// The control characters: C0, DEL, and C1, which terminals obey too.
static bool text_is_control(const char *at, size_t length)
{
    unsigned char first = (unsigned char)at[0];
    return (length == 1 && (first < 0x20 || first == 0x7f)) ||
           (length == 2 && first == 0xc2 && (unsigned char)at[1] < 0xa0);
}

const char *text_shown(const char *text, char *out, size_t size)
{
    size_t used = 0;
    for (const char *p = text ? text : ""; *p;) {
        char escaped[4 * 4 + 1];
        size_t length = text_character(p), taken = length ? length : 1, put = length;
        if (length == 0 || text_is_control(p, length)) {
            put = 0;
            for (size_t i = 0; i < taken; i++)
                put += (size_t)snprintf(escaped + put, sizeof escaped - put, "\\x%02x",
                                        (unsigned)(unsigned char)p[i]);
        } else {
            memcpy(escaped, p, length);
        }
        if (used + put >= size)
            break;
        memcpy(out + used, escaped, put);
        used += put;
        p += taken;
    }
    if (size)
        out[used] = 0;
    return out;
}
