#include "tests/ref/calcium.h"
#include <stdlib.h>

struct fill {
    const int16_t *hu;
    uint8_t *left; // voxels of the slice that no island has yet
    uint32_t columns, rows;
    double sum, max;
    uint32_t pixels;
};

static void flood(struct fill *f, size_t *stack, size_t start, int connectivity)
{
    size_t top = 0;
    stack[top++] = start;
    f->left[start] = 0;
    while (top) {
        size_t at = stack[--top];
        long x = (long)(at % f->columns), y = (long)(at / f->columns);
        f->sum += f->hu[at];
        f->max = f->hu[at] > f->max ? f->hu[at] : f->max;
        f->pixels++;
        for (long dy = -1; dy <= 1; dy++) {
            for (long dx = -1; dx <= 1; dx++) {
                if ((connectivity == 4 && dx && dy) || x + dx < 0 || y + dy < 0 ||
                    x + dx >= (long)f->columns || y + dy >= (long)f->rows)
                    continue;
                size_t next = (size_t)(y + dy) * f->columns + (size_t)(x + dx);
                if (f->left[next]) {
                    f->left[next] = 0;
                    stack[top++] = next;
                }
            }
        }
    }
}

void ref_calcium_score(const int16_t *hu, const uint8_t *mask, const uint32_t dim[3],
                       const double spacing[3], double threshold, double min_area_mm2,
                       int connectivity, double factor, struct ref_calcium *out)
{
    const size_t area = (size_t)dim[0] * dim[1];
    uint8_t *left = malloc(area);
    size_t *stack = malloc(area * sizeof *stack);
    *out = (struct ref_calcium){0};
    if (!left || !stack)
        abort();
    for (uint32_t k = 0; k < dim[2]; k++) {
        const int16_t *slice = hu + k * area;
        for (size_t n = 0; n < area; n++)
            left[n] = mask[k * area + n] && slice[n] >= threshold;
        for (size_t n = 0; n < area; n++) {
            struct fill f = {slice, left, dim[0], dim[1], 0, -1e9, 0};
            if (!left[n])
                continue;
            flood(&f, stack, n, connectivity);
            double mm2 = f.pixels * spacing[0] * spacing[1];
            if (mm2 < min_area_mm2)
                continue;
            int weight = f.max >= 400 ? 4 : f.max >= 300 ? 3 : f.max >= 200 ? 2 : 1;
            out->agatston += mm2 * weight * spacing[2] / 3;
            out->volume_mm3 += mm2 * spacing[2];
            out->mass_mg += factor * f.sum / f.pixels * mm2 * spacing[2] / 1000;
            out->islands++;
        }
    }
    free(left);
    free(stack);
}
