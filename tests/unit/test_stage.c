#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compute/stages/stage.h"
#include "tests/check.h"

static const char *const islands[] = {"island", "lesion", NULL};

static bool check_model(const char *path, struct err *err)
{
    return strcmp(path, "/none") != 0 || err_set(err, ERR_CONFIG, "%s: no model", path);
}

static const struct stage_param params[] = {
    {"threshold_hu", "[hnsf'U]", "Lowest value.", PARAM_NUMBER, 100, 300, 130, NULL},
    {"connectivity", "", "Neighbours in plane.", PARAM_INTEGER, 4, 8, 8, NULL},
    {"scale_threshold", "", "Scale by tube voltage.", PARAM_BOOL, 0, 1, 0, NULL},
    {"weight_from", "", "Where the maximum is taken.", PARAM_CHOICE, 0, 1, 0, islands},
    {"label", "", "A text.", PARAM_TEXT, 0, 0, 0, NULL, "plain"},
    {"model", "", "A file.", PARAM_PATH, 0, 0, 0, NULL, NULL, check_model},
};
enum { PARAMS = sizeof params / sizeof *params };
static const struct stage stage = {.name = "example", .params = params, .param_count = PARAMS};
static struct arena *arena;

static void defaults_are_those_of_the_table(void)
{
    struct param_value p[PARAMS];
    stage_defaults(&stage, p);
    CU_ASSERT_EQUAL(p[0].number, 130);
    CU_ASSERT_EQUAL(p[1].integer, 8);
    CU_ASSERT_FALSE(p[2].truth);
    CU_ASSERT_EQUAL(p[3].choice, 0);
    CU_ASSERT_STRING_EQUAL(p[4].text, "plain");
    CU_ASSERT_STRING_EQUAL(p[5].text, "");
}

static void options_of_each_type_are_parsed(void)
{
    struct param_value p[PARAMS] = {0};
    struct err err = {0};
    CU_ASSERT(stage_option(&stage, "threshold_hu", "147.5", arena, p, &err));
    CU_ASSERT_EQUAL(p[0].number, 147.5);
    CU_ASSERT(stage_option(&stage, "connectivity", "4", arena, p, &err));
    CU_ASSERT_EQUAL(p[1].integer, 4);
    CU_ASSERT(stage_option(&stage, "scale_threshold", "Yes", arena, p, &err));
    CU_ASSERT(p[2].truth);
    CU_ASSERT(stage_option(&stage, "scale_threshold", "false", arena, p, &err));
    CU_ASSERT_FALSE(p[2].truth);
    CU_ASSERT(stage_option(&stage, "weight_from", "lesion", arena, p, &err));
    CU_ASSERT_EQUAL(p[3].choice, 1);
    CU_ASSERT(stage_option(&stage, "label", "a; b", arena, p, &err));
    CU_ASSERT_STRING_EQUAL(p[4].text, "a; b");
    CU_ASSERT(stage_option(&stage, "model", "/lib/model.onnx", arena, p, &err));
    CU_ASSERT_STRING_EQUAL(p[5].text, "/lib/model.onnx");
    CU_ASSERT_EQUAL(err.code, ERR_NONE);
}

static void refuse(const char *name, const char *value, const char *part)
{
    struct param_value p[PARAMS], before[PARAMS];
    stage_defaults(&stage, p);
    memcpy(before, p, sizeof p);
    struct err err = {0};
    CU_ASSERT_FALSE(stage_option(&stage, name, value, arena, p, &err));
    CU_ASSERT_EQUAL(err.code, ERR_CONFIG);
    if (!strstr(err.text, part)) {
        CU_FAIL("the text names the remedy");
        printf("\"%s\" lacks \"%s\"\n", err.text, part);
    }
    for (int i = 0; i < PARAMS; i++) {
        CU_ASSERT_EQUAL(p[i].number, before[i].number);
        CU_ASSERT_EQUAL(p[i].integer, before[i].integer);
        CU_ASSERT_EQUAL(p[i].truth, before[i].truth);
        CU_ASSERT_EQUAL(p[i].choice, before[i].choice);
        CU_ASSERT_STRING_EQUAL(p[i].text, before[i].text);
    }
}

static void bad_options_are_refused_with_the_remedy(void)
{
    refuse("treshold_hu", "130", "did you mean \"threshold_hu\"?");
    refuse("entirely_else", "130", "no option \"entirely_else\"");
    refuse("threshold_hu", "13O", "not a number");
    refuse("threshold_hu", "", "not a number");
    refuse("threshold_hu", "nan", "not a number");
    refuse("threshold_hu", "99", "outside 100 to 300");
    refuse("threshold_hu", "1e9", "outside 100 to 300");
    refuse("connectivity", "4.5", "not a whole number");
    refuse("scale_threshold", "maybe", "neither true nor false");
    refuse("weight_from", "leson", "did you mean \"lesion\"?");
    refuse("weight_from", "voxel", "none of island, lesion");
    refuse("model", "model.onnx", "not an absolute path");
    char text[300];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    refuse("label", text, "longer than 255");
}

static void a_file_that_cannot_be_used_is_named(void)
{
    struct err err = {0};
    CU_ASSERT(stage_option_usable(&stage, "model", "/some", &err));
    CU_ASSERT(stage_option_usable(&stage, "label", "/none", &err));
    CU_ASSERT_FALSE(stage_option_usable(&stage, "model", "/none", &err));
    CU_ASSERT_EQUAL(err.code, ERR_CONFIG);
    CU_ASSERT_STRING_EQUAL(err.text, "model: /none: no model");
}

static void texts_of_values_read_back(void)
{
    static const double numbers[] = {0.1, 1.0 / 3, 130, -999.999, 1e-300};
    struct param_value v[PARAMS];
    char text[300];
    stage_defaults(&stage, v);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        v[0].number = numbers[i];
        CU_ASSERT_EQUAL(strtod(stage_param_text(&params[0], &v[0], text, sizeof text), NULL),
                        numbers[i]);
    }
    v[0].number = 0.1;
    CU_ASSERT_STRING_EQUAL(stage_param_text(&params[0], &v[0], text, sizeof text), "0.1");
    CU_ASSERT_STRING_EQUAL(stage_param_text(&params[1], &v[1], text, sizeof text), "8");
    CU_ASSERT_STRING_EQUAL(stage_param_text(&params[2], &v[2], text, sizeof text), "false");
    CU_ASSERT_STRING_EQUAL(stage_param_text(&params[3], &v[3], text, sizeof text), "island");
    CU_ASSERT_STRING_EQUAL(stage_param_text(&params[4], &v[4], text, sizeof text), "plain");
}

static enum stage_end no_run(const struct stage_run *run, struct findings *out, struct err *err)
{
    (void)run;
    (void)err;
    return stage_refuse(out, "no %s", "reason");
}

static void a_refusal_is_said_and_returned(void)
{
    struct findings *f = findings_create();
    CU_ASSERT_EQUAL(no_run(NULL, f, NULL), STAGE_REFUSED);
    CU_ASSERT_EQUAL(f->verdict, VERDICT_NOT_EVALUABLE);
    CU_ASSERT_STRING_EQUAL(f->reason, "no reason");
    findings_destroy(f);
}

static void registered_stages_follow_those_of_the_table(void)
{
    static const struct stage further = {.name = "further", .slot = 98};
    size_t count = 0;
    while (stage_at(count))
        count++;
    CU_ASSERT_PTR_NULL(stage_find("further"));
    stage_register(&further);
    CU_ASSERT_PTR_EQUAL(stage_at(count), &further);
    CU_ASSERT_PTR_NULL(stage_at(count + 1));
    CU_ASSERT_PTR_EQUAL(stage_find("further"), &further);
}

// A stack of two slices and two phases, with images that are not of it behind.
enum { STACK, LONG_AXIS, LARGE, UNPLACED, NEAR, STACK_IMAGES };
static const uint32_t stack_frames[] = {0, 0, 0, 0};
static const struct image_frame stack_frame = {.columns = 4, .rows = 4};
static const uint32_t stack_order[] = {STACK, LONG_AXIS, LARGE, UNPLACED, NEAR};
static const struct stage_input_spec stack_spec = {
    .name = "cine", .count = INPUT_MANY, .axis = IMAGE_PHASE, .placed = true};

static void make_stack(struct image images[STACK_IMAGES])
{
    for (int i = 0; i < STACK_IMAGES; i++)
        images[i] = (struct image){.dim = {4, 4, 2, 2},
                                   .placed = true,
                                   .spacing = {1.5, 1.5, 8},
                                   .to_patient = {{1.5, 0, 0, 0}, {0, 1.5, 0, 0}, {0, 0, 8, 0}},
                                   .axis = IMAGE_PHASE,
                                   .frame = stack_frames};
    images[LONG_AXIS].to_patient[1][1] = 0;
    images[LONG_AXIS].to_patient[2][1] = -1.5;
    images[LARGE].dim[0] = 5;
    images[UNPLACED].placed = false;
}

static const struct image *find_stack(const struct image images[STACK_IMAGES], uint32_t count,
                                      struct findings *f, uint32_t *index)
{
    const struct image_set set = {.frames = &stack_frame,
                                  .frame_count = 1,
                                  .images = (struct image *)images,
                                  .image_count = STACK_IMAGES};
    const struct stage_slot slot = {
        .spec = &stack_spec, .series_count = count, .image_count = count, .images = stack_order};
    const struct stage_run run = {.set = &set, .slots = &slot};
    return stage_stack(&run, 0, f, index);
}

static void a_stack_leaves_out_what_is_not_of_it(void)
{
    static const char *const why[] = {"in another plane than the stack",
                                      "of another size than the stack", "without a place in space",
                                      "of another kind than the stack"};
    struct image images[STACK_IMAGES];
    struct findings *f = findings_create();
    uint32_t index = 99;
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    make_stack(images);
    CU_ASSERT_PTR_EQUAL(find_stack(images, STACK_IMAGES, f, &index), &images[STACK]);
    CU_ASSERT_EQUAL(index, STACK);
    CU_ASSERT_EQUAL_FATAL(f->exclusion_count, STACK_IMAGES - 1);
    for (uint32_t i = 0; i < f->exclusion_count; i++) {
        CU_ASSERT_STRING_EQUAL(f->exclusions[i].reason, why[i]);
        CU_ASSERT_STRING_EQUAL(f->exclusions[i].what, "series (4 images)");
        CU_ASSERT_EQUAL(f->exclusions[i].place.image, i + 1);
        CU_ASSERT_TRUE(f->exclusions[i].has_place);
    }
    CU_ASSERT_PTR_EQUAL(find_stack(images, 1, f, NULL), &images[STACK]);
    findings_destroy(f);
}

static void refuse_stack(const struct image *images, uint32_t count, const char *reason)
{
    struct findings *f = findings_create();
    uint32_t index = 99;
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_PTR_NULL(find_stack(images, count, f, &index));
    CU_ASSERT_EQUAL(f->verdict, VERDICT_NOT_EVALUABLE);
    CU_ASSERT_STRING_EQUAL(f->reason, reason);
    CU_ASSERT_EQUAL(f->exclusion_count, 0);
    CU_ASSERT_EQUAL(index, 99);
    findings_destroy(f);
}

static void a_stack_that_is_none_is_refused_with_the_reason(void)
{
    struct image images[STACK_IMAGES];
    make_stack(images);
    refuse_stack(images, 0, "cine: there is no image");
    images[STACK].missing = 1;
    refuse_stack(images, STACK_IMAGES, "cine: 1 of 4 images are missing");
    snprintf(images[STACK].defect, sizeof images[STACK].defect, "uneven gaps");
    refuse_stack(images, STACK_IMAGES, "cine: uneven gaps");
    images[STACK].dim[3] = 1;
    refuse_stack(images, 1, "cine: nothing tells images at the same place apart");
    images[STACK].dim[3] = 2;
    images[STACK].axis = IMAGE_TIME;
    refuse_stack(images, 1, "cine: nothing tells images at the same place apart");
    images[STACK].placed = false;
    refuse_stack(images, 1, "cine: the images have no place in space");
}

static void the_table_is_consistent(void)
{
    for (size_t i = 0; stage_at(i); i++) {
        const struct stage *s = stage_at(i);
        CU_ASSERT_PTR_EQUAL(stage_find(s->name), s);
        CU_ASSERT_PTR_NOT_NULL(s->run);
        CU_ASSERT(s->help && s->title && s->version && s->slot >= 1 && s->slot <= 99);
        CU_ASSERT(s->input_count >= 1 && (s->scope == SCOPE_STUDY || s->input_count == 1));
        for (size_t j = 0; j < s->input_count; j++)
            CU_ASSERT(s->inputs[j].name && s->inputs[j].help && s->inputs[j].accepts);
        CU_ASSERT(s->results & RESULT_SR);
        for (size_t j = 0; j < i; j++) {
            CU_ASSERT_NOT_EQUAL(stage_at(j)->slot, s->slot);
            CU_ASSERT_STRING_NOT_EQUAL(stage_at(j)->name, s->name);
        }
        for (size_t j = 0; j < s->param_count; j++) {
            const struct stage_param *p = &s->params[j];
            CU_ASSERT(p->name && p->unit && p->help);
            CU_ASSERT(p->type >= PARAM_TEXT || (p->min <= p->def && p->def <= p->max));
            CU_ASSERT_EQUAL(p->type == PARAM_CHOICE, p->choices != NULL);
            for (size_t k = 0; k < j; k++)
                CU_ASSERT_STRING_NOT_EQUAL(s->params[k].name, p->name);
        }
    }
    CU_ASSERT_PTR_NULL(stage_find("calcum"));
}

int main(void)
{
    static const struct check_case cases[] = {
        {"defaults_are_those_of_the_table", defaults_are_those_of_the_table},
        {"options_of_each_type_are_parsed", options_of_each_type_are_parsed},
        {"bad_options_are_refused_with_the_remedy", bad_options_are_refused_with_the_remedy},
        {"a_file_that_cannot_be_used_is_named", a_file_that_cannot_be_used_is_named},
        {"texts_of_values_read_back", texts_of_values_read_back},
        {"a_refusal_is_said_and_returned", a_refusal_is_said_and_returned},
        {"a_stack_leaves_out_what_is_not_of_it", a_stack_leaves_out_what_is_not_of_it},
        {"a_stack_that_is_none_is_refused_with_the_reason",
         a_stack_that_is_none_is_refused_with_the_reason},
        {"the_table_is_consistent", the_table_is_consistent},
        {"registered_stages_follow_those_of_the_table",
         registered_stages_follow_those_of_the_table},
    };
    arena = arena_create();
    int status = check_main("stage", cases, sizeof cases / sizeof *cases);
    arena_destroy(arena);
    return status;
}
