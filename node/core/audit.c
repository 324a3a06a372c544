#include "node/core/audit.h"
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "dimse/net/scu.h"
#include "node/job/json.h"
#include "node/proc/child.h"
#include "node/proc/clerk.h"

#define WINDOW        16 // messages that a clerk has and has not written: its channel holds more
#define PAUSE_FIRST_S 1  // before a clerk that ended is replaced; doubles
#define PAUSE_MAX_S   60
#define PATIENT_SIZE  260 // Patient ID: 64 characters of UTF-8 (PS3.5 6.2, LO)

struct audit_transfer {
    char study[UID_SIZE], patient[PATIENT_SIZE];
    char action;
    enum audit_outcome outcome;
    const char *text;
    struct audit_class classes[AUDIT_CLASSES_MAX];
    size_t class_count;
};

struct desk { // of a clerk
    struct audit *audit;
    struct child child;
    bool wanted;         // by the configuration
    bool renew;          // it has an earlier configuration: ends when it has written what it has
    uint64_t next, done; // number that it gets next; up to which all is written
    double at, pause;    // steady clock: when it may be started; s
    char trouble[96];    // since it last wrote anything
};

struct audit {
    struct core *core;
    char host[256];
    char *lines[AUDIT_WAITING]; // number n is lines[n % AUDIT_WAITING]
    uint64_t first;             // number of the oldest, from 1
    size_t count;
    uint64_t written, lost;
    unsigned untold; // of lost
    bool stopped;
    struct desk desks[CLERK_KINDS];
};

static const char *const desk_names[CLERK_KINDS] = {"audit.file", "audit.host"};

bool audit_wanted(const struct audit *a)
{
    return a && (*a->core->conf->audit_file || *a->core->conf->audit_host);
}

// Messages that all have who want them are forgotten.
static void audit_trim(struct audit *a)
{
    uint64_t done = a->first + a->count - 1;
    for (size_t k = 0; k < CLERK_KINDS; k++) {
        if (a->desks[k].wanted && a->desks[k].done < done)
            done = a->desks[k].done;
    }
    for (; a->first <= done; a->first++, a->count--) {
        free(a->lines[a->first % AUDIT_WAITING]);
        a->lines[a->first % AUDIT_WAITING] = NULL;
    }
}

static void audit_lose(struct audit *a, uint32_t count)
{
    if (count && !a->untold)
        log_error("audit: messages are lost: %d wait", AUDIT_WAITING);
    a->untold += count;
    a->lost += count;
}

static void audit_add(struct audit *a, const struct audit_event *event)
{
    const struct audit_source source = {a->core->conf->ae_title, a->host, (int)getpid()};
    char *line = a->count < AUDIT_WAITING ? audit_message(&source, event) : NULL;
    if (!line) {
        audit_lose(a, 1);
        return;
    }
    a->lines[(a->first + a->count++) % AUDIT_WAITING] = line;
}

static void audit_raise(struct audit *a, const struct audit_event *event)
{
    char text[96];
    if (!audit_wanted(a))
        return;
    if (a->untold && a->count + 2 <= AUDIT_WAITING) {
        const unsigned untold = a->untold;
        snprintf(text, sizeof text, "%u audit messages were lost", untold);
        log_warn("audit: %s", text);
        a->untold = 0;
        audit_add(a, &(struct audit_event){.kind = AUDIT_LOST,
                                           .outcome = AUDIT_SERIOUS,
                                           .at = clock_wall(),
                                           .peer = "",
                                           .address = "",
                                           .text = text});
    }
    audit_add(a, event);
}

static void desk_look(struct audit *a)
{
    const struct conf *conf = a->core->conf;
    const char *const targets[CLERK_KINDS] = {conf->audit_file, conf->audit_host};
    for (size_t k = 0; k < CLERK_KINDS; k++) {
        struct desk *d = &a->desks[k];
        const bool had = d->wanted;
        d->wanted = *targets[k] != 0;
        d->renew = d->child.pid != 0;
        d->at = 0;
        if (!had && !d->child.pid)
            d->done = a->first - 1;
    }
}

void audit_application(struct audit *a, enum audit_kind kind)
{
    if (kind == AUDIT_CONFIGURED)
        desk_look(a);
    if (a->stopped)
        return;
    a->stopped = kind == AUDIT_STOPPED;
    audit_raise(a, &(struct audit_event){
                       .kind = kind,
                       .at = clock_wall(),
                       .peer = "",
                       .address = "",
                       .text = kind == AUDIT_CONFIGURED ? "the configuration was read again" : ""});
}

void audit_association(struct audit *a, enum audit_kind kind, enum audit_outcome outcome,
                       const struct msg_hello *peer, const char *text)
{
    audit_raise(a, &(struct audit_event){.kind = kind,
                                         .outcome = outcome,
                                         .at = clock_wall(),
                                         .peer = peer->calling,
                                         .address = peer->address,
                                         .text = text});
}

void audit_refused(struct audit *a, const struct msg_refused *refused)
{
    if (audit_wanted(a))
        audit_lose(a, refused->lost);
    audit_raise(a, &(struct audit_event){.kind = refused->full ? AUDIT_OPENED : AUDIT_STRANGER,
                                         .outcome = AUDIT_MINOR,
                                         .at = clock_wall(),
                                         .peer = refused->calling,
                                         .address = refused->address,
                                         .text = refused->reason});
}

void audit_query(struct audit *a, const struct conf_peer *peer, const struct msg_asked *asked,
                 const void *query, size_t size)
{
    if (size > SCU_QUESTION_MAX) { // none that the node asks
        audit_lose(a, 1);
        return;
    }
    audit_raise(a, &(struct audit_event){.kind = AUDIT_QUERY,
                                         .at = clock_wall(),
                                         .peer = peer->name,
                                         .address = peer->host,
                                         .text = "",
                                         .sop_class = asked->sop_class_uid,
                                         .transfer_syntax = asked->transfer_syntax_uid,
                                         .query = query,
                                         .query_size = size});
}

static struct audit_transfer *transfer_find(const struct audit_transfers *t, char action,
                                            enum audit_outcome outcome, const char *study,
                                            const char *patient)
{
    for (size_t i = t->count; i-- > 0;) {
        struct audit_transfer *one = &t->list[i];
        if (one->action == action && one->outcome == outcome && strcmp(one->study, study) == 0 &&
            strcmp(one->patient, patient) == 0)
            return one;
    }
    return NULL;
}

static void transfer_count(struct audit_transfer *one, const char *sop_class)
{
    size_t i = 0;
    while (i < one->class_count && strcmp(one->classes[i].uid, sop_class) != 0)
        i++;
    if (i == AUDIT_CLASSES_MAX) {
        i--;
        one->classes[i].uid[0] = 0; // the rest has no name
    } else if (i == one->class_count) {
        snprintf(one->classes[one->class_count++].uid, UID_SIZE, "%s", sop_class);
    }
    one->classes[i].instances++;
}

void audit_moved(struct audit *a, struct audit_transfers *t, char action,
                 enum audit_outcome outcome, const char *text, const char *study,
                 const char *patient, const char *sop_class)
{
    const double now = clock_steady();
    char who[PATIENT_SIZE];
    if (!audit_wanted(a))
        return;
    snprintf(who, sizeof who, "%s", patient);
    if (t->count && now - t->since > AUDIT_GATHER_S)
        audit_tell(a, t);
    struct audit_transfer *one = transfer_find(t, action, outcome, study, who);
    if (!one && t->count == AUDIT_TRANSFERS_MAX)
        audit_tell(a, t);
    if (!one) {
        struct audit_transfer *grown = realloc(t->list, (t->count + 1) * sizeof *grown);
        if (!grown) {
            audit_lose(a, 1);
            return;
        }
        t->list = grown;
        t->since = t->count ? t->since : now;
        one = &t->list[t->count++];
        *one = (struct audit_transfer){.action = action, .outcome = outcome, .text = text};
        snprintf(one->study, sizeof one->study, "%s", study);
        memcpy(one->patient, who, sizeof one->patient);
    }
    transfer_count(one, sop_class);
}

void audit_tell(struct audit *a, struct audit_transfers *t)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct audit_transfer *one = &t->list[i];
        audit_raise(a, &(struct audit_event){.kind = t->kind,
                                             .outcome = one->outcome,
                                             .at = clock_wall(),
                                             .peer = t->peer,
                                             .address = t->address,
                                             .text = one->text,
                                             .action = one->action,
                                             .study = one->study,
                                             .patient = one->patient,
                                             .classes = one->classes,
                                             .class_count = one->class_count});
    }
    free(t->list);
    t->list = NULL;
    t->count = 0;
}

// Clerks

static void desk_close(struct desk *d)
{
    if (d->child.fd < 0)
        return;
    loop_remove(d->audit->core->loop, d->child.fd);
    close(d->child.fd);
    d->child.fd = -1;
}

// Takes one confirmation. False: none has come, or the clerk has ended.
static bool desk_hear(struct desk *d)
{
    static struct msg m;
    struct audit *a = d->audit;
    const enum msg_arrival arrival = msg_receive(d->child.fd, &m, NULL);
    const struct msg_audited *said = m.body;
    if (arrival == MSG_NONE)
        return false;
    if (arrival != MSG_GOT || m.kind != MSG_AUDITED || said->number <= d->done ||
        said->number >= d->next) {
        desk_close(d);
        return false;
    }
    a->written += said->number - d->done;
    d->done = said->number;
    d->pause = PAUSE_FIRST_S;
    d->trouble[0] = 0;
    audit_trim(a);
    return true;
}

static void desk_on_clerk(void *ctx, int fd, short revents)
{
    (void)fd, (void)revents;
    while (desk_hear(ctx))
        ;
}

static void desk_push(struct desk *d)
{
    const struct audit *a = d->audit;
    if (d->renew && d->done + 1 == d->next)
        desk_close(d); // it ends, and the next one has the new configuration
    while (!d->renew && d->child.fd >= 0 && d->next < a->first + a->count &&
           d->next - d->done <= WINDOW) {
        const char *line = a->lines[d->next % AUDIT_WAITING];
        const struct msg_audit head = {.number = d->next};
        if (!msg_offer(d->child.fd, MSG_AUDIT, &head, line, strlen(line), NULL))
            return; // once it has taken some, or its end is heard of
        d->next++;
    }
}

static void desk_start(struct desk *d, enum clerk_kind kind)
{
    const struct audit *a = d->audit;
    struct core *core = a->core;
    struct clerk clerk = {.conf = core->conf, .tls = &core->tls, .kind = kind};
    const struct child_options options = {.role = "clerk",
                                          .channel = true,
                                          .keep = core->tls.fds,
                                          .keep_count = kind == CLERK_SYSLOG ? TLS_FILES : 0};
    struct err err = {0};
    d->at = clock_steady() + d->pause;
    d->renew = false;
    if (d->done + 1 < a->first) // it was not wanted for a while
        d->done = a->first - 1;
    d->next = d->done + 1;
    if (!child_start(&d->child, &options, clerk_run, &clerk, &err)) {
        log_error("%s: %s", desk_names[kind], err.text);
        return;
    }
    fcntl(d->child.fd, F_SETFL, fcntl(d->child.fd, F_GETFL) | O_NONBLOCK);
    if (!loop_add(core->loop, d->child.fd, POLLIN, desk_on_clerk, d, &err)) {
        log_error("%s: %s", desk_names[kind], err.text);
        kill(d->child.pid, SIGKILL);
    }
}

double audit_tick(struct audit *a)
{
    double next = INFINITY;
    for (size_t k = 0; k < CLERK_KINDS; k++) {
        struct desk *d = &a->desks[k];
        const bool work = d->wanted && d->done + 1 < a->first + a->count;
        if (!d->child.pid && work && clock_steady() >= d->at)
            desk_start(d, (enum clerk_kind)k);
        if (d->child.pid)
            desk_push(d);
        else if (work)
            next = fmin(next, d->at);
    }
    return next;
}

bool audit_reaped(struct audit *a, pid_t pid, int status)
{
    for (size_t k = 0; k < CLERK_KINDS; k++) {
        struct desk *d = &a->desks[k];
        if (!d->child.pid || d->child.pid != pid)
            continue;
        while (d->child.fd >= 0 && desk_hear(d))
            ; // what it said last
        desk_close(d);
        child_forget(&d->child);
        d->at = 0;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            return true;
        snprintf(d->trouble, sizeof d->trouble, "%s cannot be written: clerk ended with %s %d",
                 desk_names[k], WIFSIGNALED(status) ? "signal" : "status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        log_warn("%s, again in %.0f s; %zu messages wait", d->trouble, d->pause, a->count);
        d->at = clock_steady() + d->pause;
        d->pause = fmin(2 * d->pause, PAUSE_MAX_S);
        return true;
    }
    return false;
}

bool audit_idle(const struct audit *a)
{
    return a->count == 0;
}

json_t *audit_status(const struct audit *a)
{
    bool ok = true;
    json_t *o = json_object();
    const char *trouble = a->desks[CLERK_FILE].trouble;
    json_put_integer(o, "waiting", (int64_t)a->count, &ok);
    json_put_integer(o, "written", (int64_t)a->written, &ok);
    json_put_integer(o, "lost", (int64_t)a->lost, &ok);
    json_put_text(o, "trouble", *trouble ? trouble : a->desks[CLERK_SYSLOG].trouble, &ok);
    if (ok)
        return o;
    json_decref(o);
    return NULL;
}

struct audit *audit_create(struct core *core, struct err *err)
{
    struct audit *a = calloc(1, sizeof *a);
    if (!a) {
        err_set(err, ERR_NOMEM, "no memory");
        return NULL;
    }
    a->core = core;
    a->first = 1;
    gethostname(a->host, sizeof a->host - 1);
    for (size_t k = 0; k < CLERK_KINDS; k++)
        a->desks[k] = (struct desk){.audit = a, .child = {.fd = -1}, .pause = PAUSE_FIRST_S};
    desk_look(a);
    return a;
}

void audit_destroy(struct audit *a)
{
    if (!a)
        return;
    if (a->count || a->untold)
        log_error("audit: %zu messages were not written, %u more were lost", a->count, a->untold);
    for (size_t k = 0; k < CLERK_KINDS; k++) {
        if (a->desks[k].child.pid)
            kill(a->desks[k].child.pid, SIGKILL);
        desk_close(&a->desks[k]);
    }
    for (size_t i = 0; i < AUDIT_WAITING; i++)
        free(a->lines[i]);
    free(a);
}
