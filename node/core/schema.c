#include "node/core/schema.h"
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>
#include "node/core/query.h"
#include "node/core/state.h"

#define SCHEMA_VERSION 8

// Jobs and what they take. A job_input is never changed.
#define JOB_TABLES                                                                                 \
    "CREATE TABLE job("                                                                            \
    " id INTEGER PRIMARY KEY AUTOINCREMENT, scope TEXT NOT NULL, study_uid TEXT NOT NULL,"         \
    " patient TEXT NOT NULL, run INTEGER NOT NULL, route TEXT NOT NULL, stage TEXT NOT NULL,"      \
    " version TEXT NOT NULL, parameters TEXT NOT NULL, results INTEGER NOT NULL,"                  \
    " destinations TEXT NOT NULL, key TEXT NOT NULL UNIQUE, remark TEXT NOT NULL,"                 \
    " evidence TEXT NOT NULL, priority INTEGER NOT NULL, state TEXT NOT NULL DEFAULT 'queued',"    \
    " outcome TEXT NOT NULL DEFAULT '', attempts INTEGER NOT NULL DEFAULT 0,"                      \
    " refusals INTEGER NOT NULL DEFAULT 0, waits INTEGER NOT NULL DEFAULT 0,"                      \
    " tries INTEGER NOT NULL DEFAULT 0, not_before REAL NOT NULL DEFAULT 0,"                       \
    " worker TEXT NOT NULL DEFAULT '', lease_until REAL NOT NULL DEFAULT 0,"                       \
    " verdict TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '',"                          \
    " device TEXT NOT NULL DEFAULT '', seconds REAL NOT NULL DEFAULT 0,"                           \
    " peak INTEGER NOT NULL DEFAULT 0, created_at REAL NOT NULL,"                                  \
    " started_at REAL NOT NULL DEFAULT 0, ended_at REAL NOT NULL DEFAULT 0);"                      \
    "CREATE TABLE job_input("                                                                      \
    " job INTEGER NOT NULL REFERENCES job(id) ON DELETE CASCADE, slot INTEGER NOT NULL,"           \
    " position INTEGER NOT NULL, ord INTEGER NOT NULL, series INTEGER NOT NULL REFERENCES "        \
    "series(id),"                                                                                  \
    " last_instance INTEGER NOT NULL, PRIMARY KEY(job, slot, position)) WITHOUT ROWID;"
// What is collected for a job of a study; open: its job is still to be made.
#define COLLECTION_TABLES                                                                          \
    "CREATE TABLE collection("                                                                     \
    " id INTEGER PRIMARY KEY AUTOINCREMENT, study_uid TEXT NOT NULL, patient TEXT NOT NULL,"       \
    " route TEXT NOT NULL, stage TEXT NOT NULL, started_at REAL NOT NULL,"                         \
    " grown_at REAL NOT NULL, open INTEGER NOT NULL, UNIQUE(study_uid, patient, route, stage));"   \
    "CREATE TABLE collection_member("                                                              \
    " collection INTEGER NOT NULL REFERENCES collection(id) ON DELETE CASCADE,"                    \
    " series INTEGER NOT NULL REFERENCES series(id), slot INTEGER NOT NULL,"                       \
    " evidence TEXT NOT NULL, PRIMARY KEY(collection, series)) WITHOUT ROWID;"                     \
    "CREATE INDEX collection_member_series ON collection_member(series);"
// Files of forgotten instances that may still be there.
#define GONE_TABLE "CREATE TABLE gone(path TEXT PRIMARY KEY) WITHOUT ROWID;"
// Earlier results that a job is to be given: answered 0: still to come, or never.
#define PRIOR_TABLE                                                                                \
    "CREATE TABLE prior("                                                                          \
    " job INTEGER PRIMARY KEY REFERENCES job(id) ON DELETE CASCADE, until REAL NOT NULL,"          \
    " answered INTEGER NOT NULL DEFAULT 0, list TEXT NOT NULL DEFAULT '',"                         \
    " note TEXT NOT NULL DEFAULT '');"
// Reports that a job gathers, as they were when it was made: never changed.
#define REPORT_TABLE                                                                               \
    "CREATE TABLE job_report("                                                                     \
    " job INTEGER NOT NULL REFERENCES job(id) ON DELETE CASCADE, sop_uid TEXT NOT NULL,"           \
    " PRIMARY KEY(job, sop_uid)) WITHOUT ROWID;"
#define JOB_INDICES                                                                                \
    "CREATE INDEX job_state ON job(state);"                                                        \
    "CREATE INDEX job_study ON job(study_uid);"                                                    \
    "CREATE INDEX job_input_series ON job_input(series);"

static const char schema[] =
    "CREATE TABLE series("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, series_uid TEXT NOT NULL, study_uid TEXT NOT NULL,"
    " patient TEXT NOT NULL, modality TEXT NOT NULL, source TEXT NOT NULL, address TEXT NOT NULL,"
    " state TEXT NOT NULL DEFAULT 'receiving', first_at REAL NOT NULL, last_at REAL NOT NULL,"
    " run_at REAL NOT NULL, instances INTEGER NOT NULL, runs INTEGER NOT NULL DEFAULT 0,"
    " completeness TEXT NOT NULL DEFAULT '', evidence TEXT NOT NULL DEFAULT '',"
    " route TEXT NOT NULL DEFAULT '', why TEXT NOT NULL DEFAULT '',"
    " attrs_uid TEXT NOT NULL, attrs BLOB NOT NULL, interrupted INTEGER NOT NULL DEFAULT 1,"
    " UNIQUE(series_uid, study_uid, patient));"
    "CREATE INDEX series_state ON series(state);"
    "CREATE TABLE instance("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, series INTEGER NOT NULL REFERENCES series(id),"
    " sop_uid TEXT NOT NULL UNIQUE, sop_class TEXT NOT NULL, transfer_syntax TEXT NOT NULL,"
    " digest BLOB NOT NULL, path TEXT NOT NULL UNIQUE, bytes INTEGER NOT NULL,"
    " number INTEGER NOT NULL, calling TEXT NOT NULL, address TEXT NOT NULL, at REAL NOT NULL,"
    " attrs BLOB NOT NULL DEFAULT x'');" // what differs from those of the series
    "CREATE INDEX instance_series ON instance(series, sop_uid);"
    "CREATE TABLE quarantine("
    " id INTEGER PRIMARY KEY, sop_uid TEXT NOT NULL, digest BLOB NOT NULL,"
    " path TEXT NOT NULL UNIQUE, calling TEXT NOT NULL, address TEXT NOT NULL, at REAL NOT NULL,"
    " reason TEXT NOT NULL, bytes INTEGER NOT NULL DEFAULT 0, UNIQUE(sop_uid, digest));" JOB_TABLES
        JOB_INDICES COLLECTION_TABLES PRIOR_TABLE REPORT_TABLE "CREATE TABLE outbox("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL REFERENCES job(id),"
    " destination TEXT NOT NULL, kind TEXT NOT NULL, rank INTEGER NOT NULL, path TEXT NOT NULL,"
    " sop_class TEXT NOT NULL, sop_uid TEXT NOT NULL, series_uid TEXT NOT NULL,"
    " study_uid TEXT NOT NULL, transfer_syntax TEXT NOT NULL,"
    " state TEXT NOT NULL DEFAULT 'pending', attempts INTEGER NOT NULL DEFAULT 0,"
    " first_at REAL NOT NULL DEFAULT 0, next_at REAL NOT NULL DEFAULT 0,"
    " sent_at REAL NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '',"
    " UNIQUE(job, destination, sop_uid));"
    "CREATE INDEX outbox_due ON outbox(state, destination, next_at);"
    "CREATE INDEX outbox_path ON outbox(path);" GONE_TABLE;

// Version 1 had one series a job, and its options as "name=value;name=value". Rows of the outbox
// refer to job by name, so the new table takes the name of the old one. Foreign keys must be off.
static const char migrate_1_to_2[] =
    "CREATE TEMP TABLE job_1 AS SELECT * FROM job;"
    "CREATE TEMP TABLE job_1_last AS SELECT seq FROM sqlite_sequence WHERE name = 'job';"
    "DROP TABLE job;" JOB_TABLES
    "INSERT INTO job(id, scope, study_uid, patient, run, route, stage, version, parameters,"
    " results, destinations, key, remark, evidence, priority, state, attempts, tries, not_before,"
    " verdict, reason, device, seconds, peak, created_at, started_at, ended_at)"
    " SELECT j.id, 'series', s.study_uid, s.patient, j.run, j.route, j.stage, j.version,"
    " options_to_json(j.options), j.results, j.destinations, j.key, j.remark, s.evidence, 0,"
    " j.state, j.attempts, j.tries, j.not_before, j.verdict, j.reason, j.device, j.seconds,"
    " j.peak, j.created_at, j.started_at, j.ended_at FROM job_1 j JOIN series s ON s.id = j.series;"
    "INSERT INTO job_input(job, slot, position, ord, series, last_instance)"
    " SELECT id, 0, 0, 0, series, last_instance FROM job_1;"
    "DELETE FROM sqlite_sequence WHERE name = 'job';" // no number is given twice
    "INSERT INTO sqlite_sequence(name, seq) SELECT 'job', seq FROM job_1_last;"
    "ALTER TABLE series ADD COLUMN run_at REAL NOT NULL DEFAULT 0;"
    "UPDATE series SET run_at = ifnull((SELECT min(i.at) FROM instance i WHERE i.series = series.id"
    " AND i.id > ifnull((SELECT max(j.last_instance) FROM job_1 j WHERE j.series = series.id), 0)),"
    " first_at);"
    "DROP TABLE job_1; DROP TABLE job_1_last;" JOB_INDICES COLLECTION_TABLES;

// Version 2 kept the attributes of one instance only: the others count as the same.
static const char migrate_2_to_3[] =
    "ALTER TABLE instance ADD COLUMN attrs BLOB NOT NULL DEFAULT x'';";

// Version 3 did not know the size of what is in quarantine.
static const char migrate_3_to_4[] =
    "ALTER TABLE quarantine ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;";

// Version 4 knew every file by its row: a file without one was nobody's. Now it may be an instance
// that is acknowledged, which an older program would remove: it must not open this.
static const char migrate_4_to_5[] = GONE_TABLE;

// Version 5 asked for no earlier results.
static const char migrate_5_to_6[] = PRIOR_TABLE;

// Version 6 gathered no reports.
static const char migrate_6_to_7[] = REPORT_TABLE;

// Version 7 did not know which transfers had ended in order: those that are over count as such.
static const char migrate_7_to_8[] =
    "ALTER TABLE series ADD COLUMN interrupted INTEGER NOT NULL DEFAULT 0;";

// SQL function options_to_json(text): options of version 1 as a JSON object. What reads as a number
// is one; version 1 wrote them with 9 digits.
static void options_to_json(sqlite3_context *context, int count, sqlite3_value **values)
{
    const char *options = (const char *)sqlite3_value_text(values[0]);
    char *copy = strdup(options ? options : ""), *rest = NULL, *end;
    json_t *object = json_object();
    bool ok = copy && object && count == 1;
    for (char *item = ok ? strtok_r(copy, ";", &rest) : NULL; ok && item;
         item = strtok_r(NULL, ";", &rest)) {
        char *value = strchr(item, '=');
        if (!value)
            continue;
        *value++ = 0;
        double number = strtod(value, &end);
        json_t *typed = !*value || *end                ? json_string(value)
                        : number == (json_int_t)number ? json_integer((json_int_t)number)
                                                       : json_real(number);
        ok = json_object_set_new(object, item, typed) == 0;
    }
    char *text = ok ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    if (text)
        sqlite3_result_text(context, text, -1, free);
    else
        sqlite3_result_error_nomem(context);
    json_decref(object);
    free(copy);
}

static bool database_version(struct state *s, int *version, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &stmt, NULL) != SQLITE_OK)
        return query_fail(s, "user_version", err);
    *version = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int(stmt, 0) : -1;
    sqlite3_finalize(stmt);
    return true;
}

bool schema_prepare(struct state *s, struct err *err)
{
    int version = -1;
    char mark[48];
    if (!database_version(s, &version, err))
        return false;
    if (version == SCHEMA_VERSION)
        return true;
    if (version < 0 || version > SCHEMA_VERSION)
        return err_set(err, ERR_DATABASE, "database: version %d, this program knows %d", version,
                       SCHEMA_VERSION);
    if (sqlite3_create_function(s->db, "options_to_json", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC,
                                NULL, options_to_json, NULL, NULL) != SQLITE_OK)
        return query_fail(s, "options_to_json", err);
    snprintf(mark, sizeof mark, "PRAGMA user_version = %d", SCHEMA_VERSION);
    bool ok = state_begin(s, err) && (version != 0 || query_execute(s, schema, err)) &&
              (version != 1 || query_execute(s, migrate_1_to_2, err)) &&
              (version == 0 || version > 2 || query_execute(s, migrate_2_to_3, err)) &&
              (version == 0 || version > 3 || query_execute(s, migrate_3_to_4, err)) &&
              (version == 0 || version > 4 || query_execute(s, migrate_4_to_5, err)) &&
              (version == 0 || version > 5 || query_execute(s, migrate_5_to_6, err)) &&
              (version == 0 || version > 6 || query_execute(s, migrate_6_to_7, err)) &&
              (version == 0 || query_execute(s, migrate_7_to_8, err)) &&
              query_execute(s, mark, err) && state_commit(s, err);
    if (!ok)
        state_rollback(s);
    return ok;
}
