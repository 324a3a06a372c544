#include "node/job/nifti.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include "base/fs.h"
#include "tests/check.h"

static struct err err;

// A tilted grid of 3 x 2 x 2 voxels.
static const struct image grid = {
    .dim = {3, 2, 2, 1},
    .placed = true,
    .spacing = {0.5, 1, 3},
    .to_patient = {{0.5, 0, 0, -10}, {0, 0.8, 0.2, 20}, {0, -0.6, 3, 30}},
};

static float f32(const char *at)
{
    float value;
    memcpy(&value, at, sizeof value);
    return value;
}

static int i16(const char *at)
{
    return (int16_t)((uint8_t)at[0] | (uint8_t)at[1] << 8);
}

static void writes_labels_on_the_grid(void)
{
    static const uint16_t labels[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 65535};
    char path[4096];
    size_t size;
    snprintf(path, sizeof path, "%s/labels.nii", check_scratch());
    CU_ASSERT_TRUE_FATAL(nifti_write(path, &grid, NIFTI_U16, labels, &err));
    char *file = fs_read_file(path, 4096, &size, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_EQUAL_FATAL(size, 352 + sizeof labels);
    CU_ASSERT_EQUAL(i16(file), 348);
    CU_ASSERT_EQUAL(i16(file + 40), 3); // dim
    CU_ASSERT_EQUAL(i16(file + 42), 3);
    CU_ASSERT_EQUAL(i16(file + 44), 2);
    CU_ASSERT_EQUAL(i16(file + 46), 2);
    CU_ASSERT_EQUAL(i16(file + 70), 512); // uint16
    CU_ASSERT_EQUAL(i16(file + 72), 16);
    CU_ASSERT_DOUBLE_EQUAL(f32(file + 80), 0.5, 1e-6); // pixdim
    CU_ASSERT_DOUBLE_EQUAL(f32(file + 84), 1, 1e-6);
    CU_ASSERT_EQUAL(f32(file + 108), 352);
    CU_ASSERT_EQUAL(i16(file + 254), 1); // sform: right, front, up
    CU_ASSERT_EQUAL(f32(file + 280), -0.5f);
    CU_ASSERT_EQUAL(f32(file + 292), 10);
    CU_ASSERT_EQUAL(f32(file + 300), -0.8f);
    CU_ASSERT_EQUAL(f32(file + 304), -0.2f);
    CU_ASSERT_EQUAL(f32(file + 308), -20);
    CU_ASSERT_EQUAL(f32(file + 316), -0.6f);
    CU_ASSERT_EQUAL(f32(file + 320), 3);
    CU_ASSERT_EQUAL(f32(file + 324), 30);
    CU_ASSERT_EQUAL(memcmp(file + 344, "n+1", 4), 0);
    CU_ASSERT_EQUAL(memcmp(file + 352, labels, sizeof labels), 0);
    free(file);
}

static void writes_floats_without_a_place(void)
{
    static const float values[12] = {0.5f, -1};
    struct image flat = grid;
    char path[4096];
    size_t size;
    flat.placed = false;
    flat.spacing[2] = NAN;
    snprintf(path, sizeof path, "%s/map.nii", check_scratch());
    CU_ASSERT_TRUE_FATAL(nifti_write(path, &flat, NIFTI_F32, values, &err));
    char *file = fs_read_file(path, 4096, &size, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_EQUAL_FATAL(size, 352 + sizeof values);
    CU_ASSERT_EQUAL(i16(file + 70), 16);
    CU_ASSERT_EQUAL(f32(file + 80), 0.5f);
    CU_ASSERT_EQUAL(f32(file + 88), 1);  // not known
    CU_ASSERT_EQUAL(i16(file + 254), 0); // no place
    CU_ASSERT_EQUAL(f32(file + 280), 0.5f);
    for (int i = 0; i < 12; i++)
        CU_ASSERT_EQUAL(f32(file + 352 + 4 * i), values[i]);
    free(file);
}

static void refuses_what_it_cannot_write(void)
{
    struct image large = grid;
    large.dim[0] = 32768;
    CU_ASSERT_FALSE(nifti_write("/no/such/never.nii", &large, NIFTI_U16, NULL, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    static const uint16_t labels[12];
    CU_ASSERT_FALSE(nifti_write("/no/such/folder/a.nii", &grid, NIFTI_U16, labels, &err));
    CU_ASSERT_EQUAL(err.code, ERR_IO);
}

// The file as it is after decompression, at most room bytes.
static size_t unpacked(const char *path, char *out, unsigned room)
{
    gzFile in = gzopen(path, "rb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(in);
    int got = gzread(in, out, room);
    gzclose(in);
    return got > 0 ? (size_t)got : 0;
}

static void writes_points_a_part_at_a_time(void)
{
    static const double at[4] = {10, 10, 12.5, 12.5}; // two slices at two times
    static int16_t values[24];
    static char file[4096];
    struct image series = grid;
    char path[4096];
    for (int i = 0; i < 24; i++)
        values[i] = (int16_t)(i - 7);
    series.dim[3] = 2;
    series.axis = IMAGE_TIME;
    series.at = at;
    const size_t all = image_voxels(&series) * 2, first = 5;
    CU_ASSERT_FATAL(all == 24 && series.dim[2] == 2);
    snprintf(path, sizeof path, "%s/series.nii.gz", check_scratch());
    struct nifti *n = nifti_open(path, &series, NIFTI_I16, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(n);
    CU_ASSERT_TRUE(nifti_add(n, values, first, &err));
    CU_ASSERT_TRUE(nifti_add(n, values + first, all - first, &err));
    CU_ASSERT_TRUE(nifti_close(n, &err));
    CU_ASSERT_EQUAL_FATAL(unpacked(path, file, sizeof file), 352 + sizeof values);
    CU_ASSERT_EQUAL(i16(file + 40), 4);
    CU_ASSERT_EQUAL(i16(file + 48), 2);
    CU_ASSERT_EQUAL(f32(file + 92), 2.5f);
    CU_ASSERT_EQUAL(file[123], 2 | 8); // mm and s
    CU_ASSERT_EQUAL(i16(file + 70), 4);
    CU_ASSERT_EQUAL(memcmp(file + 352, values, sizeof values), 0);
}

static void a_part_too_many_or_too_few_leaves_no_file(void)
{
    static const int16_t values[13];
    char path[4096];
    snprintf(path, sizeof path, "%s/never.nii.gz", check_scratch());
    struct nifti *n = nifti_open(path, &grid, NIFTI_I16, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(n);
    CU_ASSERT_FALSE(nifti_add(n, values, 13, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    nifti_abort(n);
    n = nifti_open(path, &grid, NIFTI_I16, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(n);
    CU_ASSERT_TRUE(nifti_add(n, values, 11, &err));
    CU_ASSERT_FALSE(nifti_close(n, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
    CU_ASSERT_PTR_NULL(nifti_open("/no/such/folder/a.nii.gz", &grid, NIFTI_I16, &err));
    CU_ASSERT_EQUAL(err.code, ERR_IO);
    struct image large = grid;
    large.dim[3] = 32768;
    CU_ASSERT_PTR_NULL(nifti_open(path, &large, NIFTI_I16, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"nifti_write_labels_on_the_grid", writes_labels_on_the_grid},
        {"nifti_write_floats_without_a_place", writes_floats_without_a_place},
        {"nifti_write_refuses_what_it_cannot_write", refuses_what_it_cannot_write},
        {"nifti_add_writes_points_a_part_at_a_time", writes_points_a_part_at_a_time},
        {"nifti_close_after_too_few_leaves_no_file", a_part_too_many_or_too_few_leaves_no_file},
    };
    return check_main("nifti", cases, sizeof cases / sizeof *cases);
}
