#include "compute/stages/lungs/lungs_find.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// Deciding numbers. Lengths are mm, areas mm2, volumes mm3.
static const double grid_mm = 2; // of the coarse grid: bronchial walls show, floods are quick
// Air around the body has no tissue in it; lung cut by the field of view is denser.
static const double outside_hu = -925;
// Trachea: 13 to 25 mm wide and to 27 mm deep in men, 10 to 21 and 23 mm in women (Breatnach 1984),
// so 80 to 530 mm2; more at the carina, less on a coarse grid.
static const double trachea_min_mm2 = 40, trachea_max_mm2 = 700, trachea_off_mm = 40;
static const double trachea_long_mm = 25, trachea_hu = -750;
// The trachea holds 36 mL in men and 25 mL in women, SD 7 and 6 (Kamel 2009); the rest is for main
// bronchi. Growing beyond is a leak into the lung.
static const double airways_max_mm3 = 100e3, airways_jump_mm3 = 15e3, airways_jump = 1.5;
static const int airways_from_hu = -975, airways_to_hu = -700, airways_step_hu = 25;
// A lung is large, deep and not just gas, as bowel and hollow tables are.
static const double lung_min_mm3 = 100e3, lung_deep_mm = 50, lung_high_mm = 30, gas_hu = -970;
static const double second_min = 0.1;       // of the first lung's volume
static const double apart_mm = 50;          // between the centres of two lungs
static const double core_second_min = 0.25; // of the larger one, when parted by erosion
static const int erosion_max = 8;           // voxels of the coarse grid
static const double close_mm = 5;           // vessels at the hilum and at the pleura
// What lung rings in a slice is a vessel as long as it is smaller than a circle 22 mm wide. The
// dome of the diaphragm is larger but for its uppermost millimetre, so is consolidated lung.
static const double vessel_max_mm2 = 400;
static const double cut_mm2 = 100;    // of lung in the outermost slice
static const double border_mm2 = 400; // of lung at the border of all slices

enum { NOTHING, AIR, OUTSIDE, AIRWAY };

// The coarse grid, in patient directions: x grows to the left, y to the back, z to the head.
struct coarse {
    uint32_t factor[3], dim[3];
    double mm[3];
    bool flip[3];
    size_t count, plane;
    int16_t *hu;
    uint8_t *kind;   // NOTHING, ...
    uint8_t *mark;   // of floods
    uint32_t *queue; // count entries
    double middle;   // x of the body
};

struct part {
    size_t voxels;
    int64_t sum; // of hu
    uint32_t lo[3], hi[3];
    double centre[3];
    uint32_t seed; // its first voxel
};

// In 32 bits, as the queue: a division of 64 takes three times as long, and every flood divides.
static void coarse_place(const struct coarse *c, size_t at, uint32_t xyz[3])
{
    const uint32_t n = (uint32_t)at, row = n / c->dim[0];
    xyz[0] = n - row * c->dim[0];
    xyz[2] = row / c->dim[1];
    xyz[1] = row - xyz[2] * c->dim[1];
}

// The neighbours of a voxel by faces; axes: 2 within its slice, 3 all.
static unsigned coarse_faces(const struct coarse *c, size_t at, int axes, size_t near[6])
{
    const size_t step[3] = {1, c->dim[0], c->plane};
    uint32_t xyz[3];
    unsigned count = 0;
    coarse_place(c, at, xyz);
    for (int a = 0; a < axes; a++) {
        if (xyz[a] > 0)
            near[count++] = at - step[a];
        if (xyz[a] + 1 < c->dim[a])
            near[count++] = at + step[a];
    }
    return count;
}

// Marks with `with` what is connected to the count voxels in the queue (which are marked already)
// through voxels whose mark is `through`. Stops beyond limit. Returns how many are in the queue
// then.
static size_t coarse_flood(struct coarse *c, size_t count, uint8_t through, uint8_t with, int axes,
                           size_t limit)
{
    for (size_t n = 0; n < count && count <= limit; n++) {
        size_t near[6];
        const unsigned faces = coarse_faces(c, c->queue[n], axes, near);
        for (unsigned f = 0; f < faces; f++) {
            if (c->mark[near[f]] != through)
                continue;
            c->mark[near[f]] = with;
            c->queue[count++] = (uint32_t)near[f];
        }
    }
    return count;
}

static struct part part_measure(const struct coarse *c, const uint32_t *list, size_t count)
{
    struct part p = {.voxels = count, .lo = {UINT32_MAX, UINT32_MAX, UINT32_MAX}, .seed = list[0]};
    uint64_t sums[3] = {0};
    for (size_t n = 0; n < count; n++) {
        uint32_t xyz[3];
        coarse_place(c, list[n], xyz);
        p.sum += c->hu[list[n]];
        for (int a = 0; a < 3; a++) {
            sums[a] += xyz[a];
            p.lo[a] = xyz[a] < p.lo[a] ? xyz[a] : p.lo[a];
            p.hi[a] = xyz[a] > p.hi[a] ? xyz[a] : p.hi[a];
        }
    }
    for (int a = 0; a < 3; a++)
        p.centre[a] = (double)sums[a] / (double)count;
    return p;
}

static double coarse_voxel(const struct coarse *c)
{
    return c->mm[0] * c->mm[1] * c->mm[2];
}

static double coarse_extent(const struct coarse *c, const struct part *p, int axis)
{
    return (p->hi[axis] - p->lo[axis] + 1) * c->mm[axis];
}

// Copies between the order of the image and the patient's.
static size_t coarse_source(const struct coarse *c, size_t at)
{
    uint32_t xyz[3];
    coarse_place(c, at, xyz);
    for (int a = 0; a < 3; a++)
        xyz[a] = c->flip[a] ? c->dim[a] - 1 - xyz[a] : xyz[a];
    return xyz[2] * c->plane + (size_t)xyz[1] * c->dim[0] + xyz[0];
}

static bool coarse_make(struct coarse *c, const struct gpu_volume *hu, const struct image *v,
                        struct arena *scratch, struct err *err)
{
    static const char forward[] = "LPH";
    gpu_shrink_factors(v->spacing, grid_mm, c->factor);
    struct gpu_volume *small = gpu_volume_shrink(hu, c->factor, NULL, err);
    if (!small)
        return false;
    memcpy(c->dim, small->dim, sizeof c->dim);
    memcpy(c->mm, small->spacing, sizeof c->mm);
    c->plane = (size_t)c->dim[0] * c->dim[1];
    c->count = c->plane * c->dim[2];
    for (int a = 0; a < 3; a++)
        c->flip[a] = image_direction(v, a) != forward[a];
    int16_t *read = arena_alloc(scratch, c->count, sizeof *read);
    c->hu = arena_alloc(scratch, c->count, sizeof *c->hu);
    c->kind = arena_alloc(scratch, c->count, sizeof *c->kind);
    c->mark = arena_alloc(scratch, c->count, sizeof *c->mark);
    c->queue = arena_alloc(scratch, c->count, sizeof *c->queue);
    bool ok = read && c->hu && c->kind && c->mark && c->queue;
    if (!ok)
        err_set(err, ERR_NOMEM, "lungs: no memory for the coarse grid");
    ok = ok && gpu_volume_read(small, 0, small->dim[2], read, err);
    for (size_t n = 0; ok && n < c->count; n++)
        c->hu[n] = read[coarse_source(c, n)];
    gpu_volume_destroy(small);
    return ok;
}

// ---- Air ----------------------------------------------------------------------------------------

// Air around the body is connected with the border of its slice.
static void find_air(struct coarse *c, double air_hu)
{
    size_t seeds = 0, inside = 0;
    double sum = 0;
    for (size_t n = 0; n < c->count; n++) {
        uint32_t xyz[3];
        c->mark[n] = c->hu[n] <= air_hu ? AIR : NOTHING;
        coarse_place(c, n, xyz);
        const bool border =
            xyz[0] == 0 || xyz[1] == 0 || xyz[0] + 1 == c->dim[0] || xyz[1] + 1 == c->dim[1];
        if (border && c->mark[n] == AIR && c->hu[n] <= outside_hu) {
            c->mark[n] = OUTSIDE;
            c->queue[seeds++] = (uint32_t)n;
        }
    }
    coarse_flood(c, seeds, AIR, OUTSIDE, 2, c->count);
    memcpy(c->kind, c->mark, c->count);
    for (size_t n = 0; n < c->count; n++) {
        if (c->kind[n] == OUTSIDE)
            continue;
        sum += (double)(n % c->dim[0]);
        inside++;
    }
    c->middle = inside ? sum / (double)inside : c->dim[0] / 2.0;
}

// ---- Airways ------------------------------------------------------------------------------------

static bool like_trachea(const struct coarse *c, const struct part *p)
{
    const double area = (double)p->voxels * c->mm[0] * c->mm[1];
    const double wide = coarse_extent(c, p, 0), deep = coarse_extent(c, p, 1);
    return area >= trachea_min_mm2 && area <= trachea_max_mm2 && wide <= 2.5 * deep &&
           deep <= 2.5 * wide && area >= 0.45 * wide * deep &&
           fabs(p->centre[0] - c->middle) * c->mm[0] <= trachea_off_mm;
}

// The piece of air in slice z that looks like the trachea: nearest to where it was (NULL: to the
// middle of the body). False: none.
static bool trachea_in_slice(struct coarse *c, uint32_t z, const struct part *above,
                             struct part *best)
{
    double least = INFINITY;
    for (size_t n = z * c->plane; n < (z + 1) * c->plane; n++) {
        if (c->mark[n] != AIR)
            continue;
        c->mark[n] = NOTHING;
        c->queue[0] = (uint32_t)n;
        const size_t count = coarse_flood(c, 1, AIR, NOTHING, 2, c->count);
        const struct part p = part_measure(c, c->queue, count);
        if (!like_trachea(c, &p) || (double)p.sum / (double)count > trachea_hu)
            continue;
        const double dx = p.centre[0] - (above ? above->centre[0] : c->middle);
        const double dy = above ? p.centre[1] - above->centre[1] : 0;
        const double off = hypot(dx * c->mm[0], dy * c->mm[1]);
        if (off >= least || (above && off > 8 + c->mm[2]))
            continue;
        least = off;
        *best = p;
    }
    return isfinite(least);
}

// From the head down, the first tube of some length. seed: a dark voxel in each slice of it.
// Returns how many slices it has; 0: none.
static uint32_t find_trachea(struct coarse *c, struct part *chain)
{
    uint32_t length = 0;
    for (size_t n = 0; n < c->count; n++)
        c->mark[n] = c->kind[n] == AIR ? AIR : NOTHING;
    for (uint32_t z = c->dim[2]; z-- > 0;) {
        struct part p;
        if (trachea_in_slice(c, z, length ? &chain[length - 1] : NULL, &p)) {
            chain[length++] = p;
            continue;
        }
        if (length * c->mm[2] >= trachea_long_mm)
            return length;
        length = 0;
    }
    return length * c->mm[2] >= trachea_long_mm ? length : 0;
}

// What is connected with the trachea at no more than hu, up to limit voxels.
static size_t grow_airways(struct coarse *c, const struct part *chain, uint32_t length, int hu,
                           size_t limit)
{
    size_t seeds = 0;
    for (size_t n = 0; n < c->count; n++)
        c->mark[n] = c->kind[n] == AIR && c->hu[n] <= hu ? AIR : NOTHING;
    for (uint32_t i = 0; i < length; i++) {
        const struct part *p = &chain[i];
        const uint32_t x = (uint32_t)lround(p->centre[0]), y = (uint32_t)lround(p->centre[1]);
        const size_t at = p->lo[2] * c->plane + (size_t)y * c->dim[0] + x;
        if (c->mark[at] != AIR)
            continue;
        c->mark[at] = AIRWAY;
        c->queue[seeds++] = (uint32_t)at;
    }
    return coarse_flood(c, seeds, AIR, AIRWAY, 3, limit);
}

// Takes the neighbours of what the queue holds, corners included, that are air: the wall's share.
static void take_walls(struct coarse *c, size_t count)
{
    for (size_t n = 0; n < count; n++)
        c->kind[c->queue[n]] = AIRWAY;
    for (size_t n = 0; n < count; n++) {
        uint32_t xyz[3];
        coarse_place(c, c->queue[n], xyz);
        for (int d = 0; d < 27; d++) {
            const int64_t x = (int64_t)xyz[0] + d % 3 - 1, y = (int64_t)xyz[1] + d / 3 % 3 - 1,
                          z = (int64_t)xyz[2] + d / 9 - 1;
            if (x < 0 || y < 0 || z < 0 || x >= c->dim[0] || y >= c->dim[1] || z >= c->dim[2])
                continue;
            uint8_t *kind = &c->kind[(size_t)z * c->plane + (size_t)y * c->dim[0] + (size_t)x];
            *kind = *kind == AIR ? AIRWAY : *kind;
        }
    }
}

// Trachea and main bronchi: grown at a rising threshold until they leak into the lung.
static bool find_airways(struct coarse *c, struct arena *scratch, struct lungs *out,
                         struct err *err)
{
    struct part *chain = arena_alloc(scratch, c->dim[2], sizeof *chain);
    if (!chain)
        return err_set(err, ERR_NOMEM, "lungs: no memory for the airways");
    const uint32_t length = find_trachea(c, chain);
    const size_t limit = (size_t)(airways_max_mm3 / coarse_voxel(c));
    size_t last = 0;
    for (int hu = airways_from_hu; length && hu <= airways_to_hu; hu += airways_step_hu) {
        const size_t count = grow_airways(c, chain, length, hu, limit);
        const double more = (double)(count - last) * coarse_voxel(c);
        if (count > limit ||
            (last && more > airways_jump_mm3 && (double)count > airways_jump * (double)last))
            break;
        if (!count)
            continue;
        last = count;
        out->airways_hu = hu;
    }
    out->airways_found = last > 0;
    if (!last)
        return true;
    take_walls(c, grow_airways(c, chain, length, (int)out->airways_hu, limit));
    return true;
}

// ---- Lungs --------------------------------------------------------------------------------------

static bool like_lung(const struct coarse *c, const struct part *p)
{
    return (double)p->voxels * coarse_voxel(c) >= lung_min_mm3 &&
           coarse_extent(c, p, 1) >= lung_deep_mm && coarse_extent(c, p, 2) >= lung_high_mm &&
           (double)p->sum / (double)p->voxels > gas_hu;
}

// Marks of voxels while parts are looked at: FRESH not seen yet, SEEN seen.
enum { BLANK, FRESH, SEEN, FIRST, SECOND };

// The two largest pieces of what is marked FRESH; lungs only, where asked. Returns how many there
// are; everything is SEEN then.
static unsigned two_largest(struct coarse *c, bool lungs, struct part found[2])
{
    unsigned count = 0;
    for (size_t n = 0; n < c->count; n++) {
        if (c->mark[n] != FRESH)
            continue;
        c->mark[n] = SEEN;
        c->queue[0] = (uint32_t)n;
        const size_t voxels = coarse_flood(c, 1, FRESH, SEEN, 3, c->count);
        const struct part p = part_measure(c, c->queue, voxels);
        if (lungs && !like_lung(c, &p))
            continue;
        if (count < 1 || p.voxels > found[0].voxels) {
            found[1] = found[0];
            found[0] = p;
        } else if (count < 2 || p.voxels > found[1].voxels) {
            found[1] = p;
        } else {
            continue;
        }
        count = count < 2 ? count + 1 : 2;
    }
    return count;
}

// Marks the piece of what is SEEN that a part is.
static void mark_part(struct coarse *c, const struct part *p, uint8_t with)
{
    c->mark[p->seed] = with;
    c->queue[0] = p->seed;
    coarse_flood(c, 1, SEEN, with, 3, c->count);
}

static bool lungs_apart(const struct coarse *c, const struct part p[2], double least)
{
    return (double)p[1].voxels >= least * (double)p[0].voxels &&
           fabs(p[0].centre[0] - p[1].centre[0]) * c->mm[0] >= apart_mm &&
           p[0].lo[2] <= p[1].hi[2] && p[1].lo[2] <= p[0].hi[2];
}

// How many steps each voxel of a piece (marked FIRST) is away from what is not in it; 0 outside.
static uint8_t *depth_of(struct coarse *c, struct arena *scratch)
{
    uint8_t *depth = arena_alloc(scratch, c->count, sizeof *depth);
    size_t count = 0;
    for (size_t n = 0; depth && n < c->count; n++) {
        size_t near[6];
        const unsigned faces = coarse_faces(c, n, 3, near);
        bool edge = false;
        for (unsigned f = 0; f < faces; f++)
            edge = edge || c->mark[near[f]] != FIRST;
        if (c->mark[n] == FIRST && edge) {
            depth[n] = 1;
            c->queue[count++] = (uint32_t)n;
        }
    }
    for (size_t n = 0; n < count; n++) {
        size_t near[6];
        const unsigned faces = coarse_faces(c, c->queue[n], 3, near);
        const uint8_t next = depth[c->queue[n]] < 255 ? depth[c->queue[n]] + 1 : 255;
        for (unsigned f = 0; f < faces; f++) {
            if (c->mark[near[f]] != FIRST || depth[near[f]])
                continue;
            depth[near[f]] = next;
            c->queue[count++] = (uint32_t)near[f];
        }
    }
    return depth;
}

// Grows FIRST and SECOND over what is FRESH at the same speed.
static void grow_both(struct coarse *c)
{
    size_t count = 0;
    for (size_t n = 0; n < c->count; n++) {
        if (c->mark[n] == FIRST || c->mark[n] == SECOND)
            c->queue[count++] = (uint32_t)n;
    }
    for (size_t n = 0; n < count; n++) {
        size_t near[6];
        const unsigned faces = coarse_faces(c, c->queue[n], 3, near);
        for (unsigned f = 0; f < faces; f++) {
            if (c->mark[near[f]] != FRESH)
                continue;
            c->mark[near[f]] = c->mark[c->queue[n]];
            c->queue[count++] = (uint32_t)near[f];
        }
    }
}

// Parts a piece (marked FIRST) that may hold both lungs. What it becomes is FIRST and SECOND.
static bool part_lungs(struct coarse *c, struct part both[2], struct arena *scratch,
                       enum lungs_parting *parting, struct err *err)
{
    const uint8_t *depth = depth_of(c, scratch);
    if (!depth)
        return err_set(err, ERR_NOMEM, "lungs: no memory to part them");
    for (int steps = 1; steps <= erosion_max; steps++) {
        struct part core[2];
        for (size_t n = 0; n < c->count; n++)
            c->mark[n] = depth[n] > steps ? FRESH : BLANK;
        if (two_largest(c, false, core) < 2 || !lungs_apart(c, core, core_second_min))
            continue;
        mark_part(c, &core[0], FIRST);
        mark_part(c, &core[1], SECOND);
        for (size_t n = 0; n < c->count; n++) {
            if (depth[n] && c->mark[n] != FIRST && c->mark[n] != SECOND)
                c->mark[n] = FRESH;
        }
        grow_both(c);
        both[0] = core[0];
        both[1] = core[1];
        *parting = LUNGS_ERODED;
        return true;
    }
    const double off = fabs(both[0].centre[0] - c->middle) * c->mm[0];
    const bool across = both[0].lo[0] < c->middle && both[0].hi[0] > c->middle;
    *parting = across && off < apart_mm / 2 ? LUNGS_MIDLINE : LUNGS_ONE;
    for (size_t n = 0; n < c->count; n++) {
        const bool beyond = (double)(n % c->dim[0]) > c->middle;
        c->mark[n] = !depth[n] ? BLANK : *parting == LUNGS_MIDLINE && beyond ? SECOND : FIRST;
    }
    both[1] = both[0];
    both[0].centre[0] = *parting == LUNGS_MIDLINE ? c->middle - 1 : both[0].centre[0];
    both[1].centre[0] = c->middle + 1;
    return true;
}

// Marks the right lung as FIRST, the left one as SECOND.
static bool choose_lungs(struct coarse *c, struct arena *scratch, struct lungs *out,
                         const char **why, struct err *err)
{
    struct part found[2];
    for (size_t n = 0; n < c->count; n++)
        c->mark[n] = c->kind[n] == AIR ? FRESH : BLANK;
    const unsigned count = two_largest(c, true, found);
    if (!count) {
        *why = "no lungs found, or the field of view cuts them";
        return true;
    }
    mark_part(c, &found[0], FIRST);
    bool one = false;
    if (count == 2 && lungs_apart(c, found, second_min)) {
        mark_part(c, &found[1], SECOND);
        out->parting = LUNGS_APART;
    } else {
        if (!part_lungs(c, found, scratch, &out->parting, err))
            return false;
        one = out->parting == LUNGS_ONE;
    }
    const double other = one ? c->middle : found[1].centre[0];
    const bool swap = found[0].centre[0] > other; // the first is the left one
    for (size_t n = 0; n < c->count; n++) {
        if (c->mark[n] != FIRST && c->mark[n] != SECOND)
            c->mark[n] = BLANK;
        else if (swap)
            c->mark[n] = c->mark[n] == FIRST ? SECOND : FIRST;
    }
    return true;
}

// ---- Their voxels -------------------------------------------------------------------------------

// The holes of a mask in its slices that are too large to be vessels.
static struct gpu_mask *large_holes(const struct coarse *c, const struct gpu_mask *filled,
                                    const struct gpu_mask *closed, struct err *err)
{
    const uint32_t least = (uint32_t)ceil(vessel_max_mm2 / (c->mm[0] * c->mm[1]));
    struct gpu_mask *holes = gpu_mask_copy(filled, err);
    struct gpu_mask *large = NULL;
    if (holes && gpu_mask_combine(holes, MASK_ANDNOT, closed, err))
        large = gpu_mask_keep_size(holes, least, CONNECT_8, err);
    gpu_mask_destroy(holes);
    return large;
}

static struct gpu_mask *closed_mask(struct gpu *g, const struct coarse *c, const uint8_t *bytes,
                                    struct err *err)
{
    struct gpu_mask *m = gpu_mask_write(g, c->dim, c->mm, bytes, err);
    struct gpu_mask *wide = m ? gpu_mask_dilate(m, fmax(close_mm, c->mm[0] * 1.01), err) : NULL;
    struct gpu_mask *closed =
        wide ? gpu_mask_erode(wide, fmax(close_mm, c->mm[0] * 1.01), err) : NULL;
    struct gpu_mask *filled = closed ? gpu_mask_fill_holes(closed, err) : NULL;
    struct gpu_mask *large = filled ? large_holes(c, filled, closed, err) : NULL;
    const bool ok = large && gpu_mask_combine(filled, MASK_ANDNOT, large, err);
    gpu_mask_destroy(m);
    gpu_mask_destroy(wide);
    gpu_mask_destroy(closed);
    gpu_mask_destroy(large);
    if (ok)
        return filled;
    gpu_mask_destroy(filled);
    return NULL;
}

// Adds what a lung encloses: vessels. Neither airways nor the other lung become part of it.
static bool close_lung(struct gpu *g, struct coarse *c, uint8_t lung, uint8_t *bytes,
                       struct err *err)
{
    for (size_t n = 0; n < c->count; n++)
        bytes[n] = c->mark[n] == lung;
    struct gpu_mask *m = closed_mask(g, c, bytes, err);
    const bool ok = m && gpu_mask_read(m, bytes, err);
    gpu_mask_destroy(m);
    for (size_t n = 0; ok && n < c->count; n++) {
        if (bytes[n] && c->mark[n] == BLANK && c->kind[n] != AIRWAY && c->kind[n] != OUTSIDE)
            c->mark[n] = lung;
    }
    return ok;
}

static void look_for_cuts(const struct coarse *c, struct lungs *out)
{
    double head = 0, feet = 0, border = 0;
    for (size_t n = 0; n < c->count; n++) {
        uint32_t xyz[3];
        if (c->mark[n] == BLANK)
            continue;
        coarse_place(c, n, xyz);
        head += xyz[2] + 1 == c->dim[2] ? c->mm[0] * c->mm[1] : 0;
        feet += xyz[2] == 0 ? c->mm[0] * c->mm[1] : 0;
        border += xyz[0] == 0 || xyz[0] + 1 == c->dim[0] ? c->mm[1] * c->mm[2] : 0;
        border += xyz[1] == 0 || xyz[1] + 1 == c->dim[1] ? c->mm[0] * c->mm[2] : 0;
    }
    out->cut_head = head > cut_mm2;
    out->cut_feet = feet > cut_mm2;
    out->cut_border = border > border_mm2;
}

static struct gpu_mask *fine_mask(const struct coarse *c, const struct gpu_volume *hu,
                                  const uint8_t *bytes, struct err *err)
{
    struct gpu_mask *m = gpu_mask_write(hu->gpu, c->dim, c->mm, bytes, err);
    struct gpu_mask *fine = m ? gpu_mask_expand(m, c->factor, hu->dim, err) : NULL;
    gpu_mask_destroy(m);
    return fine;
}

// The inside of a lung, and the inside with its surface and one voxel more.
static void shapes_of(const struct coarse *c, uint8_t lung, uint8_t *inner, uint8_t *outer)
{
    memset(inner, 0, c->count);
    memset(outer, 0, c->count);
    for (size_t n = 0; n < c->count; n++) {
        size_t near[6];
        if (c->mark[n] != lung)
            continue;
        const unsigned faces = coarse_faces(c, n, 3, near);
        unsigned own = 0;
        outer[coarse_source(c, n)] = 1;
        for (unsigned f = 0; f < faces; f++) {
            const uint8_t mark = c->mark[near[f]], kind = c->kind[near[f]];
            own += mark == lung;
            if (mark == BLANK && kind != AIRWAY && kind != OUTSIDE)
                outer[coarse_source(c, near[f])] = 1;
        }
        inner[coarse_source(c, n)] = own == faces;
    }
}

// Inside a lung every voxel belongs to it, at its surface those that are air.
static struct gpu_mask *fine_lung(const struct coarse *c, const struct gpu_volume *hu,
                                  const struct gpu_mask *air, uint8_t lung, uint8_t *bytes[2],
                                  struct err *err)
{
    shapes_of(c, lung, bytes[0], bytes[1]);
    struct gpu_mask *inner = fine_mask(c, hu, bytes[0], err);
    struct gpu_mask *all = inner ? fine_mask(c, hu, bytes[1], err) : NULL;
    const bool ok = all && gpu_mask_combine(all, MASK_AND, air, err) &&
                    gpu_mask_combine(all, MASK_OR, inner, err);
    gpu_mask_destroy(inner);
    if (ok)
        return all;
    gpu_mask_destroy(all);
    return NULL;
}

static struct gpu_mask *fine_airways(const struct coarse *c, const struct gpu_volume *hu,
                                     const struct gpu_mask *air, uint8_t *bytes, struct err *err)
{
    for (size_t n = 0; n < c->count; n++)
        bytes[coarse_source(c, n)] = c->kind[n] == AIRWAY;
    struct gpu_mask *m = fine_mask(c, hu, bytes, err);
    if (m && gpu_mask_combine(m, MASK_AND, air, err))
        return m;
    gpu_mask_destroy(m);
    return NULL;
}

// A surface voxel may be next to both lungs: it is the right one's.
static bool make_masks(const struct coarse *c, const struct gpu_volume *hu, double air_hu,
                       uint8_t *bytes[2], struct lungs *out, struct err *err)
{
    struct gpu_mask *air = gpu_mask_threshold(hu, INT16_MIN, air_hu, err);
    bool ok = air != NULL;
    for (int side = 0; ok && side < LUNGS_SIDES; side++) {
        out->side[side] = fine_lung(c, hu, air, (uint8_t)(FIRST + side), bytes, err);
        ok = out->side[side] != NULL;
    }
    ok = ok && gpu_mask_combine(out->side[LUNGS_LEFT], MASK_ANDNOT, out->side[LUNGS_RIGHT], err);
    out->airways = ok ? fine_airways(c, hu, air, bytes[0], err) : NULL;
    gpu_mask_destroy(air);
    return out->airways != NULL;
}

bool lungs_find(struct gpu *g, const struct gpu_volume *hu, const struct image *v, double air_hu,
                struct arena *scratch, struct lungs *out, const char **why, struct err *err)
{
    struct coarse c = {0};
    *out = (struct lungs){.airways_hu = NAN};
    *why = "";
    if (!coarse_make(&c, hu, v, scratch, err))
        return false;
    find_air(&c, air_hu);
    if (!find_airways(&c, scratch, out, err) || !choose_lungs(&c, scratch, out, why, err))
        return false;
    if (**why)
        return true;
    look_for_cuts(&c, out);
    uint8_t *bytes[2] = {arena_alloc(scratch, c.count, 1), arena_alloc(scratch, c.count, 1)};
    if (!bytes[0] || !bytes[1])
        return err_set(err, ERR_NOMEM, "lungs: no memory for masks");
    if (close_lung(g, &c, FIRST, bytes[0], err) && close_lung(g, &c, SECOND, bytes[0], err) &&
        make_masks(&c, hu, air_hu, bytes, out, err))
        return true;
    lungs_finish(out);
    return false;
}

void lungs_finish(struct lungs *l)
{
    for (int side = 0; side < LUNGS_SIDES; side++)
        gpu_mask_destroy(l->side[side]);
    gpu_mask_destroy(l->airways);
    *l = (struct lungs){0};
}
