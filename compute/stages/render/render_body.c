#include "compute/stages/render/render_body.h"
#include <math.h>

static const double body_grid_mm = 2; // of the search
static const double body_hu = -300;   // half way between air and fat, the upper half: foam is none
static const double sheet_mm = 4;     // thinner than twice that is a sheet: tables have walls of 1
                                      // to 3 mm, head rests of 2 to 4
static const double body_margin_mm = 3; // skin blurs over a voxel of the search

static struct gpu_mask *find_patient(const struct gpu_volume *coarse, bool *empty, struct err *err)
{
    uint64_t voxels = 0;
    struct gpu_mask *thick = NULL, *piece = NULL, *whole = NULL, *filled = NULL, *out = NULL;
    struct gpu_mask *dense = gpu_mask_threshold(coarse, body_hu, INT16_MAX, err);
    thick = dense ? gpu_mask_erode(dense, sheet_mm, err) : NULL;
    piece = thick ? gpu_mask_keep_largest(thick, 1, CONNECT_6, &voxels, err) : NULL;
    *empty = piece && !voxels;
    if (piece && voxels) {
        whole = gpu_mask_dilate(piece, sheet_mm, err);
        filled = whole ? gpu_mask_fill_holes(whole, err) : NULL;
        out = filled ? gpu_mask_dilate(filled, body_margin_mm, err) : NULL;
    }
    gpu_mask_destroy(filled);
    gpu_mask_destroy(whole);
    gpu_mask_destroy(piece);
    gpu_mask_destroy(thick);
    gpu_mask_destroy(dense);
    return out;
}

// The box of the only component there is, in coarse voxels.
static bool box_of(const struct gpu_mask *m, uint32_t box[2][3], struct err *err)
{
    struct components *c = components_find(m, CONNECT_26, err);
    struct component_stats stats = {0};
    bool ok = c && c->count == 1 && components_measure(c, NULL, &stats, err);
    if (c && c->count != 1)
        ok = err_set(err, ERR_INTERNAL, "render: the body has %u pieces", c->count);
    for (int i = 0; i < 3; i++) {
        box[0][i] = stats.box_lo[i];
        box[1][i] = stats.box_hi[i];
    }
    components_destroy(c);
    return ok;
}

struct gpu_mask *render_body(const struct gpu_volume *hu, uint32_t box[2][3], bool *empty,
                             struct err *err)
{
    uint32_t factor[3];
    struct gpu_mask *out = NULL;
    *empty = false;
    gpu_shrink_factors(hu->spacing, body_grid_mm, factor);
    struct gpu_volume *coarse = gpu_volume_shrink(hu, factor, NULL, err);
    struct gpu_mask *body = coarse ? find_patient(coarse, empty, err) : NULL;
    if (body && box_of(body, box, err))
        out = gpu_mask_expand(body, factor, hu->dim, err);
    for (int i = 0; i < 3 && out; i++) {
        const uint32_t end = (box[1][i] + 1) * factor[i];
        box[0][i] *= factor[i];
        box[1][i] = (end < hu->dim[i] ? end : hu->dim[i]) - 1;
    }
    gpu_mask_destroy(body);
    gpu_volume_destroy(coarse);
    return out;
}
