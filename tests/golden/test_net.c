// A network of the shared data on a part of a head, against the labels that another framework gave
// for the whole of it: voxels are compared that lie deeper in the part than the network looks.
#include <string.h>
#include "compute/net/net.h"
#include "base/fs.h"
#include "tests/check.h"
#include "tests/volume.h"

enum { WHOLE = 256, REACH = 46, INSIDE = 12, SIDE = INSIDE + 2 * REACH };
static const uint32_t first[3] = {64, 64,
                                  76}; // of the part: x, y, z of the file; grey, white and fluid

static char *copy_name(const char *path)
{
    if (!path)
        check_skip("no data");
    char *name = strdup(path);
    CU_ASSERT_PTR_NOT_NULL_FATAL(name);
    return name;
}

// The model with the size of the part for its own, which is all that stands in the way.
static struct net *load_for_part(void)
{
    char *folder = copy_name(check_data("../models/brainchop/model5_gw_ae")), path[4][600];
    static const char whole[] = "256", part[] = "104";
    struct err err = {0};
    size_t len = 0;
    snprintf(path[0], sizeof path[0], "%s/model.json", folder);
    snprintf(path[1], sizeof path[1], "%s/group1-shard1of1.bin", folder);
    snprintf(path[2], sizeof path[2], "%s/model.json", check_scratch());
    snprintf(path[3], sizeof path[3], "%s/group1-shard1of1.bin", check_scratch());
    for (int i = 0; i < 2; i++) {
        char *data = fs_read_file(path[i], 1 << 20, &len, &err);
        CU_ASSERT_PTR_NOT_NULL_FATAL(data);
        for (char *at = i ? NULL : strstr(data, whole); at; at = strstr(at, whole))
            memcpy(at, part, sizeof part - 1);
        CU_ASSERT_TRUE_FATAL(fs_write_file(path[i + 2], data, len, &err));
        free(data);
    }
    free(folder);
    struct net *n = net_load(path[2], &err);
    if (!n)
        fprintf(stderr, "%s\n", err.text);
    return n;
}

static size_t at_of(uint32_t x, uint32_t y, uint32_t z)
{
    return ((size_t)z * WHOLE + y) * WHOLE + x;
}

static void labels_of_a_head_are_those_of_another_framework(void)
{
    static float values[SIDE * SIDE * SIDE];
    static uint8_t labels[SIDE * SIDE * SIDE];
    uint32_t dim[3] = {0}, map_dim[3] = {0}, same = 0, seen[3] = {0};
    char *name = copy_name(check_data("brain/conformed_t1/t1_crop.nii.gz"));
    uint8_t *t1 = volume_read(name, dim);
    free(name);
    name = copy_name(check_data("brain/golden/model5_gw_ae_t1_crop_argmax.nii.gz"));
    uint8_t *golden = volume_read(name, map_dim), low = UINT8_MAX, high = 0;
    free(name);
    struct err err = {0};
    CU_ASSERT_FATAL(t1 && golden && dim[0] == WHOLE && map_dim[0] == WHOLE);
    struct net *n = load_for_part();
    CU_ASSERT_PTR_NOT_NULL_FATAL(n);
    CU_ASSERT_EQUAL_FATAL(net_shape(n).reach, REACH);
    struct gpu *g = gpu_create(NULL, &err);
    if (!g && err.code == ERR_DEVICE)
        check_skip(err.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(g);
    for (size_t i = 0; i < (size_t)WHOLE * WHOLE * WHOLE; i++) {
        low = t1[i] < low ? t1[i] : low;
        high = t1[i] > high ? t1[i] : high;
    }
    // The network's first axis is the file's x.
    for (uint32_t i = 0; i < SIDE * SIDE * SIDE; i++) {
        const uint8_t v =
            t1[at_of(first[0] + i / SIDE / SIDE, first[1] + i / SIDE % SIDE, first[2] + i % SIDE)];
        values[i] = (float)(v - low) / (float)(high - low);
    }
    const struct net_call call = {.values = values, .dim = {SIDE, SIDE, SIDE}};
    if (!net_labels(n, g, &call, labels, &err)) {
        fprintf(stderr, "%s\n", err.text);
        CU_FAIL_FATAL("no labels");
    }
    for (uint32_t i = 0; i < INSIDE * INSIDE * INSIDE; i++) {
        const uint32_t x = REACH + i / INSIDE / INSIDE, y = REACH + i / INSIDE % INSIDE,
                       z = REACH + i % INSIDE;
        const uint8_t label = golden[at_of(first[0] + x, first[1] + y, first[2] + z)];
        CU_ASSERT_FATAL(label < 3);
        seen[label]++;
        same += labels[(x * SIDE + y) * SIDE + z] == label;
    }
    printf("labels that are the same: %u of %u; of each: %u, %u, %u\n", same,
           INSIDE * INSIDE * INSIDE, seen[0], seen[1], seen[2]);
    CU_ASSERT_TRUE(seen[0] > 20 && seen[1] > 20 && seen[2] > 20);
    CU_ASSERT_TRUE(same >= 0.999 * INSIDE * INSIDE * INSIDE);
    net_destroy(n);
    gpu_destroy(g);
    free(golden);
    free(t1);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"labels_of_a_head_are_those_of_another_framework",
         labels_of_a_head_are_those_of_another_framework},
    };
    return check_main("net", cases, sizeof cases / sizeof *cases);
}
