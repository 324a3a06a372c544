// Pictures that move, for a secondary capture: a slice over the points of an image, or the slices
// of an image or of a map one after another. Every frame says that it is not for diagnostic use.
// Process: worker, analyze. Thread-safety: one thread a findings.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "compute/findings/findings.h"
#include "compute/image/image.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PICTURE_SIDE_LEAST 256  // pixels; smaller pictures are enlarged by a whole factor
#define PICTURE_SIDE_MAX   1024 // pixels; larger ones are reduced

struct picture_wish {
    const char *name, *product, *title; // of the picture; copied
    struct place place; // over_slices false: its slice is shown at every point; true: every slice
                        // at its point
    bool over_slices;
    int map;          // shown instead of the image, over its slices; -1: none
    double window[2]; // centre, width; width <= 0: of the map, else as the headers want it,
                      // else from the least to the most of all frames
    bool regions;     // outlines of the label map at each place
    double frame_ms;  // time a frame is shown; 0: the step of the phases, else PICTURE_FRAME_MS
};

#define PICTURE_FRAME_MS 100.0 // ten frames a second

// Appends one picture to f: a frame a point or a slice, in true proportions, with regions and marks
// of its place and, for a map, a bar of its colours. A frame that is missing is black. Pixels are
// decoded a frame at a time (twice where the window is not known).
// False, and f as before:
//   ERR_INPUT   there is no such image, slice, point or map, or no pixels of it
//   ERR_NOMEM, ERR_INTERNAL (Cairo), and what reading pixels says
bool picture_cine(struct findings *f, const struct image_set *set, const struct picture_wish *wish,
                  struct err *err);

// Appends a picture of every map of f: its slices in colour, named as the map. Errors:
// picture_cine()
bool picture_maps(struct findings *f, const struct image_set *set, struct err *err);

#ifdef __cplusplus
}
#endif
