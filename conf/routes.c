#include "conf/routes.h"
#include <string.h>
#include "conf/keys.h"
#include "base/near.h"

// One pattern, or any of a list of them.
static struct pattern *read_pattern(struct reader *r, const struct tree *t, const char *path)
{
    char why[KEYS_WHY_SIZE] = "";
    if (t->kind != TREE_LIST) {
        const char *text = reader_scalar(r, t, path);
        struct pattern *p = text ? pattern_compile(text, why, sizeof why) : NULL;
        if (text && !p)
            reader_complain(r, t, path, why);
        return p;
    }
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
        const char *text = reader_scalar(r, t->items[i], part);
        struct pattern *p = text ? pattern_compile(text, why, sizeof why) : NULL;
        if (text && !p)
            reader_complain(r, t->items[i], part, why);
        if (p)
            parts[count++] = p;
        ok = ok && p;
    }
    if (ok) {
        struct pattern *any = pattern_any(parts, count);
        r->no_memory = r->no_memory || !any;
        return any;
    }
    for (size_t i = 0; i < count; i++)
        pattern_destroy(parts[i]);
    return NULL;
}

static void check_keyword(struct reader *r, const struct tree *key, const char *path)
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
        check_keyword(r, key, path);
        struct pattern *pattern = read_pattern(r, t->items[i + 1], path);
        if (!pattern)
            continue;
        struct conf_condition *condition = &route->when[route->when_count++];
        condition->keyword = reader_keep(r, key->text);
        condition->pattern = pattern;
    }
}

static void check_stage(struct reader *r, const struct tree *t, const char *shown,
                        struct conf_route *route)
{
    char path[READER_PATH_SIZE], why[KEYS_WHY_SIZE] = "";
    if (!route->run || !r->checks || !r->checks->stage ||
        r->checks->stage(route->run, why, sizeof why))
        return;
    reader_path(path, "%s.run", shown);
    if (!*why)
        snprintf(why, sizeof why, "no stage \"%.64s\"", route->run);
    reader_complain(r, t, path, why);
    route->run = NULL; // what depends on it cannot be judged
}

// True when the stage gives that kind (or nobody can tell).
static bool add_result(struct reader *r, struct conf_route *route, const char *kind, char *why)
{
    unsigned bit = 0;
    if (r->checks && r->checks->result &&
        !r->checks->result(route->run, kind, &bit, why, KEYS_WHY_SIZE)) {
        if (!*why)
            snprintf(why, KEYS_WHY_SIZE, "analysis %s gives no result \"%.64s\"", route->run, kind);
        return false;
    }
    for (size_t i = 0; i < route->result_count; i++) {
        if (strcmp(route->result_names[i], kind) == 0) {
            snprintf(why, KEYS_WHY_SIZE, "\"%.64s\" is named twice: remove one", kind);
            return false;
        }
    }
    route->results |= bit;
    route->result_names[route->result_count++] = reader_keep(r, kind);
    return true;
}

static void read_results(struct reader *r, const struct tree *t, const char *shown,
                         struct conf_route *route)
{
    static const char *const defaults[] = {"sr", "gsps", "sc"};
    char path[READER_PATH_SIZE], why[KEYS_WHY_SIZE] = "";
    reader_path(path, "%s.results", shown);
    if (t && !reader_is_list(r, t, path, "kinds of result, as in [sr, gsps, sc]"))
        return;
    if (t && t->count == 0)
        reader_complain(r, t, path, "is empty: name a kind, or remove the key to get the default");
    route->result_names = reader_reserve(r, t ? t->count : 3, sizeof *route->result_names);
    for (size_t i = 0; !t && route->result_names && i < 3; i++)
        add_result(r, route, defaults[i], why); // those that the analysis gives
    for (size_t i = 0; t && route->result_names && i < t->count; i++) {
        reader_path(path, "%s.results[%zu]", shown, i);
        const char *kind = reader_scalar(r, t->items[i], path);
        *why = 0;
        if (kind && !add_result(r, route, kind, why))
            reader_complain(r, t->items[i], path, why);
    }
}

static void add_return(struct reader *r, const struct tree *t, const char *path,
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
            add_return(r, t->items[i], path, route, name);
    }
}

static void read_options(struct reader *r, const struct tree *t, const char *shown,
                         struct conf_route *route)
{
    char path[READER_PATH_SIZE], why[KEYS_WHY_SIZE];
    reader_path(path, "%s.options", shown);
    if (!reader_is_map(r, t, path, "parameters and values, as in {threshold_hu: 130}"))
        return;
    if (t->count / 2 > READER_ENTRIES_MAX) {
        reader_complain(r, t, path, "has more than 256 parameters");
        return;
    }
    route->options = reader_reserve(r, t->count / 2, sizeof *route->options);
    for (size_t i = 0; route->options && i + 1 < t->count; i += 2) {
        const struct tree *key = t->items[i], *value = t->items[i + 1];
        if (key->kind != TREE_SCALAR)
            continue;
        reader_path(path, "%s.options.%.64s", shown, key->text);
        const char *text = reader_scalar(r, value, path);
        if (!text)
            continue;
        *why = 0;
        if (r->checks && r->checks->option &&
            !r->checks->option(route->run, key->text, text, why, sizeof why)) {
            if (!*why)
                snprintf(why, sizeof why, "analysis %s does not take this option", route->run);
            reader_complain(r, value, path, why);
            continue;
        }
        struct conf_option *o = &route->options[route->option_count++];
        *o = (struct conf_option){reader_keep(r, key->text), reader_keep(r, text), value->line,
                                  value->column};
    }
}

static void read_route(struct reader *r, const struct tree *t, const char *shown,
                       struct conf_route *route)
{
    reader_scope(r, t, "routes[].", shown, route);
    const struct tree *when = tree_get(t, "when", NULL), *run = tree_get(t, "run", NULL),
                      *options = tree_get(t, "options", NULL);
    char path[READER_PATH_SIZE];
    reader_path(path, "%s.run", shown);
    const char *stage = run ? reader_scalar(r, run, path) : NULL;
    route->run = stage ? reader_keep(r, stage) : NULL;
    if (when)
        read_when(r, when, shown, route);
    check_stage(r, run, shown, route);
    read_return(r, tree_get(t, "return_to", NULL), shown, route);
    if (!route->run)
        return;
    read_results(r, tree_get(t, "results", NULL), shown, route);
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
