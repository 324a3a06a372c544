#include "node/proc/clerk.h"
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "node/proc/cage.h"
#include "node/proc/msg.h"

struct writing {
    const struct clerk *clerk;
    int channel;
    int fd; // file or connection
    struct tls *tls;
    struct tls_session *session;
};

// Waits for the receiver until a time.
static bool clerk_wait(const struct writing *w, short events, double until, struct err *err)
{
    struct pollfd p = {w->fd, events, 0};
    for (;;) {
        const double left = until - clock_steady();
        const int n = left > 0 ? poll(&p, 1, 1 + (int)(1000 * left)) : 0;
        if (n > 0)
            return true;
        if (n == 0)
            return err_set(err, ERR_TIMEOUT, "it does not answer");
        if (errno != EINTR)
            return err_errno(err, errno, "poll");
    }
}

static bool clerk_connect_to(struct writing *w, const struct addrinfo *to, double until,
                             struct err *err)
{
    int number = 0;
    socklen_t size = sizeof number;
    w->fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (w->fd >= 0 &&
        (connect(w->fd, to->ai_addr, to->ai_addrlen) == 0 ||
         (errno == EINPROGRESS && clerk_wait(w, POLLOUT, until, err) &&
          getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &number, &size) == 0 && number == 0)))
        return true;
    if (!err->code)
        err_errno(err, number ? number : errno, "connect");
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
    return false;
}

static bool clerk_connect(struct writing *w, double until, struct err *err)
{
    const struct conf *conf = w->clerk->conf;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char port[16];
    snprintf(port, sizeof port, "%u", conf->audit_port);
    const int rc = getaddrinfo(conf->audit_host, port, &hints, &found);
    if (rc != 0)
        return err_set(err, ERR_NET, "%s", gai_strerror(rc));
    bool ok = false;
    for (const struct addrinfo *to = found; to && !ok; to = to->ai_next) {
        *err = (struct err){0};
        ok = clerk_connect_to(w, to, until, err);
    }
    freeaddrinfo(found);
    return ok;
}

static bool clerk_step(const struct writing *w, enum tls_step step, double until, struct err *err)
{
    switch (step) {
    case TLS_DONE:
        return true;
    case TLS_WANTS_READ:
        return clerk_wait(w, POLLIN, until, err);
    case TLS_WANTS_WRITE:
        return clerk_wait(w, POLLOUT, until, err);
    case TLS_CLOSED:
        return err_set(err, ERR_NET, "it has closed the connection");
    case TLS_FAILED:
        break;
    }
    return false; // *err says why
}

static bool clerk_shake(struct writing *w, double until, struct err *err)
{
    w->session = tls_session_create(w->tls, w->fd, w->clerk->conf->audit_host, err);
    for (enum tls_step step = TLS_WANTS_READ; w->session && step != TLS_DONE;) {
        step = tls_session_handshake(w->session, err);
        if (!clerk_step(w, step, until, err))
            return false;
    }
    return w->session != NULL;
}

static bool clerk_open_syslog(struct writing *w, struct err *err)
{
    const struct conf *conf = w->clerk->conf;
    w->tls =
        tls_create(w->clerk->tls, TLS_REQUESTOR, strcmp(conf->tls_version, "1.3") == 0, NULL, err);
    const double until = clock_steady() + conf->connect_timeout_s;
    return w->tls && cage_enter(CAGE_SENDER, conf, NULL, NULL, err) &&
           clerk_connect(w, until, err) && clerk_shake(w, until, err);
}

static bool clerk_open_file(struct writing *w, struct err *err)
{
    const struct conf *conf = w->clerk->conf;
    struct stat st;
    w->fd = open(conf->audit_file,
                 O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (w->fd < 0)
        return err_errno(err, errno, "open");
    if (fstat(w->fd, &st) != 0 || !S_ISREG(st.st_mode))
        return err_set(err, ERR_IO, "is no plain file");
    return cage_enter(CAGE_GATE, conf, NULL, NULL, err);
}

// A line or none.
static bool clerk_append(const struct writing *w, const char *text, size_t size, struct err *err)
{
    struct iovec parts[2] = {{(void *)(uintptr_t)text, size}, {(void *)(uintptr_t) "\n", 1}};
    struct stat st;
    if (fstat(w->fd, &st) != 0)
        return err_errno(err, errno, "fstat");
    const ssize_t n = writev(w->fd, parts, 2);
    if (n == (ssize_t)size + 1)
        return true;
    err_errno(err, n < 0 ? errno : ENOSPC, "write");
    if (n > 0 && ftruncate(w->fd, st.st_size) != 0)
        log_error("%s: a line is not whole", w->clerk->conf->audit_file);
    return false;
}

static bool clerk_say(const struct writing *w, const char *bytes, size_t size, double until,
                      struct err *err)
{
    while (size > 0) {
        size_t put = 0;
        const enum tls_step step = tls_session_write(w->session, bytes, size, &put, err);
        if (!clerk_step(w, step, until, err))
            return false;
        bytes += put;
        size -= put;
    }
    return true;
}

static bool clerk_write(const struct writing *w, const char *text, size_t size, struct err *err)
{
    char frame[MSG_MAX + 16];
    if (w->clerk->kind == CLERK_FILE)
        return clerk_append(w, text, size, err);
    const int head = snprintf(frame, sizeof frame, "%zu ", size); // RFC 5425 4.3
    memcpy(frame + head, text, size);
    return clerk_say(w, frame, (size_t)head + size,
                     clock_steady() + w->clerk->conf->dimse_timeout_s, err);
}

// Takes all that is there, makes it last, and says so. *end: there is no more.
static bool clerk_take(const struct writing *w, bool *end, struct err *err)
{
    static struct msg m;
    struct msg_audited done = {0};
    enum msg_arrival arrival;
    bool ok = true;
    while (ok && (arrival = msg_receive(w->channel, &m, err)) == MSG_GOT) {
        const struct msg_audit *audit = m.body;
        ok =
            m.kind == MSG_AUDIT || err_set(err, ERR_INTERNAL, "unexpected message %d", (int)m.kind);
        ok = ok && clerk_write(w, m.tail, m.tail_size, err);
        done.number = ok ? audit->number : done.number;
    }
    *end = ok && arrival != MSG_NONE;
    if (done.number == 0)
        return ok;
    if (w->clerk->kind == CLERK_FILE && fdatasync(w->fd) != 0)
        return err_errno(err, errno, "sync");
    if (!msg_send(w->channel, MSG_AUDITED, &done, NULL, 0, NULL))
        *end = true;
    return ok;
}

// A receiver says nothing but its farewell.
static bool clerk_listen(const struct writing *w, struct err *err)
{
    char bytes[256];
    size_t got = 0;
    const enum tls_step step = tls_session_read(w->session, bytes, sizeof bytes, &got, err);
    return step == TLS_DONE || step == TLS_WANTS_READ || step == TLS_WANTS_WRITE ||
           clerk_step(w, step, 0, err);
}

static bool clerk_serve(const struct writing *w, struct err *err)
{
    const bool syslog = w->clerk->kind == CLERK_SYSLOG;
    for (bool end = false; !end;) {
        struct pollfd fds[2] = {{w->channel, POLLIN, 0}, {syslog ? w->fd : -1, POLLIN, 0}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return err_errno(err, errno, "poll");
        if (fds[1].revents && !clerk_listen(w, err))
            return false;
        if (fds[0].revents && !clerk_take(w, &end, err))
            return false;
    }
    return true;
}

int clerk_run(void *ctx, int channel)
{
    struct writing w = {.clerk = ctx, .channel = channel, .fd = -1};
    const struct conf *conf = w.clerk->conf;
    struct err err = {0};
    const bool file = w.clerk->kind == CLERK_FILE;
    fcntl(channel, F_SETFL, fcntl(channel, F_GETFL) | O_NONBLOCK);
    const bool ok =
        (file ? clerk_open_file(&w, &err) : clerk_open_syslog(&w, &err)) && clerk_serve(&w, &err);
    if (!ok)
        log_error("audit messages not written to %s: %s",
                  file ? conf->audit_file : conf->audit_host, err.text);
    if (w.session)
        tls_session_close(w.session);
    tls_session_destroy(w.session);
    tls_destroy(w.tls);
    if (w.fd >= 0)
        close(w.fd);
    return ok ? 0 : 1;
}
