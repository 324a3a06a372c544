// What a network is once it is read: layers that follow each other. Of this folder only.
// Thread-safety: no state.
#pragma once
#include <stdint.h>
#include "compute/net/net.h"
#include "base/uid.h"

#ifdef __cplusplus
extern "C" {
#endif

// What follows a convolution; the numbers are those of shaders/net/act.glsl.
enum net_act {
    NET_LINEAR,
    NET_RELU,
    NET_LEAKY, // slope below zero
    NET_ELU,   // exp(x) - 1 below zero
    NET_GELU,  // x Phi(x), by the error function
    NET_SIGMOID,
};

// A convolution with stride 1 and as many zeros around as keep the size.
struct net_layer {
    uint32_t in, out;  // channels
    uint32_t size;     // of the kernel along each axis: 1 or 3
    uint32_t dilation; // voxels from tap to tap
    bool norm;         // its output is normalised, channel by channel, before act
    enum net_act act;
    float slope;    // of NET_LEAKY
    float *weights; // [out][in][z][y][x]
    float *bias;    // [out]
};

struct net {
    struct net_layer *layers; // NULL: the network is an ONNX file
    uint32_t count;
    struct net_onnx *onnx; // net_volume.c; NULL: the network is of layers
    uint32_t dim[3];       // columns, rows, slices; 0: any
    char digest[2 * DIGEST_SIZE + 1];
};

// Voxels that a layer reads to each side of the one it computes.
static inline uint32_t net_layer_reach(const struct net_layer *l)
{
    return l->size / 2 * l->dilation;
}

// Of what a dispatch writes, in bytes.
#define NET_ALIGN 256u
// An invocation computes so many voxels: rows in memory are a multiple of it.
#define NET_ROW_VOXELS 8u
// What the device takes besides, for transfers: GPU_STAGING_SLOTS x GPU_STAGING_BYTES.
#define NET_STAGING_BYTES (16ull << 20)

static inline uint64_t net_round_up(uint64_t value, uint64_t to)
{
    return (value + to - 1) / to * to;
}

// Bytes of a plane in memory: [channel][row] of rows that are a multiple of NET_ROW_VOXELS.
static inline uint64_t net_plane_bytes(const uint32_t dim[3], uint32_t channels)
{
    const uint64_t row_bytes = net_round_up(dim[0], NET_ROW_VOXELS) * sizeof(float);
    return net_round_up(row_bytes * dim[1] * channels, NET_ALIGN);
}

// net_tfjs.c: reads model.json and its weights. What is read so far is left in n also when it
// fails.
bool net_read_tfjs(struct net *n, const char *path, struct err *err);

// net_volume.c: the same for an ONNX file.
bool net_onnx_load(struct net *n, const char *path, struct err *err);
void net_onnx_free(struct net_onnx *o); // NULL is fine
struct net_shape net_onnx_shape(const struct net *n);
uint64_t net_onnx_memory(const struct net *n, const uint32_t dim[3]);
// One of labels and scores is NULL.
bool net_onnx_run(const struct net *n, struct gpu *g, const struct net_call *call, uint8_t *labels,
                  float *scores, struct err *err);

#ifdef __cplusplus
}
#endif
