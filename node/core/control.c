#include "node/core/control.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "node/core/arrivals.h"
#include "base/clock.h"
#include "node/core/intake.h"
#include "node/core/jobs.h"

#define SHOWN_MAX 200 // newest series and jobs in an answer

struct listing {
    struct core *core;
    json_t *list;
};

static bool add_count(void *ctx, const char *state, int64_t count)
{
    return json_object_set_new(ctx, state, json_integer(count)) == 0;
}

static json_t *counts(struct core *core, struct err *err)
{
    static const char *const tables[] = {"series", "jobs", "quarantine"};
    json_t *all = json_object();
    for (size_t i = 0; all && i < sizeof tables / sizeof tables[0]; i++) {
        json_t *one = json_object();
        if (!one || !state_each_count(core->state, tables[i], add_count, one, err) ||
            json_object_set(all, tables[i], one) != 0) {
            json_decref(all);
            all = NULL;
        }
        json_decref(one);
    }
    return all;
}

static bool add_series(void *ctx, const struct state_series *row)
{
    struct listing *l = ctx;
    char evidence[256];
    bool receiving = strcmp(row->state, "receiving") == 0;
    if (receiving)
        arrivals_evidence(l->core->arrivals, row->id, evidence);
    json_t *item = json_pack(
        "{s:I s:s s:s s:s s:s s:s s:s s:f s:f s:I s:I s:s s:s s:s s:s}", "id", (json_int_t)row->id,
        "series", row->series_instance_uid, "study", row->study_instance_uid, "modality",
        row->modality, "source", row->source, "address", row->address, "state", row->state,
        "first_at", row->first_at, "last_at", row->last_at, "instances", (json_int_t)row->instances,
        "runs", (json_int_t)row->runs, "completeness", receiving ? "" : row->completeness,
        "evidence", receiving ? evidence : row->evidence, "route", row->route, "why", row->why);
    return item && json_array_append_new(l->list, item) == 0;
}

static json_t *job_item(const struct state_job *row)
{
    return json_pack(
        "{s:I s:s s:I s:s s:s s:s s:s s:s s:s s:I s:I s:s s:s s:s s:f s:I s:f s:f s:f}", "id",
        (json_int_t)row->id, "series", row->series_instance_uid, "run", (json_int_t)row->run,
        "route", row->route, "stage", row->stage, "version", row->version, "options", row->options,
        "destinations", row->destinations, "state", job_state_name(row->state), "attempts",
        (json_int_t)row->attempts, "tries", (json_int_t)row->tries, "verdict", row->verdict,
        "reason", row->reason, "device", row->device, "seconds", row->seconds, "peak_bytes",
        (json_int_t)row->peak_bytes, "created_at", row->created_at, "started_at", row->started_at,
        "ended_at", row->ended_at);
}

static bool add_job(void *ctx, const struct state_job *row)
{
    struct listing *l = ctx;
    json_t *item = job_item(row);
    return item && json_array_append_new(l->list, item) == 0;
}

static bool add_object(void *ctx, const struct state_object *row)
{
    json_t *item =
        json_pack("{s:I s:s s:s s:s s:s s:s s:s s:s s:I s:f s:f s:f s:s}", "id",
                  (json_int_t)row->id, "destination", row->destination, "kind", row->kind, "path",
                  row->path, "sop_class", row->sop_class_uid, "sop_instance", row->sop_instance_uid,
                  "series", row->series_instance_uid, "state", row->state, "attempts",
                  (json_int_t)row->attempts, "first_at", row->first_at, "next_at", row->next_at,
                  "sent_at", row->sent_at, "reason", row->reason);
    return item && json_array_append_new(ctx, item) == 0;
}

// A peer as the configuration names it, what waits for it, when it was last seen.
static json_t *peer_item(struct core *core, const struct conf_peer *peer, const json_t *seen,
                         struct err *err)
{
    struct state_outbox_count box;
    if (!state_count_outbox(core->state, peer->name, &box, err))
        return NULL;
    json_t *item =
        json_pack("{s:s s:s s:i s:b s:{s:I s:I s:I s:I s:f s:s}}", "ae_title", peer->name, "host",
                  peer->host ? peer->host : "", "port", (int)peer->port, "may_send",
                  (int)peer->may_send, "outbox", "pending", (json_int_t)box.pending, "sent",
                  (json_int_t)box.sent, "failed", (json_int_t)box.failed, "discarded",
                  (json_int_t)box.discarded, "oldest", box.oldest_pending, "trouble", box.reason);
    size_t i;
    json_t *one;
    json_array_foreach(seen, i, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "ae_title")), peer->name) == 0)
            json_object_set(item, "seen", one);
    }
    return item;
}

static json_t *peers(struct core *core, struct err *err)
{
    json_t *list = json_array(), *seen = intake_peers(core->intake);
    for (size_t i = 0; list && i < core->conf->peer_count; i++) {
        json_t *item = peer_item(core, &core->conf->peers[i], seen, err);
        if (!item || json_array_append_new(list, item) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    json_decref(seen);
    return list;
}

static json_t *status(struct core *core, struct err *err)
{
    struct listing series = {core, json_array()}, jobs = {core, json_array()};
    json_t *count = counts(core, err), *peer = count ? peers(core, err) : NULL;
    if (peer && state_each_series(core->state, SERIES_ALL, SHOWN_MAX, add_series, &series, err) &&
        state_each_job(core->state, SHOWN_MAX, add_job, &jobs, err))
        return json_pack("{s:s s:s s:i s:s s:i s:f s:b s:o s:o s:o s:o s:o}", "anode",
                         ANODE_VERSION, "ae_title", core->conf->ae_title, "port",
                         (int)core->conf->port, "data_dir", core->dir.path, "pid", (int)getpid(),
                         "started_at", core->started, "draining", (int)core->draining, "counts",
                         count, "worker", jobs_worker(core->jobs), "peers", peer, "series",
                         series.list, "jobs", jobs.list);
    json_decref(series.list);
    json_decref(jobs.list);
    json_decref(count);
    json_decref(peer);
    return NULL;
}

static json_t *job_list(struct core *core, struct err *err)
{
    struct listing l = {core, json_array()};
    if (l.list && state_each_job(core->state, SHOWN_MAX, add_job, &l, err))
        return json_pack("{s:o}", "jobs", l.list);
    json_decref(l.list);
    return NULL;
}

static bool take_job(void *ctx, const struct state_job *row)
{
    *(json_t **)ctx = job_item(row);
    return false;
}

static json_t *show(struct core *core, int64_t id, struct err *err)
{
    json_t *job = NULL, *objects = json_array();
    if (!state_get_job(core->state, id, take_job, &job, err)) {
        json_decref(objects);
        return NULL;
    }
    if (!job)
        err_set(err, ERR_INPUT, "no job %lld", (long long)id);
    if (!job || !state_each_object(core->state, id, add_object, objects, err) ||
        json_object_set(job, "objects", objects) != 0) {
        json_decref(job);
        job = NULL;
    }
    json_decref(objects);
    return job;
}

static json_t *act(struct core *core, const struct msg_control *m, struct err *err)
{
    switch ((enum msg_verb)m->verb) {
    case VERB_STATUS:
        return status(core, err);
    case VERB_JOBS:
        return job_list(core, err);
    case VERB_SHOW:
        return show(core, m->id, err);
    case VERB_RETRY:
        return jobs_retry(core->jobs, m->id, err) ? show(core, m->id, err) : NULL;
    case VERB_DISCARD:
        return jobs_discard(core->jobs, m->id, err) ? show(core, m->id, err) : NULL;
    }
    err_set(err, ERR_INPUT, "unknown command %u", m->verb);
    return NULL;
}

char *control_answer(struct core *core, const struct msg_control *m)
{
    struct err err = {0};
    json_t *answer = act(core, m, &err);
    if (!answer)
        answer = json_pack("{s:s s:s}", "error", err.text[0] ? err.text : "no memory", "code",
                           err_code_name(err.code));
    char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
    json_decref(answer);
    return text;
}
