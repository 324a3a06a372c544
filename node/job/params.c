#include "node/job/params.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHOLE_MAX 9007199254740992.0 // 2^53: up to here every whole number is a double

// The fewest digits that read back as the same number: 17 always do (IEEE 754 binary64).
static void number_text(double value, char out[32])
{
    if (value == floor(value) && fabs(value) <= WHOLE_MAX) {
        snprintf(out, 32, "%.0f", value == 0 ? 0.0 : value); // no "-0"
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, 32, "%.*g", digits, value);
        if (strtod(out, NULL) == value)
            return;
    }
}

static bool print_string(FILE *f, const char *value)
{
    json_t *string = json_string(value);
    char *text = string ? json_dumps(string, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    json_decref(string);
    if (text)
        fputs(text, f);
    free(text);
    return text != NULL;
}

static bool print_value(FILE *f, const struct stage_param *p, const struct param_value *value)
{
    char number[32];
    switch (p->type) {
    case PARAM_BOOL:
        fputs(value->truth ? "true" : "false", f);
        return true;
    case PARAM_CHOICE:
        return print_string(f, p->choices[value->choice]);
    case PARAM_TEXT:
    case PARAM_PATH:
        return print_string(f, value->text);
    case PARAM_INTEGER:
        fprintf(f, "%lld", (long long)value->integer);
        return true;
    case PARAM_NUMBER:
        break;
    }
    number_text(value->number, number);
    fputs(number, f);
    return true;
}

char *params_text(const struct stage *stage, const struct param_value *values)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return NULL;
    bool ok = true;
    fputc('{', f);
    for (size_t i = 0; ok && i < stage->param_count; i++) {
        if (i)
            fputc(',', f);
        ok = print_string(f, stage->params[i].name) && fputc(':', f) == ':' &&
             print_value(f, &stage->params[i], &values[i]);
    }
    fputc('}', f);
    ok = ok && !ferror(f);
    if (fclose(f) != 0 || !ok) {
        free(text);
        return NULL;
    }
    return text;
}

static const struct stage_param *find_param(const struct stage *stage, const char *name)
{
    for (size_t i = 0; i < stage->param_count; i++) {
        if (strcmp(stage->params[i].name, name) == 0)
            return &stage->params[i];
    }
    return NULL;
}

// The value as the configuration would give it; NULL when it is of another type.
static const char *value_text(const struct stage_param *p, const json_t *value, char number[32])
{
    if (p->type == PARAM_CHOICE || p->type == PARAM_TEXT || p->type == PARAM_PATH)
        return json_string_value(value);
    if (p->type == PARAM_BOOL && json_is_boolean(value))
        return json_is_true(value) ? "true" : "false";
    if (!json_is_number(value))
        return NULL;
    if (p->type == PARAM_BOOL) // as jobs of earlier versions have it
        return json_number_value(value) != 0 ? "true" : "false";
    number_text(json_number_value(value), number);
    return number;
}

bool params_read(const struct stage *stage, const json_t *object, struct arena *arena,
                 struct param_value *values, struct err *err)
{
    const char *name;
    json_t *value;
    if (!json_is_object(object))
        return err_set(err, ERR_INPUT, "parameters of %s are no JSON object", stage->name);
    stage_defaults(stage, values);
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        char number[32];
        const struct stage_param *p = find_param(stage, name);
        const char *text = p ? value_text(p, value, number) : NULL;
        if (!p)
            return err_set(err, ERR_INPUT, "%s has no parameter %.60s", stage->name, name);
        if (!text)
            return err_set(err, ERR_INPUT, "%s: parameter %s is of another type", stage->name,
                           name);
        if (!stage_option(stage, name, text, arena, values, err)) {
            if (err)
                err->code = ERR_INPUT;
            return false;
        }
    }
    return true;
}

bool params_parse(const struct stage *stage, const char *text, struct arena *arena,
                  struct param_value *values, struct err *err)
{
    json_error_t why;
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &why);
    if (!object)
        return err_set(err, ERR_INPUT, "parameters of %s: %.100s", stage->name, why.text);
    bool ok = params_read(stage, object, arena, values, err);
    json_decref(object);
    return ok;
}
