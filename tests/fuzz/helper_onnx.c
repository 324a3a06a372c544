// An ONNX file loads within its limits or is refused with a reason.
#include <stdio.h>
#include <string.h>
#include "compute/net/net.h"
#include "tests/check.h"
#include "tests/fuzz/helper_targets.h"
#include "tests/onnx.h"

#define WEIGHTS(graph, name, step, ...)                                                            \
    onnx_put_tensor(graph, name, 1, sizeof(uint32_t[]){__VA_ARGS__} / sizeof(uint32_t),            \
                    (uint32_t[]){__VA_ARGS__}, step)
#define WHOLE(graph, name, step, count)                                                            \
    onnx_put_tensor(graph, name, 7, 1, (uint32_t[]){count}, step)
#define NODE(graph, op, in, out, ...)                                                              \
    onnx_put_node(graph, op, in, out, (struct onnx_attribute[]){__VA_ARGS__},                      \
                  sizeof(struct onnx_attribute[]){__VA_ARGS__} / sizeof(struct onnx_attribute))

// Down, up and a path beside, as a U-Net has them.
static void put_unet(struct onnx_bytes *g)
{
    WEIGHTS(g, "k0", 1, 2, 1, 3, 3, 1);
    WEIGHTS(g, "s", 1, 2);
    WEIGHTS(g, "k1", 1, 2, 2, 2, 2, 2);
    WEIGHTS(g, "k2", 1, 3, 4, 1, 1, 1);
    NODE(g, "Conv", "in k0 s", "a", {"pads", 6, {1, 1, 0, 1, 1, 0}});
    NODE(g, "InstanceNormalization", "a s s", "b", {"unused", 0, {1}});
    NODE(g, "LeakyRelu", "b", "c", {"unused", 0, {1}});
    NODE(g, "MaxPool", "c", "d", {"kernel_shape", 3, {2, 2, 2}}, {"strides", 3, {2, 2, 2}});
    NODE(g, "ConvTranspose", "d k1", "e", {"strides", 3, {2, 2, 2}});
    NODE(g, "Concat", "c e", "f", {"axis", 0, {1}});
    NODE(g, "Conv", "f k2", "out", {"group", 0, {1}});
    onnx_put_port(g, 11, "in", 5, (uint32_t[]){1, 1, 4, 4, 4});
    onnx_put_port(g, 12, "out", 5, (uint32_t[]){1, 3, 4, 4, 4});
}

// Of two axes that are free: shapes that are computed, attention, a table.
static void put_moves(struct onnx_bytes *g)
{
    WEIGHTS(g, "one", 1, 1);
    WEIGHTS(g, "scales", 1, 4);
    WHOLE(g, "zero", 1, 1);
    WHOLE(g, "order", 1, 2);
    WHOLE(g, "far", 5, 2);
    WHOLE(g, "pads", 1, 8);
    NODE(g, "Shape", "in", "shape", {"start", 0, {0}});
    NODE(g, "Flatten", "in", "flat", {"axis", 0, {2}});
    NODE(g, "Transpose", "flat", "turned", {"perm", 2, {1, 0}});
    NODE(g, "MatMul", "flat turned", "square", {"unused", 0, {1}});
    NODE(g, "Softmax", "square", "soft", {"axis", 0, {-1}});
    NODE(g, "MatMul", "soft flat", "mixed", {"unused", 0, {1}});
    NODE(g, "Reshape", "mixed shape", "back", {"allowzero", 0, {0}});
    NODE(g, "Gather", "back order", "two", {"axis", 0, {1}});
    NODE(g, "Pad", "two pads one", "padded", {"unused", 0, {1}});
    NODE(g, "ReduceMean", "two", "mean", {"axes", 2, {2, 3}});
    NODE(g, "Sub", "two mean", "less", {"unused", 0, {1}});
    NODE(g, "Split", "less", "first second", {"axis", 0, {1}});
    NODE(g, "Slice", "second order far", "piece", {"unused", 0, {1}});
    NODE(g, "Concat", "first second", "out", {"axis", 0, {1}});
    onnx_put_port(g, 11, "in", 4, (uint32_t[]){1, 2, 0, 0});
    onnx_put_port(g, 12, "out", 4, (uint32_t[]){1, 2, 0, 0});
}

void fuzz_onnx_seeds(fuzz_keep keep, void *ctx)
{
    static void (*const put[])(struct onnx_bytes * g) = {put_unet, put_moves};
    for (size_t i = 0; i < sizeof put / sizeof *put; i++) {
        struct onnx_bytes graph = {.len = 0}, file = {.len = 0};
        put[i](&graph);
        onnx_put_model(&file, &graph, 13);
        keep(ctx, file.data, file.len);
    }
}

bool fuzz_onnx(const uint8_t *data, size_t size)
{
    const uint32_t dim[3] = {64, 64, 1};
    struct net *n = fuzz_net_load(data, size, "mutant.onnx");
    if (!n)
        return false;
    const struct net_shape shape = net_shape(n);
    for (int a = 0; a < 3; a++)
        fuzz_check(shape.window[a] <= NET_DIM_MAX, "windows are bounded");
    fuzz_check(net_memory(n, dim, true) > 0, "memory is known");
    net_destroy(n);
    return true;
}
