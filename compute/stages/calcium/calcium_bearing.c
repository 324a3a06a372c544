#include "compute/stages/calcium/calcium_bearing.h"
#include <math.h>

// Behind the left atrium, no farther left, and above the diaphragm there is no artery: radii.
static const double atrium_back = 0.9, atrium_left = 0.3, atrium_low = -0.3;
// Farther back nothing of an artery is there at any height, but the oesophagus and the vena cava:
// where the right artery bends into its descending branch it lies at 0.7 to 1.2 radii.
static const double crux_back = 1.4;
// Around a disc of the aorta, inwards, and without the error of its middle, where it is seen.
static const double wall_in_mm = 5.5, wall_near_mm = 2;
static const double below_mm = 12; // the root's wall goes on below its lowest disc
static const double sure_mm = 8;   // above the lowest disc that is seen: no artery leaves there
static const double arc_mm = 9;    // along the rim, and never far from it: no artery's mouth
// Within the root, so far from its rim, is the valve; the root is guessed below the lowest disc,
// and lies beside the guess by a part of how far it is below, up to so far.
static const double inside_mm = 3, inside_grows = 0.2, root_mm = 35;
// In radii of the heart's largest ball, from the middle of its core, up; and in mm above the lowest
// disc of the ascending aorta, where that is seen. A lowest disc farther up than any artery leaves
// tells nothing of where they do.
static const double heart_high = 1.75, ostia_mm = 10, heart_mm = 25;
static const double ostia_highest = 2.1;
// So high, and hardly below the lowest disc of the aorta that is seen, arteries have just left it:
// they are not yet so far from its rim; and they do not lie before the pulmonary trunk.
static const double fork_far_mm = 24, trunk_front = -0.6;
// The left atrial appendage lies so high, to the left and back, above the groove of the circumflex,
// and no farther from the middle; its tip is thin.
static const double appendage_high = 0.9, appendage_back = 0.35, appendage_far = 1.25;
// Far from the middle, between the territories, are the free walls: of the left ventricle, where
// branches run, and of the right atrium, where none does. Radii.
// So far out the left one is free as high as the arteries' mouths.
static const double wall_left = 1.4, wall_right = 1.8, wall_high = 0.6, wall_far = 2;
// Behind the aorta and not to the left there are nodes so high, and no artery: radii.
static const double middle_left = 0.1, middle_back = 0.4, middle_high = 0.9;
// The descending aorta and its wall, from the front of the spine and its middle, radii.
static const double behind_front = 0.9, behind_right = -0.5, behind_left = 1;
static const double clear_mm = 12; // from the wall of that aorta, where it is seen
// The same without the spine, radii from the core.
static const double behind_radii = 1.1;
static const double back_open = 1.8; // to the left the circumflex may go on so far
// Where arteries leave the root, from the middle of the core in radii: to the left, back and head.
static const double root_lo[3] = {-0.6, -1.1, 0.6}, root_hi[3] = {0.75, 0.45, 1.8};

// From the edge of a disc, in the plane.
static double from_disc(const struct anatomy_grid *g, const struct anatomy_disc *disc,
                        const double at[3])
{
    const double dx = (at[0] - disc->x) * g->mm[0], dy = (at[1] - disc->y) * g->mm[1];
    return sqrt(dx * dx + dy * dy) - disc->radius_mm;
}

#define RIM_BINS 128
static const double rim_bin_mm = 0.5;

// The bin below which a share of all lies, mm; bin 0 starts at -RIM_BINS / 2 of them.
static double rim_share(const uint32_t *bins, uint32_t all, double share)
{
    uint64_t sum = 0;
    int n = 0;
    while (n < RIM_BINS - 1 && (double)(sum += bins[n]) <= share * all)
        n++;
    return (n + 0.5 - RIM_BINS / 2.0) * rim_bin_mm;
}

struct calcium_rim calcium_rim_of(const struct calcium_search *s, uint32_t n)
{
    const struct anatomy_heart *h = s->heart;
    const struct anatomy_grid *g = &h->grid;
    const struct component_stats *c = &s->stats[n - 1];
    const uint32_t rows = s->volume->dim[1];
    struct calcium_rim rim = {.known = h->ascending.lo <= h->ascending.hi, .above_mm = INFINITY};
    uint32_t bins[RIM_BINS] = {0};
    double centre[3], middle[3], least = INFINITY, most = -INFINITY;
    if (!rim.known)
        return rim;
    calcium_centre(c, centre);
    anatomy_grid_from_voxel(g, centre, middle);
    const struct anatomy_disc at = anatomy_tube_at(&h->ascending, middle[2]);
    const double towards = atan2((middle[1] - at.y) * g->mm[1], (middle[0] - at.x) * g->mm[0]);
    for (uint32_t i = s->first[n]; i < s->first[n + 1]; i++) {
        const struct component_run *r = &s->runs[i];
        for (uint32_t x = r->x0; x <= r->x1; x++) {
            const uint32_t k = r->row / rows;
            const double ijk[3] = {x, r->row % rows, k};
            double xyz[3];
            anatomy_grid_from_voxel(g, ijk, xyz);
            const struct anatomy_disc disc = anatomy_tube_at(&h->ascending, xyz[2]);
            const double dx = (xyz[0] - disc.x) * g->mm[0], dy = (xyz[1] - disc.y) * g->mm[1];
            const double out = hypot(dx, dy) - disc.radius_mm;
            const double along = remainder(atan2(dy, dx) - towards, 2 * M_PI) * disc.radius_mm;
            const double bin = out / rim_bin_mm + RIM_BINS / 2.0;
            bins[(int)fmin(fmax(bin, 0), RIM_BINS - 1)]++;
            least = fmin(least, along);
            most = fmax(most, along);
            rim.above_mm = fmin(rim.above_mm, (xyz[2] - h->ascending.lo) * g->mm[2]);
        }
    }
    rim.in_mm = rim_share(bins, c->voxels, 0.05);
    rim.out_mm = rim_share(bins, c->voxels, 0.95);
    rim.along_mm = most - least;
    return rim;
}

struct calcium_bearing calcium_bearing_of(const struct anatomy_heart *h, const double at[3])
{
    const struct anatomy_grid *g = &h->grid;
    struct calcium_bearing b = {.descending_mm = INFINITY};
    size_t index = 0;
    uint32_t k = 0;
    for (int d = 2; d >= 0; d--) {
        const uint32_t i = (uint32_t)fmin(fmax(at[d] + 0.5, 0), g->dim[d] - 1);
        k = d == 2 ? i : k;
        index = index * g->dim[d] + i;
        b.from[d] = (at[d] - h->centre[d]) * g->mm[d] / h->radius_mm;
    }
    b.surface_mm = fmin(h->to_air[index], h->to_fat[index]) * ANATOMY_STEP_MM;
    b.bone_mm = h->to_bone[index] * ANATOMY_STEP_MM;
    b.front = h->spine_seen ? (h->spine_front[k] - at[1]) * g->mm[1] / h->radius_mm : NAN;
    b.left = (at[0] - h->spine_x) * g->mm[0] / h->radius_mm;
    if (h->ascending.lo <= h->ascending.hi) {
        b.above_mm = (at[2] - h->ascending.lo) * g->mm[2];
        b.lowest_disc = (h->ascending.lo - h->centre[2]) * g->mm[2] / h->radius_mm;
    }
    if (h->descending.lo <= h->descending.hi) {
        const struct anatomy_disc disc = anatomy_tube_at(&h->descending, at[2]);
        b.descending_mm = from_disc(g, &disc, at);
    }
    return b;
}

struct calcium_bearing calcium_bearing_shifted(const struct calcium_bearing *b, int n)
{
    struct calcium_bearing there = *b;
    if (n > 0) {
        const int axis = (n - 1) / 2;
        const double shift = n % 2 ? CALCIUM_SHIFT_RADII : -CALCIUM_SHIFT_RADII;
        there.from[axis] += shift;
        there.lowest_disc += axis == 2 ? shift : 0;
    }
    return there;
}

// Directions in the plane from the middle of the core, in degrees: 0 to the patient's left, 90 to
// the front. Between the territories no artery can be told: the way from the heart's long axis to
// the patient's differs from heart to heart.
static const double lad_from = 28, lad_to = 98, rca_from = 108, rca_to = -130, lcx_from = -85,
                    lcx_to = -8;
// The left main artery, its fork and what leaves it lie within millimetres: so near the axis and so
// high, in radii; the higher the farther from the axis. Behind the axis so high it is no right
// artery, which leaves the aorta to the front: in a heart that lies far to the left the mouth of
// the left main artery is to the right of the axis.
static const double fork_near = 0.75, fork_high = 0.6, fork_opens = 0.35, axis_near = 0.3;
// On the diaphragm the posterior descending artery comes from either side.
static const double apex_near = 0.75, apex_low = -0.9;
// The right atrium's free wall, behind the groove of the right artery: from straight to the right.
static const double atrium_to = -155;

static double direction_of(const struct calcium_bearing *b)
{
    return atan2(-b->from[1], b->from[0]) * 180 / M_PI;
}

enum calcium_artery calcium_artery_of(const struct calcium_bearing *b)
{
    const double away = hypot(b->from[0], b->from[1]);
    const double d = direction_of(b);
    if (away < axis_near || (away < apex_near && b->from[2] < apex_low) ||
        (b->from[2] > fork_high && d < rca_from &&
         away < fork_near + fork_opens * (b->from[2] - fork_high)))
        return CALCIUM_UNASSIGNED;
    if (d >= rca_from || d <= rca_to)
        return CALCIUM_RCA;
    if (d >= lad_from && d <= lad_to)
        return CALCIUM_LAD;
    return d >= lcx_from && d <= lcx_to ? CALCIUM_LCX : CALCIUM_UNASSIGNED;
}

enum calcium_artery calcium_artery_sure(const struct calcium_bearing *b)
{
    const enum calcium_artery artery = calcium_artery_of(b);
    for (int n = 0; n < CALCIUM_SHIFTS; n++) {
        const struct calcium_bearing there = calcium_bearing_shifted(b, n);
        if (calcium_artery_of(&there) != artery)
            return CALCIUM_UNASSIGNED;
    }
    return artery;
}

bool calcium_is_behind(const struct calcium_bearing *b)
{
    if (isnan(b->front) && b->from[1] > CALCIUM_BACK_RADII)
        return true;
    if (isfinite(b->descending_mm) && b->descending_mm > clear_mm)
        return false;
    if (isnan(b->front))
        return b->from[1] > behind_radii;
    return b->front < behind_front && b->left > behind_right && b->left < behind_left;
}

bool calcium_at_root(const struct calcium_bearing *b)
{
    bool in = true;
    for (int d = 0; d < 3; d++)
        in = in && b->from[d] >= root_lo[d] && b->from[d] <= root_hi[d];
    return in;
}

// What the rim of the ascending aorta says of a component; IN_FAT: nothing.
static enum calcium_reason judge_rim(const struct calcium_rim *r)
{
    if (!r->known)
        return CALCIUM_IN_FAT;
    const double below = fmax(0, -r->above_mm);
    if (r->above_mm >= -root_mm && r->out_mm < -(inside_mm + inside_grows * below))
        return CALCIUM_VALVE;
    const bool on = r->in_mm > -wall_in_mm && r->out_mm < CALCIUM_WALL_MM;
    if (on && (r->above_mm >= sure_mm || (r->above_mm >= -below_mm && r->along_mm > arc_mm)))
        return CALCIUM_WALL;
    const double near = wall_near_mm + inside_grows * below;
    return r->above_mm >= -below_mm && r->in_mm < near ? CALCIUM_BY_AORTA : CALCIUM_IN_FAT;
}

static bool on_free_wall(const struct calcium_bearing *b)
{
    const double away = hypot(b->from[0], b->from[1]), d = direction_of(b);
    const bool low = b->from[2] < wall_high;
    return ((low || away > wall_far) && away > wall_left && d > lcx_to && d < lad_from) ||
           (low && away > wall_right && d < atrium_to);
}

enum calcium_reason calcium_judge_place(const struct calcium_bearing *b)
{
    if (b->descending_mm < CALCIUM_WALL_MM)
        return CALCIUM_WALL;
    const enum calcium_reason aorta_says = judge_rim(&b->rim);
    if (calcium_reason_class(aorta_says) == CALCIUM_NOT_CORONARY)
        return aorta_says;
    if (b->from[1] > CALCIUM_BACK_RADII)
        return b->from[1] < back_open && b->from[0] > atrium_left ? CALCIUM_BEHIND : CALCIUM_AWAY;
    const bool aorta = b->rim.known, seen = aorta && b->lowest_disc <= ostia_highest;
    const bool high = b->from[2] > CALCIUM_OSTIA_HIGH;
    if (b->from[2] > heart_high && (!aorta || b->above_mm > heart_mm))
        return CALCIUM_ABOVE;
    if (high && b->from[1] < CALCIUM_CHEST_RADII)
        return CALCIUM_CHEST;
    const bool middle = b->from[0] < middle_left && b->from[1] > middle_back;
    if ((high && (!seen || b->above_mm > ostia_mm)) || (middle && b->from[2] > middle_high))
        return CALCIUM_HIGH;
    if (calcium_is_behind(b))
        return CALCIUM_BEHIND;
    if (b->from[0] < atrium_left &&
        (b->from[1] > crux_back || (b->from[1] > atrium_back && b->from[2] > atrium_low)))
        return CALCIUM_BACK;
    const bool far = !aorta || b->rim.in_mm > fork_far_mm;
    if (high && ((far && b->rim.above_mm > -below_mm) || b->from[1] < trunk_front))
        return CALCIUM_APART;
    if (far && b->from[2] > appendage_high && b->from[0] > 0 && b->from[1] > appendage_back &&
        hypot(b->from[0], b->from[1]) < appendage_far)
        return CALCIUM_APART;
    return aorta_says != CALCIUM_IN_FAT || !on_free_wall(b) ? aorta_says : CALCIUM_FREE_WALL;
}
