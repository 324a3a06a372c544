// report.json and the pictures of `anode analyze`: the same measurements as in the SR.
// Process: analyze. Thread-safety: one thread.
#pragma once
#include <stdbool.h>
#include <stdio.h>
#include "node/job/analysis.h"
#include "base/err.h"

struct report; // opaque: a report.json in the making

// device: the Vulkan device as results name it.
struct report *report_create(const char *device); // NULL: no memory
// Appends the results of one analysis. Files are named relative to the report's folder.
// prefix  folder of this analysis inside of it, "" or "calcium-1f3a9c0b2d4e/"
bool report_add(struct report *r, const struct stage *stage, const struct analysis_report *analysis,
                const char *prefix, bool nifti, struct err *err);
// Writes it to path. ERR_IO, ERR_FULL, ERR_NOMEM
bool report_write(const struct report *r, const char *path, struct err *err);
// The same to a stream. ERR_IO, ERR_NOMEM
bool report_print(const struct report *r, FILE *out, struct err *err);
void report_destroy(struct report *r); // NULL is fine

// Writes label maps and value maps as <folder>/<stage>-regions.nii, <stage>-<map>.nii on the grid
// of their images. ERR_INPUT (a side is too long for NIfTI-1), ERR_IO, ERR_FULL, ERR_NOMEM
bool report_niftis(const char *folder, const struct stage *stage,
                   const struct analysis_report *analysis, struct err *err);

// Writes the statements of an analysis of spoken text as <folder>/<stage>.txt, UTF-8, a paragraph
// each; nothing for others. ERR_IO, ERR_FULL, ERR_NOMEM
bool report_spoken(const char *folder, const struct stage *stage, const struct findings *findings,
                   struct err *err);

// Writes the pictures of findings as <folder>/<stage>-<name>.png. ERR_IO, ERR_NOMEM
bool report_pictures(const char *folder, const struct stage *stage, const struct findings *findings,
                     struct err *err);
