#include <math.h>
#include <stdio.h>
#include <string.h>
#include "compute/draw/font.h"
#include "compute/draw/pen.h"
#include "tests/check.h"

static cairo_surface_t *surface;
static cairo_t *cr;
static struct pen *pen;

enum { WIDTH = 600, HEIGHT = 120 };

static void pen_ready(void)
{
    surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, WIDTH, HEIGHT);
    cr = cairo_create(surface);
    pen = pen_create(cr, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(pen);
    pen_box(pen, 0, 0, WIDTH, HEIGHT, ink_white);
    pen_ink(pen, ink_black);
    pen_font(pen, FONT_REGULAR, 20);
}

static void pen_done(void)
{
    CU_ASSERT_EQUAL(cairo_status(cr), CAIRO_STATUS_SUCCESS);
    pen_destroy(pen);
    cairo_destroy(cr);
    cairo_surface_destroy(surface);
}

// Dark pixels from column x to column x + width.
static unsigned ink_in(int x, int width)
{
    unsigned n = 0;
    cairo_surface_flush(surface);
    const unsigned char *data = cairo_image_surface_get_data(surface);
    for (int j = 0; j < HEIGHT; j++) {
        for (int i = x; i < x + width; i++)
            n += data[j * cairo_image_surface_get_stride(surface) + 4 * i] < 128;
    }
    return n;
}

// Advances of DejaVu Sans 2.37: H 1540, U 1499 of 2048 units.
static void latin_is_written_in_the_built_in_face(void)
{
    pen_ready();
    pen_font(pen, FONT_REGULAR, 100);
    CU_ASSERT_DOUBLE_EQUAL(pen_width(pen, "HU"), 100 * (1540 + 1499) / 2048.0, 0.1);
    CU_ASSERT_EQUAL(pen_width(pen, ""), 0);
    CU_ASSERT_EQUAL(pen_width(pen, NULL), 0);
    pen_font(pen, FONT_BOLD, 100);
    CU_ASSERT(pen_width(pen, "HU") > 155);
    pen_done();
}

static void scripts_of_the_built_in_face_lack_nothing(void)
{
    static const char *const texts[] = {
        "L\xc3\xa4ngsschnitt \xc5\x81\xc3\xb3\xc5\xbc\xc4\x99",                     // Latin
        "\xce\xa0\xce\xbd\xce\xb5\xcf\x8d\xce\xbc\xce\xbf\xce\xbd\xce\xb5\xcf\x82", // Greek
        "\xd0\x9b\xd1\x91\xd0\xb3\xd0\xba\xd0\xb8\xd0\xb5",                         // Cyrillic
        "\xd8\xa7\xd9\x84\xd8\xb5\xd8\xaf\xd8\xb1",                                 // Arabic
        ("mm\xc2\xb2 \xc2\xb1 \xce\xbc"
         "A \xe2\x89\xa5 5 \xe2\x86\x92")};
    pen_ready();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        pen_line(pen, texts[i], 0, 40, WIDTH, LEFT);
        CU_ASSERT_FALSE(pen_lacked_glyph(pen));
    }
    CU_ASSERT(ink_in(0, WIDTH) > 500);
    pen_done();
}

static void arabic_letters_join_and_run_from_the_right(void)
{
    static const char joined[] = "\xd8\xb5\xd8\xaf\xd8\xb1\xd8\xb5\xd8\xb5",
                      apart[] = "\xd8\xb5 \xd8\xaf \xd8\xb1 \xd8\xb5 \xd8\xb5";
    pen_ready();
    CU_ASSERT(pen_width(pen, joined) < pen_width(pen, apart) - 4 * pen_width(pen, " ") - 5);
    CU_ASSERT_EQUAL(pen_wrap(pen, joined, 0, 40, WIDTH, 24, 3, LEFT), 1);
    CU_ASSERT(ink_in(WIDTH - 150, 150) > 50);
    CU_ASSERT_EQUAL(ink_in(0, WIDTH - 150), 0);
    pen_done();
}

// Languages that need a font of the machine; the build asks for packages that have them.
static void other_scripts_come_from_the_machine(void)
{
    static const struct {
        uint32_t first;
        const char *name, *text;
    } scripts[] = {
        {0x80f8, "Japanese",
         "\xe8\x83\xb8\xe9\x83\xa8\xe3\x82\xb9\xe3\x83\xa9\xe3\x82\xa4\xe3\x82\xb9"},
        {0xac80, "Korean", "\xea\xb2\x80\xec\x82\xac"},
        {0x092b, "Devanagari",
         "\xe0\xa4\xab\xe0\xa5\x87\xe0\xa4\xab\xe0\xa4\xa1\xe0\xa4\xbc\xe0\xa5\x87"},
        {0x0e1b, "Thai", "\xe0\xb8\x9b\xe0\xb8\xad\xe0\xb8\x94"},
    };
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        if (!font_covers(scripts[i].first)) {
            printf("no font for %s here\n", scripts[i].name);
            continue;
        }
        pen_ready();
        pen_line(pen, scripts[i].text, 0, 40, WIDTH, LEFT);
        CU_ASSERT_FALSE(pen_lacked_glyph(pen));
        CU_ASSERT(ink_in(0, WIDTH) > 50);
        pen_done();
    }
}

static void what_no_typeface_has_is_written_as_its_number(void)
{
    pen_ready(); // a private character of plane 16: no font has it
    CU_ASSERT_EQUAL(pen_width(pen, "a\xf4\x80\x80\x80"
                                   "b"),
                    pen_width(pen, "a[U+100000]b"));
    CU_ASSERT(pen_lacked_glyph(pen));
    CU_ASSERT_FALSE(pen_lacked_glyph(pen)); // told once
    CU_ASSERT_EQUAL(pen_width(pen, "a\xe2\x80\x8d"
                                   "b"),
                    pen_width(pen, "ab")); // a joiner needs none
    CU_ASSERT_FALSE(pen_lacked_glyph(pen));
    pen_done();
}

static void broken_bytes_and_controls_are_question_marks(void)
{
    pen_ready();
    CU_ASSERT_EQUAL(pen_width(pen, "a\xff\xc0\x1b"
                                   "b"),
                    pen_width(pen, "a???b"));
    CU_ASSERT_EQUAL(pen_width(pen, "a\nb\tc"), pen_width(pen, "a b c"));
    pen_done();
}

static void a_line_is_cut_where_its_room_ends(void)
{
    char longest[5000];
    memset(longest, 'W', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    pen_ready();
    pen_line(pen, longest, 100, 40, 200, LEFT);
    CU_ASSERT(ink_in(100, 200) > 100);
    CU_ASSERT_EQUAL(ink_in(0, 100) + ink_in(300, WIDTH - 300), 0);
    pen_line(pen, "end", 300, 40, 200, RIGHT);
    CU_ASSERT(ink_in(460, 40) > 30);
    CU_ASSERT_EQUAL(ink_in(300, 150), 0);
    pen_done();
}

static void texts_wrap_at_words_else_anywhere(void)
{
    pen_ready();
    const double width = pen_width(pen, "one two three");
    CU_ASSERT_EQUAL(pen_wrap(pen, "one two three", 0, NAN, width + 1, 24, 9, LEFT), 1);
    CU_ASSERT_EQUAL(pen_wrap(pen, "one two three", 0, NAN, width - 5, 24, 9, LEFT), 2);
    CU_ASSERT_EQUAL(pen_wrap(pen, "one\ntwo\nthree", 0, NAN, width, 24, 9, LEFT), 3);
    CU_ASSERT_EQUAL(pen_wrap(pen, "one\ntwo\nthree", 0, NAN, width, 24, 2, LEFT), 2);
    CU_ASSERT_EQUAL(pen_wrap(pen, "", 0, NAN, width, 24, 9, LEFT), 1);
    CU_ASSERT_EQUAL(ink_in(0, WIDTH), 0); // only measured until here
    const unsigned lines =
        pen_wrap(pen, "1.2.840.10008.5.1.4.1.1.2.1.2.840.10008", 0, 20, 100, 24, 4, LEFT);
    CU_ASSERT_EQUAL(lines, 4);
    CU_ASSERT(ink_in(0, 100) > 100);
    CU_ASSERT_EQUAL(ink_in(101, WIDTH - 101), 0);
    pen_done();
}

int main(void)
{
    static const struct check_case cases[] = {
        {"latin_is_written_in_the_built_in_face", latin_is_written_in_the_built_in_face},
        {"scripts_of_the_built_in_face_lack_nothing", scripts_of_the_built_in_face_lack_nothing},
        {"arabic_letters_join_and_run_from_the_right", arabic_letters_join_and_run_from_the_right},
        {"other_scripts_come_from_the_machine", other_scripts_come_from_the_machine},
        {"what_no_typeface_has_is_written_as_its_number",
         what_no_typeface_has_is_written_as_its_number},
        {"broken_bytes_and_controls_are_question_marks",
         broken_bytes_and_controls_are_question_marks},
        {"a_line_is_cut_where_its_room_ends", a_line_is_cut_where_its_room_ends},
        {"texts_wrap_at_words_else_anywhere", texts_wrap_at_words_else_anywhere},
    };
    // Neither the fonts nor the rules of a user may change our pages.
    setenv("FONTCONFIG_FILE", "/nowhere/fonts.conf", 1);
    return check_main("pen", cases, sizeof cases / sizeof *cases);
}
