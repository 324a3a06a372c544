// The classes that a network gave, from its grid to that of the image, and counted there.
// Thread-safety: one thread.
#pragma once
#include "compute/stages/model/model_grid.h"

// What was counted of a label on the grid of the image.
struct model_count {
    uint64_t voxels;
    double sum, squares; // of the values of the image
    bool cut;            // it reaches the edge of the image or of the grid of the network
    uint32_t slice;      // that has most of it
    uint32_t most;       // voxels in it
};

// Leaves of all classes but the background the largest connected piece (26 neighbours) of them
// together, in place. classes: [slices][rows][columns] of the grid.
bool model_labels_keep_largest(struct gpu *gpu, const struct model_grid *g, uint8_t *classes,
                               struct err *err);

// Each voxel of the image gets the class of the nearest voxel of the grid: labels n + 1 of
// m->labels[n]; classes that the model does not name are background. labels: those of
// findings_add_labels() of the image; counts: m->label_count entries, zeroed.
// source: the values of the image, for sums. Waits.
bool model_labels_carry(const struct model *m, const struct model_grid *g, const uint8_t *classes,
                        const struct gpu_volume *source, uint16_t *labels,
                        struct model_count *counts, struct err *err);
