#include "tests/ref/ref.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void *need(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size);
    if (!p)
        abort();
    return p;
}

size_t ref_voxels(const uint32_t dim[3])
{
    return (size_t)dim[0] * dim[1] * dim[2];
}

static size_t at(const uint32_t dim[3], uint32_t i, uint32_t j, uint32_t k)
{
    return ((size_t)k * dim[1] + j) * dim[0] + i;
}

static int16_t mean(int64_t sum, int64_t count)
{
    double exact = (double)sum / (double)count;
    int64_t r = (int64_t)(exact < 0 ? ceil(exact) : floor(exact));
    if (2 * llabs(sum - r * count) >= count)
        r += sum < 0 ? -1 : 1;
    return (int16_t)r;
}

void ref_shrink(const int16_t *v, const uint32_t dim[3], const uint32_t factor[3],
                const uint32_t lead[2], int16_t *out)
{
    const int32_t x0 = lead ? -(int32_t)lead[0] : 0, y0 = lead ? -(int32_t)lead[1] : 0;
    const int32_t columns = (int32_t)dim[0], rows = (int32_t)dim[1];
    for (uint32_t z = 0; z < dim[2]; z += factor[2]) {
        for (int32_t y = y0; y < rows; y += (int32_t)factor[1]) {
            for (int32_t x = x0; x < columns; x += (int32_t)factor[0]) {
                int64_t sum = 0, count = 0;
                for (uint32_t k = z; k < z + factor[2] && k < dim[2]; k++) {
                    for (int32_t j = y; j < y + (int32_t)factor[1] && j < rows; j++) {
                        for (int32_t i = x; i < x + (int32_t)factor[0] && i < columns; i++) {
                            if (i < 0 || j < 0)
                                continue;
                            sum += v[at(dim, (uint32_t)i, (uint32_t)j, k)];
                            count++;
                        }
                    }
                }
                *out++ = mean(sum, count);
            }
        }
    }
}

float ref_trilinear(const float *v, const uint32_t dim[3], const double map[3][4], uint32_t i,
                    uint32_t j, uint32_t k)
{
    uint32_t lo[3], hi[3];
    float t[3];
    for (int a = 0; a < 3; a++) {
        float p = (float)map[a][0] * (float)i;
        p += (float)map[a][1] * (float)j;
        p += (float)map[a][2] * (float)k;
        p += (float)map[a][3];
        float last = (float)(dim[a] - 1);
        p = p < 0 ? 0 : p > last ? last : p;
        lo[a] = (uint32_t)p;
        hi[a] = lo[a] + 1 < dim[a] ? lo[a] + 1 : dim[a] - 1;
        t[a] = p - (float)lo[a];
    }
    float slice[2];
    for (int z = 0; z < 2; z++) {
        float row[2];
        for (int y = 0; y < 2; y++) {
            float a = v[at(dim, lo[0], y ? hi[1] : lo[1], z ? hi[2] : lo[2])];
            float b = v[at(dim, hi[0], y ? hi[1] : lo[1], z ? hi[2] : lo[2])];
            row[y] = a + (b - a) * t[0];
        }
        slice[z] = row[0] + (row[1] - row[0]) * t[1];
    }
    return slice[0] + (slice[1] - slice[0]) * t[2];
}

static void smooth_axis(const float *v, const uint32_t dim[3], int axis, double sigma, float *out)
{
    int radius = (int)ceil(3 * sigma);
    float *weight = need((size_t)radius + 1, sizeof *weight);
    double sum = 0;
    for (int d = -radius; d <= radius; d++)
        sum += d ? exp(-0.5 * d * d / (sigma * sigma)) : 1;
    for (int d = 0; d <= radius; d++)
        weight[d] = (float)((d ? exp(-0.5 * d * d / (sigma * sigma)) : 1) / sum);
    uint32_t p[3];
    for (p[2] = 0; p[2] < dim[2]; p[2]++) {
        for (p[1] = 0; p[1] < dim[1]; p[1]++) {
            for (p[0] = 0; p[0] < dim[0]; p[0]++) {
                float total = v[at(dim, p[0], p[1], p[2])] * weight[0];
                for (int d = 1; d <= radius; d++) {
                    uint32_t a[3] = {p[0], p[1], p[2]}, b[3] = {p[0], p[1], p[2]};
                    a[axis] = p[axis] < (uint32_t)d ? 0 : p[axis] - (uint32_t)d;
                    b[axis] =
                        p[axis] + (uint32_t)d >= dim[axis] ? dim[axis] - 1 : p[axis] + (uint32_t)d;
                    total +=
                        weight[d] * (v[at(dim, a[0], a[1], a[2])] + v[at(dim, b[0], b[1], b[2])]);
                }
                out[at(dim, p[0], p[1], p[2])] = total;
            }
        }
    }
    free(weight);
}

void ref_smooth(const float *v, const uint32_t dim[3], const double spacing[3],
                const double sigma_mm[3], float *out)
{
    size_t n = ref_voxels(dim);
    float *from = need(n, sizeof *from);
    memcpy(from, v, n * sizeof *from);
    for (int a = 0; a < 3; a++) {
        smooth_axis(from, dim, a, sigma_mm[a] / spacing[a], out);
        memcpy(from, out, n * sizeof *from);
    }
    free(from);
}

void ref_mip(const int16_t *v, const uint32_t dim[3], unsigned axis, uint32_t lo, uint32_t hi,
             int16_t *out)
{
    const int across = axis == 0 ? 1 : 0, down = axis == 2 ? 1 : 2;
    uint32_t p[3];
    for (p[down] = 0; p[down] < dim[down]; p[down]++) {
        for (p[across] = 0; p[across] < dim[across]; p[across]++) {
            int16_t best = INT16_MIN;
            for (p[axis] = lo; p[axis] < hi; p[axis]++) {
                int16_t value = v[at(dim, p[0], p[1], p[2])];
                best = value > best ? value : best;
            }
            *out++ = best;
        }
    }
}

void ref_threshold(const int16_t *v, size_t count, double lo, double hi, uint8_t *out)
{
    for (size_t n = 0; n < count; n++)
        out[n] = v[n] >= lo && v[n] <= hi;
}

// Sets (or clears) all voxels of the ball around (i, j, k).
static void stamp(uint8_t *out, const uint32_t dim[3], const double spacing[3], double radius_mm,
                  bool flat, const int64_t centre[3], uint8_t value)
{
    int64_t reach[3];
    for (int a = 0; a < 3; a++)
        reach[a] = (int64_t)(radius_mm / spacing[a]) + 1;
    if (flat)
        reach[2] = 0;
    for (int64_t z = -reach[2]; z <= reach[2]; z++) {
        for (int64_t y = -reach[1]; y <= reach[1]; y++) {
            for (int64_t x = -reach[0]; x <= reach[0]; x++) {
                double d2 = pow((double)x * spacing[0], 2) + pow((double)y * spacing[1], 2) +
                            pow((double)z * spacing[2], 2);
                int64_t i = centre[0] + x, j = centre[1] + y, k = centre[2] + z;
                if (d2 <= radius_mm * radius_mm * (1 + 1e-9) && i >= 0 && i < dim[0] && j >= 0 &&
                    j < dim[1] && k >= 0 && k < dim[2])
                    out[at(dim, (uint32_t)i, (uint32_t)j, (uint32_t)k)] = value;
            }
        }
    }
}

static void stamp_all(const uint8_t *m, const uint32_t dim[3], const double spacing[3],
                      double radius_mm, bool flat, uint8_t value, uint8_t *out)
{
    memcpy(out, m, ref_voxels(dim));
    for (uint32_t k = 0; k < dim[2]; k++) {
        for (uint32_t j = 0; j < dim[1]; j++) {
            for (uint32_t i = 0; i < dim[0]; i++) {
                const int64_t centre[3] = {i, j, k};
                if (m[at(dim, i, j, k)] == value)
                    stamp(out, dim, spacing, radius_mm, flat, centre, value);
            }
        }
    }
}

void ref_dilate(const uint8_t *m, const uint32_t dim[3], const double spacing[3], double radius_mm,
                bool flat, uint8_t *out)
{
    stamp_all(m, dim, spacing, radius_mm, flat, 1, out);
}

void ref_erode(const uint8_t *m, const uint32_t dim[3], const double spacing[3], double radius_mm,
               bool flat, uint8_t *out)
{
    stamp_all(m, dim, spacing, radius_mm, flat, 0, out);
}

// The least squared distance from voxel p to count voxels, in double: knows nothing of passes.
static double nearest2(const uint32_t (*set)[3], size_t count, const double spacing[3],
                       const uint32_t p[3], double most)
{
    double best = most;
    for (size_t n = 0; n < count; n++) {
        double x = ((double)set[n][0] - p[0]) * spacing[0];
        double y = ((double)set[n][1] - p[1]) * spacing[1];
        double z = ((double)set[n][2] - p[2]) * spacing[2];
        best = fmin(best, x * x + y * y + z * z);
    }
    return best;
}

void ref_distance2(const uint8_t *m, const uint32_t dim[3], const double spacing[3], double max_mm,
                   float *out)
{
    uint32_t(*set)[3] = need(ref_voxels(dim), sizeof *set);
    size_t count = 0;
    uint32_t p[3];
    for (size_t n = 0; n < ref_voxels(dim); n++) {
        if (!m[n])
            continue;
        set[count][0] = (uint32_t)(n % dim[0]);
        set[count][1] = (uint32_t)(n / dim[0] % dim[1]);
        set[count++][2] = (uint32_t)(n / dim[0] / dim[1]);
    }
    for (p[2] = 0; p[2] < dim[2]; p[2]++) {
        for (p[1] = 0; p[1] < dim[1]; p[1]++) {
            for (p[0] = 0; p[0] < dim[0]; p[0]++)
                *out++ =
                    (float)nearest2((const uint32_t(*)[3])set, count, spacing, p, max_mm * max_mm);
        }
    }
    free(set);
}

void ref_mask_shrink(const uint8_t *m, const uint32_t dim[3], const uint32_t factor[3],
                     uint32_t atleast, uint8_t *out)
{
    for (uint32_t z = 0; z < dim[2]; z += factor[2]) {
        for (uint32_t y = 0; y < dim[1]; y += factor[1]) {
            for (uint32_t x = 0; x < dim[0]; x += factor[0]) {
                uint32_t set = 0, count = 0;
                for (uint32_t k = z; k < z + factor[2] && k < dim[2]; k++) {
                    for (uint32_t j = y; j < y + factor[1] && j < dim[1]; j++) {
                        for (uint32_t i = x; i < x + factor[0] && i < dim[0]; i++, count++)
                            set += m[at(dim, i, j, k)];
                    }
                }
                *out++ = atleast ? set >= atleast : 2 * set >= count;
            }
        }
    }
}

void ref_mask_expand(const uint8_t *m, const uint32_t dim[3], const uint32_t factor[3],
                     const uint32_t fine[3], uint8_t *out)
{
    for (uint32_t k = 0; k < fine[2]; k++) {
        for (uint32_t j = 0; j < fine[1]; j++) {
            for (uint32_t i = 0; i < fine[0]; i++)
                *out++ = m[at(dim, i / factor[0], j / factor[1], k / factor[2])];
        }
    }
}

// Whether an offset is a neighbour.
static bool is_neighbour(int connectivity, int x, int y, int z)
{
    int steps = abs(x) + abs(y) + abs(z);
    switch (connectivity) {
    case 4:
        return z == 0 && steps == 1;
    case 8:
        return z == 0 && steps > 0;
    case 6:
        return steps == 1;
    case 18:
        return steps == 1 || steps == 2;
    default:
        return steps > 0;
    }
}

// Gives label to all voxels connected with the first one on the stack.
static void flood(const uint8_t *m, const uint32_t dim[3], int connectivity, uint32_t label,
                  uint32_t *labels, size_t *stack)
{
    size_t depth = 1;
    while (depth) {
        size_t n = stack[--depth];
        int64_t i = (int64_t)(n % dim[0]), j = (int64_t)(n / dim[0] % dim[1]);
        int64_t k = (int64_t)(n / dim[0] / dim[1]);
        for (int o = 0; o < 27; o++) {
            int x = o % 3 - 1, y = o / 3 % 3 - 1, z = o / 9 - 1;
            if (!is_neighbour(connectivity, x, y, z) || i + x < 0 || i + x >= dim[0] || j + y < 0 ||
                j + y >= dim[1] || k + z < 0 || k + z >= dim[2])
                continue;
            size_t other = at(dim, (uint32_t)(i + x), (uint32_t)(j + y), (uint32_t)(k + z));
            if (m[other] && !labels[other]) {
                labels[other] = label;
                stack[depth++] = other;
            }
        }
    }
}

uint32_t ref_components(const uint8_t *m, const uint32_t dim[3], int connectivity, uint32_t *labels)
{
    size_t count = ref_voxels(dim);
    size_t *stack = need(count, sizeof *stack);
    uint32_t label = 0;
    memset(labels, 0, count * sizeof *labels);
    for (size_t n = 0; n < count; n++) {
        if (m[n] && !labels[n]) {
            labels[n] = ++label;
            stack[0] = n;
            flood(m, dim, connectivity, label, labels, stack);
        }
    }
    free(stack);
    return label;
}

void ref_measure(const uint32_t *labels, uint32_t count, const int16_t *v, const uint32_t dim[3],
                 struct ref_stats *stats)
{
    for (uint32_t n = 0; n < count; n++)
        stats[n] = (struct ref_stats){
            .min = INT32_MAX, .max = INT32_MIN, .box_lo = {UINT32_MAX, UINT32_MAX, UINT32_MAX}};
    for (size_t n = 0; n < ref_voxels(dim); n++) {
        if (!labels[n])
            continue;
        struct ref_stats *s = &stats[labels[n] - 1];
        const uint32_t p[3] = {(uint32_t)(n % dim[0]), (uint32_t)(n / dim[0] % dim[1]),
                               (uint32_t)(n / dim[0] / dim[1])};
        s->voxels++;
        s->min = v[n] < s->min ? v[n] : s->min;
        s->max = v[n] > s->max ? v[n] : s->max;
        s->sum += v[n];
        for (int a = 0; a < 3; a++) {
            s->box_lo[a] = p[a] < s->box_lo[a] ? p[a] : s->box_lo[a];
            s->box_hi[a] = p[a] > s->box_hi[a] ? p[a] : s->box_hi[a];
            s->index_sum[a] += p[a];
        }
    }
}

void ref_fill_holes(const uint8_t *m, const uint32_t dim[3], uint8_t *out)
{
    size_t count = ref_voxels(dim);
    uint8_t *rest = need(count, 1);
    uint32_t *labels = need(count, sizeof *labels);
    for (size_t n = 0; n < count; n++)
        rest[n] = !m[n];
    uint32_t found = ref_components(rest, dim, 4, labels);
    uint8_t *open = need(found + 1ul, 1);
    for (size_t n = 0; n < count; n++) {
        size_t i = n % dim[0], j = n / dim[0] % dim[1];
        if (i == 0 || j == 0 || i + 1 == dim[0] || j + 1 == dim[1])
            open[labels[n]] = 1;
    }
    for (size_t n = 0; n < count; n++)
        out[n] = m[n] || !open[labels[n]];
    free(open);
    free(labels);
    free(rest);
}
