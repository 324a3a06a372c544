// Operators against the node tests that ONNX publishes (Debian: libonnx-testdata): each is a model
// of one operator, or of those that it stands for, its inputs and what it must give. All whose
// operators are known pass, but for those that are listed here with the reason; all others are
// refused by the name of an operator. And whole networks as PyTorch exports them, against what they
// give there (Debian: python3-torch; skipped where it is absent).
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "compute/net/net.h"
#include "compute/net/net_lower.h"
#include "base/fs.h"
#include "tests/check.h"
#include "tests/onnx.h"

#define NODES    "/usr/share/libonnx-testdata/data/node"
#define FILE_MAX (64u << 20)
#define PORTS    8u // inputs or outputs of a test
#define PEER     "tests/golden/exports_peer.py"
#define ABSENT   77 // exit status of the peer without PyTorch

static struct gpu *gpu;

enum outcome { PASSED, REFUSED, WRONG };

// Node tests of known operators that ask for something else: the start of their names, and what the
// refusal says.
static const struct {
    const char *name, *why;
} exceptions[] = {
    {"test_batchnorm_epsilon_training_mode", "training"},
    {"test_batchnorm_example_training_mode", "training"},
    {"test_training_dropout", "trained"}, // but for those of ratio 0
    {"test_cast_BFLOAT16", "not a number"},
    {"test_cast_FLOAT_to_BFLOAT16", "not a number"},
    {"test_cast_FLOAT_to_STRING", "to type 8"},
    {"test_cast_STRING_to_FLOAT", "type 8"},
    {"test_castlike", "type 8"},
    {"test_castlike_BFLOAT16_to_FLOAT_expanded", "not a number"},
    {"test_castlike_FLOAT_to_BFLOAT16_expanded", "not a number"},
    {"test_identity_opt", ""}, // an optional value, no tensor
    {"test_identity_sequence", ""},
    {"test_max_uint64", "type 13"},
    {"test_min_uint64", "type 13"},
    {"test_maxpool_with_argmax_2d", "places of the largest"},
    {"test_resize_downsample_scales_cubic_align_corners", "align_corners with"},
    {"test_resize_downsample_scales_linear_align_corners", "align_corners with"},
    {"test_pow_types_float32_uint64", "type 13"},
    {"test_pow_types_float", "whole numbers that are computed"},
    {"test_pow_types_int", "whole numbers that are computed"},
};

static bool read_pb(struct arena *a, const char *folder, const char *kind, uint32_t i,
                    struct onnx_tensor *t, struct err *err)
{
    char path[1024];
    size_t len = 0;
    snprintf(path, sizeof path, "%s/test_data_set_0/%s_%u.pb", folder, kind, i);
    char *data = fs_read_file(path, FILE_MAX, &len, err);
    const bool ok = data && onnx_read_tensor(a, data, len, t, err);
    free(data);
    return ok;
}

static bool is_near(double got, double want)
{
    return got == want || fabs(got - want) <= 1e-6 + 1e-3 * fabs(want);
}

static enum outcome compare(const struct graph *g, struct arena *a, const char *folder, float **got,
                            struct err *err)
{
    for (uint32_t o = 0; o < g->model->out_count; o++) {
        struct onnx_tensor t;
        if (!read_pb(a, folder, "output", o, &t, err))
            return REFUSED;
        const struct graph_value *v = &g->values[g->outs[o]];
        if (v->rank != t.rank || memcmp(v->dim, t.dim, t.rank * sizeof *t.dim) != 0)
            return WRONG;
        for (uint64_t k = 0; k < t.count; k++) {
            const double want = t.f ? (double)t.f[k] : (double)t.i[k];
            if (is_near((double)got[o][k], want))
                continue;
            fprintf(stderr, "%s: output %u number %lu is %g, not %g\n", folder, o, (unsigned long)k,
                    (double)got[o][k], want);
            return WRONG;
        }
    }
    return PASSED;
}

// Weights, sizes and bounds are constants in the networks of this program.
static bool is_constant(const struct onnx_model *m, uint32_t input)
{
    static const char *const taking[] = {"Conv", "Normalization", "Clip",    "Resize",
                                         "Pad",  "Upsample",      "Dropout", NULL};
    for (uint32_t k = 0; input && taking[k]; k++) {
        if (strstr(m->nodes[0].op, taking[k]))
            return true;
    }
    return false;
}

static enum outcome run_model(struct onnx_model *m, struct arena *a, const char *folder,
                              struct err *err)
{
    enum outcome end = REFUSED;
    float *got[PORTS] = {0};
    const float *in[PORTS] = {0};
    struct graph_input ins[PORTS] = {0};
    for (uint32_t i = 0; i < m->in_count; i++) {
        struct onnx_tensor t;
        if (!read_pb(a, folder, "input", i, &t, err))
            return REFUSED;
        ins[i] = (struct graph_input){
            .rank = t.rank, .type = t.type, .i = t.i, .f = is_constant(m, i) ? t.f : NULL};
        memcpy(ins[i].dim, t.dim, sizeof t.dim);
        in[i] = t.f;
    }
    struct graph *g = graph_build(m, ins, err);
    if (!g)
        return REFUSED;
    for (uint32_t o = 0; o < m->out_count; o++)
        got[o] = calloc(g->values[g->outs[o]].count + 1, sizeof(float));
    struct graph_work *w = graph_open(g, gpu, err);
    if (w && graph_run(w, in, got, NULL, NULL, err))
        end = compare(g, a, folder, got, err);
    for (uint32_t o = 0; o < m->out_count; o++)
        free(got[o]);
    graph_close(w);
    graph_destroy(g);
    return end;
}

static bool is_known(const char *name)
{
    for (const struct lower_op *const *table = lower_ops; *table; table++) {
        for (const struct lower_op *op = *table; op->name; op++) {
            if (strcmp(op->name, name) == 0)
                return true;
        }
    }
    return false;
}

// Of a model with an operator that is not known: refused, and the operator is named.
static bool is_refused_by_name(const struct onnx_model *m, const struct err *err)
{
    for (uint32_t i = 0; i < m->node_count; i++) {
        if (!is_known(m->nodes[i].op) && strstr(err->text, m->nodes[i].op))
            return true;
    }
    return strstr(err->text, "tensor ") != NULL; // its inputs are of a kind that is not read
}

static bool is_exception(const char *name, const struct err *err)
{
    for (size_t k = 0; k < sizeof exceptions / sizeof *exceptions; k++) {
        if (strncmp(name, exceptions[k].name, strlen(exceptions[k].name)) == 0 &&
            strstr(err->text, exceptions[k].why))
            return true;
    }
    return false;
}

// Counts what a node test ends in; an assertion where that is not right.
static void check_node(const char *name, uint32_t counts[3])
{
    char folder[512], path[600];
    size_t len = 0;
    struct err err = {0};
    struct arena *a = arena_create();
    snprintf(folder, sizeof folder, NODES "/%s", name);
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    char *data = fs_read_file(path, FILE_MAX, &len, &err);
    struct onnx_model *m = data ? onnx_read(a, data, len, &err) : NULL;
    bool right = false, known = m != NULL;
    enum outcome end = REFUSED;
    for (uint32_t i = 0; m && i < m->node_count; i++)
        known = known && is_known(m->nodes[i].op);
    if (m && m->in_count <= PORTS && m->out_count <= PORTS)
        end = run_model(m, a, folder, &err);
    if (end == REFUSED)
        right = err.code == ERR_UNSUPPORTED || err.code == ERR_INPUT;
    if (known)
        right = end == PASSED || (right && is_exception(name, &err));
    else if (m && m->in_count <= PORTS && m->out_count <= PORTS)
        right = right && is_refused_by_name(m, &err);
    if (!right)
        fprintf(stderr, "%s: %s\n", name, end == PASSED ? "passed" : err.text);
    CU_ASSERT(right);
    counts[end]++;
    arena_destroy(a);
    free(data);
}

static void known_operators_give_what_onnx_says(void)
{
    struct dirent **names = NULL;
    uint32_t counts[3] = {0};
    const int count = scandir(NODES, &names, NULL, alphasort);
    if (count < 0) {
        printf("skipped: no " NODES " (Debian: libonnx-testdata) ");
        return;
    }
    for (int i = 0; i < count; i++) {
        if (names[i]->d_name[0] != '.')
            check_node(names[i]->d_name, counts);
        free(names[i]);
    }
    free(names);
    printf("%u passed, %u refused, %u wrong\n", counts[PASSED], counts[REFUSED], counts[WRONG]);
    CU_ASSERT(counts[PASSED] > 500);
}

// The largest difference, as a part of the largest number; 1 where sizes differ.
static double difference(const float *got, const float *want, uint64_t count)
{
    double most = 0, apart = 0;
    for (uint64_t k = 0; k < count; k++) {
        const double d = fabs((double)got[k] - (double)want[k]), size = fabs((double)want[k]);
        apart = d > apart || isnan(d) ? d : apart;
        most = size > most ? size : most;
    }
    return apart / most;
}

static double run_export(const char *folder, const char *name, uint64_t *bytes, struct err *err)
{
    char path[3][600];
    static const char *const files[3] = {"model.onnx", "input.bin", "output.bin"};
    char *data[3] = {NULL, NULL, NULL};
    size_t len[3] = {0, 0, 0};
    double apart = 1;
    struct arena *a = arena_create();
    for (int f = 0; f < 3; f++) {
        snprintf(path[f], sizeof path[f], "%s/%s/%s", folder, name, files[f]);
        data[f] = fs_read_file(path[f], FILE_MAX, &len[f], err);
        CU_ASSERT_FATAL(data[f] != NULL);
    }
    struct onnx_model *m = onnx_read(a, data[0], len[0], err);
    struct graph_input in = {.type = ONNX_FLOAT};
    if (m && m->in_count == 1) {
        in.rank = m->ins[0].rank;
        memcpy(in.dim, m->ins[0].dim, sizeof in.dim);
    }
    struct graph *g = m ? graph_build(m, &in, err) : NULL;
    struct graph_work *w = g ? graph_open(g, gpu, err) : NULL;
    float *got = calloc(len[2] + 1, 1);
    if (w && g->values[g->outs[0]].count * sizeof *got == len[2] &&
        graph_run(w, (const float *[]){(const float *)data[1]}, &got, NULL, NULL, err))
        apart = difference(got, (const float *)data[2], len[2] / sizeof *got);
    *bytes = g ? graph_bytes(g) : 0;
    graph_close(w);
    graph_destroy(g);
    arena_destroy(a);
    free(got);
    for (int f = 0; f < 3; f++)
        free(data[f]);
    return apart;
}

static void exports_give_what_pytorch_gives(void)
{
    static const char *const names[] = {"unet3d", "unet2d", "group3d", "resnet", "swin"};
    const int status = check_peer(PEER, "'%s'", check_scratch());
    if (status == ABSENT) {
        printf("skipped: no python3-torch ");
        return;
    }
    CU_ASSERT_EQUAL_FATAL(status, 0);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        struct err err = {0};
        uint64_t bytes = 0;
        const double apart = run_export(check_scratch(), names[k], &bytes, &err);
        printf("%s: %.1e apart, %.1f MB %s\n", names[k], apart, (double)bytes / 1e6, err.text);
        CU_ASSERT(apart <= 1e-3);
    }
}

// A network of two classes on windows of 4 x 4 x 4 voxels: the value, and what `op` makes of it.
static struct net *load_pair(const char *op)
{
    static const uint32_t dim[2][5] = {{1, 1, 4, 4, 4}, {1, 2, 4, 4, 4}};
    struct onnx_bytes graph = {.len = 0}, file = {.len = 0};
    const struct onnx_attribute axis = {"axis", 0, {1}};
    struct err err = {0};
    char path[600];
    onnx_put_node(&graph, op, "in", "made", NULL, 0);
    onnx_put_node(&graph, "Concat", "in made", "out", &axis, 1);
    onnx_put_port(&graph, 11, "in", 5, dim[0]);
    onnx_put_port(&graph, 12, "out", 5, dim[1]);
    onnx_put_model(&file, &graph, 13);
    snprintf(path, sizeof path, "%s/pair.onnx", check_scratch());
    FILE *f = fopen(path, "w");
    CU_ASSERT_FATAL(f && fwrite(file.data, 1, file.len, f) == file.len && fclose(f) == 0);
    struct net *n = net_load(path, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(n);
    return n;
}

enum { SIDE = 9, VOXELS = SIDE * SIDE * SIDE }; // of a volume: three windows along an axis and more

static void windows_cover_a_volume(void)
{
    static float values[VOXELS], scores[2 * VOXELS];
    static uint8_t labels[VOXELS];
    struct net_call call = {.values = values, .dim = {SIDE, SIDE, SIDE}};
    struct err err = {0};
    struct net *n = load_pair("Neg");
    for (int v = 0; v < VOXELS; v++)
        values[v] = (float)(v % 7 - 3);
    CU_ASSERT_TRUE(net_scores(n, gpu, &call, scores, &err) &&
                   net_labels(n, gpu, &call, labels, &err));
    for (int v = 0; v < VOXELS; v++) {
        CU_ASSERT(fabsf(scores[v] - values[v]) < 1e-5f &&
                  fabsf(scores[VOXELS + v] + values[v]) < 1e-5f);
        CU_ASSERT_EQUAL(labels[v], values[v] < 0);
    }
    call.memory = net_memory(n, call.dim, false);
    CU_ASSERT(net_labels(n, gpu, &call, labels, &err));
    call.memory--;
    CU_ASSERT_FALSE(net_labels(n, gpu, &call, labels, &err));
    CU_ASSERT_EQUAL(err.code, ERR_NOMEM);
    net_destroy(n);
}

static void what_is_no_number_is_refused(void)
{
    static float values[VOXELS];
    static uint8_t labels[VOXELS];
    const struct net_call call = {.values = values, .dim = {SIDE, SIDE, SIDE}};
    struct err err = {0};
    struct net *n = load_pair("Log");
    for (int v = 0; v < VOXELS; v++)
        values[v] = v == 100 ? -1 : 1;
    CU_ASSERT_FALSE(net_labels(n, gpu, &call, labels, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "no number for class 1 of voxel 100"));
    net_destroy(n);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"known_operators_give_what_onnx_says", known_operators_give_what_onnx_says},
        {"exports_give_what_pytorch_gives", exports_give_what_pytorch_gives},
        {"windows_cover_a_volume", windows_cover_a_volume},
        {"what_is_no_number_is_refused", what_is_no_number_is_refused},
    };
    struct err err = {0};
    gpu = gpu_create(NULL, &err);
    if (!gpu)
        check_skip(err.text);
    const int status = check_main("onnx", cases, sizeof cases / sizeof *cases);
    gpu_destroy(gpu);
    return status;
}
