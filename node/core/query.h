// Prepared statements of the state database, for the state*.c files that are behind
// node/core/state.h, and for nobody else. Process and thread: as there.
#pragma once
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum query {
    Q_BEGIN,
    Q_COMMIT,
    Q_ROLLBACK,
    Q_PART_BEGIN,
    Q_PART_UNDO,
    Q_PART_END,
    Q_FIND_INSTANCE,
    Q_FIND_QUARANTINE,
    Q_ADD_QUARANTINE,
    Q_QUARANTINED,
    Q_QUARANTINE_SURPLUS,
    Q_FORGET_QUARANTINED,
    Q_FIND_SERIES,
    Q_ADD_SERIES,
    Q_GROW_SERIES,
    Q_SERIES_RELEASED,
    Q_ADD_INSTANCE,
    Q_REPLACE_FILE,
    Q_FILE_DAMAGED,
    Q_JOBS_MENDED,
    Q_INSTANCE_OF_PATH,
    Q_QUARANTINE_OF_PATH,
    Q_FILES,
    Q_KEPT,
    Q_SERIES_NEWEST,
    Q_SERIES_ARRIVING,
    Q_SERIES_GET,
    Q_SERIES_ATTRS,
    Q_SERIES_DELTAS,
    Q_SERIES_END,
    Q_SERIES_DIGESTS,
    Q_ADD_JOB,
    Q_ADD_INPUT,
    Q_STRANGE_INPUTS,
    Q_NEXT_JOB,
    Q_CLAIM_JOB,
    Q_NEXT_JOB_TIME,
    Q_JOB_GET,
    Q_JOBS_NEWEST,
    Q_INPUTS,
    Q_JOB_FILES,
    Q_STUDY_REPORTS,
    Q_STUDY_UNREPORTED,
    Q_ADD_REPORT,
    Q_JOB_REPORTS,
    Q_PREDECESSOR,
    Q_JOB_REQUEUE,
    Q_JOB_REFUSE,
    Q_JOB_END,
    Q_JOBS_RENEW,
    Q_JOBS_RECOVER,
    Q_JOB_AGAIN,
    Q_FAILED_JOBS_AGAIN,
    Q_PRIOR_WANT,
    Q_PRIOR_HOLD,
    Q_PRIOR_ANSWER,
    Q_PRIOR_FREE,
    Q_PRIOR_CLOSE,
    Q_PRIOR_GET,
    Q_PRIORS_WANTED,
    Q_COLLECT,
    Q_ADD_MEMBER,
    Q_COLLECTIONS,
    Q_MEMBERS,
    Q_SIBLINGS,
    Q_STUDY_BUSY,
    Q_COLLECTION_AGAIN,
    Q_COLLECTION_END,
    Q_ADD_OBJECT,
    Q_DESTINATIONS,
    Q_DUE,
    Q_OBJECTS,
    Q_PENDING,
    Q_OBJECTS_LOST,
    Q_JOB_REMAKE,
    Q_OBJECT_SENT,
    Q_OBJECT_RETRY,
    Q_DESTINATION_WAITS,
    Q_DESTINATION_GOES,
    Q_OBJECT_FAIL,
    Q_OBJECTS_DISCARD,
    Q_OBJECTS_AGAIN,
    Q_FOLDER_KNOWN,
    Q_COUNT_OUTBOX,
    Q_OUTBOX_TROUBLE,
    Q_COUNT_SERIES,
    Q_COUNT_JOBS,
    Q_COUNT_QUARANTINE,
    Q_EXPIRED,
    Q_PATHS_OF_SERIES,
    Q_ADD_GONE,
    Q_GONE,
    Q_GONE_CLEAR,
    Q_FORGET_OBJECTS,
    Q_FORGET_JOBS,
    Q_FORGET_INSTANCES,
    Q_FORGET_MEMBER,
    Q_FORGET_COLLECTIONS,
    Q_FORGET_SERIES,
    Q_COUNT
};

struct state {
    sqlite3 *db;
    bool soft; // of the transaction that is open
    sqlite3_stmt *statements[Q_COUNT];
};

// Sets what SQLite says about its last error: ERR_FULL or ERR_DATABASE. False.
bool query_fail(struct state *s, const char *what, struct err *err);
// Runs commands that have no parameters and give no rows.
bool query_execute(struct state *s, const char *commands, struct err *err);

// Prepares the query once and binds what format names: i int64_t, d double, t text,
// b pointer and size_t. NULL with *err.
sqlite3_stmt *query_bind(struct state *s, struct err *err, enum query q, const char *format, ...);
int64_t query_limit(size_t limit); // for LIMIT: 0 is all

enum query_step { QUERY_ROW, QUERY_END, QUERY_FAILED };
// The next row of what query_bind() gave; NULL: it failed. Who leaves at a row calls
// sqlite3_reset().
enum query_step query_step(struct state *s, sqlite3_stmt *stmt, struct err *err);
// For statements without rows.
bool query_done(struct state *s, sqlite3_stmt *stmt, struct err *err);
// Whether there is a row.
bool query_found(struct state *s, sqlite3_stmt *stmt, bool *found, struct err *err);
// Text of a column, "" for NULL; until the next step.
const char *query_text(sqlite3_stmt *stmt, int column);

// All rows, until somebody has seen enough:
//     while (query_next(&walk))
//         walk.on = each(ctx, query_text(stmt, 0));
//     return walk.ok;
struct query_walk {
    struct state *s;
    sqlite3_stmt *stmt;
    struct err *err;
    bool on; // false: this row was the last that is wanted
    bool ok; // false: a step failed, and *err says why
};
struct query_walk query_walk(struct state *s, sqlite3_stmt *stmt, struct err *err);
bool query_next(struct query_walk *walk);
