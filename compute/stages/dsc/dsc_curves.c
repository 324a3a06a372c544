#include "compute/stages/dsc/dsc_curves.h"
#include <math.h>
#include <stdlib.h>
#include "compute/kernels/grid.h"
#include "shaders/dsc/shaders.h"

struct signal_push { // what follows the grid in shaders/dsc/signal.comp
    uint32_t points;
    float least, rate;
};
struct weigh_push { // in weigh.comp
    uint32_t steps;
};

static const struct kernel signal_rate = {.shader = &shader_dsc_signal,
                                          .group = {8, 8, 1},
                                          .push_bytes =
                                              GRID_PUSH_BYTES + sizeof(struct signal_push),
                                          .bindings = 3,
                                          .access = {KERNEL_TEXELS, KERNEL_INOUT, KERNEL_OUT}};
static const struct kernel weigh = {
    .shader = &shader_dsc_weigh,
    .group = {8, 8, 1},
    .push_bytes = GRID_PUSH_BYTES + sizeof(struct weigh_push),
    .bindings = 5,
    .access = {KERNEL_TEXELS, KERNEL_TEXELS, KERNEL_IN, KERNEL_OUT, KERNEL_OUT}};
static const struct kernel *const dsc_list[] = {&signal_rate, &weigh};
const struct kernel_group kernels_dsc = {dsc_list, sizeof dsc_list / sizeof *dsc_list};

static const double mean_like_integral = 1e-6; // of the square of a column that the other leaves

static struct grid_bind dsc_planes(const struct gpu_volume *planes, uint32_t steps)
{
    return grid_slices(planes->buf, (uint64_t)planes->slice * steps * sizeof(float));
}

bool dsc_rate(const struct gpu_volume *curves, uint32_t points, const struct gpu_mask *mask,
              double te_s, double least, const struct gpu_volume *broken, struct err *err)
{
    const struct signal_push push = {points, (float)least, (float)(1 / te_s)};
    const struct grid_call call = {
        .per = {4, 1, 1},
        .bind = {grid_mask(mask), dsc_planes(curves, points), grid_volume(broken)},
        .push = &push,
        .push_size = sizeof push,
        .trips = 4ULL * points,
        .work = points};
    return grid_run(mask->gpu, &signal_rate, &call, err);
}

// What K2 and the area are of a curve: sums of it with these weights. False: they cannot be.
static bool make_weights(const struct dsc_leak *leak, double *integral, float (*table)[4])
{
    double mm = 0, mi = 0, ii = 0, area = 0, twice = 0;
    for (uint32_t n = 0; n < leak->steps; n++) {
        area += n ? (leak->mean[n] + leak->mean[n - 1]) / 2 * leak->step_s : 0;
        integral[n] = area;
        mm += leak->mean[n] * leak->mean[n];
        mi += leak->mean[n] * area;
        ii += area * area;
        twice += n >= leak->before ? area : 0;
    }
    const double det = mm * ii - mi * mi;
    if (!(det > mean_like_integral * mm * ii))
        return false;
    for (uint32_t n = 0; n < leak->steps; n++) {
        const double k2 = -(mm * integral[n] - mi * leak->mean[n]) / det;
        table[n][0] = (float)k2;
        table[n][1] = (float)((n >= leak->before) + k2 * twice);
    }
    return true;
}

bool dsc_leak_of(const struct gpu_volume *curves, const struct gpu_mask *mask,
                 const struct dsc_leak *leak, const struct gpu_volume *k2,
                 const struct gpu_volume *area, struct err *err)
{
    const uint64_t bytes = (uint64_t)leak->steps * 4 * sizeof(float);
    double *integral = calloc(leak->steps, sizeof *integral);
    float(*table)[4] = calloc(leak->steps, sizeof *table);
    bool ok = (integral && table) || err_set(err, ERR_NOMEM, "dsc: no memory");
    ok = ok && (make_weights(leak, integral, table) ||
                err_set(err, ERR_INPUT, "the mean curve is nought, or like its integral"));
    struct gpu_buf *buf = ok ? gpu_buf_create(mask->gpu, "leak weights", bytes, err) : NULL;
    const struct weigh_push push = {leak->steps};
    const struct grid_call call = {.per = {4, 1, 1},
                                   .bind = {dsc_planes(curves, leak->steps), grid_mask(mask),
                                            grid_buf(buf), grid_volume(k2), grid_volume(area)},
                                   .push = &push,
                                   .push_size = sizeof push,
                                   .trips = leak->steps,
                                   .work = leak->steps};
    ok = buf && gpu_buf_write(buf, 0, table, bytes, err) && grid_run(mask->gpu, &weigh, &call, err);
    gpu_buf_destroy(buf);
    free(table);
    free(integral);
    return ok;
}
