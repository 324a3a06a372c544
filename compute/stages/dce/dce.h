// How contrast agent leaks out of vessels, from T1-weighted MR in time: the row of the stage table.
#pragma once
#include "compute/stages/stage.h"

extern const struct stage stage_dce;
