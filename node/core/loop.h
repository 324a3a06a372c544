// The core's event loop: descriptors and what to call when one is ready. Process: core.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

struct loop; // opaque

// revents as poll() gives them. May add and remove descriptors, its own included.
typedef void loop_fn(void *ctx, int fd, short revents);

struct loop *loop_create(void); // NULL: no memory
void loop_destroy(struct loop *l);

bool loop_add(struct loop *l, int fd, short events, loop_fn *fn, void *ctx, struct err *err);
void loop_events(struct loop *l, int fd, short events); // changes what is waited for
void loop_remove(struct loop *l, int fd);               // before it is closed; unknown is fine

// Waits until one is ready or until (CLOCK_MONOTONIC seconds), then calls for each one ready.
void loop_run(struct loop *l, double until);
