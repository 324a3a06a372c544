#include "compute/stages/model/model_grid.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// LPS direction of a letter: axis * 2 + (1: towards its negative end).
static int letter_direction(char letter)
{
    static const char letters[] = "LRPASI";
    const char *at = strchr(letters, letter);
    return (int)(at - letters);
}

static bool invert_affine(const double a[3][4], double out[3][4])
{
    const double det = a[0][0] * (a[1][1] * a[2][2] - a[1][2] * a[2][1]) -
                       a[0][1] * (a[1][0] * a[2][2] - a[1][2] * a[2][0]) +
                       a[0][2] * (a[1][0] * a[2][1] - a[1][1] * a[2][0]);
    if (!(fabs(det) > 1e-12))
        return false;
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 3; c++) {
            const int r1 = (c + 1) % 3, r2 = (c + 2) % 3, c1 = (r + 1) % 3, c2 = (r + 2) % 3;
            out[r][c] = (a[r1][c1] * a[r2][c2] - a[r1][c2] * a[r2][c1]) / det;
        }
    }
    for (int r = 0; r < 3; r++)
        out[r][3] = -(out[r][0] * a[0][3] + out[r][1] * a[1][3] + out[r][2] * a[2][3]);
    return true;
}

static void multiply_affine(const double a[3][4], const double b[3][4], double out[3][4])
{
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 4; c++) {
            out[r][c] = c == 3 ? a[r][3] : 0;
            for (int n = 0; n < 3; n++)
                out[r][c] += a[r][n] * b[n][c];
        }
    }
}

// Which way the grid of a network runs along an axis of the patient.
static bool grid_runs_back(const struct model *m, int patient_axis)
{
    for (int n = 0; n < 3; n++) {
        const int direction = letter_direction(m->axes[n]);
        if (direction / 2 == patient_axis)
            return direction % 2 == 1;
    }
    return false;
}

// The voxel at the middle of the image; of two that are as near the one that lies farther along the
// axes of the grid, so that it is the same in the patient whichever way the axes of the image run.
static void middle_voxel(const struct model *m, const struct image *img, double out[3])
{
    for (int c = 0; c < 3; c++) {
        int axis = 0;
        for (int r = 1; r < 3; r++)
            axis = fabs(img->to_patient[r][c]) > fabs(img->to_patient[axis][c]) ? r : axis;
        const bool along = (img->to_patient[axis][c] > 0) != grid_runs_back(m, axis);
        const uint32_t voxel = (along ? img->dim[c] : img->dim[c] - 1) / 2;
        out[c] = voxel;
    }
}

// The axes of the patient, at a fixed size.
static void lay_fixed(const struct model *m, const struct image *img, double to_patient[3][4],
                      struct model_grid *g)
{
    double middle[3], voxel[3];
    middle_voxel(m, img, voxel);
    image_to_patient(img, voxel, middle);
    for (int r = 0; r < 3; r++)
        to_patient[r][3] = middle[r];
    for (int n = 0; n < 3; n++) {
        const int direction = letter_direction(m->axes[2 - n]), axis = direction / 2;
        for (int r = 0; r < 3; r++)
            to_patient[r][n] = 0;
        to_patient[axis][n] = direction % 2 ? -m->spacing_mm[2 - n] : m->spacing_mm[2 - n];
        g->dim[n] = m->dim[2 - n];
        const uint32_t half = g->dim[n] / 2;
        to_patient[axis][3] -= to_patient[axis][n] * half;
    }
}

// The axis of the image that runs most along an axis of the patient, signed by its direction.
static int nearest_axis(const struct image *img, int patient_axis, bool *backwards)
{
    int best = 0;
    double most = -1;
    for (int c = 0; c < 3; c++) {
        const double along = img->to_patient[patient_axis][c] / img->spacing[c];
        if (fabs(along) > most) {
            most = fabs(along);
            best = c;
            *backwards = along < 0;
        }
    }
    return best;
}

// The axes of the image, as many voxels as it needs.
static bool lay_over(const struct model *m, const struct image *img, struct model_grid *g,
                     struct err *err)
{
    unsigned taken = 0;
    memset(g->to_image, 0, sizeof g->to_image);
    for (int n = 0; n < 3; n++) {
        const int direction = letter_direction(m->axes[2 - n]);
        bool backwards = false;
        const int axis = nearest_axis(img, direction / 2, &backwards);
        if (taken & 1u << axis)
            return err_set(err, ERR_GEOMETRY,
                           "the image lies askew: two of its axes run along "
                           "the same direction of the patient");
        taken |= 1u << axis;
        const double step = m->spacing_mm[2 - n] / img->spacing[axis];
        const double count = ceil(img->dim[axis] / step);
        if (count > MODEL_AXIS_MAX)
            return err_set(err, ERR_GEOMETRY,
                           "%.0f voxels of %.3f mm are needed along an axis (limit %d)", count,
                           m->spacing_mm[2 - n], MODEL_AXIS_MAX);
        g->dim[n] = count < 1 ? 1 : (uint32_t)count;
        const bool turned = backwards != (direction % 2 == 1);
        g->to_image[axis][n] = turned ? -step : step;
        // The first voxel of the grid begins where the image does.
        g->to_image[axis][3] = turned ? img->dim[axis] - 0.5 - step / 2 : step / 2 - 0.5;
    }
    return true;
}

bool model_grid_make(const struct model *m, const struct image *img, struct model_grid *g,
                     struct err *err)
{
    double to_patient[3][4], from_patient[3][4];
    for (int n = 0; n < 3; n++)
        g->spacing[n] = m->spacing_mm[2 - n];
    if (m->dim[0]) {
        lay_fixed(m, img, to_patient, g);
        if (!invert_affine(img->to_patient, from_patient))
            return err_set(err, ERR_GEOMETRY, "the grid of the image has no inverse");
        multiply_affine(from_patient, to_patient, g->to_image);
    } else if (!lay_over(m, img, g, err)) {
        return false;
    }
    if (!invert_affine(g->to_image, g->from_image))
        return err_set(err, ERR_GEOMETRY, "the grid of the network has no inverse");
    if ((uint64_t)g->dim[0] * g->dim[1] * g->dim[2] > MODEL_VOXELS_MAX)
        return err_set(err, ERR_GEOMETRY, "%u x %u x %u voxels are needed (limit %d in all)",
                       g->dim[0], g->dim[1], g->dim[2], MODEL_VOXELS_MAX);
    return true;
}

bool model_grid_is_inside(const struct model_grid *g, const uint32_t dim[3], uint32_t i, uint32_t j,
                          uint32_t k)
{
    for (int r = 0; r < 3; r++) {
        const double at = g->to_image[r][0] * i + g->to_image[r][1] * j + g->to_image[r][2] * k +
                          g->to_image[r][3];
        if (!(at >= -0.5 - 1e-6 && at <= dim[r] - 0.5 + 1e-6))
            return false;
    }
    return true;
}

// What is known of the values on the grid.
struct sums {
    float least, most; // inside
    double sum, squares;
    size_t inside, all;
};

// NaN marks what lies outside, until its value is known.
static bool sum_inside(const struct model_grid *g, const uint32_t dim[3], float *values,
                       struct sums *s, struct err *err)
{
    *s = (struct sums){.least = INFINITY, .most = -INFINITY};
    for (uint32_t k = 0; k < g->dim[2]; k++) {
        for (uint32_t j = 0; j < g->dim[1]; j++) {
            for (uint32_t i = 0; i < g->dim[0]; i++) {
                float *v = &values[s->all++];
                if (!model_grid_is_inside(g, dim, i, j, k)) {
                    *v = NAN;
                    continue;
                }
                if (!isfinite(*v))
                    return err_set(err, ERR_INPUT, "a value of the image is no number");
                s->least = *v < s->least ? *v : s->least;
                s->most = *v > s->most ? *v : s->most;
                s->sum += *v;
                s->squares += (double)*v * *v;
                s->inside++;
            }
        }
    }
    if (!(s->most > s->least))
        return err_set(err, ERR_INPUT, "all values of the image are the same");
    return true;
}

#define QUANTILE_BINS 65536 // from the least to the most value: a step is 1/65536 of the range

static double quantile_of(const uint64_t *bins, const struct sums *s, double fraction)
{
    const double wanted = fraction * (double)(s->all - 1);
    uint64_t before = 0;
    int n = 0;
    while (n < QUANTILE_BINS - 1 && (double)(before + bins[n]) <= wanted)
        before += bins[n++];
    return s->least + (double)n * (s->most - s->least) / (QUANTILE_BINS - 1);
}

static bool find_quantiles(const struct model *m, const float *values, const struct sums *s,
                           double *low, double *high, struct err *err)
{
    uint64_t *bins = calloc(QUANTILE_BINS, sizeof *bins);
    if (!bins)
        return err_set(err, ERR_NOMEM, "no memory for a histogram");
    const double scale = (QUANTILE_BINS - 1) / ((double)s->most - s->least);
    for (size_t n = 0; n < s->all; n++)
        bins[(uint32_t)lrint((values[n] - s->least) * scale)]++;
    *low = quantile_of(bins, s, m->low);
    *high = quantile_of(bins, s, m->high);
    free(bins);
    if (!(*high > *low))
        return err_set(err, ERR_INPUT, "the quantiles %g and %g of the values are the same", m->low,
                       m->high);
    return true;
}

// v becomes (v - *shift) / *width.
static bool find_scale(const struct model *m, const float *values, const struct sums *s,
                       double *shift, double *width, struct err *err)
{
    double high = s->most;
    *shift = 0;
    *width = 1;
    switch (m->scaling) {
    case MODEL_RAW:
        return true;
    case MODEL_QUANTILE:
        if (!find_quantiles(m, values, s, shift, &high, err))
            return false;
        *width = high - *shift;
        return true;
    case MODEL_MINMAX:
        *shift = s->least;
        *width = high - *shift;
        return true;
    case MODEL_ZSCORE:
        *shift = s->sum / (double)s->inside;
        *width = sqrt(fmax(s->squares / (double)s->inside - *shift * *shift, 0));
        // nnU-Net divides by no less
        *width = fmax(*width, 1e-8);
        return true;
    case MODEL_CT:
        *shift = m->mean;
        *width = m->sd;
        return true;
    }
    return true;
}

static bool scale_values(const struct model *m, const struct model_grid *g, const uint32_t dim[3],
                         float *values, struct err *err)
{
    struct sums s;
    double shift, width;
    if (!sum_inside(g, dim, values, &s, err))
        return false;
    for (size_t n = 0; n < s.all; n++)
        values[n] = isnan(values[n]) ? s.least : values[n];
    if (!find_scale(m, values, &s, &shift, &width, err))
        return false;
    const bool unit = m->scaling == MODEL_QUANTILE && m->clip;
    for (size_t n = 0; n < s.all; n++) {
        double v = values[n];
        if (m->scaling == MODEL_CT)
            v = fmin(fmax(v, m->low), m->high);
        v = (v - shift) / width;
        values[n] = (float)(unit ? fmin(fmax(v, 0), 1) : v);
    }
    return true;
}

float *model_grid_values(const struct model *m, const struct model_grid *g,
                         const struct gpu_volume *v, struct err *err)
{
    struct gpu_volume *on_grid = gpu_volume_resample(v, g->dim, g->spacing, g->to_image, err);
    const size_t voxels = (size_t)g->dim[0] * g->dim[1] * g->dim[2];
    float *values = on_grid ? malloc(voxels * sizeof *values) : NULL;
    if (on_grid && !values)
        err_set(err, ERR_NOMEM, "no memory for %zu values", voxels);
    bool ok = values && gpu_volume_read(on_grid, 0, g->dim[2], values, err);
    gpu_volume_destroy(on_grid);
    if (ok && scale_values(m, g, v->dim, values, err))
        return values;
    free(values);
    return NULL;
}
