// What a mammography exam gives as findings: marks with centre, outline and certainty, the same
// lesion in two views, density, what was looked for on which image, what was left out and why;
// the symbols on the images and the sheet. Sources: PS3.16 TID 4000 and below (what a CAD report
// says), CID 6000, 6014, 6016, 6034, 6043, 7470.
// Process: worker, analyze. Thread-safety: pure.
#pragma once
#include <stdbool.h>
#include "compute/stages/mammo/mammo_exam.h"
#include "compute/stages/mammo/mammo_marks.h"

struct mammo_cuts {
    double percent[3]; // of dense area from which a breast is of class 2, 3, 4
};

// Fills the findings of an exam, verdict too. Without an image that could be analysed f is refused.
// marks  [exam->count]; those of images set aside are not looked at
enum stage_end mammo_report(const struct stage_run *run, const struct mammo_exam *exam,
                            const struct mammo_marks *marks, const struct mammo_cuts *cuts,
                            struct findings *f);
