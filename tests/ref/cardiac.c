#include "tests/ref/cardiac.h"
#include <math.h>

void ref_cardiac_motion(const float *values, uint32_t columns, uint32_t rows, uint32_t factor,
                        uint32_t n, uint32_t p, double *mean, double *cosine, double *sine,
                        double *blocks)
{
    const uint32_t across = (columns + factor - 1) / factor, down = (rows + factor - 1) / factor;
    for (uint32_t j = 0; j < down; j++) {
        for (uint32_t i = 0; i < across; i++) {
            double sum = 0, count = 0;
            for (uint32_t v = j * factor; v < (j + 1) * factor && v < rows; v++) {
                for (uint32_t u = i * factor; u < (i + 1) * factor && u < columns; u++) {
                    sum += (double)values[(size_t)v * columns + u];
                    count++;
                }
            }
            const size_t at = (size_t)j * across + i;
            blocks[at] = sum / count;
            mean[at] += blocks[at] / n;
            cosine[at] += 2.0 / n * cos(2 * M_PI * p / n) * blocks[at];
            sine[at] += 2.0 / n * sin(2 * M_PI * p / n) * blocks[at];
        }
    }
}

// The pixel nearest to a point, or -1.
static long ring_pixel(double x, double y, uint32_t columns, uint32_t rows)
{
    const double i = floor(x + 0.5), j = floor(y + 0.5);
    if (i < 0 || j < 0 || i >= columns || j >= rows)
        return -1;
    return (long)j * (long)columns + (long)i;
}

static double ring_score(const float *signal, const float *motion, uint32_t columns, uint32_t rows,
                         const double mm[2], int column, int row, double radius)
{
    double contrast = 0, moves = 0, blood = 0;
    for (int n = 0; n < 24; n++) {
        const double dx = cos(2 * M_PI * n / 24) / mm[0], dy = sin(2 * M_PI * n / 24) / mm[1];
        const long one =
            ring_pixel(column + dx * (radius - 2.5), row + dy * (radius - 2.5), columns, rows);
        const long two =
            ring_pixel(column + dx * (radius + 2.5), row + dy * (radius + 2.5), columns, rows);
        const long edge = ring_pixel(column + dx * radius, row + dy * radius, columns, rows);
        if (one < 0 || two < 0 || edge < 0)
            return 0;
        const double a = (double)signal[one], b = (double)signal[two];
        contrast += fmin(fmax((a - b) / fmax(a + b, 1e-6), -0.125), 0.25);
        moves += (double)motion[edge];
        blood += a;
    }
    return contrast / 24 * fmin(moves / fmax(0.1 * blood, 1e-6), 1);
}

void ref_cardiac_ring(const float *signal, const float *motion, uint32_t columns, uint32_t rows,
                      const double mm[2], int column, int row, double *score, double *radius)
{
    *score = *radius = 0;
    for (int n = 0; n < 16; n++) {
        const double r = 8 + 2 * n;
        const double s = ring_score(signal, motion, columns, rows, mm, column, row, r);
        if (s > *score) {
            *score = s;
            *radius = r;
        }
    }
}
