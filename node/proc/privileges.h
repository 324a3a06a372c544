// Who the node is: started by root, it becomes a user of its own, and whoever it is, it has no
// capability, gains no right by executing a file, and leaves no memory in a core file.
// Process: core, before its first fork, with one thread. Nothing is ever given back.
#pragma once
#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"

struct privileges_user { // of the system
    bool change;         // become it; false: the process stays who it is
    uid_t uid;
    gid_t gid;
    char name[33];
};

// Whom a process that was started by root becomes: the user called name. One that root did not
// start stays who it is: change is false, and so with the name "root".
//   ERR_CONFIG no such user; the text says how one is made
//   ERR_IO     the list of users cannot be read
bool privileges_find(const char *name, struct privileges_user *user, struct err *err);

// Makes folder the user's: absent, it is made; empty, it is given away; else it must be the user's
// already.
//   ERR_CONFIG it belongs to somebody else; the text says how to give it away
//   ERR_IO, ERR_INPUT
bool privileges_give(const char *folder, const struct privileges_user *user, struct err *err);

// Becomes the user, with the groups that the user is in, and gives up every capability for good.
//   ERR_INTERNAL the kernel does not let it
bool privileges_drop(const struct privileges_user *user, struct err *err);
