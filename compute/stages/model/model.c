#include "compute/stages/model/model.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compute/image/load.h"
#include "compute/net/net.h"
#include "compute/stages/model/model_report.h"

struct job {
    const struct stage_run *run;
    const struct model *m;
    struct findings *f;
    struct err *err;
    uint32_t image; // index in the set
    const struct image *v;
    struct model_grid grid;
};

#define REFUSE(job, ...) (findings_refuse((job)->f, VERDICT_NOT_EVALUABLE, __VA_ARGS__), false)

static const uint32_t slices_min = 2; // a single slice has no neighbours to be resampled with

// False: refused.
static bool check_image(const struct job *j)
{
    const struct image *v = j->v;
    const struct model *m = j->m;
    char text[256];
    if (v->colour)
        return REFUSE(j, "pictures in colour, no values");
    if (v->dim[3] > 1)
        return REFUSE(j, "%s: send one of them alone", image_points_text(v, text, sizeof text));
    if (v->dim[2] < slices_min)
        return REFUSE(j, "a single slice is no volume");
    if (m->scaling == MODEL_CT && strcmp(v->unit, "[hnsf'U]") != 0)
        return REFUSE(j, "not a CT in Hounsfield units, which the network needs");
    for (int a = 0; a < 3; a++) {
        const double extent = v->spacing[a] * v->dim[a];
        if (m->coarsest_mm > 0 && !(v->spacing[a] <= m->coarsest_mm * 1.01))
            return REFUSE(j, "voxels lie %.2f mm apart (limit %.1f mm)", v->spacing[a],
                          m->coarsest_mm);
        if (m->extent_mm > 0 && !(extent >= m->extent_mm))
            return REFUSE(j,
                          "the image reaches over %.0f mm only (at least %.0f mm along each "
                          "axis)",
                          extent, m->extent_mm);
    }
    return true;
}

static bool net_progress(void *ctx, double done, struct err *err)
{
    const struct job *j = ctx;
    return stage_step(j->run, "network", 0.2 + 0.6 * done, err);
}

// The network of the folder, which is still that of the start. NULL: *err is set.
static struct net *open_network(const struct job *j)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s", j->m->folder, j->m->network) >= (int)sizeof path) {
        err_set(j->err, ERR_CONFIG, "the path of the network is too long");
        return NULL;
    }
    struct net *n = net_load(path, j->err);
    if (n && strcmp(net_digest(n), j->m->digest) != 0) {
        err_set(j->err, ERR_CONFIG, "%s is another one than when the node started: restart it",
                path);
        net_destroy(n);
        return NULL;
    }
    return n;
}

// The class of each voxel of the grid, to free(); NULL: *err is set.
static uint8_t *infer(struct job *j, const float *values)
{
    const struct net_call call = {.values = values,
                                  .dim = {j->grid.dim[0], j->grid.dim[1], j->grid.dim[2]},
                                  .window = {j->m->window[2], j->m->window[1], j->m->window[0]},
                                  .step = net_progress,
                                  .ctx = j};
    uint8_t *classes = malloc((size_t)j->grid.dim[0] * j->grid.dim[1] * j->grid.dim[2]);
    if (!classes) {
        err_set(j->err, ERR_NOMEM, "no memory for the classes");
        return NULL;
    }
    struct net *n = open_network(j);
    bool ok = n && net_labels(n, j->run->gpu, &call, classes, j->err);
    net_destroy(n);
    if (ok && j->m->largest)
        ok = model_labels_keep_largest(j->run->gpu, &j->grid, classes, j->err);
    if (ok)
        return classes;
    free(classes);
    return NULL;
}

// ---- Whether it is believed ---------------------------------------------------------------------

static double label_mean(const struct job *j, const struct model_count *counts, const char *name)
{
    for (uint32_t n = 0; n < j->m->label_count; n++) {
        if (strcmp(j->m->labels[n].name, name) == 0)
            return counts[n].voxels ? counts[n].sum / (double)counts[n].voxels : NAN;
    }
    return NAN;
}

// False: refused.
static bool check_counts(const struct job *j, const struct model_count *counts)
{
    const struct model *m = j->m;
    const double voxel_ml = j->v->spacing[0] * j->v->spacing[1] * j->v->spacing[2] / 1000;
    uint64_t all = 0;
    for (uint32_t n = 0; n < m->label_count; n++) {
        const struct model_label *l = &m->labels[n];
        const double ml = (double)counts[n].voxels * voxel_ml;
        all += counts[n].voxels;
        const bool too_little = ml < l->least_ml && !counts[n].cut; // what is cut may be more
        if (l->most_ml > 0 && (too_little || ml > l->most_ml))
            return REFUSE(j, "%s of %.1f mL is implausible (%g to %g mL)", l->name, ml, l->least_ml,
                          l->most_ml);
    }
    if (!all)
        return REFUSE(j, "the network found nothing of what it looks for");
    if (m->brighter) {
        const double bright = label_mean(j, counts, m->brighter),
                     dark = label_mean(j, counts, m->darker);
        if (!(bright > dark))
            return REFUSE(j,
                          "%s (mean %.1f) is not brighter than %s (%.1f): not the contrast that "
                          "the network was trained on",
                          m->brighter, bright, m->darker, dark);
    }
    return true;
}

// ---- The run ------------------------------------------------------------------------------------

static bool add_model_facts(const struct job *j)
{
    struct findings *f = j->f;
    const struct model *m = j->m;
    return findings_add_fact(f, "Network %s, SHA-256 %.12s...", m->network, m->digest) &&
           findings_add_fact(f, "Of %s; licence %s", m->source, m->licence) &&
           findings_add_fact(f, "Grid of the network %u x %u x %u voxels of %.3g x %.3g x %.3g mm",
                             j->grid.dim[0], j->grid.dim[1], j->grid.dim[2], j->grid.spacing[0],
                             j->grid.spacing[1], j->grid.spacing[2]) &&
           findings_add_fact(f, "Voxels of the image %.3g x %.3g x %.3g mm", j->v->spacing[0],
                             j->v->spacing[1], j->v->spacing[2]) &&
           findings_add_parameter(f, "network_sha256", "", "%s", m->digest);
}

// With classes known. False: the machine failed. A refusal is true.
static bool carry_and_report(struct job *j, const struct gpu_volume *source, const uint8_t *classes)
{
    struct findings *f = j->f;
    struct model_count *counts = arena_alloc(j->run->arena, j->m->label_count, sizeof *counts);
    if (!counts || !model_report_regions(j->m, j->run->stage, f))
        return err_set(j->err, ERR_NOMEM, "no memory for the labels");
    const struct label_map *map = findings_add_labels(f, j->run->set, j->image, 0);
    if (!map)
        return err_set(j->err, ERR_NOMEM, "no memory for the label map");
    uint16_t *labels = map->labels;
    if (!stage_step(j->run, "labels", 0.85, j->err) ||
        !model_labels_carry(j->m, &j->grid, classes, source, labels, counts, j->err))
        return false;
    if (!check_counts(j, counts))
        return true;
    const struct model_result result = {.m = j->m,
                                        .stage = j->run->stage,
                                        .set = j->run->set,
                                        .image = j->image,
                                        .labels = labels,
                                        .counts = counts};
    if (*j->m->caution && !findings_add_warning(f, "%s", j->m->caution))
        return err_set(j->err, ERR_NOMEM, "no memory for the caution");
    return stage_step(j->run, "report", 0.95, j->err) && model_report(f, &result, j->err);
}

// False: the machine failed. A refusal is true.
static bool prepare_and_infer(struct job *j)
{
    struct err why = {0};
    if (!model_grid_make(j->m, j->v, &j->grid, &why))
        return REFUSE(j, "%s", why.text) || true;
    if (!add_model_facts(j))
        return err_set(j->err, ERR_NOMEM, "no memory for facts");
    if (!stage_step(j->run, "decoding", 0, j->err))
        return false;
    struct gpu_volume *source = image_load(j->run->gpu, j->run->set, j->v, 0, IMAGE_F32, j->err);
    float *values = source ? model_grid_values(j->m, &j->grid, source, &why) : NULL;
    const bool senseless = source && !values && why.code == ERR_INPUT;
    if (source && !values && !senseless && j->err)
        *j->err = why;
    if (senseless)
        findings_refuse(j->f, VERDICT_NOT_EVALUABLE, "%s", why.text);
    uint8_t *classes = values ? infer(j, values) : NULL;
    free(values);
    const bool ok = senseless || (classes && carry_and_report(j, source, classes));
    free(classes);
    gpu_volume_destroy(source);
    return ok;
}

enum stage_end model_run(const struct stage_run *r, struct findings *out, struct err *err)
{
    struct job j = {.run = r, .m = r->stage->data, .f = out, .err = err};
    j.image = r->slots[0].images[0];
    j.v = &r->set->images[j.image];
    out->page.title = r->stage->title;
    out->procedure = j.m->procedure;
    if (check_image(&j) && !prepare_and_infer(&j))
        return STAGE_BROKEN;
    return out->verdict == VERDICT_NOT_EVALUABLE ? STAGE_REFUSED : STAGE_DONE;
}

const struct kernel_group *const model_kernels[] = {&kernels_resample, &kernels_masks,
                                                    &kernels_components, NULL};
