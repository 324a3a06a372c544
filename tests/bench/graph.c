// An ONNX file as a graph on the device, for tests/bench/bench_pytorch.py: seconds, processor
// seconds, memory, and how far its output is from what is given. usage: bench_graph FOLDER with
// model.onnx, input.bin and output.bin (floats).
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
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

int main(int argc, char **argv)
{
    size_t model_len = 0, in_len = 0, out_len = 0;
    if (argc != 2)
        return 2;
    char *model = read_part(argv[1], "model.onnx", &model_len);
    char *in = read_part(argv[1], "input.bin", &in_len);
    char *want = read_part(argv[1], "output.bin", &out_len);
    float *got = calloc(out_len + 1, 1);
    struct arena *a = arena_create();
    struct onnx_model *m = a && got ? onnx_read(a, model, model_len, &err) : NULL;
    bench_need(m && m->in_count == 1, &err);
    struct graph_input input = {.rank = m->ins[0].rank, .type = ONNX_FLOAT};
    memcpy(input.dim, m->ins[0].dim, sizeof input.dim);
    struct graph *g = graph_build(m, &input, &err);
    bench_need(g != NULL, &err);
    const struct graph_value *out = &g->values[g->outs[0]];
    if (out->count * sizeof *got != out_len || g->values[g->ins[0]].count * sizeof *got != in_len)
        return 1;
    struct gpu *gpu = gpu_create(NULL, &err);
    bench_need(gpu != NULL, &err);
    struct graph_work *w = graph_open(g, gpu, &err);
    bench_need(w != NULL, &err);
    const double start = clock_steady();
    const clock_t cpu = clock();
    bench_need(graph_run(w, (const float *[]){(const float *)in}, &got, NULL, NULL, &err), &err);
    printf("%.2f s, processor %.2f s, memory of the device %.0f MB, %.1e apart\n",
           clock_steady() - start, (double)(clock() - cpu) / CLOCKS_PER_SEC,
           (double)graph_bytes(g) / 1e6, apart_of(got, (const float *)want, out_len / sizeof *got));
    graph_close(w);
    graph_destroy(g);
    gpu_destroy(gpu);
    arena_destroy(a);
    free(model);
    free(in);
    free(want);
    free(got);
    return 0;
}
