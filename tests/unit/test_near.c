#include "base/near.h"
#include "tests/check.h"

static void distance_counts_edits(void)
{
    CU_ASSERT_EQUAL(near_distance("calcium", "calcium"), 0);
    CU_ASSERT_EQUAL(near_distance("Calcium", "calcium"), 0);
    CU_ASSERT_EQUAL(near_distance("calcum", "calcium"), 1);
    CU_ASSERT_EQUAL(near_distance("claicum", "calcium"), 2);
    CU_ASSERT_EQUAL(near_distance("ab", "ba"), 1);
    CU_ASSERT_EQUAL(near_distance("", "abc"), 3);
    CU_ASSERT_EQUAL(near_distance("abc", ""), 3);
    CU_ASSERT_EQUAL(near_distance("kitten", "sitting"), 3);
}

static const char *guess(const char *word)
{
    static const char *const names[] = {"port", "host", "ae_title", "max_pdu", "device_uid"};
    struct near n = {.word = word};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        near_try(&n, names[i]);
    return n.best ? n.best : "";
}

static void misspellings_are_guessed_other_words_are_not(void)
{
    CU_ASSERT_STRING_EQUAL(guess("prot"), "port");
    CU_ASSERT_STRING_EQUAL(guess("hots"), "host");
    CU_ASSERT_STRING_EQUAL(guess("aetitle"), "ae_title");
    CU_ASSERT_STRING_EQUAL(guess("maxpdu"), "max_pdu");
    CU_ASSERT_STRING_EQUAL(guess("DEVICE_UID"), "device_uid");
    CU_ASSERT_STRING_EQUAL(guess("colour"), "");
    CU_ASSERT_STRING_EQUAL(guess("x"), "");
    CU_ASSERT_STRING_EQUAL(guess(""), "");
}

static void long_words_are_bounded(void)
{
    char longest[5000];
    for (size_t i = 0; i < sizeof longest; i++)
        longest[i] = 'a';
    longest[sizeof longest - 1] = 0;
    CU_ASSERT_EQUAL(near_distance(longest, "a"), 63);
    CU_ASSERT_EQUAL(near_distance("a", longest), 63);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"distance_counts_edits", distance_counts_edits},
        {"misspellings_are_guessed_other_words_are_not",
         misspellings_are_guessed_other_words_are_not},
        {"long_words_are_bounded", long_words_are_bounded},
    };
    return check_main("near", cases, sizeof cases / sizeof cases[0]);
}
