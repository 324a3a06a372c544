// What pixels say of edge enhancement, on lungs made of soft tissue and air.
#include "compute/stages/calcium/calcium_quality.h"
#include <math.h>
#include <stdio.h>
#include "tests/check.h"

enum { N = 256, SLICES = 1 };

// Two lungs in an ellipse of soft tissue, seen through a kernel.
struct view {
    double blur_mm;           // standard deviation
    double sharpen;           // unsharp masking: strength, of half a pixel less than 1.2 pixels
    double noise_hu;          // white
    double pixel_mm, lung_mm; // radius of a lung
    bool flipped, turned;
    double low, high; // overshoot is between these, HU
    enum calcium_sharpness judged;
};

static double normal(uint32_t *state)
{
    double sum = 0;
    for (int i = 0; i < 12; i++) {
        *state = *state * 1664525u + 1013904223u;
        sum += (*state >> 8) / 16777216.0;
    }
    return sum - 6;
}

// Of a border at a distance (inside is negative), seen through a Gaussian.
static double seen(double below, double above, double distance_mm, double sigma_mm)
{
    return above + (below - above) * 0.5 * erfc(distance_mm / (sqrt(2) * sigma_mm));
}

static double tissue(double x, double y, const struct view *v, double sigma_mm)
{
    const double a = hypot((x - 0.31 * N * v->pixel_mm) / 0.7, y) - v->lung_mm;
    const double b = hypot((x + 0.28 * N * v->pixel_mm) / 0.8, y) - v->lung_mm;
    return seen(-870, 45, fmin(a, b), sigma_mm);
}

static void make_slice(const struct view *v, uint32_t *state, float *out)
{
    for (int n = 0; n < N * N; n++) {
        int i = v->turned ? n / N : n % N, j = v->turned ? n % N : n / N;
        i = v->flipped ? N - 1 - i : i;
        const double x = (i - N / 2.0 + 0.5) * v->pixel_mm, y = (j - N / 2.0 + 0.5) * v->pixel_mm;
        const double image = tissue(x, y, v, v->blur_mm);
        const double wide = hypot(v->blur_mm, 1.2 * v->pixel_mm);
        out[n] = (float)round(image + v->sharpen * (image - tissue(x, y, v, wide)));
    }
    for (int n = 0; n < N * N; n++)
        out[n] += (float)(v->noise_hu * normal(state));
}

static struct calcium_overshoot measure(const struct view *v)
{
    static float slice[N * N];
    const uint32_t dim[2] = {N, N};
    const double spacing[2] = {v->pixel_mm, v->pixel_mm};
    struct arena *arena = arena_create();
    struct calcium_edges edges;
    struct calcium_overshoot o;
    uint32_t state = 3;
    CU_ASSERT_PTR_NOT_NULL_FATAL(arena);
    CU_ASSERT_FATAL(calcium_edges_init(&edges, dim, spacing, SLICES, arena));
    for (int k = 0; k < SLICES; k++) {
        make_slice(v, &state, slice);
        calcium_edges_add(&edges, slice);
    }
    calcium_edges_measure(&edges, &o);
    arena_destroy(arena);
    return o;
}

static void judge(const struct view *v)
{
    const struct calcium_overshoot o = measure(v);
    const bool ok = o.hu >= v->low && o.hu <= v->high && calcium_overshoot_judge(&o) == v->judged;
    CU_ASSERT(ok);
    if (!ok)
        fprintf(stderr, "blur %g sharpen %g noise %g pixel %g: %u borders, %.1f HU\n", v->blur_mm,
                v->sharpen, v->noise_hu, v->pixel_mm, o.edges, o.hu);
}

static void soft_borders_do_not_overshoot(void)
{
    static const struct view cases[] = {
        {.blur_mm = 0.6, .pixel_mm = 0.7, .lung_mm = 45},
        {.blur_mm = 0.85, .pixel_mm = 0.7, .lung_mm = 45},
        {.blur_mm = 0.6, .pixel_mm = 0.35, .lung_mm = 22},
        {.blur_mm = 0.6, .pixel_mm = 0.9, .lung_mm = 58},
        {.blur_mm = 0.1, .pixel_mm = 0.7, .lung_mm = 45}, // as sharp as pixels can be
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct view v = cases[i];
        v.low = -30;
        v.high = 10;
        v.judged = CALCIUM_EDGES_SOFT;
        judge(&v);
        for (int noise = 15; noise <= 30; noise += 15) {
            v.noise_hu = noise;
            judge(&v);
        }
    }
}

static void enhanced_borders_overshoot(void)
{
    static const struct view cases[] = {
        {.blur_mm = 0.6, .pixel_mm = 0.7, .lung_mm = 45, .sharpen = 1, .low = 30, .high = 120},
        {.blur_mm = 0.6, .pixel_mm = 0.7, .lung_mm = 45, .sharpen = 2, .low = 90, .high = 250},
        {.blur_mm = 0.5, .pixel_mm = 0.9, .lung_mm = 58, .sharpen = 1, .low = 30, .high = 150},
        {.blur_mm = 0.5, .pixel_mm = 0.35, .lung_mm = 22, .sharpen = 2.6, .low = 30, .high = 250},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct view v = cases[i];
        v.judged = CALCIUM_EDGES_ENHANCED;
        judge(&v);
        for (int noise = 15; noise <= 30; noise += 15) {
            v.noise_hu = noise;
            judge(&v);
        }
    }
}

static void a_little_is_said(void)
{
    judge(&(struct view){.blur_mm = 0.6,
                         .pixel_mm = 0.7,
                         .lung_mm = 45,
                         .sharpen = 0.6,
                         .noise_hu = 12,
                         .low = CALCIUM_OVERSHOOT_RAISED_HU,
                         .high = CALCIUM_OVERSHOOT_LIMIT_HU,
                         .judged = CALCIUM_EDGES_RAISED});
}

// Without noise, which lies elsewhere then, the numbers are the very same.
static void turned_images_give_the_same(void)
{
    struct view v = {.blur_mm = 0.6, .pixel_mm = 0.7, .lung_mm = 45, .sharpen = 0.7};
    const struct calcium_overshoot a = measure(&v);
    for (int turn = 1; turn < 4; turn++) {
        v.flipped = turn & 1;
        v.turned = turn & 2;
        const struct calcium_overshoot b = measure(&v);
        CU_ASSERT_EQUAL(a.edges, b.edges);
        CU_ASSERT_EQUAL(a.hu, b.hu);
        CU_ASSERT_EQUAL(a.ratio, b.ratio);
    }
}

static void few_borders_are_not_measured(void)
{
    const struct view v = {.blur_mm = 0.6, .pixel_mm = 0.7, .lung_mm = 6, .sharpen = 2};
    const struct calcium_overshoot o = measure(&v);
    CU_ASSERT(o.edges < 300);
    CU_ASSERT(isnan(o.hu));
    CU_ASSERT_EQUAL(calcium_overshoot_judge(&o), CALCIUM_EDGES_UNKNOWN);
}

enum { STRIPED = 20 };

// Stripes of lung and of tissue that overshoots: more borders than are kept.
static void make_stripes(float overshoot_hu, float *slice)
{
    for (int n = 0; n < N * N; n++) {
        const int at = n % N % 25;
        slice[n] = at < 9 ? -870.0F : at == 10 || at == 23 ? 45.0F + overshoot_hu : 45.0F;
    }
}

static void every_slice_has_its_share_of_the_borders(void)
{
    static float soft[N * N], sharp[N * N];
    const uint32_t dim[2] = {N, N}, share = CALCIUM_EDGES_MOST / STRIPED;
    const double spacing[2] = {0.7, 0.7};
    struct arena *arena = arena_create();
    struct calcium_edges edges;
    struct calcium_overshoot o;
    CU_ASSERT_FATAL(arena && calcium_edges_init(&edges, dim, spacing, STRIPED, arena));
    make_stripes(0, soft);
    make_stripes(60, sharp);
    for (uint32_t k = 0; k < STRIPED; k++) {
        calcium_edges_add(&edges, k < STRIPED / 2 ? soft : sharp);
        CU_ASSERT_EQUAL(edges.count, (k + 1) * share);
    }
    calcium_edges_measure(&edges, &o);
    CU_ASSERT_EQUAL(o.edges, STRIPED * share);
    CU_ASSERT_DOUBLE_EQUAL(o.hu, 60, 0.01); // of the second half
    arena_destroy(arena);
}

// More slices than were told of do not write past the list.
static void more_borders_than_the_list_holds_are_left_out(void)
{
    static float slice[N * N];
    const uint32_t dim[2] = {N, N};
    const double spacing[2] = {0.7, 0.7};
    struct arena *arena = arena_create();
    struct calcium_edges edges;
    struct calcium_overshoot o;
    CU_ASSERT_FATAL(arena && calcium_edges_init(&edges, dim, spacing, STRIPED, arena));
    make_stripes(0, slice);
    for (int k = 0; k < STRIPED + 2; k++)
        calcium_edges_add(&edges, slice);
    calcium_edges_measure(&edges, &o);
    CU_ASSERT_EQUAL(o.edges, CALCIUM_EDGES_MOST);
    CU_ASSERT_EQUAL(o.hu, 0);
    arena_destroy(arena);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"soft_borders_do_not_overshoot", soft_borders_do_not_overshoot},
        {"enhanced_borders_overshoot", enhanced_borders_overshoot},
        {"a_little_is_said", a_little_is_said},
        {"turned_images_give_the_same", turned_images_give_the_same},
        {"few_borders_are_not_measured", few_borders_are_not_measured},
        {"every_slice_has_its_share_of_the_borders", every_slice_has_its_share_of_the_borders},
        {"more_borders_than_the_list_holds_are_left_out",
         more_borders_than_the_list_holds_are_left_out},
    };
    return check_main("calcium_quality", cases, sizeof cases / sizeof *cases);
}
