// Images in memory, for tests of what works on images: voxels of a test become the frames of an
// image set, split as those of files are.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/attrs.h"
#include "compute/image/image.h"
#include "compute/image/load.h"

// Voxels and where they lie. [points][slices][rows][columns] int16 stored values; borrowed.
struct made_grid {
    uint32_t dim[4];   // 0 points: 1
    double spacing[3]; // mm
    double to_patient[3][4];
    double slope, intercept;
    const char *unit;
    const int16_t *stored;
    enum image_axis axis; // of the points
    double step;          // from point to point: s, ms, ...
    bool unplaced;
};

struct made_images {
    struct image_set set;
    struct arena *arena;
    struct attrs attrs; // of every frame; add to it before made_images_split()
    struct image_frame *frames;
    uint32_t count;
    struct made_grid grid;
    struct image_pixels pixels;
};

// The frames of a grid: SOP Instance UIDs 1.2.<n>, Instance Numbers from 1, in the order of the
// voxels. They may be changed before they are split.
void made_images_init(struct made_images *m, const struct made_grid *grid);
// Splits them; false when image_split() says so.
bool made_images_split(struct made_images *m, struct err *err);
void made_images_finish(struct made_images *m);
