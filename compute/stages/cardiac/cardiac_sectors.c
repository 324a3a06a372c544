#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/stages/cardiac/cardiac_writer.h"
#include "compute/findings/colour.h"

// PS3.16 CID 3717 (segments), 12233 (phases); 122445 and 122624 are of TID 3920.
static const struct code code_wall = {"49848007", "SCT", "Left Ventricle Myocardium"};
static const struct code code_thickness = {"122445", "DCM", "Wall Thickness"};
static const struct code code_ratio = {"122624", "DCM",
                                       "Wall Thickness Ratio end-systolic to end-diastolic"};
static const struct code code_segment = {"SEGMENT", "99ANODE", "Segment of the left ventricle"};
static const struct code code_ed = {"416190007", "SCT", "End diastole"};
static const struct code code_es = {"416430001", "SCT", "End Systole"};
static const struct code unit_mm = {"mm", "UCUM", "millimeter"};
static const struct code unit_ratio = {"{ratio}", "UCUM", "ratio"};

static const struct {
    const char *name;
    struct code site;
} segments[BULLSEYE_SEGMENTS] = {
    {"basal anterior", {"264850008", "SCT", "Left ventricle basal anterior segment"}},
    {"basal anteroseptal", {"396482007", "SCT", "Left ventricle basal anteroseptal segment"}},
    {"basal inferoseptal", {"396646008", "SCT", "Left ventricle basal inferoseptal segment"}},
    {"basal inferior", {"264846001", "SCT", "Left ventricle basal inferior segment"}},
    {"basal inferolateral", {"396652009", "SCT", "Left ventricle basal inferolateral segment"}},
    {"basal anterolateral", {"396654005", "SCT", "Left ventricle basal anterolateral segment"}},
    {"mid anterior", {"264848000", "SCT", "Left ventricle mid anterior segment"}},
    {"mid anteroseptal", {"396647004", "SCT", "Left ventricle mid anteroseptal segment"}},
    {"mid inferoseptal", {"396649001", "SCT", "Left ventricle mid inferoseptal segment"}},
    {"mid inferior", {"264847005", "SCT", "Left ventricle mid inferior segment"}},
    {"mid inferolateral", {"396655006", "SCT", "Left ventricle mid inferolateral segment"}},
    {"mid anterolateral", {"396656007", "SCT", "Left ventricle mid anterolateral segment"}},
    {"apical anterior", {"264844003", "SCT", "left ventricle apical anterior segment"}},
    {"apical septal", {"264845002", "SCT", "left ventricle apical septal segment"}},
    {"apical inferior", {"264849008", "SCT", "left ventricle apical inferior segment"}},
    {"apical lateral", {"264853005", "SCT", "left ventricle apical lateral segment"}},
    {"apex", {"128564006", "SCT", "apex of left ventricle"}},
};
static const char no_cap[] = "no short-axis slice shows the cap of the apex";
// Of the colours: white is 10 mm, and 40 %.
static const double window_mm[2] = {4, 16}, window_percent[2] = {0, 80};

// ---- Numbers ------------------------------------------------------------------------------------

static bool segments_known(const struct cardiac_writer *w)
{
    return !w->r->segments->unknown;
}

static const char *why_not(const struct cardiac_writer *w, int n)
{
    return n < CARDIAC_SEGMENTS ? w->r->segments->segment[n].why : no_cap;
}

// "segment 7, mid anterior", or, where it is not known which, "middle, 60 to 120 degrees".
static const char *segment_name(const struct cardiac_writer *w, int n)
{
    static const char *const thirds[] = {"base", "middle", "apex"};
    if (segments_known(w))
        return arena_printf(w->f->arena, "segment %d, %s", n + 1, segments[n].name);
    const int third = n / 6, turn = third < 2 ? 60 : 90, from = (n - 6 * third) * turn;
    return arena_printf(w->f->arena, "%s, %d to %d degrees", thirds[third], from, from + turn);
}

// Its middle slice at end diastole.
static struct place middle_of_third(const struct cardiac_writer *w, int third)
{
    const struct cardiac_segments *s = w->r->segments;
    const uint32_t slice = s->count[third] ? s->first[third] + s->count[third] / 2 : w->h->middle;
    return (struct place){w->r->image, slice,
                          cardiac_phase_of(&w->h->part[slice], w->h->points, w->h->ed)};
}

static void add_thickness(struct cardiac_writer *w, struct finding_group *g, double mm,
                          const struct code *phase)
{
    struct measurement *m = findings_add_number(w->f, g, &code_thickness, mm, 1, &unit_mm, NULL);
    if (m)
        m->phase = *phase;
}

void cardiac_add_segments(struct cardiac_writer *w)
{
    for (int n = 0; n < (segments_known(w) ? BULLSEYE_SEGMENTS : CARDIAC_SEGMENTS); n++) {
        struct finding_group *g = findings_add_group(w->f);
        const char *name = segment_name(w, n), *why = why_not(w, n);
        if (!g || !name)
            return;
        g->label = name;
        g->finding = code_wall;
        g->has_key = true;
        g->key = middle_of_third(w, n < 12 ? n / 6 : 2);
        if (segments_known(w))
            g->site = segments[n].site;
        if (why) {
            struct evaluation *e = findings_add_evaluation(w->f, g);
            if (!e)
                return;
            e->concept = code_segment;
            e->text = arena_printf(w->f->arena, "not evaluable: %s", why);
            continue;
        }
        const struct cardiac_segment *s = &w->r->segments->segment[n];
        add_thickness(w, g, s->ed_mm, &code_ed);
        add_thickness(w, g, s->es_mm, &code_es);
        findings_add_number(w->f, g, &code_ratio, s->es_mm / s->ed_mm, 2, &unit_ratio, NULL);
    }
}

// Segments that cannot be measured, those of one reason together; but the cap, which never can.
bool cardiac_exclude_segments(struct cardiac_writer *w)
{
    const int count = CARDIAC_SEGMENTS;
    for (int n = 0; n < count; n++) {
        const char *why = why_not(w, n), *list = "";
        bool fresh = why != NULL;
        for (int m = 0; fresh && m < n; m++)
            fresh = !why_not(w, m) || strcmp(why_not(w, m), why) != 0;
        for (int m = n; fresh && list && m < count; m++) {
            if (why_not(w, m) && strcmp(why_not(w, m), why) == 0)
                list = arena_printf(w->f->arena, "%s%s%d", list, *list ? ", " : "", m + 1);
        }
        if (!fresh)
            continue;
        struct exclusion *e = findings_add_exclusion(w->f);
        if (!e || !list)
            return false;
        e->what = arena_printf(w->f->arena, "wall of %s %s",
                               segments_known(w) ? "segments" : "sectors", list);
        e->reason = why;
        if (!e->what)
            return false;
    }
    return true;
}

// ---- The insertions on the images ---------------------------------------------------------------

// Where a direction meets the outer contour of a slice at a phase.
static bool mark_insertion(struct cardiac_writer *w, int layer, uint32_t slice, uint32_t phase,
                           double angle)
{
    const struct cardiac_slice *s = &w->h->part[slice].s;
    const double mm = (double)cardiac_radius_towards(s->walls[phase].epi, cos(angle), sin(angle));
    double at[2];
    const double way[2] = {cos(angle), sin(angle)};
    for (int a = 0; a < 2; a++)
        at[a] = (s->centre[a] + mm * way[a] / w->r->cine->mm[a] + 0.5) * w->r->factor;
    return findings_add_point(w->f, (struct place){w->r->image, slice, phase}, layer, at[0],
                              at[1]) != NULL;
}

bool cardiac_mark_insertions(struct cardiac_writer *w)
{
    static const uint8_t rgb[3] = COLOUR_YELLOW;
    const struct cardiac_segments *s = w->r->segments;
    if (!segments_known(w))
        return true;
    struct layer *l = findings_add_layer(w->f);
    if (!l)
        return false;
    const int layer = (int)w->f->layer_count - 1;
    l->name = "INSERTION";
    l->description = "Insertions of the right ventricle, from which segments are counted";
    memcpy(l->rgb, rgb, sizeof l->rgb);
    bool ok = true;
    for (int third = 0; third < 2; third++) {
        for (uint32_t k = s->first[third]; ok && k < s->first[third] + s->count[third]; k++) {
            const uint32_t phase = cardiac_phase_of(&w->h->part[k], w->h->points, w->h->ed);
            ok = !cardiac_counts(w->h, k, w->h->ed) ||
                 (mark_insertion(w, layer, k, phase, s->anterior) &&
                  mark_insertion(w, layer, k, phase, s->inferior));
        }
    }
    return ok;
}

// ---- The page -----------------------------------------------------------------------------------

static bool add_eye(struct cardiac_writer *w, int kind)
{
    static const char *const titles[] = {"Wall at end diastole", "Wall at end systole",
                                         "Thickening"};
    struct bullseye *b = findings_add_bullseye(w->f);
    if (!b)
        return false;
    b->title = titles[kind];
    b->unit = kind < 2 ? "mm" : "%";
    b->decimals = kind < 2 ? 1 : 0;
    memcpy(b->window, kind < 2 ? window_mm : window_percent, sizeof b->window);
    for (int n = 0; n < CARDIAC_SEGMENTS; n++) {
        const struct cardiac_segment *s = &w->r->segments->segment[n];
        b->values[n] = kind == 0 ? s->ed_mm : kind == 1 ? s->es_mm : s->thickening;
    }
    return true;
}

// By angle, where it is not known which segment is which.
static bool add_sector_table(struct cardiac_writer *w)
{
    static const char *const head[] = {"Part of the wall", "ED, mm", "ES, mm", "Thickening"};
    struct findings *f = w->f;
    struct page_table *t = findings_add_table(
        f, "Wall by angle from the right of the image, with the clock", CARDIAC_SEGMENTS + 1, 4);
    bool ok = t != NULL;
    for (uint32_t c = 0; ok && c < 4; c++)
        ok = findings_set_cell(f, t, 0, c, "%s", head[c]);
    for (int n = 0; ok && n < CARDIAC_SEGMENTS; n++) {
        const struct cardiac_segment *s = &w->r->segments->segment[n];
        const uint32_t row = (uint32_t)n + 1;
        const char *name = segment_name(w, n);
        ok = name && findings_set_cell(f, t, row, 0, "%s", name);
        for (uint32_t c = 1; ok && s->why && c < 4; c++)
            ok = findings_set_cell(f, t, row, c, "-");
        if (ok && !s->why)
            ok = findings_set_cell(f, t, row, 1, "%.1f", s->ed_mm) &&
                 findings_set_cell(f, t, row, 2, "%.1f", s->es_mm) &&
                 findings_set_cell(f, t, row, 3, "%.0f %%", s->thickening);
    }
    return ok;
}

bool cardiac_add_segment_page(struct cardiac_writer *w)
{
    const struct cardiac_segments *s = w->r->segments;
    if (!segments_known(w))
        return findings_add_warning(w->f,
                                    "Which part of the wall is which segment is not known: %s. The "
                                    "wall is given by angle.",
                                    s->unknown) &&
               add_sector_table(w);
    return add_eye(w, 0) && add_eye(w, 1) && add_eye(w, 2) &&
           findings_add_fact(
               w->f,
               "Segments (AHA) from the middle between both insertions of the right "
               "ventricle, in which slices differ by %.0f degrees (SD); thirds of the "
               "slices at end diastole; hatched: not evaluable",
               s->spread * 180 / M_PI);
}
