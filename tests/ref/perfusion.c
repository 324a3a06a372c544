#include "tests/ref/perfusion.h"
#include <complex.h>
#include <math.h>
#include <stdlib.h>

// The artery as Ostergaard's linear form has it (Magn Reson Med 1996;36:715), and its transform.
static void transform(const double *artery, uint32_t steps, double step_s, uint32_t rows,
                      double complex *spectrum)
{
    for (uint32_t f = 0; f < rows; f++) {
        spectrum[f] = 0;
        for (uint32_t n = 0; n <= steps; n++) {
            const double before = n > 0 ? artery[n - 1] : 0;
            const double here = n < steps ? artery[n] : 0;
            const double after = n + 1 < steps ? artery[n + 1] : 0;
            const double angle = -2 * M_PI * (double)((uint64_t)f * n % rows) / rows;
            spectrum[f] += step_s * (before + 4 * here + after) / 6 * cexp(I * angle);
        }
    }
}

// One column of the circulant inverse: what a unit of contrast now means for each time.
static void invert(const double complex *spectrum, uint32_t rows, double least, double *column)
{
    for (uint32_t m = 0; m < rows; m++)
        column[m] = 0;
    for (uint32_t f = 0; f < rows; f++) {
        if (cabs(spectrum[f]) < least)
            continue;
        const double complex inverse = 1 / spectrum[f];
        for (uint32_t m = 0; m < rows; m++) {
            const double angle = 2 * M_PI * (double)((uint64_t)f * m % rows) / rows;
            column[m] += creal(inverse * cexp(I * angle)) / rows;
        }
    }
}

bool ref_perfusion_matrix(const double *artery, uint32_t steps, double step_s,
                          const struct perfusion_cut *cut, float *matrix, double *gain)
{
    const uint32_t rows = (2 * steps + 7) / 8 * 8;
    double complex *spectrum = malloc(rows * sizeof *spectrum);
    double *column = malloc(rows * sizeof *column);
    double largest = 0;
    if (spectrum)
        transform(artery, steps, step_s, rows, spectrum);
    for (uint32_t f = 0; spectrum && f < rows; f++)
        largest = fmax(largest, cabs(spectrum[f]));
    const bool ok = spectrum && column && largest > 0;
    for (uint32_t level = 0; ok && level < cut->levels; level++) {
        invert(spectrum, rows, cut->share[level] * largest, column);
        double squares = 0;
        for (uint32_t m = 0; m < rows; m++)
            squares += column[m] * (column[m] + 2 * cut->noise[0] * column[(m + 1) % rows] +
                                    2 * cut->noise[1] * column[(m + 2) % rows]);
        gain[level] = sqrt(squares * steps / rows); // of the rows, `steps` in a row see noise
        for (uint32_t row = 0; row < rows; row++) {
            float *to = matrix + (size_t)level * rows * steps + (size_t)(row / 8) * steps * 8;
            for (uint32_t n = 0; n < steps; n++)
                to[n * 8 + row % 8] = (float)column[(row + rows - n) % rows];
        }
    }
    free(column);
    free(spectrum);
    return ok;
}
