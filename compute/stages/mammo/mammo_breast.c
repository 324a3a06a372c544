#include "compute/stages/mammo/mammo_breast.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/stages/mammo/mammo_muscle.h"

// Film and detector noise of air, of which half of all pixels lie within 0.67 deviations.
static const double air_deviations = 6;
static const double air_share = 0.025;     // of the way from air to the brightest tissue, at least
static const double opening_mm = 2;        // labels and scratches are thinner, or apart
static const double smallest_share = 0.05; // of the picture: a breast
static const double thinning_mm = 30; // from the skin inwards, a compressed breast gets thicker
// Of the pixels at one depth, those of fat: parenchyma seldom reaches more than 8 of 10.
static const double fat_share = 0.15;
// Strips along the edges of films: how far from the edge they end, how thick and how long they are.
static const double edge_mm = 8, edge_thick_mm = 6, edge_long_mm = 15;
static const double nipple_mm = 6; // smoothing of the skin line along which the farthest point lies

double mammo_share_of(float *values, size_t count, double share)
{
    size_t lo = 0, hi = count - 1;
    const size_t k = (size_t)(share * (double)(count - 1));
    while (lo < hi) { // Hoare's selection
        const float pivot = values[(lo + hi) / 2];
        size_t i = lo, j = hi;
        while (i <= j) {
            while (values[i] < pivot)
                i++;
            while (values[j] > pivot)
                j--;
            if (i <= j) {
                const float t = values[i];
                values[i++] = values[j];
                values[j] = t;
                if (j == 0)
                    break;
                j--;
            }
        }
        if (k <= j)
            hi = j;
        else if (k >= i)
            lo = i;
        else
            break;
    }
    return (double)values[k];
}

// The grey that is no air any more. Air is the darkest peak of the picture.
static bool find_air_limit(const struct mammo_picture *p, double *threshold, struct err *err)
{
    const size_t count = (size_t)p->w * p->h;
    float *v = malloc(count * sizeof *v);
    if (!v)
        return err_set(err, ERR_NOMEM, "mammo: no memory for a histogram");
    memcpy(v, p->grey, count * sizeof *v);
    const double top = mammo_share_of(v, count, 0.95);
    const double low = mammo_share_of(v, count, 0.02);
    size_t n = 0;
    const double half = low + (top - low) * 0.25;
    for (size_t i = 0; i < count; i++) {
        if ((double)p->grey[i] < half)
            v[n++] = p->grey[i];
    }
    const double air = n ? mammo_share_of(v, n, 0.4) : low;
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        if ((double)v[i] <= air)
            v[m++] = (float)(air - (double)v[i]);
    }
    const double spread = m ? mammo_share_of(v, m, 0.5) * 1.4826 : 0;
    *threshold = air + fmax(air_deviations * spread, air_share * (top - air));
    free(v);
    return true;
}

// A mask read along lines that end at an edge of the picture.
struct edge_lines {
    uint8_t *mask;   // at the edge
    int64_t step;    // from one pixel of a line to the next, inwards
    int64_t next;    // from one line to the next
    uint32_t lines;  // how many
    uint32_t length; // pixels of a line
};

// Pixels of a line from the edge to the end of its strip; 0: there is none. What is thicker, or
// ends farther inside, is breast.
static uint32_t strip_end(const struct edge_lines *e, uint32_t line, double mm)
{
    const uint8_t *at = e->mask + e->next * line;
    const uint32_t band = (uint32_t)(edge_mm / mm), thick = (uint32_t)(edge_thick_mm / mm);
    uint32_t first = 0, end;
    while (first < band && first < e->length && !at[e->step * first])
        first++;
    for (end = first; end < e->length && at[e->step * end]; end++)
        ;
    return end > first && end <= band && end - first <= thick ? end : 0;
}

// A film is bright, or scanned beyond its edge, along its sides: long strips that are connected
// with the breast and no part of it.
static void drop_strips(const struct edge_lines *e, double mm)
{
    const uint32_t least = (uint32_t)(edge_long_mm / mm);
    for (uint32_t line = 0; line < e->lines;) {
        uint32_t last = line;
        while (last < e->lines && strip_end(e, last, mm))
            last++;
        for (uint32_t k = line; k < last && last - line >= least; k++) {
            for (uint32_t n = strip_end(e, k, mm); n > 0; n--)
                e->mask[e->next * k + e->step * (n - 1)] = 0;
        }
        line = last + 1;
    }
}

// Along all sides but that of the chest wall.
static void drop_edges(const struct mammo_picture *p, uint8_t *whole)
{
    const int64_t w = p->w, h = p->h;
    drop_strips(&(struct edge_lines){whole, w, 1, p->w, p->h}, p->mm);
    drop_strips(&(struct edge_lines){whole + w * (h - 1), -w, 1, p->w, p->h}, p->mm);
    drop_strips(&(struct edge_lines){whole + w - 1, -1, w, p->h, p->w}, p->mm);
}

static bool find_whole(const struct stage_run *run, const struct mammo_picture *p,
                       struct mammo_breast *out, uint64_t *pixels, struct err *err)
{
    double threshold = 0;
    if (!find_air_limit(p, &threshold, err))
        return false;
    const uint32_t dim[3] = {p->w, p->h, 1};
    const double spacing[3] = {p->mm, p->mm, 1};
    struct gpu_volume *grey = gpu_volume_write(run->gpu, dim, spacing, GPU_VOXEL_F32, p->grey, err);
    struct gpu_mask *bright = grey ? gpu_mask_threshold(grey, threshold, INFINITY, err) : NULL;
    struct gpu_mask *tissue = NULL;
    if (bright && gpu_mask_read(bright, out->whole, err)) {
        drop_edges(p, out->whole);
        tissue = gpu_mask_write(run->gpu, dim, spacing, out->whole, err);
    }
    struct gpu_mask *thin = tissue ? gpu_mask_erode_2d(tissue, opening_mm, err) : NULL;
    struct gpu_mask *core = thin ? gpu_mask_keep_largest(thin, 1, CONNECT_4, pixels, err) : NULL;
    struct gpu_mask *wide = core ? gpu_mask_dilate_2d(core, opening_mm, err) : NULL;
    struct gpu_mask *full = wide ? gpu_mask_fill_holes(wide, err) : NULL;
    bool ok = full && gpu_mask_count(full, pixels, err) && gpu_mask_read(full, out->whole, err);
    if (ok) { // depth: distance to what is no breast
        ok = gpu_mask_invert(full, err);
        struct gpu_volume *d2 = ok ? gpu_mask_distance2(full, thinning_mm, err) : NULL;
        ok = d2 && gpu_volume_read(d2, 0, 1, out->depth_mm, err);
        for (size_t i = 0; ok && i < (size_t)p->w * p->h; i++)
            out->depth_mm[i] = sqrtf(out->depth_mm[i]);
        gpu_volume_destroy(d2);
    }
    gpu_mask_destroy(full);
    gpu_mask_destroy(wide);
    gpu_mask_destroy(core);
    gpu_mask_destroy(thin);
    gpu_mask_destroy(tissue);
    gpu_mask_destroy(bright);
    gpu_volume_destroy(grey);
    return ok;
}

// The point of the skin line that is farthest from the chest wall: of CC views the nipple lies
// there, of oblique ones near it.
static void find_nipple(const struct mammo_picture *p, struct mammo_breast *out)
{
    const int reach = (int)(nipple_mm / p->mm);
    double best = 0;
    for (uint32_t y = 0; y < p->h; y++) {
        double sum = 0;
        int n = 0;
        for (int k = -reach; k <= reach; k++) {
            const int64_t row = (int64_t)y + k;
            if (row < 0 || row >= p->h)
                continue;
            uint32_t x = p->w;
            while (x > 0 && !out->whole[(size_t)row * p->w + x - 1])
                x--;
            sum += x;
            n++;
        }
        if (n == 2 * reach + 1 && sum / n > best) {
            best = sum / n;
            out->nipple[0] = best;
            out->nipple[1] = y + 0.5;
        }
    }
    // A breast that runs out of the picture has no nipple on it.
    out->has_nipple = best > 0 && best < p->w - 1;
}

// The grey of fat at each depth below the skin, which grows inwards as the breast thickens.
static bool fat_profile(const struct mammo_picture *p, const struct mammo_breast *b,
                        double *profile, int depths, struct err *err)
{
    const size_t count = (size_t)p->w * p->h;
    float *v = malloc(count * sizeof *v);
    if (!v)
        return err_set(err, ERR_NOMEM, "mammo: no memory for a profile");
    double last = -1;
    for (int d = 0; d < depths; d++) {
        size_t n = 0;
        for (size_t i = 0; i < count; i++) {
            const bool at = d == depths - 1 ? b->depth_mm[i] >= (float)d : (int)b->depth_mm[i] == d;
            if (b->whole[i] && !b->muscle[i] && at)
                v[n++] = p->grey[i];
        }
        const double g = n > 20 ? mammo_share_of(v, n, fat_share) : last;
        last = profile[d] = fmax(g, last);
    }
    free(v);
    return true;
}

static bool even_out(const struct stage_run *run, const struct mammo_picture *p,
                     struct mammo_breast *b, struct err *err)
{
    enum { DEPTHS = 31 };
    double profile[DEPTHS];
    const size_t count = (size_t)p->w * p->h;
    float *v = arena_alloc(run->arena, count, sizeof *v);
    if (!v)
        return err_set(err, ERR_NOMEM, "mammo: no memory for a profile");
    if (!fat_profile(p, b, profile, DEPTHS, err))
        return false;
    const double deep = profile[DEPTHS - 1];
    size_t n = 0, m = 0;
    for (size_t i = 0; i < count; i++) {
        const double d = fmin((double)b->depth_mm[i], DEPTHS - 1);
        const int at = (int)d < DEPTHS - 1 ? (int)d : DEPTHS - 2;
        const double g = profile[at] + (d - at) * (profile[at + 1] - profile[at]);
        const bool in = b->whole[i] && !b->muscle[i];
        b->even[i] = in ? (float)((double)p->grey[i] - g + deep) : (float)deep;
        if (in && b->depth_mm[i] > 2)
            v[n++] = b->even[i];
    }
    b->area_px = 0;
    for (size_t i = 0; i < count; i++)
        b->area_px += b->whole[i] && !b->muscle[i];
    if (!n)
        return true;
    b->fat = mammo_share_of(v, n, 0.25);
    b->range = mammo_share_of(v, n, 0.995) - b->fat;
    for (size_t i = 0; i < count; i++) {
        if (b->muscle[i])
            v[m++] = p->grey[i];
    }
    if (m > 50)
        b->range = fmax(mammo_share_of(v, m, 0.5) - b->fat, b->range / 2);
    return true;
}

bool mammo_breast_find(const struct stage_run *run, const struct mammo_picture *p, bool oblique,
                       struct mammo_breast *out, const char **refused, struct err *err)
{
    const size_t count = (size_t)p->w * p->h;
    uint64_t pixels = 0;
    *out = (struct mammo_breast){.whole = arena_alloc(run->arena, count, 1),
                                 .muscle = arena_alloc(run->arena, count, 1),
                                 .depth_mm = arena_alloc(run->arena, count, sizeof(float)),
                                 .even = arena_alloc(run->arena, count, sizeof(float))};
    if (!out->whole || !out->muscle || !out->depth_mm || !out->even)
        return err_set(err, ERR_NOMEM, "mammo: no memory for the breast");
    memset(out->muscle, 0, count);
    if (!find_whole(run, p, out, &pixels, err))
        return false;
    if ((double)pixels < smallest_share * (double)count) {
        *refused = "no breast is seen";
        return true;
    }
    find_nipple(p, out);
    if (oblique && !mammo_muscle_find(p, out, err))
        return false;
    return even_out(run, p, out, err);
}
