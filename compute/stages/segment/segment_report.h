// Findings of the segmentation: segments, volume, mean and standard deviation of each, refusals as
// exclusions, three planes. Thread-safety: one thread a findings.
#pragma once
#include <stdint.h>
#include "base/err.h"
#include "compute/findings/findings.h"
#include "compute/image/image.h"
#include "compute/stages/segment/segment_find.h"

// Of the voxels of a structure; NAN without any.
struct segment_values {
    uint64_t voxels;
    double mean_hu, sd_hu; // standard deviation of the voxels, not of the mean
};

// Counted in integers from the values themselves. scratch: 1 MB. Waits.
bool segment_measure(const struct gpu_volume *hu, const struct segments *s, struct arena *scratch,
                     struct segment_values values[SEGMENT_PARTS], struct err *err);
// image  index in the set. Errors: ERR_NOMEM, those of the device.
bool segment_report(struct findings *f, const struct image_set *set, uint32_t image,
                    const struct segments *s, const struct segment_values values[SEGMENT_PARTS],
                    struct err *err);
