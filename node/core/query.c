#include "node/core/query.h"
#include <stdarg.h>
#include <string.h>

#define SERIES_COLUMNS                                                                             \
    "SELECT id, series_uid, study_uid, modality, source, address, state, first_at, last_at,"       \
    " instances, runs, completeness, evidence, route, why, run_at, interrupted FROM series"
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
                      " run_at = iif(state = 'receiving', run_at, ?1), state = 'receiving',"
                      " interrupted = 1 WHERE id = ?2",
    [Q_SERIES_RELEASED] = "UPDATE series SET interrupted = 0 WHERE id = ? AND interrupted",
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

bool query_fail(struct state *s, const char *what, struct err *err)
{
    int code = sqlite3_errcode(s->db) & 0xff;
    return err_set(err, code == SQLITE_FULL ? ERR_FULL : ERR_DATABASE, "database: %s: %s", what,
                   sqlite3_errmsg(s->db));
}

static int bind_one(sqlite3_stmt *stmt, int index, char type, va_list *args)
{
    // NOLINTBEGIN(clang-analyzer-valist.Uninitialized): started by the caller, query_bind()
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

sqlite3_stmt *query_bind(struct state *s, struct err *err, enum query q, const char *format, ...)
{
    sqlite3_stmt **stmt = &s->statements[q];
    if (!*stmt &&
        sqlite3_prepare_v3(s->db, sql[q], -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL) != SQLITE_OK) {
        query_fail(s, "prepare", err);
        return NULL;
    }
    va_list args;
    va_start(args, format);
    int rc = SQLITE_OK;
    for (int i = 1; format[i - 1] && rc == SQLITE_OK; i++)
        rc = bind_one(*stmt, i, format[i - 1], &args);
    va_end(args);
    if (rc != SQLITE_OK) {
        query_fail(s, "bind", err);
        sqlite3_reset(*stmt);
        return NULL;
    }
    return *stmt;
}

enum query_step query_step(struct state *s, sqlite3_stmt *stmt, struct err *err)
{
    if (!stmt)
        return QUERY_FAILED;
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        return QUERY_ROW;
    if (rc != SQLITE_DONE)
        query_fail(s, "step", err); // before the reset, which clears nothing but may set anew
    sqlite3_reset(stmt);
    return rc == SQLITE_DONE ? QUERY_END : QUERY_FAILED;
}

bool query_done(struct state *s, sqlite3_stmt *stmt, struct err *err)
{
    enum query_step result = query_step(s, stmt, err);
    if (result == QUERY_ROW)
        sqlite3_reset(stmt);
    return result != QUERY_FAILED;
}

const char *query_text(sqlite3_stmt *stmt, int column)
{
    const unsigned char *value = sqlite3_column_text(stmt, column);
    return value ? (const char *)value : "";
}

bool query_execute(struct state *s, const char *commands, struct err *err)
{
    return sqlite3_exec(s->db, commands, NULL, NULL, NULL) == SQLITE_OK ||
           query_fail(s, commands, err);
}

bool query_found(struct state *s, sqlite3_stmt *stmt, bool *found, struct err *err)
{
    enum query_step result = query_step(s, stmt, err);
    *found = result == QUERY_ROW;
    if (*found)
        sqlite3_reset(stmt);
    return result != QUERY_FAILED;
}

int64_t query_limit(size_t limit)
{
    return limit ? (int64_t)limit : -1;
}

struct query_walk query_walk(struct state *s, sqlite3_stmt *stmt, struct err *err)
{
    return (struct query_walk){.s = s, .stmt = stmt, .err = err, .on = true, .ok = true};
}

bool query_next(struct query_walk *walk)
{
    if (!walk->on) {
        sqlite3_reset(walk->stmt);
        return false;
    }
    enum query_step result = query_step(walk->s, walk->stmt, walk->err);
    walk->ok = result != QUERY_FAILED;
    return result == QUERY_ROW;
}
