// Images that came twice: frames at one place that differ in nothing but their instance. Those with
// the same pixels are one image, whatever their UIDs and transfer syntaxes; of others nobody can
// say which is meant. Pixels are compared as modality values. Process: worker, analyze, inspect.
// Thread-safety: as the pixels of the set.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/arena.h"
#include "base/err.h"
#include "compute/image/image.h"

// Images that are another whole once more under another Acquisition Number: they become its
// duplicates, and are images of the set no more. Decodes where two acquisitions lie at the same
// places, up to the first frame that differs. Call it before the set's images are looked for.
//   ERR_NOMEM, and what decoding says
bool image_merge_acquisitions(struct image_set *set, struct err *err);

// Decodes the duplicates of an image and the frames that are used in their place.
// Says in remark how many were set aside, "" none.
//   one  the image is meant to have one point: where it has several in time or turn, and all frames
//        at each place show the same, they become duplicates and *img an image of one point. One
//        that has several in truth stays as it is, and nothing is said.
// *img is an image of set; what is new of it lives in arena.
//   ERR_GEOMETRY  duplicates that show something else, with their number, and place and UIDs of the
//                 first; ERR_NOMEM, and what decoding says
bool image_merge_duplicates(struct image_set *set, struct image *img, bool one, struct arena *arena,
                            char *remark, size_t size, struct err *err);
