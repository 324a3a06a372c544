#include "node/proc/association.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "dimse/net/commit.h"
#include "dimse/net/scp.h"
#include "dimse/net/tls.h"
#include "dimse/read/meta.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/version.h"
#include "node/proc/cage.h"
#include "node/proc/inflight.h"
#include "node/proc/msg.h"
#include "node/proc/receipt.h"
#include "node/proc/shelf.h"

// What comes in that time after the core has said so is not even written.
#define OVER_QUOTA_MS 10000

static volatile sig_atomic_t receiving; // an object is on its way
static volatile sig_atomic_t stop;      // end after it

struct session {
    const struct association *association;
    int core;              // to the core
    bool broken;           // the core and we may disagree on what is recorded: nothing more is said
    uint64_t records;      // asked for so far: numbers them
    char drafts[PATH_MAX]; // folder of its own
    struct shelf shelf;
    struct shelf_file *file; // that the instance is received into; NULL: none
    struct inflight_place *place;
    uint32_t over_quota_until_ms; // guests_clock_ms(); 0: nothing of the kind was said
    struct msg_hello hello;
};

// From here to association_rests() nothing may end this process but its own work.
static void association_works(const struct session *s)
{
    receiving = 1;
    inflight_write(s->place, true);
    atomic_store(&s->association->activity->receiving, 1);
}

static void association_rests(const struct session *s)
{
    struct guest_activity *activity = s->association->activity;
    inflight_write(s->place, false);
    atomic_fetch_add(&activity->objects, 1);
    atomic_store(&activity->at_ms, guests_clock_ms());
    atomic_store(&activity->receiving, 0);
    receiving = 0;
}

static void association_on_term(int number)
{
    (void)number;
    if (!receiving)
        _exit(0); // nothing was accepted that is not recorded
    stop = 1;
}

// Whether a peer comes as the configuration has it; else why not.
static const char *association_doubt(const struct association *a, const struct conf_peer *peer)
{
    bool known = peer->certificates.count == 0;
    if (!peer->may_send)
        return "peers[].may_send is false";
    if (!conf_address_is_of(&peer->addresses, a->address))
        return "its address is none of peers[].address";
    if (!a->identity)
        return peer->tls ? "peers[].tls is true, and it came without" : NULL;
    for (size_t i = 0; i < peer->certificates.count; i++)
        known = known || tls_identity_is(a->identity, peer->certificates.items[i]);
    return known ? NULL : "its certificate is none of peers[].certificate";
}

// For the audit trail.
static void association_tell_refused(const struct session *s, const char *why, const char *subject)
{
    struct msg_refused refused = {0};
    memcpy(refused.calling, s->hello.calling, sizeof refused.calling);
    memcpy(refused.address, s->hello.address, sizeof refused.address);
    snprintf(refused.reason, sizeof refused.reason, "%s%s%.100s", why,
             *subject ? ": certificate " : "", subject);
    msg_send(s->core, MSG_REFUSED, &refused, NULL, 0, NULL); // it ends with the association else
}

static int association_admit(void *ctx, const char *calling, const char *called)
{
    struct session *s = ctx;
    const struct conf *conf = s->association->conf;
    char name[32];
    snprintf(s->hello.calling, sizeof s->hello.calling, "%s", calling);
    snprintf(s->hello.called, sizeof s->hello.called, "%s", called);
    snprintf(s->hello.address, sizeof s->hello.address, "%s", s->association->address);
    if (strcmp(called, conf->ae_title) != 0) {
        log_warn("called=%s rejected: this node is %s", log_value(called, name, sizeof name),
                 conf->ae_title);
        association_tell_refused(s, "it called another AE title", "");
        return 7;
    }
    const struct conf_peer *peer = conf_find_peer(conf, calling);
    const char *doubt =
        peer ? association_doubt(s->association, peer) : "no such ae_title in peers";
    if (doubt) {
        const struct tls_identity *identity = s->association->identity;
        log_warn("calling=%s rejected: %s%s%s", log_value(calling, name, sizeof name), doubt,
                 identity ? " subject=" : "", identity ? identity->subject : "");
        association_tell_refused(s, doubt, identity ? identity->subject : "");
        return 3;
    }
    log_action("peer=%s address=%s", log_value(calling, name, sizeof name),
               s->association->address);
    struct err err = {0};
    if (!msg_send(s->core, MSG_HELLO, &s->hello, NULL, 0, &err))
        log_error("core: %s", err.text); // each C-STORE will say so again
    return 0;
}

static bool association_room(void *ctx, struct err *err)
{
    struct session *s = ctx;
    const struct association *a = s->association;
    uint64_t free_mib = 0;
    if (!datadir_free_mib(a->dir, &free_mib, err))
        return false;
    // Each of the others that write has been told that there is room for the next MiB. What is
    // missing of the reserve comes first.
    const uint64_t others = a->inflight ? inflight_writing(a->inflight) : 0;
    const uint64_t missing = a->inflight ? inflight_missing(a->inflight) : 0;
    return free_mib >= a->conf->min_free_mib + others + missing ||
           err_set(
               err, ERR_FULL,
               "%llu MiB free, limits.min_free_mib is %u, %llu objects are being received, %llu "
               "MiB are missing of the reserve",
               (unsigned long long)free_mib, a->conf->min_free_mib, (unsigned long long)others,
               (unsigned long long)missing);
}

static int association_new_file(struct session *s, struct err *err)
{
    if (s->over_quota_until_ms && (int32_t)(s->over_quota_until_ms - guests_clock_ms()) > 0) {
        err_set(err, ERR_FULL, "peers[].quota_mib is used up");
        return -1;
    }
    if (!association_room(s, err))
        return -1;
    s->file = shelf_take(&s->shelf, err);
    return s->file ? s->file->fd : -1;
}

static int association_open_file(void *ctx, struct err *err)
{
    struct session *s = ctx;
    if (stop)
        _exit(0); // the last answer has arrived: the peer speaks again
    association_works(s);
    const int fd = association_new_file(s, err);
    if (fd < 0)
        association_rests(s);
    return fd;
}

static void association_discard(void *ctx)
{
    struct session *s = ctx;
    shelf_put_back(&s->shelf, s->file);
    association_rests(s);
    if (stop)
        _exit(0);
}

static void fill_record(const struct scp_instance *in, const char *name, bool speaks,
                        struct msg_record *out)
{
    memset(out, 0, sizeof *out);
    out->speaks = speaks;
    out->id = in->id;
    memcpy(out->digest, in->digest, sizeof out->digest);
    out->instance_number = in->instance_number;
    out->bytes = in->bytes;
    snprintf(out->path, sizeof out->path, "%s", name);
}

// One round trip to the core. False: it is not known whether the record was made.
static bool ask_core(struct session *s, struct msg_record *record, const struct attrs *attrs,
                     enum msg_answer *answer, struct err *err)
{
    static struct msg reply;
    record->number = ++s->records;
    if (!msg_send(s->core, MSG_RECORD, record, attrs ? attrs->packed : NULL,
                  attrs ? attrs->size : 0, err))
        return false;
    enum msg_arrival arrival = msg_receive(s->core, &reply, err);
    if (arrival == MSG_NONE)
        return err_set(err, ERR_TIMEOUT, "the core gives no verdict within %u s",
                       s->association->conf->dimse_timeout_s);
    if (arrival == MSG_END)
        return err_set(err, ERR_INTERNAL, "the core is gone");
    if (arrival == MSG_BROKEN)
        return false;
    if (reply.kind != MSG_VERDICT)
        return err_set(err, ERR_INTERNAL, "unexpected answer %d", (int)reply.kind);
    const struct msg_verdict *verdict = reply.body;
    if (verdict->number != record->number)
        return err_set(err, ERR_INTERNAL, "the verdict on record %llu came for record %llu",
                       (unsigned long long)verdict->number, (unsigned long long)record->number);
    *answer = (enum msg_answer)verdict->answer;
    return true;
}

static enum scp_status contradiction(const struct session *s, char comment[65])
{
    snprintf(comment, 65, "another instance of this UID is here; kept in quarantine");
    return strcmp(s->association->conf->duplicate_answer, "success") == 0 ? SCP_SUCCESS
                                                                          : SCP_DUPLICATE;
}

// The file says itself what it is, if that fits into its head, and is on stable media.
static bool association_make_durable(const struct session *s, const struct scp_instance *in,
                                     bool *speaks, struct err *err)
{
    uint8_t head[META_ROOM];
    const size_t room = sizeof head - META_ROOM_AT;
    struct receipt receipt = {.id = in->id,
                              .instance_number = in->instance_number,
                              .bytes = in->bytes,
                              .at = clock_wall(),
                              .attrs = *in->attrs}; // borrowed
    memcpy(receipt.digest, in->digest, sizeof receipt.digest);
    memcpy(receipt.calling, s->hello.calling, sizeof receipt.calling);
    memcpy(receipt.address, s->hello.address, sizeof receipt.address);
    if (pread(s->file->fd, head, sizeof head, 0) != (ssize_t)sizeof head)
        return err_errno(err, errno, "read %s", s->file->name);
    *speaks = receipt_pack(&receipt, head);
    if (*speaks && pwrite(s->file->fd, head + META_ROOM_AT, room, META_ROOM_AT) != (ssize_t)room)
        return err_errno(err, errno, "write %s", s->file->name);
    return fdatasync(s->file->fd) == 0 || err_errno(err, errno, "sync %s", s->file->name);
}

// What the core has said of the file, which goes where it belongs.
static enum scp_status association_obey(struct session *s, enum msg_answer answer, char comment[65],
                                        struct err *err)
{
    char quarantine[DATADIR_NAME];
    switch (answer) {
    case ANSWER_STORED:
        shelf_keep(&s->shelf, s->file);
        return SCP_SUCCESS;
    case ANSWER_DUPLICATE:
        shelf_put_back(&s->shelf, s->file);
        return SCP_SUCCESS;
    case ANSWER_QUARANTINE: {
        const bool moved = datadir_quarantine_name(s->file->name, quarantine, err) &&
                           datadir_move(s->association->dir, s->file->name, quarantine, err);
        shelf_keep(&s->shelf, s->file);
        return moved ? contradiction(s, comment) : SCP_OUT_OF_RESOURCES; // the next start moves it
    }
    case ANSWER_QUARANTINED:
        shelf_put_back(&s->shelf, s->file);
        return contradiction(s, comment);
    case ANSWER_OVER_QUOTA:
        s->over_quota_until_ms = guests_clock_ms() + OVER_QUOTA_MS;
        err_set(err, ERR_FULL, "peers[].quota_mib is used up");
        break;
    case ANSWER_OUT_OF_RESOURCES:
        err_set(err, ERR_DATABASE, "not recorded");
        break;
    }
    shelf_put_back(&s->shelf, s->file);
    return SCP_OUT_OF_RESOURCES;
}

static enum scp_status association_keep(struct session *s, const struct scp_instance *in,
                                        char comment[65], struct err *err)
{
    struct msg_record record;
    bool speaks = false;
    enum msg_answer answer = ANSWER_OUT_OF_RESOURCES;
    if (!association_make_durable(s, in, &speaks, err)) {
        shelf_remove(&s->shelf, s->file); // what its next sync would say means nothing
        return SCP_OUT_OF_RESOURCES;
    }
    fill_record(in, s->file->name, speaks, &record);
    // Without a verdict the file stays: it may be recorded. If not, the core removes it. A verdict
    // that comes later must find nobody who takes it for that on another file.
    if (!ask_core(s, &record, in->attrs, &answer, err)) {
        s->broken = true;
        return SCP_NO_ANSWER;
    }
    return association_obey(s, answer, comment, err);
}

static enum scp_status association_commit(void *ctx, const struct scp_instance *in,
                                          char comment[65])
{
    struct session *s = ctx;
    struct err err = {0};
    enum scp_status status;
    if (in->device_uid[0] && strcmp(in->device_uid, s->association->conf->device_uid) == 0) {
        log_info("sop=%s ignored: a result of this node has come back", in->id.sop_instance_uid);
        shelf_put_back(&s->shelf, s->file);
        status = SCP_SUCCESS;
    } else {
        status = association_keep(s, in, comment, &err);
    }
    if (status == SCP_NO_ANSWER) {
        log_error("sop=%s not answered: %s", in->id.sop_instance_uid, err.text);
        snprintf(comment, 65, "%.64s", err.text);
    } else if (status == SCP_OUT_OF_RESOURCES) {
        log_error("sop=%s not stored: %s", in->id.sop_instance_uid, err.text);
        snprintf(comment, 65, "not stored: %s", err_code_name(err.code));
    } else {
        log_debug("sop=%s series=%s bytes=%llu status=%04x", in->id.sop_instance_uid,
                  in->id.series_instance_uid, (unsigned long long)in->bytes, (unsigned)status);
    }
    association_rests(s);
    if (stop)
        alarm(1); // once the answer has gone out
    return status;
}

// For the sender that has asked, which waits for it.
static void association_report(void *ctx, const struct commit_report *report)
{
    struct session *s = ctx;
    struct err err = {0};
    char uid[UID_SIZE];
    if (s->broken)
        return;
    log_info("transaction=%s instances=%u committed or not",
             log_value(report->transaction_uid, uid, sizeof uid), report->count);
    if (!msg_send(s->core, MSG_COMMITTED, report, NULL, 0, &err))
        log_error("core: %s", err.text);
}

static void association_serve(struct session *s)
{
    const struct association *a = s->association;
    const struct conf *conf = a->conf;
    struct scp_config config = {
        .fd = a->fd,
        .peer_address = a->address,
        .max_pdu = conf->max_pdu,
        .dimse_timeout_s = conf->dimse_timeout_s,
        .acse_timeout_s = conf->acse_timeout_s,
        .min_bytes_per_s = conf->min_bytes_per_s,
        .max_object_bytes = (uint64_t)conf->max_object_mib << 20,
        .application_version = ANODE_IMPLEMENTATION_VERSION_NAME,
    };
    struct scp_handler handler = {.ctx = s,
                                  .admit = association_admit,
                                  .open = association_open_file,
                                  .room = association_room,
                                  .commit = association_commit,
                                  .discard = association_discard,
                                  .report = association_report};
    struct scp_summary summary = {0};
    struct err err = {0};
    bool ok = scp_serve(&config, &handler, &summary, &err);
    if (summary.rejected)
        return;
    struct msg_goodbye goodbye = {
        .released = summary.released, .stored = summary.stored, .refused = summary.refused};
    if (!s->broken) // else the core looks which of the files are recorded
        shelf_finish(&s->shelf);
    if (!s->broken)
        msg_send(s->core, MSG_GOODBYE, &goodbye, NULL, 0, NULL); // without it, it counts as aborted
    log_info("stored=%u refused=%u %s%s", summary.stored, summary.refused,
             summary.released ? "released" : "ended: ", ok ? "" : err.text);
}

// Drafts need not outlive a crash: nothing of this is synced.
static bool association_make_folder(const char *path, struct err *err)
{
    return mkdir(path, 0700) == 0 || errno == EEXIST || err_errno(err, errno, "folder %s", path);
}

int association_run(void *ctx, int channel)
{
    (void)channel;
    struct session s = {.association = ctx};
    struct err err = {0};
    struct sigaction term = {.sa_handler = association_on_term};
    sigaction(SIGTERM, &term, NULL);
    log_action("address=%s", s.association->address);
    const struct datadir *dir = s.association->dir;
    char drafts[DATADIR_NAME];
    s.core = msg_connect(dir->dirfd, &err);
    // A peer that waits longer than that for us is as patient as we are with it.
    const struct timeval within = {.tv_sec = s.association->conf->dimse_timeout_s};
    if (s.core < 0 || !msg_send(s.core, MSG_GUEST, NULL, NULL, 0, &err) ||
        setsockopt(s.core, SOL_SOCKET, SO_RCVTIMEO, &within, sizeof within) != 0 ||
        setsockopt(s.core, SOL_SOCKET, SO_SNDTIMEO, &within, sizeof within) != 0) {
        log_error("connection refused: %s", err.text);
        return 2;
    }
    // Nothing of the peer was read so far.
    datadir_drafts_name(getpid(), drafts);
    if (!datadir_path(dir, drafts, s.drafts, &err) || !association_make_folder(s.drafts, &err) ||
        !cage_enter(CAGE_ASSOCIATION, s.association->conf, dir, s.drafts, &err)) {
        log_error("connection refused: %s", err.text);
        return 2;
    }
    s.place = s.association->inflight ? inflight_enter(s.association->inflight) : NULL;
    if (s.association->inflight)
        inflight_alone(s.association->inflight, s.place);
    shelf_init(&s.shelf, dir, s.drafts, s.place);
    association_serve(&s);
    if (!s.broken)
        inflight_leave(s.place);
    close(s.core);
    return 0;
}
