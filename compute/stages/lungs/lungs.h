// Lung volume and density on CT of the chest: the row of the stage table.
#pragma once
#include "compute/stages/stage.h"

extern const struct stage stage_lungs;
