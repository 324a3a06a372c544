// anode route: which route each series found would take, and why. The one command that shows the
// values of identifying attributes: the person who asks has the files.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/text.h"
#include "dimse/read/object.h"
#include "node/cmd/cmd.h"
#include "node/cmd/cmd_common.h"
#include "node/core/checks.h"
#include "node/job/gather.h"
#include "node/job/json.h"
#include "node/job/slots.h"

#define ROUTE_SHOWN_MAX 1024 // bytes of a value or a line

// Does another analysis of the route take it, that gathers no reports?
static bool route_others_take(const struct conf_route *route, const struct gather_series *s)
{
    bool taken = false;
    for (size_t i = 0; i < route->run_count; i++) {
        const struct stage *stage = stage_find(route->runs[i].stage);
        taken = taken || (!stage_takes_reports(stage) &&
                          slots_match(stage, &s->attrs, CONF_VALUES_SHOWN, NULL) >= 0);
    }
    return taken;
}

// Does an analysis of a route take the series? why (may be NULL) gets a line of it.
static bool route_run_takes(const struct conf_route *route, const struct conf_run *run,
                            const struct gather_series *s, FILE *why)
{
    const struct stage *stage = stage_find(run->stage); // the configuration has been checked
    if (stage_takes_reports(stage)) {
        bool takes = slots_match_reports(stage, route_others_take(route, s), why);
        if (why)
            fputc('\n', why);
        return takes;
    }
    int slot = slots_match(stage, &s->attrs, CONF_VALUES_SHOWN, why);
    if (why && slot >= 0)
        fprintf(why, "%s takes it as %s", stage->name, stage->inputs[slot].name);
    if (why)
        fputc('\n', why);
    return slot >= 0;
}

// The reasons, a line each; malloc'd. NULL: no memory. *route: NULL when none matches, or no
// analysis of the one that does takes the series.
static char *route_explain(const struct conf *conf, const struct gather_series *s,
                           const struct conf_route **route)
{
    char *why = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&why, &size);
    if (!f)
        return NULL;
    const struct conf_route *matching = conf_match(conf, &s->attrs, CONF_VALUES_SHOWN, f);
    *route = NULL;
    for (size_t i = 0; matching && i < matching->run_count; i++) {
        if (route_run_takes(matching, &matching->runs[i], s, f))
            *route = matching;
    }
    if (fclose(f) == 0)
        return why;
    free(why);
    return NULL;
}

static void route_print(const struct gather_series *s, const struct conf_route *route, char *why)
{
    char shown[ROUTE_SHOWN_MAX], *rest = NULL;
    const char *description = attrs_get(&s->attrs, "SeriesDescription");
    printf("series %s\n", s->series_instance_uid);
    printf("  modality %s, ",
           text_shown(s->modality[0] ? s->modality : "none", shown, sizeof shown));
    printf("%zu instance%s, ", s->file_count, s->file_count == 1 ? "" : "s");
    printf("description %s\n",
           text_shown(description && *description ? description : "none", shown, sizeof shown));
    if (s->own)
        printf("  no route: it is a result of this node\n");
    else if (!route)
        printf("  no route\n");
    for (size_t i = 0; route && i < route->run_count; i++) {
        if (route_run_takes(route, &route->runs[i], s, NULL))
            printf("  route \"%s\" runs %s\n", route->name, route->runs[i].stage);
    }
    for (char *line = strtok_r(why, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        printf("    %s\n", text_shown(line, shown, sizeof shown));
}

static json_t *route_item(const struct gather_series *s, const struct conf_route *route, char *why,
                          bool *ok)
{
    json_t *o = gather_item(s, ok), *run = json_array(), *reasons = json_array();
    char *rest = NULL;
    for (size_t i = 0; route && i < route->run_count; i++) {
        if (route_run_takes(route, &route->runs[i], s, NULL))
            json_add(run, json_text(route->runs[i].stage), ok);
    }
    for (char *line = strtok_r(why, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        json_add(reasons, json_text(line), ok);
    json_put_text(o, "route", route ? route->name : "", ok);
    json_put(o, "run", run, ok);
    json_put(o, "why", reasons, ok);
    return o;
}

// One series, printed or added to list.
static bool route_show(const struct conf *conf, const struct gather_series *s, json_t *list)
{
    const struct conf_route *route = NULL;
    bool ok = true;
    char *why = s->own ? strdup("") : route_explain(conf, s, &route);
    if (!why)
        return false;
    if (list)
        json_add(list, route_item(s, route, why, &ok), &ok);
    else
        route_print(s, route, why);
    free(why);
    return ok;
}

static int route_show_all(const struct conf *conf, const struct gather *gather, bool json)
{
    bool ok = true;
    json_t *list = json ? json_array() : NULL;
    for (size_t i = 0; i < gather->count; i++)
        ok = route_show(conf, &gather->series[i], list) && ok;
    if (json) {
        json_t *answer = cmd_answer("anode.route/1", &ok);
        json_put(answer, "series", list, &ok);
        return cmd_print_json(answer, ok, 0);
    }
    if (!ok)
        log_error("no memory for the reasons");
    return cmd_flush(ok ? 0 : 2);
}

static int route_paths(const struct conf *conf, const struct cmd_args *args)
{
    struct gather gather;
    struct err err = {0};
    int status = 1;
    if (!gather_paths(args->operands, args->operand_count, conf->device_uid, &gather, &err)) {
        log_error("%s", err.text);
        status = err.code == ERR_NOMEM ? 2 : 1;
    } else if (gather.count == 0) {
        log_error("no DICOM series found");
    } else {
        status = route_show_all(conf, &gather, args->json);
    }
    gather_finish(&gather);
    return status;
}

int cmd_route(const struct cmd_args *args)
{
    struct err err = {0};
    int status;
    log_init(LOG_LEVEL_INFO, "route");
    if (!object_init(&err)) {
        log_error("%s", err.text);
        return 2;
    }
    struct conf *conf = cmd_load_conf(args, &node_checks, &status);
    if (conf)
        status = route_paths(conf, args);
    conf_destroy(conf);
    object_quit();
    return status;
}
