#include "conf/report.h"
#include <stdarg.h>
#include <stdlib.h>

void conf_report_add(struct report *r, unsigned line, unsigned column, const char *path,
                     const char *format, ...)
{
    if (r->count++ >= REPORT_SHOWN_MAX)
        return;
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    struct report_entry *e = &r->entries[r->count - 1];
    e->line = line;
    e->column = column;
    e->text = arena_printf(r->arena, "%s%s%s", path, *path ? ": " : "", message);
    if (!e->text)
        r->no_memory = true;
}

static int entry_by_place(const void *a, const void *b)
{
    const struct report_entry *x = a, *y = b;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return x->column < y->column ? -1 : x->column > y->column;
}

void conf_report_print(struct report *r, const char *file, FILE *out)
{
    size_t shown = r->count < REPORT_SHOWN_MAX ? r->count : REPORT_SHOWN_MAX;
    qsort(r->entries, shown, sizeof r->entries[0], entry_by_place);
    for (size_t i = 0; i < shown; i++) {
        const struct report_entry *e = &r->entries[i];
        fprintf(out, "%s:%u:%u: %s\n", file, e->line, e->column, e->text ? e->text : "no memory");
    }
    if (r->count > shown)
        fprintf(out, "%s: and %zu more errors\n", file, r->count - shown);
}
