#include "compute/image/reduce.h"
#include <stdlib.h>
#include <string.h>

#define FACTOR_MAX 32u // sums of 32 x 32 x 32 voxels of int16 fit into 32 bits
#define ROW        32u // voxels: rows on the device are multiples of it

static uint64_t reduced_bytes(const struct image *img, const uint32_t factor[3])
{
    const uint64_t columns = (img->dim[0] / factor[0] + ROW - 1) / ROW * ROW;
    return columns * (img->dim[1] / factor[1]) * (img->dim[2] / factor[2]) * sizeof(int16_t);
}

bool image_reduce_factors(const struct image *img, uint64_t most, uint32_t factor[3])
{
    factor[0] = factor[1] = factor[2] = 1;
    while (reduced_bytes(img, factor) > most) {
        int shortest = 0;
        for (int a = 1; a < 3; a++) {
            if (img->spacing[a] * factor[a] <= img->spacing[shortest] * factor[shortest])
                shortest = a;
        }
        factor[shortest] *= 2;
        if (factor[shortest] > FACTOR_MAX || img->dim[shortest] / factor[shortest] < 3)
            return false;
    }
    return true;
}

double image_unreduced(double c, uint32_t factor)
{
    return c * factor + (factor - 1) / 2.0;
}

void image_reduce(const struct image *img, const uint32_t factor[3], struct image *out)
{
    const double first[3] = {image_unreduced(0, factor[0]), image_unreduced(0, factor[1]),
                             image_unreduced(0, factor[2])};
    double origin[3];
    *out = *img;
    out->frame = NULL;
    out->at = NULL;
    image_to_patient(img, first, origin);
    for (int a = 0; a < 3; a++) {
        out->dim[a] = img->dim[a] / factor[a];
        out->spacing[a] = img->spacing[a] * factor[a];
        out->to_patient[a][3] = origin[a];
        for (int r = 0; r < 3; r++)
            out->to_patient[r][a] = img->to_patient[r][a] * factor[a];
    }
}

static int16_t mean_of(int32_t sum, int32_t count)
{
    return (int16_t)((sum + (sum < 0 ? -count / 2 : count / 2)) / count);
}

// One layer of blocks: factor[2] slices of img become one of the blocks.
static void reduce_slices(const struct image *img, const uint32_t factor[3], const int16_t *slices,
                          int16_t *out)
{
    const size_t columns = img->dim[0], area = columns * img->dim[1];
    const uint32_t dim[2] = {img->dim[0] / factor[0], img->dim[1] / factor[1]};
    const int32_t count = (int32_t)(factor[0] * factor[1] * factor[2]);
    for (uint32_t y = 0; y < dim[1]; y++) {
        for (uint32_t x = 0; x < dim[0]; x++) {
            int32_t sum = 0;
            for (uint32_t n = 0; n < factor[1] * factor[2]; n++) {
                const int16_t *row = slices + n / factor[1] * area +
                                     ((size_t)y * factor[1] + n % factor[1]) * columns +
                                     (size_t)x * factor[0];
                for (uint32_t i = 0; i < factor[0]; i++)
                    sum += row[i];
            }
            out[(size_t)y * dim[0] + x] = mean_of(sum, count);
        }
    }
}

static bool read_block(const struct image_set *set, const struct image *img, uint32_t first,
                       uint32_t count, int16_t *slices, struct err *err)
{
    uint32_t frames[FACTOR_MAX];
    for (uint32_t k = 0; k < count; k++) {
        frames[k] = image_frame_at(img, first + k, 0);
        if (frames[k] == IMAGE_NO_FRAME)
            return err_set(err, ERR_INPUT, "no frame at slice %u", first + k);
    }
    return set->pixels->read(set->pixels->ctx, frames, count, IMAGE_I16, slices, err);
}

struct gpu_volume *image_load_reduced(struct gpu *gpu, const struct image_set *set,
                                      const struct image *img, const uint32_t factor[3],
                                      struct err *err)
{
    if (factor[0] * factor[1] * factor[2] == 1)
        return image_load(gpu, set, img, 0, IMAGE_I16, err);
    struct image blocks;
    image_reduce(img, factor, &blocks);
    int16_t *slices = calloc((size_t)img->dim[0] * img->dim[1] * factor[2], sizeof *slices);
    int16_t *means = calloc((size_t)blocks.dim[0] * blocks.dim[1], sizeof *means);
    struct gpu_volume *v = NULL;
    bool ok = (slices && means) || err_set(err, ERR_NOMEM, "no memory for %u frames", factor[2]);
    ok = ok && (v = gpu_volume_create(gpu, blocks.dim, blocks.spacing, GPU_VOXEL_I16, err));
    for (uint32_t k = 0; ok && k < blocks.dim[2]; k++) {
        ok = read_block(set, img, k * factor[2], factor[2], slices, err);
        if (ok)
            reduce_slices(img, factor, slices, means);
        ok = ok && gpu_volume_write_slices(v, k, 1, means, err);
    }
    free(means);
    free(slices);
    if (ok)
        return v;
    gpu_volume_destroy(v);
    return NULL;
}
