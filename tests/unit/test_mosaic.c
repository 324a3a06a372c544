// Slices that are tiles of one picture, through dimse/read/object.h: see dimse/read/mosaic.hh.
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/arena.h"
#include "compute/image/image.h"
#include "dimse/read/object.h"
#include "tests/check.h"
#include "tests/made.h"

#define EXPLICIT   "1.2.840.10008.1.2.1"
#define IMPLICIT   "1.2.840.10008.1.2"
#define ROWS       0x00280010
#define COLUMNS    0x00280011
#define IMAGE_TYPE 0x00080008
#define COUNT      0x0019100a
#define CSA        0x00291010
#define SPACING    0x00180088
#define POSITION   0x00200032

static struct err err;

// ---- The vendor's header, as one makes it -------------------------------------------------------

struct csa {
    uint8_t bytes[4096];
    size_t size;
    bool newer;
    uint32_t first; // items of the first tag
};

static void csa_number(struct csa *c, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        c->bytes[c->size++] = (uint8_t)(value >> 8 * i);
}

static void csa_start(struct csa *c, bool newer, uint32_t tags)
{
    *c = (struct csa){.newer = newer};
    if (newer) {
        memcpy(c->bytes, "SV10\4\3\2\1", 8);
        c->size = 8;
    }
    csa_number(c, tags);
    csa_number(c, 77);
}

// values: separated by blanks; one more item is empty, as in real ones.
static void csa_tag(struct csa *c, const char *name, const char *values)
{
    uint32_t items = 1;
    for (const char *p = values; *p; p++)
        items += *p == ' ';
    items += *values != 0;
    memset(c->bytes + c->size, 0x55, 64); // what stands behind the end of the name means nothing
    memcpy(c->bytes + c->size, name, strlen(name) + 1);
    c->size += 64;
    csa_number(c, items - 1);
    memcpy(c->bytes + c->size, "FD\0\0", 4);
    c->size += 4;
    csa_number(c, 4);
    csa_number(c, items);
    csa_number(c, 77);
    c->first = c->first ? c->first : items;
    for (uint32_t i = 0; i < items; i++) {
        const uint32_t length = (uint32_t)strcspn(values, " ");
        csa_number(c, c->newer ? length : length + c->first);
        csa_number(c, length);
        csa_number(c, 77);
        csa_number(c, length);
        memcpy(c->bytes + c->size, values, length);
        c->size += (length + 3) / 4 * 4;
        values += values[length] ? length + 1 : length;
    }
}

#define CSA_BEFORE 100 // bytes of a tag before its first value

// One value, blanks and all.
static void csa_text(struct csa *c, const char *name, const char *value)
{
    char joined[2048];
    size_t i = 0;
    for (; value[i] && i + 1 < sizeof joined; i++)
        joined[i] = value[i] == ' ' ? '\1' : value[i];
    joined[i] = 0;
    const size_t start = c->size;
    csa_tag(c, name, joined);
    for (i = start + CSA_BEFORE; i < c->size; i++)
        c->bytes[i] = c->bytes[i] == '\1' ? ' ' : c->bytes[i];
}

static void csa_make(struct csa *c, bool newer, const char *count, const char *normal)
{
    csa_start(c, newer, 3);
    csa_tag(c, "EchoLinePosition", "12");
    csa_tag(c, "NumberOfImagesInMosaic", count);
    csa_tag(c, "SliceNormalVector", normal);
}

// ---- Mosaics ------------------------------------------------------------------------------------

// 3 slices of 4 x 3 pixels of 2 x 3 mm in 2 x 2 tiles, 5 mm apart; the picture has 8 x 6 pixels.
static void mosaic(struct made_file *f, const char *syntax, const char *uid, const struct csa *csa)
{
    made_ct(f, syntax, uid, 10);
    made_set(f, 0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.4");
    made_set(f, 0x00080060, "CS", "MR");
    made_set(f, IMAGE_TYPE, "CS", "ORIGINAL\\PRIMARY\\M\\ND\\MOSAIC");
    made_set(f, POSITION, "DS", "100\\200\\10");
    made_set(f, 0x00200037, "DS", "1\\0\\0\\0\\1\\0");
    made_set(f, 0x00280030, "DS", "3\\2"); // between rows, then columns
    made_set(f, SPACING, "DS", "5");
    made_set(f, 0x00190010, "LO", "SIEMENS MR HEADER");
    made_set(f, COUNT, "US", "3");
    made_set(f, 0x00290010, "LO", "SIEMENS CSA HEADER");
    if (csa)
        made_set_bytes(f, CSA, "OB", csa->bytes, csa->size);
    made_pixels(f, 48, 0);
}

static struct object *open_mosaic(const struct made_file *f, const char *name)
{
    err = (struct err){0};
    struct object *o = object_open(made_write(f, name), &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    return o;
}

static void check_tile(struct object *o, uint32_t k, double z)
{
    struct image_frame s;
    int32_t values[12];
    CU_ASSERT_TRUE(object_frame(o, k, &s, &err));
    CU_ASSERT_TRUE(s.placed && s.tiled && !s.of_many);
    CU_ASSERT_EQUAL(s.number, k + 1);
    CU_ASSERT_EQUAL(s.columns, 4);
    CU_ASSERT_EQUAL(s.rows, 3);
    CU_ASSERT_DOUBLE_EQUAL(s.position[0], 100 + 4, 1e-9);   // half of 8 - 4 pixels of 2 mm
    CU_ASSERT_DOUBLE_EQUAL(s.position[1], 200 + 4.5, 1e-9); // half of 6 - 3 pixels of 3 mm
    CU_ASSERT_DOUBLE_EQUAL(s.position[2], z, 1e-9);
    CU_ASSERT_TRUE(object_decode(o, k, values, &err));
    for (int32_t y = 0; y < 3; y++) {
        for (int32_t x = 0; x < 4; x++)
            CU_ASSERT_EQUAL(values[4 * y + x],
                            8 * ((int32_t)(k / 2) * 3 + y) + (int32_t)(k % 2) * 4 + x);
    }
}

static void slices_lie_where_the_vendor_says(void)
{
    static const struct {
        const char *syntax, *normal;
        bool newer;
        double step;
    } cases[] = {
        {EXPLICIT, "0.0 0.0 1.0", true, 5},    {EXPLICIT, "0.0 0.0 -1.0", true, -5},
        {IMPLICIT, "0 0 0.99999999", true, 5}, {EXPLICIT, "0.0 0.0 1.0", false, 5},
        {IMPLICIT, "0.0 0.0 -1.0", false, -5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct csa csa;
        struct made_file f;
        csa_make(&csa, cases[i].newer, "3", cases[i].normal);
        mosaic(&f, cases[i].syntax, "1.2.1", &csa);
        struct object *o = open_mosaic(&f, "m.dcm");
        CU_ASSERT_EQUAL(object_frame_count(o), 3);
        CU_ASSERT_EQUAL(object_ids(o)->frames, 1);
        for (uint32_t k = 0; k < 3; k++)
            check_tile(o, k, 10 + k * cases[i].step);
        struct image_frame s;
        int32_t values[12];
        CU_ASSERT_FALSE(object_frame(o, 3, &s, &err));
        CU_ASSERT_FALSE(object_decode(o, 3, values, &err));
        object_close(o);
        made_finish(&f);
    }
}

// Either place that says the number does; Image Type need not say MOSAIC then.
static void one_number_of_slices_is_enough(void)
{
    for (int i = 0; i < 3; i++) {
        struct csa csa;
        struct made_file f;
        csa_make(&csa, true, i == 1 ? "" : "3", "0 0 1");
        mosaic(&f, EXPLICIT, "1.2.1", &csa);
        if (i == 0)
            made_drop(&f, COUNT);
        if (i == 2)
            made_set(&f, IMAGE_TYPE, "CS", "ORIGINAL\\PRIMARY\\M");
        struct object *o = open_mosaic(&f, "m.dcm");
        CU_ASSERT_EQUAL(object_frame_count(o), 3);
        check_tile(o, 2, 20);
        object_close(o);
        made_finish(&f);
    }
}

static void what_does_not_tell_its_slices_is_refused(void)
{
    static const struct {
        const char *count, *normal;
        uint32_t tag;
        const char *vr, *value, *text;
    } cases[] = {
        {"3", "0 0 1", CSA, "OB", NULL, "SliceNormalVector"},
        {"4", "0 0 1", 0, "", "", "(0019,100A) says that there are 3, the CSA header 4"},
        {"", "0 0 1", COUNT, "US", NULL, "neither (0019,100A)"},
        {"x", "0 0 1", 0, "", "", "is no number"},
        {"3.5", "0 0 1", COUNT, "US", NULL, "3.5 of them"},
        {"3", "", 0, "", "", "SliceNormalVector"},
        {"3", "0 0", 0, "", "", "SliceNormalVector"},
        {"3", "0 0 0.5", 0, "", "", "is no direction"},
        {"3", "1 0 0", 0, "", "", "not at right angles"},
        {"3", "0 0.1 0.99499", 0, "", "", "not at right angles"},
        {"3", "0 0 1", SPACING, "DS", NULL, "SpacingBetweenSlices"},
        {"3", "0 0 1", SPACING, "DS", "0", "SpacingBetweenSlices"},
        {"3", "0 0 1", ROWS, "US", "5", "8 x 5 pixels cannot be divided into 2 x 2 tiles"},
        {"10", "0 0 1", COUNT, "US", "10", "into 4 x 4 tiles for 10 slices"},
        {"3", "0 0 1", 0x00280008, "IS", "2", "there are 2 frames"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct csa csa;
        struct made_file f;
        struct image_frame s;
        csa_make(&csa, true, cases[i].count, cases[i].normal);
        mosaic(&f, EXPLICIT, "1.2.1", &csa);
        if (cases[i].tag && cases[i].value)
            made_set(&f, cases[i].tag, cases[i].vr, cases[i].value);
        else if (cases[i].tag)
            made_drop(&f, cases[i].tag);
        struct object *o = open_mosaic(&f, "m.dcm");
        CU_ASSERT_FALSE(object_frame(o, 0, &s, &err));
        CU_ASSERT_EQUAL(err.code, ERR_UNSUPPORTED);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, cases[i].text));
        if (!strstr(err.text, cases[i].text))
            fprintf(stderr, "\"%s\" is not \"%s\"\n", err.text, cases[i].text);
        object_close(o);
        made_finish(&f);
    }
}

#define CSA_SERIES 0x00291020
#define PROTOCOL_HEAD                                                                              \
    "<XProtocol>\n{\n}\n### ASCCONV BEGIN ###\nsSliceArray.lSize = 3\n"                            \
    "sSliceArray.asSlice[0].dThickness = 4\nxsSliceArray.asSlice[1].sPosition.dTra = 99\n"

// The vendor's header of the series, with a protocol that has these places.
static void protocol(struct made_file *f, const char *name, const char *positions)
{
    struct csa csa;
    char text[1024];
    snprintf(text, sizeof text, PROTOCOL_HEAD "%s### ASCCONV END ###", positions);
    csa_start(&csa, true, 2);
    csa_tag(&csa, "UsedPatientWeight", "70");
    csa_text(&csa, name, text);
    made_set_bytes(f, CSA_SERIES, "OB", csa.bytes, csa.size);
}

#define AT(slice, axis, mm) "sSliceArray.asSlice[" slice "].sPosition.d" axis "\t = \t" mm "\n"

static void places_in_the_protocol_say_how_far_slices_lie_apart(void)
{
    static const struct {
        const char *name, *positions, *spacing; // NULL: the attribute is absent
        double step;
        const char *text; // of the refusal
    } cases[] = {
        {"MrPhoenixProtocol", AT("0", "Tra", "-6") AT("2", "Tra", "6"), NULL, 6, NULL},
        {"MrProtocol", AT("0", "Tra", "-6") AT("2", "Tra", "6"), "0", 6, NULL},
        {"MrPhoenixProtocol",
         AT("0", "Cor", "3") AT("0", "Sag", "4") AT("2", "Cor", "-3") AT("2", "Sag", "-4.0002"),
         NULL, 5, NULL},
        {"MrPhoenixProtocol", AT("1", "Tra", "4.9995") AT("2", "Tra", "9.999"), "5", 5, NULL},
        {"MrPhoenixProtocol", AT("1", "Tra", "6") AT("2", "Tra", "12"), "5", 0,
         "SpacingBetweenSlices is 5 mm, the places of the slices in the protocol of the CSA header "
         "are 6 mm apart"},
        {"MrPhoenixProtocol", AT("1", "Tra", "6") AT("2", "Tra", "13"), NULL, 0,
         "has slices 2 and 3 7 mm apart, the first two 6 mm"},
        {"MrPhoenixProtocol", "", NULL, 0, "has no places of 3 slices"},
        {"MrPhoenixProtocol", "sSliceArray.lSize = 4\n", "5", 5, NULL}, // the first line counts
        {"AnotherProtocol", AT("1", "Tra", "6") AT("2", "Tra", "12"), NULL, 0,
         "has no places of 3 slices"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct csa csa;
        struct made_file f;
        struct image_frame s;
        csa_make(&csa, true, "3", "0 0 1");
        mosaic(&f, EXPLICIT, "1.2.1", &csa);
        protocol(&f, cases[i].name, cases[i].positions);
        if (cases[i].spacing)
            made_set(&f, SPACING, "DS", cases[i].spacing);
        else
            made_drop(&f, SPACING);
        struct object *o = open_mosaic(&f, "m.dcm");
        const bool ok = object_frame(o, cases[i].step > 0 ? 2 : 0, &s, &err);
        CU_ASSERT_EQUAL(ok, cases[i].step > 0);
        if (ok)
            CU_ASSERT_DOUBLE_EQUAL(s.position[2], 10 + 2 * cases[i].step, 2e-3);
        if (!ok && !(cases[i].text && strstr(err.text, cases[i].text))) {
            fprintf(stderr, "case %zu: %s\n", i, err.text);
            CU_FAIL("another reason");
        }
        object_close(o);
        made_finish(&f);
    }
}

// ---- Mosaics with an item a slice ---------------------------------------------------------------

#define TILES 0x00651051

// 5 slices of 4 x 3 pixels in 3 x 2 tiles, each with a place of its own.
static void tiles_of_uih(struct made_file *f)
{
    made_ct(f, EXPLICIT, "1.2.1", 10);
    made_set(f, 0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.4");
    made_set(f, 0x00080060, "CS", "MR");
    made_set(f, IMAGE_TYPE, "CS", "ORIGINAL\\PRIMARY\\M\\VFRAME");
    made_drop(f, POSITION);
    made_set(f, COLUMNS, "US", "12");
    made_set(f, ROWS, "US", "6");
    made_set(f, 0x00650010, "LO", "Image Private Header");
    made_set(f, 0x00651004, "SH", "4*3");
    made_set(f, 0x00651009, "FD", "929.75");
    made_set(f, 0x00651050, "DS", "5.0");
    for (int i = 0; i < 5; i++) {
        struct made_file item = {.syntax = EXPLICIT};
        char text[64];
        snprintf(text, sizeof text, "1\\2\\%d.5", 40 - 3 * i);
        made_set(&item, POSITION, "DS", text);
        snprintf(text, sizeof text, "1000%02d.5", 2 * i);
        made_set(&item, 0x00080032, "TM", text);
        made_nest(f, TILES, &item);
    }
    made_pixels(f, 72, 0);
}

static void items_say_where_slices_lie(void)
{
    struct made_file f;
    struct image_frame s;
    int32_t values[12];
    tiles_of_uih(&f);
    struct object *o = open_mosaic(&f, "m.dcm");
    CU_ASSERT_EQUAL_FATAL(object_frame_count(o), 5);
    for (uint32_t k = 0; k < 5; k++) {
        CU_ASSERT_TRUE_FATAL(object_frame(o, k, &s, &err));
        CU_ASSERT(s.placed && s.tiled && s.columns == 4 && s.rows == 3);
        CU_ASSERT_EQUAL(s.position[0], 1);
        CU_ASSERT_EQUAL(s.position[2], 40.5 - 3 * k);
        CU_ASSERT_EQUAL(s.b_value, 929.75);
        CU_ASSERT_DOUBLE_EQUAL(fmod(s.time_s, 60), 2 * k + 0.5, 1e-6);
        CU_ASSERT_TRUE(object_decode(o, k, values, &err));
        CU_ASSERT_EQUAL(values[0], (int32_t)(k / 3 * 36 + k % 3 * 4));
        CU_ASSERT_EQUAL(values[11], values[0] + 24 + 3);
    }
    object_close(o);
    made_finish(&f);
}

static void items_that_contradict_the_picture_are_refused(void)
{
    static const struct {
        uint32_t tag;
        const char *vr, *value, *text;
    } cases[] = {
        {0x00651050, "DS", "6", "(0065,1050) says that there are 6, (0065,1051) has 5"},
        {0x00651004, "SH", "8*8", "(0065,1004) says 8*8 pixels, the picture has tiles of 4*3"},
        {COLUMNS, "US", "8", "8 x 6 pixels cannot be divided into 3 x 2 tiles for 5 slices"},
        {0x00280008, "IS", "2", "there are 2 frames"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made_file f;
        struct image_frame s;
        tiles_of_uih(&f);
        made_set(&f, cases[i].tag, cases[i].vr, cases[i].value);
        struct object *o = open_mosaic(&f, "m.dcm");
        CU_ASSERT_FALSE(object_frame(o, 0, &s, &err));
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, cases[i].text));
        if (!strstr(err.text, cases[i].text))
            fprintf(stderr, "\"%s\" is not \"%s\"\n", err.text, cases[i].text);
        object_close(o);
        made_finish(&f);
    }
}

// Cut anywhere, or with numbers that point nowhere: refused, or as whole as it was.
static void broken_headers_of_the_vendor_do_no_harm(void)
{
    for (int newer = 0; newer < 2; newer++) {
        struct csa whole;
        csa_make(&whole, newer, "3", "0 0 1");
        for (size_t at = 0; at < whole.size; at += 3) {
            for (int way = 0; way < 2; way++) {
                struct csa csa = whole;
                struct made_file f;
                struct image_frame s;
                if (way)
                    memset(csa.bytes + at, 0xff, 3);
                else
                    csa.size = at & ~(size_t)1;
                mosaic(&f, EXPLICIT, "1.2.1", &csa);
                struct object *o = open_mosaic(&f, "m.dcm");
                if (object_frame(o, 0, &s, &err))
                    check_tile(o, 2, 20);
                else
                    CU_ASSERT_EQUAL(err.code, ERR_UNSUPPORTED);
                object_close(o);
                made_finish(&f);
            }
        }
    }
}

static void mosaics_are_points_in_time(void)
{
    static const char *const times[] = {"100000", "100002.5"};
    struct image_frame frames[6];
    struct image_set set;
    struct arena *arena = arena_create();
    char name[64];
    for (uint32_t i = 0; i < 2; i++) {
        struct csa csa;
        struct made_file f;
        csa_make(&csa, true, "3", "0 0 -1");
        mosaic(&f, EXPLICIT, i ? "1.2.2" : "1.2.1", &csa);
        made_set(&f, 0x00080032, "TM", times[i]);
        made_set(&f, 0x00200013, "IS", i ? "2" : "1");
        struct object *o = open_mosaic(&f, i ? "n.dcm" : "m.dcm");
        for (uint32_t k = 0; k < 3; k++) {
            CU_ASSERT_TRUE(object_frame(o, k, &frames[3 * i + k], &err));
            frames[3 * i + k].source = i;
        }
        object_close(o);
        made_finish(&f);
    }
    CU_ASSERT_TRUE_FATAL(image_split(frames, 6, NULL, arena, &set, &err));
    CU_ASSERT_EQUAL_FATAL(set.image_count, 1);
    const struct image *img = &set.images[0];
    CU_ASSERT_EQUAL(img->dim[2], 3);
    CU_ASSERT_EQUAL(img->dim[3], 2);
    CU_ASSERT_EQUAL(img->axis, IMAGE_TIME);
    CU_ASSERT_STRING_EQUAL(img->defect, "");
    CU_ASSERT_DOUBLE_EQUAL(img->spacing[2], 5, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(img->at[3], 2.5, 1e-3);
    CU_ASSERT_EQUAL(image_frame_at(img, 0, 1), 5); // the last tile lies lowest
    image_place_name(&set, 0, 0, 1, name, sizeof name);
    CU_ASSERT_STRING_EQUAL(name, "image 2 tile 3");
    arena_destroy(arena);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"object_frame_puts_slices_of_a_mosaic_where_the_vendor_says",
         slices_lie_where_the_vendor_says},
        {"object_frame_takes_one_number_of_slices", one_number_of_slices_is_enough},
        {"object_frame_refuses_mosaics_that_do_not_tell_their_slices",
         what_does_not_tell_its_slices_is_refused},
        {"object_frame_takes_the_distance_of_slices_from_the_protocol",
         places_in_the_protocol_say_how_far_slices_lie_apart},
        {"object_frame_puts_slices_where_their_items_say", items_say_where_slices_lie},
        {"object_frame_refuses_items_that_contradict_the_picture",
         items_that_contradict_the_picture_are_refused},
        {"object_open_survives_broken_headers_of_the_vendor",
         broken_headers_of_the_vendor_do_no_harm},
        {"image_split_makes_mosaics_points_in_time", mosaics_are_points_in_time},
    };
    if (!object_init(&err)) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    int status = check_main("mosaic", cases, sizeof cases / sizeof *cases);
    object_quit();
    return status;
}
