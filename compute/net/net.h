// A convolutional network: read from a file, checked, and run on a volume by the device.
//
//   struct net *n = net_load(path, &err);
//   const struct net_call call = {.values = values, .dim = {256, 256, 256}};
//   ok = n && net_labels(n, gpu, &call, labels, &err);
//
// What is read: an ONNX file (its name ends in .onnx) with one input of [1][channels] and two or
// three axes of space, and one output of [1][classes] and the same axes; doc/networks.md lists its
// operators. Or the layers format of TensorFlow.js, a model.json with its weights beside it, whose
// layers form a chain of InputLayer, Conv3D ("same" padding, stride 1, dilation, odd kernel; with
// an instance norm behind it where its name ends in _gn) and Activation. The file is input from a
// stranger: every number in it is bounded before it allocates or indexes, and an error names the
// layer or node and the value.
//
// How a chain runs: plane by plane through all layers at once. Of each layer's output only the
// planes that later layers still read are kept, in a ring, so that memory grows with the sum of
// dilations and not with the number of slices, and nothing is computed twice. A norm needs all that
// comes before it: of a network with norms one tensor is kept whole. All sums are fp32, of norms
// double beyond a row.
//
// Axes: x is the last spatial axis of the network's tensors (the innermost in memory), z the first.
// What the axes mean in the patient, and how values are normalised, is the caller's.
//
// Errors of loading
//   ERR_IO           a file cannot be read
//   ERR_INPUT        the file is no network, contradicts itself, or is beyond a limit below
//   ERR_UNSUPPORTED  it is a network, with a layer or an option that is not known here
//   ERR_NOMEM
// Thread-safety: a loaded network is constant; running it is of the thread of its struct gpu.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "compute/gpu/gpu.h"
#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

// Limits of what is taken from a file, and run: well above the chains that are known (brainchop: 52
// layers, 104 channels, 256 voxels, a dilation of 16).
#define NET_LAYERS_MAX   1024u
#define NET_CHANNELS_MAX 1024u
#define NET_DIM_MAX      1024u          // voxels along an axis
#define NET_REACH_MAX    128u           // voxels a kernel reaches to one side: dilation x half size
#define NET_TEXT_MAX     (16u << 20)    // bytes of model.json
#define NET_WEIGHTS_MAX  (512ull << 20) // bytes of all weights

// A norm makes each score depend on all voxels.
#define NET_REACH_ALL UINT32_MAX

struct net; // opaque

// path  of the model.json; its weights lie in the same folder, under plain names
struct net *net_load(const char *path, struct err *err);
void net_destroy(struct net *n); // NULL is fine

// What the network takes and gives.
struct net_shape {
    uint32_t channels;  // of the input
    uint32_t classes;   // channels of the output: scores, one a class
    uint32_t dim[3];    // columns, rows, slices that the file asks for; 0: any
    uint32_t window[3]; // that it takes at a time, of an ONNX file; 0: all there are
    bool windowed;      // an ONNX file, which is moved over the volume
    uint32_t reach;     // voxels to each side that a score depends on, or NET_REACH_ALL
};
struct net_shape net_shape(const struct net *n);

// SHA-256 of the ONNX file, or of model.json and then of the weights, in the order the file names
// them; lower-case hex.
// The same digest is the same network.
const char *net_digest(const struct net *n);

// Bytes of device memory that a run on a volume of dim takes at most, known before anything is
// allocated. scores: of net_scores(), else of net_labels(). UINT64_MAX: it cannot run on it.
uint64_t net_memory(const struct net *n, const uint32_t dim[3], bool scores);

struct net_call {
    const float *values; // [channels][slices][rows][columns]
    uint32_t dim[3];     // columns, rows, slices
    uint32_t window[3];  // the same of what an ONNX file takes at a time along axes that it leaves
                         // free; 0: all of the volume
    uint64_t memory;     // bytes of device memory that may be taken; 0: what the device gives
    // Asked now and then; done goes from 0 to 1. False ends the run with *err. NULL: none.
    bool (*step)(void *ctx, double done, struct err *err);
    void *ctx;
};

// The class of the largest score of each voxel; of equal ones the first.
// labels  [slices][rows][columns]
//   ERR_INPUT        dim is not what the file asks for, or beyond a limit; the network gives no
//                    number for a voxel
//   ERR_NOMEM        it would take more than call->memory (the text says how much)
//   ERR_UNSUPPORTED  more than 256 classes; a ring is larger than the device can bind
// and those of compute/gpu/gpu.h.
bool net_labels(const struct net *n, struct gpu *g, const struct net_call *call, uint8_t *labels,
                struct err *err);

// The scores as the network gives them (no softmax is added).
// scores  [classes][slices][rows][columns]
bool net_scores(const struct net *n, struct gpu *g, const struct net_call *call, float *scores,
                struct err *err);

#ifdef __cplusplus
}
#endif
