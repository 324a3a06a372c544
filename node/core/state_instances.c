// Of node/core/state.h: instances, quarantine, files.
#include "node/core/state.h"
#include <stdio.h>
#include <string.h>
#include "node/core/query.h"
#include "node/job/patient.h"
#include "node/job/tally.h"

static bool blob_is(sqlite3_stmt *stmt, int column, const uint8_t digest[DIGEST_SIZE])
{
    const void *value = sqlite3_column_blob(stmt, column);
    return value && sqlite3_column_bytes(stmt, column) == DIGEST_SIZE &&
           memcmp(value, digest, DIGEST_SIZE) == 0;
}

// *id 0: there is none yet. base: its attributes.
static bool find_series(struct state *s, const struct state_instance *in, const char *patient,
                        int64_t *id, struct attrs *base, struct err *err)
{
    *id = 0;
    sqlite3_stmt *stmt = query_bind(s, err, Q_FIND_SERIES, "ttt", in->id.series_instance_uid,
                                    in->id.study_instance_uid, patient);
    enum query_step result = query_step(s, stmt, err);
    if (result != QUERY_ROW)
        return result == QUERY_END;
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
        ok = query_done(s,
                        query_bind(s, err, Q_ADD_SERIES, "ttttttdtb", in->id.series_instance_uid,
                                   in->id.study_instance_uid, patient, in->id.modality, in->calling,
                                   in->address, in->at, in->id.sop_instance_uid, in->attrs->packed,
                                   in->attrs->size),
                        err);
        *series = sqlite3_last_insert_rowid(s->db);
    } else if (ok) {
        ok = (tally_delta(&base, in->attrs, delta) ||
              err_set(err, ERR_NOMEM, "no memory for attributes")) &&
             query_done(s, query_bind(s, err, Q_GROW_SERIES, "di", in->at, *series), err);
    }
    attrs_finish(&base);
    return ok;
}

static bool quarantine(struct state *s, const struct state_instance *in,
                       const char *quarantine_path, struct state_recorded *out, struct err *err)
{
    sqlite3_stmt *stmt = query_bind(s, err, Q_FIND_QUARANTINE, "tb", in->id.sop_instance_uid,
                                    in->digest, (size_t)DIGEST_SIZE);
    enum query_step result = query_step(s, stmt, err);
    if (result == QUERY_FAILED)
        return false;
    snprintf(out->reason, sizeof out->reason,
             "same SOP Instance UID as an instance that is here, other content");
    if (result == QUERY_ROW) {
        sqlite3_reset(stmt);
        out->what = RECORD_CONFLICTED;
        return true;
    }
    out->what = RECORD_CONFLICT;
    return query_done(s,
                      query_bind(s, err, Q_ADD_QUARANTINE, "tbtttdti", in->id.sop_instance_uid,
                                 in->digest, (size_t)DIGEST_SIZE, quarantine_path, in->calling,
                                 in->address, in->at, out->reason, (int64_t)in->bytes),
                      err);
}

bool state_each_quarantined(struct state *s, size_t limit,
                            bool (*each)(void *ctx, const struct state_quarantined *row), void *ctx,
                            struct err *err)
{
    sqlite3_stmt *stmt = query_bind(s, err, Q_QUARANTINED, "i", limit ? (int64_t)limit : -1);
    struct query_walk walk = query_walk(s, stmt, err);
    while (query_next(&walk)) {
        struct state_quarantined row = {.sop_instance_uid = query_text(stmt, 0),
                                        .path = query_text(stmt, 1),
                                        .calling = query_text(stmt, 2),
                                        .address = query_text(stmt, 3),
                                        .at = sqlite3_column_double(stmt, 4),
                                        .reason = query_text(stmt, 5),
                                        .bytes = sqlite3_column_int64(stmt, 6)};
        walk.on = each(ctx, &row);
    }
    return walk.ok;
}

// One of the surplus, "": there is none.
static bool quarantine_surplus(struct state *s, double before, uint64_t most_bytes, char path[64],
                               struct err *err)
{
    const int64_t most = most_bytes > INT64_MAX ? INT64_MAX : (int64_t)most_bytes;
    sqlite3_stmt *stmt = query_bind(s, err, Q_QUARANTINE_SURPLUS, "di", before, most);
    const enum query_step result = query_step(s, stmt, err);
    snprintf(path, 64, "%s", result == QUERY_ROW ? query_text(stmt, 0) : "");
    if (result == QUERY_ROW)
        sqlite3_reset(stmt);
    return result != QUERY_FAILED;
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
        if (!query_done(s, query_bind(s, err, Q_FORGET_QUARANTINED, "t", path), err))
            return false;
        if (!each(ctx, path))
            return err_set(err, ERR_NOMEM, "no memory for a file name");
    }
}

bool state_record(struct state *s, const struct state_instance *in, const char *quarantine_path,
                  struct state_recorded *out, struct err *err)
{
    memset(out, 0, sizeof *out);
    sqlite3_stmt *stmt = query_bind(s, err, Q_FIND_INSTANCE, "t", in->id.sop_instance_uid);
    enum query_step result = query_step(s, stmt, err);
    if (result == QUERY_FAILED)
        return false;
    if (result == QUERY_ROW) {
        bool equal = blob_is(stmt, 0, in->digest);
        snprintf(out->path, sizeof out->path, "%s", query_text(stmt, 1));
        out->series = sqlite3_column_int64(stmt, 2);
        out->bytes = sqlite3_column_int64(stmt, 3);
        sqlite3_reset(stmt);
        out->what = RECORD_DUPLICATE;
        return equal || quarantine(s, in, quarantine_path, out, err);
    }
    out->what = RECORD_STORED;
    struct attrs delta = {0};
    bool ok = grow_series(s, in, &out->series, &delta, err) &&
              query_done(s,
                         query_bind(s, err, Q_ADD_INSTANCE, "itttbtiittdb", out->series,
                                    in->id.sop_instance_uid, in->id.sop_class_uid,
                                    in->id.transfer_syntax_uid, in->digest, (size_t)DIGEST_SIZE,
                                    in->path, (int64_t)in->bytes, (int64_t)in->instance_number,
                                    in->calling, in->address, in->at, delta.packed, delta.size),
                         err);
    attrs_finish(&delta);
    return ok;
}

bool state_replace_file(struct state *s, const char *sop_instance_uid, const char *path,
                        uint64_t bytes, int *jobs, struct err *err)
{
    bool ok =
        query_done(
            s, query_bind(s, err, Q_REPLACE_FILE, "tit", path, (int64_t)bytes, sop_instance_uid),
            err) &&
        query_done(s, query_bind(s, err, Q_JOBS_MENDED, "t", sop_instance_uid), err);
    *jobs = ok ? sqlite3_changes(s->db) : 0;
    return ok;
}

bool state_each_gone(struct state *s, bool (*each)(void *ctx, const char *path), void *ctx,
                     struct err *err)
{
    sqlite3_stmt *stmt = query_bind(s, err, Q_GONE, "");
    struct query_walk walk = query_walk(s, stmt, err);
    while (query_next(&walk))
        walk.on = each(ctx, query_text(stmt, 0));
    return walk.ok;
}

bool state_gone_clear(struct state *s, struct err *err)
{
    return query_done(s, query_bind(s, err, Q_GONE_CLEAR, ""), err);
}

bool state_file_damaged(struct state *s, const char *path, bool *found, struct err *err)
{
    sqlite3_stmt *stmt = query_bind(s, err, Q_FILE_DAMAGED, "t", path);
    enum query_step result = query_step(s, stmt, err);
    *found = result == QUERY_ROW;
    if (*found)
        result = query_step(s, stmt, err); // its end commits
    return result != QUERY_FAILED;
}

bool state_owner(struct state *s, const char *path, const char *quarantine_path,
                 enum state_owner *owner, struct err *err)
{
    bool found = false;
    *owner = OWNER_NONE;
    if (!query_found(s, query_bind(s, err, Q_INSTANCE_OF_PATH, "t", path), &found, err))
        return false;
    if (found) {
        *owner = OWNER_INSTANCE;
        return true;
    }
    if (!query_found(s, query_bind(s, err, Q_QUARANTINE_OF_PATH, "t", quarantine_path), &found,
                     err))
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
    sqlite3_stmt *stmt = query_bind(s, err, Q_FILES, "");
    struct query_walk walk = query_walk(s, stmt, err);
    while (query_next(&walk))
        walk.on =
            each(ctx, query_text(stmt, 0), query_text(stmt, 1), sqlite3_column_int64(stmt, 2));
    return walk.ok;
}

bool state_each_kept(struct state *s, bool (*each)(void *ctx, const char *calling, uint64_t bytes),
                     void *ctx, struct err *err)
{
    sqlite3_stmt *stmt = query_bind(s, err, Q_KEPT, "");
    struct query_walk walk = query_walk(s, stmt, err);
    while (query_next(&walk))
        walk.on = each(ctx, query_text(stmt, 0), (uint64_t)sqlite3_column_int64(stmt, 1));
    return walk.ok;
}
