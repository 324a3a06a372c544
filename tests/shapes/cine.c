// shape-cine: an analysis of the tests' own. The cine series of a study, one a slice, make one
// stack with phases; series in another plane are set aside. Bright voxels are a region in every
// phase. It gives curves over the phases, the standard deviation over time as a float map, a label
// map a phase and a moving picture. That is no medicine: it proves that such a shape goes through
// the node.
#include <math.h>
#include <stdio.h>
#include "compute/draw/picture.h"
#include "compute/image/load.h"
#include "compute/image/peek.h"
#include "compute/stages/stage.h"

// Sources: PS3.16 CID 7464 (derivations), 7150, 7151; UCUM.
static const struct code signal_code = {"SIGNAL", "99TEST", "Signal intensity"}; // no code exists
static const struct code volume_code = {"118565006", "SCT", "Volume"};
static const struct code mean_code = {"373098007", "SCT", "Mean"};
static const struct code maximum = {"56851009", "SCT", "Maximum"};
static const struct code minimum = {"255605001", "SCT", "Minimum"};
static const struct code deviation = {"386136009", "SCT", "Standard Deviation"};
static const struct code unit_one = {"1", "UCUM", "no units"};
static const struct code unit_mm3 = {"mm3", "UCUM", "cubic millimeter"};
static const struct code anatomical = {"123037004", "SCT", "Anatomical Structure"};
static const struct code ventricle = {"87878005", "SCT", "Left ventricle of heart"};
static const struct code cardiac_mr = {"241620005", "SCT", "Magnetic resonance imaging of heart"};

enum { P_THRESHOLD, P_COUNT };
static const struct stage_param cine_params[P_COUNT] = {
    [P_THRESHOLD] = {.name = "threshold",
                     .unit = "1",
                     .help = "Signal from which on a voxel is bright.",
                     .type = PARAM_NUMBER,
                     .max = 32767,
                     .def = 500},
};
static const struct stage_accept cine_accepts[] = {{"Modality", "MR"}, {0}};
static const struct stage_input_spec cine_inputs[] = {
    {"cine", "Cine series of the heart, one a slice", INPUT_MANY, IMAGE_PHASE, true, cine_accepts},
};

struct cine_job {
    const struct stage_run *run;
    struct findings *f;
    uint32_t image;
    const struct image *img;
    size_t voxels;
    double *sum, *squares;        // [voxels] over the phases
    double *at, *means, *volumes; // [phases]
    double mean_deviation;
};

static bool cine_allocate(struct cine_job *j, struct err *err)
{
    struct arena *arena = j->run->arena;
    const uint32_t phases = j->img->dim[3];
    j->voxels = image_voxels(j->img);
    j->sum = arena_alloc(arena, j->voxels, sizeof *j->sum);
    j->squares = arena_alloc(arena, j->voxels, sizeof *j->squares);
    j->at = arena_alloc(arena, phases, sizeof *j->at);
    j->means = arena_alloc(arena, phases, sizeof *j->means);
    j->volumes = arena_alloc(arena, phases, sizeof *j->volumes);
    return (j->sum && j->squares && j->at && j->means && j->volumes) ||
           err_set(err, ERR_NOMEM, "no memory for %u phases", phases);
}

static double cine_voxel_mm3(const struct image *img)
{
    return img->spacing[0] * img->spacing[1] * img->spacing[2];
}

// Adds a slice of a phase up and marks what is bright.
static void cine_add_slice(struct cine_job *j, uint32_t phase, uint32_t k, const float *values,
                           uint16_t *labels)
{
    const size_t pixels = (size_t)j->img->dim[0] * j->img->dim[1], first = pixels * k;
    const double threshold = j->run->params[P_THRESHOLD].number;
    for (size_t i = 0; i < pixels; i++) {
        const double value = (double)values[i];
        j->sum[first + i] += value;
        j->squares[first + i] += value * value;
        j->means[phase] += value / (double)j->voxels;
        if (value >= threshold) {
            labels[first + i] = 1;
            j->volumes[phase] += cine_voxel_mm3(j->img);
        }
    }
}

static bool cine_read_phase(struct cine_job *j, uint32_t phase, struct err *err)
{
    const struct stage_run *r = j->run;
    struct label_map *map = findings_add_labels(j->f, r->set, j->image, phase);
    struct gpu_volume *volume =
        map && map->labels ? image_load(r->gpu, r->set, j->img, phase, IMAGE_F32, err) : NULL;
    struct peek *peek = volume ? peek_create(volume, 1, err) : NULL;
    bool ok = peek || (map && map->labels) || err_set(err, ERR_NOMEM, "no memory for labels");
    ok = ok && peek;
    for (uint32_t k = 0; ok && k < j->img->dim[2]; k++) {
        const float *values = peek_slice(peek, k, err);
        ok = values != NULL;
        if (ok)
            cine_add_slice(j, phase, k, values, map->labels);
        const double at = j->img->at[(size_t)phase * j->img->dim[2] + k];
        j->at[phase] += at / j->img->dim[2];
    }
    peek_destroy(peek);
    gpu_volume_destroy(volume);
    return ok;
}

static void cine_add_map(struct cine_job *j)
{
    struct value_map *map = findings_add_map(j->f, j->run->set, j->image);
    if (!map || !map->values)
        return;
    float top = 0;
    for (size_t i = 0; i < j->voxels; i++) {
        const double n = j->img->dim[3], mean = j->sum[i] / n;
        const double variance = j->squares[i] / n - mean * mean;
        map->values[i] = (float)sqrt(fmax(variance, 0));
        j->mean_deviation += (double)map->values[i] / (double)j->voxels;
        top = fmaxf(top, map->values[i]);
    }
    map->name = "deviation";
    map->title = "Standard deviation over the phases";
    map->quantity = signal_code;
    map->unit = unit_one;
    map->derivation = deviation;
    map->palette = PALETTE_HOT;
    map->window[0] = (double)top / 2;
    map->window[1] = top > 0 ? (double)top : 1;
}

static void cine_add_region(struct findings *f)
{
    struct region *r = findings_add_region(f);
    if (r)
        *r = (struct region){.label = "Bright",
                             .category = anatomical,
                             .type = ventricle,
                             .rgb = {230, 60, 60},
                             .automatic = true,
                             .group = 0};
}

static void cine_add_group(struct cine_job *j, double least, double most)
{
    struct finding_group *g = findings_add_group(j->f);
    if (!g)
        return;
    g->label = "Bright";
    g->finding = ventricle;
    g->site = ventricle;
    g->region = 0;
    g->has_key = true;
    g->key = (struct place){j->image, j->img->dim[2] / 2, 0};
    findings_add_number(j->f, g, &volume_code, most, 1, &unit_mm3, &maximum);
    findings_add_number(j->f, g, &volume_code, least, 1, &unit_mm3, &minimum);
    findings_add_number(j->f, g, &signal_code, j->mean_deviation, 3, &unit_one, &mean_code);
}

static void cine_add_curve(struct cine_job *j, const char *title, const char *name,
                           const char *unit, const double *y)
{
    struct curve *c = findings_add_curve(j->f);
    if (!c)
        return;
    c->title = title;
    c->x_name = "Trigger delay";
    c->x_unit = "ms";
    c->y_name = name;
    c->y_unit = unit;
    struct curve_line *line = findings_add_line(j->f, c, name, j->at, y, j->img->dim[3]);
    if (line)
        line->marks = true;
}

static void cine_add_page(struct cine_job *j, double least, double most)
{
    struct findings *f = j->f;
    f->page.headline = arena_printf(f->arena, "%u slices, %u phases: %.1f to %.1f mm3",
                                    j->img->dim[2], j->img->dim[3], least, most);
    f->no_memory = f->no_memory || !f->page.headline;
    struct page_image *p = findings_add_image(f);
    if (p) {
        p->place = (struct place){j->image, j->img->dim[2] / 2, 0};
        p->caption = "First phase";
        p->map = -1;
        p->regions = true;
    }
    p = findings_add_image(f);
    if (p) {
        p->place = (struct place){j->image, j->img->dim[2] / 2, 0};
        p->caption = "Standard deviation";
        p->map = 0;
    }
    cine_add_curve(j, "Mean signal", "Mean", "", j->means);
    cine_add_curve(j, "Volume of what is bright", "Volume", "mm3", j->volumes);
}

static bool cine_report(struct cine_job *j, struct err *err)
{
    double least = INFINITY, most = 0;
    for (uint32_t p = 0; p < j->img->dim[3]; p++) {
        least = fmin(least, j->volumes[p]);
        most = fmax(most, j->volumes[p]);
    }
    cine_add_map(j);
    cine_add_region(j->f);
    cine_add_group(j, least, most);
    cine_add_page(j, least, most);
    const struct picture_wish wish = {.name = "cine1",
                                      .product = "cine",
                                      .title = "The middle slice over the phases",
                                      .place = {j->image, j->img->dim[2] / 2, 0},
                                      .map = -1,
                                      .regions = true};
    return findings_ok(j->f, err) && picture_cine(j->f, j->run->set, &wish, err);
}

static enum stage_end cine_run(const struct stage_run *r, struct findings *f, struct err *err)
{
    struct cine_job j = {.run = r, .f = f};
    f->page.title = "Motion over the phases";
    f->procedure = cardiac_mr;
    j.img = stage_stack(r, 0, f, &j.image);
    if (!j.img)
        return STAGE_REFUSED;
    if (j.img->dim[2] < 2)
        return stage_refuse(f, "one slice only: it has no volume");
    if (!cine_allocate(&j, err))
        return STAGE_BROKEN;
    f->verdict = VERDICT_DONE;
    f->reason = "";
    for (uint32_t p = 0; p < j.img->dim[3]; p++) {
        if (!stage_step(r, "reading phases", 0.8 * p / j.img->dim[3], err) ||
            !cine_read_phase(&j, p, err))
            return STAGE_BROKEN;
    }
    return stage_step(r, "drawing", 0.8, err) && cine_report(&j, err) ? STAGE_DONE : STAGE_BROKEN;
}

static const struct stage stage_cine = {
    .name = "shape-cine",
    .title = "Motion over the phases",
    .version = "1",
    .slot = 92,
    .help = "How bright voxels change over the phases of a cine stack.",
    .scope = SCOPE_STUDY,
    .inputs = cine_inputs,
    .input_count = 1,
    .results = RESULT_SR | RESULT_SC | RESULT_SEG | RESULT_PMAP,
    .report = REPORT_MEASUREMENTS,
    .params = cine_params,
    .param_count = P_COUNT,
    .run = cine_run,
};

__attribute__((constructor)) static void cine_register(void)
{
    stage_register(&stage_cine);
}
