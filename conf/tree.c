#include "conf/tree.h"
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define PATH_SIZE (TREE_DEPTH_MAX * 80) // of a path in messages

struct builder {
    yaml_parser_t parser;
    struct arena *arena;
    struct report *report;
    const char *input;
    size_t input_len;
    size_t nodes;
    bool dead; // syntax error, too large, or no memory: nothing can be read any more
};

struct items {
    struct tree **list;
    size_t count, room;
};

static void tree_die(struct builder *b, const yaml_mark_t *mark, const char *what)
{
    if (!b->dead)
        conf_report_add(b->report, (unsigned)mark->line + 1, (unsigned)mark->column + 1, "", "%s",
                        what);
    b->dead = true;
}

static void die_of_memory(struct builder *b)
{
    b->report->no_memory = true;
    b->dead = true;
}

// The byte at a place of the input, 0 past its end.
static char byte_at(const struct builder *b, size_t line, size_t column)
{
    const char *p = b->input, *end = b->input + b->input_len;
    for (; line > 0 && p < end; line--) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        p = newline ? newline + 1 : end;
    }
    return (size_t)(end - p) > column ? p[column] : 0;
}

// What to do about a syntax error: libyaml says what it did not find, not what the writer meant.
static const char *remedy(const struct builder *b)
{
    const yaml_parser_t *p = &b->parser;
    const char *context = p->context ? p->context : "", *problem = p->problem ? p->problem : "";
    if (byte_at(b, p->problem_mark.line, p->problem_mark.column) == '\t')
        return "indent with blanks, not tabs";
    if (strstr(context, "block scalar"))
        return "put quotes around a comparison: \">= 3\"";
    if (strstr(context, "alias"))
        return "put quotes around a text that starts with *";
    if (strstr(context, "anchor"))
        return "put quotes around a text that starts with &";
    if (strstr(context, "tag"))
        return "put quotes around a text that starts with !";
    if (strstr(problem, "mapping values"))
        return "put quotes around a text with \": \" in it, or check the indentation";
    if (strstr(problem, "cannot start any token"))
        return "put quotes around a text that starts with this character";
    if (strstr(context, "quoted scalar"))
        return "close the quotes; in double quotes write \\\\ for \\";
    if (strstr(context, "flow"))
        return "close the bracket";
    return "check the indentation: keys of one list or section start in the same column";
}

static void die_of_syntax(struct builder *b)
{
    const yaml_parser_t *p = &b->parser;
    if (b->dead)
        return;
    if (p->error == YAML_MEMORY_ERROR) {
        die_of_memory(b);
        return;
    }
    yaml_mark_t mark = p->problem_mark;
    char what[512];
    if (p->error == YAML_READER_ERROR) {
        size_t offset = p->problem_offset < b->input_len ? p->problem_offset : b->input_len;
        mark.line = mark.column = 0;
        for (size_t i = 0; i < offset; i++) {
            mark.column = b->input[i] == '\n' ? 0 : mark.column + 1;
            mark.line += b->input[i] == '\n';
        }
        snprintf(what, sizeof what, "not a text file in UTF-8: %s (save it as UTF-8)", p->problem);
    } else {
        snprintf(what, sizeof what, "YAML syntax: %s%s%s (%s)", p->problem ? p->problem : "error",
                 p->context ? " " : "", p->context ? p->context : "", remedy(b));
    }
    tree_die(b, &mark, what);
}

static bool next_event(struct builder *b, yaml_event_t *event)
{
    if (b->dead)
        return false;
    if (yaml_parser_parse(&b->parser, event))
        return true;
    die_of_syntax(b);
    return false;
}

static struct tree *new_node(struct builder *b, enum tree_kind kind, const yaml_mark_t *mark)
{
    if (++b->nodes > TREE_NODES_MAX) {
        tree_die(b, mark, "the file holds too many values (20000 at most)");
        return NULL;
    }
    struct tree *t = arena_alloc(b->arena, 1, sizeof *t);
    if (!t) {
        die_of_memory(b);
        return NULL;
    }
    t->kind = kind;
    t->line = (unsigned)mark->line + 1;
    t->column = (unsigned)mark->column + 1;
    return t;
}

static bool tree_push(struct builder *b, struct items *items, struct tree *t)
{
    if (items->count == items->room) {
        size_t room = items->room ? 2 * items->room : 8;
        struct tree **grown = realloc(items->list, room * sizeof *grown);
        if (!grown) {
            die_of_memory(b);
            return false;
        }
        items->list = grown;
        items->room = room;
    }
    items->list[items->count++] = t;
    return true;
}

// C0 and C1 control characters, DEL: nothing in this file may carry them into a log or an object.
static bool has_control(const unsigned char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool c1 = text[i] == 0xc2 && i + 1 < len && text[i + 1] < 0xa0;
        if (text[i] < 0x20 || text[i] == 0x7f || c1)
            return true;
    }
    return false;
}

static struct tree *tree_read_scalar(struct builder *b, const yaml_event_t *event)
{
    struct tree *t = new_node(b, TREE_SCALAR, &event->start_mark);
    if (!t)
        return NULL;
    const unsigned char *text = event->data.scalar.value;
    size_t len = event->data.scalar.length;
    if (has_control(text, len)) {
        t->problem = "a line break or control character inside a value: remove it";
        t->kind = TREE_BROKEN;
        return t;
    }
    t->text = arena_strdup(b->arena, (const char *)text);
    if (!t->text) {
        die_of_memory(b);
        return NULL;
    }
    t->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return t;
}

static struct tree *tree_read_node(struct builder *b, yaml_event_t *event, unsigned depth);

// Everything up to the end of a list or mapping.
static struct tree *tree_read_items(struct builder *b, const yaml_event_t *start, unsigned depth)
{
    bool list = start->type == YAML_SEQUENCE_START_EVENT;
    struct tree *t = new_node(b, list ? TREE_LIST : TREE_MAP, &start->start_mark);
    struct items items = {0};
    while (t) {
        yaml_event_t event;
        if (!next_event(b, &event))
            break;
        bool end = event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT;
        struct tree *item = end ? NULL : tree_read_node(b, &event, depth + 1);
        yaml_event_delete(&event);
        if (end || !item || !tree_push(b, &items, item))
            break;
    }
    if (t && !b->dead && items.count > 0) {
        t->items = arena_alloc(b->arena, items.count, sizeof *t->items);
        t->count = items.count;
        if (t->items)
            memcpy(t->items, items.list, items.count * sizeof *t->items);
        else
            die_of_memory(b);
    }
    free(items.list);
    return b->dead ? NULL : t;
}

static void note_problem(struct builder *b, struct tree *t, const char *format, const char *name)
{
    if (!t)
        return;
    char text[256];
    snprintf(text, sizeof text, format, name);
    t->problem = arena_strdup(b->arena, text);
    if (!t->problem)
        die_of_memory(b);
}

// An anchor or a tag is an error, but what it stands at is read on.
static struct tree *undecorated(struct builder *b, struct tree *t, const unsigned char *anchor,
                                const unsigned char *tag)
{
    static const char standard[] = "tag:yaml.org,2002:";
    const char *name = (const char *)tag;
    if (anchor)
        note_problem(b, t,
                     "anchor &%.64s is not allowed: write the value out, or put quotes around a "
                     "text that starts with &",
                     (const char *)anchor);
    else if (tag && strncmp(name, standard, sizeof standard - 1) == 0)
        note_problem(b, t, "tag !!%.64s is not allowed: remove it", name + sizeof standard - 1);
    else if (tag)
        note_problem(b, t,
                     "tag %.64s is not allowed: remove it, or put quotes around a text that starts "
                     "with !",
                     name);
    return t;
}

static struct tree *tree_read_node(struct builder *b, yaml_event_t *event, unsigned depth)
{
    if (depth > TREE_DEPTH_MAX) {
        tree_die(b, &event->start_mark, "nested too deeply (16 levels at most)");
        return NULL;
    }
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return undecorated(b, tree_read_scalar(b, event), event->data.scalar.anchor,
                           event->data.scalar.tag);
    case YAML_SEQUENCE_START_EVENT:
        return undecorated(b, tree_read_items(b, event, depth), event->data.sequence_start.anchor,
                           event->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return undecorated(b, tree_read_items(b, event, depth), event->data.mapping_start.anchor,
                           event->data.mapping_start.tag);
    case YAML_ALIAS_EVENT: {
        struct tree *t = new_node(b, TREE_BROKEN, &event->start_mark);
        note_problem(b, t,
                     "alias *%.64s is not allowed: write the value out, or put quotes around a "
                     "text that starts with *",
                     (const char *)event->data.alias.anchor);
        return t;
    }
    default:
        tree_die(b, &event->start_mark, "YAML syntax: a value is missing");
        return NULL;
    }
}

static int tree_by_key(const void *a, const void *b)
{
    const struct tree *const *x = a, *const *y = b;
    int order = strcmp((*x)->text, (*y)->text);
    if (order)
        return order;
    if ((*x)->line != (*y)->line)
        return (*x)->line < (*y)->line ? -1 : 1;
    return (*x)->column < (*y)->column ? -1 : 1;
}

static void tree_check_keys(struct builder *b, const struct tree *map, const char *path)
{
    const struct tree **keys = arena_alloc(b->arena, map->count / 2 + 1, sizeof *keys);
    size_t count = 0;
    if (!keys) {
        die_of_memory(b);
        return;
    }
    for (size_t i = 0; i + 1 < map->count; i += 2) {
        if (map->items[i]->kind == TREE_SCALAR)
            keys[count++] = map->items[i];
        else if (map->items[i]->kind != TREE_BROKEN)
            conf_report_add(b->report, map->items[i]->line, map->items[i]->column, path,
                            "a key must be a text, not %s", tree_kind_name(map->items[i]));
    }
    qsort(keys, count, sizeof *keys, tree_by_key);
    const struct tree *first = count ? keys[0] : NULL;
    for (size_t i = 1; i < count; i++) {
        if (strcmp(keys[i]->text, first->text) == 0)
            conf_report_add(b->report, keys[i]->line, keys[i]->column, path,
                            "key \"%.64s\" is here a second time, first in line %u: remove one",
                            first->text, first->line);
        else
            first = keys[i];
    }
}

// Reports what was noticed of t and all below, now that the path to it is known.
static void tree_check(struct builder *b, const struct tree *t, const char *path)
{
    if (t->problem)
        conf_report_add(b->report, t->line, t->column, path, "%s", t->problem);
    if (t->kind == TREE_MAP)
        tree_check_keys(b, t, path);
    for (size_t i = 0; i < t->count; i++) {
        char below[PATH_SIZE];
        const struct tree *key = t->kind == TREE_MAP ? t->items[i & ~(size_t)1] : NULL;
        int used = snprintf(below, sizeof below, "%s", path);
        if (!key)
            snprintf(below + used, sizeof below - (size_t)used, "[%zu]", i);
        else if (key->kind == TREE_SCALAR)
            snprintf(below + used, sizeof below - (size_t)used, "%s%.64s", *path ? "." : "",
                     key->text);
        tree_check(b, t->items[i], below);
    }
}

static struct tree *tree_read_document(struct builder *b)
{
    struct tree *root = NULL;
    for (;;) {
        yaml_event_t event;
        if (!next_event(b, &event))
            return NULL;
        bool end = event.type == YAML_STREAM_END_EVENT;
        if (event.type == YAML_DOCUMENT_START_EVENT && root)
            tree_die(b, &event.start_mark,
                     "a second document starts here: one file holds one configuration");
        else if (event.type != YAML_STREAM_START_EVENT && event.type != YAML_DOCUMENT_START_EVENT &&
                 event.type != YAML_DOCUMENT_END_EVENT && !end)
            root = tree_read_node(b, &event, 1);
        yaml_event_delete(&event);
        if (end || b->dead)
            break;
    }
    if (!root && !b->dead)
        conf_report_add(b->report, 1, 1, "", "the file is empty: it needs peers and routes");
    return b->dead ? NULL : root;
}

struct tree *tree_parse(const char *text, size_t len, struct arena *arena, struct report *report)
{
    struct builder b = {.arena = arena, .report = report, .input = text, .input_len = len};
    if (!yaml_parser_initialize(&b.parser)) {
        report->no_memory = true;
        return NULL;
    }
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)text, len);
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    struct tree *root = tree_read_document(&b);
    if (root)
        tree_check(&b, root, "");
    yaml_parser_delete(&b.parser);
    return b.dead ? NULL : root;
}

const struct tree *tree_get(const struct tree *map, const char *key, const struct tree **place)
{
    for (size_t i = 0; map->kind == TREE_MAP && i + 1 < map->count; i += 2) {
        const struct tree *k = map->items[i];
        if (k->kind == TREE_SCALAR && strcmp(k->text, key) == 0) {
            if (place)
                *place = k;
            return map->items[i + 1];
        }
    }
    return NULL;
}

bool tree_is_empty(const struct tree *t)
{
    return t->kind == TREE_SCALAR && !t->quoted && !*t->text;
}

const char *tree_kind_name(const struct tree *t)
{
    switch (t->kind) {
    case TREE_LIST:
        return "a list";
    case TREE_MAP:
        return "keys and values";
    case TREE_SCALAR:
    case TREE_BROKEN:
        break;
    }
    return tree_is_empty(t) ? "nothing" : "a text";
}
