#include "compute/stages/calcium/calcium_candidate.h"
#include <math.h>
#include <string.h>
#include "compute/stages/calcium/calcium_shape.h"

static const double ring_inner_mm = 1.5, ring_outer_mm = 5;
static const double fat_low_hu = -190;
// Beside metal it is darker than fat: so far below fat's mean, in deviations of the noise, and so
// far from lung, whose rim is as dark.
static const double fat_mean_hu = -100, dark_sigmas = 4, streak_air_mm = 5;
// At least so far: fat itself differs by as much from patient to patient (-90 to -120 HU), and from
// place to place.
static const double dark_least_hu = 45;
static const double near_region_mm = 5; // a lesion may bulge out of the region
// As far as the region's border moved where a chest was cut to a field of 160 mm.
static const double reach_mm = 12;
// A stent is at least so long; bins along it.
static const double stent_mm = 11, stent_bin_mm = 2.5;

struct calcium_extent calcium_extent_of(const struct calcium_search *s, uint32_t n)
{
    const struct anatomy_grid *g = &s->heart->grid;
    const uint32_t rows = s->volume->dim[1];
    struct calcium_extent e = {0};
    uint32_t slice = UINT32_MAX, area = 0;
    uint64_t all = 0, within = 0, close = 0, front = 0, reached = 0;
    for (uint32_t i = s->first[n]; i < s->first[n + 1]; i++) {
        const struct component_run *r = &s->runs[i];
        uint32_t k = r->row / rows, j = r->row % rows;
        area = k == slice ? area : 0;
        slice = k;
        area += r->x1 - r->x0 + 1u;
        if (area > e.largest) {
            e.largest = area;
            e.slice = k;
        }
        for (uint32_t x = r->x0; x <= r->x1; x++) {
            const size_t at = anatomy_grid_at(g, x, j, k);
            within += s->heart->region[at] != ANATOMY_OUTSIDE;
            front += s->heart->region[at] == ANATOMY_FRONT;
            close += s->heart->to_region[at] * ANATOMY_STEP_MM <= near_region_mm;
            reached += s->heart->to_region[at] * ANATOMY_STEP_MM <= reach_mm;
        }
        all += r->x1 - r->x0 + 1u;
    }
    e.inside = (double)within / (double)all;
    e.near = (double)close / (double)all;
    e.front = (double)front / (double)all;
    e.reached = (double)reached / (double)all;
    calcium_spread(s->runs + s->first[n], s->first[n + 1] - s->first[n], rows, s->volume->spacing,
                   e.spread, e.axis);
    return e;
}

bool calcium_is_larger(const struct calcium_search *s, uint32_t n, double mm3)
{
    return s->stats[n - 1].voxels * s->rules->pixel_area_mm2 * s->rules->increment_mm > mm3;
}

void calcium_centre(const struct component_stats *c, double centre[3])
{
    for (int a = 0; a < 3; a++)
        centre[a] = (double)c->index_sum[a] / c->voxels;
}

// Stamps discs around every pixel of component n in slice k into a window: 1 near, 2 the ring.
static void stamp(const struct calcium_search *s, uint32_t n, uint32_t k, uint8_t *window,
                  const uint32_t origin[2], uint32_t width, uint32_t height)
{
    const struct image *v = s->volume;
    const int64_t ri = (int64_t)(ring_outer_mm / v->spacing[0]);
    const int64_t rj = (int64_t)(ring_outer_mm / v->spacing[1]);
    for (uint32_t i = s->first[n]; i < s->first[n + 1]; i++) {
        const struct component_run *r = &s->runs[i];
        if (r->row / v->dim[1] != k)
            continue;
        for (int64_t b = -rj; b <= rj; b++) {
            int64_t y = (int64_t)(r->row % v->dim[1]) + b - origin[1];
            if (y < 0 || y >= height)
                continue;
            for (int64_t x = (int64_t)r->x0 - ri; x <= (int64_t)r->x1 + ri; x++) {
                int64_t out = x < r->x0 ? r->x0 - x : x > r->x1 ? x - r->x1 : 0;
                double dx = (double)out * v->spacing[0], dy = (double)b * v->spacing[1];
                double d2 = dx * dx + dy * dy;
                int64_t wx = x - origin[0];
                if (wx < 0 || wx >= width || d2 > ring_outer_mm * ring_outer_mm)
                    continue;
                uint8_t *at = &window[y * width + wx];
                if (d2 <= ring_inner_mm * ring_inner_mm)
                    *at = 1;
                else if (!*at)
                    *at = 2;
            }
        }
    }
}

static bool look_around(const struct calcium_search *s, uint32_t n, struct calcium_around *out,
                        struct err *err)
{
    const struct image *v = s->volume;
    const struct component_stats *c = &s->stats[n - 1];
    uint32_t origin[2], size[2];
    for (int a = 0; a < 2; a++) {
        uint32_t room = (uint32_t)ceil(ring_outer_mm / v->spacing[a]);
        origin[a] = c->box_lo[a] > room ? c->box_lo[a] - room : 0;
        uint32_t end = c->box_hi[a] + room + 1;
        size[a] = (end < v->dim[a] ? end : v->dim[a]) - origin[a];
    }
    uint8_t *window = arena_alloc(s->arena, (size_t)size[0] * size[1], 1);
    if (!window)
        return err_set(err, ERR_NOMEM, "calcium: surroundings");
    const struct anatomy_heart *h = s->heart;
    const double darkest = fat_mean_hu - fmax(dark_least_hu, dark_sigmas * h->noise_hu);
    uint64_t all = 0, fat = 0, air = 0, dark = 0, away = 0, soft = 0;
    double glow = 0;
    uint32_t half_pixels = 0;
    for (uint32_t k = c->box_lo[2]; k <= c->box_hi[2]; k++) {
        memset(window, 0, (size_t)size[0] * size[1]);
        stamp(s, n, k, window, origin, size[0], size[1]);
        const float *slice = peek_slice(s->peek, k, err);
        if (!slice)
            return false;
        uint32_t half = 0;
        double top = -INFINITY;
        for (uint32_t p = 0; p < size[0] * size[1]; p++) {
            const uint32_t x = origin[0] + p % size[0], y = origin[1] + p / size[0];
            const double hu = slice[(size_t)y * v->dim[0] + x];
            half += window[p] == 1 && hu * 2 >= c->max;
            top = window[p] == 1 ? fmax(top, hu) : top;
            if (window[p] != 2)
                continue;
            const size_t at = anatomy_grid_at(&h->grid, x, y, k);
            all++;
            fat += hu > fat_low_hu && hu < CALCIUM_FAT_HIGH_HU;
            air += hu < -300;
            if (h->to_air[at] * ANATOMY_STEP_MM > streak_air_mm) {
                away++;
                dark += hu < darkest;
            }
            if (hu > CALCIUM_FAT_HIGH_HU && hu < s->rules->threshold_hu) {
                soft++;
                glow += hu;
            }
        }
        half_pixels = top >= c->max ? half : half_pixels;
    }
    *out = (struct calcium_around){.fat = all ? (double)fat / (double)all : 0,
                                   .air = all ? (double)air / (double)all : 0,
                                   .dark = away ? (double)dark / (double)away : 0,
                                   .glow_hu = soft ? glow / (double)soft : 0,
                                   .half_mm2 = half_pixels * s->rules->pixel_area_mm2};
    return true;
}

static double length_mm(const struct calcium_extent *e)
{
    return sqrt(12) * e->spread[0];
}

#define ALONG_BINS 64

// How even a long component is along its axis. False: the device failed.
static bool look_lengthwise(const struct calcium_search *s, uint32_t n,
                            const struct calcium_extent *e, struct calcium_around *out,
                            struct err *err)
{
    const struct component_stats *c = &s->stats[n - 1];
    const struct image *v = s->volume;
    double top[ALONG_BINS] = {0}, all = 0;
    int first = ALONG_BINS, last = -1;
    for (uint32_t i = s->first[n]; i < s->first[n + 1]; i++) {
        const struct component_run *r = &s->runs[i];
        const uint32_t k = r->row / v->dim[1], j = r->row % v->dim[1];
        const float *slice = peek_slice(s->peek, k, err);
        if (!slice)
            return false;
        for (uint32_t x = r->x0; x <= r->x1; x++) {
            const double at[3] = {x, j, k};
            double along = 0;
            for (int a = 0; a < 3; a++)
                along += e->axis[a] * (at[a] - (double)c->index_sum[a] / c->voxels) * v->spacing[a];
            const int bin = (int)floor(along / stent_bin_mm) + ALONG_BINS / 2;
            if (bin < 0 || bin >= ALONG_BINS)
                continue;
            top[bin] = fmax(top[bin], slice[(size_t)j * v->dim[0] + x]);
            first = bin < first ? bin : first;
            last = bin > last ? bin : last;
            all = fmax(all, top[bin]);
        }
    }
    double least = all; // all but the ends, and the darkest between them
    double next = all;
    for (int b = first + 1; b < last; b++) {
        next = top[b] < least ? least : fmin(next, top[b]);
        least = fmin(least, top[b]);
    }
    out->even = all > 0 ? next / all : 0;
    return true;
}

bool calcium_look(const struct calcium_search *s, uint32_t n, const struct calcium_extent *e,
                  struct calcium_around *out, struct err *err)
{
    return look_around(s, n, out, err) &&
           (length_mm(e) < stent_mm || look_lengthwise(s, n, e, out, err));
}
