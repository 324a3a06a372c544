#include "compute/draw/plane.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/image/load.h"

void plane_finish(struct plane *p)
{
    free(p->values);
    free(p->labels);
    voi_finish(&p->voi);
    *p = (struct plane){0};
}

static bool plane_alloc(struct plane *p, bool labels, struct err *err)
{
    const size_t count = (size_t)p->columns * p->rows;
    p->values = calloc(count, sizeof *p->values);
    p->labels = labels ? calloc(count, sizeof *p->labels) : NULL;
    if (p->values && (p->labels || !labels))
        return true;
    plane_finish(p);
    return err_set(err, ERR_NOMEM, "no memory for a picture of %zu pixels", count);
}

static const struct image *plane_image(const struct image_set *set, uint32_t image, uint32_t slice,
                                       uint32_t point, struct err *err)
{
    if (set && image < set->image_count && slice < set->images[image].dim[2] &&
        point < set->images[image].dim[3])
        return &set->images[image];
    err_set(err, ERR_INPUT, "there is no slice %" PRIu32 ", point %" PRIu32 " of image %" PRIu32,
            slice, point, image);
    return NULL;
}

static bool known(double mm)
{
    return isfinite(mm) && mm > 0;
}

// Of what has no place Patient Orientation tells the directions (PS3.3 C.7.6.1.1.1); in animals
// its letters mean something else.
static void plane_direct(struct plane *p, const struct image_set *set, const struct image *img)
{
    const char *text = image_text(set, img, "PatientOrientation"), *down = strchr(text, '\\');
    if (img->placed || !down || strspn(text, "LRAPHF\\") != strlen(text) || text == down ||
        !down[1] || strcmp(image_text(set, img, "AnatomicalOrientationType"), "QUADRUPED") == 0)
        return;
    p->right = text[0];
    p->down = down[1];
}

// Pixels, their size and directions: of a slice of img.
static struct plane plane_on_grid(const struct image *img, const struct place *place)
{
    struct plane p = {.columns = img->dim[0],
                      .rows = img->dim[1],
                      .mm = {1, 1},
                      .scaled = known(img->spacing[0]) && known(img->spacing[1]),
                      .right = image_direction(img, 0),
                      .down = image_direction(img, 1),
                      .has_place = true,
                      .place = *place};
    for (int a = 0; p.scaled && a < 2; a++)
        p.mm[a] = img->spacing[a];
    return p;
}

// Values that stand for padding are no part of a picture. In Hounsfield units those above air have
// become air already.
static void plane_clear_padding(struct plane *p, const struct image_frame *f)
{
    const float a = (float)(f->slope * f->padding[0] + f->intercept),
                b = (float)(f->slope * f->padding[1] + f->intercept);
    const float low = fminf(a, b), high = fmaxf(a, b);
    if (!f->padded)
        return;
    for (size_t i = 0; i < (size_t)p->columns * p->rows; i++) {
        if (p->values[i] >= low && p->values[i] <= high)
            p->values[i] = NAN;
    }
}

static bool plane_read_voi(struct plane *p, const struct image_set *set, uint32_t frame,
                           struct err *err)
{
    const struct image_pixels *pixels = set->pixels;
    return frame == IMAGE_NO_FRAME || set->frames[frame].colour || !pixels || !pixels->voi ||
           pixels->voi(pixels->ctx, frame, &p->voi, err);
}

bool plane_read_slice(struct plane *p, const struct image_set *set, const struct findings *f,
                      const struct place *place, bool labels, struct err *err)
{
    *p = (struct plane){0};
    const struct image *img = plane_image(set, place->image, place->slice, place->point, err);
    if (!img)
        return false;
    const struct label_map *map = labels ? findings_labels(f, place->image, place->point) : NULL;
    const size_t count = (size_t)img->dim[0] * img->dim[1];
    const uint32_t frame = image_frame_at(img, place->slice, place->point);
    *p = plane_on_grid(img, place);
    plane_direct(p, set, img);
    p->inverted = frame != IMAGE_NO_FRAME && set->frames[frame].inverted;
    if (!plane_alloc(p, map != NULL, err))
        return false;
    if (map)
        memcpy(p->labels, map->labels + place->slice * count, count * sizeof *p->labels);
    if (image_read_slice(set, img, place->slice, place->point, p->values, err) &&
        plane_read_voi(p, set, frame, err)) {
        plane_clear_padding(p, &set->frames[frame]);
        return true;
    }
    plane_finish(p);
    return false;
}

bool plane_read_map(struct plane *p, const struct image_set *set, const struct findings *f, int map,
                    const struct place *place, bool labels, struct err *err)
{
    *p = (struct plane){0};
    if (map < 0 || (uint32_t)map >= f->map_count)
        return err_set(err, ERR_INPUT, "there is no map %d", map);
    const struct value_map *m = &f->maps[map];
    const struct place at = {m->image, place->slice, place->point};
    const struct image *img = plane_image(set, m->image, at.slice, 0, err);
    if (!img)
        return false;
    const struct label_map *regions = labels ? findings_labels(f, m->image, at.point) : NULL;
    const size_t count = (size_t)img->dim[0] * img->dim[1];
    *p = plane_on_grid(img, &at);
    if (!plane_alloc(p, regions != NULL, err))
        return false;
    memcpy(p->values, m->values + at.slice * count, count * sizeof *p->values);
    if (regions)
        memcpy(p->labels, regions->labels + at.slice * count, count * sizeof *p->labels);
    return true;
}

// ---- sections ----

// Rows of the section that grow to the head or to the front are turned over.
static bool section_turned(const struct image *img)
{
    const char direction = image_direction(img, 2);
    return direction == 'H' || direction == 'A' || direction == 'R';
}

static char opposite_direction(char direction)
{
    static const char from[] = "RLAPFH", to[] = "LRPAHF";
    const char *at = direction ? strchr(from, direction) : NULL;
    return at ? to[at - from] : direction;
}

// How far the stack has moved along axis (0 columns, 1 rows) from its middle to slice k, in pixels.
static double section_shift(const struct image *img, int axis, uint32_t k)
{
    double along = 0, length = 0;
    if (!img->placed)
        return 0;
    for (int a = 0; a < 3; a++) {
        along += img->to_patient[a][2] * img->to_patient[a][axis];
        length += img->to_patient[a][axis] * img->to_patient[a][axis];
    }
    return length > 0 ? along / length * (k - (img->dim[2] - 1) / 2.0) : 0;
}

static struct plane plane_of_section(const struct image *img, int along)
{
    struct plane p = {.columns = img->dim[along],
                      .rows = img->dim[2],
                      .mm = {1, 1},
                      .right = image_direction(img, along),
                      .down = image_direction(img, 2)};
    p.scaled = known(img->spacing[along]) && known(img->spacing[2]);
    if (p.scaled) {
        p.mm[0] = img->spacing[along];
        p.mm[1] = img->spacing[2];
    }
    if (section_turned(img))
        p.down = opposite_direction(p.down);
    return p;
}

// One line of a slice becomes one row of the section.
static void section_row(struct plane *p, uint32_t row, const float *slice, const uint16_t *labels,
                        const struct image *img, const struct page_section *section, double shift)
{
    const bool coronal = section->axis == 1;
    const size_t step = coronal ? 1 : img->dim[0];
    const size_t start = coronal ? (size_t)section->index * img->dim[0] : section->index;
    const size_t out = (size_t)row * p->columns;
    for (uint32_t i = 0; slice && i < p->columns; i++) {
        const double from = i - shift, low = floor(from);
        p->values[out + i] = NAN;
        if (from < 0 || from > p->columns - 1)
            continue;
        const size_t at = start + (size_t)low * step;
        const double part = from - low;
        const float a = slice[at], b = part > 0 ? slice[at + step] : a;
        p->values[out + i] = (float)(a + part * (b - a));
        if (labels)
            p->labels[out + i] = labels[start + (size_t)round(from) * step];
    }
}

// Whether a section can be read; its image.
static const struct image *section_image(const struct image_set *set,
                                         const struct page_section *section)
{
    const struct image *img = plane_image(set, section->image, 0, section->point, NULL);
    return img && section->index < img->dim[section->axis == 1 ? 1 : 0] ? img : NULL;
}

static bool same_stack(const struct page_section *a, const struct page_section *b)
{
    return a->image == b->image && a->point == b->point;
}

// One slice into all sections of its stack.
static void section_take(struct plane *planes, const struct image_set *set,
                         const struct findings *f, const struct page_section *sections,
                         uint32_t count, const struct page_section *stack, uint32_t k,
                         const float *slice)
{
    const struct image *img = &set->images[stack->image];
    const uint32_t row = section_turned(img) ? img->dim[2] - 1 - k : k;
    const uint32_t frame = image_frame_at(img, k, stack->point);
    const struct label_map *map = findings_labels(f, stack->image, stack->point);
    for (uint32_t s = 0; s < count; s++) {
        struct plane *p = &planes[s];
        if (!p->values || !same_stack(stack, &sections[s]))
            continue;
        if (frame == IMAGE_NO_FRAME) {
            for (uint32_t i = 0; i < p->columns; i++)
                p->values[(size_t)row * p->columns + i] = NAN;
            continue;
        }
        p->inverted = set->frames[frame].inverted;
        section_row(p, row, slice,
                    p->labels ? map->labels + k * (size_t)img->dim[0] * img->dim[1] : NULL, img,
                    &sections[s], section_shift(img, sections[s].axis == 1 ? 0 : 1, k));
    }
}

// All sections that share the stack of sections[first].
static bool section_stack(struct plane *planes, const struct image_set *set,
                          const struct findings *f, const struct page_section *sections,
                          uint32_t count, const struct page_section *stack, struct err *err)
{
    const struct image *img = &set->images[stack->image];
    float *slice = malloc((size_t)img->dim[0] * img->dim[1] * sizeof *slice);
    bool ok = slice || err_set(err, ERR_NOMEM, "no memory for a slice");
    for (uint32_t k = 0; ok && k < img->dim[2]; k++) {
        ok = image_frame_at(img, k, stack->point) == IMAGE_NO_FRAME ||
             image_read_slice(set, img, k, stack->point, slice, err);
        if (ok)
            section_take(planes, set, f, sections, count, stack, k, slice);
    }
    free(slice);
    return ok;
}

bool plane_read_sections(struct plane *planes, const struct image_set *set,
                         const struct findings *f, const struct page_section *sections,
                         uint32_t count, struct err *err)
{
    bool ok = true;
    for (uint32_t s = 0; s < count; s++)
        planes[s] = (struct plane){0};
    for (uint32_t s = 0; ok && s < count; s++) {
        const struct image *img = section_image(set, &sections[s]);
        if (!img)
            continue;
        planes[s] = plane_of_section(img, sections[s].axis == 1 ? 0 : 1);
        ok = plane_alloc(
            &planes[s],
            sections[s].regions && findings_labels(f, sections[s].image, sections[s].point), err);
    }
    for (uint32_t s = 0; ok && s < count; s++) {
        bool read = !planes[s].values;
        for (uint32_t before = 0; !read && before < s; before++)
            read = planes[before].values && same_stack(&sections[before], &sections[s]);
        ok = read || section_stack(planes, set, f, sections, count, &sections[s], err);
    }
    for (uint32_t s = 0; ok && s < count; s++) { // as its middle slice
        const struct image *img = planes[s].values ? section_image(set, &sections[s]) : NULL;
        ok = !img || plane_read_voi(&planes[s], set,
                                    image_frame_at(img, img->dim[2] / 2, sections[s].point), err);
    }
    for (uint32_t s = 0; !ok && s < count; s++)
        plane_finish(&planes[s]);
    return ok;
}
