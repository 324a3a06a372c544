#include "base/text.h"
#include <stdlib.h>
#include <string.h>
#include "tests/check.h"

static void characters_are_told_by_their_bytes(void)
{
    CU_ASSERT_EQUAL(text_character(""), 0);
    CU_ASSERT_EQUAL(text_character("a"), 1);
    CU_ASSERT_EQUAL(text_character("\xc3\xa4"), 2);         // a with diaeresis
    CU_ASSERT_EQUAL(text_character("\xe5\xb1\xb1"), 3);     // a Kanji
    CU_ASSERT_EQUAL(text_character("\xf0\x9f\xab\x80"), 4); // an anatomical heart
    CU_ASSERT_EQUAL(text_character("\xf4\x8f\xbf\xbf"), 4); // the last one, U+10FFFF
    CU_ASSERT_EQUAL(text_character("\xff"), 0);
    CU_ASSERT_EQUAL(text_character("\xa4"), 0);             // a continuation alone
    CU_ASSERT_EQUAL(text_character("\xc3"), 0);             // cut short
    CU_ASSERT_EQUAL(text_character("\xc3(a"), 0);           // another character follows
    CU_ASSERT_EQUAL(text_character("\xe5\xb1"), 0);         // cut short
    CU_ASSERT_EQUAL(text_character("\xc0\x80"), 0);         // overlong
    CU_ASSERT_EQUAL(text_character("\xe0\x80\xaf"), 0);     // overlong
    CU_ASSERT_EQUAL(text_character("\xf0\x80\x80\xaf"), 0); // overlong
    CU_ASSERT_EQUAL(text_character("\xed\xa0\x80"), 0);     // a surrogate
    CU_ASSERT_EQUAL(text_character("\xf4\x90\x80\x80"), 0); // above U+10FFFF
    CU_ASSERT_EQUAL(text_character("\xf8\x88\x80\x80\x80"), 0);
}

static void clean_equals(const char *text, const char *wanted)
{
    char *clean = text_utf8(text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(clean);
    CU_ASSERT_STRING_EQUAL(clean, wanted);
    free(clean);
}

static void bytes_that_are_no_character_become_question_marks(void)
{
    clean_equals("", "");
    clean_equals("CT", "CT");
    clean_equals("M\xc3\xbcller\n", "M\xc3\xbcller\n");
    clean_equals("M\xfcller", "M?ller"); // ISO 8859-1
    clean_equals("\xff\xff", "??");
    clean_equals("a\xe5\xb1", "a??");
    clean_equals("\xed\xa0\x80", "???");
}

static void what_is_shown_can_be_copied(void)
{
    char out[32];
    CU_ASSERT_STRING_EQUAL(text_shown("Ca Sc \"3=x\" K\xc3\xb6rper", out, sizeof out),
                           "Ca Sc \"3=x\" K\xc3\xb6rper");
    CU_ASSERT_STRING_EQUAL(text_shown("a\x1b[2J\n\x7f", out, sizeof out), "a\\x1b[2J\\x0a\\x7f");
    CU_ASSERT_STRING_EQUAL(text_shown("a\xff", out, sizeof out), "a\\xff");
    CU_ASSERT_STRING_EQUAL(text_shown("\xc2\x9b", out, sizeof out), "\\xc2\\x9b"); // a C1 control
    CU_ASSERT_STRING_EQUAL(text_shown("\xc2\xa0", out, sizeof out), "\xc2\xa0");
    CU_ASSERT_STRING_EQUAL(text_shown(NULL, out, sizeof out), "");
}

static void what_is_shown_is_cut_at_a_character(void)
{
    char out[4];
    CU_ASSERT_STRING_EQUAL(text_shown("abcdef", out, sizeof out), "abc");
    CU_ASSERT_STRING_EQUAL(text_shown("ab\xc3\xb6", out, sizeof out), "ab");
    CU_ASSERT_STRING_EQUAL(text_shown("a\xc3\xb6", out, sizeof out), "a\xc3\xb6");
    CU_ASSERT_STRING_EQUAL(text_shown("\n", out, sizeof out), "");
    CU_ASSERT_STRING_EQUAL(text_shown("abc", out, 1), "");
}

int main(void)
{
    static const struct check_case cases[] = {
        {"text_character_tells_characters_by_their_bytes", characters_are_told_by_their_bytes},
        {"text_utf8_bytes_that_are_no_character_become_question_marks",
         bytes_that_are_no_character_become_question_marks},
        {"text_shown_can_be_copied", what_is_shown_can_be_copied},
        {"text_shown_is_cut_at_a_character", what_is_shown_is_cut_at_a_character},
    };
    return check_main("text", cases, sizeof cases / sizeof *cases);
}
