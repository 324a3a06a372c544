// Curves of all voxels on the device: filled point by point, brought to even steps, described.
// Curves are a volume of floats of dim {columns, rows, slices * steps}, plane slice * steps + step,
// so that what works on slices works on them. All record; nothing waits.
#pragma once
#include "compute/kernels/kernels.h"
#include "compute/stages/perfusion/perfusion_inverse.h"

extern const struct kernel_group kernels_perfusion;

// Uninitialised ones for a grid. ERR_UNSUPPORTED: more planes than a volume can have.
struct gpu_volume *perfusion_planes(struct gpu *g, const uint32_t dim[3], const double spacing[3],
                                    uint32_t steps, struct err *err);

// value, as scanned, becomes point `point` of `points`: means of blocks of factor[] voxels, at the
// far ends of those there are. blocks: float, of the grid: the same means.
bool perfusion_put(const struct gpu_volume *planes, uint32_t points, uint32_t point,
                   const struct gpu_volume *value, const uint32_t factor[3],
                   const struct gpu_volume *blocks, struct err *err);

// Curves as scanned (of points) to enhancement in even steps, 0 outside the mask.
// at        as of struct perfusion_axis
// before    steps of the baseline, >= 1
// curves    of steps; baseline: float, of the grid
bool perfusion_enhance(const struct gpu_volume *scanned, uint32_t points,
                       const struct gpu_mask *mask, const float *at, uint32_t steps,
                       uint32_t before, const struct gpu_volume *curves,
                       const struct gpu_volume *baseline, struct err *err);

struct perfusion_shape {       // of the grid; 0 outside the mask
    struct gpu_volume *sum;    // of the steps behind the baseline
    struct gpu_volume *peak;   // highest value
    struct gpu_volume *when;   // step of it, with a fraction
    struct gpu_volume *square; // mean square of the baseline
};
void perfusion_shape_finish(struct perfusion_shape *s);
bool perfusion_shape_of(const struct gpu_volume *curves, const struct gpu_mask *mask,
                        uint32_t steps, uint32_t before, struct perfusion_shape *out,
                        struct err *err);

// ---- Smoothing ----------------------------------------------------------------------------------

// Curves as means of those around them in their slice, by a Gaussian of sigma_mm (cut at 2 sigma
// and at 4 voxels), of which those that are not alike count less: with D the mean square of the
// difference of two guides from the end of the baseline on (at 22 to 43 even steps), exp(-E^2 / 2),
// E = (D - 2 noise^2) / noise^2 where that is positive. After Mendrik et al. (Phys Med Biol
// 2011;56:3857: bilateral by time-intensity profiles). Weights add up to 1; 0 outside the mask.
// guide  the curves, smoothed a little, times `part`: what the mask is when it is smoothed alike
// noise  standard deviation of a guide (divided by its part), > 0
bool perfusion_alike(const struct gpu_volume *curves, const struct gpu_volume *guide,
                     const struct gpu_volume *part, const struct gpu_mask *mask, uint32_t steps,
                     uint32_t before, double sigma_mm, double noise, const struct gpu_volume *out,
                     struct err *err);

// ---- Deconvolution ------------------------------------------------------------------------------

struct perfusion_flow {       // of the grid; 0 outside the mask
    struct gpu_volume *peak;  // maximum of the residue function, per second
    struct gpu_volume *when;  // step of it, with a fraction; negative: before the artery
    struct gpu_volume *level; // 1 + the level that was taken
};
void perfusion_flow_finish(struct perfusion_flow *f);
bool perfusion_flow_of(const struct gpu_volume *curves, const struct gpu_mask *mask,
                       const struct perfusion_inverse *inverse, const struct perfusion_cut *cut,
                       struct perfusion_flow *out, struct err *err);
