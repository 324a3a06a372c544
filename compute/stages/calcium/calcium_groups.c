#include "compute/stages/calcium/calcium_groups.h"
#include <string.h>
#include "compute/findings/colour.h"

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

static bool add_number(struct calcium_writer *w, uint32_t group, const struct code *concept,
                       double value, int decimals, const struct code *unit,
                       const struct code *method)
{
    struct measurement *m =
        findings_add_number(w->f, &w->f->groups[group], concept, value, decimals, unit, NULL);
    if (m && method)
        m->method = *method;
    return m;
}

static bool add_mass(struct calcium_writer *w, uint32_t group, const struct calcium_amount *least,
                     const struct calcium_amount *most)
{
    const double mg = calcium_mass_mg(w->rules, most);
    return add_number(w, group, &code_mass, calcium_mass_mg(w->rules, least),
                      calcium_writer_mass_decimals(w, mg), &unit_mg, &by_mass);
}

// The last measurement of a group lies between what is counted and what may be.
static void set_range(struct calcium_writer *w, uint32_t group, double high)
{
    struct finding_group *g = &w->f->groups[group];
    struct measurement *m = &g->measurements[g->measurement_count - 1];
    m->ranged = true;
    m->low = m->value;
    m->high = high;
    m->range_why = "uncertain and unassigned lesions counted or not";
}

static bool add_range(struct calcium_writer *w, uint32_t group, const struct calcium_amount *a,
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

static bool add_amount(struct calcium_writer *w, uint32_t group, const struct calcium_amount *a,
                       bool number)
{
    return add_number(w, group, &code_score, calcium_agatston(w->rules, a), 1, &unit_score,
                      &by_agatston) &&
           add_number(w, group, &code_volume, calcium_volume_mm3(w->rules, a), 1, &unit_mm3,
                      &by_volume) &&
           add_mass(w, group, a, a) &&
           (!number || add_number(w, group, &code_number, a->lesions, 0, &unit_pieces, NULL));
}

static struct finding_group *add_group(struct calcium_writer *w, const char *label,
                                       const struct code *site, int parent)
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

static bool add_regions(struct calcium_writer *w)
{
    for (int a = 0; a < CALCIUM_ARTERIES; a++) {
        w->artery_region[a] = -1;
        if (!w->artery[a].lesions)
            continue;
        struct region *r = findings_add_region(w->f);
        if (!r)
            return false;
        w->artery_region[a] = (int)w->f->region_count - 1;
        *r = (struct region){.label =
                                 arena_printf(w->f->arena, "%s calcium", calcium_arteries[a].name),
                             .category = abnormal,
                             .type = calcification,
                             .site = calcium_arteries[a].site,
                             .automatic = true,
                             .group = a + 1};
        memcpy(r->rgb, calcium_arteries[a].rgb, sizeof r->rgb);
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

static bool paint_regions(struct calcium_writer *w)
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

// What a group of an amount claims: nothing while all of it is uncertain.
static struct code finding_of(const struct calcium_amount *least, const struct calcium_amount *most)
{
    static const struct code open = {NULL, NULL, NULL};
    return least->lesions ? calcification : most->lesions ? open : nothing;
}

// All arteries first, then each of them, then each lesion.
static bool add_groups(struct calcium_writer *w)
{
    struct finding_group *g = add_group(w, "Coronary arteries", &all_arteries, -1);
    if (!g || !(w->uncertain ? add_range(w, 0, &w->total, &w->possible)
                             : add_amount(w, 0, &w->total, true)))
        return false;
    w->f->groups[0].finding = finding_of(&w->total, &w->possible);
    for (int a = 0; a < CALCIUM_ARTERIES; a++) {
        if (a == CALCIUM_UNASSIGNED && !w->artery[a].lesions)
            continue;
        g = add_group(w, calcium_arteries[a].name, &calcium_arteries[a].site, 0);
        if (!g)
            return false;
        g->region = w->artery_region[a];
        w->artery_group[a] = (int)w->f->group_count - 1;
        const struct calcium_amount *least = &w->artery[a], most = calcium_writer_most(w, a);
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
        const char *label = arena_printf(w->f->arena, "%s lesion %u",
                                         calcium_arteries[l->artery].name, w->number[i]);
        g = add_group(w, label, &calcium_arteries[l->artery].site, w->artery_group[l->artery]);
        if (!g)
            return false;
        g->has_key = true;
        g->key = (struct place){w->image, l->key_slice, 0};
        if (!add_amount(w, w->f->group_count - 1, &l->amount, false))
            return false;
    }
    return true;
}

bool calcium_groups_add(struct calcium_writer *w)
{
    return add_regions(w) && paint_regions(w) && add_groups(w);
}

struct measurement calcium_groups_score(double agatston)
{
    return (struct measurement){.concept = code_score,
                                .value = agatston,
                                .decimals = 1,
                                .unit = unit_score,
                                .method = by_agatston,
                                .region = -1};
}
