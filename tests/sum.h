// An analysis without a device, for tests of what surrounds analyses: the sum of all voxels of its
// main image, slice k (from 0) counted k + 1 times, so that an exchange of slices shows. Its one
// group has one measurement.
#pragma once
#include "compute/findings/findings.h"
#include "compute/stages/stage.h"

enum stage_end sum_voxels(const struct stage_run *run, struct findings *out, struct err *err);
