#include "node/proc/gate.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "node/proc/cage.h"
#include "node/proc/door.h"

#define FLOW_BYTES       ((size_t)256 << 10) // on the way in one direction
#define PDU_HEAD         6                   // type, reserved, length (PS3.8 9.3.1)
#define PDU_ASSOCIATE_RQ 1
#define REQUEST_MAX      65536 // of a larger one the beginning is enough (node/proc/lobby.h)
#define FAREWELL_S       5     // for a peer to take the last bytes
#define DRAIN_S          1     // for what it still sends

struct flow { // a direction
    unsigned char bytes[FLOW_BYTES];
    size_t begin, end; // what is on the way
    bool ended;        // nothing more comes
};

struct gating {
    const struct gate *gate;
    struct tls_session *session;
    int plain;             // our end of the pair
    short tls_in, tls_out; // what the session waits for: to read, to write
    struct flow in, out;   // from the peer, to it
    bool said_end;         // the listener's side knows that the peer has ended
    bool broken;           // the peer's side is of no use any more
    struct err err;
};

static size_t flow_used(const struct flow *f)
{
    return f->end - f->begin;
}

// Room behind what is there.
static size_t flow_room(struct flow *f)
{
    if (f->begin == f->end)
        f->begin = f->end = 0;
    if (f->begin > 0 && f->end == sizeof f->bytes) {
        memmove(f->bytes, f->bytes + f->begin, flow_used(f));
        f->end -= f->begin;
        f->begin = 0;
    }
    return sizeof f->bytes - f->end;
}

// What the session says after a call: how it goes on, or that it does not.
static short gating_wants(struct gating *g, enum tls_step step)
{
    if (step == TLS_WANTS_READ)
        return POLLIN;
    if (step == TLS_WANTS_WRITE)
        return POLLOUT;
    if (step == TLS_CLOSED)
        g->in.ended = true;
    if (step == TLS_FAILED)
        g->broken = true;
    return 0;
}

// Takes what the peer has sent. True: something came.
static bool gating_read(struct gating *g)
{
    bool any = false;
    g->tls_in = 0;
    for (size_t room; !g->in.ended && !g->broken && (room = flow_room(&g->in)) > 0;) {
        size_t got = 0;
        const enum tls_step step =
            tls_session_read(g->session, g->in.bytes + g->in.end, room, &got, &g->err);
        g->in.end += got;
        any = any || got;
        if (step != TLS_DONE) {
            g->tls_in = gating_wants(g, step);
            break;
        }
    }
    return any;
}

static bool gating_write(struct gating *g)
{
    bool any = false;
    g->tls_out = 0;
    while (flow_used(&g->out) && !g->broken) {
        size_t put = 0;
        const enum tls_step step = tls_session_write(g->session, g->out.bytes + g->out.begin,
                                                     flow_used(&g->out), &put, &g->err);
        g->out.begin += put;
        any = any || put;
        if (step != TLS_DONE) {
            g->tls_out = gating_wants(g, step);
            break;
        }
    }
    return any;
}

// To the listener's side; it is gone when it takes no more.
static bool gating_hand_in(struct gating *g)
{
    const ssize_t n = flow_used(&g->in) ? send(g->plain, g->in.bytes + g->in.begin,
                                               flow_used(&g->in), MSG_DONTWAIT | MSG_NOSIGNAL)
                                        : 0;
    if (n > 0)
        g->in.begin += (size_t)n;
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        g->in.ended = true;
        g->in.begin = g->in.end;
    }
    if (g->in.ended && !flow_used(&g->in) && !g->said_end) {
        shutdown(g->plain, SHUT_WR);
        g->said_end = true;
    }
    return n > 0;
}

static bool gating_take_out(struct gating *g)
{
    const size_t room = g->out.ended ? 0 : flow_room(&g->out);
    if (!room)
        return false;
    const ssize_t n = recv(g->plain, g->out.bytes + g->out.end, room, MSG_DONTWAIT);
    if (n > 0)
        g->out.end += (size_t)n;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        g->out.ended = true;
    return n > 0;
}

// Until the listener's side has ended and the peer has what it said last.
static void gating_pass(struct gating *g)
{
    double until = 0;
    while (!g->broken && !(g->out.ended && !flow_used(&g->out))) {
        bool moved = gating_read(g);
        moved = gating_hand_in(g) || moved;
        moved = gating_take_out(g) || moved;
        moved = gating_write(g) || moved;
        if (moved)
            continue;
        if (g->out.ended && until == 0)
            until = clock_steady() + FAREWELL_S;
        const double left = until == 0 ? 0 : until - clock_steady();
        if (until != 0 && left <= 0)
            return;
        struct pollfd fds[2] = {{g->gate->fd, (short)(g->tls_in | g->tls_out), 0},
                                {g->plain, 0, 0}};
        if (flow_used(&g->in))
            fds[1].events |= POLLOUT;
        if (!g->out.ended && flow_room(&g->out))
            fds[1].events |= POLLIN;
        if (!fds[0].events)
            fds[0].fd = -1;
        if (!fds[1].events)
            fds[1].fd = -1;
        poll(fds, 2, until == 0 ? -1 : 1 + (int)(1000 * left));
    }
}

// Waits for the peer until a time. False: it is over.
static bool gating_wait(struct gating *g, short events, double until)
{
    struct pollfd p = {g->gate->fd, events, 0};
    const double left = until - clock_steady();
    if (left > 0 && (poll(&p, 1, 1 + (int)(1000 * left)) > 0 || errno == EINTR))
        return true;
    return err_set(&g->err, ERR_TIMEOUT, "no TLS handshake and association request in time");
}

static bool gating_shake(struct gating *g, double until)
{
    for (;;) {
        const enum tls_step step = tls_session_handshake(g->session, &g->err);
        if (step == TLS_DONE)
            return true;
        if (step == TLS_CLOSED)
            return err_set(&g->err, ERR_NET, "TLS handshake: the connection was closed");
        if (step == TLS_FAILED || !gating_wait(g, step == TLS_WANTS_READ ? POLLIN : POLLOUT, until))
            return false;
    }
}

// Bytes that are wanted before the listener hears of it: what is no request it sees in few.
static size_t request_bytes(const struct flow *f)
{
    const unsigned char *b = f->bytes;
    if (flow_used(f) < PDU_HEAD)
        return PDU_HEAD;
    const size_t length = (size_t)b[2] << 24 | (size_t)b[3] << 16 | (size_t)b[4] << 8 | b[5];
    if (b[0] != PDU_ASSOCIATE_RQ)
        return PDU_HEAD;
    return length < REQUEST_MAX - PDU_HEAD ? PDU_HEAD + length : REQUEST_MAX;
}

static bool gating_await_request(struct gating *g, double until)
{
    for (;;) {
        gating_read(g);
        if (flow_used(&g->in) >= request_bytes(&g->in))
            return true;
        if (g->broken)
            return false;
        if (g->in.ended)
            return err_set(&g->err, ERR_NET, "closed before an association request was whole");
        if (!gating_wait(g, g->tls_in, until))
            return false;
    }
}

// Says that nothing more comes and lets the peer read it: closing over unread bytes would reset the
// connection and lose the last answer.
static void gating_farewell(struct gating *g)
{
    const double until = clock_steady() + DRAIN_S;
    tls_session_close(g->session);
    shutdown(g->gate->fd, SHUT_WR);
    for (ssize_t n = 1; n > 0;) {
        struct pollfd p = {g->gate->fd, POLLIN, 0};
        const double left = until - clock_steady();
        if (left <= 0 || poll(&p, 1, 1 + (int)(1000 * left)) <= 0)
            return;
        n = recv(g->gate->fd, g->in.bytes, sizeof g->in.bytes, MSG_DONTWAIT);
    }
}

static bool gating_admit(struct gating *g, int far)
{
    static struct door_visitor visitor;
    char how[64];
    const struct gate *gate = g->gate;
    const double until = clock_steady() + gate->conf->acse_timeout_s;
    if (!gating_shake(g, until))
        return false;
    tls_session_identity(g->session, &visitor.identity);
    tls_session_describe(g->session, how, sizeof how);
    if (!gating_await_request(g, until))
        return false;
    gating_hand_in(g); // a socket takes at least that much
    snprintf(visitor.address, sizeof visitor.address, "%s", gate->address);
    if (!door_pass(gate->door, far, &visitor, &g->err))
        return false;
    atomic_store(&gate->place->through, 1);
    log_info("address=%s tls=\"%s\" subject=%s", gate->address, how, visitor.identity.subject);
    return true;
}

int gate_run(void *ctx, int channel)
{
    static struct gating g;
    int pair[2] = {-1, -1};
    (void)channel;
    g.gate = ctx;
    const struct gate *gate = g.gate;
    log_action("address=%s", gate->address);
    fcntl(gate->fd, F_SETFL, fcntl(gate->fd, F_GETFL) | O_NONBLOCK);
    bool ok = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0 ||
              err_errno(&g.err, errno, "socket pair");
    ok = ok && cage_enter(CAGE_GATE, gate->conf, NULL, NULL, &g.err);
    g.session = ok ? tls_session_create(gate->tls, gate->fd, NULL, &g.err) : NULL;
    g.plain = pair[0];
    ok = g.session && gating_admit(&g, pair[1]);
    if (pair[1] >= 0)
        close(pair[1]);
    if (ok) {
        gating_pass(&g);
    } else {
        snprintf(gate->place->refused, sizeof gate->place->refused, "%.159s", g.err.text);
        log_warn("address=%s refused: %s", gate->address, g.err.text);
    }
    if (g.session)
        gating_farewell(&g);
    tls_session_destroy(g.session);
    close(gate->fd);
    return ok ? 0 : 1;
}
