#include "node/core/control.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "node/core/arrivals.h"
#include "node/core/audit.h"
#include "node/core/collections.h"
#include "node/core/intake.h"
#include "node/core/jobs.h"
#include "node/job/json.h"

#define SHOWN_MAX 200 // newest series and jobs in an answer

// Rows on their way into an answer. Shared by the callbacks of one question.
struct listing {
    struct core *core;
    json_t *list;
    bool ok; // false: no memory, the list is not whole
};

static json_t *new_answer(const char *schema, bool *ok)
{
    json_t *o = json_object();
    json_put_text(o, "schema", schema, ok);
    json_put_text(o, "anode", ANODE_VERSION, ok);
    return o;
}

// Gives the value away, or NULL with *err when it is not whole.
static json_t *finish_answer(json_t *o, bool ok, struct err *err)
{
    if (ok)
        return o;
    json_decref(o);
    if (err->code == ERR_NONE)
        err_set(err, ERR_NOMEM, "no memory for the answer");
    return NULL;
}

static bool add_count(void *ctx, const char *state, int64_t count)
{
    struct listing *l = ctx;
    json_put_integer(l->list, state, count, &l->ok);
    return l->ok;
}

static json_t *counts(struct core *core, struct err *err)
{
    static const char *const tables[] = {"series", "jobs", "quarantine"};
    json_t *all = json_object();
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof tables / sizeof tables[0]; i++) {
        struct listing l = {core, json_object(), true};
        ok = state_each_count(core->state, tables[i], add_count, &l, err) && l.ok;
        json_put(all, tables[i], l.list, &ok);
    }
    return finish_answer(all, ok, err);
}

static bool add_series(void *ctx, const struct state_series *row)
{
    struct listing *l = ctx;
    char evidence[256];
    bool receiving = strcmp(row->state, "receiving") == 0;
    if (receiving)
        arrivals_evidence(l->core->arrivals, row->id, evidence);
    json_t *o = json_object();
    json_put_integer(o, "id", row->id, &l->ok);
    json_put_text(o, "series", row->series_instance_uid, &l->ok);
    json_put_text(o, "study", row->study_instance_uid, &l->ok);
    json_put_text(o, "modality", row->modality, &l->ok);
    json_put_text(o, "source", row->source, &l->ok);
    json_put_text(o, "address", row->address, &l->ok);
    json_put_text(o, "state", row->state, &l->ok);
    json_put_number(o, "first_at", row->first_at, &l->ok);
    json_put_number(o, "last_at", row->last_at, &l->ok);
    json_put_integer(o, "instances", row->instances, &l->ok);
    json_put_integer(o, "runs", row->runs, &l->ok);
    json_put_text(o, "completeness", receiving ? "" : row->completeness, &l->ok);
    json_put_text(o, "evidence", receiving ? evidence : row->evidence, &l->ok);
    json_put_text(o, "route", row->route, &l->ok);
    json_put_text(o, "why", row->why, &l->ok);
    json_add(l->list, o, &l->ok);
    return l->ok;
}

// The object of parameters; what cannot be read is shown as it is.
static json_t *parameters_of(const struct state_job *row)
{
    json_t *object = json_loads(row->parameters, 0, NULL);
    return object ? object : json_text(row->parameters);
}

static void put_job(json_t *o, const struct state_job *row, bool *ok)
{
    json_put_integer(o, "id", row->id, ok);
    json_put_text(o, "scope", job_scope_name(row->scope), ok);
    json_put_text(o, "study", row->study_instance_uid, ok);
    json_put_text(o, "series", row->series_instance_uid, ok);
    json_put_integer(o, "run", row->run, ok);
    json_put_text(o, "route", row->route, ok);
    json_put_text(o, "stage", row->stage, ok);
    json_put_text(o, "version", row->version, ok);
    json_put(o, "parameters", parameters_of(row), ok);
    json_put_text(o, "destinations", row->destinations, ok);
    json_put_integer(o, "priority", row->priority, ok);
    json_put_text(o, "evidence", row->evidence, ok);
    json_put_text(o, "remark", row->remark, ok);
    json_put_text(o, "state", job_state_name(row->state), ok);
    json_put_text(o, "outcome", row->outcome, ok);
    json_put_integer(o, "attempts", row->attempts, ok);
    json_put_integer(o, "refusals", row->refusals, ok);
    json_put_integer(o, "waits", row->waits, ok);
    json_put_integer(o, "tries", row->tries, ok);
    json_put_number(o, "not_before", row->not_before, ok);
    json_put_text(o, "verdict", row->verdict, ok);
    json_put_text(o, "reason", row->reason, ok);
    json_put_text(o, "device", row->device, ok);
    json_put_number(o, "seconds", row->seconds, ok);
    json_put_integer(o, "peak_bytes", row->peak_bytes, ok);
    json_put_number(o, "created_at", row->created_at, ok);
    json_put_number(o, "started_at", row->started_at, ok);
    json_put_number(o, "ended_at", row->ended_at, ok);
}

static bool add_job(void *ctx, const struct state_job *row)
{
    struct listing *l = ctx;
    json_t *o = json_object();
    put_job(o, row, &l->ok);
    json_add(l->list, o, &l->ok);
    return l->ok;
}

static bool add_object(void *ctx, const struct state_object *row)
{
    struct listing *l = ctx;
    json_t *o = json_object();
    json_put_integer(o, "id", row->id, &l->ok);
    json_put_text(o, "destination", row->destination, &l->ok);
    json_put_text(o, "kind", row->object.kind, &l->ok);
    json_put_text(o, "path", row->path, &l->ok);
    json_put_text(o, "sop_class", row->object.sop_class_uid, &l->ok);
    json_put_text(o, "sop_instance", row->object.sop_instance_uid, &l->ok);
    json_put_text(o, "series", row->object.series_instance_uid, &l->ok);
    json_put_text(o, "state", row->state, &l->ok);
    json_put_integer(o, "attempts", row->attempts, &l->ok);
    json_put_number(o, "first_at", row->first_at, &l->ok);
    json_put_number(o, "next_at", row->next_at, &l->ok);
    json_put_number(o, "sent_at", row->sent_at, &l->ok);
    json_put_text(o, "reason", row->reason, &l->ok);
    json_add(l->list, o, &l->ok);
    return l->ok;
}

static json_t *outbox_item(const struct state_outbox_count *box, bool *ok)
{
    json_t *o = json_object();
    json_put_integer(o, "pending", box->pending, ok);
    json_put_integer(o, "sent", box->sent, ok);
    json_put_integer(o, "failed", box->failed, ok);
    json_put_integer(o, "discarded", box->discarded, ok);
    json_put_number(o, "oldest", box->oldest_pending, ok);
    json_put_text(o, "trouble", box->reason, ok);
    return o;
}

// A peer as the configuration names it, what waits for it, when it was last seen.
static json_t *peer_item(struct core *core, const struct conf_peer *peer, const json_t *seen,
                         struct err *err)
{
    struct state_outbox_count box;
    bool ok = true;
    size_t i;
    json_t *one, *o = json_object();
    if (!state_count_outbox(core->state, peer->name, &box, err))
        return finish_answer(o, false, err);
    json_put_text(o, "ae_title", peer->name, &ok);
    json_put_text(o, "host", peer->host, &ok);
    json_put_integer(o, "port", peer->port, &ok);
    json_put_bool(o, "may_send", peer->may_send, &ok);
    json_put(o, "outbox", outbox_item(&box, &ok), &ok);
    json_array_foreach(seen, i, one)
    {
        const char *title = json_string_value(json_object_get(one, "ae_title"));
        if (title && strcmp(title, peer->name) == 0)
            ok = json_object_set(o, "seen", one) == 0 && ok;
    }
    return finish_answer(o, ok, err);
}

static json_t *peers(struct core *core, struct err *err)
{
    json_t *list = json_array(), *seen = intake_peers(core->intake);
    bool ok = true;
    for (size_t i = 0; ok && i < core->conf->peer_count; i++)
        json_add(list, peer_item(core, &core->conf->peers[i], seen, err), &ok);
    json_decref(seen);
    return finish_answer(list, ok, err);
}

static json_t *status(struct core *core, struct err *err)
{
    bool ok = true;
    json_t *o = new_answer("anode.status/1", &ok);
    struct listing series = {core, json_array(), true}, jobs = {core, json_array(), true};
    json_put_text(o, "ae_title", core->conf->ae_title, &ok);
    json_put_integer(o, "port", core->conf->port, &ok);
    json_put_text(o, "data_dir", core->dir.path, &ok);
    json_put_integer(o, "pid", getpid(), &ok);
    json_put_number(o, "started_at", core->started, &ok);
    json_put_bool(o, "draining", core->draining, &ok);
    json_put(o, "counts", counts(core, err), &ok);
    json_put(o, "devices", jobs_devices(core->jobs), &ok);
    json_put(o, "workers", jobs_workers(core->jobs), &ok);
    json_put_text(o, "trouble", jobs_trouble(core->jobs), &ok);
    json_put(o, "audit", audit_status(core->audit), &ok);
    json_put(o, "peers", peers(core, err), &ok);
    ok = ok && state_each_series(core->state, SERIES_ALL, SHOWN_MAX, add_series, &series, err) &&
         state_each_job(core->state, SHOWN_MAX, add_job, &jobs, err) && series.ok && jobs.ok;
    json_put(o, "series", series.list, &ok);
    json_put(o, "collections", collections_list(core->collections, err), &ok);
    json_put(o, "jobs", jobs.list, &ok);
    return finish_answer(o, ok, err);
}

static json_t *job_list(struct core *core, struct err *err)
{
    bool ok = true;
    json_t *o = new_answer("anode.jobs/1", &ok);
    struct listing l = {core, json_array(), true};
    ok = ok && state_each_job(core->state, SHOWN_MAX, add_job, &l, err) && l.ok;
    json_put(o, "jobs", l.list, &ok);
    return finish_answer(o, ok, err);
}

static bool add_quarantined(void *ctx, const struct state_quarantined *row)
{
    struct listing *l = ctx;
    json_t *o = json_object();
    json_put_text(o, "instance", row->sop_instance_uid, &l->ok);
    json_put_text(o, "file", row->path, &l->ok);
    json_put_text(o, "source", row->calling, &l->ok);
    json_put_text(o, "address", row->address, &l->ok);
    json_put_number(o, "at", row->at, &l->ok);
    json_put_integer(o, "bytes", row->bytes, &l->ok);
    json_put_text(o, "reason", row->reason, &l->ok);
    json_add(l->list, o, &l->ok);
    return l->ok;
}

static json_t *quarantine_list(struct core *core, struct err *err)
{
    bool ok = true;
    json_t *o = new_answer("anode.quarantine/1", &ok);
    struct listing l = {core, json_array(), true};
    ok = ok && state_each_quarantined(core->state, SHOWN_MAX, add_quarantined, &l, err) && l.ok;
    json_put(o, "instances", l.list, &ok);
    return finish_answer(o, ok, err);
}

static bool take_job(void *ctx, const struct state_job *row)
{
    struct listing *l = ctx;
    l->list = new_answer("anode.job/1", &l->ok);
    put_job(l->list, row, &l->ok);
    return false;
}

static bool add_input(void *ctx, const struct state_input *row)
{
    struct listing *l = ctx;
    json_t *o = json_object();
    json_put_integer(o, "slot", row->slot, &l->ok);
    json_put_integer(o, "position", row->position, &l->ok);
    json_put_text(o, "series", row->series_instance_uid, &l->ok);
    json_put_text(o, "modality", row->modality, &l->ok);
    json_add(l->list, o, &l->ok);
    return l->ok;
}

static json_t *show(struct core *core, int64_t id, struct err *err)
{
    struct listing job = {core, NULL, true}, objects = {core, json_array(), true};
    struct listing inputs = {core, json_array(), true};
    bool ok = state_get_job(core->state, id, take_job, &job, err) && job.ok;
    if (ok && !job.list)
        ok = err_set(err, ERR_INPUT, "no job %lld", (long long)id);
    ok = ok && state_each_input(core->state, id, add_input, &inputs, err) && inputs.ok &&
         state_each_object(core->state, id, add_object, &objects, err) && objects.ok;
    json_put(job.list, "inputs", inputs.list, &ok);
    json_put(job.list, "objects", objects.list, &ok);
    return finish_answer(job.list, ok, err);
}

static json_t *retry_failed(struct core *core, struct err *err)
{
    bool ok = true;
    int count = 0;
    if (!jobs_retry_failed(core->jobs, &count, err))
        return NULL;
    json_t *o = new_answer("anode.retry/1", &ok);
    json_put_integer(o, "jobs", count, &ok);
    return finish_answer(o, ok, err);
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
    case VERB_QUARANTINE:
        return quarantine_list(core, err);
    case VERB_RETRY_FAILED:
        return retry_failed(core, err);
    }
    err_set(err, ERR_INPUT, "unknown command %u", m->verb);
    return NULL;
}

// Why there is no answer.
static json_t *refusal(const struct err *err)
{
    bool ok = true;
    json_t *o = new_answer("anode.error/1", &ok);
    json_put_text(o, "error", err->text[0] ? err->text : "no memory", &ok);
    json_put_text(o, "code", err_code_name(err->code), &ok);
    return finish_answer(o, ok, &(struct err){0});
}

char *control_answer(struct core *core, const struct msg_control *m)
{
    struct err err = {0};
    json_t *answer = act(core, m, &err);
    if (!answer)
        answer = refusal(&err);
    char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
    json_decref(answer);
    return text;
}
