#include "node/core/alerts.h"
#include "node/core/jobs.h"
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/arena.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "compute/findings/findings.h"
#include "compute/stages/stage.h"
#include "node/core/collections.h"
#include "node/core/earlier.h"
#include "node/core/outbox.h"
#include "node/core/pool.h"
#include "node/core/reserve.h"
#include "node/job/json.h"
#include "node/job/order.h"
#include "node/proc/child.h"
#include "node/proc/msg.h"
#include "node/proc/scout.h"
#include "node/proc/worker.h"

#define KILL_AFTER_S    5  // beyond the deadline that the worker knows itself
#define REFUSE_WITHIN_S 60 // a report without analysis
#define REFUSALS_MAX    2  // attempts to make one
#define PAUSE_FIRST_S   1  // before the next attempt; doubles
#define PAUSE_MAX_S     30
#define WAIT_MAX_S      60 // the longest while the machine cannot
#define NOMEM_WAITS_MAX 12 // 10 min: what does not fit by then is too large for this machine
#define ERROR_PAUSE_S   2  // after a database error
#define END_WITHIN_S    10 // a worker whose channel is closed
// Compiling all shaders anew takes 24 s with sanitizers on two cores: 8 min with a tenth of a core.
#define WARM_WITHIN_S  1800
#define SCOUT_WITHIN_S 60
#define SCOUT_EVERY_S  30       // while a device that is wanted is not there
#define REPORT_MOST    67108864 // bytes of a report that a summary takes
#define LEASE_S        60
#define RENEW_EVERY_S  20

enum seat_state { SEAT_EMPTY, SEAT_WARMING, SEAT_IDLE, SEAT_BUSY, SEAT_ENDING };

struct seat { // of one worker: a device and a number
    struct jobs *jobs;
    unsigned number;
    char name[112]; // that its claims bear
    char uuid[37], device[160];
    bool cpu;
    bool reserve;   // takes last attempts only and goes when there are none
    bool wanted;    // false: it goes when it has nothing to do
    bool retire;    // its process is replaced when it has nothing to do
    bool killed;    // past its deadline
    bool was_ready; // its process has been able to take a job
    bool stuck;     // the end of its job could not be written: the row says that it runs
    enum seat_state state;
    struct child worker;
    double start_at, pause; // of the next process, after one that never became ready
    double end_by;          // a process that warms up or ends is killed then
    char trouble[256];
    // SEAT_BUSY: the job
    int64_t job, attempts, refusals, waits;
    bool refusing;
    double started, deadline;
    char folder[DATADIR_NAME]; // where it is now: on the desk of the worker, then in the outbox
    char outbox[DATADIR_NAME]; // where its results go
    char outcome[32], reason[256];
    char *destinations; // of the job: AE titles joined by backslashes; owned
};

struct jobs {
    struct core *core;
    struct seat **seats;
    size_t count, room;
    unsigned numbers;
    char prefix[80]; // of the names of all seats of this node
    struct child scout;
    struct msg_device *devices, *seen; // as last listed; as the scout tells them
    size_t device_count, seen_count;
    double scout_at, scout_end;
    char trouble[256], seen_why[160];
    double next; // when a job may be there
    double renew_at;
};

// Processes

static void seat_close(struct seat *p)
{
    if (p->worker.fd >= 0) {
        loop_remove(p->jobs->core->loop, p->worker.fd);
        close(p->worker.fd);
        p->worker.fd = -1;
    }
}

// Its channel ends; while it warms up it does not look there, but then SIGTERM ends it.
static void seat_end(struct seat *p)
{
    if (!p->worker.pid || p->state == SEAT_ENDING)
        return;
    seat_close(p);
    kill(p->worker.pid, SIGTERM);
    p->state = SEAT_ENDING;
    p->end_by = clock_steady() + END_WITHIN_S;
}

static void seat_kill(struct seat *p)
{
    seat_close(p);
    if (p->worker.pid)
        kill(p->worker.pid, SIGKILL);
    p->end_by = INFINITY;
}

static struct seat *add_seat(struct jobs *j, const struct msg_device *device)
{
    if (j->count == j->room) {
        size_t room = j->room ? 2 * j->room : 8;
        struct seat **grown = realloc(j->seats, room * sizeof *grown);
        if (!grown)
            return NULL;
        j->seats = grown;
        j->room = room;
    }
    struct seat *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->jobs = j;
    p->number = j->numbers++;
    p->wanted = true;
    p->worker.fd = -1;
    p->cpu = device->cpu;
    snprintf(p->name, sizeof p->name, "%s%u/", j->prefix, p->number);
    snprintf(p->uuid, sizeof p->uuid, "%s", device->uuid);
    snprintf(p->device, sizeof p->device, "%s", device->name);
    j->seats[j->count++] = p;
    return p;
}

static void seat_free(struct seat *p)
{
    free(p->destinations);
    free(p);
}

static void forget_seat(struct jobs *j, size_t index)
{
    seat_free(j->seats[index]);
    j->count--;
    memmove(j->seats + index, j->seats + index + 1, (j->count - index) * sizeof *j->seats);
}

// The end of a job

static void forget_job(struct seat *p)
{
    p->job = 0;
    p->refusing = false;
    p->killed = false;
    if (p->state == SEAT_BUSY)
        p->state = SEAT_IDLE;
    p->jobs->next = 0;
}

static bool add_objects(const struct seat *p, const char *destination,
                        const struct order_object *objects, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        char path[DATADIR_NAME + sizeof objects[i].file];
        snprintf(path, sizeof path, "%s/%s", p->folder, objects[i].file);
        struct state_object o = {.job = p->job,
                                 .object = objects[i].id,
                                 .destination = destination,
                                 .rank = objects[i].rank,
                                 .path = path};
        if (!datadir_exists(&p->jobs->core->dir, path))
            return err_set(err, ERR_INTERNAL, "the result %s is missing", path);
        if (!state_add_object(p->jobs->core->state, &o, err))
            return false;
    }
    return true;
}

static bool add_all_objects(const struct seat *p, const struct order_object *objects, size_t count,
                            struct err *err)
{
    char name[17];
    for (const char *at = p->destinations; *at; at += strspn(at, "\\")) {
        const size_t length = strcspn(at, "\\");
        snprintf(name, sizeof name, "%.*s", (int)length, at);
        if (!add_objects(p, name, objects, count, err))
            return false;
        at += length;
    }
    return true;
}

// Result rows and the end of the job in one transaction.
static bool record_results(const struct seat *p, const struct msg_done *d,
                           const struct order_object *objects, size_t count, struct err *err)
{
    struct state *state = p->jobs->core->state;
    bool failed = p->refusing && strcmp(p->outcome, verdict_name(VERDICT_FAILED)) == 0;
    bool ok = state_begin(state, err) && add_all_objects(p, objects, count, err) &&
              state_job_end(state, p->job, failed ? JOB_FAILED : JOB_DONE,
                            verdict_name((enum verdict)d->verdict), d->reason, d->device,
                            d->seconds, (int64_t)d->peak_bytes, clock_wall(), err) &&
              state_commit(state, err);
    if (!ok)
        state_rollback(state);
    return ok;
}

// It could not be noted that the job has ended: the row is put right later.
static void note_stuck(struct seat *p, bool ok, const struct err *err)
{
    p->stuck = !ok;
    if (!ok)
        log_error("job=%lld: %s", (long long)p->job, err->text);
}

// The machine could not: later, as often as it takes. A report keeps the reason that it tells.
static void job_waits(struct seat *p, enum err_code code, const char *reason)
{
    struct jobs *j = p->jobs;
    struct err err = {0};
    double pause = fmin(WAIT_MAX_S, PAUSE_FIRST_S * exp2((double)fmin(p->waits, 10)));
    log_warn("job=%lld waits %.0f s: %s", (long long)p->job, pause, reason);
    datadir_remove(&j->core->dir, p->folder);
    reserve_spend(j->core, code, reason);
    note_stuck(p,
               state_job_requeue(j->core->state, p->job, REQUEUE_WAIT, clock_wall() + pause,
                                 p->refusing ? p->reason : reason, &err),
               &err);
    forget_job(p);
}

// A final word about the input, or about attempts that are used up: a report is to say it.
static bool refuse_job(struct seat *p, enum verdict verdict, const char *reason, struct err *err)
{
    return state_job_refuse(p->jobs->core->state, p->job, verdict_name(verdict), reason, err);
}

static void tell_of_failure(const struct seat *p, const char *reason)
{
    char subject[32];
    snprintf(subject, sizeof subject, "job %lld", (long long)p->job);
    alerts_raise(p->jobs->core->alerts, ALERT_JOB_FAILED, subject, reason);
}

// An attempt did not work: again later, or a report that says so, or the plain reason.
static void attempt_failed(struct seat *p, const char *reason)
{
    struct core *core = p->jobs->core;
    struct err err = {0};
    int64_t most = core->conf->job_attempts;
    bool ok;
    log_warn("job=%lld attempt=%lld of=%lld failed: %s", (long long)p->job,
             (long long)(p->refusing ? p->refusals : p->attempts),
             (long long)(p->refusing ? REFUSALS_MAX : most), reason);
    datadir_remove(&core->dir, p->folder);
    if (p->refusing && p->refusals >= REFUSALS_MAX) {
        tell_of_failure(p, reason);
        log_error("job=%lld failed, and no report could be made: %s", (long long)p->job, reason);
        ok = state_job_end(core->state, p->job, JOB_FAILED, p->outcome, p->reason, "", 0, 0,
                           clock_wall(), &err);
        collections_wake(core->collections);
    } else if (p->refusing) { // the reason of the analysis is the one that counts
        ok = state_job_requeue(core->state, p->job, REQUEUE_ATTEMPT, 0, p->reason, &err);
    } else if (p->attempts >= most) {
        tell_of_failure(p, reason);
        ok = refuse_job(p, VERDICT_FAILED, reason, &err);
    } else {
        double pause = fmin(PAUSE_MAX_S, PAUSE_FIRST_S * exp2((double)(p->attempts - 1)));
        ok = state_job_requeue(core->state, p->job, REQUEUE_ATTEMPT, clock_wall() + pause, reason,
                               &err);
    }
    note_stuck(p, ok, &err);
    forget_job(p);
}

static void input_refused(struct seat *p, const char *reason)
{
    struct err err = {0};
    log_warn("job=%lld not evaluable: %s", (long long)p->job, reason);
    datadir_remove(&p->jobs->core->dir, p->folder);
    note_stuck(p, refuse_job(p, VERDICT_NOT_EVALUABLE, reason, &err), &err);
    forget_job(p);
}

static void job_failed(struct seat *p, enum err_code code, const char *reason)
{
    switch (code) {
    case ERR_FULL:
    case ERR_IO:
    case ERR_DATABASE:
        job_waits(p, code, reason);
        return;
    case ERR_NOMEM:
        if (p->waits < NOMEM_WAITS_MAX)
            job_waits(p, code, reason);
        else
            attempt_failed(p, reason);
        return;
    case ERR_INPUT:
        if (p->refusing)
            attempt_failed(p, reason);
        else
            input_refused(p, reason);
        return;
    default:
        attempt_failed(p, reason);
    }
}

struct damage { // of the files of a job
    struct jobs *jobs;
    bool replaced; // a file has come again in the meantime
    bool ok;
    struct err *err;
};

static bool note_damaged_file(void *ctx, const char *file)
{
    struct damage *damage = ctx;
    bool found = true;
    log_error("file=%s is missing or not what was received", file);
    damage->ok = state_file_damaged(damage->jobs->core->state, file, &found, damage->err);
    damage->replaced = damage->replaced || !found;
    return damage->ok;
}

// What the worker says of its files is recorded, so that the same instances are taken when they
// come again. False: the job must run again.
static bool job_sound(struct seat *p, struct err *err)
{
    struct core *core = p->jobs->core;
    struct damage damage = {.jobs = p->jobs, .ok = true, .err = err};
    char name[DATADIR_NAME + sizeof DAMAGE_FILE], path[PATH_MAX];
    snprintf(name, sizeof name, "%s/%s", p->folder, DAMAGE_FILE);
    return datadir_path(&core->dir, name, path, err) &&
           order_read_damage(path, p->job, note_damaged_file, &damage, err) && damage.ok &&
           (!damage.replaced ||
            err_set(err, ERR_INTERNAL, "a damaged file has come again in the meantime"));
}

// Takes the folder of the job out of the reach of the worker.
static bool take_results(struct seat *p, struct err *err)
{
    const struct datadir *dir = &p->jobs->core->dir;
    char path[PATH_MAX];
    if (!datadir_path(dir, p->outbox, path, err))
        return false;
    *strrchr(path, '/') = 0;
    datadir_remove(dir, p->outbox); // what a crash before the end of the job left
    if (!fs_make_folders(path, err) || !datadir_move(dir, p->folder, p->outbox, err))
        return false;
    snprintf(p->folder, sizeof p->folder, "%s", p->outbox);
    return true;
}

static void job_done(struct seat *p, const struct msg_done *d)
{
    struct core *core = p->jobs->core;
    struct err err = {0};
    struct order_object *objects = NULL;
    size_t count = 0;
    char name[DATADIR_NAME + sizeof RESULTS_FILE], path[PATH_MAX];
    if (!job_sound(p, &err)) {
        job_failed(p, err.code, err.text);
        return;
    }
    if (!d->ok) {
        job_failed(p, (enum err_code)d->code, d->reason[0] ? d->reason : "no reason given");
        return;
    }
    snprintf(name, sizeof name, "%s/%s", p->folder, RESULTS_FILE);
    bool ok = datadir_path(&core->dir, name, path, &err) &&
              order_read_results(path, p->job, &objects, &count, &err) && take_results(p, &err) &&
              record_results(p, d, objects, count, &err);
    free(objects);
    if (!ok) {
        job_failed(p, err.code, err.text);
        return;
    }
    log_info("job=%lld verdict=\"%s\" objects=%zu seconds=%.2f peak_mib=%llu%s%s",
             (long long)p->job, verdict_name((enum verdict)d->verdict), count, d->seconds,
             (unsigned long long)(d->peak_bytes >> 20), d->reason[0] ? " reason=" : "", d->reason);
    forget_job(p);
    outbox_wake(core->outbox);
    collections_wake(core->collections);
}

// The worker speaks

static void worker_ready(struct seat *p, const struct msg_ready *r)
{
    if (r->ok) {
        p->state = SEAT_IDLE;
        p->was_ready = true;
        p->pause = 0;
        p->trouble[0] = 0;
        p->jobs->next = 0;
        return;
    }
    snprintf(p->trouble, sizeof p->trouble, "%s", r->text);
    log_error("worker=%u device=\"%s\" cannot be used: %s", p->number, p->device, p->trouble);
    seat_end(p);
}

static void on_worker(void *ctx, int fd, short revents)
{
    static struct msg m;
    struct seat *p = ctx;
    (void)revents;
    enum msg_arrival arrival = msg_receive(fd, &m, NULL);
    if (arrival == MSG_NONE)
        return;
    if (arrival == MSG_GOT && m.kind == MSG_READY && p->state == SEAT_WARMING) {
        worker_ready(p, m.body);
        return;
    }
    if (arrival == MSG_GOT && m.kind == MSG_DONE && p->state == SEAT_BUSY) {
        const struct msg_done *d = m.body;
        if (d->job == p->job) {
            job_done(p, d);
            return;
        }
    }
    seat_close(p); // reaping decides about its job
    if (p->state != SEAT_BUSY)
        p->state = SEAT_ENDING;
    if (arrival == MSG_END)
        p->end_by = clock_steady() + END_WITHIN_S;
    else
        seat_kill(p);
}

static void describe_end(const struct seat *p, int status, char out[128])
{
    if (p->killed && p->state == SEAT_BUSY)
        snprintf(out, 128, "not done within %.0f s", p->jobs->core->conf->job_deadline_s);
    else if (WIFSIGNALED(status))
        snprintf(out, 128, "worker ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(out, 128, "worker ended with status %d", WEXITSTATUS(status));
}

static void worker_reaped(struct seat *p, int status)
{
    char reason[128];
    while (p->worker.fd >= 0) { // what it said last, then the end
        struct pollfd left = {p->worker.fd, POLLIN, 0};
        if (poll(&left, 1, 0) <= 0)
            break;
        on_worker(p, p->worker.fd, left.revents);
    }
    seat_close(p);
    p->worker.pid = 0;
    describe_end(p, status, reason);
    if (p->job)
        attempt_failed(p, reason);
    if (p->was_ready || (p->state == SEAT_ENDING && !p->trouble[0])) {
        p->start_at = 0;
    } else { // it never could do anything; perhaps its device is gone
        p->pause = fmin(PAUSE_MAX_S, fmax(PAUSE_FIRST_S, 2 * p->pause));
        p->start_at = clock_steady() + p->pause;
        if (!p->trouble[0])
            snprintf(p->trouble, sizeof p->trouble, "%s while it warmed up", reason);
        p->jobs->scout_at = fmin(p->jobs->scout_at, p->start_at);
    }
    log_info("worker=%u %s", p->number, reason);
    p->state = SEAT_EMPTY;
    p->retire = p->killed = false;
    p->jobs->next = 0;
}

// The folder that its worker works in, empty: what a worker that was killed left goes.
static bool seat_clear_desk(const struct seat *p, char name[DATADIR_NAME], struct err *err)
{
    const struct datadir *dir = &p->jobs->core->dir;
    snprintf(name, DATADIR_NAME, "desks/%u", p->number);
    datadir_remove(dir, name);
    return datadir_make(dir, name, err);
}

static void seat_start(struct seat *p)
{
    struct core *core = p->jobs->core;
    struct err err = {0};
    char desk[DATADIR_NAME];
    struct worker worker = {.conf = core->conf, .dir = &core->dir, .device = p->uuid, .desk = desk};
    const int keep[] = {core->dir.dirfd, core->dir.lockfd};
    struct child_options options = {
        .role = "worker", .channel = true, .keep = keep, .keep_count = 2};
    bool ok = seat_clear_desk(p, desk, &err) &&
              child_start(&p->worker, &options, worker_run, &worker, &err);
    if (ok && (fcntl(p->worker.fd, F_SETFL, O_NONBLOCK) != 0 ||
               !loop_add(core->loop, p->worker.fd, POLLIN, on_worker, p, &err))) {
        close(p->worker.fd);
        p->worker.fd = -1;
        kill(p->worker.pid, SIGKILL);
    }
    if (!ok) {
        log_error("no worker: %s", err.text);
        snprintf(p->trouble, sizeof p->trouble, "%s", err.text);
        p->start_at = clock_steady() + PAUSE_MAX_S;
        return;
    }
    p->state = SEAT_WARMING;
    p->was_ready = false;
    p->end_by = clock_steady() + WARM_WITHIN_S;
    p->retire = p->killed = false;
}

// Handing over a job

struct claimed { // a row on its way into an order
    struct seat *seat;
    struct arena *arena;
    struct order order;
    int64_t tries, series;
    size_t room;
    bool ok;
    struct err why; // where not ok; {0}: no memory
};

static bool take_row(void *ctx, const struct state_job *row)
{
    struct claimed *c = ctx;
    struct seat *p = c->seat;
    struct order *o = &c->order;
    p->job = row->id;
    p->attempts = row->attempts;
    p->refusals = row->refusals;
    p->waits = row->waits;
    p->refusing = row->outcome[0] != 0;
    free(p->destinations);
    p->destinations = strdup(row->destinations);
    snprintf(p->outcome, sizeof p->outcome, "%s", row->outcome);
    snprintf(p->reason, sizeof p->reason, "%s", row->reason);
    c->tries = row->tries;
    c->series = row->series;
    o->job = row->id;
    o->priors = o->prior_note = "";
    o->results = row->results;
    o->stage = arena_strdup(c->arena, row->stage);
    o->parameters = arena_strdup(c->arena, row->parameters);
    o->outcome = arena_strdup(c->arena, row->outcome);
    o->reason = arena_strdup(c->arena, row->reason);
    o->remark = arena_strdup(c->arena, row->remark);
    o->evidence = arena_strdup(c->arena, row->evidence);
    c->ok = p->destinations && o->stage && o->parameters && o->outcome && o->reason && o->remark &&
            o->evidence;
    return false;
}

static bool take_file(void *ctx, const struct state_file *row)
{
    struct claimed *c = ctx;
    struct order *o = &c->order;
    if (o->file_count == c->room) {
        size_t room = c->room ? 2 * c->room : 512;
        struct order_file *grown = arena_alloc(c->arena, room, sizeof *grown);
        if (!grown)
            return c->ok = false;
        if (o->file_count)
            memcpy(grown, o->files, o->file_count * sizeof *grown);
        o->files = grown;
        c->room = room;
    }
    struct order_file *f = &o->files[o->file_count++];
    f->slot = row->slot;
    f->position = row->position;
    f->path = arena_strdup(c->arena, row->path);
    f->sop_instance_uid = arena_strdup(c->arena, row->sop_instance_uid);
    f->sop_class_uid = arena_strdup(c->arena, row->sop_class_uid);
    memcpy(f->digest, row->digest, DIGEST_SIZE);
    return c->ok = f->path && f->sop_instance_uid && f->sop_class_uid;
}

// A copy of a report on the desk of the worker, which cannot read the outbox. One that is lost is
// left out, and the results say so.
static bool take_report(void *ctx, const struct state_file *row)
{
    struct claimed *c = ctx;
    const struct datadir *dir = &c->seat->jobs->core->dir;
    struct state_file copy = *row;
    char from[PATH_MAX], to[PATH_MAX], name[DATADIR_NAME];
    if (!*row->path || !datadir_exists(dir, row->path)) {
        c->order.remark =
            arena_printf(c->arena, "%s%sthe report %s is lost and left out", c->order.remark,
                         *c->order.remark ? "; " : "", row->sop_instance_uid);
        return c->ok = c->order.remark != NULL;
    }
    snprintf(name, sizeof name, "%.40s/report-%d.dcm", c->seat->folder, row->position);
    copy.path = name;
    size_t size = 0;
    char *data = datadir_path(dir, row->path, from, &c->why) && datadir_path(dir, name, to, &c->why)
                     ? fs_read_file(from, REPORT_MOST, &size, &c->why)
                     : NULL;
    c->ok = data && fs_write_file(to, data, size, &c->why);
    free(data);
    return c->ok && take_file(c, &copy);
}

static bool take_predecessor(void *ctx, const struct state_object *row)
{
    struct order *o = ctx;
    o->has_predecessor = true;
    o->predecessor = row->object;
    return false;
}

static bool take_priors(void *ctx, const char *list, const char *note)
{
    struct claimed *c = ctx;
    c->order.priors = arena_strdup(c->arena, list);
    c->order.prior_note = arena_strdup(c->arena, note);
    return c->ok = c->order.priors && c->order.prior_note;
}

static bool write_order(struct claimed *c, struct err *err)
{
    struct core *core = c->seat->jobs->core;
    struct order *o = &c->order;
    char folder[PATH_MAX], path[PATH_MAX];
    if (!c->ok)
        return err_set(err, ERR_NOMEM, "no memory for the order of a job");
    const struct stage *stage = stage_find(o->stage);
    const bool reports = stage && stage_takes_reports(stage);
    datadir_remove(&core->dir, c->seat->folder); // what a crash between two writes left
    if (!datadir_make(&core->dir, c->seat->folder, err))
        return false;
    if (!(reports ? state_each_report(core->state, o->job, take_report, c, err)
                  : state_each_job_file(core->state, o->job, take_file, c, err)) ||
        !state_prior_take(core->state, o->job, EARLIER_LATE, take_priors, c, err) ||
        !state_predecessor(core->state, o->job, take_predecessor, o, err) ||
        !state_series_attrs(core->state, c->series, &o->head, err))
        return false;
    if (reports && o->has_predecessor) {
        o->remark = arena_printf(c->arena, "%s%sreplaces the earlier %s %s", o->remark,
                                 *o->remark ? "; " : "", o->stage, o->predecessor.sop_instance_uid);
        c->ok = c->ok && o->remark;
    }
    if (!c->ok && c->why.code)
        return err_set(err, c->why.code, "%s", c->why.text);
    if (!c->ok)
        return err_set(err, ERR_NOMEM, "no memory for the order of a job");
    return datadir_path(&core->dir, c->seat->folder, folder, err) &&
           fs_join(path, folder, ORDER_FILE, err) && order_write(o, path, err);
}

static void hand_over(struct claimed *c)
{
    struct seat *p = c->seat;
    struct core *core = p->jobs->core;
    struct err err = {0};
    struct msg_job m = {.job = p->job};
    double limit = p->refusing ? REFUSE_WITHIN_S : core->conf->job_deadline_s + KILL_AFTER_S;
    p->state = SEAT_BUSY;
    p->started = clock_steady();
    p->deadline = p->started + limit;
    snprintf(p->folder, sizeof p->folder, "desks/%u/%lld-%lld", p->number, (long long)p->job,
             (long long)c->tries);
    snprintf(p->outbox, sizeof p->outbox, "outbox/%lld/%lld", (long long)p->job,
             (long long)c->tries);
    snprintf(m.folder, sizeof m.folder, "%s", p->folder);
    log_info("job=%lld attempt=%lld analysis=%s worker=%u device=\"%s\"%s", (long long)p->job,
             (long long)p->attempts, c->ok ? c->order.stage : "", p->number,
             p->refusing ? "none" : p->device, p->refusing ? " only a report" : "");
    if (!write_order(c, &err)) {
        job_failed(p, err.code, err.text);
    } else if (!msg_send(p->worker.fd, MSG_JOB, &m, NULL, 0, &err)) {
        log_error("job=%lld not handed over: %s", (long long)p->job, err.text);
        seat_kill(p); // its end is the failure of the attempt
    }
}

// What a seat may claim.
static struct state_claim claim_of(const struct seat *p)
{
    const struct jobs *j = p->jobs;
    const bool software = pool_cpu(j->devices, j->device_count) < j->device_count;
    const struct pool_attempts attempts =
        pool_attempts(j->core->conf->job_attempts, software, p->cpu, p->reserve);
    return (struct state_claim){.worker = p->name,
                                .now = clock_wall(),
                                .lease_s = LEASE_S,
                                .attempts_from = attempts.from,
                                .attempts_below = attempts.below};
}

static void database_failed(struct jobs *j, const struct err *err)
{
    reserve_spend(j->core, err->code, err->text);
    log_error("jobs: %s", err->text);
    j->next = fmin(j->next, clock_steady() + ERROR_PAUSE_S);
}

// Returns true when the seat has got a job, or has just lost one.
static bool claim_job(struct seat *p)
{
    struct jobs *j = p->jobs;
    struct err err = {0};
    struct claimed c = {.seat = p, .arena = arena_create()};
    struct state_claim claim = claim_of(p);
    int64_t id = 0;
    if (!c.arena) {
        err_set(&err, ERR_NOMEM, "no memory for a job");
        database_failed(j, &err);
        return false;
    }
    bool ok = state_claim_job(j->core->state, &claim, &id, take_row, &c, &err);
    if (ok && id && p->job == id) {
        hand_over(&c);
    } else if (!ok) {
        p->job = 0;
        p->stuck = p->stuck || id != 0;
        database_failed(j, &err);
    }
    order_finish(&c.order);
    arena_destroy(c.arena);
    return ok && id;
}

// A job whose end could not be written is still "running" in the state.
static void unstick(struct seat *p)
{
    struct err err = {0};
    int count = 0;
    if (!p->stuck || p->job)
        return;
    p->stuck = !state_jobs_recover(p->jobs->core->state, p->name, clock_wall(), &count, &err);
    if (p->stuck)
        database_failed(p->jobs, &err);
}

// Devices and seats

static bool is_place_of(const struct seat *p, const struct msg_device *d)
{
    return !p->reserve && strcmp(p->uuid, d->uuid) == 0;
}

// The seat of the plan's entry that is there already, and not yet taken.
static struct seat *find_seat(const struct jobs *j, const struct msg_device *d)
{
    for (size_t i = 0; i < j->count; i++) {
        if (!j->seats[i]->wanted && is_place_of(j->seats[i], d))
            return j->seats[i];
    }
    return NULL;
}

static void make_plan(struct jobs *j)
{
    struct pool_place plan[POOL_MAX];
    char why[256];
    size_t count = pool_plan(j->devices, j->device_count, j->core->conf, plan, why);
    for (size_t i = 0; i < j->count; i++)
        j->seats[i]->wanted = false;
    for (size_t i = 0; i < count; i++) {
        const struct msg_device *d = &j->devices[plan[i].device];
        struct seat *p = find_seat(j, d);
        if (p)
            p->wanted = true;
        else if (!add_seat(j, d))
            log_error("no memory for a worker");
    }
    if (j->device_count == 0 && j->seen_why[0])
        snprintf(why, sizeof why, "no Vulkan device: %s", j->seen_why);
    if (strcmp(why, j->trouble) != 0) {
        if (count == 0)
            log_error("no analysis can run, all jobs wait: %s", why);
        else if (why[0])
            log_error("not all workers can run: %s", why);
        else
            log_info("all devices that are wanted are there");
    }
    snprintf(j->trouble, sizeof j->trouble, "%s", why);
    j->scout_at = why[0] ? clock_steady() + SCOUT_EVERY_S : INFINITY;
    j->next = 0;
}

static void scout_finished(struct jobs *j)
{
    loop_remove(j->core->loop, j->scout.fd);
    close(j->scout.fd);
    j->scout.fd = -1;
    j->scout_end = INFINITY;
    free(j->devices);
    j->devices = j->seen;
    j->device_count = j->seen_count;
    j->seen = NULL;
    j->seen_count = 0;
    make_plan(j);
}

static void on_scout(void *ctx, int fd, short revents)
{
    static struct msg m;
    struct jobs *j = ctx;
    (void)revents;
    enum msg_arrival arrival = msg_receive(fd, &m, NULL);
    const struct msg_device *d = m.body;
    if (arrival != MSG_GOT || m.kind != MSG_DEVICE) {
        if (j->seen_count == 0 && !j->seen_why[0])
            snprintf(j->seen_why, sizeof j->seen_why, "listing the devices failed");
        scout_finished(j);
        return;
    }
    if (d->count == 0) {
        snprintf(j->seen_why, sizeof j->seen_why, "%s", d->why[0] ? d->why : "there is none");
        return;
    }
    struct msg_device *grown = realloc(j->seen, (j->seen_count + 1) * sizeof *grown);
    if (!grown) {
        log_error("no memory for a device");
        return;
    }
    j->seen = grown;
    j->seen[j->seen_count++] = *d;
}

static void scout_start(struct jobs *j)
{
    struct err err = {0};
    struct child_options options = {.role = "scout", .channel = true};
    j->scout_at = clock_steady() + SCOUT_EVERY_S;
    j->seen_why[0] = 0;
    if (!child_start(&j->scout, &options, scout_run, j->core->conf, &err)) {
        log_error("devices not listed: %s", err.text);
        return;
    }
    j->scout_end = clock_steady() + SCOUT_WITHIN_S;
    if (loop_add(j->core->loop, j->scout.fd, POLLIN, on_scout, j, &err))
        return;
    log_error("devices not listed: %s", err.text);
    close(j->scout.fd);
    j->scout.fd = -1;
    kill(j->scout.pid, SIGKILL);
}

// Last attempts are due and no worker is on the software device: one for them.
static void add_reserve(struct jobs *j)
{
    struct err err = {0};
    bool found = false;
    size_t cpu = pool_cpu(j->devices, j->device_count);
    if (cpu == j->device_count || j->core->conf->job_attempts == 1 || j->count == 0)
        return;
    for (size_t i = 0; i < j->count; i++) {
        if (j->seats[i]->cpu && j->seats[i]->wanted)
            return;
    }
    struct state_claim claim = {.now = clock_wall(),
                                .attempts_from = j->core->conf->job_attempts - 1};
    if (!state_claimable(j->core->state, &claim, &found, &err))
        database_failed(j, &err);
    struct seat *p = found ? add_seat(j, &j->devices[cpu]) : NULL;
    if (p)
        p->reserve = true;
}

// Time passes

static double seat_tick(struct seat *p, double now)
{
    bool draining = p->jobs->core->draining;
    switch (p->state) {
    case SEAT_EMPTY:
        if (draining || !p->wanted)
            return INFINITY;
        if (now >= p->start_at)
            seat_start(p);
        return p->state == SEAT_EMPTY ? p->start_at : p->end_by;
    case SEAT_IDLE:
        if (draining || p->retire || !p->wanted)
            seat_end(p);
        return p->state == SEAT_IDLE ? INFINITY : p->end_by;
    case SEAT_WARMING:
        if (draining || !p->wanted)
            seat_end(p);
        break;
    case SEAT_BUSY:
        if (now >= p->deadline && !p->killed) {
            p->killed = true;
            p->deadline = INFINITY;
            kill(p->worker.pid, SIGKILL);
        }
        if (p->worker.fd >= 0)
            return p->deadline;
        break; // it is ending
    case SEAT_ENDING:
        break;
    }
    if (now >= p->end_by) {
        if (p->state == SEAT_WARMING)
            snprintf(p->trouble, sizeof p->trouble, "not ready within %d s", WARM_WITHIN_S);
        seat_kill(p);
    }
    return p->end_by;
}

static void hand_out(struct jobs *j, double now)
{
    struct err err = {0};
    double at = 0, wall = clock_wall();
    j->next = INFINITY;
    for (size_t i = 0; i < j->count; i++)
        unstick(j->seats[i]);
    for (size_t i = 0; i < j->count; i++) {
        struct seat *p = j->seats[i];
        bool free = p->state == SEAT_IDLE && p->wanted && !p->retire;
        if (free && !claim_job(p) && p->reserve)
            p->wanted = false;
    }
    if (!state_next_job_time(j->core->state, wall, &at, &err))
        database_failed(j, &err);
    else if (at > 0)
        j->next = fmin(j->next, now + at - wall);
    add_reserve(j);
}

// Leases of the jobs that run here go on; what another node has let go is taken back.
static void renew(struct jobs *j, double now)
{
    struct err err = {0};
    double wall = clock_wall();
    int count = 0;
    j->renew_at = now + RENEW_EVERY_S;
    if (!state_jobs_renew(j->core->state, j->prefix, wall + LEASE_S, &err) ||
        !state_jobs_recover(j->core->state, "/", wall, &count, &err)) // "/" begins no name
        log_error("jobs: %s", err.text);
    if (count > 0)
        j->next = 0;
}

static double places_tick(struct jobs *j, double now)
{
    double next = INFINITY;
    for (size_t i = 0; i < j->count;) {
        next = fmin(next, seat_tick(j->seats[i], now));
        if (!j->seats[i]->wanted && j->seats[i]->state == SEAT_EMPTY && !j->seats[i]->stuck)
            forget_seat(j, i);
        else
            i++;
    }
    return next;
}

double jobs_tick(struct jobs *j)
{
    double now = clock_steady();
    if (now >= j->scout_end && j->scout.pid) {
        kill(j->scout.pid, SIGKILL);
        j->scout_end = INFINITY;
    }
    if (j->core->draining)
        return fmin(places_tick(j, now), j->scout_end);
    if (now >= j->scout_at && !j->scout.pid)
        scout_start(j);
    if (now >= j->renew_at)
        renew(j, now);
    if (now >= j->next)
        hand_out(j, now);
    double next = fmin(places_tick(j, now), fmin(j->next, j->renew_at));
    return fmin(next, j->scout.pid ? j->scout_end : j->scout_at);
}

bool jobs_reaped(struct jobs *j, pid_t pid, int status)
{
    if (pid == j->scout.pid) {
        while (j->scout.fd >= 0) // what it said last, then the end
            on_scout(j, j->scout.fd, POLLIN);
        j->scout.pid = 0;
        return true;
    }
    for (size_t i = 0; i < j->count; i++) {
        if (j->seats[i]->worker.pid == pid) {
            worker_reaped(j->seats[i], status);
            return true;
        }
    }
    return false;
}

void jobs_wake(struct jobs *j)
{
    j->next = 0;
}

bool jobs_busy(const struct jobs *j)
{
    bool busy = j->scout.pid != 0;
    for (size_t i = 0; i < j->count; i++)
        busy = busy || j->seats[i]->worker.pid != 0;
    return busy;
}

void jobs_reload(struct jobs *j)
{
    for (size_t i = 0; i < j->count; i++) {
        struct seat *p = j->seats[i];
        p->retire = true;
        p->start_at = 0;
        if (p->state == SEAT_WARMING || p->state == SEAT_IDLE)
            seat_end(p);
    }
    j->scout_at = 0;
    j->next = 0;
}

void jobs_stop(struct jobs *j)
{
    struct err err = {0};
    for (size_t i = 0; i < j->count; i++) {
        struct seat *p = j->seats[i];
        if (p->job) {
            log_info("job=%lld put back: the node stops", (long long)p->job);
            datadir_remove(&j->core->dir, p->folder);
            if (!state_job_requeue(j->core->state, p->job, REQUEUE_STOP, 0,
                                   p->refusing ? p->reason : "", &err))
                log_error("job=%lld: %s", (long long)p->job, err.text);
            forget_job(p);
        }
        seat_kill(p);
    }
    if (j->scout.pid)
        kill(j->scout.pid, SIGKILL);
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

bool jobs_retry_failed(struct jobs *j, int *count, struct err *err)
{
    if (!state_failed_jobs_again(j->core->state, count, err))
        return false;
    log_info("jobs=%d that had failed: again by hand", *count);
    jobs_wake(j);
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
    collections_wake(j->core->collections);
    return ok;
}

// Status

static json_t *finish_list(json_t *list, bool ok)
{
    if (ok)
        return list;
    json_decref(list);
    return NULL;
}

json_t *jobs_workers(const struct jobs *j)
{
    static const char *const states[] = {[SEAT_EMPTY] = "none",
                                         [SEAT_WARMING] = "warming",
                                         [SEAT_IDLE] = "idle",
                                         [SEAT_BUSY] = "running",
                                         [SEAT_ENDING] = "ending"};
    json_t *list = json_array();
    bool ok = true;
    for (size_t i = 0; i < j->count; i++) {
        const struct seat *p = j->seats[i];
        json_t *o = json_object();
        json_put_integer(o, "number", p->number, &ok);
        json_put_integer(o, "pid", p->worker.pid, &ok);
        json_put_text(o, "device", p->device, &ok);
        json_put_text(o, "uuid", p->uuid, &ok);
        json_put_bool(o, "cpu", p->cpu, &ok);
        json_put_text(o, "state", states[p->state], &ok);
        json_put_integer(o, "job", p->job, &ok);
        json_put_number(o, "seconds", p->job ? clock_steady() - p->started : 0, &ok);
        json_put_text(o, "trouble", p->trouble, &ok);
        json_add(list, o, &ok);
    }
    return finish_list(list, ok);
}

json_t *jobs_devices(const struct jobs *j)
{
    json_t *list = json_array();
    bool ok = true;
    for (size_t i = 0; i < j->device_count; i++) {
        const struct msg_device *d = &j->devices[i];
        json_t *o = json_object();
        json_put_text(o, "name", d->name, &ok);
        json_put_text(o, "uuid", d->uuid, &ok);
        json_put_bool(o, "cpu", d->cpu, &ok);
        json_put_bool(o, "usable", d->usable, &ok);
        json_put_text(o, "why", d->why, &ok);
        json_add(list, o, &ok);
    }
    return finish_list(list, ok);
}

const char *jobs_trouble(const struct jobs *j)
{
    return j->trouble;
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
    j->scout.fd = -1;
    j->scout_end = INFINITY;
    snprintf(j->prefix, sizeof j->prefix, "%.64s/", core->conf->device_uid);
    if (!state_jobs_recover(core->state, j->prefix, clock_wall(), &count, err)) {
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
    for (size_t i = 0; i < j->count; i++)
        seat_free(j->seats[i]);
    if (j->scout.fd >= 0) {
        loop_remove(j->core->loop, j->scout.fd);
        close(j->scout.fd);
    }
    free(j->seats);
    free(j->devices);
    free(j->seen);
    free(j);
}
