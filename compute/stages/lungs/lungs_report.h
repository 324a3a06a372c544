// From lungs and their densities to findings. Thread-safety: one thread.
#pragma once
#include "compute/findings/findings.h"
#include "compute/stages/lungs/lungs_find.h"

struct lungs_result {
    const struct lungs *lungs;
    const uint32_t *counts; // [LUNGS_SIDES][LUNGS_VALUES]
    struct lungs_density density[LUNGS_SIDES], total;
    double voxel_ml;
};

// Adds groups, regions, marks, table, curve, pictures and the verdict. Errors: ERR_NOMEM, those of
// the device.
bool lungs_report(struct findings *f, const struct image_set *set, uint32_t image,
                  const struct lungs_result *result, struct err *err);
