// Volumes and function of the left ventricle from cine MR: the row of the stage table.
#pragma once
#include "compute/stages/stage.h"

extern const struct stage stage_cardiac;
