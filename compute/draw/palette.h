// Colours of values. Thread-safety: pure.
#pragma once
#include <stdint.h>
#include "compute/findings/findings.h"

// The colour of a value whose place in the window is t, 0 the least and 1 the most; outside it is
// clamped, NAN is black. Between the points of a palette colours are linear in RGB:
//   GREY        black, white
//   HOT         black, red at 3/8, yellow at 3/4, white
//   PERFUSION   black, violet at 0.08, blue at 0.2, cyan at 0.4, green at 0.55, yellow at 0.75,
//   red:
//               the order of colours that perfusion maps in publications have
//   DIFFERENCE  blue, white in the middle, red
void palette_colour(enum palette palette, double t, uint8_t rgb[3]);
