#include "compute/net/net.h"
#include <stdlib.h>
#include <string.h>
#include "compute/net/net_layer.h"

void net_destroy(struct net *n)
{
    if (!n)
        return;
    for (uint32_t i = 0; i < n->count; i++) {
        free(n->layers[i].weights);
        free(n->layers[i].bias);
    }
    free(n->layers);
    net_onnx_free(n->onnx);
    free(n);
}

static bool ends_in_onnx(const char *path)
{
    const size_t len = strlen(path);
    return len > 5 && strcmp(path + len - 5, ".onnx") == 0;
}

struct net *net_load(const char *path, struct err *err)
{
    struct net *n = calloc(1, sizeof *n);
    if (!n) {
        err_set(err, ERR_NOMEM, "%s: no memory", path);
        return NULL;
    }
    if (ends_in_onnx(path) ? net_onnx_load(n, path, err) : net_read_tfjs(n, path, err))
        return n;
    net_destroy(n);
    err_wrap(err, "%s", path);
    return NULL;
}

struct net_shape net_shape(const struct net *n)
{
    if (n->onnx)
        return net_onnx_shape(n);
    struct net_shape shape = {.channels = n->layers[0].in,
                              .classes = n->layers[n->count - 1].out,
                              .dim = {n->dim[0], n->dim[1], n->dim[2]}};
    for (uint32_t i = 0; i < n->count && shape.reach != NET_REACH_ALL; i++)
        shape.reach =
            n->layers[i].norm ? NET_REACH_ALL : shape.reach + net_layer_reach(&n->layers[i]);
    return shape;
}

const char *net_digest(const struct net *n)
{
    return n->digest;
}
