// What the analyses of a study said, on one page: the row of the stage table. Its input are
// reports, not images; it measures nothing and changes no number.
#pragma once
#include "compute/stages/stage.h"

extern const struct stage stage_summary;
