// anode stages
#include <math.h>
#include <stdio.h>
#include "compute/stages/stage.h"
#include "dimse/read/object.h"
#include "node/cmd/cmd.h"
#include "node/cmd/cmd_common.h"
#include "node/core/checks.h"
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
    case PARAM_TEXT:
        return "text";
    case PARAM_PATH:
        return "path";
    }
    return "";
}

static void stages_print_default(const struct stage_param *p)
{
    const struct stage one = {.params = p, .param_count = 1};
    struct param_value value;
    char text[512];
    stage_defaults(&one, &value);
    printf("%s", stage_param_text(p, &value, text, sizeof text));
}

static void stages_print_range(const struct stage_param *p)
{
    if (p->type == PARAM_CHOICE) {
        for (size_t i = 0; p->choices[i]; i++)
            printf("%s%s", i ? "|" : "", p->choices[i]);
    } else if (p->type == PARAM_BOOL) {
        printf("true|false");
    } else if (p->type == PARAM_TEXT || p->type == PARAM_PATH) {
        printf(p->type == PARAM_TEXT ? "text" : "absolute path");
    } else {
        printf("%.9g to %.9g", p->min, p->max);
    }
}

static void stages_print_input(const struct stage_input_spec *in)
{
    static const char *const counts[] = {[INPUT_ONE] = "one series",
                                         [INPUT_OPTIONAL] = "one series or none",
                                         [INPUT_MANY] = "series"};
    printf("  input %s (%s): %s\n", in->name, counts[in->count], in->help);
    for (const struct stage_accept *a = in->accepts; a->keyword; a++)
        printf("    %s: %s\n", a->keyword, a->pattern);
    for (const struct stage_preference *w = in->prefers; w && w->keyword; w++) {
        printf("    prefers %s: %s", w->help, w->keyword);
        for (int i = 0; i < 2 && w->patterns[i]; i++)
            printf("%s%s", i ? ", " : " ", w->patterns[i]);
        if (w->nearest > 0)
            printf(", nearest to %g", w->nearest);
        printf("\n");
    }
}

static void stages_print(const struct stage *s)
{
    printf("%s: %s, version %s\n", s->name, s->title, s->version);
    printf("  %s\n", s->help);
    for (size_t i = 0; i < s->input_count; i++)
        stages_print_input(&s->inputs[i]);
    printf("  results:");
    for (unsigned bit = RESULT_SR; bit <= RESULT_MPR; bit <<= 1) {
        if (s->results & bit)
            printf(" %s", result_kind_name((enum result_kind)bit));
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
    if (p->type == PARAM_TEXT || p->type == PARAM_PATH) {
        json_put_text(o, "default", p->text ? p->text : "", ok);
        return o;
    }
    json_put_number(o, "default", p->def, ok);
    json_put_number(o, "min", p->min, ok);
    json_put_number(o, "max", p->max, ok);
    return o;
}

static json_t *stages_preference(const struct stage_preference *w, bool *ok)
{
    json_t *o = json_object(), *patterns = json_array();
    json_put_text(o, "keyword", w->keyword, ok);
    for (int i = 0; i < 2 && w->patterns[i]; i++)
        json_add(patterns, json_text(w->patterns[i]), ok);
    json_put(o, "patterns", patterns, ok);
    json_put_number(o, "nearest", w->nearest > 0 ? w->nearest : NAN, ok);
    json_put_text(o, "help", w->help, ok);
    return o;
}

static json_t *stages_input(const struct stage_input_spec *in, bool *ok)
{
    static const char *const counts[] = {
        [INPUT_ONE] = "one", [INPUT_OPTIONAL] = "optional", [INPUT_MANY] = "many"};
    json_t *o = json_object(), *accepts = json_object();
    json_put_text(o, "name", in->name, ok);
    json_put_text(o, "help", in->help, ok);
    json_put_text(o, "count", counts[in->count], ok);
    json_put_text(o, "axis", image_axis_name(in->axis), ok);
    json_put_bool(o, "placed", in->placed, ok);
    for (const struct stage_accept *a = in->accepts; a->keyword; a++)
        json_put_text(accepts, a->keyword, a->pattern, ok);
    json_put(o, "accepts", accepts, ok);
    json_t *prefers = json_array();
    for (const struct stage_preference *w = in->prefers; w && w->keyword; w++)
        json_add(prefers, stages_preference(w, ok), ok);
    json_put(o, "prefers", prefers, ok);
    return o;
}

static json_t *stages_item(const struct stage *s, bool *ok)
{
    json_t *o = json_object(), *results = json_array(), *parameters = json_array();
    for (unsigned bit = RESULT_SR; bit <= RESULT_MPR; bit <<= 1) {
        if (s->results & bit)
            json_add(results, json_text(result_kind_name((enum result_kind)bit)), ok);
    }
    for (size_t i = 0; i < s->param_count; i++)
        json_add(parameters, stages_parameter(&s->params[i], ok), ok);
    json_put_text(o, "name", s->name, ok);
    json_put_text(o, "title", s->title, ok);
    json_put_text(o, "version", s->version, ok);
    json_put_text(o, "help", s->help, ok);
    json_put_text(o, "scope", s->scope == SCOPE_STUDY ? "study" : "series", ok);
    json_t *inputs = json_array();
    for (size_t i = 0; i < s->input_count; i++)
        json_add(inputs, stages_input(&s->inputs[i], ok), ok);
    json_put(o, "inputs", inputs, ok);
    json_put(o, "results", results, ok);
    json_put(o, "parameters", parameters, ok);
    return o;
}

int cmd_stages(const struct cmd_args *args)
{
    bool ok = true;
    int status = 0;
    struct err err = {0};
    if (args->conf && !object_init(&err)) { // the configuration names DICOM attributes
        fprintf(stderr, "anode stages: %s\n", err.text);
        return cmd_exit_status(&err);
    }
    struct conf *conf = args->conf ? cmd_load_conf(args, &node_checks, &status) : NULL;
    conf_destroy(conf); // its models are in the table now
    if (status != 0)
        return status;
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
