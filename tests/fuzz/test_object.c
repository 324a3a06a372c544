// Files that were made, then broken at random (fixed seeds): whatever is read, each failure says
// what and why, each success is in range, and the sanitizers see the rest.
#include "dimse/read/object.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fs.h"
#include "tests/check.h"
#include "tests/compress.h"
#include "tests/made.h"

#define ROUNDS 1500 // of each file
#define SIZE   16   // columns and rows
#define PIXELS (SIZE * SIZE)
#define GROWTH 64

static struct err err;
static uint64_t state;

static uint32_t chance(uint32_t below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % below;
}

struct seed {
    uint8_t *data;
    size_t size;
    const char *syntax;
};

static size_t opened, decoded;

static void check_failed(void)
{
    CU_ASSERT_NOT_EQUAL(err.code, ERR_NONE);
    CU_ASSERT_TRUE(err.text[0] != 0);
}

static void check_frame(struct object *o, uint32_t frame, int32_t *values)
{
    struct image_frame s;
    struct attrs own = {0};
    err = (struct err){0};
    CU_ASSERT_TRUE(object_frame_attrs(o, frame, &own, &err));
    attrs_finish(&own);
    if (!object_frame(o, frame, &s, &err)) {
        check_failed();
        return;
    }
    if ((uint64_t)s.columns * s.rows > PIXELS)
        return;
    err = (struct err){0};
    if (s.is_float ? !object_decode_float(o, frame, (float *)values, &err)
                   : !object_decode(o, frame, values, &err)) {
        check_failed();
        return;
    }
    decoded++;
    if (s.is_float)
        return;
    int64_t low = s.is_signed ? -(1ll << (s.bits_stored - 1)) : 0;
    int64_t high = s.is_signed ? -low - 1 : (1ll << s.bits_stored) - 1;
    bool inside = true;
    for (uint32_t i = 0; i < s.columns * s.rows; i++)
        inside = inside && values[i] >= low && values[i] <= high;
    CU_ASSERT_TRUE(inside);
}

static void check_file(const char *path)
{
    int32_t values[PIXELS];
    struct attrs attrs = {0};
    err = (struct err){0};
    alarm(300); // an endless loop ends the program
    struct object *o = object_open(path, &err);
    if (!o) {
        check_failed();
        return;
    }
    opened++;
    CU_ASSERT_TRUE(object_attrs(o, &attrs, &err));
    object_is_own(o, "1.2.3");
    uint32_t frames = object_ids(o)->frames;
    for (uint32_t f = 0; f < frames && f < 3; f++)
        check_frame(o, f, values);
    if (frames)
        check_frame(o, frames - 1, values);
    attrs_finish(&attrs);
    object_close(o);
}

static void check_peek(const uint8_t *data, size_t size, const char *syntax)
{
    struct object_ids ids;
    struct attrs attrs = {0};
    err = (struct err){0};
    if (!object_peek(data, size, syntax, &ids, &attrs, &err))
        check_failed();
    attrs_finish(&attrs);
}

static size_t mutate(uint8_t *data, size_t size)
{
    for (uint32_t n = 1 + chance(4); n > 0; n--) {
        // headers are small: half of the damage is done to the first bytes of the data set
        size_t at = 132 + chance((uint32_t)(chance(2)    ? size - 132
                                            : 900 < size ? 768
                                                         : size - 132));
        static const uint8_t special[] = {0, 1, 0x7f, 0x80, 0xff, 0xfe, 0xe0, 0xdd};
        switch (chance(6)) {
        case 0:
            data[at] ^= (uint8_t)(1 << chance(8));
            break;
        case 1:
            data[at] = special[chance(sizeof special)];
            break;
        case 2:
            data[at] = (uint8_t)chance(256);
            break;
        case 3: // cut
            if (chance(4) == 0)
                size = at;
            break;
        case 4: // take out
            if (size - at > 8) {
                size_t count = 1 + chance(8);
                memmove(data + at, data + at + count, size - at - count);
                size -= count;
            }
            break;
        default: { // double
            size_t count = 1 + chance(12);
            if (count <= size - at) {
                memmove(data + at + count, data + at, size - at);
                size += count;
            }
            break;
        }
        }
        if (size < 140)
            return size;
    }
    return size;
}

static void mutate_seed(const struct seed *s, unsigned rounds)
{
    size_t room = s->size + GROWTH;
    for (unsigned i = 0; i < rounds; i++) {
        uint8_t *copy = malloc(room);
        CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
        memcpy(copy, s->data, s->size);
        size_t size = mutate(copy, s->size);
        check_file(made_write_bytes("mutant.dcm", copy, size));
        if (size > 160) {
            size_t count = size - 160; // some bytes of the data set, at an exact end
            uint8_t *exact = malloc(count);
            CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
            memcpy(exact, copy + 160, count);
            check_peek(exact, count, s->syntax);
            free(exact);
        }
        free(copy);
    }
}

static struct seed load(const char *path, const char *syntax)
{
    struct seed s = {.syntax = syntax};
    s.data = (uint8_t *)fs_read_file(path, 1 << 20, &s.size, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s.data);
    return s;
}

static void describe(struct made_file *f, const char *syntax)
{
    static const uint8_t items[] = {0xfe, 0xff, 0x00, 0xe0, 14, 0,   0,   0,   0x18, 0x00, 0x02,
                                    0x10, 'U',  'I',  6,    0,  '1', '.', '2', '.',  '9',  0};
    made_ct(f, syntax, "1.2.3.4", 12);
    made_set(f, 0x00280010, "US", "16");
    made_set(f, 0x00280011, "US", "16");
    made_set(f, 0x00080005, "CS", "ISO_IR 100");
    if (strcmp(syntax, "1.2.840.10008.1.2.1") == 0)
        made_set_bytes(f, 0x0018a001, "SQ", items, sizeof items);
}

static void native_files(void)
{
    static const char *const syntaxes[] = {"1.2.840.10008.1.2.1", "1.2.840.10008.1.2",
                                           "1.2.840.10008.1.2.2"};
    for (size_t i = 0; i < 3; i++) {
        struct made_file f;
        describe(&f, syntaxes[i]);
        made_set(&f, 0x00280008, "IS", "1");
        made_pixels(&f, PIXELS, 0);
        struct seed s = load(made_write(&f, "seed.dcm"), syntaxes[i]);
        state = i;
        mutate_seed(&s, ROUNDS);
        free(s.data);
        made_finish(&f);
    }
    CU_ASSERT_TRUE(opened > ROUNDS / 2 && decoded > ROUNDS / 4);
}

static void put_in_macro(struct made_file *groups, uint32_t macro, uint32_t tag, const char *vr,
                         const char *value)
{
    struct made_file item = {.syntax = groups->syntax};
    made_set(&item, tag, vr, value);
    made_nest(groups, macro, &item);
}

// Functional groups and private elements, in front of integer or floating point pixels.
static void enhanced_files(void)
{
    for (int with_floats = 0; with_floats < 2; with_floats++) {
        struct made_file f, shared = {.syntax = "1.2.840.10008.1.2.1"};
        describe(&f, shared.syntax);
        made_drop(&f, 0x00200032);
        made_set(&f, 0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.2.1");
        made_set(&f, 0x00080008, "IS", "2");
        made_set(&f, 0x00190010, "LO", "SIEMENS MR HEADER");
        made_set(&f, 0x0019100c, "UN", "1000");
        made_set(&f, 0x00181065, "DS", "0\\40");
        put_in_macro(&shared, 0x00209116, 0x00200037, "DS", "1\\0\\0\\0\\1\\0");
        put_in_macro(&shared, 0x00289110, 0x00280030, "DS", "0.5\\0.25");
        put_in_macro(&shared, 0x00289145, 0x00281053, "DS", "1");
        made_nest(&f, 0x52009229, &shared);
        for (int i = 0; i < 2; i++) {
            struct made_file own = {.syntax = f.syntax};
            put_in_macro(&own, 0x00209113, 0x00200032, "DS", i ? "1\\2\\3" : "1\\2\\0");
            put_in_macro(&own, 0x00209111, 0x00189074, "DT", "20260131100000.5");
            put_in_macro(&own, 0x00189118, 0x00209153, "FD", "350");
            made_nest(&f, 0x52009230, &own);
        }
        if (with_floats) {
            static const uint8_t zeros[2 * PIXELS * 4];
            made_set(&f, 0x00280100, "US", "32");
            made_set_bytes(&f, 0x7fe00008, "OF", zeros, sizeof zeros);
        } else {
            made_pixels(&f, 2 * PIXELS, 0);
        }
        struct seed s = load(made_write(&f, "seed.dcm"), f.syntax);
        state = 300 + (uint64_t)with_floats;
        mutate_seed(&s, ROUNDS);
        free(s.data);
        made_finish(&f);
    }
}

static void compressed_files(void)
{
    static const struct {
        const char *tool, *option, *syntax;
    } tools[] = {
        {"dcmcrle", NULL, "1.2.840.10008.1.2.5"},
        {"dcmcjpeg", "+e1", "1.2.840.10008.1.2.4.70"},
        {"dcmcjpeg", "+el", "1.2.840.10008.1.2.4.57"},
        {"dcmcjpeg", "+ee", "1.2.840.10008.1.2.4.51"},
        {"dcmcjpls", "+el", "1.2.840.10008.1.2.4.80"},
        {"dcmconv", "+td", "1.2.840.10008.1.2.1.99"},
    };
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
        struct made_file f;
        char out[PATH_MAX];
        describe(&f, "1.2.840.10008.1.2.1");
        made_pixels(&f, PIXELS, 0);
        snprintf(out, sizeof out, "%s/compressed%zu.dcm", check_scratch(), i);
        if (compress_by_tool(tools[i].tool, (const char *const[]){tools[i].option, NULL},
                             made_write(&f, "seed.dcm"), out)) {
            struct seed s = load(out, tools[i].syntax);
            state = 100 + i;
            mutate_seed(&s, ROUNDS);
            free(s.data);
        } else {
            fprintf(stderr, "%s is not installed: left out\n", tools[i].tool);
        }
        made_finish(&f);
    }
}

static void j2k_files(void)
{
    struct made_file f;
    int32_t values[PIXELS];
    size_t size;
    static const uint8_t table[8];
    for (int i = 0; i < PIXELS; i++)
        values[i] = i * 15;
    uint8_t *stream = compress_j2k(values, SIZE, SIZE, 12, false, 0, &size);
    describe(&f, "1.2.840.10008.1.2.4.90");
    made_set(&f, 0x00280008, "IS", "2");
    f.fragments[0] = table;
    f.fragment_sizes[0] = 8;
    f.fragments[1] = f.fragments[2] = stream;
    f.fragment_sizes[1] = f.fragment_sizes[2] = size;
    f.fragment_count = 3;
    struct seed s = load(made_write(&f, "seed.dcm"), "1.2.840.10008.1.2.4.90");
    state = 200;
    mutate_seed(&s, ROUNDS);
    free(s.data);
    free(stream);
    made_finish(&f);
}

static void random_bytes(void)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint8_t data[512];
        state = 1000 + i;
        size_t size = chance(sizeof data);
        for (size_t b = 0; b < size; b++)
            data[b] = (uint8_t)(chance(3) ? chance(256) : 0);
        if (size > 132)
            memcpy(data + 128, "DICM", 4);
        check_file(made_write_bytes("random.dcm", data, size));
        check_peek(data, size, i % 2 ? "1.2.840.10008.1.2" : "1.2.840.10008.1.2.1");
        check_peek(data, size, i % 2 ? "1.2.840.10008.1.2.2" : "1.2.840.10008.1.2.1.99");
    }
}

int main(void)
{
    static const struct check_case cases[] = {
        {"object_survives_broken_native_files", native_files},
        {"object_survives_broken_enhanced_files", enhanced_files},
        {"object_survives_broken_compressed_files", compressed_files},
        {"object_survives_broken_j2k_files", j2k_files},
        {"object_survives_random_bytes", random_bytes},
    };
    if (!object_init(&err)) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    int status = check_main("object", cases, sizeof cases / sizeof *cases);
    object_quit();
    return status;
}
