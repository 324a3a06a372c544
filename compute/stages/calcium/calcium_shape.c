#include "compute/stages/calcium/calcium_shape.h"
#include <math.h>

// Eigenvalues of a symmetric matrix, the largest first. Smith, Communications of the ACM 4:168
// (1961): the cubic's roots by an angle.
static void eigenvalues(double m[3][3], double out[3])
{
    const double off = m[0][1] * m[0][1] + m[0][2] * m[0][2] + m[1][2] * m[1][2];
    const double mean = (m[0][0] + m[1][1] + m[2][2]) / 3;
    double square = 2 * off;
    for (int a = 0; a < 3; a++)
        square += (m[a][a] - mean) * (m[a][a] - mean);
    const double p = sqrt(square / 6);
    if (p < 1e-12) {
        out[0] = out[1] = out[2] = mean;
        return;
    }
    double b[3][3];
    for (int a = 0; a < 3; a++) {
        for (int c = 0; c < 3; c++)
            b[a][c] = (m[a][c] - (a == c ? mean : 0)) / p;
    }
    const double half = (b[0][0] * (b[1][1] * b[2][2] - b[1][2] * b[2][1]) -
                         b[0][1] * (b[1][0] * b[2][2] - b[1][2] * b[2][0]) +
                         b[0][2] * (b[1][0] * b[2][1] - b[1][1] * b[2][0])) /
                        2;
    const double angle = acos(fmin(fmax(half, -1), 1)) / 3;
    out[0] = mean + 2 * p * cos(angle);
    out[2] = mean + 2 * p * cos(angle + 2 * M_PI / 3);
    out[1] = 3 * mean - out[0] - out[2];
}

// The eigenvector of the largest eigenvalue: any column of the product of the matrix less each of
// the others (Cayley and Hamilton), the longest of them.
static void first_axis(double m[3][3], const double values[3], double axis[3])
{
    double best = 0;
    for (int a = 0; a < 3; a++)
        axis[a] = a == 0;
    for (int c = 0; c < 3; c++) {
        double column[3], square = 0;
        for (int a = 0; a < 3; a++) {
            column[a] = 0;
            for (int k = 0; k < 3; k++)
                column[a] +=
                    (m[a][k] - (a == k ? values[1] : 0)) * (m[k][c] - (k == c ? values[2] : 0));
            square += column[a] * column[a];
        }
        if (square <= best)
            continue;
        best = square;
        for (int a = 0; a < 3; a++)
            axis[a] = column[a] / sqrt(square);
    }
}

void calcium_spread(const struct component_run *runs, uint32_t count, uint32_t rows,
                    const double spacing[3], double sd[3], double axis[3])
{
    double sum[3] = {0}, products[3][3] = {{0}}, voxels = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t k = runs[i].row / rows;
        const double y = runs[i].row % rows * spacing[1], z = spacing[2] * k;
        for (uint32_t x = runs[i].x0; x <= runs[i].x1; x++) {
            const double at[3] = {x * spacing[0], y, z};
            for (int a = 0; a < 3; a++) {
                sum[a] += at[a];
                for (int b = 0; b < 3; b++)
                    products[a][b] += at[a] * at[b];
            }
            voxels++;
        }
    }
    double m[3][3], values[3];
    for (int a = 0; a < 3; a++) {
        for (int b = 0; b < 3; b++)
            m[a][b] = products[a][b] / voxels - sum[a] / voxels * (sum[b] / voxels);
    }
    eigenvalues(m, values);
    first_axis(m, values, axis);
    for (int a = 0; a < 3; a++)
        sd[a] = sqrt(fmax(0, values[a]));
}
