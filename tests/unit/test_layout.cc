// How often a file is read: work that must not grow with the square of its frames.
#include <cstdio>
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

int main()
{
    static const struct check_case cases[] = {
        {"layout_frames_without_a_table_are_looked_for_once",
         frames_without_a_table_are_looked_for_once},
        {"layout_the_offset_table_is_read_once", the_offset_table_is_read_once},
        {"layout_a_table_that_does_not_fit_is_told_each_time",
         a_table_that_does_not_fit_is_told_each_time},
    };
    if (!object_init(&err)) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    int status = check_main("layout", cases, sizeof cases / sizeof *cases);
    object_quit();
    return status;
}
