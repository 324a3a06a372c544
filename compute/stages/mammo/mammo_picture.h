// A mammogram as grey values that are high where tissue is dense: at native resolution on the
// device, and on a work grid of about 0.4 mm on the host, mirrored so that the chest wall is on the
// left. Process: worker, analyze. Thread-safety: one thread a struct gpu.
#pragma once
#include "compute/kernels/kernels.h"
#include "compute/stages/mammo/mammo_marks.h"

#define MAMMO_GREY_MAX 16383 // white; 0: black

struct mammo_picture {
    struct gpu_volume *fine; // int16, as stored
    uint32_t columns, rows;  // of it
    double pixel_mm;
    uint32_t factor; // native pixels along one of the work grid
    uint32_t w, h;   // of the work grid
    double mm;       // of its pixels
    bool mirrored;   // its columns run from the right
    bool inverted;   // the picture contradicts its header: it was turned over
    float *grey;     // [h][w], in the arena of the job
};

// What cannot be judged sets *refused and returns true.
bool mammo_picture_read(const struct stage_run *run, uint32_t image, const struct mammo_view *view,
                        struct mammo_picture *out, const char **refused, struct err *err);
void mammo_picture_finish(struct mammo_picture *p);

// A point of the work grid (outer corner of its first pixel: 0) in columns and rows of the image.
void mammo_picture_point(const struct mammo_picture *p, double x, double y, float out[2]);
// The outlines of the largest piece of a mask [h][w] of the work grid, in columns and rows of the
// image; in the arena. *count 0: none.
bool mammo_picture_outline(const struct mammo_picture *p, const uint8_t *mask, struct arena *arena,
                           float **points, uint32_t *count);
