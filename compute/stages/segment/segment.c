#include "compute/stages/segment/segment.h"
#include <string.h>
#include "compute/image/convolution.h"
#include "compute/image/kind.h"
#include "compute/image/load.h"
#include "compute/stages/lungs/lungs_density.h"
#include "compute/stages/segment/segment_find.h"
#include "compute/stages/segment/segment_kernels.h"
#include "compute/stages/segment/segment_report.h"

enum { P_AIR, P_MAX_SLICE, P_COUNT };

static const struct stage_param params[P_COUNT] = {
    [P_AIR] = {"air_hu", "[hnsf'U]", "Highest attenuation of lung at its surface.", PARAM_NUMBER,
               -700, -300, -500, NULL},
    [P_MAX_SLICE] = {"max_slice_mm", "mm", "Wider spaced slices are not evaluated.", PARAM_NUMBER,
                     1, 10, 6, NULL},
};

static const uint32_t slices_min = 10;
static const double aside_least_ml = 20; // less is a finger, a tube, a bottle
static const double pixel_max_mm = 5;    // coarser ones show no rib
// Part of the left lung in both. Volunteers lying on their backs have 0.464, standard deviation
// 0.015 (Yamada et al., Respiration 2020;99:598, table 3): 2.5 of them on either side, which
// leaves out 1 healthy chest of 80.
static const double left_least = 0.4265, left_most = 0.5015;

static bool runs_along(const struct image *v, int axis, const char *directions)
{
    const char d = image_direction(v, axis);
    return d == directions[0] || d == directions[1];
}

// Refuses what is no axial CT in Hounsfield units. True: it is one.
static bool check_trunk(const struct stage_run *run, const struct image *v, struct findings *f)
{
    struct image_nature nature;
    char text[320];
    image_nature(run->set, v, &nature);
    if (strcmp(v->unit, "[hnsf'U]") != 0)
        stage_refuse(f, "not a CT in Hounsfield units");
    else if (nature.kind > IMAGE_MIXED)
        stage_refuse(f, "%s: its values are no attenuation as acquired",
                     image_nature_text(&nature, text, sizeof text));
    else if (v->dim[3] > 1 || v->duplicates)
        stage_refuse(f, "several images of one place");
    else if (v->dim[2] < slices_min)
        stage_refuse(f, "%u slices are too few (at least %u)", v->dim[2], slices_min);
    else if (!runs_along(v, 2, "HF") || !runs_along(v, 0, "LR") || !runs_along(v, 1, "AP"))
        stage_refuse(f, "slices are not axial with rows from side to side");
    else if (v->spacing[0] > pixel_max_mm || v->spacing[1] > pixel_max_mm)
        stage_refuse(f, "pixels of %.2f x %.2f mm are too coarse (limit %.1f mm)", v->spacing[1],
                     v->spacing[0], pixel_max_mm);
    else if (v->spacing[2] > run->params[P_MAX_SLICE].number * 1.01)
        stage_refuse(f, "slices lie %.2f mm apart (limit %.1f mm)", v->spacing[2],
                     run->params[P_MAX_SLICE].number);
    else
        return true;
    return false;
}

// Warns of a lung that is so small beside the other that part of it may hold no air.
static bool warn_of_small_lung(struct findings *f, const struct segments *s,
                               const struct segment_values values[SEGMENT_PARTS])
{
    const double right = (double)values[SEGMENT_RIGHT_LUNG].voxels;
    const double left = (double)values[SEGMENT_LEFT_LUNG].voxels;
    const double part = left / (left + right);
    if (part >= left_least && part <= left_most)
        return true;
    const bool is_left = part < left_least;
    return findings_add_warning(
        f,
        "The %s lung has %.1f %% of the volume of both (%.1f %% and more in health): part of it "
        "may hold no air (consolidation, effusion, tumour) and is not drawn as lung%s",
        is_left ? "left" : "right", 100 * (is_left ? part : 1 - part),
        100 * (is_left ? left_least : 1 - left_most),
        s->cut_lungs ? ", or more of it is cut off" : "");
}

static bool add_segment_notes(struct findings *f, const struct segments *s,
                              const struct segment_values values[SEGMENT_PARTS])
{
    bool ok = findings_add_fact(f, "Found by attenuation, connection and size; no trained model");
    if (ok && s->mask[SEGMENT_RIGHT_LUNG])
        ok = findings_add_fact(f, "Lung without air (consolidation, effusion, tumour) is drawn as "
                                  "the rest of the body") &&
             warn_of_small_lung(f, s, values);
    if (ok && s->cut_lungs)
        ok = findings_add_warning(f, "The scan or the field of view cuts the lungs: their volume "
                                     "is of what is shown");
    if (ok && s->lungs_touch)
        ok = findings_add_warning(f, "The lungs touch: told apart at the middle of the body");
    if (ok && s->aside_ml > aside_least_ml)
        ok = findings_add_warning(f,
                                  "Arms or objects beside the body (more than %.0f mL) are not "
                                  "drawn: no slice joins them to it",
                                  s->aside_ml);
    if (ok && s->contrast_ml > 0)
        ok = findings_add_fact(f,
                               "Even tissue of up to %.0f HU (%.0f mL) taken for contrast agent, "
                               "not for bone",
                               s->contrast_hu, s->contrast_ml);
    return ok;
}

static enum stage_end run_segment(const struct stage_run *run, struct findings *out,
                                  struct err *err)
{
    const uint32_t image = run->slots[0].images[0];
    const struct image *v = &run->set->images[image];
    struct segments s = {0};
    struct segment_values values[SEGMENT_PARTS] = {{0}};
    const char *why = "";
    out->page.title = "Segmentation of CT";
    out->procedure = (struct code){"25045-6", "LN", "CT unspecified body region"};
    if (!check_trunk(run, v, out))
        return STAGE_REFUSED;
    if (!stage_step(run, "decoding", 0, err))
        return STAGE_BROKEN;
    struct gpu_volume *hu = image_load(run->gpu, run->set, v, 0, IMAGE_I16, err);
    bool ok = hu && stage_step(run, "finding structures", 0.3, err) &&
              segment_find(run->gpu, hu, v, run->params[P_AIR].number, run->arena, &s, &why, err);
    if (ok && !*why)
        ok = stage_step(run, "measuring", 0.7, err) &&
             segment_measure(hu, &s, run->arena, values, err);
    gpu_volume_destroy(hu); // before the label map of its size is made
    if (ok && *why) {
        segment_finish(&s);
        return stage_refuse(out, "%s", why);
    }
    ok = ok && (add_segment_notes(out, &s, values) || err_set(err, ERR_NOMEM, "segment: notes")) &&
         stage_step(run, "reporting", 0.8, err) &&
         segment_report(out, run->set, image, &s, values, err);
    segment_finish(&s);
    return ok ? STAGE_DONE : STAGE_BROKEN;
}

static const struct stage_accept accepts[] = {{"Modality", "CT"}, {0}};
static const struct stage_preference prefers[] = {
    {"ImageType", {"ORIGINAL", NULL}, 0, "as acquired", NULL},
    {"ConvolutionKernel", {NULL}, 0, "soft kernel", image_kernel_is_soft},
    {0},
};
static const struct stage_input_spec inputs[] = {
    {"scan", "CT of the trunk", INPUT_ONE, IMAGE_NO_AXIS, true, accepts, prefers},
};
static const struct kernel_group *const kernels[] = {
    &kernels_shrink,     &kernels_masks, &kernels_ball,    &kernels_coarse,
    &kernels_components, &kernels_lungs, &kernels_segment, NULL};

const struct stage stage_segment = {
    .name = "segment",
    .title = "Segmentation of CT",
    .version = "3",
    .slot = 12,
    .help = "Lungs, airways, bones and fat: volume, mean and standard deviation of each.",
    .scope = SCOPE_SERIES,
    .inputs = inputs,
    .input_count = 1,
    .results = RESULT_SR | RESULT_SC | RESULT_SEG | RESULT_PDF,
    .report = REPORT_MEASUREMENTS,
    .params = params,
    .param_count = P_COUNT,
    .kernels = kernels,
    .run = run_segment,
};
