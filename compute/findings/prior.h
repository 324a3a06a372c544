// A result of this program for the same patient from before, read back from its report as plain
// data: what an analysis compares with. It came over the network and is untrusted: texts are at
// most PRIOR_TEXT_MAX bytes of UTF-8, counts are bounded, numbers are finite; whether they make
// sense is for who uses them. Source: PS3.3 A.35.13; PS3.16 TID 1500, 1602, 1501, 300, 310, as
// dimse/write/sr.cc writes them. Thread-safety: plain data; all of it belongs to one arena.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/identity.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PRIOR_TEXT_MAX    255 // bytes of a text
#define PRIOR_NUMBERS_MAX 256 // measurements that are read of one report: those of its first groups
#define PRIORS_MAX        4   // earlier results that a job is given at most: the newest

// How it ended, as enum verdict (compute/findings/findings.h), which this header does without.
enum prior_end { PRIOR_DONE, PRIOR_NOTHING_FOUND, PRIOR_NOT_EVALUABLE, PRIOR_FAILED, PRIOR_ENDS };

// Texts are never NULL.
struct prior_number {
    const char *group; // tracking identifier of its group: "Coronary arteries"
    // Code value and scheme with a blank between: "450360000 SCT"; method "": none; unit of UCUM
    const char *concept, *method, *unit;
    double value;
    bool ranged; // only low..high is known
    double low, high;
};

struct prior {
    struct object_id id;                        // of the report
    char replaces[UID_SIZE];                    // SOP Instance UID of the report that it replaced
    const char *stage, *version;                // "calcium", "7"
    const char *patient, *issuer, *birth, *sex; // as the attributes stand there
    const char *date, *time;                    // of its study: DA and TM, as they stand there
    enum prior_end end;
    const char *headline; // of the report; with PRIOR_NOT_EVALUABLE why
    // Of the first images that it lists. "" and NAN: not said
    const char *maker, *model, *kernel;
    double kvp, thickness_mm, spacing_mm; // kV; mm; mm between slices
    const char *class_text; // "CAC-DRS A2": the first statement of the whole in text; "": none
    const struct prior_number *numbers;
    size_t number_count;
};

// ---- A report in full, for what gathers reports -------------------------------------------------

#define TOLD_LINES_MAX 64   // lines of a kind that are read of one report
#define TOLD_LINE_MAX  1000 // bytes of a line

struct told_code {
    const char *value, *scheme, *meaning; // value "": none
};

struct told_number {
    const char *group; // tracking identifier
    bool part;         // of another group: a lesion, an artery
    struct told_code concept, unit, method, derivation, phase;
    double value;
    int decimals; // digits after the point as it was written
    bool ranged;
    double low, high;      // where ranged
    const char *range_why; // "": not said
};

struct told_line { // a statement in words
    struct told_code concept;
    const char *group; // that it is about; "": the whole
    const char *text;
};

struct told {
    struct prior result; // how it ended, of what analysis, of which study; its numbers are empty
    struct told_code procedure;
    const char *why; // its verdict in words where it is not done: "not evaluable: ..."; "": done
    const char *const *series; // Series Instance UIDs of what was analysed
    size_t series_count;
    const struct told_number *numbers; // in the order of the report, PRIOR_NUMBERS_MAX at most
    size_t number_count;
    size_t number_total;           // that the report has
    const struct told_line *lines; // qualitative evaluations
    size_t line_count;
    const char *const *exclusions; // what it left out, and why
    size_t exclusion_count;
    const char *const *earlier; // what it was compared with, and what came of it
    size_t earlier_count;
    bool cut; // some text or list was longer than is read
};

// The first number of a concept ("450360000 SCT") in a group; NULL: none.
const struct prior_number *prior_number(const struct prior *p, const char *group,
                                        const char *concept);

#ifdef __cplusplus
}
#endif
