#include "compute/stages/cardiac/cardiac_centre.h"
#include <math.h>
#include <stdlib.h>

static const double moving_share = 0.02; // of the pixels of a slice: those that move most
static const double heart_mm = 60;       // a heart of 12 cm
static const uint32_t heart_rounds = 8;

#define LEVELS 4096

// The motion that `moving_share` of the pixels of a slice exceed.
static double motion_limit(const float *motion, size_t pixels, double *top)
{
    uint32_t count[LEVELS] = {0};
    float most = 0;
    for (size_t n = 0; n < pixels; n++)
        most = fmaxf(most, motion[n]);
    *top = (double)most;
    if (!(most > 0))
        return 0;
    for (size_t n = 0; n < pixels; n++)
        count[(size_t)(motion[n] / most * (LEVELS - 1))]++;
    size_t left = (size_t)(moving_share * (double)pixels), level = LEVELS;
    while (level > 1 && left >= count[level - 1])
        left -= count[--level];
    return (double)most * ((double)level - 1.5) / (LEVELS - 1);
}

// The median along one axis of all places that move most.
static double motion_median(const uint32_t *places, uint32_t count)
{
    uint64_t sum = 0, half = 0;
    for (uint32_t n = 0; n < count; n++)
        sum += places[n];
    uint32_t n = 0;
    for (; n + 1 < count && half + places[n] < sum / 2; n++)
        half += places[n];
    return n;
}

static void motion_mean(const struct cardiac_cine *c, const double *limit, double centre[2])
{
    double x = 0, y = 0, sum = 0;
    for (uint32_t k = 0; k < c->slices; k++) {
        const float *m = c->motion + (size_t)k * c->rows * c->columns;
        for (uint32_t j = 0; j < c->rows; j++) {
            for (uint32_t i = 0; i < c->columns; i++) {
                const double dx = (i - centre[0]) * c->mm[0], dy = (j - centre[1]) * c->mm[1];
                if (!((double)m[(size_t)j * c->columns + i] > limit[k]) || hypot(dx, dy) > heart_mm)
                    continue;
                x += i;
                y += j;
                sum++;
            }
        }
    }
    if (sum > 0) {
        centre[0] = x / sum;
        centre[1] = y / sum;
    }
}

bool cardiac_heart_find(const struct cardiac_cine *c, double centre[2])
{
    const size_t pixels = (size_t)c->columns * c->rows;
    double *limit = malloc(c->slices * sizeof *limit), top = 0;
    uint32_t *column = calloc(c->columns, sizeof *column), *row = calloc(c->rows, sizeof *row);
    const bool ok = limit && column && row;
    for (uint32_t k = 0; ok && k < c->slices; k++) {
        const float *m = c->motion + pixels * k;
        double most;
        limit[k] = motion_limit(m, pixels, &most);
        top = fmax(top, most);
        for (size_t n = 0; n < pixels; n++) {
            column[n % c->columns] += (double)m[n] > limit[k];
            row[n / c->columns] += (double)m[n] > limit[k];
        }
    }
    if (ok && top > 0) {
        centre[0] = motion_median(column, c->columns);
        centre[1] = motion_median(row, c->rows);
        for (uint32_t n = 0; n < heart_rounds; n++)
            motion_mean(c, limit, centre);
    }
    free(row);
    free(column);
    free(limit);
    return ok && top > 0;
}

// ---- The chain ----------------------------------------------------------------------------------

static const double chain_reach_mm = 12; // from slice to slice
static const double chain_cost = 0.0008; // a mm2: 5 mm cost as much as a tenth of a good score

static void chain_step(const float *before, const struct cardiac_rings *r, uint32_t reach,
                       const double mm[2], float *total, uint32_t *from)
{
    const int columns = (int)r->count[0], rows = (int)r->count[1], far = (int)reach;
    for (int j = 0; j < rows; j++) {
        for (int i = 0; i < columns; i++) {
            double best = -1e9;
            int place = 0;
            for (int v = j > far ? j - far : 0; v <= j + far && v < rows; v++) {
                for (int u = i > far ? i - far : 0; u <= i + far && u < columns; u++) {
                    const double dx = (u - i) * mm[0], dy = (v - j) * mm[1];
                    const double sum =
                        (double)before[v * columns + u] - chain_cost * (dx * dx + dy * dy);
                    if (sum > best) {
                        best = sum;
                        place = v * columns + u;
                    }
                }
            }
            total[j * columns + i] = (float)best;
            from[j * columns + i] = (uint32_t)place;
        }
    }
}

static void take_centre(const struct cardiac_rings rings[2], size_t slice, uint32_t place,
                        struct cardiac_centre *out)
{
    const struct cardiac_rings *r = &rings[0];
    const size_t at = slice * r->count[0] * r->count[1] + place;
    const uint32_t columns = r->count[0] ? r->count[0] : 1, row = place / columns;
    out->at[0] = r->from[0] + (double)(place - row * columns) * r->step;
    out->at[1] = r->from[1] + (double)row * r->step;
    out->score = 0;
    for (int n = 0; n < 2; n++) {
        out->radius[n] = (double)rings[n].radius[at];
        out->score += (double)rings[n].score[at];
    }
}

bool cardiac_centre_find(const struct cardiac_cine *c, const struct cardiac_rings rings[2],
                         struct cardiac_centre *centres)
{
    const struct cardiac_rings *r = &rings[0];
    const size_t places = (size_t)r->count[0] * r->count[1];
    const double mm[2] = {c->mm[0] * r->step, c->mm[1] * r->step};
    const uint32_t reach = (uint32_t)ceil(chain_reach_mm / fmin(mm[0], mm[1]));
    float *total = calloc(2 * places, sizeof *total);
    uint32_t *from = calloc(places * c->slices, sizeof *from);
    const bool ok = total && from && places > 0;
    for (uint32_t k = 0; ok && k < c->slices; k++) {
        float *now = total + places * (k % 2), *before = total + places * (1 - k % 2);
        if (k > 0)
            chain_step(before, r, reach, mm, now, from + places * k);
        for (size_t n = 0; n < places; n++)
            now[n] = (k > 0 ? now[n] : 0) + rings[0].score[places * k + n] +
                     rings[1].score[places * k + n];
    }
    if (ok) {
        const float *last = total + places * ((c->slices - 1) % 2);
        uint32_t at = 0;
        for (uint32_t n = 1; n < places; n++)
            at = last[n] > last[at] ? n : at;
        for (uint32_t k = c->slices; k-- > 0;) {
            take_centre(rings, k, at, &centres[k]);
            at = k > 0 ? from[places * k + at] : at;
        }
    }
    free(from);
    free(total);
    return ok;
}
