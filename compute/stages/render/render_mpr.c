#include "compute/stages/render/render_mpr.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// Voxels, and parts of a whole: what differs by less from a whole number is that number, so that
// rounding puts no pixel outside the outermost voxels. A thousandth of a voxel moves nothing that
// can be seen or measured.
static const double whole_room = 1e-3;
static const double border_room = 2e-4; // voxels: floats of up to 2048 are as fine
static const double no_cosine = 1e-9;   // cos 90 degrees is not 0 in floating point

// The grid of a set, in mm.
struct mpr_grid {
    double axes[3][3], first[3];
    uint32_t dim[3];
};

static bool grid_of(const struct image *img, const struct render_cut_wish *w, struct mpr_grid *g)
{
    const double *axes[3] = {w->camera.right, w->camera.down, w->camera.into};
    const double mm[3] = {w->pixel_mm, w->pixel_mm, w->spacing_mm};
    const double last[3] = {img->dim[0] - 1.0, img->dim[1] - 1.0, img->dim[2] - 1.0};
    double centre[3];
    image_to_patient(img, (const double[3]){last[0] / 2, last[1] / 2, last[2] / 2}, centre);
    memcpy(g->first, centre, sizeof centre);
    for (int a = 0; a < 3; a++) {
        double reach = 0; // of the corners from the centre
        for (int i = 0; i < 3; i++)
            g->axes[a][i] = fabs(axes[a][i]) < no_cosine ? 0 : axes[a][i];
        for (int i = 0; i < 3; i++) {
            double along = 0;
            for (int j = 0; j < 3; j++)
                along += g->axes[a][j] * img->to_patient[j][i];
            reach += fabs(along) * last[i] / 2;
        }
        const double count = floor(2 * reach / mm[a] + whole_room) + 1;
        if (!(count <= 65535))
            return false;
        g->dim[a] = (uint32_t)count;
        for (int i = 0; i < 3; i++)
            g->first[i] -= (count - 1) / 2 * mm[a] * g->axes[a][i];
    }
    return true;
}

bool render_mpr_size(const struct image *img, const struct render_cut_wish *wish, uint32_t dim[3])
{
    struct mpr_grid g;
    double inverse[3][4];
    if (!img->placed || !render_to_index(img, inverse) || !grid_of(img, wish, &g))
        return false;
    memcpy(dim, g.dim, sizeof g.dim);
    return true;
}

static double whole_index(double index)
{
    return fabs(index - rint(index)) < whole_room ? rint(index) : index;
}

// Steps of a pixel: over the whole width they stray by less than whole_room.
static double whole_step(double step, uint32_t count)
{
    return fabs(step - rint(step)) * count < whole_room ? rint(step) : step;
}

// Where a plane reaches along an index: first, the least and the greatest of its corners.
static void plane_reach(const struct render_view *v, int axis, double reach[2])
{
    reach[0] = reach[1] = v->first[axis];
    const double spans[3] = {v->right[axis] * (v->columns - 1), v->down[axis] * (v->rows - 1),
                             v->step[axis] * (v->samples - 1)};
    for (int n = 0; n < 3; n++)
        reach[spans[n] > 0] += spans[n];
}

// A plane that ends at the outermost voxels but for rounding is made to end a little before them:
// the floats of the device would else lose a line of pixels.
static void keep_inside(const struct image *img, struct render_view *v)
{
    for (int i = 0; i < 3; i++) {
        double reach[2];
        plane_reach(v, i, reach);
        const double span = reach[1] - reach[0],
                     beyond[2] = {-reach[0], reach[1] - img->dim[i] + 1.0};
        double in[2] = {0, 0};
        for (int end = 0; end < 2; end++) {
            if (fabs(beyond[end]) < whole_room)
                in[end] = fmax(beyond[end] + border_room, 0);
        }
        const bool exact = v->first[i] == rint(v->first[i]) && v->right[i] == rint(v->right[i]) &&
                           v->down[i] == rint(v->down[i]) && v->step[i] == rint(v->step[i]);
        if (exact || !(span > whole_room))
            continue;
        const double scale = (span - in[0] - in[1]) / span;
        v->first[i] = reach[0] + in[0] + (v->first[i] - reach[0]) * scale;
        v->right[i] *= scale;
        v->down[i] *= scale;
        v->step[i] *= scale;
    }
}

static void view_plane(const struct image *img, const struct render_cut_wish *w,
                       const struct mpr_grid *g, double inverse[3][4], uint32_t plane,
                       struct render_view *v)
{
    const uint32_t samples =
        w->thickness_mm > 0 ? (uint32_t)fmax(ceil(w->thickness_mm / w->step_mm), 1) : 1;
    const double apart = w->thickness_mm / samples;
    const double ahead = plane * w->spacing_mm - w->thickness_mm / 2 + apart / 2; // first sample
    *v = (struct render_view){.columns = g->dim[0],
                              .rows = g->dim[1],
                              .samples = samples,
                              .step_mm = apart > 0 ? apart : w->step_mm};
    for (int i = 0; i < 3; i++) {
        v->first[i] = inverse[i][3];
        for (int j = 0; j < 3; j++) {
            v->first[i] += inverse[i][j] * (g->first[j] + ahead * g->axes[2][j]);
            v->right[i] += inverse[i][j] * w->pixel_mm * g->axes[0][j];
            v->down[i] += inverse[i][j] * w->pixel_mm * g->axes[1][j];
            v->step[i] += inverse[i][j] * v->step_mm * g->axes[2][j];
        }
        v->first[i] = whole_index(v->first[i]);
        v->right[i] = whole_step(v->right[i], g->dim[0]);
        v->down[i] = whole_step(v->down[i], g->dim[1]);
        v->step[i] = whole_step(v->step[i], samples);
        memcpy(v->to_patient[i], img->to_patient[i], sizeof v->to_patient[i]);
    }
    keep_inside(img, v);
}

// The slices that samples of a plane lie between.
static void slices_of(const struct image *img, const struct render_view *v, uint32_t slices[2])
{
    double reach[2];
    plane_reach(v, 2, reach);
    slices[0] = (uint32_t)fmin(fmax(floor(reach[0]), 0), img->dim[2] - 1.0);
    slices[1] = (uint32_t)fmin(fmax(ceil(reach[1]), 0), img->dim[2] - 1.0);
}

// Values of a plane; RENDER_NOTHING stays what it is. Returns the least of the others.
static int16_t keep_values(const float *from, size_t count, int16_t *to, bool *gaps)
{
    int16_t least = INT16_MAX;
    for (size_t n = 0; n < count; n++) {
        const bool gap = from[n] <= (float)RENDER_NOTHING;
        to[n] = (int16_t)lrintf(from[n]);
        *gaps = *gaps || gap;
        if (!gap && to[n] < least)
            least = to[n];
    }
    return least;
}

// Outside the volume stands what is below all values inside and darker than air, or than no signal:
// viewers that do not know of padding show it as black.
static void pad(struct reformat *r, const struct image *img, int16_t least)
{
    const int16_t dark = strcmp(img->unit, "[hnsf'U]") == 0 ? -1024 : 0;
    const size_t count = (size_t)r->dim[0] * r->dim[1] * r->dim[2];
    r->padded = true;
    least = least < dark ? least : dark;
    r->padding = least > RENDER_NOTHING ? (int16_t)(least - 1) : RENDER_NOTHING;
    for (size_t n = 0; n < count; n++) {
        if (r->values[n] == RENDER_NOTHING)
            r->values[n] = r->padding;
    }
}

struct reformat *render_mpr(const struct render_scene *scene, const struct image *img,
                            uint32_t index, const struct render_cut_wish *wish, struct findings *f,
                            bool (*step)(void *ctx, double done, struct err *err), void *ctx,
                            struct err *err)
{
    struct mpr_grid g;
    double inverse[3][4];
    int16_t least = INT16_MAX;
    bool gaps = false;
    if (!render_to_index(img, inverse) || !grid_of(img, wish, &g)) {
        err_set(err, ERR_INTERNAL, "render: planes without a place");
        return NULL;
    }
    struct reformat *r = findings_add_reformat(f, index, g.dim);
    const size_t area = (size_t)g.dim[0] * g.dim[1];
    float *values = malloc(area * sizeof *values);
    bool ok = (r && values) || err_set(err, ERR_NOMEM, "render: no memory for planes");
    for (uint32_t n = 0; ok && n < g.dim[2]; n++) {
        struct render_view view;
        view_plane(img, wish, &g, inverse, n, &view);
        slices_of(img, &view, r->slices[n]);
        ok = step(ctx, (double)n / g.dim[2], err) &&
             render_project(scene, wish->mode, &view, 1, values, err);
        if (ok) {
            const int16_t low = keep_values(values, area, r->values + n * area, &gaps);
            least = low < least ? low : least;
        }
    }
    free(values);
    if (!ok)
        return NULL;
    if (gaps)
        pad(r, img, least);
    r->name = wish->name;
    r->title = wish->title;
    r->method = wish->method;
    r->thickness_mm = wish->thickness_mm;
    memcpy(r->first, g.first, sizeof r->first);
    memcpy(r->axes, g.axes, sizeof r->axes);
    r->spacing[0] = r->spacing[1] = wish->pixel_mm;
    r->spacing[2] = wish->spacing_mm;
    return r;
}
