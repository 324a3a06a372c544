// How much of a breast is dense, by area: what is brighter than fat by a share of the way to
// muscle, after the thickness of the breast is evened out. Thread-safety: pure.
#pragma once
#include "compute/stages/mammo/mammo_breast.h"

// dense  [h][w] of the work grid, set where dense
bool mammo_density_find(const struct stage_run *run, const struct mammo_picture *p,
                        const struct mammo_breast *b, uint8_t *dense, struct mammo_marks *out,
                        struct err *err);
