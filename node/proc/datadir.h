// The data folder: who owns it, what is where, names that were never used before.
//   state.db  lock  anode.sock  cache/ (pipelines of the Vulkan device)
//   reserve                  room for results and the database on a full disk
//   drafts/<pid>/            where an association makes files; emptied at its end and at start
//   series/<2 hex>/<30 hex>.dcm   received instances, and files that wait for one
//                            (node/proc/shelf.h); random names, so that no name is ever reused and
//                            a folder stays small; the database knows which series each is of, and
//                            each file itself (node/proc/receipt.h)
//   desks/<worker>/<job>-<try>/  a job that runs: its order, then its results; emptied at start
//   outbox/<job>/<try>/      results, moved here when the job is done
//   quarantine/              instances that contradict one that is there
// Process: core makes and locks it; association, worker and sender use it.
#pragma once
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/fs.h"

#define DATADIR_NAME 64 // room for a path below the data folder

struct datadir {
    bool open;
    int dirfd, lockfd; // close-on-exec; lockfd -1: not locked
    char path[PATH_MAX];
};

// Opens path; with own also makes it and its folders, closes them to other users (mode 0700), and
// locks it. A node that has just died leaves
// processes behind for a moment: the lock is waited for up to 10 s.
//   ERR_IO, ERR_FULL; ERR_CONFIG another node uses this folder (its pid is named)
bool datadir_open(struct datadir *d, const char *path, bool own, struct err *err);
void datadir_close(struct datadir *d); // {0} is fine

// Absolute path of a name below the folder. ERR_INPUT: too long.
bool datadir_path(const struct datadir *d, const char *name, char out[PATH_MAX], struct err *err);

// A name for a received instance, "series/ab/cdef....dcm", never used before. ERR_INTERNAL: no
// random numbers.
bool datadir_new_name(char out[DATADIR_NAME], struct err *err);
// Whether it is such a name: nothing else is taken from an association.
bool datadir_is_new_name(const char *name);
// The name in quarantine of a file: its last part below "quarantine/".
bool datadir_quarantine_name(const char *name, char out[DATADIR_NAME], struct err *err);
// Makes the names in the folder of a file below the data folder durable, and what is gone of them.
bool datadir_sync_folder_of(const struct datadir *d, const char *name, struct err *err);
// Moves a file below the folder to another name below it, durably.
bool datadir_move(const struct datadir *d, const char *from, const char *to, struct err *err);
bool datadir_exists(const struct datadir *d, const char *name);
// Bytes of a plain file below the folder; -1: it is none, or not there.
int64_t datadir_file_bytes(const struct datadir *d, const char *name);
// Makes a folder below one that is there; one that is there is fine. Not made durable. ERR_IO,
// ERR_FULL.
bool datadir_make(const struct datadir *d, const char *name, struct err *err);
// Removes a file or a folder below the data folder; what fails is logged.
void datadir_remove(const struct datadir *d, const char *name);

// Free space in MiB. ERR_IO.
bool datadir_free_mib(const struct datadir *d, uint64_t *mib, struct err *err);

// Calls each(ctx, name) for every file of series/, every file of quarantine/ or every folder
// outbox/<job>/<try>, as kind says.
enum datadir_kind { DATADIR_SERIES, DATADIR_QUARANTINE, DATADIR_OUTBOX };
bool datadir_each(const struct datadir *d, enum datadir_kind kind,
                  bool (*each)(void *ctx, const char *name), void *ctx, struct err *err);
// The folder of the drafts of the association pid, below the data folder: "drafts/1234". Whoever
// sees its end removes it, with datadir_remove().
void datadir_drafts_name(pid_t pid, char out[DATADIR_NAME]);
// Removes everything in desks/ and drafts/. Returns how many there were of the latter.
size_t datadir_sweep_drafts(const struct datadir *d);
