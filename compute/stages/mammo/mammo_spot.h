// Single calcifications: small bright spots at native resolution, measured against the noise
// around them. Process: worker, analyze. Thread-safety: one thread a struct gpu.
#pragma once
#include "compute/stages/mammo/mammo_breast.h"

extern const struct kernel_group kernels_mammo;

// In pixels of the image as stored.
struct mammo_spot {
    float x, y;
    float size_mm, contrast; // as of struct mammo_calc
    bool line;               // a piece of a line: a wall of a vessel, a strand; in no cluster
    int cluster;             // for who groups them; -1
};

#define MAMMO_SPOTS_MAX 4000 // more is noise that is not of the model: the image is not evaluable

// list  in the arena; *count at most MAMMO_SPOTS_MAX + 1
// rejected  counts by reason, added to
bool mammo_spots_find(const struct stage_run *run, const struct mammo_picture *p,
                      const struct mammo_breast *b, struct mammo_spot **list, uint32_t *count,
                      uint32_t *rejected, struct err *err);
