#include "base/near.h"
#include <ctype.h>
#include <string.h>

#define LENGTH_MAX 64

static size_t near_least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool near_same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

// Optimal string alignment by rows: only the last three are needed.
size_t near_distance(const char *a, const char *b)
{
    size_t na = strnlen(a, LENGTH_MAX), nb = strnlen(b, LENGTH_MAX);
    size_t rows[3][LENGTH_MAX + 1];
    for (size_t j = 0; j <= nb; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t *now = rows[i % 3];
        const size_t *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            now[j] = near_least(near_least(last[j], now[j - 1]) + 1,
                                last[j - 1] + !near_same(a[i - 1], b[j - 1]));
            if (i > 1 && j > 1 && near_same(a[i - 1], b[j - 2]) && near_same(a[i - 2], b[j - 1]))
                now[j] = near_least(now[j], before[j - 2] + 1);
        }
    }
    return rows[na % 3][nb];
}

void near_try(struct near *n, const char *name)
{
    size_t distance = near_distance(n->word, name);
    // a third of the letters wrong is still a misspelling, more is another word
    if (distance > near_least(strlen(n->word), strlen(name)) / 3 + 1 || distance >= strlen(n->word))
        return;
    if (!n->best || distance < n->distance) {
        n->best = name;
        n->distance = distance;
    }
}
