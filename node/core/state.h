// What the node remembers: instances, series, jobs, outbox, quarantine. All SQL is behind this
// header (SQLite today: WAL, synchronous=FULL), so that another database can take its place.
// A change is on stable media when state_commit() has returned true. Functions that change
// something outside state_begin() ... state_commit() commit by themselves. Times are seconds since
// 1970. Texts in rows given to callbacks are borrowed until the callback returns; a callback that
// returns false ends the walk, which is no error. All return false with ERR_DATABASE (ERR_FULL: no
// space) unless said otherwise.
// Process: core, nobody else. Thread-safety: one thread.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attrs.h"
#include "base/err.h"
#include "base/identity.h"
#include "base/uid.h"

struct state; // opaque

// Opens or makes path. ERR_DATABASE: not ours, damaged, or written by a newer version.
struct state *state_open(const char *path, struct err *err);
void state_close(struct state *s); // NULL is fine

bool state_begin(struct state *s, struct err *err);
bool state_commit(struct state *s, struct err *err); // false: rolled back
// The same, of a change that only has to outlive this process: a power cut may undo it, and all
// such changes after it, until state_settle() or any other change has been committed. For what can
// be made again from elsewhere.
bool state_begin_soft(struct state *s, struct err *err);
bool state_settle(struct state *s, struct err *err);
void state_rollback(struct state *s); // no transaction is fine

// Part of a transaction that may fail by itself: between the two, then with the word whether it is
// to stay. False: the whole transaction is lost.
bool state_part_begin(struct state *s, struct err *err);
bool state_part_end(struct state *s, bool stays, struct err *err);

// Instances

struct state_instance {
    struct instance_id id;
    int32_t instance_number;
    uint64_t bytes;
    uint8_t digest[DIGEST_SIZE];
    const char *path;    // below the data folder
    const char *calling; // AE title of the peer
    const char *address;
    double at;
    const struct attrs *attrs; // of the data set
};

enum state_record {
    RECORD_STORED,
    RECORD_DUPLICATE,  // equal digest: nothing changed; *path says where the first one is
    RECORD_CONFLICT,   // other digest: noted in quarantine as quarantine_path
    RECORD_CONFLICTED, // other digest, and this one is in quarantine already
};

struct state_recorded {
    enum state_record what;
    int64_t series;
    char path[64]; // RECORD_DUPLICATE: of the first one
    int64_t bytes; // RECORD_DUPLICATE: of its file; FILE_DAMAGED
    char reason[160];
};

// Records one instance. A series is one Series Instance UID in one study of one patient: instances
// that differ in study or patient never share a series here.
bool state_record(struct state *s, const struct state_instance *in, const char *quarantine_path,
                  struct state_recorded *out, struct err *err);
struct state_quarantined {
    const char *sop_instance_uid;
    const char *path; // below the data folder
    const char *calling, *address, *reason;
    double at;
    int64_t bytes; // 0: not known, by a database of version 3
};
// Newest first; limit 0: all.
bool state_each_quarantined(struct state *s, size_t limit,
                            bool (*each)(void *ctx, const struct state_quarantined *row), void *ctx,
                            struct err *err);
// Forgets what came before a time, and of the rest the oldest beyond so many bytes, but never the
// newest, of which the file may be on its way there. each() gets the
// files, which are then the caller's to remove; false where it has no memory for one.
bool state_trim_quarantine(struct state *s, double before, uint64_t most_bytes,
                           bool (*each)(void *ctx, const char *path), void *ctx, struct err *err);

#define FILE_DAMAGED (-1) // in place of bytes: the file is lost, or is not what was received

// The file of a recorded instance is not what was received. *found: false where another file has
// taken its place.
bool state_file_damaged(struct state *s, const char *path, bool *found, struct err *err);
// The file of a recorded instance was lost or damaged and has come again. Jobs of its series that
// ended without a result, and of whose files none is damaged now, are queued again: *jobs, how
// many.
bool state_replace_file(struct state *s, const char *sop_instance_uid, const char *path,
                        uint64_t bytes, int *jobs, struct err *err);

// How many bytes of received files are kept, by AE title of the peer that sent them.
bool state_each_kept(struct state *s, bool (*each)(void *ctx, const char *calling, uint64_t bytes),
                     void *ctx, struct err *err);

// Files whose instances are forgotten, as of state_forget_series(): they are to go, and must not
// come back with a power cut. Until state_gone_clear(), when it is certain.
bool state_each_gone(struct state *s, bool (*each)(void *ctx, const char *path), void *ctx,
                     struct err *err);
bool state_gone_clear(struct state *s, struct err *err);

enum state_owner { OWNER_NONE, OWNER_INSTANCE, OWNER_QUARANTINE };
// Whose file is this? By path below the data folder; for OWNER_QUARANTINE by its name there.
bool state_owner(struct state *s, const char *path, const char *quarantine_path,
                 enum state_owner *owner, struct err *err);
bool state_each_file(struct state *s,
                     bool (*each)(void *ctx, const char *sop_instance_uid, const char *path,
                                  int64_t bytes),
                     void *ctx, struct err *err);

// Series

struct state_series {
    int64_t id;
    const char *series_instance_uid, *study_instance_uid, *modality;
    const char *source, *address; // calling AE title and address of the first instance
    const char *state;            // "receiving", "routed", "no route"
    double first_at, last_at;
    double run_at; // first instance of the run that is being received, or of the last one
    int64_t instances;
    int64_t runs; // times it was complete
    const char *completeness, *evidence;
    const char *route, *why; // of the last run
    bool interrupted;        // not every association that sent some of it has ended in order
};

enum state_which { SERIES_ALL, SERIES_ARRIVING };
// Newest first; limit 0: all.
bool state_each_series(struct state *s, enum state_which which, size_t limit,
                       bool (*each)(void *ctx, const struct state_series *row), void *ctx,
                       struct err *err);
bool state_get_series(struct state *s, int64_t id,
                      bool (*each)(void *ctx, const struct state_series *row), void *ctx,
                      struct err *err);
// Of each attribute the value that most instances have (node/job/tally.h), whatever the order of
// arrival.
bool state_series_attrs(struct state *s, int64_t series, struct attrs *out, struct err *err);
// The verdict on completeness; the run is counted.
bool state_series_end(struct state *s, int64_t series, const char *state, const char *completeness,
                      const char *evidence, const char *route, const char *why, struct err *err);
// All associations that sent some of it have ended in order. Until the next instance: each one
// that is recorded may be the last that comes. Outlives this process, perhaps not a power cut, as a
// transaction of its own.
bool state_series_released(struct state *s, int64_t series, struct err *err);
// SHA-256 over the digests of the instances in the order of their SOP Instance UIDs.
// *last: the newest instance: what belongs to this run is not newer.
bool state_series_digest(struct state *s, int64_t series, uint8_t digest[DIGEST_SIZE],
                         int64_t *last, struct err *err);

// Jobs

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_DONE, JOB_FAILED, JOB_DISCARDED };
const char *job_state_name(enum job_state state); // "queued", ...
enum job_state job_state_of(const char *name);    // JOB_FAILED: it is none of these

enum job_scope { JOB_OF_SERIES, JOB_OF_STUDY };
const char *job_scope_name(enum job_scope scope); // "series", "study"

// A series that a job takes, as it was when the job was made.
struct state_input {
    int slot;                                   // which of the inputs that the analysis declares
    int position;                               // among several series of one slot
    int64_t series;                             // its row
    int64_t last_instance;                      // instances up to this one belong to the job
    const char *series_instance_uid, *modality; // only read
};

struct state_job {
    int64_t id, run;
    enum job_scope scope;
    const char *study_instance_uid;  // of its inputs; only read
    const char *patient;             // a digest; only read
    int64_t series;                  // of its first input; only read
    const char *series_instance_uid; // of its first input; only read
    const char *route, *stage, *version;
    const char *parameters;   // one JSON object (see node/job/params.h)
    uint32_t results;         // enum result_kind bits
    const char *destinations; // AE titles, joined by '\\'
    const char *key;          // digest of all that determines the results
    const char *remark;       // a warning to be shown in the results; "": none
    const char *evidence;     // what decided that its inputs are complete
    int64_t priority;         // higher goes first
    enum job_state state;
    const char *outcome; // "": to be analysed; a verdict: only a report of it is still to be made
    int64_t attempts;    // analyses since it was queued
    int64_t refusals;    // attempts to make the report of outcome
    int64_t waits;       // times in a row that the machine could not (no space and the like)
    int64_t tries;       // ever: names its folder
    double not_before;
    const char *worker; // who has it, while it is running
    double lease_until; // past it the job may be taken from its worker
    const char *verdict, *reason, *device;
    double seconds;
    int64_t peak_bytes;
    double created_at, started_at, ended_at;
};

// Adds a queued job with its inputs, in the order in which they are given; the first is the one
// that lists of jobs show. Texts that are NULL are "". *id is 0 when there is one of the same key:
// it is not done twice.
//   ERR_INTERNAL no input, no such series, or series of several studies or patients
bool state_add_job(struct state *s, const struct state_job *job, const struct state_input *inputs,
                   size_t input_count, int64_t *id, struct err *err);

// Who claims, and what.
struct state_claim {
    const char *worker; // "<node>/<number>": state_jobs_recover() knows it by its beginning
    double now, lease_s;
    // Only jobs with attempts_from <= attempts < attempts_below; 0: no limit. A job of which only
    // the report is to be made belongs to everybody.
    int64_t attempts_from, attempts_below;
};

typedef bool state_job_fn(void *ctx, const struct state_job *row);
// Takes the queued job of the highest priority, of several the oldest, whose time has come and that
// shares no input with an unfinished earlier job of the same analysis. In one statement it becomes
// running, with worker, lease and one more attempt. each() gets its row; *id 0: there is none.
bool state_claim_job(struct state *s, const struct state_claim *claim, int64_t *id,
                     state_job_fn *each, void *ctx, struct err *err);
// Is there one that state_claim_job() would take?
bool state_claimable(struct state *s, const struct state_claim *claim, bool *found,
                     struct err *err);
// When the next job comes into its time, of those that only wait for it: > now; 0: none does.
bool state_next_job_time(struct state *s, double now, double *at, struct err *err);
bool state_get_job(struct state *s, int64_t id, state_job_fn *each, void *ctx, struct err *err);
// Newest first; limit 0: all.
bool state_each_job(struct state *s, size_t limit, state_job_fn *each, void *ctx, struct err *err);
// By slot and position.
bool state_each_input(struct state *s, int64_t job,
                      bool (*each)(void *ctx, const struct state_input *row), void *ctx,
                      struct err *err);

struct state_file { // an instance that a job takes
    int slot, position;
    const char *path; // below the data folder
    const char *sop_instance_uid, *sop_class_uid;
    uint8_t digest[DIGEST_SIZE];
};
// By slot, position and SOP Instance UID.
bool state_each_job_file(struct state *s, int64_t job,
                         bool (*each)(void *ctx, const struct state_file *row), void *ctx,
                         struct err *err);
// A job gathers a report: SOP Instance UID. In the transaction that adds the job.
bool state_add_report(struct state *s, int64_t job, const char *sop_instance_uid, struct err *err);
// The reports that a job gathers, by SOP Instance UID, a position each; digest is not set. path "":
// nobody knows it any more.
bool state_each_report(struct state *s, int64_t job,
                       bool (*each)(void *ctx, const struct state_file *row), void *ctx,
                       struct err *err);
// The newest SR that was sent, or is still to be sent, by the same analysis of the same series (of
// the same study, for JOB_OF_STUDY): its row of the outbox; of a job that gathers reports one of an
// earlier job. Of what was never sent, or discarded,
// nobody knows.
struct state_object;
bool state_predecessor(struct state *s, int64_t job,
                       bool (*each)(void *ctx, const struct state_object *row), void *ctx,
                       struct err *err);

enum job_requeue {
    REQUEUE_ATTEMPT, // the attempt counts
    REQUEUE_STOP,    // it was stopped and does not count
    REQUEUE_WAIT,    // the machine could not: it does not count, the wait does
};
// A running job is queued again.
bool state_job_requeue(struct state *s, int64_t id, enum job_requeue how, double not_before,
                       const char *reason, struct err *err);
// A job is queued again, only for a report of outcome ("failed", "not evaluable") and its reason.
bool state_job_refuse(struct state *s, int64_t id, const char *outcome, const char *reason,
                      struct err *err);
// Ends it; what gathers reports of its study is to be decided anew, in the same transaction.
bool state_job_end(struct state *s, int64_t id, enum job_state state, const char *verdict,
                   const char *reason, const char *device, double seconds, int64_t peak_bytes,
                   double now, struct err *err);
// All running jobs of workers whose name begins with prefix may keep them until then.
bool state_jobs_renew(struct state *s, const char *prefix, double until, struct err *err);
// Running jobs of workers whose name begins with prefix, or whose lease is over, are queued again.
// *count: how many.
bool state_jobs_recover(struct state *s, const char *prefix, double now, int *count,
                        struct err *err);
// Starts over with all attempts. Objects that wait for it stay.
bool state_job_again(struct state *s, int64_t id, struct err *err);
// The same for all failed jobs; *count: how many.
bool state_failed_jobs_again(struct state *s, int *count, struct err *err);

// Earlier results that a job is to be given

// A job waits for them: it is not claimed before that time. In the transaction that adds it.
bool state_prior_want(struct state *s, int64_t job, double until, struct err *err);
struct state_wanted {
    int64_t job, series; // its first input
    double until;
    const char *stage, *source; // AE title of the peer that sent the series
};
// Queued jobs that wait for theirs.
bool state_each_prior_wanted(struct state *s,
                             bool (*each)(void *ctx, const struct state_wanted *row), void *ctx,
                             struct err *err);
// They have come, or will not: the job need wait no longer. Nothing where it wants none, or has
// been given up waiting.
bool state_prior_answer(struct state *s, int64_t job, const char *list, const char *note,
                        struct err *err);
// What the job is given from now on, however often it runs: what has not come yet never will, and
// late is the note of it. each(): once, or never where it wants none; false: no memory.
bool state_prior_take(struct state *s, int64_t job, const char *late,
                      bool (*each)(void *ctx, const char *list, const char *note), void *ctx,
                      struct err *err);

// Collections: the series of a study that one job takes together

struct state_collection {
    int64_t id;
    const char *study_instance_uid, *route, *stage;
    double started_at; // when its first series was complete
    double grown_at;   // when the last instance came of those that are complete
};
struct state_member {
    int64_t series;
    int slot;             // which of the inputs that the analysis declares
    const char *evidence; // verdict on its completeness and why
    const char *series_instance_uid, *source;
    const char *route; // that the series took when it was last complete
};

// What gathers reports is collected for a whole study, whatever routes its series take: its route
// is "". It begins anew when a job of the study ends (state_job_end()).

// A complete series belongs to the collection of its study and patient for that route and analysis,
// which begins with it, or begins anew when its job has been made. Texts as in struct
// state_collection and state_member. It is complete now, its last instance came at `last`; both on
// the wall clock. *id: the collection.
bool state_collect(struct state *s, int64_t series, const char *route, const char *stage, int slot,
                   const char *evidence, double now, double last, int64_t *id, struct err *err);
// Those whose job is still to be made, oldest first.
bool state_each_collection(struct state *s,
                           bool (*each)(void *ctx, const struct state_collection *row), void *ctx,
                           struct err *err);
// By slot and Series Instance UID.
bool state_each_member(struct state *s, int64_t collection,
                       bool (*each)(void *ctx, const struct state_member *row), void *ctx,
                       struct err *err);
// Series of its study and patient that are being received.
bool state_each_sibling(struct state *s, int64_t collection,
                        bool (*each)(void *ctx, int64_t series), void *ctx, struct err *err);
// Whether a series of its study is still being received, or a job of the study that gathers no
// reports is still to be made or to end.
bool state_study_busy(struct state *s, int64_t collection, bool *busy, struct err *err);
// SOP Instance UIDs, in their order, of the reports (SR) that ended jobs of its study have given.
bool state_study_reports(struct state *s, int64_t collection,
                         bool (*each)(void *ctx, const char *sop_instance_uid), void *ctx,
                         struct err *err);
// A job of the study that has ended without a report, and no later one of its analysis on a series
// of its.
struct state_unreported {
    const char *stage, *series_instance_uid; // of its first input
    enum job_state state;
    const char *reason;
};
bool state_study_unreported(struct state *s, int64_t collection,
                            bool (*each)(void *ctx, const struct state_unreported *row), void *ctx,
                            struct err *err);
// Its job has been made, or there is none to make. Its members stay for a later run.
bool state_collection_end(struct state *s, int64_t id, struct err *err);

// Outbox

struct state_object {
    int64_t id, job;
    struct object_id object;
    const char *destination;
    int rank;          // sent in this order
    const char *path;  // below the data folder
    const char *state; // "pending", "sent", "failed", "discarded"
    int64_t attempts;
    double first_at; // first attempt; 0: none yet
    double next_at, sent_at;
    const char *reason;
};
typedef bool state_object_fn(void *ctx, const struct state_object *row);

bool state_add_object(struct state *s, const struct state_object *object, struct err *err);
// Destinations with pending objects and the time when the first of them is due. The objects of a
// job go to a destination in their order: one is due when those that go before it are.
bool state_each_destination(struct state *s,
                            bool (*each)(void *ctx, const char *destination, double next_at),
                            void *ctx, struct err *err);
bool state_each_due(struct state *s, const char *destination, double now, size_t limit,
                    state_object_fn *each, void *ctx, struct err *err);
bool state_each_object(struct state *s, int64_t job, state_object_fn *each, void *ctx,
                       struct err *err);
// Those of all jobs that are still to be sent, by job.
bool state_each_pending(struct state *s, state_object_fn *each, void *ctx, struct err *err);
// Files of a finished job that were still to be sent are lost: the job is queued again, for all of
// its results or for the report that it ended with. Until then nothing of it is sent; what was sent
// is not sent again.
bool state_job_remake(struct state *s, int64_t job, struct err *err);
bool state_object_sent(struct state *s, int64_t id, double now, const char *reason,
                       struct err *err);
bool state_object_retry(struct state *s, int64_t id, double now, double next_at, const char *reason,
                        struct err *err);
// A destination cannot be reached: what waits for it is not due before that time. Or it can be
// again: all that waits is due.
bool state_destination_waits(struct state *s, const char *destination, double until,
                             const char *reason, struct err *err);
bool state_destination_goes(struct state *s, const char *destination, struct err *err);
bool state_object_fail(struct state *s, int64_t id, double now, const char *reason,
                       struct err *err);
// All objects of a job: pending ones become discarded, or all become pending again.
bool state_objects_discard(struct state *s, int64_t job, struct err *err);
bool state_objects_again(struct state *s, int64_t job, int *count, struct err *err);
bool state_folder_known(struct state *s, const char *folder, bool *known, struct err *err);

struct state_outbox_count {
    int64_t pending, sent, failed, discarded;
    double oldest_pending; // first attempt
    char reason[160];      // why what waits was not sent, else why what failed was not
};
bool state_count_outbox(struct state *s, const char *destination, struct state_outbox_count *out,
                        struct err *err);
// How many there are, by state name: series, jobs or quarantine.
bool state_each_count(struct state *s, const char *table,
                      bool (*each)(void *ctx, const char *state, int64_t count), void *ctx,
                      struct err *err);

// Retention: finished series whose last instance, job and delivery are older than before.
bool state_expired(struct state *s, double before, bool (*each)(void *ctx, int64_t series),
                   void *ctx, struct err *err);
// Files and job folders of a series, then forgets the series. Remove them after the commit: a
// restart sweeps what has no row.
bool state_forget_series(struct state *s, int64_t series, bool (*each)(void *ctx, const char *path),
                         void *ctx, struct err *err);
