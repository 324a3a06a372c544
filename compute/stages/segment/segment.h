// Lungs, airways, bones and fat on CT without a trained model: the row of the stage table.
#pragma once
#include "compute/stages/stage.h"

extern const struct stage stage_segment;
