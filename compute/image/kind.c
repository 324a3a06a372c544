#include "compute/image/kind.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/text.h"

#define CODES_MAX 8 // items of Derivation Code Sequence that are looked at

struct term {
    const char *value;
    enum image_kind kind;
};

// Values of Image Type and Frame Type from the third on, Volume Based Calculation Technique and
// Volumetric Properties; also single words of values with blanks ("CSA MPR").
static const struct term type_terms[] = {
    {"VMI", IMAGE_MONO},
    {"MONO", IMAGE_MONO},
    {"MONOE", IMAGE_MONO},
    {"MONO_E", IMAGE_MONO},
    {"MONO+", IMAGE_MONO},
    {"MAT_SPECIFIC", IMAGE_MATERIAL},
    {"MAT_FRACTIONAL", IMAGE_MATERIAL},
    {"MAT_VALUE_BASED", IMAGE_MATERIAL},
    {"IODINE", IMAGE_MATERIAL},
    {"MAT_REMOVED", IMAGE_REMOVED},
    {"MAT_MODIFIED", IMAGE_REMOVED},
    {"VNC", IMAGE_REMOVED},
    {"VNCA", IMAGE_REMOVED},
    {"VNI", IMAGE_REMOVED},
    {"VUE", IMAGE_REMOVED},
    {"EFF_ATOMIC_NUM", IMAGE_ATOMIC},
    {"Z_EFF", IMAGE_ATOMIC},
    {"ZEFF", IMAGE_ATOMIC},
    {"ELECTRON_DENSITY", IMAGE_DENSITY},
    {"MIP", IMAGE_PROJECTION},
    {"MINIP", IMAGE_PROJECTION},
    {"MAX_IP", IMAGE_PROJECTION},
    {"MIN_IP", IMAGE_PROJECTION},
    {"MAXIMUM", IMAGE_PROJECTION},
    {"MINIMUM", IMAGE_PROJECTION},
    {"PROJECTION", IMAGE_PROJECTION},
    {"SAMPLED", IMAGE_PROJECTION},
    {"CURVED_MPR", IMAGE_PROJECTION},
    {"DISTORTED", IMAGE_PROJECTION},
    {"VOLUME_RENDER", IMAGE_PICTURE},
    {"SURFACE_RENDER", IMAGE_PICTURE},
    {"VRT", IMAGE_PICTURE},
    {"SSD", IMAGE_PICTURE},
    {"SCREEN", IMAGE_PICTURE},
    {"LOCALIZER", IMAGE_SCOUT},
    {"SCOUT", IMAGE_SCOUT},
    {"TOPOGRAM", IMAGE_SCOUT},
    {"SURVIEW", IMAGE_SCOUT},
    {"REF_SURVIEW", IMAGE_SCOUT},
    {"MPR", IMAGE_RESAMPLED},
    {"REFORMATTED", IMAGE_RESAMPLED},
    {"RESAMPLED", IMAGE_RESAMPLED},
    {"AVERAGE", IMAGE_RESAMPLED},
    {"AVG", IMAGE_RESAMPLED},
    {"MEAN", IMAGE_RESAMPLED},
    {"FILTERED", IMAGE_FILTERED},
    {"SUBTRACTION", IMAGE_COMPUTED},
    {"SUB", IMAGE_COMPUTED},
    {"MASKED", IMAGE_COMPUTED},
    {"ADDITION", IMAGE_COMPUTED},
    {"DIVISION", IMAGE_COMPUTED},
    {"MULTIPLICATION", IMAGE_COMPUTED},
    {"STD_DEVIATION", IMAGE_COMPUTED},
    {"T_TEST", IMAGE_COMPUTED},
    {"Z_SCORE", IMAGE_COMPUTED},
    {"MTT", IMAGE_COMPUTED},
    {"TTP", IMAGE_COMPUTED},
    {"RCBF", IMAGE_COMPUTED},
    {"RCBV", IMAGE_COMPUTED},
    {NULL, IMAGE_ACQUIRED},
};

static const struct term rescale_terms[] = {
    {"MGML", IMAGE_MATERIAL}, {"PCT", IMAGE_MATERIAL}, {"Z_EFF", IMAGE_ATOMIC},
    {"ED", IMAGE_DENSITY},    {"EDW", IMAGE_DENSITY},  {"HU_MOD", IMAGE_REMOVED},
    {NULL, IMAGE_ACQUIRED},
};

static const struct term scan_terms[] = {
    // Acquisition Type, Scan Options
    {"CONSTANT_ANGLE", IMAGE_SCOUT}, {"SCOUT MODE", IMAGE_SCOUT}, {"SURVIEW", IMAGE_SCOUT},
    {"TOPOGRAM", IMAGE_SCOUT},       {NULL, IMAGE_ACQUIRED},
};

static const struct term derivation_codes[] = {
    // PS3.16 CID 7203, of DCM
    {"113042", IMAGE_COMPUTED},   // pixel by pixel addition
    {"113046", IMAGE_COMPUTED},   // division
    {"113047", IMAGE_COMPUTED},   // mask
    {"113048", IMAGE_PROJECTION}, // maximum
    {"113049", IMAGE_RESAMPLED},  // mean
    {"113051", IMAGE_PROJECTION}, // minimum
    {"113053", IMAGE_COMPUTED},   // multiplication
    {"113061", IMAGE_COMPUTED},   // standard deviation
    {"113062", IMAGE_COMPUTED},   // subtraction
    {"113072", IMAGE_RESAMPLED},  // multiplanar reformatting
    {"113073", IMAGE_PROJECTION}, // curved multiplanar reformatting
    {"113074", IMAGE_PICTURE},    // volume rendering
    {"113075", IMAGE_PICTURE},    // surface rendering
    {"113076", IMAGE_COMPUTED},   // segmentation
    {"113077", IMAGE_COMPUTED},   // volume editing
    {"113078", IMAGE_PROJECTION}, // maximum intensity projection
    {"113079", IMAGE_PROJECTION}, // minimum intensity projection
    {"113085", IMAGE_RESAMPLED},  // spatial resampling
    {"113086", IMAGE_FILTERED},   // edge enhancement
    {"113087", IMAGE_FILTERED},   // smoothing
    {"113088", IMAGE_FILTERED},   // Gaussian blur
    {"113089", IMAGE_FILTERED},   // unsharp mask
    {"113097", IMAGE_MIXED},      // multi-energy proportional weighting
    {NULL, IMAGE_ACQUIRED},
};

// Words of descriptions, between what is no letter and no digit. Makers' names of results: Philips
// (MonoE, VNC, Iodine no Water, Z Effective), GE (material density; not VUE, which is French for
// view), Siemens (Mono+, VNC).
static const struct term described[] = {
    {"monoe", IMAGE_MONO},
    {"mono+", IMAGE_MONO},
    {"monoenergetic", IMAGE_MONO},
    {"monochromatic", IMAGE_MONO},
    {"vmi", IMAGE_MONO},
    {"kev", IMAGE_MONO},
    {"iodine map", IMAGE_MATERIAL},
    {"iodine density", IMAGE_MATERIAL},
    {"iodine no water", IMAGE_MATERIAL},
    {"iodine(water)", IMAGE_MATERIAL},
    {"material density", IMAGE_MATERIAL},
    {"uric acid", IMAGE_MATERIAL},
    {"vnc", IMAGE_REMOVED},
    {"vnca", IMAGE_REMOVED},
    {"virtual non contrast", IMAGE_REMOVED},
    {"virtual non-contrast", IMAGE_REMOVED},
    {"virtual unenhanced", IMAGE_REMOVED},
    {"virtual noncalcium", IMAGE_REMOVED},
    {"calcium suppression", IMAGE_REMOVED},
    {"calcium suppressed", IMAGE_REMOVED},
    {"z effective", IMAGE_ATOMIC},
    {"zeff", IMAGE_ATOMIC},
    {"effective z", IMAGE_ATOMIC},
    {"electron density", IMAGE_DENSITY},
    {"mip", IMAGE_PROJECTION},
    {"minip", IMAGE_PROJECTION},
    {"subtraction", IMAGE_COMPUTED},
    {NULL, IMAGE_ACQUIRED},
};

// What says what a frame is.
struct evidence {
    enum image_kind kind;
    const char *name;  // "Image Type"
    const char *value; // borrowed
};

static const char *kind_text(const struct attrs *a, const char *keyword)
{
    const char *text = a ? attrs_get(a, keyword) : NULL;
    return text ? text : "";
}

static void farther(struct evidence *e, enum image_kind kind, const char *name, const char *value)
{
    if (kind > e->kind)
        *e = (struct evidence){kind, name, value};
}

static enum image_kind kind_of_term(const struct term *terms, const char *text, size_t length)
{
    for (; terms->value; terms++) {
        if (strlen(terms->value) == length && strncasecmp(terms->value, text, length) == 0)
            return terms->kind;
    }
    return IMAGE_ACQUIRED;
}

// "M_70KEV", "MONO70KEV": digits before the end of a value.
static bool names_energy(const char *value, size_t length)
{
    return length > 4 && strncasecmp(value + length - 3, "KEV", 3) == 0 &&
           isdigit((unsigned char)value[length - 4]);
}

static enum image_kind kind_of_value(const struct term *terms, const char *value, size_t length)
{
    enum image_kind kind = kind_of_term(terms, value, length);
    if (terms == type_terms && names_energy(value, length))
        kind = kind > IMAGE_MONO ? kind : IMAGE_MONO;
    for (size_t at = 0; at < length;) {
        const size_t word = strcspn(value + at, " \\");
        const size_t end = word < length - at ? word : length - at;
        const enum image_kind one = kind_of_term(terms, value + at, end);
        kind = one > kind ? one : kind;
        at += end + 1;
    }
    return kind;
}

bool image_type_is_scout(const char *type)
{
    for (const char *at = type;; at++) {
        const size_t length = strcspn(at, "\\");
        if (kind_of_value(type_terms, at, length) == IMAGE_SCOUT)
            return true;
        at += length;
        if (!*at)
            return false;
    }
}

// The farthest of the values of an attribute from the first-th (0-based) on.
static void look_at_values(const struct attrs *a, const char *keyword, const char *name,
                           const struct term *terms, int first, struct evidence *e)
{
    const char *text = kind_text(a, keyword), *at = text;
    for (int n = 0;; n++) {
        while (*at == ' ')
            at++;
        size_t length = strcspn(at, "\\"), whole = length;
        while (length && at[length - 1] == ' ')
            length--;
        if (n >= first)
            farther(e, kind_of_value(terms, at, length), name, text);
        if (!at[whole])
            return;
        at += whole + 1;
    }
}

static void look_at_type(const struct attrs *a, const char *keyword, const char *name,
                         struct evidence *e)
{
    const char *type = kind_text(a, keyword);
    const char *second = strchr(type, '\\');
    if (strncasecmp(type, "DERIVED", 7) == 0 ||
        (second && strncasecmp(second + 1, "SECONDARY", 9) == 0))
        farther(e, IMAGE_DERIVED, name, type);
    look_at_values(a, keyword, name, type_terms, 2, e);
}

static bool is_part_of_word(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

// Whether text has the words, between blanks, signs or its ends; digits may stand before them.
static bool has_words(const char *text, const char *words)
{
    const size_t length = strlen(words);
    for (const char *at = text; (at = strcasestr(at, words)) != NULL; at++) {
        const bool free_before =
            at == text || !is_part_of_word(at[-1]) || isdigit((unsigned char)at[-1]);
        const char after = at[length];
        const bool number = after && strcmp(words, "monoe") == 0 && isdigit((unsigned char)after);
        if (free_before && (!is_part_of_word(after) || number))
            return true;
    }
    return false;
}

static void look_at_words(const struct attrs *a, const char *keyword, const char *name,
                          struct evidence *e)
{
    const char *text = kind_text(a, keyword);
    for (const struct term *t = described; *text && t->value; t++) {
        if (has_words(text, t->value))
            farther(e, t->kind, name, text);
    }
}

static void look_at_derivation(const struct attrs *a, struct evidence *e)
{
    char key[64];
    for (int i = 0; i < CODES_MAX; i++) {
        snprintf(key, sizeof key, "DerivationCodeSequence[%d].CodeValue", i);
        const char *code = kind_text(a, key);
        farther(e, kind_of_term(derivation_codes, code, strlen(code)), "Derivation Code", code);
    }
}

// Two letters and a number are a kernel of Siemens ("Sa36f", with the strength of the iterative
// reconstruction as second value), unless another of the makers says that it is its own.
static bool kernel_is(const struct attrs *a, const char *letters)
{
    static const char *const others[] = {"GE ", "GE_", "philips", "canon", "toshiba", "hitachi"};
    const char *kernel = kind_text(a, "ConvolutionKernel");
    const char *maker = kind_text(a, "Manufacturer");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strncasecmp(maker, others[i], strlen(others[i])) == 0)
            return false;
    }
    return strncmp(kernel, letters, 2) == 0 && isdigit((unsigned char)kernel[2]);
}

bool image_frame_as_120_kv(const struct image_frame *frame)
{
    return kernel_is(frame->attrs, "Sa");
}

static double energy_of(const struct attrs *a)
{
    double kev;
    if (attrs_number(a, "MultienergyCTCharacteristicsSequence[0].MonoenergeticEnergyEquivalent",
                     &kev) ||
        attrs_number(a, "MonoenergeticEnergyEquivalent", &kev))
        return kev > 0 ? kev : NAN;
    return NAN;
}

static struct evidence evidence_of(const struct image_frame *f)
{
    const struct attrs *a = f->attrs;
    struct evidence e = {IMAGE_ACQUIRED, "", ""};
    if (f->localizer)
        farther(&e, IMAGE_SCOUT, "Image Type", kind_text(a, "ImageType"));
    if (!a)
        return e;
    look_at_type(a, "ImageType", "Image Type", &e);
    look_at_type(a, "FrameType", "Frame Type", &e);
    look_at_values(a, "VolumeBasedCalculationTechnique", "Volume Based Calculation Technique",
                   type_terms, 0, &e);
    look_at_values(a, "VolumetricProperties", "Volumetric Properties", type_terms, 0, &e);
    look_at_values(a, "AcquisitionType", "Acquisition Type", scan_terms, 0, &e);
    look_at_values(a, "ScanOptions", "Scan Options", scan_terms, 0, &e);
    look_at_values(a, "RescaleType", "Rescale Type", rescale_terms, 0, &e);
    look_at_derivation(a, &e);
    if (isfinite(energy_of(a)))
        farther(&e, IMAGE_MONO, "Monoenergetic Energy Equivalent", "stated");
    if (kernel_is(a, "Sd"))
        farther(&e, IMAGE_DENSITY, "Convolution Kernel", kind_text(a, "ConvolutionKernel"));
    if (e.kind <= IMAGE_MIXED) { // what attributes do not say
        look_at_words(a, "DerivationDescription", "Derivation Description", &e);
        look_at_words(a, "SeriesDescription", "Series Description", &e);
    }
    return e;
}

void image_nature(const struct image_set *set, const struct image *img, struct image_nature *out)
{
    const size_t cells = (size_t)img->dim[2] * img->dim[3];
    const struct attrs *last = NULL;
    struct evidence e = {IMAGE_ACQUIRED, "", ""}, most = e;
    *out = (struct image_nature){.kev = NAN};
    for (size_t i = 0; i < cells; i++) {
        if (img->frame[i] == IMAGE_NO_FRAME)
            continue;
        const struct image_frame *f = &set->frames[img->frame[i]];
        if (!f->attrs || f->attrs != last)
            e = evidence_of(f);
        last = f->attrs;
        out->frames++;
        out->as_120_kv += image_frame_as_120_kv(f);
        out->multi_energy = out->multi_energy ||
                            strcasecmp(kind_text(f->attrs, "MultienergyCTAcquisition"), "YES") == 0;
        if (e.kind > most.kind) {
            most = e;
            out->count = 0;
            out->kev = f->attrs ? energy_of(f->attrs) : NAN;
        }
        out->count += e.kind == most.kind;
    }
    out->kind = most.kind;
    if (most.kind == IMAGE_ACQUIRED)
        return;
    char shown[128];
    snprintf(out->reason, sizeof out->reason, "%s is %s", most.name,
             text_shown(most.value, shown, sizeof shown));
}

const char *image_kind_name(enum image_kind kind)
{
    static const char *const names[] = {
        [IMAGE_ACQUIRED] = "acquired image",
        [IMAGE_DERIVED] = "derived image",
        [IMAGE_RESAMPLED] = "reformatted, resampled or averaged image",
        [IMAGE_FILTERED] = "filtered image",
        [IMAGE_MIXED] = "mixture of several energies",
        [IMAGE_MONO] = "virtual monoenergetic image",
        [IMAGE_DENSITY] = "electron density image",
        [IMAGE_ATOMIC] = "effective atomic number image",
        [IMAGE_MATERIAL] = "map of a material",
        [IMAGE_REMOVED] = "image with a material removed (virtual non-contrast)",
        [IMAGE_COMPUTED] = "computed image",
        [IMAGE_PROJECTION] = "projection or extreme of several images",
        [IMAGE_PICTURE] = "rendered picture",
        [IMAGE_SCOUT] = "localizer",
    };
    return names[kind];
}

const char *image_nature_text(const struct image_nature *nature, char *text, size_t size)
{
    char energy[32] = "", part[48] = "";
    if (nature->kind == IMAGE_ACQUIRED) {
        snprintf(text, size, "%s", "");
        return text;
    }
    if (isfinite(nature->kev))
        snprintf(energy, sizeof energy, " of %g keV", nature->kev);
    if (nature->count < nature->frames)
        snprintf(part, sizeof part, " in %u of %u images", nature->count, nature->frames);
    snprintf(text, size, "%s%s (%s)%s", image_kind_name(nature->kind), energy, nature->reason,
             part);
    return text;
}
