// NIfTI-1 files of what lies on an image's grid, for people who check us with other tools.
// Source: nifti1.h of the NIfTI Data Format Working Group (2005): 348-byte header, sform in RAS mm.
// Process: analyze, inspect. Thread-safety: any thread.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "compute/image/image.h"

enum nifti_type { NIFTI_I16, NIFTI_U16, NIFTI_F32 };

struct nifti; // opaque: a file in the making

// Writes voxels, [slices][rows][columns] of type on the grid of v, uncompressed. An image without
// a place lies at the origin, a spacing that is not known is 1 mm.
//   ERR_INPUT a side has more than 32767 voxels; ERR_IO, ERR_FULL, ERR_NOMEM
bool nifti_write(const char *path, const struct image *v, enum nifti_type type, const void *voxels,
                 struct err *err);

// The same a part at a time, compressed (gzip): open, the voxels of all slices of a point after
// those of the last one, in parts of any size, close. With several points the fourth dimension is
// their axis: in s or ms where it is a time, else as it is.
// Errors as above; ERR_INPUT also for other voxels than the image has. nifti_abort() after a
// failure, and only then.
struct nifti *nifti_open(const char *path, const struct image *v, enum nifti_type type,
                         struct err *err);
bool nifti_add(struct nifti *n, const void *voxels, size_t count, struct err *err);
bool nifti_close(struct nifti *n, struct err *err); // false: gone all the same, and no file
void nifti_abort(struct nifti *n);                  // NULL is fine
