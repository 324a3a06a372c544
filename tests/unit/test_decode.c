#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fs.h"
#include "compute/image/image.h"
#include "dimse/read/object.h"
#include "tests/check.h"
#include "tests/compress.h"
#include "tests/made.h"

#define EXPLICIT "1.2.840.10008.1.2.1"
#define COLUMNS  61
#define ROWS     37
#define PIXELS   (COLUMNS * ROWS)

static struct err err;

// A smooth picture with some noise, all of bits used.
static void paint(int32_t *values, unsigned bits, bool is_signed)
{
    unsigned seed = 5;
    int32_t range = 1 << bits, low = is_signed ? -range / 2 : 0;
    for (int y = 0; y < ROWS; y++) {
        for (int x = 0; x < COLUMNS; x++) {
            seed = seed * 1103515245u + 12345u;
            double wave = 0.5 + 0.45 * sin(x * 0.11) * cos(y * 0.17);
            int32_t v = (int32_t)(wave * range) + (int32_t)((seed >> 16) % 5);
            v = v < 0 ? 0 : v;
            values[y * COLUMNS + x] = low + (v >= range ? range - 1 : v);
        }
    }
    values[0] = low;
    values[PIXELS - 1] = low + range - 1;
}

static void describe(struct made_file *f, const char *syntax, unsigned bits, bool is_signed)
{
    char text[16];
    made_ct(f, syntax, "1.2.3.4", 0);
    snprintf(text, sizeof text, "%d", ROWS);
    made_set(f, 0x00280010, "US", text);
    snprintf(text, sizeof text, "%d", COLUMNS);
    made_set(f, 0x00280011, "US", text);
    made_set(f, 0x00280100, "US", bits <= 8 ? "8" : "16");
    snprintf(text, sizeof text, "%u", bits);
    made_set(f, 0x00280101, "US", text);
    snprintf(text, sizeof text, "%u", bits - 1);
    made_set(f, 0x00280102, "US", text);
    made_set(f, 0x00280103, "US", is_signed ? "1" : "0");
}

static const char *write_native(const int32_t *values, unsigned bits, bool is_signed)
{
    struct made_file f;
    uint8_t raw[PIXELS * 2 + 1] = {0};
    size_t size = 0;
    describe(&f, EXPLICIT, bits, is_signed);
    for (int i = 0; i < PIXELS; i++) {
        uint32_t v = (uint32_t)values[i] & ((1u << bits) - 1);
        raw[size++] = (uint8_t)v;
        if (bits > 8)
            raw[size++] = (uint8_t)(v >> 8);
    }
    made_set_bytes(&f, 0x7fe00010, bits > 8 ? "OW" : "OB", raw, size + size % 2);
    const char *path = made_write(&f, "native.dcm");
    made_finish(&f);
    return path;
}

// Decodes frame 0 of path and returns how far it is from values at most; -1 when it cannot.
static int32_t farthest(const char *path, const int32_t *values)
{
    int32_t got[PIXELS], far = 0;
    err = (struct err){0};
    struct object *o = object_open(path, &err);
    bool ok = o && object_decode(o, 0, got, &err);
    if (!ok)
        fprintf(stderr, "%s: %s\n", path, err.text);
    for (int i = 0; ok && i < PIXELS; i++)
        far = abs(got[i] - values[i]) > far ? abs(got[i] - values[i]) : far;
    object_close(o);
    return ok ? far : -1;
}

static void check_tool(const char *tool, const char *const *options, unsigned bits, bool is_signed,
                       int32_t allowed)
{
    static unsigned n;
    int32_t values[PIXELS];
    char out[PATH_MAX];
    paint(values, bits, is_signed);
    const char *native = write_native(values, bits, is_signed);
    CU_ASSERT_EQUAL(farthest(native, values), 0);
    snprintf(out, sizeof out, "%s/tool%u.dcm", check_scratch(), n++);
    if (!compress_by_tool(tool, options, native, out)) {
        fprintf(stderr, "%s is not installed: left out\n", tool);
        return;
    }
    int32_t far = farthest(out, values);
    CU_ASSERT_TRUE(far >= 0 && far <= allowed);
    if (far < 0 || far > allowed)
        fprintf(stderr, "%s %s: %u bits, %d apart\n", tool, options[0], bits, far);
}

static void lossless(const char *tool, const char *const *options)
{
    static const struct {
        unsigned bits;
        bool is_signed;
    } cases[] = {{8, false}, {10, false}, {12, false}, {12, true}, {16, false}, {16, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_tool(tool, options, cases[i].bits, cases[i].is_signed, 0);
}

static void jpeg_lossless(void)
{
    lossless("dcmcjpeg", (const char *const[]){"+e1", NULL});
    for (int predictor = 1; predictor <= 7; predictor++) {
        char text[2] = {(char)('0' + predictor), 0};
        lossless("dcmcjpeg", (const char *const[]){"+el", "+sv", text, NULL});
    }
}

static void jpeg_lossy(void)
{
    check_tool("dcmcjpeg", (const char *const[]){"+eb", "+q", "95", NULL}, 8, false, 12);
    check_tool("dcmcjpeg", (const char *const[]){"+ee", "+q", "99", NULL}, 12, false, 60);
}

static void jpeg_ls(void)
{
    lossless("dcmcjpls", (const char *const[]){"+el", NULL});
    check_tool("dcmcjpls", (const char *const[]){"+en", "+md", "2", NULL}, 12, false, 2);
    check_tool("dcmcjpls", (const char *const[]){"+en", "+md", "3", NULL}, 16, false, 3);
}

static void rle(void)
{
    lossless("dcmcrle", (const char *const[]){NULL});
}

static void big_endian_and_deflated(void)
{
    lossless("dcmconv", (const char *const[]){"+tb", NULL});
    lossless("dcmconv", (const char *const[]){"+ti", NULL});
    lossless("dcmconv", (const char *const[]){"+td", NULL});
}

static void check_j2k(unsigned bits, bool is_signed, bool stream_signed, float rate,
                      int32_t allowed)
{
    int32_t values[PIXELS], coded[PIXELS];
    struct made_file f;
    size_t size;
    static const uint8_t table[1];
    paint(values, bits, is_signed);
    for (int i = 0; i < PIXELS; i++) // many devices code signed values as unsigned patterns
        coded[i] = stream_signed == is_signed ? values[i] : values[i] & ((1 << bits) - 1);
    uint8_t *stream = compress_j2k(coded, COLUMNS, ROWS, bits, stream_signed, rate, &size);
    describe(&f, rate > 0 ? "1.2.840.10008.1.2.4.91" : "1.2.840.10008.1.2.4.90", bits, is_signed);
    f.fragments[0] = table;
    f.fragments[1] = stream;
    f.fragment_sizes[1] = size;
    f.fragment_count = 2;
    int32_t far = farthest(made_write(&f, "j2k.dcm"), values);
    CU_ASSERT_TRUE(far >= 0 && far <= allowed);
    for (size_t cut = 4; cut < size / 2; cut += size / 7) { // never a picture of what is left
        f.fragment_sizes[1] = (size - cut) & ~(size_t)1;
        CU_ASSERT_EQUAL(farthest(made_write(&f, "cut.dcm"), values), -1);
        CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    }
    free(stream);
    made_finish(&f);
}

static void j2k(void)
{
    check_j2k(8, false, false, 0, 0);
    check_j2k(12, false, false, 0, 0);
    check_j2k(12, true, true, 0, 0);
    check_j2k(12, true, false, 0, 0);
    check_j2k(16, false, false, 0, 0);
    check_j2k(16, true, true, 0, 0);
    check_j2k(12, false, false, 4, 200);
}

static void corpus_j2k_without_tiles_is_refused(void)
{
    const char *path = check_data("dicom/hostile/j2k-8-of-16-tiles.dcm");
    if (!path)
        return;
    struct object *o = object_open(path, &err);
    int32_t *values = malloc(4096 * 4096 * sizeof *values);
    CU_ASSERT_TRUE_FATAL(o && values);
    CU_ASSERT_FALSE(object_decode(o, 0, values, &err));
    CU_ASSERT_STRING_EQUAL(err.text, "JPEG 2000 stream has 8 of 16 tiles");
    free(values);
    object_close(o);
}

// A stream of fewer bits than Bits Stored tells its values where it has a sign of its own; without
// one the highest of its bits may be a sign or not.
static void j2k_of_fewer_bits_with_a_sign_is_whole(void)
{
    for (int stream_signed = 0; stream_signed < 2; stream_signed++) {
        int32_t values[PIXELS], coded[PIXELS];
        struct made_file f;
        size_t size;
        paint(values, 12, true);
        for (int i = 0; i < PIXELS; i++)
            coded[i] = stream_signed ? values[i] : values[i] & 0xfff;
        uint8_t *stream = compress_j2k(coded, COLUMNS, ROWS, 12, stream_signed, 0, &size);
        describe(&f, "1.2.840.10008.1.2.4.90", 16, true);
        f.fragments[0] = f.fragments[1] = stream;
        f.fragment_sizes[1] = size;
        f.fragment_count = 2;
        CU_ASSERT_EQUAL(farthest(made_write(&f, "j2k.dcm"), values), stream_signed ? 0 : -1);
        if (!stream_signed)
            CU_ASSERT_PTR_NOT_NULL(
                strstr(err.text, "the stream has 12 bits, BitsStored is 16 with a sign"));
        free(stream);
        made_finish(&f);
    }
}

static void j2k_signs_that_contradict_are_refused(void)
{
    int32_t values[PIXELS];
    struct made_file f;
    size_t size;
    paint(values, 12, true);
    uint8_t *stream = compress_j2k(values, COLUMNS, ROWS, 12, true, 0, &size);
    describe(&f, "1.2.840.10008.1.2.4.90", 12, false);
    f.fragments[0] = f.fragments[1] = stream;
    f.fragment_sizes[1] = size;
    f.fragment_count = 2;
    CU_ASSERT_EQUAL(farthest(made_write(&f, "j2k.dcm"), values), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "signed"));
    free(stream);
    made_finish(&f);
}

// Streams cut short, with and without an end marker of their own behind the cut.
static void cut_streams_are_refused(void)
{
    static const struct {
        const char *tool, *option;
    } cases[] = {{"dcmcjpeg", "+e1"}, {"dcmcjpeg", "+eb"}, {"dcmcjpls", "+el"}, {"dcmcrle", NULL}};
    int32_t values[PIXELS];
    paint(values, 8, false);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        char out[PATH_MAX];
        size_t size;
        snprintf(out, sizeof out, "%s/cut%zu.dcm", check_scratch(), c);
        if (!compress_by_tool(cases[c].tool, (const char *const[]){cases[c].option, NULL},
                              write_native(values, 8, false), out))
            continue;
        uint8_t *data = (uint8_t *)fs_read_file(out, 1 << 20, &size, &err);
        CU_ASSERT_PTR_NOT_NULL_FATAL(data);
        // the last fragment ends 8 bytes before the file; what is cut becomes zeros, so that all
        // lengths still fit
        for (size_t cut = 20; cut < 400; cut += 60) {
            for (int end = 0; end < 2; end++) {
                uint8_t *copy = malloc(size);
                CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
                memcpy(copy, data, size);
                memset(copy + size - 8 - cut, 0, cut);
                if (end)
                    memcpy(copy + size - 10, "\xff\xd9", 2);
                int32_t far = farthest(made_write_bytes("zeroed.dcm", copy, size), values);
                // zeros are legal codes of RLE: they must at least not become a whole picture
                CU_ASSERT_TRUE(far == -1 || (end && far > 0) || cases[c].option == NULL);
                free(copy);
            }
        }
        free(data);
    }
}

// A symbol of the first Huffman table of class 0, the last one, becomes another.
static void huffman_symbols_beyond_a_difference_are_refused(void)
{
    static const struct {
        const char *option;
        uint8_t largest; // that a difference of the process can have
    } cases[] = {{"+e1", 16}, {"+eb", 15}};
    int32_t values[PIXELS];
    paint(values, 8, false);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        char out[PATH_MAX], said[64];
        size_t size, count = 0;
        snprintf(out, sizeof out, "%s/huffman%zu.dcm", check_scratch(), c);
        if (!compress_by_tool("dcmcjpeg", (const char *const[]){cases[c].option, NULL},
                              write_native(values, 8, false), out))
            continue;
        uint8_t *data = (uint8_t *)fs_read_file(out, 1 << 20, &size, &err);
        CU_ASSERT_PTR_NOT_NULL_FATAL(data);
        uint8_t *table = memmem(data, size, "\xff\xc4", 2);
        CU_ASSERT_FATAL(table && table + 21 < data + size && table[4] == 0);
        for (size_t i = 0; i < 16; i++)
            count += table[5 + i];
        uint8_t *symbol = table + 20 + count; // of the longest code, which may be unused
        *symbol = cases[c].largest;
        const int32_t far = farthest(made_write_bytes("largest.dcm", data, size), values);
        CU_ASSERT(far >= 0 || !strstr(err.text, "differences"));
        for (unsigned wrong = cases[c].largest + 1u; wrong <= 255; wrong += 119) {
            *symbol = (uint8_t)wrong;
            CU_ASSERT_EQUAL(farthest(made_write_bytes("wrong.dcm", data, size), values), -1);
            CU_ASSERT_EQUAL(err.code, ERR_UNSUPPORTED);
            snprintf(said, sizeof said, "differences of %u bits, more than %u", wrong,
                     cases[c].largest);
            CU_ASSERT_PTR_NOT_NULL(strstr(err.text, said));
        }
        *symbol = 0;
        table[5]++; // one code more than there are symbols
        CU_ASSERT_EQUAL(farthest(made_write_bytes("broken.dcm", data, size), values), -1);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "a Huffman table is broken"));
        free(data);
    }
}

// The shared corpora

struct corpus {
    size_t files, opened, decoded;
};

// Everything there is to do with a file; whatever it holds, each failure has a code and a text.
static void exercise(const char *path, struct corpus *c)
{
    struct attrs attrs = {0};
    struct image_frame frame;
    err = (struct err){0};
    c->files++;
    struct object *o = object_open(path, &err);
    CU_ASSERT_TRUE(o || (err.code != ERR_NONE && err.text[0]));
    if (!o)
        return;
    c->opened++;
    CU_ASSERT_TRUE(object_attrs(o, &attrs, &err));
    const char *rows = attrs_get(&attrs, "Rows"), *columns = attrs_get(&attrs, "Columns");
    size_t pixels = rows && columns ? strtoul(rows, NULL, 10) * strtoul(columns, NULL, 10) : 0;
    int32_t *values = pixels && pixels < 1 << 27 ? malloc(pixels * sizeof *values) : NULL;
    for (uint32_t f = 0; values && f < object_ids(o)->frames && f < 12; f++) {
        err = (struct err){0};
        CU_ASSERT_TRUE(object_frame(o, f, &frame, &err) || err.text[0]);
        err = (struct err){0};
        bool ok = frame.is_float ? object_decode_float(o, f, (float *)values, &err)
                                 : object_decode(o, f, values, &err);
        CU_ASSERT_TRUE(ok || (err.code != ERR_NONE && err.text[0]));
        c->decoded += ok;
    }
    free(values);
    attrs_finish(&attrs);
    object_close(o);
}

static int not_dot(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static void walk(const char *folder, void (*visit)(const char *path, void *ctx), void *ctx)
{
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, not_dot, alphasort);
    if (n < 0)
        visit(folder, ctx);
    for (int i = 0; i < n; i++) {
        char path[PATH_MAX];
        if (fs_join(path, folder, entries[i]->d_name, &err))
            walk(path, visit, ctx);
        free(entries[i]);
    }
    free(entries);
}

static void visit_exercise(const char *path, void *ctx)
{
    exercise(path, ctx);
}

static void corpus_of_defects_gives_clean_errors(void)
{
    struct corpus c = {0};
    const char *folder = check_data("dicom/bad");
    if (!folder)
        return;
    walk(folder, visit_exercise, &c);
    CU_ASSERT_TRUE(c.files >= 60);
    char path[PATH_MAX];
    const char *file = check_data("dicom/bad/pylibjpeg-data/TOSHIBA_J2K_SIZ1_PixRep0/"
                                  "TOSHIBA_J2K_SIZ1_PixRep0.dcm");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    snprintf(path, sizeof path, "%s", file);
    struct object *o = object_open(path, &err);
    int32_t *values = malloc(512 * 512 * sizeof *values);
    CU_ASSERT_TRUE_FATAL(o && values);
    CU_ASSERT_FALSE(object_decode(o, 0, values, &err)); // its sign is contradictory
    free(values);
    object_close(o);
}

static uint64_t hash_of(const char *path, uint32_t frame)
{
    struct image_frame s;
    uint64_t hash = 1469598103934665603u;
    err = (struct err){0};
    struct object *o = object_open(path, &err);
    int32_t *values = calloc(512 * 512, sizeof *values);
    bool ok = o && values && (object_frame(o, frame, &s, &err) || err.code == ERR_UNSUPPORTED) &&
              s.columns <= 512 && s.rows <= 512 && object_decode(o, frame, values, &err);
    CU_ASSERT_TRUE(ok);
    if (!ok)
        fprintf(stderr, "%s: %s\n", path, err.text);
    for (size_t i = 0; ok && i < 512 * 512; i++)
        hash = (hash ^ (uint32_t)values[i]) * 1099511628211u;
    free(values);
    object_close(o);
    return ok ? hash : 0;
}

static void corpus_twins_decode_alike(void)
{
    static const char *const ways[] = {"generic_compressed", "generic_compressed_jpeg",
                                       "generic_compressed_jpegls", "generic_compressed_rle"};
    char path[PATH_MAX];
    if (!check_data("dicom/decode"))
        return;
    for (int slice = 1; slice <= 4; slice++) {
        uint64_t first = 0;
        for (int w = 0; w < 4; w++) {
            snprintf(path, sizeof path, "dicom/decode/dicom2nifti/%s/IM-0001-%04d-0001.dcm",
                     ways[w], slice);
            uint64_t hash = hash_of(check_data(path), 0);
            first = w == 0 ? hash : first;
            CU_ASSERT_EQUAL(hash, first);
        }
    }
    static const char *const twins[] = {
        "fragmented_no_bot_jpeg_lossless.57", "fragmented_no_bot_jpeg_lossless.70",
        "fragmented_no_bot_jpeg_ls.80",       "not_fragmented_bot_jpeg_ls.80",
        "not_fragmented_no_bot_jpeg_ls.80",   "not_fragmented_bot_rle",
        "not_fragmented_no_bot_rle",
    };
    for (uint32_t frame = 0; frame < 2; frame++) {
        uint64_t native = hash_of(
            check_data("dicom/decode/pydicom-data/eCT_Supplemental/eCT_Supplemental.dcm"), frame);
        for (size_t i = 0; i < sizeof twins / sizeof *twins; i++) {
            snprintf(path, sizeof path, "dicom/decode/dcmqi-hist/CT0012/CT0012.%s.dcm", twins[i]);
            CU_ASSERT_EQUAL(hash_of(check_data(path), frame), native);
        }
    }
}

struct frames {
    struct image_frame at[64];
    uint32_t count;
};

static void visit_frame(const char *path, void *ctx)
{
    struct frames *s = ctx;
    struct object *o = object_open(path, &err);
    CU_ASSERT_PTR_NOT_NULL(o);
    if (o && s->count < 64)
        CU_ASSERT_TRUE(object_frame(o, 0, &s->at[s->count++], &err));
    object_close(o);
}

// The images of the files of a folder.
static void split(const char *folder, struct frames *s, struct arena *arena, struct image_set *out)
{
    char copy[PATH_MAX];
    const char *path = check_data(folder);
    CU_ASSERT_PTR_NOT_NULL_FATAL(path);
    snprintf(copy, sizeof copy, "%s", path);
    s->count = 0;
    walk(copy, visit_frame, s);
    err = (struct err){0};
    CU_ASSERT_TRUE_FATAL(image_split(s->at, s->count, NULL, arena, out, &err));
}

static void corpus_of_geometry_is_judged(void)
{
    static struct frames s;
    struct image_set set;
    if (!check_data("dicom/geometry"))
        return;
    struct arena *arena = arena_create();
    CU_ASSERT_PTR_NOT_NULL_FATAL(arena);
    split("dicom/geometry/dicom2nifti/gantrytilting_001", &s, arena, &set);
    const struct image *i = image_main(&set, 0, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(i);
    CU_ASSERT_DOUBLE_EQUAL(i->tilt_deg, 14, 0.01);
    CU_ASSERT_DOUBLE_EQUAL(i->spacing[2], 5 * cos(14 * M_PI / 180), 1e-3);
    split("dicom/geometry/dicom2nifti/sliceincrement_001", &s, arena, &set);
    CU_ASSERT_PTR_NULL(image_main(&set, 0, &err));
    CU_ASSERT_STRING_EQUAL(err.text, "1 slice missing between 28.1 and 38.1 mm");
    split("dicom/geometry/dicom2nifti/sliceorientation_001", &s, arena, &set);
    CU_ASSERT_PTR_NULL(image_main(&set, 0, &err));
    CU_ASSERT_EQUAL(err.code, ERR_GEOMETRY);
    split("dicom/geometry/dicom2nifti/single_slice", &s, arena, &set);
    CU_ASSERT_EQUAL(set.images[0].dim[2], 1);
    split("dicom/geometry/fo-dicom-abd1/abd1", &s, arena, &set); // a survey
    i = image_main(&set, 0, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(i); // five coronal slices
    CU_ASSERT_EQUAL(i->dim[2], 5);
    CU_ASSERT_DOUBLE_EQUAL(i->spacing[2], 25, 1e-6);
    arena_destroy(arena);
}

// Real enhanced objects: every frame has its place, and is alone there or has a time of its own.
static void corpus_of_enhanced_objects_is_described(void)
{
    static const struct {
        const char *file;
        uint32_t frames;
    } cases[] = {
        {"dicom/decode/dicom2nifti/philips_enhanced_anatomical_001/IM-0001-0170-0001.dcm", 8},
        {"dicom/decode/dicom2nifti/philips_enhanced_fmri_001_implicit/IM-0001-9600-0001.dcm", 32},
        {"dicom/decode/dicom2nifti/siemens_multiframe_anatomical_001/IM-0001-0001-0001.dcm", 8},
    };
    if (!check_data("dicom/decode"))
        return;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct image_frame a, b;
        struct attrs own = {0};
        struct object *o = object_open(check_data(cases[c].file), &err);
        CU_ASSERT_PTR_NOT_NULL_FATAL(o);
        CU_ASSERT_EQUAL(object_ids(o)->frames, cases[c].frames);
        CU_ASSERT_TRUE(object_frame(o, 0, &a, &err));
        CU_ASSERT_TRUE(object_frame(o, cases[c].frames - 1, &b, &err));
        CU_ASSERT_TRUE(a.placed && b.placed);
        CU_ASSERT_TRUE(a.position[0] != b.position[0] || a.position[1] != b.position[1] ||
                       a.position[2] != b.position[2]);
        CU_ASSERT_TRUE(object_frame_attrs(o, cases[c].frames - 1, &own, &err));
        CU_ASSERT_PTR_NOT_NULL(attrs_get(&own, "SliceThickness"));
        attrs_finish(&own);
        object_close(o);
    }
}

int main(void)
{
    static const struct check_case cases[] = {
        {"decode_jpeg_lossless", jpeg_lossless},
        {"decode_huffman_symbols_beyond_a_difference_are_refused",
         huffman_symbols_beyond_a_difference_are_refused},
        {"decode_jpeg_lossy", jpeg_lossy},
        {"decode_jpeg_ls", jpeg_ls},
        {"decode_rle", rle},
        {"decode_big_endian_and_deflated", big_endian_and_deflated},
        {"decode_j2k", j2k},
        {"decode_corpus_j2k_without_tiles_is_refused", corpus_j2k_without_tiles_is_refused},
        {"decode_j2k_of_fewer_bits_with_a_sign_is_whole", j2k_of_fewer_bits_with_a_sign_is_whole},
        {"decode_j2k_signs_that_contradict_are_refused", j2k_signs_that_contradict_are_refused},
        {"decode_cut_streams_are_refused", cut_streams_are_refused},
        {"decode_corpus_of_defects_gives_clean_errors", corpus_of_defects_gives_clean_errors},
        {"decode_corpus_twins_decode_alike", corpus_twins_decode_alike},
        {"decode_corpus_of_geometry_is_judged", corpus_of_geometry_is_judged},
        {"decode_corpus_of_enhanced_objects_is_described", corpus_of_enhanced_objects_is_described},
    };
    if (!object_init(&err)) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    int status = check_main("decode", cases, sizeof cases / sizeof *cases);
    object_quit();
    return status;
}
