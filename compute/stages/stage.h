// An analysis is a row of a table: what it takes, its parameters, and a function from volumes to
// findings. It hears nothing of DICOM, of files or of the network. Process: worker, analyze.
// Thread-safety: the table is constant; run() uses one gpu from one thread.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "compute/findings/findings.h"
#include "compute/image/volume.h"
#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

struct gpu; // compute/gpu/gpu.h

enum stage_result { // kinds of result an analysis can give; bits
    RESULT_SR = 1,
    RESULT_GSPS = 2,
    RESULT_SC = 4,
    RESULT_SEG = 8,
    RESULT_PMAP = 16,
    RESULT_PDF = 32,
};
const char *stage_result_name(enum stage_result kind); // "sr"
bool stage_result_parse(const char *name, enum stage_result *kind);

enum tristate { TRI_UNKNOWN, TRI_NO, TRI_YES };

// How a series was acquired, as far as its headers say. Numbers are NAN when unknown.
struct scan {
    char modality[17];      // "CT"
    double kvp;             // kV
    double tube_current_ma; // mA
    double exposure_mas;    // mAs
    double slice_thickness_mm;
    double reconstruction_diameter_mm;
    char kernel[65]; // convolution kernel
    char manufacturer[65], model[65];
    char series_description[65], study_description[65], protocol[65], body_part[17];
    char contrast[65];        // contrast agent; "" when none is named
    enum tristate gated;      // ECG-gated (cardiac synchronisation), from the headers
    char gating_evidence[65]; // which attribute said so
    double image_window[2];   // centre, width of the first VOI window; NAN when absent
};

enum stage_param_type { PARAM_NUMBER, PARAM_INTEGER, PARAM_BOOL, PARAM_CHOICE };

struct stage_param {
    const char *name; // "threshold_hu"
    const char *unit; // UCUM, "" when none
    const char *help; // one sentence
    enum stage_param_type type;
    double min, max, def; // PARAM_BOOL: def 0 or 1; PARAM_CHOICE: def is an index into choices
    const char *const *choices; // PARAM_CHOICE: NULL-ended
};

struct stage_input {
    const struct volume *const *volumes;
    size_t volume_count;
    const struct scan *scan;
    const double *params; // one a stage_param, checked against its range
    struct gpu *gpu;      // borrowed
    double deadline_s; // CLOCK_MONOTONIC seconds; 0: none. run() gives up past it with ERR_TIMEOUT
};

struct stage {
    const char *name;    // "calcium": what routes name
    const char *title;   // "Coronary calcium scoring": Series Description, report
    const char *version; // "1": changes whenever the same input may give another answer
    unsigned slot;       // Series Number is 9000 + 10 * slot + kind
    const char *accepts; // for people: "non-contrast CT, gated or not"
    unsigned results;    // enum stage_result bits it can give
    const struct stage_param *params;
    size_t param_count;
    // False with *err set when the machine failed (ERR_DEVICE, ERR_NOMEM, ERR_TIMEOUT): the job may
    // be tried again. An input that cannot be judged is true with VERDICT_NOT_EVALUABLE.
    bool (*run)(const struct stage_input *in, struct findings *out, struct err *err);
};

const struct stage *stage_find(const char *name); // NULL: none
const struct stage *stage_at(size_t index);       // NULL past the end

// Sets the default of every parameter. params has param_count entries.
void stage_defaults(const struct stage *stage, double *params);
// Parses one option as the configuration gives it. ERR_CONFIG: no such parameter (with the nearest
// name), not a number, out of range (which is named).
bool stage_option(const struct stage *stage, const char *name, const char *value, double *params,
                  struct err *err);

#ifdef __cplusplus
}
#endif
