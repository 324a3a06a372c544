#include "compute/stages/cardiac/cardiac_ends.h"
#include <math.h>
#include <string.h>
#include "compute/stages/cardiac/cardiac_slope.h"
#include "tests/check.h"

// A ventricle of round slices, an atrium before the first of them, whose contours are those that it
// was painted by. It is at end diastole at point 0 and at end systole at POINTS / 2.
enum {
    SLICES = 9,
    POINTS = 10,
    SIDE = 64,
    FIRST = 1,
    LAST = 6,
    ES = POINTS / 2,
    CENTRE = SIDE / 2
};
enum { BLOOD = 600, MUSCLE = 200, LUNG = 30 };
static const double mm = 1.5, gap_mm = 8, wall_mm = 9, atrium_wall_mm = 2.4;

struct painted {
    struct cardiac_cine c;
    struct cardiac_ventricle v;
    struct cardiac_centre centres[SLICES];
    struct cardiac_part part[SLICES];
    struct cardiac_wall walls[SLICES][POINTS];
    float weight[SLICES][POINTS], least[SLICES][POINTS], most[SLICES][POINTS];
    bool vague[SLICES][POINTS], borrowed[SLICES][POINTS];
    float beyond[POINTS];
    double ml[POINTS], low[POINTS], high[POINTS];
    uint32_t phases[SLICES];
    uint16_t values[SLICES][POINTS][SIDE][SIDE];
};

// Blood within a radius, muscle around it.
static void paint(struct painted *h, uint32_t k, uint32_t p, double radius, double thick)
{
    for (int j = 0; j < SIDE; j++) {
        for (int i = 0; i < SIDE; i++) {
            const double r = hypot(i - CENTRE, j - CENTRE) * mm;
            h->values[k][p][j][i] = r < radius ? BLOOD : r < radius + thick ? MUSCLE : LUNG;
        }
    }
    struct cardiac_wall *wall = &h->walls[k][p];
    for (int w = 0; w < CARDIAC_WAYS; w++) {
        wall->endo[w] = (float)radius;
        wall->epi[w] = (float)(radius + thick);
    }
    wall->pool_mm2 = cardiac_contour_mm2(wall->endo);
    wall->muscle_mm2 = cardiac_contour_mm2(wall->epi) - wall->pool_mm2;
    wall->closed = wall->edge = 1;
    wall->thick_mm = thick;
    wall->corrected = false;
}

// Of the radius at end diastole.
static double squeezed(uint32_t p)
{
    return 1 - 0.15 * (1 - cos(2 * M_PI * p / POINTS));
}

// Half an ellipsoid, from the base: slice LAST is the last one with a pool.
static double radius_of(uint32_t k)
{
    return 24 * sqrt(1 - pow((k - FIRST + 0.5) / (LAST - FIRST + 1), 2));
}

static void paint_slice(struct painted *h, uint32_t k, uint32_t p)
{
    if (k < FIRST)
        paint(h, k, p, 16, atrium_wall_mm);
    else
        paint(h, k, p, k <= LAST ? squeezed(p) * radius_of(k) : 0, wall_mm);
}

static void paint_ventricle(struct painted *h)
{
    memset(h, 0, sizeof *h);
    h->c = (struct cardiac_cine){.columns = SIDE,
                                 .rows = SIDE,
                                 .slices = SLICES,
                                 .points = POINTS,
                                 .mm = {mm, mm},
                                 .gap_mm = gap_mm,
                                 .phases = h->phases,
                                 .values = &h->values[0][0][0][0]};
    h->v = (struct cardiac_ventricle){.slices = SLICES,
                                      .points = POINTS,
                                      .part = h->part,
                                      .ml = h->ml,
                                      .low = h->low,
                                      .high = h->high,
                                      .gap_mm = gap_mm,
                                      .pixel_mm = mm,
                                      .beyond_mm2 = h->beyond};
    for (uint32_t k = 0; k < SLICES; k++) {
        struct cardiac_part *part = &h->part[k];
        h->phases[k] = part->phases = POINTS;
        h->centres[k].score = k <= FIRST + 2 ? 0.5 : 0.4; // the middle is there
        part->s = (struct cardiac_slice){{CENTRE, CENTRE}, BLOOD, MUSCLE, h->walls[k]};
        part->quality = part->closed = k <= LAST ? 1 : 0;
        part->thick_mm = wall_mm;
        part->weight = h->weight[k];
        part->least = h->least[k];
        part->most = h->most[k];
        part->vague = h->vague[k];
        part->borrowed = h->borrowed[k];
        for (uint32_t p = 0; p < POINTS; p++)
            paint_slice(h, k, p);
    }
}

// Other radii of a slice.
static void repaint(struct painted *h, uint32_t k, double radius)
{
    for (uint32_t p = 0; p < POINTS; p++)
        paint(h, k, p, squeezed(p) * radius, wall_mm);
}

static void measure(struct painted *h)
{
    CU_ASSERT_TRUE_FATAL(cardiac_ends_find(&h->v, &h->c, h->centres, true));
    CU_ASSERT_TRUE_FATAL(cardiac_slope_correct(&h->c, &h->v));
    cardiac_ends_sum(&h->v);
    CU_ASSERT_EQUAL(h->v.base, FIRST);
    CU_ASSERT_EQUAL(h->v.apex, LAST);
}

static void the_last_slice_of_a_round_apex_is_drawn(void)
{
    static struct painted h;
    paint_ventricle(&h);
    measure(&h);
    CU_ASSERT_EQUAL(h.v.ed, 0);
    CU_ASSERT_EQUAL(h.v.es, ES);
    CU_ASSERT_TRUE(cardiac_counts(&h.v, LAST, 0));
    CU_ASSERT_TRUE(cardiac_counts(&h.v, LAST, ES));
}

// Where the slices before leave less room for it.
static void the_last_slice_is_named_where_its_pool_may_end_within_it(void)
{
    static struct painted h;
    paint_ventricle(&h);
    const double one = radius_of(LAST - 1), two = radius_of(LAST - 2);
    const double room = sqrt(2 * one * one - two * two);
    repaint(&h, LAST, 0.97 * room); // 0.94 of the area
    measure(&h);
    CU_ASSERT_FALSE(cardiac_counts(&h.v, LAST, 0));
    CU_ASSERT_TRUE(cardiac_counts(&h.v, LAST - 1, 0));
    CU_ASSERT(h.v.edv.low < h.v.edv.value - 0.9 * h.walls[LAST][0].pool_mm2 * gap_mm / 1000);
    paint_ventricle(&h);
    repaint(&h, LAST, 0.9 * room);
    measure(&h);
    CU_ASSERT_TRUE(cardiac_counts(&h.v, LAST, 0));
}

// A small slice before it, too.
static void two_slices_are_named_where_neither_has_room(void)
{
    static struct painted h;
    paint_ventricle(&h);
    const double two = radius_of(LAST - 3), one = 0.8 * two;
    const double room = sqrt(2 * one * one - two * two);
    repaint(&h, LAST - 2, one);
    repaint(&h, LAST - 1, 1.01 * room);
    repaint(&h, LAST, 0.7 * room);
    measure(&h);
    CU_ASSERT_FALSE(cardiac_counts(&h.v, LAST, 0));
    CU_ASSERT_FALSE(cardiac_counts(&h.v, LAST - 1, 0));
    CU_ASSERT_TRUE(cardiac_counts(&h.v, LAST - 2, 0));
}

static void the_first_slice_is_named_where_it_is_larger_by_a_fifth(void)
{
    static struct painted h;
    paint_ventricle(&h);
    repaint(&h, FIRST, 1.12 * radius_of(FIRST + 1)); // 1.25 of the area
    measure(&h);
    CU_ASSERT_FALSE(cardiac_counts(&h.v, FIRST, 0));
    CU_ASSERT_TRUE(cardiac_counts(&h.v, FIRST + 1, 0));
    CU_ASSERT_EQUAL(h.least[FIRST][0], 1); // its area counts
    paint_ventricle(&h);
    repaint(&h, FIRST, 1.07 * radius_of(FIRST + 1));
    measure(&h);
    CU_ASSERT_TRUE(cardiac_counts(&h.v, FIRST, 0));
}

// While the valve lies within a slice, its wall is a thin one around a pool that has shrunk.
static void a_thin_wall_around_a_pool_that_has_shrunk_is_in_doubt(void)
{
    static struct painted h;
    paint_ventricle(&h);
    for (uint32_t p = ES - 1; p <= ES + 1; p++)
        paint(&h, FIRST, p, squeezed(p) * radius_of(FIRST), atrium_wall_mm);
    measure(&h);
    const double slice = h.walls[FIRST][ES].pool_mm2 * gap_mm / 1000;
    CU_ASSERT(h.v.esv.high - h.v.esv.low > 0.9 * slice);
    CU_ASSERT(h.v.esv.value > h.v.esv.low + 0.4 * slice);
    CU_ASSERT(h.v.esv.value < h.v.esv.high - 0.4 * slice);
}

static void a_thin_wall_around_a_pool_that_has_grown_is_that_of_an_atrium(void)
{
    static struct painted h;
    paint_ventricle(&h);
    for (uint32_t p = ES - 1; p <= ES + 1; p++)
        paint(&h, FIRST, p, 0.95 * radius_of(FIRST), atrium_wall_mm);
    measure(&h);
    CU_ASSERT_EQUAL(h.part[FIRST].most[ES], 0);
    CU_ASSERT(h.v.esv.high < h.v.esv.value + 1);
    // The same where the contours of end diastole are too large: it has shrunk, but is not like the
    // next.
    paint_ventricle(&h);
    repaint(&h, FIRST, 1.25 * radius_of(FIRST));
    for (uint32_t p = ES - 1; p <= ES + 1; p++)
        paint(&h, FIRST, p, 0.85 * radius_of(FIRST), atrium_wall_mm);
    measure(&h);
    CU_ASSERT_EQUAL(h.part[FIRST].most[ES], 0);
}

// At end diastole: it looks like atrium, but at the place of the wall of the next slice.
static void a_thin_wall_where_the_next_goes_on_may_count_at_end_diastole(void)
{
    static struct painted h;
    paint_ventricle(&h);
    measure(&h);
    const double high = h.v.edv.high, value = h.v.edv.value;
    paint_ventricle(&h);
    for (uint32_t p = 0; p < POINTS; p++)
        paint(&h, FIRST - 1, p, squeezed(p) * radius_of(FIRST), atrium_wall_mm);
    measure(&h);
    CU_ASSERT_EQUAL(h.weight[FIRST - 1][0], 0);
    CU_ASSERT(h.v.edv.value < value + 1);
    CU_ASSERT(h.v.edv.high > high + 0.9 * h.walls[FIRST][0].pool_mm2 * gap_mm / 1000);
}

// An aneurysm: in systole the pool of the last slice is larger than that of the one before, and
// there is blood past it.
static void paint_aneurysm(struct painted *h)
{
    paint_ventricle(h);
    for (uint32_t p = ES - 1; p <= ES + 1; p++) {
        for (uint32_t k = LAST; k < SLICES; k++)
            paint(h, k, p, squeezed(p) * 1.1 * radius_of(LAST - 1), wall_mm);
    }
}

static void a_pool_that_does_not_narrow_may_go_on_for_two_slices(void)
{
    static struct painted h;
    paint_aneurysm(&h);
    measure(&h);
    const double last = h.walls[LAST][ES].pool_mm2;
    CU_ASSERT((double)h.v.beyond_mm2[ES] > 1.8 * last);
    CU_ASSERT(h.v.esv.high - h.v.esv.value > 0.8 * last * gap_mm / 1000);
    for (uint32_t p = ES - 1; p <= ES + 1; p++) // and not where there is none
        paint(&h, LAST + 2, p, 0, wall_mm);
    measure(&h);
    CU_ASSERT((double)h.v.beyond_mm2[ES] > 0.9 * last);
    CU_ASSERT((double)h.v.beyond_mm2[ES] < 1.1 * last);
}

// With the first slice in doubt: what is of the apex is so whether that counts or not.
static void doubt_at_the_base_and_at_the_apex_are_two(void)
{
    static struct painted h;
    paint_aneurysm(&h);
    for (uint32_t p = 0; p < POINTS; p++)
        h.walls[FIRST][p].closed = 0.4;
    measure(&h);
    CU_ASSERT_EQUAL(h.least[FIRST][0], 0);
    double ed = 0, es = (double)h.v.beyond_mm2[ES];
    for (uint32_t k = FIRST + 1; k <= LAST; k++) {
        ed += h.walls[k][0].pool_mm2;
        es += h.walls[k][ES].pool_mm2;
    }
    CU_ASSERT(h.v.ef.low < 100 * (1 - es / ed) + 1);
    CU_ASSERT(h.v.ef.value > h.v.ef.low + 10);
}

// What closes the apex past the last slice, and an outer contour that is drawn within the edge.
static void the_range_of_mass_has_the_cap_and_the_contours_of_experts(void)
{
    static struct painted h;
    paint_ventricle(&h);
    measure(&h);
    const double one = radius_of(LAST) + wall_mm, two = radius_of(LAST - 1) + wall_mm;
    const double cap = M_PI * (2 * one * one - two * two);
    double round = 0; // of the outer contours
    for (uint32_t k = FIRST; k <= LAST; k++)
        round += 2 * M_PI * (radius_of(k) + wall_mm);
    const double g_mm2 = gap_mm / 1000 * CARDIAC_DENSITY;
    CU_ASSERT(cap > 100);
    CU_ASSERT(h.v.mass.high > h.v.mass.value + g_mm2 * (0.5 * mm * round + cap));
    CU_ASSERT(h.v.mass.low < h.v.mass.value - g_mm2 * 1.65 * round);
    CU_ASSERT(h.v.mass.low > h.v.mass.value - g_mm2 * 2.5 * round);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"cardiac_ends_the_last_slice_of_a_round_apex_is_drawn",
         the_last_slice_of_a_round_apex_is_drawn},
        {"cardiac_ends_the_last_slice_is_named_where_its_pool_may_end_within_it",
         the_last_slice_is_named_where_its_pool_may_end_within_it},
        {"cardiac_ends_two_slices_are_named_where_neither_has_room",
         two_slices_are_named_where_neither_has_room},
        {"cardiac_ends_the_first_slice_is_named_where_it_is_larger_by_a_fifth",
         the_first_slice_is_named_where_it_is_larger_by_a_fifth},
        {"cardiac_ends_a_thin_wall_around_a_pool_that_has_shrunk_is_in_doubt",
         a_thin_wall_around_a_pool_that_has_shrunk_is_in_doubt},
        {"cardiac_ends_a_thin_wall_around_a_pool_that_has_grown_is_that_of_an_atrium",
         a_thin_wall_around_a_pool_that_has_grown_is_that_of_an_atrium},
        {"cardiac_ends_a_thin_wall_where_the_next_goes_on_may_count_at_end_diastole",
         a_thin_wall_where_the_next_goes_on_may_count_at_end_diastole},
        {"cardiac_ends_a_pool_that_does_not_narrow_may_go_on_for_two_slices",
         a_pool_that_does_not_narrow_may_go_on_for_two_slices},
        {"cardiac_ends_doubt_at_the_base_and_at_the_apex_are_two",
         doubt_at_the_base_and_at_the_apex_are_two},
        {"cardiac_ends_the_range_of_mass_has_the_cap_and_the_contours_of_experts",
         the_range_of_mass_has_the_cap_and_the_contours_of_experts},
    };
    return check_main("cardiac_ends", cases, sizeof cases / sizeof *cases);
}
