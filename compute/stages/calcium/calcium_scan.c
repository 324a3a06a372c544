#include "compute/stages/calcium/calcium_scan.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct gating {
    enum calcium_gating gating;
    const char *evidence; // a keyword
};

static const char *attr_text(const struct attrs *a, const char *keyword)
{
    const char *text = a ? attrs_get(a, keyword) : NULL;
    return text ? text : "";
}

static bool has_word(const char *text, const char *word)
{
    return strcasestr(text, word) != NULL;
}

static double attr_number(const struct attrs *a, const char *keyword)
{
    const char *text = attr_text(a, keyword);
    char *end;
    double value = strtod(text, &end);
    return end != text && isfinite(value) ? value : NAN;
}

// By the words that sites use in names of series and protocols.
static enum calcium_gating gating_in_words(const char *text)
{
    static const char *const not_gated[] = {"non-gated", "non gated", "nongated", "ungated",
                                            "not gated"};
    for (size_t i = 0; i < sizeof not_gated / sizeof *not_gated; i++) {
        if (has_word(text, not_gated[i]))
            return CALCIUM_NOT_GATED;
    }
    return has_word(text, "gated") || has_word(text, "ecg") ? CALCIUM_GATED
                                                            : CALCIUM_GATING_UNKNOWN;
}

// The most explicit attribute decides.
static struct gating gating_of(const struct attrs *a)
{
    static const char *const names[] = {"SeriesDescription", "ProtocolName"};
    const char *technique = attr_text(a, "CardiacSynchronizationTechnique");
    const char *options = attr_text(a, "ScanOptions");
    if (*technique)
        return (struct gating){strcmp(technique, "NONE") == 0 ? CALCIUM_NOT_GATED : CALCIUM_GATED,
                               "CardiacSynchronizationTechnique"};
    if (has_word(options, "ECG") || has_word(options, "CARDIAC") || has_word(options, "TRIGGER"))
        return (struct gating){CALCIUM_GATED, "ScanOptions"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const enum calcium_gating said = gating_in_words(attr_text(a, names[i]));
        if (said != CALCIUM_GATING_UNKNOWN)
            return (struct gating){said, names[i]};
    }
    if (attr_number(a, "HeartRate") > 0)
        return (struct gating){CALCIUM_GATED, "HeartRate"};
    if (attr_number(a, "TriggerTime") > 0)
        return (struct gating){CALCIUM_GATED, "TriggerTime"};
    if (isfinite(attr_number(a, "NominalPercentageOfCardiacPhase")))
        return (struct gating){CALCIUM_GATED, "NominalPercentageOfCardiacPhase"};
    return (struct gating){CALCIUM_GATING_UNKNOWN, ""};
}

static struct gating gating_of_image(const struct image_set *set, const struct image *img)
{
    struct gating all = {CALCIUM_GATING_UNKNOWN, ""};
    bool first = true;
    for (uint32_t k = 0; k < img->dim[2]; k++) {
        const uint32_t frame = image_frame_at(img, k, 0);
        if (frame == IMAGE_NO_FRAME)
            continue;
        const struct gating one = gating_of(set->frames[frame].attrs);
        if (!first && one.gating != all.gating)
            return (struct gating){CALCIUM_GATING_UNKNOWN, "differs between slices"};
        if (first)
            all = one;
        first = false;
    }
    return all;
}

void calcium_scan_read(const struct image_set *set, const struct image *img,
                       struct calcium_scan *out)
{
    const char *contrast;
    if (image_number(set, img, "KVP", &out->kvp) == IMAGE_ATTR_DIFFERS)
        out->kvp = NAN;
    image_number(set, img, "SliceThickness", &out->thickness_mm);
    out->kernel = image_text(set, img, "ConvolutionKernel");
    out->manufacturer = image_text(set, img, "Manufacturer");
    out->model = image_text(set, img, "ManufacturerModelName");
    image_attr(set, img, "ContrastBolusAgent", &contrast);
    out->contrast = contrast ? contrast : "";
    const struct gating g = gating_of_image(set, img);
    out->gating = g.gating;
    out->gating_evidence = g.evidence;
}
