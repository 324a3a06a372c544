#include "compute/findings/findings.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct code comment = {"121106", "DCM", "Comment"};

const char *verdict_name(enum verdict v)
{
    switch (v) {
    case VERDICT_DONE:
        return "done";
    case VERDICT_NOTHING_FOUND:
        return "nothing found";
    case VERDICT_NOT_EVALUABLE:
        return "not evaluable";
    case VERDICT_FAILED:
        break;
    }
    return "failed";
}

struct findings *findings_create(void)
{
    struct findings *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->arena = arena_create();
    if (!f->arena) {
        free(f);
        return NULL;
    }
    f->verdict = VERDICT_FAILED;
    f->reason = "no result";
    return f;
}

void findings_destroy(struct findings *f)
{
    if (!f)
        return;
    arena_destroy(f->arena);
    free(f);
}

// Room for one more in an array that only grows: its capacity is the next power of two, so a full
// one is known by its count. NULL: no memory; the array is as it was.
static void *grow(struct arena *arena, void *array, uint32_t *count, size_t size)
{
    uint32_t n = *count;
    if (n == UINT32_MAX)
        return NULL;
    if ((n & (n - 1)) == 0) {
        size_t capacity = n ? (size_t)n * 2 : 1;
        void *larger = arena_alloc(arena, capacity, size);
        if (!larger)
            return NULL;
        if (n)
            memcpy(larger, array, (size_t)n * size);
        array = larger;
    }
    *count = n + 1;
    return array;
}

struct finding_group *findings_add_group(struct findings *f)
{
    struct finding_group *all = grow(f->arena, f->groups, &f->group_count, sizeof *all);
    if (!all)
        return NULL;
    f->groups = all;
    struct finding_group *g = &all[f->group_count - 1];
    *g = (struct finding_group){.region = -1, .parent = -1};
    return g;
}

struct measurement *findings_add_measurement(struct findings *f, struct finding_group *g)
{
    struct measurement *all = grow(f->arena, g->measurements, &g->measurement_count, sizeof *all);
    if (!all)
        return NULL;
    g->measurements = all;
    struct measurement *m = &all[g->measurement_count - 1];
    *m = (struct measurement){.region = -1};
    return m;
}

struct evaluation *findings_add_evaluation(struct findings *f, struct finding_group *g)
{
    struct evaluation **array = g ? &g->evaluations : &f->evaluations;
    uint32_t *count = g ? &g->evaluation_count : &f->evaluation_count;
    struct evaluation *all = grow(f->arena, *array, count, sizeof *all);
    if (!all)
        return NULL;
    *array = all;
    all[*count - 1] = (struct evaluation){0};
    return &all[*count - 1];
}

struct layer *findings_add_layer(struct findings *f)
{
    struct layer *all = grow(f->arena, f->layers, &f->layer_count, sizeof *all);
    if (!all)
        return NULL;
    f->layers = all;
    all[f->layer_count - 1] = (struct layer){0};
    return &all[f->layer_count - 1];
}

struct mark *findings_add_mark(struct findings *f)
{
    struct mark *all = grow(f->arena, f->marks, &f->mark_count, sizeof *all);
    if (!all)
        return NULL;
    f->marks = all;
    all[f->mark_count - 1] = (struct mark){.group = -1};
    return &all[f->mark_count - 1];
}

struct region *findings_add_region(struct findings *f)
{
    if (f->region_count == UINT8_MAX)
        return NULL;
    struct region *all = grow(f->arena, f->regions, &f->region_count, sizeof *all);
    if (!all)
        return NULL;
    f->regions = all;
    all[f->region_count - 1] = (struct region){.group = -1};
    return &all[f->region_count - 1];
}

struct picture *findings_add_picture(struct findings *f)
{
    struct picture *all = grow(f->arena, f->pictures, &f->picture_count, sizeof *all);
    if (!all)
        return NULL;
    f->pictures = all;
    all[f->picture_count - 1] = (struct picture){0};
    return &all[f->picture_count - 1];
}

// Texts go into objects whose character set is the source's: only ASCII is the same in all of them.
static char *ascii_vprintf(struct arena *arena, const char *format, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0)
        return NULL;
    char *text = arena_alloc(arena, (size_t)length + 1, 1);
    if (!text)
        return NULL;
    vsnprintf(text, (size_t)length + 1, format, ap);
    for (char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if ((c < 0x20 && c != '\n') || c >= 0x7f)
            *p = '?';
    }
    return text;
}

bool findings_add_parameter(struct findings *f, const char *name, const char *unit,
                            const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    const char *value = ascii_vprintf(f->arena, format, ap);
    va_end(ap);
    if (!value)
        return false;
    struct parameter_value *all = grow(f->arena, f->parameters, &f->parameter_count, sizeof *all);
    if (!all)
        return false;
    f->parameters = all;
    all[f->parameter_count - 1] = (struct parameter_value){name, value, unit ? unit : ""};
    return true;
}

// Appends to an array of texts.
static bool add_text(struct findings *f, const char *const **texts, uint32_t *count,
                     const char *text)
{
    if (!text)
        return false;
    const char **all = grow(f->arena, (void *)(uintptr_t)*texts, count, sizeof *all);
    if (!all)
        return false;
    *texts = all;
    all[*count - 1] = text;
    return true;
}

static bool add_comment(struct findings *f, const char *text)
{
    struct evaluation *e = findings_add_evaluation(f, NULL);
    if (!e)
        return false;
    *e = (struct evaluation){.concept = comment, .text = text};
    return true;
}

bool findings_add_warning(struct findings *f, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    const char *text = ascii_vprintf(f->arena, format, ap);
    va_end(ap);
    return add_text(f, &f->page.warnings, &f->page.warning_count, text) && add_comment(f, text);
}

bool findings_add_fact(struct findings *f, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    const char *text = ascii_vprintf(f->arena, format, ap);
    va_end(ap);
    return add_text(f, &f->page.facts, &f->page.fact_count, text);
}

void findings_refuse(struct findings *f, enum verdict verdict, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    const char *reason = ascii_vprintf(f->arena, format, ap);
    va_end(ap);
    f->verdict = verdict;
    f->reason = reason ? reason : "out of memory";
    f->evaluations = NULL;
    f->groups = NULL;
    f->layers = NULL;
    f->marks = NULL;
    f->regions = NULL;
    f->labels = NULL;
    f->pictures = NULL;
    f->page.tables = NULL;
    f->page.images = NULL;
    f->page.headline = NULL;
    f->evaluation_count = f->group_count = f->layer_count = f->mark_count = 0;
    f->region_count = f->picture_count = f->page.table_count = f->page.image_count = 0;
    for (uint32_t i = 0; i < f->page.warning_count; i++) {
        if (!add_comment(f, f->page.warnings[i]))
            return;
    }
}
