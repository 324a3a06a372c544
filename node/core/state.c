#include "node/core/state.h"
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>
#include "base/log.h"
#include "node/job/patient.h"
#include "node/job/tally.h"

#define SCHEMA_VERSION 7

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
    " attrs_uid TEXT NOT NULL, attrs BLOB NOT NULL, UNIQUE(series_uid, study_uid, patient));"
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

#define SERIES_COLUMNS                                                                             \
    "SELECT id, series_uid, study_uid, modality, source, address, state, first_at, last_at,"       \
    " instances, runs, completeness, evidence, route, why, run_at FROM series"
#define JOB_COLUMNS                                                                                \
    "SELECT j.id, j.run, j.scope, j.study_uid, j.patient, i.series, s.series_uid, j.route,"        \
    " j.stage, j.version, j.parameters, j.results, j.destinations, j.key, j.remark, j.evidence,"   \
    " j.priority, j.state, j.outcome, j.attempts, j.refusals, j.waits, j.tries, j.not_before,"     \
    " j.worker, j.lease_until, j.verdict, j.reason, j.device, j.seconds, j.peak, j.created_at,"    \
    " j.started_at, j.ended_at FROM job j"                                                         \
    " JOIN job_input i ON i.job = j.id AND i.ord = 0 JOIN series s ON s.id = i.series"
// No unfinished earlier job of the same analysis has an input in common with job j.
#define JOB_IS_FREE                                                                                \
    " NOT EXISTS (SELECT 1 FROM job_input mine JOIN job_input its ON its.series = mine.series"     \
    " JOIN job e ON e.id = its.job WHERE mine.job = j.id AND e.id < j.id AND e.stage = j.stage"    \
    " AND e.state IN ('queued', 'running'))"
// ?1 now, ?2 attempts_from, ?3 attempts_below
#define NEXT_JOB                                                                                   \
    "SELECT j.id FROM job j WHERE j.state = 'queued' AND j.not_before <= ?1"                       \
    " AND (j.outcome <> '' OR (j.attempts >= ?2 AND (?3 = 0 OR j.attempts < ?3)))"                 \
    " AND" JOB_IS_FREE " ORDER BY j.priority DESC, j.id LIMIT 1"
#define WORKER_BEGINS(prefix) " substr(worker, 1, length(" prefix ")) = " prefix
#define OBJECT_COLUMNS                                                                             \
    "SELECT id, job, destination, kind, rank, path, sop_class, sop_uid, series_uid, study_uid,"    \
    " transfer_syntax, state, attempts, first_at, next_at, sent_at, reason FROM outbox"

// In a row of the outbox: its job is made again because files were lost, and this was sent before.
#define IS_SENT_ONCE "state = 'sent' AND (SELECT verdict FROM job WHERE job.id = outbox.job) <> ''"

// In a row o of the outbox and e of job: a report that the job has given.
#define IS_REPORTED                                                                                \
    " o.kind = 'sr' AND o.state <> 'discarded' AND e.state NOT IN ('queued', 'running')"
#define GATHERS_NONE " NOT EXISTS (SELECT 1 FROM job_report g WHERE g.job = e.id)"

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

static const char *const sql[Q_COUNT] = {
    [Q_BEGIN] = "BEGIN IMMEDIATE",
    [Q_COMMIT] = "COMMIT",
    [Q_ROLLBACK] = "ROLLBACK",
    [Q_PART_BEGIN] = "SAVEPOINT part",
    [Q_PART_UNDO] = "ROLLBACK TO part",
    [Q_PART_END] = "RELEASE part",
    [Q_FIND_INSTANCE] = "SELECT digest, path, series, bytes FROM instance WHERE sop_uid = ?",
    [Q_FIND_QUARANTINE] = "SELECT id FROM quarantine WHERE sop_uid = ? AND digest = ?",
    [Q_ADD_QUARANTINE] = "INSERT INTO quarantine(sop_uid, digest, path, calling, address, at,"
                         " reason, bytes) VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
    [Q_QUARANTINED] = "SELECT sop_uid, path, calling, address, at, reason, bytes FROM quarantine"
                      " ORDER BY id DESC LIMIT ?",
    [Q_QUARANTINE_SURPLUS] = "SELECT path FROM (SELECT path, at, sum(bytes) OVER (ORDER BY id DESC)"
                             " AS so_far, row_number() OVER (ORDER BY id DESC) AS place"
                             " FROM quarantine) WHERE at < ?1 OR (so_far > ?2 AND place > 1)",
    [Q_FORGET_QUARANTINED] = "DELETE FROM quarantine WHERE path = ?",
    [Q_FIND_SERIES] = "SELECT id, attrs FROM series"
                      " WHERE series_uid = ? AND study_uid = ? AND patient = ?",
    [Q_ADD_SERIES] = "INSERT INTO series(series_uid, study_uid, patient, modality, source, address,"
                     " first_at, last_at, run_at, instances, attrs_uid, attrs)"
                     " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?7, 1, ?8, ?9)",
    [Q_GROW_SERIES] = "UPDATE series SET instances = instances + 1, last_at = ?1,"
                      " run_at = iif(state = 'receiving', run_at, ?1), state = 'receiving'"
                      " WHERE id = ?2",
    [Q_ADD_INSTANCE] = "INSERT INTO instance(series, sop_uid, sop_class, transfer_syntax, digest,"
                       " path, bytes, number, calling, address, at, attrs)"
                       " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [Q_REPLACE_FILE] = "UPDATE instance SET path = ?, bytes = ? WHERE sop_uid = ?",
    [Q_FILE_DAMAGED] = "UPDATE instance SET bytes = -1 WHERE path = ? RETURNING id",
    // What said why there is no result is said again if that is still so.
    [Q_JOBS_MENDED] = "UPDATE job SET state = 'queued', outcome = '', attempts = 0, refusals = 0,"
                      " waits = 0, not_before = 0, verdict = '', reason = '' WHERE"
                      " state IN ('done', 'failed') AND verdict IN ('not evaluable', 'failed') AND"
                      " id IN (SELECT m.job FROM job_input m JOIN instance f ON"
                      " f.series = m.series AND f.id <= m.last_instance WHERE f.sop_uid = ?)"
                      " AND NOT EXISTS (SELECT 1 FROM job_input m JOIN instance f ON"
                      " f.series = m.series AND f.id <= m.last_instance WHERE m.job = job.id"
                      " AND f.bytes < 0)",
    [Q_INSTANCE_OF_PATH] = "SELECT id FROM instance WHERE path = ?",
    [Q_QUARANTINE_OF_PATH] = "SELECT id FROM quarantine WHERE path = ?",
    [Q_FILES] = "SELECT sop_uid, path, bytes FROM instance",
    [Q_KEPT] = "SELECT calling, sum(max(bytes, 0)) FROM instance GROUP BY calling",
    [Q_SERIES_NEWEST] = SERIES_COLUMNS " ORDER BY id DESC LIMIT ?",
    [Q_SERIES_ARRIVING] = SERIES_COLUMNS " WHERE state = 'receiving' ORDER BY id DESC LIMIT ?",
    [Q_SERIES_GET] = SERIES_COLUMNS " WHERE id = ?",
    [Q_SERIES_ATTRS] = "SELECT attrs FROM series WHERE id = ?",
    [Q_SERIES_DELTAS] = "SELECT attrs FROM instance WHERE series = ? ORDER BY sop_uid",
    [Q_SERIES_END] = "UPDATE series SET state = ?1, completeness = ?2, evidence = ?3, route = ?4,"
                     " why = ?5, modality = iif(?7 = '', modality, ?7), runs = runs + 1"
                     " WHERE id = ?6",
    [Q_SERIES_DIGESTS] = "SELECT digest, id FROM instance WHERE series = ? ORDER BY sop_uid",
    // A run of a series is counted there; of a study by the jobs that there are.
    [Q_ADD_JOB] =
        "INSERT INTO job(scope, study_uid, patient, run, route, stage, version, parameters,"
        " results, destinations, key, remark, evidence, priority, created_at)"
        " SELECT ?1, s.study_uid, s.patient, iif(?1 = 'series', s.runs + 1, (SELECT 1 +"
        " ifnull(max(e.run), 0) FROM job e WHERE e.scope = ?1 AND e.study_uid = s.study_uid AND"
        " e.patient = s.patient AND e.stage = ?4)), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13"
        " FROM series s WHERE s.id = ?2 AND NOT EXISTS (SELECT 1 FROM job WHERE key = ?9)",
    [Q_ADD_INPUT] = "INSERT INTO job_input(job, slot, position, ord, series, last_instance)"
                    " VALUES(?, ?, ?, ?, ?, ?)",
    [Q_STRANGE_INPUTS] = "SELECT 1 FROM job j JOIN job_input i ON i.job = j.id JOIN series s ON"
                         " s.id = i.series WHERE j.id = ? AND (s.study_uid <> j.study_uid OR"
                         " s.patient <> j.patient) LIMIT 1",
    [Q_NEXT_JOB] = NEXT_JOB,
    [Q_CLAIM_JOB] = "UPDATE job SET state = 'running', started_at = ?1, worker = ?4,"
                    " lease_until = ?5, attempts = attempts + (outcome = ''),"
                    " refusals = refusals + (outcome <> ''), tries = tries + 1"
                    " WHERE id = (" NEXT_JOB ") RETURNING id",
    [Q_NEXT_JOB_TIME] = "SELECT ifnull(min(j.not_before), 0) FROM job j WHERE j.state = 'queued'"
                        " AND j.not_before > ? AND" JOB_IS_FREE,
    [Q_JOB_GET] = JOB_COLUMNS " WHERE j.id = ?",
    [Q_JOBS_NEWEST] = JOB_COLUMNS " ORDER BY j.id DESC LIMIT ?",
    [Q_INPUTS] = "SELECT i.slot, i.position, i.series, i.last_instance, s.series_uid, s.modality"
                 " FROM job_input i JOIN series s ON s.id = i.series WHERE i.job = ?"
                 " ORDER BY i.slot, i.position",
    [Q_JOB_FILES] =
        "SELECT i.slot, i.position, f.path, f.digest, f.sop_uid, f.sop_class FROM job_input i"
        " JOIN instance f ON f.series = i.series AND f.id <= i.last_instance"
        " WHERE i.job = ? ORDER BY i.slot, i.position, f.sop_uid",
    // ?1 a collection. What gathers reports gathers none of what gathered some.
    [Q_STUDY_REPORTS] =
        "SELECT DISTINCT o.sop_uid FROM collection c JOIN job e ON e.study_uid = c.study_uid AND"
        " e.patient = c.patient JOIN outbox o ON o.job = e.id WHERE c.id = ?1 AND" IS_REPORTED
        " AND" GATHERS_NONE " ORDER BY o.sop_uid",
    // not of one whose analysis had a later job on a series of its
    [Q_STUDY_UNREPORTED] =
        "SELECT e.stage, s.series_uid, e.state, e.reason FROM collection c JOIN job e ON"
        " e.study_uid = c.study_uid AND e.patient = c.patient JOIN job_input i ON i.job = e.id AND"
        " i.ord = 0 JOIN series s ON s.id = i.series WHERE c.id = ?1 AND e.state NOT IN"
        " ('queued', 'running') AND" GATHERS_NONE
        " AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.job = e.id AND" IS_REPORTED
        ") AND NOT EXISTS (SELECT 1 FROM job_input mine JOIN job_input its ON its.series ="
        " mine.series JOIN job n ON n.id = its.job WHERE mine.job = e.id AND n.id > e.id AND"
        " n.stage = e.stage) ORDER BY e.id",
    [Q_ADD_REPORT] = "INSERT INTO job_report(job, sop_uid) VALUES(?, ?)",
    [Q_JOB_REPORTS] =
        "SELECT r.sop_uid, ifnull(o.path, ''), ifnull(o.sop_class, '') FROM job_report r"
        " LEFT JOIN (SELECT sop_uid, max(path) AS path, sop_class FROM outbox GROUP BY sop_uid) o"
        " ON o.sop_uid = r.sop_uid WHERE r.job = ? ORDER BY r.sop_uid",
    [Q_PREDECESSOR] = OBJECT_COLUMNS
    " WHERE kind = 'sr' AND state IN ('sent', 'pending') AND job IN (SELECT e.id FROM job e"
    " JOIN job j ON e.stage = j.stage AND e.scope = j.scope AND e.id <= j.id"
    " AND (e.id < j.id OR" GATHERS_NONE ")" // which names the one before it, however often it runs
    " AND e.study_uid = j.study_uid AND e.patient = j.patient WHERE j.id = ? AND"
    " (j.scope = 'study' OR EXISTS (SELECT 1 FROM job_input mine JOIN job_input its ON"
    " its.series = mine.series WHERE mine.job = j.id AND its.job = e.id)))"
    " ORDER BY job DESC, id DESC LIMIT 1",
    // ?1 enum job_requeue
    [Q_JOB_REQUEUE] = "UPDATE job SET state = 'queued', worker = '', lease_until = 0,"
                      " attempts = max(0, attempts - (?1 > 0 AND outcome = '')),"
                      " refusals = max(0, refusals - (?1 > 0 AND outcome <> '')),"
                      " waits = CASE ?1 WHEN 0 THEN 0 WHEN 1 THEN waits ELSE waits + 1 END,"
                      " not_before = ?2, reason = ?3 WHERE id = ?4",
    [Q_JOB_REFUSE] = "UPDATE job SET state = 'queued', worker = '', lease_until = 0, outcome = ?,"
                     " reason = ?, refusals = 0, waits = 0, not_before = 0 WHERE id = ?",
    [Q_JOB_END] = "UPDATE job SET state = ?, worker = '', lease_until = 0, verdict = ?,"
                  " reason = ?, device = ?, seconds = ?, peak = ?, ended_at = ? WHERE id = ?",
    [Q_JOBS_RENEW] =
        "UPDATE job SET lease_until = ?2 WHERE state = 'running' AND" WORKER_BEGINS("?1"),
    // An interruption is not the job's fault, unless it happens again and again.
    [Q_JOBS_RECOVER] = "UPDATE job SET state = 'queued', worker = '', lease_until = 0,"
                       " attempts = max(0, attempts - (outcome = '' AND tries - waits < 10)),"
                       " refusals = max(0, refusals - (outcome <> '' AND tries - waits < 10))"
                       " WHERE state = 'running' AND (lease_until < ?2 OR" WORKER_BEGINS("?1") ")",
    [Q_JOB_AGAIN] = "UPDATE job SET state = 'queued', outcome = '', attempts = 0, refusals = 0,"
                    " waits = 0, not_before = 0, verdict = '', reason = '' WHERE id = ?",
    [Q_FAILED_JOBS_AGAIN] =
        "UPDATE job SET state = 'queued', outcome = '', attempts = 0, refusals = 0, waits = 0,"
        " not_before = 0, verdict = '', reason = '' WHERE state = 'failed'",
    [Q_PRIOR_WANT] = "INSERT INTO prior(job, until) VALUES(?, ?)",
    [Q_PRIOR_HOLD] = "UPDATE job SET not_before = ?2 WHERE id = ?1 AND state = 'queued'",
    [Q_PRIOR_ANSWER] = "UPDATE prior SET answered = 1, list = ?2, note = ?3"
                       " WHERE job = ?1 AND answered = 0",
    // not of one that waits for another reason
    [Q_PRIOR_FREE] = "UPDATE job SET not_before = 0 WHERE id = ?1 AND state = 'queued' AND"
                     " not_before = (SELECT until FROM prior WHERE prior.job = job.id)",
    [Q_PRIOR_CLOSE] = "UPDATE prior SET answered = 1, note = ?2 WHERE job = ?1 AND answered = 0",
    [Q_PRIOR_GET] = "SELECT list, note FROM prior WHERE job = ?",
    [Q_PRIORS_WANTED] =
        "SELECT p.job, p.until, i.series, j.stage, s.source FROM prior p JOIN job j ON j.id = p.job"
        " JOIN job_input i ON i.job = j.id AND i.ord = 0 JOIN series s ON s.id = i.series"
        " WHERE p.answered = 0 AND j.state = 'queued' ORDER BY p.job",
    [Q_COLLECT] = "INSERT INTO collection(study_uid, patient, route, stage, started_at, grown_at,"
                  " open) SELECT study_uid, patient, ?2, ?3, ?4, ?5, 1 FROM series WHERE id = ?1"
                  " ON CONFLICT(study_uid, patient, route, stage) DO UPDATE SET"
                  " started_at = iif(open, started_at, ?4),"
                  " grown_at = iif(open, max(grown_at, ?5), ?5), open = 1 RETURNING id",
    [Q_ADD_MEMBER] = "INSERT INTO collection_member(collection, series, slot, evidence)"
                     " VALUES(?, ?, ?, ?) ON CONFLICT(collection, series) DO UPDATE SET"
                     " slot = excluded.slot, evidence = excluded.evidence",
    [Q_COLLECTIONS] = "SELECT id, study_uid, route, stage, started_at, grown_at FROM collection"
                      " WHERE open ORDER BY id",
    [Q_MEMBERS] = "SELECT m.series, m.slot, m.evidence, s.series_uid, s.source, s.route"
                  " FROM collection_member m JOIN series s ON s.id = m.series"
                  " WHERE m.collection = ? ORDER BY m.slot, s.series_uid",
    [Q_SIBLINGS] = "SELECT s.id FROM collection c JOIN series s ON s.study_uid = c.study_uid AND"
                   " s.patient = c.patient AND s.state = 'receiving' WHERE c.id = ?",
    [Q_STUDY_BUSY] =
        "SELECT 1 FROM collection c WHERE c.id = ? AND (EXISTS (SELECT 1 FROM series s WHERE"
        " s.study_uid = c.study_uid AND s.patient = c.patient AND s.state = 'receiving')"
        " OR EXISTS (SELECT 1 FROM collection o WHERE o.study_uid = c.study_uid AND"
        " o.patient = c.patient AND o.route <> '' AND o.open)"
        " OR EXISTS (SELECT 1 FROM job e WHERE e.study_uid = c.study_uid AND"
        " e.patient = c.patient AND e.state IN ('queued', 'running') AND" GATHERS_NONE "))",
    // ?1 a job that has ended, ?2 when
    [Q_COLLECTION_AGAIN] =
        "UPDATE collection SET started_at = iif(open, started_at, ?2), open = 1,"
        " grown_at = max(grown_at, ?2) WHERE route = '' AND EXISTS (SELECT 1 FROM job e WHERE"
        " e.id = ?1 AND e.study_uid = collection.study_uid AND e.patient = collection.patient "
        "AND" GATHERS_NONE ")",
    [Q_COLLECTION_END] = "UPDATE collection SET open = 0 WHERE id = ?",
    [Q_ADD_OBJECT] = "INSERT INTO outbox(job, destination, kind, rank, path, sop_class, sop_uid,"
                     " series_uid, study_uid, transfer_syntax)"
                     " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                     " ON CONFLICT(job, destination, sop_uid) DO UPDATE SET path = excluded.path,"
                     " state = iif(" IS_SENT_ONCE ", state, 'pending'),"
                     " attempts = iif(" IS_SENT_ONCE ", attempts, 0),"
                     " first_at = iif(" IS_SENT_ONCE ", first_at, 0),"
                     " reason = iif(" IS_SENT_ONCE ", reason, ''), next_at = 0",
    // The objects of a job keep their order: one waits for those that go before it.
    [Q_DESTINATIONS] = "SELECT destination, min(due) FROM (SELECT destination, max(next_at) OVER"
                       " (PARTITION BY destination, job ORDER BY rank, id) AS due FROM outbox"
                       " WHERE state = 'pending') GROUP BY destination",
    [Q_DUE] = OBJECT_COLUMNS " AS o WHERE state = 'pending' AND destination = ?1 AND next_at <= ?2"
                             " AND NOT EXISTS (SELECT 1 FROM outbox b WHERE b.job = o.job AND"
                             " b.destination = ?1 AND b.state = 'pending' AND b.next_at > ?2 AND"
                             " (b.rank < o.rank OR (b.rank = o.rank AND b.id < o.id)))"
                             " ORDER BY job, rank, id LIMIT ?3",
    [Q_OBJECTS] = OBJECT_COLUMNS " WHERE job = ? ORDER BY id",
    [Q_PENDING] = OBJECT_COLUMNS " WHERE state = 'pending' ORDER BY job, id",
    [Q_OBJECTS_LOST] = "UPDATE outbox SET state = 'discarded', reason = 'its file was lost'"
                       " WHERE job = ? AND state = 'pending'",
    // Its verdict stays until it has ended again: see IS_SENT_ONCE.
    [Q_JOB_REMAKE] = "UPDATE job SET state = 'queued', attempts = 0, refusals = 0, waits = 0,"
                     " not_before = 0, reason = iif(outcome = '', 'its results were lost', reason)"
                     " WHERE id = ? AND state IN ('done', 'failed')",
    [Q_OBJECT_SENT] = "UPDATE outbox SET state = 'sent', attempts = attempts + 1, sent_at = ?1,"
                      " first_at = iif(first_at = 0, ?1, first_at), reason = ?2 WHERE id = ?3",
    [Q_OBJECT_RETRY] = "UPDATE outbox SET attempts = attempts + 1,"
                       " first_at = iif(first_at = 0, ?1, first_at), next_at = ?2, reason = ?3"
                       " WHERE id = ?4 AND state = 'pending'",
    [Q_DESTINATION_WAITS] = "UPDATE outbox SET next_at = ?1, reason = ?2 WHERE destination = ?3"
                            " AND state = 'pending' AND next_at < ?1",
    [Q_DESTINATION_GOES] = "UPDATE outbox SET next_at = 0 WHERE destination = ?"
                           " AND state = 'pending'",
    [Q_OBJECT_FAIL] = "UPDATE outbox SET state = 'failed', attempts = attempts + 1,"
                      " first_at = iif(first_at = 0, ?1, first_at), reason = ?2"
                      " WHERE id = ?3 AND state = 'pending'",
    [Q_OBJECTS_DISCARD] = "UPDATE outbox SET state = 'discarded', reason = 'discarded by hand'"
                          " WHERE job = ? AND state = 'pending'",
    [Q_OBJECTS_AGAIN] = "UPDATE outbox SET state = 'pending', attempts = 0, first_at = 0,"
                        " next_at = 0, reason = '' WHERE job = ?",
    [Q_FOLDER_KNOWN] = "SELECT 1 FROM outbox WHERE path > ? AND path < ? LIMIT 1",
    [Q_COUNT_OUTBOX] = "SELECT state, count(*), min(first_at) FROM outbox WHERE destination = ?"
                       " GROUP BY state",
    [Q_OUTBOX_TROUBLE] = "SELECT reason FROM outbox WHERE destination = ? AND reason <> '' AND"
                         " state IN ('pending', 'failed')"
                         " ORDER BY state = 'pending' DESC, next_at DESC, id DESC LIMIT 1",
    [Q_COUNT_SERIES] = "SELECT state, count(*) FROM series GROUP BY state",
    [Q_COUNT_JOBS] = "SELECT state, count(*) FROM job GROUP BY state",
    [Q_COUNT_QUARANTINE] = "SELECT 'kept', count(*) FROM quarantine",
    // A job of several series keeps them until all of them are old; so does a collection.
    [Q_EXPIRED] = "SELECT id FROM series s WHERE state <> 'receiving' AND last_at < ?1"
                  " AND NOT EXISTS (SELECT 1 FROM collection_member m JOIN collection c ON"
                  " c.id = m.collection WHERE m.series = s.id AND c.open)"
                  " AND NOT EXISTS (SELECT 1 FROM job_input i JOIN job j ON j.id = i.job"
                  " WHERE i.series = s.id AND"
                  " (j.state IN ('queued', 'running') OR j.ended_at >= ?1 OR EXISTS"
                  " (SELECT 1 FROM outbox o WHERE o.job = j.id AND"
                  " (o.state = 'pending' OR o.sent_at >= ?1)) OR EXISTS"
                  " (SELECT 1 FROM job_input its JOIN series b ON b.id = its.series WHERE"
                  " its.job = j.id AND (b.state = 'receiving' OR b.last_at >= ?1))))",
    [Q_PATHS_OF_SERIES] = "SELECT path FROM instance WHERE series = ?1 UNION ALL"
                          " SELECT DISTINCT 'outbox/' || job FROM job_input WHERE series = ?1",
    [Q_ADD_GONE] = "INSERT OR IGNORE INTO gone(path) SELECT path FROM instance WHERE series = ?",
    [Q_GONE] = "SELECT path FROM gone",
    [Q_GONE_CLEAR] = "DELETE FROM gone",
    // ?1 the series; jobs go with the first of their series
    [Q_FORGET_OBJECTS] = "DELETE FROM outbox WHERE job IN"
                         " (SELECT job FROM job_input WHERE series = ?1)",
    [Q_FORGET_JOBS] = "DELETE FROM job WHERE id IN (SELECT job FROM job_input WHERE series = ?1)",
    [Q_FORGET_INSTANCES] = "DELETE FROM instance WHERE series = ?",
    [Q_FORGET_MEMBER] = "DELETE FROM collection_member WHERE series = ?",
    [Q_FORGET_COLLECTIONS] = "DELETE FROM collection WHERE id NOT IN"
                             " (SELECT collection FROM collection_member)",
    [Q_FORGET_SERIES] = "DELETE FROM series WHERE id = ?",
};

struct state {
    sqlite3 *db;
    bool soft; // of the transaction that is open
    sqlite3_stmt *statements[Q_COUNT];
};

static bool fail(struct state *s, const char *what, struct err *err)
{
    int code = sqlite3_errcode(s->db) & 0xff;
    return err_set(err, code == SQLITE_FULL ? ERR_FULL : ERR_DATABASE, "database: %s: %s", what,
                   sqlite3_errmsg(s->db));
}

static int bind_one(sqlite3_stmt *stmt, int index, char type, va_list *args)
{
    // NOLINTBEGIN(clang-analyzer-valist.Uninitialized): started by the caller, bind()
    if (type == 'i')
        return sqlite3_bind_int64(stmt, index, va_arg(*args, int64_t));
    if (type == 'd')
        return sqlite3_bind_double(stmt, index, va_arg(*args, double));
    if (type == 't')
        return sqlite3_bind_text(stmt, index, va_arg(*args, const char *), -1, SQLITE_TRANSIENT);
    const void *blob = va_arg(*args, const void *);
    size_t size = va_arg(*args, size_t);
    // NOLINTEND(clang-analyzer-valist.Uninitialized)
    return size ? sqlite3_bind_blob64(stmt, index, blob, size, SQLITE_TRANSIENT)
                : sqlite3_bind_zeroblob(stmt, index, 0);
}

// Prepares the query once and binds what format names: i int64_t, d double, t text,
// b pointer and size_t. NULL with *err.
static sqlite3_stmt *bind(struct state *s, struct err *err, enum query q, const char *format, ...)
{
    sqlite3_stmt **stmt = &s->statements[q];
    if (!*stmt &&
        sqlite3_prepare_v3(s->db, sql[q], -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL) != SQLITE_OK) {
        fail(s, "prepare", err);
        return NULL;
    }
    va_list args;
    va_start(args, format);
    int rc = SQLITE_OK;
    for (int i = 1; format[i - 1] && rc == SQLITE_OK; i++)
        rc = bind_one(*stmt, i, format[i - 1], &args);
    va_end(args);
    if (rc != SQLITE_OK) {
        fail(s, "bind", err);
        sqlite3_reset(*stmt);
        return NULL;
    }
    return *stmt;
}

enum step { STEP_ROW, STEP_END, STEP_FAILED };

static enum step step(struct state *s, sqlite3_stmt *stmt, struct err *err)
{
    if (!stmt)
        return STEP_FAILED;
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        return STEP_ROW;
    if (rc != SQLITE_DONE)
        fail(s, "step", err); // before the reset, which clears nothing but may set anew
    sqlite3_reset(stmt);
    return rc == SQLITE_DONE ? STEP_END : STEP_FAILED;
}

// For statements without rows.
static bool done(struct state *s, sqlite3_stmt *stmt, struct err *err)
{
    enum step result = step(s, stmt, err);
    if (result == STEP_ROW)
        sqlite3_reset(stmt);
    return result != STEP_FAILED;
}

static const char *text(sqlite3_stmt *stmt, int column)
{
    const unsigned char *value = sqlite3_column_text(stmt, column);
    return value ? (const char *)value : "";
}

static bool blob_is(sqlite3_stmt *stmt, int column, const uint8_t digest[DIGEST_SIZE])
{
    const void *value = sqlite3_column_blob(stmt, column);
    return value && sqlite3_column_bytes(stmt, column) == DIGEST_SIZE &&
           memcmp(value, digest, DIGEST_SIZE) == 0;
}

static bool execute(struct state *s, const char *commands, struct err *err)
{
    return sqlite3_exec(s->db, commands, NULL, NULL, NULL) == SQLITE_OK || fail(s, commands, err);
}

static bool pragma_is(struct state *s, const char *pragma, const char *wanted, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(s->db, pragma, -1, &stmt, NULL) != SQLITE_OK)
        return fail(s, pragma, err);
    bool ok = sqlite3_step(stmt) == SQLITE_ROW && strcmp(text(stmt, 0), wanted) == 0;
    if (!ok)
        err_set(err, ERR_DATABASE, "database: %s is not %s", pragma, wanted);
    sqlite3_finalize(stmt);
    return ok;
}

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
        return fail(s, "user_version", err);
    *version = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int(stmt, 0) : -1;
    sqlite3_finalize(stmt);
    return true;
}

// Makes the tables, or brings those of an older version up to this one, in one transaction. Foreign
// keys are off, as SQLite wants it where a table is replaced.
static bool prepare_schema(struct state *s, struct err *err)
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
        return fail(s, "options_to_json", err);
    snprintf(mark, sizeof mark, "PRAGMA user_version = %d", SCHEMA_VERSION);
    bool ok = state_begin(s, err) && (version != 0 || execute(s, schema, err)) &&
              (version != 1 || execute(s, migrate_1_to_2, err)) &&
              (version == 0 || version > 2 || execute(s, migrate_2_to_3, err)) &&
              (version == 0 || version > 3 || execute(s, migrate_3_to_4, err)) &&
              (version == 0 || version > 4 || execute(s, migrate_4_to_5, err)) &&
              (version == 0 || version > 5 || execute(s, migrate_5_to_6, err)) &&
              (version == 0 || execute(s, migrate_6_to_7, err)) && execute(s, mark, err) &&
              state_commit(s, err);
    if (!ok)
        state_rollback(s);
    return ok;
}

struct state *state_open(const char *path, struct err *err)
{
    struct state *s = calloc(1, sizeof *s);
    if (!s) {
        err_set(err, ERR_NOMEM, "database: no memory");
        return NULL;
    }
    if (sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
        SQLITE_OK) {
        fail(s, path, err);
        state_close(s);
        return NULL;
    }
    sqlite3_busy_timeout(s->db, 5000); // somebody looks at it with the sqlite3 tool
    bool ok = pragma_is(s, "PRAGMA journal_mode = WAL", "wal", err) &&
              execute(s, "PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF", err) &&
              pragma_is(s, "PRAGMA synchronous", "2", err) &&
              pragma_is(s, "PRAGMA quick_check(1)", "ok", err) && prepare_schema(s, err) &&
              execute(s, "PRAGMA foreign_keys = ON", err);
    if (!ok) {
        state_close(s);
        return NULL;
    }
    return s;
}

void state_close(struct state *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < Q_COUNT; i++)
        sqlite3_finalize(s->statements[i]);
    sqlite3_close(s->db);
    free(s);
}

// After a soft transaction. To go on without would be to promise what does not hold.
static void state_harden(struct state *s)
{
    if (!s->soft)
        return;
    if (!execute(s, "PRAGMA synchronous = FULL", NULL)) {
        log_error("database: commits would not be synced any more");
        abort();
    }
    s->soft = false;
}

bool state_begin(struct state *s, struct err *err)
{
    return done(s, bind(s, err, Q_BEGIN, ""), err);
}

bool state_begin_soft(struct state *s, struct err *err)
{
    if (!execute(s, "PRAGMA synchronous = NORMAL", err))
        return false;
    s->soft = true;
    if (state_begin(s, err))
        return true;
    state_harden(s);
    return false;
}

bool state_commit(struct state *s, struct err *err)
{
    if (done(s, bind(s, err, Q_COMMIT, ""), err)) {
        state_harden(s);
        return true;
    }
    state_rollback(s);
    return false;
}

void state_rollback(struct state *s)
{
    if (!sqlite3_get_autocommit(s->db)) // SQLite rolls back by itself after some errors
        done(s, bind(s, NULL, Q_ROLLBACK, ""), NULL);
    state_harden(s);
}

bool state_settle(struct state *s, struct err *err)
{
    sqlite3_file *wal = NULL;
    if (sqlite3_file_control(s->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, (void *)&wal) !=
        SQLITE_OK)
        return fail(s, "write-ahead log", err);
    if (!wal || !wal->pMethods)
        return true; // nothing was ever written
    return wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL) == SQLITE_OK ||
           err_set(err, ERR_DATABASE, "database: the write-ahead log cannot be synced");
}

bool state_part_begin(struct state *s, struct err *err)
{
    return done(s, bind(s, err, Q_PART_BEGIN, ""), err);
}

bool state_part_end(struct state *s, bool stays, struct err *err)
{
    if (sqlite3_get_autocommit(s->db)) // SQLite has rolled all of it back
        return err_set(err, ERR_DATABASE, "the transaction was undone");
    return (stays || done(s, bind(s, err, Q_PART_UNDO, ""), err)) &&
           done(s, bind(s, err, Q_PART_END, ""), err);
}

// Instances

// *id 0: there is none yet. base: its attributes.
static bool find_series(struct state *s, const struct state_instance *in, const char *patient,
                        int64_t *id, struct attrs *base, struct err *err)
{
    *id = 0;
    sqlite3_stmt *stmt = bind(s, err, Q_FIND_SERIES, "ttt", in->id.series_instance_uid,
                              in->id.study_instance_uid, patient);
    enum step result = step(s, stmt, err);
    if (result != STEP_ROW)
        return result == STEP_END;
    *id = sqlite3_column_int64(stmt, 0);
    const void *packed = sqlite3_column_blob(stmt, 1);
    bool ok = attrs_unpack(base, packed, (size_t)sqlite3_column_bytes(stmt, 1));
    sqlite3_reset(stmt);
    return ok || err_set(err, ERR_NOMEM, "attributes of series %lld", (long long)*id);
}

// delta: what the instance has other than its series.
static bool grow_series(struct state *s, const struct state_instance *in, int64_t *series,
                        struct attrs *delta, struct err *err)
{
    char patient[2 * DIGEST_SIZE + 1];
    struct attrs base = {0};
    bool ok =
        patient_key(in->attrs, patient, err) && find_series(s, in, patient, series, &base, err);
    if (ok && *series == 0) {
        ok =
            done(s,
                 bind(s, err, Q_ADD_SERIES, "ttttttdtb", in->id.series_instance_uid,
                      in->id.study_instance_uid, patient, in->id.modality, in->calling, in->address,
                      in->at, in->id.sop_instance_uid, in->attrs->packed, in->attrs->size),
                 err);
        *series = sqlite3_last_insert_rowid(s->db);
    } else if (ok) {
        ok = (tally_delta(&base, in->attrs, delta) ||
              err_set(err, ERR_NOMEM, "no memory for attributes")) &&
             done(s, bind(s, err, Q_GROW_SERIES, "di", in->at, *series), err);
    }
    attrs_finish(&base);
    return ok;
}

static bool quarantine(struct state *s, const struct state_instance *in,
                       const char *quarantine_path, struct state_recorded *out, struct err *err)
{
    sqlite3_stmt *stmt = bind(s, err, Q_FIND_QUARANTINE, "tb", in->id.sop_instance_uid, in->digest,
                              (size_t)DIGEST_SIZE);
    enum step result = step(s, stmt, err);
    if (result == STEP_FAILED)
        return false;
    snprintf(out->reason, sizeof out->reason,
             "same SOP Instance UID as an instance that is here, other content");
    if (result == STEP_ROW) {
        sqlite3_reset(stmt);
        out->what = RECORD_CONFLICTED;
        return true;
    }
    out->what = RECORD_CONFLICT;
    return done(s,
                bind(s, err, Q_ADD_QUARANTINE, "tbtttdti", in->id.sop_instance_uid, in->digest,
                     (size_t)DIGEST_SIZE, quarantine_path, in->calling, in->address, in->at,
                     out->reason, (int64_t)in->bytes),
                err);
}

bool state_each_quarantined(struct state *s, size_t limit,
                            bool (*each)(void *ctx, const struct state_quarantined *row), void *ctx,
                            struct err *err)
{
    sqlite3_stmt *stmt = bind(s, err, Q_QUARANTINED, "i", limit ? (int64_t)limit : -1);
    enum step result;
    while ((result = step(s, stmt, err)) == STEP_ROW) {
        struct state_quarantined row = {.sop_instance_uid = text(stmt, 0),
                                        .path = text(stmt, 1),
                                        .calling = text(stmt, 2),
                                        .address = text(stmt, 3),
                                        .at = sqlite3_column_double(stmt, 4),
                                        .reason = text(stmt, 5),
                                        .bytes = sqlite3_column_int64(stmt, 6)};
        if (!each(ctx, &row)) {
            sqlite3_reset(stmt);
            return true;
        }
    }
    return result == STEP_END;
}

// One of the surplus, "": there is none.
static bool quarantine_surplus(struct state *s, double before, uint64_t most_bytes, char path[64],
                               struct err *err)
{
    const int64_t most = most_bytes > INT64_MAX ? INT64_MAX : (int64_t)most_bytes;
    sqlite3_stmt *stmt = bind(s, err, Q_QUARANTINE_SURPLUS, "di", before, most);
    const enum step result = step(s, stmt, err);
    snprintf(path, 64, "%s", result == STEP_ROW ? text(stmt, 0) : "");
    if (result == STEP_ROW)
        sqlite3_reset(stmt);
    return result != STEP_FAILED;
}

bool state_trim_quarantine(struct state *s, double before, uint64_t most_bytes,
                           bool (*each)(void *ctx, const char *path), void *ctx, struct err *err)
{
    char path[64];
    for (;;) {
        if (!quarantine_surplus(s, before, most_bytes, path, err))
            return false;
        if (!path[0])
            return true;
        if (!done(s, bind(s, err, Q_FORGET_QUARANTINED, "t", path), err))
            return false;
        if (!each(ctx, path))
            return err_set(err, ERR_NOMEM, "no memory for a file name");
    }
}

bool state_record(struct state *s, const struct state_instance *in, const char *quarantine_path,
                  struct state_recorded *out, struct err *err)
{
    memset(out, 0, sizeof *out);
    sqlite3_stmt *stmt = bind(s, err, Q_FIND_INSTANCE, "t", in->id.sop_instance_uid);
    enum step result = step(s, stmt, err);
    if (result == STEP_FAILED)
        return false;
    if (result == STEP_ROW) {
        bool equal = blob_is(stmt, 0, in->digest);
        snprintf(out->path, sizeof out->path, "%s", text(stmt, 1));
        out->series = sqlite3_column_int64(stmt, 2);
        out->bytes = sqlite3_column_int64(stmt, 3);
        sqlite3_reset(stmt);
        out->what = RECORD_DUPLICATE;
        return equal || quarantine(s, in, quarantine_path, out, err);
    }
    out->what = RECORD_STORED;
    struct attrs delta = {0};
    bool ok =
        grow_series(s, in, &out->series, &delta, err) &&
        done(s,
             bind(s, err, Q_ADD_INSTANCE, "itttbtiittdb", out->series, in->id.sop_instance_uid,
                  in->id.sop_class_uid, in->id.transfer_syntax_uid, in->digest, (size_t)DIGEST_SIZE,
                  in->path, (int64_t)in->bytes, (int64_t)in->instance_number, in->calling,
                  in->address, in->at, delta.packed, delta.size),
             err);
    attrs_finish(&delta);
    return ok;
}

bool state_replace_file(struct state *s, const char *sop_instance_uid, const char *path,
                        uint64_t bytes, int *jobs, struct err *err)
{
    bool ok =
        done(s, bind(s, err, Q_REPLACE_FILE, "tit", path, (int64_t)bytes, sop_instance_uid), err) &&
        done(s, bind(s, err, Q_JOBS_MENDED, "t", sop_instance_uid), err);
    *jobs = ok ? sqlite3_changes(s->db) : 0;
    return ok;
}

bool state_each_gone(struct state *s, bool (*each)(void *ctx, const char *path), void *ctx,
                     struct err *err)
{
    sqlite3_stmt *stmt = bind(s, err, Q_GONE, "");
    enum step result;
    while ((result = step(s, stmt, err)) == STEP_ROW) {
        if (!each(ctx, text(stmt, 0))) {
            sqlite3_reset(stmt);
            return true;
        }
    }
    return result == STEP_END;
}

bool state_gone_clear(struct state *s, struct err *err)
{
    return done(s, bind(s, err, Q_GONE_CLEAR, ""), err);
}

static bool exists(struct state *s, sqlite3_stmt *stmt, bool *found, struct err *err)
{
    enum step result = step(s, stmt, err);
    *found = result == STEP_ROW;
    if (*found)
        sqlite3_reset(stmt);
    return result != STEP_FAILED;
}

bool state_file_damaged(struct state *s, const char *path, bool *found, struct err *err)
{
    sqlite3_stmt *stmt = bind(s, err, Q_FILE_DAMAGED, "t", path);
    enum step result = step(s, stmt, err);
    *found = result == STEP_ROW;
    if (*found)
        result = step(s, stmt, err); // its end commits
    return result != STEP_FAILED;
}

bool state_owner(struct state *s, const char *path, const char *quarantine_path,
                 enum state_owner *owner, struct err *err)
{
    bool found = false;
    *owner = OWNER_NONE;
    if (!exists(s, bind(s, err, Q_INSTANCE_OF_PATH, "t", path), &found, err))
        return false;
    if (found) {
        *owner = OWNER_INSTANCE;
        return true;
    }
    if (!exists(s, bind(s, err, Q_QUARANTINE_OF_PATH, "t", quarantine_path), &found, err))
        return false;
    if (found)
        *owner = OWNER_QUARANTINE;
    return true;
}

bool state_each_file(struct state *s,
                     bool (*each)(void *ctx, const char *sop_instance_uid, const char *path,
                                  int64_t bytes),
                     void *ctx, struct err *err)
{
    sqlite3_stmt *stmt = bind(s, err, Q_FILES, "");
    enum step result;
    while ((result = step(s, stmt, err)) == STEP_ROW) {
        if (!each(ctx, text(stmt, 0), text(stmt, 1), sqlite3_column_int64(stmt, 2))) {
            sqlite3_reset(stmt);
            return true;
        }
    }
    return result == STEP_END;
}

bool state_each_kept(struct state *s, bool (*each)(void *ctx, const char *calling, uint64_t bytes),
                     void *ctx, struct err *err)
{
    sqlite3_stmt *stmt = bind(s, err, Q_KEPT, "");
    enum step result;
    while ((result = step(s, stmt, err)) == STEP_ROW) {
        if (!each(ctx, text(stmt, 0), (uint64_t)sqlite3_column_int64(stmt, 1))) {
            sqlite3_reset(stmt);
            return true;
        }
    }
    return result == STEP_END;
}

// Series

typedef bool series_fn(void *ctx, const struct state_series *row);

static bool walk_series(struct state *s, sqlite3_stmt *stmt, series_fn *each, void *ctx,
                        struct err *err)
{
    enum step result;
    while ((result = step(s, stmt, err)) == STEP_ROW) {
        struct state_series row = {
            .id = sqlite3_column_int64(stmt, 0),
            .series_instance_uid = text(stmt, 1),
            .study_instance_uid = text(stmt, 2),
            .modality = text(stmt, 3),
            .source = text(stmt, 4),
            .address = text(stmt, 5),
            .state = text(stmt, 6),
            .first_at = sqlite3_column_double(stmt, 7),
            .last_at = sqlite3_column_double(stmt, 8),
            .instances = sqlite3_column_int64(stmt, 9),
            .runs = sqlite3_column_int64(stmt, 10),
            .completeness = text(stmt, 11),
            .evidence = text(stmt, 12),
            .route = text(stmt, 13),
            .why = text(stmt, 14),
            .run_at = sqlite3_column_double(stmt, 15),
        };
        if (!each(ctx, &row)) {
            sqlite3_reset(stmt);
            return true;
        }
    }
    return result == STEP_END;
}

static int64_t limit_of(size_t limit)
{
    return limit ? (int64_t)limit : -1;
}

bool state_each_series(struct state *s, enum state_which which, size_t limit, series_fn *each,
                       void *ctx, struct err *err)
{
    enum query q = which == SERIES_ARRIVING ? Q_SERIES_ARRIVING : Q_SERIES_NEWEST;
    return walk_series(s, bind(s, err, q, "i", limit_of(limit)), each, ctx, err);
}

bool state_get_series(struct state *s, int64_t id, series_fn *each, void *ctx, struct err *err)
{
    return walk_series(s, bind(s, err, Q_SERIES_GET, "i", id), each, ctx, err);
}

// The attributes of the instance that stmt stands at join the tally.
static bool tally_row(sqlite3_stmt *stmt, const struct attrs *base, struct tally *t)
{
    struct attrs delta = {0}, one = {0};
    bool ok =
        attrs_unpack(&delta, sqlite3_column_blob(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0)) &&
        tally_restore(base, &delta, &one);
    attrs_finish(&delta);
    ok = tally_add(t, &one) && ok;
    return ok;
}

static bool tally_series(struct state *s, int64_t series, const struct attrs *base,
                         struct attrs *out, struct err *err)
{
    struct tally *t = tally_create();
    bool ok = t != NULL;
    sqlite3_stmt *stmt = bind(s, err, Q_SERIES_DELTAS, "i", series);
    enum step result = step(s, stmt, err);
    for (; ok && result == STEP_ROW; result = step(s, stmt, err))
        ok = tally_row(stmt, base, t);
    if (result == STEP_ROW)
        sqlite3_reset(stmt);
    ok = ok && tally_most(t, out);
    tally_destroy(t);
    return result != STEP_FAILED &&
           (ok || err_set(err, ERR_NOMEM, "attributes of series %lld", (long long)series));
}

bool state_series_attrs(struct state *s, int64_t series, struct attrs *out, struct err *err)
{
    struct attrs base = {0};
    sqlite3_stmt *stmt = bind(s, err, Q_SERIES_ATTRS, "i", series);
    enum step result = step(s, stmt, err);
    attrs_finish(out);
    if (result != STEP_ROW)
        return result == STEP_END &&
               err_set(err, ERR_INTERNAL, "no series %lld", (long long)series);
    const void *packed = sqlite3_column_blob(stmt, 0);
    bool ok = attrs_unpack(&base, packed, (size_t)sqlite3_column_bytes(stmt, 0)) ||
              err_set(err, ERR_INTERNAL, "attributes of series %lld", (long long)series);
    sqlite3_reset(stmt);
    ok = ok && tally_series(s, series, &base, out, err);
    attrs_finish(&base);
    return ok;
}

bool state_series_end(struct state *s, int64_t series, const char *state, const char *completeness,
                      const char *evidence, const char *route, const char *why, struct err *err)
{
    struct attrs attrs = {0};
    bool ok = state_series_attrs(s, series, &attrs, err);
    const char *modality = attrs_get(&attrs, "Modality");
    ok = ok && done(s,
                    bind(s, err, Q_SERIES_END, "tttttit", state, completeness, evidence, route, why,
                         series, modality ? modality : ""),
                    err);
    attrs_finish(&attrs);
    return ok;
}

bool state_series_digest(struct state *s, int64_t series, uint8_t digest[DIGEST_SIZE],
                         int64_t *last, struct err *err)
{
    struct digest *sum = digest_create();
    if (!sum)
        return err_set(err, ERR_NOMEM, "no memory for a digest");
    *last = 0;
    sqlite3_stmt *stmt = bind(s, err, Q_SERIES_DIGESTS, "i", series);
    enum step result;
    while ((result = step(s, stmt, err)) == STEP_ROW) {
        digest_add(sum, sqlite3_column_blob(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0));
        int64_t id = sqlite3_column_int64(stmt, 1);
        if (id > *last)
            *last = id;
    }
    digest_end(sum, digest);
    digest_destroy(sum);
    return result == STEP_END;
}

// Jobs

static const char *const job_states[] = {
    [JOB_QUEUED] = "queued", [JOB_RUNNING] = "running",     [JOB_DONE] = "done",
    [JOB_FAILED] = "failed", [JOB_DISCARDED] = "discarded",
};

const char *job_state_name(enum job_state state)
{
    return job_states[state];
}

static enum job_state job_state_of(const char *name)
{
    for (size_t i = 0; i < sizeof job_states / sizeof job_states[0]; i++) {
        if (strcmp(name, job_states[i]) == 0)
            return (enum job_state)i;
    }
    return JOB_FAILED;
}

static const char *const job_scopes[] = {[JOB_OF_SERIES] = "series", [JOB_OF_STUDY] = "study"};

const char *job_scope_name(enum job_scope scope)
{
    return job_scopes[scope];
}

static const char *or_empty(const char *value)
{
    return value ? value : "";
}

static bool add_inputs(struct state *s, int64_t job, const struct state_input *inputs,
                       size_t input_count, struct err *err)
{
    bool strange = false;
    for (size_t i = 0; i < input_count; i++) {
        if (!done(s,
                  bind(s, err, Q_ADD_INPUT, "iiiiii", job, (int64_t)inputs[i].slot,
                       (int64_t)inputs[i].position, (int64_t)i, inputs[i].series,
                       inputs[i].last_instance),
                  err))
            return false;
    }
    return exists(s, bind(s, err, Q_STRANGE_INPUTS, "i", job), &strange, err) &&
           (!strange ||
            err_set(err, ERR_INTERNAL, "inputs of a job are of several studies or patients"));
}

static bool add_job(struct state *s, const struct state_job *job, const struct state_input *inputs,
                    size_t input_count, int64_t *id, struct err *err)
{
    bool known = false;
    if (!done(s,
              bind(s, err, Q_ADD_JOB, "tittttittttid", job_scopes[job->scope], inputs[0].series,
                   or_empty(job->route), or_empty(job->stage), or_empty(job->version),
                   or_empty(job->parameters), (int64_t)job->results, or_empty(job->destinations),
                   or_empty(job->key), or_empty(job->remark), or_empty(job->evidence),
                   job->priority, job->created_at),
              err))
        return false;
    if (sqlite3_changes(s->db) == 1) {
        *id = sqlite3_last_insert_rowid(s->db);
        return add_inputs(s, *id, inputs, input_count, err);
    }
    return exists(s, bind(s, err, Q_SERIES_GET, "i", inputs[0].series), &known, err) &&
           (known || err_set(err, ERR_INTERNAL, "no series %lld", (long long)inputs[0].series));
}

bool state_add_job(struct state *s, const struct state_job *job, const struct state_input *inputs,
                   size_t input_count, int64_t *id, struct err *err)
{
    bool alone = sqlite3_get_autocommit(s->db);
    *id = 0;
    if (input_count == 0)
        return err_set(err, ERR_INTERNAL, "a job without inputs");
    if (alone && !state_begin(s, err))
        return false;
    bool ok = add_job(s, job, inputs, input_count, id, err) && (!alone || state_commit(s, err));
    if (!ok && alone)
        state_rollback(s);
    if (!ok)
        *id = 0;
    return ok;
}

static bool walk_jobs(struct state *s, sqlite3_stmt *stmt, state_job_fn *each, void *ctx,
                      struct err *err)
{
    enum step result;
    while ((result = step(s, stmt, err)) == STEP_ROW) {
        struct state_job row = {
            .id = sqlite3_column_int64(stmt, 0),
            .run = sqlite3_column_int64(stmt, 1),
            .scope = strcmp(text(stmt, 2), "study") == 0 ? JOB_OF_STUDY : JOB_OF_SERIES,
            .study_instance_uid = text(stmt, 3),
            .patient = text(stmt, 4),
            .series = sqlite3_column_int64(stmt, 5),
            .series_instance_uid = text(stmt, 6),
            .route = text(stmt, 7),
            .stage = text(stmt, 8),
            .version = text(stmt, 9),
            .parameters = text(stmt, 10),
            .results = (uint32_t)sqlite3_column_int64(stmt, 11),
            .destinations = text(stmt, 12),
            .key = text(stmt, 13),
            .remark = text(stmt, 14),
            .evidence = text(stmt, 15),
            .priority = sqlite3_column_int64(stmt, 16),
            .state = job_state_of(text(stmt, 17)),
            .outcome = text(stmt, 18),
            .attempts = sqlite3_column_int64(stmt, 19),
            .refusals = sqlite3_column_int64(stmt, 20),
            .waits = sqlite3_column_int64(stmt, 21),
            .tries = sqlite3_column_int64(stmt, 22),
            .not_before = sqlite3_column_double(stmt, 23),
            .worker = text(stmt, 24),
            .lease_until = sqlite3_column_double(stmt, 25),
            .verdict = text(stmt, 26),
            .reason = text(stmt, 27),
            .device = text(stmt, 28),
            .seconds = sqlite3_column_double(stmt, 29),
            .peak_bytes = sqlite3_column_int64(stmt, 30),
            .created_at = sqlite3_column_double(stmt, 31),
            .started_at = sqlite3_column_double(stmt, 32),
            .ended_at = sqlite3_column_double(stmt, 33),
        };
        if (!each(ctx, &row)) {
            sqlite3_reset(stmt);
            return true;
        }
    }
    return result == STEP_END;
}

bool state_claim_job(struct state *s, const struct state_claim *claim, int64_t *id,
                     state_job_fn *each, void *ctx, struct err *err)
{
    *id = 0;
    sqlite3_stmt *stmt = bind(s, err, Q_CLAIM_JOB, "diitd", claim->now, claim->attempts_from,
                              claim->attempts_below, claim->worker, claim->now + claim->lease_s);
    enum step result = step(s, stmt, err);
    if (result != STEP_ROW)
        return result == STEP_END;
    *id = sqlite3_column_int64(stmt, 0);
    if (step(s, stmt, err) == STEP_FAILED) { // its end commits
        *id = 0;
        return false;
    }
    return state_get_job(s, *id, each, ctx, err);
}

bool state_claimable(struct state *s, const struct state_claim *claim, bool *found, struct err *err)
{
    return exists(
        s, bind(s, err, Q_NEXT_JOB, "dii", claim->now, claim->attempts_from, claim->attempts_below),
        found, err);
}

bool state_next_job_time(struct state *s, double now, double *at, struct err *err)
{
    sqlite3_stmt *stmt = bind(s, err, Q_NEXT_JOB_TIME, "d", now);
    *at = 0;
    if (step(s, stmt, err) != STEP_ROW)
        return false;
    *at = sqlite3_column_double(stmt, 0);
    sqlite3_reset(stmt);
    return true;
}

bool state_get_job(struct state *s, int64_t id, state_job_fn *each, void *ctx, struct err *err)
{
    return walk_jobs(s, bind(s, err, Q_JOB_GET, "i", id), each, ctx, err);
}

bool state_each_job(struct state *s, size_t limit, state_job_fn *each, void *ctx, struct err *err)
{
    return walk_jobs(s, bind(s, err, Q_JOBS_NEWEST, "i", limit_of(limit)), each, ctx, err);
}

bool state_each_input(struct state *s, int64_t job,
                      bool (*each)(void *ctx, const struct state_input *row), void *ctx,
                      struct err *err)
{
    sqlite3_stmt *stmt = bind(s, err, Q_INPUTS, "i", job);
    enum step result;
    while ((result = step(s, stmt, err)) == STEP_ROW) {
        struct state_input row = {
            .slot = sqlite3_column_int(stmt, 0),
            .position = sqlite3_column_int(stmt, 1),
            .series = sqlite3_column_int64(stmt, 2),
            .last_instance = sqlite3_column_int64(stmt, 3),
            .series_instance_uid = text(stmt, 4),
            .modality = text(stmt, 5),
        };
        if (!each(ctx, &row)) {
            sqlite3_reset(stmt);
            return true;
        }
    }
    return result == STEP_END;
}

bool state_each_job_file(struct state *s, int64_t job,
                         bool (*each)(void *ctx, const struct state_file *row), void *ctx,
                         struct err *err)
{
    sqlite3_stmt *stmt = bind(s, err, Q_JOB_FILES, "i", job);
    enum step result;
    while ((result = step(s, stmt, err)) == STEP_ROW) {
        struct state_file row = {
            .slot = sqlite3_column_int(stmt, 0),
            .position = sqlite3_column_int(stmt, 1),
            .path = text(stmt, 2),
            .sop_instance_uid = text(stmt, 4),
            .sop_class_uid = text(stmt, 5),
        };
        if (sqlite3_column_bytes(stmt, 3) == DIGEST_SIZE)
            memcpy(row.digest, sqlite3_column_blob(stmt, 3), DIGEST_SIZE);
        if (!each(ctx, &row)) {
            sqlite3_reset(stmt);
            return true;
        }
    }
    return result == STEP_END;
}

bool state_job_requeue(struct state *s, int64_t id, enum job_requeue how, double not_before,
                       const char *reason, struct err *err)
{
    return done(s, bind(s, err, Q_JOB_REQUEUE, "idti", (int64_t)how, not_before, reason, id), err);
}

bool state_job_refuse(struct state *s, int64_t id, const char *outcome, const char *reason,
                      struct err *err)
{
    return done(s, bind(s, err, Q_JOB_REFUSE, "tti", outcome, reason, id), err);
}

bool state_job_end(struct state *s, int64_t id, enum job_state state, const char *verdict,
                   const char *reason, const char *device, double seconds, int64_t peak_bytes,
                   double now, struct err *err)
{
    if (!state_part_begin(s, err))
        return false;
    bool ok = done(s,
                   bind(s, err, Q_JOB_END, "ttttdidi", job_states[state], verdict, reason, device,
                        seconds, peak_bytes, now, id),
                   err) &&
              done(s, bind(s, err, Q_COLLECTION_AGAIN, "id", id, now), err);
    return state_part_end(s, ok, err) && ok;
}

bool state_jobs_renew(struct state *s, const char *prefix, double until, struct err *err)
{
    return done(s, bind(s, err, Q_JOBS_RENEW, "td", prefix, until), err);
}

bool state_jobs_recover(struct state *s, const char *prefix, double now, int *count,
                        struct err *err)
{
    bool ok = done(s, bind(s, err, Q_JOBS_RECOVER, "td", prefix, now), err);
    *count = ok ? sqlite3_changes(s->db) : 0;
    return ok;
}

bool state_job_again(struct state *s, int64_t id, struct err *err)
{
    return done(s, bind(s, err, Q_JOB_AGAIN, "i", id), err);
}

bool state_failed_jobs_again(struct state *s, int *count, struct err *err)
{
    bool ok = done(s, bind(s, err, Q_FAILED_JOBS_AGAIN, ""), err);
    *count = ok ? sqlite3_changes(s->db) : 0;
    return ok;
}

// Earlier results

bool state_prior_want(struct state *s, int64_t job, double until, struct err *err)
{
    return done(s, bind(s, err, Q_PRIOR_WANT, "id", job, until), err) &&
           done(s, bind(s, err, Q_PRIOR_HOLD, "id", job, until), err);
}

bool state_prior_answer(struct state *s, int64_t job, const char *list, const char *note,
                        struct err *err)
{
    bool ok = state_begin(s, err) &&
              done(s, bind(s, err, Q_PRIOR_ANSWER, "itt", job, list, note), err) &&
              done(s, bind(s, err, Q_PRIOR_FREE, "i", job), err) && state_commit(s, err);
    if (!ok)
        state_rollback(s);
    return ok;
}

bool state_prior_take(struct state *s, int64_t job, const char *late,
                      bool (*each)(void *ctx, const char *list, const char *note), void *ctx,
                      struct err *err)
{
    if (!done(s, bind(s, err, Q_PRIOR_CLOSE, "it", job, late), err))
        return false;
    sqlite3_stmt *stmt = bind(s, err, Q_PRIOR_GET, "i", job);
    enum step result = step(s, stmt, err);
    if (result != STEP_ROW)
        return result == STEP_END;
    bool ok = each(ctx, text(stmt, 0), text(stmt, 1));
    sqlite3_reset(stmt);
    return ok || err_set(err, ERR_NOMEM, "no memory for earlier results");
}

bool state_each_prior_wanted(struct state *s,
                             bool (*each)(void *ctx, const struct state_wanted *row), void *ctx,
                             struct err *err)
{
    sqlite3_stmt *stmt = bind(s, err, Q_PRIORS_WANTED, "");
    enum step result;
    while ((result = step(s, stmt, err)) == STEP_ROW) {
        struct state_wanted row = {.job = sqlite3_column_int64(stmt, 0),
                                   .until = sqlite3_column_double(stmt, 1),
                                   .series = sqlite3_column_int64(stmt, 2),
                                   .stage = text(stmt, 3),
                                   .source = text(stmt, 4)};
        if (!each(ctx, &row)) {
            sqlite3_reset(stmt);
            return true;
        }
    }
    return result == STEP_END;
}

// Collections

bool state_collect(struct state *s, int64_t series, const char *route, const char *stage, int slot,
                   const char *evidence, double now, double last, int64_t *id, struct err *err)
{
    sqlite3_stmt *stmt = bind(s, err, Q_COLLECT, "ittdd", series, route, stage, now, last);
    enum step result = step(s, stmt, err);
    if (result == STEP_FAILED)
        return false;
    if (result == STEP_END)
        return err_set(err, ERR_INTERNAL, "no series %lld", (long long)series);
    *id = sqlite3_column_int64(stmt, 0);
    sqlite3_reset(stmt);
    return done(s, bind(s, err, Q_ADD_MEMBER, "iiit", *id, series, (int64_t)slot, evidence), err);
}

bool state_each_collection(struct state *s,
                           bool (*each)(void *ctx, const struct state_collection *row), void *ctx,
                           struct err *err)
{
    sqlite3_stmt *stmt = bind(s, err, Q_COLLECTIONS, "");
    enum step result;
    while ((result = step(s, stmt, err)) == STEP_ROW) {
        struct state_collection row = {.id = sqlite3_column_int64(stmt, 0),
                                       .study_instance_uid = text(stmt, 1),
                                       .route = text(stmt, 2),
                                       .stage = text(stmt, 3),
                                       .started_at = sqlite3_column_double(stmt, 4),
                                       .grown_at = sqlite3_column_double(stmt, 5)};
        if (!each(ctx, &row)) {
            sqlite3_reset(stmt);
            return true;
        }
    }
    return result == STEP_END;
}

bool state_each_member(struct state *s, int64_t collection,
                       bool (*each)(void *ctx, const struct state_member *row), void *ctx,
                       struct err *err)
{
    sqlite3_stmt *stmt = bind(s, err, Q_MEMBERS, "i", collection);
    enum step result;
    while ((result = step(s, stmt, err)) == STEP_ROW) {
        struct state_member row = {.series = sqlite3_column_int64(stmt, 0),
                                   .slot = sqlite3_column_int(stmt, 1),
                                   .evidence = text(stmt, 2),
                                   .series_instance_uid = text(stmt, 3),
                                   .source = text(stmt, 4),
                                   .route = text(stmt, 5)};
        if (!each(ctx, &row)) {
            sqlite3_reset(stmt);
            return true;
        }
    }
    return result == STEP_END;
}

bool state_each_sibling(struct state *s, int64_t collection,
                        bool (*each)(void *ctx, int64_t series), void *ctx, struct err *err)
{
    sqlite3_stmt *stmt = bind(s, err, Q_SIBLINGS, "i", collection);
    enum step result;
    while ((result = step(s, stmt, err)) == STEP_ROW) {
        if (!each(ctx, sqlite3_column_int64(stmt, 0))) {
            sqlite3_reset(stmt);
            return true;
        }
    }
    return result == STEP_END;
}

bool state_study_busy(struct state *s, int64_t collection, bool *busy, struct err *err)
{
    return exists(s, bind(s, err, Q_STUDY_BUSY, "i", collection), busy, err);
}

bool state_study_reports(struct state *s, int64_t collection,
                         bool (*each)(void *ctx, const char *sop_instance_uid), void *ctx,
                         struct err *err)
{
    sqlite3_stmt *stmt = bind(s, err, Q_STUDY_REPORTS, "i", collection);
    enum step result;
    while ((result = step(s, stmt, err)) == STEP_ROW) {
        if (!each(ctx, text(stmt, 0))) {
            sqlite3_reset(stmt);
            return true;
        }
    }
    return result == STEP_END;
}

bool state_study_unreported(struct state *s, int64_t collection,
                            bool (*each)(void *ctx, const struct state_unreported *row), void *ctx,
                            struct err *err)
{
    sqlite3_stmt *stmt = bind(s, err, Q_STUDY_UNREPORTED, "i", collection);
    enum step result;
    while ((result = step(s, stmt, err)) == STEP_ROW) {
        struct state_unreported row = {.stage = text(stmt, 0),
                                       .series_instance_uid = text(stmt, 1),
                                       .state = job_state_of(text(stmt, 2)),
                                       .reason = text(stmt, 3)};
        if (!each(ctx, &row)) {
            sqlite3_reset(stmt);
            return true;
        }
    }
    return result == STEP_END;
}

bool state_add_report(struct state *s, int64_t job, const char *sop_instance_uid, struct err *err)
{
    return done(s, bind(s, err, Q_ADD_REPORT, "it", job, sop_instance_uid), err);
}

bool state_each_report(struct state *s, int64_t job,
                       bool (*each)(void *ctx, const struct state_file *row), void *ctx,
                       struct err *err)
{
    sqlite3_stmt *stmt = bind(s, err, Q_JOB_REPORTS, "i", job);
    enum step result;
    int position = 0;
    while ((result = step(s, stmt, err)) == STEP_ROW) {
        struct state_file row = {.position = position++,
                                 .sop_instance_uid = text(stmt, 0),
                                 .path = text(stmt, 1),
                                 .sop_class_uid = text(stmt, 2)};
        if (!each(ctx, &row)) {
            sqlite3_reset(stmt);
            return true;
        }
    }
    return result == STEP_END;
}

bool state_collection_end(struct state *s, int64_t id, struct err *err)
{
    return done(s, bind(s, err, Q_COLLECTION_END, "i", id), err);
}

// Outbox

bool state_add_object(struct state *s, const struct state_object *o, struct err *err)
{
    return done(s,
                bind(s, err, Q_ADD_OBJECT, "ittitttttt", o->job, o->destination, o->object.kind,
                     (int64_t)o->rank, o->path, o->object.sop_class_uid, o->object.sop_instance_uid,
                     o->object.series_instance_uid, o->object.study_instance_uid,
                     o->object.transfer_syntax_uid),
                err);
}

bool state_each_destination(struct state *s,
                            bool (*each)(void *ctx, const char *destination, double next_at),
                            void *ctx, struct err *err)
{
    sqlite3_stmt *stmt = bind(s, err, Q_DESTINATIONS, "");
    enum step result;
    while ((result = step(s, stmt, err)) == STEP_ROW) {
        if (!each(ctx, text(stmt, 0), sqlite3_column_double(stmt, 1))) {
            sqlite3_reset(stmt);
            return true;
        }
    }
    return result == STEP_END;
}

static void copy_uid(sqlite3_stmt *stmt, int column, char out[UID_SIZE])
{
    snprintf(out, UID_SIZE, "%s", text(stmt, column));
}

static bool walk_objects(struct state *s, sqlite3_stmt *stmt, state_object_fn *each, void *ctx,
                         struct err *err)
{
    enum step result;
    while ((result = step(s, stmt, err)) == STEP_ROW) {
        struct state_object row = {
            .id = sqlite3_column_int64(stmt, 0),
            .job = sqlite3_column_int64(stmt, 1),
            .destination = text(stmt, 2),
            .rank = sqlite3_column_int(stmt, 4),
            .path = text(stmt, 5),
            .state = text(stmt, 11),
            .attempts = sqlite3_column_int64(stmt, 12),
            .first_at = sqlite3_column_double(stmt, 13),
            .next_at = sqlite3_column_double(stmt, 14),
            .sent_at = sqlite3_column_double(stmt, 15),
            .reason = text(stmt, 16),
        };
        snprintf(row.object.kind, sizeof row.object.kind, "%s", text(stmt, 3));
        copy_uid(stmt, 6, row.object.sop_class_uid);
        copy_uid(stmt, 7, row.object.sop_instance_uid);
        copy_uid(stmt, 8, row.object.series_instance_uid);
        copy_uid(stmt, 9, row.object.study_instance_uid);
        copy_uid(stmt, 10, row.object.transfer_syntax_uid);
        if (!each(ctx, &row)) {
            sqlite3_reset(stmt);
            return true;
        }
    }
    return result == STEP_END;
}

bool state_predecessor(struct state *s, int64_t job, state_object_fn *each, void *ctx,
                       struct err *err)
{
    return walk_objects(s, bind(s, err, Q_PREDECESSOR, "i", job), each, ctx, err);
}

bool state_each_due(struct state *s, const char *destination, double now, size_t limit,
                    state_object_fn *each, void *ctx, struct err *err)
{
    sqlite3_stmt *stmt = bind(s, err, Q_DUE, "tdi", destination, now, limit_of(limit));
    return walk_objects(s, stmt, each, ctx, err);
}

bool state_each_object(struct state *s, int64_t job, state_object_fn *each, void *ctx,
                       struct err *err)
{
    return walk_objects(s, bind(s, err, Q_OBJECTS, "i", job), each, ctx, err);
}

bool state_each_pending(struct state *s, state_object_fn *each, void *ctx, struct err *err)
{
    return walk_objects(s, bind(s, err, Q_PENDING, ""), each, ctx, err);
}

bool state_job_remake(struct state *s, int64_t job, struct err *err)
{
    bool ok = state_begin(s, err) && done(s, bind(s, err, Q_OBJECTS_LOST, "i", job), err) &&
              done(s, bind(s, err, Q_JOB_REMAKE, "i", job), err) && state_commit(s, err);
    if (!ok)
        state_rollback(s);
    return ok;
}

bool state_object_sent(struct state *s, int64_t id, double now, const char *reason, struct err *err)
{
    return done(s, bind(s, err, Q_OBJECT_SENT, "dti", now, reason, id), err);
}

bool state_object_retry(struct state *s, int64_t id, double now, double next_at, const char *reason,
                        struct err *err)
{
    return done(s, bind(s, err, Q_OBJECT_RETRY, "ddti", now, next_at, reason, id), err);
}

bool state_destination_waits(struct state *s, const char *destination, double until,
                             const char *reason, struct err *err)
{
    return done(s, bind(s, err, Q_DESTINATION_WAITS, "dtt", until, reason, destination), err);
}

bool state_destination_goes(struct state *s, const char *destination, struct err *err)
{
    return done(s, bind(s, err, Q_DESTINATION_GOES, "t", destination), err);
}

bool state_object_fail(struct state *s, int64_t id, double now, const char *reason, struct err *err)
{
    return done(s, bind(s, err, Q_OBJECT_FAIL, "dti", now, reason, id), err);
}

bool state_objects_discard(struct state *s, int64_t job, struct err *err)
{
    return done(s, bind(s, err, Q_OBJECTS_DISCARD, "i", job), err);
}

bool state_objects_again(struct state *s, int64_t job, int *count, struct err *err)
{
    bool ok = done(s, bind(s, err, Q_OBJECTS_AGAIN, "i", job), err);
    *count = ok ? sqlite3_changes(s->db) : 0;
    return ok;
}

bool state_folder_known(struct state *s, const char *folder, bool *known, struct err *err)
{
    char first[256], end[256]; // every path "folder/..." is between the two: '0' follows '/'
    snprintf(first, sizeof first, "%s/", folder);
    snprintf(end, sizeof end, "%s0", folder);
    return exists(s, bind(s, err, Q_FOLDER_KNOWN, "tt", first, end), known, err);
}

static bool outbox_trouble(struct state *s, const char *destination, char *out, size_t size,
                           struct err *err)
{
    sqlite3_stmt *stmt = bind(s, err, Q_OUTBOX_TROUBLE, "t", destination);
    enum step result = step(s, stmt, err);
    if (result == STEP_ROW) {
        snprintf(out, size, "%s", text(stmt, 0));
        sqlite3_reset(stmt);
    }
    return result != STEP_FAILED;
}

bool state_count_outbox(struct state *s, const char *destination, struct state_outbox_count *out,
                        struct err *err)
{
    memset(out, 0, sizeof *out);
    sqlite3_stmt *stmt = bind(s, err, Q_COUNT_OUTBOX, "t", destination);
    enum step result;
    while ((result = step(s, stmt, err)) == STEP_ROW) {
        const char *name = text(stmt, 0);
        int64_t count = sqlite3_column_int64(stmt, 1);
        if (strcmp(name, "pending") == 0) {
            out->pending = count;
            out->oldest_pending = sqlite3_column_double(stmt, 2);
        } else if (strcmp(name, "sent") == 0) {
            out->sent = count;
        } else if (strcmp(name, "failed") == 0) {
            out->failed = count;
        } else {
            out->discarded = count;
        }
    }
    return result == STEP_END &&
           outbox_trouble(s, destination, out->reason, sizeof out->reason, err);
}

bool state_each_count(struct state *s, const char *table,
                      bool (*each)(void *ctx, const char *state, int64_t count), void *ctx,
                      struct err *err)
{
    enum query q = strcmp(table, "series") == 0 ? Q_COUNT_SERIES
                   : strcmp(table, "jobs") == 0 ? Q_COUNT_JOBS
                                                : Q_COUNT_QUARANTINE;
    sqlite3_stmt *stmt = bind(s, err, q, "");
    enum step result;
    while ((result = step(s, stmt, err)) == STEP_ROW) {
        if (!each(ctx, text(stmt, 0), sqlite3_column_int64(stmt, 1))) {
            sqlite3_reset(stmt);
            return true;
        }
    }
    return result == STEP_END;
}

// Retention

bool state_expired(struct state *s, double before, bool (*each)(void *ctx, int64_t series),
                   void *ctx, struct err *err)
{
    sqlite3_stmt *stmt = bind(s, err, Q_EXPIRED, "d", before);
    enum step result;
    while ((result = step(s, stmt, err)) == STEP_ROW) {
        if (!each(ctx, sqlite3_column_int64(stmt, 0))) {
            sqlite3_reset(stmt);
            return true;
        }
    }
    return result == STEP_END;
}

bool state_forget_series(struct state *s, int64_t series, bool (*each)(void *ctx, const char *path),
                         void *ctx, struct err *err)
{
    static const enum query deletions[] = {Q_ADD_GONE,         Q_FORGET_OBJECTS, Q_FORGET_JOBS,
                                           Q_FORGET_INSTANCES, Q_FORGET_MEMBER,  Q_FORGET_SERIES};
    sqlite3_stmt *stmt = bind(s, err, Q_PATHS_OF_SERIES, "i", series);
    enum step result;
    while ((result = step(s, stmt, err)) == STEP_ROW) {
        if (!each(ctx, text(stmt, 0))) {
            sqlite3_reset(stmt);
            return err_set(err, ERR_NOMEM, "no memory for a file name");
        }
    }
    if (result != STEP_END)
        return false;
    for (size_t i = 0; i < sizeof deletions / sizeof deletions[0]; i++) {
        if (!done(s, bind(s, err, deletions[i], "i", series), err))
            return false;
    }
    return done(s, bind(s, err, Q_FORGET_COLLECTIONS, ""), err);
}
