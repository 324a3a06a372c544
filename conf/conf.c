#include "conf/conf.h"
#include <stdlib.h>
#include <string.h>
#include "conf/keys.h"
#include "conf/network.h"
#include "conf/reader.h"
#include "conf/routes.h"
#include "base/arena.h"
#include "base/fs.h"
#include "base/identifying.h"
#include "base/near.h"
#include "base/uid.h"

#define FILE_SIZE_MAX ((size_t)1024 * 1024)
#define HOST_CHARACTERS                                                                            \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%" // as peers[].host

// Numbers of which the first must not be larger than the second; when only the second is given and
// is smaller than the first's default, the first follows it.
static const char *const ordered[][2] = {
    {"completion.short_quiet_s", "completion.quiet_s"},
    {"completion.quiet_s", "completion.longest_wait_s"},
    {"limits.max_associations_per_peer", "limits.max_associations"},
    {"sending.retry_first_s", "sending.retry_max_s"},
};

static void conf_read_peers(struct reader *r, const struct tree *list)
{
    struct conf *c = r->c;
    if (!reader_is_list(r, list, "peers", "peers"))
        return;
    if (list->count == 0)
        reader_complain(r, list, "peers", "needs at least one peer");
    c->peers = reader_reserve(r, list->count, sizeof *c->peers);
    for (size_t i = 0; c->peers && i < list->count; i++) {
        const struct tree *t = list->items[i];
        struct conf_peer *p = &c->peers[c->peer_count++];
        char path[READER_PATH_SIZE];
        reader_path(path, "peers[%zu]", i);
        if (!reader_is_map(r, t, path, "ae_title, host and port"))
            continue;
        reader_scope(r, t, "peers[].", path, p);
        const struct tree *name = tree_get(t, "ae_title", NULL);
        if (!p->name || !name)
            continue;
        reader_path(path, "peers[%zu].ae_title", i);
        if (strcmp(p->name, "source") == 0)
            reader_complain(r, name, path,
                            "\"source\" is a word of return_to: use another AE title");
        for (size_t j = 0; j < i; j++) {
            if (c->peers[j].name && strcmp(c->peers[j].name, p->name) == 0) {
                conf_report_add(
                    &r->report, name->line, name->column, path,
                    "\"%s\" is already peers[%zu] in line %u: an AE title names one peer", p->name,
                    j, list->items[j]->line);
                break;
            }
        }
    }
}

// The value a file gives for "section.key", or NULL.
static const struct tree *conf_given(const struct tree *root, const char *name)
{
    char section[64];
    snprintf(section, sizeof section, "%.*s", (int)strcspn(name, "."), name);
    const struct tree *map = tree_get(root, section, NULL);
    return map ? tree_get(map, strchr(name, '.') + 1, NULL) : NULL;
}

static void conf_check_order(struct reader *r, const struct tree *root)
{
    for (size_t i = 0; i < sizeof ordered / sizeof ordered[0]; i++) {
        const struct conf_key *low = keys_find(ordered[i][0]), *high = keys_find(ordered[i][1]);
        double limit = keys_number(high, r->c);
        if (keys_number(low, r->c) <= limit)
            continue;
        const struct tree *at = conf_given(root, low->name);
        if (at) {
            conf_report_add(&r->report, at->line, at->column, low->name,
                            "must not be larger than %s, which is %g", high->name, limit);
            continue;
        }
        void *field = (char *)r->c + low->offset;
        if (low->type == CONF_NUMBER)
            *(double *)field = limit;
        else
            *(uint32_t *)field = (uint32_t)limit;
    }
}

static void conf_check_sections(struct reader *r, const struct tree *root)
{
    for (size_t i = 0; i + 1 < root->count; i += 2) {
        const struct tree *at = root->items[i];
        if (at->kind != TREE_SCALAR)
            continue;
        struct near near = {.word = at->text};
        bool known = false;
        const struct conf_key *key;
        for (size_t k = 0; !known && (key = conf_key_at(k)); k++) {
            char section[64];
            keys_section(key, section);
            known = strcmp(section, at->text) == 0;
            char *kept = known ? NULL : reader_keep(r, section); // near points to it
            if (kept)
                near_try(&near, kept);
        }
        if (!known) {
            char path[READER_PATH_SIZE];
            reader_path(path, "%.64s", at->text);
            reader_complain_unknown(r, at, path, &near);
        }
    }
}

// The sections that are plain keys of struct conf.
static void conf_read_sections(struct reader *r, const struct tree *root)
{
    char last[64] = "", section[64], scope[72];
    const struct conf_key *key;
    for (size_t k = 0; (key = conf_key_at(k)); k++) {
        keys_section(key, section);
        if (strcmp(section, last) == 0 || strchr(key->name, '['))
            continue;
        memcpy(last, section, sizeof last);
        snprintf(scope, sizeof scope, "%s.", section);
        const struct tree *map = tree_get(root, section, NULL);
        if (map && (tree_is_empty(map) || !reader_is_map(r, map, section, "keys and values")))
            map = NULL;
        reader_scope(r, map, scope, section, r->c);
    }
}

// What only goes together.
static void conf_check_tls(struct reader *r, const struct tree *root)
{
    static const char *const files[] = {"tls.certificate", "tls.key", "tls.ca"};
    const struct conf *c = r->c;
    const struct tree *section = tree_get(root, "tls", NULL);
    const struct tree *at = NULL;
    char path[READER_PATH_SIZE], why[KEYS_WHY_SIZE];
    if (c->port == 0 && c->tls_port == 0) {
        const struct tree *port = conf_given(root, "node.port");
        reader_complain(r, port ? port : root, "node.port",
                        "0 leaves no way in: give tls.port one, as 2762");
    }
    if (c->tls_port && c->tls_port == c->port && (at = conf_given(root, "tls.port")))
        reader_complain(r, at, "tls.port", "is node.port: each needs a port of its own");
    for (size_t i = 0; i < c->peer_count; i++) {
        const struct conf_peer *p = &c->peers[i];
        if (p->tls || !p->certificates.count)
            continue;
        reader_path(path, "peers[%zu].certificate", i);
        at = tree_get(tree_get(root, "peers", NULL)->items[i], "certificate", NULL);
        reader_complain(r, at ? at : root, path, "is asked for by TLS only: write tls: true");
    }
    if (!conf_uses_tls(c))
        return;
    const char *values[] = {c->tls_certificate, c->tls_key, c->tls_ca};
    bool whole = true;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (!values[i] || *values[i])
            continue;
        whole = false;
        reader_complain(r, section ? section : root, files[i],
                        "is missing: TLS needs certificate, key and ca");
    }
    const char *key = NULL;
    if (!whole || !r->checks || !r->checks->tls)
        return;
    if (!r->checks->tls(c, &key, why, sizeof why)) {
        at = conf_given(root, key);
        reader_complain(r, at ? at : root, key, why);
    }
}

static void conf_check_alerts(struct reader *r, const struct tree *root)
{
    const struct tree *at = conf_given(root, "alerts.command");
    const struct conf_texts *command = &r->c->alert_command;
    char why[KEYS_WHY_SIZE];
    if (!at || at->kind != TREE_LIST || command->count == 0)
        return;
    if (*command->items[0] != '/')
        reader_complain(r, at->items[0], "alerts.command[0]",
                        "wants an absolute path (starting with /)");
    else if (r->checks && r->checks->program &&
             !r->checks->program(command->items[0], why, sizeof why))
        reader_complain(r, at->items[0], "alerts.command[0]", why);
}

static void conf_check_audit(struct reader *r, const struct tree *root)
{
    const struct tree *file = conf_given(root, "audit.file"),
                      *host = conf_given(root, "audit.host");
    const char *name = r->c->audit_host;
    char why[KEYS_WHY_SIZE];
    if (host && name && name[strspn(name, HOST_CHARACTERS)])
        reader_complain(r, host, "audit.host", "is no host name or address");
    if (file && r->c->audit_file && *r->c->audit_file && r->checks && r->checks->place &&
        !r->checks->place(r->c->audit_file, why, sizeof why))
        reader_complain(r, file, "audit.file", why);
}

static void derive_identity(struct reader *r)
{
    struct conf *c = r->c;
    struct digest *d = digest_create();
    if (!d || !c->ae_title) {
        r->no_memory = r->no_memory || !d;
        digest_destroy(d);
        return;
    }
    uint8_t sum[DIGEST_SIZE];
    char hex[2 * DIGEST_SIZE + 1], uid[65];
    digest_add(d, "anode node", strlen("anode node"));
    digest_add(d, c->ae_title, strlen(c->ae_title));
    digest_end(d, sum);
    digest_destroy(d);
    uid_from_digest(sum, uid);
    digest_hex(sum, hex);
    hex[12] = 0;
    if (!c->device_uid)
        c->device_uid = reader_keep(r, uid);
    if (!c->serial)
        c->serial = reader_keep(r, hex);
}

struct models_place {
    struct reader *r;
    const struct tree *at;
};

static void conf_say_model(void *ctx, const char *line)
{
    const struct models_place *p = ctx;
    reader_complain(p->r, p->at, "node.models_dir", line);
}

// Before routes, which may name what is in it.
static void conf_read_models(struct reader *r, const struct tree *root)
{
    struct models_place place = {r, conf_given(root, "node.models_dir")};
    if (place.at && r->c->models_dir && *r->c->models_dir && r->checks && r->checks->models)
        r->checks->models(r->c->models_dir, conf_say_model, &place);
}

static void conf_read_root(struct reader *r, const struct tree *root)
{
    if (!reader_is_map(r, root, "", "sections (node, peers, routes, ...)"))
        return;
    conf_check_sections(r, root);
    conf_read_sections(r, root);
    conf_check_order(r, root);
    derive_identity(r);
    conf_read_models(r, root);
    const struct tree *peers = tree_get(root, "peers", NULL),
                      *routes = tree_get(root, "routes", NULL);
    if (peers)
        conf_read_peers(r, peers);
    else
        reader_complain(r, root, "peers", "is missing: name the PACS that sends and receives");
    if (routes)
        routes_read(r, routes);
    else
        reader_complain(r, root, "routes", "is missing: say which series go to which analysis");
    conf_check_tls(r, root);
    conf_check_alerts(r, root);
    conf_check_audit(r, root);
}

static void conf_read_file(struct reader *r, const char *path, struct err *err)
{
    size_t len;
    char *text = fs_read_file(path, FILE_SIZE_MAX, &len, err);
    if (!text) {
        conf_report_add(&r->report, 1, 1, "", "%s", err->text);
        return;
    }
    struct arena *arena = arena_create(); // of the tree
    r->report.arena = r->c->arena;
    if (arena) {
        struct tree *root = tree_parse(text, len, arena, &r->report);
        if (root)
            conf_read_root(r, root);
    } else {
        r->no_memory = true;
    }
    arena_destroy(arena);
    free(text);
}

struct conf *conf_load(const char *path, const struct conf_checks *checks, FILE *report,
                       size_t *errors, struct err *err)
{
    struct err own = {0};
    struct conf *c = calloc(1, sizeof *c);
    struct reader *r = calloc(1, sizeof *r);
    *errors = 1;
    if (c && (c->arena = arena_create()) && r) {
        r->c = c;
        r->checks = checks;
        r->report.arena = c->arena;
        c->path = reader_keep(r, path);
        conf_read_file(r, path, &own);
        *errors = r->report.count;
        conf_report_print(&r->report, path, report);
    }
    if (!c || !c->arena || !r || r->no_memory || r->report.no_memory) {
        err_set(&own, ERR_NOMEM, "no memory for the configuration");
        fprintf(report, "%s: %s\n", path, own.text);
        *errors += r && *errors == 0;
    } else if (*errors && own.code == ERR_NONE) {
        err_set(&own, ERR_CONFIG, "%s: %zu error%s", path, *errors, *errors == 1 ? "" : "s");
    }
    free(r);
    if (own.code == ERR_NONE)
        return c;
    err_set(err, own.code, "%s", own.text);
    conf_destroy(c);
    return NULL;
}

void conf_destroy(struct conf *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->route_count; i++) {
        for (size_t j = 0; j < c->routes[i].when_count; j++)
            pattern_destroy(c->routes[i].when[j].pattern);
    }
    arena_destroy(c->arena);
    free(c);
}

bool conf_light_page(const struct conf *c)
{
    return strcmp(c->page, "light") == 0;
}

const char *conf_timezone(const struct conf *c)
{
    return strcmp(c->timezone, "none") == 0 ? NULL : c->timezone;
}

const struct conf_peer *conf_find_peer(const struct conf *c, const char *ae_title)
{
    for (size_t i = 0; i < c->peer_count; i++) {
        if (strcmp(c->peers[i].name, ae_title) == 0)
            return &c->peers[i];
    }
    return NULL;
}

bool conf_uses_tls(const struct conf *c)
{
    bool uses = c->tls_port != 0 || (c->audit_host && *c->audit_host);
    for (size_t i = 0; i < c->peer_count; i++)
        uses = uses || c->peers[i].tls;
    return uses;
}

bool conf_address_is_of(const struct conf_texts *addresses, const char *address)
{
    bool is = addresses->count == 0;
    for (size_t i = 0; i < addresses->count; i++)
        is = is || network_has(addresses->items[i], address);
    return is;
}

// The first condition that does not hold, or NULL.
static const struct conf_condition *route_failing_condition(const struct conf_route *route,
                                                            const struct attrs *attrs)
{
    for (size_t i = 0; i < route->when_count; i++) {
        const struct conf_condition *condition = &route->when[i];
        if (!pattern_matches(condition->pattern, attrs_get(attrs, condition->keyword)))
            return condition;
    }
    return NULL;
}

bool conf_is_path(const char *name)
{
    return strpbrk(name, ",[.");
}

void conf_explain(FILE *out, const char *keyword, const struct pattern *pattern,
                  const struct attrs *attrs, enum conf_values values)
{
    const char *value = attrs_get(attrs, keyword);
    const bool identifying = conf_is_path(keyword) || identifying_keyword(keyword);
    if (values == CONF_VALUES_HIDDEN && value && identifying) { // of a path: may be anything
        fprintf(out, "%s does not match", keyword);
        return;
    }
    fprintf(out, "%s is ", keyword);
    if (value)
        fputc('"', out);
    for (const char *p = value ? value : "absent"; *p; p++)
        fputc((unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p, out); // the value is a peer's
    const char *wanted = pattern_text(pattern);
    fprintf(out, "%s, wanted %s", value ? "\"" : "", *wanted ? wanted : "none");
}

const struct conf_route *conf_match(const struct conf *c, const struct attrs *attrs,
                                    enum conf_values values, FILE *why)
{
    for (size_t i = 0; i < c->route_count; i++) {
        const struct conf_route *route = &c->routes[i];
        const struct conf_condition *condition = route_failing_condition(route, attrs);
        if (condition) {
            if (why) {
                fprintf(why, "route \"%s\": ", route->name);
                conf_explain(why, condition->keyword, condition->pattern, attrs, values);
                fputc('\n', why);
            }
            continue;
        }
        if (why)
            fprintf(why, "route \"%s\": every condition holds\n", route->name);
        return route;
    }
    return NULL;
}
