#include "node/core/route.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compute/stages/stage.h"
#include "node/job/params.h"
#include "node/job/slots.h"
#include "base/clock.h"

#define PARAMS_MAX 256

static bool parse_parameters(const struct conf_run *run, const struct stage *stage, char **out,
                             struct err *err)
{
    struct param_value params[PARAMS_MAX];
    if (stage->param_count > PARAMS_MAX)
        return err_set(err, ERR_INTERNAL, "analysis %s has too many parameters", stage->name);
    struct arena *arena = arena_create();
    if (!arena)
        return err_set(err, ERR_NOMEM, "no memory for options");
    stage_defaults(stage, params);
    bool ok = true;
    for (size_t i = 0; ok && i < run->option_count; i++)
        ok = stage_option(stage, run->options[i].name, run->options[i].value, arena, params, err);
    if (ok) {
        *out = params_text(stage, params);
        ok = *out || err_set(err, ERR_NOMEM, "no memory for parameters");
    }
    arena_destroy(arena);
    return ok;
}

static bool is_listed(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *p = list; p && *p; p = strchr(p, '\\') ? strchr(p, '\\') + 1 : NULL) {
        if (strncmp(p, name, len) == 0 && (p[len] == 0 || p[len] == '\\'))
            return true;
    }
    return false;
}

static bool join_destinations(const struct conf *conf, const struct conf_route *route,
                              const char *source, char **out, struct err *err)
{
    size_t size = strlen(source) + 2;
    for (size_t i = 0; i < route->return_count; i++)
        size += strlen(conf->peers[route->return_peers[i]].name) + 1;
    char *list = calloc(1, size);
    if (!list)
        return err_set(err, ERR_NOMEM, "no memory for destinations");
    if (route->return_source)
        snprintf(list, size, "%s", source);
    for (size_t i = 0; i < route->return_count; i++) {
        const char *name = conf->peers[route->return_peers[i]].name;
        if (is_listed(list, name))
            continue;
        size_t used = strlen(list);
        snprintf(list + used, size - used, "%s%s", used ? "\\" : "", name);
    }
    *out = list;
    return true;
}

static bool route_add_report(void *ctx, const char *sop_instance_uid)
{
    digest_add_text(ctx, sop_instance_uid);
    return true;
}

static bool route_add_unreported(void *ctx, const struct state_unreported *row)
{
    digest_add_text(ctx, row->stage);
    digest_add_text(ctx, row->series_instance_uid);
    digest_add_text(ctx, job_state_name(row->state));
    return true;
}

static bool route_add_inputs(struct state *state, struct digest *digest, struct state_input *inputs,
                             size_t count, struct err *err)
{
    uint8_t sum[DIGEST_SIZE];
    char slot[16];
    for (size_t i = 0; i < count; i++) {
        snprintf(slot, sizeof slot, "%d", inputs[i].slot);
        if (!state_series_digest(state, inputs[i].series, sum, &inputs[i].last_instance, err))
            return false;
        digest_add_text(digest, slot);
        digest_add(digest, sum, DIGEST_SIZE);
    }
    return true;
}

// The same instances in the same inputs, analysis, version and parameters: the same job. collection
// not 0: the same reports, whatever the series are that they are of.
static bool route_make_key(struct state *state, const struct stage *stage, const char *parameters,
                           int64_t collection, struct state_input *inputs, size_t count,
                           char out[65], struct err *err)
{
    struct digest *digest = digest_create(), *series = digest_create();
    uint8_t sum[DIGEST_SIZE];
    bool ok = (digest && series) || err_set(err, ERR_NOMEM, "no memory for a digest");
    ok = ok && route_add_inputs(state, collection ? series : digest, inputs, count, err);
    if (ok && collection)
        ok = state_study_reports(state, collection, route_add_report, digest, err) &&
             state_study_unreported(state, collection, route_add_unreported, digest, err);
    if (ok) {
        digest_add_text(digest, stage->name);
        digest_add_text(digest, stage->version);
        digest_add_text(digest, parameters);
        digest_end(digest, sum);
        digest_hex(sum, out);
    }
    digest_destroy(digest);
    digest_destroy(series);
    return ok;
}

static bool route_make_job(const struct conf *conf, struct state *state,
                           const struct conf_route *route, const struct conf_run *run,
                           const char *source, int64_t collection, struct state_input *inputs,
                           size_t count, struct route_job *out, struct err *err)
{
    const struct stage *stage = out->stage;
    if (!parse_parameters(run, stage, &out->parameters, err))
        return err_wrap(err, "route %s", route->name);
    if (!join_destinations(conf, route, source, &out->destinations, err) ||
        !route_make_key(state, stage, out->parameters, collection, inputs, count, out->key, err))
        return false;
    out->job =
        (struct state_job){.scope = stage->scope == SCOPE_STUDY ? JOB_OF_STUDY : JOB_OF_SERIES,
                           .route = route->name,
                           .stage = stage->name,
                           .version = stage->version,
                           .parameters = out->parameters,
                           .priority = (int64_t)route->priority + stage->priority,
                           .results = run->results,
                           .destinations = out->destinations,
                           .key = out->key,
                           .remark = "",
                           .created_at = clock_wall()};
    return true;
}

static bool route_find_stage(const struct conf_route *route, const struct conf_run *run,
                             const struct stage **stage, struct err *err)
{
    *stage = stage_find(run->stage);
    return *stage ||
           err_set(err, ERR_INTERNAL, "route %s: no analysis %s", route->name, run->stage);
}

bool route_study(const struct conf *conf, struct state *state, const struct conf_route *route,
                 const struct conf_run *run, const char *source, int64_t collection,
                 struct state_input *inputs, size_t count, struct route_job *out, struct err *err)
{
    *out = (struct route_job){0};
    return route_find_stage(route, run, &out->stage, err) &&
           route_make_job(conf, state, route, run, source,
                          stage_takes_reports(out->stage) ? collection : 0, inputs, count, out,
                          err);
}

struct routed { // a series on its way
    const struct conf *conf;
    struct state *state;
    int64_t series;
    const char *source;
    struct attrs attrs;
};

// One analysis of the route: a job when it takes the series, else a line in why.
static bool route_offer(const struct routed *r, const struct conf_route *route,
                        const struct conf_run *run, FILE *why, struct route_outcome *out,
                        struct err *err)
{
    struct route_job *job = &out->jobs[out->job_count];
    if (!route_find_stage(route, run, &job->stage, err))
        return false;
    if (stage_takes_reports(job->stage)) { // it comes last
        job->slot = 0;                     // its only one
        out->job_count += slots_match_reports(job->stage, out->job_count > 0, why);
        fputc('\n', why);
        return true;
    }
    job->slot = slots_match(job->stage, &r->attrs, CONF_VALUES_HIDDEN, why);
    if (job->slot < 0) {
        fputc('\n', why);
        return true;
    }
    out->job_count++;
    if (job->stage->scope == SCOPE_STUDY) {
        fprintf(why, "%s takes it as %s\n", job->stage->name, job->stage->inputs[job->slot].name);
        return true;
    }
    job->input = (struct state_input){.slot = job->slot, .series = r->series};
    return route_make_job(r->conf, r->state, route, run, r->source, 0, &job->input, 1, job, err);
}

static bool route_match(const struct routed *r, FILE *why, struct route_outcome *out,
                        struct err *err)
{
    const struct conf_route *route = conf_match(r->conf, &r->attrs, CONF_VALUES_HIDDEN, why);
    bool ok = true;
    if (!route)
        return true;
    out->jobs = calloc(route->run_count, sizeof *out->jobs);
    if (!out->jobs)
        return err_set(err, ERR_NOMEM, "no memory for the jobs of a series");
    for (int last = 0; last < 2; last++) { // what takes reports comes after what makes them
        for (size_t i = 0; ok && i < route->run_count; i++) {
            const struct stage *stage = stage_find(route->runs[i].stage);
            if ((stage && stage_takes_reports(stage)) == last)
                ok = route_offer(r, route, &route->runs[i], why, out, err);
        }
    }
    if (ok && out->job_count > 0)
        out->route = route;
    return ok;
}

bool route_series(const struct conf *conf, struct state *state, int64_t series, const char *source,
                  struct route_outcome *out, struct err *err)
{
    struct routed r = {.conf = conf, .state = state, .series = series, .source = source};
    size_t size = 0;
    if (!state_series_attrs(state, series, &r.attrs, err))
        return false;
    FILE *why = open_memstream(&out->why, &size);
    bool ok = why && route_match(&r, why, out, err);
    attrs_finish(&r.attrs);
    if (!why || fclose(why) != 0)
        return err_set(err, ERR_NOMEM, "no memory for the reasons of routing");
    while (size > 0 && out->why[size - 1] == '\n')
        out->why[--size] = 0;
    return ok;
}

void route_job_finish(struct route_job *job)
{
    free(job->parameters);
    free(job->destinations);
    *job = (struct route_job){0};
}

void route_outcome_finish(struct route_outcome *out)
{
    for (size_t i = 0; i < out->job_count; i++)
        route_job_finish(&out->jobs[i]);
    free(out->jobs);
    free(out->why);
    memset(out, 0, sizeof *out);
}
