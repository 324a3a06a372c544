#include "tests/ref/render.h"
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

static int16_t voxel_at(const int16_t *v, const uint32_t dim[3], uint32_t x, uint32_t y, uint32_t z)
{
    return v[((size_t)z * dim[1] + y) * dim[0] + x];
}

static bool ref_in_grid(const uint32_t dim[3], const double p[3])
{
    for (int i = 0; i < 3; i++) {
        if (!(p[i] >= 0 && p[i] <= dim[i] - 1.0))
            return false;
    }
    return true;
}

// The eight voxels around p, x first, and the place of p between them.
static void cell(const int16_t *v, const uint32_t dim[3], const double p[3], int16_t out[8],
                 double t[3])
{
    uint32_t lo[3], hi[3];
    for (int i = 0; i < 3; i++) {
        lo[i] = p[i] < dim[i] - 1.0 ? (uint32_t)p[i] : dim[i] - 2;
        hi[i] = lo[i] + 1;
        t[i] = p[i] - lo[i];
    }
    for (int n = 0; n < 8; n++)
        out[n] =
            voxel_at(v, dim, n & 1 ? hi[0] : lo[0], n & 2 ? hi[1] : lo[1], n & 4 ? hi[2] : lo[2]);
}

static float mix_f(float a, float b, float t)
{
    return a + (b - a) * t;
}

static float value_f(const int16_t c[8], const double t[3], float ground)
{
    float v[8];
    for (int n = 0; n < 8; n++)
        v[n] = fmaxf(c[n], ground);
    for (int n = 0; n < 4; n++)
        v[n] = mix_f(v[2 * n], v[2 * n + 1], (float)t[0]);
    for (int n = 0; n < 2; n++)
        v[n] = mix_f(v[2 * n], v[2 * n + 1], (float)t[1]);
    return mix_f(v[0], v[1], (float)t[2]);
}

static bool lacks(const int16_t c[8])
{
    for (int n = 0; n < 8; n++) {
        if (c[n] == RENDER_NOTHING)
            return true;
    }
    return false;
}

static float start_f(const struct render_view *view, int i, uint32_t x, uint32_t y)
{
    const float across = (float)view->first[i] + (float)view->right[i] * (float)x;
    return across + (float)view->down[i] * (float)y;
}

static float ray_value(const int16_t *voxels, const uint32_t dim[3], double ground,
                       enum render_mode mode, const struct render_view *view, uint32_t x,
                       uint32_t y)
{
    float best = RENDER_NOTHING, sum = 0, count = 0;
    for (uint32_t n = 0; n < view->samples; n++) {
        double p[3], t[3];
        int16_t c[8];
        for (int i = 0; i < 3; i++) { // each step rounded to float
            const float along = (float)view->step[i] * (float)n;
            p[i] = start_f(view, i, x, y) + along;
        }
        if (!ref_in_grid(dim, p))
            continue;
        cell(voxels, dim, p, c, t);
        if (mode != RENDER_MAXIMUM && lacks(c))
            continue;
        const float v = value_f(c, t, mode == RENDER_MAXIMUM ? (float)ground : RENDER_NOTHING);
        if (mode == RENDER_MEAN)
            sum += v;
        else if (mode == RENDER_MINIMUM)
            best = count > 0 ? fminf(best, v) : v;
        else
            best = fmaxf(best, v);
        count++;
    }
    if (mode == RENDER_MEAN && count > 0)
        return sum / count;
    return best;
}

void ref_project(const int16_t *voxels, const uint32_t dim[3], double ground, enum render_mode mode,
                 const struct render_view *view, float *values)
{
    for (uint32_t y = 0; y < view->rows; y++) {
        for (uint32_t x = 0; x < view->columns; x++)
            values[(size_t)y * view->columns + x] =
                ray_value(voxels, dim, ground, mode, view, x, y);
    }
}

static double value_d(const int16_t *v, const uint32_t dim[3], double ground, const double p[3])
{
    double q[3], t[3], sum = 0;
    int16_t c[8];
    for (int i = 0; i < 3; i++)
        q[i] = fmin(fmax(p[i], 0), dim[i] - 1.0);
    cell(v, dim, q, c, t);
    for (int n = 0; n < 8; n++)
        sum += fmax(c[n], ground) * (n & 1 ? t[0] : 1 - t[0]) * (n & 2 ? t[1] : 1 - t[1]) *
               (n & 4 ? t[2] : 1 - t[2]);
    return sum;
}

// The gradient in mm, by solving to_patient^T g = gradient by index (Cramer).
static void gradient_mm(const double a[3][3], const double d[3], double g[3])
{
    const double m[3][3] = {
        {a[0][0], a[1][0], a[2][0]}, {a[0][1], a[1][1], a[2][1]}, {a[0][2], a[1][2], a[2][2]}};
    double det[4];
    for (int n = 0; n < 4; n++) {
        double b[3][3];
        for (int i = 0; i < 3; i++) {
            for (int j = 0; j < 3; j++)
                b[i][j] = j == n - 1 ? d[i] : m[i][j];
        }
        det[n] = b[0][0] * (b[1][1] * b[2][2] - b[1][2] * b[2][1]) -
                 b[0][1] * (b[1][0] * b[2][2] - b[1][2] * b[2][0]) +
                 b[0][2] * (b[1][0] * b[2][1] - b[1][1] * b[2][0]);
    }
    for (int i = 0; i < 3; i++)
        g[i] = det[i + 1] / det[0];
}

static double facing_of(const int16_t *v, const uint32_t dim[3], double ground,
                        const struct render_view *view, const double p[3])
{
    double d[3], g[3], into[3], size = 0, along = 0, length = 0;
    for (int i = 0; i < 3; i++) {
        double a[3] = {p[0], p[1], p[2]}, b[3] = {p[0], p[1], p[2]};
        a[i] -= 1;
        b[i] += 1;
        d[i] = (value_d(v, dim, ground, b) - value_d(v, dim, ground, a)) / 2;
    }
    gradient_mm(view->to_patient, d, g);
    for (int i = 0; i < 3; i++) {
        into[i] = view->to_patient[i][0] * view->step[0] + view->to_patient[i][1] * view->step[1] +
                  view->to_patient[i][2] * view->step[2];
        length += into[i] * into[i];
        size += g[i] * g[i];
        along += g[i] * into[i];
    }
    return size > 1e-6 ? fabs(along) / sqrt(length * size) : 0;
}

static void shade_ray(const int16_t *v, const uint32_t dim[3], double ground,
                      const struct render_look *look, const struct render_view *view, uint32_t x,
                      uint32_t y, double rgb[3])
{
    double left = 1;
    rgb[0] = rgb[1] = rgb[2] = 0;
    for (uint32_t n = 0; n < view->samples; n++) {
        double p[3];
        for (int i = 0; i < 3; i++)
            p[i] = view->first[i] + x * view->right[i] + y * view->down[i] + n * view->step[i];
        if (!ref_in_grid(dim, p))
            continue;
        double at = (value_d(v, dim, ground, p) - look->from) / (look->to - look->from);
        at = fmin(fmax(at, 0), 1) * (RENDER_TABLE - 1);
        const int entry = at < RENDER_TABLE - 2 ? (int)at : RENDER_TABLE - 2;
        double c[4];
        for (int i = 0; i < 4; i++) // between the entries
            c[i] = look->rgba[entry][i] +
                   (look->rgba[entry + 1][i] - look->rgba[entry][i]) * (at - entry);
        if (!(c[3] > 0))
            continue;
        const double facing = facing_of(v, dim, ground, view, p);
        for (int i = 0; i < 3; i++)
            rgb[i] += left * c[3] *
                      fmin(c[i] * (look->ambient + look->diffuse * facing) +
                               look->specular * pow(facing, 10),
                           1);
        left *= 1 - c[3];
    }
}

void ref_shade(const int16_t *voxels, const uint32_t dim[3], double ground,
               const struct render_look *look, const struct render_view *view, double *rgb)
{
    for (uint32_t y = 0; y < view->rows; y++) {
        for (uint32_t x = 0; x < view->columns; x++)
            shade_ray(voxels, dim, ground, look, view, x, y,
                      rgb + 3 * ((size_t)y * view->columns + x));
    }
}
