// Misspelt names: which known name was meant. Thread-safety: any thread.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// Letters to insert, remove, replace or swap with their neighbour to get from a to b, capitals
// ignored. Only the first 64 characters count.
size_t near_distance(const char *a, const char *b);

// The best guess so far, for walks over names in any form: struct near n = {word}; near_try(&n,
// name) for each; n.best is the nearest name that could be a misspelling of word, or NULL.
struct near {
    const char *word;
    const char *best; // borrowed
    size_t distance;  // of best
};
void near_try(struct near *n, const char *name);

#ifdef __cplusplus
}
#endif
