#include "compute/stages/dsc/dsc_report.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/findings/colour.h"
#include "compute/draw/picture.h"
#include "compute/stages/perfusion/perfusion_blocks.h"

const double dsc_late_s = 6;

// Sources: PS3.16 CID 7180, 7181, 4105, 7203, 7464, 7150; UCUM.
static const struct code dsc_flow = {"126390", "DCM", "Absolute Regional Blood Flow"};
static const struct code dsc_blood = {"126391", "DCM", "Absolute Regional Blood Volume"};
static const struct code dsc_transit = {"113052", "DCM", "Mean Transit Time"};
static const struct code dsc_tmax = {"113084", "DCM", "Tmax"};
static const struct code dsc_peak_time = {"113069", "DCM", "Time To Peak"};
static const struct code dsc_k2 = {"LEAK-K2", "99ANODE",
                                   "Leakage K2 (Boxerman, Schmainda, Weisskoff)"};
static const struct code dsc_svd = {"126311", "DCM",
                                    "Singular Value Decomposition (SVD) deconvolution"};
static const struct code dsc_analysis = {"129104", "DCM", "Perfusion image analysis"};
static const struct code dsc_volume = {"118565006", "SCT", "Volume"};
static const struct code dsc_median = {"373099004", "SCT", "Median"};
static const struct code dsc_brain = {"12738006", "SCT", "Brain"};
static const struct code dsc_abnormal = {"49755003", "SCT", "Morphologically Abnormal Structure"};
static const struct code dsc_delayed = {"DELAYED", "99ANODE", "Brain tissue with late inflow"};
static const struct code dsc_tissue = {"TISSUE", "99ANODE", "Brain tissue without vessels"};
static const struct code dsc_tmax_6 = {"TMAX-6", "99ANODE", "Tmax above 6 s"};
static const struct code dsc_unit_flow = {"ml/min/[100]g", "UCUM", "ml/min/100g"};
static const struct code dsc_unit_blood = {"ml/[100]g", "UCUM", "ml/100g"};
static const struct code dsc_unit_s = {"s", "UCUM", "second"};
static const struct code dsc_unit_rate = {"/s", "UCUM", "/s"};
static const struct code dsc_unit_ml = {"mL", "UCUM", "milliliter"};

static const uint8_t late_rgb[3] = COLOUR_GREEN, dsc_artery_rgb[3] = COLOUR_VERMILION,
                     dsc_vein_rgb[3] = COLOUR_SKY, dsc_brain_rgb[3] = COLOUR_GREY;

enum { DSC_MAPS = 6 };

struct dsc_quantity {
    const char *name, *title;
    const float *values;
    const struct code *quantity, *unit;
    double middle, width; // of the window
    int decimals;
};

struct dsc_writer {
    struct findings *f;
    struct perfusion_blocks blocks; // from the work grid to that of the image
    const struct stage_run *run;
    const struct image *v;
    const struct dsc_result *r;
    struct dsc_quantity quantities[DSC_MAPS];
    uint32_t count;
    uint32_t key; // slice with most late tissue, or the middle one
};

static void list_dsc_quantities(struct dsc_writer *w)
{
    const struct dsc_result *r = w->r;
    const double end = (r->steps - 1) * r->step_s;
    const struct dsc_quantity all[DSC_MAPS] = {
        {"cbf", "Cerebral blood flow (CBF)", r->flow, &dsc_flow, &dsc_unit_flow, 40, 80, 1},
        {"cbv", "Cerebral blood volume (CBV)", r->volume, &dsc_blood, &dsc_unit_blood, 3, 6, 2},
        {"mtt", "Mean transit time (MTT)", r->transit, &dsc_transit, &dsc_unit_s, 8, 16, 2},
        {"tmax", "Time to maximum of the residue function (Tmax)", r->tmax, &dsc_tmax, &dsc_unit_s,
         6, 12, 2},
        {"ttp", "Time to peak from the first step (TTP)", r->peak_time, &dsc_peak_time, &dsc_unit_s,
         end / 2, end, 2},
        {"k2", "Leakage K2", r->k2, &dsc_k2, &dsc_unit_rate, 0, 0.1, 4},
    };
    for (int n = 0; n < DSC_MAPS; n++) {
        if (all[n].values)
            w->quantities[w->count++] = all[n];
    }
}

static bool add_dsc_maps(struct dsc_writer *w)
{
    for (uint32_t n = 0; n < w->count; n++) {
        const struct dsc_quantity *q = &w->quantities[n];
        struct value_map *m = findings_add_map(w->f, w->run->set, w->r->image);
        if (!m || !m->values)
            return false;
        m->name = q->name;
        m->title = q->title;
        m->quantity = *q->quantity;
        m->unit = *q->unit;
        if (q->quantity != &dsc_k2)
            m->method = dsc_svd;
        m->derivation = dsc_analysis;
        m->window[0] = q->middle;
        m->window[1] = q->width;
        m->palette = q->quantity == &dsc_k2 ? PALETTE_DIFFERENCE : PALETTE_PERFUSION;
        perfusion_blocks_spread(&w->blocks, q->values, m->values);
    }
    return true;
}

static bool paint_late(struct dsc_writer *w)
{
    struct region *r = findings_add_region(w->f);
    struct label_map *map = findings_add_labels(w->f, w->run->set, w->r->image, 0);
    if (!r || !map || !map->labels)
        return false;
    *r = (struct region){.label = "Late tissue",
                         .category = dsc_abnormal,
                         .type = dsc_delayed,
                         .site = dsc_brain,
                         .group = 0,
                         .automatic = true};
    memcpy(r->rgb, late_rgb, sizeof r->rgb);
    perfusion_blocks_spread_labels(&w->blocks, w->r->late, map->labels);
    const size_t plane = (size_t)w->v->dim[0] * w->v->dim[1];
    size_t most = 0;
    w->key = w->v->dim[2] / 2;
    for (uint32_t k = 0; k < w->v->dim[2]; k++) {
        size_t painted = 0;
        for (size_t n = 0; n < plane; n++)
            painted += map->labels[k * plane + n];
        w->key = painted > most ? k : w->key;
        most = painted > most ? painted : most;
    }
    return true;
}

static int lesser_first(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

// Median of a map where it has values; NAN: it has none. False: no memory.
static bool map_median(const struct dsc_writer *w, const float *values, double *median)
{
    const size_t voxels = (size_t)w->r->dim[0] * w->r->dim[1] * w->r->dim[2];
    float *list = malloc((voxels + 1) * sizeof *list);
    size_t count = 0;
    if (!list)
        return false;
    for (size_t n = 0; n < voxels; n++) {
        if (!isnan(values[n]))
            list[count++] = values[n];
    }
    qsort(list, count, sizeof *list, lesser_first);
    *median = count ? (double)list[(count - 1) / 2] : NAN;
    free(list);
    return true;
}

static bool add_dsc_numbers(struct dsc_writer *w)
{
    struct findings *f = w->f;
    const struct dsc_result *r = w->r;
    struct finding_group *g = findings_add_group(f);
    if (!g)
        return false;
    g->label = "Late inflow";
    g->finding = dsc_delayed;
    g->site = dsc_brain;
    g->region = r->late_ml > 0 ? 0 : -1;
    g->has_key = r->late_ml > 0;
    g->key = (struct place){r->image, w->key, 0};
    struct measurement *m =
        findings_add_number(f, g, &dsc_volume, r->late_ml, 1, &dsc_unit_ml, NULL);
    if (m)
        m->method = dsc_tmax_6;
    g = findings_add_group(f);
    struct page_table *t = findings_add_table(f, "Brain tissue, medians", w->count + 1, 3);
    if (!g || !t)
        return false;
    g->label = "Brain tissue";
    g->finding = dsc_tissue;
    g->site = dsc_brain;
    findings_add_number(f, g, &dsc_volume, r->tissue_ml, 0, &dsc_unit_ml, NULL);
    findings_set_cell(f, t, 0, 1, "Median");
    findings_set_cell(f, t, 0, 2, "Unit");
    for (uint32_t n = 0; n < w->count; n++) {
        const struct dsc_quantity *q = &w->quantities[n];
        double median;
        if (!map_median(w, q->values, &median))
            return false;
        findings_set_cell(f, t, n + 1, 0, "%s", q->title);
        if (isnan(median)) {
            findings_set_cell(f, t, n + 1, 1, "-");
        } else {
            findings_add_number(f, g, q->quantity, median, q->decimals, q->unit, &dsc_median);
            findings_set_cell(f, t, n + 1, 1, "%.*f", q->decimals, median);
        }
        findings_set_cell(f, t, n + 1, 2, "%s", q->unit->value);
    }
    f->page.headline = arena_printf(f->arena, "Tmax > 6 s: %.0f mL", r->late_ml);
    return f->page.headline != NULL;
}

// ---- Curves, marks, page ------------------------------------------------------------------------

static bool add_dsc_line(struct dsc_writer *w, struct curve *c, const char *name, const double *x,
                         const double *y, const uint8_t rgb[3])
{
    struct curve_line *line = findings_add_line(w->f, c, name, x, y, w->r->steps);
    if (line)
        memcpy(line->rgb, rgb, sizeof line->rgb);
    return line != NULL;
}

static bool add_dsc_curve(struct dsc_writer *w)
{
    const struct dsc_result *r = w->r;
    static const char *const names[] = {"end of the baseline"};
    double *x = arena_alloc(w->f->arena, r->steps, sizeof *x);
    double *ten = arena_alloc(w->f->arena, r->steps, sizeof *ten);
    double *guide = arena_alloc(w->f->arena, 1, sizeof *guide);
    struct curve *c = findings_add_curve(w->f);
    if (!x || !ten || !guide || !c)
        return false;
    for (uint32_t n = 0; n < r->steps; n++) {
        x[n] = r->start_s + n * r->step_s;
        ten[n] = 10 * r->brain_curve[n];
    }
    guide[0] = x[r->before - 1];
    *c = (struct curve){.title = "Change of R2* in artery, vein and brain",
                        .x_name = "time",
                        .x_unit = "s",
                        .y_name = "change of R2*",
                        .y_unit = "1/s",
                        .guides = guide,
                        .guide_names = names,
                        .guide_count = 1};
    return add_dsc_line(w, c, "artery", x, r->vessels->artery.curve, dsc_artery_rgb) &&
           (!r->vessels->vein.count ||
            add_dsc_line(w, c, "vein", x, r->vessels->vein.curve, dsc_vein_rgb)) &&
           add_dsc_line(w, c, "10 x brain", x, ten, dsc_brain_rgb);
}

static bool add_dsc_vessel(struct dsc_writer *w, const struct perfusion_vessel *v, int layer,
                           const char *name, const uint8_t rgb[3])
{
    struct layer *l = findings_add_layer(w->f);
    if (!l)
        return false;
    l->name = layer ? "VEIN" : "ARTERY";
    l->description = name;
    memcpy(l->rgb, rgb, sizeof l->rgb);
    for (uint32_t n = 0; n < v->count; n++) {
        const uint32_t *at = v->voxels[n], *f = w->r->factor;
        const struct place place = {w->r->image, at[2] * f[2], 0};
        if (!findings_add_point(w->f, place, layer, (at[0] + 0.5) * f[0], (at[1] + 0.5) * f[1]))
            return false;
    }
    return true;
}

static bool add_dsc_pictures(struct dsc_writer *w)
{
    char name[64];
    for (int n = -1; n < (int)w->count; n++) {
        struct page_image *p = findings_add_image(w->f);
        if (!p)
            return false;
        image_place_name(w->run->set, w->r->image, w->key, 0, name, sizeof name);
        p->place = (struct place){w->r->image, w->key, 0};
        p->map = n;
        p->regions = n < 0;
        p->caption = arena_printf(w->f->arena, "%s, %s",
                                  n < 0 ? "Late tissue" : w->quantities[n].title, name);
        if (!p->caption)
            return false;
    }
    return true;
}

static bool add_dsc_facts(struct dsc_writer *w)
{
    const struct dsc_result *r = w->r;
    struct findings *f = w->f;
    const struct perfusion_vessel *a = &r->vessels->artery;
    findings_add_fact(
        f,
        "TR %g ms, TE %g ms; %u steps of %.2f s, %u before the bolus; %u of %u points "
        "left out at the beginning",
        r->tr_ms, r->te_ms, r->steps, r->step_s, r->before, r->first, r->points);
    findings_add_fact(f,
                      "Artery: mean of %u voxels, the first at column %u, row %u of slice %u; peak "
                      "%.1f /s, multiplied by %.3f",
                      a->count, a->voxels[0][0] * r->factor[0], a->voxels[0][1] * r->factor[1],
                      a->voxels[0][2] * r->factor[2] + 1, a->peak, r->artery_scale);
    findings_add_fact(f, "100 kH / rho is %.1f mL in 100 g; smoothed with %.1f mm", r->per_100_g,
                      r->smooth_mm);
    findings_add_fact(
        f,
        "Noise %.2f /s in a voxel; brain %.0f mL; left out: vessels %.0f mL, curves "
        "that are noise %.0f mL, signal that is gone %.0f mL, small late pieces %.1f mL",
        r->noise, r->brain_ml, r->vessels_ml, r->weak_ml, r->broken_ml, r->dropped_ml);
    return findings_add_fact(
        f,
        "K2 by the mean curve of %.0f mL that do not leak, where Tmax is at most "
        "3 s; CBV is %s",
        r->unleaking_ml,
        r->corrected && r->k2 ? "corrected by it there, CBF and Tmax are not"
                              : "not corrected for leakage");
}

bool dsc_report(struct findings *f, const struct stage_run *run, const struct dsc_result *r,
                struct err *err)
{
    struct dsc_writer w = {.f = f, .run = run, .v = &run->set->images[r->image], .r = r};
    perfusion_blocks_init(&w.blocks, w.v, r->factor, r->dim);
    list_dsc_quantities(&w);
    const bool ok = paint_late(&w) && add_dsc_maps(&w) && add_dsc_numbers(&w) &&
                    add_dsc_vessel(&w, &r->vessels->artery, 0, "Artery", dsc_artery_rgb) &&
                    add_dsc_vessel(&w, &r->vessels->vein, 1, "Vein", dsc_vein_rgb) &&
                    add_dsc_curve(&w) && add_dsc_pictures(&w) && add_dsc_facts(&w);
    if (!ok)
        return err_set(err, ERR_NOMEM, "dsc: report");
    f->verdict = VERDICT_DONE;
    f->reason = "";
    return stage_step(run, "drawing", 0.9, err) && picture_maps(f, run->set, err);
}
