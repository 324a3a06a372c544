// NIfTI-1 files of what lies on an image's grid, for people who check us with other tools.
// Source: nifti1.h of the NIfTI Data Format Working Group (2005): 348-byte header, sform in RAS mm.
// Process: analyze. Thread-safety: any thread.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "compute/image/image.h"

enum nifti_type { NIFTI_I16, NIFTI_U16, NIFTI_F32 };

// Writes voxels, [slices][rows][columns] of type on the grid of img, uncompressed. An image without
// a place lies at the origin, a spacing that is not known is 1 mm.
//   ERR_INPUT a side has more than 32767 voxels; ERR_IO, ERR_FULL, ERR_NOMEM
bool nifti_write(const char *path, const struct image *img, enum nifti_type type,
                 const void *voxels, struct err *err);
