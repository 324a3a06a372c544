#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/kernels/kernels_internal.h"

#define BALL_ROWS_MAX 50000
#define BALL_WIDEST   31  // columns: a dilation sees one word to each side
#define BALL_REACH    127 // rows, slices
#define SHRINK_MAX    32

struct gpu_mask *mask_alloc(struct gpu *g, const uint32_t dim[3], const double spacing[3],
                            struct err *err)
{
    if (!kernel_check_grid(dim, spacing, err))
        return NULL;
    uint32_t row = mask_row(dim[0]);
    uint64_t slice = mask_slice_words(dim);
    if (slice * dim[2] > UINT32_MAX) {
        err_set(err, ERR_UNSUPPORTED, "a mask of %u x %u x %u voxels", dim[0], dim[1], dim[2]);
        return NULL;
    }
    struct gpu_mask *m = calloc(1, sizeof *m);
    if (!m) {
        err_set(err, ERR_NOMEM, "mask");
        return NULL;
    }
    *m = (struct gpu_mask){.gpu = g, .row = row, .slice = (uint32_t)slice};
    memcpy(m->dim, dim, sizeof m->dim);
    memcpy(m->spacing, spacing, sizeof m->spacing);
    m->buf = gpu_buf_create(g, "mask", slice * dim[2] * 4, err);
    if (!m->buf) {
        free(m);
        return NULL;
    }
    return m;
}

void gpu_mask_destroy(struct gpu_mask *m)
{
    if (!m)
        return;
    gpu_buf_destroy(m->buf);
    free(m);
}

static struct gpu_mask *finished(struct gpu_mask *m, bool ok)
{
    if (ok)
        return m;
    gpu_mask_destroy(m);
    return NULL;
}

static uint64_t mask_bytes(const struct gpu_mask *m)
{
    return (uint64_t)m->slice * m->dim[2] * 4;
}

struct gpu_mask *gpu_mask_create(struct gpu *g, const uint32_t dim[3], const double spacing[3],
                                 struct err *err)
{
    struct gpu_mask *m = mask_alloc(g, dim, spacing, err);
    return m ? finished(m, gpu_buf_fill(m->buf, 0, mask_bytes(m), 0, err)) : NULL;
}

// ---- Host ----

struct gpu_mask *gpu_mask_write(struct gpu *g, const uint32_t dim[3], const double spacing[3],
                                const uint8_t *bytes, struct err *err)
{
    struct gpu_mask *m = mask_alloc(g, dim, spacing, err);
    uint32_t *words = m ? calloc(m->slice, sizeof *words) : NULL;
    bool ok = words != NULL;
    if (m && !words)
        err_set(err, ERR_NOMEM, "a slice of a mask");
    for (uint32_t k = 0; ok && k < dim[2]; k++) {
        memset(words, 0, m->slice * sizeof *words);
        for (uint32_t j = 0; j < dim[1]; j++) {
            for (uint32_t i = 0; i < dim[0]; i++)
                words[j * m->row + i / 32] |= (uint32_t)(*bytes++ != 0) << i % 32;
        }
        ok = gpu_buf_write(m->buf, k * m->slice * 4ull, words, m->slice * 4ull, err);
    }
    free(words);
    return finished(m, ok);
}

static bool check_slices(const struct gpu_mask *m, uint32_t k0, uint32_t k1, struct err *err)
{
    return (k0 <= k1 && k1 <= m->dim[2]) ||
           err_set(err, ERR_INPUT, "slices %u to %u of %u", k0, k1, m->dim[2]);
}

bool gpu_mask_read_words(const struct gpu_mask *m, uint32_t k0, uint32_t k1, uint32_t *words,
                         struct err *err)
{
    return check_slices(m, k0, k1, err) &&
           (k0 == k1 ||
            gpu_buf_read(m->buf, k0 * m->slice * 4ull, words, (k1 - k0) * (m->slice * 4ull), err));
}

bool gpu_mask_read(const struct gpu_mask *m, uint8_t *bytes, struct err *err)
{
    uint32_t *words = malloc(m->slice * sizeof *words);
    bool ok = words != NULL;
    if (!words)
        err_set(err, ERR_NOMEM, "a slice of a mask");
    for (uint32_t k = 0; ok && k < m->dim[2]; k++) {
        ok = gpu_mask_read_words(m, k, k + 1, words, err);
        for (uint32_t j = 0; ok && j < m->dim[1]; j++) {
            for (uint32_t i = 0; i < m->dim[0]; i++)
                *bytes++ = words[j * m->row + i / 32] >> i % 32 & 1;
        }
    }
    free(words);
    return ok;
}

// ---- Threshold ----

struct threshold_push {
    uint32_t lo, hi;
};

static const struct kernel threshold_i16 =
    KERNEL(threshold, WORDS, 0, GRID_PUSH_BYTES + sizeof(struct threshold_push), 2, T, O);
static const struct kernel threshold_f32 =
    KERNEL(threshold, WORDS, 1, GRID_PUSH_BYTES + sizeof(struct threshold_push), 2, T, O);

static uint32_t float_bits(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

// The bounds as the shader takes them; false: nothing lies between them.
static bool bounds(enum gpu_voxel type, double lo, double hi, struct threshold_push *push)
{
    if (isnan(lo) || isnan(hi) || lo > hi)
        return false;
    if (type == GPU_VOXEL_F32) {
        float low = (float)lo, high = (float)hi;
        if ((double)low < lo) // the nearest floats inside
            low = nextafterf(low, INFINITY);
        if ((double)high > hi)
            high = nextafterf(high, -INFINITY);
        push->lo = float_bits(low);
        push->hi = float_bits(high);
        return low <= high;
    }
    double low = fmax(ceil(lo), INT16_MIN), high = fmin(floor(hi), INT16_MAX);
    if (low > high)
        return false;
    push->lo = (uint32_t)(int32_t)low;
    push->hi = (uint32_t)((int32_t)high - (int32_t)low);
    return true;
}

struct gpu_mask *gpu_mask_threshold(const struct gpu_volume *v, double lo, double hi,
                                    struct err *err)
{
    struct threshold_push push = {0};
    if (!bounds(v->type, lo, hi, &push))
        return gpu_mask_create(v->gpu, v->dim, v->spacing, err);
    struct gpu_mask *m = gpu_mask_create(v->gpu, v->dim, v->spacing, err);
    if (!m)
        return NULL;
    const struct grid_call call = {.per = {32, 1, 1},
                                   .bind = {grid_volume(v), grid_mask(m)},
                                   .push = &push,
                                   .push_size = sizeof push,
                                   .trips = 8};
    return finished(m, grid_run(v->gpu, v->type == GPU_VOXEL_F32 ? &threshold_f32 : &threshold_i16,
                                &call, err));
}

// ---- Whole masks ----

enum { MASK_COPY = MASK_XOR + 1 };

static const struct kernel combine_kernels[] = {
    [MASK_AND] = KERNEL(mask_op, LIST, 0, 4, 2, X, T),
    [MASK_OR] = KERNEL(mask_op, LIST, 1, 4, 2, X, T),
    [MASK_ANDNOT] = KERNEL(mask_op, LIST, 2, 4, 2, X, T),
    [MASK_XOR] = KERNEL(mask_op, LIST, 3, 4, 2, X, T),
    [MASK_COPY] = KERNEL(mask_op, LIST, 4, 4, 2, X, T),
};

// a = a op b, four words an invocation.
static bool combine(struct gpu_mask *a, int op, const struct gpu_mask *b, struct err *err)
{
    if (a->gpu != b->gpu || !same_dim(a->dim, b->dim))
        return err_set(err, ERR_INPUT, "masks of different sizes");
    const struct slab_view views[2] = {mask_view(a, KERNEL_INOUT), mask_view(b, KERNEL_TEXELS)};
    uint32_t step = slab_slices(a->gpu, views, 2, a->slice, err);
    bool ok = step > 0;
    for (uint32_t k = 0; ok && k < a->dim[2]; k += smaller(step, a->dim[2] - k)) {
        uint32_t end = k + smaller(step, a->dim[2] - k);
        struct gpu_range ranges[2] = {slab_range(&views[0], k, end, NULL),
                                      slab_range(&views[1], k, end, NULL)};
        uint32_t count = (uint32_t)(ranges[0].size / 16);
        ok = kernel_run_flat(a->gpu, &combine_kernels[op], ranges, &count, count, 0, count * 4ull,
                             err);
    }
    return ok;
}

bool gpu_mask_combine(struct gpu_mask *a, enum mask_op op, const struct gpu_mask *b,
                      struct err *err)
{
    if ((unsigned)op > MASK_XOR)
        return err_set(err, ERR_INPUT, "mask operation %d", (int)op);
    return combine(a, (int)op, b, err);
}

struct gpu_mask *gpu_mask_copy(const struct gpu_mask *m, struct err *err)
{
    struct gpu_mask *copy = mask_alloc(m->gpu, m->dim, m->spacing, err);
    return copy ? finished(copy, combine(copy, MASK_COPY, m, err)) : NULL;
}

struct mask_box_push {
    uint32_t lo[3], hi[3], invert;
};

static const struct kernel mask_box =
    KERNEL(mask_box, WORDS, 0, GRID_PUSH_BYTES + sizeof(struct mask_box_push), 1, X);

static bool box(struct gpu_mask *m, const uint32_t lo[3], const uint32_t hi[3], bool invert,
                struct err *err)
{
    const struct mask_box_push push = {
        .invert = invert ? UINT32_MAX : 0,
        .lo = {lo[0], lo[1], lo[2]},
        .hi = {smaller(hi[0], m->dim[0]), smaller(hi[1], m->dim[1]), smaller(hi[2], m->dim[2])}};
    const struct grid_call call = {
        .per = {32, 1, 1}, .bind = {grid_mask(m)}, .push = &push, .push_size = sizeof push};
    return grid_run(m->gpu, &mask_box, &call, err);
}

bool gpu_mask_invert(struct gpu_mask *m, struct err *err)
{
    const uint32_t zero[3] = {0};
    return box(m, zero, m->dim, true, err);
}

bool gpu_mask_crop(struct gpu_mask *m, const uint32_t lo[3], const uint32_t hi[3], struct err *err)
{
    return box(m, lo, hi, false, err);
}

// ---- Counting ----

struct mask_rows_push {
    uint32_t rows, slices, row, slice, first;
};
_Static_assert(sizeof(struct mask_rows_push) == 20, "as in mask_count.comp");

static const struct kernel mask_count = KERNEL(mask_count, LIST, 0, 20, 2, T, X);
// MASK_XOR, which no analysis asks for, is made when one does.
GROUP(masks, &threshold_i16, &threshold_f32, &combine_kernels[MASK_AND], &combine_kernels[MASK_OR],
      &combine_kernels[MASK_ANDNOT], &combine_kernels[MASK_COPY], &mask_box, &mask_count);

bool gpu_mask_count_slices(const struct gpu_mask *m, uint32_t *counts, struct err *err)
{
    uint64_t bytes = m->dim[2] * 4ull;
    struct gpu_buf *count = gpu_buf_create(m->gpu, "counts", bytes, err);
    const struct slab_view view = mask_view(m, KERNEL_TEXELS);
    uint32_t step = count ? slab_slices(m->gpu, &view, 1, m->slice, err) : 0;
    bool ok = step && gpu_buf_fill(count, 0, bytes, 0, err);
    for (uint32_t k = 0; ok && k < m->dim[2]; k += smaller(step, m->dim[2] - k)) {
        uint32_t n = smaller(step, m->dim[2] - k);
        struct mask_rows_push push = {m->dim[1], n, m->row / 4, m->slice / 4, k};
        struct gpu_range ranges[2] = {slab_range(&view, k, k + n, NULL), whole_range(count)};
        const uint32_t size[3] = {m->dim[1], n, 1};
        ok = kernel_run(m->gpu, &mask_count, ranges, &push, size, push.row, n * (uint64_t)m->slice,
                        err);
    }
    ok = ok && gpu_buf_read(count, 0, counts, bytes, err);
    gpu_buf_destroy(count);
    return ok;
}

bool gpu_mask_count(const struct gpu_mask *m, uint64_t *count, struct err *err)
{
    uint32_t *counts = malloc(m->dim[2] * sizeof *counts);
    *count = 0;
    if (!counts) {
        err_set(err, ERR_NOMEM, "counts");
        return false;
    }
    bool ok = gpu_mask_count_slices(m, counts, err);
    for (uint32_t k = 0; ok && k < m->dim[2]; k++)
        *count += counts[k];
    free(counts);
    return ok;
}

// ---- Dilation, erosion ----

struct mask_dilate_push {
    uint32_t widest, invert;
};

static const struct kernel mask_dilate =
    KERNEL(mask_dilate, WORDS, 0, GRID_PUSH_BYTES + sizeof(struct mask_dilate_push), 3, T, I, O);
GROUP(ball, &mask_dilate);

// A ball as rows: those that reach h columns to each side are row[start[h]] up to row[start[h +
// 1]].
struct ball {
    uint32_t start[34];
    uint32_t row[BALL_ROWS_MAX]; // offset in rows, int16, below offset in slices, int16
};

// The columns that row (dj, dk) of the ball reaches, -1: none. The tolerance keeps voxels in that
// lie at the radius but for rounding.
static int reach(const double spacing[3], int dj, int dk, double radius_mm)
{
    double left =
        radius_mm * radius_mm * (1 + 1e-9) - pow(dj * spacing[1], 2) - pow(dk * spacing[2], 2);
    return left < 0 ? -1 : (int)(sqrt(left) / spacing[0]);
}

static bool ball_init(struct ball *b, const double spacing[3], double radius_mm, bool flat,
                      uint32_t *widest, uint32_t *deepest, struct err *err)
{
    double lines = flat ? 0 : floor(radius_mm * (1 + 1e-9) / spacing[2]);
    double rows = floor(radius_mm * (1 + 1e-9) / spacing[1]);
    if (!(radius_mm >= 0) || rows > BALL_REACH || lines > BALL_REACH ||
        reach(spacing, 0, 0, radius_mm) > BALL_WIDEST ||
        (2 * rows + 1) * (2 * lines + 1) > BALL_ROWS_MAX)
        return err_set(err, ERR_INPUT, "a ball of %g mm in voxels of %g x %g x %g mm", radius_mm,
                       spacing[0], spacing[1], spacing[2]);
    uint32_t n = 0;
    for (int h = 0; h <= BALL_WIDEST + 1; h++) {
        b->start[h] = n;
        for (int dk = -(int)lines; dk <= (int)lines; dk++) {
            for (int dj = -(int)rows; dj <= (int)rows; dj++) {
                if (reach(spacing, dj, dk, radius_mm) == h)
                    b->row[n++] = ((uint32_t)dj & 0xffff) | (uint32_t)dk << 16;
            }
        }
    }
    b->start[BALL_WIDEST + 2] = n;
    *widest = (uint32_t)reach(spacing, 0, 0, radius_mm);
    *deepest = (uint32_t)lines;
    return true;
}

static struct gpu_mask *ball_op(const struct gpu_mask *m, double radius_mm, bool flat, bool erode,
                                struct err *err)
{
    struct mask_dilate_push push = {.invert = erode ? UINT32_MAX : 0};
    uint32_t deepest = 0;
    struct ball *ball = calloc(1, sizeof *ball);
    if (!ball) {
        err_set(err, ERR_NOMEM, "ball");
        return NULL;
    }
    struct gpu_buf *rows = NULL;
    struct gpu_mask *out = NULL;
    if (ball_init(ball, m->spacing, radius_mm, flat, &push.widest, &deepest, err)) {
        uint64_t bytes = sizeof ball->start + ball->start[33] * sizeof *ball->row;
        rows = gpu_buf_create(m->gpu, "ball", bytes, err);
        if (rows && gpu_buf_write(rows, 0, ball, bytes, err))
            out = gpu_mask_create(m->gpu, m->dim, m->spacing, err);
    }
    bool ok = false;
    if (out) {
        const struct grid_call call = {.per = {128, 1, 1},
                                       .halo = deepest,
                                       .bind = {grid_mask(m), grid_buf(rows), grid_mask(out)},
                                       .push = &push,
                                       .push_size = sizeof push,
                                       .trips = ball->start[33] + push.widest + 1,
                                       .work = 1 + ball->start[33] / 2};
        ok = grid_run(m->gpu, &mask_dilate, &call, err);
    }
    gpu_buf_destroy(rows);
    free(ball);
    return finished(out, ok);
}

struct gpu_mask *gpu_mask_dilate(const struct gpu_mask *m, double radius_mm, struct err *err)
{
    return ball_op(m, radius_mm, false, false, err);
}

struct gpu_mask *gpu_mask_erode(const struct gpu_mask *m, double radius_mm, struct err *err)
{
    return ball_op(m, radius_mm, false, true, err);
}

struct gpu_mask *gpu_mask_dilate_2d(const struct gpu_mask *m, double radius_mm, struct err *err)
{
    return ball_op(m, radius_mm, true, false, err);
}

struct gpu_mask *gpu_mask_erode_2d(const struct gpu_mask *m, double radius_mm, struct err *err)
{
    return ball_op(m, radius_mm, true, true, err);
}

// ---- Distance ----

struct distance_x_push {
    uint32_t reach;
    float spacing2, most;
};

struct distance_yz_push {
    uint32_t quads, lines, planes, line, plane, first, extent, reach;
    float spacing2;
};
_Static_assert(sizeof(struct distance_yz_push) == 36, "as in distance_yz.comp");

static const struct kernel kernel_distance_x =
    KERNEL(distance_x, WORDS, 0, GRID_PUSH_BYTES + sizeof(struct distance_x_push), 2, T, O);
static const struct kernel kernel_distance_yz = KERNEL(distance_yz, QUADS, 0, 36, 2, T, O);
GROUP(distance, &kernel_distance_x, &kernel_distance_yz);

static bool distance_x(const struct gpu_mask *m, struct gpu_volume *out, double max_mm,
                       struct err *err)
{
    const struct distance_x_push push = {.reach =
                                             (uint32_t)fmin(max_mm / m->spacing[0] / 32 + 1, 512),
                                         .spacing2 = (float)(m->spacing[0] * m->spacing[0]),
                                         .most = (float)(max_mm * max_mm)};
    const struct grid_call call = {.per = {32, 1, 1},
                                   .bind = {grid_mask(m), grid_volume(out)},
                                   .push = &push,
                                   .push_size = sizeof push,
                                   .trips = 2ull * push.reach + 40};
    return grid_run(m->gpu, &kernel_distance_x, &call, err);
}

static bool distance_yz(const struct gpu_volume *v, struct gpu_volume *out, double max_mm,
                        bool along_z, struct err *err)
{
    uint32_t axis = along_z ? 2 : 1;
    struct slab_view views[2] = {volume_view(v, KERNEL_TEXELS), volume_view(out, KERNEL_OUT)};
    struct distance_yz_push push = {.quads = divide_up(v->dim[0], 4),
                                    .line = (along_z ? v->slice : v->row) / 4,
                                    .plane = (along_z ? v->row : v->slice) / 4,
                                    .spacing2 = (float)(v->spacing[axis] * v->spacing[axis])};
    push.reach = (uint32_t)fmin(ceil(max_mm / v->spacing[axis]), v->dim[axis]);
    if (along_z)
        views[0].before = views[0].after = push.reach;
    uint64_t work = (uint64_t)v->slice * (1 + push.reach / 2);
    uint32_t step = slab_slices(v->gpu, views, 2, work, err);
    bool ok = step > 0;
    for (uint32_t k = 0; ok && k < v->dim[2]; k += smaller(step, v->dim[2] - k)) {
        uint32_t n = smaller(step, v->dim[2] - k), first;
        struct gpu_range ranges[2] = {slab_range(&views[0], k, k + n, &first),
                                      slab_range(&views[1], k, k + n, NULL)};
        push.lines = along_z ? n : v->dim[1];
        push.planes = along_z ? v->dim[1] : n;
        push.first = along_z ? k - first : 0;
        push.extent = along_z ? (uint32_t)(ranges[0].size / views[0].slice_bytes) : v->dim[1];
        const uint32_t size[3] = {push.quads, push.lines, push.planes};
        ok =
            kernel_run(v->gpu, &kernel_distance_yz, ranges, &push, size, push.reach, n * work, err);
    }
    return ok;
}

struct gpu_volume *gpu_mask_distance2(const struct gpu_mask *m, double max_mm, struct err *err)
{
    if (!isfinite(max_mm) || max_mm <= 0 || max_mm > 1e6) {
        err_set(err, ERR_INPUT, "distances up to %g mm", max_mm);
        return NULL;
    }
    struct gpu_volume *a = gpu_volume_create(m->gpu, m->dim, m->spacing, GPU_VOXEL_F32, err);
    struct gpu_volume *b =
        a ? gpu_volume_create(m->gpu, m->dim, m->spacing, GPU_VOXEL_F32, err) : NULL;
    bool ok = b && distance_x(m, a, max_mm, err) && distance_yz(a, b, max_mm, false, err) &&
              distance_yz(b, a, max_mm, true, err);
    gpu_volume_destroy(b);
    if (ok)
        return a;
    gpu_volume_destroy(a);
    return NULL;
}

// ---- Coarse and fine ----

struct mask_expand_push {
    uint32_t columns, rows, slices, coarse_row, coarse_slice, fine_row, fine_slice;
    uint32_t factor[3], first, coarse_first;
};
_Static_assert(sizeof(struct mask_expand_push) == 48, "as in mask_expand.comp");

struct mask_shrink_push {
    uint32_t columns, rows, slices, fine_row, fine_slice, coarse_row, coarse_slice;
    uint32_t factor[3], fine_dim[3], first, fine_first, atleast;
};
_Static_assert(sizeof(struct mask_shrink_push) == 64, "as in mask_shrink.comp");

static const struct kernel mask_expand = KERNEL(mask_expand, WORDS, 0, 48, 2, T, O);
static const struct kernel mask_shrink = KERNEL(mask_shrink, WORDS, 0, 64, 2, T, O);
GROUP(coarse, &mask_expand, &mask_shrink);

static bool check_factor(const uint32_t factor[3], struct err *err)
{
    for (int a = 0; a < 3; a++) {
        if (!factor[a] || factor[a] > SHRINK_MAX)
            return err_set(err, ERR_INPUT, "a factor of %u", factor[a]);
    }
    return true;
}

struct gpu_mask *gpu_mask_shrink(const struct gpu_mask *m, const uint32_t factor[3],
                                 uint32_t atleast, struct err *err)
{
    uint32_t dim[3];
    double spacing[3];
    if (!check_factor(factor, err))
        return NULL;
    for (int a = 0; a < 3; a++) {
        dim[a] = divide_up(m->dim[a], factor[a]);
        spacing[a] = m->spacing[a] * factor[a];
    }
    struct gpu_mask *out = gpu_mask_create(m->gpu, dim, spacing, err);
    if (!out)
        return NULL;
    const struct slab_view fine = mask_view(m, KERNEL_TEXELS);
    struct slab_view views[2] = {fine, mask_view(out, KERNEL_OUT)};
    views[0].slice_bytes *= factor[2];
    views[0].slices = dim[2];
    uint64_t work = (uint64_t)m->slice * factor[2] * 8;
    uint32_t step = slab_slices(m->gpu, views, 2, work, err);
    struct mask_shrink_push push = {.columns = dim[0],
                                    .rows = dim[1],
                                    .fine_row = m->row,
                                    .fine_slice = m->slice,
                                    .coarse_row = out->row,
                                    .coarse_slice = out->slice,
                                    .factor = {factor[0], factor[1], factor[2]},
                                    .fine_dim = {m->dim[0], m->dim[1], m->dim[2]},
                                    .atleast = atleast};
    bool ok = step > 0;
    for (uint32_t c = 0; ok && c < dim[2]; c += smaller(step, dim[2] - c)) {
        uint32_t end = c + smaller(step, dim[2] - c);
        push.slices = end - c;
        push.first = c;
        struct gpu_range ranges[2] = {
            slab_range(&fine, c * factor[2], smaller(end * factor[2], m->dim[2]), &push.fine_first),
            slab_range(&views[1], c, end, NULL)};
        const uint32_t size[3] = {out->row, dim[1], push.slices};
        uint64_t trips = 32ull * (1 + factor[2] * (1 + factor[1] * 2ull));
        ok = kernel_run(m->gpu, &mask_shrink, ranges, &push, size, trips, push.slices * work, err);
    }
    return finished(out, ok);
}

struct gpu_mask *gpu_mask_expand(const struct gpu_mask *m, const uint32_t factor[3],
                                 const uint32_t dim[3], struct err *err)
{
    double spacing[3];
    if (!check_factor(factor, err))
        return NULL;
    for (int a = 0; a < 3; a++) {
        spacing[a] = m->spacing[a] / factor[a];
        if (divide_up(dim[a], factor[a]) != m->dim[a]) {
            err_set(err, ERR_INPUT, "%u voxels are not %u blocks of %u", dim[a], m->dim[a],
                    factor[a]);
            return NULL;
        }
    }
    struct gpu_mask *out = gpu_mask_create(m->gpu, dim, spacing, err);
    if (!out)
        return NULL;
    const struct slab_view coarse = mask_view(m, KERNEL_TEXELS);
    const struct slab_view views[1] = {mask_view(out, KERNEL_OUT)};
    uint32_t step = slab_slices(m->gpu, views, 1, out->slice * 8ull, err);
    // A fine slice needs one coarse slice: no more of those than of fine ones.
    uint64_t fit = gpu_bind_limit(m->gpu, KERNEL_TEXELS) / coarse.slice_bytes;
    if (step > fit)
        step = (uint32_t)fit;
    struct mask_expand_push push = {.columns = dim[0],
                                    .rows = dim[1],
                                    .coarse_row = m->row,
                                    .coarse_slice = m->slice,
                                    .fine_row = out->row,
                                    .fine_slice = out->slice,
                                    .factor = {factor[0], factor[1], factor[2]}};
    bool ok = step > 0;
    for (uint32_t k = 0; ok && k < dim[2]; k += push.slices) {
        push.slices = smaller(step, dim[2] - k);
        push.first = k;
        struct gpu_range ranges[2] = {slab_range(&coarse, k / factor[2],
                                                 (k + push.slices - 1) / factor[2] + 1,
                                                 &push.coarse_first),
                                      slab_range(&views[0], k, k + push.slices, NULL)};
        const uint32_t size[3] = {out->row, dim[1], push.slices};
        ok = kernel_run(m->gpu, &mask_expand, ranges, &push, size, 32,
                        push.slices * (out->slice * 8ull), err);
    }
    return finished(out, ok);
}
