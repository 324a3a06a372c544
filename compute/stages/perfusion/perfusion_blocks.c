#include "compute/stages/perfusion/perfusion_blocks.h"
#include <math.h>

void perfusion_blocks_init(struct perfusion_blocks *b, const struct image *v,
                           const uint32_t factor[3], const uint32_t dim[3])
{
    *b = (struct perfusion_blocks){v->dim, factor, dim};
}

size_t perfusion_blocks_at(const struct perfusion_blocks *b, uint32_t i, uint32_t j, uint32_t k)
{
    const uint32_t *f = b->factor, *dim = b->dim;
    return ((size_t)(k / f[2]) * dim[1] + j / f[1]) * dim[0] + i / f[0];
}

void perfusion_blocks_spread(const struct perfusion_blocks *b, const float *values, float *to)
{
    for (uint32_t k = 0; k < b->fine[2]; k++) {
        for (uint32_t j = 0; j < b->fine[1]; j++) {
            for (uint32_t i = 0; i < b->fine[0]; i++)
                *to++ = values[perfusion_blocks_at(b, i, j, k)];
        }
    }
}

void perfusion_blocks_spread_labels(const struct perfusion_blocks *b, const uint8_t *set,
                                    uint16_t *labels)
{
    for (uint32_t k = 0; k < b->fine[2]; k++) {
        for (uint32_t j = 0; j < b->fine[1]; j++) {
            for (uint32_t i = 0; i < b->fine[0]; i++)
                *labels++ = set[perfusion_blocks_at(b, i, j, k)] != 0;
        }
    }
}

// Where a column or row lies between the centres of two blocks.
static void between(uint32_t at, uint32_t factor, uint32_t count, uint32_t pair[2], double *part)
{
    const double x = fmin(fmax((at - (factor - 1) / 2.0) / factor, 0), count - 1);
    pair[0] = (uint32_t)x;
    pair[1] = pair[0] + 1 < count ? pair[0] + 1 : pair[0];
    *part = x - pair[0];
}

static float spread_block(const struct perfusion_blocks *b, const float *values, uint32_t i,
                          uint32_t j, uint32_t k)
{
    const float own = values[perfusion_blocks_at(b, i, j, k)];
    if (isnan(own) || b->factor[0] == 1)
        return own;
    uint32_t columns[2], rows[2];
    double x, y, sum = 0, weight = 0;
    between(i, b->factor[0], b->dim[0], columns, &x);
    between(j, b->factor[1], b->dim[1], rows, &y);
    for (int n = 0; n < 4; n++) {
        const size_t at =
            ((size_t)(k / b->factor[2]) * b->dim[1] + rows[n / 2]) * b->dim[0] + columns[n % 2];
        const double part = (n % 2 ? x : 1 - x) * (n / 2 ? y : 1 - y);
        if (!isnan(values[at])) {
            sum += part * (double)values[at];
            weight += part;
        }
    }
    return weight > 0 ? (float)(sum / weight) : own;
}

void perfusion_blocks_spread_smoothly(const struct perfusion_blocks *b, const float *values,
                                      float *to)
{
    for (uint32_t k = 0; k < b->fine[2]; k++) {
        for (uint32_t j = 0; j < b->fine[1]; j++) {
            for (uint32_t i = 0; i < b->fine[0]; i++)
                *to++ = spread_block(b, values, i, j, k);
        }
    }
}
