// What anode sees in a series before any analysis does: its images with their geometry and axis,
// what was set aside and why, which attributes differ. For people who look into why a series is
// not evaluable, and for tests that compare with other tools.
// Process: inspect. Thread-safety: one thread; object_init() has been called before.
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "base/err.h"
#include "compute/image/image.h"
#include "node/job/gather.h"

struct inspect; // opaque: one series

// Reads all headers of the series and splits its frames into images. Instances that cannot be part
// of an image are set aside with their reason. s is borrowed.
// NULL: ERR_NOMEM, ERR_IO and the like; what is wrong with the series is in the answer.
struct inspect *inspect_create(const struct gather_series *s, struct err *err);
void inspect_destroy(struct inspect *in); // NULL is fine

// For people: some lines. Values of attributes are shown, those that identify patients left out.
void inspect_print(const struct inspect *in, FILE *out);
// An entry of anode.inspect/1, see doc/json.md. Failures (no memory) add up in *ok.
json_t *inspect_item(const struct inspect *in, bool *ok);

uint32_t inspect_image_count(const struct inspect *in);
// A contact sheet of an image as PNG: slices, and points where it has an axis, evenly spaced over
// it, in the window of the series. Decodes what it shows.
//   ERR_INPUT and what decoding says; ERR_IO, ERR_NOMEM
bool inspect_sheet(const struct inspect *in, uint32_t image, const char *path, struct err *err);
// An image as compressed NIfTI-1, points as its fourth dimension, in modality units.
//   ERR_GEOMETRY its slices are no regular grid, or frames are missing: there is no such volume
//   ERR_INPUT and what decoding says; ERR_IO, ERR_FULL, ERR_NOMEM
bool inspect_nifti(const struct inspect *in, uint32_t image, const char *path, struct err *err);
