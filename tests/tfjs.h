// Networks for tests: chains of convolutions with drawn weights, written as TensorFlow.js does.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "tests/check.h"

enum { TFJS_LAYERS = 8 };

struct tfjs_layer {
    uint32_t out, size, dilation;
    const char *act; // of a layer of its own; NULL: none
    bool norm;       // told by its name
    float *kernel;   // [z][y][x][in][out]
    float *bias;     // [out]
};

struct tfjs_chain {
    uint32_t channels, dim[3]; // columns, rows, slices; 0: null
    uint32_t count;
    struct tfjs_layer layers[TFJS_LAYERS];
};

static inline double tfjs_draw(void) // -1..1
{
    static uint32_t drawn = 88172645;
    drawn = drawn * 1664525u + 1013904223u;
    return (drawn >> 8) / (double)(1 << 23) - 1;
}

static inline void tfjs_axis(FILE *f, uint32_t n)
{
    if (n)
        fprintf(f, "%u,", n);
    else
        fputs("null,", f);
}

// Draws the weights and writes model.json and model.bin into the scratch folder.
static inline void tfjs_write(struct tfjs_chain *chain)
{
    char path[2][512], before[16] = "in";
    snprintf(path[0], sizeof path[0], "%s/model.json", check_scratch());
    snprintf(path[1], sizeof path[1], "%s/model.bin", check_scratch());
    FILE *f = fopen(path[0], "w"), *bin = fopen(path[1], "w");
    if (!f || !bin)
        abort();
    fputs("{\"modelTopology\":{\"model_config\":{\"class_name\":\"Functional\",\"config\":{"
          "\"layers\":["
          "{\"class_name\":\"InputLayer\",\"config\":{\"name\":\"in\",\"batch_input_shape\":[null,",
          f);
    for (int a = 2; a >= 0; a--)
        tfjs_axis(f, chain->dim[a]);
    fprintf(f, "%u]},\"inbound_nodes\":[]}", chain->channels);
    uint32_t in = chain->channels;
    for (uint32_t i = 0; i < chain->count; i++) {
        struct tfjs_layer *l = &chain->layers[i];
        char name[16];
        snprintf(name, sizeof name, "c%u%s", i, l->norm ? "_gn" : "");
        const size_t weights = (size_t)l->size * l->size * l->size * in * l->out;
        l->kernel = calloc(weights, sizeof *l->kernel);
        l->bias = calloc(l->out, sizeof *l->bias);
        if (!l->kernel || !l->bias)
            abort();
        for (size_t k = 0; k < weights; k++) // sums of about the size of what they are made of
            l->kernel[k] = (float)(3 * tfjs_draw() / (l->size * in));
        for (uint32_t o = 0; o < l->out; o++)
            l->bias[o] = (float)tfjs_draw();
        fwrite(l->kernel, sizeof *l->kernel, weights, bin);
        fwrite(l->bias, sizeof *l->bias, l->out, bin);
        fprintf(
            f,
            ",\n{\"class_name\":\"Conv3D\",\"config\":{\"name\":\"%s\",\"filters\":%u,"
            "\"kernel_size\":[%u,%u,%u],\"strides\":[1,1,1],\"padding\":\"same\","
            "\"data_format\":\"channels_last\",\"dilation_rate\":[%u,%u,%u],\"groups\":1,"
            "\"activation\":\"linear\",\"use_bias\":true},\"inbound_nodes\":[[[\"%s\",0,0,{}]]]}",
            name, l->out, l->size, l->size, l->size, l->dilation, l->dilation, l->dilation, before);
        snprintf(before, sizeof before, "%s", name);
        if (l->act) {
            fprintf(f,
                    ",\n{\"class_name\":\"Activation\",\"config\":{\"name\":\"a%u\",\"activation\":"
                    "\"%s\"},\"inbound_nodes\":[[[\"%s\",0,0,{}]]]}",
                    i, l->act, before);
            snprintf(before, sizeof before, "a%u", i);
        }
        in = l->out;
    }
    fprintf(f, "],\"input_layers\":[[\"in\",0,0]],\"output_layers\":[[\"%s\",0,0]]}}},\n", before);
    fputs("\"weightsManifest\":[{\"paths\":[\"model.bin\"],\"weights\":[", f);
    in = chain->channels;
    for (uint32_t i = 0; i < chain->count; i++) {
        const struct tfjs_layer *l = &chain->layers[i];
        fprintf(f,
                "%s{\"name\":\"c%u%s/kernel\",\"shape\":[%u,%u,%u,%u,%u],\"dtype\":\"float32\"},\n"
                "{\"name\":\"c%u%s/bias\",\"shape\":[%u],\"dtype\":\"float32\"}",
                i ? ",\n" : "", i, l->norm ? "_gn" : "", l->size, l->size, l->size, in, l->out, i,
                l->norm ? "_gn" : "", l->out);
        in = l->out;
    }
    fputs("]}]}\n", f);
    if (fclose(f) | fclose(bin))
        abort();
}

static inline void tfjs_finish(struct tfjs_chain *chain)
{
    for (uint32_t i = 0; i < chain->count; i++) {
        free(chain->layers[i].kernel);
        free(chain->layers[i].bias);
    }
}
