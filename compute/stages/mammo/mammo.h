// Mammograms of an exam: breast density, and which marks were looked for: the row of the stage
// table.
#pragma once
#include "compute/stages/stage.h"

extern const struct stage stage_mammo;
