#include "compute/stages/calcium/calcium_lesion.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/stages/calcium/calcium_bearing.h"
#include "compute/stages/calcium/calcium_candidate.h"
#include "compute/stages/calcium/calcium_judge.h"

// Of a bright point: its area at half its brightness, and that, at least. Plaques so small are
// hardly ever as bright; two in one heart are clips.
static const double point_mm2 = 5.5, point_hu = 550;
static const double metal_reach_mm = 30; // from one of them what is bright may be metal as well
// Of the ring of a spot whose neighbours may be metal too, as dark as no fat is: where a patient's
// fat is a little darker than usual, calcium has up to 0.04 of it.
static const double metal_dark = 0.06;
static const double streak_hu = 450; // of metal: brighter spots are calcium all the same
static const double sure_sigmas = 6; // above the blood pool

// Below, lungs and spine are cut so far that the middle of the heart is not that of a larger image.
static const double small_field_mm = 180;

static bool is_small(const struct image *v)
{
    return v->dim[0] * v->spacing[0] < small_field_mm || v->dim[1] * v->spacing[1] < small_field_mm;
}

// The box of the region in voxels, with room for what sticks out of it.
static void region_box(const struct anatomy_heart *h, const double spacing[3], uint32_t lo[3],
                       uint32_t hi[3])
{
    const struct anatomy_grid *g = &h->grid;
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
    for (int d = 0; d < 3; d++) {
        const uint32_t a = g->axis[d];
        const uint32_t first = g->flip[d] ? g->dim[d] - 1 - high[d] : low[d];
        const uint32_t last = g->flip[d] ? g->dim[d] - 1 - low[d] : high[d];
        const uint32_t room = (uint32_t)ceil(10 / spacing[a]);
        const uint32_t before = room + g->lead[d];
        lo[a] = first * g->factor[d] > before ? first * g->factor[d] - before : 0;
        hi[a] = (last + 1) * g->factor[d] - g->lead[d] + room;
        hi[a] = hi[a] < g->fine[d] ? hi[a] : g->fine[d];
    }
}

// Sorts runs by component; within one they stay ordered by row and column.
static bool by_component(struct calcium_search *s, const struct components *c, struct err *err)
{
    // Bones have many runs: what only the sorting needs goes at once.
    struct component_run *all = malloc(((size_t)c->run_count + 1) * sizeof *all);
    uint32_t *next = malloc(((size_t)c->count + 2) * sizeof *next);
    s->runs = arena_alloc(s->arena, c->run_count + 1, sizeof *s->runs);
    s->first = arena_alloc(s->arena, (size_t)c->count + 2, sizeof *s->first);
    const bool room = all && next && s->runs && s->first;
    if (!room)
        err_set(err, ERR_NOMEM, "calcium: candidates");
    const bool ok = room && (!c->run_count || components_runs(c, all, err));
    for (uint32_t i = 0; ok && i < c->run_count; i++)
        s->first[all[i].label + 1]++;
    for (uint32_t n = 1; ok && n <= c->count + 1; n++)
        s->first[n] += s->first[n - 1];
    if (ok)
        memcpy(next, s->first, ((size_t)c->count + 2) * sizeof *next);
    for (uint32_t i = 0; ok && i < c->run_count; i++)
        s->runs[next[all[i].label]++] = all[i];
    free(all);
    free(next);
    return ok;
}

static enum calcium_artery artery_of(const struct calcium_search *s,
                                     const struct calcium_bearing *b)
{
    return s->small_field ? calcium_artery_sure(b) : calcium_artery_of(b);
}

static void keep_lesion(const struct calcium_search *s, uint32_t n, enum calcium_reason reason,
                        const struct calcium_bearing *b, uint8_t *keep, uint32_t *component,
                        struct calcium_lesions *out)
{
    struct calcium_lesion *l = &out->list[out->count];
    keep[n - 1] = 1;
    l->reason = reason;
    l->class = calcium_reason_class(reason);
    const bool at_aorta =
        reason == CALCIUM_AT_ROOT || reason == CALCIUM_BY_AORTA || reason == CALCIUM_HIGH;
    l->artery = l->class == CALCIUM_NOT_CORONARY || at_aorta ? CALCIUM_UNASSIGNED : artery_of(s, b);
    calcium_centre(&s->stats[n - 1], l->centre);
    component[out->count++] = n;
}

static void keep_focus(const struct calcium_search *s, uint32_t n, const struct calcium_extent *e,
                       const struct calcium_bearing *b, struct calcium_lesions *out)
{
    out->faint[out->faint_count++] =
        (struct calcium_focus){.artery = artery_of(s, b),
                               .slice = e->slice,
                               .pixels = e->largest,
                               .max = s->stats[n - 1].max,
                               .runs = s->runs + s->first[n],
                               .run_count = s->first[n + 1] - s->first[n]};
}

#define SUSPECTS 64 // more than any heart has

// What of the candidates may be metal.
struct suspects {
    bool lead;              // metal in the heart, which streaks
    uint32_t count;         // of bright points and of those that streak
    double at[SUSPECTS][3]; // [count] where, voxel indices
};

static bool is_point(const struct component_stats *c, const struct calcium_around *ring)
{
    return c->max >= point_hu && ring->half_mm2 < point_mm2;
}

// Metal in the heart's region streaks; and where two spots may be metal, what lies near them may.
static void doubt_metal(const struct calcium_search *s, const uint32_t *component,
                        const struct suspects *suspects, struct calcium_lesions *out)
{
    for (uint32_t i = 0; i < out->count; i++) {
        struct calcium_lesion *l = &out->list[i];
        bool near = false;
        for (uint32_t n = 0; suspects->count > 1 && n < suspects->count && !near; n++) {
            double square = 0;
            for (int a = 0; a < 3; a++) {
                const double d = (l->centre[a] - suspects->at[n][a]) * s->volume->spacing[a];
                square += d * d;
            }
            near = square < metal_reach_mm * metal_reach_mm;
        }
        const bool dim = s->stats[component[i] - 1].max < streak_hu;
        if (l->class == CALCIUM_COUNTED && ((suspects->lead && dim) || near)) {
            l->reason = CALCIUM_BY_METAL;
            l->class = CALCIUM_UNCERTAIN;
        }
    }
}

// Judges every candidate. What is too small to count is judged as well when it is too bright for
// noise: a score of zero must show it.
static bool choose(struct calcium_search *s, uint32_t components, uint8_t *keep,
                   uint32_t *component, struct calcium_lesions *out, struct err *err)
{
    const struct anatomy_heart *h = s->heart;
    struct suspects suspects = {0};
    for (uint32_t n = 1; n <= components; n++) {
        struct calcium_around ring = {0};
        double centre[3], at[3];
        const struct calcium_extent e = calcium_extent_of(s, n);
        const bool counts = calcium_counts(s->rules, e.largest);
        const bool bright = s->stats[n - 1].max >= h->pool_hu + sure_sigmas * h->noise_hu;
        const double near = s->small_field ? e.reached : e.near;
        if (near == 0 || (!counts && !bright))
            continue;
        // A piece of bone is not worth the look around it.
        const bool look = near >= 0.5 && !calcium_is_larger(s, n, s->options->largest_mm3);
        if (look && !calcium_look(s, n, &e, &ring, err))
            return false;
        calcium_centre(&s->stats[n - 1], centre);
        anatomy_grid_from_voxel(&h->grid, centre, at);
        struct calcium_bearing b = calcium_bearing_of(h, at);
        if (look)
            b.rim = calcium_rim_of(s, n);
        const enum calcium_reason reason = s->small_field ? calcium_judge_small(s, n, &e, &ring, &b)
                                                          : calcium_judge(s, n, &e, &ring, &b);
        suspects.lead = suspects.lead || (counts && reason == CALCIUM_METAL);
        if (calcium_reason_class(reason) != CALCIUM_NOT_CORONARY && suspects.count < SUSPECTS &&
            ((reason == CALCIUM_STREAKS && ring.dark >= metal_dark) || reason == CALCIUM_BRIGHT ||
             is_point(&s->stats[n - 1], &ring)))
            memcpy(suspects.at[suspects.count++], centre, sizeof centre);
        if (counts)
            keep_lesion(s, n, reason, &b, keep, component, out);
        else if (calcium_reason_class(reason) == CALCIUM_COUNTED)
            keep_focus(s, n, &e, &b, out);
    }
    doubt_metal(s, component, &suspects, out);
    return true;
}

// Islands of the kept components, each with its lesion: islands[] and the runs of those that count.
static bool find_islands(const struct calcium_search *s, const struct gpu_volume *hu,
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

static int by_class(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    const struct calcium_amount *p = &x->lesion.amount, *q = &y->lesion.amount;
    if (x->lesion.class != y->lesion.class)
        return x->lesion.class < y->lesion.class ? -1 : 1;
    if (x->lesion.class != CALCIUM_COUNTED && p->weighted != q->weighted)
        return p->weighted > q->weighted ? -1 : 1;
    if (x->lesion.class == CALCIUM_COUNTED && x->lesion.artery != y->lesion.artery)
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
static bool arrange(const struct calcium_search *s, struct calcium_lesions *out, struct err *err)
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
        anatomy_grid_from_voxel(&s->heart->grid, out->list[i].centre, at);
        ranked[count++] = (struct ranked){out->list[i], at[2], i};
    }
    qsort(ranked, count, sizeof *ranked, by_class);
    for (uint32_t i = 0; i < count; i++) {
        out->list[i] = ranked[i].lesion;
        out->number[out->list[i].class]++;
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
                          const struct anatomy_heart *heart, const struct calcium_rules *rules,
                          const struct calcium_options *options, struct arena *arena,
                          struct calcium_lesions *out, struct err *err)
{
    struct calcium_search s = {.volume = v,
                               .peek = peek,
                               .heart = heart,
                               .rules = rules,
                               .options = options,
                               .arena = arena,
                               .small_field = is_small(v)};
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
