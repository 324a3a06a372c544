// NIfTI-1 files of what lies on a volume's grid, for people who check us with other tools.
// Source: nifti1.h of the NIfTI Data Format Working Group (2005): 348-byte header, sform in RAS mm.
// Process: analyze. Thread-safety: any thread.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "compute/image/volume.h"
#include "base/err.h"

// Writes labels [slices][rows][columns] of v's grid as uint8, uncompressed.
//   ERR_INPUT a side has more than 32767 voxels; ERR_IO, ERR_FULL, ERR_NOMEM
bool nifti_write_labels(const char *path, const struct volume *v, const uint8_t *labels,
                        struct err *err);
