#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/stages/cardiac/cardiac_writer.h"

static const char *fate_name(enum cardiac_fate fate)
{
    return fate == CARDIAC_BEYOND_BASE   ? "beyond the base"
           : fate == CARDIAC_BEYOND_APEX ? "beyond the apex"
                                         : "contours not to be trusted";
}

static bool exclude_slice(struct cardiac_writer *w, uint32_t slice, const char *what,
                          const char *why)
{
    struct exclusion *e = findings_add_exclusion(w->f);
    if (!e)
        return false;
    e->what = arena_printf(w->f->arena, "slice %u of %u, %s", slice + 1, w->h->slices, what);
    e->reason = why;
    e->has_place = true;
    e->place = (struct place){w->r->image, slice, 0};
    return e->what && e->reason;
}

static const char *vague_phase(const struct cardiac_ventricle *h, uint32_t slice)
{
    const bool *vague = h->part[slice].vague;
    return vague[h->ed] && vague[h->es] ? "its contours"
           : vague[h->ed]               ? "its contour of end diastole"
                                        : "its contour of end systole";
}

static const char *vague_why(const struct cardiac_ventricle *h, uint32_t slice)
{
    return (slice < h->middle) == (h->basal < h->middle)
               ? "its pool is larger than that of the next slice by more than a fifth: the valve "
                 "may lie within it"
               : "its pool is larger than the slices above leave room for: the apex may end within "
                 "it";
}

bool cardiac_exclude_slices(struct cardiac_writer *w)
{
    const struct cardiac_ventricle *h = w->h;
    bool ok = true;
    for (uint32_t k = 0; ok && k < h->slices; k++) {
        const struct cardiac_part *part = &h->part[k];
        const double share = 100 * (double)part->weight[h->ed];
        if (part->fate == CARDIAC_BEYOND_BASE && share > 0)
            ok = exclude_slice(w, k, fate_name(part->fate),
                               arena_printf(w->f->arena, "%s: %.0f %% of it counts at end diastole",
                                            part->why, share));
        else if (part->fate != CARDIAC_USED)
            ok = exclude_slice(w, k, fate_name(part->fate), part->why);
        else if (part->borrowed[h->ed] || part->borrowed[h->es])
            ok = exclude_slice(w, k, "its contours",
                               "the valve lies within it: areas are those of the next slice");
        else if (part->vague[h->ed] || part->vague[h->es])
            ok = exclude_slice(w, k, vague_phase(h, k), vague_why(h, k));
    }
    return ok;
}

static bool set_value_row(struct cardiac_writer *w, struct page_table *t, uint32_t row,
                          const char *name, struct cardiac_bounds v, int decimals, const char *unit)
{
    struct findings *f = w->f;
    bool ok = findings_set_cell(f, t, row, 0, "%s", name) &&
              findings_set_cell(f, t, row, 1, "%.*f %s", decimals, v.value, unit);
    if (ok && cardiac_is_range(&v))
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
    const struct cardiac_bounds ed = h->edv, es = h->esv, stroke = h->sv, mass = h->mass;
    const bool rate = !isnan(w->r->rate);
    struct cardiac_bounds ejection, filling;
    const bool rates = cardiac_rates(w->r, &ejection, &filling);
    struct page_table *t =
        findings_add_table(w->f, "Left ventricle", (rate ? 7 : 6) + (rates ? 2 : 0), 4);
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
    ok = ok && set_value_row(w, t, 4, "Ejection fraction", h->ef, 1, "%") &&
         findings_set_cell(w->f, t, 4, 3, "-");
    ok = ok && set_value_row(w, t, 5, "Mass at end diastole", mass, 1, "g") &&
         set_index(w, t, 5, mass.value, "g/m2");
    if (ok && rate)
        ok = set_value_row(w, t, 6, "Cardiac output", cardiac_times(stroke, w->r->rate / 1000), 2,
                           "L/min") &&
             set_index(w, t, 6, stroke.value * w->r->rate / 1000, "L/min/m2");
    if (ok && rates)
        ok = set_value_row(w, t, 7, "Peak ejection rate", ejection, 0, "mL/s") &&
             findings_set_cell(w->f, t, 7, 3, "-") &&
             set_value_row(w, t, 8, "Peak filling rate", filling, 0, "mL/s") &&
             findings_set_cell(w->f, t, 8, 3, "-");
    return ok;
}

static bool add_slice_table(struct cardiac_writer *w)
{
    const struct cardiac_ventricle *h = w->h;
    static const char *const head[] = {"Slice", "Pool ED, mm2", "Pool ES, mm2", "Muscle ED, mm2",
                                       "Edge",  "Closed wall",  "Counts ED, ES"};
    enum { COLUMNS = sizeof head / sizeof *head };
    struct page_table *t = findings_add_table(w->f, "Slices", h->apex - h->base + 2, COLUMNS);
    bool ok = t != NULL;
    for (uint32_t c = 0; ok && c < COLUMNS; c++)
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
             findings_set_cell(w->f, t, row, 5, "%.0f %%", 100 * part->closed) &&
             findings_set_cell(w->f, t, row, 6, "%.0f, %.0f %%", 100 * (double)part->weight[h->ed],
                               100 * (double)part->weight[h->es]);
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
    const bool timed = !isnan(w->r->step_s);
    for (uint32_t p = 0; p < h->points; p++)
        x[p] = timed ? 1000 * w->r->step_s * p : 100.0 * p / h->points;
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
        memcpy(line->rgb, cardiac_pool_rgb, sizeof line->rgb);
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
                          "men 53 (9) g/m2") &&
        findings_add_fact(f, "Stroke volume women 75 (14), men 96 (20) mL; by body surface women "
                             "45 (8), men 49 (10) mL/m2; mass there is of contours drawn within "
                             "the wall");
    if (ok && !w->r->whole_beat)
        ok = findings_add_fact(f, "The phases do not cover the whole beat");
    if (ok && !isnan(w->r->rate))
        ok = findings_add_fact(f, "Heart rate %.0f per minute (%s)", w->r->rate, w->r->rate_from);
    return ok && (isnan(w->r->surface_m2) ||
                  findings_add_fact(f, "Body surface %.2f m2 (Mosteller)", w->r->surface_m2));
}

static void add_cardiac_warnings(struct cardiac_writer *w)
{
    const struct cardiac_ventricle *h = w->h;
    if (cardiac_is_range(&h->ef))
        findings_add_warning(w->f, "EF %.0f to %.0f %%: %s", h->ef.low, h->ef.high, cardiac_doubt);
    if (h->open[0])
        findings_add_warning(w->f, "The stack may begin below the base of the ventricle: volume "
                                   "may be missing");
    if (h->open[1] && h->beyond_mm2[h->ed] > 0)
        findings_add_warning(w->f, "The stack ends above the apex: volume may be missing");
    if (h->poor)
        findings_add_warning(w->f,
                             "%u slices between base and apex are left out; their areas are "
                             "taken from the slices beside them",
                             h->poor);
}

static const double plain_points = 5; // an ejection fraction with a wider range is shown as that

bool cardiac_add_page(struct cardiac_writer *w)
{
    const struct cardiac_bounds ed = w->h->edv, es = w->h->esv;
    const struct cardiac_bounds ef = w->h->ef;
    const char *fraction = ef.high - ef.low > plain_points
                               ? arena_printf(w->f->arena, "%.0f to %.0f", ef.low, ef.high)
                               : arena_printf(w->f->arena, "%.0f", ef.value);
    if (fraction)
        w->f->page.headline =
            arena_printf(w->f->arena, "EF %s %%   EDV %.0f mL   ESV %.0f mL   mass %.0f g",
                         fraction, ed.value, es.value, w->h->mass.value);
    add_cardiac_warnings(w);
    return w->f->page.headline && add_value_table(w) && add_slice_table(w) && add_volume_curve(w) &&
           cardiac_add_segment_page(w) && add_cardiac_pictures(w) && add_cardiac_facts(w);
}
