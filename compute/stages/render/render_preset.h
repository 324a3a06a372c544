// Looks of CT by name: what colour and how opaque a Hounsfield value is. Thread-safety: pure.
#pragma once
#include <stdbool.h>
#include "compute/stages/render/render_cast.h"

// "bone", "vessels", "lung", "skin", "cardiac". n-th of them; NULL past the end.
const char *render_preset_name(unsigned n);
// Fills in the look of a preset for samples step_mm apart: an opacity a of 1 mm is 1 - (1 - a)^step
// of one. False: there is no such preset.
bool render_preset(const char *name, double step_mm, struct render_look *out);
