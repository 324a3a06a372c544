#include "tests/sum.h"
#include <stdlib.h>
#include "compute/image/load.h"
#include "tests/check.h"

enum stage_end sum_voxels(const struct stage_run *run, struct findings *out, struct err *err)
{
    static const struct code volume = {"118565006", "SCT", "Volume"};
    static const struct code mm3 = {"mm3", "UCUM", "cubic millimeter"};
    const struct image *img = stage_image(run, 0, 0);
    const size_t pixels = (size_t)img->dim[0] * img->dim[1];
    float *values = calloc(pixels, sizeof *values);
    double sum = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(values);
    for (uint32_t k = 0; k < img->dim[2]; k++) {
        if (!image_read_slice(run->set, img, k, 0, values, err)) {
            free(values);
            return STAGE_BROKEN;
        }
        for (size_t i = 0; i < pixels; i++)
            sum += (k + 1) * (double)values[i];
    }
    free(values);
    out->verdict = VERDICT_DONE;
    out->reason = "";
    out->procedure = (struct code){"77477000", "SCT", "Computed tomography"};
    struct finding_group *g = findings_add_group(out);
    CU_ASSERT_PTR_NOT_NULL_FATAL(g);
    g->label = "sum";
    g->region = g->parent = -1;
    CU_ASSERT_PTR_NOT_NULL_FATAL(findings_add_number(out, g, &volume, sum, 1, &mm3, NULL));
    out->page.title = "Sum";
    out->page.headline = "all voxels";
    return stage_step(run, "the end", 1, err) ? STAGE_DONE : STAGE_BROKEN;
}
