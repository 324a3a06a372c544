#include "compute/stages/perfusion/perfusion_tissue.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double soft_lo_hu = -10, soft_hi_hu = 100; // fluid to blood with contrast still in it
static const double smooth_mm = 1.5;                    // so that noise makes no holes
static const double rim_mm = 4; // eyes and muscles hang on the brain by thinner necks

struct gpu_mask *perfusion_brain(const struct gpu_volume *baseline, struct err *err)
{
    const double sigma[3] = {smooth_mm, smooth_mm, 0};
    struct gpu_volume *smooth = gpu_volume_smooth(baseline, sigma, err);
    struct gpu_mask *soft = smooth ? gpu_mask_threshold(smooth, soft_lo_hu, soft_hi_hu, err) : NULL;
    struct gpu_mask *core = soft ? gpu_mask_erode_2d(soft, rim_mm, err) : NULL;
    struct gpu_mask *largest = core ? gpu_mask_keep_largest(core, 1, CONNECT_6, NULL, err) : NULL;
    struct gpu_mask *grown = largest ? gpu_mask_dilate_2d(largest, rim_mm + 1, err) : NULL;
    bool ok = grown && gpu_mask_combine(grown, MASK_AND, soft, err);
    struct gpu_mask *brain = ok ? gpu_mask_fill_holes(grown, err) : NULL;
    gpu_mask_destroy(grown);
    gpu_mask_destroy(largest);
    gpu_mask_destroy(core);
    gpu_mask_destroy(soft);
    gpu_volume_destroy(smooth);
    return brain;
}

enum { ANGLE_STEPS = 10, OFFSET_STEPS = 10 }; // either way
static const double angle_step = 2;           // degrees: how far a head is turned
static const double offset_step_mm = 2;

double perfusion_side(const struct perfusion_midline *m, const double spacing[3], double column,
                      double row)
{
    return (column - m->column) * spacing[0] * m->across[0] +
           (row - m->row) * spacing[1] * m->across[1];
}

// Part of a picture of the brain's thickness that its mirror image shares.
static double overlap_of(const float *thick, const uint32_t dim[3], const double spacing[3],
                         const struct perfusion_midline *m)
{
    double shared = 0, all = 0;
    for (uint32_t j = 0; j < dim[1]; j++) {
        for (uint32_t i = 0; i < dim[0]; i++) {
            const double here = (double)thick[(size_t)j * dim[0] + i];
            if (here == 0)
                continue;
            const double d = perfusion_side(m, spacing, i, j);
            const double x = i - 2 * d * m->across[0] / spacing[0];
            const double y = j - 2 * d * m->across[1] / spacing[1];
            all += here;
            if (x > -0.5 && y > -0.5 && x < dim[0] - 0.5 && y < dim[1] - 0.5) {
                const size_t at = (size_t)lround(fmax(y, 0)) * dim[0] + (size_t)lround(fmax(x, 0));
                shared += fmin(here, (double)thick[at]);
            }
        }
    }
    return all > 0 ? shared / all : 0;
}

static void try_lines(const float *thick, const uint32_t dim[3], const double spacing[3],
                      const double centre[2], struct perfusion_midline *best)
{
    for (int turn = -ANGLE_STEPS; turn <= ANGLE_STEPS; turn++) {
        for (int shift = -OFFSET_STEPS; shift <= OFFSET_STEPS; shift++) {
            const double a = turn * angle_step, o = shift * offset_step_mm;
            struct perfusion_midline m = {.across = {cos(a * M_PI / 180), sin(a * M_PI / 180)}};
            m.column = centre[0] + o * m.across[0] / spacing[0];
            m.row = centre[1] + o * m.across[1] / spacing[1];
            // A little is lost by turning and shifting, so that a round head stays upright.
            m.overlap = overlap_of(thick, dim, spacing, &m);
            if (m.overlap - 1e-4 * fabs(a) - 1e-4 * fabs(o) > best->overlap)
                *best = m;
        }
    }
}

bool perfusion_midline_find(const uint8_t *brain, const uint32_t dim[3], const double spacing[3],
                            struct perfusion_midline *out)
{
    const size_t area = (size_t)dim[0] * dim[1];
    float *thick = calloc(area, sizeof *thick);
    double sum = 0, centre[2] = {0, 0};
    *out = (struct perfusion_midline){0};
    if (!thick)
        return false;
    for (size_t n = 0; n < area * dim[2]; n++)
        thick[n % area] += brain[n] ? 1 : 0;
    for (size_t p = 0; p < area; p++) {
        sum += (double)thick[p];
        centre[0] += (double)thick[p] * (double)(p % dim[0]);
        const size_t row = p / dim[0];
        centre[1] += (double)thick[p] * (double)row;
    }
    if (sum > 0) {
        centre[0] /= sum;
        centre[1] /= sum;
        out->overlap = -1;
        try_lines(thick, dim, spacing, centre, out);
    }
    free(thick);
    return sum > 0;
}

// m with its small holes filled; m is used up. NULL: the device failed.
static struct gpu_mask *close_holes(struct gpu_mask *m, const struct gpu_mask *within,
                                    uint32_t voxels, struct err *err)
{
    struct gpu_mask *holes = gpu_mask_fill_holes(m, err);
    bool ok = holes && gpu_mask_combine(holes, MASK_ANDNOT, m, err) &&
              gpu_mask_combine(holes, MASK_AND, within, err);
    struct gpu_mask *large = ok ? gpu_mask_keep_size(holes, voxels, CONNECT_26, err) : NULL;
    ok = large && gpu_mask_combine(holes, MASK_ANDNOT, large, err) &&
         gpu_mask_combine(m, MASK_OR, holes, err);
    gpu_mask_destroy(large);
    gpu_mask_destroy(holes);
    if (ok)
        return m;
    gpu_mask_destroy(m);
    return NULL;
}

bool perfusion_clean(const struct gpu_mask *within, uint32_t voxels, uint8_t *bytes,
                     uint64_t *dropped, struct err *err)
{
    const size_t count = (size_t)within->dim[0] * within->dim[1] * within->dim[2];
    uint64_t before = 0, after = 0;
    for (size_t n = 0; n < count; n++)
        before += bytes[n];
    *dropped = 0;
    if (!before || voxels < 2)
        return true;
    struct gpu_mask *m = gpu_mask_write(within->gpu, within->dim, within->spacing, bytes, err);
    m = m ? close_holes(m, within, voxels, err) : NULL;
    bool ok = m && gpu_mask_count(m, &before, err);
    struct gpu_mask *kept = ok ? gpu_mask_keep_size(m, voxels, CONNECT_26, err) : NULL;
    ok = kept && gpu_mask_read(kept, bytes, err);
    gpu_mask_destroy(kept);
    gpu_mask_destroy(m);
    for (size_t n = 0; ok && n < count; n++)
        after += bytes[n];
    *dropped = before - after;
    return ok;
}
