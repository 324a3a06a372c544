// Bones of a CT, and what contrast agent fills, which must not be taken for bone. Thread-safety:
// one thread a struct gpu.
#pragma once
#include <stdbool.h>
#include "base/err.h"
#include "compute/kernels/kernels.h"
#include "compute/stages/segment/segment_find.h"

// Tissue of the body that contrast agent fills, with a margin: sets contrast_ml and contrast_hu of
// out. NULL with *err: the machine failed.
struct gpu_mask *segment_contrast(const struct gpu_volume *hu, const struct gpu_mask *body,
                                  struct segments *out, struct err *err);

// Sets mask and why of SEGMENT_BONE, contrast_ml and contrast_hu.
// room  of the body, where there may be bone
bool segment_bones(const struct gpu_volume *hu, const struct gpu_mask *body,
                   const struct gpu_mask *room, struct segments *out, struct err *err);
