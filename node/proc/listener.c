#include "node/proc/listener.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "node/proc/association.h"
#include "base/log.h"
#include "node/proc/child.h"

#define REJECTERS_MAX   16
#define REJECT_WITHIN_S 2
#define DRAIN_S         10
#define ADDRESS_SIZE    64
#define ACCEPT_PAUSE_MS 100 // after an error such as EMFILE, which does not go away by asking again

struct guest { // a child that talks to a peer
    pid_t pid;
    bool rejecter;
    char address[ADDRESS_SIZE];
};

struct accepting {
    const struct listener *listener;
    int signals;
    bool open;   // still accepting
    bool orphan; // the core is gone
    struct guest *guests;
    size_t count, room;
};

int listener_bind(const char *address, unsigned port, struct err *err)
{
    char service[16];
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {.ai_family = *address ? AF_UNSPEC : AF_INET6,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(*address ? address : NULL, service, &hints, &found);
    if (rc != 0) {
        err_set(err, ERR_NET, "address %s: %s", address, gai_strerror(rc));
        return -1;
    }
    int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    int family = found->ai_family;
    int fd = socket(family, type, 0);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (fd < 0 && !*address) { // a kernel without IPv6
        family = AF_INET;
        fd = socket(family, type, 0);
    }
    int on = 1, off = 0;
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (!*address && family == AF_INET6)
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    bool plain = family == AF_INET && !*address;
    bool ok = fd >= 0 &&
              bind(fd, plain ? (struct sockaddr *)&any : found->ai_addr,
                   plain ? sizeof any : found->ai_addrlen) == 0 &&
              listen(fd, 256) == 0;
    if (!ok) {
        err_set(err, ERR_NET, "port %u: %s", port, strerror(errno));
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

static void address_text(const struct sockaddr_storage *from, char out[ADDRESS_SIZE])
{
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from;
    const struct sockaddr_in *four = (const struct sockaddr_in *)from;
    const char *text = NULL;
    if (from->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
        text = inet_ntop(AF_INET, &six->sin6_addr.s6_addr[12], out, ADDRESS_SIZE);
    else if (from->ss_family == AF_INET6)
        text = inet_ntop(AF_INET6, &six->sin6_addr, out, ADDRESS_SIZE);
    else if (from->ss_family == AF_INET)
        text = inet_ntop(AF_INET, &four->sin_addr, out, ADDRESS_SIZE);
    if (!text)
        snprintf(out, ADDRESS_SIZE, "unknown");
}

// Reads the A-ASSOCIATE-RQ, so that closing does not reset the connection before the answer is
// read, and rejects it.
static int listener_reject(void *ctx, int channel)
{
    (void)channel;
    static const unsigned char answer[] = {3, 0, 0, 0, 0, 4, 0, 2, 3, 2};
    int fd = *(int *)ctx;
    unsigned char head[6], body[4096];
    alarm(REJECT_WITHIN_S); // a slow peer ends this process, which is all there is
    if (recv(fd, head, sizeof head, MSG_WAITALL) != (ssize_t)sizeof head || head[0] != 1)
        return 0;
    size_t left = (size_t)head[2] << 24 | (size_t)head[3] << 16 | (size_t)head[4] << 8 | head[5];
    while (left > 0) {
        ssize_t n = recv(fd, body, left < sizeof body ? left : sizeof body, 0);
        if (n <= 0)
            return 0;
        left -= (size_t)n;
    }
    if (send(fd, answer, sizeof answer, MSG_NOSIGNAL) == (ssize_t)sizeof answer) {
        shutdown(fd, SHUT_WR);
        while (recv(fd, body, sizeof body, 0) > 0)
            continue;
    }
    return 0;
}

static bool guest_remember(struct accepting *a, pid_t pid, bool rejecter, const char *address)
{
    if (a->count == a->room) {
        size_t room = a->room ? 2 * a->room : 32;
        struct guest *grown = realloc(a->guests, room * sizeof *grown);
        if (!grown)
            return false;
        a->guests = grown;
        a->room = room;
    }
    struct guest *g = &a->guests[a->count++];
    g->pid = pid;
    g->rejecter = rejecter;
    snprintf(g->address, sizeof g->address, "%s", address);
    return true;
}

struct load {
    size_t all, same_address, rejecters;
};

static struct load guests_count(const struct accepting *a, const char *address)
{
    struct load load = {0};
    for (size_t i = 0; i < a->count; i++) {
        load.rejecters += a->guests[i].rejecter;
        load.all += !a->guests[i].rejecter;
        load.same_address += !a->guests[i].rejecter && strcmp(a->guests[i].address, address) == 0;
    }
    return load;
}

static void listener_welcome(struct accepting *a, int fd, const char *address)
{
    const struct conf *conf = a->listener->conf;
    struct load load = guests_count(a, address);
    bool busy = load.all >= conf->max_associations;
    if (busy || load.same_address >= conf->max_associations_per_peer) {
        log_warn("address=%s associations=%zu of_address=%zu refused: %s", address, load.all,
                 load.same_address, busy ? "max_associations" : "max_associations_per_peer");
        busy = true;
    }
    if (busy && load.rejecters >= REJECTERS_MAX)
        return;
    struct association association = {
        .conf = conf, .dir = a->listener->dir, .fd = fd, .address = address};
    const int keep[] = {fd, a->listener->dir->dirfd, a->listener->dir->lockfd};
    struct child_options options = {.role = busy ? "busy" : "association",
                                    .keep = keep,
                                    .keep_count = sizeof keep / sizeof keep[0]};
    struct child child;
    struct err err = {0};
    if (!child_start(&child, &options, busy ? listener_reject : association_run,
                     busy ? (void *)&fd : (void *)&association, &err)) {
        log_error("address=%s refused: %s", address, err.text);
        return;
    }
    if (!guest_remember(a, child.pid, busy, address)) {
        log_error("address=%s refused: no memory", address);
        kill(child.pid, SIGKILL);
    }
}

static void listener_accept_all(struct accepting *a)
{
    for (;;) {
        struct sockaddr_storage from = {0};
        socklen_t size = sizeof from;
        int fd = accept4(a->listener->fd, (struct sockaddr *)&from, &size, SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            if (errno != EAGAIN && errno != EWOULDBLOCK) {
                log_error("accept: %s", strerror(errno));
                poll(NULL, 0, ACCEPT_PAUSE_MS);
            }
            return;
        }
        char address[ADDRESS_SIZE];
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        address_text(&from, address);
        listener_welcome(a, fd, address);
        close(fd);
    }
}

static void listener_reap(struct accepting *a)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (size_t i = 0; i < a->count; i++) {
            if (a->guests[i].pid != pid)
                continue;
            if (WIFSIGNALED(status) && !a->guests[i].rejecter)
                log_warn("address=%s association pid=%d ended by signal %d", a->guests[i].address,
                         (int)pid, WTERMSIG(status));
            a->guests[i] = a->guests[--a->count];
            break;
        }
    }
}

static void guests_signal(const struct accepting *a, int number)
{
    for (size_t i = 0; i < a->count; i++)
        kill(a->guests[i].pid, number);
}

static void listener_take_signals(struct accepting *a)
{
    struct signalfd_siginfo info;
    while (read(a->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD) {
            listener_reap(a);
        } else if (info.ssi_signo == SIGALRM) {
            guests_signal(a, SIGKILL);
        } else {
            a->open = false;
            if (info.ssi_signo == SIGTERM) {
                guests_signal(a, SIGTERM);
                alarm(DRAIN_S);
            }
        }
    }
}

static bool listener_prepare(struct accepting *a)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    a->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return a->signals >= 0;
}

int listener_run(void *ctx, int channel)
{
    struct accepting a = {.listener = ctx, .open = true};
    if (!listener_prepare(&a)) {
        log_error("signalfd: %s", strerror(errno));
        return 2;
    }
    while (a.open || (a.count > 0 && !a.orphan)) {
        struct pollfd fds[] = {{a.signals, POLLIN, 0},
                               {a.orphan ? -1 : channel, POLLIN, 0},
                               {a.open ? a.listener->fd : -1, POLLIN, 0}};
        if (poll(fds, 3, -1) < 0 && errno != EINTR)
            break;
        if (fds[0].revents)
            listener_take_signals(&a);
        if (fds[1].revents) { // nothing is ever said there: its end is the core's
            a.orphan = true;
            a.open = false;
        }
        if (fds[2].revents && a.open)
            listener_accept_all(&a);
    }
    guests_signal(&a, SIGKILL);
    free(a.guests);
    close(a.signals);
    return 0;
}
