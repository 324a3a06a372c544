// A configuration loads, and then prints and reads back the same, or is refused with a place and a
// reason.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf/conf.h"
#include "tests/configurations.h"
#include "tests/fuzz/helper_targets.h"

static const char everything[] = EVERYTHING;

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
