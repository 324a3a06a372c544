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
    P_ARTERY_AT,
    P_VEIN_AT,
    P_COUNT
};

enum { PERFUSION_OSVD, PERFUSION_CSVD }; // P_METHOD

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
    uint8_t *side;         // [voxels] PERFUSION_LOW or PERFUSION_HIGH
    float *part_of_normal; // [voxels] of perfusion_border_move()
    uint8_t *border_side;  // [voxels] its work space
    uint8_t *slice_used;   // [slices] 0: the head has left it too often
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

static inline double perfusion_artery_area(const struct perfusion_job *j) // with its scale
{
    return j->r.artery_scale * j->vessels.artery.area;
}

// 100 kH / rho: from parts of the artery to mL in 100 g.
static inline double perfusion_per_100_g(const struct perfusion_job *j)
{
    return 100 * j->p[P_HEMATOCRIT].number / j->p[P_DENSITY].number;
}

// perfusion.c: root of the mean square before the bolus over a mask, each value divided by `weight`
// (NULL: 1).
bool perfusion_noise_of(struct perfusion_job *j, const struct gpu_volume *square,
                        const uint8_t *mask, const float *weight, double *noise);
// perfusion_given.c: artery and vein where options name their places, instead of those found: the
// mean of the three highest voxels of nine. Says also which are given. Waits.
bool perfusion_vessels_given(struct perfusion_job *j, const struct perfusion_shape *shape);
// perfusion_maps.c: curves of tissue smoothed, deconvolved and made to maps. mask: the tissue.
bool perfusion_maps_make(struct perfusion_job *j, const uint8_t *mask);
// Late tissue and core with the other artery, where its bolus is not as early. After
// perfusion_volumes_measure().
bool perfusion_maps_compare(struct perfusion_job *j, const uint8_t *mask);
// perfusion_scan.c: whether the image can be judged, its work grid, its points corrected for
// motion, even steps in time, the baseline.
bool perfusion_scan_load(struct perfusion_job *j);
// perfusion_border.c: where late tissue ends that has little flow. init: once maps are made. move
// adds to a mask what belongs to it; without effect where flow inside is not much below that
// outside.
bool perfusion_border_init(struct perfusion_job *j);
void perfusion_border_move(const struct perfusion_job *j, uint8_t *mask);
// Where core and what is not late are so near that no late tissue between them could be told from
// their smoothed border, the border of both is where flow is halfway. After r.delayed is known.
void perfusion_border_core(const struct perfusion_job *j, uint8_t *core);
// perfusion_volumes.c: sides, late tissue, normal tissue, core.
bool perfusion_volumes_measure(struct perfusion_job *j);
// The same with other maps and the sides found before; without normal tissue its volume is 0, and
// so are those of cores.
bool perfusion_volumes_again(struct perfusion_job *j);
