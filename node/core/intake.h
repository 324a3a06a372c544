// The socket of the core: associations that have instances to record, commands that ask. All
// records that wait in one round of the loop go into one transaction, then all are answered (group
// commit). It is synced only where a file does not speak for itself (node/proc/receipt.h).
// Process: core.
#pragma once
#include <jansson.h>
#include "node/core/core.h"

struct intake *intake_create(struct core *core, struct err *err);
void intake_destroy(struct intake *in);

// After each round of the loop: commits and answers what the round has brought.
void intake_flush(struct intake *in);

// Something that was kept is no more: what peers have here is counted anew.
void intake_recount(struct intake *in);

// Peers seen since the start: [{"ae_title", "address", "associations", "open", "stored",
// "refused", "last_at"}]. NULL: no memory.
json_t *intake_peers(const struct intake *in);
