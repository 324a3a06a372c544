#include "compute/stages/calcium/calcium_report.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "compute/findings/colour.h"
#include "compute/findings/outline.h"
#include "compute/stages/calcium/calcium_noise.h"

// Sources: PS3.16 CID 3015 (arteries), 6140 (methods), 6142 (calcium scores), 3802, 7150; UCUM.
static const struct code code_score = {"450360000", "SCT", "Coronary artery calcium score"};
static const struct code code_volume = {"122660", "DCM", "Calcium Volume"};
static const struct code code_mass = {"122661", "DCM", "Calcium Mass"};
static const struct code code_number = {"111038", "DCM", "Number of calcifications"};
static const struct code by_agatston = {"112055", "DCM", "Agatston scoring method"};
static const struct code by_volume = {"112056", "DCM", "Volume scoring method"};
static const struct code by_mass = {"112057", "DCM", "Mass scoring method"};
static const struct code unit_score = {"{score}", "UCUM", "score"};
static const struct code unit_mm3 = {"mm3", "UCUM", "cubic millimeter"};
static const struct code unit_mg = {"mg", "UCUM", "milligram"};
// Not "1", which viewers show beside a value that they leave blank when it is nought.
static const struct code unit_pieces = {"{calcifications}", "UCUM", "calcifications"};
static const struct code nothing = {"260413007", "SCT", "None"}; // CID 606
static const struct code calcification = {"18115005", "SCT", "pathologic calcification"};
static const struct code all_arteries = {"41801008", "SCT", "Coronary Artery"};
static const struct code abnormal = {"49755003", "SCT", "Morphologically Abnormal Structure"};
static const struct code anatomical = {"123037004", "SCT", "Anatomical Structure"};
static const struct code heart_code = {"80891009", "SCT", "Heart"};
static const struct code category = {"CAC-DRS", "99ANODE", "CAC-DRS category"}; // no code exists

static const struct {
    const char *name, *description;
    struct code site;
    uint8_t rgb[3];
} arteries[CALCIUM_ARTERIES] = {
    {"LM",
     "Left main coronary artery",
     {"3227004", "SCT", "Left Main Coronary Artery"},
     COLOUR_YELLOW},
    {"LAD",
     "Left anterior descending coronary artery",
     {"59438005", "SCT", "Left Anterior Descending Coronary Artery"},
     COLOUR_GREEN},
    {"LCX",
     "Circumflex coronary artery",
     {"57396003", "SCT", "Circumflex Coronary Artery"},
     COLOUR_SKY},
    {"RCA",
     "Right coronary artery",
     {"13647002", "SCT", "Right Coronary Artery"},
     COLOUR_VERMILION},
    {"UNASSIGNED",
     "Coronary artery that cannot be told",
     {"41801008", "SCT", "Coronary Artery"},
     COLOUR_VIOLET},
};

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

#define IMAGES_MAX  12
#define LESIONS_MAX 40 // in the table
#define TEXT_WIDTH  90 // pixels that a label takes at most

struct writer {
    struct findings *f;
    const struct image_set *set;
    uint32_t image; // index in the set
    const struct image *v;
    const struct anatomy_heart *heart;
    const struct calcium_rules *rules;
    const struct calcium_lesions *lesions;
    struct calcium_amount artery[CALCIUM_ARTERIES], total, possible; // possible: uncertain ones too
    uint32_t counted, uncertain;                                     // lesions
    const struct calcium_context *context;
    int artery_group[CALCIUM_ARTERIES], artery_region[CALCIUM_ARTERIES];
    uint32_t lesion_group; // of the first lesion
    uint32_t *number;      // of each lesion in its artery, from 1
};

static bool add_number(struct writer *w, uint32_t group, const struct code *concept, double value,
                       int decimals, const struct code *unit, const struct code *method)
{
    struct finding_group *g = &w->f->groups[group];
    struct measurement *m = findings_add_measurement(w->f, g);
    if (!m)
        return false;
    m->concept = *concept;
    m->value = value;
    m->decimals = decimals;
    m->unit = *unit;
    m->region = g->region;
    if (method)
        m->method = *method;
    return true;
}

// Digits after the point. A factor that is assumed may be wrong by a fifth: two figures of the mass
// are all that it allows.
static int mass_decimals(const struct writer *w, double mg)
{
    if (w->context->calibrated)
        return 2;
    return mg >= 10 ? 0 : mg >= 1 ? 1 : 2;
}

static bool add_mass(struct writer *w, uint32_t group, const struct calcium_amount *least,
                     const struct calcium_amount *most)
{
    const double mg = calcium_mass_mg(w->rules, most);
    return add_number(w, group, &code_mass, calcium_mass_mg(w->rules, least), mass_decimals(w, mg),
                      &unit_mg, &by_mass);
}

// The last measurement of a group lies between what is counted and what may be.
static void set_range(struct writer *w, uint32_t group, double high)
{
    struct finding_group *g = &w->f->groups[group];
    struct measurement *m = &g->measurements[g->measurement_count - 1];
    m->ranged = true;
    m->low = m->value;
    m->high = high;
    m->range_why = "uncertain and unassigned lesions counted or not";
}

static bool add_range(struct writer *w, uint32_t group, const struct calcium_amount *a,
                      const struct calcium_amount *b)
{
    bool ok = add_number(w, group, &code_score, calcium_agatston(w->rules, a), 1, &unit_score,
                         &by_agatston);
    if (ok)
        set_range(w, group, calcium_agatston(w->rules, b));
    ok = ok && add_number(w, group, &code_volume, calcium_volume_mm3(w->rules, a), 1, &unit_mm3,
                          &by_volume);
    if (ok)
        set_range(w, group, calcium_volume_mm3(w->rules, b));
    ok = ok && add_mass(w, group, a, b);
    if (ok)
        set_range(w, group, calcium_mass_mg(w->rules, b));
    ok = ok && add_number(w, group, &code_number, a->lesions, 0, &unit_pieces, NULL);
    if (ok)
        set_range(w, group, b->lesions);
    return ok;
}

static bool add_amount(struct writer *w, uint32_t group, const struct calcium_amount *a,
                       bool number)
{
    return add_number(w, group, &code_score, calcium_agatston(w->rules, a), 1, &unit_score,
                      &by_agatston) &&
           add_number(w, group, &code_volume, calcium_volume_mm3(w->rules, a), 1, &unit_mm3,
                      &by_volume) &&
           add_mass(w, group, a, a) &&
           (!number || add_number(w, group, &code_number, a->lesions, 0, &unit_pieces, NULL));
}

static struct finding_group *add_group(struct writer *w, const char *label, const struct code *site,
                                       int parent)
{
    struct finding_group *g = findings_add_group(w->f);
    if (!g || !label)
        return NULL;
    g->label = label;
    g->finding = calcification;
    g->site = *site;
    g->parent = parent;
    return g;
}

static bool add_regions(struct writer *w)
{
    for (int a = 0; a < CALCIUM_ARTERIES; a++) {
        w->artery_region[a] = -1;
        if (!w->artery[a].lesions)
            continue;
        struct region *r = findings_add_region(w->f);
        if (!r)
            return false;
        w->artery_region[a] = (int)w->f->region_count - 1;
        *r = (struct region){.label = arena_printf(w->f->arena, "%s calcium", arteries[a].name),
                             .category = abnormal,
                             .type = calcification,
                             .site = arteries[a].site,
                             .automatic = true,
                             .group = a + 1};
        memcpy(r->rgb, arteries[a].rgb, sizeof r->rgb);
        if (!r->label)
            return false;
    }
    struct region *r = findings_add_region(w->f);
    if (!r)
        return false;
    *r = (struct region){.label = "Heart region searched",
                         .category = anatomical,
                         .type = heart_code,
                         .rgb = COLOUR_VIOLET,
                         .role = REGION_SEARCHED,
                         .automatic = true,
                         .group = -1};
    return true;
}

static void painted_slice(struct label_map *map, uint32_t k)
{
    map->slices[0] = k < map->slices[0] ? k : map->slices[0];
    map->slices[1] = k + 1 > map->slices[1] ? k + 1 : map->slices[1];
}

static bool paint_regions(struct writer *w)
{
    const struct image *v = w->v;
    const uint16_t heart = (uint16_t)w->f->region_count;
    struct label_map *map = findings_add_labels(w->f, w->set, w->image, 0);
    if (!map)
        return false;
    uint16_t *labels = map->labels;
    const struct anatomy_grid *g = &w->heart->grid;
    const uint32_t rows = v->dim[1] > 0 ? v->dim[1] : 1;
    map->slices[0] = v->dim[2];
    map->slices[1] = 0;
    for (uint32_t k = 0; k < v->dim[2]; k++) {
        for (uint32_t j = 0; j < v->dim[1]; j++) {
            uint16_t *row = labels + ((size_t)k * v->dim[1] + j) * v->dim[0];
            for (uint32_t i = 0, end; i < v->dim[0]; i = end) {
                end = anatomy_grid_end(g, i);
                if (!w->heart->region[anatomy_grid_at(g, i, j, k)])
                    continue;
                for (uint32_t x = i; x < end; x++)
                    row[x] = heart;
                painted_slice(map, k);
            }
        }
    }
    for (uint32_t i = 0; i < w->lesions->run_count; i++) {
        const struct component_run *r = &w->lesions->runs[i];
        if (r->label > w->counted)
            break; // runs come in the order of lesions
        int region = w->artery_region[w->lesions->list[r->label - 1].artery];
        painted_slice(map, r->row / rows);
        for (uint32_t x = r->x0; x <= r->x1; x++)
            labels[(size_t)r->row * v->dim[0] + x] = (uint16_t)(region + 1);
    }
    return true;
}

// What may be an artery's: its own lesions, uncertain ones there, and all that no artery is told
// of.
static struct calcium_amount most_of(const struct writer *w, int artery)
{
    struct calcium_amount most = {0};
    for (uint32_t i = 0; i < w->counted + w->uncertain; i++) {
        const struct calcium_lesion *l = &w->lesions->list[i];
        const bool open = l->artery == CALCIUM_UNASSIGNED && artery != CALCIUM_UNASSIGNED;
        if ((int)l->artery == artery || open)
            calcium_add(&most, &l->amount);
    }
    return most;
}

// What a group of an amount claims: nothing while all of it is uncertain.
static struct code finding_of(const struct calcium_amount *least, const struct calcium_amount *most)
{
    static const struct code open = {NULL, NULL, NULL};
    return least->lesions ? calcification : most->lesions ? open : nothing;
}

// All arteries first, then each of them, then each lesion.
static bool add_groups(struct writer *w)
{
    struct finding_group *g = add_group(w, "Coronary arteries", &all_arteries, -1);
    if (!g || !(w->uncertain ? add_range(w, 0, &w->total, &w->possible)
                             : add_amount(w, 0, &w->total, true)))
        return false;
    w->f->groups[0].finding = finding_of(&w->total, &w->possible);
    for (int a = 0; a < CALCIUM_ARTERIES; a++) {
        if (a == CALCIUM_UNASSIGNED && !w->artery[a].lesions)
            continue;
        g = add_group(w, arteries[a].name, &arteries[a].site, 0);
        if (!g)
            return false;
        g->region = w->artery_region[a];
        w->artery_group[a] = (int)w->f->group_count - 1;
        const struct calcium_amount *least = &w->artery[a], most = most_of(w, a);
        if (!(most.lesions > least->lesions
                  ? add_range(w, (uint32_t)w->artery_group[a], least, &most)
                  : add_amount(w, (uint32_t)w->artery_group[a], least, true)))
            return false;
        w->f->groups[w->artery_group[a]].finding = finding_of(least, &most);
    }
    w->lesion_group = w->f->group_count;
    uint32_t next[CALCIUM_ARTERIES] = {0};
    w->number = arena_alloc(w->f->arena, w->counted + 1, sizeof *w->number);
    if (!w->number)
        return false;
    for (uint32_t i = 0; i < w->counted; i++) {
        const struct calcium_lesion *l = &w->lesions->list[i];
        w->number[i] = ++next[l->artery];
        const char *label =
            arena_printf(w->f->arena, "%s lesion %u", arteries[l->artery].name, w->number[i]);
        g = add_group(w, label, &arteries[l->artery].site, w->artery_group[l->artery]);
        if (!g)
            return false;
        g->has_key = true;
        g->key = (struct place){w->image, l->key_slice, 0};
        if (!add_amount(w, w->f->group_count - 1, &l->amount, false))
            return false;
    }
    return true;
}

static bool add_layers(struct writer *w)
{
    for (int a = 0; a < CALCIUM_ARTERIES; a++) {
        struct layer *l = findings_add_layer(w->f);
        if (!l)
            return false;
        l->name = arteries[a].name;
        l->description = arteries[a].description;
        memcpy(l->rgb, arteries[a].rgb, sizeof l->rgb);
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

// A label beside what lies within lo..hi on slice k: right of it, or left at the edge of the image.
static bool add_text(struct writer *w, const struct shape *s, uint32_t k, const uint32_t lo[2],
                     const uint32_t hi[2], const char *text)
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
static bool mark_slice(struct writer *w, const struct shape *s, uint32_t k, const char *text)
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
static bool mark_lesion(struct writer *w, uint32_t lesion, uint32_t k)
{
    const struct calcium_lesion *l = &w->lesions->list[lesion];
    const struct shape s = {w->lesions->runs + l->first_run, l->run_count, (int)l->artery,
                            (int)(w->lesion_group + lesion)};
    const char *name = arteries[l->artery].name;
    const uint32_t number = w->number[lesion];
    const char *text = k == l->key_slice ? arena_printf(w->f->arena, "%s %u: %.1f", name, number,
                                                        calcium_agatston(w->rules, &l->amount))
                                         : arena_printf(w->f->arena, "%s %u", name, number);
    return mark_slice(w, &s, k, text);
}

// The key slice of a lesion comes first: some viewers show nothing else.
static bool add_marks(struct writer *w)
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

// A lesion that does not count, or may not: its outlines, and what it would add, with the reason.
static bool add_other(struct writer *w, const struct calcium_lesion *l, uint32_t number)
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
                                              arteries[l->artery].name)
                           : uncertain ? "uncertain lesion"
                                       : "not coronary",
                           l->amount.max);
    e->reason = calcium_reason_text(l->reason);
    e->has_place = true;
    e->place = (struct place){w->image, l->key_slice, 0};
    e->value = (struct measurement){.concept = code_score,
                                    .value = score,
                                    .decimals = 1,
                                    .unit = unit_score,
                                    .method = by_agatston,
                                    .region = -1};
    return e->what != NULL;
}

// Uncertain lesions all, those that are not coronary as far as they matter; the rest in one number.
static bool add_others(struct writer *w)
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

// How viewers name slice k.
static const char *calcium_place_text(const struct writer *w, uint32_t k, char text[64])
{
    image_place_name(w->set, w->image, k, 0, text, 64);
    return text;
}

// What came nearest to a lesion, where the score is zero: the reader shall see what was left out.
static bool shows_faint(const struct writer *w)
{
    return !w->counted && w->lesions->faint_count;
}

static bool add_faint(struct writer *w)
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
        w->lesions->faint_count < IMAGES_MAX ? w->lesions->faint_count : IMAGES_MAX;
    for (uint32_t i = 0; i < shown; i++) {
        const struct calcium_focus *focus = &w->lesions->faint[i];
        const struct shape s = {focus->runs, focus->run_count, number, -1};
        if (!mark_slice(w, &s, focus->slice,
                        arena_printf(w->f->arena, "%s: %.1f mm2\nnot counted",
                                     arteries[focus->artery].name,
                                     focus->pixels * w->rules->pixel_area_mm2)))
            return false;
    }
    return findings_add_warning(
        w->f, "%u bright spot%s smaller than %.1f mm2 not counted: %s, %s, %d HU%s",
        w->lesions->faint_count, w->lesions->faint_count > 1 ? "s" : "", w->rules->min_area_mm2,
        arteries[w->lesions->faint[0].artery].name,
        calcium_place_text(w, w->lesions->faint[0].slice, place), w->lesions->faint[0].max,
        w->lesions->faint_count > 1 ? " and others" : "");
}

// "12.0 to 31.5", or one number where both are the same. NULL: no memory.
static const char *span_text(const struct writer *w, double low, double high, int decimals)
{
    return high > low ? arena_printf(w->f->arena, "%.*f to %.*f", decimals, low, decimals, high)
                      : arena_printf(w->f->arena, "%.*f", decimals, low);
}

static bool add_table(struct writer *w)
{
    static const char *const head[] = {"Artery", "Lesions", "Agatston", "Volume mm3", "Mass mg"};
    enum { COLUMNS = 5, ROWS = CALCIUM_ARTERIES + 2 };
    struct page_table *t = findings_add_table(w->f, "Coronary calcium", ROWS, COLUMNS);
    const char **cells = arena_alloc(w->f->arena, COLUMNS * ROWS, sizeof *cells);
    if (!t || !cells)
        return false;
    memcpy(cells, head, sizeof head);
    for (int r = 1; r < ROWS; r++) {
        const bool last = r == ROWS - 1;
        const struct calcium_amount *a = last ? &w->total : &w->artery[r - 1];
        const char **row = cells + r * COLUMNS;
        const struct calcium_amount most = last ? w->possible : most_of(w, r - 1);
        const double mg = calcium_mass_mg(w->rules, &most);
        row[0] = last                          ? "Total"
                 : r - 1 == CALCIUM_UNASSIGNED ? "Artery not told"
                                               : arteries[r - 1].name;
        row[1] = span_text(w, a->lesions, most.lesions, 0);
        row[2] = span_text(w, calcium_agatston(w->rules, a), calcium_agatston(w->rules, &most), 1);
        row[3] =
            span_text(w, calcium_volume_mm3(w->rules, a), calcium_volume_mm3(w->rules, &most), 1);
        row[4] = span_text(w, calcium_mass_mg(w->rules, a), mg, mass_decimals(w, mg));
        if (!row[1] || !row[2] || !row[3] || !row[4])
            return false;
    }
    t->cells = cells;
    t->total = true;
    return true;
}

// What the classes mean (CAC-DRS, J Cardiovasc Comput Tomogr 2018;12:185), and that of this scan.
static bool add_legend(struct writer *w)
{
    static const char *const classes[][3] = {
        {"A0", "0", "very low"},
        {"A1", "above 0, below 100", "mildly increased"},
        {"A2", "100, below 300", "moderately increased"},
        {"A3", "300 and above", "moderately to severely increased"},
    };
    enum { CLASSES = sizeof classes / sizeof *classes };
    const bool given = calcium_noise_allows_category(w->heart->noise_hu);
    char low[16], high[16];
    calcium_category(calcium_agatston(w->rules, &w->total), 0, low, sizeof low);
    calcium_category(calcium_agatston(w->rules, &w->possible), 0, high, sizeof high);
    struct page_table *t = findings_add_table(w->f, "CAC-DRS", CLASSES + 1, 4);
    bool ok = t && findings_set_cell(w->f, t, 0, 0, "Class") &&
              findings_set_cell(w->f, t, 0, 1, "Agatston") &&
              findings_set_cell(w->f, t, 0, 2, "Risk") &&
              findings_set_cell(w->f, t, 0, 3, "This scan");
    for (int r = 0; ok && r < CLASSES; r++) {
        const bool here = given && low[1] - '0' <= r && r <= high[1] - '0';
        for (uint32_t c = 0; ok && c < 3; c++)
            ok = findings_set_cell(w->f, t, (uint32_t)r + 1, c, "%s", classes[r][c]);
        ok = ok && findings_set_cell(w->f, t, (uint32_t)r + 1, 3, "%s",
                                     !here               ? ""
                                     : low[1] == high[1] ? "\u25cf"
                                                         : "\u25cf possible");
    }
    return ok && findings_add_fact(w->f, "CAC-DRS /N is the number of arteries with calcium (LM, "
                                         "LAD, LCX, RCA); it is not given while one is not told");
}

// Lesion by lesion, as they are numbered in the images.
static bool add_lesion_table(struct writer *w)
{
    static const char *const head[] = {"Lesion",   "Where",      "HU",
                                       "Agatston", "Volume mm3", "Mass mg"};
    enum { COLUMNS = 6 };
    const uint32_t shown = w->counted < LESIONS_MAX ? w->counted : LESIONS_MAX;
    if (!shown)
        return true;
    const uint32_t rows = 1 + shown + (shown < w->counted);
    struct page_table *t = findings_add_table(w->f, "Counted lesions", rows, COLUMNS);
    bool ok = t != NULL;
    for (uint32_t c = 0; ok && c < COLUMNS; c++)
        ok = findings_set_cell(w->f, t, 0, c, "%s", head[c]);
    for (uint32_t i = 0; ok && i < shown; i++) {
        const struct calcium_lesion *l = &w->lesions->list[i];
        const double mg = calcium_mass_mg(w->rules, &l->amount);
        char place[64];
        ok = findings_set_cell(w->f, t, i + 1, 0, "%s %u",
                               l->artery == CALCIUM_UNASSIGNED ? "not told"
                                                               : arteries[l->artery].name,
                               w->number[i]) &&
             findings_set_cell(w->f, t, i + 1, 1, "%s",
                               calcium_place_text(w, l->key_slice, place)) &&
             findings_set_cell(w->f, t, i + 1, 2, "%d", l->amount.max) &&
             findings_set_cell(w->f, t, i + 1, 3, "%.1f", calcium_agatston(w->rules, &l->amount)) &&
             findings_set_cell(w->f, t, i + 1, 4, "%.1f",
                               calcium_volume_mm3(w->rules, &l->amount)) &&
             findings_set_cell(w->f, t, i + 1, 5, "%.*f", mass_decimals(w, mg), mg);
    }
    if (ok && shown < w->counted)
        ok = findings_set_cell(w->f, t, rows - 1, 0, "and %u more", w->counted - shown);
    return ok;
}

// Where the score stands among people of the same age and sex.
static bool add_percentile(struct writer *w)
{
    static const struct code concept = {"121415", "DCM", "Percentile Ranking of measurement"};
    const struct calcium_context *c = w->context;
    char text[96];
    if (!c->row)
        return true;
    calcium_percentile_text(c->row, calcium_agatston(w->rules, &w->total),
                            calcium_agatston(w->rules, &w->possible), text, sizeof text);
    struct evaluation *e = findings_add_evaluation(w->f, NULL);
    if (!e)
        return false;
    *e = (struct evaluation){.concept = concept,
                             .text = arena_printf(w->f->arena, "%s of %s", text, c->people)};
    return e->text && findings_add_fact(w->f, "Score %s", e->text);
}

// The heart's box on the image with some room, as a square.
static void heart_box(const struct writer *w, double box[4])
{
    const struct anatomy_heart *h = w->heart;
    const struct image *v = w->v;
    double lo[2] = {INFINITY, INFINITY}, hi[2] = {0, 0};
    const uint32_t step =
        h->grid.factor[0] < h->grid.factor[1] ? h->grid.factor[0] : h->grid.factor[1];
    for (uint32_t k = 0; k < v->dim[2]; k += h->grid.factor[2]) {
        for (uint32_t j = 0; j < v->dim[1]; j += step) {
            for (uint32_t i = 0; i < v->dim[0]; i += step) {
                if (!h->region[anatomy_grid_at(&h->grid, i, j, k)])
                    continue;
                lo[0] = fmin(lo[0], i);
                hi[0] = fmax(hi[0], i);
                lo[1] = fmin(lo[1], j);
                hi[1] = fmax(hi[1], j);
            }
        }
    }
    double side = fmax((hi[0] - lo[0]) * v->spacing[0], (hi[1] - lo[1]) * v->spacing[1]) + 50;
    for (int a = 0; a < 2; a++) {
        double pixels = fmin(round(side / v->spacing[a]), v->dim[a]);
        double first = round((lo[a] + hi[a]) / 2 - pixels / 2);
        box[a] = fmin(fmax(first, 0), v->dim[a] - pixels);
        box[a + 2] = pixels;
    }
}

// The slices with most calcium, from the head down. Without calcium three through the heart and
// those of what was too small.
static uint32_t choose_slices(const struct writer *w, uint32_t *slices)
{
    const struct image *v = w->v;
    uint32_t count = 0;
    if (!w->counted && !w->uncertain) {
        const struct anatomy_grid *g = &w->heart->grid;
        for (int step = -1; step <= 1; step++) {
            double z = w->heart->peak[2] + step * 0.6 * w->heart->radius_mm / g->mm[2];
            z = fmin(fmax(z, 0), g->dim[2] - 1);
            const double xyz[3] = {0, 0, z};
            double ijk[3];
            anatomy_grid_to_voxel(g, xyz, ijk);
            slices[count++] = (uint32_t)fmin(ijk[2], v->dim[2] - 1);
        }
        for (uint32_t i = 0; i < w->lesions->faint_count && count < IMAGES_MAX; i++) {
            const uint32_t k = w->lesions->faint[i].slice;
            bool known = false;
            for (uint32_t n = 0; n < count; n++)
                known = known || slices[n] == k;
            if (!known)
                slices[count++] = k;
        }
        return count;
    }
    uint32_t *pixels = arena_alloc(w->f->arena, v->dim[2], sizeof *pixels);
    if (!pixels)
        return 0;
    for (uint32_t i = 0; i < w->lesions->run_count; i++) {
        const struct component_run *r = &w->lesions->runs[i];
        if (r->label > w->counted + w->uncertain)
            break;
        pixels[r->row / v->dim[1]] += r->x1 - r->x0 + 1u;
    }
    while (count < IMAGES_MAX) {
        uint32_t best = 0;
        for (uint32_t k = 1; k < v->dim[2]; k++)
            best = pixels[k] > pixels[best] ? k : best;
        if (!pixels[best])
            break;
        pixels[best] = 0;
        uint32_t at = count++;
        for (; at > 0 && slices[at - 1] < best; at--) // from the head down
            slices[at] = slices[at - 1];
        slices[at] = best;
    }
    return count;
}

static bool add_images(struct writer *w)
{
    uint32_t slices[IMAGES_MAX];
    const uint32_t count = choose_slices(w, slices);
    if (!count)
        return false;
    double box[4];
    heart_box(w, box);
    for (uint32_t i = 0; i < count; i++) {
        const double ijk[3] = {0, 0, slices[i]};
        double mm[3];
        char place[64];
        struct page_image *image = findings_add_image(w->f);
        if (!image)
            return false;
        image_to_patient(w->v, ijk, mm);
        image->place = (struct place){w->image, slices[i], 0};
        memcpy(image->box, box, sizeof box);
        image->window[0] = 200;
        image->window[1] = 1000;
        image->caption = arena_printf(w->f->arena, "%s, z %.1f mm",
                                      calcium_place_text(w, slices[i], place), mm[2]);
        if (!image->caption)
            return false;
    }
    return true;
}

// "A1/N2", "A1" where not all arteries are known, "A1 to A3" where the score is a range; none where
// noise makes the score an estimate.
static const char *category_text(const struct writer *w)
{
    if (!calcium_noise_allows_category(w->heart->noise_hu))
        return arena_printf(w->f->arena, "not given: noise of %.0f HU", w->heart->noise_hu);
    unsigned with = 0;
    for (int a = 0; a < CALCIUM_UNASSIGNED; a++)
        with += w->artery[a].lesions > 0;
    char low[16], high[16];
    calcium_category(calcium_agatston(w->rules, &w->total), with, low, sizeof low);
    calcium_category(calcium_agatston(w->rules, &w->possible), with, high, sizeof high);
    if (w->artery[CALCIUM_UNASSIGNED].lesions || w->uncertain) {
        low[strcspn(low, "/")] = '\0';
        high[strcspn(high, "/")] = '\0';
    }
    return strcmp(low, high) == 0 ? arena_printf(w->f->arena, "%s", low)
                                  : arena_printf(w->f->arena, "%s to %s", low, high);
}

static bool add_summary(struct writer *w)
{
    const double score = calcium_agatston(w->rules, &w->total);
    const char *note = w->context->estimate ? " (estimate)" : "", *class = category_text(w);
    struct evaluation *e = findings_add_evaluation(w->f, NULL);
    if (!e || !class)
        return false;
    *e = (struct evaluation){.concept = category,
                             .text = arena_printf(w->f->arena, "CAC-DRS %s%s", class, note)};
    w->f->page.headline =
        w->uncertain
            ? arena_printf(w->f->arena, "Agatston %.1f to %.1f   CAC-DRS %s%s", score,
                           calcium_agatston(w->rules, &w->possible), class, note)
            : arena_printf(w->f->arena, "Agatston %.1f   CAC-DRS %s%s", score, class, note);
    const bool any = w->total.lesions || w->uncertain;
    w->f->verdict = any ? VERDICT_DONE : VERDICT_NOTHING_FOUND;
    w->f->reason =
        any ? ""
            : arena_printf(w->f->arena, "no coronary calcium of %g HU and %g mm2 or more",
                           w->rules->threshold_hu, w->rules->min_area_mm2);
    return e->text && w->f->page.headline && w->f->reason;
}

static bool add_priors(struct writer *w)
{
    struct calcium_now now = w->context->now;
    now.low = calcium_agatston(w->rules, &w->total);
    now.high = calcium_agatston(w->rules, &w->possible);
    return calcium_prior_report(w->f, w->context->priors, w->context->prior_count, &now);
}

bool calcium_report(struct findings *f, const struct image_set *set, uint32_t image,
                    const struct anatomy_heart *heart, const struct calcium_rules *rules,
                    const struct calcium_lesions *lesions, const struct calcium_context *context,
                    struct err *err)
{
    struct writer w = {.f = f,
                       .set = set,
                       .image = image,
                       .v = &set->images[image],
                       .heart = heart,
                       .rules = rules,
                       .lesions = lesions,
                       .context = context};
    w.counted = lesions->number[CALCIUM_COUNTED];
    w.uncertain = lesions->number[CALCIUM_UNCERTAIN];
    for (uint32_t i = 0; i < w.counted + w.uncertain; i++) {
        const struct calcium_lesion *l = &lesions->list[i];
        calcium_add(&w.possible, &l->amount);
        if (i >= w.counted)
            continue;
        calcium_add(&w.artery[l->artery], &l->amount);
        calcium_add(&w.total, &l->amount);
    }
    if (add_regions(&w) && paint_regions(&w) && add_groups(&w) && add_layers(&w) && add_marks(&w) &&
        add_others(&w) && add_faint(&w) && add_table(&w) && add_legend(&w) && add_priors(&w) &&
        add_lesion_table(&w) && add_images(&w) && add_summary(&w) && add_percentile(&w))
        return true;
    return err_set(err, ERR_NOMEM, "calcium: report");
}
