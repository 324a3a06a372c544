// A configuration loads, and then prints and reads back the same, or is refused with a place and a
// reason.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf/conf.h"
#include "tests/fuzz/helper_targets.h"

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

static struct conf *load(const char *text, size_t len, char **report)
{
    struct err err = {0};
    size_t size, errors = 0;
    FILE *out = open_memstream(report, &size);
    fuzz_check(out != NULL, "there is memory for a report");
    struct conf *c = conf_load(fuzz_path((const uint8_t *)text, len), NULL, out, &errors, &err);
    fclose(out);
    fuzz_check((c == NULL) == (errors > 0), "errors are counted where it is refused");
    fuzz_check((c == NULL) == (err.code != ERR_NONE), "an error is set where it is refused");
    return c;
}

static char *print(const struct conf *c)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    fuzz_check(out != NULL, "there is memory to print");
    conf_print(c, out);
    fclose(out);
    return text;
}

static void check_round_trip(const struct conf *c)
{
    char *first = print(c), *report;
    struct conf *again = load(first, strlen(first), &report);
    if (!again)
        fprintf(stderr, "%s%s", first, report);
    fuzz_check(again != NULL, "what is printed loads");
    char *second = print(again);
    fuzz_check(strcmp(first, second) == 0, "what is printed loads as the same");
    free(first);
    free(second);
    free(report);
    conf_destroy(again);
}

// "file:line:column: text" on every line but the last, which may count what was not shown.
static void check_report(const char *report)
{
    fuzz_check(*report == '/' && report[strlen(report) - 1] == '\n', "a report has whole lines");
    const char *at = strchr(report, ':');
    for (int i = 0; i < 2 && at && *at == ':'; i++) {
        char *end;
        fuzz_check(strtoul(at + 1, &end, 10) > 0, "an error has a line and a column");
        at = end;
    }
    fuzz_check(at && strncmp(at, ": ", 2) == 0, "an error has a text");
}

bool fuzz_conf(const uint8_t *data, size_t size)
{
    char *report;
    struct conf *c = load((const char *)data, size, &report);
    const bool loaded = c != NULL;
    if (loaded)
        check_round_trip(c);
    else
        check_report(report);
    conf_destroy(c);
    free(report);
    return loaded;
}

void fuzz_conf_seeds(fuzz_keep keep, void *ctx)
{
    keep(ctx, (const uint8_t *)everything, sizeof everything - 1);
}
