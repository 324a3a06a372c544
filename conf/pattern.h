// What a route's condition may say of an attribute: text with * and ?, /regex/i, [any, of], ">= 3",
// "" absent or empty, and of several values {any: P}, {none: P}, {all: P}. Text and wildcards
// compare case-insensitively and against each value of a multi-valued attribute as well as the
// whole; a regular expression is searched in the whole value (with /i case-insensitively), with a
// limit on its work, past which it does not match and a warning is logged; a comparison (<, <=, >,
// >=, =, !=) holds when one of the values is a number that fulfils it. "none" holds when neither a
// value nor the whole matches, also of an absent attribute; "all" when there are values and each of
// them, taken by itself, matches. Blanks around a value do not count.
// Thread-safety: read-only once compiled.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define PATTERN_TEXT_MAX 1024 // bytes of one pattern

struct pattern; // opaque

// NULL with the reason in why: bad regular expression (with PCRE2's message and offset), not a
// number, too long.
struct pattern *pattern_compile(const char *text, char *why, size_t size);
// Any of: takes over count patterns, also on failure (NULL: no memory).
struct pattern *pattern_any(struct pattern **patterns, size_t count);
// How the values of an attribute are taken together.
enum pattern_of { PATTERN_ONE, PATTERN_ANY, PATTERN_NONE, PATTERN_ALL, PATTERN_BOTH };
// None of the values, or all of them: takes over p, also on failure (NULL: no memory).
struct pattern *pattern_none(struct pattern *p);
struct pattern *pattern_all(struct pattern *p);
// Each of them must hold; as pattern_any().
struct pattern *pattern_both(struct pattern **patterns, size_t count);
enum pattern_of pattern_of(const struct pattern *p);
// value NULL: attribute absent
bool pattern_matches(const struct pattern *p, const char *value);
const char *pattern_text(const struct pattern *p); // as written; any of: "[a, b]", {none: a}
// The patterns that it consists of; one that is not made of others consists of itself.
size_t pattern_parts(const struct pattern *p);
const struct pattern *pattern_part(const struct pattern *p, size_t index);
void pattern_destroy(struct pattern *p);
