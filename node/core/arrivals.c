#include "node/core/arrivals.h"
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "node/proc/asker.h"
#include "base/clock.h"
#include "base/log.h"
#include "node/proc/child.h"
#include "node/core/audit.h"
#include "node/core/collections.h"
#include "node/core/earlier.h"
#include "node/core/jobs.h"
#include "node/proc/msg.h"
#include "node/core/reserve.h"
#include "node/core/route.h"
#include "node/core/series.h"

#define ASKERS_MAX    8  // at a time, in all
#define ASKERS_EACH   2  // of one source: one that hangs leaves room for others
#define SOURCE_REST_S 60 // one that let two in a row run out of time is not asked again before
#define IN_VAIN_MAX   2  // ... as one that is busy may do once
#define TRY_AGAIN_S   5  // after an end of a run that could not be written
#define WHY_SHOWN_MAX 200

struct watch {
    int64_t series;
    char study_instance_uid[65], series_instance_uid[65], source[17];
    struct series_evidence evidence;
    struct child asker;
    double asker_end; // killed then
    double not_before;
    double interrupted_at;
    bool grown;   // instances have come since the count was read
    bool fetched; // the source was told to send all, in this run
};

struct source { // that was asked
    char name[17];
    size_t askers;
    unsigned in_vain; // questions in a row that ran out of time
    double rests_until;
};

struct arrivals {
    struct core *core;
    struct watch **watches; // in the order of series
    size_t count, room;
    struct source *sources;
    size_t source_count;
    size_t askers;
    double next; // earliest time at which a decision may change
};

static struct watch **watch_position(const struct arrivals *a, int64_t series, bool *found)
{
    size_t low = 0, high = a->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (a->watches[middle]->series < series)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < a->count && a->watches[low]->series == series;
    return a->watches + low;
}

static struct watch *watch_find(const struct arrivals *a, int64_t series)
{
    bool found = false;
    if (a->count == 0)
        return NULL;
    struct watch **at = watch_position(a, series, &found);
    return found ? *at : NULL;
}

static bool watch_fill(void *ctx, const struct state_series *row)
{
    struct watch *w = ctx;
    snprintf(w->study_instance_uid, sizeof w->study_instance_uid, "%s", row->study_instance_uid);
    snprintf(w->series_instance_uid, sizeof w->series_instance_uid, "%s", row->series_instance_uid);
    snprintf(w->source, sizeof w->source, "%s", row->source);
    w->evidence.have = (unsigned long)row->instances;
    return true;
}

static struct watch *watch_add(struct arrivals *a, int64_t series)
{
    if (a->count == a->room) {
        size_t room = a->room ? 2 * a->room : 32;
        struct watch **grown = realloc(a->watches, room * sizeof *grown);
        if (!grown)
            return NULL;
        a->watches = grown;
        a->room = room;
    }
    struct watch *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    bool found;
    struct watch **at = watch_position(a, series, &found);
    memmove(at + 1, at, (size_t)(a->watches + a->count - at) * sizeof *at);
    *at = w;
    a->count++;
    w->series = series;
    w->asker.fd = -1;
    w->evidence.first = w->evidence.last = clock_steady();
    return w;
}

// NULL: no memory.
static struct source *source_of(struct arrivals *a, const char *name)
{
    for (size_t i = 0; i < a->source_count; i++) {
        if (strcmp(a->sources[i].name, name) == 0)
            return &a->sources[i];
    }
    struct source *grown = realloc(a->sources, (a->source_count + 1) * sizeof *grown);
    if (!grown)
        return NULL;
    a->sources = grown;
    struct source *s = &a->sources[a->source_count++];
    *s = (struct source){.rests_until = -INFINITY};
    snprintf(s->name, sizeof s->name, "%s", name);
    return s;
}

// A question is over, answered or not.
static void asker_ended(struct arrivals *a, struct watch *w)
{
    struct source *source = source_of(a, w->source);
    const double now = clock_steady();
    w->asker.pid = 0;
    a->askers--;
    if (!source)
        return;
    source->askers--;
    const bool late = now - w->evidence.asked >= a->core->conf->find_timeout_s;
    source->in_vain = w->evidence.answer != SERIES_ANSWERED && late ? source->in_vain + 1 : 0;
    if (source->in_vain >= IN_VAIN_MAX) {
        if (source->rests_until < now)
            log_warn("source=%s does not answer within %.1f s: not asked for %d s", w->source,
                     a->core->conf->find_timeout_s, SOURCE_REST_S);
        source->rests_until = now + SOURCE_REST_S;
    }
}

static void watch_stop_asking(struct arrivals *a, struct watch *w)
{
    if (w->asker.fd >= 0) {
        loop_remove(a->core->loop, w->asker.fd);
        close(w->asker.fd);
        w->asker.fd = -1;
    }
    if (w->asker.pid) {
        kill(w->asker.pid, SIGKILL);
        asker_ended(a, w);
    }
}

static void watch_drop(struct arrivals *a, size_t index)
{
    struct watch *w = a->watches[index];
    watch_stop_asking(a, w);
    a->count--;
    memmove(a->watches + index, a->watches + index + 1, (a->count - index) * sizeof *a->watches);
    free(w);
}

static void arrivals_sooner(struct arrivals *a, double when)
{
    if (when < a->next)
        a->next = when;
}

struct loading {
    struct arrivals *arrivals;
    bool ok;
};

static bool watch_load(void *ctx, const struct state_series *row)
{
    struct loading *l = ctx;
    struct watch *w = watch_add(l->arrivals, row->id);
    l->ok = w != NULL;
    if (w) {
        double age = clock_wall() - row->run_at;
        watch_fill(w, row);
        w->evidence.first -= age > 0 ? age : 0;
        w->evidence.interrupted = row->interrupted;
        w->interrupted_at = clock_steady();
    }
    return l->ok;
}

struct arrivals *arrivals_create(struct core *core, struct err *err)
{
    struct arrivals *a = calloc(1, sizeof *a);
    struct loading loading = {.arrivals = a, .ok = true};
    if (!a) {
        err_set(err, ERR_NOMEM, "no memory");
        return NULL;
    }
    a->core = core;
    if (!state_each_series(core->state, SERIES_ARRIVING, 0, watch_load, &loading, err) ||
        !loading.ok) {
        if (!loading.ok)
            err_set(err, ERR_NOMEM, "no memory for the series being received");
        arrivals_destroy(a);
        return NULL;
    }
    return a;
}

void arrivals_destroy(struct arrivals *a)
{
    if (!a)
        return;
    while (a->count > 0)
        watch_drop(a, a->count - 1);
    free(a->watches);
    free(a->sources);
    free(a);
}

bool arrivals_again(struct arrivals *a, int64_t series)
{
    struct watch *w = watch_find(a, series);
    if (w)
        w->evidence.last = clock_steady();
    return w != NULL;
}

bool arrivals_instance(struct arrivals *a, int64_t series)
{
    struct watch *w = watch_find(a, series);
    bool begins = !w;
    if (!w) {
        w = watch_add(a, series);
        if (!w) {
            // The row says "receiving": the next start finds it, or the next instance.
            log_error("series=%lld not watched: no memory", (long long)series);
            return false;
        }
        a->next = 0;
        collections_wake(a->core->collections); // its study may have to wait for it
    }
    w->grown = true;
    w->evidence.last = clock_steady(); // which only postpones: no need to look again
    return begins;
}

void arrivals_join(struct arrivals *a, int64_t series)
{
    struct watch *w = watch_find(a, series);
    if (w)
        w->evidence.open++;
}

// The next start must not take for cut off what has come in order.
static void watch_note_release(const struct arrivals *a, const struct watch *w)
{
    struct err err = {0};
    if (w->evidence.open == 0 && !w->evidence.interrupted &&
        !state_series_released(a->core->state, w->series, &err))
        log_warn("series=%s counts as interrupted after a restart: %s", w->series_instance_uid,
                 err.text);
}

void arrivals_leave(struct arrivals *a, int64_t series, double since, bool in_order)
{
    struct watch *w = watch_find(a, series);
    a->next = 0;
    if (!w)
        return;
    if (w->evidence.open > 0)
        w->evidence.open--;
    if (!in_order) {
        w->evidence.interrupted = true;
        w->interrupted_at = clock_steady();
    } else if (since > w->interrupted_at) {
        w->evidence.interrupted = false;
    }
    watch_note_release(a, w);
}

// The question to the source

static void watch_answered(struct watch *w, const struct msg_count *m)
{
    w->evidence.answer = m->count >= 0 ? SERIES_ANSWERED : SERIES_NO_ANSWER;
    w->evidence.source_count = (long)m->count;
    snprintf(w->evidence.no_answer, sizeof w->evidence.no_answer, "%.90s", m->text);
    if (m->count >= 0)
        log_info("series=%s source=%s has=%lld here=%lu", w->series_instance_uid, w->source,
                 (long long)m->count, w->evidence.have);
    else
        log_info("series=%s source=%s gives no count: %s", w->series_instance_uid, w->source,
                 m->text);
}

static struct watch *watch_asked_through(const struct arrivals *a, int fd)
{
    for (size_t i = 0; i < a->count; i++) {
        if (a->watches[i]->asker.fd == fd)
            return a->watches[i];
    }
    return NULL;
}

static void arrivals_on_answer(void *ctx, int fd, short revents)
{
    static struct msg m;
    static const struct msg_count none = {.count = -1, .text = "the question failed"};
    struct arrivals *a = ctx;
    struct watch *w = watch_asked_through(a, fd);
    (void)revents;
    if (!w)
        return;
    bool got = msg_receive(fd, &m, NULL) == MSG_GOT;
    const struct conf_peer *peer = conf_find_peer(a->core->conf, w->source);
    if (got && m.kind == MSG_ASKED) { // its answer is still to come
        if (peer)
            audit_query(a->core->audit, peer, m.body, m.tail, m.tail_size);
        return;
    }
    got = got && m.kind == MSG_COUNT;
    watch_answered(w, got ? m.body : &none);
    watch_stop_asking(a, w);
    a->next = 0;
}

// Not asked now: what it answered before holds, and where that is nothing, quiet time decides.
static void watch_do_without(struct arrivals *a, struct watch *w, const char *why)
{
    w->evidence.asked = clock_steady();
    if (w->evidence.answer != SERIES_ANSWERED) {
        w->evidence.answer = SERIES_NO_ANSWER;
        snprintf(w->evidence.no_answer, sizeof w->evidence.no_answer, "%s", why);
    }
    log_info("series=%s source=%s not asked: %s", w->series_instance_uid, w->source, why);
    a->next = 0;
}

static void watch_ask(struct arrivals *a, struct watch *w, bool fetch)
{
    struct err err = {0};
    const struct conf_peer *peer = conf_find_peer(a->core->conf, w->source);
    struct asker asker = {.conf = a->core->conf,
                          .peer = peer,
                          .tls = &a->core->tls,
                          .series = w->series,
                          .study_instance_uid = w->study_instance_uid,
                          .series_instance_uid = w->series_instance_uid,
                          .move = fetch};
    int keep[1 + TLS_FILES] = {a->core->dir.lockfd};
    memcpy(keep + 1, a->core->tls.fds, sizeof a->core->tls.fds);
    struct child_options options = {.role = "asker",
                                    .channel = true,
                                    .keep = keep,
                                    .keep_count = peer->tls ? 1 + TLS_FILES : 1};
    w->evidence.asked = clock_steady();
    w->evidence.answer = SERIES_NO_ANSWER;
    bool started = child_start(&w->asker, &options, asker_run, &asker, &err);
    a->askers += started; // asker_ended() counts it down
    if (started)
        source_of(a, w->source)->askers++; // watch_question() has made it
    if (!started || !loop_add(a->core->loop, w->asker.fd, POLLIN, arrivals_on_answer, a, &err)) {
        snprintf(w->evidence.no_answer, sizeof w->evidence.no_answer, "%.90s", err.text);
        log_warn("series=%s source not asked: %s", w->series_instance_uid, err.text);
        watch_stop_asking(a, w);
        return;
    }
    w->evidence.answer = SERIES_ASKING;
    w->asker_end = w->evidence.asked + 2 * a->core->conf->find_timeout_s + 1;
    if (!fetch)
        return;
    w->fetched = true;
    w->asker_end = w->evidence.first + a->core->conf->longest_wait_s; // when it counts no more
    log_info("series=%s source=%s has=%ld here=%lu fetching it", w->series_instance_uid, w->source,
             w->evidence.source_count, w->evidence.have);
}

bool arrivals_reaped(struct arrivals *a, pid_t pid, int status)
{
    (void)status;
    for (size_t i = 0; i < a->count; i++) {
        struct watch *w = a->watches[i];
        if (w->asker.pid != pid)
            continue;
        if (w->asker.fd < 0)
            asker_ended(a, w);
        while (w->asker.fd >= 0) // what it said is still in the channel, and behind it the end
            arrivals_on_answer(a, w->asker.fd, POLLIN);
        return true;
    }
    return false;
}

// A question is due: put it, or wait for a place, or do without.
static void watch_question(struct arrivals *a, struct watch *w, bool fetch, double now)
{
    const struct source *source = source_of(a, w->source);
    if (!source || now < source->rests_until)
        watch_do_without(a, w, source ? "it did not answer in time lately" : "no memory");
    else if (source->askers < ASKERS_EACH && a->askers < ASKERS_MAX)
        watch_ask(a, w, fetch);
    else if (now >= w->evidence.last + a->core->conf->quiet_s)
        watch_do_without(a, w, "too many questions are open");
    arrivals_sooner(a, now + 0.1);
}

// The end of a run

// What a report must say when the source itself says that there is more, or when its transfer was
// interrupted and nothing says that all is here.
static void remark_incomplete(const struct watch *w, const struct series_decision *d, char out[160])
{
    out[0] = 0;
    if (d->verdict == SERIES_INCOMPLETE)
        snprintf(out, 160, "Series incomplete: %lu of the %ld instances that the source has.",
                 w->evidence.have, w->evidence.source_count);
    else if (w->evidence.interrupted && d->verdict != SERIES_COMPLETE)
        snprintf(out, 160,
                 "Series perhaps incomplete: its transfer was interrupted after %lu instances.",
                 w->evidence.have);
}

// The jobs of a series, and its place in what is collected of its study.
static bool arrivals_add_jobs(struct core *core, const struct watch *w,
                              const struct series_decision *d, struct route_outcome *outcome,
                              struct err *err)
{
    char remark[160], evidence[160];
    remark_incomplete(w, d, remark);
    series_describe(&w->evidence, d->verdict, evidence);
    for (size_t i = 0; i < outcome->job_count; i++) {
        struct route_job *j = &outcome->jobs[i];
        j->job.remark = remark;
        j->job.evidence = d->evidence;
        bool ok =
            j->stage->scope == SCOPE_STUDY
                ? collections_add(core->collections, w->series, outcome->route->name, j->stage,
                                  j->slot, evidence, w->evidence.now - w->evidence.last, err)
                : state_add_job(core->state, &j->job, &j->input, 1, &j->job_id, err) &&
                      earlier_want(core->earlier, j->job_id, w->source, err);
        if (!ok)
            return false;
    }
    return true;
}

// What an analysis of the matching route said, a line each.
static void log_analyses(const struct watch *w, const char *why)
{
    for (const char *line = why; *line;) {
        size_t len = strcspn(line, "\n");
        if (strncmp(line, "route ", 6) != 0)
            log_info("series=%s %.*s", w->series_instance_uid,
                     (int)(len < WHY_SHOWN_MAX ? len : WHY_SHOWN_MAX), line);
        line += len + (line[len] == '\n');
    }
}

static void log_run(const struct watch *w, const struct series_decision *d,
                    const struct route_outcome *outcome)
{
    log_info("series=%s complete=%s evidence=\"%s\"", w->series_instance_uid,
             series_verdict_name(d->verdict), d->evidence);
    if (!outcome->route)
        log_info("series=%s no route: %.*s", w->series_instance_uid, WHY_SHOWN_MAX, outcome->why);
    log_analyses(w, outcome->why);
    const char *route = outcome->route ? outcome->route->name : "";
    for (size_t i = 0; i < outcome->job_count; i++) {
        const struct route_job *j = &outcome->jobs[i];
        if (j->stage->scope == SCOPE_STUDY)
            continue;
        if (j->job_id)
            log_info("series=%s route=\"%s\" analysis=%s job=%lld", w->series_instance_uid, route,
                     j->job.stage, (long long)j->job_id);
        else
            log_info("series=%s route=\"%s\" analysis=%s the same job is there already",
                     w->series_instance_uid, route, j->job.stage);
    }
}

static bool watch_end_run(struct arrivals *a, struct watch *w, const struct series_decision *d,
                          struct err *err)
{
    struct core *core = a->core;
    struct route_outcome outcome = {0};
    bool ok = route_series(core->conf, core->state, w->series, w->source, &outcome, err) &&
              state_begin(core->state, err);
    if (ok) {
        ok = arrivals_add_jobs(core, w, d, &outcome, err) &&
             state_series_end(core->state, w->series, outcome.route ? "routed" : "no route",
                              series_verdict_name(d->verdict), d->evidence,
                              outcome.route ? outcome.route->name : "", outcome.why, err) &&
             state_commit(core->state, err);
        if (!ok)
            state_rollback(core->state);
    }
    if (ok) {
        log_run(w, d, &outcome);
        earlier_wake(core->earlier);
        jobs_wake(core->jobs);
        collections_wake(core->collections); // also of a series that turned out to be another's
    }
    route_outcome_finish(&outcome);
    return ok;
}

// Returns true when the watch is over.
static bool watch_consider(struct arrivals *a, struct watch *w, double now)
{
    const struct conf *conf = a->core->conf;
    struct series_rules rules = {.quiet_s = conf->quiet_s,
                                 .interrupted_s = conf->interrupted_quiet_s,
                                 .short_quiet_s = conf->short_quiet_s,
                                 .longest_wait_s = conf->longest_wait_s};
    struct series_decision d;
    struct err err = {0};
    if (w->grown && !state_get_series(a->core->state, w->series, watch_fill, w, &err)) {
        log_error("series=%lld: %s", (long long)w->series, err.text);
        arrivals_sooner(a, now + TRY_AGAIN_S);
        return false;
    }
    w->grown = false;
    const struct conf_peer *peer = conf_find_peer(conf, w->source); // known from here on
    w->evidence.now = now;
    w->evidence.can_ask = peer && peer->find && peer->port;
    w->evidence.can_fetch = w->evidence.can_ask && peer->move && !w->fetched;
    series_decide(&rules, &w->evidence, &d);
    if (d.verdict != SERIES_RECEIVING) {
        if (now >= w->not_before && watch_end_run(a, w, &d, &err))
            return true;
        reserve_spend(a->core, err.code, err.text);
        if (err.code)
            log_error("series=%s not routed, again in %d s: %s", w->series_instance_uid,
                      TRY_AGAIN_S, err.text);
        if (now >= w->not_before)
            w->not_before = now + TRY_AGAIN_S;
        arrivals_sooner(a, w->not_before);
    } else if (d.ask) {
        watch_question(a, w, d.fetch, now);
    } else {
        arrivals_sooner(a, d.wake);
    }
    if (w->asker.pid) {
        if (now >= w->asker_end)
            kill(w->asker.pid, SIGKILL); // its end is the answer
        arrivals_sooner(a, fmax(w->asker_end, now + 1));
    }
    return false;
}

double arrivals_tick(struct arrivals *a)
{
    double now = clock_steady();
    if (a->core->draining)
        return INFINITY;
    if (now < a->next)
        return a->next;
    a->next = INFINITY;
    for (size_t i = 0; i < a->count;) {
        if (watch_consider(a, a->watches[i], now))
            watch_drop(a, i);
        else
            i++;
    }
    return a->next;
}

void arrivals_evidence(struct arrivals *a, int64_t series, char out[256])
{
    struct watch *w = watch_find(a, series);
    out[0] = 0;
    if (!w)
        return;
    struct series_rules rules = {.quiet_s = INFINITY,
                                 .interrupted_s = INFINITY,
                                 .short_quiet_s = INFINITY,
                                 .longest_wait_s = INFINITY};
    struct series_decision d;
    w->evidence.now = clock_steady();
    series_decide(&rules, &w->evidence, &d);
    snprintf(out, 256, "%s", d.evidence);
}
