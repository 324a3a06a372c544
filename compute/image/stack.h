// Slices as an even grid along a line: fits one, and says what keeps them from being one.
// How exact positions are is told by the decimals that they were written with: slices 0.625 mm
// apart, written with one decimal, lie at 0.6, 1.3, 1.9 mm. Limits: a slice may lie 2.5 % of the
// increment (never less than 0.05 mm) off its place along the normal, and a tenth of the increment
// (0.1 mm at least, half a pixel at most) beside the line, besides what rounding explains; what
// DICOM toolkits allow is of that size (dicom2nifti: 5 % or 0.1 mm from slice to slice).
// Process: worker, analyze, inspect. Thread-safety: any thread.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "compute/image/image.h"

struct stack {
    double origin[3];  // mm, LPS: first pixel of the first slice
    double step[3];    // mm, LPS: from slice to slice
    double uneven_mm;  // the farthest that a slice lies from its place on the grid
    double gap_mm[2];  // the first missing slices lie between these, along the normal; NAN: none
    double written_mm; // along the normal, the unit of the last decimal of the positions; 0: exact
    char defect[256];  // why they are no even grid: "1 slice missing between 45.0 and 51.0 mm"; ""
};

// slices: count >= 2 frames with a place, ascending along normal, each at another place.
// False: no memory.
bool stack_fit(const struct image_frame *const *slices, uint32_t count, const double normal[3],
               struct arena *arena, struct stack *out);
