#include "compute/image/voi.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void voi_finish(struct voi *v)
{
    free(v->table);
    *v = (struct voi){0};
}

bool voi_window_usable(enum voi_kind kind, double centre, double width)
{
    return isfinite(centre) && isfinite(width) && (kind == VOI_LINEAR ? width >= 1 : width > 0);
}

// PS3.3 C.11.2.1.2.1: the width counts whole values, from the lowest that is not black to the
// highest that is white.
static double voi_linear(const struct voi *v, double x)
{
    const double middle = v->centre - 0.5, span = v->width - 1;
    if (x <= middle - span / 2)
        return 0;
    return x > middle + span / 2 ? 1 : (x - middle) / span + 0.5;
}

static double voi_linear_exact(const struct voi *v, double x)
{
    return fmax(0, fmin(1, (x - v->centre) / v->width + 0.5));
}

static double voi_sigmoid(const struct voi *v, double x)
{
    return 1 / (1 + exp(-4 * (x - v->centre) / v->width));
}

// What lies between two entries belongs to the nearer one; beyond the ends these go on.
static double voi_entry(const struct voi *v, double x)
{
    const double at = round(x) - v->first, last = v->count - 1.0;
    const uint16_t entry = v->table[at < 0 ? 0 : (size_t)fmin(at, last)];
    return fmin(1, entry / (double)((1U << v->bits) - 1));
}

double voi_grey(const struct voi *v, double value)
{
    const double x = v->scale * value + v->offset;
    if (isnan(x))
        return NAN;
    switch (v->kind) {
    case VOI_LINEAR:
        return voi_linear(v, x);
    case VOI_LINEAR_EXACT:
        return voi_linear_exact(v, x);
    case VOI_SIGMOID:
        return voi_sigmoid(v, x);
    case VOI_TABLE:
        return voi_entry(v, x);
    case VOI_NONE:
        break;
    }
    return NAN;
}

const char *voi_text(const struct voi *v, char *text, size_t size)
{
    static const char *const functions[] = {
        [VOI_LINEAR] = "", [VOI_LINEAR_EXACT] = " (exact)", [VOI_SIGMOID] = " (sigmoid)"};
    int used = 0;
    if (v->kind == VOI_NONE)
        used = snprintf(text, size, "from the least to the most value");
    else if (v->kind == VOI_TABLE)
        used =
            snprintf(text, size, "table of %" PRIu32 " entries from %" PRId32, v->count, v->first);
    else
        used =
            snprintf(text, size, "centre %g, width %g%s", v->centre, v->width, functions[v->kind]);
    if (v->unusable[0] && used >= 0 && (size_t)used < size)
        snprintf(text + used, size - (size_t)used, "; %s cannot be used", v->unusable);
    return text;
}
