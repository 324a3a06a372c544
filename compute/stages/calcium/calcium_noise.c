#include "compute/stages/calcium/calcium_noise.h"
#include <math.h>
#include <string.h>

#define LAG 8 // pixels: farther than noise is alike, nearer than tissue differs

static const double calm_below_hu = 12, calm_above_hu = 25; // the pool: no fat, no calcium
static const double bins_a_hu = 4;
static const double sd_of_median = 1.4826 / 1.4142135623730951; // of differences of two pixels
static const uint32_t pixels_fewest = 2000;

enum { CALM = 1, CORE = 2 };

// Whether a cell and the 26 around it are of the region, and of blood or muscle in the mean: a
// sheet of fat of a millimetre between them is seen, the noise of one cell is not.
static bool is_calm(const uint8_t *region, const int16_t *hu, size_t at, size_t row, size_t slice,
                    double blood_hu)
{
    double sum = 0;
    for (int n = 0; n < 27; n++) {
        const size_t near = at + (size_t)(n % 3) + (size_t)(n / 3 % 3) * row +
                            (size_t)(n / 9) * slice - 1 - row - slice;
        if (!region[near])
            return false;
        sum += hu[near];
    }
    return sum / 27 >= blood_hu - calm_below_hu && sum / 27 <= blood_hu + calm_above_hu;
}

static bool all_calm(const uint8_t *core, size_t at, size_t row, size_t slice)
{
    for (int n = 0; n < 27; n++) {
        if (!(core[at + (size_t)(n % 3) + (size_t)(n / 3 % 3) * row + (size_t)(n / 9) * slice - 1 -
                   row - slice] &
              CALM))
            return false;
    }
    return true;
}

void calcium_noise_core(const uint8_t *region, const int16_t *hu, const uint32_t dim[3],
                        double blood_hu, uint8_t *core)
{
    const size_t row = dim[0], slice = (size_t)dim[0] * dim[1];
    const size_t cells = slice * dim[2];
    memset(core, 0, cells);
    for (int pass = CALM; pass <= CORE; pass++) {
        for (uint32_t k = 1; k + 1 < dim[2]; k++) {
            for (uint32_t j = 1; j + 1 < dim[1]; j++) {
                for (uint32_t i = 1; i + 1 < dim[0]; i++) {
                    const size_t at = k * slice + j * row + i;
                    if (pass == CALM && region[at] && is_calm(region, hu, at, row, slice, blood_hu))
                        core[at] = CALM;
                    if (pass == CORE && core[at] && all_calm(core, at, row, slice))
                        core[at] |= CORE;
                }
            }
        }
    }
    for (size_t n = 0; n < cells; n++)
        core[n] = core[n] & CORE ? 1 : 0;
}

bool calcium_noise_init(struct calcium_noise_sums *s, const struct calcium_noise_rules *rules,
                        struct arena *arena)
{
    const size_t pixels = (size_t)rules->dim[0] * rules->dim[1];
    *s = (struct calcium_noise_sums){.rules = *rules};
    s->dark = arena_alloc(arena, pixels, sizeof *s->dark);
    s->stack = arena_alloc(arena, pixels, sizeof *s->stack);
    return s->dark && s->stack;
}

// Pixels of the dark spot at a pixel, which is taken away.
static uint32_t take_spot(struct calcium_noise_sums *s, uint32_t first)
{
    const int columns = (int)s->rules.dim[0], rows = (int)s->rules.dim[1];
    uint32_t count = 0, waiting = 0;
    s->dark[first] = 0;
    s->stack[waiting++] = first;
    while (waiting) {
        const int at = (int)s->stack[--waiting];
        count++;
        for (int n = 0; n < 9; n++) {
            const int i = at % columns + n % 3 - 1, j = at / columns + n / 3 - 1;
            if (i < 0 || j < 0 || i >= columns || j >= rows || !s->dark[j * columns + i])
                continue;
            s->dark[j * columns + i] = 0;
            s->stack[waiting++] = (uint32_t)(j * columns + i);
        }
    }
    return count;
}

static void count_spots(struct calcium_noise_sums *s, const float *slice, const uint8_t *mask)
{
    const struct calcium_noise_rules *r = &s->rules;
    const size_t pixels = (size_t)r->dim[0] * r->dim[1];
    const float limit = (float)(2 * r->blood_hu - r->threshold_hu);
    const double area = r->spacing[0] * r->spacing[1];
    for (size_t n = 0; n < pixels; n++) {
        s->pixels += mask[n];
        s->dark[n] = mask[n] && slice[n] <= limit;
    }
    for (size_t n = 0; n < pixels; n++) {
        const uint32_t size = s->dark[n] ? take_spot(s, (uint32_t)n) : 0;
        if (!size || size * area < r->min_area_mm2)
            continue;
        s->spots++;
        s->largest = size > s->largest ? size : s->largest;
    }
}

static void count_difference(uint32_t *bins, double difference)
{
    const double bin = fabs(difference) * bins_a_hu;
    if (bin < CALCIUM_NOISE_BINS) // wider ones are no noise
        bins[(int)bin]++;
}

static double mean_of_nine(const float *at, size_t row)
{
    double sum = 0;
    for (int n = 0; n < 9; n++)
        sum += at[(ptrdiff_t)(n / 3 - 1) * (ptrdiff_t)row + n % 3 - 1];
    return sum / 9;
}

// Differences of pixels, and of means of 3 x 3, in a row.
static void add_differences(struct calcium_noise_sums *s, const float *slice, const uint8_t *mask)
{
    const uint32_t columns = s->rules.dim[0], rows = s->rules.dim[1];
    for (uint32_t j = 1; j + 1 < rows; j++) {
        for (uint32_t i = 1; i + LAG + 1 < columns; i++) {
            const size_t at = (size_t)j * columns + i;
            if (!mask[at] || !mask[at + LAG])
                continue;
            count_difference(s->pixel, (double)slice[at] - slice[at + LAG]);
            count_difference(s->mean, mean_of_nine(slice + at, columns) -
                                          mean_of_nine(slice + at + LAG, columns));
        }
    }
}

void calcium_noise_add(struct calcium_noise_sums *s, const float *slice, const uint8_t *mask)
{
    count_spots(s, slice, mask);
    add_differences(s, slice, mask);
}

// Standard deviation of what the differences are between; NAN: too few.
static double deviation_of_bins(const uint32_t *bins)
{
    uint64_t all = 0, below = 0;
    for (int n = 0; n < CALCIUM_NOISE_BINS; n++)
        all += bins[n];
    if (all < pixels_fewest)
        return NAN;
    int n = 0;
    while (below + bins[n] <= all / 2)
        below += bins[n++];
    const double part = ((double)all / 2 - (double)below) / bins[n];
    return (n + part) / bins_a_hu * sd_of_median;
}

void calcium_noise_measure(const struct calcium_noise_sums *s, struct calcium_noise *out)
{
    const double *mm = s->rules.spacing;
    const double ml = (double)s->pixels * mm[0] * mm[1] * mm[2] / 1000;
    *out = (struct calcium_noise){
        .sd_hu = deviation_of_bins(s->pixel),
        .volume_ml = ml,
        .spots_ml = s->pixels ? s->spots / ml : NAN,
        .largest_mm2 = s->largest * mm[0] * mm[1],
    };
    out->texture = out->sd_hu / deviation_of_bins(s->mean);
}

bool calcium_noise_allows_category(double noise_hu)
{
    return noise_hu <= CALCIUM_CATEGORY_NOISE_HU;
}
