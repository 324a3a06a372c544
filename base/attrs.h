// Attributes of a data set as plain text: what routes match on and what a stage is told of the
// scan. Keys are DICOM keywords ("SeriesDescription"), values the text form of the element, several
// values joined by '\\'; UTF-8. Packed form (database, messages): key \0 value \0 key \0 value \0
// ... Thread-safety: a list belongs to one thread.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ATTRS_PACKED_MAX 32768 // bytes; longer lists are cut at an attribute

struct attrs {
    char *packed; // owned, malloc
    size_t size;
};

// Appends; values longer than 1024 bytes are cut. False: no memory, or no room below
// ATTRS_PACKED_MAX.
bool attrs_add(struct attrs *a, const char *key, const char *value);
// The value, or NULL. Borrowed until the list changes.
const char *attrs_get(const struct attrs *a, const char *key);
// Walks: *key NULL to start; false at the end.
bool attrs_next(const struct attrs *a, const char **key, const char **value);
// Copies a packed list that came from elsewhere; false when it is malformed or too long.
bool attrs_unpack(struct attrs *a, const void *packed, size_t size);
void attrs_finish(struct attrs *a);

#ifdef __cplusplus
}
#endif
