#include "compute/stages/model/model_labels.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool model_labels_keep_largest(struct gpu *gpu, const struct model_grid *g, uint8_t *classes,
                               struct err *err)
{
    const size_t voxels = (size_t)g->dim[0] * g->dim[1] * g->dim[2];
    uint8_t *kept = malloc(voxels);
    if (!kept)
        return err_set(err, ERR_NOMEM, "no memory for a mask");
    struct gpu_mask *mask = gpu_mask_write(gpu, g->dim, g->spacing, classes, err);
    struct gpu_mask *largest = mask ? gpu_mask_keep_largest(mask, 1, CONNECT_26, NULL, err) : NULL;
    const bool ok = largest && gpu_mask_read(largest, kept, err);
    for (size_t n = 0; ok && n < voxels; n++)
        classes[n] = kept[n] ? classes[n] : 0;
    gpu_mask_destroy(largest);
    gpu_mask_destroy(mask);
    free(kept);
    return ok;
}

// One slice of the image at a time.
struct carrier {
    const struct model *m;
    const struct model_grid *g;
    const uint8_t *classes;
    const uint32_t *dim;    // of the image
    uint16_t of_class[256]; // label of a class, 0: none
    uint32_t here[MODEL_LABELS_MAX];
    struct model_count *counts;
};

// The index on an axis of the grid, or -1 beyond it.
static int64_t grid_index(const struct model_grid *g, int axis, double i, double j, double k)
{
    const double at = g->from_image[axis][0] * i + g->from_image[axis][1] * j +
                      g->from_image[axis][2] * k + g->from_image[axis][3];
    const double nearest = floor(at + 0.5);
    return nearest >= 0 && nearest < g->dim[axis] ? (int64_t)nearest : -1;
}

static uint16_t carry_voxel(struct carrier *c, uint32_t i, uint32_t j, uint32_t k, float value)
{
    const struct model_grid *g = c->g;
    const int64_t x = grid_index(g, 0, i, j, k), y = grid_index(g, 1, i, j, k),
                  z = grid_index(g, 2, i, j, k);
    if (x < 0 || y < 0 || z < 0)
        return 0;
    const size_t at = ((size_t)z * g->dim[1] + (size_t)y) * g->dim[0] + (size_t)x;
    const uint16_t label = c->of_class[c->classes[at]];
    if (!label)
        return 0;
    struct model_count *n = &c->counts[label - 1];
    n->voxels++;
    n->sum += value;
    n->squares += (double)value * value;
    n->cut = n->cut || i == 0 || j == 0 || k == 0 || i == c->dim[0] - 1 || j == c->dim[1] - 1 ||
             k == c->dim[2] - 1 || x == 0 || y == 0 || z == 0 || x == g->dim[0] - 1 ||
             y == g->dim[1] - 1 || z == g->dim[2] - 1;
    c->here[label - 1]++;
    return label;
}

static void carry_slice(struct carrier *c, uint32_t k, const float *values, uint16_t *labels)
{
    memset(c->here, 0, sizeof c->here);
    for (uint32_t j = 0; j < c->dim[1]; j++) {
        for (uint32_t i = 0; i < c->dim[0]; i++) {
            const size_t at = (size_t)j * c->dim[0] + i;
            labels[at] = carry_voxel(c, i, j, k, values[at]);
        }
    }
    for (uint32_t n = 0; n < c->m->label_count; n++) {
        if (c->here[n] > c->counts[n].most) {
            c->counts[n].most = c->here[n];
            c->counts[n].slice = k;
        }
    }
}

bool model_labels_carry(const struct model *m, const struct model_grid *g, const uint8_t *classes,
                        const struct gpu_volume *source, uint16_t *labels,
                        struct model_count *counts, struct err *err)
{
    struct carrier *c = calloc(1, sizeof *c);
    const size_t pixels = (size_t)source->dim[0] * source->dim[1];
    float *values = malloc(pixels * sizeof *values);
    bool ok = (c && values) || err_set(err, ERR_NOMEM, "no memory for a slice");
    if (ok)
        *c = (struct carrier){
            .m = m, .g = g, .classes = classes, .dim = source->dim, .counts = counts};
    for (uint32_t n = 0; ok && n < m->label_count; n++)
        c->of_class[m->labels[n].index] = (uint16_t)(n + 1);
    for (uint32_t k = 0; ok && k < source->dim[2]; k++) {
        ok = gpu_volume_read(source, k, k + 1, values, err);
        if (ok)
            carry_slice(c, k, values, labels + k * pixels);
    }
    free(values);
    free(c);
    return ok;
}
