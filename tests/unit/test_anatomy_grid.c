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
            g.lead[d] = d == 2 ? 0 : g.axis[d] == 0 ? 1 : 2;
            g.fine[d] = v.dim[g.axis[d]];
            g.dim[d] = (g.fine[d] + g.lead[d] + 2) / 3;
        }
        const double ijk[3] = {17, 4, 11};
        double xyz[3], back[3];
        anatomy_grid_from_voxel(&g, ijk, xyz);
        anatomy_grid_to_voxel(&g, xyz, back);
        size_t at = 0;
        for (int d = 2; d >= 0; d--)
            at = at * g.dim[d] + (size_t)lround(xyz[d]);
        CU_ASSERT_EQUAL(anatomy_grid_at(&g, 17, 4, 11), at);
        CU_ASSERT_EQUAL(anatomy_grid_end(&g, 0), 2);
        CU_ASSERT_EQUAL(anatomy_grid_end(&g, 14), 17);
        CU_ASSERT_EQUAL(anatomy_grid_end(&g, 39), 40);
        CU_ASSERT_EQUAL(anatomy_grid_at(&g, 14, 4, 11), anatomy_grid_at(&g, 16, 4, 11));
        CU_ASSERT_NOT_EQUAL(anatomy_grid_at(&g, 16, 4, 11), anatomy_grid_at(&g, 17, 4, 11));
        for (int a = 0; a < 3; a++)
            CU_ASSERT_DOUBLE_EQUAL(back[a], ijk[a], 1e-9);
    }
}

// Where the border of the first block lies along direction d, in voxels from a fixed place.
static double first_border(const struct anatomy_grid *g, int d, double spacing)
{
    const double edge = (g->flip[d] ? -1 : 1) * (g->lead[d] + 0.5);
    return g->start[d] / spacing - edge;
}

// Blocks of images that are turned, cut and shifted by whole voxels have the same borders.
static void blocks_stay_where_they_are_in_the_patient(void)
{
    struct err err = {0};
    struct gpu *gpu = gpu_create(NULL, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(gpu);
    const double spacing[3] = {0.7, 0.7, 2};
    for (size_t n = 0; n < sizeof positions / sizeof *positions; n++) {
        if (!positions[n].axial)
            continue;
        double border[2] = {0};
        for (uint32_t cut = 0; cut < 9; cut++) {
            struct image v = volume_of(&positions[n]);
            for (int e = 0; e < 3; e++) {
                for (int a = 0; a < 3; a++)
                    v.to_patient[e][a] *= spacing[a];
                const double corner = e == 0 ? -123.4 : e == 1 ? 77.7 : 5;
                v.to_patient[e][3] =
                    corner + cut * v.to_patient[e][0] + 2 * cut * v.to_patient[e][1];
            }
            const uint32_t dim[3] = {40 - cut, 30 - 2 * cut, 2};
            struct gpu_volume *hu = gpu_volume_create(gpu, dim, spacing, GPU_VOXEL_I16, &err);
            struct arena *arena = arena_create();
            CU_ASSERT_PTR_NOT_NULL_FATAL(hu);
            CU_ASSERT_PTR_NOT_NULL_FATAL(arena);
            struct anatomy_grid g;
            const int16_t *values;
            CU_ASSERT_TRUE_FATAL(anatomy_grid_orient(&v, &g));
            struct gpu_volume *work = anatomy_grid_make(gpu, hu, 2.5, arena, &g, &values, &err);
            CU_ASSERT_PTR_NOT_NULL_FATAL(work);
            for (int d = 0; d < 2; d++) {
                CU_ASSERT_EQUAL(g.factor[d], 4);
                CU_ASSERT(g.lead[d] < 4);
                CU_ASSERT_EQUAL(g.dim[d], (g.fine[d] + g.lead[d] + 3) / 4);
                const double at = first_border(&g, d, spacing[0]);
                if (cut == 0)
                    border[d] = at;
                const double blocks = (at - border[d]) / 4;
                CU_ASSERT_DOUBLE_EQUAL(blocks, round(blocks), 1e-2); // axes above have 3 digits
            }
            gpu_volume_destroy(work);
            gpu_volume_destroy(hu);
            arena_destroy(arena);
        }
    }
    gpu_destroy(gpu);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"every_axial_position_is_taken", every_axial_position_is_taken},
        {"places_go_both_ways", places_go_both_ways},
        {"blocks_stay_where_they_are_in_the_patient", blocks_stay_where_they_are_in_the_patient},
    };
    return check_main("anatomy_grid", cases, sizeof cases / sizeof *cases);
}
