// Blood flow and volume of the brain from T2*-weighted MR in time: the row of the stage table.
#pragma once
#include "compute/stages/stage.h"

extern const struct stage stage_dsc;
