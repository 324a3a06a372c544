// Damaged networks: what must hold of each is in helper_net.c.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fs.h"
#include "tests/check.h"
#include "tests/fuzz/helper_targets.h"

enum { ROUNDS = 4000 };
static char json[512], bin[512];
static uint64_t state = 20;

static uint32_t draw_below(uint32_t n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % n;
}

static void write_bytes(const char *path, const char *data, size_t len)
{
    FILE *f = fopen(path, "w");
    CU_ASSERT_FATAL(f && fwrite(data, 1, len, f) == len && fclose(f) == 0);
}

// Returns the new length, at most that of the old and 24.
static size_t damage(char *text, size_t len)
{
    static const char *const tokens[] = {
        "0",  "-1",   "1e9", "2147483648", "18446744073709551616", "null", "true", "[]", "{}",
        "\"", "1024", "1.5", "\"c0\"",     "[[[[[[[[[[[[",         "}",    "]",    ","};
    const size_t at = draw_below((uint32_t)len);
    const char *token = tokens[draw_below(sizeof tokens / sizeof *tokens)];
    switch (draw_below(4)) {
    case 0:
        text[at] = (char)draw_below(256);
        return len;
    case 1:
        return at + 1;
    case 2: { // a piece is gone
        const size_t gone = 1 + draw_below(12), to = at + gone > len ? len : at + gone;
        memmove(text + at, text + to, len - to);
        return len - (to - at);
    }
    default: { // a number, or whatever starts here, is another
        const size_t digits = strspn(text + at, "0123456789"), size = strlen(token);
        memmove(text + at + size, text + at + digits, len - at - digits);
        memcpy(text + at, token, size);
        return len - digits + size;
    }
    }
}

static void damaged_networks_are_refused_or_bounded(void)
{
    struct err err = {0};
    size_t len = 0, bin_len = 0;
    uint32_t loaded = 0, refused = 0;
    snprintf(json, sizeof json, "%s/model.json", check_scratch());
    snprintf(bin, sizeof bin, "%s/model.bin", check_scratch());
    fuzz_net_start();
    char *text = fs_read_file(json, 1 << 20, &len, &err);
    char *weights = fs_read_file(bin, 1 << 20, &bin_len, &err);
    char *damaged = calloc(len + 256, 1);
    CU_ASSERT_FATAL(text && weights && damaged);
    for (int round = 0; round < ROUNDS; round++) {
        memset(damaged, 0, len + 256);
        memcpy(damaged, text, len);
        size_t now = len;
        for (uint32_t times = 1 + draw_below(3); times && now; times--)
            now = damage(damaged, now);
        if (round % 16 == 0)
            write_bytes(bin, weights, draw_below((uint32_t)bin_len + 1));
        else if (round % 16 == 1)
            write_bytes(bin, weights, bin_len);
        if (fuzz_net((const uint8_t *)damaged, now))
            loaded++;
        else
            refused++;
    }
    printf("%u loaded, %u refused\n", loaded, refused);
    CU_ASSERT(loaded > ROUNDS / 100 && refused > ROUNDS / 2);
    free(damaged);
    free(weights);
    free(text);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"damaged_networks_are_refused_or_bounded", damaged_networks_are_refused_or_bounded},
    };
    return check_main("net", cases, sizeof cases / sizeof *cases);
}
