// Rays through a volume on the device: projections (greatest, least, mean value along a ray) and
// direct volume rendering, one ray a pixel, parallel. Samples are trilinear, at whole steps from
// the plane in which a ray starts, between the centres of the outermost voxels; bricks of 8 x 8 x 8
// cells in which nothing can count are passed over, which changes no sample that counts.
// Rendering: colour and opacity of the interpolated value, light from the viewer (ambient, diffuse,
// specular of power 10 by central differences in patient space), composed front to back until 99.8
// % are opaque. Thread-safety: one thread a struct gpu.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "compute/kernels/kernels.h"

#define RENDER_BRICK   8        // cells along each side of a brick
#define RENDER_NOTHING (-32768) // a voxel that is no part of the volume; a pixel that shows none

extern const struct kernel_group kernels_render;

enum render_mode { RENDER_MAXIMUM, RENDER_MINIMUM, RENDER_MEAN, RENDER_SHADED };

// One picture: where its rays run, in voxel indices.
struct render_view {
    double first[3];          // where the ray of the top left pixel starts
    double right[3], down[3]; // from pixel to pixel
    double step[3];           // from sample to sample
    double step_mm;           // the same, a length
    double to_patient[3][3];  // voxel steps to mm
    uint32_t columns, rows, samples;
};

#define RENDER_TABLE 4096

// How values look: linear between them.
struct render_look {
    float rgba[RENDER_TABLE][4]; // opacity of one step
    double from, to;             // values of the first and the last entry; beyond: the nearest one
    float ambient, diffuse, specular;
};

// A volume ready for rays.
struct render_scene {
    const struct gpu_volume *volume; // borrowed
    double ground;                   // lower values are taken for it: air; RENDER_NOTHING: none
    uint32_t bricks[3];
    uint32_t *ranges; // a word a brick: least value low, most high; owned
    struct gpu_buf *range_buf;
    struct render_look *look; // of render_dress(); NULL: none yet
    struct gpu_buf *look_bricks, *look_table;
};

// The largest volume of a scene, in bytes: what the device can show a shader at once.
uint64_t render_bytes_max(const struct gpu *g);
// Volume: GPU_VOXEL_I16. Waits.
//   ERR_INPUT        fewer than 2 voxels along an axis
//   ERR_UNSUPPORTED  the device cannot show a shader all of the volume
// and those of compute/kernels/grid.h.
bool render_scene_init(struct render_scene *s, const struct gpu_volume *volume, double ground,
                       struct err *err);
void render_scene_finish(struct render_scene *s); // {0} is fine

// How the scene looks from now on; copied. Waits.
bool render_dress(struct render_scene *s, const struct render_look *look, struct err *err);
// A word a brick, as render_dress() has it: 0 where some value in it can be seen, else how many
// bricks the nearest of those is away, along the axis on which it is most. NULL: no memory. free()
// it.
uint32_t *render_visible(const struct render_scene *s, const struct render_look *look);

// Makes nothing of what lies outside keep, in place.
bool render_cut(struct gpu_volume *volume, const struct gpu_mask *keep, struct err *err);

// Projections: values, [count][rows][columns], RENDER_NOTHING where no sample counts (least and
// mean: samples beside a voxel of nothing do not). Views have one size. Waits.
//   ERR_INPUT  views of several sizes, or of more than RENDER_SAMPLES_MAX samples
bool render_project(const struct render_scene *s, enum render_mode mode,
                    const struct render_view *views, uint32_t count, float *values,
                    struct err *err);
// Rendering, as it was dressed: a word a pixel: red, green, blue from the lowest byte. Errors:
// render_project(), and
//   ERR_INTERNAL  the scene was not dressed
bool render_shade(const struct render_scene *s, const struct render_view *views, uint32_t count,
                  uint32_t *pixels, struct err *err);

#define RENDER_SAMPLES_MAX 20000 // a device ends longer loops: see gpu_dispatch()
