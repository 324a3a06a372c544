// Frames of rays as pictures of the findings: grey in a window or colours, with the patient
// directions of the edges, a scale bar, what is shown, and that it is not for diagnostic use.
// Thread-safety: one thread a findings.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "compute/findings/findings.h"
#include "compute/stages/render/render_view.h"

struct render_film {
    const char *name;   // of picture and product: "mip"; borrowed
    const char *title;  // "Maximum intensity projection"; of the arena of the findings
    const char *remark; // second line of each frame; ""
    const struct render_camera *cameras; // [frames]
    const double *angles;                // degrees, [frames]
    uint32_t frames, size;
    double pixel_mm, frame_ms;
};

// Appends the picture with black frames, and returns its pixels, [frames][height][width][3]; height
// is size and a strip. NULL with ERR_NOMEM.
uint8_t *render_film_begin(struct findings *f, const struct render_film *film, struct err *err);
// Draws frame n. rgb: size x size words, red, green, blue from the lowest byte.
bool render_film_draw(const struct render_film *film, uint8_t *pixels, uint32_t n,
                      const uint32_t *rgb, struct err *err);

// Grey words of values in a window; RENDER_NOTHING is black.
void render_grey(const float *values, size_t count, const double window[2], uint32_t *rgb);
// A window from the value that 1 in 100 of the pixels lie below to the one that 1 in 500 lie above;
// of all that show something.
void render_window(const float *values, size_t count, double window[2]);
