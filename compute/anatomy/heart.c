#include "compute/anatomy/heart.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    AIR_LOW = -970, // coarse means: most air around the patient is below, lung above
    AIR_HIGH = -401,
    AIR_MEAN = -930, // of a whole piece: air around the patient is below
    PADDING = -1022, // air is above: outside a round field of view
    BODY = -300,
    BONE = 120,
    HARD = 180,     // of bone and cartilage beside soft tissue
    SOFT = 0,       // blood, muscle; fat is below
    FATTY = -250,   // fat and more
    FAT_HIGH = -30, // smoothed fat is below
};
static const double work_mm = 2.5;      // size of the work grid
static const double around_ml = 50;     // of air around the patient, in one piece at least
static const double open_most = 0.1;    // of a lung's contacts: thin air outside the body
static const double piece_ml = 20;      // of a lung that the image cuts
static const double lung_ml = 100;      // a lung or a part of one that counts
static const double side_least = 0.1;   // of the largest slice of a lung: less may be of the other
static const double lung_reach_mm = 30; // front to back, of one that the image cuts
static const double ball_mm = 14;       // opening that leaves the heart
static const double grow_mm = 6;        // given back around what the opening left
static const double flank_mm = 85;      // from the ball to the lungs beside it, at most
static const double front_mm = 8;       // in front of the lungs, where the wall is not known
static const double rim_mm = 5;         // of lung, in which it looks like fat
static const double vertebra_mm = 24;   // half of the widest: 22 mm and the blur of the grid
static const double spine_ml = 10;      // less is none, nor what is in less than half of the slices
static const double spine_gap_mm = 3;   // in front of it
static const double back_radii = 1.2;   // the heart reaches so far behind its largest ball's middle
static const double bone_mm3 = 4000;    // smaller pieces may be calcium
static const double far_mm = 255 * ANATOMY_STEP_MM; // distances beyond do not matter
static const double radius_min_mm = 15;             // of the largest ball in a heart
static const double radius_max_mm = 60;             //
// Fat in the grooves and the septum may leave room for a small ball only; the heart around it is no
// smaller for that. In eight scans of adults the ball had 18 to 38 mm. Chosen on these: with it the
// left main artery lies at 1.06 to 1.16 radii in four of them, but at 1.62 in a heart of 33 mm.
static const double radius_least_mm = 26;
static const double low_radii = 1.4;  // the heart reaches so far below its largest ball
static const double high_radii = 2.0; // and above it, root and left main artery included

// Of a tube's lowest discs, by which it goes on below them.
static const double axis_mm = 13; // more of them, and the aorta's bend misleads

// Direction of the axis at the lowest disc: grid indices a slice.
static void tube_slope(const struct anatomy_tube *tube, double slice_mm, double slope[2])
{
    double n = 0, sum[3] = {0}, zz = 0, zx[2] = {0};
    for (int k = tube->lo; k <= tube->hi && (k - tube->lo) * slice_mm <= axis_mm; k++) {
        const struct anatomy_disc *d = &tube->discs[k];
        if (d->radius_mm <= 0)
            continue;
        const double z = k - tube->lo;
        n++;
        sum[0] += d->x;
        sum[1] += d->y;
        sum[2] += z;
        zz += z * z;
        zx[0] += z * d->x;
        zx[1] += z * d->y;
    }
    const double spread = n * zz - sum[2] * sum[2];
    for (int a = 0; a < 2; a++)
        slope[a] = spread > 0 ? (n * zx[a] - sum[2] * sum[a]) / spread : 0;
}

struct anatomy_disc anatomy_tube_at(const struct anatomy_tube *tube, double z)
{
    if (tube->lo > tube->hi)
        return (struct anatomy_disc){0};
    int near = tube->lo;
    for (int k = tube->lo; k <= tube->hi; k++) {
        if (tube->discs[k].radius_mm > 0 && fabs(k - z) < fabs(near - z))
            near = k;
    }
    struct anatomy_disc disc = tube->discs[near];
    if (z < tube->lo) {
        disc.x += tube->slope[0] * (z - tube->lo);
        disc.y += tube->slope[1] * (z - tube->lo);
    }
    return disc;
}

// What the steps below hand on. All arrays are [grid].
struct finder {
    struct gpu *gpu;
    struct arena *kept;  // what the heart found points to
    struct arena *arena; // goes when all is found
    struct err *err;
    const struct image *image;
    struct peek *peek; // of the whole volume
    struct anatomy_heart *out;
    const struct gpu_volume *work; // the work grid on the device
    uint32_t nx, ny, nz;
    size_t voxels;
    const uint8_t *body;
    uint8_t *within; // between the front and the back of the body, as far as is seen
    uint8_t *lung, *between;
    uint8_t *tissue;        // between the lungs, in front of the spine, fat included
    uint8_t *deep;          // far from what is not soft, as the middle of the heart is
    float *smooth, *depth2; // depth2: squared distance to what is not soft, mm2
    double *front;          // [nz] row of the front of the spine
    double back;            // rows behind are spine, whatever they hold
    size_t peak;
    bool cut;      // the image cuts the body
    bool filled;   // with contrast agent
    size_t *stack; // [ny][nx]
};

static double *mm_of(struct finder *f)
{
    return f->out->grid.mm;
}

// The volume on the work grid.
static bool heart_grid(struct finder *f, const struct gpu_volume *hu, struct gpu_volume **work)
{
    struct anatomy_grid *g = &f->out->grid;
    *work = anatomy_grid_make(f->gpu, hu, work_mm, f->kept, g, &f->out->hu, f->err);
    if (!*work)
        return false;
    f->nx = g->dim[0];
    f->ny = g->dim[1];
    f->nz = g->dim[2];
    f->voxels = (size_t)f->nx * f->ny * f->nz;
    return true;
}

static uint8_t *bytes_of(struct finder *f, const struct gpu_mask *m)
{
    uint8_t *bytes = arena_alloc(f->arena, f->voxels, 1);
    if (!bytes) {
        err_set(f->err, ERR_NOMEM, "heart: work grid");
        return NULL;
    }
    return gpu_mask_read(m, bytes, f->err) ? bytes : NULL;
}

static struct gpu_mask *mask_of(struct finder *f, const uint8_t *bytes)
{
    return gpu_mask_write(f->gpu, f->out->grid.dim, mm_of(f), bytes, f->err);
}

// Erosion then dilation within slices when `open`, the other way round otherwise: 3 x 3 pixels.
static struct gpu_mask *smooth_mask(struct finder *f, const struct gpu_mask *m, bool open)
{
    const double r = 1.5 * fmax(mm_of(f)[0], mm_of(f)[1]);
    struct gpu_mask *half =
        open ? gpu_mask_erode_2d(m, r, f->err) : gpu_mask_dilate_2d(m, r, f->err);
    if (!half)
        return NULL;
    struct gpu_mask *whole =
        open ? gpu_mask_dilate_2d(half, r, f->err) : gpu_mask_erode_2d(half, r, f->err);
    gpu_mask_destroy(half);
    return whole;
}

static struct gpu_mask *find_body(struct finder *f)
{
    struct gpu_mask *dense = gpu_mask_threshold(f->work, BODY, INT16_MAX, f->err);
    struct gpu_mask *largest =
        dense ? gpu_mask_keep_largest(dense, 1, CONNECT_6, NULL, f->err) : NULL;
    struct gpu_mask *body = largest ? gpu_mask_fill_holes(largest, f->err) : NULL;
    gpu_mask_destroy(dense);
    gpu_mask_destroy(largest);
    return body;
}

// Whether the image cuts the body in most slices: a small field of view.
static bool is_cut(const struct finder *f, const uint8_t *body)
{
    uint32_t slices = 0;
    for (uint32_t k = 0; k < f->nz; k++) {
        const uint8_t *slice = body + (size_t)k * f->ny * f->nx;
        bool touches = false;
        for (uint32_t j = 0; j < f->ny && !touches; j++)
            touches = slice[(size_t)j * f->nx] || slice[(size_t)j * f->nx + f->nx - 1];
        for (uint32_t i = 0; i < f->nx && !touches; i++)
            touches = slice[i];
        slices += touches;
    }
    return slices * 2 > f->nz;
}

// Whether slice k shows the patient's back: what is between the lungs goes on to the spine and the
// back, so that the image cuts it where it cuts them.
static bool shows_back(const struct finder *f, const uint8_t *body, uint32_t k)
{
    const size_t slice = (size_t)k * f->ny * f->nx;
    bool any = false;
    for (uint32_t i = f->nx / 3; i < f->nx - f->nx / 3; i++) {
        for (uint32_t j = f->ny; j-- > 0;) {
            if (!body[slice + (size_t)j * f->nx + i])
                continue;
            if (j == f->ny - 1 || f->out->hu[slice + (size_t)(j + 1) * f->nx + i] < PADDING)
                return false;
            any = true;
            break;
        }
    }
    return any;
}

// What lies between the front and the back of the body, column by column: clothes lie before, the
// foam of a table behind. Outside a round field of view nobody knows, nor behind a body that the
// image cuts.
static bool find_within(struct finder *f, const uint8_t *body)
{
    uint8_t *within = arena_alloc(f->arena, f->voxels, 1);
    if (!within)
        return err_set(f->err, ERR_NOMEM, "heart: lungs");
    for (size_t n = 0; n < f->voxels; n++) {
        bool first = n / f->nx % f->ny == 0;
        within[n] = body[n] || f->out->hu[n] < PADDING || (!first && within[n - f->nx]);
    }
    for (uint32_t k = 0; k < f->nz; k++) {
        if (!shows_back(f, body, k))
            continue;
        for (uint32_t i = 0; i < f->nx; i++) {
            for (uint32_t j = f->ny; j-- > 0;) {
                const size_t n = ((size_t)k * f->ny + j) * f->nx + i;
                if (body[n])
                    break;
                within[n] = 0;
            }
        }
    }
    f->within = within;
    return true;
}

// Voxels of every piece within a slice's pixel of a mask.
static bool count_near(struct finder *f, const struct components *air, const struct gpu_mask *m,
                       uint32_t *near)
{
    const double r = 1.5 * fmax(mm_of(f)[0], mm_of(f)[1]);
    struct gpu_mask *wide = gpu_mask_dilate_2d(m, r, f->err);
    const bool ok = wide && (!air->count || components_overlap(air, wide, near, f->err));
    gpu_mask_destroy(wide);
    return ok;
}

// Whether a voxel or one beside it in its row or column lies outside a round field of view.
static bool is_padded(const struct finder *f, size_t n)
{
    const int16_t *hu = f->out->hu;
    const size_t i = n % f->nx, j = n / f->nx % f->ny;
    return hu[n] < PADDING || (i > 0 && hu[n - 1] < PADDING) ||
           (i + 1 < f->nx && hu[n + 1] < PADDING) || (j > 0 && hu[n - f->nx] < PADDING) ||
           (j + 1 < f->ny && hu[n + f->nx] < PADDING);
}

// How many voxels of every piece of air touch the body's tissue, and how many thin air outside it.
static bool count_contacts(struct finder *f, const struct components *air, const uint8_t *body,
                           uint32_t *tissue, uint32_t *open)
{
    uint8_t *dense = malloc(f->voxels), *thin = malloc(f->voxels);
    bool ok = dense && thin;
    if (!ok)
        err_set(f->err, ERR_NOMEM, "heart: lungs");
    for (size_t n = 0; ok && n < f->voxels; n++) {
        const int16_t hu = f->out->hu[n];
        dense[n] = body[n] && hu > BODY;
        thin[n] = !body[n] && hu < AIR_LOW && !is_padded(f, n);
    }
    struct gpu_mask *inner = ok ? mask_of(f, dense) : NULL, *all = ok ? mask_of(f, thin) : NULL;
    free(dense);
    free(thin);
    const double voxel_ml = mm_of(f)[0] * mm_of(f)[1] * mm_of(f)[2] / 1000;
    struct gpu_mask *outer = // bullae and bronchi of a cut lung are as thin
        all ? gpu_mask_keep_size(all, (uint32_t)ceil(around_ml / voxel_ml), CONNECT_6, f->err)
            : NULL;
    gpu_mask_destroy(all);
    ok = inner && outer && count_near(f, air, inner, tissue) && count_near(f, air, outer, open);
    gpu_mask_destroy(inner);
    gpu_mask_destroy(outer);
    return ok;
}

// Air within the body, in pieces as large as a lung. Where the image cuts a lung, its piece also
// reaches the edge of the image: it touches tissue all round, where what lies beside the patient
// (foam, a blanket) touches thin air; and the air around the patient is thinner than any lung.
static struct gpu_mask *select_lungs(struct finder *f, const struct components *air,
                                     const struct gpu_mask *body, const uint8_t *body_bytes)
{
    const double *mm = mm_of(f);
    struct component_stats *stats = arena_alloc(f->arena, air->count + 1, sizeof *stats);
    uint32_t *within = arena_alloc(f->arena, air->count + 1, sizeof *within);
    uint32_t *tissue = arena_alloc(f->arena, air->count + 1, sizeof *tissue);
    uint32_t *open = arena_alloc(f->arena, air->count + 1, sizeof *open);
    uint8_t *keep = arena_alloc(f->arena, air->count + 1, 1);
    if (!stats || !within || !tissue || !open || !keep) {
        err_set(f->err, ERR_NOMEM, "heart: lungs");
        return NULL;
    }
    if (air->count && (!components_measure(air, f->work, stats, f->err) ||
                       !components_overlap(air, body, within, f->err)))
        return NULL;
    if (!count_contacts(f, air, body_bytes, tissue, open))
        return NULL;
    const double voxel_ml = mm[0] * mm[1] * mm[2] / 1000;
    for (uint32_t n = 0; n < air->count; n++) {
        const struct component_stats *s = &stats[n];
        const bool enclosed = within[n] * 2 > s->voxels;
        if (s->voxels * voxel_ml < (f->cut || !enclosed ? piece_ml : lung_ml))
            continue;
        bool at_edge = s->box_lo[0] == 0 || s->box_lo[1] == 0 || s->box_hi[0] == f->nx - 1 ||
                       s->box_hi[1] == f->ny - 1;
        bool deep = (s->box_hi[1] - s->box_lo[1] + 1) * mm[1] > lung_reach_mm;
        bool airy = s->sum < (int64_t)s->voxels * AIR_MEAN;
        bool alone = open[n] < open_most * (tissue[n] + open[n]);
        keep[n] = enclosed || (at_edge && deep && !airy && alone);
    }
    return components_select(air, keep, mm, f->err);
}

static bool find_lungs(struct finder *f, const struct gpu_mask *body, const uint8_t *body_bytes,
                       bool *any)
{
    if (!find_within(f, body_bytes))
        return false;
    f->cut = is_cut(f, body_bytes);
    struct gpu_mask *thin = gpu_mask_threshold(f->work, AIR_LOW, AIR_HIGH, f->err);
    struct gpu_mask *open = thin ? smooth_mask(f, thin, true) : NULL;
    struct components *air = open ? components_find(open, CONNECT_6, f->err) : NULL;
    struct gpu_mask *lungs = air ? select_lungs(f, air, body, body_bytes) : NULL;
    struct gpu_mask *closed = lungs ? smooth_mask(f, lungs, false) : NULL;
    f->lung = closed ? bytes_of(f, closed) : NULL;
    gpu_mask_destroy(thin);
    gpu_mask_destroy(open);
    components_destroy(air);
    gpu_mask_destroy(lungs);
    gpu_mask_destroy(closed);
    *any = false;
    for (size_t n = 0; f->lung && n < f->voxels; n++) {
        f->lung[n] = f->lung[n] && f->within[n];
        *any = *any || f->lung[n];
    }
    return f->lung != NULL;
}

struct corner {
    int64_t x, y;
};

// Twice the area of the triangle a, b, c: positive when it turns clockwise on the screen.
static int64_t turn(struct corner a, struct corner b, struct corner c)
{
    return (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
}

// One side of a convex hull: of the first (side 1) or last (side -1) lung pixel of each row, in the
// order of rows. Returns how many corners stay.
static size_t hull_side(const struct corner *points, size_t count, int side, struct corner *hull)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        while (n >= 2 && turn(hull[n - 2], hull[n - 1], points[i]) * side <= 0)
            n--;
        hull[n++] = points[i];
    }
    return n;
}

// The column of a hull's side in row y, between its first and last corner.
static double hull_at(const struct corner *hull, size_t count, int64_t y)
{
    size_t i = 1;
    while (i < count - 1 && hull[i].y < y)
        i++;
    if (count == 1)
        return (double)hull[0].x;
    double t = (double)(y - hull[i - 1].y) / (double)(hull[i].y - hull[i - 1].y);
    return (double)hull[i - 1].x + t * (double)(hull[i].x - hull[i - 1].x);
}

// Whether the image ends within the body on the right, or the left, of a row.
static bool is_cut_beside(const struct finder *f, size_t row, bool right)
{
    const uint8_t *body = f->body + row * f->nx;
    const int16_t *hu = f->out->hu + row * f->nx;
    for (uint32_t i = 0; i < f->nx; i++) {
        const uint32_t at = right ? i : f->nx - 1 - i;
        if (body[at])
            return i == 0 || hu[right ? at - 1 : at + 1] < PADDING;
    }
    return false;
}

// The column with least lung, in the middle half of those that have any: between the lungs.
static uint32_t gap_of_lungs(const struct finder *f, uint32_t *columns)
{
    uint32_t lo = f->nx, hi = 0;
    for (size_t n = 0; n < f->voxels; n++)
        columns[n % f->nx] += f->lung[n];
    for (uint32_t i = 0; i < f->nx; i++) {
        if (columns[i]) {
            lo = i < lo ? i : lo;
            hi = i;
        }
    }
    uint32_t least = (lo + hi) / 2;
    for (uint32_t i = lo + (hi - lo) / 4; lo < hi && i <= hi - (hi - lo) / 4; i++)
        least = columns[i] < columns[least] ? i : least;
    return least;
}

// Pixels of lung in a slice, to the right of a column and to the left.
struct sides {
    uint32_t right, left;
};

static struct sides sides_of(const struct finder *f, uint32_t k, uint32_t gap)
{
    const uint8_t *lung = f->lung + (size_t)k * f->ny * f->nx;
    struct sides s = {0};
    for (size_t n = 0; n < (size_t)f->ny * f->nx; n++) {
        s.right += lung[n] && n % f->nx < gap;
        s.left += lung[n] && n % f->nx > gap;
    }
    return s;
}

// Marks what lies within the convex hull of a slice's lungs and is no lung. Where one of them is
// not in the image, which ends within the body there, as a small field of view does beside a
// liver: up to the edge of the image.
static void between_in_slice(const struct finder *f, uint32_t k, bool no_right, bool no_left,
                             struct corner *scratch, uint64_t *rows)
{
    struct corner *first = scratch, *last = first + f->ny, *left = last + f->ny,
                  *right = left + f->ny;
    const size_t slice = (size_t)k * f->ny * f->nx;
    size_t count = 0;
    for (uint32_t j = 0; j < f->ny; j++) {
        const uint8_t *lung = f->lung + slice + (size_t)j * f->nx;
        int64_t lo = -1, hi = -1;
        for (uint32_t i = 0; i < f->nx; i++) {
            if (!lung[i])
                continue;
            lo = lo < 0 ? i : lo;
            hi = i;
            rows[j]++;
        }
        const size_t row = (size_t)k * f->ny + j;
        if (lo >= 0 && no_right && !no_left && is_cut_beside(f, row, true))
            lo = 0;
        if (lo >= 0 && no_left && !no_right && is_cut_beside(f, row, false))
            hi = f->nx - 1;
        if (lo >= 0) {
            first[count] = (struct corner){lo, j};
            last[count++] = (struct corner){hi, j};
        }
    }
    if (!count)
        return;
    const size_t lefts = hull_side(first, count, -1, left);
    const size_t rights = hull_side(last, count, 1, right);
    for (int64_t j = first[0].y; j <= first[count - 1].y; j++) {
        const uint8_t *lung = f->lung + slice + (size_t)j * f->nx;
        uint8_t *between = f->between + slice + (size_t)j * f->nx;
        int64_t lo = (int64_t)ceil(hull_at(left, lefts, j));
        int64_t hi = (int64_t)floor(hull_at(right, rights, j));
        for (int64_t i = lo; i <= hi; i++)
            between[i] = lung[i] ? ANATOMY_OUTSIDE : ANATOMY_HEART;
    }
}

// Tissue between the lungs, slice by slice. Also the row behind which half of the lung lies: the
// spine is there.
static bool find_between(struct finder *f)
{
    f->between = arena_alloc(f->arena, f->voxels, 1);
    uint64_t *rows = arena_alloc(f->arena, f->ny, sizeof *rows);
    uint32_t *columns = arena_alloc(f->arena, f->nx, sizeof *columns);
    struct corner *scratch = arena_alloc(f->arena, (size_t)f->ny * 4, sizeof *scratch);
    if (!f->between || !rows || !columns || !scratch)
        return err_set(f->err, ERR_NOMEM, "heart: between the lungs");
    const uint32_t gap = gap_of_lungs(f, columns);
    struct sides most = {0};
    for (uint32_t k = 0; k < f->nz; k++) {
        const struct sides s = sides_of(f, k, gap);
        most.right = s.right > most.right ? s.right : most.right;
        most.left = s.left > most.left ? s.left : most.left;
    }
    for (uint32_t k = 0; k < f->nz; k++) {
        const struct sides s = sides_of(f, k, gap);
        between_in_slice(f, k, s.right < side_least * most.right, s.left < side_least * most.left,
                         scratch, rows);
    }
    uint64_t total = 0, sum = 0;
    for (uint32_t j = 0; j < f->ny; j++)
        total += rows[j];
    for (uint32_t j = 0; j < f->ny; j++) {
        sum += rows[j];
        if (sum * 2 >= total) {
            f->back = j;
            break;
        }
    }
    return true;
}

// Squared distance of every voxel to the nearest one that is not set.
static bool depth_in(struct finder *f, const uint8_t *set, const double spacing[3], double max_mm,
                     float *depth2)
{
    struct gpu_mask *m = gpu_mask_write(f->gpu, f->out->grid.dim, spacing, set, f->err);
    struct gpu_volume *d =
        m && gpu_mask_invert(m, f->err) ? gpu_mask_distance2(m, max_mm, f->err) : NULL;
    bool ok = d && gpu_volume_read(d, 0, f->nz, depth2, f->err);
    gpu_mask_destroy(m);
    gpu_volume_destroy(d);
    return ok;
}

// Whether what is as bright as bone holds a ball that no vertebra does: a heart full of contrast
// agent.
static bool measure_filling(struct finder *f)
{
    float *depth2 = arena_alloc(f->arena, f->voxels, sizeof *depth2);
    uint8_t *bright = arena_alloc(f->arena, f->voxels, 1);
    if (!depth2 || !bright)
        return err_set(f->err, ERR_NOMEM, "heart: contrast agent");
    for (size_t n = 0; n < f->voxels; n++)
        bright[n] = f->smooth[n] > BONE && f->between[n];
    if (!depth_in(f, bright, mm_of(f), vertebra_mm + 2, depth2))
        return false;
    for (size_t n = 0; n < f->voxels && !f->filled; n++)
        f->filled = depth2[n] > vertebra_mm * vertebra_mm;
    return true;
}

// Rows of the front of the spine by slice: the largest bony piece behind the middle of the lungs.
// A small field of view may leave the spine out; its place is then the middle between the lungs.
static bool find_spine(struct finder *f)
{
    uint8_t *bone = arena_alloc(f->arena, f->voxels, 1);
    uint32_t *columns = arena_alloc(f->arena, f->nx, sizeof *columns);
    if (!bone || !columns)
        return err_set(f->err, ERR_NOMEM, "heart: spine");
    for (size_t n = 0; n < f->voxels; n++)
        bone[n] = f->smooth[n] > BONE && f->between[n] && n / f->nx % f->ny >= f->back;
    if (!measure_filling(f))
        return false;
    struct gpu_mask *all = mask_of(f, bone);
    uint64_t count = 0;
    struct gpu_mask *spine = all ? gpu_mask_keep_largest(all, 1, CONNECT_6, &count, f->err) : NULL;
    bool ok = spine && gpu_mask_read(spine, bone, f->err);
    gpu_mask_destroy(all);
    gpu_mask_destroy(spine);
    if (!ok)
        return false;
    const double ml = (double)count * mm_of(f)[0] * mm_of(f)[1] * mm_of(f)[2] / 1000;
    uint32_t slices = 0;
    for (uint32_t k = 0; k < f->nz; k++)
        slices += memchr(bone + (size_t)k * f->ny * f->nx, 1, (size_t)f->ny * f->nx) != NULL;
    const bool any = ml >= spine_ml && slices * 2 >= f->nz;
    f->out->spine_seen = any;
    if (!any)
        count = 0;
    for (size_t n = 0; n < f->voxels; n++) {
        columns[n % f->nx] += any ? bone[n] : f->lung[n];
        count += any ? 0 : f->lung[n];
        bone[n] = any && bone[n];
    }
    uint64_t sum = 0;
    for (uint32_t i = 0; i < f->nx; i++) {
        sum += columns[i];
        if (sum * 2 >= count) {
            f->out->spine_x = i;
            break;
        }
    }
    for (uint32_t k = 0; k < f->nz; k++) {
        uint32_t in_slice = 0, seen = 0;
        f->front[k] = -1;
        for (int pass = 0; pass < 2 && f->front[k] < 0; pass++) {
            for (uint32_t j = 0; j < f->ny && f->front[k] < 0; j++) {
                for (uint32_t i = 0; i < f->nx; i++) {
                    if (fabs(i - f->out->spine_x) * mm_of(f)[0] >= 12 ||
                        !bone[((size_t)k * f->ny + j) * f->nx + i])
                        continue;
                    if (pass == 0)
                        in_slice++;
                    else if (++seen * 20 >= in_slice && f->front[k] < 0)
                        f->front[k] = j;
                }
            }
            if (in_slice <= 3)
                break;
        }
    }
    return true;
}

// A place in a slice of lung that lies furthest to the front on one side of a column.
struct tip {
    int64_t x, y; // y < 0: none
};

static struct tip find_tip(const struct finder *f, uint32_t k, int64_t from, int64_t to)
{
    const uint8_t *lung = f->lung + (size_t)k * f->ny * f->nx;
    for (int64_t j = 0; j < f->ny; j++) {
        for (int64_t i = from; i < to; i++) {
            if (lung[j * f->nx + i])
                return (struct tip){i, j};
        }
    }
    return (struct tip){0, -1};
}

// Whether the image shows air before the body in a column that begins at voxel n.
static bool shows_front(const struct finder *f, size_t n)
{
    const size_t end = n + (size_t)f->ny * f->nx, first = n;
    while (n < end && !f->body[n])
        n += f->nx;
    return n >= end || (n > first && f->out->hu[n - f->nx] >= PADDING);
}

// The heart may touch the chest wall where no lung lies in front of it. Between the foremost places
// of both lungs, the wall is taken as thick as it is before the thinner one of them; what lies
// deeper belongs to what is between the lungs. Where the image cuts the wall, its thickness is not
// known, and only little is added. Air within the body ends no wall: a cut lung has some at the
// edge of the image that is not told from what is outside.
static bool extend_front(struct finder *f)
{
    const uint8_t *body = f->body;
    float *deep2 = arena_alloc(f->arena, f->voxels, sizeof *deep2);
    if (!deep2)
        return err_set(f->err, ERR_NOMEM, "heart: chest wall");
    if (!depth_in(f, f->within, mm_of(f), far_mm, deep2))
        return false;
    const int64_t middle = (int64_t)f->out->spine_x;
    for (uint32_t k = 0; k < f->nz; k++) {
        const struct tip right = find_tip(f, k, 0, middle), left = find_tip(f, k, middle, f->nx);
        if (right.y < 0 || left.y < 0)
            continue;
        const size_t slice = (size_t)k * f->ny * f->nx;
        const float wall2 = fminf(deep2[slice + (size_t)right.y * f->nx + (size_t)right.x],
                                  deep2[slice + (size_t)left.y * f->nx + (size_t)left.x]);
        const int64_t end = right.y > left.y ? right.y : left.y;
        bool cut = false;
        for (int64_t i = right.x; i <= left.x; i++)
            cut = cut || !shows_front(f, slice + (size_t)i);
        const int64_t tip = right.y < left.y ? right.y : left.y;
        const int64_t start = cut ? tip - (int64_t)(front_mm / mm_of(f)[1]) : 0;
        for (int64_t j = start > 0 ? start : 0; j < end; j++) {
            for (int64_t i = right.x; i <= left.x; i++) {
                const size_t n = slice + (size_t)j * f->nx + (size_t)i;
                if (body[n] && !f->lung[n] && !f->between[n] && deep2[n] >= wall2)
                    f->between[n] = ANATOMY_FRONT;
            }
        }
    }
    return true;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Slices without a front take the median of all; then a running median of five.
static bool smooth_front(struct finder *f)
{
    double *known = arena_alloc(f->arena, f->nz, sizeof *known);
    double *raw = arena_alloc(f->arena, f->nz, sizeof *raw);
    if (!known || !raw)
        return err_set(f->err, ERR_NOMEM, "heart: spine");
    size_t n = 0;
    for (uint32_t k = 0; k < f->nz; k++) {
        if (f->front[k] >= 0)
            known[n++] = f->front[k];
    }
    qsort(known, n, sizeof *known, by_value);
    double median = n ? known[n / 2] : f->ny;
    for (uint32_t k = 0; k < f->nz; k++)
        raw[k] = f->front[k] >= 0 ? f->front[k] : median;
    for (int64_t k = 0; k < f->nz; k++) {
        double five[5];
        for (int64_t d = -2; d <= 2; d++) {
            int64_t at = k + d < 0 ? 0 : k + d >= f->nz ? f->nz - 1 : k + d;
            five[d + 2] = raw[at];
        }
        qsort(five, 5, sizeof *five, by_value);
        f->front[k] = five[2];
    }
    f->out->spine_front = f->front;
    return true;
}

// First and last lung pixel of every row, last < first: none; and on which sides the image ends
// within the body: nobody knows whether lung follows.
struct flank {
    int32_t first, last;
    bool cut_right, cut_left;
};

static struct flank *find_flanks(struct finder *f)
{
    struct flank *flanks = arena_alloc(f->arena, (size_t)f->ny * f->nz, sizeof *flanks);
    if (!flanks) {
        err_set(f->err, ERR_NOMEM, "heart: flanks");
        return NULL;
    }
    for (size_t row = 0; row < (size_t)f->ny * f->nz; row++) {
        flanks[row] = (struct flank){.first = INT32_MAX,
                                     .last = -1,
                                     .cut_right = is_cut_beside(f, row, true),
                                     .cut_left = is_cut_beside(f, row, false)};
        for (uint32_t i = 0; i < f->nx; i++) {
            if (!f->lung[row * f->nx + i])
                continue;
            if (flanks[row].last < 0)
                flanks[row].first = (int32_t)i;
            flanks[row].last = (int32_t)i;
        }
    }
    return flanks;
}

// Whether a row of slice z (cut to the scan) has lung on both sides of column i; one_side: or on
// one, and the image ends within the body on the other, as a small field of view does beside a
// liver.
static bool has_flanks(const struct finder *f, const struct flank *flanks, size_t i, size_t j,
                       double z, bool one_side)
{
    size_t k = (size_t)fmin(fmax(z + 0.5, 0), f->nz - 1);
    const struct flank *row = &flanks[k * f->ny + j];
    const bool right = row->first<(int64_t)i, left = row->last>(int64_t) i;
    return (right && left) || (one_side && ((right && row->cut_left) || (left && row->cut_right)));
}

// Whether a ball around voxel n may be the heart's: between the lungs, not far to the right of the
// spine and not beyond the left chest wall, with lung on both sides in its row, half a radius above
// and below as well: a liver could hold a larger ball.
static bool may_be_peak(const struct finder *f, const struct flank *flanks, size_t n)
{
    const double *mm = f->out->grid.mm;
    const size_t i = n % f->nx, line = n / f->nx, j = line % f->ny, k = line / f->ny;
    const double left = ((double)i - f->out->spine_x) * mm[0];
    const double half = 0.5 * sqrt((double)f->depth2[n]) / mm[2];
    return left > -35 && left < 75 && f->between[n] == ANATOMY_HEART &&
           has_flanks(f, flanks, i, j, (double)k, true) &&
           has_flanks(f, flanks, i, j, (double)k - half, true) &&
           has_flanks(f, flanks, i, j, (double)k + half, false);
}

// The largest ball above the peak that does not touch the peak's own, mm.
static double find_rival(const struct finder *f, const struct flank *flanks)
{
    const double *mm = f->out->grid.mm;
    float best = 0;
    for (size_t n = f->peak; n < f->voxels; n++) {
        const size_t at[3] = {n % f->nx, n / f->nx % f->ny, n / f->nx / f->ny};
        double square = 0;
        for (int a = 0; a < 3; a++) {
            const double d = ((double)at[a] - f->out->peak[a]) * mm[a];
            square += d * d;
        }
        if (f->depth2[n] > best && sqrt(square) > f->out->radius_mm + sqrt((double)f->depth2[n]) &&
            may_be_peak(f, flanks, n))
            best = f->depth2[n];
    }
    return sqrt((double)best);
}

// The centre of the largest ball of soft tissue that may be the heart's. The ball lies within the
// scan.
static bool find_peak(struct finder *f)
{
    const struct flank *flanks = find_flanks(f);
    if (!flanks)
        return false;
    float best = 0;
    for (size_t n = 0; n < f->voxels; n++) {
        const size_t k = n / f->nx / f->ny, end = k < f->nz - 1 - k ? k : f->nz - 1 - k;
        const double room = ((double)end + 0.5) * mm_of(f)[2];
        f->depth2[n] = fminf(f->depth2[n], (float)(room * room));
        if (f->depth2[n] <= best || !may_be_peak(f, flanks, n))
            continue;
        best = f->depth2[n];
        f->peak = n;
        f->out->peak[0] = (double)(n % f->nx);
        f->out->peak[1] = (double)(n / f->nx % f->ny);
        f->out->peak[2] = (double)k;
    }
    f->out->radius_mm = sqrt((double)best);
    f->out->rival = best > 0 ? find_rival(f, flanks) / f->out->radius_mm : 0;
    return true;
}

// A block of 5 x 5 tissue pixels with its first one at (i, j).
static bool is_block(const struct finder *f, const uint8_t *slice, uint32_t i, uint32_t j)
{
    for (uint32_t b = j; b < j + 5; b++) {
        for (uint32_t a = i; a < i + 5; a++) {
            if (!slice[(size_t)b * f->nx + a])
                return false;
        }
    }
    return true;
}

// The right border of the tissue around the peak, vessels left out: in the slices below, a liver
// reaches beyond it.
static bool right_border(struct finder *f, const uint8_t *tissue, double *border)
{
    size_t count = 0;
    double *edges = arena_alloc(f->arena, f->nz, sizeof *edges);
    if (!edges)
        return err_set(f->err, ERR_NOMEM, "heart: border");
    for (uint32_t k = 0; k < f->nz; k++) {
        if (fabs(k - f->out->peak[2]) * mm_of(f)[2] > 10)
            continue;
        const uint8_t *slice = tissue + (size_t)k * f->ny * f->nx;
        uint32_t leftmost = f->nx;
        for (uint32_t j = 0; j + 5 <= f->ny; j++) {
            if (fabs(j + 2 - f->out->peak[1]) * mm_of(f)[1] > f->out->radius_mm)
                continue; // chest wall in front of the lungs
            for (uint32_t i = 0; i + 5 <= f->nx && i < leftmost; i++) {
                if (is_block(f, slice, i, j))
                    leftmost = i;
            }
        }
        edges[count++] = leftmost;
    }
    qsort(edges, count, sizeof *edges, by_value);
    *border = count ? edges[count / 2] - 5 / mm_of(f)[0] : 0;
    return true;
}

// Cuts the tissue to where a heart can be, given its largest ball.
static bool limit_tissue(struct finder *f, uint8_t *tissue)
{
    const double *peak = f->out->peak, dz = mm_of(f)[2], radius = f->out->radius_mm;
    double border = 0;
    if (!right_border(f, tissue, &border))
        return false;
    for (uint32_t k = 0; k < f->nz; k++) {
        double up = (k - peak[2]) * dz;
        bool outside = up < -low_radii * radius || up > high_radii * radius;
        uint8_t *slice = tissue + (size_t)k * f->ny * f->nx;
        for (size_t n = 0; n < (size_t)f->ny * f->nx; n++) {
            if (outside || (up < 0 && (double)(n % f->nx) < border))
                slice[n] = 0;
        }
    }
    return true;
}

// Opening of the tissue by a ball, keeping the piece that holds the peak.
static bool find_region(struct finder *f)
{
    const uint8_t *tissue = f->tissue;
    float *depth2 = arena_alloc(f->arena, f->voxels, sizeof *depth2);
    uint8_t *core = arena_alloc(f->arena, f->voxels, 1);
    uint8_t *region = arena_alloc(f->kept, f->voxels, 1);
    if (!depth2 || !core || !region)
        return err_set(f->err, ERR_NOMEM, "heart: region");
    if (!depth_in(f, tissue, mm_of(f), ball_mm + 2, depth2))
        return false;
    for (size_t n = 0; n < f->voxels; n++)
        core[n] = depth2[n] > ball_mm * ball_mm;
    region[f->peak] = 1; // the seed
    struct gpu_mask *cores = mask_of(f, core), *at = mask_of(f, region);
    struct gpu_mask *one =
        cores && at ? gpu_mask_keep_touching(cores, at, CONNECT_6, f->err) : NULL;
    const double reach = ball_mm + grow_mm;
    struct gpu_volume *away = one ? gpu_mask_distance2(one, reach + 2, f->err) : NULL;
    bool ok = away && gpu_volume_read(away, 0, f->nz, depth2, f->err);
    gpu_mask_destroy(cores);
    gpu_mask_destroy(at);
    gpu_mask_destroy(one);
    gpu_volume_destroy(away);
    if (!ok)
        return false;
    size_t count = 0;
    for (size_t n = 0; n < f->voxels; n++) {
        const bool in = tissue[n] && depth2[n] <= reach * reach;
        region[n] = in ? f->between[n] : ANATOMY_OUTSIDE;
        count += in;
    }
    f->out->region = region;
    f->out->region_ml = (double)count * mm_of(f)[0] * mm_of(f)[1] * mm_of(f)[2] / 1000;
    return true;
}

// Centroid and typical value of the deep part of the soft tissue around the peak.
static bool measure_core(struct finder *f)
{
    uint8_t *deep = arena_alloc(f->arena, f->voxels, 1),
            *seed = arena_alloc(f->arena, f->voxels, 1);
    uint32_t *histogram = arena_alloc(f->arena, 65536, sizeof *histogram);
    if (!deep || !seed || !histogram)
        return err_set(f->err, ERR_NOMEM, "heart: heart core");
    for (size_t n = 0; n < f->voxels; n++)
        deep[n] = f->deep[n] && f->out->region[n];
    seed[f->peak] = 1;
    struct gpu_mask *all = mask_of(f, deep), *at = mask_of(f, seed);
    struct gpu_mask *core = all && at ? gpu_mask_keep_touching(all, at, CONNECT_6, f->err) : NULL;
    bool ok = core && gpu_mask_read(core, deep, f->err);
    gpu_mask_destroy(all);
    gpu_mask_destroy(at);
    gpu_mask_destroy(core);
    if (!ok)
        return false;
    uint64_t count = 0, sum[3] = {0};
    for (size_t n = 0; n < f->voxels; n++) {
        if (!deep[n])
            continue;
        count++;
        sum[0] += n % f->nx;
        sum[1] += n / f->nx % f->ny;
        sum[2] += n / f->nx / f->ny;
        histogram[f->out->hu[n] + 32768]++;
    }
    for (int a = 0; a < 3; a++)
        f->out->centre[a] = count ? (double)sum[a] / (double)count : f->out->peak[a];
    uint64_t below = 0;
    f->out->pool_hu = NAN;
    for (int32_t v = 0; v < 65536; v++) {
        below += histogram[v];
        if (count && below * 2 >= count) {
            f->out->pool_hu = v - 32768;
            break;
        }
    }
    return true;
}

// Where a part of the aorta can be, relative to the front of the spine, and how wide it is there.
struct zone {
    double front_mm, back_mm; // rows, from the front of the spine to the back: least and most
    double right_mm, left_mm; // columns, from the spine to the left
    double reach;             // rows, from the largest ball either way, in its radii
    double below, above;      // slices, likewise
    double max_hu;            // smoothed; bone is no vessel
    double min_mm, max_mm;    // radius on the work grid
    double axis;              // of the disc's centre from the heart's core, radii, at most
    double mean_mm;           // least mean radius of the whole chain
    double length_mm;         // least
    bool rims;                // discs by their rims, as vessels beside it touch it
};
static const struct zone ascending = {-1e3, -22, -45, 45,  1.2, 0,  2.6,
                                      1e9,  9,   24,  1.1, 11,  12, true};
static const struct zone descending = {-30, 20, -15, 50,  1e3, -1.6, 2.6,
                                       120, 7,  20,  1e3, 8,   40,   false};

// A place where the distance within a slice is largest, as a disc.
struct spot {
    double x, y, radius, crowded; // mm; crowded: part of a ring around it that is soft too
    double score;
    int slice, next; // next: index of the spot above it in the chain, or -1
};

// The plateau of equal depth around pixel n: its centroid. Marks it in seen.
static void plateau(const struct finder *f, const float *depth2, size_t n, uint8_t *seen, double *x,
                    double *y)
{
    size_t *stack = f->stack, top = 0, count = 0; // each pixel is pushed once
    double sx = 0, sy = 0;
    stack[top++] = n;
    seen[n] = 1;
    while (top) {
        size_t at = stack[--top];
        int64_t i = (int64_t)(at % f->nx), j = (int64_t)(at / f->nx);
        sx += (double)i;
        sy += (double)j;
        count++;
        for (int64_t b = j - 1; b <= j + 1; b++) {
            for (int64_t a = i - 1; a <= i + 1; a++) {
                if (a < 0 || b < 0 || a >= f->nx || b >= f->ny)
                    continue;
                size_t next = (size_t)b * f->nx + (size_t)a;
                if (!seen[next] && depth2[next] == depth2[n]) {
                    seen[next] = 1;
                    stack[top++] = next;
                }
            }
        }
    }
    *x = sx / (double)count;
    *y = sy / (double)count;
}

static bool is_summit(const struct finder *f, const float *depth2, int64_t i, int64_t j)
{
    for (int64_t b = j - 2; b <= j + 2; b++) {
        for (int64_t a = i - 2; a <= i + 2; a++) {
            if (a >= 0 && b >= 0 && a < f->nx && b < f->ny &&
                depth2[b * f->nx + a] > depth2[j * f->nx + i])
                return false;
        }
    }
    return true;
}

// Part of the ring 1.5 to 5 mm outside a disc that is soft tissue as well.
static double crowding(const struct finder *f, const uint8_t *soft, const struct spot *s)
{
    const double *mm = f->out->grid.mm;
    uint32_t all = 0, set = 0;
    for (uint32_t j = 0; j < f->ny; j++) {
        double dy = (j - s->y) * mm[1];
        if (fabs(dy) > s->radius + 5)
            continue;
        for (uint32_t i = 0; i < f->nx; i++) {
            double dx = (i - s->x) * mm[0], r = sqrt(dx * dx + dy * dy) - s->radius;
            if (r > 1.5 && r < 5) {
                all++;
                set += soft[(size_t)j * f->nx + i];
            }
        }
    }
    return all ? (double)set / all : 1;
}

struct spots {
    struct spot *list;
    size_t count, room;
};

static bool keep_spot(struct finder *f, struct spots *spots, const struct spot *s)
{
    if (spots->count == spots->room) {
        size_t room = spots->room ? 2 * spots->room : 256;
        struct spot *larger = arena_alloc(f->arena, room, sizeof *larger);
        if (!larger)
            return err_set(f->err, ERR_NOMEM, "heart: aorta");
        if (spots->count)
            memcpy(larger, spots->list, spots->count * sizeof *larger);
        spots->list = larger;
        spots->room = room;
    }
    spots->list[spots->count++] = *s;
    return true;
}

// Discs of slice k that could be an aorta.
static bool add_spots(struct finder *f, const struct zone *zone, uint32_t k, const float *depth2,
                      const uint8_t *soft, uint8_t *seen, struct spots *spots)
{
    const double *mm = mm_of(f);
    size_t n = 0;
    for (int64_t j = 0; j < f->ny; j++) {
        const double behind = ((double)j - f->front[k]) * mm[1];
        const double off = fabs((double)j - f->out->peak[1]) * mm[1] / f->out->radius_mm;
        const bool here = off <= zone->reach && behind >= zone->front_mm && behind <= zone->back_mm;
        for (int64_t i = 0; i < f->nx; i++, n++) {
            const double left = ((double)i - f->out->spine_x) * mm[0];
            const double axis = hypot(((double)i - f->out->centre[0]) * mm[0],
                                      ((double)j - f->out->centre[1]) * mm[1]);
            if (!here || axis > zone->axis * f->out->radius_mm || seen[n] ||
                depth2[n] <= zone->min_mm * zone->min_mm ||
                depth2[n] >= zone->max_mm * zone->max_mm || left < zone->right_mm ||
                left > zone->left_mm || !is_summit(f, depth2, i, j))
                continue;
            struct spot s = {.radius = sqrt((double)depth2[n]), .slice = (int)k, .next = -1};
            plateau(f, depth2, n, seen, &s.x, &s.y);
            s.crowded = crowding(f, soft, &s);
            if (!keep_spot(f, spots, &s))
                return false;
        }
    }
    return true;
}

// The rim of a disc: along each of so many rays, at radii from the zone's least to its most.
#define RAYS  24
#define RADII 16
static const double rim_step_mm = 1.25; // between radii
static const double rim_in_mm = 1.5;    // of blood before the rim
static const double rim_out_mm = 2;     // and so far beyond it fat or lung
static const double rim_drop_hu = 60;   // there a ray counts whole
static const double rim_blood_hu = -10; // less within the disc is fat: the ray counts against it
static const double rim_fat_counts = 0.5;
static const double rim_least = 0.4;  // mean over all rays, of a disc in a chain
static const double rim_sure = 0.55;  // of a chain's lowest disc: middles are right within 2 mm
static const double rim_best = 0.72;  // of one disc of a chain, at least
static const double rim_left_mm = 30; // so far left of the core is no ascending aorta
static const double rim_zone_mm = 45, rim_high_mm = 95; // hearts with small balls have wide vessels
static const double rim_apart_mm = 6;                   // of two discs in a slice

// Bilinear, of slice k of the work grid; x and y in it.
static double value_at(const struct finder *f, uint32_t k, double x, double y)
{
    x = fmin(fmax(x, 0), f->nx - 1.001);
    y = fmin(fmax(y, 0), f->ny - 1.001);
    const size_t i = (size_t)x, j = (size_t)y;
    const double a = x - (double)i, b = y - (double)j;
    const int16_t *p = f->out->hu + ((size_t)k * f->ny + j) * f->nx + i;
    return (p[0] * (1 - a) + p[1] * a) * (1 - b) + (p[f->nx] * (1 - a) + p[f->nx + 1] * a) * b;
}

// How well a disc around x, y is bounded by fat or lung: the best radius, and at it the mean over
// all rays.
static double rim_of(const struct finder *f, uint32_t k, double x, double y, double min_mm,
                     double *radius_mm)
{
    const double *mm = f->out->grid.mm;
    const double ahead = rim_in_mm + rim_out_mm;
    double sum[RADII] = {0};
    for (int a = 0; a < RAYS; a++) {
        const double c = cos(2 * M_PI * a / RAYS) / mm[0], s = sin(2 * M_PI * a / RAYS) / mm[1];
        double least = INFINITY;
        for (int n = 0; n < RADII; n++) {
            const double in_mm = min_mm - rim_in_mm + n * rim_step_mm;
            const double in = value_at(f, k, x + c * in_mm, y + s * in_mm);
            const double out = value_at(f, k, x + c * (in_mm + ahead), y + s * (in_mm + ahead));
            least = fmin(least, in);
            sum[n] += least < rim_blood_hu ? -rim_fat_counts
                                           : fmin(fmax(in - out, 0), rim_drop_hu) / rim_drop_hu;
        }
    }
    int best = 0;
    for (int n = 1; n < RADII; n++)
        best = sum[n] > sum[best] ? n : best;
    *radius_mm = min_mm + best * rim_step_mm;
    return sum[best] / RAYS;
}

// Whether a place in slice k is where the zone lets a disc's middle be.
static bool in_zone(const struct finder *f, const struct zone *zone, uint32_t k, double x, double y)
{
    const double *mm = f->out->grid.mm;
    const double behind = (y - f->front[k]) * mm[1];
    const double off = fabs(y - f->out->peak[1]) * mm[1], radius = f->out->radius_mm;
    const double left = (x - f->out->spine_x) * mm[0];
    const double axis = hypot((x - f->out->centre[0]) * mm[0], (y - f->out->centre[1]) * mm[1]);
    return off <= fmax(zone->reach * radius, rim_zone_mm) && behind >= zone->front_mm &&
           behind <= zone->back_mm && axis <= fmax(zone->axis * radius, rim_zone_mm) &&
           left >= zone->right_mm && left <= zone->left_mm;
}

// Discs of slice k by their rims, the best of each neighbourhood.
static bool add_rims(struct finder *f, const struct zone *zone, uint32_t k, const uint8_t *soft,
                     struct spots *spots)
{
    const double *mm = mm_of(f);
    const size_t first = spots->count;
    for (uint32_t j = 0; j < f->ny; j++) {
        for (uint32_t i = 0; i < f->nx; i++) {
            if (!soft[(size_t)j * f->nx + i] || !in_zone(f, zone, k, i, j))
                continue;
            struct spot s = {.x = i, .y = j, .slice = (int)k, .next = -1};
            const double rim = rim_of(f, k, i, j, zone->min_mm, &s.radius);
            s.crowded = 1 - rim;
            if (rim < rim_least || s.radius > zone->max_mm)
                continue;
            bool beaten = false;
            for (size_t n = first; n < spots->count; n++) {
                struct spot *other = &spots->list[n];
                if (hypot((other->x - s.x) * mm[0], (other->y - s.y) * mm[1]) >= rim_apart_mm)
                    continue;
                if (other->crowded <= s.crowded)
                    beaten = true;
                else
                    *other = spots->list[--spots->count], n--;
            }
            if (!beaten && !keep_spot(f, spots, &s))
                return false;
        }
    }
    for (size_t n = first; n < spots->count; n++) { // half a voxel finer
        struct spot *s = &spots->list[n];
        const double x = s->x, y = s->y;
        for (int d = 0; d < 9; d++) {
            double radius = 0;
            const double ax = x + (d % 3 - 1) * 0.5, ay = y + (d < 3 ? -1 : d > 5) * 0.5;
            const double rim = rim_of(f, k, ax, ay, zone->min_mm, &radius);
            if (1 - rim < s->crowded) {
                s->crowded = 1 - rim;
                s->x = ax;
                s->y = ay;
                s->radius = radius;
            }
        }
    }
    return true;
}

// What a disc is worth in a chain. Of rims, few that are seen all round are worth more than many
// that are seen in part; the pulmonary trunk lies to the left of the aorta.
static double weigh_spot(const struct finder *f, const struct zone *zone, const struct spot *s)
{
    const double rim = fmax(0, 1 - s->crowded);
    if (!zone->rims)
        return rim;
    const double left = (s->x - f->out->centre[0]) * f->out->grid.mm[0];
    const double sure = fmax(0, rim - rim_least) / (1 - rim_least);
    return sure * sure * fmin(1, fmax(0, 1 - left / rim_left_mm));
}

// Chains discs from the top down: little movement, one radius, free edges.
static struct spot *chain_spots(struct finder *f, const struct zone *zone, struct spot *spots,
                                size_t count)
{
    const double *mm = mm_of(f);
    struct spot *best = NULL;
    for (size_t n = count; n-- > 0;) {
        struct spot *s = &spots[n];
        const double own = weigh_spot(f, zone, s) * mm[2];
        s->score = own;
        for (size_t m = n + 1; m < count; m++) {
            const struct spot *up = &spots[m];
            int gap = up->slice - s->slice;
            if (gap > 2)
                break; // spots come in the order of slices
            if (gap < 1)
                continue;
            double dx = (s->x - up->x) * mm[0], dy = (s->y - up->y) * mm[1];
            double moved = sqrt(dx * dx + dy * dy), grown = fabs(s->radius - up->radius);
            if (moved > 2.5 + 0.8 * mm[2] * gap || grown >= 4.5)
                continue;
            double score = up->score + own - 0.15 * moved - 0.2 * grown;
            if (score > s->score) {
                s->score = score;
                s->next = (int)m;
            }
        }
        if (!best || s->score > best->score)
            best = s;
    }
    return best;
}

static bool find_tube(struct finder *f, const struct zone *zone, struct anatomy_tube *tube)
{
    const struct anatomy_heart *h = f->out;
    const double flat[3] = {mm_of(f)[0], mm_of(f)[1], 1000}; // distances within slices only
    uint8_t *soft = arena_alloc(f->arena, f->voxels, 1),
            *seen = arena_alloc(f->arena, f->voxels, 1);
    float *depth2 = arena_alloc(f->arena, f->voxels, sizeof *depth2);
    struct spots found = {0};
    f->stack = arena_alloc(f->arena, (size_t)f->nx * f->ny, sizeof *f->stack);
    tube->discs = arena_alloc(f->kept, f->nz, sizeof *tube->discs);
    tube->lo = 0;
    tube->hi = -1;
    if (!soft || !seen || !depth2 || !f->stack || !tube->discs)
        return err_set(f->err, ERR_NOMEM, "heart: aorta");
    for (size_t n = 0; n < f->voxels; n++)
        soft[n] = f->between[n] && f->smooth[n] > SOFT && f->smooth[n] < zone->max_hu;
    if (!zone->rims && !depth_in(f, soft, flat, zone->max_mm + 1, depth2))
        return false;
    const size_t area = (size_t)f->nx * f->ny;
    for (uint32_t k = 0; k < f->nz; k++) {
        const double up = (k - h->peak[2]) * mm_of(f)[2];
        const double above = zone->above * h->radius_mm;
        if (up < zone->below * h->radius_mm || up > (zone->rims ? fmax(above, rim_high_mm) : above))
            continue;
        if (!(zone->rims ? add_rims(f, zone, k, soft + k * area, &found)
                         : add_spots(f, zone, k, depth2 + k * area, soft + k * area,
                                     seen + k * area, &found)))
            return false;
    }
    const struct spot *spots = found.list;
    const struct spot *lowest = chain_spots(f, zone, found.list, found.count);
    while (zone->rims && lowest && 1 - lowest->crowded < rim_sure)
        lowest = lowest->next < 0 ? NULL : &spots[lowest->next];
    double sum = 0, best = 0;
    int length = 0;
    for (const struct spot *s = lowest; s; s = s->next < 0 ? NULL : &spots[s->next]) {
        sum += s->radius;
        best = fmax(best, 1 - s->crowded);
        length++;
    }
    if (length == 0 || (zone->rims && best < rim_best) || length * mm_of(f)[2] < zone->length_mm ||
        sum / length < zone->mean_mm)
        return true;
    tube->lo = lowest->slice;
    for (const struct spot *s = lowest; s; s = s->next < 0 ? NULL : &spots[s->next]) {
        tube->hi = s->slice;
        tube->discs[s->slice] = (struct anatomy_disc){s->x, s->y, s->radius, 1 - s->crowded};
    }
    if (zone->rims)
        tube_slope(tube, mm_of(f)[2], tube->slope);
    return true;
}

static bool find_ascending(struct finder *f)
{
    return find_tube(f, &ascending, &f->out->ascending);
}

static bool find_descending(struct finder *f)
{
    return find_tube(f, &descending, &f->out->descending);
}

// Runs a step whose own arrays go with it.
static bool run_apart(struct finder *f, bool (*step)(struct finder *f))
{
    struct arena *outer = f->arena;
    f->arena = arena_create();
    const bool ok = f->arena ? step(f) : err_set(f->err, ERR_NOMEM, "heart: memory of a step");
    arena_destroy(f->arena);
    f->arena = outer;
    return ok;
}

// Standard deviation of the voxels of one slice within a disc given in grid indices; *out is NAN:
// too few.
static bool deviation(struct finder *f, double x, double y, uint32_t gk, double radius_mm,
                      double *out)
{
    const struct anatomy_grid *g = &f->out->grid;
    const struct image *v = f->image;
    uint32_t k = (g->flip[2] ? g->dim[2] - 1 - gk : gk) * g->factor[2];
    const double xyz[3] = {x, y, gk};
    double ijk[3];
    anatomy_grid_to_voxel(g, xyz, ijk);
    const double cx = ijk[0], cy = ijk[1];
    double sum = 0, squares = 0;
    uint32_t count = 0;
    *out = NAN;
    const float *slice = k < v->dim[2] ? peek_slice(f->peek, k, f->err) : NULL;
    if (!slice)
        return k >= v->dim[2]; // the last block of the grid may end beyond the volume
    uint32_t j0 = (uint32_t)fmax(0, cy - radius_mm / v->spacing[1]);
    uint32_t i0 = (uint32_t)fmax(0, cx - radius_mm / v->spacing[0]);
    for (uint32_t j = j0; j < v->dim[1] && j <= cy + radius_mm / v->spacing[1]; j++) {
        for (uint32_t i = i0; i < v->dim[0] && i <= cx + radius_mm / v->spacing[0]; i++) {
            double dx = (i - cx) * v->spacing[0], dy = (j - cy) * v->spacing[1];
            double value = slice[(size_t)j * v->dim[0] + i];
            if (dx * dx + dy * dy > radius_mm * radius_mm || !isfinite(value) ||
                fabs(value - f->out->pool_hu) > 200)
                continue; // calcium and air are no noise
            sum += value;
            squares += value * value;
            count++;
        }
    }
    if (count < 50)
        return true;
    double mean = sum / count;
    *out = sqrt(fmax(0, squares / count - mean * mean));
    return true;
}

static bool measure_noise(struct finder *f)
{
    struct anatomy_heart *h = f->out;
    double *all = arena_alloc(f->arena, f->nz, sizeof *all);
    if (!all)
        return err_set(f->err, ERR_NOMEM, "heart: noise");
    size_t count = 0;
    const bool aorta = h->ascending.lo <= h->ascending.hi;
    for (uint32_t k = 0; k < f->nz; k++) {
        const struct anatomy_disc *disc = &h->ascending.discs[k];
        double d = NAN;
        bool ok = true;
        if (aorta && disc->radius_mm > 0)
            ok = deviation(f, disc->x, disc->y, k, 0.6 * disc->radius_mm, &d);
        else if (!aorta && fabs(k - h->peak[2]) * mm_of(f)[2] < 0.4 * h->radius_mm)
            ok = deviation(f, h->peak[0], h->peak[1], k, fmin(10, 0.4 * h->radius_mm), &d);
        if (!ok)
            return false;
        if (isfinite(d))
            all[count++] = d;
    }
    qsort(all, count, sizeof *all, by_value);
    h->noise_hu = count ? all[count / 2] : NAN;
    return true;
}

// How wide the body is at the heart, and whether the image cuts the heart's region.
static void measure_edges(struct finder *f, const uint8_t *body)
{
    struct anatomy_heart *h = f->out;
    const double *mm = mm_of(f);
    const size_t k = (size_t)h->peak[2];
    int64_t lo = f->nx, hi = -1;
    for (uint32_t j = 0; j < f->ny; j++) {
        for (uint32_t i = 0; i < f->nx; i++) {
            if (!body[(k * f->ny + j) * f->nx + i])
                continue;
            lo = i < lo ? i : lo;
            hi = i > hi ? i : hi;
        }
    }
    bool cut = hi < 0 || lo == 0 || hi == (int64_t)f->nx - 1;
    h->body_width_mm = cut ? NAN : (double)(hi - lo + 1) * mm[0];
    size_t touching = 0, n = 0;
    for (uint32_t slice = 0; slice < f->nz; slice++) {
        const double up = ((double)slice - h->peak[2]) * mm[2];
        for (uint32_t j = 0; j < f->ny; j++) {
            for (uint32_t i = 0; i < f->nx; i++, n++) {
                const double back = (j - h->peak[1]) * mm[1];
                bool edge = i == 0 || j == 0 || i == f->nx - 1 || j == f->ny - 1 ||
                            (!h->spine_seen && (f->ny - 1 - j) * mm[1] < spine_gap_mm + mm[1]);
                // A liver may reach the edge, and what lies behind the heart.
                if (!h->region[n] || up < -0.8 * h->radius_mm || back > back_radii * h->radius_mm)
                    continue;
                for (int a = 0; a < 4 && !edge; a++) { // padding outside a round field of view
                    size_t next = a == 0 ? n - 1 : a == 1 ? n + 1 : a == 2 ? n - f->nx : n + f->nx;
                    edge = h->hu[next] < PADDING;
                }
                touching += edge;
            }
        }
    }
    h->edge_mm2 = (double)touching * mm[0] * mm[2];
}

// Whether the image shows the body's border on both sides in a row through the ball.
static bool is_whole(const struct finder *f, uint32_t k, uint32_t j)
{
    const size_t row = ((size_t)k * f->ny + j) * f->nx;
    uint32_t lo = 0, hi = f->nx - 1;
    while (lo < hi && !f->body[row + lo])
        lo++;
    while (hi > lo && !f->body[row + hi])
        hi--;
    const int16_t *hu = f->out->hu + row;
    return lo > 0 && hi < f->nx - 1 && hu[lo - 1] >= PADDING && hu[hi + 1] >= PADDING;
}

// Whether slice k has lung on both sides of the middle of the heart's core, not far from it, in
// some row through it. The diaphragm stands beside the heart's lower half: one side is enough below
// the middle, where the image shows the whole width of the body.
static bool is_flanked(const struct finder *f, uint32_t k, bool one_side)
{
    const struct anatomy_heart *h = f->out;
    const double *mm = h->grid.mm;
    for (uint32_t j = 0; j < f->ny; j++) {
        const uint8_t *lung = f->lung + ((size_t)k * f->ny + j) * f->nx;
        bool right = false, left = false;
        if (fabs(j - h->centre[1]) * mm[1] > 0.5 * h->radius_mm)
            continue;
        for (uint32_t i = 0; i < f->nx; i++) {
            double side = (i - h->centre[0]) * mm[0];
            if (!lung[i] || fabs(side) > h->radius_mm + flank_mm)
                continue;
            right = right || side < 0;
            left = left || side > 0;
        }
        if ((right && left) || (one_side && (right || left) && is_whole(f, k, j)))
            return true;
    }
    return false;
}

static void measure_flanks(struct finder *f)
{
    struct anatomy_heart *h = f->out;
    uint32_t slices = 0, flanked = 0;
    for (uint32_t k = 0; k < f->nz; k++) {
        if (fabs(k - h->centre[2]) * mm_of(f)[2] > 0.5 * h->radius_mm)
            continue;
        slices++;
        flanked += is_flanked(f, k, k < h->centre[2]);
    }
    h->flanked = slices ? (double)flanked / slices : 0;
    h->lowest_flanked = is_flanked(f, 0, false);
}

// The largest ball of soft tissue, and what of the tissue is deep for a ball of that size.
static bool find_ball(struct finder *f)
{
    uint8_t *soft = arena_alloc(f->arena, f->voxels, 1);
    f->depth2 = arena_alloc(f->arena, f->voxels, sizeof *f->depth2);
    if (!soft || !f->depth2)
        return err_set(f->err, ERR_NOMEM, "heart: ball");
    for (size_t n = 0; n < f->voxels; n++)
        soft[n] = f->tissue[n] && f->smooth[n] > SOFT;
    if (!depth_in(f, soft, mm_of(f), far_mm, f->depth2) || !find_peak(f))
        return false;
    const double near2 = 0.45 * 0.45 * f->out->radius_mm * f->out->radius_mm;
    for (size_t n = 0; n < f->voxels; n++)
        f->deep[n] = f->depth2[n] > near2;
    f->depth2 = NULL;
    return true;
}

// Distance of every voxel to the nearest one of a set, in steps.
static bool distance_to(struct finder *f, const uint8_t *set, const uint8_t **out)
{
    const size_t area = (size_t)f->nx * f->ny;
    float *squares = malloc(area * sizeof *squares);
    uint8_t *steps = arena_alloc(f->kept, f->voxels, 1);
    if (!squares || !steps) {
        free(squares);
        return err_set(f->err, ERR_NOMEM, "heart: distances");
    }
    struct gpu_mask *m = mask_of(f, set);
    struct gpu_volume *d = m ? gpu_mask_distance2(m, far_mm, f->err) : NULL;
    bool ok = d != NULL;
    gpu_mask_destroy(m);
    *out = steps;
    for (uint32_t k = 0; ok && k < f->nz; k++) {
        ok = gpu_volume_read(d, k, k + 1, squares, f->err);
        for (size_t n = 0; ok && n < area; n++)
            *steps++ = (uint8_t)fmin(255, round(sqrt((double)squares[n]) / ANATOMY_STEP_MM));
    }
    gpu_volume_destroy(d);
    free(squares);
    return ok;
}

// Pieces of bone, calcified cartilage too; no lesion is as large on this grid.
static bool find_bone(struct finder *f)
{
    struct gpu_mask *dense = gpu_mask_threshold(f->work, HARD, INT16_MAX, f->err);
    const double voxel_mm3 = mm_of(f)[0] * mm_of(f)[1] * mm_of(f)[2];
    struct gpu_mask *bone =
        dense ? gpu_mask_keep_size(dense, (uint32_t)ceil(bone_mm3 / voxel_mm3), CONNECT_6, f->err)
              : NULL;
    uint8_t *bytes = bone ? bytes_of(f, bone) : NULL;
    gpu_mask_destroy(dense);
    gpu_mask_destroy(bone);
    return bytes && distance_to(f, bytes, &f->out->to_bone);
}

static bool find_heart_fat(struct finder *f)
{
    struct anatomy_heart *h = f->out;
    uint8_t *fat = arena_alloc(f->arena, f->voxels, 1);
    if (!fat)
        return err_set(f->err, ERR_NOMEM, "heart: distances");
    if (!distance_to(f, f->lung, &h->to_air) || !distance_to(f, h->region, &h->to_region))
        return false;
    for (size_t n = 0; n < f->voxels; n++)
        fat[n] = f->smooth[n] > FATTY && f->smooth[n] < FAT_HIGH &&
                 h->to_air[n] * ANATOMY_STEP_MM > rim_mm;
    return distance_to(f, fat, &h->to_fat);
}

// The largest ball, the heart's region and core, from the tissue between the lungs.
static bool find_region_and_core(struct finder *f, const char **why)
{
    struct anatomy_heart *h = f->out;
    uint8_t *tissue = arena_alloc(f->arena, f->voxels, 1);
    f->deep = arena_alloc(f->arena, f->voxels, 1);
    if (!tissue || !f->deep)
        return err_set(f->err, ERR_NOMEM, "heart: tissue");
    for (size_t n = 0; n < f->voxels; n++) {
        size_t j = n / f->nx % f->ny, k = n / f->nx / f->ny;
        bool front = (double)j < f->front[k] - spine_gap_mm / mm_of(f)[1];
        tissue[n] = f->between[n] && front && f->smooth[n] > FATTY;
    }
    f->tissue = tissue;
    if (!run_apart(f, find_ball))
        return false;
    if (h->radius_mm < radius_min_mm || h->radius_mm > radius_max_mm) {
        *why = f->cut ? "no heart with lung on both sides: the field of view may cut it"
                      : "no heart found between the lungs";
        return true;
    }
    h->radius_mm = fmax(h->radius_mm, radius_least_mm);
    h->below = (h->peak[2] + 0.5) * mm_of(f)[2] / h->radius_mm;
    h->above = (f->nz - h->peak[2] - 0.5) * mm_of(f)[2] / h->radius_mm;
    if (!limit_tissue(f, tissue) || !run_apart(f, find_region) || !run_apart(f, measure_core))
        return false;
    measure_flanks(f);
    return true;
}

static bool locate(struct finder *f, const char **why)
{
    struct arena *kept = f->arena;
    f->arena = arena_create(); // tissue and depths: 2 bytes a voxel that the rest does not need
    bool ok = f->arena ? find_region_and_core(f, why) : err_set(f->err, ERR_NOMEM, "heart: tissue");
    arena_destroy(f->arena);
    f->arena = kept;
    f->tissue = f->deep = NULL;
    if (!ok || **why)
        return ok;
    return run_apart(f, find_ascending) && run_apart(f, find_descending) &&
           run_apart(f, find_heart_fat) && run_apart(f, find_bone);
}

static bool find(struct finder *f, const char **why)
{
    bool any = false, ok = false;
    struct gpu_mask *body = find_body(f);
    uint8_t *body_bytes = body ? bytes_of(f, body) : NULL;
    f->body = body_bytes;
    if (body_bytes && find_lungs(f, body, body_bytes, &any)) {
        ok = true;
        if (!any)
            *why = "no lungs found: these images show no chest";
    }
    gpu_mask_destroy(body);
    if (!ok || **why)
        return ok;
    const double sigma[3] = {work_mm, work_mm, work_mm};
    f->smooth = arena_alloc(f->arena, f->voxels, sizeof *f->smooth);
    if (!f->smooth)
        return err_set(f->err, ERR_NOMEM, "heart: work grid");
    struct gpu_volume *smooth = gpu_volume_smooth(f->work, sigma, f->err);
    ok = smooth && gpu_volume_read(smooth, 0, f->nz, f->smooth, f->err);
    gpu_volume_destroy(smooth);
    f->front = arena_alloc(f->kept, f->nz, sizeof *f->front);
    if (!f->front)
        return err_set(f->err, ERR_NOMEM, "heart: spine");
    if (!ok || !find_between(f) || !run_apart(f, find_spine) || !smooth_front(f) ||
        !run_apart(f, extend_front))
        return false;
    if (f->filled) {
        *why = "contrast agent: the heart is as bright as bone";
        return true;
    }
    if (!locate(f, why))
        return false;
    if (!**why)
        measure_edges(f, body_bytes);
    return true;
}

bool anatomy_heart_find(struct gpu *gpu, const struct gpu_volume *hu, struct peek *peek,
                        const struct image *v, struct arena *arena, struct anatomy_heart *out,
                        const char **why, struct err *err)
{
    struct finder f = {.gpu = gpu,
                       .kept = arena,
                       .arena = arena_create(),
                       .err = err,
                       .image = v,
                       .peek = peek,
                       .out = out};
    *out = (struct anatomy_heart){0};
    *why = "";
    if (!f.arena)
        return err_set(err, ERR_NOMEM, "heart: memory");
    struct gpu_volume *work = NULL;
    bool ok = true;
    if (!anatomy_grid_orient(v, &out->grid)) {
        *why = "the slices are not axial";
    } else {
        ok = heart_grid(&f, hu, &work);
        f.work = work;
        ok = ok && find(&f, why);
    }
    gpu_volume_destroy(work);
    arena_destroy(f.arena);
    f.arena = arena;
    return ok && (**why || measure_noise(&f));
}
