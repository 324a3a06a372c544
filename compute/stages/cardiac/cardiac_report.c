#include "compute/stages/cardiac/cardiac_report.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// Sources: PS3.16 CID 3468, 3469, 3833, 3835, 12200, 12203, 12216 (measurements), 3453 (method),
// 12305 (sites), 12233 (phases), 7150, 7151; UCUM.
static const struct code code_edv = {"8821-1", "LN", "Left Ventricular ED Volume"};
static const struct code code_esv = {"8823-7", "LN", "Left Ventricular ES Volume"};
static const struct code code_sv = {"90096001", "SCT", "Stroke Volume"};
static const struct code code_ef = {"8811-2", "LN", "Left ventricular ejection fraction by MR"};
static const struct code code_mass = {"18087-7", "LN", "Left Ventricle Mass"};
static const struct code code_output = {"82799009", "SCT", "Cardiac Output"};
static const struct code code_cardiac_index = {"54993008", "SCT", "Cardiac Index"};
static const struct code code_rate = {"8867-4", "LN", "Heart rate"};
static const struct code code_ejection = {"122616", "DCM", "Peak Ejection Rate"};
static const struct code code_filling = {"122618", "DCM", "Peak Filling Rate"};
static const struct code code_edvi = {"EDV-INDEX", "99ANODE", "Left ventricular ED volume / BSA"};
static const struct code code_esvi = {"ESV-INDEX", "99ANODE", "Left ventricular ES volume / BSA"};
static const struct code code_svi = {"SV-INDEX", "99ANODE", "Stroke volume / BSA"};
static const struct code code_massi = {"MASS-INDEX", "99ANODE", "Left ventricular mass / BSA"};
static const struct code by_slices = {"122562", "DCM", "Multiple Slices"};
static const struct code code_ventricle = {"87878005", "SCT", "Left Ventricle"};
static const struct code code_muscle = {"49848007", "SCT", "Left Ventricle Myocardium"};
static const struct code code_anatomical = {"123037004", "SCT", "Anatomical Structure"};
static const struct code code_quality = {"SLICES", "99ANODE", "Slices of the ventricle"};
static const struct code unit_ml = {"mL", "UCUM", "milliliter"};
static const struct code unit_percent = {"%", "UCUM", "percent"};
static const struct code unit_g = {"g", "UCUM", "gram"};
static const struct code unit_l_min = {"l/min", "UCUM", "liter per minute"};
static const struct code unit_l_min_m2 = {"l/min/m2", "UCUM", "liter per minute per square meter"};
static const struct code unit_bpm = {"/min", "UCUM", "per minute"};
static const struct code unit_ml_s = {"mL/s", "UCUM", "milliliter per second"};
static const struct code unit_ml_m2 = {"mL/m2", "UCUM", "milliliter per square meter"};
static const struct code unit_g_m2 = {"g/m2", "UCUM", "gram per square meter"};

enum { REGION_POOL, REGION_MUSCLE, REGIONS };
enum { LAYER_ENDO, LAYER_EPI, LAYERS };
static const uint8_t pool_rgb[3] = {230, 80, 70}, muscle_rgb[3] = {90, 200, 120};

static const char doubt[] = "which slice is the last of the base or the apex is in doubt";
static const double range_least = 0.005; // of the value: less is no range

struct cardiac_writer {
    struct findings *f;
    const struct stage_run *run;
    const struct image_set *set;
    const struct image *v;
    const struct cardiac_result *r;
    const struct cardiac_ventricle *h;
};

// ---- Numbers ------------------------------------------------------------------------------------

struct cardiac_value {
    double value, low, high;
};

static struct cardiac_value volume_at(const struct cardiac_ventricle *h, uint32_t point)
{
    return (struct cardiac_value){h->ml[point], fmin(h->low[point], h->ml[point]),
                                  fmax(h->high[point], h->ml[point])};
}

// A slice that counts at end diastole may have left the ventricle at end systole, but not the other
// way round.
static struct cardiac_value stroke_of(const struct cardiac_ventricle *h)
{
    const struct cardiac_value ed = volume_at(h, h->ed), es = volume_at(h, h->es);
    const double a = ed.low - es.low, b = ed.high - es.high, c = ed.value - es.value;
    return (struct cardiac_value){c, fmin(fmin(a, b), c), fmax(fmax(a, b), ed.high - es.low)};
}

static double fraction(double ed, double es)
{
    return ed > 0 ? 100 * (1 - es / ed) : 0;
}

static struct cardiac_value ejection_of(const struct cardiac_ventricle *h)
{
    const struct cardiac_value ed = volume_at(h, h->ed), es = volume_at(h, h->es);
    const double a = fraction(ed.low, es.low), b = fraction(ed.high, es.high);
    const double c = fraction(ed.value, es.value);
    return (struct cardiac_value){c, fmin(fmin(a, b), c),
                                  fmax(fmax(a, b), fraction(ed.high, es.low))};
}

static struct cardiac_value times(struct cardiac_value v, double factor)
{
    return (struct cardiac_value){v.value * factor, v.low * factor, v.high * factor};
}

static bool is_range(const struct cardiac_value *v)
{
    return v->high - v->low > range_least * fabs(v->value);
}

static void add_cardiac_number(struct cardiac_writer *w, struct finding_group *g,
                               const struct code *concept, struct cardiac_value v, int decimals,
                               const struct code *unit)
{
    struct measurement *m = findings_add_number(w->f, g, concept, v.value, decimals, unit, NULL);
    if (!m)
        return;
    m->method = by_slices;
    if (is_range(&v)) {
        m->ranged = true;
        m->low = v.low;
        m->high = v.high;
        m->range_why = doubt;
    }
}

static struct cardiac_value only(double value)
{
    return (struct cardiac_value){value, value, value};
}

// The steepest fall and rise of the curve, mL/s: differences over two steps.
static void rates_of(const struct cardiac_result *r, double *ejection, double *filling)
{
    const struct cardiac_ventricle *h = r->v;
    const double step_s = r->cycle_s / h->points;
    *ejection = *filling = 0;
    for (uint32_t p = 0; p < h->points; p++) {
        const double before = h->ml[(p + h->points - 1) % h->points];
        const double after = h->ml[(p + 1) % h->points];
        const double rate = (after - before) / (2 * step_s);
        *ejection = fmax(*ejection, -rate);
        *filling = fmax(*filling, rate);
    }
}

static void add_rates(struct cardiac_writer *w, struct finding_group *g)
{
    const struct cardiac_result *r = w->r;
    double ejection, filling;
    if (isnan(r->rate))
        return;
    const struct cardiac_value output = times(stroke_of(w->h), r->rate / 1000);
    add_cardiac_number(w, g, &code_output, output, 2, &unit_l_min);
    if (!isnan(r->surface_m2))
        add_cardiac_number(w, g, &code_cardiac_index, times(output, 1 / r->surface_m2), 2,
                           &unit_l_min_m2);
    findings_add_number(w->f, g, &code_rate, r->rate, 0, &unit_bpm, NULL);
    rates_of(r, &ejection, &filling);
    add_cardiac_number(w, g, &code_ejection, only(ejection), 0, &unit_ml_s);
    add_cardiac_number(w, g, &code_filling, only(filling), 0, &unit_ml_s);
}

static struct cardiac_value mass_of(const struct cardiac_ventricle *h)
{
    return (struct cardiac_value){h->mass_g, fmin(h->mass_low_g, h->mass_g),
                                  fmax(h->mass_high_g, h->mass_g)};
}

static void add_numbers_of_ventricle(struct cardiac_writer *w)
{
    const struct cardiac_ventricle *h = w->h;
    struct finding_group *g = findings_add_group(w->f);
    if (!g)
        return;
    g->label = "Left ventricle";
    g->finding = code_ventricle;
    g->site = code_ventricle;
    g->region = REGION_POOL;
    g->has_key = true;
    g->key = (struct place){w->r->image, (h->base + h->apex) / 2, 0};
    const struct cardiac_value ed = volume_at(h, h->ed), es = volume_at(h, h->es);
    const struct cardiac_value stroke = stroke_of(h), mass = mass_of(h);
    add_cardiac_number(w, g, &code_edv, ed, 1, &unit_ml);
    add_cardiac_number(w, g, &code_esv, es, 1, &unit_ml);
    add_cardiac_number(w, g, &code_sv, stroke, 1, &unit_ml);
    add_cardiac_number(w, g, &code_ef, ejection_of(h), 1, &unit_percent);
    add_cardiac_number(w, g, &code_mass, mass, 1, &unit_g);
    if (!isnan(w->r->surface_m2)) {
        const double by = 1 / w->r->surface_m2;
        add_cardiac_number(w, g, &code_edvi, times(ed, by), 1, &unit_ml_m2);
        add_cardiac_number(w, g, &code_esvi, times(es, by), 1, &unit_ml_m2);
        add_cardiac_number(w, g, &code_svi, times(stroke, by), 1, &unit_ml_m2);
        add_cardiac_number(w, g, &code_massi, times(mass, by), 1, &unit_g_m2);
    }
    add_rates(w, g);
    struct evaluation *e = findings_add_evaluation(w->f, g);
    if (e) {
        e->concept = code_quality;
        e->text = arena_printf(w->f->arena, "%u used, %u left out between base and apex", h->used,
                               h->poor);
    }
}

// ---- Graphics -----------------------------------------------------------------------------------

// Image coordinates of a direction of a contour.
static void contour_point(const struct cardiac_writer *w, const struct cardiac_slice *s,
                          const float *radius, uint32_t way, double at[2])
{
    const double angle = 2 * M_PI * way / CARDIAC_WAYS;
    const double way_mm[2] = {cos(angle), sin(angle)};
    for (int a = 0; a < 2; a++)
        at[a] = (s->centre[a] + (double)radius[way] * way_mm[a] / w->r->cine->mm[a] + 0.5) *
                w->r->factor;
}

static bool add_contour(struct cardiac_writer *w, uint32_t slice, uint32_t phase, int layer)
{
    const struct cardiac_slice *s = &w->h->part[slice].s;
    const float *radius = layer == LAYER_ENDO ? s->walls[phase].endo : s->walls[phase].epi;
    float *points = arena_alloc(w->f->arena, 2 * (CARDIAC_WAYS + 1), sizeof *points);
    struct mark *m = findings_add_mark(w->f);
    if (!points || !m)
        return false;
    for (uint32_t n = 0; n <= CARDIAC_WAYS; n++) {
        double at[2];
        contour_point(w, s, radius, n % CARDIAC_WAYS, at);
        points[2 * n] = (float)at[0];
        points[2 * n + 1] = (float)at[1];
    }
    *m = (struct mark){.kind = MARK_POLYLINE,
                       .place = {w->r->image, slice, phase},
                       .layer = layer,
                       .group = 0,
                       .points = points,
                       .count = CARDIAC_WAYS + 1};
    return true;
}

static bool add_contour_layers(struct cardiac_writer *w)
{
    for (int n = 0; n < LAYERS; n++) {
        struct layer *l = findings_add_layer(w->f);
        if (!l)
            return false;
        l->name = n == LAYER_ENDO ? "ENDO" : "EPI";
        l->description = n == LAYER_ENDO ? "Inner contour of the left ventricle"
                                         : "Outer contour of the left ventricle";
        memcpy(l->rgb, n == LAYER_ENDO ? pool_rgb : muscle_rgb, sizeof l->rgb);
    }
    return true;
}

static bool is_shown(const struct cardiac_writer *w, uint32_t slice, uint32_t phase)
{
    const struct cardiac_part *part = &w->h->part[slice];
    return w->r->all_phases || phase == cardiac_phase_of(part, w->h->points, w->h->ed) ||
           phase == cardiac_phase_of(part, w->h->points, w->h->es);
}

// The point of the curve that a phase of a slice is nearest to.
static uint32_t point_of_phase(const struct cardiac_writer *w, uint32_t slice, uint32_t phase)
{
    for (uint32_t point = 0; point < w->h->points; point++) {
        if (cardiac_phase_of(&w->h->part[slice], w->h->points, point) == phase)
            return point;
    }
    return 0;
}

static bool add_contours(struct cardiac_writer *w)
{
    bool ok = add_contour_layers(w);
    for (uint32_t k = w->h->base; ok && k <= w->h->apex; k++) {
        const struct cardiac_part *part = &w->h->part[k];
        for (uint32_t p = 0; ok && p < part->phases; p++) {
            if (!is_shown(w, k, p) || !cardiac_counts(w->h, k, point_of_phase(w, k, p)))
                continue;
            ok = add_contour(w, k, p, LAYER_ENDO) && add_contour(w, k, p, LAYER_EPI);
        }
    }
    return ok;
}

// ---- Segments -----------------------------------------------------------------------------------

static bool add_cardiac_regions(struct cardiac_writer *w)
{
    for (int n = 0; n < REGIONS; n++) {
        struct region *r = findings_add_region(w->f);
        if (!r)
            return false;
        *r = (struct region){.label = n == REGION_POOL ? "Pool of the left ventricle"
                                                       : "Muscle of the left ventricle",
                             .category = code_anatomical,
                             .type = n == REGION_POOL ? code_ventricle : code_muscle,
                             .group = 0,
                             .automatic = true};
        memcpy(r->rgb, n == REGION_POOL ? pool_rgb : muscle_rgb, sizeof r->rgb);
    }
    return true;
}

static double radius_towards(const float *radius, double x, double y)
{
    double way = atan2(y, x) / (2 * M_PI) * CARDIAC_WAYS;
    way = way < 0 ? way + CARDIAC_WAYS : way;
    const uint32_t n = (uint32_t)way % CARDIAC_WAYS, next = (n + 1) % CARDIAC_WAYS;
    const double part = way - floor(way), turn = 2 * M_PI / CARDIAC_WAYS;
    const double a = (double)radius[n], b = (double)radius[next];
    // Along the chord between two directions.
    return a * b * sin(turn) / (a * sin(part * turn) + b * sin((1 - part) * turn));
}

static void paint_slice(struct cardiac_writer *w, uint32_t slice, uint32_t phase, uint16_t *labels)
{
    const struct cardiac_slice *s = &w->h->part[slice].s;
    const struct cardiac_wall *wall = &s->walls[phase];
    const double *mm = w->r->cine->mm;
    for (uint32_t j = 0; j < w->v->dim[1]; j++) {
        for (uint32_t i = 0; i < w->v->dim[0]; i++) {
            const double x = ((i + 0.5) / w->r->factor - 0.5 - s->centre[0]) * mm[0];
            const double y = ((j + 0.5) / w->r->factor - 0.5 - s->centre[1]) * mm[1];
            const double r = hypot(x, y);
            uint16_t *to = labels + ((size_t)slice * w->v->dim[1] + j) * w->v->dim[0] + i;
            if (r <= radius_towards(wall->endo, x, y))
                *to = REGION_POOL + 1;
            else if (r <= radius_towards(wall->epi, x, y))
                *to = REGION_MUSCLE + 1;
        }
    }
}

static bool paint_point(struct cardiac_writer *w, uint32_t point)
{
    for (uint32_t k = w->h->base; k <= w->h->apex; k++) {
        const uint32_t phase = cardiac_phase_of(&w->h->part[k], w->h->points, point);
        if (!cardiac_counts(w->h, k, point))
            continue;
        const struct label_map *map = findings_labels(w->f, w->r->image, phase);
        if (!map)
            map = findings_add_labels(w->f, w->set, w->r->image, phase);
        if (!map || !map->labels)
            return false;
        paint_slice(w, k, phase, map->labels);
    }
    return true;
}

// ---- The page -----------------------------------------------------------------------------------

static const char *fate_name(enum cardiac_fate fate)
{
    return fate == CARDIAC_BEYOND_BASE   ? "beyond the base"
           : fate == CARDIAC_BEYOND_APEX ? "beyond the apex"
                                         : "contours not to be trusted";
}

static bool exclude_slices(struct cardiac_writer *w)
{
    for (uint32_t k = 0; k < w->h->slices; k++) {
        const struct cardiac_part *part = &w->h->part[k];
        if (part->fate == CARDIAC_USED)
            continue;
        struct exclusion *e = findings_add_exclusion(w->f);
        if (!e)
            return false;
        e->what = arena_printf(w->f->arena, "slice %u of %u, %s", k + 1, w->h->slices,
                               fate_name(part->fate));
        e->reason = part->why;
        e->has_place = true;
        e->place = (struct place){w->r->image, k, 0};
        if (!e->what)
            return false;
    }
    return true;
}

static bool set_value_row(struct cardiac_writer *w, struct page_table *t, uint32_t row,
                          const char *name, struct cardiac_value v, int decimals, const char *unit)
{
    struct findings *f = w->f;
    bool ok = findings_set_cell(f, t, row, 0, "%s", name) &&
              findings_set_cell(f, t, row, 1, "%.*f %s", decimals, v.value, unit);
    if (ok && is_range(&v))
        return findings_set_cell(f, t, row, 2, "%.*f to %.*f", decimals, v.low, decimals, v.high);
    return ok && findings_set_cell(f, t, row, 2, "-");
}

static bool set_index(struct cardiac_writer *w, struct page_table *t, uint32_t row, double value,
                      const char *unit)
{
    if (isnan(w->r->surface_m2))
        return findings_set_cell(w->f, t, row, 3, "-");
    return findings_set_cell(w->f, t, row, 3, "%.1f %s", value / w->r->surface_m2, unit);
}

static bool add_value_table(struct cardiac_writer *w)
{
    const struct cardiac_ventricle *h = w->h;
    const struct cardiac_value ed = volume_at(h, h->ed), es = volume_at(h, h->es);
    const struct cardiac_value stroke = stroke_of(h), mass = mass_of(h);
    const bool rate = !isnan(w->r->rate);
    struct page_table *t = findings_add_table(w->f, "Left ventricle", rate ? 7 : 6, 4);
    bool ok = t && findings_set_cell(w->f, t, 0, 0, "Measure") &&
              findings_set_cell(w->f, t, 0, 1, "Value") &&
              findings_set_cell(w->f, t, 0, 2, "Range") &&
              findings_set_cell(w->f, t, 0, 3, "By body surface");
    ok = ok && set_value_row(w, t, 1, "End-diastolic volume", ed, 1, "mL") &&
         set_index(w, t, 1, ed.value, "mL/m2");
    ok = ok && set_value_row(w, t, 2, "End-systolic volume", es, 1, "mL") &&
         set_index(w, t, 2, es.value, "mL/m2");
    ok = ok && set_value_row(w, t, 3, "Stroke volume", stroke, 1, "mL") &&
         set_index(w, t, 3, stroke.value, "mL/m2");
    ok = ok && set_value_row(w, t, 4, "Ejection fraction", ejection_of(h), 1, "%") &&
         findings_set_cell(w->f, t, 4, 3, "-");
    ok = ok && set_value_row(w, t, 5, "Mass at end diastole", mass, 1, "g") &&
         set_index(w, t, 5, mass.value, "g/m2");
    if (ok && rate)
        ok = set_value_row(w, t, 6, "Cardiac output", times(stroke, w->r->rate / 1000), 2,
                           "L/min") &&
             set_index(w, t, 6, stroke.value * w->r->rate / 1000, "L/min/m2");
    return ok;
}

static bool add_slice_table(struct cardiac_writer *w)
{
    const struct cardiac_ventricle *h = w->h;
    struct page_table *t = findings_add_table(w->f, "Slices", h->apex - h->base + 2, 6);
    static const char *const head[] = {"Slice",          "Pool ED, mm2", "Pool ES, mm2",
                                       "Muscle ED, mm2", "Edge",         "Closed wall"};
    bool ok = t != NULL;
    for (uint32_t c = 0; ok && c < 6; c++)
        ok = findings_set_cell(w->f, t, 0, c, "%s", head[c]);
    for (uint32_t k = h->base; ok && k <= h->apex; k++) {
        const struct cardiac_part *part = &h->part[k];
        const struct cardiac_wall *ed = &part->s.walls[cardiac_phase_of(part, h->points, h->ed)];
        const struct cardiac_wall *es = &part->s.walls[cardiac_phase_of(part, h->points, h->es)];
        const uint32_t row = k - h->base + 1;
        ok = findings_set_cell(w->f, t, row, 0, "%u", k + 1) &&
             findings_set_cell(w->f, t, row, 1, "%.0f", ed->pool_mm2) &&
             findings_set_cell(w->f, t, row, 2, cardiac_counts(h, k, h->es) ? "%.0f" : "(%.0f)",
                               es->pool_mm2) &&
             findings_set_cell(w->f, t, row, 3, "%.0f", ed->muscle_mm2) &&
             findings_set_cell(w->f, t, row, 4, "%.0f %%", 100 * part->quality) &&
             findings_set_cell(w->f, t, row, 5, "%.0f %%", 100 * part->closed);
    }
    return ok;
}

static bool add_volume_curve(struct cardiac_writer *w)
{
    static const char *const names[] = {"ED", "ES"};
    const struct cardiac_ventricle *h = w->h;
    double *x = arena_alloc(w->f->arena, h->points, sizeof *x);
    double *guides = arena_alloc(w->f->arena, 2, sizeof *guides);
    struct curve *c = findings_add_curve(w->f);
    if (!x || !guides || !c)
        return false;
    const bool timed = !isnan(w->r->cycle_s);
    for (uint32_t p = 0; p < h->points; p++)
        x[p] = timed ? 1000 * w->r->cycle_s * p / h->points : 100.0 * p / h->points;
    guides[0] = x[h->ed];
    guides[1] = x[h->es];
    c->title = "Volume of the left ventricle over the cycle";
    c->x_name = timed ? "time" : "part of the cycle";
    c->x_unit = timed ? "ms" : "%";
    c->y_name = "volume";
    c->y_unit = "mL";
    c->guides = guides;
    c->guide_names = names;
    c->guide_count = 2;
    struct curve_line *line = findings_add_line(w->f, c, "volume", x, h->ml, h->points);
    if (line) {
        line->marks = true;
        memcpy(line->rgb, pool_rgb, sizeof line->rgb);
    }
    return line != NULL;
}

// The part of an image that shows the heart.
static void box_around_heart(const struct cardiac_writer *w, uint32_t slice, double box[4])
{
    static const double half_mm = 60;
    const struct cardiac_slice *s = &w->h->part[slice].s;
    for (int a = 0; a < 2; a++) {
        const double half = half_mm / w->v->spacing[a];
        const double middle = (s->centre[a] + 0.5) * w->r->factor;
        box[a] = fmax(middle - half, 0);
        box[2 + a] = fmin(middle + half, w->v->dim[a]) - box[a];
    }
}

static bool add_cardiac_picture(struct cardiac_writer *w, uint32_t slice, uint32_t point,
                                const char *what)
{
    struct page_image *p = findings_add_image(w->f);
    if (!p)
        return false;
    p->place = (struct place){w->r->image, slice,
                              cardiac_phase_of(&w->h->part[slice], w->h->points, point)};
    p->map = -1;
    box_around_heart(w, slice, p->box);
    p->caption = arena_printf(w->f->arena, "slice %u, %s", slice + 1, what);
    return p->caption != NULL;
}

static bool add_cardiac_pictures(struct cardiac_writer *w)
{
    bool ok = true;
    for (int n = 0; n < 2; n++) {
        for (uint32_t k = w->h->base; ok && k <= w->h->apex; k++)
            ok = add_cardiac_picture(w, k, n ? w->h->es : w->h->ed,
                                     n ? "end systole" : "end diastole");
    }
    return ok;
}

static bool add_cardiac_facts(struct cardiac_writer *w)
{
    const struct cardiac_ventricle *h = w->h;
    struct findings *f = w->f;
    bool ok =
        findings_add_fact(
            f, "Slices %u to %u of %u, %.1f mm apart, %u phases; ED is phase %u, ES %u",
            h->base + 1, h->apex + 1, h->slices, h->gap_mm, h->points, h->ed + 1, h->es + 1) &&
        findings_add_fact(f,
                          "Papillary muscles and trabeculae are counted as blood; muscle %.2f "
                          "g/mL",
                          CARDIAC_DENSITY) &&
        findings_add_fact(f, "Signal of muscle %.0f %% of that of blood", 100 * h->ratio) &&
        findings_add_fact(f, "Healthy adults of 45 to 74 years (Petersen et al., J Cardiovasc Magn "
                             "Reson 2017;19:18), mean and SD:") &&
        findings_add_fact(f,
                          "EF women 61 (5) %%, men 58 (5) %%; mass by body surface women 42 (7), "
                          "men 53 (9) g/m2");
    if (ok && !isnan(w->r->rate))
        ok = findings_add_fact(f, "Heart rate %.0f per minute (%s)", w->r->rate, w->r->rate_from);
    return ok && (isnan(w->r->surface_m2) ||
                  findings_add_fact(f, "Body surface %.2f m2 (Mosteller)", w->r->surface_m2));
}

static bool add_cardiac_page(struct cardiac_writer *w)
{
    const struct cardiac_value ed = volume_at(w->h, w->h->ed), es = volume_at(w->h, w->h->es);
    const struct cardiac_value ef = ejection_of(w->h);
    w->f->page.headline =
        arena_printf(w->f->arena, "EF %.0f %%   EDV %.0f mL   ESV %.0f mL   mass %.0f g", ef.value,
                     ed.value, es.value, w->h->mass_g);
    if (w->f->page.headline && is_range(&ef))
        findings_add_warning(w->f, "EF %.0f to %.0f %%: %s", ef.low, ef.high, doubt);
    if (w->h->poor)
        findings_add_warning(w->f,
                             "%u slices between base and apex are left out; their areas are "
                             "taken from the slices beside them",
                             w->h->poor);
    return w->f->page.headline && add_value_table(w) && add_slice_table(w) && add_volume_curve(w) &&
           add_cardiac_pictures(w) && add_cardiac_facts(w);
}

bool cardiac_report(struct findings *f, const struct stage_run *run, const struct cardiac_result *r,
                    struct err *err)
{
    struct cardiac_writer w = {
        .f = f, .run = run, .set = run->set, .v = &run->set->images[r->image], .r = r, .h = r->v};
    if (!stage_step(run, "drawing", 0.9, err))
        return false;
    const bool ok = add_cardiac_regions(&w) && paint_point(&w, r->v->ed) &&
                    paint_point(&w, r->v->es) && exclude_slices(&w);
    if (ok)
        add_numbers_of_ventricle(&w);
    if (!ok || !add_contours(&w) || !add_cardiac_page(&w))
        return err_set(err, ERR_NOMEM, "cardiac: report");
    f->verdict = VERDICT_DONE;
    f->reason = "";
    return true;
}
