#include "compute/stages/dce/dce_report.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/findings/colour.h"
#include "compute/draw/picture.h"
#include "compute/stages/perfusion/perfusion_blocks.h"

// Sources: PS3.16 CID 4107, 7180 (quantities), 4106 (models, T1, arterial input), 7203, 7464, 7150;
// UCUM.
static const struct code code_ktrans = {"126312", "DCM", "Ktrans"};
static const struct code code_kep = {"126313", "DCM", "kep"};
static const struct code code_ve = {"126314", "DCM", "ve"};
static const struct code code_vp = {"126331", "DCM", "vp"};
static const struct code code_t1 = {"113063", "DCM", "T1"};
static const struct code code_tofts = {"126340", "DCM", "Standard Tofts Model"};
static const struct code code_extended = {"126341", "DCM", "Extended Tofts Model"};
static const struct code code_t1_used = {"126353", "DCM", "T1 Used For Calculation"};
static const struct code code_t1_angles = {"126350", "DCM", "T1 by Multiple Flip Angles"};
static const struct code code_t1_fixed = {"126352", "DCM", "T1 by Fixed Value"};
static const struct code code_input = {"AIF", "99ANODE", "Arterial input function"};
static const struct code code_input_found = {"126363", "DCM", "Automatically Detected AIF ROI"};
static const struct code code_input_mean = {"126361", "DCM", "Population Averaged AIF"};
static const struct code code_map_analysis = {"129104", "DCM", "Perfusion image analysis"};
static const struct code code_enhancing = {"ENHANCING", "99ANODE", "Tissue that takes up contrast"};
static const struct code code_body_tissue = {"85756007", "SCT", "Tissue"};
static const struct code code_ml_volume = {"118565006", "SCT", "Volume"};
static const struct code code_median = {"373099004", "SCT", "Median"};
static const struct code per_minute = {"/min", "UCUM", "/min"};
static const struct code unit_none = {"1", "UCUM", "no units"};
static const struct code unit_of_ms = {"ms", "UCUM", "millisecond"};
static const struct code unit_of_ml = {"mL", "UCUM", "milliliter"};

static const uint8_t enhancing_rgb[3] = COLOUR_YELLOW, vessel_rgb[3] = COLOUR_VERMILION;
static const uint8_t curve_rgb[3] = COLOUR_SKY;
static const double misfit_share = 0.1, misfit_noise = 3; // of the peak, of the noise

// tests/phantom/dce.py: with noise of 5 % of the signal Ktrans is 13 % too low, at 2 % within 1 %.
static const double noisy = 12;

enum { DCE_MAPS = 5 };

// A map and what of it is measured.
struct dce_quantity {
    const char *name, *title;
    const float *values;
    const struct code *quantity, *unit;
    double most; // of the window
    int decimals;
};

struct dce_writer {
    struct findings *f;
    struct perfusion_blocks blocks; // from the work grid to that of the image
    const struct stage_run *run;
    const struct image *v;
    const struct dce_result *r;
    struct dce_quantity quantities[DCE_MAPS];
    uint32_t count;
    uint32_t key; // slice with most enhancing tissue
    double ml;    // of a voxel of the work grid
};

static void list_quantities(struct dce_writer *w)
{
    const struct dce_result *r = w->r;
    const struct dce_quantity all[DCE_MAPS] = {
        {"ktrans", "Ktrans", r->ktrans, &code_ktrans, &per_minute, 0.5, 4},
        {"kep", "kep", r->kep, &code_kep, &per_minute, 2, 3},
        {"ve", "ve", r->ve, &code_ve, &unit_none, 0.6, 4},
        {"vp", "vp", r->vp, &code_vp, &unit_none, 0.2, 4},
        {"t1", "T1 before contrast", r->t1_ms, &code_t1, &unit_of_ms, 3000, 0},
    };
    for (int n = 0; n < DCE_MAPS; n++) {
        if (all[n].values)
            w->quantities[w->count++] = all[n];
    }
}

static bool add_dce_maps(struct dce_writer *w)
{
    for (uint32_t n = 0; n < w->count; n++) {
        const struct dce_quantity *q = &w->quantities[n];
        struct value_map *m = findings_add_map(w->f, w->run->set, w->r->scan->image);
        if (!m || !m->values)
            return false;
        m->name = q->name;
        m->title = q->title;
        m->quantity = *q->quantity;
        m->unit = *q->unit;
        m->method = q->quantity == &code_t1 ? code_t1_angles
                    : w->r->extended        ? code_extended
                                            : code_tofts;
        m->derivation = code_map_analysis;
        m->window[0] = q->most / 2;
        m->window[1] = q->most;
        m->palette = PALETTE_PERFUSION;
        perfusion_blocks_spread(&w->blocks, q->values, m->values);
    }
    return true;
}

static bool paint_enhancing(struct dce_writer *w)
{
    struct region *r = findings_add_region(w->f);
    struct label_map *map = findings_add_labels(w->f, w->run->set, w->r->scan->image, 0);
    if (!r || !map || !map->labels)
        return false;
    *r = (struct region){.label = "Enhancing tissue",
                         .category = code_body_tissue,
                         .type = code_enhancing,
                         .group = 0,
                         .automatic = true};
    memcpy(r->rgb, enhancing_rgb, sizeof r->rgb);
    perfusion_blocks_spread_labels(&w->blocks, w->r->enhancing, map->labels);
    const size_t plane = (size_t)w->v->dim[0] * w->v->dim[1];
    size_t most = 0;
    for (uint32_t k = 0; k < w->v->dim[2]; k++) {
        size_t painted = 0;
        for (size_t n = 0; n < plane; n++)
            painted += map->labels[k * plane + n];
        w->key = painted > most ? k : w->key;
        most = painted > most ? painted : most;
    }
    return true;
}

// ---- Numbers ------------------------------------------------------------------------------------

static int smaller_first(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

// Quartiles of a map over enhancing tissue. count 0: it has no value there.
static bool quartiles(const struct dce_writer *w, const float *values, double q[3], uint64_t *count)
{
    const struct dce_result *r = w->r;
    const size_t voxels = (size_t)r->dim[0] * r->dim[1] * r->dim[2];
    float *list = malloc((r->enhancing_voxels + 1) * sizeof *list);
    *count = 0;
    if (!list)
        return false;
    for (size_t n = 0; n < voxels; n++) {
        if (r->enhancing[n] && !isnan(values[n]))
            list[(*count)++] = values[n];
    }
    qsort(list, *count, sizeof *list, smaller_first);
    for (uint64_t n = 0; *count && n < 3; n++)
        q[n] = (double)list[(*count - 1) * (n + 1) / 4];
    free(list);
    return true;
}

static bool add_dce_numbers(struct dce_writer *w)
{
    struct findings *f = w->f;
    struct finding_group *g = findings_add_group(f);
    struct page_table *t = findings_add_table(f, "Enhancing tissue", w->count + 1, 5);
    if (!g || !t)
        return false;
    g->label = "Enhancing tissue";
    g->finding = code_enhancing;
    g->region = 0;
    g->has_key = true;
    g->key = (struct place){w->r->scan->image, w->key, 0};
    findings_add_number(f, g, &code_ml_volume, (double)w->r->enhancing_voxels * w->ml, 2,
                        &unit_of_ml, NULL);
    static const char *const head[] = {"", "Median", "First quartile", "Third quartile", "Unit"};
    for (uint32_t c = 0; c < 5; c++)
        findings_set_cell(f, t, 0, c, "%s", head[c]);
    for (uint32_t n = 0; n < w->count; n++) {
        const struct dce_quantity *q = &w->quantities[n];
        double part[3] = {0};
        uint64_t count = 0;
        if (!quartiles(w, q->values, part, &count))
            return false;
        findings_set_cell(f, t, n + 1, 0, "%s", q->title);
        findings_set_cell(f, t, n + 1, 4, "%s", q->unit->value);
        static const int order[] = {1, 0, 2};
        for (uint32_t c = 0; c < 3; c++) {
            if (count)
                findings_set_cell(f, t, n + 1, c + 1, "%.*f", q->decimals, part[order[c]]);
            else
                findings_set_cell(f, t, n + 1, c + 1, "-");
        }
        struct measurement *m = count ? findings_add_number(f, g, q->quantity, part[1], q->decimals,
                                                            q->unit, &code_median)
                                      : NULL;
        if (m && q->quantity != &code_t1)
            m->method = w->r->extended ? code_extended : code_tofts;
        if (n == 0 && count)
            f->page.headline =
                arena_printf(f->arena, "Ktrans %.3f /min (median of %.1f mL that enhance)", part[1],
                             (double)w->r->enhancing_voxels * w->ml);
    }
    return f->page.headline != NULL;
}

static bool add_ways(struct dce_writer *w)
{
    struct evaluation *e = findings_add_evaluation(w->f, NULL);
    if (!e)
        return false;
    e->concept = code_t1_used;
    e->value = w->r->fixed_t1_ms > 0 ? code_t1_fixed : code_t1_angles;
    e = findings_add_evaluation(w->f, NULL);
    if (!e)
        return false;
    e->concept = code_input;
    e->value = w->r->artery.count ? code_input_found : code_input_mean;
    return true;
}

// ---- Curves, marks, page ------------------------------------------------------------------------

static bool add_dce_curve(struct dce_writer *w)
{
    const struct dce_result *r = w->r;
    const uint32_t points = w->v->dim[3];
    static const char *const names[] = {"end of the baseline"};
    double *ten = arena_alloc(w->f->arena, points, sizeof *ten);
    double *guide = arena_alloc(w->f->arena, 1, sizeof *guide);
    struct curve *c = findings_add_curve(w->f);
    if (!ten || !guide || !c)
        return false;
    for (uint32_t p = 0; p < points; p++)
        ten[p] = 10 * r->tissue[p];
    guide[0] = r->scan->at_s[r->before - 1];
    *c = (struct curve){.title = "Contrast agent in plasma of the artery and in tissue",
                        .x_name = "time",
                        .x_unit = "s",
                        .y_name = "concentration",
                        .y_unit = "mmol/L",
                        .guides = guide,
                        .guide_names = names,
                        .guide_count = 1};
    struct curve_line *line =
        findings_add_line(w->f, c, "artery", r->scan->at_s, r->plasma, points);
    if (line)
        memcpy(line->rgb, vessel_rgb, sizeof line->rgb);
    line = findings_add_line(w->f, c, "10 x tissue", r->scan->at_s, ten, points);
    if (line)
        memcpy(line->rgb, curve_rgb, sizeof line->rgb);
    return line != NULL;
}

static bool add_artery_marks(struct dce_writer *w)
{
    const struct dce_result *r = w->r;
    struct layer *l = r->artery.count ? findings_add_layer(w->f) : NULL;
    if (!l)
        return r->artery.count == 0;
    l->name = "ARTERY";
    l->description = "Voxels of the arterial input";
    memcpy(l->rgb, vessel_rgb, sizeof l->rgb);
    for (uint32_t n = 0; n < r->artery.count && n < DCE_ARTERY_SHOWN; n++) {
        const uint32_t *at = r->artery.voxels[n], *f = r->factor;
        const struct place place = {r->scan->image, at[2] * f[2], 0};
        if (!findings_add_point(w->f, place, 0, (at[0] + 0.5) * f[0], (at[1] + 0.5) * f[1]))
            return false;
    }
    return true;
}

static bool add_dce_pictures(struct dce_writer *w)
{
    char name[64];
    for (int n = -1; n < (int)w->count; n++) {
        struct page_image *p = findings_add_image(w->f);
        if (!p)
            return false;
        image_place_name(w->run->set, w->r->scan->image, w->key, 0, name, sizeof name);
        p->place = (struct place){w->r->scan->image, w->key, 0};
        p->map = n;
        p->regions = n < 0;
        p->caption = arena_printf(w->f->arena, "%s, %s",
                                  n < 0 ? "Enhancing tissue" : w->quantities[n].title, name);
        if (!p->caption)
            return false;
    }
    return true;
}

static bool add_dce_facts(struct dce_writer *w)
{
    const struct dce_result *r = w->r;
    const struct dce_scan *s = r->scan;
    struct findings *f = w->f;
    const uint32_t points = w->v->dim[3];
    findings_add_fact(f,
                      "TR %g ms, TE %g ms, flip angle %g degrees; %u points in %.0f s, %u before "
                      "the bolus",
                      s->tr_ms, s->te_ms, s->flip_deg, points, s->at_s[points - 1] - s->at_s[0],
                      r->before);
    if (r->fixed_t1_ms > 0)
        findings_add_fact(f, "T1 of tissue: %g ms everywhere, not measured", r->fixed_t1_ms);
    else
        findings_add_fact(f, "T1 from %u flip angles, %g to %g degrees, TR %g ms", s->angles,
                          s->angle_deg[0], s->angle_deg[s->angles - 1], s->angle_tr_ms);
    if (r->artery.count)
        findings_add_fact(f,
                          "Artery: mean of %u voxels, the first at column %u, row %u of slice %u; "
                          "peak %.2f mmol/L in plasma; T1 of blood %s",
                          r->artery.count, r->artery.voxels[0][0] * r->factor[0],
                          r->artery.voxels[0][1] * r->factor[1],
                          r->artery.voxels[0][2] * r->factor[2] + 1, r->plasma[r->artery.top],
                          r->blood_t1_ms > 0
                              ? arena_printf(f->arena, "%g ms, not measured", r->blood_t1_ms)
                              : "as measured in its voxels");
    findings_add_fact(f, "Relaxivity %g L/(mmol s), hematocrit %g", r->relaxivity, r->hematocrit);
    findings_add_fact(f,
                      "Noise %.3f mmol/L; the model leaves %.3f mmol/L (median) of peaks of %.3f "
                      "mmol/L",
                      r->noise, r->rest, r->high);
    if (r->factor[0] > 1)
        findings_add_fact(f, "Computed in blocks of %u x %u voxels", r->factor[0], r->factor[1]);
    return findings_add_fact(f,
                             "Left out: %llu voxels of vessels, %llu whose signal no relaxation "
                             "rate gives; no ve in 0 to 1: %llu voxels",
                             (unsigned long long)r->vessel_voxels,
                             (unsigned long long)r->broken_voxels,
                             (unsigned long long)r->odd_voxels);
}

static bool add_dce_warnings(struct dce_writer *w)
{
    const struct dce_result *r = w->r;
    struct findings *f = w->f;
    if (r->fixed_t1_ms > 0)
        findings_add_warning(
            f,
            "T1 is not measured: %g ms is taken for all tissue, and Ktrans, ve and "
            "vp are wrong by as much as that is",
            r->fixed_t1_ms);
    if (!r->artery.count)
        findings_add_warning(f, "The arterial curve is that of a population, not of this patient: "
                                "Ktrans, ve and vp depend on dose and circulation");
    if (r->rest > misfit_share * r->high && r->rest > misfit_noise * r->noise)
        findings_add_warning(
            f,
            "The model does not fit: it leaves %.3f mmol/L of peaks of %.3f mmol/L "
            "at a noise of %.3f mmol/L",
            r->rest, r->high, r->noise);
    if (r->high < noisy * r->noise)
        findings_add_warning(f,
                             "Enhancing tissue rises to %.1f times the noise of a voxel (median; "
                             "limit %.0f): single voxels mean little, and Ktrans may be too low",
                             r->high / r->noise, noisy);
    if (r->odd_voxels * 4 > r->enhancing_voxels)
        findings_add_warning(f, "%.0f %% of enhancing voxels have no ve in 0 to 1",
                             100.0 * (double)r->odd_voxels / (double)r->enhancing_voxels);
    return !f->no_memory;
}

bool dce_report(struct findings *f, const struct stage_run *run, const struct dce_result *r,
                struct err *err)
{
    struct dce_writer w = {.f = f, .run = run, .v = r->scan->v, .r = r};
    perfusion_blocks_init(&w.blocks, w.v, r->factor, r->dim);
    w.ml = r->spacing[0] * r->spacing[1] * r->spacing[2] / 1000;
    list_quantities(&w);
    const bool ok = paint_enhancing(&w) && add_dce_maps(&w) && add_dce_numbers(&w) &&
                    add_ways(&w) && add_artery_marks(&w) && add_dce_curve(&w) &&
                    add_dce_pictures(&w) && add_dce_facts(&w) && add_dce_warnings(&w);
    if (!ok)
        return err_set(err, ERR_NOMEM, "dce: report");
    f->verdict = VERDICT_DONE;
    f->reason = "";
    return stage_step(run, "drawing", 0.9, err) && picture_maps(f, run->set, err);
}
