// Calcium scores as findings: groups, marks, layers, regions, page. Thread-safety: one thread.
#pragma once
#include <stdbool.h>
#include "compute/findings/findings.h"
#include "compute/anatomy/heart.h"
#include "compute/stages/calcium/calcium_lesion.h"
#include "compute/stages/calcium/calcium_percentile.h"
#include "compute/stages/calcium/calcium_prior.h"
#include "compute/stages/calcium/calcium_score.h"
#include "compute/image/image.h"
#include "base/err.h"

// What is known of the scan and the patient.
struct calcium_context {
    bool estimate;   // not gated, or moved: said in the headline and with the category
    bool moved;      // the heart, while it was imaged: the score is that of the images
    bool calibrated; // the factor of the mass is that of the scanner
    const struct calcium_percentile_row *row; // for age and sex; NULL: no percentile is given
    const char *people;                       // of the row: "men of 45 to 54 years (source)"
    const struct prior *priors;               // earlier results, the newest first
    size_t prior_count;
    struct calcium_now now; // to compare them with; the report fills in low and high
};

// Fills verdict, groups (all arteries, one an artery, one a lesion), layers, marks, regions with
// their label map, headline, table and images; with a score of zero also a layer and a warning for
// what was too small to count. Facts, parameters and all other warnings are the caller's.
// False with *err: ERR_NOMEM.
bool calcium_report(struct findings *f, const struct image_set *set, uint32_t image,
                    const struct anatomy_heart *heart, const struct calcium_rules *rules,
                    const struct calcium_lesions *lesions, const struct calcium_context *context,
                    struct err *err);
