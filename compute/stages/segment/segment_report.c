#include "compute/stages/segment/segment_report.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/findings/colour.h"
#include "compute/stages/lungs/lungs_density.h"

// Sources: PS3.16 CID 7151, 7192 (regions), 244 (laterality), 7469 (measurements), 7464
// (derivations), 7150 (categories); UCUM.
static const struct code volume_concept = {"118565006", "SCT", "Volume"};
static const struct code hu_concept = {"112031", "DCM", "Attenuation Coefficient"};
static const struct code mean_derivation = {"373098007", "SCT", "Mean"};
static const struct code sd_derivation = {"386136009", "SCT", "Standard Deviation"};
static const struct code unit_of_volume = {"mL", "UCUM", "milliliter"};
static const struct code unit_of_hu = {"[hnsf'U]", "UCUM", "Hounsfield unit"};
static const struct code structure_category = {"123037004", "SCT", "Anatomical Structure"};
static const struct code tissue_category = {"85756007", "SCT", "Tissue"};
static const struct code body_code = {"38266002", "SCT", "Entire body"};

static const struct {
    const char *name;
    struct code type, laterality;
    bool tissue;
    uint8_t rgb[3];
} parts[SEGMENT_PARTS] = {
    {"Rest of the body", {"85756007", "SCT", "Tissue"}, {0}, true, COLOUR_GREY},
    {"Fat", {"256674009", "SCT", "Fat"}, {0}, true, COLOUR_YELLOW},
    {"Right lung", {"39607008", "SCT", "Lung"}, {"24028007", "SCT", "Right"}, false, COLOUR_SKY},
    {"Left lung", {"39607008", "SCT", "Lung"}, {"7771000", "SCT", "Left"}, false, COLOUR_VERMILION},
    {"Trachea and main bronchi",
     {"110726009", "SCT", "Trachea and bronchus"},
     {0},
     false,
     COLOUR_GREEN},
    {"Bones", {"272673000", "SCT", "Bone"}, {0}, false, COLOUR_WHITE},
};

static const double soft_window[2] = {40, 400};

// ---- Numbers ------------------------------------------------------------------------------------

static void values_of(const uint32_t *counts, struct segment_values *out)
{
    uint64_t voxels = 0, squares = 0;
    int64_t sum = 0;
    for (int64_t n = 0; n < LUNGS_VALUES; n++) {
        const int64_t hu = n - 32768;
        voxels += counts[n];
        sum += counts[n] * hu;
        squares += counts[n] * (uint64_t)(hu * hu);
    }
    *out = (struct segment_values){voxels, NAN, NAN};
    if (!voxels)
        return;
    const double mean = (double)sum / (double)voxels;
    out->mean_hu = mean;
    out->sd_hu = sqrt(fmax(0, (double)squares / (double)voxels - mean * mean));
}

bool segment_measure(const struct gpu_volume *hu, const struct segments *s, struct arena *scratch,
                     struct segment_values values[SEGMENT_PARTS], struct err *err)
{
    uint32_t *counts = arena_alloc(scratch, (size_t)LUNGS_SIDES * LUNGS_VALUES, sizeof *counts);
    struct gpu_mask *none = gpu_mask_create(hu->gpu, hu->dim, hu->spacing, err);
    bool ok = none && (counts || err_set(err, ERR_NOMEM, "segment: histogram"));
    for (int n = 0; ok && n < SEGMENT_PARTS; n += LUNGS_SIDES) {
        const struct gpu_mask *pair[LUNGS_SIDES];
        for (int i = 0; i < LUNGS_SIDES; i++)
            pair[i] = n + i < SEGMENT_PARTS && s->mask[n + i] ? s->mask[n + i] : none;
        ok = lungs_histogram(hu->gpu, hu, pair, counts, err);
        for (int i = 0; ok && i < LUNGS_SIDES && n + i < SEGMENT_PARTS; i++)
            values_of(counts + (size_t)i * LUNGS_VALUES, &values[n + i]);
    }
    gpu_mask_destroy(none);
    return ok;
}

// ---- Regions and groups -------------------------------------------------------------------------

struct segment_writer {
    struct findings *f;
    const struct image_set *set;
    uint32_t image; // index in the set
    const struct image *v;
    const struct segments *s;
    const struct segment_values *values;
    uint16_t *labels;
    uint32_t *area; // [SEGMENT_PARTS][slices], voxels
    double voxel_ml;
};

static bool paint_segment(struct segment_writer *w, int n, uint16_t label, struct err *err)
{
    const struct gpu_mask *m = w->s->mask[n];
    uint32_t *words = malloc((size_t)m->slice * sizeof *words);
    bool ok = words || err_set(err, ERR_NOMEM, "segment: no memory for a slice");
    for (uint32_t k = 0; ok && k < m->dim[2]; k++) {
        ok = gpu_mask_read_words(m, k, k + 1, words, err);
        for (uint32_t j = 0; ok && j < m->dim[1]; j++) {
            uint16_t *row = w->labels + ((size_t)k * m->dim[1] + j) * m->dim[0];
            for (uint32_t i = 0; i * 32 < m->dim[0]; i++) {
                uint32_t word = words[(size_t)j * m->row + i];
                w->area[(size_t)n * m->dim[2] + k] += (uint32_t)__builtin_popcount(word);
                for (; word; word &= word - 1)
                    row[i * 32 + (unsigned)__builtin_ctz(word)] = label;
            }
        }
    }
    free(words);
    return ok;
}

static uint32_t widest_slice(const struct segment_writer *w, int n)
{
    const uint32_t *area = w->area + (size_t)n * w->v->dim[2];
    uint32_t best = 0;
    for (uint32_t k = 1; k < w->v->dim[2]; k++)
        best = area[k] > area[best] ? k : best;
    return best;
}

static bool add_values(struct segment_writer *w, struct finding_group *g, double ml,
                       const struct segment_values *values)
{
    struct findings *f = w->f;
    return findings_add_number(f, g, &volume_concept, ml,
                               ml < 10    ? 2
                               : ml < 100 ? 1
                                          : 0,
                               &unit_of_volume, NULL) &&
           (!values || (findings_add_number(f, g, &hu_concept, values->mean_hu, 1, &unit_of_hu,
                                            &mean_derivation) &&
                        findings_add_number(f, g, &hu_concept, values->sd_hu, 1, &unit_of_hu,
                                            &sd_derivation)));
}

static bool add_part(struct segment_writer *w, int n, struct err *err)
{
    struct findings *f = w->f;
    const int index = (int)f->region_count, group = (int)f->group_count;
    struct region *r = findings_add_region(f);
    struct finding_group *g = findings_add_group(f);
    if (!r || !g || !paint_segment(w, n, (uint16_t)(index + 1), err))
        return false;
    *r = (struct region){.label = parts[n].name,
                         .category = parts[n].tissue ? tissue_category : structure_category,
                         .type = parts[n].type,
                         .laterality = parts[n].laterality,
                         .role = REGION_FOUND,
                         .group = group,
                         .automatic = true};
    memcpy(r->rgb, parts[n].rgb, sizeof r->rgb);
    g->label = parts[n].name;
    g->finding = g->site = parts[n].type;
    g->laterality = parts[n].laterality;
    g->parent = 0;
    g->region = index;
    g->has_key = true;
    g->key = (struct place){w->image, widest_slice(w, n), 0};
    return add_values(w, g, (double)w->values[n].voxels * w->voxel_ml, &w->values[n]);
}

static bool add_refused_part(struct segment_writer *w, int n)
{
    struct exclusion *e = findings_add_exclusion(w->f);
    const char *reason = arena_strdup(w->f->arena, w->s->why[n]);
    if (!e || !reason)
        return false;
    e->what = parts[n].name;
    e->reason = reason;
    return findings_add_warning(w->f, "Not drawn: %s: %s", e->what, reason);
}

// The body first, which the parts make up together.
static bool add_parts(struct segment_writer *w, struct err *err)
{
    uint64_t voxels = 0;
    for (int n = 0; n < SEGMENT_PARTS; n++)
        voxels += w->values[n].voxels;
    struct finding_group *body = findings_add_group(w->f);
    if (!body)
        return false;
    body->label = "Body";
    body->finding = body->site = body_code;
    if (!add_values(w, body, (double)voxels * w->voxel_ml, NULL))
        return false;
    for (int n = 0; n < SEGMENT_PARTS; n++) {
        if (w->values[n].voxels && !add_part(w, n, err))
            return false;
        if (*w->s->why[n] && !add_refused_part(w, n))
            return false;
    }
    return true;
}

// ---- The page -----------------------------------------------------------------------------------

static bool add_segment_table(struct segment_writer *w)
{
    struct findings *f = w->f;
    struct page_table *t = findings_add_table(f, "Structures", SEGMENT_PARTS + 1, 4);
    bool ok = t && findings_set_cell(f, t, 0, 0, "Structure") &&
              findings_set_cell(f, t, 0, 1, "Volume mL") &&
              findings_set_cell(f, t, 0, 2, "Mean HU") && findings_set_cell(f, t, 0, 3, "SD HU");
    for (uint32_t n = 0; ok && n < SEGMENT_PARTS; n++) {
        const struct segment_values *v = &w->values[n];
        const double ml = (double)v->voxels * w->voxel_ml;
        ok = findings_set_cell(f, t, n + 1, 0, "%s", parts[n].name);
        if (ok && !v->voxels)
            ok = findings_set_cell(f, t, n + 1, 1, "not drawn") &&
                 findings_set_cell(f, t, n + 1, 2, "-") && findings_set_cell(f, t, n + 1, 3, "-");
        else if (ok)
            ok = findings_set_cell(f, t, n + 1, 1, "%.*f", ml < 100 ? 1 : 0, ml) &&
                 findings_set_cell(f, t, n + 1, 2, "%.1f", v->mean_hu) &&
                 findings_set_cell(f, t, n + 1, 3, "%.1f", v->sd_hu);
    }
    return ok;
}

// The row or column of the grid in whose plane most of what is neither rest nor fat lies.
static uint32_t fullest_plane(const struct segment_writer *w, int axis)
{
    const uint32_t *dim = w->v->dim;
    const uint16_t rest = (uint16_t)((w->values[SEGMENT_REST].voxels != 0) +
                                     (w->values[SEGMENT_FAT].voxels != 0)); // the first labels
    uint64_t *count = arena_alloc(w->f->arena, dim[axis], sizeof *count);
    uint32_t best = dim[axis] / 2;
    for (uint32_t k = 0; count && k < dim[2]; k++) {
        for (uint32_t j = 0; j < dim[1]; j++) {
            const uint16_t *row = w->labels + ((size_t)k * dim[1] + j) * dim[0];
            for (uint32_t i = 0; i < dim[0]; i++)
                count[axis ? j : i] += row[i] > rest;
        }
    }
    for (uint32_t n = 0; count && n < dim[axis]; n++)
        best = count[n] > count[best] ? n : best;
    return best;
}

static bool add_segment_section(struct segment_writer *w, int axis)
{
    const uint32_t plane = fullest_plane(w, axis);
    struct page_section *s = findings_add_section(w->f);
    if (!s)
        return false;
    *s = (struct page_section){.image = w->image,
                               .axis = axis,
                               .index = plane,
                               .window = {soft_window[0], soft_window[1]},
                               .regions = true};
    s->caption =
        arena_printf(w->f->arena, axis ? "Coronal, row %u" : "Sagittal, column %u", plane + 1);
    return s->caption;
}

// Three slices at a quarter, half and three quarters of the scan, and a plane each across them.
static bool add_segment_planes(struct segment_writer *w)
{
    for (uint32_t n = 1; n <= 3; n++) {
        char name[64];
        const uint32_t k = w->v->dim[2] * n / 4;
        struct page_image *p = findings_add_image(w->f);
        if (!p)
            return false;
        p->place = (struct place){w->image, k, 0};
        memcpy(p->window, soft_window, sizeof p->window);
        p->regions = true;
        image_place_name(w->set, w->image, k, 0, name, sizeof name);
        p->caption = arena_printf(w->f->arena, "%s", name);
        if (!p->caption)
            return false;
    }
    return add_segment_section(w, 1) && add_segment_section(w, 0);
}

// Whether the body meets the edges of the images over more than this area.
static bool cut_by_field(const struct segment_writer *w, double limit_mm2)
{
    const struct image *v = w->v;
    double edge = 0;
    for (uint32_t k = 0; k < v->dim[2]; k++) {
        for (uint32_t j = 0; j < v->dim[1]; j++) {
            const uint16_t *row = w->labels + ((size_t)k * v->dim[1] + j) * v->dim[0];
            const double ends = (row[0] != 0) + (row[v->dim[0] - 1] != 0);
            edge += ends * v->spacing[1] * v->spacing[2];
            if (j != 0 && j + 1 != v->dim[1])
                continue;
            for (uint32_t i = 0; i < v->dim[0]; i++)
                edge += (row[i] != 0) * v->spacing[0] * v->spacing[2];
        }
    }
    return edge > limit_mm2;
}

bool segment_report(struct findings *f, const struct image_set *set, uint32_t image,
                    const struct segments *s, const struct segment_values values[SEGMENT_PARTS],
                    struct err *err)
{
    static const double border_mm2 = 500; // as for lungs: an elbow is no cut body
    const struct image *v = &set->images[image];
    struct segment_writer w = {.f = f,
                               .set = set,
                               .image = image,
                               .v = v,
                               .s = s,
                               .values = values,
                               .voxel_ml = v->spacing[0] * v->spacing[1] * v->spacing[2] / 1000};
    const struct label_map *map = findings_add_labels(f, set, image, 0);
    w.area = arena_alloc(f->arena, (size_t)SEGMENT_PARTS * v->dim[2], sizeof *w.area);
    if (!map || !w.area)
        return err_set(err, ERR_NOMEM, "segment: no memory for the label map");
    w.labels = map->labels;
    if (!add_parts(&w, err))
        return err_set(err, ERR_NOMEM, "segment: report");
    f->verdict = VERDICT_DONE;
    f->reason = "";
    f->page.headline =
        arena_printf(f->arena, "Body %.0f mL in the images", f->groups[0].measurements[0].value);
    if (f->page.headline && add_segment_table(&w) && add_segment_planes(&w) &&
        (!cut_by_field(&w, border_mm2) ||
         findings_add_warning(f, "The field of view cuts the body: volumes are of what is shown")))
        return true;
    return err_set(err, ERR_NOMEM, "segment: report");
}
