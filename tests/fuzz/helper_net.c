// A network, and the model.yaml beside one, load within their limits or are refused with a reason.
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "node/job/model_file.h"
#include "compute/net/net.h"
#include "base/fs.h"
#include "tests/check.h"
#include "tests/fuzz/helper_targets.h"
#include "tests/tfjs.h"

static char json[PATH_MAX];

void fuzz_net_start(void)
{
    struct tfjs_chain chain = {
        .channels = 1,
        .count = 3,
        .layers = {{.out = 3, .size = 3, .dilation = 2, .act = "relu"},
                   {.out = 4, .size = 3, .dilation = 16, .act = "elu", .norm = true},
                   {.out = 3, .size = 1, .dilation = 1}}};
    if (*json)
        return;
    tfjs_write(&chain);
    tfjs_finish(&chain);
    snprintf(json, sizeof json, "%s/model.json", check_scratch());
}

static void keep_file(const char *path, fuzz_keep keep, void *ctx)
{
    size_t size = 0;
    char *text = fs_read_file(path, 1 << 20, &size, NULL);
    fuzz_check(text != NULL, "the seed can be read");
    keep(ctx, (const uint8_t *)text, size);
    free(text);
}

void fuzz_net_seeds(fuzz_keep keep, void *ctx)
{
    keep_file(json, keep, ctx);
}

struct net *fuzz_net_load(const uint8_t *data, size_t size, const char *name)
{
    char path[PATH_MAX];
    struct err err = {0};
    snprintf(path, sizeof path, "%s/%s", check_scratch(), name);
    FILE *f = fopen(path, "w");
    fuzz_check(f && fwrite(data, 1, size, f) == size, "the mutant is written");
    fclose(f);
    struct net *n = net_load(path, &err);
    fuzz_check((n == NULL) == (err.code != ERR_NONE), "an error has a code");
    fuzz_check((n == NULL) == (err.text[0] != 0), "an error has a text");
    if (!n)
        return NULL;
    const struct net_shape shape = net_shape(n);
    fuzz_check(shape.channels && shape.channels <= NET_CHANNELS_MAX, "channels are bounded");
    fuzz_check(shape.classes && shape.classes <= NET_CHANNELS_MAX, "classes are bounded");
    fuzz_check(strlen(net_digest(n)) == 64, "a digest has 64 digits");
    return n;
}

bool fuzz_net(const uint8_t *data, size_t size)
{
    const uint32_t dim[3] = {NET_DIM_MAX, NET_DIM_MAX, NET_DIM_MAX};
    struct net *n = fuzz_net_load(data, size, "mutant.json");
    if (!n)
        return false;
    const struct net_shape shape = net_shape(n);
    fuzz_check(shape.reach == NET_REACH_ALL || shape.reach <= NET_LAYERS_MAX * NET_REACH_MAX,
               "reach is bounded");
    fuzz_check(net_memory(n, dim, true) > net_memory(n, (uint32_t[]){1, 1, 1}, true),
               "memory grows with the volume");
    net_destroy(n);
    return true;
}

void fuzz_model_seeds(fuzz_keep keep, void *ctx)
{
    keep_file("conf/models/brain-tissue.yaml", keep, ctx);
}

bool fuzz_model(const uint8_t *data, size_t size)
{
    struct report report = {.arena = arena_create()};
    char *text = calloc(size + 1, 1), *lines = NULL;
    fuzz_check(report.arena && text, "there is memory");
    memcpy(text, data, size);
    const struct stage *s = model_file_read(check_scratch(), text, size, &report);
    const bool taken = s != NULL;
    fuzz_check(taken == (report.count == 0),
               "what is refused is explained, what is taken is right");
    fuzz_check(!taken || (s->name && *s->name), "an analysis has a name");
    FILE *out = open_memstream(&lines, &(size_t){0});
    fuzz_check(out != NULL, "there is memory for a report");
    conf_report_print(&report, MODEL_FILE, out);
    fclose(out);
    fuzz_check(taken || strncmp(lines, MODEL_FILE ":", sizeof MODEL_FILE) == 0,
               "an error names the file");
    free(lines);
    free(text);
    arena_destroy(report.arena);
    return taken;
}
