#include "compute/stages/lungs/lungs_density.h"
#include <math.h>
#include "compute/kernels/grid.h"
#include "shaders/lungs/shaders.h"

static const struct kernel histogram = {
    .shader = &shader_lungs_histogram,
    .group = {8, 8, 1},
    .push_bytes = GRID_PUSH_BYTES,
    .bindings = 4,
    .access = {KERNEL_TEXELS, KERNEL_TEXELS, KERNEL_TEXELS, KERNEL_INOUT}};
static const struct kernel *const lungs_kernels[] = {&histogram};
const struct kernel_group kernels_lungs = {lungs_kernels,
                                           sizeof lungs_kernels / sizeof *lungs_kernels};

bool lungs_histogram(struct gpu *g, const struct gpu_volume *hu,
                     const struct gpu_mask *const sides[LUNGS_SIDES], uint32_t *counts,
                     struct err *err)
{
    const uint64_t bytes = (uint64_t)LUNGS_SIDES * LUNGS_VALUES * sizeof *counts;
    struct gpu_buf *buf = gpu_buf_create(g, "lung histogram", bytes, err);
    if (!buf)
        return false;
    const struct grid_call call = {.per = {32, 1, 1},
                                   .bind = {grid_volume(hu), grid_mask(sides[LUNGS_RIGHT]),
                                            grid_mask(sides[LUNGS_LEFT]), grid_buf(buf)},
                                   .trips = LUNGS_SIDES * 32};
    const bool ok = gpu_buf_fill(buf, 0, bytes, 0, err) && grid_run(g, &histogram, &call, err) &&
                    gpu_buf_read(buf, 0, counts, bytes, err);
    gpu_buf_destroy(buf);
    return ok;
}

void lungs_density(const uint64_t *counts, struct lungs_density *out)
{
    uint64_t voxels = 0, below_950 = 0, below_910 = 0, below = 0;
    int64_t sum = 0;
    *out = (struct lungs_density){0, NAN, NAN, NAN, NAN};
    for (int n = 0; n < LUNGS_VALUES; n++) {
        const int hu = n - 32768;
        voxels += counts[n];
        sum += (int64_t)counts[n] * hu;
        below_950 += hu < -950 ? counts[n] : 0;
        below_910 += hu < -910 ? counts[n] : 0;
    }
    if (!voxels)
        return;
    int n = -1;
    while (100 * below < 15 * voxels)
        below += counts[++n];
    out->voxels = voxels;
    out->mean_hu = (double)sum / (double)voxels;
    out->below_950 = 100.0 * (double)below_950 / (double)voxels;
    out->below_910 = 100.0 * (double)below_910 / (double)voxels;
    out->percentile = n - 32768;
}
