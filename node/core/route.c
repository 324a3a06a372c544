#include "node/core/route.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compute/stages/stage.h"
#include "node/job/params.h"
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

static bool listed(const char *list, const char *name)
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
        if (listed(list, name))
            continue;
        size_t used = strlen(list);
        snprintf(list + used, size - used, "%s%s", used ? "\\" : "", name);
    }
    *out = list;
    return true;
}

// The same instances in the same slot, analysis, version and parameters: the same job.
static bool make_key(const struct stage *stage, const char *parameters,
                     const uint8_t series[DIGEST_SIZE], char out[65], struct err *err)
{
    struct digest *digest = digest_create();
    uint8_t key[DIGEST_SIZE];
    if (!digest)
        return err_set(err, ERR_NOMEM, "no memory for a digest");
    digest_add_text(digest, "0"); // slot
    digest_add(digest, series, DIGEST_SIZE);
    digest_add_text(digest, stage->name);
    digest_add_text(digest, stage->version);
    digest_add_text(digest, parameters);
    digest_end(digest, key);
    digest_destroy(digest);
    digest_hex(key, out);
    return true;
}

static bool match(const struct conf *conf, struct state *state, int64_t series,
                  struct route_outcome *out, struct err *err)
{
    struct attrs attrs = {0};
    size_t size = 0;
    if (!state_series_attrs(state, series, &attrs, err))
        return false;
    FILE *why = open_memstream(&out->why, &size);
    if (why)
        out->route = conf_match(conf, &attrs, CONF_VALUES_HIDDEN, why);
    attrs_finish(&attrs);
    if (!why || fclose(why) != 0)
        return err_set(err, ERR_NOMEM, "no memory for the reasons of routing");
    while (size > 0 && out->why[size - 1] == '\n')
        out->why[--size] = 0;
    return true;
}

struct routed { // a series on its way
    const struct route_outcome *outcome;
    int64_t series, last_instance;
    uint8_t digest[DIGEST_SIZE];
};

static bool make_job(const struct routed *r, const struct conf_run *run, struct route_job *out,
                     struct err *err)
{
    const struct conf_route *route = r->outcome->route;
    const struct stage *stage = stage_find(run->stage);
    if (!stage)
        return err_set(err, ERR_INTERNAL, "route %s: no analysis %s", route->name, run->stage);
    if (!parse_parameters(run, stage, &out->parameters, err))
        return err_wrap(err, "route %s", route->name);
    if (!make_key(stage, out->parameters, r->digest, out->key, err))
        return false;
    out->input = (struct state_input){.series = r->series, .last_instance = r->last_instance};
    out->job = (struct state_job){.scope = JOB_OF_SERIES,
                                  .route = route->name,
                                  .stage = stage->name,
                                  .version = stage->version,
                                  .parameters = out->parameters,
                                  .priority = route->priority,
                                  .results = run->results,
                                  .destinations = r->outcome->destinations,
                                  .key = out->key,
                                  .remark = "",
                                  .created_at = clock_wall()};
    return true;
}

bool route_series(const struct conf *conf, struct state *state, int64_t series, const char *source,
                  struct route_outcome *out, struct err *err)
{
    struct routed r = {.outcome = out, .series = series};
    if (!match(conf, state, series, out, err))
        return false;
    if (!out->route)
        return true;
    out->jobs = calloc(out->route->run_count, sizeof *out->jobs);
    if (!out->jobs)
        return err_set(err, ERR_NOMEM, "no memory for the jobs of a series");
    if (!join_destinations(conf, out->route, source, &out->destinations, err) ||
        !state_series_digest(state, series, r.digest, &r.last_instance, err))
        return false;
    for (size_t i = 0; i < out->route->run_count; i++) {
        out->job_count++;
        if (!make_job(&r, &out->route->runs[i], &out->jobs[i], err))
            return false;
    }
    return true;
}

void route_outcome_finish(struct route_outcome *out)
{
    for (size_t i = 0; i < out->job_count; i++)
        free(out->jobs[i].parameters);
    free(out->jobs);
    free(out->why);
    free(out->destinations);
    memset(out, 0, sizeof *out);
}
