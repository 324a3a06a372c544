// A network on the device, for tests/bench/bench_pytorch.py: seconds, processor seconds, memory,
// and how far its output is from what is given. usage: bench_graph FOLDER with model.onnx,
// input.bin and output.bin (floats); or bench_graph FOLDER MODEL.json COLUMNS ROWS SLICES: layers
// instead.
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "compute/net/net.h"
#include "compute/net/net_graph.h"
#include "base/clock.h"
#include "base/fs.h"
#include "tests/bench/bench.h"

static struct err err;

static char *read_part(const char *folder, const char *name, size_t *len)
{
    char path[PATH_MAX];
    bench_need(fs_join(path, folder, name, &err), &err);
    char *data = fs_read_file(path, 1u << 30, len, &err);
    bench_need(data != NULL, &err);
    return data;
}

// The largest difference, as a part of the largest number.
static double apart_of(const float *got, const float *want, size_t count)
{
    double most = 0, apart = 0;
    for (size_t k = 0; k < count; k++) {
        apart = fmax(apart, fabs((double)got[k] - (double)want[k]));
        most = fmax(most, fabs((double)want[k]));
    }
    return apart / most;
}

struct parts {
    char *in, *want;
    size_t in_len, out_len;
    float *got;
    struct gpu *gpu;
};

// Labels that are the same, as a part of all.
static double same_labels(const struct parts *p, size_t voxels, uint32_t classes)
{
    size_t same = 0;
    for (size_t v = 0; v < voxels; v++) {
        const float *want = (const float *)p->want;
        uint32_t here = 0, there = 0;
        for (uint32_t c = 1; c < classes; c++) {
            here = p->got[c * voxels + v] > p->got[here * voxels + v] ? c : here;
            there = want[c * voxels + v] > want[there * voxels + v] ? c : there;
        }
        same += here == there;
    }
    return (double)same / (double)voxels;
}

static void run_layers(struct parts *p, char **argv)
{
    struct net *n = net_load(argv[2], &err);
    bench_need(n != NULL, &err);
    struct net_call call = {.values = (const float *)p->in};
    size_t voxels = 1;
    for (int a = 0; a < 3; a++) {
        call.dim[a] = (uint32_t)strtoul(argv[3 + a], NULL, 10);
        voxels *= call.dim[a];
    }
    const uint32_t classes = net_shape(n).classes;
    if (voxels * classes * sizeof *p->got != p->out_len || voxels * sizeof *p->got != p->in_len)
        exit(1);
    const double start = clock_steady();
    const clock_t cpu = clock();
    bench_need(net_scores(n, p->gpu, &call, p->got, &err), &err);
    printf("%.2f s, processor %.2f s, memory of the device %.0f MB (planned %.0f MB), %.1e apart, "
           "%.4f %% of labels the same\n",
           clock_steady() - start, (double)(clock() - cpu) / CLOCKS_PER_SEC,
           (double)gpu_peak_bytes(p->gpu) / 1e6, (double)net_memory(n, call.dim, true) / 1e6,
           apart_of(p->got, (const float *)p->want, p->out_len / sizeof *p->got),
           100 * same_labels(p, voxels, classes));
    net_destroy(n);
}

static void run_file(struct parts *p, const char *folder)
{
    size_t len = 0;
    char *model = read_part(folder, "model.onnx", &len);
    struct arena *a = arena_create();
    struct onnx_model *m = a ? onnx_read(a, model, len, &err) : NULL;
    bench_need(m && m->in_count == 1, &err);
    struct graph_input input = {.rank = m->ins[0].rank, .type = ONNX_FLOAT};
    memcpy(input.dim, m->ins[0].dim, sizeof input.dim);
    struct graph *g = graph_build(m, &input, &err);
    bench_need(g != NULL, &err);
    if (g->values[g->outs[0]].count * sizeof *p->got != p->out_len ||
        g->values[g->ins[0]].count * sizeof *p->got != p->in_len)
        exit(1);
    struct graph_work *w = graph_open(g, p->gpu, &err);
    bench_need(w != NULL, &err);
    const double start = clock_steady();
    const clock_t cpu = clock();
    bench_need(graph_run(w, (const float *[]){(const float *)p->in}, &p->got, NULL, NULL, &err),
               &err);
    printf("%.2f s, processor %.2f s, memory of the device %.0f MB, %.1e apart\n",
           clock_steady() - start, (double)(clock() - cpu) / CLOCKS_PER_SEC,
           (double)graph_bytes(g) / 1e6,
           apart_of(p->got, (const float *)p->want, p->out_len / sizeof *p->got));
    graph_close(w);
    graph_destroy(g);
    arena_destroy(a);
    free(model);
}

int main(int argc, char **argv)
{
    struct parts p = {.in = NULL};
    if (argc != 2 && argc != 6)
        return 2;
    p.in = read_part(argv[1], "input.bin", &p.in_len);
    p.want = read_part(argv[1], "output.bin", &p.out_len);
    p.got = calloc(p.out_len + 1, 1);
    p.gpu = gpu_create(NULL, &err);
    bench_need(p.gpu && p.got, &err);
    if (argc == 2)
        run_file(&p, argv[1]);
    else
        run_layers(&p, argv);
    gpu_destroy(p.gpu);
    free(p.in);
    free(p.want);
    free(p.got);
    return 0;
}
