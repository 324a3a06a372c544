#include "compute/stages/segment/segment_find.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "compute/stages/lungs/lungs_find.h"
#include "compute/stages/segment/segment_bones.h"
#include "compute/stages/segment/segment_kernels.h"

static const double body_hu = -300; // between lung or foam and fat (-120)
static const double table_mm = 4;   // half the thickness of what is thinner than a body: its table
static const double body_min_ml = 500;                 // less is a limb or an object
static const double fat_lo_hu = -190, fat_hi_hu = -30; // Yoshizumi et al., Radiology 1999;211:283
// Blur from tissue to air takes values of fat: a point spread of 1.5 mm at full width, and as much
// for the steps of the grid.
static const double blur_mm = 2;

// ---- The body -----------------------------------------------------------------------------------

// The largest piece of what is no air and thicker than a table, with what it encloses in a slice.
static struct gpu_mask *find_trunk(const struct gpu_volume *hu, struct segments *out,
                                   struct err *err)
{
    uint64_t all = 0, kept = 0;
    const double reach = fmax(table_mm, hu->spacing[0] * 1.01);
    struct gpu_mask *solid = gpu_mask_threshold(hu, body_hu, INT16_MAX, err);
    struct gpu_mask *whole = solid ? gpu_mask_fill_holes(solid, err) : NULL;
    struct gpu_mask *core = whole ? gpu_mask_erode_2d(whole, reach, err) : NULL;
    struct gpu_mask *piece = core ? gpu_mask_keep_largest(core, 1, CONNECT_6, &kept, err) : NULL;
    struct gpu_mask *wide = piece ? gpu_mask_dilate_2d(piece, reach * 1.5, err) : NULL;
    const bool ok = segment_merge(wide, MASK_AND, whole, err) && gpu_mask_count(core, &all, err);
    out->aside_ml = (double)(all - kept) * segment_voxel_ml(hu->spacing);
    gpu_mask_destroy(solid);
    gpu_mask_destroy(whole);
    gpu_mask_destroy(core);
    gpu_mask_destroy(piece);
    if (ok)
        return wide;
    gpu_mask_destroy(wide);
    return NULL;
}

// ---- Lungs, fat, the rest -----------------------------------------------------------------------

// Lungs and airways as the analysis `lungs` finds them.
static bool take_lungs(struct gpu *g, const struct gpu_volume *hu, const struct image *v,
                       double air_hu, struct arena *scratch, struct segments *out, struct err *err)
{
    struct lungs l = {0};
    const char *why = "";
    if (!lungs_find(g, hu, v, air_hu, scratch, &l, &why, err))
        return false;
    if (!*why && l.parting == LUNGS_ONE)
        why = "one lung only was found: its side is not certain";
    if (*why) {
        for (int n = SEGMENT_RIGHT_LUNG; n <= SEGMENT_AIRWAYS; n++)
            snprintf(out->why[n], sizeof out->why[n], "%s", why);
        lungs_finish(&l);
        return true;
    }
    out->cut_lungs = l.cut_head || l.cut_feet || l.cut_border;
    out->lungs_touch = l.parting == LUNGS_MIDLINE;
    out->mask[SEGMENT_RIGHT_LUNG] = l.side[LUNGS_RIGHT];
    out->mask[SEGMENT_LEFT_LUNG] = l.side[LUNGS_LEFT];
    if (l.airways_found)
        out->mask[SEGMENT_AIRWAYS] = l.airways;
    else {
        snprintf(out->why[SEGMENT_AIRWAYS], sizeof out->why[0], "trachea not found");
        gpu_mask_destroy(l.airways);
    }
    return true;
}

// The body without lungs and airways.
static struct gpu_mask *room_of(const struct gpu_mask *body, const struct segments *s,
                                struct err *err)
{
    struct gpu_mask *room = gpu_mask_copy(body, err);
    bool ok = room;
    for (int n = SEGMENT_RIGHT_LUNG; ok && n <= SEGMENT_AIRWAYS; n++)
        ok = !s->mask[n] || gpu_mask_combine(room, MASK_ANDNOT, s->mask[n], err);
    if (ok)
        return room;
    gpu_mask_destroy(room);
    return NULL;
}

// Air, and what of the neighbouring slices lies beside it: blur takes values of fat there.
static struct gpu_mask *near_air(const struct gpu_volume *hu, struct err *err)
{
    struct gpu_mask *air = gpu_mask_threshold(hu, INT16_MIN, body_hu - 1, err);
    struct gpu_mask *thick = air ? segment_above_below(air, err) : NULL;
    struct gpu_mask *wide =
        thick ? gpu_mask_dilate_2d(air, fmax(blur_mm, hu->spacing[0] * 1.01), err) : NULL;
    const bool ok = segment_merge(wide, MASK_OR, thick, err);
    gpu_mask_destroy(air);
    gpu_mask_destroy(thick);
    if (ok)
        return wide;
    gpu_mask_destroy(wide);
    return NULL;
}

// Values of fat that lie farther from air than blur goes, and the pixels beside them in their
// slice: between fat and air there is no other tissue whose blur these could be.
static struct gpu_mask *draw_fat(const struct gpu_volume *hu, const struct gpu_mask *room,
                                 struct err *err)
{
    struct gpu_mask *like = gpu_mask_threshold(hu, fat_lo_hu, fat_hi_hu, err);
    struct gpu_mask *core =
        segment_merge(like, MASK_AND, room, err) ? gpu_mask_copy(like, err) : NULL;
    struct gpu_mask *blur = core ? near_air(hu, err) : NULL;
    struct gpu_mask *fat = segment_merge(core, MASK_ANDNOT, blur, err)
                               ? gpu_mask_dilate_2d(core, hu->spacing[0] * 1.01, err)
                               : NULL;
    const bool ok = segment_merge(fat, MASK_AND, like, err);
    gpu_mask_destroy(like);
    gpu_mask_destroy(core);
    gpu_mask_destroy(blur);
    if (ok)
        return fat;
    gpu_mask_destroy(fat);
    return NULL;
}

// Takes bone and fat from the room: what is left is the rest.
static bool part_room(const struct gpu_volume *hu, struct gpu_mask *room, struct segments *out,
                      struct err *err)
{
    const struct gpu_mask *bone = out->mask[SEGMENT_BONE];
    return (!bone || gpu_mask_combine(room, MASK_ANDNOT, bone, err)) &&
           (out->mask[SEGMENT_FAT] = draw_fat(hu, room, err)) &&
           gpu_mask_combine(room, MASK_ANDNOT, out->mask[SEGMENT_FAT], err);
}

double segment_voxel_ml(const double spacing[3])
{
    return spacing[0] * spacing[1] * spacing[2] / 1000;
}

uint32_t segment_voxels_of(double ml, const double spacing[3])
{
    return (uint32_t)fmax(1, ceil(ml / segment_voxel_ml(spacing)));
}

bool segment_find(struct gpu *g, const struct gpu_volume *hu, const struct image *v, double air_hu,
                  struct arena *scratch, struct segments *out, const char **why, struct err *err)
{
    uint64_t count = 0;
    *out = (struct segments){0};
    *why = "";
    struct gpu_mask *body = find_trunk(hu, out, err), *room = NULL;
    bool ok = body && gpu_mask_count(body, &count, err);
    if (ok && (double)count * segment_voxel_ml(hu->spacing) < body_min_ml)
        ok =
            (*why = arena_printf(scratch, "no body: no piece of tissue of %.0f mL", body_min_ml)) ||
            err_set(err, ERR_NOMEM, "segment: reason");
    else if (ok)
        ok = take_lungs(g, hu, v, air_hu, scratch, out, err) && (room = room_of(body, out, err)) &&
             segment_bones(hu, body, room, out, err) && part_room(hu, room, out, err);
    gpu_mask_destroy(body);
    out->mask[SEGMENT_REST] = room;
    if (ok)
        return true;
    segment_finish(out);
    return false;
}

void segment_finish(struct segments *s)
{
    for (int n = 0; n < SEGMENT_PARTS; n++) {
        gpu_mask_destroy(s->mask[n]);
        s->mask[n] = NULL;
    }
}
