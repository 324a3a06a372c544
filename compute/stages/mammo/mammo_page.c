#include "compute/stages/mammo/mammo_page.h"
#include <math.h>
#include <string.h>
#include "compute/findings/colour.h"

enum { LAYER_BREAST, LAYER_OUTLINE, LAYER_CALC, LAYER_MASS, LAYER_TEXT, LAYERS };

static const struct layer mammo_layers[LAYERS] = {
    [LAYER_BREAST] = {"BREAST", "Outline of the breast", COLOUR_GREY, 0},
    [LAYER_OUTLINE] = {"CAD_OUTLINE", "Outlines of marks", COLOUR_SKY, 1},
    [LAYER_CALC] = {"CAD_CALC", "Triangle: cluster of calcifications", COLOUR_YELLOW, 2},
    [LAYER_MASS] = {"CAD_MASS", "Asterisk: mass", COLOUR_YELLOW, 3},
    [LAYER_TEXT] = {"CAD_TEXT", "What was found", COLOUR_WHITE, 4},
};

// From the centre to a corner: seen from a metre on a screen that shows the breast as large as it
// is, and smaller than the breast by far.
static const double symbol_mm = 4;

void mammo_add_layers(struct findings *f, bool masses, bool clusters)
{
    const bool used[LAYERS] = {[LAYER_BREAST] = true,
                               [LAYER_OUTLINE] = masses || clusters,
                               [LAYER_CALC] = clusters,
                               [LAYER_MASS] = masses,
                               [LAYER_TEXT] = true};
    for (int i = 0; i < LAYERS; i++) {
        struct layer *l = used[i] ? findings_add_layer(f) : NULL;
        if (l)
            *l = mammo_layers[i];
    }
}

// Where the layer is among those that were added; -1: it was not.
static int mammo_layer(const struct findings *f, int layer)
{
    for (uint32_t i = 0; i < f->layer_count; i++)
        if (strcmp(f->layers[i].name, mammo_layers[layer].name) == 0)
            return (int)i;
    return -1;
}

static void mammo_add_line(struct findings *f, uint32_t image, int layer, int group,
                           const float *points, uint32_t count, bool symbol)
{
    struct mark *m = findings_add_mark(f);
    if (m)
        *m = (struct mark){.kind = MARK_POLYLINE,
                           .place = {.image = image},
                           .layer = mammo_layer(f, layer),
                           .group = group,
                           .points = points,
                           .count = count,
                           .symbol = symbol};
}

// A triangle that points up, closed.
static uint32_t draw_triangle(float *to, double x, double y, double r)
{
    for (int i = 0; i < 4; i++) {
        const double turn = 2 * M_PI * (i % 3) / 3;
        to[2 * i] = (float)(x + r * sin(turn));
        to[2 * i + 1] = (float)(y - r * cos(turn));
    }
    return 4;
}

// Three strokes through the centre, in one line that goes back and forth.
static uint32_t draw_asterisk(float *to, double x, double y, double r)
{
    for (int i = 0; i < 6; i++) {
        const double turn = M_PI * i / 3;
        to[4 * i] = (float)x;
        to[4 * i + 1] = (float)y;
        to[4 * i + 2] = (float)(x + r * sin(turn));
        to[4 * i + 3] = (float)(y - r * cos(turn));
    }
    to[24] = (float)x;
    to[25] = (float)y;
    return 13;
}

void mammo_add_symbol(struct findings *f, uint32_t image, int group, const struct mammo_mark *mark,
                      double pixel_mm)
{
    const bool cluster = mark->kind == MAMMO_CLUSTER;
    float *points = arena_alloc(f->arena, 26, sizeof *points);
    float *outline = arena_alloc(f->arena, 2 * (size_t)mark->outline_count + 1, sizeof *outline);
    if (!points || !outline) {
        f->no_memory = true;
        return;
    }
    if (mark->outline_count) {
        memcpy(outline, mark->outline, 2 * (size_t)mark->outline_count * sizeof *outline);
        mammo_add_line(f, image, LAYER_OUTLINE, group, outline, mark->outline_count, false);
    }
    const uint32_t count = (cluster ? draw_triangle : draw_asterisk)(
        points, (double)mark->x, (double)mark->y, symbol_mm / pixel_mm);
    mammo_add_line(f, image, cluster ? LAYER_CALC : LAYER_MASS, group, points, count, true);
}

void mammo_add_skin(struct findings *f, uint32_t image, int group, const struct mammo_marks *m)
{
    float *points = arena_alloc(f->arena, 2 * (size_t)m->skin_count + 1, sizeof *points);
    if (!points) {
        f->no_memory = true;
        return;
    }
    if (!m->skin_count)
        return;
    memcpy(points, m->skin, 2 * (size_t)m->skin_count * sizeof *points);
    mammo_add_line(f, image, LAYER_BREAST, group, points, m->skin_count, false);
}

static void mammo_count(const struct mammo_marks *m, uint32_t *masses, uint32_t *clusters)
{
    *masses = *clusters = 0;
    for (uint32_t i = 0; i < m->mark_count; i++)
        ++*(m->marks[i].kind == MAMMO_MASS ? masses : clusters);
}

const char *mammo_count_text(struct arena *arena, const char *not_looked_for, uint32_t count)
{
    const char *text = not_looked_for ? "not looked for" : arena_printf(arena, "%u", count);
    return text ? text : "";
}

const char *mammo_density_text(struct arena *arena, const struct mammo_marks *m)
{
    return isnan(m->percent) ? "density not evaluable"
                             : arena_printf(arena, "dense about %.0f %% (%.0f to %.0f)", m->percent,
                                            m->percent_range[0], m->percent_range[1]);
}

void mammo_add_words(const struct stage_run *run, struct findings *f,
                     const struct mammo_image *image, const struct mammo_marks *m)
{
    const struct image *img = &run->set->images[image->image];
    uint32_t masses, clusters;
    mammo_count(m, &masses, &clusters);
    const char *density = mammo_density_text(f->arena, m);
    const char *found = m->refused ? arena_printf(f->arena, "not analysed: %s", m->refused)
                        : m->mark_count || m->no_masses || m->no_clusters
                            ? arena_printf(f->arena, "\nmasses (*): %s\nclusters (triangle): %s",
                                           mammo_count_text(f->arena, m->no_masses, masses),
                                           mammo_count_text(f->arena, m->no_clusters, clusters))
                            : "no findings";
    const char *text =
        arena_printf(f->arena, "CAD %s: %s\n%s\nanode %s %s", image->name, found ? found : "",
                     m->refused ? ""
                     : density  ? density
                                : "",
                     run->stage->name, run->stage->version);
    float *points = arena_alloc(f->arena, 4, sizeof *points);
    struct mark *mark = findings_add_mark(f);
    if (!found || !density || !text || !points || !mark) {
        f->no_memory = true;
        return;
    }
    // In the upper corner away from the chest wall; what is too far right is moved in.
    const bool right = m->lies != 'R';
    points[0] = points[2] = right ? (float)img->dim[0] * 0.7F : (float)img->dim[0] * 0.02F;
    points[1] = points[3] = (float)img->dim[1] * 0.02F;
    *mark = (struct mark){.kind = MARK_TEXT,
                          .place = {.image = image->image},
                          .layer = mammo_layer(f, LAYER_TEXT),
                          .group = -1,
                          .points = points,
                          .count = 2,
                          .text = text};
}

void mammo_add_sheet(struct findings *f, const struct mammo_exam *exam,
                     const struct mammo_marks *marks)
{
    struct page_table *t = findings_add_table(f, "Marks and density", exam->analysed + 1, 5);
    static const char *const head[] = {"View", "Masses", "Clusters", "Dense (%)", "Breast (cm2)"};
    uint32_t row = 0;
    if (!t)
        return;
    for (uint32_t c = 0; c < 5; c++)
        findings_set_cell(f, t, 0, c, "%s", head[c]);
    for (uint32_t i = 0; i < exam->count; i++) {
        const struct mammo_marks *m = &marks[i];
        uint32_t masses, clusters;
        if (exam->images[i].aside)
            continue;
        findings_set_cell(f, t, ++row, 0, "%s", exam->images[i].name);
        struct page_image *p = findings_add_image(f);
        if (p) {
            p->place.image = exam->images[i].image;
            p->caption = exam->images[i].name;
        }
        for (uint32_t c = 1; m->refused && c < 5; c++)
            findings_set_cell(f, t, row, c, "not analysed");
        if (m->refused)
            continue;
        mammo_count(m, &masses, &clusters);
        findings_set_cell(f, t, row, 1, "%s", mammo_count_text(f->arena, m->no_masses, masses));
        findings_set_cell(f, t, row, 2, "%s", mammo_count_text(f->arena, m->no_clusters, clusters));
        if (isnan(m->percent))
            findings_set_cell(f, t, row, 3, "not evaluable");
        else
            findings_set_cell(f, t, row, 3, "%.0f (%.0f to %.0f)", m->percent, m->percent_range[0],
                              m->percent_range[1]);
        findings_set_cell(f, t, row, 4, "%.0f", m->breast_mm2 / 100);
    }
}
