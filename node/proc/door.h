// The door between the processes that speak TLS and the listener: a connection whose peer has shown
// a good certificate comes through it as a socket of plain bytes, with who the peer is.
// Process: gate (passes), listener (takes). Thread-safety: one thread.
#pragma once
#include <stdbool.h>
#include "base/err.h"
#include "dimse/net/tls.h"
#include "node/proc/lobby.h"

struct door_visitor {
    char address[LOBBY_ADDRESS]; // numeric
    struct tls_identity identity;
};

// Both ends, close-on-exec and non-blocking: ends[0] takes. ERR_IO
bool door_make(int ends[2], struct err *err);

// fd stays the caller's. ERR_NET: nobody takes what has been passed
bool door_pass(int door, int fd, const struct door_visitor *visitor, struct err *err);

// The next one: a descriptor, now the caller's, or -1: nobody is there.
int door_take(int door, struct door_visitor *visitor);
