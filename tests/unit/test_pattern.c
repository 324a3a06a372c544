#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "conf/pattern.h"
#include "base/log.h"
#include "tests/check.h"

static bool matches(const char *text, const char *value)
{
    char why[256] = "";
    struct pattern *p = pattern_compile(text, why, sizeof why);
    if (!p) {
        fprintf(stderr, "pattern %s: %s\n", text, why);
        CU_FAIL("pattern does not compile");
        return false;
    }
    bool yes = pattern_matches(p, value);
    pattern_destroy(p);
    return yes;
}

static void refuse(const char *text, const char *part)
{
    char why[256] = "";
    struct pattern *p = pattern_compile(text, why, sizeof why);
    CU_ASSERT_PTR_NULL(p);
    if (!strstr(why, part))
        fprintf(stderr, "pattern %s: \"%s\" does not say \"%s\"\n", text, why, part);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, part));
    pattern_destroy(p);
}

static struct pattern *compiled(const char *text)
{
    char why[256];
    return pattern_compile(text, why, sizeof why);
}

static void empty_means_absent_or_empty(void)
{
    CU_ASSERT_TRUE(matches("", NULL));
    CU_ASSERT_TRUE(matches("", ""));
    CU_ASSERT_TRUE(matches("  ", "  "));
    CU_ASSERT_TRUE(matches("", "\\"));
    CU_ASSERT_FALSE(matches("", "x"));
    CU_ASSERT_FALSE(matches("", "\\x"));
    struct pattern *parts[] = {compiled(""), compiled("NONE")};
    struct pattern *any = pattern_any(parts, 2);
    CU_ASSERT_TRUE(pattern_matches(any, NULL) && pattern_matches(any, "none"));
    CU_ASSERT_FALSE(pattern_matches(any, "Iomeprol"));
    pattern_destroy(any);
}

static void none_and_all_speak_of_every_value(void)
{
    static const struct {
        const char *pattern, *value; // value NULL: absent
        bool none, all;
    } table[] = {
        {"LOCALIZER", "ORIGINAL\\PRIMARY\\LOCALIZER", false, false},
        {"LOCALIZER", "ORIGINAL\\PRIMARY\\AXIAL", true, false},
        {"LOCALIZER", "localizer", false, true},
        {"LOCALIZER", "LOCALIZER\\LOCALIZER", false, true},
        {"LOCALIZER", NULL, true, false},
        {"LOCALIZER", "", true, false},
        {"/^(?!x)/", "x\\y", true, false},      // of the whole, which begins with x
        {"/^[a-z]+$/", "abc\\def", true, true}, // each by itself
        {">= 3", "3\\4\\5", false, true},
        {">= 3", "1\\4", false, false},
        {">= 3", "1\\2", true, false},
        {"", "a\\b", true, false},
        {"*", "a\\b", false, true},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct pattern *none = pattern_none(compiled(table[i].pattern)),
                       *all = pattern_all(compiled(table[i].pattern));
        CU_ASSERT_EQUAL(pattern_matches(none, table[i].value), table[i].none);
        CU_ASSERT_EQUAL(pattern_matches(all, table[i].value), table[i].all);
        pattern_destroy(none);
        pattern_destroy(all);
    }
    struct pattern *some[] = {compiled("PRIMARY"), pattern_none(compiled("LOCALIZER"))};
    struct pattern *both = pattern_both(some, 2);
    CU_ASSERT_STRING_EQUAL(pattern_text(both), "{any: PRIMARY, none: LOCALIZER}");
    CU_ASSERT_TRUE(pattern_matches(both, "ORIGINAL\\PRIMARY\\AXIAL"));
    CU_ASSERT_FALSE(pattern_matches(both, "ORIGINAL\\PRIMARY\\LOCALIZER"));
    CU_ASSERT_FALSE(pattern_matches(both, NULL));
    pattern_destroy(both);
}

static void text_compares_whole_values_without_case(void)
{
    CU_ASSERT_TRUE(matches("CT", "CT"));
    CU_ASSERT_TRUE(matches("ct", "CT"));
    CU_ASSERT_TRUE(matches("CT", " CT "));
    CU_ASSERT_TRUE(matches(" CT ", "CT"));
    CU_ASSERT_FALSE(matches("CT", "CTA"));
    CU_ASSERT_FALSE(matches("CT", "PCT"));
    CU_ASSERT_FALSE(matches("CT", ""));
    CU_ASSERT_FALSE(matches("CT", NULL));
    CU_ASSERT_TRUE(matches("sch\xc3\xa4"
                           "del",
                           "SCH\xc3\x84"
                           "DEL"));
    CU_ASSERT_TRUE(matches("a.c (1+1) [x] ^$|", "a.c (1+1) [x] ^$|"));
    CU_ASSERT_FALSE(matches("a.c", "abc"));
    CU_ASSERT_TRUE(matches("\\Q.\\E", "\\q.\\e"));
}

static void text_matches_one_of_several_values_or_the_whole(void)
{
    CU_ASSERT_TRUE(matches("AXIAL", "ORIGINAL\\PRIMARY\\AXIAL"));
    CU_ASSERT_TRUE(matches("ORIGINAL", "ORIGINAL\\PRIMARY\\AXIAL"));
    CU_ASSERT_TRUE(matches("primary", "ORIGINAL\\PRIMARY\\AXIAL"));
    CU_ASSERT_FALSE(matches("MARY", "ORIGINAL\\PRIMARY\\AXIAL"));
    CU_ASSERT_TRUE(matches("ORIGINAL\\PRIMARY*", "ORIGINAL\\PRIMARY\\AXIAL"));
    CU_ASSERT_TRUE(matches("last", "first\\\\last"));
}

static void wildcards_stand_for_any_text_and_one_character(void)
{
    CU_ASSERT_TRUE(matches("*", "anything"));
    CU_ASSERT_TRUE(matches("*", ""));
    CU_ASSERT_FALSE(matches("*", NULL));
    CU_ASSERT_TRUE(matches("**", "anything"));
    CU_ASSERT_TRUE(matches("Ca*", "CaSc 3.0"));
    CU_ASSERT_TRUE(matches("*sc*3.0", "CaSc 3.0"));
    CU_ASSERT_TRUE(matches("*ab*ab", "ab ab ab"));
    CU_ASSERT_TRUE(matches("*b", "abab"));
    CU_ASSERT_FALSE(matches("*ab*ab", "xab"));
    CU_ASSERT_FALSE(matches("a*b", "a"));
    CU_ASSERT_TRUE(matches("C?", "CT"));
    CU_ASSERT_FALSE(matches("C?", "C"));
    CU_ASSERT_FALSE(matches("C?", "CTA"));
    CU_ASSERT_TRUE(matches("h?rt", "h\xc3\xa4rt")); // one character, two bytes
    CU_ASSERT_TRUE(matches("a*d", "a\nb\nd"));
}

static void regular_expression_is_searched_in_the_whole(void)
{
    CU_ASSERT_TRUE(matches("/ca.?sc|calcium/i", "1_CA-SC_3.0"));
    CU_ASSERT_TRUE(matches("/ca.?sc|calcium/i", "Coronary Calcium"));
    CU_ASSERT_FALSE(matches("/ca.?sc/", "CASC"));
    CU_ASSERT_TRUE(matches("/^A.*C$/", "A\\B\\C"));
    CU_ASSERT_FALSE(matches("/^B$/", "A\\B\\C"));
    CU_ASSERT_TRUE(matches("/a\\/b/", "a/b"));
    CU_ASSERT_FALSE(matches("/x/", NULL));
}

static void comparison_holds_for_one_of_the_numbers(void)
{
    CU_ASSERT_TRUE(matches(">= 3", "3"));
    CU_ASSERT_TRUE(matches(">=3", "3.5 "));
    CU_ASSERT_FALSE(matches("> 3", "3"));
    CU_ASSERT_TRUE(matches("< 3", "-1e2"));
    CU_ASSERT_TRUE(matches("<= 3", "5\\3"));
    CU_ASSERT_FALSE(matches("< 3", "5\\4"));
    CU_ASSERT_TRUE(matches("= 120", "120.0"));
    CU_ASSERT_TRUE(matches("!= 120", "100"));
    CU_ASSERT_FALSE(matches("!= 120", "120"));
    CU_ASSERT_FALSE(matches("!= 120", "abc"));
    CU_ASSERT_FALSE(matches("< 3", ""));
    CU_ASSERT_FALSE(matches("< 3", "0x1"));
    CU_ASSERT_FALSE(matches("> 3", "inf"));
    CU_ASSERT_FALSE(matches("< 3", NULL));
}

static void any_of_matches_when_one_part_does(void)
{
    char why[256];
    struct pattern *parts[] = {pattern_compile("CT", why, sizeof why),
                               pattern_compile("/^P/", why, sizeof why),
                               pattern_compile("> 5", why, sizeof why)};
    struct pattern *any = pattern_any(parts, 3);
    CU_ASSERT_PTR_NOT_NULL_FATAL(any);
    CU_ASSERT_TRUE(pattern_matches(any, "ct"));
    CU_ASSERT_TRUE(pattern_matches(any, "PT"));
    CU_ASSERT_TRUE(pattern_matches(any, "6"));
    CU_ASSERT_FALSE(pattern_matches(any, "MR"));
    CU_ASSERT_FALSE(pattern_matches(any, NULL));
    CU_ASSERT_STRING_EQUAL(pattern_text(any), "[CT, /^P/, > 5]");
    CU_ASSERT_EQUAL(pattern_parts(any), 3);
    CU_ASSERT_STRING_EQUAL(pattern_text(pattern_part(any, 2)), "> 5");
    CU_ASSERT_EQUAL(pattern_parts(parts[0]), 1);
    CU_ASSERT_PTR_EQUAL(pattern_part(parts[0], 0), parts[0]);
    pattern_destroy(any);
}

static void bad_patterns_are_refused_with_their_reason(void)
{
    refuse("/(/", "missing closing parenthesis at character 2");
    refuse("/[a/", "missing terminating ]");
    refuse("/abc", "no closing /");
    refuse("/", "no closing /");
    refuse("//", "empty regular expression");
    refuse("/a/x", "unknown flag \"x\"");
    refuse("/a/ii", "unknown flag");
    refuse("/a\\C/", "\\C is disabled");
    refuse("> x", "comes a number");
    refuse(">= 3 mm", "comes a number");
    refuse("<>", "comes a number");
    refuse("= 0x10", "comes a number");
    refuse("= nan", "comes a number");
    refuse("!CT", "comes a number");
    refuse("/\xff/", "UTF-8");
    char longest[PATTERN_TEXT_MAX + 2];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    refuse(longest, "longer than 1024");
    longest[PATTERN_TEXT_MAX] = 0;
    CU_ASSERT_TRUE(matches(longest, longest));
}

static void greedy_work_is_bounded(void)
{
    char value[1025];
    memset(value, 'a', sizeof value - 1);
    // what the expressions require is there, so that nothing is decided without work
    value[0] = value[sizeof value - 3] = 'b';
    value[sizeof value - 2] = 'x';
    value[sizeof value - 1] = 0;
    struct timespec before, after;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    CU_ASSERT_FALSE(matches("/(a+)+b$/", value));
    CU_ASSERT_FALSE(matches("/^b(a|aa)+c?b$/", value));
    CU_ASSERT_FALSE(matches("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", value));
    CU_ASSERT_TRUE(matches("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*", value)); // within its limit
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    CU_ASSERT_TRUE(matches("/(a+)+bx$/", value));
    CU_ASSERT_TRUE(after.tv_sec - before.tv_sec < 10);
}

static void broken_utf8_in_a_value_is_no_error(void)
{
    CU_ASSERT_TRUE(matches("*abc*", "abc"));
    CU_ASSERT_FALSE(matches("abc", "abc\xff"));
    CU_ASSERT_TRUE(matches("/abc/", "\xff\xfe abc"));
    CU_ASSERT_TRUE(matches("?abc*", "\xff"
                                    "abc\xc3"));
    CU_ASSERT_TRUE(matches("*", "\xe2\x80"));
}

static unsigned next_random(unsigned long long *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(*state >> 33);
}

static void random_text(char *out, const char *letters, unsigned longest, unsigned long long *state)
{
    unsigned len = next_random(state) % (longest + 1);
    for (unsigned i = 0; i < len; i++)
        out[i] = letters[next_random(state) % strlen(letters)];
    out[len] = 0;
}

// Wildcards by trying everything.
static bool slow_match(const char *pattern, const char *value)
{
    if (!*pattern)
        return !*value;
    if (*pattern == '*')
        return slow_match(pattern + 1, value) || (*value && slow_match(pattern, value + 1));
    return *value && (*pattern == '?' || *pattern == *value) && slow_match(pattern + 1, value + 1);
}

static void wildcards_agree_with_trying_everything(void)
{
    unsigned long long state = 7;
    unsigned matched = 0, wrong = 0;
    for (int i = 0; i < 20000; i++) {
        char pattern[9], value[11], why[256];
        random_text(pattern, "ab*?.", 8, &state);
        random_text(value, "ab.", 10, &state);
        struct pattern *p = pattern_compile(pattern, why, sizeof why);
        if (!p) {
            wrong += *pattern != 0;
            continue;
        }
        bool yes = pattern_matches(p, value);
        matched += yes;
        wrong += yes != slow_match(pattern, value);
        pattern_destroy(p);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_TRUE(matched > 1000);
}

// Whatever is written compiles or says why, and whatever comes is matched or not: no crash, no
// leak.
static void random_bytes_compile_or_explain_themselves(void)
{
    unsigned long long state = 11;
    unsigned compiled = 0;
    for (int i = 0; i < 20000; i++) {
        char pattern[32], value[32], why[256] = "";
        random_text(pattern, "/()[]{}|*+?.\\^$abi<>=! 0123-:\xc3\xa4\xff\n", 30, &state);
        random_text(value, "ab0123-+.e\\ \xc3\xa4\xff\n", 30, &state);
        if (next_random(&state) % 2) {
            pattern[0] = '/';
            size_t len = strlen(pattern);
            pattern[len - (len > 1)] = '/';
        }
        struct pattern *p = pattern_compile(pattern, why, sizeof why);
        CU_ASSERT_TRUE(p != NULL || why[0] != 0);
        if (p) {
            compiled++;
            pattern_matches(p, value);
            pattern_destroy(p);
        }
    }
    CU_ASSERT_TRUE(compiled > 1000);
}

int main(void)
{
    log_init(LOG_LEVEL_ERROR, "test");
    static const struct check_case cases[] = {
        {"pattern_empty_means_absent_or_empty", empty_means_absent_or_empty},
        {"pattern_none_and_all_speak_of_every_value", none_and_all_speak_of_every_value},
        {"text_compares_whole_values_without_case", text_compares_whole_values_without_case},
        {"text_matches_one_of_several_values_or_the_whole",
         text_matches_one_of_several_values_or_the_whole},
        {"wildcards_stand_for_any_text_and_one_character",
         wildcards_stand_for_any_text_and_one_character},
        {"regular_expression_is_searched_in_the_whole",
         regular_expression_is_searched_in_the_whole},
        {"comparison_holds_for_one_of_the_numbers", comparison_holds_for_one_of_the_numbers},
        {"any_of_matches_when_one_part_does", any_of_matches_when_one_part_does},
        {"bad_patterns_are_refused_with_their_reason", bad_patterns_are_refused_with_their_reason},
        {"wildcards_agree_with_trying_everything", wildcards_agree_with_trying_everything},
        {"random_bytes_compile_or_explain_themselves", random_bytes_compile_or_explain_themselves},
        {"greedy_work_is_bounded", greedy_work_is_bounded},
        {"broken_utf8_in_a_value_is_no_error", broken_utf8_in_a_value_is_no_error},
    };
    return check_main("pattern", cases, sizeof cases / sizeof cases[0]);
}
