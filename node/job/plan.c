#include "node/job/plan.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/attrs.h"
#include "base/log.h"
#include "node/job/slots.h"

static bool plan_no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "no memory for the plan");
}

static void plan_skip(const struct gather_series *s, const char *why)
{
    char modality[64];
    log_info("series=%s modality=%s skipped reason=\"%s\"", s->series_instance_uid,
             log_value(s->modality, modality, sizeof modality), why);
}

// The plan that a series joins: the one of its study and patient, or a new one. NULL: no memory.
static struct plan *plan_of(struct plans *p, const struct stage *stage, const struct conf_run *run,
                            const struct gather_series *s)
{
    for (size_t i = 0; stage->scope == SCOPE_STUDY && i < p->count; i++) {
        const struct gather_series *other = p->list[i].inputs[0].series;
        if (p->list[i].stage == stage && p->list[i].run == run &&
            strcmp(other->study_instance_uid, s->study_instance_uid) == 0 &&
            strcmp(other->patient, s->patient) == 0)
            return &p->list[i];
    }
    struct plan *larger = reallocarray(p->list, p->count + 1, sizeof *larger);
    if (!larger)
        return NULL;
    p->list = larger;
    p->list[p->count] = (struct plan){.stage = stage, .run = run};
    return &p->list[p->count++];
}

// Adds a sentence to the remark. False: no memory.
static bool plan_remark(struct plan *plan, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool plan_remark(struct plan *plan, const char *format, ...)
{
    char *sentence = NULL, *longer = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&sentence, format, args);
    va_end(args);
    if (n < 0)
        return false;
    if (!plan->remark) {
        plan->remark = sentence;
        return true;
    }
    n = asprintf(&longer, "%s; %s", plan->remark, sentence);
    free(sentence);
    if (n < 0)
        return false;
    free(plan->remark);
    plan->remark = longer;
    return true;
}

// Two series for an input that takes one: *taken becomes the one that stays. False: no memory.
static bool plan_choose(struct plan *plan, struct plan_input *taken, const struct gather_series *s)
{
    const struct slots_rank mine = slots_rank(&s->attrs, s->series_instance_uid),
                            other = slots_rank(&taken->series->attrs,
                                               taken->series->series_instance_uid);
    const struct gather_series *out = s;
    if (slots_rank_before(&mine, &other)) {
        out = taken->series;
        taken->series = s;
    }
    plan_skip(out, "another series fills its input");
    return plan_remark(plan, "%s: series %s left out, as another one has a lower Series Number",
                       plan->stage->inputs[taken->slot].name, out->series_instance_uid);
}

static bool plan_add_input(struct plan *plan, uint32_t slot, const struct gather_series *s)
{
    bool many = plan->stage->inputs[slot].count == INPUT_MANY;
    size_t at = plan->input_count;
    for (size_t i = 0; i < plan->input_count; i++) {
        if (plan->inputs[i].slot == slot && !many) {
            return plan_choose(plan, &plan->inputs[i], s);
        }
        if (plan->inputs[i].slot > slot && at == plan->input_count)
            at = i;
    }
    struct plan_input *larger =
        reallocarray(plan->inputs, plan->input_count + 1, sizeof *plan->inputs);
    if (!larger)
        return false;
    plan->inputs = larger;
    memmove(&larger[at + 1], &larger[at], (plan->input_count - at) * sizeof *larger);
    larger[at] = (struct plan_input){.slot = slot, .series = s};
    plan->input_count++;
    return true;
}

// A series goes to an analysis, if that takes it; else why gets the reason. False: no memory.
static bool plan_offer(struct plans *p, const struct gather_series *s, const struct stage *stage,
                       const struct conf_run *run, FILE *why, bool *taken)
{
    int slot = slots_match(stage, &s->attrs, CONF_VALUES_HIDDEN, why);
    if (slot < 0) {
        fputs("; ", why);
        return true;
    }
    struct plan *plan = plan_of(p, stage, run, s);
    *taken = true;
    if (!plan || !plan_add_input(plan, (uint32_t)slot, s)) {
        if (plan && plan->input_count == 0)
            p->count--; // it was made for this series
        return false;
    }
    return true;
}

// Offers a series to the analyses that may have it.
static bool plan_series(struct plans *p, const struct gather_series *s, const struct conf *conf,
                        const struct stage *named, FILE *why, bool *taken)
{
    const struct conf_route *route =
        conf ? conf_match(conf, &s->attrs, CONF_VALUES_HIDDEN, NULL) : NULL;
    bool ok = true;
    if (named)
        return plan_offer(p, s, named, conf_find_run(route, named->name), why, taken);
    for (size_t i = 0; ok && route && i < route->run_count; i++)
        ok = plan_offer(p, s, stage_find(route->runs[i].stage), &route->runs[i], why, taken);
    if (conf && !route)
        fputs("no route matches; ", why);
    for (size_t i = 0; ok && !conf && !*taken && stage_at(i); i++)
        ok = plan_offer(p, s, stage_at(i), NULL, why, taken);
    return ok;
}

// Our own results are no input, but for an analysis of reports that is asked for by its name.
static bool plan_wants_own(const struct stage *named)
{
    return named && stage_takes_reports(named);
}

static bool plan_gathered(struct plans *p, const struct gather_series *s, const struct conf *conf,
                          const struct stage *named, struct err *err)
{
    char *reasons = NULL;
    size_t size = 0;
    bool taken = false;
    if (s->own && !plan_wants_own(named)) {
        plan_skip(s, "it is a result of this node");
        return true;
    }
    FILE *why = open_memstream(&reasons, &size);
    bool ok = why && plan_series(p, s, conf, named, why, &taken);
    ok = why && fclose(why) == 0 && ok;
    if (ok && !taken) {
        if (size > 2)
            reasons[size - 2] = 0; // the last "; "
        plan_skip(s, reasons);
    }
    free(reasons);
    return ok || plan_no_memory(err);
}

// Needed inputs that no series fills. False: no memory.
static bool plan_note_missing(struct plan *plan)
{
    bool ok = true;
    for (uint32_t slot = 0; slot < plan->stage->input_count; slot++) {
        bool filled = plan->stage->inputs[slot].count == INPUT_OPTIONAL;
        for (size_t i = 0; i < plan->input_count; i++)
            filled = filled || plan->inputs[i].slot == slot;
        if (!filled)
            ok = ok &&
                 plan_remark(plan, "%s: missing among the files", plan->stage->inputs[slot].name);
    }
    return ok;
}

bool plans_make(const struct gather *gather, const struct conf *conf, const struct stage *named,
                struct plans *out, struct err *err)
{
    *out = (struct plans){0};
    for (size_t i = 0; i < gather->count; i++) {
        if (!plan_gathered(out, &gather->series[i], conf, named, err))
            return false;
    }
    for (size_t i = 0; i < out->count; i++) {
        if (!plan_note_missing(&out->list[i]))
            return plan_no_memory(err);
    }
    return true;
}

void plans_finish(struct plans *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free(p->list[i].inputs);
        free(p->list[i].remark);
    }
    free(p->list);
    *p = (struct plans){0};
}
