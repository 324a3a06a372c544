// The pectoral muscle on an oblique mammogram: a straight line in the upper corner of the chest
// wall (Karssemeijer, Phys Med Biol 1998;43:365), then its true edge near that line by dynamic
// programming. Thread-safety: pure.
#pragma once
#include "compute/stages/mammo/mammo_breast.h"

// Sets b->muscle and b->has_muscle.
bool mammo_muscle_find(const struct mammo_picture *p, struct mammo_breast *b, struct err *err);
