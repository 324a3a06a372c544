#include "compute/stages/lungs/lungs.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/image/kind.h"
#include "compute/image/convolution.h"
#include "compute/image/load.h"
#include "compute/stages/lungs/lungs_density.h"
#include "compute/stages/lungs/lungs_find.h"
#include "compute/stages/lungs/lungs_report.h"

enum { P_AIR, P_MAX_SLICE, P_MIN_VOLUME, P_MAX_VOLUME, P_COUNT };

static const struct stage_param params[P_COUNT] = {
    [P_AIR] = {"air_hu", "[hnsf'U]", "Highest attenuation of lung at its surface.", PARAM_NUMBER,
               -700, -300, -500, NULL},
    [P_MAX_SLICE] = {"max_slice_mm", "mm", "Wider spaced slices are not evaluated.", PARAM_NUMBER,
                     1, 10, 6, NULL},
    // Predicted values with their 90 % ranges (Quanjer 1993): the residual volume of a small woman
    // is 0.5 L, the total capacity of a man of 2 m is 10 L, to which a fifth is added for
    // emphysema.
    [P_MIN_VOLUME] = {"min_volume_ml", "mL", "Smaller lungs are not believed.", PARAM_NUMBER, 100,
                      2000, 500, NULL},
    [P_MAX_VOLUME] = {"max_volume_ml", "mL", "Larger lungs are not believed.", PARAM_NUMBER, 5000,
                      20000, 12000, NULL},
};

static const uint32_t slices_min = 10;
static const double pixel_max_mm = 5; // coarser ones show no main bronchus (12 mm)
static const double thin_mm = 2; // density indices depend on thickness above (QIBA: at most 1 mm)
static const double gap = 1.1;   // of the thickness, from slice to slice

struct job {
    const struct stage_run *run;
    struct findings *f;
    struct err *err;
    const struct image *v;
    uint32_t image; // index in the set
    const struct param_value *p;
    struct image_said thickness, kernel, contrast;
    struct image_nature nature;
};

// Refusals below return false through this: the job is done, the machine is fine.
#define REFUSE(job, ...) (findings_refuse((job)->f, VERDICT_NOT_EVALUABLE, __VA_ARGS__), false)

static bool along(const struct image *v, int axis, const char *directions)
{
    const char d = image_direction(v, axis);
    return d == directions[0] || d == directions[1];
}

// What the pixels are. False: refused.
static bool check_chest(struct job *j)
{
    const struct image *v = j->v;
    char text[128];
    if (strcmp(v->unit, "[hnsf'U]") != 0) {
        struct image_said type;
        image_said(j->run->set, v, "RescaleType", &type);
        return REFUSE(j, "not a CT in Hounsfield units (Rescale Type %s): HU is needed", type.text);
    }
    if (v->dim[3] > 1)
        return REFUSE(j, "%s: phases or reconstructions are mixed; send one of them alone",
                      image_points_text(v, text, sizeof text));
    if (v->dim[2] < slices_min)
        return REFUSE(j, "%u slices do not show lungs (at least %u)", v->dim[2], slices_min);
    if (!along(v, 2, "HF"))
        return REFUSE(j, "slices are not axial");
    if (!along(v, 0, "LR") || !along(v, 1, "AP"))
        return REFUSE(j,
                      "rows run from front to back, not from side to side: a patient on the side "
                      "is not evaluated");
    if (v->spacing[0] > pixel_max_mm || v->spacing[1] > pixel_max_mm)
        return REFUSE(j, "pixels of %.2f x %.2f mm are too coarse (limit %.1f mm)", v->spacing[1],
                      v->spacing[0], pixel_max_mm);
    if (v->spacing[2] > j->p[P_MAX_SLICE].number * 1.01)
        return REFUSE(j, "slices lie %.2f mm apart (limit %.1f mm)", v->spacing[2],
                      j->p[P_MAX_SLICE].number);
    return true;
}

// Volume and density need air and tissue as the scanner reconstructed them. False: refused.
static bool check_nature(struct job *j)
{
    char text[320];
    if (j->nature.kind <= IMAGE_MIXED)
        return true;
    return REFUSE(j,
                  "%s: its values are no attenuation as acquired; the images that the scanner "
                  "reconstructed are needed",
                  image_nature_text(&j->nature, text, sizeof text));
}

// What the names of series and protocol say about the breath: 'i' in, 'e' out, 0 nothing.
static char breath_said(const struct job *j)
{
    static const char *const names[] = {"SeriesDescription", "ProtocolName"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct image_said said;
        image_said(j->run->set, j->v, names[i], &said);
        if (strcasestr(said.text, "expir")) // of any slice
            return 'e';
        if (said.state == IMAGE_ATTR_SAME && strcasestr(said.text, "inspir"))
            return 'i';
    }
    return 0;
}

// The names of the kernels that any slice has, where one of them is sharp.
static bool any_kernel_is_sharp(const struct job *j)
{
    for (uint32_t k = 0; k < j->v->dim[2]; k++) {
        const uint32_t frame = image_frame_at(j->v, k, 0);
        const struct attrs *a = frame == IMAGE_NO_FRAME ? NULL : j->run->set->frames[frame].attrs;
        const char *kernel = a ? attrs_get(a, "ConvolutionKernel") : NULL;
        if (image_kernel_sharpness(kernel) >= IMAGE_KERNEL_SHARP)
            return true;
    }
    return false;
}

static bool add_kernel_warnings(struct job *j)
{
    struct findings *f = j->f;
    bool ok = true;
    if (j->kernel.state == IMAGE_ATTR_ABSENT)
        return findings_add_warning(f, "Convolution kernel not stated");
    if (j->kernel.state == IMAGE_ATTR_DIFFERS)
        ok = findings_add_warning(f, "Convolution Kernel differs between slices: %s",
                                  j->kernel.text);
    if (ok && any_kernel_is_sharp(j))
        ok = findings_add_warning(
            f, "Sharp kernel %s: shares below -950 and -910 HU are too high, Perc15 is too low",
            j->kernel.text);
    return ok;
}

static bool add_thickness_warnings(struct job *j)
{
    const struct image_said *t = &j->thickness;
    struct findings *f = j->f;
    const double increment = j->v->spacing[2];
    bool ok = true;
    if (!(t->high > 0))
        return findings_add_warning(f, "Slice thickness not stated%s%s",
                                    *t->first ? ": it is " : "", *t->first ? t->text : "");
    if (t->state == IMAGE_ATTR_DIFFERS || t->comma)
        ok = findings_add_warning(
            f, "Slice Thickness %s: %s",
            t->comma ? "with a comma for a decimal point" : "differs between slices", t->text);
    if (ok && t->high > thin_mm)
        ok = findings_add_warning(
            f, "Slices %.2f mm thick (limit %.0f mm): density indices are biased", t->high,
            thin_mm);
    if (ok && increment > gap * t->low)
        ok = findings_add_warning(f, "Gaps between slices: %.2f mm thick, %.2f mm apart", t->low,
                                  increment);
    return ok;
}

// What the headers give reason to say.
static bool add_header_warnings(struct job *j)
{
    struct findings *f = j->f;
    const char breath = breath_said(j);
    char text[320];
    bool ok = true;
    if (breath == 'e')
        ok =
            findings_add_warning(f, "Expiration: the limits of emphysema hold in full inspiration");
    else if (breath != 'i')
        ok = findings_add_warning(
            f, "Level of inspiration not stated: volume and density depend on it");
    ok = ok && add_kernel_warnings(j) && add_thickness_warnings(j);
    if (ok && j->contrast.state == IMAGE_ATTR_DIFFERS)
        ok = findings_add_warning(f, "Contrast agent differs between slices: %s", j->contrast.text);
    if (ok && j->contrast.state != IMAGE_ATTR_ABSENT)
        ok = findings_add_warning(f, "Contrast agent named: densities are raised");
    if (ok && j->nature.kind != IMAGE_ACQUIRED)
        ok = findings_add_warning(f,
                                  "Not as acquired: %s; densities may differ from those of the "
                                  "acquired images",
                                  image_nature_text(&j->nature, text, sizeof text));
    if (ok && j->nature.multi_energy)
        ok = findings_add_warning(f,
                                  "Acquired with several energies: densities may differ from those "
                                  "at 120 kV");
    return ok;
}

static bool add_lung_warnings(struct job *j, const struct lungs *l)
{
    struct findings *f = j->f;
    bool ok = true;
    if (l->cut_head || l->cut_feet)
        ok = findings_add_warning(
            f, "The scan cuts the lungs%s%s%s", l->cut_head ? " at the head" : "",
            l->cut_head && l->cut_feet ? " and" : "", l->cut_feet ? " at the feet" : "");
    if (ok && l->cut_border)
        ok = findings_add_warning(f, "The field of view cuts the lungs");
    if (ok && !l->airways_found)
        ok = findings_add_warning(f, "Trachea not found: airways are part of the lungs");
    if (ok && l->parting == LUNGS_MIDLINE)
        ok = findings_add_warning(f, "The lungs touch: told apart at the middle of the body");
    if (ok && l->parting == LUNGS_ONE)
        ok = findings_add_warning(
            f, "One lung only: the other is absent, not aerated or outside the field of view");
    return ok;
}

static bool add_lung_facts(struct job *j, const struct lungs *l)
{
    struct findings *f = j->f;
    const struct image *v = j->v;
    const char *maker = image_text(j->run->set, v, "Manufacturer");
    bool ok = findings_add_fact(f, "Slices %.2f mm apart; pixels %.3f x %.3f mm", v->spacing[2],
                                v->spacing[1], v->spacing[0]);
    ok = ok && findings_add_fact(f, "Slice Thickness %s%s", j->thickness.text,
                                 j->thickness.state == IMAGE_ATTR_SAME ? " mm" : "");
    ok = ok && findings_add_fact(f, "Kernel %s", j->kernel.text);
    if (ok && *maker)
        ok = findings_add_fact(f, "Scanner %s %s", maker,
                               image_text(j->run->set, v, "ManufacturerModelName"));
    ok = ok && findings_add_fact(f,
                                 "Lung: air of at most %g HU inside the body, with the vessels "
                                 "it encloses",
                                 j->p[P_AIR].number);
    ok = ok && findings_add_fact(f, "Density: of every voxel of a lung, neither smoothed nor "
                                    "corrected for volume; LAA-950, LAA-910: share below that "
                                    "many HU");
    if (ok && l->airways_found)
        ok = findings_add_fact(f, "Airways left out, followed at up to %.0f HU", l->airways_hu);
    if (ok && l->parting == LUNGS_ERODED)
        ok = findings_add_fact(f, "The lungs touch: parted where they are thinnest");
    return ok;
}

static bool measure(struct job *j, const struct gpu_volume *hu, const struct lungs *l,
                    struct lungs_result *r)
{
    const struct image *v = j->v;
    uint32_t *counts = arena_alloc(j->run->arena, LUNGS_SIDES * LUNGS_VALUES, sizeof *counts);
    uint64_t *wide = arena_alloc(j->run->arena, LUNGS_VALUES, sizeof *wide);
    uint64_t *both = arena_alloc(j->run->arena, LUNGS_VALUES, sizeof *both);
    if (!counts || !wide || !both)
        return err_set(j->err, ERR_NOMEM, "lungs: no memory for the histogram");
    const struct gpu_mask *const sides[LUNGS_SIDES] = {l->side[LUNGS_RIGHT], l->side[LUNGS_LEFT]};
    if (!lungs_histogram(j->run->gpu, hu, sides, counts, j->err))
        return false;
    for (int side = 0; side < LUNGS_SIDES; side++) {
        for (int n = 0; n < LUNGS_VALUES; n++) {
            wide[n] = counts[side * LUNGS_VALUES + n];
            both[n] += wide[n];
        }
        lungs_density(wide, &r->density[side]);
    }
    lungs_density(both, &r->total);
    r->lungs = l;
    r->counts = counts;
    r->voxel_ml = v->spacing[0] * v->spacing[1] * v->spacing[2] / 1000;
    return true;
}

// False: refused.
static bool check_volume(struct job *j, const struct lungs_result *r)
{
    const double ml = (double)r->total.voxels * r->voxel_ml;
    if (ml < j->p[P_MIN_VOLUME].number || ml > j->p[P_MAX_VOLUME].number)
        return REFUSE(j, "lungs of %.0f mL are implausible (%.0f to %.0f mL)", ml,
                      j->p[P_MIN_VOLUME].number, j->p[P_MAX_VOLUME].number);
    return true;
}

// With lungs measured. False: the machine failed. A refusal is true.
static bool report_lungs(struct job *j, const struct lungs *l, const struct lungs_result *r)
{
    const struct stage_run *run = j->run;
    if (!add_lung_warnings(j, l) || !add_lung_facts(j, l))
        return err_set(j->err, ERR_NOMEM, "lungs: warnings");
    if (!check_volume(j, r))
        return true;
    return stage_step(run, "reporting", 0.8, j->err) &&
           lungs_report(j->f, run->set, j->image, r, j->err);
}

// Everything that needs the device. False: the machine failed. A refusal is true.
static bool find_and_measure(struct job *j)
{
    const struct stage_run *run = j->run;
    struct lungs lungs = {0};
    struct lungs_result result = {0};
    const char *why = "";
    if (!stage_step(run, "decoding", 0, j->err))
        return false;
    struct gpu_volume *hu = image_load(run->gpu, run->set, j->v, 0, IMAGE_I16, j->err);
    bool ok = hu && stage_step(run, "finding the lungs", 0.4, j->err) &&
              lungs_find(run->gpu, hu, j->v, j->p[P_AIR].number, run->arena, &lungs, &why, j->err);
    if (ok && !*why)
        ok = stage_step(run, "measuring", 0.7, j->err) && measure(j, hu, &lungs, &result);
    gpu_volume_destroy(hu); // before the label map of its size is made
    if (ok && *why)
        findings_refuse(j->f, VERDICT_NOT_EVALUABLE, "%s", why);
    else if (ok)
        ok = report_lungs(j, &lungs, &result);
    lungs_finish(&lungs);
    return ok;
}

static enum stage_end run_lungs(const struct stage_run *r, struct findings *out, struct err *err)
{
    struct job j = {.run = r, .f = out, .err = err, .p = r->params};
    j.image = r->slots[0].images[0];
    j.v = &r->set->images[j.image];
    image_said(r->set, j.v, "SliceThickness", &j.thickness);
    image_said(r->set, j.v, "ConvolutionKernel", &j.kernel);
    image_said(r->set, j.v, "ContrastBolusAgent", &j.contrast);
    image_nature(r->set, j.v, &j.nature);
    out->page.title = "Lung volume and density";
    out->procedure = (struct code){"24627-2", "LN", "CT Chest"};
    bool ok = true;
    if (check_chest(&j) && check_nature(&j)) {
        ok = add_header_warnings(&j) || err_set(err, ERR_NOMEM, "lungs: warnings");
        ok = ok && find_and_measure(&j);
    }
    if (!ok)
        return STAGE_BROKEN;
    return out->verdict == VERDICT_NOT_EVALUABLE ? STAGE_REFUSED : STAGE_DONE;
}

static const struct stage_accept accepts[] = {{"Modality", "CT"}, {0}};
static const struct stage_preference prefers[] = {
    {"ImageType", {"ORIGINAL", NULL}, 0, "as acquired", NULL},
    {"ConvolutionKernel", {NULL}, 0, "soft kernel", image_kernel_is_soft},
    {"SliceThickness", {"> 0", "<= 2"}, 1, "thin slices", NULL},
    {0},
};
static const struct stage_input_spec inputs[] = {
    {"scan", "CT of the whole chest in full inspiration", INPUT_ONE, IMAGE_NO_AXIS, true, accepts,
     prefers},
};
static const struct kernel_group *const kernels[] = {
    &kernels_shrink,     &kernels_masks, &kernels_ball, &kernels_coarse,
    &kernels_components, &kernels_lungs, NULL};

const struct stage stage_lungs = {
    .name = "lungs",
    .title = "Lung volume and density",
    .version = "5",
    .slot = 2,
    .help = "Volume of each lung, its mean density, share below -950 and -910 HU, and Perc15.",
    .scope = SCOPE_SERIES,
    .inputs = inputs,
    .input_count = 1,
    .results = RESULT_SR | RESULT_GSPS | RESULT_SC | RESULT_SEG | RESULT_PDF,
    .report = REPORT_MEASUREMENTS,
    .params = params,
    .param_count = P_COUNT,
    .kernels = kernels,
    .run = run_lungs,
};
