#include "compute/stages/model/model_report.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// Sources: PS3.16 CID 7469 (measurements), 7464 (derivations), 7162 (families of algorithms); UCUM.
static const struct code code_volume = {"118565006", "SCT", "Volume"};
static const struct code code_hu = {"112031", "DCM", "Attenuation Coefficient"};
static const struct code code_signal = {"110852", "DCM", "MR signal intensity"};
static const struct code code_mean = {"373098007", "SCT", "Mean"};
static const struct code code_sd = {"386136009", "SCT", "Standard Deviation"};
static const struct code code_network = {"123110", "DCM", "Artificial Intelligence"};
static const struct code unit_ml = {"mL", "UCUM", "milliliter"};
static const struct code unit_hu = {"[hnsf'U]", "UCUM", "Hounsfield unit"};
static const struct code unit_none = {"1", "UCUM", "no units"};

static struct algorithm model_algorithm(const struct model *m, const struct stage *stage)
{
    return (struct algorithm){.name = stage->title,
                              .version = stage->version,
                              .parameters = m->network,
                              .family = code_network};
}

bool model_report_regions(const struct model *m, const struct stage *stage, struct findings *f)
{
    for (uint32_t n = 0; n < m->label_count; n++) {
        const struct model_label *l = &m->labels[n];
        struct region *r = findings_add_region(f);
        if (!r)
            return false;
        *r = (struct region){.label = l->name,
                             .category = l->category,
                             .type = l->type,
                             .laterality = l->laterality,
                             .role = REGION_FOUND,
                             .group = -1,
                             .automatic = true,
                             .algorithm = model_algorithm(m, stage)};
        memcpy(r->rgb, l->rgb, sizeof r->rgb);
    }
    return true;
}

// ---- Numbers ------------------------------------------------------------------------------------

static double voxel_ml(const struct image *v)
{
    return v->spacing[0] * v->spacing[1] * v->spacing[2] / 1000;
}

static bool is_hounsfield(const struct image *v)
{
    return strcmp(v->unit, "[hnsf'U]") == 0;
}

static double count_sd(const struct model_count *c)
{
    const double mean = c->sum / (double)c->voxels;
    return sqrt(fmax(c->squares / (double)c->voxels - mean * mean, 0));
}

// A label that the edge cuts is no whole one: its volume is none that could be compared.
static bool add_cut(struct findings *f, const struct model_result *r, uint32_t n)
{
    const struct image *v = &r->set->images[r->image];
    struct exclusion *e = findings_add_exclusion(f);
    if (!e)
        return false;
    e->what = r->m->labels[n].name;
    e->reason = "reaches the edge of the image: its whole volume is not known";
    e->has_place = true;
    e->place = (struct place){r->image, r->counts[n].slice, 0};
    e->value = (struct measurement){.concept = code_volume,
                                    .value = (double)r->counts[n].voxels * voxel_ml(v),
                                    .decimals = 1,
                                    .unit = unit_ml,
                                    .region = (int)n};
    return findings_add_warning(f, "%s reaches the edge of the image: not measured",
                                r->m->labels[n].name);
}

static bool add_label_group(struct findings *f, const struct model_result *r, uint32_t n)
{
    const struct image *v = &r->set->images[r->image];
    const struct model_count *c = &r->counts[n];
    const struct model_label *l = &r->m->labels[n];
    if (c->cut)
        return add_cut(f, r, n);
    struct finding_group *g = findings_add_group(f);
    if (!g)
        return false;
    g->label = l->name;
    g->finding = g->site = l->type;
    g->laterality = l->laterality;
    g->algorithm = model_algorithm(r->m, r->stage);
    g->region = c->voxels ? (int)n : -1;
    if (c->voxels) {
        f->regions[n].group = (int)f->group_count - 1;
        g->has_key = true;
        g->key = (struct place){r->image, c->slice, 0};
    }
    if (!findings_add_number(f, g, &code_volume, (double)c->voxels * voxel_ml(v), 1, &unit_ml,
                             NULL))
        return false;
    if (!c->voxels)
        return true;
    const struct code *quantity = is_hounsfield(v) ? &code_hu : &code_signal;
    const struct code *unit = is_hounsfield(v) ? &unit_hu : &unit_none;
    return findings_add_number(f, g, quantity, c->sum / (double)c->voxels, 1, unit, &code_mean) &&
           findings_add_number(f, g, quantity, count_sd(c), 1, unit, &code_sd);
}

static bool add_label_row(struct findings *f, struct page_table *t, const struct model_result *r,
                          uint32_t n)
{
    const struct model_count *c = &r->counts[n];
    const double ml = (double)c->voxels * voxel_ml(&r->set->images[r->image]);
    if (!findings_set_cell(f, t, n + 1, 0, "%s", r->m->labels[n].name))
        return false;
    if (c->cut || !c->voxels)
        return findings_set_cell(f, t, n + 1, 1, c->cut ? "cut" : "0") &&
               findings_set_cell(f, t, n + 1, 2, "-") && findings_set_cell(f, t, n + 1, 3, "-");
    return findings_set_cell(f, t, n + 1, 1, "%.1f", ml) &&
           findings_set_cell(f, t, n + 1, 2, "%.1f", c->sum / (double)c->voxels) &&
           findings_set_cell(f, t, n + 1, 3, "%.1f", count_sd(c));
}

static bool add_label_table(struct findings *f, const struct model_result *r)
{
    const bool hu = is_hounsfield(&r->set->images[r->image]);
    struct page_table *t = findings_add_table(f, "Volumes", r->m->label_count + 1, 4);
    bool ok = t && findings_set_cell(f, t, 0, 0, "Structure") &&
              findings_set_cell(f, t, 0, 1, "Volume mL") &&
              findings_set_cell(f, t, 0, 2, hu ? "Mean HU" : "Mean signal") &&
              findings_set_cell(f, t, 0, 3, hu ? "SD HU" : "SD");
    for (uint32_t n = 0; ok && n < r->m->label_count; n++)
        ok = add_label_row(f, t, r, n);
    return ok;
}

// ---- Planes -------------------------------------------------------------------------------------

// The index along an axis of the image with most labelled voxels, and the most that have any.
struct densest {
    uint32_t *seen[3]; // [dim]
    uint32_t best[3];
};

static bool find_densest(const struct model_result *r, struct arena *arena, struct densest *d)
{
    const uint32_t *dim = r->set->images[r->image].dim;
    for (int a = 0; a < 3; a++) {
        d->seen[a] = arena_alloc(arena, dim[a], sizeof *d->seen[a]);
        d->best[a] = dim[a] / 2;
        if (!d->seen[a])
            return false;
    }
    const uint16_t *at = r->labels;
    for (uint32_t k = 0; k < dim[2]; k++) {
        for (uint32_t j = 0; j < dim[1]; j++) {
            for (uint32_t i = 0; i < dim[0]; i++) {
                const uint32_t one = *at++ != 0;
                d->seen[0][i] += one;
                d->seen[1][j] += one;
                d->seen[2][k] += one;
            }
        }
    }
    for (int a = 0; a < 3; a++) {
        for (uint32_t n = 0; n < dim[a]; n++)
            d->best[a] = d->seen[a][n] > d->seen[a][d->best[a]] ? n : d->best[a];
    }
    return true;
}

static bool add_slice(struct findings *f, const struct model_result *r, uint32_t k)
{
    char place[64];
    struct page_image *p = findings_add_image(f);
    if (!p)
        return false;
    p->place = (struct place){r->image, k, 0};
    p->regions = true;
    image_place_name(r->set, r->image, k, 0, place, sizeof place);
    p->caption = arena_printf(f->arena, "%s", place);
    return p->caption != NULL;
}

static bool add_plane(struct findings *f, const struct model_result *r, int axis, uint32_t index)
{
    struct page_section *s = findings_add_section(f);
    if (!s)
        return false;
    *s = (struct page_section){.image = r->image, .axis = axis, .index = index, .regions = true};
    s->caption = arena_printf(f->arena, "Across, %s %u", axis == 0 ? "column" : "row", index + 1);
    return s->caption != NULL;
}

static bool add_planes(struct findings *f, const struct model_result *r)
{
    struct densest d;
    if (!find_densest(r, f->arena, &d))
        return false;
    return add_plane(f, r, 0, d.best[0]) && add_plane(f, r, 1, d.best[1]) &&
           add_slice(f, r, d.best[2]);
}

static bool add_headline(struct findings *f, const struct model_result *r)
{
    const char *line = "";
    uint32_t said = 0;
    for (uint32_t n = 0; line && said < 3 && n < r->m->label_count; n++) {
        if (r->counts[n].cut || !r->counts[n].voxels)
            continue;
        line =
            arena_printf(f->arena, "%s%s%s %.0f mL", line, said ? "   " : "", r->m->labels[n].name,
                         (double)r->counts[n].voxels * voxel_ml(&r->set->images[r->image]));
        said++;
    }
    f->page.headline = line;
    return line != NULL;
}

bool model_report(struct findings *f, const struct model_result *r, struct err *err)
{
    bool ok = add_headline(f, r);
    for (uint32_t n = 0; ok && n < r->m->label_count; n++)
        ok = add_label_group(f, r, n);
    ok = ok && add_label_table(f, r) && add_planes(f, r);
    f->verdict = VERDICT_DONE;
    f->reason = "";
    return ok || err_set(err, ERR_NOMEM, "no memory for the report");
}
