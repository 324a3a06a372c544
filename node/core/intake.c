#include "node/core/intake.h"
#include "node/core/outbox.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "node/core/arrivals.h"
#include "node/core/audit.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/uid.h"
#include "node/core/control.h"
#include "node/core/jobs.h"
#include "node/core/reserve.h"
#include "node/core/retain.h"
#include "node/proc/inflight.h"
#include "node/job/json.h"
#include "node/proc/msg.h"

#define TEXT_PIECE 32768
// So many instances have rows that a power cut may take, and that their files then give back: at
// start each of these is read, some milliseconds a MiB.
#define UNSETTLED_MAX 256

struct sent { // a series of which a client has sent some
    int64_t series;
    double since; // clock_steady() at the first of it
};

struct client {
    struct client *next;
    struct intake *intake;
    int fd;
    pid_t pid;
    bool gone;              // to be closed when the round is over
    bool guest;             // an association, before it has read anything: gives no commands
    struct msg_hello hello; // calling "": no association
    bool said_goodbye;      // MSG_GOODBYE has come
    bool closed_in_order;   // MSG_GOODBYE has come, and says that it was released
    struct sent *series;
    size_t series_count, series_room;
    struct audit_transfers transfers;
    char *text; // the answer to a command, and what of it has gone out
    size_t text_size, text_sent;
};

struct staged { // a record of this round
    struct client *client;
    struct msg_record record;
    struct attrs attrs;
    struct state_recorded recorded;
    enum msg_answer answer;
    bool failed, over_quota;
    bool taken; // its bytes count as those of its peer
    int jobs;   // queued again, since a lost or damaged file has come again
};

struct seen {
    char ae_title[17], address[64];
    json_int_t associations, open, stored, refused;
    double last_at;
    uint64_t kept; // bytes of its files that are here
};

struct intake {
    struct core *core;
    int fd;
    struct client *clients;
    struct staged *staged;
    size_t staged_count, staged_room;
    struct seen *seen;
    size_t seen_count;
    size_t unsettled; // rows that may not be on stable media
    bool recount;     // what was written did not stay
    bool sweep;       // a client is gone
    bool quarantined; // something has come into quarantine
};

// Peers seen

static struct seen *seen_peer(struct intake *in, const char *ae_title)
{
    for (size_t i = 0; i < in->seen_count; i++) {
        if (strcmp(in->seen[i].ae_title, ae_title) == 0)
            return &in->seen[i];
    }
    struct seen *grown = realloc(in->seen, (in->seen_count + 1) * sizeof *grown);
    if (!grown)
        return NULL;
    in->seen = grown;
    struct seen *s = &in->seen[in->seen_count++];
    memset(s, 0, sizeof *s);
    snprintf(s->ae_title, sizeof s->ae_title, "%s", ae_title);
    return s;
}

static bool seen_note_kept(void *ctx, const char *calling, uint64_t bytes)
{
    struct seen *s = seen_peer(ctx, calling);
    if (s)
        s->kept = bytes;
    return s != NULL;
}

void intake_recount(struct intake *in)
{
    struct err err = {0};
    in->recount = false;
    for (size_t i = 0; i < in->seen_count; i++)
        in->seen[i].kept = 0;
    if (!state_each_kept(in->core->state, seen_note_kept, in, &err))
        log_error("quotas not counted: %s", err.text);
}

// Whether a peer may leave so much more here. What it has is counted with it.
static bool seen_take(struct intake *in, const char *calling, uint64_t bytes)
{
    const struct conf_peer *peer = conf_find_peer(in->core->conf, calling);
    struct seen *s = seen_peer(in, calling);
    if (!s || (peer && peer->quota_mib && s->kept + bytes > (uint64_t)peer->quota_mib << 20))
        return false;
    s->kept += bytes;
    return true;
}

json_t *intake_peers(const struct intake *in)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < in->seen_count; i++) {
        const struct seen *s = &in->seen[i];
        if (s->associations == 0)
            continue; // only known by what is kept
        json_array_append_new(
            list, json_pack("{s:o s:s s:I s:I s:I s:I s:f}", "ae_title", json_text(s->ae_title),
                            "address", s->address, "associations", s->associations, "open", s->open,
                            "stored", s->stored, "refused", s->refused, "last_at", s->last_at));
    }
    return list;
}

// Clients

// A file that an association has left behind when it was killed. All that it said has been heard:
// if nobody was told that it is here, and it is not recorded, it goes.
static void client_clear_file(struct core *core, const char *name)
{
    char quarantine[DATADIR_NAME];
    enum state_owner owner = OWNER_INSTANCE;
    struct err err = {0};
    if (!datadir_is_new_name(name)) {
        log_error("a killed association has noted a file that is none of its own");
        return;
    }
    const int64_t bytes = datadir_file_bytes(&core->dir, name);
    if (!datadir_quarantine_name(name, quarantine, &err) ||
        !state_owner(core->state, name, quarantine, &owner, &err)) {
        log_error("file=%s of a killed association: %s", name, err.text);
    } else if (owner == OWNER_QUARANTINE) {
        if (bytes >= 0 && !datadir_move(&core->dir, name, quarantine, &err))
            log_error("file=%s not quarantined: %s", name, err.text); // the next start does it
    } else if (owner == OWNER_NONE && bytes >= 0) {
        datadir_remove(&core->dir, name);
        if (bytes > 0)
            log_info("file=%s removed: its association ended before it was recorded", name);
    }
}

static void client_clear_up(const struct client *c)
{
    struct core *core = c->intake->core;
    char names[INFLIGHT_FILES][DATADIR_NAME], drafts[DATADIR_NAME];
    datadir_drafts_name(c->pid, drafts);
    datadir_remove(&core->dir, drafts);
    if (!core->inflight || !inflight_left(core->inflight, c->pid, names))
        return;
    for (size_t i = 0; i < INFLIGHT_FILES; i++) {
        if (names[i][0])
            client_clear_file(core, names[i]);
    }
}

static void client_close(struct client *c)
{
    struct intake *in = c->intake;
    if (c->hello.calling[0] && !c->said_goodbye)
        client_clear_up(c);
    for (size_t i = 0; i < c->series_count; i++)
        arrivals_leave(in->core->arrivals, c->series[i].series, c->series[i].since,
                       c->closed_in_order);
    if (c->hello.calling[0]) {
        struct seen *s = seen_peer(in, c->hello.calling);
        if (s)
            s->open--;
        if (!c->closed_in_order)
            log_warn("peer=%s address=%s association ended without release", c->hello.calling,
                     c->hello.address);
        audit_tell(in->core->audit, &c->transfers);
        audit_association(in->core->audit, AUDIT_CLOSED,
                          c->closed_in_order ? AUDIT_SUCCESS : AUDIT_MINOR, &c->hello,
                          c->closed_in_order ? "" : "it ended without release");
    }
    loop_remove(in->core->loop, c->fd);
    close(c->fd);
    free(c->series);
    free(c->text);
    free(c);
}

static void client_dismiss(struct client *c)
{
    c->gone = true;
    c->intake->sweep = true;
}

// Has this client sent some of a series?
static bool client_has_sent(const struct client *c, int64_t series)
{
    for (size_t i = c->series_count; i-- > 0;) {
        if (c->series[i].series == series)
            return true;
    }
    return false;
}

// Notes that it has. False: it was noted before, or there is no memory: the association then counts
// as over, and quiet times decide.
static bool client_note_sent(struct client *c, int64_t series)
{
    if (client_has_sent(c, series))
        return false;
    if (c->series_count == c->series_room) {
        size_t room = c->series_room ? 2 * c->series_room : 4;
        struct sent *grown = realloc(c->series, room * sizeof *grown);
        if (!grown)
            return false;
        c->series = grown;
        c->series_room = room;
    }
    c->series[c->series_count++] = (struct sent){series, clock_steady()};
    return true;
}

// An instance of a series has come from this client. A run that begins counts every association
// that is open, also one that has sent some of an earlier run only.
static void client_count_association(struct client *c, int64_t series)
{
    struct intake *in = c->intake;
    bool begins = arrivals_instance(in->core->arrivals, series);
    bool noted = client_note_sent(c, series);
    if (noted && !begins)
        arrivals_join(in->core->arrivals, series);
    for (struct client *other = in->clients; begins && other; other = other->next) {
        if (client_has_sent(other, series))
            arrivals_join(in->core->arrivals, series);
    }
}

// Records

static bool record_usable(const struct msg_record *r)
{
    const struct instance_id *id = &r->id;
    const char *uids[] = {id->study_instance_uid, id->series_instance_uid, id->sop_instance_uid,
                          id->sop_class_uid, id->transfer_syntax_uid};
    for (size_t i = 0; i < sizeof uids / sizeof uids[0]; i++) {
        if (!uid_is_usable(uids[i]))
            return false;
    }
    return datadir_is_new_name(r->path);
}

static void record_refuse(struct client *c, const struct msg_verdict *refusal)
{
    if (!msg_send(c->fd, MSG_VERDICT, refusal, NULL, 0, NULL))
        client_dismiss(c);
}

static void record_stage(struct client *c, const struct msg *m)
{
    struct intake *in = c->intake;
    const struct msg_record *asked = m->body;
    const struct msg_verdict full = {.number = asked->number, .answer = ANSWER_OUT_OF_RESOURCES};
    if (in->staged_count == in->staged_room) {
        size_t room = in->staged_room ? 2 * in->staged_room : 16;
        struct staged *grown = realloc(in->staged, room * sizeof *grown);
        if (!grown) {
            record_refuse(c, &full);
            return;
        }
        in->staged = grown;
        in->staged_room = room;
    }
    struct staged *s = &in->staged[in->staged_count];
    memset(s, 0, sizeof *s);
    memcpy(&s->record, m->body, sizeof s->record);
    s->client = c;
    if (!c->hello.calling[0] || !record_usable(&s->record) ||
        !attrs_unpack(&s->attrs, m->tail, m->tail_size)) {
        log_error("peer=%s record refused: malformed, or no memory", c->hello.calling);
        record_refuse(c, &full);
        return;
    }
    in->staged_count++;
}

static void record_give_back(struct intake *in, struct staged *s)
{
    if (s->taken)
        seen_peer(in, s->client->hello.calling)->kept -= s->record.bytes; // seen_take() has made it
    s->taken = false;
}

static bool record_write(struct intake *in, struct staged *s, struct err *err)
{
    const struct msg_record *r = &s->record;
    struct core *core = in->core;
    char quarantine[DATADIR_NAME];
    struct state_instance instance = {.id = r->id,
                                      .instance_number = r->instance_number,
                                      .bytes = r->bytes,
                                      .path = r->path,
                                      .calling = s->client->hello.calling,
                                      .address = s->client->hello.address,
                                      .at = clock_wall(),
                                      .attrs = &s->attrs};
    memcpy(instance.digest, r->digest, sizeof instance.digest);
    s->jobs = 0;
    s->taken = seen_take(in, s->client->hello.calling, r->bytes);
    s->over_quota = !s->taken;
    s->answer = ANSWER_OVER_QUOTA;
    if (s->over_quota)
        return true;
    if (!datadir_quarantine_name(r->path, quarantine, err) ||
        !state_record(core->state, &instance, quarantine, &s->recorded, err))
        return false;
    static const enum msg_answer answers[] = {[RECORD_STORED] = ANSWER_STORED,
                                              [RECORD_DUPLICATE] = ANSWER_DUPLICATE,
                                              [RECORD_CONFLICT] = ANSWER_QUARANTINE,
                                              [RECORD_CONFLICTED] = ANSWER_QUARANTINED};
    s->answer = answers[s->recorded.what];
    if (s->recorded.what != RECORD_STORED)
        record_give_back(in, s);
    if (s->recorded.what == RECORD_DUPLICATE &&
        (s->recorded.bytes < 0 ||
         datadir_file_bytes(&core->dir, s->recorded.path) != s->recorded.bytes)) {
        s->answer = ANSWER_STORED; // the first file is lost or damaged: this one takes its place
        return state_replace_file(core->state, r->id.sop_instance_uid, r->path, r->bytes, &s->jobs,
                                  err);
    }
    return true;
}

static void record_follow_up(struct intake *in, struct staged *s)
{
    struct client *c = s->client;
    const char *sop = s->record.id.sop_instance_uid;
    struct seen *seen = seen_peer(in, c->hello.calling);
    if (seen)
        seen->last_at = clock_wall();
    if (s->over_quota) {
        log_warn("sop=%s peer=%s refused: peers[].quota_mib is used up", sop, c->hello.calling);
        return;
    }
    if (seen)
        seen->stored += s->answer == ANSWER_STORED;
    if (s->recorded.what == RECORD_STORED) {
        client_count_association(c, s->recorded.series);
    } else if (s->recorded.what == RECORD_DUPLICATE) {
        if (arrivals_again(in->core->arrivals, s->recorded.series) &&
            client_note_sent(c, s->recorded.series))
            arrivals_join(in->core->arrivals, s->recorded.series);
        const bool replaced = s->answer == ANSWER_STORED;
        log_info("sop=%s peer=%s received again%s", sop, c->hello.calling,
                 replaced ? "; its file had been lost or damaged" : "");
        if (replaced)
            datadir_remove(&in->core->dir, s->recorded.path);
        if (s->jobs > 0) {
            log_info("sop=%s jobs=%d again: the damage is mended", sop, s->jobs);
            jobs_wake(in->core->jobs);
        }
    } else {
        in->quarantined = true;
        log_warn("sop=%s peer=%s series=%s quarantined: %s", sop, c->hello.calling,
                 s->record.id.series_instance_uid, s->recorded.reason);
    }
}

// For the audit trail: what became of an instance.
static void record_audit(const struct intake *in, struct staged *s, bool recorded)
{
    const struct instance_id *id = &s->record.id;
    const char *patient = attrs_get(&s->attrs, "PatientID");
    const bool mine = s->answer == ANSWER_STORED || s->answer == ANSWER_DUPLICATE;
    const bool kept = mine || s->answer == ANSWER_QUARANTINE || s->answer == ANSWER_QUARANTINED;
    const enum audit_outcome outcome = !recorded || !kept ? AUDIT_SERIOUS
                                       : mine             ? AUDIT_SUCCESS
                                                          : AUDIT_MINOR;
    const char *text = outcome == AUDIT_SUCCESS ? ""
                       : outcome == AUDIT_MINOR ? "in quarantine: other content of the same UID"
                                                : "refused";
    audit_moved(in->core->audit, &s->client->transfers,
                recorded && s->answer == ANSWER_DUPLICATE ? 'R' : 'C', outcome, text,
                id->study_instance_uid, patient ? patient : "", id->sop_class_uid);
}

// One record of several in a transaction: if it fails, the others stay. False: none can.
static bool record_try(struct intake *in, struct staged *s, struct err *err)
{
    struct err why = {0};
    if (!state_part_begin(in->core->state, err))
        return false;
    s->failed = !record_write(in, s, &why);
    in->recount = in->recount || s->failed;
    if (s->failed)
        log_error("sop=%s not recorded: %s", s->record.id.sop_instance_uid, why.text);
    if (state_part_end(in->core->state, !s->failed, err))
        return true;
    if (s->failed && err)
        *err = why; // what undid the transaction
    return false;
}

// Whether its row may follow later than its answer: the file alone brings it back. What else is
// said of an instance is nowhere but in the database.
static bool record_may_follow(const struct staged *s)
{
    return s->record.speaks && !s->failed &&
           (s->over_quota || (s->recorded.what == RECORD_STORED && s->answer == ANSWER_STORED) ||
            (s->recorded.what == RECORD_DUPLICATE && s->answer == ANSWER_DUPLICATE));
}

// Writes what is staged in one transaction. *soft: it may last as long as the machine does; false
// afterwards where that is not enough, and nothing was written.
static bool staged_write(struct intake *in, bool *soft, struct err *err)
{
    struct state *state = in->core->state;
    bool ok = *soft ? state_begin_soft(state, err) : state_begin(state, err);
    bool may_follow = true;
    for (size_t i = 0; ok && i < in->staged_count; i++) {
        struct staged *s = &in->staged[i];
        s->failed = false;
        ok = in->staged_count == 1 ? record_write(in, s, err) : record_try(in, s, err);
        may_follow = may_follow && record_may_follow(s);
    }
    if (!ok || !*soft || may_follow)
        return ok && state_commit(state, err);
    *soft = false;
    state_rollback(state);
    for (size_t i = 0; i < in->staged_count; i++)
        record_give_back(in, &in->staged[i]);
    return true;
}

// False: nothing is recorded.
static bool staged_record(struct intake *in)
{
    struct err err = {0};
    bool soft = true;
    for (size_t i = 0; i < in->staged_count; i++)
        soft = soft && in->staged[i].record.speaks;
    const bool was_soft = soft;
    bool ok = staged_write(in, &soft, &err);
    if (ok && was_soft && !soft)
        ok = staged_write(in, &soft, &err);
    in->unsettled = soft ? in->unsettled + in->staged_count : 0;
    if (!ok) {
        state_rollback(in->core->state);
        in->recount = true;
        log_error("instances=%zu not recorded: %s", in->staged_count, err.text);
        reserve_spend(in->core, err.code, err.text);
    } else if (in->unsettled >= UNSETTLED_MAX && state_settle(in->core->state, &err)) {
        in->unsettled = 0;
    } else if (err.code) {
        log_error("database: not synced: %s", err.text); // the next time
    }
    return ok;
}

void intake_flush(struct intake *in)
{
    const bool ok = in->staged_count == 0 || staged_record(in);
    for (size_t i = 0; i < in->staged_count; i++) {
        struct staged *s = &in->staged[i];
        struct msg_verdict verdict = {.number = s->record.number,
                                      .answer =
                                          ok && !s->failed ? s->answer : ANSWER_OUT_OF_RESOURCES};
        if (ok && !s->failed)
            record_follow_up(in, s);
        record_audit(in, s, ok && !s->failed);
        if (!msg_send(s->client->fd, MSG_VERDICT, &verdict, NULL, 0, NULL))
            client_dismiss(s->client);
        attrs_finish(&s->attrs);
    }
    in->staged_count = 0;
    if (in->quarantined)
        retain_trim_quarantine(in->core);
    in->quarantined = false;
    if (in->recount)
        intake_recount(in);
    for (struct client **at = &in->clients; in->sweep && *at;) {
        struct client *c = *at;
        if (c->gone) {
            *at = c->next;
            client_close(c);
        } else {
            at = &c->next;
        }
    }
    in->sweep = false;
}

// Commands

static void client_push_text(struct client *c)
{
    struct err err = {0};
    while (c->text) {
        size_t left = c->text_size - c->text_sent;
        size_t piece = left < TEXT_PIECE ? left : TEXT_PIECE;
        if (!msg_send(c->fd, MSG_TEXT, NULL, c->text + c->text_sent, piece, &err)) {
            if (err.code == ERR_TIMEOUT)
                loop_events(c->intake->core->loop, c->fd, POLLIN | POLLOUT);
            else
                client_dismiss(c);
            return;
        }
        c->text_sent += piece;
        if (piece > 0)
            continue;
        free(c->text); // the empty piece was the end
        c->text = NULL;
        loop_events(c->intake->core->loop, c->fd, POLLIN);
    }
}

static void client_answer(struct client *c, const struct msg_control *m)
{
    if (c->text)
        return; // one after the other
    c->text = control_answer(c->intake->core, m);
    c->text_size = c->text ? strlen(c->text) : 0;
    c->text_sent = 0;
    if (c->text)
        client_push_text(c);
    else
        client_dismiss(c);
}

static void client_greet(struct client *c, const struct msg_hello *m)
{
    c->hello = *m;
    c->transfers = (struct audit_transfers){
        .kind = AUDIT_RECEIVED, .peer = c->hello.calling, .address = c->hello.address};
    audit_association(c->intake->core->audit, AUDIT_OPENED, AUDIT_SUCCESS, m, "");
    struct seen *s = seen_peer(c->intake, m->calling);
    if (!s)
        return;
    s->associations++;
    s->open++;
    s->last_at = clock_wall();
    snprintf(s->address, sizeof s->address, "%s", m->address);
}

// False: nothing more to read from this client in this round.
static bool client_take(struct client *c, const struct msg *m)
{
    if (m->kind == MSG_RECORD) {
        record_stage(c, m);
        return false;
    }
    if (m->kind == MSG_GUEST) {
        c->guest = true;
        return true;
    }
    if (m->kind == MSG_HELLO && !c->hello.calling[0]) {
        client_greet(c, m->body);
        return true;
    }
    if (m->kind == MSG_GOODBYE) {
        const struct msg_goodbye *bye = m->body;
        struct seen *s = seen_peer(c->intake, c->hello.calling);
        if (s)
            s->refused += bye->refused;
        c->said_goodbye = true;
        c->closed_in_order = bye->released;
        return true;
    }
    if (m->kind == MSG_REFUSED && c->guest) {
        audit_refused(c->intake->core->audit, m->body);
        return true;
    }
    if (m->kind == MSG_COMMITTED && c->hello.calling[0]) {
        outbox_committed(c->intake->core->outbox, c->hello.calling, m->body);
        return true;
    }
    if (m->kind == MSG_CONTROL && !c->guest) {
        client_answer(c, m->body);
        return true;
    }
    log_error("client says %d, which is not for the core", (int)m->kind);
    client_dismiss(c);
    return false;
}

static void intake_on_client(void *ctx, int fd, short revents)
{
    static struct msg m;
    struct client *c = ctx;
    struct err err = {0};
    if (revents & POLLOUT)
        client_push_text(c);
    while (!c->gone) {
        enum msg_arrival arrival = msg_receive(fd, &m, &err);
        if (arrival == MSG_NONE)
            return;
        if (arrival != MSG_GOT) {
            if (arrival == MSG_BROKEN)
                log_error("client: %s", err.text);
            client_dismiss(c);
        } else if (!client_take(c, &m)) {
            return;
        }
    }
}

static void intake_on_connect(void *ctx, int listening, short revents)
{
    struct intake *in = ctx;
    (void)revents;
    for (;;) {
        int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        struct client *c = calloc(1, sizeof *c);
        if (!c || !loop_add(in->core->loop, fd, POLLIN, intake_on_client, c, NULL)) {
            log_error("client refused: no memory");
            free(c);
            close(fd);
            return;
        }
        struct ucred who = {0};
        socklen_t size = sizeof who;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0)
            c->pid = who.pid;
        c->intake = in;
        c->fd = fd;
        c->next = in->clients;
        in->clients = c;
    }
}

struct intake *intake_create(struct core *core, struct err *err)
{
    struct intake *in = calloc(1, sizeof *in);
    if (!in) {
        err_set(err, ERR_NOMEM, "no memory");
        return NULL;
    }
    in->core = core;
    intake_recount(in);
    in->fd = msg_listen(core->dir.dirfd, err);
    if (in->fd < 0 || !loop_add(core->loop, in->fd, POLLIN, intake_on_connect, in, err)) {
        intake_destroy(in);
        return NULL;
    }
    return in;
}

void intake_destroy(struct intake *in)
{
    if (!in)
        return;
    while (in->clients) {
        struct client *c = in->clients;
        in->clients = c->next;
        client_close(c);
    }
    if (in->fd >= 0) {
        loop_remove(in->core->loop, in->fd);
        close(in->fd);
    }
    free(in->staged);
    free(in->seen);
    free(in);
}
