// What is left to the processes that handle a stranger's bytes, so that one that is taken over can
// do little: no new rights, few calls (node/proc/calls.h), few paths (node/proc/landlock.h), limits
// on memory, files and their size. Names of received files are random and no folder that holds
// them can be listed, so an association or a worker reaches only those that it was told of.
//
//   association  its folder of drafts; makes, renames and removes files of series/ and quarantine/,
//                and opens none there; what iconv loads; its two sockets
//   worker       reads series/; all of its desk and of cache/; the software and devices of the
//   machine
//                that a graphics driver needs, below /usr, /opt, /sys, /dev, /proc/self; the caches
//                of drivers and fonts of its user
//   sender       reads outbox/; names of hosts; sockets that go out
//   scout        as a worker, without data
//   herald       all files but the data folder, the private key and the audit trail, programs too:
//                it becomes a command of the site
//   gate         code alone: its two sockets and the door; the same a clerk with its file, which it
//                has opened before; a clerk of a receiver is a sender without outbox
//
// With AddressSanitizer the calls are wider (calls.h), memory has no limit, as its shadow is as
// large as all that a process can address, and /proc/self can be read.
// Process: each at its start, while it has one thread.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "conf/conf.h"
#include "node/proc/datadir.h"

enum cage_role { CAGE_ASSOCIATION, CAGE_WORKER, CAGE_SCOUT, CAGE_SENDER, CAGE_GATE, CAGE_HERALD };

// What the kernel has of it, said once at the start of the node: a line of the log. Prepares what
// processes share.
//   ERR_CONFIG node.cage is required and the kernel lacks something; the text says what
bool cage_check(const struct conf *conf, struct err *err);

// Takes the rights of role. own: the path of the folder of drafts of an association, of the desk of
// a worker; else NULL. With node.cage auto what the kernel lacks is left out; what it has and does
// not grant is an error.
//   ERR_INTERNAL
bool cage_enter(enum cage_role role, const struct conf *conf, const struct datadir *dir,
                const char *own, struct err *err);
