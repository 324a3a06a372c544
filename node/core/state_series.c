// Of node/core/state.h: series.
#include "node/core/state.h"
#include "node/core/query.h"
#include "node/job/tally.h"

typedef bool series_fn(void *ctx, const struct state_series *row);

static bool walk_series(struct state *s, sqlite3_stmt *stmt, series_fn *each, void *ctx,
                        struct err *err)
{
    struct query_walk walk = query_walk(s, stmt, err);
    while (query_next(&walk)) {
        struct state_series row = {
            .id = sqlite3_column_int64(stmt, 0),
            .series_instance_uid = query_text(stmt, 1),
            .study_instance_uid = query_text(stmt, 2),
            .modality = query_text(stmt, 3),
            .source = query_text(stmt, 4),
            .address = query_text(stmt, 5),
            .state = query_text(stmt, 6),
            .first_at = sqlite3_column_double(stmt, 7),
            .last_at = sqlite3_column_double(stmt, 8),
            .instances = sqlite3_column_int64(stmt, 9),
            .runs = sqlite3_column_int64(stmt, 10),
            .completeness = query_text(stmt, 11),
            .evidence = query_text(stmt, 12),
            .route = query_text(stmt, 13),
            .why = query_text(stmt, 14),
            .run_at = sqlite3_column_double(stmt, 15),
            .interrupted = sqlite3_column_int(stmt, 16) != 0,
        };
        walk.on = each(ctx, &row);
    }
    return walk.ok;
}

bool state_each_series(struct state *s, enum state_which which, size_t limit, series_fn *each,
                       void *ctx, struct err *err)
{
    enum query q = which == SERIES_ARRIVING ? Q_SERIES_ARRIVING : Q_SERIES_NEWEST;
    return walk_series(s, query_bind(s, err, q, "i", query_limit(limit)), each, ctx, err);
}

bool state_get_series(struct state *s, int64_t id, series_fn *each, void *ctx, struct err *err)
{
    return walk_series(s, query_bind(s, err, Q_SERIES_GET, "i", id), each, ctx, err);
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
    sqlite3_stmt *stmt = query_bind(s, err, Q_SERIES_DELTAS, "i", series);
    enum query_step result = query_step(s, stmt, err);
    for (; ok && result == QUERY_ROW; result = query_step(s, stmt, err))
        ok = tally_row(stmt, base, t);
    if (result == QUERY_ROW)
        sqlite3_reset(stmt);
    ok = ok && tally_most(t, out);
    tally_destroy(t);
    return result != QUERY_FAILED &&
           (ok || err_set(err, ERR_NOMEM, "attributes of series %lld", (long long)series));
}

bool state_series_attrs(struct state *s, int64_t series, struct attrs *out, struct err *err)
{
    struct attrs base = {0};
    sqlite3_stmt *stmt = query_bind(s, err, Q_SERIES_ATTRS, "i", series);
    enum query_step result = query_step(s, stmt, err);
    attrs_finish(out);
    if (result != QUERY_ROW)
        return result == QUERY_END &&
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
    ok = ok && query_done(s,
                          query_bind(s, err, Q_SERIES_END, "tttttit", state, completeness, evidence,
                                     route, why, series, modality ? modality : ""),
                          err);
    attrs_finish(&attrs);
    return ok;
}

bool state_series_released(struct state *s, int64_t series, struct err *err)
{
    bool ok = state_begin_soft(s, err) &&
              query_done(s, query_bind(s, err, Q_SERIES_RELEASED, "i", series), err) &&
              state_commit(s, err);
    if (!ok)
        state_rollback(s);
    return ok;
}

bool state_series_digest(struct state *s, int64_t series, uint8_t digest[DIGEST_SIZE],
                         int64_t *last, struct err *err)
{
    struct digest *sum = digest_create();
    if (!sum)
        return err_set(err, ERR_NOMEM, "no memory for a digest");
    *last = 0;
    sqlite3_stmt *stmt = query_bind(s, err, Q_SERIES_DIGESTS, "i", series);
    struct query_walk walk = query_walk(s, stmt, err);
    while (query_next(&walk)) {
        digest_add(sum, sqlite3_column_blob(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0));
        int64_t id = sqlite3_column_int64(stmt, 1);
        if (id > *last)
            *last = id;
    }
    digest_end(sum, digest);
    digest_destroy(sum);
    return walk.ok;
}
