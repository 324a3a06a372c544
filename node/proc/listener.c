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
#include "base/clock.h"
#include "base/log.h"
#include "node/proc/child.h"
#include "node/proc/door.h"
#include "node/proc/guests.h"
#include "node/proc/lobby.h"
#include "node/proc/teller.h"

#define DRAIN_S         10
#define ACCEPT_PAUSE_MS 100 // after an error such as EMFILE, which does not go away by asking again

struct accepting {
    const struct listener *listener;
    struct teller teller; // to the core
    int signals;
    bool open;   // still accepting
    bool orphan; // the core is gone
    struct lobby *lobby;
    struct guests guests;
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
              listen(fd, SOMAXCONN) == 0;
    if (!ok) {
        err_set(err, ERR_NET, "port %u: %s", port, strerror(errno));
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

static void address_text(const struct sockaddr_storage *from, char out[LOBBY_ADDRESS])
{
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from;
    const struct sockaddr_in *four = (const struct sockaddr_in *)from;
    const char *text = NULL;
    if (from->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
        text = inet_ntop(AF_INET, &six->sin6_addr.s6_addr[12], out, LOBBY_ADDRESS);
    else if (from->ss_family == AF_INET6)
        text = inet_ntop(AF_INET6, &six->sin6_addr, out, LOBBY_ADDRESS);
    else if (from->ss_family == AF_INET)
        text = inet_ntop(AF_INET, &four->sin_addr, out, LOBBY_ADDRESS);
    if (!text)
        snprintf(out, LOBBY_ADDRESS, "unknown");
}

// Forks the process that has the association from now on.
static bool listener_start(const struct accepting *a, struct guest *guest,
                           const struct lobby_caller *caller)
{
    const struct datadir *dir = a->listener->dir;
    struct association association = {.conf = a->listener->conf,
                                      .dir = dir,
                                      .fd = caller->fd,
                                      .address = caller->address,
                                      .identity = caller->identity,
                                      .activity = guest->activity,
                                      .inflight = a->listener->inflight};
    const int keep[] = {caller->fd, dir->dirfd, dir->lockfd};
    const struct child_options options = {
        .role = "association", .keep = keep, .keep_count = sizeof keep / sizeof keep[0]};
    struct child child;
    struct err err = {0};
    if (!child_start(&child, &options, association_run, &association, &err)) {
        log_error("address=%s refused: %s", caller->address, err.text);
        return false;
    }
    guest->pid = child.pid;
    return true;
}

// A welcome() of the lobby.
static bool listener_welcome(void *ctx, const struct lobby_caller *caller)
{
    struct accepting *a = ctx;
    const uint32_t now = guests_clock_ms();
    char name[32];
    struct guest *leaves, *guest;
    log_value(caller->calling, name, sizeof name);
    const enum guest_room room = guests_room(&a->guests, caller, now, &leaves);
    guest = room == GUEST_WELCOME ? guests_add(&a->guests, caller, now) : NULL;
    if (!guest) {
        const char *limit = room == GUEST_PEER_FULL ? "limits.max_associations_per_peer"
                                                    : "limits.max_associations";
        log_warn("peer=%s address=%s refused: %s", name, caller->address, limit);
        teller_refused(&a->teller, caller->calling, caller->address, limit, true);
        return false;
    }
    if (leaves) {
        leaves->leaving = true;
        kill(leaves->pid, SIGTERM);
        log_warn("peer=%s address=%s association pid=%d ended: silent, and its place is needed",
                 log_value(leaves->caller.calling, name, sizeof name), leaves->caller.address,
                 (int)leaves->pid);
    }
    if (listener_start(a, guest, caller))
        return true;
    guests_remove(guest);
    return false;
}

static int listener_accept(int listening, char address[LOBBY_ADDRESS])
{
    for (;;) {
        struct sockaddr_storage from = {0};
        socklen_t size = sizeof from;
        const int fd = accept4(listening, (struct sockaddr *)&from, &size, SOCK_CLOEXEC);
        const int on = 1;
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0)
            return -1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        address_text(&from, address);
        return fd;
    }
}

void listener_accept_all(int listening, struct lobby *lobby)
{
    char address[LOBBY_ADDRESS];
    int fd = 0;
    for (int i = 0; i < LOBBY_ROUND && (fd = listener_accept(listening, address)) >= 0; i++)
        lobby_enter(lobby, fd, address, NULL, clock_steady());
    if (fd < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
        log_error("accept: %s", strerror(errno));
        poll(NULL, 0, ACCEPT_PAUSE_MS);
    }
}

// Those who came by TLS.
static void listener_take_all(struct accepting *a)
{
    static struct door_visitor visitor;
    int fd;
    for (int i = 0; i < LOBBY_ROUND && (fd = door_take(a->listener->door, &visitor)) >= 0; i++)
        lobby_enter(a->lobby, fd, visitor.address, &visitor.identity, clock_steady());
}

static void listener_reap(struct accepting *a)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct guest *guest = guests_find(&a->guests, pid);
        char drafts[DATADIR_NAME];
        if (!guest)
            continue;
        datadir_drafts_name(pid, drafts);
        datadir_remove(a->listener->dir, drafts); // of one that was killed, with what it received
        if (WIFSIGNALED(status) && !guest->leaving)
            log_warn("address=%s association pid=%d ended by signal %d", guest->caller.address,
                     (int)pid, WTERMSIG(status));
        guests_remove(guest);
    }
}

static void listener_signal_all(const struct accepting *a, int number)
{
    for (size_t i = 0; i < a->guests.room; i++) {
        if (a->guests.guests[i].here)
            kill(a->guests.guests[i].pid, number);
    }
}

static void listener_take_signals(struct accepting *a)
{
    struct signalfd_siginfo info;
    while (read(a->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD) {
            listener_reap(a);
        } else if (info.ssi_signo == SIGALRM) {
            listener_signal_all(a, SIGKILL);
        } else {
            a->open = false;
            if (info.ssi_signo == SIGTERM) {
                lobby_empty(a->lobby);
                listener_signal_all(a, SIGTERM);
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

static void listener_wait(struct accepting *a)
{
    struct pollfd fds[4 + LOBBY_MAX] = {{a->signals, POLLIN, 0},
                                        {a->orphan ? -1 : a->teller.fd, POLLIN, 0},
                                        {a->open ? a->listener->fd : -1, POLLIN, 0},
                                        {a->open ? a->listener->door : -1, POLLIN, 0}};
    const size_t visitors = lobby_watch(a->lobby, fds + 4);
    if (poll(fds, 4 + visitors, lobby_wait_ms(a->lobby, clock_steady())) < 0) {
        if (errno != EINTR) {
            log_error("poll: %s", strerror(errno));
            poll(NULL, 0, ACCEPT_PAUSE_MS);
        }
        return;
    }
    if (fds[0].revents)
        listener_take_signals(a);
    if (fds[1].revents) { // nothing is ever said there: its end is the core's
        a->orphan = true;
        a->open = false;
    }
    lobby_mind(a->lobby, fds + 4, visitors, clock_steady(), listener_welcome, a);
    if (fds[2].revents && a->open)
        listener_accept_all(a->listener->fd, a->lobby);
    if (fds[3].revents && a->open)
        listener_take_all(a);
}

int listener_run(void *ctx, int channel)
{
    struct accepting a = {.listener = ctx, .open = true, .signals = -1};
    const struct conf *conf = a.listener->conf;
    teller_init(&a.teller, channel);
    a.lobby = lobby_create(conf->acse_timeout_s, LOBBY_DICOM);
    const bool ready =
        guests_init(&a.guests, conf->max_associations, conf->max_associations_per_peer) &&
        a.lobby && listener_prepare(&a);
    if (!ready)
        log_error("the listener cannot begin: %s", strerror(errno));
    while (ready && (a.open || (guests_count(&a.guests) + lobby_count(a.lobby) > 0 && !a.orphan)))
        listener_wait(&a);
    listener_signal_all(&a, SIGKILL);
    guests_finish(&a.guests);
    lobby_destroy(a.lobby);
    if (a.signals >= 0)
        close(a.signals);
    return ready ? 0 : 2;
}
