// Text that came from outside, made fit to be stored or shown: bytes that are not UTF-8, and
// control characters. Thread-safety: any thread.
#pragma once
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// Bytes of the UTF-8 character at `at` (1 to 4), which ends with a byte 0 at the latest. 0: these
// bytes are no character of Unicode (RFC 3629: overlong, a surrogate, above U+10FFFF, cut short),
// or the text ends here.
size_t text_character(const char *at);

// A copy in which each byte that belongs to no character is '?'. malloc'd; NULL: no memory.
char *text_utf8(const char *text);

// As text_utf8(), for one line on a terminal: control characters and bytes that belong to no
// character become "\x1b" and the like; everything else stays as it is, so that what is copied from
// there is the value. Cut to size at a character. text NULL is "". Returns out.
const char *text_shown(const char *text, char *out, size_t size);

#ifdef __cplusplus
}
#endif
