// Accepts connections and forks an association for each. It never reads a byte from a peer, so a
// stalled peer holds up nobody; it enforces the limits on connections (of all, of one address).
// A peer beyond a limit is answered by a small process of its own that reads the A-ASSOCIATE-RQ
// and rejects it (transient, local limit exceeded); beyond 16 of those, connections are closed.
// Signals: SIGTERM stops accepting and drains (associations end with the object they receive,
// 10 s at most); SIGUSR1 stops accepting and waits for the associations' own end (a newer listener
// has taken over). Source: PS3.8 9.3.4 (A-ASSOCIATE-RJ).
// Process: listener.
#pragma once
#include "conf/conf.h"
#include "base/err.h"
#include "node/proc/datadir.h"

struct listener {
    const struct conf *conf;
    const struct datadir *dir;
    int fd; // listening, from listener_bind()
};

// A socket that listens on address (numeric, "": all) and port; close-on-exec, non-blocking.
// -1: ERR_NET (in use, no such address here).
int listener_bind(const char *address, unsigned port, struct err *err);

// The process: body for child_start(); ctx is a struct listener. Returns when it has stopped
// accepting and all associations have ended, or when the core is gone (channel).
int listener_run(void *ctx, int channel);
