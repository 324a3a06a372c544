// The same work on many items by a few threads.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

// Calls work(ctx, first, count) for contiguous parts of [0, items), each in its own thread, the
// first part in the caller's. threads: 1 or more; less are used where there are fewer items or the
// system gives none. Returns when all are done.
void parallel_for(size_t items, size_t threads, void (*work)(void *ctx, size_t first, size_t count),
                  void *ctx);

#ifdef __cplusplus
}
#endif
