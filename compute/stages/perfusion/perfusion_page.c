// The page of a perfusion report, and the marks of artery and vein.
#include <math.h>
#include <string.h>
#include "compute/stages/perfusion/perfusion_writer.h"
#include "compute/findings/colour.h"

enum { LAYER_ARTERY, LAYER_VEIN, LAYERS };
static const uint8_t artery_rgb[3] = COLOUR_VERMILION, vein_rgb[3] = COLOUR_SKY;
static const uint8_t tissue_rgb[3] = COLOUR_GREY;
enum { MAP_CBF, MAP_CBV, MAP_MTT, MAP_TMAX, MAP_TTP }; // in the order in which they are added
enum { SHOWN = 4, MOSAIC_SLICES = 12 };                // slices on the page, large and small
static const double head_around_mm = 8;                // of brain: so that the skull is seen

// ---- Vessels ------------------------------------------------------------------------------------

static bool add_vessel_marks(struct perfusion_writer *w, const struct perfusion_vessel *v,
                             int layer, const char *name, const uint8_t rgb[3])
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

static bool add_vessel_fact(struct perfusion_writer *w, const char *name,
                            const struct perfusion_vessel *v, bool given)
{
    const uint32_t *f = w->r->factor;
    if (!v->count)
        return findings_add_fact(w->f, "%s: not found", name);
    const double at[3] = {v->voxels[0][0] * f[0] + (f[0] - 1) / 2.0,
                          v->voxels[0][1] * f[1] + (f[1] - 1) / 2.0,
                          v->voxels[0][2] * f[2] + (f[2] - 1) / 2.0};
    double mm[3];
    image_to_patient(w->v, at, mm);
    return findings_add_fact(
        w->f,
        "%s%s: mean of %u voxels, the first at column %u, row %u of slice %u (%.0f, %.0f, %.0f "
        "mm); peak %.0f HU at %.1f s, %.1f s wide at half of it",
        name, given ? ", at the place that was given" : "", v->count, v->voxels[0][0] * f[0],
        v->voxels[0][1] * f[1], v->voxels[0][2] * f[2] + 1, mm[0], mm[1], mm[2], v->peak,
        w->r->start_s + v->top * w->r->step_s, v->width * w->r->step_s);
}

static bool add_curve_line(struct perfusion_writer *w, struct curve *c, const char *name,
                           const double *y, const double *x, const uint8_t rgb[3])
{
    struct curve_line *line = findings_add_line(w->f, c, name, x, y, w->r->steps);
    if (line)
        memcpy(line->rgb, rgb, sizeof line->rgb);
    return line != NULL;
}

static bool add_bolus_curve(struct perfusion_writer *w)
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

static bool add_motion_curve(struct perfusion_writer *w)
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

// "34", or "30-34" where the other is different. NULL: no memory.
static const char *range_text(const struct perfusion_writer *w, int decimals, double value,
                              double other)
{
    struct arena *arena = w->f->arena;
    const double low = fmin(value, other), high = fmax(value, other), ten = pow(10, decimals);
    return lround(low * ten) == lround(high * ten)
               ? arena_printf(arena, "%.*f", decimals, value)
               : arena_printf(arena, "%.*f-%.*f", decimals, low, decimals, high);
}

// The same in a cell, in mL.
static bool set_ml(struct perfusion_writer *w, struct page_table *t, uint32_t row, uint32_t column,
                   struct perfusion_bounds ml)
{
    const char *text = range_text(w, 1, ml.low, ml.high);
    return text && findings_set_cell(w->f, t, row, column, "%s", text);
}

// By the two arteries, where there are two.
static struct perfusion_bounds artery_bounds(const struct perfusion_writer *w, double ml,
                                             double other)
{
    return (struct perfusion_bounds){ml, w->r->other ? other : ml};
}

static bool add_ladder(struct perfusion_writer *w)
{
    const struct perfusion_result *r = w->r;
    struct findings *f = w->f;
    struct page_table *t =
        findings_add_table(f, "Volumes by threshold", PERFUSION_TMAX_LIMITS + 1, 4);
    bool ok = t && findings_set_cell(f, t, 0, 0, "Tmax") && findings_set_cell(f, t, 0, 1, "mL") &&
              findings_set_cell(f, t, 0, 2, "CBF of normal") && findings_set_cell(f, t, 0, 3, "mL");
    for (uint32_t n = 0; ok && n < PERFUSION_TMAX_LIMITS; n++)
        ok =
            findings_set_cell(f, t, n + 1, 0, "> %.0f s", perfusion_tmax_limits[n]) &&
            set_ml(w, t, n + 1, 1,
                   n == PERFUSION_TMAX_MAIN
                       ? perfusion_late_bounds(w)
                       : artery_bounds(w, r->tmax_ml[n], r->other_tmax_ml[n])) &&
            findings_set_cell(f, t, n + 1, 2, "< %.0f %%", perfusion_flow_limits[n]) &&
            set_ml(w, t, n + 1, 3,
                   n == PERFUSION_FLOW_MAIN ? perfusion_core_bounds(w)
                                            : artery_bounds(w, r->flow_ml[n], r->other_flow_ml[n]));
    return ok;
}

static bool add_perfusion_summary(struct perfusion_writer *w)
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
         set_ml(w, t, 1, 1, perfusion_side_bounds(w, right)) &&
         set_ml(w, t, 1, 2, perfusion_side_bounds(w, left)) &&
         set_ml(w, t, 1, 3, perfusion_late_bounds(w));
    ok = ok && findings_set_cell(f, t, 2, 0, "Core (CBF < 30 %%)") &&
         findings_set_cell(f, t, 2, 1, "%.1f", r->core_side_ml[right]) &&
         findings_set_cell(f, t, 2, 2, "%.1f", r->core_side_ml[left]) &&
         set_ml(w, t, 2, 3, perfusion_core_bounds(w));
    for (int c = 1; ok && c < 3; c++) {
        const int s = c == 1 ? right : left;
        const struct perfusion_bounds late = perfusion_side_bounds(w, s);
        const double core = r->core_side_ml[s];
        ok = set_ml(w, t, 3, (uint32_t)c,
                    (struct perfusion_bounds){fmax(late.low - core, 0), late.high - core});
    }
    ok = ok && set_ml(w, t, 3, 3, perfusion_mismatch_bounds(w));
    return ok && findings_set_cell(f, t, 3, 0, "Mismatch");
}

// At most `most` slices, evenly, from the head down. Returns how many.
static uint32_t choose_perfusion_slices(const struct perfusion_writer *w, uint32_t most,
                                        uint32_t *slices)
{
    const uint32_t last = w->v->dim[2] - 1, step = w->r->factor[2], blocks = w->r->dim[2];
    const uint32_t count = blocks < most ? blocks : most;
    const bool head_last = image_direction(w->v, 2) == 'H';
    for (uint32_t n = 0; n < count; n++) {
        const uint32_t part = head_last ? count - 1 - n : n;
        const uint32_t k = (2 * part + 1) * blocks / (2 * count) * step + (step - 1) / 2;
        slices[n] = k < last ? k : last;
    }
    return count;
}

// The rectangle of the image that has tissue in some slice, and a little more.
static void find_head_box(const struct perfusion_writer *w, double box[4])
{
    const struct perfusion_result *r = w->r;
    uint32_t low[2] = {r->dim[0], r->dim[1]}, high[2] = {0, 0};
    for (size_t n = 0; n < (size_t)r->dim[0] * r->dim[1] * r->dim[2]; n++) {
        const uint32_t at[2] = {(uint32_t)(n % r->dim[0]), (uint32_t)(n / r->dim[0] % r->dim[1])};
        for (int a = 0; a < 2 && !isnan(r->flow[n]); a++) {
            low[a] = at[a] < low[a] ? at[a] : low[a];
            high[a] = at[a] > high[a] ? at[a] : high[a];
        }
    }
    for (int a = 0; a < 2 && low[0] <= high[0]; a++) {
        const double around = head_around_mm / r->spacing[a];
        box[a] = fmax((low[a] - around) * r->factor[a], 0);
        box[a + 2] = (high[a] + 1 + around) * r->factor[a] - box[a];
    }
}

static struct page_image *add_picture(struct perfusion_writer *w, uint32_t slice, int map)
{
    struct page_image *p = findings_add_image(w->f);
    if (!p)
        return NULL;
    p->place = (struct place){w->image, slice, 0};
    p->window[0] = map < 0 ? 40 : 0;
    p->window[1] = map < 0 ? 100 : 0;
    p->map = map;
    p->regions = map < 0;
    return p;
}

// Core and late tissue in the slices, and Tmax in the same.
static bool add_mosaic(struct perfusion_writer *w)
{
    uint32_t slices[MOSAIC_SLICES];
    double box[4] = {0, 0, 0, 0};
    struct page *page = &w->f->page;
    const uint32_t count = choose_perfusion_slices(w, MOSAIC_SLICES, slices);
    find_head_box(w, box);
    page->mosaic_columns = count > 8 ? (count + 1) / 2 : count > 4 ? 4 : count;
    for (uint32_t n = 0; n < 2 * count; n++) {
        const uint32_t slice = slices[n % count];
        struct page_image *p = add_picture(w, slice, n < count ? -1 : MAP_TMAX);
        if (!p)
            return false;
        memcpy(p->box, box, sizeof p->box);
        p->caption = arena_printf(w->f->arena, "%u", slice + 1);
        if (!p->caption)
            return false;
    }
    page->mosaic = 2 * count;
    return true;
}

static bool add_perfusion_pictures(struct perfusion_writer *w)
{
    static const char *const maps[MAP_TTP] = {"CBF", "CBV", "MTT", "Tmax"};
    uint32_t slices[SHOWN];
    const uint32_t shown = choose_perfusion_slices(w, SHOWN, slices);
    bool ok = add_mosaic(w);
    for (uint32_t n = 0; ok && n < shown + MAP_TTP; n++) {
        const int map = n < shown ? -1 : (int)(n - shown);
        const uint32_t slice = map < 0 ? slices[n] : w->key;
        char name[64];
        struct page_image *p = add_picture(w, slice, map);
        image_place_name(w->set, w->image, slice, 0, name, sizeof name);
        if (p)
            p->caption = arena_printf(w->f->arena, "%s, %s",
                                      map < 0 ? "Core and mismatch" : maps[map], name);
        ok = p && p->caption;
    }
    return ok;
}

static bool add_motion_fact(struct perfusion_writer *w)
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

static bool add_perfusion_facts(struct perfusion_writer *w)
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
           add_vessel_fact(w, "Artery", &r->vessels->artery, r->artery_given) &&
           add_vessel_fact(w, "Vein", &r->vessels->vein, r->vein_given) && add_motion_fact(w) &&
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

static bool add_perfusion_page(struct perfusion_writer *w)
{
    struct findings *f = w->f;
    const struct perfusion_bounds core = perfusion_core_bounds(w), late = perfusion_late_bounds(w);
    const struct perfusion_bounds mismatch = perfusion_mismatch_bounds(w);
    const struct perfusion_bounds by = perfusion_ratio_bounds(w);
    const char *ratio = perfusion_has_ratio(w) ? range_text(w, 1, by.low, by.high) : "-";
    const char *texts[] = {range_text(w, 0, core.low, core.high),
                           range_text(w, 0, late.low, late.high),
                           range_text(w, 0, mismatch.low, mismatch.high)};
    if (!ratio || !texts[0] || !texts[1] || !texts[2])
        return false;
    f->page.headline =
        arena_printf(f->arena, "Core %s mL   Tmax > 6 s %s mL   mismatch %s mL   ratio %s",
                     texts[0], texts[1], texts[2], ratio);
    return f->page.headline && add_perfusion_summary(w) && add_ladder(w) &&
           add_perfusion_pictures(w) && add_bolus_curve(w) && add_motion_curve(w) &&
           add_perfusion_facts(w);
}

bool perfusion_page_add(struct perfusion_writer *w)
{
    const struct perfusion_vessels *v = w->r->vessels;
    return add_vessel_marks(w, &v->artery, LAYER_ARTERY, "Artery", artery_rgb) &&
           add_vessel_marks(w, &v->vein, LAYER_VEIN, "Vein", vein_rgb) && add_perfusion_page(w);
}
