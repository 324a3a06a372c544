// Files and folders on disk, grouped into series of one patient: what the offline commands work
// on.
// Process: analyze, route. Thread-safety: one thread; object_init() has been called before.
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "node/job/analysis.h"
#include "base/attrs.h"
#include "base/err.h"

struct gather_series {
    char patient[65]; // see node/job/patient.h
    char study_instance_uid[65], series_instance_uid[65], modality[17];
    bool own;           // at least one instance was made by this node
    struct attrs attrs; // of each attribute the value of most instances, see node/job/tally.h
    struct tally *tally;
    struct analysis_file *files; // path malloc'd, digest not known
    size_t file_count;
};

struct gather {
    struct gather_series *series; // by study, series UID, patient
    size_t count;
    size_t ignored; // files that are no DICOM instances
};

// Looks into each path, folders with all they hold (symbolic links are followed, loops are not).
// Files that are no DICOM instances are ignored, each with a log line.
// device_uid  of this node, to tell its own objects; "" when there is none
//   ERR_IO a path cannot be read; ERR_NOMEM. Files found in folders only cause log lines.
bool gather_paths(char *const *paths, size_t count, const char *device_uid, struct gather *out,
                  struct err *err);
// What every answer about a series says of it first: study, series, modality, description,
// instances, own. Failures (no memory) add up in *ok.
json_t *gather_item(const struct gather_series *s, bool *ok);
void gather_finish(struct gather *g); // {0} is fine
