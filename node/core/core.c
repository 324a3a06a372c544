#include "node/core/core.h"
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "node/core/alerts.h"
#include "node/core/arrivals.h"
#include "node/core/audit.h"
#include "base/clock.h"
#include "base/log.h"
#include "node/core/checks.h"
#include "node/proc/cage.h"
#include "node/core/collections.h"
#include "node/proc/door.h"
#include "node/proc/gatekeeper.h"
#include "node/core/earlier.h"
#include "node/proc/child.h"
#include "node/core/intake.h"
#include "node/proc/inflight.h"
#include "node/core/jobs.h"
#include "node/proc/listener.h"
#include "node/core/notify.h"
#include "node/core/outbox.h"
#include "node/proc/privileges.h"
#include "node/core/reserve.h"
#include "node/core/retain.h"

#define DRAIN_S          20  // from SIGTERM to the end
#define LISTENER_FIRST_S 0.1 // pause before a listener that ended is replaced; doubles
#define LISTENER_MAX_S   10
#define RETIRED_MAX      16
#define AUDIT_END_S      3    // that what is left of the audit trail gets when all else has ended
#define INFLIGHT_MAX     8192 // twice what limits.max_associations may be: a reload keeps open ones
#define LISTENER_SOUND_S 60   // one that lived so long starts the pauses anew

enum post_name { LISTENER, GATEKEEPER, POSTS };

// A process that is there as long as the node, and is replaced when it ends.
struct post {
    struct child child;
    double at, started, pause; // steady clock: when to start it; s
};

struct node { // the core and what only this file touches
    struct core core;
    int signals;
    int listening, tls_listening; // TCP; -1: none
    int door[2];                  // node/proc/door.h
    struct post posts[POSTS];
    struct child retired[RETIRED_MAX]; // of earlier configurations, whose associations go on
    double drain_end;
    double retain_at;
};

static const char *const post_names[POSTS] = {"listener", "gatekeeper"};

// Whom a listener or gatekeeper has turned away. Its end is heard of by its parent.
static void node_on_post(void *ctx, int fd, short revents)
{
    static struct msg m;
    struct node *n = ctx;
    (void)revents;
    const enum msg_arrival arrival = msg_receive(fd, &m, NULL);
    if (arrival == MSG_GOT && m.kind == MSG_REFUSED)
        audit_refused(n->core.audit, m.body);
    else
        loop_remove(n->core.loop, fd);
}

static void forget_post(struct node *n, struct child *child)
{
    loop_remove(n->core.loop, child->fd);
    child_forget(child);
}

static bool start_listener(struct node *n, struct err *err)
{
    struct core *core = &n->core;
    struct listener listener = {.conf = core->conf,
                                .dir = &core->dir,
                                .fd = n->listening,
                                .door = n->door[0],
                                .inflight = core->inflight};
    const int keep[] = {n->listening, n->door[0], core->dir.dirfd, core->dir.lockfd};
    struct child_options options = {
        .role = "listener", .channel = true, .keep = keep, .keep_count = 4};
    return child_start(&n->posts[LISTENER].child, &options, listener_run, &listener, err);
}

static bool start_gatekeeper(struct node *n, struct err *err)
{
    struct gatekeeper gatekeeper = {
        .conf = n->core.conf, .files = &n->core.tls, .fd = n->tls_listening, .door = n->door[1]};
    int keep[2 + TLS_FILES] = {n->tls_listening, n->door[1]};
    memcpy(keep + 2, n->core.tls.fds, sizeof n->core.tls.fds);
    struct child_options options = {
        .role = "gatekeeper", .channel = true, .keep = keep, .keep_count = 2 + TLS_FILES};
    return child_start(&n->posts[GATEKEEPER].child, &options, gatekeeper_run, &gatekeeper, err);
}

static bool start_post(struct node *n, enum post_name name)
{
    struct post *post = &n->posts[name];
    struct err err = {0};
    post->at = INFINITY;
    post->started = clock_steady();
    if (name == GATEKEEPER && n->tls_listening < 0)
        return true; // it is not wanted
    if (name == LISTENER ? start_listener(n, &err) : start_gatekeeper(n, &err)) {
        if (!loop_add(n->core.loop, post->child.fd, POLLIN, node_on_post, n, &err))
            log_error("%s is not heard: %s", post_names[name], err.text);
        return true;
    }
    log_error("no %s: %s", post_names[name], err.text);
    post->at = clock_steady() + LISTENER_MAX_S;
    return false;
}

static void post_ended(struct node *n, enum post_name name, int status)
{
    struct post *post = &n->posts[name];
    double now = clock_steady();
    forget_post(n, &post->child);
    if (n->core.draining)
        return;
    if (now - post->started > LISTENER_SOUND_S)
        post->pause = LISTENER_FIRST_S;
    log_error("%s ended (%s %d), again in %.1f s", post_names[name],
              WIFSIGNALED(status) ? "signal" : "status",
              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), post->pause);
    post->at = now + post->pause;
    post->pause = fmin(2 * post->pause, LISTENER_MAX_S);
}

// It keeps the configuration it was forked with: the next one takes over the socket, this one waits
// for the end of its associations.
static void retire_post(struct node *n, enum post_name name)
{
    struct child *place = NULL, *child = &n->posts[name].child;
    if (!child->pid)
        return;
    for (size_t i = 0; i < RETIRED_MAX && !place; i++)
        place = n->retired[i].pid == 0 ? &n->retired[i] : NULL;
    if (!place) { // too many generations
        place = &n->retired[0];
        kill(place->pid, SIGKILL);
        forget_post(n, place);
    }
    *place = *child; // its channel stays open: its end would end its associations
    kill(place->pid, SIGUSR1);
    *child = (struct child){0, -1};
}

static bool was_retired(struct node *n, pid_t pid)
{
    for (size_t i = 0; i < RETIRED_MAX; i++) {
        if (n->retired[i].pid == pid) {
            forget_post(n, &n->retired[i]);
            return true;
        }
    }
    return false;
}

static bool has_retired(const struct node *n)
{
    for (size_t i = 0; i < RETIRED_MAX; i++) {
        if (n->retired[i].pid)
            return true;
    }
    return false;
}

static void reap(struct node *n)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == n->posts[LISTENER].child.pid)
            post_ended(n, LISTENER, status);
        else if (pid == n->posts[GATEKEEPER].child.pid)
            post_ended(n, GATEKEEPER, status);
        else if (!was_retired(n, pid) && !jobs_reaped(n->core.jobs, pid, status) &&
                 !outbox_reaped(n->core.outbox, pid, status) &&
                 !alerts_reaped(n->core.alerts, pid, status) &&
                 !audit_reaped(n->core.audit, pid, status) && !earlier_reaped(n->core.earlier, pid))
            arrivals_reaped(n->core.arrivals, pid, status);
    }
}

// Reload

static void log_report(const char *report)
{
    char line[512];
    while (*report) {
        size_t len = strcspn(report, "\n");
        snprintf(line, sizeof line, "%.*s", (int)(len < 500 ? len : 500), report);
        log_error("configuration: %s", line);
        report += len + (report[len] == '\n');
    }
}

static struct conf *load_again(const char *path)
{
    char *report = NULL;
    size_t size = 0, errors = 0;
    struct err err = {0};
    FILE *out = open_memstream(&report, &size);
    if (!out) {
        log_error("configuration: no memory");
        return NULL;
    }
    struct conf *conf = conf_load(path, &node_checks_files, out, &errors, &err);
    fclose(out);
    if (!conf)
        log_report(report);
    free(report);
    return conf;
}

struct resources { // what a configuration needs beside memory
    int listening, tls_listening;
    struct tls_files tls;
};

static bool take_port(const char *bind, unsigned port, int *fd, struct err *err)
{
    *fd = port ? listener_bind(bind, port, err) : -1;
    return port == 0 || *fd >= 0;
}

static bool take_tls(const struct conf *c, struct tls_files *files, struct err *err)
{
    const char *const paths[TLS_FILES] = {c->tls_certificate, c->tls_key, c->tls_ca, c->tls_crl};
    const char *const none[TLS_FILES] = {"", "", "", ""};
    return tls_files_open(files, conf_uses_tls(c) ? paths : none, NULL, err) ||
           err_wrap(err, "section tls");
}

// Takes what a new configuration needs before it is used; the old one stays when that fails. What
// is as before is what *have names.
static bool prepare(const struct node *n, const struct conf *conf, struct resources *have,
                    struct err *err)
{
    const struct conf *old = n->core.conf;
    const bool same_bind = strcmp(conf->bind, old->bind) == 0;
    char path[PATH_MAX];
    *have = (struct resources){n->listening, n->tls_listening, {{-1, -1, -1, -1}}};
    if (!realpath(conf->data_dir, path) || strcmp(path, n->core.dir.path) != 0)
        return err_set(err, ERR_CONFIG, "node.data_dir changes only with a restart");
    if (!take_tls(conf, &have->tls, err))
        return false;
    if ((!same_bind || conf->port != old->port) &&
        !take_port(conf->bind, conf->port, &have->listening, err)) {
        tls_files_close(&have->tls);
        return false;
    }
    if ((!same_bind || conf->tls_port != old->tls_port) &&
        !take_port(conf->bind, conf->tls_port, &have->tls_listening, err)) {
        tls_files_close(&have->tls);
        if (have->listening >= 0 && have->listening != n->listening)
            close(have->listening);
        return false;
    }
    return true;
}

static void use_socket(int *mine, int fd)
{
    if (*mine >= 0 && *mine != fd)
        close(*mine);
    *mine = fd;
}

static void use_resources(struct node *n, const struct resources *have)
{
    use_socket(&n->listening, have->listening);
    use_socket(&n->tls_listening, have->tls_listening);
    tls_files_close(&n->core.tls);
    n->core.tls = have->tls;
}

static void set_log_level(const struct conf *conf)
{
    enum log_level level = LOG_LEVEL_INFO;
    log_level_parse(conf->log_level, &level);
    log_init(level, "core");
}

static void reload(struct node *n)
{
    struct err err = {0};
    struct resources have;
    notify("RELOADING=1");
    struct conf *conf = load_again(n->core.conf->path);
    if (!conf || !prepare(n, conf, &have, &err)) {
        log_error("configuration not changed%s%s", conf ? ": " : "", conf ? err.text : "");
        conf_destroy(conf);
    } else {
        struct conf *old = n->core.conf;
        use_resources(n, &have);
        n->core.conf = conf;
        conf_destroy(old);
        set_log_level(conf);
        n->core.reserve_at = 0;
        for (enum post_name name = 0; name < POSTS; name++) {
            retire_post(n, name);
            start_post(n, name);
        }
        audit_application(n->core.audit, AUDIT_CONFIGURED);
        jobs_reload(n->core.jobs);
        jobs_wake(n->core.jobs);
        outbox_wake(n->core.outbox);
        collections_wake(n->core.collections);
        log_info("configuration loaded: peers=%zu routes=%zu", conf->peer_count, conf->route_count);
    }
    notify("READY=1");
}

// The end

static void drain(struct node *n)
{
    if (n->core.draining)
        return;
    log_info("stopping");
    notify("STOPPING=1");
    n->core.draining = true;
    n->drain_end = clock_steady() + DRAIN_S;
    for (enum post_name name = 0; name < POSTS; name++) {
        n->posts[name].at = INFINITY;
        if (n->posts[name].child.pid)
            kill(n->posts[name].child.pid, SIGTERM);
    }
    for (size_t i = 0; i < RETIRED_MAX; i++) {
        if (n->retired[i].pid)
            kill(n->retired[i].pid, SIGTERM);
    }
}

static bool drained(const struct node *n)
{
    return !n->posts[LISTENER].child.pid && !n->posts[GATEKEEPER].child.pid && !has_retired(n) &&
           !jobs_busy(n->core.jobs) && !outbox_busy(n->core.outbox);
}

static void on_signal(void *ctx, int fd, short revents)
{
    struct node *n = ctx;
    struct signalfd_siginfo info;
    (void)revents;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap(n);
        else if (info.ssi_signo == SIGHUP && !n->core.draining)
            reload(n);
        else if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
            drain(n);
    }
}

static bool take_signals(struct node *n, struct err *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    n->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (n->signals < 0)
        return err_errno(err, errno, "signalfd");
    return loop_add(n->core.loop, n->signals, POLLIN, on_signal, n, err);
}

// A connection costs core and listener a descriptor each.
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

// Root without the user that it is to become goes on as it is, and says so, unless all is required.
static bool drop_rights(const struct conf *conf, struct err *err)
{
    struct privileges_user user;
    struct err why = {0};
    if (!privileges_find(conf->user, &user, &why)) {
        if (strcmp(conf->cage, "required") == 0 || why.code != ERR_CONFIG)
            return err_set(err, why.code, "%s", why.text);
        log_warn("the node runs as root, without capabilities: %s", why.text);
    }
    if (user.change)
        log_info("user=%s uid=%u", user.name, (unsigned)user.uid);
    return privileges_give(conf->data_dir, &user, err) && privileges_drop(&user, err) &&
           cage_check(conf, err);
}

static bool open_node(struct node *n, struct err *err)
{
    struct core *core = &n->core;
    char path[PATH_MAX];
    core->loop = loop_create();
    if (!core->loop)
        return err_set(err, ERR_NOMEM, "no memory");
    if (!take_signals(n, err))
        return false;
    // Root may have any port and read any file.
    if (!take_port(core->conf->bind, core->conf->port, &n->listening, err) ||
        !take_port(core->conf->bind, core->conf->tls_port, &n->tls_listening, err) ||
        !take_tls(core->conf, &core->tls, err) || !door_make(n->door, err) ||
        !drop_rights(core->conf, err) ||
        !datadir_open(&core->dir, core->conf->data_dir, true, err) ||
        !datadir_path(&core->dir, "state.db", path, err))
        return false;
    core->state = state_open(path, err);
    if (!core->state || !retain_reconcile(core, err))
        return false;
    core->inflight = inflight_create(INFLIGHT_MAX, err);
    core->alerts = core->inflight ? alerts_create(core, err) : NULL;
    core->audit = core->alerts ? audit_create(core, err) : NULL;
    core->jobs = core->audit ? jobs_create(core, err) : NULL;
    core->outbox = core->jobs ? outbox_create(core, err) : NULL;
    core->earlier = core->outbox ? earlier_create(core, err) : NULL;
    core->collections = core->earlier ? collections_create(core, err) : NULL;
    core->arrivals = core->collections ? arrivals_create(core, err) : NULL;
    core->intake = core->arrivals ? intake_create(core, err) : NULL;
    return core->intake != NULL;
}

static void close_node(struct node *n)
{
    struct core *core = &n->core;
    for (enum post_name name = 0; name < POSTS; name++) {
        if (n->posts[name].child.pid)
            kill(n->posts[name].child.pid, SIGKILL);
        forget_post(n, &n->posts[name].child);
    }
    for (size_t i = 0; i < RETIRED_MAX; i++) {
        if (n->retired[i].pid) {
            kill(n->retired[i].pid, SIGKILL);
            forget_post(n, &n->retired[i]);
        }
    }
    intake_destroy(core->intake);
    arrivals_destroy(core->arrivals);
    collections_destroy(core->collections);
    earlier_destroy(core->earlier);
    outbox_destroy(core->outbox);
    jobs_destroy(core->jobs);
    alerts_destroy(core->alerts);
    audit_destroy(core->audit);
    inflight_destroy(core->inflight);
    state_close(core->state);
    const int open[] = {n->listening, n->tls_listening, n->door[0], n->door[1]};
    for (size_t i = 0; i < sizeof open / sizeof *open; i++) {
        if (open[i] >= 0)
            close(open[i]);
    }
    tls_files_close(&core->tls);
    if (n->signals >= 0)
        close(n->signals);
    datadir_close(&core->dir);
    loop_destroy(core->loop);
    conf_destroy(core->conf);
}

static double earliest(double a, double b)
{
    return b < a ? b : a;
}

static double tick(struct node *n)
{
    struct core *core = &n->core;
    double now = clock_steady();
    double next = INFINITY;
    for (enum post_name name = 0; name < POSTS; name++) {
        if (now >= n->posts[name].at)
            start_post(n, name);
        next = earliest(next, n->posts[name].at);
    }
    if (now >= n->retain_at && !core->draining) {
        retain_expire(core);
        retain_trim_quarantine(core);
        intake_recount(core->intake);
        n->retain_at = now + RETAIN_EVERY_S;
    }
    next = earliest(next, n->retain_at);
    next = earliest(next, reserve_tick(core));
    next = earliest(next, alerts_tick(core->alerts));
    next = earliest(next, audit_tick(core->audit));
    next = earliest(next, arrivals_tick(core->arrivals));
    next = earliest(next, collections_tick(core->collections));
    next = earliest(next, earlier_tick(core->earlier));
    next = earliest(next, jobs_tick(core->jobs));
    return earliest(next, outbox_tick(core->outbox));
}

static void serve(struct node *n)
{
    for (;;) {
        double next = tick(n);
        if (n->core.draining) {
            if (drained(n)) {
                audit_application(n->core.audit, AUDIT_STOPPED);
                audit_tick(n->core.audit);
                n->drain_end = earliest(n->drain_end, clock_steady() + AUDIT_END_S);
                if (audit_idle(n->core.audit))
                    return;
            }
            if (clock_steady() >= n->drain_end) {
                if (!drained(n))
                    log_warn("not all has ended in %d s", DRAIN_S);
                return;
            }
            next = earliest(next, n->drain_end);
        }
        loop_run(n->core.loop, next);
        intake_flush(n->core.intake);
    }
}

int core_run(struct conf *conf)
{
    struct node n = {.core = {.conf = conf, .started = clock_wall(), .tls = {{-1, -1, -1, -1}}},
                     .signals = -1,
                     .listening = -1,
                     .tls_listening = -1,
                     .door = {-1, -1}};
    for (enum post_name name = 0; name < POSTS; name++)
        n.posts[name] = (struct post){{0, -1}, INFINITY, 0, LISTENER_FIRST_S};
    struct err err = {0};
    set_log_level(conf);
    raise_descriptor_limit();
    bool ok = open_node(&n, &err);
    if (ok) {
        ok = start_post(&n, LISTENER) && start_post(&n, GATEKEEPER);
        log_info("version=%s ae_title=%s port=%u tls_port=%u data_dir=%s peers=%zu routes=%zu",
                 ANODE_VERSION, conf->ae_title, conf->port, conf->tls_port, n.core.dir.path,
                 conf->peer_count, conf->route_count);
        audit_application(n.core.audit, AUDIT_STARTED);
        notify("READY=1");
        serve(&n);
        log_info("stopped");
    } else {
        log_error("not started: %s", err.text);
    }
    close_node(&n);
    return ok ? 0 : err.code == ERR_CONFIG || err.code == ERR_INPUT ? 1 : 2;
}
