// Dictation to text: the row of the stage table.
#pragma once
#include "compute/stages/stage.h"

extern const struct stage stage_dictate;
