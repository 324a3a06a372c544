#include "compute/stages/perfusion/perfusion_report.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/findings/colour.h"
#include "compute/draw/picture.h"
#include "compute/stages/perfusion/perfusion_axis.h"
#include "compute/stages/perfusion/perfusion_writer.h"

const double perfusion_tmax_limits[PERFUSION_TMAX_LIMITS] = {4, 6, 8, 10};
const double perfusion_flow_limits[PERFUSION_FLOW_LIMITS] = {20, 30, 34, 38};

// DEFUSE 3 (N Engl J Med 2018;378:708): core, ratio and volume of a target mismatch.
static const double target_core_ml = 70, target_ratio = 1.8, target_mismatch_ml = 15;

// How far volumes are off in 19 of 20 phantoms: late tissue, core; by how much more where curves
// had to be smoothed more or images are more than PERFUSION_HALF_S apart. ./run evaluate perfusion
static const double error_late_share = 0.1, error_late_ml = 3;
static const double error_core_share = 0.25, error_core_ml = 5;
static const double error_poor = 1.6;
// Where both is so: noise draws the border of late tissue out, by 8.6 mL of 19.
static const double error_noisy_sparse_ml = 9;
static const double core_poor_most = 0.6; // what a core lacks there at most, of what was measured
static const double shown_least = 0.05;   // mL, of a ratio: smaller differences are not shown

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
static const uint8_t core_rgb[3] = COLOUR_VIOLET, mismatch_rgb[3] = COLOUR_GREEN;

// ---- Maps and segments ------------------------------------------------------------------------

static bool add_perfusion_map(struct perfusion_writer *w, const char *name, const char *title,
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
    perfusion_blocks_spread_smoothly(&w->blocks, values, m->values);
    return true;
}

// Windows are those in which maps of adults are usually shown.
static bool add_perfusion_maps(struct perfusion_writer *w)
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

static bool paint_perfusion(struct perfusion_writer *w)
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
                const size_t at = perfusion_blocks_at(&w->blocks, i, j, k);
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

static bool add_perfusion_regions(struct perfusion_writer *w)
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

static struct finding_group *add_perfusion_group(struct perfusion_writer *w, const char *label,
                                                 const struct code *finding, int region)
{
    struct finding_group *g = findings_add_group(w->f);
    if (!g)
        return NULL;
    g->label = label;
    g->finding = *finding;
    g->site = code_brain;
    g->region = region;
    if (perfusion_delayed_ml(w) > 0) {
        g->has_key = true;
        g->key = (struct place){w->image, w->key, 0};
    }
    return g;
}

static void add_by_method(struct perfusion_writer *w, struct finding_group *g, double ml,
                          const struct code *method)
{
    struct measurement *m = findings_add_number(w->f, g, &code_volume, ml, 1, &unit_ml, NULL);
    if (m)
        m->method = *method;
}

// ---- Between what volumes lie -------------------------------------------------------------------

// What a range comes of, as bits.
enum { BY_ARTERY = 1, BY_NOISE = 2, BY_SIDE = 4 };
static const char *const range_reasons[] = {
    "",
    "by which artery is taken",
    "by noise or images far apart",
    "by which artery is taken, and noise or images far apart",
    "by a side that is late as a whole",
    "by which artery is taken, and a side that is late as a whole",
    "by noise or images far apart, and a side that is late as a whole",
    "by which artery is taken, noise or images far apart, and a side that is late as a whole",
};

// The last measurement of a group lies between these.
static void set_bounds(struct finding_group *g, struct perfusion_bounds b, int reasons)
{
    struct measurement *m =
        g->measurement_count ? &g->measurements[g->measurement_count - 1] : NULL;
    if (!m || !reasons || b.high - b.low < shown_least)
        return;
    m->ranged = true;
    m->low = fmin(m->value, b.low);
    m->high = fmax(m->value, b.high);
    m->range_why = range_reasons[reasons];
}

// What a range of core comes of.
static int core_reasons(const struct perfusion_writer *w)
{
    return (w->r->other ? BY_ARTERY : 0) | (perfusion_poor(w) ? BY_NOISE : 0);
}

// The same of late tissue.
static int late_reasons(const struct perfusion_writer *w)
{
    return core_reasons(w) | (perfusion_side_is_late(w) ? BY_SIDE : 0);
}

// The last measurement of a group lies between what two arteries give.
static void set_artery_range(const struct perfusion_writer *w, struct finding_group *g, double ml,
                             double other)
{
    const struct perfusion_bounds b = {fmin(ml, other), fmax(ml, other)};
    set_bounds(g, b, w->r->other ? BY_ARTERY : 0);
}

static double by_side_ml(const struct perfusion_writer *w)
{
    return w->r->by_side_ml[PERFUSION_LOW] + w->r->by_side_ml[PERFUSION_HIGH];
}

bool perfusion_poor(const struct perfusion_writer *w)
{
    return w->r->noisy || w->r->interval_s > PERFUSION_HALF_S;
}

static double late_flow_limit(const struct perfusion_writer *w)
{
    return w->r->late_of_side > late_of_side_max ? late_flow_side_max : late_flow_max;
}

bool perfusion_side_is_late(const struct perfusion_writer *w)
{
    const double late = perfusion_delayed_ml(w);
    return late - by_side_ml(w) > fmax(error_late_share * late, error_late_ml);
}

// Whether what is late, and no core, has the flow of normal tissue.
static bool late_flow_is_normal(const struct perfusion_writer *w)
{
    return w->r->late_flow > late_flow_limit(w);
}

// Late tissue where that counts for which blood is late beyond its side; core only where late
// tissue has normal flow, since noise makes some of it late beyond its side too.
static double least_late_ml(const struct perfusion_writer *w)
{
    if (!perfusion_side_is_late(w))
        return perfusion_delayed_ml(w);
    return late_flow_is_normal(w) ? fmin(by_side_ml(w), perfusion_core_ml(w)) : by_side_ml(w);
}

struct perfusion_bounds perfusion_side_bounds(const struct perfusion_writer *w, int side)
{
    const double late = w->r->delayed_side_ml[side], least = w->r->by_side_ml[side];
    if (!perfusion_side_is_late(w))
        return (struct perfusion_bounds){late, late};
    return (struct perfusion_bounds){
        late_flow_is_normal(w) ? fmin(least, w->r->core_side_ml[side]) : least, late};
}

struct perfusion_bounds perfusion_late_bounds(const struct perfusion_writer *w)
{
    const double one = perfusion_delayed_ml(w), two = perfusion_other_late_ml(w);
    struct perfusion_bounds b = {fmin(least_late_ml(w), two), fmax(one, two)};
    if (perfusion_poor(w) && b.high > 0) {
        const bool both = w->r->noisy && w->r->interval_s > PERFUSION_HALF_S;
        b.low -= fmax(error_poor * error_late_share * b.low,
                      both ? error_noisy_sparse_ml : error_poor * error_late_ml);
        b.low = fmax(b.low, 0);
        b.high += fmax(error_poor * error_late_share * b.high, error_poor * error_late_ml);
    }
    return b;
}

struct perfusion_bounds perfusion_core_bounds(const struct perfusion_writer *w)
{
    const double one = perfusion_core_ml(w), two = perfusion_other_core_ml(w);
    struct perfusion_bounds b = {fmin(one, two), fmax(one, two)};
    if (perfusion_poor(w) && perfusion_late_bounds(w).high > 0) {
        b.low -= fmax(error_poor * error_core_share * b.low, error_poor * error_core_ml);
        b.low = fmax(b.low, 0);
        b.high += fmax(core_poor_most * b.high, error_poor * error_core_ml);
        b.high = fmin(b.high, fmax(perfusion_late_bounds(w).high, perfusion_core_ml(w)));
    }
    return b;
}

struct perfusion_bounds perfusion_mismatch_bounds(const struct perfusion_writer *w)
{
    const double one = perfusion_delayed_ml(w) - perfusion_core_ml(w);
    const double two = perfusion_other_late_ml(w) - perfusion_other_core_ml(w);
    const double least = fmax(least_late_ml(w) - perfusion_core_ml(w), 0);
    const struct perfusion_bounds late = perfusion_late_bounds(w), core = perfusion_core_bounds(w);
    if (!perfusion_poor(w))
        return (struct perfusion_bounds){fmin(least, two), fmax(one, two)};
    return (struct perfusion_bounds){fmax(late.low - core.high, 0), late.high - core.low};
}

// Whether the other artery gives volumes that are not those of this one within their error.
static bool artery_matters(const struct perfusion_writer *w)
{
    const double late = perfusion_delayed_ml(w), core = perfusion_core_ml(w);
    return w->r->other &&
           (fabs(perfusion_other_late_ml(w) - late) >
                fmax(error_late_share * late, error_late_ml) ||
            fabs(perfusion_other_core_ml(w) - core) > fmax(error_core_share * core, error_core_ml));
}

static bool say_other_artery(struct perfusion_writer *w)
{
    const struct perfusion_result *r = w->r;
    const struct perfusion_vessel *v = &r->vessels->other;
    const uint32_t *f = r->factor;
    if (!v->count || !(fabs(r->other_later_s) > 0))
        return true;
    const char *where =
        arena_printf(w->f->arena, "at column %u, row %u of slice %u, %.1f s %s",
                     v->voxels[0][0] * f[0], v->voxels[0][1] * f[1], v->voxels[0][2] * f[2] + 1,
                     fabs(r->other_later_s), r->other_later_s > 0 ? "later" : "earlier");
    if (!where)
        return false;
    if (!artery_matters(w))
        return findings_add_fact(w->f, "Another artery (%s): %s", where,
                                 r->other ? "the same volumes within their error"
                                          : "as early, it gives the same volumes");
    return findings_add_warning(w->f,
                                "With another artery (%s) late tissue is %.0f mL instead of %.0f "
                                "mL, core %.0f mL instead of %.0f mL: volumes are ranges, maps and "
                                "segments are those of the first artery",
                                where, perfusion_other_late_ml(w), perfusion_delayed_ml(w),
                                perfusion_other_core_ml(w), perfusion_core_ml(w));
}

bool perfusion_has_ratio(const struct perfusion_writer *w)
{
    return perfusion_core_ml(w) > 0 && (!perfusion_poor(w) || perfusion_core_bounds(w).low > 0);
}

struct perfusion_bounds perfusion_ratio_bounds(const struct perfusion_writer *w)
{
    const struct perfusion_bounds late = perfusion_late_bounds(w), core = perfusion_core_bounds(w);
    const double one = perfusion_delayed_ml(w) / perfusion_core_ml(w);
    const double least = fmax(least_late_ml(w) / perfusion_core_ml(w), 1);
    const double two = perfusion_other_core_ml(w) > 0
                           ? perfusion_other_late_ml(w) / perfusion_other_core_ml(w)
                           : one;
    if (!perfusion_poor(w))
        return (struct perfusion_bounds){fmin(least, two), fmax(one, two)};
    return (struct perfusion_bounds){fmax(late.low / core.high, 1), late.high / core.low};
}

static const char *late_side_name(const struct perfusion_writer *w)
{
    return (w->r->side_later_s > 0) == (image_direction(w->v, 0) == 'L') ? "left" : "right";
}

static bool say_late_side(struct perfusion_writer *w)
{
    return !perfusion_side_is_late(w) ||
           findings_add_warning(w->f,
                                "Blood comes to the %s side %.1f s later as a whole: of %.0f mL of "
                                "late tissue %.0f mL are late beyond that; volumes are ranges",
                                late_side_name(w), fabs(w->r->side_later_s),
                                perfusion_delayed_ml(w), by_side_ml(w));
}

static bool add_sides(struct perfusion_writer *w)
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
        set_bounds(g, perfusion_side_bounds(w, side), BY_SIDE);
        add_by_method(w, g, w->r->core_side_ml[side], &method_flow[PERFUSION_FLOW_MAIN]);
    }
    return true;
}

static bool add_perfusion_groups(struct perfusion_writer *w)
{
    const struct perfusion_result *r = w->r;
    struct findings *f = w->f;
    struct finding_group *g = add_perfusion_group(w, "Late inflow", &code_delayed, -1);
    if (!g)
        return false;
    for (int n = 0; n < PERFUSION_TMAX_LIMITS; n++) {
        add_by_method(w, g, r->tmax_ml[n], &method_tmax[n]);
        if (n == PERFUSION_TMAX_MAIN)
            set_bounds(g, perfusion_late_bounds(w), late_reasons(w));
        else
            set_artery_range(w, g, r->tmax_ml[n], r->other_tmax_ml[n]);
    }
    if (perfusion_delayed_ml(w) > 0) {
        findings_add_number(f, g, &code_hir,
                            r->tmax_ml[PERFUSION_TMAX_LIMITS - 1] / perfusion_delayed_ml(w), 2,
                            &unit_ratio, NULL);
        findings_add_number(f, g, &code_index, r->volume_index, 2, &unit_ratio, NULL);
    }
    g = add_perfusion_group(w, "Core", &code_core, perfusion_core_ml(w) > 0 ? REGION_CORE : -1);
    if (!g)
        return false;
    for (int n = 0; n < PERFUSION_FLOW_LIMITS; n++) {
        add_by_method(w, g, r->flow_ml[n], &method_flow[n]);
        if (n == PERFUSION_FLOW_MAIN)
            set_bounds(g, perfusion_core_bounds(w), core_reasons(w));
        else
            set_artery_range(w, g, r->flow_ml[n], r->other_flow_ml[n]);
    }
    g = add_perfusion_group(w, "Mismatch", &code_mismatch,
                            perfusion_delayed_ml(w) > perfusion_core_ml(w) ? REGION_MISMATCH : -1);
    if (!g)
        return false;
    findings_add_number(f, g, &code_volume, perfusion_delayed_ml(w) - perfusion_core_ml(w), 1,
                        &unit_ml, NULL);
    set_bounds(g, perfusion_mismatch_bounds(w), late_reasons(w));
    if (perfusion_has_ratio(w)) {
        findings_add_number(f, g, &code_ratio, perfusion_delayed_ml(w) / perfusion_core_ml(w), 2,
                            &unit_ratio, NULL);
        set_bounds(g, perfusion_ratio_bounds(w), late_reasons(w));
    }
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
static bool target_is_open(const struct perfusion_writer *w)
{
    const double late = perfusion_delayed_ml(w), core = perfusion_core_ml(w);
    struct perfusion_bounds l = perfusion_late_bounds(w), c = perfusion_core_bounds(w);
    const bool target = is_target(late, core);
    if (late == 0)
        return false;
    if (!perfusion_poor(w)) {
        const double late_off = fmax(error_late_share * late, error_late_ml);
        const double core_off = fmax(error_core_share * core, error_core_ml);
        l = (struct perfusion_bounds){fmax(least_late_ml(w) - late_off, 0), late + late_off};
        c = (struct perfusion_bounds){fmax(core - core_off, 0), core + core_off};
    }
    for (int n = 0; n < 4; n++) {
        const double l_end = n & 1 ? l.high : l.low;
        if (is_target(l_end, fmin(n & 2 ? c.high : c.low, l_end)) != target)
            return true;
    }
    return false;
}

static bool add_target(struct perfusion_writer *w)
{
    struct evaluation *e = findings_add_evaluation(w->f, NULL);
    if (!e)
        return false;
    e->concept = code_target;
    if (late_flow_is_normal(w)) {
        e->text = arena_printf(w->f->arena,
                               "uncertain: late tissue has %.0f %% of the flow of normal tissue "
                               "(limit %.0f %%)",
                               100 * w->r->late_flow, 100 * late_flow_limit(w));
        return e->text &&
               findings_add_warning(w->f,
                                    "Late tissue is %.0f %% of its side, and what of it is no core "
                                    "has %.0f %% of the flow of normal tissue: the blood may come "
                                    "late by a narrow artery in the neck, without lack of it",
                                    100 * w->r->late_of_side, 100 * w->r->late_flow);
    }
    const bool open = target_is_open(w);
    const bool differs = is_target(perfusion_other_late_ml(w), perfusion_other_core_ml(w)) !=
                         is_target(perfusion_delayed_ml(w), perfusion_core_ml(w));
    e->text = arena_printf(w->f->arena,
                           "%s: core %.0f mL (below %.0f mL), mismatch %.0f mL (at least %.0f mL), "
                           "ratio at least %.1f",
                           differs ? "uncertain, by which artery is taken"
                           : open  ? "uncertain, within the error of the volumes"
                           : is_target(perfusion_delayed_ml(w), perfusion_core_ml(w)) ? "yes"
                                                                                      : "no",
                           perfusion_core_ml(w), target_core_ml,
                           perfusion_delayed_ml(w) - perfusion_core_ml(w), target_mismatch_ml,
                           target_ratio);
    return e->text != NULL;
}

bool perfusion_report(struct findings *f, const struct stage_run *run, uint32_t image,
                      const struct perfusion_result *r, struct err *err)
{
    struct perfusion_writer w = {
        .f = f, .run = run, .set = run->set, .image = image, .v = &run->set->images[image], .r = r};
    perfusion_blocks_init(&w.blocks, w.v, r->factor, r->dim);
    const bool ok = add_perfusion_regions(&w) && paint_perfusion(&w) && add_perfusion_maps(&w) &&
                    add_perfusion_groups(&w) && add_target(&w) && say_other_artery(&w) &&
                    say_late_side(&w) && perfusion_page_add(&w);
    if (!ok)
        return err_set(err, ERR_NOMEM, "perfusion: report");
    f->verdict = VERDICT_DONE;
    f->reason = "";
    return stage_step(run, "drawing", 0.9, err) && picture_maps(f, run->set, err);
}
