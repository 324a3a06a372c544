// An ONNX network on a volume: the file is read and tried, then moved over the volume window by
// window; what windows say of a voxel is averaged with weights that fall from the middle of each to
// its edges. Steps and weights as nnU-Net has them: Isensee et al., doi:10.1038/s41592-020-01008-z.
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/net/net_graph.h"
#include "compute/net/net_layer.h"
#include "base/fs.h"

// An axis that the file leaves free has so many voxels when the file is tried: what networks that
// halve an axis five times can take.
#define FREE_AXIS 64u
#define FILE_MAX  (NET_WEIGHTS_MAX + NET_TEXT_MAX) // bytes
// Of a window, by which it is moved at most; and the SD of its weights.
static const double window_step = 0.5, window_sd = 1.0 / 8;

struct net_onnx {
    struct arena *arena;
    const struct onnx_model *model;
    uint32_t channels, classes;
    uint32_t window[3]; // columns, rows, slices; 0: free. Of two axes: one slice
    bool flat;          // of two axes of space
};

void net_onnx_free(struct net_onnx *o)
{
    if (o)
        arena_destroy(o->arena);
    free(o);
}

struct net_shape net_onnx_shape(const struct net *n)
{
    const struct net_onnx *o = n->onnx;
    return (struct net_shape){.channels = o->channels,
                              .classes = o->classes,
                              .window = {o->window[0], o->window[1], o->window[2]},
                              .windowed = true,
                              .reach = NET_REACH_ALL};
}

// The graph for windows of dim; NULL with *err.
static struct graph *build_for(const struct net_onnx *o, const uint32_t dim[3], struct err *err)
{
    struct graph_input in = {.rank = o->flat ? 4 : 5, .type = ONNX_FLOAT, .dim = {1, o->channels}};
    for (uint32_t a = 0; a < in.rank - 2; a++)
        in.dim[2 + a] = dim[in.rank - 3 - a];
    struct graph *g = graph_build(o->model, &in, err);
    if (!g)
        return NULL;
    const struct graph_value *out = &g->values[g->outs[0]];
    bool same = out->rank == in.rank && out->dim[0] == 1 && onnx_is_float(out->type);
    for (uint32_t a = 2; same && a < in.rank; a++)
        same = out->dim[a] == in.dim[a];
    if (same && !graph_is_const(g, g->outs[0]))
        return g;
    err_set(err, ERR_UNSUPPORTED, "output %s: not scores for each voxel of the input",
            o->model->outs[0].name);
    graph_destroy(g);
    return NULL;
}

static bool check_ports(struct net_onnx *o, struct err *err)
{
    const struct onnx_model *m = o->model;
    if (m->in_count != 1 || m->out_count != 1)
        return err_set(err, ERR_UNSUPPORTED, "%" PRIu32 " inputs and %" PRIu32 " outputs, not one",
                       m->in_count, m->out_count);
    const struct onnx_port *in = &m->ins[0];
    if (in->type != ONNX_FLOAT || (in->rank != 4 && in->rank != 5))
        return err_set(err, ERR_UNSUPPORTED, "input %s: %" PRIu32 " axes of type %d", in->name,
                       in->rank, (int)in->type);
    if (in->dim[0] > 1)
        return err_set(err, ERR_UNSUPPORTED, "input %s: %" PRIu32 " samples at once", in->name,
                       in->dim[0]);
    if (!in->dim[1] || in->dim[1] > NET_CHANNELS_MAX)
        return err_set(err, ERR_UNSUPPORTED, "input %s: %" PRIu32 " channels", in->name,
                       in->dim[1]);
    o->channels = in->dim[1];
    o->flat = in->rank == 4;
    o->window[2] = 1;
    for (uint32_t a = 2; a < in->rank; a++) {
        if (in->dim[a] > NET_DIM_MAX)
            return err_set(err, ERR_INPUT, "input %s: %" PRIu32 " voxels along an axis", in->name,
                           in->dim[a]);
        o->window[in->rank - 1 - a] = in->dim[a];
    }
    return true;
}

// Whether all its nodes are known, and what comes out of them.
static bool try_file(struct net_onnx *o, struct err *err)
{
    uint32_t dim[3];
    if (!check_ports(o, err))
        return false;
    for (int a = 0; a < 3; a++)
        dim[a] = o->window[a] ? o->window[a] : FREE_AXIS;
    struct graph *g = build_for(o, dim, err);
    if (!g)
        return false;
    o->classes = g->values[g->outs[0]].dim[1];
    graph_destroy(g);
    return o->classes <= NET_CHANNELS_MAX ||
           err_set(err, ERR_UNSUPPORTED, "%" PRIu32 " classes", o->classes);
}

bool net_onnx_load(struct net *n, const char *path, struct err *err)
{
    uint8_t sum[DIGEST_SIZE];
    size_t len = 0;
    char *data = fs_read_file(path, FILE_MAX, &len, err);
    if (!data)
        return false;
    struct digest *d = digest_create();
    n->onnx = calloc(1, sizeof *n->onnx);
    if (n->onnx)
        n->onnx->arena = arena_create();
    bool ok = (d && n->onnx && n->onnx->arena) || err_set(err, ERR_NOMEM, "no memory");
    if (ok) {
        digest_add(d, data, len);
        digest_end(d, sum);
        digest_hex(sum, n->digest);
        n->onnx->model = onnx_read(n->onnx->arena, data, len, err);
        ok = n->onnx->model && try_file(n->onnx, err);
    }
    digest_destroy(d);
    free(data);
    return ok;
}

static void window_of(const struct net_onnx *o, const uint32_t dim[3], const uint32_t asked[3],
                      uint32_t window[3])
{
    for (int a = 0; a < 3; a++) {
        window[a] = o->window[a] ? o->window[a] : asked[a] ? asked[a] : dim[a];
        window[a] = window[a] < NET_DIM_MAX ? window[a] : NET_DIM_MAX;
    }
}

uint64_t net_onnx_memory(const struct net *n, const uint32_t dim[3])
{
    uint32_t window[3];
    struct err err = {0};
    window_of(n->onnx, dim, (const uint32_t[3]){0, 0, 0}, window);
    struct graph *g = build_for(n->onnx, window, &err);
    const uint64_t bytes = g ? graph_bytes(g) + NET_STAGING_BYTES : UINT64_MAX;
    graph_destroy(g);
    return bytes;
}

// ---- Windows ------------------------------------------------------------------------------------

// A volume that is walked over. Planes of scores are kept as long as a window may add to them.
struct walk {
    const struct net_onnx *o;
    const struct net_call *call;
    uint32_t window[3], count[3]; // windows along an axis
    float *weight[3];             // along an axis of a window
    float *in, *out;              // of a window: [channel or class][z][y][x]
    float *sums;                  // [class][plane of the window][row][column]
    float *weights;               // [plane of the window][row][column]
    struct graph_work *work;
    uint64_t done, all; // windows
    uint8_t *labels;
    float *scores;
};

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

// Where window i begins along an axis.
static uint32_t window_at(const struct walk *w, int axis, uint32_t i)
{
    const uint32_t dim = w->call->dim[axis], size = w->window[axis];
    if (w->count[axis] < 2)
        return 0;
    return (uint32_t)(((double)(dim - size) * i) / (w->count[axis] - 1) + 0.5);
}

static bool walk_init(struct walk *w, struct err *err)
{
    uint64_t voxels = 1;
    w->all = 1;
    for (int a = 0; a < 3; a++) {
        const uint32_t dim = w->call->dim[a], size = w->window[a];
        w->count[a] =
            dim > size ? (uint32_t)ceil((dim - size) / fmax(1, size * window_step)) + 1 : 1;
        w->all *= w->count[a];
        voxels *= size;
        w->weight[a] = malloc(size * sizeof(float));
        for (uint32_t k = 0; w->weight[a] && k < size; k++) {
            const double x = (k - (size - 1) / 2.0) / (size * window_sd);
            w->weight[a][k] = (float)exp(-x * x / 2);
        }
    }
    const uint64_t planes = (uint64_t)w->call->dim[0] * w->call->dim[1] * w->window[2];
    w->in = malloc(voxels * w->o->channels * sizeof(float));
    w->out = malloc(voxels * w->o->classes * sizeof(float));
    w->sums = calloc(planes * w->o->classes, sizeof(float));
    w->weights = calloc(planes, sizeof(float));
    return (w->weight[0] && w->weight[1] && w->weight[2] && w->in && w->out && w->sums &&
            w->weights) ||
           err_set(err, ERR_NOMEM, "no memory for windows of %" PRIu64 " voxels", voxels);
}

static void walk_finish(struct walk *w)
{
    for (int a = 0; a < 3; a++)
        free(w->weight[a]);
    free(w->in);
    free(w->out);
    free(w->sums);
    free(w->weights);
    graph_close(w->work);
}

// Copies a window of the values; zeros beyond the volume.
static void take_window(struct walk *w, const uint32_t at[3])
{
    const uint32_t *dim = w->call->dim, *size = w->window;
    float *out = w->in;
    for (uint32_t c = 0; c < w->o->channels; c++) {
        for (uint32_t z = 0; z < size[2]; z++) {
            for (uint32_t y = 0; y < size[1]; y++, out += size[0]) {
                const bool inside = at[2] + z < dim[2] && at[1] + y < dim[1];
                const uint32_t run = inside ? smaller(size[0], dim[0] - at[0]) : 0;
                if (run)
                    memcpy(out,
                           w->call->values +
                               (((uint64_t)c * dim[2] + at[2] + z) * dim[1] + at[1] + y) * dim[0] +
                               at[0],
                           run * sizeof *out);
                memset(out + run, 0, (size[0] - run) * sizeof *out);
            }
        }
    }
}

static void add_scores(const struct walk *w, float *to, const float *from, float factor,
                       uint32_t run)
{
    for (uint32_t x = 0; x < run; x++)
        to[x] += factor * w->weight[0][x] * (from ? from[x] : 1);
}

// Adds a window's scores to the planes, which begin where the window does along z.
static void add_window(struct walk *w, const uint32_t at[3])
{
    const uint32_t *dim = w->call->dim, *size = w->window;
    const uint64_t plane = (uint64_t)dim[0] * dim[1];
    for (uint32_t z = 0; z < size[2] && at[2] + z < dim[2]; z++) {
        for (uint32_t y = 0; y < size[1] && at[1] + y < dim[1]; y++) {
            const uint32_t run = smaller(size[0], dim[0] - at[0]);
            const float factor = w->weight[2][z] * w->weight[1][y];
            const uint64_t place = z * plane + (uint64_t)(at[1] + y) * dim[0] + at[0];
            add_scores(w, w->weights + place, NULL, factor, run);
            for (uint32_t c = 0; c < w->o->classes; c++)
                add_scores(w, w->sums + c * plane * size[2] + place,
                           w->out + (((uint64_t)c * size[2] + z) * size[1] + y) * size[0], factor,
                           run);
        }
    }
}

// Planes that no further window adds to become labels or scores; the rest moves to the front.
// False: the network gives something else than numbers.
static bool end_planes(struct walk *w, uint32_t first, uint32_t count, struct err *err)
{
    const uint64_t plane = (uint64_t)w->call->dim[0] * w->call->dim[1], all = plane * w->window[2],
                   done = plane * count;
    for (uint64_t v = 0; v < done; v++) {
        uint32_t best = 0;
        for (uint32_t c = 0; c < w->o->classes; c++) {
            const float score = w->sums[c * all + v];
            if (!isfinite(score))
                return err_set(err, ERR_INPUT,
                               "the network gives no number for class %" PRIu32
                               " of voxel %" PRIu64,
                               c, first * plane + v);
            best = score > w->sums[best * all + v] ? c : best;
            if (w->scores)
                w->scores[(c * (uint64_t)w->call->dim[2] + first) * plane + v] =
                    score / w->weights[v];
        }
        if (w->labels)
            w->labels[first * plane + v] = (uint8_t)best;
    }
    for (uint32_t c = 0; c < w->o->classes; c++) {
        memmove(w->sums + c * all, w->sums + c * all + done, (all - done) * sizeof(float));
        memset(w->sums + c * all + (all - done), 0, done * sizeof(float));
    }
    memmove(w->weights, w->weights + done, (all - done) * sizeof(float));
    memset(w->weights + (all - done), 0, done * sizeof(float));
    return true;
}

static bool walk_step(void *ctx, double done, struct err *err)
{
    const struct walk *w = ctx;
    return w->call->step(w->call->ctx, ((double)w->done + done) / (double)w->all, err);
}

static bool walk_run(struct walk *w, struct err *err)
{
    for (uint32_t z = 0; z < w->count[2]; z++) {
        uint32_t at[3] = {0, 0, window_at(w, 2, z)};
        for (uint32_t i = 0; i < w->count[0] * w->count[1]; i++) {
            const float *in = w->in;
            float *out = w->out;
            at[0] = window_at(w, 0, i % w->count[0]);
            at[1] = window_at(w, 1, i / w->count[0]);
            take_window(w, at);
            if (!graph_run(w->work, &in, &out, w->call->step ? walk_step : NULL, w, err))
                return false;
            add_window(w, at);
            w->done++;
        }
        const uint32_t next = z + 1 < w->count[2] ? window_at(w, 2, z + 1) : w->call->dim[2];
        if (!end_planes(w, at[2], next - at[2], err))
            return false;
    }
    return true;
}

static bool check_net_volume(const struct net_onnx *o, const struct net_call *call, bool labels,
                             struct err *err)
{
    for (int a = 0; a < 3; a++) {
        if (!call->dim[a] || call->dim[a] > NET_DIM_MAX)
            return err_set(err, ERR_INPUT, "%" PRIu32 " voxels along an axis, taken are 1 to %u",
                           call->dim[a], NET_DIM_MAX);
    }
    if (labels && (o->classes < 2 || o->classes > UINT8_MAX + 1))
        return err_set(err, ERR_UNSUPPORTED, "%" PRIu32 " classes, labels are of 2 to 256",
                       o->classes);
    return true;
}

bool net_onnx_run(const struct net *n, struct gpu *g, const struct net_call *call, uint8_t *labels,
                  float *scores, struct err *err)
{
    struct walk w = {.o = n->onnx, .call = call, .labels = labels, .scores = scores};
    if (!check_net_volume(n->onnx, call, labels != NULL, err))
        return false;
    window_of(n->onnx, call->dim, call->window, w.window);
    struct graph *graph = build_for(n->onnx, w.window, err);
    if (!graph)
        return false;
    const uint64_t bytes = graph_bytes(graph) + NET_STAGING_BYTES;
    bool ok =
        !call->memory || bytes <= call->memory ||
        err_set(err, ERR_NOMEM,
                "the network takes %" PRIu64 " MB of device memory, %" PRIu64 " MB may be taken",
                (bytes + 999999) / 1000000, call->memory / 1000000);
    ok = ok && walk_init(&w, err);
    w.work = ok ? graph_open(graph, g, err) : NULL;
    ok = w.work && walk_run(&w, err);
    walk_finish(&w);
    graph_destroy(graph);
    return ok;
}
