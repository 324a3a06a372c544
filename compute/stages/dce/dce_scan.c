#include "compute/stages/dce/dce_scan.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/image/kind.h"

static const uint32_t points_min = 12;
static const double te_max_ms = 10; // longer ones weigh by T2*: contrast agent darkens
static const double flip_min_deg = 1, flip_max_deg = 80;
static const double spread_max = 0.5; // of a step: from the first to the last slice of a point
static const double spread_warn = 0.1;
static const double place_mm = 0.1;  // grids that lie closer are the same
static const double tr_share = 0.01; // TR that differ less are the same
static const double angle_apart_deg = 0.5;

#define DCE_REFUSE(f, ...) (findings_refuse((f), VERDICT_NOT_EVALUABLE, __VA_ARGS__), false)

// A number that all frames have alike. False: f is refused.
static bool same_number(const struct stage_run *run, const struct image *v, struct findings *f,
                        const char *keyword, double *out)
{
    struct image_said said;
    image_said(run->set, v, keyword, &said);
    if (image_number(run->set, v, keyword, out) == IMAGE_ATTR_SAME && *out > 0)
        return true;
    return DCE_REFUSE(f, "%s is not one number in all images: %s", keyword, said.text);
}

static bool says(const struct stage_run *run, const struct image *v, const char *keyword,
                 const char *word)
{
    return strstr(image_text(run->set, v, keyword), word) != NULL;
}

static bool check_sequence(const struct stage_run *run, struct findings *f, struct dce_scan *s)
{
    const struct image *v = s->v;
    struct image_nature nature;
    char text[320];
    image_nature(run->set, v, &nature);
    if (nature.kind > IMAGE_MIXED)
        return DCE_REFUSE(f, "%s: its values are no signal as acquired",
                          image_nature_text(&nature, text, sizeof text));
    if (v->dim[3] < 2)
        return DCE_REFUSE(f, "one image of each place: a dynamic scan has them in time");
    if (v->axis != IMAGE_TIME || !v->at)
        return DCE_REFUSE(f, "%s: they are not told apart by time",
                          image_points_text(v, text, sizeof text));
    if (v->dim[3] < points_min)
        return DCE_REFUSE(f, "%u points in time (at least %u)", v->dim[3], points_min);
    if (v->missing)
        return DCE_REFUSE(f, "%u of %u images are missing", v->missing, v->dim[2] * v->dim[3]);
    if (v->dim[2] > 1 && !(v->spacing[2] > 0))
        return DCE_REFUSE(f, "the distance between slices is not known");
    if (!same_number(run, v, f, "RepetitionTime", &s->tr_ms) ||
        !same_number(run, v, f, "EchoTime", &s->te_ms) ||
        !same_number(run, v, f, "FlipAngle", &s->flip_deg))
        return false;
    if (says(run, v, "ScanningSequence", "EP") || s->te_ms > te_max_ms)
        return DCE_REFUSE(
            f,
            "Echo Time is %g ms (limit %g ms)%s: not weighted by T1, in which contrast "
            "agent raises the signal",
            s->te_ms, te_max_ms, says(run, v, "ScanningSequence", "EP") ? ", echo planar" : "");
    if (says(run, v, "ScanningSequence", "IR"))
        return DCE_REFUSE(f, "Scanning Sequence has an inversion: no spoiled gradient echo");
    if (s->flip_deg < flip_min_deg || s->flip_deg > flip_max_deg)
        return DCE_REFUSE(f, "Flip Angle is %g degrees (%g to %g)", s->flip_deg, flip_min_deg,
                          flip_max_deg);
    if (!says(run, v, "SequenceVariant", "SP"))
        findings_add_warning(f, "Sequence Variant does not say that the gradient echo is spoiled "
                                "(SP): taken for granted");
    if (image_number(run->set, v, "MagneticFieldStrength", &s->tesla) != IMAGE_ATTR_SAME)
        s->tesla = NAN;
    return true;
}

// The time of each point, where its slices are close enough to each other.
static bool read_times(const struct stage_run *run, struct findings *f, struct dce_scan *s)
{
    const uint32_t slices = s->v->dim[2], points = s->v->dim[3];
    double spread = 0;
    s->at_s = arena_alloc(run->arena, points, sizeof *s->at_s);
    if (!s->at_s) {
        f->no_memory = true;
        return DCE_REFUSE(f, "no memory");
    }
    for (uint32_t p = 0; p < points; p++) {
        double low = INFINITY, high = -INFINITY;
        for (uint32_t k = 0; k < slices; k++) {
            // Since the first one of these: the set may begin with other images.
            const double t = s->v->at[(size_t)p * slices + k] - s->v->at[0];
            s->at_s[p] += t / slices;
            low = fmin(low, t);
            high = fmax(high, t);
        }
        spread = fmax(spread, high - low);
        if (isnan(s->at_s[p]) || (p > 0 && !(s->at_s[p] > s->at_s[p - 1])))
            return DCE_REFUSE(f, "the times of point %u are not stated or do not rise", p + 1);
    }
    const double step = (s->at_s[points - 1] - s->at_s[0]) / (points - 1);
    if (spread > spread_max * step)
        return DCE_REFUSE(
            f,
            "slices of one point in time lie up to %.1f s apart (limit %.1f s, half a "
            "step)",
            spread, spread_max * step);
    if (spread > spread_warn * step)
        findings_add_warning(
            f, "Slices of one point in time lie up to %.1f s apart: taken as one time", spread);
    return true;
}

static bool same_grid(const struct image *a, const struct image *b)
{
    double off = 0;
    for (int n = 0; n < 3; n++) {
        if (a->dim[n] != b->dim[n])
            return false;
        for (int c = 0; c < 4; c++) // the far corner moves by the difference times the columns
            off = fmax(off,
                       fabs(a->to_patient[n][c] - b->to_patient[n][c]) * (c < 3 ? a->dim[c] : 1));
    }
    return off <= place_mm;
}

// Why an image is none of the T1 measurement; NULL: it is.
static const char *why_no_angle(const struct stage_run *run, const struct dce_scan *s,
                                const struct image *other, double *angle, double *tr)
{
    if (other->colour || !other->placed || !same_grid(s->v, other))
        return "on another grid than the dynamic images";
    if (other->dim[3] > 1)
        return "several images of each place";
    if (other->missing || other->duplicates || other->defect[0])
        return "not one image of each place";
    if (image_number(run->set, other, "FlipAngle", angle) != IMAGE_ATTR_SAME ||
        image_number(run->set, other, "RepetitionTime", tr) != IMAGE_ATTR_SAME || !(*tr > 0) ||
        *angle < flip_min_deg || *angle > flip_max_deg)
        return "flip angle or repetition time is not known, or of no use";
    double te = 0;
    if (image_number(run->set, other, "EchoTime", &te) != IMAGE_ATTR_SAME ||
        fabs(te - s->te_ms) > 1)
        return "another echo time than the dynamic images";
    if (s->angles && fabs(*tr / s->angle_tr_ms - 1) > tr_share)
        return "another repetition time than the other flip angles";
    for (uint32_t n = 0; n < s->angles; n++) {
        if (fabs(*angle - s->angle_deg[n]) < angle_apart_deg)
            return "another image of the same flip angle is used";
    }
    return s->angles == DCE_ANGLES_MAX ? "there are more flip angles than are used" : NULL;
}

static void exclude_image(const struct stage_run *run, struct findings *f, uint32_t index,
                          const char *why)
{
    const struct image *img = &run->set->images[index];
    struct exclusion *e = findings_add_exclusion(f);
    if (!e)
        return;
    const char *name = image_text(run->set, img, "SeriesDescription");
    const char *what = arena_printf(f->arena, "%s (%u images)", *name ? name : "images",
                                    img->dim[2] * img->dim[3] - img->missing);
    f->no_memory = f->no_memory || !what;
    e->what = what ? what : "";
    e->reason = why;
}

// In the order of the angles, whatever series they came in: sums of floats depend on it.
static void add_angle(struct dce_scan *s, uint32_t image, double angle, double tr)
{
    uint32_t at = s->angles++;
    for (; at > 0 && s->angle_deg[at - 1] > angle; at--) {
        s->angle_deg[at] = s->angle_deg[at - 1];
        s->angle_image[at] = s->angle_image[at - 1];
    }
    s->angle_tr_ms = tr;
    s->angle_deg[at] = angle;
    s->angle_image[at] = image;
}

static bool choose_scan(const struct stage_run *run, struct findings *f, struct dce_scan *s)
{
    const struct stage_slot *slot = &run->slots[0];
    s->image = slot->images[0];
    if (s->v->colour || !s->v->placed || s->v->defect[0])
        return DCE_REFUSE(f, "%s",
                          s->v->defect[0] ? s->v->defect
                                          : "the images have no place in space, or are in colour");
    for (uint32_t n = 1; n < slot->image_count; n++) {
        const struct image *other = stage_image(run, 0, n);
        double angle = 0, tr = 0;
        if (other->axis == IMAGE_TIME && s->v->axis == IMAGE_TIME && other->dim[3] > 1 &&
            other->dim[2] * other->dim[3] - other->missing ==
                s->v->dim[2] * s->v->dim[3] - s->v->missing)
            return DCE_REFUSE(f, "two dynamic scans of %u images may be meant: send one of them",
                              s->v->dim[2] * s->v->dim[3] - s->v->missing);
        const char *why = why_no_angle(run, s, other, &angle, &tr);
        if (why) {
            exclude_image(run, f, slot->images[n], why);
            continue;
        }
        add_angle(s, slot->images[n], angle, tr);
    }
    return true;
}

bool dce_scan_read(const struct stage_run *run, struct findings *f, struct dce_scan *out)
{
    *out = (struct dce_scan){.tesla = NAN};
    out->v = stage_image(run, 0, 0);
    return out->v
               ? check_sequence(run, f, out) && choose_scan(run, f, out) && read_times(run, f, out)
               : DCE_REFUSE(f, "there is no image");
}
