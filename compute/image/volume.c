#include "compute/image/volume.h"
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ORIENTATION_COS    0.99996 // cosine of 0.5 degrees: same orientation
#define SPACING_RELATIVE   1e-3    // in-plane spacing: same within 0.1 %
#define SAME_PLACE_MM      0.01    // duplicates are at most this far apart
#define INCREMENT_RELATIVE 0.01    // distances are equal within 1 % of the increment,
#define INCREMENT_MM       0.05    // but never told apart below this
#define DRIFT_RELATIVE     0.1     // a slice is nowhere farther from its grid position than that
#define TILT_MAX_DEG       45.0    // beyond that the slices are no stack

// What the plan works on: slices in an order that does not depend on the order they came in.
struct order {
    const struct volume_slice *slice;
    uint32_t index;  // in the array that was offered
    double distance; // mm along the normal
};

static double dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static void cross(const double a[3], const double b[3], double out[3])
{
    out[0] = a[1] * b[2] - a[2] * b[1];
    out[1] = a[2] * b[0] - a[0] * b[2];
    out[2] = a[0] * b[1] - a[1] * b[0];
}

static bool all_finite(const double *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i]))
            return false;
    }
    return true;
}

static void remark(struct volume *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void remark(struct volume *v, const char *format, ...)
{
    size_t used = strlen(v->remarks);
    if (used && used + 1 < sizeof v->remarks)
        v->remarks[used++] = ' ';
    va_list args;
    va_start(args, format);
    vsnprintf(v->remarks + used, sizeof v->remarks - used, format, args);
    va_end(args);
}

static int compare_identity(const struct order *a, const struct order *b)
{
    int uid = strcmp(a->slice->sop_instance_uid, b->slice->sop_instance_uid);
    if (uid)
        return uid;
    if (a->slice->frame != b->slice->frame)
        return a->slice->frame < b->slice->frame ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static int by_identity(const void *a, const void *b)
{
    return compare_identity(a, b);
}

static int by_distance(const void *a, const void *b)
{
    const struct order *x = a, *y = b;
    if (x->distance != y->distance)
        return x->distance < y->distance ? -1 : 1;
    return compare_identity(x, y);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool check_slice(const struct volume_slice *s, struct err *err)
{
    if (s->columns == 0 || s->rows == 0)
        return err_set(err, ERR_INPUT, "instance %s frame %" PRIu32 ": no voxels",
                       s->sop_instance_uid, s->frame);
    double row = sqrt(dot(s->orientation, s->orientation));
    double column = sqrt(dot(s->orientation + 3, s->orientation + 3));
    double skew = dot(s->orientation, s->orientation + 3);
    if (!all_finite(s->position, 3) || !all_finite(s->orientation, 6) ||
        !all_finite(s->pixel_spacing, 2) || !isfinite(s->slope) || !isfinite(s->intercept) ||
        fabs(row - 1) > 1e-3 || fabs(column - 1) > 1e-3 || fabs(skew) > 1e-3)
        return err_set(err, ERR_INPUT, "instance %s frame %" PRIu32 ": no usable geometry",
                       s->sop_instance_uid, s->frame);
    if (s->pixel_spacing[0] <= 0 || s->pixel_spacing[1] <= 0)
        return err_set(err, ERR_INPUT,
                       "instance %s frame %" PRIu32 ": pixel spacing is not above 0",
                       s->sop_instance_uid, s->frame);
    if (s->bits_stored < 1 || s->bits_stored > 32)
        return err_set(err, ERR_INPUT, "instance %s frame %" PRIu32 ": %u bits stored",
                       s->sop_instance_uid, s->frame, s->bits_stored);
    return true;
}

// Would both be in one volume?
static bool same_family(const struct volume_slice *a, const struct volume_slice *b)
{
    return a->columns == b->columns && a->rows == b->rows &&
           strcmp(a->frame_of_reference_uid, b->frame_of_reference_uid) == 0 &&
           dot(a->orientation, b->orientation) > ORIENTATION_COS &&
           dot(a->orientation + 3, b->orientation + 3) > ORIENTATION_COS;
}

// Keeps the slices of the largest family, in order. Families form around their first member in
// order of identity. Returns how many stay; 0 with *err when two families are equally large.
static size_t keep_majority(struct order *order, size_t count, enum volume_fate *fate,
                            struct err *err)
{
    uint32_t *family = calloc(count, sizeof *family);   // of each slice: its leader
    uint32_t *members = calloc(count, sizeof *members); // of each leader
    uint32_t *leaders = calloc(count, sizeof *leaders);
    size_t leader_count = 0, kept = 0;
    if (!family || !members || !leaders) {
        err_set(err, ERR_NOMEM, "no memory to sort %zu slices", count);
        goto out;
    }
    for (size_t i = 0; i < count; i++) {
        size_t l = 0;
        while (l < leader_count && !same_family(order[leaders[l]].slice, order[i].slice))
            l++;
        if (l == leader_count)
            leaders[leader_count++] = (uint32_t)i;
        family[i] = (uint32_t)l;
        members[l]++;
    }
    size_t best = 0;
    bool tie = false;
    for (size_t l = 1; l < leader_count; l++) {
        tie = members[l] == members[best] || (tie && members[l] < members[best]);
        if (members[l] > members[best])
            best = l;
    }
    if (tie) {
        err_set(err, ERR_GEOMETRY,
                "%zu groups of slices differ in orientation, size or frame of reference, and none "
                "is the largest (%" PRIu32 " slices each)",
                leader_count, members[best]);
        goto out;
    }
    for (size_t i = 0; i < count; i++) {
        if (family[i] == best)
            order[kept++] = order[i];
        else
            fate[order[i].index] = VOLUME_FOREIGN;
    }
out:
    free(leaders);
    free(members);
    free(family);
    return kept;
}

static bool check_spacing(const struct order *order, size_t count, struct err *err)
{
    const double *first = order[0].slice->pixel_spacing;
    for (size_t i = 1; i < count; i++) {
        const double *other = order[i].slice->pixel_spacing;
        for (int a = 0; a < 2; a++) {
            if (fabs(other[a] - first[a]) > SPACING_RELATIVE * first[a])
                return err_set(err, ERR_GEOMETRY, "pixel spacing differs: %.4f and %.4f mm",
                               first[a], other[a]);
        }
    }
    return true;
}

// Drops all but the first of the slices at one position. Slices are sorted by distance. Returns how
// many stay; 0 with *err when slices at one distance lie beside each other.
static size_t drop_duplicates(struct order *order, size_t count, enum volume_fate *fate,
                              struct err *err)
{
    size_t kept = 0;
    for (size_t start = 0, end; start < count; start = end) {
        size_t best = start;
        for (end = start + 1;
             end < count && order[end].distance - order[start].distance <= SAME_PLACE_MM; end++) {
            double apart = 0;
            for (int a = 0; a < 3; a++)
                apart = fmax(apart,
                             fabs(order[end].slice->position[a] - order[start].slice->position[a]));
            if (apart > 0.1) {
                err_set(err, ERR_GEOMETRY, "slices lie %.1f mm beside each other at %.1f mm", apart,
                        order[start].distance);
                return 0;
            }
            if (compare_identity(&order[end], &order[best]) < 0)
                best = end;
        }
        for (size_t i = start; i < end; i++) {
            if (i != best)
                fate[order[i].index] = VOLUME_DUPLICATE;
        }
        order[kept++] = order[best];
    }
    return kept;
}

static double median_gap(const struct order *order, size_t count, double *gaps)
{
    for (size_t i = 0; i + 1 < count; i++)
        gaps[i] = order[i + 1].distance - order[i].distance;
    qsort(gaps, count - 1, sizeof *gaps, by_value);
    return gaps[(count - 2) / 2];
}

static double tolerance(double increment)
{
    return fmax(INCREMENT_RELATIVE * increment, INCREMENT_MM);
}

// Why distances that differ from increment differ: the first place, and how many more there are.
static bool refuse_gaps(const struct order *order, size_t count, double increment, struct err *err)
{
    size_t places = 0, missing = 0, at = 0, at_missing = 0;
    bool whole = true;
    for (size_t i = 0; i + 1 < count; i++) {
        double gap = order[i + 1].distance - order[i].distance;
        if (fabs(gap - increment) <= tolerance(increment))
            continue;
        double steps = round(gap / increment);
        bool multiple = steps >= 2 && fabs(gap - steps * increment) <= steps * tolerance(increment);
        whole = whole && multiple;
        size_t lacking = multiple && steps < 1e6 ? (size_t)steps - 1 : 0;
        if (places++ == 0) {
            at = i;
            at_missing = lacking;
        }
        missing += lacking;
    }
    double from = order[at].distance, to = order[at + 1].distance;
    char more[64] = "";
    if (places > 1 && whole)
        snprintf(more, sizeof more, "; %zu missing in all, at %zu places", missing, places);
    else if (places > 1)
        snprintf(more, sizeof more, "; distances differ at %zu places", places);
    if (at_missing)
        return err_set(err, ERR_GEOMETRY, "%zu slice%s missing between %.1f and %.1f mm%s",
                       at_missing, at_missing == 1 ? "" : "s", from, to, more);
    return err_set(err, ERR_GEOMETRY,
                   "slices are %.2f mm apart between %.1f and %.1f mm, elsewhere %.2f mm%s",
                   to - from, from, to, increment, more);
}

// Equal distances, each slice where the grid has it. Sets the step from slice to slice (mm, LPS).
static bool check_stack(const struct order *order, size_t count, double step[3], struct err *err)
{
    double *gaps = calloc(count - 1, sizeof *gaps);
    if (!gaps)
        return err_set(err, ERR_NOMEM, "no memory to sort %zu slices", count);
    double increment = median_gap(order, count, gaps);
    double low = gaps[0], high = gaps[count - 2];
    free(gaps);
    double allowed = tolerance(increment);
    if (high - increment > allowed || increment - low > allowed)
        return refuse_gaps(order, count, increment, err);

    const struct volume_slice *first = order[0].slice, *last = order[count - 1].slice;
    for (int a = 0; a < 3; a++)
        step[a] = (last->position[a] - first->position[a]) / (double)(count - 1);
    double pixel = fmin(first->pixel_spacing[0], first->pixel_spacing[1]);
    double drift = fmax(0.1, fmin(DRIFT_RELATIVE * increment, 0.5 * pixel));
    for (size_t i = 0; i < count; i++) {
        for (int a = 0; a < 3; a++) {
            double off = order[i].slice->position[a] - first->position[a] - step[a] * (double)i;
            if (fabs(off) > drift)
                return err_set(err, ERR_GEOMETRY,
                               "the slice at %.1f mm lies %.2f mm beside the line of the others",
                               order[i].distance, fabs(off));
        }
    }
    return true;
}

static bool size_of_voxels(const uint32_t dim[3], enum volume_type type, size_t *bytes)
{
    size_t each = type == VOLUME_F32 ? sizeof(float) : sizeof(int16_t);
    return !__builtin_mul_overflow((size_t)dim[0], (size_t)dim[1], bytes) &&
           !__builtin_mul_overflow(*bytes, (size_t)dim[2], bytes) &&
           !__builtin_mul_overflow(*bytes, each, bytes);
}

static bool allocate(struct volume *v, struct err *err)
{
    size_t bytes;
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    if (!size_of_voxels(v->dim, v->type, &bytes) ||
        (pages > 0 && page > 0 && bytes / (size_t)page >= (size_t)pages) ||
        !(v->stored = calloc(bytes, 1)))
        return err_set(err, ERR_NOMEM,
                       "no memory for %" PRIu32 " x %" PRIu32 " x %" PRIu32 " voxels", v->dim[0],
                       v->dim[1], v->dim[2]);
    return true;
}

static void choose_type(struct volume *v, const struct order *order, size_t count)
{
    bool fits_signed = true, fits_unsigned = true, same = true;
    for (size_t i = 0; i < count; i++) {
        const struct volume_slice *s = order[i].slice;
        fits_signed = fits_signed && s->bits_stored <= (s->is_signed ? 16 : 15);
        fits_unsigned = fits_unsigned && !s->is_signed && s->bits_stored <= 16;
        same =
            same && s->slope == order[0].slice->slope && s->intercept == order[0].slice->intercept;
    }
    bool integers = same && (fits_signed || fits_unsigned);
    v->type = !integers ? VOLUME_F32 : fits_unsigned ? VOLUME_U16 : VOLUME_I16;
    v->slope = integers ? order[0].slice->slope : 1;
    v->intercept = integers ? order[0].slice->intercept : 0;
    if (!same)
        remark(v, "Rescale slope or intercept differs between slices.");
}

static void set_geometry(struct volume *v, const struct order *order, size_t count,
                         const double normal[3], const double step[3])
{
    const struct volume_slice *first = order[0].slice;
    v->dim[0] = first->columns;
    v->dim[1] = first->rows;
    v->dim[2] = (uint32_t)count;
    v->spacing[0] = first->pixel_spacing[1];
    v->spacing[1] = first->pixel_spacing[0];
    v->spacing[2] = dot(step, normal);
    for (int a = 0; a < 3; a++) {
        v->to_patient[a][0] = first->orientation[a] * v->spacing[0];
        v->to_patient[a][1] = first->orientation[3 + a] * v->spacing[1];
        v->to_patient[a][2] = step[a];
        v->to_patient[a][3] = first->position[a];
    }
    double beside[3];
    cross(normal, step, beside);
    v->tilt_deg = atan2(sqrt(dot(beside, beside)), v->spacing[2]) * (180.0 / M_PI);
}

static void count_fates(struct volume *v)
{
    unsigned n[4] = {0};
    for (uint32_t i = 0; i < v->offered; i++)
        n[v->fate[i]]++;
    v->has_duplicates = n[VOLUME_DUPLICATE] > 0;
    if (n[VOLUME_LOCALIZER])
        remark(v, "Set aside as localizer: %u.", n[VOLUME_LOCALIZER]);
    if (n[VOLUME_FOREIGN])
        remark(v, "Set aside for another orientation, size or frame of reference: %u.",
               n[VOLUME_FOREIGN]);
    if (n[VOLUME_DUPLICATE])
        remark(v, "Set aside as duplicate of a position: %u.", n[VOLUME_DUPLICATE]);
    if (v->tilt_deg >= 0.5)
        remark(v, "Gantry tilt %.1f degrees.", v->tilt_deg);
}

// Everything but the checks of single slices. order holds the slices that are no localizers, sorted
// by identity.
static bool plan(struct volume *v, struct order *order, size_t count, struct err *err)
{
    count = keep_majority(order, count, v->fate, err);
    if (count == 0 || !check_spacing(order, count, err))
        return false;
    double normal[3], step[3];
    const double *orientation = order[0].slice->orientation;
    cross(orientation, orientation + 3, normal);
    for (size_t i = 0; i < count; i++)
        order[i].distance = dot(order[i].slice->position, normal);
    qsort(order, count, sizeof *order, by_distance);
    count = drop_duplicates(order, count, v->fate, err);
    if (count == 0)
        return false;
    if (count < 2)
        return err_set(err, ERR_GEOMETRY, "1 slice is no volume");
    if (!check_stack(order, count, step, err))
        return false;
    set_geometry(v, order, count, normal, step);
    if (v->tilt_deg > TILT_MAX_DEG)
        return err_set(err, ERR_GEOMETRY, "slices are shifted by %.1f degrees against their normal",
                       v->tilt_deg);
    choose_type(v, order, count);
    count_fates(v);
    v->source = calloc(count, sizeof *v->source);
    if (!v->source)
        return err_set(err, ERR_NOMEM, "no memory for %zu slices", count);
    for (size_t i = 0; i < count; i++)
        v->source[i] = order[i].index;
    return allocate(v, err);
}

struct volume *volume_plan(const struct volume_slice *slices, size_t count, const char *unit,
                           struct err *err)
{
    if (count == 0 || count > UINT32_MAX) {
        err_set(err, ERR_INPUT, "%s", count ? "too many slices" : "no slices");
        return NULL;
    }
    struct volume *v = calloc(1, sizeof *v);
    struct order *order = calloc(count, sizeof *order);
    bool ok = false;
    if (v)
        v->fate = calloc(count, sizeof *v->fate);
    if (!v || !order || !v->fate) {
        err_set(err, ERR_NOMEM, "no memory for %zu slices", count);
        goto out;
    }
    v->offered = (uint32_t)count;
    snprintf(v->unit, sizeof v->unit, "%s", unit);
    size_t candidates = 0;
    for (size_t i = 0; i < count; i++) {
        if (slices[i].localizer) {
            v->fate[i] = VOLUME_LOCALIZER;
            continue;
        }
        if (!check_slice(&slices[i], err))
            goto out;
        order[candidates++] = (struct order){.slice = &slices[i], .index = (uint32_t)i};
    }
    if (candidates == 0) {
        err_set(err, ERR_GEOMETRY, "only localizers");
        goto out;
    }
    qsort(order, candidates, sizeof *order, by_identity);
    ok = plan(v, order, candidates, err);
out:
    free(order);
    if (!ok) {
        volume_destroy(v);
        return NULL;
    }
    return v;
}

static bool fill_i16(int16_t *out, const int32_t *values, size_t count)
{
    int32_t low = 0, high = 0;
    for (size_t i = 0; i < count; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
        out[i] = (int16_t)values[i];
    }
    return low >= INT16_MIN && high <= INT16_MAX;
}

static bool fill_u16(uint16_t *out, const int32_t *values, size_t count)
{
    int32_t low = 0, high = 0;
    for (size_t i = 0; i < count; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
        out[i] = (uint16_t)values[i];
    }
    return low >= 0 && high <= UINT16_MAX;
}

bool volume_fill(struct volume *v, uint32_t k, const int32_t *values, double slope,
                 double intercept, struct err *err)
{
    if (k >= v->dim[2])
        return err_set(err, ERR_INPUT, "slice %" PRIu32 " of %" PRIu32, k, v->dim[2]);
    size_t count = (size_t)v->dim[0] * v->dim[1], at = count * k;
    bool fits = true;
    switch (v->type) {
    case VOLUME_I16:
        fits = fill_i16((int16_t *)v->stored + at, values, count);
        break;
    case VOLUME_U16:
        fits = fill_u16((uint16_t *)v->stored + at, values, count);
        break;
    case VOLUME_F32:
        for (size_t i = 0; i < count; i++)
            ((float *)v->stored)[at + i] = (float)(slope * values[i] + intercept);
        break;
    }
    return fits || err_set(err, ERR_INPUT, "slice %" PRIu32 ": a stored value does not fit", k);
}

void volume_destroy(struct volume *v)
{
    if (!v)
        return;
    free(v->stored);
    free(v->source);
    free(v->fate);
    free(v);
}

double volume_value(const struct volume *v, uint32_t i, uint32_t j, uint32_t k)
{
    size_t at = ((size_t)k * v->dim[1] + j) * v->dim[0] + i;
    double stored = v->type == VOLUME_I16   ? ((const int16_t *)v->stored)[at]
                    : v->type == VOLUME_U16 ? ((const uint16_t *)v->stored)[at]
                                            : (double)((const float *)v->stored)[at];
    return v->slope * stored + v->intercept;
}

void volume_to_patient(const struct volume *v, const double ijk[3], double mm[3])
{
    for (int a = 0; a < 3; a++)
        mm[a] = v->to_patient[a][0] * ijk[0] + v->to_patient[a][1] * ijk[1] +
                v->to_patient[a][2] * ijk[2] + v->to_patient[a][3];
}

size_t volume_voxels(const struct volume *v)
{
    return (size_t)v->dim[0] * v->dim[1] * v->dim[2];
}
