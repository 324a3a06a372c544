// Instance norms of a network that runs plane by plane: each channel of a layer's output gets the
// mean 0 and the variance 1 over all its voxels (epsilon is added to the variance), before what
// follows the layer. Of this folder only. Thread-safety: of the thread of its struct gpu.
//
// A norm needs the whole of what the layer gives. While the layer's planes are made, each is
// summed up; when the last is there, factors and offsets follow, and the layer after it gets each
// plane normalised when it first asks for it.
#pragma once
#include "compute/gpu/pipeline.h"
#include "compute/net/net_layer.h"

// Added to the variance: PyTorch's and brainchop's.
#define NET_NORM_EPSILON 1e-5

// The planes of one tensor that are kept: plane z lies in slot (z + shift) % slots.
struct net_ring {
    struct gpu_buf *buf;
    uint32_t channels, slots, shift;
    uint64_t slot_bytes;
    uint32_t done;   // planes made so far
    uint32_t normed; // of them; of what comes out of a norm only
};

// Bytes from the start of the ring's buffer to plane z.
static inline uint64_t net_ring_at(const struct net_ring *r, uint32_t z)
{
    return (z + r->shift) % r->slots * r->slot_bytes;
}

// What norms need besides: nothing where a network has none.
struct net_norm {
    struct gpu *gpu;
    const uint32_t *dim; // columns, rows, slices
    uint32_t quads;      // of a row in memory
    uint64_t plane_bytes;
    struct gpu_buf *moments; // of each plane: [channel][row] of mean, sum of squared deviations
    struct gpu_buf *coeffs;  // [channel] of factor, offset
};

// Bytes of device memory that the norms of a network take.
uint64_t net_norm_bytes(const struct net *n, const uint32_t dim[3]);
bool net_norm_init(struct net_norm *m, const struct net *n, struct err *err);
void net_norm_finish(struct net_norm *m);

// Notes the moments of plane z, which was made.
bool net_norm_sum(struct net_norm *m, const struct net_ring *r, uint32_t z, struct err *err);
// With all planes summed: what follows for each channel.
bool net_norm_end(struct net_norm *m, const struct net_ring *r, struct err *err);
// Normalises the planes up to `end` that are not yet. l is the layer that made them.
bool net_norm_apply(struct net_norm *m, struct net_ring *r, const struct net_layer *l, uint32_t end,
                    struct err *err);
