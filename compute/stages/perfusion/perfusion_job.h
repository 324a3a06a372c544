// What the parts of the perfusion stage share: its parameters, and what is known of a scan so far.
// Functions say false where the scan cannot be judged (perfusion_refused()) and where the machine
// failed (err is set).
#pragma once
#include "compute/stages/perfusion/perfusion_axis.h"
#include "compute/stages/perfusion/perfusion_curves.h"
#include "compute/stages/perfusion/perfusion_motion.h"
#include "compute/stages/perfusion/perfusion_report.h"

enum {
    P_METHOD,
    P_OSCILLATION,
    P_TRUNCATION,
    P_SMOOTH,
    P_CLUSTER,
    P_SCALE,
    P_HEMATOCRIT,
    P_DENSITY,
    P_VESSEL,
    P_FLUID,
    P_CORRECT,
    P_MOTION,
    P_MOTION_MOST,
    P_COUNT
};

struct perfusion_job {
    const struct stage_run *run;
    struct findings *f;
    struct err *err;
    const struct image *v;
    uint32_t image;
    const struct param_value *p;
    struct arena *arena;
    struct perfusion_result r;
    struct perfusion_vessels vessels;
    struct perfusion_axis axis;
    double *mean;          // [points] of soft tissue
    uint8_t *soft, *solid; // [voxels of the work grid] of the first point
    float *values;         // of one point
    size_t voxels;
    double surface; // voxels of `solid` next to air
    struct perfusion_track track;
    uint8_t *slice_used; // [slices] 0: the head has left it too often
    // On the device.
    struct gpu_volume *scanned, *curves, *baseline, *smooth;
    struct gpu_volume *guide, *part; // of perfusion_alike()
    double guide_noise;              // HU
    struct gpu_mask *brain, *tissue;
    float *weight;                     // [voxels] smoothed mask
    double gain[PERFUSION_LEVELS_MAX]; // as of perfusion_invert()
};

#define PERFUSION_REFUSE(job, ...)                                                                 \
    (findings_refuse((job)->f, VERDICT_NOT_EVALUABLE, __VA_ARGS__), false)

static inline bool perfusion_refused(const struct perfusion_job *j)
{
    return j->f->verdict == VERDICT_NOT_EVALUABLE;
}

static inline bool perfusion_no_memory(const struct perfusion_job *j)
{
    return err_set(j->err, ERR_NOMEM, "perfusion: no memory");
}

// Whether motion is known by bone; else by the outline of the head, and not corrected.
static inline bool perfusion_tracked(const struct perfusion_job *j)
{
    return j->track.edges[0].count && j->track.edges[PERFUSION_TRACK_LEVELS - 1].count;
}

static inline double perfusion_voxel_ml(const struct perfusion_job *j) // of the work grid
{
    return j->r.spacing[0] * j->r.spacing[1] * j->r.spacing[2] / 1000;
}

// perfusion_scan.c: whether the image can be judged, its work grid, its points corrected for
// motion, even steps in time, the baseline.
bool perfusion_scan_load(struct perfusion_job *j);
// perfusion_volumes.c: sides, late tissue, normal tissue, core.
bool perfusion_volumes_measure(struct perfusion_job *j);
