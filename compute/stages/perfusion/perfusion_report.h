// What a perfusion scan has shown as findings: numbers, maps, segments, curves, page.
#pragma once
#include "compute/stages/perfusion/perfusion_motion.h"
#include "compute/stages/perfusion/perfusion_vessels.h"
#include "compute/stages/stage.h"

enum { PERFUSION_TMAX_LIMITS = 4, PERFUSION_FLOW_LIMITS = 4 };
extern const double perfusion_tmax_limits[PERFUSION_TMAX_LIMITS]; // s
extern const double perfusion_flow_limits[PERFUSION_FLOW_LIMITS]; // percent of normal tissue
enum { PERFUSION_TMAX_MAIN = 1, PERFUSION_FLOW_MAIN = 1 };        // 6 s and 30 %: the indices

// Sides of the head as the image has them: low columns, high columns.
enum { PERFUSION_LOW, PERFUSION_HIGH, PERFUSION_SIDES };

struct perfusion_result {
    // The work grid: the image in blocks of factor[] voxels.
    uint32_t dim[3], factor[3];
    double spacing[3];
    // [slices][rows][columns] of it; NAN: no value.
    float *flow, *clean_flow, // clean_flow: less what its maximum owes to noise
        *volume, *transit, *tmax, *peak_time;
    uint8_t *delayed, *core; // within the main limits, cleaned
    // Volumes in mL, by side and together.
    double tmax_ml[PERFUSION_TMAX_LIMITS], flow_ml[PERFUSION_FLOW_LIMITS];
    double delayed_side_ml[PERFUSION_SIDES], core_side_ml[PERFUSION_SIDES];
    // Late tissue (main limit) with the limit counted from when blood comes to its side, and by how
    // much later that is on the side of the high columns. At most delayed_side_ml.
    double by_side_ml[PERFUSION_SIDES], side_later_s;
    double brain_ml, tissue_ml, vessels_ml, fluid_ml, old_ml, normal_ml, dropped_ml;
    int normal_side;                   // PERFUSION_SIDES: both
    double normal_flow, normal_volume; // mean of normal tissue
    double
        late_flow; // mean of late tissue that is no core, by that of normal tissue as bright; NAN
    double
        late_of_side; // part of the tissue of a side that is late: of the side where that is more
    double volume_index; // CBV in delayed tissue by that of normal tissue; NAN
    // Curves.
    uint32_t steps, before;
    double step_s, start_s, interval_s; // interval_s: between images as scanned
    const struct perfusion_vessels *vessels;
    double *brain_curve;           // [steps] mean enhancement, HU
    double artery_scale;           // by which the artery was multiplied; 1: not
    bool artery_given, vein_given; // named by options, not found
    // With the other artery, which is later by so much; other: they hold.
    bool other;
    double other_later_s, other_tmax_ml[PERFUSION_TMAX_LIMITS],
        other_flow_ml[PERFUSION_FLOW_LIMITS];
    // Motion: of each point as scanned.
    uint32_t points, points_dropped, points_corrected;
    uint32_t slices_dropped;                     // of the work grid
    bool through;                                // motion through slices was looked for as well
    bool tracked;                                // by bone; else by the outline, and not corrected
    double corrected_mm;                         // the farthest that was corrected
    double *moved_mm, *moved_at;                 // [points]
    struct perfusion_pose *pose;                 // [points]
    double noise_hu, smooth_noise_hu, tissue_hu; // of a voxel; smoothed; mean peak of tissue
    double smooth_mm;
    bool noisy;     // it is more than was asked for
    double overlap; // of the hemispheres
};

// False with ERR_NOMEM, and what drawing says.
bool perfusion_report(struct findings *f, const struct stage_run *run, uint32_t image,
                      const struct perfusion_result *r, struct err *err);
