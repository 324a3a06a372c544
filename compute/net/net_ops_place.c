// Operators that bring the numbers along an axis to other places: each axis by a table of the
// places that a number comes from, and their weights.
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/net/net_lower.h"

#define CUBIC_TAPS 4u

// An axis by one place for each number out; below zero: the fill.
static uint32_t take_places(const struct lower *l, uint32_t a, uint32_t axis, uint32_t made,
                            const int64_t *place, float fill)
{
    float *table = malloc((2UL * made + 1) * sizeof *table);
    if (!table) {
        err_set(l->err, ERR_NOMEM, "no memory");
        return GRAPH_NONE;
    }
    for (uint32_t k = 0; k < made; k++) {
        table[2 * k] = (float)place[k]; // exact: lower_taps() refuses longer axes
        table[2 * k + 1] = 1;
    }
    const uint32_t out = lower_taps(l, a, axis, made, 1, table, fill);
    free(table);
    return out;
}

static int64_t *places(const struct lower *l, uint64_t count)
{
    int64_t *p = NULL;
    if (count > GRAPH_WHOLE_MAX)
        err_set(l->err, ERR_UNSUPPORTED, "an axis of %" PRIu64, count);
    else if (!(p = calloc(count + 1, sizeof *p)))
        err_set(l->err, ERR_NOMEM, "no memory");
    return p;
}

static uint32_t lower_gather(const struct lower *l)
{
    const struct graph_value v = *lower_in(l, 0), which = *lower_in(l, 1);
    uint32_t axis = 0, dim[ONNX_RANK_MAX], rank = 0;
    if (!lower_axis(l, lower_int(l, "axis", 0), v.rank, &axis))
        return 0;
    if (!which.i || v.rank - 1 + which.rank > ONNX_RANK_MAX)
        return err_set(l->err, ERR_UNSUPPORTED, "places that are not constant, or too many axes");
    int64_t *place = places(l, which.count);
    if (!place)
        return 0;
    bool ok = true;
    for (uint64_t k = 0; k < which.count && ok; k++) {
        place[k] = which.i[k] < 0 ? which.i[k] + v.dim[axis] : which.i[k];
        ok = (place[k] >= 0 && place[k] < v.dim[axis]) ||
             err_set(l->err, ERR_INPUT, "place %" PRId64 " of %" PRIu32, which.i[k], v.dim[axis]);
    }
    for (uint32_t k = 0; k < v.rank; k++) {
        if (k != axis)
            dim[rank++] = v.dim[k];
        for (uint32_t w = 0; k == axis && w < which.rank; w++)
            dim[rank++] = which.dim[w];
    }
    const uint32_t taken =
        ok ? take_places(l, l->in[0], axis, (uint32_t)which.count, place, 0) : GRAPH_NONE;
    free(place);
    return taken != GRAPH_NONE && lower_done(l, graph_reshape(l->g, taken, rank, dim, l->err));
}

static uint32_t lower_tile(const struct lower *l)
{
    int64_t times[ONNX_LIST_MAX];
    uint32_t count = 0, at = l->in[0];
    const struct graph_value v = *lower_in(l, 0);
    if (!lower_ints(l, "repeats", 1, times, &count))
        return 0;
    if (count != v.rank)
        return err_set(l->err, ERR_INPUT, "%" PRIu32 " repeats of %" PRIu32 " axes", count, v.rank);
    for (uint32_t k = 0; k < v.rank; k++) {
        if (times[k] < 0 || times[k] > GRAPH_WHOLE_MAX)
            return err_set(l->err, ERR_INPUT, "%" PRId64 " repeats", times[k]);
        const uint64_t made = (uint64_t)times[k] * v.dim[k];
        int64_t *place = times[k] == 1 ? NULL : places(l, made);
        if (times[k] == 1)
            continue;
        for (uint64_t p = 0; place && p < made; p++)
            place[p] = (int64_t)(p % v.dim[k]);
        at = place ? take_places(l, at, k, (uint32_t)made, place, 0) : GRAPH_NONE;
        free(place);
        if (at == GRAPH_NONE)
            return 0;
    }
    return lower_done(l, at);
}

// ---- Padding ------------------------------------------------------------------------------------

static int64_t reflected(int64_t p, int64_t size)
{
    const int64_t period = size > 1 ? 2 * (size - 1) : 1, q = ((p % period) + period) % period;
    return q < size ? q : period - q;
}

static uint32_t pad_axis(const struct lower *l, uint32_t a, uint32_t axis, int64_t before,
                         int64_t after, const char *mode, float fill)
{
    const int64_t size = l->g->values[a].dim[axis], made = size + before + after;
    if (llabs(before) > GRAPH_WHOLE_MAX || llabs(after) > GRAPH_WHOLE_MAX || made < 0) {
        err_set(l->err, ERR_INPUT, "pads of %" PRId64 " and %" PRId64, before, after);
        return GRAPH_NONE;
    }
    int64_t *place = places(l, (uint64_t)made);
    if (!place)
        return GRAPH_NONE;
    for (int64_t k = 0; k < made; k++) {
        const int64_t p = k - before;
        if (strcmp(mode, "edge") == 0)
            place[k] = lower_within(p, 0, size - 1);
        else if (strcmp(mode, "reflect") == 0)
            place[k] = reflected(p, size);
        else if (strcmp(mode, "wrap") == 0)
            place[k] = size ? ((p % size) + size) % size : -1;
        else
            place[k] = p >= 0 && p < size ? p : -1;
    }
    const uint32_t out = take_places(l, a, axis, (uint32_t)made, place, fill);
    free(place);
    return out;
}

static bool is_pad_mode(const char *mode)
{
    return strcmp(mode, "constant") == 0 || strcmp(mode, "edge") == 0 ||
           strcmp(mode, "reflect") == 0 || strcmp(mode, "wrap") == 0;
}

static uint32_t lower_pad(const struct lower *l)
{
    const struct graph_value v = *lower_in(l, 0), *given = lower_in(l, 2);
    const struct onnx_attr *m = lower_attr(l, "mode");
    const char *mode = m && *m->text ? m->text : "constant";
    int64_t pads[ONNX_LIST_MAX], axes[ONNX_LIST_MAX];
    uint32_t count = 0, axis_count = 0, at = l->in[0];
    float fill = lower_float(l, "value", 0);
    if (!lower_ints(l, "pads", 1, pads, &count) || !lower_ints(l, "axes", 3, axes, &axis_count))
        return 0;
    for (uint32_t k = 0; !axis_count && k < v.rank; k++)
        axes[k] = k;
    axis_count = axis_count ? axis_count : v.rank;
    if (count != 2 * axis_count || !is_pad_mode(mode))
        return err_set(l->err, ERR_UNSUPPORTED, "mode %s, %" PRIu32 " pads", mode, count);
    if (given && (given->count != 1 || !(given->f || given->i)))
        return err_set(l->err, ERR_UNSUPPORTED, "the value is not one constant");
    if (given)
        fill = given->f ? given->f[0] : (float)given->i[0];
    for (uint32_t k = 0; k < axis_count; k++) {
        uint32_t axis = 0;
        if (!lower_axis(l, axes[k], v.rank, &axis))
            return 0;
        if (pads[k] || pads[k + axis_count])
            at = pad_axis(l, at, axis, pads[k], pads[k + axis_count], mode, fill);
        if (at == GRAPH_NONE)
            return 0;
    }
    return lower_done(l, at);
}

// ---- Resizing -----------------------------------------------------------------------------------

// Source of what follows: the description of Resize in ONNX's operator list.
struct resize {
    const char *mode, *place, *nearest;
    float cubic_a, outside;
    bool exclude;        // taps beyond the edge count nothing
    float from, to;      // of the axis, "tf_crop_and_resize"
    uint32_t size, made; // of the axis
    double scale;
};

// Where number i comes from.
static double source_of(const struct resize *r, uint32_t i)
{
    const double size = r->size, made = r->made, x = i;
    if (strcmp(r->place, "asymmetric") == 0)
        return x / r->scale;
    if (strcmp(r->place, "align_corners") == 0)
        return made > 1 ? x * (size - 1) / (made - 1) : 0;
    if (strcmp(r->place, "pytorch_half_pixel") == 0 && r->made <= 1)
        return 0;
    if (strcmp(r->place, "half_pixel_symmetric") == 0) {
        const double adjustment = made / (r->scale * size), centre = size / 2;
        return centre * (1 - adjustment) + (x + 0.5) / r->scale - 0.5;
    }
    if (strcmp(r->place, "tf_crop_and_resize") == 0)
        return made > 1 ? (double)r->from * (size - 1) +
                              x * (double)(r->to - r->from) * (size - 1) / (made - 1)
                        : 0.5 * (double)(r->from + r->to) * (size - 1);
    if (strcmp(r->place, "tf_half_pixel_for_nn") == 0)
        return (x + 0.5) / r->scale;
    return (x + 0.5) / r->scale - 0.5;
}

static double nearest_of(const struct resize *r, double x)
{
    if (strcmp(r->nearest, "floor") == 0)
        return floor(x);
    if (strcmp(r->nearest, "ceil") == 0)
        return ceil(x);
    if (strcmp(r->nearest, "round_prefer_ceil") == 0)
        return floor(x + 0.5);
    return ceil(x - 0.5);
}

static uint32_t tap_count(const struct resize *r)
{
    return strcmp(r->mode, "nearest") == 0 ? 1 : strcmp(r->mode, "linear") == 0 ? 2 : CUBIC_TAPS;
}

// Of the taps at floor(x) - 1 to floor(x) + 2. Source: Keys 1981.
static void cubic_weights(double a, double t, double out[CUBIC_TAPS])
{
    for (int k = 0; k < (int)CUBIC_TAPS; k++) {
        const double d = fabs(t - (k - 1));
        out[k] = d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1
                        : ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
    }
}

// The taps of number i: [tap] of place and weight.
static void taps_of(const struct resize *r, uint32_t i, float *out)
{
    const double x = source_of(r, i), low = floor(x), t = x - low;
    const uint32_t taps = tap_count(r);
    double weight[CUBIC_TAPS] = {1 - t, t}, first = low, sum = 0;
    if (taps == 1) {
        first = nearest_of(r, x);
        weight[0] = 1;
    } else if (taps == CUBIC_TAPS) {
        cubic_weights((double)r->cubic_a, t, weight);
        first = low - 1;
    }
    const bool beyond = strcmp(r->place, "tf_crop_and_resize") == 0 && (x < 0 || x > r->size - 1.0);
    for (uint32_t k = 0; k < taps; k++) {
        const double at = first + k;
        if (r->exclude && (at < 0 || at > r->size - 1.0))
            weight[k] = 0;
        sum += weight[k];
        out[2 * k] = beyond ? -1 : (float)fmin(fmax(at, 0), r->size - 1.0);
    }
    for (uint32_t k = 0; k < taps; k++)
        out[2 * k + 1] = (float)(beyond ? k == 0 : r->exclude ? weight[k] / sum : weight[k]);
}

static uint32_t resize_axis(const struct lower *l, uint32_t a, uint32_t axis,
                            const struct resize *r)
{
    const uint32_t taps = tap_count(r);
    float *table = malloc((2UL * taps * r->made + 1) * sizeof *table);
    if (!table) {
        err_set(l->err, ERR_NOMEM, "no memory");
        return GRAPH_NONE;
    }
    for (uint32_t i = 0; i < r->made; i++)
        taps_of(r, i, table + 2UL * taps * i);
    const uint32_t out = lower_taps(l, a, axis, r->made, taps, table, r->outside);
    free(table);
    return out;
}

static bool resize_read(const struct lower *l, struct resize *r)
{
    static const char *const places_known[] = {
        "half_pixel",         "asymmetric",           "align_corners",        "pytorch_half_pixel",
        "tf_crop_and_resize", "half_pixel_symmetric", "tf_half_pixel_for_nn", NULL};
    static const char *const modes_known[] = {"nearest", "linear", "cubic", NULL};
    static const char *const nearest_known[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                                "ceil", NULL};
    const bool old = l->g->model->opset < 11;
    const struct {
        const char *name, **out;
        const char *absent;
        const char *const *known;
    } texts[] = {
        {"mode", &r->mode, "nearest", modes_known},
        {"coordinate_transformation_mode", &r->place, old ? "asymmetric" : "half_pixel",
         places_known},
        {"nearest_mode", &r->nearest, old ? "floor" : "round_prefer_floor", nearest_known}};
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        const struct onnx_attr *a = lower_attr(l, texts[k].name);
        *texts[k].out = a && *a->text ? a->text : texts[k].absent;
        const char *const *known = texts[k].known;
        while (*known && strcmp(*known, *texts[k].out) != 0)
            known++;
        if (!*known)
            return err_set(l->err, ERR_UNSUPPORTED, "%s %s", texts[k].name, *texts[k].out);
    }
    const struct onnx_attr *policy = lower_attr(l, "keep_aspect_ratio_policy");
    if (lower_int(l, "antialias", 0) ||
        (policy && *policy->text && strcmp(policy->text, "stretch") != 0))
        return err_set(l->err, ERR_UNSUPPORTED, "antialias, or keep_aspect_ratio_policy");
    r->cubic_a = lower_float(l, "cubic_coeff_a", -0.75f);
    r->outside = lower_float(l, "extrapolation_value", 0);
    r->exclude = lower_int(l, "exclude_outside", 0) != 0;
    return true;
}

// Constant floats of input i or of an attribute. NULL with *count 0: there are none.
static bool float_list(const struct lower *l, const char *name, uint32_t i, const float **out,
                       uint32_t *count)
{
    const struct onnx_attr *a = lower_attr(l, name);
    const struct graph_value *v = lower_in(l, i);
    *out = a ? a->floats : v ? v->f : NULL;
    *count = a ? a->float_count : v && v->f && v->count <= ONNX_LIST_MAX ? (uint32_t)v->count : 0;
    return a || !v || !v->count || (v->f && v->count <= ONNX_LIST_MAX) ||
           err_set(l->err, ERR_UNSUPPORTED, "%s: not constant, or too many", name);
}

// Which axes the lists are of.
static bool resize_axes(const struct lower *l, uint32_t rank, uint32_t *axes, uint32_t *count)
{
    int64_t list[ONNX_LIST_MAX];
    *count = 0;
    if (lower_attr(l, "axes") && !lower_ints(l, "axes", ONNX_LIST_MAX, list, count))
        return false;
    for (uint32_t k = 0; k < *count; k++) {
        if (k >= ONNX_RANK_MAX || !lower_axis(l, list[k], rank, &axes[k]))
            return err_set(l->err, ERR_INPUT, "%" PRIu32 " axes", *count);
    }
    for (uint32_t k = 0; !*count && k < rank; k++)
        axes[k] = k;
    *count = *count ? *count : rank;
    return true;
}

static uint32_t lower_resize(const struct lower *l)
{
    const struct graph_value v = *lower_in(l, 0);
    const bool old = l->g->model->opset < 11 || l->n->op[0] == 'U'; // Upsample
    struct resize r;
    const float *scales = NULL, *roi = NULL;
    int64_t sizes[ONNX_LIST_MAX];
    uint32_t axes[ONNX_RANK_MAX], count = 0, scale_count = 0, size_count = 0, roi_count = 0;
    uint32_t at = l->in[0];
    if (!resize_read(l, &r) || !resize_axes(l, v.rank, axes, &count) ||
        !float_list(l, "scales", old ? 1 : 2, &scales, &scale_count) ||
        (!old && !float_list(l, "roi", 1, &roi, &roi_count)) ||
        (!old && !lower_ints(l, "sizes", 3, sizes, &size_count)))
        return 0;
    const bool cropped = strcmp(r.place, "tf_crop_and_resize") == 0;
    if (size_count ? size_count != count : scale_count != count)
        return err_set(l->err, ERR_INPUT, "%" PRIu32 " scales or sizes of %" PRIu32 " axes",
                       size_count ? size_count : scale_count, count);
    if (cropped && roi_count != 2 * count)
        return err_set(l->err, ERR_INPUT, "a roi of %" PRIu32 " numbers", roi_count);
    for (uint32_t k = 0; k < count; k++) {
        r.size = v.dim[axes[k]];
        r.from = cropped ? roi[k] : 0;
        r.to = cropped ? roi[k + count] : 1;
        r.scale = size_count ? (double)sizes[k] / r.size : (double)scales[k];
        const double made = size_count ? (double)sizes[k]
                            : cropped  ? floor(r.size * (double)(r.to - r.from) * r.scale)
                                       : floor(r.size * r.scale);
        if (!(made >= 1) || made > GRAPH_WHOLE_MAX || !(r.scale > 0))
            return err_set(l->err, ERR_INPUT, "an axis of %" PRIu32 " to %g", r.size, made);
        r.made = (uint32_t)made;
        // What the axis is aligned with then is the description's length of a fraction, or the
        // whole one of PyTorch and others.
        if (strcmp(r.place, "align_corners") == 0 && fabs(r.scale * r.size - made) > 1e-3)
            return err_set(l->err, ERR_UNSUPPORTED, "align_corners with %g voxels",
                           r.scale * r.size);
        if (r.made == r.size && r.scale == 1 && !(cropped && (r.from != 0 || r.to != 1)))
            continue;
        at = resize_axis(l, at, axes[k], &r);
        if (at == GRAPH_NONE)
            return 0;
    }
    return lower_done(l, at);
}

const struct lower_op lower_ops_place[] = {
    {"Gather", 1, 2, lower_gather},  {"Pad", 2, 1, lower_pad},         {"Tile", 6, 2, lower_tile},
    {"Resize", 10, 1, lower_resize}, {"Upsample", 7, 1, lower_resize}, {NULL, 0, 0, NULL},
};
