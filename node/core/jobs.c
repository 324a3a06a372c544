#include "node/core/jobs.h"
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "compute/stages/stage.h"
#include "node/job/analysis.h"
#include "base/clock.h"
#include "base/log.h"
#include "node/proc/child.h"
#include "node/proc/msg.h"
#include "node/core/outbox.h"
#include "node/proc/worker.h"

#define SEND_WITHIN_S   5  // a worker that does not read its job is stuck
#define KILL_AFTER_S    5  // beyond the deadline that the worker knows itself
#define REFUSE_WITHIN_S 60 // a report without analysis
#define REFUSALS_MAX    2  // attempts to make one
#define PAUSE_FIRST_S   1  // before the next attempt; doubles
#define PAUSE_MAX_S     30
#define WORKER_PAUSE_S  2        // after a database error
#define END_WITHIN_S    10       // a worker whose channel is closed
#define WORKER_NAME     "local/" // the one of this node
#define LEASE_S         86400    // nobody else takes jobs from this database

struct jobs {
    struct core *core;
    struct child worker;
    bool cpu;      // what the worker was started for
    bool retire;   // replaced when idle
    bool early;    // start one before there is a job
    bool killed;   // past its deadline
    bool stuck;    // the end of a job could not be written
    double end_by; // a worker that was told to end is killed then
    char device[160];
    double next;
    // the job that runs; id 0: none
    int64_t id;
    bool refusing;
    int64_t attempts, refusals;
    double started, deadline;
    char folder[DATADIR_NAME], destinations[1024];
    char reason[256]; // why its analysis failed, while that is being reported
    struct msg_object objects[ANALYSIS_OBJECTS];
    size_t object_count;
};

struct order { // what is needed to hand a job to a worker
    int64_t id, attempts, refusals, tries;
    uint32_t results;
    char stage[65], outcome[32], reason[256], remark[256], destinations[1024];
    char *parameters;
};

static void forget_job(struct jobs *j)
{
    j->id = 0;
    j->object_count = 0;
    j->refusing = false;
    j->killed = false;
}

static void close_worker(struct jobs *j)
{
    if (j->worker.fd >= 0) {
        loop_remove(j->core->loop, j->worker.fd);
        close(j->worker.fd);
        j->worker.fd = -1;
        j->end_by = clock_steady() + END_WITHIN_S;
    }
}

// Its channel ends; while it warms up it does not look there, but then SIGTERM ends it.
static void end_worker(struct jobs *j)
{
    if (j->worker.fd < 0)
        return;
    close_worker(j);
    if (j->worker.pid)
        kill(j->worker.pid, SIGTERM);
}

// The end of a job

static int rank_of(uint32_t kind) // images before what refers to them
{
    switch (kind) {
    case RESULT_SC:
        return 1;
    case RESULT_PMAP:
        return 2;
    case RESULT_SEG:
        return 3;
    case RESULT_PDF:
        return 4;
    case RESULT_GSPS:
        return 5;
    default:
        return 6;
    }
}

static bool add_objects(struct jobs *j, const char *destination, struct err *err)
{
    for (size_t i = 0; i < j->object_count; i++) {
        const struct msg_object *m = &j->objects[i];
        char path[DATADIR_NAME + sizeof m->name];
        snprintf(path, sizeof path, "%s/%s", j->folder, m->name);
        struct state_object o = {.job = j->id,
                                 .destination = destination,
                                 .kind = stage_result_name((enum stage_result)m->kind),
                                 .rank = rank_of(m->kind),
                                 .path = path,
                                 .sop_class_uid = m->sop_class_uid,
                                 .sop_instance_uid = m->sop_instance_uid,
                                 .series_instance_uid = m->series_instance_uid,
                                 .study_instance_uid = m->study_instance_uid,
                                 .transfer_syntax_uid = m->transfer_syntax_uid};
        if (!o.kind)
            return err_set(err, ERR_INTERNAL, "result of unknown kind %u", m->kind);
        if (!state_add_object(j->core->state, &o, err))
            return false;
    }
    return true;
}

static bool add_all_objects(struct jobs *j, struct err *err)
{
    char list[sizeof j->destinations], *rest = NULL;
    snprintf(list, sizeof list, "%s", j->destinations);
    for (char *name = strtok_r(list, "\\", &rest); name; name = strtok_r(NULL, "\\", &rest)) {
        if (!add_objects(j, name, err))
            return false;
    }
    return true;
}

// Result rows and the end of the job in one transaction.
static bool record_results(struct jobs *j, const struct msg_done *d, struct err *err)
{
    struct state *state = j->core->state;
    enum job_state end = j->refusing ? JOB_FAILED : JOB_DONE;
    bool ok = state_begin(state, err) && add_all_objects(j, err) &&
              state_job_end(state, j->id, end, verdict_name((enum verdict)d->verdict), d->reason,
                            d->device, d->seconds, (int64_t)d->peak_bytes, clock_wall(), err) &&
              state_commit(state, err);
    if (!ok)
        state_rollback(state);
    return ok;
}

// The present job did not work: again later, or a report that says so, or the plain reason.
static void failed(struct jobs *j, const char *reason)
{
    struct core *core = j->core;
    struct err err = {0};
    int64_t most = core->conf->job_attempts;
    bool ok;
    log_warn("job=%lld attempt=%lld of=%lld failed: %s", (long long)j->id, (long long)j->attempts,
             (long long)most, reason);
    datadir_remove(&core->dir, j->folder);
    if (j->refusing && j->refusals >= REFUSALS_MAX) {
        log_error("job=%lld failed, and no report could be made", (long long)j->id);
        ok = state_job_end(core->state, j->id, JOB_FAILED, "failed", j->reason, "", 0, 0,
                           clock_wall(), &err);
    } else if (j->refusing) { // the reason of the analysis is the one that counts
        ok = state_job_requeue(core->state, j->id, REQUEUE_ATTEMPT, 0, j->reason, &err);
    } else if (j->attempts >= most) {
        ok = state_job_refuse(core->state, j->id, verdict_name(VERDICT_FAILED), reason, &err);
    } else {
        double pause = fmin(PAUSE_MAX_S, PAUSE_FIRST_S * exp2((double)(j->attempts - 1)));
        ok = state_job_requeue(core->state, j->id, REQUEUE_ATTEMPT, clock_wall() + pause, reason,
                               &err);
    }
    if (!ok)
        log_error("job=%lld: %s", (long long)j->id, err.text);
    j->stuck = !ok;
    forget_job(j);
    j->next = ok ? 0 : clock_steady() + WORKER_PAUSE_S;
}

static void finished(struct jobs *j, const struct msg_done *d)
{
    struct err err = {0};
    if (!d->ok) {
        failed(j, d->reason[0] ? d->reason : "no reason given");
        return;
    }
    if (!record_results(j, d, &err)) {
        failed(j, err.text);
        return;
    }
    snprintf(j->device, sizeof j->device, "%s", d->device);
    log_info("job=%lld verdict=\"%s\" objects=%zu seconds=%.2f peak_mib=%llu%s%s", (long long)j->id,
             verdict_name((enum verdict)d->verdict), j->object_count, d->seconds,
             (unsigned long long)(d->peak_bytes >> 20), d->reason[0] ? " reason=" : "", d->reason);
    forget_job(j);
    j->next = 0;
    outbox_wake(j->core->outbox);
}

// The worker

static void on_worker(void *ctx, int fd, short revents)
{
    static struct msg m;
    struct jobs *j = ctx;
    (void)revents;
    struct err err = {0};
    enum msg_arrival arrival = msg_receive(fd, &m, &err);
    if (arrival == MSG_GOT && m.kind == MSG_OBJECT) {
        const struct msg_object *o = m.body;
        if (o->job == j->id && j->object_count < ANALYSIS_OBJECTS && !strchr(o->name, '/'))
            j->objects[j->object_count++] = *o;
        return;
    }
    if (arrival == MSG_GOT && m.kind == MSG_DONE) {
        const struct msg_done *d = m.body;
        if (d->job == j->id && j->id)
            finished(j, d);
        return;
    }
    close_worker(j); // it ends, or it talks nonsense: reaping decides about its job
    if (j->worker.pid && arrival != MSG_END)
        kill(j->worker.pid, SIGKILL);
}

bool jobs_reaped(struct jobs *j, pid_t pid, int status)
{
    char reason[128];
    if (pid != j->worker.pid)
        return false;
    if (j->worker.fd >= 0 && j->id) { // what it said last
        struct pollfd p = {j->worker.fd, POLLIN, 0};
        while (j->worker.fd >= 0 && poll(&p, 1, 0) > 0)
            on_worker(j, j->worker.fd, p.revents);
    }
    close_worker(j);
    j->worker.pid = 0;
    if (j->killed)
        snprintf(reason, sizeof reason, "not done within %.0f s", j->core->conf->job_deadline_s);
    else if (WIFSIGNALED(status))
        snprintf(reason, sizeof reason, "worker ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(reason, sizeof reason, "worker ended with status %d", WEXITSTATUS(status));
    if (j->id)
        failed(j, reason);
    else
        log_info("%s", reason);
    j->next = 0;
    return true;
}

static bool start_worker(struct jobs *j, bool cpu, bool warm, struct err *err)
{
    struct worker worker = {.conf = j->core->conf, .dir = &j->core->dir, .cpu = cpu, .warm = warm};
    const int keep[] = {j->core->dir.dirfd, j->core->dir.lockfd};
    struct child_options options = {
        .role = "worker", .channel = true, .keep = keep, .keep_count = 2};
    if (!child_start(&j->worker, &options, worker_run, &worker, err))
        return false;
    const struct timeval within = {.tv_sec = SEND_WITHIN_S};
    setsockopt(j->worker.fd, SOL_SOCKET, SO_SNDTIMEO, &within, sizeof within);
    j->cpu = cpu;
    j->retire = false;
    if (loop_add(j->core->loop, j->worker.fd, POLLIN, on_worker, j, err))
        return true;
    close_worker(j);
    return false;
}

// Handing over a job

static bool fill_order(void *ctx, const struct state_job *row)
{
    struct order *o = ctx;
    o->id = row->id;
    o->attempts = row->attempts;
    o->refusals = row->refusals;
    o->tries = row->tries;
    o->results = row->results;
    snprintf(o->stage, sizeof o->stage, "%s", row->stage);
    snprintf(o->outcome, sizeof o->outcome, "%s", row->outcome);
    snprintf(o->reason, sizeof o->reason, "%s", row->reason);
    snprintf(o->remark, sizeof o->remark, "%s", row->remark);
    snprintf(o->destinations, sizeof o->destinations, "%s", row->destinations);
    o->parameters = strdup(row->parameters);
    return false;
}

static bool fill_predecessor(void *ctx, const struct state_object *row)
{
    struct msg_job *m = ctx;
    m->has_predecessor = 1;
    snprintf(m->predecessor_sop_class_uid, 65, "%s", row->sop_class_uid);
    snprintf(m->predecessor_sop_instance_uid, 65, "%s", row->sop_instance_uid);
    snprintf(m->predecessor_series_instance_uid, 65, "%s", row->series_instance_uid);
    snprintf(m->predecessor_study_instance_uid, 65, "%s", row->study_instance_uid);
    return false;
}

#define INPUTS_AT_ONCE 300 // a packet of them is well below what a channel holds

struct sending {
    int fd;
    bool ok;
    struct err *err;
    size_t count;
    struct msg_input inputs[INPUTS_AT_ONCE];
};

static bool send_inputs(struct sending *s)
{
    if (s->count > 0)
        s->ok =
            msg_send(s->fd, MSG_INPUTS, NULL, s->inputs, s->count * sizeof s->inputs[0], s->err);
    s->count = 0;
    return s->ok;
}

static bool add_input(void *ctx, const struct state_file *row)
{
    struct sending *s = ctx;
    struct msg_input *m = &s->inputs[s->count++];
    memset(m, 0, sizeof *m);
    snprintf(m->path, sizeof m->path, "%s", row->path);
    memcpy(m->digest, row->digest, DIGEST_SIZE);
    return s->count < INPUTS_AT_ONCE || send_inputs(s);
}

static bool count_file(void *ctx, const struct state_file *row)
{
    (void)row;
    ++*(uint32_t *)ctx;
    return true;
}

static bool send_order(struct jobs *j, const struct order *o, struct err *err)
{
    struct state *state = j->core->state;
    struct msg_job m = {.job = o->id, .kinds = o->results, .refuse = j->refusing ? 1 : 0};
    if (!o->parameters)
        return err_set(err, ERR_NOMEM, "no memory for parameters");
    if (!state_each_job_file(state, o->id, count_file, &m.inputs, err) ||
        !state_predecessor(state, o->id, fill_predecessor, &m, err))
        return false;
    snprintf(m.stage, sizeof m.stage, "%s", o->stage);
    snprintf(m.folder, sizeof m.folder, "%s", j->folder);
    snprintf(m.reason, sizeof m.reason, "%s", o->reason);
    snprintf(m.remark, sizeof m.remark, "%s", o->remark);
    struct sending sending = {.fd = j->worker.fd, .ok = true, .err = err};
    return msg_send(j->worker.fd, MSG_JOB, &m, o->parameters, strlen(o->parameters), err) &&
           state_each_job_file(state, o->id, add_input, &sending, err) && sending.ok &&
           send_inputs(&sending);
}

static void hand_over(struct jobs *j, const struct order *o)
{
    struct core *core = j->core;
    struct err err = {0};
    double now = clock_steady();
    j->refusing = o->outcome[0] != 0;
    double limit = j->refusing ? REFUSE_WITHIN_S : core->conf->job_deadline_s + KILL_AFTER_S;
    j->id = o->id;
    j->attempts = o->attempts;
    j->refusals = o->refusals;
    j->started = now;
    j->deadline = now + limit;
    j->object_count = 0;
    snprintf(j->destinations, sizeof j->destinations, "%s", o->destinations);
    snprintf(j->reason, sizeof j->reason, "%s", o->reason);
    snprintf(j->folder, sizeof j->folder, "outbox/%lld/%lld", (long long)o->id,
             (long long)o->tries);
    log_info("job=%lld attempt=%lld analysis=%s device=%s", (long long)o->id,
             (long long)j->attempts, o->stage,
             j->refusing ? "none, reporting the failure"
             : j->cpu    ? "software"
                         : "best");
    if (!send_order(j, o, &err)) {
        log_error("job=%lld not handed over: %s", (long long)o->id, err.text);
        kill(j->worker.pid, SIGKILL); // its end is the job's failure
    }
}

// What a worker may claim: the last attempt of a job runs on the software device.
static struct state_claim claim_for(const struct jobs *j, bool cpu)
{
    int64_t most = j->core->conf->job_attempts;
    return (struct state_claim){.worker = WORKER_NAME,
                                .now = clock_wall(),
                                .lease_s = LEASE_S,
                                .attempts_from = cpu ? most - 1 : 0,
                                .attempts_below = cpu || most == 1 ? 0 : most - 1};
}

static bool wanted(struct jobs *j, bool cpu)
{
    struct err err = {0};
    struct state_claim claim = claim_for(j, cpu);
    bool found = false;
    if (state_claimable(j->core->state, &claim, &found, &err))
        return found;
    log_error("jobs: %s", err.text);
    j->next = clock_steady() + WORKER_PAUSE_S;
    return false;
}

// Returns false when there is nothing to do now.
static bool start_next(struct jobs *j)
{
    struct err err = {0};
    struct order o = {0};
    bool plain = wanted(j, false), last = !plain && wanted(j, true);
    if (!plain && !last)
        return false;
    if (j->worker.pid && j->worker.fd < 0) {
        j->next = INFINITY; // it is ending
    } else if (j->worker.pid && (j->retire || j->cpu != last)) {
        end_worker(j); // its end brings us back here
    } else if (!j->worker.pid && !start_worker(j, last, false, &err)) {
        log_error("no worker: %s", err.text);
        j->next = clock_steady() + WORKER_PAUSE_S;
    } else {
        struct state_claim claim = claim_for(j, last);
        int64_t id = 0;
        if (state_claim_job(j->core->state, &claim, &id, fill_order, &o, &err) && id) {
            hand_over(j, &o);
        } else if (err.code) {
            log_error("jobs: %s", err.text);
            j->stuck = id != 0;
            j->next = clock_steady() + WORKER_PAUSE_S;
        }
    }
    free(o.parameters);
    return true;
}

// A job whose end could not be written is still "running" in the state.
static void unstick(struct jobs *j)
{
    struct err err = {0};
    int count = 0;
    if (!j->stuck)
        return;
    j->stuck = !state_jobs_recover(j->core->state, WORKER_NAME, clock_wall(), &count, &err);
    if (j->stuck)
        log_error("jobs: %s", err.text);
}

static double tick_running(struct jobs *j, double now)
{
    if (now >= j->deadline && j->worker.pid) {
        j->killed = true;
        j->deadline = INFINITY;
        kill(j->worker.pid, SIGKILL);
    }
    return j->deadline;
}

double jobs_tick(struct jobs *j)
{
    double now = clock_steady(), at = 0;
    struct err err = {0};
    if (j->worker.pid && j->worker.fd < 0 && now >= j->end_by) {
        j->end_by = INFINITY;
        kill(j->worker.pid, SIGKILL);
    }
    if (j->id)
        return tick_running(j, now);
    double ending = j->worker.pid && j->worker.fd < 0 ? j->end_by : INFINITY;
    if (j->core->draining) {
        end_worker(j);
        return j->worker.pid ? j->end_by : INFINITY;
    }
    if (now < j->next)
        return fmin(j->next, ending);
    j->next = INFINITY;
    unstick(j);
    if (j->retire)
        end_worker(j);
    if (j->early && !j->worker.pid) {
        j->early = false;
        if (!start_worker(j, false, true, &err))
            log_error("no worker: %s", err.text); // the first job tries again
    }
    if (start_next(j))
        return j->id ? j->deadline : fmin(j->next, fmin(ending, now + END_WITHIN_S));
    double wall = clock_wall();
    if (state_next_job_time(j->core->state, wall, &at, &err) && at > 0)
        j->next = fmin(j->next, now + at - wall);
    return fmin(j->next, ending);
}

void jobs_wake(struct jobs *j)
{
    j->next = 0;
}

bool jobs_busy(const struct jobs *j)
{
    return j->worker.pid != 0;
}

void jobs_reload(struct jobs *j)
{
    j->retire = true;
    j->early = true;
    if (!j->id)
        end_worker(j);
}

void jobs_stop(struct jobs *j)
{
    struct err err = {0};
    if (j->id) {
        log_info("job=%lld put back: the node stops", (long long)j->id);
        datadir_remove(&j->core->dir, j->folder);
        if (!state_job_requeue(j->core->state, j->id, REQUEUE_STOP, 0, "", &err))
            log_error("job=%lld: %s", (long long)j->id, err.text);
        forget_job(j);
    }
    close_worker(j);
    if (j->worker.pid)
        kill(j->worker.pid, SIGKILL);
}

// By hand

static bool fill_state(void *ctx, const struct state_job *row)
{
    *(int *)ctx = (int)row->state;
    return false;
}

static bool get_state(struct jobs *j, int64_t id, enum job_state *state, struct err *err)
{
    int found = -1;
    if (!state_get_job(j->core->state, id, fill_state, &found, err))
        return false;
    *state = (enum job_state)found;
    return found >= 0 || err_set(err, ERR_INPUT, "no job %lld", (long long)id);
}

bool jobs_retry(struct jobs *j, int64_t id, struct err *err)
{
    enum job_state state;
    int again = 0;
    if (!get_state(j, id, &state, err))
        return false;
    if (state == JOB_QUEUED || state == JOB_RUNNING)
        return err_set(err, ERR_INPUT, "job %lld is %s", (long long)id, job_state_name(state));
    if (state == JOB_DONE && !state_objects_again(j->core->state, id, &again, err))
        return false;
    if (again == 0 && !state_job_again(j->core->state, id, err))
        return false;
    log_info("job=%lld again by hand: %s", (long long)id, again ? "sending" : "analysis");
    jobs_wake(j);
    outbox_wake(j->core->outbox);
    return true;
}

bool jobs_discard(struct jobs *j, int64_t id, struct err *err)
{
    enum job_state state;
    if (!get_state(j, id, &state, err))
        return false;
    if (state == JOB_RUNNING)
        return err_set(err, ERR_INPUT, "job %lld is running; it ends within %.0f s", (long long)id,
                       j->core->conf->job_deadline_s);
    if (!state_begin(j->core->state, err))
        return false;
    bool ok =
        state_objects_discard(j->core->state, id, err) &&
        (state != JOB_QUEUED || state_job_end(j->core->state, id, JOB_DISCARDED, "",
                                              "discarded by hand", "", 0, 0, clock_wall(), err)) &&
        state_commit(j->core->state, err);
    if (!ok)
        state_rollback(j->core->state);
    else
        log_info("job=%lld discarded by hand", (long long)id);
    jobs_wake(j);
    return ok;
}

json_t *jobs_worker(const struct jobs *j)
{
    return json_pack("{s:i s:s s:I s:f}", "pid", (int)j->worker.pid, "device", j->device, "job",
                     (json_int_t)j->id, "seconds", j->id ? clock_steady() - j->started : 0.0);
}

struct jobs *jobs_create(struct core *core, struct err *err)
{
    struct jobs *j = calloc(1, sizeof *j);
    int count = 0;
    if (!j) {
        err_set(err, ERR_NOMEM, "no memory");
        return NULL;
    }
    j->core = core;
    j->early = true;
    j->worker.fd = -1;
    if (!state_jobs_recover(core->state, WORKER_NAME, clock_wall(), &count, err)) {
        free(j);
        return NULL;
    }
    if (count > 0)
        log_warn("jobs=%d were running when the node ended: back in the queue", count);
    return j;
}

void jobs_destroy(struct jobs *j)
{
    if (!j)
        return;
    jobs_stop(j);
    free(j);
}
