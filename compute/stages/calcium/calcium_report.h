// Calcium scores as findings: groups, marks, layers, regions, page. Thread-safety: one thread.
#pragma once
#include <stdbool.h>
#include "compute/findings/findings.h"
#include "compute/anatomy/heart.h"
#include "compute/stages/calcium/calcium_lesion.h"
#include "compute/stages/calcium/calcium_score.h"
#include "compute/image/image.h"
#include "base/err.h"

// Fills verdict, groups (all arteries, one an artery, one a lesion), layers, marks, regions with
// their label map, headline, table and images; with a score of zero also a layer and a warning for
// what was too small to count. Facts, parameters and all other warnings are the caller's.
// estimate  not gated: said in the headline and with the category
// False with *err: ERR_NOMEM.
bool calcium_report(struct findings *f, const struct image_set *set, uint32_t image,
                    const struct anatomy_heart *heart, const struct calcium_rules *rules,
                    const struct calcium_lesions *lesions, bool estimate, struct err *err);
