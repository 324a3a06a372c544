// Tables of the state database: made where there are none, brought up to this version where an
// older program wrote them. Process and thread: as node/core/state.h.
#pragma once
#include <stdbool.h>
#include "base/err.h"

struct state;

// In one transaction. Foreign keys are off, as SQLite wants it where a table is replaced.
//   ERR_DATABASE damaged, or written by a newer version
bool schema_prepare(struct state *s, struct err *err);
