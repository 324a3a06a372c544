// A calcium score beside earlier ones of the same patient: is it another, or the same as far as two
// scans of one person agree? Thread-safety: pure, but for what is added to findings.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "compute/findings/findings.h"
#include "compute/findings/prior.h"

// The present result.
struct calcium_now {
    const char *version; // of the analysis
    double low, high;    // Agatston: from what is counted to that and all that is uncertain
    bool estimate;       // the scan is not gated
    double bmi;          // body mass index, kg/m2; NAN: not known
    double kvp;          // kV; NAN: not known, or not the same in all slices; as are the next
    double thickness_mm; // of the slices
    double spacing_mm;   // from slice to slice
    const char *maker, *model, *kernel; // "" as NAN
};

enum calcium_change {
    CALCIUM_CHANGE_NOT_JUDGED, // the two cannot be compared: the text says why
    CALCIUM_CHANGE_NONE,       // within what two scans of one person differ by
    CALCIUM_CHANGE_MORE,
    CALCIUM_CHANGE_LESS,
};

struct calcium_compared {
    enum calcium_change change;
    double least, most; // present less earlier score; NAN: there is no earlier score
    char score[64];     // the earlier one: "120.0", "100.0 to 150.3", "not evaluable"
    char text[512];     // what is said, in a sentence
};

// Agatston scores of one person, scanned twice in one visit, differ by less than this in 95 of 100:
// 0.17 S + 4.89 sqrt(S) + 0.44 BMI - 10.84, and 0 at least. S: the first score, above 0; BMI in
// kg/m2. Source: Chung et al., AJR 2008;190:W87 (MESA, 3380 persons; PMID 18212206).
double calcium_repeatability(double agatston, double bmi);

// Judges only what can be: both made by the same version, at the same voltage, slice thickness and
// distance, with the same kernel, by the same scanner model, both gated, as far as both say so.
// Where one of the scores is a range all differences that it allows must lie on the same side of
// the limit. Without a body mass index the limit is taken as that of anyone from 18.5 to 45 kg/m2.
void calcium_compare(const struct prior *p, const struct calcium_now *now,
                     struct calcium_compared *out);

// The earlier results as a table, a fact and a comparison each; nothing where there are none.
// False: no memory.
bool calcium_prior_report(struct findings *f, const struct prior *priors, size_t count,
                          const struct calcium_now *now);
