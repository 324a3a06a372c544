#include "compute/stages/cardiac/cardiac_polar.h"
#include <math.h>
#include <stdlib.h>

static const double blood_part = 0.6, blood_low = 0.3, blood_high = 0.8;
static const double blood_percentile = 0.7;
static const uint32_t blood_beside = 10; // directions: 56 degrees
static const double muscle_mm[2] = {1.5, 6};
// What lies farther outside the pool than the wall of most hearts may be lung, where the outer
// contour has passed the wall: muscle is measured in the middle of less.
static const double wall_sure_mm = 9;

// The value that would stand at `part` of the values in their order; reorders them. Quickselect
// (Hoare, Algorithm 65, Commun. ACM 1961;4:321).
static double percentile(float *values, size_t count, double part)
{
    if (count == 0)
        return 0;
    const size_t wanted = (size_t)(part * (double)(count - 1));
    size_t low = 0, high = count - 1;
    while (low < high) {
        const float pivot = values[low + (high - low) / 2];
        size_t i = low, j = high;
        for (;;) {
            while (values[i] < pivot)
                i++;
            while (values[j] > pivot)
                j--;
            if (i >= j)
                break;
            const float swap = values[i];
            values[i++] = values[j];
            values[j--] = swap;
        }
        // low..j are at most the pivot, j + 1..high at least.
        if (wanted <= j)
            high = j;
        else
            low = j + 1;
    }
    return (double)values[wanted];
}

static double bilinear(const struct cardiac_cine *c, const uint16_t *frame, double x, double y)
{
    x = fmin(fmax(x, 0), c->columns - 1.0);
    y = fmin(fmax(y, 0), c->rows - 1.0);
    const uint32_t i = (uint32_t)x, j = (uint32_t)y;
    const uint32_t right = i + 1 < c->columns ? i + 1 : i, down = j + 1 < c->rows ? j + 1 : j;
    const uint16_t *a = frame + (size_t)j * c->columns, *b = frame + (size_t)down * c->columns;
    const double u = x - i, v = y - j;
    return (1 - v) * ((1 - u) * a[i] + u * a[right]) + v * ((1 - u) * b[i] + u * b[right]);
}

bool cardiac_polar_sample(const struct cardiac_cine *c, uint32_t slice, const double centre[2],
                          struct cardiac_polar *out)
{
    const uint32_t phases = c->phases[slice];
    *out = (struct cardiac_polar){.phases = phases, .centre = {centre[0], centre[1]}};
    out->q = malloc((size_t)phases * CARDIAC_WAYS * CARDIAC_RADII * sizeof *out->q);
    if (!out->q)
        return false;
    float *to = out->q;
    for (uint32_t p = 0; p < phases; p++) {
        const uint16_t *frame = cardiac_cine_frame(c, slice, p);
        for (uint32_t w = 0; w < CARDIAC_WAYS; w++) {
            const double angle = 2 * M_PI * w / CARDIAC_WAYS;
            const double dx = cos(angle) / c->mm[0], dy = sin(angle) / c->mm[1];
            for (uint32_t n = 0; n < CARDIAC_RADII; n++) {
                const double mm = (n + 0.5) * CARDIAC_STEP_MM;
                *to++ = (float)bilinear(c, frame, centre[0] + dx * mm, centre[1] + dy * mm);
            }
        }
    }
    return true;
}

void cardiac_polar_finish(struct cardiac_polar *p)
{
    free(p->q);
    p->q = NULL;
}

static const float *profile(const struct cardiac_polar *p, uint32_t phase, uint32_t way)
{
    return p->q + ((size_t)phase * CARDIAC_WAYS + way) * CARDIAC_RADII;
}

bool cardiac_polar_levels(const struct cardiac_polar *p, const double *radius_mm, double *blood,
                          double *muscle)
{
    const size_t most = (size_t)p->phases * CARDIAC_WAYS * CARDIAC_RADII;
    float *in = malloc(most * sizeof *in), *out = malloc(most * sizeof *out);
    size_t ins = 0, outs = 0;
    for (uint32_t phase = 0; in && out && phase < p->phases; phase++) {
        const double r = radius_mm[phase];
        for (uint32_t w = 0; w < CARDIAC_WAYS; w++) {
            const float *q = profile(p, phase, w);
            for (uint32_t n = 0; n < CARDIAC_RADII; n++) {
                const double mm = (n + 0.5) * CARDIAC_STEP_MM;
                if (mm < blood_part * r)
                    in[ins++] = q[n];
                else if (mm > r + muscle_mm[0] && mm < r + muscle_mm[1])
                    out[outs++] = q[n];
            }
        }
    }
    const bool ok = in && out;
    *blood = ok ? percentile(in, ins, 0.5) : 0;
    *muscle = ok ? percentile(out, outs, 0.5) : 0;
    free(out);
    free(in);
    return ok;
}

bool cardiac_polar_wall_levels(const struct cardiac_polar *p, uint32_t phase, const float *endo,
                               const float *epi, double *blood, double *muscle)
{
    const size_t most = (size_t)CARDIAC_WAYS * CARDIAC_RADII;
    float *in = malloc(most * sizeof *in), *out = malloc(most * sizeof *out);
    size_t ins = 0, outs = 0;
    for (uint32_t w = 0; in && out && w < CARDIAC_WAYS; w++) {
        const float *q = profile(p, phase, w);
        const double inner = (double)endo[w];
        const double wall = fmin((double)(epi[w] - endo[w]), wall_sure_mm);
        for (uint32_t n = 0; n < CARDIAC_RADII; n++) {
            const double mm = (n + 0.5) * CARDIAC_STEP_MM;
            if (mm < blood_high * inner)
                in[ins++] = q[n];
            else if (mm > inner + wall / 3 && mm < inner + 2 * wall / 3)
                out[outs++] = q[n];
        }
    }
    const bool ok = in && out;
    *blood = ok ? percentile(in, ins, blood_percentile) : 0;
    *muscle = ok ? percentile(out, outs, 0.5) : 0;
    free(out);
    free(in);
    return ok;
}

bool cardiac_polar_scale(struct cardiac_polar *p, const float *radius_mm, double ratio)
{
    const size_t most = (size_t)p->phases * (2 * blood_beside + 1) * CARDIAC_RADII;
    float *values = malloc(most * sizeof *values);
    if (!values)
        return false;
    for (uint32_t w = 0; w < CARDIAC_WAYS; w++) {
        size_t count = 0;
        for (uint32_t phase = 0; phase < p->phases; phase++) {
            for (uint32_t b = 0; b <= 2 * blood_beside; b += 2) {
                const uint32_t way = (w + b + CARDIAC_WAYS - blood_beside) % CARDIAC_WAYS;
                const double r = (double)radius_mm[phase * CARDIAC_WAYS + way] / CARDIAC_STEP_MM;
                const float *q = profile(p, phase, way);
                for (uint32_t n = (uint32_t)(blood_low * r); n < blood_high * r; n++)
                    values[count++] = q[n < CARDIAC_RADII ? n : CARDIAC_RADII - 1];
            }
        }
        p->blood[w] = percentile(values, count, blood_percentile);
    }
    for (uint32_t phase = 0; phase < p->phases; phase++) {
        for (uint32_t w = 0; w < CARDIAC_WAYS; w++) {
            float *q = p->q + ((size_t)phase * CARDIAC_WAYS + w) * CARDIAC_RADII;
            const double blood = fmax(p->blood[w], 1), muscle = ratio * blood;
            for (uint32_t n = 0; n < CARDIAC_RADII; n++)
                q[n] = (float)(((double)q[n] - muscle) / (blood - muscle));
        }
    }
    free(values);
    return true;
}
