// The border of late tissue where it has little flow. A voxel of both sides has the delay of the
// side with more flow, so that a lesion that is core up to its border comes out smaller than it is,
// by half a voxel all around and more. There the border is where flow is halfway between what it is
// inside and outside, by the flow of tissue as bright: white matter has less than grey.
#include <math.h>
#include <string.h>
#include "compute/stages/perfusion/perfusion_job.h"

static const double contrast_max = 0.5; // flow inside by that outside: else delay tells the sides
static const double normal_tmax_s = 4;
// Flow expected of tissue, by the mean of normal tissue: white matter has half of it, cortex twice.
static const double expected_lo = 0.4, expected_hi = 2;
static const double slope_least_hu = 1; // standard deviation of brightness: less tells nothing
enum { BORDER_REACH = 2, BORDER_ROUNDS = 2 }; // voxels of the work grid

// Voxels around one, within its slice and the grid.
struct around {
    uint32_t left, right, top, bottom; // the last ones included
    size_t slice;                      // index of its first voxel
};

static struct around around_of(const struct perfusion_job *j, size_t n, uint32_t reach)
{
    const uint32_t columns = j->r.dim[0], rows = j->r.dim[1];
    const uint32_t i = (uint32_t)(n % columns), row = (uint32_t)(n / columns % rows);
    return (struct around){i > reach ? i - reach : 0, i + reach < columns ? i + reach : columns - 1,
                           row > reach ? row - reach : 0,
                           row + reach < rows ? row + reach : rows - 1,
                           n - (size_t)row * columns - i};
}

// The mean of `values` around a voxel, of those that have `kind`; NAN: none has.
static double mean_around(const struct perfusion_job *j, size_t n, uint32_t reach,
                          const float *values, const uint8_t *of, uint8_t kind)
{
    const struct around a = around_of(j, n, reach);
    double sum = 0;
    uint32_t count = 0;
    for (uint32_t row = a.top; row <= a.bottom; row++) {
        for (uint32_t i = a.left; i <= a.right; i++) {
            const size_t at = a.slice + (size_t)row * j->r.dim[0] + i;
            if (of[at] == kind && !isnan(values[at])) {
                sum += (double)values[at];
                count++;
            }
        }
    }
    return count ? sum / count : NAN;
}

// Flow by that of normal tissue that is as bright before the bolus: a line through normal tissue.
// part: NAN where there is no flow. False: no memory, or the device failed.
static bool flow_for_brightness(struct perfusion_job *j, float *part)
{
    const struct perfusion_result *r = &j->r;
    float *base = arena_alloc(j->arena, j->voxels, sizeof *base);
    uint8_t *tissue = arena_alloc(j->arena, j->voxels, 1);
    double count = 0, x = 0, y = 0, xx = 0, xy = 0;
    if (!base || !tissue)
        return perfusion_no_memory(j);
    if (!gpu_volume_read(j->baseline, 0, r->dim[2], base, j->err))
        return false;
    for (size_t n = 0; n < j->voxels; n++)
        tissue[n] = !isnan(r->clean_flow[n]);
    for (size_t n = 0; n < j->voxels; n++)
        part[n] = tissue[n] ? (float)mean_around(j, n, 1, base, tissue, 1) : NAN;
    for (size_t n = 0; n < j->voxels; n++) {
        if (!((double)r->tmax[n] <= normal_tmax_s))
            continue;
        const double hu = (double)part[n], flow = (double)r->clean_flow[n];
        count++;
        x += hu;
        y += flow;
        xx += hu * hu;
        xy += hu * flow;
    }
    if (!(count > 0))
        count = 1;
    const double mean = y / count, variance = xx / count - x / count * (x / count);
    const double slope =
        variance > slope_least_hu * slope_least_hu ? (xy / count - x / count * mean) / variance : 0;
    for (size_t n = 0; n < j->voxels; n++) {
        const double hoped = mean + slope * ((double)part[n] - x / count);
        const double expected = fmin(fmax(hoped, expected_lo * mean), expected_hi * mean);
        part[n] = tissue[n] && mean > 0 ? (float)((double)r->clean_flow[n] / expected) : NAN;
    }
    return true;
}

// Far from the border, beside it, and what has no flow. OTHER: not late; PALE: late, and no core.
enum { OTHER, OTHER_BESIDE, LATE, LATE_BESIDE, PALE, NO_TISSUE };

// What each voxel is to a mask.
static void tell_sides(const struct perfusion_job *j, const float *part, const uint8_t *mask,
                       uint8_t *side)
{
    for (size_t n = 0; n < j->voxels; n++) {
        const struct around a = around_of(j, n, 1);
        side[n] = isnan(part[n]) ? NO_TISSUE : mask[n] ? LATE : OTHER;
        for (uint32_t row = a.top; row <= a.bottom && side[n] != NO_TISSUE; row++) {
            for (uint32_t i = a.left; i <= a.right; i++) {
                const size_t at = a.slice + (size_t)row * j->r.dim[0] + i;
                if (mask[at] != mask[n] && !isnan(part[at]))
                    side[n] = mask[n] ? LATE_BESIDE : OTHER_BESIDE;
            }
        }
    }
}

bool perfusion_border_init(struct perfusion_job *j)
{
    j->part_of_normal = arena_alloc(j->arena, j->voxels, sizeof *j->part_of_normal);
    j->border_side = arena_alloc(j->arena, j->voxels, 1);
    if (!j->part_of_normal || !j->border_side)
        return perfusion_no_memory(j);
    return flow_for_brightness(j, j->part_of_normal);
}

void perfusion_border_move(const struct perfusion_job *j, uint8_t *mask)
{
    const float *part = j->part_of_normal;
    uint8_t *side = j->border_side;
    for (int round = 0; round < BORDER_ROUNDS; round++) {
        tell_sides(j, part, mask, side);
        for (size_t n = 0; n < j->voxels; n++) {
            if (side[n] != OTHER_BESIDE && side[n] != LATE_BESIDE)
                continue;
            const double inside = mean_around(j, n, BORDER_REACH, part, side, LATE);
            const double outside = mean_around(j, n, BORDER_REACH, part, side, OTHER);
            if (inside < contrast_max * outside)
                mask[n] = (double)part[n] < (inside + outside) / 2;
        }
    }
}

void perfusion_border_core(const struct perfusion_job *j, uint8_t *core)
{
    const float *part = j->part_of_normal;
    uint8_t *side = j->border_side;
    for (size_t n = 0; n < j->voxels; n++)
        side[n] = isnan(part[n]) ? NO_TISSUE : core[n] ? LATE : j->r.delayed[n] ? PALE : OTHER;
    for (size_t n = 0; n < j->voxels; n++) {
        if (side[n] != PALE)
            continue;
        const double inside = mean_around(j, n, BORDER_REACH, part, side, LATE);
        const double outside = mean_around(j, n, BORDER_REACH, part, side, OTHER);
        if (inside < contrast_max * outside)
            core[n] = (double)part[n] < (inside + outside) / 2;
    }
}
