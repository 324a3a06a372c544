// What associations and the core tell each other in shared memory. The files that have their place
// in series/ while it is not known whether they are recorded: the core removes what a killed
// association has left behind, at once and not at the next start. Whether an object is being
// written, since each that is may take room that the others have seen free. What is missing of the
// reserve (node/core/reserve.h), which free room is to fill again first. Process: core makes it
// before the first fork, associations write.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"
#include "node/proc/datadir.h"

#define INFLIGHT_FILES 16 // of one association

struct inflight; // opaque

// Room for so many associations. NULL: ERR_NOMEM.
struct inflight *inflight_create(size_t room, struct err *err);
void inflight_destroy(struct inflight *f); // NULL is fine

// The place of the calling process. NULL: all are taken; what it leaves behind then stays until the
// next start.
struct inflight_place *inflight_enter(struct inflight *f);
// From here on the calling process sees its own place only: others would tell it names of files
// that it could remove. place NULL: none.
void inflight_alone(struct inflight *f, struct inflight_place *place);
// One of the files that it is about to put below the data folder, "": none. NULL is fine.
void inflight_note(struct inflight_place *place, size_t index, const char *name);
// Whether it writes an object. NULL is fine.
void inflight_write(struct inflight_place *place, bool writes);
// How many do, the caller among them.
uint32_t inflight_writing(const struct inflight *f);
// MiB that are missing of the reserve.
void inflight_set_missing(struct inflight *f, uint32_t mib);
uint32_t inflight_missing(const struct inflight *f);
// The place is given back. NULL is fine.
void inflight_leave(struct inflight_place *place);

// A process has ended without inflight_leave(): frees its place. names: the files that it noted
// last, "": none. False: it has no place.
bool inflight_left(struct inflight *f, pid_t pid, char names[INFLIGHT_FILES][DATADIR_NAME]);
