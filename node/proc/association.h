// One connection of a peer: speaks DICOM through dimse/net/scp.h, makes each instance durable, with
// what it is in the file itself, and asks the core to record it before it answers. A crash here
// costs the peer its connection, and nothing else. When the core gives no verdict on an instance
// within limits.dimse_timeout_s, or one on another instance, nobody knows what is recorded: the
// connection is aborted without an answer, and the core keeps the file if it is recorded. SIGTERM:
// ends at once when no object is being received, else after that object. Process: association
// (forked by the listener).
#pragma once
#include "conf/conf.h"
#include "node/proc/datadir.h"
#include "node/proc/guests.h"

struct tls_identity;

struct association {
    const struct conf *conf;
    const struct datadir *dir;
    int fd;                              // the connection
    const char *address;                 // of the peer, numeric
    const struct tls_identity *identity; // who it is by its certificate; NULL: it came without TLS
    struct guest_activity *activity;     // written
    struct inflight *inflight;           // the same; NULL: nobody looks after what is left behind
};

// Body for child_start(); ctx is a struct association. Returns the exit status.
int association_run(void *ctx, int channel);
