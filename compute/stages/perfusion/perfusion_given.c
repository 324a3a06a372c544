// Artery and vein at places that a person has named.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/stages/perfusion/perfusion_job.h"

enum { AROUND = 9, TAKEN = 3 }; // voxels of a slice around a place; of them the highest are taken

// "x y z" or "x, y, z" in mm. False: that is no place.
static bool read_place(const char *text, double mm[3])
{
    for (int a = 0; a < 3; a++) {
        char *end;
        text += strspn(text, ", ");
        mm[a] = strtod(text, &end);
        if (end == text || !isfinite(mm[a]))
            return false;
        text = end;
    }
    return text[strspn(text, " ")] == 0;
}

// The voxel of the work grid at a place of the patient. False: it is outside.
static bool voxel_at(const struct perfusion_job *j, const double mm[3], uint32_t at[3])
{
    const struct image *v = j->v;
    double m[3][4];
    for (int row = 0; row < 3; row++) {
        for (int a = 0; a < 3; a++)
            m[row][a] = v->to_patient[row][a];
        m[row][3] = mm[row] - v->to_patient[row][3];
    }
    for (int a = 0; a < 3; a++) { // Gauss and Jordan, with the largest element of a column
        int best = a;
        for (int row = a + 1; row < 3; row++)
            best = fabs(m[row][a]) > fabs(m[best][a]) ? row : best;
        for (int c = 0; c < 4; c++) {
            const double held = m[a][c];
            m[a][c] = m[best][c];
            m[best][c] = held;
        }
        if (!(fabs(m[a][a]) > 0))
            return false;
        for (int row = 0; row < 3; row++) {
            const double part = row == a ? 0 : m[row][a] / m[a][a];
            for (int c = 0; c < 4; c++)
                m[row][c] -= part * m[a][c];
        }
    }
    for (int a = 0; a < 3; a++) {
        const double index = (m[a][3] / m[a][a] + 0.5) / j->r.factor[a];
        if (!(index >= 0 && index < j->r.dim[a]))
            return false;
        at[a] = (uint32_t)index;
    }
    return true;
}

struct given {
    uint32_t at[3];
    double peak;
};

static int by_given_peak_down(const void *a, const void *b)
{
    const struct given *x = a, *y = b;
    return (x->peak < y->peak) - (x->peak > y->peak);
}

// The voxels of the slice at and around a place, the highest first. Returns how many have curves.
static uint32_t gather_given(const struct perfusion_job *j, const uint32_t at[3], const float *peak,
                             struct given *list)
{
    const uint32_t *dim = j->r.dim;
    uint32_t count = 0;
    for (int n = 0; n < AROUND; n++) {
        const int64_t i = (int64_t)at[0] + n % 3 - 1, row = (int64_t)at[1] + n / 3 - 1;
        if (i < 0 || row < 0 || i >= dim[0] || row >= dim[1])
            continue;
        const double high =
            (double)peak[((size_t)at[2] * dim[1] + (size_t)row) * dim[0] + (size_t)i];
        if (high > 0)
            list[count++] = (struct given){{(uint32_t)i, (uint32_t)row, at[2]}, high};
    }
    qsort(list, count, sizeof *list, by_given_peak_down);
    return count < TAKEN ? count : TAKEN;
}

// The mean curve of the voxels of a list, which lie in one slice.
static bool take_given(struct perfusion_job *j, const struct given *list, uint32_t count,
                       struct perfusion_vessel *v)
{
    const uint32_t steps = j->r.steps, k = list[0].at[2];
    const size_t area = (size_t)j->r.dim[0] * j->r.dim[1];
    float *planes = malloc(area * steps * sizeof *planes);
    *v = (struct perfusion_vessel){.count = count};
    v->curve = arena_alloc(j->arena, steps, sizeof *v->curve);
    bool ok = (planes && v->curve) || perfusion_no_memory(j);
    ok = ok && gpu_volume_read(j->curves, k * steps, (k + 1) * steps, planes, j->err);
    for (uint32_t i = 0; ok && i < count; i++) {
        const size_t pixel = (size_t)list[i].at[1] * j->r.dim[0] + list[i].at[0];
        memcpy(v->voxels[i], list[i].at, sizeof list[i].at);
        for (uint32_t n = 0; n < steps; n++)
            v->curve[n] += (double)planes[n * area + pixel] / count;
    }
    free(planes);
    if (ok)
        perfusion_vessel_measure(v, steps, j->r.before);
    return ok;
}

// What an option says, into v; "" says nothing.
static bool use_given(struct perfusion_job *j, int option, const char *name,
                      const struct perfusion_shape *shape, struct perfusion_vessel *v, bool *used)
{
    const char *text = j->p[option].text;
    struct given list[AROUND];
    uint32_t at[3];
    double mm[3];
    *used = *text != 0;
    if (!*used)
        return true;
    if (!read_place(text, mm))
        return PERFUSION_REFUSE(j, "%s: \"%s\" is no place (three numbers, mm)", name, text);
    if (!voxel_at(j, mm, at))
        return PERFUSION_REFUSE(j, "%s: \"%s\" lies outside of the images", name, text);
    float *peak = malloc(j->voxels * sizeof *peak);
    bool ok = peak || perfusion_no_memory(j);
    ok = ok && gpu_volume_read(shape->peak, 0, j->r.dim[2], peak, j->err);
    const uint32_t count = ok ? gather_given(j, at, peak, list) : 0;
    free(peak);
    if (ok && !count)
        return PERFUSION_REFUSE(j, "%s: at \"%s\" nothing rises within the brain", name, text);
    return ok && take_given(j, list, count, v);
}

bool perfusion_vessels_given(struct perfusion_job *j, const struct perfusion_shape *shape)
{
    struct perfusion_vessels *v = &j->vessels;
    if (!use_given(j, P_ARTERY_AT, "artery_at", shape, &v->artery, &j->r.artery_given) ||
        !use_given(j, P_VEIN_AT, "vein_at", shape, &v->vein, &j->r.vein_given))
        return false;
    if (j->r.artery_given) // a person has chosen: there is no other
        v->other = (struct perfusion_vessel){0};
    return true;
}
