#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/kernels/kernels_internal.h"

#define SMOOTH_RADIUS_MAX 127
#define SHRINK_MAX        32

static uint64_t voxel_bytes(enum gpu_voxel type)
{
    return type == GPU_VOXEL_I16 ? 2 : 4;
}

struct gpu_volume *gpu_volume_create(struct gpu *g, const uint32_t dim[3], const double spacing[3],
                                     enum gpu_voxel type, struct err *err)
{
    if (!kernel_check_grid(dim, spacing, err))
        return NULL;
    uint32_t row = volume_row(dim[0]);
    uint64_t slice = volume_slice_elements(dim);
    if (slice * dim[2] > UINT32_MAX) {
        err_set(err, ERR_UNSUPPORTED, "a volume of %u x %u x %u voxels", dim[0], dim[1], dim[2]);
        return NULL;
    }
    struct gpu_volume *v = calloc(1, sizeof *v);
    if (!v) {
        err_set(err, ERR_NOMEM, "volume");
        return NULL;
    }
    *v = (struct gpu_volume){.gpu = g, .type = type, .row = row, .slice = (uint32_t)slice};
    memcpy(v->dim, dim, sizeof v->dim);
    memcpy(v->spacing, spacing, sizeof v->spacing);
    v->buf = gpu_buf_create(g, "volume", slice * dim[2] * voxel_bytes(type), err);
    if (!v->buf) {
        free(v);
        return NULL;
    }
    return v;
}

void gpu_volume_destroy(struct gpu_volume *v)
{
    if (!v)
        return;
    gpu_buf_destroy(v->buf);
    free(v);
}

// Destroys a result that did not come to be.
static struct gpu_volume *finished(struct gpu_volume *v, bool ok)
{
    if (ok)
        return v;
    gpu_volume_destroy(v);
    return NULL;
}

bool gpu_volume_write_slices(struct gpu_volume *v, uint32_t k0, uint32_t count, const void *voxels,
                             struct err *err)
{
    if (k0 > v->dim[2] || count > v->dim[2] - k0)
        return err_set(err, ERR_INPUT, "slices %u to %" PRIu64 " of %u", k0, (uint64_t)k0 + count,
                       v->dim[2]);
    uint64_t each = voxel_bytes(v->type), row = v->dim[0] * each, pitch = v->row * each;
    const uint8_t *from = voxels;
    // Where slices follow each other without a gap, all rows are one transfer.
    bool packed = v->slice == (uint64_t)v->row * v->dim[1];
    uint32_t step = packed ? count : 1;
    for (uint32_t k = k0; k < k0 + count; k += step, from += step * v->dim[1] * row) {
        if (!gpu_buf_write_rows(v->buf, k * v->slice * each, pitch, from, row,
                                (uint64_t)step * v->dim[1], err))
            return false;
    }
    return true;
}

struct gpu_volume *gpu_volume_write(struct gpu *g, const uint32_t dim[3], const double spacing[3],
                                    enum gpu_voxel type, const void *voxels, struct err *err)
{
    struct gpu_volume *v = gpu_volume_create(g, dim, spacing, type, err);
    return v ? finished(v, gpu_volume_write_slices(v, 0, dim[2], voxels, err)) : NULL;
}

bool gpu_volume_read(const struct gpu_volume *v, uint32_t k0, uint32_t k1, void *voxels,
                     struct err *err)
{
    if (k0 > k1 || k1 > v->dim[2])
        return err_set(err, ERR_INPUT, "slices %u to %u of %u", k0, k1, v->dim[2]);
    uint64_t each = voxel_bytes(v->type), row = v->dim[0] * each;
    uint8_t *to = voxels;
    uint8_t *slice = malloc(v->slice * each);
    bool ok = slice != NULL;
    if (!slice)
        err_set(err, ERR_NOMEM, "a slice of %" PRIu64 " bytes", v->slice * each);
    for (uint32_t k = k0; ok && k < k1; k++) {
        ok = gpu_buf_read(v->buf, k * v->slice * each, slice, v->slice * each, err);
        for (uint32_t j = 0; ok && j < v->dim[1]; j++, to += row)
            memcpy(to, slice + j * v->row * each, row);
    }
    free(slice);
    return ok;
}

// ---- Shrinking ----

struct shrink_yz_push {
    uint32_t texels, rows, slices, value_row, value_slice, fine_rows, fine_slices;
    uint32_t factor_y, factor_z, lead_y;
};
_Static_assert(sizeof(struct shrink_yz_push) == 40, "as in shrink_yz.comp");

struct shrink_x_push {
    uint32_t columns, rows, slices, sum_row, result_row, result_slice;
    uint32_t fine_columns, fine_rows, fine_slices, factor[3], first, lead[2];
};
_Static_assert(sizeof(struct shrink_x_push) == 60, "as in shrink_x.comp");

static const struct kernel kernel_shrink_yz = KERNEL(shrink_yz, QUADS, 0, 40, 2, T, O);
static const struct kernel kernel_shrink_x = KERNEL(shrink_x, QUADS, 0, 60, 2, T, O);
GROUP(shrink, &kernel_shrink_yz, &kernel_shrink_x);

void gpu_shrink_factors(const double spacing[3], double mm, uint32_t factor[3])
{
    for (int a = 0; a < 3; a++) {
        double f = round(mm / spacing[a]);
        factor[a] = f >= 1 ? f <= SHRINK_MAX ? (uint32_t)f : SHRINK_MAX : 1; // NaN: 1
    }
}

// Shrinks coarse slices c0 <= c < c1 by way of the sums.
static bool shrink_slab(const struct gpu_volume *v, const uint32_t factor[3],
                        const uint32_t lead[2], struct gpu_volume *out, struct gpu_buf *sums,
                        uint32_t c0, uint32_t c1, struct err *err)
{
    const struct slab_view fine = volume_view(v, KERNEL_TEXELS);
    const struct slab_view coarse = volume_view(out, KERNEL_OUT);
    uint32_t k0 = c0 * factor[2], k1 = smaller(c1 * factor[2], v->dim[2]);
    uint32_t texels = divide_up(v->dim[0], 8), n = c1 - c0;
    struct gpu_range sum_range = {sums, 0, (uint64_t)n * out->dim[1] * texels * 32};
    struct shrink_yz_push yz = {texels,    out->dim[1], n,         v->row / 8, v->slice / 8,
                                v->dim[1], k1 - k0,     factor[1], factor[2],  lead[1]};
    struct gpu_range ranges_yz[2] = {slab_range(&fine, k0, k1, NULL), sum_range};
    const uint32_t size_yz[3] = {texels, out->dim[1], n};
    if (!kernel_run(v->gpu, &kernel_shrink_yz, ranges_yz, &yz, size_yz,
                    (uint64_t)factor[2] * (factor[1] + 1), (k1 - k0) * (uint64_t)v->slice, err))
        return false;
    struct shrink_x_push x = {out->dim[0],
                              out->dim[1],
                              n,
                              texels * 2,
                              out->row / 2,
                              out->slice / 2,
                              v->dim[0],
                              v->dim[1],
                              v->dim[2],
                              {factor[0], factor[1], factor[2]},
                              c0,
                              {lead[0], lead[1]}};
    struct gpu_range ranges_x[2] = {sum_range, slab_range(&coarse, c0, c1, NULL)};
    const uint32_t size_x[3] = {divide_up(out->dim[0], 2), out->dim[1], n};
    return kernel_run(v->gpu, &kernel_shrink_x, ranges_x, &x, size_x, 2 * (SHRINK_MAX / 4 + 2) * 5,
                      n * (uint64_t)out->dim[1] * v->dim[0] * 2, err);
}

static bool check_factor(const uint32_t factor[3], struct err *err)
{
    for (int a = 0; a < 3; a++) {
        if (!factor[a] || factor[a] > SHRINK_MAX)
            return err_set(err, ERR_INPUT, "a factor of %u", factor[a]);
    }
    return true;
}

struct gpu_volume *gpu_volume_shrink(const struct gpu_volume *v, const uint32_t factor[3],
                                     const uint32_t lead[2], struct err *err)
{
    uint32_t dim[3];
    double spacing[3];
    if (v->type != GPU_VOXEL_I16 || !check_factor(factor, err)) {
        if (v->type != GPU_VOXEL_I16)
            err_set(err, ERR_INPUT, "only int16 volumes can be shrunk");
        return NULL;
    }
    for (int a = 0; a < 3; a++) {
        const uint32_t lacks = lead && a < 2 ? lead[a] : 0;
        if (lacks >= factor[a]) {
            err_set(err, ERR_INPUT, "a first block that lacks %u of %u", lacks, factor[a]);
            return NULL;
        }
        dim[a] = divide_up(v->dim[a] + lacks, factor[a]);
        spacing[a] = v->spacing[a] * factor[a];
    }
    static const uint32_t none[2] = {0};
    struct gpu_volume *out = gpu_volume_create(v->gpu, dim, spacing, GPU_VOXEL_I16, err);
    if (!out)
        return NULL;
    uint64_t sum_bytes = ((uint64_t)dim[1] * divide_up(v->dim[0], 8) * 32 + 255) / 256 * 256;
    struct slab_view views[4] = {volume_view(v, KERNEL_TEXELS),
                                 volume_view(out, KERNEL_OUT),
                                 {NULL, KERNEL_OUT, sum_bytes, dim[2], 0, 0},
                                 {NULL, KERNEL_TEXELS, sum_bytes, dim[2], 0, 0}};
    views[0].slice_bytes *= factor[2]; // a coarse slice is so many fine ones
    views[0].slices = dim[2];
    uint32_t step = slab_slices(v->gpu, views, 4, (uint64_t)v->slice * factor[2], err);
    step = smaller(step, dim[2]);
    struct gpu_buf *sums = step ? gpu_buf_create(v->gpu, "sums", sum_bytes * step, err) : NULL;
    bool ok = sums != NULL;
    for (uint32_t c = 0; ok && c < dim[2]; c += smaller(step, dim[2] - c))
        ok = shrink_slab(v, factor, lead ? lead : none, out, sums, c, c + smaller(step, dim[2] - c),
                         err);
    gpu_buf_destroy(sums);
    return finished(out, ok);
}

// ---- Resampling ----

struct resample_push {
    uint32_t columns, rows, slices, value_row, value_slice, result_row, result_slice, first;
    uint32_t value_dim[3], value_first;
    float map[12];
};
_Static_assert(sizeof(struct resample_push) == 96, "as in resample.comp");

static const struct kernel resample_i16 = KERNEL(resample, QUADS, 0, 96, 2, T, O);
static const struct kernel resample_f32 = KERNEL(resample, QUADS, 1, 96, 2, T, O);
GROUP(resample, &resample_i16, &resample_f32);

// The slices of v that slices k0 <= k < k1 of the result can ask for.
static void reach_of(const struct gpu_volume *v, const uint32_t dim[3], const double map[3][4],
                     uint32_t k0, uint32_t k1, uint32_t *lo, uint32_t *hi)
{
    double least = INFINITY, most = -INFINITY;
    for (int corner = 0; corner < 8; corner++) {
        double z = map[2][0] * (corner & 1 ? dim[0] - 1 : 0) +
                   map[2][1] * (corner & 2 ? dim[1] - 1 : 0) +
                   map[2][2] * (corner & 4 ? k1 - 1 : k0) + map[2][3];
        least = fmin(least, z);
        most = fmax(most, z);
    }
    // One slice more on each side for what float rounding may add.
    double last = v->dim[2] - 1;
    *lo = (uint32_t)fmin(fmax(floor(least) - 1, 0), last);
    *hi = (uint32_t)fmin(fmax(floor(most) + 2, 0), last) + 1;
}

static bool resample_slab(const struct gpu_volume *v, struct gpu_volume *out,
                          const double map[3][4], uint32_t k0, uint32_t k1, struct err *err)
{
    uint32_t lo, hi;
    reach_of(v, out->dim, map, k0, k1, &lo, &hi);
    const struct slab_view from = volume_view(v, KERNEL_TEXELS);
    const struct slab_view to = volume_view(out, KERNEL_OUT);
    struct resample_push push = {out->dim[0],
                                 out->dim[1],
                                 k1 - k0,
                                 v->row / 4,
                                 v->slice / 4,
                                 out->row / 4,
                                 out->slice / 4,
                                 k0,
                                 {v->dim[0], v->dim[1], v->dim[2]},
                                 lo,
                                 {0}};
    for (int i = 0; i < 12; i++)
        push.map[i] = (float)map[i / 4][i % 4];
    struct gpu_range ranges[2] = {slab_range(&from, lo, hi, NULL), slab_range(&to, k0, k1, NULL)};
    const uint32_t size[3] = {divide_up(out->dim[0], 4), out->dim[1], k1 - k0};
    return kernel_run(v->gpu, v->type == GPU_VOXEL_I16 ? &resample_i16 : &resample_f32, ranges,
                      &push, size, 4, (k1 - k0) * (uint64_t)out->slice * 4, err);
}

struct gpu_volume *gpu_volume_resample(const struct gpu_volume *v, const uint32_t dim[3],
                                       const double spacing[3], const double map[3][4],
                                       struct err *err)
{
    for (int i = 0; i < 12; i++) {
        if (!isfinite(map[i / 4][i % 4]) || fabs(map[i / 4][i % 4]) > 1e9) {
            err_set(err, ERR_INPUT, "a map with %g", map[i / 4][i % 4]);
            return NULL;
        }
    }
    struct gpu_volume *out = gpu_volume_create(v->gpu, dim, spacing, GPU_VOXEL_F32, err);
    if (!out)
        return NULL;
    const struct slab_view views[2] = {volume_view(out, KERNEL_OUT), volume_view(v, KERNEL_TEXELS)};
    uint32_t step = slab_slices(v->gpu, views, 1, (uint64_t)out->slice * 4, err);
    // Fewer slices at once where those of v that they ask for cannot all be bound.
    uint64_t fit = gpu_bind_limit(v->gpu, KERNEL_TEXELS) / views[1].slice_bytes;
    bool ok = step > 0;
    for (uint32_t k = 0; ok && k < dim[2];) {
        uint32_t end = k + smaller(step, dim[2] - k), lo, hi;
        reach_of(v, dim, map, k, end, &lo, &hi);
        while (hi - lo > fit && end - k > 1) {
            end = k + (end - k) / 2;
            reach_of(v, dim, map, k, end, &lo, &hi);
        }
        ok = resample_slab(v, out, map, k, end, err);
        k = end;
    }
    return finished(out, ok);
}

// ---- Smoothing ----

struct gauss_x_push {
    uint32_t radius;
    float centre;
};

struct gauss_yz_push {
    uint32_t quads, lines, planes, line, plane, first, extent, radius;
    float centre;
};
_Static_assert(sizeof(struct gauss_yz_push) == 36, "as in gauss_yz.comp");

static const struct kernel gauss_x_i16 =
    KERNEL(gauss_x, QUADS, 0, GRID_PUSH_BYTES + sizeof(struct gauss_x_push), 3, T, T, O);
static const struct kernel gauss_x_f32 =
    KERNEL(gauss_x, QUADS, 1, GRID_PUSH_BYTES + sizeof(struct gauss_x_push), 3, T, T, O);
static const struct kernel gauss_yz = KERNEL(gauss_yz, QUADS, 0, 36, 3, T, T, O);
GROUP(smooth, &gauss_x_i16, &gauss_x_f32, &gauss_yz);

// One half of a symmetric kernel.
struct taps {
    struct gpu_buf *weights; // of distance 1, 2, ...; 0 up to a multiple of 4
    uint32_t radius;
    float centre;
};

static bool taps_init(struct taps *t, struct gpu *g, double sigma, struct err *err)
{
    float weights[SMOOTH_RADIUS_MAX + 1] = {0};
    double exact[SMOOTH_RADIUS_MAX + 1] = {0}, sum = 0;
    *t = (struct taps){0};
    if (!(sigma >= 0) || sigma > SMOOTH_RADIUS_MAX / 3.0)
        return err_set(err, ERR_INPUT, "a Gaussian of %g voxels", sigma);
    t->radius = (uint32_t)ceil(3 * sigma);
    for (uint32_t d = 0; d <= t->radius; d++) {
        exact[d] = d ? exp(-0.5 * d * d / (sigma * sigma)) : 1;
        sum += d ? 2 * exact[d] : exact[d];
    }
    for (uint32_t d = 1; d <= t->radius; d++)
        weights[d - 1] = (float)(exact[d] / sum);
    t->centre = (float)(1 / sum);
    t->weights = gpu_buf_create(g, "taps", sizeof weights, err);
    return t->weights && gpu_buf_write(t->weights, 0, weights, sizeof weights, err);
}

static bool smooth_x(const struct gpu_volume *v, struct gpu_volume *out, const struct taps *t,
                     struct err *err)
{
    const struct gauss_x_push push = {t->radius, t->centre};
    const struct grid_call call = {.per = {4, 1, 1},
                                   .bind = {grid_volume(v), grid_buf(t->weights), grid_volume(out)},
                                   .push = &push,
                                   .push_size = sizeof push,
                                   .trips = (t->radius / 4 + 2) * 9ull,
                                   .work = 1 + t->radius / 2};
    return grid_run(v->gpu, v->type == GPU_VOXEL_I16 ? &gauss_x_i16 : &gauss_x_f32, &call, err);
}

static bool smooth_yz(const struct gpu_volume *v, struct gpu_volume *out, const struct taps *t,
                      bool along_z, struct err *err)
{
    struct slab_view views[2] = {volume_view(v, KERNEL_TEXELS), volume_view(out, KERNEL_OUT)};
    if (along_z)
        views[0].before = views[0].after = t->radius;
    uint64_t work = (uint64_t)v->slice * (1 + t->radius / 2);
    uint32_t step = slab_slices(v->gpu, views, 2, work, err);
    bool ok = step > 0;
    for (uint32_t k = 0; ok && k < v->dim[2]; k += smaller(step, v->dim[2] - k)) {
        uint32_t n = smaller(step, v->dim[2] - k), first;
        struct gpu_range ranges[3] = {slab_range(&views[0], k, k + n, &first),
                                      whole_range(t->weights),
                                      slab_range(&views[1], k, k + n, NULL)};
        struct gauss_yz_push push = {.quads = divide_up(v->dim[0], 4),
                                     .lines = along_z ? n : v->dim[1],
                                     .planes = along_z ? v->dim[1] : n,
                                     .line = (along_z ? v->slice : v->row) / 4,
                                     .plane = (along_z ? v->row : v->slice) / 4,
                                     .first = along_z ? k - first : 0,
                                     .radius = t->radius,
                                     .centre = t->centre};
        push.extent = along_z ? (uint32_t)(ranges[0].size / views[0].slice_bytes) : v->dim[1];
        const uint32_t size[3] = {push.quads, push.lines, push.planes};
        ok = kernel_run(v->gpu, &gauss_yz, ranges, &push, size, t->radius / 4 + 2, n * work, err);
    }
    return ok;
}

static void swap(struct gpu_volume **a, struct gpu_volume **b)
{
    struct gpu_volume *t = *a;
    *a = *b;
    *b = t;
}

struct gpu_volume *gpu_volume_smooth(const struct gpu_volume *v, const double sigma_mm[3],
                                     struct err *err)
{
    struct taps taps[3] = {{0}};
    struct gpu_volume *from = NULL, *to = NULL;
    bool ok = true;
    for (int a = 0; ok && a < 3; a++)
        ok = taps_init(&taps[a], v->gpu, sigma_mm[a] / v->spacing[a], err);
    if (ok) {
        to = gpu_volume_create(v->gpu, v->dim, v->spacing, GPU_VOXEL_F32, err);
        ok = to && smooth_x(v, to, &taps[0], err);
    }
    for (int a = 1; ok && a < 3; a++) {
        if (!taps[a].radius)
            continue;
        swap(&from, &to);
        if (!to)
            to = gpu_volume_create(v->gpu, v->dim, v->spacing, GPU_VOXEL_F32, err);
        ok = to && smooth_yz(from, to, &taps[a], a == 2, err);
    }
    for (int a = 0; a < 3; a++)
        gpu_buf_destroy(taps[a].weights);
    gpu_volume_destroy(from);
    return finished(to, ok);
}

// ---- Maximum intensity projection ----

struct mip_line_push {
    uint32_t texels, lines, line, step, begin, end, result_row, result_first, go_on;
};
_Static_assert(sizeof(struct mip_line_push) == 36, "as in mip_line.comp");

struct mip_row_push {
    uint32_t rows, slices, value_row, value_slice, lo, hi, result_row, first;
};
_Static_assert(sizeof(struct mip_row_push) == 32, "as in mip_row.comp");

static const struct kernel kernel_mip_line = KERNEL(mip_line, QUADS, 0, 36, 2, T, X);
static const struct kernel kernel_mip_row = KERNEL(mip_row, LIST, 0, 32, 2, T, O);
GROUP(mip, &kernel_mip_line, &kernel_mip_row);

// One slab of slices, projected along slices (axis 2) or rows (axis 1).
static bool mip_line(const struct gpu_volume *v, struct gpu_volume *out, unsigned axis,
                     const uint32_t range[2], uint32_t k0, uint32_t k1, bool go_on, struct err *err)
{
    const struct slab_view view = volume_view(v, KERNEL_TEXELS);
    struct gpu_range ranges[2] = {slab_range(&view, k0, k1, NULL), whole_range(out->buf)};
    struct mip_line_push push = {.texels = divide_up(v->dim[0], 8),
                                 .lines = axis == 2 ? v->dim[1] : k1 - k0,
                                 .line = (axis == 2 ? v->row : v->slice) / 8,
                                 .step = (axis == 2 ? v->slice : v->row) / 8,
                                 .begin = axis == 2 ? 0 : range[0],
                                 .end = axis == 2 ? k1 - k0 : range[1],
                                 .result_row = out->row / 8,
                                 .result_first = axis == 2 ? 0 : k0,
                                 .go_on = go_on};
    const uint32_t size[3] = {push.texels, push.lines, 1};
    return kernel_run(v->gpu, &kernel_mip_line, ranges, &push, size, push.end - push.begin,
                      (k1 - k0) * (uint64_t)v->slice, err);
}

static bool mip_row(const struct gpu_volume *v, struct gpu_volume *out, const uint32_t range[2],
                    uint32_t k0, uint32_t k1, struct err *err)
{
    const struct slab_view view = volume_view(v, KERNEL_TEXELS);
    struct gpu_range ranges[2] = {slab_range(&view, k0, k1, NULL), whole_range(out->buf)};
    struct mip_row_push push = {v->dim[1], k1 - k0,  v->row / 8,   v->slice / 8,
                                range[0],  range[1], out->row / 2, k0};
    const uint32_t size[3] = {divide_up(v->dim[1], 2), k1 - k0, 1};
    return kernel_run(v->gpu, &kernel_mip_row, ranges, &push, size,
                      2ull * (range[1] - range[0] + 16) / 8 * 9, (k1 - k0) * (uint64_t)v->slice,
                      err);
}

struct gpu_volume *gpu_volume_mip(const struct gpu_volume *v, unsigned axis, uint32_t lo,
                                  uint32_t hi, struct err *err)
{
    if (v->type != GPU_VOXEL_I16 || axis > 2 || lo >= hi || hi > v->dim[axis]) {
        err_set(err, ERR_INPUT, "projection along axis %u from %u to %u", axis, lo, hi);
        return NULL;
    }
    const int across = axis == 0 ? 1 : 0, down = axis == 2 ? 1 : 2;
    const uint32_t dim[3] = {v->dim[across], v->dim[down], 1}, range[2] = {lo, hi};
    const double spacing[3] = {v->spacing[across], v->spacing[down], v->spacing[axis]};
    struct gpu_volume *out = gpu_volume_create(v->gpu, dim, spacing, GPU_VOXEL_I16, err);
    if (!out)
        return NULL;
    const struct slab_view views[1] = {volume_view(v, KERNEL_TEXELS)};
    uint32_t step = slab_slices(v->gpu, views, 1, v->slice, err);
    uint32_t k = axis == 2 ? lo : 0, last = axis == 2 ? hi : v->dim[2];
    bool ok = step > 0;
    while (ok && k < last) {
        uint32_t end = k + smaller(step, last - k);
        ok = axis == 0 ? mip_row(v, out, range, k, end, err)
                       : mip_line(v, out, axis, range, k, end, axis == 2 && k > lo, err);
        k = end;
    }
    return finished(out, ok);
}
