// One slice of a volume as a grey picture with its marks on top, drawn in true proportions.
// Thread-safety: one thread a cairo_t.
#pragma once
#include <cairo.h>
#include "compute/findings/findings.h"
#include "compute/image/volume.h"

// Draws image into the rectangle (x, y, width, height) of cr: the part of the slice that
// image->box names (clipped to the slice; all of it when the box is empty), windowed to grey,
// fitted and centred on black; then the outlines, points, ellipses and texts that f has on that
// slice, in the colours of their layers; a scale bar and the patient directions of the edges.
// window width <= 0 or not finite: from the least to the largest value of the box.
// A slice that the volume does not have leaves the rectangle black.
void tile_draw(cairo_t *cr, const struct findings *f, const struct volume *v,
               const struct page_image *image, double x, double y, double width, double height);

// The patient direction (L, R, P, A, H, F; PS3.3 C.7.6.1.1.1) that voxel index axis (0 columns, 1
// rows, 2 slices) grows to, by its largest component.
char tile_direction(const struct volume *v, int axis);
