#include "node/core/earlier.h"
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "node/core/audit.h"
#include "node/core/jobs.h"
#include "node/proc/child.h"
#include "node/proc/fetcher.h"
#include "node/proc/msg.h"

#define FETCHERS_MAX  4  // at a time, in all
#define FETCHERS_EACH 2  // of one source: one that hangs leaves room for others
#define SOURCE_REST_S 60 // one that let a question run out of time is not asked again before
#define RESTING_MAX   16 // sources that are remembered so
#define AGAIN_S       2  // after a database error
#define GRACE_S       1  // after the wait is over, before a process is killed

struct fetch { // a question that is out
    int64_t job;
    char source[17];
    struct child child;
    double end; // it is killed then
};

struct resting {
    char source[17];
    double until;
};

struct earlier {
    struct core *core;
    struct fetch fetches[FETCHERS_MAX];
    struct resting resting[RESTING_MAX];
    double next;
};

struct earlier *earlier_create(struct core *core, struct err *err)
{
    struct earlier *e = calloc(1, sizeof *e);
    if (!e) {
        err_set(err, ERR_NOMEM, "no memory");
        return NULL;
    }
    e->core = core;
    for (size_t i = 0; i < FETCHERS_MAX; i++)
        e->fetches[i].child.fd = -1;
    return e;
}

static void fetch_end(struct earlier *e, struct fetch *f)
{
    if (f->child.fd >= 0) {
        loop_remove(e->core->loop, f->child.fd);
        close(f->child.fd);
    }
    if (f->child.pid)
        kill(f->child.pid, SIGKILL);
    *f = (struct fetch){.child = {0, -1}};
    e->next = 0;
}

void earlier_destroy(struct earlier *e)
{
    for (size_t i = 0; e && i < FETCHERS_MAX; i++)
        fetch_end(e, &e->fetches[i]);
    free(e);
}

bool earlier_want(struct earlier *e, int64_t job, const char *source, struct err *err)
{
    const struct conf_peer *peer = conf_find_peer(e->core->conf, source);
    if (!job || !peer || !peer->earlier)
        return true;
    return state_prior_want(e->core->state, job, clock_wall() + e->core->conf->earlier_wait_s, err);
}

void earlier_wake(struct earlier *e)
{
    e->next = 0;
}

static bool is_resting(const struct earlier *e, const char *source)
{
    for (size_t i = 0; i < RESTING_MAX; i++) {
        if (strcmp(e->resting[i].source, source) == 0 && clock_steady() < e->resting[i].until)
            return true;
    }
    return false;
}

// The one whose rest ends first makes room.
static void let_rest(struct earlier *e, const char *source)
{
    struct resting *at = &e->resting[0];
    for (size_t i = 0; i < RESTING_MAX; i++) {
        struct resting *r = &e->resting[i];
        if (strcmp(r->source, source) == 0) {
            at = r;
            break;
        }
        at = r->until < at->until ? r : at;
    }
    snprintf(at->source, sizeof at->source, "%s", source);
    at->until = clock_steady() + SOURCE_REST_S;
    log_warn("source=%s gives no earlier results within %.1f s: not asked for %d s", source,
             e->core->conf->earlier_wait_s, SOURCE_REST_S);
}

// The job need wait no longer.
static void answer(struct earlier *e, int64_t job, const char *list, const char *note)
{
    struct err err = {0};
    if (!state_prior_answer(e->core->state, job, list, note, &err))
        log_error("job=%lld earlier results not kept: %s", (long long)job, err.text);
    jobs_wake(e->core->jobs);
}

static struct fetch *fetch_through(struct earlier *e, int fd)
{
    for (size_t i = 0; i < FETCHERS_MAX; i++) {
        if (e->fetches[i].child.fd == fd)
            return &e->fetches[i];
    }
    return NULL;
}

static void earlier_on_answer(void *ctx, int fd, short revents)
{
    static struct msg m;
    struct earlier *e = ctx;
    struct fetch *f = fetch_through(e, fd);
    (void)revents;
    if (!f)
        return;
    const struct msg_priors *p = NULL;
    const bool got = msg_receive(fd, &m, NULL) == MSG_GOT;
    const struct conf_peer *peer = conf_find_peer(e->core->conf, f->source);
    if (got && m.kind == MSG_ASKED) { // more is to come
        if (peer)
            audit_query(e->core->audit, peer, m.body, m.tail, m.tail_size);
        return;
    }
    if (got && m.kind == MSG_PRIORS && m.tail_size > 0 && m.tail[m.tail_size - 1] == 0)
        p = m.body;
    if (p && p->job == f->job) {
        log_info("job=%lld source=%s earlier results: %s%s%s", (long long)f->job, f->source,
                 *p->note ? p->note : "found", *p->text ? ": " : "", p->text);
        answer(e, f->job, m.tail, p->note);
        if (strcmp(p->note, EARLIER_LATE) == 0)
            let_rest(e, f->source);
    } else {
        log_warn("job=%lld source=%s: the search for earlier results ended without a word",
                 (long long)f->job, f->source);
        answer(e, f->job, "", "the search for them failed");
    }
    fetch_end(e, f);
}

// The source of a job is asked. False: no place, or not to be asked now.
static bool ask(struct earlier *e, const struct state_wanted *w, const struct conf_peer *peer,
                const struct stage *stage)
{
    struct fetch *free_one = NULL;
    struct attrs head = {0};
    struct err err = {0};
    size_t same = 0;
    for (size_t i = 0; i < FETCHERS_MAX; i++) {
        struct fetch *f = &e->fetches[i];
        if (f->job == w->job)
            return true;
        same += f->job && strcmp(f->source, w->source) == 0;
        free_one = f->job ? free_one : f;
    }
    if (!free_one || same >= FETCHERS_EACH)
        return false;
    int keep[1 + TLS_FILES] = {e->core->dir.lockfd};
    memcpy(keep + 1, e->core->tls.fds, sizeof e->core->tls.fds);
    const struct child_options options = {.role = "fetcher",
                                          .channel = true,
                                          .keep = keep,
                                          .keep_count = peer->tls ? 1 + TLS_FILES : 1};
    struct fetcher fetcher = {.conf = e->core->conf,
                              .peer = peer,
                              .job = w->job,
                              .stage = stage,
                              .head = &head,
                              .tls = &e->core->tls};
    bool ok = state_series_attrs(e->core->state, w->series, &head, &err) &&
              child_start(&free_one->child, &options, fetcher_run, &fetcher, &err) &&
              loop_add(e->core->loop, free_one->child.fd, POLLIN, earlier_on_answer, e, &err);
    attrs_finish(&head);
    if (!ok) {
        log_warn("job=%lld source not asked for earlier results: %s", (long long)w->job, err.text);
        fetch_end(e, free_one);
        return false;
    }
    free_one->job = w->job;
    snprintf(free_one->source, sizeof free_one->source, "%s", w->source);
    free_one->end = clock_steady() + fmax(0, w->until - clock_wall()) + GRACE_S;
    return true;
}

#define WANTED_MOST 64 // that are looked at in one tick: those that were added first

struct wanted {
    int64_t job, series;
    double until;
    char stage[33], source[17];
};
struct wanted_list {
    struct wanted list[WANTED_MOST];
    size_t count;
};

static bool take_wanted(void *ctx, const struct state_wanted *row)
{
    struct wanted_list *w = ctx;
    struct wanted *to = &w->list[w->count++];
    *to = (struct wanted){.job = row->job, .series = row->series, .until = row->until};
    snprintf(to->stage, sizeof to->stage, "%s", row->stage);
    snprintf(to->source, sizeof to->source, "%s", row->source);
    return w->count < WANTED_MOST;
}

static void consider(struct earlier *e, const struct wanted *w)
{
    const struct conf_peer *peer = conf_find_peer(e->core->conf, w->source);
    const struct stage *stage = stage_find(w->stage);
    const struct state_wanted row = {.job = w->job,
                                     .series = w->series,
                                     .until = w->until,
                                     .stage = w->stage,
                                     .source = w->source};
    if (clock_wall() >= w->until)
        return; // it may be claimed, and is told so then
    if (!peer || !peer->earlier || !stage)
        answer(e, w->job, "", ""); // the configuration says so now
    else if (is_resting(e, w->source))
        answer(e, w->job, "", "the source did not answer lately");
    else if (!ask(e, &row, peer, stage))
        e->next = fmin(e->next, clock_steady() + AGAIN_S); // an end of another wakes it before
}

double earlier_tick(struct earlier *e)
{
    static struct wanted_list wanted;
    struct err err = {0};
    const double now = clock_steady();
    if (e->core->draining)
        return INFINITY;
    for (size_t i = 0; i < FETCHERS_MAX; i++) {
        struct fetch *f = &e->fetches[i];
        if (f->job && now >= f->end) {
            let_rest(e, f->source);
            answer(e, f->job, "", EARLIER_LATE);
            fetch_end(e, f);
        }
    }
    if (now < e->next)
        return e->next;
    e->next = INFINITY;
    wanted.count = 0;
    if (!state_each_prior_wanted(e->core->state, take_wanted, &wanted, &err)) {
        log_error("earlier results: %s", err.text);
        e->next = now + AGAIN_S;
    }
    for (size_t i = 0; i < wanted.count; i++)
        consider(e, &wanted.list[i]);
    for (size_t i = 0; i < FETCHERS_MAX; i++) {
        if (e->fetches[i].job)
            e->next = fmin(e->next, e->fetches[i].end);
    }
    return e->next;
}

bool earlier_reaped(struct earlier *e, pid_t pid)
{
    for (size_t i = 0; i < FETCHERS_MAX; i++) {
        struct fetch *f = &e->fetches[i];
        if (!f->child.pid || f->child.pid != pid)
            continue;
        f->child.pid = 0;
        while (f->child.fd >= 0) // what it said is still in the channel, and behind it the end
            earlier_on_answer(e, f->child.fd, POLLIN);
        return true;
    }
    return false;
}
