#include "node/core/state.h"
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "node/core/query.h"
#include "node/core/schema.h"

static bool pragma_is(struct state *s, const char *pragma, const char *wanted, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(s->db, pragma, -1, &stmt, NULL) != SQLITE_OK)
        return query_fail(s, pragma, err);
    bool ok = sqlite3_step(stmt) == SQLITE_ROW && strcmp(query_text(stmt, 0), wanted) == 0;
    if (!ok)
        err_set(err, ERR_DATABASE, "database: %s is not %s", pragma, wanted);
    sqlite3_finalize(stmt);
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
        query_fail(s, path, err);
        state_close(s);
        return NULL;
    }
    sqlite3_busy_timeout(s->db, 5000); // somebody looks at it with the sqlite3 tool
    bool ok = pragma_is(s, "PRAGMA journal_mode = WAL", "wal", err) &&
              query_execute(s, "PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF", err) &&
              pragma_is(s, "PRAGMA synchronous", "2", err) &&
              pragma_is(s, "PRAGMA quick_check(1)", "ok", err) && schema_prepare(s, err) &&
              query_execute(s, "PRAGMA foreign_keys = ON", err);
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
    if (!query_execute(s, "PRAGMA synchronous = FULL", NULL)) {
        log_error("database: commits would not be synced any more");
        abort();
    }
    s->soft = false;
}

bool state_begin(struct state *s, struct err *err)
{
    return query_done(s, query_bind(s, err, Q_BEGIN, ""), err);
}

bool state_begin_soft(struct state *s, struct err *err)
{
    if (!query_execute(s, "PRAGMA synchronous = NORMAL", err))
        return false;
    s->soft = true;
    if (state_begin(s, err))
        return true;
    state_harden(s);
    return false;
}

bool state_commit(struct state *s, struct err *err)
{
    if (query_done(s, query_bind(s, err, Q_COMMIT, ""), err)) {
        state_harden(s);
        return true;
    }
    state_rollback(s);
    return false;
}

void state_rollback(struct state *s)
{
    if (!sqlite3_get_autocommit(s->db)) // SQLite rolls back by itself after some errors
        query_done(s, query_bind(s, NULL, Q_ROLLBACK, ""), NULL);
    state_harden(s);
}

bool state_settle(struct state *s, struct err *err)
{
    sqlite3_file *wal = NULL;
    if (sqlite3_file_control(s->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, (void *)&wal) !=
        SQLITE_OK)
        return query_fail(s, "write-ahead log", err);
    if (!wal || !wal->pMethods)
        return true; // nothing was ever written
    return wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL) == SQLITE_OK ||
           err_set(err, ERR_DATABASE, "database: the write-ahead log cannot be synced");
}

bool state_part_begin(struct state *s, struct err *err)
{
    return query_done(s, query_bind(s, err, Q_PART_BEGIN, ""), err);
}

bool state_part_end(struct state *s, bool stays, struct err *err)
{
    if (sqlite3_get_autocommit(s->db)) // SQLite has rolled all of it back
        return err_set(err, ERR_DATABASE, "the transaction was undone");
    return (stays || query_done(s, query_bind(s, err, Q_PART_UNDO, ""), err)) &&
           query_done(s, query_bind(s, err, Q_PART_END, ""), err);
}

bool state_each_count(struct state *s, const char *table,
                      bool (*each)(void *ctx, const char *state, int64_t count), void *ctx,
                      struct err *err)
{
    enum query q = strcmp(table, "series") == 0 ? Q_COUNT_SERIES
                   : strcmp(table, "jobs") == 0 ? Q_COUNT_JOBS
                                                : Q_COUNT_QUARANTINE;
    sqlite3_stmt *stmt = query_bind(s, err, q, "");
    struct query_walk walk = query_walk(s, stmt, err);
    while (query_next(&walk))
        walk.on = each(ctx, query_text(stmt, 0), sqlite3_column_int64(stmt, 1));
    return walk.ok;
}

// Retention

bool state_expired(struct state *s, double before, bool (*each)(void *ctx, int64_t series),
                   void *ctx, struct err *err)
{
    sqlite3_stmt *stmt = query_bind(s, err, Q_EXPIRED, "d", before);
    struct query_walk walk = query_walk(s, stmt, err);
    while (query_next(&walk))
        walk.on = each(ctx, sqlite3_column_int64(stmt, 0));
    return walk.ok;
}

bool state_forget_series(struct state *s, int64_t series, bool (*each)(void *ctx, const char *path),
                         void *ctx, struct err *err)
{
    static const enum query deletions[] = {Q_ADD_GONE,         Q_FORGET_OBJECTS, Q_FORGET_JOBS,
                                           Q_FORGET_INSTANCES, Q_FORGET_MEMBER,  Q_FORGET_SERIES};
    sqlite3_stmt *stmt = query_bind(s, err, Q_PATHS_OF_SERIES, "i", series);
    enum query_step result;
    while ((result = query_step(s, stmt, err)) == QUERY_ROW) {
        if (!each(ctx, query_text(stmt, 0))) {
            sqlite3_reset(stmt);
            return err_set(err, ERR_NOMEM, "no memory for a file name");
        }
    }
    if (result != QUERY_END)
        return false;
    for (size_t i = 0; i < sizeof deletions / sizeof deletions[0]; i++) {
        if (!query_done(s, query_bind(s, err, deletions[i], "i", series), err))
            return false;
    }
    return query_done(s, query_bind(s, err, Q_FORGET_COLLECTIONS, ""), err);
}
