#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/stages/segment/segment_bones.h"
#include "compute/stages/segment/segment_kernels.h"

// Tissue that contrast agent has filled: even, and brighter than blood or any organ without it. The
// inside of a vertebra may be even too, but cortex surrounds it.
static const double even_mm = 2.5;
static const int32_t even_hu = 110, even_range_hu = 60; // six standard deviations of 10 HU of noise
static const double even_min_ml = 2;
// Rays in the plane of the slice from the middle of an even piece, as far as a vertebra is wide.
enum { RAYS = 48 };
static const double ray_mm = 40, ray_step_mm = 1.25;
static const double ray_end_hu = 80;      // muscle: the piece, and any bone around it, ended before
static const double wall_rise_hu = 60;    // from what is inside to cortex
static const double wall_least = 0.5;     // part of the rays: an aorta at a vertebra has 0.2
static const double contrast_grow_mm = 7; // an even core ends that far before the wall

// The voxel of a piece that is nearest to its centroid: the centroid itself may lie outside.
static void middle_of_piece(const struct gpu_volume *v, const uint8_t *piece,
                            const struct component_stats *stats, uint32_t middle[3])
{
    double best = INFINITY;
    for (uint32_t k = stats->box_lo[2]; k <= stats->box_hi[2]; k++) {
        for (uint32_t j = stats->box_lo[1]; j <= stats->box_hi[1]; j++) {
            for (uint32_t i = stats->box_lo[0]; i <= stats->box_hi[0]; i++) {
                const uint32_t at[3] = {i, j, k};
                double away = 0;
                for (int a = 0; a < 3; a++) {
                    const double centre = (double)stats->index_sum[a] / stats->voxels;
                    away += pow((at[a] - centre) * v->spacing[a], 2);
                }
                if (piece[((size_t)k * v->dim[1] + j) * v->dim[0] + i] && away < best) {
                    best = away;
                    memcpy(middle, at, sizeof at);
                }
            }
        }
    }
}

// Part of the rays in the slice that meet values above `hard` before they leave what is dense.
static double walled(const struct gpu_volume *v, const int16_t *values, const uint32_t middle[3],
                     double hard)
{
    const int16_t *slice = values + (size_t)middle[2] * v->dim[0] * v->dim[1];
    int met = 0;
    for (int ray = 0; ray < RAYS; ray++) {
        const double angle = 2 * M_PI * ray / RAYS;
        for (int step = 0; step < ray_mm / ray_step_mm; step++) {
            const double mm = step * ray_step_mm;
            const double x = middle[0] + mm * cos(angle) / v->spacing[0];
            const double y = middle[1] + mm * sin(angle) / v->spacing[1];
            if (x < 0 || y < 0 || x > v->dim[0] - 1 || y > v->dim[1] - 1)
                break;
            const double hu = slice[(size_t)lround(y) * v->dim[0] + (size_t)lround(x)];
            met += hu > hard;
            if (hu > hard || hu < ray_end_hu)
                break;
        }
    }
    return (double)met / RAYS;
}

// Marks in keep the pieces that are filled with contrast agent. values: of v.
static bool judge_even(const struct gpu_volume *v, const int16_t *values,
                       const struct components *c, const struct component_stats *stats,
                       uint8_t *keep, struct segments *out, struct err *err)
{
    const uint32_t least = segment_voxels_of(even_min_ml, v->spacing);
    uint8_t *one = calloc((size_t)c->count + 1, 1);
    uint8_t *bytes = malloc((size_t)v->dim[0] * v->dim[1] * v->dim[2]);
    bool ok = (one && bytes) || err_set(err, ERR_NOMEM, "segment: pieces");
    for (uint32_t n = 0; ok && n < c->count; n++) {
        if (stats[n].voxels < least)
            continue;
        uint32_t middle[3] = {0};
        const double mean = (double)stats[n].sum / stats[n].voxels;
        one[n] = 1;
        struct gpu_mask *piece = components_select(c, one, v->spacing, err);
        one[n] = 0;
        ok = piece && gpu_mask_read(piece, bytes, err);
        gpu_mask_destroy(piece);
        if (!ok)
            break;
        middle_of_piece(v, bytes, &stats[n], middle);
        const double wall = walled(v, values, middle, mean + wall_rise_hu);
        if (wall >= wall_least)
            continue;
        keep[n] = 1;
        out->contrast_ml += stats[n].voxels * segment_voxel_ml(v->spacing);
        out->contrast_hu = fmax(out->contrast_hu, mean);
    }
    free(one);
    free(bytes);
    return ok;
}

struct gpu_mask *segment_contrast(const struct gpu_volume *hu, const struct gpu_mask *body,
                                  struct segments *out, struct err *err)
{
    uint32_t factor[3];
    gpu_shrink_factors(hu->spacing, even_mm, factor);
    struct gpu_volume *v = gpu_volume_shrink(hu, factor, NULL, err);
    struct gpu_mask *inside = v ? gpu_mask_shrink(body, factor, 0, err) : NULL;
    struct gpu_mask *even = inside ? segment_even(v, even_hu, even_range_hu, err) : NULL;
    struct components *c =
        segment_merge(even, MASK_AND, inside, err) ? components_find(even, CONNECT_6, err) : NULL;
    struct component_stats *stats = c ? malloc(((size_t)c->count + 1) * sizeof *stats) : NULL;
    uint8_t *keep = c ? calloc((size_t)c->count + 1, 1) : NULL;
    int16_t *values =
        c && v ? malloc((size_t)v->dim[0] * v->dim[1] * v->dim[2] * sizeof *values) : NULL;
    struct gpu_mask *filled = NULL, *wide = NULL, *fine = NULL;
    if (c && (!stats || !keep || !values))
        err_set(err, ERR_NOMEM, "segment: pieces");
    else if (c && gpu_volume_read(v, 0, v->dim[2], values, err) &&
             (!c->count || components_measure(c, v, stats, err)) &&
             judge_even(v, values, c, stats, keep, out, err)) {
        filled = components_select(c, keep, v->spacing, err);
        wide = filled ? gpu_mask_dilate(filled, contrast_grow_mm, err) : NULL;
        fine = wide ? gpu_mask_expand(wide, factor, hu->dim, err) : NULL;
    }
    free(stats);
    free(keep);
    free(values);
    gpu_mask_destroy(wide);
    gpu_mask_destroy(filled);
    components_destroy(c);
    gpu_mask_destroy(even);
    gpu_mask_destroy(inside);
    gpu_volume_destroy(v);
    return fine;
}
