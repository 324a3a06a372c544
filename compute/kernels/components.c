// Connected components of bit masks: runs of set bits are found row by row, joined by union-find,
// and numbered in the order of their first runs.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "compute/kernels/kernels_internal.h"

#define MERGE_TRIPS  50000u // iterations of one invocation before it asks for another pass
#define MERGE_PASSES 1000u  // each makes progress; this many mean that something is broken
#define SCAN_BLOCK   256u
#define RUN_WORK     16u // voxels a run stands for, about

struct components_device {
    struct gpu_buf *start; // index of each row's first run, and the number of all
    struct gpu_buf *run, *label;
};

struct mask_rows_push {
    uint32_t rows, slices, row, slice, first, columns;
};
_Static_assert(sizeof(struct mask_rows_push) == 24, "as in runs_write.comp");

struct merge_push {
    uint32_t begin, end, rows, trips;
};
_Static_assert(sizeof(struct merge_push) == 16, "as in runs_merge.comp");

struct flatten_push {
    uint32_t begin, end, trips;
};
_Static_assert(sizeof(struct flatten_push) == 12, "as in runs_flatten.comp");

struct measure_push {
    uint32_t begin, end, rows, value_row, value_slice, first, labels_from, labels;
};
_Static_assert(sizeof(struct measure_push) == 32, "as in components_measure.comp");

struct overlap_push {
    uint32_t begin, end, columns, rows, row, slice, first;
};
_Static_assert(sizeof(struct overlap_push) == 28, "as in components_overlap.comp");

struct select_push {
    uint32_t begin, end, rows, row, slice, first;
};
_Static_assert(sizeof(struct select_push) == 24, "as in components_select.comp");

// The sums of one component on the device; pairs are low word, high word.
struct stats_words {
    uint32_t voxels;
    uint32_t min; // 32768 - minimum
    uint32_t max; // 32769 + maximum
    uint32_t sum[2];
    uint32_t box_lo[3]; // 65536 - first index
    uint32_t box_hi[3];
    uint32_t index_sum[3][2];
    uint32_t unused[3];
};
#define STATS_BYTES 80u // of one component
_Static_assert(sizeof(struct stats_words) == STATS_BYTES, "as in components_measure.comp");

static const struct kernel kernel_scan = KERNEL(scan, LIST, 0, 4, 2, X, O);
static const struct kernel kernel_scan_add = KERNEL(scan_add, LIST, 0, 4, 2, X, I);
static const struct kernel runs_count = KERNEL(runs_count, LIST, 0, 20, 2, T, O);
static const struct kernel runs_write = KERNEL(runs_write, LIST, 0, 24, 4, T, I, O, O);
static const struct kernel runs_merge[] = {
    [CONNECT_4] = KERNEL(runs_merge, LIST, 0, 16, 4, I, I, X, X),
    [CONNECT_8] = KERNEL(runs_merge, LIST, 1, 16, 4, I, I, X, X),
    [CONNECT_6] = KERNEL(runs_merge, LIST, 2, 16, 4, I, I, X, X),
    [CONNECT_18] = KERNEL(runs_merge, LIST, 3, 16, 4, I, I, X, X),
    [CONNECT_26] = KERNEL(runs_merge, LIST, 4, 16, 4, I, I, X, X),
};
static const struct kernel runs_flatten = KERNEL(runs_flatten, LIST, 0, 12, 3, X, O, X);
static const struct kernel runs_label = KERNEL(runs_label, LIST, 0, 8, 2, X, I);
static const struct kernel measure_shape = KERNEL(components_measure, LIST, 0, 32, 4, I, I, T, X);
static const struct kernel measure_values = KERNEL(components_measure, LIST, 1, 32, 4, I, I, T, X);
static const struct kernel overlap_mask = KERNEL(components_overlap, LIST, 0, 28, 4, I, I, T, X);
static const struct kernel overlap_edge = KERNEL(components_overlap, LIST, 1, 28, 4, I, I, T, X);
static const struct kernel kernel_select = KERNEL(components_select, LIST, 0, 24, 4, I, I, I, X);
// 18-connectivity, which no analysis asks for, is made when one does.
GROUP(components, &kernel_scan, &kernel_scan_add, &runs_count, &runs_write, &runs_merge[CONNECT_4],
      &runs_merge[CONNECT_8], &runs_merge[CONNECT_6], &runs_merge[CONNECT_26], &runs_flatten,
      &runs_label, &measure_shape, &measure_values, &overlap_mask, &overlap_edge, &kernel_select);

// Replaces count words by their exclusive prefix sums.
static bool scan(struct gpu *g, struct gpu_buf *data, uint32_t count, struct err *err)
{
    uint32_t blocks = divide_up(count, SCAN_BLOCK);
    struct gpu_buf *sums = gpu_buf_create(g, "sums", blocks * 4ull, err);
    struct gpu_range ranges[2] = {{data, 0, count * 4ull}, {sums, 0, blocks * 4ull}};
    bool ok =
        sums && kernel_run_flat(g, &kernel_scan, ranges, &count, blocks, SCAN_BLOCK, count, err);
    if (ok && blocks > 1)
        ok = scan(g, sums, blocks, err) &&
             kernel_run_flat(g, &kernel_scan_add, ranges, &count, count, 0, count, err);
    gpu_buf_destroy(sums);
    return ok;
}

// Counts or writes the runs of all rows.
static bool runs_pass(const struct gpu_mask *m, const struct kernel *kernel,
                      struct gpu_range ranges[4], struct err *err)
{
    const struct slab_view view = mask_view(m, KERNEL_TEXELS);
    uint32_t step = slab_slices(m->gpu, &view, 1, m->slice, err);
    bool ok = step > 0;
    for (uint32_t k = 0; ok && k < m->dim[2]; k += smaller(step, m->dim[2] - k)) {
        uint32_t n = smaller(step, m->dim[2] - k);
        struct mask_rows_push push = {m->dim[1], n, m->row / 4, m->slice / 4, k, m->dim[0]};
        ranges[0] = slab_range(&view, k, k + n, NULL);
        const uint32_t size[3] = {m->dim[1], n, 1};
        ok = kernel_run(m->gpu, kernel, ranges, &push, size, push.row + m->dim[0] / 2 + 1,
                        n * (uint64_t)m->slice, err);
    }
    return ok;
}

// Runs begin <= i < end of one dispatch, from *at on: so many that it stays small.
static bool next_runs(const struct gpu *g, uint32_t *at, uint32_t last, uint32_t *begin,
                      uint32_t *end)
{
    uint32_t step = (uint32_t)(gpu_work_limit(g) / RUN_WORK);
    *begin = *at;
    *end = *at + smaller(step, last - *at);
    *at = *end;
    return *begin < *end;
}

static bool find_runs(struct components *c, const struct gpu_mask *m, struct err *err)
{
    struct gpu *g = c->gpu;
    struct components_device *d = c->device;
    uint64_t rows = (uint64_t)c->dim[1] * c->dim[2];
    d->start = gpu_buf_create(g, "row starts", (rows + 1) * 4, err);
    if (!d->start || !gpu_buf_fill(d->start, rows * 4, 4, 0, err))
        return false;
    struct gpu_range ranges[4] = {{0}, {d->start, 0, (rows + 1) * 4}};
    if (!runs_pass(m, &runs_count, ranges, err) || !scan(g, d->start, (uint32_t)rows + 1, err) ||
        !gpu_buf_read(d->start, rows * 4, &c->run_count, 4, err))
        return false;
    if (!c->run_count)
        return true;
    if (c->run_count > gpu_bind_limit(g, KERNEL_OUT) / 8)
        return err_set(err, ERR_UNSUPPORTED, "a mask of %u runs", c->run_count);
    d->run = gpu_buf_create(g, "runs", c->run_count * 8ull, err);
    d->label = d->run ? gpu_buf_create(g, "labels", c->run_count * 4ull, err) : NULL;
    if (!d->label)
        return false;
    ranges[2] = (struct gpu_range){d->run, 0, c->run_count * 8ull};
    ranges[3] = (struct gpu_range){d->label, 0, c->run_count * 4ull};
    return runs_pass(m, &runs_write, ranges, err);
}

// One pass over all runs: joins neighbours, then points each at its root and marks the roots.
static bool merge_pass(const struct components *c, enum connectivity connectivity,
                       struct gpu_buf *rank, struct gpu_buf *status, struct err *err)
{
    const struct components_device *d = c->device;
    const struct gpu_range run = {d->run, 0, c->run_count * 8ull};
    const struct gpu_range label = {d->label, 0, c->run_count * 4ull};
    const struct gpu_range merge[4] = {whole_range(d->start), run, label, whole_range(status)};
    const struct gpu_range flatten[3] = {label, whole_range(rank), whole_range(status)};
    struct merge_push m = {.rows = c->dim[1], .trips = MERGE_TRIPS};
    struct flatten_push f = {.trips = MERGE_TRIPS};
    bool ok =
        gpu_buf_fill(status, 0, 4, 0, err) && gpu_buf_fill(rank, c->run_count * 4ull, 4, 0, err);
    for (uint32_t at = 0; ok && next_runs(c->gpu, &at, c->run_count, &m.begin, &m.end);)
        ok = kernel_run_flat(c->gpu, &runs_merge[connectivity], merge, &m, m.end - m.begin,
                             MERGE_TRIPS, (m.end - m.begin) * RUN_WORK, err);
    for (uint32_t at = 0; ok && next_runs(c->gpu, &at, c->run_count, &f.begin, &f.end);)
        ok = kernel_run_flat(c->gpu, &runs_flatten, flatten, &f, f.end - f.begin, MERGE_TRIPS,
                             (f.end - f.begin) * RUN_WORK, err);
    return ok && scan(c->gpu, rank, c->run_count + 1, err);
}

static bool label_runs(const struct components *c, struct gpu_buf *rank, struct err *err)
{
    const struct gpu_range ranges[2] = {{c->device->label, 0, c->run_count * 4ull},
                                        whole_range(rank)};
    uint32_t push[2];
    bool ok = true;
    for (uint32_t at = 0; ok && next_runs(c->gpu, &at, c->run_count, &push[0], &push[1]);)
        ok = kernel_run_flat(c->gpu, &runs_label, ranges, push, push[1] - push[0], 0,
                             push[1] - push[0], err);
    return ok;
}

static bool join_runs(struct components *c, enum connectivity connectivity, struct err *err)
{
    struct gpu_buf *rank = gpu_buf_create(c->gpu, "ranks", (c->run_count + 1ull) * 4, err);
    struct gpu_buf *status = rank ? gpu_buf_create(c->gpu, "status", 4, err) : NULL;
    bool ok = status != NULL;
    uint32_t again = 1;
    for (uint32_t pass = 0; ok && again; pass++) {
        ok = pass < MERGE_PASSES ? merge_pass(c, connectivity, rank, status, err) &&
                                       gpu_buf_read(status, 0, &again, 4, err)
                                 : err_set(err, ERR_INTERNAL, "components do not settle");
    }
    ok = ok && gpu_buf_read(rank, c->run_count * 4ull, &c->count, 4, err) &&
         label_runs(c, rank, err);
    gpu_buf_destroy(status);
    gpu_buf_destroy(rank);
    return ok;
}

struct components *components_find(const struct gpu_mask *m, enum connectivity connectivity,
                                   struct err *err)
{
    if ((unsigned)connectivity > CONNECT_26) {
        err_set(err, ERR_INPUT, "connectivity %d", (int)connectivity);
        return NULL;
    }
    struct components *c = calloc(1, sizeof *c);
    if (c)
        c->device = calloc(1, sizeof *c->device);
    if (!c || !c->device) {
        err_set(err, ERR_NOMEM, "components");
        free(c);
        return NULL;
    }
    c->gpu = m->gpu;
    memcpy(c->dim, m->dim, sizeof c->dim);
    if (!find_runs(c, m, err) || (c->run_count && !join_runs(c, connectivity, err))) {
        err_wrap(err, "components");
        components_destroy(c);
        return NULL;
    }
    return c;
}

void components_destroy(struct components *c)
{
    if (!c)
        return;
    gpu_buf_destroy(c->device->start);
    gpu_buf_destroy(c->device->run);
    gpu_buf_destroy(c->device->label);
    free(c->device);
    free(c);
}

// Which runs lie in slices k0 <= k < k1. Waits where that is not all of them.
static bool runs_of(const struct components *c, uint32_t k0, uint32_t k1, uint32_t *begin,
                    uint32_t *end, struct err *err)
{
    *begin = 0;
    *end = c->run_count;
    return (k0 == 0 || gpu_buf_read(c->device->start, 4ull * k0 * c->dim[1], begin, 4, err)) &&
           (k1 == c->dim[2] || gpu_buf_read(c->device->start, 4ull * k1 * c->dim[1], end, 4, err));
}

// The part of a dispatch over runs that all of them share, and something for a third binding that
// is not read.
static void run_ranges(const struct components *c, struct gpu_range ranges[3])
{
    ranges[0] = (struct gpu_range){c->device->run, 0, c->run_count * 8ull};
    ranges[1] = (struct gpu_range){c->device->label, 0, c->run_count * 4ull};
    ranges[2] = (struct gpu_range){c->device->start, 0, 16};
}

static void stats_from_words(const struct stats_words *w, bool values, struct component_stats *s)
{
    s->voxels = w->voxels;
    s->min = values ? 32768 - (int32_t)w->min : 0;
    s->max = values ? (int32_t)w->max - 32769 : 0;
    s->sum = (int64_t)(w->sum[0] | (uint64_t)w->sum[1] << 32);
    for (int a = 0; a < 3; a++) {
        s->box_lo[a] = 65536 - w->box_lo[a];
        s->box_hi[a] = w->box_hi[a];
        s->index_sum[a] = w->index_sum[a][0] | (uint64_t)w->index_sum[a][1] << 32;
    }
}

// Sums of components labels_from + 1 and following over all runs, slab by slab of the values.
static bool measure(const struct components *c, const struct gpu_volume *values,
                    struct gpu_range stats, uint32_t labels_from, struct err *err)
{
    const struct slab_view none = {0};
    const struct slab_view view = values ? volume_view(values, KERNEL_TEXELS) : none;
    uint32_t step = values ? slab_slices(c->gpu, &view, 1, values->slice / 4, err) : c->dim[2];
    bool ok = step > 0;
    for (uint32_t k = 0; ok && k < c->dim[2]; k += smaller(step, c->dim[2] - k)) {
        uint32_t end = k + smaller(step, c->dim[2] - k), at, last;
        struct measure_push push = {.rows = c->dim[1],
                                    .value_row = values ? values->row / 8 : 0,
                                    .value_slice = values ? values->slice / 8 : 0,
                                    .first = k,
                                    .labels_from = labels_from,
                                    .labels = (uint32_t)(stats.size / STATS_BYTES)};
        struct gpu_range ranges[4];
        run_ranges(c, ranges);
        if (values)
            ranges[2] = slab_range(&view, k, end, NULL);
        ranges[3] = stats;
        ok = runs_of(c, k, end, &at, &last, err);
        while (ok && next_runs(c->gpu, &at, last, &push.begin, &push.end))
            ok = kernel_run_flat(c->gpu, values ? &measure_values : &measure_shape, ranges, &push,
                                 push.end - push.begin, values ? c->dim[0] / 8 * 9 + 9 : 0,
                                 (push.end - push.begin) * RUN_WORK, err);
    }
    return ok;
}

// Measures all components, as many at a time as can be bound.
static bool measure_all(const struct components *c, const struct gpu_volume *values,
                        struct gpu_buf *sums, uint32_t window, struct stats_words *words,
                        struct component_stats *stats, struct err *err)
{
    bool ok = true;
    for (uint32_t from = 0; ok && from < c->count; from += smaller(window, c->count - from)) {
        uint32_t n = smaller(window, c->count - from);
        const struct gpu_range range = {sums, 0, n * (uint64_t)STATS_BYTES};
        ok = gpu_buf_fill(sums, 0, range.size, 0, err) && measure(c, values, range, from, err) &&
             gpu_buf_read(sums, 0, words, range.size, err);
        for (uint32_t i = 0; ok && i < n; i++)
            stats_from_words(&words[i], values, &stats[from + i]);
    }
    return ok;
}

bool components_measure(const struct components *c, const struct gpu_volume *values,
                        struct component_stats *stats, struct err *err)
{
    if (values &&
        (values->gpu != c->gpu || values->type != GPU_VOXEL_I16 || !same_dim(values->dim, c->dim)))
        return err_set(err, ERR_INPUT, "values of another size or type than the components");
    if (!c->count)
        return true;
    uint64_t fit = gpu_bind_limit(c->gpu, KERNEL_INOUT) / STATS_BYTES;
    uint32_t window = fit < c->count ? (uint32_t)fit : c->count;
    uint64_t bytes = window * (uint64_t)STATS_BYTES;
    struct stats_words *words = malloc(bytes);
    struct gpu_buf *sums = words ? gpu_buf_create(c->gpu, "measurements", bytes, err) : NULL;
    if (!words)
        err_set(err, ERR_NOMEM, "measurements of %u components", window);
    bool ok = sums && measure_all(c, values, sums, window, words, stats, err);
    gpu_buf_destroy(sums);
    free(words);
    return ok;
}

// Counts per component: voxels that m has too, or, m NULL, runs at the edge of their slice.
static bool overlap(const struct components *c, const struct gpu_mask *m, uint32_t *counts,
                    struct err *err)
{
    if (!c->count)
        return true;
    uint64_t bytes = c->count * 4ull;
    struct gpu_buf *sums = gpu_buf_create(c->gpu, "overlap", bytes, err);
    const struct slab_view none = {0};
    const struct slab_view view = m ? mask_view(m, KERNEL_TEXELS) : none;
    uint32_t step = m ? slab_slices(c->gpu, &view, 1, m->slice, err) : c->dim[2];
    bool ok = sums && step > 0 && gpu_buf_fill(sums, 0, bytes, 0, err);
    for (uint32_t k = 0; ok && k < c->dim[2]; k += smaller(step, c->dim[2] - k)) {
        uint32_t end = k + smaller(step, c->dim[2] - k), at, last;
        struct overlap_push push = {.columns = c->dim[0], .rows = c->dim[1], .first = k};
        struct gpu_range ranges[4];
        run_ranges(c, ranges);
        if (m)
            ranges[2] = slab_range(&view, k, end, NULL);
        ranges[3] = (struct gpu_range){sums, 0, bytes};
        push.row = m ? m->row / 4 : 0;
        push.slice = m ? m->slice / 4 : 0;
        ok = runs_of(c, k, end, &at, &last, err);
        while (ok && next_runs(c->gpu, &at, last, &push.begin, &push.end))
            ok = kernel_run_flat(c->gpu, m ? &overlap_mask : &overlap_edge, ranges, &push,
                                 push.end - push.begin, m ? c->dim[0] / 128 * 5 + 10 : 0,
                                 (push.end - push.begin) * RUN_WORK, err);
    }
    ok = ok && gpu_buf_read(sums, 0, counts, bytes, err);
    gpu_buf_destroy(sums);
    return ok;
}

bool components_overlap(const struct components *c, const struct gpu_mask *m, uint32_t *counts,
                        struct err *err)
{
    if (m->gpu != c->gpu || !same_dim(m->dim, c->dim))
        return err_set(err, ERR_INPUT, "a mask of another size than the components");
    return overlap(c, m, counts, err);
}

bool components_runs(const struct components *c, struct component_run *runs, struct err *err)
{
    if (!c->run_count)
        return true;
    uint32_t *words = malloc(c->run_count * 12ull);
    if (!words)
        return err_set(err, ERR_NOMEM, "%u runs", c->run_count);
    uint32_t *labels = words + 2ull * c->run_count;
    bool ok = gpu_buf_read(c->device->run, 0, words, c->run_count * 8ull, err) &&
              gpu_buf_read(c->device->label, 0, labels, c->run_count * 4ull, err);
    for (uint32_t i = 0; ok && i < c->run_count; i++)
        runs[i] = (struct component_run){.row = words[2ull * i],
                                         .x0 = (uint16_t)words[2ull * i + 1],
                                         .x1 = (uint16_t)(words[2ull * i + 1] >> 16),
                                         .label = labels[i]};
    free(words);
    return ok;
}

static bool draw(const struct components *c, struct gpu_buf *keep, const struct gpu_mask *out,
                 struct err *err)
{
    const struct slab_view view = mask_view(out, KERNEL_INOUT);
    uint32_t step = slab_slices(c->gpu, &view, 1, out->slice, err);
    bool ok = step > 0;
    for (uint32_t k = 0; ok && k < c->dim[2]; k += smaller(step, c->dim[2] - k)) {
        uint32_t end = k + smaller(step, c->dim[2] - k), at, last;
        struct select_push push = {
            .rows = c->dim[1], .row = out->row, .slice = out->slice, .first = k};
        struct gpu_range ranges[4];
        run_ranges(c, ranges);
        ranges[2] = whole_range(keep);
        ranges[3] = slab_range(&view, k, end, NULL);
        ok = runs_of(c, k, end, &at, &last, err);
        while (ok && next_runs(c->gpu, &at, last, &push.begin, &push.end))
            ok = kernel_run_flat(c->gpu, &kernel_select, ranges, &push, push.end - push.begin,
                                 c->dim[0] / 32 + 1, (push.end - push.begin) * RUN_WORK, err);
    }
    return ok;
}

struct gpu_mask *components_select(const struct components *c, const uint8_t *keep,
                                   const double spacing[3], struct err *err)
{
    struct gpu_mask *out = gpu_mask_create(c->gpu, c->dim, spacing, err);
    if (!out || !c->count)
        return out;
    uint32_t *words = malloc(c->count * 4ull);
    struct gpu_buf *flags = words ? gpu_buf_create(c->gpu, "keep", c->count * 4ull, err) : NULL;
    if (!words)
        err_set(err, ERR_NOMEM, "%u components", c->count);
    for (uint32_t i = 0; flags && i < c->count; i++)
        words[i] = keep[i] != 0;
    bool ok =
        flags && gpu_buf_write(flags, 0, words, c->count * 4ull, err) && draw(c, flags, out, err);
    gpu_buf_destroy(flags);
    free(words);
    if (ok)
        return out;
    gpu_mask_destroy(out);
    return NULL;
}

// ---- Built on these ----

// Which components stay, decided by a number of each.
struct choice {
    struct components *components;
    uint32_t *numbers;
    uint8_t *keep;
};

static void choice_finish(struct choice *c)
{
    components_destroy(c->components);
    free(c->numbers);
    free(c->keep);
}

static bool choice_init(struct choice *c, const struct gpu_mask *m, enum connectivity connectivity,
                        struct err *err)
{
    *c = (struct choice){.components = components_find(m, connectivity, err)};
    if (!c->components)
        return false;
    c->numbers = calloc(c->components->count + 1ul, sizeof *c->numbers);
    c->keep = calloc(c->components->count + 1ul, 1);
    if (c->numbers && c->keep)
        return true;
    err_set(err, ERR_NOMEM, "components");
    return false;
}

// The voxels of each component.
static bool choice_sizes(const struct choice *c, struct err *err)
{
    uint32_t count = c->components->count;
    struct component_stats *stats = calloc(count + 1ul, sizeof *stats);
    if (!stats) {
        err_set(err, ERR_NOMEM, "components");
        return false;
    }
    bool ok = components_measure(c->components, NULL, stats, err);
    for (uint32_t i = 0; ok && i < count; i++)
        c->numbers[i] = stats[i].voxels;
    free(stats);
    return ok;
}

struct gpu_mask *gpu_mask_keep_touching(const struct gpu_mask *m, const struct gpu_mask *seed,
                                        enum connectivity connectivity, struct err *err)
{
    struct choice c;
    struct gpu_mask *out = NULL;
    if (choice_init(&c, m, connectivity, err) &&
        components_overlap(c.components, seed, c.numbers, err)) {
        for (uint32_t i = 0; i < c.components->count; i++)
            c.keep[i] = c.numbers[i] != 0;
        out = components_select(c.components, c.keep, m->spacing, err);
    }
    choice_finish(&c);
    return out;
}

struct gpu_mask *gpu_mask_keep_size(const struct gpu_mask *m, uint32_t voxels,
                                    enum connectivity connectivity, struct err *err)
{
    struct choice c;
    struct gpu_mask *out = NULL;
    if (choice_init(&c, m, connectivity, err) && choice_sizes(&c, err)) {
        for (uint32_t i = 0; i < c.components->count; i++)
            c.keep[i] = c.numbers[i] >= voxels;
        out = components_select(c.components, c.keep, m->spacing, err);
    }
    choice_finish(&c);
    return out;
}

struct sized {
    uint32_t voxels, index;
};

static int larger_first(const void *a, const void *b)
{
    const struct sized *x = a, *y = b;
    if (x->voxels != y->voxels)
        return x->voxels > y->voxels ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

// Marks the n largest and adds up their voxels.
static bool choose_largest(struct choice *c, uint32_t n, uint64_t *voxels, struct err *err)
{
    uint32_t count = c->components->count;
    struct sized *order = calloc(count + 1ul, sizeof *order);
    if (!order) {
        err_set(err, ERR_NOMEM, "components");
        return false;
    }
    for (uint32_t i = 0; i < count; i++)
        order[i] = (struct sized){c->numbers[i], i};
    qsort(order, count, sizeof *order, larger_first);
    for (uint32_t i = 0; i < count && i < n; i++) {
        c->keep[order[i].index] = 1;
        *voxels += order[i].voxels;
    }
    free(order);
    return true;
}

struct gpu_mask *gpu_mask_keep_largest(const struct gpu_mask *m, uint32_t n,
                                       enum connectivity connectivity, uint64_t *voxels,
                                       struct err *err)
{
    struct choice c;
    struct gpu_mask *out = NULL;
    uint64_t kept = 0;
    if (choice_init(&c, m, connectivity, err) && choice_sizes(&c, err) &&
        choose_largest(&c, n, &kept, err))
        out = components_select(c.components, c.keep, m->spacing, err);
    if (voxels)
        *voxels = kept;
    choice_finish(&c);
    return out;
}

struct gpu_mask *gpu_mask_fill_holes(const struct gpu_mask *m, struct err *err)
{
    struct choice c = {0};
    struct gpu_mask *out = NULL, *rest = gpu_mask_copy(m, err);
    if (rest && gpu_mask_invert(rest, err) && choice_init(&c, rest, CONNECT_4, err) &&
        overlap(c.components, NULL, c.numbers, err)) {
        for (uint32_t i = 0; i < c.components->count; i++)
            c.keep[i] = c.numbers[i] == 0;
        out = components_select(c.components, c.keep, m->spacing, err);
    }
    if (out && !gpu_mask_combine(out, MASK_OR, m, err)) {
        gpu_mask_destroy(out);
        out = NULL;
    }
    choice_finish(&c);
    gpu_mask_destroy(rest);
    return out;
}
