#include "conf/conf.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "conf/report.h"
#include "conf/tree.h"
#include "node/base/arena.h"
#include "node/base/fs.h"
#include "node/base/log.h"
#include "node/base/near.h"
#include "node/base/uid.h"

#define FILE_SIZE_MAX ((size_t)1024 * 1024)
#define ENTRIES_MAX   256 // peers, routes, conditions, options, ...
#define PATH_SIZE     512 // of a key's path in messages
#define WHY_SIZE      512

#define AT(field)      offsetof(struct conf, field)
#define PEER_AT(field) offsetof(struct conf_peer, field)
#define ROUTE_AT(f)    offsetof(struct conf_route, f)

static const struct conf_key keys[] = {
    {"node.ae_title", CONF_AE, AT(ae_title), .def = "ANODE",
     .help = "AE title of this node: what peers call, and what it calls itself."},
    {"node.port", CONF_UINT16, AT(port), 1, 65535, .def = "11112", .help = "TCP port for DICOM."},
    {"node.bind", CONF_ADDRESS, AT(bind), .def = "",
     .help = "Numeric address to listen on; \"\" listens on all."},
    {"node.data_dir", CONF_PATH, AT(data_dir), .def = "/var/lib/anode",
     .help = "Folder for received instances, results and state: a local file system."},
    {"node.log_level", CONF_CHOICE, AT(log_level), .choices = "error|warn|info|debug",
     .def = "info", .help = "Least level of events that are logged."},
    {"node.duplicate_answer", CONF_CHOICE, AT(duplicate_answer), .choices = "duplicate|success",
     .def = "duplicate",
     .help = "Answer to an instance that is already here with other content; it is quarantined."},
    {"node.serial", CONF_TEXT, AT(serial), .max = 64,
     .help = "Device Serial Number in results; derived from ae_title when not given."},
    {"node.device_uid", CONF_UID, AT(device_uid),
     .help = "Device UID in results, by which the node knows its own objects; derived from "
             "ae_title when not given."},

    {"completion.quiet_s", CONF_NUMBER, AT(quiet_s), 0.1, 86400, .def = "5",
     .help = "A series is complete when nothing came for this time, in seconds."},
    {"completion.short_quiet_s", CONF_NUMBER, AT(short_quiet_s), 0, 86400, .def = "1",
     .help = "The same once the association was released and the source confirmed the count."},
    {"completion.longest_wait_s", CONF_NUMBER, AT(longest_wait_s), 1, 604800, .def = "600",
     .help = "A series that never gets quiet is taken as complete after this time, in seconds."},
    {"completion.find_timeout_s", CONF_NUMBER, AT(find_timeout_s), 0.1, 600, .def = "5",
     .help = "Longest wait for the source to say how many instances a series has, in seconds."},

    {"limits.max_associations", CONF_UINT32, AT(max_associations), 1, 4096, .def = "64",
     .help = "Associations open at the same time."},
    {"limits.max_associations_per_peer", CONF_UINT32, AT(max_associations_per_peer), 1, 4096,
     .def = "16", .help = "The same from one address."},
    {"limits.max_pdu", CONF_UINT32, AT(max_pdu), 4096, 131072, .def = "131072",
     .help = "Largest PDU that is accepted, in bytes."},
    {"limits.dimse_timeout_s", CONF_UINT32, AT(dimse_timeout_s), 1, 86400, .def = "60",
     .help = "Silence of a peer inside an association that ends it, in seconds."},
    {"limits.acse_timeout_s", CONF_UINT32, AT(acse_timeout_s), 1, 3600, .def = "15",
     .help = "The association request must be whole within this time, in seconds."},
    {"limits.min_bytes_per_s", CONF_UINT32, AT(min_bytes_per_s), 0, 1000000000, .def = "1024",
     .help = "An instance that arrives more slowly ends its association; 0 allows any speed."},
    {"limits.max_object_mib", CONF_UINT32, AT(max_object_mib), 1, 1048576, .def = "2048",
     .help = "Largest instance that is accepted, in MiB."},
    {"limits.min_free_mib", CONF_UINT32, AT(min_free_mib), 1, 1073741824, .def = "1024",
     .help = "Free space of data_dir, in MiB, below which instances are refused (A700)."},

    {"worker.device", CONF_TEXT, AT(device), .max = 255, .def = "",
     .help = "Vulkan device by a part of its name or by UUID; \"\" takes the best one."},
    {"worker.job_deadline_s", CONF_NUMBER, AT(job_deadline_s), 1, 86400, .def = "300",
     .help = "An analysis that takes longer is stopped and tried again, in seconds."},
    {"worker.job_attempts", CONF_UINT32, AT(job_attempts), 1, 10, .def = "3",
     .help = "Attempts before an analysis is given up as failed; the last uses the CPU device."},

    {"sending.retry_first_s", CONF_NUMBER, AT(retry_first_s), 0.1, 86400, .def = "5",
     .help = "Wait after the first failed delivery, in seconds."},
    {"sending.retry_max_s", CONF_NUMBER, AT(retry_max_s), 0.1, 604800, .def = "900",
     .help = "Longest wait between deliveries, in seconds."},
    {"sending.retry_factor", CONF_NUMBER, AT(retry_factor), 1, 10, .def = "2",
     .help = "Each wait is this many times longer than the one before."},
    {"sending.retry_give_up_s", CONF_NUMBER, AT(retry_give_up_s), 1, 31536000, .def = "604800",
     .help = "A result that could not be delivered for this time waits for a manual retry, in "
             "seconds."},
    {"sending.connect_timeout_s", CONF_UINT32, AT(connect_timeout_s), 1, 600, .def = "10",
     .help = "Longest wait for a connection and for the answer to an association request, in "
             "seconds."},

    {"storage.keep_done_days", CONF_NUMBER, AT(keep_done_days), 0, 36500, .def = "1",
     .help = "Received files of finished series are removed after this many days."},

    {"peers[].ae_title", CONF_AE, PEER_AT(name), .required = true, .help = "AE title of the peer."},
    {"peers[].host", CONF_HOST, PEER_AT(host), .required = true,
     .help = "Host name or address that results are sent to."},
    {"peers[].port", CONF_UINT16, PEER_AT(port), 1, 65535, .required = true,
     .help = "TCP port that results are sent to."},
    {"peers[].may_send", CONF_BOOL, PEER_AT(may_send), .def = "true",
     .help = "Whether associations from this AE title are accepted."},
    {"peers[].find", CONF_BOOL, PEER_AT(find), .def = "true",
     .help = "Whether it is asked by C-FIND how many instances a series has."},

    {"routes[].name", CONF_TEXT, ROUTE_AT(name), .max = 64, .required = true,
     .help = "Name of the route in logs and answers."},
    {"routes[].when", CONF_WHEN, .required = true,
     .help = "Conditions that must all hold: attribute keyword and pattern."},
    {"routes[].run", CONF_STAGE, ROUTE_AT(run), .required = true,
     .help = "Analysis to run, one of those that anode stages lists."},
    {"routes[].results", CONF_RESULTS, .def = "[sr, gsps, sc]",
     .help =
         "Kinds of result to make; by default those of sr, gsps and sc that the analysis gives."},
    {"routes[].return_to", CONF_RETURN, .def = "[source]",
     .help = "Where results go: source (the peer that sent the series), AE titles of peers."},
    {"routes[].options", CONF_OPTIONS, .def = "{}", .help = "Parameters of the analysis."},
};
#define KEY_COUNT (sizeof keys / sizeof keys[0])

// Numbers of which the first must not be larger than the second; when only the second is given and
// is smaller than the first's default, the first follows it.
static const char *const ordered[][2] = {
    {"completion.short_quiet_s", "completion.quiet_s"},
    {"completion.quiet_s", "completion.longest_wait_s"},
    {"limits.max_associations_per_peer", "limits.max_associations"},
    {"sending.retry_first_s", "sending.retry_max_s"},
};

struct reader {
    struct conf *c;
    const struct conf_checks *checks;
    struct report report;
    bool no_memory;
};

const struct conf_key *conf_key_at(size_t index)
{
    return index < KEY_COUNT ? &keys[index] : NULL;
}

static void *reserve(struct reader *r, size_t count, size_t size)
{
    void *p = arena_alloc(r->c->arena, count, size);
    if (!p)
        r->no_memory = true;
    return p;
}

static char *keep(struct reader *r, const char *text)
{
    char *copy = arena_strdup(r->c->arena, text);
    if (!copy)
        r->no_memory = true;
    return copy;
}

// The path of a key as messages show it.
static void name_path(char out[PATH_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void name_path(char out[PATH_SIZE], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(out, PATH_SIZE, format, args);
    va_end(args);
}

static void complain(struct reader *r, const struct tree *at, const char *path, const char *text)
{
    report_add(&r->report, at->line, at->column, path, "%s", text);
}

// ---- one value as text ----

static bool parse_whole(const char *text, double min, double max, uint32_t *out)
{
    size_t len = strlen(text);
    if (len == 0 || len > 10 || strspn(text, "0123456789") != len)
        return false;
    unsigned long long n = strtoull(text, NULL, 10);
    *out = (uint32_t)n;
    return (double)n >= min && (double)n <= max;
}

static bool parse_number(const char *text, double min, double max, double *out)
{
    size_t len = strlen(text);
    if (len == 0 || len > 40 || strspn(text, "0123456789.eE+-") != len)
        return false;
    char *end;
    *out = strtod(text, &end);
    return *end == 0 && isfinite(*out) && *out >= min && *out <= max;
}

static bool parse_bool(const char *text, bool *out)
{
    static const char *const words[2][3] = {{"false", "no", "off"}, {"true", "yes", "on"}};
    for (int value = 0; value < 2; value++) {
        for (int i = 0; i < 3; i++) {
            if (strcmp(text, words[value][i]) == 0) {
                *out = value;
                return true;
            }
        }
    }
    return false;
}

// PS3.5 6.2: 1 to 16 characters of the default repertoire without backslash and control
// characters; blanks around it do not count, blanks alone are no AE title.
static bool check_ae(const char *text, char *why)
{
    size_t len = strlen(text);
    if (len < 1 || len > 16)
        snprintf(why, WHY_SIZE, "an AE title has 1 to 16 characters, \"%.64s\" has %zu", text, len);
    else if (strchr(text, '\\'))
        snprintf(why, WHY_SIZE, "an AE title has no backslash: \"%s\"", text);
    else {
        for (const char *c = text; *c; c++) {
            if ((unsigned char)*c < 0x80)
                continue;
            snprintf(why, WHY_SIZE, "an AE title has ASCII characters only: \"%s\"", text);
            return false;
        }
        return true;
    }
    return false;
}

static bool check_host(const char *text, char *why)
{
    size_t len = strlen(text);
    bool ok = len >= 1 && len <= 253;
    for (size_t i = 0; ok && i < len; i++)
        ok = isalnum((unsigned char)text[i]) || strchr(".-_:%", text[i]);
    if (!ok)
        snprintf(why, WHY_SIZE, "\"%.64s\" is no host name or address", text);
    return ok;
}

static bool check_address(const char *text, char *why)
{
    struct in6_addr address;
    if (!*text || inet_pton(AF_INET, text, &address) == 1 ||
        inet_pton(AF_INET6, text, &address) == 1)
        return true;
    snprintf(why, WHY_SIZE, "\"%.64s\" is no numeric IPv4 or IPv6 address", text);
    return false;
}

static bool check_path(const char *text, char *why)
{
    if (*text != '/' || strlen(text) > 1024) {
        snprintf(why, WHY_SIZE, "wants an absolute path (starting with /) of at most 1024 bytes");
        return false;
    }
    return true;
}

static bool check_text(const struct conf_key *key, const char *text, char *why)
{
    if (strlen(text) > (size_t)key->max)
        snprintf(why, WHY_SIZE, "longer than %g bytes", key->max);
    else if (key->def == NULL && text[strspn(text, " ")] == 0)
        snprintf(why, WHY_SIZE, "must not be empty");
    else if (strchr(text, '\\'))
        snprintf(why, WHY_SIZE, "must not hold a backslash");
    else
        return true;
    return false;
}

// Whether text is one of a list "a|b|c"; else why names the list and the nearest of it.
static bool check_choice(const char *choices, const char *text, char *why)
{
    char copy[128];
    snprintf(copy, sizeof copy, "%s", choices);
    struct near near = {.word = text};
    char *rest = copy;
    for (char *one = strsep(&rest, "|"); one; one = strsep(&rest, "|")) {
        if (strcmp(one, text) == 0)
            return true;
        near_try(&near, one);
    }
    snprintf(why, WHY_SIZE, "\"%.64s\" is none of %s", text, choices);
    if (near.best) {
        size_t used = strlen(why);
        snprintf(why + used, WHY_SIZE - used, " (did you mean \"%s\"?)", near.best);
    }
    return false;
}

static bool check_string(const struct conf_key *key, const char *text, char *why)
{
    switch (key->type) {
    case CONF_AE:
        return check_ae(text, why);
    case CONF_HOST:
        return check_host(text, why);
    case CONF_ADDRESS:
        return check_address(text, why);
    case CONF_PATH:
        return check_path(text, why);
    case CONF_CHOICE:
        return check_choice(key->choices, text, why);
    case CONF_UID:
        if (uid_is_usable(text))
            return true;
        snprintf(why, WHY_SIZE, "\"%.64s\" is no UID: up to 64 digits and dots", text);
        return false;
    default:
        return check_text(key, text, why);
    }
}

// Blanks around an AE title do not count (PS3.5 6.2).
static const char *trim(const char *text, char *out, size_t size)
{
    text += strspn(text, " ");
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == ' ')
        len--;
    snprintf(out, size, "%.*s", (int)len, text);
    return out;
}

// Parses text into the field that key describes. False: why says what is wrong.
static bool parse_value(struct reader *r, const struct conf_key *key, const char *text, void *base,
                        char *why)
{
    void *field = (char *)base + key->offset;
    uint32_t whole = 0;
    char trimmed[WHY_SIZE];
    switch (key->type) {
    case CONF_UINT16:
    case CONF_UINT32:
        if (!parse_whole(text, key->min, key->max, &whole)) {
            snprintf(why, WHY_SIZE, "wants a whole number from %.0f to %.0f, not \"%.64s\"",
                     key->min, key->max, text);
            return false;
        }
        if (key->type == CONF_UINT16)
            *(uint16_t *)field = (uint16_t)whole;
        else
            *(uint32_t *)field = whole;
        return true;
    case CONF_NUMBER:
        if (parse_number(text, key->min, key->max, field))
            return true;
        snprintf(why, WHY_SIZE, "wants a number from %g to %.0f without a unit, not \"%.64s\"",
                 key->min, key->max, text);
        return false;
    case CONF_BOOL:
        if (parse_bool(text, field))
            return true;
        snprintf(why, WHY_SIZE, "wants true or false, not \"%.64s\"", text);
        return false;
    case CONF_AE:
        text = trim(text, trimmed, sizeof trimmed);
        break;
    default:
        break;
    }
    if (!check_string(key, text, why))
        return false;
    *(char **)field = keep(r, text);
    return true;
}

// ---- mappings ----

// The part of a key's name after its scope, or NULL when it belongs to another scope.
static const char *name_in(const struct conf_key *key, const char *scope)
{
    size_t len = strlen(scope);
    return strncmp(key->name, scope, len) == 0 ? key->name + len : NULL;
}

static bool is_map(struct reader *r, const struct tree *t, const char *path, const char *what)
{
    if (t->kind == TREE_MAP)
        return true;
    if (t->kind != TREE_BROKEN) {
        char text[WHY_SIZE];
        snprintf(text, sizeof text, "wants %s, not %s", what, tree_kind_name(t));
        complain(r, t, path, text);
    }
    return false;
}

static bool is_list(struct reader *r, const struct tree *t, const char *path, const char *what)
{
    if (t->kind == TREE_LIST && t->count <= ENTRIES_MAX)
        return true;
    char text[WHY_SIZE];
    if (t->kind == TREE_LIST)
        snprintf(text, sizeof text, "has %zu entries, %d at most are allowed", t->count,
                 ENTRIES_MAX);
    else
        snprintf(text, sizeof text, "wants a list of %s, not %s", what, tree_kind_name(t));
    if (t->kind != TREE_BROKEN)
        complain(r, t, path, text);
    return false;
}

// A single value; reports what it is instead.
static const char *scalar(struct reader *r, const struct tree *t, const char *path)
{
    if (t->kind == TREE_SCALAR && !tree_is_empty(t))
        return t->text;
    if (t->kind == TREE_SCALAR)
        complain(r, t, path, "has no value: write one, or remove the key to get the default");
    else if (t->kind != TREE_BROKEN) {
        char text[WHY_SIZE];
        snprintf(text, sizeof text, "wants one value, not %s", tree_kind_name(t));
        complain(r, t, path, text);
    }
    return NULL;
}

static void complain_unknown(struct reader *r, const struct tree *key, const char *path,
                             const struct near *near)
{
    if (near->best)
        report_add(&r->report, key->line, key->column, path, "unknown key (did you mean \"%s\"?)",
                   near->best);
    else
        report_add(&r->report, key->line, key->column, path,
                   "unknown key: remove it (the keys are listed in anode(8))");
}

// Reports keys of map that the table does not have in scope ("node.", "peers[].").
static void check_unknown(struct reader *r, const struct tree *map, const char *scope,
                          const char *shown)
{
    for (size_t i = 0; i + 1 < map->count; i += 2) {
        const struct tree *key = map->items[i];
        if (key->kind != TREE_SCALAR)
            continue;
        struct near near = {.word = key->text};
        bool known = false;
        for (size_t k = 0; k < KEY_COUNT && !known; k++) {
            const char *name = name_in(&keys[k], scope);
            known = name && strcmp(name, key->text) == 0;
            if (name && !known)
                near_try(&near, name);
        }
        if (known)
            continue;
        char path[PATH_SIZE];
        name_path(path, "%s.%.64s", shown, key->text);
        complain_unknown(r, key, path, &near);
    }
}

// Reads every plain key of scope from map (NULL: not there, defaults only) into base.
static void read_scope(struct reader *r, const struct tree *map, const char *scope,
                       const char *shown, void *base)
{
    char path[PATH_SIZE], why[WHY_SIZE];
    if (map)
        check_unknown(r, map, scope, shown);
    for (size_t k = 0; k < KEY_COUNT; k++) {
        const struct conf_key *key = &keys[k];
        const char *name = name_in(key, scope);
        if (!name)
            continue;
        name_path(path, "%s.%s", shown, name);
        const struct tree *value = map ? tree_get(map, name, NULL) : NULL;
        if (!value && key->required)
            report_add(&r->report, map ? map->line : 1, map ? map->column : 1, path,
                       "is missing: %s", key->help);
        if (key->type >= CONF_WHEN)
            continue; // read_route() does
        if (key->def)
            parse_value(r, key, key->def, base, why);
        const char *text = value ? scalar(r, value, path) : NULL;
        if (text && !parse_value(r, key, text, base, why))
            complain(r, value, path, why);
    }
}

// ---- peers ----

static void read_peers(struct reader *r, const struct tree *list)
{
    struct conf *c = r->c;
    if (!is_list(r, list, "peers", "peers"))
        return;
    if (list->count == 0)
        complain(r, list, "peers", "needs at least one peer");
    c->peers = reserve(r, list->count, sizeof *c->peers);
    for (size_t i = 0; c->peers && i < list->count; i++) {
        const struct tree *t = list->items[i];
        struct conf_peer *p = &c->peers[c->peer_count++];
        char path[PATH_SIZE];
        name_path(path, "peers[%zu]", i);
        if (!is_map(r, t, path, "ae_title, host and port"))
            continue;
        read_scope(r, t, "peers[].", path, p);
        const struct tree *name = tree_get(t, "ae_title", NULL);
        if (!p->name || !name)
            continue;
        name_path(path, "peers[%zu].ae_title", i);
        if (strcmp(p->name, "source") == 0)
            complain(r, name, path, "\"source\" is a word of return_to: use another AE title");
        for (size_t j = 0; j < i; j++) {
            if (c->peers[j].name && strcmp(c->peers[j].name, p->name) == 0) {
                report_add(&r->report, name->line, name->column, path,
                           "\"%s\" is already peers[%zu] in line %u: an AE title names one peer",
                           p->name, j, list->items[j]->line);
                break;
            }
        }
    }
}

// ---- routes ----

// One pattern, or any of a list of them.
static struct pattern *read_pattern(struct reader *r, const struct tree *t, const char *path)
{
    char why[WHY_SIZE] = "";
    if (t->kind != TREE_LIST) {
        const char *text = scalar(r, t, path);
        struct pattern *p = text ? pattern_compile(text, why, sizeof why) : NULL;
        if (text && !p)
            complain(r, t, path, why);
        return p;
    }
    if (!is_list(r, t, path, "patterns"))
        return NULL;
    if (t->count == 0)
        complain(r, t, path, "an empty list matches nothing: name at least one pattern");
    struct pattern **parts = reserve(r, t->count, sizeof *parts);
    size_t count = 0;
    bool ok = parts && t->count > 0;
    for (size_t i = 0; parts && i < t->count; i++) {
        char part[PATH_SIZE];
        name_path(part, "%s[%zu]", path, i);
        const char *text = scalar(r, t->items[i], part);
        struct pattern *p = text ? pattern_compile(text, why, sizeof why) : NULL;
        if (text && !p)
            complain(r, t->items[i], part, why);
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
    char why[WHY_SIZE] = "";
    if (!r->checks || !r->checks->keyword || r->checks->keyword(key->text, why, sizeof why))
        return;
    if (!*why)
        snprintf(why, sizeof why, "\"%.64s\" is no keyword of a DICOM attribute", key->text);
    complain(r, key, path, why);
}

static void read_when(struct reader *r, const struct tree *t, const char *shown,
                      struct conf_route *route)
{
    char path[PATH_SIZE];
    name_path(path, "%s.when", shown);
    if (!is_map(r, t, path, "attribute keywords and patterns (Modality: CT)"))
        return;
    if (t->count == 0)
        complain(r, t, path, "has no condition: write Modality: \"*\" to match every series");
    if (t->count / 2 > ENTRIES_MAX) {
        complain(r, t, path, "has more than 256 conditions");
        return;
    }
    route->when = reserve(r, t->count / 2, sizeof *route->when);
    for (size_t i = 0; route->when && i + 1 < t->count; i += 2) {
        const struct tree *key = t->items[i];
        if (key->kind != TREE_SCALAR)
            continue;
        name_path(path, "%s.when.%.64s", shown, key->text);
        check_keyword(r, key, path);
        struct pattern *pattern = read_pattern(r, t->items[i + 1], path);
        if (!pattern)
            continue;
        struct conf_condition *condition = &route->when[route->when_count++];
        condition->keyword = keep(r, key->text);
        condition->pattern = pattern;
    }
}

static void check_stage(struct reader *r, const struct tree *t, const char *shown,
                        struct conf_route *route)
{
    char path[PATH_SIZE], why[WHY_SIZE] = "";
    if (!route->run || !r->checks || !r->checks->stage ||
        r->checks->stage(route->run, why, sizeof why))
        return;
    name_path(path, "%s.run", shown);
    if (!*why)
        snprintf(why, sizeof why, "no stage \"%.64s\"", route->run);
    complain(r, t, path, why);
    route->run = NULL; // what depends on it cannot be judged
}

// True when the stage gives that kind (or nobody can tell).
static bool add_result(struct reader *r, struct conf_route *route, const char *kind, char *why)
{
    unsigned bit = 0;
    if (r->checks && r->checks->result &&
        !r->checks->result(route->run, kind, &bit, why, WHY_SIZE)) {
        if (!*why)
            snprintf(why, WHY_SIZE, "analysis %s gives no result \"%.64s\"", route->run, kind);
        return false;
    }
    for (size_t i = 0; i < route->result_count; i++) {
        if (strcmp(route->result_names[i], kind) == 0) {
            snprintf(why, WHY_SIZE, "\"%.64s\" is named twice: remove one", kind);
            return false;
        }
    }
    route->results |= bit;
    route->result_names[route->result_count++] = keep(r, kind);
    return true;
}

static void read_results(struct reader *r, const struct tree *t, const char *shown,
                         struct conf_route *route)
{
    static const char *const defaults[] = {"sr", "gsps", "sc"};
    char path[PATH_SIZE], why[WHY_SIZE] = "";
    name_path(path, "%s.results", shown);
    if (t && !is_list(r, t, path, "kinds of result, as in [sr, gsps, sc]"))
        return;
    if (t && t->count == 0)
        complain(r, t, path, "is empty: name a kind, or remove the key to get the default");
    route->result_names = reserve(r, t ? t->count : 3, sizeof *route->result_names);
    for (size_t i = 0; !t && route->result_names && i < 3; i++)
        add_result(r, route, defaults[i], why); // those that the analysis gives
    for (size_t i = 0; t && route->result_names && i < t->count; i++) {
        name_path(path, "%s.results[%zu]", shown, i);
        const char *kind = scalar(r, t->items[i], path);
        *why = 0;
        if (kind && !add_result(r, route, kind, why))
            complain(r, t->items[i], path, why);
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
            report_add(&r->report, t->line, t->column, path, "no peer \"%.64s\"%s%s%s", name,
                       near.best ? " (did you mean \"" : " (source, or an AE title from peers)",
                       near.best ? near.best : "", near.best ? "\"?)" : "");
            return;
        }
        for (size_t j = 0; j < route->return_count; j++)
            twice = twice || route->return_peers[j] == i;
        if (!twice)
            route->return_peers[route->return_count++] = i;
    }
    if (twice)
        report_add(&r->report, t->line, t->column, path, "\"%s\" is named twice: remove one", name);
}

static void read_return(struct reader *r, const struct tree *t, const char *shown,
                        struct conf_route *route)
{
    char path[PATH_SIZE];
    name_path(path, "%s.return_to", shown);
    route->return_source = !t;
    if (!t || !is_list(r, t, path, "source and AE titles of peers, as in [source]"))
        return;
    if (t->count == 0)
        complain(r, t, path, "is empty: results would go nowhere; write [source]");
    route->return_peers = reserve(r, t->count, sizeof *route->return_peers);
    for (size_t i = 0; route->return_peers && i < t->count; i++) {
        name_path(path, "%s.return_to[%zu]", shown, i);
        const char *name = scalar(r, t->items[i], path);
        if (name)
            add_return(r, t->items[i], path, route, name);
    }
}

static void read_options(struct reader *r, const struct tree *t, const char *shown,
                         struct conf_route *route)
{
    char path[PATH_SIZE], why[WHY_SIZE];
    name_path(path, "%s.options", shown);
    if (!is_map(r, t, path, "parameters and values, as in {threshold_hu: 130}"))
        return;
    if (t->count / 2 > ENTRIES_MAX) {
        complain(r, t, path, "has more than 256 parameters");
        return;
    }
    route->options = reserve(r, t->count / 2, sizeof *route->options);
    for (size_t i = 0; route->options && i + 1 < t->count; i += 2) {
        const struct tree *key = t->items[i], *value = t->items[i + 1];
        if (key->kind != TREE_SCALAR)
            continue;
        name_path(path, "%s.options.%.64s", shown, key->text);
        const char *text = scalar(r, value, path);
        if (!text)
            continue;
        *why = 0;
        if (r->checks && r->checks->option &&
            !r->checks->option(route->run, key->text, text, why, sizeof why)) {
            if (!*why)
                snprintf(why, sizeof why, "analysis %s does not take this option", route->run);
            complain(r, value, path, why);
            continue;
        }
        struct conf_option *o = &route->options[route->option_count++];
        *o = (struct conf_option){keep(r, key->text), keep(r, text), value->line, value->column};
    }
}

static void read_route(struct reader *r, const struct tree *t, const char *shown,
                       struct conf_route *route)
{
    read_scope(r, t, "routes[].", shown, route);
    const struct tree *when = tree_get(t, "when", NULL), *run = tree_get(t, "run", NULL),
                      *options = tree_get(t, "options", NULL);
    char path[PATH_SIZE];
    name_path(path, "%s.run", shown);
    const char *stage = run ? scalar(r, run, path) : NULL;
    route->run = stage ? keep(r, stage) : NULL;
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
        char path[PATH_SIZE];
        name_path(path, "routes[%zu].name", i);
        report_add(&r->report, name->line, name->column, path,
                   "\"%s\" is already routes[%zu] in line %u: give each route its own name",
                   routes[i].name, j, list->items[j]->line);
        return;
    }
}

static void read_routes(struct reader *r, const struct tree *list)
{
    struct conf *c = r->c;
    if (!is_list(r, list, "routes", "routes"))
        return;
    if (list->count == 0)
        complain(r, list, "routes", "needs at least one route");
    c->routes = reserve(r, list->count, sizeof *c->routes);
    for (size_t i = 0; c->routes && i < list->count; i++) {
        char path[PATH_SIZE];
        name_path(path, "routes[%zu]", i);
        struct conf_route *route = &c->routes[c->route_count++];
        if (!is_map(r, list->items[i], path, "name, when and run"))
            continue;
        read_route(r, list->items[i], path, route);
        check_route_name(r, list, i);
    }
}

// ---- the whole file ----

static double number_of(const struct conf_key *key, const struct conf *c)
{
    const void *field = (const char *)c + key->offset;
    return key->type == CONF_NUMBER ? *(const double *)field : *(const uint32_t *)field;
}

static const struct conf_key *find_key(const char *name)
{
    for (size_t k = 0; k < KEY_COUNT; k++) {
        if (strcmp(keys[k].name, name) == 0)
            return &keys[k];
    }
    return NULL;
}

// The value a file gives for "section.key", or NULL.
static const struct tree *given(const struct tree *root, const char *name)
{
    char section[64];
    snprintf(section, sizeof section, "%.*s", (int)strcspn(name, "."), name);
    const struct tree *map = tree_get(root, section, NULL);
    return map ? tree_get(map, strchr(name, '.') + 1, NULL) : NULL;
}

static void check_order(struct reader *r, const struct tree *root)
{
    for (size_t i = 0; i < sizeof ordered / sizeof ordered[0]; i++) {
        const struct conf_key *low = find_key(ordered[i][0]), *high = find_key(ordered[i][1]);
        double limit = number_of(high, r->c);
        if (number_of(low, r->c) <= limit)
            continue;
        const struct tree *at = given(root, low->name);
        if (at) {
            report_add(&r->report, at->line, at->column, low->name,
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

// The first part of a name: "node" of "node.port", "peers" of "peers[].host".
static void section_of(const struct conf_key *key, char out[64])
{
    snprintf(out, 64, "%.*s", (int)strcspn(key->name, ".["), key->name);
}

static void check_sections(struct reader *r, const struct tree *root)
{
    for (size_t i = 0; i + 1 < root->count; i += 2) {
        const struct tree *at = root->items[i];
        if (at->kind != TREE_SCALAR)
            continue;
        struct near near = {.word = at->text};
        char sections[KEY_COUNT][64]; // near keeps a pointer into it
        bool known = false;
        for (size_t k = 0; k < KEY_COUNT && !known; k++) {
            section_of(&keys[k], sections[k]);
            known = strcmp(sections[k], at->text) == 0;
            if (!known)
                near_try(&near, sections[k]);
        }
        if (!known) {
            char path[PATH_SIZE];
            name_path(path, "%.64s", at->text);
            complain_unknown(r, at, path, &near);
        }
    }
}

// The sections that are plain keys of struct conf.
static void read_sections(struct reader *r, const struct tree *root)
{
    char last[64] = "", section[64], scope[72];
    for (size_t k = 0; k < KEY_COUNT; k++) {
        section_of(&keys[k], section);
        if (strcmp(section, last) == 0 || strchr(keys[k].name, '['))
            continue;
        memcpy(last, section, sizeof last);
        snprintf(scope, sizeof scope, "%s.", section);
        const struct tree *map = tree_get(root, section, NULL);
        if (map && (tree_is_empty(map) || !is_map(r, map, section, "keys and values")))
            map = NULL;
        read_scope(r, map, scope, section, r->c);
    }
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
        c->device_uid = keep(r, uid);
    if (!c->serial)
        c->serial = keep(r, hex);
}

static void read_root(struct reader *r, const struct tree *root)
{
    if (!is_map(r, root, "", "sections (node, peers, routes, ...)"))
        return;
    check_sections(r, root);
    read_sections(r, root);
    check_order(r, root);
    derive_identity(r);
    const struct tree *peers = tree_get(root, "peers", NULL),
                      *routes = tree_get(root, "routes", NULL);
    if (peers)
        read_peers(r, peers);
    else
        complain(r, root, "peers", "is missing: name the PACS that sends and receives");
    if (routes)
        read_routes(r, routes);
    else
        complain(r, root, "routes", "is missing: say which series go to which analysis");
}

static void read_file(struct reader *r, const char *path, struct err *err)
{
    size_t len;
    char *text = fs_read_file(path, FILE_SIZE_MAX, &len, err);
    if (!text) {
        report_add(&r->report, 1, 1, "", "%s", err->text);
        return;
    }
    struct arena *arena = arena_create(); // of the tree
    r->report.arena = r->c->arena;
    if (arena) {
        struct tree *root = tree_parse(text, len, arena, &r->report);
        if (root)
            read_root(r, root);
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
        c->path = keep(r, path);
        read_file(r, path, &own);
        *errors = r->report.count;
        report_print(&r->report, path, report);
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

// ---- printing ----

// A double-quoted YAML scalar. Control characters were refused when it was read.
static void print_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        // U+2028 and U+2029 end a line for YAML, U+FEFF and U+FFFE are no characters for libyaml
        unsigned point = p[0] >= 0xe2 && p[0] <= 0xef && p[1] && p[2]
                             ? (p[0] & 15U) << 12 | (p[1] & 63U) << 6 | (p[2] & 63U)
                             : 0;
        if (point == 0x2028 || point == 0x2029 || point >= 0xe000) {
            fprintf(out, "\\u%04X", point);
            p += 2;
        } else {
            if (*p == '"' || *p == '\\')
                fputc('\\', out);
            fputc(*p, out);
        }
    }
    fputc('"', out);
}

static void print_number(FILE *out, double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.15g", value);
    if (strtod(text, NULL) != value)
        snprintf(text, sizeof text, "%.17g", value);
    fputs(text, out);
}

static void print_value(FILE *out, const struct conf_key *key, const void *base)
{
    const void *field = (const char *)base + key->offset;
    switch (key->type) {
    case CONF_UINT16:
        fprintf(out, "%u", (unsigned)*(const uint16_t *)field);
        break;
    case CONF_UINT32:
        fprintf(out, "%u", (unsigned)*(const uint32_t *)field);
        break;
    case CONF_NUMBER:
        print_number(out, *(const double *)field);
        break;
    case CONF_BOOL:
        fputs(*(const bool *)field ? "true" : "false", out);
        break;
    default:
        print_text(out, *(char *const *)field);
    }
}

static void print_pattern(FILE *out, const struct pattern *p)
{
    if (pattern_part(p, 0) == p) {
        print_text(out, pattern_text(p));
        return;
    }
    for (size_t i = 0; i < pattern_parts(p); i++) {
        fputs(i ? ", " : "[", out);
        print_text(out, pattern_text(pattern_part(p, i)));
    }
    fputc(']', out);
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
        print_text(out, type == CONF_RETURN ? c->peers[route->return_peers[i]].name
                                            : route->result_names[i]);
    }
    fputc(']', out);
}

static void print_route_key(FILE *out, const struct conf *c, const struct conf_route *route,
                            const struct conf_key *key)
{
    switch (key->type) {
    case CONF_WHEN:
        for (size_t i = 0; i < route->when_count; i++) {
            fputs("\n      ", out);
            print_text(out, route->when[i].keyword);
            fputs(": ", out);
            print_pattern(out, route->when[i].pattern);
        }
        break;
    case CONF_OPTIONS:
        fputc('{', out);
        for (size_t i = 0; i < route->option_count; i++) {
            fputs(i ? ", " : "", out);
            print_text(out, route->options[i].name);
            fputs(": ", out);
            print_text(out, route->options[i].value);
        }
        fputc('}', out);
        break;
    case CONF_RESULTS:
    case CONF_RETURN:
        print_list(out, c, route, key->type);
        break;
    default:
        print_value(out, key, route);
    }
}

// The keys of one list entry, the first after "- ".
static void print_entry(FILE *out, const struct conf *c, const char *scope, const void *base)
{
    const char *lead = "  - ";
    for (size_t k = 0; k < KEY_COUNT; k++) {
        const char *name = name_in(&keys[k], scope);
        if (!name)
            continue;
        fprintf(out, "%s%s: ", lead, name);
        if (*scope == 'r')
            print_route_key(out, c, base, &keys[k]);
        else
            print_value(out, &keys[k], base);
        fputc('\n', out);
        lead = "    ";
    }
}

void conf_print(const struct conf *c, FILE *out)
{
    char last[64] = "", section[64];
    for (size_t k = 0; k < KEY_COUNT; k++) {
        if (strchr(keys[k].name, '['))
            continue;
        section_of(&keys[k], section);
        if (strcmp(section, last) != 0)
            fprintf(out, "%s:\n", section);
        memcpy(last, section, sizeof last);
        fprintf(out, "  %s: ", strchr(keys[k].name, '.') + 1);
        print_value(out, &keys[k], c);
        fputc('\n', out);
    }
    fputs("peers:\n", out);
    for (size_t i = 0; i < c->peer_count; i++)
        print_entry(out, c, "peers[].", &c->peers[i]);
    fputs("routes:\n", out);
    for (size_t i = 0; i < c->route_count; i++)
        print_entry(out, c, "routes[].", &c->routes[i]);
}

// ---- asking ----

const struct conf_peer *conf_find_peer(const struct conf *c, const char *ae_title)
{
    for (size_t i = 0; i < c->peer_count; i++) {
        if (strcmp(c->peers[i].name, ae_title) == 0)
            return &c->peers[i];
    }
    return NULL;
}

// The first condition that does not hold, or NULL.
static const struct conf_condition *failing(const struct conf_route *route,
                                            const struct attrs *attrs)
{
    for (size_t i = 0; i < route->when_count; i++) {
        const struct conf_condition *condition = &route->when[i];
        if (!pattern_matches(condition->pattern, attrs_get(attrs, condition->keyword)))
            return condition;
    }
    return NULL;
}

static void explain(FILE *why, const struct conf_route *route,
                    const struct conf_condition *condition, const struct attrs *attrs)
{
    const char *value = attrs_get(attrs, condition->keyword);
    fprintf(why, "route \"%s\": %s is ", route->name, condition->keyword);
    if (value)
        fputc('"', why);
    for (const char *p = value ? value : "absent"; *p; p++)
        fputc((unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p, why); // the value is a peer's
    fprintf(why, "%s, wanted %s\n", value ? "\"" : "", pattern_text(condition->pattern));
}

const struct conf_route *conf_match(const struct conf *c, const struct attrs *attrs, FILE *why)
{
    for (size_t i = 0; i < c->route_count; i++) {
        const struct conf_route *route = &c->routes[i];
        const struct conf_condition *condition = failing(route, attrs);
        if (condition) {
            if (why)
                explain(why, route, condition, attrs);
            continue;
        }
        if (why)
            fprintf(why, "route \"%s\": every condition holds\n", route->name);
        return route;
    }
    return NULL;
}
