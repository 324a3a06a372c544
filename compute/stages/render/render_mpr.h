// Planes cut through a volume at any angle, parallel and evenly spaced. A pixel is the mean, the
// greatest or the least of trilinear samples across the thickness of its plane, between the centres
// of the outermost voxels. Thread-safety: one thread a struct gpu.
#pragma once
#include "compute/findings/findings.h"
#include "compute/image/image.h"
#include "compute/stages/render/render_cast.h"
#include "compute/stages/render/render_view.h"

// A set of planes that is wanted.
struct render_cut_wish {
    const char *name, *title, *method; // of struct reformat; borrowed as long as the findings live
    struct render_camera camera;       // planes are as it sees them, into it from one to the next
    enum render_mode mode;             // a projection
    double pixel_mm, spacing_mm, thickness_mm; // thickness 0: single samples
    double step_mm;                            // samples lie no farther apart
};

// Columns, rows, planes: as many as fit between the outermost planes of voxel centres, in the
// middle. False: the image has no place, or it takes more than 65535 of one.
bool render_mpr_size(const struct image *img, const struct render_cut_wish *wish, uint32_t dim[3]);

// Adds them to the findings, without a window. The scene has no ground. Waits.
// index: of img in the set. step is called before each plane with the share that is done.
// NULL with *err set: ERR_NOMEM, those of render_project(), that of step.
struct reformat *render_mpr(const struct render_scene *scene, const struct image *img,
                            uint32_t index, const struct render_cut_wish *wish, struct findings *f,
                            bool (*step)(void *ctx, double done, struct err *err), void *ctx,
                            struct err *err);
