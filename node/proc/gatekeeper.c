#include "node/proc/gatekeeper.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "node/proc/child.h"
#include "node/proc/gate.h"
#include "node/proc/listener.h"
#include "node/proc/lobby.h"
#include "node/proc/teller.h"

#define SPARE         16  // gates whose association has just ended
#define PAUSE_MS      100 // after an error such as EMFILE
#define EXPIRES_DAYS  30  // a certificate that is valid for less is spoken of, once a day
#define SECONDS_A_DAY 86400.0

struct keeping {
    const struct gatekeeper *keeper;
    struct teller teller; // to the core
    struct tls *tls;
    int signals;
    bool open;   // still accepting
    bool orphan; // the core is gone
    struct lobby *lobby;
    size_t room;
    pid_t *pids;               // room of them; 0: free
    double *since;             // steady clock
    struct gate_place *places; // room of them, shared
    double began, look_at;     // steady clock
};

static size_t keeping_count(const struct keeping *k)
{
    size_t count = 0;
    for (size_t i = 0; i < k->room; i++)
        count += k->pids[i] != 0;
    return count;
}

// A free place, after the oldest of too many that are not through was told to end; SIZE_MAX: none.
static size_t keeping_place(struct keeping *k)
{
    size_t shaking = 0, oldest = SIZE_MAX, place = SIZE_MAX;
    for (size_t i = 0; i < k->room; i++) {
        if (k->pids[i] == 0) {
            place = i;
        } else if (!atomic_load(&k->places[i].through)) {
            shaking++;
            if (oldest == SIZE_MAX || k->since[i] < k->since[oldest])
                oldest = i;
        }
    }
    if (shaking >= GATEKEEPER_SHAKING) {
        kill(k->pids[oldest], SIGKILL);
        atomic_store(&k->places[oldest].through, 1); // the next one to go is another
    }
    return place;
}

// A welcome() of the lobby.
static bool keeping_welcome(void *ctx, const struct lobby_caller *caller)
{
    struct keeping *k = ctx;
    const size_t place = keeping_place(k);
    if (place == SIZE_MAX) {
        log_warn("address=%s refused: limits.max_associations", caller->address);
        teller_refused(&k->teller, "", caller->address, "limits.max_associations", true);
        return false;
    }
    memset(&k->places[place], 0, sizeof k->places[place]);
    snprintf(k->places[place].address, sizeof k->places[place].address, "%s", caller->address);
    struct gate gate = {.conf = k->keeper->conf,
                        .tls = k->tls,
                        .fd = caller->fd,
                        .door = k->keeper->door,
                        .address = caller->address,
                        .place = &k->places[place]};
    const int keep[] = {caller->fd, k->keeper->door};
    const struct child_options options = {.role = "gate", .keep = keep, .keep_count = 2};
    struct child child;
    struct err err = {0};
    if (!child_start(&child, &options, gate_run, &gate, &err)) {
        log_error("address=%s refused: %s", caller->address, err.text);
        return false;
    }
    k->pids[place] = child.pid;
    k->since[place] = clock_steady();
    return true;
}

static void keeping_reap(struct keeping *k)
{
    pid_t pid;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
        for (size_t i = 0; i < k->room; i++) {
            struct gate_place *place = &k->places[i];
            if (k->pids[i] != pid)
                continue;
            k->pids[i] = 0;
            place->refused[sizeof place->refused - 1] = 0; // a gate may have been taken over
            if (*place->refused)
                teller_refused(&k->teller, "", place->address, place->refused, false);
        }
    }
}

static void keeping_end(const struct keeping *k, bool all)
{
    for (size_t i = 0; i < k->room; i++) {
        if (k->pids[i] && (all || !atomic_load(&k->places[i].through)))
            kill(k->pids[i], SIGKILL);
    }
}

static void keeping_take_signals(struct keeping *k)
{
    struct signalfd_siginfo info;
    while (read(k->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD) {
            keeping_reap(k);
            continue;
        }
        k->open = false;
        if (info.ssi_signo == SIGTERM) {
            lobby_empty(k->lobby);
            keeping_end(k, false);
        }
    }
}

// A certificate does not end without a word.
static void keeping_mind_expiry(struct keeping *k, double now)
{
    const double left = tls_days_left(k->tls) - (now - k->began) / SECONDS_A_DAY;
    k->look_at = now + SECONDS_A_DAY;
    if (left < EXPIRES_DAYS)
        log_warn("tls.certificate expires in %.1f days", left);
}

static void keeping_wait(struct keeping *k)
{
    struct pollfd fds[3 + LOBBY_MAX] = {{k->signals, POLLIN, 0},
                                        {k->orphan ? -1 : k->teller.fd, POLLIN, 0},
                                        {k->open ? k->keeper->fd : -1, POLLIN, 0}};
    const size_t visitors = lobby_watch(k->lobby, fds + 3);
    const double now = clock_steady();
    const int patience_ms = lobby_wait_ms(k->lobby, now);
    if (now >= k->look_at)
        keeping_mind_expiry(k, now);
    if (poll(fds, 3 + visitors, patience_ms < 0 ? (int)(1000 * SECONDS_A_DAY) : patience_ms) < 0) {
        if (errno != EINTR) {
            log_error("poll: %s", strerror(errno));
            poll(NULL, 0, PAUSE_MS);
        }
        return;
    }
    if (fds[0].revents)
        keeping_take_signals(k);
    if (fds[1].revents) { // nothing is ever said there: its end is the core's
        k->orphan = true;
        k->open = false;
    }
    lobby_mind(k->lobby, fds + 3, visitors, clock_steady(), keeping_welcome, k);
    if (fds[2].revents && k->open)
        listener_accept_all(k->keeper->fd, k->lobby);
}

static bool keeping_prepare(struct keeping *k, struct err *err)
{
    const struct conf *conf = k->keeper->conf;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    k->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    k->room = conf->max_associations + GATEKEEPER_SHAKING + SPARE;
    k->pids = calloc(k->room, sizeof *k->pids);
    k->since = calloc(k->room, sizeof *k->since);
    k->lobby = lobby_create(conf->acse_timeout_s, LOBBY_TLS);
    k->places = mmap(NULL, k->room * sizeof *k->places, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (k->places == MAP_FAILED)
        k->places = NULL;
    if (k->signals < 0 || !k->pids || !k->since || !k->lobby || !k->places)
        return err_set(err, ERR_NOMEM, "no memory: %s", strerror(errno));
    const bool only_13 = strcmp(conf->tls_version, "1.3") == 0;
    k->tls = tls_create(k->keeper->files, TLS_ACCEPTOR, only_13, NULL, err);
    return k->tls != NULL;
}

int gatekeeper_run(void *ctx, int channel)
{
    struct keeping k = {
        .keeper = ctx, .open = true, .signals = -1, .began = clock_steady(), .look_at = 0};
    struct err err = {0};
    teller_init(&k.teller, channel);
    const bool ready = keeping_prepare(&k, &err);
    if (!ready)
        log_error("the gatekeeper cannot begin: %s", err.text);
    while (ready && !k.orphan && (k.open || keeping_count(&k) + lobby_count(k.lobby) > 0))
        keeping_wait(&k);
    if (k.places)
        keeping_end(&k, true);
    lobby_destroy(k.lobby);
    tls_destroy(k.tls);
    if (k.places)
        munmap(k.places, k.room * sizeof *k.places);
    free(k.pids);
    free(k.since);
    if (k.signals >= 0)
        close(k.signals);
    return ready ? 0 : 2;
}
