#include "conf/reader.h"
#include <stdarg.h>
#include <string.h>
#include "conf/keys.h"
#include "conf/network.h"
#include "base/near.h"

void *reader_reserve(struct reader *r, size_t count, size_t size)
{
    void *p = arena_alloc(r->c->arena, count, size);
    if (!p)
        r->no_memory = true;
    return p;
}

char *reader_keep(struct reader *r, const char *text)
{
    char *copy = arena_strdup(r->c->arena, text);
    if (!copy)
        r->no_memory = true;
    return copy;
}

void reader_path(char out[READER_PATH_SIZE], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(out, READER_PATH_SIZE, format, args);
    va_end(args);
}

void reader_complain(struct reader *r, const struct tree *at, const char *path, const char *text)
{
    conf_report_add(&r->report, at->line, at->column, path, "%s", text);
}

bool reader_is_map(struct reader *r, const struct tree *t, const char *path, const char *what)
{
    if (t->kind == TREE_MAP)
        return true;
    if (t->kind != TREE_BROKEN) {
        char text[KEYS_WHY_SIZE];
        snprintf(text, sizeof text, "wants %s, not %s", what, tree_kind_name(t));
        reader_complain(r, t, path, text);
    }
    return false;
}

bool reader_is_list(struct reader *r, const struct tree *t, const char *path, const char *what)
{
    if (t->kind == TREE_LIST && t->count <= READER_ENTRIES_MAX)
        return true;
    char text[KEYS_WHY_SIZE];
    if (t->kind == TREE_LIST)
        snprintf(text, sizeof text, "has %zu entries, %d at most are allowed", t->count,
                 READER_ENTRIES_MAX);
    else
        snprintf(text, sizeof text, "wants a list of %s, not %s", what, tree_kind_name(t));
    if (t->kind != TREE_BROKEN)
        reader_complain(r, t, path, text);
    return false;
}

// A single value; reports what it is instead.
const char *reader_scalar(struct reader *r, const struct tree *t, const char *path)
{
    if (t->kind == TREE_SCALAR && !tree_is_empty(t))
        return t->text;
    if (t->kind == TREE_SCALAR)
        reader_complain(r, t, path,
                        "has no value: write one, or remove the key to get the default");
    else if (t->kind != TREE_BROKEN) {
        char text[KEYS_WHY_SIZE];
        snprintf(text, sizeof text, "wants one value, not %s", tree_kind_name(t));
        reader_complain(r, t, path, text);
    }
    return NULL;
}

void reader_complain_unknown(struct reader *r, const struct tree *key, const char *path,
                             const struct near *near)
{
    if (near->best)
        conf_report_add(&r->report, key->line, key->column, path,
                        "unknown key (did you mean \"%s\"?)", near->best);
    else
        conf_report_add(&r->report, key->line, key->column, path,
                        "unknown key: remove it (the keys are listed in anode(8))");
}

// Reports keys of map that the table does not have in scope ("node.", "peers[].").
static void reader_check_unknown(struct reader *r, const struct tree *map, const char *scope,
                                 const char *shown)
{
    for (size_t i = 0; i + 1 < map->count; i += 2) {
        const struct tree *at = map->items[i];
        if (at->kind != TREE_SCALAR)
            continue;
        struct near near = {.word = at->text};
        bool known = false;
        const struct conf_key *key;
        for (size_t k = 0; !known && (key = conf_key_at(k)); k++) {
            const char *name = keys_name_in(key, scope);
            known = name && strcmp(name, at->text) == 0;
            if (name && !known)
                near_try(&near, name);
        }
        if (known)
            continue;
        char path[READER_PATH_SIZE];
        reader_path(path, "%s.%.64s", shown, at->text);
        reader_complain_unknown(r, at, path, &near);
    }
}

static void read_texts(struct reader *r, const struct tree *t, const char *path,
                       const struct conf_key *key, void *base)
{
    struct conf_texts *list = (struct conf_texts *)((char *)base + key->offset);
    char item[READER_PATH_SIZE];
    if (!reader_is_list(r, t, path, "texts"))
        return;
    list->items = reader_reserve(r, t->count + 1, sizeof *list->items);
    for (size_t i = 0; list->items && i < t->count; i++) {
        reader_path(item, "%s[%zu]", path, i);
        const char *text = reader_scalar(r, t->items[i], item);
        char why[KEYS_WHY_SIZE];
        if (text && (!*text || strlen(text) > (size_t)key->max)) {
            snprintf(why, sizeof why, "wants a text of 1 to %g bytes", key->max);
            reader_complain(r, t->items[i], item, why);
        } else if (text && key->type == CONF_NETWORKS && !network_check(text)) {
            snprintf(why, sizeof why,
                     "\"%.64s\" is no numeric address nor network, as 192.0.2.7 or 192.0.2.0/24",
                     text);
            reader_complain(r, t->items[i], item, why);
        } else if (text) {
            list->items[list->count] = reader_keep(r, text);
            list->count += list->items[list->count] != NULL;
        }
    }
}

void reader_scope(struct reader *r, const struct tree *map, const char *scope, const char *shown,
                  void *base)
{
    char path[READER_PATH_SIZE], why[KEYS_WHY_SIZE];
    if (map)
        reader_check_unknown(r, map, scope, shown);
    const struct conf_key *key;
    for (size_t k = 0; (key = conf_key_at(k)); k++) {
        const char *name = keys_name_in(key, scope);
        if (!name)
            continue;
        reader_path(path, "%s.%s", shown, name);
        const struct tree *value = map ? tree_get(map, name, NULL) : NULL;
        if (!value && key->required)
            conf_report_add(&r->report, map ? map->line : 1, map ? map->column : 1, path,
                            "is missing: %s", key->help);
        if ((key->type == CONF_TEXTS || key->type == CONF_NETWORKS) && value)
            read_texts(r, value, path, key, base);
        if (key->type >= CONF_WHEN)
            continue; // routes_read() does
        if (key->def && !keys_parse(r->c->arena, key, key->def, base, why))
            r->no_memory = true; // no other reason: a test reads every default
        const char *text = value ? reader_scalar(r, value, path) : NULL;
        if (text && !keys_parse(r->c->arena, key, text, base, why))
            reader_complain(r, value, path, why);
    }
}
