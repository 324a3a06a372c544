// How often a file is read: work that must not grow with the square of its frames. And what is read
// in spite of how it is written.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include "dimse/read/object_parts.h"
#include "tests/check.h"
#include "tests/made.h"

#define FRAMES    32
#define PIECES    3 // fragments a frame
#define JPEG_LS   "1.2.840.10008.1.2.4.80"
#define FRAGMENTS (FRAMES * PIECES)

static struct err err;

namespace
{

// Counts reads of what it stands in front of.
class counting_source : public layout_source
{
  public:
    explicit counting_source(std::unique_ptr<layout_source> behind) : behind_(std::move(behind)) {}
    uint64_t size() const override
    {
        return behind_->size();
    }
    bool read(uint64_t offset, void *out, size_t count, struct err *e) override
    {
        reads++;
        return behind_->read(offset, out, count, e);
    }
    size_t reads = 0;

  private:
    std::unique_ptr<layout_source> behind_;
};

} // namespace

// Frame i starts with the mark of an image, then i; its other fragments hold i only.
static struct object *open_fragments(const uint8_t *table, size_t table_size,
                                     counting_source **counter)
{
    static uint8_t pieces[FRAGMENTS][4];
    struct made_file f;
    made_ct(&f, JPEG_LS, "1.2.3.4", 0);
    char text[16];
    snprintf(text, sizeof text, "%d", FRAMES);
    made_set(&f, 0x00280008, "IS", text);
    f.fragments[0] = table;
    f.fragment_sizes[0] = table_size;
    for (size_t i = 0; i < FRAGMENTS; i++) {
        uint8_t frame = static_cast<uint8_t>(i / PIECES);
        pieces[i][0] = i % PIECES == 0 ? 0xff : frame;
        pieces[i][1] = i % PIECES == 0 ? 0xd8 : frame;
        pieces[i][2] = pieces[i][3] = frame;
        f.fragments[i + 1] = pieces[i];
        f.fragment_sizes[i + 1] = sizeof pieces[i];
    }
    f.fragment_count = FRAGMENTS + 1;
    struct object *o = object_open(made_write(&f, "fragments.dcm"), &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    *counter = new counting_source(std::move(o->source));
    o->source.reset(*counter);
    made_finish(&f);
    return o;
}

static void check_each_frame(struct object *o)
{
    for (uint32_t frame = 0; frame < FRAMES; frame++) {
        std::vector<uint8_t> bytes;
        CU_ASSERT_TRUE(object_frame_bytes(o, frame, &bytes, &err));
        CU_ASSERT_EQUAL_FATAL(bytes.size(), static_cast<size_t>(4 * PIECES));
        CU_ASSERT_EQUAL(bytes[0], 0xff);
        CU_ASSERT_EQUAL(bytes[3], frame);
        CU_ASSERT_EQUAL(bytes.back(), frame);
    }
}

static void frames_without_a_table_are_looked_for_once(void)
{
    static const uint8_t none[1] = {};
    counting_source *counter = nullptr;
    struct object *o = open_fragments(none, 0, &counter);
    check_each_frame(o);
    CU_ASSERT_TRUE(counter->reads <= 2 * FRAGMENTS + 2); // once to look for, once for the pixels
    object_close(o);
}

static void the_offset_table_is_read_once(void)
{
    uint8_t table[4 * FRAMES];
    counting_source *counter = nullptr;
    for (unsigned i = 0; i < FRAMES; i++) {
        uint32_t offset = i * PIECES * 12;
        for (unsigned b = 0; b < 4; b++)
            table[4 * i + b] = static_cast<uint8_t>(offset >> 8 * b);
    }
    struct object *o = open_fragments(table, sizeof table, &counter);
    check_each_frame(o);
    CU_ASSERT_TRUE(counter->reads <= FRAGMENTS + 2);
    object_close(o);
}

static void a_table_that_does_not_fit_is_told_each_time(void)
{
    static const uint8_t wrong[8] = {0, 0, 0, 0, 1, 2, 3, 4};
    counting_source *counter = nullptr;
    struct object *o = open_fragments(wrong, sizeof wrong, &counter);
    for (uint32_t frame = 0; frame < FRAMES; frame++) {
        std::vector<uint8_t> bytes;
        err = {};
        CU_ASSERT_FALSE(object_frame_bytes(o, frame, &bytes, &err));
        CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    }
    CU_ASSERT_TRUE(counter->reads <= 2);
    object_close(o);
}

// ---- What is not as the standard has it -------------------------------------------------------

#define EXPLICIT "1.2.840.10008.1.2.1"
#define IMPLICIT "1.2.840.10008.1.2"
#define BIG      "1.2.840.10008.1.2.2"
#define DEFLATED "1.2.840.10008.1.2.1.99"
#define PIXELS   48

typedef std::vector<uint8_t> bytes;

static void append(bytes *to, const void *data, size_t size)
{
    const uint8_t *p = static_cast<const uint8_t *>(data);
    to->insert(to->end(), p, p + size);
}

// The data set of a CT image of which the Rescale Intercept is -1024, in syntax.
static bytes ct_data(const char *syntax)
{
    struct made_file f;
    size_t size = 0;
    made_ct(&f, syntax, "1.2.3.4", 12);
    made_pixels(&f, PIXELS, 100);
    uint8_t *data = made_data(&f, &size);
    bytes out(data, data + size);
    free(data);
    made_finish(&f);
    return out;
}

// A meta header that names a transfer syntax; NULL: none. How it starts: "preamble", "magic", "".
static bytes file_head(const char *start, const char *syntax)
{
    bytes out;
    uint8_t length =
        static_cast<uint8_t>(10 + (syntax ? 8 + strlen(syntax) + strlen(syntax) % 2 : 0));
    const uint8_t size_of_meta[] = {length, 0, 0, 0};
    const uint8_t size_of_uid[] = {static_cast<uint8_t>(length - 18), 0};
    if (strcmp(start, "preamble") == 0)
        out.assign(128, 0);
    if (*start)
        append(&out, "DICM", 4);
    append(&out, "\2\0\0\0UL\4\0", 8);
    append(&out, size_of_meta, sizeof size_of_meta);
    append(&out,
           "\2\0\2\0UI\2\0"
           "1\0",
           10);
    if (syntax) {
        append(&out, "\2\0\x10\0UI", 6);
        append(&out, size_of_uid, sizeof size_of_uid);
        append(&out, syntax, length - 18u); // its zero byte is the padding
    }
    return out;
}

// Puts other bytes in place of the first ones that are like old. The length of old and new may
// differ: nothing around them has one.
static void put_instead(bytes *data, const void *old, size_t old_size, const void *other,
                        size_t other_size)
{
    const uint8_t *o = static_cast<const uint8_t *>(old), *n = static_cast<const uint8_t *>(other);
    bytes::iterator at = std::search(data->begin(), data->end(), o, o + old_size);
    CU_ASSERT_TRUE_FATAL(at != data->end());
    at = data->erase(at, at + static_cast<std::ptrdiff_t>(old_size));
    data->insert(at, n, n + other_size);
}

// It opens, says so, and is the image that it was.
static void expect_image(const bytes &file, const char *remark)
{
    int32_t values[PIXELS] = {};
    struct attrs attrs = {};
    struct image_frame frame;
    err = {};
    struct object *o = object_open(made_write_bytes("odd.dcm", file.data(), file.size()), &err);
    CU_ASSERT_STRING_EQUAL(err.text, "");
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_TRUE(object_identified(o, &err));
    CU_ASSERT_PTR_NOT_NULL(strstr(object_remark(o), remark));
    CU_ASSERT_EQUAL(*remark == 0, object_remark(o)[0] == 0);
    if (!strstr(object_remark(o), remark))
        fprintf(stderr, "\"%s\" is not \"%s\"\n", object_remark(o), remark);
    CU_ASSERT_TRUE(object_frame(o, 0, &frame, &err));
    CU_ASSERT_EQUAL(frame.intercept, -1024);
    CU_ASSERT_EQUAL(frame.columns, 8);
    CU_ASSERT_TRUE(object_attrs(o, &attrs, &err));
    CU_ASSERT_STRING_EQUAL(attrs_get(&attrs, "PatientName"), "Test^One");
    CU_ASSERT_TRUE(object_decode(o, 0, values, &err));
    CU_ASSERT_TRUE(values[0] == 100 && values[PIXELS - 1] == 100 + PIXELS - 1);
    attrs_finish(&attrs);
    object_close(o);
}

static void heads_that_others_do_without(void)
{
    static const struct {
        const char *start, *syntax, *data, *remark; // start NULL: no meta header at all
    } table[] = {
        {"preamble", EXPLICIT, EXPLICIT, ""},
        {"magic", EXPLICIT, EXPLICIT, ""},
        {"", EXPLICIT, EXPLICIT, ""},
        {"", IMPLICIT, IMPLICIT, ""},
        {nullptr, nullptr, EXPLICIT, "no Transfer Syntax UID: read as explicit VR little endian"},
        {nullptr, nullptr, IMPLICIT, "no Transfer Syntax UID: read as implicit VR little endian"},
        {nullptr, nullptr, BIG, "no Transfer Syntax UID: read as explicit VR big endian"},
        {"preamble", nullptr, EXPLICIT, "no Transfer Syntax UID: read as explicit"},
        {"magic", nullptr, IMPLICIT, "no Transfer Syntax UID: read as implicit"},
        {"preamble", EXPLICIT, IMPLICIT,
         "is implicit VR little endian, its Transfer Syntax UID "
         "says explicit VR little endian"},
        {"preamble", IMPLICIT, EXPLICIT,
         "is explicit VR little endian, its Transfer Syntax UID "
         "says implicit"},
        {"preamble", EXPLICIT, BIG, "is explicit VR big endian, its"},
        {"preamble", BIG, EXPLICIT, "says explicit VR big endian"},
        {"preamble", DEFLATED, EXPLICIT, "says deflated"},
    };
    for (const auto &row : table) {
        bytes file = row.start ? file_head(row.start, row.syntax) : bytes();
        bytes data = ct_data(row.data);
        append(&file, data.data(), data.size());
        expect_image(file, row.remark);
    }
}

static void headers_that_others_take(void)
{
    static const char mended[] = "1 elements of unknown value representation";
    // Rescale Intercept "-1024 " and Study Time, of which the VR or more is another one
    static const struct {
        const char *old, *other;
        size_t old_size, other_size;
        const char *remark;
    } table[] = {
#define ROW(old, other, remark) {old, other, sizeof(old) - 1, sizeof(other) - 1, remark}
        ROW("\x28\0\x52\x10"
            "DS\6\0",
            "\x28\0\x52\x10"
            "??\6\0",
            mended),
        ROW("\x28\0\x52\x10"
            "DS\6\0",
            "\x28\0\x52\x10"
            "  \6\0",
            mended),
        ROW("\x28\0\x52\x10"
            "DS\6\0",
            "\x28\0\x52\x10"
            "\0\0\6\0",
            mended),
        ROW("\x28\0\x52\x10"
            "DS\6\0",
            "\x28\0\x52\x10"
            "ds\6\0",
            mended),
        ROW("\x28\0\x52\x10"
            "DS\6\0",
            "\x28\0\x52\x10"
            "\0\0\0\0\6\0\0\0",
            mended),
        ROW("\x28\0\x52\x10"
            "DS\6\0",
            "\x28\0\x52\x10"
            "XY\0\0\6\0\0\0",
            mended),
        ROW("\x28\0\x52\x10"
            "DS\6\0",
            "\x28\0\x52\x10"
            "\6\0\0\0",
            mended), // implicit
        ROW("\x28\0\x52\x10"
            "DS\6\0",
            "\x28\0\x52\x10"
            "UN\0\0\6\0\0\0",
            ""),
        ROW("\x28\0\x10\0US\2\0", "\x28\0\x10\0UN\0\0\2\0\0\0", ""),
        ROW("\x10\0\x10\0PN", "\x10\0\x10\0  ", mended),
        ROW("\xe0\x7f\x10\0OW", "\xe0\x7f\x10\0\0\0", mended),
        ROW("\x10\0\x10\0PN", "\xfe\xff\xdd\xe0\0\0\0\0\x10\0\x10\0PN", ""), // stray delimiter
        // a sequence that is none where DCMTK would look for one: left out
        ROW("\x10\0\x10\0PN", "\x08\0\x11\x11UN\0\0\x08\0\0\0abcdefgh\x10\0\x10\0PN",
            "1 unreadable elements left out"),
        // in an item of a length, which cannot grow: left out
        ROW("\x10\0\x10\0PN",
            "\x08\0\x15\x11SQ\0\0\x16\0\0\0\xfe\xff\0\xe0\x0e\0\0\0"
            "\x08\0\x16\0\x06\0\0\0"
            "1.2.3\0"
            "\x10\0\x10\0PN",
            mended),
        ROW("\x10\0\x10\0PN",
            "\x09\0\x10\0LO\2\0XX\x09\0\1\x10"
            "  \0\0\4\0\0\0abcd\x10\0\x10\0PN",
            mended),
#undef ROW
    };
    for (const auto &row : table) {
        bytes file = file_head("preamble", EXPLICIT), data = ct_data(EXPLICIT);
        put_instead(&data, row.old, row.old_size, row.other, row.other_size);
        append(&file, data.data(), data.size());
        expect_image(file, row.remark);
    }
}

// What no length explains stays refused, and the walk in spite of defects keeps its limits.
static void what_nobody_can_read_is_refused(void)
{
    bytes file = file_head("preamble", EXPLICIT), data = ct_data(EXPLICIT);
    put_instead(&data,
                "\x28\0\x52\x10"
                "DS\6\0",
                8,
                "\x28\0\x52\x10"
                "??\xff\xff",
                8);
    append(&file, data.data(), data.size());
    err = {};
    CU_ASSERT_PTR_NULL(object_open(made_write_bytes("odd.dcm", file.data(), file.size()), &err));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "(0028,1052): unknown value representation"));

    file = file_head("preamble", EXPLICIT);
    for (unsigned i = 0; i < LAYOUT_MENDS_MAX + 1; i++) {
        const uint8_t element[] = {
            0x09, 0, static_cast<uint8_t>(i), static_cast<uint8_t>(0x10 + (i >> 8)), '?', '?',
            0,    0};
        append(&file, element, sizeof element);
    }
    data = ct_data(EXPLICIT);
    append(&file, "\x10\0\x10\0PN\0\0", 8);
    err = {};
    CU_ASSERT_PTR_NULL(object_open(made_write_bytes("odd.dcm", file.data(), file.size()), &err));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "too many elements of unknown"));

    // nested deeper than allowed behind a VR that hides it: UN of a sequence
    file = file_head("preamble", EXPLICIT);
    bytes inner;
    for (int i = 0; i < 100; i++) {
        bytes outer;
        const uint32_t item = static_cast<uint32_t>(inner.size()), all = item + 8;
        append(&outer, i == 99 ? "\x08\0\x11\x11UN\0\0" : "\x08\0\x11\x11", i == 99 ? 8 : 4);
        append(&outer, &all, 4);
        append(&outer, "\xfe\xff\0\xe0", 4);
        append(&outer, &item, 4);
        append(&outer, inner.data(), inner.size());
        inner = outer;
    }
    append(&file, inner.data(), inner.size());
    err = {};
    CU_ASSERT_PTR_NULL(object_open(made_write_bytes("odd.dcm", file.data(), file.size()), &err));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "nested too deep"));
}

// Empty elements of a private group, count of them from number 0x1000 on.
static bytes many_elements(bool is_explicit, uint16_t group, unsigned count, bool descending)
{
    bytes out;
    for (unsigned i = 0; i < count; i++) {
        const uint16_t tag[2] = {group, (uint16_t)(0x1000 + (descending ? count - 1 - i : i))};
        append(&out, tag, sizeof tag);
        append(&out, is_explicit ? "LO\0\0" : "\0\0\0\0", 4);
    }
    return out;
}

// Order costs time, and is not the standard's alone to keep: files of any order are read unless
// putting it right would hang.
static void elements_out_of_order_are_read_within_bounds(void)
{
    static const struct {
        const char *syntax;
        unsigned first, count; // elements of a high group, then of a low one
        bool descending, nested, good;
    } table[] = {
        {EXPLICIT, 0, 5000, true, false, true},      {EXPLICIT, 0, 6000, true, false, false},
        {IMPLICIT, 0, 6000, true, false, false},     {EXPLICIT, 0, 40000, false, false, true},
        {EXPLICIT, 1, 40000, false, false, true},    {EXPLICIT, 4000, 3000, false, false, true},
        {EXPLICIT, 4000, 5000, false, false, false}, {EXPLICIT, 0, 5000, true, true, true},
        {EXPLICIT, 0, 6000, true, true, false},      {IMPLICIT, 4000, 5000, false, true, false},
    };
    for (const auto &row : table) {
        const bool is_explicit = strcmp(row.syntax, EXPLICIT) == 0;
        bytes file = file_head("preamble", row.syntax), data = ct_data(row.syntax);
        bytes many = many_elements(is_explicit, 0x0019, row.first, false);
        const bytes low = many_elements(is_explicit, 0x0009, row.count, row.descending);
        append(&many, low.data(), low.size());
        if (row.nested) {
            append(&file, "\x08\0\x11\x11", 4);
            append(&file, is_explicit ? "SQ\0\0\xff\xff\xff\xff" : "\xff\xff\xff\xff",
                   is_explicit ? 8 : 4);
            append(&file, "\xfe\xff\0\xe0\xff\xff\xff\xff", 8);
        }
        append(&file, many.data(), many.size());
        if (row.nested)
            append(&file, "\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0", 16);
        append(&file, data.data(), data.size());
        err = {};
        struct object *o =
            object_open(made_write_bytes("order.dcm", file.data(), file.size()), &err);
        CU_ASSERT_EQUAL(o != nullptr, row.good);
        CU_ASSERT_EQUAL(strstr(err.text, "out of order, tags must ascend") != nullptr, !row.good);
        object_close(o);
    }
}

// A reason names the attribute and its value.
static void who_it_is_not_is_said(void)
{
    static const struct {
        uint32_t tag;
        const char *value, *text; // value NULL: absent
    } table[] = {
        {0x00080018, nullptr, "no SOP Instance UID"},
        {0x00080018, "", "SOP Instance UID is empty"},
        {0x00080018, "1.2.ANON.0", "SOP Instance UID 1.2.ANON.0 is no UID"},
        {0x0020000e, "1..2", "Series Instance UID 1..2 is no UID"},
        {0x0020000d, "1.2.826.11111111111111111111111111111111111111111111111111111111.100",
         "Study Instance UID 1.2.826.11111111111111111111111111111111111111111111111111111111.100 "
         "has 68 characters, 64 are allowed"},
        {0x0020000d, nullptr, "no Study Instance UID"},
    };
    for (const auto &row : table) {
        struct made_file f;
        made_ct(&f, EXPLICIT, "1.2.3.4", 0);
        made_drop(&f, row.tag);
        if (row.value)
            made_set(&f, row.tag, "UI", row.value);
        struct object *o = object_open(made_write(&f, "who.dcm"), &err);
        CU_ASSERT_PTR_NOT_NULL_FATAL(o);
        err = {};
        CU_ASSERT_FALSE(object_identified(o, &err));
        CU_ASSERT_STRING_EQUAL(err.text, row.text);
        object_close(o);
        made_finish(&f);
    }
    struct made_file f, item;
    made_ct(&f, EXPLICIT, "1.2.3.4", 0);
    item = {};
    item.syntax = EXPLICIT;
    made_set(&item, 0x00041430, "CS", "PATIENT");
    made_nest(&f, 0x00041220, &item);
    struct object *o = object_open(made_write(&f, "who.dcm"), &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    CU_ASSERT_FALSE(object_identified(o, &err));
    CU_ASSERT_STRING_EQUAL(err.text, "a DICOMDIR: give its folder");
    object_close(o);
    made_finish(&f);
}

int main()
{
    static const struct check_case cases[] = {
        {"layout_frames_without_a_table_are_looked_for_once",
         frames_without_a_table_are_looked_for_once},
        {"layout_the_offset_table_is_read_once", the_offset_table_is_read_once},
        {"layout_a_table_that_does_not_fit_is_told_each_time",
         a_table_that_does_not_fit_is_told_each_time},
        {"layout_heads_that_others_do_without", heads_that_others_do_without},
        {"layout_headers_that_others_take", headers_that_others_take},
        {"layout_what_nobody_can_read_is_refused", what_nobody_can_read_is_refused},
        {"layout_elements_out_of_order_are_read_within_bounds",
         elements_out_of_order_are_read_within_bounds},
        {"object_identified_who_it_is_not_is_said", who_it_is_not_is_said},
    };
    if (!object_init(&err)) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    int status = check_main("layout", cases, sizeof cases / sizeof *cases);
    object_quit();
    return status;
}
