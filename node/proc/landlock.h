// What of the file system a process can reach, by Linux's Landlock (since 5.13; landlock(7)): a
// list of paths with what may be done below each, all else refused with EACCES, and from 6.7 on no
// TCP port, from 6.12 on no signal to others. What is open already stays usable. A rule is about
// the folder, not its name, and holds for all that is in it later. Process: any that gives up
// rights, while it has one thread. Nothing is ever given back.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

enum landlock_right {
    LANDLOCK_READ = 1,     // open files that are there
    LANDLOCK_LIST = 2,     // open folders: to read or to sync them
    LANDLOCK_WRITE = 4,    // open files that are there to write, cut them
    LANDLOCK_MAKE = 8,     // new plain files
    LANDLOCK_REMOVE = 16,  // files; also what a rename replaces
    LANDLOCK_FOLDERS = 32, // make and remove folders
    LANDLOCK_RUN = 128,    // programs
    LANDLOCK_MOVE = 64, // into another folder and out of it, which may allow no more than this one
};

struct landlock_path {
    const char *path; // what is not there is left out
    unsigned rights;  // enum landlock_right bits
};

// The version of the kernel's interface; 0: it has none, or it is switched off.
int landlock_version(void);

// The oldest version that moves files between folders (Linux 5.19).
#define LANDLOCK_OLDEST 2

// From here on this process and its children reach these paths only, and no process outside; alone:
// no TCP port either.
//   ERR_INTERNAL the kernel does not take it
bool landlock_enter(const struct landlock_path *paths, size_t count, bool alone, struct err *err);
