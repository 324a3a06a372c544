// An analysis is a row of a table: what it takes, its parameters, and a function from images to
// findings. It hears nothing of DICOM, of files or of the network. Process: worker, analyze.
// Thread-safety: the table is constant; run() uses one gpu from one thread.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/result.h"
#include "compute/findings/findings.h"
#include "compute/image/image.h"

#ifdef __cplusplus
extern "C" {
#endif

struct gpu;          // compute/gpu/gpu.h
struct prior;        // compute/findings/prior.h
struct told;         // compute/findings/prior.h
struct recording;    // compute/speech/recording.h
struct kernel_group; // compute/kernels/kernels.h

// ---- Parameters ---------------------------------------------------------------------------------

enum stage_param_type {
    PARAM_NUMBER,
    PARAM_INTEGER,
    PARAM_BOOL,
    PARAM_CHOICE,
    PARAM_TEXT,
    PARAM_PATH
};

struct stage_param {
    const char *name; // "threshold_hu"
    const char *unit; // UCUM, "" when none
    const char *help; // one sentence
    enum stage_param_type type;
    double min, max, def; // PARAM_BOOL: def 0 or 1; PARAM_CHOICE: def is an index into choices
    const char *const *choices; // PARAM_CHOICE: NULL-ended
    const char *text;           // PARAM_TEXT, PARAM_PATH: the default; NULL: ""
    // PARAM_PATH: whether the file can be used; "" none is named. *err says what is wrong, and
    // where. NULL: it is not looked at. A job whose file is gone meanwhile says so itself.
    bool (*check)(const char *path, struct err *err);
};

// The value of one parameter, checked. Which member holds follows from the type of its stage_param.
struct param_value {
    double number;    // PARAM_NUMBER
    int64_t integer;  // PARAM_INTEGER
    bool truth;       // PARAM_BOOL
    unsigned choice;  // PARAM_CHOICE: index into choices
    const char *text; // PARAM_TEXT, PARAM_PATH: not NULL; borrowed
};

// ---- Inputs -------------------------------------------------------------------------------------

// A pattern on one attribute, written as a condition of a route (conf/pattern.h).
struct stage_accept {
    const char *keyword, *pattern;
};

// What an input would rather have where a series holds several images of one place: phases of the
// heart, kernels, reconstructions. node/job/choose.h says how one is chosen.
struct stage_preference {
    const char *keyword;             // of an attribute
    const char *patterns[2];         // hold, written as conditions of a route; NULL: none
    double nearest;                  // of several images that fit those nearest to it; 0: any
    const char *help;                // a word for people: "diastole"
    bool (*fits)(const char *value); // holds too; value NULL: absent; NULL: patterns say it all
};

enum stage_input_count {
    INPUT_ONE,      // exactly one series
    INPUT_OPTIONAL, // one or none
    INPUT_MANY,     // one or more
};

// A slot that series fill. A series takes the first slot whose patterns all match.
struct stage_input_spec {
    const char *name, *help; // "left cc", "Left breast, cranio-caudal"
    enum stage_input_count count;
    enum image_axis axis; // the axis its images have; with INPUT_MANY the frames of its series are
                          // split together, over time of those that are of one scan
                          // (node/job/join.h), and the image with the axis comes first
    bool placed; // its frames have a place in space; INPUT_ONE: the slot has one main image
                 // without a defect, or the job is not evaluable before run() is called
    const struct stage_accept *accepts;     // ended by a keyword of NULL
    const struct stage_preference *prefers; // of INPUT_ONE and INPUT_OPTIONAL with a place, the
                                            // most important first, ended by a keyword of NULL;
                                            // NULL: the image with the most frames
    bool reports;    // no images: structured reports of this program, which run() is given as plain
                     // data; INPUT_MANY, not placed, the only input of its analysis
    bool recordings; // no images: sound, which run() is given; not placed, the only input
};

enum stage_scope {
    SCOPE_SERIES, // a job is one series; one slot
    SCOPE_STUDY,  // a job is what a study has for the slots
};

// A slot as a job has filled it.
struct stage_slot {
    const struct stage_input_spec *spec;
    uint32_t series_count; // series in it; 0: missing
    uint32_t image_count;
    const uint32_t *images; // indices into the images of the set: the main one first
};

// ---- The analysis -------------------------------------------------------------------------------

// How run() ended. It sets verdict and reason of the findings itself when it refuses.
enum stage_end {
    STAGE_DONE,    // findings are filled, verdict VERDICT_DONE or VERDICT_NOTHING_FOUND
    STAGE_REFUSED, // the input cannot be judged: findings_refuse() has been called
    STAGE_BROKEN,  // the machine failed (*err is set): the job may be tried again
};

struct stage;

struct stage_run {
    const struct stage *stage;
    const struct image_set *set;
    const struct stage_slot *slots;   // one a stage_input_spec
    const struct param_value *params; // one a stage_param
    // Earlier results of this analysis for the same patient, of other studies, the newest first;
    // none that another one replaced, none that failed. Of the job's arena, read only. They came
    // from outside: what they say may be wrong or senseless (compute/findings/prior.h).
    const struct prior *priors;
    size_t prior_count;
    // Reports that are the input (stage_input_spec.reports), by SOP Instance UID; of the job's
    // arena. Their texts came from outside, as those of priors.
    const struct told *reports;
    size_t report_count;
    unsigned kinds; // enum result_kind bits that are wanted: what only others need is not made
    // Recordings that are the input (stage_input_spec.recordings), by SOP Instance UID.
    const struct recording *recordings;
    size_t recording_count;
    struct gpu *gpu;     // borrowed; waits on it end by the deadline of the job
    struct arena *arena; // of the job: what need not outlive it
    // Tells how far it is and whether to go on; see stage_step().
    bool (*step)(void *ctx, const char *what, double done, struct err *err);
    void *step_ctx;
};

// Minutes count: its jobs go before others that wait, unless a site gives those a priority that is
// higher still.
#define STAGE_URGENT 100

struct stage {
    const char *name;    // "calcium": what routes name
    const char *title;   // "Coronary calcium scoring": Series Description, report
    const char *version; // "1": changes whenever the same input may give another answer
    unsigned slot;       // Series Number is 9000 + 10 * slot + kind; 1..99, unique
    const char *help;    // one sentence: what it measures
    int priority;        // of its jobs, added to that of the route; 0, or STAGE_URGENT
    enum stage_scope scope;
    const struct stage_input_spec *inputs;
    size_t input_count;          // SCOPE_SERIES: 1
    unsigned results;            // enum result_kind bits it can give
    enum report_template report; // of its SR
    const struct stage_param *params;
    size_t param_count;
    // The groups of kernels that run() dispatches, ended by NULL: they are made ready before the
    // first job comes. One that cannot be made fails this analysis, no other. NULL: none.
    const struct kernel_group *const *kernels;
    // What run() needs to know of an analysis that was made at run time: the struct model of a site
    // (compute/stages/model/model.h). NULL: nothing.
    const void *data;
    // *err is set with STAGE_BROKEN only.
    enum stage_end (*run)(const struct stage_run *run, struct findings *out, struct err *err);
};

// Progress and deadline in one call. what: "deconvolution"; done: 0..1 of the whole run.
// False with ERR_TIMEOUT when the deadline of the job has passed: run() ends with STAGE_BROKEN.
bool stage_step(const struct stage_run *run, const char *what, double done, struct err *err);

// The image of a slot (n-th; 0 the main one), or NULL when it has none.
const struct image *stage_image(const struct stage_run *run, size_t slot, uint32_t n);

// The stack that the series of a slot make together, for INPUT_MANY with an axis: the main image,
// its frames in order of place and of the axis, whatever series they came in. It has a place, two
// points or more, no defect and every frame; *index (may be NULL) is its index in the set.
// The other images of the slot become exclusions that say what sets them apart.
// NULL: there is none, and f is refused with the reason: run() ends with STAGE_REFUSED.
const struct image *stage_stack(const struct stage_run *run, size_t slot, struct findings *f,
                                uint32_t *index);
// The same where frames may be missing and the axis is the analysis's to judge. It is refused too
// where two images of the slot may be meant: as many frames over the axis of the input.
const struct image *stage_stack_with_gaps(const struct stage_run *run, size_t slot,
                                          struct findings *f, uint32_t *index);

// Refuses: findings_refuse() with VERDICT_NOT_EVALUABLE; returns STAGE_REFUSED, so that run() can
// end with `return stage_refuse(...)`.
enum stage_end stage_refuse(struct findings *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// ---- The table ----------------------------------------------------------------------------------

const struct stage *stage_find(const char *name); // NULL: none
bool stage_takes_reports(const struct stage *stage);
const struct stage *stage_at(size_t index); // in the order of slots; NULL past the end

// Further stages, before anything else uses the table: models of the site, and those of the tests
// of the interface. At most STAGE_FURTHER_MAX; borrowed as long as the process lives.
#define STAGE_FURTHER_MAX 64
void stage_register(const struct stage *stage);

// Sets the default of every parameter. params has param_count entries.
void stage_defaults(const struct stage *stage, struct param_value *params);
// Parses one option as the configuration gives it. Texts are kept in arena.
// ERR_CONFIG: no such parameter (with the nearest name), not a number, out of range (which is
// named), a path that is not absolute, text that is too long (255 bytes). ERR_NOMEM.
bool stage_option(const struct stage *stage, const char *name, const char *value,
                  struct arena *arena, struct param_value *params, struct err *err);
// Whether a value that stage_option() took can be used: for who sets the node up. ERR_CONFIG as the
// check of the parameter says it, with the name of the option before.
bool stage_option_usable(const struct stage *stage, const char *name, const char *value,
                         struct err *err);
// A value as text, in the form that stage_option() reads: numbers with 9 digits or as many as read
// back the same. Returns text.
const char *stage_param_text(const struct stage_param *param, const struct param_value *value,
                             char *text, size_t size);

#ifdef __cplusplus
}
#endif
