#include "compute/stages/calcium/calcium_judge.h"
#include <math.h>

// Lung, of the ring, and how much more of fat an artery has that bulges into it.
static const double air_sure = 0.6, air_some = 0.25, fat_to_air = 1.5;
static const double front_fat = 0.2, front_air = 0.35; // at the heart's front, far from the hila
// Where lung touches the ring, its rim is as dense as fat: so much for what is air.
static const double rim_to_air = 0.5;
static const double fat_all = 0.75; // of the ring: fat on all sides
// An artery lies on the heart's surface, at most so far below fat or lung where no fat is seen
// around it: myocardium of 10 mm between, half a ring's blur.
static const double surface_mm = 12;
static const double bone_mm = 8; // costal cartilage and sternum calcify too
// Farther from bone than any cartilage of a rib that is not seen as such: the right artery of a
// large heart, at its front, lay 34 mm from it.
static const double far_bone_mm = 15;
// The heart's front in radii from the middle of the core, and the largest calcium in an artery
// before the chest wall's: before the first there is nothing else.
static const double wall_radii = -1.6, chest_mm3 = 500;
// Standard deviations of a sheet's voxels along its second axis, at least, and of its third to its
// second, at most: in an artery's bend they reach 2.9 mm, but 0.35.
static const double sheet_mm = 2.5, sheet_flat = 0.28;
// Of a plate, likewise, and how much of the box that its deviations give it fills, at least: two
// branches of an artery fill 0.3 of theirs.
static const double plate_mm = 3, plate_flat = 0.2, plate_filled = 0.6, plate_bright = 0.15;
// As little fat is enough at the heart's front, above what noise makes of blood; and how bright a
// spot is there at least, in deviations of the noise above blood, and in HU: streaks of motion and
// metal stay below.
static const double fat_some = 0.06, front_radii = -0.3, lean_sigmas = 8, lean_hu = 200;
static const double root_radii = 0.6; // up from the core; above, the aorta has to be seen
// Of a ring, as dark as no fat is: plaques have less than 0.01 of it, clips and stents more than
// this.
static const double dark_share = 0.03;
// How bright a stent is nearly everywhere beside its brightest part.
static const double stent_even = 0.7;
// How much brighter than blood what is soft around a band of motion is, its brightest, and how much
// lung touches it: noise and neighbours make 20 HU.
static const double glow_hu = 28, band_hu = 300, band_air = 0.05, band_fat = 0.25;
// So small, so near lung, and no brighter, in deviations of the noise above blood, what lies in fat
// may be a streak of the heart's motion.
static const double streak_mm3 = 15, streak_air = 0.05, streak_sigmas = 12;
static const double side_radii = 2.5;  // farther to a side nothing is of the heart
static const double root_deep_mm = 22; // the left main artery lies no deeper where no fat is seen
// A lead in the heart: standard deviation along it, and its brightness where the slices blur it.
static const double lead_mm = 15, lead_hu = 900;
static const double lead_metal_hu = 3000; // no calcium is as bright
static const double noise_sigmas = 5;     // above the blood pool

// Hardly any calcium in arteries is as large: only within the heart and in front of its back it may
// be some.
static enum calcium_reason judge_massive(const struct component_stats *c,
                                         const struct calcium_extent *e,
                                         const struct calcium_bearing *b)
{
    const bool in_heart = b->from[1] < CALCIUM_BACK_RADII && fabs(b->from[0]) < side_radii;
    const bool lead = e->spread[0] > lead_mm && c->max >= lead_hu && in_heart;
    if ((lead || c->max >= lead_metal_hu) && e->inside >= 0.5)
        return CALCIUM_METAL;
    if (e->inside - e->front >= 0.9 && b->surface_mm > surface_mm)
        return CALCIUM_DEEP; // of the mitral annulus, mostly
    return e->inside - e->front >= 0.9 && !calcium_is_behind(b) && b->from[2] < CALCIUM_OSTIA_HIGH
               ? CALCIUM_LARGE
               : CALCIUM_MASSIVE;
}

// Motion of the heart's border makes a band beside lung that rises slowly out of blood; calcium
// rises as steeply as the image can.
static bool is_band(const struct anatomy_heart *h, const struct component_stats *c,
                    const struct calcium_around *ring)
{
    return c->max < band_hu && ring->air > band_air && ring->fat < band_fat &&
           ring->glow_hu > h->pool_hu + glow_hu;
}

// Wide in two directions, and filled.
static bool is_plate(const struct calcium_search *s, uint32_t n, const struct calcium_extent *e,
                     const struct calcium_around *ring)
{
    const double *sd = e->spread;
    const double mm3 = s->stats[n - 1].voxels * s->rules->pixel_area_mm2 * s->rules->increment_mm;
    const double thick = fmax(sqrt(12) * sd[2], s->rules->increment_mm);
    const double area = e->largest * s->rules->pixel_area_mm2; // metal is a point with streaks
    return ring->half_mm2 > plate_bright * area && sd[1] > plate_mm && sd[2] < plate_flat * sd[1] &&
           mm3 > plate_filled * 12 * sd[0] * sd[1] * thick;
}

// Part of blood that noise makes look like fat.
static double fat_by_noise(const struct anatomy_heart *h)
{
    return 0.5 * erfc((h->pool_hu - CALCIUM_FAT_HIGH_HU) / (h->noise_hu * sqrt(2)));
}

// At the front of the heart hardly anything but an artery calcifies: a little fat is enough there,
// where the wall of the aorta is known to be elsewhere.
static bool is_in_front(const struct anatomy_heart *h, const struct component_stats *c,
                        const struct calcium_around *ring, const struct calcium_bearing *b)
{
    return ring->fat >= fat_some + fat_by_noise(h) && ring->air < streak_air &&
           b->from[1] < front_radii && (b->rim.known || b->from[2] < root_radii) &&
           c->max >= lean_hu && c->max >= h->pool_hu + lean_sigmas * h->noise_hu;
}

enum calcium_reason calcium_judge(const struct calcium_search *s, uint32_t n,
                                  const struct calcium_extent *e, const struct calcium_around *ring,
                                  const struct calcium_bearing *b)
{
    const struct component_stats *c = &s->stats[n - 1];
    const struct anatomy_heart *h = s->heart;
    if (calcium_is_larger(s, n, s->options->largest_mm3))
        return judge_massive(c, e, b);
    if (e->near < 0.5 || (e->inside < 0.25 && ring->fat < s->options->fat_fraction))
        return CALCIUM_AWAY;
    if (c->max >= lead_metal_hu)
        return CALCIUM_METAL;
    if (ring->air > air_sure)
        return CALCIUM_IN_LUNG;
    const bool faint =
        c->box_lo[2] == c->box_hi[2] && c->max < h->pool_hu + noise_sigmas * h->noise_hu;
    if (faint && ring->fat < fat_all)
        return CALCIUM_NOISE;
    const enum calcium_reason place = calcium_judge_place(b);
    const bool fat = ring->fat >= s->options->fat_fraction;
    if (calcium_reason_class(place) == CALCIUM_NOT_CORONARY)
        return place;
    const bool chest = e->front > 0.5 || b->from[1] < CALCIUM_CHEST_RADII;
    if (is_band(h, c, ring) && !(chest && b->from[1] < wall_radii))
        return CALCIUM_MOTION;
    const bool groove = ring->fat >= fat_some + fat_by_noise(h); // too thin for the work grid
    if (!fat && b->surface_mm > surface_mm && !groove)
        return calcium_at_root(b) && b->surface_mm <= root_deep_mm ? CALCIUM_AT_ROOT : CALCIUM_DEEP;
    if (place != CALCIUM_IN_FAT)
        return place;
    if (e->inside < 0.5 && calcium_is_larger(s, n, chest_mm3))
        return CALCIUM_MASSIVE;
    if (is_plate(s, n, e, ring))
        return CALCIUM_PLATE;
    // A heart larger than its ball tells reaches farther to the front: between the lungs and away
    // from bone it is not the chest wall for that alone.
    const bool heart = e->front < 0.5 && e->inside >= 0.9 && b->bone_mm >= bone_mm;
    const bool near = b->from[1] > wall_radii || heart;
    // How far before the lungs the heart reaches is known to a few millimetres only.
    const bool thin = b->from[1] >= CALCIUM_CHEST_RADII && groove && b->bone_mm >= far_bone_mm &&
                      c->max >= lean_hu;
    if (chest)
        return ((fat && near) || thin) && !calcium_is_larger(s, n, chest_mm3) ? CALCIUM_BY_CHEST
                                                                              : CALCIUM_CHEST;
    if (b->bone_mm < bone_mm)
        return CALCIUM_BY_BONE;
    const bool small = !calcium_is_larger(s, n, streak_mm3);
    const bool little = !fat && !small && is_in_front(h, c, ring, b);
    const bool before = b->from[1] < front_radii && ring->fat >= front_fat && ring->air < front_air;
    const bool rim = ring->fat - rim_to_air * ring->air < s->options->fat_fraction;
    const bool little_more = ring->fat < fat_to_air * ring->air && ring->air > air_some;
    if ((!before && (little_more || (fat && rim && ring->air > streak_air))) ||
        (ring->air > streak_air && small && c->max < h->pool_hu + streak_sigmas * h->noise_hu))
        return CALCIUM_BY_LUNG;
    if (!fat && !little)
        return CALCIUM_LEAN;
    if (e->inside < 0.5)
        return CALCIUM_OUTSIDE;
    if (faint || (small && ring->fat < fat_all && c->max < h->pool_hu + lean_sigmas * h->noise_hu))
        return CALCIUM_FAINT;
    if (e->spread[1] > sheet_mm && e->spread[2] < sheet_flat * e->spread[1])
        return CALCIUM_SHEET;
    if (c->max >= s->options->metal_hu)
        return CALCIUM_BRIGHT;
    if (ring->dark >= dark_share && ring->air < streak_air)
        return CALCIUM_STREAKS;
    if (ring->even >= stent_even)
        return CALCIUM_TUBE;
    return fat ? CALCIUM_IN_FAT : CALCIUM_IN_LITTLE_FAT;
}

enum calcium_reason calcium_judge_small(const struct calcium_search *s, uint32_t n,
                                        const struct calcium_extent *e,
                                        const struct calcium_around *ring,
                                        const struct calcium_bearing *b)
{
    const enum calcium_reason reason = calcium_judge(s, n, e, ring, b);
    if (calcium_is_larger(s, n, s->options->largest_mm3))
        return reason;
    struct calcium_extent reached = *e;
    if (e->reached >= 0.5)
        reached.inside = reached.near = 1;
    for (int i = 0; i < CALCIUM_SHIFTS; i++) {
        const struct calcium_bearing there = calcium_bearing_shifted(b, i);
        if (calcium_reason_class(calcium_judge(s, n, e, ring, &there)) !=
                calcium_reason_class(reason) ||
            calcium_reason_class(calcium_judge(s, n, &reached, ring, &there)) !=
                calcium_reason_class(reason))
            return CALCIUM_SMALL_FIELD;
    }
    return reason;
}
