// The files that have their place in series/ while it is not known whether they are recorded: each
// association notes the name of its own in memory that it shares with the core, so that the core
// removes what a killed one has left behind, at once and not at the next start.
// Process: core makes it before the first fork, associations write.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/err.h"
#include "node/proc/datadir.h"

struct inflight; // opaque

// Room for so many associations. NULL: ERR_NOMEM.
struct inflight *inflight_create(size_t room, struct err *err);
void inflight_destroy(struct inflight *f); // NULL is fine

// The place of the calling process. NULL: all are taken; what it leaves behind then stays until the
// next start.
struct inflight_place *inflight_enter(struct inflight *f);
// The file that it is about to put below the data folder, "": none. NULL is fine.
void inflight_note(struct inflight_place *place, const char *name);
// The place is given back. NULL is fine.
void inflight_leave(struct inflight_place *place);

// A process has ended without inflight_leave(): frees its place. name: the file that it noted last,
// "": none. False: it has no place.
bool inflight_left(struct inflight *f, pid_t pid, char name[DATADIR_NAME]);
