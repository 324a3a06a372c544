// Of node/core/state.h: results on their way.
#include "node/core/state.h"
#include <stdio.h>
#include <string.h>
#include "node/core/query.h"

bool state_add_object(struct state *s, const struct state_object *o, struct err *err)
{
    return query_done(s,
                      query_bind(s, err, Q_ADD_OBJECT, "ittitttttt", o->job, o->destination,
                                 o->object.kind, (int64_t)o->rank, o->path, o->object.sop_class_uid,
                                 o->object.sop_instance_uid, o->object.series_instance_uid,
                                 o->object.study_instance_uid, o->object.transfer_syntax_uid),
                      err);
}

bool state_each_destination(struct state *s,
                            bool (*each)(void *ctx, const char *destination, double next_at),
                            void *ctx, struct err *err)
{
    sqlite3_stmt *stmt = query_bind(s, err, Q_DESTINATIONS, "");
    struct query_walk walk = query_walk(s, stmt, err);
    while (query_next(&walk))
        walk.on = each(ctx, query_text(stmt, 0), sqlite3_column_double(stmt, 1));
    return walk.ok;
}

static void copy_uid(sqlite3_stmt *stmt, int column, char out[UID_SIZE])
{
    snprintf(out, UID_SIZE, "%s", query_text(stmt, column));
}

static bool walk_objects(struct state *s, sqlite3_stmt *stmt, state_object_fn *each, void *ctx,
                         struct err *err)
{
    struct query_walk walk = query_walk(s, stmt, err);
    while (query_next(&walk)) {
        struct state_object row = {
            .id = sqlite3_column_int64(stmt, 0),
            .job = sqlite3_column_int64(stmt, 1),
            .destination = query_text(stmt, 2),
            .rank = sqlite3_column_int(stmt, 4),
            .path = query_text(stmt, 5),
            .state = query_text(stmt, 11),
            .attempts = sqlite3_column_int64(stmt, 12),
            .first_at = sqlite3_column_double(stmt, 13),
            .next_at = sqlite3_column_double(stmt, 14),
            .sent_at = sqlite3_column_double(stmt, 15),
            .reason = query_text(stmt, 16),
        };
        snprintf(row.object.kind, sizeof row.object.kind, "%s", query_text(stmt, 3));
        copy_uid(stmt, 6, row.object.sop_class_uid);
        copy_uid(stmt, 7, row.object.sop_instance_uid);
        copy_uid(stmt, 8, row.object.series_instance_uid);
        copy_uid(stmt, 9, row.object.study_instance_uid);
        copy_uid(stmt, 10, row.object.transfer_syntax_uid);
        walk.on = each(ctx, &row);
    }
    return walk.ok;
}

bool state_predecessor(struct state *s, int64_t job, state_object_fn *each, void *ctx,
                       struct err *err)
{
    return walk_objects(s, query_bind(s, err, Q_PREDECESSOR, "i", job), each, ctx, err);
}

bool state_each_due(struct state *s, const char *destination, double now, size_t limit,
                    state_object_fn *each, void *ctx, struct err *err)
{
    sqlite3_stmt *stmt = query_bind(s, err, Q_DUE, "tdi", destination, now, query_limit(limit));
    return walk_objects(s, stmt, each, ctx, err);
}

bool state_each_object(struct state *s, int64_t job, state_object_fn *each, void *ctx,
                       struct err *err)
{
    return walk_objects(s, query_bind(s, err, Q_OBJECTS, "i", job), each, ctx, err);
}

bool state_each_pending(struct state *s, state_object_fn *each, void *ctx, struct err *err)
{
    return walk_objects(s, query_bind(s, err, Q_PENDING, ""), each, ctx, err);
}

bool state_job_remake(struct state *s, int64_t job, struct err *err)
{
    bool ok =
        state_begin(s, err) && query_done(s, query_bind(s, err, Q_OBJECTS_LOST, "i", job), err) &&
        query_done(s, query_bind(s, err, Q_JOB_REMAKE, "i", job), err) && state_commit(s, err);
    if (!ok)
        state_rollback(s);
    return ok;
}

bool state_object_sent(struct state *s, int64_t id, double now, const char *reason, struct err *err)
{
    return query_done(s, query_bind(s, err, Q_OBJECT_SENT, "dti", now, reason, id), err);
}

bool state_object_retry(struct state *s, int64_t id, double now, double next_at, const char *reason,
                        struct err *err)
{
    return query_done(s, query_bind(s, err, Q_OBJECT_RETRY, "ddti", now, next_at, reason, id), err);
}

bool state_destination_waits(struct state *s, const char *destination, double until,
                             const char *reason, struct err *err)
{
    return query_done(s, query_bind(s, err, Q_DESTINATION_WAITS, "dtt", until, reason, destination),
                      err);
}

bool state_destination_goes(struct state *s, const char *destination, struct err *err)
{
    return query_done(s, query_bind(s, err, Q_DESTINATION_GOES, "t", destination), err);
}

bool state_object_fail(struct state *s, int64_t id, double now, const char *reason, struct err *err)
{
    return query_done(s, query_bind(s, err, Q_OBJECT_FAIL, "dti", now, reason, id), err);
}

bool state_objects_discard(struct state *s, int64_t job, struct err *err)
{
    return query_done(s, query_bind(s, err, Q_OBJECTS_DISCARD, "i", job), err);
}

bool state_objects_again(struct state *s, int64_t job, int *count, struct err *err)
{
    bool ok = query_done(s, query_bind(s, err, Q_OBJECTS_AGAIN, "i", job), err);
    *count = ok ? sqlite3_changes(s->db) : 0;
    return ok;
}

bool state_folder_known(struct state *s, const char *folder, bool *known, struct err *err)
{
    char first[256], end[256]; // every path "folder/..." is between the two: '0' follows '/'
    snprintf(first, sizeof first, "%s/", folder);
    snprintf(end, sizeof end, "%s0", folder);
    return query_found(s, query_bind(s, err, Q_FOLDER_KNOWN, "tt", first, end), known, err);
}

static bool outbox_trouble(struct state *s, const char *destination, char *out, size_t size,
                           struct err *err)
{
    sqlite3_stmt *stmt = query_bind(s, err, Q_OUTBOX_TROUBLE, "t", destination);
    enum query_step result = query_step(s, stmt, err);
    if (result == QUERY_ROW) {
        snprintf(out, size, "%s", query_text(stmt, 0));
        sqlite3_reset(stmt);
    }
    return result != QUERY_FAILED;
}

bool state_count_outbox(struct state *s, const char *destination, struct state_outbox_count *out,
                        struct err *err)
{
    memset(out, 0, sizeof *out);
    sqlite3_stmt *stmt = query_bind(s, err, Q_COUNT_OUTBOX, "t", destination);
    struct query_walk walk = query_walk(s, stmt, err);
    while (query_next(&walk)) {
        const char *name = query_text(stmt, 0);
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
    return walk.ok && outbox_trouble(s, destination, out->reason, sizeof out->reason, err);
}
