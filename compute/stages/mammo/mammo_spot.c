#include "compute/stages/mammo/mammo_spot.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/kernels/grid.h"
#include "shaders/mammo/shaders.h"

// A calcification of 0.1 to 1 mm is kept, tissue that is broader and noise that is finer are not.
static const double narrow_mm = 0.08, wide_mm = 0.35;
static const double tile_mm = 6;     // of which noise is one number
static const float seed_z = 5.5F;    // a peak: noise alone reaches it once in some images
static const float grow_z = 3;       // what belongs to it
static const double coarse_mm = 1.0; // larger ones are benign: popcorn, rods, oil cysts
static const double long_mm = 0.8, elongated = 3; // a piece of a line
static const double skin_mm = 2;
static const double rim_mm = 0.5;    // smaller ones show no centre
static const double rim_share = 0.3; // of the mean of its pixels: a dark centre
// Of a peak, in the mean of its four neighbours: a detector spreads more than this over them, and
// a scratch or a piece of dust on film is scanned as sharp as its pixels.
static const double sharp_share = 0.2;
enum { PIXELS_MAX = 4096, SAMPLE = 3 };

static const struct kernel spot_dog = {.shader = &shader_mammo_dog,
                                       .group = {8, 8, 1},
                                       .push_bytes = GRID_PUSH_BYTES,
                                       .bindings = 2,
                                       .access = {KERNEL_TEXELS, KERNEL_INOUT}};
static const struct kernel *const mammo_kernels[] = {&spot_dog};
const struct kernel_group kernels_mammo = {mammo_kernels,
                                           sizeof mammo_kernels / sizeof *mammo_kernels};

// wide = narrow - wide, of float volumes of the same size.
static bool subtract(struct gpu *g, const struct gpu_volume *narrow, struct gpu_volume *wide,
                     struct err *err)
{
    const struct grid_call call = {
        .per = {4, 1, 1}, .bind = {grid_volume(narrow), grid_volume(wide)}, .trips = 1};
    return grid_run(g, &spot_dog, &call, err);
}

struct field {
    const struct mammo_picture *p;
    const struct mammo_breast *b;
    float *dog; // of the image as stored
    uint8_t *seen;
    float *noise;    // of tiles, standard deviation
    uint32_t tile;   // pixels
    uint32_t tw, th; // tiles
};

static size_t work_at(const struct field *f, uint32_t x, uint32_t y)
{
    const uint32_t u = x / f->p->factor, v = y / f->p->factor;
    return (size_t)v * f->p->w + (f->p->mirrored ? f->p->w - 1 - u : u);
}

// Half of what noise does lies within 0.6745 of its deviation, whatever else is in the tile.
static bool measure_spot_noise(struct field *f, struct err *err)
{
    f->tile = (uint32_t)fmax(16, round(tile_mm / f->p->pixel_mm));
    f->tw = (f->p->columns + f->tile - 1) / f->tile;
    f->th = (f->p->rows + f->tile - 1) / f->tile;
    f->noise = calloc((size_t)f->tw * f->th, sizeof *f->noise);
    float *v = malloc(((size_t)f->tile / SAMPLE + 1) * (f->tile / SAMPLE + 1) * sizeof *v);
    for (uint32_t t = 0; f->noise && v && t < f->tw * f->th; t++) {
        const uint32_t x0 = t % f->tw * f->tile, y0 = t / f->tw * f->tile;
        uint32_t n = 0;
        for (uint32_t y = y0; y < y0 + f->tile && y < f->p->rows; y += SAMPLE) {
            for (uint32_t x = x0; x < x0 + f->tile && x < f->p->columns; x += SAMPLE) {
                if (f->b->whole[work_at(f, x, y)])
                    v[n++] = fabsf(f->dog[(size_t)y * f->p->columns + x]);
            }
        }
        f->noise[t] = n > 30 ? (float)(mammo_share_of(v, n, 0.5) / 0.6745) : 0;
    }
    const bool ok = f->noise && v;
    free(v);
    return ok ? true : err_set(err, ERR_NOMEM, "mammo: no memory for noise");
}

// Between the four tiles around, those without a number left out.
static float noise_at(const struct field *f, uint32_t x, uint32_t y)
{
    const float u = ((float)x + 0.5F) / (float)f->tile - 0.5F;
    const float v = ((float)y + 0.5F) / (float)f->tile - 0.5F;
    const int i = (int)floorf(u), j = (int)floorf(v);
    float sum = 0, weight = 0;
    for (int n = 0; n < 4; n++) {
        const int a = i + (n & 1), b = j + n / 2;
        if (a < 0 || b < 0 || a >= (int)f->tw || b >= (int)f->th)
            continue;
        const float s = f->noise[(size_t)b * f->tw + (size_t)a];
        const float w = (1 - fabsf(u - (float)a)) * (1 - fabsf(v - (float)b));
        sum += s > 0 ? s * w : 0;
        weight += s > 0 ? w : 0;
    }
    return weight > 0 ? sum / weight : INFINITY;
}

struct piece {
    uint32_t n, pixels[PIXELS_MAX];
    bool cut;             // larger than that
    uint32_t peak;        // pixel
    double x, y;          // centroid
    double length, width; // pixels, four deviations
    double mean;          // of the difference
};

static void grow_piece(const struct field *f, uint32_t seed, float noise, struct piece *s)
{
    const uint32_t w = f->p->columns;
    uint32_t head = 0;
    s->n = 1;
    s->pixels[0] = s->peak = seed;
    s->cut = false;
    f->seen[seed] = 1;
    while (head < s->n) {
        const uint32_t i = s->pixels[head++];
        if (f->dog[i] > f->dog[s->peak])
            s->peak = i;
        for (int n = 0; n < 9; n++) {
            const int64_t x = (int64_t)(i % w) + n % 3 - 1, y = (int64_t)(i / w) + n / 3 - 1;
            if (x < 0 || y < 0 || x >= w || y >= f->p->rows)
                continue;
            const uint32_t k = (uint32_t)(y * w + x);
            if (f->seen[k] || f->dog[k] < grow_z * noise)
                continue;
            f->seen[k] = 1;
            if (s->n < PIXELS_MAX)
                s->pixels[s->n++] = k;
            else
                s->cut = true;
        }
    }
}

static void measure_piece(const struct field *f, struct piece *s)
{
    const uint32_t w = f->p->columns;
    double sx = 0, sy = 0, xx = 0, xy = 0, yy = 0;
    s->mean = 0;
    for (uint32_t n = 0; n < s->n; n++) {
        const uint32_t column = s->pixels[n] % w, row = s->pixels[n] / w;
        sx += column;
        sy += row;
        s->mean += (double)f->dog[s->pixels[n]];
    }
    s->x = sx / s->n;
    s->y = sy / s->n;
    s->mean /= s->n;
    for (uint32_t n = 0; n < s->n; n++) {
        const uint32_t column = s->pixels[n] % w, row = s->pixels[n] / w;
        const double dx = column - s->x, dy = row - s->y;
        xx += dx * dx;
        xy += dx * dy;
        yy += dy * dy;
    }
    // A pixel is no point: it adds 1/12 along both axes.
    xx = xx / s->n + 1.0 / 12;
    yy = yy / s->n + 1.0 / 12;
    xy /= s->n;
    const double half = (xx - yy) / 2, root = sqrt(half * half + xy * xy);
    s->length = 4 * sqrt((xx + yy) / 2 + root);
    s->width = 4 * sqrt(fmax((xx + yy) / 2 - root, 1.0 / 12));
}

static bool is_sharp(const struct field *f, const struct piece *s)
{
    const uint32_t w = f->p->columns, x = s->peak % w, y = s->peak / w;
    if (!x || !y || x + 1 >= w || y + 1 >= f->p->rows)
        return true;
    const float *d = f->dog + s->peak;
    const double around = ((double)d[-1] + (double)d[1] + (double)d[w] + (double)*(d - w)) / 4;
    return around < sharp_share * (double)*d;
}

static enum mammo_reason judge_piece(const struct field *f, const struct piece *s)
{
    const double mm = f->p->pixel_mm, size = 2 * sqrt(s->n / 3.14159265358979) * mm;
    const size_t at = work_at(f, s->peak % f->p->columns, s->peak / f->p->columns);
    const size_t middle = (size_t)(s->y + 0.5) * f->p->columns + (size_t)(s->x + 0.5);
    if (f->b->muscle[at])
        return MAMMO_MUSCLE;
    if ((double)f->b->depth_mm[at] < skin_mm)
        return MAMMO_SKIN;
    if (s->n > 8 && size > rim_mm && (double)f->dog[middle] < rim_share * s->mean)
        return MAMMO_RIM;
    if (s->length * mm > long_mm && s->length > elongated * s->width)
        return MAMMO_VESSEL;
    if (s->cut || size > coarse_mm)
        return MAMMO_COARSE;
    return is_sharp(f, s) ? MAMMO_ARTEFACT : MAMMO_REASONS;
}

static void collect(struct field *f, struct piece *s, struct mammo_spot *list, uint32_t *count,
                    uint32_t *rejected)
{
    const uint32_t w = f->p->columns;
    for (uint32_t y = 0; y < f->p->rows; y++) {
        const float *row = f->dog + (size_t)y * w;
        for (uint32_t x = 0; x < w; x++) {
            // Where noise is least a grey step is: what is not brighter is no peak.
            if (row[x] < seed_z || f->seen[(size_t)y * w + x] || !f->b->whole[work_at(f, x, y)])
                continue;
            const float noise = fmaxf(noise_at(f, x, y), 1);
            if (row[x] < seed_z * noise)
                continue;
            grow_piece(f, y * w + x, noise, s);
            measure_piece(f, s);
            const enum mammo_reason reason = judge_piece(f, s);
            if (reason != MAMMO_REASONS)
                rejected[reason]++;
            if (reason != MAMMO_REASONS && reason != MAMMO_VESSEL)
                continue;
            list[(*count)++] = (struct mammo_spot){
                .x = (float)(s->x + 0.5),
                .y = (float)(s->y + 0.5),
                .size_mm = (float)(2 * sqrt(s->n / 3.14159265358979) * f->p->pixel_mm),
                .contrast = f->dog[s->peak] / noise,
                .line = reason == MAMMO_VESSEL,
                .cluster = -1};
            if (*count > MAMMO_SPOTS_MAX)
                return;
        }
    }
}

static bool read_difference(const struct stage_run *run, const struct mammo_picture *p, float *dog,
                            struct err *err)
{
    struct gpu_volume *narrow =
        gpu_volume_smooth(p->fine, (double[]){narrow_mm, narrow_mm, 0}, err);
    struct gpu_volume *wide =
        narrow ? gpu_volume_smooth(p->fine, (double[]){wide_mm, wide_mm, 0}, err) : NULL;
    bool ok = wide && subtract(run->gpu, narrow, wide, err);
    gpu_volume_destroy(narrow); // large: before the next
    ok = ok && gpu_volume_read(wide, 0, 1, dog, err);
    gpu_volume_destroy(wide);
    return ok;
}

bool mammo_spots_find(const struct stage_run *run, const struct mammo_picture *p,
                      const struct mammo_breast *b, struct mammo_spot **list, uint32_t *count,
                      uint32_t *rejected, struct err *err)
{
    const size_t pixels = (size_t)p->columns * p->rows;
    struct field f = {
        .p = p, .b = b, .dog = malloc(pixels * sizeof(float)), .seen = calloc(pixels, 1)};
    struct piece *s = malloc(sizeof *s);
    *count = 0;
    *list = arena_alloc(run->arena, MAMMO_SPOTS_MAX + 1, sizeof **list);
    bool ok = f.dog && f.seen && s && *list;
    if (!ok)
        err_set(err, ERR_NOMEM, "mammo: no memory for calcifications");
    ok = ok && read_difference(run, p, f.dog, err) && measure_spot_noise(&f, err);
    if (ok)
        collect(&f, s, *list, count, rejected);
    free(f.noise);
    free(s);
    free(f.seen);
    free(f.dog);
    return ok;
}
