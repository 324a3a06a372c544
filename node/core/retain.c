#include "node/core/retain.h"
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"

struct names { // to be removed
    char (*list)[DATADIR_NAME];
    size_t count, room;
};

static bool names_keep(struct names *n, const char *name)
{
    if (n->count == n->room) {
        size_t room = n->room ? 2 * n->room : 64;
        void *grown = realloc(n->list, room * sizeof *n->list);
        if (!grown)
            return false;
        n->list = grown;
        n->room = room;
    }
    snprintf(n->list[n->count++], DATADIR_NAME, "%s", name);
    return true;
}

static void names_remove(struct core *core, struct names *n)
{
    for (size_t i = 0; i < n->count; i++)
        datadir_remove(&core->dir, n->list[i]);
    free(n->list);
    n->list = NULL;
}

// Reconciliation

struct check {
    struct core *core;
    struct err *err;
    struct names orphans;
    struct names damaged; // received files
    int64_t *jobs;        // of whose results some are lost
    size_t job_count, job_room;
    size_t quarantined;
    bool ok;
};

static bool retain_check_file(void *ctx, const char *name)
{
    struct check *c = ctx;
    char quarantine[DATADIR_NAME];
    enum state_owner owner;
    c->ok = datadir_quarantine_name(name, quarantine, c->err) &&
            state_owner(c->core->state, name, quarantine, &owner, c->err);
    if (c->ok && owner == OWNER_NONE)
        c->ok = names_keep(&c->orphans, name) || err_set(c->err, ERR_NOMEM, "no memory");
    if (c->ok && owner == OWNER_QUARANTINE) {
        c->ok = datadir_move(&c->core->dir, name, quarantine, c->err);
        c->quarantined++;
    }
    return c->ok;
}

// What was forgotten, or never noted.
static bool retain_check_quarantined(void *ctx, const char *name)
{
    struct check *c = ctx;
    enum state_owner owner;
    c->ok = state_owner(c->core->state, name, name, &owner, c->err) &&
            (owner != OWNER_NONE || names_keep(&c->orphans, name) ||
             err_set(c->err, ERR_NOMEM, "no memory"));
    return c->ok;
}

static bool retain_check_row(void *ctx, const char *sop_instance_uid, const char *path,
                             int64_t bytes)
{
    struct check *c = ctx;
    const int64_t here = datadir_file_bytes(&c->core->dir, path);
    if (here == bytes && bytes >= 0)
        return true;
    if (here < 0)
        log_error("sop=%s file=%s is missing", sop_instance_uid, path);
    else if (bytes < 0)
        log_error("sop=%s file=%s is not what was received", sop_instance_uid, path);
    else
        log_error("sop=%s file=%s has %lld bytes, not %lld", sop_instance_uid, path,
                  (long long)here, (long long)bytes);
    c->ok = names_keep(&c->damaged, path) || err_set(c->err, ERR_NOMEM, "no memory");
    return c->ok;
}

static bool retain_check_result(void *ctx, const struct state_object *row)
{
    struct check *c = ctx;
    if (datadir_file_bytes(&c->core->dir, row->path) > 0)
        return true;
    log_error("job=%lld destination=%s object=%s file=%s is missing", (long long)row->job,
              row->destination, row->object.kind, row->path);
    if (c->job_count && c->jobs[c->job_count - 1] == row->job)
        return true;
    if (c->job_count == c->job_room) {
        size_t room = c->job_room ? 2 * c->job_room : 16;
        int64_t *grown = realloc(c->jobs, room * sizeof *grown);
        if (!grown)
            return c->ok = err_set(c->err, ERR_NOMEM, "no memory");
        c->jobs = grown;
        c->job_room = room;
    }
    c->jobs[c->job_count++] = row->job;
    return true;
}

// What is damaged is known to be so from now on, and what was lost of results is made again.
static bool retain_note_damage(struct check *c)
{
    bool ok = true, found;
    for (size_t i = 0; ok && i < c->damaged.count; i++)
        ok = state_file_damaged(c->core->state, c->damaged.list[i], &found, c->err);
    for (size_t i = 0; ok && i < c->job_count; i++) {
        ok = state_job_remake(c->core->state, c->jobs[i], c->err);
        if (ok)
            log_warn("job=%lld again: results that were to be sent are lost",
                     (long long)c->jobs[i]);
    }
    return ok;
}

static bool retain_check_folder(void *ctx, const char *name)
{
    struct check *c = ctx;
    bool known = false;
    c->ok = state_folder_known(c->core->state, name, &known, c->err) &&
            (known || names_keep(&c->orphans, name) || err_set(c->err, ERR_NOMEM, "no memory"));
    return c->ok;
}

bool retain_reconcile(struct core *core, struct err *err)
{
    struct check c = {.core = core, .err = err, .ok = true};
    size_t drafts = datadir_sweep_drafts(&core->dir);
    bool ok = datadir_each(&core->dir, DATADIR_SERIES, retain_check_file, &c, err) && c.ok;
    ok = ok && datadir_each(&core->dir, DATADIR_QUARANTINE, retain_check_quarantined, &c, err) &&
         c.ok;
    size_t files = c.orphans.count;
    ok = ok && state_each_file(core->state, retain_check_row, &c, err) && c.ok &&
         state_each_pending(core->state, retain_check_result, &c, err) && c.ok &&
         datadir_each(&core->dir, DATADIR_OUTBOX, retain_check_folder, &c, err) && c.ok &&
         retain_note_damage(&c);
    if (ok)
        names_remove(core, &c.orphans);
    if (ok && (drafts || c.orphans.count || c.quarantined || c.damaged.count || c.job_count))
        log_warn("drafts=%zu files_without_row=%zu unfinished_results=%zu removed; quarantined=%zu "
                 "damaged=%zu jobs_again=%zu",
                 drafts, files, c.orphans.count - files, c.quarantined, c.damaged.count,
                 c.job_count);
    free(c.orphans.list);
    free(c.damaged.list);
    free(c.jobs);
    return ok;
}

// Retention

struct expiry {
    int64_t *series;
    size_t count, room;
};

static bool retain_note_series(void *ctx, int64_t series)
{
    struct expiry *e = ctx;
    if (e->count == e->room) {
        size_t room = e->room ? 2 * e->room : 64;
        int64_t *grown = realloc(e->series, room * sizeof *grown);
        if (!grown)
            return false; // the rest the next time
        e->series = grown;
        e->room = room;
    }
    e->series[e->count++] = series;
    return true;
}

static bool retain_note_path(void *ctx, const char *path)
{
    return names_keep(ctx, path);
}

static void retain_forget(struct core *core, int64_t series)
{
    struct err err = {0};
    struct names names = {0};
    bool ok = state_begin(core->state, &err) &&
              state_forget_series(core->state, series, retain_note_path, &names, &err) &&
              state_commit(core->state, &err);
    if (ok) {
        log_info("series=%lld forgotten: files=%zu", (long long)series, names.count);
        names_remove(core, &names);
    } else {
        state_rollback(core->state);
        log_error("series=%lld not forgotten: %s", (long long)series, err.text);
    }
    free(names.list);
}

void retain_expire(struct core *core)
{
    struct expiry e = {0};
    struct err err = {0};
    double before = clock_wall() - core->conf->keep_done_days * 86400;
    if (!state_expired(core->state, before, retain_note_series, &e, &err))
        log_error("retention: %s", err.text);
    for (size_t i = 0; i < e.count; i++)
        retain_forget(core, e.series[i]);
    free(e.series);
}

void retain_trim_quarantine(struct core *core)
{
    struct names names = {0};
    struct err err = {0};
    const double before = clock_wall() - core->conf->quarantine_days * 86400;
    if (!state_trim_quarantine(core->state, before, (uint64_t)core->conf->quarantine_mib << 20,
                               retain_note_path, &names, &err))
        log_error("quarantine: %s", err.text);
    if (names.count > 0)
        log_warn("quarantine: files=%zu removed: older than storage.quarantine_days, or beyond "
                 "storage.quarantine_mib",
                 names.count);
    names_remove(core, &names);
}
