// The pose of a head from the edges of its bone, of heads that are computed where they have moved.
#include <math.h>
#include <string.h>
#include "compute/stages/perfusion/perfusion_motion.h"
#include "tests/check.h"

enum { NX = 110, NY = 120, NZ = 8, VOXELS = NX * NY * NZ };
static const uint32_t dim[3] = {NX, NY, NZ};
static const double spacing[3] = {1.8, 1.8, 5};
static float first[VOXELS], later[VOXELS];

static double ramp(double x) // an edge 1.5 mm wide
{
    return fmin(fmax(x / 1.5 + 0.5, 0), 1);
}

// HU at a place in the head, mm from its centre: brain, bone of varying thickness, scalp, air.
static double head_at(const double x[3], double contrast)
{
    const double taper = 1 - 3e-5 * (x[2] + 30) * (x[2] + 30);
    const double r = sqrt(x[0] * x[0] / (66.0 * 66) + x[1] * x[1] / (82.0 * 82)) / taper;
    const double mm = (r - 1) * 74, angle = atan2(x[1], x[0]);
    const double bone = 7 + 2 * sin(3 * angle) + cos(2 * angle);
    const double vein = ramp(4 - hypot(x[0], x[1] - 70)), inside = 1 - ramp(mm);
    const double skull = ramp(mm) * (1 - ramp(mm - bone));
    const double scalp = ramp(mm - bone) * (1 - ramp(mm - bone - 5));
    return inside * (35 + contrast * (8 + 250 * vein)) + 900 * skull + 45 * scalp -
           1000 * ramp(mm - bone - 5);
}

struct motion {
    double shift[3], degrees[3]; // mm; about x, then y, then z
};

// The head after it has turned about the centre of the grid, and then moved.
static void scan_head(const struct motion *m, double contrast, double bone, float *to)
{
    double turn[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
    for (int axis = 0; axis < 3; axis++) {
        const int a = (axis + 1) % 3, b = (axis + 2) % 3;
        const double c = cos(m->degrees[axis] * M_PI / 180), s = sin(m->degrees[axis] * M_PI / 180);
        for (int col = 0; col < 3; col++) {
            const double u = turn[a][col], v = turn[b][col];
            turn[a][col] = c * u - s * v;
            turn[b][col] = s * u + c * v;
        }
    }
    for (size_t n = 0; n < VOXELS; n++) {
        const size_t at[3] = {n % NX, n / NX % NY, n / NX / NY};
        double y[3], x[3];
        for (int a = 0; a < 3; a++)
            y[a] = ((double)at[a] + 0.5 - dim[a] / 2.0) * spacing[a] - m->shift[a];
        for (int a = 0; a < 3; a++)
            x[a] = turn[0][a] * y[0] + turn[1][a] * y[1] + turn[2][a] * y[2];
        to[n] = (float)fmin(head_at(x, contrast), bone);
    }
}

static void every_motion_is_found(void)
{
    static const struct motion still = {{0, 0, 0}, {0, 0, 0}};
    static const struct motion motions[] = {
        {{0, 0, 0}, {0, 0, 0}},    {{0.5, -0.3, 0}, {0, 0, 0}}, {{3, 0, 0}, {0, 0, 3}},
        {{-2, 2, 1}, {0, 0, -3}},  {{0, 0, 3}, {0, 0, 0}},      {{1, 1, 1}, {3, 0, 0}},
        {{0, 2, -2}, {1, 2, 1.5}}, {{14, -9, 0}, {0.5, 0, 8}},
    };
    struct arena *arena = arena_create();
    struct perfusion_track t;
    scan_head(&still, 0, 1000, first);
    CU_ASSERT_TRUE_FATAL(perfusion_track_init(&t, dim, spacing, first, arena));
    CU_ASSERT(t.edges[0].count > 0 && t.edges[1].count > 0);
    for (size_t m = 0; m < sizeof motions / sizeof *motions; m++) {
        struct perfusion_pose pose;
        scan_head(&motions[m], 1, 1000, later);
        perfusion_track_pose(&t, later, &perfusion_still, &pose);
        // Where the pose puts places in the brain, against where they are.
        double worst = 0, map[3][4];
        perfusion_pose_map(&t, &pose, spacing, map);
        for (int corner = 0; corner < 8; corner++) {
            const double x[3] = {corner & 1 ? 55 : -55, corner & 2 ? 55 : -55,
                                 corner & 4 ? 15 : -15};
            double y[3] = {x[0], x[1], x[2]}, far = 0;
            for (int axis = 0; axis < 3; axis++) {
                const int a = (axis + 1) % 3, b = (axis + 2) % 3;
                const double c = cos(motions[m].degrees[axis] * M_PI / 180);
                const double s = sin(motions[m].degrees[axis] * M_PI / 180);
                const double u = y[a], v = y[b];
                y[a] = c * u - s * v;
                y[b] = s * u + c * v;
            }
            for (int a = 0; a < 3; a++) {
                const double index = map[a][0] * (x[0] / spacing[0] + NX / 2.0 - 0.5) +
                                     map[a][1] * (x[1] / spacing[1] + NY / 2.0 - 0.5) +
                                     map[a][2] * (x[2] / spacing[2] + NZ / 2.0 - 0.5) + map[a][3];
                const double off =
                    (index + 0.5 - dim[a] / 2.0) * spacing[a] - y[a] - motions[m].shift[a];
                far += off * off;
            }
            worst = fmax(worst, sqrt(far));
        }
        if (worst > 0.8) // a sixth of the slices' distance
            CU_FAIL("a place is off by more than 0.8 mm");
        CU_ASSERT(pose.left_mm < 1);
        CU_ASSERT(m > 0 || pose.moved_mm < 0.1);
    }
    arena_destroy(arena);
}

static void a_head_that_is_gone_is_not_found(void)
{
    static const struct motion still = {{0, 0, 0}, {0, 0, 0}}, gone = {{0, 0, 60}, {0, 0, 0}};
    struct arena *arena = arena_create();
    struct perfusion_track t;
    struct perfusion_pose pose;
    scan_head(&still, 0, 1000, first);
    CU_ASSERT_TRUE_FATAL(perfusion_track_init(&t, dim, spacing, first, arena));
    memset(later, 0, sizeof later);
    perfusion_track_pose(&t, later, &perfusion_still, &pose);
    CU_ASSERT(pose.left_mm > 2);
    scan_head(&gone, 0, 1000, later);
    perfusion_track_pose(&t, later, &perfusion_still, &pose);
    CU_ASSERT(pose.left_mm > 1);
    arena_destroy(arena);
}

static void without_bone_there_are_no_edges(void)
{
    static const struct motion still = {{0, 0, 0}, {0, 0, 0}};
    struct arena *arena = arena_create();
    struct perfusion_track t;
    scan_head(&still, 0, 60, first);
    CU_ASSERT_TRUE_FATAL(perfusion_track_init(&t, dim, spacing, first, arena));
    CU_ASSERT(t.edges[0].count == 0 || t.edges[1].count == 0);
    arena_destroy(arena);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"every_motion_is_found", every_motion_is_found},
        {"a_head_that_is_gone_is_not_found", a_head_that_is_gone_is_not_found},
        {"without_bone_there_are_no_edges", without_bone_there_are_no_edges},
    };
    return check_main("perfusion_motion", cases, sizeof cases / sizeof *cases);
}
