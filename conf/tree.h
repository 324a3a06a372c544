// A YAML file as a tree of values with their places, bounded in size and depth.
// What makes a file mean something else than it shows is an error here: anchors, aliases, tags,
// several documents, control characters, the same key twice.
// Thread-safety: one thread.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "conf/report.h"
#include "base/arena.h"

#define TREE_DEPTH_MAX 16
#define TREE_NODES_MAX 20000

enum tree_kind {
    TREE_SCALAR,
    TREE_LIST,
    TREE_MAP,
    TREE_BROKEN, // reported already
};

struct tree {
    enum tree_kind kind;
    unsigned line, column; // from 1
    const char *text;      // TREE_SCALAR: printable UTF-8
    bool quoted;           // TREE_SCALAR
    const char *problem;   // what tree_parse() reported of it, or NULL
    struct tree **items;   // TREE_LIST; TREE_MAP: key, value, key, value, ...
    size_t count;          // of items
};

// Parses text into arena. Errors go to report; NULL: a syntax error, an empty file or no memory.
struct tree *tree_parse(const char *text, size_t len, struct arena *arena, struct report *report);

// The value of key, or NULL; *place (may be NULL) gets the key itself.
const struct tree *tree_get(const struct tree *map, const char *key, const struct tree **place);

// Nothing stands after the key: "peers:".
bool tree_is_empty(const struct tree *t);

// "a text", "a list", "keys and values"
const char *tree_kind_name(const struct tree *t);
