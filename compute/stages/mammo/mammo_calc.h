// Clusters of calcifications: three or more in 1 cm2. Process: worker, analyze. Thread-safety: one
// thread a struct gpu.
#pragma once
#include "compute/stages/mammo/mammo_breast.h"

// Adds marks of clusters to out, likeliest first, and counts the calcifications that it rejects.
// out->marks has room for MAMMO_MARKS_MAX more.
bool mammo_calc_find(const struct stage_run *run, const struct mammo_picture *p,
                     const struct mammo_breast *b, const struct mammo_view *view,
                     struct mammo_marks *out, struct err *err);
