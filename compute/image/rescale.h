// Modality values of images whose headers lack a part of the rescale. PS3.3 C.11.1.1.2 has no
// default for it; a slope that is absent is 1 to every reader, an intercept that is absent is only
// 0 where the pixels show it: in CT, where air is -1000 HU by definition. Process: worker, analyze,
// inspect. Thread-safety: as the pixels of the set.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "compute/image/image.h"

// Says what was taken for granted in remark, "" nothing. Of CT without Rescale Intercept a few
// frames are decoded: they have air near -1000 HU, soft tissue around 0, and not what would be soft
// tissue in an image of HU + 1000 or HU + 1024.
//   ERR_INPUT values without Rescale Intercept that show no such thing (count and values are named)
//   the errors of image_read_slice()
bool image_check_rescale(const struct image_set *set, const struct image *img, char *remark,
                         size_t size, struct err *err);
