#include "compute/image/volume.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/check.h"

#define N 12

// An axial stack from z = 0 upwards, 3 mm apart, UIDs in the order of positions.
static void stack(struct volume_slice *s, size_t count)
{
    memset(s, 0, count * sizeof *s);
    for (size_t i = 0; i < count; i++) {
        snprintf(s[i].sop_instance_uid, sizeof s[i].sop_instance_uid, "1.2.%zu", 100 + i);
        snprintf(s[i].sop_class_uid, sizeof s[i].sop_class_uid, "1.2.840.10008.5.1.4.1.1.2");
        snprintf(s[i].frame_of_reference_uid, sizeof s[i].frame_of_reference_uid, "1.2.3");
        s[i].frame = 1;
        s[i].columns = 4;
        s[i].rows = 3;
        s[i].pixel_spacing[0] = 0.5;
        s[i].pixel_spacing[1] = 0.25;
        s[i].position[0] = -10;
        s[i].position[1] = 20;
        s[i].position[2] = 3.0 * (double)i;
        s[i].orientation[0] = s[i].orientation[4] = 1;
        s[i].slope = 1;
        s[i].intercept = -1024;
        s[i].bits_stored = 12;
    }
}

static struct volume *plan(const struct volume_slice *s, size_t count, struct err *err)
{
    *err = (struct err){0};
    return volume_plan(s, count, "[hnsf'U]", err);
}

static void refused(const struct volume_slice *s, size_t count, enum err_code code,
                    const char *text)
{
    struct err err;
    struct volume *v = plan(s, count, &err);
    CU_ASSERT_PTR_NULL(v);
    CU_ASSERT_EQUAL(err.code, code);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, text));
    if (!strstr(err.text, text))
        fprintf(stderr, "\"%s\" lacks \"%s\"\n", err.text, text);
    volume_destroy(v);
}

static void near(double a, double b)
{
    CU_ASSERT_DOUBLE_EQUAL(a, b, 1e-9);
}

static void describes_the_grid(void)
{
    struct volume_slice s[N];
    struct err err;
    stack(s, N);
    struct volume *v = plan(s, N, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(v);
    CU_ASSERT_EQUAL(v->dim[0], 4);
    CU_ASSERT_EQUAL(v->dim[1], 3);
    CU_ASSERT_EQUAL(v->dim[2], N);
    near(v->spacing[0], 0.25);
    near(v->spacing[1], 0.5);
    near(v->spacing[2], 3);
    near(v->tilt_deg, 0);
    CU_ASSERT_STRING_EQUAL(v->unit, "[hnsf'U]");
    CU_ASSERT_EQUAL(v->type, VOLUME_U16);
    near(v->slope, 1);
    near(v->intercept, -1024);
    CU_ASSERT_EQUAL(v->offered, N);
    CU_ASSERT_FALSE(v->has_duplicates);
    CU_ASSERT_STRING_EQUAL(v->remarks, "");
    CU_ASSERT_EQUAL(volume_voxels(v), 4 * 3 * N);
    double mm[3];
    volume_to_patient(v, (const double[]){1, 2, 3}, mm);
    near(mm[0], -10 + 0.25);
    near(mm[1], 20 + 1);
    near(mm[2], 9);
    volume_destroy(v);
}

static void sorts_by_position_not_by_uid_or_order(void)
{
    struct volume_slice s[N];
    struct err err;
    stack(s, N);
    for (size_t i = 0; i < N; i++) // UIDs and order both run against the positions
        s[i].position[2] = 33 - 3.0 * (double)i;
    struct volume *v = plan(s, N, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(v);
    for (uint32_t k = 0; k < N; k++)
        CU_ASSERT_EQUAL(v->source[k], N - 1 - k);
    near(v->to_patient[2][3], 0);
    near(v->to_patient[2][2], 3);
    volume_destroy(v);
}

static void shuffle(struct volume_slice *s, size_t count, unsigned seed)
{
    for (size_t i = count - 1; i > 0; i--) {
        seed = seed * 1103515245u + 12345u;
        size_t j = (seed >> 16) % (i + 1);
        struct volume_slice t = s[i];
        s[i] = s[j];
        s[j] = t;
    }
}

static void gives_the_same_volume_in_any_order(void)
{
    struct volume_slice s[N + 3];
    struct err err;
    stack(s, N);
    s[N] = s[4]; // a duplicate with another UID, a localizer and a foreign slice among them
    snprintf(s[N].sop_instance_uid, sizeof s[N].sop_instance_uid, "%s", "1.2.1");
    s[N + 1] = s[0];
    s[N + 1].localizer = true;
    s[N + 2] = s[1];
    s[N + 2].columns = 8;
    char uids[N][65];
    double to_patient[3][4];
    char remarks[512];
    for (unsigned seed = 0; seed < 20; seed++) {
        shuffle(s, N + 3, seed);
        struct volume *v = plan(s, N + 3, &err);
        CU_ASSERT_PTR_NOT_NULL_FATAL(v);
        CU_ASSERT_EQUAL_FATAL(v->dim[2], N);
        for (uint32_t k = 0; k < N; k++) {
            if (seed == 0)
                snprintf(uids[k], sizeof uids[k], "%s", s[v->source[k]].sop_instance_uid);
            CU_ASSERT_STRING_EQUAL(uids[k], s[v->source[k]].sop_instance_uid);
        }
        if (seed == 0) {
            memcpy(to_patient, v->to_patient, sizeof to_patient);
            snprintf(remarks, sizeof remarks, "%s", v->remarks);
        }
        for (int a = 0; a < 12; a++)
            CU_ASSERT_EQUAL(to_patient[a / 4][a % 4], v->to_patient[a / 4][a % 4]);
        CU_ASSERT_STRING_EQUAL(remarks, v->remarks);
        volume_destroy(v);
    }
}

static void takes_the_increment_from_positions(void)
{
    struct volume_slice s[N];
    struct err err;
    stack(s, N);
    for (size_t i = 0; i < N; i++)
        s[i].position[2] = -100 + 1.25 * (double)i;
    struct volume *v = plan(s, N, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(v);
    near(v->spacing[2], 1.25);
    volume_destroy(v);
}

static void reports_missing_slice_and_its_place(void)
{
    struct volume_slice s[N];
    stack(s, N);
    for (size_t i = 6; i < N; i++)
        s[i].position[2] += 6;
    refused(s, N, ERR_GEOMETRY, "2 slices missing between 15.0 and 24.0 mm");
    for (size_t i = 10; i < N; i++)
        s[i].position[2] += 3;
    refused(s, N, ERR_GEOMETRY, "3 missing in all, at 2 places");
    stack(s, N);
    for (size_t i = 1; i < N; i++)
        s[i].position[2] += 3;
    refused(s, N, ERR_GEOMETRY, "1 slice missing between 0.0 and 6.0 mm");
}

static void refuses_unequal_distances(void)
{
    struct volume_slice s[N];
    struct err err;
    stack(s, N);
    for (size_t i = 5; i < N; i++)
        s[i].position[2] += 1.2;
    refused(s, N, ERR_GEOMETRY, "4.20 mm apart between 12.0 and 16.2 mm, elsewhere 3.00 mm");
    stack(s, N);
    s[5].position[2] += 0.06; // more than 1 % and 0.05 mm
    refused(s, N, ERR_GEOMETRY, "apart between");
    stack(s, N);
    s[5].position[2] += 0.04; // the noise of rounded positions
    struct volume *v = plan(s, N, &err);
    CU_ASSERT_PTR_NOT_NULL(v);
    volume_destroy(v);
}

static void sets_localizers_aside(void)
{
    struct volume_slice s[N];
    struct err err;
    stack(s, N);
    s[3].localizer = true;
    s[3].columns = 0; // what a localizer lacks is no error
    s[3].position[2] = NAN;
    for (size_t i = 4; i < N; i++)
        s[i].position[2] -= 3;
    struct volume *v = plan(s, N, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(v);
    CU_ASSERT_EQUAL(v->dim[2], N - 1);
    CU_ASSERT_EQUAL(v->fate[3], VOLUME_LOCALIZER);
    CU_ASSERT_PTR_NOT_NULL(strstr(v->remarks, "localizer: 1"));
    volume_destroy(v);
    for (size_t i = 0; i < N; i++)
        s[i].localizer = true;
    refused(s, N, ERR_GEOMETRY, "only localizers");
}

static void sets_foreign_slices_aside(void)
{
    struct volume_slice s[N];
    struct err err;
    stack(s, N);
    s[0].rows = 5;
    s[1].orientation[4] = 0;
    s[1].orientation[5] = -1; // coronal
    snprintf(s[2].frame_of_reference_uid, sizeof s[2].frame_of_reference_uid, "%s", "1.2.4");
    struct volume *v = plan(s, N, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(v);
    CU_ASSERT_EQUAL(v->dim[2], N - 3);
    for (int i = 0; i < N; i++)
        CU_ASSERT_EQUAL(v->fate[i], i < 3 ? VOLUME_FOREIGN : VOLUME_USED);
    CU_ASSERT_PTR_NOT_NULL(strstr(v->remarks, "frame of reference: 3"));
    volume_destroy(v);
    stack(s, N);
    for (int i = 0; i < N / 2; i++)
        s[i].rows = 5;
    refused(s, N, ERR_GEOMETRY, "none is the largest");
}

static void sets_duplicates_aside_by_the_lowest_uid(void)
{
    struct volume_slice s[N + 2];
    struct err err;
    stack(s, N);
    s[N] = s[N + 1] = s[7];
    snprintf(s[N].sop_instance_uid, sizeof s[N].sop_instance_uid, "%s", "1.2.1");
    s[N + 1].frame = 2; // same instance, later frame
    struct volume *v = plan(s, N + 2, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(v);
    CU_ASSERT_EQUAL(v->dim[2], N);
    CU_ASSERT_TRUE(v->has_duplicates);
    CU_ASSERT_EQUAL(v->source[7], N);
    CU_ASSERT_EQUAL(v->fate[7], VOLUME_DUPLICATE);
    CU_ASSERT_EQUAL(v->fate[N], VOLUME_USED);
    CU_ASSERT_EQUAL(v->fate[N + 1], VOLUME_DUPLICATE);
    CU_ASSERT_PTR_NOT_NULL(strstr(v->remarks, "duplicate of a position: 2"));
    volume_destroy(v);
    s[N].position[0] += 40; // same height, beside: another stack
    refused(s, N + 2, ERR_GEOMETRY, "beside each other");
}

static void handles_tilt(void)
{
    struct volume_slice s[N];
    struct err err;
    double tilt = 15 * M_PI / 180;
    stack(s, N);
    for (size_t i = 0; i < N; i++) { // the gantry leans over, the table moves along z
        s[i].orientation[4] = cos(tilt);
        s[i].orientation[5] = -sin(tilt);
        s[i].position[2] = 3.0 * (double)i;
    }
    struct volume *v = plan(s, N, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(v);
    CU_ASSERT_DOUBLE_EQUAL(v->tilt_deg, 15, 1e-6);
    near(v->spacing[2], 3 * cos(tilt));
    near(v->to_patient[0][2], 0);
    near(v->to_patient[1][2], 0);
    near(v->to_patient[2][2], 3);
    CU_ASSERT_PTR_NOT_NULL(strstr(v->remarks, "Gantry tilt 15.0 degrees"));
    double mm[3];
    volume_to_patient(v, (const double[]){0, 0, 5}, mm);
    near(mm[2], 15);
    volume_destroy(v);
    for (size_t i = 0; i < N; i++)
        s[i].position[1] += 9 * (double)i;
    refused(s, N, ERR_GEOMETRY, "shifted by");
}

static void refuses_a_slice_beside_the_stack(void)
{
    struct volume_slice s[N];
    stack(s, N);
    s[6].position[0] += 2;
    refused(s, N, ERR_GEOMETRY, "the slice at 18.0 mm lies 2.00 mm beside");
}

static void refuses_contradictory_spacing(void)
{
    struct volume_slice s[N];
    stack(s, N);
    s[6].pixel_spacing[1] = 0.3;
    refused(s, N, ERR_GEOMETRY, "pixel spacing differs");
}

static void refuses_fewer_than_two_slices(void)
{
    struct volume_slice s[2];
    stack(s, 2);
    refused(s, 0, ERR_INPUT, "no slices");
    refused(s, 1, ERR_GEOMETRY, "1 slice is no volume");
    s[1].position[2] = 0;
    refused(s, 2, ERR_GEOMETRY, "1 slice is no volume");
}

static void refuses_slices_that_make_no_sense(void)
{
    struct volume_slice s[N];
    stack(s, N);
    s[2].columns = 0;
    refused(s, N, ERR_INPUT, "no voxels");
    stack(s, N);
    s[2].position[1] = INFINITY;
    refused(s, N, ERR_INPUT, "1.2.102 frame 1: no usable geometry");
    stack(s, N);
    s[2].orientation[0] = 0;
    refused(s, N, ERR_INPUT, "no usable geometry");
    stack(s, N);
    s[2].orientation[3] = 0.5; // not at right angles
    refused(s, N, ERR_INPUT, "no usable geometry");
    stack(s, N);
    s[2].slope = NAN;
    refused(s, N, ERR_INPUT, "no usable geometry");
    stack(s, N);
    s[2].pixel_spacing[0] = 0;
    refused(s, N, ERR_INPUT, "pixel spacing");
    stack(s, N);
    s[2].bits_stored = 33;
    refused(s, N, ERR_INPUT, "bits");
}

static void refuses_what_does_not_fit_in_memory(void)
{
    struct volume_slice s[N];
    stack(s, N);
    for (int i = 0; i < N; i++)
        s[i].columns = s[i].rows = UINT32_MAX;
    refused(s, N, ERR_NOMEM, "no memory for 4294967295 x 4294967295 x 12");
    for (int i = 0; i < N; i++)
        s[i].columns = s[i].rows = 1 << 24; // 2^52 bytes
    refused(s, N, ERR_NOMEM, "no memory");
}

static void mixed_rescale_becomes_float(void)
{
    struct volume_slice s[N];
    struct err err;
    int32_t values[12];
    stack(s, N);
    s[5].slope = 2;
    s[5].intercept = -1000;
    struct volume *v = plan(s, N, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(v);
    CU_ASSERT_EQUAL(v->type, VOLUME_F32);
    near(v->slope, 1);
    near(v->intercept, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(v->remarks, "Rescale"));
    for (int i = 0; i < 12; i++)
        values[i] = 100 * i;
    for (uint32_t k = 0; k < N; k++)
        CU_ASSERT_TRUE(
            volume_fill(v, k, values, s[v->source[k]].slope, s[v->source[k]].intercept, &err));
    near(volume_value(v, 3, 2, 5), 2 * 1100 - 1000);
    near(volume_value(v, 3, 2, 4), 1100 - 1024);
    volume_destroy(v);
}

static void chooses_the_type_by_sign_and_bits(void)
{
    static const struct {
        bool first_signed, second_signed;
        uint16_t first, second;
        enum volume_type type;
    } cases[] = {
        {false, false, 12, 16, VOLUME_U16}, {true, true, 16, 12, VOLUME_I16},
        {true, false, 16, 15, VOLUME_I16},  {true, false, 16, 16, VOLUME_F32},
        {false, false, 17, 12, VOLUME_F32}, {true, true, 17, 12, VOLUME_F32},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct volume_slice s[2];
        struct err err;
        stack(s, 2);
        s[0].is_signed = cases[i].first_signed;
        s[1].is_signed = cases[i].second_signed;
        s[0].bits_stored = cases[i].first;
        s[1].bits_stored = cases[i].second;
        struct volume *v = plan(s, 2, &err);
        CU_ASSERT_PTR_NOT_NULL_FATAL(v);
        CU_ASSERT_EQUAL(v->type, cases[i].type);
        volume_destroy(v);
    }
}

static void fill_refuses_values_that_do_not_fit(void)
{
    struct volume_slice s[2];
    struct err err;
    int32_t values[12] = {0};
    stack(s, 2);
    struct volume *v = plan(s, 2, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(v);
    values[11] = 65535;
    CU_ASSERT_TRUE(volume_fill(v, 0, values, 1, -1024, &err));
    near(volume_value(v, 3, 2, 0), 65535 - 1024);
    values[11] = -1;
    CU_ASSERT_FALSE(volume_fill(v, 0, values, 1, -1024, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    values[11] = 65536;
    CU_ASSERT_FALSE(volume_fill(v, 0, values, 1, -1024, &err));
    values[11] = 0;
    CU_ASSERT_FALSE(volume_fill(v, 2, values, 1, -1024, &err));
    volume_destroy(v);
    s[0].is_signed = s[1].is_signed = true;
    v = plan(s, 2, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(v);
    values[11] = -32768;
    CU_ASSERT_TRUE(volume_fill(v, 1, values, 1, -1024, &err));
    near(volume_value(v, 3, 2, 1), -32768 - 1024);
    values[11] = 32768;
    CU_ASSERT_FALSE(volume_fill(v, 1, values, 1, -1024, &err));
    volume_destroy(v);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"volume_plan_describes_the_grid", describes_the_grid},
        {"volume_plan_sorts_by_position_not_by_uid_or_order",
         sorts_by_position_not_by_uid_or_order},
        {"volume_plan_gives_the_same_volume_in_any_order", gives_the_same_volume_in_any_order},
        {"volume_plan_takes_the_increment_from_positions", takes_the_increment_from_positions},
        {"volume_plan_reports_missing_slice_and_its_place", reports_missing_slice_and_its_place},
        {"volume_plan_refuses_unequal_distances", refuses_unequal_distances},
        {"volume_plan_sets_localizers_aside", sets_localizers_aside},
        {"volume_plan_sets_foreign_slices_aside", sets_foreign_slices_aside},
        {"volume_plan_sets_duplicates_aside_by_the_lowest_uid",
         sets_duplicates_aside_by_the_lowest_uid},
        {"volume_plan_handles_tilt", handles_tilt},
        {"volume_plan_refuses_a_slice_beside_the_stack", refuses_a_slice_beside_the_stack},
        {"volume_plan_refuses_contradictory_spacing", refuses_contradictory_spacing},
        {"volume_plan_refuses_fewer_than_two_slices", refuses_fewer_than_two_slices},
        {"volume_plan_refuses_slices_that_make_no_sense", refuses_slices_that_make_no_sense},
        {"volume_plan_refuses_what_does_not_fit_in_memory", refuses_what_does_not_fit_in_memory},
        {"volume_plan_mixed_rescale_becomes_float", mixed_rescale_becomes_float},
        {"volume_plan_chooses_the_type_by_sign_and_bits", chooses_the_type_by_sign_and_bits},
        {"volume_fill_refuses_values_that_do_not_fit", fill_refuses_values_that_do_not_fit},
    };
    return check_main("volume", cases, sizeof cases / sizeof *cases);
}
