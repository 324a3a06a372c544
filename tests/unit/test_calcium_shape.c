// Standard deviations of pieces of calcium along their axes, and the first axis.
#include <math.h>
#include "compute/stages/calcium/calcium_shape.h"
#include "tests/check.h"

enum { ROWS = 64 };
static const double spacing[3] = {0.5, 0.5, 2};

static void spread_of(const struct component_run *runs, uint32_t count, double a, double b,
                      double c)
{
    double sd[3], axis[3];
    calcium_spread(runs, count, ROWS, spacing, sd, axis);
    CU_ASSERT_DOUBLE_EQUAL(hypot(hypot(axis[0], axis[1]), axis[2]), 1, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(sd[0], a, 1e-3);
    CU_ASSERT_DOUBLE_EQUAL(sd[1], b, 1e-3);
    CU_ASSERT_DOUBLE_EQUAL(sd[2], c, 1e-3);
}

// Either way along it.
static void axis_of(const struct component_run *runs, uint32_t count, double x, double y, double z)
{
    double sd[3], axis[3];
    calcium_spread(runs, count, ROWS, spacing, sd, axis);
    CU_ASSERT_DOUBLE_EQUAL(fabs(axis[0] * x + axis[1] * y + axis[2] * z), 1, 1e-6);
}

// Of n places in a row, one step apart: step * sqrt((n^2 - 1) / 12).
static double line(uint32_t n, double step)
{
    return step * sqrt((n * n - 1) / 12.0);
}

static void a_voxel_has_none(void)
{
    const struct component_run one = {.row = 3 * ROWS + 7, .x0 = 40, .x1 = 40, .label = 1};
    spread_of(&one, 1, 0, 0, 0);
}

static void a_tube_has_one(void)
{
    const struct component_run along = {.row = 5, .x0 = 10, .x1 = 29, .label = 1};
    spread_of(&along, 1, line(20, 0.5), 0, 0);
    axis_of(&along, 1, 1, 0, 0);
    struct component_run up[6];
    for (uint32_t k = 0; k < 6; k++)
        up[k] = (struct component_run){.row = k * ROWS + 9, .x0 = 12, .x1 = 12, .label = 1};
    spread_of(up, 6, line(6, 2), 0, 0);
    axis_of(up, 6, 0, 0, 1);
    struct component_run slanted[9]; // along the diagonal of a slice
    for (uint32_t j = 0; j < 9; j++)
        slanted[j] = (struct component_run){.row = j, .x0 = j, .x1 = j, .label = 1};
    spread_of(slanted, 9, line(9, 0.5 * sqrt(2)), 0, 0);
    axis_of(slanted, 9, sqrt(0.5), sqrt(0.5), 0);
}

static void a_sheet_has_two_and_a_block_three(void)
{
    struct component_run runs[4 * 10];
    uint32_t count = 0;
    for (uint32_t k = 0; k < 4; k++) {
        for (uint32_t j = 0; j < 10; j++)
            runs[count++] = (struct component_run){k * ROWS + 20 + j, 30, 30, 1};
    }
    spread_of(runs, count, line(4, 2), line(10, 0.5), 0);
    for (uint32_t i = 0; i < count; i++)
        runs[i].x1 = 34;
    spread_of(runs, count, line(4, 2), line(10, 0.5), line(5, 0.5));
    axis_of(runs, count, 0, 0, 1);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"a_voxel_has_none", a_voxel_has_none},
        {"a_tube_has_one", a_tube_has_one},
        {"a_sheet_has_two_and_a_block_three", a_sheet_has_two_and_a_block_three},
    };
    return check_main("calcium_shape", cases, sizeof cases / sizeof *cases);
}
