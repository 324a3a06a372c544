#include "compute/stages/render/render_cast.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/kernels/grid.h"
#include "shaders/render/shaders.h"

#define BRICK ((uint32_t)RENDER_BRICK) // as in the shaders
#define FAR   1024u                    // bricks: none is that far away
#define BAND  16u // rows of a picture that are one slice of the grid: short dispatches

struct range_push { // of shaders/render/range.comp
    uint32_t dim[3], row, slice;
};
struct cast_push { // of shaders/render/cast.comp
    uint32_t dim[3], row, slice, bricks[2], bands;
    float ground, table_from, table_scale, ambient, diffuse, specular;
};
struct cast_view { // the same, binding 3
    float first[4], right[4], down[4], step[4], gradient[3][4];
};

static const struct kernel range_kernel = {.shader = &shader_render_range,
                                           .group = {4, 4, 4},
                                           .push_bytes =
                                               GRID_PUSH_BYTES + sizeof(struct range_push),
                                           .bindings = 2,
                                           .access = {KERNEL_TEXELS, KERNEL_OUT}};
static const struct kernel cut_kernel = {.shader = &shader_render_cut,
                                         .group = {16, 8, 1},
                                         .push_bytes = GRID_PUSH_BYTES,
                                         .bindings = 2,
                                         .access = {KERNEL_TEXELS, KERNEL_INOUT}};
#define CAST_KERNEL(mode)                                                                          \
    {                                                                                              \
        .shader = &shader_render_cast, .group = {8, 8, 1}, .constants = {mode},                    \
        .push_bytes = GRID_PUSH_BYTES + sizeof(struct cast_push), .bindings = 5, .access = {       \
            KERNEL_WORDS,                                                                          \
            KERNEL_WORDS,                                                                          \
            KERNEL_TEXELS,                                                                         \
            KERNEL_TEXELS,                                                                         \
            KERNEL_OUT                                                                             \
        }                                                                                          \
    }
static const struct kernel cast_kernels[] = {CAST_KERNEL(RENDER_MAXIMUM),
                                             CAST_KERNEL(RENDER_MINIMUM), CAST_KERNEL(RENDER_MEAN),
                                             CAST_KERNEL(RENDER_SHADED)};
static const struct kernel *const render_kernels[] = {&range_kernel,    &cut_kernel,
                                                      &cast_kernels[0], &cast_kernels[1],
                                                      &cast_kernels[2], &cast_kernels[3]};
const struct kernel_group kernels_render = {render_kernels,
                                            sizeof render_kernels / sizeof *render_kernels};

static uint32_t up_by(uint32_t n, uint32_t by)
{
    return (n + by - 1) / by;
}

static uint64_t brick_count(const struct render_scene *s)
{
    return (uint64_t)s->bricks[0] * s->bricks[1] * s->bricks[2];
}

uint64_t render_bytes_max(const struct gpu *g)
{
    return gpu_bind_limit(g, KERNEL_WORDS);
}

bool render_scene_init(struct render_scene *s, const struct gpu_volume *volume, double ground,
                       struct err *err)
{
    *s = (struct render_scene){.volume = volume, .ground = ground};
    for (int i = 0; i < 3; i++)
        s->bricks[i] = up_by(volume->dim[i], BRICK);
    const uint64_t bytes = brick_count(s) * sizeof *s->ranges;
    if (volume->dim[0] < 2 || volume->dim[1] < 2 || volume->dim[2] < 2)
        return err_set(err, ERR_INPUT, "render: %u x %u x %u voxels are no volume", volume->dim[0],
                       volume->dim[1], volume->dim[2]);
    if (gpu_buf_size(volume->buf) > render_bytes_max(volume->gpu))
        return err_set(err, ERR_UNSUPPORTED,
                       "render: the volume has %u x %u x %u voxels, more than the device can show "
                       "at once",
                       volume->dim[0], volume->dim[1], volume->dim[2]);
    s->ranges = malloc(bytes);
    if (!s->ranges)
        return err_set(err, ERR_NOMEM, "render: no memory for %u bricks", s->bricks[2]);
    s->range_buf = gpu_buf_create(volume->gpu, "render ranges", bytes, err);
    if (!s->range_buf)
        return false;
    const struct range_push push = {.dim = {volume->dim[0], volume->dim[1], volume->dim[2]},
                                    .row = volume->row,
                                    .slice = volume->slice};
    const struct grid_call call = {.dim = {s->bricks[0], s->bricks[1], s->bricks[2]},
                                   .bind = {grid_buf(volume->buf), grid_buf(s->range_buf)},
                                   .push = &push,
                                   .push_size = sizeof push,
                                   .trips = (BRICK + 1) * (BRICK + 1) * (BRICK + 1),
                                   .work = (BRICK + 1) * (BRICK + 1) * (BRICK + 1)};
    return grid_run(volume->gpu, &range_kernel, &call, err) &&
           gpu_buf_read(s->range_buf, 0, s->ranges, bytes, err);
}

void render_scene_finish(struct render_scene *s)
{
    gpu_buf_destroy(s->look_table);
    gpu_buf_destroy(s->look_bricks);
    gpu_buf_destroy(s->range_buf);
    free(s->look);
    free(s->ranges);
    *s = (struct render_scene){0};
}

bool render_cut(struct gpu_volume *volume, const struct gpu_mask *keep, struct err *err)
{
    const struct grid_call call = {.per = {2, 1, 1},
                                   .bind = {grid_mask(keep), grid_volume(volume)}};
    return grid_run(volume->gpu, &cut_kernel, &call, err);
}

// Rows of the inverse of the transpose of voxel steps to mm: what makes a gradient by index one by
// mm.
static void gradient_matrix(const double a[3][3], float out[3][4])
{
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++)
            out[i][j] = 0;
        out[i][3] = 0;
    }
    const double det = a[0][0] * (a[1][1] * a[2][2] - a[1][2] * a[2][1]) -
                       a[0][1] * (a[1][0] * a[2][2] - a[1][2] * a[2][0]) +
                       a[0][2] * (a[1][0] * a[2][1] - a[1][1] * a[2][0]);
    for (int i = 0; i < 3; i++) { // cofactors over the determinant
        for (int j = 0; j < 3; j++) {
            const int r = (i + 1) % 3, s = (i + 2) % 3, c = (j + 1) % 3, d = (j + 2) % 3;
            out[i][j] = (float)((a[r][c] * a[s][d] - a[r][d] * a[s][c]) / det);
        }
    }
}

static void pack_view(const struct render_view *v, struct cast_view *out)
{
    for (int i = 0; i < 3; i++) {
        out->first[i] = (float)v->first[i];
        out->right[i] = (float)v->right[i];
        out->down[i] = (float)v->down[i];
        out->step[i] = (float)v->step[i];
    }
    out->first[3] = (float)v->samples;
    out->right[3] = out->down[3] = 0;
    out->step[3] = (float)(1 / v->step_mm);
    gradient_matrix(v->to_patient, out->gradient);
}

static bool check_views(const struct render_view *views, uint32_t count, struct err *err)
{
    for (uint32_t n = 0; n < count; n++) {
        if (views[n].columns != views[0].columns || views[n].rows != views[0].rows)
            return err_set(err, ERR_INPUT, "render: view %u has another size than the first", n);
        if (views[n].samples > RENDER_SAMPLES_MAX)
            return err_set(err, ERR_INPUT, "render: %u samples of a ray; at most %d are possible",
                           views[n].samples, RENDER_SAMPLES_MAX);
    }
    return count > 0 || err_set(err, ERR_INPUT, "render: no view");
}

static bool write_views(struct gpu *g, const struct render_view *views, uint32_t count,
                        struct gpu_buf **buf, struct err *err)
{
    struct cast_view *packed = calloc(count, sizeof *packed);
    if (!packed)
        return err_set(err, ERR_NOMEM, "render: no memory for %u views", count);
    for (uint32_t n = 0; n < count; n++)
        pack_view(&views[n], &packed[n]);
    *buf = gpu_buf_create(g, "render views", count * sizeof *packed, err);
    const bool ok = *buf && gpu_buf_write(*buf, 0, packed, count * sizeof *packed, err);
    free(packed);
    return ok;
}

// pixels: [count][rows][columns] words
static bool cast_rays(const struct render_scene *s, enum render_mode mode,
                      const struct render_look *look, struct gpu_buf *bricks, struct gpu_buf *table,
                      const struct render_view *views, uint32_t count, void *pixels,
                      struct err *err)
{
    struct gpu *g = s->volume->gpu;
    if (!check_views(views, count, err))
        return false;
    const uint32_t columns = views[0].columns, rows = views[0].rows, bands = up_by(rows, BAND);
    const uint64_t words = (uint64_t)columns * bands * BAND; // of a view, with what is too much
    struct gpu_buf *view_buf = NULL;
    struct gpu_buf *out = gpu_buf_create(g, "render pixels", count * words * 4, err);
    struct cast_push push = {.row = s->volume->row,
                             .slice = s->volume->slice,
                             .bricks = {s->bricks[0], s->bricks[1]},
                             .bands = bands,
                             .ground = (float)s->ground};
    memcpy(push.dim, s->volume->dim, sizeof push.dim);
    if (look) {
        push.table_from = (float)look->from;
        push.table_scale = (float)((RENDER_TABLE - 1) / (look->to - look->from));
        push.ambient = look->ambient;
        push.diffuse = look->diffuse;
        push.specular = look->specular;
    }
    bool ok = out && write_views(g, views, count, &view_buf, err);
    if (ok) {
        const struct grid_call call = {.dim = {columns, BAND, bands * count},
                                       .bind = {grid_buf(s->volume->buf), grid_buf(bricks),
                                                grid_buf(table), grid_buf(view_buf), grid_buf(out)},
                                       .push = &push,
                                       .push_size = sizeof push,
                                       .trips = 2 * (uint64_t)views[0].samples,
                                       .work = views[0].samples};
        ok = grid_run(g, &cast_kernels[mode], &call, err);
    }
    for (uint32_t n = 0; ok && n < count; n++)
        ok = gpu_buf_read(out, n * words * 4, (uint32_t *)pixels + (size_t)n * columns * rows,
                          (uint64_t)columns * rows * 4, err);
    gpu_buf_destroy(view_buf);
    gpu_buf_destroy(out);
    return ok;
}

bool render_project(const struct render_scene *s, enum render_mode mode,
                    const struct render_view *views, uint32_t count, float *values, struct err *err)
{
    return cast_rays(s, mode, NULL, s->range_buf, s->range_buf, views, count, values, err);
}

static const double entry_room = 0.01; // of an entry: floats of 24 bits, 4096 entries

// How many of the first entries can be seen, for each entry and one behind the last.
static void count_visible(const struct render_look *look, uint32_t *before)
{
    before[0] = 0;
    for (uint32_t n = 0; n < RENDER_TABLE; n++)
        before[n + 1] = before[n] + (look->rgba[n][3] > 0);
}

// The entry that the shader takes for a value, which it computes in float: at most, at least.
static uint32_t entry_of(const struct render_look *look, double value, double room)
{
    const double at = (value - look->from) * (RENDER_TABLE - 1) / (look->to - look->from);
    return (uint32_t)fmin(fmax(at + 0.5 + room, 0), RENDER_TABLE - 1);
}

// The word of a brick becomes 1 more than the least of the 13 around it that come before it in the
// order of a pass, where it is more: two passes give chessboard distances.
// Source: Rosenfeld and Pfaltz, Pattern Recognition 1968;1:33.
static void pass_distances(const struct render_scene *s, uint32_t *words, int way)
{
    const int32_t dim[3] = {(int32_t)s->bricks[0], (int32_t)s->bricks[1], (int32_t)s->bricks[2]};
    const int64_t count = (int64_t)brick_count(s);
    for (int64_t done = 0; done < count; done++) {
        const int64_t n = way > 0 ? done : count - 1 - done;
        const int32_t x = (int32_t)(n % dim[0]), y = (int32_t)(n / dim[0] % dim[1]),
                      z = (int32_t)(n / dim[0] / dim[1]);
        for (int m = 0; m < 13 && words[n]; m++) {
            const int32_t at[3] = {x + way * (m % 3 - 1), y + way * (m / 3 % 3 - 1),
                                   z + way * (m / 9 - 1)};
            if (at[0] < 0 || at[0] >= dim[0] || at[1] < 0 || at[1] >= dim[1] || at[2] < 0 ||
                at[2] >= dim[2])
                continue;
            const uint32_t by = words[((int64_t)at[2] * dim[1] + at[1]) * dim[0] + at[0]] + 1;
            words[n] = by < words[n] ? by : words[n];
        }
    }
}

uint32_t *render_visible(const struct render_scene *s, const struct render_look *look)
{
    uint32_t *words = malloc(brick_count(s) * sizeof *words);
    uint32_t *before = malloc((RENDER_TABLE + 1) * sizeof *before);
    if (words && before) {
        count_visible(look, before);
        for (uint64_t n = 0; n < brick_count(s); n++) {
            const double least = fmax((int16_t)(s->ranges[n] & 0xffff), s->ground),
                         most = fmax((int16_t)(s->ranges[n] >> 16), s->ground);
            const uint32_t from = entry_of(look, least, -entry_room),
                           to = entry_of(look, most, entry_room);
            words[n] = before[to + 1] > before[from] ? 0 : FAR;
        }
        pass_distances(s, words, 1);
        pass_distances(s, words, -1);
    } else {
        free(words);
        words = NULL;
    }
    free(before);
    return words;
}

bool render_dress(struct render_scene *s, const struct render_look *look, struct err *err)
{
    struct gpu *g = s->volume->gpu;
    const uint64_t bytes = brick_count(s) * sizeof *s->ranges;
    uint32_t *words = render_visible(s, look);
    if (!s->look)
        s->look = malloc(sizeof *s->look);
    bool ok = words && s->look;
    if (!ok)
        err_set(err, ERR_NOMEM, "render: no memory for bricks");
    if (ok && !s->look_bricks)
        s->look_bricks = gpu_buf_create(g, "render bricks", bytes, err);
    if (ok && !s->look_table)
        s->look_table = gpu_buf_create(g, "render table", sizeof look->rgba, err);
    ok = ok && s->look_bricks && s->look_table &&
         gpu_buf_write(s->look_bricks, 0, words, bytes, err) &&
         gpu_buf_write(s->look_table, 0, look->rgba, sizeof look->rgba, err);
    if (ok)
        *s->look = *look;
    free(words);
    return ok;
}

bool render_shade(const struct render_scene *s, const struct render_view *views, uint32_t count,
                  uint32_t *pixels, struct err *err)
{
    if (!s->look_table)
        return err_set(err, ERR_INTERNAL, "render: the scene was not dressed");
    return cast_rays(s, RENDER_SHADED, s->look, s->look_bricks, s->look_table, views, count, pixels,
                     err);
}
