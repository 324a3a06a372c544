// Reads a report of this program back (dimse/write/sr.cc): what an analysis may compare with.
// Parses untrusted input: a report that came over the network may be anyone's. Sources: PS3.3 C.17;
// PS3.16 TID 1500, 1600, 1501, 1411, 310, 4019. Process: worker, analyze, asker. Thread-safety: one
// thread a file; object_init() has been called.
#pragma once
#include <stdbool.h>
#include "base/arena.h"
#include "base/err.h"
#include "compute/findings/prior.h"

#ifdef __cplusplus
extern "C" {
#endif

// Files above this are no report of ours: one of 5,000 images and 400 lesions has 3 MiB.
#define REPORT_BYTES_MAX (8u << 20)

// Fills out with what the report says; all of it belongs to arena. What is missing or malformed in
// a part is left out; a value that is no number makes no measurement.
//   ERR_INPUT no DICOM file, larger than REPORT_BYTES_MAX, no Comprehensive, Comprehensive 3D or
//   Enhanced SR, not of this program, not by TID 1500, no analysis named; ERR_IO, ERR_NOMEM
bool report_read(const char *path, struct arena *arena, struct prior *out, struct err *err);
// All that it says, for what gathers reports: numbers as they were written, statements, what was
// left out, what it was compared with. Errors as report_read().
bool report_read_told(const char *path, struct arena *arena, struct told *out, struct err *err);
// As report_read(), of a data set in memory. transfer_syntax: of data
bool report_read_data(const void *data, size_t size, const char *transfer_syntax,
                      struct arena *arena, struct prior *out, struct err *err);

#ifdef __cplusplus
}
#endif
