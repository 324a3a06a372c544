// Damaged configuration files: each one loads, and then prints and reads back the same, or is
// refused with a place and a reason.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "conf/conf.h"
#include "base/log.h"
#include "tests/check.h"

#define PEERS                                                                                      \
    "peers: [{ae_title: PACS, host: pacs, port: 104}, {ae_title: WS, host: '::1', port: 11113}]\n"
static const char everything[] =
    "node: {timezone: '-0330', ae_title: \"A \\\"1\\\"\", serial: '#1: x', bind: '::1', log_level: "
    "debug,\n"
    "  duplicate_answer: success}\n"
    "completion: {quiet_s: 0.30000000000000004, longest_wait_s: 1e3}\n"
    "worker: {device: \"lvm\\u2028pipe \\uFEFF \xc3\xa4\"}\n" PEERS "routes:\n"
    "- name: 'yes: no'\n"
    "  when:\n"
    "    Modality: [CT, '*x?', /a\\d\\/\"b/i]\n"
    "    SliceThickness: '<= 3'\n"
    "    ImageType: 'ORIGINAL\\PRIMARY\\*'\n"
    "  run: calcium\n"
    "  results: [sc, sr]\n"
    "  return_to: [WS, source, PACS]\n"
    "  options: {threshold_hu: 1.3e2}\n"
    "- {name: two, priority: -7, when: {Modality: CT}, run: [calcium, lungs], results: [sr, seg],\n"
    "   options: {threshold_hu: 131, lungs: {lobes: 'a: b'}}}\n";

static struct conf *load(const char *text, size_t len, char **report, size_t *errors)
{
    char path[64];
    struct err err = {0};
    size_t size;
    int fd = memfd_create("conf", MFD_CLOEXEC); // no disk: there are thousands
    CU_ASSERT_TRUE_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(write(fd, text, len), (ssize_t)len);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    FILE *out = open_memstream(report, &size);
    struct conf *c = conf_load(path, NULL, out, errors, &err);
    fclose(out);
    close(fd);
    CU_ASSERT_EQUAL(c == NULL, *errors > 0);
    CU_ASSERT_EQUAL(c == NULL, err.code != ERR_NONE);
    return c;
}

static char *print(const struct conf *c)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    conf_print(c, out);
    fclose(out);
    return text;
}

static void check_round_trip(const struct conf *c)
{
    char *first = print(c), *report;
    size_t errors;
    struct conf *again = load(first, strlen(first), &report, &errors);
    if (!again)
        fprintf(stderr, "%s%s", first, report);
    CU_ASSERT_PTR_NOT_NULL_FATAL(again);
    char *second = print(again);
    CU_ASSERT_STRING_EQUAL(first, second);
    free(first);
    free(second);
    free(report);
    conf_destroy(again);
}

// "file:line:column: text" on every line but the last, which may count what was not shown.
static void check_report(const char *report)
{
    CU_ASSERT_TRUE(*report == '/' && report[strlen(report) - 1] == '\n');
    char *at = strchr(report, ':');
    for (int i = 0; i < 2 && at && *at == ':'; i++)
        CU_ASSERT_TRUE(strtoul(at + 1, &at, 10) > 0);
    CU_ASSERT_TRUE(at && strncmp(at, ": ", 2) == 0);
}

static unsigned next_random(unsigned long long *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(*state >> 33);
}

static void mutate(char *text, size_t *len, size_t room, unsigned long long *state)
{
    static const char *const pieces[] = {"\t",
                                         "&a ",
                                         "*a",
                                         "!!str ",
                                         "- ",
                                         "[",
                                         "]",
                                         "{",
                                         "}",
                                         ": ",
                                         "\"",
                                         "'",
                                         "\n",
                                         "\n  ",
                                         "#",
                                         "? ",
                                         "|\n",
                                         ">\n",
                                         "---\n",
                                         "\xc3",
                                         "\xe2\x80\xa8",
                                         "\xef\xbb\xbf",
                                         "",
                                         "0",
                                         "1e308",
                                         "/(a+)+/",
                                         "routes:",
                                         "peers:",
                                         "source"};
    for (unsigned n = 1 + next_random(state) % 4; n > 0; n--) {
        size_t at = next_random(state) % (*len + 1);
        size_t cut = next_random(state) % 3 ? 0 : next_random(state) % 12;
        const char *piece = pieces[next_random(state) % (sizeof pieces / sizeof pieces[0])];
        size_t add = strlen(piece);
        cut = cut < *len - at ? cut : *len - at;
        if (*len - cut + add > room)
            continue;
        memmove(text + at + add, text + at + cut, *len - at - cut);
        memcpy(text + at, piece, add);
        *len = *len - cut + add;
    }
}

static void mutated_files_load_or_explain_themselves(void)
{
    static char text[8192];
    unsigned long long state = 20260101;
    size_t loaded = 0;
    for (int round = 0; round < 10000; round++) {
        size_t len = sizeof everything - 1, errors;
        char *report;
        memcpy(text, everything, len);
        mutate(text, &len, sizeof text, &state);
        struct conf *c = load(text, len, &report, &errors);
        loaded += c != NULL;
        if (c)
            check_round_trip(c);
        else
            check_report(report);
        conf_destroy(c);
        free(report);
    }
    CU_ASSERT_TRUE(loaded > 100 && loaded < 9500); // both sides are reached
}

static void cut_files_load_or_explain_themselves(void)
{
    for (size_t len = 0; len < sizeof everything; len++) {
        char *report;
        size_t errors;
        struct conf *c = load(everything, len, &report, &errors);
        if (!c)
            check_report(report);
        conf_destroy(c);
        free(report);
    }
}

int main(void)
{
    log_init(LOG_LEVEL_ERROR, "test");
    static const struct check_case cases[] = {
        {"mutated_files_load_or_explain_themselves", mutated_files_load_or_explain_themselves},
        {"cut_files_load_or_explain_themselves", cut_files_load_or_explain_themselves},
    };
    return check_main("fuzz/conf", cases, sizeof cases / sizeof cases[0]);
}
