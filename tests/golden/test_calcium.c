// The calcium stage on a synthetic chest with known lesions and things that must not count. Scores
// are compared with tests/ref/calcium.c within masks of the lesions.
// Sanitized: arteries_score_as_the_plain_implementation_says
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "compute/gpu/gpu_internal.h"
#include "compute/kernels/kernels.h"
#include "compute/stages/stage.h"
#include "compute/stages/calcium/calcium.h"
#include "tests/check.h"
#include "tests/images.h"
#include "tests/ref/calcium.h"

enum { NX = 320, NY = 260, NZ = 46 };
static const double px = 1.0, dz = 3.0; // mm
enum { LM, LAD, LCX, RCA, NONE, VALVE, WALL };

struct ball {
    double x, y, z, r; // mm from the middle of the heart: to the left, the back, the head
    double hu;
    int artery;
};

// Places follow the anatomy made by make_chest(): an ellipsoid heart in fat, the root on top.
static const struct ball lesions[] = {
    {20, -14, 43, 2.4, 420, LM},        {28.8, -32, 21, 2.6, 500, LAD},
    {37.2, -31.2, 0, 2.2, 330, LAD},    {48.8, 15.9, 12, 2.5, 600, LCX},
    {44, 20, -14, 2, 380, LCX},         {-43.2, -24.9, 9, 3, 700, RCA},
    {-43.7, -15.9, -24, 2.2, 300, RCA},
};
static const struct ball distractors[] = {
    {6, -15, 30, 3, 700, VALVE}, // near the root's rim, no fat around: may be the left main artery
    {-6, -15, 30, 3, 700, NONE}, // in the middle of the root
    {18, 12, 5, 4, 800, NONE},   // mitral annulus
    {-11, -30, 41, 2.5, 600, WALL}, // of the ascending aorta, in fat: may be the right artery
    {-14, -29, 64, 2.5, 600, NONE}, // the same, too high for any artery
    {40.5, 55, 20, 3, 600, NONE},   // wall of the descending aorta
    {29, 43.5, -3, 2.5, 600, NONE}, // the same, towards the heart
    {86, 10, 20, 3, 500, NONE},     // lung
    {10, -74, 0, 3, 500, NONE},     // behind the sternum
};
enum {
    LESIONS = sizeof lesions / sizeof *lesions,
    OTHERS = sizeof distractors / sizeof *distractors
};

struct chest {
    double pool_hu, noise_hu, size;
    bool calcium, lungs, prone;
    int first, slices; // part of the slices that is there
    bool foam;         // around the patient's back
    // On the right side: its height, and from front to back half of what it takes of the lung.
    double diaphragm_mm, dome_mm;
    double recess_mm; // to the right of the middle: beyond, lung goes on beside the liver
};
static const struct chest usual = {42, 12, 1, true, true, false, 0, NZ, false, -1e6, 0, 1e6};

static struct gpu *gpu;
static uint32_t prepared; // pipelines of the row's kernels

static double noise_at(uint32_t *state)
{
    double sum = 0; // of four uniform numbers: nearly Gaussian, variance 1/3
    for (int i = 0; i < 4; i++) {
        *state = *state * 1664525u + 1013904223u;
        sum += (*state >> 8) / 16777216.0 - 0.5;
    }
    return sum * sqrt(3);
}

static double blend(double below, double above, double distance_mm)
{
    double t = fmin(fmax(0.5 - distance_mm, 0), 1); // 1 inside
    return below + (above - below) * t;
}

static double ellipse(double x, double y, double z, const double c[3], const double r[3])
{
    double a = (x - c[0]) / r[0], b = (y - c[1]) / r[1], d = (z - c[2]) / r[2];
    double least = fmin(r[0], fmin(r[1], r[2]));
    return (sqrt(a * a + b * b + d * d) - 1) * least;
}

static double heart(double x, double y, double z, double grow)
{
    const double c[3] = {0, 0, 0}, r[3] = {48 + grow, 38 + grow, 46 + grow};
    return ellipse(x, y, z, c, r);
}

static double tube(double x, double y, double cx, double cy, double r)
{
    return sqrt((x - cx) * (x - cx) + (y - cy) * (y - cy)) - r;
}

static double value_at(const struct chest *chest, double x, double y, double z)
{
    const double body[3] = {0, 0, 0}, body_r[3] = {152, 112, 1e6};
    double v = blend(chest->foam && y > 40 ? -880 : -1000, 50, ellipse(x, y, 0, body, body_r));
    if (chest->lungs) {
        for (int side = -1; side <= 1; side += 2) {
            const double c[3] = {side * 72, 4, 0}, r[3] = {58, 84, 1e6};
            if (side > 0 || z > chest->diaphragm_mm || fabs(y) > chest->dome_mm ||
                x < -chest->recess_mm)
                v = blend(v, -860, ellipse(x, y, 0, c, r));
        }
        v = blend(v, -90, heart(x, y, z, 9));
        v = blend(v, -90, fmax(fabs(x - 4) - 30, fmax(fabs(y) - 60, 0)));
    }
    v = blend(v, 400, tube(x, y, 0, 76, 19));                // spine
    v = blend(v, 400, fmax(fabs(x) - 18, fabs(y + 92) - 5)); // sternum
    v = blend(v, chest->pool_hu, tube(x, y, 28, 48, 12));    // descending aorta
    v = blend(v, chest->pool_hu, heart(x, y, z, 0));
    if (z > 10) // root and ascending aorta
        v = blend(v, chest->pool_hu, tube(x, y, -2 - 0.2 * (z - 30), -15, 16));
    return v;
}

static double with_balls(double v, const struct ball *balls, int count, double x, double y,
                         double z)
{
    for (int i = 0; i < count; i++) {
        const struct ball *b = &balls[i];
        if (fabs(x - b->x) > b->r + 1 || fabs(y - b->y) > b->r + 1)
            continue;
        double d = sqrt((x - b->x) * (x - b->x) + (y - b->y) * (y - b->y) +
                        (z - b->z) * (z - b->z) * 0.5) -
                   b->r;
        v = blend(v, b->hu, d);
    }
    return v;
}

struct grid {
    uint32_t dim[3];
    double spacing[3], to_patient[3][4];
    int16_t *stored; // HU + 1024
};

static size_t grid_voxels(const struct grid *v)
{
    return (size_t)v->dim[0] * v->dim[1] * v->dim[2];
}

// What the headers say.
struct facts {
    const char *kvp, *thickness, *options, *contrast, *unit;
    const char *sex, *age, *birth; // NULL: not stated
    bool second_of_one_place;
};

static struct made_images images, usual_images;

static size_t place_of(int n, int first, double *x, double *y, double *z)
{
    const int k = n / NX / NY + first;
    *x = (n % NX - NX / 2.0) * px;
    *y = (n / NX % NY - NY / 2.0) * px;
    *z = (k - 20) * dz;
    return (size_t)n + (size_t)first * NX * NY;
}

// Tissue of the usual chest, made once: most others are of it, with other noise or calcium.
static const float *usual_tissue(void)
{
    static float tissue[NX * NY * NZ];
    static bool made;
    for (int n = 0; !made && n < NX * NY * NZ; n++) {
        double x, y, z;
        const size_t place = place_of(n, 0, &x, &y, &z);
        tissue[place] = (float)value_at(&usual, x, y, z);
    }
    made = true;
    return tissue;
}

static bool is_of_usual_tissue(const struct chest *c)
{
    return c->pool_hu == usual.pool_hu && c->lungs == usual.lungs && c->foam == usual.foam &&
           c->diaphragm_mm == usual.diaphragm_mm && c->dome_mm == usual.dome_mm &&
           c->recess_mm == usual.recess_mm;
}

// A volume; free v.stored. prone: all three axes run the other way.
static struct grid make_chest(const struct chest *chest)
{
    struct grid v = {.dim = {NX, NY, (uint32_t)chest->slices},
                     .spacing = {px * chest->size, px * chest->size, dz * chest->size}};
    int16_t *stored = malloc(sizeof *stored * NX * NY * (size_t)chest->slices);
    uint32_t state = 7;
    const float *tissue = is_of_usual_tissue(chest) ? usual_tissue() : NULL;
    double x, y, z;
    for (int a = 0; a < 3; a++)
        v.to_patient[a][a] = chest->prone ? -v.spacing[a] : v.spacing[a];
    for (int n = 0; n < NX * NY * chest->slices; n++) {
        const size_t place = place_of(n, chest->first, &x, &y, &z);
        double hu = tissue ? tissue[place] : value_at(chest, x, y, z);
        if (chest->calcium) {
            hu = with_balls(hu, lesions, LESIONS, x, y, z);
            hu = with_balls(hu, distractors, OTHERS, x, y, z);
        }
        hu += chest->noise_hu * noise_at(&state);
        int at = chest->prone ? NX * NY * chest->slices - 1 - n : n;
        stored[at] = (int16_t)lround(hu + 1024);
    }
    v.stored = stored;
    return v;
}

static struct facts usual_scan(void)
{
    return (struct facts){.kvp = "120", .thickness = "3", .options = "ECG", .contrast = ""};
}

static void add_fact(struct attrs *a, const char *keyword, const char *value)
{
    if (*value)
        CU_ASSERT_FATAL(attrs_add(a, keyword, value));
}

// Runs the stage on a series as the node would. What was found may point to the images, which stay
// until the next call with them.
static struct findings *analyse_images(struct made_images *made, const struct grid *v,
                                       const struct facts *s, const char *option, const char *value)
{
    struct param_value params[32];
    struct err err = {0};
    const uint32_t main = 0;
    struct made_grid grid = {.dim = {v->dim[0], v->dim[1], v->dim[2], 1},
                             .intercept = -1024,
                             .unit = s->unit ? s->unit : "[hnsf'U]",
                             .stored = v->stored};
    memcpy(grid.spacing, v->spacing, sizeof grid.spacing);
    memcpy(grid.to_patient, v->to_patient, sizeof grid.to_patient);
    made_images_finish(made);
    made_images_init(made, &grid);
    add_fact(&made->attrs, "KVP", s->kvp);
    add_fact(&made->attrs, "SliceThickness", s->thickness);
    add_fact(&made->attrs, "ScanOptions", s->options);
    add_fact(&made->attrs, "ContrastBolusAgent", s->contrast);
    add_fact(&made->attrs, "ConvolutionKernel", "B35f");
    add_fact(&made->attrs, "StudyDate", "20240229");
    add_fact(&made->attrs, "PatientSex", s->sex ? s->sex : "");
    add_fact(&made->attrs, "PatientAge", s->age ? s->age : "");
    add_fact(&made->attrs, "PatientBirthDate", s->birth ? s->birth : "");
    if (s->second_of_one_place) {
        memcpy(made->frames[5].position, made->frames[4].position, sizeof made->frames[5].position);
        made->frames[4].time_s = 0;
        made->frames[5].time_s = 60;
    }
    CU_ASSERT_FATAL(made_images_split(made, &err));
    const struct stage_slot slot = {
        .spec = stage_calcium.inputs, .series_count = 1, .image_count = 1, .images = &main};
    const struct stage_run r = {.stage = &stage_calcium,
                                .set = &made->set,
                                .slots = &slot,
                                .params = params,
                                .gpu = gpu,
                                .arena = made->arena};
    CU_ASSERT_FATAL(stage_calcium.param_count <= 32);
    stage_defaults(&stage_calcium, params);
    if (option)
        CU_ASSERT_FATAL(stage_option(&stage_calcium, option, value, made->arena, params, &err));
    struct findings *f = findings_create();
    const enum stage_end end = stage_calcium.run(&r, f, &err);
    if (end == STAGE_BROKEN)
        printf("%s\n", err.text);
    CU_ASSERT_FATAL(end != STAGE_BROKEN);
    CU_ASSERT_EQUAL(end == STAGE_REFUSED, f->verdict == VERDICT_NOT_EVALUABLE);
    CU_ASSERT(findings_ok(f, NULL));
    return f;
}

static struct findings *analyse(const struct grid *v, const struct facts *s, const char *option,
                                const char *value)
{
    return analyse_images(&images, v, s, option, value);
}

// The usual chest, and what is found in it: of all cases that only look.
static struct grid usual_chest;
static struct findings *usual_found;

static void find_usual(void)
{
    const struct facts s = usual_scan();
    if (usual_found)
        return;
    usual_chest = make_chest(&usual);
    usual_found = analyse_images(&usual_images, &usual_chest, &s, NULL, NULL);
}

static const struct finding_group *group_of(const struct findings *f, const char *label)
{
    for (uint32_t i = 0; i < f->group_count; i++) {
        if (strcmp(f->groups[i].label, label) == 0)
            return &f->groups[i];
    }
    return NULL;
}

static double number_of(const struct findings *f, const char *label, const char *code)
{
    const struct finding_group *g = group_of(f, label);
    for (uint32_t i = 0; g && i < g->measurement_count; i++) {
        if (strcmp(g->measurements[i].concept.value, code) == 0)
            return g->measurements[i].value;
    }
    return NAN;
}

static bool is_in(const struct ball *b, double x, double y, double z)
{
    return fabs(x - b->x) < b->r + 3 && fabs(y - b->y) < b->r + 3 &&
           sqrt(pow(x - b->x, 2) + pow(y - b->y, 2) + pow(z - b->z, 2) * 0.5) < b->r + 3;
}

// HU of the brightest voxel of a distractor.
static int brightest_of(const struct grid *v, int artery)
{
    int most = INT16_MIN;
    for (size_t n = 0; n < grid_voxels(v); n++) {
        int i = (int)(n % NX), j = (int)(n / NX % NY), k = (int)(n / NX / NY);
        double x = (i - NX / 2.0) * px, y = (j - NY / 2.0) * px, z = (k - 20) * dz;
        for (int b = 0; b < OTHERS; b++) {
            if (distractors[b].artery == artery && is_in(&distractors[b], x, y, z) &&
                v->stored[n] - 1024 > most)
                most = v->stored[n] - 1024;
        }
    }
    return most;
}

// Scores of one artery's lesions (NONE: all; VALVE, WALL: that distractor) by the plain
// implementation, within balls 3 mm larger.
static struct ref_calcium expect(const struct grid *v, int artery, double threshold, double factor)
{
    struct ref_calcium r;
    int16_t *hu = malloc(grid_voxels(v) * sizeof *hu);
    uint8_t *mask = calloc(grid_voxels(v), 1);
    for (size_t n = 0; n < grid_voxels(v); n++) {
        int i = (int)(n % NX), j = (int)(n / NX % NY), k = (int)(n / NX / NY);
        double x = (i - NX / 2.0) * px, y = (j - NY / 2.0) * px, z = (k - 20) * dz;
        hu[n] = (int16_t)(v->stored[n] - 1024);
        for (int b = 0; b < LESIONS; b++) {
            if ((artery == NONE || lesions[b].artery == artery) && is_in(&lesions[b], x, y, z))
                mask[n] = 1;
        }
        for (int b = 0; b < OTHERS; b++) {
            if (artery > NONE && distractors[b].artery == artery && is_in(&distractors[b], x, y, z))
                mask[n] = 1;
        }
    }
    ref_calcium_score(hu, mask, v->dim, v->spacing, threshold, 1, 8, factor, &r);
    free(hu);
    free(mask);
    return r;
}

// The left main artery and what leaves it lie within millimetres: its lesion is not assigned.
static const char *const names[] = {"UNASSIGNED", "LAD", "LCX", "RCA", "Coronary arteries"};

static void compare(const struct findings *f, const struct grid *v)
{
    for (int a = LM; a <= NONE; a++) {
        struct ref_calcium r = expect(v, a, 130, 1 / 1.3);
        CU_ASSERT(r.agatston > 1);
        double score = number_of(f, names[a], "450360000");
        if (fabs(score - r.agatston) > 1e-6 * r.agatston)
            printf("\n%s: %.3f instead of %.3f\n", names[a], score, r.agatston);
        CU_ASSERT_DOUBLE_EQUAL(score, r.agatston, 1e-6 * r.agatston);
        CU_ASSERT_DOUBLE_EQUAL(number_of(f, names[a], "122660"), r.volume_mm3, 1e-6 * r.volume_mm3);
        CU_ASSERT_DOUBLE_EQUAL(number_of(f, names[a], "122661"), r.mass_mg, 1e-6 * r.mass_mg);
    }
}

static void arteries_score_as_the_plain_implementation_says(void)
{
    find_usual();
    const struct grid v = usual_chest;
    const struct findings *f = usual_found;
    CU_ASSERT_EQUAL(f->verdict, VERDICT_DONE);
    compare(f, &v);
    CU_ASSERT_EQUAL(number_of(f, "Coronary arteries", "111038"), LESIONS);
    CU_ASSERT_EQUAL(number_of(f, "UNASSIGNED", "111038"), 1);
    CU_ASSERT_EQUAL(number_of(f, "LM", "111038"), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(f->page.headline, "CAC-DRS A3"));
    CU_ASSERT_PTR_NULL(strstr(f->page.headline, "/N")); // not all arteries are known
    CU_ASSERT_PTR_NULL(strstr(f->page.headline, "estimate"));
}

static const struct exclusion *exclusion_of(const struct findings *f, const char *reason)
{
    for (uint32_t i = 0; i < f->exclusion_count; i++) {
        if (strcmp(f->exclusions[i].reason, reason) == 0)
            return &f->exclusions[i];
    }
    return NULL;
}

static void what_may_be_calcium_makes_the_score_a_range(void)
{
    find_usual();
    const struct grid v = usual_chest;
    const struct findings *f = usual_found;
    const double low = expect(&v, NONE, 130, 1 / 1.3).agatston;
    const double valve = expect(&v, VALVE, 130, 1 / 1.3).agatston;
    const double wall = expect(&v, WALL, 130, 1 / 1.3).agatston;
    const struct measurement *total = &group_of(f, "Coronary arteries")->measurements[0];
    CU_ASSERT_TRUE(total->ranged);
    CU_ASSERT_DOUBLE_EQUAL(total->low, low, 1e-6 * low);
    CU_ASSERT_DOUBLE_EQUAL(total->high, low + valve + wall, 1e-6 * low);
    const struct measurement *lm = &group_of(f, "LM")->measurements[0]; // never told, never zero
    CU_ASSERT_TRUE(lm->ranged);
    CU_ASSERT_EQUAL(lm->low, 0);
    CU_ASSERT_PTR_NULL(group_of(f, "LM")->finding.value); // perhaps there is some
    CU_ASSERT_STRING_EQUAL(group_of(f, "LAD")->finding.meaning, "pathologic calcification");
    CU_ASSERT_DOUBLE_EQUAL(lm->high, expect(&v, LM, 130, 1 / 1.3).agatston + valve + wall,
                           1e-6 * low);
    const struct exclusion *at_root =
        exclusion_of(f, "at the aortic root without fat: artery, aortic wall or valve");
    const struct exclusion *by_aorta = exclusion_of(f, "at the wall of the ascending aorta");
    const struct exclusion *deep = exclusion_of(f, "deep in the heart: valve, annulus or muscle");
    CU_ASSERT_FATAL(at_root && by_aorta && deep);
    CU_ASSERT_DOUBLE_EQUAL(at_root->value.value, valve, 1e-6 * valve);
    CU_ASSERT_DOUBLE_EQUAL(by_aorta->value.value, wall, 1e-6 * wall);
    char brightest[64];
    snprintf(brightest, sizeof brightest, "uncertain lesion, %d HU", brightest_of(&v, VALVE));
    CU_ASSERT_PTR_NOT_NULL(strstr(at_root->what, brightest));
    CU_ASSERT_PTR_NOT_NULL(strstr(deep->what, "not coronary"));
    CU_ASSERT(at_root->has_place && at_root->place.slice == 30);
}

static void lesions_of_an_artery_add_up_to_it(void)
{
    find_usual();
    const struct findings *f = usual_found;
    double sums[6] = {0}; // by group: all, LM, LAD, LCX, RCA, UNASSIGNED
    for (uint32_t i = 0; i < f->group_count; i++) {
        const struct finding_group *g = &f->groups[i];
        if (g->parent > 0)
            sums[g->parent] += g->measurements[0].value;
    }
    for (uint32_t g = 1; g < 6; g++)
        CU_ASSERT_DOUBLE_EQUAL(sums[g], f->groups[g].measurements[0].value, 1e-9);
}

static double mark_area(const struct mark *m)
{
    double area = 0;
    for (uint32_t i = 0; i + 1 < m->count; i++) {
        const float *p = &m->points[2 * i];
        area += ((double)p[0] * p[3] - (double)p[2] * p[1]) / 2;
    }
    return area;
}

// Outlines enclose the pixels of the label map; every lesion has a key slice with an outline, and
// its text lies beside it.
static void outlines_and_label_map_agree(void)
{
    find_usual();
    const struct grid v = usual_chest;
    const struct findings *f = usual_found;
    // By region: LAD, LCX, RCA, UNASSIGNED, then the heart; by layer the same after LM.
    static const char *const regions[] = {"LAD", "LCX", "RCA", "UNASSIGNED"};
    double drawn[4] = {0}, painted[4] = {0};
    CU_ASSERT_EQUAL_FATAL(f->region_count, 5);
    for (size_t n = 0; n < grid_voxels(&v); n++) {
        CU_ASSERT_FATAL(f->labels[0].labels[n] <= 5);
        if (f->labels[0].labels[n] >= 1 && f->labels[0].labels[n] <= 4)
            painted[f->labels[0].labels[n] - 1]++;
    }
    uint32_t others = 0;
    for (uint32_t i = 0; i < f->mark_count; i++) {
        const struct mark *m = &f->marks[i];
        CU_ASSERT(m->place.slice < v.dim[2]);
        for (uint32_t p = 0; p < m->count; p++) {
            CU_ASSERT(m->points[2 * p] >= 0 && m->points[2 * p] <= NX);
            CU_ASSERT(m->points[2 * p + 1] >= 0 && m->points[2 * p + 1] <= NY);
        }
        if (m->group < 0) { // uncertain or not coronary
            CU_ASSERT(m->layer > 4);
            others++;
            continue;
        }
        const struct finding_group *g = &f->groups[m->group];
        if (m->kind == MARK_POLYLINE)
            drawn[m->layer - 1] += mark_area(m);
        else
            CU_ASSERT(strncmp(m->text, g->label, strcspn(g->label, " ")) == 0);
    }
    CU_ASSERT(others > 0);
    for (int a = 0; a < 4; a++) {
        CU_ASSERT_EQUAL(drawn[a], painted[a]);
        CU_ASSERT_DOUBLE_EQUAL(painted[a] * px * px * dz, number_of(f, regions[a], "122660"), 1e-6);
    }
    for (uint32_t i = 0; i < f->group_count; i++) {
        bool found = f->groups[i].parent <= 0;
        for (uint32_t m = 0; m < f->mark_count && !found; m++)
            found =
                f->marks[m].group == (int)i && f->marks[m].place.slice == f->groups[i].key.slice;
        CU_ASSERT(found);
    }
}

static void the_direction_of_the_axes_does_not_matter(void)
{
    struct chest turned = usual;
    turned.prone = true;
    struct grid b = make_chest(&turned);
    struct facts s = usual_scan();
    find_usual();
    struct findings *g = analyse(&b, &s, NULL, NULL);
    const struct findings *f = usual_found;
    CU_ASSERT_EQUAL(f->group_count, g->group_count);
    for (int i = LM; i <= NONE; i++)
        CU_ASSERT_EQUAL(number_of(f, names[i], "450360000"), number_of(g, names[i], "450360000"));
    findings_destroy(g);
    free(b.stored);
}

static void the_same_input_gives_the_same_findings(void)
{
    struct facts s = usual_scan();
    find_usual();
    const struct grid v = usual_chest;
    const struct findings *f = usual_found;
    struct findings *g = analyse(&v, &s, NULL, NULL);
    CU_ASSERT_EQUAL_FATAL(f->group_count, g->group_count);
    for (uint32_t i = 0; i < f->group_count; i++) {
        CU_ASSERT_STRING_EQUAL(f->groups[i].label, g->groups[i].label);
        for (uint32_t m = 0; m < f->groups[i].measurement_count; m++)
            CU_ASSERT_EQUAL(f->groups[i].measurements[m].value, g->groups[i].measurements[m].value);
    }
    CU_ASSERT_EQUAL(f->mark_count, g->mark_count);
    CU_ASSERT(
        memcmp(f->labels[0].labels, g->labels[0].labels, grid_voxels(&v) * sizeof(uint16_t)) == 0);
    findings_destroy(g);
}

static void hearts_of_other_sizes_score_too(void)
{
    static const double sizes[] = {0.85, 1.15};
    for (int i = 0; i < 2; i++) {
        struct chest chest = usual;
        chest.size = sizes[i];
        struct grid v = make_chest(&chest);
        struct facts s = usual_scan();
        struct findings *f = analyse(&v, &s, NULL, NULL);
        CU_ASSERT_EQUAL(f->verdict, VERDICT_DONE);
        compare(f, &v);
        findings_destroy(f);
        free(v.stored);
    }
}

static void no_calcium_is_a_report_that_says_zero(void)
{
    struct chest chest = usual;
    chest.calcium = false;
    struct grid v = make_chest(&chest);
    struct facts s = usual_scan();
    struct findings *f = analyse(&v, &s, NULL, NULL);
    CU_ASSERT_EQUAL(f->verdict, VERDICT_NOTHING_FOUND);
    CU_ASSERT_EQUAL(number_of(f, "Coronary arteries", "450360000"), 0);
    CU_ASSERT_EQUAL(number_of(f, "RCA", "450360000"), 0);
    CU_ASSERT_EQUAL(f->mark_count, 0);
    CU_ASSERT_EQUAL(f->page.image_count, 3);
    CU_ASSERT_PTR_NOT_NULL(strstr(f->page.headline, "A0"));
    for (uint32_t i = 0; i < f->group_count; i++) { // nothing claims a finding
        const struct finding_group *g = &f->groups[i];
        CU_ASSERT_STRING_EQUAL(g->finding.meaning, "None");
        CU_ASSERT_STRING_EQUAL(g->measurements[3].unit.value, "{calcifications}");
    }
    findings_destroy(f);
    free(v.stored);
}

static bool warned(const struct findings *f, const char *part)
{
    for (uint32_t i = 0; i < f->page.warning_count; i++) {
        if (strstr(f->page.warnings[i], part))
            return true;
    }
    return false;
}

static void a_zero_shows_what_was_too_small_to_count(void)
{
    struct chest chest = usual;
    chest.calcium = false;
    struct grid v = make_chest(&chest);
    struct facts s = usual_scan();
    const uint32_t i = NX / 2 + 37, j = NY / 2 - 31, k = 20; // one pixel, where the LAD runs
    v.stored[((size_t)k * NY + j) * NX + i] = 400 + 1024;
    struct findings *f = analyse(&v, &s, "min_area_mm2", "1.5");
    CU_ASSERT_EQUAL(f->verdict, VERDICT_NOTHING_FOUND);
    CU_ASSERT_EQUAL(number_of(f, "Coronary arteries", "450360000"), 0);
    CU_ASSERT(warned(f, "not counted: LAD, image 21, 400 HU"));
    CU_ASSERT_EQUAL_FATAL(f->mark_count, 2); // outline and label
    CU_ASSERT_EQUAL(f->marks[0].kind, MARK_POLYLINE);
    CU_ASSERT_EQUAL(f->marks[0].place.slice, k);
    CU_ASSERT_EQUAL(f->marks[0].group, -1);
    CU_ASSERT_STRING_EQUAL(f->layers[f->marks[0].layer].name, "NOT COUNTED");
    CU_ASSERT_EQUAL(mark_area(&f->marks[0]), 1);
    findings_destroy(f);
    f = analyse(&v, &s, NULL, NULL); // one pixel of 1 mm2 is enough by default
    CU_ASSERT_EQUAL(f->verdict, VERDICT_DONE);
    CU_ASSERT_EQUAL(number_of(f, "LAD", "450360000"), 4);
    CU_ASSERT_FALSE(warned(f, "not counted"));
    findings_destroy(f);
    free(v.stored);
}

// Half of the time the heart is some columns beside its place, far from the chest wall.
static void move_heart(struct grid *v, int columns)
{
    int16_t *moved = malloc(sizeof *moved * NX * NY * NZ);
    CU_ASSERT_PTR_NOT_NULL_FATAL(moved);
    for (int n = 0; n < NX * NY * NZ; n++) {
        double x, y, z;
        const size_t place = place_of(n, 0, &x, &y, &z);
        const int16_t there = v->stored[n >= columns ? n - columns : 0];
        moved[place] = v->stored[place];
        if (heart(x, y, z, 0) < 10)
            moved[place] = (int16_t)((v->stored[place] + there) / 2);
    }
    free(v->stored);
    v->stored = moved;
}

static void a_heart_that_moved_has_an_estimate_of_the_images(void)
{
    struct grid v = make_chest(&usual);
    struct facts s = usual_scan();
    find_usual();
    CU_ASSERT_FALSE(warned(usual_found, "moved"));
    move_heart(&v, 4);
    struct findings *f = analyse(&v, &s, NULL, NULL);
    CU_ASSERT_EQUAL(f->verdict, VERDICT_DONE);
    CU_ASSERT(warned(f, "The heart moved while it was imaged"));
    CU_ASSERT_PTR_NOT_NULL(strstr(f->page.headline, "in the images, the heart moved"));
    CU_ASSERT_PTR_NOT_NULL(strstr(f->page.headline, "(estimate)"));
    CU_ASSERT_STRING_EQUAL(f->procedure.value, "25045-6"); // of CID 100, gated or not
    findings_destroy(f);
    free(v.stored);
}

static void refuse(const struct chest *chest, const struct facts *s, const char *part)
{
    struct grid v = make_chest(chest);
    struct findings *f = analyse(&v, s, NULL, NULL);
    CU_ASSERT_EQUAL(f->verdict, VERDICT_NOT_EVALUABLE);
    if (!strstr(f->reason, part))
        printf("\npool %.0f: \"%s\" does not say \"%s\"\n", chest->pool_hu, f->reason, part);
    CU_ASSERT_PTR_NOT_NULL(strstr(f->reason, part));
    if (s->contrast[0] || strcmp(part, "upper part") == 0)
        CU_ASSERT(warned(f, "What would be evaluable: a scan "));
    CU_ASSERT_EQUAL(f->group_count, 0);
    CU_ASSERT_EQUAL(f->mark_count, 0);
    findings_destroy(f);
    free(v.stored);
}

static bool told(const struct findings *f, const char *part)
{
    for (uint32_t i = 0; i < f->page.fact_count; i++) {
        if (strstr(f->page.facts[i], part))
            return true;
    }
    return false;
}

// What the report says of the percentile as a statement of its own; "" nothing.
static const char *percentile_of(const struct findings *f)
{
    for (uint32_t i = 0; i < f->evaluation_count; i++) {
        if (strcmp(f->evaluations[i].concept.value, "121415") == 0)
            return f->evaluations[i].text;
    }
    return "";
}

static void percentiles_are_those_of_the_sites_table(void)
{
    static const char table[] = "source: Nobody 2024\nsex,age_from,age_to,p25,p50,p75,p90\n"
                                "M,40,59,0,0,100,100000\nF,40,59,0,2,6,30\n";
    static const struct {
        const char *sex, *age, *birth, *options, *says, *why;
        bool calcium;
    } cases[] = {
        {"M", "050Y", NULL, "ECG",
         "below the 75th percentile of men of 40 to 59 years (Nobody 2024)", NULL, false},
        {"F", NULL, "19830301", "ECG",
         "below the 50th percentile of women of 40 to 59 years (Nobody 2024)", NULL, false},
        {"M", "059Y", "19640301", "ECG",
         "between the 75th and the 90th percentile of men of 40 to 59 years (Nobody 2024)", NULL,
         true},
        {"M", "060Y", NULL, "ECG", "", "the table has no men of 60 years", false},
        {"F", NULL, "19840301", "ECG", "", "the table has no women of 39 years", false},
        {"F", "050Y", "19840301", "ECG", "", "Patient's Age and the date of birth", false},
        {"F", NULL, NULL, "ECG", "", "neither Patient's Age nor", false},
        {"O", "050Y", NULL, "ECG", "", "Patient's Sex is neither M nor F", false},
        {"M", "050Y", NULL, "", "", "not gated", false},
    };
    char path[] = "/tmp/anode-percentiles-XXXXXX";
    const int file = mkstemp(path);
    CU_ASSERT_FATAL(file >= 0);
    CU_ASSERT_EQUAL(write(file, table, sizeof table - 1), (ssize_t)sizeof table - 1);
    close(file);
    struct chest chest = usual;
    chest.calcium = false;
    struct grid with = make_chest(&usual), without = make_chest(&chest);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct facts s = usual_scan();
        s.sex = cases[i].sex;
        s.age = cases[i].age;
        s.birth = cases[i].birth;
        s.options = cases[i].options;
        struct findings *f = analyse(cases[i].calcium ? &with : &without, &s, "percentiles", path);
        CU_ASSERT_STRING_EQUAL(percentile_of(f), cases[i].says);
        CU_ASSERT_EQUAL(told(f, "percentile of"), *cases[i].says != '\0');
        CU_ASSERT(!cases[i].why || told(f, cases[i].why));
        if (strcmp(percentile_of(f), cases[i].says) != 0)
            printf("case %zu: %s\n", i, percentile_of(f));
        findings_destroy(f);
    }
    unlink(path); // it was there when the node was set up
    struct facts s = usual_scan();
    s.sex = "M";
    s.age = "050Y";
    struct findings *f = analyse(&without, &s, "percentiles", path);
    CU_ASSERT_EQUAL(f->verdict, VERDICT_NOTHING_FOUND);
    CU_ASSERT_STRING_EQUAL(percentile_of(f), "");
    CU_ASSERT(told(f, path));
    findings_destroy(f);
    free(with.stored);
    free(without.stored);
}

static void images_of_one_place_are_refused(void)
{
    struct grid v = make_chest(&usual);
    struct facts s = usual_scan();
    s.second_of_one_place = true;
    struct findings *f = analyse(&v, &s, NULL, NULL);
    CU_ASSERT_EQUAL(f->verdict, VERDICT_NOT_EVALUABLE);
    CU_ASSERT_PTR_NOT_NULL(strstr(f->reason, "images of each place differ in nothing but their"));
    findings_destroy(f);
    free(v.stored);
}

// Unsharp masking along rows and columns, by the mean of the four neighbours.
static void sharpen(struct grid *v, double strength)
{
    int16_t *sharp = malloc(sizeof *sharp * grid_voxels(v));
    CU_ASSERT_PTR_NOT_NULL_FATAL(sharp);
    memcpy(sharp, v->stored, sizeof *sharp * grid_voxels(v));
    for (int n = 0; n < (int)grid_voxels(v); n++) {
        const int i = n % NX, j = n / NX % NY;
        const int16_t *p = v->stored + n;
        if (i > 0 && i < NX - 1 && j > 0 && j < NY - 1)
            sharp[n] =
                (int16_t)lround(*p + strength * (*p - (p[-1] + p[1] + p[-NX] + p[NX]) / 4.0));
    }
    free(v->stored);
    v->stored = sharp;
}

// The kernel is named B35f: what the image shows counts.
static void enhanced_edges_are_refused_whatever_the_kernel_is_named(void)
{
    struct facts s = usual_scan();
    for (int turned = 0; turned < 2; turned++) {
        struct chest chest = usual;
        chest.calcium = false;
        chest.prone = turned;
        struct grid v = make_chest(&chest);
        sharpen(&v, 0.6);
        struct findings *f = analyse(&v, &s, NULL, NULL);
        CU_ASSERT_EQUAL(f->verdict, VERDICT_NOT_EVALUABLE);
        CU_ASSERT_PTR_NOT_NULL(strstr(f->reason, "edges are enhanced"));
        CU_ASSERT_PTR_NOT_NULL(strstr(f->reason, "B35f"));
        findings_destroy(f);
        free(v.stored);
    }
}

static void what_cannot_be_judged_is_refused_with_the_reason(void)
{
    struct facts s = usual_scan(), other;
    struct chest chest = usual;
    chest.pool_hu = 160;
    refuse(&chest, &s, "contrast agent");
    chest.pool_hu = 320;
    refuse(&chest, &s, "contrast agent");
    chest.pool_hu = 80;
    other = s;
    other.contrast = "iodine";
    refuse(&chest, &other, "contrast agent");
    chest = usual;
    chest.lungs = false;
    refuse(&chest, &s, "no lungs");
    chest = usual;
    chest.diaphragm_mm = 6;
    chest.dome_mm = 200; // no lung beside the heart's lower half
    refuse(&chest, &s, "no heart found");
    chest = usual;
    chest.noise_hu = 80;
    refuse(&chest, &s, "noise");
    chest = usual;
    chest.first = 20;
    chest.slices = NZ - 20;
    refuse(&chest, &s, "lower part");
    chest = usual;
    chest.slices = 24;
    refuse(&chest, &s, "upper part");
    chest.slices = 6;
    refuse(&chest, &s, "6 slices");
    other = s;
    other.kvp = "80";
    refuse(&usual, &other, "80 kV");
    other = s;
    other.thickness = "8";
    refuse(&usual, &other, "8.00 mm thick");
    chest = usual;
    chest.size = 1.3;
    refuse(&chest, &s, "too coarse");
    other = s;
    other.unit = "1";
    refuse(&usual, &other, "not a CT");
}

static void noise_is_said_before_it_is_refused(void)
{
    static const struct {
        double hu;
        bool spots, category, refused;
    } cases[] = {{8, false, false, false},
                 {28, true, false, false},
                 {33, true, true, false},
                 {40, false, false, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct chest chest = usual;
        struct facts s = usual_scan();
        chest.noise_hu = cases[i].hu;
        struct grid v = make_chest(&chest);
        struct findings *f = analyse(&v, &s, NULL, NULL);
        CU_ASSERT_EQUAL(f->verdict == VERDICT_NOT_EVALUABLE, cases[i].refused);
        CU_ASSERT_EQUAL(warned(f, "Noise alone makes about"), cases[i].spots);
        CU_ASSERT_EQUAL(warned(f, "no category is given"), cases[i].category);
        findings_destroy(f);
        free(v.stored);
    }
}

// The score and what it would be with all that is uncertain.
static void range_in(const struct findings *f, double *low, double *high)
{
    CU_ASSERT_EQUAL(f->verdict, VERDICT_DONE);
    const struct finding_group *g = group_of(f, "Coronary arteries");
    for (uint32_t i = 0; g && i < g->measurement_count; i++) {
        const struct measurement *m = &g->measurements[i];
        if (strcmp(m->concept.value, "450360000") != 0)
            continue;
        *low = m->value;
        *high = m->ranged ? m->high : m->value;
    }
}

static void range_of(const struct chest *chest, double *low, double *high)
{
    struct grid v = make_chest(chest);
    struct facts s = usual_scan();
    struct findings *f = analyse(&v, &s, NULL, NULL);
    range_in(f, low, high);
    findings_destroy(f);
    free(v.stored);
}

static void scores_as_usual(const struct chest *chest)
{
    double low = 0, high = 0, its_low = 0, its_high = 0;
    find_usual();
    range_in(usual_found, &low, &high);
    range_of(chest, &its_low, &its_high);
    CU_ASSERT(low > 100);
    CU_ASSERT_DOUBLE_EQUAL(its_low, low, 0.02 * low);
    CU_ASSERT_DOUBLE_EQUAL(its_high, high, 0.02 * high);
}

// A field of view of so many pixels around the heart's middle; free v.stored.
static struct grid crop(const struct grid *whole, uint32_t side)
{
    struct grid v = *whole;
    const uint32_t left = (NX - side) / 2, top = (NY - side) / 2;
    v.dim[0] = v.dim[1] = side;
    v.to_patient[0][3] = left * v.spacing[0];
    v.to_patient[1][3] = top * v.spacing[1];
    v.stored = malloc(grid_voxels(&v) * sizeof *v.stored);
    CU_ASSERT_PTR_NOT_NULL_FATAL(v.stored);
    for (size_t n = 0; n < grid_voxels(&v); n++) {
        const size_t i = n % side + left, j = n / side % side + top, k = n / side / side;
        v.stored[n] = whole->stored[(k * NY + j) * NX + i];
    }
    return v;
}

// Beside the liver the right lung is seen in the largest fields only. A smaller one gives the range
// of the whole, or where the liver stands too high for that, says that it cuts the heart.
static void a_field_of_view_of_the_heart_gives_the_range_of_the_whole(void)
{
    static const struct {
        double diaphragm_mm;
        bool refused;
    } cases[] = {{-12, false}, {8, true}};
    for (int c = 0; c < 2; c++) {
        struct chest chest = usual;
        chest.diaphragm_mm = cases[c].diaphragm_mm;
        chest.dome_mm = 200;
        chest.recess_mm = 102;
        const struct grid whole = make_chest(&chest);
        struct facts s = usual_scan();
        struct findings *f = analyse(&whole, &s, NULL, NULL);
        double low = 0, high = 0, its_low = 0, its_high = 0;
        range_in(f, &low, &high);
        findings_destroy(f);
        const struct grid v = crop(&whole, 200);
        f = analyse(&v, &s, NULL, NULL);
        if (cases[c].refused) {
            CU_ASSERT_EQUAL(f->verdict, VERDICT_NOT_EVALUABLE);
            CU_ASSERT_PTR_NOT_NULL(strstr(f->reason, "the field of view cuts the heart"));
        } else {
            range_in(f, &its_low, &its_high);
            CU_ASSERT_DOUBLE_EQUAL(its_low, low, 0.03 * low);
            CU_ASSERT_DOUBLE_EQUAL(its_high, high, 0.03 * high);
        }
        findings_destroy(f);
        free(v.stored);
        free(whole.stored);
    }
}

static void foam_around_the_patient_is_no_lung(void)
{
    struct chest chest = usual;
    chest.foam = true;
    scores_as_usual(&chest);
}

// As high as the middle of the heart, with lung before and behind: the range holds the usual score.
static void a_diaphragm_beside_the_heart_does_not_cut_it(void)
{
    struct chest chest = usual;
    double low = 0, high = 0, its_low = 0, its_high = 0;
    chest.diaphragm_mm = 8;
    chest.dome_mm = 30;
    find_usual();
    range_in(usual_found, &low, &high);
    range_of(&chest, &its_low, &its_high);
    CU_ASSERT(its_low > 0.5 * low);
    CU_ASSERT(its_low <= 1.02 * low);
    CU_ASSERT(its_high >= 0.98 * low);
}

// Where a lean heart may have an artery: brighter it makes the score a range.
static void a_faint_spot_of_one_slice_in_muscle_is_noise(void)
{
    static const struct {
        int hu;
        bool range;
    } cases[] = {{138, false}, {300, true}};
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        struct chest chest = usual;
        chest.calcium = false;
        chest.noise_hu = 22;
        struct grid v = make_chest(&chest);
        struct facts s = usual_scan();
        for (uint32_t p = 0; p < 4; p++) {
            const uint32_t i = NX / 2 - 42 + p % 2, j = NY / 2 + p / 2;
            v.stored[((size_t)20 * NY + j) * NX + i] = (int16_t)(cases[n].hu + 1024);
        }
        struct findings *f = analyse(&v, &s, NULL, NULL);
        CU_ASSERT_EQUAL(f->verdict == VERDICT_DONE, cases[n].range);
        bool noise = false;
        for (uint32_t e = 0; e < f->exclusion_count; e++)
            noise = noise || (f->exclusions[e].place.slice == 20 &&
                              strcmp(f->exclusions[e].reason, "noise") == 0);
        CU_ASSERT_EQUAL(noise, !cases[n].range);
        findings_destroy(f);
        free(v.stored);
    }
}

static void doubts_are_said_beside_the_score(void)
{
    struct grid v = make_chest(&usual);
    struct facts s = usual_scan();
    s.kvp = "";
    s.contrast = "iodine";
    struct findings *f = analyse(&v, &s, NULL, NULL);
    CU_ASSERT_EQUAL(f->verdict, VERDICT_DONE);
    CU_ASSERT(warned(f, "Tube voltage not stated"));
    CU_ASSERT(warned(f, "Contrast agent named"));
    CU_ASSERT(warned(f, "Mass is not calibrated"));
    findings_destroy(f);
    free(v.stored);
}

static void options_change_what_they_say(void)
{
    struct grid v = make_chest(&usual);
    struct facts s = usual_scan();
    struct findings *f = analyse(&v, &s, "mass_factor", "0.9");
    struct ref_calcium r = expect(&v, NONE, 130, 0.9);
    CU_ASSERT_FALSE(warned(f, "Mass is not calibrated"));
    CU_ASSERT_DOUBLE_EQUAL(number_of(f, names[NONE], "122661"), r.mass_mg, 1e-6 * r.mass_mg);
    findings_destroy(f);
    s.kvp = "100";
    f = analyse(&v, &s, "other_kvp", "scale");
    r = expect(&v, NONE, 147, 1);
    CU_ASSERT(warned(f, "scaled to 147 HU"));
    CU_ASSERT_DOUBLE_EQUAL(number_of(f, names[NONE], "122660"), r.volume_mm3, 1e-6 * r.volume_mm3);
    findings_destroy(f);
    free(v.stored);
}

// The row names every group of kernels that is dispatched: the others are made in the middle of a
// job. This case is the last: all analyses of this program have run on the one device.
static void kernels_are_those_that_run(void)
{
    CU_ASSERT_EQUAL(gpu->pipeline_count, prepared);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"arteries_score_as_the_plain_implementation_says",
         arteries_score_as_the_plain_implementation_says},
        {"what_may_be_calcium_makes_the_score_a_range",
         what_may_be_calcium_makes_the_score_a_range},
        {"lesions_of_an_artery_add_up_to_it", lesions_of_an_artery_add_up_to_it},
        {"outlines_and_label_map_agree", outlines_and_label_map_agree},
        {"the_direction_of_the_axes_does_not_matter", the_direction_of_the_axes_does_not_matter},
        {"the_same_input_gives_the_same_findings", the_same_input_gives_the_same_findings},
        {"hearts_of_other_sizes_score_too", hearts_of_other_sizes_score_too},
        {"no_calcium_is_a_report_that_says_zero", no_calcium_is_a_report_that_says_zero},
        {"a_zero_shows_what_was_too_small_to_count", a_zero_shows_what_was_too_small_to_count},
        {"a_heart_that_moved_has_an_estimate_of_the_images",
         a_heart_that_moved_has_an_estimate_of_the_images},
        {"what_cannot_be_judged_is_refused_with_the_reason",
         what_cannot_be_judged_is_refused_with_the_reason},
        {"enhanced_edges_are_refused_whatever_the_kernel_is_named",
         enhanced_edges_are_refused_whatever_the_kernel_is_named},
        {"percentiles_are_those_of_the_sites_table", percentiles_are_those_of_the_sites_table},
        {"images_of_one_place_are_refused", images_of_one_place_are_refused},
        {"noise_is_said_before_it_is_refused", noise_is_said_before_it_is_refused},
        {"a_field_of_view_of_the_heart_gives_the_range_of_the_whole",
         a_field_of_view_of_the_heart_gives_the_range_of_the_whole},
        {"foam_around_the_patient_is_no_lung", foam_around_the_patient_is_no_lung},
        {"a_diaphragm_beside_the_heart_does_not_cut_it",
         a_diaphragm_beside_the_heart_does_not_cut_it},
        {"a_faint_spot_of_one_slice_in_muscle_is_noise",
         a_faint_spot_of_one_slice_in_muscle_is_noise},
        {"doubts_are_said_beside_the_score", doubts_are_said_beside_the_score},
        {"options_change_what_they_say", options_change_what_they_say},
        {"kernels_are_those_that_run", kernels_are_those_that_run},
    };
    struct err err = {0};
    gpu = gpu_create(NULL, &err);
    if (!gpu)
        check_skip(err.text);
    if (!kernels_prepare(gpu, stage_calcium.kernels, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    prepared = gpu->pipeline_count;
    int status = check_main("calcium", cases, sizeof cases / sizeof *cases);
    findings_destroy(usual_found);
    free(usual_chest.stored);
    made_images_finish(&usual_images);
    made_images_finish(&images);
    gpu_destroy(gpu);
    return status;
}
