#include "compute/stages/calcium/calcium_lesion.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/stages/calcium/calcium_shape.h"

static const double ring_inner_mm = 1.5, ring_outer_mm = 5;
// Fat, also where a thick slice mixes it with blood: a thin layer is all that lean hearts have.
static const double fat_low_hu = -190, fat_high_hu = 0;
// Beside metal it is darker than fat: so far below fat's mean, in deviations of the noise, and so
// far from lung, whose rim is as dark.
static const double fat_mean_hu = -100, dark_sigmas = 4, streak_air_mm = 5;
// Lung, of the ring, and how much more of fat an artery has that bulges into it.
static const double air_sure = 0.6, air_some = 0.25, fat_to_air = 1.5;
static const double front_fat = 0.2, front_air = 0.35; // at the heart's front, far from the hila
// Where lung touches the ring, its rim is as dense as fat: so much for what is air.
static const double rim_to_air = 0.5;
static const double fat_all = 0.75; // of the ring: fat on all sides
// An artery lies on the heart's surface, at most so far below fat or lung where no fat is seen
// around it: myocardium of 10 mm between, half a ring's blur.
static const double surface_mm = 12;
static const double near_region_mm = 5; // a lesion may bulge out of the region
static const double bone_mm = 8;        // costal cartilage and sternum calcify too
// The heart's front in radii from the middle of the core, and the largest calcium in an artery
// there: before it is the chest wall, in which cartilage lies in fat; before the second there is
// nothing else.
static const double chest_radii = -1.35, wall_radii = -1.6, chest_mm3 = 500;
// Behind the left atrium, no farther left, and above the diaphragm there is no artery: radii.
static const double atrium_back = 0.9, atrium_left = 0.3, atrium_low = -0.3;
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
// Of a bright point: its area at half its brightness, and that, at least. Plaques so small are
// hardly ever as bright; two in one heart are clips.
static const double point_mm2 = 5.5, point_hu = 550;
static const double metal_reach_mm = 30; // from one of them what is bright may be metal as well
// A stent: length, and how bright it is nearly everywhere beside its brightest part.
static const double stent_mm = 11, stent_even = 0.7, stent_bin_mm = 2.5;
// How much brighter than blood what is soft around a band of motion is, its brightest, and how much
// lung touches it: noise and neighbours make 20 HU.
static const double glow_hu = 28, band_hu = 300, band_air = 0.05, band_fat = 0.25;
// So small, so near lung, and no brighter, in deviations of the noise above blood, what lies in fat
// may be a streak of the heart's motion.
static const double streak_mm3 = 15, streak_air = 0.05, streak_sigmas = 12;
// Around a disc of the aorta: error of its edge, which is found 1 mm too far out; without the other
// of its middle, where it is seen.
static const double wall_mm = 4, wall_in_mm = 5.5, wall_near_mm = 2;
static const double below_mm = 12; // the root's wall goes on below its lowest disc
static const double sure_mm = 8;   // above the lowest disc that is seen: no artery leaves there
static const double arc_mm = 9;    // along the rim, and never far from it: no artery's mouth
// Within the root, so far from its rim, is the valve; the root is guessed below the lowest disc,
// and lies beside the guess by a part of how far it is below, up to so far.
static const double inside_mm = 3, inside_grows = 0.2, root_mm = 35;
// In radii of the heart's largest ball, from the middle of its core, up: arteries leave the aorta
// at 0.8 to 1.6 (in one scan at 1.8); and in mm above the lowest disc of the ascending aorta, where
// that is seen. A lowest disc farther up than any artery leaves tells nothing of where they do.
static const double ostia_high = 1.25, heart_high = 1.75, ostia_mm = 10, heart_mm = 25;
static const double ostia_highest = 2.1;
// So high, and hardly below the lowest disc of the aorta that is seen, arteries have just left it:
// they are not yet so far from its rim; and they do not lie before the pulmonary trunk.
static const double fork_far_mm = 24, trunk_front = -0.6;
// The left atrial appendage lies so high, to the left and back, above the groove of the circumflex,
// and no farther from the middle; its tip is thin.
static const double appendage_high = 0.9, appendage_back = 0.35, appendage_far = 1.25;
// Far from the middle, between the territories, are the free walls: of the left ventricle, where
// branches run, and of the right atrium, where none does. Radii.
static const double wall_left = 1.4, wall_right = 1.8, wall_high = 0.6;
// Behind the aorta and not to the left there are nodes so high, and no artery: radii.
static const double middle_left = 0.1, middle_back = 0.4, middle_high = 0.9;
// The descending aorta and its wall, from the front of the spine and its middle, radii.
static const double behind_front = 0.9, behind_right = -0.5, behind_left = 1;
static const double clear_mm = 12; // from the wall of that aorta, where it is seen
// The same without the spine, and what nothing of the heart is behind, in radii from the core.
static const double behind_radii = 1.1, back_radii = 1.6;
static const double back_open = 1.8;  // to the left the circumflex may go on so far
static const double side_radii = 2.5; // farther to a side nothing is of the heart
// Where arteries leave the root, from the middle of the core in radii: to the left, back and head.
static const double root_lo[3] = {-0.6, -1.1, 0.6}, root_hi[3] = {0.75, 0.45, 1.8};
static const double root_deep_mm = 22; // the left main artery lies no deeper where no fat is seen
// A lead in the heart: standard deviation along it, and its brightness where the slices blur it.
static const double lead_mm = 15, lead_hu = 900;
static const double streak_hu = 450;      // of metal: brighter spots are calcium all the same
static const double lead_metal_hu = 3000; // no calcium is as bright
static const double noise_sigmas = 5, sure_sigmas = 6; // above the blood pool

static const struct {
    enum calcium_class class;
    const char *text;
} reasons[CALCIUM_REASONS] = {
    [CALCIUM_IN_FAT] = {CALCIUM_COUNTED, "in fat on the heart"},
    [CALCIUM_IN_LITTLE_FAT] = {CALCIUM_COUNTED, "in a little fat on the front of the heart"},
    [CALCIUM_LEAN] = {CALCIUM_UNCERTAIN, "near the heart's surface with hardly any fat around"},
    [CALCIUM_AT_ROOT] = {CALCIUM_UNCERTAIN,
                         "at the aortic root without fat: artery, aortic wall or valve"},
    [CALCIUM_BY_AORTA] = {CALCIUM_UNCERTAIN, "at the wall of the ascending aorta"},
    [CALCIUM_HIGH] = {CALCIUM_UNCERTAIN, "above where arteries leave the aorta"},
    [CALCIUM_BEHIND] = {CALCIUM_UNCERTAIN, "by the descending aorta"},
    [CALCIUM_BACK] = {CALCIUM_UNCERTAIN, "behind the left atrium: artery, oesophagus or node"},
    [CALCIUM_APART] = {CALCIUM_UNCERTAIN,
                       "high and far from the aorta: artery, appendage or pulmonary trunk"},
    [CALCIUM_FREE_WALL] = {CALCIUM_UNCERTAIN,
                           "on a free wall of the heart: a branch, or pericardium"},
    [CALCIUM_FAINT] = {CALCIUM_UNCERTAIN, "in fat, yet as small and faint as noise"},
    [CALCIUM_BY_BONE] = {CALCIUM_UNCERTAIN, "beside bone or calcified cartilage"},
    [CALCIUM_BY_CHEST] = {CALCIUM_UNCERTAIN, "before the lungs: artery or chest wall"},
    [CALCIUM_BY_LUNG] = {CALCIUM_UNCERTAIN, "beside lung: artery or hilum"},
    [CALCIUM_OUTSIDE] = {CALCIUM_UNCERTAIN, "at the border of the heart's region"},
    [CALCIUM_BY_METAL] = {CALCIUM_UNCERTAIN,
                          "in fat, yet near metal or no brighter than its streaks"},
    [CALCIUM_SHEET] = {CALCIUM_UNCERTAIN, "a sheet, as calcified pericardium is"},
    [CALCIUM_BRIGHT] = {CALCIUM_UNCERTAIN, "as bright as metal"},
    [CALCIUM_STREAKS] = {CALCIUM_UNCERTAIN,
                         "darker than fat beside it, as beside clips and stents"},
    [CALCIUM_TUBE] = {CALCIUM_UNCERTAIN, "as long and even as a stent"},
    [CALCIUM_MOTION] = {CALCIUM_UNCERTAIN,
                        "a bright band at the heart's border: motion, or an artery that moved"},
    [CALCIUM_LARGE] = {CALCIUM_UNCERTAIN, "larger than calcium in an artery is, in the heart"},
    [CALCIUM_DEEP] = {CALCIUM_NOT_CORONARY, "deep in the heart: valve, annulus or muscle"},
    [CALCIUM_IN_LUNG] = {CALCIUM_NOT_CORONARY, "in lung or hilum"},
    [CALCIUM_WALL] = {CALCIUM_NOT_CORONARY, "aortic wall"},
    [CALCIUM_VALVE] = {CALCIUM_NOT_CORONARY, "in the aortic root: valve"},
    [CALCIUM_ABOVE] = {CALCIUM_NOT_CORONARY, "above the heart"},
    [CALCIUM_CHEST] = {CALCIUM_NOT_CORONARY, "chest wall: cartilage, rib or sternum"},
    [CALCIUM_AWAY] = {CALCIUM_NOT_CORONARY, "beside the heart"},
    [CALCIUM_PLATE] = {CALCIUM_NOT_CORONARY, "a plate, wider than arteries: pericardium"},
    [CALCIUM_NOISE] = {CALCIUM_NOT_CORONARY, "noise"},
    [CALCIUM_MASSIVE] = {CALCIUM_NOT_CORONARY, "bone"},
    [CALCIUM_METAL] = {CALCIUM_NOT_CORONARY, "metal"},
};

const char *calcium_reason_text(enum calcium_reason reason)
{
    return reasons[reason].text;
}

static enum calcium_class class_of(enum calcium_reason reason)
{
    return reasons[reason].class;
}

struct search {
    const struct image *volume;
    struct peek *peek;
    const struct anatomy_heart *heart;
    const struct calcium_rules *rules;
    const struct calcium_options *options;
    struct arena *arena;
    struct component_run *runs; // by component
    uint32_t *first;            // [components + 1] index of the first run of each
    struct component_stats *stats;
};

// What surrounds a component within its slices.
struct around {
    double fat, air; // fractions of the ring
    double dark;     // of the ring's part away from lung: darker than fat can be
    double glow_hu;  // mean of the ring's soft pixels below the threshold; 0: none
    double half_mm2; // area of what is half as bright as the brightest, in its slice
    double even;     // part of the brightest that nearly all of a long one has; 0: it is short
};

// The box of the region in voxels, with room for what sticks out of it.
static void region_box(const struct anatomy_heart *h, const double spacing[3], uint32_t lo[3],
                       uint32_t hi[3])
{
    const struct anatomy_grid *g = &h->grid;
    uint32_t at[3], low[3] = {UINT32_MAX, UINT32_MAX, UINT32_MAX}, high[3] = {0};
    const uint8_t *r = h->region;
    for (at[2] = 0; at[2] < g->dim[2]; at[2]++) {
        for (at[1] = 0; at[1] < g->dim[1]; at[1]++) {
            for (at[0] = 0; at[0] < g->dim[0]; at[0]++) {
                if (!*r++)
                    continue;
                for (int a = 0; a < 3; a++) {
                    low[a] = at[a] < low[a] ? at[a] : low[a];
                    high[a] = at[a] > high[a] ? at[a] : high[a];
                }
            }
        }
    }
    for (int d = 0; d < 3; d++) {
        const uint32_t a = g->axis[d];
        const uint32_t first = g->flip[d] ? g->dim[d] - 1 - high[d] : low[d];
        const uint32_t last = g->flip[d] ? g->dim[d] - 1 - low[d] : high[d];
        const uint32_t room = (uint32_t)ceil(10 / spacing[a]);
        const uint32_t before = room + g->lead[d];
        lo[a] = first * g->factor[d] > before ? first * g->factor[d] - before : 0;
        hi[a] = (last + 1) * g->factor[d] - g->lead[d] + room;
        hi[a] = hi[a] < g->fine[d] ? hi[a] : g->fine[d];
    }
}

// Sorts runs by component; within one they stay ordered by row and column.
static bool by_component(struct search *s, const struct components *c, struct err *err)
{
    // Bones have many runs: what only the sorting needs goes at once.
    struct component_run *all = malloc(((size_t)c->run_count + 1) * sizeof *all);
    uint32_t *next = malloc(((size_t)c->count + 2) * sizeof *next);
    s->runs = arena_alloc(s->arena, c->run_count + 1, sizeof *s->runs);
    s->first = arena_alloc(s->arena, (size_t)c->count + 2, sizeof *s->first);
    const bool room = all && next && s->runs && s->first;
    if (!room)
        err_set(err, ERR_NOMEM, "calcium: candidates");
    const bool ok = room && (!c->run_count || components_runs(c, all, err));
    for (uint32_t i = 0; ok && i < c->run_count; i++)
        s->first[all[i].label + 1]++;
    for (uint32_t n = 1; ok && n <= c->count + 1; n++)
        s->first[n] += s->first[n - 1];
    if (ok)
        memcpy(next, s->first, ((size_t)c->count + 2) * sizeof *next);
    for (uint32_t i = 0; ok && i < c->run_count; i++)
        s->runs[next[all[i].label]++] = all[i];
    free(all);
    free(next);
    return ok;
}

// Where component n lies and how large it gets.
struct extent {
    double inside, near;     // part of it in the heart's region; in it or close to it
    double front;            // part of it before the lungs
    double spread[3];        // standard deviations along its axes, mm
    double axis[3];          // the first of them
    uint32_t slice, largest; // the slice with most pixels, and how many
};

static struct extent extent_of(const struct search *s, uint32_t n)
{
    const struct anatomy_grid *g = &s->heart->grid;
    const uint32_t rows = s->volume->dim[1];
    struct extent e = {0};
    uint32_t slice = UINT32_MAX, area = 0;
    uint64_t all = 0, within = 0, close = 0, front = 0;
    for (uint32_t i = s->first[n]; i < s->first[n + 1]; i++) {
        const struct component_run *r = &s->runs[i];
        uint32_t k = r->row / rows, j = r->row % rows;
        area = k == slice ? area : 0;
        slice = k;
        area += r->x1 - r->x0 + 1u;
        if (area > e.largest) {
            e.largest = area;
            e.slice = k;
        }
        for (uint32_t x = r->x0; x <= r->x1; x++) {
            const size_t at = anatomy_grid_at(g, x, j, k);
            within += s->heart->region[at] != ANATOMY_OUTSIDE;
            front += s->heart->region[at] == ANATOMY_FRONT;
            close += s->heart->to_region[at] * ANATOMY_STEP_MM <= near_region_mm;
        }
        all += r->x1 - r->x0 + 1u;
    }
    e.inside = (double)within / (double)all;
    e.near = (double)close / (double)all;
    e.front = (double)front / (double)all;
    calcium_spread(s->runs + s->first[n], s->first[n + 1] - s->first[n], rows, s->volume->spacing,
                   e.spread, e.axis);
    return e;
}

// Stamps discs around every pixel of component n in slice k into a window: 1 near, 2 the ring.
static void stamp(const struct search *s, uint32_t n, uint32_t k, uint8_t *window,
                  const uint32_t origin[2], uint32_t width, uint32_t height)
{
    const struct image *v = s->volume;
    const int64_t ri = (int64_t)(ring_outer_mm / v->spacing[0]);
    const int64_t rj = (int64_t)(ring_outer_mm / v->spacing[1]);
    for (uint32_t i = s->first[n]; i < s->first[n + 1]; i++) {
        const struct component_run *r = &s->runs[i];
        if (r->row / v->dim[1] != k)
            continue;
        for (int64_t b = -rj; b <= rj; b++) {
            int64_t y = (int64_t)(r->row % v->dim[1]) + b - origin[1];
            if (y < 0 || y >= height)
                continue;
            for (int64_t x = (int64_t)r->x0 - ri; x <= (int64_t)r->x1 + ri; x++) {
                int64_t out = x < r->x0 ? r->x0 - x : x > r->x1 ? x - r->x1 : 0;
                double dx = (double)out * v->spacing[0], dy = (double)b * v->spacing[1];
                double d2 = dx * dx + dy * dy;
                int64_t wx = x - origin[0];
                if (wx < 0 || wx >= width || d2 > ring_outer_mm * ring_outer_mm)
                    continue;
                uint8_t *at = &window[y * width + wx];
                if (d2 <= ring_inner_mm * ring_inner_mm)
                    *at = 1;
                else if (!*at)
                    *at = 2;
            }
        }
    }
}

static bool look_around(const struct search *s, uint32_t n, struct around *out, struct err *err)
{
    const struct image *v = s->volume;
    const struct component_stats *c = &s->stats[n - 1];
    uint32_t origin[2], size[2];
    for (int a = 0; a < 2; a++) {
        uint32_t room = (uint32_t)ceil(ring_outer_mm / v->spacing[a]);
        origin[a] = c->box_lo[a] > room ? c->box_lo[a] - room : 0;
        uint32_t end = c->box_hi[a] + room + 1;
        size[a] = (end < v->dim[a] ? end : v->dim[a]) - origin[a];
    }
    uint8_t *window = arena_alloc(s->arena, (size_t)size[0] * size[1], 1);
    if (!window)
        return err_set(err, ERR_NOMEM, "calcium: surroundings");
    const struct anatomy_heart *h = s->heart;
    const double darkest = fat_mean_hu - dark_sigmas * h->noise_hu;
    uint64_t all = 0, fat = 0, air = 0, dark = 0, away = 0, soft = 0;
    double glow = 0;
    uint32_t half_pixels = 0;
    for (uint32_t k = c->box_lo[2]; k <= c->box_hi[2]; k++) {
        memset(window, 0, (size_t)size[0] * size[1]);
        stamp(s, n, k, window, origin, size[0], size[1]);
        const float *slice = peek_slice(s->peek, k, err);
        if (!slice)
            return false;
        uint32_t half = 0;
        double top = -INFINITY;
        for (uint32_t p = 0; p < size[0] * size[1]; p++) {
            const uint32_t x = origin[0] + p % size[0], y = origin[1] + p / size[0];
            const double hu = slice[(size_t)y * v->dim[0] + x];
            half += window[p] == 1 && hu * 2 >= c->max;
            top = window[p] == 1 ? fmax(top, hu) : top;
            if (window[p] != 2)
                continue;
            const size_t at = anatomy_grid_at(&h->grid, x, y, k);
            all++;
            fat += hu > fat_low_hu && hu < fat_high_hu;
            air += hu < -300;
            if (h->to_air[at] * ANATOMY_STEP_MM > streak_air_mm) {
                away++;
                dark += hu < darkest;
            }
            if (hu > fat_high_hu && hu < s->rules->threshold_hu) {
                soft++;
                glow += hu;
            }
        }
        half_pixels = top >= c->max ? half : half_pixels;
    }
    *out = (struct around){.fat = all ? (double)fat / (double)all : 0,
                           .air = all ? (double)air / (double)all : 0,
                           .dark = away ? (double)dark / (double)away : 0,
                           .glow_hu = soft ? glow / (double)soft : 0,
                           .half_mm2 = half_pixels * s->rules->pixel_area_mm2};
    return true;
}

static double length_mm(const struct extent *e)
{
    return sqrt(12) * e->spread[0];
}

#define ALONG_BINS 64

// How even a long component is along its axis. False: the device failed.
static bool look_lengthwise(const struct search *s, uint32_t n, const struct extent *e,
                            struct around *out, struct err *err)
{
    const struct component_stats *c = &s->stats[n - 1];
    const struct image *v = s->volume;
    double top[ALONG_BINS] = {0}, all = 0;
    int first = ALONG_BINS, last = -1;
    for (uint32_t i = s->first[n]; i < s->first[n + 1]; i++) {
        const struct component_run *r = &s->runs[i];
        const uint32_t k = r->row / v->dim[1], j = r->row % v->dim[1];
        const float *slice = peek_slice(s->peek, k, err);
        if (!slice)
            return false;
        for (uint32_t x = r->x0; x <= r->x1; x++) {
            const double at[3] = {x, j, k};
            double along = 0;
            for (int a = 0; a < 3; a++)
                along += e->axis[a] * (at[a] - (double)c->index_sum[a] / c->voxels) * v->spacing[a];
            const int bin = (int)floor(along / stent_bin_mm) + ALONG_BINS / 2;
            if (bin < 0 || bin >= ALONG_BINS)
                continue;
            top[bin] = fmax(top[bin], slice[(size_t)j * v->dim[0] + x]);
            first = bin < first ? bin : first;
            last = bin > last ? bin : last;
            all = fmax(all, top[bin]);
        }
    }
    double least = all; // all but the ends, and the darkest between them
    double next = all;
    for (int b = first + 1; b < last; b++) {
        next = top[b] < least ? least : fmin(next, top[b]);
        least = fmin(least, top[b]);
    }
    out->even = all > 0 ? next / all : 0;
    return true;
}

static void centre_of(const struct component_stats *c, double centre[3])
{
    for (int a = 0; a < 3; a++)
        centre[a] = (double)c->index_sum[a] / c->voxels;
}

// How a component lies to the rim of the ascending aorta, slice by slice.
struct rim {
    bool known;
    double in_mm, out_mm; // 5 % lie farther in, or farther out: negative is within the disc
    double along_mm;      // how long it is along the rim
    double above_mm;      // its lowest voxel's height above the lowest disc seen
};

// Where a place lies in the heart.
struct bearing {
    double from[3];       // from the middle of the core, in radii
    double surface_mm;    // to the nearest fat or lung
    double bone_mm;       // to the nearest bone
    double above_mm;      // from the lowest disc of the ascending aorta
    double lowest_disc;   // its height from the middle of the core, radii
    double descending_mm; // from the edge of that aorta's disc
    struct rim rim;
    double front, left; // of the spine, radii; NAN: it is not seen
};

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

static struct rim rim_of_component(const struct search *s, uint32_t n)
{
    const struct anatomy_heart *h = s->heart;
    const struct anatomy_grid *g = &h->grid;
    const struct component_stats *c = &s->stats[n - 1];
    const uint32_t rows = s->volume->dim[1];
    struct rim rim = {.known = h->ascending.lo <= h->ascending.hi, .above_mm = INFINITY};
    uint32_t bins[RIM_BINS] = {0};
    double centre[3], middle[3], least = INFINITY, most = -INFINITY;
    if (!rim.known)
        return rim;
    centre_of(c, centre);
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

static struct bearing take_bearing(const struct anatomy_heart *h, const double at[3])
{
    const struct anatomy_grid *g = &h->grid;
    struct bearing b = {.descending_mm = INFINITY};
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

// Directions in the plane from the middle of the core, in degrees: 0 to the patient's left, 90 to
// the front. Between the territories no artery can be told: the way from the heart's long axis to
// the patient's differs from heart to heart.
static const double lad_from = 28, lad_to = 98, rca_from = 108, rca_to = -130, lcx_from = -85,
                    lcx_to = -8;
// The left main artery, its fork and what leaves it lie within millimetres: so near the axis and so
// high, in radii; the higher the farther from the axis.
static const double fork_near = 0.75, fork_high = 0.6, fork_opens = 0.35, axis_near = 0.3;
// On the diaphragm the posterior descending artery comes from either side.
static const double apex_near = 0.75, apex_low = -0.9;

// The right atrium's free wall, behind the groove of the right artery: from straight to the right.
static const double atrium_to = -155;

static double direction_of(const struct bearing *b)
{
    return atan2(-b->from[1], b->from[0]) * 180 / M_PI;
}

static enum calcium_artery name_artery(const struct bearing *b)
{
    const double away = hypot(b->from[0], b->from[1]);
    const double d = direction_of(b);
    if (away < axis_near || (away < apex_near && b->from[2] < apex_low) ||
        (b->from[2] > fork_high && d > lcx_from && d < rca_from &&
         away < fork_near + fork_opens * (b->from[2] - fork_high)))
        return CALCIUM_UNASSIGNED;
    if (d >= rca_from || d <= rca_to)
        return CALCIUM_RCA;
    if (d >= lad_from && d <= lad_to)
        return CALCIUM_LAD;
    return d >= lcx_from && d <= lcx_to ? CALCIUM_LCX : CALCIUM_UNASSIGNED;
}

// Where the descending aorta is, whose wall is no coronary artery, yet near the circumflex.
static bool is_behind(const struct bearing *b)
{
    if (isnan(b->front) && b->from[1] > back_radii)
        return true;
    if (isfinite(b->descending_mm) && b->descending_mm > clear_mm)
        return false;
    if (isnan(b->front))
        return b->from[1] > behind_radii;
    return b->front < behind_front && b->left > behind_right && b->left < behind_left;
}

static bool is_larger(const struct search *s, uint32_t n, double mm3)
{
    return s->stats[n - 1].voxels * s->rules->pixel_area_mm2 * s->rules->increment_mm > mm3;
}

static bool at_root(const struct bearing *b)
{
    bool in = true;
    for (int d = 0; d < 3; d++)
        in = in && b->from[d] >= root_lo[d] && b->from[d] <= root_hi[d];
    return in;
}

// What the rim of the ascending aorta says of a component; IN_FAT: nothing.
static enum calcium_reason judge_rim(const struct rim *r)
{
    if (!r->known)
        return CALCIUM_IN_FAT;
    const double below = fmax(0, -r->above_mm);
    if (r->above_mm >= -root_mm && r->out_mm < -(inside_mm + inside_grows * below))
        return CALCIUM_VALVE;
    const bool on = r->in_mm > -wall_in_mm && r->out_mm < wall_mm;
    if (on && (r->above_mm >= sure_mm || (r->above_mm >= -below_mm && r->along_mm > arc_mm)))
        return CALCIUM_WALL;
    const double near = wall_near_mm + inside_grows * below;
    return r->above_mm >= -below_mm && r->in_mm < near ? CALCIUM_BY_AORTA : CALCIUM_IN_FAT;
}

static bool on_free_wall(const struct bearing *b)
{
    const double away = hypot(b->from[0], b->from[1]), d = direction_of(b);
    return b->from[2] < wall_high && ((away > wall_left && d > lcx_to && d < lad_from) ||
                                      (away > wall_right && d < atrium_to));
}

// What speaks for the wall of an aorta, or for a place where no artery runs; IN_FAT: nothing.
static enum calcium_reason judge_place(const struct bearing *b)
{
    if (b->descending_mm < wall_mm)
        return CALCIUM_WALL;
    const enum calcium_reason aorta_says = judge_rim(&b->rim);
    if (class_of(aorta_says) == CALCIUM_NOT_CORONARY)
        return aorta_says;
    if (b->from[1] > back_radii)
        return b->from[1] < back_open && b->from[0] > atrium_left ? CALCIUM_BEHIND : CALCIUM_AWAY;
    const bool aorta = b->rim.known, seen = aorta && b->lowest_disc <= ostia_highest;
    const bool high = b->from[2] > ostia_high;
    if (b->from[2] > heart_high && (!aorta || b->above_mm > heart_mm))
        return CALCIUM_ABOVE;
    if (high && b->from[1] < chest_radii)
        return CALCIUM_CHEST;
    const bool middle = b->from[0] < middle_left && b->from[1] > middle_back;
    if ((high && (!seen || b->above_mm > ostia_mm)) || (middle && b->from[2] > middle_high))
        return CALCIUM_HIGH;
    if (is_behind(b))
        return CALCIUM_BEHIND;
    if (b->from[1] > atrium_back && b->from[0] < atrium_left && b->from[2] > atrium_low)
        return CALCIUM_BACK;
    const bool far = !aorta || b->rim.in_mm > fork_far_mm;
    if (high && ((far && b->rim.above_mm > -below_mm) || b->from[1] < trunk_front))
        return CALCIUM_APART;
    if (far && b->from[2] > appendage_high && b->from[0] > 0 && b->from[1] > appendage_back &&
        hypot(b->from[0], b->from[1]) < appendage_far)
        return CALCIUM_APART;
    return aorta_says != CALCIUM_IN_FAT || !on_free_wall(b) ? aorta_says : CALCIUM_FREE_WALL;
}

// Hardly any calcium in arteries is as large: only within the heart and in front of its back it may
// be some.
static enum calcium_reason judge_massive(const struct component_stats *c, const struct extent *e,
                                         const struct bearing *b)
{
    const bool in_heart = b->from[1] < back_radii && fabs(b->from[0]) < side_radii;
    const bool lead = e->spread[0] > lead_mm && c->max >= lead_hu && in_heart;
    if ((lead || c->max >= lead_metal_hu) && e->inside >= 0.5)
        return CALCIUM_METAL;
    if (e->inside - e->front >= 0.9 && b->surface_mm > surface_mm)
        return CALCIUM_DEEP; // of the mitral annulus, mostly
    return e->inside - e->front >= 0.9 && !is_behind(b) && b->from[2] < ostia_high
               ? CALCIUM_LARGE
               : CALCIUM_MASSIVE;
}

// Motion of the heart's border makes a band beside lung that rises slowly out of blood; calcium
// rises as steeply as the image can.
static bool is_band(const struct anatomy_heart *h, const struct component_stats *c,
                    const struct around *ring)
{
    return c->max < band_hu && ring->air > band_air && ring->fat < band_fat &&
           ring->glow_hu > h->pool_hu + glow_hu;
}

// Wide in two directions, and filled.
static bool is_plate(const struct search *s, uint32_t n, const struct extent *e,
                     const struct around *ring)
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
    return 0.5 * erfc((h->pool_hu - fat_high_hu) / (h->noise_hu * sqrt(2)));
}

// At the front of the heart hardly anything but an artery calcifies: a little fat is enough there,
// where the wall of the aorta is known to be elsewhere.
static bool is_in_front(const struct anatomy_heart *h, const struct component_stats *c,
                        const struct around *ring, const struct bearing *b)
{
    return ring->fat >= fat_some + fat_by_noise(h) && ring->air < streak_air &&
           b->from[1] < front_radii && (b->rim.known || b->from[2] < root_radii) &&
           c->max >= lean_hu && c->max >= h->pool_hu + lean_sigmas * h->noise_hu;
}

static enum calcium_reason judge(const struct search *s, uint32_t n, const struct extent *e,
                                 const struct around *ring, const struct bearing *b)
{
    const struct component_stats *c = &s->stats[n - 1];
    const struct anatomy_heart *h = s->heart;
    if (is_larger(s, n, s->options->largest_mm3))
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
    const enum calcium_reason place = judge_place(b);
    const bool fat = ring->fat >= s->options->fat_fraction;
    if (class_of(place) == CALCIUM_NOT_CORONARY)
        return place;
    const bool chest = e->front > 0.5 || b->from[1] < chest_radii;
    if (is_band(h, c, ring) && !(chest && b->from[1] < wall_radii))
        return CALCIUM_MOTION;
    const bool groove = ring->fat >= fat_some + fat_by_noise(h); // too thin for the work grid
    if (!fat && b->surface_mm > surface_mm && !groove)
        return at_root(b) && b->surface_mm <= root_deep_mm ? CALCIUM_AT_ROOT : CALCIUM_DEEP;
    if (place != CALCIUM_IN_FAT)
        return place;
    if (e->inside < 0.5 && is_larger(s, n, chest_mm3))
        return CALCIUM_MASSIVE;
    if (is_plate(s, n, e, ring))
        return CALCIUM_PLATE;
    if (chest)
        return fat && b->from[1] > wall_radii && !is_larger(s, n, chest_mm3) ? CALCIUM_BY_CHEST
                                                                             : CALCIUM_CHEST;
    if (b->bone_mm < bone_mm)
        return CALCIUM_BY_BONE;
    const bool small = !is_larger(s, n, streak_mm3);
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

static void keep_lesion(const struct search *s, uint32_t n, enum calcium_reason reason,
                        const struct bearing *b, uint8_t *keep, uint32_t *component,
                        struct calcium_lesions *out)
{
    struct calcium_lesion *l = &out->list[out->count];
    keep[n - 1] = 1;
    l->reason = reason;
    l->class = class_of(reason);
    const bool at_aorta =
        reason == CALCIUM_AT_ROOT || reason == CALCIUM_BY_AORTA || reason == CALCIUM_HIGH;
    l->artery = l->class == CALCIUM_NOT_CORONARY || at_aorta ? CALCIUM_UNASSIGNED : name_artery(b);
    centre_of(&s->stats[n - 1], l->centre);
    component[out->count++] = n;
}

static void keep_focus(const struct search *s, uint32_t n, const struct extent *e,
                       const struct bearing *b, struct calcium_lesions *out)
{
    out->faint[out->faint_count++] =
        (struct calcium_focus){.artery = name_artery(b),
                               .slice = e->slice,
                               .pixels = e->largest,
                               .max = s->stats[n - 1].max,
                               .runs = s->runs + s->first[n],
                               .run_count = s->first[n + 1] - s->first[n]};
}

#define SUSPECTS 64 // more than any heart has

// What of the candidates may be metal.
struct suspects {
    bool lead;              // metal in the heart, which streaks
    uint32_t count;         // of bright points and of those that streak
    double at[SUSPECTS][3]; // [count] where, voxel indices
};

static bool is_point(const struct component_stats *c, const struct around *ring)
{
    return c->max >= point_hu && ring->half_mm2 < point_mm2;
}

// Metal in the heart's region streaks; and where two spots may be metal, what lies near them may.
static void doubt_metal(const struct search *s, const uint32_t *component,
                        const struct suspects *suspects, struct calcium_lesions *out)
{
    for (uint32_t i = 0; i < out->count; i++) {
        struct calcium_lesion *l = &out->list[i];
        bool near = false;
        for (uint32_t n = 0; suspects->count > 1 && n < suspects->count && !near; n++) {
            double square = 0;
            for (int a = 0; a < 3; a++) {
                const double d = (l->centre[a] - suspects->at[n][a]) * s->volume->spacing[a];
                square += d * d;
            }
            near = square < metal_reach_mm * metal_reach_mm;
        }
        const bool dim = s->stats[component[i] - 1].max < streak_hu;
        if (l->class == CALCIUM_COUNTED && ((suspects->lead && dim) || near)) {
            l->reason = CALCIUM_BY_METAL;
            l->class = CALCIUM_UNCERTAIN;
        }
    }
}

// Judges every candidate. What is too small to count is judged as well when it is too bright for
// noise: a score of zero must show it.
static bool choose(struct search *s, uint32_t components, uint8_t *keep, uint32_t *component,
                   struct calcium_lesions *out, struct err *err)
{
    const struct anatomy_heart *h = s->heart;
    struct suspects suspects = {0};
    for (uint32_t n = 1; n <= components; n++) {
        struct around ring = {0};
        double centre[3], at[3];
        const struct extent e = extent_of(s, n);
        const bool counts = calcium_counts(s->rules, e.largest);
        const bool bright = s->stats[n - 1].max >= h->pool_hu + sure_sigmas * h->noise_hu;
        if (e.near == 0 || (!counts && !bright))
            continue;
        // A piece of bone is not worth the look around it.
        const bool look = e.near >= 0.5 && !is_larger(s, n, s->options->largest_mm3);
        if (look && (!look_around(s, n, &ring, err) ||
                     (length_mm(&e) >= stent_mm && !look_lengthwise(s, n, &e, &ring, err))))
            return false;
        centre_of(&s->stats[n - 1], centre);
        anatomy_grid_from_voxel(&h->grid, centre, at);
        struct bearing b = take_bearing(h, at);
        if (look)
            b.rim = rim_of_component(s, n);
        const enum calcium_reason reason = judge(s, n, &e, &ring, &b);
        suspects.lead = suspects.lead || (counts && reason == CALCIUM_METAL);
        if (class_of(reason) != CALCIUM_NOT_CORONARY && suspects.count < SUSPECTS &&
            (reason == CALCIUM_STREAKS || reason == CALCIUM_BRIGHT ||
             is_point(&s->stats[n - 1], &ring)))
            memcpy(suspects.at[suspects.count++], centre, sizeof centre);
        if (counts)
            keep_lesion(s, n, reason, &b, keep, component, out);
        else if (class_of(reason) == CALCIUM_COUNTED)
            keep_focus(s, n, &e, &b, out);
    }
    doubt_metal(s, component, &suspects, out);
    return true;
}

// Islands of the kept components, each with its lesion: islands[] and the runs of those that count.
static bool find_islands(const struct search *s, const struct gpu_volume *hu,
                         const struct components *all, const uint8_t *keep,
                         const uint32_t *lesion_of, struct calcium_lesions *out, struct err *err)
{
    struct gpu_mask *mask = components_select(all, keep, hu->spacing, err);
    struct components *c =
        mask ? components_find(mask, s->options->connectivity == 4 ? CONNECT_4 : CONNECT_8, err)
             : NULL;
    gpu_mask_destroy(mask);
    if (!c)
        return false;
    struct component_stats *stats = arena_alloc(s->arena, c->count + 1, sizeof *stats);
    struct calcium_island *islands = arena_alloc(s->arena, c->count + 1, sizeof *islands);
    struct calcium_amount *amounts = arena_alloc(s->arena, out->count + 1, sizeof *amounts);
    out->runs = arena_alloc(s->arena, c->run_count + 1, sizeof *out->runs);
    bool ok = stats && islands && amounts && out->runs &&
              (c->count == 0 ||
               (components_measure(c, hu, stats, err) && components_runs(c, out->runs, err)));
    const uint32_t run_count = c->run_count, count = c->count;
    components_destroy(c);
    if (!stats || !islands || !amounts || !out->runs)
        return err_set(err, ERR_NOMEM, "calcium: islands");
    if (!ok)
        return false;
    // A run of an island is the same run of its component: look it up by place.
    for (uint32_t lesion = 0; lesion < out->count; lesion++) {
        uint32_t n = lesion_of[lesion];
        uint32_t at = 0;
        for (uint32_t i = s->first[n]; i < s->first[n + 1]; i++) {
            while (at < run_count &&
                   (out->runs[at].row < s->runs[i].row ||
                    (out->runs[at].row == s->runs[i].row && out->runs[at].x0 < s->runs[i].x0)))
                at++;
            if (at < run_count)
                islands[out->runs[at].label - 1].lesion = lesion;
        }
    }
    for (uint32_t n = 0; n < count; n++) {
        islands[n].slice = stats[n].box_lo[2];
        islands[n].pixels = stats[n].voxels;
        islands[n].max = stats[n].max;
        islands[n].sum = stats[n].sum;
    }
    calcium_score(s->rules, islands, count, amounts, out->count);
    for (uint32_t lesion = 0; lesion < out->count; lesion++)
        out->list[lesion].amount = amounts[lesion];
    for (uint32_t i = 0; i < run_count; i++) {
        const struct calcium_island *island = &islands[out->runs[i].label - 1];
        if (calcium_counts(s->rules, island->pixels)) {
            out->runs[out->run_count] = out->runs[i];
            out->runs[out->run_count++].label = island->lesion + 1;
        }
    }
    return true;
}

// Orders of lesions and runs; qsort has no context, so the keys are in the elements.
struct ranked {
    struct calcium_lesion lesion;
    double height;
    uint32_t was;
};

static int by_class(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    const struct calcium_amount *p = &x->lesion.amount, *q = &y->lesion.amount;
    if (x->lesion.class != y->lesion.class)
        return x->lesion.class < y->lesion.class ? -1 : 1;
    if (x->lesion.class != CALCIUM_COUNTED && p->weighted != q->weighted)
        return p->weighted > q->weighted ? -1 : 1;
    if (x->lesion.class == CALCIUM_COUNTED && x->lesion.artery != y->lesion.artery)
        return x->lesion.artery < y->lesion.artery ? -1 : 1;
    if (x->height != y->height)
        return x->height > y->height ? -1 : 1;
    return x->was < y->was ? -1 : 1;
}

static int by_label(const void *a, const void *b)
{
    const struct component_run *x = a, *y = b;
    if (x->label != y->label)
        return x->label < y->label ? -1 : 1;
    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    return x->x0 < y->x0 ? -1 : x->x0 > y->x0;
}

// Drops lesions of which no island counts, orders the rest, and relabels their runs.
static bool arrange(const struct search *s, struct calcium_lesions *out, struct err *err)
{
    struct ranked *ranked = arena_alloc(s->arena, out->count + 1, sizeof *ranked);
    uint32_t *now = arena_alloc(s->arena, out->count + 1, sizeof *now);
    if (!ranked || !now)
        return err_set(err, ERR_NOMEM, "calcium: lesions");
    uint32_t count = 0;
    for (uint32_t i = 0; i < out->count; i++) {
        double at[3];
        if (!out->list[i].amount.islands)
            continue;
        anatomy_grid_from_voxel(&s->heart->grid, out->list[i].centre, at);
        ranked[count++] = (struct ranked){out->list[i], at[2], i};
    }
    qsort(ranked, count, sizeof *ranked, by_class);
    for (uint32_t i = 0; i < count; i++) {
        out->list[i] = ranked[i].lesion;
        out->number[out->list[i].class]++;
        now[ranked[i].was] = i;
    }
    out->count = count;
    for (uint32_t i = 0; i < out->run_count; i++)
        out->runs[i].label = now[out->runs[i].label - 1] + 1;
    qsort(out->runs, out->run_count, sizeof *out->runs, by_label);
    for (uint32_t i = 0; i < out->run_count; i++) {
        struct calcium_lesion *l = &out->list[out->runs[i].label - 1];
        if (l->run_count++ == 0)
            l->first_run = i;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct calcium_lesion *l = &out->list[i];
        uint32_t slice = UINT32_MAX, area = 0, largest = 0;
        for (uint32_t r = l->first_run; r < l->first_run + l->run_count; r++) {
            uint32_t k = out->runs[r].row / s->volume->dim[1];
            area = (k == slice ? area : 0) + out->runs[r].x1 - out->runs[r].x0 + 1u;
            slice = k;
            if (area > largest) {
                largest = area;
                l->key_slice = k;
            }
        }
    }
    return true;
}

bool calcium_lesions_find(const struct gpu_volume *hu, struct peek *peek, const struct image *v,
                          const struct anatomy_heart *heart, const struct calcium_rules *rules,
                          const struct calcium_options *options, struct arena *arena,
                          struct calcium_lesions *out, struct err *err)
{
    struct search s = {.volume = v,
                       .peek = peek,
                       .heart = heart,
                       .rules = rules,
                       .options = options,
                       .arena = arena};
    uint32_t lo[3], hi[3];
    *out = (struct calcium_lesions){0};
    region_box(heart, v->spacing, lo, hi);
    struct gpu_mask *bright = gpu_mask_threshold(hu, rules->threshold_hu, INT16_MAX, err);
    struct components *c = bright && gpu_mask_crop(bright, lo, hi, err)
                               ? components_find(bright, CONNECT_26, err)
                               : NULL;
    gpu_mask_destroy(bright);
    if (!c)
        return false;
    s.stats = arena_alloc(arena, (size_t)c->count + 1, sizeof *s.stats);
    uint8_t *keep = arena_alloc(arena, (size_t)c->count + 1, 1);
    uint32_t *component = arena_alloc(arena, (size_t)c->count + 1, sizeof *component);
    out->list = arena_alloc(arena, (size_t)c->count + 1, sizeof *out->list);
    out->faint = arena_alloc(arena, (size_t)c->count + 1, sizeof *out->faint);
    bool ok = s.stats && keep && component && out->list && out->faint;
    if (!ok)
        err_set(err, ERR_NOMEM, "calcium: candidates");
    ok = ok && (c->count == 0 || components_measure(c, hu, s.stats, err)) &&
         by_component(&s, c, err) && choose(&s, c->count, keep, component, out, err) &&
         find_islands(&s, hu, c, keep, component, out, err) && arrange(&s, out, err);
    components_destroy(c);
    return ok;
}
