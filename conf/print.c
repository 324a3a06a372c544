#include <string.h>
#include "conf/conf.h"
#include "conf/keys.h"

// One pattern, or a list of them.
static void print_some_pattern(FILE *out, const struct pattern *p)
{
    if (pattern_of(p) != PATTERN_ANY) {
        keys_print_text(out, pattern_text(p));
        return;
    }
    for (size_t i = 0; i < pattern_parts(p); i++) {
        fputs(i ? ", " : "[", out);
        keys_print_text(out, pattern_text(pattern_part(p, i)));
    }
    fputc(']', out);
}

static void print_pattern(FILE *out, const struct pattern *p)
{
    const bool both = pattern_of(p) == PATTERN_BOTH;
    if (pattern_of(p) == PATTERN_ONE || pattern_of(p) == PATTERN_ANY) {
        print_some_pattern(out, p);
        return;
    }
    for (size_t i = 0; i < (both ? pattern_parts(p) : 1); i++) {
        const struct pattern *one = both ? pattern_part(p, i) : p;
        const enum pattern_of of = pattern_of(one);
        const bool inner = of == PATTERN_NONE || of == PATTERN_ALL;
        fprintf(out, "%s%s: ", i ? ", " : "{",
                of == PATTERN_NONE  ? "none"
                : of == PATTERN_ALL ? "all"
                                    : "any");
        print_some_pattern(out, inner ? pattern_part(one, 0) : one);
    }
    fputc('}', out);
}

static void print_list(FILE *out, const struct conf *c, const struct conf_route *route,
                       enum conf_type type)
{
    const char *separator = "";
    fputc('[', out);
    if (type == CONF_RETURN && route->return_source) {
        fputs("source", out);
        separator = ", ";
    }
    size_t count = type == CONF_RETURN ? route->return_count : route->result_count;
    for (size_t i = 0; i < count; i++, separator = ", ") {
        fputs(separator, out);
        keys_print_text(out, type == CONF_RETURN ? c->peers[route->return_peers[i]].name
                                                 : route->result_names[i]);
    }
    fputc(']', out);
}

static void print_runs(FILE *out, const struct conf_route *route)
{
    if (route->run_count == 1) {
        keys_print_text(out, route->runs[0].stage);
        return;
    }
    for (size_t i = 0; i < route->run_count; i++) {
        fputs(i ? ", " : "[", out);
        keys_print_text(out, route->runs[i].stage);
    }
    fputc(']', out);
}

static void print_options(FILE *out, const struct conf_run *run)
{
    fputc('{', out);
    for (size_t i = 0; i < run->option_count; i++) {
        fputs(i ? ", " : "", out);
        keys_print_text(out, run->options[i].name);
        fputs(": ", out);
        keys_print_text(out, run->options[i].value);
    }
    fputc('}', out);
}

// Of several analyses those that have options, by name.
static void print_all_options(FILE *out, const struct conf_route *route)
{
    const char *separator = "{";
    if (route->run_count == 1) {
        print_options(out, &route->runs[0]);
        return;
    }
    for (size_t i = 0; i < route->run_count; i++) {
        if (route->runs[i].option_count == 0)
            continue;
        fputs(separator, out);
        keys_print_text(out, route->runs[i].stage);
        fputs(": ", out);
        print_options(out, &route->runs[i]);
        separator = ", ";
    }
    fputs(*separator == '{' ? "{}" : "}", out);
}

static void print_route_key(FILE *out, const struct conf *c, const struct conf_route *route,
                            const struct conf_key *key)
{
    switch (key->type) {
    case CONF_WHEN:
        for (size_t i = 0; i < route->when_count; i++) {
            fputs("\n      ", out);
            keys_print_text(out, route->when[i].keyword);
            fputs(": ", out);
            print_pattern(out, route->when[i].pattern);
        }
        break;
    case CONF_STAGE:
        print_runs(out, route);
        break;
    case CONF_OPTIONS:
        print_all_options(out, route);
        break;
    case CONF_RESULTS:
    case CONF_RETURN:
        print_list(out, c, route, key->type);
        break;
    default:
        keys_print(out, key, route);
    }
}

// The keys of one list entry, the first after "- ".
static void print_entry(FILE *out, const struct conf *c, const char *scope, const void *base)
{
    const char *lead = "  - ";
    const struct conf_key *key;
    for (size_t k = 0; (key = conf_key_at(k)); k++) {
        const char *name = keys_name_in(key, scope);
        if (!name)
            continue;
        fprintf(out, "%s%s: ", lead, name);
        if (*scope == 'r')
            print_route_key(out, c, base, key);
        else
            keys_print(out, key, base);
        fputc('\n', out);
        lead = "    ";
    }
}

void conf_print(const struct conf *c, FILE *out)
{
    char last[64] = "", section[64];
    const struct conf_key *key;
    for (size_t k = 0; (key = conf_key_at(k)); k++) {
        if (strchr(key->name, '['))
            continue;
        keys_section(key, section);
        if (strcmp(section, last) != 0)
            fprintf(out, "%s:\n", section);
        memcpy(last, section, sizeof last);
        fprintf(out, "  %s: ", strchr(key->name, '.') + 1);
        keys_print(out, key, c);
        fputc('\n', out);
    }
    fputs("peers:\n", out);
    for (size_t i = 0; i < c->peer_count; i++)
        print_entry(out, c, "peers[].", &c->peers[i]);
    fputs("routes:\n", out);
    for (size_t i = 0; i < c->route_count; i++)
        print_entry(out, c, "routes[].", &c->routes[i]);
}
