// Perfusion of the brain from CT in time: the row of the stage table. doc/perfusion.md says what it
// measures.
#pragma once
#include "compute/stages/stage.h"

extern const struct stage stage_perfusion;
