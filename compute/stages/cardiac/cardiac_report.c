#include "compute/stages/cardiac/cardiac_report.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/findings/colour.h"
#include "compute/stages/cardiac/cardiac_writer.h"

// PS3.16 CID 12305 (sites), 7150, 7151.
static const struct code code_ventricle = {"87878005", "SCT", "Left Ventricle"};
static const struct code code_muscle = {"49848007", "SCT", "Left Ventricle Myocardium"};
static const struct code code_anatomical = {"123037004", "SCT", "Anatomical Structure"};

enum { LAYER_ENDO, LAYER_EPI, LAYERS };
const uint8_t cardiac_pool_rgb[3] = COLOUR_VERMILION, cardiac_muscle_rgb[3] = COLOUR_GREEN;

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
        memcpy(l->rgb, n == LAYER_ENDO ? cardiac_pool_rgb : cardiac_muscle_rgb, sizeof l->rgb);
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
    for (int n = 0; n < CARDIAC_REGIONS; n++) {
        struct region *r = findings_add_region(w->f);
        if (!r)
            return false;
        *r = (struct region){.label = n == CARDIAC_REGION_POOL ? "Pool of the left ventricle"
                                                               : "Muscle of the left ventricle",
                             .category = code_anatomical,
                             .type = n == CARDIAC_REGION_POOL ? code_ventricle : code_muscle,
                             .group = 0,
                             .automatic = true};
        memcpy(r->rgb, n == CARDIAC_REGION_POOL ? cardiac_pool_rgb : cardiac_muscle_rgb,
               sizeof r->rgb);
    }
    return true;
}

double cardiac_radius_towards(const float *radius, double x, double y)
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
            if (r <= cardiac_radius_towards(wall->endo, x, y))
                *to = CARDIAC_REGION_POOL + 1;
            else if (r <= cardiac_radius_towards(wall->epi, x, y))
                *to = CARDIAC_REGION_MUSCLE + 1;
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

bool cardiac_report(struct findings *f, const struct stage_run *run, const struct cardiac_result *r,
                    struct err *err)
{
    struct cardiac_writer w = {
        .f = f, .run = run, .set = run->set, .v = &run->set->images[r->image], .r = r, .h = r->v};
    if (!stage_step(run, "drawing", 0.9, err))
        return false;
    const bool ok = add_cardiac_regions(&w) && paint_point(&w, r->v->ed) &&
                    paint_point(&w, r->v->es) && cardiac_exclude_slices(&w) &&
                    cardiac_exclude_segments(&w);
    if (ok) {
        cardiac_add_numbers(&w);
        cardiac_add_segments(&w);
    }
    if (!ok || !add_contours(&w) || !cardiac_mark_insertions(&w) || !cardiac_add_page(&w))
        return err_set(err, ERR_NOMEM, "cardiac: report");
    f->verdict = VERDICT_DONE;
    f->reason = "";
    return true;
}
