// Memory that goes in one call: what belongs to a job lives in the job's arena.
// Thread-safety: an arena belongs to one thread at a time.
#pragma once
#include <stdarg.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct arena; // opaque

struct arena *arena_create(void); // NULL: no memory
void arena_destroy(struct arena *a);

// Zeroed, aligned for any type, count * size checked for overflow. NULL: no memory.
void *arena_alloc(struct arena *a, size_t count, size_t size);
char *arena_strdup(struct arena *a, const char *text); // NULL in, NULL out
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif
