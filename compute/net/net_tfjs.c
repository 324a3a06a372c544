// The layers format of TensorFlow.js: a JSON file with the topology as Keras writes it and a
// manifest of the weights, which are raw little-endian float32 in the manifest's order, in files
// beside it. Source: tensorflow/tfjs-layers, the keys of a saved model; kernels are
// [z][y][x][in][out].
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "compute/net/net_layer.h"
#include "base/fs.h"

#define TFJS_RANK_MAX  5u
#define TFJS_FILES_MAX 64u
#define TFJS_NAME_MAX  128 // bytes of a layer's name

// brainchop's convention, which no key tells: what a layer of such a name gives is normalised, each
// channel for itself over all voxels, without weights, before its activation. Source: brainchop,
// tensor-utils, where layers of such names get the moments over the three axes of space.
static const char norm_suffix[] = "_gn";

struct tfjs_tensor {
    const char *name; // in the JSON
    uint32_t rank, dim[TFJS_RANK_MAX];
    const float *values; // in tfjs.weights
    uint64_t count;
};

struct tfjs {
    const char *path;
    json_t *root;
    char *weights; // of all files, one after the other
    size_t bytes, room;
    struct tfjs_tensor *tensors;
    size_t count;
    struct digest *digest;
};

static bool is_plain_file_name(const char *name)
{
    return *name && *name != '.' && !strchr(name, '/') && strlen(name) <= TFJS_NAME_MAX;
}

// A file beside model.json: no link, which could lead anywhere.
static bool add_weight_file(struct tfjs *t, const char *name, struct err *err)
{
    char folder[PATH_MAX], path[PATH_MAX];
    struct stat st;
    size_t len = 0;
    if (!is_plain_file_name(name))
        return err_set(err, ERR_INPUT, "weights in \"%.100s\": not a plain name beside it", name);
    const char *slash = strrchr(t->path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - t->path) : 1,
             slash ? t->path : ".");
    if (!fs_join(path, slash == t->path ? "/" : folder, name, err))
        return false;
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return err_set(err, ERR_IO, "weights in %s: no such plain file", name);
    if ((uint64_t)st.st_size > NET_WEIGHTS_MAX - t->bytes)
        return err_set(err, ERR_INPUT, "%s: more than %llu bytes of weights", name,
                       NET_WEIGHTS_MAX);
    char *data = fs_read_file(path, (size_t)(NET_WEIGHTS_MAX - t->bytes), &len, err);
    if (!data)
        return false;
    char *all = len ? realloc(t->weights, t->bytes + len) : t->weights;
    if (len && !all) {
        free(data);
        return err_set(err, ERR_NOMEM, "%s: no memory", name);
    }
    if (len)
        memcpy(all + t->bytes, data, len);
    digest_add(t->digest, data, len);
    free(data);
    t->weights = all;
    t->bytes += len;
    return true;
}

// A number from the file within its limits. json NULL or no integer is an error.
static bool read_count(const json_t *json, const char *what, const char *of, uint32_t max,
                       uint32_t *out, struct err *err)
{
    if (!json_is_integer(json))
        return err_set(err, ERR_INPUT, "%s: %s is no whole number", of, what);
    const json_int_t value = json_integer_value(json);
    if (value < 1 || value > (json_int_t)max)
        return err_set(err, ERR_INPUT,
                       "%s: %s is %" JSON_INTEGER_FORMAT ", taken are 1 to %" PRIu32, of, what,
                       value, max);
    *out = (uint32_t)value;
    return true;
}

// The same number along all three axes.
static bool read_cube(const json_t *json, const char *what, const char *of, uint32_t max,
                      uint32_t *out, struct err *err)
{
    uint32_t axis[3] = {0};
    if (json_array_size(json) != 3)
        return err_set(err, ERR_INPUT, "%s: %s is not of three axes", of, what);
    for (size_t a = 0; a < 3; a++) {
        if (!read_count(json_array_get(json, a), what, of, max, &axis[a], err))
            return false;
    }
    if (axis[0] != axis[1] || axis[0] != axis[2])
        return err_set(err, ERR_UNSUPPORTED, "%s: %s differs between axes", of, what);
    *out = axis[0];
    return true;
}

static bool add_tensor(struct tfjs *t, const json_t *json, uint64_t *offset, struct err *err)
{
    const char *name = json_string_value(json_object_get(json, "name"));
    const char *type = json_string_value(json_object_get(json, "dtype"));
    const json_t *shape = json_object_get(json, "shape");
    struct tfjs_tensor *tensor = &t->tensors[t->count];
    if (!name || strlen(name) > 2UL * TFJS_NAME_MAX || !json_is_array(shape))
        return err_set(err, ERR_INPUT, "weight %zu has no name or no shape", t->count);
    if (!type || strcmp(type, "float32") != 0 || json_object_get(json, "quantization"))
        return err_set(err, ERR_UNSUPPORTED, "weight %s: not plain float32", name);
    if (json_array_size(shape) < 1 || json_array_size(shape) > TFJS_RANK_MAX)
        return err_set(err, ERR_INPUT, "weight %s: %zu axes", name, json_array_size(shape));
    *tensor =
        (struct tfjs_tensor){.name = name, .rank = (uint32_t)json_array_size(shape), .count = 1};
    for (uint32_t a = 0; a < tensor->rank; a++) {
        if (!read_count(json_array_get(shape, a), "an axis", name, NET_CHANNELS_MAX,
                        &tensor->dim[a], err))
            return false;
        tensor->count *= tensor->dim[a];
        if (tensor->count > NET_WEIGHTS_MAX / sizeof(float))
            return err_set(err, ERR_INPUT, "weight %s: too large", name);
    }
    const uint64_t bytes = tensor->count * sizeof(float);
    if (!t->weights || bytes > t->bytes - *offset)
        return err_set(err, ERR_INPUT,
                       "weight %s: %" PRIu64 " bytes at %" PRIu64 ", the files have %zu", name,
                       bytes, *offset, t->bytes);
    tensor->values = (const float *)(const void *)(t->weights + *offset);
    for (uint64_t i = 0; i < tensor->count; i++) {
        if (!isfinite(tensor->values[i]))
            return err_set(err, ERR_INPUT, "weight %s: number %" PRIu64 " is not finite", name, i);
    }
    *offset += bytes;
    t->count++;
    return true;
}

static bool read_manifest(struct tfjs *t, struct err *err)
{
    const json_t *groups = json_object_get(t->root, "weightsManifest");
    size_t tensors = 0, files = 0, g = 0, i = 0;
    const json_t *group = NULL, *item = NULL;
    uint64_t offset = 0;
    if (!json_is_array(groups))
        return err_set(err, ERR_INPUT, "no weightsManifest");
    json_array_foreach(groups, g, group)
    {
        tensors += json_array_size(json_object_get(group, "weights"));
        files += json_array_size(json_object_get(group, "paths"));
        if (tensors > 2UL * NET_LAYERS_MAX || files > TFJS_FILES_MAX)
            return err_set(err, ERR_INPUT, "%zu weights in %zu files", tensors, files);
        json_array_foreach(json_object_get(group, "paths"), i, item)
        {
            const char *name = json_string_value(item);
            if (!name)
                return err_set(err, ERR_INPUT, "a path of weights is no text");
            if (!add_weight_file(t, name, err))
                return false;
        }
    }
    t->tensors = calloc(tensors + 1, sizeof *t->tensors);
    if (!t->tensors)
        return err_set(err, ERR_NOMEM, "no memory");
    json_array_foreach(groups, g, group)
    {
        json_array_foreach(json_object_get(group, "weights"), i, item)
        {
            if (!add_tensor(t, item, &offset, err))
                return false;
        }
    }
    if (offset != t->bytes)
        return err_set(err, ERR_INPUT, "the files have %zu bytes of weights, named are %" PRIu64,
                       t->bytes, offset);
    return true;
}

static const struct tfjs_tensor *find_tensor(const struct tfjs *t, const char *layer,
                                             const char *part)
{
    const size_t len = strlen(layer);
    for (size_t i = 0; i < t->count; i++) {
        const char *name = t->tensors[i].name;
        if (strncmp(name, layer, len) == 0 && name[len] == '/' && strcmp(name + len + 1, part) == 0)
            return &t->tensors[i];
    }
    return NULL;
}

static bool read_act(const json_t *json, const char *of, enum net_act *out, struct err *err)
{
    static const struct {
        const char *name;
        enum net_act act;
    } known[] = {{"linear", NET_LINEAR},
                 {"relu", NET_RELU},
                 {"elu", NET_ELU},
                 {"gelu", NET_GELU},
                 {"sigmoid", NET_SIGMOID}};
    const char *name = json ? json_string_value(json) : "linear";
    for (size_t i = 0; name && i < sizeof known / sizeof *known; i++) {
        if (strcmp(name, known[i].name) == 0) {
            *out = known[i].act;
            return true;
        }
    }
    return err_set(err, ERR_UNSUPPORTED, "%s: activation \"%.40s\"", of, name ? name : "?");
}

static bool is_text(const json_t *json, const char *text)
{
    return json_is_string(json) && strcmp(json_string_value(json), text) == 0;
}

static bool is_normed(const char *name)
{
    const size_t len = strlen(name), suffix = strlen(norm_suffix);
    return len >= suffix && strcmp(name + len - suffix, norm_suffix) == 0;
}

// What a convolution must say, or leave at its default.
static bool check_conv(const json_t *config, const char *name, struct err *err)
{
    const json_t *groups = json_object_get(config, "groups");
    uint32_t one = 0;
    if (!is_text(json_object_get(config, "padding"), "same"))
        return err_set(err, ERR_UNSUPPORTED, "%s: padding is not \"same\"", name);
    if (!is_text(json_object_get(config, "data_format"), "channels_last"))
        return err_set(err, ERR_UNSUPPORTED, "%s: data_format is not \"channels_last\"", name);
    if (groups && json_integer_value(groups) != 1)
        return err_set(err, ERR_UNSUPPORTED, "%s: groups", name);
    if (!read_cube(json_object_get(config, "strides"), "strides", name, NET_DIM_MAX, &one, err))
        return false;
    if (one != 1)
        return err_set(err, ERR_UNSUPPORTED, "%s: strides of %" PRIu32, name, one);
    return true;
}

// Turns a kernel from [z][y][x][in][out] to [out][in][z][y][x].
static bool take_weights(struct net_layer *l, const struct tfjs_tensor *kernel,
                         const struct tfjs_tensor *bias)
{
    const size_t taps = (size_t)l->size * l->size * l->size;
    l->weights = calloc(taps * l->in * l->out, sizeof *l->weights);
    l->bias = calloc(l->out, sizeof *l->bias);
    if (!l->weights || !l->bias)
        return false;
    for (size_t tap = 0; tap < taps; tap++) {
        for (size_t in = 0; in < l->in; in++) {
            for (size_t out = 0; out < l->out; out++)
                l->weights[(out * l->in + in) * taps + tap] =
                    kernel->values[(tap * l->in + in) * l->out + out];
        }
    }
    if (bias)
        memcpy(l->bias, bias->values, l->out * sizeof *l->bias);
    return true;
}

static bool add_conv(const struct tfjs *t, struct net *n, const char *name, const json_t *config,
                     uint32_t channels, struct err *err)
{
    struct net_layer *l = &n->layers[n->count];
    const json_t *use_bias = json_object_get(config, "use_bias");
    const bool biased = !use_bias || json_is_true(use_bias);
    l->in = channels;
    l->norm = is_normed(name);
    if (!check_conv(config, name, err) ||
        !read_count(json_object_get(config, "filters"), "filters", name, NET_CHANNELS_MAX, &l->out,
                    err) ||
        !read_cube(json_object_get(config, "kernel_size"), "kernel_size", name, NET_DIM_MAX,
                   &l->size, err) ||
        !read_cube(json_object_get(config, "dilation_rate"), "dilation_rate", name, NET_REACH_MAX,
                   &l->dilation, err) ||
        !read_act(json_object_get(config, "activation"), name, &l->act, err))
        return false;
    if (l->norm && l->act != NET_LINEAR)
        return err_set(err, ERR_UNSUPPORTED, "%s: an activation of its own before a norm", name);
    if (l->size != 1 && l->size != 3)
        return err_set(err, ERR_UNSUPPORTED, "%s: a kernel of %" PRIu32, name, l->size);
    const struct tfjs_tensor *kernel = find_tensor(t, name, "kernel");
    const struct tfjs_tensor *bias = biased ? find_tensor(t, name, "bias") : NULL;
    if (!kernel || kernel->rank != 5 || kernel->dim[0] != l->size || kernel->dim[1] != l->size ||
        kernel->dim[2] != l->size || kernel->dim[3] != l->in || kernel->dim[4] != l->out)
        return err_set(err, ERR_INPUT,
                       "%s: its weights are not %" PRIu32 "^3 x %" PRIu32 " x %" PRIu32, name,
                       l->size, l->in, l->out);
    if (biased && (!bias || bias->rank != 1 || bias->dim[0] != l->out))
        return err_set(err, ERR_INPUT, "%s: its bias is not of %" PRIu32, name, l->out);
    n->count++; // from here on net_destroy() sees it
    return take_weights(l, kernel, bias) || err_set(err, ERR_NOMEM, "%s: no memory", name);
}

static bool add_act(struct net *n, const char *name, const json_t *config, struct err *err)
{
    enum net_act act = NET_LINEAR;
    if (!read_act(json_object_get(config, "activation"), name, &act, err))
        return false;
    if (!n->count || n->layers[n->count - 1].act != NET_LINEAR)
        return err_set(err, ERR_UNSUPPORTED, "%s: an activation that follows no convolution", name);
    n->layers[n->count - 1].act = act;
    return true;
}

// batch_input_shape: [null, z, y, x, channels]; an axis may be null, which is any size.
static bool read_input(struct net *n, const char *name, const json_t *config, uint32_t *channels,
                       struct err *err)
{
    const json_t *shape = json_object_get(config, "batch_input_shape");
    if (json_array_size(shape) != 5)
        return err_set(err, ERR_UNSUPPORTED, "%s: batch_input_shape has %zu axes, taken are 5",
                       name, json_array_size(shape));
    for (size_t a = 0; a < 3; a++) {
        const json_t *axis = json_array_get(shape, 3 - a);
        if (!json_is_null(axis) &&
            !read_count(axis, "batch_input_shape", name, NET_DIM_MAX, &n->dim[a], err))
            return false;
    }
    return read_count(json_array_get(shape, 4), "channels", name, NET_CHANNELS_MAX, channels, err);
}

// Whether the layer reads what the one before it gives, and nothing else.
static bool follows(const json_t *layer, const char *before)
{
    const json_t *nodes = json_object_get(layer, "inbound_nodes");
    const json_t *inputs = json_array_get(nodes, 0);
    return json_array_size(nodes) == 1 && json_array_size(inputs) == 1 &&
           is_text(json_array_get(json_array_get(inputs, 0), 0), before);
}

static bool read_layers(const struct tfjs *t, struct net *n, struct err *err)
{
    const json_t *model =
        json_object_get(json_object_get(t->root, "modelTopology"), "model_config");
    const json_t *config = json_object_get(model, "config");
    const json_t *layers = json_object_get(config, "layers");
    const json_t *outputs = json_object_get(config, "output_layers");
    const json_t *layer = NULL;
    const char *before = "";
    uint32_t channels = 0;
    size_t i = 0;
    if (!json_is_array(layers) || json_array_size(layers) > NET_LAYERS_MAX)
        return err_set(err, ERR_INPUT, "no list of at most %u layers", NET_LAYERS_MAX);
    n->layers = calloc(json_array_size(layers) + 1, sizeof *n->layers);
    if (!n->layers)
        return err_set(err, ERR_NOMEM, "no memory");
    json_array_foreach(layers, i, layer)
    {
        const char *kind = json_string_value(json_object_get(layer, "class_name"));
        const json_t *own = json_object_get(layer, "config");
        const char *name = json_string_value(json_object_get(own, "name"));
        if (!kind || !name || strlen(name) > TFJS_NAME_MAX)
            return err_set(err, ERR_INPUT, "layer %zu has no class_name or no name", i);
        if (i && !follows(layer, before))
            return err_set(err, ERR_UNSUPPORTED, "%s: does not follow %s alone", name, before);
        if (!i != (strcmp(kind, "InputLayer") == 0))
            return err_set(err, ERR_UNSUPPORTED, "%s: not one InputLayer, and first", name);
        if (!i && !read_input(n, name, own, &channels, err))
            return false;
        if (strcmp(kind, "Conv3D") == 0) {
            if (!add_conv(t, n, name, own, channels, err))
                return false;
            channels = n->layers[n->count - 1].out;
        } else if (strcmp(kind, "Activation") == 0) {
            if (!add_act(n, name, own, err))
                return false;
        } else if (i) {
            return err_set(err, ERR_UNSUPPORTED, "%s: layers of class %.60s", name, kind);
        }
        before = name;
    }
    if (!n->count)
        return err_set(err, ERR_INPUT, "no convolution in it");
    if (json_array_size(outputs) != 1 ||
        !is_text(json_array_get(json_array_get(outputs, 0), 0), before))
        return err_set(err, ERR_UNSUPPORTED, "the output is not the last layer, %s", before);
    return true;
}

bool net_read_tfjs(struct net *n, const char *path, struct err *err)
{
    struct tfjs t = {.path = path, .digest = digest_create()};
    uint8_t digest[DIGEST_SIZE];
    json_error_t where;
    size_t len = 0;
    bool ok = false;
    char *text = t.digest ? fs_read_file(path, NET_TEXT_MAX, &len, err) : NULL;
    if (!t.digest)
        err_set(err, ERR_NOMEM, "no memory");
    if (!text)
        goto out;
    digest_add(t.digest, text, len);
    t.root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);
    if (!t.root) {
        err_set(err, ERR_INPUT, "line %d: %s", where.line, where.text);
        goto out;
    }
    ok = read_manifest(&t, err) && read_layers(&t, n, err);
    digest_end(t.digest, digest);
    digest_hex(digest, n->digest);
out:
    digest_destroy(t.digest);
    json_decref(t.root);
    free(t.tensors);
    free(t.weights);
    free(text);
    return ok;
}
