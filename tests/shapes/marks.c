// shape-marks: the exam and the report of mammography with marks that are made, not found: what is
// found by pixels is tested elsewhere. Of each analysed image, by its brightest pixel: value 3001
// to 3009 gives so many marks less 3000, the first a mass, the second a cluster of three; 3010: the
// image cannot be judged; 3011: nothing is looked for.
#include <math.h>
#include <stdlib.h>
#include "compute/image/load.h"
#include "compute/stages/mammo/mammo_exam.h"
#include "compute/stages/mammo/mammo_report.h"

static bool made_skin(const struct stage_run *run, const struct image *img, struct mammo_marks *out)
{
    const float w = (float)img->dim[0], h = (float)img->dim[1];
    const float corners[] = {0, 0, w / 2, 0, w / 2, h, 0, h, 0, 0};
    out->skin = arena_alloc(run->arena, 10, sizeof *out->skin);
    if (!out->skin)
        return false;
    for (int i = 0; i < 10; i++)
        out->skin[i] = corners[i];
    out->skin_count = 5;
    return true;
}

static bool made_mark(const struct stage_run *run, enum mammo_kind kind, float x, float y,
                      struct mammo_mark *out)
{
    float *outline = arena_alloc(run->arena, 10, sizeof *outline);
    struct mammo_calc *calcs = arena_alloc(run->arena, 3, sizeof *calcs);
    if (!outline || !calcs)
        return false;
    const float corners[] = {x - 3, y - 3, x + 3, y - 3, x + 3, y + 3, x - 3, y + 3, x - 3, y - 3};
    for (int i = 0; i < 10; i++)
        outline[i] = corners[i];
    for (int i = 0; i < 3; i++)
        calcs[i] = (struct mammo_calc){x + (float)i - 1, y, 0.25F, 8};
    *out = (struct mammo_mark){.kind = kind,
                               .x = x,
                               .y = y,
                               .outline = outline,
                               .outline_count = 5,
                               .probability = kind == MAMMO_MASS ? 0.75 : 0.5,
                               .size_mm = 0.6,
                               .count = kind == MAMMO_CLUSTER ? 3 : 0,
                               .calcs = kind == MAMMO_CLUSTER ? calcs : NULL};
    return true;
}

static bool made_find(const struct stage_run *run, uint32_t image, struct mammo_marks *out,
                      struct err *err)
{
    const struct image *img = &run->set->images[image];
    const size_t pixels = (size_t)img->dim[0] * img->dim[1];
    float *values = arena_alloc(run->arena, pixels, sizeof *values), most = 0;
    out->marks = arena_alloc(run->arena, 9, sizeof *out->marks);
    if (!values || !out->marks || !made_skin(run, img, out))
        return err_set(err, ERR_NOMEM, "no memory for marks");
    if (!image_read_slice(run->set, img, 0, 0, values, err))
        return false;
    for (size_t i = 0; i < pixels; i++)
        most = fmaxf(most, values[i]);
    out->pixel_mm = img->spacing[0];
    out->lies = 'L';
    out->has_nipple = true;
    out->nipple[0] = (float)img->dim[0] / 2;
    out->nipple[1] = (float)img->dim[1] / 2;
    out->breast_mm2 = 4000;
    out->percent = 30;
    out->percent_range[0] = 26;
    out->percent_range[1] = 40;
    if (most == 3011)
        out->no_masses = out->no_clusters = "the made reason";
    if (most == 3010)
        out->refused = "no breast is seen";
    for (int n = 0; !out->refused && !out->no_masses && n < (int)most - 3000; n++)
        if (!made_mark(run, n == 1 ? MAMMO_CLUSTER : MAMMO_MASS, (float)(20 + 10 * n), 30,
                       &out->marks[out->mark_count++]))
            return err_set(err, ERR_NOMEM, "no memory for marks");
    out->rejected[MAMMO_CLUSTER][MAMMO_VESSEL] = 4;
    return true;
}

static enum stage_end made_run(const struct stage_run *run, struct findings *f, struct err *err)
{
    static const struct mammo_cuts cuts = {{25, 50, 75}};
    struct mammo_exam exam;
    struct mammo_marks *marks =
        arena_alloc(run->arena, (size_t)run->slots[0].image_count + 1, sizeof *marks);
    if (!marks || !mammo_exam_read(run, 0, &exam)) {
        err_set(err, ERR_NOMEM, "no memory for an exam");
        return STAGE_BROKEN;
    }
    for (uint32_t i = 0; i < exam.count; i++)
        if (!exam.images[i].aside && !made_find(run, exam.images[i].image, &marks[i], err))
            return STAGE_BROKEN;
    return mammo_report(run, &exam, marks, &cuts, f);
}

static const struct stage_accept made_accepts[] = {{"Modality", "MG"}, {0}};
static const struct stage_input_spec made_inputs[] = {
    {"views", "Mammograms", INPUT_MANY, IMAGE_NO_AXIS, false, made_accepts},
};
static const struct stage stage_marks = {
    .name = "shape-marks",
    .title = "Marks on mammograms",
    .version = "1",
    .slot = 93,
    .help = "Marks that are made, not found.",
    .scope = SCOPE_STUDY,
    .inputs = made_inputs,
    .input_count = 1,
    .results = RESULT_SR | RESULT_GSPS | RESULT_SC,
    .report = REPORT_MAMMO_CAD,
    .run = made_run,
};

__attribute__((constructor)) static void marks_register(void)
{
    stage_register(&stage_marks);
}
