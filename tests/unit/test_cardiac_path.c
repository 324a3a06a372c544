#include "compute/stages/cardiac/cardiac_path.h"
#include <math.h>
#include "compute/stages/cardiac/cardiac_centre.h"
#include "compute/stages/cardiac/cardiac_wall.h"
#include "tests/check.h"

enum { WAYS = 64, RADII = 40 };

// A ring whose radius changes with the direction, cheap where it is, with a cheaper spot elsewhere.
static void follows_a_ring_past_a_cheaper_spot(void)
{
    static float cost[WAYS * RADII];
    uint16_t path[WAYS];
    for (int w = 0; w < WAYS; w++) {
        const int at = 20 + (int)lround(6 * sin(2 * M_PI * w / WAYS));
        for (int r = 0; r < RADII; r++)
            cost[w * RADII + r] = r == at ? 0 : 1;
    }
    cost[10 * RADII + 2] = -5;
    CU_ASSERT_TRUE_FATAL(cardiac_path_find(cost, WAYS, RADII, 1, 0.1f, path));
    for (int w = 0; w < WAYS; w++)
        CU_ASSERT_EQUAL(path[w], 20 + (int)lround(6 * sin(2 * M_PI * w / WAYS)));
}

static void closes_where_directions_meet(void)
{
    static float cost[WAYS * RADII];
    uint16_t path[WAYS];
    for (int w = 0; w < WAYS; w++) { // without closing, the path would end where it is cheapest
        for (int r = 0; r < RADII; r++)
            cost[w * RADII + r] = (float)abs(r - (w < 4 ? 10 : w >= 60 ? 30 : 20));
    }
    CU_ASSERT_TRUE_FATAL(cardiac_path_find(cost, WAYS, RADII, 2, 0.1f, path));
    CU_ASSERT(abs(path[0] - path[WAYS - 1]) <= 2);
    for (int w = 1; w < WAYS; w++)
        CU_ASSERT(abs(path[w] - path[w - 1]) <= 2);
}

static void never_takes_what_is_forbidden(void)
{
    static float cost[WAYS * RADII];
    uint16_t path[WAYS];
    for (int n = 0; n < WAYS * RADII; n++)
        cost[n] = n % RADII < 25 ? CARDIAC_PATH_NEVER : (float)(n % RADII);
    CU_ASSERT_TRUE_FATAL(cardiac_path_find(cost, WAYS, RADII, 2, 0, path));
    for (int w = 0; w < WAYS; w++)
        CU_ASSERT_EQUAL(path[w], 25);
}

static void area_is_that_of_the_polygon(void)
{
    float radius[CARDIAC_WAYS];
    for (int w = 0; w < CARDIAC_WAYS; w++)
        radius[w] = 20;
    CU_ASSERT_DOUBLE_EQUAL(cardiac_contour_mm2(radius), M_PI * 400, M_PI * 400 * 0.002);
}

static void nothing_moves_and_no_heart_is_found(void)
{
    static float motion[20 * 20];
    const struct cardiac_cine c = {
        .columns = 20, .rows = 20, .slices = 1, .mm = {1.5, 1.5}, .motion = motion};
    double centre[2];
    CU_ASSERT_FALSE(cardiac_heart_find(&c, centre));
    for (int n = 0; n < 9; n++)
        motion[(12 + n / 3) * 20 + 6 + n % 3] = 5;
    CU_ASSERT_TRUE_FATAL(cardiac_heart_find(&c, centre));
    CU_ASSERT_DOUBLE_EQUAL(centre[0], 7, 0.6);
    CU_ASSERT_DOUBLE_EQUAL(centre[1], 13, 0.6);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"cardiac_path_follows_a_ring_past_a_cheaper_spot", follows_a_ring_past_a_cheaper_spot},
        {"cardiac_path_closes_where_directions_meet", closes_where_directions_meet},
        {"cardiac_path_never_takes_what_is_forbidden", never_takes_what_is_forbidden},
        {"cardiac_contour_area_is_that_of_the_polygon", area_is_that_of_the_polygon},
        {"cardiac_heart_nothing_moves_and_none_is_found", nothing_moves_and_no_heart_is_found},
    };
    return check_main("cardiac_path", cases, sizeof cases / sizeof *cases);
}
