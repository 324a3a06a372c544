#include "compute/stages/cardiac/cardiac.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/stages/cardiac/cardiac_report.h"

enum { P_CONTOURS, P_COUNT };
enum { CONTOURS_ED_ES, CONTOURS_ALL };
static const char *const contours[] = {"ed-es", "all", NULL};
static const struct stage_param cardiac_params[P_COUNT] = {
    [P_CONTOURS] = {"contours", "", "Phases whose images get contours: ed-es, or all.",
                    PARAM_CHOICE, 0, 0, CONTOURS_ED_ES, contours, NULL, NULL},
};

static const uint32_t phases_min = 10; // fewer miss end systole by more than 50 ms at 60 a minute
static const uint32_t slices_min = 4;  // of the stack
static const uint32_t good_min = 3;    // slices whose contours can be trusted
static const double poor_most = 0.25;  // of the slices of the ventricle
static const double gap_most_mm = 16;
static const double box_mm = 70; // half of the box around the heart in which rings are sought
static const double ring_step_mm = 4;
static const double ring_phase[2] = {0, 0.35}; // about end diastole and end systole

struct cardiac_job {
    const struct stage_run *run;
    struct findings *f;
    struct err *err;
    const struct image *v;
    uint32_t image;
    struct cardiac_cine cine;
    struct cardiac_rings rings[2];
    struct cardiac_ventricle ventricle;
    struct cardiac_segments segments;
};

#define CARDIAC_REFUSE(j, ...) (findings_refuse((j)->f, VERDICT_NOT_EVALUABLE, __VA_ARGS__), false)

static bool cardiac_memory(const struct cardiac_job *j)
{
    return err_set(j->err, ERR_NOMEM, "cardiac: no memory");
}

// ---- The stack ----------------------------------------------------------------------------------

static bool is_cine(const struct image *v)
{
    return v->placed && !v->colour && v->dim[3] >= phases_min &&
           (v->axis == IMAGE_PHASE || v->axis == IMAGE_TIME || v->axis == IMAGE_ORDER);
}

static const char *why_not_used(const struct image *v)
{
    if (!v->placed)
        return "without a place in space";
    if (v->dim[3] < 2)
        return "no cine: one image of each place";
    if (!is_cine(v))
        return "no cine: too few phases";
    return v->dim[2] < slices_min ? "a cine of another plane, or too few slices of it"
                                  : "another cine than the one with the most slices";
}

static bool exclude_other_image(struct cardiac_job *j, uint32_t index)
{
    const struct image_set *set = j->run->set;
    const struct image *v = &set->images[index];
    struct exclusion *e = findings_add_exclusion(j->f);
    const char *name = image_text(set, v, "SeriesDescription");
    if (!e)
        return cardiac_memory(j);
    e->what = arena_printf(j->f->arena, "%s (%u images)", *name ? name : "series",
                           v->dim[2] * v->dim[3] - v->missing);
    e->reason = why_not_used(v);
    e->has_place = v->frame[0] != IMAGE_NO_FRAME;
    e->place.image = index;
    return e->what || cardiac_memory(j);
}

// The cine with the most slices; the others become exclusions.
static bool choose_cine(struct cardiac_job *j)
{
    const struct stage_slot *s = &j->run->slots[0];
    bool ok = true, cine = false;
    for (uint32_t n = 0; n < s->image_count; n++) {
        const struct image *v = &j->run->set->images[s->images[n]];
        cine = cine || is_cine(v);
        if (is_cine(v) && v->dim[2] >= slices_min && (!j->v || v->dim[2] > j->v->dim[2])) {
            j->v = v;
            j->image = s->images[n];
        }
    }
    for (uint32_t n = 0; ok && n < s->image_count; n++) {
        if (!j->v || s->images[n] != j->image)
            ok = exclude_other_image(j, s->images[n]);
    }
    if (!ok)
        return false;
    if (!j->v)
        return cine ? CARDIAC_REFUSE(j, "no short-axis stack: no cine of %u slices or more",
                                     slices_min)
                    : CARDIAC_REFUSE(j, "no cine: no images of %u phases or more", phases_min);
    return true;
}

// A slice may have fewer phases than others, but none in between.
static bool check_phases(struct cardiac_job *j)
{
    const struct image *v = j->v;
    for (uint32_t k = 0; k < v->dim[2]; k++) {
        uint32_t count = 0, last = 0;
        for (uint32_t p = 0; p < v->dim[3]; p++) {
            const bool there = image_frame_at(v, k, p) != IMAGE_NO_FRAME;
            count += there;
            last = there ? p + 1 : last;
        }
        if (count != last)
            return CARDIAC_REFUSE(j, "slice %u lacks %u of its %u phases", k + 1, last - count,
                                  last);
        if (count < phases_min)
            return CARDIAC_REFUSE(j, "slice %u has %u phases (at least %u)", k + 1, count,
                                  phases_min);
    }
    return true;
}

static bool check_cine(struct cardiac_job *j)
{
    const struct image *v = j->v;
    if (v->defect[0])
        return CARDIAC_REFUSE(j, "%s", v->defect);
    if (!(v->spacing[2] > 0) || v->spacing[2] > gap_most_mm)
        return CARDIAC_REFUSE(j, "slices are %.1f mm apart (at most %.0f mm)", v->spacing[2],
                              gap_most_mm);
    return check_phases(j);
}

// Whether slice 0 is towards the base: the apex lies to the left, in front and below of it.
static bool base_is_first(const struct image *v)
{
    const double down[3] = {0.577, -0.577, -0.577};
    double sum = 0;
    for (int a = 0; a < 3; a++)
        sum += v->to_patient[a][2] * down[a];
    return sum > 0;
}

// ---- Finding it ---------------------------------------------------------------------------------

static bool load_step(void *ctx, double done, struct err *err)
{
    const struct cardiac_job *j = ctx;
    return stage_step(j->run, "decoding", 0.6 * done, err);
}

static bool find_centres(struct cardiac_job *j, struct cardiac_centre *centres)
{
    const struct cardiac_cine *c = &j->cine;
    double heart[2];
    if (!cardiac_heart_find(c, heart))
        return CARDIAC_REFUSE(j, "nothing moves over the phases");
    for (int n = 0; n < 2; n++) {
        struct cardiac_rings *r = &j->rings[n];
        const uint32_t size[2] = {c->columns, c->rows};
        r->step = (uint32_t)fmax(ring_step_mm / fmin(c->mm[0], c->mm[1]) + 0.5, 1);
        for (int a = 0; a < 2; a++) {
            const double low = fmax(heart[a] - box_mm / c->mm[a], 0);
            const double high = fmin(heart[a] + box_mm / c->mm[a], size[a]);
            r->from[a] = (uint32_t)low;
            r->count[a] = ((uint32_t)high - r->from[a]) / r->step + 1;
        }
        if (!cardiac_cine_rings(j->run->gpu, c, ring_phase[n], j->run->arena, r, j->err))
            return false;
    }
    return cardiac_centre_find(c, j->rings, centres) || cardiac_memory(j);
}

static bool find_ventricle(struct cardiac_job *j)
{
    struct cardiac_ventricle *v = &j->ventricle;
    const char *why = NULL;
    struct cardiac_centre *centres = arena_alloc(j->run->arena, j->cine.slices, sizeof *centres);
    if (!centres)
        return cardiac_memory(j);
    if (!stage_step(j->run, "finding the heart", 0.6, j->err) || !find_centres(j, centres) ||
        !stage_step(j->run, "finding contours", 0.65, j->err))
        return false;
    if (!cardiac_ventricle_find(&j->cine, centres, base_is_first(j->v), j->run->arena, v, &why))
        return cardiac_memory(j);
    if (why)
        return CARDIAC_REFUSE(j, "%s", why);
    if (v->used < good_min)
        return CARDIAC_REFUSE(j, "%u slices with contours that can be trusted (at least %u)",
                              v->used, good_min);
    if (v->poor > poor_most * (v->used + v->poor))
        return CARDIAC_REFUSE(j,
                              "contours of %u of %u slices of the ventricle cannot be trusted (at "
                              "most %.0f %%)",
                              v->poor, v->used + v->poor, 100 * poor_most);
    return true;
}

static bool find_segments(struct cardiac_job *j)
{
    double way[2][3];
    for (int n = 0; n < 2; n++) {
        for (int a = 0; a < 3; a++)
            way[n][a] = j->v->to_patient[a][n] / j->v->spacing[n];
    }
    return cardiac_segments_find(&j->cine, &j->ventricle, way[0], way[1], &j->segments) ||
           cardiac_memory(j);
}

// ---- What the header says -----------------------------------------------------------------------

static const double beat_covered = 0.93; // a prospective scan covers less

// ms from beat to beat; the second is that of enhanced objects.
static const char *const intervals[] = {"NominalInterval", "RRIntervalTimeNominal"};

static void read_rate(const struct cardiac_job *j, struct cardiac_result *r)
{
    const struct image_set *set = j->run->set;
    struct image_said said;
    r->rate = NAN;
    r->rate_from = "";
    image_said(set, j->v, "HeartRate", &said);
    if (said.low > 0) {
        r->rate = (said.low + said.high) / 2;
        r->rate_from = "HeartRate";
    }
    for (size_t n = 0; isnan(r->rate) && n < sizeof intervals / sizeof *intervals; n++) {
        image_said(set, j->v, intervals[n], &said);
        if (said.low > 0) {
            r->rate = 60000 / ((said.low + said.high) / 2);
            r->rate_from = intervals[n];
        }
    }
    if (!(r->rate >= 20 && r->rate <= 240)) {
        r->rate = NAN;
        r->rate_from = "";
    }
}

// Trigger times tell the step; without them the phases are taken to cover the beat.
static void read_step(const struct cardiac_job *j, struct cardiac_result *r)
{
    const struct image *v = j->v;
    const uint32_t k = j->ventricle.middle, last = j->cine.phases[k] - 1;
    r->step_s = 60 / r->rate / v->dim[3];
    r->whole_beat = true;
    if (v->axis != IMAGE_PHASE || j->cine.phases[k] != v->dim[3])
        return;
    const double from = v->at[k], to = v->at[(size_t)last * v->dim[2] + k];
    const double step_s = (to - from) / last / 1000; // of ms
    if (!(step_s > 0))
        return;
    r->step_s = step_s;
    r->whole_beat = !(step_s * v->dim[3] < beat_covered * 60 / r->rate);
}

static double body_surface(const struct cardiac_job *j)
{
    double kg = NAN, m = NAN;
    image_number(j->run->set, j->v, "PatientWeight", &kg);
    image_number(j->run->set, j->v, "PatientSize", &m);
    if (!(kg >= 2 && kg <= 350 && m >= 0.4 && m <= 2.5))
        return NAN;
    return sqrt(100 * m * kg / 3600);
}

static enum stage_end run_cardiac(const struct stage_run *run, struct findings *out,
                                  struct err *err)
{
    struct cardiac_job j = {.run = run, .f = out, .err = err};
    out->page.title = "Cardiac function";
    out->procedure = (struct code){"25056-3", "LN", "MRI unspecified body region"};
    const bool ok =
        choose_cine(&j) && check_cine(&j) &&
        cardiac_cine_load(run->gpu, run->set, j.v, load_step, &j, run->arena, &j.cine, err) &&
        find_ventricle(&j) && find_segments(&j);
    if (!ok)
        return out->verdict == VERDICT_NOT_EVALUABLE ? STAGE_REFUSED : STAGE_BROKEN;
    struct cardiac_result r = {.image = j.image,
                               .factor = cardiac_cine_factor(j.v),
                               .cine = &j.cine,
                               .v = &j.ventricle,
                               .segments = &j.segments,
                               .surface_m2 = body_surface(&j),
                               .all_phases = run->params[P_CONTOURS].choice == CONTOURS_ALL};
    read_rate(&j, &r);
    read_step(&j, &r);
    return cardiac_report(out, run, &r, err) ? STAGE_DONE : STAGE_BROKEN;
}

static const struct stage_accept cardiac_accepts[] = {{"Modality", "MR"}, {0}};
static const struct stage_input_spec cardiac_inputs[] = {
    {"cine", "Short-axis cine MR of the heart, one series a slice or all in one", INPUT_MANY,
     IMAGE_PHASE, true, cardiac_accepts, NULL},
};
static const struct kernel_group *const cardiac_kernels[] = {&kernels_smooth, &kernels_cardiac,
                                                             NULL};

const struct stage stage_cardiac = {
    .name = "cardiac",
    .title = "Cardiac function",
    .version = "14",
    .slot = 4,
    .help = "Volumes, ejection fraction and mass of the left ventricle from cine MR.",
    .scope = SCOPE_STUDY,
    .inputs = cardiac_inputs,
    .input_count = 1,
    .results = RESULT_SR | RESULT_GSPS | RESULT_SC | RESULT_SEG,
    .report = REPORT_MEASUREMENTS,
    .params = cardiac_params,
    .param_count = P_COUNT,
    .kernels = cardiac_kernels,
    .run = run_cardiac,
};
