#include "compute/findings/findings.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/pages.h"

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

// Appends one entry of value to an array of the findings; &entry, or NULL with no_memory set.
#define APPEND(f, array, count, value)                                                             \
    ({                                                                                             \
        __typeof__(array) grown_ = grow((f)->arena, (array), &(count), sizeof *grown_);            \
        __typeof__(array) entry_ = NULL;                                                           \
        if (grown_) {                                                                              \
            (array) = grown_;                                                                      \
            entry_ = &grown_[(count)-1];                                                           \
            *entry_ = (value);                                                                     \
        } else {                                                                                   \
            (f)->no_memory = true;                                                                 \
        }                                                                                          \
        entry_;                                                                                    \
    })

bool findings_ok(const struct findings *f, struct err *err)
{
    return !f->no_memory || err_set(err, ERR_NOMEM, "no memory for findings");
}

struct finding_group *findings_add_group(struct findings *f)
{
    const struct finding_group fresh = {.region = -1, .parent = -1, .probability = NAN};
    return APPEND(f, f->groups, f->group_count, fresh);
}

struct measurement *findings_add_measurement(struct findings *f, struct finding_group *g)
{
    const struct measurement fresh = {.region = -1};
    return APPEND(f, g->measurements, g->measurement_count, fresh);
}

struct measurement *findings_add_number(struct findings *f, struct finding_group *g,
                                        const struct code *concept, double value, int decimals,
                                        const struct code *unit, const struct code *derivation)
{
    struct measurement *m = findings_add_measurement(f, g);
    if (!m)
        return NULL;
    m->concept = *concept;
    m->value = value;
    m->decimals = decimals;
    m->unit = *unit;
    m->region = g->region;
    if (derivation)
        m->derivation = *derivation;
    return m;
}

struct evaluation *findings_add_evaluation(struct findings *f, struct finding_group *g)
{
    const struct evaluation fresh = {0};
    if (g)
        return APPEND(f, g->evaluations, g->evaluation_count, fresh);
    return APPEND(f, f->evaluations, f->evaluation_count, fresh);
}

struct exclusion *findings_add_exclusion(struct findings *f)
{
    const struct exclusion fresh = {.value = {.region = -1}};
    return APPEND(f, f->exclusions, f->exclusion_count, fresh);
}

struct search *findings_add_search(struct findings *f)
{
    const struct search fresh = {0};
    return APPEND(f, f->searches, f->search_count, fresh);
}

struct comparison *findings_add_comparison(struct findings *f)
{
    const struct comparison fresh = {0};
    return APPEND(f, f->comparisons, f->comparison_count, fresh);
}

struct layer *findings_add_layer(struct findings *f)
{
    const struct layer fresh = {0};
    return APPEND(f, f->layers, f->layer_count, fresh);
}

struct mark *findings_add_mark(struct findings *f)
{
    const struct mark fresh = {.group = -1};
    return APPEND(f, f->marks, f->mark_count, fresh);
}

struct mark *findings_add_point(struct findings *f, struct place place, int layer, double x,
                                double y)
{
    float *at = arena_alloc(f->arena, 2, sizeof *at);
    struct mark *m = at ? findings_add_mark(f) : NULL;
    if (!at)
        f->no_memory = true;
    if (!m)
        return NULL;
    at[0] = (float)x;
    at[1] = (float)y;
    *m = (struct mark){
        .kind = MARK_POINT, .place = place, .layer = layer, .group = -1, .points = at, .count = 1};
    return m;
}

struct region *findings_add_region(struct findings *f)
{
    const struct region fresh = {.group = -1, .automatic = true};
    if (f->region_count == UINT16_MAX) { // a voxel of a label map could not name it
        f->no_memory = true;
        return NULL;
    }
    return APPEND(f, f->regions, f->region_count, fresh);
}

// count zeroed elements; NULL with no_memory set.
static void *voxels_of(struct findings *f, const struct image_set *set, uint32_t image, size_t size)
{
    void *voxels = arena_alloc(f->arena, image_voxels(&set->images[image]), size);
    f->no_memory = f->no_memory || !voxels;
    return voxels;
}

struct label_map *findings_add_labels(struct findings *f, const struct image_set *set,
                                      uint32_t image, uint32_t point)
{
    struct label_map fresh = {
        .image = image, .point = point, .slices = {0, set->images[image].dim[2]}};
    fresh.labels = voxels_of(f, set, image, sizeof *fresh.labels);
    if (fresh.labels) // most voxels belong to no region
        pages_sparse(fresh.labels, image_voxels(&set->images[image]) * sizeof *fresh.labels);
    return fresh.labels ? APPEND(f, f->labels, f->label_count, fresh) : NULL;
}

struct fraction_map *findings_add_fractions(struct findings *f, const struct image_set *set,
                                            uint32_t image, uint32_t point)
{
    struct fraction_map fresh = {.image = image, .point = point, .region = -1};
    fresh.values = voxels_of(f, set, image, 1);
    return fresh.values ? APPEND(f, f->fractions, f->fraction_count, fresh) : NULL;
}

struct value_map *findings_add_map(struct findings *f, const struct image_set *set, uint32_t image)
{
    struct value_map fresh = {.image = image};
    fresh.values = voxels_of(f, set, image, sizeof *fresh.values);
    if (!fresh.values)
        return NULL;
    const size_t count = image_voxels(&set->images[image]);
    for (size_t i = 0; i < count; i++)
        fresh.values[i] = NAN;
    return APPEND(f, f->maps, f->map_count, fresh);
}

struct reformat *findings_add_reformat(struct findings *f, uint32_t image, const uint32_t dim[3])
{
    struct reformat fresh = {.image = image};
    memcpy(fresh.dim, dim, sizeof fresh.dim);
    fresh.slices = arena_alloc(f->arena, dim[2], sizeof *fresh.slices);
    fresh.values = arena_alloc(f->arena, (size_t)dim[0] * dim[1] * dim[2], sizeof *fresh.values);
    if (fresh.slices && fresh.values)
        return APPEND(f, f->reformats, f->reformat_count, fresh);
    f->no_memory = true;
    return NULL;
}

struct curve *findings_add_curve(struct findings *f)
{
    const struct curve fresh = {0};
    return APPEND(f, f->curves, f->curve_count, fresh);
}

static const double *copy_values(struct findings *f, const double *values, uint32_t count)
{
    double *copy = arena_alloc(f->arena, (size_t)count + 1, sizeof *copy);
    if (copy && count)
        memcpy(copy, values, count * sizeof *copy);
    f->no_memory = f->no_memory || !copy;
    return copy;
}

struct curve_line *findings_add_line(struct findings *f, struct curve *c, const char *name,
                                     const double *x, const double *y, uint32_t count)
{
    const struct curve_line fresh = {.name = arena_strdup(f->arena, name),
                                     .x = copy_values(f, x, count),
                                     .y = copy_values(f, y, count),
                                     .count = count};
    if (!fresh.name || !fresh.x || !fresh.y) {
        f->no_memory = true;
        return NULL;
    }
    return APPEND(f, c->lines, c->line_count, fresh);
}

struct picture *findings_add_picture(struct findings *f)
{
    const struct picture fresh = {.product = "page", .frames = 1};
    return APPEND(f, f->pictures, f->picture_count, fresh);
}

struct document *findings_add_document(struct findings *f)
{
    const struct document fresh = {0};
    return APPEND(f, f->documents, f->document_count, fresh);
}

struct page_table *findings_add_table(struct findings *f, const char *title, uint32_t rows,
                                      uint32_t columns)
{
    const char **cells = arena_alloc(f->arena, (size_t)rows * columns + 1, sizeof *cells);
    struct page_table fresh = {
        .title = arena_strdup(f->arena, title), .cells = cells, .rows = rows, .columns = columns};
    if (!cells || !fresh.title) {
        f->no_memory = true;
        return NULL;
    }
    for (size_t i = 0; i < (size_t)rows * columns; i++)
        cells[i] = "";
    return APPEND(f, f->page.tables, f->page.table_count, fresh);
}

struct page_image *findings_add_image(struct findings *f)
{
    const struct page_image fresh = {.map = -1};
    return APPEND(f, f->page.images, f->page.image_count, fresh);
}

struct page_section *findings_add_section(struct findings *f)
{
    const struct page_section fresh = {0};
    return APPEND(f, f->page.sections, f->page.section_count, fresh);
}

struct bullseye *findings_add_bullseye(struct findings *f)
{
    struct bullseye fresh = {.palette = PALETTE_DIFFERENCE};
    for (int n = 0; n < BULLSEYE_SEGMENTS; n++)
        fresh.values[n] = NAN;
    return APPEND(f, f->page.bullseyes, f->page.bullseye_count, fresh);
}

const struct label_map *findings_labels(const struct findings *f, uint32_t image, uint32_t point)
{
    for (uint32_t i = 0; i < f->label_count; i++) {
        if (f->labels[i].image == image && f->labels[i].point == point)
            return &f->labels[i];
    }
    return NULL;
}

// Formats into the arena; control characters but line ends become blanks. NULL with no_memory set.
static char *text_vprintf(struct findings *f, const char *format, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = length < 0 ? NULL : arena_alloc(f->arena, (size_t)length + 1, 1);
    if (!text) {
        f->no_memory = true;
        return NULL;
    }
    vsnprintf(text, (size_t)length + 1, format, ap);
    for (char *p = text; *p; p++) {
        if (((unsigned char)*p < 0x20 && *p != '\n') || *p == 0x7f)
            *p = ' ';
    }
    return text;
}

bool findings_set_cell(struct findings *f, struct page_table *t, uint32_t row, uint32_t column,
                       const char *format, ...)
{
    va_list ap;
    if (!t || row >= t->rows || column >= t->columns)
        return false;
    va_start(ap, format);
    const char *text = text_vprintf(f, format, ap);
    va_end(ap);
    const char **cells = (const char **)(uintptr_t)t->cells;
    if (text)
        cells[(size_t)row * t->columns + column] = text;
    return text != NULL;
}

bool findings_add_parameter(struct findings *f, const char *name, const char *unit,
                            const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    const char *value = text_vprintf(f, format, ap);
    va_end(ap);
    if (!value)
        return false;
    const struct parameter_value fresh = {name, value, unit ? unit : ""};
    return APPEND(f, f->parameters, f->parameter_count, fresh) != NULL;
}

// Appends to an array of texts.
static bool add_text(struct findings *f, const char *const **texts, uint32_t *count,
                     const char *text)
{
    const char **all = text ? grow(f->arena, (void *)(uintptr_t)*texts, count, sizeof *all) : NULL;
    if (!all) {
        f->no_memory = true;
        return false;
    }
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
    const char *text = text_vprintf(f, format, ap);
    va_end(ap);
    return add_text(f, &f->page.warnings, &f->page.warning_count, text) && add_comment(f, text);
}

bool findings_add_fact(struct findings *f, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    const char *text = text_vprintf(f, format, ap);
    va_end(ap);
    return add_text(f, &f->page.facts, &f->page.fact_count, text);
}

void findings_refuse(struct findings *f, enum verdict verdict, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    const char *reason = text_vprintf(f, format, ap);
    va_end(ap);
    f->verdict = verdict;
    f->reason = reason ? reason : "out of memory";
    f->evaluation_count = f->group_count = f->layer_count = f->mark_count = 0;
    f->region_count = f->label_count = f->fraction_count = f->map_count = f->curve_count = 0;
    f->reformat_count = 0;
    f->picture_count = f->document_count = f->comparison_count = 0;
    f->search_count = 0;
    f->searches = NULL;
    f->comparisons = NULL;
    f->evaluations = NULL;
    f->groups = NULL;
    f->layers = NULL;
    f->marks = NULL;
    f->regions = NULL;
    f->labels = NULL;
    f->fractions = NULL;
    f->maps = NULL;
    f->reformats = NULL;
    f->curves = NULL;
    f->pictures = NULL;
    f->documents = NULL;
    const struct page kept = f->page;
    f->page = (struct page){.title = kept.title,
                            .warnings = kept.warnings,
                            .warning_count = kept.warning_count,
                            .facts = kept.facts,
                            .fact_count = kept.fact_count};
    for (uint32_t i = 0; i < f->page.warning_count; i++)
        add_comment(f, f->page.warnings[i]);
}
