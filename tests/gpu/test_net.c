// A network on the device against plain C in double precision, and what it takes.
#include <math.h>
#include <string.h>
#include "compute/net/net.h"
#include "tests/gpu/device.h"
#include "tests/tfjs.h"

enum { NX = 19, NY = 7, NZ = 23, VOXELS = NX * NY * NZ, CHANNELS = 2, CLASSES = 11, WIDEST = 17 };
static const uint32_t dim[3] = {NX, NY, NZ};
static struct gpu *gpu;
static struct net *net, *normed;
static float values[CHANNELS][VOXELS], scores[CLASSES][VOXELS];
static double truth[2][WIDEST][VOXELS]; // of a layer, and of the one before it
// Each size of kernel, shifts within a quad and beyond it, blocks of channels that are not full,
// each activation.
static struct tfjs_chain chain = {.channels = CHANNELS,
                                  .count = 7,
                                  .layers = {{.out = 9, .size = 3, .dilation = 1, .act = "relu"},
                                             {.out = 3, .size = 3, .dilation = 2, .act = "elu"},
                                             {.out = 17, .size = 1, .dilation = 1, .act = "gelu"},
                                             {.out = 5, .size = 3, .dilation = 3, .act = "sigmoid"},
                                             {.out = 1, .size = 3, .dilation = 4},
                                             {.out = 4, .size = 3, .dilation = 8, .act = "linear"},
                                             {.out = CLASSES, .size = 1, .dilation = 1}}};

// Norms: one whose output two layers on is normed again, one behind another, one at the end.
static struct tfjs_chain norms = {
    .channels = CHANNELS,
    .count = 6,
    .layers = {{.out = 9, .size = 3, .dilation = 2, .act = "relu", .norm = true},
               {.out = 3, .size = 3, .dilation = 3, .act = "elu"},
               {.out = 17, .size = 3, .dilation = 1, .act = "gelu", .norm = true},
               {.out = 5, .size = 3, .dilation = 8, .act = "sigmoid", .norm = true},
               {.out = 4, .size = 1, .dilation = 1, .norm = true},
               {.out = CLASSES, .size = 3, .dilation = 1, .norm = true}}};

static double act_of(const char *act, double x)
{
    if (!act || strcmp(act, "linear") == 0)
        return x;
    if (strcmp(act, "relu") == 0)
        return fmax(x, 0);
    if (strcmp(act, "elu") == 0)
        return x < 0 ? expm1(x) : x;
    if (strcmp(act, "gelu") == 0)
        return x / 2 * erfc(-x / sqrt(2));
    return 1 / (1 + exp(-x));
}

// One voxel of a channel out, as the definition of a convolution has it.
static double conv_of(const struct tfjs_layer *l, uint32_t in, uint32_t o, const int at[3])
{
    const int size = (int)l->size, half = size / 2, step = (int)l->dilation;
    double sum = l->bias[o];
    for (int tap = 0; tap < size * size * size; tap++) {
        const int x = at[0] + (tap % size - half) * step;
        const int y = at[1] + (tap / size % size - half) * step;
        const int z = at[2] + (tap / size / size - half) * step;
        if (x < 0 || y < 0 || z < 0 || x >= NX || y >= NY || z >= NZ)
            continue;
        for (uint32_t c = 0; c < in; c++)
            sum +=
                l->kernel[((size_t)tap * in + c) * l->out + o] * truth[1][c][(z * NY + y) * NX + x];
    }
    return sum;
}

static void norm_truth(double v[VOXELS])
{
    double mean = 0, variance = 0;
    for (int i = 0; i < VOXELS; i++)
        mean += v[i] / VOXELS;
    for (int i = 0; i < VOXELS; i++)
        variance += (v[i] - mean) * (v[i] - mean) / VOXELS;
    for (int i = 0; i < VOXELS; i++)
        v[i] = (v[i] - mean) / sqrt(variance + 1e-5);
}

static void run_truth(const struct tfjs_chain *of)
{
    uint32_t in = CHANNELS;
    for (int c = 0; c < CHANNELS; c++) {
        for (int v = 0; v < VOXELS; v++)
            truth[0][c][v] = values[c][v];
    }
    for (uint32_t i = 0; i < of->count; i++) {
        const struct tfjs_layer *l = &of->layers[i];
        memcpy(truth[1], truth[0], sizeof truth[1]);
        for (uint32_t o = 0; o < l->out; o++) {
            for (int v = 0; v < VOXELS; v++)
                truth[0][o][v] = conv_of(l, in, o, (int[]){v % NX, v / NX % NY, v / NX / NY});
            if (l->norm)
                norm_truth(truth[0][o]);
            for (int v = 0; v < VOXELS; v++)
                truth[0][o][v] = act_of(l->act, truth[0][o][v]);
        }
        in = l->out;
    }
}

static void check_scores(const struct tfjs_chain *of, const struct net *n)
{
    struct err err = {0};
    run_truth(of);
    const struct net_call call = {.values = values[0], .dim = {NX, NY, NZ}};
    double worst = 0, least = INFINITY, most = -INFINITY;
    CU_ASSERT_TRUE_FATAL(net_scores(n, gpu, &call, scores[0], &err));
    for (int c = 0; c < CLASSES; c++) {
        for (int v = 0; v < VOXELS; v++) {
            worst = fmax(worst, fabs(scores[c][v] - truth[0][c][v]));
            least = fmin(least, truth[0][c][v]);
            most = fmax(most, truth[0][c][v]);
        }
    }
    CU_ASSERT_TRUE(most - least > 1); // or there is nothing to compare
    CU_ASSERT_TRUE(worst < 1e-5 * (most - least));
}

static void scores_are_those_of_plain_c(void)
{
    check_scores(&chain, net);
}

static void scores_with_norms_are_those_of_plain_c(void)
{
    check_scores(&norms, normed);
}

static void check_labels(const struct net *n)
{
    static uint8_t labels[VOXELS];
    struct err err = {0};
    const struct net_call call = {.values = values[0], .dim = {NX, NY, NZ}};
    int wrong = 0, others = 0;
    CU_ASSERT_TRUE_FATAL(net_scores(n, gpu, &call, scores[0], &err) &&
                         net_labels(n, gpu, &call, labels, &err));
    for (int v = 0; v < VOXELS; v++) {
        int best = 0;
        for (int c = 1; c < CLASSES; c++)
            best = scores[c][v] > scores[best][v] ? c : best;
        wrong += labels[v] != best;
        others += labels[v] != labels[0];
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_TRUE(others > 0);
}

static void labels_are_the_classes_of_the_largest_scores(void)
{
    check_labels(net);
    check_labels(normed);
}

static void check_memory(const struct net *n)
{
    static uint8_t labels[VOXELS];
    struct err err = {0};
    for (int s = 0; s < 2; s++) {
        const uint64_t bytes = net_memory(n, dim, s);
        struct net_call call = {.values = values[0], .dim = {NX, NY, NZ}, .memory = bytes};
        gpu_reset_peak(gpu);
        CU_ASSERT_TRUE(s ? net_scores(n, gpu, &call, scores[0], &err)
                         : net_labels(n, gpu, &call, labels, &err));
        CU_ASSERT_TRUE(gpu_peak_bytes(gpu) <= bytes);
        CU_ASSERT_EQUAL(gpu_used_bytes(gpu), 0);
        call.memory--;
        gpu_reset_peak(gpu);
        CU_ASSERT_FALSE(s ? net_scores(n, gpu, &call, scores[0], &err)
                          : net_labels(n, gpu, &call, labels, &err));
        CU_ASSERT_EQUAL(err.code, ERR_NOMEM);
        CU_ASSERT_EQUAL(gpu_peak_bytes(gpu), 0);
    }
}

static void memory_is_known_before(void)
{
    check_memory(net);
    check_memory(normed);
}

static bool end_at_half(void *ctx, double done, struct err *err)
{
    *(double *)ctx = done;
    return done < 0.5 || err_set(err, ERR_TIMEOUT, "enough");
}

static void a_step_ends_the_run(void)
{
    static uint8_t labels[VOXELS];
    struct err err = {0};
    double done = 0;
    struct net_call call = {
        .values = values[0], .dim = {NX, NY, NZ}, .step = end_at_half, .ctx = &done};
    CU_ASSERT_FALSE(net_labels(net, gpu, &call, labels, &err));
    CU_ASSERT_EQUAL(err.code, ERR_TIMEOUT);
    CU_ASSERT_TRUE(done >= 0.5 && done < 1);
    call.step = NULL; // what the ended run left behind goes with the next work
    CU_ASSERT_TRUE(net_labels(net, gpu, &call, labels, &err));
    CU_ASSERT_EQUAL(gpu_used_bytes(gpu), 0);
}

static void what_is_no_number_is_refused(void)
{
    static uint8_t labels[VOXELS];
    static float with_one[CHANNELS][VOXELS];
    const struct net_call call = {.values = with_one[0], .dim = {NX, NY, NZ}};
    memcpy(with_one, values, sizeof values);
    with_one[1][VOXELS - 1] = INFINITY;
    for (int s = 0; s < 2; s++) {
        struct err err = {0};
        CU_ASSERT_FALSE(s ? net_scores(net, gpu, &call, scores[0], &err)
                          : net_labels(net, gpu, &call, labels, &err));
        CU_ASSERT_EQUAL(err.code, ERR_INPUT);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "no number"));
    }
    CU_ASSERT_EQUAL(gpu_used_bytes(gpu), 0);
}

static void the_device_is_left_clean(void)
{
    device_close(gpu);
}

static void sizes_are_refused(void)
{
    static uint8_t label;
    struct err err = {0};
    struct net_call call = {.values = values[0], .dim = {NX, 0, NZ}};
    CU_ASSERT_FALSE(net_labels(net, gpu, &call, &label, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    call.dim[1] = NET_DIM_MAX + 1;
    CU_ASSERT_FALSE(net_labels(net, gpu, &call, &label, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "1025 rows"));
}

int main(void)
{
    static const struct check_case cases[] = {
        {"scores_are_those_of_plain_c", scores_are_those_of_plain_c},
        {"scores_with_norms_are_those_of_plain_c", scores_with_norms_are_those_of_plain_c},
        {"labels_are_the_classes_of_the_largest_scores",
         labels_are_the_classes_of_the_largest_scores},
        {"memory_is_known_before", memory_is_known_before},
        {"a_step_ends_the_run", a_step_ends_the_run},
        {"sizes_are_refused", sizes_are_refused},
        {"what_is_no_number_is_refused", what_is_no_number_is_refused},
        {"the_device_is_left_clean", the_device_is_left_clean},
    };
    struct err err = {0};
    char path[512];
    gpu = device_open((struct gpu_options){0});
    for (int v = 0; v < CHANNELS * VOXELS; v++)
        values[v / VOXELS][v % VOXELS] = (float)(2 * tfjs_draw());
    snprintf(path, sizeof path, "%s/model.json", check_scratch());
    tfjs_write(&chain);
    net = net_load(path, &err);
    tfjs_write(&norms);
    normed = net ? net_load(path, &err) : NULL;
    if (!normed) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    const int status = check_main("net", cases, sizeof cases / sizeof *cases);
    net_destroy(net);
    net_destroy(normed);
    tfjs_finish(&chain);
    tfjs_finish(&norms);
    return status;
}
