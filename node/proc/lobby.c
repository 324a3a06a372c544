#include "node/proc/lobby.h"
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "dimse/net/tls.h"

#define PDU_HEAD          6 // type, reserved, length (PS3.8 9.3.1)
#define PDU_ASSOCIATE_RQ  1
#define REQUEST_FIXED     68 // bytes before the variable items (PS3.8 table 9-11)
#define CALLED_AT         10
#define CALLING_AT        26
#define TITLE             16
#define REQUEST_WHOLE_MAX 65536 // of a larger one the rest is read by the association
#define TLS_HEAD          5     // content type, version, length
#define TLS_HANDSHAKE     22
#define TLS_MAJOR         3     // of every version
#define TLS_RECORD_MAX    16384 // bytes of a record without encryption
#define FAREWELL_S        2     // for a peer to take the answer and to close
#define LINES_A_SECOND    10    // of the log; of more it says how many
#define GROUPS            4096  // of addresses; two of LOBBY_MAX rarely meet

struct visitor {
    int fd;
    double until;  // steady clock
    bool answered; // what it still sends is thrown away until it closes
    char address[LOBBY_ADDRESS];
    unsigned group;                // of its address
    struct tls_identity *identity; // NULL: without TLS
};

struct lobby {
    double patience_s;
    enum lobby_kind kind;
    double told_since; // a second of lines, steady clock
    unsigned told, untold;
    size_t count;
    struct visitor visitors[LOBBY_MAX]; // in the order of their arrival
};

struct lobby *lobby_create(double patience_s, enum lobby_kind kind)
{
    struct lobby *lobby = calloc(1, sizeof *lobby);
    if (lobby)
        lobby->patience_s = patience_s;
    if (lobby)
        lobby->kind = kind;
    return lobby;
}

// Its place is taken from the list by lobby_close_ranks().
static void lobby_leave(struct visitor *v)
{
    close(v->fd);
    v->fd = -1;
    free(v->identity);
    v->identity = NULL;
}

static void lobby_close_ranks(struct lobby *lobby)
{
    size_t stay = 0;
    for (size_t i = 0; i < lobby->count; i++) {
        if (lobby->visitors[i].fd >= 0)
            lobby->visitors[stay++] = lobby->visitors[i];
    }
    lobby->count = stay;
}

void lobby_empty(struct lobby *lobby)
{
    for (size_t i = 0; i < lobby->count; i++)
        lobby_leave(&lobby->visitors[i]);
    lobby->count = 0;
}

void lobby_destroy(struct lobby *lobby)
{
    if (lobby)
        lobby_empty(lobby);
    free(lobby);
}

size_t lobby_count(const struct lobby *lobby)
{
    return lobby->count;
}

// poll() is to say so when that many bytes are here, or the peer has ended.
static void lobby_expect(int fd, size_t bytes)
{
    const int low = (int)bytes;
    setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low);
}

// A line of the log, if there were not too many just before: strangers shall not fill a disk.
static void lobby_tell(struct lobby *lobby, double now, enum log_level level,
                       const struct visitor *v, const char *what)
{
    if (now - lobby->told_since >= 1) {
        if (lobby->untold > 0)
            log_warn("connections=%u closed or aborted before they had asked for an association",
                     lobby->untold);
        lobby->told_since = now;
        lobby->told = lobby->untold = 0;
    }
    if (lobby->told < LINES_A_SECOND) {
        log_line(level, "address=%s %s", v->address, what);
        lobby->told++;
    } else {
        lobby->untold++;
    }
}

// Addresses that share a group share its places.
static unsigned group_of(const char *address)
{
    uint32_t hash = 2166136261u; // FNV-1a
    for (; *address; address++)
        hash = (hash ^ (unsigned char)*address) * 16777619u;
    return hash % GROUPS;
}

// The oldest of the address that has most; of several the one whose oldest is here longest.
static struct visitor *lobby_surplus(struct lobby *lobby)
{
    unsigned short counts[GROUPS] = {0}, most = 0;
    for (size_t i = 0; i < lobby->count; i++) {
        const unsigned short count = ++counts[lobby->visitors[i].group];
        most = count > most ? count : most;
    }
    struct visitor *v = lobby->visitors;
    while (counts[v->group] < most)
        v++;
    return v;
}

void lobby_enter(struct lobby *lobby, int fd, const char *address,
                 const struct tls_identity *identity, double now)
{
    struct tls_identity *copy = identity ? malloc(sizeof *copy) : NULL;
    if (identity && !copy) {
        log_error("address=%s closed: no memory", address);
        close(fd);
        return;
    }
    if (copy)
        *copy = *identity;
    if (lobby->count == LOBBY_MAX) {
        struct visitor *surplus = lobby_surplus(lobby);
        lobby_tell(lobby, now, LOG_LEVEL_WARN, surplus,
                   "closed: it has most of all without a request");
        lobby_leave(surplus);
        lobby_close_ranks(lobby);
    }
    struct visitor *v = &lobby->visitors[lobby->count++];
    *v = (struct visitor){
        .fd = fd, .until = now + lobby->patience_s, .group = group_of(address), .identity = copy};
    snprintf(v->address, sizeof v->address, "%s", address);
    lobby_expect(fd, PDU_HEAD);
}

size_t lobby_watch(const struct lobby *lobby, struct pollfd fds[LOBBY_MAX])
{
    for (size_t i = 0; i < lobby->count; i++)
        fds[i] = (struct pollfd){.fd = lobby->visitors[i].fd, .events = POLLIN};
    return lobby->count;
}

int lobby_wait_ms(const struct lobby *lobby, double now)
{
    double first = INFINITY;
    for (size_t i = 0; i < lobby->count; i++)
        first = fmin(first, lobby->visitors[i].until);
    return isinf(first) ? -1 : (int)ceil(1000 * fmax(0, first - now));
}

// An AE title without the blanks around it (PS3.5 table 6.2-1).
static void title_text(const unsigned char *at, char out[TITLE + 1])
{
    size_t begin = 0, end = TITLE;
    while (begin < end && at[begin] == ' ')
        begin++;
    while (end > begin && (at[end - 1] == ' ' || at[end - 1] == 0))
        end--;
    memcpy(out, at + begin, end - begin);
    out[end - begin] = 0;
}

// Says the last word and lets the peer read it: closing at once would reset the connection where
// something is still on its way here.
static void lobby_dismiss(struct visitor *v, const unsigned char answer[10], double now)
{
    send(v->fd, answer, 10, MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(v->fd, SHUT_WR);
    lobby_expect(v->fd, 1);
    v->answered = true;
    v->until = now + FAREWELL_S;
}

// Throws away what an answered one sends. False: it has closed.
static bool lobby_drain(const struct visitor *v)
{
    static unsigned char rest[REQUEST_WHOLE_MAX];
    return recv(v->fd, rest, sizeof rest, MSG_DONTWAIT) > 0;
}

// Of how many bytes the first message is; 0: it is none of the kind.
static size_t lobby_message_bytes(enum lobby_kind kind, const unsigned char *b)
{
    if (kind == LOBBY_TLS) {
        const size_t length = (size_t)b[3] << 8 | b[4];
        return b[0] == TLS_HANDSHAKE && b[1] == TLS_MAJOR && length <= TLS_RECORD_MAX
                   ? TLS_HEAD + length
                   : 0;
    }
    const size_t length = (size_t)b[2] << 24 | (size_t)b[3] << 16 | (size_t)b[4] << 8 | b[5];
    if (b[0] != PDU_ASSOCIATE_RQ || length < REQUEST_FIXED)
        return 0;
    return length < REQUEST_WHOLE_MAX - PDU_HEAD ? PDU_HEAD + length : REQUEST_WHOLE_MAX;
}

enum reading { READ_MORE, READ_WHOLE, READ_OTHER, READ_END };

// Looks at what is here of a request without taking it.
static enum reading lobby_read(enum lobby_kind kind, const struct visitor *v,
                               struct lobby_caller *caller)
{
    static unsigned char request[REQUEST_WHOLE_MAX];
    const ssize_t got = recv(v->fd, request, sizeof request, MSG_PEEK | MSG_DONTWAIT);
    if (got < PDU_HEAD)
        return READ_END; // poll() would not have said so before
    const size_t whole = lobby_message_bytes(kind, request);
    if (whole == 0)
        return READ_OTHER;
    if ((size_t)got < whole) {
        int expected = 0;
        socklen_t size = sizeof expected;
        getsockopt(v->fd, SOL_SOCKET, SO_RCVLOWAT, &expected, &size);
        lobby_expect(v->fd, whole);
        return expected == (int)whole ? READ_END : READ_MORE;
    }
    *caller = (struct lobby_caller){.fd = v->fd, .identity = v->identity};
    snprintf(caller->address, sizeof caller->address, "%s", v->address);
    if (kind == LOBBY_TLS)
        return READ_WHOLE;
    title_text(request + CALLED_AT, caller->called);
    title_text(request + CALLING_AT, caller->calling);
    return READ_WHOLE;
}

// False: it has left.
static bool lobby_attend(struct lobby *lobby, struct visitor *v, double now,
                         bool (*welcome)(void *ctx, const struct lobby_caller *caller), void *ctx)
{
    // Rejected transient, by the presentation service provider: local limit exceeded.
    static const unsigned char reject[10] = {3, 0, 0, 0, 0, 4, 0, 2, 3, 2};
    // Aborted by the service provider: unrecognized PDU.
    static const unsigned char aborted[10] = {7, 0, 0, 0, 0, 4, 0, 0, 2, 1};
    const enum lobby_kind kind = lobby->kind;
    struct lobby_caller caller;
    if (v->answered)
        return lobby_drain(v);
    switch (lobby_read(kind, v, &caller)) {
    case READ_MORE:
        return true;
    case READ_END:
        return false;
    case READ_OTHER:
        if (kind == LOBBY_TLS) {
            lobby_tell(lobby, now, LOG_LEVEL_WARN, v, "closed: what it sends is no TLS");
            lobby_drain(v);
            return false;
        }
        lobby_tell(lobby, now, LOG_LEVEL_WARN, v,
                   "aborted: what it sends is no association request");
        lobby_dismiss(v, aborted, now);
        return lobby_drain(v);
    case READ_WHOLE:
        break;
    }
    lobby_expect(v->fd, 1);
    if (welcome(ctx, &caller) || kind == LOBBY_TLS)
        return false;
    lobby_dismiss(v, reject, now);
    return lobby_drain(v);
}

void lobby_mind(struct lobby *lobby, const struct pollfd *fds, size_t count, double now,
                bool (*welcome)(void *ctx, const struct lobby_caller *caller), void *ctx)
{
    for (size_t i = 0; i < count; i++) {
        struct visitor *v = &lobby->visitors[i];
        if (fds[i].revents && !lobby_attend(lobby, v, now, welcome, ctx)) {
            lobby_leave(v);
        } else if (now >= v->until) {
            if (!v->answered)
                lobby_tell(lobby, now, LOG_LEVEL_INFO, v,
                           "closed: no association request within limits.acse_timeout_s");
            lobby_drain(v); // closing would else reset the connection
            lobby_leave(v);
        }
    }
    lobby_close_ranks(lobby);
}
