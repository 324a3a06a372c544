#include "compute/stages/segment/segment_bones.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "compute/stages/segment/segment_kernels.h"

// Cancellous bone of the aged is 80 to 150 HU, cortical bone 300 to 2000, muscle and clotted blood
// below 90 (Schreiber et al., J Bone Joint Surg Am 2011;93:1057, lumbar vertebrae by age).
static const double cortical_hu = 300, bone_hu = 150, marrow_hu = 80;
static const double cortical_least = 0.02; // part of a bone's voxels
static const double bone_close_mm = 3;     // gaps of a cortex that is thinner than a voxel
static const double bone_min_ml = 1;       // smaller pieces are calcification or noise
static const double bones_min_ml = 5;      // of all of them: a vertebra has 30 and more
static const double metal_hu = 2600;       // enamel and the densest cortex reach 2500
static const double metal_min_ml = 0.1;    // a clip; single voxels are noise
static const double contrast_min_ml = 5;
// Above it what vessels are too thin to have an even core reaches the values of cortex.
static const double contrast_max_hu = 240;

// Pieces of dense tissue that hold enough cortex, of those of at least bone_min_ml.
static struct gpu_mask *cortical_pieces(const struct gpu_mask *dense, const struct gpu_mask *cortex,
                                        struct err *err)
{
    struct components *c = components_find(dense, CONNECT_26, err);
    const uint32_t least = segment_voxels_of(bone_min_ml, dense->spacing);
    struct component_stats *stats = c ? malloc(((size_t)c->count + 1) * sizeof *stats) : NULL;
    uint32_t *hard = c ? malloc(((size_t)c->count + 1) * sizeof *hard) : NULL;
    uint8_t *keep = c ? calloc((size_t)c->count + 1, 1) : NULL;
    struct gpu_mask *found = NULL;
    if (c && (!stats || !hard || !keep))
        err_set(err, ERR_NOMEM, "segment: bones");
    else if (c && (!c->count || (components_measure(c, NULL, stats, err) &&
                                 components_overlap(c, cortex, hard, err)))) {
        for (uint32_t n = 0; n < c->count; n++)
            keep[n] = stats[n].voxels >= least &&
                      (double)hard[n] >= cortical_least * (double)stats[n].voxels;
        found = components_select(c, keep, dense->spacing, err);
    }
    free(stats);
    free(hard);
    free(keep);
    components_destroy(c);
    return found;
}

// Adds what a cortex encloses in a slice, where it is denser than muscle: cancellous bone, not the
// spinal canal.
static bool fill_marrow(const struct gpu_volume *hu, struct gpu_mask *bone, struct err *err)
{
    const double reach = fmax(bone_close_mm, hu->spacing[0] * 1.01);
    struct gpu_mask *wide = gpu_mask_dilate_2d(bone, reach, err);
    struct gpu_mask *full = wide ? gpu_mask_fill_holes(wide, err) : NULL;
    struct gpu_mask *closed = full ? gpu_mask_erode_2d(full, reach, err) : NULL;
    struct gpu_mask *marrow = closed ? gpu_mask_threshold(hu, marrow_hu, INT16_MAX, err) : NULL;
    const bool ok =
        segment_merge(marrow, MASK_AND, closed, err) && segment_merge(bone, MASK_OR, marrow, err);
    gpu_mask_destroy(wide);
    gpu_mask_destroy(full);
    gpu_mask_destroy(closed);
    gpu_mask_destroy(marrow);
    return ok;
}

// Bone of the body outside lungs, airways and what contrast agent fills.
static struct gpu_mask *draw_bones(const struct gpu_volume *hu, const struct gpu_mask *room,
                                   const struct gpu_mask *contrast, struct err *err)
{
    struct gpu_mask *cortex = gpu_mask_threshold(hu, cortical_hu, INT16_MAX, err);
    struct gpu_mask *dense = cortex ? gpu_mask_threshold(hu, bone_hu, INT16_MAX, err) : NULL;
    struct gpu_mask *bone = NULL;
    if (segment_merge(dense, MASK_AND, room, err) &&
        segment_merge(dense, MASK_ANDNOT, contrast, err))
        bone = cortical_pieces(dense, cortex, err);
    const bool ok = bone && fill_marrow(hu, bone, err) &&
                    segment_merge(bone, MASK_AND, room, err) &&
                    segment_merge(bone, MASK_ANDNOT, contrast, err);
    gpu_mask_destroy(cortex);
    gpu_mask_destroy(dense);
    if (ok)
        return bone;
    gpu_mask_destroy(bone);
    return NULL;
}

static bool has_metal(const struct gpu_volume *hu, const struct gpu_mask *body, bool *metal,
                      struct err *err)
{
    struct gpu_mask *m = gpu_mask_threshold(hu, metal_hu, INT16_MAX, err);
    uint64_t count = 0;
    const bool ok = segment_merge(m, MASK_AND, body, err) && gpu_mask_count(m, &count, err);
    gpu_mask_destroy(m);
    *metal = (double)count * segment_voxel_ml(hu->spacing) > metal_min_ml;
    return ok;
}

bool segment_bones(const struct gpu_volume *hu, const struct gpu_mask *body,
                   const struct gpu_mask *room, struct segments *out, struct err *err)
{
    char *why = out->why[SEGMENT_BONE];
    uint64_t count = 0;
    bool metal = false;
    struct gpu_mask *contrast = segment_contrast(hu, body, out, err);
    bool ok = contrast && has_metal(hu, body, &metal, err);
    if (ok && metal)
        snprintf(why, sizeof out->why[0],
                 "metal (more than %.0f HU) in the body: its streaks are not told from bone",
                 metal_hu);
    else if (ok && out->contrast_ml >= contrast_min_ml && out->contrast_hu > contrast_max_hu)
        snprintf(why, sizeof out->why[0],
                 "contrast agent of %.0f HU: vessels are not told from bone (limit %.0f HU)",
                 out->contrast_hu, contrast_max_hu);
    else if (ok)
        ok = (out->mask[SEGMENT_BONE] = draw_bones(hu, room, contrast, err)) &&
             gpu_mask_count(out->mask[SEGMENT_BONE], &count, err);
    gpu_mask_destroy(contrast);
    const double ml = (double)count * segment_voxel_ml(hu->spacing);
    if (ok && !*why && ml < bones_min_ml) {
        snprintf(why, sizeof out->why[0], "%.1f mL of bone only (at least %.0f mL)", ml,
                 bones_min_ml);
        gpu_mask_destroy(out->mask[SEGMENT_BONE]);
        out->mask[SEGMENT_BONE] = NULL;
    }
    return ok;
}
