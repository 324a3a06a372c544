// Compressed streams of one frame: what decodes has values within its bits, and the same each time;
// what does not says why.
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "dimse/read/object.h"
#include "base/fs.h"
#include "tests/check.h"
#include "tests/compress.h"
#include "tests/fuzz/helper_targets.h"
#include "tests/made.h"

#define EXPLICIT "1.2.840.10008.1.2.1"
#define HEAD     4    // bytes before the stream: transfer syntax, columns, rows, pixels
#define SIZE     12   // columns and rows of the seeds
#define SIGNED   0x40 // of the pixels, beside the stored bits in the lowest five
#define COLOUR   0x80

static const struct {
    const char *uid;
    const char *tool, *option; // of DCMTK, which makes a seed; NULL: OpenJPEG does, or none is made
} syntaxes[] = {
    {"1.2.840.10008.1.2.5", "dcmcrle", NULL},      {"1.2.840.10008.1.2.4.50", "dcmcjpeg", "+eb"},
    {"1.2.840.10008.1.2.4.51", "dcmcjpeg", "+ee"}, {"1.2.840.10008.1.2.4.57", "dcmcjpeg", "+el"},
    {"1.2.840.10008.1.2.4.70", "dcmcjpeg", "+e1"}, {"1.2.840.10008.1.2.4.80", "dcmcjpls", "+el"},
    {"1.2.840.10008.1.2.4.81", "dcmcjpls", "+en"}, {"1.2.840.10008.1.2.4.90", NULL, NULL},
    {"1.2.840.10008.1.2.4.91", NULL, NULL},        {"1.2.840.10008.1.2.4.201", NULL, NULL},
    {"1.2.840.10008.1.2.1.98", NULL, NULL},
};
#define SYNTAXES (sizeof syntaxes / sizeof *syntaxes)

// What surrounds the stream.
static void describe_stream(struct made_file *f, const uint8_t head[HEAD])
{
    char number[16];
    const bool colour = head[3] & COLOUR;
    const unsigned stored = colour ? 8 : 1 + (head[3] & 0x1f) % 16;
    made_ct(f, syntaxes[head[0] % SYNTAXES].uid, "1.2.3.4", 12);
    snprintf(number, sizeof number, "%u", head[1]);
    made_set(f, 0x00280011, "US", number);
    snprintf(number, sizeof number, "%u", head[2]);
    made_set(f, 0x00280010, "US", number);
    made_set(f, 0x00280100, "US", stored > 8 ? "16" : "8");
    snprintf(number, sizeof number, "%u", stored);
    made_set(f, 0x00280101, "US", number);
    snprintf(number, sizeof number, "%u", stored - 1);
    made_set(f, 0x00280102, "US", number);
    made_set(f, 0x00280103, "US", head[3] & SIGNED ? "1" : "0");
    if (colour) {
        made_set(f, 0x00280002, "US", "3");
        made_set(f, 0x00280004, "CS", head[3] & SIGNED ? "YBR_FULL" : "RGB");
        made_set(f, 0x00280006, "US", "0");
        made_set(f, 0x00280103, "US", "0");
    }
}

// The grey values or colours of the only frame; free() them. NULL: it is refused.
static void *read_frame(const char *path, size_t count, bool colour)
{
    struct err err = {0};
    struct object *o = object_open(path, &err);
    void *out = calloc(count + !count, colour ? 3 : sizeof(int32_t)); // an exact end
    fuzz_check(out != NULL, "there is memory");
    const bool taken =
        o && (colour ? object_decode_rgb(o, 0, out, &err) : object_decode(o, 0, out, &err));
    fuzz_check(taken || (err.code != ERR_NONE && err.text[0]), "what is refused says why");
    object_close(o);
    if (taken)
        return out;
    free(out);
    return NULL;
}

bool fuzz_decode(const uint8_t *data, size_t size)
{
    static const uint8_t table[1];
    struct made_file f;
    if (size < HEAD)
        return false;
    describe_stream(&f, data);
    f.fragments[0] = table;
    f.fragments[1] = data + HEAD;
    f.fragment_sizes[1] = size - HEAD;
    f.fragment_count = 2;
    const char *path = made_write(&f, "mutant.dcm");
    made_finish(&f);
    const bool colour = data[3] & COLOUR, sign = data[3] & SIGNED;
    const size_t count = (size_t)data[1] * data[2];
    void *first = read_frame(path, count, colour);
    if (!first)
        return false;
    void *second = read_frame(path, count, colour);
    fuzz_check(second && memcmp(first, second, count * (colour ? 3 : sizeof(int32_t))) == 0,
               "a stream decodes to the same each time");
    const unsigned stored = 1 + (data[3] & 0x1f) % 16;
    const int32_t low = sign ? -(1 << (stored - 1)) : 0;
    for (size_t i = 0; !colour && i < count; i++) {
        const int32_t value = ((const int32_t *)first)[i];
        fuzz_check(value >= low && value < low + (1 << stored), "a value is within its bits");
    }
    free(first);
    free(second);
    return true;
}

// --- inputs ---

static void keep_stream(const uint8_t head[HEAD], const uint8_t *stream, size_t size,
                        fuzz_keep keep, void *ctx)
{
    uint8_t *seed = malloc(HEAD + size);
    fuzz_check(seed != NULL, "there is memory");
    memcpy(seed, head, HEAD);
    memcpy(seed + HEAD, stream, size);
    keep(ctx, seed, HEAD + size);
    free(seed);
}

// The first fragment behind the offset table of a file.
static const uint8_t *find_stream(const uint8_t *file, size_t file_size, size_t *size)
{
    static const uint8_t pixels[] = {0xe0, 0x7f, 0x10, 0, 'O', 'B', 0, 0, 255, 255, 255, 255};
    for (size_t at = 0; at + sizeof pixels + 16 <= file_size; at++) {
        if (memcmp(file + at, pixels, sizeof pixels) != 0)
            continue;
        const uint8_t *item = file + at + sizeof pixels;
        item += 8 + (item[4] | (unsigned)item[5] << 8);
        *size = item[4] | (unsigned)item[5] << 8 | (unsigned)item[6] << 16;
        fuzz_check(item + 8 + *size <= file + file_size, "a fragment of the seed is whole");
        return item + 8;
    }
    fuzz_check(false, "the seed has fragments");
    return NULL;
}

static void keep_by_tool(const uint8_t head[HEAD], fuzz_keep keep, void *ctx)
{
    static uint8_t samples[SIZE * SIZE * 3];
    const size_t at = head[0];
    char out[PATH_MAX];
    struct made_file f;
    describe_stream(&f, head);
    f.syntax = EXPLICIT;
    for (size_t i = 0; i < sizeof samples; i++)
        samples[i] = (uint8_t)(i * i / 7);
    if (head[3] & COLOUR)
        made_set_bytes(&f, 0x7fe00010, "OB", samples, sizeof samples);
    else
        made_pixels(&f, SIZE * SIZE, 0);
    snprintf(out, sizeof out, "%s/compressed.dcm", check_scratch());
    const char *const options[] = {syntaxes[at].option, NULL};
    if (compress_by_tool(syntaxes[at].tool, options, made_write(&f, "seed.dcm"), out)) {
        size_t size = 0, stream_size = 0;
        char *file = fs_read_file(out, 1 << 20, &size, NULL);
        fuzz_check(file != NULL, "the seed can be read");
        const uint8_t *stream = find_stream((const uint8_t *)file, size, &stream_size);
        keep_stream(head, stream, stream_size, keep, ctx);
        free(file);
    } else {
        fprintf(stderr, "%s is not installed: left out\n", syntaxes[at].tool);
    }
    made_finish(&f);
}

void fuzz_decode_seeds(fuzz_keep keep, void *ctx)
{
    int32_t values[SIZE * SIZE];
    uint8_t native[SIZE * SIZE * 2] = {0};
    for (int i = 0; i < SIZE * SIZE; i++)
        values[i] = i * 28 - 2016;
    for (size_t i = 0; i < SYNTAXES; i++) {
        const bool eight = strcmp(syntaxes[i].uid, "1.2.840.10008.1.2.4.50") == 0;
        const uint8_t grey[HEAD] = {(uint8_t)i, SIZE, SIZE, eight ? 7 : 11};
        const uint8_t rgb[HEAD] = {(uint8_t)i, SIZE, SIZE, COLOUR | 7};
        const uint8_t coded[HEAD] = {(uint8_t)i, SIZE, SIZE, SIGNED | 11};
        size_t size = 0;
        if (syntaxes[i].tool) {
            keep_by_tool(grey, keep, ctx);
            if (strcmp(syntaxes[i].uid, "1.2.840.10008.1.2.4.51") != 0) // 12 bits a sample alone
                keep_by_tool(rgb, keep, ctx);
        } else if (strncmp(syntaxes[i].uid, "1.2.840.10008.1.2.4.9", 21) == 0) {
            const float rate = syntaxes[i].uid[21] == '1' ? 2 : 0;
            uint8_t *stream = compress_j2k(values, SIZE, SIZE, 12, true, rate, &size);
            keep_stream(coded, stream, size, keep, ctx);
            free(stream);
        } else if (strcmp(syntaxes[i].uid, "1.2.840.10008.1.2.1.98") == 0) {
            keep_stream(grey, native, sizeof native, keep, ctx);
        }
    }
}

// --- mutants ---

#define NEAR 48 // bytes behind a marker that are changed for it

// Changes what is near one marker (of JPEG, JPEG-LS or JPEG 2000: 0xff and a byte above 0x3f), or
// doubles that part, or knows no markers.
size_t fuzz_decode_mutate(uint8_t *data, size_t size, size_t room, unsigned bits,
                          size_t (*change)(uint8_t *, size_t, size_t))
{
    size_t starts[64], count = 0;
    for (size_t at = HEAD; at + 1 < size && count < 64; at++) {
        if (data[at] == 0xff && data[at + 1] > 0x3f && data[at + 1] < 0xff)
            starts[count++] = at;
    }
    if (count == 0 || bits % 4 == 0)
        return change(data, size, room);
    const size_t at = starts[(bits >> 8) % count];
    const size_t length = size - at < NEAR ? size - at : NEAR;
    if (bits % 4 == 1 && size + length <= room) {
        memmove(data + at + length, data + at, size - at);
        return size + length;
    }
    uint8_t part[2 * NEAR];
    const size_t part_room = length + (room - size < NEAR ? room - size : NEAR);
    memcpy(part, data + at, length);
    const size_t part_size = change(part, length, part_room);
    memmove(data + at + part_size, data + at + length, size - at - length);
    memcpy(data + at, part, part_size);
    return size - length + part_size;
}
