// What the loader of networks takes, and what it says of what it does not.
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "compute/net/net.h"
#include "base/fs.h"
#include "tests/tfjs.h"

static struct err err;
static char json[512], bin[512];

// A chain of two convolutions, fresh in the scratch folder.
static void write_good(void)
{
    struct tfjs_chain chain = {.channels = 1,
                               .dim = {6, 5, 0},
                               .count = 2,
                               .layers = {{.out = 3, .size = 3, .dilation = 2, .act = "relu"},
                                          {.out = 2, .size = 1, .dilation = 1}}};
    snprintf(json, sizeof json, "%s/model.json", check_scratch());
    snprintf(bin, sizeof bin, "%s/model.bin", check_scratch());
    unlink(bin);
    tfjs_write(&chain);
    tfjs_finish(&chain);
    err = (struct err){0};
}

// Replaces the first `from` in model.json.
static void change(const char *from, const char *to)
{
    size_t len = 0;
    char *text = fs_read_file(json, 1 << 20, &len, &err);
    char *at = text ? strstr(text, from) : NULL;
    FILE *f = fopen(json, "w");
    CU_ASSERT_FATAL(at && f);
    fprintf(f, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    fclose(f);
    free(text);
}

// A fresh chain, changed.
static void write_changed(const char *from, const char *to)
{
    write_good();
    change(from, to);
}

static void check_refused(enum err_code code, const char *word)
{
    struct net *n = net_load(json, &err);
    CU_ASSERT_PTR_NULL(n);
    CU_ASSERT_EQUAL(err.code, code);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "model.json"));
    if (!strstr(err.text, word))
        fprintf(stderr, "no \"%s\" in: %s\n", word, err.text);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, word));
    net_destroy(n);
    err = (struct err){0};
}

static void a_chain_has_a_shape_and_a_digest(void)
{
    write_good();
    struct net *n = net_load(json, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(n);
    const struct net_shape shape = net_shape(n);
    CU_ASSERT_EQUAL(shape.channels, 1);
    CU_ASSERT_EQUAL(shape.classes, 2);
    CU_ASSERT(shape.dim[0] == 6 && shape.dim[1] == 5 && shape.dim[2] == 0);
    CU_ASSERT_EQUAL(shape.reach, 2);
    char first[65];
    snprintf(first, sizeof first, "%s", net_digest(n));
    CU_ASSERT_EQUAL(strlen(first), 64);
    net_destroy(n);
    n = net_load(json, &err);
    CU_ASSERT(n && strcmp(net_digest(n), first) == 0);
    net_destroy(n);
    FILE *f = fopen(bin, "r+"); // one weight is another
    CU_ASSERT_FATAL(f && fwrite(&(float){0.25f}, sizeof(float), 1, f) == 1 && fclose(f) == 0);
    n = net_load(json, &err);
    CU_ASSERT(n && strcmp(net_digest(n), first) != 0);
    net_destroy(n);
}

static void what_is_not_known_is_refused_by_name(void)
{
    static const struct {
        const char *from, *to, *word;
        enum err_code code;
    } cases[] = {
        {"\"Conv3D\"", "\"Dense\"", "c0: layers of class Dense", ERR_UNSUPPORTED},
        {"\"InputLayer\"", "\"Conv3D\"", "in: not one InputLayer", ERR_UNSUPPORTED},
        {"\"strides\":[1,1,1]", "\"strides\":[2,2,2]", "c0: strides of 2", ERR_UNSUPPORTED},
        {"\"strides\":[1,1,1]", "\"strides\":[1,1]", "c0: strides is not of three", ERR_INPUT},
        {"[3,3,3]", "[3,3,1]", "c0: kernel_size differs", ERR_UNSUPPORTED},
        {"[3,3,3]", "[5,5,5]", "c0: a kernel of 5", ERR_UNSUPPORTED},
        {"[2,2,2]", "[0,0,0]", "c0: dilation_rate is 0", ERR_INPUT},
        {"[2,2,2]", "[129,129,129]", "c0: dilation_rate is 129", ERR_INPUT},
        {"[2,2,2]", "[2,2,2.5]", "c0: dilation_rate is no whole", ERR_INPUT},
        {"\"same\"", "\"valid\"", "c0: padding", ERR_UNSUPPORTED},
        {"channels_last", "channels_first", "c0: data_format", ERR_UNSUPPORTED},
        {"\"groups\":1", "\"groups\":3", "c0: groups", ERR_UNSUPPORTED},
        {"\"relu\"", "\"swish\"", "a0: activation \"swish\"", ERR_UNSUPPORTED},
        {"\"filters\":3", "\"filters\":4", "c0: its weights are not", ERR_INPUT},
        {"\"filters\":3", "\"filters\":1025", "c0: filters is 1025", ERR_INPUT},
        {"\"filters\":3", "\"filters\":-1", "c0: filters is -1", ERR_INPUT},
        {"null,null,5,6,1", "null,null,5,6", "in: batch_input_shape has 4", ERR_UNSUPPORTED},
        {"null,null,5,6,1", "null,null,5,1025,1", "in: batch_input_shape is 1025", ERR_INPUT},
        {"null,null,5,6,1", "null,null,5,6,2", "c0: its weights are not", ERR_INPUT},
        {"[[[\"in\",", "[[[\"x\",", "c0: does not follow in", ERR_UNSUPPORTED},
        {"\"output_layers\":[[\"c1\"", "\"output_layers\":[[\"c0\"", "not the last layer, c1",
         ERR_UNSUPPORTED},
        {"\"float32\"", "\"int32\"", "c0/kernel: not plain float32", ERR_UNSUPPORTED},
        {"\"float32\"", "\"float32\",\"quantization\":{}", "c0/kernel: not plain", ERR_UNSUPPORTED},
        {"[3,3,3,1,3]", "[3,3,3,1,4]", "c0/kernel: 432 bytes at 0", ERR_INPUT},
        {"[3,3,3,1,3]", "[1024,1024,1024,1024,1024]", "c0/kernel: too large", ERR_INPUT},
        {"[3,3,3,1,3]", "[3,3,3,1,2]", "named are", ERR_INPUT},
        {"c0/bias", "c9/bias", "c0: its bias", ERR_INPUT},
        {"\"model.bin\"", "\"../model.bin\"", "not a plain name", ERR_INPUT},
        {"\"model.bin\"", "\"none.bin\"", "none.bin: no such plain file", ERR_IO},
        {"\"weightsManifest\"", "\"weights\"", "no weightsManifest", ERR_INPUT},
        {"\"layers\":", "\"player\":", "no list of at most", ERR_INPUT},
        {"]}]}", "]}]", "line ", ERR_INPUT},
        {"\"filters\":3", "\"filters\":3,\"filters\":3", "line 2", ERR_INPUT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_changed(cases[i].from, cases[i].to);
        check_refused(cases[i].code, cases[i].word);
    }
}

// brainchop normalises behind layers of such names, and the file has no other word of it.
static void a_norm_is_told_by_the_name(void)
{
    struct tfjs_chain chain = {.channels = 1,
                               .count = 2,
                               .layers = {{.out = 3, .size = 3, .dilation = 2, .norm = true},
                                          {.out = 2, .size = 1, .dilation = 1}}};
    tfjs_write(&chain);
    tfjs_finish(&chain);
    struct net *n = net_load(json, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(n);
    CU_ASSERT_EQUAL(net_shape(n).reach, NET_REACH_ALL);
    net_destroy(n);
    change("\"activation\":\"linear\"", "\"activation\":\"relu\"");
    check_refused(ERR_UNSUPPORTED, "c0_gn: an activation of its own before a norm");
}

static void weights_are_whole_finite_and_no_link(void)
{
    write_good();
    FILE *f = fopen(bin, "r+");
    CU_ASSERT_FATAL(f && fseek(f, 20, SEEK_SET) == 0 &&
                    fwrite(&(float){NAN}, sizeof(float), 1, f) == 1 && fclose(f) == 0);
    check_refused(ERR_INPUT, "c0/kernel: number 5 is not finite");
    write_good();
    f = fopen(bin, "a");
    CU_ASSERT_FATAL(f && fputc(0, f) == 0 && fclose(f) == 0);
    check_refused(ERR_INPUT, "named are");
    write_good();
    CU_ASSERT_EQUAL_FATAL(truncate(bin, 40), 0);
    check_refused(ERR_INPUT, "c0/kernel: 324 bytes at 0, the files have 40");
    char other[600];
    write_good();
    snprintf(other, sizeof other, "%s/other", check_scratch());
    CU_ASSERT_FATAL(rename(bin, other) == 0 && symlink("other", bin) == 0);
    check_refused(ERR_IO, "model.bin: no such plain file");
    unlink(bin);
    unlink(json);
    check_refused(ERR_IO, "model.json");
}

int main(void)
{
    static const struct check_case cases[] = {
        {"a_chain_has_a_shape_and_a_digest", a_chain_has_a_shape_and_a_digest},
        {"what_is_not_known_is_refused_by_name", what_is_not_known_is_refused_by_name},
        {"a_norm_is_told_by_the_name", a_norm_is_told_by_the_name},
        {"weights_are_whole_finite_and_no_link", weights_are_whole_finite_and_no_link},
    };
    return check_main("net", cases, sizeof cases / sizeof *cases);
}
