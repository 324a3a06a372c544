#include "node/job/rival.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compute/image/phase.h"

#define SAME_PART 0.9     // of the length of the longer one: else a tenth of the heart is cut off
#define PARALLEL  0.99996 // cosine of 0.5 degrees, as image_split() takes planes for the same

double rival_length(const struct rival *r)
{
    return r->high - r->low;
}

double rival_overlap(const struct rival *a, const struct rival *b)
{
    return fmax(0, fmin(a->high, b->high) - fmax(a->low, b->low));
}

// Where an image begins and ends along the normal of the largest one.
static void rival_extent(const struct rival *largest, struct rival *r)
{
    const double(*a)[4] = largest->img->to_patient, (*b)[4] = r->img->to_patient;
    double row = 0, column = 0, step = 0, first = 0;
    for (int i = 0; i < 3; i++) {
        const int j = (i + 1) % 3, k = (i + 2) % 3;
        const double normal = a[j][0] * a[k][1] - a[k][0] * a[j][1];
        row += a[i][0] * b[i][0];
        column += a[i][1] * b[i][1];
        step += normal * b[i][2];
        first += normal * b[i][3];
    }
    const double *u = largest->img->spacing, *v = r->img->spacing;
    row /= u[0] * v[0];
    column /= u[1] * v[1];
    step /= u[0] * u[1];
    first /= u[0] * u[1];
    if (row < PARALLEL || column < PARALLEL)
        return;
    r->low = first - step / 2;
    r->high = first + step * (r->img->dim[2] - 0.5);
}

bool rivals_find(struct image_set *set, uint32_t pool, struct arena *arena, struct rivals *out)
{
    *out = (struct rivals){.set = set};
    out->item = arena_alloc(arena, (size_t)set->image_count + 1, sizeof *out->item);
    if (!out->item)
        return false;
    const struct rival *largest = out->item, *whole = out->item;
    for (uint32_t i = 0; i < set->image_count; i++) {
        struct image *img = &set->images[i];
        if (img->pool != pool || !img->placed || img->colour)
            continue;
        struct rival *r = &out->item[out->count++];
        r->img = img;
        r->frames = (size_t)img->dim[2] * img->dim[3] - img->missing;
        rival_extent(largest, r);
        const double shared = rival_overlap(r, largest);
        const double shorter = fmin(rival_length(r), rival_length(largest));
        if (2 * r->frames >= largest->frames && rival_length(r) > rival_length(whole) &&
            shared >= SAME_PART * rival_length(largest))
            whole = r;
        if (r->frames == largest->frames && (shorter <= 0 || shared < SAME_PART * shorter))
            out->elsewhere = r;
    }
    out->whole_mm = rival_length(whole);
    for (size_t i = 0; i < out->count; i++) {
        struct rival *r = &out->item[i];
        const double longer = fmax(rival_length(r), out->whole_mm);
        r->candidate = !r->img->defect[0] && rival_overlap(r, whole) >= SAME_PART * longer;
    }
    return true;
}

const char *rival_value(const struct rivals *all, const struct rival *r, size_t cell,
                        const char *keyword, char text[RIVAL_TEXT])
{
    const struct image_frame *f = &all->set->frames[r->img->frame[cell]];
    struct image_phase phase;
    double number = NAN;
    if (strcmp(keyword, IMAGE_CARDIAC_PERCENT) == 0 && image_frame_phase(f, &phase))
        number = phase.computed ? round(phase.percent) : phase.percent;
    else if (strcmp(keyword, RIVAL_SPACING) == 0)
        number = r->img->spacing[2];
    else
        return f->attrs ? attrs_get(f->attrs, keyword) : NULL;
    snprintf(text, RIVAL_TEXT, "%.4g", number);
    return isnan(number) ? NULL : text;
}

bool rival_next_cell(const struct rival *r, size_t *cell)
{
    const size_t cells = (size_t)r->img->dim[2] * r->img->dim[3];
    while (*cell < cells && r->img->frame[*cell] == IMAGE_NO_FRAME)
        ++*cell;
    return *cell < cells;
}

void rival_range(const struct rivals *all, const struct rival *r, const char *keyword, double *low,
                 double *high)
{
    char text[RIVAL_TEXT];
    *low = *high = NAN;
    for (size_t i = 0; rival_next_cell(r, &i); i++) {
        const char *value = rival_value(all, r, i, keyword, text);
        const double number = value && *value ? strtod(value, NULL) : NAN;
        *low = fmin(*low, number); // NAN is no number: the other one counts
        *high = fmax(*high, number);
    }
}

const char *rival_said(const struct rivals *all, const struct rival *r, const char *keyword,
                       char out[RIVAL_TEXT])
{
    const bool measured = strcmp(keyword, RIVAL_SPACING) == 0;
    struct image_phase phase = {.by = keyword};
    struct image_said said;
    double low, high;
    rival_range(all, r, keyword, &low, &high);
    image_said(all->set, r->img, keyword, &said);
    snprintf(out, RIVAL_TEXT, "%.80s", said.text);
    if (isnan(low) || !(measured || strcmp(keyword, IMAGE_CARDIAC_PERCENT) == 0))
        return out;
    bool stated = measured;
    for (size_t i = 0; !stated && rival_next_cell(r, &i); i++)
        stated = image_frame_phase(&all->set->frames[r->img->frame[i]], &phase);
    char to[RIVAL_TEXT / 4] = "";
    if (high > low)
        snprintf(to, sizeof to, " to %.4g", high);
    const bool other = stated && strcmp(phase.by, keyword) != 0;
    snprintf(out, RIVAL_TEXT, "%.4g%s%s%s", low, to, other ? " by " : "", other ? phase.by : "");
    return out;
}
