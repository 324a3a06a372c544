#include "dimse/read/object.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/uid.h"
#include "tests/check.h"
#include "tests/made.h"

#define EXPLICIT    "1.2.840.10008.1.2.1"
#define IMPLICIT    "1.2.840.10008.1.2"
#define BIG         "1.2.840.10008.1.2.2"
#define RLE         "1.2.840.10008.1.2.5"
#define JPEG_LS     "1.2.840.10008.1.2.4.80"
#define J2K         "1.2.840.10008.1.2.4.90"
#define PIXELS      48
#define FRAMES      0x00280008
#define PHOTOMETRIC 0x00280004
#define ROWS        0x00280010
#define ALLOCATED   0x00280100
#define STORED      0x00280101
#define HIGH_BIT    0x00280102
#define SIGNED      0x00280103

static struct err err;

static struct object *open_made(const struct made_file *f)
{
    err = (struct err){0};
    return object_open(made_write(f, "o.dcm"), &err);
}

static void said(enum err_code code, const char *text)
{
    CU_ASSERT_EQUAL(err.code, code);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, text));
    if (err.code != code || !strstr(err.text, text))
        fprintf(stderr, "%s: \"%s\" is not \"%s\"\n", err_code_name(err.code), err.text, text);
}

static void open_refused(const char *path, enum err_code code, const char *text)
{
    err = (struct err){0};
    struct object *o = object_open(path, &err);
    CU_ASSERT_PTR_NULL(o);
    said(code, text);
    object_close(o);
}

// Opens f, which it takes over, and expects object_slice() of frame 0 to fail.
static void slice_refused(struct made_file *f, enum err_code code, const char *text)
{
    struct volume_slice s;
    struct object *o = open_made(f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_FALSE(object_slice(o, 0, &s, &err));
    said(code, text);
    object_close(o);
    made_finish(f);
}

static void decode_refused(struct made_file *f, uint32_t frame, enum err_code code,
                           const char *text)
{
    int32_t values[PIXELS];
    struct object *o = open_made(f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_FALSE(object_decode(o, frame, values, &err));
    said(code, text);
    object_close(o);
    made_finish(f);
}

static void image(struct made_file *f, const char *syntax)
{
    made_ct(f, syntax, "1.2.3.4", 12);
}

static void reads_identity(void)
{
    struct made_file f;
    image(&f, EXPLICIT);
    made_set(&f, 0x00181002, "UI", "1.2.9");
    made_pixels(&f, PIXELS, 0);
    struct object *o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    const struct object_ids *ids = object_ids(o);
    CU_ASSERT_STRING_EQUAL(ids->study_instance_uid, "1.2.3.1");
    CU_ASSERT_STRING_EQUAL(ids->series_instance_uid, "1.2.3.2");
    CU_ASSERT_STRING_EQUAL(ids->sop_instance_uid, "1.2.3.4");
    CU_ASSERT_STRING_EQUAL(ids->sop_class_uid, "1.2.840.10008.5.1.4.1.1.2");
    CU_ASSERT_STRING_EQUAL(ids->transfer_syntax_uid, EXPLICIT);
    CU_ASSERT_STRING_EQUAL(ids->modality, "CT");
    CU_ASSERT_STRING_EQUAL(ids->device_uid, "1.2.9");
    CU_ASSERT_EQUAL(ids->instance_number, 7);
    CU_ASSERT_EQUAL(ids->frames, 1);
    CU_ASSERT_TRUE(object_is_own(o, "1.2.9"));
    CU_ASSERT_FALSE(object_is_own(o, "1.2.8"));
    CU_ASSERT_FALSE(object_is_own(o, ""));
    object_close(o);
    made_finish(&f);
}

static void unusable_uids_are_empty(void)
{
    struct made_file f;
    image(&f, EXPLICIT);
    made_set(&f, 0x0020000d, "UI", "1.2..3");
    made_set(&f, 0x0020000e, "UI",
             "1.2345678901234567890123456789012345678901234567890123456789012345");
    made_set(&f, 0x00080018, "UI", "../../etc/passwd");
    struct object *o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_STRING_EQUAL(object_ids(o)->study_instance_uid, "");
    CU_ASSERT_STRING_EQUAL(object_ids(o)->series_instance_uid, "");
    CU_ASSERT_STRING_EQUAL(object_ids(o)->sop_instance_uid, "");
    CU_ASSERT_EQUAL(object_ids(o)->frames, 0);
    object_close(o);
    made_finish(&f);
}

static void knows_its_own_by_contributing_equipment(void)
{
    static const uint8_t item[] = {0xfe, 0xff, 0x00, 0xe0, 14, 0,   0,   0,   0x18, 0x00, 0x02,
                                   0x10, 'U',  'I',  6,    0,  '1', '.', '2', '.',  '9',  0};
    struct made_file f;
    image(&f, EXPLICIT);
    made_set_bytes(&f, 0x0018a001, "SQ", item, sizeof item);
    struct object *o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_TRUE(object_is_own(o, "1.2.9"));
    CU_ASSERT_FALSE(object_is_own(o, "1.2.3"));
    object_close(o);
    made_finish(&f);
}

static void attributes_are_text(void)
{
    struct made_file f;
    struct attrs a = {0};
    image(&f, EXPLICIT);
    made_set(&f, 0x00091001, "LO", "private");
    made_set_bytes(&f, 0x00189073, "FD", "\0\0\0\0\0\0\x04\x40", 8); // 2.5
    struct object *o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_TRUE(object_attrs(o, &a, &err));
    CU_ASSERT_STRING_EQUAL(attrs_get(&a, "SeriesDescription"), "CaSc 3.0");
    CU_ASSERT_STRING_EQUAL(attrs_get(&a, "ImageType"), "ORIGINAL\\PRIMARY\\AXIAL");
    CU_ASSERT_STRING_EQUAL(attrs_get(&a, "Rows"), "6");
    CU_ASSERT_STRING_EQUAL(attrs_get(&a, "PatientBirthDate"), "");
    CU_ASSERT_DOUBLE_EQUAL(strtod(attrs_get(&a, "AcquisitionDuration"), NULL), 2.5, 0);
    const char *key = NULL, *value = NULL;
    while (attrs_next(&a, &key, &value))
        CU_ASSERT_STRING_NOT_EQUAL(value, "private");
    attrs_finish(&a);
    object_close(o);
    made_finish(&f);
}

static void check_text(const char *set, const char *raw, const char *utf8)
{
    struct made_file f;
    struct attrs a = {0};
    image(&f, EXPLICIT);
    made_set(&f, 0x00080005, "CS", set);
    made_set(&f, 0x0008103e, "LO", raw);
    struct object *o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_TRUE(object_attrs(o, &a, &err));
    CU_ASSERT_STRING_EQUAL(attrs_get(&a, "SeriesDescription"), utf8);
    attrs_finish(&a);
    object_close(o);
    made_finish(&f);
}

static void text_becomes_utf8(void)
{
    check_text("ISO_IR 100", "C\x9c\xe9", "C?\xc3\xa9"); // C1 controls are no text
    check_text("ISO_IR 100",
               "Sch\xe4"
               "del",
               "Sch\xc3\xa4"
               "del");
    check_text("ISO_IR 144", "\xb0\xb1", "\xd0\x90\xd0\x91");
    check_text("ISO_IR 192", "\xc3\xa4", "\xc3\xa4");
    check_text("ISO_IR 192",
               "a\xe4"
               "b",
               "a?b");                               // broken UTF-8
    check_text("ISO_IR 192", "\xed\xa0\x80", "???"); // a surrogate
    check_text("NO SUCH SET",
               "a\xe4"
               "b",
               "a?b");
    check_text("",
               "a\x01"
               "b",
               "a?b");
}

static void long_lists_are_cut_at_an_attribute(void)
{
    struct made_file f;
    struct attrs a = {0};
    char text[1025];
    memset(text, 'x', 1024);
    text[1024] = 0;
    image(&f, EXPLICIT);
    for (uint32_t i = 0; i < 40; i++) // comments in repeating groups
        made_set(&f, 0x60000022 + (i << 17), "LO", text);
    struct object *o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_TRUE(object_attrs(o, &a, &err));
    CU_ASSERT_TRUE(a.size <= ATTRS_PACKED_MAX);
    CU_ASSERT_PTR_NOT_NULL(attrs_get(&a, "Rows"));
    attrs_finish(&a);
    object_close(o);
    made_finish(&f);
}

static void peeks_into_any_beginning(void)
{
    static const char *const syntaxes[] = {EXPLICIT, IMPLICIT, BIG};
    for (size_t s = 0; s < 3; s++) {
        struct made_file f;
        size_t size, described = 0;
        image(&f, syntaxes[s]);
        made_pixels(&f, PIXELS, 0);
        uint8_t *data = made_data(&f, &size);
        for (size_t end = 0; end <= size; end++) {
            struct object_ids ids;
            struct attrs a = {0};
            uint8_t *exact = malloc(end + 1); // so that a read behind the end is seen
            CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
            memcpy(exact, data, end);
            CU_ASSERT_TRUE(object_peek(exact, end, syntaxes[s], &ids, &a, &err));
            described += attrs_get(&a, "SeriesDescription") != NULL;
            if (attrs_get(&a, "SOPInstanceUID"))
                CU_ASSERT_STRING_EQUAL(ids.sop_instance_uid, "1.2.3.4");
            if (end == size) {
                CU_ASSERT_STRING_EQUAL(ids.series_instance_uid, "1.2.3.2");
                CU_ASSERT_STRING_EQUAL(ids.transfer_syntax_uid, syntaxes[s]);
                CU_ASSERT_EQUAL(ids.frames, 1);
                CU_ASSERT_STRING_EQUAL(attrs_get(&a, "RescaleSlope"), "1");
            }
            attrs_finish(&a);
            free(exact);
        }
        CU_ASSERT_TRUE(described > size / 3);
        free(data);
        made_finish(&f);
    }
    struct object_ids ids;
    struct attrs a = {0};
    CU_ASSERT_FALSE(object_peek("", 0, "1.2.3", &ids, &a, &err));
    CU_ASSERT_EQUAL(err.code, ERR_UNSUPPORTED);
}

static void keywords_are_those_of_the_standard(void)
{
    CU_ASSERT_TRUE(object_keyword_known("SeriesDescription"));
    CU_ASSERT_TRUE(object_keyword_known("Modality"));
    CU_ASSERT_FALSE(object_keyword_known("seriesdescription"));
    CU_ASSERT_FALSE(object_keyword_known("SeriesDescripton"));
    CU_ASSERT_FALSE(object_keyword_known(""));
    CU_ASSERT_STRING_EQUAL(object_keyword_near("SeriesDescripton"), "SeriesDescription");
    CU_ASSERT_STRING_EQUAL(object_keyword_near("modality"), "Modality");
    CU_ASSERT_PTR_NULL(object_keyword_near("Qqqqqqqqqqqqqq"));
}

static void refuses_what_is_no_dicom(void)
{
    char zeros[200] = {0};
    open_refused("/no/such/file", ERR_IO, "No such file");
    open_refused("/", ERR_INPUT, "no regular file");
    open_refused(made_write_bytes("empty", "", 0), ERR_INPUT, "no DICOM file");
    open_refused(made_write_bytes("text", "hello", 5), ERR_INPUT, "no DICOM file");
    open_refused(made_write_bytes("zeros", zeros, sizeof zeros), ERR_INPUT, "no DICOM file");
    memcpy(zeros + 128, "DICM", 4);
    open_refused(made_write_bytes("magic", zeros, 132), ERR_INPUT, "without Transfer Syntax");
    struct made_file f;
    image(&f, "1.2.840.10008.1.2.4.201");
    open_refused(made_write(&f, "o.dcm"), ERR_UNSUPPORTED, "1.2.840.10008.1.2.4.201");
    made_finish(&f);
}

static void refuses_truncated_files(void)
{
    struct made_file f;
    image(&f, EXPLICIT);
    made_pixels(&f, PIXELS, 0);
    const char *path = made_write(&f, "whole");
    FILE *file = fopen(path, "rb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    uint8_t data[4096];
    size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    for (size_t cut = 1; cut < 96; cut += 7)
        open_refused(made_write_bytes("cut", data, size - cut), ERR_INPUT, "truncated");
    // a cut in the header is seen too, unless it lies between two elements
    size_t refused = 0, opened = 0;
    for (size_t end = 160; end < size - 120; end++) {
        struct object *o = object_open(made_write_bytes("cut", data, end), &err);
        refused += !o;
        opened += o != NULL;
        object_close(o);
    }
    CU_ASSERT_TRUE(opened < f.count && refused > 10 * opened);
    made_finish(&f);
}

// n sequences inside each other around one element, with defined lengths when outer is even.
static uint8_t *nested(size_t n, bool undefined, size_t *size)
{
    size_t room = 64 + n * 40;
    uint8_t *data = malloc(room), *end = data + room, *p = end;
    CU_ASSERT_PTR_NOT_NULL_FATAL(data);
    static const uint8_t item_end[] = {0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0};
    static const uint8_t sequence_end[] = {0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0};
    for (size_t i = 0; i < n; i++) {
        if (undefined) {
            // grows to both sides: built as heads in front, ends behind
            memmove(p - 20 - 16, p, (size_t)(end - p));
            p -= 36;
            static const uint8_t head[] = {0x08, 0x00, 0x15, 0x11, 'S',  'Q',  0,   0,   255, 255,
                                           255,  255,  0xfe, 0xff, 0x00, 0xe0, 255, 255, 255, 255};
            memmove(p + 20, p, (size_t)(end - p - 36));
            memcpy(p, head, sizeof head);
            memcpy(end - 16, item_end, 8);
            memcpy(end - 8, sequence_end, 8);
        } else {
            uint32_t inner = (uint32_t)(end - p), outer = inner + 8;
            uint8_t head[] = {0x08, 0x00, 0x15, 0x11, 'S',  'Q',  0, 0, 0, 0,
                              0,    0,    0xfe, 0xff, 0x00, 0xe0, 0, 0, 0, 0};
            memcpy(head + 8, &outer, 4);
            memcpy(head + 16, &inner, 4);
            p -= sizeof head;
            memcpy(p, head, sizeof head);
        }
    }
    *size = (size_t)(end - p);
    memmove(data, p, *size);
    return data;
}

static void refuses_deep_nesting(void)
{
    for (int undefined = 0; undefined < 2; undefined++) {
        for (size_t depth = 31; depth <= 20000; depth += depth < 34 ? 1 : 19966) {
            struct made_file f;
            size_t size;
            image(&f, EXPLICIT);
            uint8_t *data = nested(depth, undefined != 0, &size), *whole;
            size_t before;
            whole = made_data(&f, &before); // nothing of it: only the sequences
            free(whole);
            made_finish(&f);
            f = (struct made_file){.syntax = EXPLICIT};
            made_set_bytes(&f, 0x00081115, "SQ", data + 12, size - 12);
            f.attrs[0].undefined = undefined != 0;
            const char *path = made_write(&f, "deep");
            if (depth > 32) {
                open_refused(path, ERR_INPUT, "nested too deep");
            } else {
                struct object *o = object_open(path, &err);
                CU_ASSERT_PTR_NOT_NULL(o);
                object_close(o);
            }
            struct object_ids ids;
            struct attrs a = {0};
            bool ok = object_peek(data, size, EXPLICIT, &ids, &a, &err);
            CU_ASSERT_EQUAL(ok, depth <= 32);
            attrs_finish(&a);
            free(data);
            made_finish(&f);
        }
    }
}

static void refuses_malformed_elements(void)
{
    struct made_file f;
    image(&f, EXPLICIT);
    made_set(&f, 0x00081111, "ZZ", "what");
    open_refused(made_write(&f, "vr"), ERR_INPUT, "unknown value representation");
    made_finish(&f);
    image(&f, EXPLICIT);
    made_set_bytes(&f, 0x00081115, "SQ", "\x08\0\x60\0CS\2\0CT", 10);
    open_refused(made_write(&f, "item"), ERR_INPUT, "no item in a sequence");
    made_finish(&f);
    image(&f, EXPLICIT);
    made_set(&f, 0x0008103e, "UT", "text");
    for (size_t i = 0; i < f.count; i++)
        f.attrs[i].undefined = f.attrs[i].tag == 0x0008103e;
    open_refused(made_write(&f, "length"), ERR_INPUT, "undefined length");
    made_finish(&f);
    image(&f, EXPLICIT);
    made_set(&f, FRAMES, "IS", "-3");
    open_refused(made_write(&f, "frames"), ERR_INPUT, "Number of Frames");
    made_finish(&f);
}

static void private_values_that_look_like_sequences_do_no_harm(void)
{
    static const uint8_t value[] = {0xfe, 0xff, 0x00, 0xe0, 4, 0, 0, 0, 1, 2, 3, 4, 9, 9, 9, 9};
    struct made_file f;
    int32_t values[PIXELS];
    image(&f, IMPLICIT);
    made_set_bytes(&f, 0x00091001, "UN", value, sizeof value);
    made_pixels(&f, PIXELS, 5);
    struct object *o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_TRUE(object_decode(o, 0, values, &err));
    CU_ASSERT_EQUAL(values[PIXELS - 1], 5 + PIXELS - 1);
    object_close(o);
    made_finish(&f);
}

static void describes_the_plane(void)
{
    static const char *const syntaxes[] = {EXPLICIT, IMPLICIT, BIG};
    for (size_t i = 0; i < 3; i++) {
        struct made_file f;
        struct volume_slice s;
        image(&f, syntaxes[i]);
        made_pixels(&f, PIXELS, 0);
        struct object *o = open_made(&f);
        CU_ASSERT_PTR_NOT_NULL_FATAL(o);
        CU_ASSERT_TRUE_FATAL(object_slice(o, 0, &s, &err));
        CU_ASSERT_STRING_EQUAL(s.sop_instance_uid, "1.2.3.4");
        CU_ASSERT_STRING_EQUAL(s.frame_of_reference_uid, "1.2.3.3");
        CU_ASSERT_EQUAL(s.frame, 1);
        CU_ASSERT_EQUAL(s.columns, 8);
        CU_ASSERT_EQUAL(s.rows, 6);
        CU_ASSERT_EQUAL(s.pixel_spacing[0], 0.5);
        CU_ASSERT_EQUAL(s.pixel_spacing[1], 0.25);
        CU_ASSERT_EQUAL(s.position[0], -10);
        CU_ASSERT_EQUAL(s.position[1], 20.5);
        CU_ASSERT_EQUAL(s.position[2], 12);
        CU_ASSERT_EQUAL(s.orientation[0], 1);
        CU_ASSERT_EQUAL(s.orientation[4], 1);
        CU_ASSERT_EQUAL(s.slope, 1);
        CU_ASSERT_EQUAL(s.intercept, -1024);
        CU_ASSERT_EQUAL(s.bits_stored, 12);
        CU_ASSERT_FALSE(s.is_signed);
        CU_ASSERT_FALSE(s.localizer);
        CU_ASSERT_FALSE(object_slice(o, 1, &s, &err));
        said(ERR_INPUT, "no frame 2 of 1");
        object_close(o);
        made_finish(&f);
    }
}

static void slice_names_what_is_missing_or_wrong(void)
{
    static const struct {
        uint32_t tag;
        const char *vr, *value; // NULL: dropped
        enum err_code code;
        const char *text;
    } cases[] = {
        {0x00200032, "DS", NULL, ERR_INPUT, "ImagePositionPatient is missing"},
        {0x00200032, "DS", "1\\2", ERR_INPUT, "ImagePositionPatient makes no sense"},
        {0x00200032, "DS", "1\\2\\x", ERR_INPUT, "ImagePositionPatient makes no sense"},
        {0x00200032, "DS", "1\\2\\nan", ERR_INPUT, "ImagePositionPatient makes no sense"},
        {0x00200032, "DS", "1\\2\\1e999", ERR_INPUT, "ImagePositionPatient makes no sense"},
        {0x00200032, "DS", "1\\2,5\\3", ERR_INPUT, "ImagePositionPatient makes no sense"},
        {0x00200037, "DS", NULL, ERR_INPUT, "ImageOrientationPatient is missing"},
        {0x00200037, "DS", "1\\0\\0\\1\\0\\0", ERR_INPUT, "ImageOrientationPatient makes no sense"},
        {0x00200037, "DS", "2\\0\\0\\0\\1\\0", ERR_INPUT, "ImageOrientationPatient makes no sense"},
        {0x00280030, "DS", "", ERR_INPUT, "PixelSpacing is missing"},
        {0x00280030, "DS", "0\\1", ERR_INPUT, "PixelSpacing makes no sense"},
        {0x00281053, "DS", NULL, ERR_INPUT, "RescaleSlope is missing"},
        {0x00281053, "DS", "0", ERR_INPUT, "RescaleSlope makes no sense"},
        {0x00281052, "DS", NULL, ERR_INPUT, "RescaleIntercept is missing"},
        {0x00281054, "LO", "US", ERR_UNSUPPORTED, "RescaleType is not HU"},
        {ROWS, "US", NULL, ERR_INPUT, "Rows is missing"},
        {ROWS, "US", "0", ERR_INPUT, "Rows makes no sense"},
        {STORED, "US", "17", ERR_INPUT, "BitsStored makes no sense"},
        {STORED, "US", "0", ERR_INPUT, "BitsStored makes no sense"},
        {HIGH_BIT, "US", "10", ERR_INPUT, "HighBit makes no sense"},
        {HIGH_BIT, "US", "16", ERR_INPUT, "HighBit makes no sense"},
        {SIGNED, "US", "2", ERR_INPUT, "PixelRepresentation makes no sense"},
        {ALLOCATED, "US", "12", ERR_UNSUPPORTED, "12 of 12 bits"},
        {PHOTOMETRIC, "CS", "RGB", ERR_UNSUPPORTED, "no grey values"},
        {PHOTOMETRIC, "CS", NULL, ERR_INPUT, "PhotometricInterpretation is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made_file f;
        image(&f, EXPLICIT);
        made_pixels(&f, PIXELS, 0);
        if (cases[i].value)
            made_set(&f, cases[i].tag, cases[i].vr, cases[i].value);
        else
            made_drop(&f, cases[i].tag);
        slice_refused(&f, cases[i].code, cases[i].text);
    }
    struct made_file f;
    image(&f, EXPLICIT);
    slice_refused(&f, ERR_UNSUPPORTED, "no image");
    image(&f, EXPLICIT);
    made_set(&f, FRAMES, "IS", "2");
    made_pixels(&f, 2 * PIXELS, 0);
    slice_refused(&f, ERR_INPUT, "PerFrameFunctionalGroupsSequence is missing");
}

static void no_rescale_is_fine_for_other_modalities(void)
{
    struct made_file f;
    struct volume_slice s;
    image(&f, EXPLICIT);
    made_set(&f, 0x00080060, "CS", "MR");
    made_drop(&f, 0x00281052);
    made_drop(&f, 0x00281053);
    made_pixels(&f, PIXELS, 0);
    struct object *o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_TRUE(object_slice(o, 0, &s, &err));
    CU_ASSERT_EQUAL(s.slope, 1);
    CU_ASSERT_EQUAL(s.intercept, 0);
    object_close(o);
    made_finish(&f);
}

static void tells_localizers(void)
{
    struct made_file f;
    struct volume_slice s;
    image(&f, EXPLICIT);
    made_set(&f, 0x00080008, "CS", "ORIGINAL\\PRIMARY\\LOCALIZER");
    made_drop(&f, 0x00200032); // what it lacks is no error
    made_pixels(&f, PIXELS, 0);
    struct object *o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_TRUE(object_slice(o, 0, &s, &err));
    CU_ASSERT_TRUE(s.localizer);
    object_close(o);
    made_finish(&f);
}

static void describes_the_scan(void)
{
    static const struct {
        uint32_t tag;
        const char *vr, *value;
        enum tristate gated;
        const char *evidence;
    } cases[] = {
        {0x00080080, "LO", "Hospital", TRI_UNKNOWN, ""},
        {0x00189037, "CS", "RETROSPECTIVE", TRI_YES, "CardiacSynchronizationTechnique"},
        {0x00189037, "CS", "NONE", TRI_NO, "CardiacSynchronizationTechnique"},
        {0x00180022, "CS", "CARDIAC HELICAL", TRI_YES, "ScanOptions"},
        {0x0008103e, "LO", "Chest non-gated 3.0", TRI_NO, "SeriesDescription"},
        {0x0008103e, "LO", "ECG gated CaSc", TRI_YES, "SeriesDescription"},
        {0x00181088, "IS", "62", TRI_YES, "HeartRate"},
        {0x00181060, "DS", "550", TRI_YES, "TriggerTime"},
        {0x00181060, "DS", "0", TRI_UNKNOWN, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made_file f;
        struct scan s;
        image(&f, EXPLICIT);
        made_set(&f, cases[i].tag, cases[i].vr, cases[i].value);
        struct object *o = open_made(&f);
        CU_ASSERT_PTR_NOT_NULL_FATAL(o);
        object_scan(o, &s);
        CU_ASSERT_EQUAL(s.gated, cases[i].gated);
        CU_ASSERT_STRING_EQUAL(s.gating_evidence, cases[i].evidence);
        CU_ASSERT_STRING_EQUAL(s.modality, "CT");
        CU_ASSERT_STRING_EQUAL(s.manufacturer, "Maker");
        CU_ASSERT_EQUAL(s.kvp, 120);
        CU_ASSERT_EQUAL(s.slice_thickness_mm, 3);
        CU_ASSERT_TRUE(isnan(s.tube_current_ma));
        CU_ASSERT_EQUAL(s.image_window[0], 40);
        CU_ASSERT_EQUAL(s.image_window[1], 400);
        object_close(o);
        made_finish(&f);
    }
}

// Stored bits, sign, byte order: every value comes back.
static void decodes_native_pixels(void)
{
    static const struct {
        const char *syntax, *allocated, *stored, *high, *is_signed;
        int32_t first;
    } cases[] = {
        {EXPLICIT, "16", "12", "11", "0", 0},      {EXPLICIT, "16", "12", "11", "1", -20},
        {IMPLICIT, "16", "16", "15", "0", 65480},  {IMPLICIT, "16", "16", "15", "1", -32768},
        {BIG, "16", "12", "11", "1", -2048},       {BIG, "8", "8", "7", "0", 200},
        {EXPLICIT, "8", "8", "7", "1", -24},       {EXPLICIT, "16", "12", "15", "1", -20},
        {EXPLICIT, "32", "32", "31", "1", -70000}, {EXPLICIT, "32", "20", "19", "0", 1000000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made_file f;
        int32_t values[PIXELS];
        image(&f, cases[i].syntax);
        made_set(&f, ALLOCATED, "US", cases[i].allocated);
        made_set(&f, STORED, "US", cases[i].stored);
        made_set(&f, HIGH_BIT, "US", cases[i].high);
        made_set(&f, SIGNED, "US", cases[i].is_signed);
        made_pixels(&f, PIXELS, cases[i].first);
        struct object *o = open_made(&f);
        CU_ASSERT_PTR_NOT_NULL_FATAL(o);
        CU_ASSERT_TRUE(object_decode(o, 0, values, &err));
        for (int p = 0; p < PIXELS; p++)
            CU_ASSERT_EQUAL(values[p], cases[i].first + p);
        object_close(o);
        made_finish(&f);
    }
}

static void masks_what_lies_above_the_stored_bits(void)
{
    struct made_file f;
    int32_t values[PIXELS];
    image(&f, EXPLICIT);
    made_pixels(&f, PIXELS, 0xf000 + 7); // an overlay in the upper bits
    struct object *o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_TRUE(object_decode(o, 0, values, &err));
    CU_ASSERT_EQUAL(values[0], 7);
    object_close(o);
    made_finish(&f);
}

static void decodes_each_frame(void)
{
    static const char *const syntaxes[] = {EXPLICIT, BIG};
    for (size_t i = 0; i < 2; i++) { // odd frames of single bytes share words
        struct made_file f;
        int32_t values[PIXELS];
        image(&f, syntaxes[i]);
        made_set(&f, FRAMES, "IS", "3");
        made_set(&f, ROWS, "US", "5");
        made_set(&f, 0x00280011, "US", "7");
        made_set(&f, ALLOCATED, "US", "8");
        made_set(&f, STORED, "US", "8");
        made_set(&f, HIGH_BIT, "US", "7");
        made_pixels(&f, 3 * 35, 0);
        struct object *o = open_made(&f);
        CU_ASSERT_PTR_NOT_NULL_FATAL(o);
        for (uint32_t frame = 0; frame < 3; frame++) {
            CU_ASSERT_TRUE(object_decode(o, frame, values, &err));
            CU_ASSERT_EQUAL(values[0], (int32_t)(35 * frame));
            CU_ASSERT_EQUAL(values[34], (int32_t)(35 * frame + 34));
        }
        CU_ASSERT_FALSE(object_decode(o, 3, values, &err));
        said(ERR_INPUT, "no frame 4 of 3");
        object_close(o);
        made_finish(&f);
    }
}

static void refuses_pixel_data_of_another_length(void)
{
    struct made_file f;
    image(&f, EXPLICIT);
    made_pixels(&f, PIXELS - 1, 0);
    decode_refused(&f, 0, ERR_INPUT, "94 bytes of pixel data, but 96 by the data set");
    image(&f, EXPLICIT);
    made_pixels(&f, 2 * PIXELS, 0);
    decode_refused(&f, 0, ERR_INPUT, "192 bytes of pixel data");
    image(&f, EXPLICIT);
    made_set(&f, FRAMES, "IS", "2147483647");
    made_pixels(&f, PIXELS, 0);
    decode_refused(&f, 1000000, ERR_INPUT, "bytes of pixel data");
    image(&f, EXPLICIT);
    made_set(&f, ROWS, "US", "65535");
    made_set(&f, 0x00280011, "US", "65535");
    made_pixels(&f, PIXELS, 0);
    decode_refused(&f, 0, ERR_UNSUPPORTED, "65535 x 65535 pixels");
    image(&f, EXPLICIT);
    decode_refused(&f, 0, ERR_UNSUPPORTED, "no image");
}

// An RLE frame of PIXELS 16-bit values: upper bytes all high, lower bytes low + i.
static size_t rle_frame(uint8_t *out, uint8_t high, uint8_t low)
{
    memset(out, 0, 64);
    out[0] = 2;
    out[4] = 64;
    out[8] = 66;
    out[64] = (uint8_t)(257 - PIXELS);
    out[65] = high;
    out[66] = PIXELS - 1;
    for (uint8_t i = 0; i < PIXELS; i++)
        out[67 + i] = (uint8_t)(low + i);
    out[67 + PIXELS] = 0;
    return 68 + PIXELS;
}

static void decodes_rle(void)
{
    uint8_t frame[200], again[200];
    int32_t values[PIXELS];
    struct made_file f;
    size_t size = rle_frame(frame, 3, 9);
    image(&f, RLE);
    made_set(&f, FRAMES, "IS", "2");
    f.fragments[0] = f.fragments[1] = frame;
    f.fragment_sizes[1] = f.fragment_sizes[2] = size;
    rle_frame(again, 1, 100);
    f.fragments[2] = again;
    f.fragment_count = 3;
    struct object *o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_TRUE(object_decode(o, 0, values, &err));
    CU_ASSERT_EQUAL(values[0], 3 * 256 + 9);
    CU_ASSERT_EQUAL(values[PIXELS - 1], 3 * 256 + 9 + PIXELS - 1);
    CU_ASSERT_TRUE(object_decode(o, 1, values, &err));
    CU_ASSERT_EQUAL(values[0], 256 + 100);
    object_close(o);
    made_finish(&f);
}

static void rle_image(struct made_file *f, uint8_t frame[200])
{
    image(f, RLE);
    f->fragments[0] = f->fragments[1] = frame;
    f->fragment_sizes[1] = rle_frame(frame, 3, 9);
    f->fragment_count = 2;
}

static void refuses_broken_rle(void)
{
    uint8_t frame[200];
    struct made_file f;
    rle_image(&f, frame);
    f.fragment_sizes[1] -= 4;
    decode_refused(&f, 0, ERR_INPUT, "RLE segment 2 does not fill the frame");
    rle_image(&f, frame);
    f.fragment_sizes[1] = 60;
    decode_refused(&f, 0, ERR_INPUT, "RLE header is cut short");
    rle_image(&f, frame);
    frame[0] = 1;
    decode_refused(&f, 0, ERR_INPUT, "RLE of 1 segments");
    rle_image(&f, frame);
    frame[9] = 7; // behind the end
    decode_refused(&f, 0, ERR_INPUT, "RLE segments lie outside");
    rle_image(&f, frame);
    frame[4] = 1; // in the header
    decode_refused(&f, 0, ERR_INPUT, "RLE segments lie outside");
    rle_image(&f, frame);
    frame[64] = (uint8_t)(257 - PIXELS - 1); // one pixel too many
    decode_refused(&f, 0, ERR_INPUT, "RLE segment 1 does not fill");
    rle_image(&f, frame);
    made_set(&f, ROWS, "US", "6000");
    made_set(&f, 0x00280011, "US", "6000");
    decode_refused(&f, 0, ERR_INPUT, "RLE stream is cut short");
}

static void refuses_broken_streams(void)
{
    static const uint8_t garbage[] = {0xff, 0xd8, 0xff, 0xf7, 0, 11, 8, 0, 6, 0, 8, 1, 0, 17, 0, 1};
    static const char *const syntaxes[] = {JPEG_LS, J2K, "1.2.840.10008.1.2.4.50",
                                           "1.2.840.10008.1.2.4.70"};
    for (size_t i = 0; i < 4; i++) {
        int32_t values[PIXELS];
        for (size_t size = 0; size <= sizeof garbage; size += 2) {
            struct made_file f;
            image(&f, syntaxes[i]);
            f.fragments[0] = f.fragments[1] = garbage;
            f.fragment_sizes[1] = size;
            f.fragment_count = 2;
            struct object *o = open_made(&f);
            CU_ASSERT_PTR_NOT_NULL_FATAL(o);
            CU_ASSERT_FALSE(object_decode(o, 0, values, &err));
            CU_ASSERT_EQUAL(err.code, ERR_INPUT);
            object_close(o);
            made_finish(&f);
        }
    }
}

// None of them makes a decoder search for ever.
static void any_marker_before_the_frame_header_ends(void)
{
    static const char *const syntaxes[] = {JPEG_LS, "1.2.840.10008.1.2.4.50",
                                           "1.2.840.10008.1.2.4.70"};
    uint8_t stream[64] = {0xff, 0xd8, 0xff, 0, 0, 4, 0, 0, 0xff, 0xc3, 0, 11, 12, 0, 6, 0, 8, 1};
    stream[62] = 0xff;
    stream[63] = 0xd9;
    for (int marker = 0; marker < 256; marker++) {
        for (size_t i = 0; i < 3; i++) {
            struct made_file f;
            int32_t values[PIXELS];
            stream[3] = (uint8_t)marker;
            stream[9] = i == 0 ? 0xf7 : i == 1 ? 0xc0 : 0xc3;
            image(&f, syntaxes[i]);
            f.fragments[0] = f.fragments[1] = stream;
            f.fragment_sizes[1] = sizeof stream;
            f.fragment_count = 2;
            struct object *o = open_made(&f);
            CU_ASSERT_PTR_NOT_NULL_FATAL(o);
            CU_ASSERT_FALSE(object_decode(o, 0, values, &err));
            CU_ASSERT_EQUAL(err.code, ERR_INPUT);
            object_close(o);
            made_finish(&f);
        }
    }
}

static void refuses_frames_that_fragments_do_not_tell(void)
{
    uint8_t frame[200];
    static const uint8_t table[] = {0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
    struct made_file f;
    rle_image(&f, frame);
    made_set(&f, FRAMES, "IS", "2");
    decode_refused(&f, 1, ERR_INPUT, "1 fragments for 2 frames");
    rle_image(&f, frame);
    made_set(&f, FRAMES, "IS", "2");
    f.fragments[0] = table; // the second offset points nowhere
    f.fragment_sizes[0] = sizeof table;
    f.fragments[2] = f.fragments[3] = frame;
    f.fragment_sizes[2] = f.fragment_sizes[3] = f.fragment_sizes[1];
    f.fragment_count = 4;
    decode_refused(&f, 1, ERR_INPUT, "do not fit 2 frames");
    rle_image(&f, frame);
    made_set(&f, FRAMES, "IS", "2");
    f.fragments[0] = table;
    f.fragment_sizes[0] = 6;
    f.fragments[2] = f.fragments[3] = frame;
    f.fragment_sizes[2] = f.fragment_sizes[3] = f.fragment_sizes[1];
    f.fragment_count = 4;
    decode_refused(&f, 0, ERR_INPUT, "broken Basic Offset Table");
    rle_image(&f, frame);
    f.fragment_count = 1;
    decode_refused(&f, 0, ERR_INPUT, "0 fragments for 1 frames");
    image(&f, RLE);
    made_pixels(&f, PIXELS, 0);
    decode_refused(&f, 0, ERR_INPUT, "no fragments in a compressed");
    rle_image(&f, frame);
    f.syntax = EXPLICIT;
    decode_refused(&f, 0, ERR_INPUT, "fragments in an uncompressed");
}

static void joins_fragments_by_the_offset_table(void)
{
    uint8_t frame[200], table[8] = {0};
    int32_t values[PIXELS];
    struct made_file f;
    rle_image(&f, frame);
    made_set(&f, FRAMES, "IS", "2");
    size_t size = f.fragment_sizes[1];
    f.fragments[2] = frame + 70;
    f.fragment_sizes[1] = 70;
    f.fragment_sizes[2] = size - 70;
    f.fragments[3] = frame;
    f.fragment_sizes[3] = size;
    f.fragment_count = 4;
    table[4] = (uint8_t)(size + 16);
    f.fragments[0] = table;
    f.fragment_sizes[0] = sizeof table;
    struct object *o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    for (uint32_t i = 0; i < 2; i++) {
        CU_ASSERT_TRUE(object_decode(o, i, values, &err));
        CU_ASSERT_EQUAL(values[1], 3 * 256 + 10);
    }
    object_close(o);
    made_finish(&f);
}

static void digests_the_data_set_alone(void)
{
    struct made_file f;
    uint8_t got[DIGEST_SIZE], wanted[DIGEST_SIZE];
    size_t size;
    image(&f, EXPLICIT);
    uint8_t *data = made_data(&f, &size);
    struct digest *d = digest_create();
    CU_ASSERT_PTR_NOT_NULL_FATAL(d);
    digest_add(d, data, size);
    digest_end(d, wanted);
    digest_destroy(d);
    CU_ASSERT_TRUE(object_digest(made_write(&f, "o.dcm"), got, &err));
    CU_ASSERT_EQUAL(memcmp(got, wanted, sizeof got), 0);
    CU_ASSERT_TRUE(object_digest(made_write_bytes("raw", data, size), got, &err));
    CU_ASSERT_EQUAL(memcmp(got, wanted, sizeof got), 0);
    CU_ASSERT_FALSE(object_digest("/no/such/file", got, &err));
    free(data);
    made_finish(&f);
}

static void lists_what_it_decodes(void)
{
    const char *const *uids = object_transfer_syntaxes();
    size_t count = 0;
    CU_ASSERT_STRING_EQUAL(uids[0], EXPLICIT);
    while (uids[count])
        count++;
    CU_ASSERT_EQUAL(count, 13);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"object_open_reads_identity", reads_identity},
        {"object_ids_unusable_uids_are_empty", unusable_uids_are_empty},
        {"object_is_own_knows_contributing_equipment", knows_its_own_by_contributing_equipment},
        {"object_attrs_are_text", attributes_are_text},
        {"object_attrs_text_becomes_utf8", text_becomes_utf8},
        {"object_attrs_long_lists_are_cut_at_an_attribute", long_lists_are_cut_at_an_attribute},
        {"object_peek_takes_any_beginning", peeks_into_any_beginning},
        {"object_keyword_known_and_near", keywords_are_those_of_the_standard},
        {"object_open_refuses_what_is_no_dicom", refuses_what_is_no_dicom},
        {"object_open_refuses_truncated_files", refuses_truncated_files},
        {"object_open_refuses_deep_nesting", refuses_deep_nesting},
        {"object_open_refuses_malformed_elements", refuses_malformed_elements},
        {"object_open_private_values_that_look_like_sequences_do_no_harm",
         private_values_that_look_like_sequences_do_no_harm},
        {"object_slice_describes_the_plane", describes_the_plane},
        {"object_slice_names_what_is_missing_or_wrong", slice_names_what_is_missing_or_wrong},
        {"object_slice_needs_no_rescale_but_for_ct", no_rescale_is_fine_for_other_modalities},
        {"object_slice_tells_localizers", tells_localizers},
        {"object_scan_describes_the_scan", describes_the_scan},
        {"object_decode_gives_stored_values", decodes_native_pixels},
        {"object_decode_masks_what_lies_above_the_stored_bits",
         masks_what_lies_above_the_stored_bits},
        {"object_decode_gives_each_frame", decodes_each_frame},
        {"object_decode_refuses_pixel_data_of_another_length",
         refuses_pixel_data_of_another_length},
        {"object_decode_gives_rle", decodes_rle},
        {"object_decode_refuses_broken_rle", refuses_broken_rle},
        {"object_decode_refuses_broken_streams", refuses_broken_streams},
        {"object_decode_any_marker_before_the_frame_header_ends",
         any_marker_before_the_frame_header_ends},
        {"object_decode_refuses_frames_that_fragments_do_not_tell",
         refuses_frames_that_fragments_do_not_tell},
        {"object_decode_joins_fragments_by_the_offset_table", joins_fragments_by_the_offset_table},
        {"object_digest_is_of_the_data_set_alone", digests_the_data_set_alone},
        {"object_transfer_syntaxes_lists_what_it_decodes", lists_what_it_decodes},
    };
    if (!object_init(&err)) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    int status = check_main("object", cases, sizeof cases / sizeof *cases);
    object_quit();
    return status;
}
