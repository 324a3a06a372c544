// shape-views: an analysis of the tests' own. Four images without a place in space, each of a
// series in an input of its own: two views of each breast, one of them optional. It measures the
// mean and the brightest pixel of each view, and says which view is missing. That is no medicine:
// it proves that such a shape goes through the node.
#include <stdio.h>
#include "compute/image/load.h"
#include "compute/stages/stage.h"

#define BOX 8 // pixels from the brightest one to the frame drawn around it

enum { LEFT_CC, RIGHT_CC, LEFT_MLO, RIGHT_MLO, VIEWS };

// Sources: PS3.16 CID 6022 (side), 4014 (views), 7464 (derivations); UCUM.
static const struct code breast = {"76752008", "SCT", "Breast"};
static const struct code left = {"7771000", "SCT", "Left"};
static const struct code right = {"24028007", "SCT", "Right"};
static const struct code view_concept = {"111031", "DCM", "Image View"};
static const struct code cc = {"399162004", "SCT", "cranio-caudal"};
static const struct code mlo = {"399368009", "SCT", "medio-lateral oblique"};
static const struct code pixel_value = {"PIXEL", "99TEST", "Pixel value"}; // no code exists
static const struct code mean_code = {"373098007", "SCT", "Mean"};
static const struct code maximum = {"56851009", "SCT", "Maximum"};
static const struct code unit_one = {"1", "UCUM", "no units"};
static const struct code mammography = {"71651007", "SCT", "Mammography"};

static const struct stage_accept accepts_left_cc[] = {
    {"Modality", "MG"}, {"ImageLaterality", "L"}, {"ViewPosition", "CC"}, {0}};
static const struct stage_accept accepts_right_cc[] = {
    {"Modality", "MG"}, {"ImageLaterality", "R"}, {"ViewPosition", "CC"}, {0}};
static const struct stage_accept accepts_left_mlo[] = {
    {"Modality", "MG"}, {"ImageLaterality", "L"}, {"ViewPosition", "MLO"}, {0}};
static const struct stage_accept accepts_right_mlo[] = {
    {"Modality", "MG"}, {"ImageLaterality", "R"}, {"ViewPosition", "MLO"}, {0}};
static const struct stage_input_spec views_inputs[VIEWS] = {
    [LEFT_CC] = {"left cc", "Left breast, cranio-caudal", INPUT_ONE, IMAGE_NO_AXIS, false,
                 accepts_left_cc},
    [RIGHT_CC] = {"right cc", "Right breast, cranio-caudal", INPUT_ONE, IMAGE_NO_AXIS, false,
                  accepts_right_cc},
    [LEFT_MLO] = {"left mlo", "Left breast, medio-lateral oblique", INPUT_OPTIONAL, IMAGE_NO_AXIS,
                  false, accepts_left_mlo},
    [RIGHT_MLO] = {"right mlo", "Right breast, medio-lateral oblique", INPUT_ONE, IMAGE_NO_AXIS,
                   false, accepts_right_mlo},
};

struct view {
    double mean;
    float top;
    uint32_t column, row; // of the first pixel of that value
};

static bool view_measure(const struct stage_run *r, const struct image *img, struct view *v,
                         struct err *err)
{
    const size_t pixels = (size_t)img->dim[0] * img->dim[1];
    float *values = arena_alloc(r->arena, pixels, sizeof *values);
    if (!values)
        return err_set(err, ERR_NOMEM, "no memory for a view");
    if (!image_read_slice(r->set, img, 0, 0, values, err))
        return false;
    double sum = 0;
    size_t top = 0;
    for (size_t i = 0; i < pixels; i++) {
        sum += (double)values[i];
        top = values[i] > values[top] ? i : top;
    }
    *v = (struct view){.mean = sum / (double)pixels,
                       .top = values[top],
                       .column = (uint32_t)(top % img->dim[0]),
                       .row = (uint32_t)(top / img->dim[0])};
    return true;
}

static void view_add_group(struct findings *f, size_t slot, uint32_t image, const struct view *v)
{
    struct finding_group *g = findings_add_group(f);
    if (!g)
        return;
    g->label = views_inputs[slot].name;
    g->finding = breast;
    g->site = breast;
    g->laterality = slot == LEFT_CC || slot == LEFT_MLO ? left : right;
    g->has_key = true;
    g->key.image = image;
    findings_add_number(f, g, &pixel_value, v->mean, 2, &unit_one, &mean_code);
    findings_add_number(f, g, &pixel_value, (double)v->top, 0, &unit_one, &maximum);
    struct evaluation *e = findings_add_evaluation(f, g);
    if (e)
        *e = (struct evaluation){.concept = view_concept,
                                 .value = slot == LEFT_CC || slot == RIGHT_CC ? cc : mlo};
}

// A square around the brightest pixel, cut at the edges of the image, with the view's name.
static void view_add_marks(struct findings *f, const struct image *img, size_t slot, uint32_t image,
                           const struct view *v)
{
    const float x0 = v->column > BOX ? (float)(v->column - BOX) : 0;
    const float y0 = v->row > BOX ? (float)(v->row - BOX) : 0;
    const float x1 =
        v->column + BOX + 1 < img->dim[0] ? (float)(v->column + BOX + 1) : (float)img->dim[0];
    const float y1 =
        v->row + BOX + 1 < img->dim[1] ? (float)(v->row + BOX + 1) : (float)img->dim[1];
    const float square[] = {x0, y0, x1, y0, x1, y1, x0, y1, x0, y0};
    const float text[] = {x1, y0, x1 < (float)img->dim[0] / 2 ? x1 + 4 : 0, y1};
    float *points = arena_alloc(f->arena, 14, sizeof *points);
    if (!points) {
        f->no_memory = true;
        return;
    }
    for (size_t i = 0; i < 14; i++)
        points[i] = i < 10 ? square[i] : text[i - 10];
    const struct place place = {.image = image};
    const int group = (int)f->group_count - 1;
    struct mark *m = findings_add_mark(f);
    if (m)
        *m = (struct mark){
            .kind = MARK_POLYLINE, .place = place, .group = group, .points = points, .count = 5};
    m = findings_add_mark(f);
    if (m)
        *m = (struct mark){.kind = MARK_TEXT,
                           .place = place,
                           .group = group,
                           .points = points + 10,
                           .count = 2,
                           .text = views_inputs[slot].name};
}

static void view_add_picture(struct findings *f, size_t slot, uint32_t image)
{
    struct page_image *p = findings_add_image(f);
    if (!p)
        return;
    p->place.image = image;
    p->caption = views_inputs[slot].name;
}

// What is not there is part of the result.
static void view_add_missing(struct findings *f, const struct stage_input_spec *spec)
{
    struct exclusion *e = findings_add_exclusion(f);
    if (e) {
        e->what = arena_printf(f->arena, "view %s", spec->name);
        e->reason = spec->count == INPUT_OPTIONAL ? "not taken" : "missing";
        f->no_memory = f->no_memory || !e->what;
    }
    if (spec->count != INPUT_OPTIONAL)
        findings_add_warning(f, "View %s is missing: that breast is not judged as a whole",
                             spec->name);
}

static bool view_run(const struct stage_run *r, size_t slot, struct findings *f,
                     struct page_table *table, uint32_t row, struct err *err)
{
    const uint32_t image = r->slots[slot].images[0];
    const struct image *img = &r->set->images[image];
    struct view v = {0};
    if (!view_measure(r, img, &v, err))
        return false;
    if (r->slots[slot].image_count > 1)
        findings_add_warning(f, "%u further images of view %s are not looked at",
                             r->slots[slot].image_count - 1, views_inputs[slot].name);
    view_add_group(f, slot, image, &v);
    view_add_marks(f, img, slot, image, &v);
    view_add_picture(f, slot, image);
    findings_set_cell(f, table, row, 0, "%s", views_inputs[slot].name);
    findings_set_cell(f, table, row, 1, "%.2f", v.mean);
    findings_set_cell(f, table, row, 2, "%.0f", (double)v.top);
    return true;
}

static void views_add_layer(struct findings *f)
{
    struct layer *l = findings_add_layer(f);
    if (l)
        *l = (struct layer){
            .name = "BRIGHTEST", .description = "The brightest pixel", .rgb = {255, 190, 0}};
}

static enum stage_end views_run(const struct stage_run *r, struct findings *f, struct err *err)
{
    uint32_t there = 0, row = 0;
    for (size_t slot = 0; slot < VIEWS; slot++)
        there += r->slots[slot].image_count > 0;
    f->page.title = "Views of both breasts";
    if (there == 0)
        return stage_refuse(f, "no view has an image");
    f->verdict = VERDICT_DONE;
    f->reason = "";
    f->procedure = mammography;
    f->page.headline = arena_printf(f->arena, "%u of %d views", there, VIEWS);
    views_add_layer(f);
    struct page_table *table = findings_add_table(f, "Pixel values", there + 1, 3);
    if (!table || !f->page.headline) {
        err_set(err, ERR_NOMEM, "no memory for a table");
        return STAGE_BROKEN;
    }
    findings_set_cell(f, table, 0, 0, "View");
    findings_set_cell(f, table, 0, 1, "Mean");
    findings_set_cell(f, table, 0, 2, "Maximum");
    for (size_t slot = 0; slot < VIEWS; slot++) {
        if (!stage_step(r, views_inputs[slot].name, (double)slot / VIEWS, err))
            return STAGE_BROKEN;
        if (r->slots[slot].image_count == 0)
            view_add_missing(f, r->slots[slot].spec);
        else if (!view_run(r, slot, f, table, ++row, err))
            return STAGE_BROKEN;
    }
    return STAGE_DONE;
}

static const struct stage stage_views = {
    .name = "shape-views",
    .title = "Views of both breasts",
    .version = "1",
    .slot = 91,
    .help = "Mean and brightest pixel of each mammographic view.",
    .scope = SCOPE_STUDY,
    .inputs = views_inputs,
    .input_count = VIEWS,
    .results = RESULT_SR | RESULT_GSPS | RESULT_SC,
    .report = REPORT_MEASUREMENTS,
    .run = views_run,
};

__attribute__((constructor)) static void views_register(void)
{
    stage_register(&stage_views);
}
