#include <stdio.h>
#include "compute/stages/stage.h"
#include "node/cmd/cmd.h"

static void print_default(const struct stage_param *p)
{
    if (p->type == PARAM_CHOICE)
        printf("%s", p->choices[(size_t)p->def]);
    else if (p->type == PARAM_BOOL)
        printf("%s", p->def != 0 ? "true" : "false");
    else
        printf("%.9g", p->def);
}

static void print_range(const struct stage_param *p)
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

static void print_stage(const struct stage *s)
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
        print_default(p);
        printf("%s%s (", p->unit[0] ? " " : "", p->unit);
        print_range(p);
        printf(")\n      %s\n", p->help);
    }
}

int cmd_stages(int argc, char **argv)
{
    if (argc > 1) {
        fprintf(stderr, "usage: anode %s\n", argv[0]);
        return 1;
    }
    for (size_t i = 0; stage_at(i); i++)
        print_stage(stage_at(i));
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 2;
}
