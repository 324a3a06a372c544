#include "compute/stages/calcium/calcium_lesion.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double ring_inner_mm = 1.5, ring_outer_mm = 5;
// Fat, also where a thick slice mixes it with blood: a thin layer is all that lean hearts have.
static const double fat_low_hu = -190, fat_high_hu = 0;
static const double lung_fraction = 0.6; // of the ring: not on the heart
static const double left_main_mm = 15;   // from the root's wall
static const double ostia_mm = 20;     // above the lowest disc of the root: no artery leaves there
static const double descending_mm = 4; // around the descending aorta: its wall
// Directions in degrees, 0 to the patient's left, 90 to the front.
static const double right_from = 92, right_to = -80, groove_at = 8, left_main_at = 60;
static const double fork_at = -25, fork_mm = 22; // near the fork of the left main artery
static const double near_deg = 6;
static const double sure_sigmas = 6; // of noise above the blood pool: one voxel in 10^9

const char *calcium_exclusion_name(enum calcium_exclusion why)
{
    switch (why) {
    case CALCIUM_METAL:
        return "metal";
    case CALCIUM_LUNG:
        return "lung or hilum";
    case CALCIUM_INNER:
        return "valve, annulus, myocardium or wall without fat";
    case CALCIUM_AORTA:
        return "aortic wall";
    case CALCIUM_NOISE:
        return "noise";
    case CALCIUM_MASSIVE:
        return "too large";
    case CALCIUM_KEPT:
    case CALCIUM_EXCLUSIONS:
        break;
    }
    return "kept";
}

struct search {
    const struct image *volume;
    struct peek *peek;
    const struct calcium_heart *heart;
    const struct calcium_rules *rules;
    const struct calcium_options *options;
    struct arena *arena;
    struct component_run *runs; // by component
    uint32_t *first;            // [components + 1] index of the first run of each
    struct component_stats *stats;
};

// What surrounds a component within its slices: fractions of the ring.
struct around {
    double fat, air;
};

// The box of the region in voxels, with room for what sticks out of it.
static void region_box(const struct calcium_heart *h, const double spacing[3], uint32_t lo[3],
                       uint32_t hi[3])
{
    const struct calcium_grid *g = &h->grid;
    uint32_t at[3], low[3] = {UINT32_MAX, UINT32_MAX, UINT32_MAX}, high[3] = {0};
    const uint8_t *r = h->region;
    for (at[2] = 0; at[2] < g->dim[2]; at[2]++) {
        for (at[1] = 0; at[1] < g->dim[1]; at[1]++) {
            for (at[0] = 0; at[0] < g->dim[0]; at[0]++) {
                if (!*r++)
                    continue;
                for (int a = 0; a < 3; a++) {
                    low[a] = at[a] < low[a] ? at[a] : low[a];
                    high[a] = at[a] > high[a] ? at[a] : high[a];
                }
            }
        }
    }
    for (int a = 0; a < 3; a++) {
        uint32_t first = g->flip[a] ? g->dim[a] - 1 - high[a] : low[a];
        uint32_t last = g->flip[a] ? g->dim[a] - 1 - low[a] : high[a];
        uint32_t room = (uint32_t)ceil(10 / spacing[a]);
        lo[a] = first * g->factor[a] > room ? first * g->factor[a] - room : 0;
        hi[a] = (last + 1) * g->factor[a] + room;
        hi[a] = hi[a] < g->fine[a] ? hi[a] : g->fine[a];
    }
}

// Sorts runs by component; within one they stay ordered by row and column.
static bool by_component(struct search *s, const struct components *c, struct err *err)
{
    struct component_run *all = arena_alloc(s->arena, c->run_count + 1, sizeof *all);
    s->runs = arena_alloc(s->arena, c->run_count + 1, sizeof *s->runs);
    s->first = arena_alloc(s->arena, (size_t)c->count + 2, sizeof *s->first);
    if (!all || !s->runs || !s->first)
        return err_set(err, ERR_NOMEM, "calcium: candidates");
    if (c->run_count && !components_runs(c, all, err))
        return false;
    for (uint32_t i = 0; i < c->run_count; i++)
        s->first[all[i].label + 1]++;
    for (uint32_t n = 1; n <= c->count + 1; n++)
        s->first[n] += s->first[n - 1];
    uint32_t *next = arena_alloc(s->arena, (size_t)c->count + 2, sizeof *next);
    if (!next)
        return err_set(err, ERR_NOMEM, "calcium: candidates");
    memcpy(next, s->first, ((size_t)c->count + 2) * sizeof *next);
    for (uint32_t i = 0; i < c->run_count; i++)
        s->runs[next[all[i].label]++] = all[i];
    return true;
}

// Where component n lies and how large it gets.
struct extent {
    bool inside;             // most of it lies in the heart's region
    uint32_t slice, largest; // the slice with most pixels, and how many
};

static struct extent extent_of(const struct search *s, uint32_t n)
{
    const struct calcium_grid *g = &s->heart->grid;
    const uint32_t rows = s->volume->dim[1];
    struct extent e = {0};
    uint32_t slice = UINT32_MAX, area = 0;
    uint64_t all = 0, within = 0;
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
        for (uint32_t x = r->x0; x <= r->x1; x++)
            within += s->heart->region[calcium_grid_at(g, x, j, k)];
        all += r->x1 - r->x0 + 1u;
    }
    e.inside = within * 2 >= all;
    return e;
}

// Stamps discs around every pixel of component n in slice k into a window: 1 near, 2 the ring.
static void stamp(const struct search *s, uint32_t n, uint32_t k, uint8_t *window,
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

static bool look_around(const struct search *s, uint32_t n, struct around *out, struct err *err)
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
    uint64_t all = 0, fat = 0, air = 0;
    for (uint32_t k = c->box_lo[2]; k <= c->box_hi[2]; k++) {
        memset(window, 0, (size_t)size[0] * size[1]);
        stamp(s, n, k, window, origin, size[0], size[1]);
        const float *slice = peek_slice(s->peek, k, err);
        if (!slice)
            return false;
        for (uint32_t p = 0; p < size[0] * size[1]; p++) {
            if (window[p] != 2)
                continue;
            double hu =
                slice[(size_t)(origin[1] + p / size[0]) * v->dim[0] + origin[0] + p % size[0]];
            all++;
            fat += hu > fat_low_hu && hu < fat_high_hu;
            air += hu < -300;
        }
    }
    *out =
        (struct around){all ? (double)fat / (double)all : 0, all ? (double)air / (double)all : 0};
    return true;
}

static void centre_of(const struct component_stats *c, double centre[3])
{
    for (int a = 0; a < 3; a++)
        centre[a] = (double)c->index_sum[a] / c->voxels;
}

// Where a place lies as seen from the aortic root, or from the heart's centre without one.
struct bearing {
    bool root;
    double away_mm;  // from the root's wall, in the plane
    double above_mm; // the lowest disc of the root
    double degrees;
    double deep_mm;       // from the nearest lung in the slice
    double height;        // above the heart's largest ball, in radii
    double descending_mm; // from the edge of the descending aorta
};

static double lung_distance(const struct calcium_heart *h, const double at[3])
{
    const struct calcium_grid *g = &h->grid;
    uint32_t k = (uint32_t)fmin(fmax(at[2] + 0.5, 0), g->dim[2] - 1);
    double best = INFINITY;
    for (uint32_t j = 0; j < g->dim[1]; j++) {
        for (uint32_t i = 0; i < g->dim[0]; i++) {
            if (h->hu[((size_t)k * g->dim[1] + j) * g->dim[0] + i] > -400)
                continue;
            double dx = (i - at[0]) * g->mm[0], dy = (j - at[1]) * g->mm[1];
            best = fmin(best, dx * dx + dy * dy);
        }
    }
    return sqrt(best);
}

// From the edge of a disc, in the plane; also the direction from its centre.
static double from_disc(const struct calcium_grid *g, const struct calcium_disc *disc,
                        const double at[3], double *degrees)
{
    double dx = (at[0] - disc->x) * g->mm[0], dy = (at[1] - disc->y) * g->mm[1];
    if (degrees)
        *degrees = atan2(-dy, dx) * 180 / M_PI;
    return sqrt(dx * dx + dy * dy) - disc->radius_mm;
}

static struct bearing take_bearing(const struct calcium_heart *h, const double at[3])
{
    const struct calcium_grid *g = &h->grid;
    struct bearing b = {.root = h->ascending.lo <= h->ascending.hi,
                        .deep_mm = lung_distance(h, at),
                        .descending_mm = INFINITY};
    struct calcium_disc origin = {h->centre[0], h->centre[1], 0};
    if (b.root) {
        origin = calcium_tube_at(&h->ascending, at[2]);
        b.above_mm = (at[2] - h->ascending.lo) * g->mm[2];
    }
    b.away_mm = from_disc(g, &origin, at, &b.degrees);
    if (h->descending.lo <= h->descending.hi) {
        struct calcium_disc disc = calcium_tube_at(&h->descending, at[2]);
        b.descending_mm = from_disc(g, &disc, at, NULL);
    }
    b.height = (at[2] - h->peak[2]) * g->mm[2] / h->radius_mm;
    return b;
}

// The left main artery: close to the root on its left, or, where no root is seen, high on the left
// and deep between the great vessels.
static bool is_left_main(const struct bearing *b)
{
    if (fabs(b->degrees) > left_main_at)
        return false;
    if (b->root)
        return b->away_mm <= left_main_mm && b->above_mm > -10;
    return b->height > 0.7 && b->deep_mm >= 15;
}

// Where the left atrioventricular groove begins. Just outside the left main artery the circumflex
// artery has not yet turned back: what is not clearly behind belongs to the anterior one.
static double groove_from(const struct bearing *b)
{
    return b->root && b->away_mm < fork_mm ? fork_at : groove_at;
}

static enum calcium_artery name_artery(const struct bearing *b, bool *near_border)
{
    const double d = b->degrees;
    *near_border = fabs(d - right_from) < near_deg || fabs(d - right_to) < near_deg ||
                   fabs(d - groove_from(b)) < near_deg;
    if (is_left_main(b)) {
        *near_border = b->root && left_main_mm - b->away_mm < 2;
        return CALCIUM_LM;
    }
    if (d >= right_from || d < right_to)
        return CALCIUM_RCA;
    return d >= groove_from(b) ? CALCIUM_LAD : CALCIUM_LCX;
}

// Half the ring of a lesion in the aortic wall is blood; an artery's ring is fat all around.
static bool in_aortic_wall(const struct bearing *b, const struct around *ring)
{
    if (b->descending_mm < descending_mm)
        return true;
    if (!b->root || b->above_mm < -10)
        return false;
    return (b->above_mm >= ostia_mm && b->away_mm < 6) || (b->away_mm < 3 && ring->fat < 0.6);
}

static bool is_massive(const struct search *s, uint32_t n)
{
    const double voxel = s->rules->pixel_area_mm2 * s->rules->increment_mm;
    return s->stats[n - 1].voxels * voxel > s->options->largest_mm3;
}

static enum calcium_exclusion judge(const struct search *s, uint32_t n, const struct around *ring,
                                    const struct bearing *b)
{
    const struct component_stats *c = &s->stats[n - 1];
    const struct calcium_heart *h = s->heart;
    if (c->max >= s->options->metal_hu)
        return CALCIUM_METAL;
    if (is_massive(s, n))
        return CALCIUM_MASSIVE;
    if (ring->air > lung_fraction)
        return CALCIUM_LUNG;
    if (ring->fat < s->options->fat_fraction)
        return CALCIUM_INNER;
    if (in_aortic_wall(b, ring))
        return CALCIUM_AORTA;
    if (c->box_lo[2] == c->box_hi[2] && c->max < h->pool_hu + 5 * h->noise_hu)
        return CALCIUM_NOISE;
    return CALCIUM_KEPT;
}

static void keep_lesion(const struct search *s, uint32_t n, const struct bearing *b, uint8_t *keep,
                        uint32_t *component, struct calcium_lesions *out)
{
    struct calcium_lesion *l = &out->list[out->count];
    keep[n - 1] = 1;
    l->artery = name_artery(b, &l->near_border);
    centre_of(&s->stats[n - 1], l->centre);
    component[out->count++] = n;
}

static void keep_focus(const struct search *s, uint32_t n, const struct extent *e,
                       const struct bearing *b, struct calcium_lesions *out)
{
    bool near_border;
    out->faint[out->faint_count++] =
        (struct calcium_focus){.artery = name_artery(b, &near_border),
                               .slice = e->slice,
                               .pixels = e->largest,
                               .max = s->stats[n - 1].max,
                               .runs = s->runs + s->first[n],
                               .run_count = s->first[n + 1] - s->first[n]};
}

// Judges every candidate; kept ones go to lesions, their component to keep. What is too small to
// count is judged as well when it is too bright for noise: a score of zero must show it.
static bool choose(struct search *s, uint32_t components, uint8_t *keep, uint32_t *component,
                   struct calcium_lesions *out, struct err *err)
{
    const struct calcium_heart *h = s->heart;
    for (uint32_t n = 1; n <= components; n++) {
        struct around ring = {0};
        double centre[3], at[3];
        const struct extent e = extent_of(s, n);
        const bool counts = calcium_counts(s->rules, e.largest);
        if (!e.inside || (!counts && s->stats[n - 1].max < h->pool_hu + sure_sigmas * h->noise_hu))
            continue;
        // A piece of bone is not worth the look around it.
        if (!is_massive(s, n) && !look_around(s, n, &ring, err))
            return false;
        centre_of(&s->stats[n - 1], centre);
        calcium_grid_from_voxel(&h->grid, centre, at);
        const struct bearing b = take_bearing(h, at);
        const enum calcium_exclusion why = judge(s, n, &ring, &b);
        if (counts)
            out->excluded[why]++;
        if (why == CALCIUM_KEPT && counts)
            keep_lesion(s, n, &b, keep, component, out);
        else if (why == CALCIUM_KEPT)
            keep_focus(s, n, &e, &b, out);
    }
    return true;
}

// Islands of the kept components, each with its lesion: islands[] and the runs of those that count.
static bool find_islands(const struct search *s, const struct gpu_volume *hu,
                         const struct components *all, const uint8_t *keep,
                         const uint32_t *lesion_of, struct calcium_lesions *out, struct err *err)
{
    struct gpu_mask *mask = components_select(all, keep, hu->spacing, err);
    struct components *c =
        mask ? components_find(mask, s->options->connectivity == 4 ? CONNECT_4 : CONNECT_8, err)
             : NULL;
    gpu_mask_destroy(mask);
    if (!c)
        return false;
    struct component_stats *stats = arena_alloc(s->arena, c->count + 1, sizeof *stats);
    struct calcium_island *islands = arena_alloc(s->arena, c->count + 1, sizeof *islands);
    struct calcium_amount *amounts = arena_alloc(s->arena, out->count + 1, sizeof *amounts);
    out->runs = arena_alloc(s->arena, c->run_count + 1, sizeof *out->runs);
    bool ok = stats && islands && amounts && out->runs &&
              (c->count == 0 ||
               (components_measure(c, hu, stats, err) && components_runs(c, out->runs, err)));
    const uint32_t run_count = c->run_count, count = c->count;
    components_destroy(c);
    if (!stats || !islands || !amounts || !out->runs)
        return err_set(err, ERR_NOMEM, "calcium: islands");
    if (!ok)
        return false;
    // A run of an island is the same run of its component: look it up by place.
    for (uint32_t lesion = 0; lesion < out->count; lesion++) {
        uint32_t n = lesion_of[lesion];
        uint32_t at = 0;
        for (uint32_t i = s->first[n]; i < s->first[n + 1]; i++) {
            while (at < run_count &&
                   (out->runs[at].row < s->runs[i].row ||
                    (out->runs[at].row == s->runs[i].row && out->runs[at].x0 < s->runs[i].x0)))
                at++;
            if (at < run_count)
                islands[out->runs[at].label - 1].lesion = lesion;
        }
    }
    for (uint32_t n = 0; n < count; n++) {
        islands[n].slice = stats[n].box_lo[2];
        islands[n].pixels = stats[n].voxels;
        islands[n].max = stats[n].max;
        islands[n].sum = stats[n].sum;
    }
    calcium_score(s->rules, islands, count, amounts, out->count);
    for (uint32_t lesion = 0; lesion < out->count; lesion++)
        out->list[lesion].amount = amounts[lesion];
    for (uint32_t i = 0; i < run_count; i++) {
        const struct calcium_island *island = &islands[out->runs[i].label - 1];
        if (calcium_counts(s->rules, island->pixels)) {
            out->runs[out->run_count] = out->runs[i];
            out->runs[out->run_count++].label = island->lesion + 1;
        }
    }
    return true;
}

// Orders of lesions and runs; qsort has no context, so the keys are in the elements.
struct ranked {
    struct calcium_lesion lesion;
    double height;
    uint32_t was;
};

static int by_artery(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->lesion.artery != y->lesion.artery)
        return x->lesion.artery < y->lesion.artery ? -1 : 1;
    if (x->height != y->height)
        return x->height > y->height ? -1 : 1;
    return x->was < y->was ? -1 : 1;
}

static int by_label(const void *a, const void *b)
{
    const struct component_run *x = a, *y = b;
    if (x->label != y->label)
        return x->label < y->label ? -1 : 1;
    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    return x->x0 < y->x0 ? -1 : x->x0 > y->x0;
}

// Drops lesions of which no island counts, orders the rest, and relabels their runs.
static bool arrange(const struct search *s, struct calcium_lesions *out, struct err *err)
{
    struct ranked *ranked = arena_alloc(s->arena, out->count + 1, sizeof *ranked);
    uint32_t *now = arena_alloc(s->arena, out->count + 1, sizeof *now);
    if (!ranked || !now)
        return err_set(err, ERR_NOMEM, "calcium: lesions");
    uint32_t count = 0;
    for (uint32_t i = 0; i < out->count; i++) {
        double at[3];
        if (!out->list[i].amount.islands)
            continue;
        calcium_grid_from_voxel(&s->heart->grid, out->list[i].centre, at);
        ranked[count++] = (struct ranked){out->list[i], at[2], i};
    }
    qsort(ranked, count, sizeof *ranked, by_artery);
    for (uint32_t i = 0; i < count; i++) {
        out->list[i] = ranked[i].lesion;
        now[ranked[i].was] = i;
    }
    out->count = count;
    for (uint32_t i = 0; i < out->run_count; i++)
        out->runs[i].label = now[out->runs[i].label - 1] + 1;
    qsort(out->runs, out->run_count, sizeof *out->runs, by_label);
    for (uint32_t i = 0; i < out->run_count; i++) {
        struct calcium_lesion *l = &out->list[out->runs[i].label - 1];
        if (l->run_count++ == 0)
            l->first_run = i;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct calcium_lesion *l = &out->list[i];
        uint32_t slice = UINT32_MAX, area = 0, largest = 0;
        for (uint32_t r = l->first_run; r < l->first_run + l->run_count; r++) {
            uint32_t k = out->runs[r].row / s->volume->dim[1];
            area = (k == slice ? area : 0) + out->runs[r].x1 - out->runs[r].x0 + 1u;
            slice = k;
            if (area > largest) {
                largest = area;
                l->key_slice = k;
            }
        }
    }
    return true;
}

bool calcium_lesions_find(const struct gpu_volume *hu, struct peek *peek, const struct image *v,
                          const struct calcium_heart *heart, const struct calcium_rules *rules,
                          const struct calcium_options *options, struct arena *arena,
                          struct calcium_lesions *out, struct err *err)
{
    struct search s = {.volume = v,
                       .peek = peek,
                       .heart = heart,
                       .rules = rules,
                       .options = options,
                       .arena = arena};
    uint32_t lo[3], hi[3];
    *out = (struct calcium_lesions){0};
    region_box(heart, v->spacing, lo, hi);
    struct gpu_mask *bright = gpu_mask_threshold(hu, rules->threshold_hu, INT16_MAX, err);
    struct components *c = bright && gpu_mask_crop(bright, lo, hi, err)
                               ? components_find(bright, CONNECT_26, err)
                               : NULL;
    gpu_mask_destroy(bright);
    if (!c)
        return false;
    s.stats = arena_alloc(arena, (size_t)c->count + 1, sizeof *s.stats);
    uint8_t *keep = arena_alloc(arena, (size_t)c->count + 1, 1);
    uint32_t *component = arena_alloc(arena, (size_t)c->count + 1, sizeof *component);
    out->list = arena_alloc(arena, (size_t)c->count + 1, sizeof *out->list);
    out->faint = arena_alloc(arena, (size_t)c->count + 1, sizeof *out->faint);
    bool ok = s.stats && keep && component && out->list && out->faint;
    if (!ok)
        err_set(err, ERR_NOMEM, "calcium: candidates");
    ok = ok && (c->count == 0 || components_measure(c, hu, s.stats, err)) &&
         by_component(&s, c, err) && choose(&s, c->count, keep, component, out, err) &&
         find_islands(&s, hu, c, keep, component, out, err) && arrange(&s, out, err);
    components_destroy(c);
    return ok;
}
