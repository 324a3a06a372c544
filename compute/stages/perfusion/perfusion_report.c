#include "compute/stages/perfusion/perfusion_report.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/draw/picture.h"
#include "compute/stages/perfusion/perfusion_axis.h"

const double perfusion_tmax_limits[PERFUSION_TMAX_LIMITS] = {4, 6, 8, 10};
const double perfusion_flow_limits[PERFUSION_FLOW_LIMITS] = {20, 30, 34, 38};

// DEFUSE 3 (N Engl J Med 2018;378:708): core, ratio and volume of a target mismatch.
static const double target_core_ml = 70, target_ratio = 1.8, target_mismatch_ml = 15;

// How far volumes are off in 19 of 20 phantoms: late tissue, core; by how much more where curves
// had to be smoothed more or images are more than PERFUSION_HALF_S apart. ./run evaluate perfusion
static const double error_late_share = 0.1, error_late_ml = 3;
static const double error_core_share = 0.25, error_core_ml = 5;
static const double error_poor = 1.6;

// Late tissue around a core has 60 to 75 % of normal flow, tissue behind a narrow artery in the
// neck all of it. tests/phantom/perfusion.py
static const double late_flow_max = 0.85;
// Where most of a side is late that is more likely: a middle cerebral artery feeds half of it.
static const double late_of_side_max = 0.6, late_flow_side_max = 0.65;

// Sources: PS3.16 CID 7180 (quantities), 7181 (units), 4105 (deconvolution), 7203, 7150, 7151, 244;
// UCUM. Core, mismatch and their ratios have no code of a standard.
static const struct code code_flow = {"126390", "DCM", "Absolute Regional Blood Flow"};
static const struct code code_blood = {"126391", "DCM", "Absolute Regional Blood Volume"};
static const struct code code_transit = {"113052", "DCM", "Mean Transit Time"};
static const struct code code_tmax = {"113084", "DCM", "Tmax"};
static const struct code code_peak_time = {"113069", "DCM", "Time To Peak"};
static const struct code code_svd = {"126311", "DCM",
                                     "Singular Value Decomposition (SVD) deconvolution"};
static const struct code code_analysis = {"129104", "DCM", "Perfusion image analysis"};
static const struct code code_volume = {"118565006", "SCT", "Volume"};
static const struct code code_brain = {"12738006", "SCT", "Brain"};
static const struct code code_abnormal = {"49755003", "SCT", "Morphologically Abnormal Structure"};
static const struct code code_left = {"7771000", "SCT", "Left"};
static const struct code code_right = {"24028007", "SCT", "Right"};
static const struct code code_delayed = {"DELAYED", "99ANODE", "Brain tissue with late inflow"};
static const struct code code_core = {"CORE", "99ANODE", "Brain tissue with little flow"};
static const struct code code_mismatch = {"MISMATCH", "99ANODE", "Late inflow without little flow"};
static const struct code code_ratio = {"MISMATCH-RATIO", "99ANODE", "Mismatch ratio"};
static const struct code code_hir = {"HIR", "99ANODE", "Hypoperfusion intensity ratio"};
static const struct code code_index = {"CBV-INDEX", "99ANODE", "CBV index"};
static const struct code code_target = {"TARGET", "99ANODE", "Target mismatch profile"};
static const struct code code_normal = {"NORMAL", "99ANODE", "Brain tissue taken as normal"};
static const struct code method_tmax[PERFUSION_TMAX_LIMITS] = {
    {"TMAX-4", "99ANODE", "Tmax above 4 s"},
    {"TMAX-6", "99ANODE", "Tmax above 6 s"},
    {"TMAX-8", "99ANODE", "Tmax above 8 s"},
    {"TMAX-10", "99ANODE", "Tmax above 10 s"}};
static const struct code method_flow[PERFUSION_FLOW_LIMITS] = {
    {"CBF-20", "99ANODE", "CBF below 20 % of normal"},
    {"CBF-30", "99ANODE", "CBF below 30 % of normal"},
    {"CBF-34", "99ANODE", "CBF below 34 % of normal"},
    {"CBF-38", "99ANODE", "CBF below 38 % of normal"}};
static const struct code unit_flow = {"ml/min/[100]g", "UCUM", "ml/min/100g"};
static const struct code unit_blood = {"ml/[100]g", "UCUM", "ml/100g"};
static const struct code unit_s = {"s", "UCUM", "second"};
static const struct code unit_ml = {"mL", "UCUM", "milliliter"};
static const struct code unit_ratio = {"{ratio}", "UCUM", "ratio"};

enum { REGION_MISMATCH, REGION_CORE, REGIONS }; // the last one is drawn on top
enum { LAYER_ARTERY, LAYER_VEIN, LAYERS };
static const uint8_t core_rgb[3] = {255, 60, 200}, mismatch_rgb[3] = {70, 220, 90};
static const uint8_t artery_rgb[3] = {255, 80, 60}, vein_rgb[3] = {80, 140, 255};
static const uint8_t tissue_rgb[3] = {230, 230, 230};

#define SHOWN 6 // slices on the page

struct writer {
    struct findings *f;
    const struct stage_run *run;
    const struct image_set *set;
    uint32_t image;
    const struct image *v;
    const struct perfusion_result *r;
    uint16_t *labels;
    uint32_t slices[SHOWN], shown; // from the head down
    uint32_t key;                  // slice with most late tissue, or the middle one
};

// ---- From the work grid to that of the image ----------------------------------------------------

static size_t work_at(const struct writer *w, uint32_t i, uint32_t j, uint32_t k)
{
    const uint32_t *f = w->r->factor, *dim = w->r->dim;
    return ((size_t)(k / f[2]) * dim[1] + j / f[1]) * dim[0] + i / f[0];
}

// Where a column or row lies between the centres of two blocks.
static void between(uint32_t at, uint32_t factor, uint32_t count, uint32_t pair[2], double *part)
{
    const double x = fmin(fmax((at - (factor - 1) / 2.0) / factor, 0), count - 1);
    pair[0] = (uint32_t)x;
    pair[1] = pair[0] + 1 < count ? pair[0] + 1 : pair[0];
    *part = x - pair[0];
}

// Bilinear within slices, of the values there are. NAN where the voxel's own block has none.
static float spread_block(const struct writer *w, const float *values, uint32_t i, uint32_t j,
                          uint32_t k)
{
    const struct perfusion_result *r = w->r;
    const float own = values[work_at(w, i, j, k)];
    if (isnan(own) || r->factor[0] == 1)
        return own;
    uint32_t columns[2], rows[2];
    double x, y, sum = 0, weight = 0;
    between(i, r->factor[0], r->dim[0], columns, &x);
    between(j, r->factor[1], r->dim[1], rows, &y);
    for (int n = 0; n < 4; n++) {
        const size_t at =
            ((size_t)(k / r->factor[2]) * r->dim[1] + rows[n / 2]) * r->dim[0] + columns[n % 2];
        const double part = (n % 2 ? x : 1 - x) * (n / 2 ? y : 1 - y);
        if (!isnan(values[at])) {
            sum += part * (double)values[at];
            weight += part;
        }
    }
    return weight > 0 ? (float)(sum / weight) : own;
}

static void fill_map(struct writer *w, const float *values, float *to)
{
    for (uint32_t k = 0; k < w->v->dim[2]; k++) {
        for (uint32_t j = 0; j < w->v->dim[1]; j++) {
            for (uint32_t i = 0; i < w->v->dim[0]; i++)
                *to++ = spread_block(w, values, i, j, k);
        }
    }
}

static bool add_perfusion_map(struct writer *w, const char *name, const char *title,
                              const float *values, const struct code *quantity,
                              const struct code *unit, double most)
{
    struct value_map *m = findings_add_map(w->f, w->set, w->image);
    if (!m || !m->values)
        return false;
    m->name = name;
    m->title = title;
    m->quantity = *quantity;
    m->unit = *unit;
    m->method = code_svd;
    m->derivation = code_analysis;
    m->window[0] = most / 2;
    m->window[1] = most;
    m->palette = PALETTE_PERFUSION;
    fill_map(w, values, m->values);
    return true;
}

// Windows are those in which maps of adults are usually shown.
static bool add_perfusion_maps(struct writer *w)
{
    const struct perfusion_result *r = w->r;
    return add_perfusion_map(w, "cbf", "Cerebral blood flow (CBF)", r->flow, &code_flow, &unit_flow,
                             80) &&
           add_perfusion_map(w, "cbv", "Cerebral blood volume (CBV)", r->volume, &code_blood,
                             &unit_blood, 6) &&
           add_perfusion_map(w, "mtt", "Mean transit time (MTT)", r->transit, &code_transit,
                             &unit_s, 16) &&
           add_perfusion_map(w, "tmax", "Time to maximum of the residue function (Tmax)", r->tmax,
                             &code_tmax, &unit_s, 12) &&
           add_perfusion_map(w, "ttp", "Time to peak from the first step (TTP)", r->peak_time,
                             &code_peak_time, &unit_s, (r->steps - 1) * r->step_s);
}

static bool paint_perfusion(struct writer *w)
{
    struct label_map *map = findings_add_labels(w->f, w->set, w->image, 0);
    if (!map || !map->labels)
        return false;
    w->labels = map->labels;
    size_t n = 0, most = 0;
    w->key = w->v->dim[2] / 2;
    for (uint32_t k = 0; k < w->v->dim[2]; k++) {
        size_t painted = 0;
        for (uint32_t j = 0; j < w->v->dim[1]; j++) {
            for (uint32_t i = 0; i < w->v->dim[0]; i++, n++) {
                const size_t at = work_at(w, i, j, k);
                w->labels[n] = (uint16_t)(w->r->core[at]      ? REGION_CORE + 1
                                          : w->r->delayed[at] ? REGION_MISMATCH + 1
                                                              : 0);
                painted += w->labels[n] != 0;
            }
        }
        w->key = painted > most ? k : w->key;
        most = painted > most ? painted : most;
    }
    return true;
}

static bool add_perfusion_regions(struct writer *w)
{
    for (int n = 0; n < REGIONS; n++) {
        struct region *r = findings_add_region(w->f);
        if (!r)
            return false;
        *r = (struct region){.label = n == REGION_CORE ? "Core" : "Mismatch",
                             .category = code_abnormal,
                             .type = n == REGION_CORE ? code_core : code_mismatch,
                             .site = code_brain,
                             .group = n == REGION_CORE ? 1 : 2,
                             .automatic = true};
        memcpy(r->rgb, n == REGION_CORE ? core_rgb : mismatch_rgb, sizeof r->rgb);
    }
    return true;
}

// ---- Numbers ------------------------------------------------------------------------------------

static double delayed_ml(const struct writer *w)
{
    return w->r->tmax_ml[PERFUSION_TMAX_MAIN];
}

static double core_ml(const struct writer *w)
{
    return w->r->flow_ml[PERFUSION_FLOW_MAIN];
}

static struct finding_group *add_perfusion_group(struct writer *w, const char *label,
                                                 const struct code *finding, int region)
{
    struct finding_group *g = findings_add_group(w->f);
    if (!g)
        return NULL;
    g->label = label;
    g->finding = *finding;
    g->site = code_brain;
    g->region = region;
    if (delayed_ml(w) > 0) {
        g->has_key = true;
        g->key = (struct place){w->image, w->key, 0};
    }
    return g;
}

static void add_by_method(struct writer *w, struct finding_group *g, double ml,
                          const struct code *method)
{
    struct measurement *m = findings_add_number(w->f, g, &code_volume, ml, 1, &unit_ml, NULL);
    if (m)
        m->method = *method;
}

static bool add_sides(struct writer *w)
{
    const bool high_is_left = image_direction(w->v, 0) == 'L';
    for (int side = 0; side < PERFUSION_SIDES; side++) {
        const bool left = (side == PERFUSION_HIGH) == high_is_left;
        struct finding_group *g = add_perfusion_group(
            w, left ? "Left hemisphere" : "Right hemisphere", &code_delayed, -1);
        if (!g)
            return false;
        g->laterality = left ? code_left : code_right;
        add_by_method(w, g, w->r->delayed_side_ml[side], &method_tmax[PERFUSION_TMAX_MAIN]);
        add_by_method(w, g, w->r->core_side_ml[side], &method_flow[PERFUSION_FLOW_MAIN]);
    }
    return true;
}

static bool add_perfusion_groups(struct writer *w)
{
    const struct perfusion_result *r = w->r;
    struct findings *f = w->f;
    struct finding_group *g = add_perfusion_group(w, "Late inflow", &code_delayed, -1);
    if (!g)
        return false;
    for (int n = 0; n < PERFUSION_TMAX_LIMITS; n++)
        add_by_method(w, g, r->tmax_ml[n], &method_tmax[n]);
    if (delayed_ml(w) > 0) {
        findings_add_number(f, g, &code_hir, r->tmax_ml[PERFUSION_TMAX_LIMITS - 1] / delayed_ml(w),
                            2, &unit_ratio, NULL);
        findings_add_number(f, g, &code_index, r->volume_index, 2, &unit_ratio, NULL);
    }
    g = add_perfusion_group(w, "Core", &code_core, core_ml(w) > 0 ? REGION_CORE : -1);
    if (!g)
        return false;
    for (int n = 0; n < PERFUSION_FLOW_LIMITS; n++)
        add_by_method(w, g, r->flow_ml[n], &method_flow[n]);
    g = add_perfusion_group(w, "Mismatch", &code_mismatch,
                            delayed_ml(w) > core_ml(w) ? REGION_MISMATCH : -1);
    if (!g)
        return false;
    findings_add_number(f, g, &code_volume, delayed_ml(w) - core_ml(w), 1, &unit_ml, NULL);
    if (core_ml(w) > 0)
        findings_add_number(f, g, &code_ratio, delayed_ml(w) / core_ml(w), 2, &unit_ratio, NULL);
    g = add_perfusion_group(w, "Normal tissue", &code_normal, -1);
    if (!g)
        return false;
    findings_add_number(f, g, &code_volume, r->normal_ml, 0, &unit_ml, NULL);
    findings_add_number(f, g, &code_flow, r->normal_flow, 1, &unit_flow, NULL);
    findings_add_number(f, g, &code_blood, r->normal_volume, 2, &unit_blood, NULL);
    return add_sides(w);
}

static bool is_target(double late, double core)
{
    return core < target_core_ml && late - core >= target_mismatch_ml &&
           late >= target_ratio * core;
}

// Whether volumes within their error give another answer.
static bool target_is_open(const struct writer *w)
{
    const struct perfusion_result *r = w->r;
    const double late = delayed_ml(w), core = core_ml(w);
    const double worse = r->noisy || r->interval_s > PERFUSION_HALF_S ? error_poor : 1;
    const double late_off = fmax(worse * error_late_share * late, error_late_ml);
    const double core_off = fmax(worse * error_core_share * core, error_core_ml);
    const bool target = is_target(late, core);
    if (late == 0)
        return false;
    for (int n = 0; n < 4; n++) {
        const double l = fmax(late + (n & 1 ? late_off : -late_off), 0);
        const double c = fmin(fmax(core + (n & 2 ? core_off : -core_off), 0), l);
        if (is_target(l, c) != target)
            return true;
    }
    return false;
}

static bool add_target(struct writer *w)
{
    struct evaluation *e = findings_add_evaluation(w->f, NULL);
    if (!e)
        return false;
    e->concept = code_target;
    const bool side = w->r->late_of_side > late_of_side_max;
    if (w->r->late_flow > (side ? late_flow_side_max : late_flow_max)) {
        e->text =
            arena_printf(w->f->arena,
                         "uncertain: late tissue has %.0f %% of the flow of normal tissue "
                         "(limit %.0f %%)",
                         100 * w->r->late_flow, 100 * (side ? late_flow_side_max : late_flow_max));
        return e->text &&
               findings_add_warning(w->f,
                                    "Late tissue is %.0f %% of its side, and what of it is no core "
                                    "has %.0f %% of the flow of normal tissue: the blood may come "
                                    "late by a narrow artery in the neck, without lack of it",
                                    100 * w->r->late_of_side, 100 * w->r->late_flow);
    }
    const bool open = target_is_open(w);
    e->text = arena_printf(w->f->arena,
                           "%s: core %.0f mL (below %.0f mL), mismatch %.0f mL (at least %.0f mL), "
                           "ratio at least %.1f",
                           open ? "uncertain, within the error of the volumes"
                           : is_target(delayed_ml(w), core_ml(w)) ? "yes"
                                                                  : "no",
                           core_ml(w), target_core_ml, delayed_ml(w) - core_ml(w),
                           target_mismatch_ml, target_ratio);
    return e->text != NULL;
}

// ---- Vessels ------------------------------------------------------------------------------------

static bool add_vessel_marks(struct writer *w, const struct perfusion_vessel *v, int layer,
                             const char *name, const uint8_t rgb[3])
{
    struct layer *l = findings_add_layer(w->f);
    if (!l)
        return false;
    l->name = layer == LAYER_ARTERY ? "ARTERY" : "VEIN";
    l->description = name;
    memcpy(l->rgb, rgb, sizeof l->rgb);
    for (uint32_t n = 0; n < v->count; n++) {
        const uint32_t *at = v->voxels[n], *f = w->r->factor;
        const uint32_t middle = at[2] * f[2] + (f[2] - 1) / 2, last = w->v->dim[2] - 1;
        const struct place place = {w->image, middle < last ? middle : last, 0};
        if (!findings_add_point(w->f, place, layer, (at[0] + 0.5) * f[0], (at[1] + 0.5) * f[1]))
            return false;
    }
    return true;
}

static bool add_vessel_fact(struct writer *w, const char *name, const struct perfusion_vessel *v)
{
    const uint32_t *f = w->r->factor;
    if (!v->count)
        return findings_add_fact(w->f, "%s: not found", name);
    return findings_add_fact(w->f,
                             "%s: mean of %u voxels, the first at column %u, row %u of slice %u; "
                             "peak %.0f HU at %.1f s, "
                             "%.1f s wide at half of it",
                             name, v->count, v->voxels[0][0] * f[0], v->voxels[0][1] * f[1],
                             v->voxels[0][2] * f[2] + 1, v->peak,
                             w->r->start_s + v->top * w->r->step_s, v->width * w->r->step_s);
}

static bool add_curve_line(struct writer *w, struct curve *c, const char *name, const double *y,
                           const double *x, const uint8_t rgb[3])
{
    struct curve_line *line = findings_add_line(w->f, c, name, x, y, w->r->steps);
    if (line)
        memcpy(line->rgb, rgb, sizeof line->rgb);
    return line != NULL;
}

static bool add_bolus_curve(struct writer *w)
{
    const struct perfusion_result *r = w->r;
    double *x = arena_alloc(w->f->arena, r->steps, sizeof *x);
    double *brain = arena_alloc(w->f->arena, r->steps, sizeof *brain);
    double *guide = arena_alloc(w->f->arena, 1, sizeof *guide);
    static const char *const names[] = {"end of the baseline"};
    struct curve *c = findings_add_curve(w->f);
    if (!x || !brain || !guide || !c)
        return false;
    for (uint32_t n = 0; n < r->steps; n++) {
        x[n] = r->start_s + n * r->step_s;
        brain[n] = 10 * r->brain_curve[n];
    }
    guide[0] = x[r->before - 1];
    c->title = "Enhancement in artery, vein and brain";
    c->x_name = "time";
    c->x_unit = "s";
    c->y_name = "enhancement";
    c->y_unit = "HU";
    c->guides = guide;
    c->guide_names = names;
    c->guide_count = 1;
    return add_curve_line(w, c, "artery", r->vessels->artery.curve, x, artery_rgb) &&
           (!r->vessels->vein.count ||
            add_curve_line(w, c, "vein", r->vessels->vein.curve, x, vein_rgb)) &&
           add_curve_line(w, c, "10 x brain", brain, x, tissue_rgb);
}

static bool add_motion_curve(struct writer *w)
{
    struct curve *c = findings_add_curve(w->f);
    if (!c)
        return false;
    c->title = w->r->tracked ? "Motion of the head, from its bone"
                             : "Motion of the head, from its outline";
    c->x_name = "time";
    c->x_unit = "s";
    c->y_name = "motion";
    c->y_unit = "mm";
    struct curve_line *line = findings_add_line(w->f, c, "since the first point", w->r->moved_at,
                                                w->r->moved_mm, w->r->points);
    if (line)
        line->marks = true;
    return line != NULL;
}

// ---- The page -----------------------------------------------------------------------------------

static bool add_ladder(struct writer *w)
{
    const struct perfusion_result *r = w->r;
    struct findings *f = w->f;
    struct page_table *t =
        findings_add_table(f, "Volumes by threshold", PERFUSION_TMAX_LIMITS + 1, 4);
    bool ok = t && findings_set_cell(f, t, 0, 0, "Tmax") && findings_set_cell(f, t, 0, 1, "mL") &&
              findings_set_cell(f, t, 0, 2, "CBF of normal") && findings_set_cell(f, t, 0, 3, "mL");
    for (uint32_t n = 0; ok && n < PERFUSION_TMAX_LIMITS; n++)
        ok = findings_set_cell(f, t, n + 1, 0, "> %.0f s", perfusion_tmax_limits[n]) &&
             findings_set_cell(f, t, n + 1, 1, "%.1f", r->tmax_ml[n]) &&
             findings_set_cell(f, t, n + 1, 2, "< %.0f %%", perfusion_flow_limits[n]) &&
             findings_set_cell(f, t, n + 1, 3, "%.1f", r->flow_ml[n]);
    return ok;
}

static bool add_perfusion_summary(struct writer *w)
{
    const struct perfusion_result *r = w->r;
    struct findings *f = w->f;
    const bool high_is_left = image_direction(w->v, 0) == 'L';
    const int left = high_is_left ? PERFUSION_HIGH : PERFUSION_LOW, right = 1 - left;
    struct page_table *t = findings_add_table(f, "Core and mismatch", 4, 4);
    bool ok = t && findings_set_cell(f, t, 0, 0, "Volume, mL") &&
              findings_set_cell(f, t, 0, 1, "Right") && findings_set_cell(f, t, 0, 2, "Left") &&
              findings_set_cell(f, t, 0, 3, "Both");
    ok = ok && findings_set_cell(f, t, 1, 0, "Tmax > 6 s") &&
         findings_set_cell(f, t, 1, 1, "%.1f", r->delayed_side_ml[right]) &&
         findings_set_cell(f, t, 1, 2, "%.1f", r->delayed_side_ml[left]) &&
         findings_set_cell(f, t, 1, 3, "%.1f", delayed_ml(w));
    ok = ok && findings_set_cell(f, t, 2, 0, "Core: CBF < 30 %%, Tmax > 6 s") &&
         findings_set_cell(f, t, 2, 1, "%.1f", r->core_side_ml[right]) &&
         findings_set_cell(f, t, 2, 2, "%.1f", r->core_side_ml[left]) &&
         findings_set_cell(f, t, 2, 3, "%.1f", core_ml(w));
    for (int c = 1; ok && c < 4; c++) {
        const double late = c == 3 ? delayed_ml(w) : r->delayed_side_ml[c == 1 ? right : left];
        const double core = c == 3 ? core_ml(w) : r->core_side_ml[c == 1 ? right : left];
        ok = findings_set_cell(f, t, 3, (uint32_t)c, "%.1f", late - core);
    }
    return ok && findings_set_cell(f, t, 3, 0, "Mismatch");
}

static void choose_perfusion_slices(struct writer *w)
{
    const uint32_t slices = w->v->dim[2], step = w->r->factor[2];
    const uint32_t blocks = w->r->dim[2];
    const bool head_last = image_direction(w->v, 2) == 'H';
    for (uint32_t n = 0; n < SHOWN; n++) {
        const uint32_t part = head_last ? SHOWN - n : n + 1;
        uint32_t k = blocks * part / (SHOWN + 1) * step + (step - 1) / 2;
        k = k < slices ? k : slices - 1;
        if (!w->shown || w->slices[w->shown - 1] != k)
            w->slices[w->shown++] = k;
    }
}

static bool add_picture(struct writer *w, uint32_t slice, int map, const char *what)
{
    char name[64];
    struct page_image *p = findings_add_image(w->f);
    if (!p)
        return false;
    image_place_name(w->set, w->image, slice, 0, name, sizeof name);
    p->place = (struct place){w->image, slice, 0};
    p->window[0] = 40;
    p->window[1] = 100;
    p->map = map;
    p->regions = map < 0;
    p->caption = arena_printf(w->f->arena, "%s, %s", what, name);
    return p->caption != NULL;
}

static bool add_perfusion_pictures(struct writer *w)
{
    static const char *const maps[] = {"CBF", "CBV", "MTT", "Tmax"};
    bool ok = true;
    for (uint32_t n = 0; ok && n < w->shown; n++)
        ok = add_picture(w, w->slices[n], -1, "Core and mismatch");
    for (int m = 0; ok && m < 4; m++)
        ok = add_picture(w, w->key, m, maps[m]);
    return ok;
}

static bool add_motion_fact(struct writer *w)
{
    const struct perfusion_result *r = w->r;
    if (!r->tracked)
        return findings_add_fact(w->f, "Motion: by the outline of the head, not corrected");
    return findings_add_fact(w->f,
                             "Motion: by bone%s; %u points corrected (by up to %.1f mm), %u left "
                             "out",
                             r->through ? "" : ", which tells only motion within slices",
                             r->points_corrected, r->corrected_mm, r->points_dropped);
}

static bool add_perfusion_facts(struct writer *w)
{
    const struct perfusion_result *r = w->r;
    struct findings *f = w->f;
    return findings_add_fact(f,
                             "%u points in time every %.2f s; %u steps of %.2f s for %.1f s, %u "
                             "before the bolus",
                             r->points, r->interval_s, r->steps, r->step_s,
                             (r->steps - 1) * r->step_s, r->before) &&
           findings_add_fact(f, "Computed in blocks of %u x %u x %u voxels (%.2f x %.2f x %.2f mm)",
                             r->factor[0], r->factor[1], r->factor[2], r->spacing[0], r->spacing[1],
                             r->spacing[2]) &&
           add_vessel_fact(w, "Artery", &r->vessels->artery) &&
           add_vessel_fact(w, "Vein", &r->vessels->vein) && add_motion_fact(w) &&
           findings_add_fact(f, "Artery multiplied by %.3f", r->artery_scale) &&
           findings_add_fact(
               f,
               "Noise %.1f HU in a voxel, %.2f HU smoothed with %.1f mm; tissue rises by %.1f HU",
               r->noise_hu, r->smooth_noise_hu, r->smooth_mm, r->tissue_hu) &&
           findings_add_fact(f,
                             "Brain %.0f mL; left out: vessels %.0f mL, fluid %.0f mL, dark and "
                             "without blood %.0f mL; small pieces of all thresholds together %.1f "
                             "mL",
                             r->brain_ml, r->vessels_ml, r->fluid_ml, r->old_ml, r->dropped_ml) &&
           findings_add_fact(f, "Normal tissue: Tmax of at most 4 s, %s; CBF %.1f, CBV %.2f",
                             r->normal_side == PERFUSION_SIDES ? "both sides"
                                                               : "the side with less late tissue",
                             r->normal_flow, r->normal_volume) &&
           findings_add_fact(f,
                             "Core: CBF below 30 %% of normal tissue where Tmax is above 6 s; both "
                             "less what a maximum owes to noise, which maps are not");
}

static bool add_perfusion_page(struct writer *w)
{
    struct findings *f = w->f;
    const double late = delayed_ml(w), core = core_ml(w);
    const char *ratio = core > 0 ? arena_printf(f->arena, "%.1f", late / core) : "- (no core)";
    f->page.headline =
        arena_printf(f->arena, "Core %.0f mL   Tmax > 6 s %.0f mL   mismatch %.0f mL   ratio %s",
                     core, late, late - core, ratio);
    choose_perfusion_slices(w);
    return ratio && f->page.headline && add_perfusion_summary(w) && add_ladder(w) &&
           add_perfusion_pictures(w) && add_bolus_curve(w) && add_motion_curve(w) &&
           add_perfusion_facts(w);
}

bool perfusion_report(struct findings *f, const struct stage_run *run, uint32_t image,
                      const struct perfusion_result *r, struct err *err)
{
    struct writer w = {
        .f = f, .run = run, .set = run->set, .image = image, .v = &run->set->images[image], .r = r};
    const bool ok = add_perfusion_regions(&w) && paint_perfusion(&w) && add_perfusion_maps(&w) &&
                    add_perfusion_groups(&w) && add_target(&w) &&
                    add_vessel_marks(&w, &r->vessels->artery, LAYER_ARTERY, "Artery", artery_rgb) &&
                    add_vessel_marks(&w, &r->vessels->vein, LAYER_VEIN, "Vein", vein_rgb) &&
                    add_perfusion_page(&w);
    if (!ok)
        return err_set(err, ERR_NOMEM, "perfusion: report");
    f->verdict = VERDICT_DONE;
    f->reason = "";
    return stage_step(run, "drawing", 0.9, err) && picture_maps(f, run->set, err);
}
