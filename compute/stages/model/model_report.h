// What a network found, as findings: segments, numbers, table, planes.
#pragma once
#include "compute/stages/model/model_labels.h"

// Regions in the order of the labels, before the label map is painted. False: no memory.
bool model_report_regions(const struct model *m, const struct stage *stage, struct findings *f);

struct model_result {
    const struct model *m;
    const struct stage *stage;
    const struct image_set *set;
    uint32_t image;         // index in the set
    const uint16_t *labels; // of the image
    const struct model_count *counts;
};

// Groups, measurements, exclusions, page. ERR_NOMEM.
bool model_report(struct findings *f, const struct model_result *r, struct err *err);
