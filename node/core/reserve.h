// A file that only takes room: on a disk that others have filled it is given up, so that the
// database and the results of analyses can still be written, and made anew once there is room. What
// peers send never gets it: an association counts what is missing of it as taken.
// Process: core.
#pragma once
#include <stdint.h>
#include "base/err.h"
#include "node/core/core.h"

#define RESERVE_FILE    "reserve" // below the data folder
#define RESERVE_EVERY_S 10        // how often it is looked after while something of it is missing

// Makes it as large as storage.reserve_mib says, where limits.min_free_mib stays free besides; else
// what is missing is told to associations. Returns when to call again (CLOCK_MONOTONIC).
double reserve_tick(struct core *core);

// Something could not be written: where code is ERR_FULL the reserve is given up. reason: what
// failed, for the log.
void reserve_spend(struct core *core, enum err_code code, const char *reason);
