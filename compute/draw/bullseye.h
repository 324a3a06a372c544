// The values of the 17 segments of the left ventricle as rings, a colour and a number each.
// Thread-safety: one thread a pen.
#pragma once
#include "compute/draw/pen.h"
#include "compute/findings/findings.h"

// Draws into the rectangle (x, y, width, height): the title, the rings, and below them what the
// first and the last colour stand for. A segment without a value is grey and hatched.
void bullseye_draw(struct pen *pen, const struct bullseye *b, double x, double y, double width,
                   double height);
