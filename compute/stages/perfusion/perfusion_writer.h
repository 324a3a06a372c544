// What the parts of the perfusion report share.
#pragma once
#include "compute/stages/perfusion/perfusion_blocks.h"
#include "compute/stages/perfusion/perfusion_report.h"

struct perfusion_writer {
    struct findings *f;
    const struct stage_run *run;
    const struct image_set *set;
    uint32_t image;
    const struct image *v;
    const struct perfusion_result *r;
    struct perfusion_blocks blocks; // from the work grid to that of the image
    uint16_t *labels;
    uint32_t key; // slice with most late tissue, or the middle one
};

static inline double perfusion_delayed_ml(const struct perfusion_writer *w)
{
    return w->r->tmax_ml[PERFUSION_TMAX_MAIN];
}

static inline double perfusion_core_ml(const struct perfusion_writer *w)
{
    return w->r->flow_ml[PERFUSION_FLOW_MAIN];
}

static inline double perfusion_other_late_ml(const struct perfusion_writer *w)
{
    return w->r->other ? w->r->other_tmax_ml[PERFUSION_TMAX_MAIN] : perfusion_delayed_ml(w);
}

static inline double perfusion_other_core_ml(const struct perfusion_writer *w)
{
    return w->r->other ? w->r->other_flow_ml[PERFUSION_FLOW_MAIN] : perfusion_core_ml(w);
}

// Whether what one side is later as a whole makes late tissue, by more than the error of its
// volume.
bool perfusion_side_is_late(const struct perfusion_writer *w);

// Between which values a volume (mL) or ratio lies: by the two arteries, by a side that is late
// as a whole, and where curves are poor by what phantoms of that kind showed. Both ends are the
// value where it is known.
struct perfusion_bounds {
    double low, high;
};
// Whether noise asked for more smoothing, or images are more than PERFUSION_HALF_S apart.
bool perfusion_poor(const struct perfusion_writer *w);
// Of late tissue of a side: by a side that is late as a whole only.
struct perfusion_bounds perfusion_side_bounds(const struct perfusion_writer *w, int side);
struct perfusion_bounds perfusion_late_bounds(const struct perfusion_writer *w);
struct perfusion_bounds perfusion_core_bounds(const struct perfusion_writer *w);
struct perfusion_bounds perfusion_mismatch_bounds(const struct perfusion_writer *w);
// Whether there is a core for certain, so that there is a mismatch ratio; then: the ratio.
bool perfusion_has_ratio(const struct perfusion_writer *w);
struct perfusion_bounds perfusion_ratio_bounds(const struct perfusion_writer *w);

// Marks of artery and vein, and the page: headline, tables, mosaic, pictures, curves, facts. After
// the maps. False: no memory.
bool perfusion_page_add(struct perfusion_writer *w);
