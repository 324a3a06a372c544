#include "compute/stages/mammo/mammo_marks.h"
#include <math.h>
#include "compute/stages/mammo/mammo_breast.h"
#include "compute/stages/mammo/mammo_calc.h"
#include "compute/stages/mammo/mammo_density.h"

static const char no_masses[] = "their detection is not part of this version";
static const char no_clusters[] = "that is off (option clusters): too few are found on digital "
                                  "mammograms";

const char *mammo_reason_text(enum mammo_reason reason)
{
    static const char *const texts[MAMMO_REASONS] = {
        [MAMMO_SKIN] = "in or at the skin",
        [MAMMO_VESSEL] = "along a vessel",
        [MAMMO_COARSE] = "coarse, as benign ones are",
        [MAMMO_RIM] = "a rim around a dark centre",
        [MAMMO_ARTEFACT] = "sharper than the picture: dust, scratch or metal",
        [MAMMO_MUSCLE] = "on the pectoral muscle",
        [MAMMO_SPREAD] = "fewer than three in 1 cm2",
        [MAMMO_CORNER] = "in a corner of the picture, where films bear labels",
        [MAMMO_UNLIKELY] = "below the operating point",
    };
    return texts[reason];
}

static bool outline_breast(const struct stage_run *run, const struct mammo_picture *p,
                           const struct mammo_breast *b, struct mammo_marks *out, struct err *err)
{
    out->pixel_mm = p->pixel_mm;
    out->lies = p->mirrored ? 'R' : 'L';
    out->has_nipple = b->has_nipple;
    out->has_muscle = b->has_muscle;
    if (b->has_nipple)
        mammo_picture_point(p, b->nipple[0], b->nipple[1], out->nipple);
    if (!mammo_picture_outline(p, b->whole, run->arena, &out->skin, &out->skin_count) ||
        !mammo_picture_outline(p, b->muscle, run->arena, &out->muscle, &out->muscle_count))
        return err_set(err, ERR_NOMEM, "mammo: no memory for outlines");
    return true;
}

static bool look_for_clusters(const struct stage_run *run, const struct mammo_view *view,
                              const struct mammo_picture *p, const struct mammo_breast *b,
                              struct mammo_marks *out, struct err *err)
{
    if (view->clusters)
        return mammo_calc_find(run, p, b, view, out, err);
    out->no_clusters = no_clusters;
    return true;
}

static bool find_all(const struct stage_run *run, const struct mammo_view *view,
                     const struct mammo_picture *p, struct mammo_marks *out, struct err *err)
{
    struct mammo_breast b;
    const size_t count = (size_t)p->w * p->h;
    uint8_t *dense = arena_alloc(run->arena, count, 1);
    out->marks = arena_alloc(run->arena, (size_t)2 * MAMMO_MARKS_MAX, sizeof *out->marks);
    if (!dense || !out->marks)
        return err_set(err, ERR_NOMEM, "mammo: no memory for dense tissue");
    if (!mammo_breast_find(run, p, view->oblique, &b, &out->refused, err))
        return false;
    return out->refused || (outline_breast(run, p, &b, out, err) &&
                            mammo_density_find(run, p, &b, dense, out, err) &&
                            look_for_clusters(run, view, p, &b, out, err));
}

bool mammo_find(const struct stage_run *run, uint32_t image, const struct mammo_view *view,
                struct mammo_marks *out, struct err *err)
{
    struct mammo_picture p;
    *out = (struct mammo_marks){.percent = NAN, .no_masses = no_masses};
    bool ok = mammo_picture_read(run, image, view, &p, &out->refused, err);
    if (ok && !out->refused)
        ok = find_all(run, view, &p, out, err);
    mammo_picture_finish(&p);
    return ok;
}
