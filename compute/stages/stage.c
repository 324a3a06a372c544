#include "compute/stages/stage.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/near.h"
#include "compute/stages/calcium/calcium.h"
#include "compute/stages/cardiac/cardiac.h"
#include "compute/stages/dce/dce.h"
#include "compute/stages/dictate/dictate.h"
#include "compute/stages/dsc/dsc.h"
#include "compute/stages/lungs/lungs.h"
#include "compute/stages/mammo/mammo.h"
#include "compute/stages/perfusion/perfusion.h"
#include "compute/stages/render/render.h"
#include "compute/stages/segment/segment.h"
#include "compute/stages/summary/summary.h"

#define TEXT_MAX 255 // bytes of a text parameter

// Every analysis there is, in the order of its slot, a line each.
// clang-format off
static const struct stage *const stages[] = {
    &stage_calcium,
    &stage_lungs,
    &stage_perfusion,
    &stage_cardiac,
    &stage_mammo,
    &stage_dsc,
    &stage_dce,
    &stage_segment,
    &stage_render,
    &stage_summary,
    &stage_dictate,
};
// clang-format on

static const struct stage *further[STAGE_FURTHER_MAX];
static size_t further_count;

void stage_register(const struct stage *stage)
{
    if (further_count < STAGE_FURTHER_MAX)
        further[further_count++] = stage;
}

const struct stage *stage_at(size_t index)
{
    const size_t own = sizeof stages / sizeof *stages;
    if (index < own)
        return stages[index];
    return index - own < further_count ? further[index - own] : NULL;
}

const struct stage *stage_find(const char *name)
{
    for (size_t i = 0; stage_at(i); i++) {
        if (strcmp(stage_at(i)->name, name) == 0)
            return stage_at(i);
    }
    return NULL;
}

bool stage_takes_reports(const struct stage *stage)
{
    return stage->inputs[0].reports;
}

bool stage_step(const struct stage_run *run, const char *what, double done, struct err *err)
{
    return !run->step || run->step(run->step_ctx, what, done, err);
}

const struct image *stage_image(const struct stage_run *run, size_t slot, uint32_t n)
{
    const struct stage_slot *s = &run->slots[slot];
    return n < s->image_count ? &run->set->images[s->images[n]] : NULL;
}

#define SAME_PLANE 0.99996 // cosine of 0.5 degrees, as image_split() takes planes for the same

static void stack_normal(const struct image *img, double out[3])
{
    double u[3], v[3];
    for (int i = 0; i < 3; i++) {
        u[i] = img->to_patient[i][0] / img->spacing[0];
        v[i] = img->to_patient[i][1] / img->spacing[1];
    }
    for (int i = 0; i < 3; i++)
        out[i] = u[(i + 1) % 3] * v[(i + 2) % 3] - u[(i + 2) % 3] * v[(i + 1) % 3];
}

static uint32_t stack_frames(const struct image *img)
{
    return img->dim[2] * img->dim[3] - img->missing;
}

static const char *stack_why_apart(const struct image *stack, const struct image *other)
{
    if (other->colour)
        return "pictures in colour, no values";
    if (!other->placed)
        return "without a place in space";
    double a[3], b[3];
    stack_normal(stack, a);
    stack_normal(other, b);
    if (fabs(a[0] * b[0] + a[1] * b[1] + a[2] * b[2]) < SAME_PLANE)
        return "in another plane than the stack";
    if (other->dim[3] < 2)
        return "one image of each place";
    if (other->dim[0] != stack->dim[0] || other->dim[1] != stack->dim[1])
        return "of another size than the stack";
    return "of another kind than the stack";
}

static void stack_add_exclusion(const struct stage_run *run, struct findings *f,
                                const struct image *stack, uint32_t index)
{
    const struct image *img = &run->set->images[index];
    struct exclusion *e = findings_add_exclusion(f);
    if (!e)
        return;
    const char *name = image_text(run->set, img, "SeriesDescription");
    const char *what =
        arena_printf(f->arena, "%s (%u images)", *name ? name : "series", stack_frames(img));
    f->no_memory = f->no_memory || !what;
    e->what = what ? what : "";
    e->reason = stack_why_apart(stack, img);
    e->has_place =
        img->frame[0] != IMAGE_NO_FRAME; // its first frame may be the one that is missing
    e->place.image = index;
}

// Says why it is none.
static bool stack_is_whole(const struct image *stack, const struct stage_input_spec *spec,
                           struct findings *f)
{
    if (!stack)
        stage_refuse(f, "%s: there is no image", spec->name);
    else if (!stack->placed)
        stage_refuse(f, "%s: the images have no place in space", spec->name);
    else if (stack->axis != spec->axis || stack->dim[3] < 2)
        stage_refuse(f, "%s: nothing tells images at the same place apart", spec->name);
    else if (stack->defect[0])
        stage_refuse(f, "%s: %s", spec->name, stack->defect);
    else if (stack->missing)
        stage_refuse(f, "%s: %u of %u images are missing", spec->name, stack->missing,
                     stack->dim[2] * stack->dim[3]);
    else
        return true;
    return false;
}

const struct image *stage_stack(const struct stage_run *run, size_t slot, struct findings *f,
                                uint32_t *index)
{
    const struct stage_slot *s = &run->slots[slot];
    const struct image *stack = stage_image(run, slot, 0);
    if (!stack_is_whole(stack, s->spec, f))
        return NULL;
    for (uint32_t n = 1; n < s->image_count; n++)
        stack_add_exclusion(run, f, stack, s->images[n]);
    if (index)
        *index = s->images[0];
    return stack;
}

// Says why there is none.
static bool stack_has_place(const struct image *stack, const struct stage_input_spec *spec,
                            struct findings *f)
{
    if (!stack)
        stage_refuse(f, "%s: there is no image", spec->name);
    else if (stack->colour)
        stage_refuse(f, "%s: all images are in colour: no values could be measured", spec->name);
    else if (!stack->placed)
        stage_refuse(f, "%s: the images have no place in space", spec->name);
    else if (stack->defect[0])
        stage_refuse(f, "%s", stack->defect);
    else
        return true;
    return false;
}

const struct image *stage_stack_with_gaps(const struct stage_run *run, size_t slot,
                                          struct findings *f, uint32_t *index)
{
    const struct stage_slot *s = &run->slots[slot];
    const struct image *stack = stage_image(run, slot, 0);
    if (!stack_has_place(stack, s->spec, f))
        return NULL;
    for (uint32_t n = 1; n < s->image_count; n++) {
        const struct image *other = stage_image(run, slot, n);
        if (other->placed && !other->colour && other->dim[3] > 1 && stack->dim[3] > 1 &&
            other->axis == stack->axis && stack_frames(other) == stack_frames(stack)) {
            stage_refuse(f,
                         "two scans of %u images over %s may be meant, with %u and %u images of "
                         "each place: send one of them",
                         stack_frames(stack), image_axis_name(stack->axis), stack->dim[3],
                         other->dim[3]);
            return NULL;
        }
        stack_add_exclusion(run, f, stack, s->images[n]);
    }
    *index = s->images[0];
    return stack;
}

enum stage_end stage_refuse(struct findings *f, const char *format, ...)
{
    char reason[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(reason, sizeof reason, format, ap);
    va_end(ap);
    findings_refuse(f, VERDICT_NOT_EVALUABLE, "%s", reason);
    return STAGE_REFUSED;
}

// Parameters

static struct param_value default_of(const struct stage_param *p)
{
    struct param_value v = {.text = ""};
    switch (p->type) {
    case PARAM_NUMBER:
        v.number = p->def;
        break;
    case PARAM_INTEGER:
        v.integer = (int64_t)p->def;
        break;
    case PARAM_BOOL:
        v.truth = p->def != 0;
        break;
    case PARAM_CHOICE:
        v.choice = (unsigned)p->def;
        break;
    case PARAM_TEXT:
    case PARAM_PATH:
        v.text = p->text ? p->text : "";
        break;
    }
    return v;
}

void stage_defaults(const struct stage *stage, struct param_value *params)
{
    for (size_t i = 0; i < stage->param_count; i++)
        params[i] = default_of(&stage->params[i]);
}

const char *stage_param_text(const struct stage_param *param, const struct param_value *value,
                             char *text, size_t size)
{
    switch (param->type) {
    case PARAM_NUMBER:
        for (int digits = 9; digits <= 17;
             digits++) { // 17 always suffice; less would write 1.3e+02
            snprintf(text, size, "%.*g", digits, value->number);
            if (strtod(text, NULL) == value->number)
                break;
        }
        break;
    case PARAM_INTEGER:
        snprintf(text, size, "%" PRId64, value->integer);
        break;
    case PARAM_BOOL:
        snprintf(text, size, "%s", value->truth ? "true" : "false");
        break;
    case PARAM_CHOICE:
        snprintf(text, size, "%s", param->choices[value->choice]);
        break;
    case PARAM_TEXT:
    case PARAM_PATH:
        snprintf(text, size, "%s", value->text);
        break;
    }
    return text;
}

static bool read_number(const struct stage_param *p, const char *value, double *out,
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

static bool read_truth(const struct stage_param *p, const char *value, bool *out, struct err *err)
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

static bool read_choice(const struct stage_param *p, const char *value, unsigned *out,
                        struct err *err)
{
    struct near near = {.word = value};
    char known[128] = "";
    for (unsigned i = 0; p->choices[i]; i++) {
        if (strcmp(value, p->choices[i]) == 0) {
            *out = i;
            return true;
        }
        near_try(&near, p->choices[i]);
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", p->choices[i]);
    }
    return err_set(err, ERR_CONFIG, "%s: \"%.40s\" is none of %s%s%s%s", p->name, value, known,
                   near.best ? " (did you mean \"" : "", near.best ? near.best : "",
                   near.best ? "\"?)" : "");
}

static bool read_text(const struct stage_param *p, const char *value, struct arena *arena,
                      const char **out, struct err *err)
{
    if (strlen(value) > TEXT_MAX)
        return err_set(err, ERR_CONFIG, "%s: longer than %d bytes", p->name, TEXT_MAX);
    if (p->type == PARAM_PATH && *value && *value != '/')
        return err_set(err, ERR_CONFIG, "%s: \"%.80s\" is not an absolute path", p->name, value);
    *out = arena_strdup(arena, value);
    return *out || err_set(err, ERR_NOMEM, "no memory for an option");
}

static bool read_value(const struct stage_param *p, const char *value, struct arena *arena,
                       struct param_value *out, struct err *err)
{
    double number = 0;
    switch (p->type) {
    case PARAM_NUMBER:
        return read_number(p, value, &out->number, err);
    case PARAM_INTEGER:
        if (!read_number(p, value, &number, err))
            return false;
        out->integer = (int64_t)number;
        return true;
    case PARAM_BOOL:
        return read_truth(p, value, &out->truth, err);
    case PARAM_CHOICE:
        return read_choice(p, value, &out->choice, err);
    case PARAM_TEXT:
    case PARAM_PATH:
        break;
    }
    return read_text(p, value, arena, &out->text, err);
}

bool stage_option(const struct stage *stage, const char *name, const char *value,
                  struct arena *arena, struct param_value *params, struct err *err)
{
    struct near near = {.word = name};
    for (size_t i = 0; i < stage->param_count; i++) {
        const struct stage_param *p = &stage->params[i];
        if (strcmp(p->name, name) == 0)
            return read_value(p, value, arena, &params[i], err);
        near_try(&near, p->name);
    }
    return err_set(err, ERR_CONFIG, "%s has no option \"%.40s\"%s%s%s", stage->name, name,
                   near.best ? " (did you mean \"" : "", near.best ? near.best : "",
                   near.best ? "\"?)" : "");
}

bool stage_option_usable(const struct stage *stage, const char *name, const char *value,
                         struct err *err)
{
    for (size_t i = 0; i < stage->param_count; i++) {
        const struct stage_param *p = &stage->params[i];
        if (strcmp(p->name, name) == 0 && p->check && !p->check(value, err)) {
            err_wrap(err, "%s", name);
            return false;
        }
    }
    return true;
}
