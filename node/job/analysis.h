// The series of a job through one analysis: files in, result objects out. The same for the node and
// for `anode analyze`. Process: worker, analyze. Thread-safety: one analysis at a time a process;
// object_init() has been called before.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include "base/attrs.h"
#include "base/err.h"
#include "base/uid.h"
#include "compute/findings/findings.h"
#include "compute/findings/prior.h"
#include "compute/image/image.h"
#include "compute/stages/stage.h"
#include "dimse/write/results.h"

struct analysis_file {
    const char *path;
    uint8_t digest[DIGEST_SIZE]; // SHA-256 of the data set (see dimse/net/scp.h), which the file
                                 // must have; all zero: not known
    // As recorded when it was received, for a file that no parser takes: NULL: not known.
    const char *sop_instance_uid, *sop_class_uid;
};

// A series in a slot of the stage.
struct analysis_input {
    uint32_t slot;                     // index into stage->inputs
    const struct analysis_file *files; // every instance of one series, any order
    size_t file_count;
};

struct analysis_request {
    const struct analysis_input *inputs; // in the order of slots; SCOPE_SERIES: one
    size_t input_count;
    const struct stage *stage;
    const struct param_value *params;    // stage->param_count, checked
    unsigned kinds;                      // enum result_kind bits; 0: all that the stage gives
    struct result_maker maker;           // device_name: as `anode devices` names it
    const struct object_id *predecessor; // NULL: none
    const char *remark; // a warning about the input that only the caller can know, such as that it
                        // is known to be incomplete; part of the result UIDs; NULL or "": none
    const char *evidence; // why the input was taken for complete: a fact on the page; NULL: none
    const struct prior *priors; // earlier reports of the patient, any order: node/job/priors.h
                                // chooses among them; part of the result UIDs
    size_t prior_count;
    const char *prior_note;   // what became of the search for them: a fact on the page, part of the
                              // result UIDs; NULL or "": nothing to say
    const struct attrs *head; // attributes of the input as recorded, for files that no parser
                              // takes; NULL: none
    const char *folder;       // exists; result files go there
    bool light_page;          // pages are drawn on white, else on dark; part of the result UIDs
    double deadline_s; // CLOCK_MONOTONIC seconds; 0: none. Bounds every wait on the device too
    struct timespec started; // {0}: now
    // Called with "decoding", 0.25 and the like, from one thread; may be NULL.
    void (*progress)(void *ctx, const char *what, double done);
    void *progress_ctx;
    // Called for each file whose digest is not the one given, from one thread; may be NULL.
    void (*damaged)(void *ctx, const struct analysis_file *file);
    void *damaged_ctx;
};

struct analysis_series {
    uint32_t slot;
    char series_instance_uid[65];
};

struct analysis_report {
    struct findings *findings; // owned: verdict, reason, groups with measurements, maps, pictures
    struct arena *arena;       // owned: what images points to
    struct image_set images;   // image_count 0 when nothing could be split
    char study_instance_uid[65];
    struct analysis_series *series; // in arena
    size_t series_count;
    const struct told *told; // of an analysis of reports: its input; in arena
    size_t told_count;
    struct result_list objects; // owned
    double seconds;             // wall clock of the whole analysis
    uint64_t host_peak_bytes;   // largest resident size of this process so far (getrusage)
    uint64_t device_peak_bytes; // most device memory in use at once; part of host memory on a CPU
};

// Runs it. True: report is filled and the result files are in request->folder, durable, also when
// the verdict is VERDICT_NOT_EVALUABLE (frames are no regular grid, a pixel stream is broken, not
// an image, a file has another digest than was given, the stage refused) with the reason in
// findings. False with *err set and no result file:
// the machine failed, and the job may be tried again (ERR_IO, ERR_FULL, ERR_NOMEM, ERR_DEVICE,
// ERR_TIMEOUT, ERR_INTERNAL); or ERR_INPUT: no file is a readable DICOM file, or files of an input
// are not of one series, or the inputs not of one study. report is initialised here;
// analysis_report_finish() in either case.
bool analysis_run(const struct analysis_request *request, struct gpu *gpu,
                  struct analysis_report *report, struct err *err);

// Results that only say why there is nothing else: verdict VERDICT_FAILED or VERDICT_NOT_EVALUABLE
// with reason, made without pixels and without a GPU. For jobs whose attempts are used up, and for
// input that no parser takes: then identity comes from request->head and the files' recorded UIDs.
bool analysis_refuse(const struct analysis_request *request, enum verdict verdict,
                     const char *reason, struct analysis_report *report, struct err *err);

void analysis_report_finish(struct analysis_report *report); // {0} is fine

// The machine's fault: the job may be tried again. All else is the input's, and a result says so.
bool analysis_is_machine(enum err_code code);

// All parameters as "name=value;name=value" in table order: part of result UIDs and of job keys.
// ';' and '\\' in values have a '\\' before them. malloc'd; NULL: no memory.
char *analysis_options(const struct stage *stage, const struct param_value *params);
