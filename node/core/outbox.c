#include "node/core/outbox.h"
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>
#include "dimse/net/scu.h"
#include "base/clock.h"
#include "base/log.h"
#include "node/proc/child.h"
#include "node/proc/msg.h"
#include "node/core/alerts.h"
#include "node/core/audit.h"
#include "node/core/reserve.h"
#include "node/proc/sender.h"

#define BATCH_MAX     64
#define ERROR_PAUSE_S 2
#define DUPLICATE     0x0111 // PS3.7 C.5.1

struct item { // of a batch that is being sent
    int64_t row, job, attempts;
    double first_at;
    struct object_id id;
    bool answered;
    char path[PATH_MAX];
};

struct delivery {
    struct delivery *next;
    struct outbox *outbox;
    struct child sender;
    char destination[17];
    bool ended;       // MSG_SENT has come
    char reason[256]; // of what was not answered
    struct item *items;
    struct scu_file *files;
    int64_t *rows;
    size_t count, answers; // of count items
    struct audit_transfers transfers;
    char address[256];
    int64_t patient_job; // whose patient is:
    char *patient;       // NULL: not looked for yet
};

struct outage { // of a destination
    struct outage *next;
    char destination[17];
    int64_t attempts;    // to reach it, each after the pause of the one before
    double since, until; // wall clock
};

struct outbox {
    struct core *core;
    struct delivery *deliveries;
    struct outage *outages;
    double next;
};

double outbox_pause(const struct conf *conf, int64_t attempt, double chance)
{
    double pause = conf->retry_first_s * pow(conf->retry_factor, (double)(attempt - 1));
    return fmin(pause, conf->retry_max_s) * (0.8 + 0.4 * chance);
}

static double chance(void)
{
    uint32_t value = 0;
    if (getrandom(&value, sizeof value, GRND_NONBLOCK) != (ssize_t)sizeof value)
        return 0.5;
    return (double)value / UINT32_MAX;
}

static void free_delivery(struct delivery *d)
{
    audit_tell(d->outbox->core->audit, &d->transfers);
    free(d->patient);
    free(d->items);
    free(d->files);
    free(d->rows);
    free(d);
}

enum outlook { MAY_PASS, STAYS };

static bool note_series(void *ctx, const struct state_job *row)
{
    *(int64_t *)ctx = row->series;
    return false;
}

// Patient ID of what a job was about, as its input has it; "": not known. Borrowed.
static const char *delivery_patient(struct delivery *d, int64_t job)
{
    struct state *state = d->outbox->core->state;
    struct attrs head = {0};
    int64_t series = 0;
    if (!d->patient || d->patient_job != job) {
        const char *id = NULL;
        if (state_get_job(state, job, note_series, &series, NULL) && series &&
            state_series_attrs(state, series, &head, NULL))
            id = attrs_get(&head, "PatientID");
        free(d->patient);
        d->patient = strdup(id ? id : "");
        d->patient_job = job;
        attrs_finish(&head);
    }
    return d->patient ? d->patient : "";
}

// For the audit trail.
static void delivery_audit(struct delivery *d, const struct item *i, enum audit_outcome outcome)
{
    struct audit *audit = d->outbox->core->audit;
    if (audit_wanted(audit)) // who receives it knows whether it was there: PS3.15 A.5.3.7 has R
        audit_moved(audit, &d->transfers, 'R', outcome,
                    outcome == AUDIT_SUCCESS ? "" : "not delivered", i->id.study_instance_uid,
                    delivery_patient(d, i->job), i->id.sop_class_uid);
}

static void state_failed(struct outbox *o, const struct err *err)
{
    reserve_spend(o->core, err->code, err->text);
    log_error("outbox: %s", err->text); // due as before, after a pause
}

// Never again. Returns false where it may still be tried.
static bool give_up(struct delivery *d, const struct item *i, enum outlook outlook,
                    const char *reason)
{
    struct core *core = d->outbox->core;
    struct err err = {0};
    const double now = clock_wall();
    char text[256];
    if (outlook != STAYS && (i->first_at <= 0 || now - i->first_at < core->conf->retry_give_up_s))
        return false;
    log_error("job=%lld destination=%s object=%s failed after %lld attempts: %s", (long long)i->job,
              d->destination, i->id.kind, (long long)i->attempts + 1, reason);
    snprintf(text, sizeof text, "job %lld: %s not delivered: %s", (long long)i->job, i->id.kind,
             reason);
    delivery_audit(d, i, AUDIT_SERIOUS);
    alerts_raise(core->alerts, ALERT_DEAD_LETTER, d->destination, text);
    if (!state_object_fail(core->state, i->row, now, reason, &err))
        state_failed(d->outbox, &err);
    return true;
}

// What the destination did not take: again later, or never.
static void put_off(struct delivery *d, struct item *i, enum outlook outlook, const char *reason)
{
    struct core *core = d->outbox->core;
    struct err err = {0};
    const double now = clock_wall(), pause = outbox_pause(core->conf, i->attempts + 1, chance());
    i->answered = true;
    d->answers++;
    if (give_up(d, i, outlook, reason))
        return;
    log_warn("job=%lld destination=%s object=%s not sent, again in %.0f s: %s", (long long)i->job,
             d->destination, i->id.kind, pause, reason);
    if (!state_object_retry(core->state, i->row, now, now + pause, reason, &err))
        state_failed(d->outbox, &err);
}

static struct outage **outage_of(struct outbox *o, const char *destination)
{
    struct outage **at = &o->outages;
    while (*at && strcmp((*at)->destination, destination) != 0)
        at = &(*at)->next;
    return at;
}

// When a destination that was not reached just now is tried again. What is new tries at once, and
// then waits with the others.
static double outage_until(struct outbox *o, const char *destination, bool answered)
{
    struct outage **at = outage_of(o, destination), *outage = *at;
    const double now = clock_wall();
    if (!outage && !(outage = *at = calloc(1, sizeof *outage)))
        return now + outbox_pause(o->core->conf, 1, chance());
    if (outage->attempts == 0) {
        outage->since = now;
        snprintf(outage->destination, sizeof outage->destination, "%s", destination);
    }
    if (answered)
        outage->attempts = 0; // it was there
    if (outage->attempts > 0 && now < outage->until &&
        outage->until - now <= 1.2 * o->core->conf->retry_max_s) // else the clock was set
        return outage->until;
    outage->until = now + outbox_pause(o->core->conf, ++outage->attempts, chance());
    return outage->until;
}

// The destination cannot be reached, or ended the association before all was sent: all that waits
// for it waits for one time, so that it goes in order then, over one association.
static void postpone(struct delivery *d, const char *reason)
{
    struct core *core = d->outbox->core;
    struct err err = {0};
    size_t left = 0;
    const bool known = *outage_of(d->outbox, d->destination) != NULL;
    const double now = clock_wall();
    const double until = outage_until(d->outbox, d->destination, d->answers > 0);
    for (size_t i = 0; i < d->count; i++) {
        if (d->items[i].answered || give_up(d, &d->items[i], MAY_PASS, reason))
            continue;
        left++;
        if (!state_object_retry(core->state, d->items[i].row, now, until, reason, &err))
            state_failed(d->outbox, &err);
    }
    if (!state_destination_waits(core->state, d->destination, until, reason, &err))
        state_failed(d->outbox, &err);
    if (!known)
        alerts_raise(core->alerts, ALERT_DESTINATION_DOWN, d->destination, reason);
    log_line(known ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
             "destination=%s objects=%zu not sent, again in %.0f s: %s", d->destination, left,
             until - now, reason);
}

// The destination takes objects: what waits for it need not wait longer.
static void resume(struct delivery *d)
{
    struct outage **at = outage_of(d->outbox, d->destination), *outage = *at;
    struct err err = {0};
    if (!outage)
        return;
    log_info("destination=%s takes objects again after %.0f s", d->destination,
             clock_wall() - outage->since);
    alerts_raise(d->outbox->core->alerts, ALERT_DESTINATION_UP, d->destination,
                 "it takes objects again");
    if (!state_destination_goes(d->outbox->core->state, d->destination, &err))
        state_failed(d->outbox, &err);
    *at = outage->next;
    free(outage);
}

static void sent(struct delivery *d, struct item *i, const struct msg_outcome *m)
{
    struct core *core = d->outbox->core;
    struct err err = {0};
    char warning[200] = "";
    i->answered = true;
    d->answers++;
    resume(d);
    delivery_audit(d, i, AUDIT_SUCCESS);
    if (m->status == DUPLICATE)
        snprintf(warning, sizeof warning, "is there already (status %04x)", m->status);
    else if (m->status)
        snprintf(warning, sizeof warning, "stored with warning %04x %s", m->status, m->text);
    else
        snprintf(warning, sizeof warning, "%s", m->text);
    if (!state_object_sent(core->state, i->row, clock_wall(), warning, &err)) {
        log_error("outbox: %s", err.text); // it will be sent again, with the same UID
        return;
    }
    log_info("job=%lld destination=%s object=%s sent%s%s", (long long)i->job, d->destination,
             i->id.kind, warning[0] ? ": " : "", warning);
}

static void outcome(struct delivery *d, const struct msg_outcome *m)
{
    char reason[256];
    for (size_t k = 0; k < d->count; k++) {
        struct item *i = &d->items[k];
        if (i->row != m->row || i->answered)
            continue;
        switch ((enum scu_fate)m->fate) {
        case SCU_SENT:
            sent(d, i, m);
            break;
        case SCU_REFUSED:
        case SCU_REJECTED:
            if (m->status == 0) // stored, and not confirmed
                snprintf(reason, sizeof reason, "%s", m->text);
            else
                snprintf(reason, sizeof reason, "refused with status %04x%s%s", m->status,
                         m->text[0] ? ": " : "", m->text);
            put_off(d, i, m->fate == SCU_REJECTED ? STAYS : MAY_PASS, reason);
            break;
        case SCU_NO_CONTEXT:
            put_off(d, i, STAYS, m->text);
            break;
        case SCU_BAD_FILE:
            snprintf(reason, sizeof reason, "file cannot be read: %s", m->text);
            put_off(d, i, MAY_PASS, reason);
            break;
        case SCU_NOT_SENT:
            break; // the end of the association says why
        }
        return;
    }
}

static void hear(struct delivery *d)
{
    static struct msg m;
    struct loop *loop = d->outbox->core->loop;
    enum msg_arrival arrival = msg_receive(d->sender.fd, &m, NULL);
    if (arrival == MSG_GOT && m.kind == MSG_OUTCOME) {
        outcome(d, m.body);
    } else if (arrival == MSG_GOT && m.kind == MSG_SENT) {
        const struct msg_sent *s = m.body;
        d->ended = true;
        snprintf(d->reason, sizeof d->reason, "%s",
                 s->text[0] ? s->text : "the association ended before");
    } else {
        loop_remove(loop, d->sender.fd);
        close(d->sender.fd);
        d->sender.fd = -1;
    }
}

static void on_sender(void *ctx, int fd, short revents)
{
    (void)fd, (void)revents;
    hear(ctx);
}

bool outbox_reaped(struct outbox *o, pid_t pid, int status)
{
    struct delivery **at = &o->deliveries;
    while (*at && (*at)->sender.pid != pid)
        at = &(*at)->next;
    struct delivery *d = *at;
    if (!d)
        return false;
    while (d->sender.fd >= 0) // what it said last; then the end
        hear(d);
    if (!d->ended && WIFSIGNALED(status))
        snprintf(d->reason, sizeof d->reason, "sender ended by signal %d", WTERMSIG(status));
    else if (!d->ended)
        snprintf(d->reason, sizeof d->reason, "sender ended with status %d", WEXITSTATUS(status));
    if (d->answers < d->count && !o->core->draining)
        postpone(d, d->reason);
    *at = d->next;
    free_delivery(d);
    o->next = 0;
    return true;
}

// Starting

static bool collect(void *ctx, const struct state_object *row)
{
    struct delivery *d = ctx;
    struct item *i = &d->items[d->count];
    struct scu_file *f = &d->files[d->count];
    if (!datadir_path(&d->outbox->core->dir, row->path, i->path, NULL))
        return true;
    i->row = row->id;
    i->job = row->job;
    i->attempts = row->attempts;
    i->first_at = row->first_at;
    i->id = row->object;
    f->path = i->path;
    f->id = row->object;
    d->rows[d->count++] = row->id;
    return d->count < BATCH_MAX;
}

static struct delivery *gather(struct outbox *o, const char *destination, struct err *err)
{
    struct delivery *d = calloc(1, sizeof *d);
    if (d) {
        d->outbox = o;
        d->sender.fd = -1;
        snprintf(d->destination, sizeof d->destination, "%s", destination);
        const struct conf_peer *peer = conf_find_peer(o->core->conf, destination);
        snprintf(d->address, sizeof d->address, "%s", peer && peer->host ? peer->host : "");
        d->transfers = (struct audit_transfers){
            .kind = AUDIT_SENT, .peer = d->destination, .address = d->address};
        d->items = calloc(BATCH_MAX, sizeof *d->items);
        d->files = calloc(BATCH_MAX, sizeof *d->files);
        d->rows = calloc(BATCH_MAX, sizeof *d->rows);
    }
    if (!d || !d->items || !d->files || !d->rows) {
        err_set(err, ERR_NOMEM, "no memory for a delivery");
        if (d)
            free_delivery(d);
        return NULL;
    }
    if (!state_each_due(o->core->state, destination, clock_wall(), BATCH_MAX, collect, d, err)) {
        free_delivery(d);
        return NULL;
    }
    return d;
}

static void deliver(struct outbox *o, const char *destination)
{
    struct core *core = o->core;
    struct err err = {0};
    struct delivery *d = gather(o, destination, &err);
    if (!d || d->count == 0) {
        if (!d)
            log_error("outbox: %s", err.text);
        else
            free_delivery(d);
        o->next = fmin(o->next, clock_steady() + ERROR_PAUSE_S);
        return;
    }
    const struct conf_peer *peer = conf_find_peer(core->conf, destination);
    if (!peer || !peer->host || !peer->port) {
        postpone(d, peer ? "this peer has no host or port in the configuration"
                         : "no such ae_title in peers of the configuration");
        free_delivery(d);
        return;
    }
    struct sender sender = {.conf = core->conf,
                            .dir = &core->dir,
                            .peer = peer,
                            .tls = &core->tls,
                            .files = d->files,
                            .rows = d->rows,
                            .count = d->count};
    int keep[2 + TLS_FILES] = {core->dir.dirfd, core->dir.lockfd};
    memcpy(keep + 2, core->tls.fds, sizeof core->tls.fds);
    struct child_options options = {.role = "sender",
                                    .channel = true,
                                    .keep = keep,
                                    .keep_count = peer->tls ? 2 + TLS_FILES : 2};
    if (!child_start(&d->sender, &options, sender_run, &sender, &err)) {
        postpone(d, err.text);
        free_delivery(d);
        return;
    }
    d->next = o->deliveries;
    o->deliveries = d;
    if (!loop_add(core->loop, d->sender.fd, POLLIN, on_sender, d, &err)) {
        log_error("outbox: %s", err.text);
        kill(d->sender.pid, SIGKILL);
    }
}

struct due {
    char (*names)[17];
    size_t count, room;
    struct outbox *outbox;
    bool ok;
};

static bool is_sending(const struct outbox *o, const char *destination)
{
    for (const struct delivery *d = o->deliveries; d; d = d->next) {
        if (strcmp(d->destination, destination) == 0)
            return true;
    }
    return false;
}

static bool note_due(void *ctx, const char *destination, double next_at)
{
    struct due *due = ctx;
    struct outbox *o = due->outbox;
    double wait = next_at - clock_wall();
    if (is_sending(o, destination))
        return true; // its end looks again
    if (wait > 0) {  // never longer than the longest pause, should the wall clock have jumped back
        wait = fmin(wait, 1.2 * o->core->conf->retry_max_s);
        o->next = fmin(o->next, clock_steady() + fmax(wait, 0.01));
        return true;
    }
    if (due->count == due->room) {
        size_t room = due->room ? 2 * due->room : 8;
        void *grown = realloc(due->names, room * sizeof *due->names);
        if (!grown)
            return due->ok = false;
        due->names = grown;
        due->room = room;
    }
    snprintf(due->names[due->count++], sizeof *due->names, "%s", destination);
    return true;
}

double outbox_tick(struct outbox *o)
{
    struct due due = {.outbox = o, .ok = true};
    struct err err = {0};
    if (o->core->draining)
        return INFINITY;
    if (clock_steady() < o->next)
        return o->next;
    o->next = INFINITY;
    if (!state_each_destination(o->core->state, note_due, &due, &err) || !due.ok) {
        log_error("outbox: %s", due.ok ? err.text : "no memory");
        o->next = clock_steady() + ERROR_PAUSE_S;
    }
    for (size_t i = 0; i < due.count; i++)
        deliver(o, due.names[i]);
    free(due.names);
    return o->next;
}

void outbox_committed(struct outbox *o, const char *destination, const struct commit_report *report)
{
    struct err err = {0};
    for (struct delivery *d = o->deliveries; d; d = d->next) {
        if (strcmp(d->destination, destination) == 0 && d->sender.fd >= 0 &&
            !msg_offer(d->sender.fd, MSG_COMMITTED, report, NULL, 0, &err))
            log_warn("destination=%s report of storage commitment left out: %s", destination,
                     err.text);
    }
}

void outbox_wake(struct outbox *o)
{
    o->next = 0;
}

bool outbox_busy(const struct outbox *o)
{
    return o->deliveries != NULL;
}

struct outbox *outbox_create(struct core *core, struct err *err)
{
    struct outbox *o = calloc(1, sizeof *o);
    if (!o) {
        err_set(err, ERR_NOMEM, "no memory");
        return NULL;
    }
    o->core = core;
    return o;
}

void outbox_destroy(struct outbox *o)
{
    if (!o)
        return;
    while (o->deliveries) {
        struct delivery *d = o->deliveries;
        o->deliveries = d->next;
        if (d->sender.pid)
            kill(d->sender.pid, SIGKILL);
        if (d->sender.fd >= 0) {
            loop_remove(o->core->loop, d->sender.fd);
            close(d->sender.fd);
        }
        free_delivery(d);
    }
    while (o->outages) {
        struct outage *outage = o->outages;
        o->outages = outage->next;
        free(outage);
    }
    free(o);
}
