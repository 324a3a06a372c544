#include <math.h>
#include <pthread.h>
#include <string.h>
#include "compute/image/kind.h"
#include "compute/image/load.h"
#include "compute/stages/perfusion/perfusion_job.h"

static const double pixel_work_mm = 1.8, slice_work_mm = 5; // of the work grid, about
static const uint32_t points_min = 15;
static const double step_max_s = 3.6, gap_max_s = 8; // longer ones miss the peak of an artery
static const double length_min_s = 30;
static const double air_hu = -300, soft_hu[2] = {0, 100};
static const double dropped_share_max = 0.15; // of the points
// A smaller motion is not corrected, since resampling blurs more than it mends.
static const double resample_mm = 0.3;
// Where the head has left the slices by more, what is there then is not known; of so much of the
// soft tissue of a slice.
static const double outside_mm = 1.5, outside_share = 0.1;
static const double slices_share_min = 0.5;  // that have to be left
static const double arrival_least_hu = 0.25; // noise of the mean of a hundred voxels and more
static const double arrival_share = 0.05;    // of the rise of the brain's mean
static const uint32_t before_min = 2;        // steps
static const double rise_min_hu = 1;         // of the brain's mean

// ---- The scan -----------------------------------------------------------------------------------

static bool check_perfusion_scan(struct perfusion_job *j)
{
    const struct image *v = j->v;
    struct image_nature nature;
    char text[320];
    if (strcmp(v->unit, "[hnsf'U]") != 0)
        return PERFUSION_REFUSE(j, "not a CT in Hounsfield units");
    image_nature(j->run->set, v, &nature);
    if (nature.kind > IMAGE_MIXED)
        return PERFUSION_REFUSE(j, "%s: its values are no attenuation as acquired",
                                image_nature_text(&nature, text, sizeof text));
    if (v->dim[3] < 2)
        return PERFUSION_REFUSE(j, "one image of each place: a perfusion scan has them in time");
    if (v->axis != IMAGE_TIME || !v->at)
        return PERFUSION_REFUSE(j, "%s: they are not told apart by time",
                                image_points_text(v, text, sizeof text));
    if (v->dim[3] < points_min)
        return PERFUSION_REFUSE(j, "%u points in time (at least %u)", v->dim[3], points_min);
    if (!(v->spacing[2] > 0))
        return PERFUSION_REFUSE(j, "the distance between slices is not known");
    const char up = image_direction(v, 2), right = image_direction(v, 0);
    if ((up != 'H' && up != 'F') || (right != 'L' && right != 'R'))
        return PERFUSION_REFUSE(j, "slices are not axial with rows from side to side");
    return true;
}

// The work grid: means of blocks, as fine as the blur of a perfusion scan deserves.
static bool make_grid(struct perfusion_job *j)
{
    const struct image *v = j->v;
    struct perfusion_result *r = &j->r;
    uint32_t fine[3];
    gpu_shrink_factors(v->spacing, pixel_work_mm, r->factor);
    gpu_shrink_factors(v->spacing, slice_work_mm, fine);
    r->factor[1] = r->factor[0];
    r->factor[2] = fine[2];
    for (int a = 0; a < 3; a++) {
        r->dim[a] = (v->dim[a] + r->factor[a] - 1) / r->factor[a];
        r->spacing[a] = v->spacing[a] * r->factor[a];
    }
    r->points = v->dim[3];
    j->voxels = (size_t)r->dim[0] * r->dim[1] * r->dim[2];
    j->mean = arena_alloc(j->arena, r->points, sizeof *j->mean);
    j->soft = arena_alloc(j->arena, j->voxels, 1);
    j->solid = arena_alloc(j->arena, j->voxels, 1);
    r->moved_mm = arena_alloc(j->arena, r->points, sizeof *r->moved_mm);
    r->moved_at = arena_alloc(j->arena, r->points, sizeof *r->moved_at);
    r->pose = arena_alloc(j->arena, r->points, sizeof *r->pose);
    j->slice_used = arena_alloc(j->arena, r->dim[2], 1);
    return (j->mean && j->soft && j->solid && r->moved_mm && r->moved_at && r->pose &&
            j->slice_used) ||
           perfusion_no_memory(j);
}

static bool is_solid(const struct perfusion_job *j, size_t at)
{
    return (double)j->values[at] > air_hu;
}

// What is soft and what is no air in the first point, and how much of that lies next to air.
static void look_at_first(struct perfusion_job *j)
{
    const size_t columns = j->r.dim[0], rows = j->r.dim[1];
    for (size_t n = 0; columns && rows && n < j->voxels; n++) {
        const size_t i = n % columns, row = n / columns % rows;
        j->soft[n] = (double)j->values[n] >= soft_hu[0] && (double)j->values[n] <= soft_hu[1];
        j->solid[n] = is_solid(j, n);
        j->surface += j->solid[n] &&
                      ((i > 0 && !is_solid(j, n - 1)) || (i + 1 < columns && !is_solid(j, n + 1)) ||
                       (row > 0 && !is_solid(j, n - columns)) ||
                       (row + 1 < rows && !is_solid(j, n + columns)));
    }
}

// The mean of soft tissue, and how far the head has moved since the first point: as its bone says,
// or, where there is none to be seen, its outline. A disc of radius r that moves by d changes 4 r d
// of its area and has 4 sqrt(2) r edge pixels.
static void look_at_point(struct perfusion_job *j, uint32_t point)
{
    double sum = 0, changed = 0;
    uint64_t count = 0;
    for (size_t n = 0; n < j->voxels; n++) {
        sum += j->soft[n] ? (double)j->values[n] : 0;
        count += j->soft[n];
        changed += is_solid(j, n) != (j->solid[n] != 0);
    }
    j->mean[point] = count ? sum / (double)count : 0;
    j->r.moved_mm[point] = perfusion_tracked(j) ? j->r.pose[point].moved_mm
                           : j->surface > 0     ? sqrt(2) * changed / j->surface * j->r.spacing[0]
                                                : 0;
}

static bool whole(const struct perfusion_job *j, uint32_t point)
{
    for (uint32_t k = 0; k < j->v->dim[2]; k++) {
        if (image_frame_at(j->v, k, point) == IMAGE_NO_FRAME)
            return false;
    }
    return true;
}

// ---- Loading ------------------------------------------------------------------------------------

// A point between being decoded and being where the head was at first. How the head has moved is
// looked for beside the decoding of the next point.
struct coming {
    struct perfusion_job *j;
    uint32_t point;
    bool seen; // a whole point has come before
    struct gpu_volume *value;
    float *values; // [voxels of the work grid]
    pthread_t thread;
    bool waiting, beside; // it is not settled; by the thread
};

// Puts a point where the head was at the first one.
static bool put_point(struct coming *c, const struct gpu_volume *blocks)
{
    struct perfusion_job *j = c->j;
    const struct perfusion_result *r = &j->r;
    struct gpu_volume *moved = NULL;
    if (r->pose[c->point].moved_mm > resample_mm) {
        double map[3][4];
        perfusion_pose_map(&j->track, &r->pose[c->point], j->v->spacing, map);
        moved = gpu_volume_resample(c->value, c->value->dim, c->value->spacing, map, j->err);
        if (!moved)
            return false;
    }
    const bool ok = perfusion_put(j->scanned, r->points, c->point, moved ? moved : c->value,
                                  r->factor, blocks, j->err) &&
                    gpu_volume_read(blocks, 0, r->dim[2], c->values, j->err);
    gpu_volume_destroy(moved);
    return ok;
}

// The first whole point is what the others are compared with.
static bool start_tracking(struct perfusion_job *j)
{
    look_at_first(j);
    if (!j->p[P_CORRECT].truth)
        return true;
    return perfusion_track_init(&j->track, j->r.dim, j->r.spacing, j->values, j->arena) ||
           perfusion_no_memory(j);
}

// A point that lacks slices is taken to be where the one before was.
static void find_pose(struct coming *c)
{
    struct perfusion_job *j = c->j;
    struct perfusion_pose *pose = &j->r.pose[c->point];
    const struct perfusion_pose *before = c->point > 0 ? pose - 1 : &perfusion_still;
    if (whole(j, c->point) && perfusion_tracked(j))
        perfusion_track_pose(&j->track, c->values, before, pose);
    else
        *pose = *before;
}

static void *find_pose_beside(void *coming)
{
    find_pose(coming);
    return NULL;
}

// Begins to look for its pose; the point before is settled.
static void begin_pose(struct coming *c)
{
    c->waiting = true;
    if (!c->seen)
        return; // it is where it is
    c->beside = pthread_create(&c->thread, NULL, find_pose_beside, c) == 0;
    if (!c->beside)
        find_pose(c);
}

// Puts it anew where the head has moved, and looks at it.
static bool settle_point(struct coming *c, const struct gpu_volume *blocks, bool *seen)
{
    struct perfusion_job *j = c->j;
    if (!c->waiting)
        return true;
    if (c->beside)
        pthread_join(c->thread, NULL);
    c->waiting = c->beside = false;
    const bool all = whole(j, c->point);
    bool ok = !(j->r.pose[c->point].moved_mm > resample_mm) || put_point(c, blocks);
    gpu_volume_destroy(c->value);
    c->value = NULL;
    j->values = c->values;
    ok = ok && (!all || c->seen || start_tracking(j));
    if (ok && all) {
        *seen = true;
        look_at_point(j, c->point);
    } else {
        j->mean[c->point] = NAN;
    }
    return ok;
}

// c: the point to come; before: that before it, which is settled while this one is decoded.
static bool load_point(struct coming *c, struct coming *before, const struct gpu_volume *blocks,
                       bool *seen)
{
    struct perfusion_job *j = c->j;
    j->r.pose[c->point] = perfusion_still;
    c->value = image_load(j->run->gpu, j->run->set, j->v, c->point, j->v->type, j->err);
    if (!c->value || !put_point(c, blocks) || !settle_point(before, blocks, seen))
        return false;
    c->seen = *seen;
    begin_pose(c);
    return true;
}

// Ends a point that is not needed any more.
static void coming_finish(struct coming *c)
{
    if (c->beside)
        pthread_join(c->thread, NULL);
    gpu_volume_destroy(c->value);
}

static bool load_scan(struct perfusion_job *j)
{
    struct gpu *g = j->run->gpu;
    bool seen = false;
    struct coming two[2] = {{.j = j}, {.j = j}};
    struct gpu_volume *blocks = gpu_volume_create(g, j->r.dim, j->r.spacing, GPU_VOXEL_F32, j->err);
    j->scanned = blocks ? perfusion_planes(g, j->r.dim, j->r.spacing, j->r.points, j->err) : NULL;
    bool ok = j->scanned != NULL;
    for (int n = 0; ok && n < 2; n++) {
        two[n].values = arena_alloc(j->arena, j->voxels, sizeof *two[n].values);
        ok = two[n].values || perfusion_no_memory(j);
    }
    for (uint32_t p = 0; ok && p < j->r.points; p++) {
        two[p % 2].point = p;
        ok = stage_step(j->run, "decoding", 0.5 * p / j->r.points, j->err) &&
             load_point(&two[p % 2], &two[(p + 1) % 2], blocks, &seen);
    }
    ok = ok && settle_point(&two[(j->r.points + 1) % 2], blocks, &seen);
    coming_finish(&two[0]);
    coming_finish(&two[1]);
    gpu_volume_destroy(blocks);
    if (ok && !seen)
        return PERFUSION_REFUSE(j, "no point in time has all of its slices");
    return ok;
}

// ---- Time ---------------------------------------------------------------------------------------

// The time of a slice of the work grid: the mean of its images.
static double block_time(const struct perfusion_job *j, uint32_t k, uint32_t point)
{
    double sum = 0;
    uint32_t count = 0;
    for (uint32_t n = k * j->r.factor[2]; n < (k + 1) * j->r.factor[2] && n < j->v->dim[2]; n++) {
        if (image_frame_at(j->v, n, point) == IMAGE_NO_FRAME)
            return NAN;
        sum += j->v->at[(size_t)point * j->v->dim[2] + n];
        count++;
    }
    return sum / count;
}

static bool exclude_point(struct perfusion_job *j, uint32_t point, const char *reason)
{
    struct exclusion *e = findings_add_exclusion(j->f);
    if (!e)
        return perfusion_no_memory(j);
    e->what = arena_printf(j->f->arena, "point %u of %u, at %.1f s", point + 1, j->r.points,
                           j->r.moved_at[point]);
    e->reason = reason;
    return (e->what && reason) || perfusion_no_memory(j);
}

static const char *longest_motion(const struct perfusion_job *j)
{
    double most = 0;
    for (uint32_t p = 0; p < j->r.points; p++)
        most = fmax(most, j->r.moved_mm[p]);
    return arena_printf(j->f->arena, "by up to %.1f mm", most);
}

// Why a point is of no use; NULL: it is. What is left to be of use is in motion_mm and, where the
// motion was corrected, motion_most_mm.
static const char *point_refusal(const struct perfusion_job *j, uint32_t point)
{
    const double limit = j->p[P_MOTION].number, most = j->p[P_MOTION_MOST].number;
    const double moved = j->r.moved_mm[point], left = j->r.pose[point].left_mm;
    struct arena *arena = j->f->arena;
    if (!perfusion_tracked(j))
        return moved > limit
                   ? arena_printf(arena, "the head moved by about %.1f mm (limit %.1f mm)", moved,
                                  limit)
                   : NULL;
    if (!(left <= limit))
        return isfinite(left)
                   ? arena_printf(arena,
                                  "the head moved, and differs by %.1f mm after correction (limit "
                                  "%.1f mm)",
                                  left, limit)
                   : "the head moved out of the slices";
    return moved > most
               ? arena_printf(arena, "the head moved by %.1f mm (limit %.1f mm)", moved, most)
               : NULL;
}

// Whether a slice shows what it showed at the first point: not where the head has left the slices.
static bool slice_seen(const struct perfusion_job *j, uint32_t k, uint32_t point)
{
    const struct perfusion_pose *pose = &j->r.pose[point];
    const size_t area = (size_t)j->r.dim[0] * j->r.dim[1];
    const double *mm = j->v->spacing;
    const double last = (j->v->dim[2] - 1) * mm[2];
    uint64_t soft = 0, outside = 0;
    double map[3][4];
    if (!(pose->moved_mm > resample_mm))
        return true;
    perfusion_pose_map(&j->track, pose, j->r.spacing, map);
    for (size_t n = 0; n < area; n++) {
        if (!j->soft[k * area + n])
            continue;
        const size_t row = n / j->r.dim[0];
        // From an index of the work grid to mm from the centre of the first slice as scanned.
        const double z = (map[2][0] * (double)(n % j->r.dim[0]) + map[2][1] * (double)row +
                          map[2][2] * k + map[2][3] + 0.5) *
                             j->r.spacing[2] -
                         mm[2] / 2;
        soft++;
        outside += z < -outside_mm || z > last + outside_mm;
    }
    return (double)outside <= outside_share * (double)soft;
}

// Slices that the head has left too often show nothing that could be followed.
static bool choose_head_slices(struct perfusion_job *j, uint8_t *use, const double *s)
{
    const uint32_t points = j->r.points, slices = j->r.dim[2];
    const size_t area = (size_t)j->r.dim[0] * j->r.dim[1];
    for (uint32_t k = 0; k < slices; k++) {
        uint32_t lost = 0;
        for (uint32_t p = 0; p < points; p++)
            lost += use[(size_t)p * slices + k] == 0;
        j->slice_used[k] = lost <= dropped_share_max * points;
        if (j->slice_used[k])
            continue;
        struct exclusion *e = findings_add_exclusion(j->f);
        if (!e)
            return perfusion_no_memory(j);
        e->what = arena_printf(j->f->arena, "slice %u of %u", k * j->r.factor[2] + 1, j->v->dim[2]);
        e->reason =
            arena_printf(j->f->arena, "its part of the head is not seen at %u of %u points in time",
                         lost, points);
        if (!e->what || !e->reason)
            return perfusion_no_memory(j);
        j->r.slices_dropped++;
        memset(j->soft + k * area, 0, area);
        for (uint32_t p = 0; p < points; p++) // so that it has times, which nobody looks at
            use[(size_t)p * slices + k] = !isnan(s[(size_t)p * slices + k]);
    }
    if (slices - j->r.slices_dropped < slices_share_min * slices)
        return PERFUSION_REFUSE(
            j,
            "the head moved: %u of %u slices do not show the same part of it at "
            "all points in time",
            j->r.slices_dropped, slices);
    return true;
}

// Times and uses of all slices. Points that moved too far are left out.
static bool choose_points(struct perfusion_job *j, double *s, uint8_t *use)
{
    bool ok = true;
    j->r.tracked = perfusion_tracked(j);
    j->r.through = j->track.through;
    for (uint32_t p = 0; ok && p < j->r.points; p++) {
        const char *moved = point_refusal(j, p);
        bool gap = false;
        for (uint32_t k = 0; k < j->r.dim[2]; k++) {
            const size_t at = (size_t)p * j->r.dim[2] + k;
            s[at] = block_time(j, k, p);
            use[at] = !moved && !isnan(s[at]) && slice_seen(j, k, p);
            gap = gap || isnan(s[at]);
            j->r.moved_at[p] = k == 0 && !isnan(s[at]) ? s[at] : j->r.moved_at[p];
        }
        j->r.points_dropped += moved || gap;
        if (!moved && j->r.pose[p].moved_mm > resample_mm) {
            j->r.points_corrected++;
            j->r.corrected_mm = fmax(j->r.corrected_mm, j->r.moved_mm[p]);
        }
        if (moved)
            ok = exclude_point(j, p, moved);
        else if (gap)
            ok = exclude_point(j, p, "slices are missing");
    }
    if (ok && j->r.points_dropped > dropped_share_max * j->r.points)
        return PERFUSION_REFUSE(j,
                                "%u of %u points are of no use: the head moved too far (%s), or "
                                "slices are missing",
                                j->r.points_dropped, j->r.points, longest_motion(j));
    return ok && choose_head_slices(j, use, s);
}

// The mean of soft tissue at even steps, by the times of the first slice.
static bool step_mean(struct perfusion_job *j)
{
    j->r.brain_curve = arena_alloc(j->arena, j->axis.steps, sizeof *j->r.brain_curve);
    if (!j->r.brain_curve)
        return perfusion_no_memory(j);
    for (uint32_t n = 0; n < j->axis.steps; n++) {
        const float *at = j->axis.at + (size_t)n * 4;
        const double a = j->mean[(uint32_t)at[0]], b = j->mean[(uint32_t)at[1]];
        j->r.brain_curve[n] = a + (b - a) * (double)at[2];
    }
    return true;
}

static bool make_axis(struct perfusion_job *j)
{
    struct perfusion_result *r = &j->r;
    const size_t cells = (size_t)r->points * r->dim[2];
    double *s = arena_alloc(j->arena, cells, sizeof *s);
    uint8_t *use = arena_alloc(j->arena, cells, 1);
    const struct perfusion_times times = {r->points, r->dim[2], s, use};
    const char *why = NULL;
    if (!s || !use)
        return perfusion_no_memory(j);
    if (!choose_points(j, s, use))
        return false;
    if (!perfusion_axis_make(&times, j->arena, &j->axis, &why))
        return why ? PERFUSION_REFUSE(j, "%s", why) : perfusion_no_memory(j);
    r->steps = j->axis.steps;
    r->step_s = j->axis.step_s;
    r->start_s = j->axis.start_s;
    r->interval_s = j->axis.interval_s;
    const double length = (r->steps - 1) * r->step_s;
    if (j->axis.interval_s > step_max_s)
        return PERFUSION_REFUSE(j, "an image of each place every %.1f s (limit %.1f s)",
                                j->axis.interval_s, step_max_s);
    if (j->axis.widest_s > gap_max_s)
        return PERFUSION_REFUSE(j, "%.1f s without an image (limit %.1f s)", j->axis.widest_s,
                                gap_max_s);
    if (length < length_min_s)
        return PERFUSION_REFUSE(j, "the scan lasts %.0f s (at least %.0f s)", length, length_min_s);
    return step_mean(j);
}

static bool find_arrival(struct perfusion_job *j)
{
    struct perfusion_result *r = &j->r;
    double rise;
    r->before =
        perfusion_baseline(r->brain_curve, r->steps, arrival_share, arrival_least_hu, &rise);
    if (rise < rise_min_hu)
        return PERFUSION_REFUSE(j,
                                "no bolus: the brain's mean rises by %.1f HU only (limit %.1f HU)",
                                rise, rise_min_hu);
    // Of halved steps, every other one from the first on is an image.
    const uint32_t least = j->axis.halved ? 2 * before_min - 1 : before_min;
    if (r->before < least)
        return PERFUSION_REFUSE(j, "no baseline: contrast is there from %.1f s on (limit %.1f s)",
                                r->before * r->step_s, least * r->step_s);
    double base = 0;
    for (uint32_t n = 0; n < r->before; n++)
        base += r->brain_curve[n] / r->before;
    for (uint32_t n = 0; n < r->steps; n++)
        r->brain_curve[n] -= base;
    return true;
}

bool perfusion_scan_load(struct perfusion_job *j)
{
    return check_perfusion_scan(j) && make_grid(j) && load_scan(j) && make_axis(j) &&
           find_arrival(j);
}
