#include "compute/stages/calcium/calcium_marks.h"
#include <string.h>
#include "compute/findings/colour.h"
#include "compute/findings/outline.h"
#include "compute/stages/calcium/calcium_groups.h"

// Layers after those of the arteries.
enum { LAYER_UNCERTAIN = CALCIUM_ARTERIES, LAYER_NOT_CORONARY, LAYERS };
static const struct {
    const char *name, *description;
    uint8_t rgb[3];
} other_layers[] = {
    {"UNCERTAIN", "May be coronary calcium: above the lower bound of the score", COLOUR_WHITE},
    {"NOT CORONARY", "Bright, yet no coronary calcium: not counted", COLOUR_GREY},
};

// Of those that are not coronary so many are named, the largest first, of at least so much.
#define NAMED_MAX 20
static const double named_min = 1; // Agatston

#define TEXT_WIDTH 90 // pixels that a label takes at most

static bool add_layers(struct calcium_writer *w)
{
    for (int a = 0; a < CALCIUM_ARTERIES; a++) {
        struct layer *l = findings_add_layer(w->f);
        if (!l)
            return false;
        l->name = calcium_arteries[a].name;
        l->description = calcium_arteries[a].description;
        memcpy(l->rgb, calcium_arteries[a].rgb, sizeof l->rgb);
    }
    for (size_t i = 0; i < sizeof other_layers / sizeof *other_layers; i++) {
        struct layer *l = findings_add_layer(w->f);
        if (!l)
            return false;
        l->name = other_layers[i].name;
        l->description = other_layers[i].description;
        memcpy(l->rgb, other_layers[i].rgb, sizeof l->rgb);
    }
    return true;
}

// A piece of calcium to be outlined: its runs, and what its marks belong to.
struct shape {
    const struct component_run *runs;
    uint32_t run_count;
    int layer, group;
};

// A label beside what lies within lo..hi on slice k: right of it, or left at the edge of the
// image.
static bool add_text(struct calcium_writer *w, const struct shape *s, uint32_t k,
                     const uint32_t lo[2], const uint32_t hi[2], const char *text)
{
    float *points = arena_alloc(w->f->arena, 4, sizeof *points);
    struct mark *m = points && text ? findings_add_mark(w->f) : NULL;
    if (!m)
        return false;
    const bool left = hi[0] + TEXT_WIDTH > w->v->dim[0] && lo[0] > TEXT_WIDTH;
    points[0] = left ? (float)lo[0] : (float)hi[0] + 1;
    points[1] = (float)(lo[1] + hi[1] + 1) / 2;
    points[2] = left ? points[0] - TEXT_WIDTH : points[0] + 8;
    points[3] = lo[1] > 20 ? (float)lo[1] - 20 : 0;
    *m = (struct mark){.kind = MARK_TEXT,
                       .place = {w->image, k, 0},
                       .layer = s->layer,
                       .group = s->group,
                       .points = points,
                       .count = 2,
                       .text = text};
    return true;
}

// Outlines on slice k and the label beside them; nothing where the shape has no pixel.
static bool mark_slice(struct calcium_writer *w, const struct shape *s, uint32_t k,
                       const char *text)
{
    const uint32_t rows = w->v->dim[1];
    uint32_t lo[2] = {UINT32_MAX, UINT32_MAX}, hi[2] = {0, 0};
    const struct component_run *runs = s->runs;
    for (uint32_t i = 0; i < s->run_count; i++) {
        if (runs[i].row / rows != k)
            continue;
        uint32_t j = runs[i].row % rows;
        lo[0] = runs[i].x0 < lo[0] ? runs[i].x0 : lo[0];
        hi[0] = runs[i].x1 > hi[0] ? runs[i].x1 : hi[0];
        lo[1] = j < lo[1] ? j : lo[1];
        hi[1] = j > hi[1] ? j : hi[1];
    }
    if (lo[0] == UINT32_MAX)
        return true; // not on this slice
    const uint32_t width = hi[0] - lo[0] + 1, height = hi[1] - lo[1] + 1;
    uint8_t *mask = arena_alloc(w->f->arena, (size_t)width * height, 1);
    if (!mask)
        return false;
    for (uint32_t i = 0; i < s->run_count; i++) {
        if (runs[i].row / rows == k)
            memset(mask + (size_t)(runs[i].row % rows - lo[1]) * width + runs[i].x0 - lo[0], 1,
                   runs[i].x1 - runs[i].x0 + 1u);
    }
    struct outline *outlines;
    uint32_t count;
    if (!outline_trace(mask, width, height, lo, w->f->arena, &outlines, &count))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        struct mark *m = findings_add_mark(w->f);
        if (!m)
            return false;
        *m = (struct mark){.kind = MARK_POLYLINE,
                           .place = {w->image, k, 0},
                           .layer = s->layer,
                           .group = s->group,
                           .points = outlines[i].points,
                           .count = outlines[i].count};
    }
    return add_text(w, s, k, lo, hi, text);
}

// On slice k; the score stands on the key slice.
static bool mark_lesion(struct calcium_writer *w, uint32_t lesion, uint32_t k)
{
    const struct calcium_lesion *l = &w->lesions->list[lesion];
    const struct shape s = {w->lesions->runs + l->first_run, l->run_count, (int)l->artery,
                            (int)(w->lesion_group + lesion)};
    const char *name = calcium_arteries[l->artery].name;
    const uint32_t number = w->number[lesion];
    const char *text = k == l->key_slice ? arena_printf(w->f->arena, "%s %u: %.1f", name, number,
                                                        calcium_agatston(w->rules, &l->amount))
                                         : arena_printf(w->f->arena, "%s %u", name, number);
    return mark_slice(w, &s, k, text);
}

// The key slice of a lesion comes first: some viewers show nothing else.
static bool add_marks(struct calcium_writer *w)
{
    for (uint32_t i = 0; i < w->counted; i++) {
        const uint32_t key = w->lesions->list[i].key_slice;
        if (!mark_lesion(w, i, key))
            return false;
        for (uint32_t k = 0; k < w->v->dim[2]; k++) {
            if (k != key && !mark_lesion(w, i, k))
                return false;
        }
    }
    return true;
}

// A lesion that does not count, or may not: its outlines, and what it would add, with the
// reason.
static bool add_other(struct calcium_writer *w, const struct calcium_lesion *l, uint32_t number)
{
    const bool uncertain = l->class == CALCIUM_UNCERTAIN;
    const struct shape s = {w->lesions->runs + l->first_run, l->run_count,
                            uncertain ? LAYER_UNCERTAIN : LAYER_NOT_CORONARY, -1};
    const double score = calcium_agatston(w->rules, &l->amount);
    uint32_t last = UINT32_MAX;
    for (uint32_t i = 0; i < l->run_count; i++) {
        const uint32_t k = s.runs[i].row / w->v->dim[1];
        if (k == last)
            continue;
        last = k;
        const char *text =
            k == l->key_slice
                ? arena_printf(w->f->arena, "%s%u: %.1f", uncertain ? "?" : "x", number, score)
                : arena_printf(w->f->arena, "%s%u", uncertain ? "?" : "x", number);
        if (!mark_slice(w, &s, k, text))
            return false;
    }
    struct exclusion *e = findings_add_exclusion(w->f);
    if (!e)
        return false;
    e->what = arena_printf(w->f->arena, "%s%u %s, %d HU", uncertain ? "?" : "x", number,
                           uncertain && l->artery != CALCIUM_UNASSIGNED
                               ? arena_printf(w->f->arena, "uncertain lesion, %s if it is one",
                                              calcium_arteries[l->artery].name)
                           : uncertain ? "uncertain lesion"
                                       : "not coronary",
                           l->amount.max);
    e->reason = calcium_reason_text(l->reason);
    e->has_place = true;
    e->place = (struct place){w->image, l->key_slice, 0};
    e->value = calcium_groups_score(score);
    return e->what != NULL;
}

// Uncertain lesions all, those that are not coronary as far as they matter; the rest in one
// number.
static bool add_others(struct calcium_writer *w)
{
    const struct calcium_lesion *list = w->lesions->list;
    const uint32_t others = w->lesions->number[CALCIUM_NOT_CORONARY];
    for (uint32_t i = 0; i < w->uncertain; i++) {
        if (!add_other(w, &list[w->counted + i], i + 1))
            return false;
    }
    uint32_t shown = 0;
    double rest = 0;
    for (uint32_t i = 0; i < others; i++) {
        const struct calcium_lesion *l = &list[w->counted + w->uncertain + i];
        const double score = calcium_agatston(w->rules, &l->amount);
        if (l->reason == CALCIUM_MASSIVE || l->reason == CALCIUM_AWAY)
            continue; // bone, ribs, spine
        if (shown < NAMED_MAX && score >= named_min) {
            if (!add_other(w, l, ++shown))
                return false;
        } else {
            rest += score;
        }
    }
    if (rest > 0 &&
        !findings_add_fact(w->f, "Not coronary and not named: %.1f Agatston together", rest))
        return false;
    if (!w->uncertain)
        return true;
    return findings_add_warning(
        w->f, "%u lesion%s uncertain: the score is a range, %.1f to %.1f; the largest: %.1f, %s",
        w->uncertain, w->uncertain > 1 ? "s" : "", calcium_agatston(w->rules, &w->total),
        calcium_agatston(w->rules, &w->possible),
        calcium_agatston(w->rules, &list[w->counted].amount),
        calcium_reason_text(list[w->counted].reason));
}

// What came nearest to a lesion, where the score is zero: the reader shall see what was left
// out.
static bool shows_faint(const struct calcium_writer *w)
{
    return !w->counted && w->lesions->faint_count;
}

static bool add_faint(struct calcium_writer *w)
{
    if (!shows_faint(w))
        return true;
    struct layer *layer = findings_add_layer(w->f);
    if (!layer)
        return false;
    *layer = (struct layer){"NOT COUNTED", "Too small to count", COLOUR_GREY, 1};
    const int number = (int)w->f->layer_count - 1;
    char place[64];
    const uint32_t shown =
        w->lesions->faint_count < CALCIUM_IMAGES_MAX ? w->lesions->faint_count : CALCIUM_IMAGES_MAX;
    for (uint32_t i = 0; i < shown; i++) {
        const struct calcium_focus *focus = &w->lesions->faint[i];
        const struct shape s = {focus->runs, focus->run_count, number, -1};
        if (!mark_slice(w, &s, focus->slice,
                        arena_printf(w->f->arena, "%s: %.1f mm2\nnot counted",
                                     calcium_arteries[focus->artery].name,
                                     focus->pixels * w->rules->pixel_area_mm2)))
            return false;
    }
    return findings_add_warning(
        w->f, "%u bright spot%s smaller than %.1f mm2 not counted: %s, %s, %d HU%s",
        w->lesions->faint_count, w->lesions->faint_count > 1 ? "s" : "", w->rules->min_area_mm2,
        calcium_arteries[w->lesions->faint[0].artery].name,
        calcium_writer_place(w, w->lesions->faint[0].slice, place), w->lesions->faint[0].max,
        w->lesions->faint_count > 1 ? " and others" : "");
}

bool calcium_marks_add(struct calcium_writer *w)
{
    return add_layers(w) && add_marks(w) && add_others(w) && add_faint(w);
}
