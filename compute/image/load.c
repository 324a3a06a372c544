#include "compute/image/load.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES                                                                                \
    (8u << 20) // of frames decoded at once: small beside a volume, work for two cores

#define PADDING_HU (-1024) // what is no image is air: the lowest value of most scanners

static int16_t narrow(double value)
{
    const double rounded = round(value); // halves away from zero
    return rounded >= INT16_MAX ? INT16_MAX : rounded > INT16_MIN ? (int16_t)rounded : INT16_MIN;
}

// Scanners that pad with the highest value would give bright voxels otherwise.
static void clear_padding(const struct image_frame *frame, const int32_t *stored, size_t count,
                          enum image_voxel type, void *voxels)
{
    float *wide = voxels;
    int16_t *out = voxels;
    for (size_t i = 0; i < count; i++) {
        if (stored[i] < frame->padding[0] || stored[i] > frame->padding[1])
            continue;
        if (type == IMAGE_F32 && wide[i] > PADDING_HU)
            wide[i] = PADDING_HU;
        if (type == IMAGE_I16 && out[i] > PADDING_HU)
            out[i] = PADDING_HU;
    }
}

// Whether slope * stored + intercept is exact in 32 bits: then nothing needs rounding.
static bool is_exact(const struct image_frame *frame)
{
    const double slope = frame->slope, intercept = frame->intercept;
    return frame->bits_stored >= 1 && frame->bits_stored <= 16 && fabs(slope) <= (1 << 14) &&
           fabs(intercept) <= (1 << 29) && slope == rint(slope) && intercept == rint(intercept);
}

static void convert_exact(const struct image_frame *frame, const int32_t *stored, size_t count,
                          int16_t *out)
{
    const int32_t slope = (int32_t)frame->slope, intercept = (int32_t)frame->intercept;
    for (size_t i = 0; i < count; i++) {
        const int32_t value = slope * stored[i] + intercept;
        out[i] = (int16_t)(value > INT16_MAX ? INT16_MAX : value < INT16_MIN ? INT16_MIN : value);
    }
}

void image_convert(const struct image_frame *frame, const int32_t *stored, size_t count,
                   enum image_voxel type, void *voxels)
{
    const double slope = frame->slope, intercept = frame->intercept;
    float *wide = voxels;
    int16_t *out = voxels;
    for (size_t i = 0; type == IMAGE_F32 && i < count; i++)
        wide[i] = (float)(slope * stored[i] + intercept);
    const bool exact = type == IMAGE_I16 && is_exact(frame);
    if (exact)
        convert_exact(frame, stored, count, out);
    for (size_t i = 0; type == IMAGE_I16 && !exact && i < count; i++)
        out[i] = narrow(slope * stored[i] + intercept);
    if (frame->padded && strcmp(frame->unit, "[hnsf'U]") == 0)
        clear_padding(frame, stored, count, type, voxels);
}

void image_convert_float(const struct image_frame *frame, const float *stored, size_t count,
                         enum image_voxel type, void *voxels)
{
    const double slope = frame->slope, intercept = frame->intercept;
    float *wide = voxels;
    int16_t *out = voxels;
    for (size_t i = 0; type == IMAGE_F32 && i < count; i++)
        wide[i] = (float)(slope * stored[i] + intercept);
    for (size_t i = 0; type == IMAGE_I16 && i < count; i++)
        out[i] = narrow(slope * stored[i] + intercept);
}

// Slices k0 .. k0 + count of one point into voxels; cells without a frame are 0. list: room for
// count.
static bool read_slices(const struct image_set *set, const struct image *img, uint32_t point,
                        uint32_t k0, uint32_t count, enum image_voxel type, uint32_t *list,
                        uint8_t *voxels, struct err *err)
{
    const size_t bytes =
        (size_t)img->dim[0] * img->dim[1] * (type == IMAGE_I16 ? sizeof(int16_t) : sizeof(float));
    for (uint32_t k = 0; k < count;) { // runs of cells that have a frame
        uint32_t run = 0;
        while (k + run < count) {
            const uint32_t frame = image_frame_at(img, k0 + k + run, point);
            if (frame == IMAGE_NO_FRAME)
                break;
            list[run++] = frame;
        }
        if (run && !set->pixels->read(set->pixels->ctx, list, run, type, voxels + k * bytes, err))
            return false;
        k += run;
        if (k < count && !run)
            memset(voxels + k++ * bytes, 0, bytes);
    }
    return true;
}

struct gpu_volume *image_load(struct gpu *gpu, const struct image_set *set, const struct image *img,
                              uint32_t point, enum image_voxel type, struct err *err)
{
    double spacing[3];
    for (int a = 0; a < 3; a++) // a place in space is no business of kernels, a voxel size is
        spacing[a] = img->spacing[a] > 0 ? img->spacing[a] : 1;
    if (point >= img->dim[3] || !set->pixels) {
        err_set(err, ERR_INPUT, "no pixels of point %" PRIu32, point);
        return NULL;
    }
    struct gpu_volume *v = gpu_volume_create(
        gpu, img->dim, spacing, type == IMAGE_I16 ? GPU_VOXEL_I16 : GPU_VOXEL_F32, err);
    if (!v)
        return NULL;
    const size_t slice =
        (size_t)img->dim[0] * img->dim[1] * (type == IMAGE_I16 ? sizeof(int16_t) : sizeof(float));
    uint32_t batch = slice < BATCH_BYTES ? (uint32_t)(BATCH_BYTES / slice) : 1;
    if (batch > img->dim[2])
        batch = img->dim[2];
    uint8_t *voxels = slice && batch ? calloc(batch, slice) : NULL;
    uint32_t *list = calloc((size_t)batch + 1, sizeof *list);
    bool ok =
        (voxels && list) || err_set(err, ERR_NOMEM, "no memory for %" PRIu32 " frames", batch);
    for (uint32_t k = 0; ok && k < img->dim[2]; k += batch) {
        const uint32_t count = img->dim[2] - k < batch ? img->dim[2] - k : batch;
        ok = read_slices(set, img, point, k, count, type, list, voxels, err) &&
             gpu_volume_write_slices(v, k, count, voxels, err);
    }
    free(list);
    free(voxels);
    if (ok)
        return v;
    gpu_volume_destroy(v);
    return NULL;
}

bool image_read_slice(const struct image_set *set, const struct image *img, uint32_t slice,
                      uint32_t point, float *values, struct err *err)
{
    const uint32_t frame = image_frame_at(img, slice, point);
    if (frame == IMAGE_NO_FRAME || !set->pixels)
        return err_set(err, ERR_INPUT, "no frame at slice %" PRIu32 ", point %" PRIu32, slice,
                       point);
    return set->pixels->read(set->pixels->ctx, &frame, 1, IMAGE_F32, values, err);
}
