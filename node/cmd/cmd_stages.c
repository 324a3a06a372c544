// anode stages
#include <stdio.h>
#include "compute/stages/stage.h"
#include "node/cmd/cmd.h"
#include "node/cmd/cmd_common.h"
#include "node/job/json.h"

static const char *stages_type(enum stage_param_type type)
{
    switch (type) {
    case PARAM_NUMBER:
        return "number";
    case PARAM_INTEGER:
        return "integer";
    case PARAM_BOOL:
        return "bool";
    case PARAM_CHOICE:
        return "choice";
    }
    return "";
}

static void stages_print_default(const struct stage_param *p)
{
    if (p->type == PARAM_CHOICE)
        printf("%s", p->choices[(size_t)p->def]);
    else if (p->type == PARAM_BOOL)
        printf("%s", p->def != 0 ? "true" : "false");
    else
        printf("%.9g", p->def);
}

static void stages_print_range(const struct stage_param *p)
{
    if (p->type == PARAM_CHOICE) {
        for (size_t i = 0; p->choices[i]; i++)
            printf("%s%s", i ? "|" : "", p->choices[i]);
    } else if (p->type == PARAM_BOOL) {
        printf("true|false");
    } else {
        printf("%.9g to %.9g", p->min, p->max);
    }
}

static void stages_print(const struct stage *s)
{
    printf("%s: %s, version %s\n", s->name, s->title, s->version);
    printf("  accepts: %s\n  results:", s->accepts);
    for (unsigned bit = RESULT_SR; bit <= RESULT_PDF; bit <<= 1) {
        if (s->results & bit)
            printf(" %s", stage_result_name((enum stage_result)bit));
    }
    printf("\n  options:%s\n", s->param_count ? "" : " none");
    for (size_t i = 0; i < s->param_count; i++) {
        const struct stage_param *p = &s->params[i];
        printf("    %s: ", p->name);
        stages_print_default(p);
        printf("%s%s (", p->unit[0] ? " " : "", p->unit);
        stages_print_range(p);
        printf(")\n      %s\n", p->help);
    }
}

static json_t *stages_parameter(const struct stage_param *p, bool *ok)
{
    json_t *o = json_object(), *choices = json_array();
    json_put_text(o, "name", p->name, ok);
    json_put_text(o, "type", stages_type(p->type), ok);
    json_put_text(o, "unit", p->unit, ok);
    json_put_text(o, "help", p->help, ok);
    if (p->type == PARAM_CHOICE) {
        json_put_text(o, "default", p->choices[(size_t)p->def], ok);
        for (size_t i = 0; p->choices[i]; i++)
            json_add(choices, json_text(p->choices[i]), ok);
        json_put(o, "choices", choices, ok);
        return o;
    }
    json_decref(choices);
    if (p->type == PARAM_BOOL) {
        json_put_bool(o, "default", p->def != 0, ok);
        return o;
    }
    json_put_number(o, "default", p->def, ok);
    json_put_number(o, "min", p->min, ok);
    json_put_number(o, "max", p->max, ok);
    return o;
}

static json_t *stages_item(const struct stage *s, bool *ok)
{
    json_t *o = json_object(), *results = json_array(), *parameters = json_array();
    for (unsigned bit = RESULT_SR; bit <= RESULT_PDF; bit <<= 1) {
        if (s->results & bit)
            json_add(results, json_text(stage_result_name((enum stage_result)bit)), ok);
    }
    for (size_t i = 0; i < s->param_count; i++)
        json_add(parameters, stages_parameter(&s->params[i], ok), ok);
    json_put_text(o, "name", s->name, ok);
    json_put_text(o, "title", s->title, ok);
    json_put_text(o, "version", s->version, ok);
    json_put_text(o, "accepts", s->accepts, ok);
    json_put(o, "results", results, ok);
    json_put(o, "parameters", parameters, ok);
    return o;
}

int cmd_stages(const struct cmd_args *args)
{
    bool ok = true;
    if (args->json) {
        json_t *answer = cmd_answer("anode.stages/1", &ok), *list = json_array();
        for (size_t i = 0; stage_at(i); i++)
            json_add(list, stages_item(stage_at(i), &ok), &ok);
        json_put(answer, "stages", list, &ok);
        return cmd_print_json(answer, ok, 0);
    }
    for (size_t i = 0; stage_at(i); i++)
        stages_print(stage_at(i));
    return cmd_flush(0);
}
