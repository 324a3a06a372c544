#include "node/job/slots.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "conf/pattern.h"
#include "dimse/read/object.h"
#include "node/job/choose.h"

#define WHY_SIZE 256

// The patterns of one analysis: [input][condition], each row as long as the input's accepts.
struct compiled {
    struct compiled *next;
    const struct stage *stage;
    struct pattern ***patterns;
};

static size_t accepts_count(const struct stage_input_spec *input)
{
    size_t count = 0;
    while (input->accepts[count].keyword)
        count++;
    return count;
}

static void compiled_destroy(struct compiled *c)
{
    for (size_t i = 0; c->patterns && i < c->stage->input_count; i++) {
        size_t count = c->patterns[i] ? accepts_count(&c->stage->inputs[i]) : 0;
        for (size_t k = 0; k < count; k++)
            pattern_destroy(c->patterns[i][k]);
        free(c->patterns[i]);
    }
    free(c->patterns);
    free(c);
}

static bool compile_input(const struct stage *stage, const struct stage_input_spec *input,
                          struct pattern ***out, struct err *err)
{
    char why[WHY_SIZE] = "";
    size_t count = accepts_count(input);
    *out = calloc(count + 1, sizeof **out);
    if (!*out)
        return err_set(err, ERR_NOMEM, "no memory for the inputs of %s", stage->name);
    for (size_t k = 0; k < count; k++) {
        const struct stage_accept *a = &input->accepts[k];
        (*out)[k] = pattern_compile(a->pattern, why, sizeof why);
        if (!(*out)[k])
            return err_set(err, ERR_INTERNAL, "analysis %s, input %s: %s: %s", stage->name,
                           input->name, a->keyword, why);
    }
    return true;
}

// The patterns of an analysis; kept until the process ends.
static const struct compiled *slots_compiled(const struct stage *stage, struct err *err)
{
    static struct compiled *all;
    for (struct compiled *c = all; c; c = c->next) {
        if (c->stage == stage)
            return c;
    }
    struct compiled *c = calloc(1, sizeof *c);
    if (c) {
        c->stage = stage;
        c->patterns = calloc(stage->input_count + 1, sizeof *c->patterns);
    }
    bool ok = (c && c->patterns) ||
              err_set(err, ERR_NOMEM, "no memory for the inputs of %s", stage->name);
    for (size_t i = 0; ok && i < stage->input_count; i++)
        ok = compile_input(stage, &stage->inputs[i], &c->patterns[i], err);
    if (ok) {
        c->next = all;
        all = c;
    } else if (c) {
        compiled_destroy(c);
    }
    return ok ? c : NULL;
}

// The first condition of an input that does not hold, or its count.
static size_t failing_condition(const struct compiled *c, size_t input, const struct attrs *attrs)
{
    const struct stage_accept *accepts = c->stage->inputs[input].accepts;
    size_t k = 0;
    while (accepts[k].keyword &&
           pattern_matches(c->patterns[input][k], attrs_get(attrs, accepts[k].keyword)))
        k++;
    return k;
}

static void slots_explain(const struct compiled *c, const struct attrs *attrs,
                          enum conf_values values, FILE *why)
{
    const struct stage *stage = c->stage;
    fprintf(why, "%s does not take it: ", stage->name);
    for (size_t i = 0; i < stage->input_count; i++) {
        size_t k = failing_condition(c, i, attrs);
        if (stage->input_count > 1)
            fprintf(why, "%sas %s: ", i ? "; " : "", stage->inputs[i].name);
        conf_explain(why, stage->inputs[i].accepts[k].keyword, c->patterns[i][k], attrs, values);
    }
}

int slots_match(const struct stage *stage, const struct attrs *attrs, enum conf_values values,
                FILE *why)
{
    struct err err = {0};
    const struct compiled *c = slots_compiled(stage, &err);
    if (!c) {
        if (why)
            fprintf(why, "%s does not take it: %s", stage->name, err.text);
        return -1;
    }
    for (size_t i = 0; i < stage->input_count; i++) {
        if (failing_condition(c, i, attrs) == accepts_count(&stage->inputs[i]))
            return (int)i;
    }
    if (why)
        slots_explain(c, attrs, values, why);
    return -1;
}

bool slots_match_reports(const struct stage *stage, bool others, FILE *why)
{
    if (why && others)
        fprintf(why, "%s gathers the reports of the study when its analyses are done", stage->name);
    else if (why)
        fprintf(why, "%s does not take it: no other analysis of the route does", stage->name);
    return others;
}

struct slots_rank slots_rank(const struct attrs *attrs, const char *uid)
{
    struct slots_rank rank = {.number = INT64_MAX, .uid = uid};
    double number = 0;
    // an integer string has 12 characters (PS3.5 6.2): what is larger is no number of a series
    if (attrs_number(attrs, "SeriesNumber", &number) && fabs(number) < 1e12)
        rank.number = (int64_t)number;
    return rank;
}

bool slots_rank_before(const struct slots_rank *a, const struct slots_rank *b)
{
    return a->number != b->number ? a->number < b->number : strcmp(a->uid, b->uid) < 0;
}

bool slots_check(const struct stage *stage, struct err *err)
{
    if (stage->input_count == 0 || (stage->scope == SCOPE_SERIES && stage->input_count > 1))
        return err_set(err, ERR_INTERNAL, "analysis %s of a %s declares %zu inputs", stage->name,
                       stage->scope == SCOPE_SERIES ? "series" : "study", stage->input_count);
    for (size_t i = 0; i < stage->input_count; i++) {
        for (const struct stage_accept *a = stage->inputs[i].accepts; a->keyword; a++) {
            if (!object_keyword_known(a->keyword))
                return err_set(err, ERR_INTERNAL, "analysis %s, input %s: no DICOM attribute %s",
                               stage->name, stage->inputs[i].name, a->keyword);
        }
        if (!choose_check(stage->inputs[i].prefers, err))
            return err_wrap(err, "analysis %s, input %s", stage->name, stage->inputs[i].name);
    }
    return slots_compiled(stage, err) != NULL;
}
