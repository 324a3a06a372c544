#include "conf/routes.h"
#include <string.h>
#include "conf/keys.h"
#include "base/near.h"

static struct pattern *read_one_pattern(struct reader *r, const struct tree *t, const char *path)
{
    char why[KEYS_WHY_SIZE] = "";
    const char *text = reader_scalar(r, t, path);
    struct pattern *p = text ? pattern_compile(text, why, sizeof why) : NULL;
    if (text && !p)
        reader_complain(r, t, path, why);
    return p;
}

// Patterns that were read become one; those of a list that was not understood are given up.
static struct pattern *join_patterns(struct reader *r, bool ok, struct pattern **parts,
                                     size_t count,
                                     struct pattern *(*join)(struct pattern **, size_t))
{
    if (ok) {
        struct pattern *p = join(parts, count);
        r->no_memory = r->no_memory || !p;
        return p;
    }
    for (size_t i = 0; i < count; i++)
        pattern_destroy(parts[i]);
    return NULL;
}

// One pattern, or any of a list of them.
static struct pattern *read_some_pattern(struct reader *r, const struct tree *t, const char *path)
{
    if (t->kind != TREE_LIST)
        return read_one_pattern(r, t, path);
    if (!reader_is_list(r, t, path, "patterns"))
        return NULL;
    if (t->count == 0)
        reader_complain(r, t, path, "an empty list matches nothing: name at least one pattern");
    struct pattern **parts = reader_reserve(r, t->count, sizeof *parts);
    size_t count = 0;
    bool ok = parts && t->count > 0;
    for (size_t i = 0; parts && i < t->count; i++) {
        char part[READER_PATH_SIZE];
        reader_path(part, "%s[%zu]", path, i);
        struct pattern *p = read_one_pattern(r, t->items[i], part);
        if (p)
            parts[count++] = p;
        ok = ok && p;
    }
    return join_patterns(r, ok, parts, count, pattern_any);
}

// What is said of any, none or all of the values.
static struct pattern *read_quantified(struct reader *r, const struct tree *key,
                                       const struct tree *value, const char *path)
{
    bool any = key->kind == TREE_SCALAR && strcmp(key->text, "any") == 0;
    bool none = key->kind == TREE_SCALAR && strcmp(key->text, "none") == 0;
    bool all = key->kind == TREE_SCALAR && strcmp(key->text, "all") == 0;
    if (!any && !none && !all) {
        reader_complain(r, key, path, "is none of any, none, all: as in {none: LOCALIZER}");
        return NULL;
    }
    struct pattern *p = read_some_pattern(r, value, path);
    struct pattern *of = !p || any ? p : none ? pattern_none(p) : pattern_all(p);
    r->no_memory = r->no_memory || (p && !of);
    return of;
}

// A pattern, any of a list of them, or what is said of any, none or all of several values.
static struct pattern *read_pattern(struct reader *r, const struct tree *t, const char *path)
{
    if (t->kind != TREE_MAP)
        return read_some_pattern(r, t, path);
    if (t->count == 0 || t->count / 2 > 3) {
        reader_complain(r, t, path, "needs any, none or all, as in {none: LOCALIZER}");
        return NULL;
    }
    struct pattern **parts = reader_reserve(r, t->count / 2, sizeof *parts);
    size_t count = 0;
    bool ok = parts != NULL;
    for (size_t i = 0; parts && i + 1 < t->count; i += 2) {
        char part[READER_PATH_SIZE];
        const struct tree *key = t->items[i];
        reader_path(part, "%s.%.64s", path, key->kind == TREE_SCALAR ? key->text : "");
        struct pattern *p = read_quantified(r, key, t->items[i + 1], part);
        if (p)
            parts[count++] = p;
        ok = ok && p;
    }
    if (ok && count == 1)
        return parts[0];
    return join_patterns(r, ok, parts, count, pattern_both);
}

static void route_check_keyword(struct reader *r, const struct tree *key, const char *path)
{
    char why[KEYS_WHY_SIZE] = "";
    if (!r->checks || !r->checks->keyword || r->checks->keyword(key->text, why, sizeof why))
        return;
    if (!*why)
        snprintf(why, sizeof why, "\"%.64s\" is no keyword of a DICOM attribute", key->text);
    reader_complain(r, key, path, why);
}

static void read_when(struct reader *r, const struct tree *t, const char *shown,
                      struct conf_route *route)
{
    char path[READER_PATH_SIZE];
    reader_path(path, "%s.when", shown);
    if (!reader_is_map(r, t, path, "attribute keywords and patterns (Modality: CT)"))
        return;
    if (t->count == 0)
        reader_complain(r, t, path,
                        "has no condition: write Modality: \"*\" to match every series");
    if (t->count / 2 > READER_ENTRIES_MAX) {
        reader_complain(r, t, path, "has more than 256 conditions");
        return;
    }
    route->when = reader_reserve(r, t->count / 2, sizeof *route->when);
    for (size_t i = 0; route->when && i + 1 < t->count; i += 2) {
        const struct tree *key = t->items[i];
        if (key->kind != TREE_SCALAR)
            continue;
        reader_path(path, "%s.when.%.64s", shown, key->text);
        route_check_keyword(r, key, path);
        struct pattern *pattern = read_pattern(r, t->items[i + 1], path);
        if (!pattern)
            continue;
        struct conf_condition *condition = &route->when[route->when_count++];
        condition->keyword = reader_keep(r, key->text);
        condition->pattern = pattern;
    }
}

// What the reader complains about an analysis that there is not.
static bool route_check_stage(struct reader *r, const struct tree *t, const char *path,
                              const char *name)
{
    char why[KEYS_WHY_SIZE] = "";
    if (!r->checks || !r->checks->stage || r->checks->stage(name, why, sizeof why))
        return true;
    if (!*why)
        snprintf(why, sizeof why, "no stage \"%.64s\"", name);
    reader_complain(r, t, path, why);
    return false;
}

struct conf_run *conf_find_run(const struct conf_route *route, const char *stage)
{
    for (size_t i = 0; route && i < route->run_count; i++) {
        if (strcmp(route->runs[i].stage, stage) == 0)
            return &route->runs[i];
    }
    return NULL;
}

// False: reported.
static bool read_run(struct reader *r, const struct tree *t, const char *path,
                     struct conf_route *route)
{
    const char *name = reader_scalar(r, t, path);
    if (!name || !route_check_stage(r, t, path, name))
        return false;
    if (conf_find_run(route, name)) {
        conf_report_add(&r->report, t->line, t->column, path,
                        "\"%.64s\" is named twice: remove one", name);
        return false;
    }
    struct conf_run *run = &route->runs[route->run_count];
    run->stage = reader_keep(r, name);
    route->run_count += run->stage != NULL;
    return run->stage != NULL;
}

// False: what depends on the analyses cannot be judged.
static bool read_runs(struct reader *r, const struct tree *t, const char *shown,
                      struct conf_route *route)
{
    char path[READER_PATH_SIZE];
    reader_path(path, "%s.run", shown);
    bool list = t->kind == TREE_LIST, ok = true;
    if (list && !reader_is_list(r, t, path, "analyses"))
        return false;
    if (list && t->count == 0) {
        reader_complain(r, t, path, "is empty: name at least one analysis");
        return false;
    }
    route->runs = reader_reserve(r, list ? t->count : 1, sizeof *route->runs);
    if (!route->runs)
        return false;
    if (!list)
        return read_run(r, t, path, route);
    for (size_t i = 0; i < t->count; i++) {
        reader_path(path, "%s.run[%zu]", shown, i);
        ok = read_run(r, t->items[i], path, route) && ok;
    }
    return ok;
}

// The analyses that give a kind of result get its bit. False: none does; why gets the first one's
// reason.
static bool route_give_result(struct reader *r, struct conf_route *route, const char *kind,
                              char *why)
{
    bool given = false;
    for (size_t i = 0; i < route->run_count; i++) {
        struct conf_run *run = &route->runs[i];
        char own[KEYS_WHY_SIZE] = "";
        unsigned bit = 0;
        if (!r->checks || !r->checks->result ||
            r->checks->result(run->stage, kind, &bit, own, sizeof own)) {
            run->results |= bit;
            given = true;
        } else if (!*why && *own) {
            snprintf(why, KEYS_WHY_SIZE, "%s", own);
        } else if (!*why) {
            snprintf(why, KEYS_WHY_SIZE, "analysis %s gives no result \"%.64s\"", run->stage, kind);
        }
    }
    return given;
}

// False with the reason in why when no analysis gives that kind, or it was named before.
static bool route_add_result(struct reader *r, struct conf_route *route, const char *kind,
                             char *why)
{
    for (size_t i = 0; i < route->result_count; i++) {
        if (strcmp(route->result_names[i], kind) == 0) {
            snprintf(why, KEYS_WHY_SIZE, "\"%.64s\" is named twice: remove one", kind);
            return false;
        }
    }
    if (!route_give_result(r, route, kind, why))
        return false;
    route->result_names[route->result_count++] = reader_keep(r, kind);
    return true;
}

// An analysis without a result would run for nothing.
static void route_check_results(struct reader *r, const struct tree *at, const char *path,
                                const struct conf_route *route)
{
    for (size_t i = 0; r->checks && r->checks->result && i < route->run_count; i++) {
        if (!route->runs[i].results)
            conf_report_add(&r->report, at->line, at->column, path,
                            "%s gives none of %s: name a kind that it gives (see `anode stages`)",
                            route->runs[i].stage, at->kind == TREE_LIST ? "these" : "sr, gsps, sc");
    }
}

static void read_results(struct reader *r, const struct tree *t, const struct tree *entry,
                         const char *shown, struct conf_route *route)
{
    static const char *const defaults[] = {"sr", "gsps", "sc"};
    char path[READER_PATH_SIZE], why[KEYS_WHY_SIZE] = "";
    bool ok = true;
    reader_path(path, "%s.results", shown);
    if (t && !reader_is_list(r, t, path, "kinds of result, as in [sr, gsps, sc]"))
        return;
    if (t && t->count == 0) {
        reader_complain(r, t, path, "is empty: name a kind, or remove the key to get the default");
        return;
    }
    route->result_names = reader_reserve(r, t ? t->count : 3, sizeof *route->result_names);
    for (size_t i = 0; !t && route->result_names && i < 3; i++)
        route_add_result(r, route, defaults[i], why); // those that an analysis gives
    for (size_t i = 0; t && route->result_names && i < t->count; i++) {
        reader_path(path, "%s.results[%zu]", shown, i);
        const char *kind = reader_scalar(r, t->items[i], path);
        *why = 0;
        bool added = kind && route_add_result(r, route, kind, why);
        if (kind && !added)
            reader_complain(r, t->items[i], path, why);
        ok = ok && added;
    }
    reader_path(path, "%s.results", shown);
    if (ok)
        route_check_results(r, t ? t : entry, path, route);
}

static void route_add_return(struct reader *r, const struct tree *t, const char *path,
                             struct conf_route *route, const char *name)
{
    struct near near = {.word = name};
    near_try(&near, "source");
    bool twice = false;
    if (strcmp(name, "source") == 0) {
        twice = route->return_source;
        route->return_source = true;
    } else {
        size_t i = 0;
        while (i < r->c->peer_count &&
               (!r->c->peers[i].name || strcmp(r->c->peers[i].name, name) != 0)) {
            if (r->c->peers[i].name)
                near_try(&near, r->c->peers[i].name);
            i++;
        }
        if (i == r->c->peer_count) {
            conf_report_add(&r->report, t->line, t->column, path, "no peer \"%.64s\"%s%s%s", name,
                            near.best ? " (did you mean \""
                                      : " (source, or an AE title from peers)",
                            near.best ? near.best : "", near.best ? "\"?)" : "");
            return;
        }
        for (size_t j = 0; j < route->return_count; j++)
            twice = twice || route->return_peers[j] == i;
        if (!twice)
            route->return_peers[route->return_count++] = i;
    }
    if (twice)
        conf_report_add(&r->report, t->line, t->column, path, "\"%s\" is named twice: remove one",
                        name);
}

static void read_return(struct reader *r, const struct tree *t, const char *shown,
                        struct conf_route *route)
{
    char path[READER_PATH_SIZE];
    reader_path(path, "%s.return_to", shown);
    route->return_source = !t;
    if (!t || !reader_is_list(r, t, path, "source and AE titles of peers, as in [source]"))
        return;
    if (t->count == 0)
        reader_complain(r, t, path, "is empty: results would go nowhere; write [source]");
    route->return_peers = reader_reserve(r, t->count, sizeof *route->return_peers);
    for (size_t i = 0; route->return_peers && i < t->count; i++) {
        reader_path(path, "%s.return_to[%zu]", shown, i);
        const char *name = reader_scalar(r, t->items[i], path);
        if (name)
            route_add_return(r, t->items[i], path, route, name);
    }
}

// The options of a run, with room for as many as the file gives.
static struct conf_option *run_option_at(struct reader *r, struct conf_run *run, const char *name)
{
    for (size_t i = 0; i < run->option_count; i++) {
        if (strcmp(run->options[i].name, name) == 0)
            return &run->options[i];
    }
    struct conf_option *o = &run->options[run->option_count];
    o->name = reader_keep(r, name);
    run->option_count += o->name != NULL;
    return o->name ? o : NULL;
}

static bool run_has_option(const struct reader *r, const struct conf_run *run, const char *name)
{
    return !r->checks || !r->checks->has_option || r->checks->has_option(run->stage, name);
}

// One parameter of one analysis; what is set again by name of the analysis replaces what was said
// for all.
static void run_set_option(struct reader *r, struct conf_run *run, const struct tree *key,
                           const struct tree *value, const char *path)
{
    char why[KEYS_WHY_SIZE] = "";
    const char *text = reader_scalar(r, value, path);
    if (!text)
        return;
    if (r->checks && r->checks->option &&
        !r->checks->option(run->stage, key->text, text, why, sizeof why)) {
        if (!*why)
            snprintf(why, sizeof why, "analysis %s does not take this option", run->stage);
        reader_complain(r, value, path, why);
        return;
    }
    struct conf_option *o = run_option_at(r, run, key->text);
    char *kept = reader_keep(r, text);
    if (o)
        *o = (struct conf_option){o->name, kept, value->line, value->column};
}

// A parameter for every analysis of the route that has it.
static void route_share_option(struct reader *r, const struct tree *key, const struct tree *value,
                               const char *path, struct conf_route *route)
{
    size_t takers = 0;
    for (size_t i = 0; i < route->run_count; i++)
        takers += run_has_option(r, &route->runs[i], key->text);
    if (takers == 0 && route->run_count > 1) {
        reader_complain(r, value, path, "no analysis of this route takes this option");
        return;
    }
    for (size_t i = 0; i < route->run_count; i++) {
        if (takers > 0 && !run_has_option(r, &route->runs[i], key->text))
            continue;
        run_set_option(r, &route->runs[i], key, value, path);
        if (value->kind != TREE_SCALAR || tree_is_empty(value))
            return; // one complaint is enough
    }
}

static void read_options_of(struct reader *r, const struct tree *t, const char *shown,
                            struct conf_run *run)
{
    for (size_t i = 0; i + 1 < t->count; i += 2) {
        char path[READER_PATH_SIZE];
        if (t->items[i]->kind != TREE_SCALAR)
            continue;
        reader_path(path, "%s.%.64s", shown, t->items[i]->text);
        run_set_option(r, run, t->items[i], t->items[i + 1], path);
    }
}

// Options by name of the analysis.
static void read_named_options(struct reader *r, const struct tree *key, const struct tree *value,
                               const char *path, struct conf_route *route)
{
    struct conf_run *run = conf_find_run(route, key->text);
    struct near near = {.word = key->text};
    for (size_t i = 0; i < route->run_count; i++)
        near_try(&near, route->runs[i].stage);
    if (run)
        read_options_of(r, value, path, run);
    else
        conf_report_add(&r->report, key->line, key->column, path,
                        "the route does not run \"%.64s\"%s%s%s", key->text,
                        near.best ? " (did you mean \"" : "", near.best ? near.best : "",
                        near.best ? "\"?)" : "");
}

// How many values there are, at both levels.
static size_t tree_count_options(const struct tree *t)
{
    size_t count = t->count / 2;
    for (size_t i = 1; i < t->count; i += 2)
        count += t->items[i]->kind == TREE_MAP ? t->items[i]->count / 2 : 0;
    return count;
}

static void read_options(struct reader *r, const struct tree *t, const char *shown,
                         struct conf_route *route)
{
    char path[READER_PATH_SIZE];
    reader_path(path, "%s.options", shown);
    if (!reader_is_map(r, t, path, "parameters and values, as in {threshold_hu: 130}"))
        return;
    size_t count = tree_count_options(t);
    if (count > READER_ENTRIES_MAX) {
        reader_complain(r, t, path, "has more than 256 parameters");
        return;
    }
    for (size_t i = 0; i < route->run_count; i++) {
        route->runs[i].options = reader_reserve(r, count, sizeof *route->runs[i].options);
        if (!route->runs[i].options)
            return;
    }
    // First what is said for all, so that what is said for one wins.
    for (int named = 0; named < 2; named++) {
        for (size_t i = 0; i + 1 < t->count; i += 2) {
            const struct tree *key = t->items[i], *value = t->items[i + 1];
            if (key->kind != TREE_SCALAR || (value->kind == TREE_MAP) != named)
                continue;
            reader_path(path, "%s.options.%.64s", shown, key->text);
            if (named)
                read_named_options(r, key, value, path, route);
            else
                route_share_option(r, key, value, path, route);
        }
    }
}

static void read_route(struct reader *r, const struct tree *t, const char *shown,
                       struct conf_route *route)
{
    reader_scope(r, t, "routes[].", shown, route);
    const struct tree *when = tree_get(t, "when", NULL), *run = tree_get(t, "run", NULL),
                      *options = tree_get(t, "options", NULL);
    if (when)
        read_when(r, when, shown, route);
    bool runs = run && read_runs(r, run, shown, route);
    read_return(r, tree_get(t, "return_to", NULL), shown, route);
    if (!runs)
        return;
    read_results(r, tree_get(t, "results", NULL), t, shown, route);
    if (options && !tree_is_empty(options))
        read_options(r, options, shown, route);
}

static void check_route_name(struct reader *r, const struct tree *list, size_t i)
{
    const struct conf_route *routes = r->c->routes;
    const struct tree *name = tree_get(list->items[i], "name", NULL);
    if (!routes[i].name || !name)
        return;
    for (size_t j = 0; j < i; j++) {
        if (!routes[j].name || strcmp(routes[j].name, routes[i].name) != 0)
            continue;
        char path[READER_PATH_SIZE];
        reader_path(path, "routes[%zu].name", i);
        conf_report_add(&r->report, name->line, name->column, path,
                        "\"%s\" is already routes[%zu] in line %u: give each route its own name",
                        routes[i].name, j, list->items[j]->line);
        return;
    }
}

void routes_read(struct reader *r, const struct tree *list)
{
    struct conf *c = r->c;
    if (!reader_is_list(r, list, "routes", "routes"))
        return;
    if (list->count == 0)
        reader_complain(r, list, "routes", "needs at least one route");
    c->routes = reader_reserve(r, list->count, sizeof *c->routes);
    for (size_t i = 0; c->routes && i < list->count; i++) {
        char path[READER_PATH_SIZE];
        reader_path(path, "routes[%zu]", i);
        struct conf_route *route = &c->routes[c->route_count++];
        if (!reader_is_map(r, list->items[i], path, "name, when and run"))
            continue;
        read_route(r, list->items[i], path, route);
        check_route_name(r, list, i);
    }
}
