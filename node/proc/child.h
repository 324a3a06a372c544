// A process forked for one job, joined to its parent by a channel (see node/proc/msg.h). It is
// forked without exec: dictionary, configuration and TLS context come along for nothing. Process:
// core and listener start them; both are single-threaded.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/err.h"

struct child {
    pid_t pid; // 0: none
    int fd;    // our end of the channel, close-on-exec; -1: none
};

struct child_options {
    const char *role; // in each log line; a literal
    bool channel;     // make one
    const int *keep;  // descriptors the child keeps beside 0, 1, 2 and its end of the channel
    size_t keep_count;
};

// Forks. The parent gets true with *child filled; the child never returns: it runs body(ctx, its
// end of the channel or -1) and exits with what that returns. It dies with its parent (SIGKILL),
// has default signal handling (SIGINT and SIGPIPE ignored) and no other descriptor than those kept.
//   ERR_IO, ERR_NOMEM no socket pair, no process
bool child_start(struct child *child, const struct child_options *options,
                 int (*body)(void *ctx, int fd), void *ctx, struct err *err);

// Closes the channel and forgets the process, which the caller has reaped. {0, -1} is fine.
void child_forget(struct child *child);
