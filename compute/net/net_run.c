// A network on a volume, plane by plane: the output of each layer is a ring of the planes that the
// next one still reads, and a plane is computed when it is first asked for. A norm needs all of a
// layer's output before the next layer begins: there the run is cut into passes (net_norm.h).
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compute/gpu/pipeline.h"
#include "compute/net/net_layer.h"
#include "compute/net/net_norm.h"
#include "shaders/net/shaders.h"

#define BLOCK_MAX     8u  // channels out that an invocation computes
#define UPLOAD_PLANES 16u // of the input at a time: each time the device is waited for
#define STEP_PLANES   4u  // of the last layer from one call of net_call.step to the next
// Multiplications that take as long as one voxel of gpu_dispatch()'s work, on the software device:
// 25 GFLOP/s there against 8 Mi voxels in some 25 ms.
#define PRODUCTS_PER_VOXEL 40u

struct conv_push { // Push of shaders/net/conv.comp
    uint32_t columns, rows, slices;
    uint32_t first_row, end_row;
    uint32_t quads;
    uint32_t channels_in, channels_out, blocks;
    uint32_t slot_quads, slots, shift;
    uint32_t z;
    float slope;
};
struct label_push { // of shaders/net/label.comp
    uint32_t columns, rows, quads, classes;
};

static const struct kernel label_kernel = {.shader = &shader_net_label,
                                           .group = {8, 8, 1},
                                           .push_bytes = sizeof(struct label_push),
                                           .bindings = 3,
                                           .access = {KERNEL_TEXELS, KERNEL_OUT, KERNEL_INOUT}};

// A run. rings[0] is the input, rings[i + 1] what layer i gives.
struct net_work {
    const struct net *net;
    struct gpu *gpu;
    const struct net_call *call;
    uint32_t quads; // of a row in memory
    struct net_ring *rings;
    struct gpu_buf *whole;    // what the rings behind norms share; NULL: there are none
    struct net_norm norm;     // with its buffers, where there are norms
    uint32_t base;            // the ring that the pass reads
    struct gpu_buf **weights; // of each layer
    struct gpu_buf *labels;   // a byte a voxel, rows as in memory; NULL: scores are asked for
    uint64_t label_bytes;     // of a plane
    struct gpu_buf *odd;      // a word: a score is no number; as labels
};

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t blocks_of(const struct net_layer *l)
{
    return (l->out + BLOCK_MAX - 1) / BLOCK_MAX;
}

// Channels of a block: even blocks, so that little is computed for nothing.
static uint32_t outs_of(const struct net_layer *l)
{
    return (l->out + blocks_of(l) - 1) / blocks_of(l);
}

// Floats of a layer's weights as conv.comp reads them.
static uint64_t packed_floats(const struct net_layer *l)
{
    const uint64_t taps = (uint64_t)l->size * l->size * l->size;
    return (uint64_t)blocks_of(l) * (l->in * taps + 1) * BLOCK_MAX;
}

// Whether ring i is what comes out of a norm: all planes of it are kept.
static bool comes_from_norm(const struct net *n, uint32_t i)
{
    return i && n->layers[i - 1].norm;
}

// The slots of the buffer that all rings behind norms share, and the bytes of one. A pass reads one
// of them and writes the next, whose planes come to lie over those that it has read for the last
// time: plane z over plane z - reach - 1.
static struct net_ring whole_of(const struct net *n, const uint32_t dim[3])
{
    struct net_ring all = {.slots = 0};
    uint32_t ahead = 0, rings = 0;
    for (uint32_t i = 1; i <= n->count; i++) {
        if (!comes_from_norm(n, i))
            continue;
        const uint64_t bytes = net_plane_bytes(dim, n->layers[i - 1].out);
        all.slot_bytes = bytes > all.slot_bytes ? bytes : all.slot_bytes;
        if (rings++ && ahead > all.slots)
            all.slots = ahead;
        ahead = i < n->count ? net_layer_reach(&n->layers[i]) + 1 : 0;
    }
    all.slots += rings ? dim[2] : 0;
    return all;
}

// The ring that layer i reads, or the one that the last gives (i == count).
static struct net_ring ring_of(const struct net *n, uint32_t i, const uint32_t dim[3], bool scores)
{
    struct net_ring r = {.channels = i < n->count ? n->layers[i].in : n->layers[i - 1].out};
    r.slot_bytes = net_plane_bytes(dim, r.channels);
    if (comes_from_norm(n, i)) {
        const struct net_ring all = whole_of(n, dim);
        r.slot_bytes = all.slot_bytes;
        r.slots = all.slots;
    } else if (i == n->count) {
        r.slots = scores ? dim[2] : 1;
    } else {
        r.slots =
            min_u32(dim[2], 2 * net_layer_reach(&n->layers[i]) + 1 + (i ? 0 : UPLOAD_PLANES - 1));
    }
    return r;
}

static uint64_t label_plane_bytes(const uint32_t dim[3])
{
    return net_round_up(net_round_up(dim[0], NET_ROW_VOXELS) * dim[1], NET_ALIGN);
}

uint64_t net_memory(const struct net *n, const uint32_t dim[3], bool scores)
{
    if (n->onnx)
        return net_onnx_memory(n, dim);
    uint64_t bytes = scores ? 0 : label_plane_bytes(dim) * dim[2] + NET_ALIGN;
    for (uint32_t i = 0; i <= n->count; i++) {
        const struct net_ring r = ring_of(n, i, dim, scores);
        bytes += comes_from_norm(n, i) ? 0 : r.slot_bytes * r.slots;
        if (i < n->count)
            bytes += net_round_up(packed_floats(&n->layers[i]) * sizeof(float), NET_ALIGN);
    }
    const struct net_ring all = whole_of(n, dim);
    return bytes + all.slots * all.slot_bytes + net_norm_bytes(n, dim) + NET_STAGING_BYTES;
}

// ---- Making ready -------------------------------------------------------------------------------

static bool check_call(const struct net *n, const struct net_call *call, bool scores,
                       struct err *err)
{
    static const char *const axis[3] = {"columns", "rows", "slices"};
    for (int a = 0; a < 3; a++) {
        if (!call->dim[a] || call->dim[a] > NET_DIM_MAX)
            return err_set(err, ERR_INPUT, "%" PRIu32 " %s, taken are 1 to %u", call->dim[a],
                           axis[a], NET_DIM_MAX);
        if (n->dim[a] && n->dim[a] != call->dim[a])
            return err_set(err, ERR_INPUT, "%" PRIu32 " %s, the network asks for %" PRIu32,
                           call->dim[a], axis[a], n->dim[a]);
    }
    const uint32_t classes = n->layers[n->count - 1].out;
    if (!scores && classes > UINT8_MAX + 1)
        return err_set(err, ERR_UNSUPPORTED, "%" PRIu32 " classes, labels have 256", classes);
    const uint64_t bytes = net_memory(n, call->dim, scores);
    if (call->memory && bytes > call->memory)
        return err_set(err, ERR_NOMEM,
                       "the network takes %" PRIu64 " MB of device memory, %" PRIu64
                       " MB may be taken",
                       (bytes + 999999) / 1000000, call->memory / 1000000);
    return true;
}

static struct gpu_buf *upload_weights(struct gpu *g, const struct net_layer *l, struct err *err)
{
    const uint64_t floats = packed_floats(l), taps = (uint64_t)l->size * l->size * l->size;
    const uint32_t outs = outs_of(l);
    float *packed = calloc(floats, sizeof *packed);
    struct gpu_buf *buf = NULL;
    if (!packed) {
        err_set(err, ERR_NOMEM, "no memory for weights");
        return NULL;
    }
    float *bias = packed + (uint64_t)blocks_of(l) * l->in * taps * BLOCK_MAX;
    for (uint32_t out = 0; out < l->out; out++) {
        const uint64_t block = out / outs, lane = out % outs;
        for (uint64_t k = 0; k < l->in * taps; k++)
            packed[(block * l->in * taps + k) * BLOCK_MAX + lane] =
                l->weights[out * l->in * taps + k];
        bias[block * BLOCK_MAX + lane] = l->bias[out];
    }
    buf = gpu_buf_create(g, "net weights", floats * sizeof *packed, err);
    if (buf && !gpu_buf_write(buf, 0, packed, floats * sizeof *packed, err)) {
        gpu_buf_destroy(buf);
        buf = NULL;
    }
    free(packed);
    return buf;
}

static void net_work_finish(struct net_work *w)
{
    for (uint32_t i = 0; w->rings && i <= w->net->count; i++)
        gpu_buf_destroy(w->rings[i].buf == w->whole ? NULL : w->rings[i].buf);
    for (uint32_t i = 0; w->weights && i < w->net->count; i++)
        gpu_buf_destroy(w->weights[i]);
    gpu_buf_destroy(w->labels);
    gpu_buf_destroy(w->odd);
    gpu_buf_destroy(w->whole);
    net_norm_finish(&w->norm);
    free(w->rings);
    free(w->weights);
}

static bool net_work_init(struct net_work *w, bool scores, struct err *err)
{
    const struct net *n = w->net;
    const uint32_t *dim = w->call->dim;
    if (!check_call(n, w->call, scores, err))
        return false;
    w->quads = (uint32_t)net_round_up(dim[0], NET_ROW_VOXELS) / 4;
    w->rings = calloc(n->count + 1, sizeof *w->rings);
    w->weights = calloc(n->count, sizeof(struct gpu_buf *));
    if (!w->rings || !w->weights)
        return err_set(err, ERR_NOMEM, "no memory");
    uint32_t shift = 0;
    for (uint32_t i = 0; i <= n->count; i++) {
        struct net_ring *r = &w->rings[i];
        *r = ring_of(n, i, dim, scores);
        if (r->slot_bytes * r->slots > gpu_bind_limit(w->gpu, KERNEL_TEXELS) ||
            r->slot_bytes > gpu_bind_limit(w->gpu, KERNEL_OUT))
            return err_set(err, ERR_UNSUPPORTED,
                           "%" PRIu32 " planes of %" PRIu32 " channels, %" PRIu64
                           " bytes each, are more than the device binds",
                           r->slots, r->channels, r->slot_bytes);
        const bool shared = comes_from_norm(n, i) && w->whole;
        r->buf =
            shared ? w->whole : gpu_buf_create(w->gpu, "net planes", r->slot_bytes * r->slots, err);
        if (!r->buf)
            return false;
        if (comes_from_norm(n, i)) {
            w->whole = r->buf;
            r->shift = shift;
            shift = i < n->count
                        ? (r->slots + shift - net_layer_reach(&n->layers[i]) - 1) % r->slots
                        : 0;
        }
        if (i < n->count) {
            w->weights[i] = upload_weights(w->gpu, &n->layers[i], err);
            if (!w->weights[i])
                return false;
        }
    }
    w->norm = (struct net_norm){.gpu = w->gpu, .dim = dim, .quads = w->quads};
    if (w->whole && !net_norm_init(&w->norm, n, err))
        return false;
    if (scores)
        return true;
    w->label_bytes = label_plane_bytes(dim);
    w->labels = gpu_buf_create(w->gpu, "net labels", w->label_bytes * dim[2], err);
    w->odd = gpu_buf_create(w->gpu, "net odd scores", NET_ALIGN, err);
    return w->labels && w->odd && gpu_buf_write(w->odd, 0, &(uint32_t){0}, sizeof(uint32_t), err);
}

// ---- Planes -------------------------------------------------------------------------------------

// Brings planes of the input to the device, up to `end` and some more, as far as the ring has room.
static bool upload_planes(struct net_work *w, uint32_t end, struct err *err)
{
    struct net_ring *r = &w->rings[0];
    const uint32_t *dim = w->call->dim;
    const uint64_t row_bytes = dim[0] * sizeof(float), pitch = w->quads * 16ULL;
    if (r->done >= end)
        return true;
    for (end = min_u32(dim[2], end + UPLOAD_PLANES - 1); r->done < end; r->done++) {
        for (uint32_t c = 0; c < r->channels; c++) {
            const float *plane =
                w->call->values + ((uint64_t)c * dim[2] + r->done) * dim[1] * dim[0];
            const uint64_t at = net_ring_at(r, r->done) + c * dim[1] * pitch;
            if (!gpu_buf_write_rows(r->buf, at, pitch, plane, row_bytes, dim[1], err))
                return false;
        }
    }
    return true;
}

static bool compute_plane(struct net_work *w, uint32_t layer, uint32_t z, struct err *err)
{
    const struct net_layer *l = &w->net->layers[layer];
    const struct net_ring *from = &w->rings[layer], *to = &w->rings[layer + 1];
    const uint32_t *dim = w->call->dim;
    const uint64_t taps = (uint64_t)l->size * l->size * l->size;
    const struct kernel k = {
        .shader = &shader_net_conv,
        .group = {8, 8, 1},
        .constants = {outs_of(l), l->size, l->dilation, l->norm ? NET_LINEAR : l->act},
        .push_bytes = sizeof(struct conv_push),
        .bindings = 3,
        .access = {KERNEL_TEXELS, KERNEL_TEXELS, KERNEL_OUT}};
    const struct gpu_range ranges[3] = {{from->buf, 0, from->slot_bytes * from->slots},
                                        {w->weights[layer], 0, packed_floats(l) * sizeof(float)},
                                        {to->buf, net_ring_at(to, z), to->slot_bytes}};
    const uint64_t row_work = 1 + taps * l->in * l->out * dim[0] / PRODUCTS_PER_VOXEL;
    const uint64_t rows_max = gpu_work_limit(w->gpu) / row_work / 8 * 8;
    const uint32_t rows = rows_max < 8 ? 8 : (uint32_t)(rows_max > dim[1] ? dim[1] : rows_max);
    struct conv_push push = {.columns = dim[0],
                             .rows = dim[1],
                             .slices = dim[2],
                             .quads = w->quads,
                             .channels_in = l->in,
                             .channels_out = l->out,
                             .blocks = blocks_of(l),
                             .slot_quads = (uint32_t)(from->slot_bytes / 16),
                             .slots = from->slots,
                             .shift = from->shift,
                             .z = z,
                             .slope = l->slope};
    for (; push.first_row < dim[1]; push.first_row = push.end_row) {
        push.end_row = min_u32(dim[1], push.first_row + rows);
        const uint32_t groups[3] = {(w->quads / 2 + 7) / 8, (push.end_row - push.first_row + 7) / 8,
                                    push.blocks};
        if (!gpu_dispatch(w->gpu, &k, ranges, &push, groups, taps * l->in,
                          row_work * (push.end_row - push.first_row), err))
            return false;
    }
    return true;
}

// Brings the planes up to `end` that a pass reads.
static bool fetch_planes(struct net_work *w, uint32_t end, struct err *err)
{
    return w->base ? net_norm_apply(&w->norm, &w->rings[w->base], &w->net->layers[w->base - 1], end,
                                    err)
                   : upload_planes(w, end, err);
}

// Makes the planes of ring `last` up to `end`. Rings before it get what they need first; as `end`
// is at most one beyond what the reader of the ring reads now, nothing that it needs is
// overwritten.
static bool make_planes(struct net_work *w, uint32_t last, uint32_t end, struct err *err)
{
    const struct net *n = w->net;
    const uint32_t slices = w->call->dim[2];
    // A layer's next plane needs planes of the one before; walked from the last layer to the first
    // and back, without recursion: the depth is the file's.
    for (uint32_t i = last; i > w->base;) {
        struct net_ring *r = &w->rings[i];
        const uint32_t wanted =
            i == last ? end
                      : min_u32(slices, w->rings[i + 1].done + 1 + net_layer_reach(&n->layers[i]));
        if (r->done >= wanted) {
            if (i == last)
                return true;
            i++; // what it was asked for is there
            continue;
        }
        const uint32_t needs = min_u32(slices, r->done + 1 + net_layer_reach(&n->layers[i - 1]));
        if (i - 1 == w->base && !fetch_planes(w, needs, err))
            return false;
        if (w->rings[i - 1].done < needs) {
            i--;
            continue;
        }
        if (!compute_plane(w, i - 1, r->done, err))
            return false;
        r->done++;
    }
    return true;
}

static bool label_plane(struct net_work *w, uint32_t z, struct err *err)
{
    const struct net_ring *r = &w->rings[w->net->count];
    const uint32_t rows = w->call->dim[1];
    const struct label_push push = {w->call->dim[0], rows, w->quads, r->channels};
    const struct gpu_range ranges[3] = {{r->buf, net_ring_at(r, z), r->slot_bytes},
                                        {w->labels, z * w->label_bytes, w->label_bytes},
                                        {w->odd, 0, NET_ALIGN}};
    const uint32_t groups[3] = {(w->quads + 7) / 8, (rows + 7) / 8, 1};
    return gpu_dispatch(w->gpu, &label_kernel, ranges, &push, groups, r->channels,
                        (uint64_t)w->quads * 4 * rows * r->channels, err);
}

// One pass: from ring w->base to ring `last`, which comes out of a norm or is the network's.
static bool run_pass(struct net_work *w, uint32_t last, struct err *err)
{
    const uint32_t slices = w->call->dim[2], count = w->net->count;
    const bool norm = comes_from_norm(w->net, last);
    for (uint32_t z = 0; z < slices; z++) {
        const double done = (w->base + (last - w->base) * ((double)z / slices)) / count;
        if (w->call->step && z % STEP_PLANES == 0 && !w->call->step(w->call->ctx, done, err))
            return false;
        if (!make_planes(w, last, z + 1, err) ||
            (norm && !net_norm_sum(&w->norm, &w->rings[last], z, err)) ||
            (last == count && !norm && w->labels && !label_plane(w, z, err)))
            return false;
    }
    w->base = last;
    return !norm || net_norm_end(&w->norm, &w->rings[last], err);
}

static bool run_planes(struct net_work *w, struct err *err)
{
    const uint32_t slices = w->call->dim[2], count = w->net->count;
    for (uint32_t last = 1; last <= count; last++) {
        if ((comes_from_norm(w->net, last) || last == count) && !run_pass(w, last, err))
            return false;
    }
    // What a norm at the end leaves to do.
    if (comes_from_norm(w->net, count) && !fetch_planes(w, slices, err))
        return false;
    for (uint32_t z = 0; comes_from_norm(w->net, count) && w->labels && z < slices; z++) {
        if (!label_plane(w, z, err))
            return false;
    }
    return gpu_finish(w->gpu, err);
}

// ---- Reading ------------------------------------------------------------------------------------

// Rows of `bytes` that lie `pitch` apart in the device's memory, next to each other.
static bool read_rows(struct gpu_buf *buf, uint64_t offset, uint64_t pitch, uint64_t bytes,
                      uint32_t rows, uint8_t *scratch, void *out, struct err *err)
{
    if (!gpu_buf_read(buf, offset, scratch, pitch * rows, err))
        return false;
    for (uint32_t y = 0; y < rows; y++)
        memcpy((uint8_t *)out + y * bytes, scratch + y * pitch, bytes);
    return true;
}

// What is no number would count as the first class. The device has looked where labels are asked
// for.
static bool check_numbers(struct net_work *w, const float *scores, struct err *err)
{
    const uint64_t voxels = (uint64_t)w->call->dim[0] * w->call->dim[1] * w->call->dim[2];
    const uint64_t count = scores ? voxels * w->rings[w->net->count].channels : 0;
    uint32_t odd = 0;
    if (!scores && !gpu_buf_read(w->odd, 0, &odd, sizeof odd, err))
        return false;
    for (uint64_t i = 0; !odd && i < count; i++)
        odd = !isfinite(scores[i]);
    return !odd || err_set(err, ERR_INPUT, "the network gives no number for a voxel");
}

static bool read_result(struct net_work *w, uint8_t *labels, float *scores, struct err *err)
{
    const uint32_t *dim = w->call->dim;
    const struct net_ring *r = &w->rings[w->net->count];
    const uint64_t pitch = w->quads * (labels ? 4ULL : 16ULL), voxels = (uint64_t)dim[0] * dim[1];
    uint8_t *scratch = malloc(pitch * dim[1]);
    bool ok = scratch || err_set(err, ERR_NOMEM, "no memory");
    for (uint32_t z = 0; ok && z < dim[2]; z++) {
        if (labels)
            ok = read_rows(w->labels, z * w->label_bytes, pitch, dim[0], dim[1], scratch,
                           labels + z * voxels, err);
        for (uint32_t c = 0; ok && scores && c < r->channels; c++)
            ok = read_rows(r->buf, net_ring_at(r, z) + c * pitch * dim[1], pitch,
                           dim[0] * sizeof(float), dim[1], scratch,
                           scores + ((uint64_t)c * dim[2] + z) * voxels, err);
    }
    free(scratch);
    return ok;
}

static bool run_net(const struct net *n, struct gpu *g, const struct net_call *call,
                    uint8_t *labels, float *scores, struct err *err)
{
    if (n->onnx)
        return net_onnx_run(n, g, call, labels, scores, err);
    struct net_work w = {.net = n, .gpu = g, .call = call};
    const bool ok = net_work_init(&w, scores != NULL, err) && run_planes(&w, err) &&
                    read_result(&w, labels, scores, err) && check_numbers(&w, scores, err);
    net_work_finish(&w);
    return ok;
}

bool net_labels(const struct net *n, struct gpu *g, const struct net_call *call, uint8_t *labels,
                struct err *err)
{
    return run_net(n, g, call, labels, NULL, err);
}

bool net_scores(const struct net *n, struct gpu *g, const struct net_call *call, float *scores,
                struct err *err)
{
    return run_net(n, g, call, NULL, scores, err);
}
