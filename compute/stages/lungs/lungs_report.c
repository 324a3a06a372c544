#include "compute/stages/lungs/lungs_report.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/findings/colour.h"
#include "compute/findings/outline.h"

// Sources: PS3.16 CID 7192 (regions), 244 (laterality), 7469 (measurements), 7464 (mean), 7150;
// UCUM. The density indices have no code of a standard, and PS3.16 none for one lung: lung and
// laterality are two codes.
static const struct code code_volume = {"118565006", "SCT", "Volume"};
static const struct code code_hu = {"112031", "DCM", "Attenuation Coefficient"};
static const struct code code_mean = {"373098007", "SCT", "Mean"};
static const struct code code_950 = {"LAA-950", "99ANODE", "Lung below -950 HU"};
static const struct code code_910 = {"LAA-910", "99ANODE", "Lung below -910 HU"};
static const struct code code_perc15 = {"PERC15", "99ANODE", "15th percentile of lung density"};
static const struct code unit_ml = {"mL", "UCUM", "milliliter"};
static const struct code unit_hu = {"[hnsf'U]", "UCUM", "Hounsfield unit"};
static const struct code unit_percent = {"%", "UCUM", "percent"};
static const struct code anatomical = {"123037004", "SCT", "Anatomical Structure"};
static const struct code lung_code = {"39607008", "SCT", "Lung"};
static const struct code airways_code = {"110726009", "SCT", "Trachea and bronchus"};

enum { AIRWAYS = LUNGS_SIDES, REGIONS };

static const struct {
    const char *name, *layer;
    struct code laterality;
    uint8_t rgb[3];
} regions[REGIONS] = {
    {"Right lung", "RIGHT LUNG", {"24028007", "SCT", "Right"}, COLOUR_SKY},
    {"Left lung", "LEFT LUNG", {"7771000", "SCT", "Left"}, COLOUR_VERMILION},
    {"Trachea and main bronchi", "", {0}, COLOUR_GREEN},
};

#define SHOWN 3 // slices on the page, marked

static const double step_hu = 5, lowest_hu = -1050, highest_hu = 0; // of the curve

struct writer {
    struct findings *f;
    const struct image_set *set;
    uint32_t image; // index in the set
    const struct image *v;
    const struct lungs_result *r;
    uint16_t *labels;
    uint32_t *area;         // [REGIONS][slices]
    uint32_t slices[SHOWN]; // from the head down
    uint32_t shown;
};

// ---- Regions ------------------------------------------------------------------------------------

static bool add_lung_regions(struct writer *w)
{
    for (int n = 0; n < REGIONS; n++) {
        struct region *r = findings_add_region(w->f);
        if (!r)
            return false;
        *r = (struct region){.label = regions[n].name,
                             .category = anatomical,
                             .type = n == AIRWAYS ? airways_code : lung_code,
                             .laterality = regions[n].laterality,
                             .role = n == AIRWAYS ? REGION_SEARCHED : REGION_FOUND,
                             .group = n == AIRWAYS ? -1 : n + 1,
                             .automatic = true};
        memcpy(r->rgb, regions[n].rgb, sizeof r->rgb);
    }
    return true;
}

static void paint_word(struct writer *w, int n, uint32_t word, size_t at)
{
    for (; word; word &= word - 1)
        w->labels[at + (unsigned)__builtin_ctz(word)] = (uint16_t)(n + 1);
}

static bool paint_region(struct writer *w, int n, const struct gpu_mask *m, struct err *err)
{
    uint32_t *words = malloc((size_t)m->slice * m->dim[2] * sizeof *words);
    if (!words)
        return err_set(err, ERR_NOMEM, "lungs: no memory for a mask");
    const bool ok = gpu_mask_read_words(m, 0, m->dim[2], words, err);
    for (uint32_t k = 0; ok && k < m->dim[2]; k++) {
        for (uint32_t j = 0; j < m->dim[1]; j++) {
            const uint32_t *row = words + (size_t)k * m->slice + (size_t)j * m->row;
            const size_t at = ((size_t)k * m->dim[1] + j) * m->dim[0];
            for (uint32_t i = 0; i * 32 < m->dim[0]; i++) {
                w->area[(size_t)n * m->dim[2] + k] += (uint32_t)__builtin_popcount(row[i]);
                paint_word(w, n, row[i], at + i * 32);
            }
        }
    }
    free(words);
    return ok;
}

static bool paint_lungs(struct writer *w, struct err *err)
{
    const struct label_map *map = findings_add_labels(w->f, w->set, w->image, 0);
    w->area = arena_alloc(w->f->arena, (size_t)REGIONS * w->v->dim[2], sizeof *w->area);
    if (!map || !w->area)
        return err_set(err, ERR_NOMEM, "lungs: no memory for the label map");
    w->labels = map->labels;
    return paint_region(w, AIRWAYS, w->r->lungs->airways, err) &&
           paint_region(w, LUNGS_RIGHT, w->r->lungs->side[LUNGS_RIGHT], err) &&
           paint_region(w, LUNGS_LEFT, w->r->lungs->side[LUNGS_LEFT], err);
}

static uint32_t area_in(const struct writer *w, int n, uint32_t k)
{
    return w->area[(size_t)n * w->v->dim[2] + k];
}

static uint32_t largest_slice(const struct writer *w, int n)
{
    uint32_t best = 0;
    for (uint32_t k = 1; k < w->v->dim[2]; k++)
        best = area_in(w, n, k) > area_in(w, n, best) ? k : best;
    return best;
}

// Slices at a quarter, half and three quarters of the lungs' height, from the head down.
static void choose_lung_slices(struct writer *w)
{
    const uint32_t slices = w->v->dim[2];
    uint32_t lo = slices, hi = 0;
    for (uint32_t k = 0; k < slices; k++) {
        if (!area_in(w, LUNGS_RIGHT, k) && !area_in(w, LUNGS_LEFT, k))
            continue;
        lo = k < lo ? k : lo;
        hi = k;
    }
    const bool head_last = image_direction(w->v, 2) == 'H';
    for (uint32_t n = 0; n < SHOWN; n++) {
        const uint32_t part = head_last ? SHOWN - n : n + 1;
        const uint32_t k = lo + (hi - lo) * part / (SHOWN + 1);
        if (!w->shown || w->slices[w->shown - 1] != k)
            w->slices[w->shown++] = k;
    }
}

// ---- Numbers ------------------------------------------------------------------------------------

static bool add_numbers(struct writer *w, uint32_t group, const struct lungs_density *d)
{
    struct findings *f = w->f;
    struct finding_group *g = &f->groups[group];
    return findings_add_number(f, g, &code_volume, (double)d->voxels * w->r->voxel_ml, 0, &unit_ml,
                               NULL) &&
           findings_add_number(f, g, &code_hu, d->mean_hu, 1, &unit_hu, &code_mean) &&
           findings_add_number(f, g, &code_950, d->below_950, 2, &unit_percent, NULL) &&
           findings_add_number(f, g, &code_910, d->below_910, 2, &unit_percent, NULL) &&
           findings_add_number(f, g, &code_perc15, d->percentile, 0, &unit_hu, NULL);
}

// Both first, then each that is there.
static bool add_lung_groups(struct writer *w)
{
    struct finding_group *g = findings_add_group(w->f);
    if (!g)
        return false;
    g->label = "Lungs";
    g->finding = g->site = lung_code;
    if (!add_numbers(w, 0, &w->r->total))
        return false;
    for (int n = 0; n < LUNGS_SIDES; n++) {
        g = findings_add_group(w->f);
        if (!g)
            return false;
        g->label = regions[n].name;
        g->finding = g->site = lung_code;
        g->laterality = regions[n].laterality;
        g->parent = 0;
        g->region = w->r->density[n].voxels ? n : -1;
        if (!w->r->density[n].voxels)
            continue;
        g->has_key = true;
        g->key = (struct place){w->image, largest_slice(w, n), 0};
        if (!add_numbers(w, (uint32_t)n + 1, &w->r->density[n]))
            return false;
    }
    return true;
}

static bool add_exclusion(struct writer *w)
{
    uint64_t voxels = 0;
    for (uint32_t k = 0; k < w->v->dim[2]; k++)
        voxels += area_in(w, AIRWAYS, k);
    if (!voxels)
        return true;
    struct exclusion *e = findings_add_exclusion(w->f);
    if (!e)
        return false;
    e->what = regions[AIRWAYS].name;
    e->reason = "airways are not lung";
    e->has_place = true;
    e->place = (struct place){w->image, largest_slice(w, AIRWAYS), 0};
    e->value = (struct measurement){.concept = code_volume,
                                    .value = (double)voxels * w->r->voxel_ml,
                                    .decimals = 0,
                                    .unit = unit_ml,
                                    .region = AIRWAYS};
    return true;
}

// ---- Graphics -----------------------------------------------------------------------------------

static bool outline_lung(struct writer *w, int n, uint32_t k)
{
    const uint32_t columns = w->v->dim[0], rows = w->v->dim[1], origin[2] = {0, 0};
    const size_t pixels = (size_t)columns * rows;
    uint8_t *mask = malloc(pixels);
    struct outline *outlines = NULL;
    uint32_t count = 0;
    for (size_t p = 0; mask && w->labels && p < pixels; p++)
        mask[p] = w->labels[k * pixels + p] == n + 1;
    const bool ok =
        mask && outline_trace(mask, columns, rows, origin, w->f->arena, &outlines, &count);
    free(mask);
    for (uint32_t i = 0; ok && i < count; i++) {
        struct mark *m = findings_add_mark(w->f);
        if (!m)
            return false;
        *m = (struct mark){.kind = MARK_POLYLINE,
                           .place = {w->image, k, 0},
                           .layer = n,
                           .group = n + 1,
                           .points = outlines[i].points,
                           .count = outlines[i].count};
    }
    return ok;
}

// The key slice of each lung, then the slices on the page.
static bool add_lung_marks(struct writer *w)
{
    for (int n = 0; n < LUNGS_SIDES; n++) {
        struct layer *l = findings_add_layer(w->f);
        if (!l)
            return false;
        l->name = regions[n].layer;
        l->description = regions[n].name;
        memcpy(l->rgb, regions[n].rgb, sizeof l->rgb);
    }
    for (int n = 0; n < LUNGS_SIDES; n++) {
        const uint32_t key = largest_slice(w, n);
        if (!w->r->density[n].voxels)
            continue;
        if (!outline_lung(w, n, key))
            return false;
        for (uint32_t i = 0; i < w->shown; i++) {
            if (w->slices[i] != key && !outline_lung(w, n, w->slices[i]))
                return false;
        }
    }
    return true;
}

// The share of a lung's voxels in each step, at the middle of the step.
static bool add_line(struct writer *w, struct curve *c, int n)
{
    enum { STEPS = 210 };
    double x[STEPS], y[STEPS];
    const uint32_t *counts = w->r->counts + (size_t)n * LUNGS_VALUES;
    for (int s = 0; s < STEPS; s++) {
        const int first = (int)(lowest_hu + s * step_hu);
        uint64_t voxels = 0;
        for (int hu = first; hu < first + (int)step_hu; hu++)
            voxels += counts[hu + 32768];
        x[s] = first + step_hu / 2;
        y[s] = 100.0 * (double)voxels / (double)w->r->density[n].voxels;
    }
    const uint32_t steps = (uint32_t)((highest_hu - lowest_hu) / step_hu);
    struct curve_line *line = findings_add_line(w->f, c, regions[n].name, x, y, steps);
    if (line)
        memcpy(line->rgb, regions[n].rgb, sizeof line->rgb);
    return line != NULL;
}

static bool add_curve(struct writer *w)
{
    static const double guides[] = {-950, -910};
    static const char *const names[] = {"-950", "-910"};
    struct curve *c = findings_add_curve(w->f);
    if (!c)
        return false;
    c->title = "Density of the lungs";
    c->x_name = "density";
    c->x_unit = "HU";
    c->y_name = "voxels per 5 HU";
    c->y_unit = "%";
    c->guides = guides;
    c->guide_names = names;
    c->guide_count = 2;
    for (int n = 0; n < LUNGS_SIDES; n++) {
        if (w->r->density[n].voxels && !add_line(w, c, n))
            return false;
    }
    return true;
}

static bool add_row(struct writer *w, struct page_table *t, uint32_t row, const char *name,
                    const struct lungs_density *d)
{
    struct findings *f = w->f;
    if (!findings_set_cell(f, t, row, 0, "%s", name))
        return false;
    for (uint32_t column = 1; !d->voxels && column < 6; column++) {
        if (!findings_set_cell(f, t, row, column, "-"))
            return false;
    }
    return !d->voxels ||
           (findings_set_cell(f, t, row, 1, "%.0f", (double)d->voxels * w->r->voxel_ml) &&
            findings_set_cell(f, t, row, 2, "%.1f", d->mean_hu) &&
            findings_set_cell(f, t, row, 3, "%.2f", d->below_950) &&
            findings_set_cell(f, t, row, 4, "%.2f", d->below_910) &&
            findings_set_cell(f, t, row, 5, "%.0f", d->percentile));
}

static bool add_lung_table(struct writer *w)
{
    static const char *const head[] = {"Lung",      "Volume mL", "Mean HU",
                                       "LAA-950 %", "LAA-910 %", "Perc15 HU"};
    struct page_table *t = findings_add_table(w->f, "Volume and density", LUNGS_SIDES + 2, 6);
    if (!t)
        return false;
    for (uint32_t column = 0; column < 6; column++) {
        if (!findings_set_cell(w->f, t, 0, column, "%s", head[column]))
            return false;
    }
    t->total = true;
    return add_row(w, t, 1, "Right", &w->r->density[LUNGS_RIGHT]) &&
           add_row(w, t, 2, "Left", &w->r->density[LUNGS_LEFT]) &&
           add_row(w, t, 3, "Total", &w->r->total);
}

// The coronal plane with most lung.
static uint32_t coronal_row(const struct writer *w)
{
    const uint32_t columns = w->v->dim[0], rows = w->v->dim[1], slices = w->v->dim[2];
    uint32_t best = rows / 2;
    uint64_t most = 0;
    for (uint32_t j = 0; j < rows; j++) {
        uint64_t lung = 0;
        for (uint32_t k = 0; k < slices; k++) {
            const uint16_t *row = w->labels + ((size_t)k * rows + j) * columns;
            for (uint32_t i = 0; i < columns; i++)
                lung += row[i] != 0;
        }
        best = lung > most ? j : best;
        most = lung > most ? lung : most;
    }
    return best;
}

static bool add_pictures(struct writer *w)
{
    struct page_section *s = findings_add_section(w->f);
    if (!s)
        return false;
    *s = (struct page_section){.image = w->image,
                               .axis = 1,
                               .index = coronal_row(w),
                               .window = {-600, 1500},
                               .regions = true};
    s->caption = arena_printf(w->f->arena, "Coronal, row %u", s->index + 1);
    for (uint32_t i = 0; i < w->shown; i++) {
        char place[64];
        struct page_image *p = findings_add_image(w->f);
        if (!p)
            return false;
        p->place = (struct place){w->image, w->slices[i], 0};
        p->window[0] = -600;
        p->window[1] = 1500;
        p->regions = true;
        image_place_name(w->set, w->image, w->slices[i], 0, place, sizeof place);
        p->caption = arena_printf(w->f->arena, "%s", place);
    }
    return true;
}

bool lungs_report(struct findings *f, const struct image_set *set, uint32_t image,
                  const struct lungs_result *result, struct err *err)
{
    struct writer w = {.f = f, .set = set, .image = image, .v = &set->images[image], .r = result};
    if (!add_lung_regions(&w))
        return err_set(err, ERR_NOMEM, "lungs: report");
    if (!paint_lungs(&w, err))
        return false;
    choose_lung_slices(&w);
    f->page.headline = arena_printf(f->arena, "%.0f mL   below -950 HU %.1f %%   Perc15 %.0f HU",
                                    (double)result->total.voxels * result->voxel_ml,
                                    result->total.below_950, result->total.percentile);
    f->verdict = VERDICT_DONE;
    f->reason = "";
    if (add_lung_groups(&w) && add_exclusion(&w) && add_lung_marks(&w) && add_curve(&w) &&
        add_lung_table(&w) && add_pictures(&w) && f->page.headline)
        return true;
    return err_set(err, ERR_NOMEM, "lungs: report");
}
