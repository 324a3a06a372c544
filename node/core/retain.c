#include "node/core/retain.h"
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "node/proc/receipt.h"

struct names { // to be removed
    char (*list)[DATADIR_NAME];
    size_t count, room;
    bool cut; // there was no memory for more
};

static bool names_keep(struct names *n, const char *name)
{
    if (n->count == n->room) {
        size_t room = n->room ? 2 * n->room : 64;
        void *grown = realloc(n->list, room * sizeof *n->list);
        if (!grown) {
            n->cut = true;
            return false;
        }
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

static int names_order(const void *a, const void *b)
{
    return strcmp(a, b);
}

// Removes the files of forgotten instances so that they do not come back with a power cut: each of
// them says that it is one, and would be taken for one that has just come.
static void names_remove_for_ever(struct core *core, struct names *n)
{
    struct err err = {0};
    bool ok = true;
    if (n->count)
        qsort(n->list, n->count, sizeof *n->list, names_order);
    for (size_t i = 0; i < n->count; i++)
        datadir_remove(&core->dir, n->list[i]);
    for (size_t i = 0; ok && i < n->count; i++) {
        const size_t folder = (size_t)(strrchr(n->list[i], '/') - n->list[i]);
        const bool last = i + 1 == n->count || strncmp(n->list[i], n->list[i + 1], folder + 1) != 0;
        ok = !last || datadir_sync_folder_of(&core->dir, n->list[i], &err);
    }
    if (n->count && (!ok || n->cut || !state_gone_clear(core->state, &err)))
        log_error("forgotten files: %s", err.text); // the next start removes them again
    free(n->list);
    n->list = NULL;
}

// Reconciliation

struct arrived { // a file without a row that says itself what it is
    struct receipt receipt;
    char name[DATADIR_NAME];
};

struct check {
    struct core *core;
    struct err *err;
    struct arrived *arrived;
    size_t arrived_count, arrived_room;
    size_t empty; // files that waited for an instance
    struct names orphans;
    struct names damaged; // received files
    int64_t *jobs;        // of whose results some are lost
    size_t job_count, job_room;
    size_t quarantined;
    bool ok;
};

static bool retain_keep_arrived(struct check *c, const struct receipt *receipt, const char *name)
{
    if (c->arrived_count == c->arrived_room) {
        const size_t room = c->arrived_room ? 2 * c->arrived_room : 64;
        struct arrived *grown = realloc(c->arrived, room * sizeof *grown);
        if (!grown)
            return err_set(c->err, ERR_NOMEM, "no memory");
        c->arrived = grown;
        c->arrived_room = room;
    }
    struct arrived *a = &c->arrived[c->arrived_count++];
    a->receipt = *receipt;
    snprintf(a->name, sizeof a->name, "%s", name);
    return true;
}

// A file without a row.
static bool retain_check_stranger(struct check *c, const char *name)
{
    struct receipt receipt;
    enum receipt_found found = RECEIPT_NONE;
    if (datadir_file_bytes(&c->core->dir, name) == 0)
        c->empty++;
    else
        found = receipt_read(&c->core->dir, name, &receipt, c->err);
    if (found == RECEIPT_FAILED)
        return false;
    if (found == RECEIPT_NONE)
        return names_keep(&c->orphans, name) || err_set(c->err, ERR_NOMEM, "no memory");
    if (retain_keep_arrived(c, &receipt, name))
        return true;
    attrs_finish(&receipt.attrs);
    return false;
}

static int arrived_order(const void *a, const void *b)
{
    const struct arrived *left = a, *right = b;
    if (left->receipt.at != right->receipt.at)
        return left->receipt.at < right->receipt.at ? -1 : 1;
    return strcmp(left->name, right->name);
}

// What the core would have done with it.
static bool retain_record(struct check *c, const struct arrived *a)
{
    struct core *core = c->core;
    const struct receipt *r = &a->receipt;
    char quarantine[DATADIR_NAME];
    struct state_instance instance = {.id = r->id,
                                      .instance_number = r->instance_number,
                                      .bytes = r->bytes,
                                      .path = a->name,
                                      .calling = r->calling,
                                      .address = r->address,
                                      .at = r->at,
                                      .attrs = &r->attrs};
    struct state_recorded recorded;
    int jobs = 0;
    memcpy(instance.digest, r->digest, sizeof instance.digest);
    if (!datadir_quarantine_name(a->name, quarantine, c->err) ||
        !state_record(core->state, &instance, quarantine, &recorded, c->err))
        return false;
    switch (recorded.what) {
    case RECORD_STORED:
        return true;
    case RECORD_CONFLICT:
        c->quarantined++;
        return datadir_move(&core->dir, a->name, quarantine, c->err);
    case RECORD_DUPLICATE:
        if (recorded.bytes < 0 || datadir_file_bytes(&core->dir, recorded.path) != recorded.bytes) {
            return state_replace_file(core->state, r->id.sop_instance_uid, a->name, r->bytes, &jobs,
                                      c->err) &&
                   (names_keep(&c->orphans, recorded.path) ||
                    err_set(c->err, ERR_NOMEM, "no memory"));
        }
        break;
    case RECORD_CONFLICTED:
        break;
    }
    return names_keep(&c->orphans, a->name) || err_set(c->err, ERR_NOMEM, "no memory");
}

// Rows of which a power cut has taken those that were not yet on stable media.
static bool retain_record_arrived(struct check *c)
{
    struct state *state = c->core->state;
    if (!c->arrived_count)
        return true;
    qsort(c->arrived, c->arrived_count, sizeof *c->arrived, arrived_order);
    bool ok = state_begin(state, c->err);
    for (size_t i = 0; ok && i < c->arrived_count; i++)
        ok = retain_record(c, &c->arrived[i]);
    ok = ok && state_commit(state, c->err);
    if (!ok)
        state_rollback(state);
    return ok;
}

static bool retain_check_file(void *ctx, const char *name)
{
    struct check *c = ctx;
    char quarantine[DATADIR_NAME];
    enum state_owner owner;
    c->ok = datadir_quarantine_name(name, quarantine, c->err) &&
            state_owner(c->core->state, name, quarantine, &owner, c->err);
    if (c->ok && owner == OWNER_NONE)
        c->ok = retain_check_stranger(c, name);
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

static bool retain_note_path(void *ctx, const char *path)
{
    return names_keep(ctx, path);
}

// First of all: files that say what they are, but are no more.
static bool retain_remove_gone(struct core *core, struct err *err)
{
    struct names names = {0};
    const bool ok = state_each_gone(core->state, retain_note_path, &names, err);
    names_remove_for_ever(core, &names);
    return ok && (!names.cut || err_set(err, ERR_NOMEM, "no memory"));
}

static void check_finish(struct check *c)
{
    for (size_t i = 0; i < c->arrived_count; i++)
        attrs_finish(&c->arrived[i].receipt.attrs);
    free(c->arrived);
    free(c->orphans.list);
    free(c->damaged.list);
    free(c->jobs);
}

bool retain_reconcile(struct core *core, struct err *err)
{
    struct check c = {.core = core, .err = err, .ok = true};
    size_t drafts = datadir_sweep_drafts(&core->dir);
    bool ok = retain_remove_gone(core, err) &&
              datadir_each(&core->dir, DATADIR_SERIES, retain_check_file, &c, err) && c.ok &&
              retain_record_arrived(&c);
    ok = ok && datadir_each(&core->dir, DATADIR_QUARANTINE, retain_check_quarantined, &c, err) &&
         c.ok;
    size_t files = c.orphans.count;
    ok = ok && state_each_file(core->state, retain_check_row, &c, err) && c.ok &&
         state_each_pending(core->state, retain_check_result, &c, err) && c.ok &&
         datadir_each(&core->dir, DATADIR_OUTBOX, retain_check_folder, &c, err) && c.ok &&
         retain_note_damage(&c);
    if (ok)
        names_remove(core, &c.orphans);
    if (ok && (drafts || c.orphans.count > c.empty || c.arrived_count || c.quarantined ||
               c.damaged.count || c.job_count))
        log_warn("drafts=%zu files_without_row=%zu unfinished_results=%zu removed; rows_again=%zu "
                 "quarantined=%zu damaged=%zu jobs_again=%zu",
                 drafts, files - c.empty, c.orphans.count - files, c.arrived_count, c.quarantined,
                 c.damaged.count, c.job_count);
    check_finish(&c);
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

static void retain_forget(struct core *core, int64_t series)
{
    struct err err = {0};
    struct names names = {0};
    bool ok = state_begin(core->state, &err) &&
              state_forget_series(core->state, series, retain_note_path, &names, &err) &&
              state_commit(core->state, &err);
    if (ok) {
        log_info("series=%lld forgotten: files=%zu", (long long)series, names.count);
        names_remove_for_ever(core, &names);
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
