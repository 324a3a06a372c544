// Symbols and outlines of marks on mammograms, the text on each image, and the sheet of views.
// Process: worker, analyze. Thread-safety: pure.
#pragma once
#include "compute/stages/mammo/mammo_exam.h"
#include "compute/stages/mammo/mammo_marks.h"

// The layers of an exam, once, before the rest: of marks only those that were looked for.
void mammo_add_layers(struct findings *f, bool masses, bool clusters);
// Symbol and outline of a mark; group: of the finding.
void mammo_add_symbol(struct findings *f, uint32_t image, int group, const struct mammo_mark *mark,
                      double pixel_mm);
// The outline of the breast; group: its geometry.
void mammo_add_skin(struct findings *f, uint32_t image, int group, const struct mammo_marks *m);
// How many, or that it was not looked for (not_looked_for not NULL); "" without memory.
const char *mammo_count_text(struct arena *arena, const char *not_looked_for, uint32_t count);
// The share of dense tissue with its range; NULL: no memory.
const char *mammo_density_text(struct arena *arena, const struct mammo_marks *m);
// What was found on the image, with the version, beside the breast.
void mammo_add_words(const struct stage_run *run, struct findings *f,
                     const struct mammo_image *image, const struct mammo_marks *m);
// The sheet: each analysed image with its marks, and a table of what was found.
void mammo_add_sheet(struct findings *f, const struct mammo_exam *exam,
                     const struct mammo_marks *marks);
