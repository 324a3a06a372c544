// Accepts connections by TLS and forks a gate (node/proc/gate.h) for each whose first message is
// whole; those that say nothing wait in a lobby. At most GATEKEEPER_SHAKING gates are without a
// whole association request: the oldest ends for the next, so that nobody is locked out by those
// who never finish. The private key is read here, and no other process of the acceptor has it.
// Signals: SIGTERM stops accepting and ends those gates; the others end with their associations;
// SIGUSR1 stops accepting and waits for the gates' own end (a newer gatekeeper has taken over).
// Process: gatekeeper (forked by the core).
#pragma once
#include "conf/conf.h"
#include "dimse/net/tls.h"

#define GATEKEEPER_SHAKING 64

struct gatekeeper {
    const struct conf *conf;
    const struct tls_files *files;
    int fd;   // listening
    int door; // to the listener
};

// The process: body for child_start(); ctx is a struct gatekeeper.
int gatekeeper_run(void *ctx, int channel);
