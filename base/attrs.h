// Attributes of a data set as plain text: what routes match on and what a stage is told of the
// scan. A list can stand on another one: a frame says what is its own and leaves the rest to its
// instance. Keys are DICOM keywords ("SeriesDescription"), values the text form of the element,
// several values joined by '\\'; UTF-8. Packed form (database, messages): key \0 value \0 key \0
// value \0
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
    const struct attrs *base; // what attrs_get() and attrs_number() look in next: the instance of a
                              // frame; NULL: nothing; borrowed
};

// Appends; values longer than 1024 bytes are cut. False: no memory, or no room below
// ATTRS_PACKED_MAX.
bool attrs_add(struct attrs *a, const char *key, const char *value);
// The value of the list itself, else of its base, or NULL. Borrowed until the list changes.
const char *attrs_get(const struct attrs *a, const char *key);
// The first of its values as a number. False, and *value is as it was: absent, or not a finite
// decimal number.
bool attrs_number(const struct attrs *a, const char *key, double *value);
// Walks the list itself, not its base: *key NULL to start; false at the end.
bool attrs_next(const struct attrs *a, const char **key, const char **value);
// Copies a packed list that came from elsewhere over this one; false, and the list is empty, when
// it is malformed or too long. The base stays.
bool attrs_unpack(struct attrs *a, const void *packed, size_t size);
void attrs_finish(struct attrs *a); // of the list itself; forgets the base

#ifdef __cplusplus
}
#endif
