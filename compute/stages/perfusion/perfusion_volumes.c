#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/stages/perfusion/perfusion_job.h"
#include "compute/stages/perfusion/perfusion_tissue.h"

static const double normal_tmax_s = 4, normal_min_ml = 50;
static const double overlap_min = 0.8;
// An image of a usual scan. Of phantoms without a late side up to 0.9, of sides that are late by
// 1.5 to 4 s 1.4 to 4.2.
static const double side_later_min_s = 1;
// Voxels of the work grid: squares of 8.5 mm, where noise is much 12 mm.
static const int median_reach_usual = 2, median_reach_noisy = 3;
static const uint32_t known_min = 3;       // of eight neighbours
static const uint32_t unknown_rounds = 12; // voxels: the radius of a core of 30 mL

// ---- Volumes ------------------------------------------------------------------------------------

// Voxels of the image in a voxel of the work grid, whose last blocks are cut.
static double fine_voxels(const struct perfusion_job *j, size_t n)
{
    const struct perfusion_result *r = &j->r;
    const size_t at[3] = {n % r->dim[0], n / r->dim[0] % r->dim[1], n / r->dim[0] / r->dim[1]};
    double count = 1;
    for (int a = 0; a < 3; a++) {
        const size_t first = at[a] * r->factor[a], left = j->v->dim[a] - first;
        count *= (double)(left < r->factor[a] ? left : r->factor[a]);
    }
    return count;
}

static double mask_ml(const struct perfusion_job *j, const uint8_t *mask, const uint8_t *side,
                      int which)
{
    const double *mm = j->v->spacing;
    double voxels = 0;
    for (size_t n = 0; n < j->voxels; n++) {
        if (mask[n] && (which == PERFUSION_SIDES || side[n] == which))
            voxels += fine_voxels(j, n);
    }
    return voxels * mm[0] * mm[1] * mm[2] / 1000;
}

static bool clean(struct perfusion_job *j, uint8_t *mask)
{
    uint64_t dropped = 0;
    const uint32_t least = (uint32_t)ceil(j->p[P_CLUSTER].number / perfusion_voxel_ml(j));
    const bool ok = perfusion_clean(j->tissue, least, mask, &dropped, j->err);
    j->r.dropped_ml += (double)dropped * perfusion_voxel_ml(j);
    return ok;
}

// Leaves in mask what most of the tissue around it within its slice is too, and adds what most of
// it is: so the median of what was compared with the limit is above it. of: the tissue that counts.
static bool keep_median(const struct perfusion_job *j, const uint8_t *of, int reach, uint8_t *mask)
{
    const struct perfusion_result *r = &j->r;
    const int columns = (int)r->dim[0], rows = (int)r->dim[1];
    uint8_t *before = arena_alloc(j->arena, j->voxels, 1);
    if (!before)
        return perfusion_no_memory(j);
    memcpy(before, mask, j->voxels);
    for (size_t n = 0; n < j->voxels; n++) {
        const int i = (int)(n % r->dim[0]), row = (int)(n / r->dim[0] % r->dim[1]);
        uint32_t in = 0, all = 0;
        if (!of[n])
            continue;
        for (int y = row > reach ? row - reach : 0; y <= row + reach && y < rows; y++) {
            for (int x = i > reach ? i - reach : 0; x <= i + reach && x < columns; x++) {
                const size_t at = (size_t)((ptrdiff_t)n + (y - row) * columns + x - i);
                in += of[at] && before[at];
                all += of[at];
            }
        }
        mask[n] = 2 * in > all;
    }
    return true;
}

// What is late around a voxel within its slice, of those around it of which anything is known.
static bool mostly_late(const struct perfusion_job *j, const uint8_t *mask, size_t n)
{
    const struct perfusion_result *r = &j->r;
    const size_t columns = r->dim[0], rows = r->dim[1];
    const size_t i = n % columns, row = n / columns % rows;
    uint32_t late = 0, known = 0;
    for (int dy = -1; dy <= 1; dy++) {
        for (int dx = -1; dx <= 1; dx++) {
            if ((dx == 0 && dy == 0) || (i == 0 && dx < 0) || (i + 1 == columns && dx > 0) ||
                (row == 0 && dy < 0) || (row + 1 == rows && dy > 0))
                continue;
            const size_t at = (size_t)((ptrdiff_t)n + dy * (ptrdiff_t)columns + dx);
            late += mask[at];
            known += mask[at] || r->clean_flow[at] > 0;
        }
    }
    return known >= known_min && 2 * late > known;
}

// Where flow is not above noise the delay is not known: such tissue is late where most of what
// surrounds it is.
static bool add_unknown(const struct perfusion_job *j, uint8_t *mask)
{
    bool more = true;
    uint8_t *add = arena_alloc(j->arena, j->voxels, 1);
    if (!add)
        return perfusion_no_memory(j);
    for (uint32_t round = 0; round < unknown_rounds && more; round++) {
        more = false;
        for (size_t n = 0; n < j->voxels; n++) {
            add[n] = !mask[n] && j->r.clean_flow[n] <= 0 && mostly_late(j, mask, n);
            more = more || add[n];
        }
        for (size_t n = 0; n < j->voxels; n++)
            mask[n] = mask[n] || add[n];
    }
    return true;
}

// Tissue whose Tmax is above the limit of its side. known: tissue that has a Tmax.
static bool find_late(struct perfusion_job *j, const uint8_t *side, const uint8_t *known,
                      const double limit[PERFUSION_SIDES], uint8_t *mask)
{
    for (size_t n = 0; n < j->voxels; n++)
        mask[n] = known[n] && (double)j->r.tmax[n] > limit[side[n]];
    const int reach = j->r.noisy ? median_reach_noisy : median_reach_usual;
    if (!keep_median(j, known, reach, mask) || !add_unknown(j, mask))
        return false;
    perfusion_border_move(j, mask);
    return clean(j, mask);
}

static int compare_tmax(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

// When blood comes to a side as a whole: the first quartile of its Tmax, on which a lesion of half
// of it has little effect. NAN: it has no tissue.
static double side_tmax(const struct perfusion_job *j, const uint8_t *side, int which,
                        const uint8_t *known, float *space)
{
    size_t count = 0;
    for (size_t n = 0; n < j->voxels; n++) {
        if (known[n] && side[n] == which)
            space[count++] = j->r.tmax[n];
    }
    qsort(space, count, sizeof *space, compare_tmax);
    return count ? (double)space[count / 4] : NAN;
}

// Late tissue with the limit counted from when blood comes to its side, where one is late as a
// whole.
static bool measure_by_side(struct perfusion_job *j, const uint8_t *side, const uint8_t *known,
                            uint8_t *mask)
{
    struct perfusion_result *r = &j->r;
    double limit[PERFUSION_SIDES], first[PERFUSION_SIDES];
    float *space = arena_alloc(j->arena, j->voxels, sizeof *space);
    if (!space)
        return perfusion_no_memory(j);
    for (int s = 0; s < PERFUSION_SIDES; s++) {
        first[s] = side_tmax(j, side, s, known, space);
        limit[s] = perfusion_tmax_limits[PERFUSION_TMAX_MAIN];
        r->by_side_ml[s] = r->delayed_side_ml[s];
    }
    r->side_later_s = first[PERFUSION_HIGH] - first[PERFUSION_LOW];
    if (!(fabs(r->side_later_s) >= side_later_min_s))
        return true;
    limit[r->side_later_s > 0 ? PERFUSION_HIGH : PERFUSION_LOW] += fabs(r->side_later_s);
    if (!find_late(j, side, known, limit, mask))
        return false;
    for (int s = 0; s < PERFUSION_SIDES; s++)
        r->by_side_ml[s] = fmin(mask_ml(j, mask, side, s), r->delayed_side_ml[s]);
    return true;
}

static bool measure_tmax(struct perfusion_job *j, const uint8_t *side)
{
    struct perfusion_result *r = &j->r;
    uint8_t *mask = arena_alloc(j->arena, j->voxels, 1);
    uint8_t *known = arena_alloc(j->arena, j->voxels, 1);
    if (!mask || !known)
        return perfusion_no_memory(j);
    if (!perfusion_border_init(j))
        return false;
    for (size_t n = 0; n < j->voxels; n++)
        known[n] = r->clean_flow[n] > 0;
    for (int t = 0; t < PERFUSION_TMAX_LIMITS; t++) {
        const double limit[] = {perfusion_tmax_limits[t], perfusion_tmax_limits[t]};
        if (!find_late(j, side, known, limit, mask))
            return false;
        r->tmax_ml[t] = mask_ml(j, mask, side, PERFUSION_SIDES);
        if (t == PERFUSION_TMAX_MAIN)
            memcpy(r->delayed, mask, j->voxels);
    }
    for (int s = 0; s < PERFUSION_SIDES; s++)
        r->delayed_side_ml[s] = mask_ml(j, r->delayed, side, s);
    return measure_by_side(j, side, known, mask);
}

// The mean of tissue that is in time, on the side with less late tissue where there is any.
static void find_normal(struct perfusion_job *j, const uint8_t *side)
{
    struct perfusion_result *r = &j->r;
    double flow = 0, volume = 0, count = 0;
    const double *late = r->delayed_side_ml;
    r->normal_side = late[PERFUSION_LOW] == late[PERFUSION_HIGH]  ? PERFUSION_SIDES
                     : late[PERFUSION_LOW] < late[PERFUSION_HIGH] ? PERFUSION_LOW
                                                                  : PERFUSION_HIGH;
    for (size_t n = 0; n < j->voxels; n++) {
        if (!((double)r->tmax[n] <= normal_tmax_s) ||
            (r->normal_side != PERFUSION_SIDES && side[n] != r->normal_side))
            continue;
        flow += (double)r->clean_flow[n];
        volume += (double)r->volume[n];
        count++;
    }
    r->normal_ml = count * perfusion_voxel_ml(j);
    r->normal_flow = count > 0 ? flow / count : NAN;
    r->normal_volume = count > 0 ? volume / count : NAN;
}

// Adds to a core what is core in most of the late tissue around it: noise makes maxima higher, and
// holes with them; and what lies between it and tissue that is not late.
static bool fill_core(const struct perfusion_job *j, uint8_t *core)
{
    uint8_t *most = arena_alloc(j->arena, j->voxels, 1);
    if (!most)
        return perfusion_no_memory(j);
    memcpy(most, core, j->voxels);
    if (!keep_median(j, j->r.delayed, median_reach_usual, most))
        return false;
    for (size_t n = 0; n < j->voxels; n++)
        core[n] = core[n] || most[n];
    perfusion_border_core(j, core);
    return true;
}

static bool measure_flow(struct perfusion_job *j, const uint8_t *side)
{
    struct perfusion_result *r = &j->r;
    uint8_t *mask = arena_alloc(j->arena, j->voxels, 1);
    double volume = 0, flow = 0, count = 0, pale = 0; // pale: late, and no core
    double tissue[PERFUSION_SIDES] = {0, 0}, late[PERFUSION_SIDES] = {0, 0};
    if (!mask)
        return perfusion_no_memory(j);
    for (int t = 0; t < PERFUSION_FLOW_LIMITS; t++) {
        const double limit = perfusion_flow_limits[t] / 100 * r->normal_flow;
        for (size_t n = 0; n < j->voxels; n++)
            mask[n] = r->delayed[n] && (double)r->clean_flow[n] < limit;
        if (!fill_core(j, mask) || !clean(j, mask))
            return false;
        for (size_t n = 0; n < j->voxels; n++)
            mask[n] = mask[n] && r->delayed[n];
        r->flow_ml[t] = mask_ml(j, mask, side, PERFUSION_SIDES);
        if (t == PERFUSION_FLOW_MAIN)
            memcpy(r->core, mask, j->voxels);
    }
    for (int s = 0; s < PERFUSION_SIDES; s++)
        r->core_side_ml[s] = mask_ml(j, r->core, side, s);
    for (size_t n = 0; n < j->voxels; n++) {
        volume += r->delayed[n] ? (double)r->volume[n] : 0;
        count += r->delayed[n];
        flow += r->delayed[n] && !r->core[n] ? (double)j->part_of_normal[n] : 0;
        pale += r->delayed[n] && !r->core[n];
        tissue[side[n] == PERFUSION_HIGH] += r->clean_flow[n] >= 0;
        late[side[n] == PERFUSION_HIGH] += r->delayed[n];
    }
    r->late_flow = pale > 0 ? flow / pale : NAN;
    for (int s = 0; s < PERFUSION_SIDES; s++)
        r->late_of_side = fmax(r->late_of_side, tissue[s] > 0 ? late[s] / tissue[s] : 0);
    r->volume_index = count > 0 && r->normal_volume > 0 ? volume / count / r->normal_volume : NAN;
    return true;
}

static bool find_sides(struct perfusion_job *j)
{
    struct perfusion_result *r = &j->r;
    struct perfusion_midline line;
    uint8_t *brain = arena_alloc(j->arena, j->voxels, 1);
    j->side = arena_alloc(j->arena, j->voxels, 1);
    if (!brain || !j->side)
        return perfusion_no_memory(j);
    if (!gpu_mask_read(j->brain, brain, j->err))
        return false;
    if (!perfusion_midline_find(brain, r->dim, r->spacing, &line))
        return perfusion_no_memory(j);
    r->overlap = line.overlap;
    if (line.overlap < overlap_min)
        findings_add_warning(j->f,
                             "The halves of the brain differ (%.0f %% alike, limit %.0f %%): the "
                             "line between them may be wrong",
                             100 * line.overlap, 100 * overlap_min);
    for (size_t n = 0; n < j->voxels; n++) {
        const double column = (double)(n % r->dim[0]), row = (double)(n / r->dim[0] % r->dim[1]);
        j->side[n] =
            perfusion_side(&line, r->spacing, column, row) < 0 ? PERFUSION_LOW : PERFUSION_HIGH;
    }
    return true;
}

static bool make_result_masks(struct perfusion_job *j)
{
    j->r.delayed = arena_alloc(j->arena, j->voxels, 1);
    j->r.core = arena_alloc(j->arena, j->voxels, 1);
    return (j->r.delayed && j->r.core) || perfusion_no_memory(j);
}

bool perfusion_volumes_measure(struct perfusion_job *j)
{
    const struct perfusion_result *r = &j->r;
    if (!find_sides(j) || !make_result_masks(j) || !measure_tmax(j, j->side))
        return false;
    find_normal(j, j->side);
    if (r->normal_ml < normal_min_ml)
        return PERFUSION_REFUSE(
            j,
            "no normal tissue to compare with: %.0f mL with Tmax of at most %.0f s (at "
            "least %.0f mL)",
            r->normal_ml, normal_tmax_s, normal_min_ml);
    return measure_flow(j, j->side);
}

bool perfusion_volumes_again(struct perfusion_job *j)
{
    struct perfusion_result *r = &j->r;
    memset(r->flow_ml, 0, sizeof r->flow_ml);
    if (!make_result_masks(j) || !measure_tmax(j, j->side))
        return false;
    find_normal(j, j->side);
    if (r->normal_ml < normal_min_ml)
        r->normal_ml = 0;
    return !(r->normal_ml > 0) || measure_flow(j, j->side);
}
