// Connections that have not asked for an association yet. They cost the listener a descriptor each
// and no process, so that those who connect and say nothing hold up nobody: where there are
// LOBBY_MAX, the oldest of the address that has most leaves for the next. A request stays in the
// socket until it is whole and is only looked at; the association reads it.
// Sources: PS3.8 9.3.2 (A-ASSOCIATE-RQ), 9.3.4 (A-ASSOCIATE-RJ), 9.3.8 (A-ABORT).
// Process: listener.
#pragma once
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#define LOBBY_MAX     256
#define LOBBY_ADDRESS 64

struct lobby;
struct tls_identity;

// What those who enter have to say first.
enum lobby_kind {
    LOBBY_DICOM, // an association request
    LOBBY_TLS,   // the first record of a TLS handshake (RFC 8446 5.1)
};

// Who asks for an association.
struct lobby_caller {
    int fd;                              // borrowed
    char address[LOBBY_ADDRESS];         // numeric
    char calling[17], called[17];        // AE titles without padding; LOBBY_TLS: ""
    const struct tls_identity *identity; // as of lobby_enter(); borrowed
};

// patience_s  a request must be whole by then. NULL: no memory.
struct lobby *lobby_create(double patience_s, enum lobby_kind kind);
// Closes all connections. NULL is fine.
void lobby_destroy(struct lobby *lobby);
// Closes all connections.
void lobby_empty(struct lobby *lobby);

// A connection, which the lobby owns from now on; non-blocking or not. identity: who its peer is by
// TLS, copied; NULL: it came without. now: steady clock.
void lobby_enter(struct lobby *lobby, int fd, const char *address,
                 const struct tls_identity *identity, double now);

// At most so many should enter between two looks of lobby_mind(): else those who said in time what
// they want leave for others before anybody has looked.
#define LOBBY_ROUND (LOBBY_MAX / 4)

// Those that are here.
size_t lobby_count(const struct lobby *lobby);

// What poll() is to look at. Returns how many were filled in.
size_t lobby_watch(const struct lobby *lobby, struct pollfd fds[LOBBY_MAX]);
// Milliseconds until somebody's patience ends; -1: nobody is here.
int lobby_wait_ms(const struct lobby *lobby, double now);

// Looks after those whose descriptor poll() names, and after those whose time is over. Each whose
// request is whole (or larger than 64 KiB, of which the beginning is here) is offered to welcome():
// true: somebody has a copy of the descriptor; false: it is rejected as transient, local limit
// exceeded (2/3/2). What is no request is answered by an A-ABORT. With LOBBY_TLS both are closed.
// fds: as filled by lobby_watch(), nobody has entered since.
void lobby_mind(struct lobby *lobby, const struct pollfd *fds, size_t count, double now,
                bool (*welcome)(void *ctx, const struct lobby_caller *caller), void *ctx);
