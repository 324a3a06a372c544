// What a route's condition may say of an attribute: text with * and ?, /regex/i, [any, of], ">= 3".
// Text and wildcards compare case-insensitively and against each value of a multi-valued attribute
// as well as the whole; a regular expression is searched in the whole value (with /i
// case-insensitively), with a limit on its work, past which it does not match and a warning is
// logged; a comparison (<, <=, >, >=, =, !=) holds when one of the values is a number that fulfils
// it. Blanks around a value do not count.
// Thread-safety: read-only once compiled.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define PATTERN_TEXT_MAX 1024 // bytes of one pattern

struct pattern; // opaque

// NULL with the reason in why: bad regular expression (with PCRE2's message and offset), not a
// number, empty, too long.
struct pattern *pattern_compile(const char *text, char *why, size_t size);
// Any of: takes over count patterns, also on failure (NULL: no memory).
struct pattern *pattern_any(struct pattern **patterns, size_t count);
// value NULL (attribute absent) matches nothing.
bool pattern_matches(const struct pattern *p, const char *value);
const char *pattern_text(const struct pattern *p); // as written; any of: "[a, b]"
// The patterns an "any of" consists of; every other pattern consists of itself.
size_t pattern_parts(const struct pattern *p);
const struct pattern *pattern_part(const struct pattern *p, size_t index);
void pattern_destroy(struct pattern *p);
