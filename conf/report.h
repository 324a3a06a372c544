// The errors of one configuration file, collected so that all are shown at once, in file order.
// Thread-safety: one thread.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include "base/arena.h"

#define REPORT_SHOWN_MAX 200 // further errors are only counted

struct report_entry {
    unsigned line, column; // from 1
    const char *text;      // "routes[0].run: no stage ..."
};

struct report {
    struct arena *arena; // borrowed
    struct report_entry entries[REPORT_SHOWN_MAX];
    size_t count; // of all errors
    bool no_memory;
};

// path: the key's, "routes[0].run"; "" when the error belongs to none.
void conf_report_add(struct report *r, unsigned line, unsigned column, const char *path,
                     const char *format, ...) __attribute__((format(printf, 5, 6)));

// One line an error: "file:line:column: path: what is wrong and what to do".
void conf_report_print(struct report *r, const char *file, FILE *out);
