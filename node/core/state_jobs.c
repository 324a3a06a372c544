// Of node/core/state.h: jobs, and the earlier results that they are given.
#include "node/core/state.h"
#include <string.h>
#include "node/core/query.h"

static const char *const job_states[] = {
    [JOB_QUEUED] = "queued", [JOB_RUNNING] = "running",     [JOB_DONE] = "done",
    [JOB_FAILED] = "failed", [JOB_DISCARDED] = "discarded",
};

const char *job_state_name(enum job_state state)
{
    return job_states[state];
}

enum job_state job_state_of(const char *name)
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
        if (!query_done(s,
                        query_bind(s, err, Q_ADD_INPUT, "iiiiii", job, (int64_t)inputs[i].slot,
                                   (int64_t)inputs[i].position, (int64_t)i, inputs[i].series,
                                   inputs[i].last_instance),
                        err))
            return false;
    }
    return query_found(s, query_bind(s, err, Q_STRANGE_INPUTS, "i", job), &strange, err) &&
           (!strange ||
            err_set(err, ERR_INTERNAL, "inputs of a job are of several studies or patients"));
}

static bool add_job(struct state *s, const struct state_job *job, const struct state_input *inputs,
                    size_t input_count, int64_t *id, struct err *err)
{
    bool known = false;
    if (!query_done(s,
                    query_bind(s, err, Q_ADD_JOB, "tittttittttid", job_scopes[job->scope],
                               inputs[0].series, or_empty(job->route), or_empty(job->stage),
                               or_empty(job->version), or_empty(job->parameters),
                               (int64_t)job->results, or_empty(job->destinations),
                               or_empty(job->key), or_empty(job->remark), or_empty(job->evidence),
                               job->priority, job->created_at),
                    err))
        return false;
    if (sqlite3_changes(s->db) == 1) {
        *id = sqlite3_last_insert_rowid(s->db);
        return add_inputs(s, *id, inputs, input_count, err);
    }
    return query_found(s, query_bind(s, err, Q_SERIES_GET, "i", inputs[0].series), &known, err) &&
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
    struct query_walk walk = query_walk(s, stmt, err);
    while (query_next(&walk)) {
        struct state_job row = {
            .id = sqlite3_column_int64(stmt, 0),
            .run = sqlite3_column_int64(stmt, 1),
            .scope = strcmp(query_text(stmt, 2), "study") == 0 ? JOB_OF_STUDY : JOB_OF_SERIES,
            .study_instance_uid = query_text(stmt, 3),
            .patient = query_text(stmt, 4),
            .series = sqlite3_column_int64(stmt, 5),
            .series_instance_uid = query_text(stmt, 6),
            .route = query_text(stmt, 7),
            .stage = query_text(stmt, 8),
            .version = query_text(stmt, 9),
            .parameters = query_text(stmt, 10),
            .results = (uint32_t)sqlite3_column_int64(stmt, 11),
            .destinations = query_text(stmt, 12),
            .key = query_text(stmt, 13),
            .remark = query_text(stmt, 14),
            .evidence = query_text(stmt, 15),
            .priority = sqlite3_column_int64(stmt, 16),
            .state = job_state_of(query_text(stmt, 17)),
            .outcome = query_text(stmt, 18),
            .attempts = sqlite3_column_int64(stmt, 19),
            .refusals = sqlite3_column_int64(stmt, 20),
            .waits = sqlite3_column_int64(stmt, 21),
            .tries = sqlite3_column_int64(stmt, 22),
            .not_before = sqlite3_column_double(stmt, 23),
            .worker = query_text(stmt, 24),
            .lease_until = sqlite3_column_double(stmt, 25),
            .verdict = query_text(stmt, 26),
            .reason = query_text(stmt, 27),
            .device = query_text(stmt, 28),
            .seconds = sqlite3_column_double(stmt, 29),
            .peak_bytes = sqlite3_column_int64(stmt, 30),
            .created_at = sqlite3_column_double(stmt, 31),
            .started_at = sqlite3_column_double(stmt, 32),
            .ended_at = sqlite3_column_double(stmt, 33),
        };
        walk.on = each(ctx, &row);
    }
    return walk.ok;
}

bool state_claim_job(struct state *s, const struct state_claim *claim, int64_t *id,
                     state_job_fn *each, void *ctx, struct err *err)
{
    *id = 0;
    sqlite3_stmt *stmt =
        query_bind(s, err, Q_CLAIM_JOB, "diitd", claim->now, claim->attempts_from,
                   claim->attempts_below, claim->worker, claim->now + claim->lease_s);
    enum query_step result = query_step(s, stmt, err);
    if (result != QUERY_ROW)
        return result == QUERY_END;
    *id = sqlite3_column_int64(stmt, 0);
    if (query_step(s, stmt, err) == QUERY_FAILED) { // its end commits
        *id = 0;
        return false;
    }
    return state_get_job(s, *id, each, ctx, err);
}

bool state_claimable(struct state *s, const struct state_claim *claim, bool *found, struct err *err)
{
    return query_found(s,
                       query_bind(s, err, Q_NEXT_JOB, "dii", claim->now, claim->attempts_from,
                                  claim->attempts_below),
                       found, err);
}

bool state_next_job_time(struct state *s, double now, double *at, struct err *err)
{
    sqlite3_stmt *stmt = query_bind(s, err, Q_NEXT_JOB_TIME, "d", now);
    *at = 0;
    if (query_step(s, stmt, err) != QUERY_ROW)
        return false;
    *at = sqlite3_column_double(stmt, 0);
    sqlite3_reset(stmt);
    return true;
}

bool state_get_job(struct state *s, int64_t id, state_job_fn *each, void *ctx, struct err *err)
{
    return walk_jobs(s, query_bind(s, err, Q_JOB_GET, "i", id), each, ctx, err);
}

bool state_each_job(struct state *s, size_t limit, state_job_fn *each, void *ctx, struct err *err)
{
    return walk_jobs(s, query_bind(s, err, Q_JOBS_NEWEST, "i", query_limit(limit)), each, ctx, err);
}

bool state_each_input(struct state *s, int64_t job,
                      bool (*each)(void *ctx, const struct state_input *row), void *ctx,
                      struct err *err)
{
    sqlite3_stmt *stmt = query_bind(s, err, Q_INPUTS, "i", job);
    struct query_walk walk = query_walk(s, stmt, err);
    while (query_next(&walk)) {
        struct state_input row = {
            .slot = sqlite3_column_int(stmt, 0),
            .position = sqlite3_column_int(stmt, 1),
            .series = sqlite3_column_int64(stmt, 2),
            .last_instance = sqlite3_column_int64(stmt, 3),
            .series_instance_uid = query_text(stmt, 4),
            .modality = query_text(stmt, 5),
        };
        walk.on = each(ctx, &row);
    }
    return walk.ok;
}

bool state_each_job_file(struct state *s, int64_t job,
                         bool (*each)(void *ctx, const struct state_file *row), void *ctx,
                         struct err *err)
{
    sqlite3_stmt *stmt = query_bind(s, err, Q_JOB_FILES, "i", job);
    struct query_walk walk = query_walk(s, stmt, err);
    while (query_next(&walk)) {
        struct state_file row = {
            .slot = sqlite3_column_int(stmt, 0),
            .position = sqlite3_column_int(stmt, 1),
            .path = query_text(stmt, 2),
            .sop_instance_uid = query_text(stmt, 4),
            .sop_class_uid = query_text(stmt, 5),
        };
        if (sqlite3_column_bytes(stmt, 3) == DIGEST_SIZE)
            memcpy(row.digest, sqlite3_column_blob(stmt, 3), DIGEST_SIZE);
        walk.on = each(ctx, &row);
    }
    return walk.ok;
}

bool state_job_requeue(struct state *s, int64_t id, enum job_requeue how, double not_before,
                       const char *reason, struct err *err)
{
    return query_done(
        s, query_bind(s, err, Q_JOB_REQUEUE, "idti", (int64_t)how, not_before, reason, id), err);
}

bool state_job_refuse(struct state *s, int64_t id, const char *outcome, const char *reason,
                      struct err *err)
{
    return query_done(s, query_bind(s, err, Q_JOB_REFUSE, "tti", outcome, reason, id), err);
}

bool state_job_end(struct state *s, int64_t id, enum job_state state, const char *verdict,
                   const char *reason, const char *device, double seconds, int64_t peak_bytes,
                   double now, struct err *err)
{
    if (!state_part_begin(s, err))
        return false;
    bool ok = query_done(s,
                         query_bind(s, err, Q_JOB_END, "ttttdidi", job_states[state], verdict,
                                    reason, device, seconds, peak_bytes, now, id),
                         err) &&
              query_done(s, query_bind(s, err, Q_COLLECTION_AGAIN, "id", id, now), err);
    return state_part_end(s, ok, err) && ok;
}

bool state_jobs_renew(struct state *s, const char *prefix, double until, struct err *err)
{
    return query_done(s, query_bind(s, err, Q_JOBS_RENEW, "td", prefix, until), err);
}

bool state_jobs_recover(struct state *s, const char *prefix, double now, int *count,
                        struct err *err)
{
    bool ok = query_done(s, query_bind(s, err, Q_JOBS_RECOVER, "td", prefix, now), err);
    *count = ok ? sqlite3_changes(s->db) : 0;
    return ok;
}

bool state_job_again(struct state *s, int64_t id, struct err *err)
{
    return query_done(s, query_bind(s, err, Q_JOB_AGAIN, "i", id), err);
}

bool state_failed_jobs_again(struct state *s, int *count, struct err *err)
{
    bool ok = query_done(s, query_bind(s, err, Q_FAILED_JOBS_AGAIN, ""), err);
    *count = ok ? sqlite3_changes(s->db) : 0;
    return ok;
}

bool state_prior_want(struct state *s, int64_t job, double until, struct err *err)
{
    return query_done(s, query_bind(s, err, Q_PRIOR_WANT, "id", job, until), err) &&
           query_done(s, query_bind(s, err, Q_PRIOR_HOLD, "id", job, until), err);
}

bool state_prior_answer(struct state *s, int64_t job, const char *list, const char *note,
                        struct err *err)
{
    bool ok = state_begin(s, err) &&
              query_done(s, query_bind(s, err, Q_PRIOR_ANSWER, "itt", job, list, note), err) &&
              query_done(s, query_bind(s, err, Q_PRIOR_FREE, "i", job), err) &&
              state_commit(s, err);
    if (!ok)
        state_rollback(s);
    return ok;
}

bool state_prior_take(struct state *s, int64_t job, const char *late,
                      bool (*each)(void *ctx, const char *list, const char *note), void *ctx,
                      struct err *err)
{
    if (!query_done(s, query_bind(s, err, Q_PRIOR_CLOSE, "it", job, late), err))
        return false;
    sqlite3_stmt *stmt = query_bind(s, err, Q_PRIOR_GET, "i", job);
    enum query_step result = query_step(s, stmt, err);
    if (result != QUERY_ROW)
        return result == QUERY_END;
    bool ok = each(ctx, query_text(stmt, 0), query_text(stmt, 1));
    sqlite3_reset(stmt);
    return ok || err_set(err, ERR_NOMEM, "no memory for earlier results");
}

bool state_each_prior_wanted(struct state *s,
                             bool (*each)(void *ctx, const struct state_wanted *row), void *ctx,
                             struct err *err)
{
    sqlite3_stmt *stmt = query_bind(s, err, Q_PRIORS_WANTED, "");
    struct query_walk walk = query_walk(s, stmt, err);
    while (query_next(&walk)) {
        struct state_wanted row = {.job = sqlite3_column_int64(stmt, 0),
                                   .until = sqlite3_column_double(stmt, 1),
                                   .series = sqlite3_column_int64(stmt, 2),
                                   .stage = query_text(stmt, 3),
                                   .source = query_text(stmt, 4)};
        walk.on = each(ctx, &row);
    }
    return walk.ok;
}
