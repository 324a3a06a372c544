#include "compute/stages/calcium/calcium_page.h"
#include <math.h>
#include <string.h>
#include "compute/stages/calcium/calcium_noise.h"

#define LESIONS_MAX 40 // in the table

// "12.0 to 31.5", or one number where both are the same. NULL: no memory.
static const char *span_text(const struct calcium_writer *w, double low, double high, int decimals)
{
    return high > low ? arena_printf(w->f->arena, "%.*f to %.*f", decimals, low, decimals, high)
                      : arena_printf(w->f->arena, "%.*f", decimals, low);
}

static bool add_table(struct calcium_writer *w)
{
    static const char *const head[] = {"Artery", "Lesions", "Agatston", "Volume mm3", "Mass mg"};
    enum { COLUMNS = 5, ROWS = CALCIUM_ARTERIES + 2 };
    struct page_table *t = findings_add_table(w->f, "Coronary calcium", ROWS, COLUMNS);
    const char **cells = arena_alloc(w->f->arena, COLUMNS * ROWS, sizeof *cells);
    if (!t || !cells)
        return false;
    memcpy(cells, head, sizeof head);
    for (int r = 1; r < ROWS; r++) {
        const bool last = r == ROWS - 1;
        const struct calcium_amount *a = last ? &w->total : &w->artery[r - 1];
        const char **row = cells + r * COLUMNS;
        const struct calcium_amount most = last ? w->possible : calcium_writer_most(w, r - 1);
        const double mg = calcium_mass_mg(w->rules, &most);
        row[0] = last                          ? "Total"
                 : r - 1 == CALCIUM_UNASSIGNED ? "Artery not told"
                                               : calcium_arteries[r - 1].name;
        row[1] = span_text(w, a->lesions, most.lesions, 0);
        row[2] = span_text(w, calcium_agatston(w->rules, a), calcium_agatston(w->rules, &most), 1);
        row[3] =
            span_text(w, calcium_volume_mm3(w->rules, a), calcium_volume_mm3(w->rules, &most), 1);
        row[4] =
            span_text(w, calcium_mass_mg(w->rules, a), mg, calcium_writer_mass_decimals(w, mg));
        if (!row[1] || !row[2] || !row[3] || !row[4])
            return false;
    }
    t->cells = cells;
    t->total = true;
    return true;
}

// What the classes mean (CAC-DRS, J Cardiovasc Comput Tomogr 2018;12:185), and that of this scan.
static bool add_legend(struct calcium_writer *w)
{
    static const char *const classes[][3] = {
        {"A0", "0", "very low"},
        {"A1", "above 0, below 100", "mildly increased"},
        {"A2", "100, below 300", "moderately increased"},
        {"A3", "300 and above", "moderately to severely increased"},
    };
    enum { CLASSES = sizeof classes / sizeof *classes };
    const bool given = calcium_noise_allows_category(w->heart->noise_hu);
    char low[16], high[16];
    calcium_category(calcium_agatston(w->rules, &w->total), 0, low, sizeof low);
    calcium_category(calcium_agatston(w->rules, &w->possible), 0, high, sizeof high);
    struct page_table *t = findings_add_table(w->f, "CAC-DRS", CLASSES + 1, 4);
    bool ok = t && findings_set_cell(w->f, t, 0, 0, "Class") &&
              findings_set_cell(w->f, t, 0, 1, "Agatston") &&
              findings_set_cell(w->f, t, 0, 2, "Risk") &&
              findings_set_cell(w->f, t, 0, 3, "This scan");
    for (int r = 0; ok && r < CLASSES; r++) {
        const bool here = given && low[1] - '0' <= r && r <= high[1] - '0';
        for (uint32_t c = 0; ok && c < 3; c++)
            ok = findings_set_cell(w->f, t, (uint32_t)r + 1, c, "%s", classes[r][c]);
        ok = ok && findings_set_cell(w->f, t, (uint32_t)r + 1, 3, "%s",
                                     !here               ? ""
                                     : low[1] == high[1] ? "\u25cf"
                                                         : "\u25cf possible");
    }
    return ok && findings_add_fact(w->f, "CAC-DRS /N is the number of arteries with calcium (LM, "
                                         "LAD, LCX, RCA); it is not given while one is not told");
}

// Lesion by lesion, as they are numbered in the images.
static bool add_lesion_table(struct calcium_writer *w)
{
    static const char *const head[] = {"Lesion",   "Where",      "HU",
                                       "Agatston", "Volume mm3", "Mass mg"};
    enum { COLUMNS = 6 };
    const uint32_t shown = w->counted < LESIONS_MAX ? w->counted : LESIONS_MAX;
    if (!shown)
        return true;
    const uint32_t rows = 1 + shown + (shown < w->counted);
    struct page_table *t = findings_add_table(w->f, "Counted lesions", rows, COLUMNS);
    bool ok = t != NULL;
    for (uint32_t c = 0; ok && c < COLUMNS; c++)
        ok = findings_set_cell(w->f, t, 0, c, "%s", head[c]);
    for (uint32_t i = 0; ok && i < shown; i++) {
        const struct calcium_lesion *l = &w->lesions->list[i];
        const double mg = calcium_mass_mg(w->rules, &l->amount);
        char place[64];
        ok = findings_set_cell(w->f, t, i + 1, 0, "%s %u",
                               l->artery == CALCIUM_UNASSIGNED ? "not told"
                                                               : calcium_arteries[l->artery].name,
                               w->number[i]) &&
             findings_set_cell(w->f, t, i + 1, 1, "%s",
                               calcium_writer_place(w, l->key_slice, place)) &&
             findings_set_cell(w->f, t, i + 1, 2, "%d", l->amount.max) &&
             findings_set_cell(w->f, t, i + 1, 3, "%.1f", calcium_agatston(w->rules, &l->amount)) &&
             findings_set_cell(w->f, t, i + 1, 4, "%.1f",
                               calcium_volume_mm3(w->rules, &l->amount)) &&
             findings_set_cell(w->f, t, i + 1, 5, "%.*f", calcium_writer_mass_decimals(w, mg), mg);
    }
    if (ok && shown < w->counted)
        ok = findings_set_cell(w->f, t, rows - 1, 0, "and %u more", w->counted - shown);
    return ok;
}

// The heart's box on the image with some room, as a square.
static void heart_box(const struct calcium_writer *w, double box[4])
{
    const struct anatomy_heart *h = w->heart;
    const struct image *v = w->v;
    double lo[2] = {INFINITY, INFINITY}, hi[2] = {0, 0};
    const uint32_t step =
        h->grid.factor[0] < h->grid.factor[1] ? h->grid.factor[0] : h->grid.factor[1];
    for (uint32_t k = 0; k < v->dim[2]; k += h->grid.factor[2]) {
        for (uint32_t j = 0; j < v->dim[1]; j += step) {
            for (uint32_t i = 0; i < v->dim[0]; i += step) {
                if (!h->region[anatomy_grid_at(&h->grid, i, j, k)])
                    continue;
                lo[0] = fmin(lo[0], i);
                hi[0] = fmax(hi[0], i);
                lo[1] = fmin(lo[1], j);
                hi[1] = fmax(hi[1], j);
            }
        }
    }
    double side = fmax((hi[0] - lo[0]) * v->spacing[0], (hi[1] - lo[1]) * v->spacing[1]) + 50;
    for (int a = 0; a < 2; a++) {
        double pixels = fmin(round(side / v->spacing[a]), v->dim[a]);
        double first = round((lo[a] + hi[a]) / 2 - pixels / 2);
        box[a] = fmin(fmax(first, 0), v->dim[a] - pixels);
        box[a + 2] = pixels;
    }
}

// The slices with most calcium, from the head down. Without calcium three through the heart and
// those of what was too small.
static uint32_t choose_slices(const struct calcium_writer *w, uint32_t *slices)
{
    const struct image *v = w->v;
    uint32_t count = 0;
    if (!w->counted && !w->uncertain) {
        const struct anatomy_grid *g = &w->heart->grid;
        for (int step = -1; step <= 1; step++) {
            double z = w->heart->peak[2] + step * 0.6 * w->heart->radius_mm / g->mm[2];
            z = fmin(fmax(z, 0), g->dim[2] - 1);
            const double xyz[3] = {0, 0, z};
            double ijk[3];
            anatomy_grid_to_voxel(g, xyz, ijk);
            slices[count++] = (uint32_t)fmin(ijk[2], v->dim[2] - 1);
        }
        for (uint32_t i = 0; i < w->lesions->faint_count && count < CALCIUM_IMAGES_MAX; i++) {
            const uint32_t k = w->lesions->faint[i].slice;
            bool known = false;
            for (uint32_t n = 0; n < count; n++)
                known = known || slices[n] == k;
            if (!known)
                slices[count++] = k;
        }
        return count;
    }
    uint32_t *pixels = arena_alloc(w->f->arena, v->dim[2], sizeof *pixels);
    if (!pixels)
        return 0;
    for (uint32_t i = 0; i < w->lesions->run_count; i++) {
        const struct component_run *r = &w->lesions->runs[i];
        if (r->label > w->counted + w->uncertain)
            break;
        pixels[r->row / v->dim[1]] += r->x1 - r->x0 + 1u;
    }
    while (count < CALCIUM_IMAGES_MAX) {
        uint32_t best = 0;
        for (uint32_t k = 1; k < v->dim[2]; k++)
            best = pixels[k] > pixels[best] ? k : best;
        if (!pixels[best])
            break;
        pixels[best] = 0;
        uint32_t at = count++;
        for (; at > 0 && slices[at - 1] < best; at--) // from the head down
            slices[at] = slices[at - 1];
        slices[at] = best;
    }
    return count;
}

static bool add_images(struct calcium_writer *w)
{
    uint32_t slices[CALCIUM_IMAGES_MAX];
    const uint32_t count = choose_slices(w, slices);
    if (!count)
        return false;
    double box[4];
    heart_box(w, box);
    for (uint32_t i = 0; i < count; i++) {
        const double ijk[3] = {0, 0, slices[i]};
        double mm[3];
        char place[64];
        struct page_image *image = findings_add_image(w->f);
        if (!image)
            return false;
        image_to_patient(w->v, ijk, mm);
        image->place = (struct place){w->image, slices[i], 0};
        memcpy(image->box, box, sizeof box);
        image->window[0] = 200;
        image->window[1] = 1000;
        image->caption = arena_printf(w->f->arena, "%s, z %.1f mm",
                                      calcium_writer_place(w, slices[i], place), mm[2]);
        if (!image->caption)
            return false;
    }
    return true;
}

bool calcium_page_add_scores(struct calcium_writer *w)
{
    return add_table(w) && add_legend(w);
}

bool calcium_page_add_lesions(struct calcium_writer *w)
{
    return add_lesion_table(w) && add_images(w);
}
