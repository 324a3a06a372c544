// Of node/core/state.h: what is collected of a study, and the reports that a job gathers.
#include "node/core/state.h"
#include "node/core/query.h"

bool state_collect(struct state *s, int64_t series, const char *route, const char *stage, int slot,
                   const char *evidence, double now, double last, int64_t *id, struct err *err)
{
    sqlite3_stmt *stmt = query_bind(s, err, Q_COLLECT, "ittdd", series, route, stage, now, last);
    enum query_step result = query_step(s, stmt, err);
    if (result == QUERY_FAILED)
        return false;
    if (result == QUERY_END)
        return err_set(err, ERR_INTERNAL, "no series %lld", (long long)series);
    *id = sqlite3_column_int64(stmt, 0);
    sqlite3_reset(stmt);
    return query_done(
        s, query_bind(s, err, Q_ADD_MEMBER, "iiit", *id, series, (int64_t)slot, evidence), err);
}

bool state_each_collection(struct state *s,
                           bool (*each)(void *ctx, const struct state_collection *row), void *ctx,
                           struct err *err)
{
    sqlite3_stmt *stmt = query_bind(s, err, Q_COLLECTIONS, "");
    struct query_walk walk = query_walk(s, stmt, err);
    while (query_next(&walk)) {
        struct state_collection row = {.id = sqlite3_column_int64(stmt, 0),
                                       .study_instance_uid = query_text(stmt, 1),
                                       .route = query_text(stmt, 2),
                                       .stage = query_text(stmt, 3),
                                       .started_at = sqlite3_column_double(stmt, 4),
                                       .grown_at = sqlite3_column_double(stmt, 5)};
        walk.on = each(ctx, &row);
    }
    return walk.ok;
}

bool state_each_member(struct state *s, int64_t collection,
                       bool (*each)(void *ctx, const struct state_member *row), void *ctx,
                       struct err *err)
{
    sqlite3_stmt *stmt = query_bind(s, err, Q_MEMBERS, "i", collection);
    struct query_walk walk = query_walk(s, stmt, err);
    while (query_next(&walk)) {
        struct state_member row = {.series = sqlite3_column_int64(stmt, 0),
                                   .slot = sqlite3_column_int(stmt, 1),
                                   .evidence = query_text(stmt, 2),
                                   .series_instance_uid = query_text(stmt, 3),
                                   .source = query_text(stmt, 4),
                                   .route = query_text(stmt, 5)};
        walk.on = each(ctx, &row);
    }
    return walk.ok;
}

bool state_each_sibling(struct state *s, int64_t collection,
                        bool (*each)(void *ctx, int64_t series), void *ctx, struct err *err)
{
    sqlite3_stmt *stmt = query_bind(s, err, Q_SIBLINGS, "i", collection);
    struct query_walk walk = query_walk(s, stmt, err);
    while (query_next(&walk))
        walk.on = each(ctx, sqlite3_column_int64(stmt, 0));
    return walk.ok;
}

bool state_study_busy(struct state *s, int64_t collection, bool *busy, struct err *err)
{
    return query_found(s, query_bind(s, err, Q_STUDY_BUSY, "i", collection), busy, err);
}

bool state_study_reports(struct state *s, int64_t collection,
                         bool (*each)(void *ctx, const char *sop_instance_uid), void *ctx,
                         struct err *err)
{
    sqlite3_stmt *stmt = query_bind(s, err, Q_STUDY_REPORTS, "i", collection);
    struct query_walk walk = query_walk(s, stmt, err);
    while (query_next(&walk))
        walk.on = each(ctx, query_text(stmt, 0));
    return walk.ok;
}

bool state_study_unreported(struct state *s, int64_t collection,
                            bool (*each)(void *ctx, const struct state_unreported *row), void *ctx,
                            struct err *err)
{
    sqlite3_stmt *stmt = query_bind(s, err, Q_STUDY_UNREPORTED, "i", collection);
    struct query_walk walk = query_walk(s, stmt, err);
    while (query_next(&walk)) {
        struct state_unreported row = {.stage = query_text(stmt, 0),
                                       .series_instance_uid = query_text(stmt, 1),
                                       .state = job_state_of(query_text(stmt, 2)),
                                       .reason = query_text(stmt, 3)};
        walk.on = each(ctx, &row);
    }
    return walk.ok;
}

bool state_add_report(struct state *s, int64_t job, const char *sop_instance_uid, struct err *err)
{
    return query_done(s, query_bind(s, err, Q_ADD_REPORT, "it", job, sop_instance_uid), err);
}

bool state_each_report(struct state *s, int64_t job,
                       bool (*each)(void *ctx, const struct state_file *row), void *ctx,
                       struct err *err)
{
    sqlite3_stmt *stmt = query_bind(s, err, Q_JOB_REPORTS, "i", job);
    struct query_walk walk = query_walk(s, stmt, err);
    int position = 0;
    while (query_next(&walk)) {
        struct state_file row = {.position = position++,
                                 .sop_instance_uid = query_text(stmt, 0),
                                 .path = query_text(stmt, 1),
                                 .sop_class_uid = query_text(stmt, 2)};
        walk.on = each(ctx, &row);
    }
    return walk.ok;
}

bool state_collection_end(struct state *s, int64_t id, struct err *err)
{
    return query_done(s, query_bind(s, err, Q_COLLECTION_END, "i", id), err);
}
