#include "compute/stages/render/render_view.h"
#include <math.h>
#include <string.h>

#define RADIANS (3.14159265358979323846 / 180)
#define MARGIN  1.02 // of the picture around what it shows

void render_camera_around(double angle_deg, double elevation_deg, struct render_camera *out)
{
    const double c = cos(angle_deg * RADIANS), s = sin(angle_deg * RADIANS),
                 ce = cos(elevation_deg * RADIANS), se = sin(elevation_deg * RADIANS);
    const double right[3] = {c, s, 0}, into[3] = {-s, c, 0}, down[3] = {0, 0, -1};
    for (int i = 0; i < 3; i++) {
        out->right[i] = right[i];
        out->into[i] = ce * into[i] + se * down[i];
        out->down[i] = ce * down[i] - se * into[i];
    }
}

bool render_to_index(const struct image *img, double out[3][4])
{
    const double(*a)[4] = img->to_patient;
    const double det = a[0][0] * (a[1][1] * a[2][2] - a[1][2] * a[2][1]) -
                       a[0][1] * (a[1][0] * a[2][2] - a[1][2] * a[2][0]) +
                       a[0][2] * (a[1][0] * a[2][1] - a[1][1] * a[2][0]);
    if (!(fabs(det) > 0) || !isfinite(det))
        return false;
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) { // the cofactor of the transpose
            const int r = (j + 1) % 3, s = (j + 2) % 3, c = (i + 1) % 3, d = (i + 2) % 3;
            out[i][j] = (a[r][c] * a[s][d] - a[r][d] * a[s][c]) / det;
        }
        out[i][3] = 0;
        for (int j = 0; j < 3; j++)
            out[i][3] -= out[i][j] * a[j][3];
    }
    return true;
}

static double dot3(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static void corner_of(const struct image *img, const double lo[3], const double hi[3], int n,
                      const double centre[3], double out[3])
{
    const double at[3] = {n & 1 ? hi[0] : lo[0], n & 2 ? hi[1] : lo[1], n & 4 ? hi[2] : lo[2]};
    image_to_patient(img, at, out);
    for (int i = 0; i < 3; i++)
        out[i] -= centre[i];
}

static void rotate_to_index(const double inverse[3][4], const double mm[3], double length,
                            double out[3])
{
    for (int i = 0; i < 3; i++)
        out[i] = length * dot3(inverse[i], mm);
}

double render_fit(const struct image *img, const double lo[3], const double hi[3],
                  const struct render_camera *cameras, uint32_t count, uint32_t size,
                  double step_mm, struct render_view *views)
{
    double inverse[3][4], centre[3], reach[2] = {0, 0}; // across the picture, into it
    const double middle[3] = {(lo[0] + hi[0]) / 2, (lo[1] + hi[1]) / 2, (lo[2] + hi[2]) / 2};
    if (!render_to_index(img, inverse))
        return 0;
    image_to_patient(img, middle, centre);
    for (uint32_t n = 0; n < count; n++) {
        for (int corner = 0; corner < 8; corner++) {
            double at[3];
            corner_of(img, lo, hi, corner, centre, at);
            reach[0] = fmax(
                reach[0], fmax(fabs(dot3(at, cameras[n].right)), fabs(dot3(at, cameras[n].down))));
            reach[1] = fmax(reach[1], fabs(dot3(at, cameras[n].into)));
        }
    }
    const double pixel = fmax(2 * reach[0] * MARGIN / size, 1e-6);
    const double before = ceil(reach[1] / step_mm); // whole steps: the centre is a sample
    for (uint32_t n = 0; n < count; n++) {
        struct render_view *v = &views[n];
        *v = (struct render_view){.columns = size,
                                  .rows = size,
                                  .samples = (uint32_t)(2 * before + 1),
                                  .step_mm = step_mm};
        rotate_to_index(inverse, cameras[n].right, pixel, v->right);
        rotate_to_index(inverse, cameras[n].down, pixel, v->down);
        rotate_to_index(inverse, cameras[n].into, step_mm, v->step);
        for (int i = 0; i < 3; i++) {
            v->first[i] =
                middle[i] - before * v->step[i] - (size - 1) / 2.0 * (v->right[i] + v->down[i]);
            memcpy(v->to_patient[i], img->to_patient[i], sizeof v->to_patient[i]);
        }
    }
    return pixel;
}

const char *render_letters(const double direction[3], char text[4])
{
    static const char letters[3][2] = {{'R', 'L'}, {'A', 'P'}, {'F', 'H'}};
    double left[3] = {fabs(direction[0]), fabs(direction[1]), fabs(direction[2])};
    int count = 0;
    for (int turn = 0; turn < 3; turn++) {
        int most = 0;
        for (int i = 1; i < 3; i++)
            most = left[i] > left[most] ? i : most;
        if (left[most] < 0.2)
            break;
        text[count++] = letters[most][direction[most] > 0];
        left[most] = -1;
    }
    text[count] = '\0';
    return text;
}
