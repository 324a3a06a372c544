#include "node/job/gather.h"
#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "dimse/read/object.h"
#include "base/log.h"
#include "node/job/json.h"
#include "node/job/patient.h"
#include "node/job/tally.h"

static bool gather_no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "no memory");
}

// The series of an instance, a new one where there is none yet. NULL: no memory.
static struct gather_series *gather_series_of(struct gather *g, const struct object_ids *ids,
                                              const char *patient)
{
    for (size_t i = 0; i < g->count; i++) {
        struct gather_series *s = &g->series[i];
        if (strcmp(s->series_instance_uid, ids->id.series_instance_uid) == 0 &&
            strcmp(s->study_instance_uid, ids->id.study_instance_uid) == 0 &&
            strcmp(s->patient, patient) == 0)
            return s;
    }
    struct gather_series *larger = reallocarray(g->series, g->count + 1, sizeof *larger);
    if (!larger)
        return NULL;
    g->series = larger;
    struct gather_series *s = &g->series[g->count];
    memset(s, 0, sizeof *s);
    s->tally = tally_create();
    if (!s->tally)
        return NULL;
    g->count++;
    memcpy(s->patient, patient, sizeof s->patient);
    memcpy(s->study_instance_uid, ids->id.study_instance_uid, sizeof s->study_instance_uid);
    memcpy(s->series_instance_uid, ids->id.series_instance_uid, sizeof s->series_instance_uid);
    return s;
}

static bool gather_add_file(struct gather_series *s, const char *path)
{
    struct analysis_file *larger = reallocarray(s->files, s->file_count + 1, sizeof *larger);
    if (!larger)
        return false;
    s->files = larger;
    char *copy = strdup(path);
    if (!copy)
        return false;
    s->files[s->file_count++] = (struct analysis_file){.path = copy};
    return true;
}

// Adds an instance to its series. False: no memory.
static bool gather_add(struct gather *g, const struct object *o, const char *path,
                       const char *device_uid, struct err *err)
{
    const struct object_ids *ids = object_ids(o);
    struct attrs attrs = {0};
    char patient[65];
    struct gather_series *s = NULL;
    bool ok = object_attrs(o, &attrs, err) && patient_key(&attrs, patient, err);
    if (ok)
        s = gather_series_of(g, ids, patient);
    if (ok && (!s || !gather_add_file(s, path)))
        ok = gather_no_memory(err);
    if (ok && s) {
        s->own = s->own || object_is_own(o, device_uid);
        ok = tally_add(s->tally, &attrs) || gather_no_memory(err);
    }
    attrs_finish(&attrs);
    return ok;
}

static void gather_ignore(struct gather *g, const char *path, const char *why)
{
    char shown[512];
    log_info("file=%s ignored reason=\"%s\"", log_value(path, shown, sizeof shown), why);
    g->ignored++;
}

static bool gather_look_at(struct gather *g, const char *path, const char *device_uid,
                           struct err *err)
{
    struct err why = {0};
    struct object *o = object_open(path, &why);
    if (!o && why.code == ERR_NOMEM)
        return gather_no_memory(err);
    bool ok = true;
    if (!o || !object_identified(o, &why))
        gather_ignore(g, path, why.text);
    else
        ok = gather_add(g, o, path, device_uid, err);
    object_close(o);
    return ok;
}

static int gather_by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int gather_by_uid(const void *a, const void *b)
{
    const struct gather_series *x = a, *y = b;
    int study = strcmp(x->study_instance_uid, y->study_instance_uid);
    int series = strcmp(x->series_instance_uid, y->series_instance_uid);
    return study ? study : series ? series : strcmp(x->patient, y->patient);
}

// One entry of the walk. False: the walk ends.
static bool gather_visit(struct gather *g, const FTSENT *entry, const char *device_uid,
                         struct err *err)
{
    switch (entry->fts_info) {
    case FTS_F:
        return gather_look_at(g, entry->fts_path, device_uid, err);
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
    case FTS_SLNONE:
        if (entry->fts_level == 0)
            return err_errno(err, entry->fts_errno ? entry->fts_errno : ENOENT, "%s",
                             entry->fts_path);
        gather_ignore(g, entry->fts_path,
                      entry->fts_errno ? "cannot be read" : "a link to nowhere");
        return true;
    default: // folders, and what is neither file nor folder
        return true;
    }
}

// What each series is, now that all of its instances are known.
static bool gather_tally(struct gather *g, struct err *err)
{
    for (size_t i = 0; i < g->count; i++) {
        struct gather_series *s = &g->series[i];
        if (!tally_most(s->tally, &s->attrs))
            return gather_no_memory(err);
        const char *modality = attrs_get(&s->attrs, "Modality");
        snprintf(s->modality, sizeof s->modality, "%s", modality ? modality : "");
        tally_destroy(s->tally);
        s->tally = NULL;
    }
    return true;
}

bool gather_paths(char *const *paths, size_t count, const char *device_uid, struct gather *out,
                  struct err *err)
{
    *out = (struct gather){0};
    char **list = calloc(count + 1, sizeof *list);
    if (!list)
        return gather_no_memory(err);
    for (size_t i = 0; i < count; i++)
        list[i] = paths[i];
    FTS *walk = fts_open(list, FTS_LOGICAL | FTS_NOCHDIR, gather_by_name);
    bool ok = walk || err_errno(err, errno, "walk");
    while (ok) {
        errno = 0;
        FTSENT *entry = fts_read(walk);
        if (!entry) {
            ok = errno == 0 || err_errno(err, errno, "walk");
            break;
        }
        ok = gather_visit(out, entry, device_uid, err);
    }
    if (walk)
        fts_close(walk);
    free(list);
    if (out->count)
        qsort(out->series, out->count, sizeof *out->series, gather_by_uid);
    return ok && gather_tally(out, err);
}

json_t *gather_item(const struct gather_series *s, bool *ok)
{
    json_t *o = json_object();
    json_put_text(o, "study", s->study_instance_uid, ok);
    json_put_text(o, "series", s->series_instance_uid, ok);
    json_put_text(o, "modality", s->modality, ok);
    json_put_text(o, "description", attrs_get(&s->attrs, "SeriesDescription"), ok);
    json_put_integer(o, "instances", (int64_t)s->file_count, ok);
    json_put_bool(o, "own", s->own, ok);
    return o;
}

void gather_finish(struct gather *g)
{
    for (size_t i = 0; i < g->count; i++) {
        struct gather_series *s = &g->series[i];
        for (size_t f = 0; f < s->file_count; f++)
            free((char *)s->files[f].path);
        free(s->files);
        attrs_finish(&s->attrs);
        tally_destroy(s->tally);
    }
    free(g->series);
    *g = (struct gather){0};
}
