// Length structure of data sets, with every cut and every syntax.
#include "dimse/net/framing.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "dimse/read/meta.h"
#include "tests/check.h"

#define IMPLICIT     "1.2.840.10008.1.2"
#define EXPLICIT     "1.2.840.10008.1.2.1"
#define BIG          "1.2.840.10008.1.2.2"
#define DEFLATED     "1.2.840.10008.1.2.1.99"
#define RLE          "1.2.840.10008.1.2.5"
#define UNDEFINED_LE "\xff\xff\xff\xff"

// Literals with zeros inside: size is known to the compiler.
#define BYTES(text) text, sizeof(text) - 1

static const char uid_le[] = "\x08\0\x18\0UI\4\0"
                             "1.2\0";
static const char sequence_le[] = "\x08\0\x40\x11SQ\0\0" UNDEFINED_LE // of undefined length
                                  "\xfe\xff\0\xe0" UNDEFINED_LE       // an item of undefined length
                                  "\x08\0\x50\x11UI\4\0"
                                  "1.2\0"                        // in it an element,
                                  "\x08\0\x99\x11SQ\0\0\0\0\0\0" // an empty sequence
                                  "\xfe\xff\x0d\xe0\0\0\0\0"     // its end
                                  "\xfe\xff\0\xe0\x0c\0\0\0"     // an item of 12 bytes
                                  "\x08\0\x50\x11UI\4\0"
                                  "1.3\0"
                                  "\xfe\xff\xdd\xe0\0\0\0\0";
static const char unknown_le[] = "\x09\0\x10\x10UN\0\0" UNDEFINED_LE // implicit inside
                                 "\xfe\xff\0\xe0" UNDEFINED_LE "\x09\0\x11\x10\4\0\0\0"
                                 "abcd"
                                 "\xfe\xff\x0d\xe0\0\0\0\0"
                                 "\xfe\xff\xdd\xe0\0\0\0\0";
static const char native_le[] = "\xe0\x7f\x10\0OW\0\0\6\0\0\0"
                                "123456";
static const char fragments_le[] = "\xe0\x7f\x10\0OB\0\0" UNDEFINED_LE "\xfe\xff\0\xe0\0\0\0\0"
                                   "\xfe\xff\0\xe0\4\0\0\0"
                                   "abcd"
                                   "\xfe\xff\xdd\xe0\0\0\0\0";
static const char implicit_set[] =
    "\x08\0\x18\0\4\0\0\0"
    "1.2\0"
    "\x08\0\x40\x11" UNDEFINED_LE "\xfe\xff\0\xe0" UNDEFINED_LE "\x08\0\x50\x11\4\0\0\0"
    "1.2\0"
    "\xfe\xff\x0d\xe0\0\0\0\0"
    "\xfe\xff\xdd\xe0\0\0\0\0"
    "\xe0\x7f\x10\0\6\0\0\0"
    "123456";
static const char big_set[] = "\0\x08\0\x18UI\0\4"
                              "1.2\0"
                              "\0\x08\x11\x40SQ\0\0" UNDEFINED_LE "\xff\xfe\xe0\0\0\0\0\0"
                              "\xff\xfe\xe0\xdd\0\0\0\0"
                              "\x7f\xe0\0\x10OW\0\0\0\0\0\6"
                              "123456";

// The verdict when it comes in pieces of step bytes: NULL sound, else the text.
static const char *verdict(const char *syntax, const void *data, size_t size, size_t step)
{
    static struct err err;
    struct framing *f = framing_create(syntax, 1 << 20);
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    for (size_t at = 0; at < size; at += step)
        framing_add(f, (const char *)data + at, size - at < step ? size - at : step);
    bool ok = framing_end(f, &err);
    framing_destroy(f);
    return ok ? NULL : err.text;
}

static size_t joined(char *out, size_t room, int count, const char *const parts[],
                     const size_t sizes[])
{
    size_t used = 0;
    for (int i = 0; i < count && used + sizes[i] <= room; i++) {
        memcpy(out + used, parts[i], sizes[i]);
        used += sizes[i];
    }
    return used;
}

static size_t explicit_set(char out[512], bool encapsulated)
{
    const char *const parts[] = {uid_le, sequence_le, unknown_le,
                                 encapsulated ? fragments_le : native_le};
    const size_t sizes[] = {sizeof uid_le - 1, sizeof sequence_le - 1, sizeof unknown_le - 1,
                            encapsulated ? sizeof fragments_le - 1 : sizeof native_le - 1};
    return joined(out, 512, 4, parts, sizes);
}

// Whole in any pieces; cut anywhere but between two top-level elements it is truncated.
static void whole_and_cut(const char *syntax, const char *data, size_t size, const size_t *ends,
                          int end_count)
{
    for (size_t step = 1; step <= size; step++)
        CU_ASSERT_PTR_NULL(verdict(syntax, data, size, step));
    for (size_t cut = 1; cut < size; cut++) {
        bool between = false;
        for (int i = 0; i < end_count; i++)
            between = between || ends[i] == cut;
        const char *why = verdict(syntax, data, cut, 7);
        if (between)
            CU_ASSERT_PTR_NULL(why);
        if (!between) {
            CU_ASSERT_PTR_NOT_NULL_FATAL(why);
            CU_ASSERT_STRING_EQUAL(why, "data set: truncated");
        }
    }
}

static void data_sets_are_whole_or_truncated_at_every_byte(void)
{
    char data[512];
    size_t first = sizeof uid_le - 1, second = first + sizeof sequence_le - 1;
    const size_t ends[] = {first, second, second + sizeof unknown_le - 1};
    size_t size = explicit_set(data, false);
    whole_and_cut(EXPLICIT, data, size, ends, 3);
    size = explicit_set(data, true);
    whole_and_cut(RLE, data, size, ends, 3);
    const size_t implicit_ends[] = {12, 56};
    whole_and_cut(IMPLICIT, BYTES(implicit_set), implicit_ends, 2);
    const size_t big_ends[] = {12, 40};
    whole_and_cut(BIG, BYTES(big_set), big_ends, 2);
}

static size_t deflate_into(const void *data, size_t size, void *out, size_t room)
{
    z_stream z = {0};
    CU_ASSERT_FATAL(deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    z.next_in = (Bytef *)(uintptr_t)data;
    z.avail_in = (uInt)size;
    z.next_out = out;
    z.avail_out = (uInt)room;
    CU_ASSERT_FATAL(deflate(&z, Z_FINISH) == Z_STREAM_END);
    size_t used = room - z.avail_out;
    deflateEnd(&z);
    return used;
}

static void deflated_data_sets_are_walked_inflated(void)
{
    char data[512], packed[1024];
    size_t size = deflate_into(data, explicit_set(data, false), packed, sizeof packed);
    for (size_t step = 1; step <= size; step++)
        CU_ASSERT_PTR_NULL(verdict(DEFLATED, packed, size, step));
    for (size_t cut = 1; cut < size; cut++)
        CU_ASSERT_PTR_NOT_NULL(verdict(DEFLATED, packed, cut, 16));
    packed[size] = 0; // padding to even length
    CU_ASSERT_PTR_NULL(verdict(DEFLATED, packed, size + 1, 16));
    memset(packed, 0xff, 20);
    CU_ASSERT_PTR_NOT_NULL(verdict(DEFLATED, packed, 20, 16));
}

static void a_deflated_bomb_is_stopped(void)
{
    size_t size = 16 << 20;
    char *zeros = calloc(1, size), *packed = malloc(size);
    CU_ASSERT_FATAL(zeros && packed);
    memcpy(zeros, BYTES("\xe0\x7f\x10\0OW\0\0\0\0\0\x10"));
    size_t used = deflate_into(zeros, size, packed, size);
    CU_ASSERT_STRING_EQUAL(verdict(DEFLATED, packed, used, used), "data set: larger than allowed");
    free(zeros);
    free(packed);
}

static void pixel_data_that_claim_too_much_are_told_at_once(void)
{
    static const struct {
        const char *header;
        bool claims;
    } table[] = {{"\xe0\x7f\x10\0OW\0\0\0\0\x20\0", true}, // 2 MiB of 1
                 {"\xe0\x7f\x08\0OF\0\0\0\0\x20\0", true},
                 {"\xe0\x7f\x10\0OW\0\0\0\0\x08\0", false}, // 1/2 MiB
                 {"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff", false},
                 {"\x09\0\x02\x10UT\0\0\0\0\x20\0", false}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct framing *f = framing_create(EXPLICIT, 1 << 20);
        struct err err = {0};
        CU_ASSERT_PTR_NOT_NULL_FATAL(f);
        CU_ASSERT_EQUAL(framing_add(f, table[i].header, 12), !table[i].claims);
        CU_ASSERT_EQUAL(framing_claims_too_much(f), table[i].claims);
        CU_ASSERT_FALSE(framing_end(f, &err));
        CU_ASSERT_STRING_EQUAL(err.text, table[i].claims ? "data set: larger than allowed"
                                                         : "data set: truncated");
        framing_destroy(f);
    }
}

static void what_is_no_data_set_is_told(void)
{
    static const struct {
        const char *syntax, *data;
        size_t size;
        const char *why;
    } cases[] = {
        {EXPLICIT, BYTES(""), "data set: empty"},
        {EXPLICIT,
         BYTES("\x08\0\x18\0??\4\0"
               "1.2\0"),
         "data set: not a data set"},
        {EXPLICIT,
         BYTES("\2\0\x10\0UI\4\0"
               "1.2\0"),
         "data set: not a data set"},
        {EXPLICIT, BYTES("\xfe\xff\0\xe0\0\0\0\0"), "data set: an item outside a sequence"},
        {EXPLICIT, BYTES("\x08\0\x18\0UT\0\0" UNDEFINED_LE),
         "data set: an undefined length where none may be"},
        {EXPLICIT, BYTES("\x08\0\x40\x11SQ\0\0" UNDEFINED_LE "\x08\0\x18\0UI\4\0"),
         "data set: a sequence that is none"},
        {RLE, BYTES("\xe0\x7f\x10\0OB\0\0" UNDEFINED_LE "\xfe\xff\0\xe0" UNDEFINED_LE),
         "data set: a fragment of undefined length"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *why = verdict(cases[i].syntax, cases[i].data, cases[i].size, 5);
        CU_ASSERT_PTR_NOT_NULL_FATAL(why);
        CU_ASSERT_STRING_EQUAL(why, cases[i].why);
    }
}

static void nesting_ends_at_its_limit(void)
{
    static const char down[] = "\x08\0\x40\x11SQ\0\0" UNDEFINED_LE "\xfe\xff\0\xe0" UNDEFINED_LE;
    static const char up[] = "\xfe\xff\x0d\xe0\0\0\0\0"
                             "\xfe\xff\xdd\xe0\0\0\0\0";
    for (int levels = FRAMING_DEPTH / 2; levels <= FRAMING_DEPTH / 2 + 1; levels++) {
        char data[4096];
        size_t used = 0;
        for (int i = 0; i < levels; i++, used += sizeof down - 1)
            memcpy(data + used, down, sizeof down - 1);
        for (int i = 0; i < levels; i++, used += sizeof up - 1)
            memcpy(data + used, up, sizeof up - 1);
        const char *why = verdict(EXPLICIT, data, used, 100);
        if (levels == FRAMING_DEPTH / 2)
            CU_ASSERT_PTR_NULL(why);
        if (levels > FRAMING_DEPTH / 2)
            CU_ASSERT_STRING_EQUAL(why ? why : "", "data set: nested too deep");
    }
}

static void the_head_has_small_public_elements_whole(void)
{
    static const char large[] = "\x08\0\x08\0UT\0\0\0\x80\0\0"; // 32768 bytes
    static char value[32768];
    char kept[512];
    size_t size;
    const char *syntax;
    for (int deflated = 0; deflated < 2; deflated++) {
        static char data[65536], packed[65536];
        const char *const parts[] = {large, value, uid_le, sequence_le, unknown_le, native_le};
        const size_t sizes[] = {sizeof large - 1,      sizeof value,
                                sizeof uid_le - 1,     sizeof sequence_le - 1,
                                sizeof unknown_le - 1, sizeof native_le - 1};
        size_t used = joined(data, sizeof data, 6, parts, sizes);
        const char *wire = data;
        if (deflated) {
            used = deflate_into(data, used, packed, sizeof packed);
            wire = packed;
        }
        struct framing *f = framing_create(deflated ? DEFLATED : EXPLICIT, 1 << 20);
        CU_ASSERT(framing_add(f, wire, used));
        CU_ASSERT(framing_end(f, NULL));
        const void *head = framing_head(f, &size, &syntax);
        size_t expected = joined(kept, sizeof kept, 2, parts + 2, sizes + 2);
        CU_ASSERT_EQUAL_FATAL(size, expected);
        CU_ASSERT_EQUAL(memcmp(head, kept, size), 0);
        CU_ASSERT_STRING_EQUAL(syntax, EXPLICIT);
        framing_destroy(f);
    }
}

static void the_head_has_a_limit(void)
{
    static char element[8 + 1016] = "\x08\0\x18\0LO\xf8\3";
    size_t size;
    const char *syntax;
    struct framing *f = framing_create(EXPLICIT, 1 << 24);
    for (int i = 0; i < 4096; i++)
        CU_ASSERT(framing_add(f, element, sizeof element));
    CU_ASSERT(framing_end(f, NULL));
    framing_head(f, &size, &syntax);
    CU_ASSERT_EQUAL(size, FRAMING_HEAD_MAX);
    framing_destroy(f);
}

// Only where somebody asks for them, and only what is small.
static void private_elements_are_kept_on_demand(void)
{
    static const char set[] = "\x09\0\x10\0LO\4\0ACME"
                              "\x09\0\1\x10LO\2\0ab"
                              "\x10\0\x20\0LO\2\0P1";
    static uint8_t large[2000] = {0x09, 0, 2, 0x10, 'U', 'T', 0, 0, 0xc0, 0x07};
    const size_t all = sizeof set - 1;
    for (int keep = 0; keep < 2; keep++) {
        size_t size;
        const char *syntax;
        struct framing *f = framing_create(EXPLICIT, 1 << 20);
        CU_ASSERT_PTR_NOT_NULL_FATAL(f);
        if (keep)
            framing_keep_private(f);
        CU_ASSERT(framing_add(f, large, 12 + 0x07c0));
        CU_ASSERT(framing_add(f, set, all));
        CU_ASSERT(framing_end(f, NULL));
        const char *head = framing_head(f, &size, &syntax);
        CU_ASSERT_EQUAL_FATAL(size, keep ? all : 10);
        CU_ASSERT_EQUAL(memcmp(head, set + all - size, size), 0);
        framing_destroy(f);
    }
}

static void a_meta_header_is_laid_out_by_the_standard(void)
{
    uint8_t out[META_MAX];
    struct meta m = {"1.2.840.10008.5.1.4.1.1.2", "1.2.3", EXPLICIT, "ANODE 1", "PEER"};
    size_t size = meta_write(&m, out);
    CU_ASSERT_FATAL(size > 144);
    CU_ASSERT_EQUAL(memcmp(out + 128, "DICM\2\0\0\0UL\4\0", 12), 0);
    CU_ASSERT_EQUAL(out[140] + 256u * out[141] + 144, size); // the group length is right
    CU_ASSERT_EQUAL(memcmp(out + 144, "\2\0\1\0OB\0\0\2\0\0\0\0\1", 14), 0);
    CU_ASSERT_EQUAL(memcmp(out + size - 12, "\2\0\x16\0AE\4\0PEER", 12), 0);
    CU_ASSERT_EQUAL(size % 2, 0);
    char text[66];
    memset(text, '1', 65);
    text[65] = 0;
    m.sop_instance_uid = text;
    CU_ASSERT_EQUAL(meta_write(&m, out), 0);
    text[64] = 0; // the longest of everything fits
    struct meta longest = {text, text, text, "1234567890123456", "1234567890123456"};
    CU_ASSERT(meta_write(&longest, out) > 0 && meta_write(&longest, out) <= META_MAX);
}

static void a_head_with_room_is_a_page(void)
{
    static uint8_t out[META_ROOM];
    char text[65];
    memset(text, '1', 64);
    text[64] = 0;
    const struct meta metas[] = {{"1.2.840.10008.5.1.4.1.1.2", "1.2.3", EXPLICIT, "ANODE 1", ""},
                                 {text, text, text, "1234567890123456", "1234567890123456"}};
    for (size_t i = 0; i < sizeof metas / sizeof *metas; i++) {
        memset(out, 0xff, sizeof out);
        const size_t size = meta_write(&metas[i], out);
        CU_ASSERT_EQUAL(meta_add_room(out, size), META_ROOM);
        CU_ASSERT_EQUAL(out[140] + 256u * out[141] + 144, META_ROOM);
        const size_t last = size + 8 + out[size + 6]; // behind the creator
        CU_ASSERT_EQUAL(memcmp(out + size, "\2\0\0\1UI", 6), 0);
        CU_ASSERT_EQUAL(memcmp(out + last, "\2\0\2\1OB\0\0", 8), 0);
        CU_ASSERT_EQUAL(out[last + 8] + 256u * out[last + 9] + last + 12, META_ROOM);
        CU_ASSERT(last + 12 <= META_ROOM_AT);
        for (size_t k = last + 12; k < META_ROOM; k++)
            CU_ASSERT_EQUAL(out[k], 0);
    }
    CU_ASSERT_EQUAL(meta_add_room(out, 0), 0);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"data sets are whole, or truncated at every byte",
         data_sets_are_whole_or_truncated_at_every_byte},
        {"deflated data sets are walked inflated", deflated_data_sets_are_walked_inflated},
        {"a deflated bomb is stopped", a_deflated_bomb_is_stopped},
        {"what is no data set is told", what_is_no_data_set_is_told},
        {"nesting ends at its limit", nesting_ends_at_its_limit},
        {"pixel_data_that_claim_too_much_are_told_at_once",
         pixel_data_that_claim_too_much_are_told_at_once},
        {"the head has small public elements, whole", the_head_has_small_public_elements_whole},
        {"the head has a limit", the_head_has_a_limit},
        {"private elements are kept on demand", private_elements_are_kept_on_demand},
        {"a meta header is laid out by the standard", a_meta_header_is_laid_out_by_the_standard},
        {"a_head_with_room_is_a_page", a_head_with_room_is_a_page},
    };
    return check_main("framing", cases, sizeof cases / sizeof *cases);
}
