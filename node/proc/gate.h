// One connection by TLS: makes the handshake, waits for the whole association request, and hands
// the listener a socket of plain bytes (node/proc/door.h); from then on it passes bytes on, either
// way, until one side ends. Only here are a stranger's bytes and the private key in one process,
// and it has nothing else: no file, no way to the core. Time is kept by the association; here only
// that of the handshake and the request (limits.acse_timeout_s), and of the last bytes. Process:
// gate (forked by the gatekeeper).
#pragma once
#include <stdatomic.h>
#include <stdint.h>
#include "conf/conf.h"
#include "dimse/net/tls.h"

// Shared with the gatekeeper.
struct gate_place {
    _Atomic uint32_t through; // 1: the listener has it, or it was told to end
    char address[64];         // of the peer, by the gatekeeper, which alone uses it
    char refused[160];        // why it ended before that; whole once the process has ended
};

struct gate {
    const struct conf *conf;
    struct tls *tls;
    int fd;   // the connection
    int door; // to the listener
    const char *address;
    struct gate_place *place;
};

// Body for child_start(); ctx is a struct gate. Returns the exit status.
int gate_run(void *ctx, int channel);
