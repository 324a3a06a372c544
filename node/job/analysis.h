// One series through one analysis: files in, result objects out. The same for the node and for
// `anode analyze`. Process: worker, analyze. Thread-safety: one analysis at a time a process;
// object_init() has been called before.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include "compute/findings/findings.h"
#include "compute/stages/stage.h"
#include "compute/image/volume.h"
#include "dimse/write/results.h"
#include "base/err.h"
#include "base/uid.h"

struct analysis_file {
    const char *path;
    uint8_t digest[DIGEST_SIZE]; // SHA-256 of the data set (see dimse/net/scp.h); all zero: not
                                 // known, it is computed
};

struct analysis_request {
    const struct analysis_file *files; // every instance of one series, any order
    size_t file_count;
    const struct stage *stage;
    const double *params;      // stage->param_count, checked
    unsigned kinds;            // enum stage_result bits; 0: all that the stage gives
    struct result_maker maker; // device_name: as `anode devices` names it
    const struct result_predecessor *predecessor; // NULL: none
    const char *remark; // a warning about the input that only the caller can know, such as that it
                        // is known to be incomplete; part of the result UIDs; NULL or "": none
    const char *folder; // exists; result files go there
    double deadline_s;  // CLOCK_MONOTONIC seconds; 0: none
    struct timespec started; // {0}: now
    // Called with "decoding", 12, 48 and the like; may be NULL.
    void (*progress)(void *ctx, const char *step, size_t done, size_t total);
    void *progress_ctx;
};

#define ANALYSIS_OBJECTS 6

struct analysis_report {
    struct findings *findings; // owned: verdict, reason, groups with measurements, labels, pictures
    struct volume *volume;     // owned; NULL when none could be built
    char study_instance_uid[65], series_instance_uid[65];
    struct result_object objects[ANALYSIS_OBJECTS];
    size_t object_count;
    double seconds;             // wall clock of the whole analysis
    uint64_t host_peak_bytes;   // largest resident size of this process so far (getrusage)
    uint64_t device_peak_bytes; // most device memory in use at once; part of host memory on a CPU
};

// Runs it. True: report is filled and the result files are in request->folder, durable, also when
// the verdict is VERDICT_NOT_EVALUABLE (slices do not form a volume, a pixel stream is broken, not
// an image, the stage refused) with the reason in findings.
// False with *err set and no result file: the machine failed, and the job may be tried again
// (ERR_IO, ERR_FULL, ERR_NOMEM, ERR_DEVICE, ERR_TIMEOUT, ERR_INTERNAL); or ERR_INPUT: no file is a
// readable DICOM file, or they are not of one series.
// report is initialised here; analysis_report_finish() in either case.
bool analysis_run(const struct analysis_request *request, struct gpu *gpu,
                  struct analysis_report *report, struct err *err);

// Results that only say why there is nothing else: verdict VERDICT_FAILED or VERDICT_NOT_EVALUABLE
// with reason, made without pixels and without a GPU. For jobs whose attempts are used up.
bool analysis_refuse(const struct analysis_request *request, enum verdict verdict,
                     const char *reason, struct analysis_report *report, struct err *err);

void analysis_report_finish(struct analysis_report *report); // {0} is fine

// All parameters as "name=value;name=value" in table order, values as %.9g (choices by name): part
// of result UIDs. malloc'd; NULL: no memory.
char *analysis_options(const struct stage *stage, const double *params);
