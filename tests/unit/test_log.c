#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "tests/check.h"

// What one call writes to standard error.
static char said[4096];

static int begin(int pipe_ends[2])
{
    CU_ASSERT_EQUAL_FATAL(pipe(pipe_ends), 0);
    int kept = dup(STDERR_FILENO);
    dup2(pipe_ends[1], STDERR_FILENO);
    close(pipe_ends[1]);
    return kept;
}

static void end(const int pipe_ends[2], int kept)
{
    dup2(kept, STDERR_FILENO);
    close(kept);
    size_t used = 0;
    ssize_t n;
    while ((n = read(pipe_ends[0], said + used, sizeof said - 1 - used)) > 0)
        used += (size_t)n;
    said[used] = 0;
    close(pipe_ends[0]);
}

#define SAY(call)                                                                                  \
    do {                                                                                           \
        int ends[2], kept = begin(ends);                                                           \
        call;                                                                                      \
        end(ends, kept);                                                                           \
    } while (0)

static size_t count_lines(void)
{
    size_t n = 0;
    for (const char *p = said; *p; p++)
        n += *p == '\n';
    return n;
}

static void a_line_has_time_level_process_and_message(void)
{
    log_init(LOG_LEVEL_INFO, "core");
    SAY(log_warn("series=%s instances=%d complete", "1.2", 48));
    static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ warn core[";
    for (size_t i = 0; i + 1 < sizeof shape; i++)
        CU_ASSERT_TRUE(shape[i] == 'd' && i < 24 ? isdigit((unsigned char)said[i]) != 0
                                                 : said[i] == shape[i]);
    char tail[128];
    snprintf(tail, sizeof tail, "core[%d]: series=1.2 instances=48 complete\n", (int)getpid());
    CU_ASSERT_PTR_NOT_NULL(strstr(said, tail));
    CU_ASSERT_EQUAL(count_lines(), 1);
}

static void events_below_the_level_are_not_shown(void)
{
    log_init(LOG_LEVEL_WARN, "core");
    SAY((log_info("a"), log_debug("b")));
    CU_ASSERT_STRING_EQUAL(said, "");
    SAY((log_error("a"), log_warn("b")));
    CU_ASSERT_EQUAL(count_lines(), 2);
    log_init(LOG_LEVEL_DEBUG, "core");
    SAY(log_debug("b"));
    CU_ASSERT_EQUAL(count_lines(), 1);
}

static void the_action_is_appended_until_it_ends(void)
{
    log_init(LOG_LEVEL_INFO, "association");
    log_action("negotiating peer=%s", "CT1");
    SAY(log_info("x=1"));
    CU_ASSERT_PTR_NOT_NULL(strstr(said, ": x=1 negotiating peer=CT1\n"));
    log_action(NULL);
    SAY(log_info("x=2"));
    CU_ASSERT_PTR_NOT_NULL(strstr(said, ": x=2\n"));
}

static void a_message_stays_one_line_of_bounded_length(void)
{
    static char longest[6000];
    log_init(LOG_LEVEL_INFO, "core");
    SAY(log_info("a\nb\r\x1b[31mc\td"));
    CU_ASSERT_EQUAL(count_lines(), 1);
    CU_ASSERT_PTR_NULL(strpbrk(said, "\r\t\x1b"));
    memset(longest, 'a', sizeof longest - 1);
    log_action("%s", longest);
    SAY(log_info("%s", longest));
    log_action(NULL);
    CU_ASSERT_EQUAL(count_lines(), 1);
    CU_ASSERT_TRUE(strlen(said) <= 1024);
}

static void outside_values_are_escaped(void)
{
    char out[16];
    CU_ASSERT_STRING_EQUAL(log_value("A B=\"\n\x7f\xc3", out, sizeof out), "A_B_____");
    CU_ASSERT_STRING_EQUAL(log_value("0123456789abcdefgh", out, sizeof out), "0123456789abcde");
    CU_ASSERT_STRING_EQUAL(log_value(NULL, out, sizeof out), "");
    CU_ASSERT_STRING_EQUAL(log_value("abc", out, 1), "");
}

static void level_names_are_parsed(void)
{
    enum log_level level = LOG_LEVEL_ERROR;
    CU_ASSERT_TRUE(log_level_parse("debug", &level));
    CU_ASSERT_EQUAL(level, LOG_LEVEL_DEBUG);
    CU_ASSERT_FALSE(log_level_parse("loud", &level));
}

int main(void)
{
    static const struct check_case cases[] = {
        {"a_line_has_time_level_process_and_message", a_line_has_time_level_process_and_message},
        {"events_below_the_level_are_not_shown", events_below_the_level_are_not_shown},
        {"the_action_is_appended_until_it_ends", the_action_is_appended_until_it_ends},
        {"a_message_stays_one_line_of_bounded_length", a_message_stays_one_line_of_bounded_length},
        {"outside_values_are_escaped", outside_values_are_escaped},
        {"level_names_are_parsed", level_names_are_parsed},
    };
    return check_main("log", cases, sizeof cases / sizeof cases[0]);
}
