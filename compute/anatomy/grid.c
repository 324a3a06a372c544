#include "compute/anatomy/grid.h"
#include <math.h>
#include <stdlib.h>

static const double axial_cosine = 0.85; // of an axis to the patient's direction, at least
static const double border_slack = 0.01; // of a voxel: more than positions are rounded by

bool anatomy_grid_orient(const struct image *v, struct anatomy_grid *g)
{
    *g = (struct anatomy_grid){0};
    bool taken[3] = {0};
    for (uint32_t a = 0; a < 3; a++) {
        const double m[3] = {v->to_patient[0][a], v->to_patient[1][a], v->to_patient[2][a]};
        const double length = sqrt(m[0] * m[0] + m[1] * m[1] + m[2] * m[2]);
        for (uint32_t d = 0; d < 3; d++) {
            if (!(fabs(m[d]) > axial_cosine * length))
                continue;
            g->axis[d] = a;
            g->flip[d] = m[d] < 0;
            for (uint32_t e = 0; e < 3; e++)
                g->start[d] += (g->flip[d] ? -1 : 1) * v->to_patient[e][3] * m[e] / length;
            taken[d] = true;
        }
    }
    return taken[0] && taken[1] && taken[2] && g->axis[2] == 2;
}

// Voxels that the volume's first block lacks, so that blocks begin at multiples of their size in
// the patient. A place on the border of two voxels is no matter of rounding.
static uint32_t lead_of(double start, double spacing, uint32_t factor, bool flip)
{
    const double at = floor(start / spacing + border_slack);
    const uint32_t in_block = (uint32_t)(at - floor(at / factor) * factor);
    return flip ? factor - 1 - in_block : in_block;
}

struct gpu_volume *anatomy_grid_make(struct gpu *gpu, const struct gpu_volume *hu, double mm,
                                     struct arena *arena, struct anatomy_grid *g,
                                     const int16_t **values, struct err *err)
{
    uint32_t factor[3], lead[3] = {0};
    gpu_shrink_factors(hu->spacing, mm, factor);
    for (int d = 0; d < 2; d++) {
        const uint32_t a = g->axis[d];
        lead[a] = lead_of(g->start[d], hu->spacing[a], factor[a], g->flip[d]);
    }
    struct gpu_volume *coarse = gpu_volume_shrink(hu, factor, lead, err);
    if (!coarse)
        return NULL;
    const uint32_t dim[3] = {coarse->dim[0], coarse->dim[1], coarse->dim[2]};
    const size_t step[3] = {1, dim[0], (size_t)dim[0] * dim[1]};
    for (int d = 0; d < 3; d++) {
        const uint32_t a = g->axis[d];
        g->dim[d] = dim[a];
        g->mm[d] = coarse->spacing[a];
        g->factor[d] = factor[a];
        g->lead[d] = lead[a];
        g->fine[d] = hu->dim[a];
    }
    const size_t voxels = (size_t)dim[0] * dim[1] * dim[2];
    int16_t *raw = malloc(voxels * sizeof *raw);
    int16_t *turned = arena_alloc(arena, voxels, sizeof *turned);
    const bool ok = raw && turned && gpu_volume_read(coarse, 0, dim[2], raw, err);
    gpu_volume_destroy(coarse);
    if (!raw || !turned)
        err_set(err, ERR_NOMEM, "anatomy: work grid");
    int16_t *to = turned;
    for (uint32_t k = 0; ok && k < g->dim[2]; k++) {
        const size_t at_k = (g->flip[2] ? g->dim[2] - 1 - k : k) * step[g->axis[2]];
        for (uint32_t j = 0; j < g->dim[1]; j++) {
            const size_t at_j = (g->flip[1] ? g->dim[1] - 1 - j : j) * step[g->axis[1]] + at_k;
            for (uint32_t i = 0; i < g->dim[0]; i++)
                *to++ = raw[(g->flip[0] ? g->dim[0] - 1 - i : i) * step[g->axis[0]] + at_j];
        }
    }
    free(raw);
    if (!ok)
        return NULL;
    *values = turned;
    return gpu_volume_write(gpu, g->dim, g->mm, GPU_VOXEL_I16, turned, err);
}

size_t anatomy_grid_at(const struct anatomy_grid *g, uint32_t i, uint32_t j, uint32_t k)
{
    const uint32_t fine[3] = {i, j, k};
    size_t at[3];
    for (int d = 0; d < 3; d++) {
        at[d] = (fine[g->axis[d]] + g->lead[d]) / g->factor[d];
        if (g->flip[d])
            at[d] = g->dim[d] - 1 - at[d];
    }
    return (at[2] * g->dim[1] + at[1]) * g->dim[0] + at[0];
}

uint32_t anatomy_grid_end(const struct anatomy_grid *g, uint32_t i)
{
    const int d = g->axis[0] == 0 ? 0 : g->axis[1] == 0 ? 1 : 2;
    const uint32_t end = ((i + g->lead[d]) / g->factor[d] + 1) * g->factor[d] - g->lead[d];
    return end < g->fine[d] ? end : g->fine[d];
}

void anatomy_grid_from_voxel(const struct anatomy_grid *g, const double ijk[3], double xyz[3])
{
    for (int d = 0; d < 3; d++) {
        xyz[d] = (ijk[g->axis[d]] + g->lead[d] - (g->factor[d] - 1) / 2.0) / g->factor[d];
        if (g->flip[d])
            xyz[d] = g->dim[d] - 1 - xyz[d];
    }
}

void anatomy_grid_to_voxel(const struct anatomy_grid *g, const double xyz[3], double ijk[3])
{
    for (int d = 0; d < 3; d++) {
        const double at = g->flip[d] ? g->dim[d] - 1 - xyz[d] : xyz[d];
        ijk[g->axis[d]] = at * g->factor[d] + (g->factor[d] - 1) / 2.0 - g->lead[d];
    }
}
