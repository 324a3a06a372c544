#include "node/core/collections.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "node/core/collection.h"
#include "node/core/earlier.h"
#include "node/core/jobs.h"
#include "node/core/route.h"
#include "node/core/series.h"
#include "node/job/json.h"
#include "node/job/slots.h"

#define TRY_AGAIN_S 5 // after a job that could not be written

struct collections {
    struct core *core;
    double begun; // wall clock: waits count from here at the earliest
    double next;
    bool ended; // a collection has, in this pass
};

struct member {
    int64_t series;
    int64_t number; // see struct slots_rank
    int slot;
    char uid[65], source[17];
    char *evidence;
    bool taken; // an input of the job
};

// One collection while it is looked at.
struct study {
    struct collections *all;
    struct study *next;
    int64_t id;
    char study_instance_uid[65];
    char *route_name, *stage_name;
    double started, grown;
    const struct conf_route *route; // NULL: the configuration has it no more
    const struct conf_run *run;
    const struct stage *stage;
    struct member *members; // by slot and UID
    size_t member_count, member_room;
    struct collection_slot *slots;
    bool ok; // no memory, no database
    struct err *err;
};

static void study_destroy(struct study *s)
{
    for (size_t i = 0; i < s->member_count; i++)
        free(s->members[i].evidence);
    free(s->members);
    free(s->slots);
    free(s->route_name);
    free(s->stage_name);
    free(s);
}

static bool study_no_memory(struct study *s)
{
    s->ok = err_set(s->err, ERR_NOMEM, "no memory for a study");
    return false;
}

// ---- What there is ----

struct studies {
    struct collections *all;
    struct study *first, **last;
    bool ok;
};

static bool study_add(void *ctx, const struct state_collection *row)
{
    struct studies *l = ctx;
    struct study *s = calloc(1, sizeof *s);
    if (s) {
        s->route_name = strdup(row->route);
        s->stage_name = strdup(row->stage);
    }
    l->ok = s && s->route_name && s->stage_name;
    if (!l->ok) {
        if (s)
            study_destroy(s);
        return false;
    }
    s->all = l->all;
    s->id = row->id;
    snprintf(s->study_instance_uid, sizeof s->study_instance_uid, "%s", row->study_instance_uid);
    s->started = fmax(row->started_at, l->all->begun);
    s->grown = fmax(row->grown_at, l->all->begun);
    *l->last = s;
    l->last = &s->next;
    return true;
}

static void studies_finish(struct studies *l)
{
    while (l->first) {
        struct study *s = l->first;
        l->first = s->next;
        study_destroy(s);
    }
}

static bool studies_load(struct collections *c, struct studies *l, struct err *err)
{
    *l = (struct studies){.all = c, .last = &l->first, .ok = true};
    bool ok = state_each_collection(c->core->state, study_add, l, err);
    return ok && (l->ok || err_set(err, ERR_NOMEM, "no memory for studies"));
}

// The first route of the configuration of that name, unless one before it is taken already.
static void study_try_route(struct study *s, const char *name)
{
    const struct conf *conf = s->all->core->conf;
    for (size_t i = 0; i < conf->route_count; i++) {
        const struct conf_route *route = &conf->routes[i];
        struct conf_run *run = conf_find_run(route, s->stage_name);
        if (s->route == route)
            return;
        if (run && strcmp(route->name, name) == 0) {
            s->route = route;
            s->run = run;
            return;
        }
    }
}

static bool study_try_route_of(void *ctx, const struct state_member *row)
{
    study_try_route(ctx, row->route);
    return true;
}

// The route and the analysis as the present configuration has them. What gathers reports has no
// route of its own: of those of its series the one that the configuration has first.
static bool study_find_route(struct study *s, struct err *err)
{
    s->stage = stage_find(s->stage_name);
    if (*s->route_name)
        study_try_route(s, s->route_name);
    else if (!state_each_member(s->all->core->state, s->id, study_try_route_of, s, err))
        return false;
    return true;
}

static bool study_add_member(void *ctx, const struct state_member *row)
{
    struct study *s = ctx;
    if (row->slot < 0 || (size_t)row->slot >= s->stage->input_count)
        return true; // of an earlier version of the analysis
    if (s->member_count == s->member_room) {
        size_t room = s->member_room ? 2 * s->member_room : 8;
        struct member *grown = realloc(s->members, room * sizeof *grown);
        if (!grown)
            return study_no_memory(s);
        s->members = grown;
        s->member_room = room;
    }
    struct member *m = &s->members[s->member_count];
    *m = (struct member){.series = row->series, .slot = row->slot, .number = INT64_MAX};
    snprintf(m->uid, sizeof m->uid, "%s", row->series_instance_uid);
    snprintf(m->source, sizeof m->source, "%s", row->source);
    m->evidence = strdup(row->evidence);
    if (!m->evidence)
        return study_no_memory(s);
    s->member_count++;
    s->slots[m->slot].complete++;
    const char *confirmed = series_verdict_name(SERIES_COMPLETE); // how the evidence begins
    s->slots[m->slot].confirmed += strncmp(m->evidence, confirmed, strlen(confirmed)) == 0;
    return true;
}

// A series of the study that is being received: does it belong to this collection?
static bool study_add_sibling(void *ctx, int64_t series)
{
    struct study *s = ctx;
    struct attrs attrs = {0};
    if (!state_series_attrs(s->all->core->state, series, &attrs, s->err)) {
        s->ok = false;
        return false;
    }
    if (conf_match(s->all->core->conf, &attrs, CONF_VALUES_HIDDEN, NULL) == s->route) {
        int slot = slots_match(s->stage, &attrs, CONF_VALUES_HIDDEN, NULL);
        if (slot >= 0)
            s->slots[slot].receiving++;
    }
    attrs_finish(&attrs);
    return true;
}

static bool study_number_members(struct study *s)
{
    for (size_t i = 0; i < s->member_count; i++) {
        struct attrs attrs = {0};
        if (!state_series_attrs(s->all->core->state, s->members[i].series, &attrs, s->err))
            return false;
        s->members[i].number = slots_rank(&attrs, s->members[i].uid).number;
        attrs_finish(&attrs);
    }
    return true;
}

// Counts what fills each input and what is on its way there. The route exists.
static bool study_fill(struct study *s, struct err *err)
{
    struct state *state = s->all->core->state;
    s->err = err;
    s->ok = true;
    s->slots = calloc(s->stage->input_count, sizeof *s->slots);
    if (!s->slots)
        return study_no_memory(s);
    for (size_t i = 0; i < s->stage->input_count; i++)
        s->slots[i].spec = &s->stage->inputs[i];
    return state_each_member(state, s->id, study_add_member, s, err) && s->ok &&
           state_each_sibling(state, s->id, study_add_sibling, s, err) && s->ok;
}

static void study_decide(const struct study *s, struct collection_decision *d)
{
    const struct conf *conf = s->all->core->conf;
    struct collection_rules rules = {.quiet_s = conf->quiet_s,
                                     .short_quiet_s = conf->short_quiet_s,
                                     .study_wait_s = conf->study_wait_s};
    struct collection_evidence e = {.now = clock_wall(),
                                    .started = s->started,
                                    .grown = s->grown,
                                    .slots = s->slots,
                                    .slot_count = s->stage->input_count};
    collection_decide(&rules, &e, d);
}

// ---- What becomes of it ----

static bool member_comes_first(const struct member *a, const struct member *b)
{
    const struct slots_rank x = {a->number, a->uid}, y = {b->number, b->uid};
    return slots_rank_before(&x, &y);
}

// An input of many series takes all of them, every other one the lowest Series Number, then UID.
static void study_choose(struct study *s)
{
    for (size_t slot = 0; s->stage && slot < s->stage->input_count; slot++) {
        struct member *best = NULL;
        for (size_t i = 0; i < s->member_count; i++) {
            struct member *m = &s->members[i];
            if (m->slot != (int)slot)
                continue;
            m->taken = s->stage->inputs[slot].count == INPUT_MANY;
            if (!best || member_comes_first(m, best))
                best = m;
        }
        if (best)
            best->taken = true;
    }
}

// A sentence of a text that grows: parts are joined by "; ".
static void evidence_add(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void evidence_add(FILE *out, const char *format, ...)
{
    va_list args;
    if (ftell(out) > 0)
        fputs("; ", out);
    va_start(args, format);
    vfprintf(out, format, args);
    va_end(args);
}

// What is known of one input that no series fills.
static void describe_empty(FILE *out, const struct study *s, const struct collection_slot *slot)
{
    double waited = clock_wall() - s->started;
    if (slot->receiving > 0)
        evidence_add(out, "%s: still being received after %.0f s", slot->spec->name, waited);
    else if (slot->spec->count == INPUT_OPTIONAL)
        evidence_add(out, "%s: none has come, which may be", slot->spec->name);
    else
        evidence_add(out, "%s: missing after %.0f s", slot->spec->name, waited);
}

// Every input, and which evidence decided that it is complete. Of what gathers reports: what is
// asked of the whole study.
static void describe_all(FILE *out, const struct study *s)
{
    if (stage_takes_reports(s->stage)) {
        evidence_add(out,
                     "no series of the study is being received and no analysis of it is to run, "
                     "for %g s",
                     s->all->core->conf->quiet_s);
        return;
    }
    for (size_t i = 0; i < s->stage->input_count; i++) {
        if (s->slots[i].complete == 0)
            describe_empty(out, s, &s->slots[i]);
        for (size_t k = 0; k < s->member_count; k++) {
            const struct member *m = &s->members[k];
            if (m->slot == (int)i)
                evidence_add(out, "%s: %s%s", s->slots[i].spec->name, m->evidence,
                             m->taken ? "" : " (left out)");
        }
    }
}

// What the reader of the results must know: inputs that are missing or not whole, series left out.
static void describe_trouble(FILE *out, const struct study *s)
{
    for (size_t i = 0; i < s->stage->input_count; i++) {
        const struct collection_slot *slot = &s->slots[i];
        if (slot->complete == 0 && (slot->receiving > 0 || slot->spec->count != INPUT_OPTIONAL))
            describe_empty(out, s, slot);
        for (size_t k = 0; k < s->member_count; k++) {
            const struct member *m = &s->members[k];
            if (m->slot != (int)i)
                continue;
            if (!m->taken)
                evidence_add(out,
                             "%s: series %s left out, as another one has a lower Series Number",
                             slot->spec->name, m->uid);
            else if (strncmp(m->evidence, "incomplete", 10) == 0 ||
                     strstr(m->evidence, ", interrupted"))
                evidence_add(out, "%s: %s", slot->spec->name, m->evidence);
        }
    }
}

static bool describe_unreported(void *ctx, const struct state_unreported *row)
{
    const bool reason = *row->reason && row->state != JOB_DONE;
    evidence_add(ctx, "%s of series %s is %s without a report%s%s", row->stage,
                 row->series_instance_uid, job_state_name(row->state), reason ? ": " : "",
                 reason ? row->reason : "");
    return true;
}

// Of what gathers reports: the trouble with its series is told by the reports.
static void describe_no_reports(FILE *out, const struct study *s)
{
    if (!state_study_unreported(s->all->core->state, s->id, describe_unreported, out, s->err))
        fputs("what has no report is not known", out);
}

// malloc'd; NULL: no memory.
static char *study_describe(const struct study *s, void (*what)(FILE *out, const struct study *s))
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    what(out, s);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

struct reports { // of a study
    struct state *state;
    int64_t job; // that is to gather them; 0: they are counted
    int64_t count;
    bool ok;
    struct err *err;
};

static bool reports_add(void *ctx, const char *sop_instance_uid)
{
    struct reports *r = ctx;
    r->count++;
    return r->ok = !r->job || state_add_report(r->state, r->job, sop_instance_uid, r->err);
}

// What a job gathers is fixed when it is made: later reports are for the next one.
static bool study_add_reports(const struct study *s, int64_t job, struct err *err)
{
    struct reports r = {.state = s->all->core->state, .job = job, .ok = true, .err = err};
    return !job || !stage_takes_reports(s->stage) ||
           (state_study_reports(r.state, s->id, reports_add, &r, err) && r.ok);
}

static bool study_add_job(struct study *s, struct route_job *job, char **evidence, char **remark,
                          struct err *err)
{
    struct state *state = s->all->core->state;
    struct state_input *inputs = calloc(s->member_count + 1, sizeof *inputs);
    const char *source = "";
    size_t count = 0;
    *evidence = study_describe(s, describe_all);
    *remark =
        study_describe(s, stage_takes_reports(s->stage) ? describe_no_reports : describe_trouble);
    bool ok = (inputs && *evidence && *remark) || err_set(err, ERR_NOMEM, "no memory for a job");
    for (size_t i = 0; ok && i < s->member_count; i++) {
        const struct member *m = &s->members[i];
        if (!m->taken)
            continue;
        int position =
            count > 0 && inputs[count - 1].slot == m->slot ? inputs[count - 1].position + 1 : 0;
        source = count == 0 ? m->source : source;
        inputs[count++] =
            (struct state_input){.slot = m->slot, .position = position, .series = m->series};
    }
    ok = ok && route_study(s->all->core->conf, state, s->route, s->run, source, s->id, inputs,
                           count, job, err);
    if (ok) {
        job->job.evidence = *evidence;
        job->job.remark = *remark;
        ok = state_add_job(state, &job->job, inputs, count, &job->job_id, err) &&
             study_add_reports(s, job->job_id, err) &&
             earlier_want(s->all->core->earlier, job->job_id, source, err);
    }
    free(inputs);
    return ok;
}

// Whether there is anything that a job could take.
static bool study_has_input(const struct study *s, bool *has, struct err *err)
{
    struct reports r = {.state = s->all->core->state, .ok = true, .err = err};
    const bool reports = stage_takes_reports(s->stage);
    if (reports && !state_study_reports(r.state, s->id, reports_add, &r, err))
        return false;
    *has = s->member_count > 0 && (!reports || r.count > 0);
    return true;
}

// The job and the end of the collection in one transaction.
static bool study_end(struct study *s, struct err *err)
{
    struct state *state = s->all->core->state;
    struct route_job job = {0};
    char *evidence = NULL, *remark = NULL;
    bool has = false;
    bool ok = study_number_members(s) && study_has_input(s, &has, err) && state_begin(state, err);
    if (ok) {
        study_choose(s);
        ok = (!has || study_add_job(s, &job, &evidence, &remark, err)) &&
             state_collection_end(state, s->id, err) && state_commit(state, err);
        if (!ok)
            state_rollback(state);
    }
    if (ok && job.job_id)
        log_info("study=%s route=\"%s\" analysis=%s job=%lld evidence=\"%s\"",
                 s->study_instance_uid, s->route->name, s->stage_name, (long long)job.job_id,
                 evidence);
    else if (ok && s->member_count > 0)
        log_info("study=%s route=\"%s\" analysis=%s %s", s->study_instance_uid, s->route->name,
                 s->stage_name,
                 has ? "the same job is there already" : "no analysis has given a report");
    if (ok) {
        s->all->ended = true;
        earlier_wake(s->all->core->earlier);
        jobs_wake(s->all->core->jobs);
    }
    route_job_finish(&job);
    free(evidence);
    free(remark);
    return ok;
}

// A configuration without the route, or without the analysis in it, waits for nothing.
static bool study_drop(struct study *s, struct err *err)
{
    log_warn("study=%s no longer collected: %s%s%s does not run %s any more", s->study_instance_uid,
             *s->route_name ? "route \"" : "no route of its series", s->route_name,
             *s->route_name ? "\"" : "", s->stage_name);
    s->all->ended = true;
    return state_collection_end(s->all->core->state, s->id, err);
}

// What gathers reports starts when no series of the study is being received and no analysis of it
// is to run, and that for the quiet time: the last series or the end of the last job counts. The
// ends of series, jobs and other collections wake these.
static bool study_consider_reports(struct study *s, double *wake, struct err *err)
{
    const struct conf *conf = s->all->core->conf;
    bool busy = true;
    if (!state_study_busy(s->all->core->state, s->id, &busy, err))
        return false;
    if (!busy && clock_wall() >= s->grown + conf->quiet_s)
        return study_end(s, err);
    *wake = busy ? INFINITY : s->grown + conf->quiet_s;
    return true;
}

static bool study_consider(struct study *s, double *wake, struct err *err)
{
    struct collection_decision d;
    if (!study_find_route(s, err))
        return false;
    if (!s->route || !s->stage)
        return study_drop(s, err);
    if (!study_fill(s, err))
        return false;
    if (stage_takes_reports(s->stage))
        return study_consider_reports(s, wake, err);
    study_decide(s, &d);
    if (d.verdict != COLLECTION_WAITS)
        return study_end(s, err);
    *wake = d.wake;
    return true;
}

static void collections_pass(struct collections *c, double now)
{
    struct err err = {0};
    struct studies l;
    c->next = INFINITY;
    c->ended = false;
    bool ok = studies_load(c, &l, &err);
    for (struct study *s = l.first; ok && s; s = s->next) {
        double wake = INFINITY;
        struct err own = {0};
        if (study_consider(s, &wake, &own)) {
            c->next = fmin(c->next, now + fmax(0.01, wake - clock_wall()));
        } else {
            log_error("study=%s no job made, again in %d s: %s", s->study_instance_uid, TRY_AGAIN_S,
                      own.text);
            c->next = fmin(c->next, now + TRY_AGAIN_S);
        }
    }
    if (!ok) {
        log_error("studies: %s", err.text);
        c->next = now + TRY_AGAIN_S;
    }
    studies_finish(&l);
}

double collections_tick(struct collections *c)
{
    double now = clock_steady();
    if (c->core->draining)
        return INFINITY;
    if (now < c->next)
        return c->next;
    do // what gathers reports may have waited for one that has ended without a job
        collections_pass(c, now);
    while (c->ended);
    return c->next;
}

bool collections_add(struct collections *c, int64_t series, const char *route,
                     const struct stage *stage, int slot, const char *evidence, double quiet_s,
                     struct err *err)
{
    const double now = clock_wall();
    int64_t id = 0;
    if (stage_takes_reports(stage))
        route = ""; // one for the whole study
    return state_collect(c->core->state, series, route, stage->name, slot, evidence, now,
                         now - fmax(quiet_s, 0), &id, err);
}

void collections_wake(struct collections *c)
{
    c->next = 0;
}

static json_t *study_item(struct study *s, bool *ok)
{
    char *evidence = s->stage && s->slots ? study_describe(s, describe_all) : NULL;
    json_t *o = json_object();
    json_put_text(o, "study", s->study_instance_uid, ok);
    json_put_text(o, "route", s->route_name, ok);
    json_put_text(o, "analysis", s->stage_name, ok);
    json_put_number(o, "since", s->started, ok);
    json_put_text(o, "evidence", evidence, ok);
    free(evidence);
    return o;
}

json_t *collections_list(struct collections *c, struct err *err)
{
    struct studies l;
    json_t *list = json_array();
    bool ok = studies_load(c, &l, err) && list;
    for (struct study *s = l.first; ok && s; s = s->next) {
        ok = study_find_route(s, err) && (!s->route || !s->stage || study_fill(s, err));
        if (ok && s->slots)
            study_choose(s);
        json_add(list, study_item(s, &ok), &ok);
    }
    studies_finish(&l);
    if (!ok) {
        json_decref(list);
        list = NULL;
    }
    return list;
}

struct collections *collections_create(struct core *core, struct err *err)
{
    struct collections *c = calloc(1, sizeof *c);
    if (!c) {
        err_set(err, ERR_NOMEM, "no memory");
        return NULL;
    }
    c->core = core;
    c->begun = clock_wall();
    return c;
}

void collections_destroy(struct collections *c)
{
    free(c);
}
