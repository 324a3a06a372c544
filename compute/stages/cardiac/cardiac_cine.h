// The images of a cine as the analysis of the heart works on them: every phase of every slice in
// host memory, in blocks of pixels, and what moves with the beat. A stack of 12 slices in 20
// phases takes 32 MB. Process: worker, analyze. Thread-safety: one thread a job.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "compute/image/image.h"
#include "compute/kernels/kernels.h"

// Plain data: whoever has pixels may fill it.
struct cardiac_cine {
    uint32_t columns, rows, slices; // of the work grid
    uint32_t points;                // most phases of a slice
    double mm[2];                   // between columns, between rows
    double gap_mm;                  // between the centres of slices, along their normal
    double thick_mm;                // of a slice; 0: as far as the next
    uint32_t *phases;               // [slices] phases there are: the first so many points
    // [slices][points][rows][columns] signal, in levels from 0: as it was scanned, times one factor
    // for all of the cine
    uint16_t *values;
    float *mean;   // [slices][rows][columns] over the phases, levels
    float *motion; // same: amplitude of the first harmonic over the cycle
};

extern const struct kernel_group kernels_cardiac;

// Decodes an image with an axis, a point at a time, onto the work grid: means of factor x factor
// pixels. The first harmonic of a voxel with values v[0..n-1] over the cycle is 2 / n times the
// magnitude of the sum of v[p] exp(2 pi i p / n) (Lin, Cowan & Young, MICCAI 2006, take it to find
// the heart). A slice may have fewer phases than others: its last points are missing.
// step    called before each point, false: ends with what it set; may be NULL
//   ERR_NOMEM, and the errors of image_load() and the device
bool cardiac_cine_load(struct gpu *g, const struct image_set *set, const struct image *v,
                       bool (*step)(void *ctx, double done, struct err *err), void *ctx,
                       struct arena *arena, struct cardiac_cine *out, struct err *err);

// Pixels of the image in a block along columns and rows: blocks are about 1.4 mm wide.
uint32_t cardiac_cine_factor(const struct image *v);

// Rings of blood within muscle. At each place of a coarse grid and each slice: the best score over
// the radii, and that radius. The score is the mean over 24 directions of the contrast
// (inside - outside) / (inside + outside), a quarter at most, and -1/8 at least, 2.5 mm to both
// sides of the circle, times how much the circle moves: its mean motion by a tenth of the mean
// inside, 1 at most. Signal is that of one phase, smoothed by 1.5 mm.
struct cardiac_rings {
    uint32_t from[2];      // column and row of the work grid of the first place
    uint32_t step;         // work pixels between places
    uint32_t count[2];     // places along columns and rows
    float *score, *radius; // [slices][count[1]][count[0]]; radius mm
};
// from, step and count of out are given; score and radius are put into arena.
bool cardiac_cine_rings(struct gpu *g, const struct cardiac_cine *c, double phase,
                        struct arena *arena, struct cardiac_rings *out, struct err *err);

#define CARDIAC_RING_FIRST_MM 8.0
#define CARDIAC_RING_STEP_MM  2.0
#define CARDIAC_RING_RADII    16 // to 38 mm: a ventricle of 76 mm is dilated severely
#define CARDIAC_RING_WAYS     24

// One frame of the work grid.
const uint16_t *cardiac_cine_frame(const struct cardiac_cine *c, uint32_t slice, uint32_t point);
