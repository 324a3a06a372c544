#include "compute/stages/calcium/calcium_writer.h"
#include "compute/findings/colour.h"

// PS3.16 CID 3015.
const struct calcium_artery_name calcium_arteries[CALCIUM_ARTERIES] = {
    {"LM",
     "Left main coronary artery",
     {"3227004", "SCT", "Left Main Coronary Artery"},
     COLOUR_YELLOW},
    {"LAD",
     "Left anterior descending coronary artery",
     {"59438005", "SCT", "Left Anterior Descending Coronary Artery"},
     COLOUR_GREEN},
    {"LCX",
     "Circumflex coronary artery",
     {"57396003", "SCT", "Circumflex Coronary Artery"},
     COLOUR_SKY},
    {"RCA",
     "Right coronary artery",
     {"13647002", "SCT", "Right Coronary Artery"},
     COLOUR_VERMILION},
    {"UNASSIGNED",
     "Coronary artery that cannot be told",
     {"41801008", "SCT", "Coronary Artery"},
     COLOUR_VIOLET},
};

// A factor that is assumed may be wrong by a fifth: two figures of the mass
// are all that it allows.
int calcium_writer_mass_decimals(const struct calcium_writer *w, double mg)
{
    if (w->context->calibrated)
        return 2;
    return mg >= 10 ? 0 : mg >= 1 ? 1 : 2;
}

struct calcium_amount calcium_writer_most(const struct calcium_writer *w, int artery)
{
    struct calcium_amount most = {0};
    for (uint32_t i = 0; i < w->counted + w->uncertain; i++) {
        const struct calcium_lesion *l = &w->lesions->list[i];
        const bool open = l->artery == CALCIUM_UNASSIGNED && artery != CALCIUM_UNASSIGNED;
        if ((int)l->artery == artery || open)
            calcium_add(&most, &l->amount);
    }
    return most;
}

const char *calcium_writer_place(const struct calcium_writer *w, uint32_t k, char text[64])
{
    image_place_name(w->set, w->image, k, 0, text, 64);
    return text;
}
