// What is breast, muscle and dense tissue on mammograms drawn here, of known areas: whatever side
// the breast lies on, whatever its values mean, with a label beside it.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/stages/mammo/mammo_marks.h"
#include "tests/check.h"
#include "tests/images.h"

enum { NX = 600, NY = 900 };
static const double px = 0.2;                 // mm
static const double half_x = 80, half_y = 70; // mm, of the ellipse
static const double dense_mm = 20;            // radius of a disc in the middle

struct drawing {
    bool mirrored, inverted, muscle, label, empty, edge;
};

static struct gpu *gpu;
static struct made_images images;
static double breast_mm2, muscle_mm2;

// Noise that is the same everywhere: -8 to 7.
static int noise_at(int x, int y)
{
    const uint32_t n = ((uint32_t)x * 73856093u ^ (uint32_t)y * 19349663u) * 2654435761u;
    return (int)(n >> 28) - 8;
}

static int value_at(const struct drawing *d, int i, int j)
{
    const double x = (i + 0.5) * px, y = (j + 0.5) * px, middle = NY * px / 2;
    const double r = hypot(x / half_x, (y - middle) / half_y);
    if (d->empty)
        return 100 + noise_at(i, j);
    if (d->label && x > 95 && x < 110 && y > 10 && y < 20)
        return 3500;
    // The light beside a film, along three sides.
    if (d->edge && (y < 3 || y > NY * px - 4 || x > NX * px - 2))
        return 3500;
    // The muscle's edge runs from 50 mm at the upper edge down to the chest wall.
    if (d->muscle && y < 90 && x < 50 - y * 50 / 90) {
        muscle_mm2 += px * px;
        return 3000 + noise_at(i, j);
    }
    if (r >= 1)
        return 100 + noise_at(i, j);
    breast_mm2 += px * px;
    // Thickness falls off at the rim.
    const double thick = sqrt(fmin((1 - r) * half_x / 12, 1));
    const bool dense = hypot(x - 40, y - middle) < dense_mm;
    return 300 + (int)(thick * (dense ? 2200 : 1100)) + noise_at(i, j);
}

static struct mammo_marks look(const struct drawing *d)
{
    struct err err = {0};
    struct mammo_marks marks;
    breast_mm2 = muscle_mm2 = 0;
    int16_t *stored = malloc((size_t)NX * NY * sizeof *stored);
    CU_ASSERT_FATAL(stored != NULL);
    for (int j = 0; j < NY; j++) {
        for (int i = 0; i < NX; i++) {
            const int v = value_at(d, i, j);
            stored[(size_t)j * NX + (size_t)(d->mirrored ? NX - 1 - i : i)] =
                (int16_t)(d->inverted ? 4095 - v : v);
        }
    }
    const struct made_grid grid = {.dim = {NX, NY, 1, 1},
                                   .spacing = {px, px, 1},
                                   .slope = 1,
                                   .unit = "1",
                                   .to_patient = {{px}, {0, px}, {0, 0, 1}},
                                   .stored = stored,
                                   .unplaced = true};
    made_images_finish(&images);
    made_images_init(&images, &grid);
    CU_ASSERT_FATAL(made_images_split(&images, &err));
    const struct stage_run run = {.set = &images.set, .gpu = gpu, .arena = images.arena};
    const struct mammo_view view = {.oblique = d->muscle};
    const bool ok = mammo_find(&run, 0, &view, &marks, &err);
    if (!ok)
        printf("%s\n", err.text);
    CU_ASSERT_FATAL(ok);
    free(stored);
    return marks;
}

static void a_picture_smaller_than_a_breast_is_refused(void)
{
    static const int16_t few[16];
    struct err err = {0};
    struct mammo_marks marks;
    const struct made_grid grid = {.dim = {4, 4, 1, 1},
                                   .spacing = {px, px, 1},
                                   .slope = 1,
                                   .unit = "1",
                                   .to_patient = {{px}, {0, px}, {0, 0, 1}},
                                   .stored = few,
                                   .unplaced = true};
    made_images_finish(&images);
    made_images_init(&images, &grid);
    CU_ASSERT_FATAL(made_images_split(&images, &err));
    const struct stage_run run = {.set = &images.set, .gpu = gpu, .arena = images.arena};
    const struct mammo_view view = {.oblique = true};
    CU_ASSERT_FATAL(mammo_find(&run, 0, &view, &marks, &err));
    CU_ASSERT_PTR_NOT_NULL_FATAL(marks.refused);
    CU_ASSERT_PTR_NOT_NULL(strstr(marks.refused, "smaller"));
}

static double extent(const float *points, uint32_t count, int axis, bool most)
{
    double v = (double)points[axis];
    for (uint32_t n = 1; n < count; n++) {
        const double p = (double)points[2 * n + (uint32_t)axis];
        v = most ? fmax(v, p) : fmin(v, p);
    }
    return v;
}

static void check_breast(const struct mammo_marks *m)
{
    CU_ASSERT_PTR_NULL_FATAL(m->refused);
    CU_ASSERT_DOUBLE_EQUAL(m->breast_mm2, breast_mm2, 0.03 * breast_mm2);
    const double dense = 100 * 3.14159265358979 * dense_mm * dense_mm / breast_mm2;
    CU_ASSERT_DOUBLE_EQUAL(m->percent, dense, 0.1 * dense);
    if (fabs(m->percent - dense) > 0.1 * dense)
        printf("\n%.1f %% dense instead of %.1f\n", m->percent, dense);
}

static void areas_are_those_drawn(void)
{
    const struct mammo_marks m = look(&(struct drawing){0});
    check_breast(&m);
    CU_ASSERT_EQUAL(m.lies, 'L');
    CU_ASSERT_FALSE(m.has_muscle);
    CU_ASSERT_FATAL(m.has_nipple);
    CU_ASSERT_DOUBLE_EQUAL((double)m.nipple[0] * px, half_x, 2);
    CU_ASSERT_DOUBLE_EQUAL((double)m.nipple[1] * px, NY * px / 2, 8);
    CU_ASSERT_DOUBLE_EQUAL(extent(m.skin, m.skin_count, 0, true) * px, half_x, 2);
}

static void detection_is_said_not_to_be_there(void)
{
    const struct mammo_marks m = look(&(struct drawing){0});
    CU_ASSERT_EQUAL(m.mark_count, 0);
    CU_ASSERT_PTR_NOT_NULL(m.no_masses);
    CU_ASSERT_PTR_NOT_NULL(m.no_clusters);
}

static void a_breast_on_the_right_is_the_same(void)
{
    const struct mammo_marks m = look(&(struct drawing){.mirrored = true});
    check_breast(&m);
    CU_ASSERT_EQUAL(m.lies, 'R');
    CU_ASSERT_DOUBLE_EQUAL((double)m.nipple[0] * px, NX * px - half_x, 2);
    CU_ASSERT_DOUBLE_EQUAL(extent(m.skin, m.skin_count, 0, false) * px, NX * px - half_x, 2);
}

static void values_upside_down_are_turned_over(void)
{
    const struct mammo_marks m = look(&(struct drawing){.inverted = true});
    check_breast(&m);
    CU_ASSERT_EQUAL(m.lies, 'L');
}

static void a_label_is_no_breast(void)
{
    const struct mammo_marks m = look(&(struct drawing){.label = true});
    check_breast(&m);
    CU_ASSERT(extent(m.skin, m.skin_count, 0, true) * px < 90);
}

static void the_edge_of_a_film_is_no_breast(void)
{
    const struct mammo_marks m = look(&(struct drawing){.edge = true});
    check_breast(&m);
    CU_ASSERT(extent(m.skin, m.skin_count, 0, true) * px < 90);
    CU_ASSERT_DOUBLE_EQUAL((double)m.nipple[0] * px, half_x, 2);
}

static void the_muscle_is_set_apart(void)
{
    const struct mammo_marks m = look(&(struct drawing){.muscle = true});
    CU_ASSERT_PTR_NULL_FATAL(m.refused);
    CU_ASSERT_FATAL(m.has_muscle);
    CU_ASSERT_DOUBLE_EQUAL(m.breast_mm2, breast_mm2, 0.04 * breast_mm2);
    CU_ASSERT_DOUBLE_EQUAL(extent(m.muscle, m.muscle_count, 0, true) * px, 50, 4);
}

static void a_picture_without_a_breast_is_refused(void)
{
    const struct mammo_marks m = look(&(struct drawing){.empty = true});
    CU_ASSERT_PTR_NOT_NULL(m.refused);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"areas_are_those_drawn", areas_are_those_drawn},
        {"detection_is_said_not_to_be_there", detection_is_said_not_to_be_there},
        {"a_breast_on_the_right_is_the_same", a_breast_on_the_right_is_the_same},
        {"values_upside_down_are_turned_over", values_upside_down_are_turned_over},
        {"a_label_is_no_breast", a_label_is_no_breast},
        {"the_edge_of_a_film_is_no_breast", the_edge_of_a_film_is_no_breast},
        {"the_muscle_is_set_apart", the_muscle_is_set_apart},
        {"a_picture_smaller_than_a_breast_is_refused", a_picture_smaller_than_a_breast_is_refused},
        {"a_picture_without_a_breast_is_refused", a_picture_without_a_breast_is_refused},
    };
    struct err err = {0};
    gpu = gpu_create(NULL, &err);
    if (!gpu)
        check_skip(err.text);
    const int status = check_main("mammo_breast", cases, sizeof cases / sizeof *cases);
    made_images_finish(&images);
    gpu_destroy(gpu);
    return status;
}
