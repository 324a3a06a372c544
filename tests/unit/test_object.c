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
#define MR          "1.2.840.10008.5.1.4.1.1.4"
#define PET         "1.2.840.10008.5.1.4.1.1.128"
#define MAMMOGRAM   "1.2.840.10008.5.1.4.1.1.1.2"
#define ULTRASOUND  "1.2.840.10008.5.1.4.1.1.3.1"
#define CAPTURE     "1.2.840.10008.5.1.4.1.1.7"
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

// Opens f, which it takes over, and expects object_frame() of a frame to fail.
static void frame_refused(struct made_file *f, uint32_t frame, enum err_code code, const char *text)
{
    struct image_frame out;
    struct object *o = open_made(f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_FALSE(object_frame(o, frame, &out, &err));
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
    CU_ASSERT_STRING_EQUAL(ids->id.study_instance_uid, "1.2.3.1");
    CU_ASSERT_STRING_EQUAL(ids->id.series_instance_uid, "1.2.3.2");
    CU_ASSERT_STRING_EQUAL(ids->id.sop_instance_uid, "1.2.3.4");
    CU_ASSERT_STRING_EQUAL(ids->id.sop_class_uid, "1.2.840.10008.5.1.4.1.1.2");
    CU_ASSERT_STRING_EQUAL(ids->id.transfer_syntax_uid, EXPLICIT);
    CU_ASSERT_STRING_EQUAL(ids->id.modality, "CT");
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
    CU_ASSERT_STRING_EQUAL(object_ids(o)->id.study_instance_uid, "");
    CU_ASSERT_STRING_EQUAL(object_ids(o)->id.series_instance_uid, "");
    CU_ASSERT_STRING_EQUAL(object_ids(o)->id.sop_instance_uid, "");
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
    if (strcmp(attrs_get(&a, "SeriesDescription"), utf8) != 0)
        fprintf(stderr, "%s: \"%s\"\n", set, attrs_get(&a, "SeriesDescription"));
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

// PS3.5 annexes H, I, J, K and others; names of sets as some write them; a missing first escape.
static void text_of_every_set_becomes_utf8(void)
{
    static const struct {
        const char *set, *raw, *utf8;
    } table[] = {
        {"\\ISO 2022 IR 87", "Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
         "Yamada^Tarou=山田^太郎"},
        {"ISO 2022 IR 13\\ISO 2022 IR 87",
         "\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎"},
        {"\\ISO 2022 IR 149", "Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7",
         "Hong^Gildong=洪^吉洞"},
        {"\\ISO 2022 IR 149", "\xfb\xf3 A", "洪 A"}, // the escape was left out
        {"\\ISO 2022 IR 58", "Zhang=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab", "Zhang=张^小东"},
        {"\\ISO 2022 IR 159", "\x1b$(D\x30\x21\x1b(B!", "丂!"},
        {"\\ISO 2022 IR 144", "Luc\x1b-L\xbb\xee\xda", "LucЛюк"},
        {"ISO 2022 IR 100\\ISO 2022 IR 144", "f\xfcr\x1b-L\xbb\x1b-A\xe4", "fürЛä"},
        {"GB18030", "Wang=\xcd\xf5^\xd0\xa1\xb6\xab", "Wang=王^小东"},
        {"GBK", "\xcd\xf5", "王"},
        {"ISO_IR 166", "\xa1", "ก"},
        {"ISO_IR 13", "\xb6\xd9", "ｶﾙ"},
        {"ISO-IR 100", "f\xfcr", "für"},
        {"ISO_IR_100", "f\xfcr", "für"},
        {"iso ir 100", "f\xfcr", "für"},
        {"LATIN1", "f\xfcr", "für"},
        {"UTF-8", "für", "für"},
        {"\\ISO 2022 IR 87", "\x1b$B;", "?"}, // half a character
        {"ISO_IR 100\\ISO 2022 IR 87", "f\xfcr", "für"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        check_text(table[i].set, table[i].raw, table[i].utf8);
}

// What routes name beyond keywords: private attributes by creator, items of sequences.
static void watched_paths_are_attributes(void)
{
    static const struct {
        const char *path, *value; // NULL: none in this object
    } table[] = {
        {"0019,xx10[ACME 1.1]", "fast"},
        {"0019,xx11[ACME 1.1]", "7"},
        {"0019,xx10[OTHER]", "slow"},
        {"0019,xx10[NOBODY]", NULL},
        {"0019,1010", "slow"},
        {"0028,0010", "6"},
        {"RequestAttributesSequence[0].ScheduledProcedureStepDescription", "Heart"},
        {"RequestAttributesSequence[1].ScheduledProcedureStepDescription", NULL},
        {"RequestAttributesSequence[0].ScheduledProtocolCodeSequence[0].CodeMeaning", "Calcium"},
        {"0040,0275[0].0040,0007", "Heart"}};
    static const char *const wrong[] = {"RequestAttributesSequence[0]",
                                        "RequestAttributesSequence.ScheduledProcedureStepID",
                                        "Modality[0].CodeMeaning",
                                        "RequestAttributesSequence[x].CodeMeaning",
                                        "RequestAttributesSequence[0].NoSuchThing",
                                        "0019,xx10",
                                        "0018,xx10[ACME]",
                                        "0019,xxgg[ACME]",
                                        ".Modality",
                                        "Modality,"};
    struct made_file f, item = {.syntax = EXPLICIT}, code = item;
    struct attrs a = {0};
    char why[128];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        *why = 0;
        CU_ASSERT_FALSE(object_watch(wrong[i], why, sizeof why));
        CU_ASSERT_NOT_EQUAL(*why, 0);
    }
    CU_ASSERT_FALSE(object_watches_private());
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        CU_ASSERT_TRUE(object_watch(table[i].path, why, sizeof why));
    CU_ASSERT_TRUE(object_watches_private());
    image(&f, EXPLICIT);
    made_set(&f, 0x00190010, "LO", "OTHER");
    made_set(&f, 0x00190011, "LO", "ACME 1.1");
    made_set(&f, 0x00191010, "LO", "slow");
    made_set(&f, 0x00191110, "UN", "fast");
    made_set(&f, 0x00191111, "US", "7");
    made_set(&code, 0x00080104, "LO", "Calcium");
    made_set(&item, 0x00400007, "LO", "Heart");
    made_nest(&item, 0x00400008, &code);
    made_nest(&f, 0x00400275, &item);
    struct object *o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_TRUE(object_attrs(o, &a, &err));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const char *value = attrs_get(&a, table[i].path);
        CU_ASSERT_EQUAL(value != NULL, table[i].value != NULL);
        if (value && table[i].value)
            CU_ASSERT_STRING_EQUAL(value, table[i].value);
    }
    CU_ASSERT_STRING_EQUAL(attrs_get(&a, "Modality"), "CT");
    attrs_finish(&a);
    object_close(o);
    made_finish(&f);
}

static void long_lists_keep_what_is_short(void)
{
    static const uint32_t texts[] = {
        0x00080080, 0x00080090, 0x00081010, 0x00081030, 0x00081040, 0x00081048, 0x00081050,
        0x00081060, 0x00081070, 0x00081080, 0x00081090, 0x00082111, 0x00084000, 0x00100021,
        0x00101000, 0x00101001, 0x00101005, 0x00101040, 0x00101060, 0x00101080, 0x00101081,
        0x00101090, 0x00102000, 0x00102110, 0x00102150, 0x00102152, 0x00102154, 0x00102160,
        0x00102180, 0x001021b0, 0x001021d0, 0x001021f0, 0x00104000, 0x00180010, 0x00181004,
    };
    struct made_file f;
    struct attrs a = {0};
    char text[1025];
    memset(text, 'x', 1024);
    text[1024] = 0;
    image(&f, EXPLICIT);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        made_set(&f, texts[i], "LO", text);
    made_set(&f, 0x00181210, "SH", "Qr36");
    struct object *o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_TRUE(object_attrs(o, &a, &err));
    CU_ASSERT_TRUE(a.size <= ATTRS_PACKED_MAX);
    CU_ASSERT_STRING_EQUAL(attrs_get(&a, "Rows"), "6");
    CU_ASSERT_STRING_EQUAL(attrs_get(&a, "KVP"), "120");
    CU_ASSERT_STRING_EQUAL(attrs_get(&a, "ConvolutionKernel"), "Qr36");
    CU_ASSERT_PTR_NOT_NULL(attrs_get(&a, "InstitutionName"));
    CU_ASSERT_PTR_NULL(attrs_get(&a, "ContrastBolusAgent")); // the last long ones are left out
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
                CU_ASSERT_STRING_EQUAL(ids.id.sop_instance_uid, "1.2.3.4");
            if (end == size) {
                CU_ASSERT_STRING_EQUAL(ids.id.series_instance_uid, "1.2.3.2");
                CU_ASSERT_STRING_EQUAL(ids.id.transfer_syntax_uid, syntaxes[s]);
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
    CU_ASSERT_TRUE(object_keyword_is_number("SliceThickness"));
    CU_ASSERT_TRUE(object_keyword_is_number("CTExposureSequence[0].ExposureTime"));
    CU_ASSERT_FALSE(object_keyword_is_number("AccessionNumber"));
    CU_ASSERT_FALSE(object_keyword_is_number("0019,1010"));
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
    open_refused(made_write_bytes("magic", zeros, 132), ERR_INPUT, "no Transfer Syntax UID");
    struct made_file f;
    image(&f, "1.2.840.10008.1.2.4.110");
    open_refused(made_write(&f, "o.dcm"), ERR_UNSUPPORTED, "1.2.840.10008.1.2.4.110");
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
    made_set(&f, 0x00081111, "ZZ", "\x08\x01"); // no length of it leads to an element
    for (size_t i = 0; i < f.count; i++)
        f.attrs[i].undefined = f.attrs[i].tag == 0x00081111;
    open_refused(made_write(&f, "vr"), ERR_INPUT, "(0008,1111): unknown value representation");
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
        struct image_frame s;
        image(&f, syntaxes[i]);
        made_pixels(&f, PIXELS, 0);
        struct object *o = open_made(&f);
        CU_ASSERT_PTR_NOT_NULL_FATAL(o);
        CU_ASSERT_TRUE_FATAL(object_frame(o, 0, &s, &err));
        CU_ASSERT_STRING_EQUAL(s.sop_instance_uid, "1.2.3.4");
        CU_ASSERT_STRING_EQUAL(s.frame_of_reference_uid, "1.2.3.3");
        CU_ASSERT_EQUAL(s.number, 1);
        CU_ASSERT_EQUAL(s.columns, 8);
        CU_ASSERT_EQUAL(s.rows, 6);
        CU_ASSERT_EQUAL(s.pixel_mm[0], 0.25); // between columns
        CU_ASSERT_EQUAL(s.pixel_mm[1], 0.5);
        CU_ASSERT_TRUE(s.placed);
        CU_ASSERT_EQUAL(s.position[0], -10);
        CU_ASSERT_EQUAL(s.position[1], 20.5);
        CU_ASSERT_EQUAL(s.position[2], 12);
        CU_ASSERT_EQUAL(s.orientation[0], 1);
        CU_ASSERT_EQUAL(s.orientation[4], 1);
        CU_ASSERT_EQUAL(s.slope, 1);
        CU_ASSERT_EQUAL(s.intercept, -1024);
        CU_ASSERT_STRING_EQUAL(s.unit, "[hnsf'U]");
        CU_ASSERT_EQUAL(s.bits_stored, 12);
        CU_ASSERT_EQUAL(s.instance_number, 7);
        CU_ASSERT_EQUAL(s.temporal, -1);
        CU_ASSERT_EQUAL(s.stack, -1);
        CU_ASSERT_TRUE(isnan(s.time_s) && isnan(s.trigger_ms) && isnan(s.echo_ms) &&
                       isnan(s.b_value));
        CU_ASSERT_FALSE(s.is_signed || s.is_float || s.inverted || s.localizer);
        CU_ASSERT_FALSE(object_frame(o, 1, &s, &err));
        said(ERR_INPUT, "no frame 2 of 1");
        object_close(o);
        made_finish(&f);
    }
}

static void rescale_that_is_absent_or_empty_is_one_and_zero(void)
{
    static const struct {
        const char *slope, *intercept; // NULL: dropped
        const char *sop_class;         // NULL: CT
        bool expected_no_slope, expected_no_intercept;
        double value_slope, value_intercept;
    } cases[] = {
        {.slope = "2", .intercept = "-7", .value_slope = 2, .value_intercept = -7},
        {NULL, "-1024", .expected_no_slope = true, .value_slope = 1, .value_intercept = -1024},
        {"", "-1024", .expected_no_slope = true, .value_slope = 1, .value_intercept = -1024},
        {"1", NULL, .expected_no_intercept = true, .value_slope = 1},
        {"  ", "  ", .expected_no_slope = true, .expected_no_intercept = true, .value_slope = 1},
        {NULL, NULL, .expected_no_slope = true, .expected_no_intercept = true, .value_slope = 1},
        {NULL, NULL, .sop_class = MR, .value_slope = 1},
        {"3", NULL, .sop_class = MR, .expected_no_intercept = true, .value_slope = 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made_file f;
        struct image_frame out;
        image(&f, EXPLICIT);
        made_pixels(&f, PIXELS, 0);
        if (cases[i].sop_class) {
            made_set(&f, 0x00080016, "UI", cases[i].sop_class);
            made_set(&f, 0x00080060, "CS", "MR");
        }
        made_drop(&f, 0x00281052);
        made_drop(&f, 0x00281053);
        if (cases[i].intercept)
            made_set(&f, 0x00281052, "DS", cases[i].intercept);
        if (cases[i].slope)
            made_set(&f, 0x00281053, "DS", cases[i].slope);
        struct object *o = open_made(&f);
        CU_ASSERT_PTR_NOT_NULL_FATAL(o);
        CU_ASSERT_TRUE_FATAL(object_frame(o, 0, &out, &err));
        CU_ASSERT_EQUAL(out.no_slope, cases[i].expected_no_slope);
        CU_ASSERT_EQUAL(out.no_intercept, cases[i].expected_no_intercept);
        CU_ASSERT_EQUAL(out.slope, cases[i].value_slope);
        CU_ASSERT_EQUAL(out.intercept, cases[i].value_intercept);
        object_close(o);
        made_finish(&f);
    }
}

static void rescale_type_is_the_unit_of_ct(void)
{
    static const struct {
        const char *type, *unit;
    } cases[] = {{"HU", "[hnsf'U]"}, {"hu", "[hnsf'U]"}, {"", "[hnsf'U]"}, {"US", "1"},
                 {"MGML", "mg/ml"},  {"Z_EFF", "1"},     {"HU_MOD", "1"},  {"ED", "10*23/ml"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made_file f;
        struct image_frame out;
        image(&f, EXPLICIT);
        made_pixels(&f, PIXELS, 0);
        made_set(&f, 0x00281054, "LO", cases[i].type);
        struct object *o = open_made(&f);
        CU_ASSERT_PTR_NOT_NULL_FATAL(o);
        CU_ASSERT_TRUE_FATAL(object_frame(o, 0, &out, &err));
        CU_ASSERT_STRING_EQUAL(out.unit, cases[i].unit);
        object_close(o);
        made_finish(&f);
    }
}

static void how_an_image_was_derived_has_keys_of_its_place(void)
{
    struct made_file f, code = {.syntax = EXPLICIT}, energy = {.syntax = EXPLICIT};
    struct attrs own = {0};
    image(&f, EXPLICIT);
    made_pixels(&f, PIXELS, 0);
    made_set(&code, 0x00080100, "SH", "113078");
    made_nest(&f, 0x00089215, &code);
    made_set(&energy, 0x0018937c, "FD", "70");
    made_nest(&f, 0x00189364, &energy);
    struct object *o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_TRUE_FATAL(object_frame_attrs(o, 0, &own, &err));
    const char *value = attrs_get(&own, "DerivationCodeSequence[0].CodeValue");
    double kev = 0;
    CU_ASSERT_STRING_EQUAL(value ? value : "", "113078");
    CU_ASSERT_TRUE(attrs_number(
        &own, "MultienergyCTCharacteristicsSequence[0].MonoenergeticEnergyEquivalent", &kev));
    CU_ASSERT_EQUAL(kev, 70);
    attrs_finish(&own);
    object_close(o);
    made_finish(&f);
}

static void the_private_phase_of_the_heart_is_read(void)
{
    static const struct {
        const char *syntax, *creator, *value;
        uint32_t block, tag;
        const char *wanted;
    } table[] = {
        {EXPLICIT, "TOSHIBA_MEC_CT3", "75%", 0x70050010, 0x70051004, "75%"},
        {IMPLICIT, "TOSHIBA_MEC_CT3", "40", 0x70050010, 0x70051004, "40"},
        {EXPLICIT, "TOSHIBA_MEC_CT3", "40", 0x70050011, 0x70051104, "40"},
        {EXPLICIT, "OTHER", "75%", 0x70050010, 0x70051004, NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct made_file f;
        struct attrs own = {0};
        image(&f, table[i].syntax);
        made_pixels(&f, PIXELS, 0);
        made_set(&f, table[i].block, "LO", table[i].creator);
        made_set(&f, table[i].tag, "SH", table[i].value);
        struct object *o = open_made(&f);
        CU_ASSERT_PTR_NOT_NULL_FATAL(o);
        CU_ASSERT_TRUE(object_frame_attrs(o, 0, &own, &err));
        const char *value = attrs_get(&own, IMAGE_TOSHIBA_PERCENT);
        CU_ASSERT_STRING_EQUAL(value ? value : "none", table[i].wanted ? table[i].wanted : "none");
        attrs_finish(&own);
        object_close(o);
        made_finish(&f);
    }
}

static void frame_names_what_is_missing_or_wrong(void)
{
    static const struct {
        uint32_t tag;
        const char *vr, *value; // NULL: dropped
        enum err_code code;
        const char *text;
    } cases[] = {
        {0x00200032, "DS", NULL, ERR_INPUT, "ImagePositionPatient is missing: 3 numbers in mm"},
        {0x00200032, "DS", "1\\2", ERR_INPUT,
         "ImagePositionPatient 1\\2 makes no sense: 3 numbers"},
        {0x00200032, "DS", "1\\2\\x", ERR_INPUT, "ImagePositionPatient 1\\2\\x makes no sense"},
        {0x00200032, "DS", "1\\2\\nan", ERR_INPUT, "ImagePositionPatient 1\\2\\nan makes no sense"},
        {0x00200032, "DS", "1\\2\\1e999", ERR_INPUT, "1\\2\\1e999 makes no sense"},
        {0x00200032, "DS", "1\\2,5\\3", ERR_INPUT,
         "1\\2,5\\3 makes no sense: 3 numbers in mm are "
         "needed, with decimal points"},
        {0x00200037, "DS", NULL, ERR_INPUT, "ImageOrientationPatient is missing: 2 directions"},
        {0x00200037, "DS", "1\\0\\0\\1\\0\\0", ERR_INPUT, "1\\0\\0\\1\\0\\0 makes no sense: 2 dir"},
        {0x00200037, "DS", "2\\0\\0\\0\\1\\0", ERR_INPUT, "2\\0\\0\\0\\1\\0 makes no sense"},
        {0x00280030, "DS", "", ERR_INPUT, "PixelSpacing is missing: 2 numbers above 0 mm"},
        {0x00280030, "DS", "0\\1", ERR_INPUT,
         "PixelSpacing 0\\1 makes no sense: 2 numbers above 0"},
        {0x00280030, "DS", "1,09375\\1,09375", ERR_INPUT,
         "PixelSpacing 1,09375\\1,09375 makes no sense: 2 numbers above 0 mm are needed, with "
         "decimal "
         "points"},
        {0x00280030, "DS", "0.5", ERR_INPUT, "PixelSpacing 0.5 makes no sense"},
        {0x00281053, "DS", "0", ERR_INPUT, "RescaleSlope 0 makes no sense: a number other than 0"},
        {0x00281053, "DS", "1,0", ERR_INPUT, "RescaleSlope 1,0 makes no sense"},
        {0x00281052, "DS", "1\\2", ERR_INPUT, "RescaleIntercept 1\\2 makes no sense: a number"},
        {ROWS, "US", NULL, ERR_INPUT, "Rows is missing"},
        {ROWS, "US", "0", ERR_INPUT, "Rows 0 makes no sense"},
        {STORED, "US", "17", ERR_INPUT, "BitsStored 17 makes no sense"},
        {STORED, "US", "0", ERR_INPUT, "BitsStored 0 makes no sense"},
        {HIGH_BIT, "US", "10", ERR_INPUT, "HighBit 10 makes no sense"},
        {HIGH_BIT, "US", "16", ERR_INPUT, "HighBit 16 makes no sense"},
        {SIGNED, "US", "2", ERR_INPUT, "PixelRepresentation 2 makes no sense"},
        {ALLOCATED, "US", "12", ERR_UNSUPPORTED, "BitsAllocated 12: not 1, 8, 16 or 32"},
        {0x00283000, "SQ", "", ERR_INPUT, "ModalityLUTSequence without an item"},
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
        frame_refused(&f, 0, cases[i].code, cases[i].text);
    }
    struct made_file f;
    image(&f, EXPLICIT);
    frame_refused(&f, 0, ERR_UNSUPPORTED, "no image");
    image(&f, EXPLICIT);
    made_set(&f, FRAMES, "IS", "2");
    made_pixels(&f, 2 * PIXELS, 0);
    frame_refused(&f, 0, ERR_UNSUPPORTED,
                  "NumberOfFrames is 2 in an object of one frame: nothing says where each lies");
    image(&f, EXPLICIT);
    made_set(&f, 0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.4.1"); // Enhanced MR
    made_set(&f, FRAMES, "IS", "2");
    made_pixels(&f, 2 * PIXELS, 0);
    frame_refused(&f, 0, ERR_INPUT, "PerFrameFunctionalGroupsSequence is missing");
}

static void no_rescale_is_fine_for_other_modalities(void)
{
    struct made_file f;
    struct image_frame s;
    image(&f, EXPLICIT);
    made_set(&f, 0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.4");
    made_set(&f, 0x00080060, "CS", "MR");
    made_drop(&f, 0x00281052);
    made_drop(&f, 0x00281053);
    made_pixels(&f, PIXELS, 0);
    struct object *o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_TRUE(object_frame(o, 0, &s, &err));
    CU_ASSERT_EQUAL(s.slope, 1);
    CU_ASSERT_EQUAL(s.intercept, 0);
    CU_ASSERT_STRING_EQUAL(s.unit, "1");
    object_close(o);
    made_finish(&f);
}

static void tells_localizers(void)
{
    struct made_file f;
    struct image_frame s;
    image(&f, EXPLICIT);
    made_set(&f, 0x00080008, "CS", "ORIGINAL\\PRIMARY\\LOCALIZER");
    made_drop(&f, 0x00200032); // what it lacks is no error
    made_drop(&f, 0x00281053);
    made_pixels(&f, PIXELS, 0);
    struct object *o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_TRUE(object_frame(o, 0, &s, &err));
    CU_ASSERT_TRUE(s.localizer);
    CU_ASSERT_FALSE(s.placed);
    object_close(o);
    made_finish(&f);
}

// The only frame of f, which it finishes.
static struct image_frame frame_of(struct made_file *f)
{
    struct image_frame out = {0};
    made_pixels(f, PIXELS, 0);
    struct object *o = open_made(f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_TRUE(object_frame(o, 0, &out, &err));
    if (err.code)
        fprintf(stderr, "%s\n", err.text);
    object_close(o);
    made_finish(f);
    return out;
}

static void of_class(struct made_file *f, const char *sop_class, const char *modality)
{
    image(f, EXPLICIT);
    made_set(f, 0x00080016, "UI", sop_class);
    made_set(f, 0x00080060, "CS", modality);
}

// An object of one frame with several is a cine where it says when each was made.
static void frames_of_an_mr_with_times_are_a_cine(void)
{
    struct made_file f;
    struct image_frame s;
    of_class(&f, MR, "MR");
    made_set(&f, FRAMES, "IS", "2");
    made_set(&f, 0x00181063, "DS", "69.5");
    made_pixels(&f, 2 * PIXELS, 0);
    struct object *o = open_made(&f);
    CU_ASSERT_TRUE_FATAL(o && object_frame(o, 1, &s, &err));
    CU_ASSERT_FALSE(s.placed);
    CU_ASSERT_DOUBLE_EQUAL(s.time_s, 0.0695, 1e-12);
    object_close(o);
    made_finish(&f);
}

#define DOSE "1.2.840.10008.5.1.4.1.1.481.2"

static void dose(struct made_file *f, const char *offsets, const char *orientation)
{
    of_class(f, DOSE, "RTDOSE");
    made_drop(f, 0x00281052);
    made_drop(f, 0x00281053);
    made_set(f, FRAMES, "IS", "3");
    made_set(f, 0x00200032, "DS", "1\\2\\30");
    made_set(f, 0x00200037, "DS", orientation);
    made_set(f, 0x30040002, "CS", "GY");
    made_set(f, 0x3004000e, "DS", "0.5");
    if (offsets)
        made_set(f, 0x3004000c, "DS", offsets);
    made_pixels(f, 3 * PIXELS, 0);
}

static void planes_of_a_dose_lie_at_their_offsets(void)
{
    static const char axial[] = "1\\0\\0\\0\\1\\0", sagittal[] = "0\\1\\0\\0\\0\\-1";
    static const struct {
        const char *offsets, *orientation;
        double place[3]; // of the last plane
    } cases[] = {
        {"0\\2.5\\5", axial, {1, 2, 35}},
        {"0\\-2.5\\-5", axial, {1, 2, 25}},
        {"0\\2.5\\5", sagittal, {1 - 5, 2, 30}},
        {"30\\27.5\\25", axial, {1, 2, 25}}, // by z
    };
    static const struct {
        const char *offsets, *orientation, *text;
    } bad[] = {
        {NULL, axial,
         "GridFrameOffsetVector, which says where the planes of a dose grid lie, has "},
        {"0\\2.5", axial, "has not 3 numbers"},
        {"30\\27.5\\25", sagittal, "begins with 30, not 0, and the planes are not axial"},
    };
    struct made_file f;
    struct image_frame s;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        dose(&f, cases[i].offsets, cases[i].orientation);
        struct object *o = open_made(&f);
        CU_ASSERT_TRUE_FATAL(o && object_frame(o, 2, &s, &err));
        CU_ASSERT_TRUE(s.placed);
        for (int a = 0; a < 3; a++)
            CU_ASSERT_DOUBLE_EQUAL(s.position[a], cases[i].place[a], 1e-9);
        CU_ASSERT_EQUAL(s.slope, 0.5);
        CU_ASSERT_STRING_EQUAL(s.unit, "Gy");
        object_close(o);
        made_finish(&f);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        dose(&f, bad[i].offsets, bad[i].orientation);
        frame_refused(&f, 0, ERR_INPUT, bad[i].text);
    }
    dose(&f, "0\\1\\2", axial);
    made_drop(&f, 0x3004000e);
    frame_refused(&f, 0, ERR_INPUT, "DoseGridScaling is missing: a number above 0 is needed");
}

static void vendors_say_what_values_are(void)
{
    struct made_file f;
    of_class(&f, MR, "MR");
    made_set(&f, 0x00430010, "LO", "GEMS_PARM_01");
    made_set_bytes(&f, 0x0043102f, "SS", "\3", 2);
    made_set_bytes(&f, 0x00431030, "SS", "\2", 2);
    struct image_frame s = frame_of(&f);
    CU_ASSERT_STRING_EQUAL(s.kind, "3");
    CU_ASSERT_STRING_EQUAL(s.variant, "2");
    of_class(&f, MR, "MR");
    made_set(&f, 0x00430010, "LO", "ANOTHER VENDOR");
    made_set_bytes(&f, 0x0043102f, "SS", "\3", 2);
    s = frame_of(&f);
    CU_ASSERT_STRING_EQUAL(s.kind, "");
    CU_ASSERT_STRING_EQUAL(s.variant, "");
}

static void without_place(struct made_file *f, const char *sop_class, const char *modality)
{
    static const uint32_t drop[] = {0x00200032, 0x00200037, 0x00280030, 0x00281052, 0x00281053};
    of_class(f, sop_class, modality);
    for (size_t i = 0; i < sizeof drop / sizeof *drop; i++)
        made_drop(f, drop[i]);
}

static void projections_and_captures_have_no_place(void)
{
    struct made_file f;
    without_place(&f, MAMMOGRAM, "MG");
    made_set(&f, 0x00181164, "DS", "0.07\\0.08");
    made_set(&f, PHOTOMETRIC, "CS", "MONOCHROME1");
    struct image_frame s = frame_of(&f);
    CU_ASSERT_FALSE(s.placed);
    CU_ASSERT_TRUE(isnan(s.position[0]) && isnan(s.orientation[5]));
    CU_ASSERT_EQUAL(s.pixel_mm[0], 0.08);
    CU_ASSERT_EQUAL(s.pixel_mm[1], 0.07);
    CU_ASSERT_TRUE(s.inverted);
    CU_ASSERT_EQUAL(s.slope, 1);
    CU_ASSERT_STRING_EQUAL(s.unit, "1");
    without_place(&f, MAMMOGRAM, "MG"); // calibrated in the patient
    made_set(&f, 0x00181164, "DS", "0.07\\0.08");
    made_set(&f, 0x00280030, "DS", "0.05\\0.06");
    s = frame_of(&f);
    CU_ASSERT_EQUAL(s.pixel_mm[0], 0.06);
    without_place(&f, CAPTURE, "CT"); // a page made at a scanner
    s = frame_of(&f);
    CU_ASSERT_FALSE(s.placed);
    CU_ASSERT_TRUE(isnan(s.pixel_mm[0]) && isnan(s.pixel_mm[1]));
    CU_ASSERT_STRING_EQUAL(s.unit, "1");
    of_class(&f, CAPTURE, "MR"); // what has a place keeps it
    s = frame_of(&f);
    CU_ASSERT_TRUE(s.placed);
    of_class(&f, CAPTURE, "MR");
    made_drop(&f, 0x00200037);
    made_pixels(&f, PIXELS, 0);
    frame_refused(&f, 0, ERR_INPUT, "ImageOrientationPatient is missing");
    without_place(&f, ULTRASOUND, "US");
    made_set(&f, FRAMES, "IS", "2");
    made_set(&f, 0x00200032, "DS", "0\\0\\0"); // says nothing of the second frame
    made_pixels(&f, 2 * PIXELS, 0);
    struct object *o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_TRUE(object_frame(o, 1, &s, &err));
    CU_ASSERT_FALSE(s.placed);
    CU_ASSERT_EQUAL(s.number, 2);
    object_close(o);
    made_finish(&f);
}

static void colour_is_described_and_not_decoded(void)
{
    struct made_file f;
    struct image_frame s;
    int32_t values[3 * PIXELS];
    without_place(&f, CAPTURE, "OT");
    made_set(&f, PHOTOMETRIC, "CS", "RGB");
    made_set(&f, 0x00280002, "US", "3");
    made_set(&f, ALLOCATED, "US", "8");
    made_set(&f, STORED, "US", "8");
    made_set(&f, HIGH_BIT, "US", "7");
    made_pixels(&f, 3 * PIXELS, 0);
    struct object *o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_TRUE(object_frame(o, 0, &s, &err));
    CU_ASSERT_EQUAL(s.columns, 8);
    CU_ASSERT_FALSE(object_decode(o, 0, values, &err));
    said(ERR_UNSUPPORTED, "RGB pixels are colours, not values");
    object_close(o);
    made_finish(&f);
}

static void real_world(struct made_file *item, const char *unit, const char *scheme)
{
    struct made_file code = {.syntax = EXPLICIT};
    *item = (struct made_file){.syntax = EXPLICIT};
    made_set(&code, 0x00080100, "SH", unit);
    made_set(&code, 0x00080102, "SH", scheme);
    made_nest(item, 0x004008ea, &code);
    made_set(item, 0x00409224, "FD", "3");
    made_set(item, 0x00409225, "FD", "0.5");
}

static void units_are_what_the_modality_says(void)
{
    static const struct {
        const char *term, *ucum;
    } pet[] = {{"BQML", "Bq/ml"}, {"CNTS", "{counts}"}, {"GML", "g/ml"}, {"WHAT", "1"}};
    struct made_file f, item;
    struct image_frame s;
    for (size_t i = 0; i < sizeof pet / sizeof *pet; i++) {
        of_class(&f, PET, "PT");
        made_set(&f, 0x00541001, "CS", pet[i].term);
        made_set(&f, 0x00281053, "DS", "2.5");
        s = frame_of(&f);
        CU_ASSERT_STRING_EQUAL(s.unit, pet[i].ucum);
        CU_ASSERT_EQUAL(s.slope, 2.5);
    }
    of_class(&f, MR, "MR"); // an ADC map
    real_world(&item, "um2/s", "UCUM");
    made_nest(&f, 0x00409096, &item);
    s = frame_of(&f);
    CU_ASSERT_STRING_EQUAL(s.unit, "um2/s");
    CU_ASSERT_EQUAL(s.slope, 0.5);
    CU_ASSERT_EQUAL(s.intercept, 3);
    static const char *const none[][2] = {
        {"1", "UCUM"}, {"um2/s", "99MINE"}, {"{much too long for a unit}", "UCUM"}};
    for (size_t i = 0; i < 3; i++) {
        of_class(&f, MR, "MR");
        real_world(&item, none[i][0], none[i][1]);
        made_nest(&f, 0x00409096, &item);
        s = frame_of(&f);
        CU_ASSERT_STRING_EQUAL(s.unit, "1");
        CU_ASSERT_EQUAL(s.intercept, -1024);
    }
}

// How the one frame of f, which it takes over, is shown.
static struct voi voi_of(struct made_file *f)
{
    struct voi out = {0};
    made_pixels(f, PIXELS, 0);
    struct object *o = open_made(f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_TRUE(object_voi(o, 0, &out, &err));
    object_close(o);
    made_finish(f);
    return out;
}

static void windows_are_read(void)
{
    static const struct {
        const char *centre, *width, *function; // NULL: absent
        enum voi_kind kind;
        double wanted[2];
        const char *unusable;
    } table[] = {
        {"40", "400", NULL, VOI_LINEAR, {40, 400}, ""},
        {"40", "400", "LINEAR", VOI_LINEAR, {40, 400}, ""},
        {"40", "400", "WHATEVER", VOI_LINEAR, {40, 400}, ""},
        {"40.5", "0.5", "LINEAR_EXACT", VOI_LINEAR_EXACT, {40.5, 0.5}, ""},
        {"40", "400", "SIGMOID", VOI_SIGMOID, {40, 400}, ""},
        {"-600\\40", "1500\\400", NULL, VOI_LINEAR, {-600, 1500}, ""},
        {"-600\\40", "0\\400", NULL, VOI_LINEAR, {40, 400}, "Window Width 0"},
        {"40", "0", NULL, VOI_NONE, {0, 0}, "Window Width 0"},
        {"40", "0.5", NULL, VOI_NONE, {0, 0}, "Window Width 0.5"},
        {"40", "-400", "LINEAR_EXACT", VOI_NONE, {0, 0}, "Window Width -400"},
        {"40", NULL, NULL, VOI_NONE, {0, 0}, "Window Width "},
        {NULL, "400", NULL, VOI_NONE, {0, 0}, ""},
        {NULL, NULL, NULL, VOI_NONE, {0, 0}, ""},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct made_file f;
        image(&f, EXPLICIT);
        made_drop(&f, 0x00281050);
        made_drop(&f, 0x00281051);
        if (table[i].centre)
            made_set(&f, 0x00281050, "DS", table[i].centre);
        if (table[i].width)
            made_set(&f, 0x00281051, "DS", table[i].width);
        if (table[i].function)
            made_set(&f, 0x00281056, "CS", table[i].function);
        struct voi v = voi_of(&f);
        CU_ASSERT_EQUAL(v.kind, table[i].kind);
        CU_ASSERT_EQUAL(v.centre, table[i].wanted[0]);
        CU_ASSERT_EQUAL(v.width, table[i].wanted[1]);
        CU_ASSERT(v.scale == 1 && v.offset == 0);
        CU_ASSERT_STRING_EQUAL(v.unusable, table[i].unusable);
        voi_finish(&v);
    }
}

static void voi_tables_are_read(void)
{
    static const uint16_t data[] = {0, 2000, 4095};
    static const struct {
        uint16_t descriptor[3];
        size_t entries;
        const char *window;
        enum voi_kind kind;
        int32_t first;
        const char *unusable;
    } table[] = {
        {{3, 100, 12}, 3, NULL, VOI_TABLE, 100, ""},
        {{3, 64512, 12}, 3, NULL, VOI_TABLE, -1024, ""}, // Hounsfield units may be negative
        {{3, 100, 12}, 3, "400", VOI_LINEAR, 0, ""},     // the window comes first
        {{3, 100, 12}, 3, "0", VOI_TABLE, 100, "Window Width 0"},
        {{4, 100, 12}, 3, NULL, VOI_NONE, 0, "VOI LUT: LUTData has 3 of 4 entries"},
        {{3, 100, 17}, 3, NULL, VOI_NONE, 0, "VOI LUT: LUTDescriptor makes no sense"},
        {{3, 100, 12}, 0, NULL, VOI_NONE, 0, "VOI LUT: LUTData is missing"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct made_file f, item = {.syntax = EXPLICIT};
        image(&f, EXPLICIT);
        made_drop(&f, 0x00281050);
        made_drop(&f, 0x00281051);
        made_set_bytes(&item, 0x00283002, "US", table[i].descriptor, sizeof table[i].descriptor);
        if (table[i].entries)
            made_set_bytes(&item, 0x00283006, "US", data, table[i].entries * sizeof *data);
        made_nest(&f, 0x00283010, &item);
        if (table[i].window) {
            made_set(&f, 0x00281050, "DS", "40");
            made_set(&f, 0x00281051, "DS", table[i].window);
        }
        struct voi v = voi_of(&f);
        CU_ASSERT_EQUAL(v.kind, table[i].kind);
        CU_ASSERT_STRING_EQUAL(v.unusable, table[i].unusable);
        if (v.kind == VOI_TABLE) {
            CU_ASSERT(v.count == 3 && v.bits == 12 && v.first == table[i].first);
            CU_ASSERT(v.table && memcmp(v.table, data, sizeof data) == 0);
            CU_ASSERT_DOUBLE_EQUAL(voi_grey(&v, v.first + 1.0), 2000 / 4095.0, 1e-12);
        }
        voi_finish(&v);
    }
}

static void windows_are_of_what_the_rescale_gives(void)
{
    struct made_file f, item;
    of_class(&f, MR, "MR"); // real world values 0.5 * stored + 3; rescale stored - 1024
    real_world(&item, "um2/s", "UCUM");
    made_nest(&f, 0x00409096, &item);
    made_set(&f, 0x00281050, "DS", "-24");
    made_set(&f, 0x00281051, "DS", "100");
    made_set(&f, 0x00281056, "CS", "LINEAR_EXACT");
    struct voi v = voi_of(&f);
    CU_ASSERT_EQUAL(v.scale, 2);
    CU_ASSERT_DOUBLE_EQUAL(voi_grey(&v, 0.5 * 1000 + 3), 0.5, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(voi_grey(&v, 0.5 * 1025 + 3), 0.75, 1e-12);
    voi_finish(&v);
    of_class(&f, PET, "PT");
    made_set(&f, 0x00541001, "CS", "BQML");
    made_set(&f, 0x00281053, "DS", "2.5");
    made_set(&f, 0x00281050, "DS", "1000");
    made_set(&f, 0x00281051, "DS", "2000");
    v = voi_of(&f);
    CU_ASSERT(v.kind == VOI_LINEAR && v.scale == 1);
    CU_ASSERT_DOUBLE_EQUAL(v.offset, 0, 1e-9);
    voi_finish(&v);
}

static void times_count_from_what_is_known_best(void)
{
    struct made_file f;
    struct image_frame s;
    of_class(&f, MR, "MR");
    made_set(&f, 0x00080033, "TM", "0102");
    s = frame_of(&f);
    CU_ASSERT_EQUAL(s.time_s, 3720);
    of_class(&f, MR, "MR");
    made_set(&f, 0x00080033, "TM", "0102");
    made_set(&f, 0x00080032, "TM", "23:59:58.25");
    s = frame_of(&f);
    CU_ASSERT_DOUBLE_EQUAL(s.time_s, 86398.25, 1e-9);
    of_class(&f, MR, "MR");
    made_set(&f, 0x00080032, "TM", "000001.5");
    made_set(&f, 0x00080022, "DA", "20260301");
    double after = frame_of(&f).time_s;
    of_class(&f, MR, "MR");
    made_set(&f, 0x00080032, "TM", "235959.5");
    made_set(&f, 0x00080022, "DA", "20260228");
    double before = frame_of(&f).time_s;
    CU_ASSERT_DOUBLE_EQUAL(after - before, 2, 1e-6);   // over midnight, and a month's end
    CU_ASSERT_DOUBLE_EQUAL(after, 1772323201.5, 1e-6); // date -u -d "2026-03-01 00:00:01" +%s
    of_class(&f, MR, "MR");
    made_set(&f, 0x00080032, "TM", "100000");
    made_set(&f, 0x0008002a, "DT", "20240229235959.5+0100");
    CU_ASSERT_DOUBLE_EQUAL(frame_of(&f).time_s, 1709251199.5, 1e-6);
    static const char *const wrong[] = {"", "25", "0160", "x", "-1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        of_class(&f, MR, "MR");
        made_set(&f, 0x00080032, "TM", wrong[i]);
        CU_ASSERT_TRUE(isnan(frame_of(&f).time_s));
    }
}

// Time of the last of three frames of an ultrasound cine.
static double cine(uint32_t tag, const char *vr, const char *value)
{
    struct made_file f;
    struct image_frame s = {0};
    without_place(&f, ULTRASOUND, "US");
    made_set(&f, FRAMES, "IS", "3");
    made_set(&f, tag, vr, value);
    made_pixels(&f, 3 * PIXELS, 0);
    struct object *o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_TRUE(object_frame(o, 2, &s, &err));
    object_close(o);
    made_finish(&f);
    return s.time_s;
}

static void frames_of_a_cine_have_times(void)
{
    CU_ASSERT_DOUBLE_EQUAL(cine(0x00181063, "DS", "40"), 0.08, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(cine(0x00181065, "DS", "0\\40\\50"), 0.09, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(cine(0x00180040, "IS", "20"), 0.1, 1e-12);
    CU_ASSERT_TRUE(isnan(cine(0x00181065, "DS", "0\\40"))); // not enough
    CU_ASSERT_TRUE(isnan(cine(0x00181065, "DS", "0\\x\\3")));
    CU_ASSERT_TRUE(isnan(cine(0x00181063, "DS", "0")));
}

static void axes_are_read(void)
{
    struct made_file f;
    of_class(&f, MR, "MR");
    made_set(&f, 0x00180081, "DS", "4.6");
    made_set(&f, 0x00181060, "DS", "125.5");
    made_set(&f, 0x00200100, "IS", "12");
    made_set(&f, 0x00189087, "FD", "800");
    made_set(&f, 0x00200013, "IS", "-3");
    struct image_frame s = frame_of(&f);
    CU_ASSERT_EQUAL(s.echo_ms, 4.6);
    CU_ASSERT_EQUAL(s.trigger_ms, 125.5);
    CU_ASSERT_EQUAL(s.temporal, 12);
    CU_ASSERT_EQUAL(s.b_value, 800);
    CU_ASSERT_EQUAL(s.instance_number, -1);
}

// Numbers are read where there is one way to read them; else they are absent, never another number.
static void numbers_are_read_or_absent(void)
{
    static const struct {
        const char *value;
        double echo_ms; // NAN: absent
        int32_t instance_number;
    } table[] = {
        {"12", 12, 12},    {" 12 ", 12, 12},     {"+12", 12, 12},    {"12.0", 12, 12},
        {"1.2e1", 12, 12}, {"12.5", 12.5, -1},   {"", NAN, -1},      {"  ", NAN, -1},
        {"12,5", NAN, -1}, {"1.200,5", NAN, -1}, {"12 ms", NAN, -1}, {"12x", NAN, -1},
        {"+-12", NAN, -1}, {"0x12", NAN, -1},    {"inf", NAN, -1},   {"1 2", NAN, -1},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct made_file f;
        of_class(&f, MR, "MR");
        made_set(&f, 0x00180081, "DS", table[i].value);
        made_set(&f, 0x00200013, "IS", table[i].value);
        struct image_frame s = frame_of(&f);
        CU_ASSERT_TRUE(isnan(table[i].echo_ms) ? isnan(s.echo_ms) : s.echo_ms == table[i].echo_ms);
        CU_ASSERT_EQUAL(s.instance_number, table[i].instance_number);
    }
}

// UIDs are taken as they stand there, without their padding, whichever it is.
static void uids_are_taken_without_padding(void)
{
    static const struct {
        const char value[16];
        size_t size;
        const char *uid;
    } table[] = {
        {"1.2.3.44", 8, "1.2.3.44"},      {"1.2.3.4\0", 8, "1.2.3.4"},   {"1.2.3.4 ", 8, "1.2.3.4"},
        {"1.2.3.4 \0\0", 10, "1.2.3.4"},  {"1.2.3.4\0 ", 9, "1.2.3.4"},  {" 1.2.3.4", 8, "1.2.3.4"},
        {"1.02.003.4", 10, "1.02.003.4"}, {"1.2.3.4   ", 10, "1.2.3.4"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct made_file f;
        image(&f, EXPLICIT);
        for (size_t n = 0; n < 3; n++) {
            static const uint32_t tags[] = {0x00080018, 0x0020000d, 0x0020000e};
            made_set_bytes(&f, tags[n], "UI", table[i].value, (table[i].size + 1) & ~(size_t)1);
        }
        struct object *o = open_made(&f);
        CU_ASSERT_PTR_NOT_NULL_FATAL(o);
        CU_ASSERT_TRUE(object_identified(o, &err));
        CU_ASSERT_STRING_EQUAL(object_ids(o)->id.sop_instance_uid, table[i].uid);
        CU_ASSERT_STRING_EQUAL(object_ids(o)->id.series_instance_uid, table[i].uid);
        CU_ASSERT_STRING_EQUAL(object_ids(o)->id.study_instance_uid, table[i].uid);
        object_close(o);
        made_finish(&f);
    }
}

// Times in the forms of the standard and of before 1993; what is none is absent, and a date that is
// none leaves the time of the day.
static void times_are_read_or_absent(void)
{
    static const struct {
        const char *date, *time;
        double time_s; // NAN: absent
    } table[] = {
        {"20120102", "101112", 1325499072},
        {"2012.01.02", "10:11:12", 1325499072},
        {"2012-01-02", "1011", 1325499060},
        {"20120000", "101112", 36672},
        {"", "101112", 36672},
        {"20120102", "", NAN},
        {"20120102", "99:00", NAN},
        {"unknown", "101112.5", 36672.5},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct made_file f;
        of_class(&f, MR, "MR");
        made_set(&f, 0x00080022, "DA", table[i].date);
        made_set(&f, 0x00080032, "TM", table[i].time);
        struct image_frame s = frame_of(&f);
        CU_ASSERT_TRUE(isnan(table[i].time_s) ? isnan(s.time_s) : s.time_s == table[i].time_s);
    }
}

static double private_b(const char *syntax, uint32_t block, const char *creator, uint32_t tag,
                        const char *vr, const char *value)
{
    struct made_file f;
    image(&f, syntax);
    made_set(&f, 0x00080016, "UI", MR);
    made_set(&f, block, "LO", creator);
    made_set(&f, tag, vr, value);
    return frame_of(&f).b_value;
}

static void private_b_values_are_read(void)
{
    static const char *const syntaxes[] = {EXPLICIT, IMPLICIT};
    for (size_t i = 0; i < 2; i++) {
        const char *s = syntaxes[i];
        CU_ASSERT_EQUAL(private_b(s, 0x00190010, "SIEMENS MR HEADER", 0x0019100c, "IS", "1000"),
                        1000);
        CU_ASSERT_EQUAL( // the block is where its creator reserved it
            private_b(s, 0x00190011, "SIEMENS MR HEADER", 0x0019110c, "IS", "50"), 50);
        CU_ASSERT_EQUAL(
            private_b(s, 0x00430010, "GEMS_PARM_01", 0x00431039, "IS", "1000000700\\8\\0\\0"), 700);
        CU_ASSERT_EQUAL(private_b(s, 0x20010010, "Philips Imaging DD 001", 0x20011003, "FL", "600"),
                        600);
        CU_ASSERT_TRUE(isnan(private_b(s, 0x00190010, "OTHER", 0x0019100c, "IS", "1000")));
        CU_ASSERT_TRUE(
            isnan(private_b(s, 0x00190010, "SIEMENS MR HEADER", 0x0019100c, "IS", "many")));
    }
}

static void put_in_macro(struct made_file *groups, uint32_t macro, uint32_t tag, const char *vr,
                         const char *value)
{
    struct made_file item = {.syntax = groups->syntax};
    made_set(&item, tag, vr, value);
    made_nest(groups, macro, &item);
}

// An enhanced CT of count frames, 3 mm apart, without pixels. Groups of frames above given are
// left out.
static void enhanced(struct made_file *f, const char *syntax, int count, int given)
{
    static const uint32_t drop[] = {0x00180050, 0x00180060, 0x00200032, 0x00200037, 0x00280030,
                                    0x00281050, 0x00281051, 0x00281052, 0x00281053};
    struct made_file shared = {.syntax = syntax}, item = {.syntax = syntax};
    char text[64];
    image(f, syntax);
    made_set(f, 0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.2.1");
    for (size_t i = 0; i < sizeof drop / sizeof *drop; i++)
        made_drop(f, drop[i]);
    snprintf(text, sizeof text, "%d", count);
    made_set(f, FRAMES, "IS", text);
    put_in_macro(&shared, 0x00209116, 0x00200037, "DS", "1\\0\\0\\0\\1\\0");
    put_in_macro(&shared, 0x00189325, 0x00180060, "DS", "100");
    put_in_macro(&shared, 0x00189314, 0x00181210, "SH", "Qr40");
    made_set(&item, 0x00281052, "DS", "-1000");
    made_set(&item, 0x00281053, "DS", "2");
    made_set(&item, 0x00281054, "LO", "HU");
    made_nest(&shared, 0x00289145, &item);
    item = (struct made_file){.syntax = syntax};
    made_set(&item, 0x00180050, "DS", "2.5");
    made_set(&item, 0x00280030, "DS", "0.5\\0.25");
    made_nest(&shared, 0x00289110, &item);
    made_nest(f, 0x52009229, &shared);
    for (int i = 0; i < given; i++) {
        struct made_file own = {.syntax = syntax}, content = {.syntax = syntax};
        snprintf(text, sizeof text, "1\\2\\%d", 3 * i);
        put_in_macro(&own, 0x00209113, 0x00200032, "DS", text);
        snprintf(text, sizeof text, "2026013110000%d.5", i);
        made_set(&content, 0x00189074, "DT", text);
        made_set(&content, 0x00209056, "SH", "2");
        snprintf(text, sizeof text, "%d", i + 1);
        made_set(&content, 0x00209128, "UL", text);
        made_nest(&own, 0x00209111, &content);
        put_in_macro(&own, 0x00189118, 0x00209153, "FD", i == 1 ? "350" : "300");
        if (i == 1)
            put_in_macro(&own, 0x00189325, 0x00180060, "DS", "120");
        made_nest(f, 0x52009230, &own);
    }
}

static void enhanced_frames_have_their_groups(void)
{
    static const char *const syntaxes[] = {EXPLICIT, IMPLICIT, BIG};
    for (size_t i = 0; i < 3; i++) {
        struct made_file f;
        struct image_frame s[3];
        enhanced(&f, syntaxes[i], 3, 3);
        made_pixels(&f, 3 * PIXELS, 0);
        struct object *o = open_made(&f);
        CU_ASSERT_PTR_NOT_NULL_FATAL(o);
        for (uint32_t k = 0; k < 3; k++) {
            CU_ASSERT_TRUE_FATAL(object_frame(o, k, &s[k], &err));
            CU_ASSERT_EQUAL(s[k].number, k + 1);
            CU_ASSERT_TRUE(s[k].placed);
            CU_ASSERT_EQUAL(s[k].position[1], 2);
            CU_ASSERT_EQUAL(s[k].position[2], 3 * k);
            CU_ASSERT_EQUAL(s[k].orientation[4], 1);
            CU_ASSERT_EQUAL(s[k].pixel_mm[0], 0.25);
            CU_ASSERT_EQUAL(s[k].slope, 2);
            CU_ASSERT_EQUAL(s[k].intercept, -1000);
            CU_ASSERT_STRING_EQUAL(s[k].unit, "[hnsf'U]");
            CU_ASSERT_EQUAL(s[k].temporal, (int32_t)k + 1);
            CU_ASSERT_EQUAL(s[k].stack, 2);
        }
        CU_ASSERT_DOUBLE_EQUAL(s[2].time_s - s[0].time_s, 2, 1e-6);
        CU_ASSERT_EQUAL(s[0].trigger_ms, 300);
        CU_ASSERT_EQUAL(s[1].trigger_ms, 350);
        object_close(o);
        made_finish(&f);
    }
}

static void frames_of_an_enhanced_mr_say_what_they_are(void)
{
    struct made_file f, own = {.syntax = EXPLICIT}, type = {.syntax = EXPLICIT};
    without_place(&f, "1.2.840.10008.5.1.4.1.1.4.1", "MR");
    made_set(&f, FRAMES, "IS", "1");
    put_in_macro(&own, 0x00209113, 0x00200032, "DS", "1\\2\\3");
    put_in_macro(&own, 0x00209116, 0x00200037, "DS", "1\\0\\0\\0\\1\\0");
    put_in_macro(&own, 0x00289110, 0x00280030, "DS", "2\\2");
    made_set(&type, 0x00089007, "CS", "ORIGINAL\\PRIMARY\\T1\\NONE");
    made_set(&type, 0x00089208, "CS", "PHASE");
    made_nest(&own, 0x00189226, &type);
    made_nest(&f, 0x52009230, &own);
    CU_ASSERT_STRING_EQUAL(frame_of(&f).kind, "ORIGINAL\\PRIMARY\\T1\\NONE PHASE");
}

static void enhanced_mr_groups_tell_echo_and_b_value(void)
{
    struct made_file f, own = {.syntax = EXPLICIT};
    without_place(&f, "1.2.840.10008.5.1.4.1.1.4.1", "MR");
    made_set(&f, FRAMES, "IS", "1");
    put_in_macro(&own, 0x00209113, 0x00200032, "DS", "1\\2\\3");
    put_in_macro(&own, 0x00209116, 0x00200037, "DS", "1\\0\\0\\0\\1\\0");
    put_in_macro(&own, 0x00289110, 0x00280030, "DS", "0.5\\0.25");
    put_in_macro(&own, 0x00189114, 0x00189082, "FD", "9.2");
    put_in_macro(&own, 0x00189117, 0x00189087, "FD", "400");
    put_in_macro(&own, 0x00209310, 0x0020930d, "FD", "1.75");
    put_in_macro(&own, 0x00189226, 0x00089007, "CS", "ORIGINAL\\PRIMARY\\LOCALIZER\\NONE");
    made_nest(&f, 0x52009230, &own);
    struct image_frame s = frame_of(&f);
    CU_ASSERT_EQUAL(s.echo_ms, 9.2);
    CU_ASSERT_EQUAL(s.b_value, 400);
    CU_ASSERT_EQUAL(s.time_s, 1.75);
    CU_ASSERT_TRUE(s.placed && s.localizer);
    CU_ASSERT_EQUAL(s.slope, 1);
}

static void empty_groups_make_no_enhanced_object(void)
{
    struct made_file f, nothing = {.syntax = EXPLICIT};
    struct image_frame frame;
    image(&f, EXPLICIT);
    made_nest(&f, 0x52009230, &nothing);
    made_pixels(&f, PIXELS, 0);
    struct object *o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_TRUE(object_frame(o, 0, &frame, &err));
    CU_ASSERT_TRUE(frame.placed);
    CU_ASSERT_EQUAL(frame.position[2], 12); // as image() makes it
    object_close(o);
    made_finish(&f);
}

static void enhanced_frames_without_groups_are_refused(void)
{
    struct made_file f;
    enhanced(&f, EXPLICIT, 3, 2);
    made_pixels(&f, 3 * PIXELS, 0);
    frame_refused(&f, 2, ERR_INPUT, "PerFrameFunctionalGroupsSequence has 2 items for 3 frames");
    enhanced(&f, EXPLICIT, 2, 2);
    made_set(&f, 0x00080016, "UI", CAPTURE); // whatever it is
    made_set(&f, FRAMES, "IS", "3");
    made_pixels(&f, 3 * PIXELS, 0);
    frame_refused(&f, 2, ERR_INPUT, "PerFrameFunctionalGroupsSequence has 2 items for 3 frames");
}

static void frames_have_their_own_windows(void)
{
    struct made_file f, own[3];
    struct voi v;
    enhanced(&f, EXPLICIT, 3, 0);
    for (int i = 0; i < 3; i++) { // the last one has none
        own[i] = (struct made_file){.syntax = EXPLICIT};
        put_in_macro(&own[i], 0x00209113, 0x00200032, "DS", i == 0 ? "0\\0\\0" : "0\\0\\3");
        if (i < 2) {
            struct made_file macro = {.syntax = EXPLICIT};
            made_set(&macro, 0x00281050, "DS", i == 0 ? "50" : "-600");
            made_set(&macro, 0x00281051, "DS", "350");
            made_nest(&own[i], 0x00289132, &macro);
        }
        made_nest(&f, 0x52009230, &own[i]);
    }
    made_pixels(&f, 3 * PIXELS, 0);
    struct object *o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    static const double centres[] = {50, -600, 0};
    for (uint32_t i = 0; i < 3; i++) {
        CU_ASSERT_TRUE(object_voi(o, i, &v, &err));
        CU_ASSERT_EQUAL(v.kind, i < 2 ? VOI_LINEAR : VOI_NONE);
        CU_ASSERT_EQUAL(v.centre, centres[i]);
    }
    CU_ASSERT_FALSE(object_voi(o, 3, &v, &err));
    said(ERR_INPUT, "no frame 4 of 3");
    object_close(o);
    made_finish(&f);
    without_place(&f, CAPTURE, "OT"); // colours have no window
    made_set(&f, 0x00280002, "US", "3");
    made_set(&f, PHOTOMETRIC, "CS", "RGB");
    made_set(&f, ALLOCATED, "US", "8");
    made_set(&f, STORED, "US", "8");
    made_set(&f, HIGH_BIT, "US", "7");
    made_set(&f, 0x00280006, "US", "0");
    made_pixels(&f, 3 * PIXELS, 0);
    o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_FALSE(object_voi(o, 0, &v, &err));
    said(ERR_INPUT, "no grey values");
    object_close(o);
    made_finish(&f);
}

static void groups_give_attributes(void)
{
    struct made_file f, agent = {.syntax = EXPLICIT};
    struct attrs base = {0}, own = {0}, last = {0};
    double value = 0;
    enhanced(&f, EXPLICIT, 2, 2);
    made_set(&f, 0x00189037, "CS", "PROSPECTIVE");
    made_set(&agent, 0x00080104, "LO", "Iohexol");
    made_nest(&f, 0x00180012, &agent);
    made_pixels(&f, 2 * PIXELS, 0);
    struct object *o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_TRUE(object_attrs(o, &base, &err));
    CU_ASSERT_TRUE(object_frame_attrs(o, 0, &own, &err));
    CU_ASSERT_TRUE(object_frame_attrs(o, 1, &last, &err));
    own.base = last.base = &base;
    CU_ASSERT_PTR_NULL(attrs_get(&base, "KVP"));
    CU_ASSERT_TRUE(attrs_number(&own, "KVP", &value));
    CU_ASSERT_EQUAL(value, 100);
    CU_ASSERT_STRING_EQUAL(attrs_get(&last, "KVP"), "120"); // its own comes before the shared one
    CU_ASSERT_STRING_EQUAL(attrs_get(&own, "ConvolutionKernel"), "Qr40");
    CU_ASSERT_STRING_EQUAL(attrs_get(&own, "SliceThickness"), "2.5");
    CU_ASSERT_STRING_EQUAL(attrs_get(&own, "ImagePositionPatient"), "1\\2\\0");
    CU_ASSERT_STRING_EQUAL(attrs_get(&last, "ImagePositionPatient"), "1\\2\\3");
    CU_ASSERT_STRING_EQUAL(attrs_get(&own, "CardiacSynchronizationTechnique"), "PROSPECTIVE");
    CU_ASSERT_STRING_EQUAL(attrs_get(&own, "Manufacturer"), "Maker");
    CU_ASSERT_STRING_EQUAL(attrs_get(&own, "ContrastBolusAgent"), "Iohexol");
    attrs_finish(&own);
    attrs_finish(&last);
    attrs_finish(&base);
    object_close(o);
    made_finish(&f);
    image(&f, EXPLICIT);
    o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_TRUE(object_frame_attrs(o, 0, &own, &err));
    CU_ASSERT_EQUAL(own.size, 0); // classic ones have none
    object_close(o);
    made_finish(&f);
}

static void agents_that_were_not_given_are_none(void)
{
    struct made_file f, agent = {.syntax = EXPLICIT}, shared = {.syntax = EXPLICIT};
    struct attrs own = {0};
    enhanced(&f, EXPLICIT, 1, 1);
    made_drop(&f, 0x52009229);
    put_in_macro(&shared, 0x00189341, 0x00189342, "CS", "NO");
    made_nest(&f, 0x52009229, &shared);
    made_set(&agent, 0x00080104, "LO", "Iohexol");
    made_nest(&f, 0x00180012, &agent);
    struct object *o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_TRUE(object_frame_attrs(o, 0, &own, &err));
    CU_ASSERT_PTR_NULL(attrs_get(&own, "ContrastBolusAgent"));
    attrs_finish(&own);
    object_close(o);
    made_finish(&f);
}

static void float_image(struct made_file *f, const char *syntax, bool twice, uint32_t frames)
{
    struct made_file value = {.syntax = syntax};
    uint8_t raw[3 * PIXELS * 8];
    size_t size = 0;
    char text[32];
    image(f, syntax);
    made_set(f, 0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.30");
    snprintf(text, sizeof text, "%u", frames);
    made_set(f, FRAMES, "IS", text);
    made_set(f, ALLOCATED, "US", twice ? "64" : "32");
    made_drop(f, STORED);
    made_drop(f, HIGH_BIT);
    made_drop(f, SIGNED);
    for (uint32_t i = 0; i < frames * PIXELS; i++) {
        snprintf(text, sizeof text, "%.17g", i == 5 ? NAN : 0.25 * i - 3);
        made_set(&value, 0x00080001, twice ? "FD" : "FL", text);
        memcpy(raw + size, value.attrs[0].value, value.attrs[0].size);
        size += value.attrs[0].size;
    }
    made_finish(&value);
    made_set_bytes(f, twice ? 0x7fe00009 : 0x7fe00008, twice ? "OD" : "OF", raw, size);
}

static void decodes_floats(void)
{
    static const char *const syntaxes[] = {EXPLICIT, IMPLICIT, BIG};
    for (size_t i = 0; i < 6; i++) {
        struct made_file f;
        struct image_frame s;
        float values[PIXELS];
        int32_t whole[PIXELS];
        float_image(&f, syntaxes[i / 2], i % 2, 2);
        struct object *o = open_made(&f);
        CU_ASSERT_PTR_NOT_NULL_FATAL(o);
        CU_ASSERT_TRUE(object_decode_float(o, 0, values, &err));
        CU_ASSERT_EQUAL(values[0], -3);
        CU_ASSERT_TRUE(isnan(values[5]));
        CU_ASSERT_TRUE(object_decode_float(o, 1, values, &err));
        CU_ASSERT_EQUAL(values[PIXELS - 1], 0.25f * (2 * PIXELS - 1) - 3);
        CU_ASSERT_FALSE(object_decode_float(o, 2, values, &err));
        said(ERR_INPUT, "no frame 3 of 2");
        CU_ASSERT_FALSE(object_decode(o, 0, whole, &err));
        said(ERR_UNSUPPORTED, "floating point pixels");
        object_close(o);
        made_set(&f, FRAMES, "IS", "1");
        made_finish(&f);
        float_image(&f, syntaxes[i / 2], i % 2, 1);
        o = open_made(&f);
        CU_ASSERT_PTR_NOT_NULL_FATAL(o);
        CU_ASSERT_TRUE(object_frame(o, 0, &s, &err));
        CU_ASSERT_TRUE(s.is_float && s.is_signed);
        CU_ASSERT_EQUAL(s.bits_stored, 32);
        object_close(o);
        made_finish(&f);
    }
}

static void refuses_floats_that_make_no_sense(void)
{
    struct made_file f;
    float values[PIXELS];
    image(&f, EXPLICIT);
    made_pixels(&f, PIXELS, 0);
    struct object *o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_FALSE(object_decode_float(o, 0, values, &err));
    said(ERR_UNSUPPORTED, "integer pixels");
    object_close(o);
    made_finish(&f);
    float_image(&f, EXPLICIT, false, 1);
    made_set(&f, ALLOCATED, "US", "64");
    frame_refused(&f, 0, ERR_INPUT, "BitsAllocated 64 of floating point");
    float_image(&f, EXPLICIT, false, 1);
    made_set(&f, FRAMES, "IS", "2");
    o = open_made(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_FALSE(object_decode_float(o, 0, values, &err));
    said(ERR_INPUT, "192 bytes of pixel data, but 384 by the data set");
    object_close(o);
    made_finish(&f);
    float_image(&f, EXPLICIT, false, 1);
    f.attrs[f.count - 1].undefined = true;
    open_refused(made_write(&f, "fragments"), ERR_INPUT, "undefined length");
    made_finish(&f);
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

static void bits_below_the_stored_ones_hold_overlays_or_nothing(void)
{
    static const struct {
        int low; // bits of a pixel
        bool overlay;
        const char *text; // NULL: decoded
    } table[] = {
        {0, false, NULL},
        {0, true, NULL},
        {1, false, "HighBit 15 makes no sense with BitsStored 12: the 4 bits below are used"},
        {1, true, NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct made_file f;
        int32_t values[PIXELS];
        image(&f, EXPLICIT);
        made_set(&f, HIGH_BIT, "US", "15");
        made_pixels(&f, PIXELS, 5);
        for (size_t n = 0; n < f.count; n++) {
            if (f.attrs[n].tag == 0x7fe00010)
                f.attrs[n].value[6] |= (uint8_t)table[i].low;
        }
        if (table[i].overlay)
            made_set(&f, 0x60020102, "US", "0");
        struct object *o = open_made(&f);
        CU_ASSERT_PTR_NOT_NULL_FATAL(o);
        err = (struct err){0};
        CU_ASSERT_EQUAL(object_decode(o, 0, values, &err), !table[i].text);
        CU_ASSERT_TRUE(table[i].text ? strstr(err.text, table[i].text) != NULL : values[3] == 8);
        object_close(o);
        made_finish(&f);
    }
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
    decode_refused(&f, 0, ERR_INPUT, "RLE segment 2 of 2 does not fill the frame");
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
    decode_refused(&f, 0, ERR_INPUT, "RLE segment 1 of 2 does not fill");
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
    decode_refused(&f, 0, ERR_INPUT, "no fragments in a transfer syntax that has them");
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
    CU_ASSERT_EQUAL(count, 17);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"object_open_reads_identity", reads_identity},
        {"object_ids_unusable_uids_are_empty", unusable_uids_are_empty},
        {"object_is_own_knows_contributing_equipment", knows_its_own_by_contributing_equipment},
        {"object_attrs_are_text", attributes_are_text},
        {"object_voi_windows_are_read", windows_are_read},
        {"object_voi_tables_are_read", voi_tables_are_read},
        {"object_voi_windows_are_of_what_the_rescale_gives", windows_are_of_what_the_rescale_gives},
        {"object_voi_frames_have_their_own_windows", frames_have_their_own_windows},
        {"object_attrs_text_becomes_utf8", text_becomes_utf8},
        {"object_attrs_text_of_every_set_becomes_utf8", text_of_every_set_becomes_utf8},
        {"object_attrs_long_lists_keep_what_is_short", long_lists_keep_what_is_short},
        {"object_peek_takes_any_beginning", peeks_into_any_beginning},
        {"object_keyword_known_and_near", keywords_are_those_of_the_standard},
        {"object_open_refuses_what_is_no_dicom", refuses_what_is_no_dicom},
        {"object_open_refuses_truncated_files", refuses_truncated_files},
        {"object_open_refuses_deep_nesting", refuses_deep_nesting},
        {"object_open_refuses_malformed_elements", refuses_malformed_elements},
        {"object_open_private_values_that_look_like_sequences_do_no_harm",
         private_values_that_look_like_sequences_do_no_harm},
        {"object_frame_describes_the_plane", describes_the_plane},
        {"object_frame_names_what_is_missing_or_wrong", frame_names_what_is_missing_or_wrong},
        {"rescale_that_is_absent_or_empty_is_one_and_zero",
         rescale_that_is_absent_or_empty_is_one_and_zero},
        {"rescale_type_is_the_unit_of_ct", rescale_type_is_the_unit_of_ct},
        {"how_an_image_was_derived_has_keys_of_its_place",
         how_an_image_was_derived_has_keys_of_its_place},
        {"the_private_phase_of_the_heart_is_read", the_private_phase_of_the_heart_is_read},
        {"object_frame_needs_no_rescale_but_for_ct", no_rescale_is_fine_for_other_modalities},
        {"object_frame_makes_frames_of_an_mr_with_times_a_cine",
         frames_of_an_mr_with_times_are_a_cine},
        {"object_frame_puts_planes_of_a_dose_at_their_offsets",
         planes_of_a_dose_lie_at_their_offsets},
        {"object_frame_reads_what_vendors_say_of_values", vendors_say_what_values_are},
        {"object_frame_reads_numbers_or_none", numbers_are_read_or_absent},
        {"object_frame_reads_times_or_none", times_are_read_or_absent},
        {"object_ids_are_without_padding", uids_are_taken_without_padding},
        {"object_frame_tells_localizers", tells_localizers},
        {"object_frame_projections_and_captures_have_no_place",
         projections_and_captures_have_no_place},
        {"object_frame_colour_is_described_and_not_decoded", colour_is_described_and_not_decoded},
        {"object_frame_units_are_what_the_modality_says", units_are_what_the_modality_says},
        {"object_frame_times_count_from_what_is_known_best", times_count_from_what_is_known_best},
        {"object_frame_frames_of_a_cine_have_times", frames_of_a_cine_have_times},
        {"object_frame_axes_are_read", axes_are_read},
        {"object_frame_private_b_values_are_read", private_b_values_are_read},
        {"object_frame_enhanced_frames_have_their_groups", enhanced_frames_have_their_groups},
        {"object_frame_enhanced_mr_groups_tell_echo_and_b_value",
         enhanced_mr_groups_tell_echo_and_b_value},
        {"object_frame_reads_the_kind_of_an_enhanced_frame",
         frames_of_an_enhanced_mr_say_what_they_are},
        {"object_frame_empty_groups_make_no_enhanced_object", empty_groups_make_no_enhanced_object},
        {"object_frame_enhanced_frames_without_groups_are_refused",
         enhanced_frames_without_groups_are_refused},
        {"object_frame_attrs_groups_give_attributes", groups_give_attributes},
        {"object_frame_attrs_agents_that_were_not_given_are_none",
         agents_that_were_not_given_are_none},
        {"object_decode_float_gives_floats", decodes_floats},
        {"object_decode_float_refuses_what_makes_no_sense", refuses_floats_that_make_no_sense},
        {"object_decode_gives_stored_values", decodes_native_pixels},
        {"object_decode_masks_what_lies_above_the_stored_bits",
         masks_what_lies_above_the_stored_bits},
        {"object_decode_bits_below_the_stored_ones_hold_overlays_or_nothing",
         bits_below_the_stored_ones_hold_overlays_or_nothing},
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
        {"object_watch_paths_are_attributes", watched_paths_are_attributes},
    };
    if (!object_init(&err)) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    int status = check_main("object", cases, sizeof cases / sizeof *cases);
    object_quit();
    return status;
}
