// Accepts connections and forks an association for each that asks for one. It reads no byte of a
// peer: requests are looked at where they wait (node/proc/lobby.h), so a stalled peer holds up
// nobody. It enforces the limits on associations (of all, of one peer: node/proc/guests.h); beyond
// them a request is rejected (transient, local limit exceeded).
// Signals: SIGTERM stops accepting and drains (associations end with the object they receive,
// 10 s at most); SIGUSR1 stops accepting and waits for the associations' own end (a newer listener
// has taken over). Process: listener.
#pragma once
#include "conf/conf.h"
#include "base/err.h"
#include "node/proc/datadir.h"
#include "node/proc/lobby.h"

struct listener {
    const struct conf *conf;
    const struct datadir *dir;
    int fd;   // listening, from listener_bind(); -1: none without TLS
    int door; // where connections by TLS come from (node/proc/door.h)
    struct inflight *inflight;
};

// A socket that listens on address (numeric, "": all) and port; close-on-exec, non-blocking.
// -1: ERR_NET (in use, no such address here).
int listener_bind(const char *address, unsigned port, struct err *err);

// All connections that wait at a listening socket enter the lobby, close-on-exec. After an error
// such as EMFILE, which does not go away by asking again, it pauses.
void listener_accept_all(int listening, struct lobby *lobby);

// The process: body for child_start(); ctx is a struct listener. Returns when it has stopped
// accepting and all associations have ended, or when the core is gone (channel).
int listener_run(void *ctx, int channel);
