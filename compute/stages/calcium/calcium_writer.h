// What the parts of a calcium report share: the findings that they write, what was scored, and how
// arteries are called. Private to the report. Thread-safety: one thread.
#pragma once
#include <stdint.h>
#include "compute/anatomy/heart.h"
#include "compute/findings/findings.h"
#include "compute/image/image.h"
#include "compute/stages/calcium/calcium_lesion.h"
#include "compute/stages/calcium/calcium_report.h"
#include "compute/stages/calcium/calcium_score.h"

#define CALCIUM_IMAGES_MAX 12 // on the page

struct calcium_artery_name {
    const char *name, *description;
    struct code site; // CID 3015
    uint8_t rgb[3];
};
extern const struct calcium_artery_name calcium_arteries[CALCIUM_ARTERIES];

struct calcium_writer {
    struct findings *f;
    const struct image_set *set;
    uint32_t image; // index in the set
    const struct image *v;
    const struct anatomy_heart *heart;
    const struct calcium_rules *rules;
    const struct calcium_lesions *lesions;
    struct calcium_amount artery[CALCIUM_ARTERIES], total, possible; // possible: uncertain ones too
    uint32_t counted, uncertain;                                     // lesions
    const struct calcium_context *context;
    int artery_group[CALCIUM_ARTERIES], artery_region[CALCIUM_ARTERIES];
    uint32_t lesion_group; // of the first lesion
    uint32_t *number;      // of each lesion in its artery, from 1
};

// Digits after the point of a mass.
int calcium_writer_mass_decimals(const struct calcium_writer *w, double mg);

// What may be an artery's: its own lesions, uncertain ones there, and all that no artery is told
// of.
struct calcium_amount calcium_writer_most(const struct calcium_writer *w, int artery);

// How viewers name slice k; returns text.
const char *calcium_writer_place(const struct calcium_writer *w, uint32_t k, char text[64]);
