#include "compute/stages/perfusion/perfusion_motion.h"
#include <math.h>
#include <string.h>

enum { FREE = 6 }; // shift along x, y, z; turn about x, y, z

static const float least_hu = 0, most_hu = 800; // water; bone
static const float bone_hu = 300;
static const uint32_t smoothings[PERFUSION_TRACK_LEVELS] = {8, 1};  // by 1 2 1
static const double steep_hu_mm[PERFUSION_TRACK_LEVELS] = {15, 40}; // of an edge of bone
static const uint32_t edges_min = 300, edges_max = 6000;
static const uint32_t turning_slices_min = 3; // fewer do not tell a nod from a shift
// Of the squares of the gradients, through slices by within them: bone that is more alike in all
// slices (by less than 2 degrees) does not tell how far a head moves through them.
static const double through_min = 1e-3;
static const double huber_hu = 100, cap_hu = 300;
static const double settled_mm = 0.005, arm_mm = 80; // of a step; from the centre of a head to bone
static const uint32_t steps_max = 25;
static const double damping = 1e-3; // of each step
static const double seen_min = 0.5; // part of the edges that have to be within the slices

const struct perfusion_pose perfusion_still = {.turn = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};

// ---- Images to compare --------------------------------------------------------------------------

// out = 1 2 1 of three rows. Pointers that do not overlap, so that compilers use vectors.
static void smooth_rows(size_t count, const float *restrict before, const float *restrict here,
                        const float *restrict after, float *restrict out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = 0.5f * here[i] + 0.25f * (before[i] + after[i]);
}

// 1 2 1 along rows and columns; `to` and `spare` swap roles inside, the result is in `to`.
static void smooth_once(const uint32_t dim[3], float *to, float *spare)
{
    const size_t row = dim[0], rows = (size_t)dim[1] * dim[2];
    for (size_t r = 0; row > 0 && r < rows; r++) {
        const float *in = to + r * row;
        float *out = spare + r * row;
        const size_t last = row - 1, second = last > 0 ? 1 : 0;
        out[0] = 0.5f * in[0] + 0.25f * (in[0] + in[second]);
        if (last > 1)
            smooth_rows(last - 1, in, in + 1, in + 2, out + 1);
        out[last] = 0.5f * in[last] + 0.25f * (in[last - second] + in[last]);
    }
    for (size_t r = 0; r < rows; r++) {
        const size_t j = dim[1] ? r % dim[1] : 0;
        const float *here = spare + r * row, *up = j > 0 ? here - row : here;
        const float *down = j + 1 < dim[1] ? here + row : here;
        smooth_rows(row, up, here, down, to + r * row);
    }
}

static void cut_values(const struct perfusion_track *t, const float *values, float *to)
{
    const size_t count = (size_t)t->dim[0] * t->dim[1] * t->dim[2];
    for (size_t n = 0; n < count; n++)
        to[n] = values[n] < least_hu ? least_hu : values[n] > most_hu ? most_hu : values[n];
}

static double place_of(const struct perfusion_track *t, int axis, double index)
{
    return (index + 0.5 - t->dim[axis] / 2.0) * t->spacing[axis];
}

static void bone_centre(const struct perfusion_track *t, const float *image, double centre[2])
{
    const size_t columns = t->dim[0], rows = t->dim[1], count = columns * rows * t->dim[2];
    double sum[3] = {0, 0, 0};
    for (size_t n = 0; n < count; n++) {
        if (image[n] < bone_hu)
            continue;
        sum[0] += (double)(n % columns);
        sum[1] += (double)(n / columns % rows);
        sum[2]++;
    }
    for (int a = 0; a < 2; a++)
        centre[a] = sum[2] > 0 ? place_of(t, a, sum[a] / sum[2]) : 0;
}

// ---- Edges --------------------------------------------------------------------------------------

static bool steep_at(const struct perfusion_track *t, const float *image, const uint32_t at[3],
                     double steep, double g[3])
{
    const size_t step[3] = {1, t->dim[0], (size_t)t->dim[0] * t->dim[1]};
    const float *here = image + at[2] * step[2] + at[1] * step[1] + at[0];
    for (int a = 0; a < 3; a++) {
        const bool first = at[a] == 0, last = at[a] + 1 == t->dim[a];
        if (a < 2 && (first || last))
            return false;
        const double far = (2 - first - last) * t->spacing[a];
        const float *before = first ? here : here - step[a], *after = last ? here : here + step[a];
        g[a] = far > 0 ? ((double)*after - (double)*before) / far : 0;
    }
    return hypot(g[0], g[1]) > steep;
}

static void keep_edge(const struct perfusion_track *t, struct perfusion_edges *e, float value,
                      const uint32_t at[3], const double g[3])
{
    for (int a = 0; a < 3; a++) {
        e->place[e->count][a] = (float)place_of(t, a, at[a]);
        e->gradient[e->count][a] = (float)g[a];
        e->steep += g[a] * g[a];
    }
    e->through += g[2] * g[2];
    e->value[e->count++] = value;
}

// Counts the steep places, and keeps each `stride`-th of them in e, unless it is NULL.
static uint32_t walk_edges(const struct perfusion_track *t, const float *image, double steep,
                           uint32_t stride, struct perfusion_edges *e)
{
    uint32_t found = 0, at[3];
    double g[3];
    size_t n = 0;
    for (at[2] = 0; at[2] < t->dim[2]; at[2]++) {
        for (at[1] = 0; at[1] < t->dim[1]; at[1]++) {
            for (at[0] = 0; at[0] < t->dim[0]; at[0]++, n++) {
                if (steep_at(t, image, at, steep, g) && found++ % stride == 0 && e)
                    keep_edge(t, e, image[n], at, g);
            }
        }
    }
    return found;
}

static bool find_edges(const struct perfusion_track *t, const float *image, double steep,
                       struct perfusion_edges *e, struct arena *arena)
{
    const uint32_t found = walk_edges(t, image, steep, 1, NULL);
    *e = (struct perfusion_edges){0};
    if (found < edges_min)
        return true;
    const uint32_t stride = (found + edges_max - 1) / edges_max;
    e->place = arena_alloc(arena, found / stride + 1, sizeof *e->place);
    e->gradient = arena_alloc(arena, found / stride + 1, sizeof *e->gradient);
    e->value = arena_alloc(arena, found / stride + 1, sizeof *e->value);
    if (!e->place || !e->gradient || !e->value)
        return false;
    walk_edges(t, image, steep, stride, e);
    e->through /= e->steep;
    e->steep = sqrt(e->steep / e->count);
    return true;
}

bool perfusion_track_init(struct perfusion_track *t, const uint32_t dim[3], const double spacing[3],
                          const float *values, struct arena *arena)
{
    const size_t count = (size_t)dim[0] * dim[1] * dim[2];
    *t = (struct perfusion_track){.dim = {dim[0], dim[1], dim[2]},
                                  .spacing = {spacing[0], spacing[1], spacing[2]}};
    for (int n = 0; n < 3; n++) {
        t->image[n] = arena_alloc(arena, count, sizeof *t->image[n]);
        if (!t->image[n])
            return false;
    }
    for (int level = 0; level < PERFUSION_TRACK_LEVELS; level++) {
        cut_values(t, values, t->image[0]);
        if (level == 0)
            bone_centre(t, t->image[0], t->bone);
        for (uint32_t n = 0; n < smoothings[level]; n++)
            smooth_once(dim, t->image[0], t->image[2]);
        if (!find_edges(t, t->image[0], steep_hu_mm[level], &t->edges[level], arena))
            return false;
    }
    t->through =
        dim[2] >= turning_slices_min && t->edges[PERFUSION_TRACK_LEVELS - 1].through >= through_min;
    return true;
}

// ---- The pose -----------------------------------------------------------------------------------

static void move_place(const struct perfusion_pose *p, const float x[3], double y[3])
{
    for (int a = 0; a < 3; a++)
        y[a] = p->turn[a][0] * (double)x[0] + p->turn[a][1] * (double)x[1] +
               p->turn[a][2] * (double)x[2] + p->shift[a];
}

// Trilinear. False: not within the image.
static bool sample(const struct perfusion_track *t, const float *image, const double y[3],
                   double *value)
{
    size_t low[3];
    double part[3];
    for (int a = 0; a < 3; a++) {
        const double at = y[a] / t->spacing[a] + t->dim[a] / 2.0 - 0.5;
        if (!(at > -0.01) || !(at < t->dim[a] - 0.99))
            return false;
        low[a] = at > 0 ? (size_t)at : 0;
        low[a] -= low[a] > 0 && low[a] + 1 >= t->dim[a];
        part[a] = t->dim[a] > 1 ? at - (double)low[a] : 0;
    }
    const size_t row = t->dim[0], slice = row * t->dim[1];
    const size_t up = t->dim[2] > 1 ? slice : 0;
    const float *p = image + low[2] * slice + low[1] * row + low[0];
    const double x = part[0], v = part[1], z = part[2];
    const double a = (1 - v) * ((1 - x) * (double)p[0] + x * (double)p[1]) +
                     v * ((1 - x) * (double)p[row] + x * (double)p[row + 1]);
    p += up;
    const double b = (1 - v) * ((1 - x) * (double)p[0] + x * (double)p[1]) +
                     v * ((1 - x) * (double)p[row] + x * (double)p[row + 1]);
    *value = a + (b - a) * z;
    return true;
}

// What is left: root mean square of the differences, of which each counts for cap_hu at most.
static double misfit_of(const struct perfusion_track *t, const struct perfusion_edges *e,
                        const float *image, const struct perfusion_pose *p)
{
    double sum = 0, y[3], value;
    uint32_t seen = 0;
    for (uint32_t n = 0; n < e->count; n++) {
        move_place(p, e->place[n], y);
        if (!sample(t, image, y, &value))
            continue;
        const double d = fmin(fabs(value - (double)e->value[n]), cap_hu);
        sum += d * d;
        seen++;
    }
    return seen < seen_min * e->count ? (double)INFINITY : sqrt(sum / seen);
}

// Solves a * x = b of a symmetric positive matrix; a is used up.
static bool solve(double a[FREE][FREE], double b[FREE], int count)
{
    for (int i = 0; i < count; i++) {
        if (!(a[i][i] > 0))
            return false;
        for (int r = i + 1; r < count; r++) {
            const double f = a[r][i] / a[i][i];
            for (int c = i; c < count; c++)
                a[r][c] -= f * a[i][c];
            b[r] -= f * b[i];
        }
    }
    for (int i = count - 1; i >= 0; i--) {
        for (int c = i + 1; c < count; c++)
            b[i] -= a[i][c] * b[c];
        b[i] /= a[i][i];
    }
    return true;
}

// pose after the inverse of a small motion: first shift, then turn.
static void take_back(struct perfusion_pose *p, const double shift[3], const double turn[3])
{
    const double angle = sqrt(turn[0] * turn[0] + turn[1] * turn[1] + turn[2] * turn[2]);
    double back[3][3], turned[3][3], moved[3];
    for (int r = 0; r < 3; r++) { // Rodrigues, of the axis -turn
        for (int c = 0; c < 3; c++) {
            const double k = angle > 0 ? turn[r] * turn[c] / (angle * angle) : 0;
            back[r][c] = (r == c ? cos(angle) : 0) + (1 - cos(angle)) * k;
        }
    }
    for (int r = 0; r < 3 && angle > 0; r++) {
        const int c = (r + 1) % 3, third = (r + 2) % 3;
        back[r][c] += sin(angle) * turn[third] / angle;
        back[c][r] -= sin(angle) * turn[third] / angle;
    }
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 3; c++)
            turned[r][c] = p->turn[r][0] * back[0][c] + p->turn[r][1] * back[1][c] +
                           p->turn[r][2] * back[2][c];
    }
    memcpy(p->turn, turned, sizeof turned);
    for (int r = 0; r < 3; r++)
        moved[r] = turned[r][0] * shift[0] + turned[r][1] * shift[1] + turned[r][2] * shift[2];
    for (int r = 0; r < 3; r++)
        p->shift[r] -= moved[r];
}

// One step of Gauss-Newton; how far it went, in mm at the bone. Negative: it cannot be taken.
static double take_step(const struct perfusion_track *t, const struct perfusion_edges *e,
                        const float *image, struct perfusion_pose *p)
{
    static const int all[FREE] = {0, 1, 2, 3, 4, 5}, flat[] = {0, 1, 5};
    const int count = t->through ? FREE : 3, *which = t->through ? all : flat;
    double a[FREE][FREE] = {{0}}, b[FREE] = {0}, y[3], value;
    for (uint32_t n = 0; n < e->count; n++) {
        const float *g = e->gradient[n], *x = e->place[n];
        move_place(p, x, y);
        if (!sample(t, image, y, &value))
            continue;
        const double d = value - (double)e->value[n];
        const double weight = fabs(d) > huber_hu ? huber_hu / fabs(d) : 1;
        const double full[FREE] = {(double)g[0],
                                   (double)g[1],
                                   (double)g[2],
                                   (double)x[1] * (double)g[2] - (double)x[2] * (double)g[1],
                                   (double)x[2] * (double)g[0] - (double)x[0] * (double)g[2],
                                   (double)x[0] * (double)g[1] - (double)x[1] * (double)g[0]};
        for (int r = 0; r < count; r++) {
            const double w = weight * full[which[r]];
            b[r] += w * d;
            for (int c = r; c < count; c++)
                a[r][c] += w * full[which[c]];
        }
    }
    for (int r = 0; r < count; r++) {
        a[r][r] *= 1 + damping;
        for (int c = 0; c < r; c++)
            a[r][c] = a[c][r];
    }
    if (!solve(a, b, count))
        return -1;
    double by[FREE] = {0};
    for (int r = 0; r < count; r++)
        by[which[r]] = b[r];
    take_back(p, by, by + 3);
    return hypot(hypot(by[0], by[1]), by[2]) + arm_mm * hypot(hypot(by[3], by[4]), by[5]);
}

static void settle_pose(const struct perfusion_track *t, int level, const float *image,
                        struct perfusion_pose *p)
{
    double step = INFINITY;
    for (uint32_t n = 0; n < steps_max && step > settled_mm; n++)
        step = take_step(t, &t->edges[level], image, p);
}

static void describe_pose(const struct perfusion_track *t, const float *image,
                          struct perfusion_pose *p)
{
    const struct perfusion_edges *e = &t->edges[PERFUSION_TRACK_LEVELS - 1];
    double sum = 0, y[3];
    for (uint32_t n = 0; n < e->count; n++) {
        move_place(p, e->place[n], y);
        for (int a = 0; a < 3; a++)
            y[a] -= (double)e->place[n][a];
        sum += sqrt(y[0] * y[0] + y[1] * y[1] + y[2] * y[2]);
    }
    p->moved_mm = sum / e->count;
    p->degrees =
        acos(fmin((p->turn[0][0] + p->turn[1][1] + p->turn[2][2] - 1) / 2, 1)) * 180 / M_PI;
    p->left_mm = misfit_of(t, e, image, p) / e->steep;
}

void perfusion_track_pose(struct perfusion_track *t, const float *values,
                          const struct perfusion_pose *near, struct perfusion_pose *out)
{
    float *fine = t->image[0], *coarse = t->image[1];
    const struct perfusion_edges *first = &t->edges[0];
    struct perfusion_pose start[3] = {perfusion_still, *near, perfusion_still};
    double centre[2], best = INFINITY;
    cut_values(t, values, fine);
    bone_centre(t, fine, centre);
    for (uint32_t n = 0; n < smoothings[PERFUSION_TRACK_LEVELS - 1]; n++)
        smooth_once(t->dim, fine, t->image[2]);
    memcpy(coarse, fine, (size_t)t->dim[0] * t->dim[1] * t->dim[2] * sizeof *coarse);
    for (uint32_t n = smoothings[PERFUSION_TRACK_LEVELS - 1]; n < smoothings[0]; n++)
        smooth_once(t->dim, coarse, t->image[2]);
    start[2].shift[0] = centre[0] - t->bone[0];
    start[2].shift[1] = centre[1] - t->bone[1];
    *out = perfusion_still;
    for (int n = 0; n < 3; n++) {
        const double misfit = misfit_of(t, first, coarse, &start[n]);
        *out = misfit < best ? start[n] : *out;
        best = fmin(misfit, best);
    }
    for (int level = 0; level < PERFUSION_TRACK_LEVELS; level++)
        settle_pose(t, level, level == 0 ? coarse : fine, out);
    describe_pose(t, fine, out);
}

void perfusion_pose_map(const struct perfusion_track *t, const struct perfusion_pose *pose,
                        const double spacing[3], double map[3][4])
{
    for (int r = 0; r < 3; r++) {
        const double middle = t->dim[r] * t->spacing[r] / 2; // from the corner
        map[r][3] = (pose->shift[r] + middle) / spacing[r] - 0.5;
        for (int c = 0; c < 3; c++) {
            const double from = 0.5 * spacing[c] - t->dim[c] * t->spacing[c] / 2;
            map[r][c] = pose->turn[r][c] * spacing[c] / spacing[r];
            map[r][3] += pose->turn[r][c] * from / spacing[r];
        }
    }
}
