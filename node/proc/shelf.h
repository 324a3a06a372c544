// The files of an association that wait for an instance. Each has its name below series/ already,
// and the folder has been synced, so that an instance is on stable media with one sync: that of its
// own file. The folder is synced once for several of them. A file that waits is empty, and is known
// to nobody but inflight.h.
// Process: association.
#pragma once
#include "node/proc/datadir.h"
#include "node/proc/inflight.h"

struct shelf_file {
    int fd;                  // to be written and read; close-on-exec; -1: none
    char name[DATADIR_NAME]; // below the data folder
};

struct shelf {
    const struct datadir *dir;
    const char *drafts; // folder of the association's own, absolute
    struct inflight_place *place;
    size_t batch; // files that the next sync of a folder is for; 0: the first
    struct shelf_file files[INFLIGHT_FILES];
};

void shelf_init(struct shelf *s, const struct datadir *dir, const char *drafts,
                struct inflight_place *place);
// Removes what was not kept.
void shelf_finish(struct shelf *s);

// An empty file, the association's until one of the functions below gets it. One at a time is
// taken. NULL: ERR_IO, ERR_FULL, ERR_INTERNAL
struct shelf_file *shelf_take(struct shelf *s, struct err *err);
// It holds an instance that is recorded, or was moved away.
void shelf_keep(struct shelf *s, struct shelf_file *file);
// It holds nothing that anybody wants: it waits again.
void shelf_put_back(struct shelf *s, struct shelf_file *file);
// The same, of one that is not to be used again, as it could not be written.
void shelf_remove(struct shelf *s, struct shelf_file *file);
