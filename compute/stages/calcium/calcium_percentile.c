#include "compute/stages/calcium/calcium_percentile.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fs.h"

enum { SEX, AGE_FROM, AGE_TO, FIRST_SCORE, FIELDS = FIRST_SCORE + CALCIUM_PERCENTILES };
enum { FILE_MOST = 65536, ROWS_MOST = 256, SOURCE_MOST = 200, AGE_MOST = 130 };

static const char head_line[] = "sex,age_from,age_to,p25,p50,p75,p90";
static const char source_key[] = "source:";
static const unsigned percents[CALCIUM_PERCENTILES] = {25, 50, 75, 90};
static const double score_most = 100000; // Agatston: no heart holds as much

struct reading {
    const char *path;
    unsigned line;
    struct arena *arena;
    struct calcium_percentile_row *rows;
    size_t count;
    const char *source;
    bool head;
    struct err *err;
};

#define WRONG(r, ...) (err_set((r)->err, ERR_CONFIG, __VA_ARGS__))

// Splits a line at its commas. Returns how many fields there are; only the first FIELDS are kept.
static int split_fields(char *line, char *fields[FIELDS])
{
    int count = 0;
    for (char *at = line; at; count++) {
        char *comma = strchr(at, ',');
        if (comma)
            *comma = '\0';
        if (count < FIELDS)
            fields[count] = at + strspn(at, " \t");
        if (count < FIELDS)
            fields[count][strcspn(fields[count], " \t")] = '\0';
        at = comma ? comma + 1 : NULL;
    }
    return count;
}

static bool field_number(const char *text, double most, double *out)
{
    char *end;
    if (*text < '0' || *text > '9') // no sign, no "inf", no "nan", not empty
        return false;
    errno = 0;
    *out = strtod(text, &end);
    return *end == '\0' && errno == 0 && strcspn(text, "xX") == strlen(text) && *out <= most;
}

static bool field_age(const struct reading *r, const char *text, const char *name, unsigned *out)
{
    double value = 0;
    if (!field_number(text, AGE_MOST, &value) || value != floor(value))
        return WRONG(r, "%s:%u: %s: \"%.20s\" is no age in whole years up to %d", r->path, r->line,
                     name, text, AGE_MOST);
    *out = (unsigned)value;
    return true;
}

static bool check_overlap(const struct reading *r, const struct calcium_percentile_row *row)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct calcium_percentile_row *other = &r->rows[i];
        if (other->sex == row->sex && row->age_from <= other->age_to &&
            other->age_from <= row->age_to)
            return WRONG(r, "%s:%u: ages %u to %u of %c overlap with %u to %u", r->path, r->line,
                         row->age_from, row->age_to, row->sex, other->age_from, other->age_to);
    }
    return true;
}

static bool read_row(struct reading *r, char *line)
{
    char *fields[FIELDS];
    const int count = split_fields(line, fields);
    struct calcium_percentile_row row = {0};
    if (count != FIELDS)
        return WRONG(r, "%s:%u: %d values, not %d", r->path, r->line, count, FIELDS);
    row.sex = fields[SEX][0];
    if ((row.sex != 'M' && row.sex != 'F') || fields[SEX][1])
        return WRONG(r, "%s:%u: sex: \"%.20s\" is neither M nor F", r->path, r->line, fields[SEX]);
    if (!field_age(r, fields[AGE_FROM], "age_from", &row.age_from) ||
        !field_age(r, fields[AGE_TO], "age_to", &row.age_to))
        return false;
    if (row.age_to < row.age_from)
        return WRONG(r, "%s:%u: age_to: %u is below age_from, %u", r->path, r->line, row.age_to,
                     row.age_from);
    for (int i = 0; i < CALCIUM_PERCENTILES; i++) {
        const char *text = fields[FIRST_SCORE + i];
        if (!field_number(text, score_most, &row.score[i]))
            return WRONG(r, "%s:%u: p%u: \"%.20s\" is no score of 0 to %.0f", r->path, r->line,
                         percents[i], text, score_most);
        if (i > 0 && row.score[i] < row.score[i - 1])
            return WRONG(r, "%s:%u: p%u: %g is below p%u, %g", r->path, r->line, percents[i],
                         row.score[i], percents[i - 1], row.score[i - 1]);
    }
    if (!check_overlap(r, &row))
        return false;
    if (r->count == ROWS_MOST)
        return WRONG(r, "%s:%u: more than %d rows", r->path, r->line, ROWS_MOST);
    r->rows[r->count++] = row;
    return true;
}

static bool read_source(struct reading *r, const char *text)
{
    text += strspn(text, " \t");
    if (r->source)
        return WRONG(r, "%s:%u: a second line \"%s\"", r->path, r->line, source_key);
    if (!*text || strlen(text) > SOURCE_MOST)
        return WRONG(r, "%s:%u: %s %zu bytes, not 1 to %d", r->path, r->line, source_key,
                     strlen(text), SOURCE_MOST);
    r->source = arena_strdup(r->arena, text);
    return r->source || err_set(r->err, ERR_NOMEM, "percentiles: no memory");
}

static bool read_line(struct reading *r, char *line)
{
    line[strcspn(line, "\r")] = '\0';
    if (!*line || *line == '#')
        return true;
    if (strncmp(line, source_key, sizeof source_key - 1) == 0)
        return read_source(r, line + sizeof source_key - 1);
    if (r->head)
        return read_row(r, line);
    if (strcmp(line, head_line) != 0)
        return WRONG(r, "%s:%u: \"%.40s\" is not the head \"%s\"", r->path, r->line, line,
                     head_line);
    r->head = true;
    return true;
}

static bool read_lines(struct reading *r, char *text)
{
    if (strncmp(text, "\xef\xbb\xbf", 3) == 0) // as spreadsheets write it
        text += 3;
    for (char *next; text; text = next) {
        next = strchr(text, '\n');
        if (next)
            *next++ = '\0';
        r->line++;
        if (!read_line(r, text))
            return false;
    }
    if (!r->source)
        return WRONG(r, "%s: no line \"%s ...\" says where the numbers come from", r->path,
                     source_key);
    if (!r->count)
        return WRONG(r, "%s: no row of percentiles", r->path);
    return true;
}

bool calcium_percentile_read(const char *path, struct arena *arena,
                             struct calcium_percentile_table *out, struct err *err)
{
    struct reading r = {.path = path, .arena = arena, .err = err};
    size_t size = 0;
    char *text = fs_read_file(path, FILE_MOST, &size, err);
    if (!text) {
        if (err && err->code != ERR_NOMEM)
            err->code = ERR_CONFIG;
        return false;
    }
    r.rows = arena_alloc(arena, ROWS_MOST, sizeof *r.rows);
    bool ok = r.rows || err_set(err, ERR_NOMEM, "percentiles: no memory");
    if (ok && strlen(text) != size)
        ok = err_set(err, ERR_CONFIG, "%s: not a text: byte 0 at %zu", path, strlen(text));
    ok = ok && read_lines(&r, text);
    free(text);
    *out = (struct calcium_percentile_table){r.source, r.rows, r.count};
    return ok;
}

bool calcium_percentile_check(const char *path, struct err *err)
{
    struct calcium_percentile_table table;
    if (!*path)
        return true;
    struct arena *arena = arena_create();
    const bool ok = arena ? calcium_percentile_read(path, arena, &table, err)
                          : err_set(err, ERR_NOMEM, "percentiles: no memory");
    arena_destroy(arena);
    return ok;
}

const struct calcium_percentile_row *calcium_percentile_row(
    const struct calcium_percentile_table *table, char sex, unsigned age)
{
    for (size_t i = 0; i < table->row_count; i++) {
        const struct calcium_percentile_row *row = &table->rows[i];
        if (row->sex == sex && row->age_from <= age && age <= row->age_to)
            return row;
    }
    return NULL;
}

// How many of the percentiles a score reaches. Zero reaches none, however many people have zero.
static int reached(const struct calcium_percentile_row *row, double score)
{
    int count = 0;
    while (score > 0 && count < CALCIUM_PERCENTILES && row->score[count] <= score)
        count++;
    return count;
}

// The first percentile that a score is below; CALCIUM_PERCENTILES: none.
static int below(const struct calcium_percentile_row *row, double score)
{
    int at = 0;
    while (at < CALCIUM_PERCENTILES && row->score[at] <= score)
        at++;
    return at;
}

const char *calcium_percentile_text(const struct calcium_percentile_row *row, double low,
                                    double high, char *text, size_t size)
{
    const int from = reached(row, low), to = below(row, high);
    if (from == 0 && to == CALCIUM_PERCENTILES)
        snprintf(text, size, "at any percentile");
    else if (from == 0)
        snprintf(text, size, "below the %uth percentile", percents[to]);
    else if (to == CALCIUM_PERCENTILES)
        snprintf(text, size, "at or above the %uth percentile", percents[from - 1]);
    else
        snprintf(text, size, "between the %uth and the %uth percentile", percents[from - 1],
                 percents[to]);
    return text;
}
