// The lungs stage on a synthetic chest of known size and density. Densities are compared with a
// plain count within the stage's own label map. Sanitized: lungs_measure_what_was_put_into_them
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/gpu/gpu_internal.h"
#include "compute/kernels/kernels.h"
#include "compute/stages/lungs/lungs.h"
#include "compute/stages/lungs/lungs_density.h"
#include "tests/check.h"
#include "tests/images.h"

enum { NX = 272, NY = 192, NZ = 92 };
static const double px = 1.25, dz = 2.5; // mm
static const double right_r[3] = {54, 75, 98}, left_r[3] = {47, 75, 98};

struct chest {
    bool lungs, joined, mirrored, dome;
    int first, slices; // part of the slices that is there
    const char *unit, *contrast, *kernel, *thickness, *series;
    const struct attrs *second; // of the second half of the slices; NULL: as the first
};
static const struct chest usual = {.lungs = true,
                                   .slices = NZ,
                                   .unit = "[hnsf'U]",
                                   .contrast = "",
                                   .kernel = "B31f",
                                   .thickness = "1.5",
                                   .series = "Chest inspiration"};

static struct gpu *gpu;
static uint32_t prepared; // pipelines of the row's kernels
static struct made_images images;
static int16_t *stored; // of images

// Distance to the segment from a to b.
static double segment(const double p[3], const double a[3], const double b[3])
{
    double ab[3], ap[3], t = 0, length = 0, sum = 0;
    for (int n = 0; n < 3; n++) {
        ab[n] = b[n] - a[n];
        ap[n] = p[n] - a[n];
        t += ab[n] * ap[n];
        length += ab[n] * ab[n];
    }
    t = fmin(fmax(t / length, 0), 1);
    for (int n = 0; n < 3; n++)
        sum += (ap[n] - t * ab[n]) * (ap[n] - t * ab[n]);
    return sqrt(sum);
}

static bool in_lung(const double p[3], double x, const double r[3])
{
    const double a = (p[0] - x) / r[0], b = p[1] / r[1], c = p[2] / r[2];
    return a * a + b * b + c * c < 1;
}

// The liver below the right lung, which rings its dome in the slices of 35 mm.
static bool in_dome(const double p[3])
{
    const double centre[3] = {-78, 0, -75};
    return segment(p, centre, centre) < 30;
}

// Seven of ten voxels -870, two -930, one -970 HU, scattered.
static int lung_hu(int i, int j, int k)
{
    const uint32_t n =
        ((uint32_t)i * 73856093u ^ (uint32_t)j * 19349663u ^ (uint32_t)k * 83492791u) * 2654435761u;
    const uint32_t tenth = (n >> 8) % 10;
    return tenth < 7 ? -870 : tenth < 9 ? -930 : -970;
}

static int hu_at(const struct chest *chest, int i, int j, int k)
{
    static const double top[3] = {0, 10, 200}, carina[3] = {0, 10, 20};
    static const double ends[2][3] = {{-48, 10, -8}, {48, 10, -8}};
    static const double vessel[2][3] = {{-80, -20, -20}, {-70, 20, 30}};
    static const double bridge[2][3] = {{-40, -50, 0}, {40, -50, 0}};
    const double p[3] = {(i - NX * 0.5 + 0.5) * px, (j - NY * 0.5 + 0.5) * px,
                         (k - NZ * 0.5 + 0.5) * dz};
    const double body = p[0] * p[0] / (155 * 155) + p[1] * p[1] / (105 * 105);
    if (p[1] > 111 && p[1] < 116)
        return 100; // table
    if (body > 1)
        return -1000;
    if (!chest->lungs)
        return 40;
    double wall = segment(p, top, carina) - 9;
    for (int n = 0; n < 2; n++)
        wall = fmin(wall, segment(p, carina, ends[n]) - 6);
    if (wall < 0)
        return -1000;
    const bool lung = in_lung(p, -78, right_r) || in_lung(p, 75, left_r) ||
                      (chest->joined && segment(p, bridge[0], bridge[1]) < 7);
    // The ends of the bronchi are open.
    if (wall < 2 && segment(p, carina, ends[0]) < 40 && fabs(p[0]) < 50)
        return 40;
    if (lung && segment(p, vessel[0], vessel[1]) < 4)
        return 40;
    if (chest->dome && in_dome(p))
        return 40;
    return lung ? lung_hu(i, j, k) : 40;
}

static void add_attr(const char *keyword, const char *value)
{
    if (*value)
        CU_ASSERT_FATAL(attrs_add(&images.attrs, keyword, value));
}

static void make_chest(const struct chest *chest)
{
    const size_t count = (size_t)NX * NY * (size_t)chest->slices;
    free(stored);
    stored = malloc(count * sizeof *stored);
    CU_ASSERT_FATAL(stored != NULL);
    for (size_t n = 0; n < count; n++) {
        const int i = (int)(n % NX), j = (int)(n / NX % NY), k = (int)(n / NX / NY) + chest->first;
        stored[chest->mirrored ? count - 1 - n : n] = (int16_t)(hu_at(chest, i, j, k) + 1024);
    }
    struct made_grid grid = {.dim = {NX, NY, (uint32_t)chest->slices, 1},
                             .spacing = {px, px, dz},
                             .slope = 1,
                             .intercept = -1024,
                             .unit = chest->unit,
                             .stored = stored};
    for (int a = 0; a < 3; a++)
        grid.to_patient[a][a] = chest->mirrored ? -grid.spacing[a] : grid.spacing[a];
    made_images_finish(&images);
    made_images_init(&images, &grid);
    add_attr("SliceThickness", chest->thickness);
    add_attr("ConvolutionKernel", chest->kernel);
    add_attr("ContrastBolusAgent", chest->contrast);
    add_attr("SeriesDescription", chest->series);
    for (uint32_t k = images.count / 2; chest->second && k < images.count; k++)
        images.frames[k].attrs = chest->second;
}

// Runs the stage as the node would. The images stay until the next call.
static struct findings *analyse(const struct chest *chest)
{
    struct param_value params[8];
    struct err err = {0};
    const uint32_t main = 0;
    make_chest(chest);
    CU_ASSERT_FATAL(made_images_split(&images, &err));
    const struct stage_slot slot = {
        .spec = stage_lungs.inputs, .series_count = 1, .image_count = 1, .images = &main};
    const struct stage_run r = {.stage = &stage_lungs,
                                .set = &images.set,
                                .slots = &slot,
                                .params = params,
                                .gpu = gpu,
                                .arena = images.arena};
    CU_ASSERT_FATAL(stage_lungs.param_count <= 8);
    stage_defaults(&stage_lungs, params);
    struct findings *f = findings_create();
    const enum stage_end end = stage_lungs.run(&r, f, &err);
    if (end == STAGE_BROKEN)
        printf("%s\n", err.text);
    CU_ASSERT_FATAL(end != STAGE_BROKEN);
    CU_ASSERT_EQUAL(end == STAGE_REFUSED, f->verdict == VERDICT_NOT_EVALUABLE);
    if (f->verdict == VERDICT_NOT_EVALUABLE)
        printf("\nrefused: %s\n", f->reason);
    CU_ASSERT(findings_ok(f, NULL));
    return f;
}

static double number_of(const struct findings *f, const char *label, const char *code)
{
    for (uint32_t i = 0; i < f->group_count; i++) {
        const struct finding_group *g = &f->groups[i];
        for (uint32_t n = 0; strcmp(g->label, label) == 0 && n < g->measurement_count; n++) {
            if (strcmp(g->measurements[n].concept.value, code) == 0)
                return g->measurements[n].value;
        }
    }
    return NAN;
}

static bool warned(const struct findings *f, const char *words)
{
    for (uint32_t i = 0; i < f->page.warning_count; i++) {
        if (strstr(f->page.warnings[i], words))
            return true;
    }
    return false;
}

static double ellipsoid_ml(const double r[3])
{
    return 4 / 3.0 * 3.14159265358979 * r[0] * r[1] * r[2] / 1000;
}

// By a plain count within the label map.
static void compare(const struct findings *f, const char *label, uint16_t least, uint16_t most)
{
    const struct label_map *map = findings_labels(f, 0, 0);
    CU_ASSERT_FATAL(map != NULL);
    uint64_t *counts = calloc(LUNGS_VALUES, sizeof *counts);
    uint64_t voxels = 0, low = 0, lower = 0;
    int64_t sum = 0;
    for (size_t n = 0; n < image_voxels(&images.set.images[0]); n++) {
        if (map->labels[n] < least || map->labels[n] > most)
            continue;
        const int hu = stored[n] - 1024;
        counts[hu + 32768]++;
        voxels++;
        sum += hu;
        low += hu < -910;
        lower += hu < -950;
    }
    int p = 0;
    for (uint64_t below = counts[0]; 100 * below < 15 * voxels;)
        below += counts[++p];
    free(counts);
    CU_ASSERT_FATAL(voxels > 0);
    CU_ASSERT_EQUAL(number_of(f, label, "112031"), (double)sum / (double)voxels);
    CU_ASSERT_EQUAL(number_of(f, label, "LAA-950"), 100.0 * (double)lower / (double)voxels);
    CU_ASSERT_EQUAL(number_of(f, label, "LAA-910"), 100.0 * (double)low / (double)voxels);
    CU_ASSERT_EQUAL(number_of(f, label, "PERC15"), p - 32768);
    CU_ASSERT_DOUBLE_EQUAL(number_of(f, label, "118565006"), (double)voxels * px * px * dz / 1000,
                           1e-6);
}

static void check_near(const struct findings *f, const char *label, const char *code, double want,
                       double tolerance)
{
    const double have = number_of(f, label, code);
    CU_ASSERT_DOUBLE_EQUAL(have, want, tolerance);
    if (!(fabs(have - want) <= tolerance))
        printf("\n%s, %s: %.3f instead of %.3f\n", label, code, have, want);
}

static void check_sizes(const struct findings *f, double share)
{
    check_near(f, "Right lung", "118565006", ellipsoid_ml(right_r), share * ellipsoid_ml(right_r));
    check_near(f, "Left lung", "118565006", ellipsoid_ml(left_r), share * ellipsoid_ml(left_r));
}

static void lungs_measure_what_was_put_into_them(void)
{
    struct findings *f = analyse(&usual);
    CU_ASSERT_EQUAL_FATAL(f->verdict, VERDICT_DONE);
    check_sizes(f, 0.03);
    check_near(f, "Lungs", "LAA-950", 10, 0.5);
    check_near(f, "Lungs", "LAA-910", 30, 0.7);
    check_near(f, "Lungs", "PERC15", -930, 0);
    compare(f, "Right lung", 1, 1);
    compare(f, "Left lung", 2, 2);
    compare(f, "Lungs", 1, 2);
    CU_ASSERT_EQUAL(f->page.warning_count, 1); // of slices that are thinner than their distance
    CU_ASSERT(warned(f, "Gaps"));
    findings_destroy(f);
}

// In a slice a dome is a hole of the lung as a vessel is.
static void the_dome_of_the_diaphragm_is_no_lung(void)
{
    struct chest chest = usual;
    chest.dome = true;
    struct findings *f = analyse(&chest);
    CU_ASSERT_EQUAL_FATAL(f->verdict, VERDICT_DONE);
    const struct label_map *map = findings_labels(f, 0, 0);
    CU_ASSERT_FATAL(map != NULL);
    size_t dome = 0, taken = 0;
    for (size_t n = 0; n < image_voxels(&images.set.images[0]); n++) {
        const double p[3] = {((int)(n % NX) - NX * 0.5 + 0.5) * px,
                             ((int)(n / NX % NY) - NY * 0.5 + 0.5) * px,
                             ((int)(n / NX / NY) - NZ * 0.5 + 0.5) * dz};
        if (!in_dome(p))
            continue;
        dome++;
        taken += map->labels[n] != 0;
    }
    CU_ASSERT_FATAL(dome > 20000); // 80 mL
    CU_ASSERT((double)taken < 0.02 * (double)dome);
    printf("\n%zu of %zu voxels of the dome are lung\n", taken, dome);
    findings_destroy(f);
}

// Side is a code of its own, in the Segmentation as in the report: PS3.16 has none for one lung.
static void sides_are_told_by_laterality(void)
{
    static const char *const sides[] = {"24028007", "7771000"};
    struct findings *f = analyse(&usual);
    CU_ASSERT_FATAL(f->group_count == 3 && f->region_count == 3);
    for (int n = 0; n < 2; n++) {
        const struct finding_group *g = &f->groups[n + 1];
        const struct region *r = &f->regions[n];
        CU_ASSERT_STRING_EQUAL(g->site.value, "39607008");
        CU_ASSERT_STRING_EQUAL(r->type.value, "39607008");
        CU_ASSERT_PTR_NULL(r->site.value); // the type is the place; laterality modifies it
        CU_ASSERT_FATAL(g->laterality.value && r->laterality.value);
        CU_ASSERT_STRING_EQUAL(g->laterality.value, sides[n]);
        CU_ASSERT_STRING_EQUAL(r->laterality.value, sides[n]);
    }
    CU_ASSERT_PTR_NULL(f->groups[0].laterality.value);
    CU_ASSERT_PTR_NULL(f->regions[2].laterality.value);
    findings_destroy(f);
}

static void airways_are_left_out(void)
{
    struct findings *f = analyse(&usual);
    const struct label_map *map = findings_labels(f, 0, 0);
    CU_ASSERT_FATAL(map != NULL);
    // Trachea and bronchi that are not in a lung hold 29 and 8 mL.
    CU_ASSERT_EQUAL_FATAL(f->exclusion_count, 1);
    CU_ASSERT(f->exclusions[0].value.value > 25 && f->exclusions[0].value.value < 60);
    for (int k = 60; k < NZ; k++)
        CU_ASSERT_EQUAL(map->labels[((size_t)k * NY + NY / 2 + 8) * NX + NX / 2], 3);
    findings_destroy(f);
}

static void direction_of_the_grid_does_not_matter(void)
{
    struct chest mirrored = usual;
    mirrored.mirrored = true;
    static const char *const codes[] = {"118565006", "112031", "LAA-950", "LAA-910", "PERC15"};
    static const char *const labels[] = {"Lungs", "Right lung", "Left lung"};
    struct findings *a = analyse(&usual), *b = analyse(&mirrored);
    for (int l = 0; l < 3; l++) {
        for (int c = 0; c < 5; c++)
            CU_ASSERT_EQUAL(number_of(a, labels[l], codes[c]), number_of(b, labels[l], codes[c]));
    }
    findings_destroy(a);
    findings_destroy(b);
}

static void lungs_that_touch_are_parted(void)
{
    struct chest joined = usual;
    joined.joined = true;
    struct findings *f = analyse(&joined);
    CU_ASSERT_EQUAL_FATAL(f->verdict, VERDICT_DONE);
    check_sizes(f, 0.04);
    findings_destroy(f);
}

static void what_makes_numbers_doubtful_is_said(void)
{
    struct chest c = usual;
    c.contrast = "Iohexol";
    c.kernel = "B70f";
    c.thickness = "2.5";
    c.series = "Chest";
    struct findings *f = analyse(&c);
    CU_ASSERT_EQUAL(f->verdict, VERDICT_DONE);
    CU_ASSERT(warned(f, "Contrast agent"));
    CU_ASSERT(warned(f, "Sharp kernel B70f"));
    CU_ASSERT(warned(f, "2.50 mm thick"));
    CU_ASSERT(warned(f, "Level of inspiration"));
    CU_ASSERT_FALSE(warned(f, "cuts"));
    CU_ASSERT_FALSE(warned(f, "Gaps"));
    findings_destroy(f);
    c.first = 20;
    c.slices = NZ - 20;
    c.thickness = "1";
    c.series = "Expiration";
    f = analyse(&c);
    CU_ASSERT_EQUAL(f->verdict, VERDICT_DONE);
    CU_ASSERT(warned(f, "The scan cuts the lungs at the feet"));
    CU_ASSERT(warned(f, "Gaps between slices"));
    CU_ASSERT(warned(f, "Expiration"));
    findings_destroy(f);
}

static void what_half_of_the_slices_say_is_said(void)
{
    struct attrs second = {0};
    struct chest c = usual;
    attrs_add(&second, "ConvolutionKernel", "B70f");
    attrs_add(&second, "SliceThickness", "2.5");
    attrs_add(&second, "SeriesDescription", "expir");
    attrs_add(&second, "ImageType", "DERIVED\\PRIMARY\\AXIAL\\MPR");
    c.second = &second;
    struct findings *f = analyse(&c);
    CU_ASSERT_EQUAL(f->verdict, VERDICT_DONE);
    CU_ASSERT(warned(f, "Kernel differs between slices: B31f in"));
    CU_ASSERT(warned(f, "Sharp kernel"));
    CU_ASSERT(warned(f, "Thickness differs between slices: 1.5 in"));
    CU_ASSERT(warned(f, "2.50 mm thick"));
    CU_ASSERT(warned(f, "Expiration"));
    CU_ASSERT(warned(f, "Not as acquired: reformatted"));
    findings_destroy(f);
    attrs_finish(&second);
}

static void check_refused(const struct chest *chest, const char *words)
{
    struct findings *f = analyse(chest);
    CU_ASSERT_EQUAL(f->verdict, VERDICT_NOT_EVALUABLE);
    CU_ASSERT_PTR_NOT_NULL(strstr(f->reason, words));
    CU_ASSERT_EQUAL(f->group_count, 0);
    findings_destroy(f);
}

static void what_cannot_be_judged_is_refused(void)
{
    struct chest none = usual, other = usual, few = usual, part = usual;
    none.lungs = false;
    check_refused(&none, "no lungs");
    other.unit = "1";
    check_refused(&other, "Hounsfield");
    few.slices = 9;
    check_refused(&few, "9 slices");
    part.first = 70;
    part.slices = NZ - 70;
    check_refused(&part, "implausible");
    struct attrs second = {0};
    struct chest map = usual;
    attrs_add(&second, "ImageType", "DERIVED\\SECONDARY\\AXIAL\\MINIP");
    map.second = &second;
    check_refused(&map, "MINIP) in");
    attrs_finish(&second);
}

static void density_of_known_counts(void)
{
    uint64_t *counts = calloc(LUNGS_VALUES, sizeof *counts);
    struct lungs_density d;
    CU_ASSERT_FATAL(counts != NULL);
    lungs_density(counts, &d);
    CU_ASSERT(d.voxels == 0 && isnan(d.mean_hu) && isnan(d.percentile));
    counts[32768 - 951] = 10;
    counts[32768 - 950] = 5;
    counts[32768 - 911] = 25;
    counts[32768 - 910] = 60;
    lungs_density(counts, &d);
    CU_ASSERT_EQUAL(d.voxels, 100);
    CU_ASSERT_EQUAL(d.below_950, 10);
    CU_ASSERT_EQUAL(d.below_910, 40);
    CU_ASSERT_EQUAL(d.percentile, -950); // 15 voxels are exactly 15 %
    CU_ASSERT_DOUBLE_EQUAL(d.mean_hu, -(9510 + 4750 + 22775 + 54600) / 100.0, 1e-9);
    counts[32768 - 950] = 4;
    lungs_density(counts, &d);
    CU_ASSERT_EQUAL(d.percentile, -911);
    free(counts);
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
        {"lungs_measure_what_was_put_into_them", lungs_measure_what_was_put_into_them},
        {"sides_are_told_by_laterality", sides_are_told_by_laterality},
        {"the_dome_of_the_diaphragm_is_no_lung", the_dome_of_the_diaphragm_is_no_lung},
        {"airways_are_left_out", airways_are_left_out},
        {"direction_of_the_grid_does_not_matter", direction_of_the_grid_does_not_matter},
        {"lungs_that_touch_are_parted", lungs_that_touch_are_parted},
        {"what_makes_numbers_doubtful_is_said", what_makes_numbers_doubtful_is_said},
        {"lungs_half_of_the_slices_is_said", what_half_of_the_slices_say_is_said},
        {"what_cannot_be_judged_is_refused", what_cannot_be_judged_is_refused},
        {"density_of_known_counts", density_of_known_counts},
        {"kernels_are_those_that_run", kernels_are_those_that_run},
    };
    struct err err = {0};
    gpu = gpu_create(NULL, &err);
    if (!gpu)
        check_skip(err.text);
    if (!kernels_prepare(gpu, stage_lungs.kernels, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    prepared = gpu->pipeline_count;
    int status = check_main("lungs", cases, sizeof cases / sizeof *cases);
    made_images_finish(&images);
    free(stored);
    gpu_destroy(gpu);
    return status;
}
