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

// Numbers of calcium do not depend on the voltage from here to there with such a kernel.
static const double as_120_kv_low = 70, as_120_kv_high = 150;

// kV that the numbers of a frame are equivalent to; NAN: it does not say.
static double voltage_of(const struct image_frame *f)
{
    const double kvp = f->attrs ? attr_number(f->attrs, "KVP") : NAN;
    if (image_frame_as_120_kv(f) && !(kvp < as_120_kv_low) && !(kvp > as_120_kv_high))
        return 120;
    return kvp > 0 ? kvp : NAN;
}

static void scan_read_frames(const struct image_set *set, const struct image *img,
                             struct calcium_scan *out)
{
    out->kv_low = out->kv_high = NAN;
    out->gating_evidence = "";
    for (uint32_t k = 0; k < img->dim[2]; k++) {
        const uint32_t frame = image_frame_at(img, k, 0);
        if (frame == IMAGE_NO_FRAME)
            continue;
        const enum image_sharpness sharpness =
            image_kernel_sharpness(attr_text(set->frames[frame].attrs, "ConvolutionKernel"));
        out->sharpness = sharpness > out->sharpness ? sharpness : out->sharpness;
        const double kv = voltage_of(&set->frames[frame]);
        out->kv_low = fmin(out->kv_low, kv); // NAN is no number: the other one counts
        out->kv_high = fmax(out->kv_high, kv);
        out->kv_unknown += isnan(kv);
        const struct gating g = gating_of(set->frames[frame].attrs);
        out->gating[g.gating]++;
        if (!out->gating_evidence[0])
            out->gating_evidence = g.evidence;
    }
}

void calcium_scan_read(const struct image_set *set, const struct image *img,
                       struct calcium_scan *out)
{
    *out = (struct calcium_scan){0};
    image_said(set, img, "KVP", &out->kvp);
    image_said(set, img, "SliceThickness", &out->thickness);
    image_said(set, img, "ConvolutionKernel", &out->kernel);
    image_said(set, img, "Manufacturer", &out->maker);
    image_said(set, img, "ManufacturerModelName", &out->model);
    image_said(set, img, "ContrastBolusAgent", &out->contrast);
    image_nature(set, img, &out->nature);
    scan_read_frames(set, img, out);
}

bool calcium_scan_gated(const struct calcium_scan *s)
{
    return s->gating[CALCIUM_GATED] && !s->gating[CALCIUM_NOT_GATED] &&
           !s->gating[CALCIUM_GATING_UNKNOWN];
}

// Refusals below return false through this: the job is done, the machine is fine.
#define REFUSE(f, ...) (findings_refuse((f), VERDICT_NOT_EVALUABLE, __VA_ARGS__), false)

// The score counts attenuation at 120 kV.
static bool judge_nature(const struct calcium_scan *s, struct findings *f)
{
    char text[320];
    image_nature_text(&s->nature, text, sizeof text);
    if (s->nature.kind > IMAGE_MIXED)
        return REFUSE(f,
                      "%s: its values are no attenuation as acquired; the images that the scanner "
                      "reconstructed for 120 kV are needed",
                      text);
    if (s->nature.multi_energy && s->kv_unknown)
        return REFUSE(f,
                      "acquired with several energies, and KVP is not stated in %u of %u images: "
                      "the voltage that values are equivalent to is needed",
                      s->kv_unknown, s->nature.frames);
    return true;
}

// Borders overshoot, and what overshoots at the heart's looks like calcium. One slice is enough.
static bool judge_kernel(const struct calcium_scan *s, struct findings *f)
{
    if (s->sharpness == IMAGE_KERNEL_EDGE)
        return REFUSE(f,
                      "Convolution Kernel is %s, which enhances edges, and enhanced edges score as "
                      "calcium: " CALCIUM_SOFT_KERNEL_NEEDED,
                      s->kernel.text);
    return true;
}

// One slice that is too thick makes the series what a stack of such slices is.
static bool judge_thickness(const struct calcium_scan *s, const struct calcium_limits *limits,
                            struct findings *f)
{
    const double limit = limits->max_slice_mm;
    if (limits->increment_mm > limit * 1.01)
        return REFUSE(f, "slices lie %.2f mm apart (limit %.1f mm)", limits->increment_mm, limit);
    if (s->thickness.high > limit * 1.01 && s->thickness.low != s->thickness.high)
        return REFUSE(f, "slices are up to %.2f mm thick (limit %.1f mm): Slice Thickness is %s",
                      s->thickness.high, limit, s->thickness.text);
    if (s->thickness.high > limit * 1.01)
        return REFUSE(f, "slices are %.2f mm thick (limit %.1f mm)", s->thickness.high, limit);
    return true;
}

// 120 kV as tubes make it: some scanners write what the generator measured.
static bool is_120_kv(double kv)
{
    return fabs(kv - 120) <= 2;
}

static bool judge_voltage(const struct calcium_scan *s, const struct calcium_limits *limits,
                          double *threshold_hu, struct findings *f)
{
    const double low = s->kv_low, high = s->kv_high;
    *threshold_hu = limits->threshold_hu;
    if (isnan(low))
        return findings_add_warning(f, "Tube voltage not stated: 120 kV assumed");
    if (high - low > 1 && !(is_120_kv(low) && is_120_kv(high)))
        return REFUSE(
            f,
            "tube voltage differs between slices (KVP is %s): one threshold does not hold "
            "for all; slices of one voltage are needed",
            s->kvp.text);
    if (s->kv_unknown && is_120_kv(low))
        return findings_add_warning(f,
                                    "Tube voltage stated in %u of %u images only: 120 kV assumed "
                                    "for all",
                                    s->nature.frames - s->kv_unknown, s->nature.frames);
    if (s->kv_unknown)
        return REFUSE(f,
                      "tube voltage %g kV in %u images and not stated in %u: one threshold may not "
                      "hold for all",
                      low, s->nature.frames - s->kv_unknown, s->kv_unknown);
    if (is_120_kv(low))
        return true;
    if (!limits->scale)
        return REFUSE(f, "tube voltage %g kV: the threshold of %g HU holds at 120 kV", low,
                      limits->threshold_hu);
    *threshold_hu *= pow(120 / low, 0.674);
    return findings_add_warning(
        f, "Tube voltage %g kV: threshold and weight steps scaled to %.0f HU", low, *threshold_hu);
}

bool calcium_scan_judge(const struct calcium_scan *s, const struct calcium_limits *limits,
                        double *threshold_hu, struct findings *f)
{
    return judge_nature(s, f) && judge_kernel(s, f) && judge_thickness(s, limits, f) &&
           judge_voltage(s, limits, threshold_hu, f);
}

static bool warn_gating(const struct calcium_scan *s, struct findings *f)
{
    const uint32_t *g = s->gating;
    const uint32_t all = g[CALCIUM_GATED] + g[CALCIUM_NOT_GATED] + g[CALCIUM_GATING_UNKNOWN];
    if (calcium_scan_gated(s))
        return true;
    if (g[CALCIUM_NOT_GATED] == all)
        return findings_add_warning(
            f, "Estimate: not gated by ECG, and motion may hide calcium or add to "
               "it");
    if (g[CALCIUM_GATING_UNKNOWN] == all)
        return findings_add_warning(f, "Estimate: ECG gating is not stated");
    return findings_add_warning(f,
                                "Estimate: ECG gating differs between slices: yes in %u images, no "
                                "in %u, not stated in %u",
                                g[CALCIUM_GATED], g[CALCIUM_NOT_GATED], g[CALCIUM_GATING_UNKNOWN]);
}

static bool warn_thickness(const struct calcium_scan *s, double increment_mm, struct findings *f)
{
    const struct image_said *t = &s->thickness;
    bool ok = true;
    if (!(t->high > 0))
        return findings_add_warning(f, "Slice thickness not stated%s%s",
                                    *t->first ? ": it is " : "", *t->first ? t->text : "");
    if (t->state == IMAGE_ATTR_DIFFERS)
        ok = findings_add_warning(f, "Slice Thickness differs between slices: %s", t->text);
    if (ok && t->comma)
        ok = findings_add_warning(f, "Slice Thickness %s: the comma is taken as a decimal point",
                                  t->text);
    if (ok && t->low < 0.9 * increment_mm)
        ok = findings_add_warning(f, "Gaps between slices: %.2f mm thick, %.2f mm apart", t->low,
                                  increment_mm);
    return ok;
}

static bool warn_nature(const struct calcium_scan *s, struct findings *f)
{
    const struct image_nature *n = &s->nature;
    char text[320];
    bool ok = true;
    if (n->kind != IMAGE_ACQUIRED)
        ok = findings_add_warning(f,
                                  "Not as acquired: %s; the score may differ from that of the "
                                  "acquired images",
                                  image_nature_text(n, text, sizeof text));
    if (ok && n->multi_energy)
        ok = findings_add_warning(f, "Acquired with several energies: taken as equivalent to %g kV",
                                  s->kv_low);
    if (ok && n->as_120_kv && !(is_120_kv(s->kvp.low) && is_120_kv(s->kvp.high)))
        ok =
            findings_add_warning(f,
                                 "Kernel %s gives the numbers of 120 kV (KVP is %s): threshold and "
                                 "weight steps are not scaled",
                                 s->kernel.text, s->kvp.text);
    return ok;
}

bool calcium_scan_warn(const struct calcium_scan *s, double increment_mm, struct findings *f)
{
    bool ok = warn_gating(s, f) && warn_nature(s, f);
    if (ok && s->kernel.state == IMAGE_ATTR_DIFFERS)
        ok = findings_add_warning(f, "Convolution Kernel differs between slices: %s",
                                  s->kernel.text);
    if (ok && s->contrast.state == IMAGE_ATTR_DIFFERS)
        ok = findings_add_warning(f, "Contrast agent differs between slices: %s", s->contrast.text);
    if (ok && (s->maker.state == IMAGE_ATTR_DIFFERS || s->model.state == IMAGE_ATTR_DIFFERS))
        ok = findings_add_warning(f, "Scanner differs between slices: %s; %s", s->maker.text,
                                  s->model.text);
    if (ok && fabs(increment_mm - 3) > 0.5)
        ok = findings_add_warning(f, "Slices %.2f mm apart: Agatston scores are defined for 3 mm",
                                  increment_mm);
    return ok && warn_thickness(s, increment_mm, f);
}

bool calcium_scan_facts(const struct calcium_scan *s, struct findings *f)
{
    const uint32_t *g = s->gating;
    const bool known = calcium_scan_gated(s) || !(g[CALCIUM_GATED] || g[CALCIUM_GATING_UNKNOWN]);
    return findings_add_fact(
               f, s->kvp.state == IMAGE_ATTR_SAME ? "Tube voltage %s kV" : "Tube voltage %s",
               s->kvp.text) &&
           findings_add_fact(f, "Slice Thickness %s%s", s->thickness.text,
                             s->thickness.state == IMAGE_ATTR_SAME ? " mm" : "") &&
           findings_add_fact(f, "Kernel %s; %s %s", s->kernel.text,
                             s->maker.state == IMAGE_ATTR_ABSENT ? "scanner" : s->maker.text,
                             s->model.text) &&
           findings_add_fact(f, "ECG gating: %s%s%s",
                             calcium_scan_gated(s)                      ? "yes"
                             : known                                    ? "no"
                             : g[CALCIUM_GATED] || g[CALCIUM_NOT_GATED] ? "differs between slices"
                                                                        : "not stated",
                             s->gating_evidence[0] ? ", by " : "", s->gating_evidence);
}
