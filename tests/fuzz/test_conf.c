// Damaged configuration files: what must hold of each is in helper_conf.c.
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "tests/check.h"
#include "tests/fuzz/helper_targets.h"

static char everything[4096];
static size_t everything_size;

static void take_seed(void *ctx, const uint8_t *data, size_t size)
{
    (void)ctx;
    fuzz_check(size <= sizeof everything, "there is room for the seed");
    memcpy(everything, data, size);
    everything_size = size;
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
        size_t len = everything_size;
        memcpy(text, everything, len);
        mutate(text, &len, sizeof text, &state);
        loaded += fuzz_conf((const uint8_t *)text, len);
    }
    CU_ASSERT_TRUE(loaded > 100 && loaded < 9500); // both sides are reached
}

static void cut_files_load_or_explain_themselves(void)
{
    size_t loaded = 0;
    for (size_t len = 0; len <= everything_size; len++)
        loaded += fuzz_conf((const uint8_t *)everything, len);
    CU_ASSERT(loaded > 0 && loaded < everything_size);
}

int main(void)
{
    log_init(LOG_LEVEL_ERROR, "test");
    fuzz_conf_seeds(take_seed, NULL);
    static const struct check_case cases[] = {
        {"mutated_files_load_or_explain_themselves", mutated_files_load_or_explain_themselves},
        {"cut_files_load_or_explain_themselves", cut_files_load_or_explain_themselves},
    };
    return check_main("fuzz/conf", cases, sizeof cases / sizeof cases[0]);
}
