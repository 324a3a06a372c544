// A network on a volume: seconds, processor seconds, rate and memory, and how many labels are those
// of the golden map. usage: bench_net [MODEL.json [T1.nii.gz [LABELS.nii.gz]]] Without arguments:
// model5_gw_ae on the conformed T1 of the shared data.
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "compute/net/net.h"
#include "base/clock.h"
#include "tests/bench/bench.h"
#include "tests/check.h"
#include "tests/volume.h"

static struct err err;

static double cpu_s(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static uint8_t *read_or_skip(const char *path, uint32_t dim[3])
{
    uint8_t *voxels = path ? volume_read(path, dim) : NULL;
    if (!voxels)
        check_skip("no volume of bytes");
    return voxels;
}

int main(int argc, char **argv)
{
    uint32_t dim[3], map_dim[3];
    const char *data = check_data("../models/brainchop/model5_gw_ae/model.json");
    const char *name = argc > 1 ? argv[1] : data;
    char *model = name ? strdup(name) : NULL;
    if (!model)
        check_skip("no model");
    uint8_t *t1 =
        read_or_skip(argc > 2 ? argv[2] : check_data("brain/conformed_t1/t1_crop.nii.gz"), dim);
    uint8_t *golden =
        argc > 2 && argc < 4
            ? NULL
            : read_or_skip(argc > 3 ? argv[3]
                                    : check_data("brain/golden/model5_gw_ae_t1_crop_argmax.nii.gz"),
                           map_dim);
    const size_t voxels = (size_t)dim[0] * dim[1] * dim[2];
    float *values = malloc(voxels * sizeof *values);
    uint8_t *labels = malloc(voxels);
    uint8_t low = UINT8_MAX, high = 0;
    if (!values || !labels)
        return 1;
    for (size_t i = 0; i < voxels; i++) {
        low = t1[i] < low ? t1[i] : low;
        high = t1[i] > high ? t1[i] : high;
    }
    // The network's first axis is the file's x.
    for (size_t i = 0; i < voxels; i++) {
        const size_t x = i % dim[0], y = i / dim[0] % dim[1], z = i / dim[0] / dim[1];
        values[(x * dim[1] + y) * dim[2] + z] = (float)(t1[i] - low) / (float)(high - low);
    }
    struct net *n = net_load(model, &err);
    bench_need(n != NULL, &err);
    struct gpu *g = gpu_create(NULL, &err);
    bench_need(g != NULL, &err);
    const struct net_call call = {.values = values, .dim = {dim[2], dim[1], dim[0]}};
    const double start = clock_steady(), cpu = cpu_s();
    bench_need(net_labels(n, g, &call, labels, &err), &err);
    printf("%s: %.1f s, processor %.1f s, memory of the device %.0f MB (planned %.0f MB)\n", model,
           clock_steady() - start, cpu_s() - cpu, (double)gpu_peak_bytes(g) / 1e6,
           (double)net_memory(n, call.dim, false) / 1e6);
    size_t same = 0;
    for (size_t i = 0; golden && i < voxels; i++) {
        const size_t x = i % dim[0], y = i / dim[0] % dim[1], z = i / dim[0] / dim[1];
        same += labels[(x * dim[1] + y) * dim[2] + z] == golden[i];
    }
    if (golden)
        printf("labels of the golden map: %.4f %%\n", 100 * (double)same / (double)voxels);
    net_destroy(n);
    gpu_destroy(g);
    free(model);
    free(golden);
    free(t1);
    free(labels);
    free(values);
    return 0;
}
