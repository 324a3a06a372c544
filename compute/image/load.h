// Pixels of an image: decoded once, a few frames at a time, straight to where they are used.
// Process: worker, analyze. Thread-safety: one thread a struct gpu.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "compute/image/image.h"
#include "compute/image/voi.h"
#include "compute/kernels/kernels.h"

// Whoever has the files gives this: decoding in modality units.
struct image_pixels {
    void *ctx;
    // Decodes count frames (indices into the frames of the set, all of one size) to voxels,
    // [count][rows][columns] of type. IMAGE_I16: rounded, halves away from zero, clamped.
    //   ERR_INPUT a pixel stream is broken; ERR_UNSUPPORTED; ERR_IO, ERR_NOMEM, ERR_TIMEOUT
    bool (*read)(void *ctx, const uint32_t *frames, size_t count, enum image_voxel type,
                 void *voxels, struct err *err);
    // How the header of a frame wants its values shown; for voi_finish(). NULL: nobody knows.
    //   ERR_INPUT no such file; ERR_IO, ERR_NOMEM
    bool (*voi)(void *ctx, uint32_t frame, struct voi *out, struct err *err);
};

// Converts count stored values of a frame to modality values as above: slope * stored + intercept
// in double precision. Padding of Hounsfield units is air at most, whatever value stands for it.
// For those who write a struct image_pixels.
void image_convert(const struct image_frame *frame, const int32_t *stored, size_t count,
                   enum image_voxel type, void *voxels);

// The same of frames that hold floating point.
void image_convert_float(const struct image_frame *frame, const float *stored, size_t count,
                         enum image_voxel type, void *voxels);

// One point of an image on the device, all slices. type: IMAGE_I16 rounds and clamps where it is
// not exact; image->type is the one that is exact. Missing cells become 0 (check image->missing).
// Host memory: a few frames. Errors: those of read() with the instance named, of
// gpu_volume_create() and the device.
struct gpu_volume *image_load(struct gpu *gpu, const struct image_set *set, const struct image *img,
                              uint32_t point, enum image_voxel type, struct err *err);

// One slice to host memory, [rows][columns]. ERR_INPUT: there is no frame.
bool image_read_slice(const struct image_set *set, const struct image *img, uint32_t slice,
                      uint32_t point, float *values, struct err *err);
