// What a process can ask of the kernel (seccomp, libseccomp): a call that its role does not need is
// answered with EPERM, so that a library that tries goes on without. With AddressSanitizer a few
// more are let through, those that its reports need: threads, ptrace of itself, lists of folders.
// Process: any that gives up rights, while it has one thread. Nothing is ever given back.
#pragma once
#include <stdbool.h>
#include "base/err.h"

enum calls {
    CALLS_ASSOCIATION, // a list of what is let through: all code is known; files by name, the
                       // descriptors that are open, memory, time; no process, no socket, no list of
                       // a folder
    CALLS_WORKER, // a list of what is not, as a graphics driver asks for many things: no socket, no
                  // process, no program, no look into other processes, no rights of files
    CALLS_SENDER, // as for a worker, but sockets to go out with
};

// Makes the filter of a role, which children that are forked from here on have at once: it costs a
// millisecond. A process that did not calls_enter()s nevertheless.
//   ERR_INTERNAL, ERR_NOMEM
bool calls_prepare(enum calls role, struct err *err);

// From here on only these calls, for this process and its children. Needs no_new_privs.
//   ERR_INTERNAL the kernel has no seccomp; ERR_NOMEM
bool calls_enter(enum calls role, struct err *err);

// Whether the kernel has it.
bool calls_work(void);
