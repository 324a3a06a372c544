// Grids in the patient's directions over scans of any position.
#include <math.h>
#include <string.h>
#include "compute/anatomy/grid.h"
#include "tests/check.h"

// Rows: to the left, back and head along the indices i, j, k of the volume.
struct position {
    const char *name;
    double left[3], back[3], head[3];
    uint32_t axis[3];
    bool flip[3], axial;
};
static const struct position positions[] = {
    {"head first supine", {1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {0, 1, 2}, {0, 0, 0}, true},
    {"from the head down", {1, 0, 0}, {0, 1, 0}, {0, 0, -1}, {0, 1, 2}, {0, 0, 1}, true},
    {"head first prone", {-1, 0, 0}, {0, -1, 0}, {0, 0, 1}, {0, 1, 2}, {1, 1, 0}, true},
    {"decubitus, right side down", {0, 1, 0}, {-1, 0, 0}, {0, 0, 1}, {1, 0, 2}, {0, 1, 0}, true},
    {"decubitus, left side down", {0, -1, 0}, {1, 0, 0}, {0, 0, -1}, {1, 0, 2}, {1, 0, 1}, true},
    {"turned by 20 degrees",
     {0.940, 0.342, 0},
     {-0.342, 0.940, 0},
     {0, 0, 1},
     {0, 1, 2},
     {0, 0, 0},
     true},
    {"turned by 45 degrees", {0.707, 0.707, 0}, {-0.707, 0.707, 0}, {0, 0, 1}, {0}, {0}, false},
    {"coronal", {1, 0, 0}, {0, 0, 1}, {0, -1, 0}, {0}, {0}, false},
    {"sagittal", {0, 0, 1}, {1, 0, 0}, {0, -1, 0}, {0}, {0}, false},
};

static struct image volume_of(const struct position *p)
{
    struct image v = {.dim = {40, 30, 20, 1}, .spacing = {1, 1, 1}};
    for (int a = 0; a < 3; a++) {
        v.to_patient[0][a] = p->left[a];
        v.to_patient[1][a] = p->back[a];
        v.to_patient[2][a] = p->head[a];
    }
    return v;
}

static void every_axial_position_is_taken(void)
{
    for (size_t n = 0; n < sizeof positions / sizeof *positions; n++) {
        const struct position *p = &positions[n];
        const struct image v = volume_of(p);
        struct anatomy_grid g;
        const bool axial = anatomy_grid_orient(&v, &g);
        if (axial != p->axial)
            printf("\n%s\n", p->name);
        CU_ASSERT_EQUAL(axial, p->axial);
        for (int d = 0; axial && d < 3; d++) {
            CU_ASSERT_EQUAL(g.axis[d], p->axis[d]);
            CU_ASSERT_EQUAL(g.flip[d], p->flip[d]);
        }
    }
}

static void places_go_both_ways(void)
{
    for (size_t n = 0; n < sizeof positions / sizeof *positions; n++) {
        const struct image v = volume_of(&positions[n]);
        struct anatomy_grid g;
        if (!anatomy_grid_orient(&v, &g))
            continue;
        for (int d = 0; d < 3; d++) {
            g.factor[d] = 3;
            g.fine[d] = v.dim[g.axis[d]];
            g.dim[d] = (g.fine[d] + 2) / 3;
        }
        const double ijk[3] = {17, 4, 11};
        double xyz[3], back[3];
        anatomy_grid_from_voxel(&g, ijk, xyz);
        anatomy_grid_to_voxel(&g, xyz, back);
        size_t at = 0;
        for (int d = 2; d >= 0; d--)
            at = at * g.dim[d] + (size_t)lround(xyz[d]);
        CU_ASSERT_EQUAL(anatomy_grid_at(&g, 17, 4, 11), at);
        CU_ASSERT_EQUAL(anatomy_grid_run(&g), 3);
        CU_ASSERT_EQUAL(anatomy_grid_at(&g, 15, 4, 11), anatomy_grid_at(&g, 17, 4, 11));
        CU_ASSERT_NOT_EQUAL(anatomy_grid_at(&g, 14, 4, 11), anatomy_grid_at(&g, 15, 4, 11));
        for (int a = 0; a < 3; a++)
            CU_ASSERT_DOUBLE_EQUAL(back[a], ijk[a], 1e-9);
    }
}

int main(void)
{
    static const struct check_case cases[] = {
        {"every_axial_position_is_taken", every_axial_position_is_taken},
        {"places_go_both_ways", places_go_both_ways},
    };
    return check_main("anatomy_grid", cases, sizeof cases / sizeof *cases);
}
