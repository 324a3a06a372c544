#include "compute/stages/stage.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "compute/stages/calcium/calcium.h"

// Every analysis there is, in the order of its slot.
static const struct stage *const stages[] = {
    &stage_calcium,
    NULL,
};

static const struct {
    enum stage_result kind;
    const char *name;
} results[] = {
    {RESULT_SR, "sr"},   {RESULT_GSPS, "gsps"}, {RESULT_SC, "sc"},
    {RESULT_SEG, "seg"}, {RESULT_PMAP, "pmap"}, {RESULT_PDF, "pdf"},
};

const char *stage_result_name(enum stage_result kind)
{
    for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
        if (results[i].kind == kind)
            return results[i].name;
    }
    return NULL;
}

bool stage_result_parse(const char *name, enum stage_result *kind)
{
    for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
        if (strcmp(results[i].name, name) == 0) {
            *kind = results[i].kind;
            return true;
        }
    }
    return false;
}

const struct stage *stage_find(const char *name)
{
    for (size_t i = 0; stages[i]; i++) {
        if (strcmp(stages[i]->name, name) == 0)
            return stages[i];
    }
    return NULL;
}

const struct stage *stage_at(size_t index)
{
    for (size_t i = 0; stages[i]; i++) {
        if (i == index)
            return stages[i];
    }
    return NULL;
}

void stage_defaults(const struct stage *stage, double *params)
{
    for (size_t i = 0; i < stage->param_count; i++)
        params[i] = stage->params[i].def;
}

// Edit distance of two names (Levenshtein); names longer than 63 are far from everything.
static unsigned distance(const char *a, const char *b)
{
    size_t n = strlen(b);
    unsigned row[64];
    if (n >= 64 || strlen(a) >= 64)
        return 64;
    for (unsigned j = 0; j <= n; j++)
        row[j] = j;
    for (unsigned i = 1; a[i - 1]; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= n; j++) {
            unsigned replace = diagonal + (a[i - 1] != b[j - 1]);
            unsigned insert = row[j - 1] + 1, erase = row[j] + 1;
            diagonal = row[j];
            row[j] = insert < erase ? insert : erase;
            if (replace < row[j])
                row[j] = replace;
        }
    }
    return row[n];
}

// The known name that is nearest to what was written, if it is near enough to be meant.
struct nearest {
    const char *name;
    unsigned far;
};

static void consider(struct nearest *best, const char *wanted, const char *candidate)
{
    unsigned d = distance(wanted, candidate);
    if (d <= 1 + strlen(candidate) / 3 && (!best->name || d < best->far))
        *best = (struct nearest){candidate, d};
}

static void suggestion(const struct nearest *best, char *text, size_t size)
{
    text[0] = '\0';
    if (best->name)
        snprintf(text, size, " (did you mean \"%s\"?)", best->name);
}

static bool parse_number(const struct stage_param *p, const char *value, double *out,
                         struct err *err)
{
    char *end;
    errno = 0;
    double number = strtod(value, &end);
    if (end == value || *end || !isfinite(number))
        return err_set(err, ERR_CONFIG, "%s: \"%.40s\" is not a number", p->name, value);
    if (p->type == PARAM_INTEGER && number != floor(number))
        return err_set(err, ERR_CONFIG, "%s: \"%.40s\" is not a whole number", p->name, value);
    if (number < p->min || number > p->max)
        return err_set(err, ERR_CONFIG, "%s: %.40s is outside %g to %g%s%s", p->name, value, p->min,
                       p->max, *p->unit ? " " : "", p->unit);
    *out = number;
    return true;
}

static bool parse_bool(const struct stage_param *p, const char *value, double *out, struct err *err)
{
    static const char *const words[2][3] = {{"false", "no", "off"}, {"true", "yes", "on"}};
    for (int truth = 0; truth < 2; truth++) {
        for (int i = 0; i < 3; i++) {
            if (strcasecmp(value, words[truth][i]) == 0) {
                *out = truth;
                return true;
            }
        }
    }
    return err_set(err, ERR_CONFIG, "%s: \"%.40s\" is neither true nor false", p->name, value);
}

static bool parse_choice(const struct stage_param *p, const char *value, double *out,
                         struct err *err)
{
    struct nearest best = {0};
    for (int i = 0; p->choices[i]; i++) {
        if (strcmp(value, p->choices[i]) == 0) {
            *out = i;
            return true;
        }
        consider(&best, value, p->choices[i]);
    }
    char hint[80], known[128] = "";
    for (int i = 0; p->choices[i]; i++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", p->choices[i]);
    }
    suggestion(&best, hint, sizeof hint);
    return err_set(err, ERR_CONFIG, "%s: \"%.40s\" is none of %s%s", p->name, value, known, hint);
}

bool stage_option(const struct stage *stage, const char *name, const char *value, double *params,
                  struct err *err)
{
    struct nearest best = {0};
    for (size_t i = 0; i < stage->param_count; i++) {
        const struct stage_param *p = &stage->params[i];
        if (strcmp(p->name, name) != 0) {
            consider(&best, name, p->name);
            continue;
        }
        switch (p->type) {
        case PARAM_NUMBER:
        case PARAM_INTEGER:
            return parse_number(p, value, &params[i], err);
        case PARAM_BOOL:
            return parse_bool(p, value, &params[i], err);
        case PARAM_CHOICE:
            return parse_choice(p, value, &params[i], err);
        }
    }
    char hint[80];
    suggestion(&best, hint, sizeof hint);
    return err_set(err, ERR_CONFIG, "%s has no option \"%.40s\"%s", stage->name, name, hint);
}
