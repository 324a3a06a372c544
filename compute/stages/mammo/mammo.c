#include "compute/stages/mammo/mammo.h"
#include "compute/kernels/kernels.h"
#include "compute/stages/mammo/mammo_report.h"
#include "compute/stages/mammo/mammo_spot.h"

enum { P_FILM, P_CLUSTERS, P_CLUSTER, P_SCATTERED, P_HETEROGENEOUS, P_EXTREME, P_COUNT };

static const struct stage_param params[P_COUNT] = {
    [P_FILM] = {"film_pixel_mm", "mm",
                "Size of the pixels of digitised films that do not state it; 0: they are set "
                "aside.",
                PARAM_NUMBER, 0, 0.6, 0, NULL},
    // Off: it finds too few (doc/mammo.md).
    [P_CLUSTERS] = {"clusters", "", "Whether clusters of calcifications are looked for.",
                    PARAM_BOOL, 0, 1, 0, NULL},
    // Phantom seeds 100 to 139 and nine pictures of patients gave it.
    [P_CLUSTER] = {"cluster_probability", "1", "Clusters below this are no marks.", PARAM_NUMBER, 0,
                   1, 0.2, NULL},
    // A quarter of the area a class, as BI-RADS, 4th edition, 2003. Readers call breasts
    // scattered from less on: medians 6, 15, 51, 78 % (Academic Radiology, September 2006, 200
    // films).
    [P_SCATTERED] = {"density_scattered", "%",
                     "Dense area from which a breast has scattered densities.", PARAM_NUMBER, 0,
                     100, 25, NULL},
    [P_HETEROGENEOUS] = {"density_heterogeneous", "%",
                         "Dense area from which a breast is heterogeneously dense.", PARAM_NUMBER,
                         0, 100, 50, NULL},
    [P_EXTREME] = {"density_extreme", "%", "Dense area from which a breast is extremely dense.",
                   PARAM_NUMBER, 0, 100, 75, NULL},
};

static enum stage_end mammo_run(const struct stage_run *run, struct findings *f, struct err *err)
{
    struct mammo_exam exam;
    const struct mammo_cuts cuts = {{run->params[P_SCATTERED].number,
                                     run->params[P_HETEROGENEOUS].number,
                                     run->params[P_EXTREME].number}};
    if (!(cuts.percent[0] < cuts.percent[1]) || !(cuts.percent[1] < cuts.percent[2]))
        return stage_refuse(f,
                            "the classes of density begin at %g, %g and %g %%, which do not grow",
                            cuts.percent[0], cuts.percent[1], cuts.percent[2]);
    struct mammo_marks *marks =
        arena_alloc(run->arena, (size_t)run->slots[0].image_count + 1, sizeof *marks);
    if (!marks || !mammo_exam_read(run, run->params[P_FILM].number, &exam)) {
        err_set(err, ERR_NOMEM, "mammo: no memory for the exam");
        return STAGE_BROKEN;
    }
    for (uint32_t i = 0; i < exam.count; i++) {
        const struct mammo_image *m = &exam.images[i];
        const struct mammo_view view = {.side = m->side,
                                        .oblique = m->oblique,
                                        .for_processing = m->for_processing,
                                        .clusters = run->params[P_CLUSTERS].truth,
                                        .cluster_probability = run->params[P_CLUSTER].number,
                                        .pixel_mm = m->pixel_mm};
        if (!stage_step(run, m->name, (double)i / exam.count, err))
            return STAGE_BROKEN;
        if (!m->aside && !mammo_find(run, m->image, &view, &marks[i], err))
            return STAGE_BROKEN;
    }
    return mammo_report(run, &exam, marks, &cuts, f);
}

// RG: digitised films, which must say that they show a breast (mammo_exam.c).
static const struct stage_accept accepts[] = {{"Modality", "/^(MG|RG)$/"}, {0}};
static const struct stage_input_spec inputs[] = {
    {"views", "Mammograms of one exam: all views of both breasts", INPUT_MANY, IMAGE_NO_AXIS, false,
     accepts, NULL, false},
};
static const struct kernel_group *const kernels[] = {
    &kernels_mammo, &kernels_shrink,   &kernels_smooth,     &kernels_masks,
    &kernels_ball,  &kernels_distance, &kernels_components, NULL};

const struct stage stage_mammo = {
    .name = "mammo",
    .title = "Mammography: breast density",
    .version = "2",
    .slot = 5,
    .help = "Outline of the breast and share of dense tissue on mammograms; on request, clusters.",
    .scope = SCOPE_STUDY,
    .inputs = inputs,
    .input_count = 1,
    .results = RESULT_SR | RESULT_GSPS | RESULT_SC,
    .report = REPORT_MAMMO_CAD,
    .params = params,
    .param_count = P_COUNT,
    .kernels = kernels,
    .run = mammo_run,
};
