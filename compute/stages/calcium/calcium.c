#include "compute/stages/calcium/calcium.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "compute/image/convolution.h"
#include "compute/image/load.h"
#include "compute/image/peek.h"
#include "compute/kernels/kernels.h"
#include "compute/anatomy/heart.h"
#include "compute/stages/calcium/calcium_lesion.h"
#include "compute/stages/calcium/calcium_motion.h"
#include "compute/stages/calcium/calcium_noise.h"
#include "compute/stages/calcium/calcium_percentile.h"
#include "compute/stages/calcium/calcium_quality.h"
#include "compute/stages/calcium/calcium_report.h"
#include "compute/stages/calcium/calcium_scan.h"
#include "compute/stages/calcium/calcium_score.h"
#include "base/moment.h"

#define CALCIUM_VERSION "10"

enum {
    P_THRESHOLD,
    P_MIN_AREA,
    P_CONNECTIVITY,
    P_WEIGHT,
    P_OTHER_KVP,
    P_MASS_FACTOR,
    P_MAX_SLICE,
    P_MAX_POOL,
    P_NOISE_TARGET,
    P_MAX_NOISE,
    P_FAT,
    P_METAL,
    P_LARGEST,
    P_PERCENTILES,
    P_COUNT
};

static const char *const connectivities[] = {"4", "8", NULL};
static const char *const weights[] = {"island", "lesion", NULL};
static const char *const other_kvp[] = {"refuse", "scale", NULL};

static const struct stage_param params[P_COUNT] = {
    [P_THRESHOLD] = {"threshold_hu", "[hnsf'U]", "Lowest attenuation of calcium.", PARAM_NUMBER, 90,
                     300, 130, NULL},
    [P_MIN_AREA] = {"min_area_mm2", "mm2", "Smallest island that counts.", PARAM_NUMBER, 0, 10, 1,
                    NULL},
    [P_CONNECTIVITY] = {"connectivity", "", "Neighbours of a pixel in an island.", PARAM_CHOICE, 0,
                        1, 1, connectivities},
    [P_WEIGHT] =
        {"weight_from", "",
         "Whose maximum gives the density weight: each island's (Agatston) or the lesion's.",
         PARAM_CHOICE, 0, 1, 0, weights},
    [P_OTHER_KVP] = {"other_kvp", "",
                     "At tube voltages other than 120 kV: refuse, or scale threshold and weight "
                     "steps by (120 / kV)^0.674, which is 147 HU at 100 kV.",
                     PARAM_CHOICE, 0, 1, 0, other_kvp},
    [P_MASS_FACTOR] = {"mass_factor", "mg/cm3",
                       "Hydroxyapatite a HU, from a calibration phantom; 0: not calibrated, 0.769 "
                       "is assumed and the mass is marked.",
                       PARAM_NUMBER, 0, 2, 0, NULL},
    [P_MAX_SLICE] = {"max_slice_mm", "mm", "Thicker or wider spaced slices are not evaluated.",
                     PARAM_NUMBER, 1, 10, 5, NULL},
    [P_MAX_POOL] = {"max_pool_hu", "[hnsf'U]",
                    "Blood pool above which a contrast agent is in it: not evaluated.",
                    PARAM_NUMBER, 60, 200, 90, NULL},
    [P_NOISE_TARGET] = {"noise_target_hu", "[hnsf'U]",
                        "Noise above it is a warning; 3 HU more for bodies wider than 380 mm.",
                        PARAM_NUMBER, 5, 100, 20, NULL},
    [P_MAX_NOISE] = {"max_noise_hu", "[hnsf'U]", "Noise above which nothing is evaluated.",
                     PARAM_NUMBER, 10, 200, 35, NULL},
    [P_FAT] = {"fat_fraction", "1", "Least fat in the ring of 1.5 to 5 mm around a lesion.",
               PARAM_NUMBER, 0.05, 0.9, 0.3, NULL},
    [P_METAL] = {"metal_hu", "[hnsf'U]", "Brighter spots are implants.", PARAM_NUMBER, 800, 3000,
                 1600, NULL},
    [P_LARGEST] = {"largest_mm3", "mm3", "Larger spots are no coronary calcium.", PARAM_NUMBER, 100,
                   20000, 3000, NULL},
    [P_PERCENTILES] = {"percentiles", "",
                       "Table of percentiles by age and sex that the site supplies, as the manual "
                       "of this analysis describes it; empty: none are given.",
                       PARAM_PATH, 0, 0, 0, NULL, NULL, calcium_percentile_check},
};

#define SLICES_KEPT      4  // of the volume on the host, while candidates are looked at one by one
#define SLICES_OF_EDGES  12 // that borders are looked at in, over the whole scan
#define SLICES_LOOKED_AT 48 // for noise and motion, likewise

static const double pool_with_agent_hu = 70; // and a contrast agent is named: enhanced
static const double pixel_max_mm = 1.2, slice_count_min = 10;
static const double spots_most = 0.5;   // of noise as bright as calcium, expected in the heart
static const double edge_max_mm2 = 100; // of the heart's region at the edge of the image
static const double flanked_min = 0.7;  // of the slices through it have lung on both sides
// The middle of the heart's core is at most so far before the spine: 38 to 82 mm in four chests.
// Without lung on one side of the heart the largest ball may be one of the chest wall.
static const double before_spine_mm = 120;
// That middle is so far to the left of the spine at least, where no ascending aorta is seen above:
// 34 to 53 mm in three chests. A heart that fat parts into halves, each smaller than the liver's
// dome, had the dome taken for it, 8 mm to the right.
static const double left_of_spine_mm = 5;
// And what lies above it is as large, of its radius: 0.97 in that one. Where a heart lies in the
// middle, or a small field of view leaves the spine's place open, it is the great vessels: 0.32 and
// 0.47 in two scans.
static const double rival_most = 0.75;
// In radii of the heart's largest ball, from its centre: less cannot hold the heart, or may not.
// Below only where the lowest slice has lung on both sides: else it shows the liver.
static const double below_min = 1.15, below_good = 1.35, above_min = 1.25, above_good = 1.6;
// Slices in which borders of the heart are compared with those of what rests: from the middle of
// the heart, in radii; below, the dome of the liver may lie where the chest wall does.
static const double rests_low = -0.3, rests_high = 1.2;
static const double wall_far_mm = 30;       // and farther from the heart's region: chest wall
static const double uncalibrated = 1 / 1.3; // mg/cm3 a HU: 200 mg/cm3 at 260 HU, 120 kV

struct job {
    const struct stage_run *run;
    struct findings *f;
    struct err *err;
    struct arena *scratch;
    uint32_t image; // index in the set
    const struct image *v;
    struct calcium_scan scan;
    const struct param_value *p;
    struct gpu_volume *hu;
    struct peek *peek; // of hu
    struct anatomy_heart heart;
    struct calcium_rules rules;
    bool estimate;     // not gated
    bool moved;        // the heart, while it was imaged
    const char *doubt; // what makes a comparison with other people's scores unfair; NULL: nothing
    struct calcium_context context;
};

// Refusals below return false through this: the job is done, the machine is fine.
#define REFUSE(job, ...) (findings_refuse((job)->f, VERDICT_NOT_EVALUABLE, __VA_ARGS__), false)

// The same, with what would make a scan evaluable.
#define REFUSE_UNLESS(job, remedy, ...)                                                            \
    (findings_add_warning((job)->f, "What would be evaluable: %s", (remedy)) &&                    \
     REFUSE(job, __VA_ARGS__))

// What the pixels are. False: refused.
static bool check_input(struct job *j)
{
    const struct image *v = j->v;
    char text[128];
    if (strcmp(v->unit, "[hnsf'U]") != 0) {
        struct image_said type;
        image_said(j->run->set, v, "RescaleType", &type);
        return REFUSE(j, "not a CT in Hounsfield units (Rescale Type %s): HU is needed", type.text);
    }
    if (v->dim[3] > 1)
        return REFUSE(j, "%s: phases or reconstructions are mixed; send one of them alone",
                      image_points_text(v, text, sizeof text));
    if (v->dim[2] < slice_count_min)
        return REFUSE_UNLESS(j, "all slices of the heart together", "%u slices do not show a heart",
                             v->dim[2]);
    if (v->spacing[0] > pixel_max_mm || v->spacing[1] > pixel_max_mm)
        return REFUSE_UNLESS(j, "a reconstruction with a smaller field of view or a larger matrix",
                             "pixels of %.2f x %.2f mm are too coarse (limit %.1f mm)",
                             v->spacing[1], v->spacing[0], pixel_max_mm);
    return true;
}

// What the headers say of the slices. False: refused.
static bool check_scan(struct job *j)
{
    const struct calcium_limits limits = {
        .increment_mm = j->rules.increment_mm,
        .max_slice_mm = j->p[P_MAX_SLICE].number,
        .threshold_hu = j->p[P_THRESHOLD].number,
        .scale = j->p[P_OTHER_KVP].choice == 1,
    };
    return calcium_scan_judge(&j->scan, &limits, &j->rules.threshold_hu, j->f);
}

static void set_rules(struct job *j)
{
    const struct image *v = j->v;
    j->rules = (struct calcium_rules){
        .threshold_hu = j->p[P_THRESHOLD].number,
        .min_area_mm2 = j->p[P_MIN_AREA].number,
        .weight_from_lesion = j->p[P_WEIGHT].choice == 1,
        .pixel_area_mm2 = v->spacing[0] * v->spacing[1],
        .increment_mm = v->spacing[2], // along the normal, also under tilt
        .mass_factor = j->p[P_MASS_FACTOR].number > 0 ? j->p[P_MASS_FACTOR].number : uncalibrated,
    };
}

// The first doubt is the one that is told.
static void note_doubt(struct job *j, const char *doubt)
{
    if (!j->doubt)
        j->doubt = doubt;
}

// What the headers alone give reason to say.
static bool add_scan_warnings(struct job *j)
{
    bool ok = calcium_scan_warn(&j->scan, j->rules.increment_mm, j->f);
    if (ok && j->p[P_MASS_FACTOR].number <= 0)
        ok = findings_add_warning(j->f, "Mass is not calibrated: %.3f mg/cm3 a HU assumed",
                                  uncalibrated);
    return ok;
}

static const char without_agent[] = "a scan without contrast agent";
static const char whole_heart[] = "a scan from the carina to below the apex of the heart";

// The heart can be judged. False: refused.
static bool check_heart(struct job *j)
{
    const struct anatomy_heart *h = &j->heart;
    const bool agent = *j->scan.contrast.first != '\0';
    if (h->pool_hu > j->p[P_MAX_POOL].number)
        return REFUSE_UNLESS(j, without_agent,
                             "contrast agent: the blood pool measures %.0f HU (limit %.0f HU)",
                             h->pool_hu, j->p[P_MAX_POOL].number);
    if (agent && h->pool_hu > pool_with_agent_hu)
        return REFUSE_UNLESS(j, without_agent,
                             "contrast agent named, and the blood pool measures %.0f HU",
                             h->pool_hu);
    const double before = (h->spine_front[(uint32_t)h->centre[2]] - h->centre[1]) * h->grid.mm[1];
    if (!isfinite(h->pool_hu) || h->pool_hu < -20 || (h->spine_seen && before > before_spine_mm))
        return REFUSE_UNLESS(j, "a scan that shows the heart between both lungs",
                             "no heart found between the lungs");
    if (h->edge_mm2 > edge_max_mm2 || h->flanked < flanked_min)
        return REFUSE_UNLESS(j, "a reconstruction with a larger field of view",
                             "the field of view cuts the heart");
    if (h->lowest_flanked && h->below < below_min)
        return REFUSE_UNLESS(j, whole_heart, "the scan cuts the lower part of the heart");
    if (h->above < above_min)
        return REFUSE_UNLESS(j, whole_heart, "the scan cuts the upper part of the heart");
    const double left = (h->centre[0] - h->spine_x) * h->grid.mm[0];
    if (h->ascending.lo > h->ascending.hi && left < left_of_spine_mm && h->rival > rival_most)
        return REFUSE_UNLESS(
            j, "a scan that shows the heart between both lungs",
            "no heart found: the largest soft tissue between the lungs lies %.0f "
            "mm to the left of the spine (limit %.0f mm), no aorta above it, and "
            "what lies higher is as large (%.2f of its radius, limit %.2f): it may "
            "be the liver",
            left, left_of_spine_mm, h->rival, rival_most);
    if (!isfinite(h->noise_hu) || h->noise_hu > j->p[P_MAX_NOISE].number)
        return REFUSE_UNLESS(j, "slices of 3 mm, a smoother kernel, or more dose",
                             "image noise of %.0f HU (limit %.0f HU)", h->noise_hu,
                             j->p[P_MAX_NOISE].number);
    return true;
}

static double noise_target(const struct job *j)
{
    return j->p[P_NOISE_TARGET].number + (j->heart.body_width_mm > 380 ? 3 : 0);
}

// The n-th of count slices spread over all; the same ones when the scan runs the other way.
static uint32_t spread(uint32_t n, uint32_t count, uint32_t all)
{
    if (n >= (count + 1) / 2)
        return all - 1 - spread(count - 1 - n, count, all);
    return (uint32_t)((2 * (uint64_t)n + 1) * all / (2 * (uint64_t)count));
}

// The pixels of slice k that are of a core on the work grid. False: none is.
static bool mask_slice(const struct job *j, const uint8_t *core, uint32_t k, uint8_t *mask)
{
    const uint32_t *dim = j->v->dim;
    bool any = false;
    for (uint32_t y = 0; y < dim[1]; y++) {
        for (uint32_t first = 0, end; first < dim[0]; first = end) {
            const uint8_t in = core[anatomy_grid_at(&j->heart.grid, first, y, k)];
            end = anatomy_grid_end(&j->heart.grid, first);
            for (uint32_t x = first; x < end; x++)
                mask[(size_t)y * dim[0] + x] = in;
            any = any || in;
        }
    }
    return any;
}

// What of slice k is heart, and what chest wall. False: no heart, or so low that the liver may be
// taken for wall.
static bool part_slice(const struct job *j, uint32_t k, uint8_t *part)
{
    const uint32_t *dim = j->v->dim;
    const struct anatomy_heart *h = &j->heart;
    const double ijk[3] = {0, 0, k};
    double xyz[3];
    bool any = false;
    anatomy_grid_from_voxel(&h->grid, ijk, xyz);
    const double up = (xyz[2] - h->centre[2]) * h->grid.mm[2] / h->radius_mm;
    if (up < rests_low || up > rests_high)
        return false;
    for (uint32_t y = 0; y < dim[1]; y++) {
        for (uint32_t first = 0, end; first < dim[0]; first = end) {
            const size_t at = anatomy_grid_at(&h->grid, first, y, k);
            const bool heart = h->region[at] == ANATOMY_HEART;
            const bool wall = h->to_region[at] * ANATOMY_STEP_MM > wall_far_mm;
            end = anatomy_grid_end(&h->grid, first);
            for (uint32_t x = first; x < end; x++)
                part[(size_t)y * dim[0] + x] = heart  ? CALCIUM_MOTION_HEART
                                               : wall ? CALCIUM_MOTION_WALL
                                                      : CALCIUM_MOTION_NEITHER;
            any = any || heart;
        }
    }
    return any;
}

// What is measured in slices all over the scan, once the heart is known.
struct slice_sums {
    uint8_t *core; // of the heart, on the work grid
    uint8_t *mask; // [rows][columns]
    struct calcium_noise_sums noise;
    struct calcium_motion_sums motion;
};

static bool add_slices(struct job *j, struct slice_sums *s)
{
    const uint32_t all = j->v->dim[2], count = all < SLICES_LOOKED_AT ? all : SLICES_LOOKED_AT;
    for (uint32_t n = 0; n < count; n++) {
        const uint32_t k = spread(n, count, all);
        const float *slice = peek_slice(j->peek, k, j->err);
        if (!slice)
            return false;
        if (mask_slice(j, s->core, k, s->mask))
            calcium_noise_add(&s->noise, slice, s->mask);
        if (part_slice(j, k, s->mask))
            calcium_motion_add(&s->motion, slice, s->mask);
    }
    return true;
}

// False: the machine failed.
static bool measure_slices(struct job *j, struct calcium_noise *noise,
                           struct calcium_motion *motion)
{
    const struct image *v = j->v;
    const struct calcium_noise_rules rules = {
        .dim = {v->dim[0], v->dim[1]},
        .spacing = {v->spacing[0], v->spacing[1], v->spacing[2]},
        .blood_hu = j->heart.pool_hu,
        .threshold_hu = j->rules.threshold_hu,
        .min_area_mm2 = j->rules.min_area_mm2,
    };
    const uint32_t *grid = j->heart.grid.dim;
    struct arena *own = arena_create();
    struct slice_sums *s = own ? arena_alloc(own, 1, sizeof *s) : NULL;
    if (s) {
        s->core = arena_alloc(own, (size_t)grid[0] * grid[1] * grid[2], 1);
        s->mask = arena_alloc(own, (size_t)v->dim[0] * v->dim[1], 1);
    }
    bool ok = s && s->core && s->mask && calcium_noise_init(&s->noise, &rules, own) &&
              calcium_motion_init(&s->motion, v->dim, v->spacing, own);
    if (!ok)
        err_set(j->err, ERR_NOMEM, "calcium: noise and motion");
    if (ok) {
        calcium_noise_core(j->heart.region, j->heart.hu, grid, j->heart.pool_hu, s->core);
        ok = add_slices(j, s);
    }
    if (ok) {
        calcium_noise_measure(&s->noise, noise);
        calcium_motion_measure(&s->motion, motion);
    }
    arena_destroy(own);
    return ok;
}

// What noise makes of the score. False: no memory.
static bool say_noise(struct job *j, const struct calcium_noise *n)
{
    const double expected = n->spots_ml * j->heart.region_ml;
    bool ok = true;
    if (isfinite(n->sd_hu))
        ok = findings_add_fact(
            j->f, "Noise in %.0f mL of the heart %.1f HU, %s; spots as bright as calcium %.1f",
            n->volume_ml, n->sd_hu,
            n->texture < CALCIUM_TEXTURE_CORRELATED ? "alike in neighbours" : "fine", expected);
    if (ok && expected > spots_most)
        ok = findings_add_warning(j->f,
                                  "Noise alone makes about %.0f spots of up to %.1f mm2 as bright "
                                  "as calcium in this heart: small ones may be none",
                                  fmax(1, expected), n->largest_mm2);
    if (expected > spots_most || !calcium_noise_allows_category(j->heart.noise_hu))
        note_doubt(j, "noise looks like calcium");
    if (ok && !calcium_noise_allows_category(j->heart.noise_hu))
        ok = findings_add_warning(j->f,
                                  "Noise of %.0f HU: the score is an estimate, and no category is "
                                  "given (limit %d HU)",
                                  j->heart.noise_hu, CALCIUM_CATEGORY_NOISE_HU);
    return ok;
}

// What the heart's motion makes of the score. False: no memory.
static bool say_motion(struct job *j, const struct calcium_motion *m)
{
    const enum calcium_moved moved = calcium_motion_judge(m);
    if (isnan(calcium_motion_ratio(m)))
        return findings_add_fact(j->f, "Motion not measurable: %u borders of the heart with lung",
                                 m->borders);
    bool ok = findings_add_fact(j->f,
                                "Borders of the heart with lung %.1f mm wide, of what rests %.1f "
                                "mm; motion %.2f (limits %.2f and %.2f)",
                                m->heart_mm, m->rest_mm, calcium_motion_ratio(m),
                                CALCIUM_MOTION_RAISED, CALCIUM_MOTION_LIMIT);
    j->moved = moved == CALCIUM_MOVED;
    if (!ok || moved == CALCIUM_RESTED)
        return ok;
    note_doubt(j, j->moved ? "the heart moved" : "the heart may have moved");
    return findings_add_warning(j->f,
                                "The heart %s while it was imaged: its borders with lung are %.1f "
                                "mm wide, where what rests has %.1f mm. The score is that of the "
                                "images: of the heart at rest it may be lower or higher",
                                j->moved ? "moved" : "may have moved", m->heart_mm, m->rest_mm);
}

static bool add_heart_warnings(struct job *j)
{
    const struct anatomy_heart *h = &j->heart;
    bool ok = true;
    if (*j->scan.contrast.first)
        ok = findings_add_warning(j->f,
                                  "Contrast agent named, yet the blood pool measures %.0f HU: "
                                  "taken as unenhanced",
                                  h->pool_hu);
    if (ok && h->noise_hu > noise_target(j))
        ok = findings_add_warning(j->f, "Noise of %.0f HU is above the target of %.0f HU",
                                  h->noise_hu, noise_target(j));
    const bool low = h->lowest_flanked && h->below < below_good;
    const bool cut = low || h->above < above_good || h->edge_mm2 > 0;
    if (cut)
        note_doubt(j, "the scan may not cover the whole heart");
    if (ok && cut)
        ok = findings_add_warning(j->f, "The scan may not cover the whole heart");
    if (ok && h->ascending.lo > h->ascending.hi)
        ok = findings_add_warning(
            j->f, "Aortic root not seen: left main artery and aortic wall are less certain");
    return ok;
}

static bool warn_metal(struct job *j, const struct calcium_lesions *lesions)
{
    bool any = false, bright = false;
    for (uint32_t i = 0; i < lesions->count; i++) {
        const enum calcium_reason reason = lesions->list[i].reason;
        any = any || reason == CALCIUM_METAL;
        bright = bright || reason == CALCIUM_BRIGHT || reason == CALCIUM_BY_METAL;
    }
    if (any || bright)
        note_doubt(j, "there is metal, or something as bright, in the heart's region");
    return !any || findings_add_warning(j->f, "Metal in the heart's region: scores may be wrong");
}

static bool add_slices_to_borders(struct job *j, struct peek *peek, struct calcium_edges *edges)
{
    const uint32_t all = j->v->dim[2], count = all < SLICES_OF_EDGES ? all : SLICES_OF_EDGES;
    for (uint32_t n = 0; n < count; n++) {
        const float *slice = peek_slice(peek, spread(n, count, all), j->err);
        if (!slice)
            return false;
        calcium_edges_add(edges, slice);
    }
    return true;
}

static bool measure_borders(struct job *j, struct calcium_overshoot *out)
{
    struct arena *own = arena_create();
    struct calcium_edges edges;
    const uint32_t all = j->v->dim[2], count = all < SLICES_OF_EDGES ? all : SLICES_OF_EDGES;
    bool ok = own && calcium_edges_init(&edges, j->v->dim, j->v->spacing, count, own);
    if (!ok)
        err_set(j->err, ERR_NOMEM, "calcium: borders");
    // Each slice is looked at once: none is kept while the heart is found.
    struct peek *peek = ok ? peek_create(j->hu, 1, j->err) : NULL;
    ok = peek && add_slices_to_borders(j, peek, &edges);
    peek_destroy(peek);
    if (ok)
        calcium_edges_measure(&edges, out);
    arena_destroy(own);
    return ok;
}

// What the image says of its kernel, beside the kernel's name. False: refused, or no memory
// (f->no_memory).
static bool check_edges(struct job *j, const struct calcium_overshoot *o)
{
    const enum image_sharpness named = j->scan.sharpness;
    const char *kernel = j->scan.kernel.text;
    const enum calcium_sharpness seen = calcium_overshoot_judge(o);
    if (seen == CALCIUM_EDGES_ENHANCED)
        return REFUSE(j,
                      "edges are enhanced: borders of the lungs overshoot by %.0f HU (limit %d HU; "
                      "Convolution Kernel is %s), which scores as "
                      "calcium: " CALCIUM_SOFT_KERNEL_NEEDED,
                      o->hu, CALCIUM_OVERSHOOT_LIMIT_HU, kernel);
    if (seen == CALCIUM_EDGES_RAISED || named == IMAGE_KERNEL_SHARP ||
        (seen == CALCIUM_EDGES_UNKNOWN && named != IMAGE_KERNEL_SOFT))
        note_doubt(j, "edges may be enhanced");
    if (seen == CALCIUM_EDGES_RAISED)
        return findings_add_warning(j->f,
                                    "Edges are enhanced: borders of the lungs overshoot by %.0f HU "
                                    "(Convolution Kernel is %s); the score may be too high",
                                    o->hu, kernel);
    if (named == IMAGE_KERNEL_SHARP && seen == CALCIUM_EDGES_SOFT)
        return findings_add_warning(j->f, "Convolution Kernel is %s, a sharp one", kernel);
    if (seen == CALCIUM_EDGES_UNKNOWN && named != IMAGE_KERNEL_SOFT)
        return findings_add_warning(j->f,
                                    "Edges may be enhanced: Convolution Kernel is %s, and borders "
                                    "of the lungs are too few or too noisy to measure it",
                                    kernel);
    return true;
}

static bool add_edge_fact(struct job *j, const struct calcium_overshoot *o)
{
    return isnan(o->hu) ? findings_add_fact(j->f,
                                            "Edge enhancement not measurable: %u borders of "
                                            "the lungs",
                                            o->edges)
                        : findings_add_fact(j->f,
                                            "Overshoot at %u borders of the lungs %.0f HU (%.1f "
                                            "times the noise, noise included)",
                                            o->edges, o->hu, o->ratio);
}

static const char *size_class(double width_mm)
{
    return width_mm < 320 ? "small" : width_mm <= 380 ? "medium" : "large";
}

static bool add_facts(struct job *j)
{
    const struct anatomy_heart *h = &j->heart;
    struct findings *f = j->f;
    bool ok = calcium_scan_facts(&j->scan, f) &&
              findings_add_fact(f, "Slices %.2f mm apart; pixels %.3f x %.3f mm",
                                j->rules.increment_mm, j->v->spacing[1], j->v->spacing[0]);
    ok =
        ok && findings_add_fact(
                  f, "Threshold %.0f HU, islands of at least %.1f mm2 (%s-connected), weight by %s",
                  j->rules.threshold_hu, j->rules.min_area_mm2,
                  connectivities[j->p[P_CONNECTIVITY].choice], weights[j->p[P_WEIGHT].choice]);
    ok = ok && findings_add_fact(f, "Volume: voxels, not interpolated; mass: %.3f mg/cm3 a HU, %s",
                                 j->rules.mass_factor,
                                 j->p[P_MASS_FACTOR].number > 0 ? "calibrated" : "not calibrated");
    ok = ok && findings_add_fact(f, "Blood pool %.0f HU, noise %.1f HU (target %.0f HU)",
                                 h->pool_hu, h->noise_hu, noise_target(j));
    if (ok && isfinite(h->body_width_mm))
        ok = findings_add_fact(f, "Body width %.0f mm (%s)", h->body_width_mm,
                               size_class(h->body_width_mm));
    return ok;
}

// The scan on the device goes as soon as nobody looks at it: reporting takes memory of its own.
static void drop_scan(struct job *j)
{
    peek_destroy(j->peek);
    gpu_volume_destroy(j->hu);
    j->peek = NULL;
    j->hu = NULL;
}

// Whole years from a date of birth to a later one, -1: either is not known to the day.
static int years_between(const char *birth, const char *later)
{
    struct moment_date a, b;
    if (!moment_date(birth, &a) || !moment_date(later, &b) || !isfinite(moment_days(&a)) ||
        !isfinite(moment_days(&b)) || moment_days(&b) < moment_days(&a))
        return -1;
    return b.year - a.year - (b.month < a.month || (b.month == a.month && b.day < a.day));
}

// Years of a Patient's Age ("057Y", "018M"), -1: it says nothing.
static int stated_years(const char *text)
{
    char unit = 0, after = 0;
    int digits = 0, value = 0;
    for (; *text >= '0' && *text <= '9' && digits < 3; text++, digits++)
        value = 10 * value + (*text - '0');
    unit = *text;
    after = unit ? text[1] : 0;
    if (!digits || after)
        return -1;
    return unit == 'Y' ? value : unit == 'M' ? value / 12 : unit == 'W' || unit == 'D' ? 0 : -1;
}

// The patient's age at the scan; -1 with *why.
static int find_age(const struct job *j, const char **why)
{
    const struct image_set *set = j->run->set;
    const int stated = stated_years(image_text(set, j->v, "PatientAge"));
    const char *day = image_text(set, j->v, "AcquisitionDate");
    const int born = years_between(image_text(set, j->v, "PatientBirthDate"),
                                   *day ? day : image_text(set, j->v, "StudyDate"));
    *why = "neither Patient's Age nor a date of birth and of the scan is stated";
    if (stated >= 0 && born >= 0 && abs(stated - born) > 1) {
        *why = "Patient's Age and the date of birth do not agree";
        return -1;
    }
    return stated >= 0 ? stated : born;
}

// The row of the site's table that holds for this patient and scan. Why there is none, in *why: ""
// where no table is set up. False: no memory.
static bool choose_percentiles(struct job *j, const char **why)
{
    const char *path = j->p[P_PERCENTILES].text, *sex = image_text(j->run->set, j->v, "PatientSex");
    struct calcium_percentile_table table;
    struct err err = {0};
    *why = "";
    if (!*path)
        return true;
    const int age = find_age(j, why);
    if (!calcium_percentile_read(path, j->scratch, &table, &err)) {
        *why = arena_strdup(j->scratch, err.text);
        return *why && err.code != ERR_NOMEM;
    }
    if (j->estimate)
        *why = "the scan is not gated";
    else if (fabs(j->rules.threshold_hu - params[P_THRESHOLD].def) > 0.5)
        *why = "the threshold is not that of 130 HU at 120 kV";
    else if (j->doubt)
        *why = j->doubt;
    else if (strcmp(sex, "M") != 0 && strcmp(sex, "F") != 0)
        *why = "Patient's Sex is neither M nor F";
    else if (age >= 0) {
        const char *people = *sex == 'M' ? "men" : "women";
        const struct calcium_percentile_row *row =
            calcium_percentile_row(&table, *sex, (unsigned)age);
        *why = row ? "" : arena_printf(j->scratch, "the table has no %s of %d years", people, age);
        j->context.row = row;
        j->context.people = row ? arena_printf(j->f->arena, "%s of %u to %u years (%s)", people,
                                               row->age_from, row->age_to, table.source)
                                : "";
    }
    return *why && (!j->context.row || j->context.people);
}

static bool prepare_percentile(struct job *j)
{
    const char *why;
    if (!choose_percentiles(j, &why))
        return false;
    if (*why)
        return findings_add_fact(j->f, "No percentile: %s", why);
    return j->context.row ||
           findings_add_fact(j->f, "No percentile: no table of percentiles is set up");
}

// NAN where not all slices say the same number.
static double slices_number(const struct image_set *set, const struct image *v, const char *keyword)
{
    double value;
    return image_number(set, v, keyword, &value) == IMAGE_ATTR_SAME ? value : NAN;
}

// kg/m2 by the header; NAN: not stated, or no grown person has it.
static double find_bmi(const struct image_set *set, const struct image *v)
{
    static const double metres[] = {1.2, 2.3}, least = 10, most = 80;
    const double height = slices_number(set, v, "PatientSize");
    const double weight = slices_number(set, v, "PatientWeight");
    if (!(height >= metres[0] && height <= metres[1]))
        return NAN;
    const double bmi = weight / (height * height);
    return bmi >= least && bmi <= most ? bmi : NAN;
}

// What earlier results are compared with.
static struct calcium_now now_of(const struct job *j)
{
    const struct image_set *set = j->run->set;
    struct calcium_now now = {.version = CALCIUM_VERSION,
                              .estimate = j->estimate || j->moved,
                              .bmi = find_bmi(set, j->v),
                              .kvp = slices_number(set, j->v, "KVP"),
                              .thickness_mm = slices_number(set, j->v, "SliceThickness"),
                              .spacing_mm = j->v->spacing[2],
                              .maker = image_text(set, j->v, "Manufacturer"),
                              .model = image_text(set, j->v, "ManufacturerModelName"),
                              .kernel = image_text(set, j->v, "ConvolutionKernel")};
    return now;
}

// Everything that needs the device. False: the machine failed. A refusal is true.
static bool evaluate(struct job *j)
{
    const struct stage_run *r = j->run;
    const char *why = "";
    struct calcium_overshoot overshoot;
    struct calcium_noise noise;
    struct calcium_motion motion;
    if (!stage_step(r, "decoding", 0, j->err))
        return false;
    j->hu = image_load(r->gpu, r->set, j->v, 0, IMAGE_I16, j->err);
    j->peek = j->hu ? peek_create(j->hu, SLICES_KEPT, j->err) : NULL;
    if (!j->peek || !measure_borders(j, &overshoot))
        return false;
    if (!add_edge_fact(j, &overshoot))
        return err_set(j->err, ERR_NOMEM, "calcium: facts");
    if (!check_edges(j, &overshoot))
        return !j->f->no_memory || err_set(j->err, ERR_NOMEM, "calcium: warnings");
    if (!stage_step(r, "finding the heart", 0.4, j->err) ||
        !anatomy_heart_find(r->gpu, j->hu, j->peek, j->v, j->scratch, &j->heart, &why, j->err))
        return false;
    if (*why) {
        findings_refuse(j->f, VERDICT_NOT_EVALUABLE, "%s", why);
        return true;
    }
    if (!add_facts(j))
        return err_set(j->err, ERR_NOMEM, "calcium: facts");
    if (!check_heart(j))
        return true;
    if (!measure_slices(j, &noise, &motion))
        return false;
    if (!say_noise(j, &noise) || !say_motion(j, &motion))
        return err_set(j->err, ERR_NOMEM, "calcium: warnings");
    const struct calcium_options options = {
        .fat_fraction = j->p[P_FAT].number,
        .metal_hu = j->p[P_METAL].number,
        .largest_mm3 = j->p[P_LARGEST].number,
        .connectivity = j->p[P_CONNECTIVITY].choice == 0 ? 4 : 8,
    };
    struct calcium_lesions lesions;
    if (!stage_step(r, "finding calcium", 0.8, j->err) ||
        !calcium_lesions_find(j->hu, j->peek, j->v, &j->heart, &j->rules, &options, j->scratch,
                              &lesions, j->err))
        return false;
    j->context = (struct calcium_context){.estimate = j->estimate || j->moved,
                                          .moved = j->moved,
                                          .calibrated = j->p[P_MASS_FACTOR].number > 0,
                                          .priors = r->priors,
                                          .prior_count = r->prior_count,
                                          .now = now_of(j)};
    if (!add_heart_warnings(j) || !warn_metal(j, &lesions) || !prepare_percentile(j))
        return err_set(j->err, ERR_NOMEM, "calcium: warnings");
    drop_scan(j);
    return stage_step(r, "reporting", 0.95, j->err) &&
           calcium_report(j->f, r->set, j->image, &j->heart, &j->rules, &lesions, &j->context,
                          j->err);
}

// PS3.16 CID 100, which TID 1500 asks for. It has no code for a CT for calcium scoring.
static const struct code procedure = {"25045-6", "LN", "CT unspecified body region"};

static enum stage_end run(const struct stage_run *r, struct findings *out, struct err *err)
{
    struct job j = {.run = r, .f = out, .err = err, .p = r->params, .scratch = r->arena};
    j.image = r->slots[0].images[0];
    j.v = &r->set->images[j.image];
    calcium_scan_read(r->set, j.v, &j.scan);
    j.estimate = !calcium_scan_gated(&j.scan);
    out->page.title = "Coronary calcium scoring";
    out->procedure = procedure;
    set_rules(&j);
    bool ok = true;
    if (check_input(&j) && check_scan(&j)) {
        ok = add_scan_warnings(&j) || err_set(err, ERR_NOMEM, "calcium: warnings");
        ok = ok && evaluate(&j);
    }
    drop_scan(&j);
    if (!ok)
        return STAGE_BROKEN;
    return out->verdict == VERDICT_NOT_EVALUABLE ? STAGE_REFUSED : STAGE_DONE;
}

static const struct stage_accept accepts[] = {{"Modality", "CT"}, {0}};
// Scores are defined for 120 kV, slices of 3 mm and a kernel for soft tissue; the arteries move
// least in diastole.
static const struct stage_preference prefers[] = {
    {"ImageType", {"ORIGINAL", NULL}, 0, "as acquired", NULL},
    {"KVP", {">= 118", "<= 122"}, 120, "120 kV", NULL},
    {IMAGE_CARDIAC_PERCENT, {">= 60", "<= 80"}, 75, "diastole", NULL},
    {"ConvolutionKernel", {NULL}, 0, "soft kernel", image_kernel_is_soft},
    {"SpacingBetweenSlices", {">= 2.4", "<= 3.1"}, 3, "3 mm apart", NULL},
    {"SliceThickness", {">= 2.4", "<= 3.1"}, 3, "3 mm thick", NULL},
    {0},
};
static const struct stage_input_spec inputs[] = {
    {"scan", "CT of the chest without contrast agent, ECG-gated or not (then an estimate)",
     INPUT_ONE, IMAGE_NO_AXIS, true, accepts, prefers},
};
static const struct kernel_group *const kernels[] = {&kernels_shrink,
                                                     &kernels_smooth,
                                                     &kernels_masks,
                                                     &kernels_ball,
                                                     &kernels_distance,
                                                     &kernels_components,
                                                     NULL};

const struct stage stage_calcium = {
    .name = "calcium",
    .title = "Coronary calcium scoring",
    .version = CALCIUM_VERSION,
    .slot = 1,
    .help = "Agatston score, volume and mass of coronary calcium, by artery and by lesion.",
    .scope = SCOPE_SERIES,
    .inputs = inputs,
    .input_count = 1,
    .results = RESULT_SR | RESULT_GSPS | RESULT_SC,
    .report = REPORT_MEASUREMENTS,
    .params = params,
    .param_count = P_COUNT,
    .kernels = kernels,
    .run = run,
};
