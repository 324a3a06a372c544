// Studies of which several series are one job: what has been collected, when there is enough of it
// (node/core/collection.h), what job that makes. What is collected is in the state and outlives the
// node; after a restart every wait begins anew, as nothing could come while the node was down.
// A series that comes late begins a new run of the collection with all that is still here.
// Process: core.
#pragma once
#include <jansson.h>
#include <stdint.h>
#include "compute/stages/stage.h"
#include "node/core/core.h"

struct collections *collections_create(struct core *core, struct err *err);
void collections_destroy(struct collections *c); // NULL is fine

// The series, which is complete (evidence says why), fills an input of an analysis for a route.
// quiet_s: for how long none of its instances has come.
// Inside the transaction that ends its run; collections_wake() afterwards.
bool collections_add(struct collections *c, int64_t series, const char *route,
                     const struct stage *stage, int slot, const char *evidence, double quiet_s,
                     struct err *err);

// A series begins to be received, or is complete: what waits for it is looked at again.
void collections_wake(struct collections *c);
// Makes the jobs of what is complete. Returns when to call again (CLOCK_MONOTONIC).
double collections_tick(struct collections *c);

// What is awaited: [{"study", "route", "analysis", "since", "evidence"}]; NULL: no memory.
json_t *collections_list(struct collections *c, struct err *err);
