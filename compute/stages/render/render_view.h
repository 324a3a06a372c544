// Where a viewer stands: parallel views of a volume around the head-feet axis of the patient, and
// the patient directions of their edges. Thread-safety: pure.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "compute/image/image.h"
#include "compute/stages/render/render_cast.h"

// Unit vectors in patient space (LPS): to the right of the picture, down in it, away from the
// viewer; right x down = into.
struct render_camera {
    double right[3], down[3], into[3];
};

// From the front (0 degrees), the left of the patient (90), the back (180), the right (270), the
// head upwards; raised by elevation degrees towards the head, from -90 to 90.
void render_camera_around(double angle_deg, double elevation_deg, struct render_camera *out);

// Views of size x size pixels that show all of the box between the voxel indices lo and hi from
// every camera, in one scale. Returns mm a pixel.
double render_fit(const struct image *img, const double lo[3], const double hi[3],
                  const struct render_camera *cameras, uint32_t count, uint32_t size,
                  double step_mm, struct render_view *views);

// The letters of a direction, the largest component first, those under a fifth left out: "L", "LA",
// "PRH". Source: PS3.3 C.7.6.1.1.1. Returns text.
const char *render_letters(const double direction[3], char text[4]);

// The inverse of to_patient: mm (LPS) to voxel indices. False: it has none.
bool render_to_index(const struct image *img, double out[3][4]);
