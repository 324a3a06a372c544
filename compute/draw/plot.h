// A curve of the findings as a plot: axes with round numbers and units, lines that pause at NAN,
// points, histogram bars, named vertical lines, a legend. Thread-safety: one thread a pen.
#pragma once
#include "compute/draw/pen.h"
#include "compute/findings/findings.h"

#define PLOT_GUIDES_MAX 32 // further ones are left out

// Draws into the rectangle (x, y, width, height). The axes take in every number and every guide;
// bars stand on 0 and are centred on their x, as wide as the least distance of two. A line of
// colour 0, 0, 0 has one of a row of colours that can be told apart.
void plot_draw(struct pen *pen, const struct curve *c, double x, double y, double width,
               double height);
