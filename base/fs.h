// Files: drafts that become visible whole or not at all, folders, small reads.
// Process: any. Thread-safety: a draft belongs to one thread.
#pragma once
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

// A file that nobody can see yet. {0} is a draft that was never opened.
struct fs_draft {
    bool open;           // fd is ours
    int fd;              // to be written and read; close-on-exec
    char path[PATH_MAX]; // where it is now: empty when it does not exist or was published
};

// Makes a new file of a name never used before in folder (0600).
//   ERR_IO, ERR_FULL
bool fs_draft_open(struct fs_draft *d, const char *folder, struct err *err);

// Writes all of data; a short write is an error.
bool fs_draft_write(struct fs_draft *d, const void *data, size_t len, struct err *err);

// Fsyncs the file, renames it to path (same file system), then fsyncs path's folder: no power cut
// finds a file under its name that is not whole, nor loses an older one of that name to one that is
// not. After true, contents and name survive a power cut; after false nothing of it is left once
// the draft is finished (a second fsync on a failed descriptor proves nothing, so there is none).
bool fs_draft_publish(struct fs_draft *d, const char *path, struct err *err);

// Closes; removes what was not published. Idempotent, {0} is fine.
void fs_draft_finish(struct fs_draft *d);

// As open, write, publish.
bool fs_write_file(const char *path, const void *data, size_t len, struct err *err);

// Makes path and its parents (0700), each durably; existing folders are fine, and not synced.
bool fs_make_folders(const char *path, struct err *err);
bool fs_sync_folder(const char *path, struct err *err);
// Removes a file or a folder with all it holds; symbolic links are removed, never followed. Absent
// is fine.
bool fs_remove_tree(const char *path, struct err *err);

// Reads a whole file of at most limit bytes; a byte 0 follows the contents. free() it.
//   ERR_INPUT larger than limit, or no plain file; ERR_IO; ERR_NOMEM
char *fs_read_file(const char *path, size_t limit, size_t *len, struct err *err);

// Joins with one '/'; ERR_INPUT when it does not fit in PATH_MAX.
bool fs_join(char out[PATH_MAX], const char *folder, const char *name, struct err *err);

#ifdef __cplusplus
}
#endif
