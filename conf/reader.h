// What every part of the reader needs: a place for values and for complaints. Inside conf/ only.
// Thread-safety: one thread.
#pragma once
#include "conf/conf.h"
#include "conf/report.h"
#include "conf/tree.h"

#define READER_ENTRIES_MAX 256 // peers, routes, conditions, options, ...
#define READER_PATH_SIZE   512 // of a key's path in messages

struct near;

struct reader {
    struct conf *c;
    const struct conf_checks *checks; // may be NULL
    struct report report;
    bool no_memory;
};

// From the conf's arena; NULL sets no_memory.
void *reader_reserve(struct reader *r, size_t count, size_t size);
char *reader_keep(struct reader *r, const char *text);

// The path of a key as messages show it: "routes[0].run".
void reader_path(char out[READER_PATH_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void reader_complain(struct reader *r, const struct tree *at, const char *path, const char *text);
void reader_complain_unknown(struct reader *r, const struct tree *key, const char *path,
                             const struct near *near);

// Each reports at path what stands there instead; what is TREE_BROKEN was reported before.
bool reader_is_map(struct reader *r, const struct tree *t, const char *path, const char *what);
bool reader_is_list(struct reader *r, const struct tree *t, const char *path, const char *what);
const char *reader_scalar(struct reader *r, const struct tree *t, const char *path);

// Reads every plain key of scope ("node.", "peers[].") from map into base: defaults where it is not
// given, complaints about keys that are unknown, missing or wrong. map NULL: defaults only. shown:
// the scope in messages ("peers[2]").
void reader_scope(struct reader *r, const struct tree *map, const char *scope, const char *shown,
                  void *base);
