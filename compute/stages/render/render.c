#include "compute/stages/render/render.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compute/findings/outline.h"
#include "compute/image/convolution.h"
#include "compute/image/reduce.h"
#include "compute/stages/render/render_body.h"
#include "compute/stages/render/render_cast.h"
#include "compute/stages/render/render_mpr.h"
#include "compute/stages/render/render_params.h"
#include "compute/stages/render/render_picture.h"
#include "compute/stages/render/render_preset.h"
#include "compute/stages/render/render_view.h"

// ---- The work -----------------------------------------------------------------------------------

static const double mip_window[2] = {300, 1000}; // HU: from fat to bone and calcium
static const double plane_window[2] = {40, 400}; // HU: soft tissue
// Of all planes of a job, in bytes: beside a volume of 512 x 512 x 512 the job stays below 500 MB.
static const uint64_t plane_bytes_max = 192ULL << 20;

struct render_job {
    const struct stage_run *run;
    struct findings *f;
    struct err *err;
    uint32_t image;
    const struct image *whole; // as it was received
    const struct image *v;     // that is shown: grid, or that of the volume reduced
    struct image reduced;
    uint32_t factor[3]; // voxels of whole in one of v
    bool ct, cut;
    struct gpu_volume *volume;
    struct render_scene scene;
    double box[2][3]; // voxel indices that are shown
    double step_mm;
    uint32_t frames, size, done, films; // films: all that are made
    struct render_camera *cameras;      // of the arena, as the next two
    double *angles;
    struct render_view *views;
    double pixel_mm;
    uint32_t planes; // that were made
};

// The slice in the middle, of those that were received.
static uint32_t shown_slice(const struct render_job *j)
{
    const uint32_t middle = j->v->dim[2] / 2;
    return (uint32_t)image_unreduced(middle, j->factor[2]);
}

// Frees the whole mask but for the outline of its middle slice, which the page shows.
static bool outline_body(struct render_job *j, const struct gpu_mask *body)
{
    const uint32_t k = j->v->dim[2] / 2, columns = j->v->dim[0], rows = j->v->dim[1];
    uint32_t *words = arena_alloc(j->run->arena, body->slice, sizeof *words), count = 0;
    uint8_t *bytes = arena_alloc(j->run->arena, (size_t)columns * rows, 1);
    struct outline *outlines = NULL;
    struct layer *layer = findings_add_layer(j->f);
    if (!words || !bytes || !layer)
        return err_set(j->err, ERR_NOMEM, "render: no memory for an outline");
    if (!gpu_mask_read_words(body, k, k + 1, words, j->err))
        return false;
    for (uint32_t y = 0; y < rows; y++) {
        for (uint32_t x = 0; x < columns; x++)
            bytes[(size_t)y * columns + x] = words[y * body->row + x / 32] >> (x % 32) & 1;
    }
    layer->name = "SHOWN";
    layer->description = "What is outside is left out of the pictures";
    memcpy(layer->rgb, (const uint8_t[3]){255, 210, 60}, sizeof layer->rgb);
    if (!outline_trace(bytes, columns, rows, (uint32_t[]){0, 0}, j->f->arena, &outlines, &count))
        return err_set(j->err, ERR_NOMEM, "render: no memory for an outline");
    for (uint32_t n = 0; n < count; n++) {
        for (uint32_t i = 0; i < 2 * outlines[n].count; i++)
            outlines[n].points[i] *= (float)j->factor[i % 2];
        struct mark *m = findings_add_mark(j->f);
        if (m)
            *m = (struct mark){.kind = MARK_POLYLINE,
                               .place = {j->image, shown_slice(j), 0},
                               .group = -1,
                               .points = outlines[n].points,
                               .count = outlines[n].count};
    }
    return true;
}

static bool cut_table(struct render_job *j)
{
    uint32_t box[2][3] = {{0}};
    bool empty = false;
    struct gpu_mask *body = render_body(j->volume, box, &empty, j->err);
    if (!body && empty) {
        findings_add_warning(j->f, "No body was found: nothing was left out of the pictures");
        return true;
    }
    const bool ok = body && outline_body(j, body) && render_cut(j->volume, body, j->err);
    gpu_mask_destroy(body);
    for (int i = 0; i < 3; i++) {
        j->box[0][i] = box[0][i];
        j->box[1][i] = box[1][i];
    }
    j->cut = ok;
    return ok;
}

static bool plane_step(void *ctx, double done, struct err *err)
{
    const struct render_job *j = ctx;
    return stage_step(j->run, "cutting planes", 0.1 + 0.1 * done, err);
}

static struct render_cut_wish plane_wish(const struct render_job *j, unsigned set)
{
    const struct param_value *p = j->run->params;
    const double *mm = j->v->spacing;
    struct render_cut_wish w = {.name = render_plane_sets[set].name,
                                .title = render_plane_sets[set].title,
                                .method = render_blends[p[P_PLANE_BLEND].choice],
                                .mode = render_blend_modes[p[P_PLANE_BLEND].choice],
                                .pixel_mm = p[P_PLANE_PIXEL].number,
                                .spacing_mm = p[P_PLANE_MM].number,
                                .thickness_mm = p[P_PLANE_THICKNESS].number,
                                .step_mm = j->step_mm};
    if (!(w.pixel_mm > 0))
        w.pixel_mm = fmin(fmin(mm[0], mm[1]), mm[2]);
    if (isnan(render_plane_sets[set].angle_deg))
        render_camera_around(p[P_PLANE_ANGLE].number, p[P_PLANE_ELEVATION].number, &w.camera);
    else
        render_camera_around(render_plane_sets[set].angle_deg, render_plane_sets[set].elevation_deg,
                             &w.camera);
    return w;
}

// The window of what is no CT: of the plane in the middle.
static bool window_planes(const struct render_job *j, struct reformat *r)
{
    const size_t area = (size_t)r->dim[0] * r->dim[1];
    const int16_t *middle = r->values + r->dim[2] / 2 * area;
    float *values = malloc(area * sizeof *values);
    if (!values)
        return err_set(j->err, ERR_NOMEM, "render: no memory for a plane");
    for (size_t n = 0; n < area; n++)
        values[n] = r->padded && middle[n] == r->padding ? RENDER_NOTHING : middle[n];
    render_window(values, area, r->window);
    free(values);
    return true;
}

static bool make_plane_set(struct render_job *j, const struct render_scene *scene, unsigned set,
                           uint64_t *left)
{
    struct render_cut_wish wish = plane_wish(j, set);
    uint32_t dim[3];
    if (!render_mpr_size(j->v, &wish, dim) || 2ULL * dim[0] * dim[1] * dim[2] > *left) {
        findings_add_warning(j->f,
                             "No %s planes: more than %llu MB in all; larger plane_pixel_mm or "
                             "plane_spacing_mm make them fit",
                             wish.name, (unsigned long long)(plane_bytes_max >> 20));
        return true;
    }
    *left -= 2ULL * dim[0] * dim[1] * dim[2];
    if (j->v == &j->reduced)
        wish.title = arena_printf(j->f->arena, "%s of means of %u x %u x %u voxels", wish.title,
                                  j->factor[0], j->factor[1], j->factor[2]);
    if (!wish.title)
        return err_set(j->err, ERR_NOMEM, "render: no memory for a text");
    struct reformat *r = render_mpr(scene, j->v, j->image, &wish, j->f, plane_step, j, j->err);
    if (!r)
        return false;
    memcpy(r->window, plane_window, sizeof r->window);
    for (uint32_t n = 0; n < dim[2]; n++) {
        r->slices[n][0] *= j->factor[2];
        r->slices[n][1] = r->slices[n][1] * j->factor[2] + j->factor[2] - 1;
    }
    if (!j->ct && !window_planes(j, r))
        return false;
    j->planes += dim[2];
    return findings_add_fact(j->f,
                             "%s: %u of %u x %u pixels of %.3f mm, every %.2f mm, %s of %.2f mm",
                             wish.title, dim[2], dim[0], dim[1], wish.pixel_mm, wish.spacing_mm,
                             wish.method, wish.thickness_mm) ||
           err_set(j->err, ERR_NOMEM, "render: no memory for a fact");
}

// Of the whole volume, with table, before anything is cut away.
static bool make_plane_sets(struct render_job *j)
{
    const char *modality = image_text(j->run->set, j->whole, "Modality");
    uint64_t left = plane_bytes_max;
    struct render_scene scene = {0};
    char name[16];
    if (!(j->run->kinds & RESULT_MPR) || !*j->run->params[P_PLANES].text)
        return true;
    if (strcmp(modality, "CT") != 0 && strcmp(modality, "MR") != 0) {
        findings_add_warning(j->f, "No planes: they are made of CT and MR only");
        return true;
    }
    if (!image_has_reference(j->run->set, j->whole)) {
        findings_add_warning(j->f, "No planes: the images have no Frame of Reference");
        return true;
    }
    bool ok = render_scene_init(&scene, j->volume, RENDER_NOTHING, j->err);
    for (unsigned set = 0; ok && set < RENDER_PLANE_SETS; set++) {
        bool wanted = false;
        for (const char *at = j->run->params[P_PLANES].text; render_next_name(&at, name);)
            wanted = wanted || render_plane_set_of(name) == (int)set;
        ok = !wanted || make_plane_set(j, &scene, set, &left);
    }
    render_scene_finish(&scene);
    return ok;
}

static bool open_scene(struct render_job *j)
{
    const double *mm = j->v->spacing;
    j->step_mm = j->run->params[P_STEP].number * fmin(fmin(mm[0], mm[1]), mm[2]);
    for (int i = 0; i < 3; i++) {
        j->box[0][i] = 0;
        j->box[1][i] = j->v->dim[i] - 1.0;
    }
    if (!stage_step(j->run, "decoding", 0, j->err))
        return false;
    j->volume = image_load_reduced(j->run->gpu, j->run->set, j->whole, j->factor, j->err);
    if (!j->volume || !make_plane_sets(j) || !stage_step(j->run, "finding the body", 0.2, j->err))
        return false;
    if (j->ct && j->run->params[P_TABLE].truth && !cut_table(j))
        return false;
    return render_scene_init(&j->scene, j->volume, j->ct ? -1024 : RENDER_NOTHING, j->err);
}

static bool place_cameras(struct render_job *j)
{
    const struct param_value *p = j->run->params;
    const double arc = p[P_ARC].number;
    j->frames = (uint32_t)p[P_FRAMES].integer;
    j->size = (uint32_t)p[P_SIZE].integer;
    j->cameras = arena_alloc(j->run->arena, j->frames, sizeof *j->cameras);
    j->angles = arena_alloc(j->run->arena, j->frames, sizeof *j->angles);
    j->views = arena_alloc(j->run->arena, j->frames, sizeof *j->views);
    if (!j->cameras || !j->angles || !j->views)
        return err_set(j->err, ERR_NOMEM, "render: no memory for %u views", j->frames);
    const double parts = fabs(arc) < 360 && j->frames > 1 ? j->frames - 1.0 : j->frames;
    for (uint32_t n = 0; n < j->frames; n++) {
        j->angles[n] = p[P_ANGLE].number + arc * n / parts;
        render_camera_around(j->angles[n], p[P_ELEVATION].number, &j->cameras[n]);
    }
    j->pixel_mm = render_fit(j->v, j->box[0], j->box[1], j->cameras, j->frames, j->size, j->step_mm,
                             j->views);
    return true;
}

static struct render_film film_of(const struct render_job *j, const char *name, const char *title,
                                  const char *remark)
{
    return (struct render_film){.name = name,
                                .title = title,
                                .remark = remark,
                                .cameras = j->cameras,
                                .angles = j->angles,
                                .frames = j->frames,
                                .size = j->size,
                                .pixel_mm = j->pixel_mm,
                                .frame_ms = j->run->params[P_FRAME_MS].number};
}

static bool film_step(const struct render_job *j, uint32_t frame)
{
    const double share = (j->done + (double)frame / j->frames) / j->films;
    return stage_step(j->run, "casting rays", 0.2 + 0.7 * share, j->err);
}

static bool make_projection(struct render_job *j, unsigned which)
{
    struct findings *f = j->f;
    const size_t pixels = (size_t)j->size * j->size;
    const struct param_value *p = j->run->params;
    double window[2] = {p[P_CENTRE].number, p[P_WIDTH].number};
    float *values = malloc(j->frames * pixels * sizeof *values);
    uint32_t *rgb = malloc(pixels * sizeof *rgb);
    bool ok = values && rgb;
    if (!ok)
        err_set(j->err, ERR_NOMEM, "render: no memory for %u views", j->frames);
    for (uint32_t n = 0; ok && n < j->frames; n++)
        ok = film_step(j, n) && render_project(&j->scene, render_projections[which].mode,
                                               &j->views[n], 1, values + n * pixels, j->err);
    if (!(window[1] > 0) && j->ct && render_projections[which].mode == RENDER_MAXIMUM)
        memcpy(window, mip_window, sizeof window);
    if (ok && !(window[1] > 0))
        render_window(values, j->frames * pixels, window);
    const char *remark = arena_printf(f->arena, "Window %.0f / %.0f%s", window[0], window[1],
                                      j->cut ? ", table left out" : "");
    const struct render_film film =
        film_of(j, render_projections[which].name, render_projections[which].title, remark);
    uint8_t *out = NULL;
    if (ok && !remark)
        ok = err_set(j->err, ERR_NOMEM, "render: no memory for a text");
    ok = ok && (out = render_film_begin(f, &film, j->err));
    for (uint32_t n = 0; ok && n < j->frames; n++) {
        render_grey(values + n * pixels, pixels, window, rgb);
        ok = render_film_draw(&film, out, n, rgb, j->err);
    }
    free(rgb);
    free(values);
    return ok;
}

static bool make_rendering(struct render_job *j, const char *name)
{
    struct findings *f = j->f;
    const char *title = arena_printf(f->arena, "Volume rendering: %s", name);
    const struct render_film film =
        film_of(j, arena_strdup(f->arena, name), title,
                j->cut ? "Table left out; no values can be read" : "No values can be read");
    struct render_look *look = malloc(sizeof *look);
    uint32_t *rgb = malloc((size_t)j->size * j->size * sizeof *rgb);
    uint8_t *out = NULL;
    bool ok = look && rgb && title && film.name;
    if (!ok)
        err_set(j->err, ERR_NOMEM, "render: no memory for a view");
    ok = ok && (out = render_film_begin(f, &film, j->err));
    ok = ok && render_preset(name, j->step_mm, look) && render_dress(&j->scene, look, j->err);
    for (uint32_t n = 0; ok && n < j->frames; n++)
        ok = film_step(j, n) && render_shade(&j->scene, &j->views[n], 1, rgb, j->err) &&
             render_film_draw(&film, out, n, rgb, j->err);
    free(rgb);
    free(look);
    return ok;
}

// ---- Which pictures -----------------------------------------------------------------------------

struct wishes {
    char names[RENDER_FILMS_MAX][16];
    unsigned count;
};

static void add_wish(struct wishes *w, const char *name)
{
    for (unsigned n = 0; n < w->count; n++) {
        if (strcmp(w->names[n], name) == 0)
            return;
    }
    if (w->count < RENDER_FILMS_MAX)
        snprintf(w->names[w->count++], sizeof w->names[0], "%s", name);
}

static void read_wishes(const struct render_job *j, struct wishes *w)
{
    char name[16];
    for (const char *at = j->run->params[P_PICTURES].text; render_next_name(&at, name);) {
        if (render_projection_of(name) < 0 && !j->ct)
            findings_add_warning(j->f, "No picture \"%s\": the values are no Hounsfield units",
                                 name);
        else
            add_wish(w, name);
    }
}

static bool describe_films(struct render_job *j)
{
    struct findings *f = j->f;
    const double *mm = j->v->spacing;
    struct page_image *p = findings_add_image(f);
    char name[64];
    if (p) {
        p->place = (struct place){j->image, shown_slice(j), 0};
        image_place_name(j->run->set, j->image, p->place.slice, 0, name, sizeof name);
        p->caption =
            arena_printf(f->arena, j->cut ? "%s: outside the line is left out" : "%s", name);
    }
    f->page.headline = j->planes
                           ? arena_printf(f->arena, "%u pictures of %u views, %u planes", j->films,
                                          j->frames, j->planes)
                           : arena_printf(f->arena, "%u pictures of %u views", j->films, j->frames);
    f->verdict = VERDICT_DONE;
    f->reason = "";
    findings_add_fact(f, "Volume: %u x %u x %u voxels of %.3f x %.3f x %.3f mm, tilt %.1f degrees",
                      j->v->dim[0], j->v->dim[1], j->v->dim[2], mm[0], mm[1], mm[2],
                      j->v->tilt_deg);
    findings_add_fact(f, "Parallel rays, %.3f mm a pixel, samples %.3f mm apart, trilinear",
                      j->pixel_mm, j->step_mm);
    return (p && p->caption && f->page.headline) ||
           err_set(j->err, ERR_NOMEM, "render: no memory for the findings");
}

static bool make_films(struct render_job *j, const struct wishes *w)
{
    bool ok = open_scene(j) && place_cameras(j);
    for (j->done = 0; ok && j->done < w->count; j->done++) {
        const int which = render_projection_of(w->names[j->done]);
        ok =
            which >= 0 ? make_projection(j, (unsigned)which) : make_rendering(j, w->names[j->done]);
    }
    render_scene_finish(&j->scene);
    gpu_volume_destroy(j->volume);
    return ok && describe_films(j);
}

static uint64_t volume_bytes_max(const struct render_job *j)
{
    const uint64_t device = render_bytes_max(j->run->gpu);
    const double wished = j->run->params[P_VOLUME].number * (1 << 20);
    return wished > 0 && wished < (double)device ? (uint64_t)wished : device;
}

// What is too large is shown as means of blocks of voxels, and that is said.
static bool reduce_volume(struct render_job *j)
{
    const uint32_t *by = j->factor;
    if (!image_reduce_factors(j->whole, volume_bytes_max(j), j->factor))
        return false;
    if (by[0] * by[1] * by[2] == 1)
        return true;
    image_reduce(j->whole, j->factor, &j->reduced);
    j->v = &j->reduced;
    findings_add_warning(j->f,
                         "%u x %u x %u voxels take more than %llu MB: all that is shown is of "
                         "means of %u x %u x %u of them, of %.3f x %.3f x %.3f mm",
                         j->whole->dim[0], j->whole->dim[1], j->whole->dim[2],
                         (unsigned long long)(volume_bytes_max(j) >> 20), by[0], by[1], by[2],
                         j->v->spacing[0], j->v->spacing[1], j->v->spacing[2]);
    return true;
}

static enum stage_end run_render(const struct stage_run *run, struct findings *out, struct err *err)
{
    struct wishes wishes = {.count = 0};
    struct render_job j = {.run = run, .f = out, .err = err, .image = run->slots[0].images[0]};
    j.whole = j.v = &run->set->images[j.image];
    j.ct = strcmp(j.v->unit, "[hnsf'U]") == 0;
    out->page.title = "3-D pictures";
    out->procedure = (struct code){"113074", "DCM", "Volume rendering"};
    if (j.v->type != IMAGE_I16)
        return stage_refuse(out, "the values are no whole numbers of 16 bits");
    if (j.v->duplicates || j.v->dim[3] > 1)
        return stage_refuse(out, "several images of one place");
    if (j.v->dim[2] < 3 || !(j.v->spacing[2] > 0))
        return stage_refuse(out, "%u slices are no volume: 3 are needed", j.v->dim[2]);
    if (!reduce_volume(&j))
        return stage_refuse(out, "%u x %u x %u voxels are more than can be reduced to %llu MB",
                            j.v->dim[0], j.v->dim[1], j.v->dim[2],
                            (unsigned long long)(volume_bytes_max(&j) >> 20));
    read_wishes(&j, &wishes);
    j.films = wishes.count;
    if (!wishes.count)
        return stage_refuse(out, "none of the pictures \"%s\" can be made of these values",
                            run->params[P_PICTURES].text);
    return make_films(&j, &wishes) ? STAGE_DONE : STAGE_BROKEN;
}

// ---- The row ------------------------------------------------------------------------------------

static const struct stage_accept accepts[] = {{"Modality", "/^(CT|MR|PT)$/"}, {0}};
static const struct stage_preference prefers[] = {
    {"ImageType", {"ORIGINAL", NULL}, 0, "as acquired", NULL},
    {"ConvolutionKernel", {NULL}, 0, "soft kernel", image_kernel_is_soft},
    {"SliceThickness", {"> 0", "<= 2"}, 1, "thin slices", NULL},
    {0},
};
static const struct stage_input_spec inputs[] = {
    {"volume", "CT, MR or PET of parallel slices", INPUT_ONE, IMAGE_NO_AXIS, true, accepts,
     prefers},
};
static const struct kernel_group *const kernels[] = {
    &kernels_shrink,     &kernels_masks,  &kernels_ball, &kernels_coarse,
    &kernels_components, &kernels_render, NULL};

const struct stage stage_render = {
    .name = "render",
    .title = "3-D pictures",
    .version = "4",
    .slot = 30,
    .help = "Pictures of a volume that turn, and planes of any angle cut through it.",
    .scope = SCOPE_SERIES,
    .inputs = inputs,
    .input_count = 1,
    .results = RESULT_SR | RESULT_SC | RESULT_MPR,
    .report = REPORT_MEASUREMENTS,
    .params = render_params,
    .param_count = P_COUNT,
    .kernels = kernels,
    .run = run_render,
};
